package host

import (
	"context"
	"errors"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// stepping is a clock that is put forward or back while it is waited for.
type stepping struct {
	now   time.Time
	steps []time.Duration // by turn: how far beyond the instant waited for it then shows
}

func (c *stepping) Now() time.Time { return c.now }

var errStopped = errors.New("stopped")

func (c *stepping) Until(_ context.Context, t time.Time) error {
	if len(c.steps) == 0 {
		return errStopped
	}
	c.now, c.steps = t.Add(c.steps[0]), c.steps[1:]
	return nil
}

// TestAClockThatIsSetUnderRun: no turn is lost for longer than the period in
// which the clock was set.
func TestAClockThatIsSetUnderRun(t *testing.T) {
	noon := time.Date(2026, 3, 2, 12, 1, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		steps []time.Duration
	}{
		{"it is right", []time.Duration{0, 0, 0, 0}},
		{"back two hours", []time.Duration{0, -2 * time.Hour, 0, 0, 0}},
		{"back a year", []time.Duration{0, -365 * 24 * time.Hour, 0, 0}},
		{"forward five hours", []time.Duration{0, 5 * time.Hour, 0, 0}},
		{"forward five hours, then right again", []time.Duration{5 * time.Hour, 0, -5 * time.Hour, 0, 0}},
		{"the machine slept for three days", []time.Duration{0, 72 * time.Hour, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := &stepping{now: noon, steps: c.steps}
			m := &mesh.Mesh{Name: "acme"}
			s := storetest.NewMemory()
			ran := 0
			h := &Host{Mesh: m, Store: s, Clock: clock}
			h.Ran = func(a run.Answer, err error) {
				if err != nil || a.Skipped != "" {
					t.Errorf("at %s: skipped %q, %v", clock.now, a.Skipped, err)
				}
				ran++
			}
			sched, _ := run.Find("peersync")
			r := run.Runner{Schedule: sched, Mesh: m, Store: s, Now: clock.Now}
			h.once.Do(func() {
				h.handle = map[string]handler{"peersync": func(ctx context.Context, req run.Request) (run.Answer, error) {
					return r.Once(ctx, req, func(context.Context, *store.Lease) (run.Answer, error) { return run.Answer{}, nil })
				}}
			})
			h.loop(t.Context(), sched)
			if ran != len(c.steps) {
				t.Errorf("%d runs in %d turns", ran, len(c.steps))
			}
		})
	}
}

// TestTheHostRunsWhateverIsOnTheClock, and nothing by a name that nobody calls.
func TestTheHostRunsWhateverIsOnTheClock(t *testing.T) {
	h := &Host{Mesh: &mesh.Mesh{Name: "acme"}, Store: storetest.NewMemory(), Clock: Wall{}}
	h.build()
	for _, s := range run.Schedules() {
		if h.handle[s.Function] == nil {
			t.Errorf("%s is on the clock, and this host does not run it", s.Function)
		}
	}
	if all := Schedules(); len(h.handle) != len(all) || all[len(all)-1].Function != "stucksync" {
		t.Errorf("functions %v, in the order %v", h.handle, all)
	}
	if _, err := h.Handle(t.Context(), run.Request{Function: "peersink"}); err == nil {
		t.Error("it runs a function that there is not")
	}
}
