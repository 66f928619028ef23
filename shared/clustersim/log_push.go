package clustersim

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// logPush sends lines to a receiver of syslog, one datagram or one line each. A
// line is lost rather than waited for, as with a node.
type logPush struct {
	network, address string
	conn             net.Conn // nil where nobody answered; dialled again at the next line
	held             string   // a line that the next one overtakes
}

// pushWays are what a network and relays do to lines on their way.
type pushWays struct {
	octets  bool // over TCP each line is counted (RFC 6587) and has no end
	twice   bool
	swapped bool // of each two lines the second comes first
	garbage bool // comes before each line
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

// garbage is what a receiver also gets: no text at all, what the operating system
// logs, an alarm that quotes one of ICSA, a number that counts nothing, and a line
// that is longer than any receiver has to take.
func garbage() []string {
	return []string{
		"\xff\xfe\x80 no text",
		"<14>7: : audispd:node=imp type=SYSCALL msg=audit(1.2:3): arch=c000003e",
		"<189>8: elsewhere: Jan 01 2026 01:02:03 AM.000 UTC :  %UC_RTMT-2-RTMT_ALERT: %[AlertDetail=MatchedEvent : %UC_ICSA-2-InterClusterSyncAgentSyncFailure: %[remotePeerAddress=elsewhere]: quoted]: RTMT Alert",
		"62 elsewhere: nothing is counted here",
		"<189>" + strings.Repeat("too long ", 3000),
	}
}

// send reports whether the line left, or waits for the next one to overtake it.
func (p *logPush) send(line string, ways pushWays) bool {
	lines := []string{line}
	switch {
	case p.held != "":
		lines, p.held = append(lines, p.held), ""
	case ways.swapped:
		p.held = line
		return true
	}
	for _, line := range lines {
		if ways.garbage {
			for _, g := range garbage() {
				if !p.write(p.framed(g, false)) {
					return false
				}
			}
		}
		framed := p.framed(line, ways.octets)
		if !p.write(framed) || ways.twice && !p.write(framed) {
			return false
		}
	}
	return true
}

func (p *logPush) framed(line string, octets bool) string {
	switch {
	case p.network == "udp":
		return line
	case !octets:
		return line + "\n"
	case !strings.HasPrefix(line, "<"): // who counts also says what it weighs
		line = "<189>" + line
	}
	return fmt.Sprintf("%d %s", len(line), line)
}

func (p *logPush) write(text string) bool {
	if p.conn == nil {
		conn, err := net.DialTimeout(p.network, p.address, pushWait)
		if err != nil {
			return false
		}
		p.conn = conn
	}
	err := p.conn.SetWriteDeadline(time.Now().Add(pushWait)) // a socket's deadline is wall time
	if err == nil {
		_, err = p.conn.Write([]byte(text))
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
