package cluster_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/check"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/soap"
)

// TestWhatIsReadBeforeARestartThatSignsPeopleOut: each case is the simulated cluster
// with one thing changed, and what is then known of one node.
func TestWhatIsReadBeforeARestartThatSignsPeopleOut(t *testing.T) {
	known := func(f peer.Fact[int], want int) bool {
		got, ok := f.Get()
		return ok && got == want
	}
	fault := func(r *rig, times int) {
		r.Fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultSOAP, When: clustersim.Before, Times: times})
	}
	for _, c := range []struct {
		name   string
		change func(*rig, *mesh.Cluster)
		node   mesh.NodeName
		says   string // what stops a restart there; "" = nothing
		holds  func(peer.NodeReadiness) bool
	}{
		{"all is well", func(*rig, *mesh.Cluster) {}, emeaSub, "", func(n peer.NodeReadiness) bool {
			group, ok := n.Group.Get()
			on, told := n.HA.Get()
			return ok && group == "DefaultCUPSubcluster" && told && on && known(n.HAState, 3) && known(n.Replication, peer.ReplicationGood) && known(n.SRM, peer.SRMNormal) && known(n.People, 40) &&
				n.Services.Value[peer.XCPRouter].Started() && n.Services.Value["Cisco XCP Message Archiver"].Code == -1068
		}},
		{"replication is bad on the other node", func(r *rig, _ *mesh.Cluster) {
			r.Change("emea", clustersim.Replication{Node: string(emeaSub), State: new(3)})
		}, emeaPub, "Replicate_State) of " + string(emeaSub), func(n peer.NodeReadiness) bool { return known(n.Replication, 2) }},
		{"one of several replicates is bad", func(r *rig, _ *mesh.Cluster) {
			r.Change("emea", clustersim.Perfmon{Node: string(emeaPub), Counter: "Replicate_State", Value: new(int64(4))})
		}, emeaPub, "is 4", func(n peer.NodeReadiness) bool { return known(n.Replication, 4) }},
		{"high availability is off", func(r *rig, _ *mesh.Cluster) { r.Change("emea", clustersim.HA{Enabled: new(false)}) }, emeaPub, "", func(n peer.NodeReadiness) bool {
			on, told := n.HA.Get()
			return told && !on && known(n.HAState, 2) && known(n.SRM, peer.SRMIdle)
		}},
		{"declared as on, and turned off since", func(r *rig, cl *mesh.Cluster) {
			cl.HA = mesh.On
			r.Change("emea", clustersim.HA{Enabled: new(false)})
		}, emeaPub, "", func(n peer.NodeReadiness) bool { on, told := n.HA.Get(); return told && !on }},
		{"the database refuses to tell", func(r *rig, _ *mesh.Cluster) { fault(r, 1) }, emeaPub, "the redundancy group of", func(n peer.NodeReadiness) bool {
			return n.HA.Why() == peer.QueryRefused && !n.Group.Known() && known(n.HAState, 3)
		}},
		{"the database refuses to tell, and it is declared as on", func(r *rig, cl *mesh.Cluster) { cl.HA = mesh.On; fault(r, 1) }, emeaPub, "", func(n peer.NodeReadiness) bool { on, told := n.HA.Get(); return told && on && n.Group.Known() }},
		{"the same of three nodes, which may be two groups", func(r *rig, cl *mesh.Cluster) {
			cl.HA, cl.Nodes = mesh.On, append(cl.Nodes, mesh.Node{Name: "imp-emea-sub2.example.com", Address: "192.0.2.250:8443"})
			fault(r, 1)
		}, emeaPub, "of imp-emea-sub2.example.com could not be read (CannotConnect)", func(n peer.NodeReadiness) bool { return n.HA.Known() && !n.Group.Known() }},
		{"the database refuses to tell, and it is declared as off", func(r *rig, cl *mesh.Cluster) { cl.HA = mesh.Off; fault(r, 1) }, emeaPub, "", func(n peer.NodeReadiness) bool { on, told := n.HA.Get(); return told && !on && n.Group.Known() }},
		{"the database tells nothing at all", func(r *rig, cl *mesh.Cluster) { cl.HA = mesh.Off; fault(r, 2) }, emeaPub, "the high availability state of", func(n peer.NodeReadiness) bool {
			return n.HAState.Why() == peer.QueryRefused && known(n.People, 40)
		}},
		{"AXL is not activated", func(r *rig, _ *mesh.Cluster) {
			r.Change("emea", clustersim.Services{Node: string(emeaPub), Service: peer.AXL, Status: "NotActivated"})
		}, emeaPub, "the redundancy group of", func(n peer.NodeReadiness) bool {
			return n.HAState.Why() == peer.ServiceNotActive && known(n.Replication, 2) && known(n.People, 40) && n.Services.Value[peer.AXL].Code == -1068
		}},
		{"nobody uses the web clients' service", func(r *rig, _ *mesh.Cluster) {
			r.Change("emea", clustersim.Services{Node: string(emeaPub), Service: "Cisco XCP Web Connection Manager", Status: "NotActivated"})
		}, emeaPub, "", func(n peer.NodeReadiness) bool { return known(n.People, 35) }},
		{"neither of the two that people connect to tells", func(r *rig, _ *mesh.Cluster) {
			for _, service := range []string{"Cisco XCP Web Connection Manager", "Cisco XCP Connection Manager"} {
				r.Change("emea", clustersim.Services{Node: string(emeaPub), Service: service, Status: "NotActivated"})
			}
		}, emeaPub, "the number of people", func(n peer.NodeReadiness) bool { return n.People.Why() == peer.NotObservable }},
		{"a number of people that is none", func(r *rig, _ *mesh.Cluster) {
			r.Change("emea", clustersim.Perfmon{Node: string(emeaPub), Counter: "CmConnectedSockets", Value: new(int64(-5))})
		}, emeaPub, "the number of people", func(n peer.NodeReadiness) bool { return n.People.Why() == peer.UnreadableAnswer }},
		{"the account lacks the role for PerfMon", func(r *rig, _ *mesh.Cluster) { r.Change("emea", clustersim.Perfmon{Roles: new(false)}) }, emeaPub, "Replicate_State", func(n peer.NodeReadiness) bool {
			return n.Replication.Why() == check.PerfMonRefused && n.SRM.Why() == check.PerfMonRefused && n.People.Why() == check.PerfMonRefused && n.Services.Known()
		}},
		{"a node is down", func(r *rig, _ *mesh.Cluster) {
			r.Change("emea", clustersim.Nodes{Node: string(emeaSub), Down: new(true)})
		}, emeaPub, "of " + string(emeaSub) + " could not be read (CannotConnect)", func(n peer.NodeReadiness) bool {
			return known(n.Replication, 2) && known(n.SRM, 3) && known(n.HAState, 3)
		}},
		{"a node that mesh.yaml does not list", func(r *rig, _ *mesh.Cluster) { r.Change("emea", clustersim.Nodes{Add: "imp-emea-sub2.example.com"}) }, emeaPub, "of imp-emea-sub2.example.com could not be read (NotChecked)", func(n peer.NodeReadiness) bool { return known(n.Replication, 2) }},
		{"a node that is alone in its redundancy group", func(r *rig, cl *mesh.Cluster) {
			r.Change("emea", clustersim.Nodes{Add: "imp-emea-sub2.example.com"})
			for _, h := range r.Hosts() {
				if h.Name == "imp-emea-sub2.example.com" {
					cl.Nodes = append(cl.Nodes[:2:2], mesh.Node{Name: mesh.NodeName(h.Name), Address: h.Address})
				}
			}
		}, "imp-emea-sub2.example.com", "", func(n peer.NodeReadiness) bool {
			group, ok := n.Group.Get()
			on, told := n.HA.Get()
			return ok && group == "Subcluster2" && told && !on && known(n.HAState, 2) && known(n.SRM, peer.SRMIdle) && known(n.People, 0)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, clustersim.Config{Clusters: 1, Users: 100}, false)
			cl := *r.declared("emea")
			c.change(r, &cl)
			client, err := r.Open(t.Context(), &cl, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			read, err := client.Readiness(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !c.holds(read.Nodes[c.node]) {
				t.Errorf("read of %s: %+v", c.node, read.Nodes[c.node])
			}
			if why := read.WhyNotRestart(c.node); c.says != "" && !strings.Contains(why, c.says) || c.says == "" && why != "" {
				t.Errorf("a restart is stopped by %q, want %q", why, c.says)
			}
		})
	}
}

