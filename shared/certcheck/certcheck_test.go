package certcheck

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
	"peerkeeper/shared/tlsprobe"
)

// onRSA is RSA on 8443.
var onRSA = certificate.Place{KeyType: "RSA"}

func noon() time.Time { return time.Date(2026, 6, 2, 12, 0, 0, 0, time.UTC) }

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// wish describes a certificate; zero fields are what a good one has.
type wish struct {
	cn       string
	names    []string // nil: the CN; addresses become IP SANs
	by       *issued  // nil: self-signed
	key      *issued  // nil: a new key
	ca       bool
	ecdsa    bool
	bits     int // of an RSA key
	sha1     bool
	from, to time.Time
	usage    x509.KeyUsage
	noServer bool // extended key usage without server authentication
	noClient bool // and without client authentication
}

// allKeys are every test's: generating RSA keys is slow, and no test here turns on
// them.
var allKeys = sync.OnceValue(func() *keys { return &keys{} })

// keys are handed out in turn, so that a renewed certificate has another one.
type keys struct {
	mu  sync.Mutex
	rsa map[int][]*rsa.PrivateKey
	n   int
}

// key hands out one of four keys in turn.
func (k *keys) key(t testing.TB, bits int) *rsa.PrivateKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rsa == nil {
		k.rsa = map[int][]*rsa.PrivateKey{}
	}
	k.n++
	if len(k.rsa[bits]) < 4 {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		k.rsa[bits] = append(k.rsa[bits], key)
		return key
	}
	return k.rsa[bits][k.n%4]
}

// issue makes a certificate.
func (k *keys) issue(t testing.TB, w wish) *issued {
	t.Helper()
	var key crypto.Signer
	if w.key != nil {
		key = w.key.key
	} else if w.ecdsa {
		ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key = ec
	} else {
		bits := w.bits
		if bits == 0 {
			bits = 2048
		}
		key = k.key(t, bits)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: w.cn, Organization: []string{"Example"}},
		NotBefore: w.from, NotAfter: w.to, BasicConstraintsValid: true, IsCA: w.ca,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if w.from.IsZero() {
		template.NotBefore = noon().AddDate(-1, 0, 0)
	}
	if w.to.IsZero() {
		template.NotAfter = noon().AddDate(4, 0, 0)
	}
	if w.usage != 0 {
		template.KeyUsage = w.usage
	}
	if w.noServer {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if w.noClient {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	if w.ca {
		template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageCertSign, nil
	}
	names := w.names
	if names == nil && !w.ca {
		names = []string{w.cn}
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	parent, signer := template, key
	if w.by != nil {
		parent, signer = w.by.cert, w.by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if w.sha1 {
		cert.SignatureAlgorithm = x509.SHA1WithRSA // Go signs with it no more
	}
	return &issued{cert, key}
}

func pemOf(certs ...*issued) string {
	var b strings.Builder
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw}))
	}
	return b.String()
}

// bench is a mesh of two clusters of two nodes whose servers are made up.
type bench struct {
	*keys
	t      testing.TB
	mesh   *mesh.Mesh
	store  store.Store
	now    time.Time
	served map[string]map[tlsprobe.KeyType]tlsprobe.Outcome // by address
	// stores is what the nodes hold; nil leaves out the platform.
	stores  map[mesh.NodeName]map[string][]*issued
	own     map[mesh.NodeName]map[string][]*issued
	refuse  map[mesh.NodeName]*certificate.Refused
	damaged map[mesh.NodeName]string // the store or service that is not read whole
	asked   []mesh.NodeName
	mu      sync.Mutex
	dns     dnsprobe.Result
	panicAt string
	change  func(*certificate.Holding) // of emea's publisher, last
}

const (
	emeaPub, emeaSub = mesh.NodeName("imp-emea-pub.example.com"), mesh.NodeName("imp-emea-sub.example.com")
	apacPub, apacSub = mesh.NodeName("imp-apac-pub.example.com"), mesh.NodeName("imp-apac-sub.example.com")
	amerPub          = mesh.NodeName("imp-amer-pub.example.com")
)

func newBench(t testing.TB, k *keys) *bench {
	b := &bench{keys: k, t: t, store: storetest.NewMemory(), now: noon(), served: map[string]map[tlsprobe.KeyType]tlsprobe.Outcome{}, refuse: map[mesh.NodeName]*certificate.Refused{}}
	b.mesh = &mesh.Mesh{Name: "acme", Domain: "example.com", Policy: mesh.Policy{Thresholds: mesh.Thresholds{CertificateDays: []int{28, 14, 7}}}}
	for _, id := range []mesh.ClusterID{"emea", "apac"} {
		c := mesh.Cluster{ID: id, Release: "14.0.1SU3", PlatformCredentials: string(id) + "/platform", SyncInterval: mesh.Duration(30 * time.Minute), DNS: []string{"192.0.2.53:53"}}
		for _, role := range []string{"pub", "sub"} {
			name := mesh.NodeName(fmt.Sprintf("imp-%s-%s.example.com", id, role))
			c.Nodes = append(c.Nodes, mesh.Node{Name: name, Address: string(name) + ":8443", PlatformAddress: string(name) + ":443"})
		}
		c.Publisher = c.Nodes[0].Name
		b.mesh.Clusters = append(b.mesh.Clusters, c)
	}
	for _, id := range []mesh.PeerID{{From: "emea", To: "apac"}, {From: "apac", To: "emea"}} {
		b.mesh.Peers = append(b.mesh.Peers, mesh.Peer{ID: id, Protocol: mesh.TCP})
	}
	for i := range b.mesh.Clusters {
		c := &b.mesh.Clusters[i]
		for _, n := range c.Nodes {
			leaf := b.issue(t, wish{cn: string(n.Name)})
			b.serve(n.Address, tlsprobe.RSA, leaf)
			c.TLS.Pins = append(c.TLS.Pins, chain.Fingerprint(leaf.cert))
		}
	}
	return b
}

// amer adds a third cluster, of one node, and what it pulls and who pulls from it.
func (b *bench) amer(peers ...mesh.PeerID) *issued {
	leaf := b.issue(b.t, wish{cn: string(amerPub)})
	b.serve(string(amerPub)+":8443", tlsprobe.RSA, leaf)
	b.mesh.Clusters = append(b.mesh.Clusters, mesh.Cluster{
		ID: "amer", Publisher: amerPub, Release: "14.0.1SU3", PlatformCredentials: "amer/platform", SyncInterval: mesh.Duration(30 * time.Minute), DNS: []string{"192.0.2.53:53"},
		Nodes: []mesh.Node{{Name: amerPub, Address: string(amerPub) + ":8443", PlatformAddress: string(amerPub) + ":443"}}, TLS: mesh.TLS{Pins: []string{chain.Fingerprint(leaf.cert)}},
	})
	for _, id := range peers {
		b.mesh.Peers = append(b.mesh.Peers, mesh.Peer{ID: id, Protocol: mesh.TCP})
	}
	return leaf
}

// serve has an address serve a chain for a key type.
func (b *bench) serve(address string, keyType tlsprobe.KeyType, chain ...*issued) {
	o := tlsprobe.Outcome{Asked: keyType, Served: tlsprobe.Served{Address: address, KeyType: keyType, Version: 0x0303}}
	for _, c := range chain {
		o.Served.Chain = append(o.Served.Chain, c.cert)
		o.Served.Raw = append(o.Served.Raw, c.cert.Raw)
	}
	b.outcome(address, o)
}

// fail has an address fail for a key type, with whatever was seen.
func (b *bench) fail(address string, keyType tlsprobe.KeyType, reason tlsprobe.Reason, chain ...*issued) {
	if len(chain) > 0 {
		b.serve(address, keyType, chain...)
	}
	o := b.served[address][keyType]
	o.Asked, o.Err = keyType, &tlsprobe.Error{Reason: reason, Address: address, KeyType: keyType}
	if len(chain) == 0 {
		o.Served = tlsprobe.Served{Address: address, KeyType: keyType}
	}
	b.outcome(address, o)
}

func (b *bench) outcome(address string, o tlsprobe.Outcome) {
	if b.served[address] == nil {
		b.served[address] = map[tlsprobe.KeyType]tlsprobe.Outcome{}
	}
	b.served[address][o.Asked] = o
}

func (b *bench) leaf(node mesh.NodeName) *x509.Certificate {
	return b.served[string(node)+":8443"][tlsprobe.RSA].Served.Leaf()
}

// ProbeAll answers as the servers made up, as long as there is time.
func (b *bench) ProbeAll(ctx context.Context, t tlsprobe.Target) []tlsprobe.Outcome {
	if t.Address == b.panicAt {
		panic("a certificate nobody has thought of")
	}
	var out []tlsprobe.Outcome
	for _, keyType := range []tlsprobe.KeyType{tlsprobe.RSA, tlsprobe.ECDSA} {
		o, ok := b.served[t.Address][keyType]
		if !ok {
			o = tlsprobe.Outcome{Asked: keyType, Err: &tlsprobe.Error{Reason: tlsprobe.NoCommonSuite, Address: t.Address, KeyType: keyType}}
			if b.served[t.Address] == nil {
				o.Err = &tlsprobe.Error{Reason: tlsprobe.Refused, Address: t.Address, KeyType: keyType}
			}
		}
		if ctx.Err() != nil {
			o = tlsprobe.Outcome{Asked: keyType, Err: &tlsprobe.Error{Reason: tlsprobe.Timeout, Address: t.Address, KeyType: keyType}}
		}
		out = append(out, o)
	}
	return out
}

