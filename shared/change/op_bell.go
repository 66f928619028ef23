package change

import (
	"fmt"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// Whether Cisco asks for a restart of the router.
const (
	OpAskBell   Op = "askBell"
	OpRouterDue Op = "routerDue"
	OpAskEach   Op = "askEach"
)

func askBellOp() op {
	return op{name: OpAskBell, kind: Question}
}

func askBellText() text {
	return text{
		op: OpAskBell,
		title: func(c context) string {
			return fmt.Sprintf("does a notification of %s ask for a restart of %s?", c.step.Pair.From, peer.XCPRouter)
		},
		why: func(context) string {
			return "the router is restarted only if the page says so: it signs people out"
		},
		how: func(c context) procedure.Step {
			return procedure.ReadBell(c.step.Node).Then(fmt.Sprintf("`peerkeeper peering answer %s %d yes` or `no`; until the plan has come to the restarts, a wrong answer is put right by another.", c.plan.ID, c.step.N))
		},
		proof: func(context) string { return "the answer" },
	}
}

func routerDueOp() op {
	return op{name: OpRouterDue, kind: Check}
}

func routerDueText() text {
	return text{
		op: OpRouterDue,
		title: func(c context) string {
			return fmt.Sprintf("whether the routers of %s are to be restarted", c.step.Cluster)
		},
		why: func(c context) string {
			if c.plan.Kind == Leave {
				return "for all deleted connections at once, if that was chosen; that one restart is enough is inferred, Cisco's word is one for each"
			}
			return "if a notification of one of its pairs asked for it, on either side: Cisco restarts all nodes of both clusters"
		},
		proof: func(context) string { return "the answers that were given before" },
	}
}

// RouterDue says whether a cluster's routers are to be restarted: whether a notification
// of one of its pairs asked for it since this was last asked, or whether the restarts of
// a leave were put off to its end.
func (p *Plan) RouterDue(s *Step) (due bool, why string) {
	if p.Kind == Leave {
		for i := range p.Steps {
			if x := &p.Steps[i]; x.Op == OpAskEach && x.State == StepDone && x.Said != nil && !x.Said.Yes {
				return true, x.Said.Actor + " chose one restart for all connections"
			}
		}
		return false, "each connection has a restart of its own"
	}
	for i := s.N - 2; i >= 0; i-- {
		asked := &p.Steps[i]
		if asked.Op == OpRouterDue && asked.Cluster == s.Cluster {
			break // what was asked before that is answered
		}
		if asked.Op != OpAskBell || asked.Pair.From != s.Cluster && asked.Pair.To != s.Cluster {
			continue
		}
		if asked.asksForRestart() {
			return true, fmt.Sprintf("a notification of %s asked for it (step %d, %s)", asked.Pair.From, asked.N, asked.Said.Actor)
		}
	}
	return false, "no notification asked for it"
}

// asksForRestart says that a person has answered that a page asks for restarts.
func (s *Step) asksForRestart() bool {
	return s.Op == OpAskBell && s.State == StepDone && s.Said != nil && s.Said.Verb == Answer && s.Said.Yes
}

func askEachOp() op {
	return op{name: OpAskEach, kind: Question, must: "without an answer no router is restarted, and Cisco wants it; answered no there is one restart, which can be skipped by itself"}
}

func askEachText() text {
	return text{
		op: OpAskEach,
		title: func(c context) string {
			return fmt.Sprintf("restart the router of %s once for each of its %s connections, as Cisco says?", c.step.Cluster, c.step.Value)
		},
		why: func(context) string {
			return "before release 14 Cisco wants as many restarts as connections that are broken, and each signs people out; `no` is one restart at the end for all: that this is enough is inferred, not Cisco's word"
		},
		how: func(c context) procedure.Step {
			return procedure.Step{Do: fmt.Sprintf("`peerkeeper peering answer %s %d yes` or `no`.", c.plan.ID, c.step.N)}
		},
		proof: func(context) string { return "the answer" },
	}
}
