package operator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// ApprovalLife is how long an approval waits for its action.
const ApprovalLife = 4 * time.Hour

// Approve consents to one exact action, once, for the next four hours.
func (o *Operator) Approve(ctx context.Context, id string) (Planned, error) {
	planned, err := o.Plan(ctx)
	if err != nil {
		return Planned{}, err
	}
	i := slices.IndexFunc(planned, func(p Planned) bool { return p.ID == id })
	if i < 0 {
		return Planned{}, fmt.Errorf("no action %q is proposed now: `peerkeeper plan` lists those that are", id)
	}
	return planned[i], o.consent(ctx, planned[i])
}

// consent stores the consent to an action of the plan.
func (o *Operator) consent(ctx context.Context, p Planned) error {
	if p.Approval == "" {
		return fmt.Errorf("%s (%s %s) needs no approval", p.ID, p.Kind, p.Target)
	}
	if o.Mesh.Policy.Mode != mesh.Recover {
		return fmt.Errorf("policy.mode is observe: nothing is changed, approved or not. By hand: %s", repair.ByHand(p.proposal))
	}
	now := o.Now()
	_, _, err := store.Claim(ctx, o.Store, store.Approval(o.Mesh.Name, p.ID), record.OverrideSchema, func(d *store.Doc[record.Approval], _ bool) (bool, error) {
		d.Value = record.Approval{ID: p.ID, Actor: o.Actor, At: now, Expires: now.Add(ApprovalLife)}
		d.TTL = now.Add(7 * 24 * time.Hour)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("approving %s: %w", p.ID, err)
	}
	_, err = repair.Append(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: now, Actor: o.Actor, Intent: fmt.Sprintf("approve %s: %s %s", p.ID, p.Kind, p.Target), Outcome: "done", Evidence: p.Why})
	return err
}

// ApproveSource consents to every import of one node's certificates that waits for
// a person now: after a renewal there is one in each cluster that pulls. Each is
// recorded by itself.
func (o *Operator) ApproveSource(ctx context.Context, node mesh.NodeName) ([]Planned, error) {
	planned, err := o.Plan(ctx)
	if err != nil {
		return nil, err
	}
	var out []Planned
	for _, p := range planned {
		if p.Source == nil || !mesh.SameName(string(p.Source.Node), string(node)) || p.Approval == "" {
			continue
		}
		if err := o.consent(ctx, p); err != nil {
			return out, err
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no import of a certificate of %q waits for a person now: `peerkeeper plan` lists those that do", node)
	}
	return out, nil
}
