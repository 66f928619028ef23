// Package demo is a simulated mesh on this machine and what is played on it: the
// files by which a client knows it, its clock, and stories, each of which breaks
// something, says what Peerkeeper must show, and mends it.
//
// A host watches it as it would a real one. Nothing leaves this machine.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/host"
	"peerkeeper/shared/listener"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret/file"
	"peerkeeper/shared/store/bolt"
)

// Demo plays a story on a simulated mesh on this machine.
type Demo struct {
	Clusters, Users int
	Story           Story
	Out             io.Writer // what happens, as it happens; nil = nowhere
	Log             *slog.Logger
	Dir             string // where mesh.yaml, secrets, state and alarms go
	// Privilege is the right of plans to do what signs people out.
	Privilege repair.Privilege
}

// Rate is how much faster than the wall the watched demo runs: a sync interval
// of 30 min takes 15 s.
const Rate = 120

// Short deadlines: everything is on this machine.
const (
	timeout    = 5 * time.Second // only a machine at its limits needs it
	dnsTimeout = 700 * time.Millisecond
	backoff    = 20 * time.Millisecond
)

// PlayOnce plays the story on a stepped clock to its end, each chapter on a mesh
// of its own; Dir keeps the files of the first.
func (d Demo) PlayOnce(ctx context.Context) (Result, error) {
	all := Result{Alarms: []AlarmResult{}, OK: true}
	for i, chapter := range d.Story.Chapters {
		if i > 0 {
			d.Dir = filepath.Join(d.Dir, chapter.Name)
		}
		one, err := d.playOnce(ctx, chapter)
		all.Steps, all.Alarms, all.OK = append(all.Steps, one.Steps...), append(all.Alarms, one.Alarms...), all.OK && one.OK
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

func (d Demo) playOnce(ctx context.Context, chapter Chapter) (Result, error) {
	clock := NewStepped(time.Now().UTC().Truncate(time.Hour))
	set, err := d.build(chapter, clock, mesh.Clock{Epoch: clock.Now(), Rate: 1})
	if err != nil {
		return Result{}, err
	}
	defer set.sim.Close()
	due := map[string]time.Time{}
	runDue := func(ctx context.Context) error {
		for _, s := range host.Schedules() {
			if at, ok := due[s.Function]; ok && clock.Now().Before(at) {
				continue
			}
			due[s.Function] = s.Next(clock.Now())
			if _, err := set.host.Handle(ctx, run.Request{Function: s.Function}); err != nil {
				return err
			}
		}
		return nil
	}
	set.stage.write = func(keys map[string]any) error {
		clear(due) // a host that is started runs everything
		return errors.Join(set.writeMesh(keys), set.startHost())
	}
	set.stage.pass = func(ctx context.Context, span time.Duration) error {
		end := clock.Now().Add(span)
		for {
			if err := runDue(ctx); err != nil {
				return err
			}
			next := end
			if at := set.sim.Next(); !at.IsZero() && at.Before(next) {
				next = at
			}
			for _, at := range due {
				if at.Before(next) {
					next = at
				}
			}
			if !clock.Now().Before(end) {
				return ctx.Err()
			}
			clock.Set(next)
			set.sim.Step(clock.Now())
		}
	}
	return set.stage.play(ctx, chapter)
}

// Watch runs the demo on a fast clock with its page served at l, playing the
// story's first chapter over and over until the context ends.
func (d Demo) Watch(ctx context.Context, l *listener.Listener) error {
	fast, chapter := host.Fast{Clock: mesh.Clock{Epoch: time.Now().UTC(), Rate: Rate}}, d.Story.Chapters[0]
	set, err := d.build(chapter, fast, fast.Clock)
	if err != nil {
		return err
	}
	defer set.sim.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var once sync.Once
	judged := make(chan struct{}) // so that the page is full when the story begins
	done := make(chan error, 4)
	var page atomic.Pointer[http.Handler]
	start := func() (stop func()) {
		h := set.host
		h.Ran = func(a run.Answer, err error) {
			switch {
			case err == nil && a.Function == "stucksync":
				once.Do(func() { close(judged) })
			case err != nil && ctx.Err() == nil:
				set.stage.tell("  %v", err)
			}
		}
		view := dashboard.Page{Source: set.stage.source, Now: fast.Now, Hosts: l.Hosts(), Note: fmt.Sprintf("Demo: a simulated mesh on a clock %d times as fast as yours.", Rate)}
		served := view.Handler()
		page.Store(&served)
		ctx, cancel := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			done <- h.Run(ctx)
			close(ended)
		}()
		return func() { cancel(); <-ended }
	}
	set.stage.pass = func(ctx context.Context, span time.Duration) error {
		return fast.Until(ctx, fast.Now().Add(span))
	}
	end := start()
	set.stage.write = func(keys map[string]any) error {
		if err := set.writeMesh(keys); err != nil {
			return err
		}
		end()
		if err := set.startHost(); err != nil {
			return err
		}
		end = start()
		return nil
	}
	go func() { done <- Drive(ctx, set.sim, fast) }()
	go func() {
		done <- l.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*page.Load()).ServeHTTP(w, r) }))
	}()
	go func() {
		select {
		case <-judged:
		case <-ctx.Done():
		}
		for ctx.Err() == nil {
			if _, err := set.stage.play(ctx, chapter); err != nil {
				done <- err
				return
			}
			set.stage.tell("— the story is over and begins again")
		}
		done <- ctx.Err()
	}()
	for {
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// set is a mesh with the host that watches it and the stage of its story.
type set struct {
	sim   *clustersim.Sim
	host  *host.Host
	stage *stage
	// startHost begins with mesh.yaml as it stands, as a person's `peerkeeper run` does.
	startHost func() error
	dir       string
}

// build starts a simulated mesh and a host that knows it only through the
// files that `peerkeeper sim` writes.
func (d Demo) build(chapter Chapter, clock host.Clock, written mesh.Clock) (*set, error) {
	var own Mesh
	if chapter.Mesh != nil {
		own = *chapter.Mesh
	}
	sim, err := clustersim.New(clustersim.Config{
		Clusters: cmp.Or(own.Clusters, d.Clusters), Apart: own.Apart, Release: own.Release, Users: cmp.Or(own.Users, d.Users),
		Clock: clock, Seed: 1, Epoch: written.Epoch, Rate: written.Rate, LogSeverity: own.LogSeverity,
	})
	if err != nil {
		return nil, err
	}
	if err := sim.Start(); err != nil {
		return nil, errors.Join(err, sim.Close())
	}
	for _, c := range sim.State().Clusters {
		if err := sim.Change(c.ID, clustersim.Notification{OnChange: &own.Bells}); err != nil {
			return nil, errors.Join(err, sim.Close())
		}
	}
	s, err := d.equip(sim, own, clock)
	if err != nil {
		return nil, errors.Join(err, sim.Close())
	}
	return s, nil
}

func (d Demo) equip(sim *clustersim.Sim, own Mesh, clock host.Clock) (*set, error) {
	if err := WriteFiles(sim, "", d.Dir); err != nil {
		return nil, err
	}
	state, err := bolt.Open(filepath.Join(d.Dir, "state.db"))
	if err != nil {
		return nil, err
	}
	state.Now = clock.Now
	salt, err := file.LoadSalt(filepath.Join(d.Dir, "salt"))
	if err != nil {
		return nil, err
	}
	tell := func(format string, args ...any) {
		if d.Out != nil {
			fmt.Fprintf(d.Out, clock.Now().UTC().Format("15:04 ")+format+"\n", args...)
		}
	}
	said := &collector{}
	sinks := []alarm.Sink{said, &alarm.Lines{Path: filepath.Join(d.Dir, "alarms.jsonl")}}
	if d.Out != nil {
		sinks = append(sinks, &alarm.Writer{W: d.Out})
	}
	secrets := filepath.Join(d.Dir, "secrets.json")
	st := &stage{sim: sim, said: said, tell: tell}
	s := &set{sim: sim, stage: st, dir: d.Dir}
	s.startHost = func() error {
		m, err := meshfile.Load(filepath.Join(d.Dir, meshYAML))
		if err != nil {
			return err
		}
		if own.NoDialect {
			m.Dialect = nil
		}
		s.host = &host.Host{Mesh: m, Store: state, Secrets: &file.Source{Path: secrets, Salt: salt}, Sinks: sinks, Clock: clock, Log: d.Log, Timeout: timeout, DNSTimeout: dnsTimeout, Backoff: backoff, Privilege: d.Privilege}
		st.operator, st.source = operator.Operator{Mesh: m, Store: state, Now: clock.Now, Actor: "demo"}, dashboard.Source{Store: state, Mesh: m}
		return nil
	}
	call := func(function string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.host.Handle(ctx, run.Request{Function: function})
			return err
		}
	}
	st.preflight, st.hear = call("preflight"), call("peering")
	st.secrets = func(id mesh.ClusterID) error { return renewSecret(sim, secrets, string(id)+"/read") }
	return s, s.startHost()
}
