package clustersim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

type faultKind string

const (
	fault503      faultKind = "http503"
	fault401      faultKind = "http401"
	faultSOAP     faultKind = "fault"
	faultDrop     faultKind = "drop"
	faultDelay    faultKind = "delay"
	faultTruncate faultKind = "truncate"
	faultGarbage  faultKind = "garbage"
	faultOversize faultKind = "oversize"
	fault403      faultKind = "http403" // for whatever reason; "text" is the page's
	fault599      faultKind = "http599" // the AXL version; "text" is the page's, without it no version is named
)

type faultTime string

const (
	before faultTime = "before" // the request is not carried out
	after  faultTime = "after"  // it is, but the answer is spoilt
)

const (
	defaultDelay  = 2 * time.Second
	oversizeBytes = 80 << 20
	maxFieldBytes = 20 << 20
	maxFieldRows  = 100_000
)

// fault is one rule. Empty fields match everything.
type fault struct {
	Cluster, Node, Operation string
	Kind                     faultKind
	When                     faultTime
	Times                    int // left; negative = until faults are deleted
	delay                    time.Duration
	text                     string // of the page
	field, value             string
	rows                     int // of an SQL answer, so many more with other values
}

// matches reports whether the fault is meant for a request.
func (f *fault) matches(n *node, operation string) bool {
	return (f.Cluster == "" || f.Cluster == n.cluster.id) && (f.Node == "" || equalNames(f.Node, n.name)) && (f.Operation == "" || f.Operation == operation)
}

// fires takes the first rule that matches; a used-up rule goes.
func (s *Sim) fires(n *node, operation string) *fault {
	for i, f := range s.faults {
		if f.Kind.spoils() || !f.matches(n, operation) {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			}
		}
		copied := *f
		return &copied
	}
	return nil
}

// fault spoils an answer; a is nil if there is none because nothing was done.
func (c *exchangeCall) fault(f *fault, a *answer) (*answer, error) {
	s := c.s
	if a != nil && f.Kind != faultTruncate {
		a.body.drop()
	}
	switch f.Kind {
	case fault503:
		return s.html(http.StatusServiceUnavailable, "Service Unavailable"), nil
	case fault401:
		out := s.html(http.StatusUnauthorized, "Unauthorized")
		out.challenge = true
		return out, nil
	case fault403:
		return s.html(http.StatusForbidden, orElse(f.text, "Access to the requested resource has been denied")), nil
	case fault599:
		return s.html(599, orElse(f.text, "Incorrect axl version.")), nil
	case faultSOAP:
		if c.rest {
			return s.restRefusal(c.n, http.StatusInternalServerError, "simulated fault"), nil
		}
		return c.soapFault(-1, "simulated fault"), nil
	case faultTruncate:
		if a == nil {
			a = c.s.soap(http.StatusOK, c.s.pages.envelope().finish())
		}
		a.sendOnly = a.body.size / 2
		return a, nil
	case faultGarbage:
		return s.plain(http.StatusOK, contentXML, "\x00\x01 this is not XML <<<]]> &nonsense;\n"), nil
	case faultOversize:
		return c.oversize(), nil
	}
	return nil, errDropped
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// oversize is a well-formed answer of rows without end, as far as any client
// should read. All its pieces are the same one.
func (c *exchangeCall) oversize() *answer {
	m := c.s.pages.envelope()
	m.start("ns:executeSQLQueryResponse", "xmlns:ns", axlNamespace+"14.0")
	m.start("return")
	row := &page{from: c.s.pages}
	for row.size < chunkBytes-128 {
		row.WriteString("<row><pkid>00000000-0000-0000-0000-000000000000</pkid><userid>oversize</userid></row>")
	}
	piece := row.pieces[0]
	p := &page{} // no pool: the piece is shared
	p.pieces = append(p.pieces, m.pieces...)
	p.size = m.size
	for p.size < oversizeBytes {
		p.pieces = append(p.pieces, piece)
		p.size += len(piece)
	}
	tail := &markup{page: &page{from: c.s.pages}, open: m.open}
	tail.finish()
	p.pieces = append(p.pieces, tail.pieces...)
	p.size += tail.size
	return c.s.soap(http.StatusOK, p)
}

// wait lets wall time pass, until the client or the simulation is gone.
func (s *Sim) wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return errDropped
	}
}

