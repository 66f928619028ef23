package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/dynamo/emulator"
)

// entry is what a person does on a cluster's page Inter-Clustering.
func (s *stage) entry(t *testing.T, id mesh.PeerID, change string) {
	t.Helper()
	s.set(t, "/clusters/"+string(id.From)+"/peers", fmt.Sprintf(`{"peer":%q,%s}`, id.To, change))
}

// obey does what a plan asks of people, as its step is read, and says so.
func (s *stage) obey(t *testing.T, p change.View) change.View {
	t.Helper()
	step := current(p)
	n := fmt.Sprint(step.N)
	switch {
	case step.Approval == "needed":
		return s.peering(t, anOperator, "approve", p.ID, "--step", n)
	case step.Kind == change.Question:
		answer := "no"
		if strings.Contains(step.Title, "a notification") && s.of(string(step.Cluster)).PendingNotification || strings.Contains(step.Title, "as Cisco says") {
			answer = "yes"
		}
		return s.peering(t, anOperator, "answer", p.ID, n, answer)
	case strings.HasPrefix(step.Title, "enter "):
		s.entry(t, step.Pair, `"present":true`)
	case strings.HasPrefix(step.Title, "delete the entry"):
		s.entry(t, step.Pair, `"present":false`)
	}
	return s.peering(t, anOperator, "confirm", p.ID, n)
}

// follow has people obey a plan until it comes to a step that the play looks at, or to its
// end, and lets time pass where it waits for what is read.
func (s *stage) follow(t *testing.T, p change.View, until func(change.StepView) bool) change.View {
	t.Helper()
	for range 300 {
		switch step := current(p); {
		case p.State.Ended() || until(step):
			return p
		case p.State == change.Waiting && step.Kind != change.Wait && step.Kind != change.Check:
			p = s.obey(t, p)
		case p.State == change.Stopped:
			t.Fatalf("the plan stopped: %s", p.Why)
		default:
			s.advance(t)
			p = s.peering(t, reader, "show", p.ID)
		}
	}
	at(t, p, change.Done, "")
	return p
}

// titled is a step by what it says; the first one that is not over, if there are several.
func titled(t *testing.T, p change.View, title string) change.StepView {
	t.Helper()
	i := slices.IndexFunc(p.Steps, func(s change.StepView) bool { return !s.State.Over() && strings.Contains(s.Title, title) })
	if i < 0 {
		t.Fatalf("no step of plan %s that is open says %q", p.ID, title)
	}
	return p.Steps[i]
}

func approvable(s change.StepView) bool {
	return s.Approval == "needed" && s.State == change.StepWaiting
}

func saying(title string) func(change.StepView) bool {
	return func(s change.StepView) bool { return strings.Contains(s.Title, title) }
}

