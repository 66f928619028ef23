package lambdahost_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"peerkeeper/shared/lambdahost/stand"
)

// forbidden is what has no business in a Lambda: it would cost start-up, or is
// a simulator.
func forbidden() map[string]string {
	return map[string]string{
		"peerkeeper/shared/clustersim":             "the simulator",
		"peerkeeper/shared/demo":                   "the demo",
		"peerkeeper/shared/host":                   "the one-machine host",
		"peerkeeper/shared/operator":               "what people decide at the command",
		"peerkeeper/shared/store/bolt":             "the one-machine store",
		"peerkeeper/shared/store/dynamo/emulator":  "the emulator",
		"peerkeeper/shared/lambdahost/stand":       "the test stand",
		"github.com/alecthomas/kong":               "the command",
		"go.etcd.io/bbolt":                         "the one-machine store",
		"modernc.org/sqlite":                       "the simulator's database",
		"github.com/goccy/go-yaml":                 "mesh.json needs no YAML reader",
		"html/template":                            "the page",
		"github.com/aws/aws-sdk-go-v2/config":      "8 ms of start-up",
		"github.com/aws/aws-sdk-go-v2/feature/ec2": "there is no instance metadata in a Lambda",
		"github.com/aws/aws-sdk-go-v2/service/sts": "the role comes with the environment",
		"testing":                                     "tests",
		"net/http/httptest":                           "tests",
		"github.com/aws/jsii-runtime-go":              "infra",
		"github.com/chromedp":                         "the page's tests",
		"peerkeeper/shared/alarm/webhook":             "the one-machine host's sink",
		"peerkeeper/shared/secret/file":               "the one-machine secrets",
		"peerkeeper/functions/peerkeeper":             "the command",
		"github.com/aws/aws-sdk-go-v2/service/lambda": "a function that starts functions",
	}
}

// onlyIn is what some functions have and others must not.
func onlyIn() map[string][]string {
	return map[string][]string{
		"github.com/aws/aws-sdk-go-v2/service/sns":            {"stucksync"},
		"github.com/miekg/dns":                                {"certcheck"},
		"github.com/aws/aws-sdk-go-v2/service/secretsmanager": {"peersync", "stucksync", "certcheck", "preflight", "peering"},
		"peerkeeper/shared/cluster":                           {"peersync", "stucksync", "certcheck", "preflight", "peering"},
		"peerkeeper/shared/repair":                            {"stucksync", "peering"},
	}
}

func dependencies(t *testing.T, pkg string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", stand.Tags, pkg)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

func within(dep, root string) bool { return dep == root || strings.HasPrefix(dep, root+"/") }

func TestWhatALambdaLinks(t *testing.T) {
	for _, name := range functions() {
		deps := dependencies(t, "./functions/"+name)
		for _, dep := range deps {
			for root, why := range forbidden() {
				if within(dep, root) {
					t.Errorf("%s links %s: %s", name, dep, why)
				}
			}
			for root, allowed := range onlyIn() {
				if within(dep, root) && !strings.Contains(strings.Join(allowed, " "), name) {
					t.Errorf("%s links %s, which is for %v alone", name, dep, allowed)
				}
			}
		}
	}
	// The check itself: the test stand has what a Lambda must not have.
	found := false
	for _, dep := range dependencies(t, "./shared/lambdahost/stand") {
		found = found || within(dep, "peerkeeper/shared/clustersim")
	}
	if !found {
		t.Error("the check finds nothing where there is something")
	}
}

// Two builds, the second from a copy of the source in another folder, are the
// same bytes, and so are the archives made of them.
func TestBuildsAreReproducible(t *testing.T) {
	first := bootstrap(t, "./functions/certcheck")
	copied := t.TempDir()
	for _, part := range []string{"functions", "shared"} {
		if err := os.CopyFS(filepath.Join(copied, part), os.DirFS(filepath.Join("../..", part))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, file), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(copied)
	second, err := stand.Build(t.Context(), t.TempDir(), "./functions/certcheck")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := archive(t, first), archive(t, second); a != b {
		t.Errorf("two builds differ: %x and %x", a, b)
	}
	// A guard that cannot fail guards nothing: another function differs.
	other, err := stand.Build(t.Context(), t.TempDir(), "./shared/lambdahost/testdata/clients/judges")
	if err != nil {
		t.Fatal(err)
	}
	if archive(t, first) == archive(t, other) {
		t.Error("two different programs have one hash")
	}
}

// archive is the hash of a zip of a bootstrap, made without times or owners.
func archive(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	h.SetMode(0o755)
	entry, err := w.CreateHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(entry, f); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b.Bytes())
}

// What is measured here is what is deployed: the Makefile builds with the same
// tags and flags.
func TestTheMakefileBuildsAlike(t *testing.T) {
	b, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]string{"TAGS": stand.Tags, "LEAN": stand.Lean}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, "=")
		want, ok := missing[strings.TrimSpace(name)]
		if !ok {
			continue
		}
		if got := strings.ReplaceAll(strings.TrimSpace(value), "'", ""); got != want {
			t.Errorf("the Makefile builds with %s, the tests with %s", got, want)
		}
		delete(missing, strings.TrimSpace(name))
	}
	for name := range missing {
		t.Errorf("the Makefile has no %s", name)
	}
}

// maxBinary bounds what a cold start has to load.
const maxBinary = 10_000_000 // bytes

func TestBinariesAreSmall(t *testing.T) {
	for _, name := range functions() {
		// As deployed: arm64 is some 7 % smaller than amd64.
		path, err := stand.Build(t.Context(), t.TempDir(), "./functions/"+name, "GOOS=linux", "GOARCH=arm64")
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f MB", name, float64(info.Size())/1e6)
		if info.Size() > maxBinary {
			t.Errorf("%s has %d bytes, more than %d", name, info.Size(), maxBinary)
		}
	}
}
