// Package change is a change that people asked for, as a plan: a document of
// ordered steps, some of which Peerkeeper carries out through the gate, some a
// person does on Cisco's pages, and some are questions or waits.
//
// It owns the kinds of plans, the steps that each kind comes to, what each step
// says, and what a person's word does to a plan. It is pure: no clock, no network,
// no store. It never says that a step is done: package peering, which looks, does.
// Texts are rendered from a step, never stored.
package change

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// State is how far a plan is.
type State string

// The states. Waiting is for a person; Stopped is by a person, or because a step
// found what it must not go on with.
const (
	Draft   State = "draft"
	Running State = "running"
	Waiting State = "waiting"
	Stopped State = "stopped"
	Done    State = "done"
	Failed  State = "failed"
	Aborted State = "aborted"
)

// Ended says that nothing more comes of the plan.
func (s State) Ended() bool { return s == Done || s == Failed || s == Aborted }

// Active says that the plan's steps are advanced.
func (s State) Active() bool { return s == Running || s == Waiting }

// StepState is how far a step is.
type StepState string

// The states of a step. StepWaiting is for a person; StepUnknown is a change of
// which nobody can tell any more whether it was made.
const (
	StepPending StepState = "pending"
	StepRunning StepState = "running"
	StepWaiting StepState = "waiting"
	StepDone    StepState = "done"
	StepSkipped StepState = "skipped"
	StepFailed  StepState = "failed"
	StepUnknown StepState = "unknown"
)

// Over says that the step is behind the plan.
func (s StepState) Over() bool { return s == StepDone || s == StepSkipped }

// Plan is one change: its head and its steps, in order.
type Plan struct {
	Head
	Steps []Step
}

// Head is a CHANGE#id item.
type Head struct {
	ID       string           `json:"id"`
	Kind     Kind             `json:"kind"`
	Args     []string         `json:"args"` // as they were asked for
	Clusters []mesh.ClusterID `json:"clusters"`
	// Pairs wear the overlay Changing from the plan's start until each is verified.
	Pairs   []mesh.PeerID `json:"pairs,omitempty"`
	By      string        `json:"by"`
	Created time.Time     `json:"created"`
	Started time.Time     `json:"started,omitzero"`
	Steps   int           `json:"steps"`
	State   State         `json:"state"`
	// Why says what a plan that waits waits for, and why one is stopped or failed.
	Why   string    `json:"why,omitempty"`
	Since time.Time `json:"since"` // of the state
	// Stop is who stopped it; "" is Peerkeeper.
	Stop string `json:"stop,omitempty"`
	// Abort is who aborted it: what must be undone is still to be done.
	Abort string `json:"abort,omitempty"`
	// Folded is the number of the last word that was heard.
	Folded int `json:"folded"`
	// Refused are the newest words that were not obeyed, and why.
	Refused []Refused `json:"refused,omitempty"`
}

// Refused is a person's word that was not obeyed.
type Refused struct {
	N   int    `json:"n"`
	Why string `json:"why"`
}

// refusedKept bounds the words that are remembered as refused.
const refusedKept = 20

