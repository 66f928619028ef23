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

// What one observer sees on a wire is not yet a property of the node: something
// on Peerkeeper's way may end the connection and show a certificate of its own.
// Three sources tell a node's certificate: what it serves to Peerkeeper, its
// identity by certificate management, and what a peer has synced over.

// SettleSources settles, after a look and before a View is made of it, for each certificate of a cluster's nodes
// whether what is served to Peerkeeper and what the node's certificate management
// names are the same, are the two ends of a renewal that is not served yet, or
// differ. Of what was read on one side only it leaves what was known.
func SettleSources(m *mesh.Mesh, certs map[mesh.ClusterID]Record, id mesh.ClusterID, now time.Time) {
	r := certs[id]
	for spot, served := range r.Serving() {
		own, told := r.Identity[spot.Node][spot.Service()]
		if spot.Port != "" {
			continue
		}
		switch {
		case served.Fingerprint == "" || !told || own.Fingerprint == "" || own.Stale(now) || own.Error != "" && !own.Read.After(served.Sighted):
			continue // certificate management has not been heard since it is served
		case own.Fingerprint == served.Fingerprint:
			if served.Disputed = false; served.Error == "" && own.Error == "" {
				served.Agreed = now
			}
		default:
			served.Disputed = !renewing(served, own, holders(m, certs, id, served), holders(m, certs, id, own))
		}
		r.SetServed(spot, served)
		own.Disputed = served.Disputed
		r.Identity[spot.Node][spot.Service()] = own
	}
}

// renewing reports whether a node that serves one certificate and names another
// as its own has been renewed and not been restarted since: the served one was
// its own before. Where nobody saw that, the peers' stores tell which of the two
// its peers have met.
func renewing(served, own Served, heldServed, heldOwn []mesh.ClusterID) bool {
	switch {
	case !served.Agreed.IsZero(), own.Replaced == served.Fingerprint:
		return true
	case served.Replaced == own.Fingerprint:
		return false
	case len(heldServed) > 0 && len(heldOwn) == 0:
		return true
	}
	// Of two that a CA signed, the stores vouch for either.
	return len(heldServed) > 0 && !served.SelfSigned && !own.SelfSigned && own.NotBefore.After(served.NotBefore)
}

// holders are the clusters that pull from one and whose publisher's store holds a
// certificate of it, or a CA that vouches for it.
func holders(m *mesh.Mesh, certs map[mesh.ClusterID]Record, id mesh.ClusterID, s Served) []mesh.ClusterID {
	var out []mesh.ClusterID
	for _, puller := range pullers(m, id) {
		if held, _ := holds(certs[puller.ID], puller.Publisher, s); held {
			out = append(out, puller.ID)
		}
	}
	return out
}

// holds reports whether a publisher's tomcat-trust has a certificate or a CA that
// vouches for it, and whether it is the only one of its name and kind of key
// there.
func holds(r Record, publisher mesh.NodeName, s Served) (held, only bool) {
	store := r.Trust[peer.TomcatTrust]
	at := slices.IndexFunc(store.Nodes, func(n StoreNode) bool { return n.Name == publisher })
	if at < 0 || store.Nodes[at].Read.IsZero() {
		return false, false
	}
	print := ShortPrint(s.Fingerprint)
	if ca, ok := store.Vouched[print]; ok && ca >= 0 && ca < len(store.Entries) && !slices.Contains(store.Entries[ca].Not, at) {
		held = true
	}
	only = true
	for _, h := range store.Entries {
		switch {
		case slices.Contains(h.Not, at):
		case h.Print == print:
			held = true
		case !h.CA && strings.EqualFold(h.Subject, CommonName(s.Subject)):
			only = false
		}
	}
	return held, held && only
}

// proofs are the sources that agree that a served certificate is the node's own,
// and the clusters whose syncs are among them.
func (v *View) proofs(row Row) (out []peer.Proof, synced []mesh.ClusterID) {
	matrix, certs := v.Trust(), v.Records
	r := certs[row.Cluster]
	served, own := r.Served[row.Node][Place{KeyType: row.KeyType}], r.Identity[row.Node][row.Service]
	if row.byManagement() {
		return []peer.Proof{peer.ProofIdentity}, nil
	}
	out = []peer.Proof{peer.ProofServed}
	if own.Fingerprint == row.Fingerprint && own.Error == "" {
		out = append(out, peer.ProofIdentity)
	}
	for i, puller := range matrix.Clusters {
		c, _ := v.Mesh.Cluster(puller)
		if _, only := holds(certs[puller], c.Publisher, served); only && row.Cells[i].Verdict == Trusted && v.SyncedSince(mesh.PeerID{From: puller, To: row.Cluster}, served.Sighted) {
			synced = append(synced, puller)
		}
	}
	if len(synced) > 0 {
		out = append(out, peer.ProofSynced)
	}
	return out, synced
}

// measured says of a certificate what its sources showed, and no more.
func measured(row Row, proofs []peer.Proof, synced []mesh.ClusterID) string {
	if row.byManagement() {
		return fmt.Sprintf("which the certificate management of %s names as its own", row.Node)
	}
	text := fmt.Sprintf("which %s serves to Peerkeeper", row.Node)
	if slices.Contains(proofs, peer.ProofIdentity) {
		text += " and names as its own by certificate management"
	}
	if len(synced) > 0 {
		text += fmt.Sprintf("; the store of %s holds it, and a sync has succeeded there since it was first seen", plain.List(synced))
	}
	return text
}

// sourceFindings are the certificates of a cluster of which the sources differ:
// one finding each, which says what each of them showed.
func (v *View) sourceFindings(id mesh.ClusterID) []peer.Finding {
	m, certs := v.Mesh, v.Records
	c, _ := m.Cluster(id)
	r := certs[id]
	var out []peer.Finding
	for _, n := range c.Nodes {
		for _, keyType := range []string{"RSA", "ECDSA"} {
			place := Place{KeyType: keyType}
			served := r.Served[n.Name][place]
			if !served.Disputed || served.Stale(v.Now) {
				continue
			}
			own := r.Identity[n.Name][place.Service()]
			text := fmt.Sprintf("%s serves %s to Peerkeeper since %s at the latest, and its certificate management names %s as its %s certificate", n.Name, served.Fingerprint, plain.Time(served.Sighted), own.Fingerprint, place.Service())
			for _, one := range []struct {
				what string
				s    Served
			}{{"the served one", served}, {"the one that it names", own}} {
				if by := holders(m, certs, id, one.s); len(by) > 0 {
					text += fmt.Sprintf("; %s is vouched for by the store of %s", one.what, plain.List(by))
				}
			}
			var synced []mesh.ClusterID
			for _, puller := range pullers(m, id) {
				if v.SyncedSince(mesh.PeerID{From: puller.ID, To: id}, served.Sighted) {
					synced = append(synced, puller.ID)
				}
			}
			if len(synced) > 0 {
				text += fmt.Sprintf("; %s synced since", plain.List(synced))
			}
			if !served.Pinned && !served.CA {
				text += "; Peerkeeper does not trust the served one"
			}
			f := NewFinding(SourcesDiffer, n.Name, keyType, "", text)
			f.Subject, f.NotAfter = served.Subject, served.NotAfter
			out = append(out, f)
		}
	}
	return out
}
