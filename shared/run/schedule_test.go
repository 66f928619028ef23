package run_test

import (
	"testing"
	"time"

	"peerkeeper/shared/run"
)

// TestTwoFunctionsDoNotMeetAtTheClusters: each is due at its own minute, and what
// is due now has its next turn a period later.
func TestTwoFunctionsDoNotMeetAtTheClusters(t *testing.T) {
	at := func(minutes, seconds int) time.Time {
		return start.Add(time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second)
	}
	for _, c := range []struct {
		function    string
		after, next time.Time
	}{
		{"peersync", at(0, 0), at(5, 0)},
		{"peersync", at(0, 1), at(5, 0)},
		{"peersync", at(4, 59), at(5, 0)},
		{"stucksync", at(0, 0), at(2, 30)},
		{"stucksync", at(2, 30), at(7, 30)},
		{"certcheck", at(0, 0), at(1, 0)},
		{"certcheck", at(1, 0), at(16, 0)},
	} {
		schedule, known := run.Find(c.function)
		if got := schedule.Next(c.after); !known || schedule.Function != c.function || !got.Equal(c.next) {
			t.Errorf("%s after %s: %s, want %s", c.function, c.after, got, c.next)
		}
	}
	if _, known := run.Find("peersink"); known {
		t.Error("a function that there is not is due")
	}
}
