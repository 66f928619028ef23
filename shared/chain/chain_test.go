package chain_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/chain"
	"peerkeeper/shared/mesh"
)

func noon() time.Time { return time.Date(2026, 6, 2, 12, 0, 0, 0, time.UTC) }

type ca struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

type wish struct {
	cn    string
	by    *ca // nil: itself
	key   *ca // whose key it has; nil: a new one
	days  int // from noon to its end
	leaf  bool
	begin int // days from noon to its beginning
}

func issue(t testing.TB, w wish) *ca {
	t.Helper()
	var key *ecdsa.PrivateKey
	if w.key != nil {
		key = w.key.key
	} else {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	from := noon().AddDate(-2, 0, 0)
	if w.begin != 0 {
		from = noon().AddDate(0, 0, w.begin)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: w.cn}, NotBefore: from, NotAfter: noon().AddDate(0, 0, w.days),
		BasicConstraintsValid: true, IsCA: !w.leaf, KeyUsage: x509.KeyUsageCertSign,
	}
	if w.leaf {
		template.KeyUsage = x509.KeyUsageDigitalSignature
	}
	parent, signer := template, key
	if w.by != nil && w.by.cert.Subject.CommonName == w.cn {
		template.AuthorityKeyId = w.by.cert.SubjectKeyId // which Go leaves out where the names are one
	}
	if w.by != nil {
		parent, signer = w.by.cert, w.by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &ca{cert, key}
}

func certs(list ...*ca) []*x509.Certificate {
	var out []*x509.Certificate
	for _, c := range list {
		out = append(out, c.cert)
	}
	return out
}

func told(e chain.End) string {
	if e.At.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%d %s", int(e.At.Sub(noon()).Hours()/24), e.By.Subject.CommonName)
}

// TestWhatEndsFirst: in the chain that a leaf needs, and among the roots by
// which Peerkeeper sees.
func TestWhatEndsFirst(t *testing.T) {
	root := issue(t, wish{cn: "Root", days: 3000})
	short := issue(t, wish{cn: "Root", key: root, days: 5}) // the same CA, its former certificate
	issuing := issue(t, wish{cn: "Issuing", by: root, days: 5})
	renewed := issue(t, wish{cn: "Issuing", key: issuing, by: root, days: 900})
	leaf := issue(t, wish{cn: "leaf", by: issuing, days: 368, leaf: true})
	direct := issue(t, wish{cn: "leaf", by: root, days: 368, leaf: true})
	other := issue(t, wish{cn: "Other Root", days: 4000})
	cross := issue(t, wish{cn: "Issuing", key: issuing, by: other, days: 900})
	tomorrow := issue(t, wish{cn: "Issuing", key: issuing, by: root, days: 900, begin: 1})
	impostor := issue(t, wish{cn: "Issuing", by: root, days: 900})
	policy := issue(t, wish{cn: "Policy", by: root, days: 3})
	deep := issue(t, wish{cn: "Deep", by: policy, days: 50})
	bottom := issue(t, wish{cn: "leaf", by: deep, days: 368, leaf: true})
	own := issue(t, wish{cn: "own", days: 368, leaf: true})
	over := issue(t, wish{cn: "Over", by: root, days: -3})
	under := issue(t, wish{cn: "leaf", by: over, days: 368, leaf: true})
	for _, c := range []struct {
		name          string
		leaf          *ca
		known         chain.Known
		between, root string
	}{
		{"self-signed", own, chain.Known{Trusted: certs(root)}, "-", "-"},
		{"signed by a root that lasts", direct, chain.Known{Trusted: certs(root)}, "-", "3000 Root"},
		{"signed by a root that ends", direct, chain.Known{Trusted: certs(short)}, "-", "5 Root"},
		{"the root's renewed certificate is there too", direct, chain.Known{Trusted: certs(short, root)}, "-", "3000 Root"},
		{"an unrelated root ends", direct, chain.Known{Trusted: certs(root, other)}, "-", "3000 Root"},
		{"the root is nobody's here", direct, chain.Known{Trusted: certs(other)}, "-", "-"},
		{"an intermediate in use ends", leaf, chain.Known{Served: certs(issuing), Trusted: certs(root)}, "5 Issuing", "-"},
		{"the intermediate is not served and known from tls.ca", leaf, chain.Known{Trusted: certs(issuing, root)}, "5 Issuing", "-"},
		{"the intermediate is not served and known from a store", leaf, chain.Known{Trusted: certs(root), Others: certs(issuing)}, "5 Issuing", "-"},
		{"its renewal is served beside it", leaf, chain.Known{Served: certs(issuing, renewed), Trusted: certs(root)}, "900 Issuing", "900 Issuing"},
		{"its renewal is in tls.ca", leaf, chain.Known{Served: certs(issuing), Trusted: certs(root, renewed)}, "900 Issuing", "900 Issuing"},
		{"its renewal is known from a store only", leaf, chain.Known{Served: certs(issuing), Trusted: certs(root), Others: certs(renewed)}, "5 Issuing", "-"},
		{"its renewal begins tomorrow", leaf, chain.Known{Served: certs(issuing, tomorrow), Trusted: certs(root)}, "5 Issuing", "-"},
		{"another CA of its name", leaf, chain.Known{Served: certs(issuing, impostor), Trusted: certs(root)}, "5 Issuing", "-"},
		{"a way to another trusted root", leaf, chain.Known{Served: certs(issuing, cross), Trusted: certs(root, other)}, "900 Issuing", "900 Issuing"},
		{"a way to a root that nobody trusts", leaf, chain.Known{Served: certs(issuing, cross, other), Trusted: certs(root)}, "5 Issuing", "-"},
		{"two intermediates, the upper one ends first", bottom, chain.Known{Served: certs(deep, policy), Trusted: certs(root)}, "3 Policy", "-"},
		{"a chain that leads nowhere", bottom, chain.Known{Served: certs(deep)}, "50 Deep", "-"},
		{"an intermediate that is over", under, chain.Known{Served: certs(over), Trusted: certs(root)}, "-3 Over", "-"},
		{"the root is served, and nothing is trusted", leaf, chain.Known{Served: certs(issuing, root)}, "5 Issuing", "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			between, root := chain.Ends(c.leaf.cert, c.known, noon())
			if c.root == "900 Issuing" {
				c.root = "-" // what ends first is no root
			}
			if told(between) != c.between || told(root) != c.root {
				t.Errorf("chain %s, root %s; want %s, %s", told(between), told(root), c.between, c.root)
			}
		})
	}
}

