package peering_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/preflight"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/useraudit"
)

// obeys does what the plan's current step asks a person to do, and says so. bell is what
// notifications ask for.
func (r *rig) obeys(id string, bell bool) {
	r.t.Helper()
	r.say(id, r.does(id, bell))
}

// does is obeys without saying so: what is to be said.
func (r *rig) does(id string, bell bool) change.Word {
	r.t.Helper()
	p := r.plan(id)
	s := p.Current()
	w := change.Word{Verb: change.Confirm, Steps: []int{s.N}}
	switch s.Op {
	case change.OpAddEntry:
		r.Change(string(s.Pair.From), clustersim.Peers{Peer: string(s.Pair.To), Present: ptr(true), Protocol: ptr(r.protocol(s.Pair))})
	case change.OpEditEntry:
		r.Change(string(s.Pair.From), clustersim.Peers{Peer: string(s.Pair.To), Protocol: &s.Value})
	case change.OpDeleteEntry:
		r.Change(string(s.Pair.From), clustersim.Peers{Peer: string(s.Pair.To), Present: ptr(false)})
	case change.OpAskBell, change.OpAskHA, change.OpAskEach:
		w.Verb, w.Yes = change.Answer, s.Op == change.OpAskBell && bell || s.Op == change.OpAskEach || s.Op == change.OpAskHA && r.disables
	case change.OpDisableHA, change.OpEnableHA:
		r.Change(string(s.Cluster), clustersim.HA{Enabled: ptr(s.Op == change.OpEnableHA)})
	case change.OpRestart:
		w.Verb = change.Approve
	}
	return w
}

func (r *rig) protocol(id mesh.PeerID) string {
	p, _ := r.Mesh.Peer(id)
	return string(p.Protocol)
}

// carriedOut lets people obey a plan until it comes to a step that they should look at, or
// to its end.
func (r *rig) carriedOut(id string, bell bool, until func(*change.Step) bool) *record.Plan {
	r.t.Helper()
	for range 600 {
		p := r.plan(id)
		s := p.Current()
		switch {
		case p.State.Ended() || s != nil && until != nil && until(s):
			return p
		case p.State == change.Waiting && s.Op != change.OpVerifyPair && s.Op != change.OpVerifyGone && s.Op != change.OpMeshLines && s.Op != change.OpDuplicates:
			r.obeys(id, bell)
		case p.State == change.Stopped:
			r.t.Fatalf("the plan stopped: %s", p.Why)
		default:
			r.pass(5 * time.Minute)
		}
	}
	p := r.plan(id)
	r.t.Fatalf("the plan does not come to it: it is %s: %s", p.State, p.Why)
	return nil
}

func at(op change.Op) func(*change.Step) bool {
	return func(s *change.Step) bool { return s.Op == op }
}

// apart takes the entries of a cluster away, on both sides.
func (r *rig) apart(id string) {
	r.t.Helper()
	for _, c := range r.Mesh.IDs() {
		if string(c) != id {
			r.Change(string(c), clustersim.Peers{Peer: id, Present: ptr(false)})
			r.Change(id, clustersim.Peers{Peer: string(c), Present: ptr(false)})
		}
	}
}

// parted takes both entries of emea and apac away, and has the users read.
func (r *rig) parted() {
	r.t.Helper()
	r.Change("emea", clustersim.Peers{Peer: "apac", Present: ptr(false)})
	r.Change("apac", clustersim.Peers{Peer: "emea", Present: ptr(false)})
	r.watch()
	r.audited()
}

// unjoined is a mesh.yaml without a cluster.
func unjoined(m *mesh.Mesh, id mesh.ClusterID) *mesh.Mesh {
	out := *m
	out.Clusters = slices.DeleteFunc(slices.Clone(m.Clusters), func(c mesh.Cluster) bool { return c.ID == id })
	out.Peers = slices.DeleteFunc(slices.Clone(m.Peers), func(p mesh.Peer) bool { return p.ID.From == id || p.ID.To == id })
	return &out
}

