package peer

import (
	"time"

	"peerkeeper/shared/mesh"
)

// lastSync is the entry's last success by our clock; zero if it never
// succeeded or cannot be read. The entry itself is in the cluster's clock.
func (l *link) lastSync() time.Time {
	last := l.entry.LastSync
	if skew, ok := l.puller.record.Seen.Skew.Get(); ok && !last.IsZero() {
		last = last.Add(-skew)
	}
	return last
}

// age is how long ago the entry last synced.
func (l *link) age() time.Duration { return l.Now.Sub(l.lastSync()) }

// recent reports whether the entry's clock shows a success young enough that
// the network path and the credentials must have worked.
func (l *link) recent() bool {
	if !l.hasEntry || !l.entry.HasClock || l.entry.LastSync.IsZero() {
		return false
	}
	interval, _ := l.interval()
	return l.age() <= interval+2*l.Tick && (!l.entry.HasError || l.entry.Error == "")
}

// Clocks are Cisco's two limits on an unsuccessful sync.
type Clocks struct {
	Interval time.Duration
	Basis    Basis
	// A is when periodic sync counts as stuck: interval + 2 h (our reading of
	// "stuck for more than 2 hours").
	A time.Duration
	// B is when ICSA restarts after failing for four sync periods.
	B time.Duration
}

// First is the limit that is reached first, and its name.
func (c Clocks) First() (time.Duration, Reason) {
	if c.A < c.B {
		return c.A, StuckTwoHours
	}
	return c.B, FourPeriodsMissed
}

// ClocksOf computes both limits from the interval in effect.
func ClocksOf(r *ClusterRecord, c *mesh.Cluster, lastSync time.Time) Clocks {
	interval, basis := r.EffectiveInterval(c, lastSync)
	return Clocks{Interval: interval, Basis: basis, A: interval + 2*time.Hour, B: 4 * interval}
}

func (l *link) clocks() Clocks { return ClocksOf(l.puller.record, l.puller.Cluster, l.lastSync()) }
