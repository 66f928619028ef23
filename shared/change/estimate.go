package change

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// tick is how often a plan is advanced by itself: a step that is looked at takes
// one at least.
const tick = 5 * time.Minute

// load is what some steps take in the best case.
type load struct {
	lasts    time.Duration
	people   int // steps that wait for a person
	restarts int
}

// loads are what is left of a plan: of what comes in any case, and of what comes if a page
// asks for it.
func (p *Plan) loads(m *mesh.Mesh) (sure, ifAsked load) {
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.State.Over() {
			continue
		}
		to := &sure
		if due := p.hangsOn(s); due != nil {
			switch yes, _ := p.RouterDue(due); {
			case yes:
			case !p.mayBeAsked(due): // of a leave it is in place of restarts that are counted
				continue
			default:
				to = &ifAsked
			}
		}
		to.lasts += p.lasts(m, s)
		if p.waitsForPerson(m, s) {
			to.people++
		}
		if s.Op == OpRestart {
			to.restarts++
		}
	}
	return sure, ifAsked
}

// hangsOn is the step, not over yet, that says whether the routers of a step are restarted at
// all; nil if it does not hang on one.
func (p *Plan) hangsOn(s *Step) *Step {
	for s != nil && s.Op != OpRouterDue {
		s = p.Step(s.Of)
	}
	if s == nil || s.State.Over() {
		return nil
	}
	return s
}

// mayBeAsked says that a page has yet to be looked at which may ask for the restarts that hang
// on a step.
func (p *Plan) mayBeAsked(due *Step) bool {
	return slices.ContainsFunc(p.Steps[:due.N-1], func(s Step) bool {
		return s.Op == OpAskBell && !s.State.Over() && (s.Pair.From == due.Cluster || s.Pair.To == due.Cluster)
	})
}

func (p *Plan) lasts(m *mesh.Mesh, s *Step) time.Duration {
	switch s.Op {
	case OpAwaitSync:
		if c, ok := m.Cluster(s.Cluster); ok {
			return c.SyncInterval.D()
		}
	case OpVerifyPair:
		before := p.Step(s.N - 1)
		if before != nil && before.Op == OpVerifyPair && before.Pair == s.Pair.Reverse() {
			return 0 // both directions sync at once
		}
		return cmp.Or(p.measured(), verifyLasts)
	}
	return opOf(s.Op).lasts
}

func (p *Plan) waitsForPerson(m *mesh.Mesh, s *Step) bool {
	kind := s.KindOf(m.Policy.Mode)
	return kind == Manual && s.Op != OpFallback || kind == Question || s.NeedsApproval(m.Policy.Mode) && s.Consent == nil
}

// estimate says how long what is left takes if nobody is waited for and every
// window is open.
func (p *Plan) estimate(m *mesh.Mesh) string {
	sure, ifAsked := p.loads(m)
	if sure.lasts == 0 && sure.people == 0 && ifAsked == (load{}) {
		return "nothing is left"
	}
	parts := []string{"about " + plain.Duration(max(sure.lasts, tick).Round(time.Minute))}
	if sure.people > 0 {
		parts = append(parts, plain.Count(sure.people, "step waits for a person", "steps wait for a person"))
	}
	if ifAsked.restarts > 0 {
		parts = append(parts, fmt.Sprintf("up to %s more (%s, %s for people) if a page asks for it", plain.Count(ifAsked.restarts, "restart", "restarts"), plain.Duration(ifAsked.lasts), plain.Count(ifAsked.people, "step", "steps")))
	}
	windows, more := false, false
	for i := range p.Steps {
		if s := &p.Steps[i]; !s.State.Over() {
			windows, more = windows || s.NeedsApproval(m.Policy.Mode), more || s.Op == OpLayOut
		}
	}
	if windows && len(m.Policy.Windows) > 0 {
		parts = append(parts, "restarts wait for a window of policy.windows")
	}
	if more {
		parts = append(parts, "then the steps that are not laid out yet")
	}
	return plain.FirstBy(len(parts), parts, "; ")
}
