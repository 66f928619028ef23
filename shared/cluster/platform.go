package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/certmgr"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/tlsprobe"
)

// Platform reads what one node holds through its certificate management, by
// the OS administrator's account, and opens the trust stores of a cluster by the
// one that may write. They are accounts with lock-outs of their own, so they
// share no session with Connector.
type Platform struct {
	Secrets secret.Source
	Now     func() time.Time
	// Timeout is one request's deadline on the wall clock; 0 is certmgr's.
	Timeout time.Duration
	// Transport replaces the network by an in-process simulator; nil dials.
	Transport http.RoundTripper
	// TLS replaces the network where a served certificate is read; nil dials.
	TLS Prober
}

// Prober reads the certificates that a TLS server serves.
type Prober interface {
	ProbeAll(ctx context.Context, t tlsprobe.Target) []tlsprobe.Outcome
}

func (p *Platform) client(n mesh.Node, login *secret.Login, trust soap.Trust) *certmgr.Client {
	return certmgr.New(soap.Endpoint{
		Node: string(n.Name), TLSName: n.ServerName(), Address: n.PlatformAddress, Trust: trust,
		Username: login.Username, Password: login.Password,
		Now: p.Now, Timeout: p.Timeout, Transport: p.Transport,
	})
}

// LogIn fetches the account that reads, once for all nodes of a cluster. Errors
// are *certificate.Refused, or the guard's where nobody knows whether the account
// was refused.
func (p *Platform) LogIn(ctx context.Context, cl *mesh.Cluster, guard secret.Guard) (*secret.Login, error) {
	return p.logIn(ctx, cl, mesh.PlatformAccount, guard)
}

func (p *Platform) logIn(ctx context.Context, cl *mesh.Cluster, a mesh.Account, guard secret.Guard) (*secret.Login, error) {
	login, err := logIn(ctx, p.Secrets, cl, a, guard)
	var no *Refused
	if errors.As(err, &no) {
		err = &certificate.Refused{Reason: no.Reason, Message: no.Message, Cause: no.Cause}
	}
	return login, err
}

// Holding reads one node, and notes at once that it refused the account. pins are
// accepted at run time, besides those of mesh.yaml, under whichever node of the
// cluster: a certificate for all servers is the same on all. Errors are
// *certificate.Refused.
func (p *Platform) Holding(ctx context.Context, cl *mesh.Cluster, n mesh.Node, login *secret.Login, pins map[mesh.NodeName][]string) (certificate.Holding, error) {
	trust, _, err := trustOf(cl, pins)
	if err != nil {
		return certificate.Holding{}, &certificate.Refused{Reason: peer.ServerCertificateUntrusted, Message: err.Error(), Cause: err}
	}
	client := p.client(n, login, trust)
	defer client.Close()
	out, err := holdingOf(ctx, client)
	if err != nil {
		return certificate.Holding{}, refusedBy(n, heed(ctx, login, platformRefusal(n.Name), err))
	}
	return out, nil
}

// holdingOf asks a node for all that it holds, in one question or, where it does
// not know that one, store by store. It is all there or an error.
func holdingOf(ctx context.Context, client *certmgr.Client) (certificate.Holding, error) {
	out := holding{certificate.Holding{Identities: map[string][]*x509.Certificate{}, Stores: map[string][]certificate.HeldCertificate{}, Unreadable: map[string]int{}, Empty: map[string]int{}, Cut: map[string]int{}}}
	snap, err := client.Snapshot(ctx)
	switch kind := soap.KindOf(err); {
	case err == nil:
		for _, store := range certmgr.Stores() {
			if id, ok := snap.Identity(store.Identity); ok {
				out.identity(store.Identity, id.Bundle)
			}
			if b, ok := snap.Trust(store.Identity); ok {
				out.store(store.TrustStore, b)
			}
		}
		return out.Holding, nil
	case kind != soap.NotFound && kind != soap.Malformed || missing(err):
		return certificate.Holding{}, err
	}
	// The snapshot is third-party knowledge; what follows is too, but older. Each
	// store is asked for by itself. tomcat-trust must answer, by which clusters are
	// pulled from; of the others a 404 is what a service says that is not active,
	// and not that its store is empty.
	for _, service := range []certmgr.Service{certmgr.Tomcat, certmgr.CUP, certmgr.CUPXMPP} {
		store, _ := certmgr.StoreOf(service)
		b, err := client.Trust(ctx, service)
		switch {
		case err == nil:
			out.store(store.TrustStore, b)
		case service == certmgr.Tomcat || soap.KindOf(err) != soap.NotFound:
			return certificate.Holding{}, err
		}
		if id, err := client.Identity(ctx, service); err == nil {
			out.identity(service, id)
		} else if k := soap.KindOf(err); k != soap.NotFound && k != soap.Fault {
			return certificate.Holding{}, err
		}
	}
	return out.Holding, nil
}

// maxChain bounds what an identity may bring above its leaf, as what a port
// serves is bounded.
const maxChain = 10

// holding fills a certificate.Holding.
type holding struct{ certificate.Holding }

func (h holding) identity(service certmgr.Service, b certmgr.Bundle) {
	if n := len(b.Unreadable); n > 0 {
		h.Unreadable[string(service)] = n // one missing, and a CA stands where the leaf should
		return
	}
	certs := b.Certificates
	if more := len(certs) - maxChain; more > 0 {
		certs, h.Cut[string(service)] = certs[:maxChain], more
	}
	for _, c := range certs {
		h.Identities[string(service)] = append(h.Identities[string(service)], c.X509)
	}
}

func (h holding) store(name string, b certmgr.Bundle) {
	if _, had := h.Stores[name]; had || h.Unreadable[name] > 0 {
		return // an ECDSA identity has the store of its twin
	}
	// An entry whose bytes came whole, and are no certificate that can be read
	// here (Go refuses some old CAs), is at least none of those that are looked for.
	for _, u := range b.Unreadable {
		if u.Fingerprint == "" {
			h.Unreadable[name]++
		}
	}
	if b.Empty > 0 {
		h.Empty[name] = b.Empty
	}
	if h.Unreadable[name] > 0 {
		return
	}
	if b.Cut > 0 {
		h.Cut[name] = b.Cut
	}
	h.Stores[name] = make([]certificate.HeldCertificate, 0, len(b.Certificates))
	for _, c := range b.Certificates {
		h.Stores[name] = append(h.Stores[name], certificate.HeldCertificate{File: c.File, X509: c.X509})
	}
}

// missing reports whether the node has no such interface at all.
func missing(err error) bool {
	var none *certmgr.NotAvailable
	return errors.As(err, &none)
}

func refusedBy(n mesh.Node, err error) *certificate.Refused {
	out := &certificate.Refused{Reason: reasonOf(err), Message: explain(err), Cause: err}
	var none *certmgr.NotAvailable
	if errors.As(err, &none) && none.Reason == certmgr.ReasonNoSuchPath {
		out.Reason = certificate.Before14
	}
	if out.Reason == peer.AccountRejected {
		out.Message = platformRefusal(n.Name)
	}
	return out
}

func platformRefusal(n mesh.NodeName) string {
	return fmt.Sprintf("%s refuses the platform account", n)
}