// Lookup answers as the DNS servers made up; without any every name resolves.
func (b *bench) Lookup(_ context.Context, servers, names []string) (dnsprobe.Result, error) {
	if b.dns.Servers != nil {
		return b.dns, nil
	}
	var out dnsprobe.Result
	for _, s := range servers {
		r := dnsprobe.ServerResult{Server: s}
		for _, n := range names {
			r.Names = append(r.Names, dnsprobe.NameResult{Name: n, Reason: dnsprobe.OK, Forward: dnsprobe.Answer{Name: n, Reason: dnsprobe.OK}})
		}
		out.Servers = append(out.Servers, r)
	}
	return out, nil
}

// Credentials are the first version of every secret.
func (b *bench) Credentials(context.Context, string) (secret.Credentials, error) {
	return secret.Credentials{Version: "v1"}, nil
}

// LogIn holds back what was refused.
func (b *bench) LogIn(ctx context.Context, c *mesh.Cluster, guard secret.Guard) (*secret.Login, error) {
	if no := b.refuse[c.Publisher]; no != nil && no.Reason == peer.NoCredentials {
		return nil, no
	}
	login, err := secret.LogIn(ctx, b, c.PlatformCredentials, guard)
	if errors.Is(err, secret.ErrRejected) {
		err = &certificate.Refused{Reason: peer.AccountRejected, Message: "held back"}
	}
	return login, err
}

// Holding answers as the nodes made up.
func (b *bench) Holding(ctx context.Context, c *mesh.Cluster, n mesh.Node, login *secret.Login, _ map[mesh.NodeName][]string) (certificate.Holding, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, n.Name)
	if no := b.refuse[n.Name]; no != nil {
		if no.Reason == peer.AccountRejected {
			no.Cause = login.Refused(ctx, no.Message, no.Cause)
		}
		return certificate.Holding{}, no
	}
	h := certificate.Holding{Identities: map[string][]*x509.Certificate{}, Stores: map[string][]certificate.HeldCertificate{}}
	for service, chain := range b.own[n.Name] {
		for _, c := range chain {
			h.Identities[service] = append(h.Identities[service], c.cert)
		}
	}
	for store, certs := range b.stores[n.Name] {
		h.Stores[store] = []certificate.HeldCertificate{}
		for i, c := range certs {
			h.Stores[store] = append(h.Stores[store], certificate.HeldCertificate{File: fmt.Sprintf("%s-%d.pem", c.cert.Subject.CommonName, i), X509: c.cert})
		}
	}
	if of := b.damaged[n.Name]; of != "" {
		delete(h.Stores, of)
		delete(h.Identities, of)
		h.Unreadable = map[string]int{of: 1}
	}
	if b.change != nil && n.Name == emeaPub {
		b.change(&h)
	}
	return h, nil
}

func (b *bench) certcheck() *Certcheck {
	c := &Certcheck{Mesh: b.mesh, Store: b.store, TLS: b, DNS: b, Now: func() time.Time { return b.now }}
	if b.stores != nil {
		c.Platform = b
	}
	return c
}

// look carries out one run and gives what is stored then.
func (b *bench) look(req run.Request) *record.Snapshot {
	b.t.Helper()
	if _, err := b.certcheck().Handle(b.t.Context(), req); err != nil {
		b.t.Fatal(err)
	}
	return b.stored()
}

// stored is what is stored now.
func (b *bench) stored() *record.Snapshot {
	b.t.Helper()
	snapshot, err := record.Load(b.t.Context(), b.store, b.mesh)
	if err != nil {
		b.t.Fatal(err)
	}
	return snapshot
}

// known is what is known when somebody asks now.
func (b *bench) known(snapshot *record.Snapshot) *certificate.View {
	return snapshot.Certificates(snapshot.Facts(b.mesh, 5*time.Minute, b.now).View())
}

// found lists a cluster's findings as "id severity", those of a healthy bench
// left out.
func (b *bench) found(snapshot *record.Snapshot, id mesh.ClusterID) []string {
	var out []string
	for _, f := range b.known(snapshot).Findings(id) {
		if f.Reason == certificate.SelfSigned {
			continue
		}
		if f.Message == "" || f.Fix == "" || f.Since.IsZero() {
			b.t.Errorf("finding without words: %+v", f)
		}
		out = append(out, string(f.ID)+" "+string(f.Severity))
	}
	slices.Sort(out)
	return out
}

func condOf(snapshot *record.Snapshot, id mesh.PeerID, t peer.Type) peer.Condition {
	for _, c := range snapshot.PeerCert[id].Value.Conditions {
		if c.Type == t {
			return c
		}
	}
	return peer.Condition{}
}

