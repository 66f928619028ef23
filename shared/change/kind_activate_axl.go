package change

import (
	"fmt"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// ActivateAXL activates Cisco AXL Web Service on a cluster's nodes.
const ActivateAXL Kind = "activate-axl"

func activateAXL() kind {
	return kind{
		name: ActivateAXL, usage: "CLUSTER",
		about: "activate Cisco AXL Web Service on every node of a cluster where it is not",
		mends: []string{"axl-running", "read-role", "intercluster-user"},
		title: func(h Head) string { return fmt.Sprintf("activate %s on every node of %s", peer.AXL, joined(h.Args)) },
		build: func(k Known, args []string) (*layout, error) {
			c, err := clusterOf(k, ActivateAXL, args)
			if err != nil {
				return nil, err
			}
			l := &layout{Known: k, clusters: []mesh.ClusterID{c.ID}}
			l.add(Step{Op: OpPreflight, Cluster: c.ID})
			for _, n := range c.Nodes {
				s := Step{Op: OpActivate, Cluster: c.ID, Node: n.Name, Service: peer.AXL}
				if services, ok := k.Nodes[n.Name].Services.Get(); ok && services[peer.AXL].Started() {
					s.Turn(StepDone, k.Now, "it runs already")
				}
				l.add(s)
				l.add(Step{Op: OpAwaitAXL, Cluster: c.ID, Node: n.Name, Service: peer.AXL, State: s.State, Evidence: s.Evidence, Since: s.Since})
			}
			return l, nil
		},
	}
}
