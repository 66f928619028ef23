package stucksync

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/record"
	"peerkeeper/shared/remedy"
	"peerkeeper/shared/repair"
)

// noticeInput is everything that a notice on a directed peer is composed from.
type noticeInput struct {
	mesh      *mesh.Mesh
	kind      alarm.Kind
	peer      mesh.PeerID
	condition peer.Condition
	reverse   peer.State // of the other direction
	also      []mesh.PeerID
	ladder    *peer.Ladder
	proposal  *peer.Proposal   // of this peer, if something is asked for
	refused   []record.Refusal // at this look
	did       bool             // it was carried out at this look
}

// compose writes a notice: what users feel, since when in each cluster's own
// time, which direction works, the cause and how it is known; then what
// Peerkeeper will do and what that costs; then what a person does. The first
// line stands alone where there is room for one only. Package alarm joins the
// lines, so none of them may count on a line break within.
func compose(t noticeInput) []string {
	lines := []string{
		fmt.Sprintf("%s since %s; %s. Cause: %s (%s).", procedure.Names(t.mesh, t.peer).Replace(t.kind.Effect), t.local(t.condition.Since, t.peer.From, t.peer.To), other(t), strings.TrimSuffix(t.condition.Message, "."), t.condition.Basis),
	}
	if len(t.also) > 0 {
		lines = append(lines, fmt.Sprintf("The same cause, and no notice of its own: %s.", plain.List(mesh.PeerNames(t.also))))
	}
	lines = append(lines, "Peerkeeper: "+will(t))
	if t.proposal != nil && len(t.proposal.Collect) > 0 && !t.did {
		lines = append(lines, "Collect before: "+plain.FirstBy(plain.Listed, t.proposal.Collect, "; ")+".")
	}
	return append(lines, "Next step: "+step(t))
}

// local is an instant on the wall clocks of clusters.
func (t noticeInput) local(at time.Time, clusters ...mesh.ClusterID) string {
	if at.IsZero() {
		return plain.Time(at)
	}
	var out []string
	for _, id := range clusters {
		zone := time.UTC
		if c, ok := t.mesh.Cluster(id); ok {
			if at, err := time.LoadLocation(c.TimeZone); err == nil {
				zone = at
			}
		}
		out = append(out, fmt.Sprintf("%s (%s)", at.In(zone).Format("Mon 2 Jan 15:04 MST"), id))
	}
	return strings.Join(out, ", ")
}

// other says how the other direction does.
func other(t noticeInput) string {
	back := t.peer.Reverse()
	switch t.reverse {
	case peer.Healthy:
		return fmt.Sprintf("the other direction, %s, works", back)
	case peer.StateUnknown, "":
		return fmt.Sprintf("how the other direction, %s, does is not known", back)
	case peer.Terminated:
		return fmt.Sprintf("there is no direction %s", back)
	}
	return fmt.Sprintf("the other direction, %s, is %s", back, t.reverse)
}

// will is what Peerkeeper does about it, and when, and what that interrupts.
func will(t noticeInput) string {
	l, p := t.ladder, t.proposal
	switch {
	case t.mesh.Policy.Mode != mesh.Recover && p != nil:
		return fmt.Sprintf("nothing by itself, policy.mode is observe. In mode recover it would %s (impact: %s).", repair.Summary(*p), p.Interrupts)
	case t.mesh.Policy.Mode != mesh.Recover:
		return "nothing by itself, policy.mode is observe."
	case t.did:
		return fmt.Sprintf("has just asked the node to %s (impact: %s); the next run reads back what came of it.", repair.Summary(*p), p.Interrupts)
	case p != nil && p.Approval != "":
		return fmt.Sprintf("waits for approval: %s. `peerkeeper approve %s` lets it %s once (impact: %s).", p.Approval, p.ID, repair.Summary(*p), p.Interrupts)
	case p != nil && l != nil && !l.Until.IsZero():
		return fmt.Sprintf("will %s after %s unless paused (`peerkeeper pause %s`); impact: %s. Why then: %s.", repair.Summary(*p), t.local(l.Until, t.peer.From), p.Target.Cluster, p.Interrupts, l.Evidence)
	case p != nil && blockers(t.refused) != "":
		return fmt.Sprintf("would %s and does not: %s.", repair.Summary(*p), blockers(t.refused))
	case p != nil:
		return fmt.Sprintf("will %s at its next run, in 5 min, unless paused (`peerkeeper pause %s`); impact: %s.", repair.Summary(*p), p.Target.Cluster, p.Interrupts)
	case l != nil:
		return l.Evidence + "."
	}
	return "restarts nothing for it; ICSA itself tries again every 5 min."
}

