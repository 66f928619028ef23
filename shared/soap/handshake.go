package soap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"peerkeeper/shared/tlsprobe"
)

// HandshakeError is a server that took the connection and did not come to speak TLS with us. That is an answer: it, or something in
// front of it, is there. Nothing was sent to it.
type HandshakeError struct {
	Reason tlsprobe.Reason
	Alert  uint8 // the server's fatal alert, 0 if it sent none
	Cause  error
}

func (e *HandshakeError) Error() string {
	s := handshakeTexts[e.Reason]
	if s == "" {
		s = "the TLS handshake failed"
	}
	if e.Alert != 0 {
		s += fmt.Sprintf(" (TLS alert %d)", e.Alert)
	}
	if e.Cause != nil {
		s += ": " + plainText(e.Cause.Error())
	}
	return s
}

func (e *HandshakeError) Unwrap() error { return e.Cause }

var handshakeTexts = map[tlsprobe.Reason]string{
	tlsprobe.NoCommonSuite:             "the server and Peerkeeper have no TLS cipher suite in common",
	tlsprobe.ProtocolTooOld:            "the server speaks nothing newer than TLS 1.1",
	tlsprobe.Unparsable:                "the server's certificate cannot be parsed",
	tlsprobe.Reset:                     "the connection was closed in the TLS handshake, without a TLS alert",
	tlsprobe.ClientCertificateRequired: "the server demands a client certificate",
	tlsprobe.NotTLS:                    "the server answered without TLS",
	tlsprobe.ChainTooBig:               "the server's certificate chain is larger than any lawful one",
}

// suites that are offered, TLS 1.2; those of TLS 1.3 are not for choosing. crypto/tls prefers the first kind whatever the order here.
//
// RSA key exchange is the second kind. Go no longer offers it, because who records the traffic and later gets the node's key can read it.
// It is offered here: Cipher Management can leave a node nothing else, the server is authenticated by its certificate as with the others,
// and the alternative is not a better connection but none. The caller learns of it by Answer.TLS. 3DES and RC4 are not offered.
func suites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	}
}

// RSAKeyExchange reports whether a connection has no forward secrecy, because the server took nothing better.
func RSAKeyExchange(s *tls.ConnectionState) bool {
	if s == nil {
		return false
	}
	switch s.CipherSuite {
	case tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA:
		return true
	}
	return false
}

// handshaker dials and verifies. A dial that fails stays a *net.OpError, a certificate that is refused a *TrustError; any other end of the
// handshake but running out of time is a *HandshakeError.
func handshaker(config *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		heard := tlsprobe.Listen(raw)
		mine := config.Clone()
		mine.GetClientCertificate = heard.NoCertificate
		conn := tls.Client(heard, mine)
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = raw.Close() // the handshake's end is the news
			return nil, explained(ctx, heard, err)
		}
		heard.Done()
		return conn, nil
	}
}

func explained(ctx context.Context, heard *tlsprobe.Listener, err error) error {
	var trust *TrustError
	if errors.As(err, &trust) {
		return err
	}
	why := heard.Explain(ctx, err)
	if why.Reason == tlsprobe.Timeout || why.Reason == tlsprobe.Cancelled {
		return err
	}
	return &HandshakeError{Reason: why.Reason, Alert: why.Alert, Cause: unaddressed(err)}
}

// demanded tells a TLS 1.3 server that wants a client certificate from one that broke off: it says so only when the client's side of the
// handshake is over, as the answer to the first request.
func demanded(conn net.Conn) bool {
	c, ok := conn.(*tls.Conn)
	if !ok {
		return false
	}
	heard, ok := c.NetConn().(*tlsprobe.Listener)
	return ok && heard.Requested() && c.ConnectionState().Version == tls.VersionTLS13
}
