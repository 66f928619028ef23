package change

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// TestAJoinThatHasMadeNothingSaysSo: before its steps are laid out none of them is done.
func TestAJoinThatHasMadeNothingSaysSo(t *testing.T) {
	m := world("14.0", "emea", "apac", "amer")
	p := made(t, m, Join, "latam")
	if err := p.Hear(Word{N: 1, Verb: Start, Actor: "ada", At: noon}, mesh.Recover, noon); err != nil {
		t.Fatal(err)
	}
	if got := p.View(m).Progress; got != "0 of 6 directed peers are done" {
		t.Error(got)
	}
	if e := p.Entry(); len(e.Pairs) != 6 {
		t.Errorf("%v are not judged", e.Pairs)
	}
}

// TestWhatIsNeverSkippedIsNotOffered: next says only what is then obeyed.
func TestWhatIsNeverSkippedIsNotOffered(t *testing.T) {
	m := world("14.0", "emea", "apac")
	p := made(t, m, Add, "emea", "apac")
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Op != OpSyncAgent && p.Current() == s {
			s.State = StepDone
		}
	}
	for _, state := range []State{Waiting, Stopped} {
		p.State, p.Current().State = state, StepWaiting
		if next := p.View(m).Next; strings.Contains(next, "skip") || !strings.Contains(next, "abort") {
			t.Errorf("%s at %s: %s", state, p.Current().Op, next)
		}
	}
}

// TestOneRestartAtTheEndLeavesHighAvailabilityOnUntilThen: who chooses it is asked about high
// availability for that one, and not for the hours of all deletions.
func TestOneRestartAtTheEndLeavesHighAvailabilityOnUntilThen(t *testing.T) {
	p := made(t, world("12.5", "emea", "apac", "amer"), Leave, "amer")
	if err := p.Hear(Word{N: 1, Verb: Start, Actor: "ada", At: noon}, mesh.Recover, noon); err != nil {
		t.Fatal(err)
	}
	var each *Step
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Op == OpAskEach {
			each = s
		}
	}
	if err := p.Would(word(Skip, 2, each.N), mesh.Recover, noon); err == nil || !strings.Contains(err.Error(), "is not skipped") {
		t.Errorf("without an answer nothing would be restarted: %v", err)
	}
	each.State, each.Said = StepDone, &Said{Verb: Answer, Actor: "ada"}
	p.SkipDependants(noon)
	for _, s := range p.Steps[each.N:] {
		if s.Op == OpAskHA && s.Cluster == "amer" {
			if s.State != StepSkipped {
				t.Errorf("step %d asks before anything is deleted", s.N)
			}
			return
		}
	}
}

// TestWhatIsNoClusterIsToldWithThoseThatAre: of a name that is near none.
func TestWhatIsNoClusterIsToldWithThoseThatAre(t *testing.T) {
	k := Known{Mesh: world("14.0", "emea", "apac"), Now: noon}
	for kind, arg := range map[Kind]string{Leave: "nowhere", "frobnicate": "emea", Join: "publisher=x y"} {
		args := []string{arg}
		if kind == Join {
			args = []string{"latam", arg}
		}
		_, err := Make(k, "c4f2", Word{Kind: kind, Args: args, Actor: "ada", At: noon})
		if err == nil || strings.HasSuffix(err.Error(), ": ") || !strings.Contains(err.Error(), "one of") && !strings.Contains(err.Error(), "is no host") {
			t.Errorf("%s %v: %v", kind, args, err)
		}
	}
}

// TestAPairThatNobodyVerifiedIsNotCounted: its step was skipped, with whatever reason.
func TestAPairThatNobodyVerifiedIsNotCounted(t *testing.T) {
	p := made(t, world("14.0", "emea", "apac"), Add, "emea", "apac")
	p.State = Waiting
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Op == OpLook {
			s.State = StepWaiting
		} else if s.State = StepDone; s.Op == OpVerifyPair && s.Pair.From == "emea" {
			s.State = StepSkipped
		}
	}
	if e := p.Entry(); e.Progress() != "1 of 2 directed peers are done" || len(e.Pairs) != 0 {
		t.Errorf("%s, and %v are not judged", e.Progress(), e.Pairs)
	}
}

