package logcollection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"peerkeeper/shared/plain"
	"peerkeeper/shared/soap"
)

const (
	defaultTimeout   = 60 * time.Second // clients in public allow 30 to 120 s for a file [T]
	defaultMaxAnswer = 24 << 20         // 16 MB of file as base64, and its envelope
	maxErrorBody     = 64 << 10
)

// Wire carries requests to one node as soap.Client does, and differs in two things: its answers may be anything, not SOAP alone, and its
// session is one per service, because a cookie of one of the two services makes the other one fail with status 500 [T]. It neither logs in twice
// with a password nor follows a redirect. It is safe for concurrent use.
type Wire struct {
	node      string
	transport *soap.Transport
	now       func() time.Time
	timeout   time.Duration
	maxAnswer int64

	mu       sync.Mutex
	sessions map[string][]*http.Cookie // by the service's path
}

// NewWire makes the wire of a node. Timeout of the endpoint is 60 s, and MaxAnswer 24 MiB, where they are 0. Nothing is dialled.
func NewWire(e soap.Endpoint) *Wire {
	w := &Wire{node: e.Node, transport: soap.NewTransport(e), now: e.Now, timeout: e.Timeout, maxAnswer: e.MaxAnswer, sessions: map[string][]*http.Cookie{}}
	if w.now == nil {
		w.now = time.Now
	}
	if w.timeout <= 0 {
		w.timeout = defaultTimeout
	}
	if w.maxAnswer <= 0 {
		w.maxAnswer = defaultMaxAnswer
	}
	return w
}

// Close lets idle connections go. The wire stays usable.
func (w *Wire) Close() { w.transport.Close() }

// Format, and with it every way of printing, shows the node and never the session.
func (w *Wire) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "logcollection.Wire(%s)", w.node) }

// Do carries one request. If the server no longer knows the session, it logs in again, once.
func (w *Wire) Do(ctx context.Context, req soap.Request) (*soap.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	session := w.session(req.Path)
	a, err := w.exchange(ctx, cancel, req, session)
	if err != nil && len(session) > 0 && (err.Status == http.StatusNotFound || err.Status == http.StatusUnauthorized) {
		w.remember(req.Path, nil)
		a, err = w.exchange(ctx, cancel, req, nil)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return a, nil
}

func (w *Wire) exchange(ctx context.Context, cancel context.CancelFunc, req soap.Request, session []*http.Cookie) (*soap.Answer, *soap.Error) {
	before := w.now()
	resp, failure := w.transport.Do(ctx, soap.Call{Op: req.Op, Method: http.MethodPost, Path: req.Path, Body: req.Body, Session: session, Header: http.Header{
		"Content-Type": {"text/xml; charset=utf-8"},
		"Accept":       {"text/xml, multipart/related, application/xop+xml, application/octet-stream, */*"},
		"Soapaction":   {req.Action},
	}})
	if failure != nil {
		return nil, failure
	}
	after := w.now()
	body := &capped{ctx: ctx, w: w, op: req.Op, status: resp.StatusCode, from: resp.Body, left: w.maxAnswer}
	if resp.StatusCode != http.StatusOK {
		failure := w.refusal(req, resp, body)
		_ = resp.Body.Close() // the failure is the news
		return nil, failure
	}
	if len(session) == 0 {
		w.remember(req.Path, resp.Cookies())
	}
	a := soap.NewAnswer(req, w.node, &answerBody{capped: body, cancel: cancel, close: resp.Body.Close})
	a.ContentType = resp.Header.Get("Content-Type")
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.Date = date
		a.Skew = date.Sub(before.Add(after.Sub(before) / 2))
	}
	return a, nil
}

// refusal types an answer that is not 200.
func (w *Wire) refusal(req soap.Request, resp *http.Response, body io.Reader) *soap.Error {
	e := &soap.Error{Op: req.Op, Node: w.node, Status: resp.StatusCode, Sent: true, RetryAfter: soap.RetryAfter(resp.Header)}
	if 300 <= resp.StatusCode && resp.StatusCode < 400 {
		e.Kind, e.Cause = soap.Redirected, fmt.Errorf("to %q", plain.Line(resp.Header.Get("Location"), 200))
		return e
	}
	// A fault may come in parts as well.
	page, readErr := rootXML(resp.Header.Get("Content-Type"), io.LimitReader(body, maxErrorBody), maxErrorBody)
	e.Cause = errors.New(statusText(resp.StatusCode))
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		e.Kind = soap.AccountRejected
	case http.StatusForbidden:
		e.Kind = soap.Forbidden
	case http.StatusNotFound:
		e.Kind = soap.NotFound // an HTML page of Tomcat: the service is not there
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		e.Kind = soap.Throttled
	default:
		e.Kind = soap.Fault
		if resp.StatusCode < 500 {
			e.Kind = soap.Malformed
		}
		var known *soap.Error
		if readErr != nil {
			if errors.As(readErr, &known) {
				return known
			}
			return e
		}
		if first, err := firstInBody(page); err == nil && first.Local == "Fault" {
			if errors.As(faultOf(&soap.Answer{Op: req.Op, Node: w.node}, page), &known) {
				known.Status, known.RetryAfter = resp.StatusCode, e.RetryAfter
				return known
			}
		}
	}
	return e
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return fmt.Sprintf("status %d", status)
}

func (w *Wire) session(path string) []*http.Cookie {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sessions[path]
}

// remember keeps the two cookies that make a session, whatever path they are good for: they are sent to the service that set them only.
func (w *Wire) remember(path string, cookies []*http.Cookie) {
	var kept []*http.Cookie
	for _, k := range cookies {
		if (k.Name == "JSESSIONID" || k.Name == "JSESSIONIDSSO") && k.Value != "" && k.MaxAge >= 0 {
			kept = append(kept, &http.Cookie{Name: k.Name, Value: k.Value})
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions[path] = kept
}

// answerBody ends the exchange when it is closed.
type answerBody struct {
	*capped
	cancel context.CancelFunc
	close  func() error
}

func (b *answerBody) Close() error {
	err := b.close()
	b.cancel()
	return err
}

// capped reads a response, gives its errors a type, and refuses to go beyond the cap.
type capped struct {
	ctx    context.Context // of the exchange: reading is part of it
	w      *Wire
	op     string
	status int
	from   io.Reader
	left   int64
	failed *soap.Error
}

func (b *capped) Read(p []byte) (int, error) {
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
		n, b.left = int(b.left), 0
		b.failed = &soap.Error{Op: b.op, Node: b.w.node, Kind: soap.AnswerTooBig, Status: b.status, Sent: true}
		return n, b.failed
	}
	b.left -= int64(n)
	// At the deadline net/http closes the connection, and the server may take that for the end of its answer and say so: after it no end is
	// believed. io.EOF itself is one, an EOF that is wrapped is a connection that was lost.
	if over := b.ctx.Err(); over != nil && err != nil {
		err = over
	}
	if err != nil && err != io.EOF {
		b.failed = b.w.transport.Cut(b.op, b.status, err)
		err = b.failed
	}
	return n, err
}
