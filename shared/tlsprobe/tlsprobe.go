// Package tlsprobe reads the certificates that a TLS server serves, and judges
// them.
//
// It owns one thing: what stands on a node's 8443 for each kind of key, tomcat
// and tomcat-ECDSA, captured without verification. Dialling and judging are two
// functions, [Prober.Probe] and [Inspect]; the second touches no network.
//
// It never sends a credential, a client certificate or a byte of HTTP, never
// decides whether a server may be trusted with one, and resumes no session.
// Because nothing is sent, it speaks protocol versions and cipher suites that a
// client with a password must refuse: an administrator wants to see the
// certificate of exactly such a server.
//
// A failing probe returns an [*Error] with one reason of a fixed table, together
// with everything that was seen before it failed: the chain of a server that
// demands a client certificate or speaks TLS 1.0 only is reported in full.
package tlsprobe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"time"
)

// KeyType is the signature family of an identity certificate, in the words of
// the certificate list of Cisco Unified OS Administration.
type KeyType string

const (
	Any   KeyType = ""      // whatever the server prefers
	RSA   KeyType = "RSA"   // tomcat
	ECDSA KeyType = "ECDSA" // tomcat-ECDSA
)

// Limits of what a server may serve. crypto/tls alone would take 256 KiB in any
// number of certificates.
const (
	maxChainBytes = 64 << 10
	maxChainCerts = 10
	// maxFlight is all a server may send in a handshake: the chain and room for
	// the other messages and, in TLS 1.3, their encryption.
	maxFlight = maxChainBytes + 16<<10
	// maxChainMessage is how long the message may say that it is which holds the
	// chain: three bytes of length for the list and for each certificate.
	maxChainMessage = maxChainBytes + 3 + 3*maxChainCerts
)

// DefaultTimeout is a probe's deadline where Prober names none.
const DefaultTimeout = 10 * time.Second

// Target is one TLS server.
type Target struct {
	Address    string    // host:port to dial
	ServerName string    // the node name, sent as SNI unless it is an IP address; "" sends none
	KeyTypes   []KeyType // what ProbeAll asks for; none means RSA and ECDSA
}

// ClientAuth says whether the server wants a certificate of its client.
type ClientAuth string

const (
	ClientAuthNone      ClientAuth = "none"
	ClientAuthRequested ClientAuth = "requested" // asked for, and the connection stood without one
	ClientAuthRequired  ClientAuth = "required"  // asked for, and the connection ended without one
)

// Served is what one probe saw. Its zero fields were not seen.
type Served struct {
	Address     string
	KeyType     KeyType // of the leaf; of the question while no leaf was seen
	Version     uint16  // tls.VersionTLS12 …
	CipherSuite uint16
	// Chain is what was served, leaf first, at most ten, without those that cannot
	// be parsed. It is empty if the leaf cannot be: an issuer is never taken for
	// the leaf.
	Chain []*x509.Certificate
	// Raw is the DER of every certificate served, leaf first, at most ten. It is
	// what an unparsable leaf is recognised by.
	Raw        [][]byte
	Unparsable int // how many of Raw cannot be parsed
	Stapled    bool
	ClientAuth ClientAuth
	Took       time.Duration // all looks of the probe, dialling included
}

// Leaf is the identity certificate, nil if none was seen or it cannot be parsed.
func (s Served) Leaf() *x509.Certificate {
	if len(s.Chain) == 0 {
		return nil
	}
	return s.Chain[0]
}

// Reason is why a probe failed.
type Reason string

const (
	Refused                   Reason = "Refused"                   // nothing listens on the port
	Unreachable               Reason = "Unreachable"               // no connection: no route, no such host, or no answer to the dial in time
	Timeout                   Reason = "Timeout"                   // connected, but the handshake did not end in time
	Reset                     Reason = "Reset"                     // closed or reset in the handshake without an alert
	NotTLS                    Reason = "NotTLS"                    // another protocol answered, such as plain HTTP
	ProtocolTooOld            Reason = "ProtocolTooOld"            // nothing newer than TLS 1.1
	NoCommonSuite             Reason = "NoCommonSuite"             // the server has no certificate of this key type, or no suite we know
	OnlyWeakSuites            Reason = "OnlyWeakSuites"            // TLS 1.2, but only with suites that clients no longer offer
	KeyTypeNotSelectable      Reason = "KeyTypeNotSelectable"      // TLS 1.3 only: it served another key type than asked for, the asked one is unknown
	ClientCertificateRequired Reason = "ClientCertificateRequired" // the server ends connections that bring no certificate
	ChainTooBig               Reason = "ChainTooBig"               // more than 64 KiB or ten certificates
	Unparsable                Reason = "Unparsable"                // a served certificate cannot be parsed
	HandshakeFailed           Reason = "HandshakeFailed"           // anything else, with the server's alert if there was one
	Cancelled                 Reason = "Cancelled"                 // the caller gave up; says nothing about the server
)

