package repair

import (
	"context"
	"fmt"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// setParameter sets a service parameter. No repair does.
func setParameter() kind {
	return kind{
		action:  peer.SetParameter,
		summary: func(p peer.Proposal) string { return fmt.Sprintf("set %s to %s", p.Target, p.Value) },
		byHand: func(p peer.Proposal) string {
			return procedure.SetParameter(p.Target.Node, p.Target.Service, p.Target.Parameter, p.Value).Line()
		},
		facts: func(_ peer.Proposal, s Situation) string { return s.ServiceUnknown },
		proof: "its value",
		open: func(ctx context.Context, r *Repair, p peer.Proposal) (executor, error) {
			controller, err := r.Open(ctx, p.Target.Cluster)
			if err != nil {
				return nil, err
			}
			return parameter{controller, p.Target, p.Value}, nil
		},
	}
}

// parameter is a service parameter on a node.
type parameter struct {
	ServiceController
	target peer.Target
	value  string
}

func (d parameter) now(ctx context.Context) (string, int, error) {
	return d.Parameter(ctx, d.target.Node, d.target.Service, d.target.Parameter)
}

func (d parameter) check(ctx context.Context, _ *Situation) (Before, error) {
	value, matches, err := d.now(ctx)
	switch {
	case err != nil:
		return Before{}, err
	case matches != 1:
		return Before{}, fmt.Errorf("%d parameters match: nothing is set unless exactly one does", matches)
	}
	return Before{Value: value}, nil
}

func (d parameter) recheck(ctx context.Context, in Intent) string {
	value, matches, err := d.now(ctx)
	switch {
	case err != nil:
		return "the target could not be read again: " + err.Error()
	case matches != 1 || value != in.Before.Value:
		return fmt.Sprintf("it now reads %q (%d parameters match)", value, matches)
	}
	return ""
}

func (d parameter) send(ctx context.Context) error {
	return d.SetParameter(ctx, d.target.Node, d.target.Service, d.target.Parameter, d.value)
}

func (d parameter) readBack(ctx context.Context, in Intent) (Outcome, string) {
	value, matches, err := d.now(ctx)
	switch {
	case err != nil:
		return "", "not read back: " + err.Error()
	case matches != 1:
		return "", fmt.Sprintf("not read back: %d parameters match", matches)
	case value == in.Value:
		return DoneProven, fmt.Sprintf("it reads %q", value)
	}
	return NotDone, fmt.Sprintf("it reads %q, not %q", value, in.Value)
}
