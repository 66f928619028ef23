package change

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// Kind is what a plan is for.
type Kind string

// Known is what a plan is made from.
type Known struct {
	Mesh *mesh.Mesh
	// Nodes are what was last read of the nodes: their release and parameters.
	Nodes map[mesh.NodeName]peer.Node
	// Entries are the peer entries that were read to name the other end's publisher.
	Entries map[mesh.PeerID]peer.Entry
	// Aliases are how other entries name the other end: by another of its nodes, or by an
	// address. Strangers are what a cluster's entries name of which mesh.yaml knows no
	// cluster, and Unread are the clusters whose peer table has not been read.
	Aliases   map[mesh.PeerID]string
	Strangers map[mesh.ClusterID][]string
	Unread    map[mesh.ClusterID]bool
	// Users are how many users are at home in a cluster, and FirstSync how long the
	// longest full sync of it took, as far as that is known.
	Users     map[mesh.ClusterID]int
	FirstSync map[mesh.ClusterID]time.Duration
	// Changing are the pairs that a plan under way changes, each with its id.
	Changing map[mesh.PeerID]string
	// Leaving are the clusters that one takes out of the mesh.
	Leaving map[mesh.ClusterID]string
	Now     time.Time
}

// kind is all that is particular to one kind of plan.
type kind struct {
	name Kind
	// usage is what follows the name, and about what it is for, as --help has it.
	usage, about string
	// build lays out what was asked. An error is for a person, with the cure.
	build func(k Known, args []string) (*layout, error)
	// title says what the plan does, from its arguments.
	title func(h Head) string
	// mends are the checks of a preflight that fail because the plan is needed.
	mends []string
}

// kinds are all that there are.
func kinds() []kind {
	return []kind{add(), edit(), remove(), join(), leave(), rotateCredentials(), set(), activateAXL(), restartRouter(), tuneSIPProxy()}
}

// layout is a plan as it is being made: its steps are numbered as they are added.
type layout struct {
	Known
	id       string // of the plan; "" before it is made
	clusters []mesh.ClusterID
	pairs    []mesh.PeerID
	steps    []Step
	// nothing says why there is nothing to do.
	nothing string
	// leaves are the pairs that a join leaves to other plans; "" if none.
	leaves string
	// fewer is how there would be fewer steps.
	fewer string
}

// tooMany says that there are more steps than are carried out as one plan.
func (l *layout) tooMany() error {
	return usagef("that is a plan of %d steps, at most %d are carried out as one: %s", len(l.steps), MaxSteps, cmp.Or(l.fewer, "name fewer clusters"))
}

// add appends a step and gives its number.
func (l *layout) add(s Step) int {
	s.N = len(l.steps) + 1
	if s.State == "" {
		s.State = StepPending
	}
	l.steps = append(l.steps, s)
	return s.N
}

func kindOf(name Kind) (kind, bool) {
	for _, k := range kinds() {
		if k.name == name {
			return k, true
		}
	}
	return kind{}, false
}

// Usage is a kind as --help has it.
type Usage struct{ Name, Args, About string }

// Usages are the kinds that there are.
func Usages() []Usage {
	var out []Usage
	for _, k := range kinds() {
		out = append(out, Usage{string(k.name), k.usage, k.about})
	}
	return out
}

// Title says what a plan does; "" of a kind that this version does not know.
func Title(h Head) string {
	k, ok := kindOf(h.Kind)
	if !ok {
		return ""
	}
	return k.title(h)
}

// Mends says that a check of preflight fails because this kind of plan is needed.
func Mends(name Kind, check string) bool {
	k, _ := kindOf(name)
	return slices.Contains(k.mends, check)
}

