package dashboard

import (
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// What a clock tells of a sync since 12:00, at 14:00.
func TestSyncedSince(t *testing.T) {
	day := func(hour int) time.Time { return time.Date(2026, 3, 2, hour, 0, 0, 0, time.UTC) }
	table := func(last, read int) peer.Clock {
		return peer.Clock{Source: peer.ClockDialect, Basis: peer.Measured, Last: day(last), Told: day(last), Read: day(read), Compared: true}
	}
	for _, c := range []struct {
		name  string
		clock peer.Clock
		want  string
	}{
		{"it has", table(13, 14), "yes"},
		{"at that very instant", table(12, 14), "yes"},
		{"it has, and the cluster is not seen any more", table(13, 13), "yes"},
		{"not since", table(11, 14), "no"},
		{"not since, and the cluster is not seen any more", table(11, 13), "unknown"},
		{"read before that instant", table(11, 11), "unknown"},
		{"never", peer.Clock{Source: peer.ClockDialect, Basis: peer.Measured, Read: day(14), Compared: true}, "no"},
		{"nothing tells", peer.Clock{Source: peer.ClockNone}, "unknown"},
		{"a line of the log since", peer.Clock{Source: peer.ClockCisco, Basis: peer.Cisco, Last: day(13), Told: day(13), Read: day(14), Compared: true}, "yes"},
		{"no line of the log since", peer.Clock{Source: peer.ClockCisco, Basis: peer.Cisco, Last: day(11), Told: day(11), Read: day(14), Compared: true}, "unknown"},
		{"since by a minute, and the cluster's clock may be off by ten", peer.Clock{Source: peer.ClockDialect, Last: day(12).Add(time.Minute), Told: day(12).Add(time.Minute), Read: day(14)}, "unknown"},
	} {
		got := syncedSince(mesh.PeerID{From: "emea", To: "apac"}, c.clock, day(12), day(14), 10*time.Minute)
		if got.Synced != c.want || (got.Last == nil) != c.clock.Last.IsZero() {
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
	}
}
