package certcheck

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
	"peerkeeper/shared/tlsprobe"
)

// said is a DNS server that answers every name alike but those that are named.
func said(address string, rest dnsprobe.Reason, but map[string]dnsprobe.Reason) func([]string) dnsprobe.ServerResult {
	return func(names []string) dnsprobe.ServerResult {
		r := dnsprobe.ServerResult{Server: address, Questions: len(names)}
		for _, n := range names {
			reason := rest
			if b, ok := but[n]; ok {
				reason = b
			}
			r.Names = append(r.Names, dnsprobe.NameResult{Name: n, Reason: reason, Forward: dnsprobe.Answer{Name: n, Reason: reason}})
		}
		return r
	}
}

var emeaToApac = mesh.PeerID{From: "emea", To: "apac"}

// resolver answers by servers in order, and counts what it is asked.
type resolver struct {
	servers []func([]string) dnsprobe.ServerResult

	mu   sync.Mutex // clusters ask side by side
	most int
}

func (r *resolver) Lookup(_ context.Context, _, names []string) (dnsprobe.Result, error) {
	var out dnsprobe.Result
	r.mu.Lock()
	r.most = max(r.most, len(names))
	r.mu.Unlock()
	for _, s := range r.servers {
		out.Servers = append(out.Servers, s(names))
	}
	return out, nil
}

