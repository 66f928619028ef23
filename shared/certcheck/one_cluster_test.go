package certcheck

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
	"peerkeeper/shared/tlsprobe"
)

// perServer has every cluster's own DNS server note what it is asked for. It knows
// all names but those that it is to deny.
type perServer struct {
	deny map[string]string // by server

	mu    sync.Mutex
	asked map[string][]string // by server
}

func (d *perServer) Lookup(_ context.Context, servers, names []string) (dnsprobe.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[servers[0]] = names
	return dnsprobe.Result{Servers: []dnsprobe.ServerResult{said(servers[0], dnsprobe.OK, map[string]dnsprobe.Reason{d.deny[servers[0]]: dnsprobe.NXDomain})(names)}}, nil
}

// A look at one cluster judges the peers that it is an end of, either way, and leaves
// what is known of all others as it was: of their names nobody was asked.
func TestALookAtOneCluster(t *testing.T) {
	b := newBench(t, allKeys())
	emeaToAmer, amerToEmea, apacToEmea := mesh.PeerID{From: "emea", To: "amer"}, mesh.PeerID{From: "amer", To: "emea"}, mesh.PeerID{From: "apac", To: "emea"}
	b.amer(emeaToAmer, amerToEmea)
	for i, server := range []string{"emea's", "apac's", "amer's"} {
		b.mesh.Clusters[i].DNS = []string{server}
	}
	dns := &perServer{asked: map[string][]string{}}
	look := func(only ...mesh.ClusterID) {
		t.Helper()
		check := b.certcheck()
		check.DNS = dns
		if _, err := check.Handle(t.Context(), run.Request{Only: only}); err != nil {
			t.Fatal(err)
		}
	}
	look()
	if want := []string{"amer's", "apac's", "emea's"}; !slices.Equal(slices.Sorted(maps.Keys(dns.asked)), want) {
		t.Fatalf("a look at all asks %v", dns.asked)
	}

	b.now = b.now.Add(time.Hour)
	b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(t, wish{cn: string(apacPub), to: noon()}))
	b.serve(string(amerPub)+":8443", tlsprobe.RSA, b.issue(t, wish{cn: string(amerPub), to: noon()}))
	dns.asked, dns.deny = map[string][]string{}, map[string]string{"apac's": string(emeaPub), "amer's": string(emeaPub)}
	look("apac")
	if len(dns.asked) != 2 || !slices.Equal(dns.asked["emea's"], []string{string(apacPub)}) || !slices.Equal(dns.asked["apac's"], []string{string(emeaPub)}) {
		t.Errorf("asked %v, want emea's for apac's names and apac's for emea's", dns.asked)
	}
	snapshot := b.stored()
	for _, c := range []struct {
		id   mesh.PeerID
		of   peer.Type
		want peer.Reason
	}{
		{emeaToApac, peer.CertificateTrusted, peer.CertificateExpired},
		{emeaToApac, peer.NamesResolve, peer.AllResolve},
		{apacToEmea, peer.NamesResolve, peer.NameNotResolving},
		{emeaToAmer, peer.CertificateTrusted, peer.TrustNotRead}, // as before it expired: nobody has looked
		{emeaToAmer, peer.NamesResolve, peer.AllResolve},
		{amerToEmea, peer.NamesResolve, peer.AllResolve},
	} {
		if got := condOf(snapshot, c.id, c.of); got.Reason != c.want {
			t.Errorf("%s: %s is %s %s, want %s: %s", c.id, c.of, got.Status, got.Reason, c.want, got.Message)
		}
	}
	for id, want := range map[mesh.ClusterID]time.Time{"emea": noon(), "apac": b.now, "amer": noon()} {
		if at := snapshot.Certs[id].Value.At; !at.Equal(want) {
			t.Errorf("%s was looked at %s, want %s", id, at, want)
		}
	}
}