// TestFindings: what a node serves, and what is said of it.
func TestFindings(t *testing.T) {
	k := allKeys()
	for _, c := range []struct {
		name  string
		serve func(b *bench)
		want  []string // of apac
	}{
		{"as installed", func(*bench) {}, nil},
		{"expired, and reported in full all the same", func(b *bench) {
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), to: noon().AddDate(0, 0, -1)}))
		}, []string{"CertificateExpired:imp-apac-pub.example.com:RSA critical", "CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning"}},
		{"expires in ten days", func(b *bench) {
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), to: noon().AddDate(0, 0, 10)}))
		}, []string{"CertificateExpiring:imp-apac-pub.example.com:RSA warning", "CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning"}},
		{"valid from tomorrow", func(b *bench) {
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), from: noon().AddDate(0, 0, 1)}))
		}, []string{"CertificateNotYetValid:imp-apac-pub.example.com:RSA critical", "CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning"}},
		{"another node's certificate", func(b *bench) {
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, &issued{cert: b.leaf(apacSub)})
		}, []string{"NameMismatch:imp-apac-pub.example.com:RSA warning"}},
		{"the name stands in the CN only", func(b *bench) {
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), names: []string{"other.example.com"}}))
		}, []string{"CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning", "NameInCNOnly:imp-apac-pub.example.com:RSA warning"}},
		{"1024 bits", func(b *bench) {
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), bits: 1024}))
		}, []string{"CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning", "WeakKey:imp-apac-pub.example.com:RSA warning"}},
		{"signed with SHA-1", func(b *bench) {
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), sha1: true}))
		}, []string{"CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning", "WeakSignature:imp-apac-pub.example.com:RSA warning"}},
		{"may not sign", func(b *bench) {
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), usage: x509.KeyUsageKeyEncipherment}))
		}, []string{"CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning", "WrongKeyUsage:imp-apac-pub.example.com:RSA critical"}},
		{"not for servers", func(b *bench) {
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), noServer: true}))
		}, []string{"CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning", "WrongKeyUsage:imp-apac-pub.example.com:RSA critical"}},
		{"not for clients", func(b *bench) {
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), noClient: true}))
		}, []string{"CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning", "NoClientAuth:imp-apac-pub.example.com:RSA info"}},
		{"CA-signed, the root in tls.ca", func(b *bench) {
			ca := b.issue(b.t, wish{cn: "Example CA", ca: true})
			b.mesh.Clusters[1].TLS.CA = pemOf(ca)
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: ca}))
		}, nil},
		{"CA-signed, the intermediate not served", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true})
			sub := b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root})
			b.mesh.Clusters[1].TLS.CA = pemOf(root, sub)
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: sub}))
		}, []string{"ChainIncomplete:imp-apac-pub.example.com:RSA warning"}},
		{"CA-signed, the intermediate served, the root known", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true})
			sub := b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root})
			b.mesh.Clusters[1].TLS.CA = pemOf(root)
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: sub}), sub)
		}, nil},
		{"CA-signed, alone, by nobody known", func(b *bench) {
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: b.issue(b.t, wish{cn: "Example CA", ca: true})}))
		}, []string{"CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning", "ChainIncomplete:imp-apac-pub.example.com:RSA warning"}},
		{"an expired root is merely served", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Old Root", ca: true, to: noon().AddDate(0, 0, -9)})
			sub := b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root})
			leaf := b.issue(b.t, wish{cn: string(apacPub), by: sub})
			b.mesh.Clusters[1].TLS.Pins = append(b.mesh.Clusters[1].TLS.Pins, chain.Fingerprint(leaf.cert))
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, leaf, sub, root)
		}, nil},
		{"an expired intermediate", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true})
			sub := b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root, to: noon().AddDate(0, 0, -9)})
			leaf := b.issue(b.t, wish{cn: string(apacPub), by: sub})
			b.mesh.Clusters[1].TLS.CA = pemOf(root)
			b.mesh.Clusters[1].TLS.Pins = append(b.mesh.Clusters[1].TLS.Pins, chain.Fingerprint(leaf.cert))
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, leaf, sub)
		}, []string{"ChainCertificateExpired:imp-apac-pub.example.com:RSA warning"}},
		{"an expired intermediate that is still served beside its renewal", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true})
			sub := b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root, to: noon().AddDate(0, 0, -9)})
			b.mesh.Clusters[1].TLS.CA = pemOf(root)
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: sub}), sub, b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root, key: sub}))
		}, []string{"ChainCertificateExpired:imp-apac-pub.example.com:RSA warning"}},
		{"multi-server, a node is missing", func(b *bench) {
			ms := b.issue(b.t, wish{cn: "imp-apac-pub-ms.example.com", names: []string{string(apacPub)}})
			b.mesh.Clusters[1].TLS.Pins = append(b.mesh.Clusters[1].TLS.Pins, chain.Fingerprint(ms.cert))
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, ms)
		}, []string{"NodeNotInMultiServer:imp-apac-pub.example.com:RSA warning"}},
		{"multi-server, a node named by its bare host name", func(b *bench) {
			b.mesh.Clusters[1].Nodes[1].Name = "imp-apac-sub"
			ms := b.issue(b.t, wish{cn: "imp-apac-pub-ms.example.com", names: []string{string(apacPub), string(apacSub)}})
			b.mesh.Clusters[1].TLS.Pins = append(b.mesh.Clusters[1].TLS.Pins, chain.Fingerprint(ms.cert))
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, ms)
			b.serve(string(apacSub)+":8443", tlsprobe.RSA, ms)
		}, nil},
		{"multi-server, a node named by its address, which a pin vouches for", func(b *bench) {
			b.mesh.Clusters[1].Nodes[1].Name = "192.0.2.12"
			ms := b.issue(b.t, wish{cn: "imp-apac-pub-ms.example.com", names: []string{string(apacPub), string(apacSub)}})
			b.mesh.Clusters[1].TLS.Pins = append(b.mesh.Clusters[1].TLS.Pins, chain.Fingerprint(ms.cert))
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, ms)
			b.serve(string(apacSub)+":8443", tlsprobe.RSA, ms)
		}, nil},
		{"multi-server, all nodes in it", func(b *bench) {
			ms := b.issue(b.t, wish{cn: "imp-apac-pub-ms.example.com", names: []string{string(apacPub), string(apacSub)}})
			b.mesh.Clusters[1].TLS.Pins = append(b.mesh.Clusters[1].TLS.Pins, chain.Fingerprint(ms.cert))
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, ms)
			b.serve(string(apacSub)+":8443", tlsprobe.RSA, ms)
		}, nil},
		{"ECDSA on one node only", func(b *bench) {
			ec := b.issue(b.t, wish{cn: string(apacPub), ecdsa: true})
			b.mesh.Clusters[1].TLS.Pins = append(b.mesh.Clusters[1].TLS.Pins, chain.Fingerprint(ec.cert))
			b.serve(string(apacPub)+":8443", tlsprobe.ECDSA, ec)
		}, []string{"ECDSAMissing:imp-apac-sub.example.com:ECDSA info"}},
		{"rotated, and Peerkeeper does not know the new one", func(b *bench) {
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub)}))
		}, []string{"CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning"}},

		{"an issuing CA is served, and who signed it is nowhere: it may be the root", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true})
			sub := b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root})
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: sub}), sub)
		}, []string{"CertificateUntrustedHere:imp-apac-pub.example.com:RSA warning"}},
		{"plain HTTP", func(b *bench) { b.fail(string(apacPub)+":8443", tlsprobe.RSA, tlsprobe.NotTLS) }, []string{"NotTLS:imp-apac-pub.example.com:RSA warning"}},
		{"hangs in the handshake", func(b *bench) { b.fail(string(apacPub)+":8443", tlsprobe.RSA, tlsprobe.Timeout) }, []string{"HandshakeTimeout:imp-apac-pub.example.com:RSA warning"}},
		{"a chain of 10 MB", func(b *bench) { b.fail(string(apacPub)+":8443", tlsprobe.RSA, tlsprobe.ChainTooBig) }, []string{"ChainTooBig:imp-apac-pub.example.com:RSA warning"}},
		{"an unparsable certificate", func(b *bench) { b.fail(string(apacPub)+":8443", tlsprobe.RSA, tlsprobe.Unparsable) }, []string{"CertificateUnparsable:imp-apac-pub.example.com:RSA warning"}},
		{"TLS 1.0 only, its certificate read", func(b *bench) {
			b.fail(string(apacPub)+":8443", tlsprobe.RSA, tlsprobe.ProtocolTooOld, &issued{cert: b.leaf(apacPub)})
		}, []string{"ProtocolTooOld:imp-apac-pub.example.com:RSA warning"}},
		{"a client certificate demanded, its certificate read", func(b *bench) {
			b.fail(string(apacPub)+":8443", tlsprobe.RSA, tlsprobe.ClientCertificateRequired, &issued{cert: b.leaf(apacPub)})
		}, []string{"ClientCertificateRequired:imp-apac-pub.example.com:RSA warning"}},
		{"weak suites only, its certificate read", func(b *bench) {
			b.fail(string(apacPub)+":8443", tlsprobe.RSA, tlsprobe.OnlyWeakSuites, &issued{cert: b.leaf(apacPub)})
		}, []string{"OnlyWeakSuites:imp-apac-pub.example.com:RSA warning"}},
		{"nothing listens", func(b *bench) { b.fail(string(apacPub)+":8443", tlsprobe.RSA, tlsprobe.Refused) }, []string{"CertificateNotRead:imp-apac-pub.example.com:RSA info"}},
		{"reset", func(b *bench) { b.fail(string(apacPub)+":8443", tlsprobe.RSA, tlsprobe.Reset) }, []string{"HandshakeFailed:imp-apac-pub.example.com:RSA warning"}},
		{"something that makes us panic", func(b *bench) { b.panicAt = string(apacPub) + ":8443" }, []string{"CertificateNotRead:imp-apac-pub.example.com:RSA warning"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, k)
			c.serve(b)
			snapshot := b.look(run.Request{})
			if got := b.found(snapshot, "apac"); !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
			if got := b.found(snapshot, "emea"); len(got) != 0 {
				t.Errorf("and of emea %q", got)
			}
		})
	}
}

