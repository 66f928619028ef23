package peer

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
)

var at12 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// stuck is emea>apac as the ladder finds it: its ICSA has not synced from apac
// for a while, and everything else that is known is good.
type stuck struct {
	clusters int           // 0 = 3
	interval time.Duration // read from the publisher; 0 = 30 min
	previous time.Duration // not 0: the interval was changed an hour ago, and no sync has been since
	age      time.Duration // since the last success
	never    bool          // no success ever; age is since it was first seen
	auto     string        // auto recovery as read: "t", "f", "" = not readable, declared on
	declared string        // "off": not readable, and declared off
	certSync string
	equal    bool          // the data are equal
	noClock  bool          // Last Synchronized Time cannot be read
	others   string        // emea's other peers: "advance" (default), "stand", "unreadable"
	up       time.Duration // of ICSA on emea's publisher; 0 = 10 days
	old      time.Duration // age of the look
	skew     time.Duration // emea's clock less ours
	longest  time.Duration // longest full sync seen
	wait     time.Duration // policy.waitForPeople
	auto1    bool          // policy.restartForOnePeer: auto
	unknown  Type          // a condition that is not known
	onceBad  Type          // a cause seen False at this look for the first time
	failing  Type          // a condition that is False
	change   func(*Facts, *SyncRecord)
}

func (s stuck) view() (*View, SyncRecord, CertRecord) {
	m := &mesh.Mesh{Name: "acme", Domain: "example.com", Policy: mesh.Policy{Mode: mesh.Recover, RestartForOnePeer: "approve", WaitForPeople: mesh.Duration(s.wait)}}
	if s.auto1 {
		m.Policy.RestartForOnePeer = "auto"
	}
	ids := []mesh.ClusterID{"emea", "apac", "amer", "c04"}
	if s.clusters == 0 {
		s.clusters = 3
	}
	if s.interval == 0 {
		s.interval = 30 * time.Minute
	}
	if s.up == 0 {
		s.up = 240 * time.Hour
	}
	v := &Facts{Now: at12, Tick: 5 * time.Minute, Mesh: m, Clusters: map[mesh.ClusterID]*ClusterRecord{}}
	seen := at12.Add(-s.old)
	for _, id := range ids[:s.clusters] {
		pub := mesh.NodeName("imp-" + id + "-pub.example.com")
		m.Clusters = append(m.Clusters, mesh.Cluster{ID: id, Publisher: pub, Nodes: []mesh.Node{{Name: pub, Address: string(pub) + ":8443"}}, SyncInterval: mesh.Duration(30 * time.Minute), AutoRecovery: s.declared != "off"})
		services := map[string]Service{}
		for _, name := range []string{ICSA, SyncAgent, AXL, XCPRouter} {
			services[name] = Service{Status: "Started", UpTime: 240 * time.Hour}
		}
		params := map[string]string{}
		if id == "emea" {
			services[ICSA] = Service{Status: "Started", UpTime: s.up}
			if s.auto != "" {
				params[ParamAutoRecovery] = s.auto
			}
			if s.certSync != "" {
				params[ParamCertSync] = s.certSync
			}
		}
		users := map[mesh.NodeName]int{}
		for _, other := range ids[:s.clusters] {
			users[mesh.NodeName("imp-"+other+"-pub.example.com")] = 100
		}
		if id == "emea" && !s.equal {
			users["imp-apac-pub.example.com"] = 90
		}
		r := &ClusterRecord{Interval: Interval{Value: s.interval}, LongestSync: s.longest, Seen: Observation{
			Cluster: id, At: seen, Access: Known(true, seen), Users: Known(users, seen), UsersBasis: Measured, Skew: Known(time.Duration(0), seen),
			Nodes: map[mesh.NodeName]Node{pub: {Answers: Known(true, seen), Services: Known(services, seen), Parameters: Known(params, seen)}},
		}, Home: []HomeValue{{Users: 100, From: at12.AddDate(0, 0, -9), To: seen}}}
		if id == "emea" {
			r.Seen.Skew = Known(s.skew, seen)
			if s.previous != 0 {
				r.Interval = Interval{Value: s.interval, Previous: s.previous, Changed: at12.Add(-time.Hour)}
			}
		}
		var entries []Entry
		for _, other := range ids[:s.clusters] {
			if other == id {
				continue
			}
			e := Entry{Address: "imp-" + string(other) + "-pub.example.com", Protocol: mesh.TCP, HasClock: true, LastSync: seen.Add(-10 * time.Minute)}
			switch {
			case id == "emea" && other == "apac":
				e.LastSync = at12.Add(-s.age).Add(s.skew)
				if s.never {
					e.LastSync = time.Time{}
				}
				if s.noClock {
					e.HasClock, e.LastSync = false, time.Time{}
				}
			case id == "emea" && s.others == "stand":
				e.LastSync = at12.Add(-s.age).Add(s.skew)
			case id == "emea" && s.others == "unreadable":
				e.HasClock, e.LastSync = false, time.Time{}
			}
			entries = append(entries, e)
			m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: id, To: other}, Protocol: mesh.TCP})
		}
		r.Seen.Entries = Known(entries, seen)
		v.Clusters[id] = r
	}
	first := at12.AddDate(0, 0, -9)
	sync := SyncRecord{FirstSeen: first}
	if s.never {
		sync.FirstSeen = at12.Add(-s.age)
	}
	if !s.equal {
		sync.Differs = Difference{Since: at12.Add(-s.age), Least: 10}
	}
	cert := CertRecord{Observed: at12.Add(-time.Hour)}
	for _, t := range []Type{CertificateTrusted, NamesResolve} {
		cert.Conditions = append(cert.Conditions, Condition{Type: t, Status: True, Reason: AllResolve, Since: first})
	}
	if s.change != nil {
		s.change(v, &sync)
	}
	return v.View(), sync, cert
}

