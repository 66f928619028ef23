package soap

import (
	"bytes"
	"cmp"
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
	"time"

	"peerkeeper/shared/tlsprobe"
)

const (
	handshakeTimeout = 10 * time.Second // a node that accepts and then says nothing
	idleTimeout      = 30 * time.Second
	maxHeader        = 64 << 10
)

// Transport carries single HTTP requests to one node. It is what stands between a password and the network, for SOAP here and for the
// other protocols of the same web server, so there is one of it:
//
//   - The certificate is verified by Endpoint.Trust, for the node's name and at Endpoint.Now, in every handshake and before the first
//     byte of HTTP; there are no session tickets, so each connection shows its certificate. TLS 1.2 or newer.
//   - No proxy, whatever the environment says; no redirect is followed; HTTP/1.1; no compression, so caps count what was received.
//   - A read may reuse a connection, and net/http may send it again if that turns out dead. A write never meets a used connection and
//     cannot be rewound: it is sent at most once.
//
// It sets no deadline but that of the handshake; callers bound the exchange by its context. It is safe for concurrent use.
type Transport struct {
	node, address string
	name          string              // Host header
	basic         func(*http.Request) // a closure, because fmt prints the fields of structs but not what a closure holds
	reads, writes http.RoundTripper
	own           bool // not Endpoint.Transport: what it traces can be relied on
	idle          func()
}

// NewTransport makes the transport of a node from Node, Address, Trust, Username, Password, Now and Transport of its endpoint.
// Nothing is dialled.
func NewTransport(e Endpoint) *Transport {
	t := &Transport{node: e.Node, address: e.Address, name: e.Node, idle: func() {}}
	if _, port, err := net.SplitHostPort(e.Address); err == nil {
		t.name = net.JoinHostPort(e.Node, port)
	}
	username, password := e.Username, e.Password
	t.basic = func(r *http.Request) { r.SetBasicAuth(username, password.Reveal()) }
	if e.Transport != nil {
		t.reads, t.writes = e.Transport, e.Transport
		return t
	}
	reads, writes := verified(e), verified(e)
	// net/http resends a request by itself when a reused connection turns out dead. For a write that must be impossible: its own
	// transport never reuses a connection (and the request offers no way to rewind its body).
	writes.DisableKeepAlives = true
	t.reads, t.writes, t.own = reads, writes, true
	t.idle = func() { reads.CloseIdleConnections(); writes.CloseIdleConnections() }
	return t
}

func verified(e Endpoint) *http.Transport {
	now := e.Now
	if now == nil {
		now = time.Now
	}
	config := &tls.Config{
		ServerName:       cmp.Or(e.TLSName, e.Node),
		MinVersion:       tls.VersionTLS12,
		CipherSuites:     suites(),
		CurvePreferences: tlsprobe.Curves(),
		// crypto/tls's own verification is replaced, not dropped: it knows neither the injected clock nor pins (an expired leaf with a
		// matching pin must stay readable). VerifyConnection runs in every handshake, resumed ones included, before the first byte of HTTP;
		// there is no session cache either, so every connection shows its certificate.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if e.Shown != nil && len(s.PeerCertificates) > 0 {
				e.Shown(s.PeerCertificates[0])
			}
			return e.Trust.VerifyAny(s.PeerCertificates, now(), cmp.Or(e.TLSName, e.Node), e.Node)
		},
		SessionTicketsDisabled: true,
	}
	return &http.Transport{
		Proxy:                  nil, // never HTTPS_PROXY: the credentials are for the node alone
		TLSClientConfig:        config,
		DialTLSContext:         handshaker(config),
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true,                                                   // the caps count what was really received, and nothing can unfold
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1, as Tomcat speaks it here
	}
}

// Call is one HTTP request.
type Call struct {
	Op          string // for errors
	Method      string
	Path, Query string // Query is encoded already
	Header      http.Header
	Body        []byte
	Write       bool           // changes the cluster: is sent at most once
	Session     []*http.Cookie // sent instead of the password; none means the password
}

