package clustersim

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func exampleZone(t *testing.T) *zone {
	t.Helper()
	z := newZone()
	z.set("imp-emea-pub.example.com", netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10"))
	z.set("imp-emea-sub.example.com", netip.MustParseAddr("192.0.2.11"))
	return z
}

func dnsQuestion(name string, qtype uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
}

// saidByDNS is an answer as a person would read it: rcode, then the records' data.
func saidByDNS(m *dns.Msg) []string {
	if m == nil {
		return []string{"silence"}
	}
	out := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			out = append(out, rr.A.String())
		case *dns.AAAA:
			out = append(out, rr.AAAA.String())
		case *dns.PTR:
			out = append(out, rr.Ptr)
		}
	}
	return out
}

func TestZoneAnswers(t *testing.T) {
	const pub, reverse = "imp-emea-pub.example.com", "10.2.0.192.in-addr.arpa"
	for _, c := range []struct {
		name     string
		override [2]string
		ask      string
		qtype    uint16
		want     []string
	}{
		{"forward IPv4", [2]string{}, pub, dns.TypeA, []string{"NOERROR", "192.0.2.10"}},
		{"forward IPv6", [2]string{}, pub, dns.TypeAAAA, []string{"NOERROR", "2001:db8::10"}},
		{"case does not matter", [2]string{}, "IMP-Emea-Pub.Example.COM", dns.TypeA, []string{"NOERROR", "192.0.2.10"}},
		{"reverse agrees", [2]string{}, reverse, dns.TypePTR, []string{"NOERROR", pub + "."}},
		{"reverse of the IPv6 address", [2]string{}, arpaName(netip.MustParseAddr("2001:db8::10")), dns.TypePTR, []string{"NOERROR", pub + "."}},
		{"name without an IPv6 address", [2]string{}, "imp-emea-sub.example.com", dns.TypeAAAA, []string{"NOERROR"}},
		{"unknown name", [2]string{}, "nobody.example.com", dns.TypeA, []string{"NXDOMAIN"}},
		{"unknown address", [2]string{}, "99.2.0.192.in-addr.arpa", dns.TypePTR, []string{"NXDOMAIN"}},
		{"record nobody modelled", [2]string{}, pub, dns.TypeMX, []string{"NOTIMP"}},
		{"nxdomain", [2]string{pub, "nxdomain"}, pub, dns.TypeA, []string{"NXDOMAIN"}},
		{"nxdomain leaves the reverse alone", [2]string{pub, "nxdomain"}, reverse, dns.TypePTR, []string{"NOERROR", pub + "."}},
		{"silent", [2]string{pub, "silent"}, pub, dns.TypeA, []string{"silence"}},
		{"silence of one name leaves others", [2]string{pub, "silent"}, "imp-emea-sub.example.com", dns.TypeA, []string{"NOERROR", "192.0.2.11"}},
		{"servfail", [2]string{pub, "servfail"}, pub, dns.TypeA, []string{"SERVFAIL"}},
		{"another address", [2]string{pub, "203.0.113.7"}, pub, dns.TypeA, []string{"NOERROR", "203.0.113.7"}},
		{"another address has no second family", [2]string{pub, "203.0.113.7"}, pub, dns.TypeAAAA, []string{"NOERROR"}},
		{"another address, reverse disagrees", [2]string{pub, "203.0.113.7"}, "7.113.0.203.in-addr.arpa", dns.TypePTR, []string{"NXDOMAIN"}},
		{"address for a name nobody set", [2]string{"new.example.com", "203.0.113.7"}, "new.example.com", dns.TypeA, []string{"NOERROR", "203.0.113.7"}},
		{"noptr, reverse", [2]string{pub, "noptr"}, reverse, dns.TypePTR, []string{"NXDOMAIN"}},
		{"noptr, forward", [2]string{pub, "noptr"}, pub, dns.TypeA, []string{"NOERROR", "192.0.2.10"}},
		{"IP node name, silent reverse", [2]string{"192.0.2.10", "silent"}, reverse, dns.TypePTR, []string{"silence"}},
		{"IP node name, no PTR", [2]string{"192.0.2.10", "noptr"}, reverse, dns.TypePTR, []string{"NXDOMAIN"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := exampleZone(t)
			if c.override[0] != "" {
				if err := z.override(c.override[0], c.override[1]); err != nil {
					t.Fatal(err)
				}
			}
			q := dnsQuestion(c.ask, c.qtype)
			reply := z.answer(q)
			if diff := cmp.Diff(c.want, saidByDNS(reply)); diff != "" {
				t.Error(diff)
			}
			if reply != nil && (reply.Id != q.Id || !reply.Response || reply.Question[0] != q.Question[0]) {
				t.Errorf("not a reply to the question: %v", reply)
			}
			if c.override[0] == "" {
				return
			}
			if err := z.override(c.override[0], ""); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(saidByDNS(exampleZone(t).answer(q)), saidByDNS(z.answer(q))); diff != "" {
				t.Errorf("after the override is gone: %s", diff)
			}
		})
	}
}

