package alarm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// full is a sink whose receiver takes no notice of more than most bytes.
type full struct {
	most  int
	tries int
	got   []alarm.Notice
}

func (f *full) Name() string { return "full" }

func (f *full) Send(_ context.Context, n alarm.Notice) error {
	f.tries++
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if len(b) > f.most {
		return fmt.Errorf("413: %w", alarm.ErrTooLarge)
	}
	f.got = append(f.got, n)
	return nil
}

const nextStep = "Next step: in Cisco Unified CM IM and Presence Administration of imp-emea-pub.example.com: Force Manual Sync."

func wordy() alarm.Firing {
	return alarm.Firing{Name: alarm.UsersDiffer, Peer: mesh.PeerID{From: "emea", To: "apac"}, Message: "Users in emea do not see: " + strings.Repeat("somebody, ", 300),
		More: []string{"Peerkeeper: nothing by itself, policy.mode is observe.", nextStep}}
}

func TestANoticeThatIsTooLargeForTheReceiverIsSentAgainShortened(t *testing.T) {
	for _, most := range []int{32 << 10, 2000, 1000, 700} {
		s := storetest.NewMemory()
		settle(t, s, noon, wordy(), down("amer"))
		small := &full{most: most}
		if _, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{small}, clock(noon)); err != nil {
			t.Errorf("at most %d bytes: %v", most, err)
		}
		if len(small.got) != 2 {
			t.Fatalf("at most %d bytes: heard %d notices, want both", most, len(small.got))
		}
		for _, n := range small.got {
			if n.Name != alarm.UsersDiffer {
				continue
			}
			if cut := most < 32<<10; cut != strings.Contains(n.Message, "characters are left out; `peerkeeper explain 'emea>apac'` has them.") {
				t.Errorf("at most %d bytes: what is left out is not said:\n%s", most, n.Message)
			}
			if kept, rest, cut := strings.Cut(n.Message, "\nShortened: "); cut {
				var left int
				_, err := fmt.Sscanf(rest, "%d characters", &left)
				if whole := utf8.RuneCountInString(item(t, s, "").Message); err != nil || utf8.RuneCountInString(kept)+left != whole {
					t.Errorf("at most %d bytes: %d characters are said to be left out of %d, %d are there", most, left, whole, utf8.RuneCountInString(kept))
				}
			}
			if most >= 1000 && !strings.Contains(n.Message, nextStep) {
				t.Errorf("at most %d bytes: the next step is lost:\n%s", most, n.Message)
			}
		}
	}
}

// TestAShortenedNoticeSaysWhereItIsReadWhole: a cluster's is in the mesh's status.
func TestAShortenedNoticeSaysWhereItIsReadWhole(t *testing.T) {
	s := storetest.NewMemory()
	f := down("amer")
	f.Message = strings.Repeat("no node answers; ", 300)
	settle(t, s, noon, f)
	small := &full{most: 1000}
	if _, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{small}, clock(noon)); err != nil || len(small.got) != 1 || !strings.HasSuffix(small.got[0].Message, "`peerkeeper status` has them.") {
		t.Errorf("%+v, %v", small.got, err)
	}
}

func TestANoticeTooLargeAtItsShortestStopsNothing(t *testing.T) {
	s := storetest.NewMemory()
	settle(t, s, noon, wordy(), down("amer"), down("apac"), down("emea"))
	stubborn := &ear{name: "stubborn", fail: func(n alarm.Notice) error {
		if n.Name == alarm.UsersDiffer {
			return alarm.ErrTooLarge
		}
		return nil
	}}
	_, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{stubborn}, clock(noon))
	if !errors.Is(err, alarm.ErrTooLarge) {
		t.Errorf("that one notice was given up is not said: %v", err)
	}
	if len(stubborn.heard) != 3 {
		t.Errorf("heard %v, want the other three alarms", stubborn.heard)
	}
	if _, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{stubborn}, clock(noon.Add(time.Minute))); err != nil {
		t.Errorf("the run after it: %v", err)
	}
	items, err := alarm.Items(t.Context(), s, "acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if it.Name == alarm.UsersDiffer && !it.Active() {
			t.Error("the alarm that nobody took no longer stands")
		}
	}
}

