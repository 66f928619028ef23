package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMistakesAreExitTwo(t *testing.T) {
	sim := simulate(t, "--users", "5", "--rate", "60")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(sim.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mesh, err := os.ReadFile(filepath.Join(sim.dir, "mesh.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	faults, err := os.ReadFile(filepath.Join("..", "..", "testdata", "meshes", "bad", "ten-faults.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	with := func(old, replacement string) string { return strings.Replace(string(mesh), old, replacement, 1) }
	write("mode.yaml", with("mode: observe", "mode: repair"))
	write("faults.yaml", string(faults))
	write("real.yaml", real(string(mesh)))
	write("garbage.db", strings.Repeat("this is no state file. ", 1000))
	write("few.json", `{"emea/read": {"username": "u", "password": "p"}}`)
	write("broken.json", `{"emea/read": {"username": "u", "passwort": "p"}}`)
	pipe(t, filepath.Join(sim.dir, "pipe"))
	if err := os.Symlink("loop", filepath.Join(sim.dir, "loop")); err != nil {
		t.Fatal(err)
	}
	must(t, 0, sim.dir, "run", "--once", "certcheck", "--state", "whole.db")
	whole, err := os.ReadFile(filepath.Join(sim.dir, "whole.db"))
	if err != nil {
		t.Fatal(err)
	}
	write("short.db", string(whole[:len(whole)/3]))
	write("hook.yaml", with("mode: observe", "mode: observe\n  notify: {webhook: \"http://alarms.example.com/\"}"))

	for _, c := range []struct {
		name string
		args []string
		says []string
		// several lines are an error for each line of mesh.yaml
		several bool
	}{
		{name: "unknown mode", args: []string{"run", "--mesh", "mode.yaml"}, says: []string{"mode.yaml:", "observe"}},
		{name: "faults in mesh.yaml", args: []string{"run", "--mesh", "faults.yaml"}, says: []string{"faults.yaml:"}, several: true},
		{name: "no mesh.yaml", args: []string{"run", "--mesh", "nowhere.yaml"}, says: []string{"nowhere.yaml", "--mesh"}},
		{name: "state file that is none", args: []string{"run", "--state", "garbage.db"}, says: []string{"garbage.db", "--state"}},
		{name: "mesh.yaml as state file", args: []string{"status", "--state", "mesh.yaml"}, says: []string{"mesh.yaml is no state file of Peerkeeper", "--state"}},
		{name: "named pipe as state file", args: []string{"run", "--state", "pipe"}, says: []string{"pipe is no state file", "named pipe"}},
		{name: "asking a named pipe", args: []string{"status", "--state", "pipe"}, says: []string{"named pipe"}},
		{name: "folder as state file", args: []string{"run", "--state", "."}, says: []string{"folder"}},
		{name: "device as state file", args: []string{"status", "--state", "/dev/zero"}, says: []string{"device"}},
		{name: "links in a loop as state file", args: []string{"run", "--state", "loop"}, says: []string{"loop of symbolic links"}},
		{name: "truncated state file", args: []string{"status", "--state", "short.db"}, says: []string{"short.db", "cut off", "backup"}},
		{name: "named pipe as secrets file", args: []string{"run", "--secrets", "pipe"}, says: []string{"pipe", "not a regular file"}},
		{name: "named pipe as mesh.yaml", args: []string{"run", "--mesh", "pipe"}, says: []string{"pipe", "not a regular file"}},
		{name: "device as mesh.yaml", args: []string{"run", "--mesh", "/dev/zero"}, says: []string{"not a regular file"}},
		{name: "state file in no folder", args: []string{"run", "--state", "nowhere/state.db"}, says: []string{"nowhere/state.db"}},
		{name: "asking an absent state", args: []string{"status", "--state", "absent.db"}, says: []string{"absent.db", "peerkeeper run"}},
		{name: "port in use", args: []string{"run", "--listen", taken.Addr().String()}, says: []string{taken.Addr().String(), "in use", "--listen"}},
		{name: "port in use, demo", args: []string{"demo", "--listen", taken.Addr().String()}, says: []string{"in use", "--listen"}},
		{name: "address of no machine", args: []string{"run", "--listen", "203.0.113.1:1"}, says: []string{"203.0.113.1:1", "--listen"}},
		{name: "secrets missing", args: []string{"run", "--secrets", "few.json"}, says: []string{"few.json", "amer/platform", "amer/read", "apac/write", "emea/write", "add what is missing"}},
		{name: "no secrets file", args: []string{"probe", "--secrets", "nowhere.json"}, says: []string{"nowhere.json", "--secrets", "emea/read"}},
		{name: "secret misspelt", args: []string{"user", "someone", "--secrets", "broken.json"}, says: []string{"broken.json", "password"}, several: true},
		{name: "another rate", args: []string{"run", "--rate", "2"}, says: []string{"--rate 2", "rate 60"}},
		{name: "rate of a real mesh", args: []string{"run", "--mesh", "real.yaml", "--rate", "2"}, says: []string{"--rate 2", "not simulated"}},
		{name: "approving nothing", args: []string{"approve"}, says: []string{"name one action", "--source NODE"}},
		{name: "approving one and many", args: []string{"approve", "0123456789", "--source", "imp-apac-pub.example.com"}, says: []string{"name one action"}},
		{name: "unknown function", args: []string{"run", "--once", "persync"}, says: []string{"persync", "did you mean peersync?"}},
		{name: "function of a later version", args: []string{"run", "--once", "notify"}, says: []string{"notify", "peersync, stucksync, certcheck, peering, preflight"}},
		{name: "webhook without TLS", args: []string{"run", "--mesh", "hook.yaml"}, says: []string{"hook.yaml", "webhook", "https"}},
		{name: "unknown cluster in a peer", args: []string{"explain", "emea>apca", "--state", "made.db"}, says: []string{"apca", "did you mean apac?"}},
		{name: "half a peer", args: []string{"explain", "emea", "--state", "made.db"}, says: []string{"emea", "quote it"}},
		{name: "unknown cluster", args: []string{"resume", "EMAE", "--state", "made.db"}, says: []string{"EMAE", "a cluster of mesh acme"}},
		{name: "unknown cluster to probe", args: []string{"probe", "--cluster", "latam"}, says: []string{"emea, apac, amer"}},
		{name: "unknown node", args: []string{"trust", "accept", "imp-emea-sbu.example.com", strings.Repeat("0", 64)}, says: []string{"did you mean imp-emea-sub.example.com?"}},
		{name: "no fingerprint", args: []string{"trust", "accept", "imp-emea-sub.example.com", "5e0c"}, says: []string{"5e0c", "64 hexadecimal digits"}},
		{name: "SHA-1 instead of SHA-256", args: []string{"trust", "accept", "imp-emea-sub.example.com", "SHA1 Fingerprint=5E:0C:1A:2B:3C:4D:5E:6F:70:81:92:A3:B4:C5:D6:E7:F8:09:1A:2B"}, says: []string{"SHA-1", "forged", "openssl x509 -noout -fingerprint -sha256"}},
		{name: "user without an ID", args: []string{"user", ""}, says: []string{"empty", "user --help"}},
		{name: "user of blanks", args: []string{"user", " \t "}, says: []string{"empty"}},
		{name: "user ID of 100,000 characters", args: []string{"user", strings.Repeat("x", 100_000)}, says: []string{"100000 characters", "at most 255"}},
		{name: "user ID that moves the cursor", args: []string{"user", "a\x1b[2Jb"}, says: []string{"control characters"}},
		{name: "explaining nothing", args: []string{"explain", "", "--state", "made.db"}, says: []string{"empty"}},
		{name: "explaining 100,000 characters", args: []string{"explain", strings.Repeat("emea>apac", 11_000), "--state", "made.db"}, says: []string{"at most 255"}},
		{name: "evidence of nothing", args: []string{"evidence", " ", "--state", "made.db"}, says: []string{"empty"}},
		{name: "certificates of nothing", args: []string{"check", "certs", "--peer", "", "--state", "made.db"}, says: []string{"empty"}},
		{name: "resuming nothing", args: []string{"resume", "", "--state", "made.db"}, says: []string{"empty"}},
		{name: "pausing nothing", args: []string{"pause", "", "--reason", "x", "--state", "made.db"}, says: []string{"empty"}},
		{name: "maintenance of nothing", args: []string{"maintenance", "end", "", "--state", "made.db"}, says: []string{"empty"}},
		{name: "approving an empty ID", args: []string{"approve", "", "--state", "made.db"}, says: []string{"empty"}},
		{name: "approving an empty source", args: []string{"approve", "--source", "", "--state", "made.db"}, says: []string{"empty"}},
		{name: "acknowledging nothing", args: []string{"ack", "", "--reason", "x", "--state", "made.db"}, says: []string{"empty"}},
		{name: "probing nothing", args: []string{"probe", "--cluster", ""}, says: []string{"empty"}},
		{name: "running nothing once", args: []string{"run", "--once", ""}, says: []string{"empty"}},
		{name: "trusting nobody", args: []string{"trust", "accept", "", strings.Repeat("0", 64)}, says: []string{"empty"}},
		{name: "pause without a reason", args: []string{"pause", "mesh", "--reason", "", "--state", "made.db"}, says: []string{"the reason is empty"}},
		{name: "maintenance for a reason of blanks", args: []string{"maintenance", "start", "mesh", "--reason", "  ", "--state", "made.db"}, says: []string{"the reason is empty"}},
		{name: "ack for a reason of control characters", args: []string{"ack", "3fa8", "--reason", "\x1b\x07", "--state", "made.db"}, says: []string{"the reason is empty"}},
		{name: "pause for a reason of 120 KB", args: []string{"pause", "mesh", "--reason", strings.Repeat("r", 120_000), "--state", "made.db"}, says: []string{"120000 characters", "at most 500"}},
		{name: "pause for ever and a day", args: []string{"pause", "mesh", "--reason", "x", "--for", "999999999999d", "--state", "made.db"}, says: []string{"3650d"}},
		{name: "pause for no time", args: []string{"pause", "mesh", "--reason", "x", "--for=-1h", "--state", "made.db"}, says: []string{"is no time"}},
		{name: "unknown verb", args: []string{"stauts"}, says: []string{"stauts", "--help"}},
		{name: "verb of a later version", args: []string{"delete"}, says: []string{"delete", "--help"}},
		{name: "unknown flag", args: []string{"status", "--jason"}, says: []string{"--jason", "peerkeeper status --help"}},
		{name: "flag without a number", args: []string{"sim", "--dir", "x", "--users", "many"}, says: []string{"--users", "peerkeeper sim --help"}},
		{name: "sim without a folder", args: []string{"sim"}, says: []string{"--dir"}},
		{name: "sim of an unknown release", args: []string{"sim", "--dir", "x", "--release", "9"}, says: []string{"9", "14.0"}},
		{name: "sim of 31 clusters", args: []string{"sim", "--dir", "x", "--clusters", "31"}, says: []string{"31", "30"}},
		{name: "sim on nobody's address", args: []string{"sim", "--dir", "x", "--listen", "203.0.113.1"}, says: []string{"203.0.113.1", "--listen"}},
		{name: "sim standing still", args: []string{"sim", "--dir", "x", "--rate", "0"}, says: []string{"--rate 0"}},
		{name: "story of two clusters", args: []string{"demo", "--once", "--clusters", "2"}, says: []string{"emea, apac and amer"}},
		{name: "story of four clusters, checked", args: []string{"demo", "--once", "--clusters", "4"}, says: []string{"written for 3 clusters"}},
		{name: "story of too few users", args: []string{"demo", "--once", "--users", "30"}, says: []string{"--users 30", "120"}},
		{name: "no scenarios", args: []string{"demo", "--once", "--scenarios", "nowhere"}, says: []string{"nowhere"}},
		{name: "credentials of an unknown cluster", args: []string{"peering", "check-credentials", "emea", "apca", "--state", "absent.db"}, says: []string{"apca", "did you mean apac?"}},
		{name: "credentials of a cluster for itself", args: []string{"peering", "check-credentials", "emea", "emea", "--state", "absent.db"}, says: []string{"no entry for itself", "two clusters"}},
		{name: "credentials of one cluster", args: []string{"peering", "check-credentials", "emea", "--state", "absent.db"}, says: []string{"<b>", "peering check-credentials --help"}},
		{name: "credentials where nobody can be asked", args: []string{"peering", "check-credentials", "emea", "apac", "--state", "absent.db"}, says: []string{"at a terminal alone", "stdin and stderr", "no flag, file or pipe"}},
		{name: "a password on the command line", args: []string{"peering", "check-credentials", "emea", "apac", "--password", "x"}, says: []string{"unknown flag --password"}},
		{name: "unknown shell", args: []string{"completion", "tcsh"}, says: []string{"bash"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.Contains(strings.Join(c.args, " "), "made.db") {
				must(t, 0, sim.dir, "run", "--once", "certcheck", "--state", "made.db")
			}
			for _, args := range [][]string{c.args, append(c.args, "--json")} {
				out, errs, code := run1(t, sim.dir, args...)
				if code != 2 {
					t.Errorf("exit %d, want 2\n%s%s", code, out, errs)
				}
				if out != "" {
					t.Errorf("stdout is not empty: %q", out)
				}
				for _, want := range c.says {
					if !strings.Contains(errs, want) {
						t.Errorf("does not say %q: %s", want, errs)
					}
				}
				for line := range strings.Lines(errs) {
					if !strings.HasPrefix(line, "peerkeeper: ") {
						t.Errorf("a line that no script can tell from others: %q", line)
					}
				}
				if lines := strings.Count(errs, "\n"); !c.several && lines != 1 || c.several && lines < 1 {
					t.Errorf("%d lines: %s", lines, errs)
				}
			}
		})
	}
	t.Run("every fault has its line", func(t *testing.T) {
		_, errs, _ := run1(t, sim.dir, "status", "--mesh", "faults.yaml")
		want, err := os.ReadFile(filepath.Join("..", "..", "testdata", "meshes", "bad", "ten-faults.errors"))
		if err != nil {
			t.Fatal(err)
		}
		if got, expected := strings.Count(errs, "\n"), strings.Count(strings.TrimSpace(string(want)), "\n")+1; got != expected {
			t.Errorf("%d lines, want %d:\n%s", got, expected, errs)
		}
	})
}

// real makes a simulated mesh look like a real one.
func real(mesh string) string {
	var out []string
	skip := false
	for line := range strings.Lines(mesh) {
		if strings.HasPrefix(line, "simulated:") || strings.HasPrefix(line, "clock:") {
			skip = true
			continue
		}
		if skip && strings.HasPrefix(line, " ") {
			continue
		}
		skip = false
		out = append(out, line)
	}
	return strings.Join(out, "")
}
