package alarm

import (
	"testing"
	"time"

	"peerkeeper/shared/peer"
)

// Grace is zero throughout the catalogue today; the field works all the same.
func TestGrace(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	slow := Kind{Name: "Slow", Severity: peer.Warning, Grace: 10 * time.Minute}
	f := Firing{Name: "Slow", Cluster: "emea"}
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }

	t.Run("resolved before shown is never shown", func(t *testing.T) {
		var it Item
		if !it.fire(f, slow, at(0)) || it.Active() || len(it.Pending) != 0 || !it.FirstSeen.Equal(at(0)) {
			t.Errorf("at first sight: %+v", it)
		}
		if it.fire(f, slow, at(9)) {
			t.Error("waiting changes something")
		}
		if it.settled() {
			t.Error("an alarm that waits for its grace may be forgotten")
		}
		if !it.gone(at(9), "") || len(it.Pending) != 0 || it.Transition != 0 || !it.settled() {
			t.Errorf("resolved: %+v", it)
		}
		if it.gone(at(10), "") {
			t.Error("resolved twice")
		}
	})
	t.Run("shown when it has lasted, and the grace begins again each time", func(t *testing.T) {
		var it Item
		it.fire(f, slow, at(0))
		if !it.fire(f, slow, at(10)) || !it.Active() || it.Transition != 1 {
			t.Errorf("after its grace: %+v", it)
		}
		it.gone(at(20), "")
		it.fire(f, slow, at(21))
		if it.Active() {
			t.Error("raised again without grace")
		}
		it.fire(f, slow, at(31))
		if !it.Active() || it.Transition != 3 {
			t.Errorf("second time: %+v", it)
		}
	})
	t.Run("grace runs while suppressed", func(t *testing.T) {
		var it Item
		suppressed := f
		suppressed.Suppressed = true
		it.fire(suppressed, slow, at(0))
		if it.fire(suppressed, slow, at(30)) || it.Active() {
			t.Error("raised while suppressed")
		}
		if !it.fire(f, slow, at(31)) || !it.Active() {
			t.Error("not raised at once afterwards")
		}
	})
}

func TestAlarmsWaitWhileSinksRefuse(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var it Item
	f := Firing{Name: ClusterDown, Cluster: "emea"}
	for i := range 500 {
		now := start.Add(time.Duration(i) * time.Minute)
		if i%2 == 0 {
			it.fire(f, kindOf(f.Name), now)
		} else {
			it.gone(now, "")
		}
	}
	if len(it.Pending) != maxPending || it.Transition != maxPending {
		t.Errorf("%d notices wait, transition %d", len(it.Pending), it.Transition)
	}
	// One that stands waits to be cleared, too.
	standing := it
	standing.State = Raised
	if standing.gone(start, "") || !standing.Active() || len(standing.Pending) != maxPending {
		t.Errorf("the queue is full, and it was cleared: transition %d, %d wait", standing.Transition, len(standing.Pending))
	}
	// Taken again, what is true is said: it stands at the end of the queue as
	// cleared, so a firing problem raises.
	it.Pending = nil
	if !it.fire(f, kindOf(f.Name), start) || it.Transition != maxPending+1 || it.State != Raised {
		t.Errorf("after the sinks take notices again: %+v", it)
	}
}
