package dnsprobe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// errNotOurs is a packet that does not answer the question.
var errNotOurs = errors.New("not an answer to our question")

// maxAliases bounds a chain of CNAMEs; real ones have one or two.
const maxAliases = 16

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
		case alias == "":
			f.reason = NoAddress
			return f
		case len(f.aliases) == maxAliases || sameName(alias, question.Name) || slices.ContainsFunc(f.aliases, func(a string) bool { return sameName(a, alias) }):
			return found{reason: Malformed} // a loop
		}
		f.aliases = append(f.aliases, trimDot(alias))
		owner = alias
	}
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
			if name := trimDot(record.Ptr); qtype == dns.TypePTR && !slices.ContainsFunc(f.names, func(n string) bool { return sameName(n, name) }) {
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
	if ok && !slices.Contains(f.addrs, addr.Unmap()) {
		f.addrs = append(f.addrs, addr.Unmap())
	}
	return ok
}

// sameName compares as DNS does, without case; a final dot does not matter.
func sameName(a, b string) bool { return strings.EqualFold(trimDot(a), trimDot(b)) }

func trimDot(name string) string { return strings.TrimSuffix(name, ".") }

func rcodeText(rcode int) string {
	if text, ok := dns.RcodeToString[rcode]; ok {
		return text
	}
	return fmt.Sprintf("RCODE%d", rcode)
}
