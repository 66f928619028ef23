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
		build: func(k Known, args []string) (*layout, error) {
			c, err := clusterOf(k, RestartRouter, args)
			if err != nil {
				return nil, err
			}
			l := &layout{Known: k, clusters: []mesh.ClusterID{c.ID}}
			l.add(Step{Op: OpPreflight, Cluster: c.ID})
			l.restartRouter(c, 0, names(c)...)
			return l, nil
		},
	}
}

func names(c *mesh.Cluster) []mesh.NodeName {
	var out []mesh.NodeName
	for _, n := range c.Nodes {
		out = append(out, n.Name)
	}
	return out
}

// restartRouter restarts Cisco XCP Router on some nodes of a cluster, one after
// another, if the step that it is of is done and not answered no.
func (l *layout) restartRouter(c *mesh.Cluster, of int, nodes ...mesh.NodeName) {
	disabled := l.askHA(c, of)
	for _, node := range nodes {
		l.restart(c, of, node, peer.XCPRouter)
	}
	l.enableHA(c, disabled)
}

// askHA begins restarts that sign people out: whether nodes shall take over from
// each other meanwhile. It gives the number of the step that disables HA.
func (l *layout) askHA(c *mesh.Cluster, of int) int {
	asked := l.add(Step{Op: OpAskHA, Cluster: c.ID, Of: of})
	return l.add(Step{Op: OpDisableHA, Cluster: c.ID, Of: asked})
}

// enableHA ends them.
func (l *layout) enableHA(c *mesh.Cluster, disabled int) {
	l.add(Step{Op: OpEnableHA, Cluster: c.ID, Of: disabled})
}

// restart restarts one service on one node, and waits until people are back if
// it signs them out.
func (l *layout) restart(c *mesh.Cluster, of int, node mesh.NodeName, service string) {
	restart := l.add(Step{Op: OpRestart, Cluster: c.ID, Node: node, Service: service, Of: of})
	if !SignsOut(service) {
		return
	}
	for _, op := range []Op{OpAwaitHA, OpFallback, OpAwaitPeople} {
		l.add(Step{Op: op, Cluster: c.ID, Node: node, Service: service, Of: restart})
	}
}
