package clustersim

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"
)

// dnsTTL is in seconds; short, because scenarios change answers while clients
// look.
const dnsTTL = 5

// The words of the admin interface for an answer that is not an address.
const (
	dnsNXDomain = "nxdomain" // forward: no such name
	dnsSilent   = "silent"   // forward: no answer at all
	dnsServFail = "servfail" // forward: the server fails
	dnsNoPTR    = "noptr"    // reverse: the addresses have no PTR
)

// zone is what the DNS servers of one simulated cluster know: node names with
// their addresses, forward and reverse, and the overrides of a scenario. It is
// safe for concurrent use; both servers of a cluster share one.
type zone struct {
	mu        sync.RWMutex
	addrs     map[string][]netip.Addr
	names     map[string][]string // reverse, by in-addr.arpa or ip6.arpa name; names may share an address
	overrides map[asker]map[string]string
}

// asker is who asks a cluster's DNS servers. Split DNS gives the two different
// answers.
type asker string

const (
	fromPeerkeeper asker = "peerkeeper" // everything that asks by socket
	fromICSA       asker = "icsa"       // the cluster's own nodes
)

func newZone() *zone {
	return &zone{addrs: map[string][]netip.Addr{}, names: map[string][]string{}, overrides: map[asker]map[string]string{fromPeerkeeper: {}, fromICSA: {}}}
}

// set replaces a name's addresses, in both directions. Without addresses the
// name is gone. Addresses are handed back to clients, never dialled, so they
// belong in a documentation range.
func (z *zone) set(name string, addrs ...netip.Addr) {
	name = dns.CanonicalName(name)
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, old := range z.addrs[name] {
		arpa := arpaName(old)
		z.names[arpa] = slices.DeleteFunc(z.names[arpa], func(n string) bool { return n == name })
		if len(z.names[arpa]) == 0 {
			delete(z.names, arpa)
		}
	}
	delete(z.addrs, name)
	for _, addr := range addrs {
		addr = addr.Unmap()
		if !addr.IsValid() || slices.Contains(z.addrs[name], addr) {
			continue
		}
		z.addrs[name] = append(z.addrs[name], addr)
		z.names[arpaName(addr)] = append(z.names[arpaName(addr)], name)
	}
}

