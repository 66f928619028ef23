package repair

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
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

// Which marks of the gate are noted as ahead: those further than they could have
// been set by this clock, and kept right clocks differ by up to five minutes.
func TestWhichMarksAreNotedAsAhead(t *testing.T) {
	closed := func(meant, at time.Duration) Gate {
		return Gate{Closed: []Closure{{Seq: 1, Meant: noon.Add(meant), At: noon.Add(at)}}}
	}
	for _, c := range []struct {
		name string
		gate Gate
		want []string
	}{
		{"a restart of five minutes ahead", Gate{Restarts: []Restart{{1, "emea", noon.Add(5 * time.Minute)}}}, nil},
		{"a restart of more than that", Gate{Restarts: []Restart{{1, "emea", noon.Add(5*time.Minute + time.Second)}}}, []string{"restart 1"}},
		{"meant ahead, ended now", closed(6*time.Minute, 0), []string{"closed 1"}},
		{"meant now, ended ahead", closed(0, 6*time.Minute), []string{"closed 1"}},
		{"meant and ended in the past", closed(-time.Hour, -time.Minute), nil},
		{"an intent that was just meant", Gate{Open: []Intent{{Seq: 1, Deadline: noon.Add(sendWindow)}}}, nil},
		{"an intent by a clock six minutes ahead", Gate{Open: []Intent{{Seq: 1, Deadline: noon.Add(sendWindow + 6*time.Minute)}}}, []string{"open 1"}},
		{"the longest lock, just taken", Gate{Locks: []Lock{{Seq: 1, Until: noon.Add(longestLock)}}}, nil},
		{"a lock by a clock six minutes ahead", Gate{Locks: []Lock{{Seq: 1, Until: noon.Add(longestLock + 6*time.Minute)}}}, []string{"lock 1"}},
		{"noted before, and still there", Gate{Restarts: []Restart{{1, "emea", noon}}, Ahead: map[string]time.Time{"restart 1": noon.Add(-time.Hour)}}, []string{"restart 1"}},
		{"noted of a mark that is no more", Gate{Ahead: map[string]time.Time{"restart 1": noon.Add(-time.Hour)}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			was := len(c.gate.Ahead)
			changed := c.gate.found(noon)
			if got := slices.Sorted(maps.Keys(c.gate.Ahead)); !slices.Equal(got, c.want) {
				t.Errorf("noted %q, want %q", got, c.want)
			}
			if changed != (was != len(c.want)) {
				t.Errorf("says that this changes something: %v", changed)
			}
		})
	}
}

// Every tick looks whether marks lie ahead; only what it finds is written down,
// once and for people to read, and a gate that cannot be read is a failure.
func TestWhatIsAheadIsWrittenDownOnce(t *testing.T) {
	r := newRig(t)
	entries := func() int {
		got, err := History(t.Context(), r.store, "acme", noon.AddDate(0, 0, -1), noon.AddDate(0, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		return len(got)
	}
	if r.do(restart()); r.ended() != DoneProven {
		t.Fatal(r.ended())
	}
	was := entries()
	if r.settle(); entries() != was {
		t.Error("something is noted although nothing lies ahead")
	}
	r.now = noon.Add(-time.Hour)
	for range 2 {
		r.settle()
		got, err := History(t.Context(), r.store, "acme", noon.AddDate(0, 0, -1), noon.AddDate(0, 0, 1))
		if err != nil || len(got) != was+1 {
			t.Fatalf("%d entries, want %d: %v", len(got), was+1, err)
		}
		if last := got[len(got)-1]; last.Intent != "clock" || !strings.HasPrefix(last.Evidence, "2 marks of the gate were set ahead of this clock") {
			t.Errorf("it reads %+v", last)
		}
	}
	reads := 0
	r.store.Fail = func(op string, key store.Key) error {
		if op == "get" && key == store.Gate("acme") {
			if reads++; reads == 2 { // settled, and then not told what lies ahead
				return errNoWay
			}
		}
		return nil
	}
	if _, err := r.Settle(t.Context()); !errors.Is(err, errNoWay) {
		t.Errorf("a gate that cannot be read: %v", err)
	}
}
