// Package simtest is a simulated mesh as the tests of Peerkeeper's own packages find it: a clock that is moved by hand, and what a
// client knows by the files that the simulator writes, mesh.yaml and secrets.json, and by nothing else.
//
// It adds no behaviour to the simulator, whose own tests do without it: they must not know Peerkeeper's structs. Only tests import it.
package simtest

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/secret"
)

// Start is when a simulated mesh begins, unless a test has its reasons.
func Start() time.Time { return time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC) }

// Clock stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the instant it stands at.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move moves it, and gives the instant it stands at then.
func (c *Clock) Move(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// Rig is a simulated mesh. It is a secret.Source whose secrets follow what the clusters take.
type Rig struct {
	*clustersim.Sim
	Clock *Clock
	Mesh  *mesh.Mesh
	Files map[string][]byte // as first written

	t       testing.TB
	sockets bool
}

// New makes a mesh that begins at an instant; sockets says whether its nodes listen on loopback or are only reached by Sim.Transport.
// It ends with the test. cfg.Clock is the rig's.
func New(t testing.TB, at time.Time, cfg clustersim.Config, sockets bool) *Rig {
	t.Helper()
	r := &Rig{t: t, Clock: &Clock{now: at}, sockets: sockets}
	cfg.Clock = r.Clock
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
	if r.Files, err = sim.Files("http://192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	r.Mesh, err = meshfile.Parse("mesh.yaml", r.Files["mesh.yaml"], func(name string) ([]byte, error) { return r.Files[name], nil })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Connector opens the mesh's clusters; waits between attempts are a millisecond.
func (r *Rig) Connector() *cluster.Connector {
	c := &cluster.Connector{Dialect: cluster.NewDialect(r.Mesh.Dialect), Secrets: r, Now: r.Clock.Now, Timeout: time.Minute, Backoff: time.Millisecond}
	if !r.sockets {
		c.Transport = r.Sim.Transport()
	}
	return c
}

// Secrets are secrets as they once were: they do not follow when somebody changes a password on a cluster.
type Secrets map[string]secret.Credentials

// Credentials finds them by name.
func (s Secrets) Credentials(_ context.Context, name string) (secret.Credentials, error) {
	c, ok := s[name]
	if !ok {
		return secret.Credentials{}, secret.ErrNotFound
	}
	return c, nil
}

// SecretsNow are what secrets.json would hold if it were written now; a secret's version is its password.
func (r *Rig) SecretsNow() Secrets {
	r.t.Helper()
	files, err := r.Sim.Files("")
	if err != nil {
		r.t.Fatal(err)
	}
	var all map[string]struct{ Username, Password string }
	if err := json.Unmarshal(files["secrets.json"], &all); err != nil {
		r.t.Fatal(err)
	}
	out := Secrets{}
	for name, one := range all {
		out[name] = secret.Credentials{Username: one.Username, Password: secret.NewText(one.Password), Version: "v:" + one.Password}
	}
	return out
}

// Credentials follow: who asks gets the password that the cluster takes at that moment.
func (r *Rig) Credentials(ctx context.Context, name string) (secret.Credentials, error) {
	return r.SecretsNow().Credentials(ctx, name)
}

// Pass moves the clock and has the simulator do what is due by then.
func (r *Rig) Pass(d time.Duration) { r.Step(r.Clock.Move(d)) }

// Change changes a cluster. The test ends if that is refused.
func (r *Rig) Change(cluster string, changes ...clustersim.Change) {
	r.t.Helper()
	if err := r.Sim.Change(cluster, changes...); err != nil {
		r.t.Fatalf("changing %s: %v", cluster, err)
	}
}

// Fault adds a rule by which requests fail. The test ends if it is refused.
func (r *Rig) Fault(f clustersim.Fault) {
	r.t.Helper()
	if err := r.AddFault(f); err != nil {
		r.t.Fatalf("adding the fault %+v: %v", f, err)
	}
}

// Cluster is what a cluster is like now.
func (r *Rig) Cluster(id mesh.ClusterID) clustersim.ClusterState {
	r.t.Helper()
	for _, c := range r.State().Clusters {
		if c.ID == string(id) {
			return c
		}
	}
	r.t.Fatalf("no cluster %s", id)
	return clustersim.ClusterState{}
}

// Requests counts what a cluster's IM and Presence nodes were asked, by operation.
func (r *Rig) Requests(id mesh.ClusterID) map[string]int {
	r.t.Helper()
	out := map[string]int{}
	for _, n := range r.Cluster(id).Nodes {
		if n.Role == "cucm" {
			continue
		}
		for name, count := range n.Requests {
			out[name] += count
		}
	}
	return out
}

// Load sums a cluster's requests, and counts the log-ins and the rejected ones among them.
func (r *Rig) Load(id mesh.ClusterID) (all, logIns, rejected int) {
	r.t.Helper()
	for _, count := range r.Requests(id) {
		all += count
	}
	for _, n := range r.Cluster(id).Nodes {
		if n.Role != "cucm" {
			logIns += n.LogIns
			rejected += n.RejectedLogIns
		}
	}
	return all, logIns, rejected
}
