package change

import (
	"fmt"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// Leave takes a cluster out of the mesh: every pair of it, on both sides.
const Leave Kind = "leave"

func leave() kind {
	return kind{
		name: Leave, usage: "CLUSTER",
		about: "take a cluster out of the mesh: every pair on both sides, and what it leaves behind",
		title: func(h Head) string { return "take " + joined(h.Args) + " out of the mesh" },
		build: func(k Known, args []string) (*layout, error) {
			c, err := clusterOf(k, Leave, args)
			if err != nil {
				return nil, err
			}
			l := &layout{Known: k, clusters: []mesh.ClusterID{c.ID}}
			peers := l.linkedTo(c)
			for _, other := range peers {
				l.clusters = append(l.clusters, other.ID)
				l.pairs = append(l.pairs, both(other, c)...)
			}
			restart, err := l.restartsToDelete(c)
			if err != nil {
				return nil, err
			}
			for _, other := range append([]*mesh.Cluster{c}, peers...) {
				l.add(Step{Op: OpPreflight, Cluster: other.ID})
			}
			l.prepare(c, prepareBackup)
			each, disabled := 0, 0
			if restart && len(peers) > 1 {
				each = l.add(Step{Op: OpAskEach, Cluster: c.ID, Value: fmt.Sprint(len(peers))})
			}
			if restart && len(peers) > 0 {
				disabled = l.askHA(c, each)
			}
			for _, other := range peers {
				if err := l.parted(other, c, each, restart); err != nil {
					return nil, err
				}
			}
			if disabled > 0 {
				l.enableHA(c, disabled)
			}
			if each > 0 {
				l.restartRouter(c, l.add(Step{Op: OpRouterDue, Cluster: c.ID}), c.Publisher)
			}
			for _, other := range peers {
				l.verify(OpLeftovers, "", both(other, c)[:1]...)
			}
			l.meshLines(Leave, c.ID, mesh.PeerID{}, "")
			return l, nil
		},
	}
}

// linkedTo are the clusters with which one is a pair in mesh.yaml, or has an entry on either
// side that mesh.yaml does not tell of: when it has left, nobody would look for that.
func (l *layout) linkedTo(c *mesh.Cluster) []*mesh.Cluster {
	var out []*mesh.Cluster
	for i := range l.Mesh.Clusters {
		other := &l.Mesh.Clusters[i]
		id := mesh.PeerID{From: c.ID, To: other.ID}
		_, there := l.Entries[id]
		_, back := l.Entries[id.Reverse()]
		if l.paired(c, other) || there || back {
			out = append(out, other)
		}
	}
	return out
}

// parted ends one pair of a cluster that leaves.
func (l *layout) parted(other, c *mesh.Cluster, each int, restart bool) error {
	pairs := both(other, c)
	l.onPage(OpDeleteEntry, pairs[0], "", "")
	theirs, err := l.restartsToDelete(other)
	if err != nil {
		return err
	}
	if theirs {
		l.restartRouter(other, 0, other.Publisher)
	}
	l.onPage(OpDeleteEntry, pairs[1], "", "")
	if restart {
		l.restart(c, each, c.Publisher, peer.XCPRouter)
	}
	l.verify(OpVerifyGone, "", pairs...)
	return nil
}
