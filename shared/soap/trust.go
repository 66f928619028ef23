package soap

import (
	"crypto/x509"
	"errors"
	"fmt"
	"peerkeeper/shared/chain"
	"strings"
	"time"
)

// Trust says which server certificates are believed: a CA pool, pins, or both. The zero value believes none.
type Trust struct {
	Roots *x509.CertPool
	Pins  []string // "sha256:<hex>" of the leaf's DER, as Fingerprint writes it; upper case is accepted
}

// Reasons of a TrustError.
const (
	ReasonExpired           = "expired"
	ReasonIssuerExpired     = "issuerExpired" // a certificate above the leaf is out of its time
	ReasonNotYetValid       = "notYetValid"
	ReasonNameMismatch      = "nameMismatch"
	ReasonUnknownAuthority  = "unknownAuthority"
	ReasonPinMismatch       = "pinMismatch" // only pins are configured, and none is this leaf's
	ReasonNotForServers     = "notForServers"
	ReasonNoTrustConfigured = "noTrustConfigured"
	ReasonNoCertificate     = "noCertificate"
	ReasonInvalid           = "invalid" // any other refusal by crypto/x509: see Cause
)

// TrustError is a certificate that was refused. Nothing was sent to its holder.
type TrustError struct {
	Reason   string
	Name     string // what the certificate had to say
	Leaf     string // fingerprint, empty if none was served
	Subject  string
	Names    []string // that the certificate carries, a few of them
	NotAfter time.Time
	Cause    error
}

func (e *TrustError) Error() string {
	s := "certificate for " + e.Name + ": " + e.Reason
	if e.Leaf != "" {
		s += fmt.Sprintf(" (%s, subject %q, not after %s)", e.Leaf, e.Subject, e.NotAfter.UTC().Format(time.RFC3339))
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *TrustError) Unwrap() error { return e.Cause }

// Verify judges a served chain, leaf first, for name at now. A pinned leaf is accepted whatever else is wrong with it: that is
// how a node with an expired certificate stays readable. Otherwise chain, name and validity must hold. The error is a *TrustError.
func (t Trust) Verify(served []*x509.Certificate, name string, now time.Time) error {
	if t.Roots == nil && len(t.Pins) == 0 {
		return refuse(ReasonNoTrustConfigured, served, name, nil)
	}
	if len(served) == 0 {
		return refuse(ReasonNoCertificate, nil, name, nil)
	}
	leaf := served[0]
	own := chain.Fingerprint(leaf)
	for _, pin := range t.Pins {
		if strings.EqualFold(strings.TrimSpace(pin), own) {
			return nil
		}
	}
	if t.Roots == nil {
		return refuse(ReasonPinMismatch, served, name, nil)
	}
	between := x509.NewCertPool()
	for _, c := range served[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: t.Roots, Intermediates: between, DNSName: name, CurrentTime: now})
	if err == nil {
		return nil
	}
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	reason := ReasonInvalid
	switch {
	case now.After(leaf.NotAfter):
		reason = ReasonExpired
	case now.Before(leaf.NotBefore):
		reason = ReasonNotYetValid
	case errors.As(err, &host):
		reason = ReasonNameMismatch
	case errors.As(err, &authority):
		reason = ReasonUnknownAuthority
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		reason = ReasonIssuerExpired
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		reason = ReasonNotForServers
	}
	return refuse(reason, served, name, err)
}

// VerifyAny is Verify for a server that goes by several names: one of them must hold. The error speaks of the first.
func (t Trust) VerifyAny(served []*x509.Certificate, now time.Time, names ...string) error {
	var first error
	for _, name := range names {
		err := t.Verify(served, name, now)
		var refused *TrustError
		if err == nil || !errors.As(err, &refused) || refused.Reason != ReasonNameMismatch {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// namesTold bounds the names of a certificate that an error repeats.
const namesTold = 3

func refuse(reason string, served []*x509.Certificate, name string, cause error) *TrustError {
	e := &TrustError{Reason: reason, Name: name, Cause: cause}
	if len(served) > 0 {
		e.Leaf, e.Subject, e.NotAfter = chain.Fingerprint(served[0]), plainText(served[0].Subject.String()), served[0].NotAfter
		for _, name := range served[0].DNSNames {
			if len(e.Names) < namesTold {
				e.Names = append(e.Names, plainText(name))
			}
		}
		for _, ip := range served[0].IPAddresses {
			if len(e.Names) < namesTold {
				e.Names = append(e.Names, ip.String())
			}
		}
	}
	return e
}
