package main

import (
	"context"

	"peerkeeper/shared/operator"
)

type maintenanceVerb struct {
	Start maintenanceStartVerb `cmd:"" help:"Neither actions nor notices from now on."`
	End   maintenanceEndVerb   `cmd:"" help:"Actions and notices again."`
}

type maintenanceStartVerb struct{ stop }

// Help is what peerkeeper maintenance start --help teaches.
func (maintenanceStartVerb) Help() string {
	return `Declares maintenance of what you name: Peerkeeper neither acts on it nor sends notices about it. Judging goes on, and the page shows what is seen.
It never clears an alarm that stands: that one is cleared when its cause is gone.

Examples:

  peerkeeper maintenance start apac --reason "upgrade to SU4" --for 6h`
}

// Run begins a maintenance.
func (m *maintenanceStartVerb) Run(ctx context.Context, t *terminal) error {
	return m.run(ctx, t, "%s is in maintenance.", (*operator.Operator).StartMaintenance)
}

type maintenanceEndVerb struct {
	Scope name `arg:"" help:"What was named at the start." placeholder:"SCOPE"`
	Pair  bool `help:"Both directions of the peer."`
	kept
}

// Run ends a maintenance.
func (m *maintenanceEndVerb) Run(ctx context.Context, t *terminal) error {
	w, o, err := m.decides(ctx)
	if err != nil {
		return err
	}
	scope, err := w.scope(string(m.Scope), m.Pair)
	if err != nil {
		return err
	}
	ended, err := o.EndMaintenance(ctx, scope)
	if err != nil {
		return err
	}
	if !ended {
		return usagef("nothing stands for %s that could be ended", scope)
	}
	if t.json {
		return t.answer(map[string]any{"scope": scope, "ended": true, "actor": o.Actor})
	}
	t.sayf("The maintenance of %s is over; recorded as decided by %s.", scope, o.Actor)
	return nil
}
