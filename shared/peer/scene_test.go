package peer

import (
	"time"

	"peerkeeper/shared/mesh"
)

const tick = 5 * time.Minute

// noon is when every case looks; "9:30" in a case is half past nine on that day.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// clusters declares a full mesh of clusters, each with a publisher and a subscriber.
func clusters(ids ...mesh.ClusterID) *mesh.Mesh {
	m := &mesh.Mesh{Name: "acme", Domain: "example.com"}
	for _, id := range ids {
		pub := mesh.NodeName("imp-" + string(id) + "-pub.example.com")
		sub := mesh.NodeName("imp-" + string(id) + "-sub.example.com")
		m.Clusters = append(m.Clusters, mesh.Cluster{
			ID: id, Release: "14.0", Publisher: pub, SyncInterval: mesh.Duration(30 * time.Minute), AutoRecovery: true, Credentials: string(id) + "/read",
			Nodes: []mesh.Node{{Name: pub, Address: "192.0.2.1:8443"}, {Name: sub, Address: "192.0.2.2:8443"}},
		})
		for _, other := range ids {
			if other != id {
				m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: id, To: other}, Protocol: mesh.TCP})
			}
		}
	}
	return m
}

func pub(id mesh.ClusterID) mesh.NodeName {
	return mesh.NodeName("imp-" + string(id) + "-pub.example.com")
}

func sub(id mesh.ClusterID) mesh.NodeName {
	return mesh.NodeName("imp-" + string(id) + "-sub.example.com")
}

// scene is a mesh in which everything is well at noon: 200 users at each
// cluster, all copied, all syncs ten minutes old. A case breaks what it is about.
type scene struct {
	*Facts
	syncs map[mesh.PeerID]SyncRecord
}

func newScene(ids ...mesh.ClusterID) *scene {
	if len(ids) == 0 {
		ids = []mesh.ClusterID{"emea", "apac", "amer"}
	}
	m := clusters(ids...)
	s := &scene{Facts: &Facts{Now: noon, Tick: tick, Mesh: m, Clusters: map[mesh.ClusterID]*ClusterRecord{}}, syncs: map[mesh.PeerID]SyncRecord{}}
	for _, c := range m.Clusters {
		users := map[mesh.NodeName]int{}
		var entries []Entry
		for _, other := range m.Clusters {
			users[other.Publisher], users[sub(other.ID)] = 120, 80
			if other.ID != c.ID {
				entries = append(entries, Entry{Address: string(other.Publisher), Protocol: mesh.TCP, LastSync: ago(10 * time.Minute), HasClock: true, HasError: true})
			}
		}
		nodes := map[mesh.NodeName]Node{}
		for _, n := range c.Nodes {
			services := map[string]Service{}
			for _, name := range []string{ICSA, SyncAgent, AXL, XCPRouter, SIPProxy, SRM} {
				services[name] = Service{Status: "Started", UpTime: 24 * time.Hour}
			}
			nodes[n.Name] = Node{Answers: Known(true, noon), Services: Known(services, noon), Version: Known("14.0.1.13900-8", noon),
				Parameters: Known(map[string]string{ParamInterval: "30", ParamAutoRecovery: "t"}, noon)}
		}
		s.Clusters[c.ID] = &ClusterRecord{
			Seen: Observation{Cluster: c.ID, At: noon, Access: Known(true, noon), Nodes: nodes, Users: Known(users, noon), UsersBasis: Measured,
				Entries: Known(entries, noon), SyncAgent: Known("Completed 2026-03-02 03:00:00", noon), Skew: Known(time.Duration(0), noon)},
			Home:     []HomeValue{{Users: 200, From: ago(24 * time.Hour), To: noon}},
			Interval: Interval{Value: 30 * time.Minute},
		}
	}
	return s
}

var watched = mesh.PeerID{From: "emea", To: "apac"}

func (s *scene) emea() *ClusterRecord { return s.Clusters["emea"] }

func (s *scene) apac() *ClusterRecord { return s.Clusters["apac"] }

