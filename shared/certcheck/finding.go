package certcheck

import (
	"crypto/x509"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/pemfile"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/tlsprobe"
)

// maxFindings bounds what one cluster's record says: its item has a limit, and
// nobody reads more.
const maxFindings = 250

// finder collects the findings of one cluster. Since is kept over looks, by id.
type finder struct {
	out  []peer.Finding
	prev []peer.Finding
	now  time.Time
}

func (f *finder) add(x peer.Finding) {
	x = x.Composed() // the one way in
	if slices.ContainsFunc(f.out, func(o peer.Finding) bool { return o.ID == x.ID }) {
		return
	}
	x.Since = f.now
	for _, p := range f.prev {
		if p.ID == x.ID {
			x.Since = p.Since
		}
	}
	f.out = append(f.out, x)
}

// findings lists what does not depend on the clock; expiries are derived when
// the record is read (certificate.View.Findings).
func (l *look) findings() []peer.Finding {
	cl, r, now := l.cl, l.certs[l.cl.ID], l.now
	f := &finder{prev: l.stored.Findings, now: now}
	authorities := l.knownAuthorities()
	for _, n := range cl.Nodes {
		for _, port := range []string{"", certificate.PortSIPTLS, certificate.PortXMPP} {
			for _, keyType := range []string{"RSA", "ECDSA"} {
				place := certificate.Place{Port: port, KeyType: keyType}
				s, _ := r.ServedAt(certificate.Spot{Node: n.Name, Place: place})
				o, probed := l.probes[n.Name][place]
				known := s.Fingerprint != "" || s.Error != ""
				one := subject{cl: cl, node: n, Place: place, s: s, o: o, authorities: authorities}
				if probed || s.Error != "" {
					one.behaviour(f, known)
				}
				switch {
				case s.Disputed: // what it is like is not the node's; see below
				case s.Error != "":
					f.keep(n.Name, place, now, s)
				case known:
					one.inspect(f, now)
				}
			}
		}
	}
	for i, one := range cl.TLS.Unread {
		x := certificate.NewFinding(certificate.CAUnreadable, "", "", "", "a part of tls.ca cannot be read, and is left out: "+one)
		x.ID = peer.IDOf(certificate.CAUnreadable, strconv.Itoa(i))
		f.add(x)
	}
	l.twins(f, cl, r)
	l.platformFindings(f, cl, r)
	for _, x := range l.view.StoreFindings(cl.ID) {
		f.add(x)
	}
	f.carryUndecided(cl.ID, l.view.Trust())
	names(f, cl, r, l.dns[cl.ID])
	if more := len(f.out) - maxFindings; more > 0 {
		slices.SortStableFunc(f.out, func(a, b peer.Finding) int { return a.Severity.Rank() - b.Severity.Rank() })
		f.out = f.out[:maxFindings]
		f.add(certificate.NewFinding(certificate.MoreFindings, "", "", "", fmt.Sprintf("%d more findings, of no greater severity, are not listed", more)))
	}
	return f.out
}

// knownAuthorities are all CA certificates that this look came across besides
// what a node serves: tls.ca, and every store of the cluster.
func (l *look) knownAuthorities() []*x509.Certificate {
	return append(pemfile.Certificates([]byte(l.cl.TLS.CA)), l.storedAuthorities()...)
}

// storedAuthorities are the CA certificates in the stores of a cluster's nodes,
// each once.
func (l *look) storedAuthorities() []*x509.Certificate {
	var out []*x509.Certificate
	had := map[string]bool{}
	for _, n := range l.cl.Nodes {
		for _, store := range slices.Sorted(maps.Keys(l.holdings[n.Name].Stores)) {
			for _, c := range l.holdings[n.Name].Stores[store] {
				if key := string(c.X509.Raw); c.X509.IsCA && !had[key] {
					had[key] = true
					out = append(out, c.X509)
				}
			}
		}
	}
	return out
}

