package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/demo"
	"peerkeeper/shared/host"
	"peerkeeper/shared/listener"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/run"
	"peerkeeper/shared/secret/file"
	"peerkeeper/shared/store/bolt"
)

// A load is a mesh that is watched for many ticks, one right after the other on
// a clock that is moved by hand, while readers come and go. The simulator and
// the readers are processes of their own, so that what is measured here is
// Peerkeeper alone.
type load struct {
	clusters, users, ticks, readers int
	block                           int // ticks without readers, then as many with them
	// atMost ends it early, at the end of a block, on a machine that is slow or
	// has other work; 0 is no end.
	atMost time.Duration
	// says hears of each block when it is over; may be nil.
	says func(format string, args ...any)
}

// roleVariable makes the test binary one of the other processes.
const roleVariable = "PEERKEEPER_TEST_ROLE"

// playRole is what such a process does, told on stdin and answering on stdout.
func playRole(role string) error {
	name, args, _ := strings.Cut(role, " ")
	switch name {
	case "sim":
		return simulateByHand(args)
	case "readers":
		return readPages(args)
	}
	return fmt.Errorf("no such role: %s", name)
}

// simulateByHand simulates a mesh whose clock shows what stdin says.
func simulateByHand(args string) (err error) {
	var clusters, users int
	var dir string
	if _, err := fmt.Sscan(args, &clusters, &users, &dir); err != nil {
		return err
	}
	clock := demo.NewStepped(time.Now().UTC().Truncate(time.Hour))
	sim, err := clustersim.New(clustersim.Config{Clusters: clusters, Users: users, Clock: clock, Seed: 1, Epoch: clock.Now(), Rate: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sim.Close()) }()
	if err := sim.Start(); err != nil {
		return err
	}
	if err := demo.WriteFiles(sim, "", dir); err != nil {
		return err
	}
	fmt.Println(clock.Now().Format(time.RFC3339Nano))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		at, err := time.Parse(time.RFC3339Nano, lines.Text())
		if err != nil {
			return err
		}
		for next := sim.Next(); !next.IsZero() && next.Before(at); next = sim.Next() {
			clock.Set(next)
			sim.Step(clock.Now())
		}
		clock.Set(at)
		sim.Step(clock.Now())
		fmt.Println("there")
	}
	return lines.Err()
}

// reading is what readers have seen.
type reading struct {
	Pages, Unchanged, Failed int
	P50, P99                 time.Duration // of whole pages
}

// readPages is many browsers with the page open: each asks every five seconds
// whether anything changed and fetches the page again if so. They read while
// stdin last said "on".
func readPages(args string) error {
	var n int
	var url string
	if _, err := fmt.Sscan(args, &n, &url); err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: n, DisableCompression: true}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	var mu sync.Mutex
	var seen reading
	var took []time.Duration
	var on atomic.Bool
	for range n {
		go func() {
			tag := ""
			wait := rand.N(5 * time.Second)
			for {
				time.Sleep(wait)
				wait = 5 * time.Second
				if !on.Load() {
					wait = 100*time.Millisecond + rand.N(5*time.Second)
					continue
				}
				began := time.Now()
				page, next, err := readPage(client, url, tag)
				mu.Lock()
				switch {
				case err != nil:
					seen.Failed++
				case page:
					tag = next
					seen.Pages++
					took = append(took, time.Since(began))
				default:
					seen.Unchanged++
				}
				mu.Unlock()
			}
		}()
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		on.Store(lines.Text() == "on")
		mu.Lock()
		if len(took) > 0 {
			slices.Sort(took)
			seen.P50, seen.P99 = took[len(took)/2], took[len(took)*99/100]
		}
		text, err := json.Marshal(seen)
		mu.Unlock()
		if err != nil {
			return err
		}
		fmt.Println(string(text))
	}
	return lines.Err()
}

