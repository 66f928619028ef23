package peer

import (
	"strings"

	"peerkeeper/shared/mesh"
)

// Root is the cause that a failing peer is put down to, and the cluster in
// which it lies. Peers with equal roots fail for one reason.
type Root struct {
	Cause   string
	Cluster mesh.ClusterID
}

// Of reports whether the cause is the falsehood of a condition.
func (r Root) Of(t Type) bool {
	kind, _, _ := strings.Cut(r.Cause, ":")
	return kind == string(t)
}

// RootOf names the root cause of a peer that is not well; ok is false for one
// that is, or of which nothing is known.
//
// What several clusters suffer from towards one and the same other is put down
// to that one: a stopped AXL, a password changed or an expired certificate in
// one cluster is one cause, not twenty-nine.
func RootOf(v *View, id mesh.PeerID, conditions map[mesh.PeerID][]Condition) (Root, bool) {
	at := func(kind string, c mesh.ClusterID) (Root, bool) {
		return Root{kind + ":" + string(c), c}, true
	}
	// shared puts it down to the remote end if another puller fails alike, and
	// to this one alone otherwise.
	shared := func(t Type) (Root, bool) {
		for _, l := range v.end(id.To).pulledBy {
			if l.id != id && find(conditions[l.id], t).Status == False {
				return at(string(t), id.To)
			}
		}
		return Root{string(t) + ":" + id.String(), id.From}, true
	}
	for _, t := range Causes() {
		c := find(conditions[id], t)
		if c.Status != False {
			continue
		}
		switch t {
		case Reachable, CertificateTrusted:
			return at(string(t), id.To)
		case ServicesRunning:
			if v.stopped(id.From, false) || !v.stopped(id.To, true) {
				return at(string(t), id.From)
			}
			return at(string(t), id.To)
		}
		return shared(t)
	}
	if find(conditions[id], Synced).Status == False {
		for _, other := range v.end(id.From).pulls {
			if find(conditions[other.id], Synced).Status != False {
				return shared(Synced)
			}
		}
		return at(ICSA, id.From)
	}
	if find(conditions[id], UsersMatch).Status == False {
		return shared(UsersMatch)
	}
	return Root{}, false
}

// stopped reports whether a service does not run that the cluster needs at its
// own end (remote false), or that those who pull from it need there.
func (v *View) stopped(id mesh.ClusterID, remote bool) bool {
	c, ok := v.Mesh.Cluster(id)
	if !ok {
		return false
	}
	for _, n := range requiredServices {
		if n.remote != remote {
			continue
		}
		for _, node := range c.Nodes {
			if !n.all && node.Name != c.Publisher {
				continue
			}
			got, known := v.record(id).Seen.Nodes[node.Name].Services.Fresh(v.Now, v.maxAge()).Get()
			if svc, listed := got[n.service]; known && listed && svc.Status != "Unknown" && !svc.Started() {
				return true
			}
		}
	}
	return false
}
