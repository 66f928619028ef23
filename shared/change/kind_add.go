package change

import (
	"fmt"

	"peerkeeper/shared/mesh"
)

// Add makes two clusters peers of each other.
const Add Kind = "add"

func add() kind {
	return kind{
		name: Add, usage: "A B",
		about: "make two clusters of mesh.yaml peers: both entries, the restarts that Cisco asks for, and that it works",
		title: func(h Head) string { return "make " + pairTitle(h) + " intercluster peers" },
		build: func(k Known, args []string) (*layout, error) {
			a, b, err := pairOf(k, Add, args)
			if err != nil {
				return nil, err
			}
			pairs := both(a, b)
			l := &layout{Known: k, clusters: []mesh.ClusterID{a.ID, b.ID}, pairs: pairs}
			if err := l.stay(pairs); err != nil {
				return nil, err
			}
			l.meshLines(Add, a.ID, pairs[0], "")
			l.checks(a, b)
			l.add(Step{Op: OpDuplicates, Cluster: a.ID})
			l.prepare(a, prepareAll...)
			l.peered(pairs)
			l.restartsIfAsked(a, b)
			l.verify(OpVerifyPair, "", pairs...)
			l.verify(OpLook, "", pairs...)
			if l.entriesThere(pairs) {
				l.nothing = fmt.Sprintf("%s and %s have their entries already; `peerkeeper explain %s` says how they do", a.ID, b.ID, pairs[0])
			}
			return l, nil
		},
	}
}

// peered are the two entries of a pair, one after the other, and what each page asks for.
func (l *layout) peered(pairs []mesh.PeerID) {
	for _, id := range pairs {
		c, _ := l.Mesh.Cluster(id.To)
		l.onPage(OpAddEntry, id, "", string(c.Publisher))
	}
}

// entriesThere says that all these entries were read, each as mesh.yaml has it.
func (l *layout) entriesThere(pairs []mesh.PeerID) bool {
	for _, id := range pairs {
		if e, there := l.Entries[id]; !there || !l.asDeclared(id, e) {
			return false
		}
	}
	return true
}
