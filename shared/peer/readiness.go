package peer

import (
	"fmt"
	"maps"
	"slices"

	"peerkeeper/shared/mesh"
)

// Readiness is what a restart that signs people out is judged by, of one cluster,
// read at the moment of sending.
type Readiness struct {
	Nodes map[mesh.NodeName]NodeReadiness `json:"nodes"`
}

// DeclaredHA is the detail of what mesh.yaml says of high availability, and no reading.
const DeclaredHA = "mesh.yaml declares it"

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

// Values of Replicate_State and of SRMState that have a meaning here (RTMT guide
// 12.5 and 14SU2, appendix).
const (
	ReplicationGood = 2
	SRMIdle         = 2
	SRMNormal       = 3
)

var replicationWords = []string{"not started or initialising", "count incorrect", "good", "bad", "set-up did not succeed"}

// ReplicationWord is a Replicate_State in words.
func ReplicationWord(state int) string { return wordOf(replicationWords, state) }

var srmWords = []string{"Unknown", "Initializing", "Idle", "Active Normal", "Backup Activated", "Taking Over", "Taking Back", "Failing Over", "Failed Over", "Failed Over Affected Service", "Falling Back", "Failed", "Down"}

// SRMWord is an SRMState in words.
func SRMWord(state int) string { return wordOf(srmWords, state) }

func wordOf(words []string, i int) string {
	if i < 0 || i >= len(words) {
		return "not documented"
	}
	return words[i]
}

// WhyNotRestart says why no service whose restart signs people out (Cisco XCP
// Router, SIP Proxy, Server Recovery Manager) may be restarted on a node now; "" if
// one may. What could not be read is a reason of its own.
func (r Readiness) WhyNotRestart(node mesh.NodeName) string {
	n, ok := r.Nodes[node]
	if !ok {
		return fmt.Sprintf("nothing was read of %s", node)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Nodes)) {
		switch state, known := r.Nodes[name].Replication.Get(); {
		case !known:
			return notRead("database replication (Replicate_State) of "+string(name), r.Nodes[name].Replication)
		case state != ReplicationGood:
			return fmt.Sprintf("database replication (Replicate_State) of %s is %d (%s); it must be 2 (good) on every node of the cluster", name, state, ReplicationWord(state))
		}
	}
	group, why := r.group(node)
	if why != "" {
		return why
	}
	ha, why := r.ha(group)
	if why != "" {
		return why
	}
	for _, name := range group {
		if why := r.Nodes[name].whyNotReady(name, ha); why != "" {
			return why
		}
	}
	switch {
	case !n.People.Known():
		return notRead("the number of people who are connected to "+string(node), n.People)
	case !n.Services.Known():
		return notRead("the services of "+string(node), n.Services)
	}
	return ""
}

// TakenOver reports whether another node takes a node's people over while one of
// its services restarts: high availability is known to be on in a redundancy group
// that has another node.
func (r Readiness) TakenOver(node mesh.NodeName) bool {
	group, why := r.group(node)
	if why != "" {
		return false
	}
	ha, why := r.ha(group)
	return ha && why == ""
}

// group lists the nodes of a node's redundancy group, itself among them, or says
// why that is not known: one node whose group was not read may belong to any.
func (r Readiness) group(node mesh.NodeName) (group []mesh.NodeName, why string) {
	if len(r.Nodes) == 1 {
		return []mesh.NodeName{node}, ""
	}
	own, known := r.Nodes[node].Group.Get()
	if !known {
		return nil, notRead("the redundancy group of "+string(node), r.Nodes[node].Group)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Nodes)) {
		switch of, known := r.Nodes[name].Group.Get(); {
		case !known:
			return nil, notRead("the redundancy group of "+string(name), r.Nodes[name].Group)
		case of == own:
			group = append(group, name)
		}
	}
	return group, ""
}

// ha reports whether the nodes of a group take over from each other, which a node
// that is alone in it cannot, or says why that is not known.
func (r Readiness) ha(group []mesh.NodeName) (on bool, why string) {
	if len(group) == 1 {
		return false, ""
	}
	for _, name := range group {
		is, known := r.Nodes[name].HA.Get()
		if !known {
			return false, notRead("whether high availability is on in the redundancy group of "+string(name), r.Nodes[name].HA) + "; mesh.yaml may declare it (ha: on or off of the cluster)"
		}
		on = on || is
	}
	return on, ""
}

// whyNotReady says why a node of the group in which a restart is asked for is in no
// state for it. Idle is lawful where nobody takes over.
func (n NodeReadiness) whyNotReady(name mesh.NodeName, ha bool) string {
	wanted, wantedSRM := "Normal", "3 (Active Normal)"
	if !ha {
		wanted, wantedSRM = "Normal or Idle", "3 (Active Normal) or 2 (Idle)"
	}
	switch state, known := n.HAState.Get(); {
	case !known:
		return notRead("the high availability state of "+string(name), n.HAState)
	case state != HANormal && (ha || state != HAIdle):
		return fmt.Sprintf("the high availability of %s reads %s; it must be %s", name, HAWord(state), wanted)
	}
	switch state, known := n.SRM.Get(); {
	case !known:
		return notRead("the state of Cisco Server Recovery Manager (SRMState) of "+string(name), n.SRM)
	case state != SRMNormal && (ha || state != SRMIdle):
		return fmt.Sprintf("SRMState of %s is %d (%s); it must be %s", name, state, SRMWord(state), wantedSRM)
	}
	return ""
}

// notRead says that something is not known, and why.
func notRead[T any](what string, f Fact[T]) string {
	return fmt.Sprintf("%s could not be read (%s)", what, f.Why())
}
