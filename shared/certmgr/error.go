package certmgr

import (
	"fmt"

	"peerkeeper/shared/plain"
	"peerkeeper/shared/soap"
)

// Reasons of NotAvailable.
const (
	// ReasonNoSuchPath: the node's web server does not know the path, which is
	// how a release before 14 answers [I].
	ReasonNoSuchPath = "noSuchPath"
	// ReasonRefused: nobody listens. Tomcat that is down looks the same, so this
	// says "not now" and nothing about the release.
	ReasonRefused = "refused"
)

// NotAvailable is a node that does not offer the interface.
type NotAvailable struct {
	Node   string
	Reason string
	Cause  *soap.Error
}

func (e *NotAvailable) Error() string {
	switch e.Reason {
	case ReasonRefused:
		return e.Node + ": certificate management refuses connections: " + e.Cause.Error()
	default:
		return e.Node + ": no certificate management here (it came with release 14): " + e.Cause.Error()
	}
}

func (e *NotAvailable) Unwrap() error { return e.Cause }

// ChainError is a node's refusal of certificates whose issuers did not come
// with them. Nothing was added.
type ChainError struct {
	Missing []string // subjects of the issuers that were not sent; the node may hold some of them
	Cause   *soap.Error
}

func (e *ChainError) Error() string {
	return fmt.Sprintf("%s; the chain sent lacks %s", e.Cause, plain.FirstBy(plain.Listed, e.Missing, "; "))
}

func (e *ChainError) Unwrap() error { return e.Cause }

// InputError is a request that was not sent because it could not be right.
type InputError struct{ Reason string }

func (e *InputError) Error() string { return "certificates to trust: " + e.Reason }
