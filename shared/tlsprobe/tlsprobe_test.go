package tlsprobe

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"peerkeeper/shared/chain"
	"peerkeeper/shared/soap/soaptest"
)

// rsaKey is one key for all tests: generating it is slow.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func present() time.Time { return time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC) }

// tomcat makes a self-signed identity certificate as a node serves it.
func tomcat(t testing.TB, keyType KeyType, change ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	var key crypto.Signer = rsaKey()
	if keyType == ECDSA {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	return signed(t, key, change...)
}

func signed(t testing.TB, key crypto.Signer, change ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(4711),
		Subject:      pkix.Name{CommonName: "imp-emea-pub.example.com"},
		DNSNames:     []string{"imp-emea-pub.example.com"},
		NotBefore:    present().AddDate(-1, 0, 0), NotAfter: present().AddDate(1, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, c := range change {
		c(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// serve runs a server on loopback until the test ends; each connection is
// handled on its own and closed afterwards.
func serve(t testing.TB, handle func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			wg.Go(func() {
				handle(conn)
				conn.Close()
				mu.Lock()
				defer mu.Unlock()
				delete(open, conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return listener.Addr().String()
}

// serveTLS is a node: it shakes hands, and reads until the client is gone. What
// a client sends beyond the handshake fails the test.
func serveTLS(t testing.TB, config *tls.Config) (address string) {
	t.Helper()
	return serve(t, func(raw net.Conn) {
		conn := tls.Server(raw, config)
		if conn.Handshake() != nil {
			return
		}
		if n, _ := io.Copy(io.Discard, conn); n > 0 {
			t.Errorf("the probe sent %d bytes", n)
		}
	})
}

func hang(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

func only(version uint16, certs ...tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: certs, MinVersion: version, MaxVersion: version}
}

func TestNodeWithBothKeysServesTheOneAskedFor(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	rsaCert, ecdsaCert := tomcat(t, RSA), tomcat(t, ECDSA)
	for _, server := range []struct {
		name  string
		certs []tls.Certificate
	}{
		{"RSA preferred", []tls.Certificate{rsaCert, ecdsaCert}},
		{"ECDSA preferred", []tls.Certificate{ecdsaCert, rsaCert}},
	} {
		t.Run(server.name, func(t *testing.T) {
			target := Target{
				Address:    serveTLS(t, &tls.Config{Certificates: server.certs}),
				ServerName: "imp-emea-pub.example.com",
			}
			outcomes := Prober{}.ProbeAll(t.Context(), target)
			want := map[KeyType]tls.Certificate{RSA: rsaCert, ECDSA: ecdsaCert}
			if len(outcomes) != 2 {
				t.Fatalf("%d outcomes", len(outcomes))
			}
			for _, outcome := range outcomes {
				if outcome.Err != nil {
					t.Fatal(outcome.Err)
				}
				served := outcome.Served
				if got := chain.Fingerprint(served.Leaf()); got != chain.Fingerprint(want[outcome.Asked].Leaf) {
					t.Errorf("%s: another certificate", outcome.Asked)
				}
				if served.KeyType != outcome.Asked || served.Version != tls.VersionTLS12 || served.CipherSuite == 0 ||
					served.Took <= 0 || served.ClientAuth != ClientAuthNone || served.Address != target.Address || served.Stapled {
					t.Errorf("%+v", served)
				}
			}
			served, err := Prober{}.Probe(t.Context(), target, Any)
			if err != nil || served.Version != tls.VersionTLS13 {
				t.Errorf("any: %v, version %x", err, served.Version)
			}
		})
	}
}

func TestStapledAnswerAndWholeChainAreReported(t *testing.T) {
	cert := tomcat(t, ECDSA)
	cert.Certificate = append(cert.Certificate, tomcat(t, RSA).Certificate[0])
	cert.OCSPStaple = []byte("not read, only noticed")
	for _, keyType := range []KeyType{Any, ECDSA} {
		served, err := Prober{}.Probe(t.Context(), Target{Address: serveTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}})}, keyType)
		if err != nil {
			t.Fatal(err)
		}
		if !served.Stapled || len(served.Chain) != 2 || served.KeyType != ECDSA {
			t.Errorf("%q: %+v", keyType, served)
		}
		if diff := cmp.Diff(cert.Certificate, served.Raw); diff != "" {
			t.Error(diff)
		}
	}
}

// TestReasons provokes every reason there is.
func TestReasons(t *testing.T) {
	rsaCert, ecdsaCert := tomcat(t, RSA), tomcat(t, ECDSA)
	long := func(n int) tls.Certificate { // n more certificates than the leaf
		cert := ecdsaCert
		cert.Certificate = [][]byte{ecdsaCert.Certificate[0]}
		for range n {
			cert.Certificate = append(cert.Certificate, rsaCert.Certificate[0])
		}
		return cert
	}
	fat := func(names int) tls.Certificate {
		return tomcat(t, ECDSA, func(c *x509.Certificate) {
			for range names {
				c.DNSNames = append(c.DNSNames, "a-name-of-forty-bytes-in-all.example.com")
			}
		})
	}
	spoilt := func(certs ...[]byte) tls.Certificate {
		cert := ecdsaCert
		cert.Certificate = certs
		return cert
	}
	garbage := []byte("this is not a certificate")
	recorded := func(config *tls.Config) []byte { return serverFlight(t, config) }
	untilCertificate := recorded(only(tls.VersionTLS12, ecdsaCert))
	untilCertificate = untilCertificate[:bytes.Index(untilCertificate, ecdsaCert.Certificate[0])+len(ecdsaCert.Certificate[0])]

	for _, c := range []struct {
		name    string
		address func(t *testing.T) string
		says    []byte // before it hangs, where the reason is Timeout
		asks    []KeyType
		want    Reason
		leaf    *x509.Certificate // nil: none may be reported
		check   func(t *testing.T, s Served, e *Error)
	}{
		{
			// A port that was closed a moment ago may be another test's by now; nobody is given port 1.
			name: "nothing listens", want: Refused, asks: []KeyType{RSA},
			address: func(*testing.T) string { return "127.0.0.1:1" },
		},
		{
			name: "an address without a port", want: Unreachable, asks: []KeyType{Any, RSA},
			address: func(*testing.T) string { return "127.0.0.1" },
		},
		{
			name: "silent after the connection", want: Timeout, asks: []KeyType{Any, RSA, ECDSA},
		},
		{
			name: "hangs after its certificate", want: Timeout, asks: []KeyType{Any, ECDSA}, leaf: ecdsaCert.Leaf,
			says: untilCertificate,
		},
		{
			name: "hangs in the middle of a record", want: Timeout, asks: []KeyType{Any, RSA},
			says: []byte{22, 3, 3, 0, 100, 2, 0},
		},
		{
			name: "closes at once", want: Reset, asks: []KeyType{Any, RSA},
			address: func(t *testing.T) string {
				return serve(t, func(conn net.Conn) {
					var hello [1024]byte
					_, _ = conn.Read(hello[:])
				})
			},
		},
		{
			name: "resets", want: Reset, asks: []KeyType{Any, ECDSA},
			address: func(t *testing.T) string {
				return serve(t, func(conn net.Conn) {
					var hello [1]byte
					_, _ = conn.Read(hello[:])
					_ = conn.(*net.TCPConn).SetLinger(0)
				})
			},
		},
		{
			name: "plain HTTP on the port", want: NotTLS, asks: []KeyType{Any, RSA, ECDSA},
			address: func(t *testing.T) string {
				return serve(t, func(conn net.Conn) {
					var hello [1]byte
					_, _ = conn.Read(hello[:])
					_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
					hang(conn)
				})
			},
		},
		{
			name: "a greeting in another protocol", want: NotTLS, asks: []KeyType{Any},
			address: func(t *testing.T) string {
				return serve(t, func(conn net.Conn) {
					_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.9\r\n")
					hang(conn)
				})
			},
		},
		{
			name: "TLS 1.0 only", want: ProtocolTooOld, asks: []KeyType{Any, RSA}, leaf: rsaCert.Leaf,
			address: func(t *testing.T) string { return serveTLS(t, only(tls.VersionTLS10, rsaCert)) },
			check: func(t *testing.T, s Served, _ *Error) {
				if s.Version != tls.VersionTLS10 {
					t.Errorf("version %x", s.Version)
				}
			},
		},
		{
			name: "TLS 1.1 only", want: ProtocolTooOld, asks: []KeyType{Any, ECDSA}, leaf: ecdsaCert.Leaf,
			address: func(t *testing.T) string { return serveTLS(t, only(tls.VersionTLS11, ecdsaCert)) },
		},
		{
			name: "older than TLS 1.0", want: ProtocolTooOld, asks: []KeyType{Any},
			address: func(t *testing.T) string { return alerting(t, alertProtocolVersion) },
			check: func(t *testing.T, _ Served, e *Error) {
				if e.Alert != alertProtocolVersion {
					t.Errorf("alert %d", e.Alert)
				}
			},
		},
		{
			name: "no RSA certificate", want: NoCommonSuite, asks: []KeyType{RSA},
			address: func(t *testing.T) string { return serveTLS(t, only(tls.VersionTLS12, ecdsaCert)) },
		},
		{
			name: "no ECDSA certificate", want: NoCommonSuite, asks: []KeyType{ECDSA},
			address: func(t *testing.T) string { return serveTLS(t, &tls.Config{Certificates: []tls.Certificate{rsaCert}}) },
		},
		{
			name: "no suite at all", want: NoCommonSuite, asks: []KeyType{Any},
			address: func(t *testing.T) string { return alerting(t, alertHandshakeFailure) },
		},
		{
			name: "RSA key exchange only", want: OnlyWeakSuites, asks: []KeyType{Any}, leaf: rsaCert.Leaf,
			address: func(t *testing.T) string {
				config := only(tls.VersionTLS12, rsaCert)
				config.CipherSuites = []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
				return serveTLS(t, config)
			},
			check: func(t *testing.T, s Served, _ *Error) {
				if s.CipherSuite != tls.TLS_RSA_WITH_AES_128_CBC_SHA {
					t.Errorf("suite %x", s.CipherSuite)
				}
			},
		},
		{
			name: "TLS 1.3 only, with the other key", want: KeyTypeNotSelectable, asks: []KeyType{RSA}, leaf: ecdsaCert.Leaf,
			address: func(t *testing.T) string { return serveTLS(t, only(tls.VersionTLS13, ecdsaCert)) },
			check: func(t *testing.T, s Served, _ *Error) {
				if s.KeyType != ECDSA {
					t.Errorf("key type %s", s.KeyType)
				}
			},
		},
		{
			name: "TLS 1.2 demands a client certificate", want: ClientCertificateRequired, asks: []KeyType{Any, RSA}, leaf: rsaCert.Leaf,
			address: func(t *testing.T) string {
				config := only(tls.VersionTLS12, rsaCert)
				config.ClientAuth = tls.RequireAnyClientCert
				return serveTLS(t, config)
			},
			check: wantsClientCertificate,
		},
		{
			name: "TLS 1.3 demands a client certificate", want: ClientCertificateRequired, asks: []KeyType{Any, ECDSA}, leaf: ecdsaCert.Leaf,
			address: func(t *testing.T) string {
				config := only(tls.VersionTLS13, ecdsaCert)
				config.ClientAuth = tls.RequireAnyClientCert
				return serveTLS(t, config)
			},
			check: wantsClientCertificate,
		},
		{
			name: "too many certificates", want: ChainTooBig, asks: []KeyType{Any, ECDSA}, leaf: ecdsaCert.Leaf,
			address: func(t *testing.T) string { return serveTLS(t, &tls.Config{Certificates: []tls.Certificate{long(10)}}) },
			check: func(t *testing.T, s Served, _ *Error) {
				if len(s.Chain) != maxChainCerts {
					t.Errorf("%d certificates reported", len(s.Chain))
				}
			},
		},
		{
			name: "a leaf over 64 KiB", want: ChainTooBig, asks: []KeyType{Any, ECDSA}, leaf: nil,
			address: func(t *testing.T) string { return serveTLS(t, &tls.Config{Certificates: []tls.Certificate{fat(2000)}}) },
		},
		{
			name: "a chain of 200 certificates", want: ChainTooBig, asks: []KeyType{Any, ECDSA}, leaf: ecdsaCert.Leaf,
			address: func(t *testing.T) string { return serveTLS(t, &tls.Config{Certificates: []tls.Certificate{long(200)}}) },
		},
		{
			name: "an issuer that cannot be parsed", want: Unparsable, asks: []KeyType{Any, ECDSA}, leaf: ecdsaCert.Leaf,
			address: func(t *testing.T) string {
				return serveTLS(t, &tls.Config{Certificates: []tls.Certificate{spoilt(ecdsaCert.Certificate[0], garbage, rsaCert.Certificate[0])}})
			},
			check: func(t *testing.T, s Served, _ *Error) {
				if len(s.Chain) != 2 || s.Unparsable != 1 || len(s.Raw) != 3 {
					t.Errorf("chain %d, unparsable %d, raw %d", len(s.Chain), s.Unparsable, len(s.Raw))
				}
			},
		},
		{
			name: "a leaf that cannot be parsed", want: Unparsable, asks: []KeyType{Any, ECDSA}, leaf: nil,
			address: func(t *testing.T) string {
				return serveTLS(t, &tls.Config{Certificates: []tls.Certificate{spoilt(garbage, rsaCert.Certificate[0])}})
			},
			check: func(t *testing.T, s Served, _ *Error) {
				if len(s.Chain) != 0 || s.Unparsable != 1 || !bytes.Equal(s.Raw[0], garbage) {
					t.Errorf("chain %d, unparsable %d", len(s.Chain), s.Unparsable)
				}
			},
		},
		{
			name: "unparsable under TLS 1.3 only cannot be told apart", want: HandshakeFailed, asks: []KeyType{Any}, leaf: nil,
			address: func(t *testing.T) string {
				return serveTLS(t, only(tls.VersionTLS13, spoilt(ecdsaCert.Certificate[0], garbage)))
			},
		},
		{
			name: "refuses the server name", want: HandshakeFailed, asks: []KeyType{Any, RSA},
			address: func(t *testing.T) string { return alerting(t, 112) },
			check: func(t *testing.T, _ Served, e *Error) {
				if e.Alert != 112 {
					t.Errorf("alert %d", e.Alert)
				}
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == Timeout {
				c.address = func(t *testing.T) string {
					return serve(t, func(conn net.Conn) { _, _ = conn.Write(c.says); hang(conn) })
				}
			}
			target := Target{Address: c.address(t), ServerName: "imp-emea-pub.example.com"}
			for _, keyType := range c.asks {
				prober, ctx := Prober{Timeout: time.Minute}, t.Context()
				if c.want == Timeout {
					late, pass := soaptest.Deadline(t)
					prober.Dialer, ctx = silentAfter{len(c.says), pass}, late
				}
				served, err := prober.Probe(ctx, target, keyType)
				var e *Error
				if !errors.As(err, &e) || e.Reason != c.want || ReasonOf(err) != c.want {
					t.Fatalf("asking %q: %v, want %s", keyType, err, c.want)
				}
				if e.Address != target.Address || e.KeyType != keyType || e.Error() == "" {
					t.Errorf("asking %q: error %+v", keyType, e)
				}
				leaf := served.Leaf()
				switch {
				case c.leaf == nil && leaf != nil:
					t.Errorf("asking %q: a leaf %s was reported", keyType, leaf.Subject)
				case c.leaf != nil && (leaf == nil || chain.Fingerprint(leaf) != chain.Fingerprint(c.leaf)):
					t.Errorf("asking %q: leaf %v", keyType, leaf)
				}
				if c.check != nil {
					c.check(t, served, e)
				}
			}
		})
	}
}

// silentAfter lets the deadline pass when all that the server says has been read, and the probe waits for more.
type silentAfter struct {
	says int
	pass func()
}

func (s silentAfter) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &silencing{conn, s.says, s.pass}, nil
}

type silencing struct {
	net.Conn
	left int
	pass func()
}

func (s *silencing) Read(p []byte) (int, error) {
	if s.left == 0 {
		s.pass()
	}
	n, err := s.Conn.Read(p)
	s.left -= n
	return n, err
}

func wantsClientCertificate(t *testing.T, s Served, _ *Error) {
	if s.ClientAuth != ClientAuthRequired {
		t.Errorf("client auth %s", s.ClientAuth)
	}
}

// alerting is a server that answers everything with one fatal alert.
func alerting(t *testing.T, alert byte) string {
	return serve(t, func(conn net.Conn) {
		var hello [4096]byte
		_, _ = conn.Read(hello[:])
		_, _ = conn.Write([]byte{recordAlert, 3, 3, 0, 2, alertLevelFatal, alert})
		hang(conn)
	})
}

// serverFlight is what a server sends up to its first wait.
func serverFlight(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	address := serveTLS(t, config)
	raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	wire := &recorder{Conn: raw}
	keep := wire
	conn := tls.Client(wire, &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS10,
		VerifyConnection: func(tls.ConnectionState) error { return errors.New("seen enough") },
	})
	if conn.Handshake() == nil {
		t.Fatal("the handshake was not broken off")
	}
	return keep.heard
}

func TestTimesOutOnADeadHostAsUnreachable(t *testing.T) {
	prober := Prober{Timeout: 20 * time.Millisecond, Dialer: deafDialer{}}
	_, err := prober.Probe(t.Context(), Target{Address: "192.0.2.1:8443"}, RSA)
	if ReasonOf(err) != Unreachable {
		t.Errorf("%v", err)
	}
}

// TestTimesOutInTheHandshake, at its deadline, on a clock of its own.
func TestTimesOutInTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		served, err := Prober{Dialer: hangingDialer{}}.Probe(t.Context(), Target{Address: "192.0.2.1:8443"}, RSA)
		if ReasonOf(err) != Timeout || served.Took != DefaultTimeout {
			t.Errorf("%v after %s", err, served.Took)
		}
	})
}

