package certcheck

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/tlsprobe"
)

// Bounds of what is kept, looked at and said of one certificate: the one who made it
// chose how much that is. No lawful one comes near them but for the names, of
// which a cluster of six nodes has a dozen.
const (
	maxNames   = 100 // kept, and asked of each DNS server
	maxSubject = 300 // runes of a subject or an issuer
	maxAbove   = 9   // certificates kept of a chain, above the leaf: as many as are read
	maxName    = 253 // runes kept of one name, as many as a name in DNS may have
	shownName  = 120 // runes of a name in a sentence
	maxWhy     = 400 // runes of why a certificate could not be read
)

// The fields of a certificate that may be cut, as a finding names them.
const (
	fieldNames   = "names of the certificate"
	fieldName    = "name in the certificate"
	fieldSubject = "subject of the certificate"
	fieldIssuer  = "issuer of the certificate"
	fieldChain   = "chain of the certificate"
)

// bounded cuts what a certificate says about itself to its bounds, and notes
// what was cut.
func bounded(cl *mesh.Cluster, s *certificate.Served) {
	cut := func(field string) {
		if !slices.Contains(s.TooLong, field) {
			s.TooLong = append(s.TooLong, field)
		}
	}
	text := func(field, value string, most int) string {
		cutValue := short(value, most)
		if cutValue != value {
			cut(field)
		}
		return cutValue
	}
	s.ChainBy, s.RootBy = text(fieldChain, s.ChainBy, maxSubject), text(fieldChain, s.RootBy, maxSubject)
	s.Subject, s.Issuer = text(fieldSubject, s.Subject, maxSubject), text(fieldIssuer, s.Issuer, maxSubject)
	more := 0
	s.Names, more = firstNames(cl, s.Names)
	s.MoreNames += more
	if s.MoreNames > 0 {
		cut(fieldNames)
	}
	for i, n := range s.Names {
		s.Names[i] = text(fieldName, n, maxName)
	}
	if len(s.Chain) > maxAbove {
		s.Chain = s.Chain[:maxAbove]
		cut(fieldChain)
	}
	for i := range s.Chain {
		s.Chain[i].Subject = text(fieldChain, s.Chain[i].Subject, maxSubject)
	}
}

// short is a text of at most so many runes; one that is not longer stays as it
// is, whatever is in it.
func short(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return plain.Line(s, most)
}

// firstNames are the names of a certificate that are kept: the cluster's own
// nodes first, then what can be a server's, each in the certificate's order; and
// how many more there are.
func firstNames(cl *mesh.Cluster, names []string) (first []string, more int) {
	if len(names) <= maxNames {
		return names, 0
	}
	own := map[string]bool{}
	add := func(n mesh.Node) {
		own[dnsname.Canonical(string(n.Name))], own[dnsname.Canonical(n.ServerName())] = true, true
	}
	for _, n := range cl.Nodes {
		add(n)
	}
	if cl.CUCM != nil {
		add(*cl.CUCM)
	}
	rank := func(name string) int {
		switch {
		case own[dnsname.Canonical(name)]:
			return 0
		case dnsname.IsHost(name):
			return 1
		}
		return 2
	}
	first = slices.Clone(names)
	slices.SortStableFunc(first, func(a, b string) int { return rank(a) - rank(b) })
	return first[:maxNames:maxNames], len(names) - maxNames
}

// oddNames are the names of a certificate that can be no host's, quoted.
func oddNames(leaf *x509.Certificate) []string {
	var out []string
	for _, n := range tlsprobe.Names(leaf) {
		if !dnsname.IsHost(n) && !dnsname.IsWildcard(n) && !dnsname.IsAddress(n) {
			out = append(out, plain.Quote(n, shownName))
		}
	}
	return out
}

// tooLong says what was cut of a certificate at its bound.
func (x subject) tooLong(f *finder) {
	if len(x.s.TooLong) == 0 {
		return
	}
	one := x.of(peer.ValueTooLong, "%s is longer, or has more, than any lawful one: %s; Peerkeeper looks at the beginning only", x.what(), strings.Join(x.s.TooLong, ", "))
	if more := x.s.MoreNames; more > 0 {
		one = x.of(peer.ValueTooLong, "%s is longer, or has more, than any lawful one: %s; of its %d names the first %d are looked at", x.what(), strings.Join(x.s.TooLong, ", "), len(x.s.Names)+more, len(x.s.Names))
	}
	f.add(one)
}

// tooLarge says what of a cluster's record was cut so that it can be kept at all.
func tooLarge(cl *mesh.Cluster, cut []string, prev []peer.Finding, now time.Time) peer.Finding {
	x := certificate.NewFinding(peer.ValueTooLong, "", "", "", fmt.Sprintf("the certificates and trust stores of %s are more than can be kept; not kept, and so not known: %s", cl.ID, plain.List(cut)))
	x.ID = x.ID.And("record")
	f := &finder{prev: prev, now: now}
	f.add(x)
	return f.out[0]
}
