package certcheck

import (
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
)

// sayChanges says of each replaced certificate by what it was replaced, anew at
// every look while the change is shown: the cluster's own list of nodes, which
// tells a renamed node from another cluster, can only be read after it.
func (c *Certcheck) explainChanges(cl *mesh.Cluster, r *certificate.Record, book *record.Snapshot, now time.Time) {
	topology := book.Clusters[cl.ID].Value.Seen.Topology
	for _, places := range []map[mesh.NodeName]map[string]certificate.Served{r.Served, r.Ports} {
		for _, byPlace := range places {
			for place, s := range byPlace {
				switch {
				case s.Former == nil:
					continue
				case now.Sub(s.First) >= changeShown:
					s.Former = nil
				default:
					change := certificate.ChangeOf(c.Mesh, cl, s, keyTypeAt(place), topology)
					s.Cause, s.Change = change.Cause, change.String()
				}
				byPlace[place] = s
			}
		}
	}
}
