package certificate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// trustFindings are what the matrix says of one cluster's certificates: one
// finding per certificate, however many clusters lack it, so that one renewal
// is one notice.
//
// A certificate that has come into a store, and that ICSA must read yet, stays
// the same finding: the cause is gone when a sync succeeds.
func (v *View) trustFindings(id mesh.ClusterID) []peer.Finding {
	matrix := v.Trust()
	c, _ := v.Mesh.Cluster(id)
	var out []peer.Finding
	had := map[string]bool{} // by reason, certificate and store
	for _, r := range publisherFirst(c, matrix.Of(id)) {
		var lack, twin, unread, unreadTwin []string
		broken := false
		for i, puller := range matrix.Clusters {
			cell := r.Cells[i]
			if cell.Verdict == Unknown || cell.Verdict == "" {
				continue
			}
			pair := mesh.PeerID{From: puller, To: id}
			if cell.Verdict != Missing && cell.Verdict != StaleCopy {
				if r.Node == c.Publisher && !cell.Came.IsZero() && v.unread(pair, r, cell.Came) {
					if !r.Pending && r.KeyType == "ECDSA" && matrix.rsaTrusted(r, puller) {
						unreadTwin = append(unreadTwin, string(puller)) // as it was while it was missing
					} else {
						unread = append(unread, string(puller))
					}
				}
				continue
			}
			if exchange, _ := v.CertExchange(puller); !r.Pending && v.Now.Sub(r.First) < exchange {
				continue
			}
			broken = broken || !v.Works(pair)
			if r.KeyType == "ECDSA" && matrix.rsaTrusted(r, puller) {
				twin = append(twin, string(puller))
				continue
			}
			lack = append(lack, string(puller))
		}
		say := func(reason peer.Reason, clusters []string, broken bool, format string) {
			// What ICSA has yet to read is the same trouble as before, under its id.
			as := reason
			if as == peer.TrustNotReloaded {
				as = NotTrustedByPeers
			}
			key := string(as) + r.Fingerprint + r.Store
			if len(clusters) == 0 || r.Pending || had[key] { // had: another node serves the very same one
				return
			}
			f := NewFinding(reason, r.Node, r.KeyType, r.Service, fmt.Sprintf(format, r.Service, r.Node, plain.Name(CommonName(r.Subject)), r.Store, plain.List(clusters)))
			f.Subject, f.NotAfter = r.Subject, r.NotAfter
			f.ID = f.ID.As(as)
			for _, c := range clusters {
				f.Lacking = append(f.Lacking, mesh.ClusterID(c))
			}
			if r.Store != peer.TomcatTrust {
				f.ID = f.ID.And(r.Service)
			} else if r.Node != c.Publisher {
				f.Severity = peer.Warning // nobody pulls from a subscriber
			} else if !broken {
				f.Severity = peer.Warning
				f.Message += "; syncs succeed all the same, until the Intercluster Sync Agent starts again and reads its trust store"
			}
			if r.Unvouched {
				f.Message += "; Peerkeeper does not trust it either, and nothing else tells that it is the node's own"
				f.Fix = "first " + NewFinding(CertificateUntrustedHere, r.Node, r.KeyType, r.Service, "").Fix + "; then " + f.Fix
			}
			had[key] = true
			out = append(out, f)
		}
		say(NotTrustedByPeers, lack, broken, "the %s certificate of %s (%s) is not in the %s of %s")
		say(peer.TrustNotReloaded, unread, true, "the %s certificate of %s (%s) is in the %s of %s by now, and no sync has succeeded since: the Intercluster Sync Agent there reads it when it starts")
		say(ECDSAMissing, twin, broken, "the %s certificate of %s (%s) is not in the %s of %s, where its RSA twin is")
		say(ECDSAMissing, unreadTwin, true, "the %s certificate of %s (%s) is in the %s of %s, as its RSA twin is, and no sync has succeeded since: the Intercluster Sync Agent there reads it when it starts")
		if r.Pending {
			f := NewFinding(NotServedYet, r.Node, r.KeyType, r.Service, fmt.Sprintf("%s has a new %s certificate (to %s) and still serves the old one; %s", r.Node, r.Service, plain.Time(r.NotAfter), readiness(r, lack, twin, unread)))
			f.Subject, f.NotAfter = r.Subject, r.NotAfter
			out = append(out, f)
		}
	}
	return out
}

// unread reports whether ICSA has yet to read a certificate that came into its
// store: of one that is served a sync tells, of one that is not served yet only since
// when ICSA runs.
func (v *View) unread(id mesh.PeerID, r Row, came time.Time) bool {
	if r.Pending {
		return v.AgentOlder(id.From, came)
	}
	return v.awaitsReload(id, came)
}

// publisherFirst puts the certificates of the publisher before the others: what
// several nodes serve is said once, and what matters is that the publisher does.
func publisherFirst(c *mesh.Cluster, rows []Row) []Row {
	rank := func(r Row) int {
		if r.Node == c.Publisher {
			return 0
		}
		return 1
	}
	return slices.SortedStableFunc(slices.Values(rows), func(a, b Row) int { return rank(a) - rank(b) })
}

func readiness(r Row, lack, twin, unread []string) string {
	unknown := 0
	for _, c := range r.Cells {
		if c.Verdict == Unknown {
			unknown++
		}
	}
	switch missing := append(lack, twin...); {
	case len(missing) > 0:
		return "do not restart Cisco Tomcat yet: it is not trusted by " + plain.List(missing)
	case len(unread) > 0:
		return "do not restart Cisco Tomcat yet: the Intercluster Sync Agent of " + plain.List(unread) + " has not read its trust store since it came"
	case unknown > 0:
		return fmt.Sprintf("whether %d clusters trust it is not known", unknown)
	}
	return "every peer trusts it already"
}

// rsaTrusted reports whether a cluster trusts the RSA twin of an ECDSA row.
func (m Matrix) rsaTrusted(r Row, puller mesh.ClusterID) bool {
	for _, other := range m.Rows {
		if other.Node == r.Node && other.Store == r.Store && other.KeyType == "RSA" && other.Service == strings.TrimSuffix(r.Service, "-ECDSA") && !other.Pending {
			v := m.Cell(other, puller).Verdict
			return v == Trusted || v == CATrusted
		}
	}
	return false
}
