package preflight_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/check"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/peersync"
	"peerkeeper/shared/preflight"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
	"peerkeeper/shared/useraudit"
)

const (
	emeaPub = "imp-emea-pub.example.com"
	emeaSub = "imp-emea-sub.example.com"
)

// rig is a simulated mesh that peersync and preflight look at.
type rig struct {
	*simtest.Rig
	*preflight.Preflight
	clusters *cluster.Connector
	store    *storetest.Memory
	t        *testing.T
}

func newRig(t *testing.T, cfg clustersim.Config) *rig {
	t.Helper()
	r := &rig{Rig: simtest.New(t, simtest.Start(), cfg, false), store: storetest.NewMemory(), t: t}
	r.store.Now = r.Clock.Now
	r.clusters = r.Connector()
	r.Preflight = &preflight.Preflight{Mesh: r.Rig.Mesh, Store: r.store, Clusters: r.clusters, Audit: (*useraudit.Audit).Run, Now: r.Clock.Now}
	return r
}

func (r *rig) look(only ...mesh.ClusterID) run.Answer {
	r.t.Helper()
	sync := &peersync.Peersync{Mesh: r.Rig.Mesh, Store: r.store, Clusters: r.clusters, Now: r.Clock.Now}
	if _, err := sync.Handle(r.t.Context(), run.Request{}); err != nil {
		r.t.Fatal(err)
	}
	return r.check(only...)
}

func (r *rig) check(only ...mesh.ClusterID) run.Answer {
	r.t.Helper()
	a, err := r.Handle(r.t.Context(), run.Request{Only: only})
	if err != nil || a.Skipped != "" {
		r.t.Fatal(err, a.Skipped)
	}
	return a
}

// row is the stored row of a cluster by id and node.
func (r *rig) row(id mesh.ClusterID, row, node string) check.Row {
	r.t.Helper()
	book, err := record.Load(r.t.Context(), r.store, r.Rig.Mesh)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, x := range book.Checks(r.Rig.Mesh)[id].Value.Rows {
		if x.ID == row && (node == "" || string(x.Node) == node) {
			return x
		}
	}
	r.t.Fatalf("%s has no row %s %s", id, row, node)
	return check.Row{}
}

func (r *rig) expect(id mesh.ClusterID, row, node string, status check.Status, why peer.Reason) {
	r.t.Helper()
	if got := r.row(id, row, node); got.Status != status || got.Reason != why {
		r.t.Errorf("%s %s: %+v, want %s %s", id, row, got, status, why)
	}
}

func ptr[T any](v T) *T { return &v }

func TestASimulatedMeshPassesAsItIs(t *testing.T) {
	r := newRig(t, clustersim.Config{Users: 20})
	if a := r.look(); a.Clusters.Observed != 3 || a.Clusters.Partial+a.Clusters.Unreachable != 0 {
		t.Errorf("%+v", a.Clusters)
	}
	book, err := record.Load(t.Context(), r.store, r.Rig.Mesh)
	if err != nil {
		t.Fatal(err)
	}
	for id, doc := range book.Checks(r.Rig.Mesh) {
		if len(doc.Value.Rows) == 0 {
			t.Errorf("%q has no rows", id)
		}
		for _, x := range doc.Value.Rows {
			if x.Status == check.Fail {
				t.Errorf("%+v", x)
			}
		}
	}
}

