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
func (j *tick) foldAll(answer *run.Answer) *record.Changes {
	var changes record.Changes
	for _, p := range j.Mesh.Peers {
		doc := j.Book.States[p.ID]
		doc.Value = j.fold(p.ID, doc.Value)
		j.States[p.ID] = doc.Value
		answer.Peers[doc.Value.State]++
		record.Add(&changes, doc)
	}
	for _, id := range j.Book.Gone {
		doc := j.Book.States[id]
		if doc.Value.State != peer.Terminated {
			doc.Value.State, doc.Value.Since, doc.Value.Overlays = peer.Terminated, j.View.Now, nil
			record.Add(&changes, doc)
		}
		answer.Peers[peer.Terminated]++
	}
	return &changes
}

// fold gives a peer its state, with what people said laid over it.
func (j *tick) fold(id mesh.PeerID, prev peer.StateRecord) peer.StateRecord {
	state, cause := peer.StateOf(j.Conditions[id], j.Book.Syncs[id].Value)
	ladder, climbing := j.ladders[id]
	if climbing && j.Mesh.Policy.Mode == mesh.Recover {
		state = rungState(ladder, j.View.Now)
	}
	said := j.Book.Overrides.Overlays(id, j.View.Now)
	if j.acked(j.Mesh.Name, id) {
		said = append(said, peer.Acknowledged)
	}
	if slices.Contains(prev.Overlays, peer.Flapping) {
		said = append(said, peer.Flapping) // judged again, by its lower threshold
	}
	prev.Overlays = said
	next := peer.Fold(j.View, id, j.Conditions[id], prev, state, cause)
	switch {
	case climbing:
		next.Ladder = &ladder
	case condition(j.Conditions[id], peer.Synced).Status != peer.True:
		// A flicker does not end the incident; what was tried stays known.
		next.Ladder = prev.Ladder
	}
	return next
}

// acked reports whether a person has acknowledged an alarm of this peer.
func (j *tick) acked(meshName string, id mesh.PeerID) bool {
	for fp, w := range j.Book.Overrides.Acks {
		if !w.Silences(j.View.Now) {
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

// read is a peer's conditions as they stand now; records of a newer schema are
// not understood and say nothing.
func (j *tick) read(id mesh.PeerID) []peer.Condition {
	cs := peer.Conditions(j.View, id, j.Book.Syncs[id].Value, j.Book.CertOf(id))
	if !j.Book.Syncs[id].Newer && !j.Book.PeerCert[id].Newer && !j.Book.Clusters[id.From].Newer && !j.Book.Clusters[id.To].Newer {
		return cs
	}
	for i := range cs {
		cs[i].Status, cs[i].Reason = peer.UnknownStatus, peer.NewerSchema
		cs[i].Message = "recorded by a newer version of Peerkeeper than this one"
	}
	return cs
}
