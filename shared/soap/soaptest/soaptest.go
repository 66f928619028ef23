// Package soaptest is a node for the tests of the clients that talk to one: a TLS server on loopback with a certificate made for the
// occasion, which keeps what it was sent.
//
// It knows no client and models nothing of a product: what it answers is the test's. Only tests import it.
package soaptest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// NodeName is the node's name.
const NodeName = "imp-emea-pub.example.com"

// Certificate is a certificate with its key.
type Certificate struct {
	Leaf *x509.Certificate
	Key  *ecdsa.PrivateKey
}

// Issue makes a certificate that may serve and sign, valid for a day; alter may change its template, by is nil for a self-signed one.
func Issue(t testing.TB, cn string, by *Certificate, alter func(*x509.Certificate)) Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn}, DNSNames: []string{cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if alter != nil {
		alter(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.Leaf, by.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Certificate{leaf, key}
}

// TLS is what a server serves it as.
func (c Certificate) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{c.Leaf.Raw}, PrivateKey: c.Key, Leaf: c.Leaf}
}

// Pool holds it alone.
func (c Certificate) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.Leaf)
	return p
}

// PEM is its text.
func (c Certificate) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Leaf.Raw}))
}

// Seen is a request as the node saw it, read whole.
type Seen struct {
	Method, Path, URI, Host, Body string
	Header                        http.Header
}

// Node is a TLS server that records what it is sent.
type Node struct {
	Cert    Certificate
	Address string // host:port

	mu   sync.Mutex
	seen []Seen
}

// NewNode starts a node that ends with the test.
func NewNode(t testing.TB, cert Certificate, handle http.HandlerFunc) *Node {
	t.Helper()
	n := &Node{Cert: cert}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what came is what was seen, also of a request that was cut
		n.mu.Lock()
		n.seen = append(n.seen, Seen{r.Method, r.URL.Path, r.URL.RequestURI(), r.Host, string(body), r.Header.Clone()})
		n.mu.Unlock()
		handle(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert.TLS()}}
	server.StartTLS()
	t.Cleanup(server.Close)
	n.Address = server.Listener.Addr().String()
	return n
}

// Requests are those seen so far, in order.
func (n *Node) Requests() []Seen {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.seen)
}

// Deadline is a context whose deadline passes when the test says so: once the request has arrived, however long that takes. A deadline on
// the clock may pass before it is sent.
func Deadline(t testing.TB) (ctx context.Context, pass func()) {
	d := deadline{t.Context(), make(chan struct{})}
	return d, sync.OnceFunc(func() { close(d.passed) })
}

type deadline struct {
	context.Context
	passed chan struct{}
}

func (d deadline) Done() <-chan struct{} { return d.passed }

func (d deadline) Err() error {
	select {
	case <-d.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Negative is the certificate with a negative serial number, signed again: crypto/x509 makes none.
func (c Certificate) Negative(t testing.TB) Certificate {
	t.Helper()
	tbs := slices.Clone(c.Leaf.RawTBSCertificate)
	serial := c.Leaf.SerialNumber.Bytes()
	at := bytes.Index(tbs, serial)
	if at < 0 || serial[0]&0x80 != 0 {
		t.Fatal("no serial number that could be turned")
	}
	tbs[at] |= 0x80
	sum := sha256.Sum256(tbs)
	signature, err := ecdsa.SignASN1(rand.Reader, c.Key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: tbs},
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}, // ecdsa-with-SHA256
		asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Certificate{leaf, c.Key}
}
