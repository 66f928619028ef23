package record

import (
	"context"
	"fmt"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
)

// Reread reads consistently, in two requests where a mesh's size allows it, what
// an action turns on: the plans that run, every cluster's record and log, the given peers'
// records, how the functions ran, the proposal, and, last, all that people decided. Load may be a
// moment behind; nobody acts on that moment.
//
// What it does not read (alarms, rejected accounts, other peers) is empty.
func Reread(ctx context.Context, s store.Store, m *mesh.Mesh, peers []mesh.PeerID, proposal string, functions ...string) (*Snapshot, error) {
	keys := []store.Key{store.Plans(m.Name)}
	for _, c := range m.IDs() {
		keys = append(keys, store.Cluster(m.Name, c), store.Cert(m.Name, c), store.Log(m.Name, c))
	}
	for _, p := range peers {
		keys = append(keys, store.PeerSync(m.Name, p), store.PeerCert(m.Name, p), store.PeerStuck(m.Name, p))
	}
	for _, f := range functions {
		keys = append(keys, store.RunOf(m.Name, f))
	}
	if proposal != "" {
		keys = append(keys, store.Proposal(m.Name, proposal))
	}
	items, err := s.GetMany(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("reading mesh %s again: %w", m.Name, err)
	}
	// Of what people may have decided, which of hundreds of scopes it is about, next
	// to nothing is there: all of it costs less than asking for each.
	said, err := s.LoadNow(ctx, store.Override(m.Name), "")
	if err != nil {
		return nil, fmt.Errorf("reading again what people decided of mesh %s: %w", m.Name, err)
	}
	b := blank()
	for _, k := range keys {
		if it, ok := items[k]; ok {
			if err := b.take(m, it); err != nil {
				return nil, err
			}
		}
	}
	for _, it := range said {
		if err := b.take(m, it); err != nil {
			return nil, err
		}
	}
	b.fillClusters(m)
	b.fillPeers(m)
	return b, nil
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

// ObservedCluster is one cluster's record, read consistently.
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