// look judges, and climbs if the peer is stuck.
func (s stuck) look(t *testing.T, prev *Ladder, done []Done) (State, Ladder, *Proposal) {
	t.Helper()
	v, sync, cert := s.view()
	id := mesh.PeerID{From: "emea", To: "apac"}
	sync = Judge(v, id, sync)
	conditions := Conditions(v, id, sync, cert)
	for i := range conditions {
		switch conditions[i].Type {
		case s.unknown:
			conditions[i].Status, conditions[i].Reason = UnknownStatus, TimedOut
		case s.failing:
			conditions[i].Status, conditions[i].Reason, conditions[i].Since = False, ServiceStopped, v.Now.Add(-time.Hour)
		case s.onceBad:
			conditions[i].Status, conditions[i].Reason, conditions[i].Since = False, ServiceStopped, conditions[i].Observed
		}
	}
	state, _ := StateOf(conditions, sync)
	if state != Stuck {
		return state, Ladder{}, nil
	}
	l, p, err := Climb(v, id, conditions, sync, prev, done)
	if err != nil {
		t.Fatal(err)
	}
	return state, l, p
}

// logged is a peer without a readable clock, of which ICSA raised Cisco's own alarm
// of a stuck sync so long before, in a log that was read so long ago; 0 before is
// none.
func logged(alarm, read time.Duration, more ...func(*LogRecord)) stuck {
	return stuck{age: 30 * time.Minute, auto: "f", others: "unreadable", noClock: true, change: func(v *Facts, _ *SyncRecord) {
		began, end := at12.Add(-24*time.Hour), at12.Add(-read)
		r := LogRecord{Read: end, Since: began, Cursor: LogCursor{At: end}}
		if alarm != 0 {
			for _, ago := range []time.Duration{alarm + 2*time.Hour, alarm + time.Hour} {
				r.Add("apac", ciscolog.Failed, Word{Alarm: ciscolog.SyncFailure, At: at12.Add(-ago), Dating: ciscolog.Dated})
			}
			r.Add("apac", ciscolog.Failed, Word{Alarm: ciscolog.PeriodicSyncingFailure, At: at12.Add(-alarm), Dating: ciscolog.Dated})
		}
		for _, change := range more {
			change(&r)
		}
		v.Logs = map[mesh.ClusterID]LogRecord{"emea": r}
	}}
}

func with(s stuck, change func(*stuck)) stuck {
	change(&s)
	return s
}

// TestAnICSAThatRestartsItselfInVainIsLeftToAPerson: it raises Cisco's own alarm
// before each of its restarts, so that the one that runs never has.
func TestAnICSAThatRestartsItselfInVainIsLeftToAPerson(t *testing.T) {
	s := logged(10*time.Minute, 0)
	s.up, s.age = 5*time.Minute, 3*time.Hour
	for others, want := range map[int]Rung{0: RungWait, 1: RungHuman} { // and this start
		_, l, p := s.look(t, &Ladder{Rung: RungWait, Incident: at12.Add(-3 * time.Hour), Others: others, OthersTry: at12.Add(-150 * time.Minute)}, nil)
		if l.Rung != want || p != nil || want == RungHuman && !strings.Contains(l.Evidence, "restarted 2 times") {
			t.Errorf("%d restarts before this one: %s (%s), proposes %v, want %s", others, l.Rung, l.Evidence, p != nil, want)
		}
	}
}

// TestARestartIsProvenByALogLater: the log's next turn may be half an hour after
// the sync that proves it.
func TestARestartIsProvenByALogLater(t *testing.T) {
	for _, c := range []struct {
		ago  time.Duration
		rung Rung
	}{{70 * time.Minute, RungRestart}, {80 * time.Minute, RungHuman}} {
		s := logged(20*time.Minute, 0)
		s.up, s.age = 24*time.Hour, 3*time.Hour
		_, l, _ := s.look(t, nil, []Done{{Target: Target{Cluster: "emea", Node: "imp-emea-pub.example.com", Service: ICSA}, Action: RestartService, At: at12.Add(-c.ago), Closed: at12.Add(-c.ago)}})
		if l.Rung != c.rung {
			t.Errorf("restarted %s ago: %s (%s), want %s", c.ago, l.Rung, l.Evidence, c.rung)
		}
		if !l.Incident.Equal(at12.Add(-3 * time.Hour)) {
			t.Errorf("the incident is of %s, want the change that waits to be copied", l.Incident)
		}
	}
}