// Do sends one call and brings back the response, whatever its status; its body is the caller's to bound, read and close. If there is no
// response, or only one that came after ctx had ended, the error says why, and for a write that may have been sent it is OutcomeUnknown.
func (t *Transport) Do(ctx context.Context, c Call) (*http.Response, *Error) {
	var sent, answered, certificate atomic.Bool
	fail := func(err error) *Error {
		if certificate.Load() && !answered.Load() && !isTimeout(err) && !errors.Is(err, context.Canceled) {
			err = &HandshakeError{Reason: tlsprobe.ClientCertificateRequired, Cause: unaddressed(err)}
		}
		return t.failed(c, sent.Load(), answered.Load(), err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fail(err)
	}
	hooks := &httptrace.ClientTrace{
		// The connection is ready, its certificate verified, and from here on request bytes may leave.
		GotConn:              func(got httptrace.GotConnInfo) { sent.Store(true); certificate.Store(demanded(got.Conn)) },
		GotFirstResponseByte: func() { answered.Store(true) },
	}
	target := &url.URL{Scheme: "https", Host: t.address, Path: c.Path, RawQuery: c.Query}
	out, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, hooks), c.Method, target.String(), bytes.NewReader(c.Body))
	if err != nil {
		return nil, fail(err)
	}
	for name, values := range c.Header {
		out.Header[name] = values
	}
	out.Host = t.name
	out.Header.Set("User-Agent", "peerkeeper")
	for _, k := range c.Session {
		out.AddCookie(k)
	}
	if len(c.Session) == 0 {
		t.basic(out)
	}
	via := t.reads
	if c.Write {
		via = t.writes
		out.Body, out.GetBody = once{bytes.NewReader(c.Body)}, nil
	} else {
		// An empty list is never sent; it tells net/http that even a POST may be repeated if a reused connection turns out dead.
		out.Header["Idempotency-Key"] = []string{}
	}
	if !t.own {
		sent.Store(true)
	}
	resp, err := via.RoundTrip(out) // not Do: that would follow redirects
	if err != nil {
		return nil, fail(err)
	}
	if err := ctx.Err(); err != nil {
		// It may be the server's reaction to our hanging up: net/http passes on an answer that crosses the end of the connection, and one
		// without a body would read as success.
		resp.Body.Close()
		return nil, fail(err)
	}
	return resp, nil
}

// Close lets idle connections go. The transport stays usable.
func (t *Transport) Close() { t.idle() }

// Format, and with it every way of printing, shows the node alone.
func (t *Transport) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "soap.Transport(%s)", t.node) }

// LogValue is the node's name.
func (t *Transport) LogValue() slog.Value { return slog.StringValue(t.node) }

// once is a body that net/http cannot rewind.
type once struct{ r *bytes.Reader }

func (o once) Read(p []byte) (int, error) { return o.r.Read(p) }
func (o once) Close() error               { return nil }

// failed types an error that came instead of a response.
func (t *Transport) failed(c Call, sent, answered bool, err error) *Error {
	e := &Error{Op: c.Op, Node: t.node, Sent: sent, Cause: unaddressed(err)}
	var trust *TrustError
	var handshake *HandshakeError
	var dial *net.OpError
	dialled := errors.As(err, &dial) && dial.Op == "dial"
	switch {
	case errors.As(err, &trust):
		e.Kind, e.Sent = Untrusted, false
	case errors.As(err, &handshake):
		e.Kind = TLSRefused
	case errors.Is(err, context.Canceled):
		e.Kind = Cancelled
	case isTimeout(err):
		e.Kind = Timeout
	case answered && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		e.Kind = Malformed // not HTTP, or headers without end
	case sent && !dialled:
		e.Kind = ConnectionLost
	default:
		e.Kind = Unreachable
	}
	if dialled {
		e.Sent = false
	}
	if c.Write && e.Sent {
		return Unknown(e)
	}
	return e
}

// unaddressed leaves out of an error which of our ports was at the other end: it is another one each time, and what is said of a node must
// stay the same while the node does.
func unaddressed(err error) error {
	if op, ok := err.(*net.OpError); ok && op.Op != "dial" && op.Err != nil {
		return op.Err
	}
	return err
}

// Cut types an error met while reading a response's body; err may be one of ours already.
func (t *Transport) Cut(op string, status int, err error) *Error {
	if e, ok := asError(err); ok {
		return e
	}
	e := &Error{Op: op, Node: t.node, Kind: Malformed, Status: status, Sent: true, Cause: unaddressed(err)}
	switch {
	case errors.Is(err, context.Canceled):
		e.Kind = Cancelled
	case isTimeout(err):
		e.Kind = Timeout
	}
	return e
}

// RetryAfter is the wait a server asks for in seconds. The form with a date is not taken: the servers' clocks are not ours.
func RetryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(h.Get("Retry-After")))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 24*60*60)) * time.Second
}
