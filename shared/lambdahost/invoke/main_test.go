package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/lambdahost/stand"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store/dynamo/emulator"
)

func TestInvoke(t *testing.T) {
	path, err := stand.Build(t.Context(), t.TempDir(), "./functions/certcheck")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("../../..")
	t.Setenv("PEERKEEPER_TABLE", "")
	var out, logs bytes.Buffer
	code, err := invoke(t.Context(), []string{path}, &out, &logs)
	if missing, ok := errors.AsType[*emulator.MissingError](err); ok {
		t.Skip(missing)
	}
	if code != ok || err != nil {
		t.Fatalf("exit %d, %v\n%s", code, err, &logs)
	}
	var a run.Answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil || a.Function != "certcheck" || a.Clusters.Observed != 3 {
		t.Errorf("answer %s %v", &out, err)
	}
	if !strings.Contains(logs.String(), `"_aws"`) || !strings.Contains(logs.String(), "run completed") {
		t.Errorf("logs\n%s", &logs)
	}
}

func TestWrongUse(t *testing.T) {
	t.Setenv("PEERKEEPER_TABLE", "x") // no stand
	alien := filepath.Join(t.TempDir(), "peersync", "bootstrap")
	if err := os.MkdirAll(filepath.Dir(alien), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(alien, []byte("\x7fELF of another machine"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir("../../..")
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing":               {nil, "usage"},
		"two":                   {[]string{"a", "b"}, "usage"},
		"no event":              {[]string{"-event", "none.json", alien}, "none.json"},
		"for another machine":   {[]string{alien}, "GOARCH"},
		"no bootstrap is there": {[]string{"dist/peersync/none"}, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			code, err := invoke(t.Context(), c.args, &bytes.Buffer{}, &bytes.Buffer{})
			if code != usage || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("exit %d, %v", code, err)
			}
		})
	}
}

func TestOnlyWhatALambdaFindsIsPassedOn(t *testing.T) {
	got := passedOn([]string{"HOME=/root", "AWS_REGION=x", "AWS_LAMBDA_RUNTIME_API=y", "PEERKEEPER_TABLE=t", "PATH=/bin"})
	if diff := cmp.Diff([]string{"AWS_REGION=x", "PEERKEEPER_TABLE=t"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
