package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSyslogIsCheckedBeforeAnythingBegins(t *testing.T) {
	sim := simulate(t, "--users", "5", "--rate", "60")
	for want, args := range map[string][]string{
		"IP:PORT":                       {"--syslog", "514"},
		"no IP address of this machine": {"--syslog", "imp.example.com:514"},
		"leave one of them out":         {"--syslog", "127.0.0.1:0", "--once", "peersync"},
	} {
		out, errs, code := run1(t, sim.dir, append([]string{"run", "--listen", "off"}, args...)...)
		if code != 2 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%v: exit %d, want %q\n%s%s", args, code, want, out, errs)
		}
	}
	if _, err := os.Stat(filepath.Join(sim.dir, "state.db")); err == nil {
		t.Error("a refused run has begun a state file")
	}
}

// TestNodesPushTheirLogs: over UDP and TCP, in the middle of a flood; the functions
// go on, what came is counted, and a kill loses a minute of it at the most.
func TestNodesPushTheirLogs(t *testing.T) {
	sim := simulate(t, "--users", "5", "--rate", "300")
	r := start(t, sim.dir, "run", "--json", "--listen", "off", "--syslog", "127.0.0.1:0")
	address := regexp.MustCompile(`syslog is taken at (\S+),`)
	eventually(t, "the address", func() bool { return address.MatchString(r.err.String()) })
	at := address.FindStringSubmatch(r.err.String())[1]
	for id, to := range map[string]string{"emea": "udp://" + at, "apac": "tcp://" + at} {
		sim.post(t, "/clusters/"+id+"/log", fmt.Sprintf(`{"push":%q}`, to))
		sim.post(t, "/clusters/"+id+"/log", `{"alarm":"InterclusterSyncAgentPeerDown","peer":"amer"}`)
	}
	pushed := func() (answer struct {
		Pushed   struct{ Lines, Kept, Refused int }
		Clusters []struct {
			ID     string
			Pushed string
		}
	}) {
		out, _, _ := run1(t, sim.dir, "status", "--json")
		if err := json.Unmarshal([]byte(out), &answer); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return answer
	}
	eventually(t, "the lines of both", func() bool {
		n := 0
		for _, c := range pushed().Clusters {
			if c.Pushed != "" {
				n++
			}
		}
		return n == 2
	})
	flood, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer flood.Close()
	runs := func() int { return strings.Count(r.out.String(), `"function":"peersync"`) }
	before := runs()
	for i := range 50_000 {
		fmt.Fprintf(flood, "<189>%d: elsewhere.example.com: x : %%UC_ICSA-2-InterClusterSyncAgentSyncFailure: %%[remotePeerAddress=x][Node ID=elsewhere]: no", i)
	}
	eventually(t, "three more looks, and the flood is counted", func() bool { return runs() >= before+3 && pushed().Pushed.Refused > 1000 })
	if strings.Contains(r.err.String(), "run failed") {
		t.Errorf("the functions suffered:\n%s", r.err.String())
	}
	if err := r.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if p := pushed(); p.Pushed.Kept == 0 {
		t.Errorf("after a kill: %+v", p)
	}
}

// TestEachWayInWhichLinesAreSent: by datagram, by line and by count, twice, in
// another order, with garbage between them: each line that counts is taken as often
// as it came, and what is no line is counted.
func TestEachWayInWhichLinesAreSent(t *testing.T) {
	sim := simulate(t, "--users", "5", "--rate", "120", "--log-severity", "3")
	r := start(t, sim.dir, "run", "--json", "--listen", "off", "--syslog", "127.0.0.1:0")
	address := regexp.MustCompile(`syslog is taken at (\S+),`)
	eventually(t, "the address", func() bool { return address.MatchString(r.err.String()) })
	at := address.FindStringSubmatch(r.err.String())[1]
	type tally struct{ Lines, Kept, Refused, Unreadable, Dropped, Kernel int64 }
	counted := func() tally {
		out, _, _ := run1(t, sim.dir, "status", "--json")
		var answer struct{ Pushed tally }
		if err := json.Unmarshal([]byte(out), &answer); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return answer.Pushed
	}
	var want tally
	for _, framing := range []struct{ name, set string }{
		{"by datagram", fmt.Sprintf(`{"push":"udp://%s"}`, at)},
		{"by line", fmt.Sprintf(`{"push":"tcp://%s"}`, at)},
		{"by count", fmt.Sprintf(`{"push":"tcp://%s","pushFraming":"octets"}`, at)},
	} {
		sim.post(t, "/clusters/emea/log", framing.set)
		for _, ways := range []struct {
			name, set               string
			lines, kept, unreadable int64
		}{
			{"as they are", `{"pushTwice":false,"pushSwapped":false,"pushGarbage":false}`, 2, 2, 0},
			{"twice", `{"pushTwice":true}`, 4, 4, 0},
			{"in another order", `{"pushTwice":false,"pushSwapped":true}`, 2, 2, 0},
			// Of five pieces of garbage before each line one is too long.
			{"with garbage", `{"pushSwapped":false,"pushGarbage":true}`, 10, 2, 2},
			{"all of it", `{"pushTwice":true,"pushSwapped":true}`, 12, 4, 2},
		} {
			sim.post(t, "/clusters/emea/log", ways.set)
			sim.post(t, "/clusters/emea/log", `{"alarm":"InterclusterSyncAgentPeerDown","peer":"apac"}`)
			sim.post(t, "/clusters/emea/log", `{"alarm":"InterClusterSyncAgentSyncFailure","peer":"amer"}`)
			want.Lines, want.Kept, want.Unreadable = want.Lines+ways.lines, want.Kept+ways.kept, want.Unreadable+ways.unreadable
			last := tally{}
			for end := time.Now().Add(2 * time.Minute); last != want && time.Now().Before(end); last = counted() {
				time.Sleep(50 * time.Millisecond)
			}
			if last != want {
				t.Fatalf("%s, %s: %+v, want %+v", framing.name, ways.name, last, want)
			}
		}
	}
}
