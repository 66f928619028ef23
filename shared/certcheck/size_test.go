package certcheck

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/tlsprobe"
)

// itemOf is a cluster's CERT item as it is stored.
func (b *bench) itemOf(id mesh.ClusterID) []byte {
	b.t.Helper()
	item, err := b.store.Get(b.t.Context(), store.Cert(b.mesh.Name, id))
	if err != nil {
		b.t.Fatal(err)
	}
	return item.Body
}

// TestOneCertificateWithManyNamesOnEveryPort: stored once, and shown everywhere.
func TestOneCertificateWithManyNamesOnEveryPort(t *testing.T) {
	b := newBench(t, allKeys())
	apac := &b.mesh.Clusters[1]
	for i := range 4 {
		name := mesh.NodeName(fmt.Sprintf("imp-apac-sub%d.example.com", i+2))
		apac.Nodes = append(apac.Nodes, mesh.Node{Name: name, Address: string(name) + ":8443", PlatformAddress: string(name) + ":443"})
	}
	for i := range b.mesh.Peers {
		b.mesh.Peers[i].Protocol = mesh.TLSProto
	}
	var names []string
	for i := range 507 - len(apac.Nodes) {
		names = append(names, fmt.Sprintf("some-long-name-of-a-host-%03d.department.example.net", i))
	}
	for _, n := range apac.Nodes {
		names = append(names, string(n.Name))
	}
	leaf := b.issue(t, wish{cn: "imp-apac-pub-ms.example.com", names: names})
	for _, n := range apac.Nodes {
		for _, port := range []string{"8443", "5061", "7400"} {
			b.serve(string(n.Name)+":"+port, tlsprobe.RSA, leaf)
		}
	}
	snapshot := b.look(run.Request{})
	if n := len(b.itemOf("apac")); n > 40<<10 {
		t.Errorf("the item has %d bytes", n)
	}
	if n := strings.Count(string(b.itemOf("apac")), "some-long-name-of-a-host-001."); n != 1 {
		t.Errorf("a name stands in the item %d times", n)
	}
	r := snapshot.Certs["apac"].Value
	for _, n := range apac.Nodes {
		for _, s := range []certificate.Served{r.Served[n.Name][onRSA], r.Ports[n.Name][certificate.Place{Port: "5061", KeyType: "RSA"}], r.Ports[n.Name][certificate.Place{Port: "7400", KeyType: "RSA"}]} {
			if len(s.Names) != 100 || s.MoreNames != 407 || s.Subject == "" || s.NotAfter.IsZero() || s.First.IsZero() {
				t.Errorf("%s: %+v", n.Name, s)
			}
		}
	}
	// The same look gives the same bytes, and a renewal keeps what was, once.
	before := string(b.itemOf("apac"))
	b.look(run.Request{})
	if string(b.itemOf("apac")) == "" || strings.Count(before, `"names"`) != 1 {
		t.Errorf("names are stored %d times", strings.Count(before, `"names"`))
	}
	renewed := b.issue(t, wish{cn: "imp-apac-pub-ms.example.com", names: names})
	for _, n := range apac.Nodes {
		for _, port := range []string{"8443", "5061", "7400"} {
			b.serve(string(n.Name)+":"+port, tlsprobe.RSA, renewed)
		}
	}
	snapshot = b.look(run.Request{})
	if n := len(b.itemOf("apac")); n > 80<<10 {
		t.Errorf("renewed: the item has %d bytes", n)
	}
	for _, n := range apac.Nodes {
		if s := snapshot.Certs["apac"].Value.Ports[n.Name][certificate.Place{Port: "7400", KeyType: "RSA"}]; s.Former == nil || len(s.Former.Names) != 100 || s.Former.KeyType != "RSA" || s.Cause != peer.CertificateChanged {
			t.Errorf("%s: what it was is not kept: %+v", n.Name, s.Former)
		}
	}
}

// TestAStoreOfTenThousandEntries: the item stays far below its limit, and what
// the mesh needs is found among them.
func TestAStoreOfTenThousandEntries(t *testing.T) {
	b := newBench(t, allKeys())
	var crowd []*issued
	for i := range 150 {
		crowd = append(crowd, b.issue(t, wish{cn: string(apacPub), ecdsa: true, ca: i%2 == 0}), b.issue(t, wish{cn: strings.Repeat("C", 300) + fmt.Sprint(i), ecdsa: true, ca: true}))
	}
	own := []*issued{}
	for _, n := range []mesh.NodeName{emeaPub, emeaSub, apacPub, apacSub} {
		own = append(own, &issued{cert: b.leaf(n)})
	}
	b.stores = map[mesh.NodeName]map[string][]*issued{}
	for _, n := range []mesh.NodeName{emeaPub, emeaSub, apacPub, apacSub} {
		b.stores[n] = map[string][]*issued{"tomcat-trust": append(slices.Clone(own), slices.Repeat(crowd, 34)...)}
	}
	snapshot := b.look(run.Request{})
	if n := len(b.itemOf("emea")); n > 200<<10 {
		t.Errorf("the item has %d bytes", n)
	}
	if got := condOf(snapshot, emeaToApac, peer.CertificateTrusted); got.Status != peer.True {
		t.Errorf("%s %s: %s", got.Status, got.Reason, got.Message)
	}
	if n := snapshot.Certs["emea"].Value.Trust["tomcat-trust"]; n.Others == 0 || len(n.Entries) > 200 {
		t.Errorf("%d held, %d others", len(n.Entries), n.Others)
	}
}

