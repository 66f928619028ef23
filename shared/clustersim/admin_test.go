package clustersim

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/miekg/dns"
)

func versionCall(r *rig, node string) reply {
	return r.post(node, axlPath, `"CUCM:DB ver=14.0 getCCMVersion"`, axlEnvelope("14.0", "getCCMVersion", ""), "read")
}

// Each kind of fault, before and after, over real sockets. The call is a write,
// so that applied and not applied can be told apart.
func TestFaults(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5, Clusters: 1})
	for _, test := range []struct {
		kind    FaultKind
		applied map[FaultTime]bool // by when
		check   func(reply) bool
	}{
		{FaultHTTP503, map[FaultTime]bool{Before: false, After: true}, func(r reply) bool { return r.status == 503 && strings.Contains(r.body, "<html>") }},
		{FaultHTTP401, map[FaultTime]bool{Before: false, After: true}, func(r reply) bool { return r.status == 401 }},
		{FaultSOAP, map[FaultTime]bool{Before: false, After: true}, func(r reply) bool { return r.status == 500 && strings.Contains(r.body, "<axlcode>-1") }},
		{FaultDrop, map[FaultTime]bool{Before: false, After: true}, func(r reply) bool { return r.err != nil && r.status == 0 }},
		{FaultDelay, map[FaultTime]bool{Before: true, After: true}, func(r reply) bool { return r.status == 200 }},
		{FaultTruncate, map[FaultTime]bool{Before: false, After: true}, func(r reply) bool { return r.status == 200 && errors.Is(r.err, io.ErrUnexpectedEOF) }},
		{FaultGarbage, map[FaultTime]bool{Before: false, After: true}, func(r reply) bool { return r.status == 200 && r.err == nil && xmlValid(r.body) != nil }},
	} {
		for _, when := range []FaultTime{Before, After} {
			t.Run(fmt.Sprint(test.kind, " ", when), func(t *testing.T) {
				mark := fmt.Sprintf("%s-%s", test.kind, when)
				r.fault(Fault{Cluster: "emea", Node: emeaPub, Operation: "executeSQLUpdate", Kind: test.kind, When: when, Delay: 300 * time.Millisecond})
				if got := versionCall(r, emeaPub); got.status != 200 {
					t.Errorf("another operation is hit: %d", got.status)
				}
				if got := r.axlCall(emeaSub, "executeSQLUpdate", "<sql>UPDATE applicationuser SET name = name</sql>", "write"); got.status != 200 {
					t.Errorf("another node is hit: %d", got.status)
				}
				start := time.Now()
				got := r.axlCall(emeaPub, "executeSQLUpdate", "<sql>UPDATE processnode SET description = '"+mark+"' WHERE name = '"+emeaPub+"'</sql>", "write")
				if !test.check(got) {
					t.Errorf("%d %v %s", got.status, got.err, got.body)
				}
				if took := time.Since(start); test.kind == FaultDelay && took < 300*time.Millisecond {
					t.Errorf("answered after %v", took)
				}
				now := r.query(emeaPub, "SELECT description FROM processnode WHERE name = '"+emeaPub+"'").row(0)["description"]
				if (now == mark) != test.applied[when] {
					t.Errorf("applied: %v, want %v", now == mark, test.applied[when])
				}
			})
		}
	}
	t.Run("oversize", func(t *testing.T) {
		r.fault(Fault{Kind: FaultOversize, Operation: "executeSQLQuery"})
		got := r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT 1 FROM processnode</sql>", "read")
		if got.status != 200 || len(got.body) < oversizeBytes {
			t.Errorf("%d with %d bytes", got.status, len(got.body))
		}
		if !strings.HasSuffix(got.body, "</soapenv:Envelope>") {
			t.Error("not well formed at its end")
		}
	})
	t.Run("times", func(t *testing.T) {
		r.fault(Fault{Kind: FaultHTTP503, Times: 2})
		for i, want := range []int{503, 503, 200} {
			if got := versionCall(r, emeaPub).status; got != want {
				t.Errorf("call %d: %d, want %d", i, got, want)
			}
		}
	})
	t.Run("deleted", func(t *testing.T) {
		r.fault(Fault{Kind: FaultHTTP503, Times: -1})
		for range 3 {
			if got := versionCall(r, emeaPub).status; got != 503 {
				t.Errorf("got %d", got)
			}
		}
		r.ClearFaults()
		if got := versionCall(r, emeaPub).status; got != 200 {
			t.Errorf("still %d", got)
		}
	})
}

