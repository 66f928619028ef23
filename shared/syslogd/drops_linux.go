package syslogd

import (
	"encoding/binary"
	"net"
	"syscall"
)

// countDrops has the kernel say with each datagram how many it has dropped before.
func countDrops(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	// A kernel that does not know it tells nothing, and nothing is counted.
	_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RXQ_OVFL, 1) })
}

// dropCounter follows the kernel's count, which is of the socket's whole life.
type dropCounter struct{ seen uint32 }

func (d *dropCounter) since(control []byte) int64 {
	if len(control) == 0 {
		return 0
	}
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if m.Header.Level == syscall.SOL_SOCKET && m.Header.Type == syscall.SO_RXQ_OVFL && len(m.Data) >= 4 {
			now := binary.NativeEndian.Uint32(m.Data)
			lost := now - d.seen // also where it has begun again
			d.seen = now
			return int64(lost)
		}
	}
	return 0
}
