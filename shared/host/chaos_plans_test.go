package host_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
)

// Plans in chaos: people ask for them, say what comes to their minds, forget them,
// and do what they are told, or not.

// plansUnderWay bounds what people have begun at once.
const plansUnderWay = 2

// longestAsked is more than the longest interval that a plan sets, in minutes.
const longestAsked = 52

// ask has a person ask for a plan and start it.
func (c *chaos) ask(s step) {
	plans, err := record.LoadPlans(context.Background(), c.base, c.mesh.Name)
	under := 0
	for _, e := range plans.Value.Plans {
		if !e.State.Ended() {
			under++
		}
	}
	if err != nil || under >= plansUnderWay {
		return
	}
	cl := c.clusterAt(s.Which)
	kind, args := change.RestartRouter, []string{string(cl.ID)}
	switch s.Size % 8 {
	default:
		kind, args = c.ofPairs(s)
	case 7:
	case 0:
		kind, args = change.Set, []string{"syncInterval=" + strconv.Itoa(longestAsked-s.Size), string(cl.ID)}
	case 1:
		kind, args = change.Set, []string{"autoRecovery=" + []string{"on", "off"}[s.Size/8%2], string(cl.ID)}
	case 3:
		kind = change.TuneSIPProxy
	}
	c.askFor(s, kind, args...)
}

func (c *chaos) askFor(s step, kind change.Kind, args ...string) {
	ctx, h := context.Background(), c.hosts[s.Host]
	id, err := person(h).AskForPlan(ctx, kind, args)
	c.logf("plan %d %s %v failed %v", len(c.plans)+1, kind, args, err != nil)
	if err != nil {
		return
	}
	c.names.give(id, fmt.Sprintf("plan %d", len(c.plans)+1))
	c.plans = append(c.plans, id)
	c.plansAsked++
	c.runs(s.Host, "peering", time.Time{})
	c.word(s.Host, id, change.Word{Verb: change.Start})
}

// word says something to a plan, and has it heard.
func (c *chaos) word(host int, id string, w change.Word) {
	ctx, h := context.Background(), c.hosts[host]
	p, err := record.LoadPlan(ctx, h.Store, c.mesh.Name, id)
	if err != nil {
		c.logf("plan %s cannot be read", id)
		return
	}
	if w.Verb == change.Approve {
		w.Saw = map[int]time.Time{}
		for _, n := range w.Steps {
			if s := p.Step(n); s != nil {
				w.Saw[n] = s.ServiceStart
			}
		}
	}
	_, err = person(h).Tell(ctx, &p.Plan, w)
	c.logf("%s %s %v failed %v", w.Verb, id, w.Steps, err != nil)
	c.runs(host, "peering", time.Time{})
}

// underWay are the plans that have not ended, oldest first.
func (c *chaos) underWay() []*record.Plan {
	var out []*record.Plan
	for _, id := range c.plans {
		p, err := record.LoadPlan(context.Background(), c.base, c.mesh.Name, id)
		if errors.Is(err, record.ErrNoPlan) {
			continue // it was asked for, and its word was lost
		}
		if err != nil {
			c.fail("plan %s: %v", id, err)
			continue
		}
		if !p.State.Ended() {
			out = append(out, p)
		}
	}
	return out
}

// say has a person say something to a plan: mostly what it waits for.
func (c *chaos) say(s step) {
	plans := c.underWay()
	if len(plans) == 0 {
		return
	}
	p := plans[s.Which%len(plans)]
	at := p.Current()
	if at == nil {
		return
	}
	w := change.Word{Steps: []int{at.N}, Text: "chaos", Yes: s.Size%2 == 0}
	switch s.Which / 3 % 12 {
	case 0:
		w.Verb = change.Stop
	case 1:
		w.Verb = change.Resume
	case 2:
		w.Verb = change.Skip
	case 3:
		w.Verb = change.Abort
	case 4:
		w.Verb, w.Steps = change.Approve, p.Approvable()
	case 5:
		w.Verb = change.Confirm
	default:
		c.obey(p, at, s.Host)
		return
	}
	c.word(s.Host, p.ID, w)
}

// obey does what a plan waits for.
func (c *chaos) obey(p *record.Plan, at *change.Step, host int) {
	w := change.Word{Steps: []int{at.N}, Text: "chaos"}
	switch {
	case p.State == change.Draft:
		w.Verb = change.Start
	case c.step.Kind == "calm" && strings.Contains(p.Why, "is not in mesh.yaml"):
		w.Verb = change.Skip // another plan has taken it out
	case p.State == change.Stopped && (at.State == change.StepUnknown || at.Op == change.OpPreflight && c.gaveUp[p.ID]%2 == 1):
		w.Verb = change.Skip
	case p.State == change.Stopped:
		w.Verb = change.Resume
	case at.Op == change.OpAskHA, at.Op == change.OpAwaitPeople:
		w.Verb, w.Yes = change.Answer, at.Op == change.OpAwaitPeople || c.plan.Seed%2 == 0
	case at.Op == change.OpRestart:
		w.Verb = change.Approve
	case at.Op == change.OpDisableHA, at.Op == change.OpEnableHA:
		c.mustAdmin("/clusters/"+string(at.Cluster)+"/ha", map[string]any{"enabled": at.Op == change.OpEnableHA})
		w.Verb = change.Confirm
	case at.Op == change.OpFallback:
		c.mustAdmin("/clusters/"+string(at.Cluster)+"/ha", map[string]any{"fallback": true})
		w.Verb = change.Confirm
	default:
		w = c.does(p, at, host)
	}
	c.word(host, p.ID, w)
}

