package change

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
)

// TestWhatCanBeApproved: restarts that are still to come, that nobody has approved, and of
// whose service it is known since when it runs.
func TestWhatCanBeApproved(t *testing.T) {
	p := made(t, acme(mesh.Recover), RestartRouter, "emea")
	restarts := []*Step{&p.Steps[3], &p.Steps[7]}
	if got := p.Approvable(); len(got) != 0 {
		t.Errorf("before the services were read: %v", got)
	}
	for i := range p.Steps {
		p.Steps[i].ServiceStart = noon
	}
	if got := p.Approvable(); !slices.Equal(got, []int{4, 8}) {
		t.Errorf("of two restarts: %v", got)
	}
	restarts[0].Consent = &Consent{Actor: "ada"}
	if got := p.Approvable(); !slices.Equal(got, []int{8}) {
		t.Errorf("one is approved: %v", got)
	}
	restarts[1].State = StepDone
	if got := p.Approvable(); len(got) != 0 {
		t.Errorf("and the other is done: %v", got)
	}
}

// TestSinceWhen: a plan and a step count from when their state changed, not from when they
// were last looked at; what was noted by a clock ahead of now counts from now.
func TestSinceWhen(t *testing.T) {
	later := noon.Add(time.Hour)
	p := made(t, acme(mesh.Recover), Set, "syncInterval=45", "emea")
	s := &p.Steps[0]
	p.Turn(Running, "", noon)
	s.Turn(StepRunning, noon, "100 % read")
	p.Turn(Running, "looked at again", later)
	s.Turn(StepRunning, later, "%d rows fail", 2)
	if !p.Since.Equal(noon) || p.Why != "looked at again" || !s.Since.Equal(noon) || s.Evidence != "2 rows fail" {
		t.Errorf("the plan since %s: %s; the step since %s: %s", p.Since, p.Why, s.Since, s.Evidence)
	}
	s.Turn(StepWaiting, later, "100 % read")
	if !s.Since.Equal(later) || s.Evidence != "100 % read" {
		t.Errorf("another state since %s: %s", s.Since, s.Evidence)
	}

	p.Started, p.Since, s.Began, s.Failing, s.Sent = later, later, later, later, later
	p.Steps[1].Since = noon.Add(-time.Hour)
	p.Reclock(noon)
	for name, at := range map[string]time.Time{"its start": p.Started, "its state": p.Since, "the step's state": s.Since, "its beginning": s.Began, "its failing": s.Failing} {
		if !at.Equal(noon) {
			t.Errorf("%s counts from %s", name, at)
		}
	}
	if !s.Sent.Equal(later) || !p.Steps[1].Since.Equal(noon.Add(-time.Hour)) {
		t.Errorf("what was sent at %s keeps from sending; what was noted before now stays: %s", s.Sent, p.Steps[1].Since)
	}
}

// TestWhatEndsWithAnotherStep: what depends on a step that is left out or answered no.
func TestWhatEndsWithAnotherStep(t *testing.T) {
	no, yes := &Said{Verb: Answer}, &Said{Verb: Answer, Yes: true}
	for _, c := range []struct {
		name     string
		on, step Step
		want     StepState
		says     string
	}{
		{"it is to come", Step{Op: OpAskHA, State: StepPending}, Step{Op: OpDisableHA}, StepPending, ""},
		{"it waits for its answer", Step{Op: OpAskHA, State: StepWaiting, Said: no}, Step{Op: OpDisableHA}, StepPending, ""},
		{"it was answered yes", Step{Op: OpAskHA, State: StepDone, Said: yes}, Step{Op: OpDisableHA}, StepPending, ""},
		{"it was answered no", Step{Op: OpAskHA, State: StepDone, Said: no}, Step{Op: OpDisableHA}, StepSkipped, "step 1 was answered no"},
		{"it was confirmed", Step{Op: OpAddEntry, State: StepDone, Said: &Said{Verb: Confirm}}, Step{Op: OpAskBell}, StepPending, ""},
		{"it was read", Step{Op: OpAddEntry, State: StepDone}, Step{Op: OpAskBell}, StepPending, ""},
		{"it failed", Step{Op: OpRestart, State: StepFailed}, Step{Op: OpAwaitHA}, StepPending, ""},
		{"it was skipped", Step{Op: OpRestart, State: StepSkipped}, Step{Op: OpAwaitHA}, StepSkipped, "step 1 was skipped"},
		{"high availability was never disabled", Step{Op: OpDisableHA, State: StepSkipped}, Step{Op: OpEnableHA}, StepSkipped, "step 1 was skipped"},
		{"somebody was asked to disable it", Step{Op: OpDisableHA, State: StepSkipped, Began: noon}, Step{Op: OpEnableHA}, StepPending, ""},
	} {
		c.on.N, c.step.N, c.step.Of, c.step.State = 1, 2, 1, StepPending
		p := &Plan{Steps: []Step{c.on, c.step, {N: 3, Op: OpLook, State: StepPending}, {N: 4, Op: OpLook, Of: 1, State: StepWaiting}}}
		p.SkipDependants(noon)
		if got := p.Steps[1]; got.State != c.want || got.Evidence != c.says {
			t.Errorf("%s: %s is %s: %s", c.name, got.Op, got.State, got.Evidence)
		}
		if p.Steps[2].State != StepPending || p.Steps[3].State != StepWaiting {
			t.Errorf("%s: what depends on nothing, or has begun: %+v", c.name, p.Steps[2:])
		}
	}
}

