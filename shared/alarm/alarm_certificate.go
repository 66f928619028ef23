package alarm

import (
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/peer"
)

// The alarms on certificates.
const (
	CertificateExpired    = "CertificateExpired"
	CertificateNotTrusted = "CertificateNotTrusted"
	CertificateExpiring   = "CertificateExpiring"
	PeerkeeperGoesBlind   = "PeerkeeperGoesBlind"
)

var certificateExpired = Kind{
	Name: CertificateExpired, Severity: peer.Critical, Urgency: Page, Scope: ClusterScope, Class: Cause, Reach: ReachesPulled,
	Findings: []peer.Reason{peer.CertificateExpired}, Subject: FindingSubject, ClearedBy: ByItsCert,
	Summary: "A node serves an expired certificate. Every cluster that pulls from this one is refused until it is renewed.",
}

var certificateNotTrusted = Kind{
	Name: CertificateNotTrusted, Severity: peer.Critical, Urgency: Page, Scope: ClusterScope, Class: Cause, Reach: ReachesPulled,
	Findings: []peer.Reason{certificate.NotTrustedByPeers, peer.TrustNotReloaded, certificate.CertificateNotYetValid}, Subject: FindingSubject, ClearedBy: ByItsCert,
	InhibitedBy: []string{CertificateExpired},
	Summary:     "A publisher's certificate is not in the trust store of clusters that pull from it. Those named in the message are refused, now or when their Intercluster Sync Agent next starts.",
}

// Its severity rises as time runs out.
var certificateExpiring = Kind{
	Name: CertificateExpiring, Severity: peer.Warning, Urgency: Ticket, Scope: ClusterScope,
	Findings: []peer.Reason{peer.CertificateExpiring, certificate.ChainExpired}, Subject: FindingSubject, ClearedBy: ByItsCert,
	Summary: "A node's certificate expires soon. Users notice nothing yet; on that day every peer that pulls from this cluster stops.",
}

// So does this one's.
var peerkeeperGoesBlind = Kind{
	Name: PeerkeeperGoesBlind, Severity: peer.Warning, Urgency: Ticket, Scope: ClusterScope,
	Findings: []peer.Reason{certificate.PeerkeeperGoesBlind}, Subject: FindingSubject, ClearedBy: ByEveryCert,
	Summary: "A root in tls.ca ends, and no other root there vouches for the cluster's nodes. Users notice nothing; from that day Peerkeeper verifies no node of the cluster by it, and sees nothing there but what is pinned.",
}
