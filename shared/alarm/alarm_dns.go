package alarm

import "peerkeeper/shared/peer"

// DNSServerSilent is about one of a cluster's own DNS servers.
const DNSServerSilent = "DNSServerSilent"

var dnsServerSilent = Kind{
	Name: DNSServerSilent, Severity: peer.Warning, Urgency: Ticket, Scope: ClusterScope,
	Findings: []peer.Reason{peer.DNSServerSilent}, Subject: FindingSubject, ClearedBy: ByCertcheck,
	InhibitedBy: []string{ClusterDown, CannotSeeCluster},
	Summary:     "One of the cluster's DNS servers does not answer. Each look-up waits for it, which Cisco's peer status shows as Not reachable.",
}