func TestLadder(t *testing.T) {
	const h, m = time.Hour, time.Minute
	for _, c := range []struct {
		name     string
		stuck    stuck
		state    State
		rung     Rung
		acts     bool   // a restart is proposed
		approval string // words of why a person must agree; "" = nobody need
		cools    bool   // the service is too young
		says     string
	}{
		// The two clocks.
		{"interval 30, before both clocks", stuck{age: 119 * m, auto: "f", others: "stand", equal: true}, Suspect, "", false, "", false, ""},
		{"interval 30: clock B comes first", stuck{age: 121 * m, auto: "f", others: "stand"}, Stuck, RungRestart, true, "", false, "is proposed"},
		{"interval 31, before clock B", stuck{interval: 31 * m, age: 123 * m, auto: "f", others: "stand", equal: true}, Suspect, "", false, "", false, ""},
		{"interval 31: clock B", stuck{interval: 31 * m, age: 125 * m, auto: "f", others: "stand"}, Stuck, RungRestart, true, "", false, ""},
		{"interval 60: clock A comes first", stuck{interval: 60 * m, age: 181 * m, auto: "f", others: "stand"}, Stuck, RungRestart, true, "", false, ""},
		{"interval 60, before clock A", stuck{interval: 60 * m, age: 179 * m, auto: "f", others: "stand", equal: true}, Suspect, "", false, "", false, ""},
		{"interval 240", stuck{interval: 240 * m, age: 361 * m, auto: "f", others: "stand"}, Stuck, RungRestart, true, "", false, ""},
		{"interval 240, before clock A", stuck{interval: 240 * m, age: 359 * m, auto: "f", others: "stand"}, Suspect, "", false, "", false, ""},
		{"interval 1444", stuck{interval: 1444 * m, age: 1565 * m, auto: "f", others: "stand"}, Stuck, RungRestart, true, "", false, ""},
		{"interval 1444, before clock A", stuck{interval: 1444 * m, age: 1563 * m, auto: "f", others: "stand"}, Suspect, "", false, "", false, ""},

		// Cisco's own recovery.
		{"auto recovery on: awaited until clock A and two looks", stuck{age: 125 * m, auto: "t", others: "stand"}, Stuck, RungCisco, false, "", false, "auto recovery is on: ICSA should restart itself by 2026-03-01 12:35 UTC"},
		{"auto recovery on, and nothing came", stuck{age: 161 * m, auto: "t", others: "stand"}, Stuck, RungRestart, true, "", false, ""},
		{"auto recovery on: ICSA restarted itself", stuck{age: 161 * m, auto: "t", others: "stand", up: 10 * m}, Stuck, RungCisco, false, "", false, "not by Peerkeeper"},
		{"auto recovery on: its own restart has not helped, yet is young", stuck{age: 210 * m, auto: "t", others: "stand", up: 50 * m}, Stuck, RungRestart, true, "", true, "its syncs are awaited until"},
		{"auto recovery on: its own restart has not helped", stuck{age: 280 * m, auto: "t", others: "stand", up: 125 * m}, Stuck, RungRestart, true, "", false, ""},
		{"auto recovery not readable, declared on", stuck{age: 125 * m, others: "stand"}, Stuck, RungCisco, false, "", false, "declared on"},
		{"auto recovery not readable, declared off", stuck{age: 125 * m, declared: "off", others: "stand"}, Stuck, RungRestart, true, "", false, ""},
		{"auto recovery off: nothing is awaited", stuck{age: 121 * m, auto: "f", others: "stand"}, Stuck, RungRestart, true, "", false, ""},
		{"interval 240, auto recovery on: awaited", stuck{interval: 240 * m, age: 365 * m, auto: "t", others: "stand"}, Stuck, RungCisco, false, "", false, ""},

		// Restarted by somebody.
		{"a person restarted it after it was overdue", stuck{age: 140 * m, auto: "f", others: "stand", up: 5 * m}, Stuck, RungCisco, false, "", false, "restarted at 2026-03-01 11:55 UTC, not by Peerkeeper"},
		{"a person restarted it before it was overdue", stuck{age: 125 * m, auto: "f", others: "stand", up: 40 * m}, Stuck, RungRestart, true, "", true, "its syncs are awaited until 2026-03-01 13:20 UTC"},
		{"long intervals make for a longer age", stuck{interval: 240 * m, age: 400 * m, auto: "f", others: "stand", up: 15 * h}, Stuck, RungRestart, true, "", true, "its syncs are awaited until 2026-03-01 13:00 UTC"},
		{"a long full sync makes for a longer age", stuck{age: 300 * m, auto: "f", others: "stand", up: 280 * m, longest: 4 * h}, Stuck, RungRestart, true, "", true, "its syncs are awaited until 2026-03-01 13:20 UTC"},

		// The data.
		{"home idle, data equal, clock old", stuck{age: 200 * m, auto: "f", others: "stand", equal: true}, Stuck, RungWithheld, false, "", false, "the user data match"},
		{"data equal, clock old, auto recovery awaited", stuck{age: 125 * m, auto: "t", others: "stand", equal: true}, Stuck, RungCisco, false, "", false, ""},
		{"certificate sync off changes nothing", stuck{age: 121 * m, auto: "f", certSync: "f", others: "stand"}, Stuck, RungRestart, true, "", false, ""},

		// The clock.
		{"clock not readable, a change not copied for four periods", stuck{age: 130 * m, auto: "f", others: "unreadable", noClock: true, change: changed(130 * m)}, Stuck, RungRestart, true, "none of the 1 other peers", false, ""},
		{"clock not readable, auto recovery awaited from the change on", stuck{age: 130 * m, auto: "t", others: "unreadable", noClock: true, change: changed(130 * m)}, Stuck, RungCisco, false, "", false, "by 2026-03-01 12:30 UTC"},
		{"clock not readable, home idle", stuck{age: 300 * m, auto: "f", others: "unreadable", noClock: true, equal: true}, StateUnknown, "", false, "", false, ""},
		{"clock 3 h ahead of ours", stuck{age: 121 * m, auto: "f", others: "stand", skew: 3 * h}, Stuck, RungRestart, true, "", false, ""},
		{"clock 3 h ahead of ours, in time", stuck{age: 20 * m, auto: "f", skew: 3 * h, equal: true}, Healthy, "", false, "", false, ""},
		{"clock 3 h behind ours, in time", stuck{age: 20 * m, auto: "f", skew: -3 * h, equal: true}, Healthy, "", false, "", false, ""},
		{"interval raised, not yet in effect: the old one counts", stuck{interval: 240 * m, previous: 30 * m, age: 125 * m, auto: "f", others: "stand"}, Stuck, RungRestart, true, "", false, ""},
		{"interval lowered, not yet in effect: the old one counts", stuck{interval: 30 * m, previous: 240 * m, age: 125 * m, auto: "f", others: "stand", equal: true}, Healthy, "", false, "", false, ""},

		// The other peers.
		{"one direction only, the others advance", stuck{age: 125 * m, auto: "f"}, Stuck, RungRestart, true, "1 of the 1 other peers of this ICSA advance", false, ""},
		{"one direction only, and the policy lets it", stuck{age: 125 * m, auto: "f", auto1: true}, Stuck, RungRestart, true, "", false, ""},
		{"the agent's only peer", stuck{clusters: 2, age: 125 * m, auto: "f"}, Stuck, RungRestart, true, "only peer", false, ""},
		{"nobody knows how the others do", stuck{age: 125 * m, auto: "f", others: "unreadable"}, Stuck, RungRestart, true, "none of the 1 other peers of this ICSA is seen to stand still", false, ""},

		// People.
		{"a force sync by hand is waited for", stuck{age: 125 * m, auto: "f", others: "stand", wait: h}, Stuck, RungForce, false, "", false, "Force Manual Sync"},
		{"a force sync is waited for after Cisco's time", stuck{age: 125 * m, auto: "t", others: "stand", wait: h}, Stuck, RungCisco, false, "", false, ""},

		// Cisco's own log, where no clock can be read.
		{"Cisco's own alarm, and failures go on", logged(20*m, 0), Stuck, RungRestart, true, "none of the 1 other peers", false, ""},
		{"the same of every peer of the agent", logged(20*m, 0, func(r *LogRecord) {
			r.Add("amer", ciscolog.Failed, Word{Alarm: ciscolog.PeriodicSyncingFailure, At: at12.Add(-20 * m), Dating: ciscolog.Dated})
		}), Stuck, RungRestart, true, "", false, ""},
		{"the other peer's log tells of a sync", logged(20*m, 0, func(r *LogRecord) {
			r.Add("amer", ciscolog.Succeeded, Word{Alarm: ciscolog.Status, At: at12.Add(-20 * m), Dating: ciscolog.Dated})
		}), Stuck, RungRestart, true, "1 of the 1 other peers of this ICSA advance", false, ""},
		{"that the other peer's log tells of none says nothing", logged(20*m, 0, func(r *LogRecord) {
			r.Add("amer", ciscolog.Succeeded, Word{Alarm: ciscolog.Status, At: at12.Add(-5 * h), Dating: ciscolog.Dated})
		}), Stuck, RungRestart, true, "none of the 1 other peers of this ICSA is seen to stand still", false, ""},
		{"Cisco's own alarm is of the ICSA before this one", with(logged(20*m, 0), func(s *stuck) { s.up = 15 * m }), Stuck, RungWait, false, "", false, "raised since it started"},
		{"Cisco's own alarm, and no failure since", logged(45*m, 0), Stuck, RungWait, false, "", false, "failures go on"},
		{"Cisco's own alarm, in a log whose turn is overdue", logged(60*m, 46*m), Stuck, RungWait, false, "", false, "failures go on"},
		{"Cisco's own alarm, and the data are equal", with(logged(20*m, 0), func(s *stuck) { s.equal = true }), Stuck, RungWithheld, false, "", false, "the user data match"},
		{"a success that should be logged and is not", logged(0, 0, func(r *LogRecord) {
			r.Add("apac", ciscolog.Succeeded, Word{Alarm: ciscolog.Status, At: at12.Add(-4 * h), Dating: ciscolog.Dated})
			r.Level, r.LevelAt, r.Logged = "Informational", at12, Span{at12.Add(-24 * h), at12}
		}), Stuck, RungHuman, false, "", false, "a line that its log lacks"},

		// Failing is not stuck.
		{"the remote cannot be reached", stuck{age: 300 * m, auto: "f", others: "stand", failing: Reachable}, Degraded, "", false, "", false, ""},
		{"the password is refused", stuck{age: 300 * m, auto: "f", others: "stand", failing: Authenticated}, Degraded, "", false, "", false, ""},
		{"a name does not resolve", stuck{age: 300 * m, auto: "f", others: "stand", failing: NamesResolve}, Degraded, "", false, "", false, ""},
		{"a certificate is not trusted", stuck{age: 300 * m, auto: "f", others: "stand", failing: CertificateTrusted}, Degraded, "", false, "", false, ""},
		{"a service is stopped", stuck{age: 300 * m, auto: "f", others: "stand", failing: ServicesRunning}, Degraded, "", false, "", false, ""},
		{"the entry is wrong", stuck{age: 300 * m, auto: "f", others: "stand", failing: Configured}, Degraded, "", false, "", false, ""},
		{"the domains differ", stuck{age: 300 * m, auto: "f", others: "stand", failing: Compatible}, Degraded, "", false, "", false, ""},

		// What is not known.
		{"whether the remote can be reached is not known", stuck{age: 300 * m, auto: "f", others: "stand", unknown: Reachable}, Stuck, RungWait, false, "", false, "Reachable is Unknown"},
		{"whether services run is not known", stuck{age: 300 * m, auto: "f", others: "stand", unknown: ServicesRunning}, Stuck, RungWait, false, "", false, "ServicesRunning is Unknown"},
		{"whether names resolve is not known", stuck{age: 300 * m, auto: "f", others: "stand", unknown: NamesResolve}, Stuck, RungWait, false, "", false, "NamesResolve is Unknown"},
		{"a service was seen stopped at this very look", stuck{age: 300 * m, auto: "f", others: "stand", onceBad: ServicesRunning}, Stuck, RungWait, false, "", false, "seen once"},
		{"whether the data are equal is not known", stuck{age: 300 * m, auto: "f", others: "stand", unknown: UsersMatch}, Stuck, RungWait, false, "", false, "UsersMatch is Unknown"},
		{"the look is two periods old: still good", stuck{age: 300 * m, auto: "f", others: "stand", old: 10 * m}, Stuck, RungRestart, true, "", false, ""},
		{"the look is older", stuck{age: 300 * m, auto: "f", others: "stand", old: 11 * m}, StateUnknown, "", false, "", false, ""},
		{"the node does not tell up-times", stuck{age: 300 * m, auto: "f", others: "stand", up: -1}, Stuck, RungHuman, false, "", false, "a restart could not be verified"},

		// The first full sync.
		{"never synced, first seen long ago", stuck{age: 300 * m, never: true, auto: "f", others: "stand"}, Stuck, RungRestart, true, "", false, ""},
		{"the first full sync of 75,000 users is under way", stuck{age: 300 * m, never: true, auto: "f", others: "stand", change: func(v *Facts, r *SyncRecord) {
			// The judgement moves the clock along with every user that arrives.
			pub := mesh.NodeName("imp-apac-pub.example.com")
			v.Clusters["apac"].Seen.Users.Value[pub], v.Clusters["apac"].Home[0].Users = 75000, 75000
			v.Clusters["emea"].Seen.Users.Value[pub] = 40000
			r.Differs = Difference{Since: at12.Add(-300 * m), Least: 36000}
		}}, Suspect, "", false, "", false, ""},
		{"the first full sync of 75,000 users has stopped half way", stuck{age: 300 * m, never: true, auto: "f", others: "stand", change: func(v *Facts, r *SyncRecord) {
			pub := mesh.NodeName("imp-apac-pub.example.com")
			v.Clusters["apac"].Seen.Users.Value[pub], v.Clusters["apac"].Home[0].Users = 75000, 75000
			v.Clusters["emea"].Seen.Users.Value[pub] = 40000
			r.Differs = Difference{Since: at12.Add(-300 * m), Least: 35000}
		}}, Stuck, RungRestart, true, "", false, ""},
		{"never synced, first seen an hour ago", stuck{age: 50 * m, never: true, auto: "f", equal: true}, Suspect, "", false, "", false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			state, l, p := c.stuck.look(t, nil, nil)
			if state != c.state {
				t.Fatalf("state %s, want %s", state, c.state)
			}
			if l.Rung != c.rung || !strings.Contains(l.Evidence, c.says) {
				t.Errorf("rung %s (%s), want %s (%s)", l.Rung, l.Evidence, c.rung, c.says)
			}
			if (p != nil) != c.acts {
				t.Fatalf("proposal %+v, want one: %v", p, c.acts)
			}
			if (!l.Until.IsZero()) != c.cools {
				t.Errorf("cools until %v, want to cool: %v", l.Until, c.cools)
			}
			if p == nil {
				return
			}
			if (p.Approval == "") != (c.approval == "") || !strings.Contains(p.Approval, c.approval) {
				t.Errorf("approval %q, want %q", p.Approval, c.approval)
			}
			if p.Target != (Target{Cluster: "emea", Node: "imp-emea-pub.example.com", Service: ICSA}) || p.Action != RestartService || p.MinAge < 2*time.Hour {
				t.Errorf("%+v", p)
			}
			if !strings.Contains(p.Interrupts, "no sessions") || len(p.Collect) == 0 {
				t.Errorf("says neither what it interrupts nor what to collect: %+v", p)
			}
		})
	}
}

