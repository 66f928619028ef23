// Package chain tells which certificates vouch for a leaf, which of them ends
// first, and how one is named for short.
//
// It owns who signed whom, what is self-signed, and the way from a leaf up to
// the CAs that somebody trusts. It asks no clock but the one it is given,
// touches no network, keeps nothing, and imports the standard library only.
package chain

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"time"
)

// Bounds of a search: the server of a chain chose its certificates.
const (
	maxDepth = 10  // certificates above a leaf
	maxTries = 500 // signatures checked for one leaf
)

// Fingerprint is the SHA-256 of a certificate as mesh.yaml writes a pin:
// "sha256:" and lowercase hexadecimal digits.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// SelfSigned reports that a certificate names itself as its issuer, by the key
// that it holds. The signature is not checked: it proves nothing, and Go refuses
// to check weak ones. Of a CA that was given a new key, the certificate by the
// former one names the same issuer and another key: that one is not self-signed.
func SelfSigned(cert *x509.Certificate) bool {
	if !bytes.Equal(cert.RawIssuer, cert.RawSubject) {
		return false
	}
	return len(cert.AuthorityKeyId) == 0 || len(cert.SubjectKeyId) == 0 || bytes.Equal(cert.AuthorityKeyId, cert.SubjectKeyId)
}

// End is when something ends, and by which certificate. Its zero value never
// ends, or is not known to.
type End struct {
	At time.Time
	By *x509.Certificate
}

// Known are certificates from which ways up are built.
type Known struct {
	Served  []*x509.Certificate // with the leaf, without it
	Trusted []*x509.Certificate // by tls.ca: roots, and what else a person put there
	Others  []*x509.Certificate // come across elsewhere, where neither of the two has an issuer
}

// Ends finds the earliest end above a leaf: of what its chain needs, and of what
// Peerkeeper's own trust rests on.
//
// Chain is the first end of a CA between the leaf and its root. Where several
// ways lead up, the one that lasts longest counts, and one that ends at a trusted
// root before any that does not: what another way spares is not needed. A root's
// own end is not the leaf's, for nobody looks at it where it is served.
//
// Root is the end of a root in Trusted if no way up lasts beyond it: when it is
// over, nothing in Trusted vouches for the leaf any more. It is zero if the leaf
// chains to none of them, or if something below the root ends first.
func Ends(leaf *x509.Certificate, known Known, now time.Time) (between, root End) {
	s := search{known: known, now: now}
	s.climb(leaf, nil)
	best := -1
	var eyes End
	rooted := false
	for _, w := range s.ways {
		e := earliest(w.above, func(c *x509.Certificate) bool { return !SelfSigned(c) })
		if w.rank > best || w.rank == best && later(e, between) {
			best, between = w.rank, e
		}
		if w.rank != trustedRoot {
			continue
		}
		if e := earliest(w.above, func(*x509.Certificate) bool { return true }); !rooted || later(e, eyes) {
			rooted, eyes = true, e
		}
	}
	if rooted && eyes.By != nil && SelfSigned(eyes.By) {
		root = eyes
	}
	return between, root
}

// later reports whether a lasts beyond b; what never ends lasts longest.
func later(a, b End) bool {
	return !b.At.IsZero() && (a.At.IsZero() || a.At.After(b.At))
}

func earliest(certs []*x509.Certificate, counts func(*x509.Certificate) bool) End {
	var out End
	for _, c := range certs {
		if counts(c) && (out.At.IsZero() || c.NotAfter.Before(out.At)) {
			out = End{c.NotAfter, c}
		}
	}
	return out
}

// What a way up ends at.
const (
	nowhere     = iota // an issuer that is nowhere to be found
	anyRoot            // a self-signed CA
	trustedRoot        // one of Trusted
)

type way struct {
	above []*x509.Certificate // from the leaf's issuer up
	rank  int
}

type search struct {
	known Known
	now   time.Time
	ways  []way
	tries int
}

// climb follows every issuer of a certificate.
func (s *search) climb(cert *x509.Certificate, above []*x509.Certificate) {
	if len(above) > 0 && SelfSigned(cert) {
		s.end(above, anyRoot)
		return
	}
	if len(above) == 0 && SelfSigned(cert) {
		return // it needs nobody
	}
	found := false
	// The trusted ones first: where the bound ends the search, a way to a root has
	// been found.
	for i, list := range [][]*x509.Certificate{s.known.Trusted, s.known.Served, s.known.Others} {
		if found && i == 2 {
			break // what is only come across elsewhere spares nothing
		}
		for _, ca := range list {
			if contains(above, ca) || len(above) == maxDepth || !s.signed(cert, ca) {
				continue
			}
			found = true
			s.climb(ca, append(above[:len(above):len(above)], ca))
		}
	}
	switch {
	case len(above) > 0 && contains(s.known.Trusted, cert):
		s.end(above, anyRoot) // trusted itself, root or not
	case !found:
		s.end(above, nowhere)
	}
}

func (s *search) end(above []*x509.Certificate, rank int) {
	if rank == anyRoot && contains(s.known.Trusted, above[len(above)-1]) {
		rank = trustedRoot
	}
	s.ways = append(s.ways, way{above, rank})
}

// signed reports whether a CA that has begun by now signed a certificate. One
// that is over counts: when it ended is the question.
func (s *search) signed(cert, ca *x509.Certificate) bool {
	if !bytes.Equal(cert.RawIssuer, ca.RawSubject) || s.now.Before(ca.NotBefore) || s.tries >= maxTries {
		return false
	}
	s.tries++
	return cert.CheckSignatureFrom(ca) == nil
}

func contains(list []*x509.Certificate, cert *x509.Certificate) bool {
	for _, c := range list {
		if bytes.Equal(c.Raw, cert.Raw) {
			return true
		}
	}
	return false
}
