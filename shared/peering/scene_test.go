package peering

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
	"peerkeeper/shared/userset"
)

// noon is when every case looks.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

const (
	emeaPub = mesh.NodeName("imp-emea-pub.example.com")
	emeaSub = mesh.NodeName("imp-emea-sub.example.com")
	apacPub = mesh.NodeName("imp-apac-pub.example.com")
)

var emeaApac = mesh.PeerID{From: "emea", To: "apac"}

// scene is a step that a plan has come to, half an hour after it was started, in a mesh in
// which everything was read to be well at noon: 200 users at each cluster, all copied, all
// syncs ten minutes old, high availability on. A case breaks what it is about.
type scene struct {
	*tick
	t        *testing.T
	plan     *record.Plan
	step     *change.Step
	clusters map[mesh.ClusterID]*peer.ClusterRecord
	report   *userset.Report // nil: the users have not been compared
	// found is what peersync made of emea's side, where it is not what the facts say now.
	found map[peer.Type]peer.Status
}

func newScene(t *testing.T, step change.Step) *scene {
	m := &mesh.Mesh{Name: "acme", Domain: "example.com"}
	s := &scene{t: t, clusters: map[mesh.ClusterID]*peer.ClusterRecord{}, found: map[peer.Type]peer.Status{}}
	memory := storetest.NewMemory()
	now := func() time.Time { return noon }
	memory.Now = now
	s.tick = &tick{Peering: &Peering{Mesh: m, Store: memory, Now: now}, ready: map[mesh.ClusterID]reading{}, tables: map[mesh.ClusterID]table{}}
	ids := []mesh.ClusterID{"emea", "apac", "amer"}
	node := func(id mesh.ClusterID, part string) mesh.NodeName {
		return mesh.NodeName("imp-" + string(id) + "-" + part + ".example.com")
	}
	for i, id := range ids {
		pub, sub := node(id, "pub"), node(id, "sub")
		m.Clusters = append(m.Clusters, mesh.Cluster{
			ID: id, Release: "14.0", Publisher: pub, SyncInterval: mesh.Duration(30 * time.Minute), Credentials: string(id) + "/read",
			Nodes: []mesh.Node{{Name: pub, Address: fmt.Sprintf("192.0.2.%d1:8443", i+1)}, {Name: sub, Address: fmt.Sprintf("192.0.2.%d2:8443", i+1)}},
		})
		users, ready := map[mesh.NodeName]int{}, peer.Readiness{Nodes: map[mesh.NodeName]peer.NodeReadiness{}}
		var entries []peer.Entry
		for _, other := range ids {
			users[node(other, "pub")], users[node(other, "sub")] = 120, 80
			if other != id {
				m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: id, To: other}, Protocol: mesh.TCP})
				entries = append(entries, peer.Entry{Address: string(node(other, "pub")), Protocol: mesh.TCP, LastSync: ago(10 * time.Minute), HasClock: true, HasError: true})
			}
		}
		seen := map[mesh.NodeName]peer.Node{}
		for _, name := range []mesh.NodeName{pub, sub} {
			services := map[string]peer.Service{}
			for _, service := range []string{peer.ICSA, peer.SyncAgent, peer.AXL, peer.XCPRouter, peer.SIPProxy, peer.SRM} {
				services[service] = peer.Service{Status: "Started", UpTime: 24 * time.Hour}
			}
			seen[name] = peer.Node{Answers: peer.Known(true, noon), Services: peer.Known(services, noon), Version: peer.Known("14.0.1.13900-8", noon),
				Parameters: peer.Known(map[string]string{peer.ParamInterval: "30", peer.ParamAutoRecovery: "t"}, noon)}
			ready.Nodes[name] = peer.NodeReadiness{
				Group: peer.Known("DefaultCUPSubcluster", noon), HA: peer.Known(true, noon), HAState: peer.Known(peer.HANormal, noon), Replication: peer.Known(peer.ReplicationGood, noon), SRM: peer.Known(peer.SRMNormal, noon),
				People: peer.Known(100, noon), Services: peer.Known(services, noon),
			}
		}
		s.clusters[id] = &peer.ClusterRecord{
			Seen: peer.Observation{Cluster: id, At: noon, Access: peer.Known(true, noon), Nodes: seen, Users: peer.Known(users, noon), UsersBasis: peer.Measured,
				Entries: peer.Known(entries, noon), SyncAgent: peer.Known("Completed 2026-03-02 03:00:00", noon), Skew: peer.Known(time.Duration(0), noon)},
			Home:     []peer.HomeValue{{Users: 200, From: ago(24 * time.Hour), To: noon}},
			Interval: peer.Interval{Value: 30 * time.Minute},
		}
		s.ready[id] = reading{Readiness: ready}
		s.tables[id] = table{Entries: cluster.Entries{Peers: peer.Known(append([]peer.Entry(nil), entries...), noon), Topology: peer.Known([]mesh.NodeName{pub, sub}, noon), SyncAgent: peer.Known("Completed 2026-03-02 03:00:00", noon)}}
	}
	if step.Cluster == "" {
		step.Cluster = "emea"
	}
	plan, err := record.NewPlan(t.Context(), memory, m.Name, &change.Plan{Head: change.Head{ID: "c4f2a1", Kind: change.Set, Clusters: []mesh.ClusterID{"emea"}, Started: ago(30 * time.Minute), State: change.Running}})
	if err != nil {
		t.Fatal(err)
	}
	s.plan = plan
	s.follows(step)
	return s
}

