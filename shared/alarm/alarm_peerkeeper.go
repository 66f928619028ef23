package alarm

import "peerkeeper/shared/peer"

// The alarms on Peerkeeper itself.
const (
	RunOverdue = "RunOverdue"
	SelfTest   = "SelfTest"
)

var runOverdue = Kind{
	Name: RunOverdue, Severity: peer.Critical, Urgency: Page, Scope: MeshScope,
	Summary: "A scheduled function has not completed for two periods. Users notice nothing; what Peerkeeper says about this mesh is old.",
}

var selfTest = Kind{
	Name: SelfTest, Severity: peer.Info, Urgency: Ticket, Scope: MeshScope,
	Summary: "A test, once a day: notices arrive. Nothing is wrong; something is on the day on which it does not come.",
}