// The same faults without sockets.
func TestFaultsInProcess(t *testing.T) {
	r := newRig(t, Config{Users: 5, Clusters: 1})
	for kind, check := range map[FaultKind]func(reply) bool{
		FaultHTTP503: func(r reply) bool { return r.status == 503 }, FaultDrop: func(r reply) bool { return r.err != nil },
		FaultTruncate: func(r reply) bool { return errors.Is(r.err, io.ErrUnexpectedEOF) && len(r.body) > 0 },
		FaultOversize: func(r reply) bool { return len(r.body) >= oversizeBytes },
	} {
		r.fault(Fault{Kind: kind, When: After})
		if got := versionCall(r, emeaPub); !check(got) {
			t.Errorf("%s: %d %v", kind, got.status, got.err)
		}
		if got := versionCall(r, emeaPub); got.status != 200 {
			t.Errorf("after %s: %d %v", kind, got.status, got.err)
		}
	}
	r.change("emea", Nodes{Node: emeaPub, Down: new(true)})
	if got := versionCall(r, emeaPub); !errors.Is(got.err, ErrUnreachable) {
		t.Errorf("node down: %v", got.err)
	}
	if _, err := r.Served(r.nodeState(emeaPub).Address); !errors.Is(err, ErrUnreachable) {
		t.Errorf("certificate of a node that is down: %v", err)
	}
	if got := versionCall(r, emeaSub); got.status != 200 {
		t.Errorf("the other node: %d %v", got.status, got.err)
	}
}

func TestNodesDownAndUp(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5})
	address := r.nodeState(emeaPub).Address
	r.change("emea", Nodes{Node: emeaPub, Down: new(true)})
	for range 3 {
		if _, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dialling a node that is down: %v", err)
		}
	}
	if s := r.nodeState(emeaPub); s.Services[serviceICSA] != "Stopped" || s.UpTime[serviceICSA] != -1 {
		t.Errorf("services of a node that is down: %v", s.Services[serviceICSA])
	}
	before := r.lastSync("emea>apac")
	r.run(anHourAndABit)
	if got := r.lastSync("emea>apac"); !got.Equal(before) {
		t.Error("its ICSA went on")
	}
	r.change("emea", Nodes{Node: emeaPub, Down: new(false)})
	if got := versionCall(r, emeaPub); got.status != 503 {
		t.Errorf("while Tomcat starts: %d %v", got.status, got.err)
	}
	r.advance(2 * time.Minute)
	if got := versionCall(r, emeaPub); got.status != 200 || r.nodeState(emeaPub).Address != address {
		t.Errorf("back again: %d %v at %s, was %s", got.status, got.err, r.nodeState(emeaPub).Address, address)
	}
	if up := r.icsaUp(emeaPub); up > 3*time.Minute {
		t.Errorf("up-time %v", up)
	}
	if got := r.lastSync("emea>apac"); !got.After(before) {
		t.Error("no sync after the start")
	}
}

func TestUpgradeRestartsTheNode(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	r.change("emea", Nodes{Node: emeaSub, Release: "15.0"})
	r.advance(5 * time.Minute)
	if got := versionCall(r, emeaSub); !strings.Contains(got.body, "15.0.1.") {
		t.Errorf("subscriber: %s", got.body)
	}
	if got := versionCall(r, emeaPub); !strings.Contains(got.body, "14.0.1.") {
		t.Errorf("publisher: %s", got.body)
	}
	if s := r.nodeState(emeaSub); s.UpTime[serviceTomcat] > 300 {
		t.Errorf("up-time %d", s.UpTime[serviceTomcat])
	}
}

func TestReachability(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5})
	r.change("emea", Reachable{From: "peerkeeper", Value: new(false)})
	if got := versionCall(r, emeaPub); !errors.Is(got.err, syscall.ECONNREFUSED) {
		t.Errorf("%d %v", got.status, got.err)
	}
	r.change("emea", Users{Add: 3})
	r.run(31 * time.Minute)
	if got := r.copies("apac", "emea"); got != 8 {
		t.Errorf("ICSA of others stopped too: %d copies", got)
	}
	r.change("emea", Reachable{From: "peerkeeper", Value: new(true)})
	if got := versionCall(r, emeaPub); got.status != 200 {
		t.Errorf("%d %v", got.status, got.err)
	}
}

