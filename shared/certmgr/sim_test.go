package certmgr_test

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certmgr"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/soap"
)

// mesh is a simulated mesh and what a client believes of it.
type mesh struct {
	*simtest.Rig
	t       *testing.T
	sockets bool
	pool    *x509.CertPool
	secrets simtest.Secrets // as they were at first
}

func newMesh(t *testing.T, sockets bool, release string) *mesh {
	t.Helper()
	r := simtest.New(t, simtest.Start(), clustersim.Config{Clusters: 2, Users: 5, Release: release}, sockets)
	m := &mesh{r, t, sockets, x509.NewCertPool(), r.SecretsNow()}
	m.pool.AppendCertsFromPEM(r.Files["ca.pem"])
	return m
}

func (m *mesh) client(node string) *certmgr.Client {
	m.t.Helper()
	for _, h := range m.Hosts() {
		if h.Name != node {
			continue
		}
		account, err := m.secrets.Credentials(m.t.Context(), h.Cluster+"/platform-write")
		if err != nil {
			m.t.Fatal(err)
		}
		e := soap.Endpoint{
			Node: node, Address: h.PlatformAddress, Username: account.Username, Password: account.Password,
			Now: m.Clock.Now, Timeout: time.Minute, Trust: soap.Trust{Roots: m.pool},
		}
		if !m.sockets {
			e.Transport = m.Transport()
		}
		c := certmgr.New(e)
		m.t.Cleanup(c.Close)
		return c
	}
	m.t.Fatalf("no node %s", node)
	return nil
}

const (
	emeaPub = "imp-emea-pub.example.com"
	emeaSub = "imp-emea-sub.example.com"
	emeaCM  = "cucm-emea.example.com"
	apacPub = "imp-apac-pub.example.com"
)

// holds tells whether a node's tomcat-trust has a certificate.
func (m *mesh) holds(node, print string) bool {
	m.t.Helper()
	b, err := m.client(node).Trust(m.t.Context(), certmgr.Tomcat)
	if err != nil {
		m.t.Fatal(err)
	}
	if len(b.Unreadable) > 0 {
		m.t.Errorf("%s: unreadable: %+v", node, b.Unreadable)
	}
	return slices.ContainsFunc(b.Certificates, func(c certmgr.Certificate) bool { return chain.Fingerprint(c.X509) == print })
}

func TestAgainstTheSimulator(t *testing.T) {
	for name, sockets := range map[string]bool{"over sockets": true, "in process": false} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t, sockets, "14.0")
			m.Change("emea", clustersim.Parameters{Name: "ICSAPeriodicCertificateSync", Value: "f"})
			m.Change("apac", clustersim.Certificates{Node: apacPub, Issuer: "self"})
			// What is to be copied is read from its source, as a person would.
			own, err := m.sourceClient(apacPub).Identity(t.Context(), certmgr.Tomcat)
			if err != nil || len(own.Certificates) != 1 {
				t.Fatalf("identity of %s: %v %+v", apacPub, err, own)
			}
			leaf := own.Certificates[0]
			print := chain.Fingerprint(leaf.X509)
			for _, node := range []string{emeaPub, emeaSub, emeaCM} { // three forms of one answer
				if err := m.client(node).Probe(t.Context()); err != nil {
					t.Errorf("%s: %v", node, err)
				}
				if m.holds(node, print) {
					t.Errorf("%s trusts the new certificate already", node)
				}
			}
			receipt, err := m.client(emeaPub).AddTrust(t.Context(), certmgr.Tomcat, []string{leaf.PEM()}, "tomcat of apac")
			if err != nil || receipt.Status != 201 || receipt.Message == "" {
				t.Fatalf("adding: %v %+v", err, receipt)
			}
			if !m.holds(emeaPub, print) || m.holds(emeaSub, print) {
				t.Error("it is not on the publisher, or on the subscriber at once")
			}
			for range 21 { // it spreads in steps
				m.Pass(time.Minute)
			}
			if !m.holds(emeaSub, print) {
				t.Error("it has not reached the subscriber")
			}
			snap, err := m.client(emeaSub).Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			store, ok := snap.Trust(certmgr.TomcatECDSA)
			if !ok || !slices.ContainsFunc(store.Certificates, func(c certmgr.Certificate) bool {
				return chain.Fingerprint(c.X509) == print && strings.HasPrefix(c.File, apacPub)
			}) {
				t.Errorf("snapshot: %v, %d certificates", ok, len(store.Certificates))
			}
			for _, service := range []certmgr.Service{certmgr.Tomcat, certmgr.CUP, certmgr.CUPXMPP} {
				if id, ok := snap.Identity(service); !ok || len(id.Certificates) != 1 || id.Certificates[0].X509.DNSNames[0] != emeaSub {
					t.Errorf("identity %s: %v %+v", service, ok, id)
				}
			}
			if id, ok := snap.Identity(certmgr.TomcatECDSA); !ok || len(id.Certificates) != 0 {
				t.Errorf("tomcat-ECDSA before there is one: %v %+v", ok, id)
			}
			if _, err := m.client(emeaSub).Identity(t.Context(), certmgr.TomcatECDSA); soap.KindOf(err) != soap.NotFound || errors.As(err, new(*certmgr.NotAvailable)) {
				t.Errorf("tomcat-ECDSA before there is one: %v", err)
			}
		})
	}
}

