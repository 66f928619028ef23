package peer

import (
	"fmt"

	"peerkeeper/shared/mesh"
)

// verdict is a condition before it has a type and a since.
type verdict struct {
	status  Status
	reason  Reason
	basis   Basis
	message string
}

func yes(why Reason, b Basis, format string, args ...any) verdict {
	return verdict{True, why, b, fmt.Sprintf(format, args...)}
}

func no(why Reason, b Basis, format string, args ...any) verdict {
	return verdict{False, why, b, fmt.Sprintf(format, args...)}
}

func unsure(why Reason, format string, args ...any) verdict {
	return verdict{UnknownStatus, why, Measured, fmt.Sprintf(format, args...)}
}

// link is one directed peer with both ends at hand.
type link struct {
	*View
	id           mesh.PeerID
	protocol     mesh.Protocol // as mesh.yaml has it
	puller, home *end
	found        // in the puller's table; nothing if that is not known now
}

func (v *View) newLink(p mesh.Peer) *link {
	l := &link{View: v, id: p.ID, protocol: p.Protocol, puller: v.end(p.ID.From), home: v.end(p.ID.To)}
	if l.puller.entries.Known() {
		l.found = l.puller.found[l.home.ID]
	}
	return l
}
