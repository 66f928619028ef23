package peering

import (
	"context"
	"fmt"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

// set sets a parameter on a node, or sees that a person has.
func (t *tick) set(ctx context.Context, p *record.Plan, s *change.Step) error {
	now := t.Now()
	if s.KindOf(t.Mesh.Policy.Mode) != change.Automatic {
		got, why := t.told(ctx, s)
		if why != "" {
			t.confirmed(s, nil, "", why)
			return nil
		}
		same := change.Same(s.Purpose, got, s.Value)
		t.confirmed(s, &same, fmt.Sprintf("it reads %s", plain.Value(got)), "")
		return nil
	}
	got, matches, err := t.parameter(ctx, s.Cluster, s.Node, s.Service, s.Parameter)
	switch {
	case err != nil:
		t.fails(s, fmt.Sprintf("%s on %s cannot be read: %s", s.Parameter, s.Node, plain.Line(err.Error(), 200)))
		return nil
	case matches != 1:
		s.Turn(change.StepFailed, now, "%d parameters of %s on %s are called %s: nothing is set unless exactly one is; correct dialect.parameters, abort this plan, and ask for it again", matches, s.Service, s.Node, plain.Value(s.Parameter))
		return nil
	case change.Same(s.Purpose, got, s.Value):
		s.Turn(change.StepDone, now, "it reads %s", plain.Value(got))
		return nil
	}
	value, err := change.Written(got, s.Value)
	if err != nil {
		s.Turn(change.StepFailed, now, "%s on %s: %s; set it by hand, and confirm nothing: it is read", s.Parameter, s.Node, err)
		return nil
	}
	if s.Before == "" {
		s.Before = plain.Value(got)
	}
	return t.act(ctx, p, s, peer.SetParameter, value, fmt.Sprintf("%s reads %s", s.Parameter, plain.Value(got)), "nothing before the next sync")
}

// told is a parameter that a person sets, as far as it can be read; why says that
// it cannot be.
func (t *tick) told(ctx context.Context, s *change.Step) (value, why string) {
	if s.Parameter != "" {
		got, matches, err := t.parameter(ctx, s.Cluster, s.Node, s.Service, s.Parameter)
		switch {
		case err != nil:
			return "", plain.Line(err.Error(), 200)
		case matches != 1:
			return "", fmt.Sprintf("%d parameters are called %s", matches, plain.Value(s.Parameter))
		}
		return got, ""
	}
	return "", "its internal name is not known: `peerkeeper probe` proposes one for dialect.parameters"
}

// awaitSync waits until every peer that the cluster pulls has synced since its
// parameters were set.
func (t *tick) awaitSync(_ context.Context, p *record.Plan, s *change.Step) error {
	now := t.Now()
	var since time.Time
	for i := range p.Steps {
		x := &p.Steps[i]
		if x.Op == change.OpSet && x.Cluster == s.Cluster && x.State == change.StepDone && !x.Began.IsZero() && x.Since.After(since) {
			since = x.Since
		}
	}
	if since.IsZero() {
		s.Turn(change.StepSkipped, now, "nothing was changed on %s", s.Cluster)
		return nil
	}
	var missing []string
	all, blind := 0, 0
	for _, pr := range t.Mesh.Peers {
		if pr.ID.From != s.Cluster {
			continue
		}
		all++
		switch {
		case t.grounds.View.SyncedSince(pr.ID, since):
		case !t.grounds.View.ClockAsRead(pr.ID).Readable():
			blind++
			missing = append(missing, pr.ID.String()+" (no clock)")
		default:
			missing = append(missing, pr.ID.String())
		}
	}
	if blind < len(missing) {
		contradict(s)
	}
	c, _ := t.Mesh.Cluster(s.Cluster)
	waited := now.Sub(since)
	patience := 4*max(c.SyncInterval.D(), mesh.MinSyncInterval) + 2*t.grounds.View.Tick
	switch {
	case len(missing) == 0:
		s.Turn(change.StepDone, now, "%s synced since %s", plain.Count(all, "peer has", "peers have"), plain.Time(since))
	case vouched(s):
		s.Turn(change.StepDone, now, "%s says so; it cannot be read: %s%s", s.Said.Actor, plain.List(missing), remark(s))
	case blind == len(missing) && waited > 2*t.grounds.View.Tick:
		s.Turn(change.StepWaiting, now, "for a person: when %s synced cannot be read here; look at Last Synchronized Time and confirm", plain.List(missing))
	case waited > patience:
		s.Turn(change.StepWaiting, now, "for a person: not synced within %s: %s; mend that, or skip the step with a reason", plain.Duration(patience), plain.List(missing))
	default:
		s.Turn(change.StepRunning, now, "%d of %d peers have synced since %s", all-len(missing), all, plain.Time(since))
	}
	return nil
}
