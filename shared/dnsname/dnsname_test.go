package dnsname_test

import (
	"strings"
	"testing"

	"peerkeeper/shared/dnsname"
)

func TestWhatANameCanBe(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, c := range []struct {
		name           string
		host, wildcard bool
	}{
		{"imp-emea-pub.example.com", true, false},
		{"imp-emea-pub.example.com.", true, false},
		{"IMP-EMEA-PUB", true, false},
		{"imp_emea_pub.example.com", true, false}, // an underscore resolves like any other letter
		{"xn--mnchen-3ya.example.com", true, false},
		{"*.example.com", false, true},
		{"*", false, false},
		{"imp.*.example.com", false, false},
		{"", false, false},
		{".", false, false},
		{" ", false, false},
		{"imp emea.example.com", false, false},
		{"imp-emea-pub.example.com ", false, false},
		{"imp..example.com", false, false},
		{"-imp.example.com", false, false},
		{"admin@example.com", false, false},
		{"https://imp.example.com", false, false},
		{"imp.example.com:8443", false, false},
		{"192.0.2.1", false, false},
		{"192.0.2.300", false, false},
		{"2001:db8::1", false, false},
		{"münchen.example.com", false, false},
		{"imp\x00.example.com", false, false},
		{long + ".example.com", false, false},
		{strings.Repeat("a.", 130) + "com", false, false},
	} {
		if got := dnsname.IsHost(c.name); got != c.host {
			t.Errorf("IsHost(%q) = %v", c.name, got)
		}
		if got := dnsname.IsWildcard(c.name); got != c.wildcard {
			t.Errorf("IsWildcard(%q) = %v", c.name, got)
		}
	}
}

func TestOneNameHoweverItIsSpelled(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"IMP.Example.COM.", "imp.example.com", true},
		{"imp.example.com", "imp.example.org", false},
		{"imp.example.com", "imp.example.com ", false},
		{"K.example.com", "\u212a.example.com", false}, // the Kelvin sign is no K to DNS
	} {
		if got := dnsname.Same(c.a, c.b); got != c.same {
			t.Errorf("Same(%q, %q) = %v", c.a, c.b, got)
		}
	}
}

func TestWhichNameCoversAHost(t *testing.T) {
	for _, c := range []struct {
		pattern, host string
		covers, above bool
	}{
		{"imp.example.com", "IMP.example.com.", true, false},
		{"*.example.com", "imp.example.com", true, false},
		{"*.example.com", "imp.emea.example.com", false, false},
		{"*.example.com", "example.com", false, false},
		{"*.0.2.1", "192.0.2.1", false, false},
		{"example.com", "imp.example.com", false, true},
		{"example.com", "imp.emea.Example.com", false, true},
		{"example.com", "*.example.com", false, true},
		{"example.com", "imp.notexample.com", false, false},
		{"", "imp.example.com", false, false},
	} {
		if got := dnsname.Covers(c.pattern, c.host); got != c.covers {
			t.Errorf("Covers(%q, %q) = %v", c.pattern, c.host, got)
		}
		if got := dnsname.Above(c.pattern, c.host); got != c.above {
			t.Errorf("Above(%q, %q) = %v", c.pattern, c.host, got)
		}
	}
}

// FuzzNames: a name is the same as itself however it is spelled, and what is a
// host's name can be asked for.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"", ".", "imp.example.com", "*.example.com", "a b", "ÄÖ.example", "192.0.2.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		canonical := dnsname.Canonical(name)
		if strings.HasSuffix(name, "..") {
			return
		}
		if dnsname.Canonical(canonical) != canonical || !dnsname.Same(name, canonical) || !dnsname.Same(canonical+".", name) {
			t.Errorf("%q is not the same as its canonical form %q", name, canonical)
		}
		wire, ok := dnsname.Wire(name)
		if ok && (len(wire) > 255 || wire[len(wire)-1] != 0) {
			t.Errorf("%q: wire %x", name, wire)
		}
		if dnsname.IsHost(name) && (!ok || dnsname.IsWildcard(name) || !dnsname.Covers(name, name)) {
			t.Errorf("%q is a host's name and cannot be asked for", name)
		}
	})
}

// A server as people name it: with a port that it can have, or without one.
func TestAServerAsPeopleNameIt(t *testing.T) {
	for _, c := range []struct {
		text, host, port string
		ok               bool
	}{
		{"imp-emea-pub.example.com", "imp-emea-pub.example.com", "", true},
		{"imp-emea-pub.example.com:8443", "imp-emea-pub.example.com", "8443", true},
		{"192.0.2.1:443", "192.0.2.1", "443", true},
		{"2001:db8::1", "2001:db8::1", "", true},
		{"[2001:db8::1]:8443", "2001:db8::1", "8443", true},
		{"imp:0", "imp", "0", false},
		{"imp:65536", "imp", "65536", false},
		{"imp:08443", "imp", "08443", false},
		{"imp:https", "imp", "https", false},
		{"imp:", "imp", "", false},
		{"http://imp", "http", "//imp", false},
		{"https://imp.example.com:8443", "https://imp.example.com:8443", "", false},
		{":8443", "", "8443", false},
		{"", "", "", false},
	} {
		host, port, ok := dnsname.HostPort(c.text)
		if host != c.host || port != c.port || ok != c.ok {
			t.Errorf("%q: %q %q %v", c.text, host, port, ok)
		}
	}
}
