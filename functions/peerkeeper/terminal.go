package main

import (
	"bytes"
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

	"golang.org/x/term"

	"peerkeeper/shared/plain"
	"peerkeeper/shared/repair"
)

// terminal is where a verb's words go. Answers go to stdout, everything else to
// stderr. Its methods clean what they are given to say, so no verb can forget
// to: only a format's own words break a line. Text of several lines, and tables,
// are written to stdout by their verb, which cleans them.
type terminal struct {
	stdout, stderr io.Writer
	json           bool
	color          bool // of stdout
	live           bool // stderr is a terminal: a line may be written over
	asks           bool // somebody is there who can be asked
	stdin          io.Reader
	log            *slog.Logger
	privilege      repair.Privilege // of the plans that verbs have carried out
	screen         sync.Mutex       // a question and what is being waited for are not mixed

	listening sync.Once
	lines     chan string // typed, trimmed and in small letters; closed once somebody hung up
	hungUp    error       // why lines is closed
}

func newTerminal(stdin, stdout, stderr *os.File, env func(string) (string, bool)) *terminal {
	no, set := env("NO_COLOR")
	dumb, _ := env("TERM")
	bare := dumb == "dumb"
	return &terminal{
		stdout: &oneAtATime{w: stdout}, stderr: &oneAtATime{w: stderr},
		color: isTerminal(stdout) && (!set || no == "") && !bare,
		live:  isTerminal(stderr) && !bare,
		asks:  isTerminal(stdin) && isTerminal(stderr),
		stdin: stdin,
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
	t.log = slog.New(slog.NewTextHandler(t.stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: plain.LogAttr}))
}

// answer writes a verb's answer as JSON.
func (t *terminal) answer(v any) error { return t.encode(v, "  ") }

// line writes a value as one line of JSON, for verbs that keep talking.
func (t *terminal) line(v any) error { return t.encode(v, "") }

func (t *terminal) encode(v any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // "emea>apac" stays readable
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := t.stdout.Write(plain.JSON(b.Bytes()))
	return err
}

func (t *terminal) sayf(format string, args ...any) {
	fmt.Fprintf(t.stdout, format+"\n", plain.Args(args)...)
}

func (t *terminal) notef(format string, args ...any) {
	fmt.Fprintf(t.stderr, format+"\n", plain.Args(args)...)
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
		if !t.screen.TryLock() { // a question is on it
			next.Reset(redraw)
			continue
		}
		text := fmt.Sprintf("%s … %d s", clean(doing()), int(time.Since(began).Seconds()))
		if t.live {
			fmt.Fprint(t.stderr, "\r\x1b[K"+text)
			drawn = true
			next.Reset(redraw)
		} else {
			t.notef("%s", text)
			next.Reset(remind)
		}
		t.screen.Unlock()
	}
}

// confirm asks a question that is answered by yes or no; anything but yes is no, and what was typed before it was asked is no
// answer.
func (t *terminal) confirm(ctx context.Context, question string) (bool, error) {
	t.listening.Do(func() {
		t.lines = make(chan string, 1)
		go t.listen()
	})
	select {
	case <-t.lines: // typed ahead, when another question was on the screen or none
	default:
	}
	fmt.Fprintf(t.stderr, "%s [yes/no] ", clean(question))
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case line, ok := <-t.lines:
		if !ok {
			return false, fmt.Errorf("nobody answered: %w", t.hungUp)
		}
		return line == "yes" || line == "y", nil
	}
}

// prompt asks for one line, as it is typed; a secret is not shown, and its bytes are the caller's to clear. An interruption leaves
// the terminal as it was.
func (t *terminal) prompt(ctx context.Context, question string, secret bool) ([]byte, error) {
	keys, ok := t.stdin.(*os.File)
	if !ok || !t.asks {
		return nil, usagef("there is no terminal to ask at")
	}
	fd := int(keys.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("reading how the terminal is set: %w", err)
	}
	type typed struct {
		line []byte
		err  error
	}
	answer := make(chan typed, 1)
	go func() { // outlives an interruption, as the process does not
		var a typed
		if secret {
			a.line, a.err = term.ReadPassword(fd)
		} else {
			a.line, a.err = oneLine(keys)
		}
		answer <- a
	}()
	if secret {
		hidden(fd, before) // who types as soon as the question is there must not be shown
	}
	fmt.Fprintf(t.stderr, "%s ", clean(question))
	select {
	case <-ctx.Done():
		err := term.Restore(fd, before)
		fmt.Fprintln(t.stderr)
		return nil, errors.Join(ctx.Err(), err)
	case a := <-answer:
		if secret {
			fmt.Fprintln(t.stderr) // the line end was not shown either
		}
		if a.err != nil {
			return nil, fmt.Errorf("nobody answered: %w", a.err)
		}
		return a.line, nil
	}
}

// hidden waits until the terminal is set otherwise than before. One that showed nothing anyway never is, so it does not wait for ever.
func hidden(fd int, before *term.State) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		if now, err := term.GetState(fd); err != nil || *now != *before {
			return
		}
		<-tick.C
	}
}

// oneLine reads up to a line end and not a byte further: what follows may be a secret.
func oneLine(from io.Reader) ([]byte, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := from.Read(one)
		switch {
		case n == 1 && one[0] == '\n':
			return bytes.TrimRight(line, "\r"), nil
		case n == 1 && len(line) < 1000:
			line = append(line, one[0])
		}
		if err != nil {
			return nil, err
		}
	}
}

// listen takes the lines that are typed; of those for which nobody waits it keeps one. It outlives an interruption, as the
// process does not.
func (t *terminal) listen() {
	defer close(t.lines)
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := t.stdin.Read(one)
		if n == 1 && one[0] == '\n' {
			select {
			case t.lines <- strings.ToLower(strings.TrimSpace(string(line))):
			default:
			}
			line = nil
		} else if len(line) < 100 {
			line = append(line, one[:n]...)
		}
		if err != nil {
			t.hungUp = err
			return
		}
	}
}

// read gives all of stdin, or of what is longer one byte more than most. Somebody at a terminal is told first what is wanted;
// an interruption ends it.
func (t *terminal) read(ctx context.Context, most int64, wanted string) ([]byte, error) {
	if t.asks {
		t.notef("%s", wanted)
	}
	type read struct {
		text []byte
		err  error
	}
	all := make(chan read, 1)
	go func() { // outlives an interruption, as the process does not
		text, err := io.ReadAll(io.LimitReader(t.stdin, most+1))
		all <- read{text, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-all:
		return r.text, r.err
	}
}

// fixed is a wait's text that does not change.
func fixed(format string, args ...any) func() string {
	text := fmt.Sprintf(format, args...)
	return func() string { return text }
}

// clean makes text that came from a cluster harmless to a terminal, for what is
// not said by the terminal's own methods.
func clean(s string) string { return plain.Line(s, plain.Unbounded) }

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
