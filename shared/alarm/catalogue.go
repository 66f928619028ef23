package alarm

import (
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// Catalogue lists every alarm. What there is to say of one stands in its literal,
// and what to do about it in README.md, the runbook. stucksync reads the literals:
// only where a finding does not say all of an alarm has it code for that one.
func Catalogue() []Kind {
	return []Kind{
		periodicSyncingFailure,
		usersDiffer,
		peerCredentialsRejected,
		peerMisconfigured,
		nameNotResolving,
		serviceStopped,
		heapSpaceError,
		accountRejected,
		tlsRefused,
		cannotSeeCluster,
		clusterDown,
		publisherDown,
		nodeUnreachable,
		certificateExpired,
		certificateNotTrusted,
		certificateExpiring,
		peerkeeperGoesBlind,
		dnsServerSilent,
		usersFell,
		duplicateUsers,
		planStopped,
		planWaits,
		runOverdue,
		selfTest,
	}
}

// Kind is one alarm of the catalogue.
type Kind struct {
	Name     string
	Severity peer.Severity
	Urgency  Urgency
	Scope    Scope
	// Grace is how long the problem must last before anybody hears of it.
	// It is zero where the judgement itself already waits, which is
	// everywhere at present: the clocks, NotYetDecided, AwaitingPeerEvidence.
	Grace time.Duration

	// Conditions fire an alarm of a peer: the first that is False.
	Conditions []peer.Type
	// Findings fire an alarm of a cluster.
	Findings []peer.Reason
	// Subject is what a cluster has one such alarm for.
	Subject Subject
	// ClearedBy is what must have been read lately before an alarm of a cluster
	// is cleared, and who reads it.
	ClearedBy Evidence

	// Class is what an alarm is to others, if anything: an Outage or a Cause.
	Class string
	// Reach says which peers a cluster's alarm explains; only for ClusterScope.
	Reach Reach
	// InhibitedBy names the alarms, and the classes of them, that explain this
	// one: while one of them fires for the same peer, or for a cluster that
	// reaches it, this one is suppressed. One cause, one alarm.
	InhibitedBy []string
	// Awaits names the alarm that this one leaves the word to while it is about
	// to fire for the same peer.
	Awaits string

	// Summary is what the alarm means for users.
	Summary string
	// Effect is what users of a peer's clusters notice, and Next what a person
	// does next; without one it is the remedy for the condition's reason. Both
	// have the placeholders of procedure.Names.
	Effect string
	Next   procedure.Step
}

// Runbook is the alarm's section of the runbook.
func (k Kind) Runbook() string {
	return "shared/alarm/README.md#alarm-" + strings.ToLower(k.Name)
}

// Urgency is how soon a person is needed.
type Urgency string

// The urgencies: somebody is woken, or somebody finds it in the morning.
const (
	Page   Urgency = "page"
	Ticket Urgency = "ticket"
)

// Scope is what an alarm speaks of.
type Scope string

// The scopes.
const (
	PeerScope    Scope = "peer"
	ClusterScope Scope = "cluster"
	MeshScope    Scope = "mesh"
)

// Subject is what tells several alarms of one name and cluster apart.
type Subject string

// The subjects.
const (
	ClusterSubject Subject = ""     // there is one at most
	NodeSubject    Subject = "node" // one, however its reason changes
	FindingSubject Subject = "finding"
)

// Evidence is what must have been read lately for an alarm to be cleared: what
// could not be read clears nothing. It also says whose findings fire the alarm.
type Evidence string

// The evidence: of peersync's looks, then of certcheck's.
const (
	ByLook      Evidence = "look"     // the cluster's record
	ByOutage    Evidence = "outage"   // and whether the cluster is down or out of sight is decided
	BySight     Evidence = "sight"    // and the whole cluster was in sight
	ByServices  Evidence = "services" // and so were the services of every node
	ByCertcheck Evidence = "certcheck"
	ByItsCert   Evidence = "certificate"  // and the certificate that the subject names was read
	ByEveryCert Evidence = "certificates" // and every certificate of the cluster was read
)

// Certcheck reports whether it is certcheck that reads it.
func (e Evidence) Certcheck() bool { return e == ByCertcheck || e == ByItsCert || e == ByEveryCert }

// The classes of alarms that explain others.
const (
	// Outage: nothing of the cluster is seen, or none of its publisher.
	Outage = "outage"
	// Cause: no sync of the peers that it reaches can succeed, or be seen to.
	Cause = "cause"
)

// Reach says which directed peers a cluster's problem explains.
type Reach string

// The reaches. emea>apac is a peer that emea pulls.
const (
	ReachesNone   Reach = ""
	ReachesPuller Reach = "puller" // peers that the cluster pulls
	ReachesPulled Reach = "pulled" // peers that pull from the cluster
	ReachesBoth   Reach = "both"
)

// Lookup finds an alarm by name.
func Lookup(name string) (Kind, bool) {
	return find(func(k Kind) bool { return k.Name == name })
}

// OfFinding finds the alarm that a finding on a cluster fires, if any.
func OfFinding(why peer.Reason) (Kind, bool) {
	return find(func(k Kind) bool { return slices.Contains(k.Findings, why) })
}

func find(is func(Kind) bool) (Kind, bool) {
	all := Catalogue()
	i := slices.IndexFunc(all, is)
	if i < 0 {
		return Kind{}, false
	}
	return all[i], true
}

// Inhibit suppresses every firing that another firing explains, as the
// catalogue's InhibitedBy and Reach say. A cause that is itself suppressed still
// explains. The argument stays as it is.
func Inhibit(firing []Firing) []Firing { return suppress(firing, firing) }

// suppress suppresses every firing that one of the causes explains.
func suppress(firing, causes []Firing) []Firing {
	kinds := map[string]Kind{}
	for _, k := range Catalogue() {
		kinds[k.Name] = k
	}
	out := slices.Clone(firing)
	for i := range out {
		for _, cause := range causes {
			if kinds[cause.Name].inhibits(kinds[out[i].Name]) && explains(kinds[cause.Name], cause, out[i]) {
				out[i].Suppressed = true
				break
			}
		}
	}
	return out
}

// inhibits reports whether the alarm explains another one.
func (k Kind) inhibits(other Kind) bool {
	return slices.Contains(other.InhibitedBy, k.Name) || k.Class != "" && slices.Contains(other.InhibitedBy, k.Class)
}

func explains(kind Kind, cause, effect Firing) bool {
	switch {
	case !cause.Peer.IsZero():
		return cause.Peer == effect.Peer
	case effect.Peer.IsZero():
		return cause.Cluster == effect.Cluster
	}
	puller := effect.Peer.From == cause.Cluster && (kind.Reach == ReachesPuller || kind.Reach == ReachesBoth)
	pulled := effect.Peer.To == cause.Cluster && (kind.Reach == ReachesPulled || kind.Reach == ReachesBoth)
	return puller || pulled
}
