// Package mesh says who the clusters are: clusters, nodes, directed peers,
// the policy, and the limits that Cisco sets for a mesh.
//
// It owns no I/O. A Mesh that meshfile has loaded is complete and valid: every
// default is filled in, every peer names two clusters that exist.
package mesh

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/plain"
)

// Limits that Cisco states for intercluster peering (chapter "Configure
// Intercluster Peers", 12.5(1)SU3).
const (
	MaxClusters     = 30
	MinSyncInterval = 30 * time.Minute
	MaxSyncInterval = 1444 * time.Minute // sic: every guide says 1444, a day would be 1440
	MinOVA          = 15000
)

// ClusterID is the short name of a cluster in mesh.yaml, such as "emea".
type ClusterID string

// maxName bounds the names of meshes and clusters.
const maxName = 63

// LawfulName says whether a mesh may be called so: of a to z, 0 to 9 and -.
func LawfulName(s string) bool {
	odd := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' }
	return s != "" && len(s) <= maxName && !strings.ContainsFunc(s, odd)
}

// LawfulID says whether a cluster may be called so.
func LawfulID(s string) bool { return LawfulName(s) && s[0] >= 'a' && s[0] <= 'z' }

// LawfulIDs is how a cluster may be called, for people.
const LawfulIDs = "begin with a letter, then use a to z, 0 to 9 and -, at most 63"

// NodeName is a node's name exactly as Presence Topology shows it.
type NodeName string

// PeerID names a directed peer: From pulls users from To.
type PeerID struct{ From, To ClusterID }

// String writes the peer as "emea>apac", and none as "".
func (p PeerID) String() string {
	if p.IsZero() {
		return ""
	}
	return string(p.From) + ">" + string(p.To)
}

// IsZero reports whether it names no peer.
func (p PeerID) IsZero() bool { return p == PeerID{} }

// Reverse is the same pair seen from the other end.
func (p PeerID) Reverse() PeerID { return PeerID{From: p.To, To: p.From} }

// PeerNames are peers as they are listed in a sentence.
func PeerNames(ids []PeerID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

// MarshalText lets a PeerID be a JSON string and a JSON object key.
func (p PeerID) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *PeerID) UnmarshalText(b []byte) error {
	id, err := ParsePeerID(string(b))
	*p = id
	return err
}

// ParsePeerID reads "emea>apac".
func ParsePeerID(s string) (PeerID, error) {
	from, to, ok := strings.Cut(s, ">")
	if !ok || from == "" || to == "" || from == to || strings.Contains(to, ">") {
		return PeerID{}, fmt.Errorf("peer %q: want two different clusters as in emea>apac (emea pulls from apac)", s)
	}
	return PeerID{From: ClusterID(from), To: ClusterID(to)}, nil
}

// Duration is a time.Duration that is text ("30m0s") in JSON, so that the
// normalised mesh.json stays readable.
type Duration time.Duration

// D is the value as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String is the form for messages: "30 min".
func (d Duration) String() string { return plain.Duration(d.D()) }

// MarshalText writes time.Duration's own form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.D().String()), nil }

// UnmarshalText reads time.Duration's own form.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Mesh is one environment's clusters and peers with the policy that governs
// them.
type Mesh struct {
	Name      string `json:"mesh"`
	Simulated bool   `json:"simulated,omitempty"`
	Clock     *Clock `json:"clock,omitempty"`
	Domain    string `json:"domain"` // the default (proxy) domain, one for all clusters
	// Domains are those that users' IM addresses may have besides Domain: in the
	// Directory URI scheme several are lawful.
	Domains []string `json:"domains,omitempty"`
	// DNSDomain completes a node name without a dot; "" is Domain.
	DNSDomain string `json:"dnsDomain,omitempty"`
	// AddressScheme is the IM address scheme as declared; "" if it is not.
	AddressScheme AddressScheme `json:"addressScheme,omitempty"`
	Clusters      []Cluster     `json:"clusters"`
	// Topology is FullMesh where mesh.yaml says so instead of listing pairs.
	Topology Topology `json:"topology,omitempty"`
	Peers    []Peer   `json:"peers"`
	Policy   Policy   `json:"policy"`
	// Dialect holds the site's overrides of the queries that Cisco does not
	// document, as read from the file mesh.yaml names; nil means defaults only.
	Dialect *Dialect `json:"dialect,omitempty"`
}

