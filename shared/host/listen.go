package host

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Listener is a listening socket of the page.
type Listener = net.Listener

// Listen opens the page's address. Its errors say what to do.
func Listen(addr string) (Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program: stop that one, or choose another address with --listen 127.0.0.1:PORT", addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("this account may not listen on %s: choose a port above 1023 with --listen", addr)
	}
	return nil, fmt.Errorf("cannot listen on %s: %w; --listen takes HOST:PORT such as 127.0.0.1:8080", addr, err)
}

// Hosts are the Host headers under which a page at l may be asked for: its
// address, and the names of this machine's loopback.
func Hosts(l Listener) []string {
	addr := l.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return []string{addr}
	}
	return []string{addr, "127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port}
}
