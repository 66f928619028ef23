package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/certmgr"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/tlsprobe"
)

// TrustStoreWriter is the trust stores of one cluster, opened with the platform's write
// account. Only shared/repair holds one.
type TrustStoreWriter struct {
	platform *Platform
	cluster  *mesh.Cluster
	nodes    map[mesh.NodeName]*certmgr.Client
	login    *secret.Login
}

// TrustStoreWriter opens the trust stores of a cluster, in the same way as a
// Connector its services.
func (p *Platform) TrustStoreWriter(ctx context.Context, cl *mesh.Cluster, guard secret.Guard, pins map[mesh.NodeName][]string) (*TrustStoreWriter, error) {
	login, err := logIn(ctx, p.Secrets, cl, mesh.PlatformWriteAccount, guard)
	if err != nil {
		return nil, err
	}
	trust, _, err := trustOf(cl, pins)
	if err != nil {
		return nil, &Refused{peer.ServerCertificateUntrusted, err.Error(), err}
	}
	w := &TrustStoreWriter{platform: p, cluster: cl, nodes: map[mesh.NodeName]*certmgr.Client{}, login: login}
	for _, n := range cl.Nodes {
		w.nodes[n.Name] = p.client(n, login, trust)
	}
	return w, nil
}

func (w *TrustStoreWriter) node(name mesh.NodeName) (*certmgr.Client, error) {
	c, ok := w.nodes[name]
	if !ok {
		return nil, fmt.Errorf("%s is no node of %s", name, w.cluster.ID)
	}
	return c, nil
}

// Lacks tells which of the certificates (by "sha256:…") a node's store does not
// hold now. A store that the node does not show, or not whole, is an error, not
// an empty one.
func (w *TrustStoreWriter) Lacks(ctx context.Context, name mesh.NodeName, store string, certificates []string) ([]string, error) {
	c, err := w.node(name)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	held, err := holdingOf(ctx, c)
	if err != nil {
		return nil, heed(ctx, w.login, platformRefusal(name), err)
	}
	list, ok := held.Stores[store]
	if n := held.Unreadable[store]; n > 0 {
		return nil, &Refused{Reason: peer.UnreadableAnswer, Message: fmt.Sprintf("%d entries of %s of %s cannot be read: what it lacks is not known", n, store, name)}
	}
	if !ok {
		return nil, &Refused{Reason: peer.UnreadableAnswer, Message: fmt.Sprintf("%s does not show its %s", name, store)}
	}
	lacks := slices.DeleteFunc(slices.Clone(certificates), func(print string) bool {
		return slices.ContainsFunc(list, func(h certificate.HeldCertificate) bool { return chain.Fingerprint(h.X509) == print })
	})
	if n := held.Cut[store]; n > 0 && len(lacks) > 0 {
		return nil, &Refused{Reason: peer.ValueTooLong, Message: fmt.Sprintf("%s of %s has %d entries more than are looked at: what it lacks is not known", store, name, n)}
	}
	return lacks, nil
}

// Add puts certificates into a node's store. It is sent at most once.
func (w *TrustStoreWriter) Add(ctx context.Context, name mesh.NodeName, store string, certs []*x509.Certificate, description string) error {
	c, err := w.node(name)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, s := range certmgr.Stores() {
		if s.TrustStore != store {
			continue
		}
		var texts []string
		for _, cert := range certs {
			texts = append(texts, certmgr.Certificate{X509: cert}.PEM())
		}
		_, err := c.AddTrust(ctx, s.TrustService, texts, description)
		return heed(ctx, w.login, platformRefusal(name), err)
	}
	return fmt.Errorf("%s is no trust store", store)
}

// Refused says whether a write with this error reached the node, and the node
// said no.
func (w *TrustStoreWriter) Refused(err error) bool {
	switch soap.KindOf(err) {
	case soap.AccountRejected, soap.Forbidden, soap.Fault, soap.NotFound, soap.Throttled:
		return true
	}
	return false
}

// Uncertain says whether a write with this error may have happened. Whatever is
// not known to be a refusal, or not to have been sent, may have.
func (w *TrustStoreWriter) Uncertain(err error) bool {
	var input *certmgr.InputError
	var e *soap.Error
	switch {
	case err == nil, w.Refused(err), errors.As(err, &input):
		return false
	}
	return !errors.As(err, &e) || e.Kind == soap.OutcomeUnknown
}

