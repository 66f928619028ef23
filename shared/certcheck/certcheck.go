// Package certcheck looks at what decides whether one cluster may trust and
// find another: the certificates that the nodes serve, and whether every name
// in them resolves in the pulling cluster's own DNS.
//
// It owns the CERT and PEER…#CERT items. It sends no credential to anybody,
// and changes nothing. What cannot be read keeps its last value with the
// reason beside it; a certificate is inspected first and judged second, so an
// expired or odd one is reported in full.
package certcheck

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
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
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/tlsprobe"
)

// Prober reads the certificates that a TLS server serves.
type Prober interface {
	ProbeAll(ctx context.Context, t tlsprobe.Target) []tlsprobe.Outcome
}

// Resolver asks DNS servers, each separately.
type Resolver interface {
	Lookup(ctx context.Context, servers, names []string) (dnsprobe.Result, error)
}

// Certcheck is the use case. All fields are needed but Log.
type Certcheck struct {
	Mesh  *mesh.Mesh
	Store store.Store
	TLS   Prober
	DNS   Resolver
	Now   func() time.Time
	Log   *slog.Logger
}

const (
	clusterDeadline = 60 * time.Second
	spare           = 30 * time.Second
	// changeShown is for how long a replaced certificate stays a finding.
	changeShown = 7 * 24 * time.Hour
	namesShown  = 10 // in one finding
)

// Handle carries out one look at every certificate and name.
func (c *Certcheck) Handle(ctx context.Context, req run.Request) (run.Answer, error) {
	req.Function = "certcheck"
	return run.Once(ctx, c.Store, c.Mesh, req, c.Now, func(ctx context.Context) (run.Answer, error) {
		return c.check(ctx, req)
	})
}

func (c *Certcheck) check(ctx context.Context, req run.Request) (run.Answer, error) {
	now := c.Now()
	book, err := record.Load(ctx, c.Store, c.Mesh)
	if err != nil {
		return run.Answer{}, err
	}
	looking := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		looking, cancel = context.WithDeadline(ctx, end.Add(-spare))
		defer cancel()
	}
	certs := c.readCertificates(looking, book, req.Only, now)
	dns := c.resolve(looking, certs, req.Only)
	if suspectOurselves(dns) {
		c.logger().Warn("no DNS server of any cluster answers: taken for our own trouble")
		dns = nil
	}
	answer := run.Answer{Peers: map[peer.State]int{}}
	var changes record.Changes
	for _, cl := range c.Mesh.Clusters {
		if !wanted(req.Only, cl.ID) {
			continue
		}
		next := certs[cl.ID]
		next.At = now
		next.Servers = nameServers(cl, dns[cl.ID], book.Certs[cl.ID].Value.Servers, now)
		next.Findings = c.findings(cl, next, dns[cl.ID], book.Certs[cl.ID].Value.Findings, now)
		countCluster(&answer.Clusters, next)
		doc := book.Certs[cl.ID]
		doc.Value = next
		record.Add(&changes, doc)
	}
	for _, p := range c.Mesh.Peers {
		if !wanted(req.Only, p.ID.From) && !wanted(req.Only, p.ID.To) {
			continue
		}
		doc := book.PeerCert[p.ID]
		doc.Value = c.judge(p.ID, book, certs[p.ID.To], dns[p.ID.From], doc.Value, now)
		record.Add(&changes, doc)
	}
	if req.DryRun {
		return answer, nil
	}
	_, err = changes.Write(ctx, c.Store)
	return answer, err
}

// suspectOurselves reports whether every server of several clusters is silent:
// then it is our way to them, and no server's fault.
func suspectOurselves(dns map[mesh.ClusterID]dnsprobe.Result) bool {
	for _, r := range dns {
		for _, s := range r.Servers {
			if s.Down == "" {
				return false
			}
		}
	}
	return len(dns) > 1
}

func wanted(only []mesh.ClusterID, id mesh.ClusterID) bool {
	return len(only) == 0 || slices.Contains(only, id)
}

func countCluster(n *run.Clusters, r peer.CertClusterRecord) {
	read, unread := 0, 0
	for _, byType := range r.Served {
		for _, s := range byType {
			if s.Error == "" {
				read++
			} else {
				unread++
			}
		}
	}
	switch {
	case read == 0:
		n.Unreachable++
	case unread > 0:
		n.Partial++
	default:
		n.Observed++
	}
}

