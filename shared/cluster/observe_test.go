package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/secret"
)

func TestObserveAWellCluster(t *testing.T) {
	for _, sockets := range []bool{false, true} {
		t.Run(fmt.Sprintf("sockets %v", sockets), func(t *testing.T) {
			r := newRig(t, clustersim.Config{Clusters: 3, Users: 40}, sockets)
			r.Pass(35 * time.Minute)
			o := r.look("emea")
			if ok, known := o.Access.Get(); !ok || !known {
				t.Fatalf("not let in: %+v", o.Access)
			}
			emea, _ := r.Mesh.Cluster("emea")
			apac, _ := r.Mesh.Cluster("apac")
			rec := peer.ClusterRecord{Seen: o}
			if n, ok := rec.UsersOf(emea).Get(); !ok || n != 40 {
				t.Errorf("%d home users (%v), want 40", n, ok)
			}
			if n, ok := rec.UsersOf(apac).Get(); !ok || n != 40 {
				t.Errorf("%d copies of apac's users (%v), want 40", n, ok)
			}
			i := slices.IndexFunc(o.Entries.Value, func(e peer.Entry) bool { return e.Address == string(apac.Publisher) })
			if i < 0 {
				t.Fatalf("no entry for apac: %+v", o.Entries)
			}
			e := o.Entries.Value[i]
			if !e.HasClock || e.LastSync.IsZero() || e.Protocol != mesh.TCP || e.Error != "" || !e.HasError {
				t.Errorf("entry for apac: %+v", e)
			}
			for name, n := range o.Nodes {
				services, known := n.Services.Get()
				if !known || !services[peer.ICSA].Started() || services[peer.ICSA].UpTime <= 0 {
					t.Errorf("ICSA on %s: %+v (%v)", name, services[peer.ICSA], known)
				}
				if p, ok := n.Parameters.Get(); !ok || p[peer.ParamInterval] != "30" {
					t.Errorf("parameters of %s: %v (%v)", name, p, ok)
				}
				if ha, ok := n.HAState.Get(); !ok || ha == 0 {
					t.Errorf("HA state of %s: %d (%v)", name, ha, ok)
				}
			}
			if agent, ok := o.SyncAgent.Get(); !ok || !has(agent, "Completed") {
				t.Errorf("Sync Agent: %q (%v)", agent, ok)
			}
			if skew, ok := o.Skew.Get(); !ok || skew.Abs() > time.Second {
				t.Errorf("skew %v (%v) between two who share a clock", skew, ok)
			}
			if w := r.Cluster("emea").Writes; w != 0 {
				t.Errorf("looking wrote %d times", w)
			}
		})
	}
}

// TestRequestBudget: five and one per node, however many peers, and one log-in
// per node for as long as sessions last.
func TestRequestBudget(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 6, Users: 10}, false)
	r.Change("apac", clustersim.Nodes{Add: "imp-apac-sub2.example.com"})
	r.Change("apac", clustersim.Nodes{Add: "imp-apac-sub3.example.com"})
	apac, _ := r.Mesh.Cluster("apac")
	for _, h := range r.Hosts() {
		if h.Cluster == "apac" && strings.Contains(h.Name, "sub2") || strings.Contains(h.Name, "sub3") {
			apac.Nodes = append(apac.Nodes, mesh.Node{Name: mesh.NodeName(h.Name), Address: h.Address})
		}
	}
	r.Pass(10 * time.Minute)
	for id, nodes := range map[mesh.ClusterID]int{"emea": 2, "apac": 4} {
		for tick := range 3 {
			before, _, _ := r.Load(id)
			if o := r.look(id); !o.Access.Known() || !o.Users.Known() || len(o.Nodes) != nodes {
				t.Fatalf("%s: not read: %+v", id, o.Access)
			}
			all, logIns, _ := r.Load(id)
			if got := all - before; got > 5+nodes {
				t.Errorf("%s, %d nodes, tick %d: %d requests, want at most %d", id, nodes, tick, got, 5+nodes)
			}
			if logIns != nodes {
				t.Errorf("%s, tick %d: %d log-ins so far, want one per node", id, tick, logIns)
			}
			r.Pass(5 * time.Minute)
		}
	}
}

