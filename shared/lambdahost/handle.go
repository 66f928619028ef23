package lambdahost

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"peerkeeper/shared/metric"
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

// Request is what a function's events are read into, strictly. run.Request is
// one; whatever starts a function otherwise has a type of its own.
type Request interface {
	// Check says what is wrong with a request that could be read.
	Check(function string) error
	// Dry says that the run completes nothing, and so is not counted.
	Dry() bool
}

// Answer is what a function gives back, as JSON; run.Answer is one. It is a value,
// not a pointer: a run that failed is summed up as far as it came.
type Answer interface {
	Summary() run.Summary
}

// handler is a use case as lambda.Start takes it. It is more than a plain
// function, of which lambda.Start passes on the first JSON value of an event and
// drops what follows.
type handler func(ctx context.Context, event []byte) (any, error)

// Invoke implements lambda.Handler.
func (h handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
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

// Handler serves a use case, whatever its events and answers are: it reads an
// event, and writes a line of log and one of metrics for each run.
func Handler[Q Request, A Answer](f *Function, handle func(context.Context, Q) (A, error)) lambda.Handler {
	return handler(func(ctx context.Context, event []byte) (any, error) {
		began := time.Now()
		id := ""
		if lc, ok := lambdacontext.FromContext(ctx); ok {
			id = lc.AwsRequestID
		}
		f.runID.set(id)
		var req Q
		err := read(event, &req)
		if err == nil {
			err = req.Check(f.Name)
		}
		if err != nil {
			err = &EventError{f.Name, err}
			f.Log.Error("run refused", "error", err.Error())
			return nil, err
		}
		used, sent := f.Store.Usage(), f.sent()
		answer, err := handle(ctx, req)
		said, took, cost := answer.Summary(), time.Since(began), f.Store.Usage().Minus(used)
		log := f.Log.With("tookMs", took.Milliseconds(), "readUnits", cost.ReadUnits, "writeUnits", cost.WriteUnits, "storeRequests", cost.Requests, "storeRetries", cost.Retries)
		// The log is where a person looks; the error returned goes to Lambda,
		// which counts it and shows it to nobody.
		switch {
		case err != nil:
			log.Error("run failed", "error", err.Error())
		case said.Skipped != "":
			log.Info("run skipped", "reason", said.Skipped)
		default:
			log.LogAttrs(ctx, slog.LevelInfo, "run completed", said.Log...)
		}
		if !req.Dry() {
			m := metric.Run{
				Mesh: f.Mesh.Name, Function: f.Name, Took: took, Skipped: said.Skipped, Failed: err != nil, Counts: said.Counts,
				ReadUnits: cost.ReadUnits, WriteUnits: cost.WriteUnits, RunID: id,
			}
			if f.Requests != nil {
				n := f.sent() - sent
				m.Requests = &n
			}
			if err := metric.Write(f.metrics, m, time.Now()); err != nil {
				log.Warn("metrics not written", "error", err.Error())
			}
		}
		return answer, err
	})
}

func (f *Function) sent() int64 {
	if f.Requests == nil {
		return 0
	}
	return f.Requests()
}
