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

type matrixVerb struct{ kept }

// Help is what peerkeeper matrix --help teaches.
func (matrixVerb) Help() string {
	return `Shows every directed peer in one square: the row pulls users from the column. Thirty clusters fit 120 columns.
It never contacts a cluster and changes nothing. Exit 1 as status does.

Examples:

  peerkeeper matrix
  peerkeeper matrix --json     # {clusters, cells: [[state or null]]}`
}

// Run shows the matrix.
func (m *matrixVerb) Run(ctx context.Context, t *terminal) error {
	st, err := statusOf(ctx, m.kept)
	if err != nil {
		return err
	}
	if t.json {
		err = t.answer(st.Matrix())
	} else {
		err = dashboard.WriteMatrix(t.stdout, st, t.color)
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
	if !st.Healthy() {
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
		if f.Severity != "info" {
			return true
		}
	}
	return false
}

type explainVerb struct {
	Peer name `arg:"" help:"Which direction: 'emea>apac' pulls apac's users to emea. Quote it, or write emea:apac." placeholder:"PEER"`
	kept
}

// Help is what peerkeeper explain --help teaches.
func (explainVerb) Help() string {
	return `Explains one direction of one peer: each condition with its reason and whether it was measured, inferred or declared, both of Cisco's clocks, what changed in the last 24 hours, the other direction, and what to do next with the menus to do it in.
It never contacts a cluster and does none of what it proposes. Exit 1 if the peer is not Healthy.

Examples:

  peerkeeper explain 'emea>apac'
  peerkeeper explain emea:apac --json | jq .next`
}

// Run explains a peer.
func (e *explainVerb) Run(ctx context.Context, t *terminal) error {
	w, err := e.known(ctx)
	if err != nil {
		return err
	}
	id, err := w.peer(string(e.Peer))
	if err != nil {
		return err
	}
	ex, err := w.source().Explain(ctx, id, w.clock.Now())
	if errors.Is(err, dashboard.ErrNoSuchPeer) {
		return w.noSuchPeer(id)
	}
	if err != nil {
		return err
	}
	if t.json {
		err = t.answer(ex)
	} else {
		err = dashboard.WriteExplain(t.stdout, ex, t.color)
	}
	if err == nil && ex.State != peer.Healthy {
		return problem{}
	}
	return err
}
