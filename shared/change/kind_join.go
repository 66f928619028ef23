package change

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// Join makes a cluster the peer of all that mesh.yaml pairs it with.
const Join Kind = "join"

const byPublisher = "publisher"

func join() kind {
	return kind{
		name: Join, usage: "CLUSTER [--publisher HOST[:PORT]]",
		about: "take a cluster into the mesh, pair by pair; the one kind that takes a cluster which mesh.yaml lacks",
		title: func(h Head) string {
			_, rest := option(h.Args, byPublisher)
			return fmt.Sprintf("take %s into the mesh", plain.Name(at(rest, 0)))
		},
		build: func(k Known, args []string) (*layout, error) {
			publisher, args := option(args, byPublisher)
			_, _, host := dnsname.HostPort(publisher)
			if len(args) != 1 {
				return nil, usagef("join takes one cluster, as in: join latam --publisher imp-latam-pub.example.com")
			}
			id := mesh.ClusterID(args[0])
			if publisher != "" && !host {
				return nil, usagef("--publisher %s is no host: write it as in imp-latam-pub.example.com, or with :8443", plain.Value(publisher))
			}
			l := &layout{Known: k, clusters: []mesh.ClusterID{id}}
			if c, ok := k.Mesh.Cluster(id); ok {
				if why := otherPublisher(c, publisher); why != "" {
					return nil, usagef("%s: correct mesh.yaml, or, if it is right, leave --publisher out", why)
				}
				return l, l.join(c)
			}
			switch {
			case !mesh.LawfulID(args[0]):
				return nil, usagef("%s cannot be a cluster's name in mesh.yaml: %s", plain.Value(args[0]), mesh.LawfulIDs)
			case len(k.Mesh.Clusters) >= mesh.MaxClusters:
				return nil, usagef("mesh %s has %d clusters: Cisco supports no more in one mesh, so %s cannot join; another has to leave first", k.Mesh.Name, len(k.Mesh.Clusters), id)
			}
			if l := foresee(k, id, publisher); len(l.steps) > MaxSteps { // not only when mesh.yaml has been changed for it
				return nil, l.tooMany()
			}
			// Which of them mesh.yaml will have is not known yet; what it has is changed
			// from the moment it does.
			for i := range k.Mesh.Clusters {
				l.pairs = append(l.pairs, both(&k.Mesh.Clusters[i], &mesh.Cluster{ID: id})...)
			}
			l.meshLines(Join, id, mesh.PeerID{}, publisher)
			l.add(Step{Op: OpLayOut, Cluster: id})
			return l, nil
		},
	}
}

// LayOut adds to a join the steps that could not be laid out before its cluster stood in
// mesh.yaml, and says which pairs it leaves to other plans, or why there are no steps. The
// error is for a person.
func (p *Plan) LayOut(k Known) (says string, err error) {
	l := &layout{Known: k, id: p.ID, clusters: p.Clusters, steps: p.Steps}
	c, _ := k.Mesh.Cluster(p.Clusters[0])
	publisher, _ := option(p.Args, byPublisher)
	if why := otherPublisher(c, publisher); why != "" {
		return "", usagef("%s: correct mesh.yaml, put it in force and resume; or, if it is right, abort this plan and ask for another without --publisher", why)
	}
	if err := l.join(c); err != nil {
		return "", err
	}
	if l.nothing != "" {
		p.Pairs = nil
		return l.nothing, nil
	}
	if err := p.take(l); err != nil {
		return "", err
	}
	return l.leaves, nil
}

