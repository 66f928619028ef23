package certificate

import (
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// Verdict says what one cluster's store makes of one certificate.
type Verdict string

// The verdicts, worst first.
const (
	Missing   Verdict = "missing"
	StaleCopy Verdict = "staleCopy" // an older certificate of the same name stands there
	Unknown   Verdict = "unknown"
	CATrusted Verdict = "caTrusted"
	Trusted   Verdict = "trusted"
)

// Verdicts lists the verdicts, worst first.
func Verdicts() []Verdict {
	return []Verdict{Missing, StaleCopy, Unknown, CATrusted, Trusted}
}

// Cell is one cluster's verdict on one certificate. A zero cell is a pair
// without a peer.
type Cell struct {
	Verdict Verdict `json:"verdict"`
	// Why is the reason of Unknown.
	Why peer.Reason `json:"why,omitempty"`
	// Entry is what stands in the store: the file of the copy, or the CA.
	Entry string `json:"held,omitempty"`
	// Ends is when what vouches for the certificate ends by itself: the CA.
	Ends time.Time `json:"ends,omitzero"`
	// Lacking are nodes whose store lacks what the publisher's has.
	Lacking []mesh.NodeName `json:"lacking,omitempty"`
	// Since is since when it is known to be missing.
	Since time.Time `json:"since,omitzero"`
	// Came is when it was first seen there after it had been missing; zero for
	// one that was always seen there.
	Came time.Time `json:"came,omitzero"`
	// Taken says of a missing one that it had been there.
	Taken bool `json:"taken,omitempty"`
}

// Row is one certificate of one node against every cluster.
type Row struct {
	Cluster mesh.ClusterID `json:"cluster"`
	Node    mesh.NodeName  `json:"node"`
	KeyType string         `json:"keyType"`
	Service string         `json:"service"` // identity: tomcat, cup-ECDSA …
	Store   string         `json:"store"`   // where peers need it
	// Pending says that the node has this certificate and does not serve it yet.
	Pending bool `json:"pending,omitempty"`
	// Disputed says of a served certificate that the node's certificate management
	// names another: no peer is known to meet it, and it has no cells.
	Disputed bool `json:"disputed,omitempty"`
	// Told is that other: certificate management alone tells of it.
	Told bool `json:"told,omitempty"`
	// Unvouched says of a served certificate that Peerkeeper alone has seen it, and
	// does not trust it: it may be of something on Peerkeeper's way, and what peers
	// hold of that name may be the node's own.
	Unvouched   bool      `json:"unvouched,omitempty"`
	Fingerprint string    `json:"fingerprint"`
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer,omitempty"` // of a CA-signed one
	NotAfter    time.Time `json:"notAfter"`
	NotBefore   time.Time `json:"-"`
	First       time.Time `json:"-"`
	Cells       []Cell    `json:"cells"`
}

// byManagement reports whether the certificate is known from the node's
// certificate management alone.
func (r Row) byManagement() bool { return r.Pending || r.Told }

// Matrix is every certificate that peers need against every cluster that
// needs it.
type Matrix struct {
	Clusters []mesh.ClusterID `json:"clusters"`
	Rows     []Row            `json:"rows"`
}

// matrixOf derives the matrix from what certcheck stored: the same records give the
// same matrix, on the page, in the command and in judging.
func matrixOf(m *mesh.Mesh, certs map[mesh.ClusterID]Record, now time.Time) Matrix {
	out := Matrix{Clusters: m.IDs(), Rows: []Row{}}
	// A node's ECDSA certificate is no old copy of its RSA one.
	present := map[string]bool{}
	for i := range m.Clusters {
		c := &m.Clusters[i]
		rows := certsNeeded(c, certs[c.ID], pulledOverTLS(m, c.ID), now)
		for _, row := range rows {
			present[row.Store+ShortPrint(row.Fingerprint)] = true
		}
		out.Rows = append(out.Rows, rows...)
	}
	peers := map[mesh.PeerID]mesh.Protocol{} // looking each up in the mesh's list would be quadratic
	for _, p := range m.Peers {
		peers[p.ID] = p.Protocol
	}
	pubs := make([]mesh.NodeName, len(m.Clusters))
	for i, c := range m.Clusters {
		pubs[i] = c.Publisher
	}
	held := map[string]map[string]int{} // by cluster and store: thirty stores of hundreds are not searched for each cell
	for _, id := range out.Clusters {
		for name, store := range certs[id].Trust {
			at := make(map[string]int, len(store.Entries))
			for i, h := range store.Entries {
				at[h.Print] = i
			}
			held[string(id)+" "+name] = at
		}
	}
	for i, row := range out.Rows {
		row.Cells = make([]Cell, len(out.Clusters))
		if row.Disputed {
			out.Rows[i] = row
			continue
		}
		for j, id := range out.Clusters {
			p, ok := peers[mesh.PeerID{From: id, To: row.Cluster}]
			if !ok || row.Store != peer.TomcatTrust && p != mesh.TLSProto {
				continue
			}
			row.Cells[j] = cellOf(certs[id], pubs[j], row, held[string(id)+" "+row.Store], present, now)
			if v := row.Cells[j].Verdict; v == Trusted || v == CATrusted {
				row.Unvouched = false // a peer knows it, or its issuer
			}
		}
		out.Rows[i] = row
	}
	return out
}

// pulledOverTLS reports whether some peer entry towards a cluster says TLS.
func pulledOverTLS(m *mesh.Mesh, id mesh.ClusterID) bool {
	return slices.ContainsFunc(m.Peers, func(p mesh.Peer) bool { return p.ID.To == id && p.Protocol == mesh.TLSProto })
}

// certsNeeded are the certificates of a cluster that its peers must trust.
func certsNeeded(c *mesh.Cluster, r Record, tls bool, now time.Time) []Row {
	var out []Row
	add := func(node mesh.NodeName, s Served, keyType, service string, mark func(*Row)) {
		if s.Fingerprint == "" || s.Stale(now) {
			return
		}
		row := Row{
			Cluster: c.ID, Node: node, KeyType: keyType, Service: service, Store: StoreOf(service),
			Fingerprint: s.Fingerprint, Subject: s.Subject, NotBefore: s.NotBefore, NotAfter: s.NotAfter, First: s.First,
		}
		if !s.SelfSigned {
			row.Issuer = s.Issuer
		}
		mark(&row)
		out = append(out, row)
	}
	for _, n := range c.Nodes {
		for _, keyType := range []string{"RSA", "ECDSA"} {
			place := Place{KeyType: keyType}
			service, served := place.Service(), r.Served[n.Name][place]
			own := r.Identity[n.Name][service]
			add(n.Name, served, keyType, service, func(r *Row) {
				r.Disputed = served.Disputed
				r.Unvouched = !served.Pinned && !served.CA && served.Agreed.IsZero() && (own.Error != "" || own.Fingerprint != served.Fingerprint)
			})
			if served.Disputed {
				add(n.Name, own, keyType, service, func(r *Row) { r.Told = true })
			} else if served.Fingerprint != "" && served.Error == "" && own.Error == "" && own.Fingerprint != served.Fingerprint {
				add(n.Name, own, keyType, service, func(r *Row) { r.Pending = true })
			}
		}
		if !tls {
			continue
		}
		for _, port := range []string{PortSIPTLS, PortXMPP} {
			for _, keyType := range []string{"RSA", "ECDSA"} {
				place := Place{port, keyType}
				service, s := place.Service(), r.Ports[n.Name][place]
				if s.Fingerprint == "" || s.Stale(now) {
					s = r.Identity[n.Name][service]
				}
				add(n.Name, s, keyType, service, func(*Row) {})
			}
		}
	}
	return out
}

// cellOf is one cell.
func cellOf(r Record, publisher mesh.NodeName, row Row, index map[string]int, present map[string]bool, now time.Time) Cell {
	store, ok := r.Trust[row.Store]
	at := slices.IndexFunc(store.Nodes, func(n StoreNode) bool { return n.Name == publisher })
	if !ok || at < 0 || store.Nodes[at].Read.IsZero() || !instant.Fresh(store.Nodes[at].Read, now, peer.CertAge) {
		why := peer.NotChecked
		switch {
		case ok && at >= 0 && !store.Nodes[at].Read.IsZero():
			why = peer.Stale
		case r.NoTrust != nil:
			why = r.NoTrust.Reason
		}
		return Cell{Verdict: Unknown, Why: why}
	}
	read := store.Nodes[at].Read
	lacking := func(h Entry) (out []mesh.NodeName) {
		for _, i := range h.Not {
			if i >= 0 && i < len(store.Nodes) && store.Nodes[i].Cut == 0 {
				out = append(out, store.Nodes[i].Name)
			}
		}
		return out
	}
	print := ShortPrint(row.Fingerprint)
	if i, ok := index[print]; ok && !slices.Contains(store.Entries[i].Not, at) {
		h := store.Entries[i]
		return Cell{Verdict: Trusted, Entry: h.File, Lacking: lacking(h), Came: store.Came[print]}
	}
	if i, ok := store.Vouched[print]; ok && i >= 0 && i < len(store.Entries) {
		if ca := store.Entries[i]; now.Before(ca.Ends) && !slices.Contains(ca.Not, at) {
			return Cell{Verdict: CATrusted, Entry: ca.Subject, Ends: ca.Ends, Lacking: lacking(ca), Came: store.Came[print]}
		}
	} else if row.Issuer != "" && !slices.Contains(store.Checked, print) {
		// Not tried against this store yet: it was served for the first time
		// after the look at the store, or never together with it.
		return Cell{Verdict: Unknown, Why: peer.NotChecked}
	}
	if row.First.After(read) {
		return Cell{Verdict: Unknown, Why: peer.NotChecked}
	}
	if store.Nodes[at].Cut > 0 {
		return Cell{Verdict: Unknown, Why: peer.ValueTooLong}
	}
	cell := Cell{Verdict: Missing, Since: read}
	if t, ok := store.Lacks[print]; ok {
		cell.Since = t
	}
	cell.Taken = slices.Contains(store.Taken, print)
	for _, h := range store.Entries {
		if !h.CA && h.EC == (row.KeyType == "ECDSA") && !present[row.Store+h.Print] && !slices.Contains(h.Not, at) && strings.EqualFold(h.Subject, CommonName(row.Subject)) {
			cell.Verdict, cell.Entry = StaleCopy, h.File
		}
	}
	return cell
}

// Cell is the verdict of a cluster on a row.
func (m Matrix) Cell(row Row, id mesh.ClusterID) Cell {
	i := slices.Index(m.Clusters, id)
	if i < 0 || i >= len(row.Cells) {
		return Cell{}
	}
	return row.Cells[i]
}

// Of are the rows of one cluster.
func (m Matrix) Of(id mesh.ClusterID) []Row {
	var out []Row
	for _, r := range m.Rows {
		if r.Cluster == id {
			out = append(out, r)
		}
	}
	return out
}
