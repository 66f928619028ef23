package lambdahost_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/lambdahost/runtimeapi"
	"peerkeeper/shared/lambdahost/stand"
)

// BenchmarkStart measures each function beside an empty one, in turns, so that
// a busy machine is busy for all of them. "poll" is from the start of the
// process to its first poll; "answer" is from its start to the answer to an
// event that needs nothing of AWS; "run" is from its start to the answer to a
// first real run, the emulator's and the simulator's time included.
func BenchmarkStart(b *testing.B) {
	s := newStand(b)
	names := append([]string{"empty"}, functions()...)
	pkg := func(name string) string {
		if name == "empty" {
			return "./shared/lambdahost/testdata/empty"
		}
		return "./functions/" + name
	}
	for _, name := range names {
		bootstrap(b, pkg(name)) // built before the clock runs
	}
	taken := map[string][]time.Duration{}
	memory := map[string]int{}
	for b.Loop() {
		for _, name := range names {
			f := runtimeapi.Function{Name: name, Bootstrap: bootstrap(b, pkg(name)), Env: s.Environment(name)}
			poll, answer := firstAnswer(b, f, []byte(`{"function":"none"}`))
			taken[name+" poll"] = append(taken[name+" poll"], poll)
			taken[name+" answer"] = append(taken[name+" answer"], answer)
			if name == "empty" {
				continue
			}
			began := time.Now()
			i, err := runtimeapi.Start(f)
			if err != nil {
				b.Fatal(err)
			}
			r, err := i.Invoke(b.Context(), stand.Event(forced(name), time.Now()))
			if err != nil || r.Failed {
				b.Fatalf("%s: %s %v", name, r.Payload, err)
			}
			taken[name+" run"] = append(taken[name+" run"], time.Since(began))
			memory[name] = max(memory[name], peakMemory(i.Pid()))
			if err := i.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
	median := func(what string) float64 {
		d := slices.Clone(taken[what])
		slices.Sort(d)
		return float64(d[len(d)/2].Microseconds()) / 1000
	}
	for _, name := range names {
		for _, what := range []string{"poll", "answer"} {
			b.ReportMetric(median(name+" "+what), name+"-"+what+"-ms")
			if name != "empty" {
				b.ReportMetric(median(name+" "+what)/median("empty "+what), name+"-"+what+"-x")
			}
		}
		if name != "empty" {
			b.ReportMetric(median(name+" run"), name+"-run-ms")
			b.ReportMetric(float64(memory[name])/1024, name+"-MB")
		}
		if info, err := os.Stat(bootstrap(b, pkg(name))); err == nil {
			b.ReportMetric(float64(info.Size())/1e6, name+"-binary-MB")
		}
	}
}

func firstAnswer(b *testing.B, f runtimeapi.Function, event []byte) (poll, answer time.Duration) {
	b.Helper()
	began := time.Now()
	i, err := runtimeapi.Start(f)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := i.Invoke(b.Context(), event); err != nil {
		b.Fatal(err)
	}
	answer = time.Since(began)
	if poll, err = i.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := i.Close(); err != nil {
		b.Fatal(err)
	}
	return poll, answer
}

// peakMemory is a process's highest resident memory in KB; 0 where there is no
// /proc.
func peakMemory(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var kb int
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			return kb
		}
	}
	return 0
}
