package clustersim

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// rest sends one certificate management request over whatever the rig uses.
func (r *rig) rest(node, method, path, body, kind string) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "https://"+r.nodeState(node).PlatformAddress+certificatePath+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if kind != "" {
		a := r.account(r.clusterOf(node), kind)
		req.SetBasicAuth(a.username, a.password)
	}
	return r.send(req)
}

func addBody(service string, certs ...string) string {
	raw, err := json.Marshal(map[string]any{"service": []string{service}, "certificates": certs, "description": "test"})
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// served is the PEM of what a node serves.
func (r *rig) served(node string) string {
	r.t.Helper()
	chain, err := r.Served(r.nodeState(node).Address)
	if err != nil {
		r.t.Fatal(err)
	}
	return pemText(chain[0])
}

// stored tells in which nodes' tomcat-trust of a cluster a certificate is.
func (r *rig) stored(cluster, print string) []string {
	r.Sim.mu.Lock()
	defer r.Sim.mu.Unlock()
	out := []string{}
	for _, n := range r.cluster(cluster).nodes {
		if r.trust(n, tomcatTrust).certs[print] != nil {
			out = append(out, string(n.role))
		}
	}
	return out
}

func certificateSyncOff(r *rig, cluster string) {
	r.change(cluster, Parameters{Name: paramCertificateSync, Value: "f"})
}

func restartICSA(r *rig, node string) {
	r.change(r.clusterOf(node), Services{Node: node, Service: serviceICSA, Status: "Restart"})
}

// Cisco's flow: upload to the publisher, restart ICSA there; only then the new
// certificate counts. On a subscriber alone it does not count at all.
func TestUploadNeedsTheRestart(t *testing.T) {
	lost := func(r *rig, when string) {
		r.t.Helper()
		if got := r.peer("emea>apac").LastError; !strings.HasPrefix(got, "CertificateNotTrusted") {
			r.t.Errorf("%s: lasterror %q", when, got)
		}
	}
	setUp := func(t *testing.T) *rig {
		r := newRig(t, Config{Users: 5, Clusters: 2})
		certificateSyncOff(r, "emea")
		r.change("apac", Certificates{Node: apacPub, Issuer: "self"})
		r.run(31 * time.Minute)
		lost(r, "renewed")
		return r
	}
	upload := func(r *rig, node string, status int) {
		r.t.Helper()
		if got := r.rest(node, http.MethodPost, "/trust/certificates", addBody("tomcat", r.served(apacPub)), "platform-write"); got.status != status {
			r.t.Fatalf("upload to %s: %d %s %v", node, got.status, got.body, got.err)
		}
	}
	t.Run("publisher", func(t *testing.T) {
		r := setUp(t)
		upload(r, emeaPub, 201)
		r.run(anHourAndABit)
		lost(r, "uploaded, ICSA not restarted")
		restartICSA(r, emeaPub)
		r.run(2 * time.Minute)
		if got := r.peer("emea>apac").LastError; got != "" {
			t.Errorf("uploaded and restarted: lasterror %q", got)
		}
		if got := r.state("emea").Writes; got != 1 {
			t.Errorf("%d writes", got)
		}
	})
	t.Run("restart before the upload", func(t *testing.T) {
		r := setUp(t)
		restartICSA(r, emeaPub)
		r.run(2 * time.Minute)
		upload(r, emeaPub, 201)
		r.run(10 * time.Minute)
		lost(r, "restarted, then uploaded")
	})
	t.Run("subscriber, restarted before it reached the publisher", func(t *testing.T) {
		r := setUp(t)
		upload(r, emeaSub, 200)
		restartICSA(r, emeaPub)
		r.run(15 * time.Minute)
		lost(r, "only the subscriber has it")
		r.run(10 * time.Minute)
		lost(r, "the publisher has it, ICSA has not read it")
		restartICSA(r, emeaPub)
		r.run(2 * time.Minute)
		if got := r.peer("emea>apac").LastError; got != "" {
			t.Errorf("lasterror %q", got)
		}
	})
	t.Run("an older one of the same key is another certificate", func(t *testing.T) {
		r := setUp(t)
		for range rsaPoolSize + 1 { // by then some key has come back
			lost(r, "renewed once more")
			upload(r, emeaPub, 201)
			restartICSA(r, emeaPub)
			r.run(2 * time.Minute)
			if got := r.peer("emea>apac").LastError; got != "" {
				t.Fatalf("lasterror %q", got)
			}
			r.change("apac", Certificates{Node: apacPub, Issuer: "self"})
			r.run(31 * time.Minute)
		}
	})
	t.Run("cup-trust is not tomcat-trust", func(t *testing.T) {
		r := setUp(t)
		if got := r.rest(emeaPub, http.MethodPost, "/trust/certificates", addBody("cup", r.served(apacPub)), "platform-write"); got.status != 201 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		restartICSA(r, emeaPub)
		r.run(10 * time.Minute)
		lost(r, "in cup-trust")
	})
	t.Run("force sync needs neither", func(t *testing.T) {
		r := setUp(t)
		r.change("emea", Peers{Peer: "apac", ForceSync: true})
		r.run(2 * time.Minute)
		if got := r.peer("emea>apac").LastError; got != "" {
			t.Errorf("lasterror %q", got)
		}
	})
	t.Run("a CA is enough", func(t *testing.T) {
		r := setUp(t)
		ca := fingerprint(r.authority.cert)
		r.change("emea", Trust{Remove: ca})
		r.change("apac", Certificates{Node: apacPub, Issuer: "ca"})
		r.run(10 * time.Minute)
		lost(r, "CA removed")
		if got := r.rest(emeaPub, http.MethodPost, "/trust/certificates", addBody("tomcat", string(r.authority.PEM())), "platform-write"); got.status != 201 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		restartICSA(r, emeaPub)
		r.run(2 * time.Minute)
		if got := r.peer("emea>apac").LastError; got != "" {
			t.Errorf("lasterror %q", got)
		}
	})
}

func TestReplication(t *testing.T) {
	r := newRig(t, Config{Users: 5, Clusters: 2, TrustReplication: 15 * time.Minute})
	certificateSyncOff(r, "emea")
	r.change("apac", Certificates{Node: apacPub, Issuer: "self"})
	print := r.leaf(apacPub)
	if got := r.rest(emeaSub, http.MethodPost, "/trust/certificates", addBody("tomcat", r.served(apacPub)), "platform-write"); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	check := func(when string, want ...string) {
		t.Helper()
		if got := r.stored("emea", print); !slices.Equal(got, want) {
			t.Errorf("%s: in tomcat-trust of %v, want %v", when, got, want)
		}
	}
	check("uploaded", "subscriber")
	if got := r.state("emea").TrustUnderWay; got != 1 {
		t.Errorf("%d under way", got)
	}
	r.change("emea", Nodes{Node: emeaPub, Down: new(true)})
	r.run(16 * time.Minute)
	check("the publisher is down", "subscriber")
	r.change("emea", Nodes{Node: emeaPub, Down: new(false)})
	r.run(15 * time.Minute)
	check("and back; CUCM keeps to itself", "publisher", "subscriber")
	if got := r.state("emea").TrustUnderWay; got != 0 {
		t.Errorf("%d under way", got)
	}
	// Again: nothing new, nothing sent.
	if got := r.rest(emeaSub, http.MethodPost, "/trust/certificates", addBody("tomcat", r.served(apacPub)), "platform-write"); got.status != 200 || r.state("emea").TrustUnderWay != 0 {
		t.Errorf("the same again: %d, %d under way", got.status, r.state("emea").TrustUnderWay)
	}
	r.change("emea", Trust{Remove: print, Node: emeaSub})
	check("removed on one node", "publisher")
	r.change("emea", Trust{Add: print, Node: emeaSub})
	r.change("emea", Trust{Remove: print})
	check("removed")
	// What is under way when it is removed does not come back.
	if got := r.rest(emeaSub, http.MethodPost, "/trust/certificates", addBody("tomcat", r.served(apacPub)), "platform-write"); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	r.change("emea", Trust{Remove: print})
	r.run(time.Hour)
	check("removed under way")
}

func TestPeriodicSyncCarriesEveryNode(t *testing.T) {
	r := newRig(t, Config{Users: 5, Clusters: 2})
	const apacSub = "imp-apac-sub.example.com"
	r.change("apac", Certificates{Node: apacSub, Issuer: "self"})
	r.change("apac", Certificates{Node: apacSub, KeyType: "ECDSA", Issuer: "self"})
	r.run(31 * time.Minute)
	ec, err := r.ServedKey(r.nodeState(apacSub).Address, keyECDSA)
	if err != nil {
		t.Fatal(err)
	}
	for _, print := range []string{r.leaf(apacSub), fingerprint(ec[0])} {
		if got := r.stored("emea", print); !slices.Contains(got, "publisher") {
			t.Errorf("%s is in %v", print, got)
		}
	}
	r.run(21 * time.Minute)
	if got := r.stored("emea", r.leaf(apacSub)); !slices.Equal(got, []string{"publisher", "subscriber"}) {
		t.Errorf("after replication: %v", got)
	}
}

// A peer that was not in order has nobody to vouch for its new certificate.
func TestNoHandOverAfterAFailedSync(t *testing.T) {
	r := newRig(t, Config{Users: 5, Clusters: 2})
	r.change("apac", Services{Node: apacPub, Service: serviceAXL, Status: "Stopped"})
	r.run(31 * time.Minute)
	r.change("apac", Certificates{Node: apacPub, Issuer: "self"})
	r.change("apac", Services{Node: apacPub, Service: serviceAXL, Status: "Started"})
	r.run(31 * time.Minute)
	if got := r.peer("emea>apac").LastError; !strings.HasPrefix(got, "CertificateNotTrusted") {
		t.Errorf("lasterror %q", got)
	}
}

func TestTLSPeersExchangeTheirSIPCertificates(t *testing.T) {
	r := newRig(t, Config{Users: 5, Clusters: 2})
	count := func(store string) int { return r.nodeState(emeaPub).Trust[store] }
	r.run(31 * time.Minute)
	if count(cupTrust) != 0 {
		t.Errorf("over TCP: %d in cup-trust", count(cupTrust))
	}
	r.change("emea", Peers{Peer: "apac", Protocol: new("tls")})
	r.run(31 * time.Minute)
	if count(cupTrust) != 3 || count(cupXMPPTrust) != 3 { // the CA and two nodes
		t.Errorf("over TLS: %v", r.nodeState(emeaPub).Trust)
	}
}

func TestMultiServerCertificate(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5, Clusters: 2})
	all := []string{emeaPub, emeaSub, "cucm-emea.example.com"}
	for _, keyType := range []string{keyRSA, keyECDSA} {
		r.change("emea", Certificates{Node: emeaPub, KeyType: keyType, MultiServer: new(true), Issuer: "ca"})
		suite := map[string]uint16{keyRSA: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, keyECDSA: tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}[keyType]
		prints := map[string]bool{}
		for _, node := range all {
			for _, address := range []string{r.nodeState(node).Address, r.nodeState(node).PlatformAddress} {
				pool := x509.NewCertPool()
				pool.AddCert(r.authority.cert)
				dialer := tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: node, Time: r.clock.Now, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}}}
				conn, err := dialer.DialContext(t.Context(), "tcp", address)
				if err != nil {
					t.Fatalf("%s at %s: %v", node, address, err)
				}
				leaf := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
				conn.Close()
				prints[fingerprint(leaf)] = true
				if leaf.Subject.CommonName != "imp-emea-pub-ms.example.com" || !slices.Equal(leaf.DNSNames, all) {
					t.Errorf("%s: CN %s, names %v", node, leaf.Subject.CommonName, leaf.DNSNames)
				}
			}
		}
		if len(prints) != 1 {
			t.Errorf("%s: %d certificates for one", keyType, len(prints))
		}
	}
	before := r.leaf(emeaSub)
	r.change("emea", Certificates{Node: emeaPub, SANs: &[]string{emeaPub}})
	if r.leaf(emeaSub) == before {
		t.Error("renewing it, as it is, left the subscriber behind")
	}
	r.change("emea", Certificates{Node: emeaPub, MultiServer: new(false)})
	chain, _ := r.Served(r.nodeState(emeaPub).Address)
	if leaf := chain[0]; leaf.Subject.CommonName != emeaPub || !slices.Equal(leaf.DNSNames, []string{emeaPub}) {
		t.Errorf("single again: %s %v", leaf.Subject.CommonName, leaf.DNSNames)
	}
	if err := r.Do(http.MethodPost, "/clusters/emea/certificates", []byte(`{"node":"`+emeaPub+`","service":"cup","multiServer":true}`)); err == nil {
		t.Error("cup has no multi-server certificate")
	}
	// ICSA resolves every name of it, CUCM's too.
	r.change("emea", Certificates{Node: emeaPub, MultiServer: new(true)})
	r.change("apac", DNS{Name: "cucm-emea.example.com", Answer: new("nxdomain")})
	r.run(31 * time.Minute)
	if got := r.peer("apac>emea").LastError; got != lastErrorName("cucm-emea.example.com") {
		t.Errorf("lasterror %q", got)
	}
}

