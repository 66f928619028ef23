package peer

import (
	"fmt"

	"peerkeeper/shared/mesh"
)

// The states of high availability that have a meaning here. 2, 3 and 4 are in
// Cisco's document (TAC-217304); 8 was seen where a node had failed over, and of
// all others only the number is known.
const (
	haBackup     = 4
	haFailedOver = 8
)

// HAWord is a node's state of high availability in words.
func HAWord(state int) string {
	switch state {
	case HAIdle:
		return "Idle"
	case HANormal:
		return "Normal"
	case haBackup:
		return "Running in Backup Mode"
	case haFailedOver:
		return "Failed Over (inferred)"
	}
	return fmt.Sprintf("state %d (its word is not published)", state)
}

// HA is whether high availability is on where a node is: as mesh.yaml declares
// it, else as the database told last; "" if neither does.
func (r *ClusterRecord) HA(c *mesh.Cluster, node mesh.NodeName) mesh.Switch {
	if c.HA != "" {
		return c.HA
	}
	on, ok := r.Seen.Nodes[node].HAEnabled.Get()
	switch {
	case !ok:
		return ""
	case on:
		return mesh.On
	}
	return mesh.Off
}

// HAUnusual says what is unusual about a node's state, "" if nothing is. Idle is
// lawful unless HA is known to be on.
func (r *ClusterRecord) HAUnusual(c *mesh.Cluster, node mesh.NodeName, state int) string {
	ha := r.HA(c, node)
	switch {
	case state == HANormal, state == HAIdle && ha != mesh.On:
		return ""
	case state == HAIdle:
		return fmt.Sprintf("%s is Idle although high availability is on: its partner would not take its users over", node)
	}
	return fmt.Sprintf("the high availability of %s reads %s; its users may be on the other node of its redundancy group (`utils ha status` on the CLI tells)", node, HAWord(state))
}
