package record_test

import (
	"testing"
	"time"

	"peerkeeper/shared/record"
)

// TestMaintenanceByAWrongClockDoesNotSilence: what was declared for two hours by a
// clock that was five hours ahead would keep a mesh silent for seven.
func TestMaintenanceByAWrongClockDoesNotSilence(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name            string
		ahead           time.Duration
		lasts           time.Duration
		holds, silences bool
	}{
		{"by a right clock", 0, 2 * time.Hour, true, true},
		{"from a laptop ten minutes ahead", 10 * time.Minute, 2 * time.Hour, true, true},
		{"from a laptop ten minutes behind", -10 * time.Minute, 2 * time.Hour, true, true},
		{"by a clock five hours ahead: nothing acts, and what is wrong is said", 5 * time.Hour, 2 * time.Hour, true, false},
		{"until it is taken back, by a clock five hours ahead", 5 * time.Hour, 0, true, true},
		{"over", -3 * time.Hour, 2 * time.Hour, false, false},
	} {
		w := record.Override{Scope: "emea", At: now.Add(c.ahead)}
		if c.lasts > 0 {
			w.Expires = w.At.Add(c.lasts)
		}
		if w.Holds(now) != c.holds || w.Silences(now) != c.silences {
			t.Errorf("%s: holds %v, silences %v", c.name, w.Holds(now), w.Silences(now))
		}
		said := record.Overrides{Maintenance: []record.Override{w}}
		if said.MaintenanceOf("emea", now) != c.silences {
			t.Errorf("%s: notices are held: %v", c.name, !c.silences)
		}
		if _, _, stops := said.Stops("emea", nil, nil, now); stops != c.holds {
			t.Errorf("%s: actions are held: %v", c.name, stops)
		}
	}
}
