package repair

import (
	"context"
	"fmt"
	"time"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// activateService activates a feature service, which starts it. No repair does: that
// a service is not activated is what a person chose.
func activateService() kind {
	k := kind{
		action:  peer.ActivateService,
		inPlans: []string{peer.AXL},
		summary: func(p peer.Proposal) string { return "activate " + p.Target.String() },
		byHand:  func(p peer.Proposal) string { return procedure.ActivateService(p.Target.Node, p.Target.Service).Line() },
		needless: func(p peer.Proposal, s Situation) string {
			if s.Service.Code != peer.CodeNotActivated {
				return fmt.Sprintf("%s is activated already (%s)", p.Target, s.Service.Status)
			}
			return ""
		},
		proof: "its status, or a reason that is not -1068",
		prove: func(in Intent, now peer.Service, at time.Time) (Outcome, string) {
			switch {
			case now.Code == peer.CodeNotActivated:
				return NotDone, asRead(in, now)
			case now.Status == "Unknown":
				return "", asRead(in, now)
			}
			return DoneProven, asRead(in, now) // activated; that it runs is another matter
		},
	}
	k.open = func(ctx context.Context, r *Repair, p peer.Proposal) (executor, error) {
		d, err := onService(ctx, r, k, p, func(Intent, peer.Service) string { return "" })
		return activation{d}, err
	}
	return k
}

// activation is a feature service that is to be activated.
type activation struct{ service }

func (d activation) send(ctx context.Context) error {
	return d.Activate(ctx, d.p.Target.Node, d.p.Target.Service)
}
