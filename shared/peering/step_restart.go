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

// What is waited for after a restart, apart from change.PeopleWithin.
const (
	// haWithin is how long a redundancy group may take until it is Normal again, and
	// fallbackWithin if it falls back by itself, which takes 30 min.
	haWithin       = 15 * time.Minute
	fallbackWithin = 45 * time.Minute
	// People fewer than fewPeople are too few for their number to say anything.
	fewPeople = 20
)

// see notes since when a step's service runs, and who is connected.
func (t *tick) see(s *change.Step, ready peer.Readiness) {
	svc, _ := service(ready, s.Node, s.Service)
	if at := startOf(svc, ready.Nodes[s.Node].Services.At); !at.IsZero() {
		s.ServiceStart = at
	}
	count(s, ready)
}

// count notes who is connected to a step's node and to its cluster, if every node
// tells.
func count(s *change.Step, ready peer.Readiness) {
	if all, ok := everyone(ready); ok {
		s.People, s.Everyone, s.Counted = ready.Nodes[s.Node].People.Value, all, true
	}
}

// everyone is how many people are connected to the nodes of a cluster; false if one
// of them does not tell.
func everyone(ready peer.Readiness) (int, bool) {
	all := 0
	for _, n := range ready.Nodes {
		v, ok := n.People.Get()
		if !ok {
			return 0, false
		}
		all += v
	}
	return all, true
}

// restart restarts a service on a node once a person has approved it, or sees that a
// person has restarted it.
func (t *tick) restart(ctx context.Context, p *record.Plan, s *change.Step) error {
	now := t.Now()
	ready, err := t.readiness(ctx, s.Cluster)
	if s.KindOf(t.Mesh.Policy.Mode) != change.Automatic {
		return t.restarted(s, ready, err)
	}
	if !s.Sent.IsZero() {
		// What became of it is asked of the gate, not of people.
		return t.act(ctx, p, s, peer.RestartService, "", "restart", interrupts(s))
	}
	if err != nil {
		s.Turn(change.StepWaiting, now, "%s cannot be read: %s", s.Cluster, plain.Line(err.Error(), 200))
		return nil
	}
	why := ""
	if change.SignsOut(s.Service) {
		why = ready.WhyNotRestart(s.Node)
	}
	if s.Consent == nil {
		t.see(s, ready)
		text := fmt.Sprintf("for an approval: %s", interrupts(s))
		if why != "" {
			text = "it could not be done now: " + why
		} else if change.SignsOut(s.Service) && !ready.TakenOver(s.Node) {
			text += "; nobody takes over meanwhile"
		}
		if s.Attempt > 1 {
			text += fmt.Sprintf("; attempt %d came to nothing, as `peerkeeper history` tells", s.Attempt-1)
		}
		s.Turn(change.StepWaiting, now, "%s", text)
		return nil
	}
	if why != "" {
		s.Turn(change.StepFailed, now, "%s", why)
		return nil
	}
	count(s, ready) // once more: who has gone since the approval is not signed out by it, and need not come back
	return t.act(ctx, p, s, peer.RestartService, "", interrupts(s), interrupts(s))
}

func interrupts(s *change.Step) string {
	if !change.SignsOut(s.Service) {
		return "the syncs of every peer of the cluster stop for some minutes"
	}
	if !s.Counted {
		return "how many people are connected to it could not be read; they will be signed out"
	}
	return plain.Count(s.People, "person is connected to it, who will be signed out", "people are connected to it, who will be signed out")
}

// restarted sees whether a person has restarted a service since the plan came to it.
func (t *tick) restarted(s *change.Step, ready peer.Readiness, err error) error {
	svc, listed := service(ready, s.Node, s.Service)
	start := startOf(svc, ready.Nodes[s.Node].Services.At)
	switch {
	case err != nil || !listed:
		t.confirmed(s, nil, "", unreadable(err, ready, s))
	case svc.Restarting():
		s.Turn(change.StepWaiting, t.Now(), "it is %s: the plan goes on when it reads Started; do not press Restart again%s", svc.Status, confirmedBy(s))
	default:
		done := start.After(s.Began.Add(-time.Minute))
		text := svc.Status
		if !start.IsZero() {
			text += ", up since " + plain.Time(start)
		}
		if !done && svc.Started() { // while it is down nobody is connected who was before
			t.see(s, ready)
		}
		if !done {
			if change.SignsOut(s.Service) {
				if why := ready.WhyNotRestart(s.Node); why != "" {
					text += "; do not restart it now: " + why
				}
			}
			text += "; " + interrupts(s)
		}
		t.confirmed(s, &done, text, "")
	}
	return nil
}

// restartOf is the step that a wait or a fallback follows.
func restartOf(p *record.Plan, s *change.Step) *change.Step { return p.Step(s.Of) }

