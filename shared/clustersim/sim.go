package clustersim

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Clock is the simulated time, virtual or the wall's.
type Clock interface{ Now() time.Time }

// Config describes a mesh. The zero value of everything but Clock is usable.
type Config struct {
	Clusters int           // 1 to 30; 0 = 3
	Users    int           // home users per cluster; 0 = 200
	Release  string        // "12.5", "14.0", "15.0" or a full version such as "14.0.1.13900-8"; "" = "14.0"
	Listen   string        // IP to listen on; "" = 127.0.0.1
	Latency  time.Duration // added to every SOAP answer, wall time
	Clock    Clock         // required
	Seed     uint64        // names, keys of rows, passwords and the stagger of syncs
	Log      func(string)  // what happens, one line each; nil = nowhere
	Epoch    time.Time     // with Rate, only written into mesh.yaml
	Rate     float64       // 0 = 1

	// Names is what the nodes are called in Presence Topology, and so in
	// everything but their certificates and DNS: "fqdn" (or ""), "host", "ip".
	Names string
	// Apart is how many of the clusters, the last, have no intercluster peers yet and
	// do not stand in mesh.yaml: those that may join.
	Apart int
	// Ports is "" for free ports, or "cisco": each node has an address of its own,
	// 127.0.0.x, and listens on 8443, 443, 7400 and 5060 of it.
	Ports string

	// AnswerBudget is how many bytes of column values one executeSQLQuery may
	// answer before the size fault; 0 = 8 MiB, as Cisco documents.
	AnswerBudget int
	// LogSeverity is the level of ICSA's Local Syslogs at the beginning, 1 to 7;
	// 0 = 6, Informational. Cisco's default is 3, Error.
	LogSeverity int
	// ControlCenterRate is how many Control Center requests a node takes per
	// minute of the simulated clock; 0 = 600.
	ControlCenterRate int
	// TrustReplication is how long a certificate takes from one node's trust
	// store to those of the other nodes, simulated clock; 0 = 20 minutes (Cisco
	// speaks of 15 to 30).
	TrustReplication time.Duration
}

const (
	defaultAnswerBudget = 8 << 20
	axlMemory           = 16 << 20 // over all requests in flight on one node
	defaultControlRate  = 600
	maxClusters         = 30
)

// Sim is one simulated mesh.
type Sim struct {
	cfg       Config
	log       func(format string, args ...any)
	authority *authority
	pages     *chunks
	names     *people
	random    *rand.Rand

	unmodelled tally

	mu       sync.Mutex // guards all below, but not what is inside a database
	clusters []*cluster
	faults   []*Fault
	nextIP   int // simulated addresses, unique in the mesh
	sessions uint64
	started  bool
	closed   bool

	done     chan struct{} // closed by Close
	handlers sync.WaitGroup
	servers  sync.WaitGroup
}

type role string

const (
	rolePublisher  role = "publisher"
	roleSubscriber role = "subscriber"
	roleCUCM       role = "cucm"
)

// cluster is one IM&P cluster with its CUCM publisher.
type cluster struct {
	id         string
	index      int
	timeZone   *time.Location
	zone       *zone
	dns        [2]dnsAddress
	db         *database
	nodes      []*node // publisher, subscribers, CUCM in the order they were made
	accounts   map[string]*account
	believed   map[string]*x509.Certificate // of the publisher's tomcat-trust, what the running ICSA has read
	distrusted map[string]*x509.Certificate // what a scenario took out of tomcat-trust; ICSA does not learn it again by itself
	copying    []copying                    // certificates on their way to other nodes, the next due first
	peers      []*peer
	blocked    map[string]bool // "peerkeeper" or the id of a cluster that cannot reach this one

	loaded         int // rows of enduser before there were copies
	homeVersion    int // grows with every change of enduser; copies compare it
	homeCounted    int // homeVersion for which homeUsers is right
	homeUsers      int
	cucm           *database // nil until somebody asks CUCM
	cucmVersion    int
	icsaRestarts   int
	selfRestarts   int
	routerRestarts int
	writes         int

	logging  logSettings
	logLines int // that were written or would have been, but for their level

	skipsDuplicates bool // ICSA copies no user whose ID is at home here as well
	syncIncomplete  bool // Cisco Sync Agent has not completed the sync of users
	// firstFull is how long the first full sync of a new entry takes; nil = by users.
	firstFull *time.Duration
	// bellOnChange rings for a restart of the router when an entry changes.
	bellOnChange bool

	scheme        string // IM address scheme; "" as installed: UserID@[Default_Domain]
	perfmonDenied bool   // the read account lacks the role for PerfMon

	automaticFallback bool // of high availability; off by default, as Cisco has it

	agent          agentParameters
	parameters     map[string]map[string]map[string]string // by node, service and name, as they stand in the database
	selfRestarting bool                                    // ICSA on the publisher is on its way through a restart of its own
}

