package peering

import (
	"context"
	"fmt"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

// changed is since when a pair is as the plan wants it: when the newest of the steps on a
// page that are about it was done. A pair whose entries were there before is as it is
// since the plan began. An entry that was not there when it was first looked for has
// synced since then or never, be it before it was seen: the first full sync of a small
// cluster is the quicker. The other end's entry brings it no user.
func changed(p *record.Plan, s *change.Step) time.Time {
	since := p.Started
	for i := range p.Steps[:s.N-1] {
		x := &p.Steps[i]
		switch x.Op {
		case change.OpAddEntry:
			if x.Pair == s.Pair && x.State == change.StepDone {
				since = later(since, x.Began)
			}
		case change.OpEditEntry, change.OpDeleteEntry, change.OpEnterCredentials:
			about := x.Pair == s.Pair || x.Pair == s.Pair.Reverse() && x.Op != change.OpEnterCredentials
			if about && x.State == change.StepDone && x.Since.After(since) {
				since = x.Since
			}
		}
	}
	return since
}

// effect is what was read of a change's effect: wrong is what is not as it should be,
// pending what a sync may yet bring, unread what cannot be read, and seen what was.
type effect struct{ wrong, pending, unread, seen []string }

// verifyPair sees that a change of a pair has had its effect.
func (t *tick) verifyPair(ctx context.Context, p *record.Plan, s *change.Step) error {
	now, since := t.Now(), changed(p, s)
	e := t.effectOf(s, since)
	if _, paired := t.Mesh.Peer(s.Pair); !paired {
		e = t.unwatched(ctx, s, since)
	}
	if len(e.wrong)+len(e.pending) > 0 {
		contradict(s)
	}
	c, _ := t.Mesh.Cluster(s.Cluster)
	waited := now.Sub(later(since, s.Began))
	patience := 4*max(c.SyncInterval.D(), mesh.MinSyncInterval) + 2*t.grounds.View.Tick
	if full := t.grounds.View.Clusters[s.Cluster]; full != nil {
		patience += full.LongestSync
	}
	switch {
	case len(e.wrong) > 0:
		s.Turn(change.StepWaiting, now, "for a person to mend it (`peerkeeper explain %s` says how): %s%s", s.Pair, plain.FirstBy(3, e.wrong, "; "), confirmedBy(s))
	case len(e.pending) > 0 && waited > patience:
		s.Turn(change.StepWaiting, now, "for a person, after %s: %s%s; mend that (`peerkeeper explain %s`), or skip the step with a reason", plain.Duration(waited.Truncate(time.Minute)), plain.FirstBy(3, e.pending, "; "), confirmedBy(s), s.Pair)
	case len(e.pending) > 0:
		s.Turn(change.StepRunning, now, "%s%s", plain.FirstBy(3, e.pending, "; "), confirmedBy(s))
	case len(e.unread) == 0:
		s.Turn(change.StepDone, now, "%s", plain.FirstBy(4, e.seen, "; "))
	case vouched(s):
		s.Turn(change.StepDone, now, "%s; %s says that the rest is so, which cannot be read: %s%s", plain.FirstBy(4, e.seen, "; "), s.Said.Actor, plain.FirstBy(3, e.unread, "; "), remark(s))
	case waited > 2*t.grounds.View.Tick:
		s.Turn(change.StepWaiting, now, "for a person to look and confirm it; it cannot be read: %s", plain.FirstBy(3, e.unread, "; "))
	default:
		s.Turn(change.StepRunning, now, "not read yet: %s", plain.FirstBy(3, e.unread, "; "))
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// effectOf looks at what a pair comes to since it was changed, from what was recorded after
// that.
func (t *tick) effectOf(s *change.Step, since time.Time) (e effect) {
	v, id := t.grounds.View, s.Pair
	all := t.grounds.Snapshot.Conditions(v, id)
	condition := func(of peer.Type) peer.Condition { return peer.ConditionOf(all, of) }

	switch c := condition(peer.Configured); {
	case t.readBefore(id.From, since) || t.readBefore(id.To, since):
		e.pending = append(e.pending, "its two ends have not both been read since the change")
		return e
	case c.Status == peer.False:
		e.wrong = append(e.wrong, c.Message)
	case c.Status == peer.True:
		e.seen = append(e.seen, c.Message)
	}
	for _, of := range []peer.Type{peer.Compatible, peer.Authenticated, peer.ServicesRunning, peer.NamesResolve} {
		if c := condition(of); c.Status == peer.False {
			e.wrong = append(e.wrong, c.Message)
		}
	}
	clock := v.ClockAsRead(id)
	synced := v.SyncedSince(id, since)
	switch c := condition(peer.Synced); {
	case synced && c.Status == peer.False: // judged before that was read: with the plan over, an alarm would say it
		e.pending = append(e.pending, fmt.Sprintf("it synced at %s, and the next look has yet to say so", plain.Time(clock.Told)))
	case synced:
		e.seen = append(e.seen, "synced at "+plain.Time(clock.Told))
	case !v.FailedSince(id, since).IsZero():
		e.wrong = append(e.wrong, fmt.Sprintf("ICSA of %s has logged at %s that a sync from %s failed, and none that succeeded since the change", id.From, plain.Time(v.FailedSince(id, since)), id.To))
	case clock.Readable():
		e.pending = append(e.pending, fmt.Sprintf("%s has not synced since %s", id, plain.Time(since)))
	default:
		e.unread = append(e.unread, "when it synced (Last Synchronized Time)")
	}
	users := condition(peer.UsersMatch)
	switch home, copied := t.users(id.To, id.To), t.users(id.From, id.To); {
	case !home.Known() || !copied.Known():
		e.unread = append(e.unread, "how many users it holds (Associated Users)")
	case users.Status == peer.True && home.Value != copied.Value: // as many as were at home at the last sync
		e.seen = append(e.seen, fmt.Sprintf("Associated Users: %d, and %d at home, where they have just changed", copied.Value, home.Value))
	case home.Value != copied.Value:
		e.pending = append(e.pending, fmt.Sprintf("it holds %d of %d users", copied.Value, home.Value))
	case users.Status == peer.False:
		e.wrong = append(e.wrong, users.Message)
	case users.Status == peer.True:
		e.seen = append(e.seen, fmt.Sprintf("Associated Users: %d, as many as at home", home.Value))
	default:
		e.pending = append(e.pending, users.Message)
	}
	if want, _ := t.Mesh.Peer(id); want.Protocol == mesh.TLSProto {
		switch c := condition(peer.CertificateTrusted); c.Status {
		case peer.True:
			e.seen = append(e.seen, c.Message)
		case peer.False:
			e.wrong = append(e.wrong, c.Message)
		default:
			e.unread = append(e.unread, "whether certificates are exchanged (Certificate Status)")
		}
	}
	return e
}

// unwatched looks at entries that mesh.yaml does not tell of, which nobody judges: whether
// they log in, and have synced since.
func (t *tick) unwatched(ctx context.Context, s *change.Step, since time.Time) (e effect) {
	has, why := t.page(ctx, s.Pair)
	var entries []peer.Entry
	if has.Found {
		entries = append(entries, has.Entry)
	}
	if has.Other != nil {
		entries = append(entries, *has.Other)
	}
	switch {
	case why != "" && t.grounds.View.SyncedSince(s.Pair, since):
		e.seen = append(e.seen, "synced at "+plain.Time(t.grounds.View.ClockAsRead(s.Pair).Told))
	case why != "":
		e.unread = append(e.unread, why)
	case len(entries) == 0:
		e.seen = append(e.seen, fmt.Sprintf("no entry for %s is there any more", s.Pair.To))
	}
	var skew time.Duration // what the table tells is by its cluster's clock
	if r := t.grounds.View.Clusters[s.Pair.From]; r != nil {
		skew = r.Seen.Skew.Value
	}
	for _, entry := range entries {
		address := plain.Value(entry.Address)
		switch {
		case entry.Error == peer.ErrorCredentials:
			e.wrong = append(e.wrong, fmt.Sprintf("%s refuses the AXL user name or password in %s's entry for %s", s.Pair.To, s.Pair.From, address))
		case !entry.HasClock:
			e.unread = append(e.unread, "when the entry for "+address+" synced")
		case entry.LastSync.Add(-skew).After(since):
			e.seen = append(e.seen, fmt.Sprintf("the entry for %s synced at %s", address, plain.Time(entry.LastSync)))
		default:
			e.pending = append(e.pending, fmt.Sprintf("the entry for %s has not synced since %s", address, plain.Time(since)))
		}
	}
	return e
}

// readBefore says that a cluster has not been read since an instant, though it could be.
func (t *tick) readBefore(id mesh.ClusterID, since time.Time) bool {
	r := t.grounds.View.Clusters[id]
	return r == nil || r.Seen.Users.Known() && !r.Seen.Users.At.After(since)
}

// users are those of a home that a cluster counts, as read lately.
func (t *tick) users(in, home mesh.ClusterID) peer.Fact[int] {
	r := t.grounds.View.Clusters[in]
	c, ok := t.Mesh.Cluster(home)
	if r == nil || !ok {
		return peer.Unknown[int](peer.NotChecked, "")
	}
	return r.UsersOf(c).Fresh(t.grounds.View.Now, 2*t.grounds.View.Tick)
}

// rows is what Cisco's own pages show.
func (t *tick) rows(ctx context.Context, p *record.Plan, s *change.Step) error {
	if n, known := t.users(s.Pair.To, s.Pair.To).Get(); known {
		s.Value = fmt.Sprint(n)
	}
	return t.prepare(ctx, p, s)
}
