package peer

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

const tick = 5 * time.Minute

// noon is when every case looks; "9:30" in a case is half past nine on that day.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// clusters declares a full mesh of clusters, each with a publisher and a subscriber.
func clusters(ids ...mesh.ClusterID) *mesh.Mesh {
	m := &mesh.Mesh{Name: "acme", Domain: "example.com"}
	for _, id := range ids {
		pub := mesh.NodeName("imp-" + string(id) + "-pub.example.com")
		sub := mesh.NodeName("imp-" + string(id) + "-sub.example.com")
		m.Clusters = append(m.Clusters, mesh.Cluster{
			ID: id, Release: "14.0", Publisher: pub, SyncInterval: mesh.Duration(30 * time.Minute), AutoRecovery: true, Credentials: string(id) + "/read",
			Nodes: []mesh.Node{{Name: pub, Address: "192.0.2.1:8443"}, {Name: sub, Address: "192.0.2.2:8443"}},
		})
		for _, other := range ids {
			if other != id {
				m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: id, To: other}, Protocol: mesh.TCP})
			}
		}
	}
	return m
}

func pub(id mesh.ClusterID) mesh.NodeName {
	return mesh.NodeName("imp-" + string(id) + "-pub.example.com")
}
func sub(id mesh.ClusterID) mesh.NodeName {
	return mesh.NodeName("imp-" + string(id) + "-sub.example.com")
}

// scene is a mesh in which everything is well at noon: 200 users at each
// cluster, all copied, all syncs ten minutes old. A case breaks what it is about.
type scene struct {
	*View
	syncs map[mesh.PeerID]SyncRecord
}

func newScene(ids ...mesh.ClusterID) *scene {
	if len(ids) == 0 {
		ids = []mesh.ClusterID{"emea", "apac", "amer"}
	}
	m := clusters(ids...)
	s := &scene{View: &View{Now: noon, Tick: tick, Mesh: m, Clusters: map[mesh.ClusterID]*ClusterRecord{}}, syncs: map[mesh.PeerID]SyncRecord{}}
	for _, c := range m.Clusters {
		users := map[mesh.NodeName]int{}
		var entries []Entry
		for _, other := range m.Clusters {
			users[other.Publisher], users[sub(other.ID)] = 120, 80
			if other.ID != c.ID {
				entries = append(entries, Entry{Address: string(other.Publisher), Protocol: mesh.TCP, LastSync: ago(10 * time.Minute), HasClock: true, HasError: true})
			}
		}
		nodes := map[mesh.NodeName]Node{}
		for _, n := range c.Nodes {
			services := map[string]Service{}
			for _, name := range []string{ICSA, SyncAgent, AXL, XCPRouter, SIPProxy, SRM} {
				services[name] = Service{Status: "Started", UpTime: 24 * time.Hour}
			}
			nodes[n.Name] = Node{Answers: Known(true, noon), Services: Known(services, noon), Version: Known("14.0.1.13900-8", noon),
				Parameters: Known(map[string]string{ParamInterval: "30", ParamAutoRecovery: "t"}, noon)}
		}
		s.Clusters[c.ID] = &ClusterRecord{
			Seen: Observation{Cluster: c.ID, At: noon, Access: Known(true, noon), Nodes: nodes, Users: Known(users, noon), UsersBasis: Measured,
				Entries: Known(entries, noon), SyncAgent: Known("Completed 2026-03-02 03:00:00", noon), Skew: Known(time.Duration(0), noon)},
			Home:     []HomeValue{{Users: 200, From: ago(24 * time.Hour), To: noon}},
			Interval: Interval{Value: 30 * time.Minute},
		}
	}
	return s
}

var watched = mesh.PeerID{From: "emea", To: "apac"}

func (s *scene) emea() *ClusterRecord { return s.Clusters["emea"] }
func (s *scene) apac() *ClusterRecord { return s.Clusters["apac"] }

// entry changes emea's entry for apac.
func (s *scene) entry(change func(e *Entry)) {
	entries := s.emea().Seen.Entries.Value
	for i := range entries {
		if entries[i].Address == string(pub("apac")) {
			change(&entries[i])
		}
	}
}

