package repair

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/chain"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// made is a certificate with its key, for signing more.
type made struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// issue makes a certificate; by nil signs it with its own key.
func issue(t *testing.T, name string, ca bool, ends time.Time, by *made) *made {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: noon.AddDate(-1, 0, 0), NotAfter: ends,
		IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if ca {
		tmpl.KeyUsage = x509.KeyUsageCertSign
	}
	parent, signer := tmpl, key
	if by != nil {
		parent, signer = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &made{cert, key}
}

func certsOf(all ...*made) []*x509.Certificate {
	var out []*x509.Certificate
	for _, m := range all {
		out = append(out, m.Certificate)
	}
	return out
}

// shelf is the trust store of one node, and how it behaves.
type shelf struct {
	holds   []string
	applies bool
	answer  error // of the next Add
	broken  error // of every read
	added   [][]*x509.Certificate
	reads   int
	onRead  func(n int)
}

func (s *shelf) Lacks(_ context.Context, _ mesh.NodeName, _ string, want []string) ([]string, error) {
	s.reads++
	if s.onRead != nil {
		s.onRead(s.reads)
	}
	return slices.DeleteFunc(slices.Clone(want), func(p string) bool { return slices.Contains(s.holds, p) }), s.broken
}

func (s *shelf) Add(_ context.Context, _ mesh.NodeName, _ string, certs []*x509.Certificate, _ string) error {
	s.added = append(s.added, certs)
	if s.applies {
		for _, c := range certs {
			s.holds = append(s.holds, chain.Fingerprint(c))
		}
	}
	return s.answer
}

func (s *shelf) Refused(err error) bool   { return errors.Is(err, errRefused) }
func (s *shelf) Uncertain(err error) bool { return errors.Is(err, errLost) }

// importRig is a rig with a store, a source, and a proposal that fits it.
func importRig(t *testing.T) (*rig, *shelf, peer.Proposal, *made) {
	r, s := newRig(t), &shelf{applies: true}
	leaf := issue(t, "imp-apac-pub.example.com", false, noon.AddDate(1, 0, 0), nil)
	r.TrustStoreWriter = func(context.Context, mesh.ClusterID) (TrustStoreWriter, error) { return s, nil }
	r.Source = func(context.Context, peer.CertSource) ([]*x509.Certificate, error) { return certsOf(leaf), nil }
	p := imported()
	p.Value = chain.Fingerprint(leaf.Certificate)
	p.Source.Fingerprint = p.Value
	return r, s, p, leaf
}

func TestImport(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(*rig, *shelf)
		ending
	}{
		{"put in and read back", func(*rig, *shelf) {}, ending{DoneProven, DoneProven, 1, "tomcat-trust of imp-emea-pub.example.com holds sha256:"}},
		{"the answer is lost, and it was put in", func(_ *rig, s *shelf) { s.answer = errLost }, ending{"open", DoneProven, 1, "holds"}},
		{"the answer is lost, and it was not", func(_ *rig, s *shelf) { s.answer, s.applies = errLost, false }, ending{"open", NotDone, 1, "lacks"}},
		{"the node says yes and does not do it", func(_ *rig, s *shelf) { s.applies = false }, ending{"open", NotDone, 1, "lacks"}},
		{"the node refuses", func(_ *rig, s *shelf) { s.answer, s.applies = errRefused, false }, ending{NotDone, NotDone, 1, "refused"}},
		{"nothing reached the node", func(_ *rig, s *shelf) { s.answer, s.applies = errNoWay, false }, ending{NotSent, NotSent, 1, "not taken"}},
		{"a person puts it in between the two looks", func(r *rig, s *shelf) {
			s.onRead = func(n int) {
				if n == 2 {
					s.holds = append(s.holds, r.gate().Open[0].Before.Certificates...)
				}
			}
		}, ending{NotSent, NotSent, 0, "there by now"}},
		{"the second look fails", func(_ *rig, s *shelf) {
			s.onRead = func(n int) {
				s.broken = nil
				if n == 2 {
					s.broken = errNoWay
				}
			}
		}, ending{NotSent, NotSent, 0, "could not be read again"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, s, p, _ := importRig(t)
			c.prepare(r, s)
			r.plays(p, c.ending, func() int { return len(s.added) }, func() { s.onRead = nil })
		})
	}
}

