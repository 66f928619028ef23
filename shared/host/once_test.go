package host_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certcheck"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/certmgr"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/host"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/store/storetest"
	"peerkeeper/shared/tlsprobe"
)

// One trouble with a certificate is one alarm, from the node that serves it to
// the notice that a person reads: the functions themselves, over the wire of the
// simulator and its clock, and what they said.

// engine is a host whose clusters are simulated, and what it said.
type engine struct {
	*simtest.Rig
	t       *testing.T
	host    *host.Host
	hanging *hanging
	said    []alarm.Notice
}

// Send takes a notice.
func (e *engine) Send(_ context.Context, n alarm.Notice) error {
	e.said = append(e.said, n)
	return nil
}

// hanging are nodes that accept and then say nothing, in front of those that
// answer. Nobody waits for them here; what a hang costs on the wire is
// certcheck's to prove.
type hanging struct {
	certcheck.Prober
	mu    sync.Mutex
	nodes map[string]bool // by server name
}

func (h *hanging) ProbeAll(ctx context.Context, t tlsprobe.Target) []tlsprobe.Outcome {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.nodes[t.ServerName] {
		return h.Prober.ProbeAll(ctx, t)
	}
	var out []tlsprobe.Outcome
	for _, keyType := range []tlsprobe.KeyType{tlsprobe.RSA, tlsprobe.ECDSA} {
		out = append(out, tlsprobe.Outcome{Asked: keyType, Err: &tlsprobe.Error{Reason: tlsprobe.Timeout, Address: t.Address, KeyType: keyType}})
	}
	return out
}

func (h *hanging) set(node string, hangs bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nodes[node] = hangs
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	r := simtest.New(t, simtest.Start(), clustersim.Config{Clusters: 3, Users: 20, Seed: 1}, false)
	memory := storetest.NewMemory()
	memory.Now = r.Clock.Now
	e := &engine{Rig: r, t: t, hanging: &hanging{Prober: inProcessTLS{r.Sim}, nodes: map[string]bool{}}}
	e.host = &host.Host{
		Mesh: r.Mesh, Store: memory, Secrets: r.SecretsNow(), Sinks: []alarm.Sink{e}, Clock: byHand{r.Clock}, Timeout: time.Minute, Backoff: time.Millisecond,
		Transport: r.Transport(), TLS: e.hanging, DNS: &dnsprobe.Client{Domain: r.Mesh.Domain, Timeout: time.Minute, Dialer: inProcessDNS{r.Sim}},
	}
	return e
}

// tick lets time pass and has every function look once, certificates included.
func (e *engine) tick(after time.Duration) {
	e.t.Helper()
	e.Pass(after)
	for _, function := range []string{"peersync", "certcheck", "stucksync"} {
		if _, err := e.host.Handle(e.t.Context(), run.Request{Function: function}); err != nil {
			e.t.Fatal(err)
		}
		e.Pass(20 * time.Second)
	}
}

// until ticks until an instant has passed.
func (e *engine) until(at time.Time, every time.Duration) {
	e.t.Helper()
	for e.Clock.Now().Before(at) {
		e.tick(every)
	}
}

// heard is what was said since it was asked last: "raised critical Name cluster".
func (e *engine) heard() []string {
	var out []string
	for _, n := range e.said {
		out = append(out, fmt.Sprintf("%s %s %s %s%s", n.State, n.Severity, n.Name, n.Cluster, n.Peer))
	}
	e.said = nil
	return out
}

// byName orders what is said in one run, which has no order of its own.
func byName(a, b alarm.Notice) int { return strings.Compare(string(a.Name), string(b.Name)) }

func (e *engine) expect(what string, want ...string) {
	e.t.Helper()
	if got := e.heard(); !slices.Equal(got, want) {
		e.t.Errorf("%s: heard %q, want %q", what, got, want)
	}
}

// trusted is CertificateTrusted of each directed peer that is not True, and of
// those named.
func (e *engine) trusted(of ...string) map[string]string {
	e.t.Helper()
	snapshot, err := record.Load(e.t.Context(), e.host.Store, e.Mesh)
	if err != nil {
		e.t.Fatal(err)
	}
	out := map[string]string{}
	for _, p := range e.Mesh.Peers {
		for _, c := range snapshot.PeerCert[p.ID].Value.Conditions {
			if c.Type == peer.CertificateTrusted && (c.Status != peer.True || slices.Contains(of, p.ID.String())) {
				out[p.ID.String()] = fmt.Sprintf("%s %s", c.Status, c.Reason)
			}
		}
	}
	return out
}

