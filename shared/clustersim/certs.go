package clustersim

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The words of the admin interface for a certificate's key and issuer.
const (
	keyRSA     = "RSA"
	keyECDSA   = "ECDSA"
	issuerSelf = "self"
	issuerCA   = "ca"
)

// rsaPoolSize is how many RSA keys all nodes of a mesh share. Two would be
// enough for "a renewed certificate has another key"; four keep two nodes of
// one small cluster apart in most cases.
const rsaPoolSize = 4

// leafKeys is the pool of every mesh of this process: tests make hundreds of
// meshes, and nothing depends on two meshes having different keys of nodes.
var leafKeys = sync.OnceValue(func() *rsaPool { return &rsaPool{} })

// caKeys are those of the meshes' CAs. Handed out in turn, they are different ones
// in meshes that are there at once, so that none trusts another's certificates.
var caKeys = sync.OnceValue(func() *rsaPool { return &rsaPool{} })

// authority is the certificate authority of one simulated mesh, and the pool
// of keys its nodes share. It is safe for concurrent use.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	rsa  *rsaPool
}

// certSpec describes one identity certificate, tomcat or tomcat-ECDSA.
type certSpec struct {
	CN   string
	SANs []string // DNS names, odd ones too, or IP literals, in the order served; the CN is not added
	// OddSANs lets names be empty or blank, as mistyped signing requests have them.
	OddSANs bool
	KeyType string // "RSA" (2048 bits) or "ECDSA" (P-256)
	// The validity is taken as it is: an expired certificate is a scenario.
	NotBefore, NotAfter time.Time
	Issuer              string           // "self" or "ca"
	Negative            bool             // a serial number below zero, which RFC 5280 forbids
	By                  *intermediate    // signs instead of the CA, and is served along; nil for none
	Avoid               *tls.Certificate // the certificate being replaced, whose key must not return; nil for none
}

// newAuthority makes a CA that is valid from a day before now, for ten years.
// The first few cost an RSA key each, some 100 ms; the pool of the nodes' fills as
// certificates are asked for.
func newAuthority(now time.Time) (*authority, error) {
	// RSA, because that is what enterprise CAs sign CUCM certificates with, and
	// a client that only offers RSA signatures must be able to check the chain.
	key, err := caKeys().take(nil)
	if err != nil {
		return nil, fmt.Errorf("making the CA's key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Example"}, CommonName: "Simulated Mesh CA"},
		NotBefore:             now.AddDate(0, 0, -1),
		NotAfter:              now.AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLen:            1, // a node, or one issuing CA above it
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing the CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the CA back: %w", err)
	}
	return &authority{cert: cert, key: key, rsa: leafKeys()}, nil
}

// issue makes one identity certificate. The chain of a CA-signed one holds the
// leaf, and the issuing CA if there is one: servers do not send a root.
func (a *authority) issue(s certSpec) (tls.Certificate, error) {
	template, err := s.template()
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := a.keyFor(s)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key for certificate %q: %w", s.CN, err)
	}
	parent, signer := a.cert, a.key
	switch {
	case s.Issuer == issuerSelf:
		parent, signer = template, key
	case s.By != nil:
		parent, signer = s.By.cert, s.By.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("signing certificate %q: %w", s.CN, err)
	}
	if s.Negative {
		if der, err = negated(der, signer); err != nil {
			return tls.Certificate{}, fmt.Errorf("certificate %q: %w", s.CN, err)
		}
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading certificate %q back: %w", s.CN, err)
	}
	chain := [][]byte{der}
	if s.Issuer == issuerCA && s.By != nil {
		chain = append(chain, s.By.cert.Raw)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, nil
}

