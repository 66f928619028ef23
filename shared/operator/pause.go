package operator

import (
	"context"
	"time"

	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// Pause keeps Peerkeeper from acting on what the scope names; lasts 0 is until
// it is ended. The actions it returns were meant before and are not called back.
func (o *Operator) Pause(ctx context.Context, scope record.Scope, reason string, lasts time.Duration) ([]repair.Intent, error) {
	return o.begin(ctx, store.Pause(o.Mesh.Name, string(scope)), "pause "+string(scope), o.override(scope, reason, lasts))
}

// EndPause lets it act again; false if it was not paused.
func (o *Operator) EndPause(ctx context.Context, scope record.Scope) (bool, error) {
	return o.end(ctx, store.Pause(o.Mesh.Name, string(scope)), "resume "+string(scope))
}