// Step is a CHANGE#id#nnn item: one step, and what became of it.
type Step struct {
	N       int            `json:"n"` // from 1
	Op      Op             `json:"op"`
	Cluster mesh.ClusterID `json:"cluster"`
	Node    mesh.NodeName  `json:"node,omitempty"`
	Service string         `json:"service,omitempty"`
	// Pair is the peer entry that the step is about: the one on From's page, which
	// names To. Zero where it is about none.
	Pair mesh.PeerID `json:"pair,omitzero"`
	// Purpose is what a parameter is for, and Parameter its internal name, as the
	// dialect has it; "" where nobody has said.
	Purpose   string `json:"purpose,omitempty"`
	Parameter string `json:"parameter,omitempty"`
	// Value is what is wanted: of a parameter as people say it, of an entry's address the
	// node name.
	Value string `json:"value,omitempty"`
	// Of is the step that this one depends on: it is skipped where that one was
	// not done, or answered no; 0 is none.
	Of int `json:"of,omitempty"`

	State    StepState `json:"state"`
	Evidence string    `json:"evidence,omitempty"`
	// Unseen says that it waits for something to be read, and that a person's word does
	// not stand in for it.
	Unseen bool      `json:"unseen,omitempty"`
	Since  time.Time `json:"since,omitzero"` // of the state
	// Began is when the step was first looked at, and Sent when an action was
	// last about to be sent.
	Began time.Time `json:"began,omitzero"`
	Sent  time.Time `json:"sent,omitzero"`
	// Failing is since when the cluster cannot be reached or read for it.
	Failing time.Time `json:"failing,omitzero"`
	// Attempt counts the actions that were meant; only one that is known not to
	// have come about is followed by another.
	Attempt int `json:"attempt,omitempty"`
	// Before is the value that was there before. People were connected to the node
	// before, and Everyone to its cluster.
	Before   string `json:"before,omitempty"`
	People   int    `json:"people,omitempty"`
	Everyone int    `json:"everyone,omitempty"`
	Counted  bool   `json:"counted,omitempty"` // People and Everyone were
	// Service's start as it was last read: an approval is for it.
	ServiceStart time.Time `json:"serviceStart,omitzero"`
	Consent      *Consent  `json:"consent,omitempty"`
	// Said is a person's confirmation, answer or skip.
	Said *Said `json:"said,omitempty"`
}

// Consent is a person's approval of one step.
type Consent struct {
	Actor string    `json:"actor"`
	At    time.Time `json:"at"`
	// ServiceStart is that of the service as the person saw it, and People how many were
	// connected to the node then, as far as it was counted.
	ServiceStart time.Time `json:"serviceStart,omitzero"`
	People       int       `json:"people,omitempty"`
}

// Said is what a person said to a step.
type Said struct {
	Verb  Verb      `json:"verb"`
	Actor string    `json:"actor"`
	At    time.Time `json:"at"`
	Yes   bool      `json:"yes,omitempty"`
	Text  string    `json:"text,omitempty"`
	// Contradicted says that it was read to be otherwise: a look that reads nothing
	// does not make it so.
	Contradicted bool `json:"contradicted,omitempty"`
}

// maxEvidence bounds what a step remembers of what was seen, in bytes.
const maxEvidence = 500

// MaxSteps bounds a plan: an item each.
const MaxSteps = 2000

// Current is the first step that is not over; nil if all are.
func (p *Plan) Current() *Step {
	for i := range p.Steps {
		if !p.Steps[i].State.Over() {
			return &p.Steps[i]
		}
	}
	return nil
}

// Step gives a step by its number; nil if the plan has none.
func (p *Plan) Step(n int) *Step {
	if n < 1 || n > len(p.Steps) {
		return nil
	}
	return &p.Steps[n-1]
}

// Approvable are the steps that wait for an approval, or will, and of whose service
// it is known since when it runs.
func (p *Plan) Approvable() []int {
	var out []int
	for i := range p.Steps {
		if s := &p.Steps[i]; opOf(s.Op).approval && !s.State.Over() && s.Consent == nil && !s.ServiceStart.IsZero() {
			out = append(out, s.N)
		}
	}
	return out
}

// Reclock puts right what a clock ahead of now noted: since when a plan or a step is
// as it is, and since when it is looked at, counts from now. When an action was about
// to be sent stays: it keeps from sending.
func (p *Plan) Reclock(now time.Time) {
	instant.CountAsNow(now, &p.Started, &p.Since)
	for i := range p.Steps {
		instant.CountAsNow(now, &p.Steps[i].Since, &p.Steps[i].Began, &p.Steps[i].Failing)
	}
}

// Sends says that an action of the step may be on its way, and that it is not known
// what became of it.
func (s *Step) Sends() bool { return s.State == StepRunning && !s.Sent.IsZero() }

// Turn gives a plan another state.
func (p *Plan) Turn(to State, why string, now time.Time) {
	if p.State != to {
		p.Since = now
	}
	p.State, p.Why = to, why
}

// Turn gives a step another state, with what was seen.
func (s *Step) Turn(to StepState, now time.Time, evidence string, args ...any) {
	if len(args) > 0 {
		evidence = fmt.Sprintf(evidence, args...)
	}
	if s.State != to {
		s.Since = now
	}
	s.State = to
	s.Evidence = bound(evidence)
	s.Unseen = false
}