// PEM is the CA certificate as ca.pem holds it.
func (a *authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// fingerprint is how mesh.yaml and `trust accept` write a pin.
func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (s certSpec) template() (*x509.Certificate, error) {
	var faults []error
	if s.CN == "" {
		faults = append(faults, errors.New("the CN is empty"))
	}
	if s.KeyType != keyRSA && s.KeyType != keyECDSA {
		faults = append(faults, fmt.Errorf("key type %q is neither RSA nor ECDSA", s.KeyType))
	}
	if s.Issuer != issuerSelf && s.Issuer != issuerCA {
		faults = append(faults, fmt.Errorf("issuer %q is neither self nor ca", s.Issuer))
	}
	if !s.NotBefore.Before(s.NotAfter) {
		faults = append(faults, fmt.Errorf("validity ends (%s) before it begins (%s)", s.NotAfter, s.NotBefore))
	}
	if !s.OddSANs && slices.ContainsFunc(s.SANs, func(san string) bool { return strings.TrimSpace(san) == "" }) {
		faults = append(faults, errors.New("a subject alternative name is empty"))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("certificate %q: %w", s.CN, errors.Join(faults...))
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Example"}, CommonName: s.CN},
		NotBefore:             s.NotBefore,
		NotAfter:              s.NotAfter,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		// ICSA is a client and a server with the same tomcat certificate.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if s.Issuer == issuerSelf {
		// Cisco's self-signed tomcat may sign (seen on servers, not in a document);
		// RFC 5280 then wants CA:TRUE, which is our reading.
		template.KeyUsage |= x509.KeyUsageCertSign
		template.IsCA = true
		template.MaxPathLenZero = true
	}
	for _, san := range s.SANs {
		if ip := net.ParseIP(san); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, san)
		}
	}
	return template, nil
}

func (a *authority) keyFor(s certSpec) (crypto.Signer, error) {
	if s.KeyType == keyECDSA {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // microseconds: no pool, never a repeat
	}
	return a.rsa.take(s.Avoid)
}

// rsaPool hands out RSA keys in turn and makes each when it is first needed, so
// that concurrent callers generate concurrently and a mesh of 90 nodes does not
// generate 90 keys.
type rsaPool struct {
	next  atomic.Uint64
	slots [rsaPoolSize]struct {
		once sync.Once
		key  *rsa.PrivateKey
		err  error
	}
}

func (p *rsaPool) take(avoid *tls.Certificate) (crypto.Signer, error) {
	for {
		slot := &p.slots[p.next.Add(1)%rsaPoolSize]
		slot.once.Do(func() { slot.key, slot.err = rsa.GenerateKey(rand.Reader, 2048) })
		if slot.err != nil {
			return nil, slot.err
		}
		if !hasKey(avoid, slot.key) {
			return slot.key, nil
		}
	}
}

func hasKey(cert *tls.Certificate, key *rsa.PrivateKey) bool {
	if cert == nil {
		return false
	}
	signer, ok := cert.PrivateKey.(crypto.Signer)
	return ok && key.PublicKey.Equal(signer.Public())
}

// negated is a certificate with the sign of its serial number turned, signed
// again: crypto/x509 makes none itself.
func negated(der []byte, signer crypto.Signer) ([]byte, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	tbs, serial := bytes.Clone(cert.RawTBSCertificate), cert.SerialNumber.Bytes()
	at := bytes.Index(tbs, serial)
	if at < 0 {
		return nil, errors.New("no serial number to turn")
	}
	tbs[at] |= 0x80 // newSerial leaves the bit clear
	sum := sha256.Sum256(tbs)
	signature, err := signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	algorithm := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: asn1.NullRawValue} // sha256WithRSAEncryption
	if _, ec := signer.Public().(*ecdsa.PublicKey); ec {
		algorithm = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}} // ecdsa-with-SHA256
	}
	return asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
}

func newSerial() (*big.Int, error) {
	var raw [16]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return nil, fmt.Errorf("certificate serial: %w", err)
	}
	raw[0] &= 0x7f // positive in DER within 16 bytes
	if bytes.Equal(raw[:], make([]byte, len(raw))) {
		raw[len(raw)-1] = 1 // RFC 5280: not zero
	}
	return new(big.Int).SetBytes(raw[:]), nil
}
