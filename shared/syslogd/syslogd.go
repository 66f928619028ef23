// Package syslogd takes lines over UDP and TCP, in both framings of TCP (RFC 6587:
// an octet count before each, or a line end after it).
//
// It owns the sockets and their bounds: a line's length, connections, how long one
// may be idle, lines a second of one sender, and a queue. It knows nothing of what
// the lines say. Syslog knows no sender: UDP can be sent in anybody's name, and TCP
// proves no more than an address that could be answered.
//
// Failure promise: whatever is sent, it holds the queue and one line of each
// connection, and reads so many datagrams a second and no more; what a flood brings
// beyond that is left to the kernel, which drops it. What was lost, and where, is
// counted. TCP loses nothing that fits a line: its senders wait.
package syslogd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Limits are the bounds; the zero ones are the defaults.
type Limits struct {
	Line        int           // bytes of a line
	Queue       int           // lines that wait to be taken
	Connections int           // in all; a sender has a quarter
	Idle        time.Duration // of a connection without a line
	Begun       time.Duration // of a line that was begun
	Sender      int           // lines a second of one sender
	Datagrams   int           // a second, of all senders
}

// Files is how many files a server with the default limits has open at the most.
const Files = connections + 2

const connections = 64

func (l Limits) filled() Limits {
	set := func(n *int, to int) {
		if *n == 0 {
			*n = to
		}
	}
	set(&l.Line, 16<<10) // a message has 800 octets, an alert that quotes others a few thousand
	set(&l.Queue, 4096)
	set(&l.Connections, connections)
	set(&l.Sender, 30_000)
	set(&l.Datagrams, 60_000)
	if l.Idle == 0 {
		l.Idle = time.Hour // a node that has nothing to say loses the first line after a connection is closed
	}
	if l.Begun == 0 {
		l.Begun = 30 * time.Second
	}
	return l
}

// Lost is what did not become a line, since it was last asked for.
type Lost struct {
	Refused     int64 // lines and connections of hosts that are not known
	RefusedFrom netip.Addr
	Unreadable  int64 // too long, cut off, or in no framing
	Dropped     int64 // there was no room in the queue, or the sender sent too many
	Kernel      int64 // lost before they could be read, where the system tells
}

// Config is what is to be listened to.
type Config struct {
	// Address is IP:PORT, localhost:PORT or :PORT.
	Address string
	Limits  Limits
	// Known says whose lines are read at all.
	Known func(netip.Addr) bool
	// Wanted says which lines are worth a place in the queue; the others are only
	// counted in Passed.
	Wanted func(line []byte) bool
	Log    *slog.Logger
}

// Server is an open address.
type Server struct {
	Config
	udp   *net.UDPConn
	tcp   net.Listener
	queue chan entry

	passed                       atomic.Int64
	refused, unreadable, dropped atomic.Int64
	kernel                       atomic.Int64
	mu                           sync.Mutex
	refusedFrom                  netip.Addr
	conns                        map[net.Conn]netip.Addr
}

type entry struct {
	line []byte
	from netip.Addr
}

// readBuffer is asked of the kernel for datagrams: half a second of a flood. It
// gives what it is set to allow (net.core.rmem_max).
const readBuffer = 4 << 20

// maxTries bounds the search for a port that is free for both, where any will do.
const maxTries = 20

// parse reads an address. A name would be looked up in DNS, and this machine may
// have several addresses.
func parse(address string) (netip.AddrPort, error) {
	wrong := func(why string) (netip.AddrPort, error) {
		return netip.AddrPort{}, fmt.Errorf("--syslog %q: %s; it takes IP:PORT such as 0.0.0.0:514, the port to which the nodes send", address, why)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return wrong("this is no address with a port")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return wrong("port " + strconv.Quote(port) + " is no number from 0 to 65535")
	}
	switch host {
	case "":
		return netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(n)), nil
	case "localhost":
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(n)), nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return wrong("this is no IP address of this machine")
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
}

// Check says what Open would find wrong with an address, and opens nothing.
func Check(address string) error {
	_, err := parse(address)
	return err
}

