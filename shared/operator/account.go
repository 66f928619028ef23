package operator

import (
	"context"
	"fmt"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// RetryAccounts lets the rejected accounts of a cluster be tried again, each once;
// false if none is held back.
func (o *Operator) RetryAccounts(ctx context.Context, id mesh.ClusterID) (bool, error) {
	now := o.Now()
	found := false
	// Each account is held back by itself.
	for _, account := range mesh.Accounts() {
		_, changed, err := store.Claim(ctx, o.Store, store.Auth(o.Mesh.Name, id, account), record.AuthSchema, func(d *store.Doc[record.Auth], exists bool) (bool, error) {
			if !exists || d.Value.Rejected == "" {
				return false, nil
			}
			d.Value.Rejected, d.Value.At, d.Value.Detail = "", now, "resumed by "+o.Actor
			return true, nil
		})
		if err != nil {
			return false, fmt.Errorf("resuming %s: %w", id, err)
		}
		found = found || changed
	}
	if !found {
		return false, nil
	}
	_, err := repair.Append(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: now, Actor: o.Actor, Intent: "resume " + string(id), Outcome: "done", Evidence: "the account is tried again at the next check"})
	return true, err
}
