// Package certmgr talks to the certificate management REST interface of one
// node, which IM and Presence, Unified CM and their relatives have from release
// 14 on: what a node serves as, whom it trusts, and one more certificate to
// trust.
//
// It owns the exchange: TLS verified before the OS administrator's password
// leaves, one node per client (each call is about the server it is sent to),
// caps on all that a server may send, and certificates read one by one, so that
// one that cannot be read is reported and the rest still count.
//
// It never deletes a certificate: the introduction says that deleting exists,
// its path is not in public material, and a guess here takes a mesh apart. It
// never makes signing requests, never follows a redirect, never uses a proxy,
// never sends a write twice, and knows no other user than the OS
// administrator's.
//
// Failure promise: every error is or wraps a *soap.Error, so soap.KindOf tells
// what to do, except an *InputError, which comes before anything is sent. A
// node without the interface is a *NotAvailable. AddTrust ends in
// soap.OutcomeUnknown unless it is certain that the node did not get the
// request, refused it, or took it.
//
// Evidence, as in the comments below: [V] Cisco's own pages (developer.cisco.com,
// certificate management), [T] third-party code only, [I] inferred. Nothing here
// was seen on a live node.
package certmgr

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"peerkeeper/shared/soap"
)

// base is in front of every path [V].
const base = "/platformcom/api/v1/certmgr/config"

// Paths under base.
const (
	pathSnapshot = "/snapshot/server"      // [T]
	pathOptions  = "/options"              // [T]
	pathIdentity = "/identity/certificate" // [T] with ?service=
	pathTrust    = "/trust/certificate"    // [T] with ?service=
	pathAddTrust = "/trust/certificates"   // [V]: the plural writes, the singular reads
)

// DefaultPort is HTTPS's own, which Cisco's samples use [V]; 8443 answers too
// [T].
const DefaultPort = "443"

// Bounds of what AddTrust sends: far more than a chain, far less than a mistake.
const (
	maxAdded       = 64
	maxAddedBytes  = 512 << 10
	maxDescription = 255
)

// Options is what a node says it can do. Its shape is known from third-party
// code to exist and no further [T].
type Options struct {
	// Lists holds every member of the answer that is a list of texts.
	Lists map[string][]string
}

// Snapshot is everything one node holds [T].
type Snapshot struct {
	TrackingID string
	Server     string // what the node calls itself
	Identities []Identity
	Trusts     []TrustStore
	Revoked    int // entries of revokedCertificates, whose shape is not known
}

// Identity is what a service of the node serves as.
type Identity struct {
	Service Service
	Bundle         // the leaf first; nothing in it if the service has none
	CSR     string // PEM of a pending signing request, usually empty
}

// TrustStore is one store of a snapshot. Service is as the node wrote it;
// whether a real node writes tomcat or tomcat-trust there is not known, and
// Snapshot.Trust takes either.
type TrustStore struct {
	Service Service
	Bundle
}

// Identity finds what a service serves as.
func (s *Snapshot) Identity(service Service) (Identity, bool) {
	for _, i := range s.Identities {
		if strings.EqualFold(string(i.Service), string(service)) {
			return i, true
		}
	}
	return Identity{}, false
}

// Trust is the content of the store that the service's peers are checked
// against: that of tomcat-trust for tomcat and tomcat-ECDSA.
func (s *Snapshot) Trust(service Service) (Bundle, bool) {
	store, known := StoreOf(service)
	if !known {
		store = Store{TrustService: service, TrustStore: string(service) + "-trust"}
	}
	var out Bundle
	found := false
	for _, t := range s.Trusts {
		if strings.EqualFold(string(t.Service), string(store.TrustService)) || strings.EqualFold(string(t.Service), store.TrustStore) {
			out.add(t.Bundle)
			found = true
		}
	}
	return out, found
}

// Snapshot reads identities and trust stores in one request [T].
func (c *Client) Snapshot(ctx context.Context) (*Snapshot, error) {
	const op = "snapshot"
	a, err := c.get(ctx, op, pathSnapshot, "")
	if err != nil {
		return nil, err
	}
	s, err := parseSnapshot(a.body)
	if err != nil {
		return nil, c.malformed(op, a, err)
	}
	return s, nil
}

// Identity reads the certificate that a service serves as, with whatever chain
// the node stores with it [T].
func (c *Client) Identity(ctx context.Context, service Service) (Bundle, error) {
	op := "identity " + string(service)
	if err := service.check(); err != nil {
		return Bundle{}, err
	}
	a, err := c.get(ctx, op, pathIdentity, service)
	if err != nil {
		return Bundle{}, err
	}
	b, err := parseIdentity(a.body)
	if err != nil {
		return Bundle{}, c.malformed(op, a, err)
	}
	return b, nil
}

// Trust reads the trust store behind a service: tomcat-trust for tomcat and for
// tomcat-ECDSA [T]. An answer that holds no list is an error and not an empty
// store.
func (c *Client) Trust(ctx context.Context, service Service) (Bundle, error) {
	op := "trust " + string(service)
	if err := service.check(); err != nil {
		return Bundle{}, err
	}
	a, err := c.get(ctx, op, pathTrust, restService(service))
	if err != nil {
		return Bundle{}, err
	}
	b, err := parseTrust(a.body)
	if err != nil {
		return Bundle{}, c.malformed(op, a, err)
	}
	return b, nil
}

