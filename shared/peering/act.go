package peering

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/intervention"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
)

// forgotten is how long ago an action may have been about to be sent and still be
// known by the gate: it keeps what it closed for a day.
const forgotten = 23 * time.Hour

// failing is how long an action may fail before it is sent, because its cluster
// cannot be reached or read, until a person is asked.
const failing = time.Hour

// mostAttempts is how often a step is tried of which it was read each time that
// nothing came of it.
const mostAttempts = 3

func (t *tick) access() intervention.Access {
	return intervention.Access{Mesh: t.Mesh, Store: t.Store, Now: t.Now, Log: t.Log, Actor: actor, Clusters: t.Clusters, Privilege: t.Privilege, Crash: t.Crash}
}

// settled reads the gate after closing what an earlier run left open, once a run.
func (t *tick) settled(ctx context.Context) (*repair.Gate, error) {
	if t.gate != nil {
		return t.gate, nil
	}
	if _, err := t.access().Repair(t.lease).Settle(ctx); err != nil {
		t.logger().Warn("reading back what is open", "error", err)
	}
	gate, err := repair.Load(ctx, t.Store, t.Mesh.Name)
	if err != nil {
		return nil, err
	}
	t.gate = &gate
	return t.gate, nil
}

// readBack finds out what became of what was sent for a plan that has been stopped
// since. It sends nothing.
func (t *tick) readBack(ctx context.Context, p *record.Plan) error {
	s := p.Current()
	if p.State != change.Stopped || s == nil || !s.Sends() {
		return nil
	}
	gate, err := t.settled(ctx)
	if err != nil {
		return err
	}
	if !t.begun(gate, p, s) {
		s.Sent = time.Time{} // nothing was meant
	}
	p.SkipDependants(t.Now())
	return p.Save(ctx, t.Store)
}

// actionID names one attempt of one step, for the gate.
func actionID(p *record.Plan, s *change.Step) string {
	return fmt.Sprintf("%s-%d-%d", p.ID, s.N, s.Attempt)
}

// act carries a step's action through the gate, once. It is called at every look
// until the step is over: what an earlier look began is read back first, and
// another attempt is made only if it is known that nothing came of the one before.
func (t *tick) act(ctx context.Context, p *record.Plan, s *change.Step, action peer.Action, value, why, interrupts string) error {
	gate, err := t.settled(ctx)
	if err != nil {
		return err
	}
	now := t.Now()
	if ended := t.begun(gate, p, s); ended {
		return nil
	}
	if why := t.disturbed(s.Cluster); why != "" {
		s.Turn(change.StepRunning, now, "waits: %s", why)
		return nil
	}
	s.Attempt = max(1, s.Attempt)
	s.Sent = now
	s.Turn(change.StepRunning, now, "is about to be carried out")
	// Written before anything is sent: a run that is killed now is followed by one
	// that asks the gate what became of this attempt.
	if err := p.Save(ctx, t.Store); err != nil {
		return err
	}
	if err := t.lock(ctx, p); err != nil {
		s.Turn(change.StepRunning, now, "waits: %s", err)
		s.Sent = time.Time{}
		return nil
	}
	proposal := peer.Proposal{
		ID: actionID(p, s), Action: action, Target: s.Target(), Value: value, Peers: p.PairsOf(s.Cluster), Since: p.Started, Why: fmt.Sprintf("plan %s, step %d: %s", p.ID, s.N, why),
		Interrupts: interrupts, Planned: peer.PlannedStep{Plan: p.ID, Step: s.N},
	}
	if s.NeedsApproval(t.Mesh.Policy.Mode) {
		proposal.Approval = "it signs people out, or stops syncs"
	}
	res, err := t.access().Repair(t.lease).Do(ctx, proposal, func(ctx context.Context, gate *repair.Gate) (repair.Situation, error) {
		return t.situation(ctx, gate, p, s, proposal)
	})
	t.gate = nil // it is another now
	t.forget(s.Cluster)
	now = t.Now()
	switch {
	case errors.Is(err, errSpoken):
		s.Sent = time.Time{}
		s.Turn(change.StepRunning, now, "waits: %s", errSpoken)
	case err != nil:
		t.logger().Error("a step failed", "plan", p.ID, "step", s.N, "error", err)
		t.fails(s, "not carried out yet: "+intervention.Failure(err))
	case len(res.Refused) > 0:
		t.refused(s, res.Refused)
	default:
		t.actions++
		t.came(s, res.Outcome, res.Text)
	}
	return nil
}

// errSpoken keeps an action from being sent: what was said may be a stop.
var errSpoken = errors.New("somebody has just said something to the plan, and the next look hears it first")

// fails notes that a step could not be looked at or carried out. What lasts too long
// stops the plan.
func (t *tick) fails(s *change.Step, why string) {
	now := t.Now()
	if s.Failing.IsZero() {
		s.Failing = now
	}
	if now.Sub(s.Failing) > failing {
		s.Failing = time.Time{}
		s.Turn(change.StepFailed, now, "for more than %s: %s", plain.Duration(failing), why)
		return
	}
	s.Turn(change.StepRunning, now, "%s", why)
}

