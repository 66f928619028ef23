package stucksync

import (
	"slices"
	"time"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/repair"
)

// climb puts every stuck peer on its rung of the ladder, and gathers what the
// mesh asks for. It changes no cluster.
func (t *tick) climb(gate *repair.Gate) {
	var asked []peer.Proposal
	for _, p := range t.Mesh.Peers {
		if state, _ := peer.StateOf(t.Conditions[p.ID], t.Snapshot.Syncs[p.ID].Value); state != peer.Stuck {
			continue
		}
		prev := t.Snapshot.States[p.ID].Value.Ladder
		ladder, proposal, err := peer.Climb(t.View, p.ID, t.Conditions[p.ID], t.Snapshot.Syncs[p.ID].Value, prev, gate.Done())
		if err != nil {
			// A newer version's rung, after a roll-back: its ladder stays as it was
			// stored, nothing is asked for it, and the other peers have their run.
			t.logger().Error("a peer's ladder is left alone", "error", err)
			continue
		}
		t.ladders[p.ID] = ladder
		if proposal != nil {
			asked = append(asked, *proposal)
		}
	}
	for _, id := range t.Mesh.IDs() {
		asked = append(asked, peer.Starts(t.View, id, gate.Done()...)...)
		asked = append(asked, peer.RemoteAXL(t.View, id)...)
	}
	t.asked = peer.Merge(asked)
	for _, p := range t.Exchange() {
		// One restart is enough, and one that repairs a stuck sync reads the trust
		// store as well.
		if !p.Reload || !slices.ContainsFunc(t.asked, func(o peer.Proposal) bool { return o.Target == p.Target && o.Action == p.Action }) {
			t.asked = append(t.asked, p)
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
