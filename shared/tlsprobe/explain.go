package tlsprobe

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
)

// Curves are the key exchanges that are offered to a node. None is
// post-quantum: IM and Presence speaks none of them (its releases to 15 are
// older), and their key shares alone make a ClientHello of more than 1,400
// bytes, which some firewalls and load balancers in between reset or drop.
func Curves() []tls.CurveID {
	return []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
}

// Listener keeps what a server says in a handshake that another client leads,
// so that both say the same of the same server: what crypto/tls makes of an
// alert or a certificate is a text, which nobody should match.
type Listener struct {
	net.Conn
	heard     recorder
	requested atomic.Bool
	done      atomic.Bool
}

// Listen listens to a connection on which nothing has been read yet.
func Listen(c net.Conn) *Listener { return &Listener{Conn: c, heard: recorder{Conn: c}} }

// Read hands on what the server sends.
func (l *Listener) Read(p []byte) (int, error) {
	if l.done.Load() {
		return l.Conn.Read(p)
	}
	return l.heard.Read(p)
}

// Done ends listening: the handshake is over.
func (l *Listener) Done() {
	l.done.Store(true)
	l.heard.heard = nil
}

// NoCertificate is for tls.Config.GetClientCertificate: it sends none, and notes
// that one was asked for.
func (l *Listener) NoCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	l.requested.Store(true)
	return &tls.Certificate{}, nil
}

// Requested reports whether the server asked for a client certificate.
func (l *Listener) Requested() bool { return l.requested.Load() }

// Explain says why the handshake ended with err.
func (l *Listener) Explain(ctx context.Context, err error) *Error {
	s := sight{flight: readFlight(l.heard.heard), overflow: l.heard.overflow, requested: l.Requested(), err: err}
	s.requested = s.requested || s.flight.requested
	reason := s.reason(ctx)
	if reason == HandshakeFailed && s.requested {
		reason = ClientCertificateRequired
	}
	return &Error{Reason: reason, Address: l.RemoteAddr().String(), Alert: s.flight.alert, Err: err}
}
