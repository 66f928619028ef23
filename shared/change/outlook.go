package change

import (
	"cmp"
	"fmt"

	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// Outlook is what a join will come to once its cluster stands in mesh.yaml, as far as that can
// be told before. Nothing of it is a step of the plan, nor kept: it is told again each time.
type Outlook struct {
	// Assumes is what mesh.yaml does not say yet, and is taken for granted; "" if it says all.
	Assumes string `json:"assumes,omitempty"`
	// Comes says how much there is, and Estimate how long that takes.
	Comes    string `json:"comes"`
	Estimate string `json:"estimate"`
	// Steps are the titles, in order, but for those that go with each restart.
	Steps []string `json:"steps"`
}

// LaysOut says that steps of the plan are still to be laid out.
func (p *Plan) LaysOut() bool {
	return !p.State.Ended() && len(p.Steps) > 0 && p.Steps[len(p.Steps)-1].Op == OpLayOut
}

// Outlook is that of a plan whose steps are still to be laid out; nil of any other.
func (p *Plan) Outlook(k Known) *Outlook {
	if !p.LaysOut() {
		return nil
	}
	id := p.Clusters[0]
	publisher, _ := option(p.Args, byPublisher)
	l := foresee(k, id, publisher)
	if len(l.pairs) == 0 {
		return nil // mesh.yaml has it, and there is nothing to do, or no pair
	}
	will := &Plan{Head: Head{ID: p.ID, Kind: Join, Clusters: l.clusters, Pairs: l.pairs}, Steps: l.steps}
	out := &Outlook{Estimate: will.estimate(l.Mesh)}
	if _, there := k.Mesh.Cluster(id); !there {
		c, _ := l.Mesh.Cluster(id)
		out.Assumes = fmt.Sprintf("mesh.yaml then lists %s with %s, as many as the largest cluster has, and pairs it with %s", id, plain.Count(len(c.Nodes), "node", "nodes"), plain.List(k.Mesh.IDs()))
	}
	entries, bells, batches := 0, 0, 0
	for i := range will.Steps {
		s := &will.Steps[i]
		switch {
		case s.Op == OpAddEntry:
			entries++
		case s.Op == OpAskBell:
			bells++
		case s.Op == OpRouterDue && s.Cluster == id:
			batches++
		case s.Op == OpDisableHA, s.Op == OpEnableHA, s.Op == OpAwaitHA, s.Op == OpFallback, s.Op == OpAwaitPeople:
			continue
		}
		title := textOf(s.Op).title(context{mesh: l.Mesh, plan: will, step: s})
		if s.Op != OpRouterDue && will.hangsOn(s) != nil {
			title = "if a page asks for it: " + title
		}
		out.Steps = append(out.Steps, title)
	}
	out.Comes = fmt.Sprintf("%s, one after the other: %s, and %s", plain.Count(len(l.pairs)/2, "pair", "pairs"), plain.Count(entries, "entry that a person makes", "entries that people make"), plain.Count(bells, "look at a page's notifications", "looks at pages' notifications"))
	if len(k.Mesh.Policy.Windows) > 0 {
		out.Comes += fmt.Sprintf("; in %s, if each sync ends as soon as most do", plain.Count(batches, "window", "windows"))
	}
	return out
}

// foresee lays a join out as if mesh.yaml listed its cluster already, with as many nodes as the
// largest has and with every pair.
func foresee(k Known, id mesh.ClusterID, publisher string) *layout {
	k.Changing, k.Leaving = nil, nil
	if _, there := k.Mesh.Cluster(id); !there {
		host, _, _ := dnsname.HostPort(publisher)
		c := mesh.Cluster{ID: id, Publisher: mesh.NodeName(cmp.Or(host, "the publisher of "+string(id)))}
		c.Nodes = []mesh.Node{{Name: c.Publisher}}
		m := *k.Mesh
		m.Clusters, m.Peers = nil, append(m.Peers[:0:0], m.Peers...)
		for _, other := range k.Mesh.Clusters {
			m.Clusters = append(m.Clusters, other)
			for n := len(c.Nodes); n < len(other.Nodes); n++ {
				c.Nodes = append(c.Nodes, mesh.Node{Name: mesh.NodeName(fmt.Sprintf("node %d of %s", n+1, id))})
			}
			for _, pair := range both(&other, &c) {
				m.Peers = append(m.Peers, mesh.Peer{ID: pair, Protocol: mesh.TCP})
			}
		}
		m.Clusters = append(m.Clusters, c)
		k.Mesh = &m
	}
	c, _ := k.Mesh.Cluster(id)
	l := &layout{Known: k, clusters: []mesh.ClusterID{id}}
	if err := l.join(c); err != nil || l.nothing != "" {
		l.pairs = nil
	}
	return l
}
