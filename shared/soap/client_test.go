package soap

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/chain"
	"peerkeeper/shared/soap/soaptest"
)

func TestAnsweredKinds(t *testing.T) {
	page := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html;charset=UTF-8")
			w.WriteHeader(status)
			fmt.Fprintf(w, "<!-- custom Cisco error page --><html><head><style>b {color:red}</style><title>Cisco System</title></head><body><b>%s</b>\x07</body></html>", text)
		}
	}
	soapFault := func(status int, detail string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, faultBody(detail))
		}
	}
	plain := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	tests := []struct {
		name        string
		handle      http.HandlerFunc
		read, write Kind
		want        Error // fields to compare besides Kind
		text        string
	}{
		{"wrong password, HTML page", page(401, "HTTP Status 401 &ndash; Unauthorized"), AccountRejected, AccountRejected, Error{Status: 401}, "Cisco System HTTP Status 401 – Unauthorized"},
		{"no AXL role, HTML page", page(403, "Access to the requested resource has been denied"), Forbidden, Forbidden, Error{Status: 403}, "Cisco System Access to the requested resource has been denied"},
		{"AXL not activated", page(404, "Not Found"), NotFound, OutcomeUnknown, Error{Status: 404}, "Cisco System Not Found"},
		{"version not supported", page(599, "HTTP Status 599 - Incorrect axl version. Supported axl versions are 12.x, 14.0 and 15.0."), VersionRefused, VersionRefused, Error{Status: 599, Supported: []string{"12.x", "14.0", "15.0"}}, ""},
		{"write throttle", plain(503, ""), Throttled, Throttled, Error{Status: 503}, "Service Unavailable"},
		{"throttle with Retry-After", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "7"); w.WriteHeader(503) }, Throttled, Throttled, Error{Status: 503, RetryAfter: 7 * time.Second}, ""},
		{"undocumented 429", plain(429, "slow down"), Throttled, OutcomeUnknown, Error{Status: 429}, "slow down"},
		{"size fault", soapFault(500, `<faultstring>Query request too large. Total rows matched: 2816 rows. Suggestive Row Fetch: less than 844 rows</faultstring><detail><axlError><axlcode>-1</axlcode><axlmessage>Query request too large. Total rows matched: 2816 rows. Suggestive Row Fetch: less than 844 rows</axlmessage><request>executeSQLQuery</request></axlError></detail>`), TooLarge, TooLarge, Error{Status: 500, Code: "-1", Rows: 2816, Suggested: 844}, ""},
		{"memory fault", soapFault(500, `<faultstring>Maximum AXL Memory Allocation Consumed. Please retry once requests in progress have completed</faultstring>`), MemoryFull, MemoryFull, Error{Status: 500, Code: "soapenv:Server"}, ""},
		{"Control Center's rate fault", soapFault(500, `<faultstring>Exceeded allowed rate for Serviceability requests</faultstring>`), RateExceeded, RateExceeded, Error{Status: 500, Code: "soapenv:Server"}, ""},
		{"item not found", soapFault(500, `<faultstring>Item not valid</faultstring><detail><axlError><axlcode>5007</axlcode><axlmessage>Item not valid: The specified jdoe was not found</axlmessage></axlError></detail>`), Fault, Fault, Error{Status: 500, Code: "5007"}, "Item not valid: The specified jdoe was not found"},
		{"fault with HTTP 200", soapFault(200, `<faultstring>odd</faultstring>`), Fault, Fault, Error{Status: 200, Code: "soapenv:Server"}, "odd"},
		{"HTML page with HTTP 500", page(500, "java.lang.NullPointerException"), Fault, OutcomeUnknown, Error{Status: 500}, ""},
		{"HTML page with HTTP 200", page(200, "The AXL Web Service is working and accepting requests."), Malformed, OutcomeUnknown, Error{Status: 200}, ""},
		{"empty answer", plain(200, ""), Malformed, OutcomeUnknown, Error{Status: 200}, ""},
		{"document type", plain(200, `<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`), Malformed, OutcomeUnknown, Error{Status: 200}, ""},
		{"fault cut short", plain(500, faultBody("<faultstring>x</faultstring>")[:140]), Fault, OutcomeUnknown, Error{Status: 500}, ""},
		{"bad request", plain(400, "?"), Malformed, OutcomeUnknown, Error{Status: 400}, "?"},
		{"no content", plain(204, ""), Malformed, OutcomeUnknown, Error{Status: 204}, ""},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ccmadmin/", http.StatusFound) }, Redirected, OutcomeUnknown, Error{Status: 302}, `to "/ccmadmin/"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, issue(t, nil, nil), tt.handle)
			c := client(t, n.endpoint())
			for _, req := range []Request{read("getCCMVersion"), change("executeSQLUpdate")} {
				want := tt.read
				if req.Write {
					want = tt.write
				}
				_, err := exchange(t, c, req)
				e := mustKind(t, err, want)
				if want == OutcomeUnknown {
					if inner, is := asError(e.Cause); is {
						e = inner
					}
				}
				got := Error{Status: e.Status, Code: e.Code, Rows: e.Rows, Suggested: e.Suggested, Supported: e.Supported, RetryAfter: e.RetryAfter}
				if diff := cmp.Diff(tt.want, got); diff != "" && !req.Write {
					t.Errorf("fields (-want +got):\n%s", diff)
				}
				if !e.Sent {
					t.Error("an answered request counts as not sent")
				}
				if tt.text != "" && e.Cause.Error() != tt.text {
					t.Errorf("text is %q, want %q", e.Cause, tt.text)
				}
			}
			if got := len(n.Requests()); got != 2 {
				t.Errorf("the node got %d requests for one read and one write", got)
			}
		})
	}
}

