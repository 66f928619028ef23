package peering_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
)

// TestAClusterLeavesBefore14WithHighAvailabilityOffForItsRestartsAlone: the whole plan, with
// a restart for each connection. It is off once for each cluster, comes on again before
// copies are waited for, and is on everywhere at the end.
func TestAClusterLeavesBefore14WithHighAvailabilityOffForItsRestartsAlone(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Clusters: 4, Release: "12.5", Users: 200})
	r.disables = true
	whole := r.Mesh
	id := r.ask(change.Leave, "amer")
	r.say(id, change.Word{Verb: change.Start})
	off, toggles := map[mesh.ClusterID]bool{}, map[mesh.ClusterID]int{}
	r.carriedOut(id, false, func(s *change.Step) bool {
		for _, c := range whole.IDs() {
			is := !r.Cluster(c).HAEnabled
			if is && !off[c] {
				toggles[c]++
			}
			off[c] = is
			if is && s.Cluster != c {
				t.Errorf("high availability of %s is off, and the plan is at step %d, %s of %s", c, s.N, s.Op, s.Cluster)
			}
			if is && s.Op == change.OpVerifyGone {
				t.Errorf("high availability of %s is off while copies are waited for", c)
			}
		}
		return s.Op == change.OpMeshLines
	})
	for _, c := range whole.IDs() {
		restarts := 1
		if c == "amer" {
			restarts = 3
		}
		if got := r.Cluster(c); got.RouterRestarts != restarts || toggles[c] != 1 || off[c] {
			t.Errorf("%s: the router was restarted %d times, want %d; high availability was disabled %d times, and is off: %v", c, got.RouterRestarts, restarts, toggles[c], off[c])
		}
		left := slices.DeleteFunc(slices.Clone(r.Cluster(c).Peers), func(p clustersim.PeerState) bool { return c != "amer" && p.ID != "amer" })
		if len(left) > 0 {
			t.Errorf("%s has entries yet: %+v", c, left)
		}
	}
	r.under(unjoined(whole, "amer"))
	r.tick()
	if p := r.plan(id); p.State != change.Done {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}

// TestHighAvailabilityIsNotDisabledBeforeTheWindowOfItsRestarts: no node would take over
// until then.
func TestHighAvailabilityIsNotDisabledBeforeTheWindowOfItsRestarts(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Release: "12.5"})
	r.disables = true
	r.Mesh.Policy.Windows = []mesh.Window{{Kind: "allow", From: "22:00", To: "02:00", TimeZone: "UTC"}}
	id := r.ask(change.RestartRouter, "emea")
	r.say(id, change.Word{Verb: change.Start})
	r.carriedOut(id, false, at(change.OpDisableHA))
	for in := r.Clock.Now(); ; r.pass(30 * time.Minute) {
		s, now := r.plan(id).Current(), r.Clock.Now().UTC()
		open, _ := r.Mesh.Policy.Allowed(now)
		if want := map[bool]change.StepState{true: change.StepWaiting, false: change.StepRunning}[open]; s.Op != change.OpDisableHA || s.State != want {
			t.Fatalf("at %s: %+v", now, s)
		}
		if open && now.Sub(in) > 0 {
			break
		}
	}
}

// parts has mesh.yaml list its pairs, so that one can be taken out at the end.
func parts(t *testing.T, mode mesh.Mode, release string) *rig {
	r := newRig(t, mode, clustersim.Config{Release: release})
	r.Mesh.Topology = ""
	return r
}

// TestAnEntryThatWasGoneBeforeADeleteIsNotAskedFor: by the chapter the restart after it
// belongs to each side, and nobody can tell whether it was done: it is asked for, and says
// so. Of release 14 there is none.
func TestAnEntryThatWasGoneBeforeADeleteIsNotAskedFor(t *testing.T) {
	for release, says := range map[string]string{
		"12.5": "the entry is gone, and was before the plan came to it; whether the router was restarted after that, as Cisco wants, cannot be told",
		"14.0": "the entry is gone, and was before the plan came to it",
	} {
		r := parts(t, mesh.Recover, release)
		r.Change("emea", clustersim.Peers{Peer: "apac", Present: ptr(false)})
		r.pass(15 * time.Minute)
		id := r.ask(change.Delete, "emea", "apac")
		r.say(id, change.Word{Verb: change.Start})
		asked := 0
		p := r.carriedOut(id, false, func(s *change.Step) bool {
			if s.Op == change.OpDeleteEntry && s.State == change.StepWaiting {
				asked++
				if s.Cluster != "apac" {
					t.Errorf("%s: of an entry that is gone it is asked: %+v", release, s)
				}
			}
			return s.Op == change.OpMeshLines
		})
		i := slices.IndexFunc(p.Steps, func(s change.Step) bool { return s.Op == change.OpDeleteEntry })
		if s := p.Steps[i]; s.State != change.StepDone || !strings.HasPrefix(s.Evidence, says) || s.Said != nil || asked == 0 {
			t.Errorf("%s: %+v", release, s)
		}
		restarts := map[string]int{"12.5": 1}[release]
		if n := r.Cluster("emea").RouterRestarts; n != restarts {
			t.Errorf("%s: the router of emea was restarted %d times, want %d", release, n, restarts)
		}
	}
}

