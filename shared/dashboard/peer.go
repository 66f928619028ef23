package dashboard

import (
	"maps"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
)

// goneFor is how long a peer that left mesh.yaml is still shown: as long as
// its ring of changes goes back.
const goneFor = 24 * time.Hour

// gone lists the peers that the store remembers and mesh.yaml does not name.
func (snap *snapshot) gone() []mesh.PeerID {
	var out []mesh.PeerID
	for id := range snap.Kept() {
		state := snap.States[id].Value
		if snap.declared[id] || (state.State == peer.Terminated && snap.now.Sub(state.Since) > goneFor) {
			continue
		}
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b mesh.PeerID) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// peerAt is one directed peer as people see it at now.
func (snap *snapshot) peerAt(id mesh.PeerID) Peer {
	s := snap.stored(id)
	out := Peer{ID: id, Overlays: []peer.Overlay{}, sync: s.sync}
	if !snap.declared[id] {
		out.State, out.Since, out.Conditions = peer.Terminated, s.state.Since, []peer.Condition{}
		out.flips = s.state.Flips
		return out
	}
	out.Conditions = peer.Conditions(snap.view, id, s.sync, s.cert)
	for i := range out.Conditions {
		c := &out.Conditions[i]
		why := s.noSync
		switch c.Type {
		case peer.CertificateTrusted, peer.NamesResolve:
			why = s.noCert
		default:
			// The age of these is told by the pulling cluster's item.
			if why == "" {
				why = snap.unusableCluster(id.From)
			}
		}
		if why != "" {
			*c = peer.Condition{Type: c.Type, Status: peer.UnknownStatus, Reason: why, Basis: peer.Measured, Message: explainUnusable(why)}
		}
	}
	out.flips = s.state.Flips
	out.Overlays = append(out.Overlays, s.state.Overlays...)
	out.Changing = snap.view.Changing[id]
	out.State, out.Cause, out.Since = snap.state(s, out.Conditions)
	switch out.State {
	case peer.Stuck, peer.Recovering, peer.Cooling, peer.NeedsHuman:
		out.Ladder = s.state.Ladder
	}
	out.Asked, out.LastAction = snap.actions(id)
	return out
}

// actions are what a peer asks for now, and what was last done for it.
func (snap *snapshot) actions(id mesh.PeerID) (asked []Asked, last *Acted) {
	for _, key := range slices.Sorted(maps.Keys(snap.Proposals)) {
		p := snap.Proposals[key].Value
		if !slices.Contains(p.Proposal.Peers, id) {
			continue
		}
		what := repair.Summary(p.Proposal)
		// What was tried and is asked for again waits for a person once more.
		again := slices.ContainsFunc(p.Refused, func(r record.Refusal) bool { return r.Guard == repair.GuardApproval })
		if p.Ended.IsZero() && (p.Outcome == "" || again) {
			asked = append(asked, Asked{p.Proposal.ID, what, p.Proposal.Approval, p.Proposal.Interrupts, p.Proposal.Collect, p.Refused})
		}
		if p.Outcome != "" && (last == nil || p.First.After(last.At)) {
			last = &Acted{p.Proposal.ID, what, p.First, p.Outcome}
		}
	}
	slices.SortFunc(asked, func(a, b Asked) int { return strings.Compare(a.ID, b.ID) })
	return asked, last
}

// state is the stored state, unless what is known now says less: a state that
// rests on facts grown too old, or that calls a peer healthy which no longer
// is, is not repeated. Good news, and the ladder's states, stay stucksync's to
// tell.
func (snap *snapshot) state(s stored, conditions []peer.Condition) (peer.State, string, time.Time) {
	switch {
	case s.noState != "":
		return peer.StateUnknown, string(s.noState), time.Time{}
	case !s.judged:
		return peer.StateUnknown, string(peer.NotChecked), time.Time{}
	}
	is, cause, since := s.state.State, s.state.Cause, s.state.Since
	now, why := peer.StateOf(conditions, s.sync)
	known := false
	switch is {
	case peer.Recovering, peer.Cooling, peer.NeedsHuman:
		return is, cause, since
	case peer.Healthy:
		known = now == peer.Healthy
	case peer.Terminated: // named again in mesh.yaml, not judged since
		now, why = peer.StateUnknown, string(peer.NotChecked)
	case peer.Suspect, peer.Degraded, peer.Stuck, peer.StateUnknown:
		known = now != peer.StateUnknown || is == peer.StateUnknown
	default:
		// A state that this version has no word for.
		return peer.StateUnknown, string(peer.NewerSchema), since
	}
	if known {
		return is, cause, since
	}
	for _, c := range conditions {
		if string(c.Type) == why || (why == peer.DataDiffers && c.Type == peer.UsersMatch) {
			since = c.Since
		}
	}
	return now, why, since
}
