package certcheck_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/certcheck"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/tlsprobe"
)

var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

const primary, second = "192.0.2.53:53", "198.51.100.53:53"

// stage is two clusters whose certificates and DNS servers say what a case
// wants them to say.
type stage struct {
	t      *testing.T
	now    time.Time
	mesh   *mesh.Mesh
	memory *store.Memory

	mu     sync.Mutex
	served map[string]tlsprobe.Outcome // by node name: its RSA certificate
	panics string                      // node whose probe panics
	zone   map[string]map[string]dnsprobe.Reason
	down   map[string]dnsprobe.Reason // servers
}

func set(t *testing.T) *stage {
	s := &stage{t: t, now: start, memory: store.NewMemory(), served: map[string]tlsprobe.Outcome{}, zone: map[string]map[string]dnsprobe.Reason{}, down: map[string]dnsprobe.Reason{},
		mesh: &mesh.Mesh{Name: "acme", Domain: "example.com"}}
	s.memory.Now = func() time.Time { return s.now }
	for _, id := range []mesh.ClusterID{"emea", "apac"} {
		pub := mesh.NodeName("imp-" + string(id) + "-pub.example.com")
		s.mesh.Clusters = append(s.mesh.Clusters, mesh.Cluster{ID: id, Publisher: pub, Nodes: []mesh.Node{{Name: pub, Address: string(pub) + ":8443"}}, DNS: []string{primary, second}})
		s.serve(string(pub), 365*24*time.Hour, string(pub))
	}
	s.mesh.Peers = []mesh.Peer{{ID: mesh.PeerID{From: "emea", To: "apac"}}, {ID: mesh.PeerID{From: "apac", To: "emea"}}}
	return s
}

var key = sync.OnceValues(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })

// serve gives a node an RSA certificate (as the probe calls it) that ends after
// so long and names these.
func (s *stage) serve(node string, ends time.Duration, names ...string) {
	s.t.Helper()
	k, err := key()
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(len(names)) + s.now.Unix() + int64(ends)), Subject: pkix.Name{CommonName: "tomcat of " + node}, NotBefore: start.AddDate(-1, 0, 0), NotAfter: s.now.Add(ends)}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		s.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	s.served[node] = tlsprobe.Outcome{Asked: tlsprobe.RSA, Served: tlsprobe.Served{KeyType: tlsprobe.RSA, Chain: []*x509.Certificate{leaf}}}
}

func (s *stage) unreadable(node string, why tlsprobe.Reason) {
	s.served[node] = tlsprobe.Outcome{Asked: tlsprobe.RSA, Err: &tlsprobe.Error{Reason: why, Address: node, Err: errors.New("why")}}
}

// ProbeAll is the network.
func (s *stage) ProbeAll(_ context.Context, t tlsprobe.Target) []tlsprobe.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.ServerName == s.panics {
		panic("a defect")
	}
	return []tlsprobe.Outcome{s.served[t.ServerName], {Asked: tlsprobe.ECDSA, Err: &tlsprobe.Error{Reason: tlsprobe.NoCommonSuite}}}
}

// Lookup is the DNS: every name resolves unless a case says otherwise.
func (s *stage) Lookup(_ context.Context, servers, names []string) (dnsprobe.Result, error) {
	var out dnsprobe.Result
	for _, server := range servers {
		r := dnsprobe.ServerResult{Server: server, Down: s.down[server]}
		for _, n := range names {
			if net.ParseIP(n) != nil || strings.HasPrefix(n, "*") {
				s.t.Errorf("a resolver was asked for %q", n)
			}
			why := dnsprobe.OK
			if x, ok := s.zone[server][n]; ok {
				why = x
			}
			if r.Down != "" {
				why = r.Down
			}
			res := dnsprobe.NameResult{Name: n, Reason: why, Forward: dnsprobe.Answer{Reason: why}}
			if why == dnsprobe.PTRMissing {
				res.Forward.Reason = dnsprobe.OK
			}
			r.Names = append(r.Names, res)
		}
		out.Servers = append(out.Servers, r)
	}
	return out, nil
}

