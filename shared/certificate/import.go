package certificate

import (
	"fmt"
	"peerkeeper/shared/peer"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
)

// ImportLines tell a person what to compare before agreeing to an import.
func ImportLines(s peer.CertSource) []string {
	out := []string{fmt.Sprintf("%s of %s (%s): %s", s.Service, s.Node, s.Cluster, s.Fingerprint)}
	if s.Issuer == "" {
		return out
	}
	out[0] += fmt.Sprintf(", signed by %s, which is what is imported", CommonName(s.Issuer))
	for _, c := range s.Chain {
		out = append(out, fmt.Sprintf("above it was served %s, to %s: %s", CommonName(c.Subject), peer.Clock(c.NotAfter), c.Fingerprint))
	}
	return out
}

// ImportLife is how long it is remembered that a certificate came into a store,
// and ICSA is waited for to read it. After a week whatever ails the peer is
// something else.
const ImportLife = 7 * 24 * time.Hour

// Imports proposes to put the certificates by which clusters are pulled from
// into the stores that lack them: of each publisher, as nobody pulls from a
// subscriber. Nothing is proposed of a certificate that Peerkeeper itself does
// not trust (by tls.ca, a pin, or `trust accept`), that has expired, that the
// next syncs may still carry over, or where somebody has switched ICSA's own
// certificate sync off: there people copy certificates, by Force Manual Sync.
//
// A CA is trusted for all that it will ever sign, a certificate that is not
// served yet is needed by nobody, and one that had been there may have been taken
// out on purpose: these wait for a person whatever the policy.
func Imports(v *peer.View, matrix Matrix, certs map[mesh.ClusterID]Record) []peer.Proposal {
	m, now := v.Mesh, v.Now
	if p := m.Policy.ImportCertificates; p != mesh.ImportApprove && p != mesh.ImportAuto {
		return nil
	}
	var out []peer.Proposal
	had := map[string]int{} // where in out
	for _, row := range matrix.Rows {
		to, ok := m.Cluster(row.Cluster)
		if !ok || row.Store != peer.TomcatTrust || row.Node != to.Publisher || !now.Before(row.NotAfter) || row.Disputed || !vouchedFor(certs[row.Cluster], row) || row.byManagement() && to.PlatformWriteCredentials == "" {
			continue
		}
		proofs, synced := proofsOf(v, matrix, certs, row)
		for i, id := range matrix.Clusters {
			cell := row.Cells[i]
			from, ok := m.Cluster(id)
			if !ok || from.PlatformWriteCredentials == "" || cell.Verdict != Missing && cell.Verdict != StaleCopy {
				continue
			}
			began := row.First // of the time in which a sync may bring it
			if cell.Taken {
				began = latest(began, cell.Since)
			}
			if exchange, carried := v.CertExchange(id); !carried || !row.Pending && now.Sub(began) < exchange {
				continue
			}
			what := row.Fingerprint
			if row.Issuer != "" {
				what = row.Issuer
			}
			key, p := fmt.Sprint(id, "|", what, "|", row.Pending), importOf(m, row, cell, from, certs[row.Cluster], proofs, synced)
			if at, proposed := had[key]; !proposed {
				had[key] = len(out)
				out = append(out, p)
			} else if !slices.Contains(out[at].Peers, p.Peers[0]) {
				out[at].Peers = append(out[at].Peers, p.Peers[0]) // the same CA mends both
			}
		}
	}
	return out
}

