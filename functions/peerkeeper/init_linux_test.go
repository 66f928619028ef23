package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAPersonConfirmsEachHost: by its fingerprint, as openssl prints it. Who says no to one gets a comment for it.
func TestAPersonConfirmsEachHost(t *testing.T) {
	sim, dns := ownPorts(t)
	args := append([]string{"init", "--publisher", "imp-emea-pub.example.com", "--dns", dns, "--out", "mine.yaml"}, each...)
	files := func() []string {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(sim.dir, "*"))
		hidden, err2 := filepath.Glob(filepath.Join(sim.dir, ".*"))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		return append(all, hidden...)
	}
	before := files()

	k := onTerminal(t, sim.dir, args...)
	k.waitFor(t, "Nothing has been sent to it yet.")
	k.types(t, "yes\n")
	k.waitFor(t, "Is this the certificate of imp-emea-sub.example.com? [yes/no]")
	k.types(t, "\x03")
	k.waitFor(t, "peerkeeper: interrupted")
	if code := k.code(t); code != 1 || !slices.Equal(files(), before) {
		t.Errorf("interrupted: exit %d, left %v", code, files())
	}

	k = onTerminal(t, sim.dir, args...)
	question := regexp.MustCompile(`sha256 Fingerprint=(?:[0-9A-F]{2}:){31}[0-9A-F]{2}\r\nCompare it on the node: show cert own tomcat\.`)
	for _, host := range []string{"imp-emea-pub", "imp-emea-sub", "cucm-emea", "imp-apac-pub", "imp-apac-sub", "cucm-apac", "imp-amer-pub"} {
		k.waitFor(t, "Is this the certificate of "+host+".example.com? [yes/no] ")
		if !question.MatchString(k.seen.String()) {
			t.Errorf("no fingerprint as openssl prints it:\n%s", k.seen.String())
		}
		answer := "yes\n"
		if host == "imp-amer-pub" {
			answer = "no\n"
		}
		k.types(t, answer)
	}
	// The other node of the cluster whose publisher was not confirmed is asked about too.
	k.waitFor(t, "imp-amer-sub.example.com? [yes/no] ")
	k.types(t, "no\n")
	k.waitFor(t, "mine.yaml written: 2 clusters")
	k.waitFor(t, "was not confirmed")
	if code := k.code(t); code != 1 {
		t.Errorf("exit %d", code)
	}
	text, err := os.ReadFile(filepath.Join(sim.dir, "mine.yaml"))
	if err != nil || strings.Contains(string(text), "- id: amer") || !strings.Contains(string(text), "imp-amer-pub.example.com: nothing was sent to it") {
		t.Errorf("%v\n%s", err, text)
	}
}
