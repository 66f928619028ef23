package repair

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/peer"
)

// scene is a rig on which an action of one kind is needed, and how often it has
// reached the node.
type scene struct {
	*rig
	p    peer.Proposal
	sent func() int
}

// scenes have one of each kind.
func scenes(t *testing.T) map[peer.Action]scene {
	of := func(r *rig, p peer.Proposal) scene { return scene{r, p, func() int { return len(r.sent) }} }
	stopped, set, inactive := newRig(t), newRig(t), newRig(t)
	stopped.status = "Stopped"
	inactive.status, inactive.code = "Stopped", peer.CodeNotActivated
	r, store, imports, _ := importRig(t)
	return map[peer.Action]scene{
		peer.StartService:      of(stopped, start()),
		peer.RestartService:    of(newRig(t), restart()),
		peer.SetParameter:      of(set.plans(setting()), setting()),
		peer.ActivateService:   of(inactive.plans(activating()), activating()),
		peer.ImportCertificate: {r, imports, func() int { return len(store.added) }},
	}
}

// Whatever is killed, at whichever step: what was meant is read back, nothing is
// sent twice, and it ends as it does on the node.
func TestEveryKindIsDoneOnce(t *testing.T) {
	for _, k := range kinds() {
		for _, c := range []struct {
			step  string
			sent  int
			ends  Outcome
			still int // open after the kill
		}{
			{"looked", 0, "", 0},
			{"intent", 0, NotDone, 1},
			{"lookedAgain", 0, NotDone, 1},
			{"sent", 1, DoneProven, 1},
			{"readBack", 1, DoneProven, 1},
			{"closed", 1, DoneProven, 0},
		} {
			t.Run(string(k.action)+"/"+c.step, func(t *testing.T) {
				r, ok := scenes(t)[k.action]
				if !ok {
					t.Fatal("no scene has one")
				}
				r.Crash = func(step string) {
					if step == c.step {
						panic(c.step)
					}
				}
				func() {
					defer func() { _ = recover() }()
					r.do(r.p)
				}()
				r.Crash = nil
				if g := r.gate(); len(g.Open) != c.still {
					t.Errorf("%d open after the kill, want %d", len(g.Open), c.still)
				}
				for range 3 {
					r.now = r.now.Add(5 * time.Minute)
					r.settle()
				}
				if r.sent() != c.sent {
					t.Errorf("sent %d times, want %d", r.sent(), c.sent)
				}
				if c.ends == "" {
					if g := r.gate(); len(g.Open)+len(g.Closed) != 0 {
						t.Errorf("meant although nothing was: %+v", g)
					}
				} else if got := r.ended(); got != c.ends {
					t.Errorf("%s, want %s", got, c.ends)
				}
				r.verify()
			})
		}
	}
}

// What a person reads of each kind: what Peerkeeper does, and how to do it by hand.
func TestWhatAPersonReadsOfAKind(t *testing.T) {
	axl := restart()
	axl.Target.Service = peer.AXL
	nobodys := imported()
	nobodys.Source = nil // of an item that an older version wrote
	for _, c := range []struct {
		p             peer.Proposal
		summary, hand string
	}{
		{start(), "start Cisco Intercluster Sync Agent on imp-emea-pub.example.com", "Control Center - Network Services: Choose imp-emea-pub.example.com from Server, click Go, select Cisco Intercluster Sync Agent and click Start"},
		{restart(), "restart Cisco Intercluster Sync Agent on imp-emea-pub.example.com", "Control Center - Network Services: Choose imp-emea-pub.example.com from Server, click Go, select Cisco Intercluster Sync Agent and click Restart"},
		{axl, "restart Cisco AXL Web Service on imp-emea-pub.example.com", "Control Center Feature Services: Choose imp-emea-pub.example.com from Server, click Go, select Cisco AXL Web Service and click Restart"},
		{activating(), "activate Cisco AXL Web Service on imp-emea-pub.example.com", "Service Activation: Choose imp-emea-pub.example.com from Server, click Go, check Cisco AXL Web Service and click Save"},
		{setting(), "set SyncInterval of Cisco Intercluster Sync Agent on imp-emea-pub.example.com to 45", "Service Parameters: Choose imp-emea-pub.example.com from Server and Cisco Intercluster Sync Agent from Service, set SyncInterval to 45 and click Save"},
		{imported(), "put tomcat of imp-apac-pub.example.com into tomcat-trust on imp-emea-pub.example.com", "Certificate Purpose tomcat-trust: tomcat of imp-apac-pub.example.com ("},
		{nobodys, "put tomcat of imp-apac-pub.example.com into tomcat-trust on imp-emea-pub.example.com", "Certificate Purpose tomcat-trust: tomcat of imp-apac-pub.example.com ("},
		{peer.Proposal{Action: "paint", Target: icsa}, "paint Cisco Intercluster Sync Agent on imp-emea-pub.example.com", ""},
	} {
		if got := Summary(c.p); got != c.summary {
			t.Errorf("%q, want %q", got, c.summary)
		}
		if got := ByHand(c.p); !strings.Contains(got, c.hand) {
			t.Errorf("%s by hand: %q, want %q", c.p.Action, got, c.hand)
		}
	}
}

// An action that this version does not know, as a newer one may have left open, is
// neither done nor thought to be.
func TestUnknownKind(t *testing.T) {
	r := newRig(t)
	p := restart()
	p.Action = "paint"
	if res := r.do(p); len(res.Refused) == 0 {
		t.Errorf("%+v", res)
	}
	if got, text := r.outcomeOf(t.Context(), Intent{Action: "paint", Target: icsa}); got != "" || !strings.Contains(text, "does not know") {
		t.Errorf("%q: %s", got, text)
	}
}
