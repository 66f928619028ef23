package change

import (
	"fmt"
	"time"

	"peerkeeper/shared/procedure"
)

// High availability around restarts that sign people out.
const (
	OpAskHA     Op = "askHA"
	OpDisableHA Op = "disableHA"
	OpEnableHA  Op = "enableHA"
)

func askHAOp() op {
	return op{name: OpAskHA, kind: Question}
}

func askHAText() text {
	return text{
		op: OpAskHA,
		title: func(c context) string {
			return fmt.Sprintf("disable high availability in every redundancy group of %s for the restarts?", c.step.Cluster)
		},
		why: func(context) string {
			return "with it on, a node whose service is down for 90 s fails over to the other, and people come back by themselves only if automatic fallback is on (it is off unless set); with it off nobody takes over meanwhile, and nobody has to fall back"
		},
		how: func(c context) procedure.Step {
			return procedure.Step{Do: fmt.Sprintf("`peerkeeper peering answer %s %d yes` or `no`.", c.plan.ID, c.step.N)}
		},
		proof: func(context) string { return "the answer" },
	}
}

func disableHAOp() op {
	return op{name: OpDisableHA, kind: Manual, lasts: 5 * time.Minute}
}

func disableHAText() text {
	return text{
		op: OpDisableHA,
		title: func(c context) string {
			return fmt.Sprintf("disable high availability in every redundancy group of %s", c.step.Cluster)
		},
		why: func(context) string { return "so that a restart makes no node fail over" },
		how: func(c context) procedure.Step { return haStep(c, procedure.DisableHA) },
		interrupts: func(context) string {
			return "no node takes over from the other until it is enabled again"
		},
		proof: func(context) string { return "the database reads it off, or a person says so" },
		undo:  func(context) string { return "a later step enables it again" },
	}
}

func enableHAOp() op {
	return op{name: OpEnableHA, kind: Manual, undoes: true, lasts: 5 * time.Minute}
}

func enableHAText() text {
	return text{
		op: OpEnableHA,
		title: func(c context) string {
			return fmt.Sprintf("enable high availability in every redundancy group of %s again", c.step.Cluster)
		},
		why:        func(context) string { return "it was disabled for the restarts" },
		how:        func(c context) procedure.Step { return haStep(c, procedure.EnableHA) },
		interrupts: func(context) string { return "nothing" },
		proof:      func(context) string { return "the database reads it on and every node Normal, or a person says so" },
	}
}

func haStep(c context, how func(on string) procedure.Step) procedure.Step {
	cl := c.cluster()
	if cl == nil {
		return procedure.Step{}
	}
	return how(string(cl.Publisher))
}
