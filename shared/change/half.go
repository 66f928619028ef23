package change

import (
	"fmt"
	"slices"

	"peerkeeper/shared/plain"
)

// wanted is what an entry is after a step that changes it; "" of any other step.
func wanted(op Op) string {
	switch op {
	case OpAddEntry:
		return "made"
	case OpEditEntry:
		return "changed"
	case OpDeleteEntry:
		return "deleted"
	case OpEnterCredentials:
		return "given the new password"
	}
	return ""
}

// halfDone tells what a plan that has ended leaves half done: entries that were not seen to be
// as it wanted, though what goes with them was; of one that was not aborted all that were
// not. "" if there are none.
func (p *Plan) halfDone() string {
	if p.State != Done && p.State != Aborted || p.Started.IsZero() {
		return ""
	}
	var out []string
	for i := range p.Steps {
		s := &p.Steps[i]
		what := wanted(s.Op)
		if what == "" || p.seen(s) {
			continue
		}
		text := fmt.Sprintf("%s's entry for %s was not seen to be %s (step %d)", s.Pair.From, s.Pair.To, what, s.N)
		there := p.counterpart(s)
		if there != "" {
			text += ", and " + there
		}
		switch {
		case p.Abort == "":
			out = append(out, text)
		case there != "":
			out = append(out, fmt.Sprintf("%s; `peerkeeper peering plan %s` goes on from there", text, s.finishes()))
		}
	}
	return plain.FirstBy(10, out, "; ")
}

// seen says that an entry was seen to be as a step wants it, then or when it was verified.
func (p *Plan) seen(s *Step) bool {
	return s.State == StepDone || slices.ContainsFunc(p.Steps, func(x Step) bool {
		return (x.Op == OpVerifyPair || x.Op == OpVerifyGone) && x.Pair == s.Pair && x.State == StepDone
	})
}

// counterpart says what was done that goes with a step; "" if nothing was.
func (p *Plan) counterpart(s *Step) string {
	for i := range p.Steps {
		x := &p.Steps[i]
		switch {
		case x.State != StepDone:
		case s.Op == OpEnterCredentials && x.Op == OpPrepare && x.Purpose == preparePassword:
			return fmt.Sprintf("the account of %s has its new one (step %d)", x.Cluster, x.N)
		case s.Op != OpEnterCredentials && x.Op == s.Op && x.Pair == s.Pair.Reverse():
			return fmt.Sprintf("%s's for %s was (step %d)", x.Pair.From, x.Pair.To, x.N)
		}
	}
	return ""
}

// finishes is the plan that goes on where one was given up.
func (s *Step) finishes() string {
	from, to := s.Pair.From, s.Pair.To
	switch s.Op {
	case OpAddEntry:
		return fmt.Sprintf("add %s %s", from, to)
	case OpDeleteEntry:
		return fmt.Sprintf("delete %s %s", from, to)
	case OpEditEntry:
		return fmt.Sprintf("edit %s %s --%s %s", from, to, s.Purpose, plain.Name(s.Value))
	}
	return fmt.Sprintf("rotate-credentials %s", to)
}
