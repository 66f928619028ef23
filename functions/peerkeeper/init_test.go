package main

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// ownPorts is a simulated mesh of three clusters on Cisco's ports, and what init is
// told of it: the address of one of its DNS servers, and secrets.json.
func ownPorts(t *testing.T) (sim *simulator, dns string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has the addresses 127.0.0.x without being told")
	}
	probe, err := net.Listen("tcp", "127.0.0.2:443")
	if errors.Is(err, os.ErrPermission) {
		t.Skip("only root may listen on 443")
	}
	if err == nil {
		_ = probe.Close()
	}
	sim = simulate(t, "--ports", "cisco", "--users", "5")
	text, err := os.ReadFile(filepath.Join(sim.dir, "mesh.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return sim, regexp.MustCompile(`dns:\n\s+- (\S+)`).FindStringSubmatch(string(text))[1]
}

// both gives what a command says on stdout and on stderr.
func both(t *testing.T, want int, dir string, args ...string) (out, said string) {
	t.Helper()
	out, said, code := run1(t, dir, args...)
	if code != want {
		t.Fatalf("peerkeeper %s: exit %d, want %d\n%s\n%s", strings.Join(args, " "), code, want, out, said)
	}
	return out, said
}

// each names the three clusters' own accounts.
var each = []string{"--credentials", "emea/read", "--credentials", "imp-apac-pub.example.com=apac/read", "--credentials", "imp-amer-pub.example.com=amer/read"}

func TestInitWritesAMeshThatRuns(t *testing.T) {
	sim, dns := ownPorts(t)
	args := append([]string{"init", "--publisher", "imp-emea-pub.example.com", "--ca", "ca.pem", "--dns", dns, "--out", "mine.yaml"}, each...)
	out, _ := both(t, 0, sim.dir, args...)
	for _, want := range []string{"mine.yaml written: 3 clusters", "peerkeeper probe --mesh mine.yaml", "peerkeeper run --mesh mine.yaml"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	for _, function := range []string{"peersync", "certcheck", "stucksync"} {
		must(t, 0, sim.dir, "run", "--once", function, "--mesh", "mine.yaml", "--state", "mine.db")
	}
	status, _ := both(t, 1, sim.dir, "status", "--mesh", "mine.yaml", "--state", "mine.db", "--json")
	if got := decode[struct {
		Clusters []struct{ Users int }
	}](t, status); len(got.Clusters) != 3 || got.Clusters[0].Users != 5 {
		t.Errorf("status: %+v", got)
	}

	before, err := os.ReadFile(filepath.Join(sim.dir, "mine.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, said := both(t, 2, sim.dir, args...); !strings.Contains(said, "mine.yaml exists already") {
		t.Errorf("a second one: %s", said)
	}
	if after, err := os.ReadFile(filepath.Join(sim.dir, "mine.yaml")); err != nil || string(after) != string(before) {
		t.Errorf("the file was written over: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(sim.dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestInitAsksNobodyWithoutATerminal(t *testing.T) {
	sim, dns := ownPorts(t)
	_, said := both(t, 2, sim.dir, "init", "--publisher", "imp-emea-pub.example.com", "--dns", dns, "--credentials", "emea/read", "--out", "mine.yaml")
	if !strings.Contains(said, "nothing was sent to it") || !strings.Contains(said, "sha256:") || !strings.Contains(said, "--accept") {
		t.Errorf("it says %s", said)
	}
	if _, err := os.Stat(filepath.Join(sim.dir, "mine.yaml")); err == nil {
		t.Error("a file was written")
	}
}

func TestInitNamesTheEntriesThatAreMissing(t *testing.T) {
	sim, dns := ownPorts(t)
	folder := filepath.Join(sim.dir, "new")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	out, said := both(t, 1, sim.dir, "init", "--publisher", "imp-emea-pub.example.com", "--ca", "ca.pem", "--dns", dns, "--credentials", "emea/read", "--out", "new/mesh.yaml", "--json")
	got := decode[struct {
		Clusters []string
		Gaps     []string
		Secrets  string
	}](t, out)
	if len(got.Clusters) != 1 || len(got.Gaps) < 2 || got.Secrets != filepath.Join("new", "secrets.new.json") {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(said, "fill them in") || !strings.Contains(said, "rejected the account emea/read") {
		t.Errorf("it says %s", said)
	}
	info, err := os.Stat(filepath.Join(folder, "secrets.new.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "secrets.new.json"))
	var entries map[string]map[string]string
	if err != nil || json.Unmarshal(text, &entries) != nil || len(entries) != 2 {
		t.Errorf("%v %s", err, text)
	}
	mesh, err := os.ReadFile(filepath.Join(folder, "mesh.yaml"))
	if err != nil || !strings.Contains(string(mesh), `ca: "../ca.pem"`) || !strings.Contains(string(mesh), "is not tried anywhere any more") {
		t.Errorf("%v\n%s", err, mesh)
	}
}

func TestMistakesOfInitAreSaidAtOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "empty.pem"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, said := both(t, 2, dir, "init", "--publisher", "imp emea", "--credentials", "a", "--credentials", "b", "--credentials", "=c", "--ca", "empty.pem", "--accept", "xyz", "--dns", "dns.example.com")
	for _, want := range []string{"--publisher", "never several", "HOST=NAME", "empty.pem", "--accept", "--dns", "secrets.json"} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing is said of %s:\n%s", want, said)
		}
	}
}
