package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type checkedJSON struct {
	Peer, Node, Outcome, Reason, Message, Limits string
	Next                                         []struct{ On, Menu, Do string }
	Recorded                                     bool
}

// logIns counts the log-ins that a cluster's nodes have checked, and those found wrong.
func (s *simulator) logIns(t *testing.T, cluster string) (all, rejected int) {
	t.Helper()
	_, body, err := get(t.Context(), s.admin+"/state", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range decode[struct {
		Clusters []struct {
			ID    string
			Nodes []struct{ LogIns, RejectedLogIns int }
		}
	}](t, body).Clusters {
		for _, n := range c.Nodes {
			if c.ID == cluster {
				all, rejected = all+n.LogIns, rejected+n.RejectedLogIns
			}
		}
	}
	return all, rejected
}

// TestAnAccountIsTriedFromAPrompt: one log-in for each time that a person types it,
// shown nowhere and kept nowhere; the history knows who tried what, and no more.
func TestAnAccountIsTriedFromAPrompt(t *testing.T) {
	const user, right, wrong = "icsa of apac", "Korrektes Pferd 1", "Falsches Pferd 2"
	sim := simulate(t, "--users", "20")
	sim.post(t, "/clusters/apac/credentials", `{"account":"intercluster","username":"`+user+`","password":"`+right+`"}`)
	var screens []*keyboard
	try := func(password string, args ...string) (*keyboard, int) {
		t.Helper()
		k := onTerminal(t, sim.dir, append([]string{"peering", "check-credentials", "emea", "apac"}, args...)...)
		screens = append(screens, k)
		k.waitFor(t, "tried once on imp-apac-pub.example.com. A rejected try counts towards its lock.")
		k.waitFor(t, "User name: ")
		k.types(t, user+"\n")
		k.waitFor(t, "Password (not shown): ")
		k.types(t, password+"\n")
		return k, k.code(t)
	}

	k, code := try(right)
	k.waitFor(t, "emea>apac on imp-apac-pub.example.com: accepted\r\n")
	k.waitFor(t, "next: in Cisco Unified CM IM and Presence Administration of imp-emea-pub.example.com, Presence > Inter-Clustering")
	k.waitFor(t, "emea's ICSA goes its own way")
	if all, rejected := sim.logIns(t, "apac"); code != 0 || all != 1 || rejected != 0 {
		t.Errorf("right: exit %d, %d log-ins, %d rejected", code, all, rejected)
	}
	// Nothing was known of this mesh, and nothing is begun by asking.
	if _, err := os.Stat(filepath.Join(sim.dir, "state.db")); !os.IsNotExist(err) {
		t.Errorf("a state file was begun: %v", err)
	}

	must(t, 0, sim.dir, "run", "--once", "certcheck")
	before, _ := sim.logIns(t, "apac")
	k, code = try(wrong, "--json")
	k.waitFor(t, `"recorded": true`)
	k.waitFor(t, "}")
	_, answer, _ := strings.Cut(k.seen.String()[:k.read], "{")
	got := decode[checkedJSON](t, "{"+answer)
	if code != 1 || got.Peer != "emea>apac" || got.Node != "imp-apac-pub.example.com" || got.Outcome != "rejected" || got.Reason != "AccountRejected" || !got.Recorded || got.Limits == "" ||
		len(got.Next) != 2 || !strings.Contains(got.Next[0].Do, "Do not try again") || !strings.Contains(got.Next[1].Menu, "Application User") {
		t.Errorf("wrong: exit %d, %+v", code, got)
	}
	if all, rejected := sim.logIns(t, "apac"); all != before+1 || rejected != 1 {
		t.Errorf("a wrong password: %d log-ins, %d rejected, want one more", all-before, rejected)
	}
	history := must(t, 0, sim.dir, "history")
	if strings.Count(history, "check-credentials emea>apac") != 1 || !strings.Contains(history, "rejected") {
		t.Errorf("the history:\n%s", history)
	}
	// Peerkeeper's own account is another one, and is not held back.
	must(t, 0, sim.dir, "run", "--once", "peersync")

	for name, typed := range map[string]string{"nothing": "", "a blank at the end": right + " "} {
		k, code = try(typed)
		k.waitFor(t, "peerkeeper: nothing was sent: \"password\" ")
		if code != 2 {
			t.Errorf("%s: exit %d", name, code)
		}
	}
	if _, rejected := sim.logIns(t, "apac"); rejected != 1 {
		t.Errorf("%d rejected log-ins after nothing was sent", rejected)
	}

	sim.post(t, "/clusters/apac/reachable", `{"from":"peerkeeper","value":false}`)
	k, code = try(right)
	k.waitFor(t, "not tried, nothing was sent: ")
	k.waitFor(t, "next: ")
	if code != 1 || strings.Count(must(t, 0, sim.dir, "history"), "check-credentials") != 1 {
		t.Errorf("out of reach: exit %d", code)
	}

	// Neither is on a screen, in the state or in any other file.
	files, err := filepath.Glob(filepath.Join(sim.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{user, right, wrong} {
			if filepath.Base(file) != "secrets.json" && strings.Contains(string(b), secret) {
				t.Errorf("%s holds %q", file, secret)
			}
		}
	}
	for _, k := range screens {
		if text := k.seen.String(); strings.Contains(text, right) || strings.Contains(text, wrong) {
			t.Errorf("a password is on the screen:\n%s", text)
		}
	}
}

// TestAPromptThatIsInterrupted leaves the terminal as it was, and sends nothing.
func TestAPromptThatIsInterrupted(t *testing.T) {
	sim := simulate(t, "--users", "5")
	for _, c := range []struct{ name, user, password, says string }{
		{"at the user name", "some\x03", "", "peerkeeper: interrupted"},
		{"at the password", "somebody\n", "secr\x03", "peerkeeper: interrupted"},
		{"the input's end", "\x04", "", "peerkeeper: nobody answered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := onTerminal(t, sim.dir, "peering", "check-credentials", "emea", "apac", "-v")
			k.waitFor(t, "User name: ")
			k.types(t, c.user)
			if c.password != "" {
				k.waitFor(t, "Password (not shown): ")
				k.types(t, c.password)
			}
			k.waitFor(t, c.says)
			if code := k.code(t); code != 1 {
				t.Errorf("exit %d", code)
			}
			if !echoes(t, k.master) {
				t.Error("the terminal shows nothing that is typed any more")
			}
		})
	}
	if all, _ := sim.logIns(t, "apac"); all != 0 {
		t.Errorf("%d log-ins", all)
	}
}