// keep carries over what was found on a certificate that cannot be read now.
func (f *finder) keep(node mesh.NodeName, place certificate.Place, now time.Time, s certificate.Served) {
	if s.Fingerprint == "" || s.Stale(now) {
		return
	}
	for _, p := range f.prev {
		switch p.Reason {
		case certificate.NotTrustedByPeers, peer.TrustNotReloaded, certificate.ECDSAMissing, certificate.NotServedYet, peer.CertificateNotRead, peer.NotTLS, certificate.HandshakeTimeout,
			peer.ChainTooBig, peer.CertificateUnparsable, peer.HandshakeFailed, peer.ProtocolTooOld, peer.ClientCertificateRequired, certificate.OnlyWeakSuites:
			continue // found again, or not
		}
		if p.Node == node && p.KeyType == place.KeyType && strings.Contains(string(p.ID)+":", ":"+place.String()+":") {
			f.add(p)
		}
	}
}

// carryUndecided carries over that a certificate was not trusted by clusters of
// which nobody can say so any more, nor the contrary: what is not known clears
// nothing. Whether others trust it is another question, and keeps nothing.
func (f *finder) carryUndecided(id mesh.ClusterID, matrix certificate.Matrix) {
	for _, p := range f.prev {
		if p.Reason != certificate.NotTrustedByPeers && p.Reason != peer.TrustNotReloaded && p.Reason != certificate.ECDSAMissing || p.Subject == "" {
			continue
		}
		open := p.Lacking // all of them where the certificate itself is not known now
		undecided := true
		for _, row := range matrix.Of(id) {
			if row.Pending || p.ID != trustID(p, row) {
				continue
			}
			open = nil
			for i, c := range row.Cells {
				if slices.Contains(p.Lacking, matrix.Clusters[i]) && row.Subject == p.Subject && c.Verdict == certificate.Unknown && c.Why != peer.NoCredentials && c.Why != certificate.Before14 {
					open = append(open, matrix.Clusters[i])
				}
			}
			undecided = len(open) > 0
			break
		}
		if !undecided {
			continue
		}
		i := slices.IndexFunc(f.out, func(o peer.Finding) bool { return o.ID == p.ID })
		if i < 0 {
			f.add(p)
			continue
		}
		// It is said again, of others: these are not forgotten meanwhile.
		all := slices.Concat(f.out[i].Lacking, open)
		slices.Sort(all)
		f.out[i].Lacking = slices.Compact(all)
	}
}

// trustID is the id of a finding about a row of the matrix. What ICSA has yet to
// read goes by the id of what was missing.
func trustID(p peer.Finding, row certificate.Row) peer.FindingID {
	id := peer.IDOf(p.ID.Reason(), string(row.Node), row.KeyType)
	if row.Store != peer.TomcatTrust {
		id = id.And(row.Service)
	}
	return id
}

// subject is one certificate of one port of one node.
type subject struct {
	certificate.Place
	cl          *mesh.Cluster
	node        mesh.Node
	s           certificate.Served
	o           tlsprobe.Outcome
	authorities []*x509.Certificate
}

// what names the certificate in a sentence.
func (x subject) what() string {
	if x.Port == "" {
		return fmt.Sprintf("the %s certificate of %s", x.KeyType, x.node.Name)
	}
	return fmt.Sprintf("the %s certificate of %s (port %s)", x.KeyType, x.node.Name, x.Port)
}

// of makes a finding of the table about this certificate.
func (x subject) of(reason peer.Reason, format string, args ...any) peer.Finding {
	one := certificate.NewFinding(reason, x.node.Name, x.KeyType, x.Service(), fmt.Sprintf(format, args...))
	one.Subject, one.NotAfter = x.s.Subject, x.s.NotAfter
	if x.Port != "" {
		one.ID = peer.IDOf(reason, string(x.node.Name), x.Place.String())
	}
	return one
}

func (x subject) say(f *finder, reason peer.Reason, format string, args ...any) {
	f.add(x.of(reason, format, args...))
}