// follows puts a step at the plan's end, which the plan comes to where all before it are
// over.
func (s *scene) follows(step change.Step) {
	step.N = len(s.plan.Steps) + 1
	s.plan.Steps = append(s.plan.Steps, step)
	s.step = &s.plan.Steps[len(s.plan.Steps)-1]
}

// before puts a step in front of the one that the plan has come to.
func (s *scene) before(step change.Step) {
	at := *s.step
	s.plan.Steps = s.plan.Steps[:len(s.plan.Steps)-1]
	s.follows(step)
	s.follows(at)
}

// unreachable has a cluster answer nothing.
func (s *scene) unreachable(id mesh.ClusterID) {
	err := errors.New("no connection")
	s.ready[id], s.tables[id] = reading{err: err}, table{err: err}
}

// node changes what was read of a node of emea.
func (s *scene) node(name mesh.NodeName, change func(n *peer.NodeReadiness)) {
	n := s.ready["emea"].Nodes[name]
	change(&n)
	s.ready["emea"].Nodes[name] = n
}

func (s *scene) service(name string, svc peer.Service) {
	s.node(emeaPub, func(n *peer.NodeReadiness) {
		n.Services = peer.Known(map[string]peer.Service{name: svc}, noon)
	})
}

// upgrading has emea be upgraded, in mode recover: what is about to be sent to it waits.
func upgrading(s *scene) {
	s.Mesh.Policy.Mode = mesh.Recover
	put(s.t, s.Store, store.PeerStuck(s.Mesh.Name, emeaApac), record.StateSchema, peer.StateRecord{Overlays: []peer.Overlay{peer.Upgrading}})
}

// unrecorded has peersync never have read a cluster.
func unrecorded(id mesh.ClusterID) func(s *scene) {
	return func(s *scene) { delete(s.clusters, id) }
}

// lists has the peer table of emea hold these entries, as it is read now.
func lists(entries ...peer.Entry) func(s *scene) {
	return func(s *scene) {
		has := s.tables["emea"]
		has.Peers = peer.Known(entries, noon)
		s.tables["emea"] = has
	}
}

// tableUnread has the peer table of emea not be read.
func tableUnread(why peer.Reason, detail string) func(s *scene) {
	return func(s *scene) {
		has := s.tables["emea"]
		has.Peers = peer.Unknown[[]peer.Entry](why, detail)
		s.tables["emea"] = has
	}
}

// topology has Presence Topology of apac list these nodes.
func topology(f peer.Fact[[]mesh.NodeName]) func(s *scene) {
	return func(s *scene) {
		has := s.tables["apac"]
		has.Topology = f
		s.tables["apac"] = has
	}
}

// said has ada say something to the step ten minutes ago.
func (s *scene) said(verb change.Verb) {
	s.step.Said = &change.Said{Verb: verb, Actor: "ada", At: ago(10 * time.Minute)}
}

// record writes down what was read of the mesh, as peersync does.
func (s *scene) record() {
	s.t.Helper()
	for id, r := range s.clusters {
		put(s.t, s.Store, store.Cluster(s.Mesh.Name, id), record.ClusterSchema, *r)
	}
	view := peer.Facts{Now: noon, Tick: 5 * time.Minute, Mesh: s.Mesh, Clusters: s.clusters}.View()
	judged := peer.Judge(view, emeaApac, peer.SyncRecord{})
	for i := range judged.Conditions {
		if status := s.found[judged.Conditions[i].Type]; status != "" {
			judged.Conditions[i].Status, judged.Conditions[i].Message = status, "as peersync found it"
			judged.Standing = peer.Standing{string(judged.Conditions[i].Type) + ":it": noon} // after the last sync
		}
	}
	put(s.t, s.Store, store.PeerSync(s.Mesh.Name, emeaApac), record.SyncSchema, judged)
	if s.report != nil {
		if err := record.WriteUserReport(s.t.Context(), s.Store, s.Mesh.Name, *s.report); err != nil {
			s.t.Fatal(err)
		}
	}
	s.grounds = nil
}

// looks has the plan look at the step once.
func (s *scene) looks() change.Step {
	s.t.Helper()
	s.record()
	n := s.step.N
	if _, err := s.advance(s.t.Context(), s.plan); err != nil {
		s.t.Fatal(err)
	}
	return *s.plan.Step(n)
}

func put[T any](t *testing.T, s store.Store, key store.Key, schema int, value T) {
	t.Helper()
	if _, _, err := store.Claim(context.WithoutCancel(t.Context()), s, key, schema, func(d *store.Doc[T], _ bool) (bool, error) {
		d.Value = value
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
}

// look is one case: what is read, and what the step comes to by it.
type look struct {
	name  string
	read  func(s *scene)
	state change.StepState
	says  string // of its evidence; with a full stop to its end
}

// looked has a step looked at in every case.
func looked(t *testing.T, step change.Step, cases []look) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, step)
			if tt.read != nil {
				tt.read(s)
			}
			got := s.looks()
			if got.State != tt.state || !strings.Contains(got.Evidence+".", tt.says) {
				t.Errorf("%s: %s\nwant %s: %s", got.State, got.Evidence, tt.state, tt.says)
			}
		})
	}
}

// all is several things that are read at once.
func all(reads ...func(s *scene)) func(s *scene) {
	return func(s *scene) {
		for _, read := range reads {
			read(s)
		}
	}
}

// alone reads nothing of emea any more.
func alone(s *scene) { s.unreachable("emea") }

// confirmed has ada have confirmed the step.
func confirmed(s *scene) { s.said(change.Confirm) }