// anotherMachine is a folder with the environment's files, and nothing else of those who
// have worked on the plan so far.
func (s *stage) anotherMachine(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name := range s.files {
		if err := os.Symlink(filepath.Join(s.dir, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestJoiningAsDeployed plays a day in which a cluster joins a mesh by a plan, and leaves it
// again, as deployed in mode recover on release 12.5: with the deploys that the plan asks
// for, people who are late or wrong, and functions that are killed.
func TestJoiningAsDeployed(t *testing.T) {
	apart, whole := recovering(t, "joining", false), recovering(t, "joining", true)
	s := newStage(t, apart, "joining", clustersim.Config{Apart: 1, Release: "12.5"})
	h := &heard{stage: s, seen: map[string]string{}, count: map[string]int{}}
	part := func(name string, f func(t *testing.T)) { t.Helper(); part(t, name, f) }
	secrets := func(t *testing.T, id mesh.ClusterID) {
		t.Helper()
		for _, account := range []string{"read", "write", "platform", "platform-write"} {
			s.putSecret(t, id, account)
		}
	}
	restarts := func() map[string]int {
		out := map[string]int{}
		for _, c := range s.sim.State().Clusters {
			out[c.ID] = c.RouterRestarts
		}
		return out
	}
	well := func(t *testing.T) { // of every pair, and nobody has been told of anything
		t.Helper()
		s.advance(t)
		s.healthy(t)
		s.advancePlans(t)
		h.expect(t)
	}
	var p change.View
	pub, sub := s.node("emea", "publisher"), s.node("emea", "subscriber")

	part("healthy, and the newcomer stands apart", func(t *testing.T) {
		for _, c := range s.env.Mesh.Clusters {
			secrets(t, c.ID)
		}
		s.set(t, "/clusters/emea/notification", `{"onChange":true}`)
		s.set(t, "/clusters/amer/sync", `{"firstFull":"30m"}`)
		s.check(t)
		s.healthy(t)
		h.expect(t)
	})
	part("a person makes a plan for a cluster that mesh.yaml lacks, and says too early that it has it", func(t *testing.T) {
		p = s.peering(t, anOperator, "plan", "join", "amer", "--publisher", s.node("amer", "publisher"))
		if step := at(t, p, change.Draft, "mesh.yaml lists amer"); !strings.Contains(step.Lines, "id: amer") || !strings.Contains(step.Lines, s.node("amer", "publisher")) {
			t.Errorf("%+v", step)
		}
		p = s.peering(t, anOperator, "start", p.ID)
		p = s.peering(t, anOperator, "confirm", p.ID, "1")
		if step := at(t, p, change.Waiting, "mesh.yaml lists amer"); !strings.Contains(step.Evidence, "it reads otherwise: mesh.yaml does not list amer") {
			t.Errorf("%+v", step)
		}
	})

	const rejected = "AccountRejected amer"
	steps := func(t *testing.T) int {
		t.Helper()
		key := store.Change(s.env.Mesh.Name, p.ID)
		items, err := s.store().LoadNow(t.Context(), key.PK, key.SK+"#")
		if err != nil {
			t.Fatal(err)
		}
		return len(items)
	}
	part("it is deployed with the new mesh.yaml, and peering is killed between the steps that it lays out and the plan itself", func(t *testing.T) {
		s.redeploy(t, whole)
		s.forward(t, time.Minute)
		s.look(t)
		head := fmt.Sprintf("%q", store.Change(s.env.Mesh.Name, p.ID).SK)
		s.faults.Inject(
			emulator.Rule{Service: "dynamodb", Operation: "PutItem", Contains: head, Kind: emulator.Delay}, // what the plan says of mesh.yaml
			emulator.Rule{Service: "dynamodb", Operation: "PutItem", Contains: head, Kind: emulator.Delay, Wait: time.Minute, Times: -1},
		)
		s.killOnce(t, "peering", "the steps", func() bool { return s.faults.Held() > 0 && steps(t) > 40 })
		s.faults.Mend()
		if p = s.peering(t, reader, "show", p.ID); len(p.Steps) != 2 || p.State.Ended() {
			t.Errorf("it is %s with %d steps", p.State, len(p.Steps))
		}
		s.tick(t)
		h.expect(t, rejected+" raised") // the new secrets have no values yet
	})
	part("the next run lays them out, while DynamoDB throttles and loses answers", func(t *testing.T) {
		s.faults.Inject(
			emulator.Rule{Service: "dynamodb", Operation: "PutItem", Contains: "#change", Kind: emulator.Throttle, Times: 6},
			emulator.Rule{Service: "dynamodb", Operation: "PutItem", Contains: "#change", Kind: emulator.LostReply, Times: 3},
			emulator.Rule{Service: "dynamodb", Operation: "Query", Kind: emulator.Throttle, Times: 3},
		)
		s.advancePlans(t)
		if left := s.faults.Mend(); left > 0 {
			t.Errorf("%d faults did not fire", left)
		}
		p = s.peering(t, reader, "show", p.ID)
		if n := steps(t); len(p.Steps) != n || n < 40 {
			t.Errorf("it has %d steps, and %d are written down", len(p.Steps), n)
		}
		if step := at(t, p, change.Running, "preflight of amer"); !strings.Contains(step.Evidence, "amer has not been read") {
			t.Errorf("%+v", step)
		}
		h.expect(t)
	})
	part("the accounts are put: its peers have no entries, and nobody is told", func(t *testing.T) {
		secrets(t, "amer")
		for range 3 {
			s.advance(t)
		}
		p = s.peering(t, reader, "show", p.ID)
		at(t, p, change.Waiting, "no user of amer is at home in another cluster too")
		h.expect(t, rejected+" cleared")
	})
	part("people look at it two hours later, and ask for the comparison of users", func(t *testing.T) {
		for range 21 {
			s.advance(t)
		}
		h.expect(t)
		var said struct{ AsOf time.Time }
		s.ask(t, anOperator, &said, "preflight", "--now")
		s.advance(t)
		p = s.peering(t, reader, "show", p.ID)
		at(t, p, change.Waiting, "a backup")
	})
	part("what a person says is written down, and peering is killed while it writes the step", func(t *testing.T) {
		step := current(p)
		s.faults.Inject(emulator.Rule{Service: "dynamodb", Operation: "PutItem", Contains: store.ChangeStep(s.env.Mesh.Name, p.ID, step.N).SK, Kind: emulator.Delay, Wait: time.Minute, Times: -1})
		code, said := s.killInvoked(t, func() bool { return s.faults.Held() > 0 }, anOperator, "peering", "confirm", p.ID, fmt.Sprint(step.N))
		s.faults.Mend()
		if code != 1 || !strings.Contains(said, "is written down") {
			t.Errorf("exit %d: %s", code, said)
		}
		s.advance(t)
		p = s.peering(t, reader, "show", p.ID)
		if was := p.Steps[step.N-1]; was.State != change.StepDone {
			t.Errorf("%+v", was)
		}
	})
	part("somebody says that an entry is made which is not, and another goes on from another machine", func(t *testing.T) {
		p = s.follow(t, p, saying("enter amer on the page of emea"))
		p = s.peering(t, anOperator, "confirm", p.ID, fmt.Sprint(current(p).N))
		if step := at(t, p, change.Waiting, "enter amer on the page of emea"); !strings.Contains(step.Evidence, "it reads otherwise: there is no entry for "+s.node("amer", "publisher")) {
			t.Errorf("%+v", step)
		}
		s.desk = s.anotherMachine(t)
		p = s.follow(t, p, saying("emea holds all users of amer"))
		s.desk = s.dir
		h.expect(t)
	})
	part("the first full sync takes half an hour, and the next pair waits for it", func(t *testing.T) {
		began := s.clock.Now()
		p = s.follow(t, p, saying("enter amer on the page of apac"))
		if took := s.clock.Now().Sub(began); took < 25*time.Minute || took > time.Hour {
			t.Errorf("after %v", took)
		}
		h.expect(t)
	})
	part("a password is entered wrong: the plan says so, and no alarm does", func(t *testing.T) {
		p = s.follow(t, p, saying("apac holds all users of amer"))
		s.entry(t, mesh.PeerID{From: "amer", To: "apac"}, `"password":"wrong","forceSync":true`)
		p = s.until(t, time.Hour, p.ID, func(p change.View) bool { return strings.Contains(current(p).Evidence, "refuses the AXL") })
		at(t, p, change.Waiting, "amer holds all users of apac")
		for range 2 {
			s.advance(t)
		}
		h.expect(t)
		s.entry(t, mesh.PeerID{From: "amer", To: "apac"}, `"present":false`)
		s.entry(t, mesh.PeerID{From: "amer", To: "apac"}, `"present":true`)
		p = s.follow(t, p, approvable)
		h.expect(t)
	})

	part("a bell has asked once: restarts are approved, one ahead, and a deploy brings windows that are shut", func(t *testing.T) {
		at(t, p, change.Waiting, "restart "+peer.XCPRouter+" on "+pub)
		ahead := titled(t, p, "restart "+peer.XCPRouter+" on "+sub)
		s.peering(t, anOperator, "approve", p.ID, "--step", fmt.Sprint(ahead.N))
		opens := s.clock.Now().UTC().Add(18 * time.Minute).Truncate(time.Minute)
		s.redeploy(t, recovering(t, "joining", true, map[string]any{"kind": "allow", "days": []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, "from": opens.Format("15:04"), "to": opens.Add(12 * time.Hour).Format("15:04"), "timeZone": "UTC"}))
		p = s.peering(t, anOperator, "approve", p.ID)
		at(t, p, change.Running, "restart "+peer.XCPRouter+" on "+pub)
		for range 3 {
			s.advance(t)
		}
		if n := restarts(); n["emea"] > 0 {
			t.Errorf("before the window: %v", n)
		}
	})
	part("the window opens, and peering is killed between the intent and the sending", func(t *testing.T) {
		s.forward(t, 3*time.Minute)
		s.look(t)
		s.faults.Inject(emulator.Rule{Service: "dynamodb", Operation: "PutItem", Contains: "#audit#", Kind: emulator.Delay, Wait: 2 * time.Second, Times: -1})
		s.killOnce(t, "peering", "an intent", func() bool { return len(s.gate(t).Open) > 0 && s.faults.Held() > 0 })
		s.faults.Mend()
		if g := s.gate(t); len(g.Open) != 1 || g.Open[0].Action != peer.RestartService || g.Open[0].Planned.Plan != p.ID {
			t.Errorf("open is %+v", g.Open)
		}
		p = s.until(t, 2*time.Hour, p.ID, func(p change.View) bool { return approvable(current(p)) })
		if step := at(t, p, change.Waiting, "restart "+peer.XCPRouter+" on "+pub); !strings.Contains(step.Evidence, "attempt 1 came to nothing") || restarts()["emea"] > 0 {
			t.Errorf("%v: %+v", restarts(), step)
		}
	})
	part("approved again, the routers of both sides are restarted, each once", func(t *testing.T) {
		p = s.follow(t, s.obey(t, p), approvable)
		at(t, p, change.Waiting, "restart "+peer.XCPRouter+" on "+s.node("amer", "publisher")) // of emea's other one nobody was asked again
		p = s.follow(t, p, func(change.StepView) bool { return false })
		at(t, p, change.Done, "")
		if diff := cmp.Diff(map[string]int{"emea": 2, "apac": 0, "amer": 2}, restarts()); diff != "" {
			t.Errorf("restarts of routers (-want +got):\n%s", diff)
		}
		well(t)
	})
	const refused = "PeerCredentialsRejected amer>emea"
	part("a pair that breaks after the plan is told of", func(t *testing.T) {
		s.entry(t, mesh.PeerID{From: "amer", To: "emea"}, `"password":"wrong","forceSync":true`)
		for range 3 {
			s.advance(t)
		}
		h.expect(t, refused+" raised")
		s.set(t, "/clusters/emea/credentials", `{"account":"intercluster","password":"wrong"}`)
		s.entry(t, mesh.PeerID{From: "apac", To: "emea"}, `"password":"wrong"`)
		s.entry(t, mesh.PeerID{From: "amer", To: "emea"}, `"forceSync":true`)
		for range 3 {
			s.advance(t)
		}
		h.expect(t, refused+" cleared")
	})

	part("it leaves: both sides of each pair, and a restart for each connection", func(t *testing.T) {
		before := restarts()
		p = s.peering(t, anOperator, "plan", "leave", "amer")
		p = s.follow(t, s.peering(t, anOperator, "start", p.ID), saying("mesh.yaml lists amer no more"))
		at(t, p, change.Waiting, "mesh.yaml lists amer no more")
		got := restarts()
		for id := range got {
			got[id] -= before[id]
		}
		if diff := cmp.Diff(map[string]int{"emea": 1, "apac": 1, "amer": 2}, got); diff != "" {
			t.Errorf("restarts of routers (-want +got):\n%s", diff)
		}
		h.expect(t)
	})
	part("mesh.yaml is deployed without it", func(t *testing.T) {
		s.redeploy(t, apart)
		s.advance(t)
		at(t, s.peering(t, reader, "show", p.ID), change.Done, "")
		well(t)
	})

	part("in the end", func(t *testing.T) {
		h.balanced(t)
		// One that was not sent; four for the bell, and four for four ends of connections.
		s.concluded(t, map[string]int{"restart by peering, approved by a person": 9})
	})
}
