// Package discovery finds a mesh from one publisher: which clusters there are, of
// which nodes, and what of that belongs into a mesh.yaml.
//
// It changes no cluster and keeps nothing. One cluster's database names the hosts
// to which a password would go next, so nothing is sent to a host before its own
// certificate is vouched for, by a CA or by a person who compared its fingerprint;
// each host is logged in to once, with one account, and the first rejection ends
// the use of that account everywhere. What could not be found out is a gap that is
// said, never a guess in a value.
package discovery

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"peerkeeper/shared/chain"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/pemfile"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/tlsprobe"
)

// port is where AXL and Control Center are served.
const port = "8443"

// maxHosts bounds the hosts that are looked at, should a database name many that
// are none: 30 clusters of six nodes are 180.
const maxHosts = 400

// Search is what to begin from. Publisher, Account and Secrets are needed.
type Search struct {
	Publisher string // HOST or HOST:PORT
	// Account is the name of the account that is used on every host, unless
	// Accounts names another for it. Never are several tried in turn.
	Account  string
	Accounts map[mesh.NodeName]string
	Secrets  secret.Source
	// CA is PEM text that vouches for hosts, and Accept are fingerprints
	// ("sha256:…") that do.
	CA     []byte
	Accept []string
	// Resolve gives where a host is to be asked (host:port), by its name and port;
	// nil leaves the name to this machine's own resolver.
	Resolve func(ctx context.Context, host, port string) (address string, err error)
	// Confirm asks a person whether a certificate is a host's own; nil is nobody, so
	// that only CA and Accept vouch. An error ends the search.
	Confirm func(ctx context.Context, s Server) (bool, error)
	// Doing is told what is under way; nil is nobody.
	Doing func(text string)
	// Now judges certificates; nil is the wall clock.
	Now func() time.Time
	Log *slog.Logger
}

// Server is a host with the certificate that it serves.
type Server struct {
	Name        mesh.NodeName
	Address     string // host:port
	Leaf        *x509.Certificate
	Fingerprint string // "sha256:…"
	// Why says why nothing vouches for it yet.
	Why string
}

// Node is one node of a cluster that was found.
type Node struct {
	Name    mesh.NodeName
	Address string // ip:port, where a mesh.yaml has to name it; "" where the name is enough
	Pin     string // accepted fingerprint; "" where the CA vouches
	ByCA    bool
	Gap     string // why nothing vouches for it
}

// Cluster is one cluster that was found.
type Cluster struct {
	ID        mesh.ClusterID
	Inventory cluster.Inventory
	Account   string
	Nodes     []Node
	CUCM      *Node
	Gaps      []string
}

// Unreached is a host that a cluster names and that was not looked into.
type Unreached struct {
	Host    mesh.NodeName
	Account string
	Why     string
	// Rejected says that the account is to blame, or that there is none.
	Rejected bool
}

// Found is what a search came to.
type Found struct {
	Clusters  []Cluster
	Unreached []Unreached
}

// search is one search under way.
type search struct {
	Search
	roots    *x509.CertPool
	rejected map[string]mesh.NodeName // accounts, and who rejected them
	vouched  map[string]Node          // by canonical name
	settled  map[string]bool          // hosts whose cluster is known, or that were tried
	ports    map[string]string
	found    Found
}

// Find carries out the search, one host after the other. An error means that
// nothing was found at all, or that somebody ended it; Found is then what there is.
func (s Search) Find(ctx context.Context) (Found, error) {
	w := &search{Search: s, rejected: map[string]mesh.NodeName{}, vouched: map[string]Node{}, settled: map[string]bool{}, ports: map[string]string{}}
	if w.Now == nil {
		w.Now = time.Now
	}
	if len(s.CA) > 0 {
		w.roots = x509.NewCertPool()
		for _, ca := range pemfile.Certificates(s.CA) {
			w.roots.AddCert(ca)
		}
	}
	host := s.Publisher
	if h, p, err := net.SplitHostPort(host); err == nil {
		host = h
		w.ports[dnsname.Canonical(h)] = p
	}
	queue := []mesh.NodeName{mesh.NodeName(host)}
	for looked := 0; len(queue) > 0 && looked < maxHosts; {
		next := queue[0]
		queue = queue[1:]
		if w.settled[dnsname.Canonical(string(next))] {
			continue
		}
		looked++
		if len(w.found.Clusters) == mesh.MaxClusters {
			w.found.Unreached = append(w.found.Unreached, Unreached{Host: next, Why: fmt.Sprintf("a mesh has at most %d clusters, and as many are found", mesh.MaxClusters)})
			w.settled[dnsname.Canonical(string(next))] = true
			continue
		}
		c, err := w.look(ctx, next)
		if ctx.Err() != nil {
			return w.found, ctx.Err()
		}
		var ended *endedError
		if errors.As(err, &ended) {
			return w.found, ended.cause
		}
		if err != nil {
			w.unreached(next, err)
			continue
		}
		w.found.Clusters = append(w.found.Clusters, c)
		// Who is a publisher comes first: the other nodes of its cluster are then
		// known, and are not logged in to.
		queue = slices.DeleteFunc(slices.Concat(addresses(c.Inventory.Peers), queue, c.Inventory.Others), func(n mesh.NodeName) bool { return w.settled[dnsname.Canonical(string(n))] })
	}
	if len(w.found.Clusters) == 0 {
		return w.found, fmt.Errorf("%s: %s", w.found.Unreached[0].Host, w.found.Unreached[0].Why)
	}
	name(w.found.Clusters)
	w.found.forget()
	return w.found, nil
}

