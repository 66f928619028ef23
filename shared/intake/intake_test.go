package intake_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/intake"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// three clusters, each of which pulls the others.
func three() *mesh.Mesh {
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{
		{ID: "emea", Publisher: "imp1.emea.example.com", SyslogFrom: []string{"192.0.2.9"}, Nodes: []mesh.Node{{Name: "imp1.emea.example.com", Address: "198.51.100.1:8443"}}},
		{ID: "apac", Publisher: "imp1.apac.example.com", SyslogFrom: []string{"192.0.2.9"}, Nodes: []mesh.Node{{Name: "imp1.apac.example.com", Address: "198.51.100.2:8443"}}},
		{ID: "amer", Publisher: "imp-amer.example.com", Nodes: []mesh.Node{{Name: "imp-amer.example.com", Address: "198.51.100.3:8443"}}},
	}}
	for _, a := range m.IDs() {
		for _, b := range m.IDs() {
			if a != b {
				m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: a, To: b}})
			}
		}
	}
	return m
}

const (
	success = "UC_ICSA-6-InterClusterSyncAgentStatus"
	down    = "UC_ICSA-2-InterclusterSyncAgentPeerDown"
)

// line is one as a node pushes it.
func line(node, alarm, remote string, at time.Time) string {
	text := "Periodic sync completed successfully."
	if alarm != success {
		text = "No answer."
	}
	return fmt.Sprintf("<189>7: %s: %s.000 UTC :  %%%s: %%[remotePeerAddress=%s][App ID=Cisco Intercluster Sync Agent][Cluster ID=][Node ID=%s]: %s",
		node, at.UTC().Format("Jan 02 2006 03:04:05 PM"), alarm, remote, node, text)
}

type rig struct {
	*intake.Intake
	store *storetest.Memory
	now   time.Time
	puts  map[store.Key]int
}

func newRig() *rig {
	r := &rig{store: storetest.NewMemory(), now: noon, puts: map[store.Key]int{}}
	r.store.Fail = func(op string, key store.Key) error {
		if op == "Put" || op == "put" {
			r.puts[key]++
		}
		return nil
	}
	r.Intake = intake.New(three(), r.store, func() time.Time { return r.now }, nil)
	return r
}

func (r *rig) kept(t *testing.T) (map[mesh.ClusterID]peer.PushRecord, record.Tally) {
	t.Helper()
	all, tally, err := record.Pushed(t.Context(), r.store, three())
	if err != nil {
		t.Fatal(err)
	}
	if tally == nil {
		tally = &record.Tally{}
	}
	return all, *tally
}

func TestWhoseLinesCount(t *testing.T) {
	const emea, apac, relay, other = "198.51.100.1", "198.51.100.2", "192.0.2.9", "203.0.113.7"
	for _, c := range []struct {
		name, node, from string
		want             mesh.ClusterID // "" is refused
	}{
		{"a node, from its own address", "imp1.emea.example.com", emea, "emea"},
		{"a node, in an IPv6 socket", "imp1.emea.example.com", "::ffff:" + emea, "emea"},
		{"a relay of two clusters, by the node that the line names", "imp1.apac.example.com", relay, "apac"},
		{"a relay, in the name of a cluster that it does not serve", "imp-amer.example.com", relay, ""},
		{"a node in another cluster's name", "imp1.apac.example.com", emea, ""},
		{"an address that mesh.yaml does not name", "imp1.emea.example.com", other, ""},
		{"a node that mesh.yaml does not name, over a relay", "imp9.example.com", relay, ""},
		{"a name that two clusters share, from one of them", "imp1", apac, "apac"},
		{"the same from the relay of both", "imp1", relay, ""},
		{"no name at all, from one cluster", "", apac, "apac"},
		{"no name at all, from the relay of two", "", relay, ""},
		{"no address: the name counts", "imp1.apac.example.com", "", "apac"},
		{"no address, and a name that two share", "imp1", "", ""},
		{"no address, and no name", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig()
			var from netip.Addr
			if c.from != "" {
				from = netip.MustParseAddr(c.from)
			}
			r.Take([]byte(line(c.node, down, "imp-amer.example.com", noon)), from)
			if err := r.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			all, tally := r.kept(t)
			if _, is := all[c.want]; c.want != "" && !is || len(all) > 1 || c.want == "" && len(all) > 0 {
				t.Errorf("kept of %v, want %q", all, c.want)
			}
			if (tally.Refused == 1) != (c.want == "") {
				t.Errorf("counted %+v", tally)
			}
		})
	}
}