// TestNamesOfACertificate: which names of a certificate the pulling cluster's
// DNS must know, and what its answers amount to.
func TestNamesOfACertificate(t *testing.T) {
	k := allKeys()
	const first, second = "192.0.2.53:53", "192.0.2.54:53"
	ok := said(second, dnsprobe.OK, nil)
	only := func(name string, reason dnsprobe.Reason) func([]string) dnsprobe.ServerResult {
		return said(first, dnsprobe.OK, map[string]dnsprobe.Reason{name: reason})
	}
	both := func(r dnsprobe.Reason) []func([]string) dnsprobe.ServerResult {
		return []func([]string) dnsprobe.ServerResult{said(first, r, nil), said(second, r, nil)}
	}
	type servers = []func([]string) dnsprobe.ServerResult
	for _, c := range []struct {
		name    string
		names   []string // of apac's publisher
		servers servers
		want    string // NamesResolve of emea>apac
		finding string // of either cluster; "" for none but DNS ones
		says    string
	}{
		{"the first server is lame, the second knows", nil, servers{said(first, dnsprobe.Lame, nil), ok}, "True OneServerResolves inferred", "", ""},
		{"the first server refuses Peerkeeper, the second knows", nil, servers{said(first, dnsprobe.Refused, nil), ok}, "True OneServerResolves inferred", "", ""},
		{"the first server fails, the second knows", nil, servers{said(first, dnsprobe.ServFail, nil), ok}, "True OneServerResolves inferred", "", ""},
		{"the first server does not implement the question, the second knows", nil, servers{said(first, dnsprobe.Rejected, nil), ok}, "True OneServerResolves inferred", "", ""},
		{"the first server's answer is cut off, the second knows", nil, servers{said(first, dnsprobe.Truncated, nil), ok}, "True OneServerResolves inferred", "", ""},
		{"both servers are lame", nil, both(dnsprobe.Lame), "Unknown AllServersSilent measured", "", "Lame from " + first},
		{"both servers refuse Peerkeeper", nil, both(dnsprobe.Refused), "Unknown AllServersSilent measured", "", ""},
		{"neither server understands the question", nil, both(dnsprobe.Rejected), "Unknown AllServersSilent measured", "", ""},
		{"both servers fail", nil, both(dnsprobe.ServFail), "False NameNotResolving measured", "", ""},
		{"the first server is lame, the second says there is no such name", nil, servers{said(first, dnsprobe.Lame, nil), said(second, dnsprobe.NXDomain, nil)}, "False NameNotResolving inferred", "", "NXDomain from " + second},
		{"the parent domain among the names has no address", []string{string(apacPub), string(apacSub), "cucm-apac.example.com", "example.com"}, servers{only("example.com", dnsprobe.NoAddress)}, "True AllResolve measured", "", "all 3 names of servers"},
		{"a parent domain two levels up", []string{"imp.apac.example.net", "example.net"}, servers{only("example.net", dnsprobe.NXDomain)}, "True AllResolve measured", "", ""},
		{"the parent domain beside a wildcard", []string{string(apacPub), "*.apac.example.net", "apac.example.net"}, servers{only("apac.example.net", dnsprobe.NXDomain)}, "True AllResolve measured", "", ""},
		{"a node whose name is above another name is a server all the same", []string{string(apacPub), "x." + string(apacPub)}, servers{only(string(apacPub), dnsprobe.NXDomain)}, "False NameNotResolving measured", "", string(apacPub) + " (NXDomain"},
		{"the mesh's own domain alone", []string{string(apacPub), "EXAMPLE.com."}, servers{said(first, dnsprobe.OK, map[string]dnsprobe.Reason{"EXAMPLE.com.": dnsprobe.NXDomain})}, "True AllResolve measured", "", ""},
		{"addresses need no resolving", []string{string(apacPub), "192.0.2.7", "2001:db8::7"}, servers{only("192.0.2.7", dnsprobe.NXDomain)}, "True AllResolve measured", "", "the one name"},
		{"a name in two spellings", []string{string(apacPub), strings.ToUpper(string(apacPub)) + "."}, servers{ok}, "True AllResolve measured", "", "the one name"},
		{"an international name as certificates write it", []string{string(apacPub), "xn--mnchen-3ya.example.com"}, servers{only("xn--mnchen-3ya.example.com", dnsprobe.NXDomain)}, "False NameNotResolving measured", "", "xn--mnchen-3ya"},
		{"an underscore", []string{string(apacPub), "imp_apac.example.com"}, servers{ok}, "True AllResolve measured", "", ""},
		{"an empty name", []string{string(apacPub), ""}, servers{ok}, "True AllResolve measured", string(certificate.NotAHostName), `""`},
		{"a blank in a name, and DNS knows no such name", []string{string(apacPub), "imp apac.example.com"}, servers{only("imp apac.example.com", dnsprobe.NXDomain)}, "False NameNotResolving inferred", string(certificate.NotAHostName), `"imp apac.example.com" (NXDomain`},
		{"a blank behind a name", []string{string(apacPub), string(apacSub) + " "}, servers{only(string(apacSub)+" ", dnsprobe.NXDomain)}, "False NameNotResolving inferred", string(certificate.NotAHostName), `"` + string(apacSub) + ` "`},
		{"a mail address where a host's name belongs", []string{string(apacPub), "admin@example.com"}, servers{only("admin@example.com", dnsprobe.NXDomain)}, "False NameNotResolving inferred", string(certificate.NotAHostName), "admin@example.com"},
		{"a name longer than DNS allows", []string{string(apacPub), strings.Repeat("a", 70) + ".example.com"}, servers{ok}, "True AllResolve measured", string(certificate.NotAHostName), ""},
		{"no name but the CN", []string{}, servers{ok}, "True AllResolve measured", "NameInCNOnly", "the one name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, k)
			if c.names != nil {
				leaf := b.issue(t, wish{cn: string(apacPub), names: c.names})
				b.serve(string(apacPub)+":8443", tlsprobe.RSA, leaf)
				b.mesh.Clusters[1].TLS.Pins = append(b.mesh.Clusters[1].TLS.Pins, chain.Fingerprint(leaf.cert))
			}
			check := b.certcheck()
			check.DNS = &resolver{servers: c.servers}
			if _, err := check.Handle(t.Context(), run.Request{}); err != nil {
				t.Fatal(err)
			}
			snapshot := b.stored()
			got := condOf(snapshot, emeaToApac, peer.NamesResolve)
			if s := fmt.Sprintf("%s %s %s", got.Status, got.Reason, got.Basis); s != c.want {
				t.Errorf("%s (%s), want %s", s, got.Message, c.want)
			}
			text := got.Message
			var reasons []string
			for _, f := range snapshot.Certs["apac"].Value.Findings {
				reasons = append(reasons, string(f.Reason))
				text += "\n" + f.Message
			}
			if c.finding != "" && !slices.Contains(reasons, c.finding) {
				t.Errorf("findings %v, want %s", reasons, c.finding)
			}
			if c.finding == "" && (slices.Contains(reasons, string(certificate.NotAHostName)) || slices.Contains(reasons, string(peer.ValueTooLong))) {
				t.Errorf("findings %v, none of them was called for", reasons)
			}
			if !strings.Contains(text, c.says) {
				t.Errorf("%q does not say %q", text, c.says)
			}
		})
	}
}