func (s *scene) service(id mesh.ClusterID, node mesh.NodeName, name, status string) {
	s.Clusters[id].Seen.Nodes[node].Services.Value[name] = Service{Status: status, UpTime: -1}
}

func (s *scene) parameter(id mesh.ClusterID, name, value string) {
	s.Clusters[id].Seen.Nodes[pub(id)].Parameters.Value[name] = value
}

// copied sets how many of apac's users emea holds.
func (s *scene) copied(n int) {
	s.emea().Seen.Users.Value[pub("apac")], s.emea().Seen.Users.Value[sub("apac")] = n, 0
}

// lose makes Peerkeeper see nothing of a cluster since an instant.
func (s *scene) lose(id mesh.ClusterID, since time.Time, nodes ...mesh.NodeName) {
	r := s.Clusters[id]
	if len(nodes) == 0 {
		nodes = []mesh.NodeName{pub(id), sub(id)}
		r.Seen.Access = Unknown[bool](CannotConnect, "no connection")
		r.NoAccessSince = since
	}
	r.SilentSince = map[mesh.NodeName]time.Time{}
	for _, n := range nodes {
		r.SilentSince[n] = since
		node := r.Seen.Nodes[n]
		node.Answers = Known(false, s.Now)
		node.Services.At = since.Add(-tick)
		r.Seen.Nodes[n] = node
	}
	if _, all := r.SilentSince[pub(id)]; all {
		r.Seen.Users.At, r.Seen.Entries.At = since.Add(-tick), since.Add(-tick)
		r.Seen.Users.Reason, r.Seen.Entries.Reason = CannotConnect, CannotConnect
	}
}