// Open listens on an address, over UDP and over TCP at the same port.
func Open(c Config) (*Server, error) {
	at, err := parse(c.Address)
	if err != nil {
		return nil, err
	}
	c.Limits = c.Limits.filled()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{Config: c, queue: make(chan entry, c.Limits.Queue), conns: map[net.Conn]netip.Addr{}}
	family := ""
	if at.Addr().Is4() {
		family = "4" // Go would listen on IPv6 as well
	}
	failed := func(err error) (*Server, error) {
		if s.udp != nil {
			err = errors.Join(err, s.udp.Close())
		}
		return nil, fmt.Errorf("--syslog %s: %w; a port below 1024 needs the right to it (CAP_NET_BIND_SERVICE), and nothing else, such as rsyslogd, may listen there", c.Address, err)
	}
	for try := 1; ; try++ {
		if s.udp, err = net.ListenUDP("udp"+family, net.UDPAddrFromAddrPort(at)); err != nil {
			return failed(err)
		}
		s.tcp, err = net.Listen("tcp"+family, netip.AddrPortFrom(at.Addr(), s.Addr().Port()).String())
		if err == nil {
			break
		}
		if at.Port() != 0 || try == maxTries {
			return failed(err)
		}
		_ = s.udp.Close() // the port that is free for UDP is not for TCP
	}
	_ = s.udp.SetReadBuffer(readBuffer) // what it refuses shows as lost by the kernel
	countDrops(s.udp)
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() netip.AddrPort { return s.udp.LocalAddr().(*net.UDPAddr).AddrPort() }

// Notes are what those who open this address should know.
func (s *Server) Notes() []string {
	if s.Addr().Addr().Unmap().IsLoopback() {
		return nil
	}
	return []string{"syslog is neither encrypted nor signed: UDP can be sent in anybody's name, TCP proves an address at the most. A pushed line is a hint, which has a cluster's own log read earlier. Let a firewall admit the nodes and relays alone."}
}

// Passed is how many lines nobody wanted, since it was last asked for.
func (s *Server) Passed() int64 { return s.passed.Swap(0) }

// Lost is what was lost, since it was last asked for.
func (s *Server) Lost() Lost {
	s.mu.Lock()
	from := s.refusedFrom
	s.refusedFrom = netip.Addr{}
	s.mu.Unlock()
	return Lost{Refused: s.refused.Swap(0), RefusedFrom: from, Unreadable: s.unreadable.Swap(0), Dropped: s.dropped.Swap(0), Kernel: s.kernel.Swap(0)}
}

// Serve takes lines until the context ends. take is called for one after the other
// and must not wait for anything. An error is that the address is lost.
func (s *Server) Serve(ctx context.Context, take func(line []byte, from netip.Addr)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	shut := func() {
		_, _ = s.udp.Close(), s.tcp.Close() // nothing is written to them
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			_ = c.Close()
		}
	}
	defer shut()
	wg.Go(func() { stop(s.datagrams(ctx)) })
	wg.Go(func() { stop(s.accept(ctx, &wg)) })
	for {
		select {
		case e := <-s.queue:
			take(e.line, e.from)
		case <-ctx.Done():
			if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
				return fmt.Errorf("syslog on %s: %w", s.Addr(), err)
			}
			return nil
		}
	}
}

// pace counts lines of a second, by sender.
type pace struct {
	since time.Time
	all   int
	of    map[netip.Addr]int
}

// next counts one line, and says how many of its sender there were in this second.
func (p *pace) next(from netip.Addr, now time.Time) int {
	if d := now.Sub(p.since); d >= time.Second || d < 0 {
		p.since, p.all = now, 0
		clear(p.of)
	}
	p.all++
	p.of[from]++
	return p.of[from]
}

