package dnsprobe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

// fakeServer is a DNS server on loopback that says what the test wants, byte by
// byte if need be.
type fakeServer struct {
	addr    string
	respond func(network string, packet []byte) [][]byte
	mu      sync.Mutex
	seen    []dns.Question
}

// script returns the packets that answer a question: none is silence.
type script func(network string, q *dns.Msg) [][]byte

// newFake listens nowhere yet.
func newFake(t testing.TB, addr string, answer script) *fakeServer {
	f := &fakeServer{addr: addr}
	f.respond = func(network string, packet []byte) [][]byte {
		q := new(dns.Msg)
		if err := q.Unpack(packet); err != nil || len(q.Question) != 1 || q.Response {
			t.Errorf("not a question: %v", err)
			return nil
		}
		f.mu.Lock()
		f.seen = append(f.seen, q.Question[0])
		f.mu.Unlock()
		return answer(network, q)
	}
	return f
}

// startFake serves on sockets.
func startFake(t testing.TB, answer script) *fakeServer {
	t.Helper()
	packets, listener := listenBoth(t)
	f := newFake(t, packets.LocalAddr().String(), answer)
	var wg sync.WaitGroup
	wg.Go(func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			for _, reply := range f.respond("udp", buffer[:n]) {
				_, _ = packets.WriteTo(reply, from)
			}
		}
	})
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				f.serveTCP(conn)
			})
		}
	})
	t.Cleanup(func() {
		packets.Close()
		listener.Close()
		wg.Wait()
	})
	return f
}

func (f *fakeServer) serveTCP(conn net.Conn) {
	defer conn.Close()
	packet, err := (&dns.Conn{Conn: conn}).ReadMsgHeader(nil)
	if err != nil {
		return
	}
	for _, reply := range f.respond("tcp", packet) {
		_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	}
}

// network is servers by their addresses, and dials them without sockets. In a bubble of synctest nothing but silence takes time then, and
// no answer comes too late, however busy the machine.
type network map[string]*fakeServer

func (n network) DialContext(_ context.Context, kind, address string) (net.Conn, error) {
	near, far := net.Pipe()
	f := n[address]
	if kind == "tcp" {
		go f.serveTCP(far)
		return near, nil
	}
	go func() {
		defer far.Close()
		buffer := make([]byte, 4096)
		for {
			n, err := far.Read(buffer)
			if err != nil {
				return
			}
			for _, reply := range f.respond("udp", buffer[:n]) {
				if _, err := far.Write(reply); err != nil {
					return
				}
			}
		}
	}()
	return near, nil
}

// asking has a server asked: over sockets, or, where silence is part of the story, on a clock of its own.
func asking(t *testing.T, silent bool, answer script, do func(t *testing.T, server *fakeServer, c *Client)) {
	if !silent {
		do(t, startFake(t, answer), patient)
		return
	}
	synctest.Test(t, func(t *testing.T) {
		server := newFake(t, "192.0.2.53:53", answer)
		do(t, server, &Client{Dialer: network{server.addr: server}})
	})
}

// listenBoth finds a port that is free for UDP and TCP.
func listenBoth(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, listener
		}
		packets.Close()
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
}

func (f *fakeServer) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

func (f *fakeServer) askedFor(qtype uint16) (packets int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, q := range f.seen {
		if q.Qtype == qtype {
			packets++
		}
	}
	return packets
}

// zone answers from records in zone file syntax. A name's address leads back to
// it if a PTR record is there.
func zone(t testing.TB, records ...string) script {
	t.Helper()
	var rrs []dns.RR
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, rr)
	}
	return func(_ string, q *dns.Msg) [][]byte {
		reply := new(dns.Msg).SetReply(q)
		reply.RecursionAvailable = true // as the resolvers of an enterprise
		owner, known := q.Question[0].Name, false
		for range 4 { // aliases
			next := ""
			for _, rr := range rrs {
				if !strings.EqualFold(rr.Header().Name, owner) {
					continue
				}
				known = true
				if rr.Header().Rrtype == q.Question[0].Qtype {
					reply.Answer = append(reply.Answer, rr)
				}
				if cname, ok := rr.(*dns.CNAME); ok {
					reply.Answer = append(reply.Answer, rr)
					next = cname.Target
				}
			}
			if next == "" {
				break
			}
			owner = next
		}
		if !known {
			reply.Rcode = dns.RcodeNameError
		}
		return [][]byte{packed(t, reply)}
	}
}

