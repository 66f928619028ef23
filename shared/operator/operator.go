// Package operator is what a person decides about a mesh and asks of it: consent
// to an action, a pause, a maintenance, an alarm that is known, a certificate to
// be accepted, an account to be tried again; the plan, the bundle for a TAC case,
// where a user is home.
//
// A decision is stored as an override and then entered in the audit with the
// person's name. Nothing here changes a cluster: stucksync reads the overrides at
// its next run, and its gate heeds them.
package operator

import (
	"context"
	"sync"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/store"
)

// Operator is a person at a mesh. Mesh, Store and Now are needed.
type Operator struct {
	Mesh  *mesh.Mesh
	Store store.Store
	Now   func() time.Time // of the mesh
	// Actor is who decides, for the record; a question needs no name.
	Actor string
	// Clusters opens the clusters for what is asked of them; a decision needs none.
	Clusters *cluster.Connector
}

// askWithin bounds what is asked of one cluster, on the wall.
const askWithin = 45 * time.Second

// Ask opens clusters side by side for a question, and gives the error of each. An
// account that was rejected is not tried, and one that is rejected now is noted
// before anything else can try it.
func (o *Operator) Ask(ctx context.Context, clusters []mesh.Cluster, ask func(ctx context.Context, i int, client *cluster.Client) error) []error {
	errs := make([]error, len(clusters))
	snapshot, err := record.Load(ctx, o.Store, o.Mesh)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	accepted := snapshot.Accepted()
	var all sync.WaitGroup
	for i := range clusters {
		all.Go(func() {
			errs[i] = o.open(ctx, &clusters[i], accepted, func(ctx context.Context, client *cluster.Client) error {
				return ask(ctx, i, client)
			})
		})
	}
	all.Wait()
	return errs
}

func (o *Operator) open(ctx context.Context, c *mesh.Cluster, accepted map[mesh.NodeName][]string, ask func(context.Context, *cluster.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	client, err := o.Clusters.Open(ctx, c, record.AccountGuardOf(o.Store, o.Mesh.Name, c, mesh.ReadAccount, o.Now), accepted)
	if err != nil {
		return err
	}
	err = ask(ctx, client)
	if soap.KindOf(err) != soap.AccountRejected {
		return err
	}
	return &cluster.Refused{Reason: peer.AccountRejected, Message: err.Error(), Cause: err}
}