// renew gives a node a certificate, which a person accepts for Peerkeeper, and
// returns its fingerprint.
func (e *engine) renew(node string, renewal clustersim.Certificates) string {
	e.t.Helper()
	id, _ := e.Mesh.Owner(mesh.NodeName(node))
	renewal.Node = node
	e.Change(string(id), renewal)
	c, _ := e.Mesh.Cluster(id)
	print := ""
	for _, n := range c.Nodes { // a certificate for all servers is served by all
		shown, err := e.ServedKey(n.Address, "RSA")
		if err != nil {
			e.t.Fatal(err)
		}
		served := chain.Fingerprint(shown[0])
		if err := person(e.host).Accept(e.t.Context(), n.Name, served); err != nil {
			e.t.Fatal(err)
		}
		if string(n.Name) == node {
			print = served
		}
	}
	return print
}

const emeaPub, apacPub, apacSub, amerPub = "imp-emea-pub.example.com", "imp-apac-pub.example.com", "imp-apac-sub.example.com", "imp-amer-pub.example.com"

// upload puts the certificate that one node has into the tomcat-trust of
// another, over certificate management, as a person does with the file that
// `check certs --trust` names.
func (e *engine) upload(from, to string) {
	e.t.Helper()
	client := func(node string) *certmgr.Client {
		id, _ := e.Mesh.Owner(mesh.NodeName(node))
		account, err := e.Credentials(e.t.Context(), string(id)+"/platform-write")
		if err != nil {
			e.t.Fatal(err)
		}
		c, _ := e.Mesh.Cluster(id)
		n, _ := c.Node(mesh.NodeName(node))
		return certmgr.New(soap.Endpoint{Node: node, Address: n.PlatformAddress, Username: account.Username, Password: account.Password, Now: e.Clock.Now, Transport: e.Transport()})
	}
	own, err := client(from).Identity(e.t.Context(), certmgr.Tomcat)
	if err != nil || len(own.Certificates) != 1 {
		e.t.Fatalf("identity of %s: %v, %d certificates", from, err, len(own.Certificates))
	}
	if _, err := client(to).AddTrust(e.t.Context(), certmgr.Tomcat, []string{own.Certificates[0].PEM()}, "tomcat of "+from); err != nil {
		e.t.Fatal(err)
	}
}

// TestOneAlarmForACertificateThatOneClusterNeverLearned: apac's publisher gets
// a new self-signed tomcat; emea's certificate sync is off, and only its
// tomcat-trust lacks it. From the renewal to the upload and ICSA's restart that
// is one alarm, which names emea, raised once and cleared once.
func TestOneAlarmForACertificateThatOneClusterNeverLearned(t *testing.T) {
	for _, c := range []struct {
		name                string
		multiServer         bool
		reversed, restarted bool
	}{
		{"the publisher's own, and a person restarts ICSA", false, false, true},
		{"one for all servers, the publisher listed last in mesh.yaml, and ICSA recovers by itself", true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			neverLearned(t, c.multiServer, c.reversed, c.restarted)
		})
	}
}

