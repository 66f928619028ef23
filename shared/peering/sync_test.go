package peering_test

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/store/storetest"
)

// awaitSync is the step that waits for emea's peers to sync at a new interval.
const awaitSync = 4

// awaiting is a plan that has set emea's interval, and waits for the syncs.
func (r *rig) awaiting() string {
	r.t.Helper()
	id := r.ask(change.Set, "syncInterval=45", "emea")
	r.say(id, change.Word{Verb: change.Start})
	r.pass(5 * time.Minute)
	r.expect(id, change.Running, awaitSync)
	return id
}

func (r *rig) mode(to string, mode clustersim.PeerMode) {
	r.Change("emea", clustersim.Peers{Peer: to, Mode: &mode})
}

// TestAPeerThatDoesNotSyncIsAPersonsMatter: after four intervals the plan says which
// one, and goes on by itself once it has synced. What is read counts for more than
// what somebody says.
func TestAPeerThatDoesNotSyncIsAPersonsMatter(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	id := r.awaiting()
	r.mode("apac", clustersim.ModeStuck)
	r.pass(time.Hour)
	if p := r.expect(id, change.Running, awaitSync); !strings.Contains(p.Steps[awaitSync-1].Evidence, "1 of 2 peers have synced since") {
		t.Errorf("%+v", p.Steps[awaitSync-1])
	}
	r.pass(75 * time.Minute)
	if p := r.expect(id, change.Waiting, awaitSync); !strings.Contains(p.Why, "not synced within 2 h 10 min: emea>apac;") {
		t.Errorf("%s", p.Why)
	}
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{awaitSync}})
	if p := r.expect(id, change.Waiting, awaitSync); !p.Steps[awaitSync-1].Said.Contradicted {
		t.Errorf("%+v", p.Steps[awaitSync-1])
	}
	r.mode("apac", clustersim.ModeOK)
	r.pass(50 * time.Minute)
	if p := r.expect(id, change.Done, 0); !strings.Contains(p.Steps[awaitSync-1].Evidence, "2 peers have synced since") {
		t.Errorf("%+v", p.Steps[awaitSync-1])
	}
}

// TestAPeerThatDoesNotSyncIsSkippedWithAReason: the plan ends, and the reason stands in it.
func TestAPeerThatDoesNotSyncIsSkippedWithAReason(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	id := r.awaiting()
	r.mode("apac", clustersim.ModeStuck)
	r.pass(3 * time.Hour)
	r.expect(id, change.Waiting, awaitSync)
	r.say(id, change.Word{Verb: change.Skip, Steps: []int{awaitSync}, Text: "apac is being rebuilt, INC9"})
	if p := r.expect(id, change.Done, 0); !strings.Contains(p.Steps[awaitSync-1].Evidence, "INC9") {
		t.Errorf("%+v", p.Steps[awaitSync-1])
	}
}

// TestWhenSyncsCannotBeReadAPersonSaysSo: neither the peer table nor the log tells.
func TestWhenSyncsCannotBeReadAPersonSaysSo(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	delete(r.Mesh.Dialect.Queries, "peers")
	emea, _ := r.Mesh.Cluster("emea")
	emea.Log = mesh.LogOff
	r.clusters, r.store = r.Connector(), storetest.NewMemory()
	r.store.Now = r.Clock.Now
	r.begin(nil)
	r.watch()
	id := r.awaiting()
	if p := r.plan(id); !strings.Contains(p.Steps[awaitSync-1].Evidence, "0 of 2 peers have synced") {
		t.Errorf("%+v", p.Steps[awaitSync-1])
	}
	r.pass(15 * time.Minute)
	p := r.expect(id, change.Waiting, awaitSync)
	for _, word := range []string{"emea>apac (no clock)", "emea>amer (no clock)", "cannot be read here", "Last Synchronized Time"} {
		if !strings.Contains(p.Why, word) {
			t.Errorf("lacks %q: %s", word, p.Why)
		}
	}
	r.pass(12 * time.Hour)
	r.expect(id, change.Waiting, awaitSync)
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{awaitSync}})
	if p := r.expect(id, change.Done, 0); !strings.Contains(p.Steps[awaitSync-1].Evidence, "ada says so; it cannot be read: ") {
		t.Errorf("%+v", p.Steps[awaitSync-1])
	}
}

// TestASyncThatWasReadNotToHaveBeenIsNotBelievedLater: ada said so while the clock
// stood still; then the entry is gone, and there is no clock any more. What she says
// after that counts.
func TestASyncThatWasReadNotToHaveBeenIsNotBelievedLater(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{})
	id := r.awaiting()
	r.mode("apac", clustersim.ModeStuck)
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{awaitSync}})
	r.expect(id, change.Running, awaitSync)
	r.pass(time.Hour)
	r.Change("emea", clustersim.Peers{Peer: "apac", Present: ptr(false)})
	r.pass(10 * time.Minute)
	if p := r.expect(id, change.Waiting, awaitSync); !strings.Contains(p.Why, "when emea>apac (no clock) synced cannot be read here") {
		t.Errorf("%s", p.Why)
	}
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{awaitSync}})
	if p := r.expect(id, change.Done, 0); !strings.Contains(p.Steps[awaitSync-1].Evidence, "ada says so; it cannot be read: emea>apac (no clock)") {
		t.Errorf("%+v", p.Steps[awaitSync-1])
	}
}
