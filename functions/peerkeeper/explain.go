package main

import (
	"context"
	"errors"

	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/peer"
)

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
