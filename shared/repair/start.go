package repair

import (
	"context"
	"fmt"
	"time"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/record"
)

// startService starts a service that is stopped and must run.
func startService() kind {
	k := kind{
		action:  peer.StartService,
		on:      []string{peer.ICSA, peer.SyncAgent, peer.AXL},
		summary: summarize,
		byHand:  func(p peer.Proposal) string { return procedure.StartService(p.Target.Node, p.Target.Service).Line() },
		guards: []guard{
			{repairs, "commanded", "a person may have stopped the service on purpose, and nobody has approved it", commanded},
		},
		facts: func(p peer.Proposal, s Situation) string {
			if s.ServiceUnknown != "" {
				return s.ServiceUnknown
			}
			return stillProposed(p, s, "what is known")
		},
		needless: func(p peer.Proposal, s Situation) string {
			if s.Service.Status != "Stopped" {
				return fmt.Sprintf("%s is %s", p.Target, s.Service.Status)
			}
			return ""
		},
		// A person who stops services in several clusters knows why.
		mends: peer.ServicesRunning,
		proof: "its status",
		prove: func(in Intent, now peer.Service, at time.Time) (Outcome, string) {
			switch {
			case now.Status == "Started":
				return DoneProven, asRead(in, now)
			case now.Status == "Stopped", overdue(at, in) > proofWindow:
				return NotDone, asRead(in, now)
			}
			return "", asRead(in, now)
		},
	}
	k.open = func(ctx context.Context, r *Repair, p peer.Proposal) (executor, error) {
		return onService(ctx, r, k, p, func(in Intent, now peer.Service) string {
			if now.Code == peer.CodeCommandedOut && in.Before.Code != peer.CodeCommandedOut {
				return "it has been commanded out of service in the meantime"
			}
			return ""
		})
	}
	return k
}

// commanded stops the start of a service that a person may have stopped on
// purpose. The judgement asks a person where it should; the gate makes sure, by
// the reason code that the node tells now.
func commanded(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
	_, byItself := s.Mesh.Policy.StartsCommanded()
	switch {
	case p.Approval != "":
		return nil
	case s.Service.Code == peer.CodeCommandedOut && p.Code != peer.CodeCommandedOut:
		return stop("%s has been commanded out of service since this was decided", p.Target)
	case p.Stop.MayBeMeant() && !byItself:
		return stop("%s may have been stopped on purpose, and policy.startCommanded is approve", p.Target)
	}
	return nil
}