func TestNewSubscriberTrustsAndIsTrusted(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5, Clusters: 2})
	const added = "imp-emea-sub2.example.com"
	r.change("emea", Nodes{Add: added})
	if got, want := r.nodeState(added).Trust[tomcatTrust], r.nodeState(emeaPub).Trust[tomcatTrust]; got != want {
		t.Errorf("%d certificates in its tomcat-trust, the publisher has %d", got, want)
	}
	if got := r.rest(added, http.MethodGet, "/trust/certificate?service=tomcat", "", "platform"); got.status != 200 {
		t.Errorf("its platform port: %d %v", got.status, got.err)
	}
	r.run(21 * time.Minute)
	if got := r.stored("apac", r.leaf(added)); !slices.Equal(got, []string{"publisher", "subscriber"}) {
		t.Errorf("peers trust it on %v", got)
	}
}

func TestPlatformPortLivesAndDiesWithTheNode(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5, Clusters: 2})
	address := r.nodeState(emeaPub).PlatformAddress
	get := func() reply { return r.rest(emeaPub, http.MethodGet, "/options", "", "platform") }
	if got := get(); got.status != 200 || address == r.nodeState(emeaPub).Address {
		t.Fatalf("%d %v at %s", got.status, got.err, address)
	}
	for _, test := range []struct {
		name    string
		off, on Change
	}{
		{"node down", Nodes{Node: emeaPub, Down: new(true)}, Nodes{Node: emeaPub, Down: new(false)}},
		{"not reachable", Reachable{From: "peerkeeper", Value: new(false)}, Reachable{From: "peerkeeper", Value: new(true)}},
		{"Tomcat stopped", Services{Node: emeaPub, Service: serviceTomcat, Status: "Stopped"}, Services{Node: emeaPub, Service: serviceTomcat, Status: "Started"}},
	} {
		r.change("emea", test.off)
		if got := get(); got.err == nil {
			t.Errorf("%s: answers %d", test.name, got.status)
		}
		r.change("emea", test.on)
		r.run(3 * time.Minute)
		if got := get(); got.status != 200 || r.nodeState(emeaPub).PlatformAddress != address {
			t.Errorf("%s, mended: %d %v at %s", test.name, got.status, got.err, r.nodeState(emeaPub).PlatformAddress)
		}
	}
}
