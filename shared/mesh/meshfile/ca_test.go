package meshfile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCAFilesAsPeopleMakeThem: no CA is lost without a word, and one that nobody
// can read is no reason to do without the others.
func TestCAFilesAsPeopleMakeThem(t *testing.T) {
	a, key := newCA(t)
	b, _ := newCA(t)
	const odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	n := strings.Count(a, "\n")
	for _, c := range []struct {
		name, file string
		want       string   // tls.ca
		unread     []string // what is named
		refused    string   // in the error
	}{
		{"two CAs", a + b, a + b, nil, ""},
		{"with a byte order mark", "\ufeff" + a + b, a + b, nil, ""},
		{"with Windows line ends", strings.ReplaceAll(a+b, "\n", "\r\n"), a + b, nil, ""},
		{"joined by cat where the first lacks its last line end", strings.TrimSpace(a) + b, a + b, nil, ""},
		{"the same CA twice", a + b + a, a + b, nil, ""},
		{"one that nobody can read among them", a + odd + b, a + b, []string{fmt.Sprintf(`"ca.pem", line %d: a certificate that cannot be read (x509: malformed certificate)`, n+1)}, ""},
		{"a signing request among them", a + strings.ReplaceAll(odd, "CERTIFICATE", "CERTIFICATE REQUEST"), a, []string{fmt.Sprintf(`"ca.pem", line %d: a PEM block of type "CERTIFICATE REQUEST", which is no certificate`, n+1)}, ""},
		{"the second cut off", a + b[:len(b)/2], "", nil, fmt.Sprintf(`"ca.pem" holds, from line %d, a damaged PEM block`, n+1)},
		{"dashes of a word processor", a + strings.ReplaceAll(b, "-----", "–––––"), "", nil, fmt.Sprintf(`from line %d, a BEGIN line that is not as PEM writes it`, n+1)},
		{"OpenSSL's trusted certificate", a + strings.ReplaceAll(b, " CERTIFICATE", " TRUSTED CERTIFICATE"), "", nil, "openssl x509 -in FILE"},
		{"a key behind the CA", a + key, "", nil, `"ca.pem" holds a private key`},
		{"UTF-16", "\xff\xfe" + strings.Join(strings.Split(a, ""), "\x00"), "", nil, "UTF-16"},
		{"only what nobody can read", odd + odd, "", nil, `holds no certificate that can be read; the first, in line 1: x509`},
		{"a signing request alone", strings.ReplaceAll(odd, "CERTIFICATE", "CERTIFICATE REQUEST"), "", nil, `in line 1 begins a PEM block of type "CERTIFICATE REQUEST"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse("mesh.yaml", []byte(base), files(map[string]string{"ca.pem": c.file}))
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) || !strings.Contains(err.Error(), "clusters[0].tls.ca") || strings.Count(err.Error(), ": ") < 3 {
					t.Errorf("%v, want place, %q and a cure", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Clusters[0].TLS.CA; got != c.want {
				t.Errorf("kept:\n%s\nwant:\n%s", got, c.want)
			}
			if diff := cmp.Diff(c.unread, m.Clusters[0].TLS.Unread); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			// As the functions on AWS get it.
			var out bytes.Buffer
			if err := WriteJSON(&out, m); err != nil {
				t.Fatal(err)
			}
			again, err := parseJSON("mesh.json", out.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if again.Clusters[0].TLS.CA != c.want || !slices.Equal(again.Clusters[0].TLS.Unread, c.unread) {
				t.Errorf("by JSON: %+v", again.Clusters[0].TLS)
			}
		})
	}
	t.Run("thousands that nobody can read", func(t *testing.T) {
		m, err := Parse("mesh.yaml", []byte(base), files(map[string]string{"ca.pem": a + strings.Repeat(odd, 2000)}))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Clusters[0].TLS.Unread; len(got) != 11 || got[10] != "and 1990 more" {
			t.Errorf("%d named: %q", len(got), got[len(got)-1])
		}
	})
}