// readCertificates reads every node of the wanted clusters; the others keep
// what is stored.
func (c *Certcheck) readCertificates(ctx context.Context, book *record.Book, only []mesh.ClusterID, now time.Time) map[mesh.ClusterID]peer.CertClusterRecord {
	out := map[mesh.ClusterID]peer.CertClusterRecord{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, cl := range c.Mesh.Clusters {
		stored := book.Certs[cl.ID].Value
		if !wanted(only, cl.ID) {
			out[cl.ID] = stored
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, clusterDeadline)
			defer cancel()
			next := peer.CertClusterRecord{Served: map[mesh.NodeName]map[string]peer.Served{}}
			var nodes sync.WaitGroup
			var nmu sync.Mutex
			for _, n := range cl.Nodes {
				nodes.Go(func() {
					served := c.readNodeGuarded(ctx, n, stored.Served[n.Name], now)
					nmu.Lock()
					defer nmu.Unlock()
					next.Served[n.Name] = served
				})
			}
			nodes.Wait()
			mu.Lock()
			defer mu.Unlock()
			out[cl.ID] = next
		})
	}
	wg.Wait()
	return out
}

// readNodeGuarded costs a node that makes us panic its own certificates only.
func (c *Certcheck) readNodeGuarded(ctx context.Context, n mesh.Node, stored map[string]peer.Served, now time.Time) (out map[string]peer.Served) {
	defer func() {
		if r := recover(); r != nil {
			c.logger().Error("panic while reading certificates", "node", n.Name, "panic", r, "stack", string(debug.Stack()))
			out = map[string]peer.Served{}
			for keyType, was := range stored {
				was.Error = fmt.Sprintf("reading it failed inside Peerkeeper: %v", r)
				out[keyType] = was
			}
			if len(out) == 0 {
				out[string(tlsprobe.RSA)] = peer.Served{Error: fmt.Sprintf("reading it failed inside Peerkeeper: %v", r)}
			}
		}
	}()
	return c.readNode(ctx, n, stored, now)
}

// readNode reads one node's certificates of both key types.
func (c *Certcheck) readNode(ctx context.Context, n mesh.Node, stored map[string]peer.Served, now time.Time) map[string]peer.Served {
	out := map[string]peer.Served{}
	for _, o := range c.TLS.ProbeAll(ctx, tlsprobe.Target{Address: n.Address, ServerName: string(n.Name)}) {
		keyType, was := string(o.Asked), stored[string(o.Asked)]
		leaf := o.Served.Leaf()
		switch reason := tlsprobe.ReasonOf(o.Err); {
		case leaf != nil && o.Served.KeyType == o.Asked:
			out[keyType] = served(leaf, was, len(stored) == 0, now)
		case reason == tlsprobe.NoCommonSuite || reason == tlsprobe.KeyTypeNotSelectable:
			// The node has no certificate of this type, or none can be asked for.
		case was.Fingerprint != "":
			was.Error, was.Unreached = why(o), unreached(reason)
			out[keyType] = was
		case o.Err != nil && o.Asked == tlsprobe.RSA:
			out[keyType] = peer.Served{Error: why(o), Unreached: unreached(reason)}
		}
	}
	return out
}

// why is the error of a probe that yielded no certificate of the type asked for.
func why(o tlsprobe.Outcome) string {
	if o.Err == nil {
		return fmt.Sprintf("the node served %s where %s was asked for", o.Served.KeyType, o.Asked)
	}
	return o.Err.Error()
}

// unreached reports whether no connection came about at all, or we gave up.
func unreached(r tlsprobe.Reason) bool {
	switch r {
	case tlsprobe.Refused, tlsprobe.Unreachable, tlsprobe.Timeout, tlsprobe.Cancelled:
		return true
	}
	return false
}

// served lays a leaf over what was served before and says what changed.
func served(leaf *x509.Certificate, was peer.Served, firstLook bool, now time.Time) peer.Served {
	s := peer.Served{
		Fingerprint: tlsprobe.Fingerprint(leaf), Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, Names: tlsprobe.Names(leaf), SelfSigned: tlsprobe.IsSelfSigned(leaf), First: now, Read: now,
	}
	switch {
	case was.Fingerprint == s.Fingerprint:
		s.First, s.Replaced, s.Change = was.First, was.Replaced, was.Change
	case was.Fingerprint != "":
		s.Replaced, s.Change = was.Fingerprint, change(was, s)
	case firstLook:
		// Nothing was seen before: it may have been served since it was made.
		s.First = leaf.NotBefore
	}
	return s
}

// change says in words what differs between two certificates of a node.
func change(was, is peer.Served) string {
	var parts []string
	if was.Subject != is.Subject {
		parts = append(parts, fmt.Sprintf("subject %s became %s", was.Subject, is.Subject))
	}
	if was.Issuer != is.Issuer {
		parts = append(parts, fmt.Sprintf("issuer %s became %s", was.Issuer, is.Issuer))
	}
	if gone := without(was.Names, is.Names); len(gone) > 0 {
		parts = append(parts, "names gone: "+strings.Join(gone, ", "))
	}
	if added := without(is.Names, was.Names); len(added) > 0 {
		parts = append(parts, "names added: "+strings.Join(added, ", "))
	}
	if len(parts) == 0 {
		return "regenerated with the same names and issuer"
	}
	return strings.Join(parts, "; ")
}

