package alarm

import (
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
)

// The alarms, by name.
const (
	PeriodicSyncingFailure  = "InterClusterSyncAgentPeerPeriodicSyncingFailure" // the name of Cisco's own alarm
	UsersDiffer             = "UsersDiffer"
	PeerCredentialsRejected = "PeerCredentialsRejected"
	PeerMisconfigured       = "PeerMisconfigured"
	NameNotResolving        = "NameNotResolving"
	ServiceStopped          = "ServiceStopped"
	AccountRejected         = "AccountRejected"
	TLSRefused              = "TLSRefused"
	CannotSeeCluster        = "CannotSeeCluster"
	ClusterDown             = "ClusterDown"
	PublisherDown           = "PublisherDown"
	NodeUnreachable         = "NodeUnreachable"
	CertificateExpired      = "CertificateExpired"
	CertificateExpiring     = "CertificateExpiring"
	CertificateNotTrusted   = "CertificateNotTrusted"
	PeerkeeperGoesBlind     = "PeerkeeperGoesBlind"
	DNSServerSilent         = "DNSServerSilent"
	UsersFell               = "UsersFell"
	RunOverdue              = "RunOverdue"
	SelfTest                = "SelfTest"
)

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

// Reach says which directed peers a cluster's problem explains.
type Reach string

// The reaches. emea>apac is a peer that emea pulls.
const (
	ReachesNone   Reach = ""
	ReachesPuller Reach = "puller" // peers that the cluster pulls
	ReachesPulled Reach = "pulled" // peers that pull from the cluster
	ReachesBoth   Reach = "both"
)

// Entry is one alarm's place in the catalogue.
type Entry struct {
	Name     string
	Severity Severity
	Urgency  Urgency
	Scope    Scope
	// Grace is how long the problem must last before anybody hears of it.
	// It is zero where the judgement itself already waits, which is
	// everywhere at present: the clocks, NotYetDecided, AwaitingPeerEvidence.
	Grace time.Duration
	// Reach says which peers a cluster's alarm explains; only for ClusterScope.
	Reach Reach
	// InhibitedBy names the alarms that explain this one: while one of them
	// fires for the same peer, or for a cluster that reaches it, this one is
	// held. One cause, one alarm.
	InhibitedBy []string
	// Summary is what the alarm means for users.
	Summary string
	// Runbook is the section of the runbook, beside this package.
	Runbook string
}

