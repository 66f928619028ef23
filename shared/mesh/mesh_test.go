package mesh

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// quiet is a mesh of two clusters in which nothing is unwise.
func quiet() *Mesh {
	cluster := func(id ClusterID, name NodeName) Cluster {
		return Cluster{
			ID: id, Release: "14.0.1SU3", Publisher: name, CUCM: &Node{Name: "cucm-" + name},
			Nodes: []Node{{Name: name}}, Credentials: "read", WriteCredentials: "write",
			DNS: []string{"192.0.2.53:53", "192.0.2.54:53"}, SyncInterval: Duration(MinSyncInterval), AutoRecovery: true,
			OVA: 15000, Edition: "standard", DNSSurvivesSplit: true,
		}
	}
	return &Mesh{
		Name: "acme", Domain: "example.com",
		Clusters: []Cluster{cluster("emea", "imp-emea-pub.example.com"), cluster("apac", "imp-apac-pub.example.com")},
		Peers:    []Peer{{ID: PeerID{"emea", "apac"}, Protocol: TCP}, {ID: PeerID{"apac", "emea"}, Protocol: TCP}},
		Policy:   Policy{Mode: Observe},
	}
}

func TestLint(t *testing.T) {
	tests := []struct {
		name string
		make func(m *Mesh)
		want []string // id, and the cluster or peer
	}{
		{"a mesh by the book", func(*Mesh) {}, nil},
		{"12.5 beside 14", func(m *Mesh) { m.Clusters[1].Release = "12.5(1)SU4" }, []string{"mixed-releases"}},
		{"two SUs of one release", func(m *Mesh) { m.Clusters[1].Release = "14.0" }, nil},
		{"a release not declared", func(m *Mesh) { m.Clusters[1].Release = "" }, nil},
		{"interval where it cannot be set", func(m *Mesh) {
			for i := range m.Clusters {
				m.Clusters[i].Release = "12.5.1SU2"
			}
			m.Clusters[0].SyncInterval = Duration(40 * time.Minute)
		}, []string{"interval-not-settable emea"}},
		{"interval from 12.5(1)SU3 on", func(m *Mesh) {
			for i := range m.Clusters {
				m.Clusters[i].Release = "12.5.1SU3"
				m.Clusters[i].SyncInterval = Duration(40 * time.Minute)
			}
		}, nil},
		{"auto recovery where it does not exist", func(m *Mesh) {
			for i := range m.Clusters {
				m.Clusters[i].Release = "11.5(1)SU9"
			}
			m.Clusters[1].AutoRecovery = false
		}, []string{"auto-recovery-not-settable emea"}},
		{"auto recovery off", func(m *Mesh) { m.Clusters[1].AutoRecovery = false }, []string{"auto-recovery-off apac"}},
		{"DNS lost in a split brain", func(m *Mesh) { m.Clusters[1].DNSSurvivesSplit = false }, []string{"names-need-dns apac"}},
		{"DNS lost, names are IP addresses", func(m *Mesh) {
			for i, ip := range []NodeName{"192.0.2.11", "2001:db8::11"} {
				m.Clusters[i].Nodes[0].Name, m.Clusters[i].DNSSurvivesSplit = ip, false
			}
		}, nil},
		{"DNS lost, only the peer has a name", func(m *Mesh) {
			m.Clusters[0].Nodes[0].Name, m.Clusters[0].DNSSurvivesSplit = "192.0.2.11", false
		}, []string{"names-need-dns emea"}},
		{"one DNS server, and none", func(m *Mesh) { m.Clusters[0].DNS, m.Clusters[1].DNS = m.Clusters[0].DNS[:1], nil }, []string{"few-dns-servers emea", "few-dns-servers apac"}},
		{"OVA not declared", func(m *Mesh) { m.Clusters[0].OVA = 0 }, []string{"ova-not-declared emea"}},
		{"no CUCM", func(m *Mesh) { m.Clusters[0].CUCM = nil }, []string{"no-cucm emea"}},
		{"no peers", func(m *Mesh) { m.Peers = nil }, []string{"no-peers emea", "no-peers apac"}},
		{"only one end", func(m *Mesh) { m.Peers = m.Peers[:1] }, []string{"peer-one-end emea>apac"}},
		{"a peer twice", func(m *Mesh) { m.Peers = append(m.Peers, m.Peers[0]) }, []string{"peer-twice emea>apac"}},
		{"TCP one way, TLS the other", func(m *Mesh) { m.Peers[0].Protocol = TLSProto }, []string{"tls-trunk", "peer-protocols-differ apac>emea"}},
		{"TLS", func(m *Mesh) { m.Peers[0].Protocol, m.Peers[1].Protocol = TLSProto, TLSProto }, []string{"tls-trunk"}},
		{"SIP federation is a port, not a problem", func(m *Mesh) { m.Clusters[0].SIPFederation = true }, nil},
		{"acting at any hour", func(m *Mesh) {
			m.Policy.Mode = Recover
			m.Policy.Windows = []Window{{Kind: "deny"}}
		}, []string{"no-allow-window"}},
		{"acting with the reading account", func(m *Mesh) {
			m.Policy = Policy{Mode: Recover, Windows: []Window{{Kind: "allow"}}}
			m.Clusters[0].WriteCredentials, m.Clusters[1].WriteCredentials = "", "read"
		}, []string{"recover-with-reads-only emea", "recover-with-reads-only apac"}},
		{"one cluster alone, undeclared", func(m *Mesh) {
			m.Clusters, m.Peers = m.Clusters[:1], nil
			m.Clusters[0].OVA, m.Clusters[0].DNSSurvivesSplit = 0, false
		}, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			m := quiet()
			tc.make(m)
			var got []string
			for _, p := range m.Lint() {
				where := string(p.Cluster)
				if p.Peer != (PeerID{}) {
					where = p.Peer.String()
				}
				got = append(got, strings.TrimSpace(p.ID+" "+where))
				if p.Message == "" || p.Source == "" {
					t.Errorf("%s has message %q, source %q", p.ID, p.Message, p.Source)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if again := m.Lint(); len(again) != len(got) {
				t.Errorf("a second look finds %d problems, the first %d", len(again), len(got))
			}
		})
	}
}

func TestDeclaredReleases(t *testing.T) {
	order := []string{"10.5(2)", "11.5.1SU9", "12.5", "12.5(1)SU2", "12.5.1SU3", "12.5.1SU3a", "14.0", "14.0.1SU3", "15", "15.0.1SU1"}
	equal := map[string]bool{"12.5.1SU3a": true} // like the one before it
	for i := 1; i < len(order); i++ {
		a, okA := parseRelease(order[i-1])
		b, okB := parseRelease(order[i])
		if !okA || !okB {
			t.Errorf("%s or %s is not read as a release", order[i-1], order[i])
		}
		if a.before(b) == equal[order[i]] || b.before(a) {
			t.Errorf("%s and %s are in the wrong order", order[i-1], order[i])
		}
	}
	for _, s := range []string{"", "latest", "14.x", "14.0SUx1", "99999999999999999999"} {
		if r, ok := parseRelease(s); ok {
			t.Errorf("%q is read as %v", s, r)
		}
	}
}

func FuzzParsePeerID(f *testing.F) {
	for _, s := range []string{"emea>apac", "emea>emea", ">", "a>b>c", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParsePeerID(s)
		if err == nil && (id.String() != s || id.From == id.To) {
			t.Errorf("%q is read as %+v", s, id)
		}
	})
}

func TestPeersOfAndOwner(t *testing.T) {
	m := quiet()
	if got := m.PeersOf("apac"); !slices.Equal(got, []PeerID{{"apac", "emea"}, {"emea", "apac"}}) {
		t.Errorf("peers of apac: %v", got)
	}
	if id, ok := m.Owner("IMP-APAC-PUB.example.com"); !ok || id != "apac" {
		t.Errorf("the owner of apac's publisher is %q", id)
	}
	if id, ok := m.Owner("cucm-imp-apac-pub.example.com"); ok {
		t.Errorf("the CUCM is owned by %q, though it is no IM and Presence node", id)
	}
}
