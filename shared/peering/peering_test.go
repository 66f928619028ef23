package peering_test

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/preflight"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// TestAnIntervalIsSetOnEveryNode: from the asking to the last peer's next sync.
func TestAnIntervalIsSetOnEveryNode(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	name := r.Mesh.Dialect.Parameters["sync_interval"][0]
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.expect(id, change.Draft, 1)
	r.pass(30 * time.Minute)
	if got := r.parameter(emeaPub, peer.ICSA, name); got != "30" {
		t.Fatalf("a draft has set it to %s", got)
	}
	r.say(id, change.Word{Verb: change.Start})
	p := r.expect(id, change.Running, 2)
	if p.Steps[0].State != change.StepDone || r.parameter(emeaPub, peer.ICSA, name) != "30" {
		t.Errorf("before it is announced for 4 min: %+v, %s", p.Steps[0], r.parameter(emeaPub, peer.ICSA, name))
	}
	r.pass(5 * time.Minute)
	r.expect(id, change.Running, 4)
	if pub, sub := r.parameter(emeaPub, peer.ICSA, name), r.parameter(emeaSub, peer.ICSA, name); pub != "45" || sub != "45" {
		t.Errorf("it reads %s and %s", pub, sub)
	}
	r.pass(50 * time.Minute)
	r.expect(id, change.Done, 0)
	if p := r.plan(id); p.Steps[1].Before != "30" || p.Steps[1].Attempt != 1 {
		t.Errorf("%+v", p.Steps[1])
	}
}

// TestNothingToDoIsDone: a plan for what is there already.
func TestNothingToDoIsDone(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	id := r.ask(change.Set, "syncInterval=30", "emea")
	if p := r.expect(id, change.Done, 0); p.Steps[1].Evidence == "" {
		t.Errorf("%+v", p.Steps[1])
	}
}

// TestInModeObserveAPersonSetsItAndItIsRead: what is confirmed and reads otherwise
// stays open with both facts.
func TestInModeObserveAPersonSetsItAndItIsRead(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	name := r.Mesh.Dialect.Parameters["sync_interval"][0]
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.say(id, change.Word{Verb: change.Start})
	r.expect(id, change.Waiting, 2)
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{2}})
	if p := r.expect(id, change.Waiting, 2); !strings.Contains(p.Steps[1].Evidence, "ada confirmed it") || !strings.Contains(p.Steps[1].Evidence, "30") {
		t.Errorf("%s", p.Steps[1].Evidence)
	}
	r.Change("emea", clustersim.Parameters{Node: emeaPub, Service: "Cisco Intercluster Sync Agent", Name: name, Value: "45"})
	r.pass(5 * time.Minute)
	r.expect(id, change.Waiting, 3)
	r.Change("emea", clustersim.Parameters{Node: emeaSub, Service: "Cisco Intercluster Sync Agent", Name: name, Value: "45"})
	r.pass(time.Hour)
	r.expect(id, change.Done, 0)
}

// TestAFailingCheckStopsThePlan: until it is mended, or a person skips it with a
// reason.
func TestAFailingCheckStopsThePlan(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	r.Change("emea", clustersim.Replication{Node: emeaSub, State: ptr(3)})
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.say(id, change.Word{Verb: change.Start})
	if p := r.expect(id, change.Stopped, 1); !strings.Contains(p.Why, "replication") || p.Stop != "" {
		t.Errorf("%+v", p.Head)
	}
	r.pass(time.Hour)
	r.expect(id, change.Stopped, 1)
	r.say(id, change.Word{Verb: change.Resume})
	r.expect(id, change.Stopped, 1)
	r.say(id, change.Word{Verb: change.Skip, Steps: []int{1}, Text: "known, CHG0042"})
	r.expect(id, change.Running, 4)
}

// TestWithNothingToDoNoClusterIsAsked: and two items are read.
func TestWithNothingToDoNoClusterIsAsked(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	id := r.ask(change.Set, "syncInterval=30", "emea") // done at once
	r.store.Now = r.Clock.Now
	before := r.Requests("emea")
	read := map[string]int{}
	r.store.Fail = func(op string, key store.Key) error {
		if op == "get" || op == "load" {
			read[key.PK+" "+key.SK]++
		}
		return nil
	}
	for range 3 {
		r.Pass(5 * time.Minute)
		r.tick()
	}
	r.store.Fail = nil
	for key, n := range read {
		about := strings.Contains(key, " RUN#") // when it ran last, and its lease
		if !about && (n != 3 || key != "acme#live PLANS" && key != "acme#override PLAN#") {
			t.Errorf("%s was read %d times", key, n)
		}
	}
	after := r.Requests("emea")
	for op, n := range after {
		if n != before[op] {
			t.Errorf("%s was asked %d times", op, n-before[op])
		}
	}
	r.expect(id, change.Done, 0)
	if _, err := r.store.Get(t.Context(), store.Plans(r.Mesh.Name)); err != nil {
		t.Error(err)
	}
}

// TestChecksAreReadAsTheyAreNow: what was written a moment ago may be missing from a read
// that lags, which is no reason to stop a plan.
func TestChecksAreReadAsTheyAreNow(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	lags := storetest.Stale(r.store, 3)
	r.begin(nil)
	r.peering.Store = lags
	before := &preflight.Preflight{Mesh: r.Mesh, Store: lags, Clusters: r.clusters, Now: r.Clock.Now}
	r.peering.Preflight = before.Of
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.say(id, change.Word{Verb: change.Start})
	if p := r.plan(id); p.State != change.Running || p.Steps[0].State != change.StepDone {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}
