package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// layer is who may import what, and why. Imports of the standard library are
// free; everything else must be named. "/..." stands for a folder's packages.
type layer struct {
	pkg    string
	may    []string
	reason string
}

// everywhere is the package that everything that runs may import: who composes
// a message cleans it, wherever that is.
const everywhere = "shared/plain"

// The core's packages, for short.
var (
	core     = []string{"shared/mesh", "shared/peer", "shared/certificate", "shared/instant"}
	storage  = []string{"shared/store", "shared/record"}
	useCases = []string{"shared/peersync", "shared/stucksync", "shared/certcheck", "shared/preflight", "shared/peering", "shared/intake", "shared/dashboard"}
)

func layers() []layer {
	all := func(lists ...[]string) []string { return slices.Concat(lists...) }
	return []layer{
		{everywhere, nil, "text fit to be said: a leaf that everything may use, as it may the standard library"},
		{"shared/mesh", nil, "everything speaks of clusters, so they may speak of nothing else: standard library only"},
		{"shared/instant", nil, "stored instants against the clock: every package that stores one compares it alike"},
		{"shared/peer", []string{"shared/mesh", "shared/instant", "shared/procedure", "shared/ciscolog", "shared/dnsname"}, "the judgement is pure: same facts, same verdict, on a Lambda and on a laptop"},
		{"shared/userset", []string{"shared/mesh", "golang.org/x/text/unicode/norm"}, "hashes in, suspects out: pure, so that thirty clusters' users cost a Lambda a second; of clusters and nodes it knows the names; x/text because one name may be written in two ways"},
		{"shared/certificate", []string{"shared/mesh", "shared/peer", "shared/instant", "shared/procedure"}, "what certificates come to, from what was read: as pure as the judgement, which it asks about syncs and services, and which knows none"},
		{"shared/ciscocli", nil, "what people paste of a command line: standard library only"},
		{"shared/change", []string{"shared/mesh", "shared/instant", "shared/peer", "shared/procedure", "shared/dnsname"}, "a plan is a document: what it says, and what a word does to it, is the same wherever it is read"},
		{"shared/check", []string{"shared/mesh", "shared/peer", "shared/instant", "shared/procedure", "shared/remedy", "shared/ciscocli", "shared/userset"}, "the checks are judged as purely as peers are, and by what that judgement knows"},
		{"shared/yamlfile", []string{"github.com/goccy/go-yaml/..."}, "the one reader of YAML that people write, whatever it is about; goccy/go-yaml because errors need lines"},
		{"shared/mesh/meshfile", []string{"shared/mesh", "shared/pemfile", "shared/yamlfile"}, "the one reader of mesh.yaml"},

		{"shared/soap", []string{"shared/secret", "shared/tlsprobe", "shared/chain"}, "the lowest layer: it knows no operation, and of Peerkeeper only the text that hides itself, what a handshake says, and how a pin is written"},
		{"shared/soap/soaptest", nil, "a node for tests; it knows no client, so that it cannot share a client's mistakes"},
		{"shared/axl", []string{"shared/soap"}, "a protocol client knows no use case and no other client"},
		{"shared/controlcenter", []string{"shared/soap"}, "a protocol client knows no use case and no other client"},
		{"shared/perfmon", []string{"shared/soap"}, "a protocol client knows no use case and no other client"},
		{"shared/certmgr", []string{"shared/soap", "shared/pemfile"}, "a protocol client knows no use case and no other client"},
		{"shared/logcollection", []string{"shared/soap"}, "a protocol client knows no use case and no other client"},
		{"shared/ciscolog", nil, "a line is a line, read from a file or pushed: standard library only"},
		{"shared/tlsprobe", []string{"shared/chain", "shared/dnsname"}, "dialling and judging certificates needs crypto/tls only, and how names are compared"},
		{"shared/chain", nil, "one answer to what is self-signed, what vouches for what, and what a certificate's fingerprint is: standard library only"},
		{"shared/pemfile", nil, "one reader of PEM for everybody who is given some: standard library only"},
		{"shared/dnsname", nil, "one spelling of a name, for everybody who compares names: standard library only"},
		{"shared/dnsprobe", []string{"shared/dnsname", "github.com/miekg/dns"}, "the standard resolver cannot ask one server at a time"},
		{"shared/cluster", all(core, []string{"shared/chain", "shared/soap", "shared/axl", "shared/controlcenter", "shared/certmgr", "shared/logcollection", "shared/ciscolog", "shared/tlsprobe", "shared/pemfile", "shared/dnsname", "shared/secret", "shared/procedure", "shared/perfmon", "shared/check"}), "one cluster through the protocols; it never judges, stores or tells"},

		{"shared/store", []string{"shared/mesh", "shared/instant"}, "keys name clusters and peers; the meaning of a document is its owner's"},
		{"shared/store/storetest", []string{"shared/store", "github.com/google/go-cmp/cmp"}, "one conformance suite for every store, and the store of everybody else's tests"},
		{"shared/store/bolt", []string{"shared/store", "go.etcd.io/bbolt/..."}, "an adapter knows its port and its library"},
		{"shared/store/dynamo", []string{"shared/store", "github.com/aws/...", "golang.org/x/sync/errgroup"}, "an adapter knows its port and its library"},
		{"shared/store/dynamo/emulator", []string{"github.com/aws/..."}, "a fake of the remote, with its own idea of it"},
		{"shared/secret", nil, "a port: a name in, credentials out, and the one log-in, which heeds and notes what was refused"},
		{"shared/secret/file", []string{"shared/secret"}, "an adapter knows its port and its library"},
		{"shared/secret/secretsmanager", []string{"shared/secret", "github.com/aws/..."}, "an adapter knows its port and its library"},
		{"shared/procedure", []string{"shared/mesh"}, "what people do on Cisco's pages, in Cisco's words: every package that tells them to takes it from here"},
		{"shared/remedy", all(core, []string{"shared/procedure"}), "what to do about each reason of the judgement, for notices and pages alike"},
		{"shared/awsclient", []string{"github.com/aws/..."}, "what the clients of all AWS's services have in common; it knows none of them"},
		{"shared/alarm", all(core, []string{"shared/store", "shared/procedure"}), "an alarm is stored before it is said, or a kill would lose it; of the judgement it knows the names of what fires it, and never judges"},
		{"shared/alarm/webhook", []string{"shared/alarm"}, "an adapter knows its port and its library"},
		{"shared/alarm/sns", []string{"shared/alarm", "github.com/aws/..."}, "an adapter knows its port and its library"},
		{"shared/metric", nil, "the names of the metrics and CloudWatch's form of them: standard library only"},

		{"shared/record", all(core, []string{"shared/store", "shared/check", "shared/change", "shared/ciscocli", "shared/userset"}), "the stored items with their types, shared by the use cases, which never import each other"},
		{"shared/run", all(core, []string{"shared/store", "shared/metric"}), "requests, answers, schedules and leases, shared by the use cases"},
		{"shared/repair", all(core, storage, []string{"shared/chain", "shared/procedure"}), "the gate stands below the use cases and knows none of them"},

		{"shared/peersync", all(core, storage, []string{"shared/run", "shared/cluster", "shared/soap", "shared/userset"}), "looks; soap for the kinds of its errors"},
		{"shared/preflight", all(core, storage, []string{"shared/run", "shared/cluster", "shared/soap", "shared/check", "shared/useraudit", "shared/userset"}), "carries out the checks, and asks clusters only for what nobody else reads"},
		{"shared/useraudit", all(core, storage, []string{"shared/cluster", "shared/userset"}), "what is wrong with users, for preflight and for a person who asks; whoever calls it opens the clusters, under one's own guard"},
		{"shared/intervention", all(core, storage, []string{"shared/repair", "shared/cluster", "shared/soap"}), "what acting takes, in every use case that acts: the gate beneath it knows no cluster, the use cases above it open none"},
		{"shared/stucksync", all(core, storage, []string{"shared/change", "shared/userset", "shared/run", "shared/alarm", "shared/repair", "shared/intervention", "shared/cluster", "shared/procedure", "shared/remedy"}), "judges and acts through the gate"},
		{"shared/peering", all(core, storage, []string{"shared/change", "shared/check", "shared/userset", "shared/run", "shared/repair", "shared/intervention", "shared/cluster"}), "carries out plans through the gate; the checks before one are preflight's, which main hands over; of userset the report of who is twice, which it reads"},
		{"shared/certcheck", all(core, storage, []string{"shared/run", "shared/tlsprobe", "shared/dnsprobe", "shared/dnsname", "shared/pemfile", "shared/chain", "shared/secret"}), "looks at certificates and names; secret for the log-in that it hands from node to node; sends no credential itself, so it knows no soap"},
		{"shared/intake", all(core, storage, []string{"shared/run", "shared/ciscolog"}), "takes what strangers send: it knows no cluster's account and no socket, and asks nobody anything"},
		{"shared/syslogd", nil, "sockets and framings of syslog; it knows nothing of what the lines say"},
		{"shared/listener", nil, "one open address and who may ask there; it knows nothing of what is served"},
		{"shared/dashboard", all(core, storage, []string{"shared/change", "shared/run", "shared/alarm", "shared/check", "shared/repair", "shared/listener", "shared/procedure", "shared/remedy"}), "reads the store and nothing else: what it shows can never be a request to a cluster"},

		{"shared/clustersim", []string{"github.com/goccy/go-yaml", "github.com/miekg/dns", "golang.org/x/sync/errgroup", "modernc.org/sqlite"}, "a fake that shared our structs would share our mistakes"},
		{"shared/clustersim/simtest", []string{"shared/clustersim", "shared/cluster", "shared/mesh", "shared/mesh/meshfile", "shared/secret"}, "a simulated mesh for our own tests, by the files that the simulator writes"},
		{"shared/discovery", []string{"shared/mesh", "shared/cluster", "shared/chain", "shared/dnsname", "shared/dnsprobe", "shared/pemfile", "shared/secret", "shared/soap", "shared/tlsprobe"}, "it asks clusters that no mesh.yaml names yet, and so has no store, no state and no mesh; soap for the kinds of its errors"},
		{"shared/operator", all(core, storage, []string{"shared/change", "shared/check", "shared/ciscocli", "shared/soap", "shared/dashboard", "shared/alarm", "shared/repair", "shared/cluster", "shared/procedure", "shared/remedy", "shared/secret"}), "a person needs a store and a name, and no host; soap for the kinds of its errors, dashboard explains a peer for the evidence; secret for a password that a person typed, procedure and remedy for what comes next"},
		{"shared/host", all(core, storage, useCases, []string{"shared/useraudit", "shared/run", "shared/repair", "shared/alarm", "shared/cluster", "shared/tlsprobe", "shared/dnsprobe", "shared/secret"}), "wiring for one machine, whatever the store, the accounts and the sinks"},
		{"shared/demo", all(core, storage, []string{"shared/change", "shared/chain", "shared/check", "shared/host", "shared/operator", "shared/dashboard", "shared/listener", "shared/mesh/meshfile", "shared/run", "shared/alarm", "shared/repair", "shared/tlsprobe", "shared/secret/file", "shared/store/bolt", "shared/clustersim", "github.com/goccy/go-yaml"}), "a host beside a simulator; goccy/go-yaml for its story"},
		{"shared/lambdahost", all(core, storage, []string{"shared/mesh/meshfile", "shared/run", "shared/metric", "shared/awsclient", "shared/store/dynamo", "github.com/aws/..."}), "wiring for a Lambda, around any use case: it knows none of them"},
		{"shared/lambdahost/runtimeapi", nil, "a fake of Lambda's runtime, with its own idea of it"},
		{"shared/lambdahost/stand", all(core, []string{"shared/mesh/meshfile", "shared/lambdahost", "shared/clustersim", "shared/alarm/sns", "shared/secret", "shared/secret/secretsmanager", "shared/store/dynamo/...", "github.com/aws/..."}), "a test stand: all that a function meets, and no use case"},
		{"shared/lambdahost/invoke", []string{"shared/lambdahost/..."}, "a bootstrap on the test stand: it knows no use case"},
		{"shared/lambdahost/meshjson", []string{"shared/mesh/meshfile"}, "a build step"},
		{"shared/archtest", nil, "tests only"},
		{"shared/archtest/mutate", nil, "it changes source as text and runs go test: it knows no package"},
		{"testdata/scenarios", nil, "data, embedded"},

		{"functions/peerkeeper", all(core, storage, []string{"shared/change", "shared/useraudit", "shared/userset", "shared/procedure", "shared/check", "shared/ciscocli", "shared/host", "shared/operator", "shared/discovery", "shared/dnsname", "shared/pemfile", "shared/demo", "shared/dashboard", "shared/listener", "shared/syslogd", "shared/intake", "shared/ciscolog", "shared/mesh/meshfile", "shared/yamlfile", "shared/run", "shared/repair", "shared/cluster", "shared/alarm", "shared/alarm/webhook", "shared/secret", "shared/secret/file", "shared/store/bolt", "shared/store/dynamo", "shared/clustersim", "testdata/scenarios",
			"github.com/aws/...", "github.com/alecthomas/kong", "golang.org/x/term", "golang.org/x/sync/errgroup"}), "verbs only: whatever they do is operator's, host's, demo's or a use case's"},
		{"functions/...", all(core, storage, useCases, []string{"shared/useraudit", "shared/lambdahost", "shared/awsclient", "shared/mesh/meshfile", "shared/run", "shared/alarm", "shared/alarm/sns", "shared/secret", "shared/secret/secretsmanager", "shared/store/dynamo", "shared/cluster", "shared/tlsprobe", "shared/dnsprobe", "shared/repair",
			"github.com/aws/..."}), "a Lambda is wiring around one use case"},
		{"infra", []string{"infra/...", "shared/mesh", "shared/mesh/meshfile", "shared/run", "github.com/aws/...", "github.com/cdklabs/..."}, "the app: environments in, stacks out"},
		{"infra/...", all(core, []string{"infra/...", "shared/check", "shared/mesh/meshfile", "shared/yamlfile", "shared/run", "shared/store", "shared/metric", "github.com/aws/...", "github.com/cdklabs/..."}), "the stacks read the mesh, the schedules, the store's keys and the metrics' names, and run nothing of the engine"},
		{"events", nil, "samples"},
	}
}