func TestErrorReadsLikeASentence(t *testing.T) {
	e := &Error{Op: "executeSQLQuery", Node: "emea pub", Kind: AccountRejected, Status: 401, Sent: true, Cause: errors.New("Unauthorized")}
	if got, want := e.Error(), "emea pub: executeSQLQuery: account rejected (HTTP 401): Unauthorized"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := Unknown(&Error{Op: "op", Node: "pub", Kind: NotFound, Status: 404, Cause: errors.New("x")}).Error(), "pub: op: OUTCOME UNKNOWN (HTTP 404): service not found: x"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if KindOf(fmt.Errorf("listing peers: %w", e)) != AccountRejected || KindOf(nil) != None || KindOf(io.EOF) != Other || KindOf(context.Canceled) != Cancelled || KindOf(&TrustError{}) != Untrusted {
		t.Error("KindOf")
	}
}

func TestRequestOnTheWire(t *testing.T) {
	n := newNode(t, issue(t, nil, nil), ok)
	before := time.Now()
	e := n.endpoint()
	e.Now = func() time.Time { return before.Add(-time.Hour / 2) } // our clock is half an hour slow, and the certificate already valid
	a, err := client(t, e).Do(t.Context(), read("getCCMVersion"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var out struct {
		Version string `xml:"return>componentVersion>version"`
	}
	if err := a.Decode(&out); err != nil || out.Version != "14.0.1.13900(155)" {
		t.Errorf("decoded %+v, %v", out, err)
	}
	if a.Skew < 29*time.Minute || a.Skew > 31*time.Minute {
		t.Errorf("skew is %s, want about 30m", a.Skew)
	}
	got := n.Requests()[0]
	_, port, _ := net.SplitHostPort(e.Address)
	want := soaptest.Seen{Method: "POST", Path: "/axl/", URI: "/axl/", Host: nodeName + ":" + port, Body: "<request/>", Header: http.Header{
		"Authorization": {"Basic cmVhZGVyOmNvcnJlY3QgaG9yc2U="}, "Soapaction": {`"CUCM:DB ver=14.0 getCCMVersion"`}, "Content-Type": {"text/xml; charset=utf-8"},
		"Accept": {"text/xml"}, "User-Agent": {"peerkeeper"}, "Content-Length": {"10"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if err := a.Close(); err != nil {
		t.Error("closing twice:", err)
	}
}

// What a node does below HTTP, and what that means for a read and for a write.
func TestBrokenNodes(t *testing.T) {
	speak := func(text string) func(*rawNode, int, net.Conn) {
		return func(n *rawNode, _ int, c net.Conn) {
			if n.take(bufio.NewReader(c)) {
				_, _ = io.WriteString(c, text)
			}
		}
	}
	const begun = "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + okBody
	tests := []struct {
		name  string
		serve func(*rawNode, int, net.Conn)
		max   int64
		read  Kind
	}{
		{"reads the request and closes", speak(""), 0, ConnectionLost},
		{"answers garbage", speak("\x00\x01\x02 not HTTP at all\r\n\r\n"), 0, Malformed},
		{"closes inside the headers", speak("HTTP/1.1 200 OK\r\nContent-"), 0, Malformed},
		{"headers without end", speak("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", maxHeader*2) + "\r\n\r\n"), 0, Malformed},
		{"body shorter than announced", speak(httpAnswer(okBody)[:len(httpAnswer(okBody))-20]), 0, Malformed},
		{"envelope cut, body complete", speak(httpAnswer(okBody[:len(okBody)-20])), 0, None}, // only a decoder can tell
		{"chunked body cut short", speak("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + okBody), 0, Malformed},
		{"never answers", stall(""), 0, Timeout},
		{"stops in the body", stall(begun), 0, Timeout},
		{"says it will send too much", speak("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + okBody), 4000, AnswerTooBig},
		{"sends too much", speak("HTTP/1.1 200 OK\r\n\r\n" + okBody + strings.Repeat(" ", 9000)), 4000, AnswerTooBig},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newRawNode(t, tt.serve)
			e := n.endpoint()
			e.MaxAnswer = tt.max
			c := client(t, e)
			body, err := exchangeWithin(n.deadline(t), c, read("getCCMVersion"))
			if tt.read == None {
				if err != nil || body == "" {
					t.Fatalf("got %q, %v", body, err)
				}
				a, err := c.Do(t.Context(), read("getCCMVersion"))
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close()
				mustKind(t, a.Decode(&struct{}{}), Malformed)
			} else if e := mustKind(t, err, tt.read); !e.Sent {
				t.Error("the request counts as not sent")
			}
			before := n.count()
			_, err = exchangeWithin(n.deadline(t), c, change("executeSQLUpdate"))
			mustKind(t, err, OutcomeUnknown)
			if got := n.count() - before; got != 1 {
				t.Errorf("the write was sent %d times", got)
			}
		})
	}
	// How far an exchange comes within Timeout is up to the machine, which is given more until it comes to the body.
	t.Run("the timeout covers the body", func(t *testing.T) {
		n := newRawNode(t, stall(begun))
		e := n.endpoint()
		for e.Timeout = 100 * time.Millisecond; n.count() == 0; e.Timeout *= 2 {
			_, err := exchange(t, client(t, e), read("getCCMVersion"))
			mustKind(t, err, Timeout)
		}
	})
}

// stall answers with the first bytes, and the caller's deadline passes.
func stall(first string) func(*rawNode, int, net.Conn) {
	return func(n *rawNode, _ int, c net.Conn) {
		r := bufio.NewReader(c)
		n.take(r)
		_, _ = io.WriteString(c, first)
		n.pass()
		_, _ = r.ReadByte() // until the client gives up
	}
}

// Before the request is sent a write fails as a read does: it certainly did not happen.
func TestNotSent(t *testing.T) {
	plain := func(serve func(net.Conn)) func(t *testing.T) string {
		return func(t *testing.T) string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var running sync.WaitGroup
			running.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					running.Go(func() { defer c.Close(); serve(c) })
				}
			})
			t.Cleanup(func() { l.Close(); running.Wait() })
			return l.Addr().String()
		}
	}
	old := issue(t, nil, nil)
	tests := []struct {
		name    string
		address func(t *testing.T) string
		want    Kind
	}{
		// A port that was closed a moment ago may be another test's by now; nobody is given port 1.
		{"nothing listens", func(*testing.T) string { return "127.0.0.1:1" }, Unreachable},
		{"hangs in the handshake", plain(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), Timeout},
		{"speaks plain HTTP", plain(func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1000))
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\nThis combination of host and port requires TLS.")
		}), TLSRefused},
		{"speaks garbage", plain(func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1000))
			_, _ = io.WriteString(c, "\x00\x00\x00\x00\x00\x00\x00")
		}), TLSRefused},
		{"closes in the handshake", plain(func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }), TLSRefused},
		{"speaks TLS 1.1 only", plain(func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{old.TLS()}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake()
		}), TLSRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := Endpoint{Node: nodeName, Address: tt.address(t), Trust: Trust{Roots: old.Pool()}}
			if tt.want == Timeout {
				e.Timeout = 300 * time.Millisecond
			}
			c := client(t, e)
			for _, req := range []Request{read("getCCMVersion"), change("executeSQLUpdate")} {
				_, err := exchange(t, c, req)
				if e := mustKind(t, err, tt.want); e.Sent {
					t.Errorf("write %v counts as sent", req.Write)
				}
			}
		})
	}
	t.Run("the caller has given up before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := New(Endpoint{Node: nodeName, Address: "127.0.0.1:1"}).Do(ctx, change("executeSQLUpdate"))
		if e := mustKind(t, err, Cancelled); e.Sent {
			t.Error("counts as sent")
		}
	})
}

