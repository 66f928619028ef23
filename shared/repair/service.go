package repair

import (
	"context"
	"fmt"
	"time"

	"peerkeeper/shared/peer"
)

// service starts or restarts a service.
type service struct {
	ServiceController
	r      *Repair
	action peer.Action
	target peer.Target
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
	p := peer.Proposal{Action: d.action, Target: d.target, MinAge: in.MinAge}
	if why := needless(p, Situation{Service: now}); why != "" {
		return why
	}
	if d.action != peer.RestartService {
		if now.Code == peer.CodeCommandedOut && in.Before.Code != peer.CodeCommandedOut {
			return "it has been commanded out of service in the meantime"
		}
		return ""
	}
	if why := tooYoung(p, now); why != "" {
		return why
	}
	if now.UpTime < in.Before.UpTime {
		return fmt.Sprintf("it has been restarted in the meantime (up-time %v)", now.UpTime)
	}
	return ""
}

func (d service) send(ctx context.Context) error {
	return d.Control(ctx, d.target.Node, d.action, d.target.Service)
}

func (d service) readBack(ctx context.Context, in Intent) (Outcome, string) {
	now, err := d.now(ctx)
	if err != nil {
		return "", "not read back: " + err.Error()
	}
	return d.r.prove(in, now)
}

// prove judges what a read-back showed of a service.
func (r *Repair) prove(in Intent, now peer.Service) (Outcome, string) {
	state := fmt.Sprintf("%s, up-time %v (before: %s, %v)", now.Status, now.UpTime, in.Before.Status, in.Before.UpTime)
	late := overdue(r.Now(), in) > proofWindow
	if in.Action == peer.StartService {
		switch {
		case now.Status == "Started":
			return DoneProven, state
		case now.Status == "Stopped", late:
			return NotDone, state
		}
		return "", state
	}
	switch {
	case now.Status != "Started" && late:
		// It may be our own restart that took it down, and it may not.
		return Unproven, state
	case now.Status != "Started" || now.UpTime < 0:
		return "", state
	case now.UpTime < in.Before.UpTime:
		return DoneProven, state
	case now.UpTime >= in.Before.UpTime+r.Now().Sub(in.Written)-2*time.Minute:
		return NotDone, state // it has run ever since
	}
	// Read back so late that it has run for longer than before: it was
	// restarted since, by us or by somebody else.
	return Unproven, state + ", restarted since, by Peerkeeper or by somebody else"
}
