package tlsprobe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func parsed(t testing.TB, change ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	return tomcat(t, ECDSA, change...).Leaf
}

// caSigned makes the leaf name another issuer, as far as Inspect looks.
func caSigned(t testing.TB, change ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	leaf := parsed(t, change...)
	leaf.RawIssuer = []byte("an issuer")
	return leaf
}

func TestInspect(t *testing.T) {
	const node = "imp-emea-pub.example.com"
	sans := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames = names }
	}
	weakRSA, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	asCA := func(leaf *x509.Certificate) *x509.Certificate { leaf.RawIssuer = []byte("an issuer"); return leaf }
	sha1 := func(leaf *x509.Certificate, algorithm x509.SignatureAlgorithm) *x509.Certificate {
		leaf.SignatureAlgorithm = algorithm // Go signs nothing with it any more
		return leaf
	}
	expiredRoot := sha1(parsed(t, func(c *x509.Certificate) { c.NotAfter = present().AddDate(0, 0, -1) }), x509.SHA1WithRSA)

	for _, c := range []struct {
		name  string
		chain []*x509.Certificate
		node  string
		now   time.Time
		want  []string // code@depth
	}{
		{"a good CA-signed certificate", []*x509.Certificate{caSigned(t)}, node, present(), nil},
		{"a good self-signed certificate", []*x509.Certificate{parsed(t)}, node, present(), []string{"SelfSigned@0"}},
		{"nothing served", nil, node, present(), nil},
		{"valid to its last second", []*x509.Certificate{caSigned(t)}, node, present().AddDate(1, 0, 0), nil},
		{"expired a second ago", []*x509.Certificate{caSigned(t)}, node, present().AddDate(1, 0, 0).Add(time.Second), []string{"Expired@0"}},
		{"valid from its first second", []*x509.Certificate{caSigned(t)}, node, present().AddDate(-1, 0, 0), nil},
		{"valid from the next second", []*x509.Certificate{caSigned(t)}, node, present().AddDate(-1, 0, 0).Add(-time.Second), []string{"NotYetValid@0"}},
		{"another node's certificate", []*x509.Certificate{caSigned(t)}, "imp-emea-sub.example.com", present(), []string{"NameMismatch@0"}},
		{"case and final dot do not matter", []*x509.Certificate{caSigned(t)}, "IMP-emea-PUB.example.com.", present(), nil},
		{"nobody asks for a name", []*x509.Certificate{caSigned(t, sans())}, "", present(), nil},
		{"name in the CN only", []*x509.Certificate{caSigned(t, sans("other.example.com"))}, node, present(), []string{"NameInCNOnly@0"}},
		{"name in the CN, no SAN at all", []*x509.Certificate{caSigned(t, sans())}, node, present(), []string{"NameInCNOnly@0"}},
		{"bare host name as node name", []*x509.Certificate{caSigned(t)}, "imp-emea-pub", present(), []string{"NameShort@0"}},
		{"bare host name of another node", []*x509.Certificate{caSigned(t)}, "imp-emea-sub", present(), []string{"NameMismatch@0"}},
		{"IP node name with its IP SAN", []*x509.Certificate{caSigned(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("192.0.2.10")} })}, "192.0.2.10", present(), nil},
		{"IPv6 node name with its IP SAN", []*x509.Certificate{caSigned(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("2001:db8::10")} })}, "2001:db8:0::10", present(), nil},
		{"IP node name, another IP SAN", []*x509.Certificate{caSigned(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("192.0.2.11")} })}, "192.0.2.10", present(), []string{"NameMismatch@0"}},
		{"IP node name listed as a DNS name", []*x509.Certificate{caSigned(t, sans("192.0.2.10"))}, "192.0.2.10", present(), []string{"NameMismatch@0"}},
		{"RSA key of 1024 bits", []*x509.Certificate{asCA(signed(t, weakRSA).Leaf)}, node, present(), []string{"WeakKey@0"}},
		{"curve of 224 bits", []*x509.Certificate{asCA(signed(t, p224).Leaf)}, node, present(), []string{"WeakKey@0"}},
		{"SHA-1", []*x509.Certificate{sha1(caSigned(t), x509.SHA1WithRSA)}, node, present(), []string{"WeakSignature@0"}},
		{"MD5", []*x509.Certificate{sha1(caSigned(t), x509.MD5WithRSA)}, node, present(), []string{"WeakSignature@0"}},
		{"SHA-1 under a self-signed leaf", []*x509.Certificate{sha1(parsed(t), x509.SHA1WithRSA)}, node, present(), []string{"WeakSignature@0", "SelfSigned@0"}},
		{"an issuer with SHA-1", []*x509.Certificate{caSigned(t), sha1(caSigned(t), x509.ECDSAWithSHA1)}, node, present(), []string{"WeakSignature@1"}},
		{"an expired root with SHA-1", []*x509.Certificate{caSigned(t), expiredRoot}, node, present(), []string{"Expired@1"}},
		{"an issuer's name is not asked for", []*x509.Certificate{caSigned(t), caSigned(t, sans("ca.example.com"))}, node, present(), nil},
		{"no digital signatures", []*x509.Certificate{caSigned(t, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })}, node, present(), []string{"WrongKeyUsage@0"}},
		{"no key usage extension", []*x509.Certificate{caSigned(t, func(c *x509.Certificate) { c.KeyUsage = 0 })}, node, present(), nil},
		{"client authentication only", []*x509.Certificate{caSigned(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })}, node, present(), []string{"NoServerAuth@0"}},
		{"server authentication only", []*x509.Certificate{caSigned(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })}, node, present(), []string{"NoClientAuth@0"}},
		{"any usage", []*x509.Certificate{caSigned(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })}, node, present(), nil},
		{"no usage extension", []*x509.Certificate{caSigned(t, func(c *x509.Certificate) { c.ExtKeyUsage = nil })}, node, present(), nil},
		{"a usage nobody knows", []*x509.Certificate{caSigned(t, func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 9}}
		})}, node, present(), []string{"NoServerAuth@0", "NoClientAuth@0"}},
		{"multi-server, CN with a domain", []*x509.Certificate{caSigned(t, func(c *x509.Certificate) { c.Subject.CommonName = "imp-emea-pub-ms.example.com" })}, node, present(), []string{"MultiServer@0"}},
		{"multi-server, bare CN", []*x509.Certificate{caSigned(t, func(c *x509.Certificate) { c.Subject.CommonName = "imp-emea-pub-MS" })}, node, present(), []string{"MultiServer@0"}},
		{"everything at once", []*x509.Certificate{caSigned(t, sans("other.example.com"), func(c *x509.Certificate) {
			c.Subject.CommonName, c.NotAfter = "x-ms", present().Add(-time.Hour)
		})}, node, present(), []string{"Expired@0", "NameMismatch@0", "MultiServer@0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, p := range Inspect(Served{Chain: c.chain}, c.node, c.now) {
				got = append(got, fmt.Sprintf("%s@%d", p.Code, p.Depth))
				if p.Subject == "" || p.Detail == "" {
					t.Errorf("%s says nothing: %+v", p.Code, p)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNamesAreListedOnceInOrder(t *testing.T) {
	leaf := parsed(t, func(c *x509.Certificate) {
		c.DNSNames = []string{"imp-b.example.com", "imp-a.example.com", "IMP-B.example.com", "cucm.example.com"}
		c.IPAddresses = []net.IP{net.ParseIP("192.0.2.10"), net.ParseIP("2001:db8::10"), net.ParseIP("192.0.2.10")}
	})
	want := []string{"imp-b.example.com", "imp-a.example.com", "cucm.example.com", "192.0.2.10", "2001:db8::10"}
	if diff := cmp.Diff(want, Names(leaf)); diff != "" {
		t.Error(diff)
	}
}

func TestMessageWithManyNamesStaysReadable(t *testing.T) {
	leaf := caSigned(t, func(c *x509.Certificate) {
		c.DNSNames = nil
		for i := range 60 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("node-%02d.example.com", i))
		}
	})
	problems := Inspect(Served{Chain: []*x509.Certificate{leaf}}, "other.example.com", present())
	if len(problems) != 1 || len(problems[0].Detail) > 250 || !strings.Contains(problems[0].Detail, "60 names") {
		t.Errorf("%+v", problems)
	}
}
