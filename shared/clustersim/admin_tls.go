package clustersim

import (
	"crypto/tls"
	"time"
)

// Whose certificate a node shows to Peerkeeper.
const (
	servesOwn   = "own"
	servesOther = "other"
)

// adminTLS changes what Peerkeeper meets when it opens a connection to a node.
// ICSA of the other clusters comes by another way and meets the node itself.
//
// With "served": "other" something in between ends the connection: it shows a
// certificate of its own, self-signed, with the node's name and another key, and
// passes on what it is asked. "own" takes it away again.
func (s *Sim) adminTLS(c *cluster, body []byte, now time.Time) error {
	var in struct {
		Node   string `json:"node"`
		Served string `json:"served"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	n, err := c.nodeField(in.Node)
	if err != nil {
		return err
	}
	switch in.Served {
	case "":
	case servesOwn:
		n.between = nil
	case servesOther:
		if n.between != nil {
			return nil
		}
		cert, err := s.authority.issue(certSpec{
			CN: n.name, SANs: []string{n.name}, KeyType: keyRSA, Issuer: issuerSelf,
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