// Error is how a probe fails.
type Error struct {
	Reason  Reason
	Address string
	KeyType KeyType // asked for
	Alert   uint8   // the server's fatal alert (RFC 8446 section 6), 0 if it sent none in the clear
	Err     error   // nil where the handshake itself succeeded
}

func (e *Error) Error() string {
	text := fmt.Sprintf("probing %s", e.Address)
	if e.KeyType != Any {
		text += " for " + string(e.KeyType)
	}
	text += ": " + string(e.Reason)
	if e.Alert != 0 {
		text += fmt.Sprintf(" (alert %d)", e.Alert)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// ReasonOf is the reason of a probe's error, "" for nil and for errors of others.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// Dialer makes the connection; *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Prober probes. Its zero value is ready, and safe for concurrent use.
type Prober struct {
	Dialer  Dialer        // nil dials directly
	Timeout time.Duration // of one probe with all its looks; 0 is DefaultTimeout
}

// Outcome is one of ProbeAll's probes.
type Outcome struct {
	Asked  KeyType
	Served Served
	Err    error // nil or an *Error
}

// ProbeAll probes for each key type of the target in turn: a node that is busy
// with its users gets one handshake of ours at a time.
func (p Prober) ProbeAll(ctx context.Context, t Target) []Outcome {
	keyTypes := t.KeyTypes
	if len(keyTypes) == 0 {
		keyTypes = []KeyType{RSA, ECDSA}
	}
	outcomes := make([]Outcome, 0, len(keyTypes))
	for _, keyType := range keyTypes {
		served, err := p.Probe(ctx, t, keyType)
		outcomes = append(outcomes, Outcome{Asked: keyType, Served: served, Err: err})
	}
	return outcomes
}

// Probe looks at what the server serves for one key type and verifies nothing.
//
// A key type is asked for by offering only cipher suites of its family, which
// exist up to TLS 1.2: crypto/tls lets no client choose the signature algorithms
// by which TLS 1.3 selects a certificate. A server that speaks TLS 1.3 alone is
// therefore looked at with both families on offer. If it happens to serve the
// one asked for, good; if not, the reason is KeyTypeNotSelectable and Served
// shows the other one: whether a certificate of the type asked for exists as
// well stays unknown.
//
// Versions from TLS 1.0 on are offered at once. A server picks the newest, so an
// old version says that it has nothing newer.
func (p Prober) Probe(ctx context.Context, t Target, keyType KeyType) (Served, error) {
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	seen, reason := p.probe(ctx, t, keyType)
	served := seen.served(t.Address, keyType)
	served.Took = time.Since(start)
	if reason == "" {
		return served, nil
	}
	return served, &Error{Reason: reason, Address: t.Address, KeyType: keyType, Alert: seen.flight.alert, Err: seen.err}
}

// probe is one look, and a second where the first cannot say enough.
func (p Prober) probe(ctx context.Context, t Target, keyType KeyType) (sight, Reason) {
	first := p.look(ctx, t, offerFor(keyType))
	reason := first.reason(ctx)
	switch {
	case reason == "" || first.dialFailed || ctx.Err() != nil:
	case keyType != Any && first.flight.alert == alertProtocolVersion:
		// TLS 1.3 only; see Probe.
		second := p.look(ctx, t, offer{min: tls.VersionTLS13})
		reason := second.reason(ctx)
		if leaf := second.served(t.Address, keyType).Leaf(); reason == "" && keyTypeOf(leaf) != keyType {
			reason = KeyTypeNotSelectable
		}
		return second, reason
	case keyType == Any && reason == NoCommonSuite:
		// The default suites leave out RSA key exchange, 3DES and RC4, which old
		// releases may be limited to.
		second := p.look(ctx, t, offer{min: tls.VersionTLS10, max: tls.VersionTLS12, suites: suitesOf(Any)})
		if second.complete && second.reason(ctx) == "" {
			return second, OnlyWeakSuites
		}
		if second.complete {
			return second, second.reason(ctx)
		}
	case keyType == Any && first.flight.version == tls.VersionTLS13 && !first.complete:
		// TLS 1.3 hides the chain from us when crypto/tls stumbles over it; in TLS 1.2
		// it travels in the clear.
		second := p.look(ctx, t, offer{min: tls.VersionTLS10, max: tls.VersionTLS12})
		if len(second.flight.certificates) > 0 {
			if again := second.reason(ctx); again != "" {
				return second, again
			}
		}
	}
	return first, reason
}

// offer is what one ClientHello offers; zero fields are crypto/tls's defaults.
type offer struct {
	min, max uint16
	suites   []uint16
}

func offerFor(keyType KeyType) offer {
	if keyType == Any {
		return offer{min: tls.VersionTLS10}
	}
	return offer{min: tls.VersionTLS10, max: tls.VersionTLS12, suites: suitesOf(keyType)}
}

// suitesOf lists the suites up to TLS 1.2 that authenticate with the key type,
// good and bad: this connection protects nothing.
func suitesOf(keyType KeyType) []uint16 {
	ecdsa := []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
		tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA,
	}
	rsa := []uint16{
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA,
		tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_RSA_WITH_RC4_128_SHA,
	}
	switch keyType {
	case RSA:
		return rsa
	case ECDSA:
		return ecdsa
	}
	return slices.Concat(ecdsa, rsa)
}

// sight is what one look saw: crypto/tls's account where the handshake
// completed, and the server's plaintext where it did not.
type sight struct {
	dialFailed bool
	complete   bool
	state      tls.ConnectionState
	flight     flight
	overflow   bool // the server sent more than maxFlight
	requested  bool // a client certificate was asked for
	refused    bool // and the connection ended without one
	err        error
}

func (p Prober) look(ctx context.Context, t Target, o offer) sight {
	var dialer Dialer = &net.Dialer{}
	if p.Dialer != nil {
		dialer = p.Dialer
	}
	start := time.Now()
	raw, err := dialer.DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return sight{dialFailed: true, err: err}
	}
	wire := &recorder{Conn: raw}
	var seen sight
	conn := tls.Client(wire, &tls.Config{
		ServerName: t.ServerName,
		// Capture only: nothing is sent to this server but the handshake.
		InsecureSkipVerify:     true,
		MinVersion:             o.min,
		MaxVersion:             o.max,
		CipherSuites:           o.suites,
		CurvePreferences:       Curves(),
		SessionTicketsDisabled: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			seen.requested = true
			return &tls.Certificate{}, nil // an empty one: none is sent
		},
	})
	seen.err = conn.HandshakeContext(ctx)
	if seen.err == nil {
		seen.complete = true
		seen.state = conn.ConnectionState()
		if seen.requested && seen.state.Version == tls.VersionTLS13 {
			seen.refused, seen.err = refusedAfterwards(ctx, conn, time.Since(start))
		}
	}
	seen.overflow = wire.overflow
	if !seen.complete {
		seen.flight = readFlight(wire.heard)
		seen.requested = seen.requested || seen.flight.requested
	}
	// Best effort: all that was wanted has been read.
	_ = conn.Close()
	return seen
}

