package repair

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
)

var step3 = peer.PlannedStep{Plan: "c4f2", Step: 3}

// router is a planned restart of emea's Cisco XCP Router.
func router() peer.Proposal {
	return peer.Proposal{
		ID: "c4f2-3", Action: peer.RestartService, Planned: step3, Peers: []mesh.PeerID{emeaApac, emeaAmer}, Why: "the notification asked for it",
		Target: peer.Target{Cluster: "emea", Node: icsa.Node, Service: peer.XCPRouter},
	}
}

func setting() peer.Proposal {
	p := router()
	p.Action, p.Target, p.Value = peer.SetParameter, peer.Target{Cluster: "emea", Node: icsa.Node, Service: peer.ICSA, Parameter: "SyncInterval"}, "45"
	return p
}

func activating() peer.Proposal {
	p := router()
	p.Action, p.Target.Service = peer.ActivateService, peer.AXL
	return p
}

// restartsOf is the same planned restart, of another service.
func restartsOf(service string) func(*Gate, *peer.Proposal, *Situation) {
	return func(_ *Gate, p *peer.Proposal, s *Situation) {
		p.Target.Service = service
		s.Consent.Target = p.Target
	}
}

// readyFor is a pair of nodes with high availability, in which nothing stands in the
// way of a restart that signs people out.
func readyFor(node mesh.NodeName) peer.Readiness {
	well := peer.NodeReadiness{
		Group: peer.Known("DefaultCUPSubcluster", noon), HA: peer.Known(true, noon), HAState: peer.Known(3, noon), Replication: peer.Known(peer.ReplicationGood, noon), SRM: peer.Known(peer.SRMNormal, noon),
		People: peer.Known(1200, noon), Services: peer.Known(map[string]peer.Service{peer.XCPRouter: {Status: "Started"}}, noon),
	}
	return peer.Readiness{Nodes: map[mesh.NodeName]peer.NodeReadiness{node: well, "imp-emea-sub.example.com": well}}
}

func changing(plan string) Peer {
	p := stuck(peer.Changing)
	p.Changing = plan
	return p
}

func locked(id mesh.ClusterID, step int) Lock {
	return Lock{Seq: 7, Cluster: id, PlannedStep: peer.PlannedStep{Plan: "c4f2", Step: step}, Until: noon.Add(time.Hour)}
}

// calmStep is a situation in which nothing stops a planned restart of emea's Cisco
// XCP Router: approved, announced, its cluster locked and ready.
func calmStep() (Gate, peer.Proposal, Situation) {
	_, _, s := calm()
	p := router()
	s.Privilege, s.Readiness, s.Failing, s.read = GrantPrivilege(), readyFor(icsa.Node), nil, true
	s.Consent = Consent{Actor: "jdoe", At: noon.Add(-time.Minute), Plan: "c4f2", Step: 3, Target: p.Target, Started: noon.Add(-5 * time.Hour)}
	s.Peers = map[mesh.PeerID]Peer{emeaApac: changing("c4f2"), emeaAmer: changing("c4f2")}
	return Gate{PauseEpoch: 4, Locks: []Lock{locked("emea", 3)}}, p, s
}

func settingStep(_ *Gate, p *peer.Proposal, s *Situation) {
	*p, s.Value, s.Matches = setting(), "30", 1
	s.Consent.Target = p.Target
}

func activatingStep(_ *Gate, p *peer.Proposal, s *Situation) {
	*p, s.Service = activating(), peer.Service{Status: "Stopped", UpTime: -1, Code: peer.CodeNotActivated}
	s.Consent.Target = p.Target
}

