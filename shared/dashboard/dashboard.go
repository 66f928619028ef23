// Package dashboard shows a mesh to people: what status, matrix and explain say,
// its rendering as text, and the page.
//
// It reads the store and nothing else: it never writes, never contacts a
// cluster and never decides; the judgement is package peer's, and the stored
// state is stucksync's. Everything one call shows comes from one Load, so that
// no two parts of it contradict each other.
//
// Its failure promise: an item that cannot be read makes what it speaks of
// Unknown and is named (Status.Unread), never left out and never taken for
// healthy. Only a store that does not answer makes a call fail.
package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
)

// ErrNoSuchPeer says that mesh.yaml names no such directed peer and the store
// remembers none.
var ErrNoSuchPeer = errors.New("no such peer in this mesh")

// Source is where a mesh's status comes from.
type Source struct {
	Store record.Reader
	Mesh  *mesh.Mesh
	// Tick is peersync's period; zero means as run schedules it.
	Tick time.Duration
}

// Status is a mesh at one instant as `status` tells it, and
// more.
type Status struct {
	Mesh string    `json:"mesh"`
	AsOf time.Time `json:"asOf"`
	// Policy is the mode: observe never changes a cluster.
	Policy    mesh.Mode `json:"policy"`
	Simulated bool      `json:"simulated,omitempty"`
	// LastRun is when each function last completed.
	LastRun map[string]time.Time `json:"lastRun"`
	// Overdue are the functions that have not completed for two periods.
	Overdue  []string  `json:"overdue"`
	Clusters []Cluster `json:"clusters"`
	Peers    []Peer    `json:"peers"`
	// Findings are of the mesh as a whole.
	Findings []peer.Finding     `json:"findings,omitempty"`
	Alarms   []alarm.Notice     `json:"alarms"`
	Counts   map[peer.State]int `json:"counts"`
	// Plans are those that have not ended.
	Plans []change.Entry `json:"plans,omitempty"`
	// Clocks says which clock disagrees with the clock of the machine that asks, and what
	// to do; empty if none does.
	Clocks []string `json:"clocks,omitempty"`
	// Pushed counts the lines that nodes pushed of their logs; nil if none ever was.
	Pushed *record.Tally `json:"pushed,omitempty"`
	// Unread are the stored items that could not be read, or not safely.
	Unread []record.Unread `json:"unread,omitempty"`
}

// Cluster is one cluster of a Status.
type Cluster struct {
	ID      mesh.ClusterID `json:"id"`
	Release string         `json:"release"`
	// Basis says whether the release was read from the publisher or declared.
	Basis peer.Basis `json:"basis"`
	// Users is how many users are home there; nil if that was not read.
	Users    *int   `json:"users,omitempty"`
	TimeZone string `json:"timeZone,omitempty"`
	// Observed is when peersync last read anything of it; zero, null in
	// JSON, if it never did.
	Observed time.Time `json:"observed"`
	// Nodes are the nodes of mesh.yaml with what was read of each last.
	Nodes []Node `json:"nodes"`
	// Clock is where the clocks of its peers come from.
	Clock peer.ClockSource `json:"clock"`
	// Pushed is when the newest line came that its nodes pushed; nil if none did.
	Pushed   *time.Time     `json:"pushed,omitempty"`
	Findings []peer.Finding `json:"findings"`
}

// Node is one node of a Cluster.
type Node struct {
	Name    mesh.NodeName `json:"name"`
	Release string        `json:"release"` // as read from the node; "" if it was not
	// HAState is tkhaserverstate; nil if it was not read lately.
	HAState *int `json:"haState"`
	// HA is on, off or unknown: as mesh.yaml declares it, else as read.
	HA string `json:"ha"`
}

// HAText is a node's state of high availability for people.
func (n Node) HAText() string {
	if n.HAState == nil {
		return "HA state not read"
	}
	return peer.HAWord(*n.HAState)
}

// MarshalJSON writes the instant of the last look, or null.
func (c Cluster) MarshalJSON() ([]byte, error) {
	type plainCluster Cluster
	var observed *time.Time
	if !c.Observed.IsZero() {
		observed = &c.Observed
	}
	return json.Marshal(struct {
		plainCluster
		Observed *time.Time `json:"observed"`
	}{plainCluster(c), observed})
}

// Peer is one directed peer of a Status: emea>apac pulls apac's users to emea.
type Peer struct {
	ID    mesh.PeerID `json:"id"`
	State peer.State  `json:"state"`
	Since time.Time   `json:"since,omitzero"`
	// Cause is the condition, or DataDiffers, that explains the state.
	Cause    string         `json:"cause,omitempty"`
	Overlays []peer.Overlay `json:"overlays"`
	// Changing is the plan that changes it.
	Changing   string           `json:"changing,omitempty"`
	Conditions []peer.Condition `json:"conditions"`
	// Ladder is how far a stuck peer's repair has come.
	Ladder *peer.Ladder `json:"ladder,omitempty"`
	// Asked are the actions that this peer's state asks for, now.
	Asked []Asked `json:"asked,omitempty"`
	// LastAction is what Peerkeeper last did for this peer.
	LastAction *Acted `json:"lastAction,omitempty"`

	sync  peer.SyncRecord
	flips []peer.Flip
}