// TestNodeNamedByAddress: its certificate matches by address or by pin.
func TestNodeNamedByAddress(t *testing.T) {
	k := allKeys()
	const node = mesh.NodeName("192.0.2.10")
	for _, c := range []struct {
		name string
		san  string
		pin  bool
		want string
	}{
		{"an IP SAN", "192.0.2.10", true, ""},
		{"a host name, pinned", "imp-apac-pub.example.com", true, ""},
		{"a host name, not pinned", "imp-apac-pub.example.com", false, "AddressNotInCertificate:192.0.2.10:RSA info"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, k)
			cl := &b.mesh.Clusters[1]
			cl.Nodes, cl.Publisher, cl.TLS.Pins = []mesh.Node{{Name: node, Address: "192.0.2.10:8443"}}, node, nil
			leaf := b.issue(t, wish{cn: c.san})
			if c.pin {
				cl.TLS.Pins = []string{chain.Fingerprint(leaf.cert)}
			}
			b.serve("192.0.2.10:8443", tlsprobe.RSA, leaf)
			if got := strings.Join(b.found(b.look(run.Request{}), "apac"), ", "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// platform gives every node the stores of a mesh that trusts itself.
func (b *bench) platform() {
	b.stores, b.own = map[mesh.NodeName]map[string][]*issued{}, map[mesh.NodeName]map[string][]*issued{}
	var all []*issued
	for _, n := range []mesh.NodeName{emeaPub, emeaSub, apacPub, apacSub} {
		all = append(all, &issued{cert: b.leaf(n)})
	}
	for _, n := range []mesh.NodeName{emeaPub, emeaSub, apacPub, apacSub} {
		b.stores[n] = map[string][]*issued{"tomcat-trust": slices.Clone(all)}
		b.own[n] = map[string][]*issued{"tomcat": {{cert: b.leaf(n)}}}
	}
}

func TestTrustIsMeasured(t *testing.T) {
	k := allKeys()
	id := mesh.PeerID{From: "emea", To: "apac"}
	without := func(b *bench, node mesh.NodeName, of mesh.NodeName) {
		b.stores[node]["tomcat-trust"] = slices.DeleteFunc(b.stores[node]["tomcat-trust"], func(c *issued) bool { return c.cert.Subject.CommonName == string(of) })
	}
	for _, c := range []struct {
		name   string
		change func(b *bench)
		want   string
		found  []string // of apac
	}{
		{"every store holds it", func(*bench) {}, "True InTrustStore", nil},
		{"emea's stores lack it", func(b *bench) { without(b, emeaPub, apacPub); without(b, emeaSub, apacPub) }, "False NotInTrustStore",
			[]string{"NotTrustedByPeers:imp-apac-pub.example.com:RSA critical"}},
		{"only the subscriber's: not for the first hour", func(b *bench) { without(b, emeaSub, apacPub) }, "True InTrustStore", nil},
		{"a CA in the store signed it", func(b *bench) {
			ca := b.issue(b.t, wish{cn: "Example CA", ca: true})
			leaf := b.issue(b.t, wish{cn: string(apacPub), by: ca})
			b.mesh.Clusters[1].TLS.CA = pemOf(ca)
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, leaf)
			b.own[apacPub] = nil
			for _, n := range []mesh.NodeName{emeaPub, emeaSub, apacPub, apacSub} {
				without(b, n, apacPub)
				b.stores[n]["tomcat-trust"] = append(b.stores[n]["tomcat-trust"], ca)
			}
		}, "True TrustedByCA", nil},
		{"a CA of that name, and another key", func(b *bench) {
			ca, impostor := b.issue(b.t, wish{cn: "Example CA", ca: true}), b.issue(b.t, wish{cn: "Example CA", ca: true})
			b.mesh.Clusters[1].TLS.CA = pemOf(ca)
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: ca}))
			b.own[apacPub] = nil
			for _, n := range []mesh.NodeName{emeaPub, emeaSub} {
				without(b, n, apacPub)
				b.stores[n]["tomcat-trust"] = append(b.stores[n]["tomcat-trust"], impostor)
			}
		}, "False NotInTrustStore", []string{"NotTrustedByPeers:imp-apac-pub.example.com:RSA critical"}},
		{"by way of an intermediate that is served", func(b *bench) {
			root := b.issue(b.t, wish{cn: "Example Root", ca: true})
			sub := b.issue(b.t, wish{cn: "Example Issuing", ca: true, by: root})
			b.mesh.Clusters[1].TLS.CA = pemOf(root)
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(b.t, wish{cn: string(apacPub), by: sub}), sub)
			b.own[apacPub] = nil
			for _, n := range []mesh.NodeName{emeaPub, emeaSub} {
				without(b, n, apacPub)
				b.stores[n]["tomcat-trust"] = append(b.stores[n]["tomcat-trust"], root)
			}
		}, "True TrustedByCA", nil},
		{"the stores cannot be read", func(b *bench) {
			for _, n := range []mesh.NodeName{emeaPub, emeaSub} {
				b.refuse[n] = &certificate.Refused{Reason: peer.CannotConnect, Message: "no connection"}
			}
		}, "Unknown NotObservable", nil},
		{"expired wins over trusted", func(b *bench) {
			leaf := b.issue(b.t, wish{cn: string(apacPub), to: noon().AddDate(0, 0, -1)})
			b.serve(string(apacPub)+":8443", tlsprobe.RSA, leaf)
			b.stores[emeaPub]["tomcat-trust"] = append(b.stores[emeaPub]["tomcat-trust"], leaf)
		}, "False CertificateExpired", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, k)
			b.platform()
			c.change(b)
			snapshot := b.look(run.Request{})
			cond := condOf(snapshot, id, peer.CertificateTrusted)
			want := c.want
			if want == "Unknown NotObservable" {
				want = "Unknown TrustNotRead" // a sync will tell
				if cond.Reason == peer.NotObservable {
					want = c.want
				}
			}
			if got := string(cond.Status) + " " + string(cond.Reason); got != want {
				t.Errorf("%s: %s, want %s", id, got+" ("+cond.Message+")", want)
			}
			var found []string
			for _, f := range b.found(snapshot, "apac") {
				if strings.HasPrefix(f, "NotTrusted") {
					found = append(found, f)
				}
			}
			if !slices.Equal(found, c.found) {
				t.Errorf("found %q, want %q", found, c.found)
			}
		})
	}
}

// TestStoresAreKept: a node that does not answer keeps its word for a while,
// and a store that nobody has read is Unknown, never empty.
func TestStoresAreKept(t *testing.T) {
	k := allKeys()
	b := newBench(t, k)
	b.platform()
	id := mesh.PeerID{From: "emea", To: "apac"}
	b.look(run.Request{})
	down := &certificate.Refused{Reason: peer.CannotConnect, Message: "no connection"}
	b.refuse[emeaPub], b.refuse[emeaSub] = down, down
	b.now = b.now.Add(6 * time.Hour)
	if cond := condOf(b.look(run.Request{}), id, peer.CertificateTrusted); cond.Reason != peer.InTrustStore {
		t.Errorf("one look later: %s", cond.Reason)
	}
	b.now = b.now.Add(12 * time.Hour)
	if cond := condOf(b.look(run.Request{}), id, peer.CertificateTrusted); cond.Status != peer.UnknownStatus {
		t.Errorf("eighteen hours later: %s %s", cond.Status, cond.Reason)
	}
	b.refuse = map[mesh.NodeName]*certificate.Refused{}
	if cond := condOf(b.look(run.Request{}), id, peer.CertificateTrusted); cond.Reason != peer.InTrustStore {
		t.Errorf("read again: %s", cond.Reason)
	}
}

// TestWhatIsUnknownClearsNothing: a certificate that was not trusted stays a
// finding, once and with its first instant, while the store cannot be read.
func TestWhatIsUnknownClearsNothing(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	for _, n := range []mesh.NodeName{emeaPub, emeaSub} {
		b.stores[n]["tomcat-trust"] = slices.DeleteFunc(b.stores[n]["tomcat-trust"], func(c *issued) bool { return c.cert.Subject.CommonName == string(apacPub) })
	}
	lacking := func(snapshot *record.Snapshot) []peer.Finding {
		var out []peer.Finding
		for _, f := range snapshot.Certs["apac"].Value.Findings {
			if f.Reason == certificate.NotTrustedByPeers {
				out = append(out, f)
			}
		}
		return out
	}
	first := lacking(b.look(run.Request{}))
	if len(first) != 1 {
		t.Fatalf("%+v", first)
	}
	b.now = b.now.Add(20 * time.Hour)
	down := &certificate.Refused{Reason: peer.CannotConnect, Message: "no connection"}
	b.refuse[emeaPub], b.refuse[emeaSub] = down, down
	if got := lacking(b.look(run.Request{})); len(got) != 1 || !got[0].Since.Equal(first[0].Since) {
		t.Errorf("while the store cannot be read: %+v", got)
	}
	b.now = b.now.Add(6 * time.Hour)
	b.refuse = map[mesh.NodeName]*certificate.Refused{}
	for _, n := range []mesh.NodeName{emeaPub, emeaSub} {
		b.stores[n]["tomcat-trust"] = append(b.stores[n]["tomcat-trust"], &issued{cert: b.leaf(apacPub)})
	}
	if got := lacking(b.look(run.Request{})); len(got) != 0 {
		t.Errorf("after the exchange: %+v", got)
	}
}

// TestNotReadWhole: a store with an entry that may be anything shows nothing of
// what it lacks, and an identity without its leaf nothing of what waits to be
// served. Both stay as they were read last, until that is too old.
func TestNotReadWhole(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	id := mesh.PeerID{From: "emea", To: "apac"}
	look := func(after time.Duration, want string) *record.Snapshot {
		t.Helper()
		b.now = b.now.Add(after)
		snapshot := b.look(run.Request{})
		c := condOf(snapshot, id, peer.CertificateTrusted)
		if got := fmt.Sprint(c.Status, " ", c.Reason); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		return snapshot
	}
	look(0, "True InTrustStore")
	b.damaged = map[mesh.NodeName]string{emeaPub: "tomcat-trust", emeaSub: "tomcat-trust", apacPub: "tomcat"}
	for _, n := range []mesh.NodeName{emeaPub, emeaSub} {
		b.stores[n]["tomcat-trust"] = nil
	}
	snapshot := look(6*time.Hour, "True InTrustStore")
	if got := b.found(snapshot, "emea"); !slices.Contains(got, "TrustStoreNotRead info") {
		t.Errorf("nobody is told: %q", got)
	}
	if got := snapshot.Certs["apac"].Value.Identity[apacPub]["tomcat"]; got.Fingerprint != chain.Fingerprint(b.leaf(apacPub)) || got.Error == "" {
		t.Errorf("what it said before is forgotten: %+v", got)
	}
	look(7*time.Hour, "Unknown TrustNotRead")
	b.damaged = nil
	look(0, "False NotInTrustStore")
}

