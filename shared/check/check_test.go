package check_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/check"
	"peerkeeper/shared/ciscocli"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/userset"
)

var now = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

const (
	emeaPub = mesh.NodeName("imp-emea-pub.example.com")
	emeaSub = mesh.NodeName("imp-emea-sub.example.com")
)

// scene is a mesh of two clusters on Cisco's ports of which all is well and read.
type scene struct {
	*check.Facts
	mesh       *mesh.Mesh
	conditions map[mesh.PeerID]map[peer.Type]peer.Condition
}

func newScene() *scene {
	m := &mesh.Mesh{Name: "acme", Domain: "example.com", Policy: mesh.Policy{Mode: mesh.Observe}}
	s := &scene{mesh: m, conditions: map[mesh.PeerID]map[peer.Type]peer.Condition{}}
	facts := peer.Facts{Now: now, Tick: 5 * time.Minute, Mesh: m, Clusters: map[mesh.ClusterID]*peer.ClusterRecord{}}
	setups := map[mesh.ClusterID]check.Setup{}
	for _, id := range []mesh.ClusterID{"emea", "apac"} {
		pub, sub := mesh.NodeName("imp-"+id+"-pub.example.com"), mesh.NodeName("imp-"+id+"-sub.example.com")
		m.Clusters = append(m.Clusters, mesh.Cluster{
			ID: id, Release: "14.0.1SU3", Publisher: pub, Nodes: []mesh.Node{{Name: pub, Address: string(pub) + ":8443"}, {Name: sub, Address: string(sub) + ":8443"}},
			CUCM: &mesh.Node{Name: "cucm"}, DNS: []string{"192.0.2.1:53", "192.0.2.2:53"}, OVA: 15000, Edition: "standard", DNSSurvivesSplit: true, SyncInterval: mesh.Duration(30 * time.Minute), AutoRecovery: true,
		})
		o := peer.Observation{
			Cluster: id, At: now, Access: peer.Known(true, now), Nodes: map[mesh.NodeName]peer.Node{}, Topology: peer.Known([]mesh.NodeName{pub, sub}, now),
			Users: peer.Known(map[mesh.NodeName]int{pub: 1}, now), SyncAgent: peer.Known("Completed 2026-03-01", now),
		}
		setup := check.Setup{Nodes: map[mesh.NodeName]check.NodeSetup{}, SIPProxy: peer.Known(map[string]string{"MaxProcesses": "20"}, now), PasswordChanged: peer.Known(now.Add(-48*time.Hour), now)}
		for _, n := range []mesh.NodeName{pub, sub} {
			o.Nodes[n] = peer.Node{
				Answers: peer.Known(true, now), Version: peer.Known("14.0.1.13900-8", now), HAState: peer.Known(3, now),
				Services:   peer.Known(map[string]peer.Service{peer.ICSA: {Status: "Started"}, peer.SyncAgent: {Status: "Started"}, peer.AXL: {Status: "Started"}}, now),
				Parameters: peer.Known(map[string]string{peer.ParamInterval: "30", peer.ParamAutoRecovery: "t", peer.ParamCertSync: "t", peer.ParamDomain: "example.com", peer.ParamScheme: "userid"}, now),
			}
			setup.Nodes[n] = check.NodeSetup{Replication: peer.Known(2, now), SRM: peer.Known(3, now), Ports: map[int]string{7400: "", 5060: ""}}
		}
		facts.Clusters[id] = &peer.ClusterRecord{Seen: o}
		setups[id] = setup
	}
	for _, id := range []mesh.PeerID{{From: "emea", To: "apac"}, {From: "apac", To: "emea"}} {
		m.Peers = append(m.Peers, mesh.Peer{ID: id, Protocol: mesh.TCP})
		s.conditions[id] = map[peer.Type]peer.Condition{}
		for _, t := range peer.Types() {
			s.conditions[id][t] = peer.Condition{Type: t, Status: peer.True, Reason: peer.EntriesMatch, Basis: peer.Measured, Message: "fine"}
		}
	}
	s.Facts = &check.Facts{View: facts.View(), Setups: setups, Pasted: map[mesh.NodeName]map[ciscocli.Command]check.Paste{}, Logs: map[mesh.ClusterID]string{}}
	s.Conditions = func(id mesh.PeerID) (out []peer.Condition) {
		for _, t := range peer.Types() {
			out = append(out, s.conditions[id][t])
		}
		return out
	}
	return s
}

// audited is an audit that found nothing wrong with emea's users, but for what it could not read.
func audited(gaps ...userset.Gap) *userset.Report {
	at := now
	return &userset.Report{Read: map[mesh.ClusterID]*time.Time{"emea": &at, "apac": nil}, Unread: gaps}
}

func (s *scene) node(n mesh.NodeName, change func(*peer.Node)) {
	o := &s.Clusters["emea"].Seen
	v := o.Nodes[n]
	change(&v)
	o.Nodes[n] = v
}

func (s *scene) setup(n mesh.NodeName, change func(*check.NodeSetup)) {
	v := s.Setups["emea"].Nodes[n]
	change(&v)
	s.Setups["emea"].Nodes[n] = v
}

