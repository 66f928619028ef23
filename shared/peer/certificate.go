package peer

import (
	"fmt"
	"maps"
	"slices"
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
	// Replaced is the fingerprint that this one took the place of, and Change
	// what else differs.
	Replaced string `json:"replaced,omitempty"`
	Change   string `json:"change,omitempty"`
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
	return s.Error != "" && now.Sub(s.Read) > certAge
}

// NameServer is one of a cluster's DNS servers as it answered Peerkeeper.
type NameServer struct {
	Address string    `json:"address"`
	Silent  bool      `json:"silent,omitempty"`
	Since   time.Time `json:"since,omitzero"` // of being silent
}

// RenewFix is where Cisco renews a node's tomcat certificate.
const RenewFix = "Cisco Unified IM and Presence OS Administration of the node > Security > Certificate Management > tomcat (or tomcat-ECDSA): generate or upload a new certificate; before it is served, give the new one to every peer cluster's tomcat-trust"

// CertFindings lists what a person should know of a cluster's certificates at
// now: what certcheck stored, and the expiries, which need no look to come true.
func CertFindings(r CertClusterRecord, days []int, now time.Time) []Finding {
	out := slices.Clone(r.Findings)
	for _, node := range slices.Sorted(maps.Keys(r.Served)) {
		for _, keyType := range slices.Sorted(maps.Keys(r.Served[node])) {
			s := r.Served[node][keyType]
			if s.NotAfter.IsZero() || s.Stale(now) {
				continue
			}
			f := Finding{Node: node, KeyType: keyType, Subject: s.Subject, NotAfter: s.NotAfter, Fix: RenewFix}
			id := string(node) + ":" + keyType
			left := s.NotAfter.Sub(now)
			switch limit, near := nearest(days, left); {
			case left <= 0:
				f.ID, f.Severity, f.Reason, f.Since = "CertificateExpired:"+id, "critical", CertificateExpired, s.NotAfter
				f.Message = fmt.Sprintf("the %s certificate of %s (%s) expired on %s", keyType, node, s.Subject, clock(s.NotAfter))
			case near:
				f.ID, f.Severity, f.Reason = "CertificateExpiring:"+id, "warning", CertificateExpires
				f.Since = s.NotAfter.AddDate(0, 0, -limit)
				f.Message = fmt.Sprintf("the %s certificate of %s (%s) expires on %s, in less than %d days", keyType, node, s.Subject, clock(s.NotAfter), limit)
			default:
				continue
			}
			out = append(out, f)
		}
	}
	return out
}

// nearest is the smallest threshold, in days, that the time left is within.
func nearest(days []int, left time.Duration) (limit int, within bool) {
	for _, d := range days {
		if left <= time.Duration(d)*24*time.Hour && (!within || d < limit) {
			limit, within = d, true
		}
	}
	return limit, within
}
