package repair

import (
	"context"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/record"
)

// restartService restarts a service that runs.
func restartService() kind {
	k := kind{
		action:  peer.RestartService,
		on:      []string{peer.ICSA, peer.AXL},
		inPlans: append([]string{peer.ICSA}, signingOut...),
		summary: summarize,
		byHand:  func(p peer.Proposal) string { return procedure.RestartService(p.Target.Node, p.Target.Service).Line() },
		guards: []guard{
			{repairs, "clusterLimit", "the restarts that policy.limits.restartsPerClusterPerHour (1 unless set) allows are used up", func(g *Gate, p peer.Proposal, s Situation) *record.Refusal {
				return stopIf(restarts(g, s.Now, p.Target.Cluster) >= s.Mesh.Policy.Limits.RestartsPerClusterPerHour)
			}},
			{repairs, "meshLimit", "the restarts that policy.limits.restartsPerMeshPerHour (3 unless set) allows are used up", func(g *Gate, p peer.Proposal, s Situation) *record.Refusal {
				return stopIf(restarts(g, s.Now, "") >= s.Mesh.Policy.Limits.RestartsPerMeshPerHour)
			}},
			{repairs, "age", "the service was restarted recently: it is up for less than 2 h, 4 intervals, or 1.5 x the longest full sync", func(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
				return stopIf(s.Service.UpTime < leastUpTime(p.MinAge))
			}},
		},
		facts:    whyNotRestart,
		needless: notStarted,
		ready:    whyNotReady,
		outdated: func(c Consent, p peer.Proposal, s Situation) string {
			// Whether the table remembers it or not: an approval is for the service as
			// the person saw it, whose clock may be ahead.
			began := s.Now.Add(-s.Service.UpTime)
			switch {
			case !c.Started.IsZero() && began.Sub(c.Started).Abs() > skew:
				return fmt.Sprintf("%s approved a restart of %s as it had run since %s, and it has run since %s: approve again", c.Actor, p.Target, plain.Time(c.Started), plain.Time(began))
			case c.Started.IsZero() && !began.Before(c.At.Add(-skew)):
				return fmt.Sprintf("%s was restarted since %s approved, or less than %s before: approve again", p.Target, c.Actor, plain.Duration(skew))
			}
			return ""
		},
		interrupts: true,
		proof:      "a lower up-time",
		prove:      provenByUpTime,
	}
	k.open = func(ctx context.Context, r *Repair, p peer.Proposal) (executor, error) {
		return onService(ctx, r, k, p, func(in Intent, now peer.Service) string {
			switch least := leastUpTime(in.MinAge); {
			case in.Planned.IsZero() && now.UpTime < least:
				return fmt.Sprintf("%s is up for %s only (minimum %s): it was restarted recently", p.Target, plain.Duration(now.UpTime), plain.Duration(least))
			case now.UpTime < in.Before.UpTime:
				return fmt.Sprintf("it has been restarted in the meantime (up-time %s)", plain.Duration(now.UpTime))
			}
			return ""
		})
	}
	return k
}

// upTimeJitter is how far the start that one reading of an up-time tells may lie from
// that of another.
const upTimeJitter = 2 * time.Minute

// leastUpTime is the up-time below which a service is not restarted. An up-time
// that is not told is negative, and so below it.
func leastUpTime(proposed time.Duration) time.Duration { return max(proposed, leastAge) }

// signingOut are the services whose restart signs people out. They are restarted in
// one go and never stopped and started: a Stop of XCP Router leaves down what
// depends on it (Deployment Guide 9.1).
var signingOut = []string{peer.XCPRouter, peer.SIPProxy, peer.SRM}

func signsOut(p peer.Proposal) bool { return slices.Contains(signingOut, p.Target.Service) }

// whyNotReady says why a planned restart must wait for what the cluster told of
// itself just now.
func whyNotReady(p peer.Proposal, s Situation) string {
	if s.Service.UpTime < 0 {
		return fmt.Sprintf("the up-time of %s is not told, so a restart of it could not be verified", p.Target)
	}
	if !signsOut(p) {
		return ""
	}
	if c, ok := s.Mesh.Cluster(p.Target.Cluster); ok {
		for _, n := range c.Nodes {
			if _, read := s.Readiness.Nodes[n.Name]; !read {
				return fmt.Sprintf("nothing was read of %s", n.Name)
			}
		}
	}
	return s.Readiness.WhyNotRestart(p.Target.Node)
}

func notStarted(p peer.Proposal, s Situation) string {
	if s.Service.Status != "Started" {
		return fmt.Sprintf("%s is %s, so a restart of it could not be verified", p.Target, s.Service.Status)
	}
	return ""
}

// whyNotRestart says why a service is not restarted on what is known. For a stuck
// sync, ICSA is restarted only if nothing else explains it: every cause is known
// and good, and the users are known to differ.
func whyNotRestart(p peer.Proposal, s Situation) string {
	switch {
	case s.ServiceUnknown != "":
		return s.ServiceUnknown
	case p.Reload:
		return stillProposed(p, s, "what is known of the certificates")
	case p.Target.Service != peer.ICSA:
		return ""
	}
	for _, id := range p.Peers {
		if c := peer.ConditionOf(s.Peers[id].Conditions, peer.Synced); c.Status != peer.False {
			return fmt.Sprintf("%s: Synced is %s (%s)", id, c.Status, c.Reason)
		} else if c.Reason == peer.NoSuccessLogged {
			return fmt.Sprintf("%s: that no success is logged is no ground for a restart", id)
		}
		users := peer.ConditionOf(s.Peers[id].Conditions, peer.UsersMatch)
		if users.Status == peer.UnknownStatus && users.Reason != peer.NotYetDecided || users.Status == peer.True && users.Reason != peer.CatchingUp {
			return fmt.Sprintf("%s: UsersMatch is %s (%s)", id, users.Status, users.Reason)
		}
		for _, t := range peer.Causes() {
			c := peer.ConditionOf(s.Peers[id].Conditions, t)
			if c.Status == peer.False || c.Status == peer.UnknownStatus && peer.Counted(c, s.Peers[id].Sync) {
				return fmt.Sprintf("%s: %s is %s (%s)", id, t, c.Status, c.Reason)
			}
		}
	}
	return ""
}

// provenByUpTime tells from a service what became of a restart of it.
func provenByUpTime(in Intent, now peer.Service, at time.Time) (Outcome, string) {
	state := asRead(in, now)
	switch {
	case now.Status != "Started" && overdue(at, in) > proofWindow:
		// It may be our own restart that took it down, and it may not.
		return Unproven, state
	case now.Status != "Started" || now.UpTime < 0:
		return "", state
	case now.UpTime < in.Before.UpTime:
		return DoneProven, state
	case now.UpTime >= in.Before.UpTime+at.Sub(in.Written)-upTimeJitter:
		return NotDone, state // it has run ever since
	}
	// Read back so late that it has run for longer than before: it was
	// restarted since, by us or by somebody else.
	return Unproven, state + ", restarted since, by Peerkeeper or by somebody else"
}
