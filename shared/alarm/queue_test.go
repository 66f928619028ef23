package alarm_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// item is the one alarm of a cluster.
func item(t *testing.T, s store.Store, cluster mesh.ClusterID) alarm.Item {
	t.Helper()
	items, err := alarm.Items(t.Context(), s, "acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if it.Cluster == cluster {
			return it
		}
	}
	t.Fatalf("no alarm of %s", cluster)
	return alarm.Item{}
}

// While notices are sent, what they are about goes on.
func TestWhatHappensWhileANoticeIsSent(t *testing.T) {
	t.Run("it is over: the clear is sent next", func(t *testing.T) {
		s := storetest.NewMemory()
		settle(t, s, noon, down("emea"))
		e := &ear{name: "e"}
		e.delay = func() { e.delay = nil; settle(t, s, noon.Add(time.Minute)) }
		if sent, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{e}, clock(noon)); sent != 1 || err != nil {
			t.Errorf("sent %d, %v", sent, err)
		}
		if got := said(item(t, s, "emea")); len(got) != 1 || got[0] != "cleared 2" {
			t.Errorf("waiting: %v", got)
		}
		if sent, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{e}, clock(noon)); sent != 1 || err != nil {
			t.Errorf("sent %d, %v", sent, err)
		}
		e.wants(t, "raised emea 1", "cleared emea 2")
	})
	t.Run("the caller's time is up: no other sink and no other alarm is begun", func(t *testing.T) {
		s := storetest.NewMemory()
		settle(t, s, noon, down("apac"))
		settle(t, s, noon.Add(time.Minute), down("apac"), down("emea"))
		ctx, cancel := context.WithCancel(t.Context())
		first, second := &ear{name: "first", delay: cancel}, &ear{name: "second"}
		_, err := alarm.Deliver(ctx, s, "acme", []alarm.Sink{first, second}, clock(noon))
		refused, _ := errors.AsType[*alarm.SinkError](err)
		if !errors.Is(err, context.Canceled) || refused == nil || refused.Sink != "second" || strings.Contains(err.Error(), "claiming") {
			t.Errorf("%v", err)
		}
		first.wants(t, "raised apac 1")
		second.wants(t)
		if it := item(t, s, "apac"); len(it.Pending) != 1 || len(it.Pending[0].Done) != 1 || !it.ClaimedUntil.IsZero() {
			t.Errorf("what the first sink took is not recorded: %+v", it)
		}
	})
	t.Run("it takes so long that another deliverer has it now", func(t *testing.T) {
		s := storetest.NewMemory()
		settle(t, s, noon, down("emea"))
		others := noon.Add(time.Hour)
		e := &ear{name: "e", delay: func() {
			_, _, err := store.Claim(t.Context(), s, store.Alarm("acme", item(t, s, "emea").Fingerprint), alarm.Schema, func(d *store.Doc[alarm.Item], _ bool) (bool, error) {
				d.Value.ClaimedUntil = others
				return true, nil
			})
			if err != nil {
				t.Error(err)
			}
		}}
		if _, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{e}, clock(noon)); err != nil {
			t.Error(err)
		}
		if it := item(t, s, "emea"); !it.ClaimedUntil.Equal(others) {
			t.Errorf("its claim is gone: %s", it.ClaimedUntil)
		}
	})
	t.Run("the alarm is forgotten", func(t *testing.T) {
		s := storetest.NewMemory()
		s.Now = clock(noon)
		settle(t, s, noon, down("emea"))
		e := &ear{name: "e", delay: func() {
			key := store.Alarm("acme", item(t, s, "emea").Fingerprint)
			it, err := s.Get(t.Context(), key)
			if err == nil {
				err = s.Delete(t.Context(), key, it.Version)
			}
			if err != nil {
				t.Error(err)
			}
		}}
		if sent, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{e}, clock(noon)); sent != 1 || err != nil {
			t.Errorf("sent %d, %v", sent, err)
		}
		if items, err := alarm.Items(t.Context(), s, "acme"); len(items) != 0 || err != nil {
			t.Errorf("an alarm without a name came back: %+v, %v", items, err)
		}
	})
}

