package certcheck

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
	"peerkeeper/shared/tlsprobe"
)

// A store that is listed as empty, and was not, says nothing: what was read there
// counts on, and the finding names node and store.
func TestAStoreThatIsListedAsEmpty(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	if no := b.look(run.Request{}).Certs["emea"].Value.NoTrust; no != nil {
		t.Fatalf("of stores that were read: %+v", no)
	}
	b.stores[emeaPub]["tomcat-trust"] = []*issued{}
	b.now = b.now.Add(6 * time.Hour)
	snapshot := b.look(run.Request{})
	no := snapshot.Certs["emea"].Value.NoTrust
	if no == nil || no.Reason != peer.UnreadableAnswer || no.Node != emeaPub || no.Detail != "tomcat-trust of imp-emea-pub.example.com is listed as empty, and it was not at the check before" {
		t.Errorf("it is noted as %+v", no)
	}
	if cond := condOf(snapshot, emeaToApac, peer.CertificateTrusted); cond.Reason != peer.InTrustStore {
		t.Errorf("%s %s: %s", cond.Status, cond.Reason, cond.Message)
	}
	b.now = b.now.Add(6 * time.Hour) // two looks after it was read
	if cond := condOf(b.look(run.Request{}), emeaToApac, peer.CertificateTrusted); cond.Reason != peer.InTrustStore {
		t.Errorf("empty for two looks: %s %s", cond.Status, cond.Reason)
	}
	b.now = b.now.Add(6 * time.Hour) // more than two looks: now it is
	if cond := condOf(b.look(run.Request{}), emeaToApac, peer.CertificateTrusted); cond.Reason != peer.NotInTrustStore {
		t.Errorf("empty for half a day: %s %s", cond.Status, cond.Reason)
	}
}

// The stores of SIP and XMPP count where some peer of the cluster speaks TLS, and
// no store but these three ever does.
func TestWhichStoresAreJudged(t *testing.T) {
	for _, c := range []struct {
		name string
		tls  mesh.PeerID
		want string
	}{
		{"TCP alone", mesh.PeerID{}, "tomcat-trust"},
		{"TLS away", mesh.PeerID{From: "emea", To: "apac"}, "cup-trust cup-xmpp-trust tomcat-trust"},
		{"TLS back", mesh.PeerID{From: "apac", To: "emea"}, "cup-trust cup-xmpp-trust tomcat-trust"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, allKeys())
			b.platform()
			for i, p := range b.mesh.Peers {
				if p.ID == c.tls {
					b.mesh.Peers[i].Protocol = mesh.TLSProto
				}
			}
			for _, store := range []string{"cup-trust", "cup-xmpp-trust", "CallManager-trust"} {
				b.stores[emeaPub][store] = b.stores[emeaPub]["tomcat-trust"]
			}
			var got []string
			trust := b.look(run.Request{}).Certs["emea"].Value.Trust
			for _, store := range []string{"CallManager-trust", "cup-trust", "cup-xmpp-trust", "tomcat-trust"} {
				if _, judged := trust[store]; judged {
					got = append(got, store)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("judged: %q, want %s", got, c.want)
			}
		})
	}
}

// How far a chain is followed to a CA of the store: by way of what was served, and
// no further than any real chain reaches.
func TestWhichCAOfTheStoreVouches(t *testing.T) {
	k := allKeys()
	root := k.issue(t, wish{cn: "Example Root", ca: true})
	over := k.issue(t, wish{cn: "Example Root", ca: true, to: noon().Add(-time.Minute)})
	early := k.issue(t, wish{cn: "Example Root", ca: true, from: noon().Add(time.Minute)})
	steps := []*issued{k.issue(t, wish{cn: "Issuing 0", ca: true, by: root})}
	for i := range 7 {
		steps = append(steps, k.issue(t, wish{cn: fmt.Sprint("Issuing ", i+1), ca: true, by: steps[i]}))
	}
	certs := func(all ...*issued) (out []*x509.Certificate) {
		for _, one := range all {
			out = append(out, one.cert)
		}
		return out
	}
	for _, c := range []struct {
		name          string
		by            *issued
		served, store []*x509.Certificate
		want          *issued
	}{
		{"the root itself signed it", root, nil, certs(root), root},
		{"by one intermediate that is served", steps[0], certs(steps[0]), certs(root), root},
		{"by two that are served", steps[1], certs(steps[1], steps[0]), certs(root), root},
		{"the first intermediate leads nowhere, the second does", steps[0], certs(k.issue(t, wish{cn: "Issuing 0", ca: true, by: steps[4], key: steps[0]}), steps[0]), certs(root), root},
		{"the store holds the intermediate", steps[1], nil, certs(steps[1]), steps[1]},
		{"the store holds the next intermediate", steps[1], certs(steps[1]), certs(steps[0]), steps[0]},
		{"the intermediate is not served", steps[0], nil, certs(root), nil},
		{"only served, not held", steps[0], certs(steps[0], root), nil, nil},
		{"six intermediates", steps[5], certs(steps[:6]...), certs(root), root},
		{"seven", steps[6], certs(steps[:7]...), certs(root), nil},
		{"a root that has ended", over, nil, certs(over), nil},
		{"a root that has not begun", early, nil, certs(early), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := &storeJudge{now: noon(), signed: map[[2]string]bool{}}
			leaf := k.issue(t, wish{cn: string(apacPub), by: c.by})
			for range 2 { // and again, by what is remembered
				got := j.anchor(leaf.cert, c.served, c.store, 0)
				if (got == nil) != (c.want == nil) || got != nil && !got.Equal(c.want.cert) {
					t.Errorf("vouched for by %v", got)
				}
			}
		})
	}
}

