package repair

import (
	"context"
	"fmt"
	"slices"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// service is a service on a node, which is started or restarted.
type service struct {
	ServiceController
	r     *Repair
	kind  kind
	p     peer.Proposal
	again func(in Intent, now peer.Service) string // why it must not be sent after all
}

// onService reaches a service with the write account.
func onService(ctx context.Context, r *Repair, k kind, p peer.Proposal, again func(Intent, peer.Service) string) (service, error) {
	controller, err := r.Open(ctx, p.Target.Cluster)
	return service{controller, r, k, p, again}, err
}

// read brings a situation the service as it is now, and what a planned restart that
// signs people out is judged by besides.
func (d service) read(ctx context.Context, s *Situation) (err error) {
	if s.Service, err = d.Service(ctx, d.p.Target.Node, d.p.Target.Service); err != nil {
		return err
	}
	if d.p.Planned.IsZero() || !signsOut(d.p) {
		return nil
	}
	if s.Readiness, err = d.Readiness(ctx); err != nil {
		return fmt.Errorf("whether %s can be restarted: %w", d.p.Target, err)
	}
	return nil
}

func (d service) check(ctx context.Context, s *Situation) (Before, error) {
	if err := d.read(ctx, s); err != nil {
		return Before{}, err
	}
	return Before{Status: s.Service.Status, Code: s.Service.Code, UpTime: s.Service.UpTime}, nil
}

func (d service) recheck(ctx context.Context, in Intent) string {
	s := Situation{Mesh: d.r.Mesh}
	if err := d.read(ctx, &s); err != nil {
		return "the target could not be read again: " + err.Error()
	}
	if why := d.kind.needless(d.p, s); why != "" {
		return why
	}
	if !d.p.Planned.IsZero() && d.kind.ready != nil {
		if why := d.kind.ready(d.p, s); why != "" {
			return why
		}
	}
	return d.again(in, s.Service)
}

func (d service) send(ctx context.Context) error {
	return d.Control(ctx, d.p.Target.Node, d.kind.action, d.p.Target.Service)
}

func (d service) readBack(ctx context.Context, in Intent) (Outcome, string) {
	now, err := d.Service(ctx, d.p.Target.Node, d.p.Target.Service)
	if err != nil {
		return "", "not read back: " + err.Error()
	}
	return d.kind.prove(in, now, d.r.Now())
}

// asRead puts a service into words, as it is and as it was when the intent was
// written.
func asRead(in Intent, now peer.Service) string {
	return fmt.Sprintf("%s, up-time %s (before: %s, %s)", now.Status, plain.Duration(now.UpTime), in.Before.Status, plain.Duration(in.Before.UpTime))
}

// stillProposed says why an action is not what is known now leads to, or leads
// to only once a person has agreed.
func stillProposed(p peer.Proposal, s Situation, known string) string {
	switch i := slices.IndexFunc(s.Proposed, func(o peer.Proposal) bool { return o.ID == p.ID }); {
	case i < 0:
		return known + " now does not ask for it"
	case s.Proposed[i].Approval != "" && p.Approval == "":
		return known + " now asks for a person first: " + s.Proposed[i].Approval
	}
	return ""
}