// finish ends, in the calm, what people have begun: they do what they are told, and
// give up what has stopped twice.
func (c *chaos) finish() {
	for _, p := range c.underWay() {
		at := p.Current()
		if at == nil && p.State == change.Stopped {
			c.word(0, p.ID, change.Word{Verb: change.Resume}) // all is done, and only that is left
		}
		if at == nil || p.State == change.Running {
			continue
		}
		if p.State == change.Stopped && !c.othersWell() {
			continue // what stopped it is being mended
		}
		if c.gaveUp[p.ID]++; c.gaveUp[p.ID] > 12+len(p.Steps) || p.State == change.Stopped && c.gaveUp[p.ID] > 16 {
			c.logf("%s is given up at step %d: %s", p.ID, at.N, p.Why)
			c.word(0, p.ID, change.Word{Verb: change.Abort, Text: "chaos"})
			if again := c.underWay(); slices.ContainsFunc(again, func(x *record.Plan) bool { return x.ID == p.ID && x.Abort == "" }) {
				continue
			}
		}
		c.obey(p, at, 0)
		c.deployNow()
	}
}

// planned checks a planned action on its way to a node.
func (c *chaos) planned(a act, intent *repair.Intent, gate *repair.Gate) {
	ctx := context.Background()
	step := intent.Planned
	p, err := record.LoadPlan(ctx, c.base, c.mesh.Name, step.Plan)
	if err != nil {
		c.fail("%s %s for plan %s: %v", a.action, a.target, step.Plan, err)
		return
	}
	c.plannedWrites++
	s := p.Step(step.Step)
	switch {
	case s == nil || s.Target() != intent.Target:
		c.fail("%s %s is not step %d of its plan: %+v", a.action, a.target, step.Step, s)
		return
	case !p.State.Active():
		c.fail("%s %s for a plan that is %s", a.action, a.target, p.State)
	case p.Current() == nil || p.Current().N != step.Step:
		c.fail("%s %s for step %d, and the plan is elsewhere", a.action, a.target, step.Step)
	case s.Sent.IsZero() || s.Attempt < 1:
		c.fail("%s %s was not written down before: %+v", a.action, a.target, s)
	}
	for _, b := range c.acts {
		if b.planned == step && b.applied {
			c.fail("step %s is done twice", step)
		}
	}
	held := false
	for _, l := range gate.Locks {
		held = held || l.Cluster == a.target.Cluster && l.PlannedStep == step
	}
	if !held {
		c.fail("%s %s without the lock of its step: %+v", a.action, a.target, gate.Locks)
	}
	if intent.Action != peer.RestartService {
		return
	}
	c.plannedRestarts++
	if s.Consent == nil {
		c.fail("%s %s and nobody has approved it", a.action, a.target)
	}
	c.allowed(a, p, s)
	if !change.SignsOut(a.target.Service) {
		return
	}
	for _, cl := range c.sim.State().Clusters {
		if cl.ID != string(a.target.Cluster) {
			continue
		}
		for _, n := range cl.Nodes {
			switch {
			case n.Role == "cucm":
			case n.Down:
				c.fail("%s is restarted although %s is down", a.target, n.Name)
			case cl.HAEnabled && n.HAState != peer.HANormal:
				c.fail("%s is restarted although %s has the HA state %d", a.target, n.Name, n.HAState)
			}
		}
	}
}

// kept checks that a plan which says that it is done is true in the clusters' own
// tables. A later plan, or a person, may have changed them since.
func (c *chaos) kept() {
	for _, id := range c.plans {
		if c.checked[id] {
			continue
		}
		p, err := record.LoadPlan(context.Background(), c.base, c.mesh.Name, id)
		if err != nil || !p.State.Ended() {
			continue
		}
		c.checked[id] = true
		c.logf("%s is %s: %s", id, p.State, p.Why)
		c.ends[string(p.Kind)+" "+string(p.State)]++
		if p.State != change.Done {
			continue
		}
		c.plansDone++
		c.keeps(p)
		for _, s := range p.Steps {
			if s.Op != change.OpSet || s.State != change.StepDone || s.Said != nil || slices.Contains(c.plans[slices.Index(c.plans, id)+1:], c.setBy(s)) {
				continue
			}
			if got := c.parameterOf(s.Cluster, s.Node, s.Service, s.Parameter); !change.Same(s.Purpose, got, s.Value) {
				c.fail("plan %s says that %s on %s is %s; it is %s", id, s.Parameter, s.Node, s.Value, got)
			}
		}
	}
}

// setBy is the newest plan that has sent a value to a step's parameter.
func (c *chaos) setBy(s change.Step) string {
	for i := len(c.acts) - 1; i >= 0; i-- {
		if a := c.acts[i]; a.target == s.Target() && a.applied {
			return a.planned.Plan
		}
	}
	return ""
}

func (c *chaos) parameterOf(id mesh.ClusterID, node mesh.NodeName, service, name string) string {
	for _, cl := range c.sim.State().Clusters {
		if cl.ID == string(id) {
			return cl.Parameters[string(node)][service][name]
		}
	}
	return ""
}
