// Package run is what starts a function: the request it gets, the answer it
// gives, when it is due, and the lease that keeps two of the same function from
// meeting.
//
// It owns RUN#function items and nothing else. A request that was answered
// before, or that is older than a period, is skipped and says so. A function that
// is not on a clock, or whose event and answer are others, has the same lease.
package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
)

// Runner carries out what a function is asked for, one run at a time.
type Runner struct {
	Schedule
	Mesh  *mesh.Mesh
	Store store.Store
	Now   func() time.Time
}

// Once carries out a request. lease is for a function that acts, and asks before
// it does whether the lease is still its own; a dry run has none: nil.
func (r Runner) Once(ctx context.Context, req Request, do func(ctx context.Context, lease *store.Lease) (Answer, error)) (Answer, error) {
	began := time.Now()
	if err := req.Check(r.Function); err != nil {
		return Answer{}, err
	}
	if req.Mesh != "" && req.Mesh != r.Mesh.Name {
		return Answer{}, fmt.Errorf("the request is for mesh %q, this is %q", req.Mesh, r.Mesh.Name)
	}
	for _, id := range req.Only {
		if _, ok := r.Mesh.Cluster(id); !ok {
			return Answer{}, fmt.Errorf("only: %q is no cluster of mesh %s", id, r.Mesh.Name)
		}
	}
	var a Answer
	var skipped string
	var err error
	at := req.ScheduledTime
	if req.DryRun {
		a, err = do(ctx, nil)
	} else {
		a, skipped, err = Hold(ctx, r, req.ScheduledTime, func(ctx context.Context, lease *store.Lease) (Answer, error) {
			at = lease.Run.ScheduledTime
			return do(ctx, lease)
		})
	}
	a.Mesh, a.Function, a.ScheduledTime, a.Skipped = r.Mesh.Name, r.Function, at, skipped
	if a.Peers == nil {
		a.Peers = map[peer.State]int{}
	}
	a.TookMs = time.Since(began).Milliseconds()
	return a, err
}

// releaseWithin bounds giving the lease back when the caller's time is up.
const releaseWithin = 5 * time.Second

// Hold does something under a function's lease, or says in skipped why it is not
// done: another run is under way, or the run for this scheduled time is over. A
// zero time means now, whatever is due.
func Hold[A any](ctx context.Context, r Runner, at time.Time, do func(ctx context.Context, lease *store.Lease) (A, error)) (answer A, skipped string, err error) {
	lease, skipped, err := store.Begin(ctx, r.Store, r.Mesh.Name, r.Function, at, r.Period, r.Lease, r.Mesh.Hash(), r.Now())
	if err != nil {
		return answer, "", fmt.Errorf("beginning %s: %w", r.Function, err)
	}
	if skipped != "" {
		return answer, skipped, nil
	}
	// Past its lease another run may begin, so this one has ended by then.
	doing, cancel := context.WithTimeout(ctx, r.Lease)
	answer, err = do(doing, &lease)
	cancel()
	if err != nil {
		// The lease is given back, so that a retry need not wait it out.
		giving, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
		defer cancel()
		return answer, "", errors.Join(err, lease.Release(giving))
	}
	if err := lease.Complete(ctx, r.Now()); err != nil {
		return answer, "", fmt.Errorf("completing %s: %w", r.Function, err)
	}
	return answer, "", nil
}
