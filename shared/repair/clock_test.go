package repair

import (
	"testing"
	"time"

	"peerkeeper/shared/peer"
)

// A clock that was wrong once neither unlocks what the gate limits nor locks it
// for longer than a day.
func TestMarksAheadOfTheClockCountAsNow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		ahead  time.Duration
		limit  string // the guard that counts them
		holds  []time.Duration
		passes []time.Duration
	}{
		{"a restart 3 h ahead, and the hour", 3 * time.Hour, "clusterLimit", []time.Duration{0, 239 * time.Minute}, []time.Duration{241 * time.Minute, 25 * time.Hour}},
		{"a restart 12 days ahead, and the hour", 300 * time.Hour, "clusterLimit", []time.Duration{0, 23 * time.Hour}, []time.Duration{24 * time.Hour, 300 * time.Hour}},
		{"three restarts 23 h ahead, and the day", 23 * time.Hour, "dayLimit", []time.Duration{0, 23 * time.Hour}, []time.Duration{24 * time.Hour, 40 * time.Hour}},
		{"three restarts 12 days ahead, and the day", 300 * time.Hour, "dayLimit", []time.Duration{0, 23 * time.Hour}, []time.Duration{24 * time.Hour, 301 * time.Hour}},
		{"one that ended 12 days ahead, and the half hour", 300 * time.Hour, "again", []time.Duration{0, 23 * time.Hour}, []time.Duration{24 * time.Hour, 300 * time.Hour}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := noon.Add(tt.ahead)
			g := Gate{PauseEpoch: 4}
			switch tt.limit {
			case "clusterLimit":
				g.Restarts = []Restart{{1, "emea", at}}
			case "again":
				g.Closed = []Closure{{Seq: 1, Action: peer.RestartService, Target: icsa, At: at, Meant: at, Outcome: DoneProven}}
			default:
				for i := range 3 {
					g.Closed = append(g.Closed, Closure{Seq: int64(i + 1), Action: peer.RestartService, Target: icsa, At: at, Meant: at, Outcome: DoneProven})
				}
			}
			if !g.found(noon) {
				t.Fatal("nothing was found ahead")
			}
			if g.found(noon) {
				t.Error("found again each time")
			}
			stopped := func(after time.Duration) bool {
				_, p, s := calm()
				s.Now = noon.Add(after)
				g := g
				g.forget(s.Now)
				for _, r := range Refusals(&g, p, s) {
					if r.Guard == tt.limit {
						return true
					}
				}
				return false
			}
			for _, d := range tt.holds {
				if !stopped(d) {
					t.Errorf("%v after it was found it does not count", d)
				}
			}
			for _, d := range tt.passes {
				if stopped(d) {
					t.Errorf("%v after it was found it still holds", d)
				}
			}
		})
	}
	t.Run("a clock that is behind for a while, and right again", func(t *testing.T) {
		g := Gate{Restarts: []Restart{{1, "emea", noon}}}
		g.found(noon.Add(-90 * time.Minute))
		if n := restarts(&g, noon.Add(35*time.Minute), "emea"); n != 1 {
			t.Error("a restart of 35 min ago does not count any more")
		}
	})
}

// An intent that was written by a clock five hours ahead is read back a minute
// after it is found, and does not keep its cluster shut for five hours.
func TestIntentOfAClockAheadIsReadBack(t *testing.T) {
	r := newRig(t)
	r.answer = errLost
	r.now = noon.Add(5 * time.Hour)
	r.since = r.now.Add(-6 * time.Hour)
	r.do(restart())
	r.now = noon // put right
	r.since = noon.Add(-time.Minute)
	if r.settle(); r.ended() != "open" {
		t.Fatalf("%s at once: it may still be on its way", r.ended())
	}
	r.now = noon.Add(5 * time.Minute)
	if r.settle(); r.ended() != DoneProven {
		t.Errorf("%s, want it read back", r.ended())
	}
	r.verify()
}
