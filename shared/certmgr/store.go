package certmgr

import (
	"slices"
	"strings"
)

// Service is the identity name of a certificate. The interface takes this
// name for the trust store as well: tomcat, where the pages and the command
// line say tomcat-trust [V].
type Service string

// The services of an IM and Presence node. The names are those of its
// certificate pages [V].
const (
	Tomcat          Service = "tomcat"
	TomcatECDSA     Service = "tomcat-ECDSA"
	CUP             Service = "cup"
	CUPECDSA        Service = "cup-ECDSA"
	CUPXMPP         Service = "cup-xmpp"
	CUPXMPPECDSA    Service = "cup-xmpp-ECDSA"
	CUPXMPPS2S      Service = "cup-xmpp-s2s"
	CUPXMPPS2SECDSA Service = "cup-xmpp-s2s-ECDSA"
	IPsec           Service = "ipsec"
)

// Evidence says how sure a row of the table is.
type Evidence string

// The marks, as in the package comment.
const (
	Verified   Evidence = "verified"
	ThirdParty Evidence = "thirdParty"
	Inferred   Evidence = "inferred"
)

// Store tells where an identity's peers are trusted.
type Store struct {
	Identity     Service
	TrustStore   string   // as people see it
	TrustService Service  // what the interface calls that store
	MultiServer  bool     // one certificate with the names of every node is possible
	UsedBy       string   // what breaks without it
	Names        Evidence // of Identity, TrustStore and MultiServer (Administration and Security guides)
	Value        Evidence // that the interface takes TrustService for this store
}

// Stores is the one table of identities and trust stores.
func Stores() []Store {
	const (
		tomcat  = "8443 and 443: AXL, ICSA, the web pages"
		proxy   = "SIP Proxy, Presence Engine: intercluster SIP under TLS"
		router  = "XCP Router, clients, router to router"
		federal = "XMPP federation"
	)
	return []Store{
		{Tomcat, "tomcat-trust", Tomcat, true, tomcat, Verified, Verified}, // the value is in Cisco's getting-started sample
		{TomcatECDSA, "tomcat-trust", Tomcat, true, tomcat, Verified, Inferred},
		{CUP, "cup-trust", CUP, false, proxy, Verified, Inferred},
		{CUPECDSA, "cup-trust", CUP, false, proxy, Verified, Inferred},
		{CUPXMPP, "cup-xmpp-trust", CUPXMPP, true, router, Verified, Inferred},
		{CUPXMPPECDSA, "cup-xmpp-trust", CUPXMPP, true, router, Verified, Inferred},
		{CUPXMPPS2S, "cup-xmpp-trust", CUPXMPP, true, federal, Verified, Inferred},
		{CUPXMPPS2SECDSA, "cup-xmpp-trust", CUPXMPP, true, federal, Verified, Inferred},
		{IPsec, "ipsec-trust", IPsec, false, "IPsec policies", Verified, Inferred},
	}
}

// StoreOf is the row of an identity, by its name without regard to case.
func StoreOf(service Service) (Store, bool) {
	stores := Stores()
	i := slices.IndexFunc(stores, func(s Store) bool { return strings.EqualFold(string(s.Identity), string(service)) })
	if i < 0 {
		return Store{}, false
	}
	return stores[i], true
}

// restService is what the interface calls the store behind a service; a name
// that is not in the table goes as it is.
func restService(service Service) Service {
	if store, known := StoreOf(service); known {
		return store.TrustService
	}
	return service
}

// check refuses what cannot be a service before it becomes part of an address.
func (s Service) check() error {
	if s == "" || len(s) > 64 || strings.ContainsFunc(string(s), func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}) {
		return &InputError{"not the name of a service, such as tomcat"}
	}
	if strings.HasSuffix(strings.ToLower(string(s)), "-trust") {
		return &InputError{"a store is named by its service: tomcat, not tomcat-trust"}
	}
	return nil
}
