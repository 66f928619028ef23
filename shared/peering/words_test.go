package peering_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// at has something happen once, when an action comes to a step.
func (r *rig) at(happens map[string]func()) {
	r.begin(func(step string) {
		if do := happens[step]; do != nil {
			delete(happens, step)
			do()
		}
	})
}

// TestAStopIsObeyedWhileAnActionIsDecided: the function is at work, and somebody stops
// the plan from another machine.
func TestAStopIsObeyedWhileAnActionIsDecided(t *testing.T) {
	for _, verb := range []change.Verb{change.Stop, change.Skip} {
		for _, step := range []string{"locked", "looked", "intent"} {
			t.Run(string(verb)+" at "+step, func(t *testing.T) {
				r := newRig(t, mesh.Recover, clustersim.Config{})
				id := r.ask(change.Set, "syncInterval=45", "emea")
				r.say(id, change.Word{Verb: change.Start})
				r.Pass(5 * time.Minute)
				before := writes(r)
				r.at(map[string]func(){step: func() {
					w := change.Word{Verb: verb}
					if verb == change.Skip {
						w.Steps, w.Text = []int{2}, "not this node"
						if p := r.plan(id); p.Step(2).Sends() {
							w = change.Word{Verb: change.Stop} // a step that is about to be sent is not skipped
						}
					}
					r.told(id, w)
				}})
				r.tick()
				if n := writes(r) - before; n != 0 {
					t.Errorf("%d writes were sent: %+v", n, r.plan(id).Steps[1])
				}
				r.tick()
				r.expect(id, change.Stopped, 2)
				r.pass(time.Hour)
				if n := writes(r) - before; n != 0 {
					t.Errorf("%d writes were sent for a plan that is stopped", n)
				}
			})
		}
	}
}

// TestWhatWasSentForAStoppedPlanIsReadBack: and then the plan can be given up.
func TestWhatWasSentForAStoppedPlanIsReadBack(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.say(id, change.Word{Verb: change.Start})
	r.at(map[string]func(){"sent": func() { panic(killed{"sent"}) }})
	if at := r.dies(20 * time.Minute); at != "sent" {
		t.Fatalf("it was killed at %q", at)
	}
	r.begin(nil)
	r.told(id, change.Word{Verb: change.Stop})
	before := writes(r)
	r.until(40 * time.Minute)
	p := r.expect(id, change.Stopped, 3)
	if p.Steps[1].State != change.StepDone || writes(r) != before {
		t.Errorf("%+v", p.Steps[1])
	}
	r.say(id, change.Word{Verb: change.Abort})
	r.expect(id, change.Aborted, 0)
}

// TestWhatWasNotSentKeepsItsApproval: the second look finds the cluster not fit, and
// the third finds it fit again.
func TestWhatWasNotSentKeepsItsApproval(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	id := r.begun(false)
	r.expect(id, change.Waiting, restartPub)
	r.Pass(5 * time.Minute)
	before := r.Cluster("emea").RouterRestarts
	r.at(map[string]func(){
		"intent": func() { r.Change("emea", clustersim.Replication{Node: emeaSub, State: ptr(3)}) },
		"closed": func() { r.Change("emea", clustersim.Replication{Node: emeaSub, State: ptr(2)}) },
	})
	r.say(id, change.Word{Verb: change.Approve, Steps: []int{restartPub}})
	p := r.expect(id, change.Running, restartPub)
	if s := p.Step(restartPub); s.Consent == nil || !strings.Contains(s.Evidence, "not sent") || r.Cluster("emea").RouterRestarts != before {
		t.Errorf("%+v", s)
	}
	r.pass(40 * time.Minute)
	r.expect(id, change.Waiting, restartSub)
	if n := r.Cluster("emea").RouterRestarts - before; n != 1 {
		t.Errorf("%d restarts by one approval", n)
	}
}

