package peer

import (
	"peerkeeper/shared/mesh"
)

// Root is the cause that a failing peer is put down to, and the cluster in
// which it lies. Peers with equal roots fail for one reason.
type Root struct {
	Cause   string
	Cluster mesh.ClusterID
}

// RootOf names the root cause of a peer that is not well; ok is false for one
// that is, or of which nothing is known.
func RootOf(v *View, id mesh.PeerID, conditions map[mesh.PeerID][]Condition) (Root, bool) {
	at := func(kind string, c mesh.ClusterID) (Root, bool) {
		return Root{kind + ":" + string(c), c}, true
	}
	for _, t := range Causes() {
		c := find(conditions[id], t)
		if c.Status != False {
			continue
		}
		switch {
		case t == Reachable || t == CertificateTrusted:
			return at(string(t), id.To)
		case t == ServicesRunning || t == NamesResolve:
			return at(string(t), id.From)
		}
		return Root{string(t) + ":" + id.String(), id.From}, true
	}
	if find(conditions[id], Synced).Status == False {
		for _, other := range pullsOf(v.Mesh, id.From) {
			if find(conditions[other], Synced).Status != False {
				return Root{"Synced:" + id.String(), id.From}, true
			}
		}
		return at(ICSA, id.From)
	}
	if find(conditions[id], UsersMatch).Status == False {
		return Root{"UsersMatch:" + id.String(), id.From}, true
	}
	return Root{}, false
}