func neverLearned(t *testing.T, multiServer, reversed, restarted bool) {
	t.Helper()
	e := newEngine(t)
	if reversed {
		slices.Reverse(e.Mesh.Clusters[1].Nodes)
	}
	e.Change("emea", clustersim.Parameters{Name: "ICSAPeriodicCertificateSync", Value: "f"})
	for range 12 {
		e.tick(10 * time.Minute)
	}
	e.expect("a healthy mesh")
	if got := e.trusted(); len(got) != 0 {
		t.Fatalf("a healthy mesh: %v", got)
	}

	e.renew(apacPub, clustersim.Certificates{Issuer: "self", MultiServer: &multiServer})
	for range 12 { // amer's next sync carries it over
		e.tick(10 * time.Minute)
	}
	if len(e.said) != 1 || e.said[0].State != alarm.Raised || e.said[0].Name != alarm.CertificateNotTrusted || e.said[0].Cluster != "apac" || e.said[0].Severity != peer.Critical {
		t.Fatalf("said %+v, want one CertificateNotTrusted of apac", e.said)
	}
	if m := e.said[0].Message; !strings.Contains(m, "tomcat-trust of emea") || strings.Contains(m, "amer") {
		t.Errorf("the alarm does not name emea alone: %s", m)
	}
	raised := e.said[0]
	e.said = nil
	want := map[string]string{"emea>apac": "False NotInTrustStore"}
	if got := e.trusted(); len(got) != 1 || !strings.HasPrefix(got["emea>apac"], "False ") {
		t.Errorf("CertificateTrusted of %v, want %v", got, want)
	}
	if got := e.trusted("amer>apac")["amer>apac"]; got != "True InTrustStore" {
		t.Errorf("amer>apac: %s", got)
	}

	// The node hangs for longer than a look is good for: nothing is known any
	// more, and nothing is said.
	e.hanging.set(apacPub, true)
	for range 14 {
		e.tick(time.Hour)
	}
	e.hanging.set(apacPub, false)
	e.tick(time.Hour) // not just before ICSA restarts itself, every four intervals
	e.expect("not readable for a while")
	if got := e.trusted()["emea>apac"]; !strings.HasPrefix(got, "False ") {
		t.Errorf("readable again: %s", got)
	}

	// It is put in, and that is not the end: ICSA reads its store when it starts.
	e.upload(apacPub, emeaPub)
	for range 3 {
		e.tick(5 * time.Minute)
	}
	e.expect("put in, and not read")
	if got := e.trusted("emea>apac"); len(got) != 1 || got["emea>apac"] != "True TrustNotReloaded" {
		t.Errorf("put in: %v", got)
	}
	if m := e.finding("apac", peer.TrustNotReloaded); !strings.Contains(m, "is in the tomcat-trust of emea by now, and no sync has succeeded since") {
		t.Errorf("put in, and not read: %q", m)
	}
	if restarted {
		e.restartICSA()
		for range 3 { // the first sync shows it; nobody waits for an interval
			e.tick(5 * time.Minute)
		}
		if len(e.said) != 1 {
			t.Errorf("synced over it: said %+v", e.said)
		}
	}
	for range 30 { // or Cisco's own recovery restarts it
		e.tick(10 * time.Minute)
	}
	if len(e.said) != 1 || e.said[0].State != alarm.Cleared || e.said[0].Fingerprint != raised.Fingerprint || e.said[0].Transition != raised.Transition+1 {
		t.Errorf("after the upload: said %+v, want the one clear", e.said)
	}
	if m := e.finding("apac", certificate.NotTrustedByPeers); m != "" {
		t.Errorf("after the upload: %s", m)
	}
}

// restartICSA is done by a person, on emea's publisher.
func (e *engine) restartICSA() {
	e.t.Helper()
	for _, status := range []string{"Stopped", "Started"} {
		e.Change("emea", clustersim.Services{Node: emeaPub, Service: peer.ICSA, Status: status})
	}
}

// finding is the message of a cluster's finding of a reason, "" if there is none.
func (e *engine) finding(id mesh.ClusterID, reason peer.Reason) string {
	e.t.Helper()
	snapshot, err := record.Load(e.t.Context(), e.host.Store, e.Mesh)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, f := range snapshot.Certs[id].Value.Findings {
		if f.Reason == reason {
			return f.Message
		}
	}
	return ""
}

// TestWhatFailsAfterTheCertificateIsReadIsAnotherAlarm: the certificate is put
// in, ICSA is restarted, and still nothing comes: an interval later that is the
// sync's own alarm, and no longer the certificate's.
func TestWhatFailsAfterTheCertificateIsReadIsAnotherAlarm(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	e.Change("emea", clustersim.Parameters{Name: "ICSAPeriodicCertificateSync", Value: "f"})
	for range 12 {
		e.tick(10 * time.Minute)
	}
	e.renew(apacPub, clustersim.Certificates{Issuer: "self"})
	for range 18 {
		e.tick(10 * time.Minute)
	}
	e.expect("not trusted", "raised critical CertificateNotTrusted apac")
	e.upload(apacPub, emeaPub)
	e.tick(5 * time.Minute)
	e.restartICSA()
	e.Change("emea", clustersim.Peers{Peer: "apac", Mode: new(clustersim.ModeStuck)})
	for range 3 {
		e.tick(5 * time.Minute)
	}
	e.expect("restarted, and within its interval")
	for range 6 {
		e.tick(10 * time.Minute)
	}
	slices.SortFunc(e.said, byName)
	e.expect("read, and out of sync", "cleared critical CertificateNotTrusted apac", "raised critical InterClusterSyncAgentPeerPeriodicSyncingFailure emea>apac")
}

