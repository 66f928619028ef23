package alarm

import "peerkeeper/shared/peer"

// The alarms on services that peering needs. HeapSpaceError has the name of
// Cisco's own alarm: they are one.
const (
	ServiceStopped = "ServiceStopped"
	HeapSpaceError = "InterClusterSyncAgentHeapSpaceError"
)

var serviceStopped = Kind{
	Name: ServiceStopped, Severity: peer.Critical, Urgency: Page, Scope: ClusterScope, Class: Cause, Reach: ReachesBoth,
	Findings: []peer.Reason{peer.ServiceStopped}, Subject: FindingSubject, ClearedBy: ByServices,
	InhibitedBy: []string{Outage},
	Summary:     "A service that peering needs is stopped on a node. Users of this cluster miss changes from other clusters, or others miss theirs.",
}

var heapSpaceError = Kind{
	Name: HeapSpaceError, Severity: peer.Critical, Urgency: Page, Scope: ClusterScope, Class: Cause, Reach: ReachesPuller,
	Findings: []peer.Reason{peer.HeapSpaceError}, ClearedBy: ByServices,
	InhibitedBy: []string{Outage},
	Summary:     "Cisco's own alarm, read in the cluster's log: its Intercluster Sync Agent has run out of heap space. Users of this cluster miss changes from every other cluster until the agent is restarted.",
}