// What was read of the source is judged here once more, no matter who read it.
func TestImportOfWhat(t *testing.T) {
	year := noon.AddDate(1, 0, 0)
	root := issue(t, "Example Root", true, year, nil)
	between := issue(t, "Example Issuing", true, year, root)
	leaf := issue(t, "imp-apac-pub.example.com", false, year, between)
	own := issue(t, "imp-apac-pub.example.com", false, year, nil)
	other := issue(t, "imp-apac-pub.example.com", false, year, nil)
	namesake := issue(t, "Example Root", true, year, nil)
	lapsed := issue(t, "imp-apac-pub.example.com", false, noon.Add(-time.Hour), nil)
	for _, c := range []struct {
		name  string
		is    *made // the node's certificate, as proposed
		bySig bool  // it is CA-signed, as proposed
		read  []*made
		want  string // words of the error; "" goes through
	}{
		{"its own certificate", own, false, []*made{own}, ""},
		{"its chain", leaf, true, []*made{between, root}, ""},
		{"it was renewed since", own, false, []*made{other}, "and not sha256:"},
		{"it has expired", lapsed, false, []*made{lapsed}, "not valid now"},
		{"nothing", own, false, nil, "nothing of"},
		{"more than asked for", own, false, []*made{own, other}, "2 certificates"},
		{"the leaf, under a chain", leaf, true, []*made{leaf, between, root}, "never itself"},
		{"the leaf of a CA, as if it were its own", leaf, false, []*made{leaf}, "never itself"},
		{"a chain without its root", leaf, true, []*made{between}, "not complete"},
		{"a chain under a root of the same name", leaf, true, []*made{between, namesake}, "not signed by the next"},
		{"the chain of another CA", leaf, true, []*made{root}, "was issued by CN=Example Issuing, and not by CN=Example Root"},
		{"a server's certificate in the chain", leaf, true, []*made{own, root}, "is no CA"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, s, p, _ := importRig(t)
			p.Value = chain.Fingerprint(c.is.Certificate)
			p.Source.Fingerprint = p.Value
			if c.bySig {
				p.Source.Issuer = "CN=Example Issuing"
				approved(&p, &r.s, time.Minute)
				p.ID = "r1"
			}
			r.Source = func(context.Context, peer.CertSource) ([]*x509.Certificate, error) { return certsOf(c.read...), nil }
			r.s.Proposed = []peer.Proposal{p}
			_, err := r.Do(t.Context(), p, func(context.Context, *Gate) (Situation, error) { return r.s, nil })
			switch {
			case c.want == "" && (err != nil || len(s.added) != 1 || len(s.added[0]) != len(c.read)):
				t.Errorf("%v; sent %d times", err, len(s.added))
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || len(s.added) > 0 || len(r.gate().Open) > 0):
				t.Errorf("%v, want %q; sent %d times", err, c.want, len(s.added))
			}
		})
	}
}

// Of a chain, only what the store lacks is sent; all of it is read back.
func TestImportOfHalfAChain(t *testing.T) {
	r, s, p, _ := importRig(t)
	root := issue(t, "Example Root", true, noon.AddDate(1, 0, 0), nil)
	between := issue(t, "Example Issuing", true, noon.AddDate(1, 0, 0), root)
	p.Source.Issuer = "CN=Example Issuing"
	approved(&p, &r.s, time.Minute)
	p.ID = "r1"
	r.Source = func(context.Context, peer.CertSource) ([]*x509.Certificate, error) {
		return certsOf(between, root), nil
	}
	s.holds = []string{chain.Fingerprint(root.Certificate)}
	r.do(p)
	if len(s.added) != 1 || len(s.added[0]) != 1 || !s.added[0][0].Equal(between.Certificate) || r.ended() != DoneProven {
		t.Errorf("sent %d, ended %s", len(s.added), r.ended())
	}
	if got := r.gate().Used; len(got) != 1 || got[0].ID != "r1" {
		t.Errorf("the approval is not spent: %v", got)
	}
}

// An intent that does not say what was to be imported, as one that a release
// before imports has written back, is proven by nothing.
func TestImportOfNobodyKnowsWhat(t *testing.T) {
	r, s, p, _ := importRig(t)
	s.onRead = func(n int) {
		if n == 3 {
			s.broken = errNoWay // sent, and not read back
		}
	}
	r.do(p)
	s.onRead, s.broken = nil, nil
	if len(r.gate().Open) != 1 {
		t.Fatalf("%+v", r.gate())
	}
	if _, _, err := change(t.Context(), r.Store, r.Mesh.Name, func(g *Gate) (*Entry, error) {
		g.Open[0].Before.Certificates = nil
		return &Entry{Time: r.now, Actor: "an older release", Intent: "something else", Outcome: "done"}, nil
	}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.now = r.now.Add(5 * time.Minute)
		r.settle()
	}
	if got := r.ended(); got != Unproven {
		t.Errorf("ended %q, want %q", got, Unproven)
	}
}

func TestImportNeedsAKeeper(t *testing.T) {
	r, _, p, _ := importRig(t)
	r.TrustStoreWriter, r.s.Proposed = nil, []peer.Proposal{p}
	if _, err := r.Do(t.Context(), p, func(context.Context, *Gate) (Situation, error) { return r.s, nil }); err == nil || len(r.gate().Open) > 0 {
		t.Errorf("%v", err)
	}
}

// TestAnImportOfWhichTooLittleIsReadIsNotMeant: neither where the store's node does
// not let us in, nor where it does not tell what it holds.
func TestAnImportOfWhichTooLittleIsReadIsNotMeant(t *testing.T) {
	for name, prepare := range map[string]func(r *rig, s *shelf){
		"the node does not let us in": func(r *rig, _ *shelf) {
			r.TrustStoreWriter = func(context.Context, mesh.ClusterID) (TrustStoreWriter, error) { return nil, errNoWay }
		},
		"it does not tell what its store holds": func(_ *rig, s *shelf) { s.broken = errNoWay },
		"the source cannot be read": func(r *rig, _ *shelf) {
			r.Source = func(context.Context, peer.CertSource) ([]*x509.Certificate, error) { return nil, errNoWay }
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, s, p, _ := importRig(t)
			prepare(r, s)
			_, err := r.Do(t.Context(), p, func(context.Context, *Gate) (Situation, error) {
				now := r.s
				now.Proposed = []peer.Proposal{p}
				return now, nil
			})
			if g := r.gate(); !errors.Is(err, errNoWay) || len(g.Open)+len(g.Closed)+len(s.added) != 0 {
				t.Errorf("%v; the gate is %+v", err, g)
			}
		})
	}
}
