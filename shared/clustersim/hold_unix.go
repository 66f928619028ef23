//go:build unix

package clustersim

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// holdPort binds address without listening: connections to it are refused, and
// no other process gets the port meanwhile.
func holdPort(address string) (release func() error, err error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	family, sockaddr := syscall.AF_INET6, syscall.Sockaddr(&syscall.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if ip := at.Addr().Unmap(); ip.Is4() {
		family, sockaddr = syscall.AF_INET, &syscall.SockaddrInet4{Port: int(at.Port()), Addr: ip.As4()}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, fmt.Errorf("holding %s: %w", address, err)
	}
	syscall.CloseOnExec(fd)
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, sockaddr)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("holding %s: %w", address, err), syscall.Close(fd))
	}
	return func() error { return syscall.Close(fd) }, nil
}
