package soap

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap/soaptest"
)

const nodeName = soaptest.NodeName

type certificate = soaptest.Certificate

func issue(t testing.TB, by *certificate, alter func(*x509.Certificate)) certificate {
	t.Helper()
	return soaptest.Issue(t, nodeName, by, alter)
}

// node is a TLS server that records what it is sent, with the endpoint that believes it.
type node struct{ *soaptest.Node }

func newNode(t testing.TB, cert certificate, handle http.HandlerFunc) node {
	t.Helper()
	return node{soaptest.NewNode(t, cert, handle)}
}

func (n node) endpoint() Endpoint {
	return Endpoint{
		Node: nodeName, Address: n.Address, Trust: Trust{Roots: n.Cert.Pool()},
		Username: "reader", Password: secret.NewText("correct horse"),
	}
}

// client makes a client that is closed with the test.
func client(t testing.TB, e Endpoint) *Client {
	t.Helper()
	c := New(e)
	t.Cleanup(c.Close)
	return c
}

const okBody = `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><ns:getCCMVersionResponse xmlns:ns="http://www.cisco.com/AXL/API/14.0"><return><componentVersion><version>14.0.1.13900(155)</version></componentVersion></return></ns:getCCMVersionResponse></soapenv:Body></soapenv:Envelope>`

func ok(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	_, _ = io.WriteString(w, okBody)
}

func faultBody(detail string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><soapenv:Fault><faultcode>soapenv:Server</faultcode>` + detail + `</soapenv:Fault></soapenv:Body></soapenv:Envelope>`
}

func read(op string) Request {
	return Request{Op: op, Path: "/axl/", Action: `"CUCM:DB ver=14.0 ` + op + `"`, Body: []byte("<request/>")}
}

func change(op string) Request {
	r := read(op)
	r.Write = true
	return r
}

// exchange does a request and reads the answer to its end.
func exchange(t testing.TB, rt RoundTripper, req Request) (string, error) {
	t.Helper()
	return exchangeWithin(t.Context(), rt, req)
}

func exchangeWithin(ctx context.Context, rt RoundTripper, req Request) (string, error) {
	a, err := rt.Do(ctx, req)
	if err != nil {
		return "", err
	}
	defer a.Close()
	b, err := io.ReadAll(a.Body)
	return string(b), err
}

// rawNode accepts TLS connections and lets the test speak for the server, byte by byte. It counts the requests it read whole.
type rawNode struct {
	listener net.Listener
	cert     certificate

	mu       sync.Mutex
	requests int
	passes   func()
}

func newRawNode(t *testing.T, serve func(n *rawNode, connection int, c net.Conn)) *rawNode {
	t.Helper()
	cert := issue(t, nil, nil)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert.TLS()}})
	if err != nil {
		t.Fatal(err)
	}
	n := &rawNode{listener: l, cert: cert}
	var running sync.WaitGroup
	running.Go(func() {
		for i := 1; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				serve(n, i, c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return n
}

func (n *rawNode) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.requests
}

// deadline is a caller's next deadline, for the one that serves to let pass.
func (n *rawNode) deadline(t *testing.T) context.Context {
	n.mu.Lock()
	defer n.mu.Unlock()
	ctx, pass := soaptest.Deadline(t)
	n.passes = pass
	return ctx
}

func (n *rawNode) pass() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.passes != nil {
		n.passes()
	}
}

// take reads one request whole.
func (n *rawNode) take(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return false
	}
	n.mu.Lock()
	n.requests++
	n.mu.Unlock()
	return true
}

func (n *rawNode) endpoint() Endpoint {
	return Endpoint{Node: nodeName, Address: n.listener.Addr().String(), Trust: Trust{Roots: n.cert.Pool()}, Username: "reader", Password: secret.NewText("correct horse")}
}

func httpAnswer(body string) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
}

func itoa(n int) string { return big.NewInt(int64(n)).String() }

func mustKind(t *testing.T, err error, want Kind) *Error {
	t.Helper()
	e, is := asError(err)
	if !is {
		t.Fatalf("got %v (%T), want an *Error of kind %s", err, err, want)
	}
	if e.Kind != want {
		t.Fatalf("got kind %s (%v), want %s", e.Kind, err, want)
	}
	if strings.Contains(err.Error(), "correct horse") {
		t.Errorf("the password is in %q", err)
	}
	return e
}