// TestAnIdentityThatIsNotTold: a node whose snapshot fails is asked for fewer
// things. What it does not tell then waits to be served since when it was first
// told of, or an approval of its import would be for something else.
func TestAnIdentityThatIsNotTold(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	b.own[apacPub]["tomcat-ECDSA"] = []*issued{b.issue(t, wish{cn: string(apacPub), ecdsa: true})}
	first := b.look(run.Request{}).Certs["apac"].Value.Identity[apacPub]["tomcat-ECDSA"]
	all := b.own[apacPub]
	b.now = b.now.Add(6 * time.Hour)
	b.own[apacPub] = map[string][]*issued{"tomcat": all["tomcat"]}
	if got := b.look(run.Request{}).Certs["apac"].Value.Identity[apacPub]["tomcat-ECDSA"]; got.Fingerprint != first.Fingerprint || got.Error == "" {
		t.Errorf("not told: %+v", got)
	}
	b.now = b.now.Add(6 * time.Hour)
	b.own[apacPub] = all
	if got := b.look(run.Request{}).Certs["apac"].Value.Identity[apacPub]["tomcat-ECDSA"]; !got.First.Equal(first.First) || got.Error != "" {
		t.Errorf("told again: %+v, first %v", got, first.First)
	}
	b.now = b.now.Add(6 * time.Hour)
	delete(b.own[apacPub], "tomcat-ECDSA")
	b.look(run.Request{})
	b.now = b.now.Add(30 * 24 * time.Hour)
	if got, kept := b.look(run.Request{}).Certs["apac"].Value.Identity[apacPub]["tomcat-ECDSA"]; kept {
		t.Errorf("kept for ever: %+v", got)
	}
}

// TestWhatOthersTrustKeepsNothing: that a third cluster's store is not known keeps
// no finding on those that trust the certificate by now. What was said of two of
// them, and is unknown of one, stays for that one.
func TestWhatOthersTrustKeepsNothing(t *testing.T) {
	b := newBench(t, allKeys())
	leaf := b.amer(mesh.PeerID{From: "amer", To: "apac"})
	b.platform()
	b.stores[amerPub] = map[string][]*issued{"tomcat-trust": {leaf, {cert: b.leaf(apacPub)}}}
	b.own[amerPub] = map[string][]*issued{"tomcat": {leaf}}
	hold := func(held bool, nodes ...mesh.NodeName) {
		for _, n := range nodes {
			b.stores[n]["tomcat-trust"] = slices.DeleteFunc(b.stores[n]["tomcat-trust"], func(c *issued) bool { return c.cert.Equal(b.leaf(apacPub)) })
			if held {
				b.stores[n]["tomcat-trust"] = append(b.stores[n]["tomcat-trust"], &issued{cert: b.leaf(apacPub)})
			}
		}
	}
	lacking := func(want ...mesh.ClusterID) {
		t.Helper()
		var got []mesh.ClusterID
		for _, f := range b.look(run.Request{}).Certs["apac"].Value.Findings {
			if f.Reason == certificate.NotTrustedByPeers && f.Node == apacPub {
				got = append(got, f.Lacking...)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("lacking are %v, want %v", got, want)
		}
		b.now = b.now.Add(20 * time.Hour) // what is not read again by then is not known
	}
	down := &certificate.Refused{Reason: peer.CannotConnect, Message: "no connection"}
	b.refuse[amerPub] = down
	hold(false, emeaPub, emeaSub)
	lacking("emea")
	hold(true, emeaPub, emeaSub)
	lacking()

	b.refuse = map[mesh.NodeName]*certificate.Refused{}
	hold(false, emeaPub, emeaSub)
	hold(false, amerPub)
	lacking("emea", "amer")
	b.refuse[amerPub] = down
	lacking("amer", "emea")
	hold(true, emeaPub, emeaSub)
	lacking("amer", "emea") // as it was said last
	b.refuse = map[mesh.NodeName]*certificate.Refused{}
	hold(true, amerPub)
	lacking()
}

// TestRefusedOnce: one log-in is refused, and none follows with that version.
func TestRefusedOnce(t *testing.T) {
	k := allKeys()
	b := newBench(t, k)
	b.platform()
	b.refuse[emeaPub] = &certificate.Refused{Reason: peer.AccountRejected, Message: "imp-emea-pub.example.com refuses the platform account"}
	snapshot := b.look(run.Request{})
	count := func() (n int) {
		for _, node := range b.asked {
			if node == emeaPub || node == emeaSub {
				n++
			}
		}
		return n
	}
	if n := count(); n != 1 {
		t.Errorf("%d log-ins after the first was refused: %v", n-1, b.asked)
	}
	auth, ok := snapshot.Auths["emea/platform"]
	if !ok || auth.Value.Rejected != "v1" || auth.Value.Secret != "emea/platform" {
		t.Errorf("noted %+v", auth.Value)
	}
	if got := b.found(snapshot, "emea"); !slices.Contains(got, "PlatformAccountRejected warning") {
		t.Errorf("found %q", got)
	}
	b.now = b.now.Add(6 * time.Hour)
	b.look(run.Request{})
	if n := count(); n != 1 {
		t.Errorf("tried again: %v", b.asked)
	}
	// A person resumes: the note is taken back, and it is tried again.
	if _, _, err := store.Claim(t.Context(), b.store, store.Auth("acme", "emea", mesh.PlatformAccount), record.AuthSchema, func(d *store.Doc[record.Auth], _ bool) (bool, error) {
		d.Value.Rejected = ""
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	delete(b.refuse, emeaPub)
	b.now = b.now.Add(6 * time.Hour)
	snapshot = b.look(run.Request{})
	if n := count(); n != 3 || snapshot.Certs["emea"].Value.NoTrust != nil {
		t.Errorf("after resume %d log-ins, %+v", n, snapshot.Certs["emea"].Value.NoTrust)
	}
}

// TestNotAskedBefore14, nor without an account.
func TestNotAskedBefore14(t *testing.T) {
	k := allKeys()
	for _, c := range []struct {
		name   string
		change func(c *mesh.Cluster)
		why    peer.Reason
	}{
		{"12.5", func(c *mesh.Cluster) { c.Release = "12.5.1SU4" }, certificate.Before14},
		{"no account", func(c *mesh.Cluster) { c.PlatformCredentials = "" }, peer.NoCredentials},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, k)
			b.platform()
			c.change(&b.mesh.Clusters[0])
			snapshot := b.look(run.Request{})
			if slices.Contains(b.asked, emeaPub) || slices.Contains(b.asked, emeaSub) {
				t.Errorf("asked %v", b.asked)
			}
			if no := snapshot.Certs["emea"].Value.NoTrust; no == nil || no.Reason != c.why {
				t.Errorf("%+v, want %s", no, c.why)
			}
			if got := b.found(snapshot, "emea"); len(got) != 0 {
				t.Errorf("nobody meant it to be read, and yet %q", got)
			}
			if cond := condOf(snapshot, mesh.PeerID{From: "apac", To: "emea"}, peer.CertificateTrusted); cond.Reason != peer.InTrustStore {
				t.Errorf("apac's stores, which were read, tell %s %s", cond.Status, cond.Reason)
			}
		})
	}
}

// TestInstalledNotServed: the node has a new certificate and serves the old.
func TestInstalledNotServed(t *testing.T) {
	k := allKeys()
	b := newBench(t, k)
	b.platform()
	next := b.issue(t, wish{cn: string(apacPub)})
	b.own[apacPub]["tomcat"] = []*issued{next}
	snapshot := b.look(run.Request{})
	if got := b.found(snapshot, "apac"); !slices.Contains(got, "RenewedButNotServed:imp-apac-pub.example.com:RSA warning") {
		t.Errorf("found %q", got)
	}
	if cond := condOf(snapshot, mesh.PeerID{From: "emea", To: "apac"}, peer.CertificateTrusted); cond.Status != peer.True {
		t.Errorf("what is served is trusted: %s %s", cond.Status, cond.Message)
	}
}

