package peer

import (
	"time"

	"peerkeeper/shared/mesh"
)

// View is everything that is known of one mesh at one instant.
type View struct {
	Now      time.Time
	Tick     time.Duration // peersync's period
	Mesh     *mesh.Mesh
	Clusters map[mesh.ClusterID]*ClusterRecord
	// Buckets by the cluster they were read from. Missing ones are Unknown.
	Buckets map[mesh.ClusterID]Fact[Buckets]
	// CertificateRead is when certcheck last read a certificate over a node's own
	// port: a second witness of whether the node is there.
	CertificateRead map[mesh.ClusterID]map[mesh.NodeName]time.Time
}

// maxAge is how long a fact of peersync's stays usable: two of its periods.
func (v *View) maxAge() time.Duration { return 2 * v.Tick }

func (v *View) record(id mesh.ClusterID) *ClusterRecord {
	if r := v.Clusters[id]; r != nil {
		return r
	}
	return &ClusterRecord{}
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
