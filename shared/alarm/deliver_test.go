package alarm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// ear is a sink that remembers what it was told.
type ear struct {
	name string

	mu    sync.Mutex
	heard []string
	fail  func(n alarm.Notice) error
	delay func() // called in Send
}

func (e *ear) Name() string { return e.name }

func (e *ear) Send(_ context.Context, n alarm.Notice) error {
	if e.delay != nil {
		e.delay()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		if err := e.fail(n); err != nil {
			return err
		}
	}
	e.heard = append(e.heard, fmt.Sprintf("%s %s%s %d", n.State, n.Cluster, n.Peer, n.Transition))
	return nil
}

func (e *ear) wants(t *testing.T, want ...string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if diff := cmp.Diff(want, e.heard); diff != "" {
		t.Errorf("%s heard (-want +got):\n%s", e.name, diff)
	}
}

var errRefused = errors.New("refused")

func refuse(alarm.Notice) error { return errRefused }

func clock(at time.Time) func() time.Time { return func() time.Time { return at } }

func settle(t *testing.T, s store.Store, now time.Time, firing ...alarm.Firing) {
	t.Helper()
	if _, err := alarm.Settle(t.Context(), s, alarm.Check{Mesh: "acme", Firing: firing, Now: now}); err != nil {
		t.Fatal(err)
	}
}