type dnsAddress struct {
	inProcess    string
	server       *dnsServer // nil until Start
	silent       bool       // to who asks by socket: Peerkeeper
	silentToICSA bool
	lame         lameness
}

// account is one that a client logs in with.
type account struct {
	username, password string
	write              bool
}

// node is one server.
type node struct {
	cluster  *cluster
	name     string // in Presence Topology
	fqdn     string // in its certificates and in DNS
	role     role
	id       int // enterprisenode.id; 0 for CUCM
	nodeid   int // processnode.nodeid
	pkid     string
	ip       netip.Addr
	release  release
	down     bool
	services []*service
	// staysDown is a node of which nothing comes back that is started.
	staysDown bool
	// notified is a node whose bell asks for a restart of its router.
	notified bool

	group   int  // redundancy group, of two nodes at most; 0 = that of the publisher
	haOn    bool // high availability, in that group
	haState int
	haSince time.Time // that it is in this state
	// routerDown is since when its router does not run, zero while it does; routerUp
	// since when it has.
	routerDown, routerUp time.Time
	homeUsers            int64                        // as countHome counted
	people               [len(kindsOfClient)]signedIn // of its home users

	rsa   *tls.Certificate
	ecdsa *tls.Certificate // nil until a scenario issues one
	// between is what something on Peerkeeper's way to the node shows in its
	// place; nil if there is nothing.
	between *tls.Certificate
	posture tlsPosture
	// installed are tomcat identities that wait for a restart, by key type.
	installed map[string]*tls.Certificate
	cup       *tls.Certificate // and cupXMPP: nil until somebody asks
	cupXMPP   *tls.Certificate
	stores    map[string]*trustStore

	replication int              // Replicate_State
	perfmon     map[string]int64 // a scenario's own values, by counter in lower case

	syslog      logState
	sessions    map[string]*session
	requests    map[string]int
	logIns      int
	rejected    int
	inFlight    atomic.Int64 // bytes of answers being made or sent
	minute      int64
	minuteCount int
	// The same of PerfMon, which counts apart.
	perfmonMinute int64
	perfmonCount  int

	bare     []net.Listener // 7400 and 5060, with Cisco's ports
	listener listenerState  // AXL and all else
	platform listenerState  // HTTPS 443; the same web server answers both
}

type session struct {
	account *account
	used    time.Time
	path    string // of the log service that it is good for; "" = everything else
}

// Host is a node as tests and in-process clients need it.
type Host struct {
	Cluster string
	Name    string
	Role    string // publisher, subscriber or cucm
	Address string // host:port to dial, or to name to Transport
	// PlatformAddress is the node's HTTPS port, 443 on a real one.
	PlatformAddress string
}

func (s *Sim) now() time.Time { return s.cfg.Clock.Now() }

func (c *cluster) publisher() *node {
	for _, n := range c.nodes {
		if n.role == rolePublisher {
			return n
		}
	}
	return nil
}

func (c *cluster) presenceNodes() []*node {
	var out []*node
	for _, n := range c.nodes {
		if n.role != roleCUCM {
			out = append(out, n)
		}
	}
	return out
}

func (c *cluster) node(name string) *node {
	for _, n := range c.nodes {
		if equalNames(n.name, name) {
			return n
		}
	}
	return nil
}

func (s *Sim) cluster(id string) *cluster {
	for _, c := range s.clusters {
		if c.id == id {
			return c
		}
	}
	return nil
}

// address is where clients find the node: the socket once started, else a
// documentation address that only Transport knows.
func (n *node) address() string {
	if n.listener.address != "" {
		return n.listener.address
	}
	return net.JoinHostPort(n.ip.String(), "8443")
}

func (n *node) platformAddress() string {
	if n.platform.address != "" {
		return n.platform.address
	}
	return net.JoinHostPort(n.ip.String(), "443")
}

func (d dnsAddress) address() string {
	if d.server != nil {
		return d.server.Addr()
	}
	return d.inProcess
}

// Hosts lists all nodes of the mesh.
func (s *Sim) Hosts() []Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Host
	for _, c := range s.clusters {
		for _, n := range c.nodes {
			out = append(out, Host{c.id, n.name, string(n.role), n.address(), n.platformAddress()})
		}
	}
	return out
}

func (s *Sim) nodeAt(address string) *node {
	for _, c := range s.clusters {
		for _, n := range c.nodes {
			if n.address() == address || n.platformAddress() == address || equalNames(n.name+":8443", address) || equalNames(n.name+":443", address) {
				return n
			}
		}
	}
	return nil
}

