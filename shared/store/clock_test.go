package store_test

import (
	"testing"
	"time"

	"peerkeeper/shared/store/storetest"
)

// A clock that was five hours ahead when a run was killed, or that steps back,
// leaves a lease and a scheduled time ahead of the clock. They keep nobody from
// looking.
func TestAWrongClockDoesNotKeepRunsFromBeginning(t *testing.T) {
	never := time.Time{}
	for _, c := range []struct {
		name      string
		ahead     time.Duration // of the clock by which the run before went
		completes bool          // or was killed
		scheduled time.Time
		runs      bool
	}{
		{"killed by a clock five hours ahead; the next turn", 5 * time.Hour, false, noon, true},
		{"the same, and a person looks", 5 * time.Hour, false, never, true},
		{"completed by a clock two hours ahead; the next turn", 2 * time.Hour, true, noon, true},
		{"the same, and a person looks", 2 * time.Hour, true, never, true},
		{"killed by a clock a year ahead", 365 * 24 * time.Hour, false, noon, true},
		{"under way on a machine half a minute ahead", 30 * time.Second, false, noon, false},
		{"completed within the same turn by a machine half a minute ahead", 30 * time.Second, true, noon, false},
		{"killed by a right clock a minute ago", -time.Minute, false, noon, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := storetest.NewMemory()
			then := noon.Add(c.ahead)
			l, _ := begin(t.Context(), t, s, then, then)
			if c.completes {
				complete(t, l, then)
			}
			_, skip := begin(t.Context(), t, s, c.scheduled, noon)
			if (skip == "") != c.runs {
				t.Errorf("skipped: %q, want it to run: %v", skip, c.runs)
			}
		})
	}
	t.Run("a schedule that is delivered twice runs once, whatever the clock", func(t *testing.T) {
		s := storetest.NewMemory()
		scheduled := noon.Add(time.Hour) // the scheduler's clock is an hour ahead of ours
		l, _ := begin(t.Context(), t, s, scheduled, noon)
		complete(t, l, noon)
		if _, skip := begin(t.Context(), t, s, scheduled, noon); skip == "" {
			t.Error("it ran twice")
		}
	})
	t.Run("a run that was taken over cannot complete", func(t *testing.T) {
		s := storetest.NewMemory()
		then := noon.Add(5 * time.Hour)
		lost, _ := begin(t.Context(), t, s, then, then)
		begin(t.Context(), t, s, noon, noon)
		if lost.Complete(t.Context(), then) == nil || lost.Check(t.Context(), then) == nil {
			t.Error("two runs hold one lease")
		}
	})
}