// behaviour says how the port behaved. A certificate that was seen all the same
// is judged besides.
func (x subject) behaviour(f *finder, known bool) {
	reason := tlsprobe.ReasonOf(x.o.Err)
	if reason == "" && x.s.Error == "" {
		return
	}
	seen := x.o.Served.Leaf() != nil && x.o.Served.KeyType == x.o.Asked
	if x.Port != "" && !known && !seen {
		// Whether something should be there is not known: SIP's TLS port may be
		// closed on a node, and XMPP's does not begin with TLS.
		if x.KeyType == "RSA" && reason != tlsprobe.NoCommonSuite && reason != tlsprobe.KeyTypeNotSelectable {
			x.say(f, certificate.PortNotTLS, "port %s of %s shows no certificate: %s", x.Port, x.node.Name, why(x.o))
		}
		return
	}
	if x.Port != "" && seen && reason == tlsprobe.ClientCertificateRequired {
		return // between SIP proxies and routers both ends show one; AXL's port is another matter
	}
	port := x.Port
	if port == "" {
		port = "8443"
	}
	kinds := map[tlsprobe.Reason]peer.Reason{
		tlsprobe.NotTLS: peer.NotTLS, tlsprobe.Timeout: certificate.HandshakeTimeout, tlsprobe.ChainTooBig: peer.ChainTooBig, tlsprobe.Unparsable: peer.CertificateUnparsable,
		tlsprobe.ProtocolTooOld: peer.ProtocolTooOld, tlsprobe.ClientCertificateRequired: peer.ClientCertificateRequired, tlsprobe.OnlyWeakSuites: certificate.OnlyWeakSuites,
		tlsprobe.HandshakeFailed: peer.HandshakeFailed, tlsprobe.Reset: peer.HandshakeFailed,
	}
	switch kind, odd := kinds[reason]; {
	case odd && (known || seen || x.KeyType == "RSA"):
		x.say(f, kind, "port %s of %s, asked for %s: %s", port, x.node.Name, x.KeyType, why(x.o))
	case odd || x.s.Error == "":
	default:
		one := x.of(peer.CertificateNotRead, "%s could not be read: %s", x.what(), x.s.Error)
		if x.s.Unreached {
			// A node that gives no connection is peersync's to report.
			one.Severity = peer.Info
		}
		f.add(one)
	}
}

// inspect says what is odd about a certificate that was read now.
func (x subject) inspect(f *finder, now time.Time) {
	s := x.s
	if s.Replaced != "" && now.Sub(s.First) < certificate.ChangeShown {
		what := x.what()
		if !s.Pinned && !s.CA && s.Agreed.IsZero() {
			what += ", as Peerkeeper is shown it and does not trust it,"
		}
		one := x.of(s.Cause, "%s changed; %s", what, s.Change)
		one.ID = one.ID.And(s.Fingerprint)
		f.add(one)
	}
	if x.o.Served.Leaf() == nil {
		return
	}
	name := strings.TrimSuffix(x.node.ServerName(), ".")
	_, notAddress := netip.ParseAddr(name)
	for _, p := range tlsprobe.Inspect(x.o.Served, name, now) {
		leaf := p.Depth == 0
		switch {
		case p.Code == tlsprobe.NameMismatch && leaf && notAddress == nil:
			if !s.Pinned { // a pin vouches for a node whose name is an address
				x.say(f, certificate.AddressNotInCert, "%s does not carry the node's address: %s", x.what(), p.Detail)
			}
		case p.Code == tlsprobe.NameMismatch && leaf && s.MultiServer:
			x.say(f, certificate.NodeNotInMultiServer, "%s is for all servers, and lacks this node: %s", x.what(), p.Detail)
		case p.Code == tlsprobe.NameMismatch && leaf:
			x.say(f, certificate.NameMismatch, "%s names %s, but not the node", x.what(), plain.Values(s.Names))
		case p.Code == tlsprobe.NameInCNOnly && leaf:
			x.say(f, certificate.NameInCNOnly, "%s: %s", x.what(), p.Detail)
		case p.Code == tlsprobe.WeakKey:
			x.say(f, certificate.WeakKey, "%s: %s: %s", x.what(), p.Subject, p.Detail)
		case p.Code == tlsprobe.WeakSignature:
			x.say(f, certificate.WeakSignature, "%s: %s: %s", x.what(), p.Subject, p.Detail)
		case (p.Code == tlsprobe.WrongKeyUsage || p.Code == tlsprobe.NoServerAuth) && leaf:
			x.say(f, certificate.WrongKeyUsage, "%s: %s", x.what(), p.Detail)
		case p.Code == tlsprobe.NoClientAuth && leaf:
			x.say(f, certificate.NoClientAuth, "%s: %s", x.what(), p.Detail)
		case p.Code == tlsprobe.SelfSigned && leaf:
			x.say(f, certificate.SelfSigned, "%s is self-signed", x.what())
		case p.Code == tlsprobe.Expired && !leaf:
			x.chainExpired(f, p)
		}
	}
	if odd := oddNames(x.o.Served.Leaf()); len(odd) > 0 {
		x.say(f, certificate.NotAHostName, "%s carries names that can be no host's: %s", x.what(), plain.List(odd))
	}
	x.tooLong(f)
	if s.MultiServer {
		x.multiServer(f)
	}
	x.chain(f, now)
	if x.Port == "" && !s.Pinned && !s.CA && (len(x.cl.TLS.Pins) > 0 || x.cl.TLS.CA != "") {
		x.say(f, certificate.CertificateUntrustedHere, "Peerkeeper does not trust %s (%s): neither a pin nor tls.ca vouches for it", x.what(), s.Fingerprint)
	}
}

