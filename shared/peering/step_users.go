package peering

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/userset"
)

// syncAgent sees that a cluster's users have come from Unified CM.
func (t *tick) syncAgent(ctx context.Context, _ *record.Plan, s *change.Step) error {
	read, err := t.entries(ctx, s.Cluster)
	says, known := read.SyncAgent.Get()
	switch {
	case err != nil:
		t.confirmed(s, nil, "", plain.Line(err.Error(), 200))
	case !known:
		t.confirmed(s, nil, "", plain.Line(read.SyncAgent.Detail, 200))
	default:
		done := strings.HasPrefix(says, "Completed")
		t.confirmed(s, &done, "its user sync reads "+plain.Value(says), "")
	}
	return nil
}

// auditStands is how long ago the users may have been read: it is done once a day, one
// cluster at a time.
const auditStands = 48 * time.Hour

// duplicates sees that no user is at home twice in what the plan brings together.
func (t *tick) duplicates(_ context.Context, p *record.Plan, s *change.Step) error {
	now := t.Now()
	report, err := t.grounds.Snapshot.UserReport()
	if err != nil || report == nil {
		t.confirmed(s, nil, "", "the users have not been audited yet: `peerkeeper preflight --now`")
		return nil
	}
	var twice []string
	for _, problem := range report.Problems {
		if problem.Kind != userset.DuplicateUserID && problem.Kind != userset.DuplicateDirectoryURI {
			continue
		}
		homes := map[mesh.ClusterID]bool{}
		for _, u := range problem.Users {
			if slices.Contains(p.Clusters, u.Cluster) {
				homes[u.Cluster] = true
			}
		}
		if len(homes) > 1 && (p.Kind != change.Join || homes[s.Cluster]) {
			twice = append(twice, plain.Value(problem.Key))
		}
	}
	var unread []string
	for _, id := range p.Clusters {
		if at := report.Read[id]; at == nil || now.Sub(*at) > auditStands {
			unread = append(unread, string(id)+": not read lately")
		}
	}
	for _, gap := range report.Unread {
		concerns := gap.Cluster == "" || slices.Contains(p.Clusters, gap.Cluster)
		if concerns && (gap.Hides(userset.DuplicateUserID) || gap.Hides(userset.DuplicateDirectoryURI)) {
			unread = append(unread, fmt.Sprintf("%s: %s: %s", gap.Cluster, gap.What, gap.Reason))
		}
	}
	switch {
	case len(twice) > 0:
		done := false
		t.confirmed(s, &done, fmt.Sprintf("%s twice in them: %s (`peerkeeper audit users` lists who; %s)", plain.Count(len(twice), "user ID or directory URI is", "user IDs and directory URIs are"), plain.First(10, twice), plain.Time(report.AsOf)), "")
	case len(unread) > 0:
		t.confirmed(s, nil, "", fmt.Sprintf("not all users were read (%s); `peerkeeper preflight --now` compares them again", plain.FirstBy(3, unread, "; ")))
	default:
		done := true
		t.confirmed(s, &done, "none, in the audit of "+plain.Time(report.AsOf), "")
	}
	return nil
}
