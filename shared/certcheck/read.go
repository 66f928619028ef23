package certcheck

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/pemfile"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/tlsprobe"
)

// nodePlatformDeadline bounds one node's certificate management, so that one
// that hangs leaves the others their time.
const nodePlatformDeadline = 15 * time.Second

// look is one look at one cluster: what goes into its record, and the
// certificates themselves, which do not.
type look struct {
	*tick
	cl     *mesh.Cluster
	stored certificate.Record // of the look before
	ours   own

	record certificate.Record
	err    error // what could not be written down and must be known
	// probes are what the ports showed, by node and place ("RSA", "5061/RSA").
	probes   map[mesh.NodeName]map[certificate.Place]tlsprobe.Outcome
	holdings map[mesh.NodeName]certificate.Holding
}

// read looks at every node of the wanted clusters; the others keep what is
// stored.
func (t *tick) read(ctx context.Context) {
	t.looks, t.certs = map[mesh.ClusterID]*look{}, map[mesh.ClusterID]certificate.Record{}
	accepted := t.snapshot.Accepted()
	var wg sync.WaitGroup
	for i := range t.Mesh.Clusters {
		cl := &t.Mesh.Clusters[i]
		l := &look{tick: t, cl: cl, stored: t.snapshot.Certs[cl.ID].Value, probes: map[mesh.NodeName]map[certificate.Place]tlsprobe.Outcome{}, holdings: map[mesh.NodeName]certificate.Holding{}}
		l.record = l.stored
		t.looks[cl.ID] = l
		if !t.wanted(cl.ID) {
			continue
		}
		wg.Go(func() {
			l.ours = trustOf(cl, accepted)
			within(ctx, l.readPorts)
			l.record.Accepted = acceptedBy(cl, accepted)
			within(ctx, func(ctx context.Context) { l.readPlatform(ctx, accepted) })
		})
	}
	wg.Wait()
	for id, l := range t.looks {
		t.certs[id] = l.record
	}
}

// within gives a part of the look at a cluster its own deadline: one node that is
// off the air takes all of the ports', and the others still tell their stores.
func within(ctx context.Context, do func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, clusterDeadline)
	defer cancel()
	do(ctx)
}

// readPorts reads what the cluster's nodes serve, side by side.
func (l *look) readPorts(ctx context.Context) {
	next := certificate.Record{Served: map[mesh.NodeName]map[certificate.Place]certificate.Served{}}
	var nodes sync.WaitGroup
	var mu sync.Mutex
	for _, n := range l.cl.Nodes {
		nodes.Go(func() {
			served, probes := l.readNodeGuarded(ctx, n, "", l.stored.Served[n.Name])
			mu.Lock()
			next.Served[n.Name] = served
			l.probes[n.Name] = probes
			mu.Unlock()
			if !overTLS(l.Mesh, l.cl.ID) {
				return
			}
			// One handshake of ours at a time on a node that is busy with its users.
			for _, port := range []string{certificate.PortSIPTLS, certificate.PortXMPP} {
				at := n
				at.Address = onPort(n, port)
				served, probes := l.readNodeGuarded(ctx, at, port, l.stored.Ports[n.Name])
				mu.Lock()
				if next.Ports == nil {
					next.Ports = map[mesh.NodeName]map[certificate.Place]certificate.Served{}
				}
				if next.Ports[n.Name] == nil {
					next.Ports[n.Name] = map[certificate.Place]certificate.Served{}
				}
				for place, s := range served {
					next.Ports[n.Name][place] = s
				}
				for place, o := range probes {
					l.probes[n.Name][place] = o
				}
				mu.Unlock()
			}
		})
	}
	nodes.Wait()
	l.record = next
}

// overTLS reports whether some peer of the cluster, either way, says TLS.
func overTLS(m *mesh.Mesh, id mesh.ClusterID) bool {
	return slices.ContainsFunc(m.Peers, func(p mesh.Peer) bool {
		return p.Protocol == mesh.TLSProto && (p.ID.From == id || p.ID.To == id)
	})
}

// onPort is where another port of a node is dialled: the host of its address.
func onPort(n mesh.Node, port string) string {
	if i := strings.LastIndexByte(n.Address, ':'); i >= 0 {
		return n.Address[:i+1] + port
	}
	return n.Address + ":" + port
}

// onTomcat is the place of a key type on 8443.
func onTomcat(t tlsprobe.KeyType) certificate.Place { return certificate.Place{KeyType: string(t)} }

