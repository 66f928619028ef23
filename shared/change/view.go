package change

import (
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/procedure"
)

// View is a plan as people read it.
type View struct {
	ID       string           `json:"id"`
	Kind     Kind             `json:"kind"`
	Title    string           `json:"title"`
	Mesh     string           `json:"mesh"`
	Created  time.Time        `json:"created"`
	By       string           `json:"by"`
	Clusters []mesh.ClusterID `json:"clusters"`
	State    State            `json:"state"`
	Why      string           `json:"why,omitempty"`
	Since    time.Time        `json:"since"`
	// Estimate is how long what is left takes in the best case.
	Estimate string `json:"estimate"`
	// Progress is how many directed peers are as they shall be; "" of a plan that changes none.
	Progress string `json:"progress,omitempty"`
	// HalfDone is what a plan that has ended leaves half done; "" if nothing.
	HalfDone string `json:"halfDone,omitempty"`
	// Next is what a person may say now.
	Next string `json:"next,omitempty"`
	// Steps are none where there was nothing to do.
	Steps []StepView `json:"steps"`
	// Outlook is what comes beyond them; nil where nothing does, and where nobody looked.
	Outlook *Outlook `json:"outlook,omitempty"`
}

// StepView is a step as people read it.
type StepView struct {
	N       int             `json:"n"`
	Cluster mesh.ClusterID  `json:"cluster"`
	Node    mesh.NodeName   `json:"node,omitempty"`
	Pair    mesh.PeerID     `json:"pair,omitzero"`
	Kind    StepKind        `json:"kind"`
	Title   string          `json:"title"`
	Why     string          `json:"why"`
	How     *procedure.Step `json:"how,omitempty"`
	// Lines are what changes in mesh.yaml, as YAML with remarks.
	Lines      string     `json:"lines,omitempty"`
	Interrupts string     `json:"interrupts"`
	Proof      string     `json:"proof"`
	Undo       string     `json:"undo,omitempty"`
	Approval   string     `json:"approval"` // none, needed, given
	State      StepState  `json:"state"`
	Evidence   string     `json:"evidence"`
	At         *time.Time `json:"at,omitempty"` // since when it is in this state
}

// View renders a plan.
func (p *Plan) View(m *mesh.Mesh) View {
	v := View{ID: p.ID, Kind: p.Kind, Title: Title(p.Head), Mesh: m.Name, Created: p.Created, By: p.By, Clusters: p.Clusters, State: p.State, Why: p.Why, Since: p.Since, Estimate: p.estimate(m), Progress: p.Entry().Progress(), HalfDone: p.halfDone(), Next: p.next(m.Policy.Mode), Steps: []StepView{}}
	if p.nothing() {
		v.Why = "nothing is to be done: " + p.Why
		return v
	}
	for i := range p.Steps {
		v.Steps = append(v.Steps, p.view(m, &p.Steps[i]))
	}
	return v
}

// next is what a person may say now; "" if no word is waited for.
func (p *Plan) next(mode mesh.Mode) string {
	s := p.Current()
	if s == nil || p.State.Ended() || p.State == Running {
		return ""
	}
	step, skip := fmt.Sprintf("%s %d", p.ID, s.N), ""
	if opOf(s.Op).must == "" {
		skip = fmt.Sprintf("or peerkeeper peering skip %s --reason TEXT; ", step)
	}
	skip += "or peerkeeper peering abort " + p.ID
	switch {
	case p.State == Draft:
		return "peerkeeper peering start " + p.ID
	case p.State == Stopped && s.State == StepUnknown:
		return fmt.Sprintf("look, and peerkeeper peering confirm %s, if it was done; else peerkeeper peering skip %s --reason TEXT", step, step)
	case p.State == Stopped:
		return fmt.Sprintf("peerkeeper peering resume %s; %s", p.ID, skip)
	case s.NeedsApproval(mode) && s.Consent == nil:
		return fmt.Sprintf("peerkeeper peering approve %s --step %d", p.ID, s.N)
	case s.NeedsApproval(mode):
		return "" // it goes on by itself
	case s.KindOf(mode) == Question, s.Op == OpAwaitPeople:
		return "peerkeeper peering answer " + step + " yes|no"
	case s.Unseen:
		return fmt.Sprintf("it goes on when it reads so; %s", skip)
	case s.KindOf(mode) == Wait, s.KindOf(mode) == Check:
		return fmt.Sprintf("it goes on when it reads so; peerkeeper peering confirm %s where it cannot be read; %s", step, skip)
	}
	return "peerkeeper peering confirm " + step + ", once it is done"
}

func (p *Plan) view(m *mesh.Mesh, s *Step) StepView {
	o, c := textOf(s.Op), context{mesh: m, plan: p, step: s}
	text := func(f func(context) string) string {
		if f == nil {
			return ""
		}
		return f(c)
	}
	v := StepView{
		N: s.N, Cluster: s.Cluster, Node: s.Node, Pair: s.Pair, Lines: s.lines(m), Kind: s.KindOf(m.Policy.Mode), Title: text(o.title), Why: text(o.why),
		Interrupts: text(o.interrupts), Proof: text(o.proof), Undo: text(o.undo), Approval: "none", State: s.State, Evidence: s.Evidence,
	}
	if v.Interrupts == "" {
		v.Interrupts = "nothing"
	}
	if o.how != nil {
		if how := o.how(c); how != (procedure.Step{}) {
			v.How = &how
		}
	}
	if s.NeedsApproval(m.Policy.Mode) {
		v.Approval = "needed"
		if s.Consent != nil {
			v.Approval = "given"
		}
	}
	if !s.Since.IsZero() {
		v.At = &s.Since
	}
	return v
}