func TestOneConditionAndEveryReason(t *testing.T) {
	noDialect := Unknown[[]Entry](NoDialect, "not mapped")
	stand := func(s *scene, d time.Duration) { s.entry(func(e *Entry) { e.LastSync = noon.Add(-d) }) }
	cases := []struct {
		name   string
		t      Type
		broken func(s *scene)
		status Status
		reason Reason
		basis  Basis
		says   string // part of the message
	}{
		{"both ends name each other", Configured, func(*scene) {}, True, EntriesMatch, Measured, "both ends"},
		{"the table is not mapped, but copies exist", Configured, func(s *scene) { s.emea().Seen.Entries = noDialect }, True, CopiesExist, Inferred, "200 users"},
		{"the table is not mapped and there are no copies", Configured, func(s *scene) { s.emea().Seen.Entries = noDialect; s.copied(0) }, UnknownStatus, NotObservable, Measured, "probe"},
		{"no entry", Configured, func(s *scene) { s.emea().Seen.Entries.Value = s.emea().Seen.Entries.Value[1:] }, False, PeerMissing, Measured, "imp-apac-pub"},
		{"entry names the subscriber", Configured, func(s *scene) { s.entry(func(e *Entry) { e.Address = string(sub("apac")) }) }, False, AddressNotPublisher, Measured, "not apac's database publisher"},
		{"entry names the address", Configured, func(s *scene) { s.entry(func(e *Entry) { e.Address = "192.0.2.1" }); s.only("apac", "192.0.2.1:8443") }, False, AddressNotNodeName, Measured, "node name"},
		{"entry names the IPv6 address", Configured, func(s *scene) {
			s.entry(func(e *Entry) { e.Address = "2001:db8::7" })
			s.only("apac", "[2001:db8::7]:8443")
		}, False, AddressNotNodeName, Measured, "node name"},
		{"entry in another case", Configured, func(s *scene) { s.entry(func(e *Entry) { e.Address = strings.ToUpper(e.Address) }) }, True, EntriesMatch, Measured, ""},
		{"the other side has none", Configured, func(s *scene) { s.apac().Seen.Entries.Value = nil }, False, PeerMissingOnOtherSide, Measured, "both sides"},
		{"entry uses TLS where mesh.yaml says TCP", Configured, func(s *scene) { s.entry(func(e *Entry) { e.Protocol = mesh.TLSProto }) }, False, ProtocolDiffers, Measured, "mesh.yaml says tcp"},
		{"the two ends differ", Configured, func(s *scene) { s.apac().Seen.Entries.Value[0].Protocol = mesh.TLSProto }, False, ProtocolDiffers, Measured, ""},
		{"the other end's table is unread", Configured, func(s *scene) { s.apac().Seen.Entries = Unknown[[]Entry](QueryRefused, "fault") }, UnknownStatus, QueryRefused, Measured, "apac"},
		{"half a peer table proves no missing entry", Configured, func(s *scene) { s.emea().Seen.Entries = Partial([]Entry{}, noon, RowsIncomplete, "cut") }, UnknownStatus, RowsIncomplete, Measured, ""},

		{"one domain", Compatible, func(*scene) {}, True, DomainsMatch, Declared, "example.com"},
		{"ICSA reports a conflict", Compatible, func(s *scene) { s.entry(func(e *Entry) { e.Error = ErrorDomain }) }, False, DomainConflict, Cisco, "30 min"},
		{"users of other domains are lawful", Compatible, func(s *scene) {
			s.apac().UserSet = Known(map[mesh.ClusterID]SetDigest{"apac": {Users: 200, Foreign: 3}}, ago(time.Hour))
		}, True, DomainsMatch, Declared, "example.com"},
		{"one scheme, spelled in two ways", Compatible, func(s *scene) {
			s.parameter("emea", ParamScheme, "UserID@[Default_Domain]")
			s.parameter("apac", ParamScheme, "userid")
		}, True, DomainsMatch, Declared, ""},
		{"two schemes", Compatible, func(s *scene) {
			s.parameter("emea", ParamScheme, "Directory URI")
			s.parameter("apac", ParamScheme, "userid")
		}, False, SchemeDiffers, Measured, "emea makes IM addresses by the scheme Directory URI"},
		{"only one cluster tells its scheme", Compatible, func(s *scene) { s.parameter("emea", ParamScheme, "directoryURI") }, True, DomainsMatch, Declared, ""},
		{"one default domain, in capitals and with a final dot", Compatible, func(s *scene) {
			s.parameter("emea", ParamDomain, "EXAMPLE.com.")
			s.parameter("apac", ParamDomain, "example.com")
		}, True, DomainsMatch, Declared, ""},
		{"two default domains", Compatible, func(s *scene) {
			s.parameter("emea", ParamDomain, "example.com")
			s.parameter("apac", ParamDomain, "example.net")
		}, False, DomainDiffers, Measured, "example.net"},

		{"synced ten minutes ago", Reachable, func(*scene) {}, True, SyncedRecently, Measured, ""},
		{"no sync lately, but it answers us", Reachable, func(s *scene) { stand(s, time.Hour) }, True, ReachableFromPeerkeeper, Inferred, "not measured"},
		{"ICSA itself says that it does not reach it", Reachable, func(s *scene) { stand(s, time.Hour); s.entry(func(e *Entry) { e.Error = ErrorUnreachable }) }, UnknownStatus, CannotConnect, Measured, "answers Peerkeeper"},
		{"lost ten minutes ago", Reachable, func(s *scene) { stand(s, time.Hour); s.lose("apac", ago(10*time.Minute)) }, UnknownStatus, AwaitingPeerEvidence, Measured, ""},
		{"lost an hour ago and nobody syncs", Reachable, func(s *scene) { s.outage(time.Hour) }, False, ClusterDown, Inferred, "no peer that pulls"},
		{"publisher lost an hour ago and nobody syncs", Reachable, func(s *scene) { s.outage(time.Hour, pub("apac")) }, False, PublisherDown, Inferred, ""},
		{"lost to us alone", Reachable, func(s *scene) { stand(s, time.Hour); s.lose("apac", ago(time.Hour)) }, UnknownStatus, CannotSeeCluster, Measured, "amer"},
		{"our account is rejected there", Reachable, func(s *scene) { stand(s, time.Hour); s.reject("apac") }, UnknownStatus, AccountRejected, Measured, "apac"},
		{"the pulling cluster cannot be seen", Reachable, func(s *scene) { s.lose("emea", ago(time.Hour)) }, UnknownStatus, CannotSeeCluster, Measured, "emea"},

		{"accepted at the last sync", Authenticated, func(*scene) {}, True, CredentialsAccepted, Measured, ""},
		{"refused", Authenticated, func(s *scene) { s.entry(func(e *Entry) { e.Error = ErrorCredentials }) }, False, PeerCredentialsRejected, Measured, "apac refuses"},
		{"the sync now fails before its log-in", Authenticated, func(s *scene) { s.entry(func(e *Entry) { e.Error = ErrorNames }) }, UnknownStatus, CannotConnect, Measured, "names"},
		{"no column tells", Authenticated, func(s *scene) { stand(s, time.Hour); s.entry(func(e *Entry) { e.HasError = false }) }, UnknownStatus, NotObservable, Measured, "Peer Connectivity Test"},
		{"overdue without an error", Authenticated, func(s *scene) { stand(s, time.Hour) }, True, CredentialsAccepted, Measured, "no error"},

		{"all started", ServicesRunning, func(*scene) {}, True, AllStarted, Measured, ""},
		{"ICSA stopped on the subscriber", ServicesRunning, func(s *scene) { s.service("emea", sub("emea"), ICSA, "Stopped") }, False, ServiceStopped, Measured, "imp-emea-sub"},
		{"ICSA stopped on the remote subscriber is the other direction's", ServicesRunning, func(s *scene) { s.service("apac", sub("apac"), ICSA, "Stopped") }, True, AllStarted, Measured, ""},
		{"AXL stopped on the remote publisher", ServicesRunning, func(s *scene) { s.service("apac", pub("apac"), AXL, "Stopped") }, False, ServiceStopped, Measured, "imp-apac-pub"},
		{"AXL stopped on the remote subscriber", ServicesRunning, func(s *scene) { s.service("apac", sub("apac"), AXL, "Stopped") }, True, AllStarted, Measured, ""},
		{"Sync Agent runs on the publisher only", ServicesRunning, func(s *scene) { s.service("emea", sub("emea"), SyncAgent, "Stopped") }, True, AllStarted, Measured, ""},
		{"starting", ServicesRunning, func(s *scene) { s.service("emea", pub("emea"), XCPRouter, "Starting") }, False, ServiceStopped, Measured, "is starting"},
		{"status Unknown proves nothing and counts", ServicesRunning, func(s *scene) { s.service("emea", pub("emea"), ICSA, "Unknown") }, UnknownStatus, UnreadableAnswer, Measured, ICSA},
		{"not listed", ServicesRunning, func(s *scene) { delete(s.emea().Seen.Nodes[pub("emea")].Services.Value, ICSA) }, UnknownStatus, UnreadableAnswer, Measured, ICSA},
		{"one node unread", ServicesRunning, func(s *scene) { s.unread("emea", sub("emea"), TimedOut) }, UnknownStatus, TimedOut, Measured, "imp-emea-sub"},
		{"one node unread, another stopped", ServicesRunning, func(s *scene) {
			s.unread("emea", sub("emea"), TimedOut)
			s.service("emea", pub("emea"), ICSA, "Stopped")
		}, False, ServiceStopped, Measured, "imp-emea-pub"},
		{"own publisher down", ServicesRunning, func(s *scene) { s.down("emea", time.Hour, pub("emea")) }, False, PublisherDown, Inferred, ""},

		{"on its interval", Synced, func(*scene) {}, True, OnInterval, Measured, "30m"},
		{"one sync missed", Synced, func(s *scene) { stand(s, 45*time.Minute) }, True, Overdue, Measured, "one sync"},
		{"four periods", Synced, func(s *scene) { stand(s, 121*time.Minute) }, False, FourPeriodsMissed, Measured, "four periods"},
		{"no entry", Synced, func(s *scene) { s.emea().Seen.Entries.Value = s.emea().Seen.Entries.Value[1:] }, UnknownStatus, PeerMissing, Measured, ""},
		{"in the future of its own clock", Synced, func(s *scene) { stand(s, -time.Hour) }, UnknownStatus, ClockBackwards, Measured, "future"},
		{"a cluster whose clock is an hour ahead", Synced, func(s *scene) { stand(s, -50*time.Minute); s.emea().Seen.Skew = Known(time.Hour, noon) }, True, OnInterval, Measured, ""},
		{"a cluster whose clock is three hours behind", Synced, func(s *scene) { stand(s, 190*time.Minute); s.emea().Seen.Skew = Known(-3*time.Hour, noon) }, True, OnInterval, Measured, ""},
		{"entries unread", Synced, func(s *scene) { s.emea().Seen.Entries = Unknown[[]Entry](Overloaded, "503") }, UnknownStatus, Overloaded, Measured, "503"},
		{"clock not readable", Synced, func(s *scene) { s.entry(func(e *Entry) { e.HasClock = false }) }, UnknownStatus, ClockNotReadable, Measured, "only on Cisco's page"},

		{"equal counts", UsersMatch, func(*scene) {}, True, CountsEqual, Measured, "200"},
		{"equal counts by a query nobody confirmed", UsersMatch, func(s *scene) { s.emea().Seen.UsersBasis = Inferred; s.apac().Seen.UsersBasis = Inferred }, True, CountsEqual, Inferred, ""},
		{"home unread", UsersMatch, func(s *scene) { s.apac().Seen.Users = Unknown[map[mesh.NodeName]int](QueryRefused, "fault") }, UnknownStatus, QueryRefused, Measured, "apac"},
		{"half a home count is no smaller home", UsersMatch, func(s *scene) {
			s.apac().Seen.Users = Partial(map[mesh.NodeName]int{pub("apac"): 5}, noon, RowsIncomplete, "cut")
		}, UnknownStatus, RowsIncomplete, Measured, ""},
		{"copies unread", UsersMatch, func(s *scene) { s.emea().Seen.Users = Unknown[map[mesh.NodeName]int](MemoryName, "pool") }, UnknownStatus, MemoryName, Measured, "emea"},
		{"too old", UsersMatch, func(s *scene) { s.apac().Seen.Users.At = ago(11 * time.Minute) }, UnknownStatus, Stale, Measured, "last read"},

		{"not observable", PresencePath, func(*scene) {}, UnknownStatus, NotObservable, Measured, "7400"},
	}
	for _, c := range cases {
		t.Run(string(c.t)+": "+c.name, func(t *testing.T) {
			s := newScene()
			c.broken(s)
			r := Judge(s.View, watched, SyncRecord{FirstSeen: ago(24 * time.Hour)})
			got := r.Condition(c.t)
			if got.Status != c.status || got.Reason != c.reason || got.Basis != c.basis || !strings.Contains(got.Message, c.says) {
				t.Errorf("%s %s (%s): %q\nwant %s %s (%s) saying %q", got.Status, got.Reason, got.Basis, got.Message, c.status, c.reason, c.basis, c.says)
			}
		})
	}
}