func (s *scene) parameter(n mesh.NodeName, name, value string) {
	s.node(n, func(v *peer.Node) {
		params := map[string]string{}
		for k, x := range v.Parameters.Value {
			params[k] = x
		}
		if params[name] = value; value == "" {
			delete(params, name)
		}
		v.Parameters = peer.Known(params, now)
	})
}

func (s *scene) condition(t peer.Type, status peer.Status, why peer.Reason) {
	s.conditions[mesh.PeerID{From: "emea", To: "apac"}][t] = peer.Condition{Type: t, Status: status, Reason: why, Basis: peer.Measured, Message: string(why)}
}

func (s *scene) paste(n mesh.NodeName, text string, at time.Time) {
	out, err := ciscocli.Parse(strings.NewReader(text))
	if err != nil {
		panic(err)
	}
	s.Pasted[n] = map[ciscocli.Command]check.Paste{out.Command: {Output: out, Actor: "ada", At: at}}
}

// row finds the first row of emea or of the mesh by id that has not passed, else the first.
func (s *scene) row(t *testing.T, id string) check.Row {
	t.Helper()
	var found *check.Row
	all := s.Judge()
	for _, r := range append(slices.Clone(all[""]), all["emea"]...) {
		if r.ID != id {
			continue
		}
		if found == nil || found.Status == check.Pass && r.Status != check.Pass {
			found = &r
		}
	}
	if found == nil {
		t.Fatalf("no row %s", id)
	}
	return *found
}

// Every id that others rely on is there once for each thing that it is about, and a mesh of which all is well fails nowhere.
func TestAMeshOfWhichAllIsWell(t *testing.T) {
	s := newScene()
	s.mesh.Clusters[0].SIPFederation = true
	have := map[string]check.Status{}
	seen := map[string]bool{}
	for id, rows := range s.Judge() {
		for _, r := range rows {
			key := fmt.Sprint(r.ID, r.Step, r.Cluster, r.Node, r.Peer)
			if seen[key] {
				t.Errorf("%s is there twice", key)
			}
			seen[key] = true
			have[r.ID] = r.Status
			if r.Status == check.Fail || r.Message == "" || r.Reason == "" || r.Basis == "" || r.Step == "" || r.Cluster != id {
				t.Errorf("%+v", r)
			}
			if (r.Status == check.Manual || r.Status == check.Fail) && r.Fix == "" {
				t.Errorf("%s says not what to do", r.ID)
			}
		}
	}
	for _, id := range strings.Fields(`user-duplicate user-unassigned uri-invalid axl-running sync-agent-running sync-agent-completed icsa-running peer-address peer-both-ends protocol-tcp
		ports-8443 ports-7400 ports-5060 ports-node-to-node ova edition cluster-limit same-domain same-scheme names-survive-split san-resolves interval-range interval-alike auto-recovery
		certificate-sync sip-proxy-processes replication ha-state srm-state release-gap read-role password-age windows topology certificate-status intercluster-user troubleshooter sizing`) {
		if have[id] == "" {
			t.Errorf("there is no row %s", id)
		}
	}
}

