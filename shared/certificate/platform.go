package certificate

import (
	"crypto/x509"

	"peerkeeper/shared/peer"
)

// Holding is what one node's certificate management says that it has.
type Holding struct {
	// Identities are what services serve as, by service, leaf first.
	Identities map[string][]*x509.Certificate
	// Stores are trust stores by the name that people see ("tomcat-trust").
	Stores map[string][]HeldCertificate
	// Unreadable counts the entries that may be anything, by the store or service
	// whose they are. What has one is not known whole, and so is in neither of the
	// above: who looks for a certificate there would miss it.
	Unreadable map[string]int
	// Empty counts the entries of a store whose certificate is empty: nothing is
	// there, and the rest of the store counts.
	Empty map[string]int
	// Cut counts the entries of a store, or the certificates of an identity, beyond
	// the bound. What is not found among the others may be among these.
	Cut map[string]int
}

// HeldCertificate is one certificate in a store, with its file's name.
type HeldCertificate struct {
	File string
	X509 *x509.Certificate
}

// Refused is why a node's certificate management was not read:
// NoCredentials, AccountRejected, ServerCertificateUntrusted, Before14 …
type Refused struct {
	Reason  peer.Reason
	Message string
	Cause   error
}

func (e *Refused) Error() string { return e.Message }

// Unwrap gives the cause, if there is one.
func (e *Refused) Unwrap() error { return e.Cause }