// TestOneServerIsDownAndAnotherDoesNotKnow: the first says nothing of the second.
func TestOneServerIsDownAndAnotherDoesNotKnow(t *testing.T) {
	b := newBench(t, allKeys())
	check := b.certcheck()
	check.DNS = &resolver{servers: []func([]string) dnsprobe.ServerResult{
		func([]string) dnsprobe.ServerResult {
			return dnsprobe.ServerResult{Server: "192.0.2.53:53", Down: dnsprobe.Silent}
		},
		said("192.0.2.54:53", dnsprobe.NXDomain, nil),
	}}
	if _, err := check.Handle(t.Context(), run.Request{}); err != nil {
		t.Fatal(err)
	}
	if got := b.found(b.stored(), "emea"); !slices.Contains(got, "SANNotResolving:192.0.2.54:53:NXDomain critical") {
		t.Errorf("%v", got)
	}
}

// TestACertificateWithThousandsOfNames: a hundred are asked for, the cluster's
// own nodes among them; of the others nothing is claimed.
func TestACertificateWithThousandsOfNames(t *testing.T) {
	b := newBench(t, allKeys())
	var names []string
	for i := range 3000 {
		names = append(names, fmt.Sprintf("n%d.example.net", i))
	}
	names = append(names, string(apacSub), string(apacPub))
	leaf := b.issue(t, wish{cn: "imp-apac-pub-ms.example.com", names: names})
	for _, node := range []string{string(apacPub), string(apacSub)} {
		b.serve(node+":8443", tlsprobe.RSA, leaf)
	}
	b.mesh.Clusters[1].TLS.Pins = append(b.mesh.Clusters[1].TLS.Pins, chain.Fingerprint(leaf.cert))
	dns := &resolver{servers: []func([]string) dnsprobe.ServerResult{said("192.0.2.53:53", dnsprobe.OK, nil)}}
	check := b.certcheck()
	check.DNS = dns
	if _, err := check.Handle(t.Context(), run.Request{}); err != nil {
		t.Fatal(err)
	}
	snapshot := b.stored()
	kept := snapshot.Certs["apac"].Value.Served[apacPub][onRSA]
	if len(kept.Names) != 100 || kept.MoreNames != 2902 || kept.Names[0] != string(apacSub) || kept.Names[1] != string(apacPub) {
		t.Errorf("%d names kept, %d more, first %v", len(kept.Names), kept.MoreNames, kept.Names[:2])
	}
	if dns.most != 100 {
		t.Errorf("%d names asked for, want 100", dns.most)
	}
	got := condOf(snapshot, emeaToApac, peer.NamesResolve)
	if got.Status != peer.UnknownStatus || got.Reason != peer.NamesNotChecked || !strings.Contains(got.Message, "3002 names") {
		t.Errorf("%s %s: %s", got.Status, got.Reason, got.Message)
	}
	found := b.found(snapshot, "apac")
	if !slices.Contains(found, "ValueTooLong:imp-apac-pub.example.com:RSA warning") {
		t.Errorf("%v", found)
	}
	// A name among the first hundred that is not there is known all the same.
	dns.servers[0] = said("192.0.2.53:53", dnsprobe.OK, map[string]dnsprobe.Reason{string(apacSub): dnsprobe.NXDomain})
	if _, err := check.Handle(t.Context(), run.Request{}); err != nil {
		t.Fatal(err)
	}
	if got := condOf(b.stored(), emeaToApac, peer.NamesResolve); got.Status != peer.False {
		t.Errorf("%s %s: %s", got.Status, got.Reason, got.Message)
	}
}

