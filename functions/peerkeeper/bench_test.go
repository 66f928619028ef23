package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/host"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/peersync"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret/file"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/store/bolt"
)

// A tick of peersync in this process, against a simulator in its own: what is
// measured is Peerkeeper alone.
type ticked struct {
	name string
	sim  *simulator
	mesh *mesh.Mesh
	look *peersync.Peersync
}

func newTicked(b *testing.B, name string, args ...string) *ticked {
	b.Helper()
	t := &ticked{name: name, sim: simulate(b, append([]string{"--latency", "50ms"}, args...)...)}
	if taskset, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > 1 {
		last := strconv.Itoa(runtime.NumCPU() - 1)
		if out, err := exec.Command(taskset, "--all-tasks", "--cpu-list", "--pid", last, strconv.Itoa(t.sim.Process.Pid)).CombinedOutput(); err != nil {
			b.Fatalf("keeping the simulator to core %s: %v\n%s", last, err, out)
		}
	}
	var err error
	if t.mesh, err = meshfile.Load(filepath.Join(t.sim.dir, "mesh.yaml")); err != nil {
		b.Fatal(err)
	}
	return t
}

// begin forgets everything: state, sessions, connections.
func (t *ticked) begin(b *testing.B) {
	b.Helper()
	state := filepath.Join(t.sim.dir, "bench.db")
	if err := os.Remove(state); err != nil && !os.IsNotExist(err) {
		b.Fatal(err)
	}
	store, err := bolt.Open(state)
	if err != nil {
		b.Fatal(err)
	}
	salt, err := file.LoadSalt(state + ".salt")
	if err != nil {
		b.Fatal(err)
	}
	clock := host.Fast{Clock: *t.mesh.Clock}
	store.Now = clock.Now
	clusters := &cluster.Connector{Dialect: cluster.NewDialect(t.mesh.Dialect), Secrets: &file.Source{Path: filepath.Join(t.sim.dir, "secrets.json"), Salt: salt}, Now: clock.Now}
	t.look = &peersync.Peersync{Mesh: t.mesh, Store: store, Clusters: clusters, Now: clock.Now}
}

// spent is what something took: wall, our own CPU, the simulator's, which has
// the same cores, and what went over the wire per cluster.
type spent struct {
	wall, cpu, sim time.Duration
	wire           soap.Counts
}

func (t *ticked) measure(b *testing.B, do func(context.Context) error) spent {
	b.Helper()
	before := t.wire(b)
	sim := t.simTime(b)
	cpu, began := cpuTime(b), time.Now()
	if err := do(b.Context()); err != nil {
		b.Fatalf("%s: %v", t.name, err)
	}
	s := spent{wall: time.Since(began), cpu: cpuTime(b) - cpu}
	s.sim = t.simTime(b) - sim
	after := t.wire(b)
	n := int64(len(t.mesh.Clusters))
	s.wire = soap.Counts{Requests: (after.Requests - before.Requests) / n, Writes: after.Writes - before.Writes, Failures: after.Failures - before.Failures,
		Sent: (after.Sent - before.Sent) / n, Received: (after.Received - before.Received) / n}
	return s
}

// tick is one run of peersync that sees every cluster whole.
func (t *ticked) tick(b *testing.B) spent {
	b.Helper()
	return t.measure(b, func(ctx context.Context) error {
		a, err := t.look.Handle(ctx, run.Request{})
		if err == nil && a.Clusters.Observed != len(t.mesh.Clusters) {
			err = fmt.Errorf("not every cluster was observed: %+v", a)
		}
		return err
	})
}

// wire sums what the open clients have counted.
func (t *ticked) wire(b *testing.B) soap.Counts {
	b.Helper()
	var sum soap.Counts
	for i := range t.mesh.Clusters {
		c, err := t.look.Clusters.Open(b.Context(), &t.mesh.Clusters[i], nil, nil) // the one that ticks use
		if err != nil {
			b.Fatal(err)
		}
		n := c.Counts()
		sum.Requests += n.Requests
		sum.Writes += n.Writes
		sum.Failures += n.Failures
		sum.Sent += n.Sent
		sum.Received += n.Received
	}
	return sum
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// simTime is what the simulator has had of the processors so far, in steps of
// 10 ms; 0 where there is no /proc.
func (t *ticked) simTime(b *testing.B) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.sim.Process.Pid))
	if err != nil {
		return 0
	}
	// The second field is the command in parentheses, whatever it is called.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		b.Fatalf("no times in %s", stat)
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		b.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

func median(all []spent, of func(spent) time.Duration) time.Duration {
	d := make([]time.Duration, len(all))
	for i, s := range all {
		d[i] = of(s)
	}
	slices.Sort(d)
	return d[len(d)/2]
}

func wall(s spent) time.Duration { return s.wall }
func cpu(s spent) time.Duration  { return s.cpu }
func sim(s spent) time.Duration  { return s.sim }

