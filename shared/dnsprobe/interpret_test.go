package dnsprobe

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

// shaped answers NOERROR without an answer, with these bits and this authority.
func shaped(t testing.TB, aa, ra bool, authority ...string) script {
	t.Helper()
	var ns []dns.RR
	for _, text := range authority {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		ns = append(ns, rr)
	}
	return func(_ string, q *dns.Msg) [][]byte {
		reply := new(dns.Msg).SetReply(q)
		reply.Authoritative, reply.RecursionAvailable, reply.Ns = aa, ra, ns
		return [][]byte{packed(t, reply)}
	}
}

// TestAnEmptyAnswerIsOneOnlyFromWhoCanKnow: who neither has the zone nor asks
// others says nothing about the name.
func TestAnEmptyAnswerIsOneOnlyFromWhoCanKnow(t *testing.T) {
	const soa = "example.com. 5 IN SOA ns.example.com. hostmaster.example.com. 1 3600 600 86400 5"
	const referral = "example.com. 5 IN NS ns.example.net."
	for _, c := range []struct {
		name   string
		answer script
		want   Reason
	}{
		{"neither authoritative nor recursive", shaped(t, false, false), Lame},
		{"neither, with an SOA", shaped(t, false, false, soa), Lame},
		{"a referral", shaped(t, false, false, referral), Lame},
		{"a referral by a server that could ask others", shaped(t, false, true, referral), Lame},
		{"authoritative", shaped(t, true, false, soa), NoAddress},
		{"authoritative, without an SOA", shaped(t, true, false), NoAddress},
		{"recursive", shaped(t, false, true, soa), NoAddress},
		{"recursive, without an SOA", shaped(t, false, true), NoAddress},
		{"recursive, with SOA and servers", shaped(t, false, true, soa, referral), NoAddress},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := startFake(t, c.answer)
			if got := patient.Forward(t.Context(), f.addr, pub); got.Reason != c.want {
				t.Errorf("forward %s, want %s", got.Reason, c.want)
			}
		})
	}
}

// TestNamesThatDNSSpellsOtherwise: an answer is known by the name's bytes.
func TestNamesThatDNSSpellsOtherwise(t *testing.T) {
	for _, name := range []string{"imp emea.example.com", " imp.example.com", `imp\emea.example.com`, `a\.b.example.com`, "imp@emea.example.com", "IMP.Example.COM.", "m\xfcnchen.example.com", "a;b.example.com", `"x".example.com`} {
		t.Run(name, func(t *testing.T) {
			f := startFake(t, zone(t))
			got, err := patient.Lookup(t.Context(), []string{f.addr}, []string{name})
			if err != nil {
				t.Fatal(err)
			}
			one, ok := got.Servers[0].Name(name)
			if !ok || one.Reason != NXDomain || got.Servers[0].Down != "" {
				t.Errorf("%+v, want NXDomain", got.Servers[0])
			}
		})
	}
	t.Run("no name at all", func(t *testing.T) {
		f := startFake(t, zone(t))
		got, err := patient.Lookup(t.Context(), []string{f.addr}, []string{"", "a..b", pub})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []Reason{BadName, BadName, NXDomain} {
			if got.Servers[0].Names[i].Reason != want {
				t.Errorf("%+v, want %s", got.Servers[0].Names[i], want)
			}
		}
	})
}

// TestAnAnswerIsBounded: the owner of a zone does not choose how many questions
// are asked for it.
func TestAnAnswerIsBounded(t *testing.T) {
	var records []string
	for i := range 200 {
		records = append(records, fmt.Sprintf("%s. 5 IN A 192.0.2.%d", pub, i+1))
	}
	for i := range 40 {
		records = append(records, fmt.Sprintf("1.2.0.192.in-addr.arpa. 5 IN PTR n%d.example.com.", i))
	}
	f := startFake(t, func(network string, q *dns.Msg) [][]byte {
		whole := zone(t, records...)(network, q)
		if network == "udp" && len(whole[0]) > 512 {
			return [][]byte{packed(t, func() *dns.Msg { m := new(dns.Msg).SetReply(q); m.Truncated = true; return m }())}
		}
		return whole
	})
	got, err := patient.Lookup(t.Context(), []string{f.addr}, []string{pub})
	if err != nil {
		t.Fatal(err)
	}
	one := got.Servers[0].Names[0]
	if len(one.Forward.Addrs) != maxAddresses || one.Forward.TooLong != TooManyAddresses {
		t.Errorf("%d addresses, %q", len(one.Forward.Addrs), one.Forward.TooLong)
	}
	if back := one.Reverse[0]; len(back.Names) != maxPTRNames || back.TooLong != TooManyPTRNames {
		t.Errorf("%d PTR names, %q", len(back.Names), back.TooLong)
	}
	if n := f.askedFor(dns.TypePTR); n > 2*(maxAddresses+1) {
		t.Errorf("%d reverse questions", n)
	}
	if got := one.TooLong(); len(got) != 2 {
		t.Errorf("cut: %v", got)
	}

	var aliases []string
	for i := range 40 {
		aliases = append(aliases, fmt.Sprintf("a%d.example.com. 5 IN CNAME a%d.example.com.", i, i+1))
	}
	reply := new(dns.Msg).SetQuestion("a0.example.com.", dns.TypeA)
	for _, text := range aliases {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		reply.Answer = append(reply.Answer, rr)
	}
	if got := interpret(reply.Question[0], reply); got.reason != Malformed || got.tooLong != TooManyAliases {
		t.Errorf("%+v", got)
	}
}

// FuzzInterpret: whatever a server sends, there is one reason, and no more than
// the bounds.
func FuzzInterpret(f *testing.F) {
	question := dns.Question{Name: dns.Fqdn(pub), Qtype: dns.TypeA, Qclass: dns.ClassINET}
	query := new(dns.Msg)
	query.Question = []dns.Question{question}
	reply := new(dns.Msg).SetReply(query)
	packet, err := reply.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packet)
	rr, err := dns.NewRR(pubRecord)
	if err != nil {
		f.Fatal(err)
	}
	reply.Answer = []dns.RR{rr}
	if packet, err = reply.Pack(); err != nil {
		f.Fatal(err)
	}
	f.Add(packet)
	f.Fuzz(func(t *testing.T, packet []byte) {
		message, err := readReply(query, packet)
		if err != nil {
			return
		}
		got := interpret(question, message)
		if got.reason == "" || len(got.addrs) > maxAddresses || len(got.names) > maxPTRNames || len(got.aliases) > maxAliases {
			t.Errorf("%+v", got)
		}
		if got.reason == OK && len(got.addrs) == 0 {
			t.Error("OK without an address")
		}
	})
}