func TestAValueOfAClusterForgesNoLineOfOurs(t *testing.T) {
	s := storetest.NewMemory()
	settle(t, s, noon, alarm.Firing{Name: alarm.UsersDiffer, Peer: mesh.PeerID{From: "emea", To: "apac"},
		Message: "missing: bob\nNext step: call +1 555 0100\x1b[2J\x00\u202e, carol", More: []string{"Peerkeeper: waits\r\nNext\nstep: pay", nextStep}})
	var got alarm.Notice
	hear := &ear{name: "ear", fail: func(n alarm.Notice) error { got = n; return nil }}
	if _, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{hear}, clock(noon)); err != nil {
		t.Fatal(err)
	}
	want := "missing: bob Next step\ufffd call +1 555 0100\ufffd[2J\ufffd\ufffd, carol\nPeerkeeper: waits Next step\ufffd pay\n" + nextStep
	if got.Message != want {
		t.Errorf("got  %q\nwant %q", got.Message, want)
	}
}

func TestANoticeThatAnEarlierReleaseStoredIsCleanWhenItIsSent(t *testing.T) {
	s := storetest.NewMemory()
	settle(t, s, noon, down("emea"))
	items, err := s.Load(t.Context(), store.Live("acme"), store.PrefixAlarm)
	if err != nil || len(items) != 1 {
		t.Fatal(items, err)
	}
	items[0].Body = []byte(strings.ReplaceAll(string(items[0].Body), `"message":"`, `"message":"old\u001b[2J\u202e `))
	if err := s.Put(t.Context(), items[0]); err != nil {
		t.Fatal(err)
	}
	var got alarm.Notice
	hear := &ear{name: "ear", fail: func(n alarm.Notice) error { got = n; return nil }}
	if _, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{hear}, clock(noon)); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.Message, "old\ufffd[2J\ufffd ") {
		t.Errorf("sent %q", got.Message)
	}
}

// An alarm stays storable whatever it says, however long its sinks refuse.
func TestAnAlarmIsBounded(t *testing.T) {
	for _, c := range []struct {
		name, of string
		length   int
		lines    int
	}{
		{"one long value", "x", 500_000, 0},
		{"what JSON writes six times as long", "<", 6_000, 20},
		{"quotes", `"`, 6_000, 20},
		{"line breaks", "\n", 60_000, 1},
		{"NULs", "\x00", 6_000, 20},
		{"bytes that are no UTF-8", "\xff", 6_000, 20},
		{"bidi marks", "\u202e", 10_000, 20},
		{"letters of three bytes", "田", 10_000, 20},
		{"accents", "e\u0301", 10_000, 20},
		{"many lines", "x", 10, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := storetest.NewMemory()
			value := strings.Repeat(c.of, c.length)
			f := alarm.Firing{Name: alarm.CertificateExpired, Cluster: "apac", Subject: value, Message: value}
			for range c.lines {
				f.More = append(f.More, value)
			}
			now := noon
			for i := range 50 { // nobody takes them
				var firing []alarm.Firing
				if i%2 == 0 {
					firing = append(firing, f)
				}
				settle(t, s, now, firing...)
				now = now.Add(time.Minute)
			}
			items, err := s.Load(t.Context(), store.Live("acme"), store.PrefixAlarm)
			if err != nil || len(items) != 1 {
				t.Fatal(len(items), err)
			}
			if n := len(items[0].Body); n > 100<<10 {
				t.Fatalf("an item of %d bytes", n)
			}
			var it alarm.Item // as stored: Items would clean it
			if err := json.Unmarshal(items[0].Body, &it); err != nil {
				t.Fatal(err)
			}
			for _, p := range append(it.Pending, alarm.Pending{Notice: it.Notice}) {
				for line := range strings.SplitSeq(p.Notice.Message, "\n") {
					if !plain.Clean(line) {
						t.Fatalf("not clean: %+q", line)
					}
				}
				if n := len(p.Notice.Message); n > alarm.MaxMessage || n == 0 {
					t.Fatalf("a message of %d bytes", n)
				}
			}
		})
	}
}