// What a node lacks that others of its cluster hold is noted up to a bound, and
// not of a node of whose store not all was looked at.
func TestWhatOneNodeLacks(t *testing.T) {
	for _, c := range []struct {
		name      string
		held, cut int
		want      int
	}{
		{"one", 1, 0, 1},
		{"as many as are noted", maxLackingOn, 0, maxLackingOn},
		{"more than are noted", maxLackingOn + 5, 0, maxLackingOn},
		{"not all of its store was looked at", 3, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := &mesh.Cluster{ID: "emea", Publisher: emeaPub}
			next := certificate.Store{Nodes: []certificate.StoreNode{{Name: emeaPub, Read: noon()}, {Name: emeaSub, Read: noon(), Cut: c.cut}}}
			for i := range c.held {
				next.Entries = append(next.Entries, certificate.Entry{Print: fmt.Sprintf("%04d", i), Not: []int{1}})
			}
			since := noon().Add(-time.Hour)
			was := certificate.Store{Lacks: map[string]time.Time{certificate.LackOn("0000", 1): since}}
			j := &storeJudge{mesh: &mesh.Mesh{}, now: noon()}
			j.lack(cl, "tomcat-trust", &next, was)
			if len(next.Lacks) != c.want {
				t.Errorf("%d are noted, want %d", len(next.Lacks), c.want)
			}
			if at := next.Lacks[certificate.LackOn("0000", 1)]; c.want > 0 && !at.Equal(since) {
				t.Errorf("what it has lacked for an hour it lacks since %v", at)
			}
		})
	}
}