func layerOf(dir string) (layer, bool) {
	for _, l := range layers() {
		if fits(l.pkg, dir) {
			return l, true
		}
	}
	return layer{}, false
}

func fits(pattern, path string) bool {
	folder, all := strings.CutSuffix(pattern, "/...")
	return path == folder || all && strings.HasPrefix(path, folder+"/")
}

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return first != module && !strings.Contains(first, ".")
}

// dependencies is the rule: imports point down.
func dependencies(p *pkg) []string {
	if len(p.files) == 0 {
		return nil // tests only
	}
	l, ok := layerOf(p.dir)
	if !ok {
		return []string{fmt.Sprintf("%s has no row in the table of layers: add one with its reason", p.dir)}
	}
	var out []string
	for _, path := range p.imports {
		rel := strings.TrimPrefix(path, module+"/")
		if standard(path) || rel == everywhere || slices.ContainsFunc(l.may, func(m string) bool { return fits(m, rel) }) {
			continue
		}
		out = append(out, fmt.Sprintf("%s imports %s: %s", p.dir, rel, l.reason))
	}
	return out
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range repository(t) {
		for _, said := range dependencies(p) {
			t.Error(said)
		}
	}
}

func TestImportsPointDownCatches(t *testing.T) {
	imports := func(path string) string { return "package x\nimport _ \"" + path + "\"\n" }
	for _, c := range []struct{ dir, path string }{
		{"shared/mesh", "peerkeeper/shared/peer"},
		{"shared/peer", "peerkeeper/shared/store"},
		{"shared/peer", "github.com/goccy/go-yaml"},
		{"shared/peer", "peerkeeper/shared/certificate"},
		{"shared/soap", "peerkeeper/shared/secret/file"},
		{"shared/axl", "peerkeeper/shared/controlcenter"},
		{"shared/axl", "peerkeeper/shared/cluster"},
		{"shared/dashboard", "peerkeeper/shared/axl"},
		{"shared/dashboard", "peerkeeper/shared/cluster"},
		{"shared/peersync", "peerkeeper/shared/stucksync"},
		{"shared/certcheck", "peerkeeper/shared/soap"},
		{"shared/clustersim", "peerkeeper/shared/soap"},
		{"shared/cluster", "peerkeeper/shared/clustersim"},
		{"shared/store/bolt", "peerkeeper/shared/store/dynamo"},
		{"functions/peersync", "peerkeeper/shared/clustersim"},
		{"functions/peersync", "peerkeeper/shared/host"},
		{"shared/newcomer", "fmt"},
	} {
		if len(dependencies(one(t, c.dir, imports(c.path)))) == 0 {
			t.Errorf("the rule does not catch %s importing %s", c.dir, c.path)
		}
	}
	if said := dependencies(one(t, "shared/peersync", imports("peerkeeper/shared/cluster"))); len(said) > 0 {
		t.Errorf("the rule catches the innocent: %v", said)
	}
}