// hangingDialer reaches a server that takes everything and says nothing.
type hangingDialer struct{}

func (hangingDialer) DialContext(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	go hang(far)
	return near, nil
}

// deafDialer stands for a firewall that drops every packet.
type deafDialer struct{}

func (deafDialer) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestCallerGivesUp(t *testing.T) {
	address := serve(t, hang)
	for name, dialer := range map[string]Dialer{"while dialling": deafDialer{}, "in the handshake": nil} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			timer := time.AfterFunc(30*time.Millisecond, cancel)
			defer timer.Stop()
			_, err := Prober{Dialer: dialer}.Probe(ctx, Target{Address: address}, Any)
			if ReasonOf(err) != Cancelled {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestOptionalClientCertificateIsNoError(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := only(version, tomcat(t, ECDSA))
		config.ClientAuth = tls.RequestClientCert
		served, err := Prober{}.Probe(t.Context(), Target{Address: serveTLS(t, config)}, ECDSA)
		if err != nil || served.ClientAuth != ClientAuthRequested {
			t.Errorf("TLS %x: %v, %s", version, err, served.ClientAuth)
		}
	}
}

func TestTLS13OnlyServesTheKeyAskedForByChance(t *testing.T) {
	served, err := Prober{}.Probe(t.Context(), Target{Address: serveTLS(t, only(tls.VersionTLS13, tomcat(t, RSA)))}, RSA)
	if err != nil || served.KeyType != RSA || served.Version != tls.VersionTLS13 {
		t.Errorf("%v, %+v", err, served)
	}
}

func TestServerNameIsSent(t *testing.T) {
	names := make(chan string, 3)
	cert := tomcat(t, ECDSA)
	address := serveTLS(t, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		names <- hello.ServerName
		return &cert, nil
	}})
	for _, name := range []string{"imp-emea-pub.example.com", "192.0.2.10", ""} {
		if _, err := (Prober{}).Probe(t.Context(), Target{Address: address, ServerName: name}, ECDSA); err != nil {
			t.Fatal(err)
		}
	}
	close(names)
	var got []string
	for name := range names {
		got = append(got, name)
	}
	if diff := cmp.Diff([]string{"imp-emea-pub.example.com", "", ""}, got); diff != "" {
		t.Error(diff)
	}
}

// TestPlainHTTPServer is the real thing: Go's server answers a ClientHello with
// 400 and never sees a request.
func TestPlainHTTPServer(t *testing.T) {
	requests := make(chan string, 8)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		ReadHeaderTimeout: 100 * time.Millisecond,
		Handler:           http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests <- r.URL.Path }),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	defer func() { server.Close(); <-done }()
	_, err = Prober{Timeout: time.Minute}.Probe(t.Context(), Target{Address: listener.Addr().String()}, Any)
	// Whether the server answers or closes depends on a line feed in the random
	// bytes of the hello.
	if reason := ReasonOf(err); reason != NotTLS && reason != Reset {
		t.Errorf("%v", err)
	}
	if len(requests) > 0 {
		t.Error("a request arrived")
	}
}