// under puts a mesh.yaml in force.
func (r *rig) under(m *mesh.Mesh) {
	m.Policy = r.Mesh.Policy
	r.Mesh = m
	r.begin(nil)
	r.watch()
}

// audited has the users of every cluster read, and compared.
func (r *rig) audited() {
	r.t.Helper()
	for range 7 + len(r.Mesh.Clusters) { // the first reading waits for an interval
		r.Pass(5 * time.Minute)
		r.watch()
	}
	daily := &preflight.Preflight{Mesh: r.Mesh, Store: r.store, Clusters: r.clusters, Now: r.Clock.Now, Audit: (*useraudit.Audit).Run}
	if a, err := daily.Handle(r.t.Context(), run.Request{}); err != nil || a.Skipped != "" {
		r.t.Fatal(err, a.Skipped)
	}
}

// unmapped is a mesh of which nobody has said how its peer tables are read.
func (r *rig) unmapped() {
	r.Mesh.Dialect = nil
	r.clusters = r.Connector()
	r.begin(nil)
}

func (r *rig) plans() change.Plans {
	r.t.Helper()
	doc, err := record.LoadPlans(r.t.Context(), r.store, r.Mesh.Name)
	if err != nil {
		r.t.Fatal(err)
	}
	return doc.Value
}

func TestTwoClustersBecomePeersByThePlan(t *testing.T) {
	for _, mapped := range []bool{true, false} {
		r := newRig(t, mesh.Observe, clustersim.Config{})
		if !mapped {
			r.unmapped()
		}
		pair := mesh.PeerID{From: "emea", To: "apac"}
		r.parted()
		id := r.ask(change.Add, "emea", "apac")
		r.expect(id, change.Draft, 2)
		r.say(id, change.Word{Verb: change.Start})
		if got := r.plans().Changing(); got[pair] != id || got[pair.Reverse()] != id {
			t.Errorf("%v wear Changing, want %s in both directions", got, pair)
		}
		p := r.carriedOut(id, false, at(change.OpAddEntry))
		if s := p.Current(); s.Value != "imp-apac-pub.example.com" || s.Pair != pair {
			t.Errorf("%+v", s)
		}
		p = r.carriedOut(id, false, at(change.OpVerifyPair))
		if s := p.Current(); s.State != change.StepRunning {
			t.Errorf("%+v", s)
		}
		r.carriedOut(id, false, at(change.OpLook))
		if got := r.plans().Changing(); len(got) > 0 {
			t.Errorf("they are verified, and %v wear Changing", got)
		}
		p = r.carriedOut(id, false, nil)
		if p.State != change.Done {
			t.Errorf("it is %s: %s", p.State, p.Why)
		}
		for _, s := range p.Steps {
			if s.Op == change.OpRestart && s.State != change.StepSkipped {
				t.Errorf("no notification asked for it: %+v", s)
			}
			if s.Op == change.OpVerifyPair && !strings.Contains(s.Evidence, "Associated Users: 60") {
				t.Errorf("%+v", s)
			}
		}
	}
}

