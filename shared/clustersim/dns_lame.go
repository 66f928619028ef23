package clustersim

import "github.com/miekg/dns"

// The words of the admin interface for a server that knows nothing of the zones
// that it is asked for.
const (
	lameEmpty    = "empty"    // NOERROR with nothing in it, neither authoritative nor recursive
	lameReferral = "referral" // the same, with the names of servers that might know
)

// lameness says how a server is lame, by who asks it; nobody meets a lame one
// where nothing is said.
type lameness map[asker]string

// makeLame has one server answer those named as if it had lost its zones; ""
// gives them back.
func (d *dnsAddress) makeLame(how string, to []asker) {
	if d.lame == nil {
		d.lame = lameness{}
	}
	for _, who := range to {
		d.lame[who] = how
		if who == fromPeerkeeper && d.server != nil {
			d.server.lame.Store(how)
		}
	}
}

// lameAnswer is what a server says that has lost the zone and asks nobody for
// it; glibc asks the next server then (resolv/res_send.c).
func lameAnswer(q *dns.Msg, how string) *dns.Msg {
	if q == nil || q.Response {
		return nil
	}
	reply := new(dns.Msg)
	reply.SetReply(q)
	if how == lameReferral && len(q.Question) == 1 {
		parent := soaAbove(q.Question[0].Name).Header().Name
		reply.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: parent, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: dnsTTL}, Ns: "ns.example.net."}}
	}
	return reply
}
