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
func (j *tick) startOf(id peer.FindingID) (peer.Proposal, bool) {
	i := slices.IndexFunc(j.asked, func(p peer.Proposal) bool {
		return p.Action == peer.StartService && id == peer.IDOf(peer.ServiceStopped, string(p.Target.Node), p.Target.Service)
	})
	if i < 0 {
		return peer.Proposal{}, false
	}
	return j.asked[i], true
}

// waitsForStart is the step of an alarm on a stopped service that waits for a
// person: it is said again until somebody answers.
func (j *tick) waitsForStart(f peer.Finding) string {
	p, ok := j.startOf(f.ID)
	if !ok || p.Approval == "" || j.View.Mesh.Policy.Mode != mesh.Recover {
		return ""
	}
	return fmt.Sprintf("approval %d", max(0, j.View.Now.Sub(f.Since))/askAgain)
}

// stopped completes the alarm on a stopped service, and says whether it fires:
// what was seen once may be a restart under way; the next look tells.
func (j *tick) stopped(f peer.Finding, one *alarm.Firing) bool {
	one.Step = j.waitsForStart(f)
	return f.Since.Before(j.View.Clusters[one.Cluster].Seen.At)
}

// stoppedNotice puts the alarm on a stopped service into words: why it is thought to
// be stopped, what Peerkeeper does, and how to answer.
func (j *tick) stoppedNotice(f alarm.Firing) (message string, more []string) {
	p, ok := j.startOf(peer.FindingID(f.Subject))
	if !ok {
		return f.Message, nil
	}
	lines := []string{
		"Peerkeeper: " + will(noticeInput{mesh: j.Mesh, proposal: &p, refused: j.refused[p.ID], did: j.did[p.ID]}),
	}
	if p.Stop.MayBeMeant() {
		lines = append(lines, fmt.Sprintf("Next step: is one of the procedures under way for which Cisco has it stopped (%s)? Then `peerkeeper maintenance start %s --reason TEXT --for 6h`, and start it again as the procedure says.%s",
			peer.StopProcedures, p.Target.Cluster, j.otherwise(p)))
	}
	return strings.TrimSuffix(p.Why, ".") + ".", lines
}

// otherwise says what to do if nobody meant it.
func (j *tick) otherwise(p peer.Proposal) string {
	if j.Mesh.Policy.Mode == mesh.Recover && p.Approval != "" {
		return fmt.Sprintf(" Otherwise `peerkeeper approve %s`.", p.ID)
	}
	return fmt.Sprintf(" Otherwise start it: %s.", repair.ByHand(p))
}
