package certcheck

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
	"peerkeeper/shared/soap/soaptest"
	"peerkeeper/shared/tlsprobe"
)

// listen serves every connection by do until the test ends.
func listen(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(func() { stop(); l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { conn.Close() })
			go func() {
				defer conn.Close()
				do(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// tlsServer shakes hands and waits for the client to go.
func tlsServer(c *tls.Config) func(net.Conn) {
	return func(conn net.Conn) {
		s := tls.Server(conn, c)
		if s.Handshake() == nil {
			_, _ = io.Copy(io.Discard, s)
		}
	}
}

// hello begins a handshake of TLS 1.2, and certificates is the message that
// holds the chain, in the clear: junk is what stands where the first
// certificate should, with its length in front.
func hello() []byte {
	return tlsRecord(append(append([]byte{2, 0, 0, 38, 3, 3}, make([]byte, 32)...), 0, 0xc0, 0x2f, 0))
}

func certificates(junk []byte) []byte {
	n := len(junk) + 6
	message := []byte{11, byte(n >> 16), byte(n >> 8), byte(n)}
	for _, size := range []int{n - 3, len(junk)} {
		message = append(message, byte(size>>16), byte(size>>8), byte(size))
	}
	message = append(message, junk...)
	var out []byte
	for part := range slices.Chunk(message, 1<<14) {
		out = append(out, tlsRecord(part)...)
	}
	return out
}

func tlsRecord(b []byte) []byte {
	head := []byte{22, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(head[3:], uint16(len(b)))
	return append(head, b...)
}

// sends writes bytes and then waits for the client to go.
func sends(parts ...[]byte) func(net.Conn) {
	return func(conn net.Conn) {
		for _, p := range parts {
			if _, err := conn.Write(p); err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, conn)
	}
}

// drips sends a byte every so often: it is never idle, and never done.
func drips(b []byte, every time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		for i := range b {
			timer := time.NewTimer(every)
			<-timer.C
			if _, err := conn.Write(b[i : i+1]); err != nil {
				return
			}
		}
	}
}

// TestBadServers: every kind of bad server on real sockets is one finding, a
// row of the table with its reason, and none delays the others: no deadline of
// one that hangs passes before all of them hang at once and all others are done.
// The certificate of a server is read where it shows one.
func TestBadServers(t *testing.T) {
	k := allKeys()
	b := newBench(t, k)
	garbage := bytes.Repeat([]byte{0x30}, 900)
	type server struct {
		name  string
		serve func(cert tls.Certificate) func(net.Conn)
		want  peer.Reason // "": none
		read  bool        // its certificate
		says  string
		// What it sends before it hangs, to the deadline, once per key type; nil: it does not.
		first func(leaf []byte) []byte
	}
	first := func(parts ...[]byte) func([]byte) []byte {
		return func([]byte) []byte { return slices.Concat(parts...) }
	}
	raw := func(do func(net.Conn)) func(tls.Certificate) func(net.Conn) {
		return func(tls.Certificate) func(net.Conn) { return do }
	}
	as := func(change func(c *tls.Config)) func(tls.Certificate) func(net.Conn) {
		return func(cert tls.Certificate) func(net.Conn) {
			c := &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12}
			change(c)
			return tlsServer(c)
		}
	}
	chain := func(more ...[]byte) func(c *tls.Config) {
		return func(c *tls.Config) {
			cert := c.Certificates[0]
			cert.Certificate = append(slices.Clone(cert.Certificate), more...)
			c.Certificates = []tls.Certificate{cert}
		}
	}
	weak := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	servers := []server{
		{"plain HTTP", raw(sends([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))), peer.NotTLS, false, "NotTLS", nil},
		{"SSH", raw(sends([]byte("SSH-2.0-OpenSSH_9.9\r\n"))), peer.NotTLS, false, "NotTLS", nil},
		{"hangs before its first byte", raw(sends()), certificate.HandshakeTimeout, false, "Timeout", first()},
		{"hangs after ServerHello", raw(sends(hello())), certificate.HandshakeTimeout, false, "Timeout", first(hello())},
		{"hangs within a record", raw(sends(hello()[:20])), certificate.HandshakeTimeout, false, "Timeout", first(hello()[:20])},
		{"drips, and is never idle", raw(drips(bytes.Repeat(hello(), 100), 50*time.Millisecond)), certificate.HandshakeTimeout, false, "Timeout", first(hello()[:2])},
		{"hangs after its certificate", func(cert tls.Certificate) func(net.Conn) {
			return sends(hello(), certificates(cert.Certificate[0]))
		}, certificate.HandshakeTimeout, true, "Timeout", func(leaf []byte) []byte { return slices.Concat(hello(), certificates(leaf)) }},
		{"closes in the handshake", raw(func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }), peer.HandshakeFailed, false, "Reset", nil},
		{"answers with an alert", raw(sends([]byte{21, 3, 3, 0, 2, 2, 80})), peer.HandshakeFailed, false, "alert 80", nil},
		{"a chain of 10 MB", raw(sends(hello(), certificates(bytes.Repeat([]byte{0x30}, 10<<20)))), peer.ChainTooBig, false, "ChainTooBig", nil},
		{"a chain of 200 KB", raw(sends(hello(), certificates(bytes.Repeat([]byte{0x30}, 200<<10)))), peer.ChainTooBig, false, "ChainTooBig", nil},
		{"eleven certificates", as(func(c *tls.Config) {
			chain(slices.Repeat([][]byte{c.Certificates[0].Certificate[0]}, 10)...)(c)
		}), peer.ChainTooBig, true, "ChainTooBig", nil},
		{"a certificate that cannot be parsed", as(func(c *tls.Config) {
			c.Certificates = []tls.Certificate{{Certificate: [][]byte{garbage}, PrivateKey: c.Certificates[0].PrivateKey}}
		}), peer.CertificateUnparsable, false, "Unparsable", nil},
		{"one that cannot be parsed, and hangs", raw(sends(hello(), certificates(garbage))), peer.CertificateUnparsable, false, "Unparsable", first(hello(), certificates(garbage))},
		{"an issuer that cannot be parsed", as(chain(garbage)), peer.CertificateUnparsable, true, "Unparsable", nil},
		{"TLS 1.0 only", as(func(c *tls.Config) {
			c.MinVersion, c.MaxVersion, c.CipherSuites = tls.VersionTLS10, tls.VersionTLS10, weak
		}), peer.ProtocolTooOld, true, "ProtocolTooOld", nil},
		{"TLS 1.1 only", as(func(c *tls.Config) {
			c.MinVersion, c.MaxVersion, c.CipherSuites = tls.VersionTLS11, tls.VersionTLS11, weak
		}), peer.ProtocolTooOld, true, "ProtocolTooOld", nil},
		{"demands a client certificate", as(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), peer.ClientCertificateRequired, true, "ClientCertificateRequired", nil},
		{"demands one in TLS 1.3", as(func(c *tls.Config) {
			c.ClientAuth, c.MinVersion, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS13, tls.VersionTLS13
		}), peer.ClientCertificateRequired, true, "ClientCertificateRequired", nil},
		{"asks for one and can do without", as(func(c *tls.Config) { c.ClientAuth = tls.RequestClientCert }), "", true, "", nil},
		{"a good one", as(func(*tls.Config) {}), "", true, "", nil},
	}
	cl := &b.mesh.Clusters[1]
	cl.Nodes, cl.TLS = nil, mesh.TLS{}
	probes := &together{t: t, hangs: map[string]int{}, left: len(servers), all: make(chan struct{})}
	for i, s := range servers {
		name := fmt.Sprintf("imp-apac-%02d.example.com", i)
		c := b.issue(t, wish{cn: name})
		address := listen(t, s.serve(tls.Certificate{Certificate: [][]byte{c.cert.Raw}, PrivateKey: c.key}))
		cl.Nodes = append(cl.Nodes, mesh.Node{Name: mesh.NodeName(name), Address: address})
		if s.first != nil {
			probes.hangs[address] = len(s.first(c.cert.Raw))
		}
	}
	cl.Publisher = cl.Nodes[len(cl.Nodes)-1].Name
	c := b.certcheck()
	c.TLS = probes
	if _, err := c.Handle(t.Context(), run.Request{Only: []mesh.ClusterID{"apac"}}); err != nil {
		t.Fatal(err)
	}
	rec := b.stored().Certs["apac"].Value
	for i, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			node := cl.Nodes[i]
			var got []peer.Finding
			for _, f := range rec.Findings {
				if f.Node == node.Name && f.Reason != certificate.SelfSigned {
					got = append(got, f)
				}
			}
			if read := rec.Served[node.Name][onRSA].Fingerprint != ""; read != s.read {
				t.Errorf("certificate read %v", read)
			}
			if s.want == "" {
				if len(got) != 0 {
					t.Errorf("found %+v", got)
				}
				return
			}
			if len(got) != 1 {
				t.Fatalf("found %d: %+v", len(got), got)
			}
			f := got[0]
			kind := slices.IndexFunc(certificate.Kinds(), func(k certificate.Kind) bool { return k.Reason == f.Reason })
			if f.Reason != s.want || kind < 0 || f.Severity != certificate.Kinds()[kind].Severity || f.Fix == "" || f.ID != peer.IDOf(peer.Reason(s.want), string(node.Name), "RSA") {
				t.Errorf("found %+v, want %s as the table has it", f, s.want)
			}
			if !strings.Contains(f.Message, s.says) {
				t.Errorf("%q does not say %s", f.Message, s.says)
			}
		})
	}
}

