package certificate

import (
	"cmp"
	"fmt"
	"maps"
	"peerkeeper/shared/peer"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// TrustStore is one trust store of a cluster as its nodes told it, cut down to
// what the mesh turns on, because 30 clusters of 6 nodes must fit one item of
// 400 KB.
type Store struct {
	// Nodes are the cluster's nodes, and when each was last asked.
	Nodes []StoreNode `json:"nodes"`
	// Held are the certificates that any node holds: CAs, and those with the
	// name of a certificate that some node of the mesh has.
	Entries []Entry `json:"held,omitempty"`
	// Others is how many more the store holds.
	Others int `json:"others,omitempty"`
	// Vouched are the served certificates, by short fingerprint, that chain to
	// a CA in the store, signatures checked: the index of the CA in Held.
	Vouched map[string]int `json:"vouched,omitempty"`
	// Checked are the other CA-signed certificates that were tried and do not.
	Checked []string `json:"checked,omitempty"`
	// Lacks is since when a certificate that is needed is known not to be in the
	// store, or not in that of one node (LackOn).
	Lacks map[string]time.Time `json:"lacks,omitempty"`
	// Came is when a certificate that is needed was first seen to be vouched for
	// by the store after it had been known to lack it.
	Came map[string]time.Time `json:"came,omitempty"`
	// Taken are those that are needed, had been there, and are not any more:
	// somebody may have meant that.
	Taken []string `json:"taken,omitempty"`
}

// StoreNode is one node's store as it was read last.
type StoreNode struct {
	Name mesh.NodeName `json:"name"`
	Read time.Time     `json:"read,omitzero"` // zero: never
	// Cut counts the entries beyond the bound: what is not found among the others
	// may be among these.
	Cut int `json:"cut,omitempty"`
	// Empty counts the entries with an empty certificate, in which nothing is.
	Empty int `json:"empty,omitempty"`
}

// Trusted is one certificate in a store.
type Entry struct {
	Print   string    `json:"p"` // short fingerprint
	Subject string    `json:"s"`
	Ends    time.Time `json:"e"`
	// CA is a certificate authority. A self-signed tomcat calls itself one and
	// is none: it has the name of a node.
	CA     bool   `json:"ca,omitempty"`
	Key    string `json:"k,omitempty"`  // of a CA: the short hash of its public key
	Signed bool   `json:"by,omitempty"` // by another: a CA-signed leaf or an intermediate
	EC     bool   `json:"ec,omitempty"` // its key is on an elliptic curve
	File   string `json:"f,omitempty"`
	// Not are the nodes that were read and do not hold it, by index.
	Not []int `json:"not,omitempty"`
}

// ShortPrint is a fingerprint without its prefix, cut to 128 bits.
func ShortPrint(fingerprint string) string {
	s := strings.TrimPrefix(fingerprint, "sha256:")
	return s[:min(32, len(s))]
}

// LackOn is the key in Lacks of a certificate that one node's store lacks.
func LackOn(print string, node int) string { return fmt.Sprintf("%s@%d", print, node) }

// TrustVerdict says what one cluster's store makes of one certificate.
type Verdict string

// The verdicts, worst first.
const (
	Missing   Verdict = "missing"
	StaleCopy Verdict = "staleCopy" // an older certificate of the same name stands there
	Unknown   Verdict = "unknown"
	CATrusted Verdict = "caTrusted"
	Trusted   Verdict = "trusted"
)

// TrustVerdicts lists the verdicts, worst first.
func Verdicts() []Verdict {
	return []Verdict{Missing, StaleCopy, Unknown, CATrusted, Trusted}
}

// TrustCell is one cluster's verdict on one certificate. A zero cell is a pair
// without a peer.
type Cell struct {
	Verdict Verdict `json:"verdict"`
	// Why is the reason of Unknown.
	Why peer.Reason `json:"why,omitempty"`
	// Held is what stands in the store: the file of the copy, or the CA.
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

// TrustRow is one certificate of one node against every cluster.
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
	First       time.Time `json:"-"`
	Cells       []Cell    `json:"cells"`
}

// byManagement reports whether the certificate is known from the node's
// certificate management alone.
func (r Row) byManagement() bool { return r.Pending || r.Told }

// TrustMatrix is every certificate that peers need against every cluster that
// needs it.
type Matrix struct {
	Clusters []mesh.ClusterID `json:"clusters"`
	Rows     []Row            `json:"rows"`
}

// Trust derives the matrix from what certcheck stored. It is pure: the same
// records give the same matrix, on the page, in the command and in judging.
func Trust(m *mesh.Mesh, certs map[mesh.ClusterID]Record, now time.Time) Matrix {
	out := Matrix{Clusters: m.IDs(), Rows: []Row{}}
	// A node's ECDSA certificate is no old copy of its RSA one.
	present := map[string]bool{}
	for i := range m.Clusters {
		c := &m.Clusters[i]
		rows := certsNeeded(c, certs[c.ID], len(overTLS(m, c.ID)) > 0, now)
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
			if !ok || row.Store != "tomcat-trust" && p != mesh.TLSProto {
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

// overTLS lists the clusters whose peer entry towards id says TLS.
func overTLS(m *mesh.Mesh, id mesh.ClusterID) []mesh.ClusterID {
	var out []mesh.ClusterID
	for _, p := range m.Peers {
		if p.ID.To == id && p.Protocol == mesh.TLSProto {
			out = append(out, p.ID.From)
		}
	}
	return out
}

// certsNeeded are the certificates of a cluster that its peers must trust.
func certsNeeded(c *mesh.Cluster, r Record, tls bool, now time.Time) []Row {
	var out []Row
	add := func(node mesh.NodeName, s Served, keyType, service string, pending bool) {
		if s.Fingerprint == "" || s.Stale(now) {
			return
		}
		row := Row{
			Cluster: c.ID, Node: node, KeyType: keyType, Service: service, Store: StoreOf(service), Pending: pending,
			Fingerprint: s.Fingerprint, Subject: s.Subject, NotAfter: s.NotAfter, First: s.First,
		}
		if !s.SelfSigned {
			row.Issuer = s.Issuer
		}
		out = append(out, row)
	}
	for _, n := range c.Nodes {
		for _, keyType := range []string{"RSA", "ECDSA"} {
			service := ServiceOf("", keyType)
			served := r.Served[n.Name][keyType]
			own := r.Identity[n.Name][service]
			before := len(out)
			add(n.Name, served, keyType, service, false)
			for k := range out[before:] {
				out[before+k].Unvouched = !served.Pinned && !served.CA && served.Agreed.IsZero() && (own.Error != "" || own.Fingerprint != served.Fingerprint)
			}
			if served.Disputed {
				if k := len(out) - 1; k >= 0 && out[k].Fingerprint == served.Fingerprint {
					out[k].Disputed = true
				}
				before := len(out)
				add(n.Name, own, keyType, service, false)
				for k := range out[before:] {
					out[before+k].Told = true
				}
			} else if served.Fingerprint != "" && served.Error == "" && own.Error == "" && own.Fingerprint != served.Fingerprint {
				add(n.Name, own, keyType, service, true)
			}
		}
		if !tls {
			continue
		}
		for _, port := range []string{PortSIPTLS, PortXMPP} {
			for _, keyType := range []string{"RSA", "ECDSA"} {
				service := ServiceOf(port, keyType)
				s := r.Ports[n.Name][port+"/"+keyType]
				if s.Fingerprint == "" || s.Stale(now) {
					s = r.Identity[n.Name][service]
				}
				add(n.Name, s, keyType, service, false)
			}
		}
	}
	return out
}

// trustVerdict is one cell.
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
			if i >= 0 && i < len(store.Nodes) && i != at && store.Nodes[i].Cut == 0 {
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

// CommonName is the CN of a subject as crypto/x509 writes it, or all of it.
func CommonName(subject string) string {
	for part := range strings.SplitSeq(subject, ",") {
		if cn, ok := strings.CutPrefix(strings.TrimSpace(part), "CN="); ok {
			return cn
		}
	}
	return subject
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

// Worst is the worst verdict of one cluster on all certificates of another, and
// how many have it; "" without any.
func (m Matrix) Worst(p mesh.PeerID) (Verdict, int) {
	counts := map[Verdict]int{}
	for _, r := range m.Rows {
		if r.Cluster == p.To {
			counts[m.Cell(r, p.From).Verdict]++
		}
	}
	for _, v := range Verdicts() {
		if counts[v] > 0 {
			return v, counts[v]
		}
	}
	return "", 0
}

// Copy is a certificate that a person must copy by hand.
type Copy struct {
	// File is what to download at the source: a leaf's identity file, or the
	// chain of a CA-signed one, which is copied instead of the leaf.
	File string         `json:"file"`
	From mesh.ClusterID `json:"from"`
	Node mesh.NodeName  `json:"node"` // where it is downloaded
	// Issuer is the CA whose chain is meant; "" for a self-signed certificate.
	Issuer      string         `json:"issuer,omitempty"`
	Fingerprint string         `json:"fingerprint"` // of the leaf, to compare
	To          mesh.ClusterID `json:"to"`
	Publisher   mesh.NodeName  `json:"publisher"` // where it is uploaded; it replicates from there
	Store       string         `json:"store"`
	Verdict     Verdict        `json:"verdict"`
	// Stale is the old copy's file in the store, which a person may delete.
	Stale string `json:"stale,omitempty"`
}

// Copies lists what must be copied by hand where nothing carries it over: one
// line per file and destination. A CA is copied once, however many leaves it
// signed.
func (m Matrix) Copies(of *mesh.Mesh) []Copy {
	out := []Copy{}
	at := map[string]bool{}
	for _, r := range m.Rows {
		for i, id := range m.Clusters {
			cell := r.Cells[i]
			if cell.Verdict != Missing && cell.Verdict != StaleCopy {
				continue
			}
			to, ok := of.Cluster(id)
			if !ok {
				continue
			}
			c := Copy{
				File: r.Service + ".pem", From: r.Cluster, Node: r.Node, Issuer: r.Issuer, Fingerprint: r.Fingerprint,
				To: id, Publisher: to.Publisher, Store: r.Store, Verdict: cell.Verdict, Stale: cell.Entry,
			}
			key := fmt.Sprint(r.Fingerprint, "|", id, "|", r.Store)
			if r.Issuer != "" {
				c.File = "the CA certificates of " + CommonName(r.Issuer)
				key = fmt.Sprint(r.Issuer, "|", id, "|", r.Store)
			}
			if !at[key] {
				at[key] = true
				out = append(out, c)
			}
		}
	}
	return out
}

// String writes the copy as an instruction.
func (c Copy) String() string {
	text := fmt.Sprintf("%s of %s (%s) to %s of %s (%s)", c.File, c.Node, c.From, c.Store, c.Publisher, c.To)
	if c.Stale != "" && c.Verdict == StaleCopy {
		text += "; the old copy there is " + c.Stale
	}
	return text
}

// TrustOf judges what one cluster's stores say of the certificates that it
// meets at a peer: of tomcat those of the publisher, by which it pulls, and
// under TLS those of every node's SIP and XMPP. ok is false when the stores do
// not decide it: then a sync over the certificate has to.
//
// exchange is how long a certificate may be on its way without anything being
// wrong; 0 where certificate sync is off, so that nothing is on its way.
func TrustOf(m *mesh.Mesh, matrix Matrix, id mesh.PeerID, exchange time.Duration, now time.Time) (cond peer.Condition, ok bool) {
	to, known := m.Cluster(id.To)
	if !known {
		return peer.Condition{}, false
	}
	cond = peer.Condition{Type: peer.CertificateTrusted, Basis: peer.Measured}
	var missing, stale, pending, unvouched, ca, direct []string
	unknown := false
	for _, r := range matrix.Of(id.To) {
		if r.Pending || r.Store == "tomcat-trust" && r.Node != to.Publisher {
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
			case now.Sub(r.First) < exchange && r.Unvouched:
				unvouched = append(unvouched, what)
			case now.Sub(r.First) < exchange:
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
		cond.Status, cond.Reason = peer.False, peer.StaleCopy
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

// Pull is how one cluster's syncs of another are.
type Pull struct {
	Exchange time.Duration // how long a certificate may be on its way to it
	Works    bool          // the last success is known, and no sync is overdue
	// Unread says of a certificate that came into its store at an instant that
	// ICSA has not read it yet, by the look of things; nil never does.
	Unread func(came time.Time) bool
	// Older says that ICSA there has run since before an instant, so that it has
	// not read what came into its store then; nil never does.
	Older func(came time.Time) bool
}

// PullOf tells how a peer's syncs are from what peersync knows.
func PullOf(v *peer.View, matrix Matrix, id mesh.PeerID) Pull {
	exchange, _ := v.CertExchange(id.From)
	return Pull{exchange, v.Works(id),
		func(came time.Time) bool { return awaitsReload(v, id, came) }, func(came time.Time) bool { return v.AgentOlder(id.From, came) }}
}

// MissingSince is since when one of the certificates of a peer has been served
// and known not to be in the puller's store; zero if none is.
func (m Matrix) MissingSince(id mesh.PeerID) time.Time {
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

// TrustFindings are what the matrix says of one cluster's certificates: one
// finding per certificate, however many clusters lack it, so that one renewal
// is one notice. Of each puller it needs to know how its syncs are.
//
// A certificate that has come into a store, and that ICSA must read yet, stays
// the same finding: the cause is gone when a sync succeeds.
func TrustFindings(m *mesh.Mesh, matrix Matrix, id mesh.ClusterID, pulls func(puller mesh.ClusterID) Pull, now time.Time) []peer.Finding {
	var out []peer.Finding
	had := map[string]bool{} // by reason, certificate and store
	for _, r := range publisherFirst(m, id, matrix.Of(id)) {
		var lack, twin, unread, unreadTwin []string
		broken := false
		for i, puller := range matrix.Clusters {
			cell := r.Cells[i]
			if cell.Verdict == Unknown || cell.Verdict == "" {
				continue
			}
			pull := pulls(puller)
			if cell.Verdict != Missing && cell.Verdict != StaleCopy {
				waits := pull.Unread
				if r.Pending {
					waits = pull.Older
				}
				if c, ok := m.Cluster(id); ok && r.Node == c.Publisher && waits != nil && !cell.Came.IsZero() && waits(cell.Came) {
					if !r.Pending && r.KeyType == "ECDSA" && matrix.rsaTrusted(r, puller) {
						unreadTwin = append(unreadTwin, string(puller)) // as it was while it was missing
					} else {
						unread = append(unread, string(puller))
					}
				}
				continue
			}
			if !r.Pending && now.Sub(r.First) < pull.Exchange {
				continue
			}
			broken = broken || !pull.Works
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
			f.ID = strings.Replace(f.ID, string(reason), string(as), 1)
			for _, c := range clusters {
				f.Lacking = append(f.Lacking, mesh.ClusterID(c))
			}
			if r.Store != "tomcat-trust" {
				f.ID += ":" + r.Service
			} else if c, ok := m.Cluster(id); ok && r.Node != c.Publisher {
				f.Severity = "warning" // nobody pulls from a subscriber
			} else if !broken {
				f.Severity = "warning"
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
			f := NewFinding(NotServedYet, r.Node, r.KeyType, r.Service, fmt.Sprintf("%s has a new %s certificate (to %s) and still serves the old one; %s", r.Node, r.Service, peer.Clock(r.NotAfter), readiness(r, lack, twin, unread)))
			f.Subject, f.NotAfter = r.Subject, r.NotAfter
			out = append(out, f)
		}
	}
	return out
}

// publisherFirst puts the certificates of the publisher before the others: what
// several nodes serve is said once, and what matters is that the publisher does.
func publisherFirst(m *mesh.Mesh, id mesh.ClusterID, rows []Row) []Row {
	c, ok := m.Cluster(id)
	if !ok {
		return rows
	}
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

// StoreFindings are what a cluster's own stores hold that they should not, or
// do not hold everywhere. They need no look at anybody else.
func StoreFindings(r Record, days []int, now time.Time) []peer.Finding {
	var out []peer.Finding
	add := func(reason peer.Reason, node mesh.NodeName, store, message string) {
		f := NewFinding(reason, node, "", strings.TrimSuffix(store, "-trust"), message)
		f.ID += ":" + store
		out = append(out, f)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Trust)) {
		store := r.Trust[name]
		cas := map[string][]Entry{}
		var signed []string
		missing := map[int][]string{}
		for _, h := range store.Entries {
			switch {
			case h.CA && h.Ends.After(now):
				cas[h.Subject] = append(cas[h.Subject], h)
			case h.Signed && !h.CA:
				signed = append(signed, plain.Value(h.Subject))
			}
			for _, i := range h.Not {
				if since, ok := store.Lacks[LackOn(h.Print, i)]; ok && now.Sub(since) >= peer.ReplicationTime {
					missing[i] = append(missing[i], plain.Value(h.Subject))
				}
			}
			if limit, near := nearest(days, h.Ends.Sub(now)); h.CA && near && count(store, h.Print) > 0 {
				add(CAExpires, "", name+":"+h.Print, fmt.Sprintf("the CA %s in %s expires on %s, in less than %d days; it vouches for %d certificates of peers", plain.Name(h.Subject), name, peer.Clock(h.Ends), limit, count(store, h.Print)))
			}
		}
		for _, subject := range slices.Sorted(maps.Keys(cas)) {
			keys := map[string]bool{}
			for _, ca := range cas[subject] {
				keys[ca.Key] = true
			}
			if len(keys) > 1 { // the same key twice is a CA whose certificate was renewed
				add(CAConflict, "", name+":"+subject, fmt.Sprintf("%s holds CA certificates named %s with %d different keys", name, plain.Name(subject), len(keys)))
			}
		}
		for _, n := range store.Nodes {
			if n.Cut > 0 {
				add(peer.ValueTooLong, n.Name, name, fmt.Sprintf("%s of %s lists more entries than are looked at (%d more): what is not found among the others is not known to be missing", name, n.Name, n.Cut))
			}
			if n.Empty > 0 {
				add(EmptyStoreEntries, n.Name, name, fmt.Sprintf("%s of %s lists entries with an empty certificate (%d): nothing is there, and the others count", name, n.Name, n.Empty))
			}
		}
		if len(signed) > 0 {
			slices.Sort(signed)
			add(LeafInStore, "", name, fmt.Sprintf("%s holds %d CA-signed certificates of servers: %s", name, len(signed), plain.List(slices.Compact(signed))))
		}
		for _, i := range slices.Sorted(maps.Keys(missing)) {
			if i >= 0 && i < len(store.Nodes) {
				add(NotReplicated, store.Nodes[i].Name, name, fmt.Sprintf("%s of %s lacks %d certificates that other nodes of the cluster hold: %s", name, store.Nodes[i].Name, len(missing[i]), plain.List(missing[i])))
			}
		}
	}
	return out
}

func count(store Store, print string) int {
	n := 0
	for _, i := range store.Vouched {
		if i >= 0 && i < len(store.Entries) && store.Entries[i].Print == print {
			n++
		}
	}
	return n
}

// StaleCopies are the certificates in a cluster's stores that have the name of
// one that a peer's node has now, and are none of its present ones. They are
// listed, never deleted.
func StaleCopies(matrix Matrix, r Record) []peer.Finding {
	present, doubtful, subjects := map[string]bool{}, map[string]bool{}, map[string]mesh.NodeName{}
	for _, row := range matrix.Rows {
		present[row.Store+ShortPrint(row.Fingerprint)] = true
		if row.Unvouched { // then the one in the store may be the node's present one
			doubtful[row.Store+row.KeyType+strings.ToLower(CommonName(row.Subject))] = true
		}
		subjects[row.Store+strings.ToLower(CommonName(row.Subject))] = row.Node
	}
	var out []peer.Finding
	for _, name := range slices.Sorted(maps.Keys(r.Trust)) {
		var files []string
		for _, h := range r.Trust[name].Entries {
			keyType := "RSA"
			if h.EC {
				keyType = "ECDSA"
			}
			if _, of := subjects[name+strings.ToLower(h.Subject)]; of && !h.CA && !present[name+h.Print] && !doubtful[name+keyType+strings.ToLower(h.Subject)] {
				files = append(files, fmt.Sprintf("%s (%s, to %s)", plain.Value(h.Subject), plain.Value(cmp.Or(h.File, h.Print)), peer.Clock(h.Ends)))
			}
		}
		if len(files) == 0 {
			continue
		}
		f := NewFinding(SameSubjectOther, "", "", strings.TrimSuffix(name, "-trust"), fmt.Sprintf("%s holds %d former certificates of nodes that have another now: %s", name, len(files), plain.List(files)))
		f.ID = string(SameSubjectOther) + ":" + name
		out = append(out, f)
	}
	return out
}
