// Package run is what starts a function: the request it gets, the answer it
// gives, and the lease that keeps two of the same function from meeting.
//
// It owns RUN#function items and nothing else. A request that was answered
// before, or that is older than a period, is skipped and says so.
package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
)

// Request is what a schedule, an event or a person sends a function.
type Request struct {
	Mesh     string `json:"mesh"`
	Function string `json:"function"`
	// ScheduledTime is the idempotency key: a scheduler may deliver twice.
	// Zero means now, whatever is due.
	ScheduledTime time.Time        `json:"scheduledTime,omitzero"`
	Only          []mesh.ClusterID `json:"only,omitempty"`
	DryRun        bool             `json:"dryRun,omitempty"`
}

// Answer is what a function says when it is done.
type Answer struct {
	Mesh          string             `json:"mesh"`
	Function      string             `json:"function"`
	ScheduledTime time.Time          `json:"scheduledTime"`
	Clusters      Clusters           `json:"clusters"`
	Peers         map[peer.State]int `json:"peers"`
	Proposals     int                `json:"proposals"`
	Actions       int                `json:"actions"`
	Notices       int                `json:"notices"`
	Skipped       string             `json:"skipped,omitempty"`
	TookMs        int64              `json:"tookMs"`
}

// Clusters counts how the looks at the clusters went.
type Clusters struct {
	Observed    int `json:"observed"`
	Partial     int `json:"partial"`
	Unreachable int `json:"unreachable"`
}

// Schedule is a function's period and how long one run of it may take.
type Schedule struct {
	Function string
	Period   time.Duration
	Offset   time.Duration // from the period's start, so that two functions do not meet at the clusters
	Lease    time.Duration // timeout < lease < period
}

// Schedules are the functions that run by the clock.
func Schedules() []Schedule {
	return []Schedule{
		{Function: "peersync", Period: 5 * time.Minute, Lease: 4 * time.Minute},
		{Function: "stucksync", Period: 5 * time.Minute, Offset: 2*time.Minute + 30*time.Second, Lease: 4 * time.Minute},
		// Each cluster every peer.CertLook; more often where something is mended.
		{Function: "certcheck", Period: 15 * time.Minute, Offset: time.Minute, Lease: 12 * time.Minute},
	}
}

// Find gives a function's schedule.
func Find(function string) (Schedule, bool) {
	for _, s := range Schedules() {
		if s.Function == function {
			return s, true
		}
	}
	return Schedule{}, false
}

// Next is when the schedule is due after an instant.
func (s Schedule) Next(after time.Time) time.Time {
	due := after.Add(-s.Offset).Truncate(s.Period).Add(s.Offset)
	for !due.After(after) {
		due = due.Add(s.Period)
	}
	return due
}

// Overdue says since when a function is overdue, if it is: it has not completed
// for two periods. One that has never completed counts from the first start, so
// that starting it again and again does not pass for running; one that never
// began is not overdue, because nobody runs it here. runs are all functions'
// records.
//
// A completion that lies ahead of the clock is another clock's. What has not
// been begun since is then counted from where the other functions' runs show
// this clock to begin.
func Overdue(runs map[string]store.Run, function string, period time.Duration, now time.Time) (since time.Time, overdue bool) {
	r, began := runs[function]
	if !began {
		return time.Time{}, false
	}
	others := func(at time.Time) bool { return at.IsZero() || instant.Ahead(at, now, 0) }
	since = r.Completed
	if others(since) {
		since = r.FirstStarted
	}
	if since.IsZero() && r.Completed.IsZero() {
		since = r.Started // of a version that did not note the first
	}
	if others(since) {
		since = time.Time{}
		for _, x := range runs {
			if !others(x.ClockSince) && (since.IsZero() || x.ClockSince.Before(since)) {
				since = x.ClockSince
			}
		}
	}
	return since, !since.IsZero() && now.Sub(since) > 2*period
}

// releaseWithin bounds giving the lease back when the caller's time is up.
const releaseWithin = 5 * time.Second

// Once carries out one request under the function's lease.
func Once(ctx context.Context, s store.Store, m *mesh.Mesh, req Request, now func() time.Time, do func(context.Context) (Answer, error)) (Answer, error) {
	return Leased(ctx, s, m, req, now, func(ctx context.Context, _ *store.Lease) (Answer, error) { return do(ctx) })
}

// Leased is Once for a function that acts, and asks before it does whether the
// lease is still its own. A dry run has none: nil.
func Leased(ctx context.Context, s store.Store, m *mesh.Mesh, req Request, now func() time.Time, do func(context.Context, *store.Lease) (Answer, error)) (Answer, error) {
	began := time.Now()
	sched, ok := Find(req.Function)
	if !ok {
		return Answer{}, fmt.Errorf("function %q is not one of those that run by the clock", req.Function)
	}
	if req.Mesh != "" && req.Mesh != m.Name {
		return Answer{}, fmt.Errorf("the request is for mesh %q, this is %q", req.Mesh, m.Name)
	}
	finish := func(a Answer) Answer {
		a.Mesh, a.Function, a.ScheduledTime = m.Name, req.Function, req.ScheduledTime
		if a.Peers == nil {
			a.Peers = map[peer.State]int{}
		}
		a.TookMs = time.Since(began).Milliseconds()
		return a
	}
	for _, id := range req.Only {
		if _, ok := m.Cluster(id); !ok {
			return Answer{}, fmt.Errorf("only: %q is no cluster of mesh %s", id, m.Name)
		}
	}
	if req.DryRun {
		a, err := do(ctx, nil)
		return finish(a), err
	}
	lease, skip, err := store.Begin(ctx, s, m.Name, req.Function, req.ScheduledTime, sched.Period, sched.Lease, m.Hash(), now())
	if err != nil {
		return Answer{}, fmt.Errorf("beginning %s: %w", req.Function, err)
	}
	if skip != "" {
		return finish(Answer{Skipped: skip}), nil
	}
	req.ScheduledTime = lease.Run.ScheduledTime
	// Past its lease another run may begin, so this one has ended by then.
	doing, cancel := context.WithTimeout(ctx, sched.Lease)
	a, err := do(doing, &lease)
	cancel()
	if err != nil {
		// The lease is given back, so that a retry need not wait it out.
		giving, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
		defer cancel()
		return finish(a), errors.Join(err, lease.Release(giving))
	}
	if err := lease.Complete(ctx, now()); err != nil {
		return finish(a), fmt.Errorf("completing %s: %w", req.Function, err)
	}
	return finish(a), nil
}
