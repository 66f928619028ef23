package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/listener"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
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
}

// Rate is how much faster than the wall the watched demo runs: a sync interval
// of 30 min takes 15 s.
const Rate = 120

// Short deadlines: everything is on this machine.
const (
	demoTimeout = 5 * time.Second // only a machine at its limits needs it
	demoDNS     = 700 * time.Millisecond
	demoBackoff = 20 * time.Millisecond
)

// demoCertcheck is how often the demo looks at certificates: a story is too
// short for every 6 h.
const demoCertcheck = 30 * time.Minute

// PlayOnce plays the story on a stepped clock to its end.
func (d Demo) PlayOnce(ctx context.Context) (Result, error) {
	clock := NewStepped(time.Now().UTC().Truncate(time.Hour))
	set, err := d.build(clock, mesh.Clock{Epoch: clock.Now(), Rate: 1})
	if err != nil {
		return Result{}, err
	}
	defer set.sim.Close()
	due := map[string]time.Time{}
	runDue := func(ctx context.Context) error {
		for _, f := range set.host.Functions() {
			f.Schedule = demoSchedule(f.Schedule)
			if at, ok := due[f.Function]; ok && clock.Now().Before(at) {
				continue
			}
			due[f.Function] = Next(f.Schedule, clock.Now())
			if _, err := set.host.run(ctx, f, run.Request{Mesh: set.host.Mesh.Name, Function: f.Function}); err != nil {
				return err
			}
		}
		return nil
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
	return set.stage.play(ctx, d.Story)
}

func demoSchedule(s run.Schedule) run.Schedule {
	if s.Function == "certcheck" {
		s.Period = demoCertcheck
	}
	return s
}

// Watch runs the demo on a fast clock with its page served at l, playing the
// story over and over until the context ends.
func (d Demo) Watch(ctx context.Context, l *listener.Listener) error {
	fast := Fast{mesh.Clock{Epoch: time.Now().UTC(), Rate: Rate}}
	set, err := d.build(fast, fast.Clock)
	if err != nil {
		return err
	}
	defer set.sim.Close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan error, 4)
	go func() { done <- Drive(ctx, set.sim, fast) }()
	set.host.Ran = func(a run.Answer, err error) {
		if err != nil && ctx.Err() == nil {
			set.stage.tell("  %v", err)
		}
	}
	page := &dashboard.Page{Source: set.stage.source, Now: fast.Now, Hosts: l.Hosts(), Note: fmt.Sprintf("Demo: a simulated mesh on a clock %d times as fast as yours.", Rate)}
	go func() { done <- l.Serve(ctx, page.Handler()) }()
	go func() {
		for _, f := range set.host.Functions() {
			f.Schedule = demoSchedule(f.Schedule)
			go set.host.loop(ctx, f)
		}
		done <- nil
	}()
	go func() {
		set.stage.pass = func(ctx context.Context, span time.Duration) error {
			return fast.Until(ctx, fast.Now().Add(span))
		}
		// What a first start does: one run of each, so that the page is full.
		for _, f := range set.host.Functions() {
			if _, err := set.host.run(ctx, f, run.Request{Mesh: set.host.Mesh.Name, Function: f.Function}); err != nil {
				done <- err
				return
			}
		}
		for ctx.Err() == nil {
			if _, err := set.stage.play(ctx, d.Story); err != nil {
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

// Drive lets a simulated mesh live on a running clock until the context ends.
func Drive(ctx context.Context, sim *clustersim.Sim, clock Fast) error {
	const atMost = 250 * time.Millisecond // of wall time between two looks
	for {
		now := clock.Now()
		sim.Step(now)
		next := now.Add(time.Duration(float64(atMost) * clock.Rate))
		if at := sim.Next(); !at.IsZero() && at.Before(next) {
			next = at
		}
		// A few milliseconds at least: a due time that has passed must not spin.
		if soonest := clock.Now().Add(time.Duration(float64(2*time.Millisecond) * clock.Rate)); next.Before(soonest) {
			next = soonest
		}
		if err := clock.Until(ctx, next); err != nil {
			return err
		}
	}
}

type set struct {
	sim   *clustersim.Sim
	host  *Host
	stage *stage
}

// build starts a simulated mesh and a host that knows it only through the
// files that `peerkeeper sim` writes.
func (d Demo) build(clock Clocked, written mesh.Clock) (*set, error) {
	sim, err := clustersim.New(clustersim.Config{Clusters: d.Clusters, Users: d.Users, Clock: clock, Seed: 1, Epoch: written.Epoch, Rate: written.Rate})
	if err != nil {
		return nil, err
	}
	if err := sim.Start(); err != nil {
		return nil, errors.Join(err, sim.Close())
	}
	s, err := d.equip(sim, clock)
	if err != nil {
		return nil, errors.Join(err, sim.Close())
	}
	return s, nil
}

// Clocked is what a demo's simulator and host share.
type Clocked interface{ Now() time.Time }

func (d Demo) equip(sim *clustersim.Sim, clock Clocked) (*set, error) {
	if err := WriteFiles(sim, "", d.Dir); err != nil {
		return nil, err
	}
	m, err := meshfile.Load(filepath.Join(d.Dir, "mesh.yaml"))
	if err != nil {
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
	said := &Collector{}
	sinks := []alarm.Sink{said, &alarm.Lines{Path: filepath.Join(d.Dir, "alarms.jsonl")}}
	if d.Out != nil {
		sinks = append(sinks, &alarm.Writer{W: d.Out})
	}
	secrets := filepath.Join(d.Dir, "secrets.json")
	h := &Host{Mesh: m, Store: state, Secrets: &file.Source{Path: secrets, Salt: salt}, Sinks: sinks, Clock: tickless{clock}, Log: d.Log, Timeout: demoTimeout, DNSTimeout: demoDNS, Backoff: demoBackoff}
	st := &stage{host: h, source: dashboard.Source{Store: state, Mesh: m}, admin: sim.Do, said: said, tell: tell}
	st.secrets = func(id mesh.ClusterID) error { return renewSecret(sim, secrets, string(id)+"/read") }
	return &set{sim: sim, host: h, stage: st}, nil
}

// tickless is a clock that its owner moves; whoever waits on it waits for the
// wall clock where it runs, and never where it stands.
type tickless struct{ Clocked }

// Until waits if the clock runs.
func (t tickless) Until(ctx context.Context, at time.Time) error {
	if c, ok := t.Clocked.(Clock); ok {
		return c.Until(ctx, at)
	}
	return errors.New("this clock is moved by hand")
}

// WriteFiles writes what a client of a simulated mesh needs to a folder.
func WriteFiles(sim *clustersim.Sim, adminURL, dir string) error {
	files, err := sim.Files(adminURL)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, b := range files {
		if err := replaceFile(filepath.Join(dir, name), b); err != nil {
			return err
		}
	}
	return nil
}

// replaceFile puts a new file, readable by its owner alone, in the place of what
// was there, whoever might read that. Whoever reads at this moment sees one or
// the other.
func replaceFile(path string, b []byte) error {
	next, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // 0600
	if err != nil {
		return err
	}
	_, err = next.Write(b)
	if err = errors.Join(err, next.Close()); err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return nil
}

// renewSecret replaces one secret in the file by the simulator's present one,
// and leaves the others as they are.
func renewSecret(sim *clustersim.Sim, path, name string) error {
	files, err := sim.Files("")
	if err != nil {
		return err
	}
	var now, had map[string]json.RawMessage
	if err := json.Unmarshal(files["secrets.json"], &now); err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &had); err != nil {
		return err
	}
	had[name] = now[name]
	out, err := json.MarshalIndent(had, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(path, out)
}
