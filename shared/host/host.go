// Package host runs the functions of one mesh on one machine, on their schedules
// and by a clock that may be faster than the wall's.
//
// It is wiring around the same use cases that the Lambdas run, and judges
// nothing. Killed at any moment it loses no alarm: whatever was decided is in
// the store and is said at the next start.
package host

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
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
	"peerkeeper/shared/peering"
	"peerkeeper/shared/peersync"
	"peerkeeper/shared/preflight"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/store"
	"peerkeeper/shared/stucksync"
	"peerkeeper/shared/tlsprobe"
	"peerkeeper/shared/useraudit"
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
	// Privilege is the right of plans to do what signs people out; the zero value
	// carries out none of it.
	Privilege repair.Privilege
	// Crash is called between the steps of an action, for tests that end the
	// process there; nil does nothing.
	Crash func(step string)
	// Ran hears of every run; may be nil.
	Ran func(run.Answer, error)

	once   sync.Once
	handle map[string]handler // by function
}

// handler is one use case.
type handler func(context.Context, run.Request) (run.Answer, error)

// Schedules are those of the functions, in the order in which a first start runs
// them: stucksync judges what the other two have recorded.
func Schedules() []run.Schedule {
	all := run.Schedules()
	i := slices.IndexFunc(all, func(s run.Schedule) bool { return s.Function == "stucksync" })
	judge := all[i]
	return append(slices.Delete(all, i, i+1), judge)
}

func (h *Host) build() {
	h.once.Do(func() {
		now := h.Clock.Now
		clusters := &cluster.Connector{Dialect: cluster.NewDialect(h.Mesh.Dialect), Secrets: h.Secrets, Now: now, Log: h.Log, Timeout: h.Timeout, Backoff: h.Backoff, Transport: h.Transport}
		sync := &peersync.Peersync{Mesh: h.Mesh, Store: h.Store, Clusters: clusters, Now: now, Log: h.Log}
		prober := h.TLS
		if prober == nil {
			prober = tlsprobe.Prober{Timeout: h.Timeout}
		}
		platform := &cluster.Platform{Secrets: h.Secrets, Now: now, Timeout: h.Timeout, Transport: h.Transport, TLS: prober}
		stuck := &stucksync.Stucksync{Mesh: h.Mesh, Store: h.Store, Sinks: h.Sinks, Now: now, Log: h.Log, Clusters: clusters, Platform: platform, Crash: h.Crash}
		cert := &certcheck.Certcheck{Mesh: h.Mesh, Store: h.Store, TLS: prober, DNS: h.DNS, Platform: platform, Now: now, Log: h.Log}
		if cert.DNS == nil {
			cert.DNS = &dnsprobe.Client{Domain: h.Mesh.Domain, Timeout: h.DNSTimeout}
		}
		before := &preflight.Preflight{Mesh: h.Mesh, Store: h.Store, Clusters: clusters, Audit: (*useraudit.Audit).Run, Now: now, Log: h.Log}
		if h.Transport == nil {
			before.Dial = &net.Dialer{}
		}
		plans := &peering.Peering{Mesh: h.Mesh, Store: h.Store, Clusters: clusters, Preflight: before.Of, Now: now, Log: h.Log, Privilege: h.Privilege, Crash: h.Crash}
		h.handle = map[string]handler{"peersync": sync.Handle, "stucksync": stuck.Handle, "certcheck": cert.Handle, "preflight": before.Handle, "peering": plans.Handle}
	})
}

// runDeadline bounds one run on the wall: longer than any cluster's deadline,
// shorter than the lease of the most frequent function.
const runDeadline = 3*time.Minute + 30*time.Second

// Handle carries out one request for any of the functions. An error names the
// function.
func (h *Host) Handle(ctx context.Context, req run.Request) (run.Answer, error) {
	h.build()
	handle, ok := h.handle[req.Function]
	if !ok {
		names := slices.Sorted(maps.Keys(h.handle))
		return run.Answer{}, fmt.Errorf("there is no function %q: this host runs %s", req.Function, strings.Join(names, ", "))
	}
	ctx, cancel := context.WithTimeout(ctx, runDeadline)
	defer cancel()
	a, err := handle(ctx, req)
	if err != nil {
		err = fmt.Errorf("%s: %w", req.Function, err)
	}
	if h.Ran != nil {
		h.Ran(a, err)
	}
	return a, err
}

// Recorded reports whether a function has ever completed on this mesh.
func (h *Host) Recorded(ctx context.Context, function string) bool {
	it, err := h.Store.Get(ctx, store.RunOf(h.Mesh.Name, function))
	if err != nil {
		return false
	}
	d, err := store.Decode[store.Run](it, store.RunSchema)
	return err == nil && !d.Value.Completed.IsZero()
}

// attempt is a run whose error is reported and ends nothing.
func (h *Host) attempt(ctx context.Context, req run.Request) {
	if _, err := h.Handle(ctx, req); err != nil && ctx.Err() == nil {
		h.logger().Error("run failed", "function", req.Function, "error", err)
	}
}

// Run runs every function once, in order, and then each on its schedule until
// the context ends. A run that fails is reported and tried again at its next
// time.
func (h *Host) Run(ctx context.Context) error {
	all := Schedules()
	for _, s := range all {
		h.attempt(ctx, run.Request{Function: s.Function})
	}
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(func() { h.loop(ctx, s) })
	}
	wg.Wait()
	return ctx.Err()
}

func (h *Host) loop(ctx context.Context, s run.Schedule) {
	for {
		due := s.Next(h.Clock.Now())
		if h.Clock.Until(ctx, due) != nil {
			return
		}
		due = turn(s, due, h.Clock.Now())
		h.attempt(ctx, run.Request{Function: s.Function, ScheduledTime: due})
	}
}

// turn is the scheduled time to run for at now, after due was waited for: due
// itself, unless the clock was put forward or back meanwhile, or the machine slept.
func turn(s run.Schedule, due, now time.Time) time.Time {
	if due.Sub(now) <= instant.Skew && now.Before(due.Add(s.Period)) {
		return due
	}
	return s.Next(now).Add(-s.Period)
}

func (h *Host) logger() *slog.Logger {
	if h.Log != nil {
		return h.Log
	}
	return slog.New(slog.DiscardHandler)
}
