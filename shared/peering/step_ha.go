package peering

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

// haOf says whether high availability is on in any redundancy group of a cluster:
// on and off are nodes by what their groups read, or are declared; why says what is
// not known, and declared that mesh.yaml says it and no reading.
func (t *tick) haOf(ctx context.Context, id mesh.ClusterID) (on, off []string, declared bool, why string) {
	ready, err := t.readiness(ctx, id)
	if err != nil {
		return nil, nil, false, plain.Line(err.Error(), 200)
	}
	c, _ := t.Mesh.Cluster(id)
	for _, n := range c.Nodes {
		ha := ready.Nodes[n.Name].HA
		declared = declared || ha.Detail == peer.DeclaredHA
		switch v, ok := ha.Get(); {
		case !ok:
			why = fmt.Sprintf("high availability of %s is not known: %s", n.Name, ha.Detail)
		case v:
			on = append(on, string(n.Name))
		default:
			off = append(off, string(n.Name))
		}
	}
	return on, off, declared, why
}

// haSeen is haOf for what a person has changed: what mesh.yaml declares does not show
// it.
func (t *tick) haSeen(ctx context.Context, id mesh.ClusterID) (on, off []string, why string) {
	on, off, declared, why := t.haOf(ctx, id)
	if why == "" && declared {
		why = "the database does not tell it, and mesh.yaml declares it (ha): it must say there what is so now"
	}
	return on, off, why
}

// askHA asks whether to disable high availability for the restarts, where it is on.
func (t *tick) askHA(ctx context.Context, p *record.Plan, s *change.Step) error {
	now := t.Now()
	if t.answered(s) {
		return nil
	}
	on, _, _, why := t.haOf(ctx, s.Cluster)
	switch {
	case len(on) > 0:
		s.Before = strings.Join(on, " ")
		s.Turn(change.StepWaiting, now, "for an answer: high availability is on for %s", plain.Count(len(on), "node", "nodes"))
	case why != "":
		s.Turn(change.StepWaiting, now, "for an answer: %s", why)
	default:
		s.Turn(change.StepSkipped, now, "high availability is off: no node takes over from another")
	}
	return nil
}

// disableHA sees that a person has disabled high availability. Nobody is asked to before
// a window is open in which the restarts are sent: until then no node would take over.
func (t *tick) disableHA(ctx context.Context, _ *record.Plan, s *change.Step) error {
	on, off, why := t.haSeen(ctx, s.Cluster)
	if open, closed := t.Mesh.Policy.Allowed(t.Now()); !open && t.Mesh.Policy.Mode == mesh.Recover && s.Said == nil && (why != "" || len(on) > 0) {
		s.Turn(change.StepRunning, t.Now(), "waits for a window of policy.windows, in which the restarts are sent (%s): high availability stays on until then", closed)
		return nil
	}
	if why != "" {
		t.confirmed(s, nil, "", why)
		return nil
	}
	done := len(on) == 0
	t.confirmed(s, &done, haRead(on, off), "")
	return nil
}

// enableHA sees that a person has enabled it again where it was on, and that these
// nodes have come back to Normal.
func (t *tick) enableHA(ctx context.Context, p *record.Plan, s *change.Step) error {
	on, off, why := t.haSeen(ctx, s.Cluster)
	if why != "" {
		t.confirmed(s, nil, "", why)
		return nil
	}
	ready, _ := t.readiness(ctx, s.Cluster)
	text, normal := haRead(on, off), len(off) == 0
	// Of a group that it was not on for, or that has one node, it is not asked. A node
	// that has left mesh.yaml since is not read.
	if was := strings.Fields(p.Step(p.Step(s.Of).Of).Before); len(was) > 0 {
		missing := slices.DeleteFunc(slices.Clone(off), func(n string) bool { return !slices.Contains(was, n) })
		if normal = len(missing) == 0; !normal {
			text += ", and it was on for " + plain.List(missing)
		}
	}
	c, _ := t.Mesh.Cluster(s.Cluster)
	for _, n := range c.Nodes {
		is, _ := ready.Nodes[n.Name].HA.Get()
		if state, ok := ready.Nodes[n.Name].HAState.Get(); normal && is && ok && state != peer.HANormal {
			normal, text = false, fmt.Sprintf("%s, and %s reads %s", text, n.Name, peer.HAWord(state))
		}
	}
	t.confirmed(s, &normal, text, "")
	return nil
}

func haRead(on, off []string) string {
	return fmt.Sprintf("high availability reads on for %s and off for %d", plain.Count(len(on), "node", "nodes"), len(off))
}
