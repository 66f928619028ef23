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
	r      *Repair
	kind   kind
	target peer.Target
	again  func(in Intent, now peer.Service) string // why it must not be sent after all
}

// onService reaches a service with the write account.
func onService(ctx context.Context, r *Repair, k kind, t peer.Target, again func(Intent, peer.Service) string) (executor, error) {
	controller, err := r.Open(ctx, t.Cluster)
	if err != nil {
		return nil, err
	}
	return service{controller, r, k, t, again}, nil
}

func (d service) now(ctx context.Context) (peer.Service, error) {
	return d.Service(ctx, d.target.Node, d.target.Service)
}

func (d service) check(ctx context.Context, s *Situation) (Before, error) {
	now, err := d.now(ctx)
	if err != nil {
		return Before{}, err
	}
	s.Service = now
	return Before{Status: now.Status, Code: now.Code, UpTime: now.UpTime}, nil
}

func (d service) recheck(ctx context.Context, in Intent) string {
	now, err := d.now(ctx)
	if err != nil {
		return "the target could not be read again: " + err.Error()
	}
	if why := d.kind.needless(peer.Proposal{Target: d.target}, Situation{Service: now}); why != "" {
		return why
	}
	return d.again(in, now)
}

func (d service) send(ctx context.Context) error {
	return d.Control(ctx, d.target.Node, d.kind.action, d.target.Service)
}

func (d service) readBack(ctx context.Context, in Intent) (Outcome, string) {
	now, err := d.now(ctx)
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
