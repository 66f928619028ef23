package peer

import (
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// CertRecord is the PEER#…#CERT item: the two conditions that certcheck judges.
type CertRecord struct {
	Conditions []Condition `json:"conditions"`
	// LeafFirst is since when the remote publisher has served its present
	// certificate, as far as is known.
	LeafFirst time.Time `json:"leafFirst,omitzero"`
	// LeafSeen is when a look first showed that certificate: only a sync after it
	// says anything of it.
	LeafSeen time.Time `json:"leafSeen,omitzero"`
	// LeafEnds is when that certificate expires: no look is needed for that.
	LeafEnds time.Time `json:"leafEnds,omitzero"`
	// Standing is since when what is at fault has been: each name, each certificate.
	Standing Standing `json:"standing,omitempty"`
	// Observed is when certcheck last looked at both ends; it is kept by
	// certcheck's own CERT items and filled in when the record is read.
	Observed time.Time `json:"-"`
}

// CertLook is how often certcheck looks at each cluster of itself.
const CertLook = 6 * time.Hour

// CertAge is how long what certcheck saw stays usable: two of its looks.
const CertAge = 2 * CertLook

// trustedNow answers what certcheck had to leave open at its last look: the
// certificate may have expired since, ICSA may have said that it refuses it, and a
// sync that succeeded over the certificate now served shows that the puller trusts it.
func trustedNow(v *View, id mesh.PeerID, c Condition, cert CertRecord, memory SyncRecord) Condition {
	if c.Status != False && !cert.LeafEnds.IsZero() && !v.Now.Before(cert.LeafEnds) {
		c.Status, c.Reason, c.Basis, c.Since = False, CertificateExpired, Measured, cert.LeafEnds
		c.Message = "the certificate that " + string(id.To) + "'s publisher serves expired on " + plain.Time(cert.LeafEnds)
		return c
	}
	if c.Status == False && c.Reason == CertificateExpired && !cert.LeafEnds.IsZero() && cert.LeafEnds.Before(c.Since) {
		c.Since = cert.LeafEnds // not when certcheck came by
	}
	if c.Status != False && c.Reason != TrustNotReloaded && c.Reason != ExchangePending { // those say why ICSA refuses it
		l := v.link(id)
		if is, refused := l.causeLogged(CertificateTrusted, memory); refused {
			c.Status, c.Reason, c.Basis, c.Message = is.status, is.reason, is.basis, is.message
			c.Since = l.puller.said(Word{At: l.words().Failing})
			return c
		}
	}
	if c.Reason != TrustNotRead || cert.LeafFirst.IsZero() {
		return c
	}
	to, ok := v.Mesh.Cluster(id.To)
	if !ok || !v.SyncedSince(id, instant.Later(cert.LeafFirst, cert.LeafSeen)) {
		return c
	}
	c.Status, c.Reason, c.Basis = True, SyncedOverServedLeaf, Inferred
	c.Message = "a sync succeeded over the certificate that " + string(to.Publisher) + " serves now; the trust store itself is not read"
	c.Since = instant.Later(cert.LeafFirst, cert.LeafSeen)
	return c
}