// TestWhatWasReadOtherwiseIsNotBelievedWhenNothingCanBeRead: ada confirmed too early,
// and then the cluster does not answer.
func TestWhatWasReadOtherwiseIsNotBelievedWhenNothingCanBeRead(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.say(id, change.Word{Verb: change.Start})
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{2}})
	r.expect(id, change.Waiting, 2)
	r.Change("emea", clustersim.Nodes{Node: emeaPub, Down: ptr(true)})
	r.pass(10 * time.Minute)
	if p := r.expect(id, change.Waiting, 2); !strings.Contains(p.Why, "ada confirmed it") || !strings.Contains(p.Why, "cannot be read") {
		t.Errorf("%s", p.Why)
	}
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{2}}) // again, knowing that
	r.expect(id, change.Waiting, 3)
}

// TestAnAbortWhileHAIsBeingDisabledAsksForItBack: the person had done it, and nobody
// had looked yet.
func TestAnAbortWhileHAIsBeingDisabledAsksForItBack(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	id := r.begun(true)
	r.expect(id, change.Waiting, disableHA)
	r.Change("emea", clustersim.HA{Enabled: ptr(false)})
	r.say(id, change.Word{Verb: change.Abort})
	r.expect(id, change.Waiting, enableHA)
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{enableHA}})
	r.expect(id, change.Waiting, enableHA) // it reads off
	r.say(id, change.Word{Verb: change.Skip, Steps: []int{enableHA}, Text: "imp-emea-sub is rebuilt first, INC7"})
	if p := r.expect(id, change.Aborted, 0); !strings.Contains(p.Why, "high availability of emea") {
		t.Errorf("nobody is told: %s", p.Why)
	}

	r.Change("emea", clustersim.HA{Enabled: ptr(true)})
	r.pass(10 * time.Minute)
	id = r.ask(change.RestartRouter, "emea")
	r.say(id, change.Word{Verb: change.Start})
	r.expect(id, change.Waiting, askHA)
	r.say(id, change.Word{Verb: change.Answer, Steps: []int{askHA}, Yes: true})
	r.expect(id, change.Waiting, disableHA)
	r.say(id, change.Word{Verb: change.Abort})
	r.expect(id, change.Aborted, 0) // it reads on: nobody is asked
}

// TestAPersonWhoseRestartIsSeenHalfWay: that nobody is connected to a node whose router
// is starting is not how many were before.
func TestAPersonWhoseRestartIsSeenHalfWay(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{Users: 200})
	r.Change("emea", clustersim.HA{Enabled: ptr(false)})
	r.pass(5 * time.Minute)
	id := r.ask(change.RestartRouter, "emea")
	r.say(id, change.Word{Verb: change.Start})
	p := r.expect(id, change.Waiting, restartPub)
	people := p.Step(restartPub).People
	if people < 20 {
		t.Fatalf("%d people are too few for their number to say anything", people)
	}
	r.Change("emea", clustersim.Services{Node: emeaPub, Service: peer.XCPRouter, Takes: ptr("8m")})
	r.Change("emea", clustersim.Services{Node: emeaPub, Service: peer.XCPRouter, Status: "Restart"})
	r.Pass(5 * time.Minute)
	r.tick()
	p = r.expect(id, change.Waiting, restartPub)
	if got := p.Step(restartPub).People; got != people {
		t.Errorf("%d people were connected, and %d are remembered", people, got)
	}
	r.pass(40 * time.Minute)
	p = r.expect(id, change.Waiting, restartSub)
	if s := p.Step(backPub); !strings.Contains(s.Evidence, "were before") {
		t.Errorf("%+v", s)
	}
}

