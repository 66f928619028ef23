package alarm

import "peerkeeper/shared/peer"

// The alarms on plans.
const (
	PlanStopped = "PlanStopped"
	PlanWaits   = "PlanWaits"
)

var planStopped = Kind{
	Name: PlanStopped, Severity: peer.Critical, Urgency: Page, Scope: MeshScope,
	Summary: "A change of peering stands half way, and nothing goes on before somebody decides. What users notice is what the step that stopped says; the pairs that it changes raise no other alarm meanwhile.",
}

var planWaits = Kind{
	Name: PlanWaits, Severity: peer.Warning, Urgency: Ticket, Scope: MeshScope,
	Summary: "A change of peering has waited long for a person. Nothing is broken by that alone; what it keeps as it should not stay is named, such as high availability that is off for its restarts.",
}
