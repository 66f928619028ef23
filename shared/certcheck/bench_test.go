package certcheck_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"peerkeeper/shared/certcheck"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/secret/file"
	"peerkeeper/shared/store/storetest"
	"peerkeeper/shared/tlsprobe"
)

// serveVariable makes the test binary a simulator of its own process, so that
// the client's CPU can be told from the servers'.
const serveVariable = "PEERKEEPER_BENCH_SIMULATOR"

// TestMain runs the tests, or is the simulator.
func TestMain(m *testing.M) {
	if dir := os.Getenv(serveVariable); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

type wall struct{}

// Now is the wall's clock.
func (wall) Now() time.Time { return time.Now() }

// serve simulates 30 clusters of 6 nodes until its stdin ends, and for each line
// of that says how often certificate management has been asked so far.
func serve(dir string) error {
	sim, err := clustersim.New(clustersim.Config{Clusters: 30, Users: 1, Clock: wall{}})
	if err != nil {
		return err
	}
	defer sim.Close()
	if err := sim.Start(); err != nil {
		return err
	}
	for _, c := range sim.State().Clusters {
		for i := range 4 {
			if err := sim.Change(c.ID, clustersim.Nodes{Add: fmt.Sprintf("imp-%s-sub%d.example.com", c.ID, i+2)}); err != nil {
				return err
			}
		}
	}
	files, err := sim.Files("http://192.0.2.1")
	if err != nil {
		return err
	}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		n := 0
		for _, c := range sim.State().Clusters {
			for _, node := range c.Nodes {
				for name, times := range node.Requests {
					if strings.Contains(name, "snapshot") || strings.Contains(name, "certificate") {
						n += times
					}
				}
			}
		}
		fmt.Println(n)
	}
	return nil
}

// cpu is what this process has used so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCertcheck30 is the whole certcheck of 30 clusters of 6 nodes, both
// key types, on real sockets to a simulator in a process of its own: wall,
// client CPU, TLS handshakes and how many a second, and the requests that
// certificate management received where trust stores are read as well.
func BenchmarkCertcheck30(b *testing.B) {
	dir := b.TempDir()
	sim := exec.Command(os.Args[0])
	sim.Env = append(os.Environ(), serveVariable+"="+dir)
	sim.Stderr = os.Stderr
	in, err := sim.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := sim.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := sim.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); _ = sim.Wait() })
	lines := bufio.NewReader(out)
	said := func() string {
		line, err := lines.ReadString('\n')
		if err != nil {
			b.Fatalf("the simulator says %q: %v", line, err)
		}
		return strings.TrimSpace(line)
	}
	if line := said(); line != "ready" {
		b.Fatalf("the simulator says %q", line)
	}
	requests := func() int {
		fmt.Fprintln(in)
		n, err := strconv.Atoi(said())
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	m, err := meshfile.Load(filepath.Join(dir, "mesh.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	nodes := 0
	for _, c := range m.Clusters {
		nodes += len(c.Nodes)
	}
	if nodes != 180 {
		b.Fatalf("%d nodes, want 180", nodes)
	}
	secrets := &file.Source{Path: filepath.Join(dir, "secrets.json"), Salt: make([]byte, 32)}
	for _, c := range []struct {
		name     string
		platform *cluster.Platform // nil reads no trust stores
	}{
		{"served", nil},
		{"served and trust stores", &cluster.Platform{Secrets: secrets, Now: time.Now, Timeout: 20 * time.Second}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var used time.Duration
			asked := &counted{Prober: tlsprobe.Prober{Timeout: 20 * time.Second}, next: c.platform}
			first := requests()
			for b.Loop() {
				uc := &certcheck.Certcheck{Mesh: m, Store: storetest.NewMemory(), TLS: asked, DNS: &dnsprobe.Client{Domain: m.Domain}, Now: time.Now}
				if c.platform != nil {
					uc.Platform = asked
				}
				before := cpu(b)
				a, err := uc.Handle(b.Context(), run.Request{})
				if err != nil {
					b.Fatal(err)
				}
				used += cpu(b) - before
				if a.Clusters.Observed != 30 {
					b.Fatalf("%+v", a.Clusters)
				}
			}
			if asked.failed.Load() > 0 {
				b.Fatalf("%d nodes did not tell their trust stores", asked.failed.Load())
			}
			per := float64(b.N)
			handshakes := float64(asked.handshakes.Load())
			b.ReportMetric(used.Seconds()*1e3/per, "client-ms-CPU/op")
			b.ReportMetric(handshakes/per, "handshakes/op")
			b.ReportMetric(handshakes/b.Elapsed().Seconds(), "handshakes/s")
			b.ReportMetric(float64(requests()-first)/per, "REST-requests/op")
		})
	}
}

// counted counts what is looked at: handshakes, of RSA and of ECDSA, which end in
// an alert where there is no such certificate; and nodes that did not tell their
// trust stores.
type counted struct {
	tlsprobe.Prober
	next               certcheck.Platform
	handshakes, failed atomic.Int64
}

// ProbeAll looks and counts.
func (c *counted) ProbeAll(ctx context.Context, t tlsprobe.Target) []tlsprobe.Outcome {
	out := c.Prober.ProbeAll(ctx, t)
	c.handshakes.Add(int64(len(out)))
	return out
}

// LogIn is the other's.
func (c *counted) LogIn(ctx context.Context, cl *mesh.Cluster, guard secret.Guard) (*secret.Login, error) {
	return c.next.LogIn(ctx, cl, guard)
}

// Holding asks and counts.
func (c *counted) Holding(ctx context.Context, cl *mesh.Cluster, n mesh.Node, login *secret.Login, pins map[mesh.NodeName][]string) (certificate.Holding, error) {
	h, err := c.next.Holding(ctx, cl, n, login, pins)
	if err != nil {
		c.failed.Add(1)
	}
	return h, err
}