func (s *stage) check() *record.Book {
	s.t.Helper()
	c := &certcheck.Certcheck{Mesh: s.mesh, Store: s.memory, TLS: s, DNS: s, Now: func() time.Time { return s.now }}
	if _, err := c.Handle(s.t.Context(), run.Request{}); err != nil {
		s.t.Fatal(err)
	}
	b, err := record.Load(s.t.Context(), s.memory, s.mesh)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func condition(b *record.Book, t peer.Type) peer.Condition {
	for _, c := range b.PeerCert[mesh.PeerID{From: "emea", To: "apac"}].Value.Conditions {
		if c.Type == t {
			return c
		}
	}
	return peer.Condition{}
}

const apacPub = "imp-apac-pub.example.com"

func TestNamesResolve(t *testing.T) {
	say := func(server, name string, why dnsprobe.Reason) func(*stage) {
		return func(s *stage) {
			if s.zone[server] == nil {
				s.zone[server] = map[string]dnsprobe.Reason{}
			}
			s.zone[server][name] = why
		}
	}
	silent := func(servers ...string) func(*stage) {
		return func(s *stage) {
			for _, x := range servers {
				s.down[x] = dnsprobe.Silent
			}
		}
	}
	both := func(fs ...func(*stage)) func(*stage) {
		return func(s *stage) {
			for _, f := range fs {
				f(s)
			}
		}
	}
	names := func(n ...string) func(*stage) {
		return func(s *stage) { s.serve(apacPub, 365*24*time.Hour, n...) }
	}
	cases := []struct {
		name   string
		change func(s *stage)
		status peer.Status
		reason peer.Reason
		basis  peer.Basis
	}{
		{"all resolve", func(*stage) {}, peer.True, peer.AllResolve, peer.Measured},
		{"the primary knows no such name: final, whatever the second says", say(primary, apacPub, dnsprobe.NXDomain), peer.False, peer.NameNotResolving, peer.Measured},
		{"the primary has no address for it", say(primary, apacPub, dnsprobe.NoAddress), peer.False, peer.NameNotResolving, peer.Measured},
		{"only the second knows no such name", say(second, apacPub, dnsprobe.NXDomain), peer.True, peer.AllResolve, peer.Measured},
		{"primary silent, second resolves", silent(primary), peer.True, peer.OneServerResolves, peer.Inferred},
		{"primary silent, second knows no such name", both(silent(primary), say(second, apacPub, dnsprobe.NXDomain)), peer.False, peer.NameNotResolving, peer.Inferred},
		{"both silent", silent(primary, second), peer.UnknownStatus, peer.AllServersSilent, peer.Measured},
		{"both silent about this one name", both(say(primary, apacPub, dnsprobe.Silent), say(second, apacPub, dnsprobe.Silent)), peer.UnknownStatus, peer.AllServersSilent, peer.Measured},
		{"both answer, but not to Peerkeeper", both(say(primary, apacPub, dnsprobe.Refused), say(second, apacPub, dnsprobe.Refused)), peer.UnknownStatus, peer.AllServersSilent, peer.Measured},
		{"primary fails, second resolves", say(primary, apacPub, dnsprobe.ServFail), peer.True, peer.OneServerResolves, peer.Inferred},
		{"both fail", both(say(primary, apacPub, dnsprobe.ServFail), say(second, apacPub, dnsprobe.ServFail)), peer.False, peer.NameNotResolving, peer.Measured},
		{"primary fails, second is silent to us", both(say(primary, apacPub, dnsprobe.ServFail), silent(second)), peer.UnknownStatus, peer.AllServersSilent, peer.Measured},
		{"resolved, but the address leads nowhere back", say(primary, apacPub, dnsprobe.PTRMissing), peer.True, peer.AllResolve, peer.Measured},
		{"an address among the SANs needs no resolving", names(apacPub, "192.0.2.7"), peer.True, peer.AllResolve, peer.Measured},
		{"nor does a wildcard", names(apacPub, "*.example.com"), peer.True, peer.AllResolve, peer.Measured},
		{"one of many SANs fails", both(names(apacPub, "cucm-apac.example.com"), say(primary, "cucm-apac.example.com", dnsprobe.NXDomain)), peer.False, peer.NameNotResolving, peer.Measured},
		{"no certificate was ever read", func(s *stage) { s.unreadable(apacPub, tlsprobe.Refused) }, peer.UnknownStatus, peer.CertificateNotRead, peer.Measured},
		{"mesh.yaml names no servers", func(s *stage) { s.mesh.Clusters[0].DNS = nil }, peer.UnknownStatus, peer.NotObservable, peer.Measured},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := set(t)
			if strings.HasPrefix(c.name, "both silent") {
				// One cluster's servers only: else we would be the suspect.
				s.mesh.Clusters[1].DNS = []string{"203.0.113.53:53"}
			}
			c.change(s)
			got := condition(s.check(), peer.NamesResolve)
			if got.Status != c.status || got.Reason != c.reason || got.Basis != c.basis {
				t.Errorf("%s %s (%s): %s\nwant %s %s (%s)", got.Status, got.Reason, got.Basis, got.Message, c.status, c.reason, c.basis)
			}
		})
	}
}

