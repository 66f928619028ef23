package certcheck

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/pemfile"
)

// Bounds of what is kept of one store. A store as installed holds a few dozen CAs
// of Cisco's own; former certificates of nodes pile up, one a renewal.
const (
	maxAuthorities = 80
	maxCopies      = 60 // former certificates of nodes
	maxLackingOn   = 40 // of one node, while others hold them
	maxShort       = 120
)

// judgeStores brings every store that was read now into its record: who holds
// what, and which of the mesh's certificates it vouches for. It needs all looks
// at once, because one cluster's store is about the others' certificates.
func (t *tick) judgeStores() {
	j := &storeJudge{mesh: t.Mesh, looks: t.looks, certs: t.certs, now: t.now, signed: map[[2]string]bool{}}
	j.collect()
	for _, cl := range t.Mesh.Clusters {
		l := t.looks[cl.ID]
		if len(l.holdings) == 0 {
			continue
		}
		rec := t.certs[cl.ID]
		rec.Trust = j.stores(&cl, l, rec.Trust)
		if rec.NoTrust == nil {
			rec.NoTrust = l.record.NoTrust
		}
		t.certs[cl.ID] = rec
	}
}

// completeChains looks again for what ends first above the certificates that were
// read now, with the CAs in the cluster's own stores: a node need not serve the
// intermediate that its leaf needs.
func (l *look) completeChains() {
	if len(l.holdings) == 0 {
		return
	}
	cl, r := l.cl, l.certs[l.cl.ID]
	trusted := pemfile.Certificates([]byte(cl.TLS.CA))
	others := l.storedAuthorities()
	complete := func(s certificate.Served, served []*x509.Certificate) certificate.Served {
		if len(served) > 0 && s.ChainEnds.IsZero() && !s.SelfSigned && s.Error == "" {
			ends(&s, served, chain.Known{Served: served[1:], Trusted: trusted, Others: others}, l.now)
			bounded(cl, &s)
		}
		return s
	}
	for node, byPlace := range l.probes {
		for place, o := range byPlace {
			spot := certificate.Spot{Node: node, Place: place}
			if s, ok := r.ServedAt(spot); ok {
				r.SetServed(spot, complete(s, o.Served.Chain))
			}
		}
	}
}

// storeJudge judges stores against the certificates of a whole mesh.
type storeJudge struct {
	mesh  *mesh.Mesh
	looks map[mesh.ClusterID]*look
	certs map[mesh.ClusterID]certificate.Record
	now   time.Time
	// names are the CNs that nodes and their certificates have, by store.
	names map[string]map[string]bool
	// chains are the certificates read now, leaf first, by store and short
	// fingerprint.
	chains map[string]map[string][]*x509.Certificate
	// prints are the short fingerprints of the certificates that nodes have, by store.
	prints map[string]map[string]bool
	// signed remembers who signed whom: the same few CAs stand in every store.
	signed map[[2]string]bool
}

func (j *storeJudge) collect() {
	j.names, j.chains = map[string]map[string]bool{}, map[string]map[string][]*x509.Certificate{}
	name := func(store, cn string) {
		if j.names[store] == nil {
			j.names[store] = map[string]bool{}
		}
		j.names[store][strings.ToLower(cn)] = true
	}
	served := func(store string, certs []*x509.Certificate) {
		if len(certs) == 0 {
			return
		}
		if j.chains[store] == nil {
			j.chains[store] = map[string][]*x509.Certificate{}
		}
		j.chains[store][certificate.ShortPrint(chain.Fingerprint(certs[0]))] = certs
	}
	j.prints = map[string]map[string]bool{"tomcat-trust": {}, "cup-trust": {}, "cup-xmpp-trust": {}}
	has := func(store string, s certificate.Served) {
		if s.Fingerprint != "" && j.prints[store] != nil {
			j.prints[store][certificate.ShortPrint(s.Fingerprint)] = true
		}
	}
	for _, cl := range j.mesh.Clusters {
		for _, n := range cl.Nodes {
			for _, store := range []string{"tomcat-trust", "cup-trust", "cup-xmpp-trust"} {
				name(store, string(n.Name))
				name(store, n.ServerName())
			}
		}
		rec := j.certs[cl.ID]
		for store, s := range rec.ByStore() {
			name(store, certificate.CommonName(s.Subject))
			has(store, s)
		}
		l := j.looks[cl.ID]
		for _, byPlace := range l.probes {
			for place, o := range byPlace {
				served(place.Store(), o.Served.Chain)
			}
		}
		for _, h := range l.holdings {
			for service, certs := range h.Identities {
				served(certificate.StoreOf(service), certs)
			}
		}
	}
}

