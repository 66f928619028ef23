package alarm_test

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// TestAnAlarmSaidTwiceIsOne: the one that is not suppressed counts, and of two
// such the first.
func TestAnAlarmSaidTwiceIsOne(t *testing.T) {
	of := func(message string, suppressed bool) alarm.Firing {
		f := down("apac")
		f.Message, f.Suppressed = message, suppressed
		return f
	}
	for _, c := range []struct {
		name          string
		first, second alarm.Firing
		want          string // "" says nothing
	}{
		{"neither is suppressed", of("first", false), of("second", false), "first"},
		{"the first is", of("first", true), of("second", false), "second"},
		{"the second is", of("first", false), of("second", true), "first"},
		{"both are", of("first", true), of("second", true), ""},
	} {
		changed := alarm.Reconcile(nil, alarm.Check{Mesh: "acme", Firing: []alarm.Firing{c.first, c.second}, Now: noon})
		got := ""
		if len(changed) > 0 {
			got = changed[0].Message
		}
		if got != c.want || (len(changed) == 1) != (c.want != "") {
			t.Errorf("%s: %q, want %q (%d items)", c.name, got, c.want, len(changed))
		}
	}
}

// TestARaisedAlarmKnowsSinceWhenItWasSeen.
func TestARaisedAlarmKnowsSinceWhenItWasSeen(t *testing.T) {
	changed := alarm.Reconcile(nil, alarm.Check{Mesh: "acme", Firing: []alarm.Firing{down("apac")}, Now: noon})
	if len(changed) != 1 || !changed[0].FirstSeen.Equal(noon) || !changed[0].Since.Equal(noon.Add(-time.Hour)) {
		t.Errorf("%+v", changed)
	}
}

// TestAClearSaysWhyItIsOver: that a cluster left mesh.yaml only where it did.
func TestAClearSaysWhyItIsOver(t *testing.T) {
	for removed, want := range map[bool]string{false: "no node answers", true: "no longer in mesh.yaml; it was: no node answers"} {
		b := stored{}
		b.apply(alarm.Check{Firing: []alarm.Firing{down("apac")}, Now: noon})
		changed := b.apply(alarm.Check{Now: noon.Add(time.Minute), Removed: func(alarm.Item) bool { return removed }})
		if len(changed) != 1 || changed[0].Message != want {
			t.Errorf("removed %v: %+v", removed, changed)
		}
	}
}

// TestAStaleReadSettlesNothingTwice: another run has just raised it.
func TestAStaleReadSettlesNothingTwice(t *testing.T) {
	s := storetest.NewMemory()
	late := storetest.Stale(s, 5)
	check := alarm.Check{Mesh: "acme", Firing: []alarm.Firing{down("emea")}, Now: noon}
	if changed, err := alarm.Settle(t.Context(), late, check); len(changed) != 1 || err != nil {
		t.Fatalf("%+v, %v", changed, err)
	}
	before := version(t, s)
	if changed, err := alarm.Settle(t.Context(), late, check); len(changed) != 0 || err != nil {
		t.Errorf("changed again: %+v, %v", changed, err)
	}
	if after := version(t, s); after != before {
		t.Errorf("written again: version %d, then %d", before, after)
	}
}

func version(t *testing.T, s store.Store) int64 {
	t.Helper()
	items, err := s.Load(t.Context(), store.Live("acme"), store.PrefixAlarm)
	if err != nil || len(items) != 1 {
		t.Fatal(len(items), err)
	}
	return items[0].Version
}

// TestWhoseReadingClearsAnAlarm: certcheck's for what it alone reads.
func TestWhoseReadingClearsAnAlarm(t *testing.T) {
	for name, certcheck := range map[string]bool{
		alarm.CertificateExpired: true, alarm.CertificateNotTrusted: true, alarm.PeerkeeperGoesBlind: true, alarm.DNSServerSilent: true,
		alarm.ClusterDown: false, alarm.ServiceStopped: false, alarm.UsersFell: false, alarm.NodeUnreachable: false,
	} {
		kind, known := alarm.Lookup(name)
		if !known || kind.ClearedBy.Certcheck() != certcheck {
			t.Errorf("%s: known %v, cleared by %q", name, known, kind.ClearedBy)
		}
	}
	if _, known := alarm.OfFinding(peer.Reason("NoSuchFinding")); known {
		t.Error("a finding that there is not fires an alarm")
	}
}

// TestSixteenLinesAreKeptWhole: of more, the last one stays, because it says what to do.
func TestSixteenLinesAreKeptWhole(t *testing.T) {
	for lines, want := range map[int]string{16: "line 15", 17: "2 lines are left out.", 30: "15 lines are left out."} {
		f := down("apac")
		f.Message, f.More = "line 1", nil
		for i := 2; i < lines; i++ {
			f.More = append(f.More, "line "+strings.TrimSpace(string(rune('0'+i/10))+string(rune('0'+i%10))))
		}
		f.More = append(f.More, "Next step: call somebody.")
		changed := alarm.Reconcile(nil, alarm.Check{Mesh: "acme", Firing: []alarm.Firing{f}, Now: noon})
		got := strings.Split(changed[0].Message, "\n")
		if len(got) != 16 || got[14] != want || got[13] != "line 14" || got[15] != "Next step: call somebody." {
			t.Errorf("of %d lines: %q", lines, got)
		}
	}
}