// AddressScheme is how a cluster makes its users' IM addresses.
type AddressScheme string

// The schemes that Cisco has.
const (
	SchemeUserID       AddressScheme = "userid"       // UserID@[default domain]
	SchemeDirectoryURI AddressScheme = "directoryURI" // the directory URI as it is, of whatever domain
)

// LawfulDomain reports whether mesh.yaml names the domain.
func (m *Mesh) LawfulDomain(domain string) bool {
	same := func(d string) bool { return SameName(d, domain) }
	return same(m.Domain) || slices.ContainsFunc(m.Domains, same)
}

// SameName compares host and domain names as DNS does: capitals and a final dot
// make no difference, and the blanks with which a database fills its columns up
// are no part of a name.
func SameName(a, b string) bool { return strings.EqualFold(bareName(a), bareName(b)) }

// NameKey is a name as SameName compares it, for an index.
func NameKey(s string) string { return strings.ToLower(bareName(s)) }

func bareName(s string) string { return strings.TrimSuffix(strings.TrimSpace(s), ".") }

// Clock is how a simulated mesh's time runs: virtual = Epoch + Rate x (wall - Epoch).
type Clock struct {
	Epoch time.Time `json:"epoch"`
	Rate  float64   `json:"rate"`
}

// At is the virtual instant that belongs to a wall instant.
func (c Clock) At(wall time.Time) time.Time {
	return c.Epoch.Add(time.Duration(float64(wall.Sub(c.Epoch)) * c.Rate))
}

// Cluster is one IM and Presence cluster as declared.
type Cluster struct {
	ID        ClusterID `json:"id"`
	Release   string    `json:"release"` // declared, such as "14.0.1SU3"; "" if nowhere declared
	Publisher NodeName  `json:"publisher"`
	CUCM      *Node     `json:"cucm,omitempty"`
	Nodes     []Node    `json:"nodes"`

	Credentials         string `json:"credentials"` // secret names
	WriteCredentials    string `json:"writeCredentials,omitempty"`
	PlatformCredentials string `json:"platformCredentials,omitempty"`
	// PlatformWriteCredentials is the OS administrator's account that may add to
	// a trust store; "" where Peerkeeper may not.
	PlatformWriteCredentials string `json:"platformWriteCredentials,omitempty"`

	TLS          TLS      `json:"tls"`
	DNS          []string `json:"dns,omitempty"` // ip:port, first = primary
	TimeZone     string   `json:"timeZone"`      // IANA name, "UTC" if not declared
	SyncInterval Duration `json:"syncInterval"`
	AutoRecovery bool     `json:"autoRecovery"`

	OVA              int    `json:"ova,omitempty"` // users; 0 = not declared
	Edition          string `json:"edition"`
	SIPFederation    bool   `json:"sipFederation,omitempty"`
	DNSSurvivesSplit bool   `json:"dnsSurvivesSplit,omitempty"`
	// HA is whether high availability is on, as declared; "" if it is not.
	HA Switch `json:"ha,omitempty"`
	// Log says whether the publisher's own log is read; "" is LogPull.
	Log LogSource `json:"log,omitempty"`
	// SyslogFrom are the IP addresses from which the cluster's log lines may come
	// besides its nodes' own, such as a relay's.
	SyslogFrom []string `json:"syslogFrom,omitempty"`
}

// LogSource is how Cisco's own log of a cluster reaches Peerkeeper.
type LogSource string

// The ways of a log. The default stands in a mesh as "".
const (
	LogPull LogSource = "pull"
	LogOff  LogSource = "off"
)

// Switch is something that may be on or off.
type Switch string

// The two ways of a Switch.
const (
	On  Switch = "on"
	Off Switch = "off"
)

