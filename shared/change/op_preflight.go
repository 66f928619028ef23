package change

import (
	"fmt"

	"peerkeeper/shared/procedure"
)

// OpPreflight has the checks of a cluster carried out.
const OpPreflight Op = "preflight"

func preflightOp() op {
	return op{name: OpPreflight, kind: Check}
}

func preflightText() text {
	return text{
		op:    OpPreflight,
		title: func(c context) string { return fmt.Sprintf("preflight of %s: no check fails", c.step.Cluster) },
		why: func(context) string {
			return "what fails before a change is not put down to the change, and some of it makes the change dangerous"
		},
		how: func(c context) procedure.Step {
			return procedure.Step{Do: fmt.Sprintf("`peerkeeper preflight %s --now` lists the rows with their cures.", c.step.Cluster)}
		},
		proof: func(context) string { return "no row fails; what is unknown is named" },
	}
}
