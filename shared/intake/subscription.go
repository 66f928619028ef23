package intake

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
)

// Event is what CloudWatch Logs sends a function that subscribes to a log group:
// base64 of gzip of a subscription.
type Event struct {
	Logs struct {
		Data string `json:"data"`
	} `json:"awslogs"`
}

// Check implements lambdahost's Request.
func (e Event) Check(string) error {
	if len(e.Logs.Data) == 0 {
		return errors.New("awslogs.data is empty; want what CloudWatch Logs sends a subscriber")
	}
	return nil
}

// Dry implements lambdahost's Request.
func (e Event) Dry() bool { return false }

// Answer is what became of an event.
type Answer struct {
	Mesh       string `json:"mesh"`
	Function   string `json:"function"`
	Lines      int64  `json:"lines"` // of hosts of mesh.yaml
	Kept       int64  `json:"kept"`
	Refused    int64  `json:"refused"`
	Unreadable int64  `json:"unreadable"`
	Skipped    string `json:"skipped,omitempty"`
	TookMs     int64  `json:"tookMs"`
}

// Summary implements lambdahost's Answer.
func (a Answer) Summary() run.Summary {
	return run.Summary{Skipped: a.Skipped, Log: []slog.Attr{
		slog.Int64("lines", a.Lines), slog.Int64("kept", a.Kept), slog.Int64("refused", a.Refused), slog.Int64("unreadable", a.Unreadable),
	}}
}

// Handle takes one event. What cannot be read is counted and not an error: Lambda
// would send it again, and it would be read no better. A store that does not take
// what came is one, and to take it again does no harm.
func (in *Intake) Handle(ctx context.Context, e Event) (Answer, error) {
	began := time.Now()
	before := in.counted()
	messages, err := decode(e.Logs.Data)
	skipped := ""
	switch {
	case errors.Is(err, errControl):
		skipped = err.Error()
	case err != nil:
		in.log.Warn("an event of CloudWatch Logs cannot be read", "error", err)
		in.Count(record.Tally{Unreadable: 1})
	}
	for _, message := range messages {
		for line := range bytes.SplitSeq([]byte(message), []byte{'\n'}) {
			switch {
			case len(bytes.TrimSpace(line)) == 0:
			case len(line) > maxLine:
				in.Count(record.Tally{Unreadable: 1})
			default:
				in.Take(line, netip.Addr{})
			}
		}
	}
	after := in.counted()
	err = in.Flush(ctx)
	return Answer{
		Mesh: in.mesh.Name, Function: "intake", Skipped: skipped, TookMs: time.Since(began).Milliseconds(), Lines: after.Lines - before.Lines,
		Kept: after.Kept - before.Kept, Refused: after.Refused - before.Refused, Unreadable: after.Unreadable - before.Unreadable,
	}, err
}

func (in *Intake) counted() record.Tally {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.tally
}

const (
	// maxUnpacked bounds an event once it is unpacked: a batch of log events has at
	// most 1 MB, and a subscription has hardly more than one.
	maxUnpacked = 8 << 20
	maxLine     = 16 << 10
)

// errControl is that CloudWatch Logs only tries whether somebody listens.
var errControl = errors.New("a control message, which CloudWatch Logs sends to see whether somebody listens")

// decode gives the messages of a subscription.
func decode(data string) ([]string, error) {
	packed, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil, fmt.Errorf("awslogs.data: %w", err)
	}
	unzip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("awslogs.data: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(unzip, maxUnpacked+1))
	switch {
	case len(text) > maxUnpacked:
		return nil, fmt.Errorf("awslogs.data of %d bytes unpacks to more than %d", len(data), maxUnpacked)
	case err != nil:
		return nil, fmt.Errorf("awslogs.data: %w", err)
	}
	var got struct {
		MessageType string `json:"messageType"`
		LogEvents   []struct {
			Message string `json:"message"`
		} `json:"logEvents"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return nil, fmt.Errorf("awslogs.data: %w", err)
	}
	switch got.MessageType {
	case "DATA_MESSAGE":
	case "CONTROL_MESSAGE":
		return nil, errControl
	default:
		return nil, fmt.Errorf("awslogs.data: a message of type %.40q", got.MessageType)
	}
	out := make([]string, len(got.LogEvents))
	for i, e := range got.LogEvents {
		out[i] = e.Message
	}
	return out, nil
}
