package peer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
)

func TestFindings(t *testing.T) {
	cases := []struct {
		name   string
		broken func(s *scene)
		want   string // ids of apac's findings, "" = none
	}{
		{"all well", func(*scene) {}, ""},
		{"a service stopped", func(s *scene) { s.service("apac", sub("apac"), ICSA, "Stopped") }, "ServiceStopped:imp-apac-sub.example.com:Cisco Intercluster Sync Agent"},
		{"the Sync Agent stopped on a subscriber, where it need not run", func(s *scene) { s.service("apac", sub("apac"), SyncAgent, "Stopped") }, ""},
		{"the Sync Agent stopped on the publisher", func(s *scene) { s.service("apac", pub("apac"), SyncAgent, "Stopped") }, "ServiceStopped:imp-apac-pub.example.com:Cisco Sync Agent"},
		{"the XCP Router stopped on a subscriber", func(s *scene) { s.service("apac", sub("apac"), XCPRouter, "Stopped") }, "ServiceStopped:imp-apac-sub.example.com:Cisco XCP Router"},
		{"another AXL version is taken than the release's", func(s *scene) { s.apac().Seen.AXLVersion = "12.0" }, "AXLVersionFound:imp-apac-pub.example.com"},
		{"ten nodes more than in mesh.yaml: all are named", func(s *scene) {
			var names []mesh.NodeName
			for i := range 10 {
				names = append(names, mesh.NodeName(fmt.Sprintf("n%02d", i)))
			}
			s.apac().Seen.Topology = Known(names, noon)
		}, "UnlistedNode:n00 UnlistedNode:n01 UnlistedNode:n02 UnlistedNode:n03 UnlistedNode:n04 UnlistedNode:n05 UnlistedNode:n06 UnlistedNode:n07 UnlistedNode:n08 UnlistedNode:n09"},
		{"certcheck reads what peersync reads too", func(s *scene) {
			s.CertificateRead = map[mesh.ClusterID]map[mesh.NodeName]time.Time{"apac": {pub("apac"): ago(time.Minute), sub("apac"): ago(time.Minute)}}
		}, ""},
		{"certcheck reads a subscriber that peersync has lost", func(s *scene) {
			s.lose("apac", ago(5*time.Hour), sub("apac"))
			s.CertificateRead = map[mesh.ClusterID]map[mesh.NodeName]time.Time{"apac": {sub("apac"): ago(2 * time.Hour)}}
		}, "ReadByCertcheckOnly:imp-apac-sub.example.com"},
		{"subscriber lost for less than an interval and a look", func(s *scene) { s.lose("apac", ago(34*time.Minute), sub("apac")) }, ""},
		{"subscriber lost for longer", func(s *scene) { s.lose("apac", ago(36*time.Minute), sub("apac")) }, "NodeUnreachable:imp-apac-sub.example.com"},
		{"its publisher is down: its own silence is no second finding", func(s *scene) { s.outage(time.Hour, pub("apac")) }, "PublisherDown"},
		{"out of our sight: no node's silence is a second finding", func(s *scene) { s.lose("apac", ago(time.Hour)) }, "CannotSeeCluster"},
		{"a node takes RSA key exchange only", func(s *scene) {
			n := s.apac().Seen.Nodes[sub("apac")]
			n.Remarks = []Reason{RSAKeyExchangeOnly}
			s.apac().Seen.Nodes[sub("apac")] = n
		}, "RSAKeyExchangeOnly:imp-apac-sub.example.com"},
		{"a service starting", func(s *scene) { s.service("apac", sub("apac"), ICSA, "Starting") }, ""},
		{"release", func(s *scene) { c, _ := s.Mesh.Cluster("apac"); c.Release = "15.0" }, "ReleaseDiffers:imp-apac-pub.example.com"},
		{"declared more precisely, to SU level", func(s *scene) { c, _ := s.Mesh.Cluster("apac"); c.Release = "14.0.1SU3" }, ""},
		{"clock", func(s *scene) { s.apac().Seen.Skew = Known(-3*time.Minute, noon) }, "ClockSkew"},
		{"a clock that is two minutes off", func(s *scene) { s.apac().Seen.Skew = Known(2*time.Minute, noon) }, ""},
		{"Sync Agent", func(s *scene) {
			s.apac().Seen.SyncAgent = Known("Sync Completed, but currently failed to connect to the CUCM Database Monitor. Retrying... 2021-11-15 01:04:27", noon)
		}, "SyncAgentNotCompleted:imp-apac-pub.example.com"},
		{"a node mesh.yaml does not know", func(s *scene) {
			s.apac().Seen.Topology = Known([]mesh.NodeName{pub("apac"), sub("apac"), "imp-apac-sub2.example.com", pub("emea")}, noon)
		}, "UnlistedNode:imp-apac-sub2.example.com"},
		{"an entry for nobody", func(s *scene) {
			s.apac().Seen.Entries.Value = append(s.apac().Seen.Entries.Value, Entry{Address: "imp-old-pub.example.com"})
		}, "UnlistedPeer:imp-old-pub.example.com"},
		{"an entry that was forgotten when the pair ended", func(s *scene) { s.unpair("apac", "emea") }, "UnlistedPeer:imp-emea-pub.example.com"},
		{"a pair that a plan is ending", func(s *scene) {
			s.unpair("apac", "emea")
			s.Changing = map[mesh.PeerID]string{{From: "apac", To: "emea"}: "c4f2"}
		}, ""},
		{"parameters", func(s *scene) {
			s.apac().Seen.Nodes[sub("apac")].Parameters.Value[ParamAutoRecovery] = "f"
		}, "ParametersDiffer"},
		{"interval", func(s *scene) { s.apac().Interval.Value = time.Hour }, "IntervalDiffers"},
		{"the list of its nodes is cut: nobody knows what it lacks", func(s *scene) {
			s.apac().Seen.Topology = Partial([]mesh.NodeName{"imp-apac-sub2.example.com"}, noon, RowsIncomplete, "cut")
		}, ""},
		{"eleven nodes more than in mesh.yaml: ten are named", func(s *scene) {
			var names []mesh.NodeName
			for i := range 11 {
				names = append(names, mesh.NodeName(fmt.Sprintf("n%02d", i)))
			}
			s.apac().Seen.Topology = Known(names, noon)
		}, "UnlistedNode:more UnlistedNode:n00 UnlistedNode:n01 UnlistedNode:n02 UnlistedNode:n03 UnlistedNode:n04 UnlistedNode:n05 UnlistedNode:n06 UnlistedNode:n07 UnlistedNode:n08 UnlistedNode:n09"},
		{"eleven entries for nobody: ten are named", func(s *scene) {
			for i := range 11 {
				s.apac().Seen.Entries.Value = append(s.apac().Seen.Entries.Value, Entry{Address: fmt.Sprintf("p%02d", i)})
			}
		}, "UnlistedPeer:more UnlistedPeer:p00 UnlistedPeer:p01 UnlistedPeer:p02 UnlistedPeer:p03 UnlistedPeer:p04 UnlistedPeer:p05 UnlistedPeer:p06 UnlistedPeer:p07 UnlistedPeer:p08 UnlistedPeer:p09"},
		{"users of a domain that mesh.yaml does not name", func(s *scene) {
			s.apac().UserSet = Known(map[mesh.ClusterID]SetDigest{"apac": {Users: 200, Foreign: 3}}, noon)
		}, "OtherDomains"},
		{"copies of another domain are their home's affair", func(s *scene) {
			s.apac().UserSet = Known(map[mesh.ClusterID]SetDigest{"apac": {Users: 200}, "emea": {Users: 200, Foreign: 3}}, noon)
		}, ""},
		{"both nodes' answers cannot be used: each is named", func(s *scene) {
			s.unread("apac", pub("apac"), UnreadableAnswer)
			s.unread("apac", sub("apac"), UnreadableAnswer)
		}, "UnreadableAnswer:imp-apac-pub.example.com UnreadableAnswer:imp-apac-sub.example.com"},
		{"two answers of one node for one reason: it is named once", func(s *scene) {
			s.apac().Seen.Users.Reason, s.apac().Seen.Entries.Reason = ConnectionClosed, ConnectionClosed
		}, "ConnectionClosed:imp-apac-pub.example.com"},
		{"a subscriber that tells no parameters differs in none", func(s *scene) {
			delete(s.apac().Seen.Nodes[sub("apac")].Parameters.Value, ParamAutoRecovery)
		}, ""},
		{"subscriber lost ten minutes ago", func(s *scene) { s.lose("apac", ago(10*time.Minute), sub("apac")) }, ""},
		{"subscriber lost an hour ago", func(s *scene) { s.lose("apac", ago(time.Hour), sub("apac")) }, "NodeUnreachable:imp-apac-sub.example.com"},
		{"lost", func(s *scene) { s.outage(time.Hour) }, "ClusterDown"},
		{"rejected", func(s *scene) { s.reject("apac") }, "AccountRejected"},
		{"rejected, and an answer cannot be used: the account is the trouble", func(s *scene) { s.reject("apac"); s.unread("apac", pub("apac"), UnreadableAnswer) }, "AccountRejected"},
		{"one node's certificate does not fit ours", func(s *scene) {
			n := s.apac().Seen.Nodes[sub("apac")]
			n.Services.Reason, n.Services.Detail = ServerCertificateUntrusted, "no pin matches"
			s.apac().Seen.Nodes[sub("apac")] = n
		}, "ServerCertificateUntrusted:imp-apac-sub.example.com"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.broken(s)
			first := Findings(s.View(), "apac", nil)
			var ids []string
			for _, f := range first {
				ids = append(ids, string(f.ID))
				if f.Message == "" || f.Severity == "" || !f.Since.Equal(noon) {
					t.Errorf("%+v lacks something", f)
				}
			}
			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			s.Now = noon.Add(time.Minute)
			if diff := cmp.Diff(first, Findings(s.View(), "apac", first)); diff != "" {
				t.Errorf("a minute later, nothing having changed: %s", diff)
			}
		})
	}
}

