package peering

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/userset"
)

// syncAgent sees that a cluster's users have come from Unified CM. A person's word counts
// where the database does not tell, and not for what only cannot be read now.
func (t *tick) syncAgent(ctx context.Context, _ *record.Plan, s *change.Step) error {
	read, err := t.entries(ctx, s.Cluster)
	says, known := read.SyncAgent.Get()
	switch why := read.SyncAgent.Why(); {
	case err != nil:
		t.unseen(s, plain.Line(err.Error(), 200))
	case known:
		done := strings.HasPrefix(says, "Completed")
		t.confirmed(s, &done, "its user sync reads "+plain.Value(says), "")
	case why == peer.NotObservable, why == peer.QueryRefused:
		t.confirmed(s, nil, "", plain.Line(read.SyncAgent.Detail, 200))
	default:
		t.unseen(s, plain.Line(read.SyncAgent.Detail, 200))
	}
	return nil
}

// unseen leaves open what must be seen and has not been looked at: that is nothing to
// vouch for.
func (t *tick) unseen(s *change.Step, why string) {
	s.Said = nil
	s.Turn(change.StepWaiting, t.Now(), "not known yet, and nothing to confirm before it is: %s", why)
	s.Unseen = true
}

// auditStands is how long ago the users may have been read: it is done once a day, one
// cluster at a time.
const auditStands = 48 * time.Hour

// duplicates sees that no user is at home twice in what the plan brings together. A
// person's word counts for what a database does not tell, and not for users who have not
// been compared yet.
func (t *tick) duplicates(_ context.Context, p *record.Plan, s *change.Step) error {
	report, err := t.grounds.Snapshot.UserReport()
	if err != nil || report == nil {
		t.unseen(s, "the users have not been compared yet: `peerkeeper preflight --now`")
		return nil
	}
	if keys := twice(report, func(homes map[mesh.ClusterID]bool) bool {
		return slices.ContainsFunc(p.Pairs, func(id mesh.PeerID) bool { return homes[id.From] && homes[id.To] })
	}); len(keys) > 0 {
		done := false
		t.confirmed(s, &done, areTwice(report, keys), "")
		return nil
	}
	yet, never := t.uncompared(p, report)
	switch {
	case len(yet) > 0:
		t.unseen(s, fmt.Sprintf("%s (then `peerkeeper preflight --now` compares them)", plain.FirstBy(3, yet, "; ")))
	case len(never) > 0:
		t.confirmed(s, nil, "", plain.FirstBy(3, never, "; "))
	default:
		done := true
		t.confirmed(s, &done, "none, in the audit of "+plain.Time(report.AsOf), "")
	}
	return nil
}

func areTwice(report *userset.Report, keys []string) string {
	return fmt.Sprintf("%s twice in them: %s (`peerkeeper audit users` lists who; %s)", plain.Count(len(keys), "user ID or directory URI is", "user IDs and directory URIs are"), plain.First(10, keys), plain.Time(report.AsOf))
}

// repeated are the kinds of problems of which there may be none.
var repeated = []userset.Trouble{userset.DuplicateUserID, userset.DuplicateDirectoryURI}

// twice are the keys that are at home more than once, of which wants says that it matters
// where.
func twice(report *userset.Report, wants func(homes map[mesh.ClusterID]bool) bool) (keys []string) {
	for _, problem := range report.Problems {
		if !slices.Contains(repeated, problem.Kind) {
			continue
		}
		homes := map[mesh.ClusterID]bool{}
		for _, u := range problem.Users {
			homes[u.Cluster] = true
		}
		if wants(homes) {
			keys = append(keys, plain.Value(problem.Key))
		}
	}
	return keys
}

// uncompared is what the audit does not tell of the plan's clusters: yet what the next
// reading tells, and never what stays untold.
func (t *tick) uncompared(p *record.Plan, report *userset.Report) (yet, never []string) {
	for _, id := range p.Clusters {
		at := report.Read[id]
		switch {
		case at == nil:
			yet = append(yet, string(id)+": its users have not been read, which is done within an hour")
			continue
		case t.Now().Sub(*at) > auditStands:
			yet = append(yet, fmt.Sprintf("%s: its users were last read at %s", id, plain.Time(*at)))
			continue
		}
		c, _ := t.Mesh.Cluster(id)
		if r := t.grounds.View.Clusters[id]; r != nil && c != nil {
			if from, to, grew := r.Grew(c, *at); grew {
				yet = append(yet, fmt.Sprintf("%s: %d users were compared at %s, and %d are there now, which are read within an hour", id, from, plain.Time(*at), to))
			}
		}
	}
	for _, gap := range report.Unread {
		concerns := gap.Cluster == "" || slices.Contains(p.Clusters, gap.Cluster)
		if !concerns || !slices.ContainsFunc(repeated, gap.Hides) {
			continue
		}
		what := strings.TrimPrefix(fmt.Sprintf("%s: %s: %s", gap.Cluster, gap.What, gap.Reason), ": ")
		switch {
		case !gap.Passes():
			never = append(never, what)
		case gap.Cluster == "" || report.Read[gap.Cluster] != nil: // else it is told above
			yet = append(yet, what)
		}
	}
	for _, kind := range repeated {
		if n := report.Unnamed(kind); n > 0 {
			never = append(never, fmt.Sprintf("%d more of kind %s are in the mesh than are named", n, kind))
		}
	}
	for _, problem := range report.Problems {
		if slices.Contains(repeated, problem.Kind) && problem.More > 0 {
			never = append(never, fmt.Sprintf("%s is in %d more places than are named", plain.Value(problem.Key), problem.More))
		}
	}
	return yet, never
}
