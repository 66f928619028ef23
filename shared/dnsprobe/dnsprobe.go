// Package dnsprobe asks the DNS servers of one cluster, each separately, whether
// they resolve the names that its Intercluster Sync Agent must resolve.
//
// It owns questions of three kinds, A, AAAA and PTR, and what their answers mean.
// It never asks another resolver than the server it names: a server is an
// address and a port, the operating system's resolver is not involved, and an
// answer is taken only from the socket it was asked on, with the question's ID
// and name. It keeps nothing between calls.
//
// ICSA resolves every name in its peer's tomcat certificate and does not connect
// if one fails, and a dead primary server costs it minutes per name. Hence two
// results: what each server says of each name, and which server says nothing.
//
// Every question ends in an [Answer] with one reason of a fixed table; nothing
// here panics on what a server sends. [Client.Lookup] fails as a whole only if it
// cannot ask anybody, or the caller gave up.
package dnsprobe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"peerkeeper/shared/dnsname"
)

// Reason is what became of a question.
type Reason string

const (
	OK          Reason = "OK"
	NXDomain    Reason = "NXDomain"    // the server says there is no such name
	NoAddress   Reason = "NoAddress"   // the name exists, but without an address
	Lame        Reason = "Lame"        // the server knows nothing of the name's zone and asks nobody: nodes ask the next one
	ServFail    Reason = "ServFail"    // the server failed, often because its forwarder is dead
	Refused     Reason = "Refused"     // the server answers, but not us
	Rejected    Reason = "Rejected"    // any other refusal; Answer.Rcode names it
	Silent      Reason = "Silent"      // asked twice, no answer
	Unreachable Reason = "Unreachable" // the network or the host says so: nothing listens, no route
	Malformed   Reason = "Malformed"   // an answer to our question that makes no sense
	Truncated   Reason = "Truncated"   // the answer does not fit into UDP, and TCP failed
	PTRMissing  Reason = "PTRMissing"  // the address has no name
	PTRMismatch Reason = "PTRMismatch" // the address has another name
	BadName     Reason = "BadName"     // not a DNS name; nobody was asked
	BadServer   Reason = "BadServer"   // not ip:port; nobody was asked
	Cancelled   Reason = "Cancelled"   // the caller gave up; says nothing about the server
)

// Defaults of a zero Client.
const (
	DefaultTimeout = 2 * time.Second
	DefaultWorkers = 16
)

// Answer is what one server said about one name or address.
type Answer struct {
	Server string       // ip:port
	Name   string       // as the caller wrote it; the address for a reverse question
	Addrs  []netip.Addr // sorted, so that a server's round robin is no difference
	CNAMEs []string     // the aliases followed, in order
	Names  []string     // the PTR names of a reverse question
	Rcode  string       // "NOERROR", "NXDOMAIN", …; "" if nothing was answered
	Reason Reason
	// IPv4 and IPv6 are what the two halves of a forward question came to; OK as a
	// whole needs one of them.
	IPv4, IPv6 Reason
	// TooLong names what was cut at its bound (TooManyAddresses …); "" if nothing was.
	TooLong string
	Skipped bool // not asked any more, because the server had been silent before
	Took    time.Duration
	Err     error // what lies under a Reason, where there is more to say; nil for an answer
}

// Dialer makes the sockets, "udp" or "tcp"; *net.Dialer is one. Each Write and
// Read of a "udp" connection is one message.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Client asks. Its zero value is ready, and safe for concurrent use.
type Client struct {
	// Timeout is for one question. It is sent at once and again after half of it,
	// and an answer to either is taken until it is over. 0 is DefaultTimeout.
	Timeout time.Duration
	Workers int    // names that Lookup asks one server for at a time; 0 is DefaultWorkers
	Domain  string // appended to names without a dot, as a node does with its own domain; "" appends nothing
	Dialer  Dialer // nil dials directly
}

// Forward asks one server for a name's IPv4 and IPv6 addresses.
func (c *Client) Forward(ctx context.Context, server, name string) Answer {
	return c.forward(ctx, server, name, c.ask)
}

// Reverse asks one server for the names of an address.
func (c *Client) Reverse(ctx context.Context, server string, addr netip.Addr) Answer {
	return c.reverse(ctx, server, addr, c.ask)
}

// asker asks one question; Lookup puts its own around Client.ask.
type asker func(ctx context.Context, server string, question dns.Question) reply

// reply is what one question came to.
type reply struct {
	found
	rcode   string
	skipped bool
	err     error
}

func (c *Client) forward(ctx context.Context, server, name string, ask asker) Answer {
	start := time.Now()
	answer := Answer{Server: server, Name: name}
	full, ok := c.qualify(name)
	if !ok {
		answer.Reason = BadName
		return answer
	}
	var v4, v6 reply
	var both sync.WaitGroup
	both.Go(func() { v4 = ask(ctx, server, dns.Question{Name: full, Qtype: dns.TypeA, Qclass: dns.ClassINET}) })
	both.Go(func() { v6 = ask(ctx, server, dns.Question{Name: full, Qtype: dns.TypeAAAA, Qclass: dns.ClassINET}) })
	both.Wait()

	leading := v4
	if v4.reason != OK && (v6.reason == OK || v4.reason == NoAddress) {
		// An address is an address; and that there is none needs both to say so.
		leading = v6
	}
	answer.Reason, answer.Rcode = leading.reason, leading.rcode
	answer.CNAMEs, answer.Skipped, answer.Err = leading.aliases, leading.skipped, leading.err
	answer.TooLong = cmp.Or(v4.tooLong, v6.tooLong)
	answer.Addrs = slices.Concat(v4.addrs, v6.addrs)
	slices.SortFunc(answer.Addrs, netip.Addr.Compare)
	answer.Addrs = slices.Compact(answer.Addrs)
	answer.IPv4, answer.IPv6 = v4.reason, v6.reason
	answer.Took = time.Since(start)
	return answer
}