// TestTheItemFits: 30 clusters of 6 nodes, both key types, SIP over TLS, every
// store full: an item of 400 KB takes one cluster's record.
func TestTheItemFits(t *testing.T) {
	m := &mesh.Mesh{Name: "acme", Domain: "example.com", Policy: mesh.Policy{Thresholds: mesh.Thresholds{CertificateDays: []int{28, 14, 7}}}}
	b := &bench{keys: allKeys(), t: t, store: storetest.NewMemory(), now: noon(), mesh: m, served: map[string]map[tlsprobe.KeyType]tlsprobe.Outcome{}, stores: map[mesh.NodeName]map[string][]*issued{}, own: map[mesh.NodeName]map[string][]*issued{}}
	var tomcat, cup, xmpp []*issued
	for i := range 30 {
		id := mesh.ClusterID(fmt.Sprintf("cluster%02d", i+1))
		c := mesh.Cluster{ID: id, Release: "14.0.1SU3", PlatformCredentials: string(id) + "/platform", SyncInterval: mesh.Duration(30 * time.Minute)}
		for n := range 6 {
			name := mesh.NodeName(fmt.Sprintf("imp-%s-node-%d.presence.corp.example.com", id, n+1))
			node := mesh.Node{Name: name, Address: string(name) + ":8443"}
			c.Nodes = append(c.Nodes, node)
			rsaLeaf, ec := b.issue(t, wish{cn: string(name), ecdsa: true}), b.issue(t, wish{cn: string(name), ecdsa: true})
			one, two := b.issue(t, wish{cn: string(name), ecdsa: true}), b.issue(t, wish{cn: string(name), ecdsa: true})
			b.serve(node.Address, tlsprobe.RSA, rsaLeaf)
			b.serve(node.Address, tlsprobe.ECDSA, ec)
			b.serve(onPort(node, certificate.PortSIPTLS), tlsprobe.RSA, one)
			b.serve(onPort(node, certificate.PortSIPTLS), tlsprobe.ECDSA, two)
			b.own[name] = map[string][]*issued{"tomcat": {rsaLeaf}, "tomcat-ECDSA": {ec}, "cup": {one}, "cup-ECDSA": {two}, "cup-xmpp": {one}, "cup-xmpp-ECDSA": {two}}
			tomcat, cup, xmpp = append(tomcat, rsaLeaf, ec), append(cup, one, two), append(xmpp, one, two)
		}
		c.Publisher = c.Nodes[0].Name
		m.Clusters = append(m.Clusters, c)
	}
	// At first nobody trusts anybody, so that of every entry it is known when it
	// came.
	for _, x := range m.Clusters {
		for _, n := range x.Nodes {
			b.stores[n.Name] = map[string][]*issued{"tomcat-trust": {}, "cup-trust": {}, "cup-xmpp-trust": {}}
		}
	}
	b.look(run.Request{})
	b.now = b.now.Add(6 * time.Hour)
	for _, x := range m.Clusters {
		for _, n := range x.Nodes {
			b.stores[n.Name] = map[string][]*issued{"tomcat-trust": tomcat, "cup-trust": cup, "cup-xmpp-trust": xmpp}
		}
		for _, y := range m.Clusters {
			if x.ID != y.ID {
				m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: x.ID, To: y.ID}, Protocol: mesh.TLSProto})
			}
		}
	}
	// The worst of it: no store of the last node has anything, so that every
	// entry says who lacks it, and since when.
	for _, x := range m.Clusters {
		b.stores[x.Nodes[5].Name] = map[string][]*issued{"tomcat-trust": {}, "cup-trust": {}, "cup-xmpp-trust": {}}
	}
	b.look(run.Request{})
	b.now = b.now.Add(6 * time.Hour)
	snapshot := b.look(run.Request{})
	items, err := b.store.Load(t.Context(), store.Live("acme"), store.PrefixCert)
	if err != nil || len(items) != 30 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	most := 0
	for _, it := range items {
		most = max(most, len(it.Body))
	}
	t.Logf("the largest of 30 CERT items has %d bytes of %d", most, store.MaxItemSize)
	if most > store.MaxItemSize*9/10 {
		t.Errorf("the largest item has %d bytes, more than nine tenths of what DynamoDB takes (%d)", most, store.MaxItemSize)
	}
	if cond := condOf(snapshot, m.Peers[0].ID, peer.CertificateTrusted); cond.Reason != peer.InTrustStore {
		t.Errorf("%s is %s %s", m.Peers[0].ID, cond.Status, cond.Message)
	}
}

// TestNamesOfEveryKeyType: the ECDSA certificate's names must resolve as well.
func TestNamesOfEveryKeyType(t *testing.T) {
	k := allKeys()
	b := newBench(t, k)
	b.serve(string(apacPub)+":8443", tlsprobe.ECDSA, b.issue(t, wish{cn: string(apacPub), names: []string{string(apacPub), "cucm-apac.example.com"}, ecdsa: true}))
	b.dns = dnsprobe.Result{Servers: []dnsprobe.ServerResult{{Server: "192.0.2.53:53", Names: []dnsprobe.NameResult{
		{Name: string(apacPub), Reason: dnsprobe.OK, Forward: dnsprobe.Answer{Name: string(apacPub), Reason: dnsprobe.OK}},
		{Name: string(emeaPub), Reason: dnsprobe.PTRMissing, Forward: dnsprobe.Answer{Name: string(emeaPub), Reason: dnsprobe.OK}},
		{Name: string(apacSub), Reason: dnsprobe.PTRMismatch, Forward: dnsprobe.Answer{Name: string(apacSub), Reason: dnsprobe.OK}},
		{Name: "cucm-apac.example.com", Reason: dnsprobe.NXDomain, Forward: dnsprobe.Answer{Name: "cucm-apac.example.com", Reason: dnsprobe.NXDomain}},
	}}}}
	snapshot := b.look(run.Request{})
	if cond := condOf(snapshot, mesh.PeerID{From: "emea", To: "apac"}, peer.NamesResolve); cond.Status != peer.False || !strings.Contains(cond.Message, "cucm-apac.example.com (NXDomain from 192.0.2.53:53)") {
		t.Errorf("emea>apac: %s %s", cond.Status, cond.Message)
	}
	got := b.found(snapshot, "emea")
	for _, want := range []string{"SANNotResolving:192.0.2.53:53:NXDomain critical", "PTRMissing:192.0.2.53:53 info", "PTRMismatch:192.0.2.53:53 info"} {
		if !slices.Contains(got, want) {
			t.Errorf("found %q, want %q", got, want)
		}
	}
}

// TestPortsUnderTLS are read only where a peer's protocol says so.
func TestPortsUnderTLS(t *testing.T) {
	k := allKeys()
	b := newBench(t, k)
	cup := b.issue(t, wish{cn: string(apacPub), to: noon().AddDate(0, 0, 3)})
	b.serve(string(apacPub)+":5061", tlsprobe.RSA, cup)
	if snapshot := b.look(run.Request{}); snapshot.Certs["apac"].Value.Ports != nil {
		t.Error("ports were read although every peer is over TCP")
	}
	b.mesh.Peers[0].Protocol = mesh.TLSProto
	got := b.found(b.look(run.Request{}), "apac")
	for _, want := range []string{"CertificateExpiring:imp-apac-pub.example.com:5061/RSA critical", "PortNotDirectTLS:imp-apac-pub.example.com:7400/RSA info", "PortNotDirectTLS:imp-apac-sub.example.com:5061/RSA info"} {
		if !slices.Contains(got, want) {
			t.Errorf("found %q, want %q", got, want)
		}
	}
	// Peers show each other certificates there: to be asked for one is no fault.
	b.fail(string(apacPub)+":5061", tlsprobe.RSA, tlsprobe.ClientCertificateRequired, b.issue(t, wish{cn: string(apacPub)}))
	for _, f := range b.found(b.look(run.Request{}), "apac") {
		if strings.HasPrefix(f, string(peer.ClientCertificateRequired)) {
			t.Errorf("found %s", f)
		}
	}
}

// silent is a mesh of which one node takes every connection and says nothing,
// to the end of each handshake's deadline.
type silent struct {
	*bench
	node mesh.NodeName
}

func (s silent) ProbeAll(ctx context.Context, t tlsprobe.Target) []tlsprobe.Outcome {
	if t.ServerName != string(s.node) {
		return s.bench.ProbeAll(ctx, t)
	}
	var out []tlsprobe.Outcome
	for _, keyType := range []tlsprobe.KeyType{tlsprobe.RSA, tlsprobe.ECDSA} {
		one, cancel := context.WithTimeout(ctx, tlsprobe.DefaultTimeout)
		<-one.Done()
		cancel()
		out = append(out, tlsprobe.Outcome{Asked: keyType, Err: &tlsprobe.Error{Reason: tlsprobe.Timeout, Address: t.Address, KeyType: keyType}})
	}
	return out
}

// Holding takes a moment, and answers only who is still in time.
func (s silent) Holding(ctx context.Context, c *mesh.Cluster, n mesh.Node, login *secret.Login, pins map[mesh.NodeName][]string) (certificate.Holding, error) {
	var answer <-chan time.Time
	if n.Name != s.node {
		answer = time.After(100 * time.Millisecond)
	}
	select {
	case <-ctx.Done():
		return certificate.Holding{}, &certificate.Refused{Reason: peer.CannotConnect, Message: ctx.Err().Error()}
	case <-answer:
	}
	return s.bench.Holding(ctx, c, n, login, pins)
}

// TestSilentNodeUnderTLS: its three ports with two key types each take as long as
// the look at the cluster's ports may; the other nodes tell their stores all the
// same.
func TestSilentNodeUnderTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, allKeys())
		b.platform()
		b.mesh.Peers[0].Protocol = mesh.TLSProto
		s := silent{b, apacSub}
		c := b.certcheck()
		c.TLS, c.Platform = s, s
		if _, err := c.Handle(t.Context(), run.Request{}); err != nil {
			t.Fatal(err)
		}
		nodes := b.stored().Certs["apac"].Value.Trust["tomcat-trust"].Nodes
		if len(nodes) != 2 {
			t.Fatalf("no store of apac was read: %+v", nodes)
		}
		for _, n := range nodes {
			if n.Read.IsZero() != (n.Name == apacSub) {
				t.Errorf("the store of %s was read at %v", n.Name, n.Read)
			}
		}
	})
}