// blockers names what stops an action, leaving out that it has only now been told of.
func blockers(refused []record.Refusal) string {
	var out []string
	for _, r := range refused {
		if r.Guard != repair.GuardAnnounced {
			out = append(out, repair.Explain(r))
		}
	}
	return strings.Join(out, "; ")
}

// step is the exact next step for a person: the alarm's, and what a repair that
// is under way makes of it.
func step(t noticeInput) string {
	names := procedure.Names(t.mesh, t.peer)
	do := t.kind.Next.Fill(names).Line()
	if do == "" {
		do = names.Replace("`peerkeeper explain {id}`")
		why := t.condition
		why.Message = "" // the notice's first line has it
		if steps := remedy.For(t.mesh, t.peer, why); len(steps) > 0 {
			do = fmt.Sprintf("%s; %s says what else there is to do", steps[0].Line(), do)
		}
	}
	switch {
	case t.ladder == nil:
	case t.ladder.Rung == peer.RungHuman:
		return fmt.Sprintf("%s; if that does not help, open a TAC case with `peerkeeper evidence %s`.", do, t.peer)
	case t.proposal != nil && t.proposal.Approval != "" && t.mesh.Policy.Mode == mesh.Recover:
		return fmt.Sprintf("%s, or `peerkeeper approve %s`.", do, t.proposal.ID)
	case t.mesh.Policy.Mode == mesh.Recover && t.ladder.Rung != peer.RungForce:
		return fmt.Sprintf("none needed yet; `peerkeeper explain %s` shows how far the repair is.", t.peer)
	}
	return do + "."
}

// group suppresses all but one of the peer alarms of one name and one root cause:
// twenty-nine peers of a stuck ICSA, or of a cluster with a bad certificate, are
// one notice, which names the others. also are those others, by the place of
// the one that speaks.
func group(firing []alarm.Firing, rootOf func(mesh.PeerID) (peer.Root, bool)) (out []alarm.Firing, also map[int][]mesh.PeerID) {
	type key struct {
		name string
		root peer.Root
	}
	first, also := map[key]int{}, map[int][]mesh.PeerID{}
	out = slices.Clone(firing)
	for pass := range 2 {
		for i, f := range out {
			if f.Peer.IsZero() || f.Suppressed {
				continue
			}
			root, ok := rootOf(f.Peer)
			if !ok {
				continue
			}
			k := key{f.Name, root}
			at, led := first[k]
			switch {
			case pass == 0 && (!led || f.Since.Before(out[at].Since)):
				first[k] = i
			case pass == 1 && at != i:
				out[i].Suppressed = true
				also[at] = append(also[at], f.Peer)
			}
		}
	}
	return out, also
}

// texts groups the peer alarms and puts them into words. Alarms of clusters
// keep the words of their finding.
func (t *tick) texts(firing []alarm.Firing) []alarm.Firing {
	out, also := group(firing, func(id mesh.PeerID) (peer.Root, bool) { return peer.RootOf(t.View, id, t.Conditions) })
	for i, f := range out {
		id := f.Peer
		if id.IsZero() {
			switch f.Name {
			case alarm.CertificateNotTrusted:
				out[i].Message, out[i].More = strings.TrimSuffix(f.Message, ".")+".", t.importNotice(f.Cluster)
			case alarm.ServiceStopped:
				out[i].Message, out[i].More = t.stoppedNotice(f)
			}
			continue
		}
		kind, _ := alarm.Lookup(f.Name)
		in := noticeInput{mesh: t.Mesh, kind: kind, peer: id, reverse: t.States[id.Reverse()].State, also: also[i]}
		for _, typ := range kind.Conditions {
			if c := peer.ConditionOf(t.Conditions[id], typ); c.Status == peer.False {
				in.condition = c
				break
			}
		}
		if l, ok := t.ladders[id]; ok && f.Name == alarm.PeriodicSyncingFailure {
			in.ladder = &l
		}
		for _, p := range t.asked {
			if f.Name == alarm.PeriodicSyncingFailure && p.Action == peer.RestartService && p.Target.Service == peer.ICSA && slices.Contains(p.Peers, id) {
				in.proposal, in.refused, in.did = &p, t.refused[p.ID], t.did[p.ID]
			}
		}
		lines := compose(in)
		out[i].Message, out[i].More = lines[0], lines[1:]
	}
	return out
}
