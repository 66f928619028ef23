package clustersim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// group is how the two nodes of emea stand: their states of high availability and the
// clients that are connected to each.
func (r *rig) group() string {
	pub, sub := r.nodeState(emeaPub), r.nodeState(emeaSub)
	return fmt.Sprintf("publisher %d with %d, subscriber %d with %d", pub.HAState, pub.People, sub.HAState, sub.People)
}

// scene is one thing that happens, then a wait, and how the group stands after it.
type scene struct {
	change Change // nil = nothing but the wait
	wait   time.Duration
	want   string
}

// Of the 50 users at home on each node 40 have a client signed in.
func TestPeopleWhenServicesRestart(t *testing.T) {
	restart := func(service string) Change {
		return Services{Node: emeaPub, Service: service, Status: "Restart"}
	}
	const all, none = "publisher 3 with 40, subscriber 3 with 40", "publisher 3 with 0, subscriber 3 with 40"
	for _, tt := range []struct {
		name   string
		scenes []scene
	}{
		{"the router: they sign in again, the first after 2 minutes, the last after 9", []scene{
			{nil, 0, all},
			{restart(serviceRouter), 0, none},
			{nil, dwellStop + dwellRouter + firstSignsIn, none},
			{nil, (lastSignsIn - firstSignsIn) / 2, "publisher 3 with 19, subscriber 3 with 40"},
			{nil, lastSignsIn, all},
		}},
		{"the router again, before they are back", []scene{
			{restart(serviceRouter), 6 * time.Minute, "publisher 3 with 19, subscriber 3 with 40"},
			{restart(serviceRouter), time.Minute, none},
			{nil, lastSignsIn, all},
		}},
		{"SIP Proxy", []scene{{restart(serviceSIPProxy), time.Minute, none}, {nil, lastSignsIn, all}}},
		{"Server Recovery Manager", []scene{{restart(serviceSRM), time.Minute, none}, {nil, lastSignsIn, all}}},
		{"ICSA signs nobody out", []scene{{restart(serviceICSA), time.Minute, all}}},
		{"the service of the web clients, which are few", []scene{
			{restart(serviceWebConnections), time.Minute, "publisher 3 with 35, subscriber 3 with 40"},
			{nil, lastSignsIn, all},
		}},
		{"the router is stopped and started, which leaves the other XCP services down", []scene{
			{HA{Enabled: new(false)}, 0, "publisher 2 with 40, subscriber 2 with 40"},
			{Services{Node: emeaPub, Service: serviceRouter, Status: "Stopped"}, time.Minute, "publisher 2 with 0, subscriber 2 with 40"},
			{Services{Node: emeaPub, Service: serviceRouter, Status: "Started"}, time.Hour, "publisher 2 with 0, subscriber 2 with 40"},
			{restart(serviceConnections), time.Hour, "publisher 2 with 35, subscriber 2 with 40"},
		}},
		{"a service that is deactivated, and activated again", []scene{
			{Services{Node: emeaPub, Service: serviceConnections, Status: "NotActivated"}, time.Minute, "publisher 3 with 5, subscriber 3 with 40"},
			{Services{Node: emeaPub, Service: serviceConnections, Status: "Started"}, time.Hour, all},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { r := newRig(t, Config{Clusters: 1, Users: 100}); r.play(tt.scenes) })
	}
}

func (r *rig) play(scenes []scene) {
	r.t.Helper()
	for i, s := range scenes {
		if s.change != nil {
			r.change("emea", s.change)
		}
		r.advance(s.wait)
		if got := r.group(); got != s.want {
			r.t.Errorf("scene %d: %s, want %s", i+1, got, s.want)
		}
	}
}

func TestHighAvailability(t *testing.T) {
	router := func(s Services) Change {
		s.Node, s.Service = emeaPub, serviceRouter
		return s
	}
	const over, well = "publisher 8 with 0, subscriber 4 with 80", "publisher 3 with 40, subscriber 3 with 40"
	for _, tt := range []struct {
		name   string
		scenes []scene
	}{
		{"a router that does not come back: the other node takes over after 90 s, and people sign in there", []scene{
			{router(Services{StaysDown: new(true)}), 0, well},
			{router(Services{Status: "Restart"}), failoverAfter - time.Second, "publisher 3 with 0, subscriber 3 with 40"},
			{nil, time.Second, "publisher 8 with 0, subscriber 4 with 40"},
			{nil, lastSignsIn, over},
			{nil, 24 * time.Hour, over},
		}},
		{"a router that starts for 2 minutes: it runs again, and its people are on the other node until somebody falls back", []scene{
			{router(Services{Takes: new("2m")}), 0, well},
			{router(Services{Status: "Restart"}), lastSignsIn + failoverAfter, over},
			{nil, 24 * time.Hour, over},
			{HA{Fallback: true}, time.Minute, "publisher 3 with 0, subscriber 3 with 40"},
			{nil, lastSignsIn, well},
		}},
		{"the same with automatic fallback, half an hour after the router runs", []scene{
			{HA{AutomaticFallback: new(true)}, 0, well},
			{router(Services{Takes: new("2m")}), 0, well},
			{router(Services{Status: "Restart"}), dwellStop + 2*time.Minute + fallbackAfter - time.Second, over},
			{nil, time.Second, "publisher 3 with 0, subscriber 3 with 40"},
			{nil, lastSignsIn, well},
		}},
		{"a node that does not come back never falls back", []scene{
			{HA{AutomaticFallback: new(true)}, 0, well},
			{Nodes{Node: emeaPub, StaysDown: new(true)}, 0, well},
			{Nodes{Node: emeaPub, Reboot: true}, time.Hour, over},
			{nil, 24 * time.Hour, over},
			{Nodes{Node: emeaPub, StaysDown: new(false)}, 0, over},
			{Nodes{Node: emeaPub, Down: new(false)}, fallbackAfter - time.Minute, over},
			{nil, 2*time.Minute + lastSignsIn, well},
		}},
		{"high availability is off: nobody takes over", []scene{
			{HA{Enabled: new(false)}, 0, "publisher 2 with 40, subscriber 2 with 40"},
			{router(Services{Status: "Stopped"}), time.Hour, "publisher 2 with 0, subscriber 2 with 40"},
		}},
		{"it is turned off while one has failed over", []scene{
			{Nodes{Node: emeaPub, HAState: "failed over"}, time.Hour, over},
			{HA{Enabled: new(false)}, time.Minute, "publisher 2 with 0, subscriber 2 with 40"},
			{nil, lastSignsIn, "publisher 2 with 40, subscriber 2 with 40"},
		}},
		{"it is turned on while a router is down: then it counts from there", []scene{
			{HA{Enabled: new(false)}, 0, "publisher 2 with 40, subscriber 2 with 40"},
			{router(Services{Status: "Stopped"}), time.Hour, "publisher 2 with 0, subscriber 2 with 40"},
			{HA{Enabled: new(true)}, failoverAfter - time.Second, "publisher 3 with 0, subscriber 3 with 40"},
			{nil, time.Hour, over},
		}},
		{"both nodes are down: nobody is left to take over", []scene{
			{Nodes{Node: emeaPub, Down: new(true)}, 0, "publisher 3 with 0, subscriber 3 with 40"},
			{Nodes{Node: emeaSub, Down: new(true)}, time.Hour, "publisher 3 with 0, subscriber 3 with 0"},
		}},
		{"the one that took over goes down too", []scene{
			{Nodes{Node: emeaPub, Down: new(true)}, time.Hour, over},
			{Nodes{Node: emeaSub, Down: new(true)}, time.Hour, "publisher 8 with 0, subscriber 4 with 0"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { r := newRig(t, Config{Clusters: 1, Users: 100}); r.play(tt.scenes) })
	}
}

// A redundancy group has two nodes: those that are added make groups of their own, in
// which high availability is off until somebody turns it on.
func TestRedundancyGroupsOfFourNodes(t *testing.T) {
	r := newRig(t, Config{Clusters: 1, Users: 100})
	const third, fourth = "imp-emea-sub2.example.com", "imp-emea-sub3.example.com"
	states := func(want string) {
		t.Helper()
		var got []string
		for _, node := range []string{emeaPub, emeaSub, third, fourth} {
			for _, row := range r.query(emeaPub, "SELECT e.tkhaserverstate AS state, s.name AS name, s.haenabled AS enabled FROM enterprisenode e, enterprisesubcluster s WHERE s.id = e.subclusterid AND e.name = '"+node+"'").rows() {
				got = append(got, row["state"]+" "+row["name"]+" "+row["enabled"])
			}
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%s, want %s", text, want)
		}
	}
	const pair = "3 DefaultCUPSubcluster t, 3 DefaultCUPSubcluster t"
	states(pair)
	r.change("emea", Nodes{Add: third}, HA{Enabled: new(true)})
	states(pair + ", 2 Subcluster2 f")
	r.change("emea", Nodes{Add: fourth})
	states(pair + ", 2 Subcluster2 f, 2 Subcluster2 f")
	r.change("emea", HA{Enabled: new(true)}, Nodes{Node: third, Down: new(true)})
	r.advance(time.Hour)
	states(pair + ", 8 Subcluster2 t, 4 Subcluster2 t")
}

// What PerfMon and the log tell of a node that has failed over, and that a fallback
// needs one that runs.
func TestFailoverAsOthersSeeIt(t *testing.T) {
	r := newRig(t, Config{Clusters: 1, Users: 100})
	if err := r.Change("emea", HA{Fallback: true}); err == nil || !strings.Contains(err.Error(), "fallback: no node of emea has failed over") {
		t.Errorf("a fallback of nothing: %v", err)
	}
	r.change("emea", Nodes{Node: emeaPub, Down: new(true)})
	r.advance(time.Hour)
	if got := r.counter(emeaSub, serviceSRM, "SRMState"); got != "4" {
		t.Errorf("SRMState of the node that took over: %s", got)
	}
	if !strings.Contains(r.logOf(emeaSub), "%UC_SRM-2-SRMFailover") {
		t.Error("the node that took over does not say so in its log")
	}
	if got := r.query(emeaSub, "SELECT tkhaserverstate FROM enterprisenode WHERE name = '"+emeaPub+"'").row(0)["tkhaserverstate"]; got != "8" {
		t.Errorf("the database says %s", got)
	}
	if err := r.Change("emea", HA{Fallback: true}); err == nil {
		t.Error("a node that is down fell back")
	}
	r.change("emea", Nodes{Node: emeaPub, Down: new(false)})
	r.advance(time.Minute)
	r.change("emea", HA{Fallback: true})
	if got := r.counter(emeaPub, serviceSRM, "SRMState") + r.counter(emeaSub, serviceSRM, "SRMState"); got != "33" {
		t.Errorf("SRMState after the fallback: %s", got)
	}
}

// A service that stays down tells Control Center that it does not run, and starts when
// it may again.
func TestServiceThatStaysDown(t *testing.T) {
	r := newRig(t, Config{Clusters: 1, Users: 5})
	restart := func() string {
		r.control(emeaPub, "soapDoControlServices", controlRequest(emeaPub, "Restart", serviceSIPProxy), "write")
		r.advance(time.Minute)
		return r.control(emeaPub, "soapGetServiceStatus", "<q:ServiceStatus>"+serviceSIPProxy+"</q:ServiceStatus>", "read").body
	}
	r.change("emea", Services{Node: emeaPub, Service: serviceSIPProxy, StaysDown: new(true)})
	if got := restart(); !strings.Contains(got, "Stopped") || !strings.Contains(got, "-1019") {
		t.Errorf("restarted: %s", got)
	}
	r.change("emea", Services{Node: emeaPub, Service: serviceSIPProxy, StaysDown: new(false)})
	if got := restart(); !strings.Contains(got, "Started") {
		t.Errorf("restarted again: %s", got)
	}
	r.change("emea", Nodes{Node: emeaPub, StaysDown: new(true)})
	if got := restart(); !strings.Contains(got, "Stopped") {
		t.Errorf("restarted on a node of which nothing comes back: %s", got)
	}
}

// The bell falls silent when the router has been restarted on every node.
func TestBellAsksForARestartOfTheRouter(t *testing.T) {
	r := newRig(t, Config{Clusters: 1, Users: 5})
	rings := func(want bool) {
		t.Helper()
		if got := r.state("emea").PendingNotification; got != want {
			t.Errorf("the bell asks: %v, want %v", got, want)
		}
	}
	rings(false)
	r.change("emea", Notification{RouterRestart: new(true)})
	for _, node := range []string{emeaPub, emeaSub} {
		rings(true)
		r.change("emea", Services{Node: node, Service: serviceRouter, Status: "Restart"})
		r.advance(time.Minute)
	}
	rings(false)
	r.change("emea", Notification{RouterRestart: new(true)}, Notification{RouterRestart: new(false)})
	rings(false)
}

// A parameter stands in the database at once, and an interval is gone by from the next
// sync on.
func TestParametersAreTold(t *testing.T) {
	r := newRig(t, Config{Clusters: 2, Users: 5})
	if got := r.axlCall(emeaPub, "updateServiceParameter", "<processNodeName>"+emeaPub+"</processNodeName><name>"+paramSyncInterval+"</name><service>"+serviceICSA+"</service><value>45</value>", "write"); got.status != 200 {
		t.Fatal(got.body)
	}
	all := r.state("emea").Parameters
	if pub, sub := all[emeaPub][serviceICSA][paramSyncInterval], all[emeaSub][serviceICSA][paramSyncInterval]; pub != "45" || sub != "30" {
		t.Errorf("the interval reads %s on the publisher, %s on the subscriber", pub, sub)
	}
	if got := all[emeaSub][serviceSIPProxy]["SIPProxyMaxProcesses"]; got != "20" {
		t.Errorf("SIP Proxy's processes: %s", got)
	}
	before := r.peer("emea>apac")
	if wait := before.NextSync.Sub(*before.LastSynchronized); wait != 30*time.Minute {
		t.Errorf("the next sync is %s after the last", wait)
	}
	r.advance(before.NextSync.Sub(r.now()))
	after := r.peer("emea>apac")
	if wait := after.NextSync.Sub(*after.LastSynchronized); !after.LastSynchronized.Equal(before.NextSync) || wait != 45*time.Minute {
		t.Errorf("after the next sync, at %s, it is %s", after.LastSynchronized, wait)
	}
}
