package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretsOfOthersAreNotUsed: nothing is sent to a cluster before.
func TestSecretsOfOthersAreNotUsed(t *testing.T) {
	sim := simulate(t, "--users", "5", "--clusters", "1")
	path := filepath.Join(sim.dir, "secrets.json")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the simulator's own secrets: %v %v", info, err)
	}
	chmod := func(mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	chmod(0o644)
	for _, args := range [][]string{{"run", "--once", "peersync"}, {"run", "--listen", "off"}, {"user", "user001"}, {"probe"}, {"check", "certs", "--now"}} {
		out, errs, code := run1(t, sim.dir, args...)
		if code != 2 || out != "" || !strings.Contains(errs, "chmod 600 secrets.json") || !strings.Contains(errs, "--secrets-unsafe") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: exit %d, %q, %q", args, code, out, errs)
		}
	}
	_, errs, code := run1(t, sim.dir, "run", "--once", "peersync", "--secrets-unsafe")
	if code != 0 || !strings.Contains(errs, "chmod 600") {
		t.Errorf("with the flag: exit %d, %q", code, errs)
	}
	chmod(0o600)
	must(t, 0, sim.dir, "run", "--once", "peersync")
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	if err := os.Chown(path, 54321, -1); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := run1(t, sim.dir, "run", "--once", "peersync"); code != 2 || !strings.Contains(errs, "belongs to 54321") || !strings.Contains(errs, "chmod 600") {
		t.Errorf("another user's secrets: exit %d, %q", code, errs)
	}
}

// TestASecretWithALineEndCostsNoLogIn: the account would be one try nearer to
// being locked.
func TestASecretWithALineEndCostsNoLogIn(t *testing.T) {
	sim := simulate(t, "--users", "5", "--clusters", "1")
	path := filepath.Join(sim.dir, "secrets.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	type account struct{ Username, Password string }
	password := decode[map[string]account](t, string(b))["emea/read"].Password
	broken := strings.Replace(string(b), password, password+`\n`, 1)
	if broken == string(b) {
		t.Fatal("no password to break")
	}
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, code := run1(t, sim.dir, "run", "--once", "peersync")
	if code != 2 || !strings.Contains(errs, `secret "emea/`) || !strings.Contains(errs, `"password" ends in a line end`) || !strings.Contains(errs, "printf") || strings.Contains(errs, password) {
		t.Errorf("exit %d: %s", code, errs)
	}
	_, body, err := get(t.Context(), sim.admin+"/state", "")
	if err != nil {
		t.Fatal(err)
	}
	type node struct {
		Name     string
		Requests map[string]int
	}
	for _, c := range decode[struct {
		Clusters []struct{ Nodes []node }
	}](t, body).Clusters {
		for _, n := range c.Nodes {
			if len(n.Requests) > 0 {
				t.Errorf("%s was asked: %v", n.Name, n.Requests)
			}
		}
	}
}