func TestNoCredentialsToAnUnverifiedServer(t *testing.T) {
	good := issue(t, nil, nil)
	expired := issue(t, nil, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	})
	other := issue(t, nil, func(c *x509.Certificate) { c.DNSNames = []string{"imp-apac-pub.example.com"} })
	tests := []struct {
		name   string
		served certificate
		trust  Trust
		now    time.Duration
		reason string // empty: accepted
	}{
		{"trusted", good, Trust{Roots: good.Pool()}, 0, ""},
		{"pinned", good, Trust{Pins: []string{"sha256:00", strings.ToUpper(chain.Fingerprint(good.Leaf))}}, 0, ""},
		{"expired, but pinned", expired, Trust{Pins: []string{chain.Fingerprint(expired.Leaf)}}, 0, ""},
		{"expired, pinned, and a CA that does not know it", expired, Trust{Roots: good.Pool(), Pins: []string{chain.Fingerprint(expired.Leaf)}}, 0, ""},
		{"expired", expired, Trust{Roots: expired.Pool()}, 0, ReasonExpired},
		{"expires by the injected clock", good, Trust{Roots: good.Pool()}, 48 * time.Hour, ReasonExpired},
		{"not yet valid by the injected clock", good, Trust{Roots: good.Pool()}, -48 * time.Hour, ReasonNotYetValid},
		{"another node's name", other, Trust{Roots: other.Pool()}, 0, ReasonNameMismatch},
		{"unknown authority", good, Trust{Roots: other.Pool()}, 0, ReasonUnknownAuthority},
		{"another pin", good, Trust{Pins: []string{chain.Fingerprint(other.Leaf)}}, 0, ReasonPinMismatch},
		{"nothing to believe", good, Trust{}, 0, ReasonNoTrustConfigured},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, tt.served, ok)
			e := n.endpoint()
			e.Trust = tt.trust
			e.Now = func() time.Time { return time.Now().Add(tt.now) }
			c := client(t, e)
			for _, req := range []Request{read("getCCMVersion"), change("getCCMVersion"), read("getCCMVersion")} {
				_, err := exchange(t, c, req)
				if tt.reason == "" {
					if err != nil {
						t.Fatal(err)
					}
					continue
				}
				if e := mustKind(t, err, Untrusted); e.Sent {
					t.Error("counts as sent")
				}
				var trust *TrustError
				if !errors.As(err, &trust) || trust.Reason != tt.reason || trust.Leaf != chain.Fingerprint(tt.served.Leaf) || trust.NotAfter.IsZero() {
					t.Errorf("got %+v, want reason %s", trust, tt.reason)
				}
			}
			if got := n.Requests(); tt.reason != "" && len(got) != 0 {
				t.Errorf("the server saw %+v", got)
			} else if tt.reason == "" && got[0].Header.Get("Authorization") == "" {
				t.Error("a verified server got no credentials")
			}
		})
	}
}