// TestWhoNeverLackedTheCertificateIsNotWaitedFor: amer was given it before it was
// served, and does not sync for another reason. When emea has read it, that is
// amer's own alarm.
func TestWhoNeverLackedTheCertificateIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	e.Change("emea", clustersim.Parameters{Name: "ICSAPeriodicCertificateSync", Value: "f"})
	for range 12 {
		e.tick(10 * time.Minute)
	}
	e.renew(apacPub, clustersim.Certificates{Issuer: "self"})
	e.upload(apacPub, amerPub)
	e.Change("amer", clustersim.Peers{Peer: "apac", Mode: new(clustersim.ModeStuck)})
	for range 18 {
		e.tick(10 * time.Minute)
	}
	e.expect("not trusted by emea", "raised critical CertificateNotTrusted apac")
	e.upload(apacPub, emeaPub)
	e.tick(5 * time.Minute)
	e.restartICSA()
	for range 3 {
		e.tick(5 * time.Minute)
	}
	slices.SortFunc(e.said, byName)
	e.expect("read by emea", "cleared critical CertificateNotTrusted apac", "raised critical InterClusterSyncAgentPeerPeriodicSyncingFailure amer>apac")
}

// TestOneAlarmForACertificateThatRunsOut, whatever the number of nodes that
// serve it and of peers that need it: said at 28, 14 and 7 days, when it has
// ended, and not in between; taken back once by the renewal. A node that cannot
// be read for a while changes nothing of that.
func TestOneAlarmForACertificateThatRunsOut(t *testing.T) {
	for _, c := range []struct {
		name        string
		multiServer bool
		hangs       []string // at 10 days, and once more when it has ended
	}{
		{"the publisher's own", false, nil},
		{"one for all servers, all of which hang at times", true, []string{apacPub, apacSub}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEngine(t)
			// Syncs twice a day, or weeks of them take minutes; and a look a day
			// while nothing is expected.
			for _, id := range e.Mesh.IDs() {
				e.Change(string(id), clustersim.Parameters{Name: "ICSAPeriodicSyncInterval", Value: "720"})
			}
			const every, quiet = 6 * time.Hour, 24 * time.Hour
			ends := e.Clock.Now().AddDate(0, 0, 29)
			e.renew(apacPub, clustersim.Certificates{NotAfter: &ends, MultiServer: &c.multiServer})
			days := func(n int) time.Time { return ends.AddDate(0, 0, -n) }
			e.until(days(28).Add(-every), every)
			e.expect("29 days")
			e.until(days(28).Add(every), every)
			e.expect("28 days", "raised warning CertificateExpiring apac")
			e.until(days(14).Add(-quiet), quiet)
			e.expect("between 28 and 14 days")
			e.until(days(14).Add(every), every)
			e.expect("14 days", "repeated warning CertificateExpiring apac")
			blind := func(from time.Time) {
				e.until(from, quiet)
				for _, n := range c.hangs {
					e.hanging.set(n, true)
				}
				e.until(from.Add(26*time.Hour), every) // longer than a look is good for
				for _, n := range c.hangs {
					e.hanging.set(n, false)
				}
			}
			blind(days(10))
			e.until(days(7).Add(-quiet), quiet)
			e.expect("between 14 and 7 days")
			e.until(days(7).Add(every), every)
			e.expect("7 days", "repeated critical CertificateExpiring apac")
			e.until(days(0).Add(-quiet), quiet)
			if got := e.heard(); len(got) > 7 || slices.ContainsFunc(got, func(s string) bool { return s != "repeated critical CertificateExpiring apac" }) {
				t.Errorf("the last week: heard %q, want the alarm again at most once a day", got)
			}
			e.until(days(0).Add(every), every)
			e.expect("ended", "raised critical CertificateExpired apac")
			blind(e.Clock.Now())
			if got := e.heard(); len(got) > 2 || slices.ContainsFunc(got, func(s string) bool { return s != "repeated critical CertificateExpired apac" }) {
				t.Errorf("ended: heard %q, want the alarm again at most once a day", got)
			}
			e.renew(apacPub, clustersim.Certificates{MultiServer: &c.multiServer})
			for range 6 {
				e.tick(every)
			}
			slices.SortFunc(e.said, byName)
			e.expect("renewed", "cleared critical CertificateExpired apac", "cleared warning CertificateExpiring apac")
			if got := e.trusted(); len(got) != 0 {
				t.Errorf("renewed: %v", got)
			}
		})
	}
}
