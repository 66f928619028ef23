package peering_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

// killed stands for a process that ended.
type killed struct{ at string }

// until lets the function look until it has completed, whatever lease a killed run
// has left.
func (r *rig) until(d time.Duration) {
	r.t.Helper()
	for end := r.Clock.Now().Add(d); r.Clock.Now().Before(end); {
		r.Pass(5 * time.Minute)
		r.watch()
		if _, err := r.peering.Handle(r.t.Context(), run.Request{}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// dies lets the function look until it is killed.
func (r *rig) dies(d time.Duration) (at string) {
	defer func() {
		if k, ok := recover().(killed); ok {
			at = k.at
		}
	}()
	r.until(d)
	return ""
}

// TestKilledAnywhereAPlanSetsAParameterOnce: at each step between the plan's words
// and the gate's last, the process ends; another one goes on.
func TestKilledAnywhereAPlanSetsAParameterOnce(t *testing.T) {
	for _, step := range []string{"locked", "looked", "intent", "lookedAgain", "sent", "readBack", "closed"} {
		t.Run(step, func(t *testing.T) {
			r := newRig(t, mesh.Recover, clustersim.Config{})
			name := r.Mesh.Dialect.Parameters["sync_interval"][0]
			id := r.ask(change.Set, "syncInterval=45", "emea")
			r.say(id, change.Word{Verb: change.Start})
			dead := false
			r.begin(func(at string) {
				if at == step && !dead {
					dead = true
					panic(killed{at})
				}
			})
			before := writes(r)
			if at := r.dies(20 * time.Minute); at != step {
				t.Fatalf("it was killed at %q", at)
			}
			r.begin(nil)
			r.until(2 * time.Hour)
			r.expect(id, change.Done, 0)
			if pub, sub := r.parameter(emeaPub, peer.ICSA, name), r.parameter(emeaSub, peer.ICSA, name); pub != "45" || sub != "45" {
				t.Errorf("it reads %s and %s", pub, sub)
			}
			if n := writes(r) - before; n != 2 {
				t.Errorf("%d writes were sent for two nodes", n)
			}
		})
	}
}

// writes counts what was sent to emea that changes something.
func writes(r *rig) int {
	n := 0
	for op, count := range r.Requests("emea") {
		if strings.Contains(op, "executeSQLUpdate") || strings.Contains(op, "updateServiceParameter") || strings.Contains(op, "soapDoControlServices") || strings.Contains(op, "soapDoServiceDeployment") {
			n += count
		}
	}
	return n
}

// TestAStoppedPlanSendsNothing: until it is resumed, whatever time passes.
func TestAStoppedPlanSendsNothing(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.say(id, change.Word{Verb: change.Start})
	r.say(id, change.Word{Verb: change.Stop})
	before := writes(r)
	r.pass(3 * time.Hour)
	r.expect(id, change.Stopped, 2)
	if n := writes(r) - before; n != 0 {
		t.Errorf("%d writes were sent", n)
	}
	r.say(id, change.Word{Verb: change.Resume})
	r.pass(time.Hour)
	r.expect(id, change.Done, 0)
}

// TestPausedAndDeniedPlansWait: people's other words hold for plans as well.
func TestPausedAndDeniedPlansWait(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.say(id, change.Word{Verb: change.Start})
	if _, err := r.person().Pause(t.Context(), "emea", "a storm", time.Hour); err != nil {
		t.Fatal(err)
	}
	before := writes(r)
	r.pass(30 * time.Minute)
	if p := r.expect(id, change.Running, 2); !strings.Contains(p.Steps[1].Evidence, "a storm") || writes(r) != before {
		t.Errorf("%s", p.Steps[1].Evidence)
	}
	r.pass(2 * time.Hour)
	r.expect(id, change.Done, 0)
}

// TestTheConfigurationChangesMeanwhile: the plan goes on by the new one; a cluster
// that has left ends it.
func TestTheConfigurationChangesMeanwhile(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.say(id, change.Word{Verb: change.Start})
	r.Mesh.Policy.Notify.SelfTest = !r.Mesh.Policy.Notify.SelfTest
	r.pass(2 * time.Hour)
	r.expect(id, change.Done, 0)

	id = r.ask(change.Set, "syncInterval=60", "emea")
	r.say(id, change.Word{Verb: change.Start})
	whole := *r.Mesh
	r.Mesh.Clusters = r.Mesh.Clusters[1:]
	if _, still := r.Mesh.Cluster("emea"); still {
		t.Fatal("emea is there still")
	}
	r.tick()
	if p := r.plan(id); p.State != change.Failed || !strings.Contains(p.Why, "left mesh.yaml") {
		t.Errorf("%s: %s", p.State, p.Why)
	}
	*r.Mesh = whole
}

// TestTheClockIsPutForwardAndBack: nothing is sent twice, and nothing is forgotten.
func TestTheClockIsPutForwardAndBack(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.say(id, change.Word{Verb: change.Start})
	before := writes(r)
	r.Clock.Move(5 * time.Hour)
	r.watch()
	r.tick()
	r.Clock.Move(-5 * time.Hour)
	r.until(40 * time.Hour)
	r.expect(id, change.Done, 0)
	if n := writes(r) - before; n != 2 {
		t.Errorf("%d writes were sent for two nodes", n)
	}
}

// TestTwoPlansOnOneCluster: the second waits until the first has given the cluster
// back.
func TestTwoPlansOnOneCluster(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	first := r.ask(change.Set, "syncInterval=45", "emea")
	second := r.ask(change.Set, "syncInterval=60", "emea")
	r.say(first, change.Word{Verb: change.Start})
	r.say(second, change.Word{Verb: change.Start})
	r.pass(4 * time.Hour)
	r.expect(first, change.Done, 0)
	r.expect(second, change.Done, 0)
}

// diesWriting has one look of the function end at its n-th write of a plan's items, before
// it is carried out; false if there are fewer.
func (r *rig) diesWriting(n int) (died bool) {
	r.t.Helper()
	defer func() {
		r.store.Fail = nil
		if _, ok := recover().(killed); ok {
			died = true
		}
	}()
	r.store.Fail = func(op string, key store.Key) error {
		if op == "put" && strings.HasPrefix(key.SK, store.PrefixChange) {
			if n--; n == 0 {
				panic(killed{key.SK})
			}
		}
		return nil
	}
	if _, err := r.peering.Handle(r.t.Context(), run.Request{}); err != nil {
		r.t.Fatal(err)
	}
	return false
}

// TestKilledWhileAJoinIsLaidOutItHasAllItsSteps: the process ends at each write, of the
// steps and of the plan itself; the next one goes on with all of them, each once, and
// no pair is watched meanwhile.
func TestKilledWhileAJoinIsLaidOutItHasAllItsSteps(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	whole := r.Mesh
	r.apart("amer")
	pair := mesh.PeerID{From: "amer", To: "emea"}
	want := 0
	for n, alive := 1, true; alive; n++ {
		r.under(unjoined(whole, "amer"))
		id := r.ask(change.Join, "amer")
		r.say(id, change.Word{Verb: change.Start})
		r.expect(id, change.Waiting, 1)
		r.under(whole)
		alive = r.diesWriting(n)
		if got := r.plans().Changing(); got[pair] != id || got[pair.Reverse()] != id {
			t.Errorf("killed at write %d: %v wear Changing", n, got)
		}
		r.Pass(10 * time.Minute) // the lease of the killed run is over
		r.watch()
		r.tick()
		p := r.plan(id)
		if want == 0 {
			want = len(p.Steps)
		}
		ops := map[change.Op]int{}
		for i, s := range p.Steps {
			ops[s.Op]++
			if s.N != i+1 {
				t.Errorf("killed at write %d: step %d is number %d", n, i+1, s.N)
			}
		}
		if p.State.Ended() || len(p.Steps) != want || want < 20 || ops[change.OpAddEntry] != 4 || p.Current().N < 3 {
			t.Fatalf("killed at write %d: it is %s (%s) with %d steps, %d of them entries, want %d", n, p.State, p.Why, len(p.Steps), ops[change.OpAddEntry], want)
		}
		r.say(id, change.Word{Verb: change.Abort})
	}
}

// TestKilledWhileAWordIsHeardItIsObeyedAllTheSame: the process ends at each write, and the
// next one neither refuses what was said nor stands still.
func TestKilledWhileAWordIsHeardItIsObeyedAllTheSame(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.Change("emea", clustersim.Sync{Completed: ptr(false)})
	r.watch()
	for n, alive := 1, true; alive; n++ {
		id := r.ask(change.Set, "syncInterval=45", "emea")
		r.say(id, change.Word{Verb: change.Start})
		r.expect(id, change.Stopped, 1)
		r.told(id, change.Word{Verb: change.Skip, Steps: []int{1}, Text: "in the window"})
		alive = r.diesWriting(n)
		r.Pass(10 * time.Minute) // the lease of the killed run is over
		r.watch()
		r.tick()
		if p := r.plan(id); p.State == change.Stopped || p.Current() != nil && p.Current().N == 1 || len(p.Refused) > 0 {
			t.Errorf("killed at write %d: it is %s: %s; refused: %+v", n, p.State, p.Why, p.Refused)
		}
		r.say(id, change.Word{Verb: change.Abort})
	}
}

// mortal lets people obey a plan whose runs end all the time: at any write, of the plan, of
// the gate and of the audit, and between the steps of an action. It gives the plan as it is
// at its end, or at its lines for mesh.yaml.
func (r *rig) mortal(id string, seed uint64) *record.Plan {
	r.t.Helper()
	random, kills := rand.New(rand.NewPCG(seed, 0)), 0
	mayDie := func(at string) {
		if random.IntN(20) == 0 {
			kills++
			panic(killed{at})
		}
	}
	r.begin(mayDie)
	look := func() (heard bool) {
		defer func() {
			r.store.Fail = nil
			if dead := recover(); dead != nil {
				if _, ok := dead.(killed); !ok {
					panic(dead)
				}
			}
		}()
		r.store.Fail = func(op string, key store.Key) error {
			if op == "put" || op == "written" {
				mayDie(op + " " + key.SK)
			}
			return nil
		}
		a, err := r.peering.Handle(r.t.Context(), run.Request{})
		if err != nil {
			r.t.Error(err)
		}
		return err == nil && a.Skipped == ""
	}
	r.told(id, change.Word{Verb: change.Start})
	heard := false
	for range 2000 {
		r.Pass(5 * time.Minute)
		r.watch()
		if heard = look() || heard; !heard {
			continue
		}
		p := r.plan(id)
		s := p.Current()
		switch {
		case p.State.Ended(), s.Op == change.OpMeshLines:
			r.t.Logf("%d kills in %s", kills, r.Clock.Now().Sub(p.Started))
			return p
		case p.State == change.Stopped && strings.Contains(p.Why, "it was not done"): // killed too often
			r.told(id, change.Word{Verb: change.Resume})
		case p.State == change.Stopped:
			r.t.Fatalf("it stopped: %s", p.Why)
		case p.State == change.Waiting && s.Op != change.OpVerifyPair && s.Op != change.OpVerifyGone:
			r.told(id, r.does(id, true))
		default:
			continue
		}
		heard = false
	}
	r.t.Fatalf("it does not come to its end: %s", r.plan(id).Why)
	return nil
}

// TestAPlanWhoseRunsAreKilledAllTheTimeEndsAsIfNoneWere: what was answered holds, nothing is
// asked that an answer has ruled out, and each router is restarted once.
func TestAPlanWhoseRunsAreKilledAllTheTimeEndsAsIfNoneWere(t *testing.T) {
	expect := func(r *rig, p *record.Plan, restarts map[mesh.ClusterID]int) {
		t.Helper()
		if len(p.Refused) > 0 {
			t.Errorf("it is %s: %s; refused: %+v", p.State, p.Why, p.Refused)
		}
		for c, want := range restarts {
			if n := r.Cluster(c).RouterRestarts; n != want {
				t.Errorf("%s: %d restarts of the router, want %d", c, n, want)
			}
		}
	}
	for _, seed := range []uint64{5, 8} {
		r := newRig(t, mesh.Recover, clustersim.Config{})
		r.parted()
		p := r.mortal(r.ask(change.Add, "emea", "apac"), seed)
		expect(r, p, map[mesh.ClusterID]int{"emea": 2, "apac": 2, "amer": 0})
		if got := r.plans().Changing(); p.State != change.Done || len(got) > 0 {
			t.Errorf("seed %d: it is %s, and %v wear Changing", seed, p.State, got)
		}

		r = newRig(t, mesh.Recover, clustersim.Config{Release: "12.5"})
		p = r.mortal(r.ask(change.Leave, "amer"), seed)
		expect(r, p, map[mesh.ClusterID]int{"emea": 1, "apac": 1, "amer": 2})
		if got := r.plans().Changing(); len(got) != 4 || len(r.Cluster("amer").Peers) > 0 {
			t.Errorf("seed %d: %v wear Changing", seed, got)
		}
	}
}