// A restart shows by a sync: an interval later, or half as long again as the longest
// full sync, and three looks.
func TestHowLongARestartHasToShow(t *testing.T) {
	for _, c := range []struct{ interval, longest, want time.Duration }{
		{30 * time.Minute, 0, 45 * time.Minute},
		{30 * time.Minute, 20 * time.Minute, 45 * time.Minute},
		{30 * time.Minute, 4 * time.Hour, 6*time.Hour + 15*time.Minute},
		{4 * time.Hour, time.Hour, 4*time.Hour + 15*time.Minute},
	} {
		if got := proofTime(c.interval, c.longest, tick); got != c.want {
			t.Errorf("interval %v, longest sync %v: %v, want %v", c.interval, c.longest, got, c.want)
		}
	}
}

// changed is a home whose change the copy has missed for a while.
func changed(ago time.Duration) func(*Facts, *SyncRecord) {
	return func(v *Facts, s *SyncRecord) {
		at := v.Now.Add(-ago)
		v.Clusters["apac"].Home = []HomeValue{{Users: 90, From: at.AddDate(0, 0, -9), To: at.Add(-5 * time.Minute)}, {Users: 100, From: at, To: v.Now}}
		s.Differs = Difference{Since: at, Least: 10}
	}
}

func restartOf(at time.Time) Done {
	return Done{Target: Target{Cluster: "emea", Node: "imp-emea-pub.example.com", Service: ICSA}, Action: RestartService, At: at}
}

