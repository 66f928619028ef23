// Package host runs the functions of one mesh on one machine: on their
// schedules, over an embedded store, with alarms to a file, a webhook and the
// screen, and with the page served on a local port.
//
// It is wiring around the same use cases that the Lambdas run, and judges
// nothing. Killed at any moment it loses no alarm: whatever was decided is in
// the store and is said at the next start.
package host

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certcheck"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peersync"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/store"
	"peerkeeper/shared/stucksync"
	"peerkeeper/shared/tlsprobe"
)

// Host is one mesh on one machine. Mesh, Store, Secrets and Clock are needed.
type Host struct {
	Mesh    *mesh.Mesh
	Store   store.Store
	Secrets secret.Source
	Sinks   []alarm.Sink
	Clock   Clock
	Log     *slog.Logger
	// Timeout and Backoff are of one request, in wall time; 0 are the
	// clients' defaults.
	Timeout, Backoff time.Duration
	// DNSTimeout is of one DNS question, in wall time; 0 is dnsprobe's.
	DNSTimeout time.Duration
	// Transport, TLS and DNS replace the network towards the clusters, so that an
	// in-process simulator may stand in; nil dials.
	Transport http.RoundTripper
	TLS       certcheck.Prober
	DNS       certcheck.Resolver
	// Crash is called between the steps of an action, for tests that end the
	// process there; nil does nothing.
	Crash func(step string)
	// CertLook is how often certcheck looks at each cluster; 0 is its own.
	CertLook time.Duration
	// Ran hears of every run; may be nil.
	Ran func(run.Answer, error)

	once      sync.Once
	connector *cluster.Connector
	functions []Function
}

// Function is one use case with its schedule.
type Function struct {
	run.Schedule
	Handle func(context.Context, run.Request) (run.Answer, error)
}

func (h *Host) build() {
	h.once.Do(func() {
		now := h.Clock.Now
		h.connector = &cluster.Connector{Dialect: cluster.NewDialect(h.Mesh.Dialect), Secrets: h.Secrets, Now: now, Log: h.Log, Timeout: h.Timeout, Backoff: h.Backoff, Transport: h.Transport}
		sync := &peersync.Peersync{Mesh: h.Mesh, Store: h.Store, Clusters: h.connector, Now: now, Log: h.Log}
		prober := h.TLS
		if prober == nil {
			prober = tlsprobe.Prober{Timeout: h.Timeout}
		}
		platform := &cluster.Platform{Secrets: h.Secrets, Now: now, Timeout: h.Timeout, Transport: h.Transport, TLS: prober}
		stuck := &stucksync.Stucksync{Mesh: h.Mesh, Store: h.Store, Sinks: h.Sinks, Now: now, Log: h.Log, Clusters: h.connector, Platform: platform, Crash: h.Crash}
		cert := &certcheck.Certcheck{Mesh: h.Mesh, Store: h.Store, TLS: prober, DNS: h.DNS, Platform: platform, Every: h.CertLook, Now: now, Log: h.Log}
		if cert.DNS == nil {
			cert.DNS = &dnsprobe.Client{Domain: h.Mesh.Domain, Timeout: h.dnsTimeout()}
		}
		handle := map[string]func(context.Context, run.Request) (run.Answer, error){
			"peersync": sync.Handle, "stucksync": stuck.Handle, "certcheck": cert.Handle,
		}
		for _, s := range run.Schedules() {
			h.functions = append(h.functions, Function{Schedule: s, Handle: handle[s.Function]})
		}
	})
}

// dnsTimeout is that of one DNS question.
func (h *Host) dnsTimeout() time.Duration {
	if h.DNSTimeout > 0 {
		return h.DNSTimeout
	}
	return dnsprobe.DefaultTimeout
}

