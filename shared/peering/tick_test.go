package peering

import (
	"context"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// TestAPersonsWordAndWhatIsRead: what is read counts for more than what somebody says, and
// what was read otherwise is not believed once nothing can be read.
func TestAPersonsWordAndWhatIsRead(t *testing.T) {
	yes, no := true, false
	for _, tt := range []struct {
		name         string
		said         *change.Said
		seen         *bool
		state        change.StepState
		says         string
		contradicted bool
	}{
		{"it is seen", nil, &yes, change.StepDone, "it reads 45", false},
		{"it is seen, as ada says", &change.Said{Verb: change.Confirm}, &yes, change.StepDone, "it reads 45; confirmed by ada", false},
		{"it is seen, and ada has answered something", &change.Said{Verb: change.Answer}, &yes, change.StepDone, "it reads 45", false},
		{"it is seen not to be", nil, &no, change.StepWaiting, "for a person to do it: it reads 45", false},
		{"it is seen not to be as ada says", &change.Said{Verb: change.Confirm}, &no, change.StepWaiting, "ada confirmed it at 2026-03-02 11:50 UTC, and it reads otherwise: it reads 45", true},
		{"it cannot be read", nil, nil, change.StepWaiting, "for a person to do it and confirm it; it cannot be read: no connection", false},
		{"ada says so", &change.Said{Verb: change.Confirm}, nil, change.StepDone, "ada says so; it cannot be read: no connection", false},
		{"ada has answered something", &change.Said{Verb: change.Answer}, nil, change.StepWaiting, "for a person to do it and confirm it; it cannot be read: no connection", false},
		{"ada said so, and it read otherwise", &change.Said{Verb: change.Confirm, Contradicted: true}, nil, change.StepWaiting, "ada confirmed it at 2026-03-02 11:50 UTC, and it read otherwise since; now it cannot be read: no connection", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, change.Step{Op: change.OpSet})
			if tt.said != nil {
				tt.said.Actor, tt.said.At = "ada", ago(10*time.Minute)
				s.step.Said = tt.said
			}
			s.confirmed(s.step, tt.seen, "it reads 45", "no connection")
			if got := s.step; got.State != tt.state || got.Evidence != tt.says || tt.said != nil && got.Said.Contradicted != tt.contradicted {
				t.Errorf("%+v, %+v", *got, got.Said)
			}
		})
	}
}

// TestAPlanFollowsItsStep: it waits with a step that waits, stops with one that fails, and
// ends with its last.
func TestAPlanFollowsItsStep(t *testing.T) {
	prepare := change.Step{Op: change.OpPrepare}
	waited := func(s *scene) { s.plan.State, s.plan.Why = change.Waiting, "step 1: for a person" }
	another := func(s *scene) {
		s.follows(change.Step{Cluster: "emea", Op: change.OpPrepare})
		s.step = &s.plan.Steps[0]
	}
	for _, tt := range []struct {
		name  string
		step  change.Step
		read  func(s *scene)
		state change.State
		why   string
		moved bool
	}{
		{"nothing is left to do", prepare, func(s *scene) { s.step.State = change.StepDone }, change.Done, "", false},
		{"a step waits", prepare, nil, change.Waiting, "step 1: for a person to see to it and confirm it", false},
		{"its last is done", prepare, confirmed, change.Done, "", true},
		{"one is done, and another follows", prepare, all(another, waited, confirmed), change.Running, "", true},
		{"a step goes on by itself", change.Step{Op: change.OpVerifyPair, Pair: emeaApac}, all(waited, synced(0)), change.Running, "", false},
		{"a step fails", change.Step{Op: change.OpAwaitAXL, Node: emeaPub, Service: peer.AXL, Began: ago(time.Hour)}, func(s *scene) { s.service(peer.AXL, notActivated) }, change.Stopped, "step 1: it is Stopped, 1 h after it was activated", false},
		{"a step is unknown", sent, func(s *scene) { s.Mesh.Policy.Mode = mesh.Recover; s.step.Sent = ago(24 * time.Hour) }, change.Stopped, "step 1: it was about to be sent at 2026-03-01T12:00:00Z", false},
		{"a newer version has written it", change.Step{Op: "renameCluster"}, nil, change.Stopped, `step 1: this version of Peerkeeper does not know the step "renameCluster"`, false},
		{"a person aborts it after its last step", prepare, func(s *scene) { s.step.State, s.plan.Abort = change.StepSkipped, "ada" }, change.Aborted, "aborted by ada", false},
		{"its cluster has left mesh.yaml", prepare, func(s *scene) { s.plan.Clusters = []mesh.ClusterID{"emea", "latam"} }, change.Failed, "latam has left mesh.yaml", false},
		{"a cluster of its pairs has left mesh.yaml", change.Step{Op: change.OpAddEntry, Pair: mesh.PeerID{From: "emea", To: "latam"}}, func(s *scene) { s.plan.Pairs = []mesh.PeerID{{From: "emea", To: "latam"}} }, change.Waiting, "step 1: latam is not in mesh.yaml, as this run has it: put its lines back until the plan is through, or skip the step with a reason", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, tt.step)
			if tt.read != nil {
				tt.read(s)
			}
			s.record()
			moved, err := s.advance(t.Context(), s.plan)
			if err != nil || moved != tt.moved || s.plan.State != tt.state || !strings.HasPrefix(s.plan.Why, tt.why) {
				t.Errorf("moved %v: %+v, %v", moved, s.plan.Head, err)
			}
		})
	}
}

// A step that is not looked at, because no time is left, is not begun either.
func TestWithoutTimeNoStepIsBegun(t *testing.T) {
	s := newScene(t, change.Step{Op: change.OpPrepare})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if moved, err := s.advance(over, s.plan); moved || err != nil || !s.step.Began.IsZero() || s.plan.State != change.Running {
		t.Errorf("moved %v, %v: %+v", moved, err, *s.step)
	}
	s.looks()
	if !s.step.Began.Equal(noon) {
		t.Errorf("%+v", *s.step)
	}
	before := ago(time.Hour)
	s.step.Began = before
	if s.looks(); !s.step.Began.Equal(before) {
		t.Errorf("it began anew: %+v", *s.step)
	}
}