// The ladder has an end, whatever happens on it.
func TestLadderEnds(t *testing.T) {
	const h, m = time.Hour, time.Minute
	ago := func(d time.Duration) time.Time { return at12.Add(-d) }
	failed := func(d Done) Done { d.Failed = true; return d }
	open := func(d Done) Done { d.Open = true; return d }
	base := stuck{age: 8 * h, auto: "f", others: "stand"}
	elsewhere, started := restartOf(ago(3*h)), restartOf(ago(3*h))
	elsewhere.Target.Node, started.Action = "imp-emea-sub.example.com", StartService
	young := base
	young.up = 20 * m
	incident := ago(8 * h)
	for _, c := range []struct {
		name  string
		stuck stuck
		prev  *Ladder
		done  []Done
		rung  Rung
		acts  bool
		says  string
	}{
		{"a restart of another node's agent is none of this one's", base, nil, []Done{elsewhere}, RungRestart, true, ""},
		{"nor is a start of this one", base, nil, []Done{started}, RungRestart, true, ""},
		{"after them, one of ours", base, nil, []Done{elsewhere, restartOf(ago(46 * m))}, RungHuman, false, "still stands"},
		{"one of an earlier incident, and one of this", base, nil, []Done{restartOf(ago(9 * h)), restartOf(ago(46 * m))}, RungHuman, false, "still stands"},
		{"three restarts, the first of which was a day ago", base, nil, []Done{restartOf(ago(24 * h)), restartOf(ago(13 * h)), restartOf(ago(9 * h))}, RungRestart, true, "is proposed"},
		{"it was refused once, and that is remembered", base, &Ladder{Incident: incident, Tries: 1, LastTry: ago(2 * h)}, []Done{failed(restartOf(ago(2 * h)))}, RungRestart, true, "is proposed"},
		{"our restart is under way, and the data have come to be equal", with(young, func(s *stuck) { s.equal = true }), nil, []Done{open(restartOf(ago(21 * m)))}, RungRestart, false, "outcome is not known yet"},
		{"the policy does not wait for people any more", base, &Ladder{Incident: incident, Rung: RungForce, ForceBy: ago(-m)}, nil, RungRestart, true, "is proposed"},
		{"ICSA came up this minute", with(base, func(s *stuck) {
			s.change = func(v *Facts, _ *SyncRecord) {
				v.Clusters["emea"].Seen.Nodes["imp-emea-pub.example.com"].Services.Value[ICSA] = Service{Status: "Started"}
			}
		}), nil, nil, RungCisco, false, "restarted at 2026-03-01 12:00 UTC, not by Peerkeeper"},
		{"our restart is under way", young, nil, []Done{open(restartOf(ago(21 * m)))}, RungRestart, false, "outcome is not known yet"},
		{"our restart has its time to help", young, nil, []Done{restartOf(ago(21 * m))}, RungRestart, false, "must succeed by 2026-03-01 12:24 UTC"},
		{"our restart did not help", base, nil, []Done{restartOf(ago(46 * m))}, RungHuman, false, "still stands"},
		{"our restart did not help, and the gate has forgotten it", base, &Ladder{Incident: incident, Tried: ago(7 * h), Rung: RungHuman}, nil, RungHuman, false, "still stands"},
		{"two restarts of an earlier incident do not count", base, nil, []Done{restartOf(ago(30 * h)), restartOf(ago(29 * h))}, RungRestart, true, "is proposed"},
		{"a restart of an earlier incident does not count", base, nil, []Done{restartOf(ago(9 * h))}, RungRestart, true, "is proposed"},
		{"the memory of an earlier incident does not count", base, &Ladder{Incident: ago(20 * h), Tried: ago(15 * h), Tries: 2, Others: 5}, nil, RungRestart, true, "is proposed"},
		{"it was refused once: one more", base, nil, []Done{failed(restartOf(ago(2 * h)))}, RungRestart, true, "is proposed"},
		{"it was refused twice", base, nil, []Done{failed(restartOf(ago(2 * h))), failed(restartOf(ago(3 * h)))}, RungHuman, false, "did not happen"},
		{"it was refused twice, and the gate has forgotten one", base, &Ladder{Incident: incident, Tries: 1, LastTry: ago(7 * h)}, []Done{failed(restartOf(ago(2 * h)))}, RungHuman, false, "did not happen"},
		{"each restart helps for a while only", base, nil, []Done{restartOf(ago(9 * h)), restartOf(ago(13 * h)), restartOf(ago(17 * h))}, RungHuman, false, "without lasting effect"},
		{"restarted by others once, without help", stuck{age: 5 * h, auto: "t", others: "stand", up: 125 * m}, nil, nil, RungRestart, true, "is proposed"},
		{"restarted by others twice, without help: a person, who may still want it", stuck{age: 8 * h, auto: "t", others: "stand", up: 125 * m}, &Ladder{Incident: incident, Others: 1, OthersTry: ago(5 * h)}, nil, RungHuman, true, "did not help"},
		{"the same restart by others is counted once", stuck{age: 8 * h, auto: "t", others: "stand", up: 125 * m}, &Ladder{Incident: incident, Others: 1, OthersTry: ago(126 * m)}, nil, RungRestart, true, "is proposed"},
		{"interval 60: ICSA's own restarts come sooner than ours may, for ever", stuck{interval: 60 * m, age: 10 * h, auto: "t", others: "stand", up: 80 * m}, &Ladder{Incident: ago(10 * h), Others: 1, OthersTry: ago(4*h + 20*m)}, nil, RungHuman, true, "did not help"},
		{"the wait for people is over", stuck{age: 8 * h, auto: "f", others: "stand", wait: h}, &Ladder{Incident: incident, Rung: RungForce, ForceBy: ago(m)}, nil, RungRestart, true, "is proposed"},
		{"the wait for people is not over", stuck{age: 8 * h, auto: "f", others: "stand", wait: h}, &Ladder{Incident: incident, Rung: RungForce, ForceBy: ago(-m)}, nil, RungForce, false, "Force Manual Sync"},
	} {
		t.Run(c.name, func(t *testing.T) {
			state, l, p := c.stuck.look(t, c.prev, c.done)
			if state != Stuck || l.Rung != c.rung || (p != nil) != c.acts || !strings.Contains(l.Evidence, c.says) {
				t.Errorf("%s, rung %s (%s), proposal %v; want %s (%s), %v", state, l.Rung, l.Evidence, p != nil, c.rung, c.says, c.acts)
			}
			if p != nil && c.rung == RungHuman && p.Approval == "" {
				t.Error("beyond the ladder's end without a person")
			}
		})
	}
}

