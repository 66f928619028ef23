package clustersim

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCertificateRESTWire(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5, Clusters: 2})
	const cucm = "cucm-emea.example.com"
	root := string(r.authority.PEM())
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))
	r.change("apac", Certificates{Node: apacPub, Issuer: "self"})
	for _, test := range []struct {
		name   string
		call   func() reply
		status int
		has    []string
	}{
		{"object on a publisher", func() reply { return r.rest(emeaPub, "GET", "/trust/certificate?service=tomcat", "", "platform") }, 200, []string{`{"certificates":[{"certificate":"-----BEGIN CERTIFICATE-----\n`}},
		{"bare list on a subscriber", func() reply { return r.rest(emeaSub, "GET", "/trust/certificate?service=tomcat", "", "platform") }, 200, []string{`[{"certificate":"-----BEGIN`}},
		{"one text on CUCM", func() reply { return r.rest(cucm, "GET", "/trust/certificate?service=tomcat", "", "platform") }, 200, []string{`{"certificates":[{"certificate":"-----BEGIN`, `-----END CERTIFICATE-----\n-----BEGIN`}},
		{"cup-trust", func() reply { return r.rest(emeaPub, "GET", "/trust/certificate?service=cup", "", "platform") }, 200, []string{"BEGIN"}},
		{"the store's name", func() reply { return r.rest(emeaPub, "GET", "/trust/certificate?service=tomcat-trust", "", "platform") }, 400, []string{`{"message":`}},
		{"the same on a subscriber", func() reply { return r.rest(emeaSub, "GET", "/trust/certificate?service=tomcat-trust", "", "platform") }, 400, []string{`{"messages":[`}},
		{"identity", func() reply { return r.rest(emeaPub, "GET", "/identity/certificate?service=tomcat", "", "platform") }, 200, []string{"-----BEGIN CERTIFICATE-----\n"}},
		{"identity of the other port", func() reply {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+r.nodeState(emeaPub).Address+certificatePath+"/identity/certificate?service=cup", nil)
			a := r.account("emea", "platform")
			req.SetBasicAuth(a.username, a.password)
			return r.send(req)
		}, 200, []string{"-----BEGIN CERTIFICATE-----\n"}},
		{"no such identity yet", func() reply {
			return r.rest(emeaPub, "GET", "/identity/certificate?service=tomcat-ECDSA", "", "platform")
		}, 404, []string{`{"message":`}},
		{"no such service", func() reply { return r.rest(emeaPub, "GET", "/identity/certificate?service=x", "", "platform") }, 400, []string{"message"}},
		{"snapshot", func() reply { return r.rest(emeaPub, "GET", "/snapshot/server", "", "platform") }, 200, []string{`"trackingId"`, `"server":"` + emeaPub + `"`, `"service":"cup-xmpp"`, `"certificate_data":[{"filename":"Simulated Mesh CA_`, `"revokedCertificates":[]`}},
		{"options", func() reply { return r.rest(emeaPub, "GET", "/options", "", "platform") }, 200, []string{`"service":["tomcat"`}},
		{"no account", func() reply { return r.rest(emeaPub, "GET", "/options", "", "") }, 401, []string{"<html>"}},
		{"the account of AXL", func() reply { return r.rest(emeaPub, "GET", "/options", "", "write") }, 401, []string{"<html>"}},
		{"deleting is not modelled", func() reply { return r.rest(emeaPub, "DELETE", "/trust/certificate?service=tomcat", "", "platform") }, 404, []string{"Not Found"}},
		{"signing requests are not modelled", func() reply { return r.rest(emeaPub, "POST", "/csr", "{}", "platform-write") }, 404, []string{"Not Found"}},
		{"another path", func() reply { return r.rest(emeaPub, "GET", "x/y", "", "platform") }, 404, []string{"Not Found"}},
		{"add, not JSON", func() reply { return r.rest(emeaPub, "POST", "/trust/certificates", "x", "platform-write") }, 400, []string{"message"}},
		{"add, service as text", func() reply {
			return r.rest(emeaPub, "POST", "/trust/certificates", `{"service":"tomcat","certificates":[""]}`, "platform-write")
		}, 400, []string{"message"}},
		{"add nothing", func() reply {
			return r.rest(emeaPub, "POST", "/trust/certificates", addBody("tomcat"), "platform-write")
		}, 400, []string{"message"}},
		{"add a key", func() reply {
			return r.rest(emeaPub, "POST", "/trust/certificates", addBody("tomcat", root, key), "platform-write")
		}, 400, []string{"not a certificate"}},
		{"add to no store", func() reply {
			return r.rest(emeaPub, "POST", "/trust/certificates", addBody("ipsec", root), "platform-write")
		}, 400, []string{"not one of"}},
		{"add what is there", func() reply {
			return r.rest(emeaPub, "POST", "/trust/certificates", addBody("tomcat", root), "platform-write")
		}, 201, []string{`{"messages":[`}},
		{"add on a subscriber", func() reply {
			return r.rest(emeaSub, "POST", "/trust/certificates", addBody("tomcat", root), "platform-write")
		}, 200, []string{`{"message":`}},
		{"add on CUCM", func() reply {
			return r.rest(cucm, "POST", "/trust/certificates", addBody("tomcat", root), "platform-write")
		}, 200, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.call()
			if got.status != test.status {
				t.Fatalf("%d %s %v, want %d", got.status, got.body, got.err, test.status)
			}
			for _, part := range test.has {
				if !strings.Contains(got.body, part) {
					t.Errorf("no %q in %s", part, got.body)
				}
			}
			if got.status == 401 && got.header.Get("WWW-Authenticate") != `Basic realm="CMPlatform Realm"` {
				t.Errorf("challenge %q", got.header.Get("WWW-Authenticate"))
			}
			if strings.HasPrefix(got.body, "{") || strings.HasPrefix(got.body, "[") {
				if !json.Valid([]byte(got.body)) || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
					t.Errorf("%s: %s", got.header.Get("Content-Type"), got.body)
				}
			}
		})
	}
	t.Run("a chain without its root", func(t *testing.T) {
		leaf := r.served("imp-apac-sub.example.com") // CA-signed
		if got := r.rest(emeaPub, "POST", "/trust/certificates", addBody("tomcat", leaf), "platform-write"); got.status != 201 {
			t.Errorf("with the CA in the store: %d %s", got.status, got.body)
		}
		r.change("emea", Trust{Remove: fingerprint(r.authority.cert)})
		if got := r.rest(emeaPub, "POST", "/trust/certificates", addBody("tomcat", leaf), "platform-write"); got.status != 400 || !strings.Contains(got.body, "chain is incomplete") {
			t.Errorf("without: %d %s", got.status, got.body)
		}
		if got := r.rest(emeaPub, "POST", "/trust/certificates", addBody("tomcat", leaf, root), "platform-write"); got.status != 201 {
			t.Errorf("with the CA along: %d %s", got.status, got.body)
		}
	})
	t.Run("privilege 0", func(t *testing.T) {
		r.change("emea", Credentials{Account: "platform-write", Privilege: new(0)})
		if got := r.rest(emeaPub, "POST", "/trust/certificates", addBody("tomcat", root), "platform-write"); got.status != 403 {
			t.Errorf("%d %s", got.status, got.body)
		}
		if got := r.rest(emeaPub, "GET", "/options", "", "platform"); got.status != 200 {
			t.Errorf("%d %s", got.status, got.body)
		}
		r.change("emea", Credentials{Account: "platform-write", Privilege: new(1)})
	})
	t.Run("release before 14", func(t *testing.T) {
		r.change("emea", Nodes{Node: emeaSub, Release: "12.5"})
		r.run(3 * time.Minute)
		if got := r.rest(emeaSub, "GET", "/options", "", "platform"); got.status != 404 || !strings.Contains(got.body, "<html>") {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	t.Run("faults", func(t *testing.T) {
		for kind, want := range map[FaultKind]func(reply) bool{
			FaultHTTP503:  func(r reply) bool { return r.status == 503 },
			FaultSOAP:     func(r reply) bool { return r.status == 500 && strings.HasPrefix(r.body, `{"message"`) },
			FaultDrop:     func(r reply) bool { return r.err != nil },
			FaultTruncate: func(r reply) bool { return r.err != nil },
			FaultGarbage:  func(r reply) bool { return r.status == 200 && !json.Valid([]byte(r.body)) },
		} {
			r.fault(Fault{Node: emeaPub, Operation: "GET /snapshot/server", Kind: kind, When: After})
			if got := r.rest(emeaPub, "GET", "/snapshot/server", "", "platform"); !want(got) {
				t.Errorf("%s: %d %.80s %v", kind, got.status, got.body, got.err)
			}
		}
		if got := r.nodeState(emeaPub).Requests["GET /snapshot/server"]; got != 6 {
			t.Errorf("%d snapshots counted", got)
		}
	})
}

// What an admin call may not do to the stores.
func TestTrustAdminRefusals(t *testing.T) {
	r := newRig(t, Config{Users: 5, Clusters: 2})
	for _, body := range []string{
		`{"add":"sha256:` + strings.Repeat("0", 64) + `"}`, `{"add":"` + fingerprint(r.authority.cert) + `","store":"x"}`,
		`{"remove":"` + r.leaf(apacPub) + `","store":"cup-trust"}`, `{"remove":"` + r.leaf(apacPub) + `","node":"` + apacPub + `"}`, `{}`,
	} {
		if err := r.Do(http.MethodPost, "/clusters/emea/trust", []byte(body)); err == nil {
			t.Errorf("%s was taken", body)
		}
	}
	for _, body := range []string{`{"account":"root","password":"x"}`, `{"privilege":1}`, `{"account":"platform","privilege":4}`} {
		if err := r.Do(http.MethodPost, "/clusters/emea/credentials", []byte(body)); err == nil {
			t.Errorf("%s was taken", body)
		}
	}
	for _, body := range []string{`{"node":"` + emeaPub + `","service":"ipsec"}`, `{"node":"` + emeaPub + `","service":"cup","keyType":"ECDSA"}`, `{"node":"cucm-emea.example.com","service":"cup"}`} {
		if err := r.Do(http.MethodPost, "/clusters/emea/certificates", []byte(body)); err == nil {
			t.Errorf("%s was taken", body)
		}
	}
	r.change("emea", Certificates{Node: emeaPub, Service: "cup-xmpp", NotAfter: new(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))})
	got := r.rest(emeaPub, "GET", "/identity/certificate?service=cup-xmpp", "", "platform")
	if certs, err := pemCertificates(got.body); err != nil || certs[0].NotAfter.Year() != 2026 {
		t.Errorf("cup-xmpp renewed: %v %s", err, got.body)
	}
}

// FuzzAddTrust sends anything: it is taken or refused, and what is taken can be
// read again.
func FuzzAddTrust(f *testing.F) {
	a, err := sharedAuthority()
	if err != nil {
		f.Fatal(err)
	}
	root := string(a.PEM())
	for _, seed := range []string{"", "{}", "null", "[]", addBody("tomcat", root), addBody("cup", root+root), addBody("tomcat", "x"), addBody("tomcat", root+"rest"), `{"service":["tomcat"],"certificates":[null]}`} {
		f.Add([]byte(seed))
	}
	clock := &testClock{now: epoch}
	s, err := newSim(Config{Users: 1, Clusters: 1, Clock: clock}, a)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	n := s.clusters[0].publisher()
	f.Fuzz(func(t *testing.T, body []byte) {
		s.mu.Lock()
		defer s.mu.Unlock()
		got := s.restAddTrust(n, body, epoch)
		got.body.drop()
		if got.status != http.StatusCreated && got.status != http.StatusBadRequest {
			t.Errorf("%d for %q", got.status, body)
		}
		for _, store := range n.stores {
			if len(store.prints) != len(store.certs) {
				t.Errorf("%d in order, %d by fingerprint", len(store.prints), len(store.certs))
			}
			for _, cert := range store.list() {
				if again, err := pemCertificates(pemText(cert)); err != nil || fingerprint(again[0]) != fingerprint(cert) {
					t.Errorf("%v for %s", err, cert.Subject)
				}
			}
		}
	})
}