// TestAStoreThatIsNotLookedAtWhole, and others of which nothing follows.
func TestAStoreOfWhichNothingFollows(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(h *certificate.Holding)
		want    string // CertificateTrusted of emea>apac
		finding string
	}{
		{"an entry with an empty certificate is nothing", func(h *certificate.Holding) { h.Empty = map[string]int{"tomcat-trust": 1} }, "True InTrustStore", "EmptyTrustStoreEntries"},
		{"an empty one, and the certificate is missing", func(h *certificate.Holding) {
			h.Empty = map[string]int{"tomcat-trust": 1}
			h.Stores["tomcat-trust"] = h.Stores["tomcat-trust"][:1]
		}, "False NotInTrustStore", "EmptyTrustStoreEntries"},
		{"missing among what is looked at, and more is there", func(h *certificate.Holding) {
			h.Cut = map[string]int{"tomcat-trust": 8000}
			h.Stores["tomcat-trust"] = h.Stores["tomcat-trust"][:1]
		}, "Unknown", "ValueTooLong"},
		{"found among what is looked at, and more is there", func(h *certificate.Holding) { h.Cut = map[string]int{"tomcat-trust": 8000} }, "True InTrustStore", "ValueTooLong"},
		{"a list that is empty where it was not", func(h *certificate.Holding) { h.Stores["tomcat-trust"] = nil }, "True InTrustStore", "TrustStoreNotRead"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, allKeys())
			b.stores = map[mesh.NodeName]map[string][]*issued{}
			for _, n := range []mesh.NodeName{emeaPub, emeaSub, apacPub, apacSub} {
				b.stores[n] = map[string][]*issued{"tomcat-trust": {{cert: b.leaf(emeaPub)}, {cert: b.leaf(emeaSub)}, {cert: b.leaf(apacPub)}, {cert: b.leaf(apacSub)}}}
			}
			b.look(run.Request{})
			b.now = b.now.Add(6 * 60 * 60e9)
			b.change = c.change
			snapshot := b.look(run.Request{})
			got := condOf(snapshot, emeaToApac, peer.CertificateTrusted)
			if s := fmt.Sprintf("%s %s", got.Status, got.Reason); !strings.HasPrefix(s, c.want) {
				t.Errorf("%s: %s, want %s", s, got.Message, c.want)
			}
			if !slices.ContainsFunc(snapshot.Certs["emea"].Value.Findings, func(f peer.Finding) bool { return string(f.Reason) == c.finding }) {
				t.Errorf("no finding %s: %+v", c.finding, snapshot.Certs["emea"].Value.Findings)
			}
		})
	}
}

// TestARecordThatNoItemHolds is cut, and what is not kept is said.
func TestARecordThatNoItemHolds(t *testing.T) {
	b := newBench(t, allKeys())
	apac := &b.mesh.Clusters[1]
	for i := range 20 {
		name := mesh.NodeName(fmt.Sprintf("imp-apac-sub%d.example.com", i+2))
		n := mesh.Node{Name: name, Address: string(name) + ":8443"}
		apac.Nodes = append(apac.Nodes, n)
		names := []string{string(name)}
		for k := range 99 {
			names = append(names, fmt.Sprintf("%s%02d.node%02d.example.net", strings.Repeat("department.", 15), k, i))
		}
		b.serve(n.Address, tlsprobe.ECDSA, b.issue(t, wish{cn: string(name), names: names, ecdsa: true}))
	}
	snapshot := b.look(run.Request{})
	var said []peer.Finding
	for _, f := range snapshot.Certs["apac"].Value.Findings {
		if f.Reason == peer.ValueTooLong {
			said = append(said, f)
		}
	}
	if len(said) != 1 || !strings.HasSuffix(said[0].Message, "of apac are more than can be kept; not kept, and so not known: findings, names of certificates") {
		t.Errorf("said %+v", said)
	}
	for _, f := range snapshot.Certs["emea"].Value.Findings {
		if f.Reason == peer.ValueTooLong {
			t.Errorf("of emea: %+v", f)
		}
	}
}
