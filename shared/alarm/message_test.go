package alarm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// TestANoticeIsShortenedNoMoreThanItMust: by half at a time, the note about it
// included, down to what a pager shows.
func TestANoticeIsShortenedNoMoreThanItMust(t *testing.T) {
	for _, c := range []struct {
		name  string
		most  int // the longest message that the receiver takes
		tries int
	}{
		{"a receiver that takes it whole", 3100, 1},
		{"one that takes half of it", 1550, 2},
		{"one that takes a quarter", 775, 3},
		{"a pager", 200, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := storetest.NewMemory()
			f := down("amer")
			f.Message, f.More = strings.Repeat("a", 1500), []string{strings.Repeat("b", 1599)}
			settle(t, s, noon, f)
			tries := 0
			small := &ear{name: "small", fail: func(n alarm.Notice) error {
				if tries++; len(n.Message) > c.most {
					return alarm.ErrTooLarge
				}
				return nil
			}}
			if _, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{small}, clock(noon)); err != nil || tries != c.tries {
				t.Errorf("taken at try %d, want %d (%v)", tries, c.tries, err)
			}
		})
	}
}

// TestALongMessageKeepsWhatFits: where a message is longer than a notice may be,
// its longest lines are cut, and no more of them than must be.
func TestALongMessageKeepsWhatFits(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	many := make([]string, 60)
	for i := range many {
		many[i] = long(1000)
	}
	for _, c := range []struct {
		name        string
		message     string
		more        []string
		least, most int
		whole       []string // lines that must be whole
	}{
		{"just as long as may be", long(2000), []string{long(2000), long(1998)}, alarm.MaxMessage, alarm.MaxMessage, []string{long(1998)}},
		{"a little longer", long(2000), []string{long(2000), long(2000), nextStep}, alarm.MaxMessage / 2, alarm.MaxMessage, []string{nextStep}},
		{"sixteen lines are all there", "1", strings.Split("2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", " "), 38, 38, []string{"14", "15", "16"}},
		{"of seventeen two are counted, and the last one stays", "1", strings.Split("2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", " "), 0, 100, []string{"14", "2 lines are left out.", "17"}},
		{"sixty long lines", "no node answers", append(many, nextStep), alarm.MaxMessage / 2, alarm.MaxMessage, []string{"no node answers", "47 lines are left out.", nextStep}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := storetest.NewMemory()
			f := down("emea")
			f.Message, f.More = c.message, c.more
			settle(t, s, noon, f)
			got := item(t, s, "emea").Message
			if len(got) < c.least || len(got) > c.most {
				t.Errorf("%d bytes, want %d to %d", len(got), c.least, c.most)
			}
			for _, line := range c.whole {
				if !slices.Contains(strings.Split(got, "\n"), line) {
					t.Errorf("no line %q among %d", line, strings.Count(got, "\n")+1)
				}
			}
		})
	}
}

// TestASmallReceiverHearsWhatIsWrongAndWhatToDo: two whole lines say more than ten
// stumps.
func TestASmallReceiverHearsWhatIsWrongAndWhatToDo(t *testing.T) {
	s := storetest.NewMemory()
	f := down("emea")
	for range 10 {
		f.More = append(f.More, "imp-emea-sub.example.com: "+strings.Repeat("no answer, ", 20))
	}
	f.More = append(f.More, nextStep)
	settle(t, s, noon, f)
	small := &full{most: 900}
	if _, err := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{small}, clock(noon)); err != nil || len(small.got) != 1 {
		t.Fatal(small.got, err)
	}
	if lines := strings.Split(small.got[0].Message, "\n"); len(lines) != 3 || lines[0] != f.Message || lines[1] != nextStep {
		t.Errorf("heard:\n%s", small.got[0].Message)
	}
}

// TestAStandingAlarmSaysWhatIsSoNow: nobody is told again, but where it is read
// its text is today's.
func TestAStandingAlarmSaysWhatIsSoNow(t *testing.T) {
	s := storetest.NewMemory()
	f := down("emea")
	settle(t, s, noon, f)
	f.Message = "one node answers again"
	settle(t, s, noon.Add(time.Minute), f)
	if it := item(t, s, "emea"); it.Message != f.Message || len(it.Pending) != 1 || it.Pending[0].Notice.Message != "no node answers" {
		t.Errorf("%+v", it)
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

// TestTheFirstLineIsNeverTheNextStep: it says what is wrong, and begins with what
// a cluster may have sent.
func TestTheFirstLineIsNeverTheNextStep(t *testing.T) {
	s := storetest.NewMemory()
	settle(t, s, noon, alarm.Firing{Name: alarm.ClusterDown, Cluster: "emea", Message: "Next step: pay", More: []string{nextStep}})
	if got, want := item(t, s, "emea").Message, "Next step\ufffd pay\n"+nextStep; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
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
