package change

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// Verb is what a person says to a plan.
type Verb string

// The verbs.
const (
	Ask     Verb = "plan" // for a plan
	Start   Verb = "start"
	Approve Verb = "approve"
	Confirm Verb = "confirm"
	Answer  Verb = "answer"
	Skip    Verb = "skip"
	Stop    Verb = "stop"
	Resume  Verb = "resume"
	Abort   Verb = "abort"
)

// Word is a PLAN#id#n item: what one person said to one plan. It is written once.
type Word struct {
	Plan string `json:"plan"`
	N    int    `json:"n"` // from 1; of Ask 0
	Verb Verb   `json:"verb"`
	// Kind and Args are what is asked for.
	Kind Kind     `json:"kind,omitempty"`
	Args []string `json:"args,omitempty"`
	// Steps are those that it is about, with each service's start as the person saw
	// it for those that are approved.
	Steps []int             `json:"steps,omitempty"`
	Saw   map[int]time.Time `json:"saw,omitempty"`
	Yes   bool              `json:"yes,omitempty"`
	// Text is a note, or a reason.
	Text  string    `json:"text,omitempty"`
	Actor string    `json:"actor"`
	At    time.Time `json:"at"`
}

// startSkew is how far a service's start may be read differently twice: up-times
// are told in seconds, and clocks differ.
const startSkew = 5 * time.Minute

// Hear lets a plan obey a word, or says why it does not: a *UsageError for a word
// that the plan could never take as it is. A word that was heard is not heard
// again.
func (p *Plan) Hear(w Word, mode mesh.Mode, now time.Time) error {
	if w.N <= p.Folded {
		return nil
	}
	try := *p
	try.Steps = slices.Clone(p.Steps)
	err := try.obey(w, mode, now)
	if err == nil {
		*p = try // whole, or not at all
	}
	p.Folded = w.N
	if err != nil {
		p.Refuse(w, err.Error())
	}
	return err
}

// Would says why a plan would not obey a word, and changes nothing.
func (p *Plan) Would(w Word, mode mesh.Mode, now time.Time) error {
	try := *p
	try.Steps = slices.Clone(p.Steps)
	return try.obey(w, mode, now)
}

