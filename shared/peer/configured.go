package peer

import (
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

func (l *link) configured() verdict {
	if v, duplicate := l.duplicateLogged(); duplicate {
		return v
	}
	here := l.puller.entries
	if here.Why() == NoDialect && !here.Known() {
		// Nobody has told how to read the peer table: copies are evidence.
		if n, ok := l.puller.usersOf(l.home).Fresh(l.Now, l.maxAge()).Get(); ok && n > 0 {
			return yes(CopiesExist, Inferred, "%s holds %d users of %s, so a peer entry has worked; the entry itself is not readable", l.id.From, n, l.id.To)
		}
		return unsure(NotObservable, "the peer table is not mapped; `peerkeeper probe` proposes a mapping")
	}
	if !here.Known() {
		return l.puller.blind(here.Why(), here.Detail)
	}
	if !l.hasEntry {
		if l.other != nil {
			if _, ok := l.home.Node(mesh.NodeName(l.other.Address)); ok {
				return no(AddressNotPublisher, Measured, "%s's peer entry names %s, which is not %s's database publisher %s", l.id.From, plain.Value(l.other.Address), l.id.To, l.home.Publisher)
			}
			return no(AddressNotNodeName, Measured, "%s's peer entry reads %s; Cisco wants the node name %s as Presence Topology shows it", l.id.From, plain.Value(l.other.Address), l.home.Publisher)
		}
		return no(PeerMissing, Measured, "%s has no peer entry for %s", l.id.From, l.home.Publisher)
	}
	if l.entry.Protocol != "" && l.entry.Protocol != l.protocol {
		return no(ProtocolDiffers, Measured, "%s's entry for %s uses %s, mesh.yaml says %s", l.id.From, l.id.To, plain.Value(l.entry.Protocol), l.protocol)
	}
	there := l.home.entries
	if !there.Known() {
		if there.Why() == NoDialect {
			return yes(EntriesMatch, Measured, "%s has its entry for %s; the other end's is not readable", l.id.From, l.id.To)
		}
		return l.home.blind(there.Why(), there.Detail)
	}
	back := l.home.found[l.puller.ID]
	if !back.hasEntry {
		return no(PeerMissingOnOtherSide, Measured, "%s has no peer entry back to %s; Cisco wants the pair on both sides", l.id.To, l.puller.Publisher)
	}
	if back.entry.Protocol != l.entry.Protocol {
		return no(ProtocolDiffers, Measured, "%s says %s, %s says %s", l.id.From, plain.Value(l.entry.Protocol), l.id.To, plain.Value(back.entry.Protocol))
	}
	return yes(EntriesMatch, Measured, "both ends name each other's publisher, protocol %s", l.protocol)
}
