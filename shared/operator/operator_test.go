package operator_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// TestAPersonDoesNotLockAnAccountOut by asking again and again: the first rejected
// log-in is noted, and no other is tried until somebody says so. Where it cannot
// be noted, that is said.
func TestAPersonDoesNotLockAnAccountOut(t *testing.T) {
	r := simtest.New(t, simtest.Start(), clustersim.Config{Clusters: 2, Users: 10}, false)
	memory := storetest.NewMemory()
	memory.Now = r.Clock.Now
	clusters := r.Connector()
	clusters.Secrets = r.SecretsNow()
	r.Change("apac", clustersim.Credentials{Password: new("changed by somebody")})
	o := &operator.Operator{Mesh: r.Mesh, Store: memory, Now: r.Clock.Now, Actor: "jdoe", Clusters: clusters}
	ask := func() []error {
		return o.Ask(t.Context(), r.Mesh.Clusters, func(ctx context.Context, _ int, c *cluster.Client) error {
			_, err := c.Find(ctx, "jdoe")
			return err
		})
	}
	for range 3 {
		errs := ask()
		refused, _ := errors.AsType[*cluster.Refused](errs[1])
		if errs[0] != nil || refused == nil || refused.Reason != peer.AccountRejected {
			t.Errorf("%v, want AccountRejected by apac alone", errs)
		}
	}
	if _, _, n := r.Load("apac"); n != 1 {
		t.Errorf("%d rejected log-ins by a person who asked three times, want 1", n)
	}

	if retried, err := o.RetryAccounts(t.Context(), "apac"); err != nil || !retried {
		t.Errorf("resumed %v, %v", retried, err)
	}
	memory.Fail = func(op string, key store.Key) error {
		if op == "put" && strings.HasPrefix(key.SK, "AUTH#") {
			return errors.New("the disk is full")
		}
		return nil
	}
	if err := ask()[1]; err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("a rejection that cannot be noted: %v", err)
	}
}
