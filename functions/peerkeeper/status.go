package main

import (
	"context"
	"errors"

	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/peer"
)

type statusVerb struct{ kept }

// Help is what peerkeeper status --help teaches.
func (statusVerb) Help() string {
	return `Shows what the functions have recorded: every directed peer with its state, every cluster's findings, the alarms that stand, and when each function last ran.
It never contacts a cluster and changes nothing; it works while run runs. Exit 1 if a peer is not Healthy or a finding is critical or a warning.

Examples:

  peerkeeper status
  peerkeeper status --json | jq '.peers[] | select(.state != "Healthy") | .id'
  peerkeeper status >/dev/null || echo "look at the mesh"`
}

// Run shows a mesh.
func (s *statusVerb) Run(ctx context.Context, t *terminal) error {
	st, err := statusOf(ctx, s.kept)
	if err != nil {
		return err
	}
	if t.json {
		err = t.answer(st)
	} else {
		err = dashboard.WriteStatus(t.stdout, st, t.color)
	}
	return errors.Join(err, verdict(st))
}

func statusOf(ctx context.Context, k kept) (dashboard.Status, error) {
	w, err := k.known(ctx)
	if err != nil {
		return dashboard.Status{}, err
	}
	return w.source().Status(ctx, w.clock.Now())
}

// verdict is the exit code's reason.
func verdict(st dashboard.Status) error {
	if !st.Healthy() || grave(st.Findings) {
		return problem{}
	}
	for _, c := range st.Clusters {
		if grave(c.Findings) {
			return problem{}
		}
	}
	return nil
}

// grave reports whether a finding wants somebody.
func grave(all []peer.Finding) bool {
	for _, f := range all {
		if f.Severity != peer.Info {
			return true
		}
	}
	return false
}