// awaitHA waits until the node's redundancy group is settled. One that is not after
// its time is a fallback's business, or a person's.
func (t *tick) awaitHA(ctx context.Context, p *record.Plan, s *change.Step) error {
	now := t.Now()
	ready, err := t.readiness(ctx, s.Cluster)
	passed := now.Sub(restartOf(p, s).Since)
	late := passed > haWithin
	if err == nil {
		contradict(s)
	}
	switch why := settling(ready, err, s.Node); {
	case why == "":
		s.Turn(change.StepDone, now, "%s", groupReads(ready, s))
	case vouched(s):
		s.Turn(change.StepDone, now, "%s says so; it cannot be read: %s%s", s.Said.Actor, why, remark(s))
	case late && failedOver(ready, s.Node):
		s.Turn(change.StepDone, now, "its group has failed over: %s", why)
	case late:
		s.Turn(change.StepWaiting, now, "for a person: not settled %s after the restart: %s; mend that, or skip the step with a reason", plain.Duration(passed.Truncate(time.Minute)), why)
	default:
		s.Turn(change.StepRunning, now, "%s", why)
	}
	return nil
}

// fallback sees that a node which failed over serves its people again.
func (t *tick) fallback(ctx context.Context, p *record.Plan, s *change.Step) error {
	now := t.Now()
	ready, err := t.readiness(ctx, s.Cluster)
	why := settling(ready, err, s.Node)
	switch passed := now.Sub(restartOf(p, s).Since); {
	case why == "" && s.State == change.StepRunning && s.Said == nil:
		s.Turn(change.StepSkipped, now, "its group has not failed over")
	case err != nil:
		t.confirmed(s, nil, "", why)
	case why == "":
		done := true
		t.confirmed(s, &done, groupReads(ready, s), "")
	default:
		done := false
		text := why
		if passed < fallbackWithin {
			text += fmt.Sprintf("; with automatic fallback it comes back by itself until %s", plain.Time(restartOf(p, s).Since.Add(fallbackWithin)))
		}
		t.confirmed(s, &done, text, "")
	}
	return nil
}

// settling says why a node's redundancy group is not settled; "" if it is.
func settling(ready peer.Readiness, err error, node mesh.NodeName) string {
	if err != nil {
		return plain.Line(err.Error(), 200)
	}
	return ready.WhyNotRestart(node)
}

// failedOver says that one of the node's group reads another state than Normal or
// Idle.
func failedOver(ready peer.Readiness, node mesh.NodeName) bool {
	group, known := ready.Nodes[node].Group.Get()
	for _, n := range ready.Nodes {
		if g, ok := n.Group.Get(); known && ok && g != group {
			continue
		}
		if state, ok := n.HAState.Get(); ok && state != peer.HANormal && state != peer.HAIdle {
			return true
		}
	}
	return false
}

func groupReads(ready peer.Readiness, s *change.Step) string {
	return fmt.Sprintf("%s reads %s", s.Node, peer.HAWord(ready.Nodes[s.Node].HAState.Value))
}

// awaitPeople waits until people are connected again, and asks if they stay away.
func (t *tick) awaitPeople(ctx context.Context, p *record.Plan, s *change.Step) error {
	now := t.Now()
	restart := restartOf(p, s)
	if said := s.Said; said != nil && said.Verb == change.Answer && s.State == change.StepWaiting {
		if said.Yes {
			s.Turn(change.StepDone, now, "%s goes on; before: %s", said.Actor, s.Evidence)
		} else {
			s.Turn(change.StepFailed, now, "%s stops here: %s", said.Actor, s.Evidence)
		}
		return nil
	}
	if restart.Counted && restart.People < fewPeople {
		text := plain.Count(restart.People, "person was connected to it", "people were connected to it")
		if c := restart.Consent; c != nil && c.People >= fewPeople {
			text += fmt.Sprintf(" when it was sent, of %d when %s approved it, and who had gone by then was not signed out by it", c.People, c.Actor)
		}
		s.Turn(change.StepDone, now, "%s: too few to wait for", text)
		return nil
	}
	ready, err := t.readiness(ctx, s.Cluster)
	all, known := everyone(ready)
	known = known && restart.Counted
	missing := max(0, restart.Everyone-all)
	text := fmt.Sprintf("%d people are connected to %s; %d were before", all, s.Cluster, restart.Everyone)
	if err != nil || !known {
		text = "how many people are connected, or were before, cannot be read"
	}
	switch {
	case err == nil && known && 100*missing <= (100-change.PeopleBack)*restart.People:
		s.Turn(change.StepDone, now, "%s", text)
	case now.Sub(restart.Since) > change.PeopleWithin:
		s.Turn(change.StepWaiting, now, "for an answer: go on all the same? %s", text)
	default:
		s.Turn(change.StepRunning, now, "%s", text)
	}
	return nil
}