func addresses(entries []cluster.PeerEntry) []mesh.NodeName {
	out := make([]mesh.NodeName, len(entries))
	for i, e := range entries {
		out[i] = e.Address
	}
	return out
}

// forget leaves out, where publishers are known that no account may ask, the nodes
// that were not tried for the same reason: most are those publishers' own.
func (f *Found) forget() {
	publisher := func(u Unreached) bool {
		return slices.ContainsFunc(f.Clusters, func(c Cluster) bool {
			return slices.ContainsFunc(c.Inventory.Peers, func(e cluster.PeerEntry) bool { return dnsname.Same(string(e.Address), string(u.Host)) })
		})
	}
	if slices.ContainsFunc(f.Unreached, func(u Unreached) bool { return u.Rejected && publisher(u) }) {
		f.Unreached = slices.DeleteFunc(f.Unreached, func(u Unreached) bool { return u.Rejected && !publisher(u) })
	}
}

// endedError is a person's or the machine's end of the whole search.
type endedError struct{ cause error }

func (e *endedError) Error() string { return e.cause.Error() }

// accountError says that a host was not tried, or is not again, because of the account.
type accountError struct{ why string }

func (e *accountError) Error() string { return e.why }

func (w *search) unreached(host mesh.NodeName, err error) {
	w.settled[dnsname.Canonical(string(host))] = true
	var account *accountError
	w.found.Unreached = append(w.found.Unreached, Unreached{Host: host, Account: w.account(host), Why: err.Error(), Rejected: errors.As(err, &account)})
}

func (w *search) account(host mesh.NodeName) string {
	for of, name := range w.Accounts {
		if dnsname.Same(string(of), string(host)) {
			return name
		}
	}
	return w.Account
}

func (w *search) doing(format string, args ...any) {
	if w.Doing != nil {
		w.Doing(fmt.Sprintf(format, args...))
	}
}

// look logs in to a host and asks for its cluster.
func (w *search) look(ctx context.Context, host mesh.NodeName) (Cluster, error) {
	account := w.account(host)
	if by, yes := w.rejected[account]; yes {
		return Cluster{}, &accountError{fmt.Sprintf("not tried: %s has rejected the account %s", by, account)}
	}
	if account == "" {
		return Cluster{}, &accountError{"not tried: no account is named for it"}
	}
	w.doing("%s found; asking %s", plain.Count(len(w.found.Clusters), "cluster", "clusters"), host)
	n, err := w.vouch(ctx, host)
	if err != nil {
		return Cluster{}, err
	}
	if n.Gap != "" {
		return Cluster{}, errors.New(n.Gap)
	}
	inventory, err := w.ask(ctx, n, account)
	if soap.KindOf(err) == soap.AccountRejected {
		w.rejected[account] = host
		return Cluster{}, &accountError{fmt.Sprintf("it rejected the account %s, which is not tried anywhere any more (correct its user name or password in the secrets file, or unlock it): %v", account, err)}
	}
	if err != nil {
		return Cluster{}, err
	}
	c := Cluster{Inventory: inventory, Account: account, Gaps: inventory.Gaps}
	if inventory.Publisher == "" {
		return Cluster{}, fmt.Errorf("it names no IM and Presence publisher of its cluster")
	}
	for _, name := range inventory.Nodes {
		w.settled[dnsname.Canonical(string(name))] = true
		node, err := w.vouch(ctx, name)
		if err != nil {
			return Cluster{}, err
		}
		c.Nodes = append(c.Nodes, node)
	}
	w.settled[dnsname.Canonical(string(host))] = true
	if inventory.CUCM != "" {
		node, err := w.vouch(ctx, inventory.CUCM)
		if err != nil {
			return Cluster{}, err
		}
		if node.Gap == "" {
			c.CUCM = &node
		} else {
			c.Gaps = append(c.Gaps, fmt.Sprintf("Unified CM's publisher %s is left out: %s", node.Name, node.Gap))
		}
	}
	return c, nil
}

