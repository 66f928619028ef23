package dashboard

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
)

// A cluster that was never looked at is not one that was read in the year 1.
func TestAClusterThatWasNeverReadSaysSo(t *testing.T) {
	s := newScene(t, 3)
	s.remove(store.Cluster("acme", "apac"))
	st, err := s.source().Status(t.Context(), sceneNow)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := WriteStatus(&text, st, false); err != nil {
		t.Fatal(err)
	}
	e, err := s.source().Explain(t.Context(), id("apac>emea"), sceneNow)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteExplain(&text, e, false); err != nil {
		t.Fatal(err)
	}
	for what, said := range map[string]string{"status in JSON": string(b), "status and explain": text.String()} {
		if strings.Contains(said, "0001-01-01") {
			t.Errorf("%s tells of the year 1:\n%s", what, said)
		}
	}
	if !strings.Contains(text.String(), "not read yet") || !strings.Contains(text.String(), "apac has not been read yet") {
		t.Error("nobody says that it was not read yet:\n" + text.String())
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
	if err != nil || e.Clocks.Source != ClockDialect {
		t.Errorf("the clock comes from %q, %v", e.Clocks.Source, err)
	}
}
