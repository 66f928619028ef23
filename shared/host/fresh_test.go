package host_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/discovery"
	"peerkeeper/shared/host"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/store/storetest"
)

// TestAFreshMeshRunsHealthy: what discovery writes down of three meshes, with nobody
// having mapped anything, is watched as it is, and every peer is Healthy once it has
// synced.
func TestAFreshMeshRunsHealthy(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(string('a'+rune(seed)), func(t *testing.T) {
			t.Parallel()
			r := simtest.New(t, simtest.Start(), clustersim.Config{Clusters: 2 + int(seed), Users: 20, Seed: seed + 1}, true)
			for _, c := range r.Mesh.Clusters {
				r.Change(string(c.ID), clustersim.Credentials{Account: "read", Username: new("reader"), Password: new("one for all")})
			}
			account := secret.Credentials{Username: "reader", Password: secret.NewText("one for all"), Version: "1"}
			found, err := discovery.Search{
				Publisher: string(r.Mesh.Clusters[0].Publisher), Account: "all/read", Secrets: simtest.Secrets{"all/read": account}, CA: r.Files["ca.pem"], Now: r.Clock.Now,
				Resolve: func(_ context.Context, name, _ string) (string, error) {
					for _, h := range r.Hosts() {
						if strings.EqualFold(h.Name, name) {
							return h.Address, nil
						}
					}
					return "", context.DeadlineExceeded
				},
			}.Find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			m, err := meshfile.Parse("mesh.yaml", found.YAML(discovery.File{From: "x", At: r.Clock.Now(), CA: "ca.pem"}), func(string) ([]byte, error) { return r.Files["ca.pem"], nil })
			if err != nil {
				t.Fatal(err)
			}
			memory := storetest.NewMemory()
			memory.Now = r.Clock.Now
			h := &host.Host{Mesh: m, Store: memory, Secrets: simtest.Secrets{"all/read": account}, Clock: byHand{r.Clock}, Timeout: time.Minute, Backoff: time.Millisecond}
			for range 3 * 12 {
				r.Pass(5 * time.Minute)
				for _, function := range []string{"peersync", "certcheck", "stucksync"} {
					if _, err := h.Handle(t.Context(), run.Request{Function: function}); err != nil {
						t.Fatal(err)
					}
				}
			}
			snapshot, err := record.Load(t.Context(), memory, m)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range m.Peers {
				if s := snapshot.States[p.ID].Value; s.State != peer.Healthy {
					t.Errorf("%s is %s: %+v", p.ID, s.State, notTrue(snapshot, p.ID))
				}
			}
		})
	}
}

func notTrue(snapshot *record.Snapshot, id mesh.PeerID) []peer.Condition {
	var out []peer.Condition
	for _, c := range append(snapshot.Syncs[id].Value.Conditions, snapshot.PeerCert[id].Value.Conditions...) {
		if c.Status != peer.True {
			out = append(out, c)
		}
	}
	return out
}