// readNodeGuarded costs a node that makes us panic its own certificates only.
func (l *look) readNodeGuarded(ctx context.Context, n mesh.Node, port string, stored map[certificate.Place]certificate.Served) (out map[certificate.Place]certificate.Served, probes map[certificate.Place]tlsprobe.Outcome) {
	defer func() {
		if r := recover(); r != nil {
			l.logger().Error("panic while reading certificates", "node", n.Name, "panic", r, "stack", string(debug.Stack()))
			out, probes = map[certificate.Place]certificate.Served{}, map[certificate.Place]tlsprobe.Outcome{}
			for place, was := range stored {
				if place.Port == port {
					was.Error = fmt.Sprintf("reading it failed inside Peerkeeper: %v", r)
					out[place] = was
				}
			}
			if len(out) == 0 {
				out[certificate.Place{Port: port, KeyType: string(tlsprobe.RSA)}] = certificate.Served{Error: fmt.Sprintf("reading it failed inside Peerkeeper: %v", r)}
			}
		}
	}()
	return l.readNode(ctx, n, port, stored)
}

// readNode reads one port of a node, both key types.
func (l *look) readNode(ctx context.Context, n mesh.Node, port string, stored map[certificate.Place]certificate.Served) (map[certificate.Place]certificate.Served, map[certificate.Place]tlsprobe.Outcome) {
	out, probes := map[certificate.Place]certificate.Served{}, map[certificate.Place]tlsprobe.Outcome{}
	firstLook := true
	for place := range stored {
		firstLook = firstLook && place.Port != port
	}
	for _, o := range l.TLS.ProbeAll(ctx, tlsprobe.Target{Address: n.Address, ServerName: n.ServerName()}) {
		place := certificate.Place{Port: port, KeyType: string(o.Asked)}
		was := stored[place]
		probes[place] = o
		leaf := o.Served.Leaf()
		switch reason := tlsprobe.ReasonOf(o.Err); {
		case leaf != nil && o.Served.KeyType == o.Asked:
			s := served(leaf, was, string(o.Asked), firstLook, l.now)
			l.ours.judge(&s, o.Served.Chain, n.ServerName(), l.now)
			bounded(l.cl, &s)
			out[place] = s
		case reason == tlsprobe.NoCommonSuite || reason == tlsprobe.KeyTypeNotSelectable:
			// The node has no certificate of this type, or none can be asked for.
		case was.Fingerprint != "":
			was.Error, was.Unreached = why(o), unreached(reason)
			out[place] = was
		case o.Err != nil && o.Asked == tlsprobe.RSA && port == "":
			out[place] = certificate.Served{Error: why(o), Unreached: unreached(reason)}
		}
	}
	otherKeyType(out, stored, port)
	return out, probes
}

// otherKeyType notes that a certificate took the place of one of the other key
// type: RSA is gone, and ECDSA is served that was not there before.
func otherKeyType(out, stored map[certificate.Place]certificate.Served, port string) {
	rsa, ecdsa := certificate.Place{Port: port, KeyType: string(tlsprobe.RSA)}, certificate.Place{Port: port, KeyType: string(tlsprobe.ECDSA)}
	for came, went := range map[certificate.Place]certificate.Place{rsa: ecdsa, ecdsa: rsa} {
		s, is := out[came]
		_, still := out[went]
		was := stored[went]
		if !is || still || s.Fingerprint == "" || stored[came].Fingerprint != "" || was.Fingerprint == "" {
			continue
		}
		s.Replaced, s.Former = was.Fingerprint, was.AsFormer(went.KeyType)
		out[came] = s
	}
}

// keyOf is a short hash of a certificate's public key: equal hashes, equal keys.
func keyOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:16])
}

// why is the error of a probe that yielded no certificate of the type asked for.
func why(o tlsprobe.Outcome) string {
	if o.Err == nil {
		return fmt.Sprintf("the node served %s where %s was asked for", o.Served.KeyType, o.Asked)
	}
	return plain.Line(o.Err.Error(), maxWhy)
}

// unreached reports whether no connection came about at all, or we gave up.
func unreached(r tlsprobe.Reason) bool {
	switch r {
	case tlsprobe.Refused, tlsprobe.Unreachable, tlsprobe.Timeout, tlsprobe.Cancelled:
		return true
	}
	return false
}

