package peering

import (
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
)

func TestEveryPeerSyncsAtTheNewInterval(t *testing.T) {
	setOn := func(cluster mesh.ClusterID, d time.Duration) change.Step {
		return change.Step{Op: change.OpSet, Cluster: cluster, Node: emeaPub, State: change.StepDone, Began: ago(d + time.Minute), Since: ago(d)}
	}
	changedAgo := func(d time.Duration) func(s *scene) {
		return func(s *scene) {
			s.before(setOn("emea", d+time.Hour))
			s.before(setOn("emea", d))
			s.before(setOn("apac", time.Second)) // another cluster's
			was := setOn("emea", time.Second)
			was.Began = time.Time{} // it read so when the plan was made
			s.before(was)
			failed := setOn("emea", time.Second)
			failed.State = change.StepSkipped
			s.before(failed)
		}
	}
	blind := func(s *scene) {
		for i := range s.clusters["emea"].Seen.Entries.Value {
			s.clusters["emea"].Seen.Entries.Value[i].HasClock = false
		}
	}
	never := synced(0)
	const done = "2 peers have synced since 2026-03-02 11:45 UTC"
	looked(t, change.Step{Op: change.OpAwaitSync, Cluster: "apac"}, []look{ // whose peers are not the mesh's first
		{"both peers of another cluster have", func(s *scene) { s.before(setOn("apac", 15*time.Minute)) }, change.StepDone, done},
	})
	looked(t, change.Step{Op: change.OpAwaitSync}, []look{
		{"both peers have", changedAgo(15 * time.Minute), change.StepDone, done},
		{"nothing was changed", nil, change.StepSkipped, "nothing was changed on emea"},
		{"neither has since", changedAgo(5 * time.Minute), change.StepRunning, "0 of 2 peers have synced since 2026-03-02 11:55 UTC"},
		{"one has not", all(changedAgo(15*time.Minute), never), change.StepRunning, "1 of 2 peers have synced since 2026-03-02 11:45 UTC"},
		// Four intervals of 30 min, and two looks of 5 min.
		{"one has not in four intervals", all(changedAgo(130*time.Minute), never), change.StepRunning, "1 of 2 peers have synced since"},
		{"nor in more", all(changedAgo(131*time.Minute), never), change.StepWaiting, "for a person: not synced within 2 h 10 min: emea>apac; mend that, or skip the step with a reason"},
		{"ada has seen it, and it reads otherwise", all(changedAgo(15*time.Minute), never, confirmed), change.StepRunning, "1 of 2 peers have synced since"},
		{"no clock tells", all(changedAgo(10*time.Minute), blind), change.StepRunning, "0 of 2 peers have synced since"},
		{"nor after two looks", all(changedAgo(11*time.Minute), blind), change.StepWaiting, "for a person: when emea>apac (no clock), emea>amer (no clock) synced cannot be read here; look at Last Synchronized Time and confirm"},
		{"and ada has seen them", all(changedAgo(11*time.Minute), blind, confirmed), change.StepDone, "ada says so; it cannot be read: emea>apac (no clock), emea>amer (no clock)"},
		{"one has no clock, and the other has not synced", all(changedAgo(5*time.Minute), clockless, confirmed), change.StepRunning, "0 of 2 peers have synced since"},
		{"one has no clock, and the other has synced", all(changedAgo(10*time.Minute+30*time.Second), clockless), change.StepWaiting, "for a person: when emea>apac (no clock) synced cannot be read here"},
	})
}
