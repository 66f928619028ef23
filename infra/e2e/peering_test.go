package e2e

import (
	"fmt"
	"os/user"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store/dynamo/emulator"
)

// peering says something to a plan, or asks for one, as somebody who has that policy
// alone, and gives the plan as the command shows it then.
func (s *stage) peering(t *testing.T, person string, args ...string) (p change.View) {
	t.Helper()
	s.ask(t, person, &p, append([]string{"peering"}, args...)...)
	return p
}

// current is the step that a plan has come to; the last one if it has come to its end.
func current(p change.View) change.StepView {
	i := slices.IndexFunc(p.Steps, func(s change.StepView) bool { return !s.State.Over() })
	if i < 0 {
		i = len(p.Steps) - 1
	}
	return p.Steps[i]
}

// at expects how far a plan is, and gives the step that it has come to.
func at(t *testing.T, p change.View, state change.State, title string) change.StepView {
	t.Helper()
	s := current(p)
	if p.State != state || !strings.Contains(s.Title, title) {
		for _, s := range p.Steps {
			t.Logf("%d %s: %s: %s", s.N, s.Title, s.State, s.Evidence)
		}
		t.Fatalf("the plan is %s at %q, want %s at %q: %s", p.State, s.Title, state, title, p.Why)
	}
	return s
}

// advance is one period of the schedules, peering's included.
func (s *stage) advance(t *testing.T) {
	t.Helper()
	s.tick(t)
	s.advancePlans(t)
}

// advancePlans is one run of peering by its schedule.
func (s *stage) advancePlans(t *testing.T) run.Answer {
	t.Helper()
	b := s.start(t, "peering")
	defer b.Close()
	a, err := b.send(t, s.event(t, "peering"))
	if err != nil || a.Skipped != "" {
		t.Fatalf("%v %s\n%s", err, a.Skipped, b.logs)
	}
	s.unlogged(t, b)
	return a
}

// until lets time pass until a plan has come to a step in some state, and gives it.
func (s *stage) until(t *testing.T, within time.Duration, id string, there func(change.View) bool) (p change.View) {
	t.Helper()
	for range int(within / (5 * time.Minute)) {
		s.advance(t)
		if p = s.peering(t, reader, "show", id); there(p) {
			break
		}
	}
	return p
}

// killInvoked kills the function that a person's command has invoked, once something
// has been done, and gives what the command says.
func (s *stage) killInvoked(t *testing.T, done func() bool, person string, args ...string) (code int, complaint string) {
	t.Helper()
	var out []byte
	before := len(s.sandboxes())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		code, out, complaint = s.say(t, person, "", args...)
	}()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	end := time.NewTimer(2 * time.Minute)
	defer end.Stop()
	for !done() {
		select {
		case <-ticker.C:
		case <-ended:
			t.Fatalf("the command ended before: exit %d: %s%s", code, out, complaint)
		case <-end.C:
			t.Fatal("it was not done within two minutes")
		}
	}
	if err := s.sandboxes()[before].Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	return code, complaint
}

// sandboxes are what people have invoked so far.
func (s *stage) sandboxes() []*sandbox {
	s.invokedMu.Lock()
	defer s.invokedMu.Unlock()
	return slices.Clone(s.invoked)
}

