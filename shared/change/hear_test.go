package change

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
)

// TestWhatAWordDoesToAStep: of every kind, in every state that it can wait in.
func TestWhatAWordDoesToAStep(t *testing.T) {
	states := []StepState{StepPending, StepRunning, StepWaiting, StepFailed, StepUnknown}
	for _, c := range []struct {
		name    string
		step    Step
		confirm string // whether it is obeyed in each of these states: y, or n
		answer  string
	}{
		{"a check", Step{Op: OpPreflight}, "nnyny", "nnnnn"},
		{"what Peerkeeper does", Step{Op: OpSet, Parameter: "PeerSyncInterval"}, "nnnny", "nnnnn"},
		{"a parameter that a person sets", Step{Op: OpSet}, "yyyyy", "nnnnn"},
		{"what a person does", Step{Op: OpAddEntry}, "yyyyy", "nnnnn"},
		{"a question", Step{Op: OpAskBell}, "nnnny", "yyyyy"},
		{"a wait", Step{Op: OpVerifyPair}, "yyyyy", "nnnnn"},
		{"people who come back", Step{Op: OpAwaitPeople}, "nnnnn", "nnynn"},
		{"a step of a later version", Step{Op: "dance"}, "yyyyy", "nnnnn"},
	} {
		for _, verb := range []Verb{Confirm, Answer, Skip} {
			want := map[Verb]string{Confirm: c.confirm, Answer: c.answer, Skip: "yyyyy"}[verb]
			got := ""
			for _, state := range states {
				s := c.step
				s.N, s.State = 1, state
				p := &Plan{Head: Head{ID: "c4f2", State: Running}, Steps: []Step{s, {N: 2, Op: OpLook, State: StepPending}}}
				if err := p.Hear(word(verb, 1, 1), mesh.Recover, noon); err != nil {
					got += "n"
					if p.Steps[0].Said != nil || p.Steps[0].State != state {
						t.Errorf("%s, %s, %s: refused, and yet %+v", verb, c.name, state, p.Steps[0])
					}
					continue
				}
				got += "y"
				if said := p.Steps[0].Said; said == nil || said.Verb != verb || said.Actor != "ada" || said.Text != "CHG1" {
					t.Errorf("%s, %s, %s: %+v", verb, c.name, state, p.Steps[0])
				}
				becomes := map[Verb]StepState{Confirm: state, Answer: state, Skip: StepSkipped}[verb]
				if verb == Confirm && state == StepUnknown {
					becomes = StepDone
				}
				if p.Steps[0].State != becomes {
					t.Errorf("%s, %s, %s: it is %s, want %s", verb, c.name, state, p.Steps[0].State, becomes)
				}
			}
			if got != want {
				t.Errorf("%s of %s, while it is %v: %s, want %s", verb, c.name, states, got, want)
			}
		}
	}
}