func TestAWrongAddressAForgottenSideAndAWrongPasswordAreSaid(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.parted()
	id := r.ask(change.Add, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	r.carriedOut(id, false, at(change.OpAddEntry))
	confirm := func() *change.Step {
		r.say(id, change.Word{Verb: change.Confirm, Steps: []int{r.plan(id).Current().N}})
		return r.plan(id).Current()
	}
	if s := confirm(); s.State != change.StepWaiting || !strings.Contains(s.Evidence, "it reads otherwise: there is no entry for imp-apac-pub.example.com") {
		t.Errorf("nobody has made an entry: %+v", s)
	}
	r.Change("emea", clustersim.Peers{Peer: "apac", Present: ptr(true), Address: ptr("imp-apac-sub.example.com")})
	if s := confirm(); s.State != change.StepWaiting || !strings.Contains(s.Evidence, "reads imp-apac-sub.example.com, and Cisco wants the publisher's node name") {
		t.Errorf("the entry names the subscriber: %+v", s)
	}
	r.Change("emea", clustersim.Peers{Peer: "apac", Address: ptr("imp-apac-pub.example.com"), Protocol: ptr("tls")})
	if s := confirm(); s.State != change.StepWaiting || !strings.Contains(s.Evidence, "reads TLS, and mesh.yaml says TCP") {
		t.Errorf("the entry has TLS: %+v", s)
	}
	r.Change("emea", clustersim.Peers{Peer: "apac", Protocol: ptr("tcp"), Password: ptr("wrong")})
	r.tick()
	p := r.carriedOut(id, false, at(change.OpAddEntry))
	if s := p.Current(); s.Pair.From != "apac" {
		t.Fatalf("%+v", s)
	}
	if s := confirm(); !strings.Contains(s.Evidence, "it reads otherwise") {
		t.Errorf("the second side was forgotten: %+v", s)
	}
	r.carriedOut(id, false, at(change.OpVerifyPair))
	r.pass(20 * time.Minute)
	if s := r.plan(id).Current(); s.State != change.StepWaiting || !strings.Contains(s.Evidence, "refuses the AXL user name or password") {
		t.Errorf("the password is wrong: %+v", s)
	}
	r.Change("apac", clustersim.Credentials{Account: "intercluster", Password: ptr("another")})
	r.Change("emea", clustersim.Peers{Peer: "apac", Password: ptr("another")})
	if p = r.carriedOut(id, false, nil); p.State != change.Done {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}

func TestABellOfEitherSideRestartsTheRoutersOfBoth(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	r.parted()
	id := r.ask(change.Add, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	p := r.carriedOut(id, true, nil)
	if p.State != change.Done {
		t.Fatalf("%s: %s", p.State, p.Why)
	}
	for _, c := range []mesh.ClusterID{"emea", "apac"} {
		if n := r.Cluster(c).RouterRestarts; n != 2 {
			t.Errorf("%s: %d restarts of the router, want one on each node", c, n)
		}
	}
	if n := r.Cluster("amer").RouterRestarts; n != 0 {
		t.Errorf("amer: %d", n)
	}
}

func TestAnIncompleteUserSyncAndADuplicateCannotBeSkipped(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.Change("emea", clustersim.Peers{Peer: "apac", Present: ptr(false)})
	r.Change("apac", clustersim.Peers{Peer: "emea", Present: ptr(false)})
	r.Change("apac", clustersim.Sync{Completed: ptr(false)}, clustersim.Users{UserID: ptr("ada"), IMAddress: ptr("ada@example.com")})
	r.Change("emea", clustersim.Users{UserID: ptr("ADA"), IMAddress: ptr("ada2@example.com")})
	r.watch()
	r.audited()
	id := r.ask(change.Add, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	for range 3 {
		if p := r.plan(id); p.State == change.Stopped { // the preflight has found it too
			r.say(id, change.Word{Verb: change.Skip, Steps: []int{p.Current().N}, Text: "in the window"})
		}
	}
	s := r.plan(id).Current()
	if s.Op != change.OpSyncAgent || s.Cluster != "apac" || s.State != change.StepWaiting {
		t.Fatalf("%+v", s)
	}
	if _, err := r.person().Tell(t.Context(), &r.plan(id).Plan, change.Word{Verb: change.Skip, Steps: []int{s.N}, Text: "in a hurry"}); err == nil || !strings.Contains(err.Error(), "is not skipped") {
		t.Errorf("it was skipped: %v", err)
	}
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{s.N}})
	if s := r.plan(id).Current(); s.Op != change.OpSyncAgent || !strings.Contains(s.Evidence, "it reads otherwise") {
		t.Errorf("%+v", s)
	}
	r.Change("apac", clustersim.Sync{Completed: ptr(true)})
	r.tick()
	s = r.plan(id).Current()
	if s.Op != change.OpDuplicates || s.State != change.StepWaiting || !strings.Contains(s.Evidence, "2 user IDs and directory URIs are twice in them: ada") {
		t.Fatalf("%+v", s)
	}
	if _, err := r.person().Tell(t.Context(), &r.plan(id).Plan, change.Word{Verb: change.Skip, Steps: []int{s.N}, Text: "in a hurry"}); err == nil || !strings.Contains(err.Error(), "is not skipped") {
		t.Errorf("it was skipped: %v", err)
	}
}

func TestAFourthClusterJoinsAndLeaves(t *testing.T) {
	for _, release := range []string{"14.0", "12.5"} {
		r := newRig(t, mesh.Recover, clustersim.Config{Clusters: 4, Release: release})
		whole := r.Mesh
		r.apart("c04")
		r.under(unjoined(whole, "c04"))
		id := r.ask(change.Join, "c04", "publisher=imp-c04-pub.example.com")
		p := r.expect(id, change.Draft, 1)
		if len(p.Steps) != 2 || !strings.Contains(p.View(r.Mesh).Steps[0].Lines, "id: c04") {
			t.Errorf("%+v", p.Steps)
		}
		r.say(id, change.Word{Verb: change.Start})
		r.expect(id, change.Waiting, 1)
		r.under(whole)
		r.audited()
		r.tick()
		p = r.plan(id)
		if len(p.Steps) < 30 || len(p.Pairs) != 6 || r.plans().Changing()[mesh.PeerID{From: "c04", To: "emea"}] != id {
			t.Fatalf("%d steps, pairs %v, %s", len(p.Steps), p.Pairs, p.Why)
		}
		entries := 0
		p = r.carriedOut(id, false, func(s *change.Step) bool {
			if s.Op == change.OpVerifyPair && entries == 0 {
				entries = len(r.Cluster("c04").Peers)
			}
			return false
		})
		if p.State != change.Done || entries != 1 {
			t.Fatalf("%s: %s; while the first pair was verified c04 had %d entries", p.State, p.Why, entries)
		}
		r.pass(10 * time.Minute)

		id = r.ask(change.Leave, "c04")
		r.say(id, change.Word{Verb: change.Start})
		r.carriedOut(id, false, at(change.OpMeshLines))
		if got := r.plans().Changing(); len(got) != 6 {
			t.Errorf("mesh.yaml lists it yet: %v wear Changing", got)
		}
		r.under(unjoined(whole, "c04"))
		r.tick()
		if p = r.plan(id); p.State != change.Done {
			t.Errorf("%s: %s", p.State, p.Why)
		}
		want := map[string]map[mesh.ClusterID]int{"14.0": {}, "12.5": {"c04": 3, "emea": 1, "apac": 1, "amer": 1}}[release]
		for _, c := range whole.IDs() {
			if n := r.Cluster(c).RouterRestarts; n != want[c] {
				t.Errorf("%s: the router of %s was restarted %d times, want %d", release, c, n, want[c])
			}
		}
	}
}

func TestAPairGoesTLS(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	declared := *r.Mesh
	declared.Peers = slices.Clone(r.Mesh.Peers)
	for i := range declared.Peers {
		if p := &declared.Peers[i]; p.ID.From != "amer" && p.ID.To != "amer" {
			p.Protocol = mesh.TLSProto
		}
	}
	id := r.ask(change.Edit, "emea", "apac", "protocol=tls")
	r.say(id, change.Word{Verb: change.Start})
	r.expect(id, change.Waiting, 1)
	if got := r.plans().Changing(); len(got) != 2 {
		t.Errorf("%v wear Changing", got)
	}
	r.under(&declared)
	r.carriedOut(id, false, at(change.OpEditEntry))
	r.Change("emea", clustersim.Peers{Peer: "apac", Protocol: ptr("tls")})
	r.tick()
	p := r.carriedOut(id, false, at(change.OpEditEntry))
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{p.Current().N}})
	if s := r.plan(id).Current(); s.Pair.From != "apac" || !strings.Contains(s.Evidence, "it reads otherwise: its protocol reads TCP, and that of emea's entry for apac TLS: it is apac's that is left, and presence between them is interrupted until both are alike") {
		t.Errorf("the second side was forgotten: %+v", s)
	}
	r.pass(6 * time.Hour)
	if p := r.plan(id); p.State != change.Waiting || !strings.Contains(p.Why, "ada confirmed it at") || !strings.Contains(p.Why, "it is apac's that is left") {
		t.Errorf("for hours: %s: %s", p.State, p.Why)
	}
	r.carriedOut(id, false, at(change.OpVerifyPair))
	for range 2 { // certcheck does not look here
		r.pass(time.Hour)
		s := r.plan(id).Current()
		if s.State != change.StepWaiting || !strings.HasSuffix(s.Evidence, "it cannot be read: whether certificates are exchanged (Certificate Status)") {
			t.Fatalf("%+v", s)
		}
		r.say(id, change.Word{Verb: change.Confirm, Steps: []int{s.N}})
	}
	if p = r.carriedOut(id, false, nil); p.State != change.Done {
		t.Fatalf("%s: %s", p.State, p.Why)
	}
	for _, s := range p.Steps {
		if s.Op == change.OpEditEntry && s.Before != "TCP" {
			t.Errorf("what it was before: %+v", s)
		}
	}
}

