package dashboard

import (
	"cmp"
	"slices"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

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
	if _, pushed := snap.view.PushedSuccess(id); pushed {
		return peer.ClockPushed
	}
	if !snap.Syncs[id].Value.Progress.IsZero() {
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
		case peer.ClockPushed:
			if best != peer.ClockCisco {
				best = peer.ClockPushed
			}
		case peer.ClockProgress:
			if best == peer.ClockNone {
				best = peer.ClockProgress
			}
		}
	}
	return best
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
	if at := snap.view.Pushed[c.ID].Received(); !at.IsZero() {
		out.Pushed = &at
	}
	for _, f := range snap.certs.Findings(c.ID) {
		// Names that do not resolve are said by NamesResolve of each peer.
		if f.Reason != peer.SANNotResolving {
			out.Findings = append(out.Findings, f)
		}
	}
	out.Findings = append(out.Findings, snap.failed(c.ID)...)
	if why := snap.unusableCluster(c.ID); why != "" {
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