func TestAStoppedServiceSaysWhyWhereItIsTold(t *testing.T) {
	for code, want := range map[int]string{
		0: ICSA + " is stopped on imp-apac-sub.example.com", -1: ICSA + " is stopped on imp-apac-sub.example.com",
		CodeCommandedOut: ICSA + " is stopped on imp-apac-sub.example.com (commanded out of service)",
		-1019:            ICSA + " is stopped on imp-apac-sub.example.com (reason code -1019)",
	} {
		s := newScene()
		s.apac().Seen.Nodes[sub("apac")].Services.Value[ICSA] = Service{Status: "Stopped", UpTime: -1, Code: code}
		if got := Findings(s.View(), "apac", nil); len(got) != 1 || got[0].Message != want {
			t.Errorf("code %d: %+v, want %q", code, got, want)
		}
	}
}

func TestTheWorstSeverityComesFirst(t *testing.T) {
	for i, s := range []Severity{Critical, Warning, Info, "of another release"} {
		if s.Rank() != i {
			t.Errorf("%s has rank %d, want %d", s, s.Rank(), i)
		}
	}
}

// TestWhenADeclaredReleaseIsTheOneThatRuns: by the numbers that both have, three at
// most.
func TestWhenADeclaredReleaseIsTheOneThatRuns(t *testing.T) {
	for _, c := range []struct {
		declared, read string
		same           bool
	}{
		{"14.0", "14.0.1.13900-8", true},
		{"14.0.1SU3", "14.0.1.13900-8", true},
		{"14", "14.0.1.13900-8", true},
		{"14.0.1.99999", "14.0.1.13900-8", true},
		{"14.x", "14.0.1.13900-8", true},
		{"14.0.2", "14.0.1.13900-8", false},
		{"14.5", "14.0.1.13900-8", false},
		{"15.0", "14.0.1.13900-8", false},
		{"SU3", "14.0.1.13900-8", false},
		{"14.0", "", false},
		{"9.1", "9.1.1.10000-4", true},
	} {
		if got := sameRelease(c.declared, c.read); got != c.same {
			t.Errorf("%q and %q: %v, want %v", c.declared, c.read, got, c.same)
		}
	}
}

