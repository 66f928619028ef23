package change

import (
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// Op is what a step does. Steps are stored, so these stay.
type Op string

// StepKind is who does a step.
type StepKind string

// The kinds of steps. In mode observe an automatic step is a manual one, verified.
const (
	Check     StepKind = "check"
	Automatic StepKind = "automatic"
	Manual    StepKind = "manual"
	Question  StepKind = "question"
	Wait      StepKind = "wait"
)

// context is what texts are rendered from.
type context struct {
	mesh *mesh.Mesh
	plan *Plan
	step *Step
}

func (c context) cluster() *mesh.Cluster {
	cl, _ := c.mesh.Cluster(c.step.Cluster)
	return cl
}

// op is all that is particular to what a step does.
type op struct {
	name Op
	kind StepKind
	// changes says that it is for this that there is a plan.
	changes bool
	// approval says that a person approves the step by itself.
	approval bool
	// must says why the step is never skipped; "" if it may be.
	must string
	// aftermath says that it looks at what is done already: a pair does not wait for it
	// to be watched again.
	aftermath bool
	// undoes says that it is to be done even if the plan is aborted.
	undoes bool
	// lasts is how long it takes in the best case, for the estimate.
	lasts time.Duration

	title, why func(c context) string
	// how is what a person does; the zero step if nobody need.
	how        func(c context) procedure.Step
	interrupts func(c context) string
	proof      func(c context) string
	undo       func(c context) string
}

// ops are all that there are.
func ops() []op {
	return []op{
		preflightOp(), setOp(), awaitSyncOp(), activateOp(), awaitAXLOp(),
		meshLinesOp(), layOutOp(), syncAgentOp(), duplicatesOp(), prepareOp(),
		addEntryOp(), editEntryOp(), deleteEntryOp(), enterCredentialsOp(), askBellOp(), routerDueOp(), askEachOp(), verifyPairOp(), lookOp(), verifyGoneOp(), leftoversOp(),
		askHAOp(), disableHAOp(), enableHAOp(), restartOp(), awaitHAOp(), fallbackOp(), awaitPeopleOp(),
	}
}

func opOf(name Op) op {
	for _, o := range ops() {
		if o.name == name {
			return o
		}
	}
	text := func(context) string { return "this version of Peerkeeper does not know the step " + string(name) }
	return op{name: name, kind: Manual, title: text, why: text}
}

// KindOf says who does the step, in a mesh's mode.
func (s *Step) KindOf(mode mesh.Mode) StepKind {
	k := opOf(s.Op).kind
	if k == Automatic && (mode != mesh.Recover || s.Op == OpSet && s.Parameter == "") {
		return Manual // a parameter whose internal name nobody has said is set by a person
	}
	return k
}

// NeedsApproval says that a person approves the step by itself.
func (s *Step) NeedsApproval(mode mesh.Mode) bool {
	return opOf(s.Op).approval && s.KindOf(mode) == Automatic
}

// Undoes says that the step is to be done even if the plan is aborted.
func (s *Step) Undoes() bool { return opOf(s.Op).undoes }

// SignsOut says that a restart of a service signs people out.
func SignsOut(service string) bool {
	switch service {
	case peer.XCPRouter, peer.SIPProxy, peer.SRM:
		return true
	}
	return false
}
