package repair

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
)

func meshOf(n int) *mesh.Mesh {
	m := &mesh.Mesh{Name: "acme", Domain: "example.com", Policy: mesh.Policy{
		Mode: mesh.Recover, RestartForOnePeer: "approve", ImportCertificates: mesh.ImportAuto,
		Limits: mesh.Limits{RestartsPerClusterPerHour: 1, RestartsPerMeshPerHour: 3, ImportsPerMeshPerHour: 2},
	}}
	for i := range n {
		id := mesh.ClusterID([]string{"emea", "apac", "amer"}[min(i, 2)])
		if i > 2 {
			id = mesh.ClusterID(fmt.Sprintf("c%02d", i+1))
		}
		pub := mesh.NodeName("imp-" + id + "-pub.example.com")
		m.Clusters = append(m.Clusters, mesh.Cluster{ID: id, Publisher: pub, Nodes: []mesh.Node{{Name: pub}}, SyncInterval: mesh.Duration(30 * time.Minute)})
	}
	for _, a := range m.Clusters {
		for _, b := range m.Clusters {
			if a.ID != b.ID {
				m.Peers = append(m.Peers, mesh.Peer{ID: mesh.PeerID{From: a.ID, To: b.ID}, Protocol: mesh.TCP})
			}
		}
	}
	return m
}

var (
	icsa     = peer.Target{Cluster: "emea", Node: "imp-emea-pub.example.com", Service: peer.ICSA}
	emeaApac = mesh.PeerID{From: "emea", To: "apac"}
	emeaAmer = mesh.PeerID{From: "emea", To: "amer"}
)

func restart() peer.Proposal {
	return peer.Proposal{ID: "r1", Action: peer.RestartService, Target: icsa, Peers: []mesh.PeerID{emeaApac}, MinAge: 2 * time.Hour, Why: "emea>apac is stuck"}
}

func start() peer.Proposal {
	return peer.Proposal{ID: "s1", Action: peer.StartService, Target: icsa, Peers: []mesh.PeerID{emeaApac, emeaAmer}}
}

// imported is apac's tomcat certificate for emea's trust store.
func imported() peer.Proposal {
	return peer.Proposal{
		ID: "i1", Action: peer.ImportCertificate, Value: "sha256:ab", Peers: []mesh.PeerID{emeaApac},
		Target: peer.Target{Cluster: "emea", Node: icsa.Node, Service: peer.TomcatTrust, Parameter: "tomcat of imp-apac-pub.example.com"},
		Source: &peer.CertSource{Cluster: "apac", Node: "imp-apac-pub.example.com", Service: "tomcat", KeyType: "RSA", Fingerprint: "sha256:ab"},
	}
}

func importing1(_ *Gate, p *peer.Proposal, s *Situation) {
	*p, s.Service = imported(), peer.Service{UpTime: -1}
}

func importedAgo(o Outcome, ago time.Duration) Closure {
	t := imported().Target
	t.Cluster = "amer" // of another cluster: neither again nor dayLimit
	return Closure{Action: peer.ImportCertificate, Target: t, At: noon.Add(-ago), Meant: noon.Add(-ago), Outcome: o}
}

// calm is a situation in which nothing stops a restart of emea's ICSA.
func calm() (Gate, peer.Proposal, Situation) {
	m := meshOf(3)
	return Gate{PauseEpoch: 4}, restart(), Situation{
		Now: noon, Mesh: m, Overrides: &record.Overrides{Approvals: map[string]record.Approval{}}, Epoch: 4, Newest: m.Hash(), Announced: noon.Add(-5 * time.Minute),
		Peers: map[mesh.PeerID]Peer{emeaApac: stuck()}, Service: peer.Service{Status: "Started", UpTime: 5 * time.Hour},
		Failing: []Failing{{emeaApac, peer.Root{Cause: "Synced:emea>apac", Cluster: "emea"}}},
	}
}

// stuck is a peer whose sync stands although nothing known explains it.
func stuck(worn ...peer.Overlay) Peer {
	p := Peer{Overlays: worn, Conditions: []peer.Condition{{Type: peer.Synced, Status: peer.False, Reason: peer.FourPeriodsMissed}, {Type: peer.UsersMatch, Status: peer.False, Reason: peer.UsersMissing}}}
	for _, t := range peer.Causes() {
		p.Conditions = append(p.Conditions, peer.Condition{Type: t, Status: peer.True})
	}
	return p
}

// reading gives a stuck peer with one condition read otherwise.
func reading(t peer.Type, status peer.Status, why peer.Reason) map[mesh.PeerID]Peer {
	p := stuck()
	p.Conditions = slices.DeleteFunc(p.Conditions, func(c peer.Condition) bool { return c.Type == t })
	p.Conditions = append(p.Conditions, peer.Condition{Type: t, Status: status, Reason: why})
	return map[mesh.PeerID]Peer{emeaApac: p}
}

// only is one change of a calm situation by which one guard, and no other, stops
// the action; and what makes it pass again although it is like it.
type only struct {
	guard, name string
	stop        func(g *Gate, p *peer.Proposal, s *Situation)
	pass        func(g *Gate, p *peer.Proposal, s *Situation)
}

