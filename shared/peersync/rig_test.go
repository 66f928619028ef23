package peersync_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/secret"
)

// start is when every simulated mesh begins.
var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// rig is a simulated mesh and a connector that knows it by its files only.
type rig struct {
	*clustersim.Sim
	t     *testing.T
	clock *clock
	mesh  *mesh.Mesh
	*cluster.Connector
}

func newRig(t *testing.T, cfg clustersim.Config, sockets bool) *rig {
	t.Helper()
	r := &rig{t: t, clock: &clock{now: start}}
	cfg.Clock = r.clock
	sim, err := clustersim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Sim = sim
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Errorf("closing the simulator: %v", err)
		}
	})
	if sockets {
		if err := sim.Start(); err != nil {
			t.Fatal(err)
		}
	}
	files, err := sim.Files("")
	if err != nil {
		t.Fatal(err)
	}
	r.mesh, err = meshfile.Parse("mesh.yaml", files["mesh.yaml"], func(name string) ([]byte, error) { return files[name], nil })
	if err != nil {
		t.Fatal(err)
	}
	r.Connector = &cluster.Connector{Dialect: cluster.NewDialect(r.mesh.Dialect), Secrets: secrets{sim}, Now: r.clock.Now, Timeout: 5 * time.Second, Backoff: time.Millisecond}
	if !sockets {
		r.Connector.Transport = sim.Transport()
	}
	return r
}

// secrets are the simulator's own, whose version is the password.
type secrets struct{ sim *clustersim.Sim }

func (s secrets) Credentials(_ context.Context, name string) (secret.Credentials, error) {
	files, err := s.sim.Files("")
	if err != nil {
		return secret.Credentials{}, err
	}
	var all map[string]struct{ Username, Password string }
	if err := json.Unmarshal(files["secrets.json"], &all); err != nil {
		return secret.Credentials{}, err
	}
	one, ok := all[name]
	if !ok {
		return secret.Credentials{}, secret.ErrNotFound
	}
	return secret.Credentials{Username: one.Username, Password: secret.NewText(one.Password), Version: "v:" + one.Password}, nil
}

func (r *rig) pass(d time.Duration) {
	r.clock.mu.Lock()
	r.clock.now = r.clock.now.Add(d)
	now := r.clock.now
	r.clock.mu.Unlock()
	r.Step(now)
}

func (r *rig) do(path, body string) {
	r.t.Helper()
	if err := r.Do(http.MethodPost, path, []byte(body)); err != nil {
		r.t.Fatalf("POST %s %s: %v", path, body, err)
	}
}

func (r *rig) state(id mesh.ClusterID) clustersim.ClusterState {
	for _, c := range r.State().Clusters {
		if c.ID == string(id) {
			return c
		}
	}
	r.t.Fatalf("no cluster %s", id)
	return clustersim.ClusterState{}
}

// requests counts what a cluster's IM and Presence nodes were asked, log-ins
// and rejected log-ins among them.
func (r *rig) requests(id mesh.ClusterID) (all, logIns, rejected int) {
	for _, n := range r.state(id).Nodes {
		if n.Role == "cucm" {
			continue
		}
		for _, count := range n.Requests {
			all += count
		}
		logIns += n.LogIns
		rejected += n.RejectedLogIns
	}
	return all, logIns, rejected
}

// kept are secrets that do not follow the simulator's.
type kept map[string]secret.Credentials

func (k kept) Credentials(_ context.Context, name string) (secret.Credentials, error) {
	c, ok := k[name]
	if !ok {
		return secret.Credentials{}, secret.ErrNotFound
	}
	return c, nil
}
