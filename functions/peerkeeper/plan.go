package main

import (
	"context"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/repair"
)

type planVerb struct {
	WouldHave span `help:"Show instead what mode recover would have done over this time, such as 7d." placeholder:"TIME"`
	kept
}

// Help is what peerkeeper plan --help teaches.
func (planVerb) Help() string {
	return `Lists the actions that are asked for now: on what, why, what they interrupt, what to collect first, and what stands in the way of each. With --would-have it shows, before you turn on mode recover, what it would have done.
It never acts and contacts no cluster. An action that needs approval is approved with "peerkeeper approve ID".

Examples:

  peerkeeper plan
  peerkeeper plan --would-have 7d`
}

// Run shows the plan.
func (p *planVerb) Run(ctx context.Context, t *terminal) error {
	w, err := p.known(ctx)
	if err != nil {
		return err
	}
	var planned []operator.Planned
	if p.WouldHave > 0 {
		planned, err = w.operator().WouldHave(ctx, time.Duration(p.WouldHave))
	} else {
		planned, err = w.operator().Plan(ctx)
	}
	if err != nil {
		return err
	}
	if t.json {
		return t.answer(map[string]any{"actions": planned})
	}
	if len(planned) == 0 {
		t.sayf("No actions are proposed.")
		return nil
	}
	for _, a := range planned {
		t.sayf("%s  %s %s (%s)", a.ID, a.Kind, a.Target, a.Cluster)
		t.sayf("    why: %s", a.Why)
		if a.Source != nil {
			for _, line := range certificate.ImportLines(*a.Source) {
				t.sayf("    compare: %s", line)
			}
		}
		t.sayf("    impact: %s", a.Interrupts)
		for _, c := range a.Collect {
			t.sayf("    collect first: %s", c)
		}
		if a.Approval != "" {
			t.sayf("    approval required: %s", a.Approval)
		}
		for _, r := range a.Refused {
			t.sayf("    blocked: %s", repair.Explain(r))
		}
		if a.Outcome != "" {
			t.sayf("    outcome: %s", a.Outcome)
		}
		if !a.Ended.IsZero() {
			t.sayf("    proposed from %s to %s", a.First.UTC().Format(time.RFC3339), a.Ended.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
