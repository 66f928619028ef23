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
	shots, _ := f.run(minutes)
	return shots
}

// last is what is remembered at the end.
func (f film) last(minutes int) SyncRecord {
	_, rec := f.run(minutes)
	return rec
}

func (f film) run(minutes int) ([]shot, SyncRecord) {
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
		v := Facts{Now: now, Tick: tick, Mesh: m, Clusters: records, Buckets: buckets}.View()
		rec = Judge(v, watched, rec)
		state, _ := StateOf(rec.Conditions, rec)
		out = append(out, shot{minute, rec.Condition(UsersMatch), rec.Condition(Synced), state})
	}
	return out, rec
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

func users(s shot) Condition { return s.users }

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