// stores lays what was read now over what was stored of one cluster.
func (j *storeJudge) stores(cl *mesh.Cluster, l *look, stored map[string]certificate.Store) map[string]certificate.Store {
	read := map[string]bool{}
	for _, h := range l.holdings {
		for name := range h.Stores {
			read[name] = true
		}
	}
	tls := overTLS(j.mesh, cl.ID)
	out := map[string]certificate.Store{}
	for name, was := range stored {
		out[name] = was
	}
	for name := range read {
		if j.names[name] != nil && (tls || name == "tomcat-trust") {
			out[name] = j.store(cl, l, name, stored[name])
		}
	}
	return out
}

// storeEntry is one certificate of a store, and which nodes hold it.
type storeEntry struct {
	held certificate.Entry
	x509 *x509.Certificate // nil if it is known from an earlier look only
	on   map[mesh.NodeName]bool
}

func (j *storeJudge) store(cl *mesh.Cluster, l *look, name string, was certificate.Store) certificate.Store {
	next := certificate.Store{}
	all := map[string]*storeEntry{}
	others := map[string]bool{}
	for _, n := range cl.Nodes {
		node := certificate.StoreNode{Name: n.Name}
		h, now := l.holdings[n.Name]
		list, listed := h.Stores[name]
		k := slices.IndexFunc(was.Nodes, func(o certificate.StoreNode) bool { return o.Name == n.Name })
		if now && listed && len(list) == 0 && k >= 0 && holds(was, k) && j.now.Sub(was.Nodes[k].Read) <= 2*peer.CertLook {
			// Empty where it was not: no word of what it holds. What was read counts
			// until it is old; a list that is empty for that long is.
			l.emptied(n.Name, name)
			listed = false
		}
		if now && listed {
			node.Read, node.Cut, node.Empty = j.now, h.Cut[name], h.Empty[name]
			for _, c := range list {
				print := certificate.ShortPrint(chain.Fingerprint(c.X509))
				e := all[print]
				if e == nil || e.x509 == nil {
					on := map[mesh.NodeName]bool{}
					if e != nil {
						on = e.on
					}
					e = &storeEntry{held: j.trusted(name, c), x509: c.X509, on: on}
					all[print] = e
				}
				e.on[n.Name] = true
			}
		} else if k >= 0 {
			// Not read now: as it was, and as old as it was.
			node = was.Nodes[k]
			for _, held := range was.Entries {
				if node.Read.IsZero() || slices.Contains(held.Not, k) {
					continue
				}
				if all[held.Print] == nil {
					held.Not = nil
					all[held.Print] = &storeEntry{held: held, on: map[mesh.NodeName]bool{}}
				}
				all[held.Print].on[n.Name] = true
			}
		}
		next.Nodes = append(next.Nodes, node)
	}
	authorities, copies := 0, 0
	for _, print := range slices.Sorted(maps.Keys(all)) {
		e := all[print]
		switch {
		case j.chains[name][print] != nil, j.known(name, print):
		case j.names[name][strings.ToLower(e.held.Subject)] && copies < maxCopies:
			copies++
		case e.held.CA && authorities < maxAuthorities:
			authorities++
		default:
			others[print] = true
			continue
		}
		for i, n := range next.Nodes {
			if !n.Read.IsZero() && !e.on[n.Name] {
				e.held.Not = append(e.held.Not, i)
			}
		}
		next.Entries = append(next.Entries, e.held)
	}
	next.Others = len(others)
	j.vouch(name, all, &next, was)
	j.lack(cl, name, &next, was)
	return next
}