func TestLayersHaveReasons(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range layers() {
		if l.reason == "" || seen[l.pkg] {
			t.Errorf("row %s: without a reason, or there twice", l.pkg)
		}
		seen[l.pkg] = true
	}
}

// testOnly are packages that only tests may import: code that runs has no use
// for a node that answers what it is told, or a clock that is moved by hand.
var testOnly = [...]string{module + "/shared/soap/soaptest", module + "/shared/clustersim/simtest", module + "/shared/store/storetest"}

// forTests is the rule: what is for tests stays there.
func forTests(p *pkg) []string {
	var out []string
	for _, path := range p.imports {
		if slices.Contains(testOnly[:], path) && !slices.Contains(testOnly[:], module+"/"+p.dir) {
			out = append(out, fmt.Sprintf("%s imports %s, which is for tests", p.dir, strings.TrimPrefix(path, module+"/")))
		}
	}
	return out
}

func TestWhatIsForTestsStaysThere(t *testing.T) {
	found := map[string]bool{}
	for _, p := range repository(t) {
		found[module+"/"+p.dir] = true
		for _, said := range forTests(p) {
			t.Error(said)
		}
	}
	for _, name := range testOnly {
		if !found[name] {
			t.Errorf("there is no package %s", name)
		}
		text := "package host\nimport _ \"" + name + "\"\n"
		if len(forTests(one(t, "shared/host", text))) != 1 {
			t.Errorf("the rule does not catch %s in code that runs", name)
		}
		inTest, err := source(map[string]string{"shared/host/x_test.go": text})
		if err != nil {
			t.Fatal(err)
		}
		if said := forTests(inTest[0]); len(said) > 0 {
			t.Errorf("the rule catches a test: %v", said)
		}
	}
}

