package peer

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

func TestMerge(t *testing.T) {
	a := Proposal{ID: "a", Action: RestartService, Target: Target{Cluster: "emea", Service: ICSA}, Peers: []mesh.PeerID{{From: "emea", To: "apac"}}, Since: at12, Approval: "x", MinAge: time.Hour, Why: "1"}
	b := a
	b.ID, b.Peers, b.Since, b.MinAge, b.Why = "b", []mesh.PeerID{{From: "emea", To: "amer"}}, at12.Add(-time.Hour), 2*time.Hour, "2"
	other := a
	other.ID, other.Target.Cluster = "c", "apac"
	got := Merge([]Proposal{a, b, other})
	if len(got) != 2 || got[0].ID != "b" || len(got[0].Peers) != 2 || got[0].Approval != "x" || got[0].MinAge != 2*time.Hour || got[0].Why != "1; 2" {
		t.Errorf("%+v", got)
	}
	if got := Merge([]Proposal{b, a}); got[0].ID != "b" || !got[0].Since.Equal(b.Since) {
		t.Errorf("in the other order the one that was asked for first is %+v", got[0])
	}
	again := a
	again.ID, again.Since = "d", at12.Add(time.Minute)
	if got := Merge([]Proposal{a, again}); got[0].Why != "1" || got[0].ID != "a" || !got[0].Since.Equal(at12) {
		t.Errorf("asked for twice for one reason: %+v", got[0])
	}
	b.Approval = ""
	if got := Merge([]Proposal{a, b}); got[0].Approval != "" {
		t.Error("one of them needs nobody")
	}
	if !slices.Equal(a.Peers, []mesh.PeerID{{From: "emea", To: "apac"}}) {
		t.Error("the argument was changed")
	}
}

// TestAReloadWaitsForAPersonAndTwoHours: something came into ICSA's trust store, and
// a restart reads it.
func TestAReloadWaitsForAPersonAndTwoHours(t *testing.T) {
	p := newScene().View().Reload(watched, noon, "a certificate came", "a person knows")
	if p.Target != (Target{Cluster: "emea", Node: pub("emea"), Service: ICSA}) || p.Action != RestartService || !p.Reload || p.MinAge != 2*time.Hour || p.Approval != "a person knows" {
		t.Errorf("%+v", p)
	}
	if !strings.Contains(p.Interrupts, "2 peers of emea") || len(p.Collect) == 0 {
		t.Errorf("%+v", p)
	}
}
