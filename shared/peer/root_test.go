package peer

import (
	"slices"
	"testing"

	"peerkeeper/shared/mesh"
)

// RootOf: a cause in one cluster is one cause, however many peers feel it.
func TestRootOf(t *testing.T) {
	fails := func(t Type) []Condition { return []Condition{{Type: t, Status: False}} }
	id := func(s string) mesh.PeerID {
		p, err := mesh.ParsePeerID(s)
		if err != nil {
			panic(err)
		}
		return p
	}
	for _, c := range []struct {
		name    string
		failing map[string]Type
		stop    mesh.ClusterID // whose AXL is stopped
		want    map[string]mesh.ClusterID
		causes  int
	}{
		{"apac is down", map[string]Type{"emea>apac": Reachable, "amer>apac": Reachable, "c04>apac": Reachable}, "", map[string]mesh.ClusterID{"emea>apac": "apac", "c04>apac": "apac"}, 1},
		{"apac's certificate expired", map[string]Type{"emea>apac": CertificateTrusted, "amer>apac": CertificateTrusted}, "", map[string]mesh.ClusterID{"amer>apac": "apac"}, 1},
		{"apac's AXL is stopped", map[string]Type{"emea>apac": ServicesRunning, "amer>apac": ServicesRunning, "apac>emea": ServicesRunning}, "apac", map[string]mesh.ClusterID{"emea>apac": "apac", "apac>emea": "apac"}, 1},
		{"apac changed the intercluster account", map[string]Type{"emea>apac": Authenticated, "amer>apac": Authenticated}, "", map[string]mesh.ClusterID{"emea>apac": "apac"}, 1},
		{"one wrong password", map[string]Type{"emea>apac": Authenticated}, "", map[string]mesh.ClusterID{"emea>apac": "emea"}, 1},
		{"two wrong passwords", map[string]Type{"emea>apac": Authenticated, "amer>emea": Authenticated}, "", map[string]mesh.ClusterID{"amer>emea": "amer"}, 2},
		{"emea's whole ICSA", map[string]Type{"emea>apac": Synced, "emea>amer": Synced, "emea>c04": Synced}, "", map[string]mesh.ClusterID{"emea>c04": "emea"}, 1},
		{"all stand towards apac", map[string]Type{"emea>apac": Synced, "amer>apac": Synced, "c04>apac": Synced}, "", map[string]mesh.ClusterID{"emea>apac": "apac"}, 1},
		{"two hold other users of apac", map[string]Type{"emea>apac": UsersMatch, "amer>apac": UsersMatch}, "", map[string]mesh.ClusterID{"emea>apac": "apac", "amer>apac": "apac"}, 1},
		{"one holds other users of apac", map[string]Type{"emea>apac": UsersMatch}, "", map[string]mesh.ClusterID{"emea>apac": "emea"}, 1},
		{"every cluster's ICSA", map[string]Type{
			"emea>apac": Synced, "emea>amer": Synced, "emea>c04": Synced, "apac>emea": Synced, "apac>amer": Synced, "apac>c04": Synced,
			"amer>emea": Synced, "amer>apac": Synced, "amer>c04": Synced,
		}, "", map[string]mesh.ClusterID{"amer>apac": "amer"}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, _, _ := stuck{clusters: 4}.view()
			if c.stop != "" {
				pub := mesh.NodeName("imp-" + c.stop + "-pub.example.com")
				v.Clusters[c.stop].Seen.Nodes[pub].Services.Value[AXL] = Service{Status: "Stopped", UpTime: -1}
			}
			conditions := map[mesh.PeerID][]Condition{}
			for s, typ := range c.failing {
				conditions[id(s)] = fails(typ)
			}
			roots := map[Root]bool{}
			for s := range c.failing {
				root, ok := RootOf(v, id(s), conditions)
				if want, named := c.want[s]; !ok || named && root.Cluster != want {
					t.Errorf("%s: %+v, want in %s", s, root, want)
				}
				roots[root] = true
			}
			if len(roots) != c.causes {
				t.Errorf("causes %v, want %d", roots, c.causes)
			}
		})
	}
}

// What is well, or of which nothing is known, has no root.
func TestWhatIsWellHasNoRoot(t *testing.T) {
	for _, status := range []Status{True, UnknownStatus, ""} {
		var conditions []Condition
		for _, typ := range append(Causes(), Synced, UsersMatch) {
			conditions = append(conditions, Condition{Type: typ, Status: status})
		}
		if root, ok := RootOf(newScene().View(), watched, map[mesh.PeerID][]Condition{watched: conditions}); ok {
			t.Errorf("all %q, and put down to %+v", status, root)
		}
	}
}

// TestWhereBothEndsLackAServiceThePullersOwnComesFirst: it is mended first, and what
// the other end lacks shows then.
func TestWhereBothEndsLackAServiceThePullersOwnComesFirst(t *testing.T) {
	conditions := map[mesh.PeerID][]Condition{watched: {{Type: ServicesRunning, Status: False}}}
	for _, c := range []struct {
		name       string
		puller     string // what is stopped there
		home       string
		accusation mesh.ClusterID
	}{
		{"ICSA here and AXL there", ICSA, AXL, "emea"},
		{"AXL there", "", AXL, "apac"},
		{"nothing that is known, on either side", "", "", "emea"},
		{"ICSA here", ICSA, "", "emea"},
		{"the Sync Agent here, whose node is listed last", SyncAgent, AXL, "emea"},
		{"ICSA there, which is the other direction's", "", ICSA, "emea"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			emea, _ := s.Mesh.Cluster("emea")
			slices.Reverse(emea.Nodes)
			s.service("apac", pub("apac"), AXL, "Unknown") // proves nothing
			if c.puller != "" {
				s.service("emea", pub("emea"), c.puller, "Stopped")
			}
			if c.home != "" {
				s.service("apac", pub("apac"), c.home, "Stopped")
			}
			if root, ok := RootOf(s.View(), watched, conditions); !ok || root.Cluster != c.accusation {
				t.Errorf("%+v, want in %s", root, c.accusation)
			}
		})
	}
}

func TestAPeerThatIsWellHasNoCause(t *testing.T) {
	for name, is := range map[string]Status{"well": True, "nothing is known": UnknownStatus} {
		var all []Condition
		for _, typ := range Types() {
			all = append(all, Condition{Type: typ, Status: is})
		}
		if root, ok := RootOf(newScene().View(), watched, map[mesh.PeerID][]Condition{watched: all}); ok {
			t.Errorf("%s: %+v", name, root)
		}
	}
}

// TestWhatIsNotReadStandsStillForNothing: a service is stopped that was read to be.
func TestWhatIsNotReadStandsStillForNothing(t *testing.T) {
	s := newScene()
	s.service("emea", pub("emea"), ICSA, "Unknown")
	s.service("apac", sub("apac"), AXL, "Stopped") // which nobody who pulls from it needs
	s.service("emea", sub("emea"), SyncAgent, "Stopped")
	s.unread("amer", pub("amer"), TimedOut)
	v := s.View()
	for _, id := range []mesh.ClusterID{"emea", "apac", "amer", "elsewhere"} {
		if v.stopped(id, true) {
			t.Errorf("%s lacks a service for those who pull from it", id)
		}
	}
	if v.stopped("emea", false) || v.stopped("elsewhere", false) {
		t.Error("a service that was not read, or need not run, counts as stopped")
	}
}
