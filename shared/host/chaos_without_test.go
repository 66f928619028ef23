package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestChaosWithout plays chaos with one guard taken away, and tells whether that
// is caught: make chaos GUARD=again. The guard is missing in the
// source that this one run is built from, and nowhere else: there is no switch
// for it. It is caught if the run fails.
func TestChaosWithout(t *testing.T) {
	guard := os.Getenv("CHAOS_WITHOUT")
	if guard == "" {
		return // there is work only if a guard is named
	}
	overlay := without(t, guard)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-count=1", "-timeout=60m", "-run=TestChaos$", ".")
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "CHAOS_WITHOUT=") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		t.Errorf("%s can be taken away, and nobody notices", guard)
	case bytes.Contains(out, []byte("build failed")):
		t.Errorf("without %s it does not build:\n%s", guard, out)
	default:
		t.Logf("without %s: %s", guard, regexp.MustCompile(`step \d+ .*`).Find(out))
	}
}

// TestAGuardCanBeTakenAway: of a repair and of a planned step, in a source that builds.
func TestAGuardCanBeTakenAway(t *testing.T) {
	for _, guard := range []string{"again", "ready"} {
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", without(t, guard), "../repair").CombinedOutput(); err != nil {
			t.Errorf("without %s: %v\n%s", guard, err, out)
		}
	}
}

// without writes a source of the gate that lacks one guard, and what has go
// build from it.
func without(t *testing.T, guard string) (overlay string) {
	t.Helper()
	path, err := filepath.Abs("../repair/guard.go")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if page, err := os.ReadFile("../repair/README.md"); err != nil || !bytes.Contains(page, []byte("\n| "+guard+" | ")) {
		t.Fatalf("there is no guard %q: %v", guard, err)
	}
	const whole = "return judge(guardsOf(p), g, p, s)"
	if bytes.Count(source, []byte(whole)) != 1 {
		t.Fatal("where the guards are judged cannot be found any more")
	}
	less := bytes.Replace(source, []byte(whole), fmt.Appendf(nil, "return judge(slices.DeleteFunc(guardsOf(p), func(x guard) bool { return x.name == %q }), g, p, s)", guard), 1)
	dir := t.TempDir()
	gate := filepath.Join(dir, "guard.go")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{path: gate}})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	for name, body := range map[string][]byte{gate: less, overlay: list} {
		if err := os.WriteFile(name, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return overlay
}
