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
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// pushes stores that a node of apac pushed a success of apac>emea.
func (s *scene) pushes(at time.Time) {
	s.t.Helper()
	push := store.NewDoc(store.Push("acme", "apac"), record.PushSchema, peer.PushRecord{Peers: map[mesh.ClusterID]peer.PushedWords{
		"emea": {Success: peer.Pushed{Alarm: ciscolog.Status, At: at, Received: at}},
	}})
	tally := store.NewDoc(store.Intake("acme"), record.IntakeSchema, record.Tally{Since: sceneNow.Add(-time.Hour), Lines: 1234, Kept: 1, Refused: 5, RefusedFrom: "192.0.2.77", Dropped: 2, Kernel: 3, Unreadable: 4})
	for _, item := range []func() (store.Item, error){push.Item, tally.Item} {
		it, err := item()
		if err != nil {
			s.t.Fatal(err)
		}
		if err := s.store.Put(s.t.Context(), it); err != nil {
			s.t.Fatal(err)
		}
	}
}

// What was pushed is shown as what it is: unconfirmed, and beside the clock.
func TestWhatWasPushedIsShownUnconfirmed(t *testing.T) {
	s := newScene(t, 3)
	at := sceneNow.Add(-time.Minute)
	s.pushes(at)
	other, err := s.source().Explain(t.Context(), id("apac>amer"), sceneNow)
	if err != nil {
		t.Fatal(err)
	}
	if other.Clocks.Pushed != nil {
		t.Errorf("of a peer that nobody spoke of: %v", other.Clocks.Pushed)
	}
	e, err := s.source().Explain(t.Context(), id("apac>emea"), sceneNow)
	if err != nil {
		t.Fatal(err)
	}
	if e.Clocks.Pushed == nil || !e.Clocks.Pushed.Equal(at) || e.Clocks.LastSync != nil && !e.Clocks.LastSync.Before(at) {
		t.Errorf("%+v", e.Clocks)
	}
	st, err := s.source().Status(t.Context(), sceneNow)
	if err != nil {
		t.Fatal(err)
	}
	var explain, status bytes.Buffer
	if err := WriteExplain(&explain, e, false); err != nil {
		t.Fatal(err)
	}
	if err := WriteStatus(&status, st, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(explain.String(), "unconfirmed") {
		t.Errorf("explain does not say that it is unconfirmed:\n%s", explain.String())
	}
	said := strings.Join(strings.Fields(status.String()), " ")
	for _, want := range []string{"1234 lines, 1 of them about syncs", "5 were refused, the newest from 192.0.2.77", "5 were lost (2 for want of room, 3 by the kernel)", "4 were too long or broken"} {
		if !strings.Contains(said, want) {
			t.Errorf("status does not say %q:\n%s", want, status.String())
		}
	}
	b, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Pushed   map[string]any   `json:"pushed"`
		Clusters []map[string]any `json:"clusters"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Pushed["refused"] != 5.0 || answer.Pushed["kernel"] != 3.0 {
		t.Errorf("%v", answer.Pushed)
	}
	for _, c := range answer.Clusters {
		if _, there := c["pushed"]; there != (c["id"] == "apac") {
			t.Errorf("%v: pushed %v", c["id"], c["pushed"])
		}
	}
}

// A peer of which nothing tells but a pushed line has the clock "pushed".
func TestAClockThatOnlyPushedLinesTell(t *testing.T) {
	s := newScene(t, 3)
	s.look(sceneNow.Add(-time.Minute), func(all map[mesh.ClusterID]*peer.ClusterRecord) {
		for _, r := range all {
			r.Seen.Entries = peer.Unknown[[]peer.Entry](peer.NoDialect, "not mapped")
		}
	})
	s.pushes(sceneNow.Add(-7 * time.Minute))
	e, err := s.source().Explain(t.Context(), id("apac>emea"), sceneNow)
	if err != nil {
		t.Fatal(err)
	}
	if e.Clocks.Source != peer.ClockPushed || e.Clocks.A != nil || e.Clocks.LastSync != nil {
		t.Errorf("%+v", e.Clocks)
	}
}
