package check

import (
	"fmt"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/remedy"
)

func (f *Facts) condition(id mesh.PeerID, t peer.Type) peer.Condition {
	for _, c := range f.Conditions(id) {
		if c.Type == t {
			return c
		}
	}
	return peer.Condition{Type: t, Status: peer.UnknownStatus, Reason: peer.NotChecked, Basis: peer.Measured, Message: "not looked at yet"}
}

// of is a condition as a verdict.
func (f *Facts) of(id mesh.PeerID, c peer.Condition) *verdict {
	v := &verdict{status: Unknown, reason: c.Reason, basis: c.Basis, message: c.Message}
	switch c.Status {
	case peer.True:
		v.status = Pass
		return v
	case peer.False:
		v.status = Fail
	}
	if steps := remedy.For(f.Mesh, id, c); len(steps) > 0 {
		v.fix = steps[0].Line()
	}
	return v
}

func conditionOf(t peer.Type) func(*Facts, mesh.Peer) *verdict {
	return func(f *Facts, p mesh.Peer) *verdict { return f.of(p.ID, f.condition(p.ID, t)) }
}

// entry is what Configured tells of one thing: where another reason than those makes it False, this one is fine.
func (f *Facts) entry(p mesh.Peer, fine string, reasons ...peer.Reason) *verdict {
	c := f.condition(p.ID, peer.Configured)
	switch {
	case c.Status == peer.True && c.Reason == peer.CopiesExist:
		return unknown(peer.NotObservable, "", "%s", c.Message)
	case c.Status == peer.False:
		for _, why := range reasons {
			if c.Reason == why {
				return f.of(p.ID, c)
			}
		}
		return pass(c.Basis, "%s: %s", p.ID, fine)
	}
	v := f.of(p.ID, c)
	if v.status == Pass {
		v.message = fmt.Sprintf("%s: %s", p.ID, fine)
	}
	return v
}

func peerAddress(f *Facts, p mesh.Peer) *verdict {
	return f.entry(p, "its address is the other publisher's node name", peer.AddressNotNodeName, peer.AddressNotPublisher)
}

func bothEnds(f *Facts, p mesh.Peer) *verdict {
	c := f.condition(p.ID, peer.Configured)
	if c.Status == peer.True { // copies that were made show an entry too
		return f.of(p.ID, c)
	}
	return f.entry(p, "there is an entry on both ends", peer.PeerMissing, peer.PeerMissingOnOtherSide, peer.PeerDuplicate)
}

func protocol(f *Facts, p mesh.Peer) *verdict {
	v := f.entry(p, fmt.Sprintf("both ends use %s", p.Protocol), peer.ProtocolDiffers)
	if p.Protocol == mesh.TLSProto && v.status == Pass {
		return &verdict{status: Declared, reason: Advised, basis: peer.Declared, message: fmt.Sprintf("%s uses TLS on both ends; Cisco recommends TCP, the default", p.ID)}
	}
	return v
}

// together is one verdict for several peers that passed.
func together(v *verdict, passed []mesh.ClusterID) *verdict {
	return &verdict{status: Pass, reason: v.reason, basis: v.basis, message: fmt.Sprintf("fine of %d peers: %s", len(passed), plain.List(passed))}
}
