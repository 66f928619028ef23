package alarm

import "peerkeeper/shared/peer"

// PlanStopped is the alarm on plans.
const PlanStopped = "PlanStopped"

var planStopped = Kind{
	Name: PlanStopped, Severity: peer.Critical, Urgency: Page, Scope: MeshScope,
	Summary: "A change of peering stands half way, and nothing goes on before somebody decides. What users notice is what the step that stopped says; the pairs that it changes raise no other alarm meanwhile.",
}
