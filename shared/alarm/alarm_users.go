package alarm

import "peerkeeper/shared/peer"

// UsersFell is about a cluster's own users.
const UsersFell = "UsersFell"

var usersFell = Kind{
	Name: UsersFell, Severity: peer.Critical, Urgency: Ticket, Scope: ClusterScope, Reach: ReachesPulled,
	Findings: []peer.Reason{peer.UsersFell}, Subject: FindingSubject, ClearedBy: ByLook,
	Summary: "The cluster's own users fell by more than half within a day. Those users have no presence anywhere; the peers' copies follow, and look healthy. Nothing is done to the cluster until it is acknowledged or the users are back.",
}
