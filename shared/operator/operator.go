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
	"peerkeeper/shared/peersync"
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

// Ask opens clusters side by side for a question, under the same guard against
// lock-out as a tick, and gives the error of each.
func (o *Operator) Ask(ctx context.Context, clusters []mesh.Cluster, ask func(ctx context.Context, i int, client *cluster.Client) error) []error {
	look := &peersync.Peersync{Mesh: o.Mesh, Store: o.Store, Clusters: o.Clusters, Now: o.Now}
	errs := make([]error, len(clusters))
	var all sync.WaitGroup
	for i := range clusters {
		all.Go(func() {
			errs[i] = look.With(ctx, &clusters[i], func(ctx context.Context, client *cluster.Client) error {
				return ask(ctx, i, client)
			})
		})
	}
	all.Wait()
	return errs
}