// sourceClient trusts what the node serves now, as after `trust accept`.
func (m *mesh) sourceClient(node string) *certmgr.Client {
	m.t.Helper()
	for _, h := range m.Hosts() {
		if h.Name == node {
			if chain, err := m.Served(h.Address); err == nil {
				m.pool.AddCert(chain[0])
			}
		}
	}
	return m.client(node)
}

func TestSimulatorRefusals(t *testing.T) {
	m := newMesh(t, true, "14.0")
	leaf := func(node string) string {
		id, err := m.client(node).Identity(t.Context(), certmgr.Tomcat)
		if err != nil {
			t.Fatal(err)
		}
		return id.Certificates[0].PEM()
	}
	apac := leaf(apacPub)
	add := func(node string) error {
		_, err := m.client(node).AddTrust(t.Context(), certmgr.Tomcat, []string{apac}, "")
		return err
	}
	t.Run("the CA of a chain is gone", func(t *testing.T) {
		ca, _ := m.client(emeaPub).Trust(t.Context(), certmgr.Tomcat)
		m.Change("emea", clustersim.Trust{Remove: chain.Fingerprint(ca.Certificates[0].X509)})
		for _, node := range []string{emeaPub, emeaSub} {
			var chain *certmgr.ChainError
			if err := add(node); !errors.As(err, &chain) || !strings.Contains(err.Error(), "incomplete") {
				t.Errorf("%s: %v", node, err)
			}
		}
	})
	t.Run("privilege 0", func(t *testing.T) {
		m.Change("emea", clustersim.Credentials{Account: "platform-write", Privilege: new(0)})
		if err := add(emeaPub); soap.KindOf(err) != soap.Forbidden {
			t.Errorf("writing: %v", err)
		}
		if _, err := m.client(emeaPub).Snapshot(t.Context()); err != nil {
			t.Errorf("reading: %v", err)
		}
	})
	t.Run("another password", func(t *testing.T) {
		m.Change("emea", clustersim.Credentials{Account: "platform-write", Password: new("changed")})
		if err := m.client(emeaPub).Probe(t.Context()); soap.KindOf(err) != soap.AccountRejected {
			t.Error(err)
		}
	})
	t.Run("the answer to a write is lost", func(t *testing.T) {
		before := m.State().Clusters[1].Writes
		m.Fault(clustersim.Fault{Cluster: "apac", Operation: "POST /trust/certificates", Kind: clustersim.FaultDrop, When: clustersim.After})
		if err := add(apacPub); soap.KindOf(err) != soap.OutcomeUnknown {
			t.Error(err)
		}
		if got := m.State().Clusters[1].Writes - before; got != 1 {
			t.Errorf("carried out %d times", got)
		}
	})
	t.Run("down", func(t *testing.T) {
		m.Change("apac", clustersim.Nodes{Node: apacPub, Down: new(true)})
		var none *certmgr.NotAvailable
		if err := m.client(apacPub).Probe(t.Context()); !errors.As(err, &none) || none.Reason != certmgr.ReasonRefused {
			t.Error(err)
		}
	})
	t.Run("down, in process", func(t *testing.T) {
		m := newMesh(t, false, "14.0")
		apac := m.client(apacPub)
		m.Change("apac", clustersim.Nodes{Node: apacPub, Down: new(true)})
		_, err := apac.AddTrust(t.Context(), certmgr.Tomcat, []string{string(m.Files["ca.pem"])}, "")
		var none *certmgr.NotAvailable
		if !errors.As(err, &none) || none.Cause.Sent || !errors.Is(err, clustersim.ErrUnreachable) {
			t.Errorf("a write to a node that is down: %v", err)
		}
	})
	t.Run("release 12.5", func(t *testing.T) {
		old := newMesh(t, true, "12.5")
		var none *certmgr.NotAvailable
		if err := old.client(emeaPub).Probe(t.Context()); !errors.As(err, &none) || none.Reason != certmgr.ReasonNoSuchPath {
			t.Error(err)
		}
	})
}