func findings(b *record.Book, id mesh.ClusterID) []string {
	var out []string
	for _, f := range b.Certs[id].Value.Findings {
		if f.Reason != "SelfSigned" { // as every certificate made here is
			out = append(out, string(f.Reason))
		}
	}
	slices.Sort(out)
	return out
}

func TestASilentServerIsAFinding(t *testing.T) {
	s := set(t)
	s.mesh.Clusters[1].DNS = []string{"203.0.113.53:53"}
	s.down[primary] = dnsprobe.Silent
	b := s.check()
	if got := findings(b, "emea"); !slices.Equal(got, []string{"DNSServerSilent"}) {
		t.Errorf("emea: %v", got)
	}
	since := b.Certs["emea"].Value.Servers[0].Since
	s.now = s.now.Add(6 * time.Hour)
	if b = s.check(); !b.Certs["emea"].Value.Servers[0].Since.Equal(since) || !since.Equal(start) {
		t.Errorf("silent since %s, want %s", b.Certs["emea"].Value.Servers[0].Since, start)
	}
	// Now everybody's servers are silent: we are the suspect, and nothing changes.
	s.down["203.0.113.53:53"], s.down[second] = dnsprobe.Silent, dnsprobe.Silent
	s.now = s.now.Add(6 * time.Hour)
	b = s.check()
	if got := findings(b, "apac"); len(got) != 0 {
		t.Errorf("every server of the mesh is silent at once, and apac's is blamed: %v", got)
	}
	if got := findings(b, "emea"); !slices.Equal(got, []string{"DNSServerSilent"}) {
		t.Errorf("what was silent before is forgotten: %v", got)
	}
	if c := condition(b, peer.NamesResolve); c.Status != peer.UnknownStatus {
		t.Errorf("NamesResolve is %s", c.Status)
	}
}

func TestCertificatesOverTime(t *testing.T) {
	s := set(t)
	b := s.check()
	first := b.Certs["apac"].Value.Served[apacPub]["RSA"]
	if !first.First.Equal(start.AddDate(-1, 0, 0)) || first.Change != "" {
		t.Errorf("at the first look it may have been served since it was made: %+v", first)
	}

	// Unreadable: it keeps what it was, with the reason.
	s.unreadable(apacPub, tlsprobe.Timeout)
	s.now = s.now.Add(6 * time.Hour)
	b = s.check()
	kept := b.Certs["apac"].Value.Served[apacPub]["RSA"]
	if kept.Fingerprint != first.Fingerprint || kept.Error == "" || !kept.Unreached || !kept.Read.Equal(start) {
		t.Errorf("kept %+v", kept)
	}
	if c := condition(b, peer.NamesResolve); c.Status != peer.True {
		t.Errorf("NamesResolve by the names read this morning: %s", c.Status)
	}

	// For days: it may have been renewed, and nothing follows from it.
	s.now = s.now.Add(48 * time.Hour)
	b = s.check()
	for _, typ := range []peer.Type{peer.NamesResolve, peer.CertificateTrusted} {
		if c := condition(b, typ); c.Status != peer.UnknownStatus || c.Reason != peer.CertificateNotRead {
			t.Errorf("%s two days later: %s %s", typ, c.Status, c.Reason)
		}
	}

	// Renewed with another name.
	s.serve(apacPub, 10*time.Hour, apacPub, "cucm-apac.example.com")
	b = s.check()
	renewed := b.Certs["apac"].Value.Served[apacPub]["RSA"]
	if renewed.Replaced != first.Fingerprint || renewed.Change != "names added: cucm-apac.example.com" || renewed.Error != "" {
		t.Errorf("renewed: %+v", renewed)
	}
	if got := findings(b, "apac"); !slices.Contains(got, "CertificateChanged") {
		t.Errorf("findings %v", got)
	}

	// It expires between two looks, which needs no look.
	if c := condition(b, peer.CertificateTrusted); c.Status == peer.False {
		t.Errorf("it has ten hours, and is %s", c.Reason)
	}
	s.now = s.now.Add(11 * time.Hour)
	v := b.View(s.mesh, 5*time.Minute, s.now)
	id := mesh.PeerID{From: "emea", To: "apac"}
	for _, c := range peer.Conditions(v, id, peer.SyncRecord{}, b.CertOf(id)) {
		if c.Type == peer.CertificateTrusted && (c.Status != peer.False || c.Reason != peer.CertificateExpired || !c.Since.Equal(renewed.NotAfter)) {
			t.Errorf("after it ended: %+v", c)
		}
	}
	b = s.check() // an expired one is still read in full
	if c := condition(b, peer.CertificateTrusted); c.Status != peer.False {
		t.Errorf("read again: %s", c.Status)
	}
	if got := b.Certs["apac"].Value.Served[apacPub]["RSA"]; got.Error != "" || got.Fingerprint != renewed.Fingerprint {
		t.Errorf("%+v", got)
	}
}