// A second look at an unchanged world says the same in the same words: nothing
// is written for it.
func TestLadderIsSteady(t *testing.T) {
	for _, s := range []stuck{
		{age: 125 * time.Minute, auto: "t", others: "stand"},
		{age: 161 * time.Minute, auto: "t", others: "stand", up: 10 * time.Minute},
		{age: 125 * time.Minute, auto: "f", others: "stand", up: 40 * time.Minute},
		{age: 125 * time.Minute, auto: "f", others: "stand", wait: time.Hour},
		{age: 200 * time.Minute, auto: "f", others: "stand", equal: true},
	} {
		_, first, p1 := s.look(t, nil, nil)
		// A look later: all that is measured in ages is a look older.
		later := s
		later.old = 5 * time.Minute
		later.up = 0
		if s.up != 0 {
			later.up = s.up - 5*time.Minute
		}
		_, second, p2 := later.look(t, &first, nil)
		if first != second {
			t.Errorf("first %+v\nthen  %+v", first, second)
		}
		if p1 != nil && p2 != nil && p1.ID != p2.ID {
			t.Errorf("the proposal changed its name from %s to %s", p1.ID, p2.ID)
		}
	}
}

// A rung that a newer version may have stored is not taken for another.
func TestAnUnknownRungIsAnErrorAndAsksForNothing(t *testing.T) {
	v, sync, _ := stuck{age: 300 * time.Minute, auto: "f"}.view()
	l, p, err := Climb(v, mesh.PeerID{From: "emea", To: "apac"}, nil, sync, &Ladder{Rung: "rebootNode"}, nil)
	if err == nil || p != nil || l != (Ladder{}) {
		t.Errorf("%+v %+v, %v; want an error and nothing else", l, p, err)
	}
}

