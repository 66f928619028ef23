package peersync

import (
	"context"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/soap"
)

// With opens one cluster for a look that a person asked for, under the same
// lock-out guard as a tick: an account that was rejected is not tried, and one
// that is rejected now is noted before anything else can try it.
func (p *Peersync) With(ctx context.Context, c *mesh.Cluster, look func(context.Context, *cluster.Client) error) error {
	book, err := record.Load(ctx, p.Store, p.Mesh)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, clusterDeadline)
	defer cancel()
	rejected, err := record.LoginOf(p.Store, p.Mesh.Name, c, mesh.ReadAccount).Rejected(ctx)
	if err != nil {
		return err
	}
	client, err := p.Clusters.Open(ctx, c, rejected, book.Accepted())
	if err != nil {
		return err
	}
	err = look(ctx, client)
	if soap.KindOf(err) == soap.AccountRejected {
		t := &tick{Peersync: p, now: p.Now()}
		t.reject(ctx, c, client.Version, err.Error())
		return &cluster.Refused{Reason: peer.AccountRejected, Message: err.Error(), Cause: err}
	}
	return err
}
