package main

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// planJSON is a plan as other programs read it.
type planJSON struct {
	ID, Kind, Mesh, By, State, Why string
	Created                        time.Time
	Clusters                       []string
	Steps                          []struct {
		N                                        int
		Cluster, Node, Kind, Title, Why          string
		How                                      *struct{ On, Menu, Do string }
		Interrupts, Proof, Undo, Approval, State string
		Evidence                                 string
	}
}

func (p planJSON) at(t *testing.T, state string, step int) {
	t.Helper()
	for _, s := range p.Steps {
		if s.State != "done" && s.State != "skipped" {
			if p.State != state || s.N != step {
				t.Fatalf("the plan is %s at step %d (%s), want %s at %d", p.State, s.N, p.Why, state, step)
			}
			return
		}
	}
	if p.State != state || step != 0 {
		t.Fatalf("the plan is %s and over, want %s at %d", p.State, state, step)
	}
}

// TestAPlanByHand: a new user in mode observe asks for a plan, reads it, prints it,
// and does by hand what it says; a second one gives a plan up.
func TestAPlanByHand(t *testing.T) {
	sim := simulate(t, "--users", "50")
	must(t, 0, sim.dir, "run", "--once", "peersync")
	p := mustJSON[planJSON](t, 1, sim.dir, "peering", "plan", "set", "syncInterval=45", "emea")
	p.at(t, "draft", 1)
	if p.Mesh != "acme" || p.Kind != "set" || len(p.Clusters) != 1 || p.By == "" || len(p.Steps) != 4 || p.Steps[1].Kind != "manual" || p.Steps[1].How == nil || !strings.Contains(p.Steps[1].How.Menu, "Service Parameters") || p.Steps[1].Approval != "none" {
		t.Errorf("%+v", p)
	}
	text := must(t, 1, sim.dir, "peering", "show", p.ID)
	for _, word := range []string{"DRAFT", "Inter Cluster Peer Periodic Sync Interval (mins)", "next: peerkeeper peering start " + p.ID} {
		if !strings.Contains(strings.ToUpper(text), strings.ToUpper(word)) {
			t.Errorf("show lacks %q:\n%s", word, text)
		}
	}
	page := must(t, 0, sim.dir, "peering", "show", p.ID, "--html")
	if !strings.HasPrefix(page, "<!doctype html>") || strings.Contains(page, "http://") || strings.Contains(page, "https://") || strings.Count(page, "<li>") != 4 {
		t.Errorf("the page:\n%s", page)
	}
	p = mustJSON[planJSON](t, 1, sim.dir, "peering", "start", p.ID)
	p.at(t, "waiting", 2)
	text = must(t, 1, sim.dir, "peering", "show", p.ID)
	if strings.Count(text, "      why: ") != 1 || strings.Count(text, "      proof: ") != 1 {
		t.Errorf("of the step that the plan has come to, and of no other, the reason and the proof are told:\n%s", text)
	}
	p = mustJSON[planJSON](t, 1, sim.dir, "peering", "confirm", p.ID, "2", "--note", "done at 3 a.m.")
	p.at(t, "waiting", 2) // it reads 30
	if !strings.Contains(p.Steps[1].Evidence, "reads otherwise") || !strings.Contains(p.Steps[1].Evidence, "done at 3 a.m.") {
		t.Errorf("what is read, and what was noted: %s", p.Steps[1].Evidence)
	}
	sim.post(t, "/clusters/emea/parameters", `{"name":"ICSAPeriodicSyncInterval","value":"45"}`)
	must(t, 0, sim.dir, "run", "--once", "peering")
	p = mustJSON[planJSON](t, 1, sim.dir, "peering", "show", p.ID)
	p.at(t, "running", 4)
	if ended := mustJSON[planJSON](t, 1, sim.dir, "peering", "abort", p.ID); ended.State != "aborted" {
		t.Errorf("%+v", ended)
	}
	list := mustJSON[struct {
		Plans []struct{ ID, State, Title string }
	}](t, 0, sim.dir, "peering", "list")
	if len(list.Plans) != 1 || list.Plans[0].ID != p.ID || list.Plans[0].State != "aborted" || list.Plans[0].Title == "" {
		t.Errorf("%+v", list)
	}
	sim.post(t, "/clusters/emea/parameters", `{"name":"ICSAPeriodicSyncInterval","value":"45"}`)
	must(t, 0, sim.dir, "run", "--once", "peersync")
	if done := mustJSON[planJSON](t, 0, sim.dir, "peering", "plan", "set", "syncInterval=45", "emea"); done.State != "done" {
		t.Errorf("what is there already: %+v", done)
	}
	history := must(t, 0, sim.dir, "history")
	for _, word := range []string{"peering plan " + p.ID, "peering start " + p.ID, "peering confirm " + p.ID, "peering abort " + p.ID} {
		if !strings.Contains(history, word) {
			t.Errorf("the history lacks %q:\n%s", word, history)
		}
	}
}