// ErrUnreachable is what in-process callers get where a socket would be
// refused or stay silent.
var ErrUnreachable = errors.New("connection refused")

// Served is the chain that the node at address shows a client that takes RSA,
// without a handshake.
func (s *Sim) Served(address string) ([]*x509.Certificate, error) {
	return s.ServedKey(address, keyRSA)
}

// ServedKey is Served for a client that takes certificates of one key type
// only, "RSA" or "ECDSA".
func (s *Sim) ServedKey(address, keyType string) ([]*x509.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodeAt(address)
	if n == nil {
		return nil, fmt.Errorf("certificate of %s: no such node", address)
	}
	if !n.listening() {
		return nil, fmt.Errorf("certificate of %s: %w", address, ErrUnreachable)
	}
	cert := n.shownKey(keyType)
	if cert == nil {
		return nil, fmt.Errorf("certificate of %s: no %s identity", address, keyType)
	}
	out := make([]*x509.Certificate, 0, len(cert.Certificate))
	for _, der := range cert.Certificate {
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate of %s: %w", address, err)
		}
		out = append(out, parsed)
	}
	return out, nil
}

// ResolveAt asks one of the DNS servers of mesh.yaml without a socket. A silent
// server is ErrUnreachable.
func (s *Sim) ResolveAt(server string, question *dns.Msg) (*dns.Msg, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clusters {
		for _, d := range c.dns {
			if d.address() != server {
				continue
			}
			if d.silent {
				return nil, fmt.Errorf("asking DNS server %s: %w", server, ErrUnreachable)
			}
			if how := d.lame[fromPeerkeeper]; how != "" {
				return lameAnswer(question, how), nil
			}
			if reply := c.zone.answer(question); reply != nil {
				return reply, nil
			}
			return nil, fmt.Errorf("asking DNS server %s: %w", server, ErrUnreachable)
		}
	}
	return nil, fmt.Errorf("asking DNS server %s: no such server", server)
}

// Step runs everything due at or before now, in order of due time: ends of
// dwell times, syncs, retries, and ICSA's restarts of itself.
func (s *Sim) Step(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step(now)
}

func (s *Sim) step(now time.Time) {
	for {
		d := s.earliest()
		if d.at.IsZero() || d.at.After(now) || s.closed {
			return
		}
		switch {
		case d.service != nil:
			s.serviceDue(d.node, d.service, d.at)
		case d.peer != nil:
			s.sync(d.peer, d.at)
		case d.overdue != nil:
			s.sayOverdue(d.overdue, d.at)
		case d.trust:
			s.replicate(d.cluster, d.at)
		case d.ha:
			s.haChanges(d.node, d.at)
		default:
			s.selfRestart(d.cluster, d.at)
		}
	}
}

// Next is when the next thing is due; the zero time if nothing ever is.
func (s *Sim) Next() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.earliest().at
}

// due is one thing to do: a service's dwell ends, a peer syncs, a certificate
// reaches another node, a node fails over or falls back, or (with none of these)
// ICSA of a cluster restarts itself.
type due struct {
	at      time.Time
	cluster *cluster
	node    *node
	service *service
	peer    *peer
	trust   bool
	ha      bool  // of the node
	overdue *peer // of which ICSA says that its syncs have stopped
}

// earliest finds what is due first; among equals the first in the order of
// clusters, nodes, services and peers, which keeps runs repeatable.
func (s *Sim) earliest() due {
	var first due
	sooner := func(t time.Time) bool { return !t.IsZero() && (first.at.IsZero() || t.Before(first.at)) }
	for _, c := range s.clusters {
		for _, n := range c.nodes {
			if t := n.haDue(); sooner(t) {
				first = due{at: t, cluster: c, node: n, ha: true}
			}
			if n.down {
				continue
			}
			for _, v := range n.services {
				if sooner(v.due) {
					first = due{at: v.due, cluster: c, node: n, service: v}
				}
			}
		}
		if len(c.copying) > 0 && sooner(c.copying[0].at) {
			first = due{at: c.copying[0].at, cluster: c, trust: true}
		}
		if !c.publisher().running(serviceICSA) {
			continue
		}
		for _, p := range c.peers {
			if t := p.due(); sooner(t) {
				first = due{at: t, cluster: c, peer: p}
			}
		}
		for _, p := range c.peers { // said before ICSA restarts itself for it
			if t := c.overdue(p); sooner(t) {
				first = due{at: t, cluster: c, overdue: p}
			}
		}
		if t := c.selfRestartDue(); sooner(t) {
			first = due{at: t, cluster: c}
		}
	}
	return first
}
