package run_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func TestOnce(t *testing.T) {
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea"}}}
	well := func(context.Context, *store.Lease) (run.Answer, error) { return run.Answer{}, nil }
	ill := func(context.Context, *store.Lease) (run.Answer, error) {
		return run.Answer{Proposals: 1}, errors.New("ill")
	}
	s := store.NewMemory()
	now := start
	s.Now = func() time.Time { return now }
	sched, _ := run.Find("peersync")
	r := run.Runner{Schedule: sched, Mesh: m, Store: s, Now: s.Now}
	steps := []struct {
		name    string
		after   time.Duration
		req     run.Request
		do      func(context.Context, *store.Lease) (run.Answer, error)
		skipped bool
		fails   bool
		time    time.Time // answered scheduled time
	}{
		{"fails, and gives the lease back", 0, run.Request{Function: "peersync", ScheduledTime: start}, ill, false, true, start},
		{"so that the retry may run", 0, run.Request{Function: "peersync", ScheduledTime: start}, well, false, false, start},
		{"the same event again", time.Minute, run.Request{Function: "peersync", ScheduledTime: start}, well, true, false, start},
		{"an event older than a period", 10 * time.Minute, run.Request{Function: "peersync", ScheduledTime: start.Add(time.Minute)}, well, true, false, start.Add(time.Minute)},
		{"a person, at any time, gets the time that was run for", 0, run.Request{Function: "peersync"}, well, false, false, start.Add(11 * time.Minute)},
		{"another function", 0, run.Request{Function: "peersink"}, well, false, true, time.Time{}},
		{"another mesh", 0, run.Request{Function: "peersync", Mesh: "other"}, well, false, true, time.Time{}},
		{"no such cluster", 0, run.Request{Function: "peersync", Only: []mesh.ClusterID{"mars"}}, well, false, true, time.Time{}},
	}
	for _, x := range steps {
		now = now.Add(x.after)
		a, err := r.Once(t.Context(), x.req, x.do)
		if (err != nil) != x.fails || (a.Skipped != "") != x.skipped || !a.ScheduledTime.Equal(x.time) {
			t.Errorf("%s: %+v, %v", x.name, a, err)
		}
	}
}

// TestARunEndsWithinItsLease: past it another one may begin.
func TestARunEndsWithinItsLease(t *testing.T) {
	m := &mesh.Mesh{Name: "acme"}
	for _, sched := range run.Schedules() {
		if sched.Lease >= sched.Period {
			t.Errorf("%s: the lease of %v outlasts its period of %v", sched.Function, sched.Lease, sched.Period)
		}
		r := run.Runner{Schedule: sched, Mesh: m, Store: store.NewMemory(), Now: time.Now}
		_, err := r.Once(t.Context(), run.Request{}, func(ctx context.Context, _ *store.Lease) (run.Answer, error) {
			end, ok := ctx.Deadline()
			if left := time.Until(end); !ok || left > sched.Lease {
				t.Errorf("%s may go on for %v (%v), its lease lasts %v", sched.Function, left, ok, sched.Lease)
			}
			return run.Answer{}, nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestAFunctionThatIsNotOnAClock has the same lease, for an answer of its own: two
// runs do not meet, one that failed may be tried again at once, and no event is
// too old for it.
func TestAFunctionThatIsNotOnAClock(t *testing.T) {
	m := &mesh.Mesh{Name: "acme"}
	s := store.NewMemory()
	s.Now = func() time.Time { return start }
	r := run.Runner{Schedule: run.Schedule{Function: "delivery", Lease: time.Minute}, Mesh: m, Store: s, Now: s.Now}
	type delivered struct{ Sent int }
	deliver := func(at time.Time, err error) (delivered, string, error) {
		return run.Hold(t.Context(), r, at, func(context.Context, *store.Lease) (delivered, error) { return delivered{3}, err })
	}
	yesterday := start.AddDate(0, 0, -1)
	_, skipped, err := run.Hold(t.Context(), r, yesterday, func(ctx context.Context, lease *store.Lease) (delivered, error) {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > time.Minute {
			t.Errorf("it may go on until %s", end)
		}
		if _, skipped, err := deliver(time.Time{}, nil); skipped == "" || err != nil {
			t.Errorf("a second run while the first is under way: skipped %q, %v", skipped, err)
		}
		return delivered{}, errors.New("ill")
	})
	if skipped != "" || err == nil {
		t.Errorf("a run that fails: skipped %q, %v", skipped, err)
	}
	if a, skipped, err := deliver(yesterday, nil); a.Sent != 3 || skipped != "" || err != nil {
		t.Errorf("its retry: %+v, skipped %q, %v", a, skipped, err)
	}
	if a, skipped, err := deliver(yesterday, nil); a.Sent != 0 || skipped == "" || err != nil {
		t.Errorf("the same event again: %+v, skipped %q, %v", a, skipped, err)
	}
	if a, skipped, err := deliver(time.Time{}, nil); a.Sent != 3 || skipped != "" || err != nil {
		t.Errorf("a run now: %+v, skipped %q, %v", a, skipped, err)
	}
}