// MemoryName is what a full AXL pool reads as.
const MemoryName = Overloaded

// only gives a cluster's nodes one address to be dialled at.
func (s *scene) only(id mesh.ClusterID, address string) {
	c, _ := s.Mesh.Cluster(id)
	for i := range c.Nodes {
		c.Nodes[i].Address = address
	}
}

func (s *scene) reject(id mesh.ClusterID) {
	r := s.Clusters[id]
	r.Seen.Access = Unknown[bool](AccountRejected, "refuses the account")
	for name, n := range r.Seen.Nodes {
		n.Answers = Unknown[bool](AccountRejected, "")
		r.Seen.Nodes[name] = n
	}
}

func (s *scene) unread(id mesh.ClusterID, node mesh.NodeName, why Reason) {
	n := s.Clusters[id].Seen.Nodes[node]
	n.Services = Unknown[map[string]Service](why, "no answer")
	s.Clusters[id].Seen.Nodes[node] = n
}

// outage is apac gone for everybody, nodes or all of it.
func (s *scene) outage(d time.Duration, nodes ...mesh.NodeName) { s.down("apac", d, nodes...) }

func (s *scene) down(id mesh.ClusterID, d time.Duration, nodes ...mesh.NodeName) {
	s.lose(id, ago(d), nodes...)
	for _, r := range s.Clusters {
		for i, e := range r.Seen.Entries.Value {
			if e.Address == string(pub(id)) {
				r.Seen.Entries.Value[i].LastSync = ago(d + 10*time.Minute)
			}
		}
	}
}