func (p *Plan) obey(w Word, mode mesh.Mode, now time.Time) error {
	if p.State.Ended() {
		return fmt.Errorf("plan %s is %s", p.ID, p.State)
	}
	switch w.Verb {
	case Start:
		if p.State != Draft {
			return fmt.Errorf("plan %s was started already: it is %s", p.ID, p.State)
		}
		p.Started = now
		p.Turn(Running, "", now)
		return nil
	case Stop:
		switch {
		case p.State == Draft:
			return fmt.Errorf("plan %s has not been started: `peerkeeper peering abort %s` discards it", p.ID, p.ID)
		case p.State == Stopped:
			return fmt.Errorf("plan %s is stopped already: %s", p.ID, p.Why)
		}
		p.Halt(w.Actor, said("stopped by "+w.Actor, w.Text), now)
		return nil
	case Resume:
		if p.State != Stopped {
			return fmt.Errorf("plan %s is not stopped: it is %s", p.ID, p.State)
		}
		if s := p.Current(); s != nil && s.State == StepFailed {
			s.Turn(StepPending, now, "%s resumed; before: %s", w.Actor, s.Evidence)
			s.Consent, s.Said, s.Began = nil, nil, time.Time{}
		}
		p.Stop = ""
		p.Turn(Running, "", now)
		return nil
	case Abort:
		return p.abort(w, now)
	}
	if p.State == Draft && w.Verb != Approve {
		// What could never be is told first, so that nobody starts it to hear that.
		started := *p
		started.Steps, started.State = slices.Clone(p.Steps), Running
		if err := started.obey(w, mode, now); errors.As(err, new(*UsageError)) {
			return err
		}
		return fmt.Errorf("plan %s has not been started: `peerkeeper peering start %s`", p.ID, p.ID)
	}
	if len(w.Steps) == 0 {
		return usagef("which step? `peerkeeper peering show %s` numbers them", p.ID)
	}
	for _, n := range w.Steps {
		s := p.Step(n)
		if s == nil {
			return usagef("plan %s has steps 1 to %d, and no %d", p.ID, len(p.Steps), n)
		}
		if err := p.obeyStep(s, w, mode, now); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plan) obeyStep(s *Step, w Word, mode mesh.Mode, now time.Time) error {
	name := fmt.Sprintf("step %d of plan %s", s.N, p.ID)
	if s.heard(w) {
		if at := p.Current(); s.State.Over() && (at == nil || at.N > s.N) {
			p.goOn(now)
		}
		return nil
	}
	if s.State.Over() && s.Op == OpAskBell && w.Verb == Answer {
		return p.answerAgain(s, w, now)
	}
	if s.State.Over() {
		return fmt.Errorf("%s is %s", name, s.State)
	}
	kind := s.KindOf(mode)
	switch w.Verb {
	case Approve:
		switch {
		case !s.NeedsApproval(mode):
			return usagef("%s needs no approval: it is a %s step", name, kind)
		case s.Consent != nil:
			return fmt.Errorf("%s was approved by %s already", name, s.Consent.Actor)
		case s.ServiceStart.IsZero():
			return fmt.Errorf("since when %s on %s runs has not been read yet, and an approval is for the service as you see it: approve when the plan comes to it", s.Service, s.Node)
		case w.Saw[s.N].Sub(s.ServiceStart).Abs() > startSkew:
			return fmt.Errorf("%s on %s was started at %s; the approval is for one that was started at %s: look again, and approve that", s.Service, s.Node, plain.Time(s.ServiceStart), plain.Time(w.Saw[s.N]))
		}
		s.Consent = &Consent{Actor: w.Actor, At: w.At, ServiceStart: w.Saw[s.N], People: s.People}
		return nil
	case Confirm:
		if s.Op == OpAwaitPeople {
			return usagef("%s asks a question if people stay away: `peerkeeper peering answer %s %d yes` or `no`", name, p.ID, s.N)
		}
		asks := kind == Check && s.State == StepWaiting // what it is about cannot be read
		if kind != Manual && kind != Wait && !asks && s.State != StepUnknown {
			return usagef("%s is a %s step, and nothing to confirm", name, kind)
		}
		if err := p.current(s); err != nil {
			return err
		}
		if s.State == StepUnknown {
			s.Turn(StepDone, now, said(w.Actor+" says that it was done", w.Text))
			p.SkipDependants(now)
			p.goOn(now)
		}
	case Answer:
		if kind != Question && s.Op != OpAwaitPeople {
			return usagef("%s is a %s step, and no question", name, kind)
		}
		if err := p.current(s); err != nil {
			return err
		}
		if s.Op == OpAwaitPeople && s.State != StepWaiting {
			return fmt.Errorf("%s is not a question yet: people have until %s to come back", name, plain.Time(s.Began.Add(PeopleWithin)))
		}
	case Skip:
		switch {
		case opOf(s.Op).must != "":
			return usagef("%s is not skipped: %s; `peerkeeper peering abort %s` ends the plan", name, opOf(s.Op).must, p.ID)
		case w.Text == "":
			return usagef("why is %s skipped? --reason says it, for those who read it later", name)
		case p.toUndo(s) && p.Abort == "":
			return fmt.Errorf("%s undoes step %d, and is not skipped: do it, and confirm it; if it cannot be done, `peerkeeper peering abort %s`, and skip it then", name, s.Of, p.ID)
		case s.Sends():
			return fmt.Errorf("%s is being carried out: wait until it is known what became of it", name)
		}
		at := p.Current()
		s.Said = &Said{Verb: Skip, Actor: w.Actor, At: w.At, Text: w.Text}
		s.Turn(StepSkipped, now, "skipped by %s: %s", w.Actor, w.Text)
		p.SkipDependants(now)
		if s == at {
			p.goOn(now)
		}
		return nil
	default:
		return usagef("%s is nothing that a plan obeys", plain.Value(w.Verb))
	}
	s.Said = &Said{Verb: w.Verb, Actor: w.Actor, At: w.At, Yes: w.Yes, Text: w.Text}
	return nil
}

// answerAgain puts right what a person saw, or did not see, on a page, as long as nothing has
// come of it.
func (p *Plan) answerAgain(s *Step, w Word, now time.Time) error {
	for i := s.N; i < len(p.Steps); i++ {
		due := &p.Steps[i]
		if due.Op != OpRouterDue || due.Cluster != s.Pair.From && due.Cluster != s.Pair.To {
			continue
		}
		if due.State.Over() {
			return fmt.Errorf("step %d of plan %s was answered, and step %d has gone by that; routers that are to be restarted all the same are `peerkeeper peering plan restart-router %s`, and another for %s", s.N, p.ID, due.N, s.Pair.From, s.Pair.To)
		}
		break
	}
	before := s.Evidence
	s.Said = &Said{Verb: Answer, Actor: w.Actor, At: w.At, Yes: w.Yes, Text: w.Text}
	s.Turn(StepDone, now, "%s; before: %s", s.Said.answer(), before)
	return nil
}

// answer says who answered what.
func (s *Said) answer() string {
	if s.Yes {
		return s.Actor + " answered yes"
	}
	return s.Actor + " answered no"
}

// heard says that a step was told a word already: the run that heard it was killed before
// the plan itself was written, whose steps are written first.
func (s *Step) heard(w Word) bool {
	if w.Verb == Approve {
		return s.Consent != nil && s.Consent.Actor == w.Actor && s.Consent.At.Equal(w.At)
	}
	return s.Said != nil && s.Said.Verb == w.Verb && s.Said.Actor == w.Actor && s.Said.At.Equal(w.At)
}

// goOn has a plan go on that a step has stopped which is behind it now.
func (p *Plan) goOn(now time.Time) {
	if p.State == Stopped && p.Stop == "" {
		p.Turn(Running, "", now)
	}
}

// current refuses a word to a step that the plan has not come to.
func (p *Plan) current(s *Step) error {
	if now := p.Current(); now != nil && now.N != s.N {
		return usagef("plan %s is at step %d, not at %d", p.ID, now.N, s.N)
	}
	return nil
}

// Refuse keeps a word from being obeyed, for a reason that the plan itself does not know.
func (p *Plan) Refuse(w Word, why string) {
	p.Folded = max(p.Folded, w.N)
	p.Refused = append(p.Refused, Refused{w.N, bound(why)})
	p.Refused = p.Refused[max(0, len(p.Refused)-refusedKept):]
}

// Halt stops a plan. by is who stops it; "" is Peerkeeper, because of a step.
func (p *Plan) Halt(by, why string, now time.Time) {
	p.Stop = by
	p.Turn(Stopped, bound(why)+p.NotUndone(), now)
}

// toUndo says that a step undoes what was done, or what a person was asked to do,
// seen or not.
func (p *Plan) toUndo(s *Step) bool {
	on := p.Step(s.Of)
	return s.Undoes() && on != nil && (on.State == StepDone || !on.Began.IsZero())
}

// NotUndone tells what a plan that does not go on leaves as it should not stay.
func (p *Plan) NotUndone() string {
	why := ""
	for i := range p.Steps {
		s := &p.Steps[i]
		if !p.toUndo(s) || s.State == StepDone {
			continue
		}
		is, left := "may be", fmt.Sprintf("step %d enables it", s.N)
		if p.Step(s.Of).State == StepDone {
			is = "is still"
		}
		if s.State == StepSkipped {
			left = fmt.Sprintf("step %d, which enables it, was skipped", s.N)
		}
		why += fmt.Sprintf("; high availability of %s %s disabled (%s)", s.Cluster, is, left)
	}
	return why
}

// abort ends a plan, but for what undoes what it has done.
func (p *Plan) abort(w Word, now time.Time) error {
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Sends() {
			return fmt.Errorf("step %d of plan %s is being carried out: wait until it is known what became of it", s.N, p.ID)
		}
	}
	p.Abort = w.Actor
	var undo []*Step // judged before what they undo is skipped
	for i := range p.Steps {
		if s := &p.Steps[i]; !s.State.Over() && p.toUndo(s) {
			undo = append(undo, s)
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.State.Over() {
			continue
		}
		if slices.Contains(undo, s) {
			continue
		}
		s.Turn(StepSkipped, now, said("aborted by "+w.Actor, w.Text))
	}
	if len(undo) > 0 {
		p.Stop = ""
		p.Turn(Running, "", now)
		return nil
	}
	p.Finish(now)
	if w.Text != "" {
		p.Why += ": " + bound(w.Text)
	}
	return nil
}

// stays tells which of the steps that people did a plan that is aborted leaves as they are.
func (p *Plan) stays() string {
	var done []string
	for i := range p.Steps {
		s := &p.Steps[i]
		if o := opOf(s.Op); s.State == StepDone && !s.Began.IsZero() && o.kind == Manual && !o.aftermath && (!s.Pair.IsZero() || s.Op == OpMeshLines) {
			done = append(done, fmt.Sprintf("step %d", s.N))
		}
	}
	if len(done) == 0 {
		return ""
	}
	return fmt.Sprintf("; done, and staying so: %s (`peerkeeper peering show %s --html` says how each is undone)", plain.List(done), p.ID)
}

func said(what, text string) string {
	if text == "" {
		return what
	}
	return what + ": " + text
}