// together probes: the deadlines of those that hang pass once all of them have said what they say and hang, and all others are done.
type together struct {
	t     *testing.T
	hangs map[string]int // how many bytes come before, by address
	mu    sync.Mutex
	left  int
	all   chan struct{}
}

func (s *together) ProbeAll(ctx context.Context, t tlsprobe.Target) []tlsprobe.Outcome {
	says, hangs := s.hangs[t.Address]
	if !hangs {
		defer s.come()
		return tlsprobe.Prober{Timeout: time.Minute}.ProbeAll(ctx, t)
	}
	var out []tlsprobe.Outcome
	come := sync.OnceFunc(s.come)
	for _, keyType := range []tlsprobe.KeyType{tlsprobe.RSA, tlsprobe.ECDSA} {
		ctx, pass := soaptest.Deadline(s.t)
		prober := tlsprobe.Prober{Timeout: 2 * time.Minute, Dialer: listening{says, func() {
			come()
			select {
			case <-s.all:
			case <-time.After(time.Minute):
				s.t.Error("servers that hang keep others waiting")
			}
			pass()
		}}}
		served, err := prober.Probe(ctx, t, keyType)
		out = append(out, tlsprobe.Outcome{Asked: keyType, Served: served, Err: err})
	}
	return out
}

// come tells of one that is done or hangs.
func (s *together) come() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left--; s.left == 0 {
		close(s.all)
	}
}

// listening calls then when so many bytes have been read and more are waited for.
type listening struct {
	says int
	then func()
}

func (l listening) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &listened{conn, l.says, l.then}, nil
}

type listened struct {
	net.Conn
	left int
	then func()
}

func (l *listened) Read(p []byte) (int, error) {
	if l.left <= 0 {
		l.then()
	}
	n, err := l.Conn.Read(p)
	l.left -= n
	return n, err
}
