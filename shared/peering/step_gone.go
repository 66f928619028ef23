package peering

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

// verifyGone sees that nothing is left of a deleted entry. Where the peer table cannot be
// read, what the entry brought shows it: copies that were there, and are taken away with it.
func (t *tick) verifyGone(ctx context.Context, p *record.Plan, s *change.Step) error {
	now, since := t.Now(), changed(p, s)
	has, why := t.page(ctx, s.Pair)
	copies := t.users(s.Pair.From, s.Pair.To)
	r := t.grounds.View.Clusters[s.Cluster]
	n, known := copies.Get()
	known = known && r != nil && r.Seen.Users.At.After(since)
	said := confirmedBy(s)
	switch {
	case why == "" && (has.Found || has.Other != nil):
		contradict(s)
		s.Turn(change.StepWaiting, now, "for a person to delete it: the entry for %s is there%s", s.Pair.To, said)
	case known && n > 0 && now.Sub(later(since, s.Began)) > goneWithin:
		contradict(s)
		s.Turn(change.StepWaiting, now, "for a person: %d copies of users of %s are still there%s; is the entry deleted? How copies are taken away without their entry is not in Cisco's guides: ask Cisco TAC, or skip the step with a reason", n, s.Pair.To, said)
	case known && n > 0:
		s.Turn(change.StepRunning, now, "%d copies of users of %s are still there", n, s.Pair.To)
	case why == "" && known:
		s.Turn(change.StepDone, now, "no entry, and no copies")
	default:
		t.goneUnread(p, s, since, known, why)
	}
	return nil
}

// goneUnread sees by what an entry brings that it is gone, where its table or the copies
// cannot be read, and asks only where that shows nothing. A sync that Cisco's log tells of
// may have been under way when the entry was deleted.
func (t *tick) goneUnread(p *record.Plan, s *change.Step, since time.Time, counted bool, why string) {
	now, v := t.Now(), t.grounds.View
	was := copiesBefore(p, s)
	home, known := t.users(s.Pair.To, s.Pair.To).Get()
	synced, quiet := v.LastWord(s.Pair), time.Time{}
	if c, _ := t.Mesh.Cluster(s.Cluster); counted && synced.After(since) {
		interval, _ := v.Clusters[s.Cluster].EffectiveInterval(c, now)
		quiet = synced.Add(interval + 2*v.Tick)
	}
	switch {
	case vouched(s) && (quiet.IsZero() || s.Said.At.After(synced)):
		s.Turn(change.StepDone, now, "%s says so; it cannot be read: %s%s", s.Said.Actor, unreadGone(why, counted), remark(s))
	case now.Sub(s.Began) < 2*v.Tick && !counted:
		s.Turn(change.StepRunning, now, "the copies have not been counted since")
	case now.Before(quiet):
		s.Turn(change.StepRunning, now, "no copies of users of %s are there, and %s; but Cisco's log of %s tells of a sync of it at %s; if none follows until %s, the entry is gone", s.Pair.To, saidOf(deletionOf(p, s)), s.Pair.From, plain.Time(synced), plain.Time(quiet))
	case counted && was > 0 && (home > 0 || !known):
		shown := "no copy comes without it"
		if log := v.Logs[s.Cluster]; log.Read.After(since) {
			shown = "Cisco's log tells of no sync of it any more"
		}
		s.Turn(change.StepDone, now, "no copies of users of %s, of which there were %d: by that the entry is gone (inferred), and %s; nobody need confirm it, though it cannot be read: %s", s.Pair.To, was, shown, why)
	default:
		shows := ""
		if counted {
			shows = fmt.Sprintf("; no copies of users of %s are there, but none were known before either", s.Pair.To)
			if was > 0 {
				shows = fmt.Sprintf("; no copies of users of %s are there, but none is at home there any more", s.Pair.To)
			}
		}
		s.Turn(change.StepWaiting, now, "for a person to look and confirm it: %s%s; it cannot be read: %s", saidOf(deletionOf(p, s)), shows, unreadGone(why, counted))
	}
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

// deletionOf is the step in which the entry was to be deleted of which one sees that it is
// gone; nil if the plan has none.
func deletionOf(p *record.Plan, s *change.Step) *change.Step {
	for i := range p.Steps[:s.N-1] {
		if x := &p.Steps[i]; x.Op == change.OpDeleteEntry && x.Pair == s.Pair {
			return x
		}
	}
	return nil
}

// copiesBefore is how many copies there were before the entry was deleted; 0 if that was
// not read.
func copiesBefore(p *record.Plan, s *change.Step) int {
	if x := deletionOf(p, s); x != nil {
		n, _ := strconv.Atoi(x.Before)
		return n
	}
	return 0
}

// saidOf is what a person has said of a deletion.
func saidOf(s *change.Step) string {
	switch {
	case s == nil || s.Said == nil:
		return "nobody has said that the entry is deleted"
	case s.State == change.StepSkipped:
		return fmt.Sprintf("step %d, which deletes the entry, was %s", s.N, s.Evidence)
	}
	return fmt.Sprintf("%s said at %s that the entry is deleted (step %d)", s.Said.Actor, plain.Time(s.Said.At), s.N)
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
