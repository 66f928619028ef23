package peer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
)

// Action is something that may be done to a cluster.
type Action string

// The actions.
const (
	StartService   Action = "start"
	RestartService Action = "restart"
	SetParameter   Action = "setParameter"
)

// Target is what an action is done to. Actions are keyed by target, not by
// peer: one restart touches every peer of the agent.
type Target struct {
	Cluster   mesh.ClusterID `json:"cluster"`
	Node      mesh.NodeName  `json:"node"`
	Service   string         `json:"service"`
	Parameter string         `json:"parameter,omitempty"`
}

// String writes the target as a person would say it.
func (t Target) String() string {
	s := fmt.Sprintf("%s on %s", t.Service, t.Node)
	if t.Parameter != "" {
		s = t.Parameter + " of " + s
	}
	return s
}

// Proposal is an action that the judgement asks for. Whether it is taken is
// the gate's business.
type Proposal struct {
	// ID names this very action for this very incident: an approval is bound
	// to it and to nothing else.
	ID     string        `json:"id"`
	Action Action        `json:"action"`
	Target Target        `json:"target"`
	Value  string        `json:"value,omitempty"` // of SetParameter
	Peers  []mesh.PeerID `json:"peers"`           // whose state asks for it
	Since  time.Time     `json:"since"`           // of the incident
	Why    string        `json:"why"`
	// Approval says why a person must agree first; "" means nobody need.
	Approval string `json:"approval,omitempty"`
	// Interrupts is what users and syncs lose while it is done.
	Interrupts string `json:"interrupts"`
	// Collect is what to gather before, for a TAC case.
	Collect []string `json:"collect,omitempty"`
	// MinAge is how long the service must have run: younger, somebody
	// restarted it already.
	MinAge time.Duration `json:"minAge,omitempty"`
}

func proposalID(a Action, t Target, value string, since time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%s|%s|%s|%d", a, t.Cluster, t.Node, t.Service, t.Parameter, value, since.Unix()))
	return hex.EncodeToString(sum[:5])
}

// Rung is a step of the ladder by which a stuck peer is brought back.
type Rung string

// The rungs, in order.
const (
	RungCisco    Rung = "ciscoRecovery" // ICSA's own recovery is awaited, or was seen
	RungForce    Rung = "forceSync"     // a person presses Force Manual Sync: the button has no interface
	RungRestart  Rung = "restartICSA"
	RungWithheld Rung = "withheld" // the data are equal: no restart of ours
	RungHuman    Rung = "human"
)

// Ladder is how far up the ladder a stuck peer is.
type Ladder struct {
	Rung     Rung      `json:"rung"`
	Entered  time.Time `json:"entered"`
	ProveBy  time.Time `json:"proveBy,omitzero"` // by then the rung must have helped
	Until    time.Time `json:"until,omitzero"`   // Cooling: nothing is done before
	Evidence string    `json:"evidence"`
}

// Done is an action that the gate has closed, as Decide needs to know it.
type Done struct {
	Target Target
	Action Action
	At     time.Time
	Proven bool
}

// LadderTimes is what the policy says on how long to wait.
type LadderTimes struct {
	// WaitForPeople is how long a force sync by hand is waited for; 0 skips
	// the rung.
	WaitForPeople time.Duration
}

// minServiceAge is the least up-time below which nobody restarts a service
// again: 2 h, four intervals, or one and a half times the longest full sync.
func minServiceAge(interval, longest time.Duration) time.Duration {
	return max(2*time.Hour, 4*interval, longest+longest/2)
}

