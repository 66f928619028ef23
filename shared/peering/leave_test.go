package peering_test

import (
	"slices"
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