func TestZoneRefusesOverridesItDoesNotKnow(t *testing.T) {
	z := exampleZone(t)
	for _, c := range [][2]string{{"a.example.com", "refuse"}, {"a.example.com", "192.0.2.300"}, {"", "silent"}, {"192.0.2.1", "192.0.2.2"}} {
		if err := z.override(c[0], c[1]); err == nil {
			t.Errorf("override(%q, %q) was taken", c[0], c[1])
		}
	}
}

func TestZoneForgetsOldAddresses(t *testing.T) {
	z := exampleZone(t)
	z.set("imp-emea-pub.example.com", netip.MustParseAddr("198.51.100.1"))
	if diff := cmp.Diff([]string{"NXDOMAIN"}, saidByDNS(z.answer(dnsQuestion("10.2.0.192.in-addr.arpa", dns.TypePTR)))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"NOERROR", "198.51.100.1"}, saidByDNS(z.answer(dnsQuestion("imp-emea-pub.example.com", dns.TypeA)))); diff != "" {
		t.Error(diff)
	}
	z.set("imp-emea-pub.example.com")
	if diff := cmp.Diff([]string{"NXDOMAIN"}, saidByDNS(z.answer(dnsQuestion("imp-emea-pub.example.com", dns.TypeA)))); diff != "" {
		t.Error(diff)
	}
}

func TestZoneRefusesWhatIsNotAQuestion(t *testing.T) {
	z := exampleZone(t)
	reply := dnsQuestion("imp-emea-pub.example.com", dns.TypeA)
	reply.Response = true
	if z.answer(reply) != nil {
		t.Error("a reply was answered")
	}
	if got := z.answer(&dns.Msg{}); got.Rcode != dns.RcodeFormatError {
		t.Errorf("no question: %s", dns.RcodeToString[got.Rcode])
	}
	chaos := dnsQuestion("imp-emea-pub.example.com", dns.TypeA)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	if got := z.answer(chaos); got.Rcode != dns.RcodeRefused {
		t.Errorf("class CH: %s", dns.RcodeToString[got.Rcode])
	}
}

