package meshfile

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

// What a mesh.yaml may say of names, domains and schemes beside what is needed.
func TestNamesAndDomains(t *testing.T) {
	ca, _ := newCA(t)
	read := files(map[string]string{"ca.pem": ca})
	load := func(t *testing.T, text string) (*mesh.Mesh, error) {
		t.Helper()
		return Parse("mesh.yaml", []byte(text), read)
	}
	full := strings.NewReplacer(
		"domain: example.com\n", "domain: example.com\ndomains: [sales.example.com, Example.NET]\ndnsDomain: corp.example.org\naddressScheme: directoryURI\n",
		"    publisher: imp-emea-pub.example.com\n", "    publisher: IMP-EMEA-PUB\n    ha: on\n    log: off\n    syslogFrom: [192.0.2.14, \"2001:DB8::14\"]\n",
		"- {name: imp-emea-pub.example.com}", "- {name: imp-emea-pub}",
		"- {name: imp-emea-sub.example.com}", "- {name: 192.0.2.7, tlsName: imp-emea-sub.corp.example.org}",
		"  mode: observe\n", "  mode: observe\n  startCommanded: 8h\n",
	).Replace(base)
	m, err := load(t, full)
	if err != nil {
		t.Fatal(err)
	}
	c := m.Clusters[0]
	for what, pair := range map[string][2]any{
		"the scheme":                              {m.AddressScheme, mesh.SchemeDirectoryURI},
		"HA":                                      {c.HA, mesh.On},
		"the log":                                 {c.Log, mesh.LogOff},
		"a log of which nothing is said":          {m.Clusters[1].Log, mesh.LogSource("")},
		"who else may send its lines":             {strings.Join(c.SyslogFrom, " "), "192.0.2.14 2001:db8::14"},
		"a bare node name's TLS name":             {c.Nodes[0].ServerName(), "imp-emea-pub.corp.example.org"},
		"an address's TLS name":                   {c.Nodes[1].ServerName(), "imp-emea-sub.corp.example.org"},
		"the TLS name of a full name":             {m.Clusters[1].Nodes[0].ServerName(), "imp-apac-pub.example.com"},
		"the publisher, spelled as among nodes":   {c.Publisher, mesh.NodeName("imp-emea-pub")},
		"the default domain is lawful":            {m.LawfulDomain("EXAMPLE.com."), true},
		"another that is named is lawful":         {m.LawfulDomain("example.net"), true},
		"one that is not named is not":            {m.LawfulDomain("example.org"), false},
		"the domain within a user ID is no other": {m.LawfulDomain("sales.example.com"), true},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v, want %v", what, pair[0], pair[1])
		}
	}
	if after, ok := m.Policy.StartsCommanded(); after != 8*time.Hour || !ok {
		t.Errorf("startCommanded: %v %v", after, ok)
	}
	if _, ok := (mesh.Policy{}).StartsCommanded(); ok {
		t.Error("without startCommanded no person is asked")
	}
	if after, ok := (mesh.Policy{StartCommanded: mesh.StartAuto}).StartsCommanded(); after != 0 || !ok {
		t.Errorf("auto: %v %v", after, ok)
	}
	var b bytes.Buffer
	if err := WriteJSON(&b, m); err != nil {
		t.Fatal(err)
	}
	if again, err := parseJSON("mesh.json", b.Bytes()); err != nil || again.Hash() != m.Hash() {
		t.Errorf("by way of mesh.json: %v", err)
	}

	for _, bad := range []struct{ name, old, new, want string }{
		{"a domain twice", "domain: example.com\n", "domain: example.com\ndomains: [EXAMPLE.com]\n", `domains[0]: "EXAMPLE.com" is the value of domain already`},
		{"no domain", "domain: example.com\n", "domain: example.com\ndomains: [192.0.2.1]\n", "domains[0]"},
		{"another scheme", "domain: example.com\n", "domain: example.com\naddressScheme: uri\n", "write userid or directoryURI"},
		{"no DNS domain", "domain: example.com\n", "domain: example.com\ndnsDomain: a b\n", "dnsDomain"},
		{"HA half on", "    ova: 15000\n", "    ha: maybe\n", "write on or off"},
		{"a log that is neither pulled nor off", "    ova: 15000\n", "    log: push\n", "write pull or off"},
		{"a sender by name", "    ova: 15000\n", "    syslogFrom: [relay.example.com]\n", "write the address that the lines come from"},
		{"a sender with a port", "    ova: 15000\n", "    syslogFrom: [\"192.0.2.14:514\"]\n", `syslogFrom[0]: "192.0.2.14:514" is not an IP address`},
		{"a sender twice", "    ova: 15000\n", "    syslogFrom: [192.0.2.14, \"::ffff:192.0.2.14\"]\n", "syslogFrom[1]: 192.0.2.14 stands above already"},
		{"a TLS name that is none", "{name: imp-emea-pub.example.com}", "{name: imp-emea-pub.example.com, tlsName: \"*\"}", "tlsName"},
		{"a start after no time", "  mode: observe\n", "  mode: observe\n  startCommanded: 0s\n", "policy.startCommanded"},
		{"a start at no time", "  mode: observe\n", "  mode: observe\n  startCommanded: later\n", "policy.startCommanded"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			text := strings.Replace(base, bad.old, bad.new, 1)
			if text == base {
				t.Fatal("nothing replaced")
			}
			if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), bad.want) {
				t.Errorf("%v, want %q in it", err, bad.want)
			}
		})
	}
}
