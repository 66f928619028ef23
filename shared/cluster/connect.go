// Package cluster is one IM and Presence cluster seen through its protocols:
// what can be asked of it (capabilities), in which words (dialect), and what
// it answered (observations).
//
// It never judges and never stores. It logs in with the read account only, and
// once with an account that a person types to have it tried; it verifies every
// server before a credential leaves, asks each node one thing
// at a time, and after a rejected log-in asks that cluster nothing more. An
// answer that did not arrive whole is Partial or Unknown, never a smaller
// number.
package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"peerkeeper/shared/axl"
	"peerkeeper/shared/controlcenter"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/pemfile"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap"
)

// longestBackoff is the longest wait that a node may ask for between two attempts:
// with three of them, less than half of what peersync gives a cluster.
const longestBackoff = 10 * time.Second

// answersInFlight bounds the bytes of answers held over all clusters.
const answersInFlight = 64 << 20

// Connector opens clusters and keeps what may be kept between ticks: sessions,
// connections and learned page sizes.
type Connector struct {
	Dialect Dialect
	Secrets secret.Source
	Now     func() time.Time // certificates are judged by it; may be virtual
	Log     *slog.Logger
	// Timeout is one request's deadline on the wall clock; 0 means 30 s.
	Timeout time.Duration
	// Backoff is the first wait after a refusal that passes (503, memory,
	// rate); 0 means soap's default.
	Backoff time.Duration
	// Transport replaces the network by an in-process simulator; nil dials.
	Transport http.RoundTripper

	mu          sync.Mutex
	open        map[mesh.ClusterID]*Client
	controllers map[mesh.ClusterID]*ServiceController
	flights     map[mesh.NodeName]*soap.Flight
	budget      *soap.Budget // of all flights
}

// flight is a node's one slot, shared by every account that logs in to it.
// The caller holds the lock.
func (c *Connector) flight(name mesh.NodeName) *soap.Flight {
	if c.flights == nil {
		c.flights, c.budget = map[mesh.NodeName]*soap.Flight{}, soap.NewBudget(answersInFlight)
	}
	if c.flights[name] == nil {
		c.flights[name] = soap.NewFlight(c.budget)
	}
	return c.flights[name]
}

// Client is one cluster opened with one version of its credentials.
type Client struct {
	cluster *mesh.Cluster
	account mesh.Account
	dialect Dialect
	log     *slog.Logger
	now     func() time.Time
	nodes   map[mesh.NodeName]*node
	cucm    *node
	login   atomic.Pointer[secret.Login] // the newest, of the same version
	pins    []string
	counter *soap.Counter
	leaves  shownLeaves
	// axlVersion is what is spoken unless a node was found to take another.
	axlVersion string
	// noVersion says that AXL here does not know the question for a release.
	noVersion atomic.Bool
}

// node is one server's clients. They share one slot: a node is asked one
// thing at a time.
type node struct {
	mesh.Node
	wire    *soap.Client
	axl     *axl.Client
	control *controlcenter.Client
	skew    *skewMeter
	log     nodeLog

	patience soap.RetryPolicy // how often, and after what waits, a read of it is tried again, whatever is asked

	pages    sync.Mutex // one stream of rows at a time, which also guards pageSize
	pageSize axl.PageSize
}

// Refused says why a cluster was not even asked.
type Refused struct {
	Reason  peer.Reason
	Message string
	Cause   error
}

func (e *Refused) Error() string { return e.Message }

// Unwrap gives the cause, if there is one.
func (e *Refused) Unwrap() error { return e.Cause }