// One row of the table is one thing that is wrong, or not known.
func TestWhatIsWrongIsNamed(t *testing.T) {
	for _, c := range []struct {
		name, id string
		change   func(*scene)
		status   check.Status
		reason   peer.Reason
		says     string
	}{
		{"a declared node that the cluster does not list", "topology", func(s *scene) { s.Clusters["emea"].Seen.Topology = peer.Known([]mesh.NodeName{emeaPub}, now) }, check.Fail, check.NotListed, string(emeaSub)},
		{"a node that mesh.yaml does not know", "topology", func(s *scene) {
			s.Clusters["emea"].Seen.Topology = peer.Known([]mesh.NodeName{emeaPub, emeaSub, "third"}, now)
		}, check.Fail, peer.UnlistedNode, "third"},
		{"a topology that was not read", "topology", func(s *scene) {
			s.Clusters["emea"].Seen.Topology = peer.Unknown[[]mesh.NodeName](peer.QueryRefused, "")
		}, check.Unknown, peer.QueryRefused, "not known"},
		{"a topology that was read an hour ago", "topology", func(s *scene) {
			s.Clusters["emea"].Seen.Topology = peer.Known([]mesh.NodeName{emeaPub, emeaSub}, now.Add(-time.Hour))
		}, check.Unknown, peer.Stale, "last read"},
		{"another default domain", "same-domain", func(s *scene) { s.parameter(emeaPub, peer.ParamDomain, "example.org") }, check.Fail, peer.DomainDiffers, "example.org"},
		{"a default domain that is not told", "same-domain", func(s *scene) { s.parameter(emeaPub, peer.ParamDomain, "") }, check.Unknown, peer.NotObservable, ""},
		{"another scheme than the other cluster's", "same-scheme", func(s *scene) { s.parameter(emeaPub, peer.ParamScheme, "Directory URI") }, check.Fail, peer.AddressSchemeDiffers, "apac"},
		{"another scheme than declared", "same-scheme", func(s *scene) { s.mesh.AddressScheme = mesh.SchemeDirectoryURI }, check.Fail, peer.AddressSchemeDiffers, "mesh.yaml"},
		{"a node that does not answer", "ports-8443", func(s *scene) { s.node(emeaSub, func(n *peer.Node) { n.Answers = peer.Known(false, now) }) }, check.Fail, check.PortClosed, string(emeaSub)},
		{"a node behind another port", "ports-8443", func(s *scene) { s.mesh.Clusters[0].Nodes[0].Address = "127.0.0.1:40001" }, check.Unknown, check.OtherPort, "40001"},
		{"XMPP closed to us", "ports-7400", func(s *scene) {
			s.setup(emeaSub, func(n *check.NodeSetup) { n.Ports = map[int]string{7400: "connection refused"} })
		}, check.Fail, check.PortClosed, "refused"},
		{"XMPP not asked", "ports-7400", func(s *scene) { s.setup(emeaSub, func(n *check.NodeSetup) { n.Ports = nil }) }, check.Unknown, peer.NotChecked, ""},
		{"SIP closed, with federation", "ports-5060", func(s *scene) {
			s.mesh.Clusters[0].SIPFederation = true
			s.setup(emeaSub, func(n *check.NodeSetup) { n.Ports = map[int]string{5060: "connection refused"} })
		}, check.Fail, check.PortClosed, "5060"},
		{"node to node, nobody pasted", "ports-node-to-node", func(*scene) {}, check.Manual, peer.NotObservable, "command line"},
		{"an OVA that is not declared", "ova", func(s *scene) { s.mesh.Clusters[0].OVA = 0 }, check.Unknown, check.NotDeclared, "15000"},
		{"an OVA that is too small", "ova", func(s *scene) { s.mesh.Clusters[0].OVA = 5000 }, check.Fail, check.BelowMinimum, "5000"},
		{"an account that is rejected", "read-role", func(s *scene) {
			s.Clusters["emea"].Seen.Access = peer.Unknown[bool](peer.AccountRejected, "401")
		}, check.Fail, peer.AccountRejected, "refused"},
		{"a cluster that cannot be reached", "read-role", func(s *scene) {
			s.Clusters["emea"].Seen.Access = peer.Unknown[bool](peer.CannotConnect, "")
		}, check.Unknown, peer.CannotConnect, ""},
		{"PerfMon that refuses", "read-role", func(s *scene) {
			s.setup(emeaPub, func(n *check.NodeSetup) { n.Replication = peer.Unknown[int](check.PerfMonRefused, "403") })
		}, check.Fail, check.RightMissing, "PerfMon"},
		{"Control Center that refuses", "read-role", func(s *scene) {
			s.node(emeaSub, func(n *peer.Node) { n.Services = peer.Unknown[map[string]peer.Service](peer.Forbidden, "") })
		}, check.Fail, check.RightMissing, "Control Center"},
		{"PerfMon that does not answer", "read-role", func(s *scene) {
			s.setup(emeaSub, func(n *check.NodeSetup) { n.Replication = peer.Unknown[int](peer.CannotConnect, "") })
		}, check.Unknown, peer.CannotConnect, "PerfMon on imp-emea-sub"},
		{"users who are read whole", "user-duplicate", func(s *scene) { s.Users = audited() }, check.Pass, check.CheckPassed, "none in emea"},
		{"a twin may be in a cluster that was not read", "user-duplicate", func(s *scene) {
			s.Users = audited(userset.Gap{Cluster: "apac", What: "users", Reason: "not read yet"})
		}, check.Unknown, peer.RowsIncomplete, "users of apac: not read yet"},
		{"who is unassigned here is in no other cluster", "user-unassigned", func(s *scene) {
			s.Users = audited(userset.Gap{Cluster: "apac", What: "users", Reason: "not read yet"})
		}, check.Pass, check.CheckPassed, "none in emea"},
		{"copies tell nothing of URIs", "uri-invalid", func(s *scene) {
			s.Users = audited(userset.Gap{Cluster: "emea", What: userset.Copies, Reason: "no answer"})
		}, check.Pass, check.CheckPassed, "none in emea"},
		{"URIs that were not told", "uri-invalid", func(s *scene) {
			s.Users = audited(userset.Gap{Cluster: "emea", What: userset.DirectoryURIs, Reason: "no column"})
		}, check.Unknown, peer.RowsIncomplete, "no column"},
		{"logs that are refused", "read-role", func(s *scene) { s.Logs["emea"] = "noRole" }, check.Fail, check.RightMissing, "log files"},
		{"a password age that is not told", "password-age", func(s *scene) {
			v := s.Setups["emea"]
			v.PasswordChanged = peer.Unknown[time.Time](peer.QueryRefused, "")
			s.Setups["emea"] = v
		}, check.Unknown, peer.QueryRefused, ""},
		{"replication 3", "replication", func(s *scene) {
			s.setup(emeaSub, func(n *check.NodeSetup) { n.Replication = peer.Known(3, now) })
		}, check.Fail, check.ReplicationBad, "3 (bad)"},
		{"replication that nobody tells", "replication", func(s *scene) {
			s.setup(emeaSub, func(n *check.NodeSetup) { n.Replication = peer.Unknown[int](check.PerfMonRefused, "") })
		}, check.Unknown, check.PerfMonRefused, ""},
		{"a node in backup mode", "ha-state", func(s *scene) { s.node(emeaSub, func(n *peer.Node) { n.HAState = peer.Known(4, now) }) }, check.Fail, peer.HAState, "Backup"},
		{"a node without HA is lawfully Idle", "ha-state", func(s *scene) {
			s.mesh.Clusters[0].HA = mesh.Off
			s.node(emeaPub, func(n *peer.Node) { n.HAState = peer.Known(2, now) })
			s.node(emeaSub, func(n *peer.Node) { n.HAState = peer.Known(2, now) })
		}, check.Pass, check.CheckPassed, "Idle"},
		{"a recovery manager that failed", "srm-state", func(s *scene) { s.setup(emeaSub, func(n *check.NodeSetup) { n.SRM = peer.Known(11, now) }) }, check.Fail, check.RecoveryNotReady, "Failed"},
		{"a recovery manager idle although HA is on", "srm-state", func(s *scene) {
			s.mesh.Clusters[0].HA = mesh.On
			s.setup(emeaSub, func(n *check.NodeSetup) { n.SRM = peer.Known(2, now) })
		}, check.Fail, check.RecoveryNotReady, "Idle"},
		{"AXL stopped", "axl-running", func(s *scene) {
			s.node(emeaSub, func(n *peer.Node) {
				n.Services = peer.Known(map[string]peer.Service{peer.AXL: {Status: "Stopped"}, peer.ICSA: {Status: "Started"}}, now)
			})
		}, check.Fail, peer.ServiceStopped, "AXL"},
		{"ICSA that Control Center does not list", "icsa-running", func(s *scene) {
			s.node(emeaSub, func(n *peer.Node) { n.Services = peer.Known(map[string]peer.Service{}, now) })
		}, check.Unknown, peer.UnreadableAnswer, ""},
		{"ICSA that starts", "icsa-running", func(s *scene) {
			s.node(emeaSub, func(n *peer.Node) {
				n.Services = peer.Known(map[string]peer.Service{peer.ICSA: {Status: "Starting"}}, now)
			})
		}, check.Unknown, peer.NotYetDecided, "Starting"},
		{"Sync Agent stopped on the publisher", "sync-agent-running", func(s *scene) {
			s.node(emeaPub, func(n *peer.Node) {
				n.Services = peer.Known(map[string]peer.Service{peer.SyncAgent: {Status: "Stopped"}}, now)
			})
		}, check.Fail, peer.ServiceStopped, "Sync Agent"},
		{"a user sync that goes on", "sync-agent-completed", func(s *scene) { s.Clusters["emea"].Seen.SyncAgent = peer.Known("In progress", now) }, check.Fail, peer.SyncAgentNotCompleted, "In progress"},
		{"a user sync that is not told", "sync-agent-completed", func(s *scene) { s.Clusters["emea"].Seen.SyncAgent = peer.Unknown[string](peer.NotObservable, "") }, check.Unknown, peer.NotObservable, ""},
		{"an address that is no node name", "peer-address", func(s *scene) { s.condition(peer.Configured, peer.False, peer.AddressNotNodeName) }, check.Fail, peer.AddressNotNodeName, ""},
		{"another trouble is no address", "peer-address", func(s *scene) { s.condition(peer.Configured, peer.False, peer.ProtocolDiffers) }, check.Pass, check.CheckPassed, ""},
		{"one end only", "peer-both-ends", func(s *scene) { s.condition(peer.Configured, peer.False, peer.PeerMissingOnOtherSide) }, check.Fail, peer.PeerMissingOnOtherSide, ""},
		{"two protocols", "protocol-tcp", func(s *scene) { s.condition(peer.Configured, peer.False, peer.ProtocolDiffers) }, check.Fail, peer.ProtocolDiffers, ""},
		{"TLS is lawful", "protocol-tcp", func(s *scene) { s.mesh.Peers[0].Protocol = mesh.TLSProto }, check.Declared, check.Advised, "recommends TCP"},
		{"a table that nobody mapped", "peer-address", func(s *scene) { s.condition(peer.Configured, peer.True, peer.CopiesExist) }, check.Unknown, peer.NotObservable, ""},
		{"copies show an entry", "peer-both-ends", func(s *scene) { s.condition(peer.Configured, peer.True, peer.CopiesExist) }, check.Pass, peer.CopiesExist, ""},
		{"names that need DNS", "names-survive-split", func(s *scene) { s.mesh.Clusters[0].DNSSurvivesSplit = false }, check.Fail, check.NamesNeedDNS, "split brain"},
		{"a certificate that is not trusted", "certificate-status", func(s *scene) { s.condition(peer.CertificateTrusted, peer.False, peer.NotInTrustStore) }, check.Fail, peer.NotInTrustStore, ""},
		{"trust that is not known", "certificate-status", func(s *scene) { s.condition(peer.CertificateTrusted, peer.UnknownStatus, peer.TrustNotRead) }, check.Unknown, peer.TrustNotRead, ""},
		{"certificate sync off", "certificate-sync", func(s *scene) { s.parameter(emeaSub, peer.ParamCertSync, "f") }, check.Fail, check.NotAsDeclared, "by hand"},
		{"certificate sync in a release without it", "certificate-sync", func(s *scene) {
			s.node(emeaPub, func(n *peer.Node) { n.Version = peer.Known("12.5.1.13900-17", now) })
			s.node(emeaSub, func(n *peer.Node) { n.Version = peer.Known("12.5.1.13900-17", now) })
		}, check.Declared, check.SinceLater, "SU4"},
		{"an interval in that release is there", "interval-range", func(s *scene) {
			s.node(emeaPub, func(n *peer.Node) { n.Version = peer.Known("12.5.1.13900-17", now) })
		}, check.Pass, check.CheckPassed, ""},
		{"auto recovery off", "auto-recovery", func(s *scene) { s.parameter(emeaSub, peer.ParamAutoRecovery, "f") }, check.Fail, check.NotAsDeclared, string(emeaSub)},
		{"auto recovery off as declared", "auto-recovery", func(s *scene) {
			s.mesh.Clusters[0].AutoRecovery = false
			s.parameter(emeaPub, peer.ParamAutoRecovery, "Disabled")
		}, check.Declared, check.AsDeclared, ""},
		{"auto recovery in words nobody knows", "auto-recovery", func(s *scene) { s.parameter(emeaSub, peer.ParamAutoRecovery, "perhaps") }, check.Unknown, peer.UnreadableAnswer, ""},
		{"an interval out of range", "interval-range", func(s *scene) { s.parameter(emeaSub, peer.ParamInterval, "29") }, check.Fail, check.OutOfRange, "29"},
		{"an interval that nobody mapped", "interval-range", func(s *scene) { s.parameter(emeaSub, peer.ParamInterval, "") }, check.Unknown, peer.NotObservable, ""},
		{"two intervals", "interval-alike", func(s *scene) { s.parameter(emeaSub, peer.ParamInterval, "45") }, check.Fail, peer.ParametersDiffer, "45"},
		{"nodes of two releases", "release-gap", func(s *scene) { s.node(emeaSub, func(n *peer.Node) { n.Version = peer.Known("15.0.1.10000-1", now) }) }, check.Fail, peer.ReleaseDiffers, "15.0.1"},
		{"clusters of two trains", "release-gap", func(s *scene) { s.mesh.Clusters[1].Release = "12.5.1SU3" }, check.Declared, check.Advised, "12.5"},
		{"more clusters than Cisco supports, seen from entries", "cluster-limit", func(s *scene) {
			var entries []peer.Entry
			for i := range 29 {
				entries = append(entries, peer.Entry{Address: fmt.Sprintf("imp-x%d.example.com", i)})
			}
			s.Clusters["emea"].Seen.Entries = peer.Known(entries, now)
		}, check.Fail, check.TooManyClusters, "31"},
		{"many clusters with many processes", "sip-proxy-processes", func(s *scene) {
			var entries []peer.Entry
			for i := range 8 {
				entries = append(entries, peer.Entry{Address: fmt.Sprintf("imp-x%d.example.com", i)})
			}
			s.Clusters["emea"].Seen.Entries = peer.Known(entries, now)
		}, check.Manual, peer.NotObservable, "MaxProcesses=20"},
		{"and ICSA restarted twice in a day by itself", "sip-proxy-processes", func(s *scene) {
			shortOfResources(s)
		}, check.Declared, check.Advised, "that nobody explains"},
		{"and it was Peerkeeper that restarted it once", "sip-proxy-processes", func(s *scene) {
			shortOfResources(s)
			r := s.Clusters["emea"].Resets[0]
			s.Done = []peer.Done{{Target: peer.Target{Cluster: "emea", Node: r.Node, Service: r.Service}, Action: peer.RestartService, At: r.At.Add(-5 * time.Minute)}}
		}, check.Manual, peer.NotObservable, "MaxProcesses=20"},
		{"a name that does not resolve", "san-resolves", func(s *scene) { s.condition(peer.NamesResolve, peer.False, peer.NameNotResolving) }, check.Fail, peer.NameNotResolving, ""},
		{"a window that is denied whole", "windows", func(s *scene) {
			s.mesh.Policy.Windows = []mesh.Window{{Kind: "allow", Days: []string{"sat"}, From: "22:00", To: "04:00", TimeZone: "UTC"}, {Kind: "deny", Days: []string{"sat", "sun"}, From: "00:00", To: "24:00", TimeZone: "UTC"}}
		}, check.Fail, check.WindowNeverOpen, "sat"},
		{"a window that is open for an hour", "windows", func(s *scene) {
			s.mesh.Policy.Windows = []mesh.Window{{Kind: "allow", Days: []string{"sat"}, From: "22:00", To: "04:00", TimeZone: "UTC"}, {Kind: "deny", Days: []string{"sun"}, From: "00:00", To: "03:00", TimeZone: "UTC"}}
		}, check.Declared, check.AsDeclared, ""},
		{"an interval that the release cannot have", mesh.LintIntervalNotSettable, func(s *scene) {
			s.mesh.Clusters[0].Release, s.mesh.Clusters[0].SyncInterval = "12.5.1", mesh.Duration(45*time.Minute)
		}, check.Fail, check.SinceLater, "12.5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.change(s)
			r := s.row(t, c.id)
			if r.Status != c.status || r.Reason != c.reason || !strings.Contains(r.Message, c.says) {
				t.Errorf("%+v", r)
			}
			if r.Status == check.Fail && r.Fix == "" {
				t.Error("what fails says not what to do")
			}
		})
	}
}