// TestWhoseAStartOfICSAWas: ours from two minutes before our restart, for the two
// clocks are not one, to a quarter of an hour after it; and one that came before a
// sync was overdue is nobody's cure.
func TestWhoseAStartOfICSAWas(t *testing.T) {
	const h, m = time.Hour, time.Minute
	base := stuck{age: 8 * h, auto: "f", others: "stand"}
	for _, c := range []struct {
		name      string
		up, tried time.Duration
		others    int
	}{
		{"a minute after our restart", 20 * m, 21 * m, 0},
		{"a minute before it, by the two clocks", 22 * m, 21 * m, 0},
		{"two minutes before", 23 * m, 21 * m, 1},
		{"14 minutes after", 20 * m, 34 * m, 0},
		{"15 minutes after", 20 * m, 35 * m, 1},
		{"nobody of us restarted it", 20 * m, 0, 1},
		{"two looks before the limit", 6*h + 10*m, 0, 0},
		{"after that", 6*h + 9*m, 0, 1},
	} {
		s, prev := with(base, func(s *stuck) { s.up = c.up }), &Ladder{Incident: at12.Add(-8 * h)}
		if c.tried != 0 {
			prev.Tried = at12.Add(-c.tried)
		}
		if _, l, _ := s.look(t, prev, nil); l.Others != c.others {
			t.Errorf("%s: %d by others, want %d", c.name, l.Others, c.others)
		}
	}
}

