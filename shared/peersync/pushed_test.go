package peersync_test

import (
	"errors"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// push stores what intake does when emea's publisher pushes a line about apac.
func (w *watcher) push(alarm ciscolog.Alarm, outcome ciscolog.Outcome) {
	w.t.Helper()
	now := w.Clock.Now()
	_, _, err := store.Claim(w.t.Context(), w.memory, store.Push(w.Mesh.Name, "emea"), record.PushSchema, func(doc *store.Doc[peer.PushRecord], _ bool) (bool, error) {
		doc.Value.Take("apac", outcome, peer.Pushed{Alarm: alarm, At: now, Received: now})
		return true, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// What is pushed has the log read before its turn, and what the log says counts.
func TestAPushedFailureBringsTheNextReadingForward(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 3, Users: 10}, true)
	w.ticks(2 * time.Hour)
	for w.Clock.Now().Sub(w.log("emea").Turn) < 15*time.Minute {
		w.ticks(5 * time.Minute) // until a turn is half over
	}
	read := w.log("emea").Read
	if err := w.Sim.Change("emea", clustersim.Log{Alarm: string(ciscolog.PeerDown), Peer: "apac"}); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Second)
	w.push(ciscolog.PeerDown, ciscolog.Failed)
	w.Pass(time.Second)
	w.tick()
	r := w.log("emea")
	if !r.Read.Equal(w.Clock.Now()) || r.Peers["apac"].Failure.Alarm != ciscolog.PeerDown {
		t.Fatalf("read at %s, before at %s: %+v", r.Read, read, r.Peers["apac"])
	}
	w.Pass(5 * time.Minute)
	w.tick()
	if c := w.condition("emea>apac", peer.Reachable); c.Status != peer.False || c.Basis != peer.Cisco {
		t.Errorf("%+v", c)
	}
}

// Whatever is sent, and however often, logs are read within their budget; and
// without a line in the log nothing comes of it.
func TestForgedLinesCostNoMoreThanTheBudget(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 3, Users: 10}, true)
	w.ticks(time.Hour)
	h := hours{w: w}
	for i := range 4 * 12 {
		w.push([]ciscolog.Alarm{ciscolog.PeerDown, ciscolog.SyncFailure}[i%2], ciscolog.Failed)
		h.tick()
		for _, c := range []peer.Type{peer.Synced, peer.Reachable} {
			if got := w.condition("emea>apac", c); got.Status != peer.True {
				t.Fatalf("%s after forged lines: %+v", c, got)
			}
		}
		if age := w.Clock.Now().Sub(w.log("emea").Read); age > peer.LogTurn+3*5*time.Minute {
			t.Fatalf("forged lines have kept the log unread for %s", age)
		}
	}
	if h.most > 4 {
		t.Errorf("%d requests for one log within an hour, at most 4 are allowed", h.most)
	}
}

// Without the items of intake everything is as it would be.
func TestWhatWasPushedCannotBeLoaded(t *testing.T) {
	w := logWatch(t, clustersim.Config{Clusters: 3, Users: 10}, true)
	w.memory.Fail = func(op string, key store.Key) error {
		if key.PK == store.Pushed(w.Mesh.Name) {
			return errors.New("denied")
		}
		return nil
	}
	w.ticks(time.Hour)
	if n := len(w.snapshot().Syncs[mesh.PeerID{From: "emea", To: "apac"}].Value.Conditions); n == 0 {
		t.Error("nothing was judged")
	}
}