// refusedAfterwards waits for the alert by which a TLS 1.3 server refuses a
// client without a certificate: it comes when the client's side of the handshake
// is already over. A server that does not refuse stays quiet, so the wait is
// bounded: by a few round trips, and by what a busy node may take to answer. One
// that refuses later than that counts as requesting only.
func refusedAfterwards(ctx context.Context, conn *tls.Conn, handshake time.Duration) (bool, error) {
	deadline := time.Now().Add(max(3*handshake, 2*time.Second))
	if probe, ok := ctx.Deadline(); ok && probe.Before(deadline) {
		deadline = probe
	}
	if err := conn.SetReadDeadline(deadline); err != nil {
		return false, nil
	}
	var one [1]byte
	_, err := conn.Read(one[:])
	var timeout net.Error
	if err == nil || (errors.As(err, &timeout) && timeout.Timeout()) {
		return false, nil
	}
	return true, err
}

// reason judges the look; "" is a complete handshake to report without a word.
func (s sight) reason(ctx context.Context) Reason {
	if s.dialFailed {
		return dialReason(ctx, s.err)
	}
	certificates := s.certificates()
	switch {
	case s.overflow || s.flight.announced > maxChainMessage || len(certificates) > maxChainCerts || totalLen(certificates) > maxChainBytes:
		return ChainTooBig
	case s.complete && s.refused:
		return ClientCertificateRequired
	case s.complete && s.state.Version < tls.VersionTLS12:
		return ProtocolTooOld
	case s.complete:
		return ""
	case errors.Is(ctx.Err(), context.Canceled):
		return Cancelled
	case s.flight.notTLS:
		return NotTLS
	case slices.ContainsFunc(certificates, unparsable):
		return Unparsable
	case errors.Is(s.err, context.DeadlineExceeded) || ctx.Err() != nil:
		return Timeout
	case s.requested:
		// The server went away after asking. Its alert is not required: TCP may drop
		// it when the server closes with our messages unread.
		return ClientCertificateRequired
	case s.flight.alert == alertProtocolVersion, s.flight.version != 0 && s.flight.version < tls.VersionTLS12:
		return ProtocolTooOld
	case len(certificates) == 0 && (s.flight.alert == alertHandshakeFailure || s.flight.alert == alertInsufficientSecurity):
		return NoCommonSuite
	case s.flight.alert != 0:
		return HandshakeFailed
	case gone(s.err):
		return Reset
	}
	return HandshakeFailed
}

