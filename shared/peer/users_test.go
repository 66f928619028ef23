package peer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

// film plays two clusters tick by tick: apac is the home, emea pulls from it.
// What a case gives is a function of the minute since the first look.
type film struct {
	interval time.Duration
	home     func(minute int) int
	// copied is what emea holds, given what the home was at the last sync.
	copied func(minute, atLastSync int) int
	// syncs says whether the sync that is due at this minute succeeds; nil = all do.
	syncs func(minute int) bool
	// digest is a fingerprint of who the users are at home and in the copy; nil = never read.
	digest   func(minute int) (home, copied string)
	noClock  bool
	blackout func(minute int) bool // peersync does not run
	skew     time.Duration         // of emea's clock
}

// shot is how one tick looked.
type shot struct {
	minute        int
	users, synced Condition
	state         State
}

func (f film) play(minutes int) []shot {
	if f.syncs == nil {
		f.syncs = func(int) bool { return true }
	}
	if f.copied == nil {
		f.copied = func(_, at int) int { return at }
	}
	m := clusters("emea", "apac")
	emea, _ := m.Cluster("emea")
	apac, _ := m.Cluster("apac")
	records := map[mesh.ClusterID]*ClusterRecord{"emea": {}, "apac": {}}
	buckets := map[mesh.ClusterID]Fact[Buckets]{}
	var rec SyncRecord
	last, atLast := noon.Add(-f.interval), f.home(0)
	synced := true
	var out []shot
	for minute := 0; minute <= minutes; minute++ {
		if minute%int(f.interval/time.Minute) == 2 && f.syncs(minute) {
			last, atLast, synced = noon.Add(time.Duration(minute)*time.Minute), f.home(minute), true
		}
		if minute%5 != 0 || f.blackout != nil && f.blackout(minute) {
			continue
		}
		now := noon.Add(time.Duration(minute) * time.Minute)
		home, copied := f.home(minute), f.copied(minute, atLast)
		entry := Entry{Address: string(pub("apac")), Protocol: mesh.TCP, HasClock: !f.noClock, HasError: true}
		if !f.noClock {
			entry.LastSync = last.Add(f.skew)
		}
		look := func(c *mesh.Cluster, own, other int, entries ...Entry) Observation {
			o := Observation{Cluster: c.ID, At: now, Access: Known(true, now), Nodes: map[mesh.NodeName]Node{}, UsersBasis: Measured,
				Users: Known(map[mesh.NodeName]int{c.Publisher: own, otherPub(c.ID): other}, now), Entries: Known(entries, now), Skew: Known(time.Duration(0), now)}
			for _, n := range c.Nodes {
				services := map[string]Service{}
				for _, name := range []string{ICSA, SyncAgent, AXL, XCPRouter} {
					services[name] = Service{Status: "Started", UpTime: time.Duration(minute+60) * time.Minute}
				}
				o.Nodes[n.Name] = Node{Answers: Known(true, now), Services: Known(services, now), Parameters: Known(map[string]string{ParamInterval: fmt.Sprint(int(f.interval / time.Minute))}, now)}
			}
			if f.noClock {
				o.Entries = Unknown[[]Entry](NoDialect, "not mapped")
			}
			return o
		}
		a := look(emea, 50, copied, entry)
		a.Skew = Known(f.skew, now)
		back := Entry{Address: string(pub("emea")), Protocol: mesh.TCP, HasClock: true, HasError: true, LastSync: now}
		na, nb := Advance(*records["emea"], a, emea), Advance(*records["apac"], look(apac, home, 50, back), apac)
		if f.digest != nil && (synced || minute%int(f.interval/time.Minute) == 0) {
			h, c := f.digest(minute)
			buckets["emea"] = Known(Buckets{"apac": DigestOf(map[string]Bucket{"x": {Users: copied, High: c}})}, now)
			buckets["apac"] = Known(Buckets{"apac": DigestOf(map[string]Bucket{"x": {Users: home, High: h}})}, now)
		}
		synced = false
		records["emea"], records["apac"] = &na, &nb
		v := &View{Now: now, Tick: tick, Mesh: m, Clusters: records, Buckets: buckets}
		rec = Judge(v, watched, rec)
		state, _ := StateOf(rec.Conditions, rec)
		out = append(out, shot{minute, rec.Condition(UsersMatch), rec.Condition(Synced), state})
	}
	return out
}

func otherPub(id mesh.ClusterID) mesh.NodeName {
	if id == "emea" {
		return pub("apac")
	}
	return pub("emea")
}

