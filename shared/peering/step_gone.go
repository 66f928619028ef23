package peering

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

// verifyGone sees that nothing is left of a deleted entry.
func (t *tick) verifyGone(ctx context.Context, p *record.Plan, s *change.Step) error {
	now, since := t.Now(), changed(p, s)
	has, why := t.page(ctx, s.Pair)
	copies := t.users(s.Pair.From, s.Pair.To)
	r := t.grounds.View.Clusters[s.Cluster]
	n, known := copies.Get()
	known = known && r != nil && r.Seen.Users.At.After(since)
	switch {
	case why == "" && (has.Found || has.Other != nil):
		contradict(s)
		s.Turn(change.StepWaiting, now, "for a person to delete it: the entry for %s is there", s.Pair.To)
	case known && n > 0 && now.Sub(later(since, s.Began)) > goneWithin:
		contradict(s)
		s.Turn(change.StepWaiting, now, "for a person: %d copies of users of %s are still there; is the entry deleted? How copies are taken away without their entry is not in Cisco's guides: ask Cisco TAC, or skip the step with a reason", n, s.Pair.To)
	case known && n > 0:
		s.Turn(change.StepRunning, now, "%d copies of users of %s are still there", n, s.Pair.To)
	case why == "" && known:
		s.Turn(change.StepDone, now, "no entry, and no copies")
	case vouched(s):
		s.Turn(change.StepDone, now, "%s says so; it cannot be read: %s", s.Said.Actor, unreadGone(why, known))
	case now.Sub(s.Began) < 2*t.grounds.View.Tick && !known:
		s.Turn(change.StepRunning, now, "the copies have not been counted since")
	default:
		s.Turn(change.StepWaiting, now, "for a person to look and confirm it; it cannot be read: %s", unreadGone(why, known))
	}
	return nil
}

// goneWithin is how long copies may stay after their entry was deleted: Cisco names no
// time, and ICSA works in intervals.
const goneWithin = 2 * time.Hour

func unreadGone(why string, counted bool) string {
	if !counted {
		return strings.TrimPrefix(why+"; how many copies there are", "; ")
	}
	return why
}

// leftovers names the certificates of the other end that a trust store still holds.
func (t *tick) leftovers(ctx context.Context, p *record.Plan, s *change.Step) error {
	if err := t.prepare(ctx, p, s); err != nil || s.State.Over() {
		return err
	}
	to, _ := t.Mesh.Cluster(s.Pair.To)
	doc := t.grounds.Snapshot.Certs[s.Cluster]
	var held []string
	for _, store := range slices.Sorted(maps.Keys(doc.Value.Trust)) {
		for _, e := range doc.Value.Trust[store].Entries {
			if _, theirs := to.Node(mesh.NodeName(e.Subject)); theirs {
				held = append(held, store+" "+plain.Value(e.Subject))
			}
		}
	}
	switch {
	case len(held) > 0:
		s.Turn(change.StepWaiting, t.Now(), "for a person; held: %s", plain.List(held))
	case len(doc.Value.Trust) == 0 || doc.Newer:
		s.Turn(change.StepWaiting, t.Now(), "for a person; the trust stores of %s are not read here", s.Cluster)
	default:
		s.Turn(change.StepWaiting, t.Now(), "for a person; none was found in what was read")
	}
	return nil
}
