package check

import (
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// Setup is what preflight asks of a cluster because nobody else does.
type Setup struct {
	Nodes map[mesh.NodeName]NodeSetup
	// SIPProxy are the parameters of Cisco SIP Proxy on the publisher that speak of processes, by internal name.
	SIPProxy peer.Fact[map[string]string]
	// PasswordChanged is when the read account's password was last changed.
	PasswordChanged peer.Fact[time.Time]
}

// NodeSetup is what one node showed.
type NodeSetup struct {
	// Replication is PerfMon's Replicate_State, the worst of the node's; 2 is good.
	Replication peer.Fact[int]
	// SRM is PerfMon's SRMState.
	SRM peer.Fact[int]
	// Ports are 7400 and 5060 as seen from here: an error's text, or "" where a connection came about. A port that
	// is not there was not asked.
	Ports map[int]string
}

// Ports of the chapter that preflight asks itself.
const (
	PortXMPP = 7400
	PortSIP  = 5060
)

// PortsOf are the ports that are asked on each node of a cluster.
func PortsOf(c *mesh.Cluster) []int {
	if c.SIPFederation {
		return []int{PortXMPP, PortSIP}
	}
	return []int{PortXMPP}
}