// TestWhatEveryFunctionKnowsOfAPlan: its entry in PLANS, as it goes on.
func TestWhatEveryFunctionKnowsOfAPlan(t *testing.T) {
	p := made(t, world("14.0", "emea", "apac"), Delete, "emea", "apac")
	there, back := mesh.PeerID{From: "emea", To: "apac"}, mesh.PeerID{From: "apac", To: "emea"}
	entry := Entry{ID: "c4f2", Kind: Delete, State: Draft, Clusters: []mesh.ClusterID{"emea", "apac"}, Steps: len(p.Steps), Since: noon}
	expect := func(name, progress string) {
		t.Helper()
		got := p.Entry()
		if diff := cmp.Diff(entry, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got.Progress() != progress {
			t.Errorf("%s: %q, want %q", name, got.Progress(), progress)
		}
	}
	expect("a draft", "")
	walk(t, p, mesh.Recover, word(Start, 1))
	entry.State, entry.Folded, entry.Step = Running, 1, 1
	entry.Pairs, entry.AllPairs = []mesh.PeerID{there, back}, 2
	expect("at mesh.yaml", "0 of 2 directed peers are done")
	gone := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Op == OpVerifyGone })
	for i := range gone {
		p.Steps[i].Turn(StepDone, noon, "")
	}
	p.Turn(Waiting, strings.Repeat("x", 501), noon.Add(time.Hour))
	entry.State, entry.Why, entry.Since, entry.Step = Waiting, strings.Repeat("x", 500)+"…", noon.Add(time.Hour), gone+1
	expect("both entries are deleted", "0 of 2 directed peers are done")
	for i := range 2 {
		p.Steps[gone+i].Turn(StepDone, noon, "")
	}
	entry.Step, entry.Pairs, entry.DonePairs = gone+3, nil, 2
	expect("they are gone, and certificates are left", "2 of 2 directed peers are done")
	p.Steps[gone].State = StepSkipped
	entry.DonePairs = 1
	expect("what was left out when it was verified is not done", "1 of 2 directed peers are done")
	p.Steps[gone].State = StepDone
	entry.DonePairs = 2
	walk(t, p, mesh.Recover, word(Stop, 2))
	entry.State, entry.Stop, entry.Why, entry.Since, entry.Folded = Stopped, "ada", "stopped by ada: CHG1", noon, 2
	expect("stopped by a person", "2 of 2 directed peers are done")
	walk(t, p, mesh.Recover, word(Abort, 3))
	entry = Entry{ID: "c4f2", Kind: Delete, State: Aborted, Since: noon, Folded: 3}
	expect("aborted", "")

	p.Abort, p.State = "", Running
	p.Finish(noon)
	entry.State = Done
	expect("finished", "")

	all := Plans{Plans: []Entry{
		{ID: "a1b2", Kind: Leave, State: Draft, Clusters: []mesh.ClusterID{"emea"}, Pairs: []mesh.PeerID{{From: "emea", To: "amer"}}},
		{ID: "a1b3", Kind: Leave, State: Done, Clusters: []mesh.ClusterID{"apac"}, Pairs: []mesh.PeerID{back}},
		{ID: "a1b4", Kind: Leave, State: Stopped, Clusters: []mesh.ClusterID{"amer", "emea"}, Pairs: []mesh.PeerID{there}},
		{ID: "a1b5", Kind: Add, State: Running, Clusters: []mesh.ClusterID{"emea", "latam"}},
	}}
	if e, ok := all.Find("a1b4"); !ok || e.State != Stopped {
		t.Errorf("%+v", e)
	}
	if e, ok := all.Find("a1b2"); !ok || e.State != Draft {
		t.Errorf("%+v", e)
	}
	if e, ok := all.Find("c4f2"); ok {
		t.Errorf("%+v", e)
	}
	if diff := cmp.Diff(map[mesh.PeerID]string{there: "a1b4"}, all.Changing()); diff != "" {
		t.Errorf("only the stopped one holds its pair:\n%s", diff)
	}
	if diff := cmp.Diff(map[mesh.ClusterID]string{"amer": "a1b4"}, all.Leaving()); diff != "" {
		t.Errorf("only the stopped one takes a cluster out:\n%s", diff)
	}
	if got := (Entry{AllPairs: 1}).Progress(); got != "0 of 1 directed peer is done" {
		t.Error(got)
	}
}

