package check

import (
	"slices"
	"time"

	"peerkeeper/shared/ciscocli"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/userset"
)

// Steps of the chapter.
const (
	prerequisites = "prerequisites"
	restrictions  = "restrictions"
)

const tooMany = "too-many-rows"

// UserDuplicate is the check of users who are in the mesh twice: a row of one cluster that may
// be about another, too.
const UserDuplicate = "user-duplicate"

// Facts are what is judged by.
type Facts struct {
	*peer.View
	// Conditions are those of a directed peer as they stand.
	Conditions func(mesh.PeerID) []peer.Condition
	// Setups are what preflight has just read; of a cluster that is not there, nothing.
	Setups map[mesh.ClusterID]Setup
	// Logs are why a cluster's own log could not be read last; "" where it could, or nobody tried.
	Logs map[mesh.ClusterID]string
	// Pasted is what people have pasted of a node's command line and stands, by command.
	Pasted map[mesh.NodeName]map[ciscocli.Command]Paste
	// Done are Peerkeeper's own restarts of late.
	Done []peer.Done
	// Users is what the audit of users found; nil if it could tell nothing.
	Users *userset.Report
	// Newer are the clusters of which a newer version keeps the record: what is checked of them is unknown.
	Newer map[mesh.ClusterID]bool

	linted []mesh.Problem // of Mesh, once asked for
}

// Paste is the output of one command that a person pasted.
type Paste struct {
	Output ciscocli.Output `json:"output"`
	Actor  string          `json:"actor"`
	At     time.Time       `json:"at"`
}

// PasteStands is how long what was pasted counts.
const PasteStands = 24 * time.Hour

// check is one row of the table: of the mesh, of each cluster, of each node or of each directed peer, which is listed
// with the cluster that pulls. A verdict of nil is a check that does not apply.
type check struct {
	id, step string
	// elsewhere says that what fails is a finding or a condition of its own already.
	elsewhere bool
	// info says that what fails is information: it may be lawful for a while, as after a failover, or hurts only in
	// trouble that is not there, as names that need DNS in a split brain.
	info    bool
	mesh    func(*Facts) *verdict
	cluster func(*Facts, *mesh.Cluster) *verdict
	node    func(*Facts, *mesh.Cluster, mesh.Node) *verdict
	peer    func(*Facts, mesh.Peer) *verdict
}

// checks is every check, in the order of the chapter. Another one is a row here.
func checks() []check {
	return []check{
		{id: "topology", step: prerequisites, elsewhere: true, cluster: topology},
		{id: "same-domain", step: prerequisites, elsewhere: true, cluster: sameDomain},
		{id: "same-scheme", step: prerequisites, elsewhere: true, cluster: sameScheme},
		{id: "ports-8443", step: prerequisites, elsewhere: true, node: port8443},
		{id: "ports-7400", step: prerequisites, node: port7400},
		{id: "ports-5060", step: prerequisites, node: port5060},
		{id: "ports-node-to-node", step: prerequisites, node: nodeToNode},
		{id: "ova", step: prerequisites, cluster: ova},
		{id: "edition", step: prerequisites, cluster: edition},
		{id: "sizing", step: prerequisites, mesh: sizing},
		{id: "read-role", step: prerequisites, cluster: readRole},
		{id: "password-age", step: prerequisites, cluster: passwordAge},
		{id: "replication", step: prerequisites, node: replication},
		{id: "ha-state", step: prerequisites, elsewhere: true, node: haState},
		{id: "srm-state", step: prerequisites, info: true, node: srmState},

		{id: UserDuplicate, step: "1", cluster: users("duplicate user IDs and directory URIs", []userset.Trouble{userset.DuplicateUserID, userset.DuplicateDirectoryURI}, ciscocli.DuplicateUserIDs, ciscocli.DuplicateURIs)},
		{id: "user-unassigned", step: "1", cluster: users("users who are assigned to no node", []userset.Trouble{userset.Unassigned})},
		{id: "uri-invalid", step: "1", cluster: users("missing and invalid directory URIs and user IDs", []userset.Trouble{userset.NoDirectoryURI, userset.InvalidDirectoryURI, userset.InvalidUserID}, ciscocli.NoURI, ciscocli.InvalidURIs)},
		{id: "troubleshooter", step: "1", cluster: userTroubleshooter},
		{id: "axl-running", step: "2", elsewhere: true, node: running(peer.AXL)},
		{id: "intercluster-user", step: "2", cluster: interclusterUser},
		{id: "sync-agent-running", step: "3", elsewhere: true, node: publisherRuns(peer.SyncAgent)},
		{id: "sync-agent-completed", step: "3", elsewhere: true, cluster: syncAgentCompleted},
		{id: "peer-address", step: "4", elsewhere: true, peer: peerAddress},
		{id: "peer-both-ends", step: "4", elsewhere: true, peer: bothEnds},
		{id: "protocol-tcp", step: "4", elsewhere: true, peer: protocol},
		{id: "names-survive-split", step: "4", info: true, cluster: namesSurviveSplit},
		{id: "icsa-running", step: "5", elsewhere: true, node: running(peer.ICSA)},
		{id: "certificate-status", step: "6", elsewhere: true, peer: conditionOf(peer.CertificateTrusted)},
		{id: "certificate-errors", step: "6", cluster: certificateErrors},
		{id: "troubleshooter", step: "6", cluster: interClusteringTroubleshooter},
		{id: "certificate-sync", step: "7", node: certificateSync},
		{id: "auto-recovery", step: "8", node: autoRecovery},
		{id: "interval-range", step: "9", node: intervalRange},
		{id: "interval-alike", step: "9", elsewhere: true, cluster: intervalAlike},

		{id: "cluster-limit", step: restrictions, mesh: clusterLimit},
		{id: "sip-proxy-processes", step: restrictions, cluster: sipProxyProcesses},
		{id: "san-resolves", step: restrictions, elsewhere: true, peer: conditionOf(peer.NamesResolve)},
		{id: "release-gap", step: restrictions, mesh: releaseGap},
		{id: "windows", step: restrictions, mesh: windows},
	}
}

