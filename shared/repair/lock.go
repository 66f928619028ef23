package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// longestLock is how far ahead a lock may end. A step that takes longer takes it
// again.
const longestLock = 24 * time.Hour

// Lock keeps a cluster for one step of a plan: no repair and no other plan acts
// there until it ends.
type Lock struct {
	Seq     int64          `json:"seq"` // of the audit entry that took it
	Cluster mesh.ClusterID `json:"cluster"`
	peer.PlannedStep
	Until time.Time `json:"until"`
}

// Locked says that another plan has locked a cluster.
type Locked struct{ Lock Lock }

func (e *Locked) Error() string {
	return fmt.Sprintf("plan %s has locked %s until %s (`peerkeeper peering show %s`)", e.Lock.PlannedStep, e.Lock.Cluster, plain.Time(e.Lock.Until), e.Lock.Plan)
}

// LockFor locks a cluster for a step of a plan until an instant, at most a day
// ahead. The lock of an earlier step of the same plan passes to this one; another
// plan's is not taken, which is a *Locked. One that has still half of its time left
// is not taken again, so that who asks at every run does not fill the audit.
func (r *Repair) LockFor(ctx context.Context, step peer.PlannedStep, id mesh.ClusterID, until time.Time) error {
	if why := r.lease(ctx); why != "" {
		return errors.New(why)
	}
	_, _, err := change(ctx, r.Store, r.Mesh.Name, func(g *Gate) (*Entry, error) {
		now := r.Now()
		g.forget(now)
		left := min(until.Sub(now), longestLock)
		had, held := g.LockOn(id, now)
		switch {
		case left <= 0:
			return nil, fmt.Errorf("a lock of %s for plan %s that ended at %s holds nothing", id, step, plain.Time(until))
		case held && had.Plan != step.Plan:
			return nil, &Locked{had}
		case held && had.PlannedStep == step && had.Until.Sub(now) >= left/2 && !g.isAhead(had):
			return nil, nil
		}
		l := Lock{Seq: 1, Cluster: id, PlannedStep: step, Until: now.Add(left)}
		if g.Last != nil {
			l.Seq = g.Last.Seq + 1
		}
		g.Locks = append(slices.DeleteFunc(g.Locks, func(o Lock) bool { return o.Cluster == id }), l)
		return &Entry{Time: now, Actor: r.Actor, Intent: fmt.Sprintf("lock %s for plan %s", id, step), Outcome: "done", Evidence: "until " + plain.Time(l.Until)}, nil
	})
	r.crash("locked")
	return err
}

// Unlock takes back every lock of a plan.
func (r *Repair) Unlock(ctx context.Context, plan string) error {
	_, _, err := change(ctx, r.Store, r.Mesh.Name, func(g *Gate) (*Entry, error) {
		of := func(l Lock) bool { return l.Plan == plan }
		if !slices.ContainsFunc(g.Locks, of) {
			return nil, nil
		}
		g.Locks = slices.DeleteFunc(slices.Clone(g.Locks), of)
		return &Entry{Time: r.Now(), Actor: r.Actor, Intent: "unlock what plan " + plan + " had locked", Outcome: "done"}, nil
	})
	return err
}

// LockOn is the lock that holds on a cluster; false if none does.
func (g *Gate) LockOn(id mesh.ClusterID, now time.Time) (Lock, bool) {
	i := slices.IndexFunc(g.Locks, func(l Lock) bool { return l.Cluster == id && g.holds(l, now) })
	if i < 0 {
		return Lock{}, false
	}
	return g.Locks[i], true
}

func (g *Gate) lockedFor(step peer.PlannedStep, id mesh.ClusterID, now time.Time) bool {
	l, ok := g.LockOn(id, now)
	return ok && l.PlannedStep == step
}

// holds reports whether a lock stands: until its end, and if a clock that was ahead
// set it, for a day from when that was found.
func (g *Gate) holds(l Lock, now time.Time) bool {
	return now.Before(l.Until) && !(g.isAhead(l) && now.Sub(g.Ahead[mark("lock", l.Seq)]) >= ahead)
}

func (g *Gate) isAhead(l Lock) bool {
	_, noted := g.Ahead[mark("lock", l.Seq)]
	return noted
}