func TestServedCertificate(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5})
	address := r.nodeState(emeaPub).Address
	shake := func(ciphers ...uint16) string {
		conf := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
		if len(ciphers) > 0 {
			conf.MaxVersion, conf.CipherSuites = tls.VersionTLS12, ciphers
		}
		dialer := tls.Dialer{Config: conf}
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		return fingerprint(conn.(*tls.Conn).ConnectionState().PeerCertificates[0])
	}
	first := shake()
	if first != r.leaf(emeaPub) {
		t.Errorf("served %s, Served says %s", first, r.leaf(emeaPub))
	}
	if got := versionCall(r, emeaPub); got.status != 200 {
		t.Fatalf("a verifying client: %v", got.err)
	}
	r.change("emea", Certificates{Node: emeaPub, NotAfter: new(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))})
	second := shake()
	if second == first || second != r.leaf(emeaPub) {
		t.Errorf("renewed: %s after %s", second, first)
	}
	if got := versionCall(r, emeaPub); got.err == nil {
		t.Error("a verifying client takes an expired certificate")
	}
	r.change("emea", Certificates{Node: emeaPub, SANs: &[]string{emeaPub, "x.example.com"}, Issuer: "self", NotAfter: new(time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC))})
	chain, err := r.Served(address)
	if err != nil {
		t.Fatal(err)
	}
	if c := chain[0]; len(c.DNSNames) != 2 || c.Issuer.String() != c.Subject.String() || c.NotAfter.Year() != 2027 {
		t.Errorf("%v %v %v", c.DNSNames, c.Issuer, c.NotAfter)
	}
	// An ECDSA identity is a second one: who takes RSA still gets that.
	rsaOnly, ecdsaOnly := uint16(tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256), uint16(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)
	if got := shake(ecdsaOnly); strings.HasPrefix(got, "sha256:") {
		t.Error("an ECDSA certificate without one")
	}
	r.change("emea", Certificates{Node: emeaPub, KeyType: "ECDSA"})
	ec, err := r.ServedKey(address, keyECDSA)
	if err != nil {
		t.Fatal(err)
	}
	if got := shake(ecdsaOnly); got != fingerprint(ec[0]) {
		t.Errorf("ECDSA client sees %s", got)
	}
	if got := shake(rsaOnly); got != r.leaf(emeaPub) || got == fingerprint(ec[0]) {
		t.Errorf("RSA client sees %s", got)
	}
}

func TestDNSServers(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5})
	files, err := r.Files("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	var mesh struct {
		Clusters []struct {
			DNS []string `yaml:"dns"`
		} `yaml:"clusters"`
	}
	if err := yaml.Unmarshal(files["mesh.yaml"], &mesh); err != nil {
		t.Fatal(err)
	}
	var silent bool
	ask := func(server int) string {
		wait := time.Minute
		if silent && server == 0 {
			wait = 300 * time.Millisecond
		}
		q := new(dns.Msg).SetQuestion(dns.Fqdn(apacPub), dns.TypeA)
		reply, err := askDNSWithin(t, wait, "udp", mesh.Clusters[0].DNS[server], q)
		inProcess, inErr := r.ResolveAt(mesh.Clusters[0].DNS[server], q)
		if (err == nil) != (inErr == nil) {
			t.Errorf("by socket %v, in process %v", err, inErr)
		}
		if err != nil {
			return "silent"
		}
		if reply.Rcode != inProcess.Rcode || len(reply.Answer) != len(inProcess.Answer) {
			t.Errorf("by socket %v, in process %v", reply, inProcess)
		}
		if len(reply.Answer) == 0 {
			said := dns.RcodeToString[reply.Rcode]
			if reply.Rcode == dns.RcodeSuccess && !reply.Authoritative && !reply.RecursionAvailable {
				said = fmt.Sprintf("lame, %d servers to ask", len(reply.Ns))
			}
			return said
		}
		return reply.Answer[0].(*dns.A).A.String()
	}
	truth := ask(0)
	if !strings.HasPrefix(truth, "192.0.2.") || ask(1) != truth {
		t.Errorf("answers %s and %s", truth, ask(1))
	}
	for _, step := range []struct {
		set           DNS
		first, second string
	}{
		{DNS{Name: apacPub, Answer: new("nxdomain")}, "NXDOMAIN", "NXDOMAIN"},
		{DNS{Name: apacPub, Answer: new("198.51.100.9")}, "198.51.100.9", "198.51.100.9"},
		{DNS{Name: apacPub, Answer: new("")}, truth, truth},
		{DNS{Server: 1, Silent: new(true)}, "silent", truth},
		{DNS{Server: 1, Silent: new(false)}, truth, truth},
		{DNS{Server: 1, Lame: new("empty")}, "lame, 0 servers to ask", truth},
		{DNS{Server: 1, Lame: new("referral")}, "lame, 1 servers to ask", truth},
		{DNS{Server: 1, Lame: new("")}, truth, truth},
	} {
		r.change("emea", step.set)
		silent = step.first == "silent"
		if a, b := ask(0), ask(1); a != step.first || b != step.second {
			t.Errorf("%+v: %s and %s", step.set, a, b)
		}
	}
}

