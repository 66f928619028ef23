package peering_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/repair"
)

// Steps of a restart of the router on emea's two nodes.
const (
	askHA, disableHA                            = 2, 3
	restartPub, settlePub, fallbackPub, backPub = 4, 5, 6, 7
	restartSub, settleSub, fallbackSub, backSub = 8, 9, 10, 11
	enableHA                                    = 12
)

// begun is a restart of the router whose question was answered.
func (r *rig) begun(disable bool) string {
	r.t.Helper()
	id := r.ask(change.RestartRouter, "emea")
	r.say(id, change.Word{Verb: change.Start})
	r.expect(id, change.Waiting, askHA)
	r.say(id, change.Word{Verb: change.Answer, Steps: []int{askHA}, Yes: disable})
	return id
}

// TestTheRouterIsRestartedNodeByNode: each with its own approval, announced with the
// people who are connected, and the next only when they are back.
func TestTheRouterIsRestartedNodeByNode(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	id := r.begun(false)
	if p := r.expect(id, change.Waiting, restartPub); !strings.Contains(p.Why, "80 people are connected") {
		t.Errorf("announced as %q", p.Why)
	}
	before := r.Cluster("emea").RouterRestarts
	r.pass(time.Hour)
	r.expect(id, change.Waiting, restartPub)
	if n := r.Cluster("emea").RouterRestarts - before; n != 0 {
		t.Fatalf("%d restarts without an approval", n)
	}
	r.say(id, change.Word{Verb: change.Approve, Steps: []int{restartPub}})
	if n := r.Cluster("emea").RouterRestarts - before; n != 1 {
		t.Fatalf("%d restarts after the approval", n)
	}
	r.pass(40 * time.Minute)
	p := r.expect(id, change.Waiting, restartSub)
	if back := p.Steps[backPub-1]; back.State != change.StepDone || !strings.Contains(back.Evidence, "160 people") && !strings.Contains(back.Evidence, "were before") {
		t.Errorf("%+v", back)
	}
	r.say(id, change.Word{Verb: change.Approve, Steps: []int{restartSub}})
	r.pass(time.Hour)
	r.expect(id, change.Done, 0)
	if n := r.Cluster("emea").RouterRestarts - before; n != 2 {
		t.Errorf("%d restarts on two nodes", n)
	}
}

// TestTheSIPProxyIsTuned: three parameters on each node, and then its restarts.
func TestTheSIPProxyIsTuned(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	id := r.ask(change.TuneSIPProxy, "emea")
	r.say(id, change.Word{Verb: change.Start})
	for range 40 {
		r.pass(5 * time.Minute)
		p := r.plan(id)
		s := p.Current()
		if p.State != change.Waiting {
			continue
		}
		switch s.Op {
		case change.OpAskHA:
			r.say(id, change.Word{Verb: change.Answer, Steps: []int{s.N}})
		case change.OpRestart:
			r.say(id, change.Word{Verb: change.Approve, Steps: []int{s.N}})
		default:
			t.Fatalf("it waits at step %d: %s", s.N, p.Why)
		}
	}
	r.pass(time.Hour)
	r.expect(id, change.Done, 0)
	for _, node := range []string{emeaPub, emeaSub} {
		for _, name := range []string{"SIPProxyMaxProcesses", "SIPProxyMaxSpareProcesses", "SIPProxyMinSpareProcesses"} {
			if got := r.parameter(node, peer.SIPProxy, name); got != "10" {
				t.Errorf("%s of %s is %s", name, node, got)
			}
		}
	}
}

// TestABadReplicationStopsARestart: found at the moment of sending, although the
// checks had passed and a person had approved.
func TestABadReplicationStopsARestart(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	id := r.begun(false)
	r.expect(id, change.Waiting, restartPub)
	before := r.Cluster("emea").RouterRestarts
	r.Change("emea", clustersim.Replication{Node: emeaSub, State: ptr(3)})
	r.say(id, change.Word{Verb: change.Approve, Steps: []int{restartPub}})
	if p := r.expect(id, change.Stopped, restartPub); !strings.Contains(p.Why, "Replicate_State") {
		t.Errorf("%s", p.Why)
	}
	r.Change("emea", clustersim.Replication{Node: emeaSub, State: ptr(2)})
	r.pass(time.Hour)
	r.expect(id, change.Stopped, restartPub)
	if n := r.Cluster("emea").RouterRestarts - before; n != 0 {
		t.Errorf("%d restarts", n)
	}
	r.say(id, change.Word{Verb: change.Resume})
	r.expect(id, change.Waiting, restartPub) // another approval
	r.say(id, change.Word{Verb: change.Approve, Steps: []int{restartPub}})
	r.pass(10 * time.Minute)
	if n := r.Cluster("emea").RouterRestarts - before; n != 1 {
		t.Errorf("%d restarts", n)
	}
}

