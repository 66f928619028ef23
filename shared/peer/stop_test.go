package peer

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
)

// stopScene is emea as two nodes were seen, look by look, at five minutes each;
// the last look is at at12.
type stopScene struct {
	t     *testing.T
	rec   ClusterRecord
	facts *Facts
	now   time.Time
	boot  map[mesh.NodeName]time.Time // when a node's services began
	up    map[string]time.Time        // of single services, by node and name
	down  map[string]int              // their reason code while they are stopped
	begin map[string]bool             // those that are on their way up
	hush  bool                        // Peerkeeper does not look
	ha    int
}

const (
	stopPub = mesh.NodeName("imp-emea-pub.example.com")
	stopSub = mesh.NodeName("imp-emea-sub.example.com")
)

func newStopScene(t *testing.T) *stopScene {
	v, _, _ := stuck{}.view()
	c, _ := v.Mesh.Cluster("emea")
	c.Nodes = []mesh.Node{{Name: stopPub}, {Name: stopSub}}
	long := at12.AddDate(0, -1, 0)
	return &stopScene{t: t, facts: &v.Facts, now: at12.Add(-6 * time.Hour), boot: map[mesh.NodeName]time.Time{stopPub: long, stopSub: long}, up: map[string]time.Time{}, down: map[string]int{}, begin: map[string]bool{}, ha: 3}
}

// looks lets time pass, with a look every five minutes.
func (s *stopScene) looks(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.now = s.now.Add(5 * time.Minute)
		if s.hush {
			continue
		}
		c, _ := s.facts.Mesh.Cluster("emea")
		obs := Observation{Cluster: "emea", At: s.now, Access: Known(true, s.now), Nodes: map[mesh.NodeName]Node{}}
		for _, n := range c.Nodes {
			services := map[string]Service{}
			for _, name := range []string{ICSA, SyncAgent, AXL, XCPRouter, SIPProxy, SRM} {
				key := string(n.Name) + name
				start, own := s.up[key]
				if !own || start.Before(s.boot[n.Name]) {
					start = s.boot[n.Name]
				}
				services[name] = Service{Status: "Started", UpTime: s.now.Sub(start)}
				if code, stopped := s.down[key]; stopped {
					services[name] = Service{Status: "Stopped", UpTime: -1, Code: code}
				}
				if s.begin[key] {
					services[name] = Service{Status: "Starting", UpTime: -1}
				}
			}
			obs.Nodes[n.Name] = Node{Answers: Known(true, s.now), Services: Known(services, s.now), HAState: Known(s.ha, s.now)}
		}
		s.rec = Advance(s.rec, obs, c)
		s.facts.Now, s.facts.Clusters["emea"] = s.now, &s.rec
		s.rec.Findings = Findings(s.facts.View(), "emea", s.rec.Findings)
	}
}

func (s *stopScene) stop(node mesh.NodeName, service string, code int) {
	s.down[string(node)+service] = code
}

