package peer

import (
	"maps"
	"time"

	"peerkeeper/shared/mesh"
)

// Leaf is the certificate that a node showed in peersync's last handshake.
type Leaf struct {
	Print string    `json:"p"` // ShortPrint
	First time.Time `json:"first"`
}

// NoteLeaves lays the leaves that handshakes showed now over those noted before,
// of the nodes that mesh.yaml has.
func (r *ClusterRecord) NoteLeaves(c *mesh.Cluster, shown map[mesh.NodeName]string, now time.Time) {
	next := maps.Clone(r.Leaves)
	for _, n := range c.Nodes {
		print := shown[n.Name]
		if print == "" || next[n.Name].Print == print {
			continue
		}
		if next == nil {
			next = map[mesh.NodeName]Leaf{}
		}
		next[n.Name] = Leaf{print, now}
	}
	for name := range next {
		if _, ok := c.Node(name); !ok {
			delete(next, name)
		}
	}
	r.Leaves = next
}
