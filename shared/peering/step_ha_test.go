package peering

import (
	"testing"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// ha is what the nodes of emea read: whether high availability is on, and their state.
func ha(node mesh.NodeName, on bool, state int) func(s *scene) {
	return func(s *scene) {
		s.node(node, func(n *peer.NodeReadiness) { n.HA, n.HAState = peer.Known(on, noon), peer.Known(state, noon) })
	}
}

func haOff(s *scene) { all(ha(emeaPub, false, peer.HAIdle), ha(emeaSub, false, peer.HAIdle))(s) }

func haUnread(s *scene) {
	s.node(emeaSub, func(n *peer.NodeReadiness) { n.HA = peer.Unknown[bool](peer.QueryRefused, "no such table") })
}

// haDeclared is what mesh.yaml says of both nodes, and no reading.
func haDeclared(on bool) func(s *scene) {
	return func(s *scene) {
		for _, name := range []mesh.NodeName{emeaPub, emeaSub} {
			s.node(name, func(n *peer.NodeReadiness) { n.HA = peer.Known(on, noon); n.HA.Detail = peer.DeclaredHA })
		}
	}
}

func TestWhetherToDisableHAIsAskedWhereItIsOn(t *testing.T) {
	looked(t, change.Step{Op: change.OpAskHA}, []look{
		{"on for both nodes", nil, change.StepWaiting, "for an answer: high availability is on for 2 nodes"},
		{"on for one group of two", ha(emeaSub, false, peer.HAIdle), change.StepWaiting, "for an answer: high availability is on for 1 node"},
		{"on as mesh.yaml declares it", haDeclared(true), change.StepWaiting, "for an answer: high availability is on for 2 nodes"},
		{"off", haOff, change.StepSkipped, "high availability is off: no node takes over from another"},
		{"off as mesh.yaml declares it", haDeclared(false), change.StepSkipped, "high availability is off"},
		{"off for one, and unknown of the other", all(haOff, haUnread), change.StepWaiting, "for an answer: high availability of imp-emea-sub.example.com is not known: no such table"},
		{"the cluster cannot be reached", alone, change.StepWaiting, "for an answer: no connection"},
	})
	s := newScene(t, change.Step{Op: change.OpAskHA})
	if got := s.looks(); got.Before != "imp-emea-pub.example.com imp-emea-sub.example.com" {
		t.Errorf("it is enabled again for %q", got.Before)
	}
	s.said(change.Answer)
	if got := s.looks(); got.State != change.StepDone || got.Evidence != "ada answered no" {
		t.Errorf("%+v", got)
	}
}

func TestWhetherHAIsDisabled(t *testing.T) {
	closed := func(s *scene) {
		s.Mesh.Policy.Mode = mesh.Recover
		denied(s)
	}
	observed := func(s *scene) { s.Mesh.Policy.Mode = mesh.Observe }
	const declared = "it cannot be read: the database does not tell it, and mesh.yaml declares it (ha): it must say there what is so now"
	looked(t, change.Step{Op: change.OpDisableHA}, []look{
		{"it is", haOff, change.StepDone, "high availability reads on for 0 nodes and off for 2"},
		{"of one node only", ha(emeaPub, false, peer.HAIdle), change.StepWaiting, "for a person to do it: high availability reads on for 1 node and off for 1"},
		{"mesh.yaml declares it off", haDeclared(false), change.StepWaiting, declared},
		{"and ada has disabled it", all(haDeclared(true), confirmed), change.StepDone, "ada says so; " + declared},
		{"it is not known of one node", haUnread, change.StepWaiting, "it cannot be read: high availability of imp-emea-sub.example.com is not known: no such table"},
		{"the cluster cannot be reached", alone, change.StepWaiting, "it cannot be read: no connection"},
		{"no window is open", closed, change.StepRunning, "waits for a window of policy.windows, in which the restarts are sent (denied by the window "},
		{"no window is open, and it cannot be read", all(closed, alone), change.StepRunning, "waits for a window of policy.windows"},
		{"no window is open, and it is off", all(closed, haOff), change.StepDone, "high availability reads on for 0 nodes and off for 2"},
		{"no window is open, and ada has disabled it", all(closed, confirmed), change.StepWaiting, "ada confirmed it"},
		{"no window is open for Peerkeeper, and people restart", all(closed, observed), change.StepWaiting, "for a person to do it: high availability reads on for 2 nodes and off for 0"},
	})
}

func TestWhetherHAIsEnabledAgain(t *testing.T) {
	asked := func(was string) func(s *scene) { // and disabled by ada
		return func(s *scene) {
			s.before(change.Step{Op: change.OpAskHA, Cluster: "emea", State: change.StepDone, Before: was})
			s.before(change.Step{Op: change.OpDisableHA, Cluster: "emea", State: change.StepDone, Of: 1})
			s.step.Of = 2
		}
	}
	both := asked("imp-emea-pub.example.com imp-emea-sub.example.com")
	looked(t, change.Step{Op: change.OpEnableHA}, []look{
		{"it is", both, change.StepDone, "high availability reads on for 2 nodes and off for 0"},
		{"it is off", all(both, haOff), change.StepWaiting, "for a person to do it: high availability reads on for 0 nodes and off for 2, and it was on for imp-emea-pub.example.com, imp-emea-sub.example.com"},
		{"one node is off for which it was on", all(both, ha(emeaSub, false, peer.HAIdle)), change.StepWaiting, "off for 1, and it was on for imp-emea-sub.example.com"},
		{"one node is off for which it was off before", all(asked("imp-emea-pub.example.com"), ha(emeaSub, false, peer.HAIdle)), change.StepDone, "high availability reads on for 1 node and off for 1"},
		{"nobody knew for which it was on", all(asked(""), ha(emeaSub, false, peer.HAIdle)), change.StepWaiting, "high availability reads on for 1 node and off for 1"},
		{"one node has not come back", all(both, ha(emeaPub, true, peer.HAIdle)), change.StepWaiting, "off for 0, and imp-emea-pub.example.com reads Idle"},
		{"neither has", all(both, ha(emeaPub, true, peer.HAIdle), ha(emeaSub, true, peer.HAIdle)), change.StepWaiting, "off for 0, and imp-emea-pub.example.com reads Idle"},
		{"the state of one is not told", all(both, func(s *scene) {
			s.node(emeaPub, func(n *peer.NodeReadiness) { n.HAState = peer.Unknown[int](peer.TimedOut, "") })
		}), change.StepDone, "high availability reads on for 2 nodes and off for 0"},
		{"it is not known of one node", all(both, haUnread), change.StepWaiting, "it cannot be read: high availability of imp-emea-sub.example.com is not known"},
		{"mesh.yaml declares it", all(both, haDeclared(true)), change.StepWaiting, "it cannot be read: the database does not tell it"},
	})
}