// Node is one server: Peerkeeper dials Address and verifies the name that
// ServerName gives.
type Node struct {
	Name NodeName `json:"name"`
	// TLSName is what its certificate carries where that is not Name: as written,
	// or, of a name without a dot, the name in the mesh's DNS domain.
	TLSName string `json:"tlsName,omitempty"`
	Address string `json:"address"` // host:port
	// PlatformAddress is host:port of the platform's own interfaces, such as
	// certificate management; empty if the cluster has no PlatformCredentials.
	PlatformAddress string `json:"platformAddress,omitempty"`
}

// ServerName is the name, or the address, that the node's certificate must carry.
func (n Node) ServerName() string { return cmp.Or(n.TLSName, string(n.Name)) }

// TLS says what a cluster's servers are verified with; at least one of the two.
type TLS struct {
	CA   string   `json:"ca,omitempty"` // PEM text; meshfile reads it from the file mesh.yaml names
	Pins []string `json:"pins,omitempty"`
	// Unread says of what stands in that file and is no certificate that can be
	// read: its line and why. The others count all the same.
	Unread []string `json:"unread,omitempty"`
}

// Topology is how mesh.yaml says which clusters peer; "" is a list of pairs.
type Topology string

// FullMesh is every cluster with every other.
const FullMesh Topology = "full-mesh"

// Peer is one directed peer that should exist, with its SIP protocol.
type Peer struct {
	ID       PeerID   `json:"id"`
	Protocol Protocol `json:"protocol"`
}

// Protocol is the SIP transport of a peer entry.
type Protocol string

// The two protocols that the Inter-Clustering page offers.
const (
	TCP      Protocol = "tcp"
	TLSProto Protocol = "tls"
)

// Mode says whether Peerkeeper may change a cluster.
type Mode string

// The modes. Observe is the default and never changes a cluster.
const (
	Observe Mode = "observe"
	Recover Mode = "recover"
)

// Policy is what the mesh's owner allows and wants to hear of.
type Policy struct {
	Mode              Mode       `json:"mode"`
	Windows           []Window   `json:"windows,omitempty"`
	Limits            Limits     `json:"limits"`
	RestartForOnePeer string     `json:"restartForOnePeer"` // "approve" or "auto"
	Thresholds        Thresholds `json:"thresholds"`
	Notify            Notify     `json:"notify"`
	// ImportCertificates says who decides that a certificate is put into a trust
	// store: ImportManual, ImportApprove or ImportAuto. Whatever it says, a CA and
	// a certificate that is not served yet need a person.
	ImportCertificates string `json:"importCertificates"`
	// StartCommanded says what becomes of a service that a person stopped:
	// StartApprove (as "" does), StartAuto, or a duration, in Go's own form,
	// after which it is started by itself.
	StartCommanded string `json:"startCommanded,omitempty"`
	// WaitForPeople is how long a force sync by hand is waited for before a
	// restart; 0 skips that rung.
	WaitForPeople Duration `json:"waitForPeople,omitempty"`
	// AllowUnsupportedWrites lets a write go through the dialect (SQL), which
	// Cisco does not support.
	AllowUnsupportedWrites bool `json:"allowUnsupportedWrites,omitempty"`
}

// Who decides on an import. Anything else, "" included, is ImportManual.
const (
	ImportManual  = "manual"  // people import; Peerkeeper lists the steps
	ImportApprove = "approve" // Peerkeeper imports what a person approved
	ImportAuto    = "auto"    // Peerkeeper imports a node's own certificate by itself
)

// What becomes of a service that a person stopped.
const (
	StartApprove = "approve" // it is started when a person agrees
	StartAuto    = "auto"    // as any other
)

// StartsCommanded is how long a service that a person stopped stays so without
// being asked for: 0 is not at all. ok is false where a person must agree,
// however long it lasts.
func (p Policy) StartsCommanded() (after time.Duration, ok bool) {
	switch p.StartCommanded {
	case "", StartApprove:
		return 0, false
	case StartAuto:
		return 0, true
	}
	after, err := time.ParseDuration(p.StartCommanded)
	return after, err == nil && after > 0
}