func stepCases() []only {
	type (
		G = *Gate
		P = *peer.Proposal
		S = *Situation
	)
	as := func(first, then func(G, P, S)) func(G, P, S) {
		return func(g G, p P, s S) { first(g, p, s); then(g, p, s) }
	}
	node := func(s S, name mesh.NodeName, change func(*peer.NodeReadiness)) {
		n := s.Readiness.Nodes[name]
		change(&n)
		s.Readiness.Nodes[name] = n
	}
	badReplication := func(_ G, _ P, s S) {
		node(s, "imp-emea-sub.example.com", func(n *peer.NodeReadiness) { n.Replication = peer.Known(3, noon) })
	}
	icsaOnly := as(restartsOf(peer.ICSA), func(_ G, _ P, s S) { s.Readiness = peer.Readiness{} })
	return []only{
		{"mode", "observe changes nothing: the step is a person's", func(_ G, _ P, s S) { s.Mesh.Policy.Mode = mesh.Observe; s.Newest = s.Mesh.Hash() }, func(G, P, S) {}},
		{"service", "main has not let the function carry out plans", func(_ G, _ P, s S) { s.Privilege = Privilege{} }, func(G, P, S) {}},
		{"service", "nor to restart ICSA, set a parameter or activate a service for one", as(icsaOnly, func(_ G, _ P, s S) { s.Privilege = Privilege{} }), icsaOnly},
		{"service", "a parameter", as(settingStep, func(_ G, _ P, s S) { s.Privilege = Privilege{} }), settingStep},
		{"service", "a service that is not activated", as(activatingStep, func(_ G, _ P, s S) { s.Privilege = Privilege{} }), activatingStep},
		{"service", "no plan restarts the Sync Agent", restartsOf(peer.SyncAgent), restartsOf(peer.SIPProxy)},
		{"service", "no plan restarts AXL", restartsOf(peer.AXL), restartsOf(peer.SRM)},
		{"service", "no plan sets a parameter of another service", as(settingStep, func(_ G, p P, s S) { p.Target.Service = peer.SRM; s.Consent.Target = p.Target }), as(settingStep, func(_ G, p P, s S) { p.Target.Service = peer.SIPProxy; s.Consent.Target = p.Target })},
		{"service", "no plan activates another service", as(activatingStep, func(_ G, p P, s S) { p.Target.Service = peer.XCPRouter; s.Consent.Target = p.Target }), activatingStep},
		{"lease", "another run took over", func(_ G, _ P, s S) { s.Lease = "taken over" }, func(G, P, S) {}},
		{"configuration", "a newer mesh.yaml is in force", func(_ G, _ P, s S) { s.Newest = "deadbeef" }, func(G, P, S) {}},
		{"announced", "nobody was told", func(_ G, _ P, s S) { s.Announced = time.Time{} }, func(_ G, _ P, s S) { s.Announced = noon.Add(-time.Hour) }},
		{"announced", "told a moment ago", func(_ G, _ P, s S) { s.Announced = noon.Add(-3 * time.Minute) }, func(_ G, _ P, s S) { s.Announced = noon.Add(-4 * time.Minute) }},
		{"override", "the mesh is paused", func(_ G, _ P, s S) { said(s, "mesh", time.Time{}) }, func(_ G, _ P, s S) { said(s, "mesh", noon) }},
		{"override", "a pair that the plan changes is paused", func(_ G, _ P, s S) { said(s, "apac<>emea", time.Time{}) }, func(_ G, _ P, s S) { said(s, "apac<>amer", time.Time{}) }},
		{"override", "maintenance", func(_ G, _ P, s S) {
			said(s, "emea", time.Time{})
			s.Overrides.Maintenance, s.Overrides.Pauses = s.Overrides.Pauses, nil
		}, func(_ G, _ P, s S) {
			said(s, "emea", noon)
			s.Overrides.Maintenance, s.Overrides.Pauses = s.Overrides.Pauses, nil
		}},
		{"override", "a peer that is not the plan's, and that the restart would interrupt, is paused", func(_ G, p P, s S) {
			p.Peers = []mesh.PeerID{emeaApac}
			said(s, "emea>amer", time.Time{})
		}, as(settingStep, func(_ G, p P, s S) { // which interrupts nothing
			p.Peers = []mesh.PeerID{emeaApac}
			said(s, "emea>amer", time.Time{})
		})},
		{"override", "said through a newer version", func(_ G, _ P, s S) { s.Overrides.Newer = true }, func(G, P, S) {}},
		{"override", "not read", func(_ G, _ P, s S) { s.Overrides = nil }, func(G, P, S) {}},
		{"epoch", "paused since it was decided", func(g G, _ P, _ S) { g.PauseEpoch++ }, func(g G, _ P, s S) { g.PauseEpoch++; s.Epoch++ }},
		{"overlay", "nodes are being upgraded", func(_ G, _ P, s S) { s.Peers[emeaApac] = stuck(peer.Upgrading) }, func(_ G, _ P, s S) { s.Peers[emeaApac] = stuck(peer.Acknowledged) }},
		{"overlay", "the database was restored", func(_ G, _ P, s S) { s.Peers[emeaAmer] = stuck(peer.Rewound) }, func(G, P, S) {}},
		{"overlay", "another plan changes one of its pairs", func(_ G, _ P, s S) { s.Peers[emeaAmer] = changing("77ab") }, func(_ G, _ P, s S) { s.Peers[mesh.PeerID{From: "apac", To: "amer"}] = changing("77ab") }},
		{"usersFell", "the users of the cluster are gone", func(_ G, _ P, s S) { s.UsersFell = "from 200 to 0" }, func(G, P, S) {}},
		{"window", "outside every allow window", func(_ G, _ P, s S) {
			s.Mesh.Policy.Windows = []mesh.Window{{Kind: "allow", Days: []string{"sat"}, From: "22:00", To: "06:00", TimeZone: "UTC"}}
			s.Newest = s.Mesh.Hash()
		}, func(_ G, _ P, s S) {
			s.Mesh.Policy.Windows = []mesh.Window{{Kind: "allow", Days: []string{"sun"}, From: "11:00", To: "13:00", TimeZone: "UTC"}}
			s.Newest = s.Mesh.Hash()
		}},
		{"open", "a repair of the cluster is under way", func(g G, _ P, _ S) {
			g.Open = []Intent{{Seq: 9, Action: peer.StartService, Target: peer.Target{Cluster: "emea", Node: "imp-emea-sub.example.com", Service: peer.ICSA}}}
		}, func(g G, _ P, _ S) {
			g.Open = []Intent{{Seq: 9, Action: peer.StartService, Target: peer.Target{Cluster: "apac", Node: "imp-apac-pub.example.com", Service: peer.ICSA}}}
		}},
		{"open", "the step itself is under way", func(g G, p P, _ S) { g.Open = []Intent{{Seq: 9, Action: p.Action, Target: p.Target, Planned: step3}} }, func(G, P, S) {}},
		{"locked", "it has not locked the cluster", func(g G, _ P, _ S) { g.Locks = nil }, func(G, P, S) {}},
		{"locked", "it has locked another cluster", func(g G, _ P, _ S) { g.Locks = []Lock{locked("apac", 3)} }, func(g G, _ P, _ S) { g.Locks = append(g.Locks, locked("apac", 3)) }},
		{"locked", "an earlier step of the plan has", func(g G, _ P, _ S) { g.Locks = []Lock{locked("emea", 2)} }, func(G, P, S) {}},
		{"locked", "another plan has", func(g G, _ P, _ S) { g.Locks[0].Plan = "77ab" }, func(g G, _ P, _ S) {
			other := g.Locks[0]
			other.Plan, other.Until = "77ab", noon
			g.Locks = []Lock{other, g.Locks[0]}
		}},
		{"locked", "it had, and the time is over", func(g G, _ P, _ S) { g.Locks[0].Until = noon }, func(g G, _ P, _ S) { g.Locks[0].Until = noon.Add(time.Second) }},
		{"needed", "what is to be restarted is not up", func(_ G, _ P, s S) { s.Service.Status = "Stopping" }, func(G, P, S) {}},
		{"needed", "the parameter is set already", as(settingStep, func(_ G, _ P, s S) { s.Value = "45" }), settingStep},
		{"needed", "the service is activated already, and runs", as(activatingStep, func(_ G, _ P, s S) { s.Service = peer.Service{Status: "Started", UpTime: time.Hour} }), activatingStep},
		{"needed", "the service is activated already, and stopped", as(activatingStep, func(_ G, _ P, s S) { s.Service.Code = peer.CodeCommandedOut }), activatingStep},
		{"ready", "XCP Router, and replication is bad", badReplication, as(icsaOnly, badReplicationOf)},
		{"ready", "SIP Proxy, and replication is bad", as(restartsOf(peer.SIPProxy), badReplication), restartsOf(peer.SIPProxy)},
		{"ready", "Server Recovery Manager, and replication is bad", as(restartsOf(peer.SRM), badReplication), restartsOf(peer.SRM)},
		{"ready", "nothing was read of the cluster", func(_ G, _ P, s S) { s.Readiness = peer.Readiness{} }, icsaOnly},
		{"ready", "a node of mesh.yaml was not read", func(_ G, _ P, s S) {
			s.Mesh.Clusters[0].Nodes = append(s.Mesh.Clusters[0].Nodes, mesh.Node{Name: "imp-emea-third.example.com"})
			s.Newest = s.Mesh.Hash()
		}, func(_ G, _ P, s S) {
			s.Mesh.Clusters[0].Nodes = append(s.Mesh.Clusters[0].Nodes, mesh.Node{Name: "imp-emea-sub.example.com"})
			s.Newest = s.Mesh.Hash()
		}},
		{"ready", "the partner has failed over", func(_ G, _ P, s S) {
			node(s, "imp-emea-sub.example.com", func(n *peer.NodeReadiness) { n.HAState = peer.Known(8, noon) })
		}, func(G, P, S) {}},
		{"ready", "the up-time is not told: a restart could not be verified", func(_ G, _ P, s S) { s.Service.UpTime = -1; s.Consent.Started, s.Consent.At = noon.Add(1), noon }, func(G, P, S) {}},
		{"ready", "no parameter has the name", as(settingStep, func(_ G, _ P, s S) { s.Value, s.Matches = "", 0 }), settingStep},
		{"ready", "two parameters have the name", as(settingStep, func(_ G, _ P, s S) { s.Matches = 2 }), settingStep},
		{"ready", "two have it, and one reads what is wanted", as(settingStep, func(_ G, _ P, s S) { s.Value, s.Matches = "45", 2 }), settingStep},
		{"approval", "nobody has approved", func(_ G, _ P, s S) { s.Consent = Consent{} }, as(settingStep, func(_ G, _ P, s S) { s.Consent = Consent{} })},
		{"approval", "nobody has approved what asks for it", as(settingStep, func(_ G, p P, s S) { p.Approval = "it is asked for"; s.Consent = Consent{} }), as(settingStep, func(_ G, p P, _ S) { p.Approval = "it is asked for" })},
		{"approval", "nobody has approved the restart of ICSA", as(icsaOnly, func(_ G, _ P, s S) { s.Consent = Consent{} }), icsaOnly},
		{"approval", "approved as a repair is", func(_ G, p P, s S) {
			s.Consent = Consent{}
			s.Overrides.Approvals[p.ID] = record.Approval{ID: p.ID, Actor: "jdoe", At: noon.Add(-time.Minute), Expires: noon.Add(time.Hour)}
		}, func(G, P, S) {}},
		{"approval", "approved for another plan", func(_ G, _ P, s S) { s.Consent.Plan = "77ab" }, func(G, P, S) {}},
		{"approval", "approved for another step", func(_ G, _ P, s S) { s.Consent.Step = 4 }, func(G, P, S) {}},
		{"approval", "approved for another node", func(_ G, _ P, s S) { s.Consent.Target.Node = "imp-emea-sub.example.com" }, func(G, P, S) {}},
		{"approval", "approved for another step, though a parameter needs none", as(settingStep, func(_ G, _ P, s S) { s.Consent.Step = 4 }), settingStep},
		{"approval", "of a time that is yet to come", func(_ G, _ P, s S) { s.Consent.At = noon.Add(5*time.Minute + time.Second) }, func(_ G, _ P, s S) { s.Consent.At = noon.Add(5 * time.Minute) }},
		{"approval", "used", func(g G, _ P, s S) { g.Used = []Spent{{"c4f2 step 3", noon, s.Consent.At}} }, func(g G, _ P, s S) {
			g.Used = []Spent{{"c4f2 step 3", noon, s.Consent.At.Add(-time.Hour)}, {"c4f2 step 2", noon, s.Consent.At}, {"c4f2-3", noon, s.Consent.At}}
		}},
		{"approval", "restarted since the person saw it", func(_ G, _ P, s S) { s.Consent.Started = noon.Add(-5*time.Hour - 6*time.Minute) }, func(_ G, _ P, s S) { s.Consent.Started = noon.Add(-5*time.Hour - 4*time.Minute) }},
		{"approval", "restarted since it was approved, by a clock that is behind", func(_ G, _ P, s S) { s.Consent.Started = noon.Add(-5*time.Hour + 6*time.Minute) }, func(_ G, _ P, s S) { s.Consent.Started = noon.Add(-5*time.Hour + 4*time.Minute) }},
		{"approval", "restarted since it was approved, and nobody saw when it had begun", func(_ G, _ P, s S) {
			s.Consent.Started, s.Consent.At = time.Time{}, noon.Add(-6*time.Hour)
		}, func(_ G, _ P, s S) { s.Consent.Started = time.Time{} }},
		{"approval", "ICSA was restarted since", as(icsaOnly, func(_ G, _ P, s S) { s.Service.UpTime = time.Hour }), icsaOnly},
	}
}