func (c *Client) reverse(ctx context.Context, server string, addr netip.Addr, ask asker) Answer {
	start := time.Now()
	answer := Answer{Server: server, Name: addr.String()}
	arpa, err := dns.ReverseAddr(addr.Unmap().WithZone("").String())
	if err != nil {
		answer.Reason, answer.Err = BadName, err
		return answer
	}
	got := ask(ctx, server, dns.Question{Name: arpa, Qtype: dns.TypePTR, Qclass: dns.ClassINET})
	answer.Names, answer.CNAMEs, answer.Rcode = got.names, got.aliases, got.rcode
	answer.Reason, answer.Skipped, answer.Err, answer.TooLong = got.reason, got.skipped, got.err, got.tooLong
	if got.reason == NXDomain || got.reason == NoAddress {
		answer.Reason = PTRMissing
	}
	answer.Took = time.Since(start)
	return answer
}

// qualify is a name as it stands in a certificate, in the spelling of a question.
func (c *Client) qualify(name string) (string, bool) {
	if !strings.Contains(name, ".") && c.Domain != "" && name != "" {
		name += "." + strings.TrimPrefix(c.Domain, ".")
	}
	// Over the wire's bytes: a blank or a backslash in the name is itself, and not
	// the beginning of an escape.
	wire, ok := dnsname.Wire(name)
	if !ok {
		return "", false
	}
	full, _, err := dns.UnpackDomainName(wire, 0)
	return full, err == nil
}

func (c *Client) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return DefaultTimeout
}

// ask asks over UDP, and again over TCP what was cut off.
func (c *Client) ask(ctx context.Context, server string, question dns.Question) reply {
	if _, err := netip.ParseAddrPort(server); err != nil {
		return reply{found: found{reason: BadServer}, err: err}
	}
	// No EDNS: the answers are short, TCP serves the rest, and an old server cannot
	// stumble over it.
	query := new(dns.Msg)
	query.Id = dns.Id()
	query.RecursionDesired = true
	query.Question = []dns.Question{question}
	packet, err := query.Pack()
	if err != nil {
		return reply{found: found{reason: BadName}, err: err}
	}
	message, err := c.askUDP(ctx, server, query, packet)
	if err == nil && message.Truncated {
		message, err = c.askTCP(ctx, server, query)
		if err == nil && message.Truncated {
			err = errStillTruncated
		}
		if err != nil && ctx.Err() == nil {
			return reply{found: found{reason: Truncated}, err: fmt.Errorf("asking %s again over TCP: %w", server, err)}
		}
	}
	if err != nil {
		return reply{found: found{reason: reasonOf(ctx, err)}, err: err}
	}
	return reply{found: interpret(question, message), rcode: rcodeText(message.Rcode)}
}

var (
	errMalformed      = errors.New("the answer cannot be read")
	errSilent         = errors.New("asked twice, no answer")
	errStillTruncated = errors.New("the answer is cut off over TCP too")
)

func reasonOf(ctx context.Context, err error) Reason {
	switch {
	case ctx.Err() != nil:
		return Cancelled // also when the caller's deadline, not ours, ran out
	case errors.Is(err, errMalformed):
		return Malformed
	case errors.Is(err, errSilent):
		return Silent
	}
	return Unreachable
}

func (c *Client) dial(ctx context.Context, network, server string) (net.Conn, error) {
	if c.Dialer != nil {
		return c.Dialer.DialContext(ctx, network, server)
	}
	return (&net.Dialer{}).DialContext(ctx, network, server)
}

// askUDP sends the question twice at most. The socket is connected, so the
// kernel drops what other addresses send and reports a refusal.
func (c *Client) askUDP(ctx context.Context, server string, query *dns.Msg, packet []byte) (*dns.Msg, error) {
	conn, err := c.dial(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	const tries = 2
	buffer := make([]byte, dns.MaxMsgSize)
	outcome := errSilent
	for try := range tries {
		deadline := time.Now().Add(c.timeout() / tries)
		message, err := exchange(conn, query, packet, buffer, deadline)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil || errors.Is(err, errMalformed):
			return message, err
		case timedOut(err):
			continue
		}
		// Refused by the host: a server that is being restarted deserves its second
		// try as well, and not at once.
		outcome = err
		if try < tries-1 && !waitUntil(ctx, deadline) {
			return nil, ctx.Err()
		}
	}
	return nil, outcome
}

// exchange sends the question once and reads until something answers it.
func exchange(conn net.Conn, query *dns.Msg, packet, buffer []byte, deadline time.Time) (*dns.Msg, error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := conn.Write(packet); err != nil {
		return nil, err
	}
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		message, err := readReply(query, buffer[:n])
		if !errors.Is(err, errNotOurs) {
			return message, err
		}
		// A stray or forged packet costs us nothing but the reading.
	}
}

// waitUntil returns false if the caller gave up first.
func waitUntil(ctx context.Context, instant time.Time) bool {
	timer := time.NewTimer(time.Until(instant))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (c *Client) askTCP(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	raw, err := c.dial(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	conn := &dns.Conn{Conn: raw}
	if err := conn.WriteMsg(query); err != nil {
		return nil, err
	}
	packet, err := conn.ReadMsgHeader(nil)
	if err != nil {
		return nil, err
	}
	return readReply(query, packet)
}

func timedOut(err error) bool {
	var timeout net.Error
	// Linux reports ETIMEDOUT from ICMP errors as a timeout as well; that one is
	// the network speaking.
	return errors.As(err, &timeout) && timeout.Timeout() && !errors.Is(err, syscall.ETIMEDOUT)
}