// TestSinceWhenAPeerIsOnARung: a look that leaves it there says nothing new, and
// nobody is waited for whom the policy does not wait for.
func TestSinceWhenAPeerIsOnARung(t *testing.T) {
	s, incident := stuck{age: 8 * time.Hour, auto: "f", others: "stand"}, at12.Add(-8*time.Hour)
	for on, want := range map[Rung]time.Time{RungRestart: at12.Add(-time.Hour), RungWithheld: at12} {
		_, l, _ := s.look(t, &Ladder{Incident: incident, Rung: on, Entered: at12.Add(-time.Hour)}, nil)
		if l.Rung != RungRestart || !l.Entered.Equal(want) || !l.ForceBy.IsZero() {
			t.Errorf("was on %s: %+v, want it entered at %s", on, l, want)
		}
	}
}

// TestWhatIsNotKnownWhileARestartIsOpen: its proof is still awaited by its time.
func TestWhatIsNotKnownWhileARestartIsOpen(t *testing.T) {
	s := stuck{age: 8 * time.Hour, auto: "f", others: "stand", unknown: Reachable}
	open := restartOf(at12.Add(-10 * time.Minute))
	open.Open = true
	if _, l, _ := s.look(t, nil, []Done{open}); l.Rung != RungWait || !l.ProveBy.Equal(at12.Add(35*time.Minute)) {
		t.Errorf("%+v", l)
	}
	if _, l, _ := s.look(t, nil, nil); l.Rung != RungWait || !l.ProveBy.IsZero() {
		t.Errorf("without one: %+v", l)
	}
}

// TestACauseThatWasNeverJudgedIsNotKnown: nothing is restarted on it.
func TestACauseThatWasNeverJudgedIsNotKnown(t *testing.T) {
	v, sync, _ := stuck{age: 300 * time.Minute, auto: "f", others: "stand"}.view()
	l, p, err := Climb(v, watched, []Condition{{Type: Synced, Status: False}}, sync, nil, nil)
	if err != nil || p != nil || l.Rung != RungWait || !strings.Contains(l.Evidence, "is Unknown (NotChecked)") {
		t.Errorf("%+v %+v %v", l, p, err)
	}
}
