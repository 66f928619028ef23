package cluster_test

import (
	"strings"
	"testing"

	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// What a person may just have changed on the Inter-Clustering page is read now; what cannot
// be is said in the facts.
func TestEntriesAreReadAsTheyStandNow(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 3, Users: 20}, false)
	client := r.client("emea")
	r.Change("emea", clustersim.Peers{Peer: "apac", Present: new(false)})
	got, err := client.Entries(t.Context())
	entries, known := got.Peers.Get()
	if err != nil || !known || len(entries) != 1 || !mesh.SameName(entries[0].Address, string(pubOf("amer"))) {
		t.Errorf("%+v, %v", got.Peers, err)
	}
	if names, known := got.Topology.Get(); !known || len(names) != 2 {
		t.Errorf("%+v", got.Topology)
	}
	if says, known := got.SyncAgent.Get(); !known || !strings.HasPrefix(says, "Completed") {
		t.Errorf("%+v", got.SyncAgent)
	}
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultSOAP, Times: -1})
	got, err = client.Entries(t.Context())
	if err != nil || got.Peers.Why() != peer.QueryRefused || got.Topology.Why() != peer.QueryRefused || got.SyncAgent.Why() != peer.QueryRefused {
		t.Errorf("%+v, %v", got, err)
	}
}