func TestAPasswordIsRotatedAndOneIsEnteredWrong(t *testing.T) {
	for _, mapped := range []bool{true, false} {
		r := newRig(t, mesh.Observe, clustersim.Config{})
		if !mapped {
			r.unmapped()
			r.pass(time.Hour) // until the logs have told of syncs
		}
		id := r.ask(change.RotateCredentials, "emea")
		r.say(id, change.Word{Verb: change.Start})
		r.carriedOut(id, false, func(s *change.Step) bool { return s.Purpose == "password" })
		r.Change("emea", clustersim.Credentials{Account: "intercluster", Password: ptr("another")})
		r.pass(40 * time.Minute) // meanwhile syncs fail
		r.carriedOut(id, false, at(change.OpEnterCredentials))
		first := r.plan(id).Current().Pair.From
		r.Change(string(first), clustersim.Peers{Peer: "emea", Password: ptr("anothr")})
		r.say(id, change.Word{Verb: change.Confirm, Steps: []int{r.plan(id).Current().N}})
		second := r.plan(id).Current().Pair.From
		r.Change(string(second), clustersim.Peers{Peer: "emea", Password: ptr("another")})
		r.say(id, change.Word{Verb: change.Confirm, Steps: []int{r.plan(id).Current().N}})
		r.pass(70 * time.Minute) // its next sync, and a turn at its log
		p := r.plan(id)
		says := "ICSA of " + string(first) + " has logged at "
		if mapped {
			says = "emea refuses the AXL user name or password"
		}
		if s := p.Current(); s.Op != change.OpVerifyPair || s.Pair.From != first || s.State != change.StepWaiting || !strings.Contains(s.Evidence, says) || !strings.Contains(s.Evidence, "`peerkeeper explain "+s.Pair.String()+"` says how") {
			t.Fatalf("one was entered wrong, mapped %v: %+v", mapped, s)
		}
		r.say(id, change.Word{Verb: change.Confirm, Steps: []int{p.Current().N}})
		if p = r.plan(id); !strings.Contains(p.Current().Evidence, "ada confirmed it at") || !strings.Contains(p.Current().Evidence, says) {
			t.Errorf("what a person says and what is read, mapped %v: %+v", mapped, p.Current())
		}
		r.Change(string(first), clustersim.Peers{Peer: "emea", Password: ptr("another")})
		if p = r.carriedOut(id, false, nil); p.State != change.Done {
			t.Fatalf("%s: %s", p.State, p.Why)
		}
	}
}

