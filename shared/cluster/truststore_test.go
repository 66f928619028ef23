package cluster_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/tlsprobe"
)

const (
	emeaPub = mesh.NodeName("imp-emea-pub.example.com")
	emeaSub = mesh.NodeName("imp-emea-sub.example.com")
	apacPub = mesh.NodeName("imp-apac-pub.example.com")
)

// shelves is a simulated mesh on real sockets with its platform.
func shelves(t *testing.T) (*rig, *cluster.Platform) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5, Seed: 1, TrustReplication: 20 * time.Minute}, true)
	return r, &cluster.Platform{Secrets: r, Now: r.Clock.Now, Timeout: time.Minute}
}

func (r *rig) declared(id mesh.ClusterID) *mesh.Cluster {
	c, _ := r.Mesh.Cluster(id)
	return c
}

// leaf is what a node serves now.
func (r *rig) leaf(id mesh.ClusterID, name mesh.NodeName) *x509.Certificate {
	r.t.Helper()
	n, _ := r.declared(id).Node(name)
	for _, o := range (tlsprobe.Prober{Timeout: time.Minute}).ProbeAll(r.t.Context(), tlsprobe.Target{Address: n.Address, ServerName: string(name), KeyTypes: []tlsprobe.KeyType{tlsprobe.RSA}}) {
		if leaf := o.Served.Leaf(); leaf != nil {
			return leaf
		}
	}
	r.t.Fatalf("%s serves nothing", name)
	return nil
}

func (r *rig) source(leaf *x509.Certificate) peer.CertSource {
	of := peer.CertSource{Cluster: "apac", Node: apacPub, Service: "tomcat", KeyType: "RSA", Fingerprint: chain.Fingerprint(leaf)}
	if !chain.SelfSigned(leaf) {
		of.Issuer = leaf.Issuer.String()
	}
	return of
}

