package certmgr

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"peerkeeper/shared/chain"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/soap/soaptest"
)

// call is one of the client's operations.
type call struct {
	name  string
	write bool
	run   func(context.Context, *Client) error
}

func calls(pem string) []call {
	return []call{
		{"snapshot", false, func(ctx context.Context, c *Client) error { _, err := c.Snapshot(ctx); return err }},
		{"identity", false, func(ctx context.Context, c *Client) error { _, err := c.Identity(ctx, Tomcat); return err }},
		{"trust", false, func(ctx context.Context, c *Client) error { _, err := c.Trust(ctx, Tomcat); return err }},
		{"options", false, func(ctx context.Context, c *Client) error { _, err := c.Options(ctx); return err }},
		{"add trust", true, func(ctx context.Context, c *Client) error {
			_, err := c.AddTrust(ctx, Tomcat, []string{pem}, "test")
			return err
		}},
	}
}

func TestRequestsOnTheWire(t *testing.T) {
	n := newNode(t, json200(`{"certificates":[],"identities":[],"trusts":[]}`))
	c := client(t, n.endpoint())
	ca := issue(t, "CA", nil)
	if _, err := c.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Identity(t.Context(), TomcatECDSA); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Trust(t.Context(), CUPXMPPECDSA); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AddTrust(t.Context(), TomcatECDSA, []string{"CN=CA, a comment\n" + ca.PEM()}, "peer apac"); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GET /platformcom/api/v1/certmgr/config/snapshot/server",
		"GET /platformcom/api/v1/certmgr/config/identity/certificate?service=tomcat-ECDSA",
		"GET /platformcom/api/v1/certmgr/config/trust/certificate?service=cup-xmpp",
		"POST /platformcom/api/v1/certmgr/config/trust/certificates",
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("osadmin:"+password))
	_, port, _ := net.SplitHostPort(n.Address)
	for i, r := range n.Requests() {
		if got := r.Method + " " + r.URI; got != want[i] {
			t.Errorf("request %d: %s, want %s", i, got, want[i])
		}
		if auth := r.Header.Get("Authorization"); auth != basic || r.Host != nodeName+":"+port {
			t.Errorf("%s: authorization %q, host %q", r.URI, auth, r.Host)
		}
	}
	var body map[string]any
	post := n.Requests()[3]
	if err := json.Unmarshal([]byte(post.Body), &body); err != nil || post.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%v, content type %s", err, post.Header.Get("Content-Type"))
	}
	if fmt.Sprint(body["service"]) != "[tomcat]" || body["description"] != "peer apac" || fmt.Sprint(body["certificates"]) != "["+ca.PEM()+"]" {
		t.Errorf("body %s", post.Body)
	}
}