func packed(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	packet, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return packet
}

func rcode(t testing.TB, code int) script {
	return func(_ string, q *dns.Msg) [][]byte { return [][]byte{packed(t, new(dns.Msg).SetRcode(q, code))} }
}

func silence(string, *dns.Msg) [][]byte { return nil }

// except answers some names otherwise.
func except(rest script, other script, names ...string) script {
	return func(network string, q *dns.Msg) [][]byte {
		for _, name := range names {
			if sameName(name, q.Question[0].Name) {
				return other(network, q)
			}
		}
		return rest(network, q)
	}
}

func ofType(rest script, other script, qtype uint16) script {
	return func(network string, q *dns.Msg) [][]byte {
		if q.Question[0].Qtype == qtype {
			return other(network, q)
		}
		return rest(network, q)
	}
}

const (
	pub        = "imp-emea-pub.example.com"
	pubRecord  = "imp-emea-pub.example.com. 5 IN A 192.0.2.10"
	pubReverse = "10.2.0.192.in-addr.arpa. 5 IN PTR imp-emea-pub.example.com."
)

// patient waits for an answer as long as a busy machine takes: a lost one would be a wrong one.
var patient = &Client{Timeout: time.Minute}

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

func TestForward(t *testing.T) {
	tc := func(m *dns.Msg) *dns.Msg { m.Truncated, m.Answer = true, nil; return m }
	whole := zone(t, pubRecord)
	for _, c := range []struct {
		name   string
		answer script
		silent bool   // about something
		ask    string // pub if empty
		want   Answer
	}{
		{name: "IPv4 only", answer: zone(t, pubRecord),
			want: Answer{Addrs: addrs("192.0.2.10"), Rcode: "NOERROR", Reason: OK, IPv4: OK, IPv6: NoAddress}},
		{name: "both families, sorted", answer: zone(t, "imp-emea-pub.example.com. 5 IN A 192.0.2.11", pubRecord, "imp-emea-pub.example.com. 5 IN AAAA 2001:db8::10"),
			want: Answer{Addrs: addrs("192.0.2.10", "192.0.2.11", "2001:db8::10"), Rcode: "NOERROR", Reason: OK, IPv4: OK, IPv6: OK}},
		{name: "IPv6 only", answer: zone(t, "imp-emea-pub.example.com. 5 IN AAAA 2001:db8::10"),
			want: Answer{Addrs: addrs("2001:db8::10"), Rcode: "NOERROR", Reason: OK, IPv4: NoAddress, IPv6: OK}},
		{name: "server answers in capitals", answer: zone(t, "IMP-EMEA-PUB.EXAMPLE.COM. 5 IN A 192.0.2.10"),
			want: Answer{Addrs: addrs("192.0.2.10"), Rcode: "NOERROR", Reason: OK, IPv4: OK, IPv6: NoAddress}},
		{name: "alias", answer: zone(t, "imp-emea-pub.example.com. 5 IN CNAME imp.example.net.", "imp.example.net. 5 IN A 192.0.2.10"),
			want: Answer{Addrs: addrs("192.0.2.10"), CNAMEs: []string{"imp.example.net"}, Rcode: "NOERROR", Reason: OK, IPv4: OK, IPv6: NoAddress}},
		{name: "alias to nowhere", answer: zone(t, "imp-emea-pub.example.com. 5 IN CNAME imp.example.net."),
			want: Answer{CNAMEs: []string{"imp.example.net"}, Rcode: "NOERROR", Reason: NoAddress, IPv4: NoAddress, IPv6: NoAddress}},
		{name: "aliases in a circle", answer: zone(t, "imp-emea-pub.example.com. 5 IN CNAME imp.example.net.", "imp.example.net. 5 IN CNAME imp-emea-pub.example.com."),
			want: Answer{Rcode: "NOERROR", Reason: Malformed, IPv4: Malformed, IPv6: Malformed}},
		{name: "address of another name", answer: func(_ string, q *dns.Msg) [][]byte {
			reply := new(dns.Msg).SetReply(q)
			rr, err := dns.NewRR("other.example.com. 5 IN A 192.0.2.66")
			if err != nil {
				t.Error(err)
			}
			reply.Answer = []dns.RR{rr}
			return [][]byte{packed(t, reply)}
		}, want: Answer{Rcode: "NOERROR", Reason: NoAddress, IPv4: NoAddress, IPv6: NoAddress}},
		{name: "no such name", answer: zone(t), want: Answer{Rcode: "NXDOMAIN", Reason: NXDomain, IPv4: NXDomain, IPv6: NXDomain}},
		{name: "a name with other records only", answer: zone(t, "imp-emea-pub.example.com. 5 IN TXT x"),
			want: Answer{Rcode: "NOERROR", Reason: NoAddress, IPv4: NoAddress, IPv6: NoAddress}},
		{name: "server failure", answer: rcode(t, dns.RcodeServerFailure), want: Answer{Rcode: "SERVFAIL", Reason: ServFail, IPv4: ServFail, IPv6: ServFail}},
		{name: "refused", answer: rcode(t, dns.RcodeRefused), want: Answer{Rcode: "REFUSED", Reason: Refused, IPv4: Refused, IPv6: Refused}},
		{name: "not implemented", answer: rcode(t, dns.RcodeNotImplemented), want: Answer{Rcode: "NOTIMP", Reason: Rejected, IPv4: Rejected, IPv6: Rejected}},
		{name: "refused without repeating the question", answer: func(_ string, q *dns.Msg) [][]byte {
			reply := new(dns.Msg).SetRcode(q, dns.RcodeRefused)
			reply.Question = nil
			return [][]byte{packed(t, reply)}
		}, want: Answer{Rcode: "REFUSED", Reason: Refused, IPv4: Refused, IPv6: Refused}},
		{name: "silent", answer: silence, want: Answer{Reason: Silent, IPv4: Silent, IPv6: Silent}},
		{name: "silent about IPv6 only", silent: true, answer: ofType(whole, silence, dns.TypeAAAA),
			want: Answer{Addrs: addrs("192.0.2.10"), Rcode: "NOERROR", Reason: OK, IPv4: OK, IPv6: Silent}},
		{name: "no IPv4, failing for IPv6: whether there is an address is unknown", answer: ofType(zone(t, "imp-emea-pub.example.com. 5 IN TXT x"), rcode(t, dns.RcodeServerFailure), dns.TypeAAAA),
			want: Answer{Rcode: "SERVFAIL", Reason: ServFail, IPv4: NoAddress, IPv6: ServFail}},
		{name: "cut off in the middle", answer: func(n string, q *dns.Msg) [][]byte { p := whole(n, q)[0]; return [][]byte{p[:len(p)-3]} },
			want: Answer{Reason: Malformed, IPv4: Malformed, IPv6: Malformed}},
		{name: "address record without an address", answer: func(_ string, q *dns.Msg) [][]byte {
			reply := packed(t, new(dns.Msg).SetReply(q))
			reply[7] = 1 // one answer: the name, its type, IN, no time, no data
			return [][]byte{append(reply, 0xc0, 12, 0, byte(q.Question[0].Qtype), 0, 1, 0, 0, 0, 0, 0, 0)}
		}, want: Answer{Rcode: "NOERROR", Reason: Malformed, IPv4: Malformed, IPv6: Malformed}},
		{name: "forged packets before the answer", answer: func(n string, q *dns.Msg) [][]byte {
			wrongID, wrongName, notReply := q.Copy(), new(dns.Msg).SetQuestion("other.example.com.", q.Question[0].Qtype), q.Copy()
			wrongID.Id++
			wrongName.Id = q.Id
			forged := [][]byte{{1, 2, 3}, packed(t, new(dns.Msg).SetReply(wrongID)), packed(t, new(dns.Msg).SetReply(wrongName)), packed(t, notReply)}
			return append(forged, whole(n, q)...)
		}, want: Answer{Addrs: addrs("192.0.2.10"), Rcode: "NOERROR", Reason: OK, IPv4: OK, IPv6: NoAddress}},
		{name: "forged packets only", answer: func(_ string, q *dns.Msg) [][]byte {
			wrongID := q.Copy()
			wrongID.Id++
			return [][]byte{packed(t, new(dns.Msg).SetReply(wrongID))}
		}, want: Answer{Reason: Silent, IPv4: Silent, IPv6: Silent}},
		{name: "too long for UDP", answer: func(n string, q *dns.Msg) [][]byte {
			if n == "udp" {
				return [][]byte{packed(t, tc(new(dns.Msg).SetReply(q)))}
			}
			return whole(n, q)
		}, want: Answer{Addrs: addrs("192.0.2.10"), Rcode: "NOERROR", Reason: OK, IPv4: OK, IPv6: NoAddress}},
		{name: "too long for UDP, TCP silent", silent: true, answer: func(n string, q *dns.Msg) [][]byte {
			if n == "udp" {
				return [][]byte{packed(t, tc(new(dns.Msg).SetReply(q)))}
			}
			return nil
		}, want: Answer{Reason: Truncated, IPv4: Truncated, IPv6: Truncated}},
		{name: "too long for TCP", answer: func(_ string, q *dns.Msg) [][]byte { return [][]byte{packed(t, tc(new(dns.Msg).SetReply(q)))} },
			want: Answer{Reason: Truncated, IPv4: Truncated, IPv6: Truncated}},
		{name: "empty name", ask: " ", answer: silence, want: Answer{Reason: BadName}},
		{name: "a label of 64 bytes", ask: strings.Repeat("a", 64) + ".example.com", answer: silence, want: Answer{Reason: BadName}},
	} {
		t.Run(c.name, func(t *testing.T) {
			asking(t, c.silent || c.want.Reason == Silent, c.answer, func(t *testing.T, server *fakeServer, client *Client) {
				name := pub
				if c.ask != "" {
					name = strings.TrimSpace(c.ask)
				}
				c.want.Server, c.want.Name = server.addr, name
				got := client.Forward(t.Context(), server.addr, name)
				if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Answer{}, "Took", "Err"), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
					t.Error(diff)
				}
				if c.want.Reason == BadName && server.asked() > 0 {
					t.Error("the server was asked")
				}
				if explained := got.Err != nil; explained != (got.Rcode == "" && got.Reason != BadName) {
					t.Errorf("%s with error %v", got.Reason, got.Err)
				}
			})
		})
	}
}