func TestAWildcardNamesTheNode(t *testing.T) {
	for names, want := range map[string]bool{apacPub: true, "*.example.com": true, "IMP-APAC-PUB.EXAMPLE.COM": true, "*.com": false, "other.example.com": false} {
		s := set(t)
		s.serve(apacPub, 365*24*time.Hour, names)
		mismatch := func(reason string) bool { return strings.Contains(reason, "NameMismatch") }
		if got := !slices.ContainsFunc(findings(s.check(), "apac"), mismatch); got != want {
			t.Errorf("a certificate for %s names %s: %v, want %v", names, apacPub, got, want)
		}
	}
}

func TestAPanicCostsItsNode(t *testing.T) {
	s := set(t)
	s.check()
	s.panics = apacPub
	s.now = s.now.Add(6 * time.Hour)
	b := s.check()
	if got := b.Certs["apac"].Value.Served[apacPub]["RSA"]; got.Error == "" || got.Fingerprint == "" {
		t.Errorf("apac: %+v", got)
	}
	if got := b.Certs["emea"].Value.Served["imp-emea-pub.example.com"]["RSA"]; got.Error != "" {
		t.Errorf("emea: %+v", got)
	}
}

// TestManyNamesWithoutPTR are one finding, not one each.
func TestManyNamesWithoutPTR(t *testing.T) {
	s := set(t)
	names := []string{apacPub}
	s.zone[primary] = map[string]dnsprobe.Reason{}
	for i := range 40 {
		n := string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".example.com"
		names = append(names, n)
		s.zone[primary][n] = dnsprobe.PTRMissing
	}
	s.serve(apacPub, 365*24*time.Hour, names...)
	b := s.check()
	if got := findings(b, "emea"); !slices.Equal(got, []string{"PTRMissing"}) {
		t.Fatalf("%v", got)
	}
	for _, f := range b.Certs["emea"].Value.Findings {
		if f.Reason == "PTRMissing" && !strings.Contains(f.Message, "and 30 more") {
			t.Error(f.Message)
		}
	}
}

// TestASteadyLookWritesOneItemPerCluster: a peer's conditions stand still.
func TestASteadyLookWritesOneItemPerCluster(t *testing.T) {
	s := set(t)
	s.check()
	puts := map[string]int{}
	s.memory.Fail = func(op string, k store.Key) error {
		if op == "written" {
			s.mu.Lock()
			defer s.mu.Unlock()
			puts[k.SK]++
		}
		return nil
	}
	s.now = s.now.Add(6 * time.Hour)
	s.check()
	for sk, n := range puts {
		if !strings.HasPrefix(sk, store.PrefixCert) && sk != "RUN#certcheck" || n > 2 {
			t.Errorf("%s was written %d times although nothing changed", sk, n)
		}
	}
}