// A node that refuses, breaks or lies: what a read and what a write end in.
func TestAnswers(t *testing.T) {
	ca := issue(t, "CA", nil)
	page := "<html><head><title>HTTP Status</title></head></html>"
	for _, tc := range []struct {
		name        string
		handle      http.HandlerFunc
		read, write soap.Kind
		words       string
	}{
		{"wrong password", says(401, "text/html", page), soap.AccountRejected, soap.AccountRejected, "a page"},
		{"privilege 0, message", says(403, "application/json", `{"message":"read only"}`), soap.Forbidden, soap.Forbidden, "read only"},
		{"400 with messages", says(400, "application/json", `{"messages":["not accepted\u202e\n","second"]}`), soap.Fault, soap.Fault, "not accepted"},
		{"400 with an object in messages", says(400, "application/json", `{"messages":[{"message":"inner"}]}`), soap.Fault, soap.Fault, "inner"},
		{"404 page: release 12.5", says(404, "text/html", page), soap.NotFound, soap.NotFound, "release 14"},
		{"404 with words", says(404, "application/json", `{"message":"no such certificate"}`), soap.NotFound, soap.NotFound, "no such certificate"},
		{"busy", says(503, "text/html", page), soap.Throttled, soap.Throttled, "503"},
		{"429", says(429, "text/html", ""), soap.Throttled, soap.OutcomeUnknown, "429"},
		{"500 with words", says(500, "application/json", `{"message":"database"}`), soap.Fault, soap.OutcomeUnknown, "database"},
		{"redirect to a log-in page", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/cmplatform/login", http.StatusFound)
		}, soap.Redirected, soap.OutcomeUnknown, "/cmplatform/login"},
		{"200 and a page", says(200, "text/html", page), soap.Malformed, soap.OutcomeUnknown, ""},
		{"202, which nobody documents", says(202, "application/json", `{}`), soap.Malformed, soap.OutcomeUnknown, "202"},
		{"cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"certificates":[`)
		}, soap.Malformed, soap.OutcomeUnknown, ""},
		{"dropped", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, soap.ConnectionLost, soap.OutcomeUnknown, ""},
		{"larger than allowed", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"certificates":["`+strings.Repeat("A", 3<<20)+`"]}`)
		}, soap.AnswerTooBig, soap.OutcomeUnknown, ""},
		{"declares more than allowed", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "99999999") }, soap.AnswerTooBig, soap.OutcomeUnknown, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNode(t, tc.handle)
			e := n.endpoint()
			e.MaxAnswer = 2 << 20
			c := client(t, e)
			for _, op := range calls(ca.PEM()) {
				want := tc.read
				if op.write {
					want = tc.write
				}
				before := len(n.Requests())
				err := op.run(t.Context(), c)
				e := mustKind(t, err, want)
				if e.Node != nodeName || !e.Sent && want != soap.Untrusted {
					t.Errorf("%s: node %q, sent %v", op.name, e.Node, e.Sent)
				}
				if text := err.Error(); !strings.Contains(text, tc.words) || strings.Contains(text, password) || strings.ContainsRune(text, '\u202e') || strings.Contains(text, "<html") {
					t.Errorf("%s: %q, want %q in it and no secret or markup", op.name, text, tc.words)
				}
				var none *NotAvailable
				if got := errors.As(err, &none); got != (tc.name == "404 page: release 12.5") {
					t.Errorf("%s: NotAvailable is %v for %v", op.name, got, err)
				}
				// net/http itself may repeat a read on a connection that died; a write never.
				if made := len(n.Requests()) - before; op.write && made != 1 {
					t.Errorf("%s: sent %d times", op.name, made)
				}
			}
		})
	}
}

func TestAddTrustIsTaken(t *testing.T) {
	ca := issue(t, "CA", nil)
	for name, tc := range map[string]struct {
		status        int
		body, message string
	}{
		"201 with messages":   {201, `{"messages":["done","more"]}`, "done"},
		"200 with message":    {200, `{"message":"done"}`, "done"},
		"200 without a body":  {200, "", ""},
		"201, something else": {201, `{"trackingId":"x"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, says(tc.status, "application/json", tc.body))
			got, err := client(t, n.endpoint()).AddTrust(t.Context(), Tomcat, []string{ca.PEM()}, "")
			if err != nil {
				t.Fatal(err)
			}
			if *got != (Receipt{tc.status, tc.message}) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestIncompleteChain(t *testing.T) {
	root := issue(t, "Root CA", nil)
	middle := issue(t, "Issuing CA", &root)
	n := newNode(t, says(400, "application/json", `{"messages":["whatever the node says"]}`))
	c := client(t, n.endpoint())
	_, err := c.AddTrust(t.Context(), Tomcat, []string{middle.PEM()}, "")
	var chain *ChainError
	if !errors.As(err, &chain) || len(chain.Missing) != 1 || chain.Missing[0] != "CN=Root CA" || soap.KindOf(err) != soap.Fault {
		t.Errorf("without its root: %v", err)
	}
	_, err = c.AddTrust(t.Context(), Tomcat, []string{middle.PEM() + root.PEM()}, "")
	if mustKind(t, err, soap.Fault); errors.As(err, &chain) {
		t.Errorf("with its root the 400 has another reason: %v", err)
	}
}

