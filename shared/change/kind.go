package change

import (
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
	Now   time.Time
}

// kind is all that is particular to one kind of plan.
type kind struct {
	name Kind
	// usage is what follows the name, and about what it is for, as --help has it.
	usage, about string
	// build gives clusters and steps for what was asked. An error is for a person,
	// with the cure.
	build func(k Known, args []string) ([]mesh.ClusterID, []Step, error)
	// title says what the plan does, from its arguments.
	title func(h Head) string
	// mends are the checks of a preflight that fail because the plan is needed.
	mends []string
}

// kinds are all that there are.
func kinds() []kind { return []kind{set(), activateAXL(), restartRouter(), tuneSIPProxy()} }

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
		return nil, usagef("%s is no kind of plan: %s", plain.Value(w.Kind), plain.Nearest(string(w.Kind), names))
	}
	clusters, steps, err := kind.build(k, w.Args)
	if err != nil {
		return nil, err
	}
	if len(steps) > MaxSteps {
		return nil, usagef("that is a plan of %d steps, at most %d are carried out as one: name fewer clusters", len(steps), MaxSteps)
	}
	p := &Plan{Head: Head{ID: id, Kind: w.Kind, Args: w.Args, Clusters: clusters, By: w.Actor, Created: w.At, Steps: len(steps), State: Draft, Since: k.Now}, Steps: steps}
	for i := range p.Steps {
		s := &p.Steps[i]
		s.N = i + 1
		if s.State == "" {
			s.State = StepPending
		}
	}
	if p.nothingToDo() {
		for i := range p.Steps {
			if !p.Steps[i].State.Over() {
				p.Steps[i].Turn(StepSkipped, k.Now, "there is nothing to do")
			}
		}
		p.Turn(Done, "it is all as wanted already", k.Now)
	}
	return p, nil
}

// nothingToDo says that all that the plan would change is as wanted already.
func (p *Plan) nothingToDo() bool {
	changes := false
	for i := range p.Steps {
		if opOf(p.Steps[i].Op).changes {
			changes = true
			if !p.Steps[i].State.Over() {
				return false
			}
		}
	}
	return changes
}

// NewID names a plan: short enough to be typed, and another for each asking.
func NewID(w Word) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%q|%s|%d", w.Kind, w.Args, w.Actor, w.At.UnixNano()))
	return hex.EncodeToString(sum[:3])
}

// clusterOf is the one cluster of a kind that takes one.
func clusterOf(k Known, name Kind, args []string) (*mesh.Cluster, error) {
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
		return nil, usagef("%s is no cluster of mesh %s: %s", plain.Value(id), k.Mesh.Name, plain.Nearest(id, ids))
	}
	return c, nil
}

// UsageError is a word that no plan can take: it is put differently, not later.
type UsageError struct{ Why string }

// Error is why, with the cure.
func (e *UsageError) Error() string { return e.Why }

func usagef(format string, args ...any) error {
	return &UsageError{Why: fmt.Sprintf(format, args...)}
}

func joined(args []string) string { return strings.Join(args, " ") }