// Functions are the functions in the order in which a first start runs them.
func (h *Host) Functions() []Function {
	h.build()
	out := slices.Clone(h.functions)
	// stucksync judges what the other two have recorded.
	slices.SortStableFunc(out, func(a, b Function) int { return rank(a.Function) - rank(b.Function) })
	return out
}

func rank(function string) int {
	if function == "stucksync" {
		return 1
	}
	return 0
}

// Peersync is the use case with its open clusters, for verbs that look at one
// thing only.
func (h *Host) Peersync() *peersync.Peersync {
	h.build()
	return &peersync.Peersync{Mesh: h.Mesh, Store: h.Store, Clusters: h.connector, Now: h.Clock.Now, Log: h.Log}
}

// Once runs one function now, whatever is due. An error names the function.
func (h *Host) Once(ctx context.Context, function string) (run.Answer, error) {
	h.build()
	for _, f := range h.functions {
		if f.Function == function {
			return h.run(ctx, f, run.Request{Mesh: h.Mesh.Name, Function: function})
		}
	}
	names := make([]string, 0, len(h.functions))
	for _, f := range h.functions {
		names = append(names, f.Function)
	}
	return run.Answer{}, &UnknownFunctionError{function, names}
}

// UnknownFunctionError says which functions there are.
type UnknownFunctionError struct {
	Name  string
	Known []string
}

func (e *UnknownFunctionError) Error() string {
	return fmt.Sprintf("there is no function %q: this host runs %s", e.Name, strings.Join(e.Known, ", "))
}

// runDeadline bounds one run on the wall: longer than any cluster's deadline,
// shorter than the lease of the most frequent function.
const runDeadline = 3*time.Minute + 30*time.Second

func (h *Host) run(ctx context.Context, f Function, req run.Request) (run.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, runDeadline)
	defer cancel()
	a, err := f.Handle(ctx, req)
	if err != nil {
		err = fmt.Errorf("%s: %w", f.Function, err)
	}
	if h.Ran != nil {
		h.Ran(a, err)
	}
	return a, err
}

// Run runs every function once, in order, and then each on its schedule until
// the context ends. A run that fails is reported and tried again at its next
// time.
func (h *Host) Run(ctx context.Context) error {
	for _, f := range h.Functions() {
		if _, err := h.run(ctx, f, run.Request{Mesh: h.Mesh.Name, Function: f.Function}); err != nil && ctx.Err() == nil {
			h.logger().Error("run failed", "function", f.Function, "error", err)
		}
	}
	var wg sync.WaitGroup
	for _, f := range h.functions {
		wg.Go(func() { h.loop(ctx, f) })
	}
	wg.Wait()
	return ctx.Err()
}

func (h *Host) loop(ctx context.Context, f Function) {
	for {
		due := Next(f.Schedule, h.Clock.Now())
		if h.Clock.Until(ctx, due) != nil {
			return
		}
		due = turn(f.Schedule, due, h.Clock.Now())
		_, err := h.run(ctx, f, run.Request{Mesh: h.Mesh.Name, Function: f.Function, ScheduledTime: due})
		if err != nil && ctx.Err() == nil {
			h.logger().Error("run failed", "function", f.Function, "error", err)
		}
	}
}

// Next is when a schedule is due after an instant.
func Next(s run.Schedule, after time.Time) time.Time {
	due := after.Add(-s.Offset).Truncate(s.Period).Add(s.Offset)
	for !due.After(after) {
		due = due.Add(s.Period)
	}
	return due
}

// turn is the scheduled time to run for at now, after due was waited for: due
// itself, unless the clock was put forward or back meanwhile, or the machine slept.
func turn(s run.Schedule, due, now time.Time) time.Time {
	if due.Sub(now) <= instant.Skew && now.Before(due.Add(s.Period)) {
		return due
	}
	return Next(s, now).Add(-s.Period)
}

func (h *Host) logger() *slog.Logger {
	if h.Log != nil {
		return h.Log
	}
	return slog.New(slog.DiscardHandler)
}
