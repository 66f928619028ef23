package alarm

import "peerkeeper/shared/peer"

// The alarms on clusters and nodes that do not answer.
const (
	CannotSeeCluster = "CannotSeeCluster"
	ClusterDown      = "ClusterDown"
	PublisherDown    = "PublisherDown"
	NodeUnreachable  = "NodeUnreachable"
)

var cannotSeeCluster = Kind{
	Name: CannotSeeCluster, Severity: peer.Critical, Urgency: Page, Scope: ClusterScope, Class: Outage, Reach: ReachesBoth,
	Findings: []peer.Reason{peer.CannotSeeCluster, peer.ServerCertificateUntrusted, peer.ReadByCertcheckOnly}, ClearedBy: ByOutage,
	Summary: "Peerkeeper cannot reach the cluster, although its peers may well. Users need not notice; nobody watches this cluster.",
}

var clusterDown = Kind{
	Name: ClusterDown, Severity: peer.Critical, Urgency: Page, Scope: ClusterScope, Class: Outage, Reach: ReachesBoth,
	Findings: []peer.Reason{peer.ClusterDown}, ClearedBy: ByOutage,
	Summary: "The cluster answers neither Peerkeeper nor its peers. Its users are shown as offline everywhere else.",
}

var publisherDown = Kind{
	Name: PublisherDown, Severity: peer.Critical, Urgency: Page, Scope: ClusterScope, Class: Outage, Reach: ReachesBoth,
	Findings: []peer.Reason{peer.PublisherDown}, ClearedBy: ByOutage,
	InhibitedBy: []string{ClusterDown, CannotSeeCluster},
	Summary:     "The database publisher is down while other nodes answer. Presence goes on, but no user change enters or leaves this cluster.",
}

var nodeUnreachable = Kind{
	Name: NodeUnreachable, Severity: peer.Warning, Urgency: Ticket, Scope: ClusterScope,
	Findings: []peer.Reason{peer.NodeUnreachable}, Subject: FindingSubject, ClearedBy: BySight,
	InhibitedBy: []string{Outage},
	Summary:     "One node of the cluster does not answer. Users assigned to it may be without presence, unless they have failed over.",
}