// override changes the answer for one name, to everybody if it does not say to
// whom: "nxdomain", "silent" or "servfail"
// instead of its addresses, an IP literal instead of them (the reverse zone is
// untouched and so disagrees), "noptr" for addresses without a PTR, "" for the
// truth again. A name that is an IP literal stands for its PTR question. The
// name need not be known.
func (z *zone) override(name, answer string, to ...asker) error {
	if len(to) == 0 {
		to = []asker{fromPeerkeeper, fromICSA}
	}
	key := dns.CanonicalName(name)
	ip, isIP := parseIP(name)
	if isIP {
		key = arpaName(ip)
	} else if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return fmt.Errorf("override: %q is not a DNS name", name)
	}
	switch answer {
	case "":
		z.mu.Lock()
		defer z.mu.Unlock()
		for _, a := range to {
			delete(z.overrides[a], key)
		}
		return nil
	case dnsNXDomain, dnsSilent, dnsServFail, dnsNoPTR:
	default:
		if _, ok := parseIP(answer); !ok || isIP {
			return fmt.Errorf("override of %s: answer %q is not known", name, answer)
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, a := range to {
		z.overrides[a][key] = answer
	}
	return nil
}

// answer answers one question of Peerkeeper's without a socket; nil is silence.
// The reply has no size limit: truncation belongs to the transport.
func (z *zone) answer(q *dns.Msg) *dns.Msg { return z.answerTo(fromPeerkeeper, q) }

// answerTo is answer for one asker.
func (z *zone) answerTo(who asker, q *dns.Msg) *dns.Msg {
	if q == nil || q.Response {
		return nil // answering an answer is how two servers loop for ever
	}
	reply := new(dns.Msg)
	reply.SetReply(q)
	reply.Compress = true
	if opt := q.IsEdns0(); opt != nil {
		reply.SetEdns0(4096, false)
	}
	switch {
	case q.Opcode != dns.OpcodeQuery:
		reply.Rcode = dns.RcodeNotImplemented
		return reply
	case len(q.Question) != 1:
		reply.Rcode = dns.RcodeFormatError
		return reply
	case q.Question[0].Qclass != dns.ClassINET:
		reply.Rcode = dns.RcodeRefused
		return reply
	}
	reply.Authoritative = true
	z.mu.RLock()
	defer z.mu.RUnlock()
	question := q.Question[0]
	switch question.Qtype {
	case dns.TypeA, dns.TypeAAAA:
		return z.forward(reply, question, z.overrides[who])
	case dns.TypePTR:
		return z.reverse(reply, question, z.overrides[who])
	}
	reply.Rcode = dns.RcodeNotImplemented // MX, SRV and others are not modelled
	return reply
}

func (z *zone) forward(reply *dns.Msg, question dns.Question, overrides map[string]string) *dns.Msg {
	name := dns.CanonicalName(question.Name)
	addrs, known := z.addrs[name]
	switch o := overrides[name]; o {
	case "", dnsNoPTR:
	case dnsSilent:
		return nil
	case dnsServFail:
		return servFail(reply)
	case dnsNXDomain:
		known = false
	default:
		if ip, ok := parseIP(o); ok {
			addrs, known = []netip.Addr{ip}, true
		}
	}
	if !known {
		return nxDomain(reply, question)
	}
	for _, addr := range addrs {
		header := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET, Ttl: dnsTTL}
		switch {
		case question.Qtype == dns.TypeA && addr.Is4():
			reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: addr.AsSlice()})
		case question.Qtype == dns.TypeAAAA && addr.Is6():
			reply.Answer = append(reply.Answer, &dns.AAAA{Hdr: header, AAAA: addr.AsSlice()})
		}
	}
	if len(reply.Answer) == 0 { // the name exists, with addresses of the other family only
		reply.Ns = []dns.RR{soaAbove(question.Name)}
	}
	return reply
}

func (z *zone) reverse(reply *dns.Msg, question dns.Question, overrides map[string]string) *dns.Msg {
	arpa := dns.CanonicalName(question.Name)
	switch overrides[arpa] {
	case dnsSilent:
		return nil
	case dnsServFail:
		return servFail(reply)
	case dnsNXDomain, dnsNoPTR:
		return nxDomain(reply, question)
	}
	for _, name := range z.names[arpa] {
		if overrides[name] == dnsNoPTR {
			continue
		}
		reply.Answer = append(reply.Answer, &dns.PTR{
			Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: dnsTTL},
			Ptr: name,
		})
	}
	if len(reply.Answer) == 0 {
		return nxDomain(reply, question)
	}
	return reply
}

func servFail(reply *dns.Msg) *dns.Msg {
	reply.Rcode = dns.RcodeServerFailure
	reply.Authoritative = false
	return reply
}

func nxDomain(reply *dns.Msg, question dns.Question) *dns.Msg {
	reply.Rcode = dns.RcodeNameError
	reply.Ns = []dns.RR{soaAbove(question.Name)}
	return reply
}

// soaAbove is the SOA that a negative answer carries (RFC 2308); the zone cut
// is invented to be the name's parent.
func soaAbove(name string) dns.RR {
	parent := "."
	if next, end := dns.NextLabel(name, 0); !end {
		parent = name[next:]
	}
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: parent, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: dnsTTL},
		Ns:  "ns.example.com.", Mbox: "hostmaster.example.com.",
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: dnsTTL,
	}
}

