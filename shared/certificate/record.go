package certificate

import (
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// Record is the CERT#cluster item: what certcheck saw of one
// cluster's certificates and DNS servers, and the findings on them.
type Record struct {
	At time.Time `json:"at"`
	// Accepted is a short hash of what people had accepted of its nodes by then;
	// "" is nothing.
	Accepted string `json:"accepted,omitempty"`
	// Served are the certificates on 8443, by node name and key type.
	Served map[mesh.NodeName]map[Place]Served `json:"served,omitempty"`
	// Ports are the certificates of the SIP and XMPP ports, by node name and
	// place; read only where a peer's protocol is TLS.
	Ports map[mesh.NodeName]map[Place]Served `json:"ports,omitempty"`
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
	for spot, s := range r.Serving() {
		if spot.Port == "" && s.Error == "" && s.Read.After(out[spot.Node]) {
			out[spot.Node] = s.Read
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
	// Key is the short hash of its public key.
	Key string `json:"key,omitempty"`
	// First is since when it may have been served: since the look that first showed
	// it, or since it was made if that was the first look at all.
	First time.Time `json:"first,omitzero"`
	// Sighted is when a look first showed it.
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

// Outdated reports whether a node showed peersync, after certcheck's last look, a
// certificate that certcheck has not read there: it was renewed since.
func (r Record) Outdated(leaves map[mesh.NodeName]peer.Leaf) bool {
	for node, leaf := range leaves {
		if !leaf.First.After(r.At) {
			continue // certcheck looked since, and saw what it saw
		}
		known := false
		for _, s := range r.Served[node] {
			known = known || ShortPrint(s.Fingerprint) == leaf.Print
		}
		if !known {
			return true
		}
	}
	return false
}