func TestWhichClockFiresFirst(t *testing.T) {
	for _, c := range []struct {
		minutes, first int
		which          Reason
	}{
		{30, 120, FourPeriodsMissed}, {31, 124, FourPeriodsMissed}, {39, 156, FourPeriodsMissed}, {40, 160, FourPeriodsMissed}, {41, 161, StuckTwoHours}, {60, 180, StuckTwoHours}, {240, 360, StuckTwoHours}, {1444, 1564, StuckTwoHours},
	} {
		s := newScene()
		s.emea().Interval = Interval{Value: time.Duration(c.minutes) * time.Minute}
		for _, late := range []struct {
			by     time.Duration
			status Status
			reason Reason
		}{
			{0, True, Overdue}, {time.Second, False, c.which},
		} {
			s.entry(func(e *Entry) { e.LastSync = ago(time.Duration(c.first)*time.Minute + late.by) })
			r := Judge(s.View, watched, SyncRecord{FirstSeen: ago(24 * time.Hour)})
			if got := r.Condition(Synced); got.Status != late.status || got.Reason != late.reason {
				t.Errorf("interval %d min, last success %d min and %v ago: %s %s, want %s %s", c.minutes, c.first, late.by, got.Status, got.Reason, late.status, late.reason)
			}
		}
	}
}

