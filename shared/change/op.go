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

// op is what a step does, but for its text.
type op struct {
	name Op
	kind StepKind
	// changes says that it is for this that there is a plan: where all such steps are done
	// when the plan is made, there is nothing to do. Kinds that change entries say so
	// themselves.
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
}

// text is what a step says of itself. It stands apart from op because the function that
// carries out plans says none of it, and so does not link it.
type text struct {
	op         Op
	title, why func(c context) string
	// how is what a person does; the zero step if nobody need.
	how        func(c context) procedure.Step
	interrupts func(c context) string // nil: nothing
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
	return op{name: name, kind: Manual}
}

// texts are those of all that there are.
func texts() []text {
	return []text{
		preflightText(), setText(), awaitSyncText(), activateText(), awaitAXLText(),
		meshLinesText(), layOutText(), syncAgentText(), duplicatesText(), prepareText(),
		addEntryText(), editEntryText(), deleteEntryText(), enterCredentialsText(), askBellText(), routerDueText(), askEachText(), verifyPairText(), lookText(), verifyGoneText(), leftoversText(),
		askHAText(), disableHAText(), enableHAText(), restartText(), awaitHAText(), fallbackText(), awaitPeopleText(),
	}
}

func textOf(name Op) text {
	for _, t := range texts() {
		if t.op == name {
			return t
		}
	}
	says := func(context) string {
		return "this version of Peerkeeper does not know the step " + string(name)
	}
	return text{op: name, title: says, why: says, proof: says}
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
