package soap

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const nodeName = "imp-emea-pub.example.com"

// certificate is what a test needs of one.
type certificate struct {
	leaf *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (c certificate) tls() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{c.leaf.Raw}, PrivateKey: c.key, Leaf: c.leaf}
}

func (c certificate) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.leaf)
	return p
}

// issue makes a certificate; alter may change the template, by is nil for a self-signed one.
func issue(t testing.TB, by *certificate, alter func(*x509.Certificate)) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: nodeName},
		DNSNames:     []string{nodeName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if alter != nil {
		alter(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.leaf, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate{leaf, key}
}

// seen is a request as a node saw it.
type seen struct {
	auth, cookie, action, host, body, path string
}

// node is a TLS server that records what it is sent.
type node struct {
	server *httptest.Server
	cert   certificate

	mu   sync.Mutex
	seen []seen
}

func (n *node) requests() []seen {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]seen(nil), n.seen...)
}

func newNode(t testing.TB, cert certificate, handle http.HandlerFunc) *node {
	t.Helper()
	n := &node{cert: cert}
	n.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n.mu.Lock()
		n.seen = append(n.seen, seen{r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Header.Get("SOAPAction"), r.Host, string(body), r.URL.Path})
		n.mu.Unlock()
		handle(w, r)
	}))
	n.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	n.server.TLS = &tls.Config{Certificates: []tls.Certificate{cert.tls()}}
	n.server.StartTLS()
	t.Cleanup(n.server.Close)
	return n
}

func (n *node) endpoint() Endpoint {
	return Endpoint{
		Node: nodeName, Address: n.server.Listener.Addr().String(), Trust: Trust{Roots: n.cert.pool()},
		Username: "reader", Password: "correct horse", Timeout: 5 * time.Second,
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
	a, err := rt.Do(t.Context(), req)
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
}

func newRawNode(t *testing.T, serve func(n *rawNode, connection int, c net.Conn)) *rawNode {
	t.Helper()
	cert := issue(t, nil, nil)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert.tls()}})
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
	return Endpoint{Node: nodeName, Address: n.listener.Addr().String(), Trust: Trust{Roots: n.cert.pool()}, Username: "reader", Password: "correct horse", Timeout: 2 * time.Second}
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
