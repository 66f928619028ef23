package peering_test

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// TestWhatFailsElsewhereStopsNoPlan: an entry of another pair, and a user who is twice in
// clusters of which the plan changes one only.
func TestWhatFailsElsewhereStopsNoPlan(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.Change("emea", clustersim.Users{UserID: ptr("bob"), IMAddress: ptr("bob@example.com")}, clustersim.Peers{Peer: "amer", Address: ptr("imp-amer-sub.example.com")})
	r.Change("amer", clustersim.Users{UserID: ptr("BOB"), IMAddress: ptr("bob2@example.com")})
	r.parted()
	id := r.ask(change.Add, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	p := r.carriedOut(id, false, at(change.OpPrepare))
	for _, want := range []string{"no check fails", "; also failing, not about this plan: ", "user-duplicate (emea)", "peer-address (emea>amer)"} {
		if s := p.Steps[1]; s.State != change.StepDone || !strings.Contains(s.Evidence, want) {
			t.Errorf("lacks %q: %+v", want, s)
		}
	}
	if s := p.Steps[2]; strings.Contains(s.Evidence, "also failing") {
		t.Errorf("apac has nothing to do with it: %+v", s)
	}

	r = newRig(t, mesh.Observe, clustersim.Config{})
	r.Change("emea", clustersim.Peers{Peer: "amer", Address: ptr("imp-amer-sub.example.com")}, clustersim.Replication{Node: emeaSub, State: ptr(3)})
	r.parted()
	id = r.ask(change.Add, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	p = r.expect(id, change.Stopped, 2)
	for _, want := range []string{"1 check fails: replication", "also failing, not about this plan: peer-address (emea>amer)"} {
		if !strings.Contains(p.Why, want) {
			t.Errorf("lacks %q: %s", want, p.Why)
		}
	}
}

// TestADuplicateWithinThePlanStopsItsPreflight: and no word but a reason goes past it.
func TestADuplicateWithinThePlanStopsItsPreflight(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.Change("emea", clustersim.Users{UserID: ptr("bob"), IMAddress: ptr("bob@example.com")})
	r.Change("apac", clustersim.Users{UserID: ptr("BOB"), IMAddress: ptr("bob2@example.com")})
	r.parted()
	id := r.ask(change.Add, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	if p := r.expect(id, change.Stopped, 2); !strings.Contains(p.Why, "user-duplicate") {
		t.Errorf("%s", p.Why)
	}
}

// TestADuplicateThatComesInTheMiddleOfAJoin: no further entry is asked for that would bring
// the two together; pairs with other clusters are none of its.
func TestADuplicateThatComesInTheMiddleOfAJoin(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.apart("amer")
	r.watch()
	r.audited()
	id := r.ask(change.Join, "amer")
	r.say(id, change.Word{Verb: change.Start})
	p := r.carriedOut(id, false, at(change.OpVerifyPair))
	if p.Current().Pair.From != "emea" {
		t.Fatalf("%+v", p.Current())
	}
	r.Change("apac", clustersim.Users{UserID: ptr("bob"), IMAddress: ptr("bob@example.com")})
	r.Change("amer", clustersim.Users{UserID: ptr("BOB"), IMAddress: ptr("bob2@example.com")})
	r.Pass(25 * time.Hour) // users are read once a day
	r.audited()
	p = r.carriedOut(id, false, failed)
	if !strings.Contains(p.Why, "user-duplicate") || p.Current().Cluster != "apac" {
		t.Fatalf("%s", p.Why)
	}
	r.say(id, change.Word{Verb: change.Skip, Steps: []int{p.Current().N}, Text: "in the window"})
	for range 3 {
		r.pass(5 * time.Minute)
	}
	s := r.plan(id).Current()
	if s.Op != change.OpAddEntry || s.Pair.From != "apac" || s.State != change.StepWaiting || !strings.Contains(s.Evidence, "no entry before that is mended") || !strings.Contains(s.Evidence, "bob") {
		t.Errorf("%+v", s)
	}
}

// TestAJoinWhosePublisherIsAnotherInMeshYAML: it stops before it asks for anything, and goes on
// when mesh.yaml is right.
func TestAJoinWhosePublisherIsAnotherInMeshYAML(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	whole := r.Mesh
	r.apart("amer")
	r.under(unjoined(whole, "amer"))
	id := r.ask(change.Join, "amer", "publisher=IMP-AMER-PUB:8443")
	r.say(id, change.Word{Verb: change.Start})
	wrong := *whole
	wrong.Clusters = append([]mesh.Cluster{}, whole.Clusters...)
	amer, _ := wrong.Cluster("amer")
	amer.Publisher = amer.Nodes[1].Name
	r.under(&wrong)
	r.tick()
	p := r.expect(id, change.Stopped, 2)
	for _, want := range []string{"--publisher says IMP-AMER-PUB:8443", "mesh.yaml has imp-amer-sub.example.com as the publisher of amer", "resume"} {
		if !strings.Contains(p.Why, want) {
			t.Errorf("lacks %q: %s", want, p.Why)
		}
	}
	r.under(whole)
	r.say(id, change.Word{Verb: change.Resume})
	if p = r.plan(id); len(p.Steps) < 20 || p.Steps[1].State != change.StepDone {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}

func failed(s *change.Step) bool { return s.State == change.StepFailed }

// TestANameThatDoesNotResolveIsToldBeforeTheEntry: ICSA would not connect, and nobody's word
// makes it resolve.
func TestANameThatDoesNotResolveIsToldBeforeTheEntry(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	pair := mesh.PeerID{From: "apac", To: "emea"}
	resolves := func(status peer.Status) {
		now := r.Clock.Now()
		for _, end := range []mesh.ClusterID{pair.From, pair.To} {
			if _, _, err := store.Claim(t.Context(), r.store, store.Cert(r.Mesh.Name, end), record.CertSchema, func(d *store.Doc[certificate.Record], _ bool) (bool, error) {
				d.Value.At = now
				return true, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := store.Claim(t.Context(), r.store, store.PeerCert(r.Mesh.Name, pair), record.CertSchema, func(d *store.Doc[peer.CertRecord], _ bool) (bool, error) {
			d.Value.Conditions = []peer.Condition{{Type: peer.NamesResolve, Status: status, Reason: "NotResolved", Message: "imp-emea-pub.example.com does not resolve", Since: now}}
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	r.parted()
	resolves(peer.False)
	id := r.ask(change.Add, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	r.carriedOut(id, false, func(s *change.Step) bool { return s.Purpose == change.PrepareNames })
	if s := r.vouches(id); s.Purpose != change.PrepareNames || !strings.Contains(s.Evidence, "it reads otherwise: apac>emea: imp-emea-pub.example.com does not resolve") {
		t.Errorf("%+v", s)
	}
	resolves(peer.True)
	if s := r.vouches(id); s.Purpose == change.PrepareNames {
		t.Errorf("%+v", s)
	}
}

// TestTwoClustersJoinAtOnce: the entries of the second wait until the first full sync of the
// first has ended, and it says for whom.
func TestTwoClustersJoinAtOnce(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{Clusters: 4})
	whole := r.Mesh
	r.apart("amer")
	r.apart("c04")
	r.under(unjoined(unjoined(whole, "c04"), "amer"))
	first, second := r.ask(change.Join, "amer"), r.ask(change.Join, "c04")
	r.say(first, change.Word{Verb: change.Start})
	r.say(second, change.Word{Verb: change.Start})
	r.under(whole)
	r.audited()
	r.carriedOut(second, false, at(change.OpAddEntry))
	r.Change("amer", clustersim.Sync{FirstFull: ptr("40m")})
	r.Change("emea", clustersim.Sync{FirstFull: ptr("40m")})
	r.carriedOut(first, false, at(change.OpVerifyPair))
	r.tick()
	s := r.plan(second).Current()
	if s.Op != change.OpAddEntry || s.State != change.StepRunning || !strings.Contains(s.Evidence, "waits: plan "+first) || !strings.Contains(s.Evidence, "has locked emea") {
		t.Errorf("%+v", s)
	}
	together := 0
	for range 300 {
		a, b := r.plan(first), r.plan(second)
		if a.State.Ended() && b.State.Ended() {
			break
		}
		x, y := a.Current(), b.Current()
		if x != nil && y != nil && x.Op == change.OpVerifyPair && y.Op == change.OpVerifyPair && x.Pair.From == y.Pair.From {
			together++
		}
		for _, p := range []*record.Plan{a, b} {
			if s := p.Current(); p.State == change.Waiting && s.State == change.StepWaiting && s.Op != change.OpVerifyPair {
				r.obeys(p.ID, false)
			} else if p.State == change.Stopped {
				t.Fatalf("%s stopped: %s", p.ID, p.Why)
			}
		}
		r.pass(5 * time.Minute)
	}
	a, b := r.plan(first), r.plan(second)
	if a.State != change.Done || b.State != change.Done || together > 0 {
		t.Errorf("%s %s; %s %s; %d times two first full syncs of one cluster", a.State, a.Why, b.State, b.Why, together)
	}
	for _, from := range whole.IDs() {
		if n := len(r.Cluster(from).Peers); n != 3 {
			t.Errorf("%s has %d entries", from, n)
		}
	}
}

// TestRestartsOfAWindowDoNotWaitForAPairThatDoesNotFit: first full syncs prove longer than was
// thought when the join was laid out.
func TestRestartsOfAWindowDoNotWaitForAPairThatDoesNotFit(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.apart("amer")
	r.watch()
	r.audited()
	for _, c := range []string{"emea", "apac", "amer"} {
		r.Change(c, clustersim.Sync{FirstFull: ptr("2h30m")})
	}
	r.Mesh.Policy.Windows = []mesh.Window{{Kind: "allow", From: "10:00", To: "16:00", TimeZone: "UTC"}}
	id := r.ask(change.Join, "amer")
	laid := len(r.plan(id).Steps)
	r.say(id, change.Word{Verb: change.Start})
	p := r.carriedOut(id, true, func(s *change.Step) bool { return s.Op == change.OpRestart && s.State == change.StepWaiting })
	if s := p.Current(); s.Cluster != "emea" || r.Clock.Now().Hour() >= 16 {
		t.Errorf("at %s: %+v", r.Clock.Now(), s)
	}
	if len(p.Steps) <= laid || len(r.Cluster("apac").Peers) != 1 {
		t.Errorf("%d steps, and %d when it was laid out; apac has %d entries", len(p.Steps), laid, len(r.Cluster("apac").Peers))
	}
	if got := r.plans().Changing(); len(got) != 2 {
		t.Errorf("apac and amer are still to come: %v wear Changing", got)
	}
	for range 400 {
		p = r.plan(id)
		s := p.Current()
		if p.State.Ended() {
			break
		}
		if s.Op == change.OpRestart && s.State == change.StepWaiting {
			r.Change(string(s.Cluster), clustersim.Services{Node: string(s.Node), Service: peer.XCPRouter, Status: "Restart"})
			r.pass(5 * time.Minute)
			continue
		}
		if p.State == change.Waiting && s.Op != change.OpVerifyPair {
			r.obeys(id, true)
			continue
		}
		r.pass(5 * time.Minute)
	}
	if e := p.Entry(); p.State != change.Done || len(r.Cluster("amer").Peers) != 2 || len(e.Pairs) > 0 {
		t.Errorf("%s: %s; amer has %d entries", p.State, p.Why, len(r.Cluster("amer").Peers))
	}
}

// TestAFirstFullSyncThatNeverEnds: the plan asks for a person, and says since when it waits.
func TestAFirstFullSyncThatNeverEnds(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.Change("emea", clustersim.Sync{FirstFull: ptr("1000h")})
	r.parted()
	id := r.ask(change.Add, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	r.carriedOut(id, false, at(change.OpVerifyPair))
	r.pass(4 * time.Hour)
	p := r.plan(id)
	s := p.Current()
	if p.State != change.Waiting || s.Op != change.OpVerifyPair || !strings.Contains(s.Evidence, "for a person") || !strings.Contains(s.Evidence, "`peerkeeper explain emea>apac`") {
		t.Errorf("%s: %+v", p.State, s)
	}
	since := p.Since
	r.pass(24 * time.Hour)
	if p = r.plan(id); p.State != change.Waiting || !p.Since.Equal(since) { // PlanWaits counts from it
		t.Errorf("%s since %s, and before since %s: %s", p.State, p.Since, since, p.Why)
	}
}

// TestANewcomerThatAnswersOnNoNode: no entry is asked for, and after an hour the plan stops.
func TestANewcomerThatAnswersOnNoNode(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	whole := r.Mesh
	r.apart("amer")
	r.under(unjoined(whole, "amer"))
	for _, node := range []string{"imp-amer-pub.example.com", "imp-amer-sub.example.com"} {
		r.Change("amer", clustersim.Nodes{Node: node, Down: ptr(true)})
	}
	id := r.ask(change.Join, "amer")
	r.say(id, change.Word{Verb: change.Start})
	r.under(whole)
	r.pass(90 * time.Minute)
	p := r.plan(id)
	if s := p.Current(); p.State != change.Stopped || s.Op != change.OpPreflight || s.Cluster != "amer" {
		t.Errorf("%s: %+v", p.State, s)
	}
	for _, node := range []string{"imp-amer-pub.example.com", "imp-amer-sub.example.com"} {
		r.Change("amer", clustersim.Nodes{Node: node, Down: ptr(false)})
	}
	r.pass(10 * time.Minute)
	r.say(id, change.Word{Verb: change.Resume})
	if s := r.plan(id).Current(); s.Op == change.OpPreflight {
		t.Errorf("it answers again: %+v", s)
	}
}

// TestAnEntryThatWasMadeByHandBeforeThePlanIsNotAskedFor: by reading; whether its page asks for
// a restart is.
func TestAnEntryThatWasMadeByHandBeforeThePlanIsNotAskedFor(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.parted()
	r.Change("emea", clustersim.Peers{Peer: "apac", Present: ptr(true), Protocol: ptr("tcp")})
	id := r.ask(change.Add, "emea", "apac") // before it was looked at again
	r.say(id, change.Word{Verb: change.Start})
	p := r.carriedOut(id, false, at(change.OpAskBell))
	if s := p.Step(p.Current().N - 1); s.Op != change.OpAddEntry || s.State != change.StepDone || s.Said != nil || p.Current().Pair.From != "emea" {
		t.Errorf("%+v", s)
	}
	if p = r.carriedOut(id, false, nil); p.State != change.Done {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}

// TestAClockAheadAndBackAndASecondProcessInTheMiddleOfAJoin: by two hours, with another folder
// and another person.
func TestAClockAheadAndBackAndASecondProcessInTheMiddleOfAJoin(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.apart("amer")
	r.watch()
	r.audited()
	id := r.ask(change.Join, "amer")
	r.say(id, change.Word{Verb: change.Start})
	r.carriedOut(id, false, at(change.OpVerifyPair))
	now, ahead := r.Clock.Now, func() time.Time { return r.Clock.Now().Add(2 * time.Hour) }
	r.peering.Now = ahead
	r.tick()
	if s := r.plan(id).Current(); s.State != change.StepRunning {
		t.Errorf("two hours ahead: %+v", s)
	}
	r.peering.Now = now
	r.say(id, change.Word{Verb: change.Stop})
	r.begin(nil) // elsewhere
	r.say(id, change.Word{Verb: change.Resume})
	p := r.carriedOut(id, false, nil)
	if p.State != change.Done || len(r.Cluster("amer").Peers) != 2 {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}