// chainExpired reports an expired certificate above the leaf, unless it is a
// root: that one is only served, and nobody looks at it there.
func (x subject) chainExpired(f *finder, p tlsprobe.Problem) {
	if p.Depth < len(x.o.Served.Chain) && !chain.SelfSigned(x.o.Served.Chain[p.Depth]) {
		x.say(f, certificate.ChainExpired, "%s is served with %s, which %s", x.what(), p.Subject, p.Detail)
	}
}

// multiServer reports nodes of the cluster that the certificate for all of them
// does not name. Of a node whose name is an address it cannot be told here: what
// the node itself serves tells, by an IP SAN or a pin.
func (x subject) multiServer(f *finder) {
	var missing []string
	for _, n := range x.cl.Nodes {
		if _, notAddress := netip.ParseAddr(n.ServerName()); notAddress == nil {
			continue
		}
		if n.Name != x.node.Name && !nameMatches(x.s.Names, n.ServerName()) {
			missing = append(missing, string(n.Name))
		}
	}
	if len(missing) > 0 {
		x.say(f, certificate.NodeNotInMultiServer, "%s is for all servers, and lacks %s", x.what(), plain.List(missing))
	}
}

// chain reports an issuer that is nowhere to be found. A root need not be
// served; whether an unknown issuer is one cannot be told, so a chain of more
// than the leaf is taken for whole.
func (x subject) chain(f *finder, now time.Time) {
	shown := x.o.Served.Chain
	if len(shown) == 0 || chain.SelfSigned(shown[0]) {
		return
	}
	top := shown[0]
	for range shown {
		i := slices.IndexFunc(shown, func(c *x509.Certificate) bool {
			return c != top && string(c.RawSubject) == string(top.RawIssuer)
		})
		if i < 0 {
			break
		}
		if top = shown[i]; chain.SelfSigned(top) {
			return
		}
	}
	issuer := top.Issuer.String()
	for _, ca := range x.authorities {
		if string(ca.RawSubject) != string(top.RawIssuer) {
			continue
		}
		if chain.SelfSigned(ca) {
			return // the root, which servers do not send
		}
		x.say(f, certificate.ChainIncomplete, "%s is served without the intermediate CA %s", x.what(), issuer)
		return
	}
	if top == shown[0] {
		x.say(f, certificate.ChainIncomplete, "%s is served alone, and its issuer %s is neither in tls.ca nor in a trust store that was read", x.what(), issuer)
	}
}

// twins reports nodes that lack the ECDSA certificate which others of the
// cluster serve.
func (c *Certcheck) twins(f *finder, cl *mesh.Cluster, r certificate.Record) {
	var with, without []mesh.NodeName
	for _, n := range cl.Nodes {
		rsa, ecdsa := r.Served[n.Name][onTomcat(tlsprobe.RSA)], r.Served[n.Name][onTomcat(tlsprobe.ECDSA)]
		switch {
		case ecdsa.Fingerprint != "":
			with = append(with, n.Name)
		case rsa.Fingerprint != "" && rsa.Error == "":
			without = append(without, n.Name)
		}
	}
	if len(with) == 0 {
		return
	}
	for _, node := range without {
		x := certificate.NewFinding(certificate.ECDSAMissing, node, "ECDSA", "", fmt.Sprintf("%s serves RSA only, while %s serves ECDSA too", node, with[0]))
		x.Severity = peer.Info
		f.add(x)
	}
}