// Source reads what an import is about from its own node: a self-signed
// certificate itself, of a CA-signed one the CAs above it, from the one that
// signed it up to the root. The certificate must be the one that was proposed,
// and one by which Peerkeeper would log in there: by tls.ca, a pin, or one of
// pins, which people accepted at run time.
//
// One that is served is read in a handshake, which proves that who answers has its
// key, and must be the one that the node's certificate management names, where
// that can be asked. One that is not served yet is told by the node's certificate management,
// with the account that may write there, because the run that imports has no other;
// guard is that account's. An error that says what is wrong with the certificate is
// *Refused.
func (p *Platform) Source(ctx context.Context, cl *mesh.Cluster, of peer.CertSource, guard secret.Guard, pins map[mesh.NodeName][]string) ([]*x509.Certificate, error) {
	n, ok := cl.Node(of.Node)
	if !ok {
		return nil, fmt.Errorf("%s is no node of %s", of.Node, cl.ID)
	}
	trust, _, err := trustOf(cl, pins)
	if err != nil {
		return nil, err
	}
	var shown []*x509.Certificate
	if of.Pending {
		held, err := p.identities(ctx, cl, *n, guard, pins)
		if err != nil {
			return nil, err
		}
		shown = held[of.Service]
	} else if shown, err = p.served(ctx, *n, of); err != nil {
		return nil, err
	}
	switch {
	case len(shown) == 0:
		return nil, &Refused{Reason: peer.CertificateNotRead, Message: fmt.Sprintf("%s shows no %s certificate", n.Name, of.Service)}
	case chain.Fingerprint(shown[0]) != of.Fingerprint:
		return nil, &Refused{Reason: peer.CertificateChanged, Message: fmt.Sprintf("%s shows %s, and not %s any more", n.Name, chain.Fingerprint(shown[0]), of.Fingerprint)}
	}
	if err := trust.VerifyAny(shown, p.Now(), n.ServerName(), string(n.Name)); err != nil {
		return nil, &Refused{peer.ServerCertificateUntrusted, "Peerkeeper itself does not trust it: " + err.Error(), err}
	}
	if !of.Pending {
		if err := p.named(ctx, cl, *n, of, guard, pins); err != nil {
			return nil, err
		}
	}
	if of.Issuer == "" {
		return shown[:1], nil
	}
	return p.above(shown, trust)
}

// named asks the node's certificate management, where there is an account for it,
// whether the certificate that is served here is the one that it names. A node
// that names another is believed more than the wire. Where the import rests on
// that word, it must be had again.
func (p *Platform) named(ctx context.Context, cl *mesh.Cluster, n mesh.Node, of peer.CertSource, guard secret.Guard, pins map[mesh.NodeName][]string) error {
	if cl.PlatformWriteCredentials == "" {
		return nil // the import rests on what was recorded, or on a person
	}
	held, err := p.identities(ctx, cl, n, guard, pins)
	own := held[of.Service]
	switch {
	case err == nil && len(own) > 0 && chain.Fingerprint(own[0]) != of.Fingerprint:
		return &Refused{Reason: certificate.SourcesDiffer, Message: fmt.Sprintf("%s serves %s to Peerkeeper, and its certificate management names %s", n.Name, of.Fingerprint, chain.Fingerprint(own[0]))}
	case err == nil && len(own) > 0 || !slices.Contains(of.Proofs, peer.ProofIdentity):
		return nil
	case err != nil:
		return err
	}
	return &Refused{Reason: peer.CertificateNotRead, Message: fmt.Sprintf("%s does not name its %s certificate", n.Name, of.Service)}
}

// identities are what the services of a node serve as, in the words of its
// certificate management, asked with the account that may write there.
func (p *Platform) identities(ctx context.Context, cl *mesh.Cluster, n mesh.Node, guard secret.Guard, pins map[mesh.NodeName][]string) (map[string][]*x509.Certificate, error) {
	login, err := p.logIn(ctx, cl, mesh.PlatformWriteAccount, guard)
	if err != nil {
		return nil, err
	}
	held, err := p.Holding(ctx, cl, n, login, pins)
	return held.Identities, err
}

// served reads the certificate of one key type in a handshake that ended well.
func (p *Platform) served(ctx context.Context, n mesh.Node, of peer.CertSource) ([]*x509.Certificate, error) {
	var prober Prober = tlsprobe.Prober{Timeout: p.Timeout}
	if p.TLS != nil {
		prober = p.TLS
	}
	want := tlsprobe.KeyType(of.KeyType)
	for _, o := range prober.ProbeAll(ctx, tlsprobe.Target{Address: n.Address, ServerName: n.ServerName(), KeyTypes: []tlsprobe.KeyType{want}}) {
		switch {
		case o.Asked != want:
		case o.Err != nil:
			return nil, &Refused{peer.CertificateNotRead, fmt.Sprintf("%s does not show its %s certificate (%s)", n.Name, want, tlsprobe.ReasonOf(o.Err)), o.Err}
		case o.Served.KeyType == want:
			return o.Served.Chain, nil
		}
	}
	return nil, &Refused{Reason: peer.CertificateNotRead, Message: fmt.Sprintf("%s serves no %s certificate", n.Name, want)}
}

// above is the chain of CAs above a leaf, root included. The root is one of
// tls.ca, or the one that was served with a leaf that is pinned.
func (p *Platform) above(shown []*x509.Certificate, trust soap.Trust) ([]*x509.Certificate, error) {
	between, served := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
		if chain.SelfSigned(c) {
			served.AddCert(c)
		}
	}
	var why error
	for _, roots := range []*x509.CertPool{trust.Roots, served} {
		if roots == nil {
			continue
		}
		chains, err := shown[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: p.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		for _, c := range chains {
			// tls.ca may name an intermediate; a store wants the root as well.
			if root := c[len(c)-1]; len(c) > 1 && chain.SelfSigned(root) {
				return c[1:], nil
			}
		}
		why = err
	}
	return nil, &Refused{peer.ServerCertificateUntrusted, fmt.Sprintf("the CA chain above %s is not known whole: put its root into tls.ca", shown[0].Subject), why}
}