// concluded expects who has acted, as the history tells it, that nothing is open, that
// nobody's password was logged, and that peering needed each of its rights and no other.
func (s *stage) concluded(t *testing.T, want map[string]int) {
	t.Helper()
	if g := s.gate(t); len(g.Open) > 0 || len(g.Locks) > 0 {
		t.Errorf("open are %+v, locked is %+v", g.Open, g.Locks)
	}
	var history struct {
		Entries  []repair.Entry
		Verified bool
	}
	if code := s.ask(t, reader, &history, "history", "--verify"); code != 0 || !history.Verified {
		t.Errorf("history: exit %d, verified %v", code, history.Verified)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	acted := map[string]int{}
	for _, e := range history.Entries {
		if action, _, _ := strings.Cut(e.Intent, " "); e.Outcome == "intent" {
			acted[action+" by "+strings.ReplaceAll(e.Actor, me.Username, "a person")]++
		}
	}
	if diff := cmp.Diff(want, acted); diff != "" {
		t.Errorf("who acted (-want +got):\n%s", diff)
	}
	for _, b := range s.sandboxes() {
		s.unlogged(t, b)
	}
	for _, grant := range s.guard.unused() {
		if who, sid, _ := strings.Cut(grant, " "); strings.HasSuffix(who, "-peering") && sid != "Failures" && sid != "Interfaces" && sid != "Logs" {
			t.Errorf("the template grants what nothing needed: %s", grant)
		}
	}
	for _, why := range s.guard.refusals() {
		t.Errorf("the template's policies refuse what was needed: %s", why)
	}
}

// TestPlansAsDeployed plays what people ask of peering, as deployed in mode recover:
// an interval is set on every node of a cluster, and a router restarted, each once,
// each through the gate, with the command's rights and the function's and no other.
func TestPlansAsDeployed(t *testing.T) {
	s := newStage(t, mending(t), "mending", clustersim.Config{})
	h := &heard{stage: s, seen: map[string]string{}, count: map[string]int{}}
	part := func(name string, f func(t *testing.T)) { t.Helper(); part(t, name, f) }
	const parameter = "ICSAPeriodicSyncInterval"
	intervals := func() map[string]string {
		out := map[string]string{}
		for node, services := range s.of("emea").Parameters {
			if v, ok := services[peer.ICSA][parameter]; ok {
				out[node] = v
			}
		}
		return out
	}
	both := func(value string) map[string]string {
		return map[string]string{s.node("emea", "publisher"): value, s.node("emea", "subscriber"): value}
	}

	part("healthy, and peering asks no cluster", func(t *testing.T) {
		for _, c := range s.env.Mesh.Clusters {
			for _, account := range []string{"read", "write", "platform", "platform-write"} {
				s.putSecret(t, c.ID, account)
			}
		}
		s.check(t)
		s.healthy(t)
		asked := s.faults.Seen()["secretsmanager.GetSecretValue"]
		if a := s.advancePlans(t); a.Proposals != 0 {
			t.Errorf("%+v", a)
		}
		if n := s.faults.Seen()["secretsmanager.GetSecretValue"]; n != asked {
			t.Errorf("with nothing to do it read %d accounts", n-asked)
		}
		h.expect(t)
	})

	var id string
	part("a person makes a plan: it is a draft, and changes nothing", func(t *testing.T) {
		p := s.peering(t, anOperator, "plan", "set", "syncInterval=45", "emea")
		at(t, p, change.Draft, "emea")
		id = p.ID
		if code, _, said := s.say(t, reader, "", "peering", "start", id); code == 0 || len(s.guard.pardon()) == 0 {
			t.Errorf("who may only read starts it: exit %d: %s", code, said)
		}
		s.advance(t)
		at(t, s.peering(t, reader, "show", id), change.Draft, "emea")
		if diff := cmp.Diff(both("30"), intervals()); diff != "" {
			t.Errorf("intervals (-want +got):\n%s", diff)
		}
	})
	part("it is started: the next run sets it, and is killed between the intent and the sending", func(t *testing.T) {
		p := s.peering(t, anOperator, "start", id)
		if step := at(t, p, change.Running, "on "+s.node("emea", "publisher")); !strings.Contains(step.Evidence, repair.GuardAnnounced) {
			t.Errorf("%+v", step)
		}
		s.forward(t, 4*time.Minute)
		s.look(t)
		// The audit's entry of the intent is written after the gate's, and before
		// anything is sent.
		s.faults.Inject(emulator.Rule{Service: "dynamodb", Operation: "PutItem", Contains: string(peer.SetParameter), Kind: emulator.Delay, Wait: 3 * time.Second, Times: -1})
		s.killOnce(t, "peering", "an intent", func() bool { return len(s.gate(t).Open) > 0 })
		s.faults.Mend()
		if g := s.gate(t); len(g.Open) != 1 || g.Open[0].Action != peer.SetParameter || g.Open[0].Planned.Plan != id {
			t.Errorf("open is %+v", g.Open)
		}
		if c := s.of("emea"); c.Writes != 0 {
			t.Errorf("emea was changed %d times", c.Writes)
		}
	})
	part("a person stops it: what became of it is read back, and nothing is sent", func(t *testing.T) {
		// The lease of the killed run holds yet, so the next run hears it.
		if code, _, said := s.say(t, anOperator, "", "peering", "stop", id); code != 1 || !strings.Contains(said, "the next run of peering") {
			t.Errorf("exit %d: %s", code, said)
		}
		for range 24 {
			s.advance(t)
		}
		at(t, s.peering(t, reader, "show", id), change.Stopped, "on "+s.node("emea", "publisher"))
		if g := s.gate(t); len(g.Open) > 0 || len(g.Closed) != 1 || g.Closed[0].Outcome != repair.NotDone {
			t.Errorf("open %+v, closed %+v", g.Open, g.Closed)
		}
		if c := s.of("emea"); c.Writes != 0 {
			t.Errorf("emea was changed %d times", c.Writes)
		}
		h.expect(t, "PlanStopped  raised") // who stopped it may have forgotten it
	})
	part("it is resumed hours later, while DynamoDB throttles and loses answers", func(t *testing.T) {
		s.faults.Inject(
			emulator.Rule{Service: "dynamodb", Operation: "PutItem", Contains: "#change", Kind: emulator.LostReply, Times: 2},
			emulator.Rule{Service: "dynamodb", Operation: "PutItem", Contains: "#gate", Kind: emulator.LostReply},
			emulator.Rule{Service: "dynamodb", Operation: "PutItem", Kind: emulator.Throttle, Times: 4},
			emulator.Rule{Service: "dynamodb", Operation: "Query", Kind: emulator.Throttle, Times: 3},
		)
		p := s.peering(t, anOperator, "resume", id)
		if left := s.faults.Mend(); left > 0 {
			t.Errorf("%d faults did not fire", left)
		}
		at(t, p, change.Running, "syncs once")
		if diff := cmp.Diff(both("45"), intervals()); diff != "" {
			t.Errorf("intervals (-want +got):\n%s", diff)
		}
		p = s.until(t, 3*time.Hour, id, func(p change.View) bool { return p.State == change.Done })
		at(t, p, change.Done, "syncs once")
		if c := s.of("emea"); c.Writes != 2 {
			t.Errorf("emea was changed %d times, want once a node", c.Writes)
		}
		h.expect(t, "PlanStopped  cleared")
	})

	restarted := func() int { return s.of("apac").RouterRestarts }
	part("the restart of a router asks about high availability, and the answer is late", func(t *testing.T) {
		p := s.peering(t, anOperator, "plan", "restart-router", "apac")
		id = p.ID
		s.peering(t, anOperator, "start", id)
		for range 36 {
			s.advance(t)
		}
		q := at(t, s.peering(t, reader, "show", id), change.Waiting, "high availability")
		if code, _, said := s.say(t, anOperator, "", "peering", "answer", id, fmt.Sprint(q.N+2), "no"); code != 2 {
			t.Errorf("an answer to another step: exit %d: %s", code, said)
		}
		p = s.peering(t, anOperator, "answer", id, fmt.Sprint(q.N), "no")
		if step := at(t, p, change.Waiting, "restart "+peer.XCPRouter); step.Approval != "needed" || !strings.Contains(step.Interrupts, "signs out") {
			t.Errorf("%+v", step)
		}
		s.advance(t)
		if n := restarted(); n != 0 || s.of("apac").Writes != 0 {
			t.Errorf("the router was restarted %d times before anybody approved it", n)
		}
	})
	for i, role := range []string{"publisher", "subscriber"} {
		part("the router of the "+role+" is restarted once a person approves it", func(t *testing.T) {
			p := s.peering(t, reader, "show", id)
			step := at(t, p, change.Waiting, "restart "+peer.XCPRouter+" on "+s.node("apac", role))
			if i == 0 { // the node carries it out, and is slow to say so
				s.set(t, "/faults", fmt.Sprintf(`{"cluster":"apac","operation":%q,"kind":"delay","when":"after","delay":"1m"}`, control))
				s.killInvoked(t, func() bool { return restarted() > 0 }, anOperator, "peering", "approve", id, "--step", fmt.Sprint(step.N))
			} else {
				s.peering(t, anOperator, "approve", id, "--step", fmt.Sprint(step.N))
			}
			s.until(t, 2*time.Hour, id, func(p change.View) bool { return p.State == change.Done || current(p).Approval == "needed" })
			if n := restarted(); n != i+1 || s.sent("apac", control) != i+1 {
				t.Errorf("the router was restarted %d times, and asked for %d times", n, s.sent("apac", control))
			}
		})
	}

	part("in the end", func(t *testing.T) {
		at(t, s.peering(t, reader, "show", id), change.Done, "")
		var list struct {
			Plans []struct{ State change.State }
		}
		if code := s.ask(t, reader, &list, "peering", "list"); code != 0 || len(list.Plans) != 2 {
			t.Errorf("exit %d: %+v", code, list)
		}
		for range 3 {
			s.advance(t)
		}
		h.expect(t)
		h.balanced(t)
		// One that was not sent, and one a node; one a node.
		s.concluded(t, map[string]int{"setParameter by peering": 3, "restart by peering, approved by a person": 2})
	})
}