// TestAFlappingPeerHoldsUpNoPlanOfItsCluster: the plan may be its cure. An upgrade does.
func TestAFlappingPeerHoldsUpNoPlanOfItsCluster(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	wears := func(o peer.Overlay) {
		key := store.PeerStuck(r.Mesh.Name, r.Mesh.PeersOf("emea")[0])
		if _, _, err := store.Claim(t.Context(), r.store, key, record.StateSchema, func(d *store.Doc[peer.StateRecord], _ bool) (bool, error) {
			d.Value.Overlays = []peer.Overlay{o}
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	wears(peer.Upgrading)
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.say(id, change.Word{Verb: change.Start})
	r.pass(20 * time.Minute)
	if p := r.expect(id, change.Running, 2); !strings.Contains(p.Steps[1].Evidence, "Upgrading") {
		t.Errorf("%s", p.Steps[1].Evidence)
	}
	wears(peer.Flapping)
	r.pass(10 * time.Minute)
	r.expect(id, change.Running, 4)
}

// TestAnApprovalAfterHoursIsNotTooLateAtTheFirstHiccup: the write account cannot be
// reached once, long after the plan came to the step.
func TestAnApprovalAfterHoursIsNotTooLateAtTheFirstHiccup(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.say(id, change.Word{Verb: change.Start})
	if _, err := r.person().Pause(t.Context(), "emea", "a storm", 3*time.Hour); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * time.Hour)
	r.Change("emea", clustersim.Nodes{Node: emeaPub, Down: ptr(true)})
	r.tick()
	if p := r.expect(id, change.Running, 2); !strings.Contains(p.Steps[1].Evidence, "cannot be read") {
		t.Errorf("%+v", p.Steps[1])
	}
	r.pass(80 * time.Minute)
	r.expect(id, change.Stopped, 2)
}

// TestAWordAfterMonths: those before it are not kept any more, and it is heard.
func TestAWordAfterMonths(t *testing.T) {
	w, err := record.Say(t.Context(), storetest.NewMemory(), "acme", change.Word{Plan: "c4f2a1", N: 7, Verb: change.Stop, Actor: "ada", At: time.Now()})
	if err != nil || w.N != 8 {
		t.Errorf("word %d, %v", w.N, err)
	}
}

// TestChecksThatAnotherRunCarriesOutAreWaitedFor: a plan that is started while the
// daily preflight is at work is not stopped for it, and nobody is woken.
func TestChecksThatAnotherRunCarriesOutAreWaitedFor(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	id := r.ask(change.Set, "syncInterval=45", "emea")
	sched, _ := run.Find("preflight")
	daily := run.Runner{Schedule: sched, Mesh: r.Mesh, Store: r.store, Now: r.Clock.Now}
	if _, _, err := run.Hold(t.Context(), daily, time.Time{}, func(context.Context, *store.Lease) (run.Answer, error) {
		r.say(id, change.Word{Verb: change.Start})
		return run.Answer{}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if p := r.expect(id, change.Running, 1); !strings.Contains(p.Steps[0].Evidence, "could not be carried out") {
		t.Errorf("%+v", p.Steps[0])
	}
	r.pass(20 * time.Minute)
	r.expect(id, change.Running, 4)
}

// TestWhoWasConnectedIsNotKnown: where PerfMon does not answer, nobody is taken to have
// been connected, and a person decides.
func TestWhoWasConnectedIsNotKnown(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{Users: 200})
	r.Change("emea", clustersim.HA{Enabled: ptr(false)})
	r.pass(5 * time.Minute)
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "perfmonCollectCounterData", Kind: clustersim.FaultHTTP403, When: clustersim.Before, Times: -1})
	id := r.ask(change.RestartRouter, "emea")
	r.say(id, change.Word{Verb: change.Start})
	r.say(id, change.Word{Verb: change.Skip, Steps: []int{1}, Text: "the right for PerfMon is being asked for"})
	if p := r.expect(id, change.Waiting, restartPub); !strings.Contains(p.Why, "how many people are connected to it could not be read") {
		t.Errorf("%s", p.Why)
	}
	r.Change("emea", clustersim.Services{Node: emeaPub, Service: peer.XCPRouter, Status: "Restart"})
	r.pass(30 * time.Minute)
	r.expect(id, change.Waiting, settlePub)
	r.say(id, change.Word{Verb: change.Skip, Steps: []int{settlePub}, Text: "read on the page"})
	r.say(id, change.Word{Verb: change.Skip, Steps: []int{fallbackPub}, Text: "read on the page"})
	r.pass(35 * time.Minute)
	p := r.expect(id, change.Waiting, backPub)
	if !strings.Contains(p.Why, "go on all the same?") || strings.Contains(p.View(r.Mesh).Next, "confirm") {
		t.Errorf("%s; %s", p.Why, p.View(r.Mesh).Next)
	}
	r.say(id, change.Word{Verb: change.Answer, Steps: []int{backPub}, Yes: true})
	r.expect(id, change.Waiting, restartSub)
}
