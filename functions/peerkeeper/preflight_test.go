package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const pastedHA = "admin:utils ha status\r\nSubcluster Name: DefaultCUPSubcluster\r\nNode 1 Name : imp-emea-pub State: Normal Reason: On Administrator Request\r\nNode 2 Name : imp-emea-sub State: Normal Reason: On Administrator Request\r\nadmin:"

// inAMesh is a folder with a mesh.yaml, and nothing known of it.
func inAMesh(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "meshes", "two-clusters.yaml"))
	if err == nil {
		mesh := strings.ReplaceAll(string(text), "ca: ca.pem", "pins: ['sha256:"+strings.Repeat("0a", 32)+"']")
		err = os.WriteFile(filepath.Join(dir, "mesh.yaml"), []byte(mesh), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// paste gives a text to preflight paste through a pipe.
func paste(t *testing.T, dir, text string, args ...string) *program {
	t.Helper()
	cmd := exec.Command(os.Getenv(binaryVariable), append([]string{"preflight", "paste"}, args...)...)
	cmd.Stdin = strings.NewReader(text)
	return startCommand(t, dir, cmd)
}

func TestWhatIsPastedIsTakenOrRefused(t *testing.T) {
	dir := inAMesh(t)
	const pub = "imp-emea-pub.example.com"
	binary, err := os.ReadFile(os.Getenv(binaryVariable))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, node, text, says string
	}{
		{"nothing", pub, "", "nothing was pasted"},
		{"half an answer", pub, pastedHA[:strings.LastIndex(pastedHA, "State")], "line 4: the answer of `utils ha status` breaks off"},
		{"another node's", "imp-apac-pub.example.com", pastedHA, "speaks of imp-emea-pub, imp-emea-sub, and apac has no such node (emea has)"},
		{"another command's", pub, "admin:utils service list\nCisco Tomcat[STARTED]\n", "`utils users validate all`"},
		{"a program", pub, string(binary[:1<<20]), "the answer of none of the commands"},
		{"ten megabytes", pub, strings.Repeat("Cisco Tomcat[STARTED]\n", 500_000), "more than 4 MB"},
		{"for no node", "imp-emea-pup.example.com", pastedHA, "did you mean imp-emea-pub.example.com?"},
	} {
		p := paste(t, dir, c.text, c.node)
		if code := p.code(t); code != 2 || !strings.Contains(p.err.String(), c.says) || p.out.String() != "" {
			t.Errorf("%s: exit %d\n%s\n%s", c.name, code, p.out.String(), p.err.String())
		}
	}
	// Two people, each with an answer of their own.
	one := paste(t, dir, pastedHA, pub)
	other := paste(t, dir, "imp-emea-pub 192.0.2.1 0.1 Y/Y/Y 0 (g_2) (2) Setup Completed\n", pub)
	if one.code(t) != 0 || other.code(t) != 0 {
		t.Fatalf("%s\n%s", one.err.String(), other.err.String())
	}
	if out := one.out.String(); !strings.Contains(out, "taken as the answer of `utils ha status`") || !strings.Contains(out, "  imp-emea-sub: Normal Reason: On Administrator Request\n") {
		t.Errorf("it says\n%s", out)
	}
	history := mustJSON[struct {
		Entries []struct{ Intent, Evidence string }
	}](t, 0, dir, "history")
	var kept []string
	for _, h := range history.Entries {
		if h.Intent != "preflight paste "+pub {
			t.Errorf("%+v", h)
		}
		kept = append(kept, h.Evidence)
	}
	slices.Sort(kept)
	if !slices.Equal(kept, []string{"utils dbreplication runtimestate", "utils ha status"}) {
		t.Errorf("kept %q", kept)
	}
}