// Whether the publisher's store vouched for a certificate at the look before: by
// the certificate itself, or by the CA that it chains to.
func TestWhatAStoreVouchedForBefore(t *testing.T) {
	both := []certificate.StoreNode{{Name: emeaPub}, {Name: emeaSub}}
	ca := certificate.Entry{Print: "ca"}
	for _, c := range []struct {
		name string
		was  certificate.Store
		want bool
	}{
		{"it was there", certificate.Store{Nodes: both, Entries: []certificate.Entry{{Print: "x"}}}, true},
		{"on the subscriber alone", certificate.Store{Nodes: both, Entries: []certificate.Entry{{Print: "x", Not: []int{0}}}}, false},
		{"on the publisher alone", certificate.Store{Nodes: both, Entries: []certificate.Entry{{Print: "x", Not: []int{1}}}}, true},
		{"its CA was there, the first of the store", certificate.Store{Nodes: both, Entries: []certificate.Entry{ca}, Vouched: map[string]int{"x": 0}}, true},
		{"its CA was on the subscriber alone", certificate.Store{Nodes: both, Entries: []certificate.Entry{{Print: "other"}, {Print: "ca", Not: []int{0}}}, Vouched: map[string]int{"x": 1}}, false},
		{"it was taken out, its CA was there", certificate.Store{Nodes: both, Entries: []certificate.Entry{{Print: "x", Not: []int{0}}, ca}, Vouched: map[string]int{"x": 1}}, false},
		{"a CA that the item has not", certificate.Store{Nodes: both, Entries: []certificate.Entry{ca}, Vouched: map[string]int{"x": 1}}, false},
		{"a CA that no item can have", certificate.Store{Nodes: both, Entries: []certificate.Entry{ca}, Vouched: map[string]int{"x": -1}}, false},
		{"another was", certificate.Store{Nodes: both, Entries: []certificate.Entry{ca}, Vouched: map[string]int{"y": 0}}, false},
		{"the publisher is another node by now", certificate.Store{Nodes: both[1:], Entries: []certificate.Entry{{Print: "x"}}}, false},
		{"nothing was read", certificate.Store{}, false},
	} {
		if got := hadIt(c.was, emeaPub, "x"); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// By what Peerkeeper may log in over a certificate: a pin, or a CA of tls.ca by
// way of what is served with it, for the name that is dialled.
func TestWhatVouchesForAServedCertificateHere(t *testing.T) {
	k := allKeys()
	root := k.issue(t, wish{cn: "Example Root", ca: true})
	sub := k.issue(t, wish{cn: "Example Issuing", ca: true, by: root})
	leaf := k.issue(t, wish{cn: string(apacPub), by: sub})
	print := chain.Fingerprint(leaf.cert)
	for _, c := range []struct {
		name       string
		tls        mesh.TLS
		accepted   []string
		served     []*issued
		host       mesh.NodeName
		pinned, ca bool
	}{
		{"by nothing", mesh.TLS{}, nil, []*issued{leaf, sub}, apacPub, false, false},
		{"by the CA", mesh.TLS{CA: pemOf(root)}, nil, []*issued{leaf, sub}, apacPub, false, true},
		{"by the CA, and its intermediate is not served", mesh.TLS{CA: pemOf(root)}, nil, []*issued{leaf}, apacPub, false, false},
		{"by the CA, under another name", mesh.TLS{CA: pemOf(root)}, nil, []*issued{leaf, sub}, apacSub, false, false},
		{"by a pin in capitals", mesh.TLS{Pins: []string{" " + strings.ToUpper(print)}}, nil, []*issued{leaf, sub}, apacPub, true, false},
		{"by a person", mesh.TLS{}, []string{strings.ToUpper(print)}, []*issued{leaf, sub}, apacPub, true, false},
		{"pinned, and not served now", mesh.TLS{Pins: []string{print}, CA: pemOf(root)}, nil, nil, apacPub, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours := trustOf(&mesh.Cluster{Nodes: []mesh.Node{{Name: apacPub}}, TLS: c.tls}, map[mesh.NodeName][]string{apacPub: c.accepted})
			s := certificate.Served{Fingerprint: print}
			var served []*x509.Certificate
			for _, one := range c.served {
				served = append(served, one.cert)
			}
			ours.judge(&s, served, string(c.host), noon())
			if s.Pinned != c.pinned || s.CA != c.ca {
				t.Errorf("pinned %v, by the CA %v", s.Pinned, s.CA)
			}
			if len(s.Chain) != max(0, len(c.served)-1) || len(s.Chain) == 1 && (s.Chain[0].Fingerprint != chain.Fingerprint(sub.cert) || s.Chain[0].Subject != "CN=Example Issuing,O=Example" || !s.Chain[0].NotAfter.Equal(sub.cert.NotAfter)) {
				t.Errorf("the chain that came with it is kept as %+v", s.Chain)
			}
		})
	}
}

// An intermediate that a node does not serve is looked for in the cluster's own
// stores: a leaf ends with it.
func TestAnIntermediateThatOnlyAStoreHoldsEnds(t *testing.T) {
	b := newBench(t, allKeys())
	root := b.issue(t, wish{cn: "Example Root", ca: true})
	sub := b.issue(t, wish{cn: "Example Issuing", ca: true, by: root, to: noon().AddDate(0, 0, 5)})
	b.mesh.Clusters[1].TLS.CA = pemOf(root)
	b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(t, wish{cn: string(apacPub), by: sub}))
	b.platform()
	b.stores[apacPub]["tomcat-trust"] = append(b.stores[apacPub]["tomcat-trust"], sub)
	served := b.look(run.Request{}).Certs["apac"].Value.Served[apacPub]
	s := served[certificate.Place{KeyType: "RSA"}]
	if !s.ChainEnds.Equal(sub.cert.NotAfter) || s.ChainBy != "CN=Example Issuing,O=Example" {
		t.Errorf("its chain ends %v by %q, want %v", s.ChainEnds, s.ChainBy, sub.cert.NotAfter)
	}
}

