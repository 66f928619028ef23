package peering

import (
	"context"
	"errors"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/check"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
	"peerkeeper/shared/userset"
)

// checks has the preflight of emea write these rows down, at an instant.
func checks(at time.Time, rows ...check.Row) func(s *scene) {
	return func(s *scene) {
		s.Preflight = func(_ context.Context, id mesh.ClusterID) error {
			put(s.t, s.Store, store.Preflight(s.Mesh.Name, id), record.PreflightSchema, check.Record{At: at, Rows: rows})
			return nil
		}
	}
}

func row(id string, status check.Status) check.Row {
	return check.Row{ID: id, Status: status, Message: "as it reads"}
}

func TestACheckThatFailsStopsAPlanUnlessItIsWhyThereIsOne(t *testing.T) {
	noAccount := func(s *scene) {
		s.clusters["emea"].Seen.Access = peer.Unknown[bool](peer.CannotConnect, "no secret")
	}
	looked(t, change.Step{Op: change.OpPreflight, Began: ago(time.Minute)}, []look{
		{"none fails", checks(noon, row("replication", check.Pass)), change.StepDone, "no check fails."},
		{"one does", checks(noon, row("replication", check.Fail)), change.StepFailed, "1 check fails: replication (as it reads)"},
		{"four do", checks(noon, row("replication", check.Fail), row("ntp", check.Fail), row("dns", check.Fail), row("ports", check.Fail)), change.StepFailed, "4 checks fail: replication (as it reads); ntp (as it reads); dns (as it reads)"},
		{"the one that the plan mends does", checks(noon, row("interval-alike", check.Fail)), change.StepDone, "no check fails"},
		{"two are not known, one of them twice", checks(noon, row("ntp", check.Unknown), row("ntp", check.Unknown), row("dns", check.Unknown)), change.StepDone, "no check fails; unknown: ntp, dns"},
		{"one fails, and another is not known", checks(noon, row("ntp", check.Unknown), row("replication", check.Fail)), change.StepFailed, "1 check fails: replication (as it reads)"},
		{"they cannot be carried out", func(s *scene) {
			s.Preflight = func(context.Context, mesh.ClusterID) error { return errors.New("preflight runs already") }
		}, change.StepRunning, "the checks could not be carried out: preflight runs already"},
		{"those that are written down are older", checks(ago(2*time.Minute), row("replication", check.Pass)), change.StepRunning, "the checks of emea have not been written down since the plan came to them"},
		{"those that are written down are as old", checks(ago(time.Minute), row("replication", check.Pass)), change.StepDone, "no check fails"},
		{"a newer version wrote them", func(s *scene) {
			s.Preflight = func(_ context.Context, id mesh.ClusterID) error { return nil }
			put(s.t, s.Store, store.Preflight(s.Mesh.Name, "emea"), record.PreflightSchema+1, check.Record{At: noon})
		}, change.StepRunning, "the checks of emea have not been written down since the plan came to them"},
		{"the cluster has not been read", all(checks(noon, row("replication", check.Unknown)), noAccount), change.StepRunning, "emea has not been read, so that its checks tell nothing: no secret"},
		{"it was read ten minutes ago", all(checks(noon), func(s *scene) { s.clusters["emea"].Seen.Access.At = ago(10 * time.Minute) }), change.StepDone, "no check fails."},
		{"it has not been read lately", all(checks(noon), func(s *scene) { s.clusters["emea"].Seen.Access.At = ago(11 * time.Minute) }), change.StepRunning, "emea has not been read, so that its checks tell nothing: last read 2026-03-02T11:49:00Z"},
		{"it has not been read at all", all(checks(noon), func(s *scene) { s.clusters["emea"].Seen.Access = peer.Fact[bool]{} }), change.StepRunning, "emea has not been read, so that its checks tell nothing: peersync has not come to it yet"},
	})
}

func TestAPlanIsHeldUpByChecksOfWhatItChanges(t *testing.T) {
	changes := func(s *scene) {
		s.plan.Kind, s.plan.Pairs = change.Add, []mesh.PeerID{emeaApac, emeaApac.Reverse()}
	}
	of := func(id string, pair mesh.PeerID) check.Row {
		r := row(id, check.Fail)
		r.Cluster, r.Peer = "emea", pair
		return r
	}
	twice := row(check.UserDuplicate, check.Fail)
	twice.Cluster, twice.Basis = "emea", peer.Measured
	pasted := twice
	pasted.Basis = "pasted"
	in := func(ids ...mesh.ClusterID) func(s *scene) {
		return all(compared(problem(userset.DuplicateUserID, "grace", 0, ids...)), changes)
	}
	none := mesh.PeerID{}
	other := mesh.PeerID{From: "emea", To: "amer"}
	const also = "; also failing, not about this plan: "
	looked(t, change.Step{Op: change.OpPreflight, Began: ago(time.Minute)}, []look{
		{"of its pair", all(changes, checks(noon, of("ports", emeaApac))), change.StepFailed, "1 check fails: ports (as it reads)"},
		{"of another pair", all(changes, checks(noon, of("ports", other))), change.StepDone, "no check fails" + also + "ports (emea>amer)"},
		{"of both", all(changes, checks(noon, of("ports", other), of("ports", emeaApac))), change.StepFailed, "1 check fails: ports (as it reads)" + also + "ports (emea>amer)"},
		{"of another pair, and one is not known", all(changes, checks(noon, row("ntp", check.Unknown), of("ports", other))), change.StepDone, "no check fails; unknown: ntp" + also + "ports (emea>amer)"},
		{"of its cluster", all(changes, checks(noon, of("replication", none))), change.StepFailed, "1 check fails: replication"},
		{"of another pair, of a plan that changes none", checks(noon, of("ports", other)), change.StepFailed, "1 check fails: ports"},
		{"a user is in both of its clusters", all(in("emea", "apac"), checks(noon, twice)), change.StepFailed, "1 check fails: user-duplicate"},
		{"a user is twice in one", all(in("emea", "emea"), checks(noon, twice)), change.StepFailed, "1 check fails: user-duplicate"},
		{"a user is in one of its clusters and another", all(in("emea", "amer"), checks(noon, twice)), change.StepDone, "no check fails" + also + "user-duplicate (emea)"},
		{"a user is twice in a third", all(in("amer", "amer"), checks(noon, twice)), change.StepDone, "no check fails" + also + "user-duplicate (emea)"},
		{"a user is twice by what was pasted", all(in("emea", "amer"), checks(noon, pasted)), change.StepFailed, "1 check fails: user-duplicate"},
		{"a user is twice, and the report is gone", all(changes, checks(noon, twice)), change.StepFailed, "1 check fails: user-duplicate"},
	})
}

