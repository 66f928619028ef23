package cluster

import (
	"errors"
	"fmt"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/tlsprobe"
)

// handshakes says of each end of a handshake what it is called and what to do
// about it. Menus are those of Cisco Unified OS Administration.
var handshakes = map[tlsprobe.Reason]struct {
	reason peer.Reason
	cure   string
}{
	tlsprobe.NoCommonSuite:             {peer.NoCommonCipherSuite, "In " + procedure.CipherManagement + " leave an AES suite (ECDHE or RSA, with GCM or SHA) in All TLS, and restart Cisco Tomcat. 3DES and RC4 are not offered to it"},
	tlsprobe.ProtocolTooOld:            {peer.ProtocolTooOld, "Set TLS 1.2 as its minimum TLS version (command line: set tls min-version 1.2), or upgrade it. No password is sent over anything older"},
	tlsprobe.Unparsable:                {peer.CertificateUnparsable, "Have its tomcat certificate issued again (" + procedure.CertificateManagement + "); a pin does not help, for nothing of it can be read"},
	tlsprobe.ChainTooBig:               {peer.ChainTooBig, "Look at what it serves: the chain is longer than any lawful one"},
	tlsprobe.Reset:                     {peer.ClosedInHandshake, "Look at what stands in front of it (load balancer, inspecting firewall) and at Cisco Tomcat on it: it took the connection and closed it after the first packet"},
	tlsprobe.ClientCertificateRequired: {peer.ClientCertificateRequired, "Peerkeeper has no client certificate. Turn the demand off on whatever stands in front of it, or on the node (certificate-based log-in of the web server)"},
	tlsprobe.NotTLS:                    {peer.NotTLS, "The address in mesh.yaml leads to a port without TLS, or a proxy answers in its place: it must be the node's 8443"},
}

// refusedTLS is the reason of a node that takes the connection and refuses TLS;
// ok is false for any other error.
func refusedTLS(err error) (why peer.Reason, cure string, ok bool) {
	var e *soap.HandshakeError
	if !errors.As(err, &e) {
		return "", "", false
	}
	if h, known := handshakes[e.Reason]; known {
		return h.reason, h.cure, true
	}
	return peer.HandshakeFailed, "Read what the node's Cisco Tomcat logs at this minute", true
}

// explain is an error as a person reads it: what happened, and what to do where
// that does not follow from what happened.
func explain(err error) string {
	if _, cure, ok := refusedTLS(err); ok {
		return err.Error() + ". " + cure
	}
	if cure := untrustedCure(err); cure != "" {
		return err.Error() + ". " + cure
	}
	switch soap.KindOf(err) {
	case soap.Forbidden:
		return forbidden(err)
	case soap.VersionRefused:
		return err.Error() + ". It takes none of the AXL versions from 15.0 down to 8.0: look at what answers there in the place of Cisco AXL Web Service"
	}
	return err.Error()
}

// untrustedCure says what to do about a certificate that carries other names than
// the one that mesh.yaml leads to expect; "" for any other error. Whether it is
// the right node is for a person to say, which is why nothing is guessed.
func untrustedCure(err error) string {
	var t *soap.TrustError
	if !errors.As(err, &t) || t.Reason != soap.ReasonNameMismatch {
		return ""
	}
	if len(t.Names) == 0 {
		return "Its certificate carries no name: have one issued that does"
	}
	return fmt.Sprintf("Its certificate carries %s. If that is this node, write `tlsName: %s` beside its name in mesh.yaml; where all bare names stand in one DNS domain, `dnsDomain:` at the top does it for all", plain.List(t.Names), t.Names[0])
}

// forbidden says what an HTTP 403 may mean. Nobody can tell from outside which of
// these it is, so that none is said to be the case.
func forbidden(err error) string {
	return fmt.Sprintf("%v. That may be: the account lacks the role (Standard AXL API Access or Standard AXL Read Only API Access; for services a Serviceability role); the node does not trust the host name or address by which it is asked (12.5 and later); the account is locked", err)
}
