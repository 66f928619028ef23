package peer

import (
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
)

// Reasons of a node that takes the connection and then comes to no TLS with us,
// or to one that is worth a word. Such a node has answered: it is there, and
// nobody need look at the way to it.
const (
	NoCommonCipherSuite Reason = "NoCommonCipherSuite"
	ClosedInHandshake   Reason = "ClosedInHandshake"
	ConnectionClosed    Reason = "ConnectionClosed" // TLS came about, and no answer

	// Of these certcheck makes findings too.
	NotTLS                    Reason = "NotTLS"
	ChainTooBig               Reason = "ChainTooBig"
	CertificateUnparsable     Reason = "CertificateUnparsable"
	HandshakeFailed           Reason = "HandshakeFailed"
	ProtocolTooOld            Reason = "ProtocolTooOld"
	ClientCertificateRequired Reason = "ClientCertificateRequired"

	// These are connected all the same.
	RSAKeyExchangeOnly   Reason = "RSAKeyExchangeOnly"
	NegativeSerialNumber Reason = "NegativeSerialNumber"
	// ReadByCertcheckOnly is a port over which certcheck has read a certificate
	// since peersync last had an answer.
	ReadByCertcheckOnly Reason = "ReadByCertcheckOnly"
)

// TLSRefusals are the reasons for which a node does not speak TLS with us.
func TLSRefusals() []Reason {
	return []Reason{NoCommonCipherSuite, ClosedInHandshake, ProtocolTooOld, ClientCertificateRequired, CertificateUnparsable, ChainTooBig, NotTLS, HandshakeFailed}
}

// refusesTLS reports whether the reason is a node's refusal to speak TLS with us.
func (why Reason) refusesTLS() bool { return slices.Contains(TLSRefusals(), why) }

// worthAWord is what to do about a node that is spoken to, although not well.
func (why Reason) worthAWord() (severity Severity, text string) {
	switch why {
	case RSAKeyExchangeOnly:
		return Warning, "takes no cipher suite but those of RSA key exchange: anyone who records the traffic, passwords included, can read it once they have the node's key. In " + procedure.CipherManagement + " add an ECDHE suite to All TLS"
	case NegativeSerialNumber:
		return Warning, "serves a certificate with a negative serial number, which RFC 5280 forbids: some clients refuse it. Have it issued again"
	}
	return Info, string(why)
}

// readSince is when certcheck last read a certificate over a node's own port, if
// that was after since: then the node is there, whatever peersync gets of it.
func (v *View) readSince(id mesh.ClusterID, node mesh.NodeName, since time.Time) (time.Time, bool) {
	last := v.CertificateRead[id][node]
	// A tick of slack: the node may have gone between two looks of peersync's.
	return last, last.After(since.Add(v.Tick))
}

// contradiction says of a node that peersync has lost that certcheck reads it; ""
// if it does not.
func (v *View) contradiction(e *end, node mesh.NodeName) string {
	since, lost := e.record.SilentSince[node]
	if !lost {
		return ""
	}
	read, is := v.readSince(e.ID, node, since)
	if !is {
		return ""
	}
	return fmt.Sprintf("certcheck read the certificate of %s over the same port at %s, and peersync has had no answer from it since %s: the node is there. Something in between lets handshakes through and no requests, or its web server hangs", node, plain.Time(read), plain.Time(since))
}