// severityOf is how bad it is that a check failed; "" if that is a finding or a condition of its own already. An account
// that is refused is one whatever it was asked for.
func severityOf(id string, why peer.Reason) peer.Severity {
	i := slices.IndexFunc(checks(), func(c check) bool { return c.id == id })
	switch {
	case why == peer.AccountRejected || why == peer.Forbidden || i >= 0 && checks()[i].elsewhere:
		return ""
	case i >= 0 && checks()[i].info:
		return peer.Info
	}
	return peer.Warning
}

// Judge carries out every check on the clusters named, or on all, and gives the rows of each; those of the mesh as a
// whole are under "".
func (f *Facts) Judge(only ...mesh.ClusterID) map[mesh.ClusterID][]Row {
	out := map[mesh.ClusterID][]Row{"": f.lints("")}
	for _, c := range checks() {
		if c.mesh != nil {
			if v := c.mesh(f); v != nil {
				out[""] = append(out[""], v.row(c.id, c.step))
			}
		}
	}
	for i := range f.Mesh.Clusters {
		cl := &f.Mesh.Clusters[i]
		if len(only) > 0 && !slices.Contains(only, cl.ID) {
			continue
		}
		rows := []Row{}
		for _, c := range checks() {
			rows = append(rows, f.about(cl, c)...)
		}
		out[cl.ID] = append(rows, f.lints(cl.ID)...)
	}
	return out
}

// about is one check of one cluster: of itself, of each of its nodes, or of the peers that it pulls.
func (f *Facts) about(cl *mesh.Cluster, c check) []Row {
	var out []Row
	add := func(v *verdict, node mesh.NodeName, id mesh.PeerID) {
		if v == nil {
			return
		}
		if f.Newer[cl.ID] && (v.status == Pass || v.status == Fail || v.status == Unknown) {
			v = unknown(peer.NewerSchema, "run that version here too", "a newer version of Peerkeeper recorded what is known of %s; this one does not judge by it", cl.ID)
		}
		r := v.row(c.id, c.step)
		r.Cluster, r.Node, r.Peer = cl.ID, node, id
		out = append(out, r)
	}
	switch {
	case c.cluster != nil:
		add(c.cluster(f, cl), "", mesh.PeerID{})
	case c.node != nil:
		for _, n := range cl.Nodes {
			add(c.node(f, cl, n), n.Name, mesh.PeerID{})
		}
	case c.peer != nil:
		var passed []mesh.ClusterID
		var last *verdict
		for _, p := range f.Mesh.Peers {
			if p.ID.From != cl.ID {
				continue
			}
			v := c.peer(f, p)
			if plan := f.Changing[p.ID]; v != nil && plan != "" {
				v = unknown(Changing, "", "plan %s changes %s (`peerkeeper peering show %s`)", plan, p.ID, plan)
			}
			if v != nil && v.status == Pass {
				passed, last = append(passed, p.ID.To), v
			} else {
				add(v, "", p.ID)
			}
		}
		if len(passed) == 1 {
			add(last, "", mesh.PeerID{})
		} else if len(passed) > 1 {
			add(together(last, passed), "", mesh.PeerID{})
		}
	}
	return out
}