// served lays a leaf over what was served before, of the key type given. Why it
// changed is said when the whole mesh has been looked at (Record.ExplainChanges).
func served(leaf *x509.Certificate, was certificate.Served, keyType string, firstLook bool, now time.Time) certificate.Served {
	s := certificate.Served{
		Fingerprint: chain.Fingerprint(leaf), Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, Names: tlsprobe.Names(leaf), SelfSigned: chain.SelfSigned(leaf), First: now, Sighted: now, Read: now,
		MultiServer: tlsprobe.IsMultiServer(leaf), Key: keyOf(leaf),
	}
	switch {
	case was.Fingerprint == s.Fingerprint:
		s.First, s.Replaced, s.Change, s.Cause, s.Former = was.First, was.Replaced, was.Change, was.Cause, was.Former
		s.Sighted, s.Agreed, s.Disputed = was.Sighted, was.Agreed, was.Disputed
	case was.Fingerprint != "":
		s.Replaced, s.Former = was.Fingerprint, was.AsFormer(keyType)
	case firstLook:
		// Nothing was seen before: it may have been served since it was made.
		s.First = leaf.NotBefore
	}
	return s
}

// own is what Peerkeeper itself believes of a cluster's servers.
type own struct {
	roots *x509.CertPool // nil without tls.ca
	cas   []*x509.Certificate
	pins  map[string]bool
}

func trustOf(cl *mesh.Cluster, accepted map[mesh.NodeName][]string) own {
	out := own{pins: map[string]bool{}}
	for _, p := range cl.TLS.Pins {
		out.pins[strings.ToLower(strings.TrimSpace(p))] = true
	}
	for _, n := range cl.Nodes {
		for _, p := range accepted[n.Name] {
			out.pins[strings.ToLower(p)] = true
		}
	}
	if cl.TLS.CA != "" {
		out.cas = pemfile.Certificates([]byte(cl.TLS.CA))
		out.roots = x509.NewCertPool()
		for _, ca := range out.cas {
			out.roots.AddCert(ca)
		}
	}
	return out
}

// judge notes by what Peerkeeper may log in over a served certificate, and the
// chain that came with it.
func (o own) judge(s *certificate.Served, served []*x509.Certificate, name string, now time.Time) {
	s.Pinned = o.pins[s.Fingerprint]
	if len(served) == 0 {
		return
	}
	ends(s, served, chain.Known{Served: served[1:], Trusted: o.cas}, now)
	between := x509.NewCertPool()
	for _, cert := range served[1:] {
		between.AddCert(cert)
		s.Chain = append(s.Chain, peer.Issuer{Fingerprint: chain.Fingerprint(cert), Subject: cert.Subject.String(), NotAfter: cert.NotAfter})
	}
	if o.roots != nil {
		_, err := served[0].Verify(x509.VerifyOptions{Roots: o.roots, Intermediates: between, DNSName: name, CurrentTime: now})
		s.CA = err == nil
	}
}

// ends notes when what a certificate needs ends before itself.
func ends(s *certificate.Served, served []*x509.Certificate, known chain.Known, now time.Time) {
	between, root := chain.Ends(served[0], known, now)
	s.ChainEnds, s.ChainBy, s.RootEnds, s.RootBy = between.At.UTC(), "", root.At.UTC(), ""
	if between.By != nil {
		s.ChainBy = between.By.Subject.String()
	}
	if root.By != nil {
		s.RootBy = root.By.Subject.String()
	}
}