// TestWhoIsSilentIsAskedLast, so that it takes the others' time once at most.
func TestWhoIsSilentIsAskedLast(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	for look, c := range []struct {
		silent bool
		want   []mesh.NodeName
	}{
		{false, []mesh.NodeName{apacPub, apacSub}},
		{true, []mesh.NodeName{apacPub, apacSub}},
		{true, []mesh.NodeName{apacSub, apacPub}},
		{false, []mesh.NodeName{apacSub, apacPub}},
		{false, []mesh.NodeName{apacPub, apacSub}},
	} {
		b.refuse = map[mesh.NodeName]*certificate.Refused{}
		if c.silent {
			b.refuse[apacPub] = &certificate.Refused{Reason: peer.CannotConnect, Message: "no answer"}
		}
		b.now, b.asked = b.now.Add(6*time.Hour), nil
		b.look(run.Request{})
		got := slices.DeleteFunc(b.asked, func(n mesh.NodeName) bool { return n != apacPub && n != apacSub })
		if !slices.Equal(got, c.want) {
			t.Errorf("look %d: asked %v, want %v", look+1, got, c.want)
		}
	}
}

// TestAnUnreadableNote: not knowing whether the account was refused is a reason
// not to try it.
func TestAnUnreadableNote(t *testing.T) {
	k := allKeys()
	b := newBench(t, k)
	b.platform()
	b.store = failing{b.store}
	c := b.certcheck()
	if _, err := c.Handle(t.Context(), run.Request{}); err != nil {
		t.Fatal(err)
	}
	if len(b.asked) != 0 {
		t.Errorf("asked %v", b.asked)
	}
}

var errStore = errors.New("the store does not answer")

// failing is a store that cannot read AUTH items one by one.
type failing struct{ store.Store }

// Get fails for AUTH items.
func (f failing) Get(ctx context.Context, k store.Key) (store.Item, error) {
	if strings.HasPrefix(k.SK, store.PrefixAuth) {
		return store.Item{}, errStore
	}
	return f.Store.Get(ctx, k)
}

// TestARunThatCannotReadWhatIsKnown looks at nothing, and says so.
func TestARunThatCannotReadWhatIsKnown(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	b.store = unread{b.store}
	if _, err := b.certcheck().Handle(t.Context(), run.Request{}); !errors.Is(err, errStore) || len(b.asked) != 0 {
		t.Errorf("%v, asked %v", err, b.asked)
	}
}

// unread is a store of which no partition can be read.
type unread struct{ store.Store }

// Load fails.
func (unread) Load(context.Context, string, string) ([]store.Item, error) { return nil, errStore }

// TestARunShortOfTimeWritesDownWhatItKnows: half a minute is left for that, and what
// could not be read then keeps its last value, with the reason.
func TestARunShortOfTimeWritesDownWhatItKnows(t *testing.T) {
	b := newBench(t, allKeys())
	b.look(run.Request{})
	b.now = b.now.Add(6 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), spare-time.Second)
	defer cancel()
	if _, err := b.certcheck().Handle(ctx, run.Request{}); err != nil {
		t.Fatal(err)
	}
	r := b.stored().Certs["apac"].Value
	if s := r.Served[apacPub][onRSA]; !r.At.Equal(b.now) || s.Error == "" || s.Fingerprint == "" || !s.Read.Equal(noon()) {
		t.Errorf("looked at %s: %+v", r.At, s)
	}
}

// TestWhatTellsWhetherAPeerIsTrusted where no trust store is read: a sync will, unless
// nothing tells of syncs.
func TestWhatTellsWhetherAPeerIsTrusted(t *testing.T) {
	entry := peer.Entry{Address: string(apacPub)}
	for _, c := range []struct {
		name    string
		entries peer.Fact[[]peer.Entry] // of emea's peer table
		want    peer.Reason
	}{
		{"the peer table has no time of the last sync", peer.Known([]peer.Entry{entry}, noon()), peer.NotObservable},
		{"mesh.yaml does not say how to read the peer table", peer.Unknown[[]peer.Entry](peer.NoDialect, ""), peer.NotObservable},
		{"the peer table was not read now", peer.Unknown[[]peer.Entry](peer.TimedOut, ""), peer.TrustNotRead},
	} {
		b := newBench(t, allKeys())
		doc := b.stored().Clusters["emea"]
		doc.Value.Seen.Entries = c.entries
		var changes record.Changes
		record.Add(&changes, doc)
		if _, err := changes.Write(t.Context(), b.store); err != nil {
			t.Fatal(err)
		}
		if got := condOf(b.look(run.Request{}), emeaToApac, peer.CertificateTrusted); got.Status != peer.UnknownStatus || got.Reason != c.want {
			t.Errorf("%s: %s %s, want %s", c.name, got.Status, got.Reason, c.want)
		}
	}
}

// TestEachFindingHasItsOwnSince: one that is new begins now, whatever stands beside it.
func TestEachFindingHasItsOwnSince(t *testing.T) {
	b := newBench(t, allKeys())
	b.mesh.Clusters[1].TLS.Unread = []string{"old"}
	b.look(run.Request{})
	b.now = b.now.Add(6 * time.Hour)
	b.mesh.Clusters[1].TLS.Unread = []string{"old", "new"}
	since := map[peer.FindingID]time.Time{}
	for _, f := range b.look(run.Request{}).Certs["apac"].Value.Findings {
		since[f.ID] = f.Since
	}
	if old, new := since["CAUnreadable:0"], since["CAUnreadable:1"]; !old.Equal(noon()) || !new.Equal(b.now) {
		t.Errorf("the old one since %s, the new one since %s", old, new)
	}
}

// TestOfTooManyFindingsTheWorstAreKept, and how many are not listed is said.
func TestOfTooManyFindingsTheWorstAreKept(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	for _, n := range []mesh.NodeName{emeaPub, emeaSub} {
		b.stores[n]["tomcat-trust"] = nil
	}
	for i := range maxFindings {
		b.mesh.Clusters[1].TLS.Unread = append(b.mesh.Clusters[1].TLS.Unread, fmt.Sprint("line ", i))
	}
	got := b.look(run.Request{}).Certs["apac"].Value.Findings
	last := got[len(got)-1]
	if len(got) != maxFindings+1 || got[0].Reason != certificate.NotTrustedByPeers || got[0].Severity != peer.Critical || last.Reason != certificate.MoreFindings || !strings.HasPrefix(last.Message, "4 more findings") {
		t.Errorf("%d, the first %s %s, the last %s: %s", len(got), got[0].ID, got[0].Severity, last.ID, last.Message)
	}
}

