package clustersim

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Trust stores of a node, by the name that people see [Administration and
// Security guides]. Certificates of the ECDSA twins go into the same store.
const (
	tomcatTrust  = "tomcat-trust"
	cupTrust     = "cup-trust"
	cupXMPPTrust = "cup-xmpp-trust"
)

// Identity services of a node that the simulator models.
const (
	serviceNameTomcat  = "tomcat"
	serviceNameECDSA   = "tomcat-ECDSA"
	serviceNameCUP     = "cup"
	serviceNameCUPXMPP = "cup-xmpp"
)

var storeNames = []string{tomcatTrust, cupTrust, cupXMPPTrust}

// storeOf is the trust store behind an identity service; "" if there is none.
func storeOf(service string) string {
	switch service {
	case serviceNameTomcat, serviceNameECDSA:
		return tomcatTrust
	case serviceNameCUP:
		return cupTrust
	case serviceNameCUPXMPP:
		return cupXMPPTrust
	}
	return ""
}

// trustStore is one store of one node, in the order certificates came.
type trustStore struct {
	prints []string
	certs  map[string]*x509.Certificate
	empty  int // entries with an empty certificate
}

func (t *trustStore) put(cert *x509.Certificate) bool {
	print := fingerprint(cert)
	if t.certs[print] != nil {
		return false
	}
	t.certs[print] = cert
	t.prints = append(t.prints, print)
	return true
}

func (t *trustStore) drop(print string) bool {
	if t.certs[print] == nil {
		return false
	}
	delete(t.certs, print)
	t.prints = slices.DeleteFunc(t.prints, func(p string) bool { return p == print })
	return true
}

func (t *trustStore) list() []*x509.Certificate {
	out := make([]*x509.Certificate, len(t.prints))
	for i, p := range t.prints {
		out[i] = t.certs[p]
	}
	return out
}

// trust is a store of the node, made when it is first asked for: then it holds
// the mesh's CA.
func (s *Sim) trust(n *node, store string) *trustStore {
	t := n.stores[store]
	if t == nil {
		t = &trustStore{certs: map[string]*x509.Certificate{}}
		t.put(s.authority.cert)
		n.stores[store] = t
	}
	return t
}

// copying is a certificate on its way into the store of one more node.
type copying struct {
	at    time.Time
	to    *node
	store string
	cert  *x509.Certificate
}

// trustHere puts certificates into a store of one node; the other IM&P nodes of
// the cluster get them a replication delay later. CUCM is a cluster of its own
// and keeps what it has to itself.
func (s *Sim) trustHere(n *node, store string, now time.Time, certs ...*x509.Certificate) (added int) {
	for _, cert := range certs {
		if !s.trust(n, store).put(cert) {
			continue
		}
		added++
		if n.role == roleCUCM {
			continue
		}
		for _, other := range n.cluster.presenceNodes() {
			if other != n {
				s.queue(copying{at: now.Add(s.cfg.TrustReplication), to: other, store: store, cert: cert})
			}
		}
	}
	return added
}

// queue keeps what is under way in the order it falls due.
func (s *Sim) queue(p copying) {
	c := p.to.cluster
	i := len(c.copying)
	for i > 0 && c.copying[i-1].at.After(p.at) {
		i--
	}
	c.copying = slices.Insert(c.copying, i, p)
}

// replicate delivers the first of what is under way. A node that is down,
// or to which nothing is replicated, gets it later.
func (s *Sim) replicate(c *cluster, now time.Time) {
	p := c.copying[0]
	c.copying = c.copying[1:]
	if p.to.down || p.to.replication != replicationGood {
		p.at = now.Add(s.cfg.TrustReplication)
		s.queue(p)
		return
	}
	if s.trust(p.to, p.store).put(p.cert) {
		s.log("%s: %s of %s replicated", p.to.name, fingerprint(p.cert), p.store)
	}
}

// distrust takes a certificate out of a store, on every node or on one, and out
// of what is on its way there. It tells whether it was anywhere.
func (s *Sim) distrust(c *cluster, only *node, store, print string) bool {
	nodes := c.nodes
	if only != nil {
		nodes = []*node{only}
	}
	found := false
	for _, n := range nodes {
		if n.stores[store] != nil && n.stores[store].drop(print) {
			found = true
		}
	}
	c.copying = slices.DeleteFunc(c.copying, func(p copying) bool {
		gone := p.store == store && (only == nil || p.to == only) && fingerprint(p.cert) == print
		found = found || gone
		return gone
	})
	return found
}

// agentReads is ICSA's start: from now on it goes by what the publisher's
// tomcat-trust holds at this moment.
func (s *Sim) agentReads(c *cluster) {
	clear(c.believed)
	for _, cert := range s.trust(c.publisher(), tomcatTrust).list() {
		c.believed[fingerprint(cert)] = cert
	}
}

// trusts tells whether ICSA of c believes a tomcat certificate: it has read the
// leaf itself, or the CA that signed it, from its publisher's tomcat-trust.
func (s *Sim) trusts(c *cluster, cert *tls.Certificate, now time.Time) bool {
	leaf := cert.Leaf
	if c.believed[fingerprint(leaf)] != nil {
		return true
	}
	if string(leaf.RawIssuer) == string(leaf.RawSubject) {
		// Nodes share a few keys here (rsaPoolSize): an older certificate of the
		// same node may have this one's, and would vouch for it by chance.
		return false
	}
	return chainsTo(c.believed, leaf, above(cert), now)
}

// learn is ICSA carrying the certificates of a peer's node into the stores of
// its own publisher. It knows at once what it put there itself.
func (s *Sim) learn(c *cluster, n *node, now time.Time, overTLS bool) {
	for _, cert := range []*tls.Certificate{n.rsa, n.ecdsa} {
		if cert != nil && c.distrusted[fingerprint(cert.Leaf)] == nil {
			s.learnOne(c, cert.Leaf, now)
		}
	}
	if !overTLS {
		return
	}
	// With TLS between SIP proxies their certificates are exchanged too.
	if err := s.issueOthers(n, now); err != nil {
		s.log("SIMULATOR FAULT: %v", err)
		return
	}
	s.trustHere(c.publisher(), cupTrust, now, n.cup.Leaf)
	s.trustHere(c.publisher(), cupXMPPTrust, now, n.cupXMPP.Leaf)
}

func (s *Sim) learnOne(c *cluster, leaf *x509.Certificate, now time.Time) {
	s.trustHere(c.publisher(), tomcatTrust, now, leaf)
	c.believed[fingerprint(leaf)] = leaf
}

// firstTrust fills every tomcat-trust as years of syncing have: the mesh's CA,
// the nodes of the own cluster, and those of the peers.
func (s *Sim) firstTrust() {
	for _, c := range s.clusters {
		for _, n := range c.nodes {
			store := s.trust(n, tomcatTrust)
			for _, other := range s.clusters {
				if other != c && s.strangers(c, other) {
					continue
				}
				for _, remote := range other.nodes {
					if remote.cluster == c || n.role != roleCUCM && remote.role != roleCUCM {
						store.put(remote.rsa.Leaf)
					}
				}
			}
		}
		s.agentReads(c)
	}
}

// joinTrust gives a new node the stores of its publisher, and the others its
// certificate.
func (s *Sim) joinTrust(n *node, now time.Time) {
	pub := n.cluster.publisher()
	for _, name := range storeNames {
		for _, cert := range s.trust(pub, name).list() {
			s.trust(n, name).put(cert)
		}
	}
	s.trustOwn(n, tomcatTrust, n.rsa, now)
}

// trustOwn is a node's new identity reaching its own cluster, which needs
// nobody's help.
func (s *Sim) trustOwn(n *node, store string, cert *tls.Certificate, now time.Time) {
	for _, other := range n.cluster.nodes {
		if other.role != roleCUCM {
			s.trust(other, store).put(cert.Leaf)
		}
	}
	if store == tomcatTrust {
		n.cluster.believed[fingerprint(cert.Leaf)] = cert.Leaf
	}
}

// issueOthers gives a node its cup and cup-xmpp identities when they are first
// needed: self-signed, as installed. A mesh that nobody asks for them does not
// pay for them.
func (s *Sim) issueOthers(n *node, now time.Time) error {
	for _, slot := range []**tls.Certificate{&n.cup, &n.cupXMPP} {
		if *slot != nil {
			continue
		}
		cert, err := s.authority.issue(certSpec{
			CN: n.fqdn, SANs: []string{n.fqdn}, KeyType: keyRSA, Issuer: issuerSelf,
			NotBefore: now.AddDate(-1, 0, 0).Truncate(time.Second), NotAfter: now.AddDate(4, 0, 0).Truncate(time.Second),
		})
		if err != nil {
			return fmt.Errorf("certificate of %s: %w", n.name, err)
		}
		*slot = &cert
	}
	return nil
}

// slot is where a node keeps an identity; nil if it has no such one.
func (n *node) slot(service, keyType string) **tls.Certificate {
	switch {
	case service == serviceNameTomcat && keyType == keyRSA:
		return &n.rsa
	case service == serviceNameTomcat && keyType == keyECDSA:
		return &n.ecdsa
	case n.role == roleCUCM || keyType != keyRSA:
		return nil
	case service == serviceNameCUP:
		return &n.cup
	case service == serviceNameCUPXMPP:
		return &n.cupXMPP
	}
	return nil
}

// install keeps a new tomcat identity until Cisco Tomcat starts again: what the
// node says that it has, and does not serve yet.
func (n *node) install(keyType string, cert *tls.Certificate) {
	if n.installed == nil {
		n.installed = map[string]*tls.Certificate{}
	}
	n.installed[keyType] = cert
}

// serveInstalled is Cisco Tomcat's start.
func (n *node) serveInstalled() {
	for keyType, cert := range n.installed {
		*n.slot(serviceNameTomcat, keyType) = cert
	}
	clear(n.installed)
}

// namedIdentity is an identity as the certificate interface names it.
type namedIdentity struct {
	service string
	cert    *tls.Certificate // nil if the node has none
}

func (s *Sim) namedIdentities(n *node, now time.Time) ([]namedIdentity, error) {
	out := []namedIdentity{{serviceNameTomcat, n.rsa}, {serviceNameECDSA, n.ecdsa}}
	for i, keyType := range []string{keyRSA, keyECDSA} {
		if next := n.installed[keyType]; next != nil {
			out[i].cert = next
		}
	}
	if n.role == roleCUCM {
		return out, nil
	}
	err := s.issueOthers(n, now)
	return append(out, namedIdentity{serviceNameCUP, n.cup}, namedIdentity{serviceNameCUPXMPP, n.cupXMPP}), err
}

// multiServerName is the CN of a certificate for all servers: the host with
// -ms behind it.
func multiServerName(node string) string {
	host, rest, dotted := strings.Cut(node, ".")
	if !dotted {
		return host + "-ms"
	}
	return host + "-ms." + rest
}

func isMultiServer(cert *tls.Certificate) bool {
	host, _, _ := strings.Cut(cert.Leaf.Subject.CommonName, ".")
	return strings.HasSuffix(host, "-ms")
}

// known finds a certificate that is or was somewhere in the mesh.
func (s *Sim) known(print string) *x509.Certificate {
	if fingerprint(s.authority.cert) == print {
		return s.authority.cert
	}
	for _, c := range s.clusters {
		if cert := c.distrusted[print]; cert != nil {
			return cert
		}
		for _, n := range c.nodes {
			for _, cert := range []*tls.Certificate{n.rsa, n.ecdsa, n.between, n.cup, n.cupXMPP, n.installed[keyRSA], n.installed[keyECDSA]} {
				if cert != nil && fingerprint(cert.Leaf) == print {
					return cert.Leaf
				}
			}
			for _, store := range n.stores {
				if cert := store.certs[print]; cert != nil {
					return cert
				}
			}
		}
	}
	return nil
}

// complete tells whether every certificate's issuer is among them or in the
// store already.
func (t *trustStore) complete(certs []*x509.Certificate) error {
	for _, cert := range certs {
		found := string(cert.RawIssuer) == string(cert.RawSubject)
		for _, issuer := range append(t.list(), certs...) {
			if found {
				break
			}
			found = string(issuer.RawSubject) == string(cert.RawIssuer) && cert.CheckSignatureFrom(issuer) == nil
		}
		if !found {
			return errors.New("issuer of " + cert.Subject.String() + " is missing: " + cert.Issuer.String())
		}
	}
	return nil
}