// A node that shows Peerkeeper one certificate while its certificate management names
// another, which its peers hold: that is said, and the peers are judged by the one
// that the node names, until that node is looked at again. What another cluster's
// store has taken in since settles nothing by itself.
func TestANodeThatIsShownWithAnotherCertificate(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	named := b.issue(t, wish{cn: string(apacPub)})
	b.own[apacPub]["tomcat"] = []*issued{named}
	emeaHolds := func(gone, there *issued) {
		for _, n := range []mesh.NodeName{emeaPub, emeaSub} {
			b.stores[n]["tomcat-trust"] = append(slices.DeleteFunc(slices.Clone(b.stores[n]["tomcat-trust"]), func(c *issued) bool { return c.cert.Equal(gone.cert) }), there)
		}
	}
	shown := &issued{cert: b.leaf(apacPub)}
	emeaHolds(shown, named)
	snapshot := b.look(run.Request{})
	if got := b.found(snapshot, "apac"); !slices.ContainsFunc(got, func(f string) bool {
		return strings.HasPrefix(f, string(certificate.SourcesDiffer)+":"+string(apacPub)+":RSA ")
	}) {
		t.Errorf("found %q", got)
	}
	if got := condOf(snapshot, emeaToApac, peer.CertificateTrusted); got.Reason != peer.InTrustStore {
		t.Errorf("emea holds the one that the node names: %s %s: %s", got.Status, got.Reason, got.Message)
	}

	b.now = b.now.Add(6 * time.Hour)
	emeaHolds(named, shown)
	if got := condOf(b.look(run.Request{Only: []mesh.ClusterID{"emea"}}), emeaToApac, peer.CertificateTrusted); got.Status == peer.True {
		t.Errorf("apac was not looked at again, and emea does not hold the one that the node names: %s: %s", got.Reason, got.Message)
	}
	if got := condOf(b.look(run.Request{}), emeaToApac, peer.CertificateTrusted); got.Reason != peer.InTrustStore {
		t.Errorf("looked at again: %s %s: %s", got.Status, got.Reason, got.Message)
	}
}

// A publisher that has never shown a certificate: nothing is known of what its peers
// meet, and that says so, not that a sync is awaited.
func TestAPublisherThatNeverShowedACertificate(t *testing.T) {
	b := newBench(t, allKeys())
	b.fail(string(apacPub)+":8443", tlsprobe.RSA, tlsprobe.Refused)
	snapshot := b.look(run.Request{})
	if got := condOf(snapshot, emeaToApac, peer.CertificateTrusted); got.Status != peer.UnknownStatus || got.Reason != peer.CertificateNotRead || got.Message != "imp-apac-pub.example.com shows no certificate" {
		t.Errorf("%s %s: %s", got.Status, got.Reason, got.Message)
	}
	if got := condOf(snapshot, emeaToApac, peer.NamesResolve); got.Status != peer.UnknownStatus || got.Reason != peer.CertificateNotRead {
		t.Errorf("%s %s: %s", got.Status, got.Reason, got.Message)
	}
}

// A certificate is good from its first instant to the one before its last.
func TestTheInstantsOfACertificate(t *testing.T) {
	b := newBench(t, allKeys())
	view := b.known(b.look(run.Request{}))
	good := certificate.Served{Fingerprint: "sha256:aa", NotBefore: noon().AddDate(-1, 0, 0), NotAfter: noon().AddDate(1, 0, 0), Read: noon()}
	for _, c := range []struct {
		name   string
		change func(*certificate.Served)
		want   peer.Reason
	}{
		{"it ends now", func(s *certificate.Served) { s.NotAfter = noon() }, peer.CertificateExpired},
		{"it ends in a second", func(s *certificate.Served) { s.NotAfter = noon().Add(time.Second) }, peer.TrustNotRead},
		{"it begins in a second", func(s *certificate.Served) { s.NotBefore = noon().Add(time.Second) }, peer.CertificateNotUsable},
		{"it begins now", func(s *certificate.Served) { s.NotBefore = noon() }, peer.TrustNotRead},
		{"its CA ends now", func(s *certificate.Served) { s.ChainEnds, s.ChainBy = noon(), "CN=Example Issuing" }, peer.CertificateExpired},
		{"its CA ends in a second", func(s *certificate.Served) { s.ChainEnds, s.ChainBy = noon().Add(time.Second), "CN=Example Issuing" }, peer.TrustNotRead},
		{"it has ended, and was not read for too long", func(s *certificate.Served) {
			s.NotAfter, s.Error, s.Read = noon(), "no answer", noon().AddDate(0, 0, -3)
		}, peer.CertificateNotRead},
	} {
		s := good
		c.change(&s)
		for _, met := range [][]certificate.Served{{s}, {good, s}} {
			if got := trusted(emeaToApac, view, met); got.Reason != c.want {
				t.Errorf("%s, of %d: %s %s: %s", c.name, len(met), got.Status, got.Reason, got.Message)
			}
		}
	}
}