func TestDeliver(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	deliver := func(t *testing.T, s store.Store, now time.Time, wantSent int, sinks ...alarm.Sink) error {
		t.Helper()
		sent, err := alarm.Deliver(t.Context(), s, "acme", sinks, clock(now))
		if sent != wantSent {
			t.Errorf("sent %d, want %d (%v)", sent, wantSent, err)
		}
		return err
	}
	t.Run("once to every sink, oldest alarm first, raise before clear", func(t *testing.T) {
		s := storetest.NewMemory()
		settle(t, s, at(0), down("emea"))
		settle(t, s, at(1), down("emea"), down("apac"))
		settle(t, s, at(2), down("apac"), down("amer"))
		a, b := &ear{name: "a"}, &ear{name: "b"}
		want := []string{"raised emea 1", "cleared emea 2", "raised apac 1", "raised amer 1"}
		for i := range 3 {
			sent := 0
			if i == 0 {
				sent = 4
			}
			if err := deliver(t, s, at(3+i), sent, a, b); err != nil {
				t.Error(err)
			}
			a.wants(t, want...)
			b.wants(t, want...)
		}
	})
	t.Run("a refusing sink neither holds up nor repeats to the others", func(t *testing.T) {
		s := storetest.NewMemory()
		good, bad := &ear{name: "good"}, &ear{name: "bad", fail: refuse}
		settle(t, s, at(0), down("emea"))
		err := deliver(t, s, at(0), 1, bad, good)
		se, ok := errors.AsType[*alarm.SinkError](err)
		if !ok || !errors.Is(err, errRefused) || se.Sink != "bad" || se.Notice.Cluster != "emea" {
			t.Errorf("error %v", err)
		}
		settle(t, s, at(1))
		if err := deliver(t, s, at(1), 1, bad, good); !errors.Is(err, errRefused) {
			t.Error(err)
		}
		good.wants(t, "raised emea 1", "cleared emea 2")
		bad.fail = nil
		if err := deliver(t, s, at(2), 0, bad, good); err != nil {
			t.Error(err)
		}
		bad.wants(t, "raised emea 1", "cleared emea 2")
		good.wants(t, "raised emea 1", "cleared emea 2")
	})
	t.Run("what a sink took is noted once, however often another refuses", func(t *testing.T) {
		s := storetest.NewMemory()
		settle(t, s, at(0), down("emea"))
		for i := range 3 {
			sent := 0
			if i == 0 {
				sent = 1
			}
			if err := deliver(t, s, at(i), sent, &ear{name: "good"}, &ear{name: "bad", fail: refuse}); !errors.Is(err, errRefused) {
				t.Error(err)
			}
		}
		if diff := cmp.Diff([]string{"good"}, item(t, s, "emea").Pending[0].Done); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("of two reminders of one alarm, the one that was refused is sent again", func(t *testing.T) {
		s := storetest.NewMemory()
		for i, left := range []string{"28 days left", "14 days left", "7 days left"} {
			f := alarm.Firing{Name: alarm.CertificateExpiring, Cluster: "emea", Message: left, Step: left}
			settle(t, s, at(i), f)
		}
		picky := &ear{name: "picky", fail: func(n alarm.Notice) error {
			if n.Message == "7 days left" {
				return errRefused
			}
			return nil
		}}
		if err := deliver(t, s, at(3), 2, picky); !errors.Is(err, errRefused) {
			t.Error(err)
		}
		picky.fail = nil
		if err := deliver(t, s, at(4), 1, picky); err != nil {
			t.Error(err)
		}
		picky.wants(t, "raised emea 1", "repeated emea 1", "repeated emea 1")
	})
	t.Run("a reminder that was refused is sent again, although the raise of the same minute was taken", func(t *testing.T) {
		s := storetest.NewMemory()
		for _, left := range []string{"28 days left", "14 days left"} {
			settle(t, s, at(0), alarm.Firing{Name: alarm.CertificateExpiring, Cluster: "emea", Message: left, Step: left})
		}
		picky := &ear{name: "picky", fail: func(n alarm.Notice) error {
			if n.State == alarm.Repeated {
				return errRefused
			}
			return nil
		}}
		if err := deliver(t, s, at(3), 1, picky); !errors.Is(err, errRefused) {
			t.Error(err)
		}
		picky.fail = nil
		if err := deliver(t, s, at(4), 1, picky); err != nil {
			t.Error(err)
		}
		picky.wants(t, "raised emea 1", "repeated emea 1")
	})
	t.Run("a sink that refused the raise is not told the clear first", func(t *testing.T) {
		s := storetest.NewMemory()
		settle(t, s, at(0), down("emea"))
		settle(t, s, at(1))
		picky := &ear{name: "picky", fail: func(n alarm.Notice) error {
			if n.State == alarm.Raised {
				return errRefused
			}
			return nil
		}}
		if err := deliver(t, s, at(1), 0, picky); !errors.Is(err, errRefused) {
			t.Error(err)
		}
		picky.wants(t)
	})
	t.Run("a sink that keeps refusing is left alone", func(t *testing.T) {
		s := storetest.NewMemory()
		var firing []alarm.Firing
		for i := range 30 {
			firing = append(firing, down(mesh.ClusterID(fmt.Sprintf("c%02d", i))))
		}
		settle(t, s, at(0), firing...)
		asked := 0
		good, bad := &ear{name: "good"}, &ear{name: "bad", fail: func(alarm.Notice) error { asked++; return errRefused }}
		if err := deliver(t, s, at(0), 30, bad, good); !errors.Is(err, alarm.ErrResting) {
			t.Error(err)
		}
		if asked > 5 || len(good.heard) != 30 {
			t.Errorf("the bad sink was asked %d times, the good one heard %d", asked, len(good.heard))
		}
		bad.fail = nil
		if err := deliver(t, s, at(1), 0, bad, good); err != nil || len(bad.heard) != 30 {
			t.Errorf("afterwards it heard %d, %v", len(bad.heard), err)
		}
	})
	t.Run("nowhere to send is an error, and nothing is lost", func(t *testing.T) {
		s := storetest.NewMemory()
		if err := deliver(t, s, at(0), 0); err != nil {
			t.Errorf("nothing to send: %v", err)
		}
		settle(t, s, at(0), down("emea"))
		if err := deliver(t, s, at(0), 0); !errors.Is(err, alarm.ErrNoSink) {
			t.Error(err)
		}
		e := &ear{name: "e"}
		if err := deliver(t, s, at(1), 1, e); err != nil {
			t.Error(err)
		}
	})
	t.Run("two at once do not send the same", func(t *testing.T) {
		s := storetest.NewMemory()
		settle(t, s, at(0), down("emea"), down("apac"), down("amer"))
		e := &ear{name: "e"}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{e}, clock(at(0))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(e.heard) != 3 {
			t.Errorf("heard %v", e.heard)
		}
	})
	t.Run("the claim of a deliverer that died lapses", func(t *testing.T) {
		s := storetest.NewMemory()
		settle(t, s, at(0), down("emea"))
		e := &ear{name: "e"}
		writes := 0
		s.Fail = func(op string, _ store.Key) error {
			if op == "put" {
				if writes++; writes > 1 {
					return errors.New("killed")
				}
			}
			return nil
		}
		if err := deliver(t, s, at(0), 1, e); err == nil {
			t.Error("no error")
		}
		s.Fail = nil
		if err := deliver(t, s, at(1), 0, e); err != nil {
			t.Error(err)
		}
		e.wants(t, "raised emea 1")
		if err := deliver(t, s, at(5), 1, e); err != nil {
			t.Error(err)
		}
		e.wants(t, "raised emea 1", "raised emea 1") // the same pair
	})
	t.Run("what is decided while sending is kept", func(t *testing.T) {
		s := storetest.NewMemory()
		settle(t, s, at(0), down("emea"))
		e := &ear{name: "e"}
		e.delay = func() { e.delay = nil; settle(t, s, at(1)) }
		if err := deliver(t, s, at(1), 1, e); err != nil {
			t.Error(err)
		}
		e.wants(t, "raised emea 1")
		if err := deliver(t, s, at(2), 1, e); err != nil {
			t.Error(err)
		}
		e.wants(t, "raised emea 1", "cleared emea 2")
	})
	t.Run("what was sent is recorded although time ran out", func(t *testing.T) {
		s := storetest.NewMemory()
		settle(t, s, at(0), down("emea"), down("apac"))
		ctx, cancel := context.WithCancel(t.Context())
		e := &ear{name: "e", delay: cancel}
		if sent, err := alarm.Deliver(ctx, s, "acme", []alarm.Sink{e}, clock(at(0))); sent != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("sent %d, %v", sent, err)
		}
		e.delay = nil
		if err := deliver(t, s, at(1), 1, e); err != nil {
			t.Error(err)
		}
		if len(e.heard) != 2 {
			t.Errorf("heard %v", e.heard)
		}
	})
	t.Run("over and said, the store may forget it; firing again, it may not", func(t *testing.T) {
		s := storetest.NewMemory()
		s.Now = clock(at(0))
		e := &ear{name: "e"}
		key := store.Alarm("acme", alarm.Fingerprint("acme", alarm.ClusterDown, "emea", mesh.PeerID{}, ""))
		ttl := func() time.Time {
			it, err := s.Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			return it.TTL
		}
		settle(t, s, at(0), down("emea"))
		settle(t, s, at(1))
		if !ttl().IsZero() {
			t.Error("forgotten before it is said")
		}
		if err := deliver(t, s, at(2), 2, e); err != nil {
			t.Error(err)
		}
		if want := at(2).Add(alarm.KeepCleared); !ttl().Equal(want) {
			t.Errorf("expires %s, want %s", ttl(), want)
		}
		settle(t, s, at(3), down("emea"))
		if !ttl().IsZero() {
			t.Error("a standing alarm expires")
		}
	})
	t.Run("stale loads send nothing twice", func(t *testing.T) {
		s := storetest.Stale(storetest.NewMemory(), 5)
		e := &ear{name: "e"}
		for i := range 30 {
			var firing []alarm.Firing
			if i < 20 {
				firing = []alarm.Firing{down("emea")}
			}
			settle(t, s, at(i), firing...)
			if _, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{e}, clock(at(i))); err != nil {
				t.Error(err)
			}
		}
		e.wants(t, "raised emea 1", "cleared emea 2")
	})
	t.Run("two sinks of one name", func(t *testing.T) {
		s := storetest.NewMemory()
		settle(t, s, at(0), down("emea"))
		a, b := &ear{name: "file"}, &ear{name: "file", fail: refuse}
		if err := deliver(t, s, at(0), 1, a, b); !errors.Is(err, errRefused) {
			t.Error(err)
		}
		b.fail = nil
		if err := deliver(t, s, at(1), 0, a, b); err != nil {
			t.Error(err)
		}
		a.wants(t, "raised emea 1")
		b.wants(t, "raised emea 1")
	})
}

func TestLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alarms.jsonl")
	n := alarm.Notice{Name: alarm.ClusterDown, Severity: peer.Critical, State: alarm.Raised, Mesh: "acme", Cluster: "apac", Fingerprint: "ab", Transition: 1, Since: noon, Message: "line\nbreak", Runbook: "shared/alarm/README.md#alarm-clusterdown"}
	sink := &alarm.Lines{Path: path}
	send := func() {
		t.Helper()
		if err := sink.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	send()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(`{"name":"Clus`) // a process killed in the middle
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	n.Transition = 3
	send()
	n.Transition = 5
	send()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) != 5 || lines[1] != `{"name":"Clus` || lines[4] != "" {
		t.Fatalf("file:\n%s", b)
	}
	for i, transition := range map[int]int{0: 1, 2: 3, 3: 5} {
		n.Transition = transition
		var got alarm.Notice
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil || got != n {
			t.Errorf("line %d is %s (%v)", i, lines[i], err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
	if err := (&alarm.Lines{Path: t.TempDir()}).Send(t.Context(), n); err == nil {
		t.Error("wrote into a directory")
	}
}

func TestWriter(t *testing.T) {
	var out bytes.Buffer
	w := &alarm.Writer{W: &out, Now: clock(noon.Add(-8*time.Hour - 48*time.Minute))}
	for _, n := range []alarm.Notice{
		{Name: alarm.ClusterDown, State: alarm.Raised, Mesh: "acme", Cluster: "apac", Message: "no node answers"},
		{Name: alarm.UsersDiffer, State: alarm.Cleared, Mesh: "acme", Cluster: "emea", Peer: mesh.PeerID{From: "emea", To: "apac"}, Message: "two\nlines\x1b[2J\u202e"},
		{Name: alarm.RunOverdue, State: alarm.Repeated, Mesh: "acme", Message: "peersync"},
	} {
		if err := w.Send(t.Context(), n); err != nil {
			t.Error(err)
		}
	}
	want := "03:12 RAISED ClusterDown apac: no node answers\n03:12 CLEARED UsersDiffer emea>apac: two\n03:12 REPEATED RunOverdue acme: peersync\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