// A cluster that is gone leaves all the same, and what is ended need not be well.
func TestWhatIsEndedNeedNotBeWell(t *testing.T) {
	leaves := func(s *scene) { s.plan.Kind, s.plan.Pairs = change.Leave, []mesh.PeerID{emeaApac} }
	gone := func(s *scene) { s.clusters["emea"].Seen.Access = peer.Unknown[bool](peer.CannotConnect, "no route") }
	pair, twice := row("ports", check.Fail), row(check.UserDuplicate, check.Fail)
	pair.Peer, twice.Cluster = emeaApac, "emea"
	const cure = "; if emea is gone for good, skip this step and those on its own pages with a reason: the others' entries for it go all the same"
	looked(t, change.Step{Op: change.OpPreflight, Began: ago(time.Minute)}, []look{
		{"the pair", all(leaves, checks(noon, pair)), change.StepDone, "no check fails; also failing, not about this plan: ports (emea>apac)."},
		{"users who are twice in it", all(leaves, checks(noon, twice)), change.StepDone, "no check fails; also failing, not about this plan: user-duplicate (emea)."},
		{"the cluster itself must be", all(leaves, checks(noon, row("replication", check.Fail))), change.StepFailed, "1 check fails: replication (as it reads)."},
		{"it is gone", all(leaves, gone, checks(noon, row("replication", check.Fail))), change.StepFailed, "1 check fails: replication (as it reads)" + cure + "."},
		{"it is gone, and no check says so", all(leaves, gone, checks(noon)), change.StepRunning, "no route" + cure + "."},
		{"a cluster that is to stay is not gone for good", all(gone, checks(noon)), change.StepRunning, "no route."},
	})
}

// What the store does not give is no check that fails.
func TestChecksThatTheStoreDoesNotGive(t *testing.T) {
	s := newScene(t, change.Step{Op: change.OpPreflight, Began: ago(time.Minute)})
	s.record()
	s.Store.(*storetest.Memory).Fail = func(op string, key store.Key) error {
		if op == "get" && key == store.Preflight(s.Mesh.Name, "emea") {
			return context.DeadlineExceeded
		}
		return nil
	}
	s.Preflight = func(context.Context, mesh.ClusterID) error { return nil }
	if _, err := s.advance(t.Context(), s.plan); !errors.Is(err, context.DeadlineExceeded) || s.step.State == change.StepFailed {
		t.Errorf("%v: %+v", err, *s.step)
	}
}

// An approval can be given ahead, for the service as it was when the checks were made.
func TestThePreflightSeesSinceWhenTheServicesRun(t *testing.T) {
	s := newScene(t, change.Step{Op: change.OpPreflight, Began: ago(time.Minute)})
	checks(noon)(s)
	for _, step := range []change.Step{
		{Op: change.OpSet, Cluster: "emea", Node: emeaPub, Service: peer.XCPRouter},
		{Op: change.OpRestart, Cluster: "apac", Node: apacPub, Service: peer.XCPRouter},
		{Op: change.OpRestart, Cluster: "emea", Node: emeaPub, Service: peer.XCPRouter, State: change.StepDone},
		{Op: change.OpRestart, Cluster: "emea", Node: emeaPub, Service: peer.XCPRouter},
	} {
		s.follows(step)
	}
	s.step = &s.plan.Steps[0]
	s.looks()
	for i, want := range []bool{false, false, false, false, true} {
		if got := s.plan.Steps[i]; got.Counted != want || got.ServiceStart.Equal(ago(24*time.Hour)) != want {
			t.Errorf("%+v", got)
		}
	}

	s = newScene(t, change.Step{Op: change.OpPreflight, Began: ago(time.Minute)})
	checks(noon)(s)
	s.follows(change.Step{Op: change.OpRestart, Cluster: "emea", Node: emeaPub, Service: peer.XCPRouter})
	s.step = &s.plan.Steps[0]
	s.ready["emea"] = reading{Readiness: s.ready["emea"].Readiness, err: errors.New("no connection")} // half of it
	s.looks()
	if got := s.plan.Steps[1]; got.Counted {
		t.Errorf("%+v", got)
	}
}