// Target is what the step is done to.
func (s *Step) Target() peer.Target {
	return peer.Target{Cluster: s.Cluster, Node: s.Node, Service: s.Service, Parameter: s.Parameter}
}

// Finish ends a plan whose steps are all over.
func (p *Plan) Finish(now time.Time) {
	if p.Abort != "" {
		p.Turn(Aborted, "aborted by "+p.Abort+p.NotUndone()+p.stays(), now)
		return
	}
	p.Turn(Done, "", now)
}

// SkipDependants ends the steps that depend on one that is not done, or that was
// answered no.
func (p *Plan) SkipDependants(now time.Time) {
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Of == 0 || s.State != StepPending {
			continue
		}
		on := p.Step(s.Of)
		switch {
		case p.toUndo(s): // whether a person has done it or not, at the end it is looked at
		case on == nil || on.State == StepSkipped:
			s.Turn(StepSkipped, now, "step %d was skipped", s.Of)
		case on.State == StepDone && on.Said != nil && on.Said.Verb == Answer && !on.Said.Yes:
			s.Turn(StepSkipped, now, "step %d was answered no", s.Of)
		}
	}
}

// Entry is a plan in the PLANS item: what every function needs to know of it.
type Entry struct {
	ID       string           `json:"id"`
	Kind     Kind             `json:"kind"`
	State    State            `json:"state"`
	Clusters []mesh.ClusterID `json:"clusters"`
	Pairs    []mesh.PeerID    `json:"pairs,omitempty"` // that wear Changing now
	// AllPairs are how many pairs the plan changes, and DonePairs of how many that was
	// verified.
	AllPairs  int       `json:"allPairs,omitempty"`
	DonePairs int       `json:"donePairs,omitempty"`
	Step      int       `json:"step,omitempty"` // the one under way; 0 is none
	Steps     int       `json:"steps"`
	Why       string    `json:"why,omitempty"`
	Since     time.Time `json:"since"`
	Stop      string    `json:"stop,omitempty"` // who stopped it; "" is Peerkeeper
	Folded    int       `json:"folded"`
	// Holds is what the plan keeps as it should not stay; "" if nothing.
	Holds string `json:"holds,omitempty"`
	// Sent says that an action was sent of which it is not known what became.
	Sent bool `json:"sent,omitempty"`
}

// Entry is what the PLANS item says of the plan: of one that has ended how far its
// words were heard, for it stands there as long as they do.
func (p *Plan) Entry() Entry {
	if p.State.Ended() {
		return Entry{ID: p.ID, Kind: p.Kind, State: p.State, Since: p.Since, Folded: p.Folded}
	}
	e := Entry{ID: p.ID, Kind: p.Kind, State: p.State, Clusters: p.Clusters, Steps: len(p.Steps), Why: bound(p.Why), Since: p.Since, Stop: p.Stop, Folded: p.Folded}
	if p.State.Active() || p.State == Stopped {
		open, waits := p.openPairs()
		e.Pairs, e.AllPairs, e.DonePairs = open, len(p.Pairs), p.verified(open)
		if waits {
			e.Pairs = p.Pairs
		}
		if s := p.Current(); s != nil {
			e.Step, e.Sent, e.Holds = s.N, s.Sends(), bound(p.holds(s))
		}
	}
	return e
}

// holds is what the plan keeps as it should not stay while its step waits.
func (p *Plan) holds(s *Step) string {
	out := strings.TrimPrefix(p.NotUndone(), "; ")
	if s.Locks() {
		out = strings.TrimPrefix(fmt.Sprintf("%s; repairs of %s are held", out, s.Cluster), "; ")
	}
	return out
}

// Locks says that a step changes its cluster, or that what it changed is not settled: one
// that waits, for consent, a window, another plan or a sync, changes nothing, and two that
// wait would keep each other waiting. Neither repairs nor other plans act on the cluster
// meanwhile.
func (s *Step) Locks() bool {
	switch s.Op {
	case OpSet, OpActivate, OpRestart:
		return s.Sends()
	case OpAwaitAXL, OpVerifyPair: // of the last, a first full sync that a restart of ICSA would begin again
		return s.State == StepRunning
	case OpAwaitHA, OpFallback, OpAwaitPeople:
		return true
	}
	return false
}

