package dashboard

import (
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// group is the peers that are not Healthy for one and the same reason: a
// cluster that is down shows on 58 peers, and is one thing to read.
type group struct {
	State   peer.State
	Cause   string
	Reason  peer.Reason
	Message string
	Since   time.Time // the earliest
	Peers   []mesh.PeerID
}

// groups gathers what is not Healthy, worst first.
func (st Status) groups() []group {
	var out []group
	at := map[string]int{}
	for _, p := range st.Peers {
		if p.State == peer.Healthy {
			continue
		}
		g := group{State: p.State, Cause: p.Cause, Since: p.Since}
		if c, ok := p.causing(); ok {
			g.Reason, g.Message = c.Reason, c.Message
		}
		if p.Changing != "" { // what each of them lacks is what the plan brings
			g.Cause, g.Reason, g.Message = string(peer.Changing), peer.Reason(peer.Changing), p.overlayWords(peer.Changing)
		}
		key := fmt.Sprintf("%q %q %q %q", g.State, g.Cause, g.Reason, g.Message)
		i, known := at[key]
		if !known {
			i = len(out)
			at[key], out = i, append(out, g)
		}
		out[i].Peers = append(out[i].Peers, p.ID)
		if p.Since.Before(out[i].Since) {
			out[i].Since = p.Since
		}
	}
	order := peer.States()
	slices.SortStableFunc(out, func(a, b group) int {
		return slices.Index(order, a.State) - slices.Index(order, b.State)
	})
	return out
}

// who names a group's peers in a few words: "c17 both ways (57 peers)".
func (g group) who() string {
	const listed = 4
	n := len(g.Peers)
	if n <= listed {
		return plain.List(mesh.PeerNames(g.Peers))
	}
	all := func(on func(mesh.PeerID) bool) bool {
		return !slices.ContainsFunc(g.Peers, func(id mesh.PeerID) bool { return !on(id) })
	}
	for _, c := range []mesh.ClusterID{g.Peers[0].From, g.Peers[0].To} {
		switch {
		case all(func(id mesh.PeerID) bool { return id.From == c }):
			return fmt.Sprintf("%s>* (%d peers)", c, n)
		case all(func(id mesh.PeerID) bool { return id.To == c }):
			return fmt.Sprintf("*>%s (%d peers)", c, n)
		case all(func(id mesh.PeerID) bool { return id.From == c || id.To == c }):
			return fmt.Sprintf("%s both ways (%d peers)", c, n)
		}
	}
	return plain.First(listed, mesh.PeerNames(g.Peers))
}