// TestEveryNodesVersionIsReadInTurn: also when one of them cannot be.
func TestEveryNodesVersionIsReadInTurn(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	seen := map[mesh.NodeName]bool{}
	for range 4 {
		for name, n := range r.look("emea").Nodes {
			if n.Version.Known() {
				seen[name] = true
			}
		}
		r.Pass(5 * time.Minute)
	}
	if len(seen) != 2 {
		t.Errorf("read the versions of %v, want both nodes'", seen)
	}
}

func TestARejectedAccountIsTriedOnce(t *testing.T) {
	cases := []struct {
		name   string
		damage func(r *rig)
	}{
		{"everything runs", func(*rig) {}},
		{"Control Center of the publisher is garbled", func(r *rig) {
			r.Fault(clustersim.Fault{Cluster: "emea", Node: "imp-emea-pub.example.com", Operation: "soapGetServiceStatus", Kind: clustersim.FaultGarbage, Times: -1})
		}},
		{"the publisher is down", func(r *rig) { r.Change("emea", clustersim.Nodes{Node: "imp-emea-pub.example.com", Down: new(true)}) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
			client := r.client("emea") // with the password that is about to be changed
			r.Change("emea", clustersim.Credentials{Password: new("changed by somebody")})
			c.damage(r)
			o := client.Observe(t.Context(), peer.Observation{}, r.Clock.Now())
			if o.Access.Why() != peer.AccountRejected || o.Access.Known() {
				t.Errorf("access %+v, want AccountRejected", o.Access)
			}
			if _, _, rejected := r.Load("emea"); rejected != 1 {
				t.Errorf("%d rejected log-ins, want 1", rejected)
			}
			answered := 0
			for _, n := range o.Nodes {
				if yes, known := n.Answers.Get(); known && yes {
					answered++
				}
			}
			if answered == 0 {
				t.Error("a rejection is an answer: the cluster is not lost")
			}
			if sub := o.Nodes[subOf("emea")].Answers; c.name == "everything runs" && (sub.Known() || sub.Why() != peer.AccountRejected) {
				t.Errorf("the subscriber, which was not asked: %+v", sub)
			}
			emea, _ := r.Mesh.Cluster("emea")
			r.Secrets = fixed{"v1"}
			_, err := r.Open(t.Context(), emea, refused("v1"), nil)
			var no *cluster.Refused
			if !errors.As(err, &no) || no.Reason != peer.AccountRejected {
				t.Errorf("opened again with the rejected version: %v", err)
			}
		})
	}
}

// An account that the publisher takes and a subscriber refuses is rejected all the
// same: it says where, and what the publisher told is known.
func TestASubscriberRejectsTheAccount(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.Fault(clustersim.Fault{Cluster: "emea", Node: string(subOf("emea")), Kind: clustersim.FaultHTTP401, Times: -1})
	o := r.look("emea")
	if o.Access.Known() || o.Access.Why() != peer.AccountRejected || !strings.Contains(o.Access.Detail, string(subOf("emea"))) {
		t.Errorf("access %+v, want it rejected by %s", o.Access, subOf("emea"))
	}
	if !o.Users.Known() {
		t.Errorf("users %+v, which the publisher told", o.Users)
	}
}

