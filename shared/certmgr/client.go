package certmgr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"peerkeeper/shared/soap"
)

const (
	defaultTimeout   = 30 * time.Second
	defaultMaxAnswer = 16 << 20 // a store of some thousand certificates
	maxErrorBody     = 64 << 10
	maxWriteAnswer   = 1 << 20
)

// Client talks to one node. It is safe for concurrent use.
type Client struct {
	node      string
	wire      *soap.Transport
	timeout   time.Duration
	maxAnswer int64
}

// New makes the client of a node; nothing is dialled. The endpoint's Username
// and Password are those of the OS administrator (privilege 0 may read, 1 may
// write [V]), Address is host:port, port 443 by default. MaxAnswer 0 is 16 MiB.
// Trust, Now, Timeout and Transport mean what they mean to soap.
func New(e soap.Endpoint) *Client {
	if e.Address == "" {
		e.Address = net.JoinHostPort(e.Node, DefaultPort)
	}
	c := &Client{node: e.Node, wire: soap.NewTransport(e), timeout: e.Timeout, maxAnswer: e.MaxAnswer}
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
		return soap.Unknown(e)
	}
	return e
}

func (c *Client) exchange(ctx context.Context, req request) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	// Every request carries the password: no session is kept, so none can be stale.
	call := soap.Call{
		Op: req.op, Method: req.method, Path: base + req.path, Query: req.query, Body: req.body, Write: req.write,
		Header: http.Header{"Accept": {"application/json, text/plain, */*"}},
	}
	if req.write {
		call.Header.Set("Content-Type", "application/json")
	}
	resp, failure := c.wire.Do(ctx, call)
	switch {
	case failure != nil && !failure.Sent && errors.Is(failure, syscall.ECONNREFUSED):
		return nil, &NotAvailable{Node: c.node, Reason: ReasonRefused, Cause: failure}
	case failure != nil:
		return nil, failure
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && !(req.write && resp.StatusCode == http.StatusCreated) {
		return nil, c.refused(req, resp)
	}
	limit := c.maxAnswer
	if req.write {
		limit = min(limit, maxWriteAnswer)
	}
	tooBig := &soap.Error{Op: req.op, Node: c.node, Kind: soap.AnswerTooBig, Status: resp.StatusCode, Sent: true}
	var body []byte
	var err error
	if resp.ContentLength > limit {
		failure = tooBig
	} else if body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1)); err != nil {
		failure = c.wire.Cut(req.op, resp.StatusCode, err)
	} else if int64(len(body)) > limit {
		failure = tooBig
	}
	if failure != nil {
		if req.write {
			return nil, soap.Unknown(failure)
		}
		return nil, failure
	}
	return &answer{status: resp.StatusCode, write: req.write, body: body}, nil
}

// refused turns every status but success into an error.
func (c *Client) refused(req request, resp *http.Response) error {
	e := &soap.Error{Op: req.op, Node: c.node, Status: resp.StatusCode, Sent: true, RetryAfter: soap.RetryAfter(resp.Header)}
	if 300 <= resp.StatusCode && resp.StatusCode < 400 {
		e.Kind = soap.Redirected
		e.Cause = fmt.Errorf("to %q", clean(resp.Header.Get("Location"), longestWords))
		if req.write {
			return soap.Unknown(e) // who redirects is not documented to have done nothing
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
		return soap.Unknown(e)
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