// served is the certificate of a row of tomcat as the record of its cluster has it.
func (row Row) served(r Record) Served {
	if row.byManagement() {
		return r.Identity[row.Node][row.Service]
	}
	return r.Served[row.Node][row.KeyType]
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// vouchedFor reports whether Peerkeeper would log in over the certificate.
func vouchedFor(r Record, row Row) bool {
	s := row.served(r)
	return s.Error == "" && s.Fingerprint == row.Fingerprint && (s.Pinned || s.CA)
}

func importOf(m *mesh.Mesh, row Row, cell Cell, into *mesh.Cluster, of Record, proofs []peer.Proof, synced []mesh.ClusterID) peer.Proposal {
	source := peer.CertSource{Cluster: row.Cluster, Node: row.Node, Service: row.Service, KeyType: row.KeyType, Fingerprint: row.Fingerprint, Issuer: row.Issuer, Pending: row.byManagement(), Proofs: proofs}
	what := row.Service + " of " + string(row.Node)
	why := fmt.Sprintf("the %s of %s lacks %s (%s), %s", row.Store, into.ID, what, printStart(row.Fingerprint), measured(row, proofs, synced))
	var asks []string
	if row.Issuer != "" {
		source.Chain = row.served(of).Chain
		what = "the CA certificates of " + CommonName(row.Issuer)
		why = fmt.Sprintf("the %s of %s holds no CA of %s of %s (%s), %s", row.Store, into.ID, row.Service, row.Node, printStart(row.Fingerprint), measured(row, proofs, synced))
		asks = append(asks, "a CA is trusted for everything that it signs")
	}
	if row.Pending {
		why = fmt.Sprintf("%s has a new %s certificate (%s) and does not serve it yet; the %s of %s does not trust it", row.Node, row.Service, printStart(row.Fingerprint), row.Store, into.ID)
		asks = append(asks, "it prepares a renewal that only you know of")
	}
	if row.Told {
		asks = append(asks, fmt.Sprintf("what is served to Peerkeeper is another (%s)", printStart(of.Served[row.Node][row.KeyType].Fingerprint)))
	} else if !row.Pending && len(proofs) < 2 {
		asks = append(asks, "one source alone tells that it is the node's own: it serves it to Peerkeeper")
	}
	if cell.Taken {
		asks = append(asks, "it had been there, and somebody may have taken it out on purpose")
	}
	if m.Policy.ImportCertificates == mesh.ImportApprove {
		asks = append(asks, "policy.importCertificates is approve")
	}
	since := cell.Since
	if since.IsZero() {
		since = row.First
	}
	p := peer.Import(into, source, what, since)
	p.Why, p.Approval = why, strings.Join(asks, ", and ")
	return p
}

// printStart is the beginning of a fingerprint, as people compare it first.
func printStart(fingerprint string) string {
	s := ShortPrint(fingerprint)
	return "sha256:" + s[:min(16, len(s))] + "…"
}

// Reloads proposes a restart of ICSA where a certificate has come into its
// trust store, whoever put it there, and ICSA has run since before: Cisco's flow asks for
// one then (TAC-212647, steps 2 and 6). Always with approval. It waits until
// every node has the certificate, or the hour that this may take is over, and
// until a sync has had its chance; a sync since then shows that it is not needed.
// Where the certificate is not served yet no sync can show anything: it is read
// before it is served, so that nobody drops.
func Reloads(v *peer.View, matrix Matrix) []peer.Proposal {
	var out []peer.Proposal
	for _, p := range v.Mesh.Peers {
		if came, ok := latestArrival(v, matrix, p.ID, false); ok {
			unread, measured := v.TrustUnread(p.ID, came.at)
			// Without a clock nothing shows that a sync fails. What came while ICSA's
			// own exchange could bring it, that brought it, and ICSA knows it.
			exchange, carried := v.CertExchange(p.ID.From)
			brought := !measured && carried && came.at.Sub(came.first) < exchange
			if unread && !brought && v.AgentOlder(p.ID.From, came.at) && exchangeElapsed(v, p.ID.From, came) {
				out = append(out, reload(v, p.ID, came, "whether it needs to, its next sync shows")...)
			}
		}
		if came, ok := latestArrival(v, matrix, p.ID, true); ok && v.AgentOlder(p.ID.From, came.at) {
			out = append(out, reload(v, p.ID, came, "it must have read this one before it is served")...)
		}
	}
	return peer.Merge(out)
}

// reload is one such restart, if the certificate is where it must be by now.
func reload(v *peer.View, id mesh.PeerID, came arrival, because string) []peer.Proposal {
	if age := v.Now.Sub(came.at); came.spreading && age < peer.ReplicationTime || age > ImportLife {
		return nil
	}
	why := fmt.Sprintf("%s of %s came into the %s of %s at %s, and its Intercluster Sync Agent has run since before", came.service, came.node, peer.TomcatTrust, id.From, peer.Clock(came.at))
	return []peer.Proposal{v.Reload(id, came.at, why, "it reads its trust store when it starts, as Cisco's flow has it; "+because)}
}

// Reloading says how it stands with what came into the stores of those that pull
// from a cluster: whether some ICSA that has run since before has yet to show by
// a sync that it has read it, and whether one has had its chance, so that a
// restart is asked for.
func Reloading(v *peer.View, matrix Matrix, id mesh.ClusterID) (waits, due bool) {
	for _, p := range v.Mesh.Peers {
		came, ok := latestArrival(v, matrix, p.ID, false)
		if !ok || p.ID.To != id || !v.AgentOlder(p.ID.From, came.at) || v.SyncedSince(p.ID, came.at) {
			continue
		}
		waits = true
		due = due || exchangeElapsed(v, p.ID.From, came)
	}
	return waits, due
}

// exchangeElapsed reports whether a sync has been due since an arrival, and every
// node has had the time to get it.
func exchangeElapsed(v *peer.View, puller mesh.ClusterID, came arrival) bool {
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
func latestArrival(v *peer.View, matrix Matrix, id mesh.PeerID, pending bool) (arrival, bool) {
	to, ok := v.Mesh.Cluster(id.To)
	if !ok {
		return arrival{}, false
	}
	var out arrival
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
func awaitsReload(v *peer.View, id mesh.PeerID, came time.Time) bool {
	unread, measured := v.TrustUnread(id, came)
	return !came.IsZero() && unread && measured
}

// NotReloaded lays over a verdict of the stores that ICSA may not have read them
// since: the store holds the certificate, and the sync stands all the same. That
// is no cause any more, so that the ladder may do what helps: restart the agent.
func NotReloaded(v *peer.View, matrix Matrix, id mesh.PeerID, cond peer.Condition) peer.Condition {
	came, ok := latestArrival(v, matrix, id, false)
	if cond.Status != peer.True || !ok || !awaitsReload(v, id, came.at) {
		return cond
	}
	cond.Reason, cond.Basis = peer.TrustNotReloaded, peer.Inferred
	cond.Message = fmt.Sprintf("%s of %s came into %s's trust store at %s; no sync has succeeded since: the Intercluster Sync Agent reads it when it starts", came.service, came.node, id.From, peer.Clock(came.at))
	return cond
}
