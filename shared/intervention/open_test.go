package intervention

import (
	"errors"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
	"peerkeeper/shared/tlsprobe"
)

// simulated is a mesh on real sockets, and access to it with the passwords of now:
// what is changed later is refused.
func simulated(t *testing.T) (*simtest.Rig, Access) {
	t.Helper()
	r := simtest.New(t, now, clustersim.Config{Clusters: 2, Users: 5}, true)
	secrets := r.SecretsNow()
	return r, Access{Mesh: r.Mesh, Store: storetest.NewMemory(), Now: r.Clock.Now, Actor: "stucksync",
		Clusters: &cluster.Connector{Dialect: cluster.NewDialect(r.Mesh.Dialect), Secrets: secrets, Now: r.Clock.Now, Timeout: time.Minute},
		Platform: &cluster.Platform{Secrets: secrets, Now: r.Clock.Now, Timeout: time.Minute}}
}

func (a Access) refusedVersion(t *testing.T, id mesh.ClusterID, account mesh.Account) string {
	t.Helper()
	c, _ := a.Mesh.Cluster(id)
	version, err := record.AccountGuardOf(a.Store, a.Mesh.Name, c, account, a.Now).Rejected(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return version
}

const (
	emeaPub = mesh.NodeName("imp-emea-pub.example.com")
	apacPub = mesh.NodeName("imp-apac-pub.example.com")
)

// served is the certificate that apac's publisher serves now, as an import means it.
func served(t *testing.T, r *simtest.Rig, pending bool) peer.CertSource {
	t.Helper()
	c, _ := r.Mesh.Cluster("apac")
	n, _ := c.Node(apacPub)
	got, _ := tlsprobe.Prober{Timeout: time.Minute}.Probe(t.Context(), tlsprobe.Target{Address: n.Address, ServerName: string(apacPub)}, tlsprobe.RSA)
	if got.Leaf() == nil {
		t.Fatal("apac serves nothing")
	}
	of := peer.CertSource{Cluster: "apac", Node: apacPub, Service: "tomcat", KeyType: "RSA", Fingerprint: chain.Fingerprint(got.Leaf()), Pending: pending}
	if !chain.SelfSigned(got.Leaf()) {
		of.Issuer = got.Leaf().Issuer.String()
	}
	return of
}

// TestTheGateReachesClusters: their services, their trust stores, and the node that
// an import is about.
func TestTheGateReachesClusters(t *testing.T) {
	r, a := simulated(t)
	gate := a.Repair(&store.Lease{})
	services, err := gate.Open(t.Context(), "emea")
	if err != nil {
		t.Fatal(err)
	}
	if svc, err := services.Service(t.Context(), emeaPub, peer.ICSA); err != nil || !svc.Started() {
		t.Errorf("%+v, %v", svc, err)
	}
	stores, err := gate.TrustStoreWriter(t.Context(), "emea")
	if err != nil {
		t.Fatal(err)
	}
	of := served(t, r, false)
	if lacks, err := stores.Lacks(t.Context(), emeaPub, peer.TomcatTrust, []string{of.Fingerprint, "sha256:00"}); err != nil || !strings.Contains(strings.Join(lacks, " "), "sha256:00") {
		t.Errorf("%v, %v", lacks, err)
	}
	if certs, err := gate.Source(t.Context(), of); err != nil || len(certs) == 0 {
		t.Errorf("%d certificates, %v", len(certs), err)
	}
	a.Platform = nil
	if gate = a.Repair(&store.Lease{}); gate.TrustStoreWriter != nil || gate.Source != nil {
		t.Error("without certificate management something is imported")
	}
}

// TestACertificateAcceptedUnderAnotherNode is accepted for its cluster: one for all
// servers is the same on all.
func TestACertificateAcceptedUnderAnotherNode(t *testing.T) {
	r, a := simulated(t)
	r.Change("apac", clustersim.Certificates{Node: string(apacPub), KeyType: "RSA", Issuer: "self"})
	of := served(t, r, false)
	if _, err := a.source(t.Context(), of); err == nil {
		t.Fatal("read over a certificate that nobody accepted")
	}
	c, _ := r.Mesh.Cluster("apac")
	it, _, err := store.NewDoc(store.Pin(a.Mesh.Name, string(c.Nodes[1].Name)), record.PinSchema, record.Pin{Node: c.Nodes[1].Name, SHA256: []string{of.Fingerprint}}).Change()
	if err == nil {
		err = a.Store.Put(t.Context(), it)
	}
	if err != nil {
		t.Fatal(err)
	}
	if certs, err := a.source(t.Context(), of); err != nil || len(certs) != 1 {
		t.Errorf("%d certificates, %v", len(certs), err)
	}
}

// TestWhoHasNoPasswordOpensNothing, and why is said.
func TestWhoHasNoPasswordOpensNothing(t *testing.T) {
	_, a := simulated(t)
	a.Clusters.Secrets, a.Platform.Secrets = simtest.Secrets{}, simtest.Secrets{}
	gate := a.Repair(&store.Lease{})
	services, err := gate.Open(t.Context(), "emea")
	if got := Failure(err); services != nil || !strings.Contains(got, "emea/write") {
		t.Errorf("services: %v, %q", services, got)
	}
	stores, err := gate.TrustStoreWriter(t.Context(), "emea")
	if got := Failure(err); stores != nil || !strings.Contains(got, "emea/platform-write") {
		t.Errorf("trust stores: %v, %q", stores, got)
	}
	// Nor does who cannot tell whether the account was refused.
	for what, open := range map[string]func() error{
		"services":     func() error { _, err := gate.Open(t.Context(), "mars"); return err },
		"trust stores": func() error { _, err := gate.TrustStoreWriter(t.Context(), "mars"); return err },
		"a source":     func() error { _, err := gate.Source(t.Context(), peer.CertSource{Cluster: "mars"}); return err },
	} {
		if err := open(); err == nil || !strings.Contains(err.Error(), "mars is no longer in mesh.yaml") {
			t.Errorf("%s of a cluster that left: %v", what, err)
		}
	}
}

// TestAPasswordThatWasRefusedIsNotTriedAgain: not by the next action, and not by the
// next read of what an import is about.
func TestAPasswordThatWasRefusedIsNotTriedAgain(t *testing.T) {
	r, a := simulated(t)
	of := served(t, r, true)
	for _, account := range []string{"write", "platform-write"} {
		r.Change("emea", clustersim.Credentials{Account: account, Password: new("changed-by-somebody")})
		r.Change("apac", clustersim.Credentials{Account: account, Password: new("changed-by-somebody")})
	}
	gate := a.Repair(&store.Lease{})
	services, err := gate.Open(t.Context(), "emea")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := services.Service(t.Context(), emeaPub, peer.ICSA); soap.KindOf(err) != soap.AccountRejected {
		t.Errorf("services: %v", err)
	}
	if a.refusedVersion(t, "emea", mesh.WriteAccount) == "" {
		t.Error("services: that it was refused is not noted")
	}
	var refused *cluster.Refused
	if _, err := gate.Open(t.Context(), "emea"); !errors.As(err, &refused) || refused.Reason != peer.AccountRejected {
		t.Errorf("services are opened again: %v", err)
	}

	var no *certificate.Refused
	if _, err := gate.Source(t.Context(), of); !errors.As(err, &no) || no.Reason != peer.AccountRejected {
		t.Errorf("a source: %v", err)
	}
	noted := a.refusedVersion(t, "apac", mesh.PlatformWriteAccount)
	if noted == "" {
		t.Error("a source: that it was refused is not noted")
	}
	requests := func() (n int) {
		for _, k := range r.Requests("apac") {
			n += k
		}
		return n
	}
	before := requests()
	if _, err := gate.Source(t.Context(), of); !errors.As(err, &no) || no.Reason != peer.AccountRejected || requests() != before {
		t.Errorf("a source is read again: %v, %d requests", err, requests()-before)
	}
	if got := a.refusedVersion(t, "apac", mesh.PlatformWriteAccount); got != noted {
		t.Errorf("what was noted, %q, is now %q", noted, got)
	}
}

// TestWhatElseASourceSaysIsNoRejection: a node that shows another certificate, that
// nobody vouches for, or that is not let in, refuses no account.
func TestWhatElseASourceSaysIsNoRejection(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*simtest.Rig, *peer.CertSource)
	}{
		{"another certificate", func(_ *simtest.Rig, of *peer.CertSource) { of.Fingerprint = "sha256:00" }},
		{"nobody vouches for the node", func(r *simtest.Rig, _ *peer.CertSource) {
			r.Change("apac", clustersim.Certificates{Node: string(apacPub), KeyType: "RSA", Issuer: "self"})
		}},
		{"the account has no right to it", func(r *simtest.Rig, _ *peer.CertSource) {
			r.Change("apac", clustersim.Credentials{Account: "platform-write", Privilege: new(0)})
		}},
		{"the node does not answer", func(r *simtest.Rig, _ *peer.CertSource) {
			r.Change("apac", clustersim.Nodes{Node: string(apacPub), Down: new(true)})
		}},
	} {
		r, a := simulated(t)
		of := served(t, r, true)
		c.change(r, &of)
		certs, err := a.source(t.Context(), of)
		if v := a.refusedVersion(t, "apac", mesh.PlatformWriteAccount); v != "" {
			t.Errorf("%s: the account counts as refused after %d certificates, %v", c.name, len(certs), err)
		}
	}
}