// TestReadinessFollowsARestartOfTheRouter: people are signed out and come back; one that
// takes too long fails over, which stops the next restart until somebody falls back.
func TestReadinessFollowsARestartOfTheRouter(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 1, Users: 100}, false)
	k := r.controller("emea")
	router := func(s clustersim.Services) clustersim.Change {
		s.Node, s.Service = string(emeaPub), peer.XCPRouter
		return s
	}
	expect := func(when string, people, partners int, router, why string) {
		t.Helper()
		read, err := k.Readiness(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := read.Nodes[emeaPub]
		if n.People.Value != people || read.Nodes[emeaSub].People.Value != partners || n.Services.Value[peer.XCPRouter].Status != router {
			t.Errorf("%s: %d people, %d on the other node, the router is %s; want %d, %d, %s", when, n.People.Value, read.Nodes[emeaSub].People.Value, n.Services.Value[peer.XCPRouter].Status, people, partners, router)
		}
		if got := read.WhyNotRestart(emeaPub); why == "" && got != "" || !strings.Contains(got, why) {
			t.Errorf("%s: a restart is stopped by %q, want %q", when, got, why)
		}
	}
	restart := func() {
		t.Helper()
		if err := k.Control(t.Context(), emeaPub, peer.RestartService, peer.XCPRouter); err != nil {
			t.Fatal(err)
		}
	}
	expect("before", 40, 40, "Started", "")
	restart()
	r.Pass(time.Minute)
	expect("a minute after", 0, 40, "Started", "")
	r.Pass(10 * time.Minute)
	expect("ten minutes later", 40, 40, "Started", "")
	r.Change("emea", router(clustersim.Services{Takes: new("3m")}))
	restart()
	r.Pass(2 * time.Minute)
	expect("while it starts", 0, 40, "Starting", "Failed Over")
	r.Pass(10 * time.Minute)
	expect("when it runs", 0, 80, "Started", "Failed Over")
	r.Change("emea", clustersim.HA{Fallback: true})
	r.Pass(10 * time.Minute)
	expect("after the fallback", 40, 40, "Started", "")
	r.Change("emea", router(clustersim.Services{StaysDown: new(true)}))
	restart()
	r.Pass(4 * time.Minute)
	expect("when it did not come back", 0, 42, "Stopped", "Failed Over")
	if s := r.Cluster("emea"); s.RouterRestarts != 3 || s.Writes != 3 {
		t.Errorf("%d restarts, %d writes", s.RouterRestarts, s.Writes)
	}
}

