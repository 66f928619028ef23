package operator_test

import (
	"errors"
	"strings"
	"testing"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// TestCredentialsThatWereTriedStandInTheAudit: who, which entry and what came of it,
// and nothing of the account. What cannot be entered is told with its outcome; what
// was not sent is not entered; a state that cannot be read sends nothing.
func TestCredentialsThatWereTriedStandInTheAudit(t *testing.T) {
	r := simtest.New(t, simtest.Start(), clustersim.Config{Clusters: 2, Users: 10}, false)
	memory := storetest.NewMemory()
	memory.Now = r.Clock.Now
	r.Change("apac", clustersim.Credentials{Account: "intercluster", Username: new("icsa"), Password: new("Right 1")})
	o := &operator.Operator{Mesh: r.Mesh, Store: memory, Now: r.Clock.Now, Actor: "jdoe", Clusters: r.Connector()}
	id := mesh.PeerID{From: "emea", To: "apac"}
	try := func(password string) (operator.Checked, error) {
		return o.CheckCredentials(t.Context(), id, "icsa", secret.NewText(password))
	}
	entries := func() []repair.Entry {
		t.Helper()
		all, err := repair.History(t.Context(), memory, "acme", simtest.Start().AddDate(0, 0, -1), r.Clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for i, c := range []struct {
		password string
		want     cluster.AttemptOutcome
	}{{"Wrong 2", cluster.Rejected}, {"Right 1", cluster.Accepted}} {
		got, err := try(c.password)
		if err != nil || got.Outcome != c.want || !got.Recorded || got.Node != "imp-apac-pub.example.com" || len(got.Next) == 0 {
			t.Errorf("%+v, %v, want %s", got, err, c.want)
		}
		all := entries()
		if len(all) != i+1 {
			t.Fatalf("%d entries", len(all))
		}
		e := all[i]
		if e.Actor != "jdoe" || e.Intent != "check-credentials emea>apac" || e.Outcome != string(c.want) || strings.Contains(e.Evidence, "icsa") || strings.Contains(e.Evidence, c.password) {
			t.Errorf("%+v", e)
		}
	}

	r.Change("apac", clustersim.Reachable{From: "peerkeeper", Value: new(false)})
	if got, err := try("Right 1"); err != nil || got.Outcome != cluster.NotTried || got.Recorded || len(entries()) != 2 {
		t.Errorf("out of reach: %+v, %v", got, err)
	}
	r.Change("apac", clustersim.Reachable{From: "peerkeeper", Value: new(true)})

	full := errors.New("the disk is full")
	memory.Fail = func(op string, _ store.Key) error {
		if op == "put" {
			return full
		}
		return nil
	}
	if got, err := try("Right 1"); !errors.Is(err, full) || got.Outcome != cluster.Accepted || got.Recorded {
		t.Errorf("a full disk: %+v, %v", got, err)
	}
	memory.Fail = func(op string, _ store.Key) error { return full }
	_, before, _ := r.Load("apac")
	if got, err := try("Right 1"); !errors.Is(err, full) || got.Outcome != "" {
		t.Errorf("a state that cannot be read: %+v, %v", got, err)
	}
	o.Store = nil
	if got, err := try("Right 1"); err != nil || got.Outcome != cluster.Accepted || got.Recorded {
		t.Errorf("without a state: %+v, %v", got, err)
	}
	if _, after, rejected := r.Load("apac"); after != before+1 || rejected != 1 {
		t.Errorf("%d log-ins where one was to be, %d rejected", after-before, rejected)
	}
}
