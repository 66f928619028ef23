package dashboard

import (
	"fmt"
	"slices"
	"strings"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/remedy"
)

// next lists the steps for one peer: first what explains a failing sync, in
// the order in which causes are named, then the sync and its data, and what is
// unknown only where nothing is False. A healthy peer has none. While a repair
// is under way there is nothing to do but what the repair waits for.
func next(m *mesh.Mesh, p Peer, counted func(peer.Condition) bool) []procedure.Step {
	switch p.State {
	case peer.Healthy, peer.Terminated:
		return nil
	case peer.Recovering, peer.Cooling:
		if p.Ladder != nil {
			return await(m, p.ID, *p.Ladder)
		}
	}
	by := make(map[peer.Type]peer.Condition, len(p.Conditions))
	for _, c := range p.Conditions {
		by[c.Type] = c
	}
	var why []peer.Condition
	failing := false
	for _, t := range peer.Causes() {
		if c := by[t]; c.Status == peer.False {
			why, failing = append(why, c), true
		}
	}
	if !failing {
		for _, t := range []peer.Type{peer.Synced, peer.UsersMatch} {
			if c := by[t]; c.Status == peer.False || c.Reason == peer.Overdue || c.Reason == peer.NotYetDecided {
				why = append(why, c)
			}
		}
	}
	if len(why) == 0 {
		for _, c := range p.Conditions {
			if c.Status == peer.UnknownStatus && counted(c) {
				why = append(why, c)
			}
		}
	}
	out := decide(m, p.Asked)
	for _, c := range why {
		for _, s := range remedy.For(m, p.ID, c) {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	missing := by[peer.CertificateTrusted].Reason // for which the agent is restarted, once the certificate is there
	if failing && missing != peer.NotInTrustStore && missing != peer.StaleCopyInTrustStore && (by[peer.Synced].Status == peer.False || by[peer.UsersMatch].Status == peer.False) {
		out = append(out, procedure.Step{Do: "Do not restart Cisco Intercluster Sync Agent for this: the sync fails for the cause above and ICSA retries every 5 min by itself."})
	}
	return out
}

// decide says which of the actions asked for wait for a person, and how that
// person consents.
func decide(m *mesh.Mesh, asked []Asked) []procedure.Step {
	var out []procedure.Step
	for _, a := range asked {
		if a.Approval == "" || m.Policy.Mode != mesh.Recover {
			continue
		}
		do := fmt.Sprintf("`peerkeeper approve %s` lets Peerkeeper %s. It waits for you because %s. It interrupts %s.", a.ID, a.Action, a.Approval, a.Interrupts)
		if len(a.Collect) > 0 {
			do += fmt.Sprintf(" Collect first: %s.", plain.FirstBy(plain.Listed, a.Collect, "; "))
		}
		out = append(out, procedure.Step{Menu: procedure.CommandLine, Do: do})
	}
	return out
}

// await says what a repair that is under way waits for.
func await(m *mesh.Mesh, id mesh.PeerID, l peer.Ladder) []procedure.Step {
	names := procedure.Names(m, id)
	check := procedure.CheckPeer("{fromPub}", "{toPub}").Fill(names)
	what := strings.TrimSuffix(l.Evidence, ".")
	switch {
	case l.Rung == peer.RungForce:
		return []procedure.Step{procedure.ForceManualSync("{fromPub}", "{toPub}").Fill(names), check}
	case !l.ProveBy.IsZero():
		return []procedure.Step{{Do: fmt.Sprintf("Wait until %s: %s. Restart nothing meanwhile; it would start that wait again.", stamp(l.ProveBy), what)}, check}
	case !l.Until.IsZero():
		return []procedure.Step{{Do: fmt.Sprintf("Wait until %s: %s.", stamp(l.Until), what)}}
	}
	return []procedure.Step{{Do: fmt.Sprintf("Wait: %s.", what)}, check}
}

// rungWords says what a rung of the ladder is.
func rungWords(r peer.Rung) string {
	switch r {
	case peer.RungCisco:
		return "ICSA's own recovery"
	case peer.RungForce:
		return "a force sync by hand"
	case peer.RungRestart:
		return "a restart of ICSA"
	case peer.RungWithheld:
		return "no restart, the data are equal"
	case peer.RungHuman:
		return "a person"
	}
	return string(r)
}