// TestReadinessWithTheWriteAccount: what a restart is judged by is read by the account
// that sends it.
func TestReadinessWithTheWriteAccount(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 1, Users: 100}, false)
	r.Change("emea", clustersim.Perfmon{Roles: new(false)}) // the read account's alone
	read, err := r.controller("emea").Readiness(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []mesh.NodeName{emeaPub, emeaSub} {
		if why := read.WhyNotRestart(n); why != "" {
			t.Errorf("%s: %s", n, why)
		}
	}
	if s := r.Cluster("emea"); s.Writes != 0 {
		t.Errorf("%d writes", s.Writes)
	}
}

// TestPerfMonThatRefusesIsAskedOnce: over all nodes, and the account stays in use.
func TestPerfMonThatRefusesIsAskedOnce(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 1, Users: 100}, false)
	for _, kind := range []clustersim.FaultKind{clustersim.FaultHTTP401, clustersim.FaultHTTP403} {
		r.Fault(clustersim.Fault{Cluster: "emea", Operation: "perfmonCollectCounterData", Kind: kind, When: clustersim.Before, Times: 1})
		guard := &noted{}
		client, err := r.Open(t.Context(), r.declared("emea"), guard, nil)
		if err != nil {
			t.Fatal(err)
		}
		before := r.Requests("emea")["perfmonCollectCounterData"]
		read, err := client.Readiness(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if asked := r.Requests("emea")["perfmonCollectCounterData"] - before; asked != 1 || read.Nodes[emeaSub].SRM.Why() != check.PerfMonRefused {
			t.Errorf("%s: PerfMon was asked %d times, and SRMState reads %s", kind, asked, read.Nodes[emeaSub].SRM.Why())
		}
		if guard.versions != nil {
			t.Errorf("%s: the account was noted as rejected: %v", kind, guard.versions)
		}
	}
}

// TestABusyPerfMonIsAskedAgain: as patiently as AXL is.
func TestABusyPerfMonIsAskedAgain(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 1, Users: 100}, false)
	r.Fault(clustersim.Fault{Cluster: "emea", Operation: "perfmonCollectCounterData", Kind: clustersim.FaultHTTP503, When: clustersim.Before, Times: 2})
	read, err := r.client("emea").Readiness(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := read.Nodes[emeaPub]; !n.SRM.Known() || !n.Replication.Known() || !n.People.Known() {
		t.Errorf("after two refusals that pass: %+v", n)
	}
}

// TestReadinessOfARejectedAccountAsksNothingElse.
func TestReadinessOfARejectedAccountAsksNothingElse(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 1, Users: 100}, false)
	client := r.client("emea")
	r.Change("emea", clustersim.Credentials{Password: new("another")})
	if _, err := client.Readiness(t.Context()); soap.KindOf(err) != soap.AccountRejected {
		t.Errorf("got %v", err)
	}
	if _, _, rejected := r.Load("emea"); rejected != 1 {
		t.Errorf("%d log-ins were rejected", rejected)
	}
}

// TestReadinessThatIsCancelledKnowsNothing: and says so of every node.
func TestReadinessThatIsCancelledKnowsNothing(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 1, Users: 100}, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	read, err := r.client("emea").Readiness(ctx)
	if err != nil || len(read.Nodes) != 2 {
		t.Fatalf("%d nodes, %v", len(read.Nodes), err)
	}
	for name, n := range read.Nodes {
		if n.Replication.Known() || n.People.Known() || n.HAState.Known() || n.HA.Known() || read.WhyNotRestart(name) == "" {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

// noted is a guard that remembers what was noted as rejected.
type noted struct{ versions []string }

func (n *noted) Rejected(context.Context) (string, error) { return "", nil }

func (n *noted) Reject(_ context.Context, version, _ string) error {
	n.versions = append(n.versions, version)
	return nil
}
