package peering

import (
	"fmt"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// router is the router of emea's publisher, which the plan came to half an hour ago.
var router = change.Step{Op: change.OpRestart, Node: emeaPub, Service: peer.XCPRouter, Began: ago(30 * time.Minute), State: change.StepRunning}

// up has the router run for so long.
func up(d time.Duration) func(s *scene) {
	return func(s *scene) { s.service(peer.XCPRouter, peer.Service{Status: "Started", UpTime: d}) }
}

func badReplication(s *scene) {
	s.node(emeaSub, func(n *peer.NodeReadiness) { n.Replication = peer.Known(3, noon) })
}

func peopleUnread(s *scene) {
	s.node(emeaSub, func(n *peer.NodeReadiness) { n.People = peer.Unknown[int](peer.TimedOut, "") })
}

func TestWhetherAPersonHasRestartedTheRouter(t *testing.T) {
	looked(t, router, []look{
		{"it runs since before", nil, change.StepWaiting, "for a person to do it: Started, up since 2026-03-01 12:00 UTC; 100 people are connected to it, who will be signed out"},
		{"it was restarted", up(29 * time.Minute), change.StepDone, "Started, up since 2026-03-02 11:31 UTC."},
		{"this very second", up(0), change.StepDone, "Started, up since 2026-03-02 12:00 UTC"},
		{"just when the plan came to it", up(30*time.Minute + 59*time.Second), change.StepDone, "Started, up since 2026-03-02 11:29 UTC"},
		{"more than a minute before", up(31 * time.Minute), change.StepWaiting, "Started, up since 2026-03-02 11:29 UTC; 100 people"},
		{"it is down", func(s *scene) { s.service(peer.XCPRouter, peer.Service{Status: "Starting", UpTime: -1}) }, change.StepWaiting, "it is Starting: the plan goes on when it reads Started; do not press Restart again."},
		{"it is on its way, as ada says", func(s *scene) {
			s.service(peer.XCPRouter, peer.Service{Status: "Stopping", UpTime: -1})
			s.step.Said = &change.Said{Verb: change.Confirm, Actor: "ada", At: ago(time.Minute)}
		}, change.StepWaiting, "it is Stopping: the plan goes on when it reads Started; do not press Restart again; ada confirmed it at "},
		{"it is stopped", func(s *scene) { s.service(peer.XCPRouter, peer.Service{Status: "Stopped", UpTime: -1}) }, change.StepWaiting, "for a person to do it: Stopped; how many people are connected to it could not be read"},
		{"its up-time is not told", up(-1), change.StepWaiting, "for a person to do it: Started; 100 people"},
		{"replication is bad", badReplication, change.StepWaiting, "; do not restart it now: database replication (Replicate_State) of imp-emea-sub.example.com is 3 (bad)"},
		{"a node does not tell who is connected", peopleUnread, change.StepWaiting, "; how many people are connected to it could not be read; they will be signed out"},
		{"the node does not list it", func(s *scene) { s.service(peer.ICSA, peer.Service{Status: "Started"}) }, change.StepWaiting, "it cannot be read: imp-emea-pub.example.com does not list Cisco XCP Router"},
		{"the cluster cannot be reached", alone, change.StepWaiting, "it cannot be read: no connection"},
	})
	sync := router
	sync.Service = peer.ICSA
	looked(t, sync, []look{
		{"a restart of ICSA signs nobody out", badReplication, change.StepWaiting, "for a person to do it: Started, up since 2026-03-01 12:00 UTC; the syncs of every peer of the cluster stop for some minutes"},
	})
}

func TestARestartIsAnnouncedBeforeItIsApproved(t *testing.T) {
	recover := func(s *scene) { s.Mesh.Policy.Mode = mesh.Recover }
	approved := func(s *scene) { recover(s); s.step.Consent = &change.Consent{Actor: "ada", At: ago(time.Minute)} }
	looked(t, router, []look{
		{"with the people who are connected", recover, change.StepWaiting, "for an approval: 100 people are connected to it, who will be signed out"},
		{"nobody takes over", all(recover, haOff), change.StepWaiting, "who will be signed out; nobody takes over meanwhile"},
		{"it could not be done", all(recover, badReplication), change.StepWaiting, "it could not be done now: database replication (Replicate_State) of imp-emea-sub.example.com is 3"},
		{"it was tried once", all(recover, func(s *scene) { s.step.Attempt = 2 }), change.StepWaiting, "who will be signed out; attempt 1 came to nothing, as `peerkeeper history` tells"},
		{"it is to be tried for the first time", all(recover, func(s *scene) { s.step.Attempt = 1 }), change.StepWaiting, "who will be signed out."},
		{"the cluster cannot be reached", all(recover, alone), change.StepWaiting, "emea cannot be read: no connection"},
		{"it is approved, and cannot be done", all(approved, badReplication), change.StepFailed, "database replication (Replicate_State) of imp-emea-sub.example.com is 3"},
		{"it is approved, and waits for an upgrade", all(approved, upgrading), change.StepRunning, "waits: emea>apac is Upgrading"},
		{"it is under way, and the cluster cannot be reached", all(upgrading, alone, func(s *scene) { s.step.Attempt, s.step.Sent = 1, ago(24*time.Hour) }), change.StepUnknown, "it was about to be sent at 2026-03-01T12:00:00Z"},
		{"it was not sent the first time, and is not approved", all(recover, func(s *scene) { s.step.Attempt = 1; s.step.Consent = nil }), change.StepWaiting, "for an approval: 100 people"},
		{"one person", all(recover, func(s *scene) { s.node(emeaPub, func(n *peer.NodeReadiness) { n.People = peer.Known(1, noon) }) }), change.StepWaiting, "1 person is connected to it, who will be signed out"},
	})
	s := newScene(t, router)
	all(recover, up(24*time.Hour))(s)
	got := s.looks()
	if got.Evidence != "for an approval: 100 people are connected to it, who will be signed out" || got.People != 100 || got.Everyone != 200 || !got.Counted || !got.ServiceStart.Equal(ago(24*time.Hour)) {
		t.Errorf("%+v", got)
	}
	up(-1)(s) // what was known of its start stays
	if got := s.looks(); !got.ServiceStart.Equal(ago(24 * time.Hour)) {
		t.Errorf("%+v", got)
	}
	sync := router
	sync.Service = peer.ICSA
	looked(t, sync, []look{
		{"of ICSA by the syncs that stop", all(recover, haOff, badReplication), change.StepWaiting, "for an approval: the syncs of every peer of the cluster stop for some minutes"},
	})
}

// restarted puts the restart of emea's publisher's router before the step, done so long ago,
// with so many people connected to the node and to the cluster before.
func restarted(d time.Duration, people, everyone int) func(s *scene) {
	return func(s *scene) {
		step := router
		step.Cluster, step.State, step.Since, step.People, step.Everyone, step.Counted = "emea", change.StepDone, ago(d), people, everyone, true
		s.before(step)
		s.step.Of = 1
	}
}

func failedOver1(s *scene) { ha(emeaPub, true, 7)(s) }

func TestAGroupHasAQuarterOfAnHourToSettle(t *testing.T) {
	notSettled := "SRMState of imp-emea-sub.example.com is 7"
	unsettled := func(s *scene) { s.node(emeaSub, func(n *peer.NodeReadiness) { n.SRM = peer.Known(7, noon) }) }
	stateless := func(s *scene) {
		s.node(emeaPub, func(n *peer.NodeReadiness) { n.HAState = peer.Unknown[int](peer.TimedOut, "") })
	}
	looked(t, change.Step{Op: change.OpAwaitHA, Node: emeaPub}, []look{
		{"it is settled", restarted(time.Minute, 100, 200), change.StepDone, "imp-emea-pub.example.com reads Normal"},
		{"it is not", all(restarted(15*time.Minute, 100, 200), unsettled), change.StepRunning, notSettled},
		{"nor after a quarter of an hour", all(restarted(16*time.Minute+30*time.Second, 100, 200), unsettled), change.StepWaiting, "for a person: not settled 16 min after the restart: " + notSettled},
		{"it has failed over", all(restarted(16*time.Minute, 100, 200), ha(emeaSub, true, 5)), change.StepDone, "its group has failed over: the high availability of imp-emea-sub.example.com reads "},
		{"it has failed over, which may pass", all(restarted(15*time.Minute, 100, 200), ha(emeaSub, true, 5)), change.StepRunning, "the high availability of imp-emea-sub.example.com reads "},
		{"a node is Idle, which is no failover", all(restarted(16*time.Minute, 100, 200), ha(emeaSub, true, peer.HAIdle)), change.StepWaiting, "for a person: not settled 16 min after the restart"},
		{"a node of another group has failed over", all(restarted(16*time.Minute, 100, 200), badReplication, ha(emeaSub, true, 5), func(s *scene) {
			s.node(emeaSub, func(n *peer.NodeReadiness) { n.Group = peer.Known("other", noon) })
		}), change.StepWaiting, "for a person: not settled 16 min after the restart: database replication"},
		{"the cluster cannot be reached", all(restarted(time.Minute, 100, 200), alone), change.StepRunning, "no connection"},
		{"and ada has seen it settled", all(restarted(time.Minute, 100, 200), alone, confirmed), change.StepDone, "ada says so; it cannot be read: no connection"},
		{"ada has, and it reads otherwise", all(restarted(16*time.Minute, 100, 200), unsettled, confirmed), change.StepWaiting, "for a person: not settled 16 min after the restart"},
		{"its state is not told", all(restarted(time.Minute, 100, 200), stateless), change.StepRunning, "the high availability state of imp-emea-pub.example.com could not be read (TimedOut)"},
	})
}

// Whether a node's own group has failed over: of a node whose group is not told it may be.
func TestWhoseFailoverANodesIs(t *testing.T) {
	node := func(group string, state int) peer.NodeReadiness {
		n := peer.NodeReadiness{HAState: peer.Known(state, noon)}
		if group != "" {
			n.Group = peer.Known(group, noon)
		}
		return n
	}
	const failed = 5
	for _, tt := range []struct {
		name   string
		own    peer.NodeReadiness
		others []peer.NodeReadiness
		want   bool
	}{
		{"its own", node("a", failed), nil, true},
		{"its partner's", node("a", peer.HANormal), []peer.NodeReadiness{node("b", peer.HANormal), node("b", peer.HAIdle), node("b", peer.HANormal), node("a", failed)}, true},
		{"another group's", node("a", peer.HANormal), []peer.NodeReadiness{node("b", failed)}, false},
		{"that of one whose group is not told", node("a", peer.HANormal), []peer.NodeReadiness{node("", failed)}, true},
		{"another's, and its own group is not told", node("", peer.HANormal), []peer.NodeReadiness{node("b", failed)}, true},
		{"nobody's", node("a", peer.HAIdle), []peer.NodeReadiness{node("a", peer.HANormal)}, false},
	} {
		r := peer.Readiness{Nodes: map[mesh.NodeName]peer.NodeReadiness{emeaPub: tt.own}}
		for i, n := range tt.others {
			r.Nodes[mesh.NodeName(fmt.Sprintf("imp-emea-%d.example.com", i))] = n
		}
		for range 20 { // in whichever order the nodes come
			if got := failedOver(r, emeaPub); got != tt.want {
				t.Fatalf("%s: %v", tt.name, got)
			}
		}
	}
}

func TestANodeThatFailedOverIsFallenBack(t *testing.T) {
	looked(t, change.Step{Op: change.OpFallback, Node: emeaPub}, []look{
		{"it had not failed over", restarted(20*time.Minute, 100, 200), change.StepSkipped, "its group has not failed over"},
		{"it comes back by itself", all(restarted(44*time.Minute, 100, 200), failedOver1), change.StepWaiting, "; with automatic fallback it comes back by itself until 2026-03-02 12:01 UTC"},
		{"it is back", all(restarted(50*time.Minute, 100, 200), func(s *scene) { s.step.State, s.step.Began = change.StepWaiting, ago(20*time.Minute) }), change.StepDone, "imp-emea-pub.example.com reads Normal"},
		{"ada has, and it is", all(restarted(50*time.Minute, 100, 200), confirmed), change.StepDone, "imp-emea-pub.example.com reads Normal; confirmed by ada"},
		{"the cluster cannot be reached", all(restarted(50*time.Minute, 100, 200), alone), change.StepWaiting, "it cannot be read: no connection"},
	})
	s := newScene(t, change.Step{Op: change.OpFallback, Node: emeaPub})
	all(restarted(45*time.Minute, 100, 200), failedOver1)(s)
	if got := s.looks(); got.State != change.StepWaiting || got.Evidence != "for a person to do it: the high availability of imp-emea-pub.example.com reads "+peer.HAWord(7)+"; it must be Normal" {
		t.Errorf("when it should have come back by itself: %s", got.Evidence)
	}
}

func TestFourOfFivePeopleMustBeBack(t *testing.T) {
	connected := func(pub, sub int) func(s *scene) {
		return func(s *scene) {
			for name, n := range map[mesh.NodeName]int{emeaPub: pub, emeaSub: sub} {
				s.node(name, func(of *peer.NodeReadiness) { of.People = peer.Known(n, noon) })
			}
		}
	}
	approvedFor := func(people int) func(s *scene) {
		return func(s *scene) { s.plan.Steps[0].Consent = &change.Consent{Actor: "ada", People: people} }
	}
	uncounted := func(s *scene) { s.plan.Steps[0].Counted = false }
	answered := func(yes bool) func(s *scene) {
		return func(s *scene) {
			s.step.Began, s.step.State, s.step.Evidence = ago(time.Hour), change.StepWaiting, "110 people"
			s.said(change.Answer)
			s.step.Said.Yes = yes
		}
	}
	looked(t, change.Step{Op: change.OpAwaitPeople, Node: emeaPub}, []look{
		{"all are", restarted(time.Minute, 100, 200), change.StepDone, "200 people are connected to emea; 200 were before"},
		{"four of five of the node's are", all(restarted(time.Minute, 100, 200), connected(0, 180)), change.StepDone, "180 people are connected to emea; 200 were before"},
		{"one fewer is", all(restarted(30*time.Minute, 100, 200), connected(0, 179)), change.StepRunning, "179 people are connected to emea; 200 were before"},
		{"nor after half an hour", all(restarted(31*time.Minute, 100, 200), connected(0, 179)), change.StepWaiting, "for an answer: go on all the same? 179 people are connected to emea; 200 were before"},
		{"more than before are", all(restarted(time.Minute, 100, 150), connected(100, 100)), change.StepDone, "200 people are connected to emea; 150 were before"},
		{"nineteen are too few", all(restarted(time.Minute, 19, 200), connected(0, 0)), change.StepDone, "19 people were connected to it: too few to wait for"},
		{"nineteen are too few, where twenty were when it was approved", all(restarted(time.Minute, 19, 200), approvedFor(20)), change.StepDone, "19 people were connected to it when it was sent, of 20 when ada approved it, and who had gone by then was not signed out by it: too few to wait for."},
		{"where nineteen were already", all(restarted(time.Minute, 19, 200), approvedFor(19)), change.StepDone, "19 people were connected to it: too few to wait for."},
		{"twenty are not", all(restarted(time.Minute, 20, 200), connected(0, 0)), change.StepRunning, "0 people are connected to emea; 200 were before"},
		{"one was", all(restarted(time.Minute, 1, 200), connected(0, 0)), change.StepDone, "1 person was connected to it: too few to wait for"},
		{"nobody knows how many were", all(restarted(time.Minute, 0, 0), uncounted), change.StepRunning, "how many people are connected, or were before, cannot be read"},
		{"a node does not tell", all(restarted(time.Minute, 100, 200), peopleUnread), change.StepRunning, "how many people are connected, or were before, cannot be read"},
		{"the cluster cannot be reached", all(restarted(31*time.Minute, 100, 200), alone), change.StepWaiting, "for an answer: go on all the same? how many people are connected, or were before, cannot be read"},
		{"ada goes on", all(restarted(time.Hour, 100, 200), connected(0, 0), answered(true)), change.StepDone, "ada goes on; before: 110 people"},
		{"ada does not", all(restarted(time.Hour, 100, 200), answered(false)), change.StepFailed, "ada stops here: 110 people"},
		{"what ada said before it was asked is no answer", all(restarted(time.Minute, 100, 200), connected(0, 0), answered(true), func(s *scene) { s.step.State = change.StepRunning }), change.StepRunning, "0 people are connected to emea; 200 were before"},
		{"a confirmation is no answer", all(restarted(time.Hour, 100, 200), connected(0, 0), answered(true), confirmed), change.StepWaiting, "for an answer: go on all the same? 0 people"},
	})
}
