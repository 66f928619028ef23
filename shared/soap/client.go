package soap

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"peerkeeper/shared/secret"
)

const (
	defaultTimeout   = 30 * time.Second
	defaultMaxAnswer = 32 << 20
	maxErrorBody     = 64 << 10 // of a fault or an HTML page
	maxWriteAnswer   = 1 << 20  // answers to writes are a line or two and are read whole before Do returns
)

// Endpoint is one node.
type Endpoint struct {
	Node string // node name: the Host header
	// TLSName is what the certificate must carry, a name or an IP address; "" is Node. Node will do as well: it is what the cluster
	// itself calls the server.
	TLSName  string
	Address  string // host:port dialled
	Trust    Trust
	Username string
	Password secret.Text
	// Shown is told the certificate of each handshake, whether it is trusted or not; nil tells nobody. It must not block.
	Shown func(leaf *x509.Certificate)
	// Now is the clock certificates and Skew are judged by; it may be virtual. nil is the wall clock. Network deadlines are wall time always.
	Now       func() time.Time
	Timeout   time.Duration // of one request from dialling to the last byte read; 0 is 30 s
	MaxAnswer int64         // bytes; 0 is 32 MiB
	// Transport replaces the network (an in-process simulator); Trust and Address's dialling are then its business. URLs carry Address,
	// the Host header the node name. Its *net.OpError with Op "dial", its *TrustError and its ctx errors of a context that was
	// done before mean "not sent"; any other error of a Write means that it may have been.
	Transport http.RoundTripper
}

// Client talks to one node. It is safe for concurrent use; Limit keeps it to one request at a time.
type Client struct {
	node      string
	wire      *Transport
	now       func() time.Time
	timeout   time.Duration
	maxAnswer int64

	mu      sync.Mutex
	cookies []cookie
}

// cookie is one of the two session cookies: JSESSIONIDSSO is good for the whole node, JSESSIONID for one web application.
type cookie struct{ name, value, path string }