func badReplicationOf(_ *Gate, _ *peer.Proposal, s *Situation) {
	s.Readiness = readyFor(icsa.Node)
	n := s.Readiness.Nodes[icsa.Node]
	n.Replication = peer.Known(3, noon)
	s.Readiness.Nodes[icsa.Node] = n
}

// What limits an automaton is no limit to a step that a person approved: its own
// conditions stand in for it.
func TestWhatDoesNotLimitAPlannedStep(t *testing.T) {
	for name, change := range map[string]func(g *Gate, p *peer.Proposal, s *Situation){
		"restarts of this hour": func(g *Gate, _ *peer.Proposal, _ *Situation) {
			g.Restarts = []Restart{{1, "emea", noon.Add(-time.Minute)}, {2, "apac", noon.Add(-time.Minute)}, {3, "amer", noon.Add(-time.Minute)}}
		},
		"the same three times today, and a moment ago": func(g *Gate, p *peer.Proposal, _ *Situation) {
			for i := range 3 {
				g.Closed = append(g.Closed, Closure{Seq: int64(i), Action: p.Action, Target: p.Target, At: noon.Add(-time.Minute), Meant: noon.Add(-time.Minute), Outcome: NotDone})
			}
		},
		"restarted half an hour ago": func(_ *Gate, p *peer.Proposal, s *Situation) {
			p.MinAge, s.Service.UpTime, s.Consent.Started = 16*time.Hour, 30*time.Minute, noon.Add(-30*time.Minute)
		},
		"what is recorded of the cluster": func(_ *Gate, _ *peer.Proposal, s *Situation) {
			s.ClusterUnknown, s.ServiceUnknown, s.Proposed = "written by a newer version", "stale", nil
		},
		"causes in every cluster": func(_ *Gate, _ *peer.Proposal, s *Situation) { s.Failing, s.Unseen = roots("emea", "apac", "amer"), 2 },
	} {
		if got := calmness(calmStep).refusedBy(t, "", change); len(got) > 0 {
			t.Errorf("%s: refused by %v", name, got)
		}
	}
}

