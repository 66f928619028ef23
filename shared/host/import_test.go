package host_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/tlsprobe"
)

const apacPublisher = "imp-apac-pub.example.com"

// unlearned is a mesh in which apac serves a certificate that emea has never
// learned, told of by stucksync and about to be imported.
func unlearned(t *testing.T) *crashRig { return unlearnedAs(t, apacPublisher, 30) }

// unlearnedAs accepts the certificate under one of apac's nodes, and has another
// sync interval of emea, in minutes.
func unlearnedAs(t *testing.T, node mesh.NodeName, interval int, sinks ...alarm.Sink) *crashRig {
	t.Helper()
	r := newCrashRig(t)
	r.host.Sinks = sinks
	if interval != 30 {
		r.change("emea", clustersim.Parameters{Service: peer.ICSA, Name: "ICSAPeriodicSyncInterval", Value: strconv.Itoa(interval)})
		r.pass(35 * time.Minute) // it takes effect with the next sync
	}
	r.once("peersync")
	r.once("certcheck")
	r.change("emea", clustersim.Parameters{Service: peer.ICSA, Name: "ICSAEnableAutoRecovery", Value: "f"})
	r.change("apac", clustersim.Certificates{Node: apacPublisher, Issuer: "self"})
	r.change("emea", clustersim.Trust{Remove: apacPublisher})
	c, _ := r.host.Mesh.Cluster("apac")
	n, _ := c.Node(apacPublisher)
	served, _ := tlsprobe.Prober{}.Probe(t.Context(), tlsprobe.Target{Address: n.Address, ServerName: apacPublisher}, tlsprobe.Any)
	if served.Leaf() == nil {
		t.Fatal("apac serves nothing")
	}
	if err := person(r.host).Accept(t.Context(), node, chain.Fingerprint(served.Leaf())); err != nil {
		t.Fatal(err)
	}
	r.once("certcheck")
	for range (interval+60)/25 + 1 { // until no sync can bring it any more
		r.pass(25 * time.Minute)
		r.once("peersync")
	}
	r.once("certcheck")
	r.once("stucksync") // tells of what it will do
	r.pass(5 * time.Minute)
	r.once("peersync")
	return r
}

// puts is how often somebody put something into emea's trust stores.
func (r *crashRig) puts() int {
	for _, c := range r.sim.State().Clusters {
		if c.ID != "emea" {
			continue
		}
		n := 0
		for _, node := range c.Nodes {
			n += node.Requests["POST /trust/certificates"]
		}
		return n
	}
	return -1
}

// asked are the actions that are asked for now.
func (r *crashRig) asked() []operator.Planned {
	r.t.Helper()
	all, err := person(r.host).Plan(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// trusted is the condition of emea>apac.
func (r *crashRig) trusted() peer.Condition {
	r.t.Helper()
	snapshot, err := record.Load(r.t.Context(), r.host.Store, r.host.Mesh)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range snapshot.PeerCert[mesh.PeerID{From: "emea", To: "apac"}].Value.Conditions {
		if c.Type == peer.CertificateTrusted {
			return c
		}
	}
	return peer.Condition{}
}

// TestImportKilledAtEachStep is the same table as TestKilledAtEachStep, of an
// import: whatever dies where, it is put in once, and proven.
func TestImportKilledAtEachStep(t *testing.T) {
	for _, c := range []struct {
		name  string
		step  string
		fault clustersim.FaultTime // of a connection that drops, on the request
		open  int                  // intents in the gate after the kill
		put   int                  // requests by then
		next  repair.Outcome
	}{
		{"looked: nothing is meant yet, nothing was sent", "looked", "", 0, 0, repair.DoneProven},
		{"intent: meant, not sent", "intent", "", 1, 0, repair.NotDone},
		{"lookedAgain: meant, not sent", "lookedAgain", "", 1, 0, repair.NotDone},
		{"sent, and the node never carried it out", "sent", "before", 1, 1, repair.NotDone},
		{"sent, carried out, and the answer was lost", "sent", "after", 1, 1, repair.DoneProven},
		{"sent and answered", "sent", "", 1, 1, repair.DoneProven},
		{"closed: proven and closed", "closed", "", 0, 1, repair.DoneProven},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := unlearned(t)
			if c.fault != "" {
				r.fault(clustersim.Fault{Cluster: "emea", Operation: "POST /trust/certificates", Kind: clustersim.FaultDrop, When: c.fault, Times: 1})
			}
			r.child("stucksync", c.step)
			if gate := r.gate(); len(gate.Open) != c.open || r.puts() != c.put {
				t.Fatalf("after the kill: %d open intents and %d requests, want %d and %d", len(gate.Open), r.puts(), c.open, c.put)
			}
			r.pass(5 * time.Minute)
			r.once("peersync")
			r.once("stucksync")
			if gate := r.gate(); len(gate.Open) != 0 || len(gate.Closed) != 1 || gate.Closed[0].Outcome != c.next {
				t.Errorf("after the next tick: open %+v, closed %+v, want one closed %s", gate.Open, gate.Closed, c.next)
			}
			for range 12 {
				if r.trusted().Status != peer.False {
					break
				}
				r.pass(5 * time.Minute)
				r.once("peersync")
				r.once("certcheck")
				r.once("stucksync")
			}
			want := 1
			if c.fault == clustersim.Before {
				want = 2 // the first of them changed nothing, as was read back
			}
			if cond := r.trusted(); cond.Reason != peer.TrustNotReloaded || r.puts() != want {
				t.Errorf("CertificateTrusted %s %s after %d requests, want %d", cond.Status, cond.Reason, r.puts(), want)
			}
			r.verify()
		})
	}
}

