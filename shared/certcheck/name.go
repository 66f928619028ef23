package certcheck

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/tlsprobe"
)

// resolve asks each pulling cluster's servers for every name in the
// certificates that it must resolve.
func (t *tick) resolve(ctx context.Context) {
	names := map[mesh.ClusterID]map[string]bool{}
	for _, p := range t.Mesh.Peers {
		if !t.wanted(p.ID.From) && !t.wanted(p.ID.To) {
			continue
		}
		if names[p.ID.From] == nil {
			names[p.ID.From] = map[string]bool{}
		}
		for _, n := range t.namesOf(p.ID.To, t.leaves(p.ID.To, t.certs[p.ID.To])).asked {
			names[p.ID.From][n] = true
		}
	}
	t.dns = map[mesh.ClusterID]dnsprobe.Result{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for id, set := range names {
		cl, _ := t.Mesh.Cluster(id)
		if len(cl.DNS) == 0 || len(set) == 0 {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, clusterDeadline)
			defer cancel()
			defer func() {
				if r := recover(); r != nil {
					t.logger().Error("panic while asking DNS servers", "cluster", id, "panic", r, "stack", string(debug.Stack()))
				}
			}()
			got, err := t.DNS.Lookup(ctx, cl.DNS, slices.Sorted(maps.Keys(set)))
			if err != nil {
				t.logger().Warn("asking a cluster's DNS servers", "cluster", id, "error", err)
			}
			mu.Lock()
			defer mu.Unlock()
			t.dns[id] = got
		})
	}
	wg.Wait()
	if suspectOurselves(t.dns) {
		t.logger().Warn("no DNS server of any cluster answers: taken for our own trouble")
		t.dns = nil
	}
}

// leaves are the certificates that ICSA may meet when it pulls: the
// publisher's, one of each key type. Which one the handshake settles on is not
// ours to see, so all of them must do. Where what is served to Peerkeeper is
// disputed, it is the one that the node itself names.
func (c *Certcheck) leaves(id mesh.ClusterID, r certificate.Record) []certificate.Served {
	cl, _ := c.Mesh.Cluster(id)
	var out []certificate.Served
	for _, t := range []tlsprobe.KeyType{tlsprobe.RSA, tlsprobe.ECDSA} {
		s, ok := r.Served[cl.Publisher][onTomcat(t)]
		if own := r.Identity[cl.Publisher][onTomcat(t).Service()]; s.Disputed && own.Fingerprint != "" {
			s = own
		}
		if ok && s.Fingerprint != "" {
			out = append(out, s)
		}
	}
	return out
}

// disputed are the certificates that the publisher serves to Peerkeeper and that
// its certificate management does not name. That one of them has expired, or is
// new, is not hidden by the other.
func (c *Certcheck) disputed(id mesh.ClusterID, r certificate.Record) []certificate.Served {
	cl, _ := c.Mesh.Cluster(id)
	var out []certificate.Served
	for _, t := range []tlsprobe.KeyType{tlsprobe.RSA, tlsprobe.ECDSA} {
		if s := r.Served[cl.Publisher][onTomcat(t)]; s.Disputed {
			out = append(out, s)
		}
	}
	return out
}

// serverNames is what the names of the certificates that a puller meets come to.
type serverNames struct {
	asked  []string // what its resolver must find, each once
	odd    []string // of these, what can be no host's name
	all    int      // names of the certificates, each once
	beyond int      // of them not looked at, because a certificate has more than maxNames
}

// namesOf sorts the names of certificates of one cluster. Left out are those
// that are no server's and need no resolving: addresses, wildcards, an empty
// name, a domain in which another of the names lies (a signing request of
// Cisco's adds it), the domain of the mesh. Whether ICSA asks for them all the
// same, its syncs show.
func (c *Certcheck) namesOf(id mesh.ClusterID, met []certificate.Served) serverNames {
	cl, _ := c.Mesh.Cluster(id)
	var out serverNames
	had := map[string]bool{}
	for _, s := range met {
		names := s.Names
		if len(names)+s.MoreNames == 0 {
			names = []string{nameInCN(s.Subject)} // a certificate of old, without alternative names
		}
		names, more := firstNames(cl, names)
		out.beyond += more + s.MoreNames
		for _, n := range names {
			if key := dnsname.Canonical(n); !had[key] {
				had[key] = true
				if n != "" {
					out.all++
				}
				if c.needsResolving(cl, n, s.Names) {
					out.asked = append(out.asked, n)
					if !dnsname.IsHost(n) {
						out.odd = append(out.odd, n)
					}
				}
			}
		}
	}
	out.all += out.beyond
	return out
}

