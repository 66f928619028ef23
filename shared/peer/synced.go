package peer

import (
	"time"

	"peerkeeper/shared/plain"
)

func (l *link) synced(users comparison, memory SyncRecord) verdict {
	entries := l.puller.entries
	if !entries.Known() && entries.Why() != NoDialect {
		return l.puller.blind(entries.Why(), entries.Detail)
	}
	if entries.Known() && !l.hasEntry {
		return unsure(PeerMissing, "there is no entry that could sync")
	}
	if l.clock().Source == ClockDialect {
		return l.witnessed(l.syncedByTable(memory), memory)
	}
	return l.witnessed(l.syncedByLog(users, memory), memory)
}

// notCiscos stands in a message until Cisco's own alarm is seen too.
const notCiscos = "not Cisco's own alarm"

// syncedByTable goes by Last Synchronized Time.
func (l *link) syncedByTable(memory SyncRecord) verdict {
	c := l.clock()
	limits := l.limits(c.Last)
	limit, which := limits.First()
	age, last := l.age(), "last success "+plain.Time(c.Told)
	if !c.Succeeded() {
		age, last = l.Now.Sub(memory.FirstSeen), "it has never succeeded since Peerkeeper first saw its entry, or its first sync last brought users"
	}
	switch {
	case age < -2*l.Tick:
		return unsure(ClockBackwards, "%s lies in the future of %s's own clock", last, l.id.From)
	case age > limit && which == FourPeriodsMissed:
		return no(FourPeriodsMissed, Measured, "%s: four periods of %s have passed (Cisco restarts ICSA at this point); measured by Peerkeeper, "+notCiscos, last, plain.Duration(limits.Interval))
	case age > limit:
		return no(StuckTwoHours, Measured, "%s: more than 2 h beyond its interval of %s; measured by Peerkeeper, "+notCiscos, last, plain.Duration(limits.Interval))
	case age > limits.Interval+2*l.Tick:
		return yes(Overdue, Measured, "%s; one sync of %s was missed, this turns False %s after the last success", last, plain.Duration(limits.Interval), plain.Duration(limit))
	}
	return yes(OnInterval, Measured, "syncs on its interval of %s (%s)", plain.Duration(limits.Interval), limits.Basis)
}

// syncedByProgress stands in where Last Synchronized Time is not readable.
func (l *link) syncedByProgress(users comparison, memory SyncRecord, limit time.Duration) verdict {
	since := memory.Differs.Since
	if users.known() && users.home.Value != users.copied.Value && !since.IsZero() && l.changedSince(since) && l.Now.Sub(since) > limit {
		return no(HomeChangeNotCopied, Inferred, "a change of %s's users at %s has not been copied within %s", l.id.To, plain.Time(since), plain.Duration(limit))
	}
	if !memory.Progress.IsZero() {
		return unsure(ClockNotReadable, "Last Synchronized Time is only on Cisco's page; a change of %s's users was seen copied at %s", l.id.To, plain.Time(memory.Progress))
	}
	return unsure(ClockNotReadable, "Last Synchronized Time is only on Cisco's page, and no change of %s's users has been seen copied yet", l.id.To)
}

// homeMoved reports whether the home's own count changed at this very look.
func (r *ClusterRecord) homeMoved(now time.Time) bool {
	n := len(r.Home)
	return n > 1 && !r.Home[n-1].From.Before(now)
}

// changedSince reports whether the home really changed around t, as opposed to
// having differed ever since Peerkeeper first looked.
func (l *link) changedSince(t time.Time) bool {
	for i, h := range l.home.record.Home {
		if i > 0 && !h.From.Before(t) {
			return true
		}
	}
	return false
}