// Receipt is what a node said when it took certificates: that it did, not that
// anybody uses them. They reach the other nodes later (15 to 30 minutes), and
// ICSA reads them at its next start [V].
type Receipt struct {
	Status  int    // 200 or 201
	Message string // the node's words, cleaned; often empty
}

// AddTrust puts certificates into the trust store behind a service of this
// node [V]. Each text may hold several PEM certificates; they are sent one by
// one, in the order given, as this package read them: of text around them
// nothing is sent. Adding what is there already is harmless [I]. For a CA-signed
// server send its CA chain, never the leaf.
func (c *Client) AddTrust(ctx context.Context, service Service, pems []string, description string) (*Receipt, error) {
	const op = "add trust"
	if err := service.check(); err != nil {
		return nil, err
	}
	certs, err := readable(pems)
	if err != nil {
		return nil, err
	}
	if len(description) > maxDescription || description != clean(description, maxDescription) {
		return nil, &InputError{fmt.Sprintf("the description must be one line of at most %d bytes", maxDescription)}
	}
	in := addTrust{Service: []Service{restService(service)}, Description: description}
	size := 0
	for _, cert := range certs {
		text := Certificate{X509: cert}.PEM()
		size += len(text)
		in.Certificates = append(in.Certificates, text)
	}
	if size > maxAddedBytes {
		return nil, &InputError{fmt.Sprintf("certificates of %d bytes, at most %d", size, maxAddedBytes)}
	}
	body, err := json.Marshal(in)
	if err != nil {
		return nil, &InputError{err.Error()} // texts always marshal
	}
	a, err := c.exchange(ctx, request{op: op, method: http.MethodPost, path: pathAddTrust, body: body, write: true})
	if err != nil {
		return nil, incomplete(err, certs)
	}
	message, err := parseReceipt(a.body)
	if err != nil {
		return nil, c.malformed(op, a, err)
	}
	return &Receipt{Status: a.status, Message: message}, nil
}

// addTrust is the body of POST /trust/certificates; service is a list [V].
type addTrust struct {
	Service      []Service `json:"service"`
	Certificates []string  `json:"certificates"`
	Description  string    `json:"description"`
}

// readable takes the certificates out of PEM texts. Unlike a node's answers,
// what we send must be whole.
func readable(pems []string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for i, text := range pems {
		if b := parsePEM("", text); len(b.Unreadable) > 0 {
			return nil, &InputError{fmt.Sprintf("text %d: certificate %d: %s", i+1, b.Unreadable[0].Index+1, b.Unreadable[0].Reason)}
		} else if len(b.Certificates) == 0 {
			return nil, &InputError{fmt.Sprintf("text %d holds no certificate", i+1)}
		} else {
			for _, cert := range b.Certificates {
				out = append(out, cert.X509)
			}
		}
	}
	if len(out) == 0 || len(out) > maxAdded {
		return nil, &InputError{fmt.Sprintf("%d certificates: send 1 to %d", len(out), maxAdded)}
	}
	return out, nil
}

// Options asks what the node can do [T].
func (c *Client) Options(ctx context.Context) (*Options, error) {
	const op = "options"
	a, err := c.get(ctx, op, pathOptions, "")
	if err != nil {
		return nil, err
	}
	o, err := parseOptions(a.body)
	if err != nil {
		return nil, c.malformed(op, a, err)
	}
	return o, nil
}

// Probe tells whether the node has the interface: nil if it answers and takes
// the account, a *NotAvailable if it does not have it, any other error if that
// cannot be said. Options is no more than third-party evidence, so its absence
// alone proves nothing: the tomcat identity is asked for as well.
func (c *Client) Probe(ctx context.Context) error {
	_, err := c.Options(ctx)
	if soap.KindOf(err) != soap.NotFound {
		return err
	}
	_, err = c.Identity(ctx, Tomcat)
	return err
}

// PEM is the certificate as the interface and ca.pem write it.
func (c Certificate) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.X509.Raw}))
}

func (c *Client) get(ctx context.Context, op, path string, service Service) (*answer, error) {
	query := url.Values{}
	if service != "" {
		query.Set("service", string(service))
	}
	return c.exchange(ctx, request{op: op, method: http.MethodGet, path: path, query: query.Encode()})
}

// incomplete recognises the 400 that a node answers if a chain is not complete
// [V]. Its words are not documented, so it is told by what was sent: a
// certificate whose issuer was not sent along [I].
func incomplete(err error, sent []*x509.Certificate) error {
	var e *soap.Error
	if !errors.As(err, &e) || e.Kind != soap.Fault || e.Status != http.StatusBadRequest {
		return err
	}
	var missing []string
	seen := map[string]bool{}
	for _, cert := range sent {
		found := false
		for _, issuer := range sent {
			// Names only: whether the signature holds is the node's to say.
			found = found || string(issuer.RawSubject) == string(cert.RawIssuer)
		}
		if name := clean(cert.Issuer.String(), longestWords); !found && !seen[name] {
			seen[name] = true
			missing = append(missing, name)
		}
	}
	if missing == nil {
		return err
	}
	return &ChainError{Missing: missing, Cause: e}
}