// Catalogue lists every alarm. Each is declared here and nowhere else.
func Catalogue() []Entry {
	outage := []string{ClusterDown, PublisherDown, CannotSeeCluster}
	causes := append([]string{ServiceStopped, AccountRejected, TLSRefused, CertificateExpired, CertificateNotTrusted, NameNotResolving, PeerCredentialsRejected, PeerMisconfigured}, outage...)
	entries := []Entry{
		{
			Name: PeriodicSyncingFailure, Severity: Critical, Urgency: Page, Scope: PeerScope, InhibitedBy: causes,
			Summary: "The periodic sync of this peer stands still. Users homed on the remote cluster who were added or moved since are shown as offline or not found. Measured by Peerkeeper; Cisco's own alarm has the same name.",
		}, {
			Name: UsersDiffer, Severity: Critical, Urgency: Ticket, Scope: PeerScope, InhibitedBy: append([]string{PeriodicSyncingFailure, UsersFell}, causes...),
			Summary: "The sync runs, and yet the copy of the remote cluster's users is not what the remote cluster has. The users who differ have no presence across this peer.",
		}, {
			Name: PeerCredentialsRejected, Severity: Critical, Urgency: Page, Scope: PeerScope, InhibitedBy: outage,
			Summary: "The remote cluster refuses the account in this peer's entry. Nothing is pulled in this direction until the password is entered again.",
		}, {
			Name: PeerMisconfigured, Severity: Critical, Urgency: Ticket, Scope: PeerScope,
			Summary: "The peer is not configured as it should be on both publishers: entry missing, address not the node name, protocol or domain different. Presence does not flow, or only one way.",
		}, {
			Name: NameNotResolving, Severity: Critical, Urgency: Ticket, Scope: PeerScope,
			Summary: "A name in the remote certificate does not resolve in the pulling cluster's DNS. The Intercluster Sync Agent refuses such a peer.",
		}, {
			Name: ServiceStopped, Severity: Critical, Urgency: Page, Scope: ClusterScope, Reach: ReachesBoth, InhibitedBy: outage,
			Summary: "A service that peering needs is stopped on a node. Users of this cluster miss changes from other clusters, or others miss theirs.",
		}, {
			Name: AccountRejected, Severity: Critical, Urgency: Page, Scope: ClusterScope, Reach: ReachesBoth,
			Summary: "The cluster refuses Peerkeeper's own account. Users notice nothing; nobody watches this cluster until the password is right.",
		}, {
			Name: TLSRefused, Severity: Critical, Urgency: Page, Scope: ClusterScope, Reach: ReachesBoth,
			Summary: "A node takes Peerkeeper's connection, and no TLS comes about: cipher suites, version, certificate, or something in front of it. Users need not notice; nobody watches what that node alone can tell.",
		}, {
			Name: CannotSeeCluster, Severity: Critical, Urgency: Page, Scope: ClusterScope, Reach: ReachesBoth,
			Summary: "Peerkeeper cannot reach the cluster, although its peers may well. Users need not notice; nobody watches this cluster.",
		}, {
			Name: ClusterDown, Severity: Critical, Urgency: Page, Scope: ClusterScope, Reach: ReachesBoth,
			Summary: "The cluster answers neither Peerkeeper nor its peers. Its users are shown as offline everywhere else.",
		}, {
			Name: PublisherDown, Severity: Critical, Urgency: Page, Scope: ClusterScope, Reach: ReachesBoth, InhibitedBy: []string{ClusterDown, CannotSeeCluster},
			Summary: "The database publisher is down while other nodes answer. Presence goes on, but no user change enters or leaves this cluster.",
		}, {
			Name: NodeUnreachable, Severity: Warning, Urgency: Ticket, Scope: ClusterScope, InhibitedBy: outage,
			Summary: "One node of the cluster does not answer. Users assigned to it may be without presence, unless they have failed over.",
		}, {
			Name: CertificateExpired, Severity: Critical, Urgency: Page, Scope: ClusterScope, Reach: ReachesPulled,
			Summary: "A node serves an expired certificate. Every cluster that pulls from this one is refused until it is renewed.",
		}, {
			Name: CertificateNotTrusted, Severity: Critical, Urgency: Page, Scope: ClusterScope, Reach: ReachesPulled, InhibitedBy: []string{CertificateExpired},
			Summary: "A publisher's certificate is not in the trust store of clusters that pull from it. Those named in the message are refused, now or when their Intercluster Sync Agent next starts.",
		}, {
			Name: CertificateExpiring, Severity: Warning, Urgency: Ticket, Scope: ClusterScope,
			Summary: "A node's certificate expires soon. Users notice nothing yet; on that day every peer that pulls from this cluster stops.",
		}, {
			Name: PeerkeeperGoesBlind, Severity: Warning, Urgency: Ticket, Scope: ClusterScope,
			Summary: "A root in tls.ca ends, and no other root there vouches for the cluster's nodes. Users notice nothing; from that day Peerkeeper verifies no node of the cluster by it, and sees nothing there but what is pinned.",
		}, {
			Name: DNSServerSilent, Severity: Warning, Urgency: Ticket, Scope: ClusterScope, InhibitedBy: []string{ClusterDown, CannotSeeCluster},
			Summary: "One of the cluster's DNS servers does not answer. Each look-up waits for it, which Cisco's peer status shows as Not reachable.",
		}, {
			Name: UsersFell, Severity: Critical, Urgency: Ticket, Scope: ClusterScope, Reach: ReachesPulled,
			Summary: "The cluster's own users fell by more than half within a day. Whoever is gone has no presence anywhere; the peers' copies follow, and look healthy. Nothing is done to the cluster until it is acknowledged or the users are back.",
		}, {
			Name: RunOverdue, Severity: Critical, Urgency: Page, Scope: MeshScope,
			Summary: "A scheduled function has not completed for two periods. Users notice nothing; what Peerkeeper says about this mesh is old.",
		}, {
			Name: SelfTest, Severity: Info, Urgency: Ticket, Scope: MeshScope,
			Summary: "A test, once a day: notices arrive. Nothing is wrong; something is on the day on which it does not come.",
		},
	}
	for i := range entries {
		entries[i].Runbook = "shared/alarm/README.md#alarm-" + strings.ToLower(entries[i].Name)
	}
	return entries
}

// Lookup finds an alarm by name.
func Lookup(name string) (Entry, bool) {
	all := Catalogue()
	i := slices.IndexFunc(all, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return all[i], true
}

// Inhibit holds every firing that another firing explains, as the catalogue's
// InhibitedBy and Reach say. A cause that is itself held still explains. The
// argument stays as it is.
func Inhibit(firing []Firing) []Firing { return suppress(firing, firing) }

// hold holds every firing that one of the causes explains.
func suppress(firing, causes []Firing) []Firing {
	entries := map[string]Entry{}
	for _, e := range Catalogue() {
		entries[e.Name] = e
	}
	out := slices.Clone(firing)
	for i := range out {
		for _, cause := range causes {
			if slices.Contains(entries[out[i].Name].InhibitedBy, cause.Name) && explains(entries[cause.Name], cause, out[i]) {
				out[i].Suppressed = true
				break
			}
		}
	}
	return out
}

func explains(entry Entry, cause, effect Firing) bool {
	switch {
	case cause.Peer != "":
		return cause.Peer == effect.Peer
	case cause.Cluster == "":
		return true // the whole mesh
	case effect.Peer == "":
		return cause.Cluster == effect.Cluster
	}
	id, err := mesh.ParsePeerID(effect.Peer)
	if err != nil {
		return false
	}
	puller := id.From == cause.Cluster && (entry.Reach == ReachesPuller || entry.Reach == ReachesBoth)
	pulled := id.To == cause.Cluster && (entry.Reach == ReachesPulled || entry.Reach == ReachesBoth)
	return puller || pulled
}
