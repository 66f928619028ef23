package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain builds the command once; the tests run it as people do.
func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if role := os.Getenv(roleVariable); role != "" {
		if err := playRole(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "peerkeeper-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "peerkeeper"), ".")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the command:", err)
		return 1
	}
	if err := os.Setenv(binaryVariable, filepath.Join(dir, "peerkeeper")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

const binaryVariable = "PEERKEEPER_TEST_BINARY"

// A program is one run of the command.
type program struct {
	*exec.Cmd
	out, err lockedBuffer
	done     chan struct{}
}

// start runs the command in dir, with nothing of our own environment in its
// way.
func start(t testing.TB, dir string, args ...string) *program {
	t.Helper()
	return startCommand(t, dir, exec.Command(os.Getenv(binaryVariable), args...))
}

func startCommand(t testing.TB, dir string, cmd *exec.Cmd) *program {
	t.Helper()
	return startOn(t, dir, cmd, nil)
}

// startOn runs a command on a terminal, if one is given.
func startOn(t testing.TB, dir string, cmd *exec.Cmd, terminal *os.File) *program {
	t.Helper()
	p := &program{Cmd: cmd, done: make(chan struct{})}
	p.Dir = dir
	p.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PEERKEEPER_") })
	p.Stdout, p.Stderr = &p.out, &p.err
	if terminal != nil {
		p.Stdout, p.Stderr = terminal, terminal
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Wait() // the exit code is read from ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.done
	})
	return p
}

// code waits for the end.
func (p *program) code(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
		return p.ProcessState.ExitCode()
	case <-time.After(5 * time.Minute):
		t.Fatalf("peerkeeper %v does not end\n%s\n%s", p.Args[1:], p.out.String(), p.err.String())
		return -1
	}
}

// end asks a program that runs until it is told to stop to do so.
func (p *program) end(t testing.TB, sig os.Signal) int {
	t.Helper()
	if err := p.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	return p.code(t)
}

func run1(t testing.TB, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	p := start(t, dir, args...)
	code = p.code(t)
	return p.out.String(), p.err.String(), code
}

// must runs a command line that has to end with the given code.
func must(t testing.TB, want int, dir string, args ...string) string {
	t.Helper()
	out, errs, code := run1(t, dir, args...)
	if code != want {
		t.Fatalf("peerkeeper %s: exit %d, want %d\n%s\n%s", strings.Join(args, " "), code, want, out, errs)
	}
	return out
}

// mustJSON also decodes the answer, which must be all there is on stdout.
func mustJSON[T any](t testing.TB, want int, dir string, args ...string) T {
	t.Helper()
	out := must(t, want, dir, append(args, "--json")...)
	return decode[T](t, out)
}

func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one JSON value on stdout:\n%s", text)
	}
	return v
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// eventually waits for a condition of another process.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	end := time.Now().Add(5 * time.Minute)
	for !holds() {
		if time.Now().After(end) {
			t.Fatalf("in vain: waiting for %s", what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// simulator is a `peerkeeper sim` in a process of its own.
type simulator struct {
	*program
	dir   string
	admin string
}

func simulate(t testing.TB, args ...string) *simulator {
	t.Helper()
	s := &simulator{dir: t.TempDir()}
	s.program = start(t, s.dir, append([]string{"sim", "--dir", "."}, args...)...)
	eventually(t, "the simulator", func() bool {
		select {
		case <-s.done:
			t.Fatalf("the simulator ended: %s", s.err.String())
		default:
		}
		return strings.Contains(s.out.String(), "ready\n")
	})
	b, err := os.ReadFile(filepath.Join(s.dir, "admin.json"))
	if err != nil {
		t.Fatal(err)
	}
	s.admin = decode[struct{ URL string }](t, string(b)).URL
	return s
}

// post breaks or mends something.
func (s *simulator) post(t testing.TB, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.admin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: time.Minute}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusNoContent {
		t.Fatalf("POST %s %s: %s %s %v", path, body, res.Status, text, err)
	}
}

// edit changes mesh.yaml.
func (s *simulator) edit(t testing.TB, old, replacement string) {
	t.Helper()
	name := filepath.Join(s.dir, "mesh.yaml")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		t.Fatalf("mesh.yaml has no %q:\n%s", old, b)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(b), old, replacement, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// look runs every function once.
func (s *simulator) look(t testing.TB) {
	t.Helper()
	for _, f := range []string{"peersync", "certcheck", "stucksync"} {
		must(t, 0, s.dir, "run", "--once", f)
	}
}

// said reads a JSON-lines file of alarms. A line that a killed process left
// half written is passed over: the notice comes again, whole.
func said(t testing.TB, name string) []notice {
	t.Helper()
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []notice
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var n notice
		if json.Unmarshal(lines.Bytes(), &n) == nil {
			out = append(out, n)
		}
	}
	return out
}

type notice struct {
	Name, State, Peer, Cluster, Fingerprint string
	Transition                              int
}

func get(ctx context.Context, url, hostHeader string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	req.Host = hostHeader
	client := http.Client{Timeout: time.Minute}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

var endings = [...]os.Signal{syscall.SIGTERM, os.Interrupt}
