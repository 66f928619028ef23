package peering

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// stored writes a plan down that has come to a step.
func (s *scene) stored(id string, state change.State, step change.Step) {
	s.t.Helper()
	step.N, step.Cluster = 1, "emea"
	p, err := record.NewPlan(s.t.Context(), s.Store, s.Mesh.Name, &change.Plan{
		Head:  change.Head{ID: id, Kind: change.Set, Args: []string{"syncInterval=45", "emea"}, Clusters: []mesh.ClusterID{"emea"}, State: state, Started: ago(time.Hour), Steps: 1},
		Steps: []change.Step{step},
	})
	if err == nil {
		err = p.Save(s.t.Context(), s.Store)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.index(p.Entry())
}

// index adds an entry to the plans that every function knows of.
func (s *scene) index(entries ...change.Entry) {
	s.t.Helper()
	all := s.indexed()
	all.Plans = append(all.Plans, entries...)
	put(s.t, s.Store, store.Plans(s.Mesh.Name), record.PlansSchema, all)
}

func (s *scene) indexed() change.Plans {
	s.t.Helper()
	all, err := record.LoadPlans(s.t.Context(), s.Store, s.Mesh.Name)
	if err != nil {
		s.t.Fatal(err)
	}
	return all.Value
}

// hears has ada say something to a plan.
func (s *scene) hears(id string, w change.Word) {
	s.t.Helper()
	w.Plan, w.Actor, w.At = id, "ada", noon
	if _, err := record.Say(s.t.Context(), s.Store, s.Mesh.Name, w); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) handles(ctx context.Context, req run.Request) (run.Answer, error) {
	s.record()
	return s.Handle(ctx, req)
}

func (s *scene) loaded(id string) *record.Plan {
	s.t.Helper()
	p, err := record.LoadPlan(s.t.Context(), s.Store, s.Mesh.Name, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

var waitsForPerson = change.Step{Op: change.OpPrepare, State: change.StepPending}

func TestWhichPlansARunLooksAt(t *testing.T) {
	s := newScene(t, waitsForPerson)
	word := func(n int, at time.Time) change.Word { return change.Word{N: n, At: at} }
	got := wanted(change.Plans{Plans: []change.Entry{
		{ID: "runs", State: change.Running, Folded: 2},
		{ID: "waits", State: change.Waiting},
		{ID: "stopped", State: change.Stopped, Folded: 1},
		{ID: "stopped, and it was sent", State: change.Stopped, Sent: true},
		{ID: "stopped, and resumed", State: change.Stopped, Folded: 1},
		{ID: "done", State: change.Done},
		{ID: "draft", State: change.Draft},
	}}, map[string][]change.Word{
		"runs":                 {word(1, noon)},
		"stopped":              {word(1, noon)},
		"stopped, and resumed": {word(1, noon), word(2, noon)},
		"asked for later":      {word(0, noon)},
		"asked for first":      {word(0, ago(time.Minute))},
		"asked for at once":    {word(0, noon)},
	})
	if want := []string{"runs", "waits", "stopped, and it was sent", "stopped, and resumed", "asked for first", "asked for at once", "asked for later"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if a, err := s.handles(t.Context(), run.Request{}); err != nil || a.Proposals != 0 {
		t.Errorf("with no plan at all: %+v, %v", a, err)
	}
}

// TestOnePlanThatCannotBeReadLeavesTheOthers: and the run tells of it.
func TestOnePlanThatCannotBeReadLeavesTheOthers(t *testing.T) {
	s := newScene(t, waitsForPerson)
	s.stored("aaaaaa", change.Running, waitsForPerson)
	s.stored("bbbbbb", change.Running, waitsForPerson)
	s.stored("cccccc", change.Running, waitsForPerson)
	put(t, s.Store, store.Change(s.Mesh.Name, "aaaaaa"), record.ChangeSchema+1, change.Head{ID: "aaaaaa", State: change.Running, Steps: 1})
	a, err := s.handles(t.Context(), run.Request{})
	if !errors.Is(err, store.ErrNewerSchema) || !strings.Contains(err.Error(), "plan aaaaaa: ") || a.Proposals != 3 {
		t.Errorf("%+v, %v", a, err)
	}
	for _, id := range []string{"bbbbbb", "cccccc"} {
		if e, _ := s.indexed().Find(id); s.loaded(id).State != change.Waiting || e.State != change.Waiting {
			t.Errorf("%s is %s, and known to be %s", id, s.loaded(id).State, e.State)
		}
	}
}

// TestAPlanThatHasEndedIsForgottenWithItsWords: no sooner, or they would be heard again.
func TestAPlanThatHasEndedIsForgottenWithItsWords(t *testing.T) {
	s := newScene(t, waitsForPerson)
	s.stored("aaaaaa", change.Running, waitsForPerson)
	s.index(change.Entry{ID: "bbbbbb", State: change.Done}, change.Entry{ID: "cccccc", State: change.Done, Folded: 1}, change.Entry{ID: "dddddd", State: change.Stopped})
	s.hears("cccccc", change.Word{Verb: change.Stop})
	a, err := s.handles(t.Context(), run.Request{})
	if err != nil || a.Proposals != 1 || a.Actions != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	var ids []string
	for _, e := range s.indexed().Plans {
		ids = append(ids, e.ID+" "+string(e.State))
	}
	if want := []string{"aaaaaa waiting", "cccccc done", "dddddd stopped"}; !slices.Equal(ids, want) {
		t.Errorf("%q, want %q", ids, want)
	}
}

// TestALookKeepsTimeToWriteDownWhatItFound: with half a minute left a word is heard, and no
// step is begun.
func TestALookKeepsTimeToWriteDownWhatItFound(t *testing.T) {
	for left, want := range map[time.Duration]change.StepState{20 * time.Second: change.StepPending, 10 * time.Minute: change.StepWaiting} {
		s := newScene(t, waitsForPerson)
		s.stored("aaaaaa", change.Draft, waitsForPerson)
		s.hears("aaaaaa", change.Word{Verb: change.Start})
		ctx, cancel := context.WithTimeout(t.Context(), left)
		defer cancel()
		if _, err := s.handles(ctx, run.Request{}); err != nil {
			t.Fatal(err)
		}
		if p := s.loaded("aaaaaa"); !p.State.Active() || p.Steps[0].State != want {
			t.Errorf("with %s left: %s, its step is %s, want %s", left, p.State, p.Steps[0].State, want)
		}
	}
}

// TestWhateverTheStoreRefusesIsToldAndDoneByTheNextRun: a word is heard, a plan is made, and
// what it has locked and does not need is given back.
func TestWhateverTheStoreRefusesIsToldAndDoneByTheNextRun(t *testing.T) {
	broken := errors.New("the store is out of reach")
	settles := "get GATE" // by what was sent and is read back first: that is tried again, and logged
	for refused := 1; ; refused++ {
		s := newScene(t, waitsForPerson)
		s.stored("aaaaaa", change.Draft, waitsForPerson)
		s.stored("bbbbbb", change.Stopped, sent)
		s.hears("aaaaaa", change.Word{Verb: change.Start})
		s.hears("cccccc", change.Word{Verb: change.Ask, Kind: change.Edit, Args: []string{"emea", "apac", "protocol=tls"}})
		put(t, s.Store, store.Gate(s.Mesh.Name), 1, repair.Gate{Locks: []repair.Lock{{Seq: 1, Cluster: "emea", PlannedStep: peer.PlannedStep{Plan: "aaaaaa", Step: 1}, Until: noon.Add(time.Hour)}}})
		s.record()
		memory, n, at := s.Store.(*storetest.Memory), 0, ""
		memory.Fail = func(op string, key store.Key) error {
			if ours := !strings.HasPrefix(key.SK, store.PrefixRun); ours && op != "written" {
				if n++; n == refused {
					at = op + " " + key.SK
					return broken
				}
			}
			return nil
		}
		_, err := s.Handle(t.Context(), run.Request{})
		memory.Fail = nil
		if at != "" && at != settles && !errors.Is(err, broken) {
			t.Errorf("%s: %v", at, err)
		}
		s.Now = func() time.Time { return noon.Add(5 * time.Minute) }
		s.record()
		if _, err := s.Handle(t.Context(), run.Request{}); err != nil {
			t.Errorf("%s: the next run: %v", at, err)
		}
		gate, err := repair.Load(t.Context(), s.Store, s.Mesh.Name)
		if a, b, c := s.loaded("aaaaaa"), s.loaded("bbbbbb"), s.loaded("cccccc"); err != nil || len(gate.Locks) > 0 || a.State != change.Waiting || !b.Steps[0].Sent.IsZero() || c.State != change.Draft {
			t.Errorf("%s: %v, %+v; %s, %+v, %s", at, err, gate.Locks, a.State, b.Steps[0], c.State)
		}
		if at == "" { // nothing was left to refuse
			if refused < 10 {
				t.Errorf("only %d operations were refused", refused)
			}
			return
		}
	}
}

// TestAWordThatIsRefusedIsLogged: and the plan keeps it.
func TestAWordThatIsRefusedIsLogged(t *testing.T) {
	s := newScene(t, waitsForPerson)
	var logged strings.Builder
	s.Log = slog.New(slog.NewTextHandler(&logged, nil))
	s.stored("aaaaaa", change.Running, waitsForPerson)
	s.hears("aaaaaa", change.Word{Verb: change.Start})
	s.hears("aaaaaa", change.Word{Verb: change.Confirm, Steps: []int{1}})
	if _, err := s.handles(t.Context(), run.Request{}); err != nil {
		t.Fatal(err)
	}
	p := s.loaded("aaaaaa")
	if p.State != change.Done || len(p.Refused) != 1 || strings.Count(logged.String(), "a word to a plan was refused") != 1 || !strings.Contains(logged.String(), "verb=start by=ada") {
		t.Errorf("%+v\n%s", p.Head, logged.String())
	}
}

// TestRepairsAreKeptOffAClusterWhileAStepIsUnderWay: and no longer.
func TestRepairsAreKeptOffAClusterWhileAStepIsUnderWay(t *testing.T) {
	verifies := change.Step{Op: change.OpVerifyPair, Pair: emeaApac}
	for name, tt := range map[string]struct {
		read func(s *scene)
		step change.Step
		want int
	}{
		"a first full sync is awaited": {synced(0), verifies, 1},
		"a person is awaited":          {func(*scene) {}, waitsForPerson, 0},
		"the pair works":               {func(*scene) {}, verifies, 0},
		"somebody stops it":            {all(synced(0), func(s *scene) { s.hears("aaaaaa", change.Word{Verb: change.Stop}) }), verifies, 0},
	} {
		s := newScene(t, waitsForPerson)
		s.stored("aaaaaa", change.Running, tt.step)
		tt.read(s)
		if _, err := s.handles(t.Context(), run.Request{}); err != nil {
			t.Fatal(err)
		}
		gate, err := repair.Load(t.Context(), s.Store, s.Mesh.Name)
		if err != nil || len(gate.Locks) != tt.want {
			t.Errorf("%s: %+v, %v; the plan is %s", name, gate.Locks, err, s.loaded("aaaaaa").State)
		}
	}
}

// TestADryRunHearsNothing: what is said stays for the run that acts.
func TestADryRunHearsNothing(t *testing.T) {
	s := newScene(t, waitsForPerson)
	s.stored("aaaaaa", change.Draft, waitsForPerson)
	s.hears("aaaaaa", change.Word{Verb: change.Start})
	if _, err := s.handles(t.Context(), run.Request{DryRun: true}); err != nil {
		t.Fatal(err)
	}
	if p := s.loaded("aaaaaa"); p.State != change.Draft || p.Folded != 0 {
		t.Errorf("%+v", p.Head)
	}
}

// TestAPairWearsChangingBeforeAStepIsBegun: or what the first step changes would be judged.
func TestAPairWearsChangingBeforeAStepIsBegun(t *testing.T) {
	s := newScene(t, waitsForPerson)
	var worn map[mesh.PeerID]string
	s.Preflight = func(context.Context, mesh.ClusterID) error {
		worn = s.indexed().Changing()
		return errors.New("another run is at it")
	}
	s.hears("aaaaaa", change.Word{Verb: change.Ask, Kind: change.Edit, Args: []string{"emea", "apac", "protocol=tls"}})
	if _, err := s.handles(t.Context(), run.Request{}); err != nil {
		t.Fatal(err)
	}
	for i := range s.Mesh.Peers {
		s.Mesh.Peers[i].Protocol = mesh.TLSProto // its lines are in force
	}
	s.hears("aaaaaa", change.Word{Verb: change.Start})
	if _, err := s.handles(t.Context(), run.Request{}); err != nil {
		t.Fatal(err)
	}
	if len(worn) != 2 || worn[emeaApac] != "aaaaaa" {
		t.Errorf("when the first check is made %v wear it; the plan is %+v", worn, s.loaded("aaaaaa").Head)
	}
}

func TestOnePlanAtATimeChangesAPair(t *testing.T) {
	index := &store.Doc[change.Plans]{Value: change.Plans{Plans: []change.Entry{
		{ID: "bbbbbb", State: change.Stopped, Pairs: []mesh.PeerID{emeaApac}},
	}}}
	for _, tt := range []struct {
		name string
		id   string
		pair mesh.PeerID
		word change.Word
		want string
	}{
		{"another changes it", "aaaaaa", emeaApac, change.Word{Verb: change.Start, N: 2}, "plan bbbbbb changes emea>apac: one plan at a time changes a pair (`peerkeeper peering show bbbbbb`)"},
		{"another changes another", "aaaaaa", mesh.PeerID{From: "emea", To: "amer"}, change.Word{Verb: change.Start, N: 2}, ""},
		{"it is this one", "bbbbbb", emeaApac, change.Word{Verb: change.Start, N: 2}, ""},
		{"it is not to be started", "aaaaaa", emeaApac, change.Word{Verb: change.Abort, N: 2}, ""},
		{"that was heard before", "aaaaaa", emeaApac, change.Word{Verb: change.Start, N: 1}, ""},
	} {
		p := &record.Plan{Plan: change.Plan{Head: change.Head{ID: tt.id, Pairs: []mesh.PeerID{tt.pair}, Folded: 1}}}
		if got := taken(p, tt.word, index); got != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

func TestAPlanIsMadeOfTheWordThatAsksForIt(t *testing.T) {
	ask := change.Word{Verb: change.Ask, Kind: change.Set, Args: []string{"syncInterval=45", "emea"}}
	under := func(n int) func(s *scene) {
		return func(s *scene) {
			s.index(change.Entry{ID: "done", State: change.Done})
			for i := range n {
				s.index(change.Entry{ID: fmt.Sprintf("plan%02d", i), State: change.Stopped})
			}
		}
	}
	impossible := ask
	impossible.Args = []string{"syncInterval=45", "latam"}
	for _, tt := range []struct {
		name  string
		with  func(s *scene)
		word  change.Word
		state change.State // "": there is none
		why   string
	}{
		{"it is a draft", under(0), ask, change.Draft, ""},
		{"forty-nine are under way", under(49), ask, change.Draft, ""},
		{"fifty are", under(50), ask, change.Failed, "50 plans are under way already, and at most 50 may be"},
		{"it cannot be", under(0), impossible, change.Failed, "latam"},
		{"a plan that is forgotten is told to stop", under(0), change.Word{Verb: change.Stop}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, waitsForPerson)
			tt.with(s)
			s.hears("aaaaaa", tt.word)
			if _, err := s.handles(t.Context(), run.Request{}); err != nil {
				t.Fatal(err)
			}
			p, err := record.LoadPlan(t.Context(), s.Store, s.Mesh.Name, "aaaaaa")
			if tt.state == "" {
				if all := s.indexed().Plans; len(all) > 0 || !errors.Is(err, record.ErrNoPlan) {
					t.Errorf("%v, %v; %+v", p, err, all)
				}
				return
			}
			if err != nil || p.State != tt.state || !strings.Contains(p.Why, tt.why) || p.State == change.Failed && p.By != "ada" {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}
