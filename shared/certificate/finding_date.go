package certificate

import (
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// Findings lists what a person should know of a cluster's certificates now: what
// certcheck stored, and the dates, which need no look to come true.
// One certificate is one finding, however many nodes serve it.
func (v *View) Findings(id mesh.ClusterID) []peer.Finding {
	r, days, now := v.Records[id], v.Mesh.Policy.Thresholds.CertificateDays, v.Now
	out := slices.Clone(r.Findings)
	had := map[peer.FindingID]bool{}
	for _, g := range grouped(r) {
		if !g.fresh(now) {
			continue
		}
		reason, f := g.dated(days, now)
		if reason == "" {
			continue
		}
		idOn := func(node mesh.NodeName) peer.FindingID { return peer.IDOf(reason, string(node), g.place.String()) }
		f.Node, f.ID = g.carrier, idOn(g.carrier)
		if had[f.ID] { // two certificates of one subject: each keeps its own node
			f.Node, f.ID = g.nodes[0], idOn(g.nodes[0])
		}
		f = completed(f, reason, "")
		had[f.ID] = true
		if reason == ChainExpired {
			// Said of every node that serves it, at the last look, and once is enough.
			out = slices.DeleteFunc(out, func(o peer.Finding) bool {
				return o.Reason == ChainExpired && slices.ContainsFunc(g.nodes, func(n mesh.NodeName) bool { return o.ID == idOn(n) })
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
	f = peer.Finding{KeyType: g.place.KeyType, Subject: s.Subject, NotAfter: ends}
	limit, near := nearest(days, ends.Sub(now))
	switch {
	case !now.Before(s.NotAfter):
		reason, f.Since, f.NotAfter = peer.CertificateExpired, s.NotAfter, s.NotAfter
		f.Message = fmt.Sprintf("the %s certificate of %s (%s) expired on %s", g.what, g.names(), plain.Name(s.Subject), plain.Time(s.NotAfter))
	case now.Before(s.NotBefore):
		reason, f.Since = CertificateNotYetValid, s.First
		f.Message = fmt.Sprintf("the %s certificate of %s (%s) is valid only from %s", g.what, g.names(), plain.Name(s.Subject), plain.Time(s.NotBefore))
	case !now.Before(ends):
		reason, f.Since = ChainExpired, ends
		f.Message = fmt.Sprintf("the %s certificate of %s (%s) needs the CA %s, which expired on %s", g.what, g.names(), plain.Name(s.Subject), plain.Name(CommonName(by)), plain.Time(ends))
	case near && by != "":
		reason, f.Since = peer.CertificateExpiring, ends.AddDate(0, 0, -limit)
		f.Message = fmt.Sprintf("the %s certificate of %s (%s) needs the CA %s, which expires on %s, in less than %d days; the certificate itself on %s", g.what, g.names(), plain.Name(s.Subject), plain.Name(CommonName(by)), plain.Time(ends), limit, plain.Time(s.NotAfter))
	case near:
		reason, f.Since = peer.CertificateExpiring, ends.AddDate(0, 0, -limit)
		f.Message = fmt.Sprintf("the %s certificate of %s (%s) expires on %s, in less than %d days", g.what, g.names(), plain.Name(s.Subject), plain.Time(ends), limit)
	default:
		return "", f
	}
	if reason == peer.CertificateExpiring && urgent(days, limit) {
		f.Severity = peer.Critical // it rises as time runs out
	}
	return reason, f
}

func urgent(days []int, limit int) bool { return len(days) > 1 && limit == slices.Min(days) }

// nearest is the smallest threshold, in days, that the time left is within.
func nearest(days []int, left time.Duration) (limit int, within bool) {
	for _, d := range days {
		if left <= time.Duration(d)*24*time.Hour && (!within || d < limit) {
			limit, within = d, true
		}
	}
	return limit, within
}

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
	for spot, s := range r.Serving() {
		if spot.Port != "" || s.RootEnds.IsZero() || s.Stale(now) {
			continue
		}
		i := slices.IndexFunc(roots, func(x *root) bool { return x.by == s.RootBy && x.ends.Equal(s.RootEnds) })
		if i < 0 {
			i, roots = len(roots), append(roots, &root{ends: s.RootEnds, by: s.RootBy, pinned: true})
		}
		if x := roots[i]; !slices.Contains(x.nodes, spot.Node) {
			x.nodes = append(x.nodes, spot.Node)
		}
		roots[i].pinned = roots[i].pinned && s.Pinned
	}
	var out []peer.Finding
	for _, x := range roots {
		limit, near := nearest(days, x.ends.Sub(now))
		if !near {
			continue
		}
		f := peer.Finding{Subject: x.by, NotAfter: x.ends, Since: x.ends.AddDate(0, 0, -limit), ID: peer.IDOf(PeerkeeperGoesBlind, CommonName(x.by), x.ends.UTC().Format(time.DateOnly))}
		goes, ends := "goes", "ends"
		if !now.Before(x.ends) {
			goes, ends, f.Since = "went", "ended", x.ends
		}
		f.Message = fmt.Sprintf("Peerkeeper %s blind on %s: the root %s in tls.ca %s then, and no other root there vouches for %s", goes, plain.Time(x.ends), plain.Name(CommonName(x.by)), ends, nodeList(x.nodes))
		if x.pinned {
			f.Message = fmt.Sprintf("the root %s in tls.ca %s on %s, and no other root there vouches for %s: what is pinned is still read, and Peerkeeper goes blind when it is renewed", plain.Name(CommonName(x.by)), ends, plain.Time(x.ends), nodeList(x.nodes))
		}
		if urgent(days, limit) {
			f.Severity = peer.Critical
		}
		out = append(out, completed(f, PeerkeeperGoesBlind, ""))
	}
	return out
}

// Unread lists, as "node:RSA" or "node:5061/RSA", the ends of the ids of
// findings that may be true although none is made: of certificates that cannot
// be read now. A certificate that several nodes had is found under the first of
// all that have one of its name, which may itself be read, and be renewed.
func (r Record) Unread(now time.Time) []string {
	var out []string
	for spot, s := range r.Serving() {
		if spot.Port == "" && s.Error != "" {
			out = append(out, string(spot.Node)+":"+spot.Place.String())
		}
	}
	for _, g := range grouped(r) {
		if !g.fresh(now) {
			out = append(out, string(g.carrier)+":"+g.place.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// group is one certificate with the nodes that serve it.
type group struct {
	served Served
	place  Place
	what   string // "RSA", or "RSA (port 5061)"
	nodes  []mesh.NodeName
	all    []Served
	// carrier is the first of all nodes that have a certificate of this subject:
	// it stays the same while one node after the other gets a renewed one.
	carrier mesh.NodeName
}

// fresh reports whether some node's reading of it still counts.
func (g *group) fresh(now time.Time) bool {
	return slices.ContainsFunc(g.all, func(s Served) bool { return !s.Stale(now) })
}

func (g *group) names() string { return nodeList(g.nodes) }

// nodeList names nodes as a person would: the first three, and how many more.
func nodeList(nodes []mesh.NodeName) string { return plain.First(3, nodes) }

// grouped sorts a cluster's served certificates by certificate: those on 8443, those
// on other ports, and what certificate management names where that is not what is
// served to Peerkeeper. For what peers meet ends by its own date.
func grouped(r Record) []*group {
	var out []*group
	at, carrier := map[string]*group{}, map[string]mesh.NodeName{}
	take := func(spot Spot, s Served) {
		if s.NotAfter.IsZero() {
			return
		}
		subject := spot.Place.String() + " " + s.Subject
		if carrier[subject] == "" {
			carrier[subject] = spot.Node
		}
		key := spot.Place.String() + " " + s.Fingerprint
		g := at[key]
		if g == nil {
			g = &group{served: s, place: spot.Place, what: spot.KeyType, carrier: carrier[subject]}
			switch spot.Port {
			case "":
			case namedPlace:
				g.what += " (named by certificate management, and not what is served to Peerkeeper)"
			default:
				g.what += fmt.Sprintf(" (port %s)", spot.Port)
			}
			at[key] = g
			out = append(out, g)
		}
		g.nodes, g.all = append(g.nodes, spot.Node), append(g.all, s)
	}
	for spot, s := range r.Serving() {
		take(spot, s)
		if own := r.Identity[spot.Node][spot.Service()]; spot.Port == "" && s.Disputed && own.Fingerprint != "" {
			take(Spot{spot.Node, Place{namedPlace, spot.KeyType}}, own)
		}
	}
	rank := func(g *group) int {
		switch g.place.Port {
		case "":
			return 0
		case namedPlace:
			return 2
		}
		return 1
	}
	slices.SortStableFunc(out, func(a, b *group) int { return rank(a) - rank(b) })
	return out
}

// namedPlace stands in the place of a port for a certificate that a node's
// certificate management names and that is not served to Peerkeeper.
const namedPlace = "named"
