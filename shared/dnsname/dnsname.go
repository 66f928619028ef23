// Package dnsname compares the names that stand in certificates, files and DNS
// answers.
//
// It owns one canonical form, so that a name is one name however it is spelled
// (case, final dot), and what a name can be: a host's, a wildcard, a domain
// above others. Names are taken as they stand in a certificate: text without
// DNS escapes, in which a dot parts two labels and every other byte is itself.
//
// It asks nobody, never fails, and imports the standard library only.
package dnsname

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Limits of a name on the wire (RFC 1035 section 2.3.4), lengths included.
const (
	maxLabel = 63
	maxWire  = 255
)

// Canonical is the one spelling by which names are compared: ASCII letters in
// lower case, without the final dot. Other bytes stay as they are: DNS folds
// nothing else (RFC 4343).
func Canonical(name string) string {
	name = strings.TrimSuffix(name, ".")
	for i := 0; i < len(name); i++ {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			return lower(name)
		}
	}
	return name
}

func lower(name string) string {
	out := []byte(name)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return string(out)
}

// Same reports whether two spellings mean one name.
func Same(a, b string) bool { return Canonical(a) == Canonical(b) }

// Wire is the name as it goes into a DNS message; ok is false for one that
// fits into none: an empty label, or one or all of them too long.
func Wire(name string) (wire []byte, ok bool) {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > maxWire {
		return nil, false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel {
			return nil, false
		}
		wire = append(append(wire, byte(len(label))), label...)
	}
	wire = append(wire, 0)
	return wire, len(wire) <= maxWire
}

// IsHost reports whether a name can be a server's. Underscores are taken: no
// RFC lets them into a host name, and resolvers and Windows domains do. An IP
// address is no name, nor is a wildcard, a blank, a mail address or a URI.
func IsHost(name string) bool {
	if _, ok := Wire(name); !ok || IsAddress(name) {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	for _, label := range labels {
		for i := range len(label) {
			c := label[i]
			inner := i > 0 && i < len(label)-1
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && (c != '-' || !inner) {
				return false
			}
		}
	}
	// Digits alone at the end are a mistyped address, such as 192.0.2.300.
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// IsAddress reports whether a text is an IP address.
func IsAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// HostPort splits HOST or HOST:PORT, as people name a server; port is "" where there is
// none, and ok false where HOST is neither a host's name nor an address, or PORT is none
// from 1 to 65535.
func HostPort(text string) (host, port string, ok bool) {
	host = text
	if h, p, err := net.SplitHostPort(text); err == nil {
		host, port = h, p
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != p {
			return host, port, false
		}
	}
	return host, port, IsHost(host) || IsAddress(host)
}

// IsWildcard reports whether a name stands for all hosts of a domain.
func IsWildcard(name string) bool {
	rest, wild := strings.CutPrefix(name, "*.")
	return wild && IsHost(rest)
}

// Covers reports whether a certificate's name is good for a host, as TLS
// compares them (RFC 6125): a wildcard stands for one label, the first.
func Covers(pattern, host string) bool {
	pattern, host = Canonical(pattern), Canonical(host)
	rest, wild := strings.CutPrefix(pattern, "*.")
	if !wild || IsAddress(host) {
		return pattern == host
	}
	first, domain, dotted := strings.Cut(host, ".")
	return pattern == host || dotted && first != "" && domain == rest
}

// Above reports whether a name is a domain in which another one lies.
func Above(domain, name string) bool {
	domain, name = Canonical(domain), Canonical(name)
	return domain != "" && !IsAddress(name) && strings.HasSuffix(name, "."+domain)
}
