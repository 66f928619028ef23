package peer

import (
	"fmt"
	"strings"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// comparison is what one look shows of a home and its copy.
type comparison struct {
	home, copied Fact[int]
	// proof is the strongest evidence at hand that both are the same users,
	// UsersDiffer if they are not, and "" if a count is not known.
	proof Reason
	shown time.Time // when that was read
}

func (c comparison) known() bool { return c.home.Known() && c.copied.Known() }

// compare counts the home's users and their copies, and proves them.
func (l *link) compare() comparison {
	c := comparison{
		home:   l.home.usersOf(l.home).Fresh(l.Now, l.maxAge()),
		copied: l.puller.usersOf(l.home).Fresh(l.Now, l.maxAge()),
	}
	if c.known() {
		c.proof, c.shown = l.proof(c.home.Value, c.copied.Value)
	}
	return c
}

// usersMatch judges the copies against the home. A copy may lawfully lag: it is
// right while it equals what the home was within the window that its own last
// sync, or two intervals, allow.
func (l *link) usersMatch(users comparison, memory SyncRecord) verdict {
	switch {
	case !users.home.Known():
		return l.home.blind(users.home.Why(), users.home.Detail)
	case !users.copied.Known():
		return l.puller.blind(users.copied.Why(), users.copied.Detail)
	}
	home, copied := users.home.Value, users.copied.Value
	basis := l.puller.record.Seen.UsersBasis
	if l.home.record.Seen.UsersBasis == Inferred || basis == "" {
		basis = Inferred
	}
	interval, _ := l.interval()
	fell, since := l.home.record.Fell, memory.Differs.Since
	equal, lags := users.proof != UsersDiffer, home != copied && l.explained(copied, interval)
	switch {
	case fell != nil && (equal || lags):
		return unsure(UsersFell, "%s holds what %s has, and %s's users fell %s: that both hold equally little proves nothing", l.id.From, l.id.To, l.id.To, fell)
	case equal:
		return yes(users.proof, basis, "%s holds all %d users of %s", l.id.From, home, l.id.To)
	}
	what := describe(l.id, home, copied)
	switch {
	case lags:
		return yes(CatchingUp, basis, "%s; the copy equals what %s was within the last interval", what, l.id.To)
	case home == copied && users.shown.Before(since.Add(interval)):
		// Equal counts, and only an old look says that they are not the same
		// users: the next one decides.
	case l.Now.Sub(since) >= 2*interval:
		why := UsersDiffer
		if copied < home {
			why = UsersMissing
		} else if copied > home {
			why = UsersExtra
		}
		return no(why, basis, "%s since %s%s", what, plain.Time(since), names(memory.Named))
	}
	return unsure(NotYetDecided, "%s since %s; a sync may still bring it, decided after two intervals of %s", what, plain.Time(since), plain.Duration(interval))
}

func describe(id mesh.PeerID, home, copied int) string {
	switch {
	case copied < home:
		return fmt.Sprintf("%s lacks %d of %s's %d users", id.From, home-copied, id.To, home)
	case copied > home:
		return fmt.Sprintf("%s holds %d users of %s that %s itself has not (%d)", id.From, copied-home, id.To, id.To, home)
	}
	return fmt.Sprintf("%s holds %d users of %s, as many as there are, but not the same ones", id.From, copied, id.To)
}

func names(n *Named) string {
	if n == nil {
		return ""
	}
	var b strings.Builder
	more := n.More
	for _, side := range []struct {
		what  string
		users []string
	}{{"missing", n.Missing}, {"too many", n.Extra}} {
		if len(side.users) > 0 {
			shown := side.users[:min(len(side.users), plain.Listed)]
			more += len(side.users) - len(shown)
			fmt.Fprintf(&b, "; %s: %s", side.what, plain.Values(shown))
		}
	}
	if more > 0 {
		fmt.Fprintf(&b, ", and %d more", more)
	}
	return b.String()
}

// unwatched reports whether Peerkeeper did not look for longer than an
// interval after t, and the home changed over it: nobody can tell any more that
// the difference is the same one.
func (l *link) unwatched(t time.Time, interval time.Duration) bool {
	n := len(l.home.record.Home)
	if n < 2 {
		return false
	}
	from, before := l.home.record.Home[n-1].From, l.home.record.Home[n-2].To
	return from.Equal(l.Now) && before.After(t.Add(-interval)) && from.Sub(before) > max(interval, l.maxAge())
}

// differsSince is when the home last had the value that the copy has: the
// copy has been wrong since then. Never seen: since now. Where the counts are
// equal the ring tells nothing: the difference was first seen now.
func (l *link) differsSince(home, copied int) time.Time {
	if home == copied {
		return l.Now
	}
	for i := len(l.home.record.Home) - 1; i >= 0; i-- {
		if h := l.home.record.Home[i]; h.Users == copied && i+1 < len(l.home.record.Home) {
			return l.home.record.Home[i+1].From
		}
	}
	return l.Now
}

// explained reports whether the copy is what the home was within the last interval
// before its last sync, or, if no clock tells of that, within two intervals.
func (l *link) explained(copied int, interval time.Duration) bool {
	window := l.Now.Add(-2*interval - l.Tick)
	if c := l.clock(); c.Readable() {
		if w := c.Last.Add(-interval); w.After(window) && !w.After(l.Now) {
			window = w
		}
	}
	lo, hi, any := 0, 0, false
	for _, h := range l.home.record.Home {
		if h.To.Before(window) {
			continue
		}
		if !any {
			lo, hi, any = h.Users, h.Users, true
		}
		lo, hi = min(lo, h.Users), max(hi, h.Users)
	}
	return any && lo <= copied && copied <= hi
}

// proof is the strongest evidence at hand that home and copy are the same
// users, and when it was read; UsersDiffer when the digests contradict equal
// counts. A bucket digest speaks only of the counts that it was read with, and
// contradicts whatever was read before it.
func (l *link) proof(home, copied int) (why Reason, shown time.Time) {
	if home != copied {
		return UsersDiffer, l.Now
	}
	why, shown = CountsEqual, l.Now
	interval, _ := l.interval()
	diff, ok := l.View.BucketsDiffer(l.id, 2*interval+2*l.Tick)
	a, b := l.View.Buckets[l.id.From], l.View.Buckets[l.id.To]
	if ok && b.Value[l.id.To].Users == home && a.Value[l.id.To].Users == copied {
		why, shown = BucketsEqual, instant.Earlier(a.At, b.At)
		if len(diff) > 0 {
			why = UsersDiffer
		}
	}
	if equal, ok := l.View.SetsEqual(l.id); ok {
		read := instant.Earlier(l.puller.record.UserSet.At, l.home.record.UserSet.At)
		switch {
		case !equal && (why != UsersDiffer || read.After(shown)):
			why, shown = UsersDiffer, read
		case equal && (why != UsersDiffer || !read.Before(shown)):
			why, shown = SetEqual, read
		}
	}
	return why, shown
}

// BucketsDiffer compares the bucket digests of a peer's home and copy. ok is
// false where they are missing, too old, or not read in one tick.
func (v *View) BucketsDiffer(id mesh.PeerID, maxAge time.Duration) (differing []string, ok bool) {
	fa, fb := v.Buckets[id.From].Fresh(v.Now, maxAge), v.Buckets[id.To].Fresh(v.Now, maxAge)
	ba, ka := fa.Get()
	bb, kb := fb.Get()
	if !ka || !kb || fa.At.Sub(fb.At).Abs() > v.Tick {
		return nil, false
	}
	return bb[id.To].differing(ba[id.To])
}

// UserSetPeriod is how often every user of a cluster is read (tier 3).
const UserSetPeriod = 24 * time.Hour

// Grew reports whether so many users have come to a cluster since its users were read
// one by one that the reading says little of it: a tenth of them, and 20 at least.
func (r *ClusterRecord) Grew(c *mesh.Cluster, read time.Time) (from, to int, grew bool) {
	to, known := r.UsersOf(c).Get()
	if !known || len(r.Home) == 0 {
		return 0, 0, false
	}
	from = r.Home[0].Users
	for _, h := range r.Home {
		if !h.From.After(read) {
			from = h.Users
		}
	}
	return from, to, to-from >= 20 && (to-from)*10 >= to
}

// SetsEqual compares the digests of whole sets (tier 3). ok is false unless
// both were read within the last two days while the home held still.
func (v *View) SetsEqual(id mesh.PeerID) (equal, ok bool) {
	l := v.link(id)
	a, b := l.puller.record, l.home.record
	fa, fb := a.UserSet.Fresh(v.Now, 2*UserSetPeriod), b.UserSet.Fresh(v.Now, 2*UserSetPeriod)
	sa, ka := fa.Get()
	sb, kb := fb.Get()
	if !ka || !kb || len(b.Home) == 0 {
		return false, false
	}
	last := b.Home[len(b.Home)-1]
	interval := a.longestInterval(l.puller.Cluster, fa.At)
	// The copy may lag: only what was read two intervals after the last
	// change of the home speaks.
	if len(b.Home) > 1 && (fa.At.Sub(last.From) < 2*interval || fb.At.Before(last.From)) {
		return false, false
	}
	x, y := sa[id.To], sb[id.To]
	// What either side holds now must be what it held then: a copy that has
	// been mended since is not contradicted by yesterday's digest.
	if copied, known := l.puller.usersOf(l.home).Get(); !known || copied != x.Users {
		return false, false
	}
	if home, known := l.home.usersOf(l.home).Get(); !known || home != y.Users {
		return false, false
	}
	return x.Sum == y.Sum && x.Users == y.Users, true
}
