package peer

// Further reasons of a node that takes the connection and then comes to no TLS
// with us (the others are certcheck's as well), or to one that is worth a word. Such a node has answered: it is there, and
// nobody need look at the way to it.
const (
	NoCommonCipherSuite Reason = "NoCommonCipherSuite"
	ClosedInHandshake   Reason = "ClosedInHandshake"
	ConnectionClosed    Reason = "ConnectionClosed" // TLS came about, and no answer

	// These are connected all the same.
	RSAKeyExchangeOnly Reason = "RSAKeyExchangeOnly"
	NegativeSerial     Reason = "NegativeSerialNumber"
	// ReadByCertcheckOnly is a port over which certcheck has read a certificate
	// since peersync last had an answer.
	ReadByCertcheckOnly Reason = "ReadByCertcheckOnly"
)

// RefusesTLS reports whether the reason is a node's refusal to speak TLS with us.
func (why Reason) RefusesTLS() bool {
	switch why {
	case NoCommonCipherSuite, ClosedInHandshake, ProtocolTooOld, ClientCertDemanded, CertificateUnparsable, ChainTooBig, NotTLS, HandshakeFailed:
		return true
	}
	return false
}

// worthAWord is what to do about a node that is spoken to, although not well.
func (why Reason) worthAWord() (severity, text string) {
	switch why {
	case RSAKeyExchangeOnly:
		return "warning", "takes no cipher suite but those of RSA key exchange: whoever records the traffic, passwords included, can read it once he has the node's key. In Cipher Management (Cisco Unified OS Administration > Security) add an ECDHE suite to All TLS"
	case NegativeSerial:
		return "warning", "serves a certificate with a negative serial number, which RFC 5280 forbids: some clients refuse it. Have it issued anew"
	}
	return "info", string(why)
}