// TestOnlyOneSideIsDeleted: the entry that was forgotten is named, and nobody's word makes
// it gone.
func TestOnlyOneSideIsDeleted(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.Mesh.Topology = ""
	id := r.ask(change.Delete, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	p := r.carriedOut(id, false, func(s *change.Step) bool { return s.Op == change.OpDeleteEntry && s.Cluster == "apac" })
	s := p.Current()
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{s.N}})
	if s := r.plan(id).Current(); !strings.Contains(s.Evidence, "it reads otherwise: the entry for imp-emea-pub.example.com is there") {
		t.Errorf("%+v", s)
	}
	r.say(id, change.Word{Verb: change.Skip, Steps: []int{s.N}, Text: "apac is away"})
	r.carriedOut(id, false, func(s *change.Step) bool { return s.Op == change.OpVerifyGone && s.Cluster == "apac" })
	r.pass(15 * time.Minute)
	if s := r.plan(id).Current(); s.State != change.StepWaiting || !strings.Contains(s.Evidence, "for a person to delete it") {
		t.Errorf("%+v", s)
	}
	r.Change("apac", clustersim.Peers{Peer: "emea", Present: ptr(false)})
	r.carriedOut(id, false, at(change.OpMeshLines))
	if got := r.plans().Changing(); len(got) != 2 {
		t.Errorf("mesh.yaml has them yet: %v wear Changing", got)
	}
	declared := *r.Mesh
	declared.Peers = slices.DeleteFunc(slices.Clone(r.Mesh.Peers), func(p mesh.Peer) bool { return p.ID.From != "amer" && p.ID.To != "amer" })
	r.under(&declared)
	r.tick()
	if p = r.plan(id); p.State != change.Done {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}