// New makes the client of a node. Nothing is dialled.
func New(e Endpoint) *Client {
	c := &Client{node: e.Node, wire: NewTransport(e), now: e.Now, timeout: e.Timeout, maxAnswer: e.MaxAnswer}
	if c.now == nil {
		c.now = time.Now
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.maxAnswer <= 0 {
		c.maxAnswer = defaultMaxAnswer
	}
	return c
}

// Close lets idle connections go. The client stays usable.
func (c *Client) Close() { c.wire.Close() }

// Format, and with it every way of printing, shows the node and never the session.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "soap.Client(%s)", c.node) }

// LogValue is the node's name.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.node) }

// Do carries one request. A read rides on the session if there is one; if the server no longer knows it (404 as AXL documents,
// or 401 although no password was sent) it logs in again, once. A write always carries the password and never a cookie, so
// that there is no stale session which would make it necessary to send it again.
func (c *Client) Do(ctx context.Context, req Request) (*Answer, error) {
	if !strings.HasPrefix(req.Path, "/") {
		return nil, &Error{Op: req.Op, Node: c.node, Kind: Malformed, Cause: fmt.Errorf("request path %q does not start with a slash", req.Path)}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	var session []cookie
	if !req.Write {
		session = c.session(req.Path)
	}
	a, err := c.exchange(ctx, cancel, req, session)
	if err != nil && len(session) > 0 && (err.Status == http.StatusNotFound || err.Status == http.StatusUnauthorized) {
		c.forget(session)
		a, err = c.exchange(ctx, cancel, req, nil)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return a, nil
}

func (c *Client) exchange(ctx context.Context, cancel context.CancelFunc, req Request, session []cookie) (*Answer, *Error) {
	call := Call{Op: req.Op, Method: http.MethodPost, Path: req.Path, Body: req.Body, Write: req.Write, Header: http.Header{
		"Content-Type": {"text/xml; charset=utf-8"},
		"Accept":       {"text/xml"},
		"Soapaction":   {req.Action},
	}}
	for _, k := range session {
		call.Session = append(call.Session, &http.Cookie{Name: k.name, Value: k.value})
	}
	before := c.now()
	resp, failure := c.wire.Do(ctx, call)
	if failure != nil {
		return nil, failure
	}
	after := c.now()
	body := &cappedBody{c: c, req: req, status: resp.StatusCode, from: resp.Body, left: c.maxAnswer}
	if len(session) == 0 && resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusNotFound {
		c.remember(resp, req.Path)
	}
	a, failure := c.judge(req, resp, body)
	if failure != nil {
		_ = resp.Body.Close() // the failure is the news
		if req.Write && !refusal(failure) {
			failure = Unknown(failure)
		}
		return nil, failure
	}
	a.TLS = resp.TLS
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.Date = date
		a.Skew = date.Sub(before.Add(after.Sub(before) / 2))
	}
	a.close = func() error {
		err := resp.Body.Close()
		cancel()
		return err
	}
	return a, nil
}

// refusal tells whether a failed write was certainly refused: AXL or Tomcat's door said no, or a complete fault came back. 404 is
// not among them: that it means "not activated" is only believed, not documented.
func refusal(e *Error) bool {
	switch e.Kind {
	case AccountRejected, Forbidden, VersionRefused, Fault, TooLarge, MemoryFull, RateExceeded:
		return true
	case Throttled:
		return e.Status == http.StatusServiceUnavailable
	}
	return false
}

// judge turns a response into an answer or an error.
func (c *Client) judge(req Request, resp *http.Response, body *cappedBody) (*Answer, *Error) {
	e := &Error{Op: req.Op, Node: c.node, Status: resp.StatusCode, Sent: true}
	if resp.StatusCode == http.StatusOK {
		return c.accept(req, resp, body)
	}
	if 300 <= resp.StatusCode && resp.StatusCode < 400 {
		e.Kind = Redirected
		e.Cause = fmt.Errorf("to %q", plainText(resp.Header.Get("Location")))
		return nil, e
	}
	page, readErr := io.ReadAll(io.LimitReader(body, maxErrorBody))
	e.RetryAfter = RetryAfter(resp.Header)
	e.Cause = errors.New(statusText(page, resp.StatusCode))
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		e.Kind = AccountRejected
	case http.StatusForbidden:
		e.Kind = Forbidden
	case http.StatusNotFound:
		e.Kind = NotFound
	case http.StatusServiceUnavailable, http.StatusTooManyRequests: // 429 is not documented for these servers
		e.Kind = Throttled
	case 599: // AXL's own
		e.Kind = VersionRefused
		e.Supported = supportedVersions(string(page))
	default:
		var ignore struct{}
		f, err := decodeEnvelope(bytes.NewReader(page), "Fault", &ignore)
		switch {
		case readErr == nil && err == nil && f != nil:
			f := f.err(req.Op, c.node, resp.StatusCode)
			f.RetryAfter = e.RetryAfter
			return nil, f
		case readErr != nil:
			return nil, c.wire.Cut(req.Op, resp.StatusCode, readErr)
		case resp.StatusCode >= 500:
			// A page instead of a fault: a refusal for a read, but for a write nobody can say how far it went.
			e.Kind = Fault
			if req.Write {
				e.Kind = Malformed
			}
		default:
			e.Kind = Malformed
		}
	}
	return nil, e
}

// accept looks into a 200 answer: a fault may hide in it (observed with older servlets), or something that is not SOAP at all.
func (c *Client) accept(req Request, resp *http.Response, body *cappedBody) (*Answer, *Error) {
	a := &Answer{Op: req.Op, Node: c.node, write: req.Write}
	malformed := func(cause error) *Error {
		return &Error{Op: req.Op, Node: c.node, Kind: Malformed, Status: resp.StatusCode, Sent: true, Cause: cause}
	}
	if req.Write {
		body.left = min(body.left, maxWriteAnswer)
	}
	if resp.ContentLength > body.left {
		return nil, body.tooBig()
	}
	if req.Write { // whole, or its outcome is unknown
		whole, err := io.ReadAll(body)
		if err != nil {
			return nil, c.wire.Cut(req.Op, resp.StatusCode, err)
		}
		var ignore struct{}
		f, err := decodeEnvelope(bytes.NewReader(whole), req.Op+"Response", &ignore)
		switch {
		case err != nil:
			return nil, malformed(fmt.Errorf("%w: %s", err, statusText(whole, resp.StatusCode)))
		case f != nil:
			return nil, f.err(req.Op, c.node, resp.StatusCode)
		}
		a.Body = bytes.NewReader(whole)
		return a, nil
	}
	r := bufio.NewReaderSize(body, 8<<10)
	a.Body = r
	for _, n := range []int{512, 2 << 10, 8 << 10} {
		prefix, readErr := r.Peek(n)
		if readErr != nil && !errors.Is(readErr, io.EOF) {
			return nil, c.wire.Cut(req.Op, resp.StatusCode, readErr)
		}
		first, err := opening(prefix)
		switch {
		case err != nil:
			return nil, malformed(fmt.Errorf("%w: %s", err, statusText(prefix, resp.StatusCode)))
		case first == "Fault":
			var ignore struct{}
			f, err := decodeEnvelope(io.LimitReader(r, maxErrorBody), "Fault", &ignore)
			if err != nil {
				return nil, c.wire.Cut(req.Op, resp.StatusCode, err)
			}
			return nil, f.err(req.Op, c.node, resp.StatusCode)
		case first != "":
			return a, nil
		case readErr != nil: // the whole answer is in prefix, and it never came to a Body
			return nil, malformed(fmt.Errorf("no SOAP envelope: %s", statusText(prefix, resp.StatusCode)))
		}
	}
	return a, nil // a long Header: the decoder of the answer will see
}

func statusText(page []byte, status int) string {
	if text := plainText(string(page)); text != "" {
		return text
	}
	if text := http.StatusText(status); text != "" && status != http.StatusOK {
		return text
	}
	return "an empty body"
}

// cappedBody reads a response, gives its errors a type, and refuses to go beyond the cap.
type cappedBody struct {
	c      *Client
	req    Request
	status int
	from   io.Reader
	left   int64
	failed *Error
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.failed
	}
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more than allowed, to tell "exactly the cap" from "more"
	}
	n, err := b.from.Read(p)
	if int64(n) > b.left {
		n = int(b.left)
		b.left = 0
		b.failed = b.tooBig()
		return n, b.failed
	}
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.failed = b.c.wire.Cut(b.req.Op, b.status, err)
		return n, b.failed
	}
	if err != nil {
		err = io.EOF
	}
	return n, err
}