// Before the target is read, a judgement only tells whether to read it.
func TestOfAStepsTargetNothingIsJudgedBeforeItIsRead(t *testing.T) {
	g, p, s := calmStep()
	s.read, s.Service, s.Readiness = false, peer.Service{Status: "Unknown", UpTime: -1}, peer.Readiness{}
	if got := Refusals(&g, p, s); len(got) > 0 {
		t.Errorf("refused: %+v", got)
	}
	s.Consent = Consent{}
	if got := Refusals(&g, p, s); len(got) != 1 || got[0].Guard != GuardApproval {
		t.Errorf("without approval: %+v", got)
	}
}

// plans lets the rig carry out a planned step: its cluster is locked, and it is
// approved.
func (r *rig) plans(p peer.Proposal) *rig {
	r.t.Helper()
	if err := r.LockFor(r.t.Context(), p.Planned, p.Target.Cluster, r.now.Add(time.Hour)); err != nil {
		r.t.Fatal(err)
	}
	r.Privilege = GrantPrivilege()
	r.s.Consent = Consent{Actor: "jdoe", At: r.now.Add(-time.Minute), Plan: p.Planned.Plan, Step: p.Planned.Step, Target: p.Target, Started: r.since}
	r.s.Service = peer.Service{Status: "Unknown", UpTime: -1}
	return r
}

