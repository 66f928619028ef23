package change

import (
	"strings"
	"testing"

	"peerkeeper/shared/mesh"
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
