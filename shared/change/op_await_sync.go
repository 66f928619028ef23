package change

import (
	"fmt"

	"peerkeeper/shared/procedure"
)

// OpAwaitSync waits until a cluster has synced by a new parameter.
const OpAwaitSync Op = "awaitSync"

func awaitSyncOp() op {
	return op{name: OpAwaitSync, kind: Wait}
}

func awaitSyncText() text {
	return text{
		op:    OpAwaitSync,
		title: func(c context) string { return fmt.Sprintf("every peer of %s syncs once", c.step.Cluster) },
		why:   func(context) string { return "a new interval takes effect after the next sync" },
		how: func(c context) procedure.Step {
			cl := c.cluster()
			if cl == nil {
				return procedure.Step{}
			}
			return procedure.Step{On: string(cl.Publisher), Menu: procedure.InterClustering, Do: "Of each peer Last Synchronized Time is later than the change."}
		},
		proof: func(context) string {
			return "each peer's clock, by the database or by Cisco's own log, shows a sync later than the change"
		},
	}
}
