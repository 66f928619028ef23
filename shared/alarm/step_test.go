package alarm_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store/storetest"
)

// TestSteps: a problem that gets worse by steps is said once at each, not every
// day; once it is critical it is said as every critical alarm is.
func TestSteps(t *testing.T) {
	start := time.Date(2026, 6, 2, 12, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	items := map[string]alarm.Item{}
	var said []string
	look := func(n int, step string, severity peer.Severity, suppressed bool) {
		l := alarm.Check{Mesh: "acme", Now: day(n)}
		if step != "" {
			l.Firing = []alarm.Firing{{Name: alarm.CertificateExpiring, Cluster: "apac", Subject: "one certificate", Message: "it expires", Severity: severity, Step: step, Suppressed: suppressed}}
		}
		for range 2 { // the same look again says nothing more
			for _, it := range alarm.Reconcile(items, l) {
				for _, p := range it.Pending {
					said = append(said, fmt.Sprintf("day %d: %s %s %d", n, p.Notice.State, p.Notice.Severity, p.Notice.Transition))
				}
				it.Pending = nil // delivered
				items[it.Fingerprint] = it
			}
		}
	}
	for n := range 14 {
		look(n, "28 days left", peer.Warning, false)
	}
	for n := 14; n < 18; n++ { // somebody has acknowledged it
		look(n, "14 days left", peer.Warning, true)
	}
	for n := 18; n < 21; n++ {
		look(n, "14 days left", peer.Warning, false)
	}
	for n := 21; n < 24; n++ {
		look(n, "7 days left", peer.Critical, false)
	}
	look(24, "", "", false)
	look(25, "28 days left", peer.Warning, false) // the next one
	want := []string{
		"day 0: raised warning 1", "day 18: repeated warning 1", "day 21: repeated critical 1", "day 22: repeated critical 1", "day 23: repeated critical 1",
		"day 24: cleared warning 2", "day 25: raised warning 3",
	}
	if !slices.Equal(said, want) {
		t.Errorf("said %q,\nwant %q", said, want)
	}
}

// TestACauseThatCannotBeJudgedStillExplains: while nobody knows whether the
// certificate has been renewed, that the sync stands still is no news; it is
// when the cause is known to be over, or never stood.
func TestACauseThatCannotBeJudgedStillExplains(t *testing.T) {
	cause := alarm.Firing{Name: alarm.CertificateExpired, Cluster: "apac", Subject: "one certificate", Message: "expired"}
	effect := func(peer string) alarm.Firing {
		return alarm.Firing{Name: alarm.PeriodicSyncingFailure, Peer: peerOf(peer), Message: "it stands still"}
	}
	unknown := named(alarm.CertificateExpired)
	for _, c := range []struct {
		name    string
		stands  bool // the cause had been raised
		over    bool // and cleared again
		unknown func(alarm.Item) bool
		removed func(alarm.Item) bool
		peer    string
		raised  bool
	}{
		{"it stands, and nobody knows more", true, false, unknown, nil, "emea>apac", false},
		{"it stands, but does not reach this peer", true, false, unknown, nil, "apac>emea", true},
		{"it is known to be over", true, false, nil, nil, "emea>apac", true},
		{"it is known to be over, while other things are not known", true, false, named(alarm.DNSServerSilent), nil, "emea>apac", true},
		{"it was over before nobody knew", true, true, unknown, nil, "emea>apac", true},
		{"it never stood", false, false, unknown, nil, "emea>apac", true},
		{"its cluster has left the mesh", true, false, unknown, func(it alarm.Item) bool { return it.Cluster == "apac" && it.Peer.IsZero() }, "emea>apac", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := storetest.NewMemory()
			now := time.Date(2026, 6, 2, 12, 0, 0, 0, time.UTC)
			settle := func(l alarm.Check) {
				l.Mesh, l.Now = "acme", now
				if _, err := alarm.Settle(t.Context(), s, l); err != nil {
					t.Fatal(err)
				}
				now = now.Add(5 * time.Minute)
			}
			// Whatever else is over changes nothing.
			var others []alarm.Firing
			for i := range 20 {
				others = append(others, down(mesh.ClusterID(fmt.Sprint("c", i))))
			}
			settle(alarm.Check{Firing: others})
			if c.stands {
				settle(alarm.Check{Firing: []alarm.Firing{cause}})
			}
			if c.over {
				settle(alarm.Check{})
			}
			settle(alarm.Check{Firing: []alarm.Firing{effect(c.peer)}, Unknown: c.unknown, Removed: c.removed})
			items, err := alarm.Items(t.Context(), s, "acme")
			if err != nil {
				t.Fatal(err)
			}
			it := items[alarm.Fingerprint("acme", alarm.PeriodicSyncingFailure, "", peerOf(c.peer), "")]
			if it.Active() != c.raised {
				t.Errorf("the sync's alarm stands: %v, want %v", it.Active(), c.raised)
			}
		})
	}
}
