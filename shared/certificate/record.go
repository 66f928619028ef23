// Package certificate is what is known of a mesh's certificates, and what that
// comes to: who must trust which certificate and does, what a person should know,
// what may be put into which trust store, and how a certificate is renewed
// without a drop.
//
// It owns the record of one cluster's certificates and stores (CERT#cluster), the
// table of findings, the matrix of trust, the proposals of imports and reloads, and
// the timeline of a peer. Of syncs and services it asks the judgement (package
// peer), which knows nothing of certificates but the condition that comes of them.
//
// It is pure: no clock, no network, no store, no handshake. It never judges a peer's
// state and never decides whether an action is taken. It does not fail: what was not
// read is unknown, and an unknown neither clears a finding nor leads to a proposal.
package certificate

import (
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

// CertClusterRecord is the CERT#cluster item: what certcheck saw of one
// cluster's certificates and DNS servers, and the findings on them.
type Record struct {
	At time.Time `json:"at"`
	// Accepted is a short hash of what people had accepted of its nodes by then;
	// "" is nothing.
	Accepted string `json:"accepted,omitempty"`
	// Served are the certificates by node name and key type.
	Served map[mesh.NodeName]map[string]Served `json:"served,omitempty"`
	// Ports are the certificates of the SIP and XMPP ports, by node name and then
	// "5061/RSA"; read only where a peer's protocol is TLS.
	Ports map[mesh.NodeName]map[string]Served `json:"ports,omitempty"`
	// Identity are the certificates that the nodes say they have, by node name
	// and service ("tomcat-ECDSA"). One that differs from what is served waits
	// for a restart of its service.
	Identity map[mesh.NodeName]map[string]Served `json:"identity,omitempty"`
	// Trust are the cluster's trust stores by the name that people see
	// ("tomcat-trust"); a store that nobody could read is not there.
	Trust map[string]Store `json:"trust,omitempty"`
	// NoTrust is why the newest look at the stores brought nothing, or not all.
	NoTrust *NoLook `json:"noTrust,omitempty"`
	// Servers are the cluster's own DNS servers and how each answered.
	Servers  []NameServer   `json:"servers,omitempty"`
	Findings []peer.Finding `json:"findings,omitempty"`
	// Certificates and Formers are there only as the record is stored
	// (Packed): what one certificate, or one that was replaced, is wherever it
	// is, by fingerprint.
	Certificates map[string]Served `json:"certificates,omitempty"`
	Formers      map[string]Former `json:"formers,omitempty"`
}

// LastRead is when a certificate was last read over each node's own port, by the
// looks that succeeded.
func (r Record) LastRead() map[mesh.NodeName]time.Time {
	out := map[mesh.NodeName]time.Time{}
	for node, byType := range r.Served {
		for _, s := range byType {
			if s.Error == "" && s.Read.After(out[node]) {
				out[node] = s.Read
			}
		}
	}
	return out
}

// NoLook is a look that was not taken, or brought nothing.
type NoLook struct {
	Reason peer.Reason   `json:"reason"`
	Node   mesh.NodeName `json:"node,omitempty"` // "" is the whole cluster
	Detail string        `json:"detail,omitempty"`
}

// Served is one leaf certificate as a node served it.
type Served struct {
	Fingerprint string    `json:"fingerprint,omitempty"` // "sha256:…" of the DER
	Subject     string    `json:"subject,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	NotBefore   time.Time `json:"notBefore,omitzero"`
	NotAfter    time.Time `json:"notAfter,omitzero"`
	// Names are the alternative names by which a host may be meant, the cluster's
	// own nodes first; MoreNames counts those beyond the bound, which nobody looks
	// at.
	Names     []string `json:"names,omitempty"`
	MoreNames int      `json:"moreNames,omitempty"`
	// TooLong names what was cut because it was longer than any lawful one.
	TooLong    []string `json:"tooLong,omitempty"`
	SelfSigned bool     `json:"selfSigned,omitempty"`
	// Key is the short hash of its public key; "" where it was read last by a
	// release that did not keep it.
	Key string `json:"key,omitempty"`
	// First is when this very certificate was first seen here.
	First time.Time `json:"first,omitzero"`
	// Sighted is when a look first showed it, where First is from before the first
	// look at all; zero in what a release before this wrote.
	Sighted time.Time `json:"sighted,omitzero"`
	// Agreed is when the node served this very certificate and its certificate
	// management named it too, last.
	Agreed time.Time `json:"agreed,omitzero"`
	// Disputed says that what is served to Peerkeeper and what the node's
	// certificate management names differ, and not because of a renewal: it is said
	// of both (Sources).
	Disputed bool `json:"disputed,omitempty"`
	// Replaced is the fingerprint that this one took the place of, Change what
	// else differs and what follows, and Cause what it amounts to (Change.Cause).
	Replaced string      `json:"replaced,omitempty"`
	Change   string      `json:"change,omitempty"`
	Cause    peer.Reason `json:"cause,omitempty"`
	// Former is the certificate that was replaced, while the change is shown.
	Former *Former `json:"former,omitempty"`
	// MultiServer is Cisco's one certificate for every node (CN with -ms).
	MultiServer bool `json:"multiServer,omitempty"`
	// Chain is what was served above the leaf.
	Chain []peer.Issuer `json:"chain,omitempty"`
	// ChainEnds is the first end among the CAs between the certificate and its
	// root, and ChainBy the CA whose end it is; zero without such a CA. What
	// another valid way up spares does not count.
	ChainEnds time.Time `json:"chainEnds,omitzero"`
	ChainBy   string    `json:"chainBy,omitempty"`
	// RootEnds is when the last root in tls.ca ends that vouches for the
	// certificate, and RootBy that root: from then on Peerkeeper trusts nothing
	// there but pins. Zero if something below the root ends first.
	RootEnds time.Time `json:"rootEnds,omitzero"`
	RootBy   string    `json:"rootBy,omitempty"`
	// Pinned says that mesh.yaml or a person accepted this very certificate, and
	// CA that tls.ca vouches for it: by what Peerkeeper itself may log in.
	Pinned bool `json:"pinned,omitempty"`
	CA     bool `json:"ca,omitempty"`
	// Read is when it was last read.
	Read time.Time `json:"read,omitzero"`
	// Error is why the certificate could not be read now; the rest is then
	// what was read last.
	Error string `json:"error,omitempty"`
	// Unreached says that the error is that there was no connection.
	Unreached bool `json:"unreached,omitempty"`
}

// Stale reports whether the certificate has not been read for so long that
// it may have been renewed: what it said no longer counts.
func (s Served) Stale(now time.Time) bool {
	return s.Error != "" && !instant.Fresh(s.Read, now, peer.CertAge)
}

// Ends is when the certificate ends, or what its chain needs, whichever is
// first; by is the CA that ends, "" if it is the certificate itself.
func (s Served) Ends() (at time.Time, by string) {
	if !s.ChainEnds.IsZero() && s.ChainEnds.Before(s.NotAfter) {
		return s.ChainEnds, s.ChainBy
	}
	return s.NotAfter, ""
}

// NameServer is one of a cluster's DNS servers as it answered Peerkeeper.
type NameServer struct {
	Address string    `json:"address"`
	Silent  bool      `json:"silent,omitempty"`
	Since   time.Time `json:"since,omitzero"` // of being silent
}

// CertFindings lists what a person should know of a cluster's certificates at
// now: what certcheck stored, and the dates, which need no look to come true.
// One certificate is one finding, however many nodes serve it.
func CertFindings(r Record, days []int, now time.Time) []peer.Finding {
	out := slices.Clone(r.Findings)
	had := map[string]bool{}
	for _, g := range grouped(r) {
		if g.fresh(now) == 0 {
			continue
		}
		reason, f := g.dated(days, now)
		if reason == "" {
			continue
		}
		id := func(node mesh.NodeName) string { return string(reason) + ":" + string(node) + ":" + g.place }
		f.Node, f.ID = g.carrier, id(g.carrier)
		if had[f.ID] { // two certificates of one subject: each keeps its own node
			f.Node, f.ID = g.nodes[0], id(g.nodes[0])
		}
		f = completed(f, reason, "")
		had[f.ID] = true
		if reason == ChainExpired {
			// Said of every node that serves it, at the last look, and once is enough.
			out = slices.DeleteFunc(out, func(o peer.Finding) bool {
				return o.Reason == ChainExpired && slices.ContainsFunc(g.nodes, func(n mesh.NodeName) bool { return o.ID == id(n) })
			})
		}
		out = append(out, f)
	}
	out = append(out, rootFindings(r, days, now)...)
	for i := range out { // the one way out, whichever release stored them
		out[i] = out[i].Composed()
	}
	return out
}

// dated is what the dates of a certificate come to; "" if there is nothing to say.
func (g *group) dated(days []int, now time.Time) (reason peer.Reason, f peer.Finding) {
	s := g.served
	ends, by := s.Ends()
	f = peer.Finding{KeyType: g.keyType, Subject: s.Subject, NotAfter: ends}
	limit, near := nearest(days, ends.Sub(now))
	switch {
	case !now.Before(s.NotAfter):
		reason, f.Since, f.NotAfter = peer.CertificateExpired, s.NotAfter, s.NotAfter
		f.Message = fmt.Sprintf("the %s certificate of %s (%s) expired on %s", g.what, g.names(), plain.Name(s.Subject), peer.Clock(s.NotAfter))
	case now.Before(s.NotBefore):
		reason, f.Since = CertificateNotYetValid, s.First
		f.Message = fmt.Sprintf("the %s certificate of %s (%s) is valid only from %s", g.what, g.names(), plain.Name(s.Subject), peer.Clock(s.NotBefore))
	case !now.Before(ends):
		reason, f.Since = ChainExpired, ends
		f.Message = fmt.Sprintf("the %s certificate of %s (%s) needs the CA %s, which expired on %s", g.what, g.names(), plain.Name(s.Subject), plain.Name(CommonName(by)), peer.Clock(ends))
	case near && by != "":
		reason, f.Since = peer.CertificateExpiring, ends.AddDate(0, 0, -limit)
		f.Message = fmt.Sprintf("the %s certificate of %s (%s) needs the CA %s, which expires on %s, in less than %d days; the certificate itself on %s", g.what, g.names(), plain.Name(s.Subject), plain.Name(CommonName(by)), peer.Clock(ends), limit, peer.Clock(s.NotAfter))
	case near:
		reason, f.Since = peer.CertificateExpiring, ends.AddDate(0, 0, -limit)
		f.Message = fmt.Sprintf("the %s certificate of %s (%s) expires on %s, in less than %d days", g.what, g.names(), plain.Name(s.Subject), peer.Clock(ends), limit)
	default:
		return "", f
	}
	if reason == peer.CertificateExpiring && urgent(days, limit) {
		f.Severity = "critical" // it rises as time runs out
	}
	return reason, f
}

func urgent(days []int, limit int) bool { return len(days) > 1 && limit == slices.Min(days) }

// rootFindings says until when Peerkeeper can verify the nodes of a cluster by
// its roots: one finding for each root that ends and that no other in tls.ca
// makes up for.
func rootFindings(r Record, days []int, now time.Time) []peer.Finding {
	type root struct {
		ends   time.Time
		by     string
		nodes  []mesh.NodeName
		pinned bool
	}
	var roots []*root
	for _, node := range slices.Sorted(maps.Keys(r.Served)) {
		for _, keyType := range slices.Sorted(maps.Keys(r.Served[node])) {
			s := r.Served[node][keyType]
			if s.RootEnds.IsZero() || s.Stale(now) {
				continue
			}
			i := slices.IndexFunc(roots, func(x *root) bool { return x.by == s.RootBy && x.ends.Equal(s.RootEnds) })
			if i < 0 {
				i, roots = len(roots), append(roots, &root{ends: s.RootEnds, by: s.RootBy, pinned: true})
			}
			if x := roots[i]; !slices.Contains(x.nodes, node) {
				x.nodes = append(x.nodes, node)
			}
			roots[i].pinned = roots[i].pinned && s.Pinned
		}
	}
	var out []peer.Finding
	for _, x := range roots {
		limit, near := nearest(days, x.ends.Sub(now))
		if !near {
			continue
		}
		f := peer.Finding{Subject: x.by, NotAfter: x.ends, Since: x.ends.AddDate(0, 0, -limit), ID: fmt.Sprintf("%s:%s:%s", PeerkeeperGoesBlind, CommonName(x.by), x.ends.UTC().Format(time.DateOnly))}
		goes, ends := "goes", "ends"
		if !now.Before(x.ends) {
			goes, ends, f.Since = "went", "ended", x.ends
		}
		f.Message = fmt.Sprintf("Peerkeeper %s blind on %s: the root %s in tls.ca %s then, and no other root there vouches for %s", goes, peer.Clock(x.ends), plain.Name(CommonName(x.by)), ends, nodeList(x.nodes))
		if x.pinned {
			f.Message = fmt.Sprintf("the root %s in tls.ca %s on %s, and no other root there vouches for %s: what is pinned is still read, and Peerkeeper goes blind when it is renewed", plain.Name(CommonName(x.by)), ends, peer.Clock(x.ends), nodeList(x.nodes))
		}
		if urgent(days, limit) {
			f.Severity = "critical"
		}
		out = append(out, completed(f, PeerkeeperGoesBlind, ""))
	}
	return out
}

// UnreadCerts lists, as "node:RSA" or "node:5061/RSA", the ends of the ids of
// findings that may be true although none is made: of certificates that cannot
// be read now. A certificate that several nodes had is found under the first of
// all that have one of its name, which may itself be read, and be renewed.
func UnreadCerts(r Record, now time.Time) []string {
	var out []string
	for node, byType := range r.Served {
		for keyType, s := range byType {
			if s.Error != "" {
				out = append(out, string(node)+":"+keyType)
			}
		}
	}
	for _, g := range grouped(r) {
		if g.fresh(now) == 0 {
			out = append(out, string(g.carrier)+":"+g.place)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// group is one certificate with the nodes that serve it.
type group struct {
	served  Served
	keyType string
	what    string // "RSA", or "RSA (port 5061)"
	place   string // as it stands in an id: "RSA", "5061/RSA"
	nodes   []mesh.NodeName
	all     []Served
	// carrier is the first of all nodes that have a certificate of this subject:
	// it stays the same while one node after the other gets a renewed one.
	carrier mesh.NodeName
}

func (g *group) fresh(now time.Time) int {
	n := 0
	for _, s := range g.all {
		if !s.Stale(now) {
			n++
		}
	}
	return n
}

func (g *group) names() string { return nodeList(g.nodes) }

// nodeList names nodes as a person would: the first three, and how many more.
func nodeList(nodes []mesh.NodeName) string { return plain.First(3, nodes) }

// grouped sorts a cluster's served certificates by certificate.
func grouped(r Record) []*group {
	var out []*group
	take := func(served map[mesh.NodeName]map[string]Served) {
		at := map[string]*group{}
		carrier := map[string]mesh.NodeName{}
		for _, node := range slices.Sorted(maps.Keys(served)) {
			for _, place := range slices.Sorted(maps.Keys(served[node])) {
				s := served[node][place]
				if s.NotAfter.IsZero() {
					continue
				}
				subject := place + " " + s.Subject
				if carrier[subject] == "" {
					carrier[subject] = node
				}
				key := place + " " + s.Fingerprint
				g := at[key]
				if g == nil {
					keyType, what := place, place
					switch port, of, ported := strings.Cut(place, "/"); {
					case ported && port == namedPlace:
						keyType, what = of, of+" (named by certificate management, and not what is served to Peerkeeper)"
					case ported:
						keyType, what = of, fmt.Sprintf("%s (port %s)", of, port)
					}
					g = &group{served: s, place: place, keyType: keyType, what: what, carrier: carrier[subject]}
					at[key] = g
					out = append(out, g)
				}
				g.nodes, g.all = append(g.nodes, node), append(g.all, s)
			}
		}
	}
	take(r.Served)
	take(r.Ports)
	// What peers meet ends by its own date, whatever is served to Peerkeeper.
	named := map[mesh.NodeName]map[string]Served{}
	for node, byType := range r.Served {
		for keyType, s := range byType {
			if own := r.Identity[node][ServiceOf("", keyType)]; s.Disputed && own.Fingerprint != "" {
				if named[node] == nil {
					named[node] = map[string]Served{}
				}
				named[node][namedPlace+"/"+keyType] = own
			}
		}
	}
	take(named)
	return out
}

// namedPlace is the place, before the key type, of a certificate that a node's
// certificate management names and that is not served to Peerkeeper.
const namedPlace = "named"

// nearest is the smallest threshold, in days, that the time left is within.
func nearest(days []int, left time.Duration) (limit int, within bool) {
	for _, d := range days {
		if left <= time.Duration(d)*24*time.Hour && (!within || d < limit) {
			limit, within = d, true
		}
	}
	return limit, within
}

// NewLeaf reports whether a node showed peersync, after certcheck's last look, a
// certificate that certcheck has not read there: it was renewed since.
func NewLeaf(r peer.ClusterRecord, cert Record) bool {
	for node, leaf := range r.Leaves {
		if !leaf.First.After(cert.At) {
			continue // certcheck looked since, and saw what it saw
		}
		known := false
		for _, s := range cert.Served[node] {
			known = known || ShortPrint(s.Fingerprint) == leaf.Print
		}
		if !known {
			return true
		}
	}
	return false
}