// readPage does what the page's script does.
func readPage(client *http.Client, url, tag string) (page bool, next string, err error) {
	do := func(method, path string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(context.Background(), method, url+path, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept-Encoding", "gzip")
		req.Header.Set("If-None-Match", tag)
		return client.Do(req)
	}
	res, err := do(http.MethodHead, "/api/status.json")
	if err != nil {
		return false, "", err
	}
	res.Body.Close()
	if res.StatusCode == http.StatusNotModified {
		return false, "", nil
	}
	tag = "" // the page itself, whole
	if res, err = do(http.MethodGet, "/"); err != nil {
		return false, "", err
	}
	defer res.Body.Close()
	z, err := gzip.NewReader(res.Body)
	if err != nil {
		return false, "", err
	}
	if _, err := io.Copy(io.Discard, z); err != nil {
		return false, "", err
	}
	if res.StatusCode != http.StatusOK {
		return false, "", errors.New(res.Status)
	}
	return true, res.Header.Get("ETag"), nil
}

// other is a process with a role.
type other struct {
	t   testing.TB
	in  io.WriteCloser
	out *bufio.Scanner
}

func startRole(t testing.TB, role string) (*other, string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	// In life readers unpack pages on machines of their own: here they must not
	// take the cores from what is measured.
	if nice, err := exec.LookPath("nice"); err == nil && strings.HasPrefix(role, "readers ") {
		cmd = exec.Command(nice, "-n", "19", self)
	}
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	o := &other{t, in, bufio.NewScanner(out)}
	return o, o.hear()
}

func (o *other) hear() string {
	o.t.Helper()
	if !o.out.Scan() {
		o.t.Fatalf("the other process ended: %v", o.out.Err())
	}
	return o.out.Text()
}

func (o *other) tell(line string) string {
	o.t.Helper()
	if _, err := io.WriteString(o.in, line+"\n"); err != nil {
		o.t.Fatal(err)
	}
	return o.hear()
}

// counter counts what is written to the log.
type counter struct{ lines, bytes atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.lines.Add(int64(bytes.Count(p, []byte("\n"))))
	c.bytes.Add(int64(len(p)))
	return len(p), nil
}

// footprint is what this process holds.
type footprint struct {
	Tick       int
	Goroutines int
	Files      int
	RSS        int64 // bytes; 0 where there is no /proc
	State      int64 // bytes of the state file
	LogLines   int64 // since the beginning
	LogBytes   int64
}

func (f footprint) String() string {
	return fmt.Sprintf("tick %3d: RSS %s, %d goroutines, %d files, state %s, log %d lines (%s)", f.Tick, size(f.RSS), f.Goroutines, f.Files, size(f.State), f.LogLines, size(f.LogBytes))
}

// outcome is what a load came to.
type outcome struct {
	feet         []footprint
	alone, beset map[string][]time.Duration // run times of each function
	read         reading
}

func (l load) run(t testing.TB) outcome {
	t.Helper()
	dir := t.TempDir()
	sim, began := startRole(t, fmt.Sprintf("sim %d %d %s", l.clusters, l.users, dir))
	at, err := time.Parse(time.RFC3339Nano, began)
	if err != nil {
		t.Fatal(err)
	}
	clock := demo.NewStepped(at)
	m, err := meshfile.Load(filepath.Join(dir, "mesh.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.db")
	state, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	state.Now = clock.Now
	salt, err := file.LoadSalt(path + ".salt")
	if err != nil {
		t.Fatal(err)
	}
	said := &counter{}
	logger := slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelInfo}))
	h := &host.Host{Mesh: m, Store: state, Clock: clock, Log: logger, Secrets: &file.Source{Path: filepath.Join(dir, "secrets.json"), Salt: salt}}
	address, err := listener.Open(t.Context(), listener.Config{Address: "127.0.0.1:0", Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	page := &dashboard.Page{Source: dashboard.Source{Store: state, Mesh: m}, Now: clock.Now, Hosts: address.Hosts(), Log: logger}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- address.Serve(ctx, page.Handler()) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("the page: %v", err)
		}
	}()
	readers, _ := startRole(t, fmt.Sprintf("readers %d %s", l.readers, address.URL()))

	if l.says == nil {
		l.says = func(string, ...any) {}
	}
	l.says("%d clusters of %d users are simulated", l.clusters, l.users)
	started := time.Now()
	out := outcome{alone: map[string][]time.Duration{}, beset: map[string][]time.Duration{}}
	for tick := range l.ticks {
		beset := tick/l.block%2 == 1
		if tick%l.block == 0 {
			word := "off"
			if beset {
				word = "on"
			}
			if err := json.Unmarshal([]byte(readers.tell(word)), &out.read); err != nil {
				t.Fatal(err)
			}
		}
		clock.Set(clock.Now().Add(5 * time.Minute))
		sim.tell(clock.Now().Format(time.RFC3339Nano))
		for _, f := range host.Schedules() {
			if f.Function == "certcheck" && tick%3 != 0 {
				continue
			}
			began := time.Now()
			if _, err := h.Handle(t.Context(), run.Request{Function: f.Function}); err != nil {
				t.Fatalf("tick %d, %s: %v", tick, f.Function, err)
			}
			times := out.alone
			if beset {
				times = out.beset
			}
			// The first block looks at everything for the first time.
			if tick >= l.block {
				times[f.Function] = append(times[f.Function], time.Since(began))
			}
		}
		if (tick+1)%l.block == 0 {
			f := foot(t, tick+1, path, said)
			out.feet = append(out.feet, f)
			l.says("%s", f)
			if l.atMost > 0 && time.Since(started) > l.atMost && beset {
				l.says("ended after %s, at tick %d of %d", round(time.Since(started)), tick+1, l.ticks)
				break
			}
		}
	}
	if err := json.Unmarshal([]byte(readers.tell("off")), &out.read); err != nil {
		t.Fatal(err)
	}
	return out
}