// neverInLambda are what no Lambda may link, directly or through others.
var neverInLambda = [...]string{
	module + "/shared/clustersim", module + "/shared/lambdahost/stand", module + "/shared/lambdahost/runtimeapi", module + "/shared/store/dynamo/emulator", module + "/shared/host", module + "/shared/operator", module + "/shared/demo", module + "/shared/store/bolt", module + "/shared/archtest",
	"modernc.org/sqlite", "github.com/alecthomas/kong", "go.etcd.io/bbolt", "github.com/chromedp/chromedp",
}

// linked is the rule: what each Lambda links, by following imports.
func linked(pkgs []*pkg) []string {
	by := map[string]*pkg{}
	for _, p := range pkgs {
		by[module+"/"+p.dir] = p
	}
	var out []string
	for _, p := range pkgs {
		if !fits("functions/...", p.dir) || p.dir == "functions/peerkeeper" || p.name != "main" {
			continue
		}
		seen := map[string]bool{}
		todo := slices.Clone(p.imports)
		for len(todo) > 0 {
			path := todo[0]
			todo = todo[1:]
			if seen[path] {
				continue
			}
			seen[path] = true
			if slices.Contains(neverInLambda[:], path) {
				out = append(out, fmt.Sprintf("%s links %s, which has no place in a Lambda", p.dir, path))
			}
			if next := by[path]; next != nil {
				todo = append(todo, next.imports...)
			}
		}
	}
	return out
}

func TestLambdasLinkNothingOfTheLaptop(t *testing.T) {
	for _, said := range linked(repository(t)) {
		t.Error(said)
	}
	through, err := source(map[string]string{
		"functions/peersync/main.go": "package main\nimport _ \"peerkeeper/shared/peersync\"\n",
		"shared/peersync/p.go":       "package peersync\nimport _ \"peerkeeper/shared/clustersim\"\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(linked(through)) != 1 {
		t.Error("the rule does not catch a simulator linked through a use case")
	}
}
