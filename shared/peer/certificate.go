package peer

import (
	"time"

	"peerkeeper/shared/mesh"
)

// CertClusterRecord is the CERT#cluster item: what certcheck saw of one
// cluster's certificates and DNS servers, and the findings on them.
type CertClusterRecord struct {
	At time.Time `json:"at"`
	// Served are the certificates by node name and key type.
	Served map[mesh.NodeName]map[string]Served `json:"served,omitempty"`
	// Servers are the cluster's own DNS servers and how each answered.
	Servers  []NameServer `json:"servers,omitempty"`
	Findings []Finding    `json:"findings,omitempty"`
}

// Served is one leaf certificate as a node served it.
type Served struct {
	Fingerprint string    `json:"fingerprint"` // "sha256:…" of the DER
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	NotBefore   time.Time `json:"notBefore"`
	NotAfter    time.Time `json:"notAfter"`
	Names       []string  `json:"names,omitempty"` // every SAN
	SelfSigned  bool      `json:"selfSigned,omitempty"`
	// First is when this very certificate was first seen here.
	First time.Time `json:"first"`
	// Error is why the certificate could not be read now; the rest is then
	// what was read last.
	Error string `json:"error,omitempty"`
}

// NameServer is one of a cluster's DNS servers as it answered Peerkeeper.
type NameServer struct {
	Address string    `json:"address"`
	Silent  bool      `json:"silent,omitempty"`
	Since   time.Time `json:"since,omitzero"` // of being silent
}