// holds reports whether a node's store held anything at the look before.
func holds(was certificate.Store, k int) bool {
	return !was.Nodes[k].Read.IsZero() && (was.Others > 0 || slices.ContainsFunc(was.Entries, func(h certificate.Entry) bool { return !slices.Contains(h.Not, k) }))
}

// emptied notes that a node lists nothing in a store that held something.
func (l *look) emptied(node mesh.NodeName, store string) {
	if l.record.NoTrust == nil {
		l.record.NoTrust = &certificate.NoLook{Reason: peer.UnreadableAnswer, Node: node, Detail: fmt.Sprintf("%s of %s is listed as empty, and it was not at the check before", store, node)}
	}
}

func (j *storeJudge) trusted(store string, c certificate.HeldCertificate) certificate.Entry {
	cn := c.X509.Subject.CommonName
	if cn == "" {
		cn = c.X509.Subject.String()
	}
	out := certificate.Entry{
		Print: certificate.ShortPrint(chain.Fingerprint(c.X509)), Subject: short(cn, maxShort), Ends: c.X509.NotAfter.UTC(), File: short(c.File, maxShort),
		CA: c.X509.IsCA && !j.names[store][strings.ToLower(cn)], Signed: !chain.SelfSigned(c.X509), EC: c.X509.PublicKeyAlgorithm == x509.ECDSA,
	}
	if out.CA {
		sum := sha256.Sum256(c.X509.RawSubjectPublicKeyInfo)
		out.Key = hex.EncodeToString(sum[:6])
	}
	return out
}

// vouch finds, for every CA-signed certificate read now, the CA in the store
// that it chains to. Of others it keeps what was found before.
func (j *storeJudge) vouch(name string, all map[string]*storeEntry, next *certificate.Store, was certificate.Store) {
	index := map[string]int{}
	var anchors []*x509.Certificate
	for i, h := range next.Entries {
		index[h.Print] = i
		// A certificate counts as a CA by what it may sign, whatever its name.
		if e := all[h.Print]; e.x509 != nil && e.x509.IsCA {
			anchors = append(anchors, e.x509)
		}
	}
	vouched := func(print, ca string) {
		if i, ok := index[ca]; ok {
			if next.Vouched == nil {
				next.Vouched = map[string]int{}
			}
			next.Vouched[print] = i
		}
	}
	for print, i := range was.Vouched {
		if j.chains[name][print] == nil && j.known(name, print) && i >= 0 && i < len(was.Entries) {
			vouched(print, was.Entries[i].Print)
		}
	}
	for _, print := range was.Checked {
		if j.chains[name][print] == nil && j.known(name, print) {
			next.Checked = append(next.Checked, print)
		}
	}
	for _, print := range slices.Sorted(maps.Keys(j.chains[name])) {
		shown := j.chains[name][print]
		if chain.SelfSigned(shown[0]) {
			continue
		}
		if ca := j.anchor(shown[0], shown[1:], anchors, 0); ca != nil {
			vouched(print, certificate.ShortPrint(chain.Fingerprint(ca)))
		} else {
			next.Checked = append(next.Checked, print)
		}
	}
	slices.Sort(next.Checked)
	next.Checked = slices.Compact(next.Checked)
}

// deepest is how long a chain may be: Cisco's pages speak of a root, an
// intermediate or two, and the leaf.
const deepest = 6

// anchor is the CA of the store that a certificate chains to, by way of what
// was served with it and of other CAs in the store; nil if there is none.
func (j *storeJudge) anchor(cert *x509.Certificate, served, store []*x509.Certificate, depth int) *x509.Certificate {
	if depth > deepest {
		return nil
	}
	for _, ca := range store {
		if j.signedBy(cert, ca) {
			return ca
		}
	}
	for _, ca := range served {
		if !chain.SelfSigned(ca) && j.signedBy(cert, ca) {
			if found := j.anchor(ca, served, store, depth+1); found != nil {
				return found
			}
		}
	}
	return nil
}

