package peer

import (
	"strings"
	"testing"

	"peerkeeper/shared/mesh"
)

// ready is a cluster of two nodes with high availability, in which nothing stands in
// the way of a restart that signs people out.
func ready() Readiness {
	node := func() NodeReadiness {
		return NodeReadiness{
			Group: Known("DefaultCUPSubcluster", noon), HA: Known(true, noon), HAState: Known(HANormal, noon), Replication: Known(ReplicationGood, noon), SRM: Known(SRMNormal, noon),
			People: Known(1200, noon), Services: Known(map[string]Service{XCPRouter: {Status: "Started"}}, noon),
		}
	}
	return Readiness{Nodes: map[mesh.NodeName]NodeReadiness{"pub": node(), "sub": node()}}
}

// with changes what was read of one node.
func (r Readiness) with(name mesh.NodeName, change func(*NodeReadiness)) Readiness {
	n := r.Nodes[name]
	change(&n)
	r.Nodes[name] = n
	return r
}

// haOff is the same cluster without high availability, whose states are idle then.
func haOff() Readiness {
	r := ready()
	for name := range r.Nodes {
		r.with(name, func(n *NodeReadiness) {
			n.HA, n.HAState, n.SRM = Known(false, noon), Known(HAIdle, noon), Known(SRMIdle, noon)
		})
	}
	return r
}

// alone is a cluster of one node.
func alone() Readiness {
	r := haOff()
	delete(r.Nodes, "sub")
	return r.with("pub", func(n *NodeReadiness) {
		n.HA, n.Group = Unknown[bool](QueryRefused, ""), Unknown[string](QueryRefused, "")
	})
}

// twoGroups is a cluster of a pair and of a node that is alone in its own group.
func twoGroups() Readiness {
	r := ready()
	r.Nodes["branch"] = haOff().with("pub", func(n *NodeReadiness) { n.Group = Known("Branch", noon) }).Nodes["pub"]
	return r
}

