package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"peerkeeper/testdata/scenarios"

	"github.com/goccy/go-yaml"
)

// stopICSA and startICSA are an incident that one alarm belongs to.
const (
	stopICSA  = `{"node":"imp-apac-sub.example.com","service":"Cisco Intercluster Sync Agent","status":"Stopped"}`
	startICSA = `{"node":"imp-apac-sub.example.com","service":"Cisco Intercluster Sync Agent","status":"Started"}`
)

func TestRunWatchesServesAndEnds(t *testing.T) {
	for _, signal := range endings {
		sim := simulate(t, "--users", "20", "--rate", "300")
		sim.edit(t, "mode: observe", "mode: observe\n  notify: {file: alarms.jsonl}")
		run := start(t, t.TempDir(), "run", "--mesh", filepath.Join(sim.dir, "mesh.yaml"), "--secrets", filepath.Join(sim.dir, "secrets.json"), "--state", filepath.Join(sim.dir, "state.db"), "--listen", "127.0.0.1:0")
		address := regexp.MustCompile(`page http://(\S+)`)
		eventually(t, "the page's address", func() bool { return address.MatchString(run.err.String()) })
		at := strings.TrimRight(address.FindStringSubmatch(run.err.String())[1], ";")
		eventually(t, "a healthy mesh on the page", func() bool {
			code, body, err := get(t.Context(), "http://"+at+"/api/status.json", "")
			return err == nil && code == http.StatusOK && strings.Count(body, `"state":"Healthy"`) == 6
		})
		if code, _, err := get(t.Context(), "http://"+at+"/", "attacker.example.com"); err != nil || code < 400 {
			t.Errorf("a foreign Host is answered with %d, %v", code, err)
		}
		sim.post(t, "/clusters/apac/services", stopICSA)
		// Relative to mesh.yaml, wherever run was started.
		eventually(t, "the alarm in the file", func() bool { return len(said(t, filepath.Join(sim.dir, "alarms.jsonl"))) == 1 })
		eventually(t, "the alarm on stdout", func() bool {
			return strings.Contains(run.out.String(), "RAISED ServiceStopped apac")
		})
		if code := run.end(t, signal); code != 0 {
			t.Errorf("%v: exit %d\n%s", signal, code, run.err.String())
		}
	}
}

func TestTwoRunsAndReadersShareAState(t *testing.T) {
	sim := simulate(t, "--users", "20", "--rate", "300")
	sim.edit(t, "mode: observe", "mode: observe\n  notify: {file: alarms.jsonl}")
	alarms := filepath.Join(sim.dir, "alarms.jsonl")
	runs := []*program{start(t, sim.dir, "run", "--listen", "off", "--json"), start(t, sim.dir, "run", "--listen", "off")}
	eventually(t, "health", func() bool {
		out, errs, code := run1(t, sim.dir, "status", "--json")
		if code == 2 && !strings.Contains(errs, "there is no state file") {
			t.Fatal(errs)
		}
		return code == 0 && strings.Contains(out, "Healthy")
	})
	for round := range 2 {
		sim.post(t, "/clusters/apac/services", stopICSA)
		eventually(t, "the alarm", func() bool { must2(t, sim.dir); return len(said(t, alarms)) == 2*round+1 })
		sim.post(t, "/clusters/apac/services", startICSA)
		eventually(t, "its end", func() bool { must2(t, sim.dir); return len(said(t, alarms)) == 2*round+2 })
	}
	for i, r := range runs {
		if code := r.end(t, syscall.SIGTERM); code != 0 {
			t.Errorf("run %d: exit %d\n%s", i, code, r.err.String())
		}
	}
	// Everything was said once, no matter by which of the two.
	for i, n := range said(t, alarms) {
		if want := []string{"raised", "cleared"}[i%2]; n.Name != "ServiceStopped" || n.State != want || n.Transition != i+1 {
			t.Errorf("notice %d: %+v", i, n)
		}
	}
	for line := range strings.Lines(runs[0].out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("run --json says other than JSON: %q", line)
		}
	}
}

// must2 is a reader: it never fails to read.
func must2(t *testing.T, dir string) {
	t.Helper()
	if _, errs, code := run1(t, dir, "status", "--json"); code > 1 || errs != "" {
		t.Errorf("status beside two runs: exit %d: %s", code, errs)
	}
}

func TestKilledRunsLoseNoAlarm(t *testing.T) {
	sim := simulate(t, "--users", "20", "--rate", "600")
	sim.edit(t, "mode: observe", "mode: observe\n  notify: {file: alarms.jsonl}")
	alarms := filepath.Join(sim.dir, "alarms.jsonl")
	const kills = 24
	for i := range kills {
		r := start(t, sim.dir, "run", "--listen", "off")
		switch i % 6 {
		case 1:
			sim.post(t, "/clusters/apac/services", stopICSA)
		case 4:
			sim.post(t, "/clusters/apac/services", startICSA)
		}
		select {
		case <-time.After(time.Duration(20+rand.IntN(700)) * time.Millisecond):
		case <-r.done:
			t.Fatalf("run ended by itself: %s", r.err.String())
		}
		r.end(t, syscall.SIGKILL)
		if _, errs, code := run1(t, sim.dir, "status", "--json"); code > 1 && !strings.Contains(errs, "there is no state file") {
			t.Fatalf("status after kill %d: exit %d: %s", i, code, errs)
		}
	}
	sim.post(t, "/clusters/apac/services", stopICSA)
	r := start(t, sim.dir, "run", "--listen", "off")
	standing := func() (notice, bool) {
		all := said(t, alarms)
		for i := len(all) - 1; i >= 0; i-- {
			if all[i].Name == "ServiceStopped" {
				return all[i], true
			}
		}
		return notice{}, false
	}
	eventually(t, "the alarm after all kills", func() bool {
		n, ok := standing()
		return ok && n.State == "raised"
	})
	sim.post(t, "/clusters/apac/services", startICSA)
	eventually(t, "its end", func() bool {
		n, _ := standing()
		return n.State == "cleared"
	})
	if code := r.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d: %s", code, r.err.String())
	}
	// Nothing between the first and the last transition was lost, and what was
	// said twice was said the same.
	byTransition := map[string]map[int]string{}
	for _, n := range said(t, alarms) {
		if byTransition[n.Fingerprint] == nil {
			byTransition[n.Fingerprint] = map[int]string{}
		}
		if had := byTransition[n.Fingerprint][n.Transition]; had != "" && had != n.State && n.State != "repeated" {
			t.Errorf("transition %d of %s is both %s and %s", n.Transition, n.Name, had, n.State)
		}
		byTransition[n.Fingerprint][n.Transition] = n.State
	}
	for print, transitions := range byTransition {
		for i := range len(transitions) {
			if transitions[i+1] == "" {
				t.Errorf("%s: transition %d was lost: %v", print, i+1, transitions)
			}
		}
	}
}

