package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// defaultPort is used where --listen names a host alone.
const defaultPort = 8080

// lookUp bounds the look-up of a name in --listen.
const lookUp = 5 * time.Second

// address is where to listen. The address that was judged is the one that is
// bound: a name is looked up once.
type address struct {
	given string
	name  string // "" where an IP address was given
	ip    netip.Addr
	port  uint16
}

// network keeps 0.0.0.0 to IPv4: Go would listen on IPv6 as well.
func (a address) network() string {
	if a.ip.Is4() {
		return "tcp4"
	}
	return "tcp"
}

// resolve reads HOST, HOST:PORT or :PORT; IPv6 addresses with or without
// brackets where no port follows.
func resolve(ctx context.Context, given string) (address, error) {
	a := address{given: given, port: defaultPort}
	wrong := func(why string) (address, error) {
		return a, fmt.Errorf("--listen %q: %s; it takes HOST:PORT such as 127.0.0.1:8080", given, why)
	}
	host := given
	if ip, err := netip.ParseAddr(strings.Trim(given, "[]")); err == nil {
		a.ip = ip.Unmap()
		return a, nil
	}
	if h, port, err := net.SplitHostPort(given); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return wrong("port " + strconv.Quote(port) + " is no number from 0 to 65535")
		}
		host, a.port = h, uint16(n)
		if host == "" { // every address of this machine
			a.ip = netip.IPv6Unspecified()
			return a, nil
		}
	}
	switch _, err := strconv.ParseUint(host, 10, 64); {
	case host == "":
		return wrong("it is empty")
	case err == nil:
		return wrong("a port alone is no address")
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		a.ip = ip.Unmap()
		return a, nil
	}
	if err := checkHost(host); err != nil || strings.ContainsAny(host, ":[]") {
		return wrong("this is neither an address nor a host name")
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		// This machine, whatever its hosts file says or lacks: RFC 6761, 6.3.
		a.name, a.ip = host, netip.AddrFrom4([4]byte{127, 0, 0, 1})
		return a, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookUp)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(ips) == 0 {
		return wrong("this machine cannot look the name up")
	}
	// IPv4 first, as net.Listen has it.
	slices.SortStableFunc(ips, func(a, b netip.Addr) int { return a.Unmap().BitLen() - b.Unmap().BitLen() })
	a.name, a.ip = host, ips[0].Unmap()
	return a, nil
}

// answered are the Host headers under which an open address may be asked: the
// address itself, the loopback's names where it is reached by them, and what
// --host names. A value without a port fits every port.
func answered(at address, bound net.Addr, named []string) []string {
	port := portOf(bound)
	out := slices.Clone(named)
	add := func(host string) { out = append(out, hostAt(host, port)) }
	if at.name != "" {
		add(at.name)
	}
	if !at.ip.IsUnspecified() {
		add(at.ip.WithZone("").String())
	} else {
		for _, ip := range own(at.ip) {
			add(ip.String())
		}
	}
	if at.ip.IsLoopback() || at.ip.IsUnspecified() {
		for _, host := range []string{"127.0.0.1", "localhost", "::1"} {
			add(host)
		}
	}
	var unique []string
	for _, h := range out {
		if !slices.Contains(unique, h) {
			unique = append(unique, h)
		}
	}
	return unique
}

// own are the addresses of this machine, beyond the loopback, at which a
// wildcard is reached.
func own(wildcard netip.Addr) []netip.Addr {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil // then they are answered as they are asked for: Answers
	}
	var out []netip.Addr
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().IsGlobalUnicast() && (p.Addr().Is4() || !wildcard.Is4()) {
			out = append(out, p.Addr())
		}
	}
	return out
}

// reachable is one address at which a wildcard is reached from this machine.
func reachable(wildcard netip.Addr) netip.Addr {
	if all := own(wildcard); len(all) > 0 {
		return all[0]
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// Answers reports whether a request came under one of the given names, or under
// the very address that its connection came in at: no web site can point an
// address elsewhere. A value without a port fits every port.
func Answers(hosts []string, r *http.Request) bool {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		own := local.AddrPort()
		if sameHost(hostAt(own.Addr().Unmap().WithZone("").String(), strconv.Itoa(int(own.Port()))), r.Host) {
			return true
		}
	}
	return slices.ContainsFunc(hosts, func(h string) bool { return sameHost(h, r.Host) })
}

// hostAt is the Host header of a name at a port. Browsers leave the ports of
// their schemes out.
func hostAt(host, port string) string {
	joined := net.JoinHostPort(host, port)
	if port == "80" || port == "443" {
		return strings.TrimSuffix(joined, ":"+port)
	}
	return joined
}

// sameHost compares a value of --host with a Host header.
func sameHost(ours, asked string) bool {
	bare := asked
	if name, _, err := net.SplitHostPort(asked); err == nil {
		bare = name
		if strings.Contains(name, ":") {
			bare = "[" + name + "]"
		}
	}
	plain := func(s string) string { return strings.TrimSuffix(s, ".") } // a name may be written with its root
	return strings.EqualFold(ours, asked) || strings.EqualFold(plain(ours), plain(bare))
}

// checkHosts says what is wrong with values of --host.
func checkHosts(hosts []string) error {
	var errs []error
	for _, h := range hosts {
		if err := checkHost(h); err != nil {
			errs = append(errs, fmt.Errorf("--host %q: %w; it takes what stands in the browser's address bar between https:// and the next slash, such as mesh.example.com or mesh.example.com:8443", h, err))
		}
	}
	return errors.Join(errs...)
}

func checkHost(host string) error {
	name := host
	if h, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("%q is no port", port)
		}
		name = h
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return nil
	}
	switch {
	case name == "":
		return errors.New("there is no name in it")
	case strings.Contains(name, "*"):
		return errors.New("each name is given by itself, without *")
	case len(name) > 253:
		return errors.New("no host name has more than 253 characters")
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		ok := label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-'
		for _, c := range []byte(label) {
			ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
		}
		if !ok {
			return errors.New("this is no host name")
		}
	}
	return nil
}
