package peer

import (
	"fmt"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// logAge is how long what a log was read to say stays usable: its turns come every
// LogTurn, and after a rotation one may wait for its budget.
const logAge = 3 * LogTurn

// Logged tells of a peer's syncs by ICSA's own log. It stands in where the peer
// table tells nothing, and speaks of when the log was read: Read. A line is
// evidence of a success, and a missing line of nothing, so that nothing but
// Synced goes by it.
func (v *View) Logged(id mesh.PeerID) Clock { return v.link(id).logged() }

func (l *link) logged() Clock {
	c := Clock{Source: ClockNone, Why: ClockNotReadable}
	r := l.Logs[l.id.From]
	if r.Read.IsZero() || !instant.Fresh(r.Read, l.Now, logAge+2*l.Tick) {
		return c
	}
	c.Read = r.Read
	success := r.Peers[l.id.To].Success
	if success.Dating == ciscolog.Undated {
		c.Why = LogHasNoSyncLines
		return c
	}
	skew, known := l.puller.record.Seen.Skew.Get()
	return Clock{Source: ClockCisco, Basis: Cisco, Told: success.At, Last: success.At.Add(-skew), Read: r.Read, Compared: known}
}

// syncedByLog stands in where Last Synchronized Time is not readable: a success
// that is no older, when the log was read, than the interval lets it be.
func (l *link) syncedByLog(users comparison, memory SyncRecord) verdict {
	c := l.logged()
	limits := l.limits(c.Last)
	limit, _ := limits.First()
	stuck := l.Logs[l.id.From].Peers[l.id.To].Periodic
	if age := c.Read.Sub(c.Last); c.Succeeded() && !stuck.At.After(c.Told) && age >= -2*l.Tick && age <= limits.Interval+2*l.Tick {
		return yes(OnInterval, Cisco, "ICSA's own log on %s shows syncs on its interval of %s (%s)", l.puller.Publisher, plain.Duration(limits.Interval), limits.Basis)
	}
	v := l.syncedByProgress(users, memory, limit)
	if v.reason == ClockNotReadable && !c.Read.IsZero() {
		v.reason = LogHasNoSyncLines
		v.message = l.noSyncLines(c) + "; " + v.message
	}
	return v
}

// noSyncLines says what a log that was read lacks, and why that may be.
func (l *link) noSyncLines(c Clock) string {
	r := l.Logs[l.id.From]
	what := fmt.Sprintf("ICSA's own log on %s holds no success of this peer", l.puller.Publisher)
	if c.Succeeded() {
		what += " since " + plain.Time(c.Told)
	}
	if failure := r.Peers[l.id.To].Failure; failure.Alarm != "" && !failure.At.Before(c.Told) {
		what += ", and " + string(failure.Alarm)
	}
	if r.Level != "" {
		return what + " (Local Syslogs are at level " + r.Level + ", successes are logged at Informational)"
	}
	return what + " (whether successes are logged is not known)"
}