// Verification must happen in every connection: a certificate that expires between two requests is noticed on the next connection.
func TestEveryConnectionIsVerified(t *testing.T) {
	n := newNode(t, issue(t, nil, nil), ok)
	var later atomic.Int64
	e := n.endpoint()
	e.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	c := client(t, e)
	if _, err := exchange(t, c, read("getCCMVersion")); err != nil {
		t.Fatal(err)
	}
	later.Store(int64(48 * time.Hour))
	c.Close()
	_, err := exchange(t, c, read("getCCMVersion"))
	mustKind(t, err, Untrusted)
}

func TestVerifyChains(t *testing.T) {
	root := issue(t, nil, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.Subject.CommonName = true, true, "Example Root"
	})
	middle := issue(t, &root, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.Subject.CommonName, c.NotAfter = true, true, "Example CA", time.Now().Add(time.Hour)
	})
	leaf := issue(t, &middle, nil)
	client := issue(t, &root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	reason := func(chain []*x509.Certificate, now time.Time) string {
		err := Trust{Roots: root.Pool()}.Verify(chain, nodeName, now)
		var e *TrustError
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("%T", err)
		}
		if e == nil {
			return ""
		}
		return e.Reason
	}
	whole := []*x509.Certificate{leaf.Leaf, middle.Leaf}
	for name, got := range map[string][2]string{
		"chain of three":          {reason(whole, time.Now()), ""},
		"intermediate not served": {reason(whole[:1], time.Now()), ReasonUnknownAuthority},
		"intermediate expired":    {reason(whole, time.Now().Add(2*time.Hour)), ReasonIssuerExpired},
		"client certificate":      {reason([]*x509.Certificate{client.Leaf}, time.Now()), ReasonNotForServers},
		"no certificate":          {reason(nil, time.Now()), ReasonNoCertificate},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: reason %q, want %q", name, got[0], got[1])
		}
	}
}