// What a person did on purpose is not undone without asking; what a crash or a
// reboot did is.
func TestStartsWhatCrashedAndAsksAboutWhatAPersonStopped(t *testing.T) {
	const asks, starts, waits = "asks", "starts", "waits"
	for _, tt := range []struct {
		name  string
		play  func(s *stopScene)
		want  string
		cause StopCause
		says  string
	}{
		{"a person stops ICSA on the publisher", func(s *stopScene) { s.looks(time.Hour); s.stop(stopPub, ICSA, -1069); s.looks(15 * time.Minute) }, asks, StopMeant, "other services ran on"},
		{"a person stops ICSA on both nodes", func(s *stopScene) {
			s.looks(time.Hour)
			s.stop(stopPub, ICSA, -1069)
			s.stop(stopSub, ICSA, -1069)
			s.looks(15 * time.Minute)
		}, asks, StopMeant, ""},
		{"a person stops ICSA and AXL together", func(s *stopScene) {
			s.looks(time.Hour)
			s.stop(stopPub, ICSA, -1069)
			s.stop(stopPub, AXL, -1069)
			s.looks(15 * time.Minute)
		}, asks, StopMeant, ""},
		{"it stays a person's, a day and a restart of another service later", func(s *stopScene) {
			s.looks(time.Hour)
			s.stop(stopPub, ICSA, -1069)
			s.looks(20 * time.Hour)
			s.up[string(stopPub)+XCPRouter] = s.now
			s.looks(4 * time.Hour)
		}, asks, StopMeant, ""},
		{"the node reboots and ICSA does not come back", func(s *stopScene) {
			s.looks(time.Hour)
			s.boot[stopPub] = s.now.Add(2 * time.Minute)
			s.stop(stopPub, ICSA, -1069)
			s.looks(20 * time.Minute)
		}, starts, StopRebooted, "rebooted"},
		{"after a reboot HA gets its time to settle", func(s *stopScene) {
			s.looks(time.Hour)
			s.boot[stopPub] = s.now.Add(4 * time.Minute)
			s.stop(stopPub, ICSA, -1069)
			s.looks(10 * time.Minute)
		}, waits, "", ""},
		{"after a reboot HA has not settled yet", func(s *stopScene) {
			s.looks(time.Hour)
			s.boot[stopPub], s.ha = s.now.Add(2*time.Minute), 8
			s.stop(stopPub, ICSA, -1069)
			s.looks(30 * time.Minute)
		}, waits, "", ""},
		{"HA stays failed over for an hour after a reboot", func(s *stopScene) {
			s.looks(time.Hour)
			s.boot[stopPub], s.ha = s.now.Add(2*time.Minute), 8
			s.stop(stopPub, ICSA, -1069)
			s.looks(65 * time.Minute)
		}, starts, StopRebooted, ""},
		{"the node reboots long after a person stopped it", func(s *stopScene) {
			s.looks(time.Hour)
			s.stop(stopPub, ICSA, -1069)
			s.looks(10 * time.Hour)
			s.boot[stopPub] = s.now.Add(time.Minute)
			s.looks(20 * time.Minute)
		}, starts, StopRebooted, ""},
		{"a person stops it 40 min after a reboot", func(s *stopScene) {
			s.looks(time.Hour)
			s.boot[stopPub] = s.now.Add(2 * time.Minute)
			s.looks(40 * time.Minute)
			s.stop(stopPub, ICSA, -1069)
			s.looks(20 * time.Minute)
		}, asks, StopMeant, "ran on"},
		{"two services that began again are no reboot", func(s *stopScene) {
			s.looks(time.Hour)
			for _, name := range []string{ICSA, SyncAgent, AXL, SRM} {
				s.stop(stopPub, name, -1069)
			}
			for _, name := range []string{XCPRouter, SIPProxy} {
				s.up[string(stopPub)+name] = s.now.Add(3 * time.Minute)
			}
			s.looks(20 * time.Minute)
		}, starts, StopByRestart, "Cisco SIP Proxy"},
		{"another service of the node has been starting for less than an hour", func(s *stopScene) {
			s.looks(time.Hour)
			s.stop(stopPub, ICSA, -1069)
			s.begin[string(stopPub)+XCPRouter] = true
			s.looks(time.Hour)
		}, waits, "", ""},
		{"another service of the node has been starting for an hour", func(s *stopScene) {
			s.looks(time.Hour)
			s.stop(stopPub, ICSA, -1069)
			s.begin[string(stopPub)+XCPRouter] = true
			s.looks(65 * time.Minute)
		}, asks, StopMeant, "ran on"},
		{"another node's reboot explains nothing here", func(s *stopScene) {
			s.looks(time.Hour)
			s.boot[stopSub] = s.now.Add(2 * time.Minute)
			s.stop(stopPub, ICSA, -1069)
			s.looks(20 * time.Minute)
		}, asks, StopMeant, ""},
		{"a restart of the XCP Router took it down", func(s *stopScene) {
			s.looks(time.Hour)
			s.up[string(stopPub)+XCPRouter] = s.now.Add(3 * time.Minute)
			s.stop(stopPub, ICSA, -1069)
			s.looks(15 * time.Minute)
		}, starts, StopByRestart, "Cisco XCP Router"},
		{"ICSA crashes on one node", func(s *stopScene) { s.looks(time.Hour); s.stop(stopPub, ICSA, -1019); s.looks(15 * time.Minute) }, starts, StopCrashed, "(reason code -1019)"},
		{"ICSA crashes and no code is told", func(s *stopScene) { s.looks(time.Hour); s.stop(stopPub, ICSA, 0); s.looks(15 * time.Minute) }, starts, StopCrashed, ""},
		{"ICSA stops on every node by an unknown code", func(s *stopScene) {
			s.looks(time.Hour)
			s.stop(stopPub, ICSA, -1019)
			s.stop(stopSub, ICSA, -1019)
			s.looks(15 * time.Minute)
		}, asks, StopEverywhere, "it is stopped on every node of emea (reason code -1019)"},
		{"ICSA stops on every node and no code is told", func(s *stopScene) {
			s.looks(time.Hour)
			s.stop(stopPub, ICSA, 0)
			s.stop(stopSub, ICSA, 0)
			s.looks(15 * time.Minute)
		}, asks, StopEverywhere, "(reason code unknown)"},
		{"the Sync Agent, which runs on the publisher only, crashes", func(s *stopScene) {
			s.looks(time.Hour)
			s.stop(stopPub, SyncAgent, -1019)
			s.looks(15 * time.Minute)
		}, starts, StopCrashed, ""},
		{"it is stopped on the subscriber too, where it need not run", func(s *stopScene) {
			s.looks(time.Hour)
			s.stop(stopPub, SyncAgent, -1019)
			s.stop(stopSub, SyncAgent, -1019)
			s.looks(15 * time.Minute)
		}, starts, StopCrashed, ""},
		{"a person stops the Sync Agent", func(s *stopScene) {
			s.looks(time.Hour)
			s.stop(stopPub, SyncAgent, -1069)
			s.looks(15 * time.Minute)
		}, asks, StopMeant, ""},
		{"AXL was deactivated, which no Start undoes", func(s *stopScene) { s.looks(time.Hour); s.stop(stopPub, AXL, -1068); s.looks(15 * time.Minute) }, waits, "", ""},
		{"it was stopped before Peerkeeper's first look, on a node that has run for a month", func(s *stopScene) { s.stop(stopPub, ICSA, -1069); s.looks(15 * time.Minute) }, asks, StopUnclear, "first saw it"},
		{"Peerkeeper's first look comes right after a reboot", func(s *stopScene) {
			s.boot[stopPub] = s.now.Add(-20 * time.Minute)
			s.stop(stopPub, ICSA, -1069)
			s.looks(15 * time.Minute)
		}, starts, StopRebooted, ""},
		{"it was stopped while Peerkeeper was down, and the node ran on", func(s *stopScene) {
			s.looks(time.Hour)
			s.hush = true
			s.looks(3 * time.Hour)
			s.hush = false
			s.stop(stopPub, ICSA, -1069)
			s.looks(15 * time.Minute)
		}, asks, StopMeant, "ran on"},
		{"Peerkeeper was down, the node rebooted early in it, and it was stopped some time", func(s *stopScene) {
			s.looks(time.Hour)
			s.boot[stopPub] = s.now.Add(10 * time.Minute)
			s.hush = true
			s.looks(3 * time.Hour)
			s.hush = false
			s.stop(stopPub, ICSA, -1069)
			s.looks(15 * time.Minute)
		}, asks, StopUnclear, "did not look"},
		{"Peerkeeper was down, the XCP Router was restarted in it, and ICSA was stopped some time", func(s *stopScene) {
			s.looks(time.Hour)
			s.hush = true
			s.looks(3 * time.Hour)
			s.hush = false
			s.up[string(stopPub)+XCPRouter] = s.now.Add(-time.Hour)
			s.stop(stopPub, ICSA, -1069)
			s.looks(15 * time.Minute)
		}, asks, StopUnclear, "did not look"},
		{"no other service of the node runs that could tell", func(s *stopScene) {
			s.looks(time.Hour)
			for _, name := range []string{ICSA, SyncAgent, AXL, XCPRouter, SIPProxy, SRM} {
				s.stop(stopPub, name, -1069)
			}
			s.looks(15 * time.Minute)
		}, asks, StopUnclear, "no other service"},
		{"Peerkeeper was down, and the node rebooted just before it looks again", func(s *stopScene) {
			s.looks(time.Hour)
			s.hush = true
			s.looks(3 * time.Hour)
			s.hush = false
			s.boot[stopPub] = s.now.Add(-10 * time.Minute)
			s.stop(stopPub, ICSA, -1069)
			s.looks(15 * time.Minute)
		}, starts, StopRebooted, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStopScene(t)
			tt.play(s)
			got := Starts(s.facts.View(), "emea")
			if tt.want == waits {
				if len(got) != 0 {
					t.Errorf("%+v", got)
				}
				return
			}
			if len(got) == 0 {
				t.Fatalf("nothing is asked for; findings %+v, memory %+v", s.rec.Findings, s.rec.Stopped)
			}
			for _, p := range got {
				if (p.Approval != "") != (tt.want == asks) || p.Stop != tt.cause || !strings.Contains(p.Why, tt.says) {
					t.Errorf("approval %q, cause %s, why %q; want it %s, %s", p.Approval, p.Stop, p.Why, tt.want, tt.cause)
				}
			}
		})
	}
}

