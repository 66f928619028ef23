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
	"peerkeeper/shared/soap"
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
	a, err := s.logIn(ctx, id, platformWriter)
	if err != nil {
		return nil, err
	}
	k, err := s.Platform.TrustStoreWriter(ctx, a.cluster, a.rejected, a.pins)
	if err != nil {
		return nil, err
	}
	return &guardedKeeper{TrustStoreWriter: k, note: a.note(k.Version)}, nil
}

// source reads what an import is about from its own node.
func (s *Stucksync) source(ctx context.Context, of peer.CertSource) ([]*x509.Certificate, error) {
	a, err := s.logIn(ctx, of.Cluster, platformWriter)
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
		err = errors.Join(err, a.note(refused.Version)(ctx, refused))
	}
	return certs, err
}

// guardedKeeper notes at once when its account is rejected, before anything else
// can log in with it.
type guardedKeeper struct {
	*cluster.TrustStoreWriter
	note func(context.Context, error) error
}

func (g *guardedKeeper) told(ctx context.Context, err error) error {
	if soap.KindOf(err) == soap.AccountRejected {
		return errors.Join(err, g.note(ctx, err))
	}
	return err
}

// Lacks is TrustStoreWriter's.
func (g *guardedKeeper) Lacks(ctx context.Context, node mesh.NodeName, name string, certificates []string) ([]string, error) {
	out, err := g.TrustStoreWriter.Lacks(ctx, node, name, certificates)
	return out, g.told(ctx, err)
}

// Add is TrustStoreWriter's.
func (g *guardedKeeper) Add(ctx context.Context, node mesh.NodeName, name string, certs []*x509.Certificate, description string) error {
	return g.told(ctx, g.TrustStoreWriter.Add(ctx, node, name, certs, description))
}
