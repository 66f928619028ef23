package certificate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// Former is what is kept of a certificate that another took the place of, for
// as long as the change is shown: enough to say by what, and to say it better
// when more is known.
type Former struct {
	KeyType    string    `json:"keyType"`
	Key        string    `json:"key,omitempty"` // Served.Key
	Subject    string    `json:"subject,omitempty"`
	Issuer     string    `json:"issuer,omitempty"`
	Names      []string  `json:"names,omitempty"`
	SelfSigned bool      `json:"selfSigned,omitempty"`
	NotAfter   time.Time `json:"notAfter,omitzero"`
}

// AsFormer is what is kept of a certificate, of the key type given.
func (s Served) AsFormer(keyType string) *Former {
	return &Former{KeyType: keyType, Key: s.Key, Subject: s.Subject, Issuer: s.Issuer, Names: s.Names, SelfSigned: s.SelfSigned, NotAfter: s.NotAfter}
}

// ChangeShown is for how long a replaced certificate stays a finding.
const ChangeShown = 7 * 24 * time.Hour

// ExplainChanges says of each replaced certificate by what it was replaced, at
// every look while the change is shown: the cluster's own list of nodes (topology),
// which tells a renamed node from another cluster, can only be read after it.
func (r *Record) ExplainChanges(m *mesh.Mesh, cl *mesh.Cluster, topology peer.Fact[[]mesh.NodeName], now time.Time) {
	for spot, s := range r.Serving() {
		switch {
		case s.Former == nil:
			continue
		case now.Sub(s.First) >= ChangeShown:
			s.Former = nil
		default:
			change := changeOf(m, cl, s, spot.KeyType, topology)
			s.Cause, s.Change = change.Cause, change.String()
		}
		r.SetServed(spot, s)
	}
}

// explanation is why one certificate took the place of another: what both of them
// and the cluster's own list of nodes show, and what follows.
type explanation struct {
	// Cause is CertificateRenewed, CertificateChanged (regenerated),
	// IssuerChanged, NodeRenamed, DomainRenamed or EntryReused.
	Cause peer.Reason
	// Basis is Measured if Cause is read off the certificates' keys and issuers or
	// confirmed by the cluster's own list, Inferred if names alone tell it.
	Basis peer.Basis
	// Seen is what differs; it is measured always.
	Seen string
	// Says is the conclusion in words.
	Says string
}

func (c explanation) String() string {
	return fmt.Sprintf("measured: %s; cause, %s: %s", c.Seen, c.Basis, c.Says)
}

