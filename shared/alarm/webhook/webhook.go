// Package webhook posts alarms to a web address as JSON.
//
// It owns the one request per notice. It never follows a redirect, never sends
// without TLS except to this machine itself, and never puts the address's path
// or query, which are often the secret, into an error. Anything but a 2xx answer
// is an error, so the notice is sent again with the same Idempotency-Key; a
// receiver that says that it is too large is told apart (alarm.ErrTooLarge), so
// that it is sent again shortened.
package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"peerkeeper/shared/alarm"
)

const (
	defaultTimeout = 10 * time.Second
	maxAnswer      = 64 << 10 // bytes of the answer that are read, and thrown away
)

// Reasons why a notice could not be posted.
var (
	// ErrAddress says that the address itself cannot be used.
	ErrAddress = errors.New("want an https address, or http to this machine")
	// ErrRedirected says that the receiver pointed elsewhere.
	ErrRedirected = errors.New("the receiver redirects; enter the final address")
	// ErrRefused says that the receiver's answer was not 2xx.
	ErrRefused = errors.New("the receiver refused the notice")
	// ErrTimeout says that no answer came in time.
	ErrTimeout = errors.New("the receiver did not answer in time")
)

// Error says what went wrong with one address, of which it tells only the
// host.
type Error struct {
	Host   string
	Status int // 0 if there was no answer
	Cause  error
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("web hook %s: %d: %v", e.Host, e.Status, e.Cause)
	}
	return fmt.Sprintf("web hook %s: %v", e.Host, e.Cause)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Options are what differs from the usual.
type Options struct {
	Timeout time.Duration // for one notice; 0 means 10 s
	TLS     *tls.Config   // nil means the system's roots
}

// Sink is one web address.
type Sink struct {
	url *url.URL
	// A bare transport, not a client: a client follows redirects, and its
	// errors quote the whole address.
	transport *http.Transport
	timeout   time.Duration
}

// New checks an address and makes its sink.
func New(address string, opt Options) (*Sink, error) {
	u, err := url.Parse(address)
	if err != nil {
		// url.Parse's own error quotes the address.
		return nil, &Error{Host: "address", Cause: fmt.Errorf("%w: it does not parse", ErrAddress)}
	}
	local := false
	switch {
	case u.Hostname() == "":
		return nil, &Error{Host: "address", Cause: fmt.Errorf("%w: it names no host", ErrAddress)}
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
		local = true
	default:
		return nil, &Error{Host: u.Host, Cause: ErrAddress}
	}
	timeout := opt.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	dialer := &net.Dialer{Timeout: timeout}
	transport := &http.Transport{
		TLSClientConfig:       opt.TLS.Clone(),
		ForceAttemptHTTP2:     true,
		Proxy:                 http.ProxyFromEnvironment,
		MaxIdleConns:          1,
		IdleConnTimeout:       timeout,
		TLSHandshakeTimeout:   timeout,
		ResponseHeaderTimeout: timeout,
	}
	if local {
		transport.Proxy = nil
		// "localhost" is a name, and names can be made to mean anything.
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().Unmap().IsLoopback() {
				return ErrAddress
			}
			return nil
		}
	}
	transport.DialContext = dialer.DialContext
	return &Sink{url: u, transport: transport, timeout: timeout}, nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Name is the name under which deliveries are recorded.
func (s *Sink) Name() string { return "webhook" }

// Close lets go of idle connections.
func (s *Sink) Close() { s.transport.CloseIdleConnections() }

// idempotencyKey is the header by which a receiver knows a notice that was
// sent again.
func idempotencyKey(n alarm.Notice) string {
	return fmt.Sprintf("%s-%d-%s", n.Fingerprint, n.Transition, n.State)
}

// Send implements alarm.Sink.
func (s *Sink) Send(ctx context.Context, n alarm.Notice) error {
	status, err := s.post(ctx, n)
	if err == nil {
		return nil
	}
	return &Error{Host: s.url.Host, Status: status, Cause: err}
}

func (s *Sink) post(ctx context.Context, n alarm.Notice) (status int, err error) {
	body, err := json.Marshal(n.Clean())
	if err != nil {
		return 0, fmt.Errorf("encoding the notice: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, ErrTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url.String(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", idempotencyKey(n))
	req.Header.Set("User-Agent", "peerkeeper")
	if user := s.url.User; user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		// Whichever of the two deadlines, the context's and the transport's,
		// is noticed first: it is one deadline.
		var late net.Error
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		} else if errors.As(err, &late) && late.Timeout() {
			err = ErrTimeout
		}
		return 0, err
	}
	if cause := context.Cause(ctx); cause != nil {
		_ = resp.Body.Close() // it may be the receiver's reaction to our hanging up
		return 0, cause
	}
	// The status is the answer. What comes with it is read so that the connection
	// can be used again, and an error in it changes nothing.
	said, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	switch status := resp.StatusCode; {
	case status >= 200 && status < 300:
		return status, nil
	case status >= 300 && status < 400:
		return status, ErrRedirected
	case tooLarge(status, said):
		return status, alarm.ErrTooLarge
	default:
		return status, ErrRefused
	}
}

// tooLarge reports whether a receiver refuses a notice for its size: by the
// status that is made for it, or by a status for whatever is wrong with the body
// and words such as Slack's msg_too_long and Teams' "message size too large".
func tooLarge(status int, said []byte) bool {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return true
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusNotAcceptable:
		words := strings.NewReplacer("_", " ", "-", " ").Replace(strings.ToLower(string(said)))
		for _, w := range []string{"too large", "too long", "too big", "too many characters", "exceeds the maximum", "exceeds maximum", "exceeds the limit", "maximum length", "max length"} {
			if strings.Contains(words, w) {
				return true
			}
		}
	}
	return false
}