// entry changes emea's entry for apac.
func (s *scene) entry(change func(e *Entry)) {
	entries := s.emea().Seen.Entries.Value
	for i := range entries {
		if entries[i].Address == string(pub("apac")) {
			change(&entries[i])
		}
	}
}

// lastSync puts the last success of that entry so long ago.
func (s *scene) lastSync(d time.Duration) { s.entry(func(e *Entry) { e.LastSync = noon.Add(-d) }) }

func (s *scene) service(id mesh.ClusterID, node mesh.NodeName, name, status string) {
	s.Clusters[id].Seen.Nodes[node].Services.Value[name] = Service{Status: status, UpTime: -1}
}

func (s *scene) parameter(id mesh.ClusterID, name, value string) {
	s.Clusters[id].Seen.Nodes[pub(id)].Parameters.Value[name] = value
}

// copied sets how many of apac's users emea holds.
func (s *scene) copied(n int) {
	s.emea().Seen.Users.Value[pub("apac")], s.emea().Seen.Users.Value[sub("apac")] = n, 0
}

// lose makes Peerkeeper see nothing of a cluster since an instant.
func (s *scene) lose(id mesh.ClusterID, since time.Time, nodes ...mesh.NodeName) {
	r := s.Clusters[id]
	if len(nodes) == 0 {
		nodes = []mesh.NodeName{pub(id), sub(id)}
		r.Seen.Access = Unknown[bool](CannotConnect, "no connection")
		r.NoAccessSince = since
	}
	r.SilentSince = map[mesh.NodeName]time.Time{}
	for _, n := range nodes {
		r.SilentSince[n] = since
		node := r.Seen.Nodes[n]
		node.Answers = Known(false, s.Now)
		node.Services.At = since.Add(-tick)
		r.Seen.Nodes[n] = node
	}
	if _, all := r.SilentSince[pub(id)]; all {
		r.Seen.Users.At, r.Seen.Entries.At = since.Add(-tick), since.Add(-tick)
		r.Seen.Users.Reason, r.Seen.Entries.Reason = CannotConnect, CannotConnect
	}
}

// MemoryName is what a full AXL pool reads as.
const MemoryName = Overloaded

// only gives a cluster's nodes one address to be dialled at.
func (s *scene) only(id mesh.ClusterID, address string) {
	c, _ := s.Mesh.Cluster(id)
	for i := range c.Nodes {
		c.Nodes[i].Address = address
	}
}

func (s *scene) reject(id mesh.ClusterID) {
	r := s.Clusters[id]
	r.Seen.Access = Unknown[bool](AccountRejected, "refuses the account")
	for name, n := range r.Seen.Nodes {
		n.Answers = Unknown[bool](AccountRejected, "")
		r.Seen.Nodes[name] = n
	}
}

func (s *scene) unread(id mesh.ClusterID, node mesh.NodeName, why Reason) {
	n := s.Clusters[id].Seen.Nodes[node]
	n.Services = Unknown[map[string]Service](why, "no answer")
	s.Clusters[id].Seen.Nodes[node] = n
}

// outage is apac gone for everybody, nodes or all of it.
func (s *scene) outage(d time.Duration, nodes ...mesh.NodeName) { s.down("apac", d, nodes...) }

func (s *scene) down(id mesh.ClusterID, d time.Duration, nodes ...mesh.NodeName) {
	s.lose(id, ago(d), nodes...)
	for _, r := range s.Clusters {
		for i, e := range r.Seen.Entries.Value {
			if e.Address == string(pub(id)) {
				r.Seen.Entries.Value[i].LastSync = ago(d + 10*time.Minute)
			}
		}
	}
}

func (s *scene) version(id mesh.ClusterID, at time.Time) {
	n := s.Clusters[id].Seen.Nodes[sub(id)]
	n.Version = Known("15.0.1.10000-1", at)
	s.Clusters[id].Seen.Nodes[sub(id)] = n
}

// fold gives a peer the state that its conditions lead to.
func (s *scene) fold(id mesh.PeerID, conditions []Condition, sync SyncRecord, prev StateRecord) StateRecord {
	state, cause := StateOf(conditions, sync)
	return Fold(s.View(), id, conditions, prev, state, cause)
}
