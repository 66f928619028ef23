package stucksync

import (
	"slices"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
)

// foldAll gives every peer its state.
func (t *tick) foldAll(answer *run.Answer) *record.Changes {
	var changes record.Changes
	for _, p := range t.Mesh.Peers {
		doc := t.Snapshot.States[p.ID]
		doc.Value = t.fold(p.ID, doc.Value)
		t.States[p.ID] = doc.Value
		answer.Peers[doc.Value.State]++
		record.Add(&changes, doc)
	}
	for _, id := range t.Snapshot.Gone {
		doc := t.Snapshot.States[id]
		if doc.Value.State != peer.Terminated {
			doc.Value.State, doc.Value.Since, doc.Value.Overlays = peer.Terminated, t.View.Now, nil
			record.Add(&changes, doc)
		}
		answer.Peers[peer.Terminated]++
	}
	return &changes
}

// fold gives a peer its state, with what people decided laid over it.
func (t *tick) fold(id mesh.PeerID, prev peer.StateRecord) peer.StateRecord {
	state, cause := peer.StateOf(t.Conditions[id], t.Snapshot.Syncs[id].Value)
	ladder, climbing := t.ladders[id]
	if climbing && t.Mesh.Policy.Mode == mesh.Recover {
		state = rungState(ladder, t.View.Now)
	}
	said := t.Snapshot.Overrides.Overlays(id, t.View.Now)
	if t.acked(t.Mesh.Name, id) {
		said = append(said, peer.Acknowledged)
	}
	if slices.Contains(prev.Overlays, peer.Flapping) {
		said = append(said, peer.Flapping) // judged again, by its lower threshold
	}
	prev.Overlays = said
	next := peer.Fold(t.View, id, t.Conditions[id], prev, state, cause)
	switch {
	case climbing:
		next.Ladder = &ladder
	case peer.ConditionOf(t.Conditions[id], peer.Synced).Status != peer.True:
		// A flicker does not end the incident; what was tried stays known.
		next.Ladder = prev.Ladder
	}
	return next
}

// acked reports whether a person has acknowledged an alarm of this peer.
func (t *tick) acked(meshName string, id mesh.PeerID) bool {
	for fp, w := range t.Snapshot.Overrides.Acks {
		if !w.Silences(t.View.Now) {
			continue
		}
		for _, k := range peerKinds() {
			if alarm.Fingerprint(meshName, k.Name, "", id, "") == fp {
				return true
			}
		}
	}
	return false
}
