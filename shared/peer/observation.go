package peer

import (
	"slices"
	"time"

	"peerkeeper/shared/mesh"
)

// Observation is one look at one cluster, through the protocols, by peersync.
// Each datum is a Fact of its own: a cluster that answers half is half known.
type Observation struct {
	Cluster mesh.ClusterID `json:"cluster"`
	At      time.Time      `json:"at"`
	// Access is how our own look went: Known(true) when the cluster let us in.
	// Anything else is our trouble, not the cluster's: AccountRejected,
	// Forbidden, ServerCertificateUntrusted, NoCredentials, CannotConnect.
	Access Fact[bool] `json:"access"`
	// Nodes are the declared nodes by name.
	Nodes map[mesh.NodeName]Node `json:"nodes"`
	// Topology lists the node names that the cluster's own database knows.
	Topology Fact[[]mesh.NodeName] `json:"topology"`
	// Users counts users by the name of their home node, the cluster's own
	// and the copies of its peers' users alike (dialect: user_counts).
	Users Fact[map[mesh.NodeName]int] `json:"users"`
	// UsersBasis is Measured when the query's evidence lets it be, else Inferred.
	UsersBasis Basis `json:"usersBasis,omitempty"`
	// Entries is the peer table (dialect: peers); Unknown/NoDialect where the
	// site's database has not been mapped.
	Entries Fact[[]Entry] `json:"entries"`
	// SyncAgent is the Cisco Sync Agent's own word on its user sync.
	SyncAgent Fact[string] `json:"syncAgent"`
	// AXLVersion is the version of AXL that the publisher was found to take
	// after it had refused the one that belongs to the declared release; "" is
	// that one.
	AXLVersion string `json:"axlVersion,omitempty"`
	// Skew is the cluster's clock less ours, from the HTTP Date header.
	Skew Fact[time.Duration] `json:"skew"`
}

// LastRead is when anything was last read of the cluster; zero if it never
// answered: At is that of the newest look, whatever came of it.
func (o *Observation) LastRead() time.Time {
	read := []time.Time{o.Topology.At, o.Users.At, o.Entries.At, o.SyncAgent.At}
	for _, n := range o.Nodes {
		read = append(read, n.Services.At, n.Version.At, n.HAState.At, n.HAEnabled.At, n.Parameters.At)
	}
	return slices.MaxFunc(read, time.Time.Compare)
}

// Node is what one node showed.
type Node struct {
	// Answers is Known(true) when the node gave any SOAP or HTTP answer,
	// Known(false) when no connection came about from our seat.
	Answers Fact[bool] `json:"answers"`
	// Services by name, with up-times (Control Center, this node only).
	Services Fact[map[string]Service] `json:"services"`
	// Version is the release to SU level, such as 14.0.1.13900-8.
	Version Fact[string] `json:"version"`
	// HAState is enterprisenode.tkhaserverstate: 2 idle, 3 normal, 4 backup.
	HAState Fact[int] `json:"haState"`
	// HAEnabled is enterprisesubcluster.haenabled of the node's redundancy group.
	// Unknown/QueryRefused carries when the database last refused to tell.
	HAEnabled Fact[bool] `json:"haEnabled,omitzero"`
	// Parameters are ICSA's service parameters on this node by purpose
	// (sync_interval in minutes, auto_recovery, certificate_sync).
	Parameters Fact[map[string]string] `json:"parameters"`
	// Remarks are what is wrong with a node's TLS although it is spoken to.
	Remarks []Reason `json:"remarks,omitempty"`
}

// Service is a service's status on one node.
type Service struct {
	Status string        `json:"status"` // Started, Stopped, Starting, Stopping, Unknown
	UpTime time.Duration `json:"up"`     // negative when stopped or not told
	// Code is Control Center's reason code of a service that does not run; 0 if it
	// runs, or none was told.
	Code int `json:"code,omitempty"`
}

// Started reports whether the service runs.
func (s Service) Started() bool { return s.Status == "Started" }

// Restarting says that it is on its way to be up or down: Control Center refuses another
// Restart meanwhile.
func (s Service) Restarting() bool { return s.Status == "Starting" || s.Status == "Stopping" }

// Entry is one row of the peer table as the dialect reads it.
type Entry struct {
	Address  string        `json:"address"`
	Protocol mesh.Protocol `json:"protocol"`
	// LastSync is the last successful sync; zero with HasClock means never.
	LastSync time.Time `json:"lastSync,omitzero"`
	HasClock bool      `json:"hasClock,omitempty"`
	// Error is the dialect's word for why the last sync failed; "" with
	// HasError means that it did not.
	Error    string `json:"error,omitempty"`
	HasError bool   `json:"hasError,omitempty"`
}

