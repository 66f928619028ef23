package tlsprobe

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
)

// What a server sends before encryption begins tells more than crypto/tls's
// errors, whose texts nobody should match: the chain that could not be parsed,
// the version it chose, the alert it sent.

// Alerts that decide a reason (RFC 5246 section 7.2, RFC 8446 section 6).
const (
	alertHandshakeFailure     = 40
	alertProtocolVersion      = 70
	alertInsufficientSecurity = 71
)

// Record and handshake message types (RFC 5246 sections 6.2.1 and 7.4).
const (
	recordAlert     = 21
	recordHandshake = 22

	messageServerHello        = 2
	messageCertificate        = 11
	messageCertificateRequest = 13

	extensionSupportedVersions = 43

	alertLevelFatal = 2
)

// errFlightTooBig is how a recorder ends a handshake that would not end.
var errFlightTooBig = errors.New("the server sent more than 80 KiB in its handshake")

// recorder keeps what the server sends, up to maxFlight.
type recorder struct {
	net.Conn
	heard    []byte
	overflow bool
}

func (r *recorder) Read(p []byte) (int, error) {
	room := maxFlight - len(r.heard)
	if room <= 0 {
		r.overflow = true
		return 0, errFlightTooBig
	}
	n, err := r.Conn.Read(p[:min(len(p), room)])
	r.heard = append(r.heard, p[:n]...)
	return n, err
}

// flight is the server's side of a handshake as far as it is in the clear: to
// the end up to TLS 1.2, to the ServerHello in TLS 1.3.
type flight struct {
	notTLS       bool
	version      uint16 // 0 while no ServerHello was seen
	suite        uint16
	certificates [][]byte // whole ones only; the message itself may be cut off
	announced    int      // bytes of the message that holds them, as its header says; crypto/tls refuses some by that alone
	requested    bool     // a client certificate, up to TLS 1.2
	alert        uint8    // the first fatal one, 0 for none
}

// readFlight reads recorded bytes. Whatever cannot be read ends the reading;
// what was read until then stands.
func readFlight(heard []byte) flight {
	var f flight
	if len(heard) > 0 && !looksLikeTLS(heard) {
		f.notTLS = true
		return f
	}
	var handshake []byte
	for len(heard) >= 5 && looksLikeTLS(heard) {
		kind, size := heard[0], int(binary.BigEndian.Uint16(heard[3:5]))
		body := heard[5:min(len(heard), 5+size)]
		switch kind {
		case recordHandshake:
			handshake = append(handshake, body...)
		case recordAlert:
			if len(body) == 2 && body[0] == alertLevelFatal && f.alert == 0 {
				f.alert = body[1]
			}
		default: // ChangeCipherSpec or data: encrypted from here
			f.readMessages(handshake)
			return f
		}
		heard = heard[min(len(heard), 5+size):]
	}
	f.readMessages(handshake)
	return f
}

// looksLikeTLS asks for a record type of RFC 5246 and major version 3, as far as
// they have arrived.
func looksLikeTLS(b []byte) bool {
	if b[0] < 20 || b[0] > 23 {
		return false
	}
	return len(b) < 2 || b[1] == 3
}

func (f *flight) readMessages(b []byte) {
	for len(b) >= 4 {
		kind, size := b[0], uint24(b[1:])
		body := b[4:min(len(b), 4+size)]
		switch kind {
		case messageServerHello:
			f.readServerHello(body)
		case messageCertificate:
			if f.version < tls.VersionTLS13 && f.certificates == nil {
				f.certificates, f.announced = readCertificates(body), size
			}
		case messageCertificateRequest:
			f.requested = true
		}
		if len(b) < 4+size {
			return
		}
		b = b[4+size:]
	}
}

func (f *flight) readServerHello(b []byte) {
	const fixed = 2 + 32 + 1 // version, random, length of the session ID
	if len(b) < fixed {
		return
	}
	version := binary.BigEndian.Uint16(b)
	b = b[fixed-1:]
	session := int(b[0])
	if len(b) < 1+session+3 {
		return
	}
	f.version = version
	b = b[1+session:]
	f.suite = binary.BigEndian.Uint16(b)
	b = b[3:] // suite, compression
	if len(b) < 2 {
		return
	}
	b = b[2:]
	for len(b) >= 4 {
		kind, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+size {
			return
		}
		if kind == extensionSupportedVersions && size == 2 {
			f.version = binary.BigEndian.Uint16(b[4:])
		}
		b = b[4+size:]
	}
}

func readCertificates(b []byte) [][]byte {
	if len(b) < 3 {
		return nil
	}
	var certificates [][]byte
	b = b[3:] // the list's length, which the message's length repeats
	for len(b) >= 3 {
		size := uint24(b)
		if len(b) < 3+size {
			break
		}
		certificates = append(certificates, b[3:3+size])
		b = b[3+size:]
	}
	return certificates
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
