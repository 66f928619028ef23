package dashboard

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
)

// A cluster that was never looked at, or never answered, is not one that was
// read in the year 1, nor just now.
func TestAClusterThatWasNeverReadSaysSo(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(*scene)
		explain string
	}{
		{"never looked at", func(s *scene) { s.remove(store.Cluster("acme", "apac")) }, "apac has not been read yet"},
		{"looked at, and no node answered", func(s *scene) {
			s.put(store.Cluster("acme", "apac"), peer.ClusterRecord{Seen: peer.Observation{
				Cluster: "apac", At: sceneNow, Access: peer.Known(true, sceneNow),
				Users: peer.Unknown[map[mesh.NodeName]int](peer.CannotConnect, "connection refused"),
				Nodes: map[mesh.NodeName]peer.Node{"imp-apac-pub.example.com": {Answers: peer.Known(false, sceneNow)}},
			}})
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, 3)
			tt.prepare(s)
			st, err := s.source().Status(t.Context(), sceneNow)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(st)
			if err != nil {
				t.Fatal(err)
			}
			var status, explain bytes.Buffer
			if err := WriteStatus(&status, st, false); err != nil {
				t.Fatal(err)
			}
			e, err := s.source().Explain(t.Context(), id("apac>emea"), sceneNow)
			if err != nil {
				t.Fatal(err)
			}
			if err := WriteExplain(&explain, e, false); err != nil {
				t.Fatal(err)
			}
			for what, said := range map[string]string{"status in JSON": string(b), "status": status.String(), "explain": explain.String()} {
				if strings.Contains(said, "0001-01-01") {
					t.Errorf("%s tells of the year 1:\n%s", what, said)
				}
			}
			_, apac, _ := strings.Cut(status.String(), "\n  apac ")
			apac, _, _ = strings.Cut(apac, "\n")
			if !strings.HasSuffix(apac, "not read yet") {
				t.Errorf("status does not say that apac was not read yet:\n%s", status.String())
			}
			if !strings.Contains(explain.String(), tt.explain) {
				t.Errorf("explain does not say %q:\n%s", tt.explain, explain.String())
			}
			var answer struct {
				Clusters []map[string]any `json:"clusters"`
			}
			if err := json.Unmarshal(b, &answer); err != nil {
				t.Fatal(err)
			}
			for _, c := range answer.Clusters {
				observed, there := c["observed"]
				if want := c["id"] == "apac"; !there || (observed == nil) != want {
					t.Errorf("%v: observed %v", c["id"], observed)
				}
			}
		})
	}
}

// What is read of each node is told, and where the clocks come from.
func TestNodesAndClocksAreTold(t *testing.T) {
	s := newScene(t, 3)
	rec := s.clusters["emea"]
	sub := rec.Seen.Nodes["imp-emea-sub.example.com"]
	sub.HAState, sub.HAEnabled = peer.Known(8, rec.Seen.At), peer.Known(true, rec.Seen.At)
	rec.Seen.Nodes["imp-emea-sub.example.com"] = sub
	s.put(store.Cluster("acme", "emea"), *rec)
	st, err := s.source().Status(t.Context(), sceneNow)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(st.Clusters[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"name":"imp-emea-sub.example.com"`, `"haState":8,"ha":"on"`, `"haState":null,"ha":"unknown"`, `"clock":"dialect"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in %s", want, b)
		}
	}
	var text bytes.Buffer
	if err := WriteStatus(&text, st, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "Failed Over (inferred), HA on") {
		t.Error(text.String())
	}
	e, err := s.source().Explain(t.Context(), id("emea>apac"), sceneNow)
	if err != nil || e.Clocks.Source != peer.ClockDialect {
		t.Errorf("the clock comes from %q, %v", e.Clocks.Source, err)
	}
}

// Where no table tells the last success, ICSA's own log does.
func TestALogIsToldAsTheClock(t *testing.T) {
	s := newScene(t, 3)
	rec := s.clusters["emea"]
	rec.Seen.Entries = peer.Unknown[[]peer.Entry](peer.NoDialect, "")
	s.put(store.Cluster("acme", "emea"), *rec)
	success := sceneNow.Add(-20 * time.Minute).UTC()
	log := peer.LogRecord{Read: sceneNow.Add(-5 * time.Minute)}
	log.Add("apac", ciscolog.Succeeded, peer.Word{Alarm: ciscolog.Status, At: success, Dating: ciscolog.Dated})
	s.put(store.Log("acme", "emea"), log)
	st, err := s.source().Status(t.Context(), sceneNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range st.Clusters {
		if want := map[bool]peer.ClockSource{true: peer.ClockCisco, false: peer.ClockDialect}[c.ID == "emea"]; c.Clock != want {
			t.Errorf("%s: clock %s, want %s", c.ID, c.Clock, want)
		}
	}
	e, err := s.source().Explain(t.Context(), id("emea>apac"), sceneNow)
	if err != nil || e.Clocks.Source != peer.ClockCisco || e.Clocks.LastSync == nil || e.Clocks.LastSync.Sub(success).Abs() > time.Minute || !strings.Contains(e.Clocks.From, "log") || e.Clocks.A == nil {
		t.Errorf("%+v %v", e.Clocks, err)
	}
	if e, err := s.source().Explain(t.Context(), id("emea>amer"), sceneNow); err != nil || e.Clocks.Source == peer.ClockCisco || e.Clocks.LastSync != nil {
		t.Errorf("of which the log says nothing: %+v %v", e.Clocks, err)
	}
}