// changeOf says why a certificate that is served now took the place of its
// Former. topology is the cluster's own list of its nodes, read over AXL; it
// counts only if it was read after the change was seen, for what was read
// before it may be the former cluster's. Cisco's chapter "Update Intercluster
// Sync Agent Tomcat Trust Certificates" names the causes: an entry reused for a
// new cluster, a renamed host or domain, a regenerated certificate.
func changeOf(m *mesh.Mesh, cl *mesh.Cluster, is Served, keyType string, topology peer.Fact[[]mesh.NodeName]) explanation {
	was := *is.Former
	n := compareNames(certNames(was.Subject, was.Names), certNames(is.Subject, is.Names))
	sameKey := was.Key == is.Key
	seen := differences(was, is, keyType, n)

	// By the certificates alone. A key proves who answers: who has it is not
	// somebody else.
	c := explanation{Basis: peer.Measured}
	by := func(cause peer.Reason, basis peer.Basis, format string, args ...any) {
		c.Cause, c.Basis, c.Says = cause, basis, fmt.Sprintf(format, args...)
	}
	other, theirs := otherCluster(m, cl, n)
	switch renamed := n.renamed(); {
	case renamed == nameless && was.SelfSigned != is.SelfSigned, renamed == nameless && !is.SelfSigned && was.Issuer != is.Issuer:
		by(IssuerChanged, peer.Measured, "another issuer vouches for the node")
	case renamed == nameless && sameKey:
		by(CertificateRenewed, peer.Measured, "it was renewed with the key it had")
	case renamed == nameless && was.KeyType != keyType:
		by(peer.CertificateChanged, peer.Measured, "it was regenerated with another type of key")
	case renamed == nameless:
		by(peer.CertificateChanged, peer.Measured, "it was regenerated")
	case theirs && !sameKey:
		by(EntryReused, peer.Inferred, "the entry was reused for another cluster: mesh.yaml has these names as nodes of %s", other)
	case renamed == byDomain:
		by(DomainRenamed, peer.Inferred, "the domain was renamed (%s); the hosts are the same", n.domains())
	case renamed == byHost:
		by(NodeRenamed, peer.Inferred, "a host was renamed, or replaced, within its domain (%s became %s)", plain.Values(n.gone), plain.Values(n.added))
	case sameKey:
		by(NodeRenamed, peer.Measured, "host and domain were renamed: it is the same key, so the same node")
	default:
		by(EntryReused, peer.Inferred, "the entry was reused for another cluster, or host and domain were renamed at once: no name of before is left")
	}

	// The cluster's own word, where it came after.
	if nodes, ok := topology.Get(); ok && len(nodes) > 0 && topology.At.After(is.First) && n.renamed() != nameless {
		seen += fmt.Sprintf("; Presence Topology, read at %s, lists %s", plain.Time(topology.At), plain.Values(nodes))
		own := slices.ContainsFunc(nodes, func(x mesh.NodeName) bool { return declares(cl, x) })
		lists := slices.ContainsFunc(nodes, func(x mesh.NodeName) bool {
			return slices.ContainsFunc(n.added, func(a string) bool { return sameNode(a, string(x)) })
		})
		switch {
		case !own && !sameKey && !sameHosts(cl, nodes):
			by(EntryReused, peer.Measured, "the entry was reused for another cluster: the cluster that answers has none of %s's nodes%s", cl.ID, whose(m, cl, nodes))
		case !own && n.renamed() == byDomain && lists:
			by(DomainRenamed, peer.Measured, "the domain was renamed (%s): the cluster itself calls its nodes so", n.domains())
		case own && c.Cause == EntryReused && !lists:
			by(peer.CertificateChanged, peer.Measured, "it was made for other names: the cluster's list still has the nodes of %s, so it is no other cluster that answers", cl.ID)
		case own && c.Cause == EntryReused:
			by(NodeRenamed, peer.Measured, "the node was renamed: the cluster's list has the new name beside other nodes of %s", cl.ID)
		case lists && (c.Cause == NodeRenamed || c.Cause == DomainRenamed):
			c.Basis = peer.Measured
			c.Says += "; the cluster's list has the new name"
		case c.Cause == NodeRenamed || c.Cause == DomainRenamed:
			c.Says += "; the cluster's list does not have the new name yet"
		}
	}
	c.Seen = seen
	return c
}

// differences are the facts: what a person would see in the two certificates.
func differences(was Former, is Served, keyType string, n nameChange) string {
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if was.KeyType != keyType {
		say("key type %s became %s", was.KeyType, keyType)
	} else if was.Key == is.Key {
		say("the same public key")
	} else {
		say("a new public key")
	}
	switch {
	case was.SelfSigned && !is.SelfSigned:
		say("self-signed before, signed by %s now", plain.Name(is.Issuer))
	case !was.SelfSigned && is.SelfSigned:
		say("signed by %s before, self-signed now", plain.Name(was.Issuer))
	case !is.SelfSigned && was.Issuer != is.Issuer:
		say("signed by %s before, by %s now", plain.Name(was.Issuer), plain.Name(is.Issuer))
	}
	if len(n.gone) > 0 {
		say("names gone: %s", plain.Values(n.gone))
	}
	if len(n.added) > 0 {
		say("names added: %s", plain.Values(n.added))
	}
	if len(n.gone)+len(n.added) == 0 {
		say("the same names")
	}
	if !was.NotAfter.IsZero() && !was.NotAfter.Equal(is.NotAfter) {
		say("ends %s, before %s", is.NotAfter.UTC().Format(time.DateOnly), was.NotAfter.UTC().Format(time.DateOnly))
	}
	return strings.Join(parts, ", ")
}

func texts(nodes []mesh.NodeName) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = string(n)
	}
	return out
}

// nameChange is what became of the names of a certificate. Gone and added are
// names of nodes; a parent domain among the names (Cisco's signing requests add
// it) is nobody's name.
type nameChange struct{ gone, added, kept []string }

// What the names tell of a rename.
type renaming int

const (
	nameless  renaming = iota // none: all are there still, or some were left out
	byDomain                  // the same host under another domain
	byHost                    // another host of the same domain
	byNothing                 // no host or domain in common
)

