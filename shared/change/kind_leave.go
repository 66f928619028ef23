package change

import (
	"fmt"
	"slices"

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
			if restart {
				err = l.cyclesOf(c, peers)
			} else {
				err = l.pairByPair(c, peers)
			}
			if err != nil {
				return nil, err
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
		if l.paired(c, other) || l.listed(id) || l.listed(id.Reverse()) {
			out = append(out, other)
		}
	}
	return out
}

// pairByPair parts a cluster whose own router need not be restarted: nothing of it waits for
// more than one pair.
func (l *layout) pairByPair(c *mesh.Cluster, peers []*mesh.Cluster) error {
	for _, other := range peers {
		if err := l.deleteAt(mesh.PeerID{From: other.ID, To: c.ID}); err != nil {
			return err
		}
		l.onPage(OpDeleteEntry, mesh.PeerID{From: c.ID, To: other.ID}, "", "")
		l.verify(OpVerifyGone, "", both(other, c)...)
	}
	return nil
}

// cyclesOf parts a cluster of before release 14, whose router is restarted for each
// connection that is broken. Its own pages come last, one cycle right after the other, so
// that its high availability is disabled once, for the restarts alone, and neither while
// another cluster is at work nor while copies are waited for; once for each window, where
// one has no room for all. By then no entry of the others is left, which a cluster that
// does not answer any more could hold up.
func (l *layout) cyclesOf(c *mesh.Cluster, peers []*mesh.Cluster) error {
	each := 0
	if len(peers) > 1 {
		each = l.add(Step{Op: OpAskEach, Cluster: c.ID, Value: fmt.Sprint(len(peers))})
	}
	for _, other := range peers {
		if err := l.deleteAt(mesh.PeerID{From: other.ID, To: c.ID}); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(peers, l.cyclesInOneWindow(peers)) {
		disabled := 0
		for i, other := range batch {
			l.onPage(OpDeleteEntry, mesh.PeerID{From: c.ID, To: other.ID}, "", "")
			if i == 0 {
				disabled = l.askHA(c, each)
			}
			l.restart(c, each, c.Publisher, peer.XCPRouter)
		}
		l.enableHA(c, disabled)
	}
	if each > 0 {
		l.restartRouter(c, l.add(Step{Op: OpRouterDue, Cluster: c.ID}), c.Publisher)
	}
	for _, other := range peers {
		l.verify(OpVerifyGone, "", both(other, c)...)
	}
	return nil
}

// cyclesInOneWindow is how many deletions, each with its restart, have room in one window of
// the policy.
func (l *layout) cyclesInOneWindow(peers []*mesh.Cluster) int {
	open := l.window()
	if open == 0 {
		return max(1, len(peers))
	}
	return max(1, int(open/(opOf(OpDeleteEntry).lasts+restartLasts)))
}