func TestSession(t *testing.T) {
	var valid atomic.Value // the session the node knows
	valid.Store("one")
	stale := http.StatusNotFound
	n := newNode(t, issue(t, nil, nil), func(w http.ResponseWriter, r *http.Request) {
		k, err := r.Cookie("JSESSIONIDSSO")
		switch {
		case err == nil && k.Value == valid.Load():
		case err == nil:
			w.WriteHeader(stale)
			return
		case r.Header.Get("Authorization") == "":
			w.WriteHeader(401)
			return
		default:
			http.SetCookie(w, &http.Cookie{Name: "JSESSIONIDSSO", Value: valid.Load().(string), Path: "/", Secure: true, HttpOnly: true})
			http.SetCookie(w, &http.Cookie{Name: "JSESSIONID", Value: "app", Path: "/axl"})
			http.SetCookie(w, &http.Cookie{Name: "tracking", Value: "no", Path: "/"})
		}
		ok(w, r)
	})
	c := client(t, n.endpoint())
	do := func(req Request) {
		t.Helper()
		if _, err := exchange(t, c, req); err != nil {
			t.Fatal(err)
		}
	}
	const basic = "Basic cmVhZGVyOmNvcnJlY3QgaG9yc2U="
	other := read("getCCMVersion")
	other.Path = "/controlcenterservice2/services/ControlCenterServices"
	do(read("getCCMVersion"))
	do(read("getCCMVersion"))
	do(other)                   // the single sign-on cookie is good for it, /axl's own is not its business
	do(change("getCCMVersion")) // a write logs in by itself
	valid.Store("two")
	do(read("getCCMVersion")) // 404, and again with the password
	stale = http.StatusUnauthorized
	valid.Store("three")
	do(read("getCCMVersion")) // some answer 401 to a dead session: that says nothing about the account
	var got []string
	for _, s := range n.Requests() {
		got = append(got, s.Header.Get("Authorization")+"|"+s.Header.Get("Cookie"))
	}
	want := []string{
		basic + "|",
		"|JSESSIONIDSSO=one; JSESSIONID=app",
		"|JSESSIONIDSSO=one",
		basic + "|",
		"|JSESSIONIDSSO=one; JSESSIONID=app", basic + "|",
		"|JSESSIONIDSSO=two; JSESSIONID=app", basic + "|",
	}
	for i := range want { // the order of the two cookies is of no account
		want[i] = strings.Replace(want[i], "JSESSIONIDSSO=one; JSESSIONID=app", "both one", 1)
	}
	for i := range got {
		for _, v := range []string{"one", "two"} {
			for _, both := range []string{"JSESSIONIDSSO=" + v + "; JSESSIONID=app", "JSESSIONID=app; JSESSIONIDSSO=" + v} {
				got[i] = strings.Replace(got[i], both, "both "+v, 1)
			}
		}
	}
	want[6] = "|both two"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("authorization|cookies (-want +got):\n%s", diff)
	}
	if s := fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c, c); strings.Contains(s, "three") || strings.Contains(s, "horse") {
		t.Errorf("printing the client shows %s", s)
	}
}