// TestImportIsHeldBack: each of these keeps the certificate out, says so, and
// sends nothing.
func TestImportIsHeldBack(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*crashRig)
		says record.Refusal // why, in the plan; none if it is not even asked for
	}{
		{"mode observe", func(r *crashRig) { r.host.Mesh.Policy.Mode = mesh.Observe }, record.Refusal{Guard: "mode", Why: "policy.mode is observe"}},
		{"people import", func(r *crashRig) { r.host.Mesh.Policy.ImportCertificates = mesh.ImportManual }, record.Refusal{}},
		{"the cluster is paused", func(r *crashRig) {
			if _, err := person(r.host).Pause(r.t.Context(), "emea", "change freeze", time.Hour); err != nil {
				r.t.Fatal(err)
			}
		}, record.Refusal{Guard: "override", Why: "emea is paused by jdoe"}},
		{"apac has another certificate by now", func(r *crashRig) {
			r.change("apac", clustersim.Certificates{Node: apacPublisher, Issuer: "self"})
		}, record.Refusal{Guard: "failed", Why: "imp-apac-pub.example.com shows sha256:"}},
		{"apac does not answer now", func(r *crashRig) {
			r.change("apac", clustersim.Nodes{Node: apacPublisher, Down: new(true)})
		}, record.Refusal{Guard: "failed", Why: "imp-apac-pub.example.com does not show its RSA certificate"}},
		{"emea does not answer now", func(r *crashRig) {
			r.fault(clustersim.Fault{Cluster: "emea", Operation: "GET /snapshot/server", Kind: clustersim.FaultHTTP503, Times: 5})
		}, record.Refusal{Guard: "failed", Why: "throttled"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := unlearned(t)
			c.do(r)
			r.once("stucksync")
			asked := r.asked()
			if c.says == (record.Refusal{}) && len(asked) == 0 && r.puts() == 0 {
				return
			}
			found := func(r record.Refusal) bool { return r.Guard == c.says.Guard && strings.Contains(r.Why, c.says.Why) }
			if len(asked) != 1 || !slices.ContainsFunc(asked[0].Refused, found) || r.puts() != 0 || len(r.gate().Open) != 0 {
				t.Errorf("asked %+v, sent %d; want %+v", asked, r.puts(), c.says)
			}
		})
	}
}

// heard are the notices that arrived.
type heard []alarm.Notice

// Name is the sink's.
func (*heard) Name() string { return "heard" }

// Send takes a notice.
func (h *heard) Send(_ context.Context, n alarm.Notice) error {
	*h = append(*h, n)
	return nil
}

// TestImportIsTold: one alarm, raised and cleared once, and said once more when
// the second decision of a person is wanted.
func TestImportIsTold(t *testing.T) {
	var told heard
	r := unlearnedAs(t, apacPublisher, 60, &told) // so that Cisco's own recovery does not come first
	approved := 0
	for range 8 { // by then Cisco's own recovery would have read it
		if r.round(); approved == 0 {
			approved = r.approve()
		}
	}
	if approved != 1 {
		t.Fatalf("%d actions waited for a person, want the restart of ICSA", approved)
	}
	for range 8 {
		r.round()
	}
	var got []string
	for _, n := range told {
		got = append(got, string(n.State)+" "+n.Name+" "+string(n.Cluster)+n.Peer.String())
	}
	want := []string{"raised CertificateNotTrusted apac", "repeated CertificateNotTrusted apac", "cleared CertificateNotTrusted apac"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("notices (-want +got):\n%s", diff)
	}
	for i, words := range []string{
		"Peerkeeper: will put tomcat of imp-apac-pub.example.com into tomcat-trust on imp-emea-pub.example.com at its next run",
		"lets it restart Cisco Intercluster Sync Agent on imp-emea-pub.example.com once", "",
	} {
		if !strings.Contains(told[i].Message, words) {
			t.Errorf("notice %d does not say %q: %s", i+1, words, told[i].Message)
		}
	}
	if told[0].Transition != told[1].Transition || told[1].Transition+1 != told[2].Transition {
		t.Errorf("transitions %d, %d, %d", told[0].Transition, told[1].Transition, told[2].Transition)
	}
}