// soapFault is an error of the operation. The form of its detail depends on
// who answers; which node uses which is invented, the forms are not.
func (c *exchangeCall) soapFault(code int, message string) *answer {
	m := c.s.pages.envelope()
	m.start("soapenv:Fault")
	m.leaf("faultcode", "soapenv:Server")
	m.leaf("faultstring", message)
	if c.axl {
		m.start("detail")
		text := fmt.Sprint(code)
		old := c.release.major < 14
		switch {
		case old && c.n.role == roleSubscriber:
			m.start("axl:Error", "xmlns:axl", axlNamespace+"9.1")
			m.leaf("axl:code", text)
			m.leaf("axl:message", message)
			m.leaf("request", c.name)
		case old || c.n.role == roleSubscriber:
			m.start("ns2:axlError", "xmlns:ns2", axlNamespace+c.version())
			m.leaf("axlcode", text)
			m.leaf("axlmessage", message)
			m.leaf("request", c.name)
		default:
			m.start("axlError")
			m.leaf("axlcode", text)
			m.leaf("axlmessage", message)
			m.leaf("request", c.name)
		}
	}
	return c.s.soap(http.StatusInternalServerError, m.finish())
}

// serve is exchange over a socket.
func (s *Sim) serve(n *node, w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	s.handlers.Add(1)
	s.mu.Unlock()
	defer s.handlers.Done()
	a, err := s.exchange(n, r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	s.writeHeader(a, w.Header())
	w.WriteHeader(a.status)
	if a.sendOnly >= 0 {
		a.body.cut(a.sendOnly)
	}
	_, err = a.body.WriteTo(w)
	if a.sendOnly >= 0 {
		// What is cut off must have been sent before the connection breaks.
		err = errors.Join(err, http.NewResponseController(w).Flush(), errDropped)
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// writeHeader dates the answer by the simulated clock, which is what clients
// measure the node's clock with.
func (s *Sim) writeHeader(a *answer, h http.Header) {
	h.Set("Date", s.now().UTC().Format(http.TimeFormat))
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", fmt.Sprint(a.body.size))
	if a.cookie != "" {
		h.Set("Set-Cookie", a.cookie)
	}
	if a.challenge {
		realm := a.realm
		if realm == "" {
			realm = "Cisco Web Services Realm"
		}
		h.Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", realm))
	}
}

// inProcess routes requests to nodes by address, without sockets or TLS.
type inProcess struct{ s *Sim }

// Transport answers HTTPS requests addressed to a node's address, or to its
// name and port 8443, in process. Faults, nodes that are down and reachability
// show as errors.
func (s *Sim) Transport() http.RoundTripper { return inProcess{s} }

// refused is ErrUnreachable, and to those who know sockets ECONNREFUSED.
type refused struct{}

func (refused) Error() string { return ErrUnreachable.Error() }
func (refused) Is(target error) bool {
	return target == ErrUnreachable || target == syscall.ECONNREFUSED
}

// RoundTrip runs the node's handler in the caller's goroutine.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	s := t.s
	if r.Body == nil {
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	s.mu.Lock()
	n := s.nodeAt(r.URL.Host)
	open := n != nil && n.listening() && !s.closed
	if open {
		s.handlers.Add(1)
	}
	s.mu.Unlock()
	if !open {
		// As a socket says it: nothing was sent, which a client must be able to tell.
		return nil, fmt.Errorf("connecting to %s: %w", r.URL.Host, &net.OpError{Op: "dial", Net: "tcp", Err: refused{}})
	}
	defer s.handlers.Done()
	a, err := s.exchange(n, r)
	if ctxErr := r.Context().Err(); err != nil && ctxErr != nil {
		return nil, ctxErr
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", r.URL.Host, io.ErrUnexpectedEOF)
	}
	header := http.Header{}
	s.writeHeader(a, header)
	out := &http.Response{
		Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header, ContentLength: int64(a.body.size), Request: r,
	}
	body := &pageReader{page: a.body}
	if a.sendOnly >= 0 {
		a.body.cut(a.sendOnly)
		body.end = io.ErrUnexpectedEOF
	}
	out.Body = body
	return out, nil
}

// pageReader reads a page and gives its pieces back on the way.
type pageReader struct {
	page   *page
	offset int
	end    error // instead of io.EOF
}

func (b *pageReader) Read(p []byte) (int, error) {
	for len(b.page.pieces) > 0 {
		piece := b.page.pieces[0]
		if b.offset == len(piece) {
			b.page.giveBack(piece)
			b.page.pieces, b.offset = b.page.pieces[1:], 0
			continue
		}
		n := copy(p, piece[b.offset:])
		b.offset += n
		return n, nil
	}
	if b.end != nil {
		return 0, b.end
	}
	return 0, io.EOF
}

func (b *pageReader) Close() error {
	b.page.drop()
	return nil
}
