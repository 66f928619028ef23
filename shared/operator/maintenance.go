package operator

import (
	"context"
	"time"

	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// StartMaintenance declares maintenance of what the scope names: neither actions
// nor notices; lasts 0 is until it is ended. The actions it returns were meant
// before and are not called back.
func (o *Operator) StartMaintenance(ctx context.Context, scope record.Scope, reason string, lasts time.Duration) ([]repair.Intent, error) {
	return o.begin(ctx, store.Maintenance(o.Mesh.Name, string(scope)), "maintenance start "+string(scope), o.override(scope, reason, lasts))
}

// EndMaintenance ends it; false if there was none.
func (o *Operator) EndMaintenance(ctx context.Context, scope record.Scope) (bool, error) {
	return o.end(ctx, store.Maintenance(o.Mesh.Name, string(scope)), "maintenance end "+string(scope))
}
