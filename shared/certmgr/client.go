package certmgr

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"peerkeeper/shared/soap"
)

const (
	defaultTimeout   = 30 * time.Second
	defaultMaxAnswer = 16 << 20 // a store of some thousand certificates
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 30 * time.Second
	maxHeader        = 64 << 10
	maxErrorBody     = 64 << 10
	maxWriteAnswer   = 1 << 20
)

// Client talks to one node. It is safe for concurrent use.
type Client struct {
	node, address string
	name          string              // Host header
	basic         func(*http.Request) // a closure, because fmt prints the fields of structs but not what a closure holds
	timeout       time.Duration
	maxAnswer     int64
	reads, writes http.RoundTripper
	ownTransport  bool
	idle          func()
}

// New makes the client of a node; nothing is dialled. The endpoint's Username
// and Password are those of the OS administrator (privilege 0 may read, 1 may
// write [V]), Address is host:port, port 443 by default. MaxAnswer 0 is 16 MiB.
// Trust, Now, Timeout and Transport mean what they mean to soap.
func New(e soap.Endpoint) *Client {
	c := &Client{node: e.Node, address: e.Address, name: e.Node, timeout: e.Timeout, maxAnswer: e.MaxAnswer, idle: func() {}}
	if c.address == "" {
		c.address = net.JoinHostPort(e.Node, DefaultPort)
	}
	if _, port, err := net.SplitHostPort(c.address); err == nil {
		c.name = net.JoinHostPort(e.Node, port)
	}
	username, password := e.Username, e.Password
	c.basic = func(r *http.Request) { r.SetBasicAuth(username, password.Reveal()) }
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.maxAnswer <= 0 {
		c.maxAnswer = defaultMaxAnswer
	}
	if e.Transport != nil {
		c.reads, c.writes = e.Transport, e.Transport
		return c
	}
	now := e.Now
	if now == nil {
		now = time.Now
	}
	reads, writes := transport(e, now), transport(e, now)
	// net/http resends by itself when a reused connection turns out dead; a write
	// therefore never reuses one.
	writes.DisableKeepAlives = true
	c.reads, c.writes, c.ownTransport = reads, writes, true
	c.idle = func() { reads.CloseIdleConnections(); writes.CloseIdleConnections() }
	return c
}

func transport(e soap.Endpoint, now func() time.Time) *http.Transport {
	return &http.Transport{
		Proxy: nil, // never HTTPS_PROXY: the password is for the node alone
		TLSClientConfig: &tls.Config{
			ServerName: e.Node,
			MinVersion: tls.VersionTLS12,
			// Replaced, not dropped: crypto/tls knows neither the injected clock nor
			// pins. VerifyConnection runs in every handshake, before the first byte of
			// HTTP, and without tickets every connection shows its certificate.
			InsecureSkipVerify: true,
			VerifyConnection: func(s tls.ConnectionState) error {
				return e.Trust.Verify(s.PeerCertificates, e.Node, now())
			},
			SessionTicketsDisabled: true,
		},
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true,                                                   // the caps count what was received, and nothing can unfold
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1, as Tomcat speaks it here
	}
}

// Node is the node's name.
func (c *Client) Node() string { return c.node }

// Close lets idle connections go. The client stays usable.
func (c *Client) Close() { c.idle() }

// Format, and with it every way of printing, shows the node alone.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "certmgr.Client(%s)", c.node) }

// LogValue is the node's name.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.node) }

type request struct {
	op, method  string
	path, query string // path below base
	body        []byte
	write       bool
}

// answer is a 200 or 201, whole.
type answer struct {
	status int
	write  bool
	body   []byte
}

// malformed is the error for an answer that came whole and cannot be
// understood. After a write that is an unknown outcome.
func (c *Client) malformed(op string, a *answer, cause error) error {
	e := &soap.Error{Op: op, Node: c.node, Kind: soap.Malformed, Status: a.status, Sent: true, Cause: cause}
	if a.write {
		return unknown(e)
	}
	return e
}

// unknown keeps the failure as the cause of OutcomeUnknown.
func unknown(e *soap.Error) *soap.Error {
	return &soap.Error{Op: e.Op, Node: e.Node, Kind: soap.OutcomeUnknown, Code: e.Code, Status: e.Status, Sent: true, RetryAfter: e.RetryAfter, Cause: e}
}

// once is a body that net/http cannot rewind.
type once struct{ r *bytes.Reader }

func (o once) Read(p []byte) (int, error) { return o.r.Read(p) }
func (o once) Close() error               { return nil }

