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

// atMost is how much longer than its floor a function may take to its first poll.
// None keeps it: of 1.30, measured over 200 turns, 0.10 is the size of the program
// alone (one that links all of it, and does what its floor does, takes as long) and
// 0.19, 0.7 ms, is mesh.json: encoding/json learns the types of a mesh (0.2 ms),
// reads it, writes it again to compare, and checks it.
const atMost = 1.1

// BenchmarkStart measures each function beside its floor, a program that makes the
// same clients of AWS in the same way and nothing else: in turns, so that a busy
// machine is busy for both, and the median of the pairs' ratios counts. "poll" is
// from the start of the process to its first poll; "answer" is from its start to
// the answer to an event that needs nothing of AWS; "run" is from its start to the
// answer to a first real run, the emulator's and the simulator's time included.
func BenchmarkStart(b *testing.B) {
	s := newStand(b)
	floorOf := map[string]string{"peersync": "looks", "certcheck": "looks", "stucksync": "judges"}
	program := func(name, pkg string) runtimeapi.Function {
		return runtimeapi.Function{Name: name, Bootstrap: bootstrap(b, pkg), Env: s.Environment(name)}
	}
	floors, whole := map[string]runtimeapi.Function{}, map[string]runtimeapi.Function{}
	for _, name := range functions() { // built before the clock runs
		whole[name] = program(name, "./functions/"+name)
		floors[name] = program(name, "./shared/lambdahost/testdata/clients/"+floorOf[name])
	}
	taken := map[string][]float64{} // ms, or a ratio
	memory := map[string]int{}
	for turn := 0; b.Loop(); turn++ {
		for _, name := range functions() {
			var poll, answer [2]time.Duration
			for i := range 2 { // who is first changes with the turn
				f := []runtimeapi.Function{floors[name], whole[name]}[(turn+i)%2]
				poll[(turn+i)%2], answer[(turn+i)%2] = firstAnswer(b, f, []byte(`{"function":"none"}`))
			}
			for what, d := range map[string][2]time.Duration{"poll": poll, "answer": answer} {
				taken[name+"-"+what+"-floor-ms"] = append(taken[name+"-"+what+"-floor-ms"], d[0].Seconds()*1e3)
				taken[name+"-"+what+"-ms"] = append(taken[name+"-"+what+"-ms"], d[1].Seconds()*1e3)
				taken[name+"-"+what+"-x"] = append(taken[name+"-"+what+"-x"], d[1].Seconds()/d[0].Seconds())
			}
			began := time.Now()
			i, err := runtimeapi.Start(whole[name])
			if err != nil {
				b.Fatal(err)
			}
			r, err := i.Invoke(b.Context(), stand.Event(forced(name), time.Now()))
			if err != nil || r.Failed {
				b.Fatalf("%s: %s %v", name, r.Payload, err)
			}
			taken[name+"-run-ms"] = append(taken[name+"-run-ms"], time.Since(began).Seconds()*1e3)
			memory[name] = max(memory[name], peakMemory(i.Pid()))
			if err := i.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
	for what, all := range taken {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], what)
	}
	for _, name := range functions() {
		b.Logf("%-9s first poll after %.2f times its floor, median of %d pairs (budget %.1f)", name, taken[name+"-poll-x"][len(taken[name+"-poll-x"])/2], len(taken[name+"-poll-x"]), atMost)
		b.ReportMetric(float64(memory[name])/1024, name+"-MB")
		if info, err := os.Stat(whole[name].Bootstrap); err == nil {
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
