package certificate

import (
	"cmp"
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// CertificateTrusted judges by the stores whether the certificates that a cluster
// meets at a peer are trusted; ok is false where the stores do not decide it, and a
// sync over them has to.
//
// What a store lacks may still be believed: then syncs go on until ICSA starts again.
// Which it is, the next sync shows. What a store holds by now ICSA may not have read:
// that is no cause any more, so that the ladder may do what helps, and restart it.
func (v *View) CertificateTrusted(id mesh.PeerID) (cond peer.Condition, ok bool) {
	cond, ok = v.byStores(id)
	if !ok {
		return cond, false
	}
	switch came, arrived := v.latestArrival(id, false); {
	case cond.Status == peer.False && v.Works(id) && v.SyncedSince(id, v.Trust().missingSince(id)):
		cond.Status, cond.Reason, cond.Basis = peer.True, peer.SyncedOverServedLeaf, peer.Inferred
		cond.Message += "; a sync has succeeded all the same: the Intercluster Sync Agent goes by what it read when it started, or is served another certificate than Peerkeeper"
	case cond.Status == peer.False && v.Works(id):
		cond.Status, cond.Reason, cond.Basis = peer.UnknownStatus, peer.NextSyncDecides, peer.Inferred
		cond.Message += "; whether a sync succeeds all the same, the next one shows"
	case cond.Status == peer.True && arrived && v.awaitsReload(id, came.at):
		cond.Reason, cond.Basis = peer.TrustNotReloaded, peer.Inferred
		cond.Message = fmt.Sprintf("%s of %s came into %s's trust store at %s; no sync has succeeded since: the Intercluster Sync Agent reads it when it starts", came.service, came.node, id.From, plain.Time(came.at))
	}
	return cond, true
}

// byStores is what one cluster's stores say of the certificates that it
// meets at a peer: of tomcat those of the publisher, by which it pulls, and
// under TLS those of every node's SIP and XMPP. ok is false when the stores do
// not decide it.
func (v *View) byStores(id mesh.PeerID) (cond peer.Condition, ok bool) {
	to, _ := v.Mesh.Cluster(id.To)
	cond = peer.Condition{Type: peer.CertificateTrusted, Basis: peer.Measured}
	var missing, stale, pending, unvouched, ca, direct []string
	unknown := false
	matrix := v.Trust()
	exchange, _ := v.CertExchange(id.From) // 0: nothing is on its way
	for _, r := range matrix.Of(id.To) {
		if r.Pending || r.Store == peer.TomcatTrust && r.Node != to.Publisher {
			continue
		}
		cell := matrix.Cell(r, id.From)
		what := fmt.Sprintf("%s of %s", r.Service, r.Node)
		switch cell.Verdict {
		case "":
		case Unknown:
			unknown = true
		case Trusted:
			direct = append(direct, what)
		case CATrusted:
			ca = append(ca, what)
		default:
			switch {
			case v.Now.Sub(r.First) < exchange && r.Unvouched:
				unvouched = append(unvouched, what)
			case v.Now.Sub(r.First) < exchange:
				pending = append(pending, what)
			case cell.Verdict == StaleCopy:
				stale = append(stale, what+" ("+r.Store+" holds an older "+plain.Value(cmp.Or(cell.Entry, "copy"))+")")
			default:
				missing = append(missing, what+" ("+r.Store+")")
			}
		}
	}
	switch {
	case len(missing) > 0:
		cond.Status, cond.Reason = peer.False, peer.NotInTrustStore
		cond.Message = fmt.Sprintf("%s's trust store lacks %s", id.From, plain.List(append(missing, stale...)))
	case len(stale) > 0:
		cond.Status, cond.Reason = peer.False, peer.StaleCopyInTrustStore
		cond.Message = fmt.Sprintf("%s does not trust %s", id.From, plain.List(stale))
	case len(pending) > 0:
		cond.Status, cond.Reason = peer.UnknownStatus, peer.ExchangePending
		cond.Message = fmt.Sprintf("%s was renewed and is not in %s's trust store yet; the next syncs carry it over", plain.List(pending), id.From)
	case len(unvouched) > 0:
		cond.Status, cond.Reason = peer.UnknownStatus, peer.ExchangePending
		cond.Message = fmt.Sprintf("%s shows Peerkeeper another certificate than before, which neither Peerkeeper nor %s's trust store trusts: renewed, or something on Peerkeeper's way; the next syncs tell", plain.List(unvouched), id.From)
	case unknown || len(ca)+len(direct) == 0:
		return peer.Condition{}, false
	case len(direct) == 0:
		cond.Status, cond.Reason = peer.True, peer.TrustedByCA
		cond.Message = fmt.Sprintf("%s's trust store holds the CA of %s", id.From, plain.List(ca))
	default:
		cond.Status, cond.Reason = peer.True, peer.InTrustStore
		cond.Message = fmt.Sprintf("%s's trust store holds %s", id.From, plain.List(append(direct, ca...)))
	}
	return cond, true
}

// missingSince is since when one of the certificates of a peer has been served
// and known not to be in the puller's store; zero if none is.
func (m Matrix) missingSince(id mesh.PeerID) time.Time {
	var out time.Time
	for _, r := range m.Of(id.To) {
		cell := m.Cell(r, id.From)
		if r.Pending || cell.Verdict != Missing && cell.Verdict != StaleCopy {
			continue
		}
		for _, t := range []time.Time{cell.Since, r.First} {
			if t.After(out) {
				out = t
			}
		}
	}
	return out
}
