package dnsprobe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"peerkeeper/shared/dnsname"
)

// errNotOurs is a packet that does not answer the question.
var errNotOurs = errors.New("not an answer to our question")

// Bounds of what one answer may bring. The owner of a zone chooses how much that
// is, and each address costs a question about its name.
const (
	maxAliases   = 16 // of a chain of CNAMEs; real ones have one or two
	maxAddresses = 16 // of one name and family
	maxPTRNames  = 16 // of one address
)

// What a bound cut off, as Answer.TooLong names it.
const (
	TooManyAddresses = "addresses"
	TooManyPTRNames  = "PTR names"
	TooManyAliases   = "CNAME chain"
)

// readReply reads a packet as the reply to a query: errNotOurs for one that must
// be ignored, errMalformed for a reply that cannot be read.
func readReply(query *dns.Msg, packet []byte) (*dns.Msg, error) {
	const header = 12
	if len(packet) < header || binary.BigEndian.Uint16(packet) != query.Id || packet[2]&0x80 == 0 {
		return nil, errNotOurs
	}
	message := new(dns.Msg)
	if err := message.Unpack(packet); err != nil {
		return nil, errors.Join(errMalformed, err)
	}
	if message.Opcode != query.Opcode {
		return nil, errNotOurs
	}
	if len(message.Question) == 0 && message.Rcode != dns.RcodeSuccess && message.Rcode != dns.RcodeNameError {
		return message, nil // a server that refuses may leave the question out
	}
	if len(message.Question) != 1 {
		return nil, errNotOurs
	}
	got, want := message.Question[0], query.Question[0]
	if got.Qtype != want.Qtype || got.Qclass != want.Qclass || !sameName(got.Name, want.Name) {
		return nil, errNotOurs
	}
	return message, nil
}

// found is what a reply says about its question.
type found struct {
	reason  Reason
	addrs   []netip.Addr
	names   []string // PTR
	aliases []string // CNAMEs, in the order followed
	tooLong string   // what was cut at its bound, "" if nothing was
}

// interpret reads the answer section: the records of the asked type at the end of
// the chain of aliases that begins at the question. Everything else in it, also
// addresses of other names, is ignored.
func interpret(question dns.Question, message *dns.Msg) found {
	switch message.Rcode {
	case dns.RcodeSuccess:
	case dns.RcodeNameError:
		return found{reason: NXDomain}
	case dns.RcodeServerFailure:
		return found{reason: ServFail}
	case dns.RcodeRefused:
		return found{reason: Refused}
	default:
		return found{reason: Rejected}
	}
	var f found
	owner := question.Name
	for {
		alias, faulty := f.collect(owner, question.Qtype, message.Answer)
		switch {
		case faulty:
			return found{reason: Malformed}
		case len(f.addrs)+len(f.names) > 0:
			f.reason = OK
			return f
		case alias == "" && lame(message):
			f.reason = Lame
			return f
		case alias == "":
			f.reason = NoAddress
			return f
		case len(f.aliases) == maxAliases:
			return found{reason: Malformed, tooLong: TooManyAliases}
		case sameName(alias, question.Name) || slices.ContainsFunc(f.aliases, func(a string) bool { return sameName(a, alias) }):
			return found{reason: Malformed} // a loop
		}
		f.aliases = append(f.aliases, trimDot(alias))
		owner = alias
	}
}

// lame reports an answer without error and without a record by a server that
// neither has the zone nor asks others for it, or one that only says whom to
// ask. It knows nothing of the name, which is not that the name does not exist:
// glibc asks the next server (resolv/res_send.c), and so the nodes do.
func lame(message *dns.Msg) bool {
	if message.Authoritative || len(message.Answer) > 0 {
		return false
	}
	referral := false
	for _, record := range message.Ns {
		switch record.(type) {
		case *dns.SOA:
			return !message.RecursionAvailable
		case *dns.NS:
			referral = true
		}
	}
	return referral || !message.RecursionAvailable
}

// collect takes the owner's records of the asked type, and returns its alias.
func (f *found) collect(owner string, qtype uint16, records []dns.RR) (alias string, faulty bool) {
	for _, record := range records {
		header := record.Header()
		if header.Class != dns.ClassINET || !sameName(header.Name, owner) {
			continue
		}
		switch record := record.(type) {
		case *dns.A:
			if qtype == dns.TypeA {
				faulty = !f.addAddr(record.A.To4()) || faulty
			}
		case *dns.AAAA:
			if qtype == dns.TypeAAAA {
				faulty = !f.addAddr(record.AAAA.To16()) || faulty
			}
		case *dns.PTR:
			name := trimDot(record.Ptr)
			switch {
			case qtype != dns.TypePTR || slices.ContainsFunc(f.names, func(n string) bool { return sameName(n, name) }):
			case len(f.names) == maxPTRNames:
				f.tooLong = TooManyPTRNames
			default:
				f.names = append(f.names, name)
			}
		case *dns.CNAME:
			alias = record.Target
		}
	}
	return alias, faulty
}

func (f *found) addAddr(raw []byte) bool {
	addr, ok := netip.AddrFromSlice(raw)
	switch {
	case !ok || slices.Contains(f.addrs, addr.Unmap()):
	case len(f.addrs) == maxAddresses:
		f.tooLong = TooManyAddresses
	default:
		f.addrs = append(f.addrs, addr.Unmap())
	}
	return ok
}

// sameName compares names of DNS messages by their bytes on the wire: the same
// name has several spellings in text ("imp\\ emea" and "imp\\032emea").
func sameName(a, b string) bool {
	if strings.IndexByte(a, '\\') < 0 && strings.IndexByte(b, '\\') < 0 {
		return dnsname.Same(a, b)
	}
	wireA, okA := packedName(a)
	wireB, okB := packedName(b)
	return okA && okB && wireA == wireB
}

// packedName is a name of a DNS message as it stands on the wire, in lower case.
func packedName(name string) (string, bool) {
	buffer := make([]byte, 256)
	n, err := dns.PackDomainName(dns.Fqdn(name), buffer, 0, nil, false)
	if err != nil {
		return "", false
	}
	for i, c := range buffer[:n] { // lengths are at most 63 and no letters
		if 'A' <= c && c <= 'Z' {
			buffer[i] = c + 'a' - 'A'
		}
	}
	return string(buffer[:n]), true
}

func trimDot(name string) string { return strings.TrimSuffix(name, ".") }

func rcodeText(rcode int) string {
	if text, ok := dns.RcodeToString[rcode]; ok {
		return text
	}
	return fmt.Sprintf("RCODE%d", rcode)
}
