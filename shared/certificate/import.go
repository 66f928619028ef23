package certificate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// ImportLines tell a person what to compare before agreeing to an import.
func ImportLines(s peer.CertSource) []string {
	out := []string{fmt.Sprintf("%s of %s (%s): %s", s.Service, s.Node, s.Cluster, s.Fingerprint)}
	if s.Issuer == "" {
		return out
	}
	out[0] += fmt.Sprintf(", signed by %s, which is what is imported", CommonName(s.Issuer))
	for _, c := range s.Chain {
		out = append(out, fmt.Sprintf("above it was served %s, to %s: %s", CommonName(c.Subject), plain.Time(c.NotAfter), c.Fingerprint))
	}
	return out
}

// ImportLife is how long it is remembered that a certificate came into a store,
// and ICSA is waited for to read it. What is wrong with the peer after a
// week is something else.
const ImportLife = 7 * 24 * time.Hour

// Proposals are what the mesh's certificates ask for: those that a trust store lacks,
// and a restart of an ICSA that has not read what came into its own.
func (v *View) Proposals() []peer.Proposal { return slices.Concat(v.imports(), v.reloads()) }

// imports proposes to put the certificates by which clusters are pulled from
// into the stores that lack them: of each publisher, as nobody pulls from a
// subscriber. Nothing is proposed of a certificate that Peerkeeper itself does
// not trust (by tls.ca, a pin, or `trust accept`), that has expired, that the
// next syncs may still carry over, or where somebody has switched ICSA's own
// certificate sync off: there people copy certificates, by Force Manual Sync.
//
// A CA is trusted for all that it will ever sign, a certificate that is not
// served yet is needed by nobody, and one that had been there may have been taken
// out on purpose: these wait for a person whatever the policy.
func (v *View) imports() []peer.Proposal {
	m, now, matrix, certs := v.Mesh, v.Now, v.Trust(), v.Records
	if p := m.Policy.ImportCertificates; p != mesh.ImportApprove && p != mesh.ImportAuto {
		return nil
	}
	var out []peer.Proposal
	had := map[string]int{} // where in out
	for _, row := range matrix.Rows {
		to, _ := m.Cluster(row.Cluster)
		if row.Store != peer.TomcatTrust || row.Node != to.Publisher || !now.Before(row.NotAfter) || row.Disputed || !vouchedFor(certs[row.Cluster], row) || row.byManagement() && to.PlatformWriteCredentials == "" {
			continue
		}
		proofs, synced := v.proofs(row)
		for i, id := range matrix.Clusters {
			cell := row.Cells[i]
			from, _ := m.Cluster(id)
			if from.PlatformWriteCredentials == "" || cell.Verdict != Missing && cell.Verdict != StaleCopy {
				continue
			}
			began := row.First // of the time in which a sync may bring it
			if cell.Taken {
				began = instant.Later(began, cell.Since)
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
	return r.Served[row.Node][Place{KeyType: row.KeyType}]
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
		asks = append(asks, fmt.Sprintf("what is served to Peerkeeper is another (%s)", printStart(of.Served[row.Node][Place{KeyType: row.KeyType}].Fingerprint)))
	} else if !row.Pending && len(proofs) < 2 {
		asks = append(asks, "one source alone tells that it is the node's own: it serves it to Peerkeeper")
	}
	if cell.Taken {
		asks = append(asks, "it had been there, and somebody may have taken it out on purpose")
	}
	if m.Policy.ImportCertificates == mesh.ImportApprove {
		asks = append(asks, "policy.importCertificates is approve")
	}
	p := peer.Import(into, source, what, cell.Since)
	p.Why, p.Approval = why, strings.Join(asks, ", and ")
	return p
}

// printStart is the beginning of a fingerprint, as people compare it first.
func printStart(fingerprint string) string {
	s := ShortPrint(fingerprint)
	return "sha256:" + s[:min(16, len(s))] + "…"
}