func (c *Client) exchange(ctx context.Context, req request) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var sent, answered atomic.Bool
	fail := func(err error) error { return c.failed(req, sent.Load(), answered.Load(), err) }
	if err := ctx.Err(); err != nil {
		return nil, fail(err)
	}
	hooks := &httptrace.ClientTrace{
		// The certificate is verified, and from here on bytes may leave.
		GotConn:              func(httptrace.GotConnInfo) { sent.Store(true) },
		GotFirstResponseByte: func() { answered.Store(true) },
	}
	target := &url.URL{Scheme: "https", Host: c.address, Path: base + req.path, RawQuery: req.query}
	out, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, hooks), req.method, target.String(), http.NoBody)
	if err != nil {
		return nil, fail(err)
	}
	out.Host = c.name
	out.Header.Set("Accept", "application/json, text/plain, */*")
	out.Header.Set("User-Agent", "peerkeeper")
	c.basic(out) // always: no session is kept, so none can be stale
	via := c.reads
	if req.write {
		via = c.writes
		out.Header.Set("Content-Type", "application/json")
		out.Body, out.GetBody, out.ContentLength = once{bytes.NewReader(req.body)}, nil, int64(len(req.body))
	}
	if !c.ownTransport {
		sent.Store(true)
	}
	resp, err := via.RoundTrip(out) // not Do: that would follow redirects
	if err != nil {
		return nil, fail(err)
	}
	defer resp.Body.Close()
	sent.Store(true)
	answered.Store(true)
	if resp.StatusCode != http.StatusOK && !(req.write && resp.StatusCode == http.StatusCreated) {
		return nil, c.refused(req, resp)
	}
	limit := c.maxAnswer
	if req.write {
		limit = min(limit, maxWriteAnswer)
	}
	tooBig := &soap.Error{Op: req.op, Node: c.node, Kind: soap.AnswerTooBig, Status: resp.StatusCode, Sent: true}
	var failure *soap.Error
	var body []byte
	if resp.ContentLength > limit {
		failure = tooBig
	} else if body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1)); err != nil {
		failure = c.cut(req, resp.StatusCode, err)
	} else if int64(len(body)) > limit {
		failure = tooBig
	}
	if failure != nil {
		if req.write {
			return nil, unknown(failure)
		}
		return nil, failure
	}
	return &answer{status: resp.StatusCode, write: req.write, body: body}, nil
}

// refused turns every status but success into an error.
func (c *Client) refused(req request, resp *http.Response) error {
	e := &soap.Error{Op: req.op, Node: c.node, Status: resp.StatusCode, Sent: true, RetryAfter: retryAfter(resp.Header)}
	if 300 <= resp.StatusCode && resp.StatusCode < 400 {
		e.Kind = soap.Redirected
		e.Cause = fmt.Errorf("to %q", clean(resp.Header.Get("Location"), longestWords))
		if req.write {
			return unknown(e) // who redirects is not documented to have done nothing
		}
		return e
	}
	page, readErr := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	said := wordsOf(page)
	e.Cause = errors.New(said)
	if said == "" {
		e.Cause = errors.New(describe(page))
	}
	certain := true // that a write was not carried out
	switch status := resp.StatusCode; {
	case status == http.StatusUnauthorized:
		e.Kind = soap.AccountRejected
	case status == http.StatusForbidden:
		e.Kind = soap.Forbidden
	case status == http.StatusNotFound:
		e.Kind = soap.NotFound
		if said == "" { // the web server spoke, not the interface
			return &NotAvailable{Node: c.node, Reason: ReasonNoSuchPath, Cause: e}
		}
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		e.Kind = soap.Throttled
		certain = status == http.StatusServiceUnavailable
	case 400 <= status && status < 500:
		e.Kind = soap.Fault
		certain = readErr == nil
	case status >= 500:
		e.Kind, certain = soap.Fault, false
	default: // 2xx that is not documented, 1xx that should not arrive here
		e.Kind, certain = soap.Malformed, false
	}
	if req.write && !certain {
		return unknown(e)
	}
	return e
}

// describe says what a body is that holds no words of the interface; it does
// not repeat it.
func describe(body []byte) string {
	switch body = bytes.TrimSpace(body); {
	case len(body) == 0:
		return "an empty body"
	case body[0] == '<':
		return "a page"
	}
	return "a body without a message"
}

// retryAfter is the wait a server asks for in seconds.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(h.Get("Retry-After")))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 24*60*60)) * time.Second
}

// failed types an error that came instead of a response.
func (c *Client) failed(req request, sent, answered bool, err error) error {
	e := &soap.Error{Op: req.op, Node: c.node, Sent: sent, Cause: err}
	var trust *soap.TrustError
	var dial *net.OpError
	switch {
	case errors.As(err, &trust):
		e.Kind, e.Sent = soap.Untrusted, false
	case errors.Is(err, context.Canceled):
		e.Kind = soap.Cancelled
	case isTimeout(err):
		e.Kind = soap.Timeout
	case answered && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		e.Kind = soap.Malformed
	default:
		e.Kind = soap.Unreachable
	}
	if errors.As(err, &dial) && dial.Op == "dial" {
		e.Sent = false
		if errors.Is(err, syscall.ECONNREFUSED) {
			return &NotAvailable{Node: c.node, Reason: ReasonRefused, Cause: e}
		}
	}
	if req.write && e.Sent {
		return unknown(e)
	}
	return e
}

// cut types an error met while reading an answer.
func (c *Client) cut(req request, status int, err error) *soap.Error {
	e := &soap.Error{Op: req.op, Node: c.node, Kind: soap.Malformed, Status: status, Sent: true, Cause: err}
	switch {
	case errors.Is(err, context.Canceled):
		e.Kind = soap.Cancelled
	case isTimeout(err):
		e.Kind = soap.Timeout
	}
	return e
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}
