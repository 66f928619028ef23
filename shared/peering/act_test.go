package peering

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
)

// sent is a step of which an action was about to be sent ten minutes ago.
var sent = change.Step{Op: change.OpRestart, Node: emeaPub, Service: peer.XCPRouter, State: change.StepRunning, Evidence: "is about to be carried out",
	Began: ago(time.Hour), Sent: ago(10 * time.Minute), Attempt: 1, Consent: &change.Consent{Actor: "ada", At: ago(11 * time.Minute)}}

// TestWhatBecameOfAnActionThatAnEarlierLookBegan: another attempt is made only where it is
// known that nothing came of this one.
func TestWhatBecameOfAnActionThatAnEarlierLookBegan(t *testing.T) {
	closed := func(outcome repair.Outcome, evidence string) repair.Gate {
		return repair.Gate{Closed: []repair.Closure{{ID: "c4f2a1-1-0", Outcome: repair.DoneProven}, {ID: "c4f2a1-1-1", Outcome: outcome, Evidence: evidence}}}
	}
	since := func(d time.Duration) func(s *change.Step) { return func(s *change.Step) { s.Sent = noon.Add(-d) } }
	third := func(s *change.Step) { s.Attempt = 3 }
	for _, tt := range []struct {
		name     string
		gate     repair.Gate
		step     func(s *change.Step)
		ended    bool // nothing is sent by this look
		state    change.StepState
		attempt  int
		sent     bool // it may still be on its way
		approved bool
		says     string
	}{
		{"the gate reads it back", repair.Gate{Open: []repair.Intent{{ID: "c4f2a1-1-1"}}}, nil, true, change.StepRunning, 1, true, true, "sent; what became of it is being read back"},
		{"it is done", closed(repair.DoneProven, "up since 11:51"), nil, true, change.StepDone, 1, true, true, "up since 11:51"},
		{"it never reached the node", closed(repair.NotSent, "no connection"), nil, false, change.StepRunning, 2, false, true, "is about to be carried out"},
		{"it never reached the node, and the plan waits", closed(repair.NotSent, "no connection"), func(s *change.Step) { s.State = change.StepWaiting }, true, change.StepRunning, 2, false, true, "not sent: no connection"},
		{"nothing came of it", closed(repair.NotDone, "still up since 10:00"), nil, true, change.StepRunning, 2, false, false, "it was not done, and is tried again: still up since 10:00"},
		{"nothing came of the third either", repair.Gate{Closed: []repair.Closure{{ID: "c4f2a1-1-3", Outcome: repair.NotDone, Evidence: "still up since 10:00"}}}, third, true, change.StepFailed, 4, false, true, "it was not done: still up since 10:00"},
		{"the node refused it", closed(repair.NotDone, "refused: not authorized"), nil, true, change.StepFailed, 2, false, true, "it was not done: refused: not authorized"},
		{"nobody can tell", closed(repair.Unproven, "the node does not answer"), nil, true, change.StepUnknown, 1, true, true, "nobody can tell whether it was done: the node does not answer; look, and confirm the step if it was, or skip it"},
		{"by a word of a newer version", closed("half", "as far as it goes"), nil, true, change.StepRunning, 1, true, true, "sent; what became of it is being read back: as far as it goes"},
		{"the gate knows nothing of it", repair.Gate{}, nil, false, change.StepRunning, 1, true, true, "is about to be carried out"},
		{"it was never about to be sent", repair.Gate{}, func(s *change.Step) { s.Sent = time.Time{} }, false, change.StepRunning, 1, false, true, "is about to be carried out"},
		{"23 hours ago", repair.Gate{}, since(23 * time.Hour), false, change.StepRunning, 1, true, true, "is about to be carried out"},
		{"longer ago than the gate remembers", repair.Gate{}, since(23*time.Hour + time.Second), true, change.StepUnknown, 1, true, true, "it was about to be sent at 2026-03-01T12:59:59Z, and the gate remembers nothing of it any more"},
		{"23 hours ahead", repair.Gate{}, since(-23 * time.Hour), false, change.StepRunning, 1, true, true, "is about to be carried out"},
		{"by a clock that is a day ahead", repair.Gate{}, since(-24 * time.Hour), true, change.StepUnknown, 1, true, true, "it was about to be sent at 2026-03-03T12:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, sent)
			if tt.step != nil {
				tt.step(s.step)
			}
			ended := s.begun(&tt.gate, s.plan, s.step)
			got := s.step
			if ended != tt.ended || got.State != tt.state || got.Attempt != tt.attempt || got.Sent.IsZero() == tt.sent || (got.Consent != nil) != tt.approved || !strings.Contains(got.Evidence, tt.says) {
				t.Errorf("ended %v: %+v", ended, *got)
			}
		})
	}
}

