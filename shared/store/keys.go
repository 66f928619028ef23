package store

import (
	"fmt"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
)

// Sort-key prefixes, for Load. One per kind of item.
const (
	PrefixCluster     = "CLUSTER#"
	PrefixBuckets     = "BUCKETS#" // digests of a cluster's users
	PrefixLog         = "LOG#"     // what a cluster's own log says
	PrefixPush        = "PUSH#"    // what a cluster's nodes have pushed of their logs
	PrefixCert        = "CERT#"    // what certcheck saw of a cluster
	PrefixPeer        = "PEER#"
	PrefixRun         = "RUN#"
	PrefixAuth        = "AUTH#"
	PrefixAlarm       = "ALARM#"
	PrefixProposal    = "PROPOSAL#" // what Peerkeeper would do
	PrefixPause       = "PAUSE#"
	PrefixAck         = "ACK#"
	PrefixApproval    = "APPROVAL#"
	PrefixPin         = "PIN#"
	PrefixMaintenance = "MAINT#"
	PrefixPreflight   = "PREFLIGHT#" // the checks of a cluster
	PrefixPaste       = "PASTE#"     // what people pasted of a node's command line
	PrefixPlan        = "PLAN#"      // what people said to a plan
	PrefixChange      = "CHANGE#"    // a plan, and its steps
)

// AuditUsersSK is the sort key of what preflight found wrong with users.
const AuditUsersSK = "AUDITUSERS"

// PlansSK is the sort key of what every function knows of plans.
const PlansSK = "PLANS"

// The last part of a peer's sort key: who wrote the item.
const (
	PartSync  = "SYNC"
	PartStuck = "STUCK"
	PartCert  = "CERT"
)

// Live is the partition of what the functions know of a mesh.
func Live(meshName string) string { return meshName + "#live" }

// Pushed is the partition of what nodes have pushed. Intake, which writes
// there at the word of strangers, has no right to any other.
func Pushed(meshName string) string { return meshName + "#push" }

// Override is the partition of what people have told Peerkeeper.
func Override(meshName string) string { return meshName + "#override" }

// users is the partition of the hashes of a mesh's users: megabytes that no tick
// reads.
func users(meshName string) string { return meshName + "#users" }

// UsersKey holds the key of all the hashes.
func UsersKey(meshName string) Key { return Key{users(meshName), "KEY"} }

// Users is item n of what peersync keeps of a cluster's users; 0 says which of
// the others are in force.
func Users(meshName string, id mesh.ClusterID, n int) Key {
	return Key{users(meshName), fmt.Sprintf("USERS#%s#%04d", id, n)}
}

// AuditUsers is what preflight found wrong with a mesh's users.
func AuditUsers(meshName string) Key { return Key{Live(meshName), AuditUsersSK} }

// AuditMonth is the partition of one UTC month of the audit trail.
func AuditMonth(meshName string, at time.Time) string {
	return meshName + "#audit#" + at.UTC().Format("2006-01")
}

// Cluster is what peersync saw of a cluster.
func Cluster(meshName string, id mesh.ClusterID) Key {
	return Key{Live(meshName), PrefixCluster + string(id)}
}

// Buckets are the digests of the users that peersync read of a cluster. They
// stand apart from CLUSTER# because they are read once a sync interval, and
// not at every tick.
func Buckets(meshName string, id mesh.ClusterID) Key {
	return Key{Live(meshName), PrefixBuckets + string(id)}
}

// Log is what a cluster's own log says, and how far peersync has read it.
func Log(meshName string, id mesh.ClusterID) Key {
	return Key{Live(meshName), PrefixLog + string(id)}
}

// Push is what a cluster's nodes have pushed of their logs.
func Push(meshName string, id mesh.ClusterID) Key {
	return Key{Pushed(meshName), PrefixPush + string(id)}
}

// Intake counts what was pushed, taken or not.
func Intake(meshName string) Key { return Key{Pushed(meshName), "INTAKE"} }

// Cert is what certcheck saw of a cluster: certificates served, trust stores,
// names resolved. It stands apart from CLUSTER# so that each item keeps one
// writer.
func Cert(meshName string, id mesh.ClusterID) Key {
	return Key{Live(meshName), PrefixCert + string(id)}
}

// PeerSync holds a peer's conditions that peersync judges.
func PeerSync(meshName string, id mesh.PeerID) Key { return peerKey(meshName, id, PartSync) }

// PeerStuck holds a peer's folded state, written by stucksync.
func PeerStuck(meshName string, id mesh.PeerID) Key { return peerKey(meshName, id, PartStuck) }

// PeerCert holds a peer's conditions that certcheck judges.
func PeerCert(meshName string, id mesh.PeerID) Key { return peerKey(meshName, id, PartCert) }