// What a puller meets is as new as the newest of the certificates, and ends with the
// first that ends; of one that may have been renewed nobody knows the end.
func TestWhatAPullerMeetsIsOfBothKeyTypes(t *testing.T) {
	b := newBench(t, allKeys())
	rsaEnds := b.leaf(apacPub).NotAfter
	b.look(run.Request{})
	meets := func(what string, first, ends time.Time) {
		t.Helper()
		if got := b.stored().PeerCert[emeaToApac].Value; !got.LeafFirst.Equal(first) || !got.LeafEnds.Equal(ends) {
			t.Errorf("%s: first %s, ends %s; want %s and %s", what, got.LeafFirst, got.LeafEnds, first, ends)
		}
	}
	meets("RSA alone", b.leaf(apacPub).NotBefore, rsaEnds)
	b.now = b.now.Add(6 * time.Hour)
	ec := b.issue(t, wish{cn: string(apacPub), ecdsa: true, to: rsaEnds.AddDate(-1, 0, 0)})
	b.serve(string(apacPub)+":8443", tlsprobe.ECDSA, ec)
	b.look(run.Request{})
	came := b.now
	meets("ECDSA came, and ends sooner", came, ec.cert.NotAfter)
	b.now = b.now.Add(6 * time.Hour)
	b.fail(string(apacPub)+":8443", tlsprobe.ECDSA, tlsprobe.Timeout)
	b.look(run.Request{})
	meets("ECDSA was not read once", came, ec.cert.NotAfter)
	b.now = b.now.AddDate(0, 0, 3)
	b.look(run.Request{})
	meets("ECDSA has not been read for days", came, time.Time{})
}

// A look that brought less than it could is taken up again sooner, where what stood
// in its way may have gone.
func TestWhichLookIsTakenUpAgain(t *testing.T) {
	account, none := mesh.Cluster{ID: "apac", PlatformCredentials: "apac/platform"}, mesh.Cluster{ID: "apac"}
	no := func(why peer.Reason) certificate.Record {
		return certificate.Record{NoTrust: &certificate.NoLook{Reason: why}}
	}
	on := func(port, err string, ago time.Duration) certificate.Record {
		s := map[mesh.NodeName]map[certificate.Place]certificate.Served{apacPub: {{Port: port, KeyType: "RSA"}: {Fingerprint: "sha256:aa", Error: err, Read: noon().Add(-ago)}}}
		if port != "" {
			return certificate.Record{Ports: s}
		}
		return certificate.Record{Served: s}
	}
	for _, c := range []struct {
		name string
		cl   mesh.Cluster
		r    certificate.Record
		want bool
	}{
		{"all was read", account, on("", "", 0), false},
		{"the secret was not there", account, no(peer.NoCredentials), true},
		{"the account was refused", account, no(peer.AccountRejected), true},
		{"mesh.yaml names no account", none, no(peer.NoCredentials), false},
		{"a node could not be connected to", account, no(peer.CannotConnect), false},
		{"a node did not show what it had just shown", account, on("", "no answer", time.Minute), true},
		{"nor for a day, but a moment", account, on("", "no answer", 24*time.Hour-time.Second), true},
		{"nor for a day", account, on("", "no answer", 24*time.Hour), false},
		{"SIP's port did not show it", account, on("5061", "no answer", time.Minute), false},
	} {
		if got := unfinished(&c.cl, c.r, noon()); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// What goes wrong inside Peerkeeper stands in its log, with the node that it was
// reading and where.
func TestAPanicStandsInTheLog(t *testing.T) {
	b := newBench(t, allKeys())
	b.panicAt = string(apacPub) + ":8443"
	var log bytes.Buffer
	check := b.certcheck()
	check.Log = slog.New(slog.NewTextHandler(&log, nil))
	if _, err := check.Handle(t.Context(), run.Request{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"level=ERROR", "panic while reading certificates", "node=" + string(apacPub), "a certificate nobody has thought of", "ProbeAll"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q does not say %q", log.String(), want)
		}
	}
}
