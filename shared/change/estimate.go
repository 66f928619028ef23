package change

import (
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// tick is how often a plan is advanced by itself: a step that is looked at takes
// one at least.
const tick = 5 * time.Minute

// estimate says how long what is left takes if nobody is waited for and every
// window is open.
func (p *Plan) estimate(m *mesh.Mesh) string {
	var all time.Duration
	people, windows, more := 0, false, false
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.State.Over() {
			continue
		}
		o := opOf(s.Op)
		lasts := o.lasts
		if s.Op == OpAwaitSync {
			if c, ok := m.Cluster(s.Cluster); ok {
				lasts = c.SyncInterval.D()
			}
		}
		all += lasts
		switch kind := s.KindOf(m.Policy.Mode); {
		case kind == Manual && s.Op != OpFallback, kind == Question, s.NeedsApproval(m.Policy.Mode) && s.Consent == nil:
			people++
		}
		windows, more = windows || s.NeedsApproval(m.Policy.Mode), more || s.Op == OpLayOut
	}
	if all == 0 && people == 0 {
		return "nothing is left"
	}
	parts := []string{"about " + plain.Duration(max(all, tick).Round(time.Minute))}
	if people > 0 {
		parts = append(parts, plain.Count(people, "step waits for a person", "steps wait for a person"))
	}
	if windows && len(m.Policy.Windows) > 0 {
		parts = append(parts, "restarts wait for a window of policy.windows")
	}
	if more {
		parts = append(parts, "then the steps that are not laid out yet")
	}
	return plain.FirstBy(4, parts, "; ")
}