// Climb says where a peer stands on the ladder, and what it asks for. It is
// asked for peers in state Stuck only, in mode recover or to tell what recover
// would do; prev is nil at the first look. done are the gate's recent closures.
func Climb(v *View, id mesh.PeerID, conditions []Condition, sync SyncRecord, prev *Ladder, done []Done) (Ladder, *Proposal) {
	l := newLink(v, id, &sync)
	synced, users := find(conditions, Synced), find(conditions, UsersMatch)
	at := func(r Rung, evidence string, args ...any) Ladder {
		next := Ladder{Rung: r, Entered: v.Now, Evidence: fmt.Sprintf(evidence, args...)}
		if prev != nil && prev.Rung == r {
			next.Entered, next.ProveBy, next.Until = prev.Entered, prev.ProveBy, prev.Until
		}
		return next
	}
	target := Target{Cluster: id.From, Node: l.from.Publisher, Service: ICSA}
	clocks := ClocksOf(l.a, l.from, l.entry.LastSync)
	interval, tick := clocks.Interval, v.Tick
	proof := interval + 3*tick

	agent, known := l.a.Seen.Nodes[l.from.Publisher].Services.Fresh(v.Now, v.maxAge()).Get()
	icsa, listed := agent[ICSA]
	if !known || !listed || icsa.UpTime < 0 {
		return at(RungHuman, "the up-time of %s is not known, so no restart could be proven", target), nil
	}
	started := v.Now.Add(-icsa.UpTime)

	// Our own restart, if there was one for this incident.
	for _, d := range done {
		if d.Target != target || d.Action != RestartService || d.At.Before(synced.Since.Add(-tick)) {
			continue
		}
		if v.Now.Sub(d.At) <= proof {
			n := at(RungRestart, "%s was restarted at %s; its next sync must succeed by %s", target, clock(d.At), clock(d.At.Add(proof)))
			n.ProveBy = d.At.Add(proof)
			return n, nil
		}
		return at(RungHuman, "%s was restarted at %s and the sync still stands", target, clock(d.At)), nil
	}

	// Cisco's own recovery: expected at clock A, recognised by the up-time.
	limit, _ := clocks.First()
	due := l.entry.LastSync.Add(clocks.A)
	if l.entry.LastSync.IsZero() {
		due = sync.FirstSeen.Add(clocks.A)
	}
	if auto := l.autoRecovery(); auto != "off" {
		grace := due.Add(2 * tick)
		restarted := started.After(due.Add(limit - clocks.A - 2*tick))
		switch {
		case restarted && v.Now.Sub(started) <= proof:
			n := at(RungCisco, "%s restarted at %s, not by Peerkeeper (by its up-time); its next sync is awaited", target, clock(started))
			n.ProveBy = started.Add(proof)
			return n, nil
		case v.Now.Before(grace):
			n := at(RungCisco, "auto recovery is %s: ICSA should restart itself by %s", auto, clock(grace))
			n.ProveBy = grace
			return n, nil
		}
	}

	if users.Status == True && users.Reason != CatchingUp {
		return at(RungWithheld, "the data are equal (%s), so nothing of ours is restarted for a clock alone", users.Reason), nil
	}
	if wait := v.Mesh.Policy.WaitForPeople.D(); wait > 0 && (prev == nil || prev.Rung == RungCisco || prev.Rung == RungForce) {
		n := at(RungForce, "Presence > Inter-Clustering on %s, peer %s: Force Manual Sync; Peerkeeper waits %v for it", id.From, l.to.Publisher, wait)
		if n.ProveBy.IsZero() {
			n.ProveBy = v.Now.Add(wait)
		}
		if v.Now.Before(n.ProveBy) {
			return n, nil
		}
	}

	minAge := minServiceAge(interval, l.a.LongestSync)
	p := &Proposal{
		Action: RestartService, Target: target, Peers: []mesh.PeerID{id}, Since: synced.Since, MinAge: minAge,
		Why:        fmt.Sprintf("%s is stuck: %s", id, synced.Message),
		Interrupts: fmt.Sprintf("the user syncs of %d peers of %s for about a minute; no sessions, chats or logins", len(pullsOf(v.Mesh, id.From)), id.From),
		Collect:    Evidence(l.from.Publisher),
	}
	p.ID = proposalID(p.Action, p.Target, "", p.Since)
	if why := l.suspectIsPeer(); why != "" && v.Mesh.Policy.RestartForOnePeer != "auto" {
		p.Approval = why
	}
	n := at(RungRestart, "a restart of %s is proposed", target)
	if icsa.UpTime < minAge {
		n.Until = started.Add(minAge)
		n.Evidence = fmt.Sprintf("%s has run since %s, less than %v: whoever restarted it, its chance is not over", target, clock(started), minAge)
	}
	return n, p
}

// Evidence is what TAC asks for, to be gathered on the node's CLI before
// anything is restarted.
func Evidence(node mesh.NodeName) []string {
	return []string{
		"on the CLI of " + string(node) + ": file build log cisco_inter_cluster_sync_agent 1",
		"file build log inter_cluster 1",
		"utils service list",
		"utils imdb_replication status",
		"show cert list trust",
	}
}

// autoRecovery is the parameter on the pulling publisher: "on", "off", or
// "declared on" where it was not read.
func (l *link) autoRecovery() string {
	params, ok := l.a.Seen.Nodes[l.from.Publisher].Parameters.Get()
	switch v := strings.ToLower(params[ParamAutoRecovery]); {
	case ok && (v == "f" || v == "false" || v == "0" || v == "disabled"):
		return "off"
	case ok && v != "":
		return "on"
	case !l.from.AutoRecovery:
		return "off"
	}
	return "declared on"
}

