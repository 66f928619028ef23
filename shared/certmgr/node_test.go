package certmgr

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/soap"
)

const (
	nodeName = "imp-emea-pub.example.com"
	password = "correct horse"
)

type certificate struct {
	leaf *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (c certificate) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.leaf.Raw}))
}

// issue makes a certificate; by is nil for a self-signed one.
func issue(t testing.TB, cn string, by *certificate, alter func(*x509.Certificate)) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn}, DNSNames: []string{cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
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

type seen struct {
	method, uri, auth, contentType, body, host string
}

// node is a TLS server that records what it is sent.
type node struct {
	server *httptest.Server
	cert   certificate

	mu   sync.Mutex
	list []seen
}

func (n *node) requests() []seen {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]seen(nil), n.list...)
}

func newNode(t testing.TB, handle http.HandlerFunc) *node {
	t.Helper()
	n := &node{cert: issue(t, nodeName, nil, nil)}
	n.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n.mu.Lock()
		n.list = append(n.list, seen{r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body), r.Host})
		n.mu.Unlock()
		handle(w, r)
	}))
	n.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	n.server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{n.cert.leaf.Raw}, PrivateKey: n.cert.key}}}
	n.server.StartTLS()
	t.Cleanup(n.server.Close)
	return n
}

func (n *node) endpoint() soap.Endpoint {
	roots := x509.NewCertPool()
	roots.AddCert(n.cert.leaf)
	return soap.Endpoint{
		Node: nodeName, Address: n.server.Listener.Addr().String(), Trust: soap.Trust{Roots: roots},
		Username: "osadmin", Password: password, Timeout: 5 * time.Second,
	}
}

func client(t testing.TB, e soap.Endpoint) *Client {
	t.Helper()
	c := New(e)
	t.Cleanup(c.Close)
	return c
}

// says answers every request alike.
func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func json200(body string) http.HandlerFunc { return says(200, "application/json", body) }

func mustKind(t *testing.T, err error, want soap.Kind) *soap.Error {
	t.Helper()
	var e *soap.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T), want a *soap.Error of kind %s", err, err, want)
	}
	if e.Kind != want {
		t.Fatalf("got kind %s (%v), want %s", e.Kind, err, want)
	}
	return e
}