// readPlatform asks each node of a cluster in turn what it holds, the publisher
// first: were the password wrong, one log-in would be refused and no more.
func (l *look) readPlatform(ctx context.Context, accepted map[mesh.NodeName][]string) {
	cl, stored := l.cl, l.stored
	// What is not read now keeps what was read last; its age is judged later.
	l.record.Trust = stored.Trust
	defer l.mergeIdentity()
	unread := func(reason peer.Reason, node mesh.NodeName, detail string) {
		if l.record.NoTrust == nil {
			l.record.NoTrust = &certificate.NoLook{Reason: reason, Node: node, Detail: short(detail, maxWhy)}
		}
	}
	release := cl.Release
	if v, ok := l.snapshot.Clusters[cl.ID].Value.Seen.Nodes[cl.Publisher].Version.Get(); ok {
		release = v
	}
	major, known := certificate.Major(release)
	switch {
	case known && major < 14:
		unread(certificate.Before14, "", "release "+release+": certificate management came with release 14")
		return
	case cl.PlatformCredentials == "":
		unread(peer.NoCredentials, "", "mesh.yaml names no platformCredentials")
		return
	case l.Platform == nil:
		unread(peer.NotChecked, "", "this run has no access to the platform")
		return
	}
	nodes := slices.Clone(cl.Nodes)
	// The publisher first, which says whether the account is good; but who did not
	// answer at the last look comes last, or it would take the others' time again.
	rank := func(n mesh.Node) int {
		switch silent := slices.ContainsFunc(stored.Trust[peer.TomcatTrust].Nodes, func(s certificate.StoreNode) bool {
			return s.Name == n.Name && s.Read.Before(stored.At)
		}); {
		case silent:
			return 2
		case n.Name == cl.Publisher:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(nodes, func(a, b mesh.Node) int { return rank(a) - rank(b) })
	var refused *certificate.Refused
	var login *secret.Login
	err := l.guarded(ctx, nodes[0].Name, func(ctx context.Context) (err error) {
		login, err = l.Platform.LogIn(ctx, cl, record.AccountGuardOf(l.Store, l.Mesh.Name, cl, mesh.PlatformAccount, l.Now))
		return err
	})
	switch {
	case errors.As(err, &refused):
		unread(refused.Reason, nodes[0].Name, refused.Message)
		return
	case err != nil:
		// Not knowing whether the account was refused is a reason not to try.
		unread(peer.NotChecked, "", err.Error())
		return
	}
	for _, n := range nodes {
		var held certificate.Holding
		err := l.guarded(ctx, n.Name, func(ctx context.Context) (err error) {
			held, err = l.Platform.Holding(ctx, cl, n, login, accepted)
			return err
		})
		if err == nil {
			l.holdings[n.Name] = held
			if l.record.Identity == nil {
				l.record.Identity = map[mesh.NodeName]map[string]certificate.Served{}
			}
			l.record.Identity[n.Name] = l.identities(n, held)
			for _, of := range slices.Sorted(maps.Keys(held.Unreadable)) {
				unread(peer.UnreadableAnswer, n.Name, fmt.Sprintf("%d entries of %s of %s cannot be read", held.Unreadable[of], of, n.Name))
			}
			continue
		}
		refused = &certificate.Refused{Reason: peer.UnreadableAnswer, Message: err.Error()}
		errors.As(err, &refused)
		if refused.Reason == certificate.Before14 && known && major >= 14 {
			// A 404 is also what a service says that is not active.
			refused = &certificate.Refused{Reason: peer.ServiceNotActive, Cause: err,
				Message: fmt.Sprintf("%s answers 404 for certificate management, which release %s has: its web service is not active, or something else answers", n.Name, release)}
		}
		unread(refused.Reason, n.Name, refused.Message)
		if refused.Reason == peer.AccountRejected || refused.Reason == peer.Forbidden {
			// The others have the same account: one refusal is enough.
			l.err = login.Unnoted()
			return
		}
	}
}

// mergeIdentity keeps what a node said before where it says nothing now.
func (l *look) mergeIdentity() {
	out := l.record.Identity
	for node, services := range l.stored.Identity {
		if _, read := l.holdings[node]; read {
			continue
		}
		if out == nil {
			out = map[mesh.NodeName]map[string]certificate.Served{}
		}
		out[node] = map[string]certificate.Served{}
		for service, was := range services {
			was.Error = "not read at the last check"
			out[node][service] = was
		}
	}
	l.record.Identity = out
}

// guarded asks about one node's certificate management. A panic costs that node.
func (l *look) guarded(ctx context.Context, n mesh.NodeName, ask func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			l.logger().Error("panic while reading certificate management", "node", n, "panic", r, "stack", string(debug.Stack()))
			err = &certificate.Refused{Reason: peer.Crashed, Message: fmt.Sprintf("reading it failed inside Peerkeeper: %v", r)}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, nodePlatformDeadline)
	defer cancel()
	return ask(ctx)
}

// identities lays what a node says that it has over what it said before.
func (l *look) identities(n mesh.Node, held certificate.Holding) map[string]certificate.Served {
	stored := l.stored.Identity[n.Name]
	out := map[string]certificate.Served{}
	for service, held := range held.Identities {
		if len(held) == 0 {
			continue
		}
		s := served(held[0], stored[service], "", stored == nil, l.now)
		s.Former = nil // what is served tells of a change
		l.ours.judge(&s, held, n.ServerName(), l.now)
		bounded(l.cl, &s)
		out[service] = s
	}
	// Not told is not gone: it may not have been asked for, or not come whole.
	for service, was := range stored {
		if _, told := out[service]; !told && !was.Stale(l.now) {
			was.Error = "not listed at the last check"
			out[service] = was
		}
	}
	return out
}
