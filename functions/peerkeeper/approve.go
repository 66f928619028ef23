package main

import (
	"context"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/plain"
)

type approveVerb struct {
	ID     name `arg:"" name:"id" optional:"" help:"The action, as plan lists it." placeholder:"ID"`
	Source name `help:"Instead of one action: every import of this node's certificates, into whichever cluster." placeholder:"NODE"`
	kept
}

// Help is what peerkeeper approve --help teaches.
func (approveVerb) Help() string {
	return `Consents to one exact action that plan lists, once, for the next four hours. It is recorded with your name.
It never acts itself: the next run of stucksync looks again, and acts only if the action is still needed and every other guard agrees. In mode observe nothing is changed, approved or not; the steps by hand are printed instead.

Examples:

  peerkeeper approve 5f2ac1d09b
  peerkeeper approve --source imp-apac-pub.example.com`
}

// Run approves an action.
func (a *approveVerb) Run(ctx context.Context, t *terminal) error {
	w, o, err := a.decides(ctx)
	if err != nil {
		return err
	}
	if (a.ID == "") == (a.Source == "") {
		return usagef("name one action, or --source NODE: `peerkeeper plan` lists what waits for a person")
	}
	if a.Source != "" {
		all, err := o.ApproveSource(ctx, mesh.NodeName(a.Source))
		if err != nil {
			return usage{err}
		}
		if t.json {
			return t.answer(map[string]any{"approved": all, "actor": o.Actor})
		}
		for _, p := range all {
			t.sayf("%s  %s %s is approved for the next %s.", p.ID, p.Kind, p.Target, plain.Duration(operator.ApprovalLife))
		}
		t.sayf("%d imports; recorded as decided by %s. At most %d an hour are made.", len(all), o.Actor, w.Mesh.Policy.Limits.ImportsPerMeshPerHour)
		return nil
	}
	p, err := o.Approve(ctx, string(a.ID))
	if err != nil {
		return usage{err}
	}
	if t.json {
		return t.answer(map[string]any{"approved": p, "actor": o.Actor})
	}
	t.sayf("%s %s is approved for the next %s; recorded as decided by %s. Impact: %s.", p.Kind, p.Target, plain.Duration(operator.ApprovalLife), o.Actor, p.Interrupts)
	for _, c := range p.Collect {
		t.sayf("  collect first: %s", c)
	}
	return nil
}
