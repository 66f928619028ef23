package clustersim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"time"
)

// intermediate is a CA between the mesh's root and a node, as enterprises have
// one: servers send it along, and it ends by itself.
type intermediate struct {
	cert *x509.Certificate
	key  *rsa.PrivateKey
}

// newIntermediate has the root sign an issuing CA that ends at an instant. Each
// has a key and a name of its own, so that none vouches for another's leaves.
func (a *authority) newIntermediate(notAfter time.Time) (*intermediate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making the issuing CA's key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	from := a.cert.NotBefore
	if !from.Before(notAfter) { // one that has expired was valid once
		from = notAfter.AddDate(-1, 0, 0)
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Example"}, CommonName: fmt.Sprintf("Simulated Issuing CA %x", serial.Bytes()[:4])},
		NotBefore:             from,
		NotAfter:              notAfter,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("signing the issuing CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the issuing CA back: %w", err)
	}
	return &intermediate{cert, key}, nil
}

// above are the CAs that a node sends with its leaf.
func above(cert *tls.Certificate) []*x509.Certificate {
	var out []*x509.Certificate
	for _, der := range cert.Certificate[1:] {
		if ca, err := x509.ParseCertificate(der); err == nil { // ours always parse
			out = append(out, ca)
		}
	}
	return out
}

// chainsTo tells whether a leaf, by way of the CAs that came with it, was signed
// by one of those believed, each CA in its time.
func chainsTo(believed map[string]*x509.Certificate, cert *x509.Certificate, sent []*x509.Certificate, now time.Time) bool {
	signed := func(by *x509.Certificate) bool {
		return string(by.RawSubject) == string(cert.RawIssuer) && cert.CheckSignatureFrom(by) == nil && !now.Before(by.NotBefore) && !now.After(by.NotAfter)
	}
	for _, ca := range believed {
		if signed(ca) {
			return true
		}
	}
	for i, ca := range sent {
		if signed(ca) && chainsTo(believed, ca, append(append([]*x509.Certificate{}, sent[:i]...), sent[i+1:]...), now) {
			return true
		}
	}
	return false
}
