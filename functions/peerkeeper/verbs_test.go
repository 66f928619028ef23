package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/peer"
)

type statusJSON struct {
	Mesh    string
	LastRun map[string]string
	Peers   []struct {
		ID, State  string
		Conditions []struct{ Type, Status, Reason, Basis string }
	}
	Clusters []struct {
		ID       string
		Findings []struct{ Severity, Reason string }
	}
	Alarms []notice
}

func (s statusJSON) states() map[string]string {
	out := map[string]string{}
	for _, p := range s.Peers {
		out[p.ID] = p.State
	}
	return out
}

func TestEveryVerbOnAHealthyMesh(t *testing.T) {
	sim := simulate(t, "--users", "50")
	if got := sim.out.String(); got != "ready\n" {
		t.Errorf("stdout of sim is %q, want the line ready alone", got)
	}
	type answer struct {
		Mesh, Function string
		Clusters       struct{ Observed, Partial, Unreachable int }
	}
	for _, f := range []string{"peersync", "certcheck", "stucksync"} {
		a := mustJSON[answer](t, 0, sim.dir, "run", "--once", f)
		if a.Mesh != "acme" || a.Function != f || a.Clusters.Observed != 3 {
			t.Errorf("run --once %s: %+v", f, a)
		}
	}

	st := mustJSON[statusJSON](t, 0, sim.dir, "status")
	want := map[string]string{}
	for _, id := range []string{"amer>apac", "amer>emea", "apac>amer", "apac>emea", "emea>amer", "emea>apac"} {
		want[id] = "Healthy"
	}
	if diff := cmp.Diff(want, st.states()); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}

	m := mustJSON[struct {
		Clusters []string
		Cells    [][]*string
	}](t, 0, sim.dir, "matrix")
	if !slices.Equal(m.Clusters, []string{"emea", "apac", "amer"}) || m.Cells[0][0] != nil || *m.Cells[0][1] != "Healthy" {
		t.Errorf("matrix: %+v", m)
	}

	for _, spelled := range []string{"emea>apac", "emea:apac"} {
		e := mustJSON[struct {
			ID, State string
			Reverse   struct{ ID string }
			Clocks    struct{ A, B, First string }
			Next      []struct{ Do string }
		}](t, 0, sim.dir, "explain", spelled)
		if e.ID != "emea>apac" || e.State != "Healthy" || e.Reverse.ID != "apac>emea" || e.Clocks.First == "" || e.Clocks.A == "" {
			t.Errorf("explain %s: %+v", spelled, e)
		}
	}

	certs := mustJSON[struct{ Findings []struct{ Severity string } }](t, 0, sim.dir, "check", "certs", "--now")
	if certs.Findings == nil || slices.ContainsFunc(certs.Findings, func(f struct{ Severity string }) bool { return f.Severity != string(peer.Info) }) {
		t.Errorf("check certs: %+v", certs)
	}
	if table := must(t, 0, sim.dir, "check", "certs"); strings.Count(table, "example.com ") != 6 {
		t.Errorf("check certs shows other than six nodes:\n%s", table)
	}

	h := mustJSON[struct {
		Entries  []any
		Verified bool
	}](t, 0, sim.dir, "history", "--verify")
	if h.Entries == nil || len(h.Entries) != 0 || !h.Verified {
		t.Errorf("history: %+v", h)
	}

	// People's answers have no colours where nobody can see them.
	for _, verb := range []string{"status", "matrix", "explain emea:apac", "probe"} {
		if out := must(t, 0, sim.dir, strings.Fields(verb)...); strings.Contains(out, "\x1b") || out == "" {
			t.Errorf("%s writes escapes, or nothing, to a pipe:\n%q", verb, out)
		}
	}
	if code := sim.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("sim ends with %d: %s", code, sim.err.String())
	}
}