func peerKey(meshName string, id mesh.PeerID, part string) Key {
	return Key{Live(meshName), PrefixPeer + id.String() + "#" + part}
}

// ParsePeer reads the sort key of a peer's item back.
func ParsePeer(sk string) (id mesh.PeerID, part string, err error) {
	rest, ok := strings.CutPrefix(sk, PrefixPeer)
	at := strings.LastIndexByte(rest, '#')
	if !ok || at < 0 {
		return mesh.PeerID{}, "", fmt.Errorf("sort key %q: want PEER#a>b#SYNC, #STUCK or #CERT", sk)
	}
	id, err = mesh.ParsePeerID(rest[:at])
	if err != nil {
		return mesh.PeerID{}, "", fmt.Errorf("sort key %q: %w", sk, err)
	}
	return id, rest[at+1:], nil
}

// RunOf is the run record and lease of a function, such as "peersync".
func RunOf(meshName, function string) Key { return Key{Live(meshName), PrefixRun + function} }

// Auth records which secret version a cluster has rejected, of one account.
func Auth(meshName string, id mesh.ClusterID, a mesh.Account) Key {
	return Key{Live(meshName), PrefixAuth + a.Item(id)}
}

// Alarm is one alarm by its fingerprint.
func Alarm(meshName, fingerprint string) Key { return Key{Live(meshName), PrefixAlarm + fingerprint} }

// Proposal is an action that was asked for.
func Proposal(meshName, id string) Key { return Key{Live(meshName), PrefixProposal + id} }

// Preflight holds the checks of a cluster; of "", those of the mesh as a whole.
func Preflight(meshName string, id mesh.ClusterID) Key {
	return Key{Live(meshName), PrefixPreflight + string(id)}
}

// Paste is what people pasted of a node's command line.
func Paste(meshName string, node mesh.NodeName) Key {
	return Key{Override(meshName), PrefixPaste + string(node)}
}

// Plans is what every function knows of a mesh's plans.
func Plans(meshName string) Key { return Key{Live(meshName), PlansSK} }

// Changes is the partition of a mesh's plans, that no tick reads but those of a plan
// that runs.
func Changes(meshName string) string { return meshName + "#change" }

// Change is a plan's head.
func Change(meshName, id string) Key { return Key{Changes(meshName), PrefixChange + id} }

// ChangeStep is one step of a plan, from 1.
func ChangeStep(meshName, id string, n int) Key {
	return Key{Changes(meshName), fmt.Sprintf("%s%s#%04d", PrefixChange, id, n)}
}

// Word is what a person said to a plan, in the order of n; 0 asks for the plan.
func Word(meshName, id string, n int) Key {
	word := "plan"
	if n > 0 {
		word = fmt.Sprintf("%06d", n)
	}
	return Key{Override(meshName), PrefixPlan + id + "#" + word}
}

// Gate is the mesh's one gate.
func Gate(meshName string) Key { return Key{meshName + "#gate", "GATE"} }

// Pause is a pause of what it names: the mesh, a cluster or a peer.
func Pause(meshName, what string) Key { return Key{Override(meshName), PrefixPause + what} }

// Ack is a person's word that an alarm is known.
func Ack(meshName, what string) Key { return Key{Override(meshName), PrefixAck + what} }

// Approval is a person's consent to one proposed action.
func Approval(meshName, action string) Key { return Key{Override(meshName), PrefixApproval + action} }

// Pin is a certificate fingerprint that a person accepted for a node.
func Pin(meshName, node string) Key { return Key{Override(meshName), PrefixPin + node} }

// Maintenance is a declared maintenance of what it names.
func Maintenance(meshName, what string) Key {
	return Key{Override(meshName), PrefixMaintenance + what}
}

// Audit is one entry of the audit trail. The sequence number is padded, so
// that the order of the sort keys is the order of the entries.
func Audit(meshName string, at time.Time, seq int64) Key {
	return Key{AuditMonth(meshName, at), fmt.Sprintf("%012d", seq)}
}

// Head says whether a sort key that begins with prefix is a head, and otherwise
// where what stands below that head ends: at the first sort key that it may not
// reach.
func Head(sk, prefix string) (end string, is bool) {
	name, _, below := strings.Cut(strings.TrimPrefix(sk, prefix), "#")
	if !below {
		return "", true
	}
	return prefix + name + "$", false // $ follows #
}

// HeadPrefix is the error of a prefix that no heads can begin with.
func HeadPrefix(prefix string) error {
	if !strings.HasSuffix(prefix, "#") {
		return fmt.Errorf("%w: heads begin with a prefix that ends in #, not with %q", ErrInvalid, prefix)
	}
	return nil
}
