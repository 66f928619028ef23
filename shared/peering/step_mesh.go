package peering

import (
	"context"

	"peerkeeper/shared/change"
	"peerkeeper/shared/record"
)

// meshLines sees whether the mesh.yaml in force says what the plan needs.
func (t *tick) meshLines(_ context.Context, _ *record.Plan, s *change.Step) error {
	done, says := s.Declared(t.Mesh)
	t.confirmed(s, &done, says+", as this run has it", "")
	return nil
}

// layOut adds the steps that a join could not have before its cluster stood in mesh.yaml.
func (t *tick) layOut(_ context.Context, p *record.Plan, s *change.Step) error {
	n, now := len(p.Steps), t.Now()
	if done, says := (&change.Step{Purpose: string(change.Join), Cluster: s.Cluster}).Declared(t.Mesh); !done {
		s.Turn(change.StepWaiting, now, "%s, as this run has it", says)
		return nil
	}
	if err := p.LayOut(t.known()); err != nil {
		s.Turn(change.StepFailed, now, "%s", err)
		return nil
	}
	p.Step(s.N).Turn(change.StepDone, now, "%d more steps", len(p.Steps)-n)
	return nil
}
