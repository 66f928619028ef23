package repair

import (
	"context"
	"fmt"
	"maps"
	"time"

	"peerkeeper/shared/instant"
)

// A mark of the gate that lies ahead of its clock was set by a clock that was
// wrong, or is read by one that is. Either way it counts as now: a clock that was
// wrong once unlocks nothing. Nor does it lock for longer than a day: when a mark
// is first found ahead is noted in the gate, and a day later it holds no more.

// mark names an entry of the gate in Ahead.
func mark(kind string, seq int64) string { return fmt.Sprint(kind, " ", seq) }

// found notes which marks lie ahead of now, and forgets notes on marks that are
// no more; it reports whether that changes anything.
func (g *Gate) found(now time.Time) bool {
	next := map[string]time.Time{}
	look := func(key string, at time.Time, length time.Duration) {
		since, noted := g.Ahead[key]
		switch {
		case noted && !instant.Ahead(since, now, skew):
			next[key] = since
		case noted || at.Sub(now) > length+skew:
			next[key] = now
		}
	}
	for _, r := range g.Restarts {
		look(mark("restart", r.Seq), r.At, 0)
	}
	for _, c := range g.Closed {
		look(mark("closed", c.Seq), instant.Later(c.At, c.Meant), 0)
	}
	for _, o := range g.Open {
		look(mark("open", o.Seq), o.Deadline, sendWindow)
	}
	for _, l := range g.Locks {
		look(mark("lock", l.Seq), l.Until, longestLock)
	}
	if maps.EqualFunc(g.Ahead, next, time.Time.Equal) {
		return false
	}
	if g.Ahead = next; len(next) == 0 {
		g.Ahead = nil
	}
	return true
}

// counts reports whether a mark was set less than d ago.
func (g *Gate) counts(key string, at, now time.Time, d time.Duration) bool {
	since, noted := g.Ahead[key]
	switch {
	case !noted:
		return within(now, at, d)
	case now.Sub(since) >= ahead:
		return false
	}
	return now.Sub(at) < d // of what lies ahead as of now
}

// effective is an instant of a mark as it counts: when it was found ahead, if it
// was.
func (g *Gate) effective(key string, at time.Time) time.Time {
	if since, noted := g.Ahead[key]; noted && at.After(since) {
		return since
	}
	return at
}

// noteClock writes down which marks lie ahead of the clock now.
func (r *Repair) noteClock(ctx context.Context) error {
	gate, err := Load(ctx, r.Store, r.Mesh.Name)
	if err != nil || !gate.found(r.Now()) {
		return err
	}
	_, _, err = change(ctx, r.Store, r.Mesh.Name, func(g *Gate) (*Entry, error) {
		now := r.Now()
		if !g.found(now) {
			return nil, nil
		}
		return &Entry{Time: now, Actor: r.Actor, Intent: "clock", Outcome: "noted", Evidence: fmt.Sprintf("%d marks of the gate were set ahead of this clock; each counts as now, for a day at most", len(g.Ahead))}, nil
	})
	return err
}
