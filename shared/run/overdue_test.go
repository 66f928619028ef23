package run_test

import (
	"testing"
	"time"

	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// runs carries out, for a function, what happens at each minute: "s" starts a run
// that dies, "c" one that completes, "f" one that fails and says so.
func runs(t *testing.T, s store.Store, function string, at map[int]string) map[string]store.Run {
	t.Helper()
	for minute := range 24 * 60 {
		what := at[minute]
		if what == "" {
			continue
		}
		now := start.Add(time.Duration(minute) * time.Minute)
		l, skip, err := store.Begin(t.Context(), s, "acme", function, time.Time{}, 5*time.Minute, 4*time.Minute, "", now)
		if err != nil || skip != "" {
			t.Fatal(skip, err)
		}
		switch what {
		case "c":
			err = l.Complete(t.Context(), now)
		case "f":
			err = l.Release(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	it, err := s.Get(t.Context(), store.RunOf("acme", function))
	if err != nil {
		t.Fatal(err)
	}
	d, err := store.Decode[store.Run](it, store.RunSchema)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]store.Run{function: d.Value}
}

func TestOverdueIsWhatDoesNotComplete(t *testing.T) {
	for _, c := range []struct {
		name  string
		at    map[int]string
		now   int // minutes
		since int // minutes; -1 is not overdue
	}{
		{"started every period and never completed", map[int]string{0: "s", 5: "s", 10: "s"}, 11, 0},
		{"never completed, two periods not over", map[int]string{0: "s", 5: "s", 10: "s"}, 10, -1},
		{"never completed, and each says that it failed", map[int]string{0: "f", 5: "f", 10: "f"}, 11, 0},
		{"completed once, then only started", map[int]string{0: "c", 5: "s", 10: "s", 15: "s"}, 16, 0},
		{"a start clears nothing", map[int]string{0: "c", 60: "s"}, 61, 0},
		{"a completion does", map[int]string{0: "c", 60: "c"}, 61, -1},
		{"completed, then started once", map[int]string{0: "s", 5: "c", 10: "s"}, 11, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			since, overdue := run.Overdue(runs(t, storetest.NewMemory(), "peersync", c.at), "peersync", 5*time.Minute, start.Add(time.Duration(c.now)*time.Minute))
			if overdue != (c.since >= 0) {
				t.Fatalf("overdue %v since %s", overdue, since)
			}
			if want := start.Add(time.Duration(c.since) * time.Minute); overdue && !since.Equal(want) {
				t.Errorf("since %s, want %s", since, want)
			}
		})
	}
	if _, overdue := run.Overdue(nil, "peersync", time.Minute, start); overdue {
		t.Error("what nobody runs here is overdue")
	}
}

// TestACompletionAheadOfTheClockHidesNothing: the clock was five hours ahead when
// certcheck last completed, and since it is right certcheck does not run at all.
func TestACompletionAheadOfTheClockHidesNothing(t *testing.T) {
	s := storetest.NewMemory()
	all := runs(t, s, "peersync", map[int]string{300: "c"})
	all["certcheck"] = runs(t, storetest.NewMemory(), "certcheck", map[int]string{300: "c"})["certcheck"]
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	if _, overdue := run.Overdue(all, "certcheck", 15*time.Minute, at(0)); overdue {
		t.Error("overdue the moment the clock is put right")
	}
	// peersync goes on by the right clock.
	for minute := 0; minute <= 35; minute += 5 {
		all["peersync"] = runs(t, s, "peersync", map[int]string{minute: "c"})["peersync"]
	}
	if _, overdue := run.Overdue(all, "certcheck", 15*time.Minute, at(30)); overdue {
		t.Error("overdue before two of its periods have passed by this clock")
	}
	since, overdue := run.Overdue(all, "certcheck", 15*time.Minute, at(31))
	if !overdue || !since.Equal(at(0)) {
		t.Errorf("overdue %v since %s, want since the clock is right", overdue, since)
	}
}

// Since when a run is overdue, also where no other function shows since when the
// clock is right.
func TestOverdueSinceWhen(t *testing.T) {
	hour := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
	for _, c := range []struct {
		name    string
		runs    map[string]store.Run
		since   time.Time
		overdue bool
	}{
		{"nobody runs it here, and others have run for hours", map[string]store.Run{"stucksync": {Completed: start, ClockSince: hour(-2)}}, time.Time{}, false},
		{"the first start counts, not the last", map[string]store.Run{"peersync": {FirstStarted: hour(-2), Started: hour(-1)}}, hour(-2), true},
		{"it completed by a clock ahead, and nobody shows another clock", map[string]store.Run{"peersync": {Completed: hour(5), Started: hour(-1)}}, time.Time{}, false},
		{"of several functions, the one that has run longest by this clock", map[string]store.Run{
			"peersync": {Completed: hour(5), Started: hour(5)}, "stucksync": {ClockSince: hour(-2)}, "certcheck": {ClockSince: hour(-1)}, "delivery": {ClockSince: hour(5)}, "dashboard": {},
		}, hour(-2), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			since, overdue := run.Overdue(c.runs, "peersync", 5*time.Minute, start)
			if overdue != c.overdue || !since.Equal(c.since) {
				t.Errorf("overdue %v since %s, want %v since %s", overdue, since, c.overdue, c.since)
			}
		})
	}
}
