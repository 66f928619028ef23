package operator

import (
	"context"
	"fmt"
	"time"

	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// maxActor bounds the name of who decides, in characters.
const maxActor = 255

// override is a decision that begins now; lasts 0 is until it is ended.
func (o *Operator) override(scope record.Scope, reason string, lasts time.Duration) record.Override {
	// A verb has refused what is too long to be a reason; what is stored is bounded
	// all the same.
	d := record.Override{Scope: scope, Reason: plain.Line(reason, record.MaxReason), Actor: plain.Line(o.Actor, maxActor), At: o.Now()}
	if lasts > 0 {
		d.Expires = d.At.Add(lasts)
	}
	return d
}

// begin writes an override that stops actions and turns the gate's epoch, so that
// no action that was decided before it can begin after it. It returns the actions
// that are under way all the same.
func (o *Operator) begin(ctx context.Context, key store.Key, intent string, decided record.Override) ([]repair.Intent, error) {
	_, _, err := store.Claim(ctx, o.Store, key, record.OverrideSchema, func(d *store.Doc[record.Override], _ bool) (bool, error) {
		d.Value = decided
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", intent, err)
	}
	return repair.Interrupt(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: decided.At, Actor: o.Actor, Intent: intent, Outcome: "done", Evidence: decided.Reason})
}

// end ends what begin began; false if there is nothing to end.
func (o *Operator) end(ctx context.Context, key store.Key, intent string) (bool, error) {
	now := o.Now()
	_, ended, err := store.Claim(ctx, o.Store, key, record.OverrideSchema, func(d *store.Doc[record.Override], exists bool) (bool, error) {
		if !exists || !d.Value.Holds(now) {
			return false, nil
		}
		d.Value.Ended = true
		return true, nil
	})
	if err != nil {
		return false, fmt.Errorf("%s: %w", intent, err)
	}
	if !ended {
		return false, nil
	}
	_, err = repair.Interrupt(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: now, Actor: o.Actor, Intent: intent, Outcome: "done"})
	return true, err
}