// TestWhatIsOnItsWay: an action that was sent, while it is not known what became of it.
func TestWhatIsOnItsWay(t *testing.T) {
	for _, c := range []struct {
		step Step
		want bool
	}{
		{Step{State: StepRunning, Sent: noon}, true}, {Step{State: StepRunning}, false}, {Step{State: StepUnknown, Sent: noon}, false}, {Step{State: StepPending}, false},
	} {
		c.step.N, c.step.Op = 1, OpRestart
		p := &Plan{Head: Head{State: Running}, Steps: []Step{c.step}}
		if got := p.Entry().Sent; got != c.want {
			t.Errorf("%+v: %v", c.step, got)
		}
	}
}

// TestWhichStepsHoldRepairs: what is on its way to the cluster, what has been sent and is not
// settled, and those after a restart whatever they wait for.
func TestWhichStepsHoldRepairs(t *testing.T) {
	sending := []Op{OpSet, OpActivate, OpRestart}
	running := []Op{OpAwaitAXL, OpVerifyPair}
	always := []Op{OpAwaitHA, OpFallback, OpAwaitPeople}
	for _, o := range ops() {
		for _, c := range []struct {
			name  string
			step  Step
			holds []Op
		}{
			{"while it waits", Step{State: StepWaiting, Sent: noon}, always},
			{"while it runs", Step{State: StepRunning}, slices.Concat(always, running)},
			{"while an action is on its way", Step{State: StepRunning, Sent: noon}, slices.Concat(always, running, sending)},
		} {
			c.step.Op = o.name
			if want := slices.Contains(c.holds, o.name); c.step.Locks() != want {
				t.Errorf("%s %s: want %v", o.name, c.name, want)
			}
		}
	}
}

// TestWhichClustersAStepNeeds: without one of them in mesh.yaml it waits.
func TestWhichClustersAStepNeeds(t *testing.T) {
	pair := mesh.PeerID{From: "emea", To: "apac"}
	joins := &Plan{Head: Head{Clusters: []mesh.ClusterID{"apac", "emea", "amer"}, Pairs: []mesh.PeerID{pair, {From: "amer", To: "apac"}, pair.Reverse(), {From: "amer", To: "emea"}}}}
	sets := &Plan{Head: Head{Clusters: []mesh.ClusterID{"emea", "apac"}}}
	for _, c := range []struct {
		plan *Plan
		step Step
		want string
	}{
		{joins, Step{Op: OpMeshLines, Cluster: "apac", Pair: pair}, ""},
		{joins, Step{Op: OpLayOut, Cluster: "apac"}, ""},
		{joins, Step{Op: OpPreflight, Cluster: "apac"}, "apac"},
		{joins, Step{Op: OpAddEntry, Cluster: "emea", Pair: pair}, "emea apac"},
		{sets, Step{Op: OpSet, Cluster: "emea"}, "emea apac"},
	} {
		var got []string
		for _, id := range c.plan.Needs(&c.step) {
			got = append(got, string(id))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.step.Op, got, c.want)
		}
	}
	if got := joins.PairsOf("apac"); !slices.Equal(got, []mesh.PeerID{pair, {From: "amer", To: "apac"}, pair.Reverse()}) {
		t.Errorf("pairs of apac: %v", got)
	}
}