const rounds = 9

// BenchmarkTick measures a tick over thirty clusters against one over a single
// cluster, in turns, so that what else the machine does meets both. The simulator
// is kept to one core where taskset can do that: it stands for other machines.
func BenchmarkTick(b *testing.B) {
	for range b.N {
		meshes := []*ticked{newTicked(b, "1 cluster", "--clusters", "1"), newTicked(b, "30 clusters", "--clusters", "30")}
		first, steady := make([][]spent, 2), make([][]spent, 2)
		for range rounds {
			for i, m := range meshes {
				m.begin(b)
				first[i] = append(first[i], m.tick(b))
			}
			for i, m := range meshes {
				m.tick(b) // whatever a second look still completes
				steady[i] = append(steady[i], m.tick(b))
			}
		}
		b.Logf("peersync, 50 ms latency, medians of %d, in turns; 30 clusters have %d directed peers", rounds, len(meshes[1].mesh.Peers))
		for _, kind := range []struct {
			name   string
			of     [][]spent
			budget float64
		}{{"first tick (no state, no session)", first, 2}, {"steady tick", steady, 1.4}} {
			for i, m := range meshes {
				last := kind.of[i][len(kind.of[i])-1]
				b.Logf("%-34s %-11s wall %7s  CPU %7s, the simulator's %7s  per cluster: %d requests, %s sent, %s received", kind.name, m.name,
					round(median(kind.of[i], wall)), round(median(kind.of[i], cpu)), round(median(kind.of[i], sim)), last.wire.Requests, size(last.wire.Sent), size(last.wire.Received))
			}
			ratio := float64(median(kind.of[1], wall)) / float64(median(kind.of[0], wall))
			b.Logf("%-34s wall of 30 clusters is %.2f times that of one (budget %.1f)", kind.name, ratio, kind.budget)
		}
		b.ReportMetric(float64(median(steady[1], wall))/float64(median(steady[0], wall)), "steady-ratio")
		b.ReportMetric(float64(median(first[1], wall))/float64(median(first[0], wall)), "first-ratio")
		b.ReportMetric(median(steady[1], cpu).Seconds(), "cpu-s/tick30")
	}
}

// BenchmarkTickOfManyUsers measures the tiers at 75,000 users in each of three
// clusters.
func BenchmarkTickOfManyUsers(b *testing.B) {
	for range b.N {
		began := time.Now()
		m := newTicked(b, "3 clusters", "--clusters", "3", "--users", "75000")
		b.Logf("3 clusters of 75,000 users: the simulator was ready after %s", round(time.Since(began)))
		m.begin(b)
		b.Logf("first tick        %s", m.tick(b))
		b.Logf("second tick       %s", m.tick(b))
		b.Logf("steady tick       %s", m.tick(b))
		owner, now := m.mesh.Owner, m.look.Now()
		person := &operator.Operator{Mesh: m.mesh, Store: m.look.Store, Now: m.look.Now, Clusters: m.look.Clusters}
		each := func(do func(context.Context, *cluster.Client) error) func(context.Context) error {
			return func(ctx context.Context) error {
				for i := range m.mesh.Clusters {
					one := person.Ask(ctx, m.mesh.Clusters[i:i+1], func(ctx context.Context, _ int, c *cluster.Client) error { return do(ctx, c) })
					if err := errors.Join(one...); err != nil {
						return err
					}
				}
				return nil
			}
		}
		b.Logf("tier 2, buckets   %s", m.measure(b, each(func(ctx context.Context, c *cluster.Client) error {
			return whole(c.Buckets(ctx, owner, now))
		})))
		peak := watchMemory()
		set := m.measure(b, each(func(ctx context.Context, c *cluster.Client) error {
			return whole(c.Set(ctx, owner, m.mesh.Domain, now, nil))
		}))
		b.Logf("tier 3, every ID  %s; %d pages per cluster, one cluster after the other; heap at most %s", set, set.wire.Requests-2, size(int64(peak())))
	}
}

func whole[T any](f peer.Fact[T]) error {
	if !f.Known() {
		return fmt.Errorf("not read whole: %s %s", f.Why(), f.Detail)
	}
	return nil
}

func (s spent) String() string {
	return fmt.Sprintf("wall %7s  CPU %7s  per cluster: %d requests, %s sent, %s received", round(s.wall), round(s.cpu), s.wire.Requests, size(s.wire.Sent), size(s.wire.Received))
}

func round(d time.Duration) string { return d.Round(time.Millisecond).String() }

func size(n int64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}

// watchMemory samples the heap until its answer is asked for.
func watchMemory() (peak func() uint64) {
	stop := make(chan struct{})
	var most uint64
	var done sync.WaitGroup
	done.Go(func() {
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for {
			most = max(most, heap())
			select {
			case <-stop:
				return
			case <-every.C:
			}
		}
	})
	return func() uint64 {
		close(stop)
		done.Wait()
		return most
	}
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
