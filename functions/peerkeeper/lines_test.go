package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
)

// TestTheLinesOfAPlanAreTakenAsTheyArePrinted: who puts them into mesh.yaml, word by word,
// has a file that loads and that says what the plan wants.
func TestTheLinesOfAPlanAreTakenAsTheyArePrinted(t *testing.T) {
	const tls = "tls: {pins: ['sha256:0000000000000000000000000000000000000000000000000000000000000000']}"
	cluster := func(id string) string {
		return fmt.Sprintf("  - {id: %s, release: \"14.0\", publisher: imp-%s-pub.example.com, nodes: [{name: imp-%s-pub.example.com}], credentials: %s/read, %s, dns: ['192.0.2.53'], timeZone: UTC}\n", id, id, id, id, tls)
	}
	file := func(peers string, ids ...string) string {
		out := "mesh: acme\ndomain: example.com\nclusters:\n"
		for _, id := range ids {
			out += cluster(id)
		}
		return out + peers
	}
	const full, listed = "peers:\n  topology: full-mesh\n", "peers:\n  pairs:\n    - [emea, apac]\n    - [emea, amer]\n"
	three := []string{"emea", "apac", "amer"}
	cut := func(text, after string) string { _, rest, _ := strings.Cut(text, after); return rest }
	for _, c := range []struct {
		name, before string
		kind         change.Kind
		args         []string
		// put does with the printed lines what their remarks say.
		put  func(before, lines string) string
		want string
	}{
		{"a cluster joins a full mesh", file(full, three...), change.Join, []string{"latam", "publisher=imp-latam-pub.example.com:8443"}, func(before, lines string) string {
			return strings.Replace(before, "peers:", cut(lines, "\n")+"peers:", 1)
		}, "latam>emea"},
		{"a cluster joins listed pairs", file(listed, three...), change.Join, []string{"latam"}, func(before, lines string) string {
			item, pairs, _ := strings.Cut(cut(lines, "\n"), "peers:")
			return strings.Replace(before, "peers:", item+"peers:", 1) + cut(pairs, "that it is to be a peer of\n")
		}, "latam>amer"},
		{"a pair is added", file(listed, three...), change.Add, []string{"apac", "amer"}, func(before, lines string) string {
			return before + cut(lines, "pairs: # one more\n")
		}, "apac>amer"},
		{"a pair of a full mesh ends", file(full, three...), change.Delete, []string{"emea", "apac"}, func(before, lines string) string {
			return strings.Replace(before, full, lines, 1)
		}, "-emea>apac"},
		{"the only pair ends", file(full, "emea", "apac"), change.Delete, []string{"emea", "apac"}, func(before, lines string) string {
			return strings.Replace(before, full, lines, 1)
		}, "-emea>apac"},
		{"a pair goes TLS", file(full, three...), change.Edit, []string{"emea", "apac", "protocol=tls"}, func(before, lines string) string {
			return before + cut(lines, "\n")
		}, "emea>apac"},
	} {
		m, err := meshfile.Parse("mesh.yaml", []byte(c.before), nil)
		if err != nil {
			t.Fatalf("%s, before: %v", c.name, err)
		}
		p, err := change.Make(change.Known{Mesh: m, Now: time.Now()}, "c4f2", change.Word{Kind: c.kind, Args: c.args, Actor: "ada"})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, s := range p.View(m).Steps {
			if s.Lines == "" {
				continue
			}
			lines := strings.NewReplacer("tls: {ca: ca.pem}", tls, "PUBLISHER", "imp-latam-pub.example.com").Replace(s.Lines)
			text := c.put(c.before, lines)
			after, err := meshfile.Parse("mesh.yaml", []byte(text), nil)
			if err != nil {
				t.Errorf("%s: %v in\n%s", c.name, err, text)
				continue
			}
			if done, says := p.Step(s.N).Declared(after); !done {
				t.Errorf("%s: %s by\n%s", c.name, says, text)
			}
			name, gone := strings.CutPrefix(c.want, "-")
			id, _ := mesh.ParsePeerID(name)
			if _, there := after.Peer(id); there == gone {
				t.Errorf("%s: %s is there: %v, by\n%s", c.name, id, there, text)
			}
		}
	}
}
