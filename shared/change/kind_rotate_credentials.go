package change

import (
	"peerkeeper/shared/mesh"
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
			for _, other := range l.byUsers(l.peersOf(c)) {
				l.clusters, l.pairs = append(l.clusters, other.ID), append(l.pairs, mesh.PeerID{From: other.ID, To: c.ID})
			}
			if len(l.pairs) == 0 {
				return nil, usagef("no cluster of mesh.yaml pulls users from %s: no entry holds its password", c.ID)
			}
			l.checks(c)
			l.prepare(c, preparePassword, prepareTryOnce)
			// All entries before any is waited for: until its own is changed, each cluster
			// keeps trying the old password.
			for _, id := range l.pairs {
				l.onPage(OpEnterCredentials, id, "", "")
			}
			l.verify(OpVerifyPair, byCredentials, l.pairs...)
			return l, nil
		},
	}
}