// A planned restart that signs people out, and how it ends.
func TestPlannedRestart(t *testing.T) {
	second := func(r *rig, do func()) {
		r.onLook = func(n int) {
			if n == 2 {
				do()
			}
		}
	}
	for _, c := range []struct {
		name    string
		prepare func(*rig)
		ending
	}{
		{"restarted and proven by a lower up-time", func(*rig) {}, ending{DoneProven, DoneProven, 1, "up-time under 1 min (before: Started, 5 h)"}},
		{"up for half an hour only, which is approved", func(r *rig) { r.since = r.now.Add(-30 * time.Minute); r.s.Consent.Started = r.since }, ending{DoneProven, DoneProven, 1, ""}},
		{"the answer is lost, and it happened", func(r *rig) { r.answer = errLost }, ending{"open", DoneProven, 1, ""}},
		{"the answer is lost, and it did not happen", func(r *rig) { r.answer, r.applies = errLost, false }, ending{"open", NotDone, 1, ""}},
		{"replication turns bad between the two looks", func(r *rig) {
			second(r, func() {
				n := r.ready.Nodes[icsa.Node]
				n.Replication = peer.Known(3, r.now)
				r.ready.Nodes[icsa.Node] = n
			})
		}, ending{NotSent, NotSent, 0, "Replicate_State) of imp-emea-pub.example.com is 3 (bad)"}},
		{"the cluster cannot be read at the second look", func(r *rig) { second(r, func() { r.unread = errNoWay }) }, ending{NotSent, NotSent, 0, "could not be read again"}},
		{"a person restarts it between the two looks", func(r *rig) { second(r, func() { r.since = r.now }) }, ending{NotSent, NotSent, 0, "restarted in the meantime"}},
		{"its up-time is not told at the second look", func(r *rig) { second(r, func() { r.status = "Starting" }) }, ending{NotSent, NotSent, 0, "is Starting"}},
		{"the plan is stopped, and its lock taken back, between the two looks", func(r *rig) {
			second(r, func() {
				if err := r.Unlock(r.t.Context(), "c4f2"); err != nil {
					r.t.Error(err)
				}
			})
		}, ending{NotSent, NotSent, 0, "the lock of plan c4f2 step 3 on emea was taken back"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t).plans(router())
			c.prepare(r)
			r.plays(router(), c.ending, func() int { return len(r.sent) }, func() { r.onLook, r.unread = nil, nil })
			g := r.gate()
			if len(g.Restarts) != 0 {
				t.Errorf("it counts among the restarts that limit repairs: %+v", g.Restarts)
			}
			if spent := len(g.Used) == 1; spent != (c.sent == 1) {
				t.Errorf("approvals used: %+v, and it was sent %d times", g.Used, c.sent)
			}
			if g.Closed[0].Planned != step3 {
				t.Errorf("it is remembered as %s", g.Closed[0].Planned)
			}
		})
	}
}

