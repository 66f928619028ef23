package record

import (
	"context"
	"errors"
	"fmt"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
)

// Again reads, item by item and therefore consistently, what an action turns
// on: every cluster's record, the given peers' records, how the functions ran, what
// people said of the cluster or of a peer that it is an end of, and the
// proposal with its approval. Load may be a moment behind; nobody acts on that moment.
//
// What it does not read (acknowledgements, alarms, other peers, pins) is empty.
func Reread(ctx context.Context, s store.Store, m *mesh.Mesh, id mesh.ClusterID, peers []mesh.PeerID, proposal string, functions ...string) (*Snapshot, error) {
	b := blank()
	var keys []store.Key
	for _, c := range m.IDs() {
		keys = append(keys, store.Cluster(m.Name, c), store.Cert(m.Name, c))
	}
	for _, p := range peers {
		keys = append(keys, store.PeerSync(m.Name, p), store.PeerCert(m.Name, p), store.PeerStuck(m.Name, p))
	}
	for _, f := range functions {
		keys = append(keys, store.RunOf(m.Name, f))
	}
	for _, scope := range scopes(m, id, peers) {
		keys = append(keys, store.Pause(m.Name, string(scope)), store.Maintenance(m.Name, string(scope)))
	}
	if proposal != "" {
		keys = append(keys, store.Approval(m.Name, proposal), store.Proposal(m.Name, proposal))
	}
	for _, k := range keys {
		it, err := s.Get(ctx, k)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s %s again: %w", k.PK, k.SK, err)
		}
		if err := b.take(m, it); err != nil {
			return nil, err
		}
	}
	b.fillClusters(m)
	b.fillPeers(m)
	return b, nil
}

// scopes are all that a person may have named and that could stop an action on
// the cluster, or for one of the peers.
func scopes(m *mesh.Mesh, id mesh.ClusterID, peers []mesh.PeerID) []Scope {
	out := []Scope{WholeMesh}
	had := map[Scope]bool{WholeMesh: true}
	add := func(all ...Scope) {
		for _, x := range all {
			if !had[x] {
				had[x] = true
				out = append(out, x)
			}
		}
	}
	add(Scope(id))
	for _, p := range peers {
		add(Scope(p.From), Scope(p.To))
	}
	for _, p := range append(m.PeersOf(id), peers...) {
		add(Scope(p.String()), Scope(p.From+"<>"+p.To), Scope(p.To+"<>"+p.From))
	}
	return out
}

// Accepted lists the certificates that people accepted at run time, by node.
// It may be a moment behind: pins only ever grow.
func Accepted(ctx context.Context, s store.Store, meshName string) (map[mesh.NodeName][]string, error) {
	items, err := s.Load(ctx, store.Override(meshName), store.PrefixPin)
	if err != nil {
		return nil, fmt.Errorf("loading what people accepted: %w", err)
	}
	b := blank()
	for _, it := range items {
		if err := b.take(&mesh.Mesh{}, it); err != nil {
			return nil, err
		}
	}
	return b.Accepted(), nil
}

// Seen is one cluster's record, read consistently.
func ObservedCluster(ctx context.Context, s store.Store, meshName string, id mesh.ClusterID) (peer.ClusterRecord, error) {
	it, err := s.Get(ctx, store.Cluster(meshName, id))
	if err != nil {
		return peer.ClusterRecord{}, fmt.Errorf("reading the record of %s: %w", id, err)
	}
	d, err := store.Decode[peer.ClusterRecord](it, ClusterSchema)
	if err == nil && d.Newer {
		err = fmt.Errorf("the record of %s: %w", id, store.ErrNewerSchema)
	}
	return d.Value, err
}