// Each thing is broken, named, mended and named no more.
func TestBrokenNamedMended(t *testing.T) {
	r := newRig(t, clustersim.Config{Users: 20})
	r.look()
	for _, c := range []struct {
		row, node   string
		break_      clustersim.Change
		mend        clustersim.Change
		status      check.Status
		why, healed peer.Reason
	}{
		{"replication", emeaSub, clustersim.Replication{Node: emeaSub, State: ptr(3)}, clustersim.Replication{Node: emeaSub, State: ptr(2)}, check.Fail, check.ReplicationBad, check.CheckPassed},
		{"srm-state", emeaSub, clustersim.Nodes{Node: emeaSub, HAState: 8}, clustersim.Nodes{Node: emeaSub, HAState: 3}, check.Fail, check.RecoveryNotReady, check.CheckPassed},
		{"sync-agent-completed", "", clustersim.Sync{Completed: ptr(false)}, clustersim.Sync{Completed: ptr(true)}, check.Fail, peer.SyncAgentNotCompleted, check.CheckPassed},
		{"icsa-running", emeaSub, clustersim.Services{Node: emeaSub, Service: peer.ICSA, Status: "Stopped"}, clustersim.Services{Node: emeaSub, Service: peer.ICSA, Status: "Started"}, check.Fail, peer.ServiceStopped, check.CheckPassed},
		{"auto-recovery", emeaSub, clustersim.Parameters{Node: emeaSub, Name: "ICSAEnableAutoRecovery", Value: "f"}, clustersim.Parameters{Node: emeaSub, Name: "ICSAEnableAutoRecovery", Value: "t"}, check.Fail, check.NotAsDeclared, check.CheckPassed},
		{"interval-range", emeaSub, clustersim.Parameters{Node: emeaSub, Name: "ICSAPeriodicSyncInterval", Value: "29"}, clustersim.Parameters{Node: emeaSub, Name: "ICSAPeriodicSyncInterval", Value: "30"}, check.Fail, check.OutOfRange, check.CheckPassed},
		{"read-role", "", clustersim.Perfmon{Roles: ptr(false)}, clustersim.Perfmon{Roles: ptr(true)}, check.Fail, check.RightMissing, check.CheckPassed},
		{"replication", emeaPub, clustersim.Perfmon{Roles: ptr(false)}, clustersim.Perfmon{Roles: ptr(true)}, check.Unknown, check.PerfMonRefused, check.CheckPassed},
	} {
		t.Run(c.row, func(t *testing.T) {
			r.t = t
			r.Pass(10 * time.Minute)
			r.Change("emea", c.break_)
			r.look()
			r.expect("emea", c.row, c.node, c.status, c.why)
			since := r.row("emea", c.row, c.node).Since
			r.Pass(10 * time.Minute)
			r.look()
			if got := r.row("emea", c.row, c.node).Since; !got.Equal(since) {
				t.Errorf("since %s, then %s", since, got)
			}
			r.Change("emea", c.mend)
			r.look()
			r.expect("emea", c.row, c.node, check.Pass, c.healed)
		})
	}
}

// A 401 or 403 of PerfMon is a role that is missing: the account stays in use, and no other node is asked in vain.
func TestPerfMonThatRefusesCostsNoAccount(t *testing.T) {
	for _, kind := range []clustersim.FaultKind{clustersim.FaultHTTP401, clustersim.FaultHTTP403} {
		t.Run(string(kind), func(t *testing.T) {
			r := newRig(t, clustersim.Config{Users: 20})
			r.look()
			before := r.Requests("emea")["perfmonCollectCounterData"]
			r.Fault(clustersim.Fault{Cluster: "emea", Operation: "perfmonCollectCounterData", Kind: kind, When: clustersim.Before, Times: 100})
			r.look()
			if n := r.Requests("emea")["perfmonCollectCounterData"] - before; n != 1 {
				t.Errorf("PerfMon was asked %d times after it had refused", n)
			}
			r.expect("emea", "replication", emeaSub, check.Unknown, check.PerfMonRefused)
			r.expect("emea", "read-role", "", check.Fail, check.RightMissing)
			it, err := r.store.Get(t.Context(), store.Auth("acme", "emea", mesh.ReadAccount))
			if err == nil {
				if d, err := store.Decode[record.Auth](it, record.AuthSchema); err != nil || d.Value.Rejected != "" {
					t.Errorf("the account is noted as rejected: %+v, %v", d.Value, err)
				}
			} else if !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		})
	}
}

// An account that AXL rejects is noted at once, PerfMon is not asked, and neither is anything else the next time.
func TestARejectedAccountIsTriedOnce(t *testing.T) {
	r := newRig(t, clustersim.Config{Users: 20})
	r.clusters.Secrets = r.SecretsNow()
	r.look()
	r.Change("emea", clustersim.Credentials{Password: ptr("another")})
	r.check()
	_, logIns, rejected := r.Load("emea")
	if rejected != 1 {
		t.Errorf("%d log-ins were rejected, want 1", rejected)
	}
	r.check()
	if _, again, more := r.Load("emea"); again != logIns || more != rejected {
		t.Errorf("it was tried again: %d log-ins, %d rejected", again-logIns, more-rejected)
	}
	r.expect("emea", "replication", emeaPub, check.Unknown, peer.AccountRejected)
	r.expect("apac", "replication", "imp-apac-pub.example.com", check.Pass, check.CheckPassed)
}

// What cannot be asked is unknown, and its other rows stand.
func TestAClusterThatCannotBeReached(t *testing.T) {
	r := newRig(t, clustersim.Config{Users: 20})
	r.look()
	r.Change("emea", clustersim.Reachable{From: "peerkeeper", Value: ptr(false)})
	if a := r.check(); a.Clusters.Observed != 2 || a.Clusters.Partial != 1 {
		t.Errorf("%+v", a.Clusters)
	}
	if got := r.row("emea", "replication", emeaPub); got.Status != check.Unknown {
		t.Errorf("%+v", got)
	}
	r.expect("emea", "icsa-running", emeaPub, check.Pass, check.CheckPassed) // peersync has just seen it
}