// TestSchedule: a scheduled run looks at what is old, and at what is being
// mended; a person's run looks at everything.
func TestSchedule(t *testing.T) {
	k := allKeys()
	b := newBench(t, k)
	b.platform()
	scheduled := func(after time.Duration) []mesh.NodeName {
		b.now = b.now.Add(after)
		b.asked = nil
		a, err := b.certcheck().Handle(t.Context(), run.Request{ScheduledTime: b.now})
		if err != nil || a.Skipped != "" {
			t.Fatalf("%v %q", err, a.Skipped)
		}
		return b.asked
	}
	both := func(when string, got []mesh.NodeName) {
		t.Helper()
		if len(got) != 4 {
			t.Errorf("%s: asked %v, want every node", when, got)
		}
	}
	none := func(when string, got []mesh.NodeName) {
		t.Helper()
		if len(got) != 0 {
			t.Errorf("%s: asked %v", when, got)
		}
	}
	both("never looked at", scheduled(0))
	none("a quarter of an hour later", scheduled(15*time.Minute))
	none("a moment short of its time", scheduled(5*time.Hour+43*time.Minute))
	both("six hours after the last look, begun a little early", scheduled(time.Minute+30*time.Second))
	b.now = b.now.Add(15 * time.Minute)
	b.asked = nil
	b.look(run.Request{})
	both("asked for by a person", b.asked)

	b.refuse[emeaPub] = &certificate.Refused{Reason: peer.NoCredentials, Message: "no credentials yet"}
	b.look(run.Request{})
	delete(b.refuse, emeaPub)
	if got := scheduled(15 * time.Minute); len(got) != 2 {
		t.Errorf("the secret is there now: asked %v, want emea's nodes", got)
	}
	none("it was read", scheduled(15*time.Minute))
	b.fail(string(apacSub)+":8443", tlsprobe.RSA, tlsprobe.Timeout)
	b.look(run.Request{})
	if got := scheduled(15 * time.Minute); len(got) != 2 {
		t.Errorf("a node could not be read: asked %v, want apac's nodes", got)
	}
	b.serve(string(apacSub)+":8443", tlsprobe.RSA, &issued{cert: b.served[string(apacPub)+":8443"][tlsprobe.RSA].Served.Leaf()})
	scheduled(15 * time.Minute)
	none("it could", scheduled(15*time.Minute))

	missing := b.stores[emeaPub]["tomcat-trust"]
	for _, n := range []mesh.NodeName{emeaPub, emeaSub} {
		b.stores[n]["tomcat-trust"] = slices.DeleteFunc(slices.Clone(missing), func(c *issued) bool { return c.cert.Subject.CommonName == string(apacPub) })
	}
	b.look(run.Request{})
	both("a certificate is missing", scheduled(15*time.Minute))
	for _, n := range []mesh.NodeName{emeaPub, emeaSub} {
		b.stores[n]["tomcat-trust"] = missing
	}
	print := certificate.ShortPrint(chain.Fingerprint(b.leaf(apacPub)))
	if got := b.stored().Certs["emea"].Value.Trust["tomcat-trust"].Taken; !slices.Equal(got, []string{print}) {
		t.Errorf("that it had been there is not kept: %v", got)
	}
	both("it is still known as missing", scheduled(15*time.Minute))
	snapshot := b.stored()
	if got := snapshot.Certs["emea"].Value.Trust["tomcat-trust"].Taken; len(got) != 0 {
		t.Errorf("it is there, and counts as taken out: %v", got)
	}
	if cond := condOf(snapshot, mesh.PeerID{From: "emea", To: "apac"}, peer.CertificateTrusted); cond.Status != peer.True {
		t.Errorf("a quarter of an hour after it was mended: %s %s", cond.Status, cond.Reason)
	}
	came := snapshot.Certs["emea"].Value.Trust["tomcat-trust"].Came
	if at, ok := came[certificate.ShortPrint(chain.Fingerprint(b.leaf(apacPub)))]; !ok || !at.Equal(b.now) || len(came) != 1 {
		t.Errorf("when it came is not kept: %v", came)
	}
	none("mended", scheduled(15*time.Minute))

	// An import under way, or done and not seen yet, is looked for.
	id := "0123456789"
	put := func(p record.Proposed) {
		doc, ok := b.stored().Proposals[id]
		if !ok {
			doc = store.NewDoc(store.Proposal("acme", id), record.ProposedSchema, record.Proposed{})
		}
		doc.Value = p
		it, err := doc.Item()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.store.Put(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
	proposal := peer.Proposal{ID: id, Action: peer.ImportCertificate, Target: peer.Target{Cluster: "emea"}, Source: &peer.CertSource{Cluster: "apac"}}
	put(record.Proposed{Proposal: proposal, First: b.now})
	none("it waits for a person", scheduled(15*time.Minute))
	for i := range 20 {
		id = fmt.Sprintf("waits-%d", i)
		put(record.Proposed{Proposal: proposal, First: b.now})
	}
	id = proposal.ID
	put(record.Proposed{Proposal: proposal, First: b.now, Outcome: "done"})
	both("done, and still asked for, others wait", scheduled(15*time.Minute))
	put(record.Proposed{Proposal: proposal, First: b.now, Outcome: "done", Ended: b.now})
	both("done, and not an hour ago", scheduled(15*time.Minute))
	none("done long ago", scheduled(time.Hour))
	proposal.Action = peer.RestartService
	put(record.Proposed{Proposal: proposal, First: b.now, Outcome: "done"})
	none("another action", scheduled(15*time.Minute))
	proposal.Reload, proposal.Source, proposal.Peers = true, nil, []mesh.PeerID{{From: "emea", To: "apac"}}
	put(record.Proposed{Proposal: proposal, First: b.now})
	none("a restart over a certificate waits for a person", scheduled(15*time.Minute))
	put(record.Proposed{Proposal: proposal, First: b.now, Outcome: "done", Ended: b.now})
	both("the agent has read its trust store", scheduled(15*time.Minute))
	none("it has read it long ago", scheduled(time.Hour))

	for _, clock := range []struct {
		is    string
		ahead time.Duration
	}{{"is right", time.Minute}, {"is behind", -20 * time.Minute}, {"is ahead", 20 * time.Minute}} {
		if _, _, err := store.Claim(t.Context(), b.store, store.Pin("acme", string(apacSub)), record.PinSchema, func(d *store.Doc[record.Pin], _ bool) (bool, error) {
			d.Value.Node, d.Value.Actor, d.Value.At = apacSub, "jdoe", b.now.Add(clock.ahead)
			d.Value.SHA256 = append(d.Value.SHA256, "sha256:"+clock.is)
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		if got := scheduled(15 * time.Minute); len(got) != 2 || !slices.Contains(got, apacSub) {
			t.Errorf("a person whose clock %s has accepted a certificate of apac: asked %v, want its nodes", clock.is, got)
		}
		none("that was taken into account", scheduled(15*time.Minute))
	}
}

// TestTheMeshIsLookedAtTogether: what a store makes of a CA-signed certificate
// is seen where both clusters are looked at in one run, and a look at one of
// them by itself does not part them for good. A clock that ran ahead does not
// keep anybody from being looked at.
func TestTheMeshIsLookedAtTogether(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	scheduled := func(after time.Duration) {
		t.Helper()
		b.now, b.asked = b.now.Add(after), nil
		if a, err := b.certcheck().Handle(t.Context(), run.Request{ScheduledTime: b.now}); err != nil || a.Skipped != "" {
			t.Fatalf("%v %q", err, a.Skipped)
		}
	}
	scheduled(0)
	address := string(emeaSub) + ":8443"
	before := b.served[address][tlsprobe.RSA]
	b.fail(address, tlsprobe.RSA, tlsprobe.Timeout)
	scheduled(6 * time.Hour)
	b.outcome(address, before)
	scheduled(15 * time.Minute)
	if snapshot := b.stored(); snapshot.Certs["emea"].Value.At.Equal(snapshot.Certs["apac"].Value.At) {
		t.Fatal("emea was not looked at by itself")
	}

	ca := b.issue(t, wish{cn: "Example CA", ca: true})
	b.mesh.Clusters[1].TLS.CA = pemOf(ca)
	b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(t, wish{cn: string(apacPub), by: ca}))
	b.own[apacPub] = nil
	for range 4 * 13 {
		scheduled(15 * time.Minute)
	}
	if cond := condOf(b.stored(), mesh.PeerID{From: "emea", To: "apac"}, peer.CertificateTrusted); cond.Status != peer.False {
		t.Errorf("emea holds no CA of apac's certificate: %s %s", cond.Status, cond.Reason)
	}

	b.look(run.Request{})
	for i := range b.mesh.Clusters {
		doc := b.stored().Certs[b.mesh.Clusters[i].ID]
		doc.Value.At = b.now.AddDate(1, 0, 0)
		it, err := doc.Item()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.store.Put(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
	if scheduled(15 * time.Minute); len(b.asked) != 4 {
		t.Errorf("the last look is noted for next year: asked %v, want every node", b.asked)
	}
}

// TestLackingIsThePublishers: the publisher's store judges. What it lacks, it
// lacks since the look that showed it, though another node has a copy; an
// approval is bound to that instant. And when it came is kept.
func TestLackingIsThePublishers(t *testing.T) {
	b := newBench(t, allKeys())
	b.platform()
	full := b.stores[emeaPub]["tomcat-trust"]
	cell := func() certificate.Cell {
		t.Helper()
		b.now = b.now.Add(15 * time.Minute)
		snapshot := b.look(run.Request{})
		matrix := b.known(snapshot).Trust()
		for _, row := range matrix.Of("apac") {
			if row.Node == apacPub && row.KeyType == "RSA" {
				return matrix.Cell(row, "emea")
			}
		}
		t.Fatal("no row for apac's publisher")
		return certificate.Cell{}
	}
	if c := cell(); c.Verdict != certificate.Trusted || !c.Came.IsZero() {
		t.Fatalf("before: %+v", c)
	}
	b.stores[emeaPub]["tomcat-trust"] = slices.DeleteFunc(slices.Clone(full), func(c *issued) bool { return c.cert.Subject.CommonName == string(apacPub) })
	first := cell()
	if first.Verdict != certificate.Missing || !first.Since.Equal(b.now) {
		t.Fatalf("gone from the publisher's store: %+v at %v", first, b.now)
	}
	if c := cell(); !c.Since.Equal(first.Since) {
		t.Errorf("a look later it is missing since %v, and not since %v any more", c.Since, first.Since)
	}
	b.stores[emeaPub]["tomcat-trust"] = full
	if c := cell(); c.Verdict != certificate.Trusted || !c.Came.Equal(b.now) {
		t.Errorf("put back: %+v at %v", c, b.now)
	}

	// A CA-signed one that was not read together with the store is not known to
	// be lacking, and so does not come later.
	ca := b.issue(t, wish{cn: "Example CA", ca: true})
	b.mesh.Clusters[1].TLS.CA = pemOf(ca)
	for _, n := range []mesh.NodeName{emeaPub, emeaSub, apacPub, apacSub} {
		b.stores[n]["tomcat-trust"] = append(slices.Clone(b.stores[n]["tomcat-trust"]), ca)
	}
	b.look(run.Request{})
	b.serve(string(apacPub)+":8443", tlsprobe.RSA, b.issue(t, wish{cn: string(apacPub), by: ca}))
	b.own[apacPub] = nil
	b.look(run.Request{Only: []mesh.ClusterID{"apac"}})
	b.look(run.Request{Only: []mesh.ClusterID{"emea"}})
	if c := cell(); c.Verdict != certificate.CATrusted || !c.Came.IsZero() {
		t.Errorf("signed by a CA that was there all along: %+v", c)
	}
}
