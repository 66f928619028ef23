package peer

import (
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

func TestStarts(t *testing.T) {
	v, _, _ := stuck{}.view()
	pub := mesh.NodeName("imp-emea-pub.example.com")
	stop := func(name string, since time.Time) {
		r := v.Clusters["emea"]
		r.Seen.Nodes[pub].Services.Value[name] = Service{Status: "Stopped", UpTime: -1}
		r.Findings = append(r.Findings, Finding{ID: IDOf(ServiceStopped, string(pub), name), Reason: ServiceStopped, Node: pub, Since: since})
	}
	for _, name := range []string{ICSA, XCPRouter, SIPProxy, SRM} {
		stop(name, at12.Add(-10*time.Minute))
	}
	stop(AXL, at12) // seen once
	got := Starts(v, "emea")
	if len(got) != 1 || got[0].Target.Service != ICSA || got[0].Action != StartService {
		t.Errorf("%+v", got)
	}
	v.Clusters["emea"].Seen.Nodes[pub] = Node{} // not read
	if got := Starts(v, "emea"); len(got) != 0 {
		t.Errorf("on what is not known: %+v", got)
	}
}

// The AXL Web Service of a publisher is restarted, with approval, where it fails
// although Control Center shows it started.
func TestWhenARestartOfAXLIsProposed(t *testing.T) {
	fails := func(s *scene, why Reason) { s.apac().Seen.Users = Unknown[map[mesh.NodeName]int](why, "") }
	for _, c := range []struct {
		name   string
		change func(s *scene)
		of     mesh.ClusterID
		want   bool
	}{
		{"it answers", func(*scene) {}, "apac", false},
		{"it gives no answer", func(s *scene) { fails(s, TimedOut) }, "apac", true},
		{"it is not there", func(s *scene) { fails(s, ServiceNotActive) }, "apac", true},
		{"its answer cannot be read", func(s *scene) { fails(s, UnreadableAnswer) }, "apac", true},
		{"the database refuses", func(s *scene) { fails(s, QueryRefused) }, "apac", false},
		{"the node is busy", func(s *scene) { fails(s, Overloaded) }, "apac", false},
		{"it is stopped", func(s *scene) { fails(s, TimedOut); s.service("apac", pub("apac"), AXL, "Stopped") }, "apac", false},
		{"what Control Center shows is old", func(s *scene) {
			fails(s, TimedOut)
			n := s.apac().Seen.Nodes[pub("apac")]
			n.Services.At = ago(11 * time.Minute)
			s.apac().Seen.Nodes[pub("apac")] = n
		}, "apac", false},
		{"Control Center does not answer either", func(s *scene) { fails(s, TimedOut); s.unread("apac", pub("apac"), TimedOut) }, "apac", false},
		{"our account is rejected", func(s *scene) { fails(s, TimedOut); s.reject("apac") }, "apac", false},
		{"of a cluster that is not in mesh.yaml", func(*scene) {}, "elsewhere", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.change(s)
			got := RemoteAXL(s.View(), c.of)
			if (len(got) == 1) != c.want {
				t.Fatalf("%+v, want one: %v", got, c.want)
			}
			if c.want && (got[0].Target != Target{Cluster: "apac", Node: pub("apac"), Service: AXL} || got[0].Action != RestartService || got[0].Approval == "" || got[0].MinAge != 2*time.Hour) {
				t.Errorf("%+v", got[0])
			}
		})
	}
}
