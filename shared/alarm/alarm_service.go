package alarm

import "peerkeeper/shared/peer"

// ServiceStopped is about a service that peering needs, on one node.
const ServiceStopped = "ServiceStopped"

var serviceStopped = Kind{
	Name: ServiceStopped, Severity: peer.Critical, Urgency: Page, Scope: ClusterScope, Class: Cause, Reach: ReachesBoth,
	Findings: []peer.Reason{peer.ServiceStopped}, Subject: FindingSubject, ClearedBy: ByServices,
	InhibitedBy: []string{Outage},
	Summary:     "A service that peering needs is stopped on a node. Users of this cluster miss changes from other clusters, or others miss theirs.",
}