// TestANodeFailsOverAndAPersonFallsBack: the plan waits, and sees it.
func TestANodeFailsOverAndAPersonFallsBack(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	r.Change("emea", clustersim.HA{AutomaticFallback: ptr(false)})
	id := r.begun(false)
	r.Change("emea", clustersim.Services{Node: emeaPub, Service: peer.XCPRouter, Takes: ptr("2m")})
	r.say(id, change.Word{Verb: change.Approve, Steps: []int{restartPub}})
	r.pass(15 * time.Minute)
	r.expect(id, change.Running, settlePub) // a group has 15 min to settle by itself
	r.pass(15 * time.Minute)
	p := r.expect(id, change.Waiting, fallbackPub)
	if !strings.Contains(p.Steps[settlePub-1].Evidence, "failed over") {
		t.Errorf("%+v", p.Steps[settlePub-1])
	}
	if byItself := plain.Time(p.Step(restartPub).Since.Add(45 * time.Minute)); !strings.Contains(p.Why, "comes back by itself until "+byItself) {
		t.Errorf("it may come back by itself until %s: %s", byItself, p.Why)
	}
	r.pass(2 * time.Hour)
	if p := r.expect(id, change.Waiting, fallbackPub); strings.Contains(p.Why, "by itself") {
		t.Errorf("after two hours: %s", p.Why)
	}
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{fallbackPub}})
	if p := r.expect(id, change.Waiting, fallbackPub); !strings.Contains(p.Why, "ada confirmed it") {
		t.Errorf("%s", p.Why)
	}
	r.Change("emea", clustersim.HA{Fallback: true})
	r.pass(40 * time.Minute)
	r.expect(id, change.Waiting, restartSub)
}

// TestPeopleWhoStayAway: after half an hour a person decides, and `no` stops the plan before
// the other node; too few to tell are not waited for.
func TestPeopleWhoStayAway(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	id := r.begun(false)
	before := r.Cluster("emea").RouterRestarts
	r.say(id, change.Word{Verb: change.Approve, Steps: []int{restartPub}})
	r.pass(5 * time.Minute)
	r.Change("emea", clustersim.Services{Node: emeaPub, Service: "Cisco XCP Connection Manager", Status: "Stopped"})
	r.pass(25 * time.Minute)
	r.expect(id, change.Running, backPub)
	r.pass(15 * time.Minute)
	if p := r.expect(id, change.Waiting, backPub); !strings.Contains(p.Why, "for an answer: go on all the same? 90 people are connected to emea; 160 were before") {
		t.Errorf("%s", p.Why)
	}
	r.say(id, change.Word{Verb: change.Answer, Steps: []int{backPub}})
	if p := r.expect(id, change.Stopped, backPub); !strings.Contains(p.Why, "ada stops here: ") {
		t.Errorf("%s", p.Why)
	}
	r.pass(time.Hour)
	if n := r.Cluster("emea").RouterRestarts - before; n != 1 {
		t.Errorf("%d restarts", n)
	}

	few := newRig(t, mesh.Recover, clustersim.Config{Users: 40})
	id = few.begun(false)
	few.say(id, change.Word{Verb: change.Approve, Steps: []int{restartPub}})
	few.pass(20 * time.Minute)
	if p := few.expect(id, change.Waiting, restartSub); !strings.Contains(p.Step(backPub).Evidence, "too few to wait for") {
		t.Errorf("%+v", p.Step(backPub))
	}
}

// TestANodeThatDoesNotComeBackStopsThePlan: nothing is tried on the other one.
func TestANodeThatDoesNotComeBackStopsThePlan(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	id := r.begun(false)
	r.Change("emea", clustersim.Services{Node: emeaPub, Service: peer.XCPRouter, StaysDown: ptr(true)})
	r.say(id, change.Word{Verb: change.Approve, Steps: []int{restartPub}})
	r.pass(time.Hour)
	if p := r.plan(id); p.State != change.Stopped || p.Current().N != restartPub {
		t.Errorf("%s at %d: %s", p.State, p.Current().N, p.Why)
	}
}

// TestHAIsDisabledByAPersonAndEnabledAgain: also when the plan is given up.
func TestHAIsDisabledByAPersonAndEnabledAgain(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	id := r.begun(true)
	r.expect(id, change.Waiting, disableHA)
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{disableHA}})
	r.expect(id, change.Waiting, disableHA) // it reads on
	r.Change("emea", clustersim.HA{Enabled: ptr(false)})
	r.pass(5 * time.Minute)
	if p := r.expect(id, change.Waiting, restartPub); !strings.Contains(p.Why, "nobody takes over") {
		t.Errorf("%s", p.Why)
	}
	r.say(id, change.Word{Verb: change.Abort})
	r.expect(id, change.Waiting, enableHA)
	r.Change("emea", clustersim.HA{Enabled: ptr(true)})
	r.pass(10 * time.Minute)
	r.expect(id, change.Aborted, 0)
}

