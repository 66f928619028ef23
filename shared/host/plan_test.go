package host_test

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
)

// routerRestarts are those of emea's XCP Router that a node was asked for and carried
// out.
func (r *crashRig) routerRestarts() int {
	for _, c := range r.sim.State().Clusters {
		if c.ID == "emea" {
			return c.RouterRestarts
		}
	}
	return -1
}

func (r *crashRig) plan(id string) *record.Plan {
	r.t.Helper()
	p, err := record.LoadPlan(r.t.Context(), r.host.Store, r.host.Mesh.Name, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// say says something to a plan; who approves approves what there is to see.
func (r *crashRig) say(id string, w change.Word) {
	r.t.Helper()
	p := r.plan(id)
	if w.Verb == change.Approve {
		w.Saw = map[int]time.Time{}
		for _, n := range w.Steps {
			w.Saw[n] = p.Step(n).ServiceStart
		}
	}
	if _, err := person(r.host).Tell(r.t.Context(), &p.Plan, w); err != nil {
		r.t.Fatalf("%s: %v (the plan is %s: %s)", w.Verb, err, p.State, p.Why)
	}
}

// look is one run of peersync and of the function that carries out plans.
func (r *crashRig) look() {
	r.t.Helper()
	r.pass(5 * time.Minute)
	r.once("peersync")
	r.once("peering")
}

// restartsRouter is a mesh in which a plan is about to restart the XCP Router of
// emea's publisher: announced, and approved just now. It gives the plan and the step.
func restartsRouter(t *testing.T) (r *crashRig, id string, step int) {
	r = newCrashRig(t)
	r.host.Privilege = repair.GrantPrivilege()
	for range 3 {
		r.pass(5 * time.Minute)
		r.once("peersync")
	}
	id, err := person(r.host).AskForPlan(t.Context(), change.RestartRouter, []string{"emea"})
	if err != nil {
		t.Fatal(err)
	}
	r.once("peering")
	r.say(id, change.Word{Verb: change.Start})
	r.once("peering")
	for range 12 {
		p := r.plan(id)
		switch s := p.Current(); {
		case s == nil:
			t.Fatalf("the plan is %s", p.State)
		case s.Op == change.OpRestart && s.State == change.StepWaiting:
			r.pass(5 * time.Minute) // of which people have been told
			r.once("peersync")
			r.say(id, change.Word{Verb: change.Approve, Steps: []int{s.N}})
			return r, id, s.N
		case s.Op == change.OpAskHA && s.State == change.StepWaiting:
			r.say(id, change.Word{Verb: change.Answer, Steps: []int{s.N}})
		case p.State == change.Stopped:
			t.Fatalf("the plan is stopped: %s", p.Why)
		}
		r.look()
	}
	t.Fatal("the plan does not come to its restart")
	return nil, "", 0
}

// TestPlannedStepKilledAtEachStep is the same table as TestKilledAtEachStep, of a
// planned restart that signs people out: whatever dies where, it is sent once, and
// another time only when a person has approved that, because nothing came of it.
func TestPlannedStepKilledAtEachStep(t *testing.T) {
	for _, c := range []struct {
		name     string
		step     string
		fault    clustersim.FaultTime // of a connection that drops, on the restart
		open     int                  // intents in the gate after the kill
		restarts int                  // that the node carried out by then
		next     repair.Outcome
	}{
		{"locked: the cluster is kept for the step, nothing is meant yet", "locked", "", 0, 0, repair.DoneProven},
		{"looked: nothing is meant yet, nothing was sent", "looked", "", 0, 0, repair.DoneProven},
		{"intent: meant, not sent", "intent", "", 1, 0, repair.NotDone},
		{"lookedAgain: meant, not sent", "lookedAgain", "", 1, 0, repair.NotDone},
		{"sent, and the node never carried it out", "sent", "before", 1, 0, repair.NotDone},
		{"sent, carried out, and the answer was lost", "sent", "after", 1, 1, repair.DoneProven},
		{"sent and answered", "sent", "", 1, 1, repair.DoneProven},
		{"readBack: read back once, still restarting", "readBack", "", 1, 1, repair.DoneProven},
		{"closed: proven and closed", "closed", "", 0, 1, repair.DoneProven},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, id, step := restartsRouter(t)
			if c.fault != "" {
				r.fault(clustersim.Fault{Cluster: "emea", Operation: "soapDoControlServices", Kind: clustersim.FaultDrop, When: c.fault, Times: 1})
			}
			if c.step == "closed" { // by the run after
				r.child("peering", "")
				r.pass(5 * time.Minute)
				r.once("peersync")
			}
			r.child("peering", c.step)
			gate := r.gate()
			if len(gate.Open) != c.open || r.routerRestarts() != c.restarts {
				t.Fatalf("after the kill: %d open intents and %d restarts, want %d and %d", len(gate.Open), r.routerRestarts(), c.open, c.restarts)
			}
			if len(gate.Locks) != 1 || gate.Locks[0].PlannedStep != (peer.PlannedStep{Plan: id, Step: step}) {
				t.Errorf("after the kill the locks are %+v", gate.Locks)
			}
			for range 3 {
				r.look()
				if gate = r.gate(); len(gate.Closed) > 0 {
					break
				}
			}
			if len(gate.Open) != 0 || len(gate.Closed) != 1 || gate.Closed[0].Outcome != c.next || gate.Closed[0].Planned.Step != step {
				t.Fatalf("after the next ticks: open %+v, closed %+v, want one closed %s", gate.Open, gate.Closed, c.next)
			}
			if c.next == repair.NotDone {
				r.look()
				p := r.plan(id)
				if p.State != change.Waiting || !strings.Contains(p.Why, "for an approval") || !strings.Contains(p.Why, "attempt 1 came to nothing") || r.routerRestarts() != 0 {
					t.Fatalf("the plan is %s (%s) after %d restarts", p.State, p.Why, r.routerRestarts())
				}
				r.say(id, change.Word{Verb: change.Approve, Steps: []int{step}})
				for range 3 {
					r.look()
				}
			}
			if s := r.plan(id).Step(step); s.State != change.StepDone || r.routerRestarts() != 1 {
				t.Errorf("step %d is %s (%s) after %d restarts, want it done by one", step, s.State, s.Evidence, r.routerRestarts())
			}
			r.verify()
		})
	}
}
