package listener

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// bounded accepts no more connections than it may have, in all and from one
// address. Where there is no room, the connection that has waited longest
// without a request gives way; where all are busy, the new one is refused.
type bounded struct {
	net.Listener
	total int
	plain bool // a refusal may be said in HTTP
	often *often

	mu    sync.Mutex
	conns map[*conn]bool
	from  map[netip.Prefix]int
}

// conn is an accepted connection.
type conn struct {
	net.Conn
	in   *bounded
	from netip.Prefix
	once sync.Once
	err  error
	// Under in.mu:
	idle  bool // no request is being answered
	since time.Time
}

// Close gives its place back.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.in.mu.Lock()
		delete(c.in.conns, c)
		if c.in.from[c.from]--; c.in.from[c.from] <= 0 {
			delete(c.in.from, c.from)
		}
		c.in.mu.Unlock()
		c.err = c.Conn.Close()
	})
	return c.err
}

// each is how many of the connections one address may have. A proxy or a
// tunnel on this machine brings everybody from one address.
func (b *bounded) each(from netip.Prefix) int {
	if from.Addr().IsLoopback() {
		return max(b.total*3/4, minShare/2)
	}
	return max(b.total/4, minShare/2)
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		inner, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := b.admit(inner); c != nil {
			return c, nil
		}
	}
}

func (b *bounded) admit(inner net.Conn) net.Conn {
	from := origin(inner.RemoteAddr())
	b.mu.Lock()
	if b.conns == nil {
		b.conns, b.from = map[*conn]bool{}, map[netip.Prefix]int{}
	}
	ok := true
	var way *conn // the connection that gives way
	switch {
	case b.from[from] >= b.each(from):
		way = b.longestIdle(func(c *conn) bool { return c.from == from })
		ok = way != nil
	case len(b.conns) >= b.total:
		way = b.crowdest()
		ok = way != nil
	}
	var c *conn
	if ok {
		c = &conn{Conn: inner, in: b, from: from, idle: true, since: time.Now()}
		b.conns[c] = true
		b.from[from]++
	}
	b.mu.Unlock()
	if way != nil {
		_ = way.Close() // its reader connects again
		b.often.note(kindGaveWay, way.from)
	}
	if c != nil {
		return c
	}
	b.often.note(kindRefused, from)
	if b.plain {
		// The socket's buffer is empty, so this does not wait.
		_ = inner.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = inner.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: text/plain\r\nContent-Length: 33\r\nConnection: close\r\n\r\ntoo many readers; try again soon\n"))
	}
	_ = inner.Close()
	return nil
}

// longestIdle is the connection without a request for longest; nil if all that
// fit are busy. The lock is held.
func (b *bounded) longestIdle(fits func(*conn) bool) *conn {
	var found *conn
	for c := range b.conns {
		if c.idle && fits(c) && (found == nil || c.since.Before(found.since)) {
			found = c
		}
	}
	return found
}

// crowdest is the longest idle connection of the address that has the most, so
// that many of one address push out no reader of another. The lock is held.
func (b *bounded) crowdest() *conn {
	most := 0
	for c := range b.conns {
		if c.idle {
			most = max(most, b.from[c.from])
		}
	}
	return b.longestIdle(func(c *conn) bool { return b.from[c.from] == most })
}

// state follows what net/http says of a connection. Until its first headers
// have come a connection counts as idle.
func (b *bounded) state(nc net.Conn, s http.ConnState) {
	if outer, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = outer.NetConn()
	}
	c, ok := nc.(*conn)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch s {
	case http.StateActive:
		c.idle = false
	case http.StateIdle:
		c.idle, c.since = true, time.Now()
	default:
	}
}

// origin is who a connection comes from: an IPv4 address, or the /64 that one
// IPv6 host can choose its addresses from.
func origin(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() && !ip.IsLoopback() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// unknownLimit stands in where the system does not tell how many files may be
// open: the smallest usual limit.
const unknownLimit = 1024
