package peering_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
	"peerkeeper/shared/userset"
)

// toDuplicates is a plan that adds a pair, as it comes to the comparison of users.
func (r *rig) toDuplicates() string {
	r.t.Helper()
	r.Change("emea", clustersim.Peers{Peer: "apac", Present: ptr(false)})
	r.Change("apac", clustersim.Peers{Peer: "emea", Present: ptr(false)})
	r.watch()
	id := r.ask(change.Add, "emea", "apac")
	r.say(id, change.Word{Verb: change.Start})
	for range 3 {
		if p := r.plan(id); p.State == change.Stopped {
			r.say(id, change.Word{Verb: change.Skip, Steps: []int{p.Current().N}, Text: "known"})
		}
	}
	if s := r.plan(id).Current(); s.Op != change.OpDuplicates {
		r.t.Fatalf("%+v", s)
	}
	return id
}

// vouches confirms the step that the plan has come to, and says what it reads then.
func (r *rig) vouches(id string) *change.Step {
	r.t.Helper()
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{r.plan(id).Current().N}})
	return r.plan(id).Current()
}

func TestNobodyVouchesForUsersWhoHaveNotBeenCompared(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	id := r.toDuplicates()
	if s := r.vouches(id); s.Op != change.OpDuplicates || s.State != change.StepWaiting || !strings.Contains(s.Evidence, "nothing to confirm before it is: the users have not been compared yet") {
		t.Errorf("%+v", s)
	}
	if next := r.plan(id).View(r.Mesh).Next; strings.Contains(next, "confirm") || !strings.Contains(next, "it goes on when it reads so") {
		t.Errorf("what is not believed is asked for: %s", next)
	}
	r.audited()
	r.tick()
	if s := r.plan(id).Current(); s.Op != change.OpPrepare {
		t.Errorf("%+v", s)
	}
}

// A Sync Agent that completes after the comparison brings users who were not in it.
func TestUsersWhoCameAfterTheComparisonAreReadFirst(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.Change("emea", clustersim.Users{UserID: ptr("ADA"), IMAddress: ptr("ada2@example.com")})
	r.audited()
	r.Change("apac", clustersim.Users{Add: 40})
	r.Change("apac", clustersim.Users{UserID: ptr("ada"), IMAddress: ptr("ada@example.com")})
	r.watch()
	id := r.toDuplicates()
	if s := r.vouches(id); s.Op != change.OpDuplicates || !strings.Contains(s.Evidence, "60 users were compared") || !strings.Contains(s.Evidence, "101 are there now") {
		t.Errorf("%+v", s)
	}
	r.audited() // nothing is due for a day but for this
	r.tick()
	if s := r.vouches(id); s.Op != change.OpDuplicates || !strings.Contains(s.Evidence, "it reads otherwise") {
		t.Errorf("%+v", s)
	}
}

// What is stored of an audit names 25 of a kind: that none of them is of the plan's
// clusters proves nothing of the others.
func TestDuplicatesBeyondThoseThatAreNamedAreNotNone(t *testing.T) {
	r := newRig(t, mesh.Observe, clustersim.Config{})
	r.audited()
	now := r.Clock.Now()
	report := userset.Report{Mesh: r.Mesh.Name, AsOf: now, Read: map[mesh.ClusterID]*time.Time{}, Counts: map[userset.Trouble]int{userset.DuplicateUserID: 30}}
	for _, id := range r.Mesh.IDs() {
		report.Read[id] = &now
	}
	for i := range 30 {
		report.Problems = append(report.Problems, userset.Problem{Kind: userset.DuplicateUserID, Key: fmt.Sprintf("user%02d", i), Users: []userset.Found{{Cluster: "amer"}, {Cluster: "emea"}}})
	}
	if err := record.WriteUserReport(t.Context(), r.store, r.Mesh.Name, report); err != nil {
		t.Fatal(err)
	}
	id := r.toDuplicates()
	if s := r.plan(id).Current(); s.State != change.StepWaiting || !strings.Contains(s.Evidence, "5 more of kind duplicateUserID are in the mesh than are named") {
		t.Errorf("%+v", s)
	}
	if s := r.vouches(id); s.Op != change.OpPrepare {
		t.Errorf("what stays untold is a person's word: %+v", s)
	}
}
