package certificate

import (
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// reloads proposes a restart of ICSA where a certificate has come into its
// trust store, no matter who put it there, and ICSA has run since before: Cisco's flow asks for
// one then (TAC-212647, steps 2 and 6). Always with approval. It waits until
// every node has the certificate, or the hour that this may take is over, and
// until a sync has had its chance; a sync since then shows that it is not needed.
// Where the certificate is not served yet no sync can show anything: it is read
// before it is served, so that nobody drops.
func (v *View) reloads() []peer.Proposal {
	var out []peer.Proposal
	for _, p := range v.Mesh.Peers {
		if came, ok := v.latestArrival(p.ID, false); ok {
			unread, measured := v.TrustUnread(p.ID, came.at)
			// Without a clock nothing shows that a sync fails. What came while ICSA's
			// own exchange could bring it, that brought it, and ICSA knows it.
			exchange, carried := v.CertExchange(p.ID.From)
			brought := !measured && carried && came.at.Sub(came.first) < exchange
			if unread && !brought && v.AgentOlder(p.ID.From, came.at) && v.exchangeElapsed(p.ID.From, came) {
				out = append(out, v.reload(p.ID, came, "whether it needs to, its next sync shows")...)
			}
		}
		if came, ok := v.latestArrival(p.ID, true); ok && v.AgentOlder(p.ID.From, came.at) {
			out = append(out, v.reload(p.ID, came, "it must have read this one before it is served")...)
		}
	}
	return peer.Merge(out)
}

// reload is one such restart, if the certificate is where it must be by now.
func (v *View) reload(id mesh.PeerID, came arrival, because string) []peer.Proposal {
	if age := v.Now.Sub(came.at); came.spreading && age < peer.ReplicationTime || age > ImportLife {
		return nil
	}
	why := fmt.Sprintf("%s of %s came into the %s of %s at %s, and its Intercluster Sync Agent has run since before", came.service, came.node, peer.TomcatTrust, id.From, plain.Time(came.at))
	return []peer.Proposal{v.Reload(id, came.at, why, "it reads its trust store when it starts, as Cisco's flow has it; "+because)}
}

// Reloading says how it stands with what came into the stores of those that pull
// from a cluster: whether some ICSA that has run since before has yet to show by
// a sync that it has read it, and whether one has had its chance, so that a
// restart is asked for.
func (v *View) Reloading(id mesh.ClusterID) (waits, due bool) {
	for _, p := range v.Mesh.Peers {
		came, ok := v.latestArrival(p.ID, false)
		if !ok || p.ID.To != id || !v.AgentOlder(p.ID.From, came.at) || v.SyncedSince(p.ID, came.at) {
			continue
		}
		waits = true
		due = due || v.exchangeElapsed(p.ID.From, came)
	}
	return waits, due
}

// exchangeElapsed reports whether a sync has been due since an arrival, and every
// node has had the time to get it.
func (v *View) exchangeElapsed(puller mesh.ClusterID, came arrival) bool {
	return v.SyncDue(puller, came.at) && (!came.spreading || v.Now.Sub(came.at) >= peer.ReplicationTime)
}

// arrival is a certificate that came into a store which had lacked it.
type arrival struct {
	at        time.Time
	first     time.Time // since when the certificate is served
	node      mesh.NodeName
	service   string
	spreading bool // some node of the puller does not have it yet
}

// latestArrival is the newest arrival among the certificates that a cluster meets
// when it pulls, or, pending, will meet.
func (v *View) latestArrival(id mesh.PeerID, pending bool) (arrival, bool) {
	to, _ := v.Mesh.Cluster(id.To)
	var out arrival
	matrix := v.Trust()
	for _, r := range matrix.Of(id.To) {
		cell := matrix.Cell(r, id.From)
		if r.Pending != pending || r.Store != peer.TomcatTrust || r.Node != to.Publisher || cell.Verdict != Trusted && cell.Verdict != CATrusted {
			continue
		}
		if cell.Came.After(out.at) {
			out = arrival{cell.Came, r.First, r.Node, r.Service, len(cell.Lacking) > 0}
		}
	}
	return out, !out.at.IsZero()
}

// awaitsReload reports whether a peer is seen to fail over a certificate that
// its store holds by now.
func (v *View) awaitsReload(id mesh.PeerID, came time.Time) bool {
	unread, measured := v.TrustUnread(id, came)
	return !came.IsZero() && unread && measured
}