// signedBy reports whether a CA signed a certificate and is in its time.
func (j *storeJudge) signedBy(cert, ca *x509.Certificate) bool {
	if string(cert.RawIssuer) != string(ca.RawSubject) || j.now.Before(ca.NotBefore) || j.now.After(ca.NotAfter) {
		return false
	}
	key := [2]string{string(cert.Raw), string(ca.Raw)}
	ok, known := j.signed[key]
	if !known {
		ok = cert.CheckSignatureFrom(ca) == nil
		j.signed[key] = ok
	}
	return ok
}

// known reports whether a certificate is still one that some node has.
func (j *storeJudge) known(store, print string) bool { return j.prints[store][print] }

// lack notes since when what is needed is not there: in the store as a whole,
// or on one node while others have it; and when it came, if it had not been.
func (j *storeJudge) lack(cl *mesh.Cluster, name string, next *certificate.Store, was certificate.Store) {
	since := func(key string) {
		if next.Lacks == nil {
			next.Lacks = map[string]time.Time{}
		}
		next.Lacks[key] = j.now
		if t, ok := was.Lacks[key]; ok {
			next.Lacks[key] = t
		}
	}
	// The publisher's store is the one that judges (certificate.View.Trust): a copy that some
	// other node holds does not make up for it.
	pub := slices.IndexFunc(next.Nodes, func(n certificate.StoreNode) bool { return n.Name == cl.Publisher })
	there := func(i int) bool { return !slices.Contains(next.Entries[i].Not, pub) }
	held, lacking := map[string]bool{}, map[int]int{}
	for i, h := range next.Entries {
		held[h.Print] = there(i)
		for _, i := range h.Not {
			if lacking[i]++; lacking[i] <= maxLackingOn && next.Nodes[i].Cut == 0 {
				since(certificate.LackOn(h.Print, i))
			}
		}
	}
	if pub >= 0 && next.Nodes[pub].Cut > 0 {
		return // what is not found may be among what is not looked at
	}
	for _, p := range j.mesh.Peers {
		if p.ID.From != cl.ID {
			continue
		}
		for print, signed := range j.wants(p.ID.To, name) {
			_, lacked := was.Lacks[print]
			came, had := was.Came[print]
			ca, tried := next.Vouched[print]
			vouched := tried && there(ca)
			tried = tried || slices.Contains(next.Checked, print)
			switch {
			case !vouched && !held[print]:
				// A CA-signed one that has not met this store yet is not known to
				// be lacking.
				if tried || !signed {
					since(print)
					if (lacked && slices.Contains(was.Taken, print) || !lacked && hadIt(was, cl.Publisher, print)) && !slices.Contains(next.Taken, print) {
						next.Taken = append(next.Taken, print)
					}
				}
			case lacked, had && j.now.Sub(came) < certificate.ImportLife:
				if next.Came == nil {
					next.Came = map[string]time.Time{}
				}
				next.Came[print] = j.now
				if had {
					next.Came[print] = came
				}
			}
		}
	}
	slices.Sort(next.Taken) // the same look gives the same bytes
}

// hadIt reports whether a store vouched for a certificate at the look before, on
// the node that judges.
func hadIt(was certificate.Store, publisher mesh.NodeName, print string) bool {
	pub := slices.IndexFunc(was.Nodes, func(n certificate.StoreNode) bool { return n.Name == publisher })
	if pub < 0 {
		return false
	}
	i := slices.IndexFunc(was.Entries, func(h certificate.Entry) bool { return h.Print == print })
	if ca, ok := was.Vouched[print]; ok && i < 0 && ca >= 0 && ca < len(was.Entries) {
		i = ca
	}
	return i >= 0 && !slices.Contains(was.Entries[i].Not, pub)
}

// wants are the short fingerprints that a cluster's peers need in a store, and
// whether each is of a CA-signed certificate.
func (j *storeJudge) wants(id mesh.ClusterID, store string) map[string]bool {
	out := map[string]bool{}
	for at, s := range j.certs[id].ByStore() {
		if at == store && s.Fingerprint != "" {
			out[certificate.ShortPrint(s.Fingerprint)] = !s.SelfSigned
		}
	}
	return out
}