// TestAnAbortTellsWhatStays: an entry on one side, and mesh.yaml, are easily forgotten.
func TestAnAbortTellsWhatStays(t *testing.T) {
	p := made(t, world("14.0", "emea", "apac", "amer"), Delete, "emea", "apac")
	if err := p.Hear(Word{N: 1, Verb: Start, Actor: "ada", At: noon}, mesh.Recover, noon); err != nil {
		t.Fatal(err)
	}
	for i := range p.Steps[:5] {
		p.Steps[i].State, p.Steps[i].Began = StepDone, noon
	}
	if err := p.Hear(Word{N: 2, Verb: Abort, Actor: "ada", At: noon}, mesh.Recover, noon); err != nil {
		t.Fatal(err)
	}
	if want := "aborted by ada; done, and staying so: step 1, step 5 (`peerkeeper peering show c4f2 --html` says how each is undone)"; p.State != Aborted || p.Why != want {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}

// TestWhatIsHalfDoneIsTold: of a plan that was aborted what has its counterpart, with the plan
// that goes on from there; of one that is done whatever was skipped and not seen later.
func TestWhatIsHalfDoneIsTold(t *testing.T) {
	over := func(p *Plan, op Op, pair, purpose string, to StepState) {
		for i := range p.Steps {
			if s := &p.Steps[i]; s.Op == op && (pair == "" || s.Pair.String() == pair) && (purpose == "" || s.Purpose == purpose) {
				s.State = to
			}
		}
	}
	for _, c := range []struct {
		name  string
		kind  Kind
		args  []string
		do    func(p *Plan)
		abort bool
		want  string
	}{
		{"nothing was begun", Delete, []string{"emea", "apac"}, func(*Plan) {}, true, ""},
		{"one side is deleted", Delete, []string{"emea", "apac"}, func(p *Plan) { over(p, OpDeleteEntry, "emea>apac", "", StepDone) }, true,
			"apac's entry for emea was not seen to be deleted (step 6), and emea's for apac was (step 5); `peerkeeper peering plan delete apac emea` goes on from there"},
		{"both are", Delete, []string{"emea", "apac"}, func(p *Plan) { over(p, OpDeleteEntry, "", "", StepDone) }, true, ""},
		{"one side has another protocol", Edit, []string{"emea", "apac", "protocol=tls"}, func(p *Plan) { over(p, OpEditEntry, "emea>apac", "", StepDone) }, true,
			"apac's entry for emea was not seen to be changed (step 9), and emea's for apac was (step 7); `peerkeeper peering plan edit apac emea --protocol tls` goes on from there"},
		{"one side is made", Add, []string{"emea", "apac"}, func(p *Plan) { over(p, OpAddEntry, "emea>apac", "", StepDone) }, true,
			"apac's entry for emea was not seen to be made (step 14), and emea's for apac was (step 12); `peerkeeper peering plan add apac emea` goes on from there"},
		{"an account has its new password, and one of two entries", RotateCredentials, []string{"emea"}, func(p *Plan) {
			over(p, OpPrepare, "", preparePassword, StepDone)
			over(p, OpEnterCredentials, "apac>emea", "", StepDone)
		}, true, "amer's entry for emea was not seen to be given the new password (step 6), and the account of emea has its new one (step 3); `peerkeeper peering plan rotate-credentials emea` goes on from there"},
		{"the password was not changed yet", RotateCredentials, []string{"emea"}, func(*Plan) {}, true, ""},
		{"a site that is gone was skipped", Delete, []string{"emea", "apac"}, func(p *Plan) {
			over(p, OpDeleteEntry, "emea>apac", "", StepDone)
			over(p, OpVerifyGone, "emea>apac", "", StepDone)
		}, false, "apac's entry for emea was not seen to be deleted (step 6), and emea's for apac was (step 5)"},
		{"a step was skipped, and then seen to be done", Delete, []string{"emea", "apac"}, func(p *Plan) {
			over(p, OpDeleteEntry, "emea>apac", "", StepDone)
			over(p, OpVerifyGone, "", "", StepDone)
		}, false, ""},
	} {
		m := world("14.0", "emea", "apac", "amer")
		p := made(t, m, c.kind, c.args...)
		if err := p.Hear(Word{N: 1, Verb: Start, Actor: "ada", At: noon}, mesh.Recover, noon); err != nil {
			t.Fatal(err)
		}
		c.do(p)
		if v := p.View(m); v.HalfDone != "" {
			t.Errorf("%s: it goes on, and tells %s", c.name, v.HalfDone)
		}
		if c.abort {
			if err := p.Hear(Word{N: 2, Verb: Abort, Actor: "ada", At: noon}, mesh.Recover, noon); err != nil {
				t.Fatal(err)
			}
		} else {
			for i := range p.Steps {
				if s := &p.Steps[i]; !s.State.Over() {
					s.State = StepSkipped
				}
			}
			p.Finish(noon)
		}
		if v := p.View(m); v.HalfDone != c.want || len(p.Entry().Pairs) > 0 {
			t.Errorf("%s: it is %s\n told %s\n want %s; Changing: %v", c.name, p.State, v.HalfDone, c.want, p.Entry().Pairs)
		}
	}
}

// TestALeaveTakesAlongWhatMeshYAMLDoesNotTell: an entry that was read, and is no pair there.
func TestALeaveTakesAlongWhatMeshYAMLDoesNotTell(t *testing.T) {
	m := world("14.0", "emea", "apac", "amer")
	m.Topology = ""
	m.Peers = slices.DeleteFunc(m.Peers, func(p mesh.Peer) bool { return p.ID.From == "apac" || p.ID.To == "apac" })
	k := Known{Mesh: m, Now: noon, Entries: map[mesh.PeerID]peer.Entry{{From: "apac", To: "amer"}: {Address: "imp-amer-pub"}}}
	p, err := Make(k, "c4f2", Word{Kind: Leave, Args: []string{"amer"}, Actor: "ada", At: noon})
	if err != nil {
		t.Fatal(err)
	}
	if got := outline(p); !strings.Contains(got, "deleteEntry apac>amer, deleteEntry amer>apac") {
		t.Error(got)
	}
}

// TestAnOptionOfAnotherKindIsRefused: by its name.
func TestAnOptionOfAnotherKindIsRefused(t *testing.T) {
	k := Known{Mesh: world("14.0", "emea", "apac"), Now: noon}
	for _, w := range []Word{{Kind: Add, Args: []string{"emea", "apac", "protocol=tls"}}, {Kind: Leave, Args: []string{"emea", "publisher=x"}}} {
		if _, err := Make(k, "c4f2", w); !errors.As(err, new(*UsageError)) || !strings.Contains(err.Error(), "takes no --p") {
			t.Errorf("%s %v: %v", w.Kind, w.Args, err)
		}
	}
	p := made(t, world("14.0", "emea", "apac"), Join, "latam")
	if v := p.View(world("14.0", "emea", "apac")); !strings.HasSuffix(v.Estimate, "then the steps that are not laid out yet") {
		t.Error(v.Estimate)
	}
}
