package change

import (
	"fmt"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// What must be so of users before clusters become peers. Neither is ever skipped.
const (
	OpSyncAgent  Op = "syncAgent"
	OpDuplicates Op = "duplicates"
)

func syncAgentOp() op {
	return op{name: OpSyncAgent, kind: Check, must: "with the user sync incomplete, Cisco shows the connection as Failed"}
}

func syncAgentText() text {
	return text{
		op: OpSyncAgent,
		title: func(c context) string {
			return fmt.Sprintf("%s of %s has completed its sync of users", peer.SyncAgent, c.step.Cluster)
		},
		why: func(context) string {
			return "if peers are configured before the users are there from Unified CM, the status of the connection is Failed"
		},
		how: func(c context) procedure.Step {
			s := procedure.CheckService(c.step.Node, peer.SyncAgent)
			return s.Then("In " + procedure.Menus(procedure.SystemTroubleshooter) + " no row of the Sync Agent shows a problem.")
		},
		proof: func(context) string { return "the database says Completed, or a person says so" },
	}
}

func duplicatesOp() op {
	return op{name: OpDuplicates, kind: Check, must: "Cisco wants no user at home in two clusters (its alarm is DuplicateUserid, severity 1)"}
}

func duplicatesText() text {
	return text{
		op: OpDuplicates,
		title: func(c context) string {
			if c.plan.Kind == Join {
				return fmt.Sprintf("no user of %s is at home in another cluster too", c.step.Cluster)
			}
			return "no user is at home in both clusters"
		},
		why: func(context) string {
			return "user IDs and directory URIs are unique over the whole mesh; Cisco's troubleshooter shows at most 10 of those that are not"
		},
		how: func(c context) procedure.Step {
			return procedure.Step{Do: "The users of a new cluster are read within an hour, and compared once a day or by `peerkeeper preflight --now`; `peerkeeper audit users` lists by name who is twice."}
		},
		proof: func(context) string {
			return "the audit of users has read every cluster of the plan, and names no such user"
		},
	}
}