// What cannot be right is not sent.
func TestInputRefused(t *testing.T) {
	n := newNode(t, json200(`{}`))
	c := client(t, n.endpoint())
	good := issue(t, "CA", nil).PEM()
	key := "-----BEGIN PRIVATE KEY-----\nc2VjcmV0IGtleQ==\n-----END PRIVATE KEY-----\n"
	many := make([]string, maxAdded+1)
	for i := range many {
		many[i] = good
	}
	for _, tc := range []struct {
		name, description string
		service           Service
		pems              []string
	}{
		{"nothing", "", Tomcat, nil},
		{"no certificate in the text", "", Tomcat, []string{"hello"}},
		{"a private key along", "", Tomcat, []string{good + key}},
		{"one of two damaged", "", Tomcat, []string{good, strings.Replace(good, "MII", "%%%", 1)}},
		{"far too many", "", Tomcat, many},
		{"description of two lines", "a\nb", Tomcat, []string{good}},
		{"the store's name", "", "tomcat-trust", []string{good}},
		{"a path for a service", "", "../csr?x=", []string{good}},
		{"no service", "", "", []string{good}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := c.AddTrust(t.Context(), tc.service, tc.pems, tc.description)
			var input *InputError
			if !errors.As(err, &input) {
				t.Fatalf("got %v, want an InputError", err)
			}
			if strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("the key is in %q", err)
			}
		})
	}
	if _, err := c.Identity(t.Context(), "a/b"); err == nil {
		t.Error("a path for a service was read")
	}
	if _, err := c.Trust(t.Context(), ""); err == nil {
		t.Error("an empty service was read")
	}
	if sent := n.Requests(); len(sent) != 0 {
		t.Errorf("%d requests were sent", len(sent))
	}
	if _, err := c.AddTrust(t.Context(), Tomcat, []string{good}, "fine"); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestNobodyElseGetsThePassword(t *testing.T) {
	ca := issue(t, "CA", nil)
	other := issue(t, "other", nil)
	for name, spoil := range map[string]func(*soap.Endpoint){
		"another CA":        func(e *soap.Endpoint) { e.Trust.Roots = x509.NewCertPool(); e.Trust.Roots.AddCert(other.Leaf) },
		"another pin":       func(e *soap.Endpoint) { e.Trust = soap.Trust{Pins: []string{chain.Fingerprint(other.Leaf)}} },
		"another name":      func(e *soap.Endpoint) { e.Node = "imp-apac-pub.example.com" },
		"expired by clock":  func(e *soap.Endpoint) { e.Now = func() time.Time { return time.Now().AddDate(1, 0, 0) } },
		"nothing to go by":  func(e *soap.Endpoint) { e.Trust = soap.Trust{} },
		"valid from monday": func(e *soap.Endpoint) { e.Now = func() time.Time { return time.Now().AddDate(-1, 0, 0) } },
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, json200(`{}`))
			e := n.endpoint()
			spoil(&e)
			for _, op := range calls(ca.PEM()) {
				err := op.run(t.Context(), client(t, e))
				if got := mustKind(t, err, soap.Untrusted); got.Sent {
					t.Errorf("%s: says that something was sent", op.name)
				}
				var trust *soap.TrustError
				if !errors.As(err, &trust) {
					t.Errorf("%s: %v holds no TrustError", op.name, err)
				}
			}
			if len(n.Requests()) != 0 {
				t.Error("a request was sent")
			}
		})
	}
	t.Run("an expired leaf with its pin stays readable", func(t *testing.T) {
		n := newNode(t, json200(`{"certificates":[]}`))
		e := n.endpoint()
		e.Trust = soap.Trust{Pins: []string{chain.Fingerprint(n.Cert.Leaf)}}
		e.Now = func() time.Time { return time.Now().AddDate(1, 0, 0) }
		if _, err := client(t, e).Trust(t.Context(), Tomcat); err != nil {
			t.Error(err)
		}
	})
}

func TestNotAvailable(t *testing.T) {
	ca := issue(t, "CA", nil)
	// A port that was closed a moment ago may be another test's by now; nobody is given port 1.
	c := client(t, soap.Endpoint{Node: nodeName, Address: "127.0.0.1:1", Trust: soap.Trust{Pins: []string{chain.Fingerprint(ca.Leaf)}}})
	for _, op := range calls(ca.PEM()) {
		err := op.run(t.Context(), c)
		e := mustKind(t, err, soap.Unreachable)
		var none *NotAvailable
		if !errors.As(err, &none) || none.Reason != ReasonRefused || e.Sent {
			t.Errorf("%s on a closed port: %v, sent %v", op.name, err, e.Sent)
		}
	}
	// Options alone may be missing: it is third-party evidence only.
	n := newNode(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/options") {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, ca.PEM())
	})
	if err := client(t, n.endpoint()).Probe(t.Context()); err != nil {
		t.Errorf("options missing, identity there: %v", err)
	}
	n = newNode(t, says(404, "text/html", "<html></html>"))
	var none *NotAvailable
	if err := client(t, n.endpoint()).Probe(t.Context()); !errors.As(err, &none) || none.Reason != ReasonNoSuchPath {
		t.Errorf("release 12.5: %v", err)
	}
	n = newNode(t, says(401, "text/html", ""))
	if err := client(t, n.endpoint()).Probe(t.Context()); soap.KindOf(err) != soap.AccountRejected || len(n.Requests()) != 1 {
		t.Errorf("rejected account: %v after %d log-ins", err, len(n.Requests()))
	}
}