// TestAPairThatMeshYAMLNeverHadIsDeleted: it was read, or is said to be there where no table
// is read. The lines of mesh.yaml are as they should be from the beginning.
func TestAPairThatMeshYAMLNeverHadIsDeleted(t *testing.T) {
	for _, mapped := range []bool{true, false} {
		r := unlisted(t)
		if !mapped {
			r.unmapped()
			r.pass(15 * time.Minute)
		}
		id := r.ask(change.Delete, "emea", "amer")
		r.say(id, change.Word{Verb: change.Start})
		p := r.carriedOut(id, false, nil)
		if p.State != change.Done {
			t.Errorf("%s: %s", p.State, p.Why)
		}
		for _, c := range []mesh.ClusterID{"emea", "amer"} {
			for _, e := range r.Cluster(c).Peers {
				if e.ID != "apac" {
					t.Errorf("%s has an entry for %s yet", c, e.ID)
				}
			}
		}
	}
}

// TestAClusterThatDoesNotAnswerAnyMoreLeaves: the others' entries go by the plan, and its
// own steps are skipped with a reason.
func TestAClusterThatDoesNotAnswerAnyMoreLeaves(t *testing.T) {
	for _, release := range []string{"14.0", "12.5"} {
		r := newRig(t, mesh.Recover, clustersim.Config{Release: release})
		whole := r.Mesh
		for _, n := range r.Cluster("amer").Nodes {
			r.Change("amer", clustersim.Nodes{Node: n.Name, Down: ptr(true)})
		}
		r.pass(30 * time.Minute)
		id := r.ask(change.Leave, "amer")
		r.say(id, change.Word{Verb: change.Start})
		if s := r.plan(id).Current(); s.Cluster != "amer" || !strings.Contains(s.Evidence, "if amer is gone for good, skip this step and those on its own pages with a reason") {
			t.Errorf("%s: %+v", release, s)
		}
		for range 100 {
			p := r.carriedOut(id, false, func(s *change.Step) bool {
				return s.Cluster == "amer" && s.Op != change.OpPrepare && s.Op != change.OpAskEach && s.State != change.StepPending || s.Op == change.OpMeshLines
			})
			s := p.Current()
			if s.Op == change.OpMeshLines {
				break
			}
			r.say(id, change.Word{Verb: change.Skip, Steps: []int{s.N}, Text: "the site is gone"})
		}
		r.under(unjoined(whole, "amer"))
		r.tick()
		p := r.plan(id)
		if v := p.View(r.Mesh); p.State != change.Done || !strings.Contains(v.HalfDone, "amer's entry for emea was not seen to be deleted") || !strings.Contains(v.HalfDone, "and emea's for amer was") {
			t.Errorf("%s: %s: %s; half done: %s", release, p.State, p.Why, v.HalfDone)
		}
		for _, c := range []mesh.ClusterID{"emea", "apac"} {
			if n := len(r.Cluster(c).Peers); n != 1 {
				t.Errorf("%s: %s has %d entries", release, c, n)
			}
		}
	}
}

// TestTheLastButOneClusterLeaves: one connection is broken, so that nobody is asked whether
// one restart is to do for all, and mesh.yaml lists one cluster.
func TestTheLastButOneClusterLeaves(t *testing.T) {
	for _, release := range []string{"14.0", "12.5"} {
		r := newRig(t, mesh.Recover, clustersim.Config{Clusters: 2, Release: release})
		whole := r.Mesh
		id := r.ask(change.Leave, "apac")
		r.say(id, change.Word{Verb: change.Start})
		p := r.carriedOut(id, false, at(change.OpMeshLines))
		if slices.ContainsFunc(p.Steps, func(s change.Step) bool { return s.Op == change.OpAskEach || s.Op == change.OpRouterDue }) {
			t.Errorf("%s: of one connection: %+v", release, p.Steps)
		}
		r.under(unjoined(whole, "apac"))
		r.tick()
		if p = r.plan(id); p.State != change.Done || p.View(r.Mesh).HalfDone != "" || len(r.Cluster("emea").Peers)+len(r.Cluster("apac").Peers) > 0 {
			t.Errorf("%s: %s: %s; %s", release, p.State, p.Why, p.View(r.Mesh).HalfDone)
		}
	}
}

// TestAnAbortInTheMiddleOfADelete: the entry that stays is told, with the plan that goes on,
// and the pair is judged again.
func TestAnAbortInTheMiddleOfADelete(t *testing.T) {
	r := parts(t, mesh.Observe, "14.0")
	id := r.ask(change.Delete, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	r.carriedOut(id, false, func(s *change.Step) bool { return s.Op == change.OpDeleteEntry && s.Cluster == "apac" })
	if len(r.plans().Changing()) != 2 {
		t.Errorf("Changing: %v", r.plans().Changing())
	}
	r.say(id, change.Word{Verb: change.Abort})
	p := r.plan(id)
	if v := p.View(r.Mesh); p.State != change.Aborted || !strings.Contains(v.HalfDone, "apac's entry for emea was not seen to be deleted (step 5), and emea's for apac was (step 4); `peerkeeper peering plan delete apac emea` goes on from there") {
		t.Errorf("%s: %s", p.State, v.HalfDone)
	}
	if len(r.plans().Changing()) > 0 {
		t.Errorf("Changing: %v", r.plans().Changing())
	}
	id = r.ask(change.Delete, "apac", "emea")
	r.say(id, change.Word{Verb: change.Start})
	p = r.carriedOut(id, false, at(change.OpMeshLines))
	if s := p.Current(); len(r.Cluster("apac").Peers) != 1 || s == nil {
		t.Errorf("the plan that goes on from there leaves %+v", r.Cluster("apac").Peers)
	}
}