func said(s *Situation, scope record.Scope, expires time.Time) {
	s.Overrides.Pauses = []record.Override{{Scope: scope, Reason: "change freeze", Actor: "jdoe", At: noon.Add(-time.Hour), Expires: expires}}
}

func closedOnce(o Outcome, ago time.Duration) Closure {
	return Closure{Seq: 1, Action: peer.RestartService, Target: icsa, At: noon.Add(-ago), Meant: noon.Add(-ago), Outcome: o}
}

func starting(g *Gate, p *peer.Proposal, s *Situation) {
	*p, s.Service = start(), peer.Service{Status: "Stopped", UpTime: -1}
}

func approved(p *peer.Proposal, s *Situation, ago time.Duration) {
	p.Approval = "the other peers advance"
	s.Overrides.Approvals["r1"] = record.Approval{ID: "r1", Actor: "jdoe", At: noon.Add(-ago), Expires: noon.Add(4*time.Hour - ago)}
}

func cases() []only {
	type (
		G = *Gate
		P = *peer.Proposal
		S = *Situation
	)
	dst := time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)
	return []only{
		{"mode", "observe changes nothing", func(_ G, _ P, s S) { s.Mesh.Policy.Mode = mesh.Observe; s.Newest = s.Mesh.Hash() }, func(G, P, S) {}},
		{"mode", "observe changes nothing, approved or not", func(_ G, p P, s S) {
			s.Mesh.Policy.Mode = mesh.Observe
			s.Newest = s.Mesh.Hash()
			approved(p, s, time.Minute)
		}, func(_ G, p P, s S) { approved(p, s, time.Minute) }},
		{"service", "XCP Router", func(_ G, p P, s S) { p.Target.Service = peer.XCPRouter; s.Privilege = GrantPrivilege() }, func(G, P, S) {}},
		{"service", "SIP Proxy", func(_ G, p P, s S) { p.Target.Service = peer.SIPProxy; s.Privilege = GrantPrivilege() }, func(G, P, S) {}},
		{"service", "Server Recovery Manager", func(_ G, p P, s S) { p.Target.Service = peer.SRM; s.Privilege = GrantPrivilege() }, func(G, P, S) {}},
		{"service", "the Sync Agent is started, never restarted", func(_ G, p P, _ S) { p.Target.Service = peer.SyncAgent }, func(g G, p P, s S) { starting(g, p, s); p.Target.Service = peer.SyncAgent }},
		{"service", "a store that is not tomcat-trust", func(g G, p P, s S) { importing1(g, p, s); p.Target.Service = "cup-trust" }, importing1},
		{"service", "a store is not restarted", func(_ G, p P, _ S) { p.Target.Service = peer.TomcatTrust }, importing1},
		{"import", "people copy certificates", func(g G, p P, s S) {
			importing1(g, p, s)
			s.Mesh.Policy.ImportCertificates = mesh.ImportManual
			s.Newest = s.Mesh.Hash()
		}, importing1},
		{"import", "nothing is said of the policy", func(g G, p P, s S) {
			importing1(g, p, s)
			s.Mesh.Policy.ImportCertificates = ""
			s.Newest = s.Mesh.Hash()
		}, importing1},
		{"import", "the policy asks for a person, and the proposal does not", func(g G, p P, s S) {
			importing1(g, p, s)
			s.Mesh.Policy.ImportCertificates = mesh.ImportApprove
			s.Newest = s.Mesh.Hash()
		}, func(g G, p P, s S) {
			importing1(g, p, s)
			s.Mesh.Policy.ImportCertificates = mesh.ImportApprove
			s.Newest = s.Mesh.Hash()
			approved(p, s, time.Minute)
			p.ID = "r1"
		}},
		{"import", "a CA without approval", func(g G, p P, s S) { importing1(g, p, s); p.Source.Issuer = "CN=Example CA" }, func(g G, p P, s S) {
			importing1(g, p, s)
			p.Source.Issuer = "CN=Example CA"
			approved(p, s, time.Minute)
			p.ID = "r1"
		}},
		{"import", "not served yet, without approval", func(g G, p P, s S) { importing1(g, p, s); p.Source.Pending = true }, importing1},
		{"import", "it says of no node where it is from", func(g G, p P, s S) { importing1(g, p, s); p.Source = nil }, importing1},
		{"import", "another certificate than was proposed", func(g G, p P, s S) { importing1(g, p, s); p.Source.Fingerprint = "sha256:cd" }, importing1},
		{"importLimit", "as many as the policy lets in an hour", func(g G, p P, s S) {
			importing1(g, p, s)
			g.Closed = []Closure{importedAgo(DoneProven, 59*time.Minute), importedAgo(NotDone, time.Minute)}
		}, func(g G, p P, s S) {
			importing1(g, p, s)
			g.Closed = []Closure{importedAgo(DoneProven, time.Hour), importedAgo(NotDone, time.Minute), importedAgo(NotSent, time.Minute)}
		}},
		{"importLimit", "those under way count", func(g G, p P, s S) {
			importing1(g, p, s)
			g.Closed = []Closure{importedAgo(DoneProven, 59*time.Minute)}
			g.Open = []Intent{{Seq: 9, Action: peer.ImportCertificate, Target: importedAgo(DoneProven, 0).Target}}
		}, func(g G, _ P, _ S) {
			g.Closed = []Closure{importedAgo(DoneProven, 2*time.Minute), importedAgo(DoneProven, time.Minute)} // and it is a restart
		}},
		{"needed", "what is to be imported is there", func(g G, p P, s S) { importing1(g, p, s); s.Present = true }, importing1},
		{"lease", "another run took over", func(_ G, _ P, s S) { s.Lease = "taken over" }, func(G, P, S) {}},
		{"configuration", "a newer mesh.yaml is in force", func(_ G, _ P, s S) { s.Newest = "deadbeef" }, func(G, P, S) {}},
		{"facts", "the cluster's record is a newer version's", func(_ G, _ P, s S) {
			s.ClusterUnknown = "the record of emea was written by a newer version of Peerkeeper"
		}, func(G, P, S) {}},
		{"facts", "the services are stale", func(_ G, _ P, s S) { s.ServiceUnknown = "the services are not known (Stale)" }, func(g G, p P, s S) {
			importing1(g, p, s)
			s.ServiceUnknown = "tomcat-trust is not listed" // a store is no service
		}},
		{"facts", "the services are stale, for a start", func(g G, p P, s S) {
			starting(g, p, s)
			s.ServiceUnknown = "the services are not known (Stale)"
		}, starting},
		{"facts", "it has synced since", func(_ G, _ P, s S) { s.Peers = reading(peer.Synced, peer.True, "") }, func(_ G, _ P, s S) { s.Peers = reading(peer.Synced, peer.False, peer.StuckTwoHours) }},
		{"facts", "that it is stuck is inferred from a line that a log lacks", func(_ G, _ P, s S) { s.Peers = reading(peer.Synced, peer.False, peer.NoSuccessLogged) }, func(_ G, _ P, s S) { s.Peers = reading(peer.Synced, peer.False, peer.CiscoAlarm) }},
		{"facts", "whether it syncs is not known", func(_ G, _ P, s S) { s.Peers = nil }, func(_ G, p P, s S) { p.Target.Service, s.Peers = peer.AXL, nil }},
		{"facts", "the users match", func(_ G, _ P, s S) { s.Peers = reading(peer.UsersMatch, peer.True, peer.SetEqual) }, func(_ G, _ P, s S) { s.Peers = reading(peer.UsersMatch, peer.True, peer.CatchingUp) }},
		{"facts", "whether the users match is not known", func(_ G, _ P, s S) { s.Peers = reading(peer.UsersMatch, peer.UnknownStatus, peer.Stale) }, func(_ G, _ P, s S) { s.Peers = reading(peer.UsersMatch, peer.UnknownStatus, peer.NotYetDecided) }},
		{"facts", "a cause explains it", func(_ G, _ P, s S) { s.Peers = reading(peer.Reachable, peer.False, peer.PublisherDown) }, func(G, P, S) {}},
		{"facts", "a cause is not known", func(_ G, _ P, s S) { s.Peers = reading(peer.Authenticated, peer.UnknownStatus, peer.Stale) }, func(_ G, _ P, s S) { s.Peers = reading(peer.Authenticated, peer.UnknownStatus, peer.NotObservable) }},
		{"facts", "nothing known asks for the start any more", func(g G, p P, s S) { starting(g, p, s); s.Proposed = []peer.Proposal{} }, starting},
		{"facts", "the start waits for a person by now", func(g G, p P, s S) {
			starting(g, p, s)
			s.Proposed = []peer.Proposal{{ID: p.ID, Approval: "a person may have stopped it on purpose"}}
		}, starting},
		{"facts", "nothing known asks for the certificate any more", func(g G, p P, s S) { importing1(g, p, s); s.Proposed = []peer.Proposal{} }, importing1},
		{"facts", "ICSA has read its store since", func(_ G, p P, s S) { p.Reload, s.Proposed = true, []peer.Proposal{} }, func(_ G, p P, s S) { p.Reload, s.Peers = true, nil }},
		{"announced", "nobody was told", func(_ G, _ P, s S) { s.Announced = time.Time{} }, func(_ G, _ P, s S) { s.Announced = noon.Add(-time.Hour) }},
		{"announced", "told a moment ago", func(_ G, _ P, s S) { s.Announced = noon.Add(-3 * time.Minute) }, func(_ G, _ P, s S) { s.Announced = noon.Add(-4 * time.Minute) }},
		{"override", "the mesh is paused", func(_ G, _ P, s S) { said(s, "mesh", time.Time{}) }, func(_ G, _ P, s S) { said(s, "mesh", noon) }},
		{"override", "the cluster is paused", func(_ G, _ P, s S) { said(s, "emea", noon.Add(time.Minute)) }, func(_ G, _ P, s S) { said(s, "amer", noon.Add(time.Minute)) }},
		{"override", "the peer is paused", func(_ G, _ P, s S) { said(s, "emea>apac", time.Time{}) }, func(_ G, _ P, s S) { said(s, "apac>amer", time.Time{}) }},
		{"override", "the pair is paused, named the other way round", func(_ G, _ P, s S) { said(s, "apac<>emea", time.Time{}) }, func(_ G, _ P, s S) { said(s, "apac<>amer", time.Time{}) }},
		{"override", "the cluster at the other end is paused", func(_ G, _ P, s S) { said(s, "apac", time.Time{}) }, func(_ G, _ P, s S) { said(s, "amer", time.Time{}) }},
		{"override", "a peer that the restart would interrupt is paused", func(_ G, _ P, s S) { said(s, "emea>amer", time.Time{}) }, func(g G, p P, s S) {
			starting(g, p, s)
			p.Peers = []mesh.PeerID{emeaApac}
			said(s, "emea>amer", time.Time{})
		}},
		{"override", "maintenance", func(_ G, _ P, s S) {
			said(s, "emea", time.Time{})
			s.Overrides.Maintenance, s.Overrides.Pauses = s.Overrides.Pauses, nil
		}, func(_ G, _ P, s S) {
			said(s, "emea", time.Time{})
			s.Overrides.Pauses[0].Ended = true
			s.Overrides.Maintenance, s.Overrides.Pauses = s.Overrides.Pauses, nil
		}},
		{"override", "said through a newer version", func(_ G, _ P, s S) { s.Overrides.Newer = true }, func(G, P, S) {}},
		{"override", "not read", func(_ G, _ P, s S) { s.Overrides = nil }, func(G, P, S) {}},
		{"epoch", "paused since it was decided", func(g G, _ P, _ S) { g.PauseEpoch++ }, func(g G, _ P, s S) { g.PauseEpoch++; s.Epoch++ }},
		{"overlay", "nodes are being upgraded", func(_ G, _ P, s S) { s.Peers[emeaApac] = stuck(peer.Upgrading) }, func(_ G, _ P, s S) { s.Peers[emeaApac] = stuck(peer.Acknowledged) }},
		{"overlay", "the database was restored", func(_ G, _ P, s S) { s.Peers[emeaApac] = stuck(peer.Rewound) }, func(_ G, _ P, s S) { s.Peers[emeaAmer] = stuck(peer.Rewound) }},
		{"overlay", "a plan changes the pair", func(_ G, _ P, s S) { s.Peers[emeaApac] = changing("c4f2") }, func(_ G, _ P, s S) { s.Peers[emeaAmer] = changing("c4f2") }},
		{"locked", "a step of a plan is under way there", func(g G, _ P, _ S) { g.Locks = []Lock{locked("emea", 3)} }, func(g G, _ P, _ S) { g.Locks = []Lock{locked("apac", 3)} }},
		{"locked", "until its end, and a day at most", func(g G, _ P, _ S) {
			g.Locks = []Lock{locked("emea", 3)}
			g.Locks[0].Until, g.Ahead = noon.Add(300*time.Hour), map[string]time.Time{mark("lock", 7): noon.Add(-23 * time.Hour)}
		}, func(g G, _ P, _ S) {
			over, ahead := locked("emea", 3), locked("emea", 4)
			over.Until, ahead.Until, g.Ahead = noon, noon.Add(300*time.Hour), map[string]time.Time{mark("lock", 8): noon.Add(-24 * time.Hour)}
			ahead.Seq = 8
			g.Locks = []Lock{over, ahead}
		}},
		{"usersFell", "the users of the cluster are gone", func(_ G, _ P, s S) { s.UsersFell = "from 200 to 0" }, func(G, P, S) {}},
		{"overlay", "flapping", func(_ G, _ P, s S) { s.Peers[emeaApac] = stuck(peer.Flapping) }, func(G, P, S) {}},
		{"window", "a deny window wins over an allow window", func(_ G, _ P, s S) {
			s.Mesh.Policy.Windows = []mesh.Window{{Kind: "allow", From: "00:00", To: "24:00", TimeZone: "UTC"}, {Kind: "deny", From: "12:00", To: "13:00", TimeZone: "Europe/London"}}
			s.Newest = s.Mesh.Hash()
		}, func(_ G, _ P, s S) {
			s.Mesh.Policy.Windows = []mesh.Window{{Kind: "allow", From: "00:00", To: "24:00", TimeZone: "UTC"}, {Kind: "deny", From: "12:00", To: "13:00", TimeZone: "Europe/London"}}
			s.Newest, s.Now, s.Announced = s.Mesh.Hash(), dst, dst.Add(-5*time.Minute)
		}},
		{"window", "outside every allow window", func(_ G, _ P, s S) {
			s.Mesh.Policy.Windows = []mesh.Window{{Kind: "allow", Days: []string{"sat"}, From: "22:00", To: "06:00", TimeZone: "UTC"}}
			s.Newest = s.Mesh.Hash()
		}, func(_ G, _ P, s S) {
			s.Mesh.Policy.Windows = []mesh.Window{{Kind: "allow", Days: []string{"sun"}, From: "11:00", To: "13:00", TimeZone: "UTC"}}
			s.Newest = s.Mesh.Hash()
		}},
		{"open", "another node of the cluster is being acted on", func(g G, _ P, _ S) {
			g.Open = []Intent{{Seq: 9, Action: peer.StartService, Target: peer.Target{Cluster: "emea", Node: "imp-emea-sub.example.com", Service: peer.ICSA}}}
		}, func(g G, _ P, _ S) {
			g.Open = []Intent{{Seq: 9, Action: peer.StartService, Target: peer.Target{Cluster: "apac", Node: "imp-apac-pub.example.com", Service: peer.ICSA}}}
		}},
		{"clusterLimit", "one restart per cluster and hour", func(g G, _ P, _ S) { g.Restarts = []Restart{{1, "emea", noon.Add(-59 * time.Minute)}} }, func(g G, _ P, _ S) { g.Restarts = []Restart{{1, "emea", noon.Add(-time.Hour)}} }},
		{"clusterLimit", "meant by a clock that was ahead", func(g G, _ P, _ S) { g.Restarts = []Restart{{1, "emea", noon.Add(3 * time.Hour)}} }, func(g G, _ P, _ S) { g.Restarts = []Restart{{1, "emea", noon.Add(300 * time.Hour)}} }},
		{"meshLimit", "three restarts per mesh and hour", func(g G, _ P, _ S) {
			g.Restarts = []Restart{{1, "apac", noon.Add(-50 * time.Minute)}, {2, "amer", noon.Add(-30 * time.Minute)}, {3, "apac", noon.Add(-10 * time.Minute)}}
		}, func(g G, _ P, _ S) {
			g.Restarts = []Restart{{2, "amer", noon.Add(-30 * time.Minute)}, {3, "apac", noon.Add(-10 * time.Minute)}}
		}},
		{"dayLimit", "three restarts a day did not last", func(g G, _ P, _ S) {
			g.Closed = []Closure{closedOnce(DoneProven, 20*time.Hour), closedOnce(NotDone, 10*time.Hour), closedOnce(Unproven, 5*time.Hour)}
		}, func(g G, _ P, _ S) {
			g.Closed = []Closure{closedOnce(DoneProven, 24*time.Hour), closedOnce(NotDone, 10*time.Hour), closedOnce(NotSent, 5*time.Hour), closedOnce(Unproven, 5*time.Hour)}
		}},
		{"dayLimit", "a service that stops again and again is not started for ever", func(g G, p P, s S) {
			starting(g, p, s)
			for i := range 3 {
				c := closedOnce(DoneProven, time.Duration(i+1)*time.Hour)
				c.Action = peer.StartService
				g.Closed = append(g.Closed, c)
			}
		}, func(g G, p P, s S) {
			starting(g, p, s)
			for i := range 3 {
				g.Closed = append(g.Closed, closedOnce(DoneProven, time.Duration(i+1)*time.Hour)) // restarts, not starts
			}
		}},
		{"again", "the same was refused a moment ago", func(g G, _ P, _ S) { g.Closed = []Closure{closedOnce(NotSent, 29*time.Minute)} }, func(g G, _ P, _ S) { g.Closed = []Closure{closedOnce(NotSent, 30*time.Minute)} }},
		{"mass", "three clusters of three fail, each by a cause of its own", func(_ G, _ P, s S) { s.Failing = roots("emea", "apac", "amer") }, func(_ G, _ P, s S) { s.Failing = roots("emea", "apac", "apac") }},
		{"mass", "three clusters are renewed at once, and nobody has looked", func(g G, p P, s S) {
			importing1(g, p, s)
			s.Failing = renewed("emea", "apac", "amer")
		}, func(g G, p P, s S) {
			importing1(g, p, s)
			s.Failing = renewed("emea", "apac", "amer")
			approved(p, s, time.Minute)
			p.ID = "r1"
		}},
		{"mass", "three clusters fail by other causes, approved or not", func(g G, p P, s S) {
			importing1(g, p, s)
			s.Failing = roots("emea", "apac", "amer")
			approved(p, s, time.Minute)
			p.ID = "r1"
		}, importing1},
		{"mass", "services stopped in three clusters, and nobody has looked", func(g G, p P, s S) {
			starting(g, p, s)
			s.Failing = stoppedServices("emea", "apac", "amer")
		}, func(g G, p P, s S) {
			starting(g, p, s)
			s.Failing = stoppedServices("emea", "apac", "amer")
			approved(p, s, time.Minute)
			p.ID = "r1"
		}},
		{"mass", "a start is approved, and three clusters fail by other causes", func(g G, p P, s S) {
			starting(g, p, s)
			s.Failing = roots("emea", "apac", "amer")
			approved(p, s, time.Minute)
			p.ID = "r1"
		}, starting},
		{"commanded", "a person stopped it since it was decided to start what had crashed", func(g G, p P, s S) {
			starting(g, p, s)
			p.Stop, p.Code, s.Service.Code = peer.StopCrashed, -1019, peer.CodeCommandedOut
		}, func(g G, p P, s S) {
			starting(g, p, s)
			p.Stop, p.Code, s.Service.Code = peer.StopRebooted, peer.CodeCommandedOut, peer.CodeCommandedOut
		}},
		{"commanded", "a person may have stopped it, and nobody was asked", func(g G, p P, s S) {
			starting(g, p, s)
			p.Stop, p.Code, s.Service.Code = peer.StopMeant, peer.CodeCommandedOut, peer.CodeCommandedOut
		}, func(g G, p P, s S) {
			starting(g, p, s)
			p.Stop, p.Code, s.Service.Code = peer.StopMeant, peer.CodeCommandedOut, peer.CodeCommandedOut
			approved(p, s, time.Minute)
			p.ID = "r1"
		}},
		{"age", "restarted by somebody else", func(_ G, _ P, s S) { s.Service.UpTime = 119 * time.Minute }, func(_ G, _ P, s S) { s.Service.UpTime = 2 * time.Hour }},
		{"age", "longer where the interval is", func(_ G, p P, s S) { p.MinAge = 16 * time.Hour }, func(_ G, p P, s S) { p.MinAge = 16 * time.Hour; s.Service.UpTime = 16 * time.Hour }},
		{"age", "never under two hours, whatever is proposed", func(_ G, p P, s S) { p.MinAge = 0; s.Service.UpTime = time.Hour }, func(_ G, p P, s S) { p.MinAge = 0 }},
		{"age", "its up-time is not told", func(_ G, _ P, s S) { s.Service.UpTime = -1 }, func(G, P, S) {}},
		{"needed", "what is to be started runs", func(g G, p P, s S) { starting(g, p, s); s.Service = peer.Service{Status: "Started", UpTime: time.Hour} }, starting},
		{"needed", "what is to be started is on its way", func(g G, p P, s S) { starting(g, p, s); s.Service.Status = "Starting" }, starting},
		{"needed", "what is to be restarted is not up", func(_ G, _ P, s S) { s.Service.Status = "Stopping" }, func(G, P, S) {}},
		{"approval", "a person has not agreed", func(_ G, p P, s S) { p.Approval = "the other peers advance" }, func(_ G, p P, s S) { approved(p, s, time.Minute) }},
		{"approval", "agreed to another action", func(_ G, p P, s S) {
			approved(p, s, time.Minute)
			s.Overrides.Approvals = map[string]record.Approval{"r2": s.Overrides.Approvals["r1"]}
		}, func(_ G, p P, s S) { approved(p, s, time.Minute) }},
		{"approval", "the consent that is kept under its ID is another action's", func(_ G, p P, s S) {
			approved(p, s, time.Minute)
			a := s.Overrides.Approvals["r1"]
			a.ID = "r2"
			s.Overrides.Approvals["r1"] = a
		}, func(_ G, p P, s S) { approved(p, s, time.Minute) }},
		{"approval", "agreed to a step of a plan", func(_ G, p P, s S) {
			p.Approval = "the other peers advance"
			s.Consent = Consent{Actor: "jdoe", At: noon.Add(-time.Minute), Target: p.Target}
		}, func(_ G, p P, s S) { approved(p, s, time.Minute) }},
		{"approval", "expired", func(_ G, p P, s S) { approved(p, s, 4*time.Hour) }, func(_ G, p P, s S) { approved(p, s, 4*time.Hour-time.Second) }},
		{"approval", "used", func(g G, p P, s S) { approved(p, s, time.Hour); g.Used = []Spent{{"r1", noon, noon.Add(-time.Hour)}} }, func(g G, p P, s S) { approved(p, s, time.Minute); g.Used = []Spent{{"r1", noon, noon.Add(-time.Hour)}} }},
		{"approval", "used, and given by a clock that is ahead", func(g G, p P, s S) {
			approved(p, s, -time.Minute)
			g.Used = []Spent{{"r1", noon.Add(-time.Minute), noon.Add(time.Minute)}}
		}, func(g G, p P, s S) {
			approved(p, s, time.Minute)
			g.Used = []Spent{{"r1", noon.Add(-time.Minute), noon.Add(time.Minute)}}
		}},
		{"approval", "of a time that is yet to come", func(_ G, p P, s S) { approved(p, s, -5*time.Minute-time.Second) }, func(_ G, p P, s S) { approved(p, s, -5*time.Minute) }},
		{"approval", "spent in a table that was restored since: the service itself tells", func(_ G, p P, s S) {
			approved(p, s, 3*time.Hour)
			s.Service.UpTime = 2*time.Hour + 50*time.Minute
		}, func(_ G, p P, s S) {
			approved(p, s, 3*time.Hour)
			s.Service.UpTime = 3*time.Hour + 6*time.Minute
		}},
		{"approval", "the same, given by a clock that is ahead", func(_ G, p P, s S) {
			approved(p, s, 3*time.Hour) // in truth 4 min earlier
			s.Service.UpTime = 3*time.Hour + 3*time.Minute
		}, func(_ G, p P, s S) {
			approved(p, s, 3*time.Hour)
			s.Service.UpTime = 3*time.Hour + 6*time.Minute
		}},
	}
}

