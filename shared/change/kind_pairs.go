package change

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// What the kinds that change pairs share.

// pairOf is the pair that two arguments name, with its clusters.
func pairOf(k Known, name Kind, args []string) (a, b *mesh.Cluster, err error) {
	if err := noOption(name, args); err != nil {
		return nil, nil, err
	}
	if len(args) != 2 {
		return nil, nil, usagef("%s takes two clusters, as in: %s emea apac", name, name)
	}
	if a, err = cluster(k, args[0]); err != nil {
		return nil, nil, err
	}
	if b, err = cluster(k, args[1]); err != nil {
		return nil, nil, err
	}
	if a == b {
		return nil, nil, usagef("%s is no peer of itself: name two clusters", a.ID)
	}
	return a, b, nil
}

// option takes a name=value out of the arguments; "" if it is not there.
func option(args []string, name string) (value string, rest []string) {
	for _, arg := range args {
		if n, v, ok := strings.Cut(arg, "="); ok && n == name {
			value = v
		} else {
			rest = append(rest, arg)
		}
	}
	return value, rest
}

// noOption refuses an option that a kind does not take.
func noOption(name Kind, args []string) error {
	for _, arg := range args {
		if option, _, ok := strings.Cut(arg, "="); ok {
			return usagef("%s takes no --%s: `peerkeeper peering plan --help` says what each kind takes", name, option)
		}
	}
	return nil
}

func both(a, b *mesh.Cluster) []mesh.PeerID {
	id := mesh.PeerID{From: a.ID, To: b.ID}
	return []mesh.PeerID{id, id.Reverse()}
}

// checks are what comes before a change of peers: each cluster's preflight, and that
// its users are complete.
func (l *layout) checks(clusters ...*mesh.Cluster) {
	for _, c := range clusters {
		l.add(Step{Op: OpPreflight, Cluster: c.ID})
	}
	for _, c := range clusters {
		l.add(Step{Op: OpSyncAgent, Cluster: c.ID, Node: c.Publisher})
	}
}

// prepare are what people see to before a change, each once.
func (l *layout) prepare(c *mesh.Cluster, purposes ...string) {
	for _, purpose := range purposes {
		l.add(Step{Op: OpPrepare, Cluster: c.ID, Purpose: purpose})
	}
}

// listed says that a cluster has an entry for another, or had when its table was read last,
// be it in mesh.yaml or not.
func (l *layout) listed(id mesh.PeerID) bool {
	_, there := l.Entries[id]
	return there || l.Aliases[id] != ""
}

// onPage is a person's step on one end's page, and what the page then asks for. It is
// done where it is read to be.
func (l *layout) onPage(op Op, id mesh.PeerID, purpose, value string) {
	c, _ := l.Mesh.Cluster(id.From)
	s := Step{Op: op, Cluster: id.From, Node: c.Publisher, Pair: id, Purpose: purpose, Value: value}
	if e, there := l.Entries[id]; there && op == OpAddEntry && l.asDeclared(id, e) {
		s.Turn(StepDone, l.Now, "the entry is there already")
	}
	if _, there := l.Entries[id]; op == OpDeleteEntry && !there {
		s.Value = l.Aliases[id] // by which the page lists it
	}
	n := l.add(s)
	if op == OpAddEntry || op == OpEditEntry {
		l.add(Step{Op: OpAskBell, Cluster: id.From, Node: c.Publisher, Pair: id, Of: n})
	}
}

func (l *layout) asDeclared(id mesh.PeerID, e peer.Entry) bool {
	p, ok := l.Mesh.Peer(id)
	return ok && (e.Protocol == "" || e.Protocol == p.Protocol)
}

// restartsIfAsked restarts the router on every node of clusters for which a bell of one of
// their pairs has asked since the last time.
func (l *layout) restartsIfAsked(clusters ...*mesh.Cluster) {
	for _, c := range clusters {
		due := l.add(Step{Op: OpRouterDue, Cluster: c.ID})
		l.restartRouter(c, due, names(c)...)
	}
}

func (l *layout) verify(op Op, purpose string, pairs ...mesh.PeerID) {
	for _, id := range pairs {
		c, _ := l.Mesh.Cluster(id.From)
		l.add(Step{Op: op, Cluster: id.From, Node: c.Publisher, Pair: id, Purpose: purpose})
	}
}

// meshLines is the step for mesh.yaml; done where it says so already.
func (l *layout) meshLines(kind Kind, c mesh.ClusterID, id mesh.PeerID, value string) {
	s := Step{Op: OpMeshLines, Cluster: c, Pair: id, Purpose: string(kind), Value: value}
	if done, says := s.Declared(l.Mesh); done {
		s.Turn(StepDone, l.Now, "%s already", says)
	}
	l.add(s)
}

// restartsToDelete says whether a cluster's release wants a restart of its publisher's
// router for each peer that is deleted.
func (l *layout) restartsToDelete(c *mesh.Cluster) (bool, error) {
	told, _ := l.Nodes[c.Publisher].Version.Get()
	without, known := mesh.SinceDeleteWithoutRestart.In(told, c.Release)
	if !known {
		return false, usagef("the release of %s is not known, and before %s a deletion needs a restart of its router: declare `release` in mesh.yaml", c.ID, mesh.SinceDeleteWithoutRestart)
	}
	return !without, nil
}

// firstSync is how long the first full sync of a pair may take in the best case.
func (l *layout) firstSync(a, b *mesh.Cluster) time.Duration {
	return max(l.FirstSync[a.ID], l.FirstSync[b.ID], verifyLasts)
}

// byUsers are clusters, those with the most users first: most people are in sync again
// soonest.
func (l *layout) byUsers(clusters []*mesh.Cluster) []*mesh.Cluster {
	return slices.SortedStableFunc(slices.Values(clusters), func(a, b *mesh.Cluster) int {
		return cmp.Compare(l.Users[b.ID], l.Users[a.ID])
	})
}

// stay says that no plan takes an end of these pairs out of the mesh: what is new is none
// of that plan's, which would leave it behind.
func (l *layout) stay(pairs []mesh.PeerID) error {
	for _, id := range pairs {
		for _, end := range []mesh.ClusterID{id.From, id.To} {
			if by := l.Leaving[end]; by != "" {
				return fmt.Errorf("plan %s takes %s out of the mesh: `peerkeeper peering show %s` says how far it is; go on when it is through, and mesh.yaml lists %s no more", by, end, by, end)
			}
		}
	}
	return nil
}

// peersOf are the clusters with which one is a pair in mesh.yaml.
func (l *layout) peersOf(c *mesh.Cluster) []*mesh.Cluster {
	var out []*mesh.Cluster
	for i := range l.Mesh.Clusters {
		if other := &l.Mesh.Clusters[i]; l.paired(c, other) {
			out = append(out, other)
		}
	}
	return out
}

// paired says that mesh.yaml pairs two clusters: both directions, or none.
func (l *layout) paired(a, b *mesh.Cluster) bool {
	_, ok := l.Mesh.Peer(mesh.PeerID{From: a.ID, To: b.ID})
	return ok
}

// pairTitle names a pair in a sentence.
func pairTitle(h Head) string {
	_, rest := option(h.Args, "")
	return fmt.Sprintf("%s and %s", plain.Name(at(rest, 0)), plain.Name(at(rest, 1)))
}

func at(args []string, i int) string {
	if i >= len(args) {
		return "?"
	}
	return args[i]
}
