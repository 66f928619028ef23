// Package dashboard shows a mesh to people: the read model behind status,
// matrix and explain, its rendering as text, and the page.
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
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

// ErrNoSuchPeer says that mesh.yaml names no such directed peer and the store
// remembers none.
var ErrNoSuchPeer = errors.New("no such peer in this mesh")

// Reader is what the dashboard asks of a store: it has no way to write.
type Reader interface {
	Load(ctx context.Context, pk, prefix string) ([]store.Item, error)
}

// Source is where a mesh's status comes from.
type Source struct {
	Store Reader
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
	Overdue  []string           `json:"overdue"`
	Clusters []Cluster          `json:"clusters"`
	Peers    []Peer             `json:"peers"`
	Alarms   []alarm.Notice     `json:"alarms"`
	Counts   map[peer.State]int `json:"counts"`
	// Clocks says which clock disagrees with the clock of the machine that asks, and what
	// to do; empty if none does.
	Clocks []string `json:"clocks,omitempty"`
	// Unread are the stored items that could not be read, or not safely.
	Unread []Unread `json:"unread,omitempty"`
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
	Clock    peer.ClockSource `json:"clock"`
	Findings []peer.Finding   `json:"findings"`
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

// nodes are what was read of each node of a cluster.
func (snap *snapshot) nodes(c *mesh.Cluster) []Node {
	rec := snap.view.Clusters[c.ID]
	if rec == nil {
		rec = &peer.ClusterRecord{}
	}
	out := make([]Node, 0, len(c.Nodes))
	for _, n := range c.Nodes {
		seen := rec.Seen.Nodes[n.Name]
		node := Node{Name: n.Name, HA: cmp.Or(string(rec.HA(c, n.Name)), "unknown")}
		node.Release, _ = seen.Version.Get()
		if state, ok := seen.HAState.Fresh(snap.now, 2*snap.Tick).Get(); ok {
			node.HAState = &state
		}
		out = append(out, node)
	}
	return out
}

// clockOf is where the clock of one directed peer comes from.
func (snap *snapshot) clockOf(id mesh.PeerID) peer.ClockSource {
	if c := snap.view.Clock(id); c.Readable() {
		return c.Source
	}
	if s := snap.peers[id]; s != nil && !s.sync.Progress.IsZero() {
		return peer.ClockProgress
	}
	return peer.ClockNone
}

// clockOfCluster is the best source among the peers that the cluster pulls.
func (snap *snapshot) clockOfCluster(id mesh.ClusterID) peer.ClockSource {
	best := peer.ClockNone
	for _, p := range snap.Mesh.Peers {
		if p.ID.From != id {
			continue
		}
		switch snap.clockOf(p.ID) {
		case peer.ClockDialect:
			return peer.ClockDialect
		case peer.ClockCisco:
			best = peer.ClockCisco
		case peer.ClockProgress:
			if best == peer.ClockNone {
				best = peer.ClockProgress
			}
		}
	}
	return best
}

// Peer is one directed peer of a Status: emea>apac pulls apac's users to emea.
type Peer struct {
	ID    mesh.PeerID `json:"id"`
	State peer.State  `json:"state"`
	Since time.Time   `json:"since,omitzero"`
	// Cause is the condition, or DataDiffers, that explains the state.
	Cause      string           `json:"cause,omitempty"`
	Overlays   []peer.Overlay   `json:"overlays"`
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

// Unread is a stored item that is not taken into account, and why.
type Unread struct {
	Item    string      `json:"item"` // its sort key
	Reason  peer.Reason `json:"reason"`
	Message string      `json:"message"`
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

// stored is what the store holds of one directed peer.
type stored struct {
	sync           peer.SyncRecord
	cert           peer.CertRecord
	state          peer.StateRecord
	judged         bool        // there is a state
	noSync, noCert peer.Reason // why the record cannot be used; "" if it can
	noState        peer.Reason
}

// snapshot is one Load, decoded.
type snapshot struct {
	Source
	now    time.Time
	view   *peer.View
	newer  map[mesh.ClusterID]peer.Reason // CLUSTER items that cannot be used
	certs  *certificate.View
	peers  map[mesh.PeerID]*stored
	runs   map[string]store.Run
	alarms []alarm.Notice
	asked  []*record.Proposed
	unread []Unread
	// declared are the peers of mesh.yaml.
	declared map[mesh.PeerID]bool

	known map[string]decoded // what an earlier load decoded
	items map[string]decoded // what this one did
}

// decoded is an item's body with what it decodes to. A page that is asked
// every few seconds meets the same bodies again and again.
type decoded struct {
	body   []byte
	sum    [sha256.Size]byte
	value  any // *T, not to be changed; nil if it cannot be used
	unread Unread
}

// load reads the store once. What known holds is not decoded again.
func (s Source) load(ctx context.Context, now time.Time, known map[string]decoded) (*snapshot, error) {
	if s.Tick == 0 {
		sched, _ := run.Find("peersync")
		s.Tick = sched.Period
	}
	items, err := s.Store.Load(ctx, store.Live(s.Mesh.Name), "")
	if err != nil {
		return nil, fmt.Errorf("reading the store of mesh %s: %w", s.Mesh.Name, err)
	}
	snap := &snapshot{
		Source: s, now: now, known: known, items: make(map[string]decoded, len(items)),
		declared: make(map[mesh.PeerID]bool, len(s.Mesh.Peers)),
		newer:    map[mesh.ClusterID]peer.Reason{},
		peers:    map[mesh.PeerID]*stored{},
		runs:     map[string]store.Run{}, alarms: []alarm.Notice{},
	}
	facts := peer.Facts{Now: now, Tick: s.Tick, Mesh: s.Mesh, Clusters: map[mesh.ClusterID]*peer.ClusterRecord{}, Logs: map[mesh.ClusterID]peer.LogRecord{}}
	certs := map[mesh.ClusterID]certificate.Record{}
	for _, p := range s.Mesh.Peers {
		snap.declared[p.ID] = true
	}
	for _, it := range items {
		kind, rest, _ := strings.Cut(it.SK, "#")
		switch kind + "#" {
		case store.PrefixCluster:
			id := mesh.ClusterID(rest)
			if rec, why := decode[peer.ClusterRecord](snap, it, record.ClusterSchema); why == "" {
				facts.Clusters[id] = rec
			} else {
				snap.newer[id] = why
			}
		case store.PrefixLog:
			if rec, why := decode[peer.LogRecord](snap, it, record.LogSchema); why == "" {
				facts.Logs[mesh.ClusterID(rest)] = *rec
			}
		case store.PrefixCert:
			if rec, why := decode[certificate.Record](snap, it, record.CertSchema); why == "" {
				certs[mesh.ClusterID(rest)] = rec.Unpacked()
			}
		case store.PrefixPeer:
			snap.peer(it)
		case store.PrefixRun:
			if rec, why := decode[store.Run](snap, it, record.RunSchema); why == "" {
				snap.runs[rest] = *rec
			}
		case store.PrefixProposal:
			if p, why := decode[record.Proposed](snap, it, record.ProposedSchema); why == "" {
				snap.asked = append(snap.asked, p)
			}
		case store.PrefixAlarm:
			// Cleared alarms are kept for a while; what is shown stands.
			if a, why := decode[alarm.Item](snap, it, alarm.Schema); why == "" && a.Active() {
				snap.alarms = append(snap.alarms, a.Notice)
			}
		}
	}
	snap.view = facts.View()
	snap.certs = certificate.NewView(snap.view, certs)
	for id, p := range snap.peers {
		a, from := snap.certs.Records[id.From]
		b, to := snap.certs.Records[id.To]
		if from && to {
			p.cert.Observed = a.At
			if b.At.Before(a.At) {
				p.cert.Observed = b.At
			}
		}
	}
	slices.SortStableFunc(snap.alarms, func(a, b alarm.Notice) int {
		return cmp.Or(a.Severity.Rank()-b.Severity.Rank(), a.Since.Compare(b.Since), strings.Compare(a.Fingerprint, b.Fingerprint))
	})
	return snap, nil
}

// decode reads an item that this version may rely on. Otherwise it notes the
// item as unread and says why: NewerSchema or UnreadableAnswer.
func decode[T any](snap *snapshot, it store.Item, schema int) (*T, peer.Reason) {
	d, ok := snap.known[it.SK]
	if !ok || !bytes.Equal(d.body, it.Body) {
		d = decoded{body: it.Body, sum: sha256.Sum256(it.Body)}
		doc, err := store.Decode[T](it, schema)
		switch {
		case errors.Is(err, store.ErrNewerSchema), err == nil && doc.Newer:
			d.unread = Unread{it.SK, peer.NewerSchema, "written by a newer version of Peerkeeper; not judged by this one"}
		case err != nil:
			d.unread = Unread{it.SK, peer.UnreadableAnswer, err.Error()}
		default:
			d.value = &doc.Value
		}
	}
	snap.items[it.SK] = d
	value, ok := d.value.(*T)
	if !ok {
		snap.unread = append(snap.unread, d.unread)
		return nil, d.unread.Reason
	}
	return value, ""
}

func (snap *snapshot) peer(it store.Item) {
	id, part, err := store.ParsePeer(it.SK)
	if err != nil {
		snap.unread = append(snap.unread, Unread{it.SK, peer.UnreadableAnswer, err.Error()})
		return
	}
	p := snap.peers[id]
	if p == nil {
		p = &stored{}
		snap.peers[id] = p
	}
	switch part {
	case store.PartSync:
		rec, why := decode[peer.SyncRecord](snap, it, record.SyncSchema)
		if p.noSync = why; why == "" {
			p.sync = *rec
		}
	case store.PartCert:
		rec, why := decode[peer.CertRecord](snap, it, record.CertSchema)
		if p.noCert = why; why == "" {
			p.cert = *rec
		}
	case store.PartStuck:
		rec, why := decode[peer.StateRecord](snap, it, record.StateSchema)
		if p.noState = why; why == "" {
			p.state, p.judged = *rec, true
		}
	}
}

func (snap *snapshot) status() Status {
	st := Status{
		Mesh: snap.Mesh.Name, AsOf: snap.now.UTC(), Policy: snap.Mesh.Policy.Mode, Simulated: snap.Mesh.Simulated,
		LastRun: map[string]time.Time{}, Overdue: []string{}, Counts: map[peer.State]int{},
		Clusters: make([]Cluster, 0, len(snap.Mesh.Clusters)), Peers: make([]Peer, 0, len(snap.Mesh.Peers)),
		Alarms: snap.alarms, Unread: snap.unread,
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
	for _, id := range snap.gone() {
		st.Peers = append(st.Peers, snap.peerAt(id))
	}
	for _, p := range st.Peers {
		st.Counts[p.State]++
	}
	return st.printable()
}

// overdue reports whether a scheduled function has not completed for two of
// its periods. One that never began is not overdue: nobody runs it here.
func (snap *snapshot) overdue(function string, r store.Run) bool {
	sched, ok := run.Find(function)
	if !ok {
		return false
	}
	period := sched.Period
	if normal, _ := run.Find("peersync"); period == normal.Period {
		period = snap.Tick
	}
	_, overdue := run.Overdue(snap.runs, function, period, snap.now)
	return overdue
}

func (snap *snapshot) cluster(c *mesh.Cluster) Cluster {
	out := Cluster{ID: c.ID, Release: c.Release, Basis: peer.Declared, TimeZone: c.TimeZone, Findings: []peer.Finding{}, Nodes: snap.nodes(c), Clock: snap.clockOfCluster(c.ID)}
	if rec := snap.view.Clusters[c.ID]; rec != nil {
		out.Observed = rec.Seen.LastRead()
		if v, ok := rec.Seen.Nodes[c.Publisher].Version.Get(); ok {
			out.Release, out.Basis = v, peer.Measured
		}
		if n, ok := rec.UsersOf(c).Get(); ok {
			out.Users = &n
		}
		out.Findings = append(out.Findings, rec.Findings...)
	}
	for _, f := range snap.certs.Findings(c.ID) {
		// Names that do not resolve are said by NamesResolve of each peer.
		if f.Reason != peer.SANNotResolving {
			out.Findings = append(out.Findings, f)
		}
	}
	if why := snap.newer[c.ID]; why != "" {
		out.Findings = append(out.Findings, peer.Finding{
			ID: peer.IDOf(why), Severity: peer.Warning, Reason: why,
			Message: "what was last seen of this cluster cannot be used: " + explainUnusable(why),
		})
	}
	slices.SortStableFunc(out.Findings, func(a, b peer.Finding) int { return a.Severity.Rank() - b.Severity.Rank() })
	return out
}

func explainUnusable(why peer.Reason) string {
	if why == peer.NewerSchema {
		return "a newer version of Peerkeeper wrote it"
	}
	return "the stored item does not decode"
}

// goneFor is how long a peer that left mesh.yaml is still shown: as long as
// its ring of changes goes back.
const goneFor = 24 * time.Hour

// gone lists the peers that the store remembers and mesh.yaml does not name.
func (snap *snapshot) gone() []mesh.PeerID {
	var out []mesh.PeerID
	for id, p := range snap.peers {
		if snap.declared[id] || (p.judged && p.state.State == peer.Terminated && snap.now.Sub(p.state.Since) > goneFor) {
			continue
		}
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b mesh.PeerID) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// peerAt is one directed peer as people see it at now.
func (snap *snapshot) peerAt(id mesh.PeerID) Peer {
	s := snap.peers[id]
	if s == nil {
		s = &stored{}
	}
	out := Peer{ID: id, Overlays: []peer.Overlay{}, sync: s.sync}
	if !snap.declared[id] {
		out.State, out.Since, out.Conditions = peer.Terminated, s.state.Since, []peer.Condition{}
		out.flips = s.state.Flips
		return out
	}
	out.Conditions = peer.Conditions(snap.view, id, s.sync, s.cert)
	for i := range out.Conditions {
		c := &out.Conditions[i]
		why := s.noSync
		switch c.Type {
		case peer.CertificateTrusted, peer.NamesResolve:
			why = s.noCert
		default:
			// The age of these is told by the pulling cluster's item.
			if why == "" {
				why = snap.newer[id.From]
			}
		}
		if why != "" {
			*c = peer.Condition{Type: c.Type, Status: peer.UnknownStatus, Reason: why, Basis: peer.Measured, Message: explainUnusable(why)}
		}
	}
	out.flips = s.state.Flips
	out.Overlays = append(out.Overlays, s.state.Overlays...)
	out.State, out.Cause, out.Since = snap.state(s, out.Conditions)
	switch out.State {
	case peer.Stuck, peer.Recovering, peer.Cooling, peer.NeedsHuman:
		out.Ladder = s.state.Ladder
	}
	out.Asked, out.LastAction = snap.actions(id)
	return out
}

// actions are what a peer asks for now, and what was last done for it.
func (snap *snapshot) actions(id mesh.PeerID) (asked []Asked, last *Acted) {
	for _, p := range snap.asked {
		if !slices.Contains(p.Proposal.Peers, id) {
			continue
		}
		what := repair.Summary(p.Proposal)
		// What was tried and is asked for again waits for a person once more.
		again := slices.ContainsFunc(p.Refused, func(r record.Refusal) bool { return r.Guard == repair.GuardApproval })
		if p.Ended.IsZero() && (p.Outcome == "" || again) {
			asked = append(asked, Asked{p.Proposal.ID, what, p.Proposal.Approval, p.Proposal.Interrupts, p.Proposal.Collect, p.Refused})
		}
		if p.Outcome != "" && (last == nil || p.First.After(last.At)) {
			last = &Acted{p.Proposal.ID, what, p.First, p.Outcome}
		}
	}
	slices.SortFunc(asked, func(a, b Asked) int { return strings.Compare(a.ID, b.ID) })
	return asked, last
}

// state is the stored state, unless what is known now says less: a state that
// rests on facts grown too old, or that calls a peer healthy which no longer
// is, is not repeated. Good news, and the ladder's states, stay stucksync's to
// tell.
func (snap *snapshot) state(s *stored, conditions []peer.Condition) (peer.State, string, time.Time) {
	switch {
	case s.noState != "":
		return peer.StateUnknown, string(s.noState), time.Time{}
	case !s.judged:
		return peer.StateUnknown, string(peer.NotChecked), time.Time{}
	}
	is, cause, since := s.state.State, s.state.Cause, s.state.Since
	now, why := peer.StateOf(conditions, s.sync)
	known := false
	switch is {
	case peer.Recovering, peer.Cooling, peer.NeedsHuman:
		return is, cause, since
	case peer.Healthy:
		known = now == peer.Healthy
	case peer.Terminated: // named again in mesh.yaml, not judged since
		now, why = peer.StateUnknown, string(peer.NotChecked)
	case peer.Suspect, peer.Degraded, peer.Stuck, peer.StateUnknown:
		known = now != peer.StateUnknown || is == peer.StateUnknown
	default:
		// A state that this version has no word for.
		return peer.StateUnknown, string(peer.NewerSchema), since
	}
	if known {
		return is, cause, since
	}
	for _, c := range conditions {
		if string(c.Type) == why || (why == peer.DataDiffers && c.Type == peer.UsersMatch) {
			since = c.Since
		}
	}
	return now, why, since
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
