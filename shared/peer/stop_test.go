package peer

import (
	"strings"
	"testing"
	"time"

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
	return &stopScene{t: t, facts: &v.Facts, now: at12.Add(-6 * time.Hour), boot: map[mesh.NodeName]time.Time{stopPub: long, stopSub: long}, up: map[string]time.Time{}, down: map[string]int{}, ha: 3}
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
		{"ICSA crashes on one node", func(s *stopScene) { s.looks(time.Hour); s.stop(stopPub, ICSA, -1019); s.looks(15 * time.Minute) }, starts, StopCrashed, ""},
		{"ICSA crashes and no code is told", func(s *stopScene) { s.looks(time.Hour); s.stop(stopPub, ICSA, 0); s.looks(15 * time.Minute) }, starts, StopCrashed, ""},
		{"ICSA stops on every node by an unknown code", func(s *stopScene) {
			s.looks(time.Hour)
			s.stop(stopPub, ICSA, -1019)
			s.stop(stopSub, ICSA, -1019)
			s.looks(15 * time.Minute)
		}, asks, StopEverywhere, "every node"},
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