func TestUser(t *testing.T) {
	sim := simulate(t, "--users", "20")
	type whereabouts struct {
		ID   string
		Home *struct{ Cluster, Node string }
		// A user at home twice.
		Homes  []struct{ Cluster string }
		Copies []struct {
			Cluster        string
			Present, Stale bool
		}
		Failed []struct{ Cluster, Reason string }
	}
	// A person who is home in apac.
	sim.post(t, "/clusters/apac/users", `{"duplicate":"zz-nobody"}`)
	w := mustJSON[whereabouts](t, 1, sim.dir, "user", "zz-nobody")
	if w.Home == nil || w.Home.Cluster != "apac" || len(w.Copies) != 2 || w.Copies[0].Present {
		t.Errorf("a user just added, copied nowhere yet: %+v", w)
	}
	sim.post(t, "/clusters/emea/peers", `{"peer":"apac","forceSync":true}`)
	sim.post(t, "/clusters/amer/peers", `{"peer":"apac","forceSync":true}`)
	eventually(t, "the copies", func() bool {
		_, _, code := run1(t, sim.dir, "user", "zz-nobody")
		return code == 0
	})
	w = mustJSON[whereabouts](t, 0, sim.dir, "user", "ZZ-Nobody")
	if w.ID != "zz-nobody" || len(w.Copies) != 2 || !w.Copies[0].Present || w.Copies[0].Stale {
		t.Errorf("after a sync: %+v", w)
	}
	if out := must(t, 0, sim.dir, "user", "zz-nobody"); !strings.Contains(out, "is home in apac") {
		t.Errorf("in words: %s", out)
	}
	sim.post(t, "/clusters/emea/users", `{"duplicate":"zz-nobody"}`)
	if w = mustJSON[whereabouts](t, 1, sim.dir, "user", "zz-nobody"); len(w.Homes) != 2 {
		t.Errorf("at home twice: %+v", w)
	}
	if w = mustJSON[whereabouts](t, 1, sim.dir, "user", "zz-no-such-user"); w.Home != nil {
		t.Errorf("nobody: %+v", w)
	}
	sim.post(t, "/clusters/amer/reachable", `{"from":"peerkeeper","value":false}`)
	if w = mustJSON[whereabouts](t, 1, sim.dir, "user", "zz-nobody"); len(w.Failed) != 1 || w.Failed[0].Cluster != "amer" {
		t.Errorf("a cluster that cannot be asked: %+v", w)
	}
}

func TestAProblemIsExitOne(t *testing.T) {
	sim := simulate(t, "--users", "20")
	sim.look(t)
	sim.post(t, "/clusters/apac/services", `{"node":"imp-apac-sub.example.com","service":"Cisco Intercluster Sync Agent","status":"Stopped"}`)
	sim.look(t)
	sim.look(t)
	st := mustJSON[statusJSON](t, 1, sim.dir, "status")
	if got := st.states(); got["apac>emea"] != "Degraded" || got["emea>apac"] != "Healthy" {
		t.Errorf("status: %v", got)
	}
	if len(st.Alarms) != 1 || st.Alarms[0].Name != "ServiceStopped" {
		t.Errorf("alarms: %+v", st.Alarms)
	}
	must(t, 1, sim.dir, "matrix")
	must(t, 1, sim.dir, "explain", "apac>emea")
	must(t, 0, sim.dir, "explain", "emea>apac")
	must(t, 0, sim.dir, "check", "certs")

	sim.post(t, "/clusters/apac/certificates", `{"node":"imp-apac-pub.example.com","keyType":"RSA","notAfter":"2020-01-01T00:00:00Z"}`)
	certs := mustJSON[struct{ Findings []certJSON }](t, 1, sim.dir, "check", "certs", "--now")
	if !slices.ContainsFunc(certs.Findings, func(f certJSON) bool {
		return f.Severity == "critical" && f.Cluster == "apac" && f.Node == "imp-apac-pub.example.com" && f.KeyType == "RSA" && f.NotAfter != "" && f.Fix != ""
	}) {
		t.Errorf("an expired certificate: %+v", certs)
	}
	if out := must(t, 1, sim.dir, "check", "certs"); !strings.Contains(out, "expired") || !strings.Contains(out, "CRITICAL") {
		t.Errorf("in words:\n%s", out)
	}
	// Everything is wrong, and yet the look completed.
	sim.post(t, "/clusters/emea/nodes", `{"node":"imp-emea-pub.example.com","down":true}`)
	must(t, 0, sim.dir, "run", "--once", "certcheck")
	must(t, 1, sim.dir, "probe")
}

type certJSON struct {
	ID, Severity, Reason, Cluster, Node, KeyType, Subject, NotAfter, Message, Fix string
}

