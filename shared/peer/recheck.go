package peer

import (
	"slices"
	"time"

	"peerkeeper/shared/mesh"
)

// mendingLife is for how long what is wrong with a certificate is looked at
// more often than otherwise: it is mended within a day, or not now.
const mendingLife = 24 * time.Hour

// ClustersToRecheck lists the clusters whose certificates are worth a look before their
// time, because something is being mended, so that an alarm does not outlive its
// cause by hours: both ends of a peer whose certificate or names are at fault,
// and where a certificate is about to be imported or has just been. A sync that
// is overdue may be so for its certificate, which is to be known before anybody
// thinks of restarting the agent.
func ClustersToRecheck(m *mesh.Mesh, conditions map[mesh.PeerID][]Condition, importing []mesh.ClusterID, now time.Time) []mesh.ClusterID {
	again := map[mesh.ClusterID]bool{}
	for _, id := range importing {
		again[id] = true
	}
	for _, p := range m.Peers {
		for _, t := range []Type{CertificateTrusted, NamesResolve} {
			c := find(conditions[p.ID], t)
			open := c.Status == False || c.Reason == ExchangePending || c.Reason == TrustNotReloaded || c.Reason == NextSyncDecides
			if open && now.Sub(c.Since) < mendingLife {
				again[p.ID.From], again[p.ID.To] = true, true
			}
		}
		if c := find(conditions[p.ID], Synced); c.Reason == Overdue || c.Status == False && now.Sub(c.Since) < mendingLife {
			again[p.ID.From], again[p.ID.To] = true, true
		}
	}
	return slices.DeleteFunc(m.IDs(), func(id mesh.ClusterID) bool { return !again[id] })
}