// TestHowLongWhatIsLeftTakes: if nobody is waited for and every window is open.
func TestHowLongWhatIsLeftTakes(t *testing.T) {
	m := acme(mesh.Recover)
	m.Clusters[0].SyncInterval = mesh.Duration(45 * time.Minute)
	done := func(p *Plan, from, to int) {
		for n := from; n <= to; n++ {
			p.Steps[n-1].Turn(StepDone, noon, "")
		}
	}
	for _, c := range []struct {
		name string
		goes func(p *Plan)
		kind Kind
		args []string
		want string
	}{
		{"an interval", func(*Plan) {}, Set, []string{"syncInterval=45", "emea"}, "about 45 min"},
		{"its last step", func(p *Plan) { done(p, 1, 3) }, Set, []string{"syncInterval=45", "emea"}, "about 45 min"},
		{"nothing", func(p *Plan) { done(p, 1, 4) }, Set, []string{"syncInterval=45", "emea"}, "nothing is left"},
		{"what takes no time takes a look", func(p *Plan) { done(p, 1, 2) }, Set, []string{"autoRecovery=on", "emea"}, "about 5 min; 1 step waits for a person"},
		{"a question, high availability twice, two restarts", func(*Plan) {}, RestartRouter, []string{"emea"}, "about 44 min; 5 steps wait for a person"},
		{"one is approved", func(p *Plan) { p.Steps[3].Consent = &Consent{} }, RestartRouter, []string{"emea"}, "about 44 min; 4 steps wait for a person"},
		{"the last step", func(p *Plan) { done(p, 1, 11) }, RestartRouter, []string{"emea"}, "about 5 min; 1 step waits for a person"},
		{"of a middle one done", func(p *Plan) { done(p, 5, 7) }, RestartRouter, []string{"emea"}, "about 32 min; 5 steps wait for a person"},
	} {
		p := made(t, m, c.kind, c.args...)
		c.goes(p)
		if got := p.View(m).Estimate; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestWhoIsAskedWhatNext: only where a word is waited for.
func TestWhoIsAskedWhatNext(t *testing.T) {
	m := acme(mesh.Recover)
	p := made(t, m, RestartRouter, "emea")
	for _, c := range []struct {
		name  string
		state State
		at    int
		step  StepState
		want  string
	}{
		{"a draft", Draft, 1, StepPending, "peerkeeper peering start c4f2"},
		{"it runs", Running, 2, StepRunning, ""},
		{"a check cannot be read", Waiting, 1, StepWaiting, "it goes on when it reads so; peerkeeper peering confirm c4f2 1 where it cannot be read; or peerkeeper peering skip c4f2 1 --reason TEXT; or peerkeeper peering abort c4f2"},
		{"a question", Waiting, 2, StepWaiting, "peerkeeper peering answer c4f2 2 yes|no"},
		{"something to do", Waiting, 3, StepWaiting, "peerkeeper peering confirm c4f2 3, once it is done"},
		{"an approval", Waiting, 4, StepWaiting, "peerkeeper peering approve c4f2 --step 4"},
		{"a service", Waiting, 5, StepWaiting, "it goes on when it reads so; peerkeeper peering confirm c4f2 5 where it cannot be read; or peerkeeper peering skip c4f2 5 --reason TEXT; or peerkeeper peering abort c4f2"},
		{"people", Waiting, 7, StepWaiting, "peerkeeper peering answer c4f2 7 yes|no"},
		{"what failed", Stopped, 4, StepFailed, "peerkeeper peering resume c4f2; or peerkeeper peering skip c4f2 4 --reason TEXT; or peerkeeper peering abort c4f2"},
		{"nobody can tell", Stopped, 4, StepUnknown, "look, and peerkeeper peering confirm c4f2 4, if it was done; else peerkeeper peering skip c4f2 4 --reason TEXT"},
		{"it has failed", Failed, 4, StepFailed, ""},
		{"all is done", Waiting, 13, StepDone, ""},
	} {
		for i := range p.Steps {
			p.Steps[i].State = StepDone
		}
		if c.at <= len(p.Steps) {
			p.Steps[c.at-1].State = c.step
		}
		p.State = c.state
		if got := p.View(m).Next; got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	p.State = Waiting
	p.Steps[3].State, p.Steps[3].Consent = StepWaiting, &Consent{Actor: "ada"}
	if got := p.View(m).Next; got != "" {
		t.Errorf("what is approved goes on by itself: %s", got)
	}
}