func roots(ids ...mesh.ClusterID) []Failing {
	var out []Failing
	for i, id := range ids {
		out = append(out, Failing{mesh.PeerID{From: id, To: "other"}, peer.Root{Cause: fmt.Sprint(i), Cluster: id}})
	}
	return out
}

// stoppedServices are clusters in which a service is stopped.
func stoppedServices(ids ...mesh.ClusterID) []Failing {
	var out []Failing
	for _, id := range ids {
		out = append(out, Failing{mesh.PeerID{From: id, To: "other"}, peer.Root{Cause: "ServicesRunning:" + string(id), Cluster: id}})
	}
	return out
}

// renewed are clusters whose certificate is not trusted by those that pull.
func renewed(ids ...mesh.ClusterID) []Failing {
	var out []Failing
	for _, id := range ids {
		out = append(out, Failing{mesh.PeerID{From: "other", To: id}, peer.Root{Cause: "CertificateTrusted:" + string(id), Cluster: id}})
	}
	return out
}

// calmness is a situation in which nothing stops an action.
type calmness func() (Gate, peer.Proposal, Situation)

// refusedBy changes a calm situation, and tells by which guards the action is
// stopped when one of them, if named, is missing. What asks for the action still
// does, unless the change says otherwise.
func (calm calmness) refusedBy(t *testing.T, missing string, change func(*Gate, *peer.Proposal, *Situation)) []string {
	t.Helper()
	g, p, s := calm()
	change(&g, &p, &s)
	if s.Proposed == nil {
		s.Proposed = []peer.Proposal{p}
	}
	all := guardsOf(p)
	by := slices.DeleteFunc(slices.Clone(all), func(g guard) bool { return g.name == missing })
	if missing != "" && len(by) != len(all)-1 {
		t.Fatalf("%s is no guard of %s, or not one", missing, p.Action)
	}
	var out []string
	for _, r := range judge(by, &g, p, s) {
		out = append(out, r.Guard)
	}
	return out
}