// suspectIsPeer says why a restart of the whole agent needs a person: other
// peers of the same agent advance, or this is the only one and the path
// between the nodes is not measured.
func (l *link) suspectIsPeer() string {
	others, advancing := 0, 0
	for _, other := range pullsOf(l.Mesh, l.id.From) {
		if other == l.id {
			continue
		}
		o := newLink(l.View, other, &SyncRecord{})
		others++
		if o.recent() {
			advancing++
		}
	}
	switch {
	case advancing > 0:
		return fmt.Sprintf("%d of the %d other peers of this ICSA advance, so this peer is the suspect and not the agent", advancing, others)
	case others == 0:
		return "it is the agent's only peer, and the path between the nodes is not measured"
	}
	return ""
}

func pullsOf(m *mesh.Mesh, id mesh.ClusterID) []mesh.PeerID {
	var out []mesh.PeerID
	for _, p := range m.Peers {
		if p.ID.From == id {
			out = append(out, p.ID)
		}
	}
	return out
}

// startable are the services that Peerkeeper may start. Restarts of XCP
// Router, SIP Proxy and SRM belong to peering, which checks more first.
var startable = [...]string{ICSA, SyncAgent, AXL}

// Starts proposes to start what is stopped and must run, once it has been seen
// stopped at two looks.
func Starts(v *View, id mesh.ClusterID) []Proposal {
	r := v.record(id)
	c, ok := v.Mesh.Cluster(id)
	if !ok {
		return nil
	}
	var out []Proposal
	for _, f := range r.Findings {
		if f.Reason != ServiceStopped || !f.Since.Before(r.Seen.At) {
			continue
		}
		for _, name := range startable {
			t := Target{Cluster: id, Node: f.Node, Service: name}
			svc, known := r.Seen.Nodes[f.Node].Services.Fresh(v.Now, v.maxAge()).Get()
			if !known || svc[name].Status != "Stopped" || f.ID != string(ServiceStopped)+":"+string(f.Node)+":"+name {
				continue
			}
			out = append(out, Proposal{
				ID: proposalID(StartService, t, "", f.Since), Action: StartService, Target: t, Since: f.Since, Peers: pullsOf(v.Mesh, c.ID),
				Why: f.Message, Interrupts: "nothing: it is stopped",
			})
		}
	}
	return out
}

// RemoteAXL proposes to restart the Cisco AXL Web Service of a publisher whose
// AXL fails although Control Center says that it runs. Always with approval:
// it serves more than peering.
func RemoteAXL(v *View, id mesh.ClusterID) []Proposal {
	r := v.record(id)
	c, ok := v.Mesh.Cluster(id)
	if !ok || v.Sight(id).Verdict != InSight {
		return nil
	}
	services, known := r.Seen.Nodes[c.Publisher].Services.Fresh(v.Now, v.maxAge()).Get()
	users := r.Seen.Users.Fresh(v.Now, v.maxAge())
	if !known || !services[AXL].Started() || users.Known() {
		return nil
	}
	switch users.Why() {
	case ServiceNotActive, TimedOut, UnreadableAnswer, Stale:
	default:
		return nil
	}
	t := Target{Cluster: id, Node: c.Publisher, Service: AXL}
	return []Proposal{{
		// Once a day at most: the incident's beginning is not recorded.
		ID: proposalID(RestartService, t, "", v.Now.Truncate(24*time.Hour)), Action: RestartService, Target: t, Since: users.At, MinAge: 2 * time.Hour,
		Peers: v.Mesh.PeersOf(id), Why: fmt.Sprintf("AXL on %s fails (%s) although Control Center shows it started", c.Publisher, users.Why()),
		Approval:   "the AXL Web Service serves more than peering",
		Interrupts: "everything that uses AXL on " + string(c.Publisher) + " for about a minute, the peers' syncs included",
		Collect:    []string{"on the CLI of " + string(c.Publisher) + ": file build log deployment_info 1", "utils service list"},
	}}
}

// Merge joins the proposals of one target and action: a restart asked for by
// two peers is one restart. It needs approval only if all who ask for it say so.
func Merge(proposals []Proposal) []Proposal {
	var out []Proposal
	for _, p := range proposals {
		i := slices.IndexFunc(out, func(o Proposal) bool {
			return o.Target == p.Target && o.Action == p.Action && o.Value == p.Value
		})
		if i < 0 {
			p.Peers = slices.Clone(p.Peers)
			out = append(out, p)
			continue
		}
		o := &out[i]
		for _, id := range p.Peers {
			if !slices.Contains(o.Peers, id) {
				o.Peers = append(o.Peers, id)
			}
		}
		if p.Since.Before(o.Since) {
			o.Since, o.ID = p.Since, p.ID
		}
		if p.Approval == "" {
			o.Approval = ""
		}
		o.MinAge = max(o.MinAge, p.MinAge)
		if p.Why != o.Why {
			o.Why += "; " + p.Why
		}
	}
	for i := range out {
		slices.SortFunc(out[i].Peers, func(a, b mesh.PeerID) int { return strings.Compare(a.String(), b.String()) })
	}
	return out
}
