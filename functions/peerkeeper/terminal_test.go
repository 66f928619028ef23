package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitingIsSaidAfterTwoSeconds(t *testing.T) {
	for name, c := range map[string]struct {
		takes time.Duration
		live  bool
		want  string
	}{
		"short":                 {takes: time.Second, want: ""},
		"short, on a terminal":  {takes: time.Second, live: true, want: ""},
		"long, into a file":     {takes: 8 * time.Second, want: "asking … 2 s\nasking … 7 s\n"},
		"longer, on a terminal": {takes: 2500 * time.Millisecond, live: true, want: strings.Repeat("\r\x1b[Kasking … 2 s", 3) + "\r\x1b[K"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stderr bytes.Buffer
				term := &terminal{stderr: &stderr, live: c.live}
				gone := errors.New("gone")
				err := term.wait(t.Context(), fixed("asking"), func(ctx context.Context) error {
					time.Sleep(c.takes)
					return gone
				})
				if !errors.Is(err, gone) || stderr.String() != c.want {
					t.Errorf("said %q, want %q (%v)", stderr.String(), c.want, err)
				}
			})
		})
	}
}

func TestFailGivesTheExitCode(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
		says string
	}{
		"nothing":                {nil, 0, ""},
		"a problem, said before": {problem{}, 1, ""},
		"a failure":              {errors.New("the disk is full"), 1, "peerkeeper: the disk is full\n"},
		"a mistake":              {usagef("no such file"), 2, "peerkeeper: no such file\n"},
		"a mistake among others": {errors.Join(errors.New("a"), usagef("b")), 2, "peerkeeper: a\npeerkeeper: b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := (&terminal{stderr: &stderr}).fail(c.err); code != c.code || stderr.String() != c.says {
				t.Errorf("code %d, said %q", code, stderr.String())
			}
		})
	}
}

func TestSuggest(t *testing.T) {
	have := []string{"emea", "apac", "amer"}
	for name, want := range map[string]string{
		"apca":  "did you mean apac?",
		"EMEA":  "did you mean emea?",
		"amers": "did you mean amer?",
		"latam": "there are emea, apac, amer",
		"":      "there are emea, apac, amer",
	} {
		if got := suggest(name, have); got != want {
			t.Errorf("suggest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestTextFromClustersIsHarmless(t *testing.T) {
	if got := clean("a\x1b[31m\u202eb\nc"); strings.ContainsAny(got, "\x1b\n\u202e") {
		t.Errorf("%q", got)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script := must(t, 0, ".", "completion", shell)
		for _, word := range []string{"explain", "certs", "accept", "certcheck", "check-credentials"} {
			if !strings.Contains(script, word) {
				t.Errorf("%s: %s is missing", shell, word)
			}
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // its syntax is then not checked
		}
		check := exec.CommandContext(t.Context(), path, "-n")
		check.Stdin = strings.NewReader(script)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s -n: %v\n%s", shell, err, out)
		}
	}
}

func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	script := must(t, 0, ".", "completion", "bash")
	for line, want := range map[string][]string{
		"peerkeeper ":                 {"demo", "status", "trust"},
		"peerkeeper ex":               {"explain"},
		"peerkeeper check ":           {"certs"},
		"peerkeeper trust acc":        {"accept"},
		"peerkeeper run --once peers": {"peersync"},
		"peerkeeper status --sta":     {"--state"},
		"peerkeeper check certs --no": {"--now"},
		"peerkeeper completion ":      {"bash", "zsh", "fish"},
		"peerkeeper peering ch":       {"check-credentials"},
	} {
		cmd := exec.CommandContext(t.Context(), bash, "-c", script+`
COMP_WORDS=($LINE); case "$LINE" in *" ") COMP_WORDS+=("") ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _peerkeeper; printf '%s\n' "${COMPREPLY[@]}"`)
		cmd.Env = append(os.Environ(), "LINE="+line)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", line, err, out)
		}
		got := strings.Fields(string(out))
		for _, w := range want {
			if !contains(got, w) {
				t.Errorf("%q completes to %v, without %s", line, got, w)
			}
		}
		if len(want) == 1 && len(got) != 1 {
			t.Errorf("%q completes to %v", line, got)
		}
	}
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

// typist types when a question is on the screen, as a person does: what is there before is
// typed ahead, and no answer.
type typist struct {
	screen bytes.Buffer
	keys   *io.PipeWriter
	types  string
	leaves bool // after that
}

func (p *typist) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("[yes/no]")) {
		go func() {
			_, _ = io.WriteString(p.keys, p.types)
			if p.leaves {
				_ = p.keys.Close()
			}
		}()
	}
	return p.screen.Write(b)
}

// Anything but yes is no, and who hangs up has not said yes.
func TestOnlyYesIsYes(t *testing.T) {
	at := func(p *typist) *terminal {
		keyboard, keys := io.Pipe()
		t.Cleanup(func() { _ = keys.Close() })
		p.keys = keys
		return &terminal{stdin: keyboard, stderr: p}
	}
	for answer, want := range map[string]bool{"yes\n": true, "Y\n": true, " YES \r\n": true, "no\n": false, "\n": false, "yesterday\n": false, strings.Repeat("yes", 100) + "\n": false} {
		person := &typist{types: answer}
		got, err := at(person).confirm(t.Context(), "Is this\x1b[2J it?")
		if got != want || err != nil {
			t.Errorf("%q: %v, %v", answer, got, err)
		}
		if said := person.screen.String(); strings.Contains(said, "\x1b") {
			t.Errorf("the question was not cleaned: %q", said)
		}
	}
	if got, err := at(&typist{types: "yes", leaves: true}).confirm(t.Context(), "?"); got || err == nil {
		t.Errorf("hung up: %v, %v", got, err)
	}
	person := &typist{types: "yes\n"}
	asked := at(person)
	if got, err := asked.confirm(t.Context(), "?"); !got || err != nil {
		t.Errorf("the first question: %v, %v", got, err)
	}
	_, _ = io.WriteString(person.keys, "yes\n")
	eventually(t, "the second line", func() bool { return len(asked.lines) == 1 })
	person.types = "no\n"
	if got, err := asked.confirm(t.Context(), "?"); got || err != nil {
		t.Errorf("typed ahead of the second question: %v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, w := io.Pipe()
	defer w.Close()
	if got, err := (&terminal{stdin: r, stderr: io.Discard}).confirm(ctx, "?"); got || !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v, %v", got, err)
	}
}
