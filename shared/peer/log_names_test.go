package peer

import (
	"net"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
)

// A line belongs to a peer if a name in it is one peer's and nobody else's.
func TestWhomALineIsAbout(t *testing.T) {
	m := &mesh.Mesh{
		Clusters: []mesh.Cluster{
			{ID: "emea", Publisher: "imp1.emea.example.com", Nodes: []mesh.Node{{Name: "imp1.emea.example.com", Address: "198.51.100.1:8443"}}},
			{ID: "apac", Publisher: "imp1.apac.example.com", SyslogFrom: []string{"203.0.113.20", "203.0.113.30"}, Nodes: []mesh.Node{
				{Name: "imp1.apac.example.com", Address: "203.0.113.1:8443"}, {Name: "imp-tokyo", TLSName: "imp-tokyo.apac.example.com", Address: "[2001:db8::2]:8443"},
			}},
			{ID: "amer", Publisher: "192.0.2.1", SyslogFrom: []string{"203.0.113.30"}, Nodes: []mesh.Node{{Name: "192.0.2.1", Address: "127.0.0.1:40001"}}},
			{ID: "lab", Publisher: "imp1.lab.example.com", Nodes: []mesh.Node{{Name: "imp1.lab.example.com", Address: "127.0.0.1:40002"}}},
		},
		Peers: []mesh.Peer{{ID: mesh.PeerID{From: "emea", To: "apac"}}, {ID: mesh.PeerID{From: "emea", To: "amer"}}},
	}
	names := NamesInLogOf(m, "emea")
	for _, c := range []struct {
		name, tags, text string
		want             mesh.ClusterID
	}{
		{"its publisher", "[remotePeerAddress=imp1.apac.example.com]", "", "apac"},
		{"in capitals, with a final dot", "[remotePeerAddress=IMP1.APAC.example.com.]", "", "apac"},
		{"a subscriber by its bare name", "[remotePeer=imp-tokyo]", "", "apac"},
		{"what that one's certificate carries", "[remotePeer=imp-tokyo.apac.example.com]", "", "apac"},
		{"an address", "[remotePeer=203.0.113.1]", "", "apac"},
		{"an address with a port", "[remotePeer=203.0.113.1:8443]", "", "apac"},
		{"an IPv6 address in brackets", "[remotePeer=[2001:DB8:0::2]]", "", "apac"},
		{"a relay", "[remotePeer=203.0.113.20]", "", "apac"},
		{"a relay that two peers share", "[remotePeer=203.0.113.30]", "", nobody},
		{"the cluster's name in a tag", "[remotePeerAddress=APAC]", "", "apac"},
		{"a node that mesh.yaml names by its address", "[remotePeerAddress=192.0.2.1]", "", "amer"},
		{"the subject of a certificate", "[SubjectCN=imp1.apac.example.com][IssuerCN=x]", "", "apac"},
		{"named in the sentence alone", "", "Sync with imp1.apac.example.com failed.", "apac"},
		{"an address in the sentence", "", "no route to 203.0.113.1", "apac"},
		{"a bare name that three clusters share", "[remotePeerAddress=imp1]", "", nobody},
		{"which a sentence does not mend", "[remotePeerAddress=imp1]", "Sync with imp1.apac.example.com failed.", nobody},
		{"two peers in one sentence", "", "imp1.apac.example.com and 192.0.2.1", nobody},
		{"one of them twice", "", "imp1.apac.example.com imp-tokyo.apac.example.com", "apac"},
		{"a cluster's name that is any word in a sentence", "", "the apac sync", nobody},
		{"the puller itself", "[remotePeerAddress=imp1.emea.example.com]", "", nobody},
		{"a cluster that is no peer", "[remotePeerAddress=imp1.lab.example.com]", "", nobody},
		{"an address that every machine has", "[remotePeerAddress=127.0.0.1]", "", nobody},
		{"a longer name", "[remotePeerAddress=ximp1.apac.example.com]", "", nobody},
		{"a name that nobody has", "[remotePeerAddress=elsewhere.example.net]", "", nobody},
		{"nothing", "", "", nobody},
	} {
		line := "1: imp1.emea.example.com: Nov 27 2026 09:00:00 UTC : %UC_ICSA-2-InterClusterSyncAgentSyncFailure: %" + c.tags + "[AppID=x][NodeID=imp1.emea.example.com]: " + c.text
		e, ok := ciscolog.Parse([]byte(line), time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC))
		if !ok {
			t.Fatal(line)
		}
		if got := names.Of(e); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// An address that every machine has names no peer, be it of one cluster alone.
func TestAnAddressThatEveryMachineHasNamesNobody(t *testing.T) {
	for address, known := range map[string]bool{"127.0.0.1": false, "::1": false, "0.0.0.0": false, "192.0.2.1": true} {
		names := NamesInLogs(&mesh.Mesh{Clusters: []mesh.Cluster{{ID: "apac", Nodes: []mesh.Node{{Name: "imp-apac-pub.example.com", Address: net.JoinHostPort(address, "8443")}}}}})
		if owner, named := names.Named(address); named != known || known && owner != "apac" {
			t.Errorf("%s: %q (%v)", address, owner, named)
		}
	}
}