func startTestDNS(t *testing.T, z *zone) *dnsServer {
	t.Helper()
	s, err := startDNS("127.0.0.1:0", z)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// askDNS waits for an answer as long as a busy machine takes.
func askDNS(t *testing.T, network, addr string, q *dns.Msg) (*dns.Msg, error) {
	t.Helper()
	return askDNSWithin(t, time.Minute, network, addr, q)
}

func askDNSWithin(t *testing.T, wait time.Duration, network, addr string, q *dns.Msg) (*dns.Msg, error) {
	t.Helper()
	client := &dns.Client{Net: network, Timeout: wait}
	reply, _, err := client.ExchangeContext(t.Context(), q, addr)
	return reply, err
}

func TestDNSServerAnswersOnBothTransports(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := startTestDNS(t, exampleZone(t))
	for _, network := range []string{"udp", "tcp"} {
		reply, err := askDNS(t, network, s.Addr(), dnsQuestion("imp-emea-sub.example.com", dns.TypeA))
		if err != nil {
			t.Fatalf("%s: %v", network, err)
		}
		if diff := cmp.Diff([]string{"NOERROR", "192.0.2.11"}, saidByDNS(reply)); diff != "" {
			t.Errorf("%s: %s", network, diff)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	// The one who has the answer may look before it is counted; a closed server has counted.
	if diff := cmp.Diff(dnsCounts{Queries: 2, Answered: 2}, s.counts()); diff != "" {
		t.Error(diff)
	}
	if _, err := askDNS(t, "tcp", s.Addr(), dnsQuestion("imp-emea-sub.example.com", dns.TypeA)); err == nil {
		t.Error("a closed server answered")
	}
}

func TestSilentDNSServerComesBack(t *testing.T) {
	s := startTestDNS(t, exampleZone(t))
	defer s.Close()
	s.silence(true)
	for _, network := range []string{"udp", "tcp"} {
		if reply, err := askDNSWithin(t, 250*time.Millisecond, network, s.Addr(), dnsQuestion("imp-emea-sub.example.com", dns.TypeA)); err == nil {
			t.Errorf("%s: silent server said %v", network, saidByDNS(reply))
		}
	}
	for end := time.Now().Add(time.Minute); s.counts().Silent < 2 && time.Now().Before(end); { // who asked may have left before it was heard
		<-time.After(time.Millisecond)
	}
	if diff := cmp.Diff(dnsCounts{Queries: 2, Silent: 2}, s.counts()); diff != "" {
		t.Error(diff)
	}
	s.silence(false)
	if _, err := askDNS(t, "udp", s.Addr(), dnsQuestion("imp-emea-sub.example.com", dns.TypeA)); err != nil {
		t.Error(err)
	}
}

func TestDNSServersShareAZone(t *testing.T) {
	z := exampleZone(t)
	primary, secondary := startTestDNS(t, z), startTestDNS(t, z)
	defer primary.Close()
	defer secondary.Close()
	if err := z.override("imp-emea-sub.example.com", "nxdomain"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dnsServer{primary, secondary} {
		reply, err := askDNS(t, "udp", s.Addr(), dnsQuestion("imp-emea-sub.example.com", dns.TypeA))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"NXDOMAIN"}, saidByDNS(reply)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestLargeAnswerIsTruncatedOnUDPOnly(t *testing.T) {
	z := newZone()
	var addrs []netip.Addr
	for i := range 100 {
		addrs = append(addrs, netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", i+1)))
	}
	z.set("many.example.com", addrs...)
	s := startTestDNS(t, z)
	defer s.Close()
	reply, err := askDNS(t, "udp", s.Addr(), dnsQuestion("many.example.com", dns.TypeA))
	if err != nil {
		t.Fatal(err)
	}
	if !reply.Truncated || len(reply.Answer) >= len(addrs) {
		t.Errorf("UDP: truncated %v with %d records", reply.Truncated, len(reply.Answer))
	}
	reply, err = askDNS(t, "tcp", s.Addr(), dnsQuestion("many.example.com", dns.TypeA))
	if err != nil {
		t.Fatal(err)
	}
	if reply.Truncated || len(reply.Answer) != len(addrs) {
		t.Errorf("TCP: truncated %v with %d records", reply.Truncated, len(reply.Answer))
	}
	edns := dnsQuestion("many.example.com", dns.TypeA).SetEdns0(4096, false)
	client := &dns.Client{UDPSize: 4096}
	if reply, _, err = client.ExchangeContext(t.Context(), edns, s.Addr()); err != nil || reply.Truncated {
		t.Errorf("UDP with EDNS 4096: %v, %v", reply, err)
	}
}

func TestCloseDoesNotWaitForAnIdleTCPClient(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := startTestDNS(t, exampleZone(t))
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Close hangs on an idle client")
	}
}

func TestDNSServerOnAPortInUse(t *testing.T) {
	s := startTestDNS(t, exampleZone(t))
	defer s.Close()
	if second, err := startDNS(s.Addr(), newZone()); err == nil {
		second.Close()
		t.Error("a second server started on the same address")
	}
}

func FuzzZoneAnswer(f *testing.F) {
	for _, q := range []*dns.Msg{dnsQuestion("imp-emea-pub.example.com", dns.TypeA), dnsQuestion("10.2.0.192.in-addr.arpa", dns.TypePTR), {}} {
		packed, err := q.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	z := newZone()
	z.set("imp-emea-pub.example.com", netip.MustParseAddr("192.0.2.10"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		q := new(dns.Msg)
		if q.Unpack(packet) != nil {
			return
		}
		reply := z.answer(q)
		if reply == nil {
			return
		}
		if reply.Id != q.Id || !reply.Response {
			t.Errorf("not a reply: %v", reply)
		}
		if _, err := reply.Pack(); err != nil {
			t.Errorf("the reply cannot be sent: %v", err)
		}
	})
}

// dnsCounts tells what one server was asked since it started.
type dnsCounts struct {
	Queries  uint64 // received, UDP and TCP
	Answered uint64
	Silent   uint64 // dropped, by the server's own silence or the zone's
}

func (s *dnsServer) counts() dnsCounts {
	return dnsCounts{Queries: s.queries.Load(), Answered: s.answered.Load(), Silent: s.dropped.Load()}
}
