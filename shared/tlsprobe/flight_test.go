package tlsprobe

import (
	"bytes"
	"crypto/tls"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFlightOfARealServer(t *testing.T) {
	rsaCert, ecdsaCert := tomcat(t, RSA), tomcat(t, ECDSA)
	chain := rsaCert
	chain.Certificate = [][]byte{rsaCert.Certificate[0], ecdsaCert.Certificate[0]}
	for name, c := range map[string]struct {
		config *tls.Config
		want   flight
	}{
		"TLS 1.2 with a chain": {only(tls.VersionTLS12, chain), flight{version: tls.VersionTLS12, certificates: chain.Certificate}},
		"TLS 1.0":              {only(tls.VersionTLS10, rsaCert), flight{version: tls.VersionTLS10, certificates: rsaCert.Certificate}},
		"TLS 1.3 hides it":     {only(tls.VersionTLS13, chain), flight{version: tls.VersionTLS13}},
	} {
		t.Run(name, func(t *testing.T) {
			heard := serverFlight(t, c.config)
			got := readFlight(heard)
			if got.suite == 0 {
				t.Error("no suite")
			}
			if fits := got.announced > 0 && got.announced < maxChainMessage; fits != (c.want.certificates != nil) {
				t.Errorf("a chain of %d bytes was announced", got.announced)
			}
			got.suite, got.announced = 0, 0
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(flight{})); diff != "" {
				t.Error(diff)
			}
			// However early the connection breaks, nothing is invented.
			for cut := range heard {
				part := readFlight(heard[:cut])
				if part.notTLS || part.alert != 0 || part.requested || len(part.certificates) > len(c.want.certificates) {
					t.Fatalf("cut at %d of %d: %+v", cut, len(heard), part)
				}
				for i, der := range part.certificates {
					if !bytes.Equal(der, c.want.certificates[i]) {
						t.Fatalf("cut at %d of %d: certificate %d is another", cut, len(heard), i)
					}
				}
			}
		})
	}
}

func TestFlightRecognisesOtherProtocols(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "HTTP/1.1 400 Bad Request\r\n": true, "SSH-2.0-x\r\n": true, "\x16": false, "\x16\x03": false, "\x16HTTP": true,
		"\x15\x03\x03\x00\x02\x02\x28": false,
	} {
		if got := readFlight([]byte(text)).notTLS; got != want {
			t.Errorf("%q: not TLS %v", text, got)
		}
	}
}

func TestFlightAlert(t *testing.T) {
	for name, c := range map[string]struct {
		heard []byte
		want  uint8
	}{
		"fatal":                 {[]byte{21, 3, 3, 0, 2, 2, 40}, 40},
		"a warning is no end":   {[]byte{21, 3, 3, 0, 2, 1, 112}, 0},
		"a warning, then fatal": {[]byte{21, 3, 3, 0, 2, 1, 112, 21, 3, 3, 0, 2, 2, 70}, 70},
		"cut off":               {[]byte{21, 3, 3, 0, 2, 2}, 0},
		"encrypted":             {[]byte{20, 3, 3, 0, 1, 1, 21, 3, 3, 0, 2, 2, 40}, 0},
	} {
		if got := readFlight(c.heard).alert; got != c.want {
			t.Errorf("%s: alert %d, want %d", name, got, c.want)
		}
	}
}

func FuzzFlight(f *testing.F) {
	f.Add(serverFlight(f, only(tls.VersionTLS12, tomcat(f, ECDSA))))
	f.Add(serverFlight(f, only(tls.VersionTLS13, tomcat(f, ECDSA))))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"))
	f.Add([]byte{21, 3, 3, 0, 2, 2, 40})
	f.Fuzz(func(t *testing.T, heard []byte) {
		got := readFlight(heard)
		if got.notTLS && (got.version != 0 || got.alert != 0 || got.certificates != nil) {
			t.Errorf("not TLS and yet %+v", got)
		}
		if totalLen(got.certificates) > len(heard) {
			t.Errorf("%d bytes of certificates out of %d", totalLen(got.certificates), len(heard))
		}
		// A look that ended so must be reportable whatever was heard.
		seen := sight{flight: got, err: errFlightTooBig}
		if seen.reason(t.Context()) == "" {
			t.Error("a failed look without a reason")
		}
		served := seen.served("192.0.2.10:8443", RSA)
		if len(served.Raw) > maxChainCerts || len(served.Chain) > len(served.Raw) {
			t.Errorf("%d certificates of %d", len(served.Chain), len(served.Raw))
		}
	})
}