// What a plan changes is not judged meanwhile, whether it passed or failed; the other
// direction and other clusters are.
func TestAPairThatAPlanChangesIsUnknown(t *testing.T) {
	s := newScene()
	s.condition(peer.CertificateTrusted, peer.False, peer.NotInTrustStore)
	if r := s.row(t, "certificate-status"); r.Status != check.Fail {
		t.Fatalf("%+v", r)
	}
	s.Changing = map[mesh.PeerID]string{{From: "emea", To: "apac"}: "c4f2"}
	for _, id := range []string{"certificate-status", "peer-both-ends", "san-resolves"} {
		r := s.row(t, id)
		if r.Status != check.Unknown || r.Reason != check.Changing || !strings.Contains(r.Message, "plan c4f2 changes emea>apac") || r.Peer.To != "apac" {
			t.Errorf("%s: %+v", id, r)
		}
	}
	for _, r := range s.Judge()["apac"] {
		if r.Reason == check.Changing {
			t.Errorf("the other direction: %+v", r)
		}
	}
}

// What a person pasted counts for a day, with their name.
func TestWhatWasPastedCountsForADay(t *testing.T) {
	all := "admin:utils network connectivity imp-apac-pub.example.com 8443\nService accessible\nadmin:utils network connectivity imp-apac-pub.example.com 7400\nService accessible\n" +
		"admin:utils network connectivity IMP-APAC-SUB.example.com 8443\nService accessible\nadmin:utils network connectivity imp-apac-sub.example.com 7400\nService accessible\n"
	unread := func(s *scene) {
		for _, n := range []mesh.NodeName{emeaPub, emeaSub} {
			s.setup(n, func(v *check.NodeSetup) { v.Replication = peer.Unknown[int](peer.Forbidden, "") })
			s.node(n, func(v *peer.Node) { v.HAState = peer.Unknown[int](peer.NotObservable, "") })
		}
	}
	const replication = "imp-emea-pub 192.0.2.1 0.1 Y/Y/Y 0 (g_2) (2) Setup Completed\nimp-emea-sub 192.0.2.2 0.1 Y/Y/Y 0 (g_3) (%d) Whatever\n"
	const ha = "Subcluster Name: D\nNode 1 Name : imp-emea-pub State: Normal\nNode 2 Name : imp-emea-sub State: %s\n"
	for _, c := range []struct {
		name, id, text string
		on             mesh.NodeName
		at             time.Time
		status         check.Status
		says           string
	}{
		{"every port of every peer", "ports-node-to-node", all, emeaPub, now, check.Pass, "ada"},
		{"one port is closed", "ports-node-to-node", strings.Replace(all, "Service accessible", "Service not accessible", 1), emeaPub, now, check.Fail, "imp-apac-pub.example.com:8443"},
		{"one was not tried", "ports-node-to-node", all[:strings.LastIndex(all, "admin:")], emeaPub, now, check.Unknown, "imp-apac-sub.example.com:7400"},
		{"a day and an hour ago", "ports-node-to-node", all, emeaPub, now.Add(-25 * time.Hour), check.Manual, ""},
		{"by a clock a day ahead", "ports-node-to-node", all, emeaPub, now.Add(25 * time.Hour), check.Manual, ""},
		{"replication good", "replication", fmt.Sprintf(replication, 2), emeaPub, now, check.Pass, "ada"},
		{"replication bad", "replication", fmt.Sprintf(replication, 4), emeaPub, now, check.Fail, "4"},
		{"both nodes normal", "ha-state", fmt.Sprintf(ha, "Normal"), emeaPub, now, check.Pass, "ada"},
		{"one failed over", "ha-state", fmt.Sprintf(ha, "Failed Over"), emeaPub, now, check.Fail, "Failed Over"},
		{"no duplicates", "user-duplicate", "Users with Duplicate User IDs\n---\nUsers with Duplicate Directory URIs\n---\nadmin:", emeaPub, now, check.Pass, "ada"},
		{"no duplicates, and of URIs nothing is said", "user-duplicate", "Users with Duplicate User IDs\n---\nadmin:", emeaPub, now, check.Unknown, "not run for all"},
		{"a duplicate", "user-duplicate", "Users with Duplicate User IDs\n---\n User ID: jdoe\n  Node Name\n  a\nadmin:", emeaPub, now, check.Fail, "jdoe"},
		{"an invalid URI", "uri-invalid", "Users with Invalid Directory URI Configured\n---\nNode Name: a\nUser ID Directory URI\njdoe x@@y\nadmin:", emeaPub, now, check.Fail, "jdoe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			unread(s)
			s.paste(c.on, c.text, c.at)
			for _, r := range s.Judge()["emea"] {
				if r.ID == c.id && (r.Node == c.on || r.Node == "" || c.id == "replication" && r.Node == emeaSub || c.id == "ha-state" && r.Node == emeaSub) {
					if r.Node == emeaPub && (c.id == "replication" || c.id == "ha-state") {
						continue // of the other node it tells as well
					}
					if r.Status != c.status || !strings.Contains(r.Message, c.says) {
						t.Errorf("%+v", r)
					}
				}
			}
		})
	}
}