func foot(t testing.TB, tick int, state string, said *counter) footprint {
	t.Helper()
	runtime.GC() // what is garbage is not held
	info, err := os.Stat(state)
	if err != nil {
		t.Fatal(err)
	}
	f := footprint{Tick: tick, Goroutines: runtime.NumGoroutine(), Files: openFilesOf(os.Getpid()), State: info.Size(), LogLines: said.lines.Load(), LogBytes: said.bytes.Load()}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return f
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			f.RSS = kb << 10
		}
	}
	return f
}

// TestManyTicksLeaveNothingBehind: after a first few hours nothing grows with
// the ticks, nor with the readers who come and go. Only counts are looked at.
func TestManyTicksLeaveNothingBehind(t *testing.T) {
	l := load{clusters: 3, users: 30, ticks: 72, readers: 20, block: 12}
	out := l.run(t)
	first, last := out.feet[2], out.feet[len(out.feet)-2] // both without readers
	for _, f := range out.feet {
		t.Log(f)
	}
	if last.Goroutines > first.Goroutines+5 {
		t.Errorf("goroutines: %d, then %d", first.Goroutines, last.Goroutines)
	}
	if last.Files > first.Files+5 {
		t.Errorf("open files: %d, then %d", first.Files, last.Files)
	}
	if last.State > first.State+first.State/4 {
		t.Errorf("state file: %d bytes, then %d", first.State, last.State)
	}
	if lines := last.LogLines - first.LogLines; lines > int64(last.Tick-first.Tick) {
		t.Errorf("%d lines in the log for %d ticks of a healthy mesh", lines, last.Tick-first.Tick)
	}
	if out.read.Failed > 0 {
		t.Errorf("readers: %+v", out.read)
	}
}

// BenchmarkLoad watches 30 clusters of 15,000 users for 200 ticks, in turns
// without and with 200 readers (LOAD_TICKS, LOAD_USERS, LOAD_READERS), for at
// most LOAD_MINUTES once the simulator is ready.
func BenchmarkLoad(b *testing.B) {
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
			return n
		}
		return otherwise
	}
	l := load{clusters: 30, users: number("LOAD_USERS", 15000), ticks: number("LOAD_TICKS", 200), readers: number("LOAD_READERS", 200), block: 10}
	l.atMost = time.Duration(number("LOAD_MINUTES", 20)) * time.Minute
	// As it happens: it takes minutes.
	l.says = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	for range b.N {
		out := l.run(b)
		b.Logf("%d readers: %d pages (p50 %s, p99 %s), %d times unchanged, %d failed", l.readers, out.read.Pages, round(out.read.P50), round(out.read.P99), out.read.Unchanged, out.read.Failed)
		for _, f := range []string{"peersync", "stucksync", "certcheck"} {
			alone, beset := middle(out.alone[f]), middle(out.beset[f])
			if alone == 0 || beset == 0 {
				continue
			}
			ratio := float64(beset) / float64(alone)
			b.Logf("%-9s alone %7s, with readers %7s: %.2f times (budget 1.3; medians of %d and %d)", f, round(alone), round(beset), ratio, len(out.alone[f]), len(out.beset[f]))
			b.ReportMetric(ratio, f+"-ratio")
		}
		if len(out.feet) < 2 {
			b.Fatalf("too few ticks to tell anything: %d blocks", len(out.feet))
		}
		first, last := out.feet[len(out.feet)/4], out.feet[len(out.feet)-1]
		b.ReportMetric(float64(last.RSS)/float64(max(first.RSS, 1)), "rss-growth")
		b.ReportMetric(float64(last.State)/float64(first.State), "state-growth")
	}
}

func middle(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}
