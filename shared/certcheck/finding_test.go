package certcheck

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/tlsprobe"
)

// subjectOn is a certificate on a port of apac's publisher.
func subjectOn(port string) subject {
	return subject{node: mesh.Node{Name: apacPub}, Place: certificate.Place{Port: port, KeyType: "RSA"}}
}

// Every sentence about a certificate says which one it is.
func TestHowACertificateIsNamed(t *testing.T) {
	for port, want := range map[string]string{
		"":     "the RSA certificate of imp-apac-pub.example.com",
		"5061": "the RSA certificate of imp-apac-pub.example.com (port 5061)",
	} {
		if got := subjectOn(port).what(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// How a port behaved is said with its number; 8443's goes without saying in
// mesh.yaml, and not here.
func TestHowAPortBehavedIsSaidWithItsNumber(t *testing.T) {
	for port, want := range map[string]string{
		"":     "port 8443 of imp-apac-pub.example.com, asked for RSA: ",
		"5061": "port 5061 of imp-apac-pub.example.com, asked for RSA: ",
	} {
		x := subjectOn(port)
		x.o = tlsprobe.Outcome{Asked: tlsprobe.RSA, Err: &tlsprobe.Error{Reason: tlsprobe.ProtocolTooOld, KeyType: tlsprobe.RSA}}
		f := finder{now: noon()}
		x.behaviour(&f, true)
		if len(f.out) != 1 || f.out[0].Reason != peer.ProtocolTooOld || !strings.HasPrefix(f.out[0].Message, want) {
			t.Errorf("port %q: %+v", port, f.out)
		}
	}
}

// A change of what Peerkeeper neither trusts nor has compared with the node's own
// certificate may be somebody's in between: the finding says so. And it is said
// for a while.
func TestWhoseChangeAChangeIs(t *testing.T) {
	const doubt = ", as Peerkeeper is shown it and does not trust it,"
	for _, c := range []struct {
		name  string
		s     certificate.Served
		ago   time.Duration
		said  bool
		doubt bool
	}{
		{"nobody vouches for it", certificate.Served{}, 0, true, true},
		{"it is pinned", certificate.Served{Pinned: true}, 0, true, false},
		{"a CA of tls.ca signed it", certificate.Served{CA: true}, 0, true, false},
		{"the node itself says so", certificate.Served{Agreed: noon()}, 0, true, false},
		{"a moment before it is said no more", certificate.Served{}, certificate.ChangeShown - time.Second, true, true},
		{"said for long enough", certificate.Served{}, certificate.ChangeShown, false, false},
	} {
		x := subjectOn("")
		x.s = c.s
		x.s.Replaced, x.s.Cause, x.s.Change, x.s.First = "sha256:aa", peer.CertificateChanged, "measured: a new public key", noon().Add(-c.ago)
		f := finder{now: noon()}
		x.inspect(&f, noon())
		if (len(f.out) == 1) != c.said {
			t.Errorf("%s: said %+v", c.name, f.out)
			continue
		}
		if c.said && strings.Contains(f.out[0].Message, doubt) != c.doubt {
			t.Errorf("%s: %s", c.name, f.out[0].Message)
		}
	}
	x := subjectOn("")
	x.s.First = noon()
	f := finder{now: noon()}
	if x.inspect(&f, noon()); len(f.out) != 0 {
		t.Errorf("of what took nothing's place: %+v", f.out)
	}
}

func TestWhichNamesAreANodes(t *testing.T) {
	for _, c := range []struct {
		node  string
		names []string
		want  bool
	}{
		{"imp-pub.example.com", []string{"imp-sub.example.com", "IMP-pub.example.com"}, true},
		{"imp-pub.example.com", []string{"*.example.com"}, true},
		{"imp-pub.example.com", []string{"imp-pub.example.net"}, false},
		{"imp-pub.example.com", []string{"imp-pub"}, false},
		{"imp-pub", []string{"imp-pub.example.com"}, true},
		{"imp-pub", []string{"IMP-PUB"}, true},
		{"imp-pub", []string{"imp-sub.example.com"}, false},
		{"imp-pub", nil, false},
	} {
		if got := nameMatches(c.names, c.node); got != c.want {
			t.Errorf("%s by %q: %v", c.node, c.names, got)
		}
	}
}

// What was found on a certificate that cannot be read now stays, of this very
// place, and without what is found again or not at each look.
func TestWhatStaysOfACertificateThatCannotBeReadNow(t *testing.T) {
	on := func(port, keyType string) certificate.Place { return certificate.Place{Port: port, KeyType: keyType} }
	found := func(reason peer.Reason, node mesh.NodeName, place certificate.Place) peer.Finding {
		x := subject{node: mesh.Node{Name: node}, Place: place}
		return x.of(reason, "said before")
	}
	read := certificate.Served{Fingerprint: "sha256:aa", Read: noon(), Error: "no answer"}
	for _, c := range []struct {
		name string
		prev peer.Finding
		s    certificate.Served
		kept bool
	}{
		{"of this place", found(certificate.WeakKey, apacPub, on("", "RSA")), read, true},
		{"of another key type", found(certificate.WeakKey, apacPub, on("", "ECDSA")), read, false},
		{"of another port", found(certificate.WeakKey, apacPub, on("5061", "RSA")), read, false},
		{"of another node", found(certificate.WeakKey, apacSub, on("", "RSA")), read, false},
		{"how the port behaved", found(peer.NotTLS, apacPub, on("", "RSA")), read, false},
		{"of one that was never read", found(certificate.WeakKey, apacPub, on("", "RSA")), certificate.Served{}, false},
		{"of one that was read too long ago", found(certificate.WeakKey, apacPub, on("", "RSA")), certificate.Served{Fingerprint: "sha256:aa", Read: noon().AddDate(0, 0, -3), Error: "no answer"}, false},
	} {
		f := finder{prev: []peer.Finding{c.prev}, now: noon()}
		f.keep(apacPub, on("", "RSA"), noon(), c.s)
		if (len(f.out) == 1) != c.kept {
			t.Errorf("%s: kept %+v", c.name, f.out)
		}
	}
}

// A certificate was not trusted by emea and amer. What is said of it by a look at
// which not all of their stores is known.
func TestWhatStaysOfACertificateThatWasNotTrusted(t *testing.T) {
	said := certificate.NewFinding(certificate.NotTrustedByPeers, apacSub, "ECDSA", "", "said before")
	said.Subject, said.Lacking = "CN=sub", []mesh.ClusterID{"amer", "emea"}
	row := func(node mesh.NodeName, keyType, subject string, emea, amer certificate.Cell) certificate.Row {
		return certificate.Row{Cluster: "apac", Node: node, KeyType: keyType, Subject: subject, Store: peer.TomcatTrust, Cells: []certificate.Cell{emea, amer, {}}}
	}
	trusts, open := certificate.Cell{Verdict: certificate.Trusted}, certificate.Cell{Verdict: certificate.Unknown, Why: peer.CannotConnect}
	because := func(why peer.Reason) certificate.Cell {
		return certificate.Cell{Verdict: certificate.Unknown, Why: why}
	}
	with := func(change func(*peer.Finding)) peer.Finding { x := said; change(&x); return x }
	pending := row(apacSub, "ECDSA", "CN=next", trusts, trusts)
	pending.Pending = true
	sip := row(apacSub, "ECDSA", "CN=sub", open, open)
	sip.Store, sip.Service = "cup-trust", "cup-ECDSA"
	others := []certificate.Row{row(apacPub, "ECDSA", "CN=pub", open, open), row(apacSub, "RSA", "CN=sub", open, open)}
	for _, c := range []struct {
		name  string
		prev  peer.Finding
		rows  []certificate.Row
		again []mesh.ClusterID // it is said now of these
		want  []mesh.ClusterID // nil: it is not said any more
	}{
		{"both trust it by now", said, append(others, row(apacSub, "ECDSA", "CN=sub", trusts, trusts)), nil, nil},
		{"of emea nobody can say", said, append(others, row(apacSub, "ECDSA", "CN=sub", open, trusts)), nil, []mesh.ClusterID{"amer", "emea"}},
		{"of neither anybody can say", said, append(others, row(apacSub, "ECDSA", "CN=sub", open, open)), nil, []mesh.ClusterID{"amer", "emea"}},
		{"amer still lacks it, of emea nobody can say", said, append(others, row(apacSub, "ECDSA", "CN=sub", open, trusts)), []mesh.ClusterID{"amer"}, []mesh.ClusterID{"amer", "emea"}},
		{"of emea nobody can say, which had it all along", with(func(x *peer.Finding) { x.Lacking = []mesh.ClusterID{"amer"} }), append(others, row(apacSub, "ECDSA", "CN=sub", open, trusts)), nil, nil},
		{"it is another certificate by now", said, append(others, row(apacSub, "ECDSA", "CN=other", open, open)), nil, nil},
		{"emea's account is gone from mesh.yaml", said, append(others, row(apacSub, "ECDSA", "CN=sub", because(peer.NoCredentials), trusts)), nil, nil},
		{"emea is of a release that shows no stores", said, append(others, row(apacSub, "ECDSA", "CN=sub", because(certificate.Before14), trusts)), nil, nil},
		{"the next one is installed, of the served one nobody can say", said, append(others, pending, row(apacSub, "ECDSA", "CN=sub", open, trusts)), nil, []mesh.ClusterID{"amer", "emea"}},
		{"the certificate itself is not known now", said, others, nil, []mesh.ClusterID{"amer", "emea"}},
		{"the certificate itself is not known now, and nobody knew whose it was", with(func(x *peer.Finding) { x.Subject = "" }), others, nil, nil},
		{"SIP's, of which nobody can say", with(func(x *peer.Finding) { x.ID = x.ID.And("cup-ECDSA") }), []certificate.Row{row(apacSub, "ECDSA", "CN=sub", trusts, trusts), sip}, nil, []mesh.ClusterID{"amer", "emea"}},
		{"the agent had yet to read it", with(func(x *peer.Finding) { x.Reason = peer.TrustNotReloaded }), append(others, row(apacSub, "ECDSA", "CN=sub", open, open)), nil, []mesh.ClusterID{"amer", "emea"}},
		{"its RSA twin was trusted", with(func(x *peer.Finding) { x.ID, x.Reason = x.ID.As(certificate.ECDSAMissing), certificate.ECDSAMissing }), append(others, row(apacSub, "ECDSA", "CN=sub", open, open)), nil, []mesh.ClusterID{"amer", "emea"}},
		{"a finding about something else", with(func(x *peer.Finding) { x.ID, x.Reason = x.ID.As(certificate.WeakKey), certificate.WeakKey }), others, nil, nil},
	} {
		f := finder{prev: []peer.Finding{c.prev}, now: noon()}
		if c.again != nil {
			now := c.prev
			now.Lacking = c.again
			f.add(now)
		}
		f.carryUndecided("apac", certificate.Matrix{Clusters: []mesh.ClusterID{"emea", "amer", "apac"}, Rows: c.rows})
		var got []mesh.ClusterID
		if len(f.out) == 1 {
			got = f.out[0].Lacking
		}
		if len(f.out) > 1 || !slices.Equal(got, c.want) {
			t.Errorf("%s: %d findings, lacking are %v, want %v", c.name, len(f.out), got, c.want)
		}
	}
}

// One that is told again is undecided of nobody, and does not keep the next from
// being looked for.
func TestEveryCertificateThatWasNotTrustedIsLookedFor(t *testing.T) {
	var prev []peer.Finding
	var rows []certificate.Row
	for node, verdict := range map[mesh.NodeName]certificate.Verdict{apacPub: certificate.Trusted, apacSub: certificate.Unknown} {
		rows = append(rows, certificate.Row{Cluster: "apac", Node: node, KeyType: "RSA", Subject: "CN=x", Store: peer.TomcatTrust, Cells: []certificate.Cell{{Verdict: verdict}}})
	}
	for _, node := range []mesh.NodeName{apacPub, apacSub} {
		x := certificate.NewFinding(certificate.NotTrustedByPeers, node, "RSA", "", "said before")
		x.Subject, x.Lacking = "CN=x", []mesh.ClusterID{"emea"}
		prev = append(prev, certificate.NewFinding(certificate.WeakKey, node, "RSA", "", "said before"), x)
	}
	f := finder{prev: prev, now: noon()}
	f.carryUndecided("apac", certificate.Matrix{Clusters: []mesh.ClusterID{"emea"}, Rows: rows})
	if len(f.out) != 1 || f.out[0].Node != apacSub {
		t.Errorf("%+v", f.out)
	}
	if f.carryUndecided("apac", certificate.Matrix{Clusters: []mesh.ClusterID{"emea"}, Rows: rows}); len(f.out) != 1 || !slices.Equal(f.out[0].Lacking, []mesh.ClusterID{"emea"}) {
		t.Errorf("said twice: %+v", f.out)
	}
}

// What is said of a cluster's DNS servers: what they make of names, all names that
// fail alike in one finding, and nothing of what says nothing.
func TestWhatIsSaidOfDNSServers(t *testing.T) {
	const first, second = "192.0.2.53:53", "192.0.2.54:53"
	name := func(name string, forward, all dnsprobe.Reason) dnsprobe.NameResult {
		return dnsprobe.NameResult{Name: name, Reason: all, Forward: dnsprobe.Answer{Name: name, Reason: forward}}
	}
	address := func(all dnsprobe.Reason) dnsprobe.NameResult {
		return dnsprobe.NameResult{Name: "192.0.2.10", Reason: all, Reverse: []dnsprobe.Answer{{Name: "192.0.2.10", Reason: all}}}
	}
	by := func(server string, names ...dnsprobe.NameResult) dnsprobe.ServerResult {
		return dnsprobe.ServerResult{Server: server, Names: names}
	}
	cut := name("a", dnsprobe.OK, dnsprobe.OK)
	cut.Forward.TooLong = "TooManyAddresses"
	for _, c := range []struct {
		name string
		dns  []dnsprobe.ServerResult
		want []string
	}{
		{"all is well", []dnsprobe.ServerResult{by(first, name("a", dnsprobe.OK, dnsprobe.OK))}, nil},
		{"it resolves, and the way back is not told", []dnsprobe.ServerResult{by(first, name("a", dnsprobe.OK, dnsprobe.ServFail), name("b", dnsprobe.OK, dnsprobe.Silent))}, nil},
		{"it resolves, and there is no way back, or another", []dnsprobe.ServerResult{by(first, name("a", dnsprobe.OK, dnsprobe.PTRMissing), name("b", dnsprobe.OK, dnsprobe.PTRMismatch), name("c", dnsprobe.OK, dnsprobe.PTRMissing))},
			[]string{"PTRMismatch:" + first + " info: resolved by " + first + ", but the address does not lead back to the name: b", "PTRMissing:" + first + " info: resolved by " + first + ", but the address does not lead back to the name: a, c"}},
		{"no such name, after one that is fine", []dnsprobe.ServerResult{by(first, name("a", dnsprobe.OK, dnsprobe.OK), name("b", dnsprobe.NXDomain, dnsprobe.NXDomain))},
			[]string{"SANNotResolving:" + first + ":NXDomain critical: emea's DNS server " + first + " does not resolve names in its peers' certificates (NXDomain): b"}},
		{"no such name, after one of which the way back is not told", []dnsprobe.ServerResult{by(first, name("a", dnsprobe.OK, dnsprobe.ServFail), name("b", dnsprobe.NXDomain, dnsprobe.NXDomain))},
			[]string{"SANNotResolving:" + first + ":NXDomain critical: emea's DNS server " + first + " does not resolve names in its peers' certificates (NXDomain): b"}},
		{"the first server knows it, the second does not", []dnsprobe.ServerResult{by(first, name("a", dnsprobe.OK, dnsprobe.OK)), by(second, name("a", dnsprobe.NXDomain, dnsprobe.NXDomain))},
			[]string{"SANNotResolving:" + second + ":NXDomain warning: emea's DNS server " + second + " does not resolve names in its peers' certificates (NXDomain): a"}},
		{"the only server fails", []dnsprobe.ServerResult{by(first, name("a", dnsprobe.ServFail, dnsprobe.ServFail))},
			[]string{"SANNotResolving:" + first + ":ServFail critical: emea's DNS server " + first + " does not resolve names in its peers' certificates (ServFail): a"}},
		{"the first is down, the second fails: nothing is definite", []dnsprobe.ServerResult{{Server: first, Down: dnsprobe.Silent, Names: []dnsprobe.NameResult{name("a", dnsprobe.Silent, dnsprobe.Silent)}}, by(second, name("a", dnsprobe.ServFail, dnsprobe.ServFail))},
			[]string{"SANNotResolving:" + second + ":ServFail warning: emea's DNS server " + second + " does not resolve names in its peers' certificates (ServFail): a"}},
		{"a zone that the server knows nothing of", []dnsprobe.ServerResult{by(first, name("a", dnsprobe.Lame, dnsprobe.Lame))},
			[]string{"DNSServerLame:" + first + " warning: emea's DNS server " + first + " knows nothing of the zone of names in its peers' certificates: a"}},
		{"there was no time", []dnsprobe.ServerResult{by(first, name("a", dnsprobe.Cancelled, dnsprobe.Cancelled), name("b", dnsprobe.BadName, dnsprobe.BadName), name("c", dnsprobe.BadServer, dnsprobe.BadServer))}, nil},
		{"an address that leads to no name", []dnsprobe.ServerResult{by(first, address(dnsprobe.PTRMissing))},
			[]string{"PTRMissing:" + first + " info: resolved by " + first + ", but the address does not lead back to the name: 192.0.2.10"}},
		{"an answer that is cut", []dnsprobe.ServerResult{by(first, cut)},
			[]string{"ValueTooLong:" + first + ":TooManyAddresses warning: DNS server " + first + " answers with more than any lawful answer holds (TooManyAddresses) for a; Peerkeeper looks at the beginning only"}},
	} {
		f := finder{now: noon()}
		names(&f, &mesh.Cluster{ID: "emea"}, certificate.Record{}, dnsprobe.Result{Servers: c.dns})
		var got []string
		for _, x := range f.out {
			got = append(got, fmt.Sprintf("%s %s: %s", x.ID, x.Severity, x.Message))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// A DNS server that does not answer is said with its place in the list: for the first
// each look-up of a node waits.
func TestWhichDNSServerIsSilent(t *testing.T) {
	f := finder{now: noon()}
	names(&f, &mesh.Cluster{ID: "emea"}, certificate.Record{Servers: []certificate.NameServer{{Address: "one", Silent: true}, {Address: "two"}, {Address: "three", Silent: true}}}, dnsprobe.Result{})
	if len(f.out) != 2 || f.out[0].ID != "DNSServerSilent:one" || !strings.HasPrefix(f.out[0].Message, "emea's first DNS server one does not answer") || f.out[1].ID != "DNSServerSilent:three" || !strings.HasPrefix(f.out[1].Message, "emea's DNS server three does not answer") {
		t.Errorf("%+v", f.out)
	}
}

// What is said of how a port behaved depends on whether something should be there:
// 8443 is always open, SIP's and XMPP's ports where a certificate was seen on them.
func TestWhatIsSaidOfAPort(t *testing.T) {
	k := allKeys()
	leaf := k.issue(t, wish{cn: string(apacPub)})
	const none = peer.Reason("")
	for _, c := range []struct {
		name          string
		port, keyType string
		err           tlsprobe.Reason
		seen, known   bool
		stored        string // why the certificate was not read
		want          peer.Reason
	}{
		{"8443 shows its certificate", "", "RSA", "", true, true, "", none},
		{"8443 is too old", "", "RSA", tlsprobe.ProtocolTooOld, true, true, "", peer.ProtocolTooOld},
		{"8443 asks for a client's certificate", "", "RSA", tlsprobe.ClientCertificateRequired, true, true, "", peer.ClientCertificateRequired},
		{"8443 is no TLS, and never was", "", "RSA", tlsprobe.NotTLS, false, false, "", peer.NotTLS},
		{"8443 is no TLS for ECDSA either, which was never seen", "", "ECDSA", tlsprobe.NotTLS, false, false, "", none},
		{"8443 is no TLS for ECDSA, which was seen", "", "ECDSA", tlsprobe.NotTLS, false, true, "", peer.NotTLS},
		{"8443 is too old, and shows ECDSA for the first time", "", "ECDSA", tlsprobe.ProtocolTooOld, true, false, "", peer.ProtocolTooOld},
		{"8443 refuses", "", "RSA", tlsprobe.Refused, false, true, "refused", peer.CertificateNotRead},
		{"8443 has no such suite", "", "ECDSA", tlsprobe.NoCommonSuite, false, false, "", none},
		{"8443 serves RSA for ECDSA, which it had", "", "ECDSA", "", false, true, "the node served RSA", peer.CertificateNotRead},
		{"5061 is closed, and never was open", "5061", "RSA", tlsprobe.Refused, false, false, "", certificate.PortNotTLS},
		{"5061 is closed for ECDSA too", "5061", "ECDSA", tlsprobe.Refused, false, false, "", none},
		{"5061 has no RSA", "5061", "RSA", tlsprobe.NoCommonSuite, false, false, "", none},
		{"5061 can be asked for no type of key", "5061", "RSA", tlsprobe.KeyTypeNotSelectable, false, false, "", none},
		{"5061 is closed, and was open", "5061", "RSA", tlsprobe.Refused, false, true, "refused", peer.CertificateNotRead},
		{"5061 asks for a client's certificate, and shows its own", "5061", "RSA", tlsprobe.ClientCertificateRequired, true, true, "", none},
		{"5061 asks for a client's certificate, and shows none any more", "5061", "RSA", tlsprobe.ClientCertificateRequired, false, true, "refused", peer.ClientCertificateRequired},
		{"5061 is too old, and shows its certificate", "5061", "RSA", tlsprobe.ProtocolTooOld, true, false, "", peer.ProtocolTooOld},
	} {
		x := subject{node: mesh.Node{Name: apacPub}, Place: certificate.Place{Port: c.port, KeyType: c.keyType}, s: certificate.Served{Error: c.stored}}
		x.o.Asked = tlsprobe.KeyType(c.keyType)
		if c.err != "" {
			x.o.Err = &tlsprobe.Error{Reason: c.err, KeyType: x.o.Asked}
		}
		if c.seen {
			x.o.Served = tlsprobe.Served{KeyType: x.o.Asked, Chain: []*x509.Certificate{leaf.cert}}
		}
		f := finder{now: noon()}
		x.behaviour(&f, c.known)
		got := none
		if len(f.out) == 1 {
			got = f.out[0].Reason
		}
		if len(f.out) > 1 || got != c.want {
			t.Errorf("%s: %+v, want %q", c.name, f.out, c.want)
		}
	}
}

// A node that gave no connection is peersync's to report: here it is no more than
// information.
func TestHowBadItIsThatACertificateWasNotRead(t *testing.T) {
	for unreached, want := range map[bool]peer.Severity{true: peer.Info, false: peer.Warning} {
		x := subjectOn("")
		x.s = certificate.Served{Error: "no answer", Unreached: unreached}
		f := finder{now: noon()}
		if x.behaviour(&f, true); len(f.out) != 1 || f.out[0].Severity != want {
			t.Errorf("not reached %v: %+v", unreached, f.out)
		}
	}
}

// Which nodes lack the ECDSA certificate that others of their cluster serve: those
// that were read, and served RSA alone.
func TestWhichNodesLackECDSA(t *testing.T) {
	at := func(rsa, ecdsa certificate.Served) map[certificate.Place]certificate.Served {
		return map[certificate.Place]certificate.Served{{KeyType: "RSA"}: rsa, {KeyType: "ECDSA"}: ecdsa}
	}
	is, not, unread := certificate.Served{Fingerprint: "sha256:aa"}, certificate.Served{}, certificate.Served{Fingerprint: "sha256:aa", Error: "no answer"}
	cl := &mesh.Cluster{ID: "apac", Nodes: []mesh.Node{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}}
	for _, c := range []struct {
		name string
		r    map[mesh.NodeName]map[certificate.Place]certificate.Served
		want string
	}{
		{"nobody has ECDSA", map[mesh.NodeName]map[certificate.Place]certificate.Served{"a": at(is, not), "b": at(is, not)}, ""},
		{"all have", map[mesh.NodeName]map[certificate.Place]certificate.Served{"a": at(is, is), "b": at(is, is)}, ""},
		{"one has, one has not, one was not read, one never was", map[mesh.NodeName]map[certificate.Place]certificate.Served{"a": at(is, not), "b": at(is, is), "c": at(unread, not), "d": at(not, not)}, "a serves RSA only, while b serves ECDSA too"},
	} {
		f := finder{now: noon()}
		(&Certcheck{}).twins(&f, cl, certificate.Record{Served: c.r})
		got := ""
		for _, x := range f.out {
			got += x.Message
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// That trust stores were not read is said where somebody meant them to be read.
func TestWhenItIsSaidThatStoresWereNotRead(t *testing.T) {
	why := func(reason peer.Reason) *certificate.NoLook {
		return &certificate.NoLook{Reason: reason, Detail: "why"}
	}
	for _, c := range []struct {
		name     string
		account  string
		platform Platform
		no       *certificate.NoLook
		want     string
	}{
		{"they were", "emea/platform", &bench{}, nil, ""},
		{"a node could not be connected to", "emea/platform", &bench{}, why(peer.CannotConnect), "TrustStoreNotRead"},
		{"the account was refused", "emea/platform", &bench{}, why(peer.AccountRejected), "PlatformAccountRejected"},
		{"there is no account", "", &bench{}, why(peer.NoCredentials), ""},
		{"the release shows none", "emea/platform", &bench{}, why(certificate.Before14), ""},
		{"this run has no way to the platform", "emea/platform", nil, why(peer.NotChecked), ""},
	} {
		f := finder{now: noon()}
		(&Certcheck{Platform: c.platform}).platformFindings(&f, &mesh.Cluster{ID: "emea", PlatformCredentials: c.account}, certificate.Record{NoTrust: c.no})
		got := ""
		for _, x := range f.out {
			got += string(x.ID)
			if resume := strings.Contains(x.Fix, "peerkeeper resume emea`"); resume != (x.Reason == certificate.PlatformRejected) {
				t.Errorf("%s: what helps is %q", c.name, x.Fix)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
