package certmgr

import (
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"testing"

	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/soap/soaptest"
)

const (
	nodeName = soaptest.NodeName
	password = "correct horse"
)

type certificate = soaptest.Certificate

// issue makes a certificate that may sign others; by is nil for a self-signed one.
func issue(t testing.TB, cn string, by *certificate) certificate {
	t.Helper()
	return soaptest.Issue(t, cn, by, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
}

// node is a TLS server that records what it is sent, with the endpoint that believes it.
type node struct{ *soaptest.Node }

func newNode(t testing.TB, handle http.HandlerFunc) node {
	t.Helper()
	return node{soaptest.NewNode(t, issue(t, nodeName, nil), handle)}
}

func (n node) endpoint() soap.Endpoint {
	return soap.Endpoint{
		Node: nodeName, Address: n.Address, Trust: soap.Trust{Roots: n.Cert.Pool()},
		Username: "osadmin", Password: secret.NewText(password),
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
