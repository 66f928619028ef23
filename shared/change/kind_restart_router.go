package change

import (
	"fmt"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// RestartRouter restarts Cisco XCP Router on a cluster's nodes, one after another.
const RestartRouter Kind = "restart-router"

func restartRouter() kind {
	return kind{
		name: RestartRouter, usage: "CLUSTER",
		about: "restart Cisco XCP Router on every node of a cluster, one at a time; it signs people out",
		title: func(h Head) string {
			return fmt.Sprintf("restart %s on every node of %s", peer.XCPRouter, joined(h.Args))
		},
		build: func(k Known, args []string) ([]mesh.ClusterID, []Step, error) {
			c, err := clusterOf(k, RestartRouter, args)
			if err != nil {
				return nil, nil, err
			}
			steps := []Step{{Op: OpPreflight, Cluster: c.ID}}
			steps, asked := askHA(steps, c)
			for _, n := range c.Nodes {
				steps = restartOn(steps, c, n.Name, peer.XCPRouter)
			}
			return []mesh.ClusterID{c.ID}, enableHA(steps, c, asked), nil
		},
	}
}

// askHA begins restarts that sign people out: whether nodes shall take over from
// each other meanwhile. It gives the number of the step that disables HA.
func askHA(steps []Step, c *mesh.Cluster) ([]Step, int) {
	steps = append(steps, Step{Op: OpAskHA, Cluster: c.ID})
	steps = append(steps, Step{Op: OpDisableHA, Cluster: c.ID, Of: len(steps)})
	return steps, len(steps)
}

// enableHA ends them.
func enableHA(steps []Step, c *mesh.Cluster, disabled int) []Step {
	return append(steps, Step{Op: OpEnableHA, Cluster: c.ID, Of: disabled})
}

// restartOn restarts one service on one node, and waits until people are back if
// it signs them out.
func restartOn(steps []Step, c *mesh.Cluster, node mesh.NodeName, service string) []Step {
	steps = append(steps, Step{Op: OpRestart, Cluster: c.ID, Node: node, Service: service})
	if !SignsOut(service) {
		return steps
	}
	restart := len(steps)
	return append(steps,
		Step{Op: OpAwaitHA, Cluster: c.ID, Node: node, Service: service, Of: restart},
		Step{Op: OpFallback, Cluster: c.ID, Node: node, Service: service, Of: restart},
		Step{Op: OpAwaitPeople, Cluster: c.ID, Node: node, Service: service, Of: restart})
}
