package clustersim

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// Whose certificate a node shows to Peerkeeper.
const (
	servesOwn   = "own"
	servesOther = "other"
)

// TLS changes what Peerkeeper meets when it opens a connection to a node.
// ICSA of the other clusters comes by another way and meets the node itself.
//
// With "served": "other" something in between ends the connection: it shows a
// certificate of its own, self-signed, with the node's name and another key, and
// passes on what it is asked. "own" takes it away again.
//
// The other keys are what the node's web server, or a box in front of it, does
// with a handshake; they show over sockets only, for in process there is none.
// suites is what Cipher Management left it, by IANA or OpenSSL name; an empty list
// is all again. maxClientHello is how many bytes a ClientHello may have before it
// is reset, 0 any. minVersion and maxVersion are "1.0" to "1.3", "" the usual.
type TLS struct {
	Node              string    `json:"node"`
	Served            string    `json:"served"`
	Suites            *[]string `json:"suites"`
	MaxClientHello    *int      `json:"maxClientHello"`
	MinVersion        *string   `json:"minVersion"`
	MaxVersion        *string   `json:"maxVersion"`
	ClientCertificate *bool     `json:"clientCertificate"`
	PlainHTTP         *bool     `json:"plainHTTP"`
}

func (in TLS) apply(s *Sim, c *cluster, now time.Time) error {
	n, err := c.nodeField(in.Node)
	if err != nil {
		return err
	}
	posture := n.posture
	if in.Suites != nil {
		posture.suites, posture.maxVersion = nil, 0
		for _, name := range *in.Suites {
			id, ok := suiteNamed(name)
			if !ok {
				return wrong("suites", "%q is no cipher suite that can be served here; RSA key exchange is TLS_RSA_WITH_… or AES256-GCM-SHA384", name)
			}
			posture.suites = append(posture.suites, id)
			posture.maxVersion = tls.VersionTLS12 // those of TLS 1.3 are not for choosing
		}
	}
	if in.MaxClientHello != nil {
		if *in.MaxClientHello < 0 {
			return wrong("maxClientHello", "%d is no number of bytes", *in.MaxClientHello)
		}
		posture.maxClientHello = *in.MaxClientHello
	}
	for _, v := range []struct {
		field string
		text  *string
		into  *uint16
	}{{"minVersion", in.MinVersion, &posture.minVersion}, {"maxVersion", in.MaxVersion, &posture.maxVersion}} {
		if v.text == nil {
			continue
		}
		number, ok := map[string]uint16{"": 0, "1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[*v.text]
		if !ok {
			return wrong(v.field, "%q is none of 1.0, 1.1, 1.2, 1.3", *v.text)
		}
		*v.into = number
	}
	if posture.maxVersion != 0 && posture.maxVersion < tls.VersionTLS12 && posture.minVersion == 0 {
		posture.minVersion = tls.VersionTLS10
	}
	if in.ClientCertificate != nil {
		posture.demandsCertificate = *in.ClientCertificate
	}
	if in.PlainHTTP != nil {
		posture.plain = *in.PlainHTTP
	}
	n.posture = posture
	// A connection that stands was made under the old rules.
	defer s.dropConnections(n)
	switch in.Served {
	case "":
	case servesOwn:
		n.between = nil
	case servesOther:
		if n.between != nil {
			return nil
		}
		cert, err := s.authority.issue(certSpec{
			CN: n.fqdn, SANs: []string{n.fqdn}, KeyType: keyRSA, Issuer: issuerSelf,
			NotBefore: now.Add(-24 * time.Hour).Truncate(time.Second), NotAfter: now.AddDate(2, 0, 0).Truncate(time.Second), Avoid: n.rsa,
		})
		if err != nil {
			return simulatorError(err)
		}
		n.between = &cert
		s.log("%s: something in between shows Peerkeeper %s", n.name, fingerprint(cert.Leaf))
	default:
		return wrong("served", "%q is neither own nor other", in.Served)
	}
	return nil
}

// shown are the certificates that Peerkeeper meets on a node.
func (n *node) shown() []tls.Certificate {
	if n.between != nil {
		return []tls.Certificate{*n.between}
	}
	return n.identities()
}

// shownKey is the one of them with a key of this type; nil if there is none.
func (n *node) shownKey(keyType string) *tls.Certificate {
	switch {
	case n.between != nil && keyType == keyRSA:
		return n.between
	case n.between != nil:
		return nil
	case keyType == keyECDSA:
		return n.ecdsa
	}
	return n.rsa
}

// Own is the certificate that a node itself has and shows ICSA, whatever stands
// between it and Peerkeeper; nil if the mesh has no such node.
func (s *Sim) Own(name string) *x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clusters {
		if n := c.node(name); n != nil {
			return n.rsa.Leaf
		}
	}
	return nil
}