// ask logs in once, over a connection that was vouched for.
func (w *search) ask(ctx context.Context, n Node, account string) (cluster.Inventory, error) {
	c := &mesh.Cluster{ID: mesh.ClusterID(n.Name), Publisher: n.Name, Credentials: account, Nodes: []mesh.Node{{Name: n.Name, Address: w.address(n)}}, TLS: mesh.TLS{CA: string(w.CA)}}
	if n.Pin != "" {
		c.TLS.Pins = []string{n.Pin}
	}
	connector := &cluster.Connector{Dialect: cluster.NewDialect(nil), Secrets: w.Secrets, Now: w.Now, Log: w.Log}
	client, err := connector.Open(ctx, c, nil, nil)
	if errors.Is(err, secret.ErrNotFound) {
		return cluster.Inventory{}, &accountError{fmt.Sprintf("not tried: the secrets file has no entry %s", account)}
	}
	if err != nil {
		return cluster.Inventory{}, err
	}
	defer client.Close()
	return client.Inventory(ctx)
}

func (w *search) address(n Node) string {
	if n.Address != "" {
		return n.Address
	}
	return net.JoinHostPort(string(n.Name), port)
}

// vouch says what vouches for a host: the CA, a fingerprint that was accepted, or a
// person who is asked. No credential is sent. An error ends the search.
func (w *search) vouch(ctx context.Context, host mesh.NodeName) (Node, error) {
	key := dnsname.Canonical(string(host))
	if n, known := w.vouched[key]; known {
		return n, nil
	}
	n := Node{Name: host}
	address, err := w.resolve(ctx, host)
	if err != nil {
		n.Gap = err.Error()
		w.vouched[key] = n
		return n, nil
	}
	if address != net.JoinHostPort(string(host), port) {
		n.Address = address
	}
	served, err := tlsprobe.Prober{}.Probe(ctx, tlsprobe.Target{Address: address, ServerName: string(host)}, tlsprobe.Any)
	leaf := served.Leaf()
	switch {
	case ctx.Err() != nil:
		return n, &endedError{ctx.Err()}
	case err != nil:
		n.Gap = "its certificate cannot be seen: " + err.Error()
	case leaf == nil:
		n.Gap = "its certificate cannot be read"
	default:
		if n, err = w.judge(ctx, n, address, served.Chain); err != nil {
			return n, &endedError{err}
		}
	}
	w.vouched[key] = n
	return n, nil
}

func (w *search) judge(ctx context.Context, n Node, address string, shown []*x509.Certificate) (Node, error) {
	leaf, print := shown[0], chain.Fingerprint(shown[0])
	why := "no CA is named"
	if w.roots != nil {
		between := x509.NewCertPool()
		for _, c := range shown[1:] {
			between.AddCert(c)
		}
		_, err := leaf.Verify(x509.VerifyOptions{Roots: w.roots, Intermediates: between, DNSName: string(n.Name), CurrentTime: w.Now()})
		if n.ByCA = err == nil; n.ByCA {
			return n, nil
		}
		why = "the CA does not vouch for it: " + err.Error()
	}
	if slices.Contains(w.Accept, print) {
		n.Pin = print
		return n, nil
	}
	if w.Confirm == nil {
		n.Gap = fmt.Sprintf("nothing was sent to it, for nothing vouches for its certificate %s: %s, and --accept does not list it", print, why)
		return n, nil
	}
	yes, err := w.Confirm(ctx, Server{Name: n.Name, Address: address, Leaf: leaf, Fingerprint: print, Why: why})
	if err != nil {
		return n, err
	}
	if yes {
		n.Pin = print
	} else {
		n.Gap = "nothing was sent to it: its certificate " + print + " was not confirmed"
	}
	return n, nil
}

func (w *search) resolve(ctx context.Context, host mesh.NodeName) (string, error) {
	p := port
	if other, named := w.ports[dnsname.Canonical(string(host))]; named {
		p = other
	}
	if w.Resolve == nil || dnsname.IsAddress(string(host)) {
		return net.JoinHostPort(string(host), p), nil
	}
	return w.Resolve(ctx, string(host), p)
}

// ByDNS resolves names by DNS servers (ip:port), of which the first that knows an
// address counts.
func ByDNS(servers []string) func(ctx context.Context, host, port string) (string, error) {
	return func(ctx context.Context, host, port string) (string, error) {
		var said []string
		for _, server := range servers {
			a := (&dnsprobe.Client{}).Forward(ctx, server, host)
			if a.Reason == dnsprobe.OK && len(a.Addrs) > 0 {
				return net.JoinHostPort(a.Addrs[0].String(), port), nil
			}
			said = append(said, server+": "+string(a.Reason))
		}
		return "", fmt.Errorf("its name does not resolve (%s)", plain.List(said))
	}
}
