package certcheck_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/certcheck"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store/storetest"
	"peerkeeper/shared/tlsprobe"
)

// rig is a simulated mesh on real sockets, looked at by certcheck.
type rig struct {
	*simtest.Rig
	t     *testing.T
	check *certcheck.Certcheck
}

func newRig(t *testing.T, cfg clustersim.Config, change func(m *mesh.Mesh)) *rig {
	t.Helper()
	cfg.Users = 5
	r := simtest.New(t, time.Date(2026, 6, 2, 12, 0, 0, 0, time.UTC), cfg, true)
	if change != nil {
		change(r.Mesh)
	}
	return &rig{r, t, &certcheck.Certcheck{
		Mesh: r.Mesh, Store: storetest.NewMemory(), TLS: tlsprobe.Prober{Timeout: time.Minute}, DNS: &dnsprobe.Client{Domain: r.Mesh.Domain}, Now: r.Clock.Now,
		Platform: &cluster.Platform{Secrets: r.SecretsNow(), Now: r.Clock.Now, Timeout: time.Minute},
	}}
}

func (r *rig) look() (*record.Snapshot, *certificate.View) {
	r.t.Helper()
	if _, err := r.check.Handle(r.t.Context(), run.Request{}); err != nil {
		r.t.Fatal(err)
	}
	return r.stored()
}

// stored is what is kept now, and what it comes to.
func (r *rig) stored() (*record.Snapshot, *certificate.View) {
	r.t.Helper()
	snapshot, err := record.Load(r.t.Context(), r.check.Store, r.check.Mesh)
	if err != nil {
		r.t.Fatal(err)
	}
	return snapshot, snapshot.Certificates(snapshot.Facts(r.check.Mesh, 5*time.Minute, r.Clock.Now()).View())
}

func conditionOf(snapshot *record.Snapshot, id mesh.PeerID) string {
	for _, c := range snapshot.PeerCert[id].Value.Conditions {
		if c.Type == peer.CertificateTrusted {
			return string(c.Status) + " " + string(c.Reason)
		}
	}
	return ""
}

func has(snapshot *record.Snapshot, id mesh.ClusterID, reason peer.Reason) bool {
	for _, f := range snapshot.Certs[id].Value.Findings {
		if f.Reason == reason {
			return true
		}
	}
	return false
}

const pub = "imp-apac-pub.example.com"

// TestTrustStoresOfTheSimulator: what the nodes themselves say over certificate
// management, from renewal to exchange.
func TestTrustStoresOfTheSimulator(t *testing.T) {
	r := newRig(t, clustersim.Config{}, nil)
	id := mesh.PeerID{From: "emea", To: "apac"}
	snapshot, m := r.look()
	for _, row := range m.Trust().Rows {
		for i, cell := range row.Cells {
			if row.Cluster != m.Trust().Clusters[i] && cell.Verdict != certificate.Trusted {
				t.Errorf("%s by %s: %s %s", row.Node, m.Trust().Clusters[i], cell.Verdict, cell.Why)
			}
		}
	}
	if got := conditionOf(snapshot, id); got != "True InTrustStore" {
		t.Errorf("a healthy mesh: %s", got)
	}
	for _, c := range r.check.Mesh.IDs() {
		if no := snapshot.Certs[c].Value.NoTrust; no != nil {
			t.Errorf("%s: %+v", c, no)
		}
		for _, f := range snapshot.Certs[c].Value.Findings {
			if f.Severity != peer.Info {
				t.Errorf("%s: %+v", c, f)
			}
		}
	}

	// Renewed by the same CA: nothing has to be exchanged.
	r.Change("apac", clustersim.Certificates{Node: pub, KeyType: "RSA", Issuer: "ca"})
	r.Clock.Move(6 * time.Hour)
	if snapshot, _ = r.look(); conditionOf(snapshot, id) != "True TrustedByCA" {
		t.Errorf("renewed by the CA: %s", conditionOf(snapshot, id))
	}
	if !has(snapshot, "apac", peer.CertificateChanged) || !has(snapshot, "emea", certificate.SameSubjectOther) {
		t.Errorf("the change, or the former copy, is not said")
	}

	// Self-signed: on its way at first, then not trusted.
	for _, c := range []string{"emea", "amer"} { // or their next sync would carry it over
		r.Change(c, clustersim.Parameters{Name: "ICSAPeriodicCertificateSync", Value: "f"})
	}
	r.Change("apac", clustersim.Certificates{Node: pub, KeyType: "RSA", Issuer: "self"})
	if snapshot, _ = r.look(); conditionOf(snapshot, id) != "Unknown ExchangePending" {
		t.Errorf("just renewed: %s", conditionOf(snapshot, id))
	}
	r.Clock.Move(6 * time.Hour)
	snapshot, m = r.look()
	if got := conditionOf(snapshot, id); !strings.HasPrefix(got, "False ") {
		t.Errorf("six hours later: %s", got)
	}
	if !has(snapshot, "apac", certificate.NotTrustedByPeers) || len(m.Copies()) != 2 {
		t.Errorf("findings %+v, copies %v", snapshot.Certs["apac"].Value.Findings, m.Copies())
	}

	// A person uploads it on every publisher.
	print := ""
	for _, row := range m.Trust().Rows {
		if row.Node == pub {
			print = row.Fingerprint
		}
	}
	for _, c := range []string{"emea", "amer"} {
		r.Change(c, clustersim.Trust{Add: print})
	}
	if snapshot, m = r.look(); conditionOf(snapshot, id) != "True InTrustStore" || has(snapshot, "apac", certificate.NotTrustedByPeers) || len(m.Copies()) != 0 {
		t.Errorf("after the upload: %s", conditionOf(snapshot, id))
	}
}

