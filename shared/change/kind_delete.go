package change

import (
	"peerkeeper/shared/mesh"
)

// Delete ends a pair: on both sides.
const Delete Kind = "delete"

func remove() kind {
	return kind{
		name: Delete, usage: "A B",
		about: "end the peering of two clusters: both entries, and, before release 14, a restart of each publisher's router",
		title: func(h Head) string { return "end the peering of " + pairTitle(h) },
		build: func(k Known, args []string) (*layout, error) {
			a, b, err := pairOf(k, Delete, args)
			if err != nil {
				return nil, err
			}
			pairs := both(a, b)
			l := &layout{Known: k, clusters: []mesh.ClusterID{a.ID, b.ID}, pairs: pairs}
			if !l.paired(a, b) && !l.listed(pairs[0]) && !l.listed(pairs[1]) && !l.Unread[a.ID] && !l.Unread[b.ID] {
				return nil, usagef("%s is no pair of mesh.yaml, and no entry of it was read", pairs[0])
			}
			// Full mesh cannot say that one pair is not: the pairs are listed before anything.
			first := l.Mesh.Topology == mesh.FullMesh
			if first {
				l.meshLines(Delete, a.ID, pairs[0], "")
			}
			for _, c := range []*mesh.Cluster{a, b} {
				l.add(Step{Op: OpPreflight, Cluster: c.ID})
			}
			l.prepare(a, prepareBackup)
			for _, id := range pairs {
				if err := l.deleteAt(id); err != nil {
					return nil, err
				}
			}
			l.verify(OpVerifyGone, "", pairs...)
			l.verify(OpLeftovers, "", pairs...)
			if !first {
				l.meshLines(Delete, a.ID, pairs[0], "")
			}
			return l, nil
		},
	}
}

// deleteAt is the entry on one cluster's page, and, before release 14, the restart that
// Cisco wants after it. High availability is disabled when the entry is gone, not before.
func (l *layout) deleteAt(id mesh.PeerID) error {
	c, _ := l.Mesh.Cluster(id.From)
	l.onPage(OpDeleteEntry, id, "", "")
	restart, err := l.restartsToDelete(c)
	if restart {
		l.restartRouter(c, 0, c.Publisher)
	}
	return err
}