// Window is a span of the week in which acting is allowed or denied.
type Window struct {
	Kind     string   `json:"kind"`           // "allow" or "deny"
	Days     []string `json:"days,omitempty"` // "mon" … "sun"; empty = every day
	From     string   `json:"from"`           // "22:00"
	To       string   `json:"to"`             // "06:00"; before From = over midnight; "24:00" = to the day's end
	TimeZone string   `json:"timeZone"`
}

// Limits bound how much Peerkeeper may change.
type Limits struct {
	RestartsPerClusterPerHour int `json:"restartsPerClusterPerHour"`
	RestartsPerMeshPerHour    int `json:"restartsPerMeshPerHour"`
	// ImportsPerMeshPerHour bounds certificates put into trust stores: one that
	// was renewed is one import in each cluster that pulls from its own. It is at
	// most MostImportsPerHour.
	ImportsPerMeshPerHour int `json:"importsPerMeshPerHour"`
}

// MostImportsPerHour is the highest limit that holds: the gate counts by what it
// remembers, which is bounded.
const MostImportsPerHour = 100

// Thresholds are the figures that findings turn on.
type Thresholds struct {
	CertificateDays []int `json:"certificateDays"` // descending, days before expiry
}

// Notify says where alarms go besides stdout.
type Notify struct {
	Webhook string `json:"webhook,omitempty"`
	File    string `json:"file,omitempty"`
	// SelfTest sends a notice that is no alarm once a day, by the way that
	// alarms go: who misses it knows that alarms would not arrive either.
	SelfTest bool `json:"selfTest,omitempty"`
}

// Dialect is a site's word on what Cisco does not document: queries by
// purpose, and which parameter names mean what.
type Dialect struct {
	Queries    map[string]Query    `json:"queries,omitempty"`
	Parameters map[string][]string `json:"parameters,omitempty"`
}

// Query is one statement with how sure we are of it.
type Query struct {
	Evidence string `json:"evidence"` // "verified", "thirdParty", "inferred", "site" or "simulator"
	SQL      string `json:"sql"`
}

// Cluster finds a cluster by id.
func (m *Mesh) Cluster(id ClusterID) (*Cluster, bool) {
	for i := range m.Clusters {
		if m.Clusters[i].ID == id {
			return &m.Clusters[i], true
		}
	}
	return nil, false
}

// Peer finds a directed peer by id.
func (m *Mesh) Peer(id PeerID) (Peer, bool) {
	for _, p := range m.Peers {
		if p.ID == id {
			return p, true
		}
	}
	return Peer{}, false
}

// Node finds one of the cluster's nodes by name, as DNS names compare.
func (c *Cluster) Node(name NodeName) (*Node, bool) {
	for i := range c.Nodes {
		if SameName(string(c.Nodes[i].Name), string(name)) {
			return &c.Nodes[i], true
		}
	}
	return nil, false
}

// Owner finds the cluster whose node or publisher has this name.
func (m *Mesh) Owner(name NodeName) (ClusterID, bool) {
	for i := range m.Clusters {
		if _, ok := m.Clusters[i].Node(name); ok {
			return m.Clusters[i].ID, true
		}
	}
	return "", false
}

// Hash identifies the configuration: equal meshes hash equal, whatever the
// file's layout, and whether all pairs are listed or called a full mesh. A function
// whose hash differs from the newest run's observes but does not act.
func (m *Mesh) Hash() string {
	same := *m
	same.Topology = ""
	b, err := json.Marshal(same)
	if err != nil {
		// Every field marshals: names, numbers and times only.
		panic(fmt.Sprintf("mesh %s does not marshal: %v", m.Name, err))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// IDs lists the clusters in the order of the file.
func (m *Mesh) IDs() []ClusterID {
	ids := make([]ClusterID, len(m.Clusters))
	for i, c := range m.Clusters {
		ids[i] = c.ID
	}
	return ids
}

// PeersOf lists the directed peers that a cluster is either end of.
func (m *Mesh) PeersOf(id ClusterID) []PeerID {
	var out []PeerID
	for _, p := range m.Peers {
		if p.ID.From == id || p.ID.To == id {
			out = append(out, p.ID)
		}
	}
	slices.SortFunc(out, func(a, b PeerID) int { return strings.Compare(a.String(), b.String()) })
	return out
}
