package certcheck

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/tlsprobe"
)

// resolve asks each pulling cluster's servers for every name in the
// certificates that it must resolve.
func (c *Certcheck) resolve(ctx context.Context, certs map[mesh.ClusterID]peer.CertClusterRecord, only []mesh.ClusterID) map[mesh.ClusterID]dnsprobe.Result {
	names := map[mesh.ClusterID]map[string]bool{}
	for _, p := range c.Mesh.Peers {
		if !wanted(only, p.ID.From) && !wanted(only, p.ID.To) {
			continue
		}
		if names[p.ID.From] == nil {
			names[p.ID.From] = map[string]bool{}
		}
		for _, n := range resolvable(namesIn(c.leaves(p.ID.To, certs[p.ID.To]))) {
			names[p.ID.From][n] = true
		}
	}
	out := map[mesh.ClusterID]dnsprobe.Result{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for id, set := range names {
		cl, _ := c.Mesh.Cluster(id)
		if len(cl.DNS) == 0 || len(set) == 0 {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, clusterDeadline)
			defer cancel()
			defer func() {
				if r := recover(); r != nil {
					c.logger().Error("panic while asking DNS servers", "cluster", id, "panic", r, "stack", string(debug.Stack()))
				}
			}()
			got, err := c.DNS.Lookup(ctx, cl.DNS, slices.Sorted(maps.Keys(set)))
			if err != nil {
				c.logger().Warn("asking a cluster's DNS servers", "cluster", id, "error", err)
			}
			mu.Lock()
			defer mu.Unlock()
			out[id] = got
		})
	}
	wg.Wait()
	return out
}

// leaves are the certificates that ICSA may meet when it pulls: the
// publisher's, one of each key type. Which one the handshake settles on is not
// ours to see, so all of them must do.
func (c *Certcheck) leaves(id mesh.ClusterID, r peer.CertClusterRecord) []peer.Served {
	cl, _ := c.Mesh.Cluster(id)
	var out []peer.Served
	for _, t := range []tlsprobe.KeyType{tlsprobe.RSA, tlsprobe.ECDSA} {
		if s, ok := r.Served[cl.Publisher][string(t)]; ok && s.Fingerprint != "" {
			out = append(out, s)
		}
	}
	return out
}

// namesIn are the names of several certificates, each once.
func namesIn(met []peer.Served) []string {
	var out []string
	for _, s := range met {
		for _, n := range s.Names {
			if !slices.ContainsFunc(out, func(x string) bool { return strings.EqualFold(x, n) }) {
				out = append(out, n)
			}
		}
	}
	return out
}

// resolvable are the names that a resolver can be asked for: an address needs
// no resolving, and a wildcard is no name.
func resolvable(names []string) []string {
	var out []string
	for _, n := range names {
		if _, err := netip.ParseAddr(n); err == nil || strings.HasPrefix(n, "*.") {
			continue
		}
		out = append(out, n)
	}
	return out
}

// names judges with the pulling cluster's resolver in mind: the first server
// that gives a definite answer decides, as on the nodes themselves.
func (c *Certcheck) names(id mesh.PeerID, met []peer.Served, dns dnsprobe.Result, now time.Time) peer.Condition {
	cond := peer.Condition{Type: peer.NamesResolve, Status: peer.UnknownStatus, Basis: peer.Measured}
	from, _ := c.Mesh.Cluster(id.From)
	switch {
	case len(from.DNS) == 0:
		cond.Reason, cond.Message = peer.NotObservable, fmt.Sprintf("mesh.yaml names no DNS servers of %s; an answer from any other resolver would prove nothing", id.From)
		return cond
	case len(namesIn(met)) == 0 || slices.ContainsFunc(met, func(s peer.Served) bool { return s.Stale(now) }):
		cond.Reason, cond.Message = peer.CertificateNotRead, fmt.Sprintf("no certificate of %s has been read, so its names are not known", id.To)
		return cond
	}
	var failing, open []string
	second := false
	asked := resolvable(namesIn(met))
	for _, name := range asked {
		verdict, server := resolved(dns, name)
		switch verdict {
		case dnsprobe.OK:
			second = second || server > 0
			cond.Basis = basisOf(cond.Basis, server)
		case "":
			open = append(open, name)
		default:
			failing = append(failing, fmt.Sprintf("%s (%s from %s)", name, verdict, dns.Servers[server].Server))
			cond.Basis = basisOf(cond.Basis, server)
		}
	}
	switch {
	case len(failing) > 0:
		cond.Status, cond.Reason = peer.False, peer.NameNotResolving
		cond.Message = fmt.Sprintf("%s's DNS does not resolve %s from the certificate of %s; ICSA refuses a peer one of whose names fails", id.From, strings.Join(failing, ", "), id.To)
	case len(open) > 0:
		cond.Reason = peer.AllServersSilent
		cond.Message = fmt.Sprintf("none of %s's DNS servers answers Peerkeeper for %s", id.From, strings.Join(open, ", "))
	case second:
		cond.Status, cond.Reason = peer.True, peer.OneServerResolves
		cond.Message = fmt.Sprintf("every name in %s's certificate resolves, but not by %s's first server", id.To, id.From)
	default:
		cond.Status, cond.Reason = peer.True, peer.AllResolve
		cond.Message = fmt.Sprintf("all %d names in %s's certificate resolve in %s's DNS", len(asked), id.To, id.From)
	}
	return cond
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
// or why not. A server that is silent, or refuses Peerkeeper, passes the
// question on, as a node's resolver does. A server that fails is definite only
// if every server fails: one that is silent to us may answer the nodes. "" when
// nothing is definite.
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
		case r == dnsprobe.NXDomain, r == dnsprobe.NoAddress, r == dnsprobe.BadName:
			return r, i
		case r == dnsprobe.ServFail || r == dnsprobe.Rejected:
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

func nameServers(cl mesh.Cluster, dns dnsprobe.Result, prev []peer.NameServer, now time.Time) []peer.NameServer {
	out := make([]peer.NameServer, 0, len(cl.DNS))
	for _, addr := range cl.DNS {
		ns := peer.NameServer{Address: addr}
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
