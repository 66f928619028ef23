package change

import (
	"fmt"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// OpSet sets a service parameter on a node.
const OpSet Op = "set"

func setOp() op {
	return op{name: OpSet, kind: Automatic, changes: true}
}

func setText() text {
	return text{
		op: OpSet,
		title: func(c context) string {
			name, value := c.step.shownAs()
			return fmt.Sprintf("set %s to %s on %s", name, value, c.step.Node)
		},
		why: func(c context) string {
			switch c.step.Purpose {
			case peer.ParamInterval:
				return "ICSA reads the interval on every node; the nodes of a cluster must agree"
			case peer.ParamAutoRecovery:
				return "with it ICSA restarts itself when a sync has been stuck for four intervals; without it Cisco only raises the alarm"
			case peer.ParamCertSync:
				return "with it certificates travel with the periodic sync; without it each new certificate needs Force Manual Sync"
			}
			return "ICSA needs more resources in a mesh of many clusters; Cisco advises 10 instead of 20 where ICSA or Server Recovery Manager run short"
		},
		how: func(c context) procedure.Step {
			name, value := c.step.shownAs()
			return procedure.SetParameter(c.step.Node, c.step.Service, name, value)
		},
		interrupts: func(c context) string {
			if c.step.Service == peer.SIPProxy {
				return "nothing before the services are restarted"
			}
			return "nothing: it takes effect after the next sync"
		},
		proof: func(context) string { return "it is read back" },
		undo: func(c context) string {
			if c.step.Before == "" {
				return "set it to what it was before"
			}
			return fmt.Sprintf("set it to %s again", c.step.Before)
		},
	}
}