// TestMistakesWithPlans: exit 2 with the cure for what no plan could take, exit 1 for
// what this one does not take now.
func TestMistakesWithPlans(t *testing.T) {
	sim := simulate(t, "--users", "20")
	sim.edit(t, "mode: observe", "mode: recover")
	must(t, 0, sim.dir, "run", "--once", "peersync")
	id := mustJSON[planJSON](t, 1, sim.dir, "peering", "plan", "restart-router", "emea").ID
	for _, c := range []struct {
		code int
		args string
		says string
	}{
		{2, "plan restart-router emae", "emea"},
		{2, "plan restart-ruoter emea", "restart-router"},
		{2, "plan set syncInterval=29 emea", "30 to 1444"},
		{2, "plan set interval=45", "syncInterval"},
		{2, "show abcdef", id},
		{2, "answer " + id + " 1 yes", "no question"},
		{2, "answer " + id + " 99 yes", "1 to 12"},
		{2, "answer " + id + " 2 maybe", "yes"},
		{2, "approve " + id + " --step 2", "no approval"},
		{2, "approve " + id + " --all --step 4", "one of them"},
		{2, "skip " + id + " 1", "--reason"},
		{2, "confirm " + id + " 3", "is at step 1"},
		{1, "skip " + id + " 1 --reason because", "not been started"},
		{1, "stop " + id, "not been started"},
		{1, "resume " + id, "not stopped"},
		{1, "approve " + id + " --step 4", "not been read yet"},
	} {
		out, errs, code := run1(t, sim.dir, append([]string{"peering"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(errs, c.says) || strings.TrimSpace(out) != "" || strings.Count(strings.TrimSpace(errs), "\n") > 0 {
			t.Errorf("peering %s: exit %d, want %d and %q\nstdout %s\nstderr %s", c.args, code, c.code, c.says, out, errs)
		}
	}
}

// TestTwoPeopleSpeakToOnePlan at once: both words are written down, each once.
func TestTwoPeopleSpeakToOnePlan(t *testing.T) {
	sim := simulate(t, "--users", "20")
	must(t, 0, sim.dir, "run", "--once", "peersync")
	id := mustJSON[planJSON](t, 1, sim.dir, "peering", "plan", "restart-router", "emea").ID
	var both []*program
	for i := range 4 {
		both = append(both, start(t, sim.dir, "peering", "approve", id, "--step", strconv.Itoa(4+i)))
		both = append(both, start(t, sim.dir, "peering", "start", id))
	}
	for _, p := range both {
		p.code(t)
		if text := p.err.String(); strings.Contains(text, "panic") || strings.Contains(text, "conflict") {
			t.Errorf("%s", text)
		}
	}
	must(t, 0, sim.dir, "run", "--once", "peering")
	p := mustJSON[planJSON](t, 1, sim.dir, "peering", "show", id)
	if p.State != "waiting" {
		t.Errorf("%s: %s", p.State, p.Why)
	}
	// A start that was written down stands in the history.
	if n := strings.Count(must(t, 0, sim.dir, "history"), "peering start "+id); n < 1 {
		t.Errorf("%d starts stand in the history", n)
	}
}

// TestTwoPeopleAtOnce: each hears what became of the own word, and contrary answers do not
// both count.
func TestTwoPeopleAtOnce(t *testing.T) {
	sim := simulate(t, "--users", "20")
	must(t, 0, sim.dir, "run", "--once", "peersync")
	p := mustJSON[planJSON](t, 1, sim.dir, "peering", "plan", "restart-router", "emea")
	together := func(words ...[]string) (refused int) {
		errs := make([]string, len(words))
		var all sync.WaitGroup
		for i, word := range words {
			all.Go(func() { _, errs[i], _ = run1(t, sim.dir, append([]string{"peering"}, word...)...) })
		}
		all.Wait()
		for _, said := range errs {
			if strings.Contains(said, "still under way") {
				t.Errorf("nobody knows what became of it: %s", said)
			}
			if said != "" {
				refused++
			}
		}
		return refused
	}
	start := []string{"start", p.ID}
	if n := together(start, start, start); n != 2 {
		t.Errorf("a plan that three people start: %d hear that it was started already, want 2", n)
	}
	p = mustJSON[planJSON](t, 1, sim.dir, "peering", "show", p.ID)
	p.at(t, "waiting", 2)
	if n := together([]string{"answer", p.ID, "2", "no"}, []string{"answer", p.ID, "2", "yes"}); n != 1 {
		t.Errorf("contrary answers: %d are refused, want 1", n)
	}
}