func TestDeadlineAndCancel(t *testing.T) {
	ca := issue(t, "CA", nil)
	arrived := make(chan func(), 1)
	n := newNode(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case pass := <-arrived:
			pass()
		default: // the deadline is the endpoint's
		}
		<-r.Context().Done()
	})
	e := n.endpoint()
	for _, op := range calls(ca.PEM()) {
		want := soap.Timeout
		if op.write {
			want = soap.OutcomeUnknown
		}
		ctx, pass := soaptest.Deadline(t)
		arrived <- pass
		mustKind(t, op.run(ctx, client(t, e)), want)
	}
	// The endpoint's own may pass before anything is sent, where the machine is slow.
	e.Timeout = 150 * time.Millisecond
	for _, op := range calls(ca.PEM()) {
		err := op.run(t.Context(), client(t, e))
		want := soap.Timeout
		if failure, ok := errors.AsType[*soap.Error](err); op.write && ok && failure.Sent {
			want = soap.OutcomeUnknown
		}
		mustKind(t, err, want)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	unasked := newNode(t, json200(`{}`))
	for _, op := range calls(ca.PEM()) {
		if e := mustKind(t, op.run(gone, client(t, unasked.endpoint())), soap.Cancelled); e.Sent {
			t.Errorf("%s: says that something was sent", op.name)
		}
	}
	if len(unasked.Requests()) != 0 {
		t.Error("a cancelled request was sent")
	}
}

// net/http repeats requests on reused connections that turn out dead. A write
// must not be among them, even after reads have warmed a connection.
func TestWriteIsNeverRepeated(t *testing.T) {
	cert := issue(t, nodeName, nil)
	ca := issue(t, "CA", nil)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert.TLS()}})
	if err != nil {
		t.Fatal(err)
	}
	var posts atomic.Int64
	serve := func(conn net.Conn) {
		defer conn.Close()
		r := bufio.NewReader(conn)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			if req.Method == http.MethodPost {
				posts.Add(1)
				return // read whole, then the connection dies without an answer
			}
			body := `{"certificates":[]}`
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serve(conn) })
		}
	})
	c := New(soap.Endpoint{Node: nodeName, Address: l.Addr().String(), Trust: soap.Trust{Pins: []string{chain.Fingerprint(cert.Leaf)}}, Password: secret.NewText(password)})
	t.Cleanup(func() { l.Close(); c.Close(); serving.Wait() })
	if _, err := c.Trust(t.Context(), Tomcat); err != nil {
		t.Fatal(err)
	}
	_, err = c.AddTrust(t.Context(), Tomcat, []string{ca.PEM()}, "")
	mustKind(t, err, soap.OutcomeUnknown)
	if posts.Load() != 1 {
		t.Errorf("sent %d times", posts.Load())
	}
}

func TestClientPrintsNoSecret(t *testing.T) {
	c := New(soap.Endpoint{Node: nodeName, Address: "192.0.2.1:443", Username: "osadmin", Password: secret.NewText(password)})
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("client", "c", c)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v %s %x", c, c, c, c), log.String()} {
		if strings.Contains(text, password) || strings.Contains(text, "osadmin") || strings.Contains(text, fmt.Sprintf("%x", password)) {
			t.Errorf("%q", text)
		}
	}

}

// The default port is HTTPS's, and a node that is reached by another transport is asked there too.
func TestDefaultAddress(t *testing.T) {
	asked := ""
	c := New(soap.Endpoint{Node: nodeName, Password: secret.NewText(password), Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.Host + " as " + r.Host
		return nil, io.ErrUnexpectedEOF
	})})
	_, err := c.Snapshot(t.Context())
	mustKind(t, err, soap.ConnectionLost)
	if asked != nodeName+":443 as "+nodeName+":443" {
		t.Errorf("asked %s", asked)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestStoresTable(t *testing.T) {
	seen := map[Service]bool{}
	for _, s := range Stores() {
		if seen[s.Identity] || s.UsedBy == "" || s.Names == "" || s.Value == "" || s.TrustStore != string(s.TrustService)+"-trust" {
			t.Errorf("row %+v", s)
		}
		seen[s.Identity] = true
		if back, ok := StoreOf(Service(strings.ToUpper(string(s.Identity)))); !ok || back != s {
			t.Errorf("%s in capitals: %+v", s.Identity, back)
		}
		if err := s.Identity.check(); err != nil {
			t.Errorf("%s: %v", s.Identity, err)
		}
	}
	if _, ok := StoreOf("tomcat-trust"); ok {
		t.Error("a store passes as an identity")
	}
}