// Each cause stops a restart that signs people out by itself, and the same cluster
// without it may be restarted.
func TestWhatStopsARestartThatSignsPeopleOut(t *testing.T) {
	for _, c := range []struct {
		name string
		r    Readiness
		node mesh.NodeName
		says string // "" = it may be restarted
		over bool   // somebody takes over
	}{
		{"high availability on, both nodes well", ready(), "sub", "", true},
		{"high availability off, both nodes idle", haOff(), "sub", "", false},
		{"high availability off, and the states are those of before", haOff().with("pub", func(n *NodeReadiness) { n.HAState, n.SRM = Known(HANormal, noon), Known(SRMNormal, noon) }), "sub", "", false},
		{"a cluster of one node, of whose group nothing is told", alone(), "pub", "", false},
		{"a node that is alone in its redundancy group", twoGroups(), "branch", "", false},
		{"the pair beside it", twoGroups(), "pub", "", true},
		{"the pair, while the other group is idle or worse", twoGroups().with("branch", func(n *NodeReadiness) { n.SRM = Known(11, noon) }), "pub", "", true},

		{"a node that nobody knows", ready(), "other", "nothing was read of other", false},
		{"nothing was read at all", Readiness{}, "pub", "nothing was read of pub", false},
		{"replication is bad on the node", ready().with("pub", func(n *NodeReadiness) { n.Replication = Known(3, noon) }), "pub", "Replicate_State) of pub is 3 (bad); it must be 2 (good) on every node", true},
		{"replication is bad on another node", ready().with("sub", func(n *NodeReadiness) { n.Replication = Known(4, noon) }), "pub", "of sub is 4 (set-up did not succeed)", true},
		{"replication is bad in another redundancy group", twoGroups().with("branch", func(n *NodeReadiness) { n.Replication = Known(0, noon) }), "pub", "of branch is 0 (not started or initialising)", true},
		{"replication was not read", ready().with("sub", func(n *NodeReadiness) { n.Replication = Unknown[int](Forbidden, "") }), "pub", "(Replicate_State) of sub could not be read (Forbidden)", true},
		{"replication was read in part", ready().with("sub", func(n *NodeReadiness) { n.Replication = Partial(2, noon, TimedOut, "") }), "pub", "of sub could not be read (TimedOut)", true},
		{"high availability is not known", ready().with("sub", func(n *NodeReadiness) { n.HA = Unknown[bool](QueryRefused, "") }), "pub", "whether high availability is on in the redundancy group of sub could not be read (QueryRefused); mesh.yaml may declare it", false},
		{"its redundancy group is not known", ready().with("pub", func(n *NodeReadiness) { n.Group = Fact[string]{} }), "pub", "the redundancy group of pub could not be read (NotChecked)", false},
		{"another node's redundancy group is not known", ready().with("sub", func(n *NodeReadiness) { n.Group = Fact[string]{} }), "pub", "the redundancy group of sub could not be read", false},
		{"on by one node's word", haOff().with("pub", func(n *NodeReadiness) { n.HA = Known(true, noon) }), "sub", "the high availability of pub reads Idle; it must be Normal", true},
		{"the node is Failed Over", ready().with("pub", func(n *NodeReadiness) { n.HAState = Known(haFailedOver, noon) }), "pub", "the high availability of pub reads Failed Over (inferred); it must be Normal", true},
		{"its partner runs in backup mode", ready().with("sub", func(n *NodeReadiness) { n.HAState = Known(haBackup, noon) }), "pub", "of sub reads Running in Backup Mode", true},
		{"its partner is idle although it should take over", ready().with("sub", func(n *NodeReadiness) { n.HAState = Known(HAIdle, noon) }), "pub", "of sub reads Idle", true},
		{"the high availability state was not read", ready().with("sub", func(n *NodeReadiness) { n.HAState = Unknown[int](TimedOut, "") }), "pub", "the high availability state of sub could not be read (TimedOut)", true},
		{"failed over although high availability is off by now", haOff().with("pub", func(n *NodeReadiness) { n.HAState = Known(haFailedOver, noon) }), "pub", "it must be Normal or Idle", false},
		{"its recovery manager is idle although high availability is on", ready().with("pub", func(n *NodeReadiness) { n.SRM = Known(SRMIdle, noon) }), "pub", "SRMState of pub is 2 (Idle); it must be 3 (Active Normal)", true},
		{"its partner's recovery manager takes over", ready().with("sub", func(n *NodeReadiness) { n.SRM = Known(5, noon) }), "pub", "SRMState of sub is 5 (Taking Over)", true},
		{"a state of which nobody publishes the word", ready().with("sub", func(n *NodeReadiness) { n.SRM = Known(13, noon) }), "pub", "SRMState of sub is 13 (not documented)", true},
		{"the recovery manager's state was not read", ready().with("pub", func(n *NodeReadiness) { n.SRM = Unknown[int](TimedOut, "") }), "pub", "(SRMState) of pub could not be read", true},
		{"the recovery manager is down although high availability is off", haOff().with("pub", func(n *NodeReadiness) { n.SRM = Known(12, noon) }), "pub", "SRMState of pub is 12 (Down); it must be 3 (Active Normal) or 2 (Idle)", false},
		{"how many people are connected was not read", ready().with("pub", func(n *NodeReadiness) { n.People = Unknown[int](TimedOut, "") }), "pub", "the number of people who are connected to pub could not be read", true},
		{"nobody is connected", ready().with("pub", func(n *NodeReadiness) { n.People = Known(0, noon) }), "pub", "", true},
		{"how many are connected to its partner was not read", ready().with("sub", func(n *NodeReadiness) { n.People = Unknown[int](TimedOut, "") }), "pub", "", true},
		{"its services were not read", ready().with("pub", func(n *NodeReadiness) { n.Services = Unknown[map[string]Service](TimedOut, "") }), "pub", "the services of pub could not be read", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.r.WhyNotRestart(c.node); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
				t.Errorf("%q, want %q", got, c.says)
			}
			if got := c.r.TakenOver(c.node); got != c.over {
				t.Errorf("somebody takes over: %v, want %v", got, c.over)
			}
		})
	}
}