func TestWhatTheGateRefuses(t *testing.T) {
	say := func(guard string) record.Refusal { return record.Refusal{Guard: guard, Why: "because of " + guard} }
	for _, tt := range []struct {
		name     string
		op       change.Op
		by       []record.Refusal
		state    change.StepState
		approved bool
		says     string
	}{
		{"a pause is waited for", change.OpRestart, []record.Refusal{say("paused")}, change.StepRunning, true, "waits: because of paused (paused)"},
		{"the first reason is told", change.OpRestart, []record.Refusal{say("window"), say("paused")}, change.StepRunning, true, "waits: because of window (window)"},
		{"an approval is spent", change.OpRestart, []record.Refusal{say("window"), say(repair.GuardApproval)}, change.StepWaiting, false, "for an approval: because of approval (approval)"},
		{"somebody has restarted it", change.OpRestart, []record.Refusal{say("window"), say(repair.GuardNeeded)}, change.StepFailed, true, "because of needed (needed)"},
		{"somebody has set it", change.OpSet, []record.Refusal{say(repair.GuardNeeded)}, change.StepRunning, true, "waits: because of needed (needed)"},
		{"somebody has set it, and the service is not there", change.OpSet, []record.Refusal{say(repair.GuardNeeded), say(repair.GuardService)}, change.StepFailed, true, "because of service (service)"},
		{"the cluster is not ready", change.OpRestart, []record.Refusal{say("window"), say(repair.GuardReady), say(repair.GuardApproval)}, change.StepFailed, true, "because of ready (ready)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, sent)
			s.step.Op, s.step.Failing = tt.op, ago(time.Minute)
			s.refused(s.step, tt.by)
			if got := s.step; got.State != tt.state || got.Evidence != tt.says || (got.Consent != nil) != tt.approved || !got.Sent.IsZero() || !got.Failing.IsZero() {
				t.Errorf("%+v", *got)
			}
		})
	}
}

// A cluster that cannot be reached for an hour stops the plan.
func TestAnHourOfFailuresStopsThePlan(t *testing.T) {
	for _, tt := range []struct {
		name    string
		failing time.Time
		state   change.StepState
		since   time.Time
		says    string
	}{
		{"the first", time.Time{}, change.StepRunning, noon, "no connection"},
		{"for an hour", ago(time.Hour), change.StepRunning, ago(time.Hour), "no connection"},
		{"for longer", ago(time.Hour + time.Second), change.StepFailed, time.Time{}, "for more than 1 h: no connection"},
	} {
		s := newScene(t, sent)
		s.step.Failing = tt.failing
		s.fails(s.step, "no connection")
		if got := s.step; got.State != tt.state || !got.Failing.Equal(tt.since) || got.Evidence != tt.says {
			t.Errorf("%s: %+v", tt.name, *got)
		}
	}
}

// What was sent for a plan that has been stopped since is read back, and nothing else is.
func TestOnlyOfAStoppedPlanItIsAskedWhatBecameOfIt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state change.State
		step  func(s *scene)
		sent  bool
	}{
		{"the gate knows nothing of it: nothing was meant", change.Stopped, nil, false},
		{"of a plan that runs the step itself asks", change.Running, nil, true},
		{"of a step that failed it is known", change.Stopped, func(s *scene) { s.step.State = change.StepFailed }, true},
		{"a plan at its end", change.Stopped, func(s *scene) { s.step.State = change.StepDone }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, sent)
			if tt.step != nil {
				tt.step(s)
			}
			s.plan.State = tt.state
			if err := s.readBack(t.Context(), s.plan); err != nil || s.step.Sent.IsZero() == tt.sent {
				t.Errorf("%v: %+v", err, *s.step)
			}
		})
	}
}

func TestAnUpgradeHoldsUpAChangeOfTheCluster(t *testing.T) {
	for _, tt := range []struct {
		pair  mesh.PeerID
		wears peer.Overlay
		want  string
	}{
		{emeaApac, peer.Upgrading, "emea>apac is Upgrading"},
		{emeaApac.Reverse(), peer.Rewound, "apac>emea is Rewound"},
		{emeaApac, peer.Flapping, ""},
		{mesh.PeerID{From: "apac", To: "amer"}, peer.Upgrading, ""},
	} {
		s := newScene(t, sent)
		s.record()
		if err := s.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.grounds.States[tt.pair] = peer.StateRecord{Overlays: []peer.Overlay{peer.Acknowledged, tt.wears}}
		if got := s.disturbed("emea"); got != tt.want {
			t.Errorf("%s %s: %q", tt.pair, tt.wears, got)
		}
	}
}