// TestWhatAWordDoesToAPlan: of those that are about no step, in every state of it.
func TestWhatAWordDoesToAPlan(t *testing.T) {
	states := []State{Draft, Running, Waiting, Stopped, Done, Failed, Aborted}
	for _, c := range []struct {
		verb Verb
		want string // what the plan is after it in each of these states; - where it is refused
	}{
		{Start, "running - - - - - -"},
		{Stop, "- stopped stopped - - - -"},
		{Resume, "- - - running - - -"},
		{Abort, "aborted aborted aborted aborted - - -"},
		{"dance", "- - - - - - -"},
	} {
		var got []string
		for _, state := range states {
			p := &Plan{Head: Head{ID: "c4f2", State: state, Since: noon.Add(-time.Hour)}, Steps: []Step{{N: 1, Op: OpPreflight, State: StepPending}}}
			if err := p.Hear(word(c.verb, 1), mesh.Recover, noon); err != nil {
				got = append(got, "-")
				continue
			}
			got = append(got, string(p.State))
			if !p.Since.Equal(noon) {
				t.Errorf("%s while it is %s: it is %s since %s", c.verb, state, p.State, p.Since)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s while it is %v\n got %s\nwant %s", c.verb, states, strings.Join(got, " "), c.want)
		}
	}
}

// TestAMistakeInAWordToADraftIsToldBeforeItIsStarted: nobody starts a plan to hear that the
// word could never be obeyed.
func TestAMistakeInAWordToADraftIsToldBeforeItIsStarted(t *testing.T) {
	p := made(t, acme(mesh.Recover), RestartRouter, "emea")
	err := p.Hear(word(Answer, 1, 1), mesh.Recover, noon)
	if !errors.As(err, new(*UsageError)) || p.State != Draft {
		t.Errorf("an answer to a check: %v, and the plan is %s", err, p.State)
	}
}

// TestWhatFailedIsLookedAtAgainWithoutTheWordsOfBefore: resume has the step begin anew, and
// says what it failed with.
func TestWhatFailedIsLookedAtAgainWithoutTheWordsOfBefore(t *testing.T) {
	p := made(t, acme(mesh.Recover), RestartRouter, "emea")
	walk(t, p, mesh.Recover, word(Start, 1))
	for i := range 3 {
		p.Steps[i].Turn(StepDone, noon, "")
	}
	s := &p.Steps[3]
	s.Consent, s.Said, s.Began = &Consent{Actor: "ada"}, &Said{Verb: Confirm}, noon
	s.Turn(StepFailed, noon, "Replicate_State is 3")
	p.Halt("", "step 4", noon)
	walk(t, p, mesh.Recover, word(Resume, 2))
	s = &p.Steps[3]
	if p.State != Running || s.State != StepPending || s.Consent != nil || s.Said != nil || !s.Began.IsZero() || s.Evidence != "ada resumed; before: Replicate_State is 3" {
		t.Errorf("%s, %+v", p.State, s)
	}
	s.Consent = &Consent{Actor: "ada"}
	s.Turn(StepWaiting, noon, "for a window")
	walk(t, p, mesh.Recover, word(Stop, 3), word(Resume, 4))
	if s = &p.Steps[3]; s.State != StepWaiting || s.Consent == nil {
		t.Errorf("what has not failed begins anew: %+v", s)
	}
}

// TestAWordThatARunHeardBeforeItWasKilled: the steps were written and the plan's head was
// not, so that the next run hears the word once more. It comes to the same.
func TestAWordThatARunHeardBeforeItWasKilled(t *testing.T) {
	at := func(current int, state StepState, stopped bool) *Plan {
		p := made(t, acme(mesh.Recover), RestartRouter, "emea")
		walk(t, p, mesh.Recover, word(Start, 1))
		for i := range current - 1 {
			p.Steps[i].Turn(StepDone, noon, "")
		}
		for i := range p.Steps {
			p.Steps[i].ServiceStart = noon
		}
		p.Steps[current-1].Turn(state, noon, "")
		if stopped {
			p.Halt("", "because of a step", noon)
		}
		return p
	}
	approval := word(Approve, 2, 4)
	approval.Saw = map[int]time.Time{4: noon.Add(startSkew)}
	last := len(at(1, StepPending, false).Steps)
	for _, c := range []struct {
		name string
		plan *Plan
		word Word
		want State
	}{
		{"an approval", at(4, StepWaiting, false), approval, Running},
		{"a confirmation", at(5, StepWaiting, false), word(Confirm, 2, 5), Running},
		{"a confirmation of what nobody can tell", at(4, StepUnknown, true), word(Confirm, 2, 4), Running},
		{"an answer", at(2, StepWaiting, false), word(Answer, 2, 2), Running},
		{"a skip of what stopped the plan", at(4, StepFailed, true), word(Skip, 2, 4), Running},
		{"a skip of a later step, and the plan stays stopped", at(4, StepFailed, true), word(Skip, 2, 8), Stopped},
		{"a skip of the last step", func() *Plan {
			p := at(last, StepFailed, true)
			p.Steps[2].Turn(StepSkipped, noon, "")
			p.Steps[2].Began = time.Time{}
			return p
		}(), word(Skip, 2, last), Running},
	} {
		once, twice := *c.plan, *c.plan
		once.Steps = slices.Clone(c.plan.Steps)
		walk(t, &once, mesh.Recover, c.word)
		twice.Steps = slices.Clone(once.Steps)
		if err := twice.Hear(c.word, mesh.Recover, noon); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(once, twice); diff != "" || once.State != c.want {
			t.Errorf("%s: the plan is %s, want %s; heard once (-) and twice (+):\n%s", c.name, once.State, c.want, diff)
		}
		if err := once.Hear(c.word, mesh.Recover, noon); err != nil {
			t.Errorf("%s: heard once more: %v", c.name, err)
		}
	}
}

// TestASecondWordToAStepCounts: another person's, and another answer.
func TestASecondWordToAStepCounts(t *testing.T) {
	p := made(t, acme(mesh.Recover), RestartRouter, "emea")
	walk(t, p, mesh.Recover, word(Start, 1))
	p.Steps[0].Turn(StepDone, noon, "")
	answer := func(n int, actor string, at time.Time, yes bool) Word {
		return Word{N: n, Verb: Answer, Steps: []int{2}, Actor: actor, At: at, Yes: yes}
	}
	for i, w := range []Word{answer(2, "ada", noon, true), answer(3, "ada", noon.Add(time.Minute), false), answer(4, "bob", noon.Add(time.Minute), true)} {
		walk(t, p, mesh.Recover, w)
		if s := p.Steps[1].Said; s.Actor != w.Actor || !s.At.Equal(w.At) || s.Yes != w.Yes {
			t.Errorf("after answer %d: %+v", i+1, s)
		}
	}
	p.Steps[1].Turn(StepDone, noon, "")
	p.Steps[2].Turn(StepSkipped, noon, "")
	p.Steps[3].ServiceStart = noon
	approve := func(n int, actor string, at time.Time, saw time.Time) Word {
		return Word{N: n, Verb: Approve, Steps: []int{4}, Saw: map[int]time.Time{4: saw}, Actor: actor, At: at}
	}
	if err := p.Hear(approve(5, "ada", noon, noon.Add(startSkew+1)), mesh.Recover, noon); err == nil {
		t.Error("an approval for a service that was started five minutes and more apart is obeyed")
	}
	walk(t, p, mesh.Recover, approve(6, "ada", noon, noon.Add(-startSkew)))
	for _, w := range []Word{approve(7, "bob", noon, noon), approve(8, "ada", noon.Add(time.Minute), noon)} {
		if err := p.Hear(w, mesh.Recover, noon); err == nil || !strings.Contains(err.Error(), "approved by ada already") {
			t.Errorf("%s approves once more: %v", w.Actor, err)
		}
	}
}

// TestWhoComesTooEarlyOrToAnotherStep: which it is, and until when people have time.
func TestWhoComesTooEarlyOrToAnotherStep(t *testing.T) {
	p := made(t, acme(mesh.Recover), RestartRouter, "emea")
	walk(t, p, mesh.Recover, word(Start, 1))
	for i := range 6 {
		p.Steps[i].Turn(StepDone, noon, "")
	}
	p.Steps[6].Began = noon
	p.Steps[6].Turn(StepRunning, noon, "")
	for _, c := range []struct {
		word Word
		want string
	}{
		{word(Answer, 2, 7), "step 7 of plan c4f2 is not a question yet: people have until 2026-03-02 12:30 UTC to come back"},
		{word(Confirm, 2, 7), "step 7 of plan c4f2 asks a question if people stay away: `peerkeeper peering answer c4f2 7 yes` or `no`"},
		{word(Confirm, 2, 9), "plan c4f2 is at step 7, not at 9"},
		{word(Answer, 2, 11), "plan c4f2 is at step 7, not at 11"},
	} {
		if err := p.Would(c.word, mesh.Recover, noon); err == nil || err.Error() != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.word.Verb, err, c.want)
		}
	}
}