func TestTheIntervalInEffectIsThatOfTheLastSync(t *testing.T) {
	iv := Interval{Value: 60 * time.Minute, Previous: 240 * time.Minute, Changed: ago(time.Hour),
		Earlier: []IntervalWas{{Value: 30 * time.Minute, Until: ago(3 * time.Hour)}}}
	r := ClusterRecord{Interval: iv}
	c := &mesh.Cluster{SyncInterval: mesh.Duration(45 * time.Minute)}
	for _, x := range []struct {
		name string
		last time.Time
		want time.Duration
	}{
		{"synced after the newest change", ago(30 * time.Minute), time.Hour},
		{"synced between the changes", ago(2 * time.Hour), 4 * time.Hour},
		{"not synced since before both", ago(5 * time.Hour), 30 * time.Minute},
	} {
		if got, basis := r.EffectiveInterval(c, x.last); got != x.want || basis != Measured {
			t.Errorf("%s: %v (%s), want %v", x.name, got, basis, x.want)
		}
	}
	if got, basis := (&ClusterRecord{}).EffectiveInterval(c, noon); got != 45*time.Minute || basis != Declared {
		t.Errorf("never read: %v (%s), want what mesh.yaml declares", got, basis)
	}
	if got := r.longestInterval(c, noon); got != 4*time.Hour {
		t.Errorf("an hour after 240 min became 60, some peer may still be on %v; got %v", 4*time.Hour, got)
	}
}

// TestSinceMovesOnlyWithTheStatus judges the same mesh twice, with another
// reason the second time.
func TestSinceMovesOnlyWithTheStatus(t *testing.T) {
	s := newScene()
	first := Judge(s.View, watched, SyncRecord{})
	s.Now = noon.Add(20 * time.Minute)
	s.entry(func(e *Entry) { e.LastSync = ago(30 * time.Minute) })
	for _, r := range s.Clusters {
		r.Seen.At, r.Seen.Entries.At, r.Seen.Users.At = s.Now, s.Now, s.Now
	}
	second := Judge(s.View, watched, first)
	if got := second.Condition(Synced); got.Reason != Overdue || !got.Since.Equal(noon) {
		t.Errorf("Synced is %s since %s, want Overdue since noon: True all the time", got.Reason, got.Since)
	}
	if got := second.Condition(ServicesRunning); got.Status != UnknownStatus || !got.Since.Equal(s.Now) {
		t.Errorf("ServicesRunning is %s since %s, want Unknown since now: nothing was read", got.Status, got.Since)
	}
}