// TestTrustUnderTLSOfTheSimulator: over TLS the SIP and XMPP certificates count,
// as the nodes themselves tell them, each in its own store.
func TestTrustUnderTLSOfTheSimulator(t *testing.T) {
	r := newRig(t, clustersim.Config{}, func(m *mesh.Mesh) {
		for i := range m.Peers {
			m.Peers[i].Protocol = mesh.TLSProto
		}
	})
	for _, a := range r.check.Mesh.IDs() {
		for _, b := range r.check.Mesh.IDs() {
			if a != b {
				r.Change(string(a), clustersim.Peers{Peer: string(b), Protocol: new("tls")})
			}
		}
	}
	r.Pass(31 * time.Minute)
	id := mesh.PeerID{From: "emea", To: "apac"}
	verdicts := func(m certificate.Matrix) map[string]certificate.Verdict {
		out := map[string]certificate.Verdict{}
		for _, row := range m.Of("apac") {
			if row.Node == pub {
				out[row.Service+" in "+row.Store] = m.Cell(row, "emea").Verdict
			}
		}
		return out
	}
	snapshot, m := r.look()
	want := map[string]certificate.Verdict{"tomcat in tomcat-trust": certificate.Trusted, "cup in cup-trust": certificate.Trusted, "cup-xmpp in cup-xmpp-trust": certificate.Trusted}
	if diff := cmp.Diff(want, verdicts(m.Trust())); diff != "" {
		t.Errorf("exchanged (-want +got):\n%s", diff)
	}
	if got := conditionOf(snapshot, id); got != "True InTrustStore" {
		t.Errorf("exchanged: %s", got)
	}

	// Nobody's syncs bring a renewed one any more.
	for _, c := range []string{"emea", "amer"} {
		r.Change(c, clustersim.Parameters{Name: "ICSAPeriodicCertificateSync", Value: "f"})
	}
	r.Change("apac", clustersim.Certificates{Node: pub, Service: "cup", Issuer: "self"})
	r.look()
	r.Clock.Move(6 * time.Hour)
	snapshot, m = r.look()
	want["cup in cup-trust"] = certificate.StaleCopy
	if diff := cmp.Diff(want, verdicts(m.Trust())); diff != "" {
		t.Errorf("cup renewed (-want +got):\n%s", diff)
	}
	if got := conditionOf(snapshot, id); !strings.HasPrefix(got, "False ") || !has(snapshot, "apac", certificate.NotTrustedByPeers) {
		t.Errorf("cup renewed: %s, %+v", got, snapshot.Certs["apac"].Value.Findings)
	}
	copies := m.Copies()
	if len(copies) != 2 || copies[0].File != "cup.pem" || copies[0].Store != "cup-trust" || copies[0].Node != pub {
		t.Errorf("to be copied: %+v", copies)
	}
}

// TestReleasesBefore14: nobody is asked, and what TLS shows is all there is.
func TestReleasesBefore14(t *testing.T) {
	r := newRig(t, clustersim.Config{Release: "12.5"}, nil)
	snapshot, m := r.look()
	for _, row := range m.Trust().Rows {
		for i, cell := range row.Cells {
			if row.Cluster != m.Trust().Clusters[i] && (cell.Verdict != certificate.Unknown || cell.Why != certificate.Before14) {
				t.Errorf("%s by %s: %s %s", row.Node, m.Trust().Clusters[i], cell.Verdict, cell.Why)
			}
		}
	}
	if got := conditionOf(snapshot, mesh.PeerID{From: "emea", To: "apac"}); !strings.HasPrefix(got, "Unknown ") {
		t.Errorf("emea>apac: %s", got)
	}
	if n := logIns(r); n != 0 {
		t.Errorf("%d requests to certificate management", n)
	}
}

// TestPlatformPasswordIsTriedOnce on real sockets.
func TestPlatformPasswordIsTriedOnce(t *testing.T) {
	r := newRig(t, clustersim.Config{}, nil)
	r.Change("emea", clustersim.Credentials{Account: "platform", Password: new("changed-by-somebody")})
	for range 3 {
		snapshot, _ := r.look()
		if no := snapshot.Certs["emea"].Value.NoTrust; no == nil || no.Reason != peer.AccountRejected {
			t.Errorf("%+v", no)
		}
		r.Clock.Move(6 * time.Hour)
	}
	rejected := 0
	for name, n := range r.Requests("emea") {
		if strings.Contains(name, "snapshot") {
			rejected += n
		}
	}
	if rejected != 1 {
		t.Errorf("%d log-ins with a password that was refused, want one", rejected)
	}
}

// TestUnverifiedNodeGetsNoPassword: a node that nothing vouches for is not
// logged in to.
func TestUnverifiedNodeGetsNoPassword(t *testing.T) {
	r := newRig(t, clustersim.Config{}, func(m *mesh.Mesh) { m.Clusters[0].TLS = mesh.TLS{Pins: []string{"sha256:" + strings.Repeat("0", 64)}} })
	snapshot, _ := r.look()
	if no := snapshot.Certs["emea"].Value.NoTrust; no == nil || no.Reason != peer.ServerCertificateUntrusted {
		t.Errorf("%+v", no)
	}
	if !has(snapshot, "emea", certificate.CertificateUntrustedHere) {
		t.Error("that Peerkeeper is blind there is not said")
	}
	for name, n := range r.Requests("emea") {
		if strings.Contains(name, "snapshot") {
			t.Errorf("%d requests %s reached an unverified node", n, name)
		}
	}
}

func logIns(r *rig) int {
	sum := 0
	for _, id := range r.check.Mesh.IDs() {
		for name, n := range r.Requests(id) {
			if strings.Contains(name, "snapshot") || strings.Contains(name, "certificate") {
				sum += n
			}
		}
	}
	return sum
}
