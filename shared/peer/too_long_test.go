package peer

import (
	"slices"
	"strings"
	"testing"

	"peerkeeper/shared/mesh"
)

// Whatever a cluster sends too much of is said, once for each field and node, and
// with the node that sent it: what is the cluster's comes from its publisher.
func TestEachFieldThatIsCutIsSaid(t *testing.T) {
	node := func(change func(n *Node)) func(s *scene) {
		return func(s *scene) {
			n := s.emea().Seen.Nodes[sub("emea")]
			change(&n)
			s.emea().Seen.Nodes[sub("emea")] = n
		}
	}
	for _, c := range []struct {
		name string
		cut  func(s *scene)
		want []string
	}{
		{"nothing", func(*scene) {}, nil},
		{"services of a subscriber", node(func(n *Node) { n.Services.Cut = "reason" }), []string{"reason of imp-emea-sub.example.com"}},
		{"its release", node(func(n *Node) { n.Version.Cut = "version" }), []string{"version of imp-emea-sub.example.com"}},
		{"its HA state", node(func(n *Node) { n.HAState.Cut = "ha_state" }), []string{"ha_state of imp-emea-sub.example.com"}},
		{"its parameters", node(func(n *Node) { n.Parameters.Cut = "parameter" }), []string{"parameter of imp-emea-sub.example.com"}},
		{"the topology", func(s *scene) { s.emea().Seen.Topology.Cut = "node" }, []string{"node of imp-emea-pub.example.com"}},
		{"users", func(s *scene) { s.emea().Seen.Users.Cut = "node" }, []string{"node of imp-emea-pub.example.com"}},
		{"peer entries, by two fields", func(s *scene) { s.emea().Seen.Entries.Cut = "address, last_error" }, []string{"address of imp-emea-pub.example.com", "last_error of imp-emea-pub.example.com"}},
		{"the Sync Agent's status", func(s *scene) { s.emea().Seen.SyncAgent.Cut = "sync_status" }, []string{"sync_status of imp-emea-pub.example.com"}},
		{"a digest of buckets", func(s *scene) {
			s.Buckets = map[mesh.ClusterID]Fact[Buckets]{"emea": {Cut: "user"}}
		}, []string{"user of imp-emea-pub.example.com"}},
		{"a digest of all users", func(s *scene) { s.emea().UserSet.Cut = "user" }, []string{"user of imp-emea-pub.example.com"}},
		{"one field in two answers", func(s *scene) { s.emea().Seen.Topology.Cut, s.emea().Seen.Users.Cut = "node", "node" }, []string{"node of imp-emea-pub.example.com"}},
		{"one field of a node, and of the cluster", func(s *scene) {
			node(func(n *Node) { n.Services.Cut = "node" })(s)
			s.emea().Seen.Users.Cut = "node"
		}, []string{"node of imp-emea-sub.example.com", "node of imp-emea-pub.example.com"}},
		{"another cluster's", func(s *scene) { s.apac().Seen.Users.Cut = "node" }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.cut(s)
			emea, _ := s.Mesh.Cluster("emea")
			var got []string
			for _, x := range s.View().tooLong(emea) {
				got = append(got, x.field+" of "+string(x.from))
				if want := string(x.from) + " sends " + x.field + " longer than any lawful value"; !strings.HasPrefix(x.message(), want) {
					t.Errorf("%q does not begin with %q", x.message(), want)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
