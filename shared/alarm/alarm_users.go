package alarm

import "peerkeeper/shared/peer"

// The alarms on users.
const (
	UsersFell      = "UsersFell"
	DuplicateUsers = "DuplicateUsers"
)

var usersFell = Kind{
	Name: UsersFell, Severity: peer.Critical, Urgency: Ticket, Scope: ClusterScope, Reach: ReachesPulled,
	Findings: []peer.Reason{peer.UsersFell}, Subject: FindingSubject, ClearedBy: ByLook,
	Summary: "The cluster's own users fell by more than half within a day. Those users have no presence anywhere; the peers' copies follow, and look healthy. Nothing is done to the cluster until it is acknowledged or the users are back.",
}

// What ICSA does with such a user is not documented; Cisco's own alarms of them
// are DuplicateUserid and DuplicateDirectoryURI, of one node each.
var duplicateUsers = Kind{
	Name: DuplicateUsers, Severity: peer.Warning, Urgency: Ticket, Scope: MeshScope,
	Summary: "A user ID or a directory URI is at home more than once in the mesh, which Cisco forbids. Messages and presence of such a user go to one of the homes, or to none.",
}