// Open gives the client of a cluster. It heeds what guard knows of its account,
// and notes there at once that AXL or Control Center refused it. pins are
// accepted at run time, besides those of mesh.yaml. Errors are *Refused, or the
// guard's where nobody knows whether the account was refused.
func (c *Connector) Open(ctx context.Context, cl *mesh.Cluster, guard secret.Guard, pins map[mesh.NodeName][]string) (*Client, error) {
	login, err := logIn(ctx, c.Secrets, cl, mesh.ReadAccount, guard)
	if err != nil {
		return nil, err
	}
	trust, all, err := trustOf(cl, pins)
	if err != nil {
		return nil, &Refused{peer.ServerCertificateUntrusted, err.Error(), err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if had := c.open[cl.ID]; had != nil && had.takes(login, all) {
		return had, nil
	}
	if c.open == nil {
		c.open = map[mesh.ClusterID]*Client{}
	}
	if had := c.open[cl.ID]; had != nil {
		had.Close()
	}
	client := c.build(cl, mesh.ReadAccount, login, trust)
	client.pins = all
	c.open[cl.ID] = client
	return client, nil
}

// Counts are the requests and bytes to all clusters that are open.
func (c *Connector) Counts() soap.Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sum soap.Counts
	for _, client := range c.open {
		n := client.Counts()
		sum.Requests += n.Requests
		sum.Writes += n.Writes
		sum.Failures += n.Failures
		sum.Sent += n.Sent
		sum.Received += n.Received
	}
	return sum
}

// Drop forgets a cluster's client after a panic inside it, with the slots of
// its nodes: a request that panicked has not given its slot back, and the next
// one would wait for it for ever.
func (c *Connector) Drop(cl *mesh.Cluster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if had := c.open[cl.ID]; had != nil {
		had.Close()
	}
	delete(c.open, cl.ID)
	delete(c.controllers, cl.ID)
	for _, n := range cl.Nodes {
		delete(c.flights, n.Name)
	}
	if cl.CUCM != nil {
		delete(c.flights, cl.CUCM.Name)
	}
}

func trustOf(cl *mesh.Cluster, pins map[mesh.NodeName][]string) (soap.Trust, []string, error) {
	all := slices.Clone(cl.TLS.Pins)
	for _, n := range cl.Nodes {
		all = append(all, pins[n.Name]...)
	}
	t := soap.Trust{Pins: all}
	if cl.TLS.CA != "" {
		t.Roots = x509.NewCertPool()
		cas := pemfile.Certificates([]byte(cl.TLS.CA))
		if len(cas) == 0 {
			return t, nil, fmt.Errorf("tls.ca of %s holds no certificate", cl.ID)
		}
		for _, ca := range cas {
			t.Roots.AddCert(ca)
		}
	}
	return t, all, nil
}

func (c *Connector) build(cl *mesh.Cluster, a mesh.Account, login *secret.Login, trust soap.Trust) *Client {
	client := &Client{cluster: cl, dialect: c.Dialect, log: c.Log, now: c.Now, nodes: map[mesh.NodeName]*node{}, account: a, counter: &soap.Counter{}}
	client.login.Store(login)
	version := axlVersion(cl.Release)
	client.axlVersion = version
	make1 := func(n mesh.Node) *node {
		endpoint := soap.Endpoint{
			Node: string(n.Name), TLSName: n.ServerName(), Address: n.Address, Trust: trust,
			Username: login.Username, Password: login.Password,
			Now: c.Now, Timeout: c.Timeout, Transport: c.Transport,
		}
		endpoint.Shown = func(leaf *x509.Certificate) { client.shown(n.Name, leaf) }
		wire := soap.New(endpoint)
		report := func(e soap.Event) { client.counter.Add(e) }
		if c.Log != nil {
			logged := soap.LogTo(c.Log)
			report = func(e soap.Event) { client.counter.Add(e); logged(e) }
		}
		asked := soap.Trace(wire, report)
		if cl.CUCM == nil || n.Name != cl.CUCM.Name { // what that refuses stands in probe's report
			asked = heeding{asked, client, n.Name}
		}
		skew := &skewMeter{next: soap.Limit(asked, c.flight(n.Name))}
		// MemoryFull is left out: AXL's pool is shared with the ICSAs, and
		// asking again would take from them what they need.
		patience := soap.RetryPolicy{Base: c.Backoff, Max: longestBackoff, Kinds: []soap.Kind{soap.Throttled, soap.RateExceeded}}
		t := soap.Retry(skew, patience)
		log := nodeLog{endpoint: endpoint, limited: func(rt soap.RoundTripper) soap.RoundTripper {
			return soap.Limit(soap.Trace(rt, report), c.flight(n.Name))
		}}
		return &node{Node: n, log: log, patience: patience, wire: wire, skew: skew, axl: axl.New(t, version), control: controlcenter.New(t)}
	}
	for _, n := range cl.Nodes {
		client.nodes[n.Name] = make1(n)
	}
	if cl.CUCM != nil {
		client.cucm = make1(*cl.CUCM)
	}
	return client
}

// axlVersion is the AXL version that belongs to a declared release: its first
// two numbers. AXL answers two majors back, and a refusal names what it takes.
func axlVersion(release string) string {
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 2 {
		return "14.0"
	}
	minor := parts[1]
	if i := strings.IndexFunc(minor, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		minor = minor[:i]
	}
	return parts[0] + "." + minor
}

// Close lets idle connections go.
func (c *Client) Close() {
	for _, n := range c.nodes {
		n.wire.Close()
	}
	if c.cucm != nil {
		c.cucm.wire.Close()
	}
}

// takes reports whether a client opened earlier logs in as login would, trusting
// the same; it takes it, then, to note refusals by.
func (c *Client) takes(login *secret.Login, pins []string) bool {
	if c.login.Load().Version != login.Version || !slices.Equal(c.pins, pins) {
		return false
	}
	c.login.Store(login)
	return true
}

// Unnoted is why it could not be noted that the account was refused, if it could
// not.
func (c *Client) Unnoted() error { return c.login.Load().Unnoted() }

// Counts are the requests and bytes since the client was opened.
func (c *Client) Counts() soap.Counts { return c.counter.Counts() }

// publisher is the node that holds the database publisher.
func (c *Client) publisher() *node { return c.nodes[c.cluster.Publisher] }

// skewMeter remembers how far a node's HTTP Date is from our clock, and what is
// wrong with the connection to it.
type skewMeter struct {
	next soap.RoundTripper
	mu   sync.Mutex
	skew time.Duration
	read bool
	weak []peer.Reason // of the newest connection
}

// Do carries the request and notes the answer's skew and its connection.
func (s *skewMeter) Do(ctx context.Context, req soap.Request) (*soap.Answer, error) {
	a, err := s.next.Do(ctx, req)
	if err == nil {
		s.mu.Lock()
		s.weak = weaknesses(a.TLS)
		s.mu.Unlock()
	}
	if err == nil && !a.Date.IsZero() {
		s.mu.Lock()
		s.skew, s.read = a.Skew, true
		s.mu.Unlock()
	}
	return a, err
}

// weaknesses is what is wrong with a connection that came about.
func weaknesses(c *tls.ConnectionState) []peer.Reason {
	var out []peer.Reason
	if soap.RSAKeyExchange(c) {
		out = append(out, peer.RSAKeyExchangeOnly)
	}
	if c != nil && len(c.PeerCertificates) > 0 && c.PeerCertificates[0].SerialNumber.Sign() < 0 {
		out = append(out, peer.NegativeSerialNumber)
	}
	return out
}

func (s *skewMeter) remarks() []peer.Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.weak
}

// forget starts again: a skew is as old as the answer it came with.
func (s *skewMeter) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew, s.read = 0, false
}

func (s *skewMeter) get() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.skew, s.read
}

// reasonOf turns a protocol error into the reason of an Unknown fact.
func reasonOf(err error) peer.Reason {
	if why, _, ok := refusedTLS(err); ok {
		return why
	}
	switch soap.KindOf(err) {
	case soap.ConnectionLost:
		return peer.ConnectionClosed
	case soap.Unreachable:
		return peer.CannotConnect
	case soap.Timeout, soap.Cancelled:
		return peer.TimedOut
	case soap.Untrusted:
		return peer.ServerCertificateUntrusted
	case soap.AccountRejected:
		return peer.AccountRejected
	case soap.Forbidden:
		return peer.Forbidden
	case soap.NotFound:
		return peer.ServiceNotActive
	case soap.Throttled, soap.MemoryFull, soap.RateExceeded, soap.TooLarge:
		return peer.Overloaded
	case soap.VersionRefused:
		return peer.AXLVersionRefused
	case soap.Fault:
		return peer.QueryRefused
	}
	var refused *Refused
	if errors.As(err, &refused) {
		return refused.Reason
	}
	return peer.UnreadableAnswer
}
