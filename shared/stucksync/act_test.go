package stucksync

import (
	"slices"
	"strings"
	"testing"

	"peerkeeper/shared/intervention"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// TestWhatFailedWaitsForTheOthers: a node that hangs takes its time from nobody's
// turn but its own.
func TestWhatFailedWaitsForTheOthers(t *testing.T) {
	snapshot := &record.Snapshot{Proposals: map[string]store.Doc[record.Proposed]{
		"hangs":   {Value: record.Proposed{Refused: []record.Refusal{{Guard: failed, Why: "timeout"}}}},
		"refused": {Value: record.Proposed{Refused: []record.Refusal{{Guard: "override", Why: "emea is paused by jdoe: change freeze"}}}},
		"late":    {Value: record.Proposed{Refused: []record.Refusal{{Guard: "time", Why: "this run had no time left"}}}},
	}}
	asked := []peer.Proposal{{ID: "hangs"}, {ID: "refused"}, {ID: "late"}, {ID: "new"}}
	var got []string
	for _, p := range failedLast(asked, snapshot) {
		got = append(got, p.ID)
	}
	if want := []string{"refused", "late", "new", "hangs"}; !slices.Equal(got, want) || asked[0].ID != "hangs" {
		t.Errorf("in turn %v, want %v; what was asked is now %v", got, want, asked)
	}
}

// TestOffersForACertificate: what Peerkeeper would do stands in the alarm, and
// what a person does where it may not.
func TestOffersForACertificate(t *testing.T) {
	m := &mesh.Mesh{Policy: mesh.Policy{Mode: mesh.Recover}}
	id := mesh.PeerID{From: "emea", To: "apac"}
	p := peer.Proposal{ID: "r1", Action: peer.ImportCertificate, Approval: "policy.importCertificates is approve", Interrupts: "nothing", Peers: []mesh.PeerID{id}, Source: &peer.CertSource{Cluster: "apac"},
		Target: peer.Target{Cluster: "emea", Node: "imp-emea-pub.example.com", Service: peer.TomcatTrust, Parameter: "tomcat of imp-apac-pub.example.com"}}
	has := func(when string, asked []peer.Proposal, of mesh.ClusterID, approve, hand bool) {
		t.Helper()
		got := strings.Join((&tick{Stucksync: &Stucksync{Mesh: m}, asked: asked, Grounds: intervention.Grounds{Snapshot: &record.Snapshot{}}}).importNotice(of), "\n")
		if strings.Contains(got, "`peerkeeper approve r1`") != approve || strings.Contains(got, "Force Manual Sync") != hand {
			t.Errorf("%s: %s", when, got)
		}
	}
	has("asked for", []peer.Proposal{p}, "apac", true, false)
	has("of another cluster", []peer.Proposal{p}, "amer", false, true)
	also := p
	also.Peers = append(slices.Clone(p.Peers), mesh.PeerID{From: "emea", To: "amer"})
	has("the same CA mends another", []peer.Proposal{also}, "amer", true, false)
	restart := p
	restart.Source, restart.Action = nil, peer.RestartService
	has("a restart for another reason", []peer.Proposal{restart}, "apac", false, true)
	restart.Reload = true
	has("a restart over the certificate", []peer.Proposal{restart}, "apac", true, false)
	m.Policy.Mode = mesh.Observe
	has("mode observe", []peer.Proposal{p}, "apac", false, true)
}
