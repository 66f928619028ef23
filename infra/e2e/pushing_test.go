package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/intake"
	"peerkeeper/shared/peer"
)

// subscription is an event as CloudWatch Logs sends it.
func subscription(t *testing.T, kind string, lines ...string) []byte {
	t.Helper()
	events := []map[string]any{}
	for i, line := range lines {
		events = append(events, map[string]any{"id": fmt.Sprint(i), "timestamp": 1772442000000 + i, "message": line})
	}
	text, err := json.Marshal(map[string]any{
		"messageType": kind, "owner": "111122223333", "logGroup": "/cisco/syslog", "logStream": "relay", "subscriptionFilters": []string{"peerkeeper"}, "logEvents": events,
	})
	if err != nil {
		t.Fatal(err)
	}
	return packed(t, bytes.NewReader(text))
}

func packed(t *testing.T, text io.Reader) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.Copy(w, text)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, `{"awslogs":{"data":%q}}`, base64.StdEncoding.EncodeToString(b.Bytes()))
}

// relay is where the simulated nodes push to.
type relay struct{ net.PacketConn }

func newRelay(t *testing.T, s *stage, clusters ...string) relay {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	for _, id := range clusters {
		s.set(t, "/clusters/"+id+"/log", fmt.Sprintf(`{"push":%q}`, c.LocalAddr()))
	}
	return relay{c}
}

// lines are those that have come: a datagram over the loopback is there once it is
// sent.
func (r relay) lines(t *testing.T) (all []string) {
	t.Helper()
	buf := make([]byte, 64<<10)
	for {
		if err := r.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, _, err := r.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(buf[:n]))
	}
}

// push has intake handle one event.
func (b *sandbox) push(t *testing.T, event []byte) intake.Answer {
	t.Helper()
	r, err := b.Invoke(t.Context(), event)
	if err != nil || r.Failed {
		t.Fatalf("%v %s\n%s", err, r.Payload, b.logs)
	}
	var a intake.Answer
	if err := json.Unmarshal(r.Payload, &a); err != nil {
		t.Fatalf("%s answered %s", b.name, r.Payload)
	}
	a.TookMs = 0
	return a
}

// undialected takes the map of the peer table away: the clusters' logs are then the
// only clock.
func (s *stage) undialected(t *testing.T) {
	t.Helper()
	var m map[string]any
	if err := yaml.Unmarshal(s.files["mesh.yaml"], &m); err != nil {
		t.Fatal(err)
	}
	delete(m, "dialect")
	text, err := yaml.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s.files["mesh.yaml"] = text
	s.writeMesh(t)
}

