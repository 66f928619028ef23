package clustersim

import (
	"errors"
	"net"
	"strings"
	"time"
)

// logPush sends lines to a receiver of syslog, one datagram or one line each. A
// line is lost rather than waited for, as with a node.
type logPush struct {
	network, address string
	conn             net.Conn // nil where nobody answered; dialled again at the next line
}

func newLogPush(to string) (*logPush, error) {
	network, address, ok := strings.Cut(to, "://")
	if !ok {
		network, address = "udp", to
	}
	if network != "udp" && network != "tcp" {
		return nil, errors.New("want host:port, udp://host:port or tcp://host:port")
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, err
	}
	return &logPush{network: network, address: address}, nil
}

// pushWait bounds, in wall time, how long a line may hold up the simulation.
const pushWait = 200 * time.Millisecond

// send reports whether the line left.
func (p *logPush) send(line string) bool {
	if p.conn == nil {
		conn, err := net.DialTimeout(p.network, p.address, pushWait)
		if err != nil {
			return false
		}
		p.conn = conn
	}
	if p.network == "tcp" {
		line += "\n"
	}
	err := p.conn.SetWriteDeadline(time.Now().Add(pushWait)) // a socket's deadline is wall time
	if err == nil {
		_, err = p.conn.Write([]byte(line))
	}
	if err != nil {
		p.close()
		return false
	}
	return true
}

func (p *logPush) close() {
	if p != nil && p.conn != nil {
		_ = p.conn.Close() // nothing more is sent, so nothing can be lost by it
		p.conn = nil
	}
}