func TestEachGuardIsTheOnlyThingThatStops(t *testing.T) {
	for _, j := range []struct {
		of    string
		calm  calmness
		cases []only
	}{{"repair", calm, cases()}, {"planned", calmStep, stepCases()}} {
		if got := j.calm.refusedBy(t, "", func(*Gate, *peer.Proposal, *Situation) {}); len(got) > 0 {
			t.Fatalf("%s: a calm situation is refused by %v", j.of, got)
		}
		for _, c := range j.cases {
			t.Run(j.of+"/"+c.guard+"/"+c.name, func(t *testing.T) {
				if got := j.calm.refusedBy(t, "", c.stop); !slices.Equal(got, []string{c.guard}) {
					t.Errorf("stopped by %v, want by %s alone", got, c.guard)
				}
				if got := j.calm.refusedBy(t, "", c.pass); len(got) > 0 {
					t.Errorf("the like that may pass is stopped by %v", got)
				}
			})
		}
	}
}

// Take any guard away, and each of its cases above goes through: the named test
// would fail.
func TestNoGuardCanBeMissed(t *testing.T) {
	for _, j := range []struct {
		of    domain
		calm  calmness
		cases []only
	}{{repairs, calm, cases()}, {plans, calmStep, stepCases()}} {
		covered := map[string]int{}
		for _, c := range j.cases {
			covered[c.guard]++
			if got := j.calm.refusedBy(t, c.guard, c.stop); len(got) > 0 {
				t.Errorf("%s/%s is stopped by %v although %s is missing", c.guard, c.name, got, c.guard)
			}
		}
		for _, k := range kinds() {
			for _, g := range guards(k, j.of) {
				if covered[g.name] == 0 {
					t.Errorf("guard %s has no case", g.name)
				}
			}
		}
	}
}