// TestAChainThatGoesRound: certificates that vouch for each other cost a bounded
// number of signatures.
func TestAChainThatGoesRound(t *testing.T) {
	a := issue(t, wish{cn: "A", days: 100})
	b := issue(t, wish{cn: "B", days: 100})
	var all []*ca
	for range 8 {
		all = append(all, issue(t, wish{cn: "A", key: a, by: b, days: 9}), issue(t, wish{cn: "B", key: b, by: a, days: 8}))
	}
	leaf := issue(t, wish{cn: "leaf", by: a, days: 300, leaf: true})
	done := time.Now()
	between, root := chain.Ends(leaf.cert, chain.Known{Served: certs(all...), Trusted: certs(a)}, noon())
	if took := time.Since(done); took > time.Minute {
		t.Errorf("took %s", took)
	}
	if told(root) != "100 A" {
		t.Errorf("chain %s, root %s", told(between), told(root))
	}
}

func TestSelfSigned(t *testing.T) {
	root := issue(t, wish{cn: "Root", days: 100})
	// A CA that was given a new key, vouched for by its former one.
	rolled := issue(t, wish{cn: "Root", by: root, days: 100})
	noKey := *root.cert
	noKey.SubjectKeyId = nil
	for _, c := range []struct {
		name string
		cert *x509.Certificate
		want bool
	}{
		{"a root", root.cert, true},
		{"a root without a key identifier of its own", &noKey, true},
		{"a leaf", issue(t, wish{cn: "leaf", by: root, days: 9, leaf: true}).cert, false},
		{"a root's new key, signed by its former one", rolled.cert, false},
	} {
		if got := chain.SelfSigned(c.cert); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestFingerprintIsHowAPinIsWritten(t *testing.T) {
	leaf := issue(t, wish{cn: "imp-emea-pub.example.com", days: 30, leaf: true}).cert
	got := chain.Fingerprint(leaf)
	if digits, ok := strings.CutPrefix(got, "sha256:"); !ok || len(digits) != 64 || digits != strings.ToLower(digits) {
		t.Errorf("%q", got)
	}
	if pin, err := mesh.ParseFingerprint(got); err != nil || pin != got {
		t.Errorf("mesh.yaml reads it as %q, %v", pin, err)
	}
}
