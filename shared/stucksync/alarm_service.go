package stucksync

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/repair"
)

// askAgain is how often a person is asked once more about a service that may
// have been stopped on purpose: as long as an approval lives.
const askAgain = 4 * time.Hour

// startOf is the start that a finding or alarm on a stopped service asks for.
func (t *tick) startOf(id peer.FindingID) (peer.Proposal, bool) {
	i := slices.IndexFunc(t.asked, func(p peer.Proposal) bool {
		return p.Action == peer.StartService && id == peer.IDOf(peer.ServiceStopped, string(p.Target.Node), p.Target.Service)
	})
	if i < 0 {
		return peer.Proposal{}, false
	}
	return t.asked[i], true
}

// waitsForStart is the step of an alarm on a stopped service that waits for a
// person: it is said again until somebody answers.
func (t *tick) waitsForStart(f peer.Finding) string {
	p, ok := t.startOf(f.ID)
	if !ok || p.Approval == "" || t.View.Mesh.Policy.Mode != mesh.Recover {
		return ""
	}
	return fmt.Sprintf("approval %d", max(0, t.View.Now.Sub(f.Since))/askAgain)
}

// stopped completes the alarm on a stopped service, and says whether it fires:
// what was seen once may be a restart under way; the next look tells.
func (t *tick) stopped(f peer.Finding, one *alarm.Firing) bool {
	one.Step = t.waitsForStart(f)
	return f.Since.Before(t.View.Clusters[one.Cluster].Seen.At)
}

// stoppedNotice puts the alarm on a stopped service into words: why it is thought to
// be stopped, what Peerkeeper does, and how to answer.
func (t *tick) stoppedNotice(f alarm.Firing) (message string, more []string) {
	p, ok := t.startOf(peer.FindingID(f.Subject))
	if !ok {
		return f.Message, nil
	}
	lines := []string{
		"Peerkeeper: " + will(noticeInput{mesh: t.Mesh, proposal: &p, refused: t.refused[p.ID], did: t.did[p.ID]}),
	}
	if p.Stop.MayBeMeant() {
		lines = append(lines, fmt.Sprintf("Next step: is one of the procedures under way for which Cisco has it stopped (%s)? Then `peerkeeper maintenance start %s --reason TEXT --for 6h`, and start it again as the procedure says.%s",
			peer.StopProcedures, p.Target.Cluster, t.otherwise(p)))
	}
	return strings.TrimSuffix(p.Why, ".") + ".", lines
}

// otherwise says what to do if nobody meant it.
func (t *tick) otherwise(p peer.Proposal) string {
	if t.Mesh.Policy.Mode == mesh.Recover && p.Approval != "" {
		return fmt.Sprintf(" Otherwise `peerkeeper approve %s`.", p.ID)
	}
	return fmt.Sprintf(" Otherwise start it: %s.", repair.ByHand(p))
}
