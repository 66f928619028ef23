package peering

import (
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// Control Center's words for a service that is not there.
var notActivated = peer.Service{Status: "Stopped", UpTime: -1, Code: peer.CodeNotActivated}

func servicesUnread(n *peer.NodeReadiness) {
	n.Services = peer.Unknown[map[string]peer.Service](peer.TimedOut, "no answer within 10 s")
}

func TestWhetherAPersonHasActivatedAXL(t *testing.T) {
	looked(t, change.Step{Op: change.OpActivate, Node: emeaPub, Service: peer.AXL}, []look{
		{"it is activated and runs", nil, change.StepDone, "Started (Cisco AXL Web Service)"},
		{"it is activated and stopped", func(s *scene) { s.service(peer.AXL, peer.Service{Status: "Stopped", UpTime: -1}) }, change.StepDone, "Stopped (Cisco AXL Web Service)"},
		{"it is not activated", func(s *scene) { s.service(peer.AXL, notActivated) }, change.StepWaiting, "for a person to do it: Stopped (Cisco AXL Web Service)"},
		{"the node does not list it", func(s *scene) { s.service(peer.ICSA, peer.Service{Status: "Started"}) }, change.StepWaiting, "cannot be read: imp-emea-pub.example.com does not list Cisco AXL Web Service"},
		{"the node's services were not read", func(s *scene) { s.node(emeaPub, servicesUnread) }, change.StepWaiting, "cannot be read: the services of imp-emea-pub.example.com are not known: no answer within 10 s"},
		{"the cluster cannot be reached", alone, change.StepWaiting, "cannot be read: no connection"},
		{"and ada says that it is done", all(alone, confirmed), change.StepDone, "ada says so; it cannot be read: no connection"},
		{"mode recover cannot read whether it is", all(upgrading, alone), change.StepRunning, "waits: emea>apac is Upgrading"},
		{"mode recover does not see it listed", all(upgrading, func(s *scene) { s.service(peer.ICSA, notActivated) }), change.StepRunning, "waits: emea>apac is Upgrading"},
		{"mode recover finds it not activated", all(upgrading, func(s *scene) { s.service(peer.AXL, notActivated) }), change.StepRunning, "waits: emea>apac is Upgrading"},
		{"mode recover finds it activated", func(s *scene) { s.Mesh.Policy.Mode = mesh.Recover }, change.StepDone, "it is activated: Started"},
	})
}

func TestAnActivatedServiceHasTenMinutesToRun(t *testing.T) {
	starting := func(since time.Duration) func(s *scene) {
		return func(s *scene) {
			s.service(peer.AXL, peer.Service{Status: "Starting", UpTime: -1})
			s.step.Began = ago(since)
		}
	}
	unlisted := func(s *scene) { s.service(peer.ICSA, peer.Service{Status: "Started"}) }
	looked(t, change.Step{Op: change.OpAwaitAXL, Node: emeaPub, Service: peer.AXL}, []look{
		{"it runs", nil, change.StepDone, "it is Started"},
		{"it has ten minutes", starting(10 * time.Minute), change.StepRunning, "waits until it is Started"},
		{"and no more", starting(11 * time.Minute), change.StepFailed, "it is Starting, 11 min after it was activated"},
		{"the cluster cannot be reached", all(starting(10*time.Minute), alone), change.StepRunning, "waits until it is Started"},
		{"nor after ten minutes", all(starting(11*time.Minute), alone), change.StepWaiting, "for a person: whether it runs cannot be read: no connection"},
		{"the node does not list it", all(starting(11*time.Minute), unlisted), change.StepWaiting, "cannot be read: imp-emea-pub.example.com does not list"},
		{"ada has seen it run", all(alone, confirmed), change.StepDone, "ada says so; it cannot be read: no connection"},
		{"ada has seen it run and the node does not list it", all(unlisted, confirmed), change.StepDone, "ada says so; it cannot be read: imp-emea-pub.example.com does not list"},
		{"ada has seen it run, and it reads otherwise", all(starting(11*time.Minute), confirmed), change.StepFailed, "it is Starting"},
	})
}