// TestAlarmsHaveTimeOfTheirOwn: a look that is about to end begins no action, and
// still says what it found; the next one acts.
func TestAlarmsHaveTimeOfTheirOwn(t *testing.T) {
	r := unlearned(t)
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	if _, err := r.host.Handle(ctx, run.Request{Function: "stucksync"}); err == nil || !strings.Contains(err.Error(), "no sink is configured") {
		t.Fatalf("it did not come to saying what it found: %v", err)
	}
	asked := r.asked()
	if len(asked) != 1 || !slices.Equal(asked[0].Refused, []record.Refusal{{Guard: "time", Why: "this run had no time left"}}) || r.puts() != 0 {
		t.Errorf("asked %+v, sent %d", asked, r.puts())
	}
	items, err := alarm.Items(t.Context(), r.host.Store, r.host.Mesh.Name)
	if err != nil || len(items) == 0 {
		t.Errorf("alarms %v %v", items, err)
	}
	if r.once("stucksync"); r.puts() != 1 {
		t.Errorf("the next look sent %d", r.puts())
	}
}

// TestImportOfWhatWasAcceptedElsewhere: a certificate accepted under one node of
// its cluster is accepted, as in every log-in.
func TestImportOfWhatWasAcceptedElsewhere(t *testing.T) {
	r := unlearnedAs(t, "imp-apac-sub.example.com", 30)
	r.once("stucksync")
	if asked := r.asked(); r.puts() != 1 {
		t.Errorf("sent %d; asked %+v", r.puts(), asked)
	}
}

// TestImportByHandMeanwhile: a person was quicker. Nothing is sent.
func TestImportByHandMeanwhile(t *testing.T) {
	r := unlearned(t)
	asked := r.asked()
	if len(asked) != 1 || asked[0].Kind != peer.ImportCertificate || asked[0].Approval != "" {
		t.Fatalf("%+v", asked)
	}
	snapshot, err := record.Load(t.Context(), r.host.Store, r.host.Mesh)
	if err != nil {
		t.Fatal(err)
	}
	r.change("emea", clustersim.Trust{Add: snapshot.Proposals[asked[0].ID].Value.Proposal.Value})
	r.once("stucksync")
	if got := r.asked()[0].Refused; r.puts() != 0 || !slices.ContainsFunc(got, func(r record.Refusal) bool { return r.Guard == "needed" }) {
		t.Errorf("sent %d, refused by %v", r.puts(), got)
	}
}

// TestImportByARejectedAccount: the write account is tried once, noted, and not
// tried again until a person resumes it.
func TestImportByARejectedAccount(t *testing.T) {
	r := unlearned(t)
	r.change("emea", clustersim.Credentials{Account: "platform-write", Password: new("another")})
	rejected := func() int {
		n := 0
		for _, c := range r.sim.State().Clusters {
			for _, node := range c.Nodes {
				n += node.RejectedLogIns
			}
		}
		return n
	}
	for range 3 {
		r.once("stucksync")
		r.pass(35 * time.Minute)
		r.once("peersync")
	}
	if rejected() != 1 || r.puts() != 0 {
		t.Errorf("%d log-ins rejected, %d requests sent", rejected(), r.puts())
	}
	it, err := r.host.Store.Get(t.Context(), store.Auth(r.host.Mesh.Name, "emea", mesh.PlatformWriteAccount))
	if err != nil || !strings.Contains(string(it.Body), "emea/platform-write") {
		t.Errorf("%s %v", it.Body, err)
	}
	if retried, err := person(r.host).RetryAccounts(t.Context(), "emea"); err != nil || !retried {
		t.Fatal(retried, err)
	}
	r.once("certcheck")
	r.once("stucksync")
	if rejected() != 2 {
		t.Errorf("after resume: %d log-ins rejected, want one more", rejected())
	}
}

// approve approves everything that waits for a person, and says how much did.
func (r *crashRig) approve() int {
	r.t.Helper()
	n := 0
	for _, p := range r.asked() {
		if p.Approval == "" || p.Outcome != "" {
			continue
		}
		if _, err := person(r.host).Approve(r.t.Context(), p.ID); err != nil {
			r.t.Fatal(err)
		}
		n++
	}
	return n
}

