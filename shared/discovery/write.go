package discovery

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// File is what a mesh.yaml is written from, besides what was found.
type File struct {
	From string    // who was asked first
	At   time.Time // when
	CA   string    // the CA file's path, as mesh.yaml names it; "" if there is none
	DNS  []string
}

// Gaps are what a person has to find out or mend, each as one sentence.
func (f Found) Gaps() []string {
	var out []string
	for _, c := range f.Clusters {
		out = append(out, c.gaps()...)
	}
	for _, u := range f.Unreached {
		out = append(out, fmt.Sprintf("%s was not looked into: %s", u.Host, u.Why))
	}
	if _, others := f.domain(); len(others) > 0 {
		out = append(out, fmt.Sprintf("IM addresses are of several domains; %s is the most frequent: see that it is the default domain", plain.List(append([]string{f.first()}, others...))))
	} else if f.first() == "" {
		out = append(out, "no IM address was seen, so the domain is not known: correct it before anything else")
	}
	pairs, full, read := f.pairs()
	if len(f.Clusters) > 1 && !full && !read {
		out = append(out, "which clusters peer with which could not be read of all of them: that all do is assumed")
	}
	for _, p := range pairs {
		if p.differ {
			out = append(out, fmt.Sprintf("the entries of %s and %s for each other name two protocols: they should be alike, and mesh.yaml should say which", p.a, p.b))
		}
	}
	return out
}

func (c Cluster) gaps() []string {
	var out []string
	for _, g := range c.Gaps {
		out = append(out, fmt.Sprintf("%s: %s", c.ID, g))
	}
	for _, n := range c.Nodes {
		if n.Gap != "" {
			out = append(out, fmt.Sprintf("%s: %s", n.Name, n.Gap))
		}
	}
	if c.Inventory.Release == "" {
		out = append(out, fmt.Sprintf("%s: its release is not known", c.ID))
	}
	return out
}

// domain is the most frequent domain of all clusters, and the others.
func (f Found) domain() (domain string, others []string) {
	seen := map[string]int{}
	for _, c := range f.Clusters {
		if c.Inventory.Domain != "" {
			seen[c.Inventory.Domain]++
		}
	}
	for _, c := range f.Clusters {
		if d := c.Inventory.Domain; seen[d] > seen[domain] {
			domain = d
		}
		others = append(others, c.Inventory.Domains...)
	}
	slices.Sort(others)
	others = slices.DeleteFunc(slices.Compact(others), func(d string) bool { return d == domain })
	return domain, others
}

func (f Found) first() string { d, _ := f.domain(); return d }

// unknownDomain stands where no domain was seen: it is no one's.
const unknownDomain = "unknown.invalid"

// YAML writes a mesh.yaml with every cluster that was found and a comment for each
// gap. It acts in nothing: its mode is observe.
func (f Found) YAML(file File) []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	comment := func(indent, text string) {
		line("%s# %s", indent, plain.Line(text, plain.Unbounded))
	}
	comment("", fmt.Sprintf("Written by `peerkeeper init` on %s, from what %s and its peers told. Read it once:", plain.Time(file.At), file.From))
	comment("", "every comment names something that could not be found out.")
	domain, others := f.domain()
	if domain == "" {
		domain = unknownDomain
		comment("", "No IM address was seen: write the presence domain that all clusters share.")
	}
	name, _, _ := strings.Cut(domain, ".")
	line("mesh: %s                 # a name of your own choice", scalar(word(name)))
	line("domain: %s", scalar(domain))
	if len(others) > 0 {
		comment("", "IM addresses of other domains were seen as well; lawful where addresses are directory URIs.")
		line("domains: %s", list(slices.Concat([]string{domain}, others)))
	}
	line("clusters:")
	for _, c := range f.Clusters {
		f.cluster(c, file, line, comment)
	}
	f.peers(line, comment)
	line("policy:")
	line("  mode: observe            # nothing is ever changed; `recover` lets Peerkeeper repair")
	if len(f.Unreached) > 0 {
		line("")
		comment("", "Named by a cluster above, and not looked into:")
		for _, u := range f.Unreached {
			comment("", fmt.Sprintf("  %s: %s", u.Host, u.Why))
		}
		comment("", "Mend that, and let init write another file, with --credentials HOST=NAME where a host")
		comment("", "has an account of its own.")
	}
	return b.Bytes()
}

// pair is two clusters of which at least one has an entry for the other.
type pair struct {
	a, b mesh.ClusterID
	// protocol is what their entries say; "" if none tells, or if they differ.
	protocol mesh.Protocol
	differ   bool
}

// pairs are all pairs, as far as the table that looks like Cisco's tells; full says
// that these are all that there can be, read that no cluster's table was empty or
// unreadable.
func (f Found) pairs() (pairs []pair, full, read bool) {
	owner := map[string]mesh.ClusterID{}
	for _, c := range f.Clusters {
		for _, n := range c.Inventory.Nodes {
			owner[dnsname.Canonical(string(n))] = c.ID
		}
	}
	entries, read := map[mesh.PeerID]mesh.Protocol{}, true
	for _, c := range f.Clusters {
		read = read && len(c.Inventory.Peers) > 0
		for _, e := range c.Inventory.Peers {
			if to, known := owner[dnsname.Canonical(string(e.Address))]; known && to != c.ID {
				entries[mesh.PeerID{From: c.ID, To: to}] = e.Protocol
			}
		}
	}
	full = true
	for i, a := range f.Clusters {
		for _, b := range f.Clusters[i+1:] {
			id := mesh.PeerID{From: a.ID, To: b.ID}
			there, has := entries[id]
			back, hasBack := entries[id.Reverse()]
			switch p := (pair{a: a.ID, b: b.ID}); {
			case !has && !hasBack:
				full = false
			case there != "" && back != "" && there != back:
				p.differ = true
				pairs = append(pairs, p)
			default:
				p.protocol = cmp.Or(there, back)
				pairs = append(pairs, p)
			}
		}
	}
	return pairs, full, read
}

