package repair

import (
	"context"
	"fmt"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// setParameter sets a service parameter, by its internal name: two parameters may
// share the one that people see. No repair does.
func setParameter() kind {
	return kind{
		action:  peer.SetParameter,
		inPlans: []string{peer.ICSA, peer.SIPProxy},
		summary: func(p peer.Proposal) string { return fmt.Sprintf("set %s to %s", p.Target, p.Value) },
		byHand: func(p peer.Proposal) string {
			return procedure.SetParameter(p.Target.Node, p.Target.Service, p.Target.Parameter, p.Value).Line()
		},
		needless: func(p peer.Proposal, s Situation) string {
			if s.Matches == 1 && s.Value == p.Value {
				return fmt.Sprintf("%s is %s already", p.Target, p.Value)
			}
			return ""
		},
		ready: func(p peer.Proposal, s Situation) string {
			if s.Matches != 1 {
				return fmt.Sprintf("%d parameters of %s on %s are named %s: nothing is set unless exactly one is", s.Matches, p.Target.Service, p.Target.Node, p.Target.Parameter)
			}
			return ""
		},
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

func (d parameter) check(ctx context.Context, s *Situation) (_ Before, err error) {
	s.Value, s.Matches, err = d.now(ctx)
	return Before{Value: s.Value}, err
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
