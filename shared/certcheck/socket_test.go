package certcheck

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
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

// bigChain writes a ServerHello and ten megabytes of certificates in the clear,
// as TLS 1.2 has them.
func bigChain(junk []byte) func(net.Conn) {
	record := func(b []byte) []byte {
		head := []byte{22, 3, 3, 0, 0}
		binary.BigEndian.PutUint16(head[3:], uint16(len(b)))
		return append(head, b...)
	}
	return func(conn net.Conn) {
		hello := append([]byte{2, 0, 0, 38, 3, 3}, make([]byte, 32)...)
		hello = append(hello, 0, 0xc0, 0x2f, 0)
		if _, err := conn.Write(record(hello)); err != nil {
			return
		}
		message := make([]byte, 7, len(junk)+10)
		message[0] = 11
		n := len(junk) + 6
		message[1], message[2], message[3] = byte(n>>16), byte(n>>8), byte(n)
		message[4], message[5], message[6] = byte((n-3)>>16), byte((n-3)>>8), byte(n-3)
		message = append(message, byte(len(junk)>>16), byte(len(junk)>>8), byte(len(junk)))
		message = append(message, junk...)
		for part := range slices.Chunk(message, 1<<14) {
			if _, err := conn.Write(record(part)); err != nil {
				return
			}
		}
	}
}

// TestBadServers: every kind of bad server on real sockets is a finding with
// its reason, and none delays the others beyond its own deadline.
func TestBadServers(t *testing.T) {
	k := &keys{}
	b := newBench(t, k)
	good := func(name string) tls.Certificate {
		c := b.issue(t, wish{cn: name})
		return tls.Certificate{Certificate: [][]byte{c.cert.Raw}, PrivateKey: c.key}
	}
	servers := []struct {
		name string
		do   func(net.Conn)
		want peer.Reason
	}{
		{"http", func(conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn)
		}, peer.NotTLS},
		{"hang", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, peer.HandshakeTimeout},
		{"big", bigChain(bytes.Repeat([]byte{0x30}, 200<<10)), peer.ChainTooBig},
		// A message that announces ten megabytes is refused before it is read, so
		// that it is a chain cannot be told; the words say what it was.
		{"huge", bigChain(bytes.Repeat([]byte{0x30}, 10<<20)), peer.HandshakeFailed},
		{"junk", bigChain(bytes.Repeat([]byte{0x30}, 900)), peer.CertificateUnparsable},
		{"old", nil, peer.ProtocolTooOld},
		{"client", nil, peer.ClientCertDemanded},
		{"fine", nil, ""},
	}
	cl := &b.mesh.Clusters[1]
	cl.Nodes, cl.TLS = nil, mesh.TLS{}
	for _, s := range servers {
		name := "imp-" + s.name + ".example.com"
		do := s.do
		switch s.name {
		case "old":
			do = tlsServer(&tls.Config{Certificates: []tls.Certificate{good(name)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA}})
		case "client":
			do = tlsServer(&tls.Config{Certificates: []tls.Certificate{good(name)}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12})
		case "fine":
			do = tlsServer(&tls.Config{Certificates: []tls.Certificate{good(name)}, MaxVersion: tls.VersionTLS12})
		}
		cl.Nodes = append(cl.Nodes, mesh.Node{Name: mesh.NodeName(name), Address: listen(t, do)})
	}
	cl.Publisher = cl.Nodes[len(cl.Nodes)-1].Name
	c := b.certcheck()
	const deadline = 3 * time.Second
	c.TLS = tlsprobe.Prober{Timeout: deadline}
	began := time.Now()
	if _, err := c.Handle(t.Context(), run.Request{Only: []mesh.ClusterID{"apac"}}); err != nil {
		t.Fatal(err)
	}
	// Two key types, one after the other; twice as much for a busy machine.
	if took := time.Since(began); took > 4*deadline {
		t.Errorf("took %v: the server that hangs delayed the others", took)
	}
	book := b.stored()
	rec := book.Certs["apac"].Value
	for _, s := range servers {
		name := mesh.NodeName("imp-" + s.name + ".example.com")
		var got []string
		for _, f := range rec.Findings {
			if f.Node == name && f.KeyType == "RSA" && f.Reason != peer.SelfSigned {
				got = append(got, string(f.Reason))
				if s.name == "huge" && !strings.Contains(f.Message, "exceeds maximum") {
					t.Errorf("why is not said: %s", f.Message)
				}
			}
		}
		if want := string(s.want); strings.Join(got, " ") != want {
			t.Errorf("%s: found %q, want %q", s.name, got, want)
		}
		if read := rec.Served[name]["RSA"].Fingerprint != ""; read != slices.Contains([]string{"old", "client", "fine"}, s.name) {
			t.Errorf("%s: certificate read %v", s.name, read)
		}
	}
}