func dialReason(ctx context.Context, err error) Reason {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return Cancelled
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case gone(err):
		return Reset
	}
	return Unreachable
}

// gone reports that the other side closed or reset the connection.
func gone(err error) bool {
	for _, target := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// certificates is the DER of what was served.
func (s sight) certificates() [][]byte {
	if !s.complete {
		return s.flight.certificates
	}
	ders := make([][]byte, len(s.state.PeerCertificates))
	for i, cert := range s.state.PeerCertificates {
		ders[i] = cert.Raw
	}
	return ders
}

func (s sight) served(address string, asked KeyType) Served {
	out := Served{
		Address: address, KeyType: asked,
		Version: s.flight.version, CipherSuite: s.flight.suite,
		ClientAuth: ClientAuthNone,
	}
	if s.complete {
		out.Version, out.CipherSuite = s.state.Version, s.state.CipherSuite
		out.Stapled = len(s.state.OCSPResponse) > 0
	}
	switch {
	case s.requested && (s.refused || !s.complete):
		out.ClientAuth = ClientAuthRequired
	case s.requested:
		out.ClientAuth = ClientAuthRequested
	}
	out.Raw = s.certificates()
	out.Raw = out.Raw[:min(len(out.Raw), maxChainCerts)]
	out.Chain, out.Unparsable = s.chain(out.Raw)
	if leaf := out.Leaf(); leaf != nil {
		out.KeyType = keyTypeOf(leaf)
	}
	return out
}

func (s sight) chain(ders [][]byte) (chain []*x509.Certificate, faulty int) {
	if s.complete { // already parsed, all of it
		return s.state.PeerCertificates[:len(ders)], 0
	}
	leafFaulty := false
	for i, der := range ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			faulty++
			leafFaulty = leafFaulty || i == 0
			continue
		}
		chain = append(chain, cert)
	}
	if leafFaulty {
		return nil, faulty
	}
	return chain, faulty
}

func unparsable(der []byte) bool {
	_, err := x509.ParseCertificate(der)
	return err != nil
}

func totalLen(ders [][]byte) int {
	sum := 0
	for _, der := range ders {
		sum += len(der)
	}
	return sum
}

// keyTypeOf names a certificate's key, also those nobody asks for ("Ed25519",
// "DSA").
func keyTypeOf(cert *x509.Certificate) KeyType {
	if cert == nil {
		return Any
	}
	return KeyType(cert.PublicKeyAlgorithm.String())
}
