package peer

import (
	"strings"

	"peerkeeper/shared/mesh"
)

// Intercluster peers must agree on two things: the default (proxy) domain, and
// the IM address scheme. Other domains in users' addresses are lawful: a user ID
// may be a mail address, and in the Directory URI scheme every user may have a
// domain of their own. How many there are is information.

// addressing is what a cluster's publisher tells of both; "" is not told.
func (e *end) addressing() (domain string, scheme mesh.AddressScheme) {
	params, _ := e.record.Seen.Nodes[e.Publisher].Parameters.Get()
	return strings.TrimSpace(params[ParamDomain]), schemeOf(params[ParamScheme])
}

// Addressing is what a cluster tells of its default domain and its IM address
// scheme; "" is not told.
func (v *View) Addressing(id mesh.ClusterID) (domain string, scheme mesh.AddressScheme) {
	if e := v.ends[id]; e != nil {
		return e.addressing()
	}
	return "", ""
}

// schemeOf reads a scheme as a page, a table or mesh.yaml may spell it; "" where
// it says neither.
func schemeOf(value string) mesh.AddressScheme {
	v := strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(value))
	switch {
	case strings.HasPrefix(v, "userid"):
		return mesh.SchemeUserID
	case strings.HasPrefix(v, "directoryuri"):
		return mesh.SchemeDirectoryURI
	}
	return ""
}

func schemeWords(s mesh.AddressScheme) string {
	if s == mesh.SchemeDirectoryURI {
		return "Directory URI"
	}
	return "UserID@[Default_Domain]"
}

// schemesDiffer compares what both ends tell. What one of them does not tell is
// not compared.
func (l *link) schemesDiffer() (verdict, bool) {
	here, mine := l.puller.addressing()
	there, theirs := l.home.addressing()
	switch {
	case mine != "" && theirs != "" && mine != theirs:
		return no(AddressSchemeDiffers, Measured, "%s makes IM addresses by the scheme %s, %s by %s; all peers must use one", l.id.From, schemeWords(mine), l.id.To, schemeWords(theirs)), true
	case here != "" && there != "" && !mesh.SameName(here, there):
		return no(DomainDiffers, Measured, "the default domain of %s is %s, that of %s is %s; intercluster peers share one", l.id.From, here, l.id.To, there), true
	}
	return verdict{}, false
}

func (l *link) compatible(memory SyncRecord) verdict {
	if v, differ := l.schemesDiffer(); differ {
		return v
	}
	if l.hasEntry && l.entry.HasError && l.entry.Error == ErrorDomain {
		return no(DomainConflict, Cisco, "ICSA of %s reports a domain conflict with %s; it retries every 30 min", l.id.From, l.id.To)
	}
	if v, logged := l.causeLogged(Compatible, memory); logged {
		return v
	}
	return yes(DomainsMatch, Declared, "both declared in domain %s; no conflict reported", l.Mesh.Domain)
}