// A refusal is explained once, whether it says more than its guard's name or not.
func TestExplain(t *testing.T) {
	for _, c := range []struct {
		name string
		r    record.Refusal
		want string
	}{
		{"what was found", record.Refusal{Guard: "window", Why: "outside every allow window"}, "outside every allow window (window)"},
		{"the guard alone, of every action", record.Refusal{Guard: "announced"}, "no notice of it was sent before this run; the next run acts (announced)"},
		{"the guard alone, of restarts", record.Refusal{Guard: "meshLimit"}, "the restarts that policy.limits.restartsPerMeshPerHour (3 unless set) allows are used up (meshLimit)"},
		{"no guard that this version knows", record.Refusal{Guard: "moonPhase"}, "moonPhase"},
	} {
		if got := Explain(c.r); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestMassStop(t *testing.T) {
	many := func(n int) []mesh.ClusterID {
		var ids []mesh.ClusterID
		for _, c := range meshOf(30).Clusters[:n] {
			ids = append(ids, c.ID)
		}
		return ids
	}
	for _, c := range []struct {
		name     string
		clusters int
		causes   []mesh.ClusterID
		unseen   int
		want     string // words of the refusal; "" passes
	}{
		{"2 clusters, one fails", 2, []mesh.ClusterID{"emea"}, 0, ""},
		{"2 clusters, one fails by two causes", 2, []mesh.ClusterID{"emea", "emea"}, 0, ""},
		{"2 clusters, both fail", 2, []mesh.ClusterID{"emea", "apac"}, 0, "both clusters"},
		{"2 clusters, one not seen", 2, []mesh.ClusterID{"emea"}, 1, ""},
		{"2 clusters, none seen", 2, nil, 2, "own network"},
		{"3 clusters, one fails", 3, []mesh.ClusterID{"emea"}, 0, ""},
		{"3 clusters, two fail", 3, []mesh.ClusterID{"emea", "apac"}, 0, ""},
		{"3 clusters, all fail", 3, []mesh.ClusterID{"emea", "apac", "amer"}, 0, "3 independent causes"},
		{"3 clusters, one not seen", 3, []mesh.ClusterID{"emea"}, 1, ""},
		{"3 clusters, two not seen", 3, []mesh.ClusterID{"emea"}, 2, "own network"},
		{"10 clusters, three fail", 10, many(3), 0, ""},
		{"10 clusters, four fail", 10, many(4), 0, "4 independent causes"},
		{"10 clusters, four not seen", 10, many(1), 4, ""},
		{"10 clusters, half not seen", 10, many(1), 5, "own network"},
		{"30 clusters, nine fail", 30, many(9), 0, ""},
		{"30 clusters, ten fail", 30, many(10), 0, "10 independent causes"},
		{"30 clusters, fifteen not seen", 30, many(1), 15, "own network"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := massStop(c.clusters, c.unseen, roots(c.causes...))
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Twenty-nine peers that fail for one cluster's sake are one cause.
func TestOneCauseIsNoMass(t *testing.T) {
	m := meshOf(30)
	var failing []Failing
	for _, p := range m.Peers {
		if p.ID.To == "apac" {
			failing = append(failing, Failing{p.ID, peer.Root{Cause: "Reachable:apac", Cluster: "apac"}})
		}
	}
	if got := massStop(len(m.Clusters), 0, failing); got != "" || len(failing) != 29 {
		t.Errorf("%d peers, one cause: %s", len(failing), got)
	}
}

// A mesh whose certificates are renewed closes more imports in a day than the
// gate remembers. They do not push out what the limits of restarts go by, and those
// of the last hour are what their own limit goes by.
func TestImportsPushOutNoRestart(t *testing.T) {
	g := Gate{}
	for i := range 3 {
		g.Closed = append(g.Closed, closedOnce(DoneProven, 20*time.Hour-time.Duration(i)*time.Hour))
	}
	for i := range 2 * maxClosed {
		g.Closed = append(g.Closed, importedAgo(DoneProven, time.Duration(2*maxClosed-i)*2*time.Minute))
		g.forget(noon)
	}
	if n := today(&g, noon, restart()); n != 3 || len(g.Closed) > maxClosed {
		t.Errorf("%d restarts are remembered of 3, among %d", n, len(g.Closed))
	}
	if n := imports(&g, noon); n != 29 {
		t.Errorf("%d imports of the last hour, want 29", n)
	}
}

// What the gate does not remember it cannot count: the highest limit is reached
// within what it keeps.
func TestNoLimitIsBeyondMemory(t *testing.T) {
	g, p, s := calm()
	importing1(&g, &p, &s)
	s.Mesh.Policy.Limits.ImportsPerMeshPerHour = mesh.MostImportsPerHour
	s.Newest, s.Proposed = s.Mesh.Hash(), []peer.Proposal{p}
	for range 2 * maxClosed {
		if len(Refusals(&g, p, s)) > 0 {
			break
		}
		g.Closed = append(g.Closed, importedAgo(DoneProven, time.Minute))
		g.forget(s.Now)
	}
	if got := Refusals(&g, p, s); len(got) != 1 || got[0].Guard != "importLimit" || len(g.Closed) != mesh.MostImportsPerHour {
		t.Errorf("after %d imports: %v", len(g.Closed), got)
	}
}

func TestGateStaysSmall(t *testing.T) {
	g := Gate{}
	for i := range 5000 {
		g.Closed = append(g.Closed, Closure{Seq: int64(i), Target: icsa, At: noon, Outcome: NotDone, Evidence: short(strings.Repeat("x", 5000))})
		g.Used = append(g.Used, Spent{fmt.Sprint(i), noon, noon})
	}
	g.Closed = append(g.Closed, closedOnce(NotSent, 61*time.Minute), closedOnce(NotSent, 59*time.Minute))
	g.forget(noon)
	if len(g.Closed) != maxClosed || len(g.Used) != maxSpent || len(g.Closed[0].Evidence) > maxEvidence+3 {
		t.Errorf("%d closures, %d approvals, %d bytes of evidence", len(g.Closed), len(g.Used), len(g.Closed[0].Evidence))
	}
	if n := len(g.Closed); g.Closed[n-2].Seq != 4999 {
		t.Errorf("what was not sent is kept for more than an hour: %+v", g.Closed[n-2:])
	}
	g.forget(noon.Add(24 * time.Hour))
	if len(g.Closed) != 0 {
		t.Errorf("%d closures are kept for longer than a day", len(g.Closed))
	}
}