type demoJSON struct {
	Steps []struct {
		Name            string
		Expected, Found map[string]any
		OK              bool
	}
	Alarms []struct {
		Name, Peer, Cluster string
		Raised, Cleared     int
	}
	OK bool
}

// TestDemoOncePlaysTheStory, which in an empty folder is the built-in one. That
// all of it goes as written is shared/demo's to prove, on the same PlayOnce.
func TestDemoOncePlaysTheStory(t *testing.T) {
	steps := builtInStory(t)["steps"]
	d := start(t, t.TempDir(), "demo", "--once")
	eventually(t, "two steps of the built-in story", func() bool {
		out := d.out.String()
		return strings.Contains(out, steps[0]["name"].(string)) && strings.Contains(out, steps[1]["name"].(string))
	})
	if code := d.end(t, os.Interrupt); code > 1 {
		t.Errorf("interrupted: exit %d: %s", code, d.err.String())
	}
}

func TestDemoOnceIsExitZeroWhereAllGoesAsWritten(t *testing.T) {
	d := mustJSON[demoJSON](t, 0, folderOfStory(t, map[string][]map[string]any{"steps": builtInStory(t)["steps"][:5]}), "demo", "--once")
	if !d.OK || len(d.Steps) != 5 || len(d.Alarms) != 3 {
		t.Errorf("%d steps, %d alarms, ok %v", len(d.Steps), len(d.Alarms), d.OK)
	}
	for _, s := range d.Steps {
		if s.Expected["peers"] == nil || s.Found["peers"] == nil || s.Found["alarms"] == nil {
			t.Errorf("step %s has not the contract's shape: %v", s.Name, s)
		}
	}
}

// builtInStory is the story's first chapter.
func builtInStory(t *testing.T) map[string][]map[string]any {
	t.Helper()
	text, err := scenarios.Files.ReadFile("story.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var story map[string][]map[string]any
	if err := yaml.Unmarshal(text, &story); err != nil {
		t.Fatal(err)
	}
	return story
}

// folderOfStory has a story in testdata/scenarios, which demo finds without being
// told.
func folderOfStory(t *testing.T, story map[string][]map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	text, err := yaml.Marshal(story)
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "testdata", "scenarios"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "testdata", "scenarios", "story.yaml"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Any expectation that is changed is named. The story's own steps are changed
// one by one, each in one of its expectations.
func TestDemoOnceNamesWhatDiffers(t *testing.T) {
	story := builtInStory(t)
	changes := []func(expect map[string]any){
		func(e map[string]any) { e["alarms"] = []string{"ClusterDown nowhere"} },
		func(e map[string]any) { e["findings"] = []string{"emea:NotThere"} },
		func(e map[string]any) { e["peers"] = map[string]any{"apac>amer": map[string]any{"state": "Cooling"}} },
		func(e map[string]any) {
			e["peers"] = map[string]any{"amer>emea": map[string]any{"conditions": map[string]any{"NamesResolve": "Unknown Crashed"}}}
		},
	}
	for i, step := range story["steps"] {
		expect, _ := step["expect"].(map[string]any)
		if expect == nil {
			expect = map[string]any{}
			step["expect"] = expect
		}
		changes[i%len(changes)](expect)
	}
	out, errs, code := run1(t, folderOfStory(t, story), "demo", "--once", "--json")
	d := decode[demoJSON](t, out)
	if code != 1 || d.OK {
		t.Errorf("exit %d, ok %v", code, d.OK)
	}
	for i, s := range d.Steps {
		if s.OK || !strings.Contains(errs, `step "`+s.Name+`": `) {
			t.Errorf("step %d, %s: ok %v, and its difference is not named in\n%s", i, s.Name, s.OK, errs)
		}
	}
}

func TestDemoServesItsPage(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	d := start(t, t.TempDir(), "demo", "--listen", "127.0.0.1:0")
	address := regexp.MustCompile(`Page: (http://\S+)`)
	eventually(t, "the page's address", func() bool { return address.MatchString(d.out.String()) })
	url := address.FindStringSubmatch(d.out.String())[1]
	eventually(t, "the matrix", func() bool {
		code, body, err := get(t.Context(), url+"/api/status.json", "")
		return err == nil && code == http.StatusOK && strings.Contains(body, `"Healthy"`)
	})
	if code := d.end(t, os.Interrupt); code != 0 {
		t.Errorf("exit %d: %s", code, d.err.String())
	}
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