// TestHalfAnAnswer: whatever is broken, the rest is known, and what is not
// says why.
func TestHalfAnAnswer(t *testing.T) {
	fault := func(f clustersim.Fault) func(*rig) { return func(r *rig) { r.Fault(f) } }
	cases := []struct {
		name     string
		broken   func(r *rig)
		users    peer.Reason // "" = known
		services peer.Reason // of the publisher
		sub      peer.Reason // of the subscriber
		access   peer.Reason
	}{
		{"well", func(*rig) {}, "", "", "", ""},
		{"AXL stopped on the publisher", func(r *rig) {
			r.Change("emea", clustersim.Services{Node: "imp-emea-pub.example.com", Service: "Cisco AXL Web Service", Status: "Stopped"})
		}, peer.ServiceNotActive, "", "", ""},
		{"publisher down", func(r *rig) { r.Change("emea", clustersim.Nodes{Node: "imp-emea-pub.example.com", Down: new(true)}) }, peer.CannotConnect, peer.CannotConnect, "", ""},
		{"subscriber down", func(r *rig) { r.Change("emea", clustersim.Nodes{Node: "imp-emea-sub.example.com", Down: new(true)}) }, "", "", peer.CannotConnect, ""},
		{"both down", func(r *rig) {
			r.Change("emea", clustersim.Nodes{Node: "imp-emea-pub.example.com", Down: new(true)})
			r.Change("emea", clustersim.Nodes{Node: "imp-emea-sub.example.com", Down: new(true)})
		}, peer.CannotConnect, peer.CannotConnect, peer.CannotConnect, peer.CannotConnect},
		{"Control Center throttled for good", fault(clustersim.Fault{Cluster: "emea", Operation: "soapGetServiceStatus", Kind: clustersim.FaultHTTP503, Times: -1}), "", peer.Overloaded, peer.Overloaded, ""},
		{"Control Center throttled once", fault(clustersim.Fault{Cluster: "emea", Operation: "soapGetServiceStatus", Kind: clustersim.FaultHTTP503, Times: 1}), "", "", "", ""},
		{"Control Center answers a fault", fault(clustersim.Fault{Cluster: "emea", Operation: "soapGetServiceStatus", Kind: clustersim.FaultSOAP, Times: -1}), "", peer.QueryRefused, peer.QueryRefused, ""},
		{"Control Center answers garbage", fault(clustersim.Fault{Cluster: "emea", Operation: "soapGetServiceStatus", Kind: clustersim.FaultGarbage, Times: -1}), "", peer.UnreadableAnswer, peer.UnreadableAnswer, ""},
		{"every SQL answer is cut", fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultTruncate, When: clustersim.After, Times: -1}), peer.UnreadableAnswer, "", "", ""},
		{"SQL answers garbage", fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultGarbage, Times: -1}), peer.UnreadableAnswer, "", "", ""},
		{"SQL answers without end", fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultOversize, Times: 1}), peer.UnreadableAnswer, "", "", ""},
		{"SQL is refused", fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultSOAP, Times: -1}), peer.QueryRefused, "", "", ""},
		{"SQL is dropped before", fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultDrop, When: clustersim.Before, Times: -1}), peer.ConnectionClosed, "", "", ""},
		{"SQL is dropped after", fault(clustersim.Fault{Cluster: "emea", Operation: "executeSQLQuery", Kind: clustersim.FaultDrop, When: clustersim.After, Times: -1}), peer.ConnectionClosed, "", "", ""},
		{"everything is throttled", fault(clustersim.Fault{Cluster: "emea", Kind: clustersim.FaultHTTP503, Times: -1}), peer.Overloaded, peer.Overloaded, peer.Overloaded, peer.Overloaded},
		{"everything is garbage", fault(clustersim.Fault{Cluster: "emea", Kind: clustersim.FaultGarbage, Times: -1}), peer.UnreadableAnswer, peer.UnreadableAnswer, peer.UnreadableAnswer, peer.UnreadableAnswer},
	}
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 20}, false)
	mend := func() {
		r.ClearFaults()
		for _, n := range []mesh.NodeName{pubOf("emea"), subOf("emea")} {
			r.Change("emea", clustersim.Nodes{Node: string(n), Down: new(false)})
			r.Change("emea", clustersim.Services{Node: string(n), Service: "Cisco AXL Web Service", Status: "Started"})
		}
		r.Pass(5 * time.Minute)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			mend()
			before := r.look("emea")
			if !before.Users.Known() {
				t.Fatalf("not well to begin with: %+v", before.Users)
			}
			c.broken(r)
			r.Pass(5 * time.Minute)
			o := r.client("emea").Observe(t.Context(), before, r.Clock.Now())
			check := func(what string, known bool, got, want peer.Reason) {
				t.Helper()
				if known != (want == "") || (want != "" && got != want) {
					t.Errorf("%s: known %v, reason %q; want %q", what, known, got, want)
				}
			}
			check("users", o.Users.Known(), o.Users.Reason, c.users)
			check("publisher's services", o.Nodes[pubOf("emea")].Services.Known(), o.Nodes[pubOf("emea")].Services.Reason, c.services)
			check("subscriber's services", o.Nodes[subOf("emea")].Services.Known(), o.Nodes[subOf("emea")].Services.Reason, c.sub)
			check("access", o.Access.Known(), o.Access.Reason, c.access)
			for what, f := range map[string]interface {
				Known() bool
				Why() peer.Reason
			}{"entries": o.Entries, "topology": o.Topology, "Sync Agent": o.SyncAgent, "parameters": o.Nodes[pubOf("emea")].Parameters} {
				if !f.Known() && f.Why() == peer.NotChecked {
					t.Errorf("%s: unknown, and not said why", what)
				}
			}
			emea, _ := r.Mesh.Cluster("emea")
			rec := peer.Advance(peer.ClusterRecord{Seen: before}, o, emea)
			if n, ok := rec.UsersOf(emea).Get(); !ok || n != 20 {
				t.Errorf("a tick later the home users are %d (%v): a bad look lowered or forgot them", n, ok)
			}
			for _, n := range r.Cluster("emea").Nodes {
				if n.RejectedLogIns > 0 {
					t.Errorf("%s counted rejected log-ins", n.Name)
				}
			}
		})
	}
}