func TestKeeper(t *testing.T) {
	r, platform := shelves(t)
	r.Change("apac", clustersim.Certificates{Node: "imp-apac-pub.example.com", KeyType: "RSA", Issuer: "self"})
	leaf := r.leaf("apac", apacPub)
	certs, err := platform.Source(t.Context(), r.declared("apac"), r.source(leaf), nil, map[mesh.NodeName][]string{apacPub: {chain.Fingerprint(leaf)}})
	if err != nil || len(certs) != 1 || !certs[0].Equal(leaf) {
		t.Fatalf("%d certificates, %v", len(certs), err)
	}
	w, err := platform.TrustStoreWriter(t.Context(), r.declared("emea"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	lacks := func(node mesh.NodeName) int {
		t.Helper()
		out, err := w.Lacks(t.Context(), node, peer.TomcatTrust, []string{chain.Fingerprint(leaf)})
		if err != nil {
			t.Fatal(err)
		}
		return len(out)
	}
	if lacks(emeaPub) != 1 {
		t.Error("it is there before anybody put it in")
	}
	if err := w.Add(t.Context(), emeaPub, peer.TomcatTrust, certs, "Peerkeeper: tomcat of imp-apac-pub.example.com"); err != nil {
		t.Fatal(err)
	}
	if lacks(emeaPub) != 0 || lacks(emeaSub) != 1 {
		t.Error("it is not where it was put, or already where it was not")
	}
	r.Pass(21 * time.Minute)
	if lacks(emeaSub) != 0 {
		t.Error("it did not replicate")
	}
}

func TestTrustStoreWriterRefusals(t *testing.T) {
	r, platform := shelves(t)
	leaf := r.leaf("apac", apacPub)
	writer := func() *cluster.TrustStoreWriter {
		t.Helper()
		w, err := platform.TrustStoreWriter(t.Context(), r.declared("emea"), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	add := func(w *cluster.TrustStoreWriter) error {
		return w.Add(t.Context(), emeaPub, peer.TomcatTrust, []*x509.Certificate{leaf}, "x")
	}
	t.Run("no account that may write", func(t *testing.T) {
		c := *r.declared("emea")
		c.PlatformWriteCredentials = ""
		var refused *cluster.Refused
		if _, err := platform.TrustStoreWriter(t.Context(), &c, nil, nil); !errors.As(err, &refused) || refused.Reason != peer.NoCredentials {
			t.Error(err)
		}
	})
	t.Run("the account that reads may not write", func(t *testing.T) {
		c := *r.declared("emea")
		c.PlatformWriteCredentials = c.PlatformCredentials
		w, err := platform.TrustStoreWriter(t.Context(), &c, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := add(w); soap.KindOf(err) != soap.Forbidden || !w.Refused(err) || w.Uncertain(err) {
			t.Error(err)
		}
	})
	t.Run("a rejected version is not tried again", func(t *testing.T) {
		creds, err := r.Credentials(t.Context(), "emea/platform-write")
		if err != nil {
			t.Fatal(err)
		}
		_, logIns, _ := r.Load("emea")
		var no *cluster.Refused
		if _, err := platform.TrustStoreWriter(t.Context(), r.declared("emea"), refused(creds.Version), nil); !errors.As(err, &no) || no.Reason != peer.AccountRejected {
			t.Error(err)
		}
		if _, after, _ := r.Load("emea"); after != logIns {
			t.Error("it was tried")
		}
	})
	t.Run("the answer is lost", func(t *testing.T) {
		if err := r.AddFault(clustersim.Fault{Cluster: "emea", Operation: "POST /trust/certificates", Kind: clustersim.FaultDrop, When: clustersim.After, Times: 1}); err != nil {
			t.Fatal(err)
		}
		w := writer()
		if err := add(w); !w.Uncertain(err) || w.Refused(err) {
			t.Error(err)
		}
	})
	t.Run("a store that there is not", func(t *testing.T) {
		w := writer()
		if _, err := w.Lacks(t.Context(), emeaPub, "ipsec-trust", []string{"sha256:00"}); err == nil || !strings.Contains(err.Error(), "does not show its ipsec-trust") {
			t.Error(err)
		}
		if err := w.Add(t.Context(), emeaPub, "cellar", []*x509.Certificate{leaf}, "x"); err == nil {
			t.Error("put into nothing")
		}
	})
	t.Run("a node of another cluster", func(t *testing.T) {
		if _, err := writer().Lacks(t.Context(), apacPub, peer.TomcatTrust, nil); err == nil {
			t.Error("asked")
		}
	})
}

// What an import is about is believed only from its own node, and only if
// Peerkeeper would log in over it.
func TestSource(t *testing.T) {
	r, platform := shelves(t)
	apac := r.declared("apac")
	t.Run("a CA-signed one gives its chain and never itself", func(t *testing.T) {
		r.Change("apac", clustersim.Certificates{Node: "imp-apac-pub.example.com", KeyType: "RSA", Issuer: "ca"})
		leaf := r.leaf("apac", apacPub)
		certs, err := platform.Source(t.Context(), apac, r.source(leaf), nil, nil)
		if err != nil || len(certs) != 1 || !certs[0].IsCA || certs[0].Equal(leaf) {
			t.Errorf("%d certificates, %v", len(certs), err)
		}
		c := *apac
		c.TLS = mesh.TLS{Pins: []string{chain.Fingerprint(leaf)}}
		if _, err := platform.Source(t.Context(), &c, r.source(leaf), nil, nil); err == nil || !strings.Contains(err.Error(), "put its root into tls.ca") {
			t.Errorf("pinned, and its CA is not known: %v", err)
		}
	})
	r.Change("apac", clustersim.Certificates{Node: "imp-apac-pub.example.com", KeyType: "RSA", Issuer: "self"})
	leaf := r.leaf("apac", apacPub)
	t.Run("nobody has vouched for it", func(t *testing.T) {
		var trust *soap.TrustError
		if _, err := platform.Source(t.Context(), apac, r.source(leaf), nil, nil); !errors.As(err, &trust) {
			t.Error(err)
		}
	})
	t.Run("a person has", func(t *testing.T) {
		if certs, err := platform.Source(t.Context(), apac, r.source(leaf), nil, map[mesh.NodeName][]string{apacPub: {chain.Fingerprint(leaf)}}); err != nil || len(certs) != 1 {
			t.Error(err)
		}
	})
	t.Run("a person has, and nobody may ask the node's certificate management", func(t *testing.T) {
		c := *apac
		c.PlatformWriteCredentials = ""
		if certs, err := platform.Source(t.Context(), &c, r.source(leaf), nil, map[mesh.NodeName][]string{apacPub: {chain.Fingerprint(leaf)}}); err != nil || len(certs) != 1 {
			t.Errorf("%d certificates, %v", len(certs), err)
		}
	})
	t.Run("renewed since it was proposed", func(t *testing.T) {
		of := r.source(leaf)
		r.Change("apac", clustersim.Certificates{Node: "imp-apac-pub.example.com", KeyType: "RSA", Issuer: "self"})
		if _, err := platform.Source(t.Context(), apac, of, nil, map[mesh.NodeName][]string{apacPub: {of.Fingerprint, chain.Fingerprint(r.leaf("apac", apacPub))}}); err == nil || !strings.Contains(err.Error(), "any more") {
			t.Error(err)
		}
	})
	t.Run("something in between shows one that is pinned, and the node names its own", func(t *testing.T) {
		r.Change("apac", clustersim.TLS{Node: "imp-apac-pub.example.com", Served: "other"})
		other := r.leaf("apac", apacPub)
		var refused *cluster.Refused
		if _, err := platform.Source(t.Context(), apac, r.source(other), nil, map[mesh.NodeName][]string{apacPub: {chain.Fingerprint(other)}}); !errors.As(err, &refused) || refused.Reason != certificate.SourcesDiffer {
			t.Errorf("%v, want that the sources differ", err)
		}
		r.Change("apac", clustersim.TLS{Node: "imp-apac-pub.example.com", Served: "own"})
	})
	t.Run("the node has no such certificate", func(t *testing.T) {
		of := r.source(leaf)
		of.KeyType = "ECDSA"
		if _, err := platform.Source(t.Context(), apac, of, nil, nil); err == nil {
			t.Error("read")
		}
	})
	t.Run("the node is down", func(t *testing.T) {
		r.Change("apac", clustersim.Nodes{Node: "imp-apac-pub.example.com", Down: new(true)})
		if _, err := platform.Source(t.Context(), apac, r.source(leaf), nil, nil); err == nil {
			t.Error("read")
		}
	})
}