// Asked is an action that is asked for, and what stands in its way.
type Asked struct {
	ID         string           `json:"id"`
	Action     string           `json:"action"` // "restart Cisco Intercluster Sync Agent on imp-emea-pub.example.com"
	Approval   string           `json:"approval,omitempty"`
	Interrupts string           `json:"interrupts"`
	Collect    []string         `json:"collect,omitempty"`
	Refused    []record.Refusal `json:"refused,omitempty"`
}

// Acted is an action that was taken.
type Acted struct {
	ID      string    `json:"id"`
	Action  string    `json:"action"`
	At      time.Time `json:"at"` // when it was first asked for
	Outcome string    `json:"outcome"`
}

// Status reads the whole mesh as it stands at now.
func (s Source) Status(ctx context.Context, now time.Time) (Status, error) {
	snap, err := s.load(ctx, now, nil)
	if err != nil {
		return Status{}, err
	}
	return snap.status(), nil
}

// Healthy reports whether nothing needs anybody: every peer of the mesh is
// Healthy, nothing stored is unreadable, and no function is overdue. A peer
// gone from mesh.yaml does not count.
func (st Status) Healthy() bool {
	for _, p := range st.Peers {
		if p.State != peer.Healthy && p.State != peer.Terminated {
			return false
		}
	}
	return len(st.Overdue) == 0 && len(st.Unread) == 0
}

// Peer finds a directed peer of the status.
func (st Status) Peer(id mesh.PeerID) (Peer, bool) {
	for _, p := range st.Peers {
		if p.ID == id {
			return p, true
		}
	}
	return Peer{}, false
}

// Matrix is every directed peer's state: rows pull from columns.
type Matrix struct {
	Clusters []mesh.ClusterID `json:"clusters"`
	Cells    [][]*peer.State  `json:"cells"` // null where there is no peer
}

// Matrix arranges the peers of the mesh's clusters.
func (st Status) Matrix() Matrix {
	n := len(st.Clusters)
	m := Matrix{Clusters: make([]mesh.ClusterID, n), Cells: make([][]*peer.State, n)}
	at := make(map[mesh.ClusterID]int, n)
	for i, c := range st.Clusters {
		m.Clusters[i], at[c.ID] = c.ID, i
		m.Cells[i] = make([]*peer.State, n)
	}
	for _, p := range st.Peers {
		row, ok1 := at[p.ID.From]
		col, ok2 := at[p.ID.To]
		if ok1 && ok2 {
			m.Cells[row][col] = &p.State
		}
	}
	return m
}

func (snap *snapshot) status() Status {
	st := Status{
		Mesh: snap.Mesh.Name, AsOf: snap.now.UTC(), Policy: snap.Mesh.Policy.Mode, Simulated: snap.Mesh.Simulated,
		LastRun: map[string]time.Time{}, Overdue: []string{}, Counts: map[peer.State]int{},
		Clusters: make([]Cluster, 0, len(snap.Mesh.Clusters)), Peers: make([]Peer, 0, len(snap.Mesh.Peers)),
		Alarms: snap.alarms, Pushed: snap.pushed, Unread: snap.unread,
	}
	for function, r := range snap.runs {
		if !r.Completed.IsZero() {
			st.LastRun[function] = r.Completed
		}
		if snap.overdue(function, r) {
			st.Overdue = append(st.Overdue, function)
		}
	}
	slices.Sort(st.Overdue)
	st.Plans = snap.plansUnderWay()
	st.Clocks = snap.disagreeing()
	conditions := make(map[mesh.PeerID][]peer.Condition, len(snap.Mesh.Peers))
	for _, decl := range snap.Mesh.Peers {
		p := snap.peerAt(decl.ID)
		st.Peers = append(st.Peers, p)
		conditions[decl.ID] = p.Conditions
	}
	for i := range snap.Mesh.Clusters {
		c := &snap.Mesh.Clusters[i]
		out := snap.cluster(c)
		out.Findings = append(out.Findings, peer.ContradictedFindings(snap.Mesh, c.ID, func(id mesh.PeerID) []peer.Condition { return conditions[id] })...)
		st.Clusters = append(st.Clusters, out)
	}
	st.Findings = snap.failed("")
	for _, id := range snap.gone() {
		st.Peers = append(st.Peers, snap.peerAt(id))
	}
	for _, p := range st.Peers {
		st.Counts[p.State]++
	}
	return st.printable()
}

// MarshalJSON writes the matrix with its cells as states or null; nil slices
// become empty ones.
func (m Matrix) MarshalJSON() ([]byte, error) {
	type plain Matrix
	if m.Clusters == nil {
		m.Clusters, m.Cells = []mesh.ClusterID{}, [][]*peer.State{}
	}
	return json.Marshal(plain(m))
}

// functions lists the functions with a known run, by name.
func (st Status) functions() []string { return slices.Sorted(maps.Keys(st.LastRun)) }