// when lists the minutes at which UsersMatch began to read so: "0 True/CountsEqual, 30 True/CatchingUp".
func when(shots []shot, what func(shot) Condition) string {
	var out []string
	before := ""
	for _, s := range shots {
		c := what(s)
		if is := string(c.Status) + "/" + string(c.Reason); is != before {
			out = append(out, fmt.Sprintf("%d %s", s.minute, is))
			before = is
		}
	}
	return strings.Join(out, ", ")
}

func users(s shot) Condition  { return s.users }
func synced(s shot) Condition { return s.synced }

func step(at, before, after int) func(int) int {
	return func(m int) int {
		if m >= at {
			return after
		}
		return before
	}
}

func always(n int) func(int) int { return func(int) int { return n } }

func never(int) bool { return false }

func TestUsersOverTime(t *testing.T) {
	const half = 30 * time.Minute
	stands := func(n int) func(_, _ int) int { return func(_, _ int) int { return n } }
	busy := func(m int) int { return 75000 + 3*(m/5) }
	cases := []struct {
		name    string
		film    film
		minutes int
		want    string
	}{
		{"home idle", film{interval: half, home: always(200)}, 600, "0 True/CountsEqual"},
		{"ten users added at minute 10, copied at 32", film{interval: half, home: step(10, 200, 210)}, 120,
			"0 True/CountsEqual, 10 True/CatchingUp, 35 True/CountsEqual"},
		{"users removed", film{interval: half, home: step(10, 200, 150)}, 120,
			"0 True/CountsEqual, 10 True/CatchingUp, 35 True/CountsEqual"},
		{"deaf: the clock runs, the data do not", film{interval: half, home: step(10, 200, 210), copied: stands(200)}, 600,
			"0 True/CountsEqual, 10 True/CatchingUp, 65 Unknown/NotYetDecided, 70 False/UsersMissing"},
		{"deaf since before the first look", film{interval: half, home: always(210), copied: stands(200)}, 600,
			"0 Unknown/NotYetDecided, 60 False/UsersMissing"},
		{"copies that nobody is home to", film{interval: half, home: always(200), copied: stands(207)}, 600,
			"0 Unknown/NotYetDecided, 60 False/UsersExtra"},
		{"busy home, healthy sync", film{interval: half, home: busy}, 1440,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"busy home, one sync in two is missed", film{interval: half, home: busy, syncs: func(m int) bool { return (m/30)%2 == 0 }}, 1440,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"busy home, healthy sync, cluster clock an hour ahead", film{interval: half, home: busy, skew: time.Hour}, 1440,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"busy home, healthy sync, cluster clock 29 minutes ahead", film{interval: half, home: busy, skew: 29 * time.Minute}, 1440,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"busy home, healthy sync, cluster clock two hours behind", film{interval: half, home: busy, skew: -2 * time.Hour}, 1440,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"busy home, healthy sync, no clock readable", film{interval: half, home: busy, noClock: true}, 1440,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"busy home, deaf copy", film{interval: half, home: busy, copied: stands(75000)}, 600,
			"0 True/CountsEqual, 5 True/CatchingUp, 35 Unknown/NotYetDecided, 65 False/UsersMissing"},
		{"busy home, a tick that sees no change hides no lag", film{interval: 4 * time.Hour, home: busy}, 2000,
			"0 True/CountsEqual, 5 True/CatchingUp"},
		{"longest interval", film{interval: 1444 * time.Minute, home: step(10, 200, 210)}, 3000,
			"0 True/CountsEqual, 10 True/CatchingUp, 1450 True/CountsEqual"},
		{"first full sync of 75,000 under way for two hours", film{interval: half, home: always(75000), copied: func(m, _ int) int { return min(75000, 600*m) }, syncs: never}, 300,
			"0 Unknown/NotYetDecided, 125 True/CountsEqual"},
		{"first full sync that stalls half way", film{interval: half, home: always(75000), copied: func(m, _ int) int { return min(40000, 600*m) }}, 300,
			"0 Unknown/NotYetDecided, 130 False/UsersMissing"},
		{"others for the same number, noticed by the buckets", film{interval: half, home: always(200), digest: func(m int) (string, string) {
			if m >= 20 {
				return "new", "old"
			}
			return "old", "old"
		}}, 300, "0 True/BucketsEqual, 30 Unknown/NotYetDecided, 90 False/UsersDiffer"},
		{"others for the same number, copied by the next sync", film{interval: half, home: always(200), digest: func(m int) (string, string) {
			h, c := "old", "old"
			if m >= 20 {
				h = "new"
			}
			if m >= 32 {
				c = "new"
			}
			return h, c
		}}, 300, "0 True/BucketsEqual, 30 Unknown/NotYetDecided, 35 True/BucketsEqual"},
		{"the same after the count had come and gone before: old counts tell nothing of new users", film{interval: half, home: func(m int) int { return map[int]int{1: 201}[m/100] + 200*(1-map[int]int{1: 1}[m/100]) }, digest: func(m int) (string, string) {
			h, c := "old", "old"
			if m >= 320 {
				h = "new"
			}
			if m >= 332 {
				c = "new"
			}
			return h, c
		}}, 500, "0 True/BucketsEqual, 100 True/CatchingUp, 125 True/BucketsEqual, 200 True/CatchingUp, 215 True/BucketsEqual, 330 Unknown/NotYetDecided, 335 True/BucketsEqual"},
		{"peersync off from minute 20 to 400, changes copied meanwhile", film{interval: half, home: busy, blackout: func(m int) bool { return m > 20 && m < 400 }}, 700,
			"0 True/CountsEqual, 5 True/CatchingUp, 400 Unknown/NotYetDecided, 425 True/CatchingUp"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			shots := c.film.play(c.minutes)
			if got := when(shots, users); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestStuckOverTime(t *testing.T) {
	stuck := film{interval: 30 * time.Minute, home: step(10, 200, 210), syncs: never}
	if got, want := when(stuck.play(300), synced), "0 True/OnInterval, 15 True/Overdue, 95 False/FourPeriodsMissed"; got != want {
		t.Errorf("stuck:\n got %s\nwant %s", got, want)
	}
	idle := film{interval: 30 * time.Minute, home: always(200), syncs: never}
	if got, want := when(idle.play(300), synced), "0 True/OnInterval, 15 True/Overdue, 95 False/FourPeriodsMissed"; got != want {
		t.Errorf("stuck while the home is idle: equal data never silence an overdue agent:\n got %s\nwant %s", got, want)
	}
	slow := film{interval: 30 * time.Minute, home: step(10, 200, 210), syncs: func(m int) bool { return (m/30)%2 == 1 }}
	for _, s := range slow.play(600) {
		if s.synced.Status == False || s.users.Status == False {
			t.Errorf("slow, one interval late, minute %d: %s %s", s.minute, s.synced.Reason, s.users.Reason)
		}
	}
	blind := film{interval: 30 * time.Minute, home: step(10, 200, 210), syncs: never, noClock: true}
	if got, want := when(blind.play(300), synced), "0 Unknown/ClockNotReadable, 135 False/HomeChangeNotCopied"; got != want {
		t.Errorf("stuck, clock not readable:\n got %s\nwant %s", got, want)
	}
}

// TestHealthWithoutAClock: progress stands in for Last Synchronized Time.
func TestHealthWithoutAClock(t *testing.T) {
	idle := film{interval: 30 * time.Minute, home: always(200), noClock: true}.play(120)
	if got := idle[len(idle)-1].state; got != StateUnknown {
		t.Errorf("no clock and no change seen: %s, want Unknown", got)
	}
	moved := film{interval: 30 * time.Minute, home: step(10, 200, 210), noClock: true}.play(120)
	if got := moved[len(moved)-1]; got.state != Healthy || !strings.Contains(got.synced.Message, "seen copied") {
		t.Errorf("no clock, but a change was seen copied: %s, %q, want Healthy", got.state, got.synced.Message)
	}
}

// TestSteadyMessages: what a person reads, and a store keeps, stands still
// while the mesh does.
func TestSteadyMessages(t *testing.T) {
	for name, f := range map[string]film{
		"well":  {interval: 30 * time.Minute, home: always(200)},
		"stuck": {interval: 30 * time.Minute, home: step(10, 200, 210), syncs: never},
		"deaf":  {interval: 30 * time.Minute, home: step(10, 200, 210), copied: func(_, _ int) int { return 200 }},
	} {
		shots := f.play(600)
		for i := range shots {
			if shots[i].minute < 200 || i == 0 {
				continue
			}
			if a, b := shots[i-1], shots[i]; a.users != b.users || a.synced != b.synced {
				t.Errorf("%s: minute %d: %q %q became %q %q", name, b.minute, a.users.Message, a.synced.Message, b.users.Message, b.synced.Message)
			}
		}
	}
}