// begun says what became of an attempt that an earlier look began; false if it is
// known that nothing was sent.
func (t *tick) begun(gate *repair.Gate, p *record.Plan, s *change.Step) bool {
	id := actionID(p, s)
	if i := slices.IndexFunc(gate.Open, func(in repair.Intent) bool { return in.ID == id }); i >= 0 {
		s.Turn(change.StepRunning, t.Now(), "sent; what became of it is being read back")
		return true
	}
	if i := slices.IndexFunc(gate.Closed, func(c repair.Closure) bool { return c.ID == id }); i >= 0 {
		c := gate.Closed[i]
		if c.Outcome == repair.NotSent && s.State == change.StepRunning {
			s.Attempt++ // nothing reached the node
			s.Sent = time.Time{}
			return false
		}
		if c.Outcome == repair.NotDone && !strings.HasPrefix(c.Evidence, "refused") && s.Attempt < mostAttempts {
			// A run that ended before it had sent it, or whose request was lost: it was
			// read that nothing came of it.
			s.Attempt++
			s.Sent, s.Consent = time.Time{}, nil
			s.Turn(change.StepRunning, t.Now(), "it was not done, and is tried again: %s", c.Evidence)
			return true // the next look tries; what a person approved, a person approves again
		}
		t.came(s, c.Outcome, c.Evidence)
		return true
	}
	if s.Sent.IsZero() {
		return false
	}
	if ago := t.Now().Sub(s.Sent); ago > forgotten || ago < -forgotten {
		s.Turn(change.StepUnknown, t.Now(), "it was about to be sent at %s, and the gate remembers nothing of it any more: look, and confirm the step if it was done, or skip it", s.Sent.UTC().Format(time.RFC3339))
		return true
	}
	return false // nothing was ever meant
}

// came is what an action came to.
func (t *tick) came(s *change.Step, outcome repair.Outcome, text string) {
	now := t.Now()
	switch outcome {
	case repair.DoneProven:
		s.Turn(change.StepDone, now, "%s", text)
	case repair.NotDone:
		s.Attempt++
		s.Sent = time.Time{}
		s.Turn(change.StepFailed, now, "it was not done: %s", text)
	case repair.NotSent:
		s.Attempt++
		s.Sent = time.Time{}
		t.fails(s, "not sent: "+text) // an approval is not spent by it
	case repair.Unproven:
		s.Turn(change.StepUnknown, now, "nobody can tell whether it was done: %s; look, and confirm the step if it was, or skip it", text)
	default:
		s.Turn(change.StepRunning, now, "sent; what became of it is being read back: %s", text)
	}
}

// refused is a step that the gate did not let pass: nothing was meant.
func (t *tick) refused(s *change.Step, by []record.Refusal) {
	now := t.Now()
	s.Sent, s.Failing = time.Time{}, time.Time{}
	text := repair.Explain(by[0])
	for _, r := range by {
		switch r.Guard {
		case repair.GuardNeeded:
			if s.Op == change.OpRestart { // else it is there: the next look reads it
				s.Turn(change.StepFailed, now, "%s", repair.Explain(r))
				return
			}
		case repair.GuardReady, repair.GuardService:
			s.Turn(change.StepFailed, now, "%s", repair.Explain(r))
			return
		case repair.GuardApproval:
			s.Consent = nil
			s.Turn(change.StepWaiting, now, "for an approval: %s", repair.Explain(r))
			return
		}
	}
	s.Turn(change.StepRunning, now, "waits: %s", text)
}

// situation reads consistently what a step turns on.
func (t *tick) situation(ctx context.Context, gate *repair.Gate, p *record.Plan, s *change.Step, proposal peer.Proposal) (repair.Situation, error) {
	var functions []string
	for _, f := range run.Schedules() {
		functions = append(functions, f.Function)
	}
	snapshot, err := record.Reread(ctx, t.Store, t.Mesh, proposal.Peers, "", functions...)
	if err != nil {
		return repair.Situation{}, err
	}
	// After the gate was read, whose epoch a stop turns: one that is written down
	// from now on is found there.
	words, err := record.Words(ctx, t.Store, t.Mesh.Name)
	if err != nil {
		return repair.Situation{}, err
	}
	if unheard(words[p.ID], p.Folded) {
		return repair.Situation{}, errSpoken
	}
	sit := t.groundsOf(snapshot).Situation(gate, proposal)
	sit.Announced = p.Started
	if s.NeedsApproval(t.Mesh.Policy.Mode) {
		sit.Announced = s.Began // with the number of people
	}
	if c := s.Consent; c != nil {
		sit.Consent = repair.Consent{Actor: c.Actor, At: c.At, Plan: p.ID, Step: s.N, Target: s.Target(), Started: c.ServiceStart}
	}
	return sit, nil
}
