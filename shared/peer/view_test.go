package peer

import (
	"slices"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

// Users are counted by the cluster whose node they are at home on; those of a node
// that mesh.yaml does not know are nobody's.
func TestWhoseUsersAreCounted(t *testing.T) {
	s := newScene()
	s.emea().Seen.Users.Value["imp-gone.example.com"] = 7
	v := s.View()
	for _, id := range []mesh.ClusterID{"emea", "apac", "amer"} {
		if got := v.end("emea").usersOf(v.end(id)); got.Value != 200 {
			t.Errorf("%d of %s, want 200", got.Value, id)
		}
	}
	if got := v.end("emea").usersOf(v.end("elsewhere")); got.Value != 0 {
		t.Errorf("%d of a cluster that is not in mesh.yaml", got.Value)
	}
}

// A peer table may name a node by its name or by its address; a loopback address,
// as the simulator's nodes have, tells no node from another.
func TestByWhatAPeerTableMayNameANode(t *testing.T) {
	for address, want := range map[string][]string{
		"192.0.2.10:8443":       {"192.0.2.10", "imp-x-pub.example.com"},
		"[2001:db8::10]:8443":   {"2001:db8::10", "imp-x-pub.example.com"},
		"IMP.example.net.:8443": {"imp-x-pub.example.com", "imp.example.net"},
		"127.0.0.1:8443":        {"imp-x-pub.example.com"},
		"127.0.0.1":             {"imp-x-pub.example.com"},
		"192.0.2.10":            {"imp-x-pub.example.com"},
		"":                      {"imp-x-pub.example.com"},
	} {
		e := &end{Cluster: &mesh.Cluster{Publisher: "IMP-x-pub.example.com", Nodes: []mesh.Node{{Name: "imp-x-pub.example.com.", Address: address}}}}
		if got := e.names(); !slices.Equal(got, want) {
			t.Errorf("at %q: %q, want %q", address, got, want)
		}
	}
}

// An address leads to an entry, never to a node's users: those are counted by name.
func TestWhoHasANode(t *testing.T) {
	s := newScene()
	apac, _ := s.Mesh.Cluster("apac")
	apac.Nodes[0].Address = "192.0.2.20:8443"
	v := s.View()
	for name, want := range map[mesh.NodeName]mesh.ClusterID{pub("apac"): "apac", sub("amer"): "amer", "IMP-EMEA-PUB.example.com.": "emea", "192.0.2.20": "", "imp-gone.example.com": ""} {
		got := mesh.ClusterID("")
		if e := v.owner(name); e != nil {
			got = e.ID
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Of what was not read, the reason is said, and nothing of what is not in mesh.yaml
// is judged or done.
func TestWhatIsNotInMeshYAML(t *testing.T) {
	v := newScene().View()
	if got := v.end("emea").blind(NotChecked, ""); got.reason != NotChecked || got.message != "no data from emea yet" {
		t.Errorf("%+v", got)
	}
	if got := v.end("emea").blind(QueryRefused, "fault 1"); got.message != "emea: fault 1" {
		t.Errorf("%+v", got)
	}
	v.Clusters["elsewhere"] = v.Clusters["emea"]
	if got := Starts(v, "elsewhere"); len(got) != 0 {
		t.Errorf("started there: %+v", got)
	}
	if v.AgentOlder("elsewhere", noon) {
		t.Error("of a cluster that is not in mesh.yaml it is known since when its ICSA runs")
	}
}

// Since when ICSA has run is told by a Started service with an up-time, and by
// nothing else.
func TestSinceWhenICSARuns(t *testing.T) {
	for _, c := range []struct {
		name    string
		service Service
		listed  bool
		want    bool
	}{
		{"since before", Service{Status: "Started", UpTime: 2 * time.Hour}, true, true},
		{"since that very instant", Service{Status: "Started", UpTime: time.Hour}, true, true},
		{"since after", Service{Status: "Started", UpTime: 59 * time.Minute}, true, false},
		{"its up-time is not told", Service{Status: "Started", UpTime: -1}, true, false},
		{"it does not run", Service{Status: "Stopped", UpTime: 2 * time.Hour}, true, false},
		{"it is not listed", Service{}, false, false},
	} {
		s := newScene()
		services := map[string]Service{}
		if c.listed {
			services[ICSA] = c.service
		}
		n := s.emea().Seen.Nodes[pub("emea")]
		n.Services = Known(services, noon)
		s.emea().Seen.Nodes[pub("emea")] = n
		if got := s.View().AgentOlder("emea", ago(time.Hour)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