func TestWhatIsNewIsFoundSinceNow(t *testing.T) {
	s := newScene()
	s.service("apac", sub("apac"), ICSA, "Stopped")
	got := Findings(s.View(), "apac", []Finding{{ID: "ServiceStopped:another", Since: ago(time.Hour)}})
	if len(got) != 1 || !got[0].Since.Equal(noon) {
		t.Errorf("%+v", got)
	}
	if got := Findings(s.View(), "elsewhere", nil); got != nil {
		t.Errorf("of a cluster that is not in mesh.yaml: %+v", got)
	}
}

func TestHowManyMoreAreNotNamed(t *testing.T) {
	s := newScene()
	for i := range 13 {
		s.apac().Seen.Entries.Value = append(s.apac().Seen.Entries.Value, Entry{Address: fmt.Sprintf("p%02d", i)})
	}
	if got := Findings(s.View(), "apac", nil); !strings.Contains(got[0].Message, "there are 3 more peer entries") {
		t.Errorf("%+v", got[0])
	}
}

// unpair takes a pair out of mesh.yaml.
func (s *scene) unpair(a, b mesh.ClusterID) {
	s.Mesh.Peers = slices.DeleteFunc(s.Mesh.Peers, func(p mesh.Peer) bool {
		return p.ID == mesh.PeerID{From: a, To: b} || p.ID == mesh.PeerID{From: b, To: a}
	})
}
