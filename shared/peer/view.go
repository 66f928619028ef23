package peer

import (
	"net"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
)

// Facts are everything that is known of one mesh at one instant.
type Facts struct {
	Now      time.Time
	Tick     time.Duration // peersync's period
	Mesh     *mesh.Mesh
	Clusters map[mesh.ClusterID]*ClusterRecord
	// Buckets by the cluster they were read from. Missing ones are Unknown.
	Buckets map[mesh.ClusterID]Fact[Buckets]
	// Logs are what the clusters' own logs say, as far as they were read.
	Logs map[mesh.ClusterID]LogRecord
	// Pushed is what their nodes have sent of them; hints, and no proof of anything.
	Pushed map[mesh.ClusterID]PushRecord
	// CertificateRead is when certcheck last read a certificate over a node's own
	// port: a second witness of whether the node is there.
	CertificateRead map[mesh.ClusterID]map[mesh.NodeName]time.Time
	// Changing are the pairs that a plan changes now, each with the plan's id.
	Changing map[mesh.PeerID]string
}

// maxAge is how long a fact of peersync's stays usable: two of its periods.
func (f *Facts) maxAge() time.Duration { return 2 * f.Tick }

func (f *Facts) record(id mesh.ClusterID) *ClusterRecord {
	if r := f.Clusters[id]; r != nil {
		return r
	}
	return &ClusterRecord{}
}

// View is the facts, and what all judgements of that instant share, worked out
// once: each link with its two ends, and what Peerkeeper sees of each cluster.
// Facts that change afterwards need a View of their own.
type View struct {
	Facts
	ends  map[mesh.ClusterID]*end
	links map[mesh.PeerID]*link
	// named are the clusters by what a peer table may call their nodes: by the
	// node's name, or by the host part of its address.
	named map[string][]*end
}

// end is one cluster, as the links that meet there know it.
type end struct {
	*mesh.Cluster
	record          *ClusterRecord           // never nil
	entries         Fact[[]Entry]            // as they stand at this instant
	found           map[mesh.ClusterID]found // in its peer table, by the cluster that is named
	users           map[mesh.ClusterID]int   // counted here, by their home
	pulls, pulledBy []*link                  // from others; others from here
	visibility      Visibility
	log             *LogRecord // nil where it is not read
}

// found is what a peer table has of one cluster.
type found struct {
	entry    Entry // names its publisher
	hasEntry bool
	other    *Entry // names another of its nodes, or an address
}

// View works out what all judgements of these facts share.
func (f Facts) View() *View {
	v := &View{Facts: f, ends: map[mesh.ClusterID]*end{}, links: map[mesh.PeerID]*link{}, named: map[string][]*end{}}
	for i := range f.Mesh.Clusters {
		e := v.newEnd(&f.Mesh.Clusters[i])
		v.ends[e.ID] = e
		for _, name := range e.names() {
			v.named[name] = append(v.named[name], e)
		}
	}
	for _, e := range v.ends {
		v.read(e)
	}
	for _, p := range f.Mesh.Peers {
		l := v.newLink(p)
		v.links[p.ID] = l
		l.puller.pulls = append(l.puller.pulls, l)
		l.home.pulledBy = append(l.home.pulledBy, l)
	}
	for _, e := range v.ends {
		e.visibility = v.see(e)
	}
	return v
}

func (v *View) newEnd(c *mesh.Cluster) *end {
	r := v.record(c.ID)
	e := &end{Cluster: c, record: r, entries: r.Seen.Entries.Fresh(v.Now, v.maxAge()), found: map[mesh.ClusterID]found{}, users: map[mesh.ClusterID]int{}}
	e.log = v.log(e)
	return e
}

// read sorts what a cluster counts and lists by the clusters that are named.
func (v *View) read(e *end) {
	for name, n := range e.record.Seen.Users.Value {
		if home := v.owner(name); home != nil {
			e.users[home.ID] += n
		}
	}
	e.found, _ = v.sort(e.record.Seen.Entries.Value)
}

// sort sorts a peer table by the clusters that its entries name; of the strangers no
// cluster in mesh.yaml is known.
func (v *View) sort(table []Entry) (by map[mesh.ClusterID]found, strangers []string) {
	by = map[mesh.ClusterID]found{}
	for _, entry := range table {
		ends := v.named[mesh.NameKey(entry.Address)]
		if ends == nil {
			strangers = append(strangers, entry.Address)
		}
		for _, to := range ends {
			f := by[to.ID]
			if mesh.SameName(entry.Address, string(to.Publisher)) {
				f.entry, f.hasEntry = entry, true
			} else {
				f.other = &entry
			}
			by[to.ID] = f
		}
	}
	return by, strangers
}

// Listed is what a peer table has of one cluster.
type Listed struct {
	Entry Entry // names its publisher
	Found bool
	// Other is an entry that names another of its nodes, or an address; nil if none does.
	Other *Entry
	// Strangers are addresses that mesh.yaml knows of no cluster: one may be its own all
	// the same, such as an IP address that only DNS knows.
	Strangers []string
}

// Listed finds in a peer table, as it was just read, what names a cluster.
func (v *View) Listed(table []Entry, to mesh.ClusterID) Listed {
	by, strangers := v.sort(table)
	f := by[to]
	return Listed{Entry: f.entry, Found: f.hasEntry, Other: f.other, Strangers: strangers}
}

// end is a cluster with what is known of it; one that is not in mesh.yaml has no
// nodes.
func (v *View) end(id mesh.ClusterID) *end {
	if e := v.ends[id]; e != nil {
		return e
	}
	e := v.newEnd(&mesh.Cluster{ID: id})
	v.read(e)
	return e
}

// link is a peer with its two ends, be it in mesh.yaml or not.
func (v *View) link(id mesh.PeerID) *link {
	if l := v.links[id]; l != nil {
		return l
	}
	return v.newLink(mesh.Peer{ID: id})
}

// owner is the cluster that has a node of this name; nil if none has.
func (v *View) owner(name mesh.NodeName) *end {
	for _, e := range v.named[mesh.NameKey(string(name))] {
		if _, ok := e.Node(name); ok {
			return e
		}
	}
	return nil
}

// names are what a peer table may call the cluster's nodes, as NameKey has it. A
// loopback address tells no node from another.
func (e *end) names() []string {
	names := []string{mesh.NameKey(string(e.Publisher))}
	for _, n := range e.Nodes {
		names = append(names, mesh.NameKey(string(n.Name)))
		if host, _, err := net.SplitHostPort(n.Address); err == nil && !strings.HasPrefix(host, "127.") {
			names = append(names, mesh.NameKey(host))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// usersOf is how many users of a home are counted here: its own, or copies.
func (e *end) usersOf(home *end) Fact[int] {
	all := e.record.Seen.Users
	return Fact[int]{Knowledge: all.Knowledge, Value: e.users[home.ID], At: all.At, Reason: all.Reason, Detail: all.Detail}
}

// blind explains why a datum of the cluster is not Known: our own trouble with
// the cluster comes before the single request's reason.
func (e *end) blind(why Reason, detail string) verdict {
	if e.visibility.Trouble != "" {
		return unsure(e.visibility.Trouble, "%s: %s", e.ID, e.visibility.Message)
	}
	if detail == "" {
		return unsure(why, "no data from %s yet", e.ID)
	}
	return unsure(why, "%s: %s", e.ID, detail)
}

func pullsOf(m *mesh.Mesh, id mesh.ClusterID) []mesh.PeerID {
	var out []mesh.PeerID
	for _, p := range m.Peers {
		if p.ID.From == id {
			out = append(out, p.ID)
		}
	}
	return out
}
