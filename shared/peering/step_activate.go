package peering

import (
	"context"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

// startsWithin is how long an activated service may take to run.
const startsWithin = 10 * time.Minute

// activate activates a service on a node, or sees that a person has.
func (t *tick) activate(ctx context.Context, p *record.Plan, s *change.Step) error {
	now := t.Now()
	ready, err := t.readiness(ctx, s.Cluster)
	svc, listed := service(ready, s.Node, s.Service)
	if s.KindOf(t.Mesh.Policy.Mode) != change.Automatic {
		if err != nil || !listed {
			t.confirmed(s, nil, "", unreadable(err, ready, s))
			return nil
		}
		there := svc.Code != peer.CodeNotActivated
		t.confirmed(s, &there, svc.Status+" ("+s.Service+")", "")
		return nil
	}
	if err == nil && listed && svc.Code != peer.CodeNotActivated {
		s.Turn(change.StepDone, now, "it is activated: %s", svc.Status)
		return nil
	}
	return t.act(ctx, p, s, peer.ActivateService, "", "it is not activated", "nothing: the service was not there")
}

// awaitAXL waits until an activated service runs.
func (t *tick) awaitAXL(ctx context.Context, _ *record.Plan, s *change.Step) error {
	now := t.Now()
	ready, err := t.readiness(ctx, s.Cluster)
	svc, listed := service(ready, s.Node, s.Service)
	if err == nil && listed {
		contradict(s)
	}
	switch {
	case err == nil && svc.Started():
		s.Turn(change.StepDone, now, "it is Started")
	case vouched(s):
		s.Turn(change.StepDone, now, "%s says so; it cannot be read: %s%s", s.Said.Actor, unreadable(err, ready, s), remark(s))
	case now.Sub(s.Began) > startsWithin && (err != nil || !listed):
		s.Turn(change.StepWaiting, now, "for a person: whether it runs cannot be read: %s", unreadable(err, ready, s))
	case now.Sub(s.Began) > startsWithin:
		s.Turn(change.StepFailed, now, "it is %s, %s after it was activated", svc.Status, plain.Duration(now.Sub(s.Began)))
	default:
		s.Turn(change.StepRunning, now, "waits until it is Started")
	}
	return nil
}

// unreadable says why a service of a step could not be read.
func unreadable(err error, r peer.Readiness, s *change.Step) string {
	if err != nil {
		return plain.Line(err.Error(), 200)
	}
	if all := r.Nodes[s.Node].Services; !all.Known() {
		return plain.Line("the services of "+string(s.Node)+" are not known: "+all.Detail, 200)
	}
	return string(s.Node) + " does not list " + s.Service
}