func TestSubscriberAdded(t *testing.T) {
	r := newSocketRig(t, Config{Users: 10})
	const name = "imp-emea-sub2.example.com"
	r.change("emea", Nodes{Add: name})
	if got := versionCall(r, name); got.status != 200 {
		t.Errorf("%d %v", got.status, got.err)
	}
	if rows := r.query(apacPub, "SELECT id FROM enterprisenode WHERE name = '"+name+"'").rows(); len(rows) != 1 {
		t.Errorf("apac knows %d of it", len(rows))
	}
	r.change("emea", Users{Add: 30})
	r.run(31 * time.Minute)
	if got := r.query(apacPub, "SELECT COUNT(*) FROM enduser u, enterprisenode e WHERE u.primarynodeid = e.id AND e.name = '"+name+"'").row(0)["count"]; got != "10" {
		t.Errorf("%s copies of users at home on the new node, want 10", got)
	}
}

func TestOtherSettings(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	r.change("emea", Nodes{Node: emeaSub, HAState: "backup"})
	if got := r.query(emeaPub, "SELECT tkhaserverstate AS s FROM enterprisenode WHERE name = '"+emeaSub+"'").row(0)["s"]; got != "4" || r.nodeState(emeaSub).HAState != 4 {
		t.Errorf("HA state %s", got)
	}
	r.change("emea", Services{Node: emeaPub, Service: serviceAXL, Status: "Stopped"})
	if got := versionCall(r, emeaPub); got.status != 404 {
		t.Errorf("AXL stopped: %d", got.status)
	}
	r.change("emea", Services{Node: emeaPub, Service: serviceTomcat, Status: "Stopped"})
	if got := versionCall(r, emeaPub); !errors.Is(got.err, ErrUnreachable) {
		t.Errorf("Tomcat stopped: %v", got.err)
	}
	r.change("emea", Services{Node: emeaPub, Service: serviceICSA, Status: "NotActivated"})
	r.change("emea", Peers{Peer: "apac", LastSynchronized: new(time.Date(2026, 2, 28, 12, 0, 0, 0, time.UTC))})
	if got := r.query(emeaSub, "SELECT lastsynctime AS t FROM cupsinterclusterpeers WHERE peeraddress = '"+apacPub+"'").row(0)["t"]; got != "2026-02-28 12:00:00" {
		t.Errorf("last sync time %q", got)
	}
}

