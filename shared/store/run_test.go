package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func begin(ctx context.Context, t *testing.T, s store.Store, scheduled, now time.Time) (store.Lease, string) {
	t.Helper()
	l, skip, err := store.Begin(ctx, s, "acme", "peersync", scheduled, 5*time.Minute, 2*time.Minute, "cafe", now)
	if err != nil {
		t.Fatal(err)
	}
	return l, skip
}

func complete(t *testing.T, l store.Lease, now time.Time) {
	t.Helper()
	if err := l.Complete(t.Context(), now); err != nil {
		t.Fatal(err)
	}
}

func TestBegin(t *testing.T) {
	never := time.Time{}
	for _, c := range []struct {
		name      string
		before    func(t *testing.T, s store.Store)
		scheduled time.Time
		now       time.Time
		skipped   bool
		token     int64
	}{
		{"the first run", nil, noon, noon, false, 1},
		{"a late first run, still within its period", nil, noon, noon.Add(5 * time.Minute), false, 1},
		{"a run older than its period", nil, noon, noon.Add(5*time.Minute + time.Second), true, 0},
		{"the same scheduled time, completed", completed, noon, noon.Add(time.Minute), true, 0},
		{"an earlier scheduled time than the completed one", completed, noon.Add(-time.Minute), noon.Add(time.Minute), true, 0},
		{"the next scheduled time", completed, noon.Add(5 * time.Minute), noon.Add(5 * time.Minute), false, 2},
		{"forced after a completed run", completed, never, noon.Add(time.Minute), false, 2},
		{"while another run is under way", running, noon.Add(time.Minute), noon.Add(time.Minute), true, 0},
		{"forced while another run is under way", running, never, noon.Add(time.Minute), true, 0},
		{"the same run again after its holder died", running, noon, noon.Add(2 * time.Minute), false, 2},
		{"the same run again after it was released", released, noon, noon.Add(time.Second), false, 2},
		{"the next run after a completed and a released one", completedThenReleased, noon.Add(time.Minute), noon.Add(time.Minute), false, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := storetest.NewMemory()
			if c.before != nil {
				c.before(t, s)
			}
			was, wasErr := s.Get(t.Context(), store.RunOf("acme", "peersync"))
			l, skip := begin(t.Context(), t, s, c.scheduled, c.now)
			if (skip != "") != c.skipped {
				t.Fatalf("skip %q", skip)
			}
			if c.skipped {
				if is, err := s.Get(t.Context(), store.RunOf("acme", "peersync")); is.Version != was.Version || (err == nil) != (wasErr == nil) {
					t.Error("a skipped run wrote something")
				}
				return
			}
			if l.Run.Token != c.token || l.Run.ConfigHash != "cafe" || !l.Run.LeaseUntil.Equal(c.now.Add(2*time.Minute)) {
				t.Errorf("run %+v, want token %d", l.Run, c.token)
			}
			if want := c.scheduled; !want.IsZero() && !l.Run.ScheduledTime.Equal(want) || want.IsZero() && !l.Run.ScheduledTime.Equal(c.now) {
				t.Errorf("scheduled time %s", l.Run.ScheduledTime)
			}
			if l.Before.Token != c.token-1 {
				t.Errorf("before %+v", l.Before)
			}
		})
	}
}

func completed(t *testing.T, s store.Store) {
	l, _ := begin(t.Context(), t, s, noon, noon)
	complete(t, l, noon) // a stepped clock stands still during a run
}

func running(t *testing.T, s store.Store) { begin(t.Context(), t, s, noon, noon) }

func released(t *testing.T, s store.Store) {
	l, _ := begin(t.Context(), t, s, noon, noon)
	if err := l.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func completedThenReleased(t *testing.T, s store.Store) {
	completed(t, s)
	l, _ := begin(t.Context(), t, s, noon.Add(time.Minute), noon.Add(time.Minute))
	if err := l.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestCompletedStaysWhileTheNextRunIsUnderWay(t *testing.T) {
	s := storetest.NewMemory()
	completed(t, s)
	l, _ := begin(t.Context(), t, s, noon.Add(5*time.Minute), noon.Add(5*time.Minute))
	if !l.Run.Completed.Equal(noon) || l.Run.Finished() {
		t.Errorf("%+v", l.Run)
	}
}

func TestALostLeaseCannotComplete(t *testing.T) {
	s := storetest.NewMemory()
	first, _ := begin(t.Context(), t, s, noon, noon)
	if err := first.Check(t.Context(), noon.Add(time.Minute)); err != nil {
		t.Errorf("a held lease: %v", err)
	}
	later := noon.Add(2 * time.Minute)
	if err := first.Check(t.Context(), later); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("a lease that ran out: %v", err)
	}
	second, _ := begin(t.Context(), t, s, noon, later)
	if err := first.Complete(t.Context(), later); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("completing a lost lease: %v", err)
	}
	if err := first.Check(t.Context(), noon); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("a lease taken over: %v", err)
	}
	if err := second.Check(t.Context(), later); err != nil {
		t.Errorf("the second lease: %v", err)
	}
	complete(t, second, later)
	complete(t, second, later.Add(time.Hour)) // twice does nothing
	if _, skip := begin(t.Context(), t, s, noon, later); skip == "" {
		t.Error("a completed run began again")
	}
}

func TestTwoDeliveriesOfOneScheduledTime(t *testing.T) {
	s := storetest.NewMemory()
	var began atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, skip, err := store.Begin(t.Context(), s, "acme", "stucksync", noon, time.Minute, time.Minute, "cafe", noon)
			if err != nil {
				t.Error(err)
			} else if skip == "" {
				began.Add(1)
			}
		})
	}
	wg.Wait()
	if began.Load() != 1 {
		t.Errorf("%d of 8 deliveries began", began.Load())
	}
}

// DynamoDB's client tries again by itself after a lost answer, and then sees
// its own write as a conflict.
func TestOwnWriteSeenAsConflict(t *testing.T) {
	s := storetest.NewMemory()
	first := true
	s.Fail = func(op string, _ store.Key) error {
		if op == "written" && first {
			first = false
			return store.ErrConflict
		}
		return nil
	}
	l, skip := begin(t.Context(), t, s, noon, noon)
	if skip != "" || l.Run.Token != 1 {
		t.Fatalf("skip %q, run %+v", skip, l.Run)
	}
	complete(t, l, noon)
}

func TestBeginRefusesALeaseOfNothing(t *testing.T) {
	if _, _, err := store.Begin(t.Context(), storetest.NewMemory(), "acme", "peersync", noon, time.Minute, 0, "", noon); err == nil {
		t.Error("no error")
	}
}
