package peering

import (
	"context"
	"strings"

	"peerkeeper/shared/change"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

// meshLines sees whether the mesh.yaml in force says what the plan needs. Who says a word to
// a plan may have a newer file than that by which the clusters are watched.
func (t *tick) meshLines(_ context.Context, _ *record.Plan, s *change.Step) error {
	done, says := s.Declared(t.Mesh)
	says += ", as this run has it"
	if watched := t.grounds.Snapshot.Runs["peersync"].Value.ConfigHash; done && watched != "" && watched != t.Mesh.Hash() {
		s.Turn(change.StepRunning, t.Now(), "%s; peersync has looked by another mesh.yaml: the plan goes on with its next look, once this one is in force there too", says)
		return nil
	}
	t.confirmed(s, &done, says, "")
	return nil
}

// layOut adds the steps that a join could not have before its cluster stood in mesh.yaml.
// They are written down before this one is done: of a run that is killed between, the
// next one finds no plan that seems to be at its end.
func (t *tick) layOut(ctx context.Context, p *record.Plan, s *change.Step) error {
	n, now := s.N, t.Now()
	if done, says := (&change.Step{Purpose: string(change.Join), Cluster: s.Cluster}).Declared(t.Mesh); !done {
		s.Turn(change.StepWaiting, now, "%s, as this run has it", says)
		return nil
	}
	says := ""
	if len(p.Steps) == n {
		var err error
		switch says, err = p.LayOut(t.known()); {
		case err != nil:
			s.Turn(change.StepFailed, now, "%s", err)
			return nil
		case len(p.Steps) == n:
			s.Turn(change.StepDone, now, "%s", says)
			return nil
		}
		if err := p.Save(ctx, t.Store); err != nil {
			return err
		}
	}
	more := plain.Count(len(p.Steps)-n, "more step", "more steps")
	p.Step(n).Turn(change.StepDone, now, "%s", strings.TrimSuffix(more+"; "+says, "; "))
	return nil
}