// A peer made by SQL, as an experimental client might.
func TestPeerEntryBySQL(t *testing.T) {
	r := newRig(t, Config{Users: 10})
	r.change("emea", Peers{Peer: "apac", Present: new(false)})
	sql := func(s string) {
		t.Helper()
		if got := r.axlCall(emeaPub, "executeSQLUpdate", "<sql>"+escape(s)+"</sql>", "write"); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	sql("INSERT INTO cupsinterclusterpeers (pkid, peeraddress, axlusername, protocol) VALUES ('11111111-1111-4111-8111-111111111111', '" + apacPub + "', 'icsa', 'tcp')")
	r.run(time.Minute)
	if p := r.peer("emea>apac"); p.AssociatedUsers != 10 || r.copies("emea", "apac") != 10 {
		t.Errorf("%+v", p)
	}
	sql("UPDATE cupsinterclusterpeers SET peeraddress = 'wrong.example.com' WHERE peeraddress = '" + apacPub + "'")
	r.run(31 * time.Minute)
	if p := r.peer("emea>apac"); !strings.HasPrefix(p.LastError, "NotReachable") {
		t.Errorf("%+v", p)
	}
	sql("DELETE FROM cupsinterclusterpeers WHERE peeraddress = 'wrong.example.com'")
	if got := r.copies("emea", "apac"); got != 0 {
		t.Errorf("%d copies stay", got)
	}
}

func TestAdminRefusals(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	server := httptest.NewServer(r.Admin())
	defer server.Close()
	send := func(method, path, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(res.Body); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, b.String()
	}
	for _, test := range []struct {
		path, body string
		status     int
		names      string
	}{
		{"/clusters/emea/peers", `{"peer":"apac","mode":"stuck"}`, 204, ""},
		{"/clusters/emea/peers", `{"peer":"apac","mod":"stuck"}`, 400, "mod"},
		{"/clusters/emea/peers", `{"peer":"apac","mode":"dead"}`, 400, "mode"},
		{"/clusters/emea/peers", `{"peer":"emea"}`, 400, "peer"},
		{"/clusters/emea/peers", `{"peer":"apac","protocol":"udp"}`, 400, "protocol"},
		{"/clusters/emea/peers", `{"peer":7}`, 400, "peer"},
		{"/clusters/emea/peers", `{"peer":"apac"} {}`, 400, "body"},
		{"/clusters/emea/peers", ``, 400, "body"},
		{"/clusters/mars/peers", `{"peer":"apac"}`, 400, "cluster"},
		{"/clusters/emea/nothing", `{}`, 404, "no such"},
		{"/clusters/emea/services", `{"node":"` + emeaPub + `","service":"x","status":"Stopped"}`, 400, "service"},
		{"/clusters/emea/services", `{"node":"` + apacPub + `","service":"` + serviceICSA + `","status":"Stopped"}`, 400, "node"},
		{"/clusters/emea/services", `{"node":"` + emeaPub + `","service":"` + serviceICSA + `","status":"Broken"}`, 400, "status"},
		{"/clusters/emea/users", `{"add":1,"remove":1}`, 400, "exactly one"},
		{"/clusters/emea/users", `{"remove":99}`, 400, "remove"},
		{"/clusters/emea/users", `{"add":-1}`, 400, "add"},
		{"/clusters/emea/users", `{"move":"nobody","to":"apac"}`, 400, "move"},
		{"/clusters/emea/parameters", `{"name":"x","value":"1"}`, 400, "name"},
		{"/clusters/emea/parameters", `{"name":"` + paramSyncInterval + `"}`, 400, "value"},
		{"/clusters/emea/credentials", `{}`, 400, "password"},
		{"/clusters/emea/credentials", `{"account":"admin","password":"x"}`, 400, "intercluster"},
		{"/clusters/emea/peers", `{"peer":"apac","password":""}`, 400, "password"},
		{"/clusters/emea/notification", `{}`, 400, "onChange"},
		{"/clusters/emea/sync", `{"firstFull":"soon"}`, 400, "firstFull"},
		{"/clusters/emea/certificates", `{"node":"` + emeaPub + `","keyType":"DSA"}`, 400, "keyType"},
		{"/clusters/emea/certificates", `{"node":"` + emeaPub + `","notAfter":"soon"}`, 400, "soon"},
		{"/clusters/emea/trust", `{"remove":"sha256:00"}`, 400, "remove"},
		{"/clusters/emea/dns", `{"name":"x.example.com","answer":"maybe"}`, 400, "answer"},
		{"/clusters/emea/dns", `{"server":3,"silent":true}`, 400, "server"},
		{"/clusters/emea/nodes", `{"node":"` + emeaPub + `","release":"9.1"}`, 400, "release"},
		{"/clusters/emea/nodes", `{"node":"` + emeaPub + `","haState":"fine"}`, 400, "haState"},
		{"/clusters/emea/nodes", `{"add":"` + emeaPub + `"}`, 400, "add"},
		{"/clusters/emea/reachable", `{"from":"mars","value":true}`, 400, "from"},
		{"/clusters/emea/reachable", `{"from":"all"}`, 400, "value"},
		{"/clusters/emea/restore", `{"users":100}`, 400, "users"},
		{"/faults", `{"kind":"explode"}`, 400, "kind"},
		{"/faults", `{"kind":"drop","delay":"soon"}`, 400, "delay"},
		{"/faults", `{"kind":"drop","node":"x"}`, 400, "node"},
	} {
		status, body := send(http.MethodPost, test.path, test.body)
		if status != test.status || !strings.Contains(body, test.names) {
			t.Errorf("POST %s %s: %d %s, want %d naming %q", test.path, test.body, status, body, test.status, test.names)
		}
		if status != 204 {
			var e struct{ Error string }
			if err := json.Unmarshal([]byte(body), &e); err != nil || e.Error == "" {
				t.Errorf("POST %s %s: %q holds no error", test.path, test.body, body)
			}
		}
	}
	if status, _ := send(http.MethodDelete, "/faults", ""); status != 204 {
		t.Errorf("DELETE /faults: %d", status)
	}
	status, body := send(http.MethodGet, "/state", "")
	var state State
	if err := json.Unmarshal([]byte(body), &state); err != nil || status != 200 || len(state.Clusters) != 3 || state.Clusters[0].Peers[0].Mode != "stuck" {
		t.Errorf("GET /state: %d %v %s", status, err, body)
	}
}

// Every row of the table has a body that can be copied from the help, and its
// keys are taught to who gets one wrong.
func TestEveryVerbTakesItsExampleAndNamesItsKeys(t *testing.T) {
	r := newRig(t, Config{Users: 20})
	for _, v := range adminVerbs() {
		path := "/clusters/emea/" + v.name
		if err := r.Do(http.MethodPost, path, []byte(v.example)); err != nil {
			t.Errorf("%s %s: %v", v.name, v.example, err)
		}
		key, _, _ := strings.Cut(strings.TrimPrefix(v.example, `{"`), `"`)
		err := r.Do(http.MethodPost, path, []byte(`{"nothing":1}`))
		if err == nil || !strings.HasPrefix(err.Error(), "body: ") || !strings.Contains(err.Error(), `"nothing"`) || !strings.Contains(err.Error(), "its keys: ") || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: a wrong key is answered %v", v.name, err)
		}
		if help := AdminHelp(); !strings.Contains(help, path[len("/clusters/emea"):]+" ") || !strings.Contains(help, v.example) || v.help == "" {
			t.Errorf("%s is not explained", v.name)
		}
	}
	err := r.Do(http.MethodPost, "/faults", []byte(`{"nothing":1}`))
	if want := "cluster, node, operation, kind, when, times, text, field, value, bytes, rows, delay"; err == nil || !strings.HasSuffix(err.Error(), "its keys: "+want) {
		t.Errorf("a rule with a wrong key is answered %v", err)
	}
	if err := r.Do(http.MethodPost, "/faults", []byte(`{"cluster":7}`)); err == nil || err.Error() != "cluster: is a number, wanted string" {
		t.Errorf("a rule of a wrong type is answered %v", err)
	}
}

