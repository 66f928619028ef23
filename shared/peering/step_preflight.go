package peering

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"peerkeeper/shared/change"
	"peerkeeper/shared/check"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
)

// preflight has the checks of a cluster carried out: a row that fails stops the
// plan, but for those that fail because the plan is needed, and those of what it does
// not change.
func (t *tick) preflight(ctx context.Context, p *record.Plan, s *change.Step) error {
	err := t.Preflight(ctx, s.Cluster)
	now := t.Now()
	if err != nil { // such as those of another run, which are under way
		t.fails(s, "the checks could not be carried out: "+plain.Line(err.Error(), 200))
		return nil
	}
	doc, err := record.ChecksNow(ctx, t.Store, t.Mesh, s.Cluster) // they have just been written
	if err != nil {
		return err
	}
	if doc.Newer || doc.Value.At.Before(s.Began) { // such as those that lost to another run's
		t.fails(s, fmt.Sprintf("the checks of %s have not been written down since the plan came to them", s.Cluster))
		return nil
	}
	var failed, others, unknown []string
	for _, r := range doc.Value.Rows {
		switch {
		case change.Mends(p.Kind, r.ID):
		case r.Status == check.Fail && !t.concerns(p, r):
			others = append(others, fmt.Sprintf("%s (%s)", r.ID, r.About()))
		case r.Status == check.Fail:
			failed = append(failed, fmt.Sprintf("%s (%s)", r.ID, r.Message))
		case r.Status == check.Unknown && !slices.Contains(unknown, r.ID):
			unknown = append(unknown, r.ID)
		}
	}
	t.meet(ctx, p, s)
	access := t.grounds.Snapshot.Clusters[s.Cluster].Value.Seen.Access.Fresh(now, 2*t.grounds.View.Tick)
	also := ""
	if len(others) > 0 {
		also = "; also failing, not about this plan: " + plain.First(5, others)
	}
	cure := ""
	if p.Ends() && !access.Known() {
		cure = fmt.Sprintf("; if %s is gone for good, skip this step and those on its own pages with a reason: the others' entries for it go all the same", s.Cluster)
	}
	switch {
	case len(failed) > 0:
		s.Turn(change.StepFailed, now, "%s: %s%s%s", plain.Count(len(failed), "check fails", "checks fail"), plain.FirstBy(3, failed, "; "), cure, also)
	case !access.Known(): // such as a newcomer whose account is not in the secrets yet
		t.fails(s, fmt.Sprintf("%s has not been read, so that its checks tell nothing: %s%s", s.Cluster, plain.Line(cmp.Or(access.Detail, "peersync has not come to it yet"), 250), cure))
	case len(unknown) > 0:
		s.Turn(change.StepDone, now, "no check fails; unknown: %s%s", plain.List(unknown), also)
	default:
		s.Turn(change.StepDone, now, "no check fails%s", also)
	}
	return nil
}

// concerns says that a row of preflight is about what a plan changes. A plan that changes
// pairs is held up by those, by its clusters and by its nodes, and not by what one of its
// clusters has with another; one that changes none concerns all that its clusters have.
func (t *tick) concerns(p *record.Plan, r check.Row) bool {
	switch {
	case len(p.Pairs) == 0:
		return true
	case p.Ends() && (!r.Peer.IsZero() || r.ID == check.UserDuplicate): // it is ended as it is
		return false
	case !r.Peer.IsZero():
		return slices.Contains(p.Pairs, r.Peer)
	case r.ID != check.UserDuplicate || r.Basis != peer.Measured: // what people paste names no other cluster
		return true
	}
	report, err := t.grounds.Snapshot.UserReport()
	if err != nil || report == nil {
		return true
	}
	return len(twice(report, func(homes map[mesh.ClusterID]bool) bool {
		return len(homes) == 1 && homes[r.Cluster] || slices.ContainsFunc(p.Pairs, func(id mesh.PeerID) bool { return homes[id.From] && homes[id.To] })
	})) > 0
}

// meet notes since when the services run that the plan restarts on the cluster, and
// how many people are connected: what an approval that is given ahead is for.
func (t *tick) meet(ctx context.Context, p *record.Plan, of *change.Step) {
	ready, err := t.readiness(ctx, of.Cluster)
	if err != nil {
		return // it is read again when the plan comes to the step
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Cluster != of.Cluster || s.Op != change.OpRestart || s.State.Over() {
			continue
		}
		t.see(s, ready)
	}
}