// TestAnAbortEndsAllButWhatIsToBeUndone: what was done stays done, and every other step is
// left out, those after the one that undoes as well.
func TestAnAbortEndsAllButWhatIsToBeUndone(t *testing.T) {
	begin := func(done int) *Plan {
		p := made(t, world("14.0", "emea", "apac"), Edit, "emea", "apac", "protocol=tls")
		walk(t, p, mesh.Recover, word(Start, 1))
		for i := range done {
			p.Steps[i].Turn(StepDone, noon, "")
		}
		return p
	}
	p := begin(2)
	walk(t, p, mesh.Recover, word(Abort, 2))
	if p.State != Aborted || p.Why != "aborted by ada: CHG1" || p.Steps[0].State != StepDone || p.Steps[2].State != StepSkipped || p.Steps[2].Evidence != "aborted by ada: CHG1" {
		t.Errorf("nothing is to be undone: %s: %s, %+v", p.State, p.Why, p.Steps[:3])
	}
	p = begin(0)
	disabled := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Op == OpDisableHA })
	enables := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Op == OpEnableHA })
	p = begin(disabled + 1)
	w := word(Abort, 2)
	w.Text = ""
	walk(t, p, mesh.Recover, w)
	if at := p.Current(); p.State != Running || at == nil || at.N != enables+1 {
		t.Fatalf("high availability is disabled: %s at %+v", p.State, at)
	}
	for _, s := range p.Steps[disabled+1:] {
		if s.N != enables+1 && (s.State != StepSkipped || s.Evidence != "aborted by ada") {
			t.Errorf("%+v", s)
		}
	}
	p.Steps[enables].Turn(StepDone, noon, "it reads on")
	p.Finish(noon)
	if p.State != Aborted || p.Why != "aborted by ada" {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}

// TestWordsThatWereRefusedAreRemembered: the newest twenty, and of each as much as fits.
func TestWordsThatWereRefusedAreRemembered(t *testing.T) {
	p := made(t, acme(mesh.Recover), RestartRouter, "emea")
	for n := 1; n <= 25; n++ {
		if err := p.Hear(word(Stop, n), mesh.Recover, noon); err == nil {
			t.Fatal("a draft is stopped")
		}
	}
	if len(p.Refused) != 20 || p.Refused[0].N != 6 || p.Refused[19].N != 25 || p.Folded != 25 {
		t.Errorf("%d, up to %d: %+v", len(p.Refused), p.Folded, p.Refused)
	}
	for _, c := range []struct{ name, why, want string }{
		{"as long as fits", strings.Repeat("x", 500), strings.Repeat("x", 500)},
		{"longer", strings.Repeat("x", 501), strings.Repeat("x", 500) + "…"},
		{"a letter on the border", strings.Repeat("x", 499) + "éé", strings.Repeat("x", 499) + "…"},
	} {
		p.Refuse(word(Stop, 26), c.why)
		if got := p.Refused[19].Why; got != c.want {
			t.Errorf("%s: %d bytes: …%s", c.name, len(got), got[490:])
		}
	}
	p.Refuse(word(Stop, 3), "late")
	if p.Folded != 26 {
		t.Errorf("words up to %d were heard", p.Folded)
	}
}
