package stucksync_test

import (
	"fmt"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// BenchmarkARenewedMesh is a tick in which thirty clusters have new certificates
// and none trusts any other's: 1,740 imports are asked for.
func BenchmarkARenewedMesh(b *testing.B) {
	var ids []mesh.ClusterID
	for i := range 30 {
		ids = append(ids, mesh.ClusterID(fmt.Sprintf("c%02d", i)))
	}
	s := play(b, ids...)
	s.mesh.Policy.ImportCertificates = mesh.ImportApprove
	for i := range s.mesh.Clusters {
		c := &s.mesh.Clusters[i]
		c.PlatformWriteCredentials = string(c.ID) + "/platform-write"
		r, trust := s.certs[c.ID], certificate.Store{}
		r.Served = map[mesh.NodeName]map[certificate.Place]certificate.Served{}
		for _, n := range c.Nodes {
			r.Served[n.Name] = map[certificate.Place]certificate.Served{}
			for _, keyType := range []string{"RSA", "ECDSA"} {
				r.Served[n.Name][certificate.Place{KeyType: keyType}] = certificate.Served{Fingerprint: fmt.Sprintf("sha256:%x", string(n.Name)+keyType), Subject: "CN=" + string(n.Name), SelfSigned: true, Pinned: true,
					NotAfter: start.AddDate(2, 0, 0), First: start.AddDate(-1, 0, 0), Read: start}
			}
			trust.Nodes = append(trust.Nodes, certificate.StoreNode{Name: n.Name, Read: start})
		}
		r.Trust = map[string]certificate.Store{peer.TomcatTrust: trust}
	}
	s.tick() // writes what is asked for
	for b.Loop() {
		s.now = s.now.Add(time.Minute)
		a, err := s.judge()
		if err != nil || a.Proposals != 30*29*2 {
			b.Fatalf("%v %+v", err, a)
		}
	}
}