// TestWhoseAnswerItIs: by name without the domain, or by address.
func TestWhoseAnswerItIs(t *testing.T) {
	byName := &mesh.Cluster{ID: "emea", Nodes: []mesh.Node{{Name: emeaPub, Address: "192.0.2.1:8443"}, {Name: emeaSub, Address: string(emeaSub) + ":8443"}}, CUCM: &mesh.Node{Name: "cucm-emea.example.com"}}
	byAddress := &mesh.Cluster{ID: "emea", Nodes: []mesh.Node{{Name: "192.0.2.1", Address: "192.0.2.1:8443"}}}
	forwarded := &mesh.Cluster{ID: "emea", Nodes: []mesh.Node{{Name: emeaPub, Address: "192.0.2.1:18443"}}}
	for name, c := range map[string]struct {
		cluster *mesh.Cluster
		nodes   []string
		foreign string
	}{
		"nobody is named":             {byName, nil, ""},
		"by short names":              {byName, []string{"IMP-emea-sub"}, ""},
		"by full names":               {byName, []string{"imp-emea-sub.example.com"}, ""},
		"by address":                  {byName, []string{"imp-one", "192.0.2.1"}, ""},
		"by Unified CM's name":        {byName, []string{"cucm-emea"}, ""},
		"one of several":              {byName, []string{"imp-apac-pub", "imp-emea-pub"}, ""},
		"another cluster's":           {byName, []string{"imp-apac-pub", "192.0.2.10"}, "imp-apac-pub, 192.0.2.10"},
		"an address, named so":        {byAddress, []string{"imp-emea-pub", "192.0.2.1"}, ""},
		"another address":             {byAddress, []string{"192.0.2.10"}, "192.0.2.10"},
		"the address of a forwarding": {forwarded, []string{"192.0.2.1"}, "192.0.2.1"},
	} {
		if got := check.Foreign(ciscocli.Output{Nodes: c.nodes}, c.cluster); got != c.foreign {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A row keeps its since while its status stands, and what another clock noted counts from now.
func TestSinceMovesWithTheStatusOnly(t *testing.T) {
	row := func(s check.Status) []check.Row {
		return []check.Row{{ID: "replication", Step: "prerequisites", Cluster: "emea", Node: emeaSub, Status: s, Message: "m"}}
	}
	var r check.Record
	for _, step := range []struct {
		status check.Status
		at     time.Duration
		since  time.Duration
	}{
		{check.Pass, 0, 0}, {check.Pass, 24 * time.Hour, 0}, {check.Fail, 48 * time.Hour, 48 * time.Hour}, {check.Fail, 72 * time.Hour, 48 * time.Hour},
		{check.Fail, 0, 0}, // the clock was days ahead
	} {
		r = r.Next(row(step.status), now.Add(step.at))
		if len(r.Rows) != 1 || !r.Rows[0].Since.Equal(now.Add(step.since)) {
			t.Errorf("%v at %s: %+v", step.status, step.at, r.Rows)
		}
	}
}

// A record stays far below what an item may hold, whatever the rows, and says what it left out: the least bad.
func TestARecordIsBounded(t *testing.T) {
	rows := []check.Row{{ID: "topology", Step: "prerequisites", Cluster: "emea", Status: check.Pass, Message: "fine"}}
	for i := range 999 {
		rows = append(rows, check.Row{ID: "san-resolves", Step: "restrictions", Cluster: "emea", Peer: mesh.PeerID{From: "emea", To: mesh.ClusterID(fmt.Sprint("c", i))}, Status: check.Fail, Message: strings.Repeat("é", 300), Fix: strings.Repeat("f", 300)})
	}
	b, err := json.Marshal(check.Record{}.Next(rows, now))
	if err != nil || len(b) > 100<<10 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	var kept check.Record
	if err := json.Unmarshal(b, &kept); err != nil || len(kept.Rows) != 201 || kept.Rows[0].ID != "san-resolves" || kept.Rows[200].Status != check.Unknown || !strings.Contains(kept.Rows[200].Message, "800") {
		t.Errorf("%d rows, %v", len(kept.Rows), err)
	}
	if err := json.Unmarshal([]byte(`{"rows":"Z2FyYmFnZQ=="}`), &kept); err == nil {
		t.Error("garbage unfolds")
	}
}

// A failed row is a finding, unless what it says is one already; a node that has failed over is information.
func TestFailedRowsAreFindings(t *testing.T) {
	s := newScene()
	s.setup(emeaSub, func(n *check.NodeSetup) { n.Replication = peer.Known(3, now) })
	s.setup(emeaPub, func(n *check.NodeSetup) { n.SRM = peer.Known(8, now) })
	s.node(emeaSub, func(n *peer.Node) { n.HAState = peer.Known(4, now) })
	var got []string
	for _, f := range check.Findings(s.Judge()["emea"]) {
		got = append(got, string(f.Severity)+" "+string(f.Reason)+" "+string(f.Node))
	}
	if diff := cmp.Diff([]string{"warning PreflightFailed " + string(emeaSub), "info PreflightFailed " + string(emeaPub)}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Replication goes bad, is lost from sight, is seen again and heals: one finding, since it went bad, until it is seen
// to be good. What only a person sees, and what mesh.yaml declares, ends it too; ignorance alone never begins one.
func TestAFailingCheckIsOneFindingUntilItIsSeenToPass(t *testing.T) {
	const bad = "database replication of imp-emea-sub.example.com is 3 (bad)"
	row := func(s check.Status) check.Row {
		r := check.Row{ID: "replication", Step: "prerequisites", Cluster: "emea", Node: emeaSub, Status: s, Reason: check.CheckPassed, Message: "good"}
		switch s {
		case check.Fail:
			r.Reason, r.Message, r.Fix = check.ReplicationBad, bad, "`utils dbreplication runtimestate`"
		case check.Unknown:
			r.Reason, r.Message = check.PerfMonRefused, "not known: 403"
		}
		return r
	}
	var r check.Record
	at := now
	for _, c := range []struct {
		name   string
		status check.Status
		since  time.Duration // of the finding, after the start; negative: there is none
		says   string
	}{
		{"never seen", check.Unknown, -1, ""},
		{"good", check.Pass, -1, ""},
		{"bad", check.Fail, 48 * time.Hour, bad},
		{"bad the next day", check.Fail, 48 * time.Hour, bad},
		{"PerfMon refuses: it may still be bad", check.Unknown, 48 * time.Hour, bad + "; since 2026-03-06 08:00 UTC it cannot be told: not known: 403"},
		{"PerfMon goes on refusing", check.Unknown, 48 * time.Hour, "since 2026-03-06 08:00 UTC"},
		{"it is still bad", check.Fail, 48 * time.Hour, bad},
		{"good again", check.Pass, -1, ""},
		{"PerfMon refuses, and nothing was bad before", check.Unknown, -1, ""},
		{"bad once more", check.Fail, 9 * 24 * time.Hour, bad},
		{"only a person sees it now", check.Manual, -1, ""},
		{"it is not known, and the person's word stands", check.Unknown, -1, ""},
		{"bad for the last time", check.Fail, 12 * 24 * time.Hour, bad},
		{"it is declared to be so", check.Declared, -1, ""},
	} {
		r = r.Next([]check.Row{row(c.status)}, at)
		b, err := json.Marshal(r) // as it is stored
		r = check.Record{}
		if err := errors.Join(err, json.Unmarshal(b, &r)); err != nil {
			t.Fatal(err)
		}
		got := check.Findings(r.Rows)
		switch {
		case c.since < 0 && len(got) != 0:
			t.Errorf("%s: %+v", c.name, got)
		case c.since >= 0 && len(got) != 1:
			t.Errorf("%s: %d findings", c.name, len(got))
		case c.since >= 0:
			f := got[0]
			if f.ID != "PreflightFailed:replication:imp-emea-sub.example.com" || !f.Since.Equal(now.Add(c.since)) || !strings.Contains(f.Message, c.says) ||
				f.Fix != "`utils dbreplication runtimestate`; then `peerkeeper preflight emea --now` looks again" {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
		at = at.Add(24 * time.Hour)
	}
}

// An account that is refused is a finding of its own cluster already.
func TestARefusedAccountIsNotFoundTwice(t *testing.T) {
	for why, findings := range map[peer.Reason]int{peer.AccountRejected: 0, peer.Forbidden: 0, check.RightMissing: 1} {
		rows := []check.Row{{ID: "read-role", Cluster: "emea", Status: check.Fail, Reason: why, Message: "m", Fix: "f"}}
		if got := check.Findings(rows); len(got) != findings {
			t.Errorf("%s: %+v", why, got)
		}
	}
}

// Of a cluster whose record a newer version keeps, every check that is judged is unknown and says so.
func TestAClusterRecordedByANewerVersionNeverFails(t *testing.T) {
	s := newScene()
	s.setup(emeaSub, func(n *check.NodeSetup) { n.Replication = peer.Known(3, now) })
	s.mesh.Clusters[0].OVA = 5000
	s.Newer = map[mesh.ClusterID]bool{"emea": true}
	all := s.Judge()
	for _, r := range all["emea"] {
		if r.Status == check.Pass || r.Status == check.Fail || r.Status == check.Unknown && (r.Reason != peer.NewerSchema || !strings.Contains(r.Message, "newer version")) {
			t.Errorf("%+v", r)
		}
	}
	if !slices.ContainsFunc(all["apac"], func(r check.Row) bool { return r.ID == "replication" && r.Status == check.Pass }) {
		t.Error("the other cluster is judged as ever")
	}
}

// shortOfResources is a mesh of many clusters in which ICSA restarted twice by itself.
func shortOfResources(s *scene) {
	var entries []peer.Entry
	for i := range 8 {
		entries = append(entries, peer.Entry{Address: fmt.Sprintf("imp-x%d.example.com", i)})
	}
	emea := s.Clusters["emea"]
	emea.Seen.Entries = peer.Known(entries, now)
	emea.Resets = []peer.Reset{{Node: "imp-emea-pub.example.com", Service: peer.ICSA, At: now.Add(-20 * time.Hour)}, {Node: "imp-emea-pub.example.com", Service: peer.ICSA, At: now.Add(-time.Hour)}}
}
