package peering_test

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
)

// listed is a mesh whose pairs are listed, of which nobody has said how its peer tables are
// read.
func listed(t *testing.T) *rig {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.Mesh.Topology = ""
	r.unmapped()
	r.pass(time.Hour) // until the logs have told of syncs
	return r
}

func gone(from mesh.ClusterID) func(*change.Step) bool {
	return func(s *change.Step) bool { return s.Op == change.OpVerifyGone && s.Cluster == from }
}

// TestWithoutADialectNobodyIsAskedAgainWhetherEntriesAreGone: the copies that they brought
// are gone with them.
func TestWithoutADialectNobodyIsAskedAgainWhetherEntriesAreGone(t *testing.T) {
	r := listed(t)
	id := r.ask(change.Delete, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	r.carriedOut(id, false, at(change.OpVerifyGone))
	for range 24 {
		if r.plan(id).Current().Op != change.OpVerifyGone {
			break
		}
		r.pass(5 * time.Minute)
		if p := r.plan(id); p.State == change.Waiting && p.Current().Op == change.OpVerifyGone {
			t.Fatalf("it waits for a person: %s", p.Why)
		}
	}
	p := r.expect(id, change.Waiting, 8)
	for _, n := range []int{6, 7} {
		s := p.Step(n)
		if s.State != change.StepDone || s.Said != nil || !strings.Contains(s.Evidence, "of which there were 60: by that the entry is gone (inferred), and ") || !strings.Contains(s.Evidence, "nobody need confirm it, though it cannot be read: how the peer table is read has not been said") {
			t.Errorf("%+v", s)
		}
	}
}

// TestWithoutADialectAForgottenEntryIsNotGone: somebody says that both are deleted. When it
// is deleted in the end, the silence of Cisco's log is waited for, and nobody is asked.
func TestWithoutADialectAForgottenEntryIsNotGone(t *testing.T) {
	r := listed(t)
	id := r.ask(change.Delete, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	p := r.carriedOut(id, false, at(change.OpDeleteEntry))
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{p.Current().N}}) // and does nothing
	r.carriedOut(id, false, gone("emea"))
	r.pass(3 * time.Hour)
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{r.plan(id).Current().N}})
	s := r.plan(id).Current()
	if s.State != change.StepWaiting || !strings.Contains(s.Evidence, "60 copies of users of apac are still there; ada confirmed it at") {
		t.Errorf("%+v", s)
	}
	r.Change("emea", clustersim.Peers{Peer: "apac", Present: ptr(false)})
	for range 24 {
		r.pass(5 * time.Minute)
		if s = r.plan(id).Step(s.N); s.State != change.StepRunning {
			break
		}
		if !strings.Contains(s.Evidence, "but Cisco's log of emea tells of a sync of it at") {
			t.Errorf("%+v", s)
		}
	}
	if s.State != change.StepDone || !strings.Contains(s.Evidence, "the entry is gone") {
		t.Errorf("%+v", s)
	}
}

// TestWhereNoCopiesWereTheirAbsenceShowsNothing: apac has no users any more when it is taken
// apart, and a person is asked with both facts.
func TestWhereNoCopiesWereTheirAbsenceShowsNothing(t *testing.T) {
	r := listed(t)
	r.Change("apac", clustersim.Users{Remove: 60})
	r.pass(time.Hour)
	id := r.ask(change.Delete, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	r.carriedOut(id, false, gone("emea"))
	r.pass(2 * time.Hour)
	s := r.plan(id).Current()
	for _, want := range []string{"for a person to look and confirm it: ada said at ", "that the entry is deleted (step 4); no copies of users of apac are there, but none were known before either; it cannot be read: how the peer table"} {
		if s.State != change.StepWaiting || !strings.Contains(s.Evidence, want) {
			t.Errorf("want %q: %+v", want, s)
		}
	}
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{s.N}})
	if s = r.plan(id).Step(s.N); s.State != change.StepDone || !strings.Contains(s.Evidence, "ada says so") {
		t.Errorf("%+v", s)
	}
}
