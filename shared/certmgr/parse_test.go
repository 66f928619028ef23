package certmgr

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"peerkeeper/shared/chain"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func names(b Bundle) []string {
	out := []string{}
	for _, c := range b.Certificates {
		out = append(out, c.X509.Subject.CommonName)
	}
	return out
}

func reasons(b Bundle) []string {
	out := []string{}
	for _, u := range b.Unreadable {
		out = append(out, fmt.Sprintf("%s#%d %s", u.File, u.Index, u.Reason))
	}
	return out
}

func TestPEMBundles(t *testing.T) {
	a, b := issue(t, "a.example.com", nil), issue(t, "b.example.com", nil)
	damaged := strings.Replace(b.PEM(), "MII", "%%%", 1)
	cut := b.PEM()[:len(b.PEM())/2]
	notX509 := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("hello")}))
	for _, tc := range []struct {
		name, text    string
		names, faults []string
	}{
		{"one", a.PEM(), []string{"a.example.com"}, nil},
		{"two", a.PEM() + b.PEM(), []string{"a.example.com", "b.example.com"}, nil},
		{"comments around", "subject=a\n" + a.PEM() + "\nsubject=b\n" + b.PEM() + "end\n", []string{"a.example.com", "b.example.com"}, nil},
		{"Windows line ends", strings.ReplaceAll(a.PEM()+b.PEM(), "\n", "\r\n"), []string{"a.example.com", "b.example.com"}, nil},
		{"damaged one between", a.PEM() + damaged + a.PEM(), []string{"a.example.com", "a.example.com"}, []string{"x#1 damaged PEM block"}},
		{"cut off", a.PEM() + cut, []string{"a.example.com"}, []string{"x#1 damaged PEM block"}},
		{"no X.509 within", notX509 + a.PEM(), []string{"a.example.com"}, []string{"x#0 x509: malformed certificate"}},
		{"a key among them", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n" + a.PEM(), []string{"a.example.com"}, []string{`x#0 a PEM block of type "EC PRIVATE KEY"`}},
		{"bare base64", base64.StdEncoding.EncodeToString(a.Leaf.Raw), []string{"a.example.com"}, nil},
		{"words", "no certificate!", nil, []string{"x#0 no PEM block"}},
		{"nothing", " \n", nil, []string{"x#0 empty"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := parsePEM("x", tc.text)
			if diff := cmp.Diff(append([]string{}, tc.names...), names(got)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(append([]string{}, tc.faults...), reasons(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := parsePEM("", notX509); !strings.HasPrefix(got.Unreadable[0].Fingerprint, "sha256:") {
		t.Errorf("whole PEM without X.509 has no fingerprint: %+v", got.Unreadable)
	}
}

func marshal(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTrustForms(t *testing.T) {
	a, b := issue(t, "a.example.com", nil), issue(t, "b.example.com", nil)
	type one map[string]any
	for _, tc := range []struct {
		name, body    string
		names, faults []string
		refused       bool
	}{
		{"object", marshal(t, one{"certificates": []one{{"certificate": a.PEM()}, {"certificate": b.PEM()}}}), []string{"a.example.com", "b.example.com"}, nil, false},
		{"bare list", marshal(t, []one{{"certificate": a.PEM()}, {"certificate": b.PEM()}}), []string{"a.example.com", "b.example.com"}, nil, false},
		{"list of texts", marshal(t, []string{a.PEM(), b.PEM()}), []string{"a.example.com", "b.example.com"}, nil, false},
		{"many in one text", marshal(t, one{"certificates": []one{{"certificate": a.PEM() + b.PEM()}}}), []string{"a.example.com", "b.example.com"}, nil, false},
		{"bad ones among them", marshal(t, []any{one{"certificate": a.PEM()}, 5, one{"certificate": nil}, one{"certificate": ""}, "", one{"filename": "y.pem"}, one{"certificate": []int{1}}, one{"certificate": "x", "filename": "x.pem"}, one{"certificate": b.PEM()}}),
			[]string{"a.example.com", "b.example.com"}, []string{"#1 neither an object with a certificate nor a text", "y.pem#5 neither an object with a certificate nor a text", "#6 neither an object with a certificate nor a text", "x.pem#7 no PEM block"}, false},
		{"empty store", `{"certificates":[]}`, nil, nil, false},
		{"empty list", `[]`, nil, nil, false},
		{"null list", `{"certificates":null}`, nil, nil, true},
		{"no list", `{"trackingId":"x"}`, nil, nil, true},
		{"nothing", ``, nil, nil, true},
		{"null", `null`, nil, nil, true},
		{"page", `<html></html>`, nil, nil, true},
		{"cut", `{"certificates":[`, nil, nil, true},
		{"two values", `{"certificates":[]}{}`, nil, nil, true},
		{"text for a list", `{"certificates":"x"}`, nil, nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseTrust([]byte(tc.body))
			if (err != nil) != tc.refused {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(append([]string{}, tc.names...), names(got)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(append([]string{}, tc.faults...), reasons(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIdentityForms(t *testing.T) {
	a := issue(t, "a.example.com", nil)
	for name, body := range map[string]string{
		"PEM": a.PEM(), "PEM after spaces": "\r\n" + a.PEM(), "JSON text": marshal(t, a.PEM()),
		"object": marshal(t, map[string]string{"certificate": a.PEM()}), "list": marshal(t, []string{a.PEM()}),
		"object with a list": marshal(t, map[string]any{"certificates": []string{a.PEM()}}),
	} {
		got, err := parseIdentity([]byte(body))
		if err != nil || len(got.Certificates) != 1 || len(got.Unreadable) != 0 || got.Certificates[0].PEM() != a.PEM() {
			t.Errorf("%s: %v %v %v", name, err, names(got), reasons(got))
		}
	}
	for name, body := range map[string]string{"empty": "", "page": "<html>", "words": "no", "empty object": "{}", "half a text": `"abc`} {
		if got, err := parseIdentity([]byte(body)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestSnapshot(t *testing.T) {
	a, b := issue(t, "a.example.com", nil), issue(t, "b.example.com", nil)
	type one map[string]any
	body := marshal(t, one{
		"trackingId": "t-1", "server": nodeName, "another": one{"x": 1},
		"identities": []one{{"service": "tomcat", "certificate": a.PEM(), "csr": ""}, {"service": "ipsec", "certificate": "", "csr": "-----BEGIN CERTIFICATE REQUEST-----"}},
		"trusts": []one{
			{"service": "tomcat", "certificate_data": []one{{"filename": "b.pem", "certificate": b.PEM()}, {"filename": "bad.pem", "certificate": "?"}}},
			{"service": "cup-trust", "certificate_data": []one{}},
		},
		"revokedCertificates": []any{"x", one{}},
	})
	s, err := parseSnapshot([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if s.TrackingID != "t-1" || s.Server != nodeName || s.Revoked != 2 {
		t.Errorf("%+v", s)
	}
	id, ok := s.Identity("TOMCAT")
	if !ok || chain.Fingerprint(id.Certificates[0].X509) != chain.Fingerprint(a.Leaf) {
		t.Errorf("tomcat: %v %v", ok, names(id.Bundle))
	}
	if id, ok := s.Identity(IPsec); !ok || len(id.Certificates)+len(id.Unreadable) != 0 || id.CSR == "" {
		t.Errorf("a service without a certificate: %v %+v", ok, id)
	}
	if _, ok := s.Identity(CUP); ok {
		t.Error("an identity that is not there")
	}
	trust, ok := s.Trust(TomcatECDSA)
	if !ok || trust.Certificates[0].File != "b.pem" || cmp.Diff([]string{"bad.pem#1 no PEM block"}, reasons(trust)) != "" {
		t.Errorf("tomcat-trust: %v %v %v", ok, names(trust), reasons(trust))
	}
	if trust, ok := s.Trust(CUP); !ok || len(trust.Certificates) != 0 {
		t.Errorf("cup-trust, named as people do: %v", ok)
	}
	if _, ok := s.Trust(CUPXMPP); ok {
		t.Error("a store that is not there is not an empty one")
	}
	for name, body := range map[string]string{
		"no trusts": `{"identities":[]}`, "no identities": `{"trusts":[]}`, "null trusts": `{"identities":[],"trusts":null}`, "empty": "", "list": "[]",
		"identity of another kind": `{"identities":[5],"trusts":[]}`, "store without a list": `{"identities":[],"trusts":[{"service":"tomcat"}]}`,
	} {
		if _, err := parseSnapshot([]byte(body)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	o, err := parseOptions([]byte(`{"service":["tomcat","cup\u0007"],"depth":3,"none":null,"keys":{"rsa":[2048]}}`))
	if err != nil || cmp.Diff(map[string][]string{"service": {"tomcat", "cup"}}, o.Lists) != "" {
		t.Errorf("options: %v %v", o, err)
	}
}

// FuzzAnswers feeds every parser: none panics, an answer never loses an entry
// without a word, and nothing unprintable gets through.
func FuzzAnswers(f *testing.F) {
	a := issue(f, "a.example.com", nil)
	for _, seed := range []string{
		"", "[]", "{}", "null", `{"certificates":[]}`, `{"message":"x"}`, `{"messages":["x",{"message":"y"},5]}`, a.PEM(), a.PEM() + a.PEM()[:80] + a.PEM(),
		marshal(f, []string{a.PEM(), "x"}), marshal(f, map[string]any{"certificates": []any{map[string]string{"certificate": a.PEM(), "filename": "a\x1b[2J.pem"}, 7}}),
		marshal(f, map[string]any{"identities": []any{map[string]string{"service": "tomcat", "certificate": a.PEM()}}, "trusts": []any{map[string]any{"service": "tomcat", "certificate_data": []any{map[string]string{"certificate": "-----BEGIN "}}}}}),
		strings.Repeat("-----BEGIN ", 50), "-----BEGIN \n-----END 0", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		check := func(texts ...string) {
			for _, text := range texts {
				if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("unprintable: %q", text)
				}
			}
		}
		bundle := func(b Bundle) {
			for _, c := range b.Certificates {
				if c.X509 == nil {
					t.Fatal("a certificate that is none")
				}
				check(c.File)
				if again := parsePEM("", c.PEM()); len(again.Certificates) != 1 || len(again.Unreadable) != 0 {
					t.Error("what was read cannot be read again")
				}
			}
			for _, u := range b.Unreadable {
				check(u.File, u.Reason)
			}
		}
		if b, err := parseTrust(body); err == nil {
			bundle(b)
			var list []json.RawMessage
			if json.Unmarshal(body, &list) == nil && len(b.Certificates)+len(b.Unreadable)+b.Empty+b.Cut < len(list) {
				t.Errorf("%d entries, %d and %d told", len(list), len(b.Certificates), len(b.Unreadable))
			}
		} else {
			check(err.Error())
		}
		if b, err := parseIdentity(body); err == nil {
			bundle(b)
		}
		b := parsePEM("file", string(body))
		bundle(b)
		if blocks := strings.Count(string(body), beginMark); blocks > 0 && len(b.Certificates)+len(b.Unreadable)+b.Cut < blocks {
			t.Errorf("%d blocks, %d and %d told", blocks, len(b.Certificates), len(b.Unreadable))
		}
		if s, err := parseSnapshot(body); err == nil {
			check(s.Server, s.TrackingID)
			for _, store := range s.Trusts {
				check(string(store.Service))
				bundle(store.Bundle)
			}
			for _, id := range s.Identities {
				bundle(id.Bundle)
			}
		}
		if words := wordsOf(body); len(words) > longestWords {
			t.Errorf("%d bytes of words", len(words))
		} else {
			check(words)
		}
		_, _ = parseReceipt(body)
		_, _ = parseOptions(body)
	})
}
