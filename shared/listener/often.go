package listener

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// kind is something that strangers can make happen as often as they like.
type kind string

const (
	kindRefused kind = "connections refused, all places are busy"
	kindGaveWay kind = "idle connections closed to make room"
	kindAccept  kind = "connections not accepted: this process may open no more files"
	kindToken   kind = "wrong tokens"
	kindTries   kind = "log-ins refused after too many wrong tokens"
)

// saidEvery is how often one kind may be in the log.
const saidEvery = time.Minute

// often says a kind of event when it first happens, and from then on once a
// minute how often it did.
type often struct {
	log *slog.Logger

	mu      sync.Mutex
	stopped bool
	kinds   map[kind]*happened
}

type happened struct {
	n     int
	from  map[netip.Prefix]int
	timer *time.Timer // while set, the minute since the last line runs
}

func newOften(log *slog.Logger) *often { return &often{log: log, kinds: map[kind]*happened{}} }

func (o *often) note(k kind, from netip.Prefix) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.kinds[k]
	if h == nil {
		h = &happened{from: map[netip.Prefix]int{}}
		o.kinds[k] = h
	}
	h.n++
	const counted = 1000 // addresses; an attacker may have very many
	if _, known := h.from[from]; known || len(h.from) < counted {
		h.from[from]++
	}
	if h.timer == nil && !o.stopped {
		o.say(k, h)
	}
}

// say writes the line and starts the next minute. The lock is held.
func (o *often) say(k kind, h *happened) {
	var most netip.Prefix
	for p, n := range h.from {
		if n > h.from[most] {
			most = p
		}
	}
	attrs := []any{"count", h.n}
	if most.IsValid() {
		attrs = append(attrs, "most", most.Addr(), "theirs", h.from[most])
	}
	o.log.Warn("page: "+string(k), attrs...)
	h.n = 0
	clear(h.from)
	h.timer = time.AfterFunc(saidEvery, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		h.timer = nil
		if h.n > 0 && !o.stopped {
			o.say(k, h)
		}
	})
}

// stop ends the minutes that run.
func (o *often) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = true
	for _, h := range o.kinds {
		if h.timer != nil {
			h.timer.Stop()
		}
	}
}
