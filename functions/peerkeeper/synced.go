package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

type syncedVerb struct {
	Since string `required:"" help:"An instant (RFC 3339, such as 2026-03-02T08:00:00Z), or how long before now, such as 2h." placeholder:"T"`
	Home  name   `help:"Only the peers that pull from this cluster." placeholder:"CLUSTER"`
	kept
}

// Help is what peerkeeper synced --help teaches.
func (syncedVerb) Help() string {
	return `Tells of every directed peer whether a sync succeeded since an instant: after users were moved, before the next step of a migration. "unknown" is where nothing that was read tells, which includes a log without a line: ICSA may log none.
It never contacts a cluster: peersync reads, every five minutes. Exit 1 unless every answer is yes.

Examples:

  peerkeeper synced --since 2h
  peerkeeper synced --since 2026-03-02T08:00:00+01:00 --home emea
  peerkeeper synced --since 30m --json     # {since, peers: [{id, last, synced, basis}]}`
}

// Run tells which peers have synced.
func (s *syncedVerb) Run(ctx context.Context, t *terminal) error {
	w, err := s.known(ctx)
	if err != nil {
		return err
	}
	now := w.clock.Now()
	since, err := instantOf(s.Since, now)
	if err != nil {
		return err
	}
	if s.Home != "" {
		if _, err := w.cluster(string(s.Home)); err != nil {
			return err
		}
	}
	r, err := w.source().Synced(ctx, since, mesh.ClusterID(s.Home), now)
	if err != nil {
		return err
	}
	if t.json {
		err = t.answer(r)
	} else {
		err = showSynced(t, r)
	}
	if err == nil && !r.All() {
		return problem{}
	}
	return err
}

// instantOf reads an instant, or how long before now.
func instantOf(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		if d <= 0 {
			return time.Time{}, usagef("%s is no time before now: give how long ago, such as 2h", plain.Value(text))
		}
		return now.Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usagef("%s is neither an instant (2026-03-02T08:00:00Z) nor how long ago (2h)", plain.Value(text))
	}
	if at.After(now) {
		return time.Time{}, usagef("%s lies ahead: it is %s now", plain.Value(text), now.UTC().Format(time.RFC3339))
	}
	return at, nil
}

func showSynced(t *terminal, r dashboard.SyncedSince) error {
	table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	for _, p := range r.Peers {
		last := "no success known"
		if p.Last != nil {
			last = p.Last.UTC().Format("2006-01-02 15:04:05 MST")
		}
		if p.Basis != "" && p.Basis != peer.Measured {
			last += " (" + string(p.Basis) + ")"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", p.ID, p.Synced, last)
	}
	return table.Flush()
}
