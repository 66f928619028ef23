package soap

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/chain"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/tlsprobe"
)

// rsaIdentity is a certificate as tomcat has it: with an RSA key.
func rsaIdentity(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: nodeName}, DNSNames: []string{nodeName}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// box stands before a server and resets every connection whose ClientHello is longer than limit.
type box struct {
	net.Listener
	limit int
}

func (b box) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		var head [5]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			c.Close()
			continue
		}
		if int(binary.BigEndian.Uint16(head[3:])) > b.limit {
			_ = c.(*net.TCPConn).SetLinger(0) // a reset, not an orderly end
			c.Close()
			continue
		}
		return replayed{c, io.MultiReader(strings.NewReader(string(head[:])), c)}, nil
	}
}

type replayed struct {
	net.Conn
	from io.Reader
}

func (r replayed) Read(p []byte) (int, error) { return r.from.Read(p) }

// serve is a TLS web server that answers ok.
func serve(t *testing.T, config *tls.Config, wrap func(net.Listener) net.Listener) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		l = wrap(l)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(ok), ErrorLog: log.New(io.Discard, "", 0)}, TLS: config}
	s.StartTLS()
	t.Cleanup(s.Close)
	return l.Addr().String()
}

// After a TCP connection whatever comes is an answer, and each says what it is.
func TestARefusalIsNotSilence(t *testing.T) {
	identity, pool := rsaIdentity(t)
	config := func(alter func(*tls.Config)) *tls.Config {
		c := &tls.Config{Certificates: []tls.Certificate{identity}}
		if alter != nil {
			alter(c)
		}
		return c
	}
	only := func(suites ...uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.CipherSuites, c.MaxVersion = suites, tls.VersionTLS12 }
	}
	tests := []struct {
		name   string
		config *tls.Config
		wrap   func(net.Listener) net.Listener
		want   tlsprobe.Reason // "" works
		weak   bool
	}{
		{"an ordinary server", config(nil), nil, "", false},
		{"Cipher Management left RSA key exchange with GCM only", config(only(tls.TLS_RSA_WITH_AES_256_GCM_SHA384)), nil, "", true},
		{"Cipher Management left RSA key exchange with CBC only", config(only(tls.TLS_RSA_WITH_AES_128_CBC_SHA)), nil, "", true},
		{"Cipher Management left 3DES only", config(only(tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA)), nil, tlsprobe.NoCommonSuite, false},
		{"TLS 1.0 only", config(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 }), nil, tlsprobe.ProtocolTooOld, false},
		{"a client certificate demanded, TLS 1.2", config(func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }), nil, tlsprobe.ClientCertificateRequired, false},
		{"a client certificate demanded, TLS 1.3", config(func(c *tls.Config) { c.ClientAuth, c.MinVersion = tls.RequireAnyClientCert, tls.VersionTLS13 }), nil, tlsprobe.ClientCertificateRequired, false},
		{"a client certificate asked for and not needed", config(func(c *tls.Config) { c.ClientAuth = tls.RequestClientCert }), nil, "", false},
		{"a box that resets a ClientHello above 1,400 bytes", config(nil), func(l net.Listener) net.Listener { return box{l, 1400} }, "", false},
		{"a box that resets every ClientHello", config(nil), func(l net.Listener) net.Listener { return box{l, 0} }, tlsprobe.Reset, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := client(t, Endpoint{Node: nodeName, Address: serve(t, tt.config, tt.wrap), Trust: Trust{Roots: pool}, Username: "reader", Password: secret.NewText("correct horse")})
			a, err := c.Do(t.Context(), read("getCCMVersion"))
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close()
				if got := RSAKeyExchange(a.TLS); got != tt.weak {
					t.Errorf("RSA key exchange: %v, want %v", got, tt.weak)
				}
				return
			}
			e := mustKind(t, err, TLSRefused)
			var why *HandshakeError
			if !errors.As(err, &why) || why.Reason != tt.want {
				t.Fatalf("reason %v, want %s", err, tt.want)
			}
			if strings.Contains(e.Error(), "127.0.0.1") {
				t.Errorf("an address that is another each time: %s", e)
			}
			if again, _ := c.Do(t.Context(), read("getCCMVersion")); again != nil {
				t.Error("a second request came through")
			}
		})
	}
}

// A certificate with a negative serial number is no lawful one. Who pinned it can be served all the same.
func TestANegativeSerialNumberIsReadAndVerified(t *testing.T) {
	good := issue(t, nil, nil)
	negative := good.Negative(t)
	for name, trust := range map[string]Trust{
		"pinned":      {Pins: []string{chain.Fingerprint(negative.Leaf)}},
		"in the pool": {Roots: negative.Pool()},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, negative, ok)
			e := n.endpoint()
			e.Trust = trust
			if _, err := exchange(t, client(t, e), read("getCCMVersion")); err != nil {
				t.Error(err)
			}
			e.Trust = Trust{Pins: []string{chain.Fingerprint(good.Leaf)}}
			_, err := exchange(t, client(t, e), read("getCCMVersion"))
			mustKind(t, err, Untrusted)
		})
	}
}

// A certificate that cannot be parsed at all is named as what it is.
func TestACertificateThatCannotBeParsedIsNamed(t *testing.T) {
	cert := issue(t, nil, nil)
	broken := cert.TLS()
	broken.Certificate = [][]byte{append([]byte{}, cert.Leaf.Raw...)}
	broken.Certificate[0][len(broken.Certificate[0])/2] ^= 0xff
	if _, err := x509.ParseCertificate(broken.Certificate[0]); err == nil {
		broken.Certificate[0] = broken.Certificate[0][:len(broken.Certificate[0])-9]
	}
	address := serve(t, &tls.Config{
		Certificates: []tls.Certificate{cert.TLS()}, MaxVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &broken, nil },
	}, nil)
	_, err := exchange(t, client(t, Endpoint{Node: nodeName, Address: address, Trust: Trust{Roots: cert.Pool()}}), read("getCCMVersion"))
	mustKind(t, err, TLSRefused)
	var why *HandshakeError
	if !errors.As(err, &why) || why.Reason != tlsprobe.Unparsable {
		t.Error(err)
	}
}

// The ClientHello fits into one packet: no post-quantum key share.
func TestClientHelloFitsIntoOnePacket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var length int
	var done sync.WaitGroup
	done.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		var head [5]byte
		if _, err := io.ReadFull(c, head[:]); err == nil {
			length = int(binary.BigEndian.Uint16(head[3:]))
		}
	})
	c := client(t, Endpoint{Node: strings.Repeat("a", 60) + "." + nodeName, Address: l.Addr().String(), Trust: Trust{Pins: []string{"x"}}})
	_, err = exchange(t, c, read("getCCMVersion"))
	l.Close()
	done.Wait()
	mustKind(t, err, TLSRefused)
	if length == 0 || length > 600 {
		t.Errorf("the ClientHello has %d bytes", length)
	}
}
