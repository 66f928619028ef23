package peer

import "peerkeeper/shared/mesh"

// Readiness is what a restart that signs people out is judged by, of one cluster,
// read at the moment of sending.
type Readiness struct {
	Nodes map[mesh.NodeName]NodeReadiness `json:"nodes"`
}

// NodeReadiness is one node of it.
type NodeReadiness struct {
	// Group names the node's redundancy group: nodes of one group take over from
	// each other.
	Group Fact[string] `json:"group"`
	// HA says whether high availability is on in its group.
	HA Fact[bool] `json:"ha"`
	// HAState is as in NodeObservation.
	HAState Fact[int] `json:"haState"`
	// Replication is PerfMon's Replicate_State, and SRM its SRMState.
	Replication Fact[int] `json:"replication"`
	SRM         Fact[int] `json:"srm"`
	// People are the XMPP clients that are connected: those of Cisco XCP Connection
	// Manager and of Cisco XCP Web Connection Manager.
	People Fact[int] `json:"people"`
	// Services are those that a restart interrupts, by Cisco's control names.
	Services Fact[map[string]Service] `json:"services"`
}