// What is remembered of a service that is first seen not to run.
func TestWhatIsRememberedOfAStop(t *testing.T) {
	before, now := at12.Add(-5*time.Minute), at12
	running := func(up time.Duration) Service { return Service{Status: "Started", UpTime: up} }
	stopped := Service{Status: "Stopped", UpTime: -1, Code: CodeCommandedOut}
	known := func(at time.Time, icsa Service, router time.Duration) Fact[map[string]Service] {
		return Known(map[string]Service{ICSA: icsa, XCPRouter: running(router)}, at)
	}
	long := 24 * time.Hour
	for _, c := range []struct {
		name   string
		before Fact[map[string]Service]
		now    Fact[map[string]Service]
		had    map[string]Stop
		want   map[string]Stop
	}{
		{"it ran at the look before", known(before, running(long), long), known(now, stopped, long), nil, map[string]Stop{ICSA: {Since: now, Ran: before}}},
		{"it was on its way up at the look before", known(before, Service{Status: "Starting", UpTime: -1}, long), known(now, stopped, long), nil, map[string]Stop{ICSA: {Since: now}}},
		{"the look before was not told", Unknown[map[string]Service](CannotConnect, ""), known(now, stopped, long), nil, map[string]Stop{ICSA: {Since: now}}},
		{"the look before is from a clock ahead", known(now.Add(time.Hour), running(long), long), known(now, stopped, long), nil, map[string]Stop{ICSA: {Since: now, Ran: now}}},
		{"the router began between the two looks", known(before, running(long), long), known(now, stopped, time.Minute), nil, map[string]Stop{ICSA: {Since: now, Ran: before, Fell: []string{XCPRouter}}}},
		{"the router began just before it ran last", known(before, running(long), long), known(now, stopped, 5*time.Minute), nil, map[string]Stop{ICSA: {Since: now, Ran: before}}},
		{"the router began a quarter of an hour after", known(before, stopped, long), known(now, stopped, 0), map[string]Stop{ICSA: {Since: now.Add(-15 * time.Minute), Ran: now.Add(-20 * time.Minute)}}, map[string]Stop{ICSA: {Since: now.Add(-15 * time.Minute), Ran: now.Add(-20 * time.Minute), Fell: []string{XCPRouter}}}},
		{"the router began later than that", known(before, stopped, long), known(now, stopped, 0), map[string]Stop{ICSA: {Since: now.Add(-16 * time.Minute), Ran: now.Add(-20 * time.Minute)}}, map[string]Stop{ICSA: {Since: now.Add(-16 * time.Minute), Ran: now.Add(-20 * time.Minute)}}},
		{"nobody saw it run, so nothing fell with it", known(before, stopped, long), known(now, stopped, 0), map[string]Stop{ICSA: {Since: now.Add(-time.Minute)}}, map[string]Stop{ICSA: {Since: now.Add(-time.Minute)}}},
		{"it is not told now", known(before, stopped, long), Unknown[map[string]Service](CannotConnect, ""), map[string]Stop{ICSA: {Since: before}}, map[string]Stop{ICSA: {Since: before}}},
		{"its status is not told now", known(before, stopped, long), known(now, Service{Status: "Unknown", UpTime: -1}, long), map[string]Stop{ICSA: {Since: before}}, nil},
		{"it runs again", known(before, stopped, long), known(now, running(time.Minute), long), map[string]Stop{ICSA: {Since: before}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			prev := ClusterRecord{Seen: Observation{Nodes: map[mesh.NodeName]Node{stopPub: {Services: c.before}}}}
			if c.had != nil {
				prev.Stopped = map[mesh.NodeName]map[string]Stop{stopPub: c.had}
			}
			got := stopsSeen(prev, Observation{At: now, Nodes: map[mesh.NodeName]Node{stopPub: {Services: c.now}}})
			if diff := cmp.Diff(c.want, got[stopPub]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// An action of ours on the node within the hour may have left the service so.
func TestStartsWhatItsOwnActionStopped(t *testing.T) {
	s := newStopScene(t)
	s.looks(time.Hour)
	s.stop(stopPub, ICSA, -1069)
	stopped := s.now
	s.looks(15 * time.Minute)
	own := Done{Target: Target{Cluster: "emea", Node: stopPub, Service: ICSA}, Action: RestartService}
	for _, tt := range []struct {
		name string
		done func(d *Done)
		asks bool
	}{
		{"a restart of ours ended 40 min before", func(d *Done) { d.At, d.Closed = stopped.Add(-45*time.Minute), stopped.Add(-40*time.Minute) }, false},
		{"a restart of ours ended two hours before", func(d *Done) { d.At, d.Closed = stopped.Add(-125*time.Minute), stopped.Add(-2*time.Hour) }, true},
		{"a restart of ours is open", func(d *Done) { d.At, d.Open = stopped.Add(-3*time.Hour), true }, false},
		{"a start of ours on the node after it was stopped", func(d *Done) {
			d.At, d.Closed, d.Action = stopped.Add(7*time.Minute), stopped.Add(8*time.Minute), StartService
		}, true},
		{"a restart of ours on the other node", func(d *Done) { d.At, d.Closed, d.Target.Node = stopped, stopped, stopSub }, true},
		{"an import into the node's store", func(d *Done) { d.At, d.Closed, d.Action = stopped, stopped, ImportCertificate }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := own
			tt.done(&d)
			if got := Starts(s.facts.View(), "emea", d); len(got) != 1 || (got[0].Approval != "") != tt.asks {
				t.Errorf("%+v, want it to ask: %v", got, tt.asks)
			}
		})
	}
}

func TestStartCommandedPolicy(t *testing.T) {
	for _, tt := range []struct {
		policy string
		after  time.Duration
		asks   bool
	}{
		{"", 30 * time.Hour, true}, {"auto", 15 * time.Minute, false},
		{"2h0m0s", 115 * time.Minute, true}, {"2h0m0s", 125 * time.Minute, false},
	} {
		s := newStopScene(t)
		s.facts.Mesh.Policy.StartCommanded = tt.policy
		s.looks(time.Hour)
		s.stop(stopPub, ICSA, -1069)
		s.looks(tt.after)
		if got := Starts(s.facts.View(), "emea"); len(got) != 1 || (got[0].Approval != "") != tt.asks {
			t.Errorf("%q after %v: %+v, want it to ask: %v", tt.policy, tt.after, got, tt.asks)
		}
	}
}