// round is a quarter of an hour of all three functions.
func (r *crashRig) round() {
	for range 3 {
		r.pass(5 * time.Minute)
		r.once("peersync")
		r.once("stucksync")
	}
	r.once("certcheck")
}

// TestRenewalWithoutADrop plays the timeline's plan: a new certificate is
// installed and not served, accepted here, put into every trust store, read by
// every ICSA, and only then served. No sync is missed on the way.
func TestRenewalWithoutADrop(t *testing.T) {
	r := newCrashRig(t)
	for _, f := range []string{"peersync", "certcheck", "stucksync"} {
		r.once(f)
	}
	r.pass(3 * time.Hour) // every agent is old enough to be restarted
	r.change("apac", clustersim.Certificates{Node: apacPublisher, Issuer: "self", Served: new(false)})
	r.round()

	status := func() (finding string) {
		t.Helper()
		snapshot, err := record.Load(t.Context(), r.host.Store, r.host.Mesh)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range snapshot.Certs["apac"].Value.Findings {
			if f.Reason == certificate.NotServedYet {
				finding = f.Message
			}
		}
		for _, p := range r.host.Mesh.Peers {
			for _, c := range snapshot.PeerCert[p.ID].Value.Conditions {
				if c.Status == peer.False {
					t.Errorf("%s: %s is False: %s", p.ID, c.Type, c.Message)
				}
			}
		}
		for _, c := range r.sim.State().Clusters {
			for _, p := range c.Peers {
				if p.LastError != "" {
					t.Errorf("%s>%s: a sync failed: %s", c.ID, p.ID, p.LastError)
				}
			}
		}
		return finding
	}
	if got := status(); !strings.Contains(got, "do not restart Cisco Tomcat yet: it is not trusted by emea, amer") {
		t.Fatalf("installed: %q", got)
	}
	if got := r.asked(); len(got) != 0 {
		t.Fatalf("it is spread before anybody has vouched for it: %+v", got)
	}
	snapshot, err := record.Load(t.Context(), r.host.Store, r.host.Mesh)
	if err != nil {
		t.Fatal(err)
	}
	next := snapshot.Certs["apac"].Value.Identity[apacPublisher]["tomcat"].Fingerprint
	if err := person(r.host).Accept(t.Context(), apacPublisher, next); err != nil {
		t.Fatal(err)
	}
	r.once("certcheck")
	r.round()
	if got, err := person(r.host).ApproveSource(t.Context(), "imp-emea-pub.example.com"); err == nil {
		t.Errorf("approved of a node of which nothing is asked: %+v", got)
	}
	got, err := person(r.host).ApproveSource(t.Context(), apacPublisher)
	if err != nil || len(got) != 2 || got[0].Cluster == got[1].Cluster || !strings.Contains(strings.Join(certificate.ImportLines(*got[0].Source), "\n"), "tomcat of imp-apac-pub.example.com (apac): "+next) {
		t.Fatalf("approved %+v, want the imports into emea and amer: %v", got, err)
	}
	for range 6 { // put in, seen, and on every node within the hour
		r.round()
	}
	if got := status(); !strings.Contains(got, "do not restart Cisco Tomcat yet: the Intercluster Sync Agent of emea, amer has not read its trust store") {
		t.Fatalf("put in: %q", got)
	}
	if n := r.approve(); n != 2 {
		t.Fatalf("%d actions wait for a person, want a restart of ICSA on emea and on amer: %+v", n, r.asked())
	}
	for range 6 {
		r.round()
	}
	if got := status(); !strings.Contains(got, "every peer trusts it already") {
		t.Fatalf("read: %q; %+v", got, r.asked())
	}
	// From here on nothing is handed over by the clusters themselves: what they
	// have read is all they know.
	for _, id := range []string{"emea", "amer"} {
		r.change(id, clustersim.Parameters{Service: peer.ICSA, Name: "ICSAPeriodicCertificateSync", Value: "f"})
	}
	r.change("apac", clustersim.Services{Node: apacPublisher, Service: "Cisco Tomcat", Status: "Stopped"})
	r.change("apac", clustersim.Services{Node: apacPublisher, Service: "Cisco Tomcat", Status: "Started"})
	for range 8 { // two hours of syncs over the new one
		r.round()
		if got := status(); got != "" {
			t.Errorf("served: %q", got)
		}
	}
	if got := r.trusted(); got.Status != peer.True {
		t.Errorf("CertificateTrusted %s %s: %s", got.Status, got.Reason, got.Message)
	}
	r.verify()
}
