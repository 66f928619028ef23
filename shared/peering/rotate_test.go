package peering_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
)

// unlisted has mesh.yaml list the pairs of apac alone: emea and amer have entries for each
// other of which it does not tell.
func unlisted(t *testing.T) *rig {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	m := *r.Mesh
	m.Topology = ""
	m.Peers = slices.DeleteFunc(slices.Clone(m.Peers), func(p mesh.Peer) bool { return p.ID.From != "apac" && p.ID.To != "apac" })
	r.under(&m)
	return r
}

// enters has people enter the new password of amer in the entries that a plan has steps for,
// up to where it is waited for.
func (r *rig) enters(id string, password func(s *change.Step) string) *change.Step {
	r.t.Helper()
	r.carriedOut(id, false, func(s *change.Step) bool { return s.Purpose == "password" })
	r.Change("amer", clustersim.Credentials{Account: "intercluster", Password: ptr("another")})
	for range 20 {
		s := r.carriedOut(id, false, func(s *change.Step) bool {
			return s.Op == change.OpEnterCredentials || s.Op == change.OpVerifyPair
		}).Current()
		if s.Op == change.OpVerifyPair {
			return s
		}
		r.Change(string(s.Pair.From), clustersim.Peers{Peer: "amer", Password: ptr(password(s))})
		r.say(id, change.Word{Verb: change.Confirm, Steps: []int{s.N}})
	}
	r.t.Fatal("the plan does not come to it")
	return nil
}

func steps(p []change.Step, op change.Op) []string {
	var out []string
	for _, s := range p {
		if s.Op == op {
			out = append(out, strings.TrimSpace(s.Pair.String()+" "+s.Value))
		}
	}
	return out
}

// TestAnEntryThatMeshYAMLDoesNotTellOfGetsTheNewPasswordToo: it was read, and one that is
// entered wrong is found.
func TestAnEntryThatMeshYAMLDoesNotTellOfGetsTheNewPasswordToo(t *testing.T) {
	r := unlisted(t)
	id := r.ask(change.RotateCredentials, "amer")
	if got := steps(r.plan(id).Steps, change.OpEnterCredentials); !slices.Equal(got, []string{"emea>amer", "apac>amer"}) {
		t.Errorf("entries: %v", got)
	}
	r.say(id, change.Word{Verb: change.Start})
	s := r.enters(id, func(s *change.Step) string {
		return map[mesh.ClusterID]string{"emea": "anothr", "apac": "another"}[s.Pair.From]
	})
	r.pass(time.Hour)
	if s = r.plan(id).Step(s.N); s.Pair.From != "emea" || s.State != change.StepWaiting || !strings.Contains(s.Evidence, "refuses the AXL user name or password") {
		t.Errorf("%+v", s)
	}
	r.Change("emea", clustersim.Peers{Peer: "amer", Password: ptr("another")})
	p := r.carriedOut(id, false, nil)
	if s = p.Step(s.N); p.State != change.Done || !strings.Contains(s.Evidence, "the entry for imp-amer-pub.example.com synced at") {
		t.Errorf("%s: %s; %+v", p.State, p.Why, s)
	}
}

// TestAnEntryByAnotherNameIsNamedAsThePageListsIt: emea's entry names the subscriber of
// amer, and apac's an address of which nobody knows whose it is.
func TestAnEntryByAnotherNameIsNamedAsThePageListsIt(t *testing.T) {
	r := unlisted(t)
	r.Change("emea", clustersim.Peers{Peer: "amer", Address: ptr("imp-amer-sub.example.com")})
	r.Change("apac", clustersim.Peers{Peer: "amer", Address: ptr("198.51.100.7")})
	r.watch()
	p := r.plan(r.ask(change.RotateCredentials, "amer"))
	if got := steps(p.Steps, change.OpEnterCredentials); !slices.Equal(got, []string{"emea>amer imp-amer-sub.example.com", "apac>amer"}) {
		t.Errorf("entries: %v", got)
	}
	var entered, stranger string
	for _, s := range p.View(r.Mesh).Steps {
		if s.Pair.From == "emea" && s.Kind == change.Manual {
			entered = s.How.Do
		}
		if strings.Contains(s.Title, "mesh.yaml does not tell whose they are") {
			stranger = s.How.Do
		}
	}
	if !strings.HasPrefix(entered, "Find and select imp-amer-sub.example.com.") {
		t.Errorf("on emea's page: %s", entered)
	}
	if !strings.HasPrefix(stranger, "They are, as read: apac has an entry for 198.51.100.7.") {
		t.Errorf("of the stranger: %s", stranger)
	}
}

