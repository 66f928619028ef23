package run_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func TestOnce(t *testing.T) {
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea"}}}
	well := func(context.Context, *store.Lease) (run.Answer, error) { return run.Answer{}, nil }
	ill := func(context.Context, *store.Lease) (run.Answer, error) {
		return run.Answer{Proposals: 1}, errors.New("ill")
	}
	s := storetest.NewMemory()
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
		{"a cluster of the mesh only", 0, run.Request{Function: "peersync", Mesh: "acme", Only: []mesh.ClusterID{"emea"}}, well, false, false, start.Add(11 * time.Minute)},
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

// TestADryRunLeavesNothingBehind: a person who tries what would be done keeps no run
// from its turn.
func TestADryRunLeavesNothingBehind(t *testing.T) {
	s := storetest.NewMemory()
	sched, _ := run.Find("stucksync")
	r := run.Runner{Schedule: sched, Mesh: &mesh.Mesh{Name: "acme"}, Store: s, Now: func() time.Time { return start }}
	a, err := r.Once(t.Context(), run.Request{ScheduledTime: start, DryRun: true}, func(_ context.Context, lease *store.Lease) (run.Answer, error) {
		if lease != nil {
			t.Error("a dry run has a lease")
		}
		return run.Answer{Proposals: 2, Peers: map[peer.State]int{peer.Stuck: 1}}, nil
	})
	if err != nil || a.Proposals != 2 || a.Peers[peer.Stuck] != 1 || !a.ScheduledTime.Equal(start) {
		t.Errorf("%+v, %v", a, err)
	}
	if items, err := s.Load(t.Context(), store.Live("acme"), ""); len(items) != 0 || err != nil {
		t.Errorf("it left %v, %v", items, err)
	}
}

// TestAnAnswerCountsPeersAlsoWhereThereAreNone: what reads the JSON finds an object.
func TestAnAnswerCountsPeersAlsoWhereThereAreNone(t *testing.T) {
	r := run.Runner{Mesh: &mesh.Mesh{Name: "acme"}}
	a, err := r.Once(t.Context(), run.Request{DryRun: true}, func(context.Context, *store.Lease) (run.Answer, error) { return run.Answer{}, nil })
	if err != nil || a.Peers == nil {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestARunThatCannotBeNotedFails: without a note at its beginning nothing is done,
// and one that is not noted at its end is tried again.
func TestARunThatCannotBeNotedFails(t *testing.T) {
	down := errors.New("down")
	for name, c := range map[string]struct {
		after bool // the store goes down while it runs
		done  bool
		want  string
	}{
		"at its beginning": {false, false, "beginning peersync: "},
		"at its end":       {true, true, "completing peersync: "},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.NewMemory()
			fail := func(string, store.Key) error { return down }
			if !c.after {
				s.Fail = fail
			}
			sched, _ := run.Find("peersync")
			done := false
			_, err := run.Runner{Schedule: sched, Mesh: &mesh.Mesh{Name: "acme"}, Store: s, Now: time.Now}.Once(t.Context(), run.Request{}, func(context.Context, *store.Lease) (run.Answer, error) {
				done, s.Fail = true, fail
				return run.Answer{}, nil
			})
			if done != c.done || !errors.Is(err, down) || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("done %v, %v", done, err)
			}
		})
	}
}

// TestARunEndsWithinItsLease: past it another one may begin.
func TestARunEndsWithinItsLease(t *testing.T) {
	m := &mesh.Mesh{Name: "acme"}
	for _, sched := range run.Schedules() {
		if sched.Lease >= sched.Period {
			t.Errorf("%s: the lease of %v outlasts its period of %v", sched.Function, sched.Lease, sched.Period)
		}
		r := run.Runner{Schedule: sched, Mesh: m, Store: storetest.NewMemory(), Now: time.Now}
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
	s := storetest.NewMemory()
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