// TestAXLIsActivatedWhereItIsNot: and awaited.
func TestAXLIsActivatedWhereItIsNot(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 60})
	r.Change("emea", clustersim.Services{Node: emeaSub, Service: peer.AXL, Status: "NotActivated"})
	r.Pass(5 * time.Minute)
	r.watch()
	id := r.ask(change.ActivateAXL, "emea")
	r.say(id, change.Word{Verb: change.Start})
	r.pass(30 * time.Minute)
	r.expect(id, change.Done, 0)
	if got := r.Cluster("emea").Nodes; got[1].Services[peer.AXL] != "Started" && got[2].Services[peer.AXL] != "Started" {
		t.Errorf("%+v", got)
	}
}

// TestAnApprovalForAnEarlierStart: somebody restarted the service after the person
// looked.
func TestAnApprovalForAnEarlierStart(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	id := r.begun(false)
	saw := r.plan(id).Step(restartPub).ServiceStart
	r.Change("emea", clustersim.Services{Node: emeaPub, Service: peer.XCPRouter, Status: "Restart"})
	r.pass(30 * time.Minute)
	p := r.plan(id)
	_, err := r.person().Tell(t.Context(), &p.Plan, change.Word{Verb: change.Approve, Steps: []int{restartPub}, Saw: map[int]time.Time{restartPub: saw}})
	if err == nil || !strings.Contains(err.Error(), "look again") {
		t.Errorf("%v", err)
	}
	r.say(id, change.Word{Verb: change.Approve, Steps: []int{restartPub}})
	r.pass(40 * time.Minute)
	r.expect(id, change.Waiting, restartSub)
}

// TestInModeObserveAPersonRestartsTheRouter: and the plan sees it.
func TestInModeObserveAPersonRestartsTheRouter(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{Users: 200})
	id := r.begun(false)
	for _, n := range []struct {
		node string
		step int
	}{{emeaPub, restartPub}, {emeaSub, restartSub}} {
		r.expect(id, change.Waiting, n.step)
		r.say(id, change.Word{Verb: change.Confirm, Steps: []int{n.step}})
		if p := r.expect(id, change.Waiting, n.step); !strings.Contains(p.Why, "reads otherwise") {
			t.Errorf("%s", p.Why)
		}
		r.Change("emea", clustersim.Services{Node: n.node, Service: peer.XCPRouter, Status: "Restart"})
		r.pass(40 * time.Minute)
	}
	r.expect(id, change.Done, 0)
}

// TestAnApprovedRestartThatWaitsForAWindowHoldsNoClusterShut: until it is sent, repairs and
// other plans go on there.
func TestAnApprovedRestartThatWaitsForAWindowHoldsNoClusterShut(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	hour := r.Clock.Now().UTC().Hour()
	at := func(in int) string { return fmt.Sprintf("%02d:00", (hour+in)%24) }
	r.Mesh.Policy.Windows = []mesh.Window{{Kind: "deny", From: at(0), To: at(3), TimeZone: "UTC"}}
	r.begin(nil)
	r.watch()
	id := r.ask(change.RestartRouter, "emea")
	r.say(id, change.Word{Verb: change.Start})
	for r.plan(id).Current().Op != change.OpRestart {
		r.obeys(id, false)
	}
	r.say(id, change.Word{Verb: change.Approve, Steps: []int{r.plan(id).Current().N}})
	r.pass(20 * time.Minute)
	p := r.plan(id)
	if p.State != change.Running || !strings.Contains(p.Current().Evidence, "window") {
		t.Fatalf("%s: %+v", p.State, p.Current())
	}
	gate, err := repair.Load(t.Context(), r.store, r.Mesh.Name)
	if err != nil || len(gate.Locks) > 0 {
		t.Errorf("while it waits: %+v, %v", gate.Locks, err)
	}
	r.pass(3 * time.Hour)
	if n := r.Cluster("emea").RouterRestarts; n != 1 {
		t.Errorf("in the window: %d restarts, want the first node's", n)
	}
}

// TestWhoHasGoneBetweenApprovalAndRestartIsNotWaitedFor: 80 were connected when it was
// approved in the evening, and few are at night when the window opens.
func TestWhoHasGoneBetweenApprovalAndRestartIsNotWaitedFor(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	hour := r.Clock.Now().UTC().Hour()
	at := func(in int) string { return fmt.Sprintf("%02d:00", (hour+in)%24) }
	r.Mesh.Policy.Windows = []mesh.Window{{Kind: "deny", From: at(0), To: at(3), TimeZone: "UTC"}}
	r.begin(nil)
	r.watch()
	id := r.begun(false)
	r.say(id, change.Word{Verb: change.Approve, Steps: []int{restartPub}})
	for _, counter := range []string{"CmConnectedSockets", "WebConnectedSockets"} {
		r.Change("emea", clustersim.Perfmon{Node: emeaPub, Counter: counter, Value: ptr(int64(4))})
	}
	r.pass(3*time.Hour + 20*time.Minute)
	p := r.expect(id, change.Waiting, restartSub)
	if got := p.Step(backPub).Evidence; got != "8 people were connected to it when it was sent, of 80 when ada approved it, and who had gone by then was not signed out by it: too few to wait for" {
		t.Error(got)
	}
}
