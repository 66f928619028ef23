package pemfile_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/pemfile"
)

func ca(t testing.TB, cn string) (text string, der []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: cn}, NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(2e9, 0), IsCA: true, BasicConstraintsValid: true}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), der
}

// told is what became of each BEGIN: "2 certificate A" or "2 damaged".
func told(blocks []pemfile.Block) []string {
	var out []string
	for _, b := range blocks {
		s := fmt.Sprintf("%d %s", b.Line, b.Kind)
		if b.Certificate != nil {
			s += " " + b.Certificate.Subject.CommonName
		}
		if (b.Problem == "") != (b.Kind == pemfile.Certificate) || (b.Problem == "") != (b.Cure == "") {
			s += " WITHOUT WORDS"
		}
		out = append(out, s)
	}
	return out
}

// TestEveryBeginIsAccountedFor: with its line, whatever people do to a file of
// CAs on its way.
func TestEveryBeginIsAccountedFor(t *testing.T) {
	a, derA := ca(t, "A")
	b, derB := ca(t, "B")
	n := strings.Count(a, "\n") // lines of one
	two := []string{"1 certificate A", fmt.Sprintf("%d certificate B", n+1)}
	utf16of := func(s string, low bool) string {
		var out []byte
		for _, u := range utf16.Encode([]rune("\ufeff" + s)) {
			if low {
				out = append(out, byte(u), byte(u>>8))
			} else {
				out = append(out, byte(u>>8), byte(u))
			}
		}
		return string(out)
	}
	trusted := string(pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: append(bytes.Clone(derA), 0x30, 0x0c, 0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 1)}))
	odd := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("hello")}))
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"as openssl writes it", a + b, two},
		{"with a byte order mark", "\ufeff" + a + b, two},
		{"with a byte order mark before each", "\ufeff" + a + "\ufeff" + b, two},
		{"Windows line ends", strings.ReplaceAll(a+b, "\n", "\r\n"), two},
		{"line ends of old", strings.ReplaceAll(a+b, "\n", "\r"), two},
		{"joined where the first lacks its last line end", strings.TrimSuffix(a, "\n") + b, []string{"1 certificate A", fmt.Sprintf("%d certificate B", n)}},
		{"comments", "# A\n" + a + "subject=B\n" + b, []string{"2 certificate A", fmt.Sprintf("%d certificate B", n+3)}},
		{"a comment that speaks of a begin", "# BEGIN of the list\n" + a, []string{"2 certificate A"}},
		{"indented", "  " + strings.ReplaceAll(a, "\n", "\n  ") + "\n", []string{"1 certificate A"}},
		{"blanks behind the lines", strings.ReplaceAll(a, "\n", " \t\n"), []string{"1 certificate A"}},
		{"empty lines within", strings.ReplaceAll(a, "\n", "\n\n"), []string{"1 certificate A"}},
		{"all in one line", strings.ReplaceAll(a, "\n", " "), []string{"1 certificate A"}},
		{"headers within", strings.Replace(a, "-----\n", "-----\nSubject: A\n\n", 1), []string{"1 certificate A"}},
		{"the label of old", strings.ReplaceAll(a, "CERTIFICATE", "X509 CERTIFICATE"), []string{"1 certificate A"}},
		{"the same twice", a + a, []string{"1 certificate A", fmt.Sprintf("%d certificate A", n+1)}},
		{"cut off", a + b[:len(b)/2], []string{"1 certificate A", fmt.Sprintf("%d damaged", n+1)}},
		{"the END lost", strings.Replace(a, "-----END CERTIFICATE-----\n", "", 1) + b, []string{"1 damaged", fmt.Sprintf("%d certificate B", n)}},
		{"the BEGIN lost", a + strings.Replace(b, "-----BEGIN CERTIFICATE-----\n", "", 1), []string{"1 certificate A", fmt.Sprintf("%d damaged", 2*n-1)}},
		{"four hyphens behind BEGIN", strings.Replace(a, "CERTIFICATE-----\n", "CERTIFICATE----\n", 1) + b, []string{"1 damaged", fmt.Sprintf("%d certificate B", n+1)}},
		{"four hyphens before BEGIN", strings.Replace(a, "-----BEGIN", "----BEGIN", 1) + b, []string{"1 damaged", fmt.Sprintf("%d damaged", n), fmt.Sprintf("%d certificate B", n+1)}},
		{"dashes of a word processor", strings.ReplaceAll(a, "-----", "–––––") + b, []string{"1 damaged", fmt.Sprintf("%d certificate B", n+1)}},
		{"a letter that is no Base64", strings.Replace(a, "MII", "M!I", 1) + b, []string{"1 damaged", fmt.Sprintf("%d certificate B", n+1)}},
		{`\n where line ends belong`, strings.ReplaceAll(strings.TrimSpace(a), "\n", `\n`), []string{"1 damaged"}},
		{"nothing within", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" + a, []string{"1 damaged", "3 certificate A"}},
		{"no X.509 within", odd + a, []string{"1 unparsable", "4 certificate A"}},
		{"OpenSSL's trusted certificate", trusted + b, []string{"1 trusted A", fmt.Sprintf("%d certificate B", strings.Count(trusted, "\n")+1)}},
		{"a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + a, []string{"1 private key", "4 certificate A"}},
		{"a key that is cut off", a + "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA", []string{"1 certificate A", fmt.Sprintf("%d private key", n+1)}},
		{"a signing request", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n" + a, []string{"1 other", "4 certificate A"}},
		{"PKCS #7", "-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", []string{"1 container"}},
		{"UTF-16 of Windows", utf16of(a, true), []string{"1 not PEM"}},
		{"UTF-16 the other way round", utf16of(a, false), []string{"1 not PEM"}},
		{"UTF-16 without its mark", utf16of(a, true)[2:], []string{"1 not PEM"}},
		{"DER", string(derB), []string{"1 not PEM"}},
		{"Base64 alone", base64.StdEncoding.EncodeToString(derA), []string{"1 not PEM"}},
		{"nothing", "", []string{"1 not PEM"}},
		{"words", "the CA is on the share\n", []string{"1 not PEM"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, told(pemfile.Read([]byte(c.text)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestWhatIsWrongIsSaid: with what mends it, and without what stands within.
func TestWhatIsWrongIsSaid(t *testing.T) {
	_, der := ca(t, "A")
	for _, c := range []struct{ name, text, problem, cure string }{
		{"DER", string(der), "DER", "openssl x509 -inform DER"},
		{"UTF-16", "\xff\xfe-\x00", "UTF-16", "iconv"},
		{"PKCS #7", "-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", "PKCS7", "openssl pkcs7"},
		{"a key", "-----BEGIN RSA PRIVATE KEY-----\nsecret0\n-----END RSA PRIVATE KEY-----\n", "private key", "elsewhere"},
		{"a PKCS #12", "\x30\x82\x01\x02xxxxx", "binary", "openssl pkcs12"},
	} {
		b := pemfile.Read([]byte(c.text))[0]
		if !strings.Contains(b.Problem, c.problem) || !strings.Contains(b.Cure, c.cure) || strings.Contains(b.Problem+b.Cure, "secret0") {
			t.Errorf("%s: %q, cure %q", c.name, b.Problem, b.Cure)
		}
	}
}

func TestCertificatesAreThoseThatCanBeRead(t *testing.T) {
	a, _ := ca(t, "A")
	b, _ := ca(t, "B")
	got := pemfile.Certificates([]byte(a + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + b + a))
	if len(got) != 2 || got[0].Subject.CommonName != "A" || got[1].Subject.CommonName != "B" {
		t.Errorf("%d certificates", len(got))
	}
}

// FuzzRead: nothing of a text is lost. What encoding/pem finds is found here, as
// often, and each BEGIN has a block with a line within the text.
func FuzzRead(f *testing.F) {
	a, der := ca(f, "A")
	for _, s := range []string{"", a, a + a, "\ufeff" + a, strings.TrimSpace(a) + a, strings.ReplaceAll(a, "\n", "\r\n"), string(der), "-----BEGIN X-----\n-----END X-----\n", "-----BEGIN ", "-----END X-----", "–BEGIN"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		blocks := pemfile.Read(text)
		begins := bytes.Count(text, []byte("-----BEGIN "))
		seen, last := 0, 0
		certs := map[string]bool{}
		for _, b := range blocks {
			if b.Line < last || b.Line < 1 || b.Line > 1+bytes.Count(text, []byte("\n"))+bytes.Count(text, []byte("\r")) {
				t.Errorf("line %d after %d", b.Line, last)
			}
			last = b.Line
			if (b.Kind == pemfile.Certificate) != (b.Problem == "") || b.Kind == pemfile.Certificate && b.Certificate == nil {
				t.Errorf("%+v", b)
			}
			if b.Kind == pemfile.Certificate {
				certs[string(b.DER)] = true
			}
			seen++
		}
		if len(blocks) == 0 || blocks[0].Kind != pemfile.NotPEM && seen < begins {
			t.Errorf("%d blocks of %d BEGINs", seen, begins)
		}
		if blocks[0].Kind == pemfile.NotPEM {
			return
		}
		for rest := text; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if _, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" && !certs[string(block.Bytes)] {
				t.Errorf("encoding/pem finds a certificate that is lost here")
			}
		}
	})
}
