// Package soap carries one SOAP 1.1 request to one node and brings the answer back, or says exactly what went wrong.
//
// It owns the connection: TLS that is verified before a credential leaves, the session cookie, deadlines, caps on everything
// a server may send, and the translation of every kind of failure (dial, certificate, HTTP status with an HTML page, SOAP fault,
// cut answer) into one typed Error. It knows no operation: AXL and Control Center are its callers.
//
// It never follows a redirect, never uses a proxy, never sends a write twice, and never lets a cut answer look complete.
//
// Failure promise: every error is an *Error. For a Write its Kind is OutcomeUnknown unless it is certain that the server did
// not get the request or refused it; Error.Sent says whether a request byte may have left.
//
// Retry, Trace and Limit are wrappers around the same one-method interface. The intended order is
// Retry(Limit(Trace(New(endpoint)))): a retry that waits holds neither the node's slot nor any bytes.
package soap

import (
	"context"
	"crypto/tls"
	"io"
	"time"
)

// Request is one SOAP exchange. Build Body with Envelope.
type Request struct {
	Op     string // operation, for messages: executeSQLQuery
	Path   string // /axl/
	Action string // SOAPAction header value, verbatim; AXL's own quotes are part of it (vendor document)
	Body   []byte
	Write  bool // changes the cluster: may never be sent twice
}

// RoundTripper carries one request. A non-nil Answer must be closed.
type RoundTripper interface {
	Do(ctx context.Context, req Request) (*Answer, error)
}

// Answer is a 200 answer that is not a fault, as far as its first bytes tell. Close it, always: until then it occupies the
// node's slot and the connection.
type Answer struct {
	Op, Node string
	// Body is capped: beyond Endpoint.MaxAnswer a read fails with Kind AnswerTooBig, and a body cut short fails too. Its errors are *Error.
	// A server that closes instead of counting can still cut a body without a transport error, so a reader must see </Envelope>.
	Body io.Reader
	// Date is the server's HTTP Date, zero if it sent none; its resolution is one second.
	Date time.Time
	// Skew is Date minus our clock (Endpoint.Now) at the middle of the exchange: positive means that the server is ahead. Zero if Date is.
	Skew time.Duration
	// ContentType is that of the answer where its maker kept it: a client whose answers come in parts needs it. Else "".
	ContentType string
	// TLS is the connection that it came over; nil where there was none of ours.
	TLS *tls.ConnectionState

	write bool
	close func() error
}

// NewAnswer makes an answer to req from a body; for those that implement RoundTripper themselves.
func NewAnswer(req Request, node string, body io.ReadCloser) *Answer {
	return &Answer{Op: req.Op, Node: node, Body: body, write: req.Write, close: body.Close}
}

// Close gives the connection and any slot back. It may be called more than once.
func (a *Answer) Close() error {
	if a.close == nil {
		return nil
	}
	c := a.close
	a.close = nil
	return c()
}

// Malformed is the error for an answer that arrived whole but cannot be understood. For a Write that is OutcomeUnknown: the
// server did something and we cannot say what.
func (a *Answer) Malformed(cause error) *Error {
	e := &Error{Op: a.Op, Node: a.Node, Kind: Malformed, Status: 200, Sent: true, Cause: cause}
	if a.write {
		return Unknown(e)
	}
	return e
}

// Decode reads the answer to its end and decodes the element <op>Response inside the SOAP Body into v (encoding/xml rules; tags
// without a name space match any). It fails on faults, on anything but a complete envelope, on document types and on deep nesting.
func (a *Answer) Decode(v any) error {
	f, err := decodeEnvelope(a.Body, a.Op+"Response", v)
	if err == nil && f == nil {
		return nil
	}
	if f != nil {
		return f.err(a.Op, a.Node, 200)
	}
	if e, ok := asError(err); !ok {
		return a.Malformed(err)
	} else if a.write && e.Kind != OutcomeUnknown {
		return Unknown(e)
	} else {
		return e
	}
}
