package change

import (
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// A join makes its pairs in the windows of the policy, and answers in each what its pages
// have asked for.

// restartLasts is about how long one node's router takes with all that is waited for, and
// entriesLast how long the two entries of a pair.
const (
	restartLasts = 20 * time.Minute
	entriesLast  = 10 * time.Minute
)

// inOneWindow is how many pairs are made before the restarts that their pages ask for, so
// that both have room in one window.
func (l *layout) inOneWindow(c *mesh.Cluster, peers []*mesh.Cluster, open time.Duration) int {
	if open == 0 {
		return len(peers)
	}
	open -= restartLasts * time.Duration(len(c.Nodes))
	for n, other := range peers {
		open -= entriesLast + l.firstSync(c, other) + restartLasts*time.Duration(len(other.Nodes))
		if open < 0 {
			return max(1, n)
		}
	}
	return len(peers)
}

// look is how finely windows are looked at, and week for how long: from one weekday to the
// next but one.
const (
	look = 5 * time.Minute
	week = 8 * 24 * time.Hour
)

// window is the longest time for which the policy's windows stay open in the week to come;
// 0 if they never close.
func (l *layout) window() time.Duration {
	var longest, now time.Duration
	closed := false
	for at := l.Now; at.Before(l.Now.Add(week)); at = at.Add(look) {
		if ok, _ := l.Mesh.Policy.Allowed(at); ok {
			now += look
			longest = max(longest, now)
		} else {
			now, closed = 0, true
		}
	}
	if !closed {
		return 0
	}
	return max(longest, look)
}

// closesIn is for how long the windows stay open from now; week if they do not close.
func (l *layout) closesIn() time.Duration {
	if len(l.Mesh.Policy.Windows) == 0 {
		return week
	}
	for at := l.Now; at.Before(l.Now.Add(week)); at = at.Add(look) {
		if ok, _ := l.Mesh.Policy.Allowed(at); !ok {
			return at.Sub(l.Now)
		}
	}
	return week
}

// OutsideWindow says why a join does not begin with a pair now: no window is open, or it would
// not end in this one, with the restarts that pages may ask for, and would in a longer one.
// "" if it begins.
func (p *Plan) OutsideWindow(k Known, s *Step) string {
	if p.Kind != Join || p.Begun(s) {
		return ""
	}
	if _, restarts := p.batchOf(s); p.again(restarts, p.peerOf(s)) > 0 {
		return "it is laid out again" // by a run that was killed before it had put it off
	}
	if ok, why := k.Mesh.Policy.Allowed(k.Now); !ok {
		return why
	}
	l := &layout{Known: k}
	sync, restarts := p.measured(), restartLasts*time.Duration(p.toRestart(k.Mesh, s))
	if sync == 0 {
		from, _ := k.Mesh.Cluster(s.Pair.From)
		to, _ := k.Mesh.Cluster(s.Pair.To)
		sync = l.firstSync(from, to)
	}
	needs, left := entriesLast+sync+restarts, l.closesIn()
	if left >= needs || needs > l.window() { // what fits in none goes into any
		return ""
	}
	return fmt.Sprintf("this one closes in %s; a first full sync takes about %s, and restarts, if pages ask for them, %s", plain.Duration(left), plain.Duration(sync), plain.Duration(restarts))
}

// Begun says that the other entry of a step's pair is made: it is not left with one until the
// next window.
func (p *Plan) Begun(s *Step) bool {
	return slices.ContainsFunc(p.Steps[:s.N-1], func(x Step) bool {
		return x.Op == OpAddEntry && x.Pair == s.Pair.Reverse() && x.State == StepDone
	})
}

// measured is the longest first full sync of the plan, both directions, as it was read; 0 if it
// has had none.
func (p *Plan) measured() (longest time.Duration) {
	entered := map[mesh.PeerID]time.Time{}
	for i := range p.Steps {
		s := &p.Steps[i]
		switch {
		case s.State != StepDone || s.Pair.IsZero():
		case s.Op == OpAddEntry && !s.Began.IsZero():
			entered[s.Pair] = s.Since
		case s.Op == OpVerifyPair && !entered[s.Pair].IsZero():
			longest = max(longest, s.Since.Sub(entered[s.Pair]))
		}
	}
	return longest
}

// toRestart is how many nodes have their router restarted in a step's batch at most: those of
// the cluster that joins, of the pair, and of pairs whose pages have asked for it.
func (p *Plan) toRestart(m *mesh.Mesh, s *Step) int {
	clusters := []mesh.ClusterID{s.Pair.From, s.Pair.To}
	first, _ := p.batchOf(s)
	for i := first; i < s.N-1; i++ {
		if asked := &p.Steps[i]; asked.asksForRestart() {
			clusters = append(clusters, asked.Pair.From, asked.Pair.To)
		}
	}
	slices.Sort(clusters)
	nodes := 0
	for _, id := range slices.Compact(clusters) {
		if c, ok := m.Cluster(id); ok {
			nodes += len(c.Nodes)
		}
	}
	return nodes
}

// batchOf is where the pairs of a step's batch begin, and where the restarts that their pages
// may have asked for do: indexes into Steps.
func (p *Plan) batchOf(s *Step) (first, restarts int) {
	for restarts = s.N; restarts < len(p.Steps) && p.Steps[restarts].Op != OpRouterDue; {
		restarts++
	}
	for first = s.N - 1; first > 0 && p.Steps[first-1].Op != OpLook && p.Steps[first-1].Op != OpRouterDue; {
		first--
	}
	return first, restarts
}

// LayOutAgain lays the pairs of a step's batch that are not begun out at the plan's end, if
// pages have asked for restarts in it: those are not to wait for the next window. room is
// false if the plan has none for them. They are there twice until PutOff: the plan is written
// down between, so that a run that is killed loses none.
func (p *Plan) LayOutAgain(k Known, s *Step) (asked, room bool) {
	first, restarts := p.batchOf(s)
	if !slices.ContainsFunc(p.Steps[first:s.N-1], func(x Step) bool { return x.asksForRestart() }) {
		return false, true
	}
	var peers []*mesh.Cluster
	for _, id := range p.notBegun(s) {
		if other, ok := k.Mesh.Cluster(id); ok && p.again(restarts, id) == 0 {
			peers = append(peers, other)
		}
	}
	c, ok := k.Mesh.Cluster(p.Clusters[0])
	if !ok || len(peers) == 0 {
		return true, ok
	}
	l := &layout{Known: k, clusters: p.Clusters, pairs: p.Pairs, steps: slices.Clip(p.Steps)}
	l.batches(c, peers)
	return true, p.take(l) == nil
}

// PutOff skips the steps of a step's batch that are laid out again.
func (p *Plan) PutOff(s *Step, now time.Time) {
	_, restarts := p.batchOf(s)
	for _, id := range p.notBegun(s) {
		again := p.again(restarts, id)
		for i := s.N - 1; i < again-1; i++ {
			x := &p.Steps[i]
			if !x.State.Over() && (x.Cluster == id || x.Pair.From == id || x.Pair.To == id) {
				x.Turn(StepSkipped, now, "put off to step %d: it would not have ended in its window, and the restarts that pages have asked for do not wait for it", again)
			}
		}
	}
}

// notBegun are the peers of a join, from a step to the end of its batch, that lack an entry.
func (p *Plan) notBegun(s *Step) []mesh.ClusterID {
	var out []mesh.ClusterID
	_, restarts := p.batchOf(s)
	for i := s.N - 1; i < restarts; i++ {
		x := &p.Steps[i]
		if x.Op != OpAddEntry || x.State.Over() {
			continue
		}
		if other := p.peerOf(x); !slices.Contains(out, other) {
			out = append(out, other)
		}
	}
	return out
}

// peerOf is the other end of a step's pair than the cluster that joins.
func (p *Plan) peerOf(s *Step) mesh.ClusterID {
	if s.Pair.From == p.Clusters[0] {
		return s.Pair.To
	}
	return s.Pair.From
}

// again is the first step with which a peer is laid out after an index; 0 if it is not.
func (p *Plan) again(after int, id mesh.ClusterID) int {
	for i := after; i < len(p.Steps); i++ {
		if x := &p.Steps[i]; x.Op == OpPreflight && x.Cluster == id {
			return x.N
		}
	}
	return 0
}