// TestThePublisherIsAskedFirst: in whatever order mesh.yaml has the nodes.
func TestThePublisherIsAskedFirst(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	emea, _ := r.Mesh.Cluster("emea")
	slices.Reverse(emea.Nodes)
	client := r.client("emea")
	r.Change("emea", clustersim.Credentials{Password: new("changed by somebody")})
	o := client.Observe(t.Context(), peer.Observation{}, r.Clock.Now())
	if pub, sub := o.Nodes[pubOf("emea")].Answers, o.Nodes[subOf("emea")].Answers; !pub.Known() || sub.Known() {
		t.Errorf("publisher %+v, subscriber %+v: want the rejection from the publisher", pub, sub)
	}
}

// TestAnHAStateThatIsNoNumberIsNotKnown: nor is that of a node whose row is missing.
func TestAnHAStateThatIsNoNumberIsNotKnown(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.Dialect = cluster.NewDialect(nil)
	r.Connector.Transport = &otherColumn{next: r.Connector.Transport, column: "e.tkhaserverstate", instead: "e.name"}
	o := r.look("emea")
	if !o.Topology.Known() {
		t.Fatalf("%+v", o.Topology)
	}
	for name, n := range o.Nodes {
		if n.HAState.Known() {
			t.Errorf("%s: %+v", name, n.HAState)
		}
	}
}

// TestAPeerTableThatNobodyMappedIsNotAsked: its columns are in no public material.
func TestAPeerTableThatNobodyMappedIsNotAsked(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.Dialect = cluster.NewDialect(nil)
	if o := r.look("emea"); o.Entries.Known() || o.Entries.Why() != peer.NoDialect || !o.Users.Known() || o.UsersBasis != peer.Inferred {
		t.Errorf("entries %+v, users %+v (%s)", o.Entries, o.Users, o.UsersBasis)
	}
}

// otherColumn is a database that has something else instead of a column, and counts
// who asks for it.
type otherColumn struct {
	next            http.RoundTripper
	column, instead string
	asked           int
}

func (w *otherColumn) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(body, []byte(w.column)) {
		w.asked++
		body = bytes.ReplaceAll(body, []byte(w.column), []byte(w.instead))
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return w.next.RoundTrip(r)
}