// What is not well at the first look is refused before anything is meant.
func TestAPlannedStepIsRefusedByWhatItsTargetTells(t *testing.T) {
	sick := func(r *rig) {
		n := r.ready.Nodes[icsa.Node]
		n.SRM = peer.Known(11, r.now)
		r.ready.Nodes[icsa.Node] = n
	}
	for _, c := range []struct {
		name    string
		p       peer.Proposal
		prepare func(*rig)
		guard   string
		says    string
	}{
		{"Server Recovery Manager has failed", router(), sick, "ready", "SRMState of imp-emea-pub.example.com is 11 (Failed)"},
		{"two parameters have the name", setting(), func(r *rig) { r.matches = 2 }, "ready", "2 parameters of Cisco Intercluster Sync Agent on imp-emea-pub.example.com are named SyncInterval: nothing is set unless exactly one is"},
		{"the parameter is set already", setting(), func(r *rig) { r.value = "45" }, "needed", "is 45 already"},
		{"the service is activated", activating(), func(*rig) {}, "needed", "is activated already (Started)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t).plans(c.p)
			c.prepare(r)
			res := r.do(c.p)
			if len(res.Refused) != 1 || res.Refused[0].Guard != c.guard || !strings.Contains(res.Refused[0].Why, c.says) {
				t.Errorf("%+v, want %s: %s", res.Refused, c.guard, c.says)
			}
			if g := r.gate(); len(r.sent) != 0 || len(g.Open)+len(g.Closed)+len(g.Used) != 0 {
				t.Errorf("something came of it: %+v", g)
			}
		})
	}
}

