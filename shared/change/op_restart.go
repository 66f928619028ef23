package change

import (
	"fmt"
	"time"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
)

// A restart, and what is waited for after one that signs people out.
const (
	OpRestart     Op = "restart"
	OpAwaitHA     Op = "awaitHA"
	OpFallback    Op = "fallback"
	OpAwaitPeople Op = "awaitPeople"
)

// How long is waited after a restart.
const (
	// PeopleWithin is how long people may take to be connected again: Cisco names
	// 120 to 537 s for logging in again.
	PeopleWithin = 30 * time.Minute
	// PeopleBack of those who were connected are enough, in percent.
	PeopleBack = 80
)

func restartOp() op {
	return op{name: OpRestart, kind: Automatic, changes: true, approval: true, lasts: 5 * time.Minute}
}

func restartText() text {
	return text{
		op:    OpRestart,
		title: func(c context) string { return fmt.Sprintf("restart %s on %s", c.step.Service, c.step.Node) },
		why: func(c context) string {
			switch c.plan.Kind {
			case TuneSIPProxy:
				return "the new numbers of processes take effect, and the freed resources are taken, with a restart"
			case Delete, Leave:
				return "before release 14 Cisco wants the router of the publisher restarted after each peer that is deleted"
			}
			return "Cisco asks for it after some changes of peering: on all nodes of the cluster"
		},
		how: func(c context) procedure.Step { return procedure.RestartService(c.step.Node, c.step.Service) },
		interrupts: func(c context) string {
			if c.step.Service == peer.ICSA {
				return fmt.Sprintf("the syncs of every peer of %s, for some minutes", c.step.Cluster)
			}
			who := "the people who are connected to it"
			if c.step.People > 0 {
				who = plain.Count(c.step.People, "person who is connected to it", "people who are connected to it")
			}
			return fmt.Sprintf("signs out %s; logging in again takes 2 to 9 min (Cisco)", who)
		},
		proof: func(context) string { return "Control Center shows it Started, with a lower up-time" },
	}
}

func awaitHAOp() op {
	return op{name: OpAwaitHA, kind: Wait, lasts: 3 * time.Minute}
}

func awaitHAText() text {
	return text{
		op:    OpAwaitHA,
		title: func(c context) string { return fmt.Sprintf("the redundancy group of %s is settled again", c.step.Node) },
		why: func(context) string {
			return "the next node is not touched before both of the group are Normal, or Idle where high availability is off"
		},
		how: func(c context) procedure.Step { return haStep(c, procedure.CheckHA) },
		proof: func(context) string {
			return "SRMState and the high availability state of both nodes"
		},
	}
}

func fallbackOp() op {
	return op{name: OpFallback, kind: Manual, lasts: 0}
}

func fallbackText() text {
	return text{
		op: OpFallback,
		title: func(c context) string {
			return fmt.Sprintf("fall back to %s, if its group has failed over", c.step.Node)
		},
		why: func(context) string {
			return "the node failed over while its service was down; without automatic fallback its people stay on the other node"
		},
		how: func(c context) procedure.Step { return haStep(c, procedure.Fallback) },
		interrupts: func(context) string {
			return "people who are served by the other node meanwhile sign in once more"
		},
		proof: func(context) string { return "both nodes read Normal" },
	}
}

func awaitPeopleOp() op {
	return op{name: OpAwaitPeople, kind: Wait, lasts: 9 * time.Minute}
}

func awaitPeopleText() text {
	return text{
		op:    OpAwaitPeople,
		title: func(c context) string { return fmt.Sprintf("people are connected to %s again", c.step.Node) },
		why: func(context) string {
			return fmt.Sprintf("fewer than %d %% of those who were connected before are a reason to stop before the next node", PeopleBack)
		},
		how: func(c context) procedure.Step {
			return procedure.Step{Do: fmt.Sprintf("If they stay away: `peerkeeper peering answer %s %d yes` goes on all the same, `no` stops the plan.", c.plan.ID, c.step.N)}
		},
		proof: func(context) string { return "PerfMon's connected sockets of the cluster's nodes" },
	}
}