func (c *Certcheck) platformFindings(f *finder, cl *mesh.Cluster, r certificate.Record) {
	no := r.NoTrust
	if no == nil || cl.PlatformCredentials == "" || c.Platform == nil || no.Reason == certificate.Before14 {
		return // nobody meant it to be read
	}
	reason, fix := certificate.TrustStoreUnread, ""
	if no.Reason == peer.AccountRejected {
		reason, fix = certificate.PlatformRejected, "put the right password into the secret "+cl.PlatformCredentials+", or `peerkeeper resume "+string(cl.ID)+"`"
	}
	x := certificate.NewFinding(reason, "", "", "tomcat", fmt.Sprintf("the trust stores of %s are not all read: %s", cl.ID, no.Detail))
	if fix != "" {
		x.Fix = fix
	}
	f.add(x)
}

// names reports what the cluster's own DNS servers make of its peers' names.
func names(f *finder, cl *mesh.Cluster, r certificate.Record, dns dnsprobe.Result) {
	say := func(reason peer.Reason, about string, severity peer.Severity, message string) {
		x := certificate.NewFinding(reason, "", "", "", message)
		x.ID = peer.IDOf(reason, about)
		if severity != "" {
			x.Severity = severity
		}
		f.add(x)
	}
	for i, s := range r.Servers {
		if s.Silent {
			which := "DNS server"
			if i == 0 {
				which = "first DNS server"
			}
			say(peer.DNSServerSilent, s.Address, "", fmt.Sprintf("%s's %s %s does not answer Peerkeeper; if it does not answer the nodes either, each look-up waits for it, which Cisco's page shows as \"Not reachable\"", cl.ID, which, s.Address))
		}
	}
	for _, s := range dns.Servers {
		if s.Down != "" {
			continue // said above
		}
		// One finding for all names of a server that fail alike: a zone without
		// records would else fill the item.
		failing := map[dnsprobe.Reason][]string{}
		definite := map[dnsprobe.Reason]bool{}
		cut := map[string][]string{}
		for _, n := range s.Names {
			for _, field := range n.TooLong() {
				cut[field] = append(cut[field], n.Name)
			}
			reason := n.Reason
			if reason == dnsprobe.OK {
				continue
			}
			if n.Forward.Name != "" && n.Forward.Reason != dnsprobe.OK {
				reason = n.Forward.Reason
			} else if n.Forward.Reason == dnsprobe.OK && reason != dnsprobe.PTRMissing && reason != dnsprobe.PTRMismatch {
				continue // it resolves; that the way back is not told is no fault
			}
			failing[reason] = append(failing[reason], n.Name)
			if verdict, _ := resolved(dns, n.Name); verdict != dnsprobe.OK && verdict != "" {
				definite[reason] = true
			}
		}
		for _, field := range slices.Sorted(maps.Keys(cut)) {
			say(peer.ValueTooLong, s.Server+":"+field, "", fmt.Sprintf("DNS server %s answers with more than any lawful answer holds (%s) for %s; Peerkeeper looks at the beginning only", s.Server, field, plain.Values(cut[field])))
		}
		for _, reason := range slices.Sorted(maps.Keys(failing)) {
			list := plain.Values(failing[reason])
			switch reason {
			case dnsprobe.PTRMissing, dnsprobe.PTRMismatch:
				say(peer.Reason(reason), s.Server, "", fmt.Sprintf("resolved by %s, but the address does not lead back to the name: %s", s.Server, list))
			case dnsprobe.Cancelled, dnsprobe.BadServer, dnsprobe.BadName:
				// Says nothing about the server.
			case dnsprobe.Lame:
				say(certificate.DNSServerLame, s.Server, "", fmt.Sprintf("%s's DNS server %s knows nothing of the zone of names in its peers' certificates: %s", cl.ID, s.Server, list))
			default:
				severity := peer.Warning // another server answers, or nothing is definite
				if definite[reason] {
					severity = peer.Critical
				}
				say(peer.SANNotResolving, s.Server+":"+string(reason), severity, fmt.Sprintf("%s's DNS server %s does not resolve names in its peers' certificates (%s): %s", cl.ID, s.Server, reason, list))
			}
		}
	}
}

// nameMatches compares a node's name with a certificate's names as TLS does,
// wildcards in the first label included; a bare host name, which Cisco allows, is
// meant by the same name with a domain.
func nameMatches(names []string, node string) bool {
	bare := !strings.Contains(node, ".")
	return slices.ContainsFunc(names, func(n string) bool {
		host, _, _ := strings.Cut(n, ".")
		return dnsname.Covers(n, node) || bare && dnsname.Same(host, node)
	})
}
