package emulator

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// standIn puts a docker command on the PATH that notes what it is told and
// answers for an engine; the container is a server of the test's own.
func standIn(t *testing.T, engine bool, port string) (told func() string) {
	t.Helper()
	dir := t.TempDir()
	notes := filepath.Join(dir, "notes")
	version := "echo 29.0.0"
	if !engine {
		version = "echo Cannot connect to the Docker daemon >&2; exit 1"
	}
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%s\ncase $1 in\nversion) %s;;\nrun) echo 0123abcd;;\nport) echo %s;;\nrm) ;;\n*) exit 64;;\nesac\n", notes, version, port)
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv(Variable, "")
	return func() string {
		b, err := os.ReadFile(notes)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

func TestWithoutMotoServerItsImageIsRun(t *testing.T) {
	moto := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer moto.Close()
	told := standIn(t, true, strings.TrimPrefix(moto.URL, "http://"))
	e, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := ask(t, e.URL, putItem, `{}`); status != http.StatusOK {
		t.Errorf("behind the proxy: %d", status)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if got := told(); !strings.Contains(got, "--publish 127.0.0.1::5000 motoserver/moto\n") || !strings.HasSuffix(got, "rm --force 0123abcd\n") {
		t.Errorf("docker was told\n%s", got)
	}
}

func TestADockerWithoutItsEngineIsNoEmulator(t *testing.T) {
	told := standIn(t, false, "")
	_, err := Start(t.Context())
	if _, ok := errors.AsType[*MissingError](err); !ok {
		t.Errorf("it said %v", err)
	}
	if got := told(); strings.Contains(got, "run") {
		t.Errorf("docker was told\n%s", got)
	}
}
