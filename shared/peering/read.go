package peering

import (
	"context"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
)

// askWithin bounds what is asked of one cluster for one step, on the wall.
const askWithin = 60 * time.Second

// ask opens a cluster with its read account for a question.
func (t *tick) ask(ctx context.Context, id mesh.ClusterID, question func(ctx context.Context, client *cluster.Client) error) error {
	c, _ := t.Mesh.Cluster(id)
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	client, err := t.Clusters.Open(ctx, c, record.AccountGuardOf(t.Store, t.Mesh.Name, c, mesh.ReadAccount, t.Now), t.grounds.Snapshot.Accepted())
	if err != nil {
		return err
	}
	return question(ctx, client)
}

// readiness is what a cluster is now, read once a look.
func (t *tick) readiness(ctx context.Context, id mesh.ClusterID) (peer.Readiness, error) {
	if got, ok := t.ready[id]; ok {
		return got.Readiness, got.err
	}
	var got reading
	got.err = t.ask(ctx, id, func(ctx context.Context, client *cluster.Client) error {
		var err error
		got.Readiness, err = client.Readiness(ctx)
		return err
	})
	if t.ready == nil {
		t.ready = map[mesh.ClusterID]reading{}
	}
	t.ready[id] = got
	return got.Readiness, got.err
}

// forget has a cluster read again after something was done to it.
func (t *tick) forget(id mesh.ClusterID) { delete(t.ready, id) }

// parameter reads a service parameter by its internal name, and how many match.
func (t *tick) parameter(ctx context.Context, id mesh.ClusterID, node mesh.NodeName, service, name string) (value string, matches int, err error) {
	err = t.ask(ctx, id, func(ctx context.Context, client *cluster.Client) error {
		value, matches, err = client.Parameter(ctx, node, service, name)
		return err
	})
	return value, matches, err
}

// service reads a service of a node from a cluster's reading.
func service(r peer.Readiness, node mesh.NodeName, name string) (peer.Service, bool) {
	all, _ := r.Nodes[node].Services.Get()
	svc, listed := all[name]
	return svc, listed
}

// startOf is when a service was started, by an up-time read at an instant; zero if
// it does not run or that is not told.
func startOf(svc peer.Service, read time.Time) time.Time {
	if !svc.Started() || svc.UpTime < 0 {
		return time.Time{}
	}
	return read.Add(-svc.UpTime).UTC().Truncate(time.Second)
}