// datagrams reads UDP.
func (s *Server) datagrams(ctx context.Context) error {
	buf, control := make([]byte, s.Limits.Line+1), make([]byte, 64)
	p := pace{of: map[netip.Addr]int{}}
	var drops dropCounter
	for {
		n, controls, _, addr, err := s.udp.ReadMsgUDPAddrPort(buf, control)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			continue // one datagram, such as one that was too long for some systems
		}
		s.kernel.Add(drops.since(control[:controls]))
		from, now := addr.Addr().Unmap().WithZone(""), time.Now()
		switch {
		case !s.Known(from):
			p.next(netip.Addr{}, now) // strangers share an account: there may be many of them
			s.refuse(from)
		case p.next(from, now) > s.Limits.Sender:
			s.dropped.Add(1)
		case n > s.Limits.Line:
			s.unreadable.Add(1)
		default:
			for line := range bytes.SplitSeq(buf[:n], []byte{'\n'}) {
				if line = trimmed(line); len(line) > 0 && !s.offer(line, from) {
					s.dropped.Add(1)
				}
			}
		}
		if p.all >= s.Limits.Datagrams && !rest(ctx, p.since.Add(time.Second)) {
			return ctx.Err()
		}
	}
}

// rest waits until an instant; false if the context ended.
func rest(ctx context.Context, until time.Time) bool {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// offer puts a line into the queue, if there is room.
func (s *Server) offer(line []byte, from netip.Addr) bool {
	if !s.Wanted(line) {
		s.passed.Add(1)
		return true
	}
	select {
	case s.queue <- entry{bytes.Clone(line), from}:
		return true
	default:
		return false
	}
}

func (s *Server) refuse(from netip.Addr) {
	s.refused.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusedFrom = from
}

// accept takes connections.
func (s *Server) accept(ctx context.Context, wg *sync.WaitGroup) error {
	for {
		conn, err := s.tcp.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return ctx.Err()
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			s.Log.Warn("syslog: a connection was not accepted", "error", err)
			if !rest(ctx, time.Now().Add(time.Second)) { // too many files are open
				return ctx.Err()
			}
			continue
		}
		from := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().WithZone("")
		if !s.Known(from) {
			s.refuse(from)
			_ = conn.Close()
			continue
		}
		if !s.admit(conn, from) {
			s.dropped.Add(1)
			_ = conn.Close()
			continue
		}
		wg.Go(func() {
			defer s.leave(conn)
			s.stream(ctx, conn, from)
		})
	}
}

// admit gives a connection its place.
func (s *Server) admit(conn net.Conn, from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	theirs := 0
	for _, other := range s.conns {
		if other == from {
			theirs++
		}
	}
	if len(s.conns) >= s.Limits.Connections || theirs >= max(1, s.Limits.Connections/4) {
		return false
	}
	s.conns[conn] = from
	return true
}

func (s *Server) leave(conn net.Conn) {
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	_ = conn.Close()
}

// stream reads one connection.
func (s *Server) stream(ctx context.Context, conn net.Conn, from netip.Addr) {
	f := frames{r: bufio.NewReaderSize(conn, s.Limits.Line+maxCount), max: s.Limits.Line}
	p := pace{of: map[netip.Addr]int{}}
	for ctx.Err() == nil {
		// A socket's deadline is the wall's.
		if conn.SetReadDeadline(time.Now().Add(s.Limits.Idle)) != nil {
			return
		}
		if _, err := f.r.Peek(1); err != nil {
			return // it has ended, or has nothing to say
		}
		if conn.SetReadDeadline(time.Now().Add(s.Limits.Begun)) != nil {
			return
		}
		line, err := f.next()
		switch {
		case errors.Is(err, errTooLong):
			s.unreadable.Add(1)
			continue
		case err != nil && !errors.Is(err, io.EOF):
			if ctx.Err() == nil {
				s.unreadable.Add(1)
			}
			return
		}
		if line = trimmed(line); len(line) > 0 {
			if !s.Wanted(line) {
				s.passed.Add(1)
			} else {
				select {
				case s.queue <- entry{bytes.Clone(line), from}:
				case <-ctx.Done():
					return
				}
			}
		}
		if p.next(from, time.Now()) >= s.Limits.Sender && !rest(ctx, p.since.Add(time.Second)) {
			return
		}
		if err != nil {
			return
		}
	}
}
