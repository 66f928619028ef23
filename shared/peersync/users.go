package peersync

import (
	"context"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/store"
	"peerkeeper/shared/userset"
)

// usersRead are one cluster's users, hashed as they come: the same reading that
// gives the digest of tier 3.
type usersRead struct {
	cluster   mesh.ClusterID
	before    store.Doc[userset.Head]
	collector *userset.Collector
	set       userset.Set // once all were read
}

// hashUsers begins to take in a cluster's users. Where the store does not let it,
// nothing is taken in, and the digest is read all the same.
func (t *tick) hashUsers(ctx context.Context, id mesh.ClusterID) (*usersRead, func(cluster.User)) {
	key, err := record.DrawUsersKey(ctx, t.Store, t.Mesh.Name)
	if err != nil {
		t.logger().Warn("the hashes of users are not kept", "cluster", id, "error", err)
		return nil, nil
	}
	heads, err := record.UserSets(ctx, t.Store, t.Mesh.Name, id)
	if err != nil {
		t.logger().Warn("the hashes of users are not kept", "cluster", id, "error", err)
		return nil, nil
	}
	r := &usersRead{cluster: id, before: heads[id], collector: userset.Collect(key)}
	return r, func(u cluster.User) {
		r.collector.Assigned(userset.User{Key: u.Key, ID: u.ID, URI: u.DirectoryURI}, u.URIRead)
	}
}

// complete adds the users without a node to a set whose others were all read. A
// set is written whole or not at all; where a database does not tell who is
// without a node, the set says that it does not know.
func (t *tick) complete(ctx context.Context, client *cluster.Client, r *usersRead) {
	if r == nil {
		return
	}
	unassigned, whole, err := client.Unassigned(ctx)
	switch {
	case soap.KindOf(err) == soap.AccountRejected || ctx.Err() != nil:
		return
	case err != nil:
		t.logger().Warn("users without a node were not told", "cluster", r.cluster, "error", err)
	case !whole:
		t.logger().Warn("more users without a node than are read", "cluster", r.cluster)
	default:
		users := make([]userset.User, len(unassigned))
		for i, u := range unassigned {
			users[i] = userset.User{Key: u.Key, ID: u.ID, URI: u.DirectoryURI}
		}
		r.collector.Unassigned(users)
	}
	if r.set, err = r.collector.Set(r.before.Value.Generation, t.now); err != nil {
		t.logger().Warn("the hashes of users are not kept", "cluster", r.cluster, "error", err)
		return
	}
	t.users = r
}

// recordUsers stores the set of the cluster that was read at this tick, if any. It
// comes before the cluster's record, so that a run that dies here reads the users
// again; and where the store refuses it, they count as not read.
func (t *tick) recordUsers(ctx context.Context) error {
	if t.users == nil {
		return nil
	}
	id := t.users.cluster
	err := record.WriteUsers(ctx, t.Store, t.Mesh.Name, id, t.users.before, t.users.set)
	if err != nil {
		t.facts.Clusters[id].UserSet = t.snapshot.Clusters[id].Value.UserSet
	}
	return err
}
