package host_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/demo"
	"peerkeeper/shared/host"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret/file"
	"peerkeeper/shared/store/bolt"
)

const (
	crashDir  = "PEERKEEPER_CRASH_DIR"
	crashStep = "PEERKEEPER_CRASH_STEP" // "" lives on
	crashNow  = "PEERKEEPER_CRASH_NOW"
	crashOf   = "PEERKEEPER_CRASH_FUNCTION"
)

// crashHost is a host over the files and the state of dir, as a process of its
// own would have it.
func crashHost(dir string, clock *demo.Stepped) (*host.Host, error) {
	m, err := meshfile.Load(filepath.Join(dir, "mesh.yaml"))
	if err != nil {
		return nil, err
	}
	m.Policy.Mode, m.Policy.ImportCertificates = mesh.Recover, mesh.ImportAuto
	state, err := bolt.Open(filepath.Join(dir, "state.db"))
	if err != nil {
		return nil, err
	}
	state.Now = clock.Now
	salt, err := file.LoadSalt(filepath.Join(dir, "salt"))
	if err != nil {
		return nil, err
	}
	return &host.Host{Mesh: m, Store: state, Secrets: &file.Source{Path: filepath.Join(dir, "secrets.json"), Salt: salt}, Clock: clock, Timeout: time.Minute}, nil
}

// TestChildActs is the process that TestKilledAtEachStep kills: one run of a
// function that ends itself, as kill -9 does, between two steps of an action.
func TestChildActs(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		return // only a child has work here
	}
	now, err := time.Parse(time.RFC3339Nano, os.Getenv(crashNow))
	if err != nil {
		t.Fatal(err)
	}
	h, err := crashHost(dir, demo.NewStepped(now))
	if err != nil {
		t.Fatal(err)
	}
	h.Crash = func(step string) {
		if step == os.Getenv(crashStep) {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				t.Error(err)
			}
			select {} // nothing more happens in this process
		}
	}
	h.Sinks, h.Privilege = nil, repair.GrantPrivilege()
	if _, err := h.Handle(t.Context(), run.Request{Function: os.Getenv(crashOf)}); err != nil {
		t.Log(err) // no sink takes the alarm; that is not the question here
	}
}

// TestKilledAtEachStep is README's table "what is known after a crash at each
// step", row by row: one process killed per row, the state in a file, the
// clusters on sockets. The next ticks go on from what the record says.
func TestKilledAtEachStep(t *testing.T) {
	for _, c := range []struct {
		name     string
		step     string
		second   bool                 // killed not when it acts, but in the run after
		fault    clustersim.FaultTime // of a connection that drops, on the restart
		open     int                  // intents in the gate after the kill
		restarts int                  // that the node carried out by then
		next     repair.Outcome
	}{
		{"looked: nothing is meant yet, nothing was sent", "looked", false, "", 0, 0, ""},
		{"intent: meant, not sent", "intent", false, "", 1, 0, repair.NotDone},
		{"lookedAgain: meant, not sent", "lookedAgain", false, "", 1, 0, repair.NotDone},
		{"sent, and the node never carried it out", "sent", false, "before", 1, 0, repair.NotDone},
		{"sent, carried out, and the answer was lost", "sent", false, "after", 1, 1, repair.DoneProven},
		{"sent and answered", "sent", false, "", 1, 1, repair.DoneProven},
		{"readBack: read back once, still stopping", "readBack", false, "", 1, 1, repair.DoneProven},
		{"closed: proven and closed", "closed", true, "", 0, 1, repair.DoneProven},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newCrashRig(t)
			r.change("amer", clustersim.Parameters{Service: peer.ICSA, Name: "ICSAEnableAutoRecovery", Value: "f"})
			for _, to := range []string{"emea", "apac"} {
				r.change("amer", clustersim.Peers{Peer: to, Mode: new(clustersim.ModeStuck)})
				r.change(to, clustersim.Users{Add: 5})
			}
			r.once("certcheck")
			for range 5 { // it stands for longer than both clocks, and was seen to
				r.pass(35 * time.Minute)
				r.once("peersync")
			}
			r.once("stucksync") // tells of what it will do
			r.pass(5 * time.Minute)
			r.once("peersync")
			if c.fault != "" {
				r.fault(clustersim.Fault{Cluster: "amer", Operation: "soapDoControlServices", Kind: clustersim.FaultDrop, When: c.fault, Times: 1})
			}
			if c.second {
				r.child("stucksync", "")
				r.pass(5 * time.Minute)
				r.once("peersync")
			}
			r.child("stucksync", c.step)

			// What is known now.
			gate := r.gate()
			if len(gate.Open) != c.open || r.restarts() != c.restarts {
				t.Fatalf("after the kill: %d open intents and %d restarts, want %d and %d", len(gate.Open), r.restarts(), c.open, c.restarts)
			}
			// The next tick goes on from there: it reads back and sends nothing
			// on top of what may have happened.
			r.pass(5 * time.Minute)
			r.once("peersync")
			r.once("stucksync")
			if c.next != "" {
				if gate = r.gate(); len(gate.Open) != 0 || len(gate.Closed) != 1 || gate.Closed[0].Outcome != c.next {
					t.Errorf("after the next tick: open %+v, closed %+v, want one closed %s", gate.Open, gate.Closed, c.next)
				}
				if r.restarts() != c.restarts {
					t.Errorf("%d restarts after the next tick, %d before", r.restarts(), c.restarts)
				}
			}
			for range 2 * 12 * 2 {
				if r.well() {
					break
				}
				r.pass(5 * time.Minute)
				r.once("peersync")
				r.once("stucksync")
			}
			if !r.well() || r.restarts() != 1 {
				t.Errorf("well: %v, after %d restarts; want exactly one", r.well(), r.restarts())
			}
			r.verify()
		})
	}
}