// What a program changes is refused as what comes by the URL is.
func TestChangesAndFaultsAreRefused(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	for field, err := range map[string]error{
		"cluster": r.Change("mars", Users{Add: 1}),
		"mode":    r.Change("emea", Peers{Peer: "apac", Mode: new(PeerMode("dead"))}),
		"value":   r.Change("emea", Parameters{Name: paramSyncInterval}),
		"kind":    r.AddFault(Fault{Kind: "explode"}),
		"node":    r.AddFault(Fault{Kind: FaultDrop, Node: "x"}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), field+": ") {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := r.Change("emea", Users{Add: 1}, Peers{Peer: "emea"}, Users{Add: 1}); err == nil || r.state("emea").Users != 6 {
		t.Errorf("%d users after a refusal in the middle, %v", r.state("emea").Users, err)
	}
}

func TestFiles(t *testing.T) {
	r := newSocketRig(t, Config{Users: 5})
	files, err := r.Files("http://127.0.0.1:9999")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(files["admin.json"]), `"url":"http://127.0.0.1:9999"`) || !bytes.Contains(files["ca.pem"], []byte("BEGIN CERTIFICATE")) {
		t.Errorf("admin.json %s", files["admin.json"])
	}
	var mesh meshFile
	if err := yaml.UnmarshalWithOptions(files["mesh.yaml"], &mesh, yaml.Strict()); err != nil {
		t.Fatalf("%v\n%s", err, files["mesh.yaml"])
	}
	var secrets map[string]secretFile
	if err := json.Unmarshal(files["secrets.json"], &secrets); err != nil {
		t.Fatal(err)
	}
	if len(mesh.Clusters) != 3 || !mesh.Simulated || mesh.Dialect != "dialect.yaml" || mesh.Clusters[1].TimeZone != "Asia/Singapore" {
		t.Errorf("%s", files["mesh.yaml"])
	}
	passwords := map[string]bool{}
	for _, c := range mesh.Clusters {
		for _, name := range []string{c.Credentials, c.WriteCredentials, c.PlatformCredentials} {
			if secrets[name].Password == "" || passwords[secrets[name].Password] {
				t.Errorf("secret %s: %+v", name, secrets[name])
			}
			passwords[secrets[name].Password] = true
		}
		for i, n := range c.Nodes {
			if got := r.leaf(n.Name); got != c.TLS.Pins[i] {
				t.Errorf("pin of %s is %s, served %s", n.Name, c.TLS.Pins[i], got)
			}
		}
	}
	var dialect struct {
		Queries map[string]struct {
			Evidence string `yaml:"evidence"`
			SQL      string `yaml:"sql"`
		} `yaml:"queries"`
		Parameters map[string][]string `yaml:"parameters"`
	}
	if err := yaml.UnmarshalWithOptions(files["dialect.yaml"], &dialect, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if rows := r.query(emeaPub, dialect.Queries["peers"].SQL).rows(); len(rows) != 2 || rows[0]["last_sync"] == "" {
		t.Errorf("the dialect's query answers %v", rows)
	}
	for _, purpose := range []string{"sync_interval", "auto_recovery", "certificate_sync"} {
		name := dialect.Parameters[purpose]
		if len(name) != 1 || len(r.query(emeaPub, "SELECT paramvalue FROM processconfig WHERE paramname = '"+name[0]+"'").rows()) != 2 {
			t.Errorf("parameter %s: %v", purpose, name)
		}
	}
}

func TestLatency(t *testing.T) {
	r := newRig(t, Config{Users: 1, Clusters: 1, Latency: 80 * time.Millisecond})
	start := time.Now()
	if got := versionCall(r, emeaPub); got.status != 200 || time.Since(start) < 80*time.Millisecond {
		t.Errorf("%d after %v", got.status, time.Since(start))
	}
}

func TestConfigRefused(t *testing.T) {
	clock := &testClock{now: epoch}
	for name, cfg := range map[string]Config{
		"no clock": {}, "too many clusters": {Clock: clock, Clusters: 31}, "release": {Clock: clock, Release: "9.1"}, "listen": {Clock: clock, Listen: "localhost"}, "users": {Clock: clock, Users: -1},
		"everybody apart": {Clock: clock, Clusters: 3, Apart: 3}, "apart of nobody": {Clock: clock, Apart: -1},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Clients, time and scenarios at once: nothing races, nothing hangs, and the
// AXL memory is all given back.
func TestManyAtOnce(t *testing.T) {
	r := newSocketRig(t, Config{Users: 30, Clusters: 2})
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for range 8 {
				r.axlCall(emeaPub, "executeSQLQuery", "<sql>SELECT * FROM enduser</sql>", "read")
				r.axlCall("cucm-emea.example.com", "executeSQLQuery", "<sql>SELECT COUNT(*) FROM enduser</sql>", "read")
				r.axlCall(emeaPub, "executeSQLUpdate", "<sql>UPDATE enduser SET mailid = mailid WHERE pkid &lt; '2'</sql>", "write")
				r.control(apacPub, "soapDoControlServices", controlRequest(apacPub, "Restart", serviceICSA), "write")
				r.control(emeaSub, "soapGetServiceStatus", "<q:ServiceStatus/>", "read")
				if i == 0 {
					r.change("emea", Users{Add: 1})
					r.change("emea", Nodes{Node: emeaSub, Release: "15.0"})
					r.change("emea", Nodes{Node: emeaSub, Release: "14.0"})
					r.change("emea", Nodes{Node: emeaSub, Down: new(true)})
					r.change("emea", Nodes{Node: emeaSub, Down: new(false)})
					r.change("emea", Certificates{Node: emeaPub})
				}
				r.advance(7 * time.Minute)
			}
		})
	}
	work.Wait()
	r.run(anHourAndABit)
	if got := r.copies("apac", "emea"); got != 38 {
		t.Errorf("%d copies at the end, want 38", got)
	}
	if left := r.cluster("emea").node(emeaPub).inFlight.Load(); left != 0 {
		t.Errorf("%d bytes of AXL memory leaked", left)
	}
}