// rewrite changes an item as it is stored.
func (r *rig) rewrite(key store.Key, change func([]byte) []byte) {
	r.t.Helper()
	it, err := r.store.Get(r.t.Context(), key)
	if err == nil {
		it.Body = change(it.Body)
		err = r.store.Put(r.t.Context(), it)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// A newer Peerkeeper took over while replication was bad: this one cannot tell any more and says why, and what it
// found stands.
func TestAClusterThatANewerVersionRecordsIsUnknown(t *testing.T) {
	r := newRig(t, clustersim.Config{Users: 20})
	r.Change("emea", clustersim.Replication{Node: emeaSub, State: ptr(3)})
	r.look()
	r.expect("emea", "replication", emeaSub, check.Fail, check.ReplicationBad)
	r.rewrite(store.Cluster("acme", "emea"), func(b []byte) []byte { return bytes.Replace(b, []byte(`"schema":1`), []byte(`"schema":2`), 1) })
	r.check()
	for _, row := range []string{"replication", "icsa-running", "topology", "peer-address"} {
		r.expect("emea", row, "", check.Unknown, peer.NewerSchema)
	}
	r.expect("apac", "replication", "", check.Pass, check.CheckPassed)
	r.expect("apac", "peer-address", "", check.Unknown, peer.NewerSchema) // of its peer with emea
	if f := check.Findings([]check.Row{r.row("emea", "replication", emeaSub)}); len(f) != 1 || !strings.Contains(f[0].Message, "3 (bad)") {
		t.Errorf("%+v", f)
	}
}

// Rows that cannot be read any more are judged anew, and hold up nothing.
func TestRowsThatCannotBeReadAreJudgedAnew(t *testing.T) {
	r := newRig(t, clustersim.Config{Users: 20, Clusters: 1})
	r.look()
	r.rewrite(store.Preflight("acme", "emea"), func(b []byte) []byte { return []byte(`{"schema":1,"version":1,"rows":"Z2FyYmFnZQ=="}`) })
	r.check()
	r.expect("emea", "replication", emeaPub, check.Pass, check.CheckPassed)
}

// Only the clusters that are named are asked, and the others keep their rows.
func TestOnlyWhatIsNamedIsAsked(t *testing.T) {
	r := newRig(t, clustersim.Config{Users: 20})
	r.look()
	at := r.row("apac", "replication", "")
	r.Change("apac", clustersim.Replication{Node: "imp-apac-pub.example.com", State: ptr(3)})
	before := r.Requests("apac")["perfmonCollectCounterData"]
	r.Pass(time.Minute)
	r.check("emea")
	if got := r.row("apac", "replication", ""); got != at || r.Requests("apac")["perfmonCollectCounterData"] != before {
		t.Errorf("%+v", got)
	}
}

// door is a network that lets some addresses through.
type door map[string]bool

func (d door) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	if !d[address] {
		return nil, fmt.Errorf("dial %s: connection refused", address)
	}
	a, b := net.Pipe()
	_ = b.Close()
	return a, nil
}

func TestPortsAsSeenFromHere(t *testing.T) {
	r := newRig(t, clustersim.Config{Users: 20})
	c, _ := r.Rig.Mesh.Cluster("emea")
	c.SIPFederation = true
	r.look()
	r.expect("emea", "ports-7400", emeaPub, check.Unknown, peer.NotChecked) // there is no way to it
	c.Nodes[0].Address = "192.0.2.1:40001"
	r.check()
	r.expect("emea", "ports-7400", emeaPub, check.Unknown, check.OtherPort)
	for i := range c.Nodes { // on Cisco's own port, where this test reaches nothing else
		c.Nodes[i].Address = fmt.Sprintf("192.0.2.%d:8443", i+1)
	}
	r.Dial = door{"192.0.2.1:7400": true, "192.0.2.1:5060": true, "192.0.2.2:7400": true}
	r.check()
	r.expect("emea", "ports-7400", emeaPub, check.Pass, check.CheckPassed)
	r.expect("emea", "ports-5060", emeaPub, check.Pass, check.CheckPassed)
	r.expect("emea", "ports-7400", emeaSub, check.Pass, check.CheckPassed)
	r.expect("emea", "ports-5060", emeaSub, check.Fail, check.PortClosed)
}

// A second run of the same scheduled time does nothing, and a dry one stores nothing.
func TestOneRunADay(t *testing.T) {
	r := newRig(t, clustersim.Config{Users: 20, Clusters: 1})
	sched, _ := run.Find("preflight")
	due := sched.Next(r.Clock.Now())
	r.Pass(due.Sub(r.Clock.Now()))
	if _, err := r.Handle(t.Context(), run.Request{DryRun: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Get(t.Context(), store.Preflight("acme", "emea")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a dry run stored its rows: %v", err)
	}
	for i := range 2 {
		a, err := r.Handle(t.Context(), run.Request{ScheduledTime: due})
		if err != nil || (a.Skipped != "") != (i == 1) {
			t.Errorf("run %d: %+v, %v", i+1, a, err)
		}
	}
}