// What people have accepted of a cluster's nodes is told from what they had at the
// look before, in whichever order it is read.
func TestWhatWasAcceptedOfACluster(t *testing.T) {
	cl := &mesh.Cluster{Nodes: []mesh.Node{{Name: emeaPub}, {Name: emeaSub}}}
	one := acceptedBy(cl, map[mesh.NodeName][]string{emeaPub: {"aa", "bb"}})
	for name, c := range map[string]struct {
		accepted map[mesh.NodeName][]string
		same     bool
	}{
		"the same":                 {map[mesh.NodeName][]string{emeaPub: {"aa", "bb"}}, true},
		"in another order":         {map[mesh.NodeName][]string{emeaPub: {"bb", "aa"}}, true},
		"of another cluster too":   {map[mesh.NodeName][]string{emeaPub: {"aa", "bb"}, apacPub: {"cc"}}, true},
		"one less":                 {map[mesh.NodeName][]string{emeaPub: {"aa"}}, false},
		"one of them of the other": {map[mesh.NodeName][]string{emeaPub: {"aa"}, emeaSub: {"bb"}}, false},
	} {
		if got := acceptedBy(cl, c.accepted); (got == one) != c.same || got == "" {
			t.Errorf("%s: %q, and %q before", name, got, one)
		}
	}
	if got := acceptedBy(cl, map[mesh.NodeName][]string{apacPub: {"cc"}}); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

// How a run counts a cluster: by the certificates of its nodes' own ports.
func TestHowAClusterIsCounted(t *testing.T) {
	served := func(errors ...string) certificate.Record {
		r := certificate.Record{Served: map[mesh.NodeName]map[certificate.Place]certificate.Served{}}
		for i, e := range errors {
			r.Served[mesh.NodeName(fmt.Sprint("node", i))] = map[certificate.Place]certificate.Served{{KeyType: "RSA"}: {Error: e}}
		}
		r.Ports = map[mesh.NodeName]map[certificate.Place]certificate.Served{"node0": {{Port: "5061", KeyType: "RSA"}: {Error: "closed"}}}
		return r
	}
	for _, c := range []struct {
		name string
		r    certificate.Record
		want run.Clusters
	}{
		{"all were read", served("", ""), run.Clusters{Observed: 1}},
		{"one was not", served("", "no answer"), run.Clusters{Partial: 1}},
		{"none was", served("no answer", "no answer"), run.Clusters{Unreachable: 1}},
		{"there is none", served(), run.Clusters{Unreachable: 1}},
	} {
		var got run.Clusters
		if countCluster(&got, c.r); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// What a verdict on trust is about: another certificate, or another reason, is another
// matter. A verdict that finds nothing wrong is about nothing.
func TestWhatAVerdictOnTrustIsAbout(t *testing.T) {
	met := []certificate.Served{{Fingerprint: "sha256:aa"}, {Fingerprint: "sha256:bb"}}
	for _, c := range []struct {
		status peer.Status
		want   string
	}{
		{peer.False, "NotInTrustStore aa, NotInTrustStore bb"},
		{peer.True, ""},
		{peer.UnknownStatus, ""},
	} {
		if got := strings.Join(atFault(peer.Condition{Status: c.status, Reason: peer.NotInTrustStore}, met), ", "); got != c.want {
			t.Errorf("%s: %q, want %q", c.status, got, c.want)
		}
	}
}

// What the look before found to chain to a CA still does, where the certificate is not read
// now, is known, and its CA is still in the store.
func TestWhatChainsToACAOfTheStoreStays(t *testing.T) {
	for _, c := range []struct {
		name string
		was  certificate.Store
		next []certificate.Entry
		want string
	}{
		{"to the first CA of the store", certificate.Store{Entries: []certificate.Entry{{Print: "ca"}}, Vouched: map[string]int{"leaf": 0}}, []certificate.Entry{{Print: "other"}, {Print: "ca"}}, "map[leaf:1]"},
		{"the CA has gone", certificate.Store{Entries: []certificate.Entry{{Print: "ca"}}, Vouched: map[string]int{"leaf": 0}}, []certificate.Entry{{Print: "other"}}, "map[]"},
		{"a CA that the item has not", certificate.Store{Entries: []certificate.Entry{{Print: "ca"}}, Vouched: map[string]int{"leaf": 1}}, []certificate.Entry{{Print: "ca"}}, "map[]"},
		{"a CA that no item can have", certificate.Store{Entries: []certificate.Entry{{Print: "ca"}}, Vouched: map[string]int{"leaf": -1}}, []certificate.Entry{{Print: "ca"}}, "map[]"},
		{"a certificate that nobody knows any more", certificate.Store{Entries: []certificate.Entry{{Print: "ca"}}, Vouched: map[string]int{"gone": 0}}, []certificate.Entry{{Print: "ca"}}, "map[]"},
	} {
		j := &storeJudge{prints: map[string]map[string]bool{"tomcat-trust": {"leaf": true}}}
		all := map[string]*storeEntry{}
		for _, e := range c.next {
			all[e.Print] = &storeEntry{}
		}
		next := certificate.Store{Entries: c.next}
		j.vouch("tomcat-trust", all, &next, c.was)
		if got := fmt.Sprint(next.Vouched); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// A service that a node names, and of which it shows no certificate, has none.
func TestAServiceWithoutACertificateHasNone(t *testing.T) {
	k := allKeys()
	own := k.issue(t, wish{cn: string(emeaPub)})
	l := &look{tick: &tick{now: noon()}, cl: &mesh.Cluster{ID: "emea"}}
	got := l.identities(mesh.Node{Name: emeaPub}, certificate.Holding{Identities: map[string][]*x509.Certificate{"cup": {}, "tomcat": {own.cert}}})
	if _, named := got["cup"]; named || len(got) != 1 || got["tomcat"].Fingerprint != chain.Fingerprint(own.cert) {
		t.Errorf("%+v", got)
	}
}
