package peer

import (
	"fmt"
	"strings"

	"peerkeeper/shared/mesh"
)

// tooLong is a field of which a cluster sent more than any lawful one has: it
// was cut where it came in.
type tooLong struct {
	field string
	node  mesh.NodeName // "" if the field is the cluster's
	from  mesh.NodeName
}

func (t tooLong) message() string {
	return fmt.Sprintf("%s sends %s longer than any lawful value, or more of them than any cluster has: Peerkeeper keeps the beginning only. Look at that node: its database is damaged, or something else answers in its place", t.from, t.field)
}

// tooLong lists what a cluster sent too much of.
func (v *View) tooLong(c *mesh.Cluster) []tooLong {
	r := v.record(c.ID)
	var out []tooLong
	had := map[string]bool{}
	add := func(node mesh.NodeName, cut string) {
		if cut == "" {
			return
		}
		for field := range strings.SplitSeq(cut, ", ") {
			from := node
			if from == "" {
				from = c.Publisher
			}
			if key := string(node) + " " + field; !had[key] {
				had[key] = true
				out = append(out, tooLong{field, node, from})
			}
		}
	}
	for _, n := range c.Nodes {
		seen := r.Seen.Nodes[n.Name]
		for _, cut := range []string{seen.Services.Cut, seen.Version.Cut, seen.HAState.Cut, seen.Parameters.Cut} {
			add(n.Name, cut)
		}
	}
	for _, cut := range []string{r.Seen.Topology.Cut, r.Seen.Users.Cut, r.Seen.Entries.Cut, r.Seen.SyncAgent.Cut, v.Buckets[c.ID].Cut, r.UserSet.Cut} {
		add("", cut)
	}
	return out
}