// A parameter that is planned, and how it ends.
func TestPlannedParameter(t *testing.T) {
	second := func(do func(*rig)) func(*rig) {
		return func(r *rig) {
			r.onLook = func(n int) {
				if n == 2 {
					do(r)
				}
			}
		}
	}
	for _, c := range []struct {
		name    string
		prepare func(*rig)
		ending
	}{
		{"set, and read back", func(*rig) {}, ending{DoneProven, DoneProven, 1, `it reads "45"`}},
		{"the answer is lost, and it did not happen", func(r *rig) { r.answer, r.applies = errLost, false }, ending{"open", NotDone, 1, `it reads "30", not "45"`}},
		{"a person sets another value between the two looks", second(func(r *rig) { r.value = "60" }), ending{NotSent, NotSent, 0, `it now reads "60" (1 parameters match)`}},
		{"a second parameter has its name at the second look", second(func(r *rig) { r.matches = 2 }), ending{NotSent, NotSent, 0, `it now reads "30" (2 parameters match)`}},
		{"it is gone at the second look", second(func(r *rig) { r.matches = 0 }), ending{NotSent, NotSent, 0, "(0 parameters match)"}},
		{"it cannot be read at the second look", second(func(r *rig) { r.unread = errNoWay }), ending{NotSent, NotSent, 0, "could not be read again"}},
		{"it cannot be read back at once", func(r *rig) {
			r.onLook = func(n int) {
				if n == 3 {
					r.unread = errNoWay
				}
			}
		}, ending{"open", DoneProven, 1, `it reads "45"`}},
		{"two have its name when it is read back at once", func(r *rig) {
			r.onLook = func(n int) {
				if n == 3 {
					r.matches = 2
				}
			}
		}, ending{"open", DoneProven, 1, `it reads "45"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t).plans(setting())
			c.prepare(r)
			r.plays(setting(), c.ending, func() int { return len(r.sent) }, func() { r.onLook, r.unread, r.matches = nil, nil, 1 })
		})
	}
}

// What cannot be opened is not meant.
func TestAClusterThatLetsNobodyInGetsNoStepOfAPlan(t *testing.T) {
	for _, p := range []peer.Proposal{router(), setting(), activating()} {
		r := newRig(t).plans(p)
		r.Open = func(context.Context, mesh.ClusterID) (ServiceController, error) { return nil, errNoWay }
		_, err := r.Do(t.Context(), p, func(context.Context, *Gate) (Situation, error) {
			s := r.s
			s.Service = r.service()
			return s, nil
		})
		if g := r.gate(); !errors.Is(err, errNoWay) || len(g.Open)+len(g.Closed)+len(g.Used) != 0 {
			t.Errorf("%s: %v; the gate is %+v", p.Action, err, g)
		}
	}
}

// An approval is good for one action, and for another try where nothing was sent.
func TestAnApprovalOfAStepIsUsedOnce(t *testing.T) {
	r := newRig(t).plans(router())
	r.onLook = func(n int) {
		if n == 2 {
			r.unread = errNoWay
		}
	}
	r.do(router())
	r.onLook, r.unread = nil, nil
	r.now = r.now.Add(5 * time.Minute)
	if res := r.do(router()); res.Outcome != DoneProven {
		t.Fatalf("after a try of which nothing was sent: %+v", res)
	}
	r.now = r.now.Add(5 * time.Minute)
	r.s.Consent.Started = r.since // even if the person had seen the new start
	if res := r.do(router()); len(res.Refused) != 1 || res.Refused[0].Guard != GuardApproval || len(r.sent) != 1 {
		t.Errorf("a second time: %+v, sent %d times", res, len(r.sent))
	}
	entries := history(t, r.store)
	if i := slices.IndexFunc(entries, func(e Entry) bool { return e.Outcome == "intent" }); i < 0 || !strings.HasSuffix(entries[i].Actor, ", approved by jdoe") {
		t.Errorf("the audit does not name who approved: %+v", entries)
	}
	r.verify()
}

// The lock of a step: who takes it, who does not get it, and how long it holds.
func TestLocks(t *testing.T) {
	step4, other := peer.PlannedStep{Plan: "c4f2", Step: 4}, peer.PlannedStep{Plan: "77ab", Step: 1}
	take := func(r *rig, step peer.PlannedStep, id mesh.ClusterID, d time.Duration) error {
		return r.LockFor(t.Context(), step, id, r.now.Add(d))
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	holds := func(r *rig, step peer.PlannedStep, id mesh.ClusterID) bool {
		g := r.gate()
		return g.lockedFor(step, id, r.now)
	}
	t.Run("another plan's is not taken, and its name is told", func(t *testing.T) {
		r := newRig(t)
		must(take(r, step3, "emea", time.Hour))
		var no *Locked
		if err := take(r, other, "emea", time.Hour); !errors.As(err, &no) || no.Lock.Plan != "c4f2" || !strings.Contains(err.Error(), "plan c4f2 step 3 has locked emea until") {
			t.Errorf("%v", err)
		}
		must(take(r, other, "apac", time.Hour))
		if !holds(r, step3, "emea") || !holds(r, other, "apac") {
			t.Errorf("%+v", r.gate().Locks)
		}
		r.now = r.now.Add(time.Hour)
		must(take(r, other, "emea", time.Hour))
		if g := r.gate(); len(g.Locks) != 1 || !holds(r, other, "emea") {
			t.Errorf("an hour later: %+v", g.Locks)
		}
		r.verify()
	})
	t.Run("it passes to the plan's next step", func(t *testing.T) {
		r := newRig(t)
		must(take(r, step3, "emea", time.Hour))
		must(take(r, step4, "emea", time.Hour))
		if g := r.gate(); holds(r, step3, "emea") || !holds(r, step4, "emea") || len(g.Locks) != 1 {
			t.Errorf("%+v", g.Locks)
		}
	})
	t.Run("asked for at every run, it is written at every other", func(t *testing.T) {
		r := newRig(t)
		for range 4 {
			must(take(r, step3, "emea", 10*time.Minute))
			if !holds(r, step3, "emea") {
				t.Error("it does not hold")
			}
			r.now = r.now.Add(5*time.Minute + time.Second)
			if !holds(r, step3, "emea") {
				t.Error("it ended before the next run")
			}
		}
		must(take(r, step3, "emea", 10*time.Minute))
		must(take(r, step3, "emea", 10*time.Minute))
		if n := len(history(t, r.store)); n != 5 {
			t.Errorf("%d entries of the audit, want 5", n)
		}
	})
	t.Run("all of a plan are taken back", func(t *testing.T) {
		r := newRig(t)
		must(take(r, step3, "emea", time.Hour))
		must(take(r, step3, "apac", time.Hour))
		must(take(r, other, "amer", time.Hour))
		must(r.Unlock(t.Context(), "c4f2"))
		must(r.Unlock(t.Context(), "c4f2"))
		if g := r.gate(); len(g.Locks) != 1 || !holds(r, other, "amer") {
			t.Errorf("%+v", g.Locks)
		}
		if n := len(history(t, r.store)); n != 4 {
			t.Errorf("%d entries of the audit, want 4", n)
		}
		r.verify()
	})
	t.Run("a day ahead at most, and never into the past", func(t *testing.T) {
		r := newRig(t)
		must(take(r, step3, "emea", 300*time.Hour))
		if g := r.gate(); !g.Locks[0].Until.Equal(r.now.Add(24 * time.Hour)) {
			t.Errorf("until %v", g.Locks[0].Until)
		}
		if err := take(r, step3, "apac", 0); err == nil {
			t.Error("a lock without length is taken")
		}
	})
	t.Run("a run that lost its lease takes none", func(t *testing.T) {
		r := newRig(t)
		r.CheckLease = func(context.Context) error { return errors.New("taken over") }
		if err := take(r, step3, "emea", time.Hour); err == nil || len(r.gate().Locks) != 0 {
			t.Errorf("%v", err)
		}
	})
	t.Run("a clock that was ahead locks for a day at most", func(t *testing.T) {
		r := newRig(t)
		r.now = noon.Add(300 * time.Hour)
		must(take(r, step3, "emea", time.Hour))
		r.now = noon // put right
		for after, want := range map[time.Duration]bool{0: true, 23 * time.Hour: true, 24 * time.Hour: false} {
			r.now = noon
			r.settle() // by any function, at its next run
			r.now = noon.Add(after)
			if got := holds(r, step3, "emea"); got != want {
				t.Errorf("%v after it was found it holds: %v, want %v", after, got, want)
			}
		}
		r.now = noon.Add(time.Minute)
		must(take(r, step3, "emea", time.Hour)) // its own plan puts it right
		r.settle()
		if g := r.gate(); len(g.Locks) != 1 || !g.Locks[0].Until.Equal(r.now.Add(time.Hour)) || len(g.Ahead) != 0 {
			t.Errorf("taken again: %+v, ahead %v", g.Locks, g.Ahead)
		}
	})
}