// TestTheFirstDefiniteAnswerDecides, as on the nodes: who is silent, or does not
// know the zone, passes the question on, and leaves it open where nobody knows.
func TestTheFirstDefiniteAnswerDecides(t *testing.T) {
	const name = "imp-apac-pub.example.com"
	for _, c := range []struct {
		name    string
		answers []dnsprobe.Reason // "" is a server that is down
		verdict dnsprobe.Reason
		server  int
	}{
		{"the first has it", []dnsprobe.Reason{dnsprobe.OK, dnsprobe.NXDomain}, dnsprobe.OK, 0},
		{"the first denies it", []dnsprobe.Reason{dnsprobe.NXDomain, dnsprobe.OK}, dnsprobe.NXDomain, 0},
		{"the first has no address of it", []dnsprobe.Reason{dnsprobe.NoAddress, dnsprobe.OK}, dnsprobe.NoAddress, 0},
		{"it does not lead back", []dnsprobe.Reason{dnsprobe.PTRMissing}, dnsprobe.OK, 0},
		{"it leads back elsewhere", []dnsprobe.Reason{dnsprobe.PTRMismatch}, dnsprobe.OK, 0},
		{"the first is down", []dnsprobe.Reason{"", dnsprobe.OK}, dnsprobe.OK, 1},
		{"the first is silent, the second denies it", []dnsprobe.Reason{dnsprobe.Silent, dnsprobe.NXDomain}, dnsprobe.NXDomain, 1},
		{"all fail", []dnsprobe.Reason{dnsprobe.ServFail, dnsprobe.ServFail}, dnsprobe.ServFail, 0},
		{"one fails, the other has it", []dnsprobe.Reason{dnsprobe.ServFail, dnsprobe.OK}, dnsprobe.OK, 1},
		{"one fails, the other is silent", []dnsprobe.Reason{dnsprobe.ServFail, dnsprobe.Silent}, "", 0},
		{"one is silent, the other fails", []dnsprobe.Reason{dnsprobe.Silent, dnsprobe.ServFail}, "", 0},
		{"one fails, the other is down", []dnsprobe.Reason{dnsprobe.ServFail, ""}, "", 0},
		{"one knows nothing of the zone, the other fails", []dnsprobe.Reason{dnsprobe.Lame, dnsprobe.ServFail}, "", 0},
		{"nobody is asked", nil, "", 0},
	} {
		var dns dnsprobe.Result
		for i, reason := range c.answers {
			s := said(fmt.Sprint("192.0.2.", i), reason, nil)([]string{name})
			if reason == "" {
				s.Down = dnsprobe.Silent
			}
			dns.Servers = append(dns.Servers, s)
		}
		if verdict, server := resolved(dns, name); verdict != c.verdict || server != c.server {
			t.Errorf("%s: %q by server %d, want %q by %d", c.name, verdict, server, c.verdict, c.server)
		}
	}
}