// needsResolving reports whether ICSA must find one of a certificate's names.
func (c *Certcheck) needsResolving(cl *mesh.Cluster, name string, among []string) bool {
	switch {
	case declares(cl, name):
		return true
	case strings.TrimSpace(name) == "", dnsname.IsAddress(name), dnsname.IsWildcard(name), c.Mesh.LawfulDomain(name):
		return false
	}
	if _, ok := dnsname.Wire(name); !ok {
		return false // it fits into no question; a finding says so
	}
	return !slices.ContainsFunc(among, func(other string) bool { return dnsname.Above(name, other) })
}

// declares reports whether mesh.yaml has a name as a node of the cluster.
func declares(cl *mesh.Cluster, name string) bool {
	is := func(n mesh.Node) bool {
		return dnsname.Same(string(n.Name), name) || dnsname.Same(n.ServerName(), name)
	}
	return slices.ContainsFunc(cl.Nodes, is) || cl.CUCM != nil && is(*cl.CUCM)
}

// nameInCN is the name in a subject, without Cisco's mark of a multi-server
// certificate.
func nameInCN(subject string) string {
	host, domain, dotted := strings.Cut(certificate.CommonName(subject), ".")
	host = strings.TrimSuffix(host, "-ms")
	if dotted {
		host += "." + domain
	}
	return host
}

// names judges with the pulling cluster's resolver in mind: the first server
// that gives a definite answer decides, as on the nodes themselves. failing are
// the names that do not resolve; of open ones nobody can tell.
func (t *tick) names(id mesh.PeerID, met []certificate.Served) (cond peer.Condition, failing, open []string) {
	cond = peer.Condition{Type: peer.NamesResolve, Status: peer.UnknownStatus, Basis: peer.Measured}
	dns := t.dns[id.From]
	from, _ := t.Mesh.Cluster(id.From)
	switch {
	case len(from.DNS) == 0:
		cond.Reason, cond.Message = peer.NotObservable, fmt.Sprintf("mesh.yaml names no DNS servers of %s; an answer from any other resolver would prove nothing", id.From)
		return cond, nil, nil
	case len(met) == 0 || slices.ContainsFunc(met, func(s certificate.Served) bool { return s.Stale(t.now) }):
		cond.Reason, cond.Message = peer.CertificateNotRead, fmt.Sprintf("no certificate of %s has been read, so its names are not known", id.To)
		return cond, nil, nil
	}
	of := t.namesOf(id.To, met)
	var said, unsaid []string // for the message
	second, hosts := false, false
	for _, name := range of.asked {
		verdict, server := resolved(dns, name)
		switch verdict {
		case dnsprobe.OK:
			second = second || server > 0
			cond.Basis = basisOf(cond.Basis, server)
		case "":
			open = append(open, name)
			unsaid = append(unsaid, plain.Value(name)+whyOpen(dns, name))
		default:
			failing = append(failing, name)
			said = append(said, fmt.Sprintf("%s (%s from %s)", plain.Value(name), verdict, dns.Servers[server].Server))
			hosts = hosts || dnsname.IsHost(name)
			cond.Basis = basisOf(cond.Basis, server)
		}
	}
	switch {
	case len(failing) > 0:
		cond.Status, cond.Reason = peer.False, peer.NameNotResolving
		cond.Message = fmt.Sprintf("%s's DNS does not resolve %s from the certificate of %s; ICSA refuses a peer one of whose names fails", id.From, plain.List(said), id.To)
		if !hosts {
			cond.Basis = peer.Inferred // what ICSA makes of a name that is no host's is not known
		}
	case len(open) > 0:
		cond.Reason = peer.AllServersSilent
		cond.Message = fmt.Sprintf("none of %s's DNS servers tells Peerkeeper whether there is %s", id.From, plain.List(unsaid))
	case of.beyond > 0:
		cond.Reason = peer.NamesNotChecked
		cond.Message = fmt.Sprintf("the certificate of %s has %d names; the first %d of a certificate are looked at, and they resolve in %s's DNS; the others are not known", id.To, of.all, maxNames, id.From)
	case second:
		cond.Status, cond.Reason = peer.True, peer.OneServerResolves
		cond.Message = fmt.Sprintf("every name in %s's certificate resolves, but not by %s's first server", id.To, id.From)
	case len(of.asked) == 0:
		cond.Status, cond.Reason, cond.Basis = peer.True, peer.AllResolve, peer.Inferred
		cond.Message = fmt.Sprintf("none of the names in %s's certificate is a host's that DNS would have to know", id.To)
	case len(of.asked) == 1:
		cond.Status, cond.Reason = peer.True, peer.AllResolve
		cond.Message = fmt.Sprintf("the one name of a server in %s's certificate resolves in %s's DNS", id.To, id.From)
	default:
		cond.Status, cond.Reason = peer.True, peer.AllResolve
		cond.Message = fmt.Sprintf("all %d names of servers in %s's certificate resolve in %s's DNS", len(of.asked), id.To, id.From)
	}
	return cond, failing, open
}