func TestRejectedAccountIsResumed(t *testing.T) {
	sim := simulate(t, "--users", "20")
	sim.look(t)
	must(t, 2, sim.dir, "resume", "apac") // nothing is held back
	sim.post(t, "/clusters/apac/credentials", `{"password":"changed"}`)
	must(t, 0, sim.dir, "run", "--once", "peersync")
	must(t, 0, sim.dir, "run", "--once", "stucksync")
	st := mustJSON[statusJSON](t, 1, sim.dir, "status")
	f := st.Clusters[1].Findings // the worst first; what is only information may follow
	if st.Clusters[1].ID != "apac" || len(f) == 0 || f[0].Reason != "AccountRejected" || len(f) > 1 && f[1].Severity != "info" {
		t.Errorf("with a rejected account: %+v", st.Clusters)
	}
	// A look that a person asks for does not try the account either.
	if out, errs, code := run1(t, sim.dir, "probe", "--cluster", "apac"); code != 1 || !strings.Contains(out+errs, "peerkeeper resume apac") {
		t.Errorf("probe: exit %d\n%s%s", code, out, errs)
	}
	must(t, 0, sim.dir, "resume", "apac")
	h := mustJSON[struct {
		Entries []struct {
			Seq                    int
			Actor, Intent, Outcome string
		}
		Verified bool
	}](t, 0, sim.dir, "history", "--verify")
	if len(h.Entries) != 1 || h.Entries[0].Intent != "resume apac" || h.Entries[0].Actor == "" || !h.Verified {
		t.Errorf("history: %+v", h)
	}
}

func TestTrustAcceptIsUsedAndRecorded(t *testing.T) {
	sim := simulate(t, "--users", "20")
	sim.look(t)
	print := strings.Repeat("5e:0c:", 15) + "5E:0C"
	must(t, 0, sim.dir, "trust", "accept", "IMP-emea-sub.example.com", print)
	if out := must(t, 0, sim.dir, "history"); !strings.Contains(out, "trust accept imp-emea-sub.example.com") {
		t.Errorf("history:\n%s", out)
	}
	must(t, 0, sim.dir, "run", "--once", "peersync")
}

func TestProbeProposesWhatThenWorks(t *testing.T) {
	sim := simulate(t, "--users", "20")
	sim.edit(t, "dialect: dialect.yaml\n", "")
	sim.look(t)
	if got := mustJSON[statusJSON](t, 1, sim.dir, "status"); got.states()["emea>apac"] == "Healthy" {
		t.Errorf("without a dialect a peer's clock cannot be known: %+v", got.states())
	}
	out := must(t, 1, sim.dir, "probe") // the peer table is not mapped
	if !strings.Contains(out, "# A PROPOSAL") || !strings.Contains(out, "evidence: site") {
		t.Errorf("probe:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(sim.dir, "site.yaml")); err == nil {
		t.Error("probe wrote a file that nobody asked for")
	}
	must(t, 1, sim.dir, "probe", "--write", "site.yaml")
	if _, errs, code := run1(t, sim.dir, "probe", "--write", "site.yaml"); code != 2 || !strings.Contains(errs, "is not written over") {
		t.Errorf("a second --write: exit %d: %s", code, errs)
	}
	sim.edit(t, "domain:", "dialect: site.yaml\ndomain:")
	sim.look(t)
	got := mustJSON[statusJSON](t, 0, sim.dir, "status")
	for _, p := range got.Peers {
		for _, c := range p.Conditions {
			if c.Type == "Synced" && (c.Status != "True" || c.Basis != "measured") {
				t.Errorf("%s by the proposed query: %+v", p.ID, c)
			}
		}
	}
	r := mustJSON[struct {
		Clusters  []struct{ Cluster string }
		Proposals []string
	}](t, 0, sim.dir, "probe")
	if len(r.Clusters) != 3 || len(r.Proposals) != 1 {
		t.Errorf("probe --json: %+v", r)
	}
}

func TestHelp(t *testing.T) {
	out := must(t, 0, ".", "--help")
	golden := filepath.Join("testdata", "help.txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out); diff != "" {
		t.Errorf("help (-want +got):\n%s", diff)
	}
	if bare := must(t, 0, "."); bare != out {
		t.Error("without arguments the help differs")
	}
	if v := must(t, 0, ".", "--version"); !strings.Contains(v, "go1.") {
		t.Errorf("--version: %s", v)
	}
	for _, verb := range []string{"demo", "sim", "run", "status", "matrix", "explain", "user", "probe", "check certs", "history", "trust accept", "resume", "completion"} {
		help := must(t, 0, ".", append(strings.Fields(verb), "--help")...)
		if !regexp.MustCompile(`\b([Nn]ever|only reads|changes nothing|reads no file)\b`).MatchString(help) || !strings.Contains(help, "Examples:\n") || !strings.Contains(help, "peerkeeper "+verb) {
			t.Errorf("%s --help does not teach:\n%s", verb, help)
		}
	}
}
