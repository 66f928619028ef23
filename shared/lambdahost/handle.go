package lambdahost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"peerkeeper/shared/metric"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/run"
)

// EventError says that an event is not a request for this function.
type EventError struct {
	Function string
	Cause    error
}

func (e *EventError) Error() string {
	return fmt.Sprintf("the event is not a request for %s: %v", e.Function, e.Cause)
}

// Unwrap gives the cause.
func (e *EventError) Unwrap() error { return e.Cause }

// EventHandler is a use case as lambda.Start wants it. It is a lambda.Handler
// too, because what lambda.Start makes of a plain function passes on the first
// JSON value of an event and drops what follows.
type EventHandler func(context.Context, json.RawMessage) (run.Answer, error)

// Invoke implements lambda.Handler.
func (h EventHandler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	answer, err := h(ctx, event)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(answer); err != nil {
		return nil, fmt.Errorf("encoding the answer: %w", err)
	}
	return b.Bytes(), nil
}

// Handler is a use case that answers events.
func (f *Function) Handler(handle func(context.Context, run.Request) (run.Answer, error)) EventHandler {
	return func(ctx context.Context, event json.RawMessage) (run.Answer, error) {
		began := time.Now()
		id := ""
		if lc, ok := lambdacontext.FromContext(ctx); ok {
			id = lc.AwsRequestID
		}
		f.runID.set(id)
		req, err := f.request(event)
		if err != nil {
			f.Log.Error("run refused", "error", err.Error())
			return run.Answer{}, err
		}
		used, sent := f.Store.Usage(), f.sent()
		answer, err := handle(ctx, req)
		if answer.Mesh == "" { // it did not come as far as an answer
			answer.Mesh, answer.Function, answer.ScheduledTime, answer.TookMs = f.Mesh.Name, f.Name, req.ScheduledTime, time.Since(began).Milliseconds()
		}
		cost := f.Store.Usage().Minus(used)
		log := f.Log.With("tookMs", answer.TookMs, "readUnits", cost.ReadUnits, "writeUnits", cost.WriteUnits, "storeRequests", cost.Requests, "storeRetries", cost.Retries)
		// The log is where a person looks; the error returned goes to Lambda,
		// which counts it and shows it to nobody.
		switch {
		case err != nil:
			log.Error("run failed", "error", err.Error())
		case answer.Skipped != "":
			log.Info("run skipped", "reason", answer.Skipped)
		default:
			log.Info("run completed", "clusters", answer.Clusters, "peers", answer.Peers, "notices", answer.Notices, "actions", answer.Actions, "proposals", answer.Proposals)
		}
		if !req.DryRun { // a dry run completes nothing
			m := metric.Run{Answer: answer, Failed: err != nil, ReadUnits: cost.ReadUnits, WriteUnits: cost.WriteUnits, RunID: id}
			if f.Requests != nil {
				n := f.sent() - sent
				m.Requests = &n
			}
			if err := metric.Write(f.metrics, m, time.Now()); err != nil {
				log.Warn("metrics not written", "error", err.Error())
			}
		}
		return answer, err
	}
}

func (f *Function) sent() int64 {
	if f.Requests == nil {
		return 0
	}
	return f.Requests()
}

// request reads an event, strictly: a misspelled dryRun must not be a real run,
// nor one that stands twice, and what is no request at all (null, a list, the
// event of another service) is refused by what it is.
func (f *Function) request(event []byte) (run.Request, error) {
	var req run.Request
	if err := oneObject(event); err != nil {
		return run.Request{}, &EventError{f.Name, err}
	}
	dec := json.NewDecoder(bytes.NewReader(event))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return run.Request{}, &EventError{f.Name, err}
	}
	if req.Function != "" && req.Function != f.Name {
		return run.Request{}, &EventError{f.Name, fmt.Errorf("it is for %q", req.Function)}
	}
	return req, nil
}

// oneObject says why a text is not one JSON object, with no key twice and nothing
// after it.
func oneObject(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	first, err := dec.Token()
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("it is empty; want a JSON object, {} for a run now")
	case err != nil:
		return err
	case first == nil:
		return errors.New("it is null; want a JSON object, {} for a run now")
	case first == json.Delim('['):
		return errors.New("it is a list; want a JSON object, {} for a run now")
	case first != json.Delim('{'):
		return fmt.Errorf("it is a %s; want a JSON object, {} for a run now", kindOf(first))
	}
	seen := map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		// encoding/json takes keys without regard to case, and the last of two.
		name, _ := key.(string)
		if folded := strings.ToLower(name); seen[folded] {
			return fmt.Errorf("key %q stands there twice", plain.Line(name, 40))
		} else {
			seen[folded] = true
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if string(value) == "null" {
			return fmt.Errorf("key %q is null; leave it out, or give it a value", plain.Line(name, 40))
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// kindOf is what a JSON value is.
func kindOf(token json.Token) string {
	switch token.(type) {
	case string:
		return "text"
	case bool:
		return "truth value"
	}
	return "number"
}

// runID is the id of the run under way: Lambda sends a process one event at a
// time, and the use cases hold one logger.
type runID struct{ current atomic.Pointer[string] }

func (r *runID) set(id string) { r.current.Store(&id) }

// withRunID adds the run's id to every record.
type withRunID struct {
	slog.Handler
	id *runID
}

func (h withRunID) Handle(ctx context.Context, r slog.Record) error {
	if id := h.id.current.Load(); id != nil && *id != "" {
		r.AddAttrs(slog.String("runId", *id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h withRunID) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRunID{h.Handler.WithAttrs(attrs), h.id}
}

func (h withRunID) WithGroup(name string) slog.Handler {
	return withRunID{h.Handler.WithGroup(name), h.id}
}

// logger writes JSON lines. Lambda sorts JSON logs by "timestamp" and "level".
func logger(w io.Writer, id *runID, level slog.Level) *slog.Logger {
	return slog.New(withRunID{slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				a.Key = "timestamp"
			}
			return plain.LogAttr(groups, a)
		},
	}), id})
}

// level is Lambda's own setting of a function's log level.
func level(lookup func(string) (string, bool)) slog.Level {
	switch v, _ := lookup(varLogLevel); v {
	case "TRACE", "DEBUG":
		return slog.LevelDebug
	case "WARN":
		return slog.LevelWarn
	case "ERROR", "FATAL":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// Refuse writes why a function does not start, as one line of its log.
func Refuse(w io.Writer, function string, err error) {
	logger(w, &runID{}, slog.LevelInfo).Error("function does not start", "function", function, "error", err.Error())
}
