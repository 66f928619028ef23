package peering_test

import (
	"context"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/peering"
	"peerkeeper/shared/peersync"
	"peerkeeper/shared/preflight"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store/storetest"
)

const (
	emeaPub = "imp-emea-pub.example.com"
	emeaSub = "imp-emea-sub.example.com"
)

// rig is a simulated mesh that peersync watches, and whose plans are carried out.
type rig struct {
	*simtest.Rig
	peering  *peering.Peering
	store    *storetest.Memory
	clusters *cluster.Connector
	disables bool // people disable high availability for restarts
	t        *testing.T
}

func newRig(t *testing.T, mode mesh.Mode, cfg clustersim.Config) *rig {
	t.Helper()
	if cfg.Users == 0 {
		cfg.Users = 60
	}
	r := &rig{Rig: simtest.New(t, simtest.Start(), cfg, false), store: storetest.NewMemory(), t: t}
	r.Mesh.Policy.Mode = mode
	r.store.Now = r.Clock.Now
	r.clusters = r.Connector()
	r.begin(nil)
	r.watch()
	return r
}

// begin is a new process of the function.
func (r *rig) begin(crash func(string)) {
	before := &preflight.Preflight{Mesh: r.Mesh, Store: r.store, Clusters: r.clusters, Now: r.Clock.Now}
	r.peering = &peering.Peering{Mesh: r.Mesh, Store: r.store, Clusters: r.clusters, Preflight: before.Of, Now: r.Clock.Now, Privilege: repair.GrantPrivilege(), Crash: crash}
}

// watch has peersync look.
func (r *rig) watch() {
	r.t.Helper()
	sync := &peersync.Peersync{Mesh: r.Mesh, Store: r.store, Clusters: r.clusters, Now: r.Clock.Now}
	if _, err := sync.Handle(r.t.Context(), run.Request{}); err != nil {
		r.t.Fatal(err)
	}
}

// tick has the function look once.
func (r *rig) tick() run.Answer {
	r.t.Helper()
	a, err := r.peering.Handle(r.t.Context(), run.Request{})
	if err != nil || a.Skipped != "" {
		r.t.Fatal(err, a.Skipped)
	}
	return a
}

// pass lets time go by, with peersync and the function looking as they do.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	for end := r.Clock.Now().Add(d); r.Clock.Now().Before(end); {
		r.Pass(5 * time.Minute)
		r.watch()
		r.tick()
	}
}

func (r *rig) person() *operator.Operator {
	return &operator.Operator{Mesh: r.Mesh, Store: r.store, Now: r.Clock.Now, Actor: "ada"}
}

// ask asks for a plan, which the function makes.
func (r *rig) ask(kind change.Kind, args ...string) string {
	r.t.Helper()
	id, err := r.person().AskForPlan(r.t.Context(), kind, args)
	if err != nil {
		r.t.Fatal(err)
	}
	r.tick()
	return id
}

func (r *rig) plan(id string) *record.Plan {
	r.t.Helper()
	p, err := record.LoadPlan(r.t.Context(), r.store, r.Mesh.Name, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// say says something to a plan, which the function hears.
func (r *rig) say(id string, w change.Word) {
	r.t.Helper()
	r.told(id, w)
	r.tick()
}

func (r *rig) told(id string, w change.Word) {
	r.t.Helper()
	p := r.plan(id)
	if w.Verb == change.Approve {
		w.Saw = map[int]time.Time{}
		for _, n := range w.Steps {
			w.Saw[n] = p.Step(n).ServiceStart
		}
	}
	if _, err := r.person().Tell(context.WithoutCancel(r.t.Context()), &p.Plan, w); err != nil {
		r.t.Fatalf("%s %v: %v (the plan is %s: %s)", w.Verb, w.Steps, err, p.State, p.Why)
	}
}

func (r *rig) expect(id string, state change.State, step int) *record.Plan {
	r.t.Helper()
	p := r.plan(id)
	at := 0
	if s := p.Current(); s != nil {
		at = s.N
	}
	if p.State != state || at != step {
		r.t.Errorf("the plan is %s at step %d, want %s at %d: %s", p.State, at, state, step, p.Why)
		for _, s := range p.Steps {
			r.t.Logf("%d %s %s %s: %s %s", s.N, s.Op, s.Node, s.Service, s.State, s.Evidence)
		}
		r.t.FailNow()
	}
	return p
}

// parameter is what a node's parameter reads.
func (r *rig) parameter(node, service, name string) string {
	r.t.Helper()
	owner, _ := r.Mesh.Owner(mesh.NodeName(node))
	c, _ := r.Mesh.Cluster(owner)
	client, err := r.clusters.Open(r.t.Context(), c, record.AccountGuardOf(r.store, r.Mesh.Name, c, mesh.ReadAccount, r.Clock.Now), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	value, matches, err := client.Parameter(r.t.Context(), mesh.NodeName(node), service, name)
	if err != nil || matches != 1 {
		r.t.Fatalf("%s of %s: %d match, %v", name, node, matches, err)
	}
	return value
}

func ptr[T any](v T) *T { return &v }
