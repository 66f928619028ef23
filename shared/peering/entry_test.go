package peering_test

import (
	"strings"
	"testing"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
)

// An entry may name a node by an address that no mesh.yaml knows.
func TestAnEntryByAnIPAddressIsNotGone(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.Mesh.Topology = "" // its pairs are listed
	r.begin(nil)
	r.Change("emea", clustersim.Peers{Peer: "apac", Address: ptr("198.51.100.7")})
	r.watch()
	id := r.ask(change.Delete, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	if p := r.plan(id); p.State == change.Stopped { // the preflight has found the address
		r.say(id, change.Word{Verb: change.Skip, Steps: []int{p.Current().N}, Text: "known"})
	}
	p := r.carriedOut(id, false, func(s *change.Step) bool { return s.Op == change.OpDeleteEntry && s.State == change.StepWaiting })
	if s := p.Current(); s.Pair.From != "emea" || !strings.Contains(s.Evidence, "mesh.yaml tells no owner of 198.51.100.7") {
		t.Errorf("%+v", s)
	}
}

func TestAnEntryForASubscriberIsNoDoneStep(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	for _, pair := range [][2]string{{"emea", "amer"}, {"amer", "emea"}} {
		r.Change(pair[0], clustersim.Peers{Peer: pair[1], Present: ptr(false)})
	}
	r.watch()
	r.audited()
	id := r.ask(change.Add, "emea", "amer")
	r.say(id, change.Word{Verb: change.Start})
	p := r.carriedOut(id, false, at(change.OpAddEntry))
	n := p.Current().N
	r.Change("emea", clustersim.Peers{Peer: "amer", Present: ptr(true), Address: ptr("imp-amer-sub.example.com")})
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{n}})
	if s := r.plan(id).Current(); s.N != n || !strings.Contains(s.Evidence, "the entry reads imp-amer-sub.example.com, and Cisco wants the publisher's node name imp-amer-pub.example.com") {
		t.Errorf("%+v", s)
	}
}

// Somebody has made the entries while mesh.yaml was on its way.
func TestAJoinWhoseEntriesAreAllThereIsDone(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	whole := r.Mesh
	r.under(unjoined(whole, "amer"))
	id := r.ask(change.Join, "amer")
	r.say(id, change.Word{Verb: change.Start})
	r.under(whole)
	r.tick()
	p := r.plan(id)
	if p.State != change.Done || !strings.Contains(p.Steps[1].Evidence, "has its entry for it") {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}

// Who says a word to a plan has edited mesh.yaml, and `peerkeeper run` goes on with the old one.
func TestAMeshYAMLThatIsNotInForceIsWaitedFor(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	whole := r.Mesh
	r.under(unjoined(whole, "amer"))
	r.watch()
	id := r.ask(change.Join, "amer")
	r.say(id, change.Word{Verb: change.Start})
	r.Mesh = whole
	r.begin(nil) // without a look of peersync
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{1}})
	if s := r.plan(id).Current(); s.N != 1 || !strings.Contains(s.Evidence, "peersync has looked by another mesh.yaml") {
		t.Errorf("%+v", s)
	}
	r.watch()
	r.tick()
	if s := r.plan(id).Current(); s != nil && s.N == 1 {
		t.Errorf("%+v", s)
	}
}