func without(a, b []string) []string {
	var out []string
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

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
		for _, n := range c.leafNames(p.ID.To, certs[p.ID.To]) {
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

// leaf is the certificate that ICSA meets: the publisher's, RSA before ECDSA.
func (c *Certcheck) leaf(id mesh.ClusterID, r peer.CertClusterRecord) (peer.Served, bool) {
	cl, _ := c.Mesh.Cluster(id)
	byType := r.Served[cl.Publisher]
	for _, t := range []tlsprobe.KeyType{tlsprobe.RSA, tlsprobe.ECDSA} {
		if s, ok := byType[string(t)]; ok && s.Fingerprint != "" {
			return s, true
		}
	}
	return byType[string(tlsprobe.RSA)], false
}

func (c *Certcheck) leafNames(id mesh.ClusterID, r peer.CertClusterRecord) []string {
	s, _ := c.leaf(id, r)
	return resolvable(s.Names)
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

// judge gives a peer its two conditions.
func (c *Certcheck) judge(id mesh.PeerID, book *record.Book, remote peer.CertClusterRecord, dns dnsprobe.Result, prev peer.CertRecord, now time.Time) peer.CertRecord {
	leaf, ok := c.leaf(id.To, remote)
	next := peer.CertRecord{LeafFirst: leaf.First, LeafEnds: leaf.NotAfter}
	if leaf.Stale(now) {
		next.LeafEnds = time.Time{} // it may have been renewed: nothing follows from it
	}
	before := func(t peer.Type) peer.Condition {
		for _, x := range prev.Conditions {
			if x.Type == t {
				return x
			}
		}
		return peer.Condition{}
	}
	for _, cond := range []peer.Condition{c.trusted(id, book, leaf, ok, now), c.names(id, leaf, ok, dns, now)} {
		next.Conditions = append(next.Conditions, peer.Set(before(cond.Type), cond, now))
	}
	return next
}

func (c *Certcheck) trusted(id mesh.PeerID, book *record.Book, leaf peer.Served, ok bool, now time.Time) peer.Condition {
	cond := peer.Condition{Type: peer.CertificateTrusted, Status: peer.UnknownStatus, Basis: peer.Measured}
	to, _ := c.Mesh.Cluster(id.To)
	seen := book.Clusters[id.From].Value.Seen
	e, listed, _ := seen.EntryFor(to)
	switch {
	case !ok:
		cond.Reason, cond.Message = peer.CertificateNotRead, fmt.Sprintf("%s shows no certificate", to.Publisher)
	case leaf.Stale(now):
		cond.Reason, cond.Message = peer.CertificateNotRead, fmt.Sprintf("the certificate of %s was last read on %s and may have been renewed", to.Publisher, leaf.Read.UTC().Format("2006-01-02 15:04 MST"))
	case !now.Before(leaf.NotAfter):
		cond.Status, cond.Reason = peer.False, peer.CertificateExpired
		cond.Message = fmt.Sprintf("the certificate of %s expired on %s", to.Publisher, leaf.NotAfter.UTC().Format("2006-01-02 15:04 MST"))
	case now.Before(leaf.NotBefore):
		cond.Status, cond.Reason = peer.False, peer.CertificateIssue
		cond.Message = fmt.Sprintf("the certificate of %s is valid only from %s", to.Publisher, leaf.NotBefore.UTC().Format("2006-01-02 15:04 MST"))
	case seen.Entries.Known() && listed && !e.HasClock, !seen.Entries.Known() && seen.Entries.Why() == peer.NoDialect:
		cond.Reason, cond.Message = peer.NotObservable, fmt.Sprintf("whether %s trusts it is only on the Inter-Clustering page (Certificate Status)", id.From)
	default:
		cond.Reason, cond.Message = peer.TrustNotRead, fmt.Sprintf("no sync of %s has succeeded yet over the certificate that %s serves now", id.From, to.Publisher)
	}
	return cond
}

// names judges with the pulling cluster's resolver in mind: the first server
// that gives a definite answer decides, as on the nodes themselves.
func (c *Certcheck) names(id mesh.PeerID, leaf peer.Served, ok bool, dns dnsprobe.Result, now time.Time) peer.Condition {
	cond := peer.Condition{Type: peer.NamesResolve, Status: peer.UnknownStatus, Basis: peer.Measured}
	from, _ := c.Mesh.Cluster(id.From)
	switch {
	case len(from.DNS) == 0:
		cond.Reason, cond.Message = peer.NotObservable, fmt.Sprintf("mesh.yaml names no DNS servers of %s; an answer from any other resolver would prove nothing", id.From)
		return cond
	case !ok || leaf.Stale(now) || len(leaf.Names) == 0:
		cond.Reason, cond.Message = peer.CertificateNotRead, fmt.Sprintf("no certificate of %s has been read, so its names are not known", id.To)
		return cond
	}
	var failing, open []string
	second := false
	asked := resolvable(leaf.Names)
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

// findings lists what does not depend on the clock; expiries are derived when
// the record is read (peer.CertFindings).
func (c *Certcheck) findings(cl mesh.Cluster, r peer.CertClusterRecord, dns dnsprobe.Result, prev []peer.Finding, now time.Time) []peer.Finding {
	var out []peer.Finding
	add := func(f peer.Finding) {
		f.Since = now
		for _, p := range prev {
			if p.ID == f.ID {
				f.Since = p.Since
			}
		}
		out = append(out, f)
	}
	for _, node := range slices.Sorted(maps.Keys(r.Served)) {
		for _, keyType := range slices.Sorted(maps.Keys(r.Served[node])) {
			s := r.Served[node][keyType]
			id := string(node) + ":" + keyType
			f := peer.Finding{Node: node, KeyType: keyType, Subject: s.Subject, NotAfter: s.NotAfter}
			if s.Error != "" {
				// A node that gives no connection is peersync's to report.
				f.ID, f.Severity, f.Reason = "CertificateNotRead:"+id, "warning", peer.CertificateNotRead
				if s.Unreached {
					f.Severity = "info"
				}
				f.Message = fmt.Sprintf("the %s certificate of %s could not be read: %s", keyType, node, s.Error)
				f.Fix = "check that the node is up and that port 8443 is open from Peerkeeper"
				add(f)
			}
			if s.Replaced != "" && now.Sub(s.First) < changeShown {
				f.ID, f.Severity, f.Reason = "CertificateChanged:"+id+":"+s.Fingerprint, "info", peer.CertificateChanged
				f.Message = fmt.Sprintf("the %s certificate of %s changed: %s", keyType, node, s.Change)
				f.Fix = "Presence > Inter-Clustering on every peer cluster: Force Manual Sync with \"Also resync peer's Tomcat certificates\", wait 60 s, Certificate Status must read \"Connection is secure\""
				add(f)
			}
			if s.Fingerprint != "" && !nameMatches(s.Names, node) {
				f.ID, f.Severity, f.Reason = "NameMismatch:"+id, "warning", peer.Reason(tlsprobe.NameMismatch)
				f.Message = fmt.Sprintf("the %s certificate of %s names %s, but not the node", keyType, node, strings.Join(s.Names, ", "))
				f.Fix = peer.RenewFix
				add(f)
			}
		}
	}
	for i, s := range r.Servers {
		if s.Silent {
			which := "DNS server"
			if i == 0 {
				which = "first DNS server"
			}
			add(peer.Finding{ID: "DNSServerSilent:" + s.Address, Severity: "warning", Reason: peer.DNSServerSilent,
				Message: fmt.Sprintf("%s's %s %s does not answer Peerkeeper; if it does not answer the nodes either, each look-up waits for it, which Cisco's page shows as \"Not reachable\"", cl.ID, which, s.Address),
				Fix:     "repair the server, or give the nodes another one"})
		}
	}
	for _, s := range dns.Servers {
		// One finding for all names of a server: a zone without PTR records
		// would else fill the item.
		for _, why := range []dnsprobe.Reason{dnsprobe.PTRMissing, dnsprobe.PTRMismatch} {
			var names []string
			for _, n := range s.Names {
				if n.Reason == why {
					names = append(names, n.Name)
				}
			}
			if len(names) == 0 {
				continue
			}
			more := ""
			if n := len(names) - namesShown; n > 0 {
				names, more = names[:namesShown], fmt.Sprintf(" and %d more", n)
			}
			add(peer.Finding{ID: string(why) + ":" + s.Server, Severity: "info", Reason: peer.Reason(why),
				Message: fmt.Sprintf("resolved by %s, but the address does not lead back to the name: %s%s", s.Server, strings.Join(names, ", "), more),
				Fix:     "add or correct the PTR records"})
		}
	}
	return out
}

// nameMatches compares a node's name with a certificate's names as TLS does,
// wildcards in the first label included.
func nameMatches(names []string, node mesh.NodeName) bool {
	for _, n := range names {
		if strings.EqualFold(n, string(node)) {
			return true
		}
		if rest, ok := strings.CutPrefix(n, "*."); ok {
			if _, domain, found := strings.Cut(string(node), "."); found && strings.EqualFold(rest, domain) {
				return true
			}
		}
	}
	return false
}

func (c *Certcheck) logger() *slog.Logger {
	if c.Log != nil {
		return c.Log
	}
	return slog.New(slog.DiscardHandler)
}
