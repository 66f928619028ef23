package clustersim

import (
	"strings"
	"testing"
	"time"
)

func (r *rig) counters(node, object string) reply {
	body := `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:q="` + astNamespace + `"><soapenv:Body><q:perfmonCollectCounterData><q:Host>` +
		node + `</q:Host><q:Object>` + object + `</q:Object></q:perfmonCollectCounterData></soapenv:Body></soapenv:Envelope>`
	return r.post(node, perfmonPath, "perfmonCollectCounterData", body, "read")
}

func (r *rig) counter(node, object, name string) string {
	r.t.Helper()
	got := r.counters(node, object)
	_, rest, ok := strings.Cut(got.body, `\`+name+"</ns1:Name><ns1:Value>")
	if got.status != 200 || !ok {
		r.t.Fatalf("%s of %s: %d %s", name, node, got.status, got.body)
	}
	value, _, _ := strings.Cut(rest, "<")
	return value
}

const replicates = "Number of Replicates Created and State of Replication"

func TestCountersFollowWhatHappens(t *testing.T) {
	r := newRig(t, Config{Users: 100, Clusters: 1})
	read := func() string {
		return strings.Join([]string{
			r.counter(emeaPub, "Cisco Server Recovery Manager", "SRMState"), r.counter(emeaSub, "cisco server recovery manager", "SRMState"),
			r.counter(emeaPub, "Cisco XCP CM", "CmConnectedSockets"), r.counter(emeaSub, "Cisco XCP CM", "CmConnectedSockets"),
			r.counter(emeaSub, replicates, "Replicate_State"),
		}, " ")
	}
	expect := func(want string) {
		t.Helper()
		if got := read(); got != want {
			t.Errorf("SRM, people and replication %q, want %q", got, want)
		}
	}
	expect("3 3 35 35 2")
	r.change("emea", Nodes{Node: emeaSub, HAState: "failed over"})
	expect("4 8 35 0 2")
	r.advance(lastSignsIn)
	expect("4 8 70 0 2")
	if !strings.Contains(r.logOf(emeaSub), "%UC_SRM-2-SRMFailover") {
		t.Error("a fail-over is not in the log")
	}
	r.change("emea", Nodes{Node: emeaSub, HAState: "normal"})
	expect("3 3 35 0 2")
	r.advance(lastSignsIn)
	expect("3 3 35 35 2")
	r.change("emea", Services{Node: emeaSub, Service: "Cisco Server Recovery Manager", Status: "Stopped"})
	expect("3 12 35 0 2")
	r.advance(lastSignsIn)
	expect("3 12 35 35 2")
	three, two := 3, 2
	r.change("emea", Replication{Node: emeaSub, State: &three})
	expect("3 12 35 35 3")
	if !strings.Contains(r.logOf(emeaSub), "%UC_ReplWatcher-4-ReplicationFailure") {
		t.Error("a failed replication is not in the log")
	}
	r.change("emea", Replication{Node: emeaSub, State: &two})
	expect("3 12 35 35 2")
	five := int64(5)
	r.change("emea", Perfmon{Node: emeaPub, Counter: "srmstate", Value: &five})
	expect("5 12 35 35 2")
}

// A certificate does not reach a node to which nothing is replicated before that is mended.
func TestBadReplicationHoldsCertificatesBack(t *testing.T) {
	r := newRig(t, Config{Users: 5, Clusters: 1})
	three, two := 3, 2
	r.change("emea", Replication{Node: emeaSub, State: &three})
	cert := r.cluster("emea").publisher().rsa.Leaf
	r.Sim.mu.Lock()
	for _, n := range r.cluster("emea").nodes {
		r.trust(n, tomcatTrust).drop(fingerprint(cert))
	}
	r.trustHere(r.cluster("emea").publisher(), tomcatTrust, r.now(), cert)
	r.Sim.mu.Unlock()
	r.advance(3 * time.Hour)
	if got := len(r.stored("emea", fingerprint(cert))); got != 1 {
		t.Errorf("with replication down the certificate is on %d nodes", got)
	}
	r.change("emea", Replication{Node: emeaSub, State: &two})
	r.advance(time.Hour)
	if got := len(r.stored("emea", fingerprint(cert))); got != 2 {
		t.Errorf("with replication mended it is on %d nodes", got)
	}
}

func TestPerfMonRefuses(t *testing.T) {
	r := newRig(t, Config{Users: 1, Clusters: 1})
	if got := r.counters(emeaPub, "Cisco Nothing"); got.status != 500 || !strings.Contains(got.body, "does not exist") {
		t.Errorf("an object that is not there: %d %s", got.status, got.body)
	}
	no, yes := false, true
	r.change("emea", Perfmon{Roles: &no})
	if got := r.counters(emeaPub, replicates); got.status != 403 {
		t.Errorf("without the role: %d %s", got.status, got.body)
	}
	r.change("emea", Perfmon{Roles: &yes})
	for range perfmonRate {
		r.counters(emeaPub, replicates)
	}
	if got := r.counters(emeaPub, replicates); got.status != 500 || !strings.Contains(got.body, "Exceeded allowed rate for Perfmon") {
		t.Errorf("more than are allowed in a minute: %d %s", got.status, got.body)
	}
	r.advance(time.Minute)
	if got := r.counters(emeaPub, replicates); got.status != 200 {
		t.Errorf("a minute later: %d", got.status)
	}
}