func TestReverse(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer script
		addr   string
		reason Reason
		names  []string
	}{
		{"IPv4", zone(t, pubReverse), "192.0.2.10", OK, []string{pub}},
		{"IPv6", zone(t, "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 5 IN PTR imp-emea-pub.example.com."), "2001:db8::10", OK, []string{pub}},
		{"IPv4 written as IPv6", zone(t, pubReverse), "::ffff:192.0.2.10", OK, []string{pub}},
		{"two names", zone(t, pubReverse, "10.2.0.192.in-addr.arpa. 5 IN PTR imp.example.com."), "192.0.2.10", OK, []string{pub, "imp.example.com"}},
		{"delegated by an alias (RFC 2317)", zone(t, "10.2.0.192.in-addr.arpa. 5 IN CNAME 10.0-63.2.0.192.in-addr.arpa.", "10.0-63.2.0.192.in-addr.arpa. 5 IN PTR imp-emea-pub.example.com."), "192.0.2.10", OK, []string{pub}},
		{"no PTR", zone(t), "192.0.2.10", PTRMissing, nil},
		{"the name exists without a PTR", zone(t, "10.2.0.192.in-addr.arpa. 5 IN TXT x"), "192.0.2.10", PTRMissing, nil},
		{"server failure", rcode(t, dns.RcodeServerFailure), "192.0.2.10", ServFail, nil},
		{"silent", silence, "192.0.2.10", Silent, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			asking(t, c.reason == Silent, c.answer, func(t *testing.T, server *fakeServer, client *Client) {
				got := client.Reverse(t.Context(), server.addr, netip.MustParseAddr(c.addr))
				if got.Reason != c.reason || got.Name != c.addr {
					t.Errorf("%+v", got)
				}
				if diff := cmp.Diff(c.names, got.Names); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
	if got := patient.Reverse(t.Context(), "127.0.0.1:1", netip.Addr{}); got.Reason != BadName {
		t.Errorf("no address: %s", got.Reason)
	}
}

func TestNothingListens(t *testing.T) {
	got := new(Client).Forward(t.Context(), nobody, pub)
	if got.Reason != Unreachable || got.Err == nil {
		t.Errorf("%+v", got)
	}
}

// nobody listens there. A port that was closed a moment ago may be another test's by now; port 1 is given to none.
const nobody = "127.0.0.1:1"

func TestServerMustBeAnAddress(t *testing.T) {
	for _, server := range []string{"ns.example.com:53", "192.0.2.53", ""} {
		if got := patient.Forward(t.Context(), server, pub); got.Reason != BadServer || got.Err == nil {
			t.Errorf("%q: %+v", server, got)
		}
		if _, err := patient.Lookup(t.Context(), []string{"127.0.0.1:53", server}, []string{pub}); err == nil {
			t.Errorf("%q: Lookup asked", server)
		}
	}
	if _, err := patient.Lookup(t.Context(), nil, []string{pub}); !errors.Is(err, ErrNoServers) {
		t.Errorf("no servers: %v", err)
	}
}

func TestSecondTryIsAnswered(t *testing.T) {
	var mu sync.Mutex
	heard := map[uint16]int{}
	whole := zone(t, pubRecord)
	asking(t, true, func(n string, q *dns.Msg) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		if heard[q.Question[0].Qtype]++; heard[q.Question[0].Qtype] == 1 {
			return nil // the first one is lost
		}
		return whole(n, q)
	}, func(t *testing.T, server *fakeServer, client *Client) {
		if got := client.Forward(t.Context(), server.addr, pub); got.Reason != OK {
			t.Errorf("%+v", got)
		}
		if server.asked() != 4 {
			t.Errorf("%d packets, want two tries for each family", server.asked())
		}
	})
}

func TestCallersDeadlineIsNotTheServersSilence(t *testing.T) {
	server := startFake(t, silence)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got := patient.Forward(ctx, server.addr, pub); got.Reason != Cancelled {
		t.Errorf("%+v", got)
	}
	result, err := patient.Lookup(ctx, []string{server.addr}, []string{pub})
	if !errors.Is(err, context.DeadlineExceeded) || result.Servers[0].Down != "" || result.Servers[0].Names[0].Reason != Cancelled {
		t.Errorf("%v, %+v", err, result)
	}
}

func TestBareHostNameGetsTheDomain(t *testing.T) {
	server := startFake(t, zone(t, pubRecord, pubReverse))
	client := &Client{Timeout: patient.Timeout, Domain: "example.com"}
	result, err := client.Lookup(t.Context(), []string{server.addr}, []string{"imp-emea-pub"})
	if err != nil || result.Servers[0].Names[0].Reason != OK {
		t.Errorf("%v, %+v", err, result)
	}
	if got := patient.Forward(t.Context(), server.addr, "imp-emea-pub"); got.Reason != NXDomain {
		t.Errorf("without a domain: %s", got.Reason)
	}
}

func TestLookup(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	good := []string{pubRecord, pubReverse}
	for _, c := range []struct {
		name   string
		answer script
		ask    string
		want   Reason
	}{
		{"forward and reverse agree", zone(t, good...), pub, OK},
		{"case does not matter", zone(t, good...), "IMP-Emea-Pub.example.com", OK},
		{"no PTR", zone(t, pubRecord), pub, PTRMissing},
		{"PTR names another", zone(t, pubRecord, "10.2.0.192.in-addr.arpa. 5 IN PTR other.example.com."), pub, PTRMismatch},
		{"one of two PTRs agrees", zone(t, append(good, "10.2.0.192.in-addr.arpa. 5 IN PTR other.example.com.")...), pub, OK},
		{"PTR names what the alias stands for", zone(t, "www.example.com. 5 IN CNAME imp-emea-pub.example.com.", good[0], good[1]), "www.example.com", OK},
		{"one of two addresses has no PTR", zone(t, append(good, "imp-emea-pub.example.com. 5 IN A 192.0.2.11")...), pub, PTRMissing},
		{"PTR zone fails", ofType(zone(t, good...), rcode(t, dns.RcodeServerFailure), dns.TypePTR), pub, ServFail},
		{"no such name", zone(t, good...), "nobody.example.com", NXDomain},
		{"IP node name", zone(t, good...), "192.0.2.10", OK},
		{"IP node name without a PTR", zone(t), "192.0.2.10", PTRMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := startFake(t, c.answer)
			result, err := patient.Lookup(t.Context(), []string{server.addr}, []string{c.ask})
			if err != nil {
				t.Fatal(err)
			}
			got, ok := result.Servers[0].Name(strings.ToUpper(c.ask))
			if !ok || got.Reason != c.want {
				t.Errorf("%+v", result)
			}
			if _, notIP := netip.ParseAddr(c.ask); notIP == nil && (got.Forward.Reason != "" || server.asked() != 2) {
				t.Errorf("an address was resolved forward: %+v", got)
			}
			if result.Servers[0].Down != "" || result.Servers[0].Questions != server.asked() {
				t.Errorf("%+v, asked %d", result.Servers[0], server.asked())
			}
		})
	}
}

func TestEachServerIsAskedSeparatelyAndEachNameOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const good, bad, dead = "192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53"
		client := &Client{Dialer: network{good: newFake(t, good, zone(t, pubRecord, pubReverse)), bad: newFake(t, bad, zone(t)), dead: newFake(t, dead, silence)}}
		result, err := client.Lookup(t.Context(), []string{good, bad, dead, good}, []string{pub, "IMP-emea-pub.example.com."})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range result.Servers {
			if len(s.Names) != 1 {
				t.Errorf("%s: %d names", s.Server, len(s.Names))
			}
			got = append(got, fmt.Sprintf("%s/%s", s.Names[0].Reason, s.Down))
		}
		if diff := cmp.Diff([]string{"OK/", "NXDomain/", "Silent/Silent"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// mesh is names with records for each of them, forward and reverse.
func mesh(n int) (names, records []string) {
	for i := range n {
		name := fmt.Sprintf("imp-%03d.example.com", i)
		names = append(names, name)
		records = append(records, fmt.Sprintf("%s. 5 IN A 192.0.2.%d", name, i), fmt.Sprintf("%d.2.0.192.in-addr.arpa. 5 IN PTR %s.", i, name))
	}
	return names, records
}

func tally(s ServerResult) map[Reason]int {
	counts := map[Reason]int{}
	for _, n := range s.Names {
		counts[n.Reason]++
	}
	return counts
}

func TestDeadServerIsAskedAFewTimesOnly(t *testing.T) {
	names, _ := mesh(200)
	few := func(t *testing.T, client *Client, addr string, want Reason) {
		result, err := client.Lookup(t.Context(), []string{addr}, names)
		if err != nil {
			t.Fatal(err)
		}
		s := result.Servers[0]
		// One question for each family from each worker, at most another round before
		// the last of the first has timed out, and the greeting.
		if s.Down != want || s.Questions > 2*2*DefaultWorkers+1 {
			t.Errorf("down %q after %d questions", s.Down, s.Questions)
		}
		if diff := cmp.Diff(map[Reason]int{want: 200}, tally(s)); diff != "" {
			t.Error(diff)
		}
		if !s.Names[199].Forward.Skipped || !errors.Is(s.Names[199].Forward.Err, errDown) {
			t.Errorf("the last name was asked: %+v", s.Names[199])
		}
	}
	t.Run("silent", func(t *testing.T) {
		asking(t, true, silence, func(t *testing.T, server *fakeServer, client *Client) { few(t, client, server.addr, Silent) })
	})
	t.Run("nothing listens", func(t *testing.T) { few(t, new(Client), nobody, Unreachable) })
}

// TestDeadServerCostsOneTimeout measures it on a clock of its own.
func TestDeadServerCostsOneTimeout(t *testing.T) {
	names, _ := mesh(200)
	synctest.Test(t, func(t *testing.T) {
		client := &Client{Dialer: deafDialer{}}
		start := time.Now()
		result, err := client.Lookup(t.Context(), []string{"192.0.2.53:53", "198.51.100.53:53"}, names)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != DefaultTimeout {
			t.Errorf("took %s", took)
		}
		for _, s := range result.Servers {
			if diff := cmp.Diff(map[Reason]int{Silent: 200}, tally(s)); diff != "" || s.Down != Silent {
				t.Errorf("down %q: %s", s.Down, diff)
			}
		}
	})
}

// deafDialer takes every packet and answers none.
type deafDialer struct{}

func (deafDialer) DialContext(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	return near, nil
}

func TestServerThatDiesDuringTheRun(t *testing.T) {
	names, records := mesh(200)
	whole := zone(t, records...)
	var heard atomic.Int64
	asking(t, true, func(n string, q *dns.Msg) [][]byte {
		if heard.Add(1) > 100 {
			return nil
		}
		return whole(n, q)
	}, func(t *testing.T, server *fakeServer, client *Client) {
		result, err := client.Lookup(t.Context(), []string{server.addr}, names)
		if err != nil {
			t.Fatal(err)
		}
		s := result.Servers[0]
		// What was in flight when it died, a round or two after it, and the question that
		// proves it; all names together would be 600.
		if s.Down != Silent || s.Questions > 300 {
			t.Errorf("down %q after %d questions", s.Down, s.Questions)
		}
		if counts := tally(s); counts[OK] == 0 || counts[Silent] < 100 {
			t.Errorf("%v", counts)
		}
	})
}

// TestSilenceAboutSomeNamesIsNotTheServers is the other side: the server lives,
// and only the zone of one peer is beyond it.
func TestSilenceAboutSomeNamesIsNotTheServers(t *testing.T) {
	names, records := mesh(60)
	for name, lost := range map[string][]string{
		"one, first":    names[:1],
		"one, last":     names[59:],
		"twelve, last":  names[48:],
		"twenty, first": names[:20],
		"thirty":        names[20:50],
	} {
		t.Run(name, func(t *testing.T) {
			asking(t, true, except(zone(t, records...), silence, lost...), func(t *testing.T, server *fakeServer, client *Client) {
				result, err := client.Lookup(t.Context(), []string{server.addr}, names)
				if err != nil {
					t.Fatal(err)
				}
				s := result.Servers[0]
				if s.Down != "" || len(s.SilentTypes) > 0 {
					t.Errorf("down %q, silent types %v", s.Down, s.SilentTypes)
				}
				if diff := cmp.Diff(map[Reason]int{OK: 60 - len(lost), Silent: len(lost)}, tally(s)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestSilenceAboutTheOnlyNameIsNotTheServers(t *testing.T) {
	asking(t, true, except(zone(t, pubReverse), silence, pub), func(t *testing.T, server *fakeServer, client *Client) {
		result, err := client.Lookup(t.Context(), []string{server.addr}, []string{pub})
		if err != nil {
			t.Fatal(err)
		}
		if s := result.Servers[0]; s.Down != "" || s.Names[0].Reason != Silent || s.Names[0].Forward.Skipped {
			t.Errorf("%+v", s)
		}
	})
}

func TestServerIsFoundDownWithoutAnyName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const dead, good = "192.0.2.1:53", "192.0.2.2:53"
		client := &Client{Dialer: network{dead: newFake(t, dead, silence), good: newFake(t, good, zone(t))}}
		result, err := client.Lookup(t.Context(), []string{dead, good}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if result.Servers[0].Down != Silent || result.Servers[1].Down != "" {
			t.Errorf("%+v", result)
		}
	})
}

func TestServerThatDropsOneKindOfQuestion(t *testing.T) {
	names, records := mesh(200)
	for _, c := range []struct {
		name  string
		qtype uint16
		want  map[Reason]int
	}{
		{"AAAA", dns.TypeAAAA, map[Reason]int{OK: 200}},
		{"PTR", dns.TypePTR, map[Reason]int{Silent: 200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			asking(t, true, ofType(zone(t, records...), silence, c.qtype), func(t *testing.T, server *fakeServer, client *Client) {
				result, err := client.Lookup(t.Context(), []string{server.addr}, names)
				if err != nil {
					t.Fatal(err)
				}
				s := result.Servers[0]
				// Two tries each for two rounds of all workers and what is then in flight; all
				// names would be 400.
				if in := server.askedFor(c.qtype); in > 200 {
					t.Errorf("%d packets that nobody answers", in)
				}
				if diff := cmp.Diff([]string{c.name}, s.SilentTypes); diff != "" || s.Down != "" {
					t.Errorf("down %q, silent types %v", s.Down, s.SilentTypes)
				}
				if diff := cmp.Diff(c.want, tally(s)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestEveryQuestionHasItsOwnIDAndPort(t *testing.T) {
	type origin struct {
		id   uint16
		port string
	}
	var mu sync.Mutex
	var seen []origin
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buffer := make([]byte, 512)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, port, _ := net.SplitHostPort(from.String())
			mu.Lock()
			seen = append(seen, origin{binary.BigEndian.Uint16(buffer[:n]), port})
			mu.Unlock()
			q := new(dns.Msg)
			if q.Unpack(buffer[:n]) == nil {
				_, _ = packets.WriteTo(packed(t, new(dns.Msg).SetRcode(q, dns.RcodeNameError)), from)
			}
		}
	})
	for range 8 {
		patient.Forward(t.Context(), packets.LocalAddr().String(), pub)
	}
	packets.Close()
	wg.Wait()
	ids, ports := map[uint16]bool{}, map[string]bool{}
	for _, o := range seen {
		ids[o.id], ports[o.port] = true, true
	}
	if len(seen) != 16 || len(ids) < 15 || len(ports) < 8 {
		t.Errorf("%d questions, %d IDs, %d ports", len(seen), len(ids), len(ports))
	}
}

func FuzzReply(f *testing.F) {
	query := new(dns.Msg).SetQuestion(pub+".", dns.TypeA)
	query.Id = 4711
	for _, answer := range []script{
		zone(f, pubRecord), zone(f), zone(f, "imp-emea-pub.example.com. 5 IN CNAME imp-emea-pub.example.com."),
		zone(f, "imp-emea-pub.example.com. 5 IN CNAME a.example.com.", "a.example.com. 5 IN A 192.0.2.1"), rcode(f, dns.RcodeRefused),
	} {
		f.Add(answer("udp", query)[0])
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		message, err := readReply(query, packet)
		if (message == nil) == (err == nil) {
			t.Fatalf("message %v and error %v", message, err)
		}
		if err != nil {
			if !errors.Is(err, errNotOurs) && !errors.Is(err, errMalformed) {
				t.Errorf("unknown error %v", err)
			}
			return
		}
		if message.Id != query.Id {
			t.Error("another question's answer was taken")
		}
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypePTR} {
			got := interpret(dns.Question{Name: query.Question[0].Name, Qtype: qtype, Qclass: dns.ClassINET}, message)
			if got.reason == "" || (got.reason == OK) != (len(got.addrs)+len(got.names) > 0) {
				t.Errorf("reason %q with %v %v", got.reason, got.addrs, got.names)
			}
			if len(got.aliases) > maxAliases || len(got.addrs)+len(got.names) > len(message.Answer) {
				t.Errorf("more than was said: %+v", got)
			}
			for _, addr := range got.addrs {
				if !addr.IsValid() {
					t.Error("an address that is none")
				}
			}
		}
	})
}
