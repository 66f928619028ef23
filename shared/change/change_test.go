package change

import (
	"errors"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func acme(mode mesh.Mode) *mesh.Mesh {
	m := &mesh.Mesh{Name: "acme", Policy: mesh.Policy{Mode: mode}, Dialect: &mesh.Dialect{Parameters: map[string][]string{peer.ParamInterval: {"PeerSyncInterval"}}}}
	for _, id := range []mesh.ClusterID{"emea", "apac"} {
		pub, sub := mesh.NodeName("imp-"+id+"-pub"), mesh.NodeName("imp-"+id+"-sub")
		m.Clusters = append(m.Clusters, mesh.Cluster{ID: id, Release: "14.0.1SU3", Publisher: pub, Nodes: []mesh.Node{{Name: pub}, {Name: sub}}})
	}
	return m
}

func word(verb Verb, n int, steps ...int) Word {
	return Word{N: n, Verb: verb, Steps: steps, Actor: "ada", At: noon, Text: "CHG1"}
}

func made(t *testing.T, m *mesh.Mesh, kind Kind, args ...string) *Plan {
	t.Helper()
	p, err := Make(Known{Mesh: m, Now: noon}, "c4f2", Word{Kind: kind, Args: args, Actor: "ada", At: noon})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// nodes is a mesh of one cluster, of so many nodes.
func nodes(n int) *mesh.Mesh {
	m := acme(mesh.Recover)
	m.Clusters = m.Clusters[:1]
	m.Clusters[0].Nodes = make([]mesh.Node, n)
	return m
}

func opsOf(p *Plan) string {
	var out []string
	for _, s := range p.Steps {
		text := string(s.Op)
		if s.Node != "" {
			text += " " + strings.TrimPrefix(string(s.Node), "imp-emea-")
		}
		if s.Op == OpRestart {
			text += " " + s.Service
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// TestWhatEachPlanComesTo: the order of steps that a UC engineer expects.
func TestWhatEachPlanComesTo(t *testing.T) {
	m := acme(mesh.Recover)
	for _, c := range []struct {
		kind Kind
		args []string
		want string
	}{
		{Set, []string{"syncInterval=45", "emea"}, "preflight, set pub, set sub, awaitSync"},
		{Set, []string{"autoRecovery=on", "emea"}, "preflight, set pub, set sub"},
		{ActivateAXL, []string{"emea"}, "preflight, activate pub, awaitAXL pub, activate sub, awaitAXL sub"},
		{RestartRouter, []string{"emea"}, "preflight, askHA, disableHA, restart pub Cisco XCP Router, awaitHA pub, fallback pub, awaitPeople pub, restart sub Cisco XCP Router, awaitHA sub, fallback sub, awaitPeople sub, enableHA"},
		{TuneSIPProxy, []string{"emea"}, "preflight, set pub, set pub, set pub, set sub, set sub, set sub, askHA, disableHA, " +
			"restart pub Cisco SIP Proxy, awaitHA pub, fallback pub, awaitPeople pub, restart pub Cisco Server Recovery Manager, awaitHA pub, fallback pub, awaitPeople pub, restart pub Cisco Intercluster Sync Agent, " +
			"restart sub Cisco SIP Proxy, awaitHA sub, fallback sub, awaitPeople sub, restart sub Cisco Server Recovery Manager, awaitHA sub, fallback sub, awaitPeople sub, restart sub Cisco Intercluster Sync Agent, enableHA"},
	} {
		if got := opsOf(made(t, m, c.kind, c.args...)); got != c.want {
			t.Errorf("%s %s\n got %s\nwant %s", c.kind, c.args, got, c.want)
		}
	}
	if p := made(t, m, Set, "syncInterval=45"); len(p.Clusters) != 2 || len(p.Steps) != 8 {
		t.Errorf("without a cluster it is for %v in %d steps", p.Clusters, len(p.Steps))
	}
}

// TestWhatIsNoPlan: each is refused with the cure, and as a mistake of the command
// line.
func TestWhatIsNoPlan(t *testing.T) {
	old := acme(mesh.Recover)
	old.Clusters[0].Release = "12.5(1)SU2"
	twice := acme(mesh.Recover)
	twice.Dialect.Parameters = map[string][]string{"sip_proxy_processes": {"Max"}, "sip_proxy_spare_processes": {"max"}}
	for _, c := range []struct {
		name string
		mesh *mesh.Mesh
		kind Kind
		args []string
		says string
	}{
		{"no such kind", acme(mesh.Recover), "restart-ruoter", []string{"emea"}, "restart-router"},
		{"an interval of 29", acme(mesh.Recover), Set, []string{"syncInterval=29", "emea"}, "want minutes from 30 to 1444, not 29"},
		{"an interval of 1445", acme(mesh.Recover), Set, []string{"syncInterval=1445"}, "30 to 1444"},
		{"no value", acme(mesh.Recover), Set, []string{"syncInterval"}, "NAME=VALUE"},
		{"nothing at all", acme(mesh.Recover), Set, nil, "what is to be set"},
		{"another parameter", acme(mesh.Recover), Set, []string{"interval=30"}, "syncInterval, autoRecovery, certificateSync"},
		{"neither on nor off", acme(mesh.Recover), Set, []string{"autoRecovery=maybe"}, "want on or off"},
		{"an unknown cluster", acme(mesh.Recover), RestartRouter, []string{"emae"}, "emea"},
		{"no cluster", acme(mesh.Recover), RestartRouter, nil, "takes one cluster"},
		{"no cluster whose SIP Proxy is tuned", acme(mesh.Recover), TuneSIPProxy, nil, "takes one cluster"},
		{"an unknown cluster that gets an interval", acme(mesh.Recover), Set, []string{"syncInterval=45", "emae"}, "emea"},
		{"a plan of more steps than are carried out as one", nodes(MaxSteps), Set, []string{"autoRecovery=on"}, "a plan of 2001 steps, at most 2000"},
		{"two clusters", acme(mesh.Recover), ActivateAXL, []string{"emea", "apac"}, "takes one cluster"},
		{"a cluster twice", acme(mesh.Recover), Set, []string{"syncInterval=45", "emea", "emea"}, "emea is named twice"},
		{"a release without the interval", old, Set, []string{"syncInterval=45", "emea"}, "12.5(1)SU3"},
		{"a release without certificate sync", old, Set, []string{"certificateSync=on", "emea"}, "12.5(1)SU4"},
		{"one internal name for two parameters", twice, TuneSIPProxy, []string{"emea"}, "max twice"},
	} {
		_, err := Make(Known{Mesh: c.mesh, Now: noon}, "x", Word{Kind: c.kind, Args: c.args})
		var usage *UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
	for _, c := range []struct {
		name string
		k    Known
		kind Kind
		args []string
	}{
		{"12.5(1)SU2 has auto recovery", Known{Mesh: old}, Set, []string{"autoRecovery=on", "emea"}},
		{"the least interval", Known{Mesh: acme(mesh.Recover)}, Set, []string{"syncInterval=30"}},
		{"the greatest", Known{Mesh: acme(mesh.Recover)}, Set, []string{"syncInterval=1444"}},
		{"as many steps as are carried out as one", Known{Mesh: nodes(MaxSteps - 1)}, Set, []string{"autoRecovery=on"}},
	} {
		if _, err := Make(c.k, "x", Word{Kind: c.kind, Args: c.args}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// What a node says of itself counts before what mesh.yaml declares, and is what is told.
	upgraded := Known{Mesh: acme(mesh.Recover), Nodes: map[mesh.NodeName]peer.Node{"imp-emea-pub": {Version: peer.Known("12.5.1.10000-22", noon)}}}
	if _, err := Make(upgraded, "x", Word{Kind: Set, Args: []string{"certificateSync=on", "emea"}}); err == nil || !strings.Contains(err.Error(), "this is 12.5.1.10000-22;") {
		t.Errorf("a node of another release: %v", err)
	}
	if _, err := Make(Known{Mesh: old}, "x", Word{Kind: Set, Args: []string{"certificateSync=on", "emea"}}); err == nil || !strings.Contains(err.Error(), "this is 12.5(1)SU2;") {
		t.Errorf("a declared release: %v", err)
	}
}

// TestWhatIsThereAlreadyIsDone: a plan for values that are there has nothing to do.
func TestWhatIsThereAlreadyIsDone(t *testing.T) {
	m := acme(mesh.Recover)
	reads := func(pub, sub string) Known {
		k := Known{Mesh: m, Now: noon, Nodes: map[mesh.NodeName]peer.Node{}}
		for name, v := range map[mesh.NodeName]string{"imp-emea-pub": pub, "imp-emea-sub": sub} {
			k.Nodes[name] = peer.Node{Parameters: peer.Known(map[string]string{peer.ParamInterval: v}, noon)}
		}
		return k
	}
	w := Word{Kind: Set, Args: []string{"syncInterval=45", "emea"}}
	p, err := Make(reads("45", " 45 "), "x", w)
	if err != nil || p.State != Done || p.Why != "it is all as wanted already: imp-emea-pub: it reads 45 already; imp-emea-sub: it reads \" 45 \" already" {
		t.Fatalf("both nodes read 45: %v, %+v", err, p)
	}
	for i, want := range []StepState{StepSkipped, StepDone, StepDone, StepSkipped} {
		if p.Steps[i].State != want {
			t.Errorf("both nodes read 45: step %d is %s, want %s", i+1, p.Steps[i].State, want)
		}
	}
	p, err = Make(reads("45", "30"), "x", w)
	if err != nil || p.State != Draft || p.Steps[1].State != StepDone || p.Steps[2].State != StepPending || p.Steps[0].State != StepPending {
		t.Errorf("one node reads 30: %v, %+v", err, p)
	}
}

// TestServicesThatRunAlreadyAreNotActivated: node by node.
func TestServicesThatRunAlreadyAreNotActivated(t *testing.T) {
	plan := func(pub, sub string) *Plan {
		k := Known{Mesh: acme(mesh.Recover), Now: noon, Nodes: map[mesh.NodeName]peer.Node{}}
		for name, status := range map[mesh.NodeName]string{"imp-emea-pub": pub, "imp-emea-sub": sub} {
			k.Nodes[name] = peer.Node{Services: peer.Known(map[string]peer.Service{peer.AXL: {Status: status}}, noon)}
		}
		p, err := Make(k, "x", Word{Kind: ActivateAXL, Args: []string{"emea"}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := plan("Started", "Stopped")
	for i, want := range []StepState{StepPending, StepDone, StepDone, StepPending, StepPending} {
		if p.Steps[i].State != want {
			t.Errorf("step %d is %s, want %s", i+1, p.Steps[i].State, want)
		}
	}
	if p = plan("Started", "Started"); p.State != Done {
		t.Errorf("it runs on both nodes, and the plan is %s", p.State)
	}
}

// TestNumbersThatAreThereStillNeedTheirRestarts: nobody knows whether the services were
// restarted since.
func TestNumbersThatAreThereStillNeedTheirRestarts(t *testing.T) {
	k := Known{Mesh: acme(mesh.Recover), Now: noon, Nodes: map[mesh.NodeName]peer.Node{}}
	for _, n := range k.Mesh.Clusters[0].Nodes {
		k.Nodes[n.Name] = peer.Node{Parameters: peer.Known(map[string]string{"sip_proxy_processes": "10", "sip_proxy_spare_processes": "10", "sip_proxy_least_spare_processes": "10"}, noon)}
	}
	p, err := Make(k, "x", Word{Kind: TuneSIPProxy, Args: []string{"emea"}})
	if err != nil || p.State != Draft || p.Steps[1].State != StepDone || p.Steps[6].State != StepDone {
		t.Errorf("%v, %+v", err, p)
	}
}

// TestAParameterOfWhichTheInternalNameIsInDoubt is a person's to set, by the words of Cisco's
// page.
func TestAParameterOfWhichTheInternalNameIsInDoubt(t *testing.T) {
	for _, c := range []struct {
		names []string
		arg   string
		kind  StepKind
		title string
	}{
		{[]string{"One"}, "autoRecovery=on", Automatic, "to Enabled on"},
		{[]string{"One", "Other"}, "autoRecovery=off", Manual, "to Disabled on"},
		{nil, "certificateSync=on", Manual, "to Perform certificate sync on"},
		{nil, "certificateSync=off", Manual, "to Do not perform certificate sync on"},
	} {
		m := acme(mesh.Recover)
		m.Dialect.Parameters[peer.ParamAutoRecovery] = c.names
		if s := made(t, m, Set, c.arg, "emea").View(m).Steps[1]; s.Kind != c.kind || !strings.Contains(s.Title, c.title) {
			t.Errorf("%v: %+v", c.names, s)
		}
	}
}

// TestSwitchesAreWrittenAsTheyStand: how the database has a switch is nowhere
// published, so what stands there tells it.
func TestSwitchesAreWrittenAsTheyStand(t *testing.T) {
	for _, c := range []struct{ now, want, written string }{
		{"t", "off", "f"}, {"F", "on", "T"}, {"0", "on", "1"}, {"Enabled", "off", "Disabled"}, {"TRUE", "off", "FALSE"}, {" on ", "off", "off"}, {"30", "45", "45"},
	} {
		if got, err := Written(c.now, c.want); err != nil || got != c.written {
			t.Errorf("%q stands there, %s is wanted: %q, %v", c.now, c.want, got, err)
		}
	}
	for _, c := range [][2]string{{"2", "on"}, {"", "off"}, {"ja", "on"}, {"t", "45"}, {"", "45"}} {
		if got, err := Written(c[0], c[1]); err == nil {
			t.Errorf("%q stands there, %s is wanted: %q is written", c[0], c[1], got)
		}
	}
	for _, c := range []struct {
		got, want string
		same      bool
	}{{"t", "on", true}, {"Disabled", "off", true}, {"1", "off", false}, {"2", "on", false}, {" 45", "45", true}, {"45", "30", false}} {
		if Same("", c.got, c.want) != c.same {
			t.Errorf("%q is %s: want %v", c.got, c.want, c.same)
		}
	}
}

// walk hears words, and fails on the first that is refused.
func walk(t *testing.T, p *Plan, mode mesh.Mode, words ...Word) {
	t.Helper()
	for _, w := range words {
		if err := p.Hear(w, mode, noon); err != nil {
			t.Fatalf("%s %v: %v", w.Verb, w.Steps, err)
		}
	}
}

func TestAPlanObeys(t *testing.T) {
	m := acme(mesh.Recover)
	start := noon.Add(-time.Hour)
	begin := func() *Plan {
		p := made(t, m, RestartRouter, "emea")
		walk(t, p, mesh.Recover, word(Start, 1))
		p.Steps[0].Turn(StepDone, noon, "")
		p.Steps[3].ServiceStart = start
		return p
	}
	approve := func(n int, saw time.Time) Word {
		w := word(Approve, n, 4)
		w.Saw = map[int]time.Time{4: saw}
		return w
	}
	answer := func(n int, yes bool) Word {
		w := word(Answer, n, 2)
		w.Yes = yes
		return w
	}
	t.Run("an approval is for the service as it was seen", func(t *testing.T) {
		p := begin()
		if err := p.Hear(approve(2, start.Add(-time.Hour)), mesh.Recover, noon); err == nil || errors.As(err, new(*UsageError)) || !strings.Contains(err.Error(), "look again") {
			t.Errorf("for an earlier start: %v", err)
		}
		walk(t, p, mesh.Recover, approve(3, start.Add(time.Second)))
		if c := p.Steps[3].Consent; c == nil || c.Actor != "ada" || len(p.Refused) != 1 || p.Refused[0].N != 2 {
			t.Errorf("%+v, refused %+v", p.Steps[3], p.Refused)
		}
	})
	t.Run("a word is heard once", func(t *testing.T) {
		p := begin()
		walk(t, p, mesh.Recover, word(Stop, 2), word(Resume, 3), word(Stop, 2))
		if p.State != Running || p.Folded != 3 {
			t.Errorf("%s after %d", p.State, p.Folded)
		}
	})
	t.Run("no to disabling HA leaves out the steps that go with it", func(t *testing.T) {
		p := begin()
		walk(t, p, mesh.Recover, answer(2, false))
		p.Steps[1].Turn(StepDone, noon, "ada answered no")
		p.SkipDependants(noon)
		if p.Steps[2].State != StepSkipped || p.Steps[len(p.Steps)-1].State != StepSkipped || p.Steps[3].State != StepPending {
			t.Errorf("%+v", p.Steps)
		}
	})
	t.Run("an abort still asks for what must be undone", func(t *testing.T) {
		p := begin()
		walk(t, p, mesh.Recover, answer(2, true))
		p.Steps[1].Turn(StepDone, noon, "ada answered yes")
		p.Steps[2].Turn(StepDone, noon, "high availability reads off")
		if err := p.Hear(word(Skip, 3, len(p.Steps)), mesh.Recover, noon); err == nil || !strings.Contains(err.Error(), "undoes step 3") {
			t.Errorf("the step that enables HA is skipped: %v", err)
		}
		walk(t, p, mesh.Recover, word(Stop, 4))
		if !strings.Contains(p.Why, "still disabled") {
			t.Errorf("stopped: %s", p.Why)
		}
		walk(t, p, mesh.Recover, word(Abort, 5))
		if last := p.Current(); p.State != Running || last == nil || last.Op != OpEnableHA {
			t.Fatalf("%s at %+v", p.State, last)
		}
		p.Current().Turn(StepDone, noon, "")
		p.Finish(noon)
		if p.State != Aborted {
			t.Errorf("it ends %s", p.State)
		}
	})
	t.Run("what stopped the plan and is skipped lets it go on, what a person stopped does not", func(t *testing.T) {
		p := made(t, m, Set, "syncInterval=45", "emea")
		walk(t, p, mesh.Recover, word(Start, 1))
		p.Steps[0].Turn(StepFailed, noon, "2 checks fail")
		p.Halt("", "step 1: 2 checks fail", noon)
		walk(t, p, mesh.Recover, word(Skip, 2, 1))
		if p.State != Running || p.Steps[0].State != StepSkipped {
			t.Errorf("%s, %+v", p.State, p.Steps[0])
		}
		walk(t, p, mesh.Recover, word(Stop, 3), word(Skip, 4, 2))
		if p.State != Stopped {
			t.Errorf("a person's stop ended by a skip: %s", p.State)
		}
	})
	t.Run("a later step is skipped, and the plan stays stopped", func(t *testing.T) {
		p := begin()
		p.Steps[1].Turn(StepSkipped, noon, "")
		p.Steps[2].Turn(StepSkipped, noon, "")
		walk(t, p, mesh.Recover, approve(2, start))
		p.Steps[3].Turn(StepFailed, noon, "Replicate_State is 3")
		p.Halt("", "step 4: Replicate_State is 3", noon)
		walk(t, p, mesh.Recover, word(Skip, 3, 8))
		if p.State != Stopped {
			t.Errorf("%s: what was approved before is sent, and nobody has resumed it", p.State)
		}
	})
	t.Run("of a word for two steps one is not obeyed, and so none", func(t *testing.T) {
		p := begin()
		w := approve(2, start)
		w.Steps = []int{4, 8}
		if err := p.Hear(w, mesh.Recover, noon); err == nil || p.Steps[3].Consent != nil {
			t.Errorf("%v, %+v", err, p.Steps[3].Consent)
		}
	})
	t.Run("high availability that cannot be enabled again ends no plan silently", func(t *testing.T) {
		p := begin()
		last := len(p.Steps)
		walk(t, p, mesh.Recover, answer(2, true))
		p.Steps[1].Turn(StepDone, noon, "")
		p.Steps[2].Began = noon
		p.Steps[2].Turn(StepWaiting, noon, "for a person to do it")
		walk(t, p, mesh.Recover, word(Stop, 3))
		if !strings.Contains(p.Why, "may be disabled") {
			t.Errorf("stopped: %s", p.Why)
		}
		walk(t, p, mesh.Recover, word(Abort, 4))
		if at := p.Current(); p.State != Running || at == nil || at.N != last {
			t.Fatalf("%s at %+v", p.State, at)
		}
		walk(t, p, mesh.Recover, word(Skip, 5, last))
		p.Finish(noon)
		if p.State != Aborted || !strings.Contains(p.Why, "was skipped") {
			t.Errorf("%s: %s", p.State, p.Why)
		}
	})
	t.Run("what comes next is a word that the plan obeys", func(t *testing.T) {
		p := begin()
		for i := range 3 {
			p.Steps[i].Turn(StepSkipped, noon, "")
		}
		p.Steps[3].Turn(StepDone, noon, "")
		for i, want := range []string{"goes on when it reads so", "confirm c4f2 6", "answer c4f2 7"} {
			s := &p.Steps[4+i]
			s.Turn(StepWaiting, noon, "")
			p.Turn(Waiting, "", noon)
			if got := p.View(m).Next; !strings.Contains(got, want) {
				t.Errorf("step %d: %q", s.N, got)
			}
			s.Turn(StepDone, noon, "")
		}
		p.Steps[7].Turn(StepUnknown, noon, "")
		p.Halt("", "step 8", noon)
		if got := p.View(m).Next; !strings.Contains(got, "confirm c4f2 8") || !strings.Contains(got, "skip c4f2 8") {
			t.Errorf("%q", got)
		}
	})
	t.Run("nobody can tell whether it was done", func(t *testing.T) {
		p := begin()
		for i := range 3 {
			p.Steps[i].Turn(StepDone, noon, "")
		}
		p.Steps[3].Turn(StepUnknown, noon, "")
		p.Halt("", "step 4", noon)
		walk(t, p, mesh.Recover, word(Confirm, 2, 4))
		if p.Steps[3].State != StepDone || p.State != Running {
			t.Errorf("%s, %+v", p.State, p.Steps[3])
		}
	})
}

// TestAWordThatIsNotObeyed: a mistake of the command line is told from what the plan
// does not take as it is now.
func TestAWordThatIsNotObeyed(t *testing.T) {
	reason := func(w Word, text string) Word { w.Text = text; return w }
	draft := func(*Plan) {}
	running := func(p *Plan) { p.State = Running }
	for _, c := range []struct {
		name  string
		setup func(p *Plan)
		word  Word
		usage bool
		says  string
	}{
		{"a step of a draft is skipped", draft, word(Skip, 1, 1), false, "has not been started"},
		{"a draft is stopped", draft, word(Stop, 1), false, "abort"},
		{"started twice", running, word(Start, 1), false, "started already"},
		{"resumed although it runs", running, word(Resume, 1), false, "not stopped"},
		{"stopped twice", func(p *Plan) { p.State = Stopped }, word(Stop, 1), false, "stopped already"},
		{"no such step", running, word(Confirm, 1, 99), true, "steps 1 to 12"},
		{"which step", running, word(Confirm, 1), true, "which step"},
		{"an answer to a check", running, word(Answer, 1, 1), true, "no question"},
		{"an answer to a later question", running, word(Answer, 1, 2), true, "is at step 1"},
		{"a check is confirmed", running, word(Confirm, 1, 1), true, "nothing to confirm"},
		{"approval of a question", running, word(Approve, 1, 2), true, "needs no approval"},
		{"approval before the service was read", running, word(Approve, 1, 4), false, "not been read yet"},
		{"skipped without a reason", running, reason(word(Skip, 1, 1), ""), true, "--reason"},
		{"skipped twice", func(p *Plan) { p.State = Running; p.Steps[0].State = StepSkipped }, word(Skip, 1, 1), false, "is skipped"},
		{"a done plan", func(p *Plan) { p.State = Done }, word(Abort, 1), false, "is done"},
		{"aborted while something is on its way", func(p *Plan) { p.State = Running; p.Steps[3].State, p.Steps[3].Sent = StepRunning, noon }, word(Abort, 1), false, "being carried out"},
		{"skipped while it is on its way", func(p *Plan) { p.State = Running; p.Steps[3].State, p.Steps[3].Sent = StepRunning, noon }, word(Skip, 1, 4), false, "being carried out"},
	} {
		p := made(t, acme(mesh.Recover), RestartRouter, "emea")
		c.setup(p)
		before := opsOf(p) + string(p.State)
		err := p.Would(c.word, mesh.Recover, noon)
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.As(err, new(*UsageError)) != c.usage {
			t.Errorf("%s: %v (usage %v wanted)", c.name, err, c.usage)
		}
		if opsOf(p)+string(p.State) != before {
			t.Errorf("%s: asking changed the plan", c.name)
		}
	}
}

// TestModeObserveLeavesAllToPeople: every automatic step is then a manual one, and
// so is a parameter whose internal name nobody has said.
func TestModeObserveLeavesAllToPeople(t *testing.T) {
	for _, c := range []struct {
		mode mesh.Mode
		args string
		want StepKind
	}{
		{mesh.Recover, "syncInterval=45", Automatic}, {mesh.Observe, "syncInterval=45", Manual}, {mesh.Recover, "autoRecovery=on", Manual},
	} {
		m := acme(c.mode)
		v := made(t, m, Set, c.args, "emea").View(m)
		if got := v.Steps[1]; got.Kind != c.want || got.How == nil || !strings.Contains(got.How.Line(), "Service Parameters") {
			t.Errorf("%s in mode %s: %+v", c.args, c.mode, got)
		}
	}
	m := acme(mesh.Observe)
	for _, s := range made(t, m, RestartRouter, "emea").View(m).Steps {
		if s.Approval != "none" {
			t.Errorf("step %d is a person's and asks for an approval", s.N)
		}
	}
}

// TestEveryStepSaysWhatItIs: what, why, proof and, for what people do, how.
func TestEveryStepSaysWhatItIs(t *testing.T) {
	for _, mode := range []mesh.Mode{mesh.Observe, mesh.Recover} {
		m := acme(mode)
		for _, p := range []*Plan{made(t, m, Set, "syncInterval=45", "emea"), made(t, m, ActivateAXL, "emea"), made(t, m, RestartRouter, "emea"), made(t, m, TuneSIPProxy, "emea")} {
			v := p.View(m)
			if v.Title == "" || v.Estimate == "" || v.State != Draft {
				t.Errorf("%+v", v)
			}
			for _, s := range v.Steps {
				if s.Title == "" || s.Why == "" || s.Proof == "" || s.Interrupts == "" || s.Kind == Manual && s.How == nil {
					t.Errorf("%s step %d: %+v", p.Kind, s.N, s)
				}
			}
		}
	}
}

// TestEveryStepHasItsText: the two lists are of the same steps.
func TestEveryStepHasItsText(t *testing.T) {
	all, said := ops(), texts()
	if len(all) != len(said) {
		t.Fatalf("%d steps, %d texts", len(all), len(said))
	}
	for i := range all {
		if all[i].name != said[i].op || all[i].kind == "" {
			t.Errorf("step %d is %s, and its text %s", i, all[i].name, said[i].op)
		}
	}
}

// TestWhenPairsWearChanging: from the plan's start until the pair itself is verified, also
// while the plan waits or is stopped; the looks after that keep nothing quiet.
func TestWhenPairsWearChanging(t *testing.T) {
	apac, amer := mesh.PeerID{From: "emea", To: "apac"}, mesh.PeerID{From: "emea", To: "amer"}
	pairs := []mesh.PeerID{apac, apac.Reverse(), amer, amer.Reverse()}
	over, open := StepDone, StepPending
	for _, c := range []struct {
		name       string
		state      State
		steps      []StepState // checks; apac's entry, apac is verified; amer's entry, amer is verified; a look at apac; mesh.yaml
		apac, amer bool
	}{
		{"a draft", Draft, []StepState{open, open, open, open, open, open, over}, false, false},
		{"at its checks", Running, []StepState{open, open, open, open, open, open, over}, true, true},
		{"stopped at its checks", Stopped, []StepState{StepFailed, open, open, open, open, open, over}, true, true},
		{"at the entry", Waiting, []StepState{over, StepWaiting, open, open, open, open, over}, true, true},
		{"one is verified", Running, []StepState{over, over, over, open, open, open, over}, false, true},
		{"stopped, and one is verified", Stopped, []StepState{over, over, over, StepFailed, open, open, over}, false, true},
		{"both are verified, and a person is to look", Waiting, []StepState{over, over, over, over, over, StepWaiting, over}, false, false},
		{"mesh.yaml has them yet, and no entry is left", Waiting, []StepState{over, over, over, over, over, over, StepWaiting}, true, true},
		{"done", Done, []StepState{over, over, over, over, over, over, over}, false, false},
		{"aborted", Aborted, []StepState{over, open, open, open, open, open, open}, false, false},
	} {
		p := Plan{Head: Head{ID: "c4f2", State: c.state, Pairs: pairs}}
		about := []mesh.PeerID{{}, apac, apac.Reverse(), amer, amer, apac, {}}
		for i, op := range []Op{OpPreflight, OpAddEntry, OpVerifyPair, OpAddEntry, OpVerifyPair, OpLook, OpMeshLines} {
			p.Steps = append(p.Steps, Step{N: i + 1, Op: op, Pair: about[i], State: c.steps[i]})
		}
		all := Plans{Plans: []Entry{p.Entry()}}.Changing()
		for _, x := range []struct {
			pair mesh.PeerID
			worn bool
		}{{apac, c.apac}, {apac.Reverse(), c.apac}, {amer, c.amer}, {amer.Reverse(), c.amer}} {
			if got := all[x.pair] == "c4f2"; got != x.worn {
				t.Errorf("%s: %s wears Changing: %v, want %v", c.name, x.pair, got, x.worn)
			}
		}
	}
}