// Services whose state the judgement turns on, by Cisco's control names.
const (
	ICSA      = "Cisco Intercluster Sync Agent"
	SyncAgent = "Cisco Sync Agent"
	AXL       = "Cisco AXL Web Service"
	XCPRouter = "Cisco XCP Router"
	SIPProxy  = "Cisco SIP Proxy"
	SRM       = "Cisco Server Recovery Manager"
)

// Bucket tells of the users of one home cluster whose user IDs end in the same
// character.
type Bucket struct {
	Users     int
	Weight    int // sum of the lengths of the user IDs
	Low, High string
}

// Buckets are the digests of all users that one cluster holds, by their home
// cluster (tier 2).
type Buckets map[mesh.ClusterID]Digest

// BucketRecord is the BUCKETS item. It is written once a sync interval, when
// its digests are read; CLUSTER is at every tick.
type BucketRecord struct {
	Buckets Fact[Buckets] `json:"buckets"`
}

// HomeValue is one value of a cluster's own user count, and when it was seen.
type HomeValue struct {
	Users int       `json:"users"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"` // last look that showed it
}

// ClusterRecord is the CLUSTER item: the newest look merged over older ones,
// and the short memory that judging needs.
type ClusterRecord struct {
	Seen Observation `json:"seen"`
	// Home is the ring of the cluster's own user counts, oldest first.
	Home []HomeValue `json:"home,omitempty"`
	// UserSet is the digest of every home's user IDs (tier 3, once a day).
	UserSet Fact[map[mesh.ClusterID]SetDigest] `json:"set"`
	// UserSetAttempted is when tier 3 was last attempted, whole or not.
	UserSetAttempted time.Time `json:"setTried,omitzero"`
	// NoAccessSince is since when no look has been let in, for whatever reason.
	NoAccessSince time.Time `json:"shutOut,omitzero"`
	Interval      Interval  `json:"interval"`
	// LongestSync is the longest full sync seen; 0 if none was measured.
	LongestSync time.Duration `json:"longestSync,omitempty"`
	// SilentSince is since when a declared node has given no answer.
	SilentSince map[mesh.NodeName]time.Time `json:"lost,omitempty"`
	// Restarted is when a node was last seen to have restarted as a whole.
	Restarted map[mesh.NodeName]time.Time `json:"restarted,omitempty"`
	// Resets are the restarts of ICSA and of Server Recovery Manager by themselves in
	// the last day, oldest first.
	Resets []Reset `json:"resets,omitempty"`
	// Stopped is what is remembered of services that do not run, by node.
	Stopped map[mesh.NodeName]map[string]Stop `json:"stopped,omitempty"`
	// Peaks are the greatest counts of the cluster's own users by hour, from
	// complete reads of the last day, oldest first.
	Peaks []Peak `json:"peaks,omitempty"`
	// Fell says that the users fell, and that nobody has acknowledged it, and that
	// they are not back; nil otherwise.
	Fell *Fall `json:"fell,omitempty"`
	// Rewound is when counts or clocks were last seen to jump back.
	Rewound  time.Time `json:"rewound,omitzero"`
	Findings []Finding `json:"findings,omitempty"`
	// Leaves are the certificates that the nodes showed in handshakes: a new one
	// brings certcheck's next look forward.
	Leaves map[mesh.NodeName]Leaf `json:"leaves,omitempty"`
}

// SetDigest is an order-free digest of a set of user IDs.
type SetDigest struct {
	Users int    `json:"n"`
	Sum   string `json:"sum"` // hex, 128 bits
	// Foreign counts the users whose IM address is in a domain other than
	// the mesh's.
	Foreign int `json:"foreign,omitempty"`
}

// UsersOf is how many users of a home the observed cluster counts: its own, or the
// copies that it holds.
func (r *ClusterRecord) UsersOf(home *mesh.Cluster) Fact[int] {
	return countOf(r.Seen.Users, home)
}

func countOf(users Fact[map[mesh.NodeName]int], c *mesh.Cluster) Fact[int] {
	f := Fact[int]{Knowledge: users.Knowledge, At: users.At, Reason: users.Reason, Detail: users.Detail}
	for name, n := range users.Value {
		if _, ok := c.Node(name); ok {
			f.Value += n
		}
	}
	return f
}

// Words of the dialect's optional column last_error. They are ours: the site's
// SQL (or the simulator's invented column) must yield them.
const (
	ErrorCredentials = "credentials"
	ErrorUnreachable = "unreachable"
	ErrorCertificate = "certificate"
	ErrorNames       = "names"
	ErrorDomain      = "domain"
	ErrorOther       = "other"
)
