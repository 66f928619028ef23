package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/plain"
)

// RunSchema is the schema number of RUN items.
const RunSchema = 1

// Run is the record and the lease of one function's runs over a mesh.
type Run struct {
	// ScheduledTime and Started are those of the newest run, finished or not.
	ScheduledTime time.Time `json:"scheduledTime"`
	Started       time.Time `json:"started"`
	// Completed is when the last run that completed did so. It stays while
	// the next one is under way; Finished tells the two apart.
	Completed time.Time `json:"completed,omitzero"`
	// ConfigHash is the configuration of the newest run (mesh.Hash).
	ConfigHash string `json:"configHash"`
	// LeaseUntil is zero when no run is under way.
	LeaseUntil time.Time `json:"leaseUntil,omitzero"`
	// Token grows by one with every run begun: a fencing token.
	Token int64 `json:"token"`
	// Holder tells two invocations for the same scheduled time apart.
	Holder string `json:"holder,omitempty"`
	// Abandoned is true if the newest run was released without completing.
	Abandoned bool `json:"abandoned,omitempty"`
	// FirstStarted is when the first run began since one completed: a function
	// that is started every period and never completes is overdue from there.
	FirstStarted time.Time `json:"firstStarted,omitzero"`
	// ClockSince is since when the runs have begun by the clock of the newest:
	// what is stored with an instant ahead of it is another clock's.
	ClockSince time.Time `json:"clockSince,omitzero"`
}

// Finished says whether the newest run completed.
func (r Run) Finished() bool {
	return r.LeaseUntil.IsZero() && !r.Completed.IsZero() && !r.Abandoned
}

// ErrLeaseLost says that a run's lease ran out and another run took over: what
// this run still meant to do is no longer its business.
var ErrLeaseLost = errors.New("the run's lease was taken over by another run")

// Lease is the right to be the one run of a function over a mesh.
type Lease struct {
	// Run is the record as this run wrote it.
	Run Run
	// Before is the record as this run found it; zero if there was none.
	Before Run

	key   Key
	store Store
}

// Begin takes the run lease of a function, or says in skip why this run should
// not happen: another run holds the lease, this scheduled time is completed or
// a later one is, or it is older than a period. A zero scheduled time means a
// run forced by a person: it is only skipped while another run is under way.
//
// A lease, or a scheduled time, that lies further ahead of now than its own
// length was set by another clock and keeps nobody from looking: two runs then
// may overlap, and the token tells the one that was taken over.
//
// EventBridge Scheduler delivers at least once, so the scheduled time is the
// key by which a second delivery is known.
func Begin(ctx context.Context, s Store, meshName, function string, scheduled time.Time, period, lease time.Duration, configHash string, now time.Time) (Lease, string, error) {
	if lease <= 0 {
		return Lease{}, "", fmt.Errorf("beginning %s: a lease of no length holds nothing", function)
	}
	forced := scheduled.IsZero()
	if forced {
		scheduled = now
	}
	if period > 0 && now.Sub(scheduled) > period {
		return Lease{}, fmt.Sprintf("scheduled for %s, more than a period (%s) ago", scheduled.UTC().Format(time.RFC3339), plain.Duration(period)), nil
	}
	l := Lease{key: RunOf(meshName, function), store: s}
	holder := rand.Text()
	var skip string
	doc, _, err := Claim(ctx, s, l.key, RunSchema, func(d *Doc[Run], _ bool) (bool, error) {
		r := &d.Value
		skip = ""
		if r.Holder == holder {
			return false, nil // our own write, whose answer was lost
		}
		switch {
		case instant.Holds(r.LeaseUntil, now, lease):
			skip = fmt.Sprintf("the run of %s is still under way, its lease lasts until %s", r.ScheduledTime.UTC().Format(time.RFC3339), r.LeaseUntil.UTC().Format(time.RFC3339))
		case !forced && r.Finished() && (scheduled.Equal(r.ScheduledTime) || scheduled.Before(r.ScheduledTime) && !instant.Ahead(r.ScheduledTime, now, period)):
			skip = fmt.Sprintf("the run of %s completed at %s", r.ScheduledTime.UTC().Format(time.RFC3339), r.Completed.UTC().Format(time.RFC3339))
		}
		if skip != "" {
			return false, nil
		}
		l.Before = *r
		if r.FirstStarted.IsZero() || instant.Ahead(r.FirstStarted, now, 0) {
			r.FirstStarted = now
		}
		if r.ClockSince.IsZero() || instant.Ahead(r.Started, now, 0) || instant.Ahead(r.ClockSince, now, 0) {
			r.ClockSince = now
		}
		r.ScheduledTime = scheduled
		r.Started = now
		r.ConfigHash = configHash
		r.LeaseUntil = now.Add(lease)
		r.Token++
		r.Holder = holder
		r.Abandoned = false
		return true, nil
	})
	if err != nil {
		return Lease{}, "", fmt.Errorf("beginning %s: %w", function, err)
	}
	if skip != "" {
		return Lease{}, skip, nil
	}
	l.Run = doc.Value
	return l, "", nil
}

// Check reads the record again and says with ErrLeaseLost if the lease is no
// longer ours or has run out: a run that is about to act asks first.
func (l Lease) Check(ctx context.Context, now time.Time) error {
	it, err := l.store.Get(ctx, l.key)
	if err != nil {
		return fmt.Errorf("checking the lease %s: %w", l.key.SK, err)
	}
	doc, err := Decode[Run](it, RunSchema)
	if err != nil {
		return err
	}
	if !l.ours(doc.Value) || !now.Before(doc.Value.LeaseUntil) {
		return fmt.Errorf("%s token %d: %w", l.key.SK, l.Run.Token, ErrLeaseLost)
	}
	return nil
}

// Complete records that the run did what it was for, and gives the lease up.
// Called twice it does nothing the second time.
func (l Lease) Complete(ctx context.Context, now time.Time) error {
	return l.end(ctx, func(r *Run) { r.Completed, r.FirstStarted = now, time.Time{} })
}

// Release gives the lease up without completing, so that a retry of the same
// scheduled time may begin at once.
func (l Lease) Release(ctx context.Context) error {
	return l.end(ctx, func(r *Run) { r.Abandoned = true })
}

func (l Lease) end(ctx context.Context, how func(*Run)) error {
	_, _, err := Claim(ctx, l.store, l.key, RunSchema, func(d *Doc[Run], exists bool) (bool, error) {
		if !exists || !l.ours(d.Value) {
			return false, ErrLeaseLost
		}
		if d.Value.LeaseUntil.IsZero() {
			return false, nil
		}
		how(&d.Value)
		d.Value.LeaseUntil = time.Time{}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("ending %s token %d: %w", l.key.SK, l.Run.Token, err)
	}
	return nil
}

func (l Lease) ours(r Run) bool { return r.Token == l.Run.Token && r.Holder == l.Run.Holder }