// TestPushesAsDeployed plays what becomes of lines that nodes push into a log group:
// taken by a function that can do nothing else, shown as unconfirmed, and a reason
// to read that cluster's own log before its turn.
func TestPushesAsDeployed(t *testing.T) {
	s := newStage(t, variant(t, "pushing", func(env, _ map[string]any) { env["syslog"] = map[string]any{"logGroup": "/cisco/syslog"} }), "pushing", clustersim.Config{})
	s.undialected(t)
	part := func(name string, f func(t *testing.T)) { t.Helper(); part(t, name, f) }
	const listed, read = "selectLogFiles", "GetOneFile"
	type clocks struct {
		Source peer.ClockSource
		Pushed *time.Time
	}
	clock := func(t *testing.T) clocks {
		t.Helper()
		var e struct{ Clocks clocks }
		s.ask(t, reader, &e, "explain", "emea>apac")
		return e.Clocks
	}
	type tally struct{ Lines, Kept, Refused, Unreadable int64 }
	counted := func(t *testing.T) (tally, map[string]bool) {
		t.Helper()
		var st struct {
			Pushed   tally
			Clusters []struct {
				ID     string
				Pushed *time.Time
			}
		}
		s.ask(t, reader, &st, "status")
		from := map[string]bool{}
		for _, c := range st.Clusters {
			from[c.ID] = c.Pushed != nil
		}
		return st.Pushed, from
	}

	part("the log of emea has just had its turn", func(t *testing.T) {
		for _, c := range s.env.Mesh.Clusters {
			s.putSecret(t, c.ID, "read")
		}
		// What a turn may ask for in an hour is spent by the first one, which finds
		// out how.
		var first time.Time
		for range 24 {
			before := s.sent("emea", listed)
			s.forward(t, 5*time.Minute)
			s.look(t)
			now := s.clock.Now()
			switch had := s.sent("emea", listed) > before; {
			case had && first.IsZero():
				first = now
			case had && now.Sub(first) > time.Hour:
				if c := clock(t); c.Source != peer.ClockCisco || c.Pushed != nil {
					t.Errorf("%+v", c)
				}
				return
			}
		}
		t.Fatalf("the log of emea had no second turn after that of %s", first)
	})

	var event []byte
	reads, delivered := 0, intake.Answer{Mesh: s.env.Mesh.Name, Function: "intake", Refused: 1}
	part("a quarter of an hour in which nothing is pushed", func(t *testing.T) {
		reads = s.sent("emea", read)
		s.forward(t, 6*time.Minute)
		s.look(t)
		if n := s.sent("emea", read); n != reads {
			t.Fatalf("the log of emea was read before its turn: %d times, %d before", n, reads)
		}
		s.forward(t, 9*time.Minute)
	})
	part("two nodes push lines, a stranger too, and CloudWatch Logs hands over everything twice", func(t *testing.T) {
		r := newRelay(t, s, "emea", "apac")
		for _, id := range []string{"emea", "apac"} {
			other := map[string]string{"emea": "apac", "apac": "emea"}[id]
			s.set(t, "/clusters/"+id+"/log", fmt.Sprintf(`{"alarm":"InterClusterSyncAgentSyncFailure","peer":%q}`, other))
			s.set(t, "/clusters/"+id+"/peers", fmt.Sprintf(`{"peer":%q,"forceSync":true}`, other))
		}
		s.forward(t, time.Minute)
		lines := r.lines(t)
		if len(lines) < 4 {
			t.Fatalf("pushed: %q", lines)
		}
		delivered.Lines, delivered.Kept = int64(len(lines)), int64(len(lines))
		for _, id := range []string{"emea", "apac"} {
			s.set(t, "/clusters/"+id+"/log", `{"push":""}`)
		}
		stranger := strings.ReplaceAll(lines[0], "imp-", "elsewhere-")
		event = subscription(t, "DATA_MESSAGE", append(lines, stranger)...)

		b := s.start(t, "intake")
		defer b.Close()
		if diff := cmp.Diff(delivered, b.push(t, event)); diff != "" {
			t.Errorf("(-want +got):\n%s\n%s", diff, b.logs)
		}
		if got := b.push(t, event); got != delivered {
			t.Errorf("the second delivery: %+v", got)
		}
		control := b.push(t, subscription(t, "CONTROL_MESSAGE", "CWL CONTROL MESSAGE: Checking health of destination Lambda."))
		if control.Skipped == "" || control.Lines+control.Refused+control.Unreadable != 0 {
			t.Errorf("a control message: %+v", control)
		}
		if bomb := b.push(t, packed(t, io.LimitReader(zeros{}, 64<<20))); bomb.Unreadable != 1 || bomb.Kept != 0 {
			t.Errorf("a bomb: %+v", bomb)
		}
		if text := b.logs.String(); strings.Contains(text, "UC_ICSA") {
			t.Errorf("lines were logged:\n%s", text)
		}
	})
	part("status says that it is pushed, and unconfirmed", func(t *testing.T) {
		// What comes within the minute of a writing waits for the next one.
		if got, from := counted(t); got.Kept < delivered.Kept || got.Refused < 1 || !from["emea"] || !from["apac"] {
			t.Errorf("%+v, %v; delivered is %+v", got, from, delivered)
		}
		if c := clock(t); c.Source != peer.ClockCisco || c.Pushed == nil {
			t.Errorf("%+v", c)
		}
	})
	part("peersync reads that log before its turn, which confirms it", func(t *testing.T) {
		if a := s.look(t); a.Logs.Read == 0 || s.sent("emea", read) != reads+1 {
			t.Fatalf("%+v; the log of emea was read %d times, %d before", a.Logs, s.sent("emea", read), reads)
		}
		if c := clock(t); c.Source != peer.ClockCisco || c.Pushed != nil {
			t.Errorf("%+v", c)
		}
	})
	part("a delivery that comes once more changes nothing", func(t *testing.T) {
		s.forward(t, 2*time.Minute)
		b := s.start(t, "intake")
		defer b.Close()
		if diff := cmp.Diff(delivered, b.push(t, event)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got, _ := counted(t); got.Kept < 2*delivered.Kept || got.Refused < 2 {
			t.Errorf("%+v", got)
		}
		if c := clock(t); c.Pushed != nil {
			t.Errorf("%+v", c)
		}
	})
	part("in the end", func(t *testing.T) {
		for _, c := range s.sim.State().Clusters {
			if c.Writes > 0 {
				t.Errorf("%s was changed %d times", c.ID, c.Writes)
			}
		}
		for _, grant := range s.guard.unused() {
			if who, sid, _ := strings.Cut(grant, " "); strings.Contains(who, "intake") && sid != "Failures" && sid != "Interfaces" && sid != "Logs" {
				t.Errorf("the template grants what nothing needed: %s", grant)
			}
		}
		for _, why := range s.guard.refusals() {
			t.Errorf("the template's policies refuse what was needed: %s", why)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