type crashRig struct {
	t     *testing.T
	dir   string
	sim   *clustersim.Sim
	clock *demo.Stepped
	host  *host.Host
}

func newCrashRig(t *testing.T) *crashRig {
	r := &crashRig{t: t, dir: t.TempDir(), clock: demo.NewStepped(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))}
	var err error
	if r.sim, err = clustersim.New(clustersim.Config{Clusters: 3, Users: 20, Clock: r.clock, Seed: 5}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.sim.Close(); err != nil {
			t.Error(err)
		}
	})
	err = r.sim.Start()
	if err == nil {
		err = demo.WriteFiles(r.sim, "", r.dir)
	}
	if err == nil {
		r.host, err = crashHost(r.dir, r.clock)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.host.Sinks = nil
	return r
}

func (r *crashRig) change(cluster string, changes ...clustersim.Change) {
	r.t.Helper()
	if err := r.sim.Change(cluster, changes...); err != nil {
		r.t.Fatal(err)
	}
}

func (r *crashRig) fault(f clustersim.Fault) {
	r.t.Helper()
	if err := r.sim.AddFault(f); err != nil {
		r.t.Fatal(err)
	}
}

func (r *crashRig) pass(d time.Duration) {
	end := r.clock.Now().Add(d)
	for next := r.sim.Next(); !next.IsZero() && !next.After(end); next = r.sim.Next() {
		r.clock.Set(next)
		r.sim.Step(next)
	}
	r.clock.Set(end)
	r.sim.Step(end)
}

func (r *crashRig) once(function string) run.Answer {
	r.t.Helper()
	a, err := r.host.Handle(r.t.Context(), run.Request{Function: function})
	if err != nil && function != "stucksync" { // which has no sink for its alarms
		r.t.Fatal(err)
	}
	return a
}

// child runs a function in a process of its own that is killed at a step.
func (r *crashRig) child(function, step string) {
	r.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.CommandContext(r.t.Context(), exe, "-test.run=^TestChildActs$")
	cmd.Env = append(os.Environ(), crashDir+"="+r.dir, crashOf+"="+function, crashStep+"="+step, crashNow+"="+r.clock.Now().Format(time.RFC3339Nano))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	exit, _ := errors.AsType[*exec.ExitError](err)
	if killed := exit != nil && exit.ExitCode() == -1; killed != (step != "") {
		r.t.Fatalf("the child was killed: %v, want %v (%v)\n%s", killed, step != "", err, &out)
	}
}

func (r *crashRig) gate() repair.Gate {
	r.t.Helper()
	g, err := repair.Load(context.WithoutCancel(r.t.Context()), r.host.Store, r.host.Mesh.Name)
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

// restarts of ICSA that the node was asked for and carried out.
func (r *crashRig) restarts() int {
	for _, c := range r.sim.State().Clusters {
		if c.ID == "amer" {
			return c.ICSARestarts
		}
	}
	return -1
}

func (r *crashRig) well() bool {
	for _, c := range r.sim.State().Clusters {
		for _, p := range c.Peers {
			if c.ID == "amer" && p.Mode != "ok" {
				return false
			}
		}
	}
	return len(r.gate().Open) == 0
}

func (r *crashRig) verify() {
	r.t.Helper()
	entries, err := repair.History(r.t.Context(), r.host.Store, r.host.Mesh.Name, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), r.clock.Now())
	if err == nil {
		err = repair.Verify(r.t.Context(), r.host.Store, r.host.Mesh.Name, entries)
	}
	if err != nil {
		r.t.Error(err)
	}
}
