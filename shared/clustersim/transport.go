package clustersim

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
)

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