// openPairs are the pairs of which a step that changes or verifies them is not over. waits
// says that mesh.yaml is still to say something else, which concerns all of them.
func (p *Plan) openPairs() (pairs []mesh.PeerID, waits bool) {
	open := map[mesh.PeerID]bool{}
	for i := range p.Steps {
		s := &p.Steps[i]
		switch {
		case s.State.Over():
		case s.Op == OpMeshLines:
			waits = true
		case s.Op == OpLayOut: // their steps are still to come
			return slices.Clone(p.Pairs), true
		case !s.Pair.IsZero() && !opOf(s.Op).aftermath:
			open[s.Pair], open[s.Pair.Reverse()] = true, true
		}
	}
	for _, id := range p.Pairs {
		if open[id] {
			pairs = append(pairs, id)
		}
	}
	return pairs, waits
}

// verified is how many pairs are neither open nor were left out when they were verified last:
// what is put off is verified later.
func (p *Plan) verified(open []mesh.PeerID) int {
	not := map[mesh.PeerID]bool{}
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Op == OpVerifyPair || s.Op == OpVerifyGone {
			not[s.Pair] = s.State == StepSkipped
		}
	}
	for _, id := range open {
		not[id] = true
	}
	done := len(p.Pairs)
	for _, left := range not {
		if left {
			done--
		}
	}
	return done
}

// PairsOf are the plan's pairs that have an end at a cluster.
func (p *Plan) PairsOf(id mesh.ClusterID) []mesh.PeerID {
	var out []mesh.PeerID
	for _, pair := range p.Pairs {
		if pair.From == id || pair.To == id {
			out = append(out, pair)
		}
	}
	return out
}

// Ends says that the plan ends the pairs that it changes: how they are does not matter.
func (h Head) Ends() bool { return h.Kind == Delete || h.Kind == Leave }

// Needs are the clusters that mesh.yaml must have for a step.
func (p *Plan) Needs(s *Step) []mesh.ClusterID {
	switch {
	case s.Op == OpMeshLines, s.Op == OpLayOut:
		return nil
	case s.Pair.IsZero() && len(p.Pairs) > 0:
		return []mesh.ClusterID{s.Cluster}
	case s.Pair.IsZero():
		return p.Clusters
	}
	return []mesh.ClusterID{s.Pair.From, s.Pair.To}
}

// Reason is why the plan does not go on, without the number of its step.
func (e Entry) Reason() string {
	return strings.TrimPrefix(e.Why, fmt.Sprintf("step %d: ", e.Step))
}

// Progress says how many of the plan's directed peers are as they shall be; "" of a plan
// that changes none.
func (e Entry) Progress() string {
	if e.AllPairs == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %s done", e.DonePairs, plain.Count(e.AllPairs, "directed peer is", "directed peers are"))
}

// Plans is the PLANS item: the plans that run, wait or are stopped, and how far
// the words of those that have ended were heard.
type Plans struct {
	Plans []Entry `json:"plans,omitempty"`
}

// Find gives a plan's entry.
func (p Plans) Find(id string) (Entry, bool) {
	i := slices.IndexFunc(p.Plans, func(e Entry) bool { return e.ID == id })
	if i < 0 {
		return Entry{}, false
	}
	return p.Plans[i], true
}

// Changing are the pairs that wear the overlay, each with its plan.
func (p Plans) Changing() map[mesh.PeerID]string {
	out := map[mesh.PeerID]string{}
	for _, e := range p.Plans {
		if e.State.Ended() || e.State == Draft {
			continue
		}
		for _, id := range e.Pairs {
			out[id] = e.ID
		}
	}
	return out
}

// Leaving are the clusters that a plan under way takes out of the mesh, each with its plan.
func (p Plans) Leaving() map[mesh.ClusterID]string {
	out := map[mesh.ClusterID]string{}
	for _, e := range p.Plans {
		if e.Kind == Leave && !e.State.Ended() && e.State != Draft && len(e.Clusters) > 0 {
			out[e.Clusters[0]] = e.ID
		}
	}
	return out
}

func bound(s string) string {
	if len(s) <= maxEvidence {
		return s
	}
	return strings.ToValidUTF8(s[:maxEvidence], "") + "…" // a rune that is cut is left out
}
