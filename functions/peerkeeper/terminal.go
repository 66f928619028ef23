package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"
)

// terminal is where a verb's words go. Answers go to stdout, everything else to
// stderr.
type terminal struct {
	stdout, stderr io.Writer
	json           bool
	color          bool // of stdout
	live           bool // stderr is a terminal: a line may be written over
	log            *slog.Logger
}

func newTerminal(stdout, stderr *os.File, env func(string) (string, bool)) *terminal {
	no, set := env("NO_COLOR")
	dumb, _ := env("TERM")
	plain := dumb == "dumb"
	return &terminal{
		stdout: &oneAtATime{w: stdout}, stderr: &oneAtATime{w: stderr},
		color: isTerminal(stdout) && (!set || no == "") && !plain,
		live:  isTerminal(stderr) && !plain,
		log:   slog.New(slog.DiscardHandler),
	}
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// begin applies the flags that every verb has.
func (t *terminal) begin(json, verbose bool) {
	t.json = json
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelDebug
	}
	t.log = slog.New(slog.NewTextHandler(t.stderr, &slog.HandlerOptions{Level: level}))
}

// answer writes a verb's answer as JSON.
func (t *terminal) answer(v any) error {
	e := json.NewEncoder(t.stdout)
	e.SetEscapeHTML(false) // "emea>apac" stays readable
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// line writes a value as one line of JSON, for verbs that keep talking.
func (t *terminal) line(v any) error {
	e := json.NewEncoder(t.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (t *terminal) sayf(format string, args ...any) {
	fmt.Fprintf(t.stdout, format+"\n", args...)
}

func (t *terminal) notef(format string, args ...any) {
	fmt.Fprintf(t.stderr, format+"\n", args...)
}

// fail says what is wrong, if that has not been said yet, and gives the exit
// code.
func (t *terminal) fail(err error) int {
	var found problem
	var use usage
	switch {
	case err == nil:
		return 0
	case errors.As(err, &found):
		return 1
	}
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		t.notef("peerkeeper: %s", line)
	}
	if errors.As(err, &use) {
		return 2
	}
	return 1
}

const (
	patience = 2 * time.Second // before anything is said about waiting
	redraw   = 200 * time.Millisecond
	remind   = 5 * time.Second // where no line can be written over
)

// wait does something that may take long, and says on stderr what is being
// waited for once it takes longer than two seconds. doing is asked again and
// again.
func (t *terminal) wait(ctx context.Context, doing func() string, do func(context.Context) error) error {
	stop := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() { t.show(stop, doing) })
	err := do(ctx)
	close(stop)
	shown.Wait()
	return err
}

func (t *terminal) show(stop <-chan struct{}, doing func() string) {
	began := time.Now()
	next := time.NewTimer(patience)
	defer next.Stop()
	drawn := false
	for {
		select {
		case <-stop:
			if drawn {
				fmt.Fprint(t.stderr, "\r\x1b[K")
			}
			return
		case <-next.C:
		}
		text := fmt.Sprintf("%s … %d s", doing(), int(time.Since(began).Seconds()))
		if t.live {
			fmt.Fprint(t.stderr, "\r\x1b[K"+text)
			drawn = true
			next.Reset(redraw)
			continue
		}
		t.notef("%s", text)
		next.Reset(remind)
	}
}

// fixed is a wait's text that does not change.
func fixed(format string, args ...any) func() string {
	text := fmt.Sprintf(format, args...)
	return func() string { return text }
}

// clean makes text that came from a cluster harmless to a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// oneAtATime keeps lines of several goroutines whole.
type oneAtATime struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *oneAtATime) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}
