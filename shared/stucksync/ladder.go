package stucksync

import (
	"slices"
	"time"

	"peerkeeper/shared/mesh"
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
	free, held := t.sorted(asked)
	t.asked = peer.Merge(free)
	there := func(p peer.Proposal) bool {
		return slices.ContainsFunc(t.asked, func(o peer.Proposal) bool { return o.Target == p.Target && o.Action == p.Action })
	}
	for _, p := range peer.Merge(held) {
		if !there(p) {
			t.asked = append(t.asked, p)
		}
	}
	free, held = t.sorted(t.Exchange())
	for _, p := range append(free, held...) {
		// One restart is enough, and one that repairs a stuck sync reads the trust
		// store as well.
		if !p.Reload || !there(p) {
			t.asked = append(t.asked, p)
		}
	}
}

// sorted tells what is asked for by pairs that a plan changes alone, which is held
// while it does, from the rest: that of other pairs is asked for by those alone, so
// that the held ones neither stop it nor let it do without a person's approval.
func (t *tick) sorted(asked []peer.Proposal) (free, held []peer.Proposal) {
	for _, p := range asked {
		others := slices.DeleteFunc(slices.Clone(p.Peers), func(id mesh.PeerID) bool { return t.View.Changing[id] != "" })
		if len(others) == 0 && len(p.Peers) > 0 {
			held = append(held, p)
			continue
		}
		p.Peers = others
		free = append(free, p)
	}
	return free, held
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