// A log-in that fails after a dead session is tried once, not for ever.
func TestLogsInAgainOnce(t *testing.T) {
	var down atomic.Bool
	n := newNode(t, issue(t, nil, nil), func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(404)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "JSESSIONIDSSO", Value: "one", Path: "/"})
		ok(w, r)
	})
	c := client(t, n.endpoint())
	if _, err := exchange(t, c, read("getCCMVersion")); err != nil {
		t.Fatal(err)
	}
	down.Store(true)
	_, err := exchange(t, c, read("getCCMVersion"))
	mustKind(t, err, NotFound)
	if got := len(n.Requests()); got != 3 {
		t.Errorf("%d requests, want the first, the stale one and one log-in", got)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	cert := issue(t, nil, nil)
	elsewhere := newNode(t, cert, ok)
	n := newNode(t, cert, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+elsewhere.Address+"/axl/", http.StatusTemporaryRedirect)
	})
	_, err := exchange(t, client(t, n.endpoint()), read("getCCMVersion"))
	mustKind(t, err, Redirected)
	if got := elsewhere.Requests(); len(got) != 0 {
		t.Errorf("the other server saw %+v", got)
	}
}

// The server answers one request per connection, reads the next one on the same connection and closes it without an answer. net/http
// resends such a request by itself if it may: it does for a read, which shows that the trap works; for a write it must not.
func TestWritesAreNeverSentTwice(t *testing.T) {
	trap := func(n *rawNode, connection int, c net.Conn) {
		r := bufio.NewReader(c)
		if n.take(r) {
			_, _ = io.WriteString(c, httpAnswer(okBody))
			if connection == 1 {
				n.take(r)
			}
		}
	}
	t.Run("a read is", func(t *testing.T) {
		n := newRawNode(t, trap)
		c := client(t, n.endpoint())
		for range 2 {
			if _, err := exchange(t, c, read("getCCMVersion")); err != nil {
				t.Fatal(err)
			}
		}
		if n.count() != 3 {
			t.Errorf("%d requests: the trap did not close", n.count())
		}
	})
	t.Run("a write is not", func(t *testing.T) {
		n := newRawNode(t, func(n *rawNode, _ int, c net.Conn) { // every connection answers its first request only
			r := bufio.NewReader(c)
			if n.take(r) && n.count() == 1 {
				_, _ = io.WriteString(c, httpAnswer(okBody))
				n.take(r)
			}
		})
		c := client(t, n.endpoint())
		if _, err := exchange(t, c, read("getCCMVersion")); err != nil {
			t.Fatal(err)
		}
		_, err := exchange(t, c, change("getCCMVersion"))
		mustKind(t, err, OutcomeUnknown)
		if n.count() != 2 {
			t.Errorf("%d requests for a read and a write", n.count())
		}
	})
	t.Run("not even over a transport that reuses connections", func(t *testing.T) {
		n := newRawNode(t, trap)
		shared := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: n.cert.Pool(), ServerName: nodeName}}
		defer shared.CloseIdleConnections()
		e := n.endpoint()
		e.Transport = shared
		c := client(t, e)
		if _, err := exchange(t, c, read("getCCMVersion")); err != nil {
			t.Fatal(err)
		}
		_, err := exchange(t, c, change("getCCMVersion"))
		mustKind(t, err, OutcomeUnknown)
		if n.count() != 2 {
			t.Errorf("%d requests for a read and a write", n.count())
		}
	})
	t.Run("nor by Retry", func(t *testing.T) {
		n := newNode(t, issue(t, nil, nil), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
		rt := Retry(client(t, n.endpoint()), RetryPolicy{Base: time.Millisecond})
		_, err := exchange(t, rt, change("getCCMVersion"))
		mustKind(t, err, Throttled)
		if got := len(n.Requests()); got != 1 {
			t.Errorf("%d requests", got)
		}
		_, err = exchange(t, rt, read("getCCMVersion"))
		mustKind(t, err, Throttled)
		if got := len(n.Requests()); got != 4 {
			t.Errorf("%d requests for a write and a read of 3 attempts", got)
		}
	})
}

