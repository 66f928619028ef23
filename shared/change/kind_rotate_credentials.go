package change

import (
	"fmt"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// RotateCredentials gives every entry for a cluster the new password of its account.
const RotateCredentials Kind = "rotate-credentials"

// byCredentials is what is verified after it: a sync by the new password, and no older one.
const byCredentials = "credentials"

func rotateCredentials() kind {
	return kind{
		name: RotateCredentials, usage: "CLUSTER",
		about: "the intercluster account of a cluster gets a new password: every other cluster's entry for it, one by one",
		title: func(h Head) string {
			return "enter a new password of " + joined(h.Args) + "'s intercluster account in every entry for it"
		},
		build: func(k Known, args []string) (*layout, error) {
			c, err := clusterOf(k, RotateCredentials, args)
			if err != nil {
				return nil, err
			}
			l := &layout{Known: k, clusters: []mesh.ClusterID{c.ID}}
			for _, other := range l.byUsers(l.holders(c)) {
				l.clusters, l.pairs = append(l.clusters, other.ID), append(l.pairs, mesh.PeerID{From: other.ID, To: c.ID})
			}
			if len(l.pairs) == 0 {
				return nil, usagef("no cluster of mesh.yaml pulls users from %s: no entry holds its password", c.ID)
			}
			l.checks(c)
			l.add(Step{Op: OpPrepare, Cluster: c.ID, Purpose: preparePassword, Value: l.unread(c)})
			l.prepare(c, prepareTryOnce)
			// All entries before any is waited for: until its own is changed, each cluster
			// keeps trying the old password.
			for _, id := range l.pairs {
				if _, there := l.Entries[id]; there || l.Aliases[id] == "" {
					l.onPage(OpEnterCredentials, id, "", "")
				}
				if alias := l.Aliases[id]; alias != "" {
					l.onPage(OpEnterCredentials, id, "", alias)
				}
			}
			if strangers := l.strangers(c); strangers != "" {
				l.add(Step{Op: OpPrepare, Cluster: c.ID, Purpose: prepareStrangers, Value: strangers})
			}
			l.verify(OpVerifyPair, byCredentials, l.pairs...)
			return l, nil
		},
	}
}

// holders are the clusters that have an entry for one, by mesh.yaml or as it was read: one
// that is forgotten goes on trying the old password, and nobody watches it.
func (l *layout) holders(c *mesh.Cluster) []*mesh.Cluster {
	var out []*mesh.Cluster
	for i := range l.Mesh.Clusters {
		if other := &l.Mesh.Clusters[i]; l.paired(other, c) || l.listed(mesh.PeerID{From: other.ID, To: c.ID}) {
			out = append(out, other)
		}
	}
	return out
}

// unread names the clusters that may have more entries for one, because their peer tables
// have not been read.
func (l *layout) unread(c *mesh.Cluster) string {
	var out []string
	for _, other := range l.Mesh.Clusters {
		if other.ID != c.ID && l.Unread[other.ID] {
			out = append(out, string(other.ID))
		}
	}
	return plain.List(out)
}

// strangers are the entries that were read of which mesh.yaml does not tell whose they are:
// another cluster's may be for this one, and whom this one's own name may have one back.
func (l *layout) strangers(c *mesh.Cluster) string {
	var out []string
	for _, other := range l.Mesh.Clusters {
		if all := l.Strangers[other.ID]; len(all) > 0 {
			out = append(out, fmt.Sprintf("%s has an entry for %s", other.ID, plain.Values(all)))
		}
	}
	return plain.FirstBy(10, out, "; ")
}