func (b *cappedBody) tooBig() *Error {
	return &Error{Op: b.req.Op, Node: b.c.node, Kind: AnswerTooBig, Status: b.status, Sent: true}
}

// session returns the cookies to send to path: none unless one of them stands for a log-in there.
func (c *Client) session(path string) []cookie {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []cookie
	for _, k := range c.cookies {
		if k.path == "/" || path == k.path || strings.HasPrefix(path, strings.TrimSuffix(k.path, "/")+"/") {
			out = append(out, k)
		}
	}
	return out
}

func (c *Client) remember(resp *http.Response, path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range resp.Cookies() {
		if k.Name != "JSESSIONIDSSO" && k.Name != "JSESSIONID" {
			continue
		}
		at := k.Path
		if !strings.HasPrefix(at, "/") {
			at = path[:strings.LastIndexByte(path, '/')+1]
		}
		kept := c.cookies[:0:0]
		for _, old := range c.cookies {
			if old.name != k.Name || old.path != at {
				kept = append(kept, old)
			}
		}
		// Expires is not looked at: an expired session answers 404, and that is handled.
		if k.Value != "" && k.MaxAge >= 0 {
			kept = append(kept, cookie{name: k.Name, value: k.Value, path: at})
		}
		c.cookies = kept
	}
}

// forget drops the cookies of a dead session, unless somebody has logged in again meanwhile.
func (c *Client) forget(session []cookie) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.cookies[:0:0]
	for _, k := range c.cookies {
		dead := false
		for _, s := range session {
			dead = dead || k == s
		}
		if !dead {
			kept = append(kept, k)
		}
	}
	c.cookies = kept
}