// TestWhatCannotBeWrittenDownOfADeliveryIsSaid: before it, and nothing is sent;
// after it, and the notice will be sent again.
func TestWhatCannotBeWrittenDownOfADeliveryIsSaid(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		allowed int // writes
		sent    int
		want    string
	}{{0, 0, "claiming ALARM#"}, {1, 1, "recording what was sent of ALARM#"}} {
		s := storetest.NewMemory()
		settle(t, s, noon, down("emea"))
		writes := 0
		s.Fail = func(op string, _ store.Key) error {
			if op == "put" {
				if writes++; writes > c.allowed {
					return broken
				}
			}
			return nil
		}
		e := &ear{name: "e"}
		sent, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{e}, clock(noon))
		if sent != c.sent || len(e.heard) != c.sent || !errors.Is(err, broken) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("after %d writes: sent %d, heard %v, %v", c.allowed, sent, e.heard, err)
		}
	}
}

// TestLastSentIsWhenSomebodyHeardOfIt: it is what a person reads who asks whether
// the notice went out.
func TestLastSentIsWhenSomebodyHeardOfIt(t *testing.T) {
	s := storetest.NewMemory()
	settle(t, s, noon, down("emea"))
	e := &ear{name: "e", fail: refuse}
	for minute, want := range []time.Time{{}, noon.Add(time.Minute), noon.Add(time.Minute)} {
		now := noon.Add(time.Duration(minute) * time.Minute)
		_, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{e}, clock(now))
		if refused := minute == 0; errors.Is(err, errRefused) != refused {
			t.Errorf("minute %d: %v", minute, err)
		}
		if got := item(t, s, "emea").LastSent; !got.Equal(want) {
			t.Errorf("minute %d: last sent %s, want %s", minute, got, want)
		}
		e.fail = nil
	}
}

// TestASinkWithoutANameIsKnownByItsKind: also two of one kind, of which one refuses.
func TestASinkWithoutANameIsKnownByItsKind(t *testing.T) {
	s := storetest.NewMemory()
	settle(t, s, noon, down("emea"), down("apac"))
	first, second := &ear{name: "first", fail: refuse}, &ear{name: "second"}
	sinks := []alarm.Sink{nameless{first}, nameless{second}}
	if sent, err := alarm.Deliver(t.Context(), s, "acme", sinks, clock(noon)); sent != 2 || !errors.Is(err, errRefused) {
		t.Errorf("sent %d, %v", sent, err)
	}
	first.fail = nil
	if sent, err := alarm.Deliver(t.Context(), s, "acme", sinks, clock(noon)); sent != 0 || err != nil {
		t.Errorf("sent %d, %v", sent, err)
	}
	if len(first.heard) != 2 || len(second.heard) != 2 {
		t.Errorf("heard %v and %v", first.heard, second.heard)
	}
}

type nameless struct{ next *ear }

func (n nameless) Send(ctx context.Context, notice alarm.Notice) error {
	return n.next.Send(ctx, notice)
}

// TestARefusingSinkIsAskedThreeTimesADelivery: thirty alarms must not wait for its
// timeout each; one answer, and it is asked on.
func TestARefusingSinkIsAskedThreeTimesADelivery(t *testing.T) {
	for name, c := range map[string]struct {
		answers int // which call it answers; 0 is none
		asked   int
	}{"it never answers": {0, 3}, "it answers the third": {3, 6}} {
		s := storetest.NewMemory()
		var firing []alarm.Firing
		for _, id := range []mesh.ClusterID{"a", "b", "c", "d", "e", "f", "g", "h"} {
			firing = append(firing, down(id))
		}
		settle(t, s, noon, firing...)
		asked := 0
		sink := &ear{name: "sink", fail: func(alarm.Notice) error {
			if asked++; asked == c.answers {
				return nil
			}
			return errRefused
		}}
		_, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{sink}, clock(noon))
		if asked != c.asked || !errors.Is(err, alarm.ErrResting) {
			t.Errorf("%s: asked %d times, want %d; %v", name, asked, c.asked, err)
		}
	}
}
