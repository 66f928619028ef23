package tlsprobe

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/chain"
	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/plain"
)

// Code names one kind of problem of a served certificate.
type Code string

const (
	Expired       Code = "Expired"
	NotYetValid   Code = "NotYetValid"
	NameMismatch  Code = "NameMismatch"  // the node name is in no SAN
	NameInCNOnly  Code = "NameInCNOnly"  // the node name is the CN, but in no SAN
	NameShort     Code = "NameShort"     // the node name is a bare host name, and a SAN holds it with a domain
	WeakKey       Code = "WeakKey"       // RSA below 2048 bits, elliptic curve below 256
	WeakSignature Code = "WeakSignature" // MD2, MD5 or SHA-1
	WrongKeyUsage Code = "WrongKeyUsage" // may not sign, which every modern handshake needs
	NoServerAuth  Code = "NoServerAuth"  // extended key usage without server authentication
	NoClientAuth  Code = "NoClientAuth"  // information: a node that is a client of its peers may be refused by them
	SelfSigned    Code = "SelfSigned"    // information: Cisco's default
	MultiServer   Code = "MultiServer"   // information: one certificate for all nodes of the cluster
)

// Problem is one observation about one certificate of a chain.
type Problem struct {
	Code    Code
	Depth   int    // 0 is the leaf
	Subject string // CN, or the whole subject where there is none
	Detail  string // in words a UC engineer understands
}

const (
	minRSABits = 2048
	minECBits  = 256
)

// Inspect judges a served chain against the node's name at one instant: the leaf
// in everything, the others in validity, key and signature. It asks no trust
// store, so it cannot say that a chain is trusted. name is the node name as in
// Presence Topology, a DNS name or an IP address; "" asks nothing about names.
// Without a parsable leaf there is nothing to judge.
func Inspect(s Served, name string, now time.Time) []Problem {
	leaf := s.Leaf()
	if leaf == nil {
		return nil
	}
	var problems []Problem
	for depth, cert := range s.Chain {
		problems = append(problems, inspectValidity(cert, depth, now)...)
		problems = append(problems, inspectStrength(cert, depth)...)
	}
	problems = append(problems, inspectName(leaf, name)...)
	problems = append(problems, inspectUsage(leaf)...)
	if chain.SelfSigned(leaf) {
		problems = append(problems, problem(SelfSigned, leaf, 0, "the certificate is self-signed"))
	}
	if IsMultiServer(leaf) {
		problems = append(problems, problem(MultiServer, leaf, 0, "a multi-server certificate with %d names", len(Names(leaf))))
	}
	return problems
}

func problem(code Code, cert *x509.Certificate, depth int, format string, args ...any) Problem {
	subject := cert.Subject.CommonName
	if subject == "" {
		subject = cert.Subject.String()
	}
	return Problem{Code: code, Depth: depth, Subject: subject, Detail: fmt.Sprintf(format, args...)}
}

func inspectValidity(cert *x509.Certificate, depth int, now time.Time) []Problem {
	switch {
	case now.After(cert.NotAfter):
		return []Problem{problem(Expired, cert, depth, "expired on %s", cert.NotAfter.UTC().Format(time.RFC3339))}
	case now.Before(cert.NotBefore):
		return []Problem{problem(NotYetValid, cert, depth, "is valid from %s", cert.NotBefore.UTC().Format(time.RFC3339))}
	}
	return nil
}

func inspectStrength(cert *x509.Certificate, depth int) []Problem {
	var problems []Problem
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits {
			problems = append(problems, problem(WeakKey, cert, depth, "RSA key of %d bits", bits))
		}
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits < minECBits {
			problems = append(problems, problem(WeakKey, cert, depth, "elliptic curve of %d bits", bits))
		}
	}
	if depth > 0 && chain.SelfSigned(cert) {
		return problems // a root is trusted by itself, never by its signature
	}
	switch cert.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		problems = append(problems, problem(WeakSignature, cert, depth, "signed with %s", cert.SignatureAlgorithm))
	}
	return problems
}

func inspectName(leaf *x509.Certificate, name string) []Problem {
	name = strings.TrimSuffix(name, ".")
	if name == "" || leaf.VerifyHostname(name) == nil {
		return nil
	}
	_, notIP := netip.ParseAddr(name)
	for _, san := range leaf.DNSNames {
		switch {
		case notIP == nil && san == name:
			return []Problem{problem(NameMismatch, leaf, 0, "%s is listed as a DNS name, not as an IP address", name)}
		case notIP != nil && !strings.Contains(name, ".") && hostOf(san) == strings.ToLower(name):
			return []Problem{problem(NameShort, leaf, 0, "the node name %s has no domain; the certificate holds %s", name, san)}
		}
	}
	if strings.EqualFold(leaf.Subject.CommonName, name) {
		return []Problem{problem(NameInCNOnly, leaf, 0, "%s is the CN but no subject alternative name", name)}
	}
	return []Problem{problem(NameMismatch, leaf, 0, "%s is not among %s", name, someOf(Names(leaf)))}
}

// someOf keeps a message readable: a multi-server certificate names every node.
func someOf(names []string) string {
	const shown = 6
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = plain.Word(n, 120)
	}
	switch {
	case len(names) == 0:
		return "the names, there are none"
	case len(names) > shown:
		return fmt.Sprintf("the %d names %s, …", len(names), strings.Join(quoted[:shown], ", "))
	}
	return "the names " + strings.Join(quoted, ", ")
}

func hostOf(fqdn string) string {
	host, _, _ := strings.Cut(fqdn, ".")
	return strings.ToLower(host)
}

func inspectUsage(leaf *x509.Certificate) []Problem {
	var problems []Problem
	// A certificate without the extension may be used for anything.
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		problems = append(problems, problem(WrongKeyUsage, leaf, 0, "key usage does not allow digital signatures"))
	}
	if len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) == 0 {
		return problems
	}
	allows := func(usage x509.ExtKeyUsage) bool {
		return slices.Contains(leaf.ExtKeyUsage, usage) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny)
	}
	if !allows(x509.ExtKeyUsageServerAuth) {
		problems = append(problems, problem(NoServerAuth, leaf, 0, "extended key usage does not allow server authentication"))
	}
	if !allows(x509.ExtKeyUsageClientAuth) {
		problems = append(problems, problem(NoClientAuth, leaf, 0, "extended key usage does not allow client authentication"))
	}
	return problems
}

// IsMultiServer reports Cisco's multi-server certificate, by the suffix -ms that
// it gives the CN: of the host name where the CN has a domain.
func IsMultiServer(leaf *x509.Certificate) bool {
	cn := strings.ToLower(leaf.Subject.CommonName)
	return strings.HasSuffix(cn, "-ms") || strings.HasSuffix(hostOf(cn), "-ms")
}

// Names lists all subject alternative names that ICSA resolves: DNS names, then
// IP addresses, each in the certificate's order and once.
func Names(leaf *x509.Certificate) []string {
	seen := make(map[string]bool)
	var names []string
	add := func(name string) {
		if key := dnsname.Canonical(name); !seen[key] {
			seen[key] = true
			names = append(names, name)
		}
	}
	for _, name := range leaf.DNSNames {
		add(name)
	}
	for _, ip := range leaf.IPAddresses {
		add(ip.String())
	}
	return names
}
