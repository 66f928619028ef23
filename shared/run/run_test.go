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
	well := func(context.Context) (run.Answer, error) { return run.Answer{}, nil }
	ill := func(context.Context) (run.Answer, error) { return run.Answer{Proposals: 1}, errors.New("ill") }
	s := store.NewMemory()
	now := start
	s.Now = func() time.Time { return now }
	once := func(req run.Request, do func(context.Context) (run.Answer, error)) (run.Answer, error) {
		return run.Once(t.Context(), s, m, req, s.Now, do)
	}
	steps := []struct {
		name    string
		after   time.Duration
		req     run.Request
		do      func(context.Context) (run.Answer, error)
		skipped bool
		fails   bool
		time    time.Time // answered scheduled time
	}{
		{"fails, and gives the lease back", 0, run.Request{Function: "peersync", ScheduledTime: start}, ill, false, true, start},
		{"so that the retry may run", 0, run.Request{Function: "peersync", ScheduledTime: start}, well, false, false, start},
		{"the same event again", time.Minute, run.Request{Function: "peersync", ScheduledTime: start}, well, true, false, start},
		{"an event older than a period", 10 * time.Minute, run.Request{Function: "peersync", ScheduledTime: start.Add(time.Minute)}, well, true, false, start.Add(time.Minute)},
		{"a person, at any time, gets the time that was run for", 0, run.Request{Function: "peersync"}, well, false, false, start.Add(11 * time.Minute)},
		{"no such function", 0, run.Request{Function: "peersink"}, well, false, true, time.Time{}},
		{"another mesh", 0, run.Request{Function: "peersync", Mesh: "other"}, well, false, true, time.Time{}},
		{"no such cluster", 0, run.Request{Function: "peersync", Only: []mesh.ClusterID{"mars"}}, well, false, true, time.Time{}},
	}
	for _, x := range steps {
		now = now.Add(x.after)
		a, err := once(x.req, x.do)
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
		_, err := run.Once(t.Context(), store.NewMemory(), m, run.Request{Function: sched.Function}, time.Now, func(ctx context.Context) (run.Answer, error) {
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
