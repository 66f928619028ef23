package clustersim

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// tlsPosture is what a node's web server, or what stands in front of it, does
// with a handshake. The zero value is an ordinary one.
type tlsPosture struct {
	suites             []uint16 // none: crypto/tls's own choice
	minVersion         uint16
	maxVersion         uint16
	maxClientHello     int  // bytes of the record; longer ones are reset; 0: any
	demandsCertificate bool // of the client
	plain              bool // answers in HTTP without TLS
}

func (p tlsPosture) config(certificates []tls.Certificate) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, MaxVersion: p.maxVersion, CipherSuites: p.suites,
		Certificates: certificates, SessionTicketsDisabled: true,
	}
	if p.minVersion != 0 {
		c.MinVersion = p.minVersion
	}
	if p.demandsCertificate {
		c.ClientAuth = tls.RequireAnyClientCert
	}
	return c
}

// suiteNamed finds a cipher suite by its IANA name or by the one that OpenSSL
// and Cisco's Cipher Management page have for it.
func suiteNamed(name string) (uint16, bool) {
	if iana, ok := openSSLNames[name]; ok {
		name = iana
	}
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, s := range list {
			if s.Name == name {
				return s.ID, true
			}
		}
	}
	return 0, false
}

var openSSLNames = map[string]string{
	"ECDHE-RSA-AES256-GCM-SHA384":   "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
	"ECDHE-RSA-AES128-GCM-SHA256":   "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
	"ECDHE-RSA-AES128-SHA":          "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
	"ECDHE-RSA-AES256-SHA":          "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
	"ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
	"ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
	"AES256-GCM-SHA384":             "TLS_RSA_WITH_AES_256_GCM_SHA384",
	"AES128-GCM-SHA256":             "TLS_RSA_WITH_AES_128_GCM_SHA256",
	"AES256-SHA":                    "TLS_RSA_WITH_AES_256_CBC_SHA",
	"AES128-SHA":                    "TLS_RSA_WITH_AES_128_CBC_SHA",
	"AES128-SHA256":                 "TLS_RSA_WITH_AES_128_CBC_SHA256",
	"DES-CBC3-SHA":                  "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
	"RC4-SHA":                       "TLS_RSA_WITH_RC4_128_SHA",
}

// gate is a node's listener behind whatever stands in front of the node.
type gate struct {
	net.Listener
	posture func() tlsPosture
}

func (g gate) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gated{Conn: c, posture: g.posture}, nil
}

// gated is one connection: its first bytes decide.
type gated struct {
	net.Conn
	posture func() tlsPosture
	once    sync.Once
	head    []byte // read already, to be handed on
	err     error
}

var errGate = errors.New("ended in front of the node")

func (g *gated) Read(p []byte) (int, error) {
	g.once.Do(g.look)
	if g.err != nil {
		return 0, g.err
	}
	if len(g.head) > 0 {
		n := copy(p, g.head)
		g.head = g.head[n:]
		return n, nil
	}
	return g.Conn.Read(p)
}

func (g *gated) look() {
	posture := g.posture()
	if posture.maxClientHello == 0 && !posture.plain {
		return
	}
	var head [5]byte
	if _, err := io.ReadFull(g.Conn, head[:]); err != nil {
		g.err = err
		return
	}
	switch size := len(head) + int(binary.BigEndian.Uint16(head[3:])); {
	case posture.plain:
		_, g.err = io.WriteString(g.Conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 47\r\n\r\nThis combination of host and port requires TLS.")
		g.err = errors.Join(errGate, g.err, g.Conn.Close())
	case posture.maxClientHello > 0 && size > posture.maxClientHello:
		if tcp, ok := g.Conn.(*net.TCPConn); ok {
			g.err = tcp.SetLinger(0) // a reset, not an orderly end
		}
		g.err = errors.Join(errGate, g.err, g.Conn.Close())
	default:
		g.head = head[:]
	}
}