// TestOneRestartForAllConnectionsIsAPersonsChoice: before release 14, and labelled.
func TestOneRestartForAllConnectionsIsAPersonsChoice(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Release: "12.5"})
	id := r.ask(change.Leave, "amer")
	r.say(id, change.Word{Verb: change.Start})
	p := r.carriedOut(id, false, at(change.OpAskEach))
	if v := p.View(r.Mesh); !strings.Contains(v.Steps[p.Current().N-1].Why, "inferred, not Cisco's word") {
		t.Errorf("%+v", v.Steps[p.Current().N-1])
	}
	r.say(id, change.Word{Verb: change.Answer, Steps: []int{p.Current().N}, Yes: false})
	r.carriedOut(id, false, at(change.OpMeshLines))
	for _, c := range []mesh.ClusterID{"amer", "emea", "apac"} {
		if n := r.Cluster(c).RouterRestarts; n != 1 {
			t.Errorf("the router of %s was restarted %d times", c, n)
		}
	}
}

// TestAMeshYAMLThatLosesItsLinesIsWaitedFor: somebody deploys an older file in the middle
// of a join.
func TestAMeshYAMLThatLosesItsLinesIsWaitedFor(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	whole := r.Mesh
	r.apart("amer")
	r.watch()
	r.audited()
	id := r.ask(change.Join, "amer")
	r.say(id, change.Word{Verb: change.Start})
	p := r.carriedOut(id, false, at(change.OpAddEntry))
	step := p.Current().N
	r.under(unjoined(whole, "amer"))
	r.tick()
	if p = r.expect(id, change.Waiting, step); !strings.Contains(p.Why, "amer is not in mesh.yaml") {
		t.Errorf("%s", p.Why)
	}
	r.under(whole)
	if p = r.carriedOut(id, false, nil); p.State != change.Done {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}

// TestAJoinWaitsForItsWindow: no first full sync begins in business hours, and what a person
// does all the same is taken as it is.
func TestAJoinWaitsForItsWindow(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.apart("amer")
	r.watch()
	r.audited()
	r.Mesh.Policy.Windows = []mesh.Window{{Kind: "allow", From: "11:00", To: "07:00", TimeZone: "UTC"}}
	id := r.ask(change.Join, "amer")
	r.say(id, change.Word{Verb: change.Start})
	r.carriedOut(id, false, at(change.OpAddEntry))
	r.tick()
	if s := r.plan(id).Current(); s.State != change.StepRunning || !strings.Contains(s.Evidence, "waits for a window") {
		t.Errorf("at %s: %+v", r.Clock.Now(), s)
	}
	r.Change("emea", clustersim.Peers{Peer: "amer", Present: ptr(true)})
	r.tick()
	if p := r.plan(id); p.Current().Op != change.OpAskBell {
		t.Errorf("it is at %+v", p.Current())
	}
	r.obeys(id, false)
	if s := r.plan(id).Current(); s.Op != change.OpAddEntry || s.Pair.From != "amer" || s.State != change.StepWaiting {
		t.Errorf("the pair is left with one entry until the next window: %+v", s)
	}
	r.pass(2*time.Hour + 30*time.Minute)
	if s := r.plan(id).Current(); s.Op != change.OpAddEntry || s.State != change.StepWaiting {
		t.Errorf("at %s: %+v", r.Clock.Now(), s)
	}
}

// TestTwoPlansDoNotChangeOnePair: both were drafts; the second to be started is told why not.
func TestTwoPlansDoNotChangeOnePair(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	first, second := r.ask(change.Edit, "emea", "apac", "protocol=tls"), r.ask(change.Delete, "apac", "emea")
	r.say(first, change.Word{Verb: change.Start})
	r.say(second, change.Word{Verb: change.Start})
	p := r.plan(second)
	if p.State != change.Draft || len(p.Refused) != 1 || !strings.Contains(p.Refused[0].Why, "plan "+first+" changes") {
		t.Errorf("it is %s: %+v", p.State, p.Refused)
	}
	r.say(first, change.Word{Verb: change.Abort})
	r.say(second, change.Word{Verb: change.Start})
	if p = r.plan(second); !p.State.Active() {
		t.Errorf("it is %s: %+v", p.State, p.Refused)
	}
}

// TestUsersWhoComeEveryFewMinutesDoNotHoldUpAPlan: in a large cluster the counts of both
// ends are never alike at one instant.
func TestUsersWhoComeEveryFewMinutesDoNotHoldUpAPlan(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.parted()
	id := r.ask(change.Add, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	r.carriedOut(id, false, at(change.OpVerifyPair))
	for range 18 {
		r.Change("apac", clustersim.Users{Add: 1})
		r.Change("emea", clustersim.Users{Add: 1})
		r.pass(5 * time.Minute)
	}
	p := r.plan(id)
	if s := p.Current(); s.Op != change.OpLook {
		t.Errorf("it is at %+v", s)
	}
}

// TestANewcomerWhoseAccountIsNotThereYetPassesNoPreflight: of a cluster that nobody can read
// no check fails, and that says nothing.
func TestANewcomerWhoseAccountIsNotThereYetPassesNoPreflight(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	whole := r.Mesh
	r.apart("amer")
	r.under(unjoined(whole, "amer"))
	id := r.ask(change.Join, "amer")
	r.say(id, change.Word{Verb: change.Start})
	there := r.clusters.Secrets
	without := r.SecretsNow()
	delete(without, "amer/read")
	r.clusters.Secrets = without
	r.under(whole)
	r.pass(30 * time.Minute)
	p := r.expect(id, change.Running, 3)
	if s := p.Current(); s.Op != change.OpPreflight || !strings.Contains(s.Evidence, "amer has not been read, so that its checks tell nothing: no credentials amer/read") {
		t.Errorf("%+v", s)
	}
	r.clusters.Secrets = there
	r.pass(10 * time.Minute)
	if s := r.plan(id).Current(); s.N < 5 {
		t.Errorf("%+v", s)
	}
}
