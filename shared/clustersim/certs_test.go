package clustersim

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// certsNow is the simulated present of the certificate tests.
func certsNow() time.Time { return time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC) }

func newTestAuthority(t *testing.T) *authority {
	t.Helper()
	a, err := newAuthority(certsNow())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issueOrFail(t *testing.T, a *authority, s certSpec) tls.Certificate {
	t.Helper()
	if s.NotBefore.IsZero() {
		s.NotBefore, s.NotAfter = certsNow().AddDate(0, 0, -1), certsNow().AddDate(5, 0, 0)
	}
	cert, err := a.issue(s)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestIssuedCertificateLooksLikeTomcat(t *testing.T) {
	a := newTestAuthority(t)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.PEM()) {
		t.Fatal("ca.pem holds no certificate")
	}
	for _, keyType := range []string{keyRSA, keyECDSA} {
		for _, issuer := range []string{issuerSelf, issuerCA} {
			t.Run(keyType+" signed by "+issuer, func(t *testing.T) {
				cert := issueOrFail(t, a, certSpec{
					CN: "imp-emea-pub-ms.example.com", SANs: []string{"imp-emea-pub.example.com", "192.0.2.10", "2001:db8::10"},
					KeyType: keyType, Issuer: issuer,
				})
				leaf := cert.Leaf
				if len(cert.Certificate) != 1 {
					t.Errorf("chain of %d certificates, want the leaf alone", len(cert.Certificate))
				}
				if leaf.Subject.CommonName != "imp-emea-pub-ms.example.com" {
					t.Errorf("CN %q", leaf.Subject.CommonName)
				}
				if diff := cmp.Diff([]string{"imp-emea-pub.example.com"}, leaf.DNSNames); diff != "" {
					t.Error(diff)
				}
				if len(leaf.IPAddresses) != 2 || !leaf.IPAddresses[0].Equal(net.ParseIP("192.0.2.10")) {
					t.Errorf("IP SANs %v", leaf.IPAddresses)
				}
				if diff := cmp.Diff([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, leaf.ExtKeyUsage); diff != "" {
					t.Error(diff)
				}
				if want := x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment; leaf.KeyUsage&want != want {
					t.Errorf("key usage %b", leaf.KeyUsage)
				}
				if got, want := leaf.KeyUsage&x509.KeyUsageCertSign != 0, issuer == issuerSelf; got != want {
					t.Errorf("may sign certificates: %v, want %v", got, want)
				}
				switch key := leaf.PublicKey.(type) {
				case *rsa.PublicKey:
					if keyType != keyRSA || key.N.BitLen() != 2048 {
						t.Errorf("RSA key of %d bits", key.N.BitLen())
					}
				case *ecdsa.PublicKey:
					if keyType != keyECDSA {
						t.Error("ECDSA key")
					}
				}
				_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "imp-emea-pub.example.com", CurrentTime: certsNow()})
				if (err == nil) != (issuer == issuerCA) {
					t.Errorf("verifying against the mesh's CA: %v", err)
				}
				own := x509.NewCertPool()
				own.AddCert(leaf)
				if _, err := leaf.Verify(x509.VerifyOptions{Roots: own, CurrentTime: certsNow()}); err != nil {
					t.Errorf("verifying against itself as trusted: %v", err)
				}
			})
		}
	}
}

func TestAuthorityIsValidFromADayBefore(t *testing.T) {
	a := newTestAuthority(t)
	if got, want := a.cert.NotBefore, certsNow().AddDate(0, 0, -1); !got.Equal(want) {
		t.Errorf("begins %s, want %s", got, want)
	}
	if a.cert.NotAfter.Before(certsNow().AddDate(9, 0, 0)) {
		t.Errorf("ends %s", a.cert.NotAfter)
	}
}

func TestExpiredCertificateCanBeIssued(t *testing.T) {
	past := certsNow().AddDate(-1, 0, 0)
	cert := issueOrFail(t, newTestAuthority(t), certSpec{
		CN: "x", KeyType: keyECDSA, Issuer: issuerCA, NotBefore: past.AddDate(-1, 0, 0), NotAfter: past,
	})
	if !cert.Leaf.NotAfter.Equal(past) {
		t.Errorf("ends %s, want %s", cert.Leaf.NotAfter, past)
	}
}

func TestRegeneratedCertificateGetsAnotherKey(t *testing.T) {
	a := newTestAuthority(t)
	for _, keyType := range []string{keyRSA, keyECDSA} {
		t.Run(keyType, func(t *testing.T) {
			old := issueOrFail(t, a, certSpec{CN: "x", KeyType: keyType, Issuer: issuerSelf})
			// More rounds than the pool has keys, so that the old one comes round.
			for range 2*rsaPoolSize + 1 {
				renewed := issueOrFail(t, a, certSpec{CN: "x", KeyType: keyType, Issuer: issuerSelf, Avoid: &old})
				if bytes.Equal(renewed.Leaf.RawSubjectPublicKeyInfo, old.Leaf.RawSubjectPublicKeyInfo) {
					t.Fatal("the renewed certificate has the old key")
				}
				if fingerprint(renewed.Leaf) == fingerprint(old.Leaf) {
					t.Fatal("the renewed certificate has the old fingerprint")
				}
				old = renewed
			}
		})
	}
}

func TestRSAKeysComeFromASmallPool(t *testing.T) {
	a := newTestAuthority(t)
	var mu sync.Mutex
	keys := map[string]bool{}
	var wg sync.WaitGroup
	for range 6 * rsaPoolSize {
		wg.Go(func() {
			cert, err := a.issue(certSpec{CN: "x", KeyType: keyRSA, Issuer: issuerSelf, NotBefore: certsNow(), NotAfter: certsNow().AddDate(1, 0, 0)})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			keys[string(cert.Leaf.RawSubjectPublicKeyInfo)] = true
		})
	}
	wg.Wait()
	if len(keys) != rsaPoolSize {
		t.Errorf("%d keys, want %d", len(keys), rsaPoolSize)
	}
}

func TestCertificateThatCannotBeIssued(t *testing.T) {
	a := newTestAuthority(t)
	good := certSpec{CN: "x", KeyType: keyECDSA, Issuer: issuerSelf, NotBefore: certsNow(), NotAfter: certsNow().AddDate(1, 0, 0)}
	if _, err := a.issue(good); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for name, spoil := range map[string]func(*certSpec){
		"no CN":                func(s *certSpec) { s.CN = "" },
		"DSA key":              func(s *certSpec) { s.KeyType = "DSA" },
		"issuer nobody knows":  func(s *certSpec) { s.Issuer = "root" },
		"ends before it began": func(s *certSpec) { s.NotAfter = s.NotBefore },
		"blank SAN":            func(s *certSpec) { s.SANs = []string{"a.example.com", " "} },
	} {
		t.Run(name, func(t *testing.T) {
			bad := good
			spoil(&bad)
			if _, err := a.issue(bad); err == nil {
				t.Error("was issued")
			}
		})
	}
}

func TestFingerprintIsLowercaseSHA256(t *testing.T) {
	got := fingerprint(newTestAuthority(t).cert)
	if hexPart, ok := strings.CutPrefix(got, "sha256:"); !ok || len(hexPart) != 64 || strings.ToLower(hexPart) != hexPart {
		t.Errorf("fingerprint %q", got)
	}
}