func (f Found) peers(line func(string, ...any), comment func(string, string)) {
	if len(f.Clusters) < 2 {
		return
	}
	line("peers:")
	pairs, full, read := f.pairs()
	switch {
	case full:
		line("  topology: full-mesh")
	case read && len(pairs) > 0:
		comment("  ", "As the tables tell that look like the clusters' peer tables; Cisco documents none.")
		line("  pairs:")
		for _, p := range pairs {
			line("    - [%s, %s]", scalar(string(p.a)), scalar(string(p.b)))
		}
	default:
		comment("  ", "Which clusters peer could not be read of all of them: that all do is assumed. Otherwise")
		comment("  ", "list them, as in pairs: [[emea, apac], [emea, amer]].")
		line("  topology: full-mesh")
	}
	count := map[mesh.Protocol]int{}
	for _, p := range pairs {
		count[p.protocol]++
	}
	most, says := mesh.TCP, "as Cisco advises; tls where the entries say so"
	if count[mesh.TLSProto] > count[mesh.TCP] {
		most = mesh.TLSProto
	}
	if count[most] > 0 {
		says = "as the entries say"
	}
	line("  protocol: %s            # %s", most, says)
	if count[mesh.TCP] == 0 || count[mesh.TLSProto] == 0 {
		return
	}
	line("  except:                  # pairs whose entries say otherwise")
	for _, p := range pairs {
		if p.protocol != "" && p.protocol != most {
			line("    - {pair: [%s, %s], protocol: %s}", scalar(string(p.a)), scalar(string(p.b)), p.protocol)
		}
	}
}

func (f Found) cluster(c Cluster, file File, line func(string, ...any), comment func(string, string)) {
	line("  - id: %s", scalar(string(c.ID)))
	if c.Inventory.Release != "" {
		line("    release: %s", scalar(c.Inventory.Release))
	} else {
		comment("    ", "release: not told; 14.0 is assumed")
	}
	line("    publisher: %s", scalar(string(c.Inventory.Publisher)))
	if c.CUCM != nil {
		line("    cucm: %s", node(*c.CUCM))
	}
	line("    nodes:")
	for _, n := range c.Nodes {
		line("      - %s", node(n))
		if n.Gap != "" {
			comment("        ", n.Gap)
		}
	}
	line("    credentials: %s", scalar(c.Account))
	line("    tls:")
	if file.CA != "" {
		line("      ca: %s", scalar(file.CA))
	}
	var pins []string
	of := append(slices.Clone(c.Nodes), Node{})
	if c.CUCM != nil {
		of[len(of)-1] = *c.CUCM
	}
	for _, n := range of {
		if n.Pin != "" && !slices.Contains(pins, n.Pin) {
			if len(pins) == 0 {
				line("      pins:")
			}
			pins = append(pins, n.Pin)
			line("        - %s   # %s", n.Pin, n.Name)
		}
	}
	if len(file.DNS) > 0 {
		line("    dns: %s   # asked by init; write the servers that its nodes use, if they are others", list(file.DNS))
	} else {
		comment("    ", "dns: [the DNS servers of its nodes]  not told; without it no name is asked for there")
	}
	for _, g := range c.Gaps {
		comment("    ", g)
	}
}

func node(n Node) string {
	if n.Address == "" {
		return fmt.Sprintf("{name: %s}", scalar(string(n.Name)))
	}
	return fmt.Sprintf("{name: %s, address: %s}", scalar(string(n.Name)), scalar(n.Address))
}

var bare = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._/-]*$`)

// scalar writes a text so that YAML reads it as the same text.
func scalar(s string) string {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
	default:
		if bare.MatchString(s) {
			return s
		}
	}
	b, _ := json.Marshal(s) // a string always marshals
	return string(b)
}

// list writes texts as JSON, which YAML reads as the same list.
func list(all []string) string {
	b, _ := json.Marshal(all) // strings always marshal
	return string(b)
}

// word makes a mesh's name of a domain's first label.
func word(label string) string {
	out := strings.Trim(strings.Map(func(r rune) rune {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return '-'
		}
		return r
	}, strings.ToLower(label)), "-")
	if out == "" {
		return "mesh"
	}
	return out
}

// Secrets are entries for the hosts that were not let in, to be filled in by a
// person and moved to the secrets file; nil if there are none. Each has the name
// that --credentials HOST=NAME would give it.
func (f Found) Secrets(have []string) []byte {
	entries := map[string]map[string]string{}
	for _, u := range f.Unreached {
		if !u.Rejected {
			continue
		}
		name := dnsname.Canonical(string(u.Host)) + "/read"
		if u.Account != "" && !slices.Contains(have, u.Account) {
			name = u.Account
		}
		if !slices.Contains(have, name) {
			entries[name] = map[string]string{"username": "", "password": ""}
		}
	}
	if len(entries) == 0 {
		return nil
	}
	b, _ := json.MarshalIndent(entries, "", "  ") // strings always marshal
	return append(b, '\n')
}