// arpaName is the owner of an address's PTR record.
func arpaName(addr netip.Addr) string {
	name, err := dns.ReverseAddr(addr.Unmap().WithZone("").String())
	if err != nil {
		return "" // only of the invalid address, which no question asks for
	}
	return name
}

func parseIP(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSpace(s))
	return addr.Unmap(), err == nil && addr.Zone() == ""
}

// dnsServer serves a zone on one address, UDP and TCP on the same port.
type dnsServer struct {
	zone     *zone
	addr     string
	udp, tcp *dns.Server
	serving  sync.WaitGroup

	silent   atomic.Bool
	lame     atomic.Value // string: "", lameEmpty or lameReferral
	queries  atomic.Uint64
	answered atomic.Uint64
	dropped  atomic.Uint64
}

// startDNS listens on addr, "127.0.0.1:0" for any free port, and returns when
// both transports answer.
func startDNS(addr string, z *zone) (*dnsServer, error) {
	packets, listener, err := listenDNS(addr)
	if err != nil {
		return nil, fmt.Errorf("starting DNS server on %s: %w", addr, err)
	}
	s := &dnsServer{zone: z, addr: packets.LocalAddr().String()}
	s.udp = &dns.Server{PacketConn: packets, Handler: s, UDPSize: 4096}
	s.tcp = &dns.Server{Listener: listener, Handler: s}
	if err := errors.Join(s.serve(s.udp), s.serve(s.tcp)); err != nil {
		return nil, errors.Join(err, packets.Close(), listener.Close())
	}
	return s, nil
}

// serve returns when the transport takes questions, or cannot.
func (s *dnsServer) serve(server *dns.Server) error {
	started, ended := make(chan struct{}), make(chan error, 1)
	server.NotifyStartedFunc = func() { close(started) }
	// A socket that breaks later is silence to clients, as of a broken server.
	s.serving.Go(func() { ended <- server.ActivateAndServe() })
	select {
	case <-started:
		return nil
	case err := <-ended:
		return fmt.Errorf("starting DNS server on %s: %w", s.addr, err)
	}
}

// ServeDNS answers one question of either transport.
func (s *dnsServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.queries.Add(1)
	var reply *dns.Msg
	switch how, _ := s.lame.Load().(string); {
	case s.silent.Load():
	case how != "":
		reply = lameAnswer(q, how)
	default:
		reply = s.zone.answer(q)
	}
	if reply == nil {
		s.dropped.Add(1)
		return // a TCP connection stays open until its idle time is over
	}
	if _, udp := w.LocalAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil && opt.UDPSize() > dns.MinMsgSize {
			size = int(opt.UDPSize())
		}
		reply.Truncate(size) // sets TC where it cuts
	}
	if err := w.WriteMsg(reply); err != nil {
		return // the client is gone
	}
	s.answered.Add(1)
}

// listenDNS finds a port that is free for both transports. The kernel picks the
// UDP port; that the same TCP port is taken is rare, and another is then tried.
func listenDNS(addr string) (net.PacketConn, net.Listener, error) {
	const attempts = 16
	var faults []error
	for range attempts {
		packets, err := net.ListenPacket("udp", addr)
		if err != nil {
			return nil, nil, err
		}
		listener, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, listener, nil
		}
		faults = append(faults, err, packets.Close())
		if packets.LocalAddr().String() == addr {
			break // the port was asked for by number
		}
	}
	return nil, nil, errors.Join(faults...)
}

// Addr is ip:port.
func (s *dnsServer) Addr() string { return s.addr }

// silence makes the server take questions and answer none, as one whose process
// hangs; closing it would refuse instead.
func (s *dnsServer) silence(on bool) { s.silent.Store(on) }

// Close stops both transports and waits until neither answers any more.
func (s *dnsServer) Close() error {
	err := errors.Join(s.udp.Shutdown(), s.tcp.Shutdown())
	s.serving.Wait()
	if err != nil {
		return fmt.Errorf("closing DNS server %s: %w", s.addr, err)
	}
	return nil
}
