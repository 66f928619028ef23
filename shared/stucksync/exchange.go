package stucksync

import (
	"context"
	"crypto/x509"
	"errors"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/repair"
)

// exchange is what the mesh's certificates ask for: those that a trust store
// lacks, and a restart of an ICSA that has not read what came into its own. Each
// of its proposals is held against it, so it is worked out once: of a renewed
// mesh of thirty there are hundreds.
func (j *tick) exchange() []peer.Proposal {
	if j.exchanged == nil {
		j.exchanged = append([]peer.Proposal{}, j.certs.Proposals()...)
	}
	return j.exchanged
}

// keeper gives the trust stores of a cluster, under the lock-out guard of the
// account that may write them.
func (s *Stucksync) keeper(ctx context.Context, id mesh.ClusterID) (repair.TrustStoreWriter, error) {
	a, err := s.logIn(ctx, id, mesh.PlatformWriteAccount)
	if err != nil {
		return nil, err
	}
	k, err := s.Platform.TrustStoreWriter(ctx, a.cluster, a.rejected, a.pins)
	if err != nil {
		return nil, err
	}
	return guardedWriter{k, a}, nil
}

// source reads what an import is about from its own node.
func (s *Stucksync) source(ctx context.Context, of peer.CertSource) ([]*x509.Certificate, error) {
	a, err := s.logIn(ctx, of.Cluster, mesh.PlatformWriteAccount)
	if err != nil {
		return nil, err
	}
	// A certificate may be accepted under any node of its cluster: a multi-server
	// one is the same on all, and certcheck proposes it by the same rule.
	var accepted []string
	for _, n := range a.cluster.Nodes {
		accepted = append(accepted, a.pins[n.Name]...)
	}
	certs, err := s.Platform.Source(ctx, a.cluster, of, a.rejected, accepted)
	var refused *certificate.Refused
	if errors.As(err, &refused) && refused.Reason == peer.AccountRejected && refused.Version != a.rejected {
		err = errors.Join(err, a.Reject(ctx, refused.Version, refused.Error(), s.Now()))
	}
	return certs, err
}

// guardedWriter heeds whatever its account is answered.
type guardedWriter struct {
	*cluster.TrustStoreWriter
	login login
}

// Lacks is TrustStoreWriter's.
func (g guardedWriter) Lacks(ctx context.Context, node mesh.NodeName, name string, certificates []string) ([]string, error) {
	out, err := g.TrustStoreWriter.Lacks(ctx, node, name, certificates)
	return out, g.login.heed(ctx, g.Version, err)
}

// Add is TrustStoreWriter's.
func (g guardedWriter) Add(ctx context.Context, node mesh.NodeName, name string, certs []*x509.Certificate, description string) error {
	return g.login.heed(ctx, g.Version, g.TrustStoreWriter.Add(ctx, node, name, certs, description))
}