// Make makes the draft of a plan from the word that asked for it. An error is for
// the person who asked: usage, or why it cannot be.
func Make(k Known, id string, w Word) (*Plan, error) {
	kind, ok := kindOf(w.Kind)
	if !ok {
		var names []string
		for _, k := range kinds() {
			names = append(names, string(k.name))
		}
		return nil, usagef("%s is no kind of plan: %s", plain.Value(w.Kind), meant(string(w.Kind), names))
	}
	l, err := kind.build(k, w.Args)
	if err != nil {
		return nil, err
	}
	p := &Plan{Head: Head{ID: id, Kind: w.Kind, Args: w.Args, By: w.Actor, Created: w.At, State: Draft, Since: k.Now}}
	if err := p.take(l); err != nil {
		return nil, err
	}
	p.Why = l.leaves
	if why := p.nothingToDo(l); why != "" {
		for i := range p.Steps {
			if !p.Steps[i].State.Over() {
				p.Steps[i].Turn(StepSkipped, k.Now, "there is nothing to do")
			}
		}
		p.Turn(Done, why, k.Now)
	}
	return p, nil
}

// take has a plan be what was laid out.
func (p *Plan) take(l *layout) error {
	if len(l.steps) > MaxSteps {
		return l.tooMany()
	}
	for _, id := range l.pairs {
		if by := l.Changing[id]; by != "" && by != p.ID {
			return fmt.Errorf("plan %s changes %s: `peerkeeper peering show %s` says how far it is; one plan at a time changes a pair", by, id, by)
		}
	}
	p.Clusters, p.Pairs, p.Steps, p.Head.Steps = l.clusters, l.pairs, l.steps, len(l.steps)
	return nil
}

// nothingToDo says that all that the plan would change is as wanted already, and by what was
// read; "" if it is not.
func (p *Plan) nothingToDo(l *layout) string {
	if l.nothing != "" {
		return l.nothing + l.read(l.pairs)
	}
	var read []string
	for i := range p.Steps {
		if s := &p.Steps[i]; opOf(s.Op).changes {
			if !s.State.Over() {
				return ""
			}
			read = append(read, fmt.Sprintf("%s: %s", cmp.Or(string(s.Node), string(s.Cluster)), s.Evidence))
		}
	}
	if len(read) == 0 {
		return ""
	}
	return "it is all as wanted already: " + plain.FirstBy(6, read, "; ")
}

// read is what was read of the entries of some pairs.
func (l *layout) read(pairs []mesh.PeerID) string {
	var read []string
	for _, id := range pairs {
		if e, there := l.Entries[id]; there {
			over := ""
			if e.Protocol != "" {
				over = " over " + strings.ToUpper(plain.Name(e.Protocol))
			}
			read = append(read, fmt.Sprintf("%s names %s%s", id.From, plain.Value(e.Address), over))
		}
	}
	if len(read) == 0 {
		return ""
	}
	return "; read: " + plain.FirstBy(6, read, "; ")
}

// nothing says that a plan had nothing to do when it was made.
func (p *Plan) nothing() bool { return p.State == Done && p.Started.IsZero() }

// NewID names a plan: short enough to be typed, and another for each asking.
func NewID(w Word) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%q|%s|%d", w.Kind, w.Args, w.Actor, w.At.UnixNano()))
	return hex.EncodeToString(sum[:3])
}

// clusterOf is the one cluster of a kind that takes one.
func clusterOf(k Known, name Kind, args []string) (*mesh.Cluster, error) {
	if err := noOption(name, args); err != nil {
		return nil, err
	}
	if len(args) != 1 {
		return nil, usagef("%s takes one cluster: one of %s", name, plain.List(k.Mesh.IDs()))
	}
	return cluster(k, args[0])
}

func cluster(k Known, id string) (*mesh.Cluster, error) {
	c, ok := k.Mesh.Cluster(mesh.ClusterID(id))
	if !ok {
		var ids []string
		for _, id := range k.Mesh.IDs() {
			ids = append(ids, string(id))
		}
		return nil, usagef("%s is no cluster of mesh %s: %s", plain.Value(id), k.Mesh.Name, meant(id, ids))
	}
	return c, nil
}

// meant offers the word that was meant, or all that there are.
func meant(got string, words []string) string {
	if near := plain.Nearest(got, words); near != "" {
		return "did you mean " + near + "?"
	}
	return "one of " + plain.List(words)
}

// UsageError is a word that no plan can take: it is put differently, not later.
type UsageError struct{ Why string }

// Error is why, with the cure.
func (e *UsageError) Error() string { return e.Why }

func usagef(format string, args ...any) error {
	return &UsageError{Why: fmt.Sprintf(format, args...)}
}

func joined(args []string) string { return strings.Join(args, " ") }