// certNames are the names of a certificate in lower case, without parent domains; its
// CN where it has no other.
func certNames(subject string, names []string) []string {
	var all []string
	for _, n := range names {
		all = append(all, strings.ToLower(strings.TrimSuffix(n, ".")))
	}
	if len(all) == 0 {
		cn := strings.ToLower(CommonName(subject))
		host, domain, dotted := strings.Cut(cn, ".")
		host = strings.TrimSuffix(host, "-ms") // Cisco's mark of a multi-server certificate
		if dotted {
			host += "." + domain
		}
		all = append(all, host)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(slices.Clone(all), func(n string) bool {
		return slices.ContainsFunc(all, func(o string) bool { return strings.HasSuffix(o, "."+n) && !address(o) && !strings.HasPrefix(o, "*.") })
	})
}

func address(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

func compareNames(before, after []string) nameChange {
	var c nameChange
	for _, b := range before {
		if slices.ContainsFunc(after, func(a string) bool { return covers(a, b) }) {
			c.kept = append(c.kept, b)
		} else {
			c.gone = append(c.gone, b)
		}
	}
	for _, a := range after {
		if !slices.ContainsFunc(before, func(b string) bool { return covers(b, a) }) {
			c.added = append(c.added, a)
		}
	}
	return c
}

// covers compares as TLS does: a wildcard stands for one label.
func covers(pattern, name string) bool {
	if rest, wild := strings.CutPrefix(pattern, "*."); wild {
		_, domain, _ := strings.Cut(name, ".")
		return pattern == name || domain == rest && !address(name)
	}
	return pattern == name
}

// parts are host and domain; an address has no domain to share.
func parts(name string) (host, domain string) {
	if address(name) {
		return name, ""
	}
	host, domain, _ = strings.Cut(name, ".")
	return host, domain
}

func (c nameChange) renamed() renaming {
	if len(c.gone) == 0 || len(c.added) == 0 {
		return nameless
	}
	hosts, domains := false, false
	for _, g := range c.gone {
		gh, gd := parts(g)
		for _, a := range c.added {
			ah, ad := parts(a)
			hosts = hosts || gh == ah
			domains = domains || gd != "" && gd == ad
		}
	}
	switch {
	case hosts:
		return byDomain
	case domains:
		return byHost
	case len(c.kept) > 0:
		return nameless // one stranger for another, and the rest is as it was
	}
	return byNothing
}

// domains names the domains that hosts moved between.
func (c nameChange) domains() string {
	var out []string
	for _, g := range c.gone {
		gh, gd := parts(g)
		for _, a := range c.added {
			if ah, ad := parts(a); gh == ah {
				text := fmt.Sprintf("%s became %s", plain.Value(orNone(gd)), plain.Value(orNone(ad)))
				if !slices.Contains(out, text) {
					out = append(out, text)
				}
			}
		}
	}
	return plain.List(out)
}

func orNone(domain string) string {
	if domain == "" {
		return "none"
	}
	return domain
}

// otherCluster is the one other cluster of mesh.yaml that all added names
// belong to, where none of the certificate's names is this cluster's.
func otherCluster(m *mesh.Mesh, cl *mesh.Cluster, n nameChange) (mesh.ClusterID, bool) {
	if len(n.added) == 0 || len(n.kept) > 0 {
		return "", false
	}
	var out mesh.ClusterID
	for _, name := range n.added {
		owner, known := ownerOf(m, name)
		if !known || owner == cl.ID || out != "" && out != owner {
			return "", false
		}
		out = owner
	}
	return out, true
}

func ownerOf(m *mesh.Mesh, name string) (mesh.ClusterID, bool) {
	for i := range m.Clusters {
		for _, node := range m.Clusters[i].Nodes {
			if strings.EqualFold(string(node.Name), name) {
				return m.Clusters[i].ID, true
			}
		}
	}
	return "", false
}

// sameNode reports whether two names are one node's: equal, or one of them a
// bare host name (Presence Topology shows either).
func sameNode(a, b string) bool {
	ah, ad := parts(strings.ToLower(a))
	bh, bd := parts(strings.ToLower(b))
	return ah == bh && (ad == bd || ad == "" || bd == "")
}

func declares(cl *mesh.Cluster, name mesh.NodeName) bool {
	return slices.ContainsFunc(cl.Nodes, func(n mesh.Node) bool { return sameNode(string(n.Name), string(name)) })
}

// sameHosts reports whether the list has a host of the cluster under another
// domain.
func sameHosts(cl *mesh.Cluster, nodes []mesh.NodeName) bool {
	return slices.ContainsFunc(nodes, func(x mesh.NodeName) bool {
		host, _ := parts(strings.ToLower(string(x)))
		return slices.ContainsFunc(cl.Nodes, func(n mesh.Node) bool {
			own, _ := parts(strings.ToLower(string(n.Name)))
			return own == host
		})
	})
}

// whose says to which cluster of mesh.yaml all listed nodes belong, if to one.
func whose(m *mesh.Mesh, cl *mesh.Cluster, nodes []mesh.NodeName) string {
	if other, ok := otherCluster(m, cl, nameChange{added: texts(nodes)}); ok {
		return fmt.Sprintf("; mesh.yaml has them as nodes of %s", other)
	}
	return ""
}