// whyOpen says why nobody tells whether a name exists, where a server answered
// at all; the silent ones have a finding of their own.
func whyOpen(dns dnsprobe.Result, name string) string {
	var out []string
	for _, s := range dns.Servers {
		if n, ok := s.Name(name); ok && s.Down == "" && n.Reason != dnsprobe.Silent {
			out = append(out, fmt.Sprintf("%s from %s", n.Reason, s.Server))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}

// basisOf lowers the basis where another than the first server had to answer:
// the first may be silent to Peerkeeper alone.
func basisOf(b peer.Basis, server int) peer.Basis {
	if server > 0 {
		return peer.Inferred
	}
	return b
}

// resolved is the word of the first server that is definite about a name: OK,
// or why not. A server that is silent, knows nothing of the zone, or does not
// take Peerkeeper's question passes it on, as a node's resolver does. A server
// that fails is definite only if every server fails: one that is silent to us may
// answer the nodes. "" when nothing is definite.
func resolved(dns dnsprobe.Result, name string) (verdict dnsprobe.Reason, server int) {
	failed, at, open := dnsprobe.Reason(""), 0, false
	for i, s := range dns.Servers {
		n, ok := s.Name(name)
		if !ok || s.Down != "" {
			open = true
			continue
		}
		switch r := n.Reason; {
		case n.Forward.Reason == dnsprobe.OK, r == dnsprobe.OK, r == dnsprobe.PTRMissing, r == dnsprobe.PTRMismatch:
			return dnsprobe.OK, i // found; the way back is another matter
		case r == dnsprobe.NXDomain, r == dnsprobe.NoAddress:
			return r, i
		case r == dnsprobe.ServFail:
			if failed == "" {
				failed, at = r, i
			}
		default:
			open = true
		}
	}
	if open {
		return "", 0
	}
	return failed, at
}

func nameServers(cl mesh.Cluster, dns dnsprobe.Result, prev []certificate.NameServer, now time.Time) []certificate.NameServer {
	out := make([]certificate.NameServer, 0, len(cl.DNS))
	for _, addr := range cl.DNS {
		ns := certificate.NameServer{Address: addr}
		asked := false
		for _, s := range dns.Servers {
			if s.Server == addr {
				asked = true
				ns.Silent = s.Down != ""
			}
		}
		for _, p := range prev {
			if p.Address != addr {
				continue
			}
			if !asked {
				ns = p
			} else if ns.Silent && p.Silent {
				ns.Since = p.Since
			}
		}
		if ns.Silent && ns.Since.IsZero() {
			ns.Since = now
		}
		out = append(out, ns)
	}
	return out
}