// Which names mesh.yaml has as a cluster's nodes, the name for TLS and Unified CM's
// included.
func TestWhichNamesMeshYAMLDeclares(t *testing.T) {
	cl := &mesh.Cluster{Nodes: []mesh.Node{{Name: "192.0.2.10", TLSName: "imp-pub.example.com"}, {Name: "imp-sub.example.com"}}}
	for name, want := range map[string]bool{"192.0.2.10": true, "IMP-pub.example.com.": true, "imp-sub.example.com": true, "cucm.example.com": false, "imp-sub": false, "": false} {
		if got := declares(cl, name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	cl.CUCM = &mesh.Node{Name: "cucm.example.com"}
	if !declares(cl, "cucm.example.com") || declares(cl, "other.example.com") {
		t.Error("Unified CM's publisher is not told from others")
	}
}

// A certificate of old has its name in the subject only, with Cisco's mark if it is
// for all servers.
func TestTheNameInASubject(t *testing.T) {
	for subject, want := range map[string]string{
		"CN=imp-pub.example.com,O=Example":    "imp-pub.example.com",
		"CN=imp-pub-ms.example.com,O=Example": "imp-pub.example.com",
		"CN=imp-pub-ms":                       "imp-pub",
		"CN=imp-pub":                          "imp-pub",
	} {
		if got := nameInCN(subject); got != want {
			t.Errorf("%s: %q, want %q", subject, got, want)
		}
	}
}

// Where every DNS server of several clusters is silent, our own way to them is.
func TestWhenOurOwnWayToDNSIsSuspected(t *testing.T) {
	up, down := dnsprobe.ServerResult{Server: "192.0.2.1"}, dnsprobe.ServerResult{Server: "192.0.2.2", Down: dnsprobe.Silent}
	of := func(servers ...dnsprobe.ServerResult) dnsprobe.Result { return dnsprobe.Result{Servers: servers} }
	for _, c := range []struct {
		name string
		dns  map[mesh.ClusterID]dnsprobe.Result
		want bool
	}{
		{"all of two clusters are silent", map[mesh.ClusterID]dnsprobe.Result{"emea": of(down, down), "apac": of(down)}, true},
		{"one of them answers", map[mesh.ClusterID]dnsprobe.Result{"emea": of(down, up), "apac": of(down)}, false},
		{"all of one cluster are silent", map[mesh.ClusterID]dnsprobe.Result{"emea": of(down, down)}, false},
		{"all answer", map[mesh.ClusterID]dnsprobe.Result{"emea": of(up), "apac": of(up)}, false},
		{"nobody was asked", nil, false},
	} {
		if got := suspectOurselves(c.dns); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// Which of the names that a puller meets must be found, each once, and how many
// there are.
func TestWhichNamesOfACertificateCount(t *testing.T) {
	b := newBench(t, allKeys())
	pub, sub := string(apacPub), string(apacSub)
	for _, c := range []struct {
		name string
		met  []certificate.Served
		want serverNames
	}{
		{"one", []certificate.Served{{Names: []string{pub}}}, serverNames{asked: []string{pub}, all: 1}},
		{"the same in two certificates, and in capitals", []certificate.Served{{Names: []string{pub}}, {Names: []string{strings.ToUpper(pub) + ".", sub}}}, serverNames{asked: []string{pub, sub}, all: 2}},
		{"in the subject alone, with Cisco's mark", []certificate.Served{{Subject: "CN=imp-apac-pub-ms.example.com,O=Example"}}, serverNames{asked: []string{pub}, all: 1}},
		{"none but an empty one", []certificate.Served{{Names: []string{""}}}, serverNames{}},
		{"an address and a wildcard", []certificate.Served{{Names: []string{pub, "192.0.2.1", "*.example.com"}}}, serverNames{asked: []string{pub}, all: 3}},
		{"one that no host can have", []certificate.Served{{Names: []string{pub, "imp_apac pub"}}}, serverNames{asked: []string{pub, "imp_apac pub"}, odd: []string{"imp_apac pub"}, all: 2}},
		{"more than are kept", []certificate.Served{{Names: []string{pub}, MoreNames: 7}}, serverNames{asked: []string{pub}, all: 8, beyond: 7}},
		{"all of them are more than are kept", []certificate.Served{{Subject: "CN=" + pub, MoreNames: 7}}, serverNames{all: 7, beyond: 7}},
	} {
		got := b.certcheck().namesOf("apac", c.met)
		if !slices.Equal(got.asked, c.want.asked) || !slices.Equal(got.odd, c.want.odd) || got.all != c.want.all || got.beyond != c.want.beyond {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// Why nobody tells whether a name exists is said of the servers that answered.
func TestWhyANameIsOpen(t *testing.T) {
	const name = "imp-apac-pub.example.com"
	answer := func(address string, reason, down dnsprobe.Reason) dnsprobe.ServerResult {
		s := said(address, reason, nil)([]string{name})
		s.Down = down
		return s
	}
	for _, c := range []struct {
		name    string
		servers []dnsprobe.ServerResult
		want    string
	}{
		{"one fails, one is silent", []dnsprobe.ServerResult{answer("192.0.2.1", dnsprobe.ServFail, ""), answer("192.0.2.2", dnsprobe.Silent, "")}, fmt.Sprintf(" (%s from 192.0.2.1)", dnsprobe.ServFail)},
		{"two answer", []dnsprobe.ServerResult{answer("192.0.2.1", dnsprobe.Lame, ""), answer("192.0.2.2", dnsprobe.Refused, "")}, fmt.Sprintf(" (%s from 192.0.2.1, %s from 192.0.2.2)", dnsprobe.Lame, dnsprobe.Refused)},
		{"one is down", []dnsprobe.ServerResult{answer("192.0.2.1", dnsprobe.ServFail, dnsprobe.Silent)}, ""},
		{"one was not asked for it", []dnsprobe.ServerResult{{Server: "192.0.2.1"}}, ""},
		{"nobody was asked", nil, ""},
	} {
		if got := whyOpen(dnsprobe.Result{Servers: c.servers}, name); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	b := newBench(t, allKeys())
	apac, _ := b.mesh.Cluster("apac")
	if long := strings.Repeat("department.", 30) + "example.net"; b.certcheck().needsResolving(apac, long, []string{long}) {
		t.Error("a name that fits into no question must be found")
	}
}

// What is kept of each DNS server that mesh.yaml names: whether it is silent, and
// since when. One that was not asked now keeps what was known.
func TestSinceWhenADNSServerIsSilent(t *testing.T) {
	since := noon().Add(-time.Hour)
	cl := mesh.Cluster{DNS: []string{"one", "two"}}
	silent := func(address string, at time.Time) certificate.NameServer {
		return certificate.NameServer{Address: address, Silent: true, Since: at}
	}
	up, down := func(s string) dnsprobe.ServerResult { return dnsprobe.ServerResult{Server: s} }, func(s string) dnsprobe.ServerResult { return dnsprobe.ServerResult{Server: s, Down: dnsprobe.Silent} }
	for _, c := range []struct {
		name string
		now  []dnsprobe.ServerResult
		prev []certificate.NameServer
		want []certificate.NameServer
	}{
		{"both answer", []dnsprobe.ServerResult{up("one"), up("two")}, nil, []certificate.NameServer{{Address: "one"}, {Address: "two"}}},
		{"the second is silent, for the first time", []dnsprobe.ServerResult{up("one"), down("two")}, []certificate.NameServer{{Address: "one"}, {Address: "two"}}, []certificate.NameServer{{Address: "one"}, silent("two", noon())}},
		{"the second is still silent", []dnsprobe.ServerResult{up("one"), down("two")}, []certificate.NameServer{{Address: "one"}, silent("two", since)}, []certificate.NameServer{{Address: "one"}, silent("two", since)}},
		{"both are still silent", []dnsprobe.ServerResult{down("one"), down("two")}, []certificate.NameServer{silent("one", since), silent("two", since.Add(time.Minute))}, []certificate.NameServer{silent("one", since), silent("two", since.Add(time.Minute))}},
		{"the second answers again", []dnsprobe.ServerResult{up("one"), up("two")}, []certificate.NameServer{{Address: "one"}, silent("two", since)}, []certificate.NameServer{{Address: "one"}, {Address: "two"}}},
		{"nobody was asked", nil, []certificate.NameServer{{Address: "one"}, silent("two", since)}, []certificate.NameServer{{Address: "one"}, silent("two", since)}},
		{"one that mesh.yaml does not name any more", []dnsprobe.ServerResult{up("one"), up("two")}, []certificate.NameServer{silent("three", since)}, []certificate.NameServer{{Address: "one"}, {Address: "two"}}},
	} {
		if got := nameServers(cl, dnsprobe.Result{Servers: c.now}, c.prev, noon()); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// Which certificates a puller may meet: the publisher's of each key type, as the node
// itself names it where what is shown is disputed; and the shown one counts besides.
func TestWhichCertificatesAPullerMayMeet(t *testing.T) {
	b := newBench(t, allKeys())
	ec := certificate.Place{KeyType: "ECDSA"}
	s := func(print string, disputed bool) certificate.Served {
		return certificate.Served{Fingerprint: print, Disputed: disputed}
	}
	for _, c := range []struct {
		name           string
		rsa, ecdsa     certificate.Served
		named          map[string]certificate.Served
		meets, besides string
	}{
		{"nothing was read", certificate.Served{Error: "refused"}, certificate.Served{}, nil, "", ""},
		{"RSA alone", s("rsa", false), certificate.Served{}, nil, "rsa", ""},
		{"both", s("rsa", false), s("ec", false), nil, "rsa ec", ""},
		{"the node names another, and it is no dispute", s("rsa", false), s("ec", false), map[string]certificate.Served{"tomcat": s("next", false)}, "rsa ec", ""},
		{"RSA is disputed", s("shown", true), s("ec", false), map[string]certificate.Served{"tomcat": s("named", true)}, "named ec", "shown"},
		{"ECDSA is disputed", s("rsa", false), s("shown", true), map[string]certificate.Served{"tomcat-ECDSA": s("named", true)}, "rsa named", "shown"},
		{"it was disputed, and what the node named is gone", s("shown", true), certificate.Served{}, nil, "shown", "shown"},
	} {
		r := certificate.Record{
			Served:   map[mesh.NodeName]map[certificate.Place]certificate.Served{apacPub: {onRSA: c.rsa, ec: c.ecdsa}, apacSub: {onRSA: s("sub", true)}},
			Identity: map[mesh.NodeName]map[string]certificate.Served{apacPub: c.named},
		}
		prints := func(all []certificate.Served) string {
			var out []string
			for _, one := range all {
				out = append(out, one.Fingerprint)
			}
			return strings.Join(out, " ")
		}
		if meets, besides := prints(b.certcheck().leaves("apac", r)), prints(b.certcheck().disputed("apac", r)); meets != c.meets || besides != c.besides {
			t.Errorf("%s: meets %q, besides %q; want %q and %q", c.name, meets, besides, c.meets, c.besides)
		}
	}
}
