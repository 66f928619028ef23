package stucksync

import (
	"slices"
	"time"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/repair"
)

// climb puts every stuck peer on its rung of the ladder, and gathers what the
// mesh asks for. It changes no cluster.
func (j *tick) climb(gate *repair.Gate) {
	var asked []peer.Proposal
	for _, p := range j.Mesh.Peers {
		if state, _ := peer.StateOf(j.Conditions[p.ID], j.Book.Syncs[p.ID].Value); state != peer.Stuck {
			continue
		}
		prev := j.Book.States[p.ID].Value.Ladder
		ladder, proposal, err := peer.Climb(j.View, p.ID, j.Conditions[p.ID], j.Book.Syncs[p.ID].Value, prev, gate.Done())
		if err != nil {
			// A newer version's rung, after a roll-back: its ladder stays as it was
			// stored, nothing is asked for it, and the other peers have their run.
			j.logger().Error("a peer's ladder is left alone", "error", err)
			continue
		}
		j.ladders[p.ID] = ladder
		if proposal != nil {
			asked = append(asked, *proposal)
		}
	}
	for _, id := range j.Mesh.IDs() {
		asked = append(asked, peer.Starts(j.View, id, gate.Done()...)...)
		asked = append(asked, peer.RemoteAXL(j.View, id)...)
	}
	j.asked = peer.Merge(asked)
	for _, p := range j.Exchange() {
		// One restart is enough, and one that repairs a stuck sync reads the trust
		// store as well.
		if !p.Reload || !slices.ContainsFunc(j.asked, func(o peer.Proposal) bool { return o.Target == p.Target && o.Action == p.Action }) {
			j.asked = append(j.asked, p)
		}
	}
}

// rungState is the state of a stuck peer while the ladder is at work.
func rungState(l peer.Ladder, now time.Time) peer.State {
	switch {
	case l.Rung == peer.RungHuman:
		return peer.NeedsHuman
	case !l.Until.IsZero() && now.Before(l.Until):
		return peer.Cooling
	case !l.ProveBy.IsZero():
		return peer.Recovering
	}
	return peer.Stuck
}
