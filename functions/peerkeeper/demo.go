package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"peerkeeper/shared/demo"
	"peerkeeper/shared/listener"
	"peerkeeper/testdata/scenarios"
)

// The story speaks of emea, apac and amer, and takes 100 users of one of them
// back.
const (
	storyClusters = 3
	storyUsers    = 120
)

// scenariosHere is where the story is read from when it is there, so that
// a person who edits it in a checkout sees what comes of it.
const scenariosHere = "testdata/scenarios"

type demoVerb struct {
	Clusters  int    `help:"How many clusters; the story is about the first three." default:"3" placeholder:"N"`
	Users     int    `help:"Users at home in each cluster." default:"200" placeholder:"N"`
	Once      bool   `help:"Play the story to its end as fast as it goes, without a page, and say whether all went as written."`
	Listen    string `help:"Where the page is served, on this machine only." default:"127.0.0.1:8080" env:"PEERKEEPER_LISTEN" placeholder:"HOST:PORT"`
	Scenarios string `help:"Folder with the story; default ./testdata/scenarios if there is one, else the built-in story." placeholder:"DIR"`
	Dir       string `help:"Keep mesh.yaml, secrets, state and alarms here; default a temporary folder, removed at the end." placeholder:"DIR"`
}

// Help is what peerkeeper demo --help teaches.
func (demoVerb) Help() string {
	return `Starts simulated clusters on real TLS sockets of this machine, watches them on a fast clock (a sync interval takes 15 s), breaks and mends one thing after the other, and serves the page.
It never leaves this machine, needs no account, and touches no cluster of yours.

Examples:

  peerkeeper demo                   # then open http://127.0.0.1:8080
  peerkeeper demo --once            # the whole story, in a minute or two
  peerkeeper demo --once --json     # {steps, alarms, ok}; exit 1 names each difference
  peerkeeper demo --dir ./demo      # and afterwards: peerkeeper status --mesh demo/mesh.yaml --state demo/state.db`
}

// Run plays the demo.
func (d *demoVerb) Run(ctx context.Context, t *terminal) (err error) {
	if d.Clusters < storyClusters {
		return usagef("--clusters %d: the story speaks of emea, apac and amer, so it needs at least %d clusters", d.Clusters, storyClusters)
	}
	if d.Users < storyUsers {
		return usagef("--users %d: the story loses 100 users to a restored backup, so it needs at least %d", d.Users, storyUsers)
	}
	if d.Once && d.Clusters != storyClusters {
		return usagef("--clusters %d: --once checks the story, which is written for %d clusters: leave --clusters out, or watch a larger mesh without --once", d.Clusters, storyClusters)
	}
	story, err := d.story()
	if err != nil {
		return err
	}
	played := demo.Demo{Clusters: d.Clusters, Users: d.Users, Story: story, Log: t.log, Dir: d.Dir, Privilege: t.privilege}
	if d.Dir == "" {
		if played.Dir, err = os.MkdirTemp("", "peerkeeper-demo-"); err != nil {
			return usagef("no temporary folder can be made: %w; name one with --dir", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(played.Dir)) }()
	}
	if d.Once {
		return d.once(ctx, t, played)
	}
	return d.watch(ctx, t, played)
}

func (d *demoVerb) story() (demo.Story, error) {
	var from fs.FS = scenarios.Files
	name := "the built-in story"
	switch {
	case d.Scenarios != "":
		from, name = os.DirFS(d.Scenarios), d.Scenarios
	default:
		if info, err := os.Stat(scenariosHere); err == nil && info.IsDir() {
			from, name = os.DirFS(scenariosHere), scenariosHere
		}
	}
	story, err := demo.LoadStory(from)
	if err != nil {
		return story, usagef("%s: %w", name, err)
	}
	return story, nil
}

func (d *demoVerb) watch(ctx context.Context, t *terminal, played demo.Demo) error {
	l, err := listener.Open(ctx, listener.Config{Address: d.Listen, Local: "demo", Log: t.log})
	if err != nil {
		return usage{err}
	}
	defer l.Close()
	url := l.URL()
	played.Out = t.stdout
	if t.json {
		played.Out = t.stderr
		if err := t.line(map[string]string{"url": url, "dir": played.Dir}); err != nil {
			return err
		}
	} else {
		t.sayf("Peerkeeper watches a simulated mesh of %d clusters, %d times as fast as time.", d.Clusters, demo.Rate)
		t.sayf("Page: %s   Files: %s   End: Ctrl-C\n", url, played.Dir)
	}
	return ended(ctx, played.Watch(ctx, l))
}

// ended turns the end of a verb that runs until it is told to stop into no
// error.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}

func (d *demoVerb) once(ctx context.Context, t *terminal, played demo.Demo) error {
	said := &newestLine{next: io.Discard}
	if !t.json {
		said.next = t.stdout
	}
	played.Out = said
	var result demo.Result
	err := t.wait(ctx, func() string { return "playing the story" + said.step() }, func(ctx context.Context) (err error) {
		result, err = played.PlayOnce(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, difference := range result.Differences() {
		t.notef("peerkeeper: %s", difference)
	}
	if t.json {
		if err := t.answer(result); err != nil {
			return err
		}
	}
	if !result.OK {
		return problem{}
	}
	if !t.json {
		t.sayf("\nThe story went as written: %d steps, %d alarms, each raised once and cleared once.", len(result.Steps), len(result.Alarms))
	}
	return nil
}

// newestLine passes text on and remembers the heading that came last.
type newestLine struct {
	next io.Writer
	mu   sync.Mutex
	head string
}

func (n *newestLine) Write(p []byte) (int, error) {
	if _, head, ok := strings.Cut(string(p), "— "); ok {
		n.mu.Lock()
		n.head = strings.TrimSpace(head)
		n.mu.Unlock()
	}
	return n.next.Write(p)
}

func (n *newestLine) step() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.head == "" {
		return ""
	}
	return fmt.Sprintf(": %s", n.head)
}