// join lays out the steps for a cluster that stands in mesh.yaml. Each pair is made when
// the one before has had its first full sync, which is what staggers them. What pages ask
// for is answered once a window, at its end.
func (l *layout) join(c *mesh.Cluster) error {
	id := c.ID
	var peers []*mesh.Cluster
	var there []mesh.PeerID
	all := l.peersOf(c)
	var others []string
	for _, other := range all {
		pairs := both(other, c)
		by := cmp.Or(l.Changing[pairs[0]], l.Changing[pairs[1]])
		switch {
		case l.entriesThere(pairs):
		case by != "" && by != l.id: // such as the join of another newcomer
			others = append(others, fmt.Sprintf("%s and %s to plan %s", other.ID, id, by))
			continue
		default:
			peers = append(peers, other)
		}
		there = append(there, pairs...)
	}
	if len(others) > 0 {
		l.leaves = "it leaves " + plain.FirstBy(5, others, ", ")
	}
	switch {
	case len(all) == 0:
		return usagef("mesh.yaml pairs %s with no cluster: add its pairs under peers", id)
	case len(peers) == 0 && len(others) > 0:
		l.nothing = "no pair is left for this plan: " + l.leaves
	case len(peers) == 0:
		l.nothing = fmt.Sprintf("every cluster that mesh.yaml pairs %s with has its entry for it, and it theirs%s", id, l.read(there))
	}
	l.clusters = []mesh.ClusterID{id}
	for _, other := range peers {
		l.clusters = append(l.clusters, other.ID)
		l.pairs = append(l.pairs, both(other, c)...)
	}
	if err := l.stay(l.pairs); err != nil {
		return err
	}
	l.checks(c)
	l.add(Step{Op: OpDuplicates, Cluster: id})
	l.prepare(c, prepareAll...)
	l.batches(c, peers)
	l.fewer = fmt.Sprintf("list `pairs` in mesh.yaml, of %s with some of its peers first, and join again for the others", id)
	return nil
}

// roomy is how many steps a join is laid out in where that can be: what does not fit in its
// window any more is laid out again at the plan's end.
const roomy = MaxSteps * 3 / 4

// batches are pairs, and after as many as one window has room for the restarts that their
// pages may ask for; after more, where there would be too many steps.
func (l *layout) batches(c *mesh.Cluster, peers []*mesh.Cluster) {
	open, before := l.window(), len(l.steps)
	for least := 1; ; least++ {
		for left := peers; len(left) > 0; {
			n := min(max(least, l.inOneWindow(c, left, open)), len(left))
			l.batch(c, left[:n])
			left = left[n:]
		}
		if len(l.steps) <= roomy || least >= len(peers) {
			return
		}
		l.steps = l.steps[:before]
	}
}

func (l *layout) batch(c *mesh.Cluster, peers []*mesh.Cluster) {
	for _, other := range peers {
		l.checks(other)
		l.peered(both(other, c))
		l.verify(OpVerifyPair, "", both(other, c)...)
	}
	l.restartsIfAsked(append(slices.Clone(peers), c)...)
	for _, other := range peers {
		l.verify(OpLook, "", both(other, c)...)
	}
}

// otherPublisher says that people named another publisher than mesh.yaml has: entries for the
// wrong one would be those of another cluster. "" if it is the same, by its node name or what
// its certificate carries, or by the address at which Peerkeeper reaches it.
func otherPublisher(c *mesh.Cluster, said string) string {
	host, _, _ := dnsname.HostPort(said)
	names := []string{string(c.Publisher)}
	if n, ok := c.Node(c.Publisher); ok {
		at, _, _ := dnsname.HostPort(n.Address)
		names = append(names, n.ServerName(), at)
	}
	if said == "" || slices.ContainsFunc(names, func(name string) bool { return sameHost(host, name) }) {
		return ""
	}
	what := ""
	if i := slices.IndexFunc(c.Nodes, func(n mesh.Node) bool { return sameHost(host, string(n.Name)) }); i >= 0 {
		what = fmt.Sprintf(", of which %s is a subscriber", c.Nodes[i].Name)
	} else if dnsname.IsAddress(host) != dnsname.IsAddress(string(c.Publisher)) {
		what = ", and does not tell whether that is its address"
	}
	return fmt.Sprintf("--publisher says %s, and mesh.yaml has %s as the publisher of %s%s", plain.Value(said), plain.Name(c.Publisher), c.ID, what)
}

// sameHost compares two names of a server, of which one may lack its domain, or two addresses,
// however they are written.
func sameHost(a, b string) bool {
	if dnsname.IsAddress(a) || dnsname.IsAddress(b) {
		x, err := netip.ParseAddr(a)
		y, err2 := netip.ParseAddr(b)
		return err == nil && err2 == nil && x.Unmap() == y.Unmap()
	}
	short, domain, _ := strings.Cut(dnsname.Canonical(a), ".")
	other, domain2, _ := strings.Cut(dnsname.Canonical(b), ".")
	return short == other && (domain == "" || domain2 == "" || domain == domain2)
}