// TestWithoutADialectEntriesOfWhichNobodyTellsAreToBeLookedFor: before the password changes.
func TestWithoutADialectEntriesOfWhichNobodyTellsAreToBeLookedFor(t *testing.T) {
	r := unlisted(t)
	r.unmapped()
	r.pass(15 * time.Minute)
	p := r.plan(r.ask(change.RotateCredentials, "amer"))
	i := slices.IndexFunc(p.Steps, func(s change.Step) bool { return s.Purpose == "password" })
	if do := p.View(r.Mesh).Steps[i].How.Do; !strings.Contains(do, "The peer tables of emea, apac have not been read: look on their pages first for entries for amer that mesh.yaml does not tell of") {
		t.Error(do)
	}
}

// TestAnEntryThatHasTheNewPasswordAlready: it fails until the account has it, and is then
// confirmed and verified like any other.
func TestAnEntryThatHasTheNewPasswordAlready(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.Change("apac", clustersim.Peers{Peer: "amer", Password: ptr("another")})
	id := r.ask(change.RotateCredentials, "amer")
	r.say(id, change.Word{Verb: change.Start})
	for p := r.plan(id); p.State == change.Stopped; p = r.plan(id) { // should its preflight tell of apac's entry
		r.say(id, change.Word{Verb: change.Skip, Steps: []int{p.Current().N}, Text: "known"})
	}
	r.enters(id, func(*change.Step) string { return "another" })
	if p := r.carriedOut(id, false, nil); p.State != change.Done {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}

// TestAnOldPasswordThatWorksUntilItsConnectionBreaksIsToldThen: somebody says that it was
// entered, and the next sync succeeds all the same. When the plan is over its alarm is not
// held back any more.
func TestAnOldPasswordThatWorksUntilItsConnectionBreaksIsToldThen(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	id := r.ask(change.RotateCredentials, "amer")
	r.say(id, change.Word{Verb: change.Start})
	r.carriedOut(id, false, func(s *change.Step) bool { return s.Purpose == "password" })
	r.Change("amer", clustersim.Credentials{Account: "intercluster", Password: ptr("another"), Keeps: true})
	p := r.carriedOut(id, false, at(change.OpVerifyPair)) // nobody enters anything
	if why := p.View(r.Mesh).Steps[p.Current().N-1].Why; !strings.Contains(why, "only when that breaks: then its alarm tells") {
		t.Error(why)
	}
	if p = r.carriedOut(id, false, nil); p.State != change.Done {
		t.Fatalf("%s: %s", p.State, p.Why)
	}
	authenticated := func() peer.Condition {
		snapshot, err := record.Load(t.Context(), r.store, r.Mesh)
		if err != nil {
			t.Fatal(err)
		}
		return peer.ConditionOf(snapshot.Conditions(snapshot.Facts(r.Mesh, 5*time.Minute, r.Clock.Now()).View(), mesh.PeerID{From: "emea", To: "amer"}), peer.Authenticated)
	}
	if c := authenticated(); c.Status != peer.True {
		t.Errorf("%+v", c)
	}
	r.Change("emea", clustersim.Services{Node: emeaPub, Service: peer.ICSA, Status: "Restart"})
	r.pass(20 * time.Minute)
	if c := authenticated(); c.Status != peer.False || c.Reason != peer.PeerCredentialsRejected || len(r.plans().Changing()) > 0 {
		t.Errorf("%+v; Changing: %v", c, r.plans().Changing())
	}
}