// TestWhetherHighAvailabilityIsOnIsRead: where the database tells.
func TestWhetherHighAvailabilityIsOnIsRead(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.Dialect = cluster.NewDialect(nil)
	for _, want := range []bool{true, false} {
		r.Change("emea", clustersim.HA{Enabled: new(want)})
		for name, n := range r.look("emea").Nodes {
			if on, known := n.HAEnabled.Get(); !known || on != want {
				t.Errorf("%s: %+v, want %v", name, n.HAEnabled, want)
			}
		}
	}
}

// TestADatabaseThatRefusesToTellOfHAIsAskedOnceADay: until it is upgraded it will
// refuse, and the rest is read without.
func TestADatabaseThatRefusesToTellOfHAIsAskedOnceADay(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.Dialect = cluster.NewDialect(nil) // a site's own query of the nodes would stand in for it
	old := &otherColumn{next: r.Connector.Transport, column: "haenabled", instead: "nosuchcolumn"}
	r.Connector.Transport = old
	for _, c := range []struct {
		after time.Duration
		asked int // so far
	}{{0, 1}, {5 * time.Minute, 1}, {23 * time.Hour, 1}, {2 * time.Hour, 2}, {5 * time.Minute, 2}} {
		r.Pass(c.after)
		o := r.look("emea")
		if pub := o.Nodes[pubOf("emea")]; old.asked != c.asked || pub.HAEnabled.Known() || pub.HAEnabled.Why() != peer.QueryRefused || !o.Topology.Known() || !pub.HAState.Known() {
			t.Errorf("%v later: asked %d times, want %d; %+v, %+v", c.after, old.asked, c.asked, pub.HAEnabled, o.Topology)
		}
	}
}

// TestAnEmptiedTableIsHalfAnAnswer: an empty page upstream has deleted users
// before.
func TestAnEmptiedTableIsHalfAnAnswer(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	before := r.look("emea")
	r.Mesh.Dialect.Queries["user_counts"] = mesh.Query{Evidence: "site", SQL: "SELECT e.name AS node, COUNT(*) AS users FROM enduser u, enterprisenode e WHERE u.primarynodeid = e.id AND u.status = 7 GROUP BY e.name"}
	empty := &cluster.Connector{Dialect: cluster.NewDialect(r.Mesh.Dialect), Secrets: r.Secrets, Now: r.Clock.Now, Transport: r.Connector.Transport}
	emea, _ := r.Mesh.Cluster("emea")
	client, err := empty.Open(t.Context(), emea, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o := client.Observe(t.Context(), before, r.Clock.Now()); o.Users.Known() {
		t.Errorf("no row where there were users is taken for nobody: %+v", o.Users)
	}
	if o := client.Observe(t.Context(), peer.Observation{}, r.Clock.Now()); !o.Users.Known() {
		t.Errorf("a cluster that never had a user is not read: %+v", o.Users)
	}
}

func TestAPanicCostsItsClusterOnly(t *testing.T) {
	r := newRig(t, clustersim.Config{Clusters: 2, Users: 5}, false)
	r.Connector.Transport = panics{r.Connector.Transport, "imp-emea-sub"}
	for _, h := range r.Hosts() {
		if h.Name == string(subOf("emea")) {
			r.Connector.Transport = panics{r.Sim.Transport(), h.Address}
		}
	}
	defer func() {
		if got := recover(); got == nil {
			t.Error("the panic of a node's goroutine did not come out where it can be recovered")
		}
	}()
	r.look("emea")
}

type panics struct {
	next http.RoundTripper
	host string
}

func (p panics) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == p.host {
		panic("a defect")
	}
	return p.next.RoundTrip(r)
}

type fixed struct{ version string }

func (f fixed) Credentials(context.Context, string) (c secret.Credentials, err error) {
	c.Version = f.version
	return c, nil
}

// refused is the guard of an account whose secret's version was refused.
type refused string

func (r refused) Rejected(context.Context) (string, error) { return string(r), nil }

func (r refused) Reject(context.Context, string, string) error { return nil }