func TestWriteAnswerMustBeWhole(t *testing.T) {
	answers := map[string]string{
		"another operation's answer": strings.ReplaceAll(okBody, "getCCMVersionResponse", "getUserResponse"),
		"envelope cut short":         okBody[:len(okBody)-3],
		"something after it":         okBody + "<more/>",
		"empty body":                 `<e:Envelope xmlns:e="x"><e:Body/></e:Envelope>`,
	}
	for name, body := range answers {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, issue(t, nil, nil), func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
			_, err := client(t, n.endpoint()).Do(t.Context(), change("getCCMVersion"))
			mustKind(t, err, OutcomeUnknown)
		})
	}
}

// An in-process simulator stands in for the network: its dial errors and ours mean "not sent", all else does not.
func TestInProcessTransport(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want Kind
		sent bool
	}{
		{"cannot dial", &net.OpError{Op: "dial", Err: errors.New("no route to host")}, Unreachable, false},
		{"untrusted", &TrustError{Reason: ReasonExpired, Name: nodeName}, Untrusted, false},
		{"dropped", io.ErrUnexpectedEOF, OutcomeUnknown, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(Endpoint{Node: nodeName, Address: "192.0.2.1:8443", Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.URL.Host != "192.0.2.1:8443" || r.Host != nodeName+":8443" || r.GetBody != nil {
					t.Errorf("request to %s, host %s", r.URL.Host, r.Host)
				}
				return nil, tt.err
			})})
			_, err := c.Do(t.Context(), change("executeSQLUpdate"))
			if e := mustKind(t, err, tt.want); e.Sent != tt.sent {
				t.Errorf("sent is %v", e.Sent)
			}
		})
	}
}

// A node that answers because we hung up has not done what it was told: net/http may still pass its answer on.
func TestAnAnswerToOurHangingUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	for _, tt := range []struct {
		req  Request
		want Kind
	}{{read("getCCMVersion"), Cancelled}, {change("getCCMVersion"), OutcomeUnknown}} {
		body := &closing{Reader: strings.NewReader(okBody)}
		c := New(Endpoint{Node: nodeName, Address: "192.0.2.1:8443", Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			cancel()
			return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: body, ContentLength: int64(len(okBody)), Request: r}, nil
		})})
		_, err := c.Do(ctx, tt.req)
		mustKind(t, err, tt.want)
		if !body.closed {
			t.Error("its body was left open")
		}
		ctx, cancel = context.WithCancel(t.Context())
	}
	cancel()
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBodyCapIsExact(t *testing.T) {
	n := newNode(t, issue(t, nil, nil), ok)
	for _, max := range []int64{int64(len(okBody)), int64(len(okBody)) - 1} {
		e := n.endpoint()
		e.MaxAnswer = max
		body, err := exchange(t, client(t, e), read("getCCMVersion"))
		if max == int64(len(okBody)) {
			if err != nil || body != okBody {
				t.Errorf("at the cap: %q, %v", body, err)
			}
			continue
		}
		mustKind(t, err, AnswerTooBig)
	}
}
