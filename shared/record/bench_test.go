package record_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// distant is a store as far away as DynamoDB.
type distant struct{ store.Store }

const away = 5 * time.Millisecond

func (d distant) Load(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	time.Sleep(away)
	return d.Store.Load(ctx, pk, prefix)
}

// BenchmarkLoad is the beginning of a tick of 30 clusters in a full mesh: what
// is stored is read from a distant store, and the clusters are waited for; once
// with all of it decoded before, once with peers decoded meanwhile.
func BenchmarkLoad(b *testing.B) {
	m := &mesh.Mesh{Name: "acme"}
	for i := range 30 {
		m.Clusters = append(m.Clusters, mesh.Cluster{ID: mesh.ClusterID(fmt.Sprintf("c%02d", i))})
	}
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	conditions := func(types ...peer.Type) (out []peer.Condition) {
		for _, t := range types {
			out = append(out, peer.Condition{Type: t, Status: peer.True, Reason: "Matches", Message: "what was read of both ends agrees with what mesh.yaml declares", Basis: peer.Measured, Since: at})
		}
		return out
	}
	memory := storetest.NewMemory()
	var c record.Changes
	for _, from := range m.IDs() {
		record.Add(&c, store.NewDoc(store.Cluster("acme", from), record.ClusterSchema, peer.ClusterRecord{Findings: []peer.Finding{{ID: "x"}}}))
		for _, to := range m.IDs() {
			if from == to {
				continue
			}
			id := mesh.PeerID{From: from, To: to}
			m.Peers = append(m.Peers, mesh.Peer{ID: id})
			sync := conditions(peer.Reachable, peer.ServicesRunning, peer.Compatible, peer.Configured, peer.Authenticated, peer.Synced, peer.UsersMatch)
			record.Add(&c, store.NewDoc(store.PeerSync("acme", id), record.SyncSchema, peer.SyncRecord{Conditions: sync, FirstSeen: at, Progress: at}))
			record.Add(&c, store.NewDoc(store.PeerCert("acme", id), record.CertSchema, peer.CertRecord{Conditions: conditions(peer.CertificateTrusted, peer.NamesResolve), LeafFirst: at}))
			status := map[peer.Type]peer.Status{}
			for _, one := range sync {
				status[one.Type] = one.Status
			}
			record.Add(&c, store.NewDoc(store.PeerStuck("acme", id), record.StateSchema, peer.StateRecord{State: peer.Healthy, Since: at, Status: status}))
		}
	}
	if _, err := c.Write(b.Context(), memory); err != nil {
		b.Fatal(err)
	}
	far := distant{memory}
	for _, waited := range []time.Duration{0, 100 * time.Millisecond} {
		b.Run(fmt.Sprint("before, clusters take ", waited), func(b *testing.B) {
			for b.Loop() {
				if _, err := record.Load(b.Context(), far, m); err != nil {
					b.Fatal(err)
				}
				time.Sleep(waited)
			}
		})
		b.Run(fmt.Sprint("meanwhile, clusters take ", waited), func(b *testing.B) {
			for b.Loop() {
				_, rest, err := record.LoadAhead(b.Context(), far, m)
				if err != nil {
					b.Fatal(err)
				}
				decoded := make(chan error)
				go func() { decoded <- rest() }()
				time.Sleep(waited)
				if err := errors.Join(<-decoded, err); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