// TestOrderAndRepeatsMakeNoDifference: whatever network, relay or Lambda does to the
// order of lines and how often each comes, the same is kept.
func TestOrderAndRepeatsMakeNoDifference(t *testing.T) {
	var lines []string
	for i := range 12 {
		at := noon.Add(-time.Duration(i) * time.Minute)
		lines = append(lines, line("imp1.emea.example.com", success, "imp1.apac.example.com", at), line("imp1.emea.example.com", down, "imp-amer.example.com", at),
			line("imp1.apac.example.com", down, "imp1.emea.example.com", at), line("imp1.apac.example.com", "UC_SRM-2-SRMFailed", "", at))
	}
	play := func(lines []string, flush int) map[mesh.ClusterID]peer.PushRecord {
		r := newRig()
		for i, l := range lines {
			r.Take([]byte(l), netip.Addr{})
			if i%flush == flush-1 {
				if err := r.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.now = noon.Add(time.Minute) // what came after this minute's writing
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, _ := r.kept(t)
		for id, p := range all {
			p.Written = time.Time{}
			all[id] = p
		}
		return all
	}
	want := play(lines, len(lines))
	if got := want["emea"].Peers["apac"].Success; !got.At.Equal(noon) || !got.Received.Equal(noon) {
		t.Fatalf("the newest success is %+v", got)
	}
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		mixed := append(append([]string{}, lines...), lines[:rnd.IntN(len(lines))]...)
		rnd.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if diff := cmp.Diff(want, play(mixed, 1+rnd.IntN(9))); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

func TestOneWriteOfAClusterAMinute(t *testing.T) {
	r := newRig()
	writes := func() int { return r.puts[store.Push("acme", "emea")] }
	for second := range 180 {
		r.now = noon.Add(time.Duration(second) * time.Second)
		r.Take([]byte(line("imp1.emea.example.com", success, "imp1.apac.example.com", r.now)), netip.Addr{})
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if writes() != 3 {
		t.Errorf("%d writes in three minutes", writes())
	}
	// Another process of the same mesh, a moment later.
	other := intake.New(three(), r.store, func() time.Time { return r.now }, nil)
	other.Take([]byte(line("imp1.emea.example.com", down, "imp1.apac.example.com", r.now)), netip.Addr{})
	if err := other.Flush(t.Context()); err != nil || writes() != 3 {
		t.Errorf("%d writes with a second process: %v", writes(), err)
	}
	r.now = r.now.Add(time.Minute)
	if err := errors.Join(r.Flush(t.Context()), other.Flush(t.Context())); err != nil || writes() != 4 {
		t.Errorf("%d writes a minute later: %v", writes(), err)
	}
	r.now = r.now.Add(time.Minute)
	if err := errors.Join(r.Flush(t.Context()), other.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	all, _ := r.kept(t)
	if words := all["emea"].Peers["apac"]; words.Success.Alarm == "" || words.Failure.Alarm == "" {
		t.Errorf("what two processes took: %+v", words)
	}
	r.now = r.now.Add(time.Minute)
	before := writes()
	r.Take([]byte(line("imp1.emea.example.com", success, "imp1.apac.example.com", noon)), netip.Addr{})
	if err := r.Flush(t.Context()); err != nil || writes() != before {
		t.Errorf("an old line was written again: %v", err)
	}
}

// TestAStoreThatFailsLosesNothing that a later minute could still write.
func TestAStoreThatFailsLosesNothing(t *testing.T) {
	r := newRig()
	count := r.store.Fail
	r.store.Fail = func(string, store.Key) error { return errors.New("down") }
	r.Take([]byte(line("imp1.emea.example.com", success, "imp1.apac.example.com", noon)), netip.Addr{})
	if r.Flush(t.Context()) == nil {
		t.Fatal("nobody was told")
	}
	r.store.Fail = count
	r.Take([]byte(line("imp1.emea.example.com", down, "imp-amer.example.com", noon)), netip.Addr{})
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, tally := r.kept(t)
	if got := all["emea"].Peers; got["apac"].Success.Alarm == "" || got["amer"].Failure.Alarm == "" || tally.Lines != 2 || tally.Kept != 2 {
		t.Errorf("%+v, %+v", got, tally)
	}
}

// TestALineFromTheFutureIsOfNoInstant: else one forged line would be the newest for
// as long as it says.
func TestALineFromTheFutureIsOfNoInstant(t *testing.T) {
	r := newRig()
	r.Take([]byte(line("imp1.emea.example.com", success, "imp1.apac.example.com", noon.AddDate(1, 0, 0))), netip.Addr{})
	r.Take([]byte(line("imp1.emea.example.com", success, "imp1.apac.example.com", noon.Add(-time.Hour))), netip.Addr{})
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, _ := r.kept(t)
	if got := all["emea"].Peers["apac"].Success.At; !got.Equal(noon.Add(-time.Hour)) {
		t.Errorf("the newest success is of %s", got)
	}
}

// TestWhateverIsPushedTheItemsStaySmall: every name, of every length.
func TestWhateverIsPushedTheItemsStaySmall(t *testing.T) {
	r := newRig()
	for i := range 2000 {
		r.Take([]byte(line("imp1.emea.example.com", fmt.Sprintf("UC_ICSA-2-New%d%s", i, strings.Repeat("x", 100)), strings.Repeat("h", i), noon)), netip.Addr{})
		r.Take([]byte(line(strings.Repeat("n", i), down, "x", noon)), netip.Addr{})
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	items, err := r.store.Load(t.Context(), store.Pushed("acme"), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if len(it.Body) > 2000 {
			t.Errorf("%s has %d bytes", it.SK, len(it.Body))
		}
	}
}

// packed is an event as CloudWatch Logs makes it.
func packed(t testing.TB, text io.Reader) intake.Event {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.Copy(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var e intake.Event
	e.Logs.Data = base64.StdEncoding.EncodeToString(b.Bytes())
	return e
}

func subscription(t testing.TB, kind string, messages ...string) intake.Event {
	t.Helper()
	events := []map[string]any{}
	for i, m := range messages {
		events = append(events, map[string]any{"id": fmt.Sprint(i), "timestamp": noon.UnixMilli(), "message": m, "extractedFields": map[string]string{"a": "b"}})
	}
	text, err := json.Marshal(map[string]any{"messageType": kind, "owner": "111122223333", "logGroup": "cisco", "logStream": "s", "subscriptionFilters": []string{"f"}, "logEvents": events, "policyLevel": "ACCOUNT_LEVEL_POLICY"})
	if err != nil {
		t.Fatal(err)
	}
	return packed(t, bytes.NewReader(text))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestEventsOfCloudWatchLogs(t *testing.T) {
	ours := line("imp1.emea.example.com", success, "imp1.apac.example.com", noon)
	broken := func(data string) intake.Event {
		var e intake.Event
		e.Logs.Data = data
		return e
	}
	cut := subscription(t, "DATA_MESSAGE", ours)
	raw, err := base64.StdEncoding.DecodeString(cut.Logs.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		event intake.Event
		want  intake.Answer
	}{
		{"two lines and an empty one", subscription(t, "DATA_MESSAGE", ours, "", "something else"), intake.Answer{Lines: 2, Kept: 1}},
		{"two lines in one message", subscription(t, "DATA_MESSAGE", ours+"\r\n"+ours+"\n"), intake.Answer{Lines: 2, Kept: 2}},
		{"a stranger", subscription(t, "DATA_MESSAGE", line("imp9.example.com", success, "x", noon)), intake.Answer{Refused: 1}},
		{"a line of a megabyte", subscription(t, "DATA_MESSAGE", ours+strings.Repeat("x", 1<<20)), intake.Answer{Unreadable: 1}},
		{"an alert of RTMT that quotes one of ours", subscription(t, "DATA_MESSAGE", line("imp1.emea.example.com", "UC_RTMT-2-RTMT_ALERT", "x#012MatchedEvent : "+strings.ReplaceAll(ours, "]", " "), noon)), intake.Answer{Lines: 1}},
		{"a control message", subscription(t, "CONTROL_MESSAGE", "CWL CONTROL MESSAGE: Checking health of destination Firehose."), intake.Answer{Skipped: "a control message, which CloudWatch Logs sends to see whether somebody listens"}},
		{"another type", subscription(t, "NEWS"), intake.Answer{Unreadable: 1}},
		{"a bomb: 100 MB of zeros in 100 KB", packed(t, io.LimitReader(zeros{}, 100<<20)), intake.Answer{Unreadable: 1}},
		{"no JSON", packed(t, strings.NewReader("hello")), intake.Answer{Unreadable: 1}},
		{"no gzip", broken(base64.StdEncoding.EncodeToString([]byte("hello"))), intake.Answer{Unreadable: 1}},
		{"no base64", broken("%%%"), intake.Answer{Unreadable: 1}},
		{"cut", broken(base64.StdEncoding.EncodeToString(raw[:len(raw)-9])), intake.Answer{Unreadable: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig()
			got, err := r.Handle(t.Context(), c.event)
			if err != nil {
				t.Fatal(err)
			}
			got.TookMs, c.want.Mesh, c.want.Function = 0, "acme", "intake"
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if _, tally := r.kept(t); tally.Lines != got.Lines || tally.Unreadable != got.Unreadable || tally.Refused != got.Refused {
				t.Errorf("counted %+v", tally)
			}
		})
	}
	t.Run("the store does not answer: Lambda is to send it again", func(t *testing.T) {
		r := newRig()
		r.store.Fail = func(string, store.Key) error { return errors.New("down") }
		if _, err := r.Handle(t.Context(), subscription(t, "DATA_MESSAGE", ours)); err == nil {
			t.Error("nobody was told")
		}
	})
	if err := (intake.Event{}).Check("intake"); err == nil {
		t.Error("an event without a record is taken")
	}
}

// TestSampleEvent is the one that `make invoke FN=intake` sends.
func TestSampleEvent(t *testing.T) {
	b, err := os.ReadFile("../../events/intake.json")
	if err != nil {
		t.Fatal(err)
	}
	var e intake.Event
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	m := &mesh.Mesh{Name: "acme", Clusters: []mesh.Cluster{{ID: "emea", Nodes: []mesh.Node{{Name: "imp-emea-pub.example.com"}}}}}
	in := intake.New(m, storetest.NewMemory(), func() time.Time { return noon }, nil)
	if a, err := in.Handle(t.Context(), e); err != nil || a.Kept != 1 {
		t.Errorf("%+v, %v", a, err)
	}
}

func FuzzSubscription(f *testing.F) {
	for _, e := range []intake.Event{subscription(f, "DATA_MESSAGE", line("imp1.emea.example.com", success, "imp1.apac.example.com", noon)), subscription(f, "CONTROL_MESSAGE", "x"), packed(f, strings.NewReader(`{"messageType":"DATA_MESSAGE","logEvents":null}`))} {
		raw, err := base64.StdEncoding.DecodeString(e.Logs.Data)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	r := newRig()
	f.Fuzz(func(t *testing.T, raw []byte) {
		var e intake.Event
		e.Logs.Data = base64.StdEncoding.EncodeToString(raw)
		if _, err := r.Handle(context.Background(), e); err != nil {
			t.Error(err)
		}
	})
}
