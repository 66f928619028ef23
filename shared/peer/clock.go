package peer

import (
	"strings"
	"time"

	"peerkeeper/shared/mesh"
)

// ClockSource says where the last success of a sync is known from.
type ClockSource string

// The sources. ClockCisco and ClockPushed are Cisco's own log, pulled or sent.
const (
	ClockDialect  ClockSource = "dialect" // Last Synchronized Time in the peer table
	ClockCisco    ClockSource = "cisco"
	ClockPushed   ClockSource = "pushed"
	ClockProgress ClockSource = "progress" // only that changes arrive
	ClockNone     ClockSource = "none"
)

// Clock tells when a peer last synced. Which source counts is decided here and
// nowhere else.
type Clock struct {
	Source ClockSource // ClockNone where nothing tells
	Why    Reason      // why nothing tells
	Basis  Basis
	// Last is the last success by Peerkeeper's clock; zero if there never was one.
	Last time.Time
	// Told is the same instant as the source has it, in the cluster's clock. It
	// stands still until the next success; Last moves with each reading of the skew.
	Told time.Time
	// Read is when the source was read.
	Read time.Time
	// Compared is whether it is known how far the cluster's clock is off.
	Compared bool
}

// Readable reports whether a source tells of the peer's syncs at all.
func (c Clock) Readable() bool { return c.Source != ClockNone }

// Succeeded reports whether a sync is known to have succeeded, ever.
func (c Clock) Succeeded() bool { return c.Readable() && !c.Told.IsZero() }

// Clock tells of a peer's syncs now: what was read too long ago does not.
func (v *View) Clock(id mesh.PeerID) Clock { return v.link(id).clock() }

// ClockAsRead tells of a peer's syncs as they were read last, however long ago.
func (v *View) ClockAsRead(id mesh.PeerID) Clock { return v.link(id).clockAsRead() }

func (l *link) clock() Clock {
	table := l.tableClock()
	if !l.puller.entries.Known() {
		table = Clock{Source: ClockNone, Why: l.puller.entries.Why()}
	}
	if !l.logFresh() {
		return table
	}
	return l.newest(table)
}

func (l *link) clockAsRead() Clock { return l.newest(l.tableClock()) }

// newest is the log's clock where the peer table tells nothing, or less: a column
// may be another than was thought. The two write the same success down within
// minutes, so that the table counts until the log is clearly ahead of it.
func (l *link) newest(table Clock) Clock {
	log := l.logClock()
	if !log.Readable() || table.Why == PeerMissing || table.Readable() && log.Told.Sub(table.Told) <= 2*l.Tick {
		return table
	}
	return log
}

// tableClock is Last Synchronized Time as it was read last.
func (l *link) tableClock() Clock {
	seen, in := &l.puller.record.Seen, l.puller.found[l.home.ID]
	c := Clock{Source: ClockNone, Read: seen.Entries.At}
	switch {
	case in.hasEntry && in.entry.HasClock:
	case !seen.Entries.Known():
		c.Why = seen.Entries.Why()
		return c
	case !in.hasEntry:
		c.Why = PeerMissing
		return c
	default:
		c.Why = ClockNotReadable
		return c
	}
	c.Source, c.Basis, c.Told, c.Last = ClockDialect, Measured, in.entry.LastSync, in.entry.LastSync
	skew, known := seen.Skew.Get()
	if c.Compared = known; !c.Told.IsZero() {
		c.Last = c.Told.Add(-skew)
	}
	return c
}

// age is how long ago the peer last synced. By a log it is how long before it was
// read: whether another sync came since is not known.
func (l *link) age() time.Duration {
	c := l.clock()
	if c.Source == ClockCisco {
		return c.Read.Sub(c.Last)
	}
	return l.Now.Sub(c.Last)
}

// recent reports whether the peer synced so lately that the network path and the
// credentials must have worked. That it did not says nothing: a log may hold no
// success.
func (l *link) recent() bool {
	interval, _ := l.interval()
	return l.tellsOfNow() && l.age() <= interval+2*l.Tick && !l.failsSince()
}

// tellsOfNow reports whether a success is known, and no source could have told of
// a later one by now.
func (l *link) tellsOfNow() bool {
	c := l.clock()
	return c.Succeeded() && (c.Source != ClockCisco || l.logNext())
}

// failsSince reports whether the try after the last success has failed: by the
// error that the entry names, or by ICSA's own log.
func (l *link) failsSince() bool {
	return l.entry.HasError && l.entry.Error != "" || l.stands(l.words().Failure, SyncRecord{})
}

// turnedBack reports whether the last success of any entry went backwards from
// one look to the next; compared says that there was one to compare.
func turnedBack(before, after []Entry) (back, compared bool) {
	for _, a := range after {
		for _, b := range before {
			if !strings.EqualFold(a.Address, b.Address) || !a.HasClock || !b.HasClock || a.LastSync.IsZero() || b.LastSync.IsZero() {
				continue
			}
			if b.LastSync.Sub(a.LastSync) > time.Minute {
				return true, true
			}
			compared = true
		}
	}
	return false, compared
}

// Limits are Cisco's two limits on an unsuccessful sync.
type Limits struct {
	Interval time.Duration
	Basis    Basis
	// A is when periodic sync counts as stuck: interval + 2 h (our reading of
	// "stuck for more than 2 hours").
	A time.Duration
	// B is when ICSA restarts after failing for four sync periods.
	B time.Duration
}

// First is the limit that is reached first, and its name.
func (c Limits) First() (time.Duration, Reason) {
	if c.A < c.B {
		return c.A, StuckTwoHours
	}
	return c.B, FourPeriodsMissed
}

// limits are those of the interval that is in effect since the last sync.
func (l *link) limits(lastSync time.Time) Limits {
	return limitsOf(l.puller.record.EffectiveInterval(l.puller.Cluster, lastSync))
}

func limitsOf(interval time.Duration, basis Basis) Limits {
	return Limits{Interval: interval, Basis: basis, A: interval + 2*time.Hour, B: 4 * interval}
}

// Limits are those of a peer whose clock is as it was read last.
func (v *View) Limits(id mesh.PeerID) Limits {
	l := v.link(id)
	return l.limits(l.clockAsRead().Last)
}
