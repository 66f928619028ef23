package main

import (
	"context"
	"strings"
	"time"

	"peerkeeper/shared/operator"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
)

type pauseVerb struct{ stop }

// Help is what peerkeeper pause --help teaches.
func (pauseVerb) Help() string {
	return `Keeps Peerkeeper from acting on what you name, until resumed or for a time. Judging and alarms go on. It is recorded with your name.
Actions in progress are not cancelled; it says which they are.

Examples:

  peerkeeper pause mesh --reason "network change" --for 4h
  peerkeeper pause emea:apac --pair --reason "TAC case open"`
}

// Run pauses.
func (p *pauseVerb) Run(ctx context.Context, t *terminal) error {
	return p.run(ctx, t, "Nothing is done to %s any more.", (*operator.Operator).Pause)
}

// stop is what pause and maintenance start take: from now on Peerkeeper does not
// act on what is named.
type stop struct {
	Scope  name   `arg:"" help:"mesh, a cluster (emea), a peer (emea:apac) or a pair (emea:apac --pair)." placeholder:"SCOPE"`
	Reason reason `help:"Why, for the record." required:"" placeholder:"TEXT"`
	For    span   `help:"For how long, such as 2h or 7d; otherwise until it is ended." placeholder:"TIME"`
	Pair   bool   `help:"Both directions of the peer."`
	kept
}

// scope reads what a person named.
func (w *watched) scope(name string, pair bool) (record.Scope, error) {
	sep := ">"
	if pair {
		sep = "<>"
	}
	scope, err := record.ParseScope(strings.Replace(name, ":", sep, 1), w.Mesh)
	if err != nil {
		return "", usage{err}
	}
	return scope, nil
}

// run begins it, and names the actions that are under way all the same. say has
// the scope in it.
func (s *stop) run(ctx context.Context, t *terminal, say string, begin func(*operator.Operator, context.Context, record.Scope, string, time.Duration) ([]repair.Intent, error)) error {
	w, o, err := s.decides(ctx)
	if err != nil {
		return err
	}
	scope, err := w.scope(string(s.Scope), s.Pair)
	if err != nil {
		return err
	}
	under, err := begin(o, ctx, scope, string(s.Reason), time.Duration(s.For))
	if err != nil {
		return err
	}
	if t.json {
		return t.answer(map[string]any{"scope": scope, "actor": o.Actor, "underWay": append([]repair.Intent{}, under...)})
	}
	t.sayf(say+" Recorded as decided by %s.", scope, o.Actor)
	for _, in := range under {
		t.sayf("Under way all the same, meant at %s: %s %s.", in.Written.UTC().Format(time.RFC3339), in.Action, in.Target)
	}
	return nil
}
