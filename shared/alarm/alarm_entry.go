package alarm

import "peerkeeper/shared/peer"

// The alarms on what a sync needs of a peer's entry and its names.
const (
	PeerCredentialsRejected = "PeerCredentialsRejected"
	PeerMisconfigured       = "PeerMisconfigured"
	NameNotResolving        = "NameNotResolving"
)

var peerCredentialsRejected = Kind{
	Name: PeerCredentialsRejected, Severity: peer.Critical, Urgency: Page, Scope: PeerScope, Class: Cause,
	Conditions:  []peer.Type{peer.Authenticated},
	InhibitedBy: []string{Outage},
	Summary:     "The remote cluster refuses the account in this peer's entry. Nothing is pulled in this direction until the password is entered again.",
	Effect:      changesMissing,
}

var peerMisconfigured = Kind{
	Name: PeerMisconfigured, Severity: peer.Critical, Urgency: Ticket, Scope: PeerScope, Class: Cause,
	Conditions: []peer.Type{peer.Configured, peer.Compatible},
	Summary:    "The peer is not configured as it should be on both publishers: entry missing, address not the node name, protocol or domain different. Presence does not flow, or only one way.",
	Effect:     "Presence between {from} and {to} does not flow, or one way only,",
}

var nameNotResolving = Kind{
	Name: NameNotResolving, Severity: peer.Critical, Urgency: Ticket, Scope: PeerScope, Class: Cause,
	Conditions: []peer.Type{peer.NamesResolve},
	Summary:    "A name in the remote certificate does not resolve in the pulling cluster's DNS. The Intercluster Sync Agent refuses such a peer.",
	Effect:     changesMissing,
}
