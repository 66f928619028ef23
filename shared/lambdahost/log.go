package lambdahost

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"peerkeeper/shared/plain"
)

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
