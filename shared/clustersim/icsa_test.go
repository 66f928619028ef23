package clustersim

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// copies counts the rows that a cluster holds of another's home users.
func (r *rig) copies(holder, home string) int {
	r.t.Helper()
	h, o := r.cluster(holder), r.cluster(home)
	n, err := h.db.number("SELECT COUNT(*) FROM enduser WHERE " + o.copyCondition())
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *rig) lastSync(id string) time.Time {
	p := r.peer(id)
	if p.LastSynchronized == nil {
		return time.Time{}
	}
	return *p.LastSynchronized
}

// run advances in small steps, as a host does.
func (r *rig) run(d time.Duration) {
	const tick = time.Minute
	for ; d > 0; d -= tick {
		r.advance(min(d, tick))
	}
}

// icsaUp is how long ICSA of emea's publisher has been up.
func (r *rig) icsaUp(node string) time.Duration {
	return time.Duration(r.nodeState(node).UpTime[serviceICSA]) * time.Second
}

const anHourAndABit = 65 * time.Minute

func TestFirstSyncIsDoneWhenTheMeshIsMade(t *testing.T) {
	r := newRig(t, Config{Users: 40})
	for _, from := range []string{"emea", "apac", "amer"} {
		for _, to := range []string{"emea", "apac", "amer"} {
			if from == to {
				continue
			}
			p := r.peer(from + ">" + to)
			if p.AssociatedUsers != 40 || r.copies(from, to) != 40 {
				t.Errorf("%s>%s: %d associated users, %d copies, want 40", from, to, p.AssociatedUsers, r.copies(from, to))
			}
			if age := epoch.Sub(*p.LastSynchronized); age < 0 || age > 30*time.Minute {
				t.Errorf("%s>%s last synchronized %v ago", from, to, age)
			}
		}
	}
}

func TestUsersTravelOnTheInterval(t *testing.T) {
	for name, change := range map[string]struct {
		body       string
		home, copy int
	}{
		"added":              {`{"add":10}`, 50, 50},
		"removed":            {`{"remove":5}`, 35, 35},
		"unassigned":         {`{"unassign":3}`, 37, 37},
		"with a bad URI":     {`{"invalidUri":2}`, 40, 40},
		"sharing a user ID":  {`{"duplicate":"jdoe"}`, 41, 41},
		"removed completely": {`{"remove":40}`, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{Users: 40})
			r.do("/clusters/apac/users", change.body)
			if got := r.state("apac").Users; got != change.home {
				t.Errorf("apac has %d home users, want %d", got, change.home)
			}
			if change.home != 40 && r.copies("emea", "apac") != 40 {
				t.Error("copied before a sync was due")
			}
			r.run(31 * time.Minute)
			if got := r.copies("emea", "apac"); got != change.copy {
				t.Errorf("emea holds %d copies, want %d", got, change.copy)
			}
			if got := r.peer("emea>apac").AssociatedUsers; got != change.copy {
				t.Errorf("associated users %d, want %d", got, change.copy)
			}
		})
	}
}

func TestMovedUserChangesHome(t *testing.T) {
	r := newRig(t, Config{Users: 10})
	userid := r.query(emeaPub, "SELECT FIRST 1 userid FROM enduser WHERE enablecups = 't' AND status = 1 ORDER BY userid").row(0)["userid"]
	r.do("/clusters/emea/users", fmt.Sprintf(`{"move":%q,"to":"apac"}`, userid))
	r.run(31 * time.Minute)
	if r.state("emea").Users != 9 || r.state("apac").Users != 11 || r.copies("amer", "emea") != 9 || r.copies("amer", "apac") != 11 {
		t.Errorf("after the move: emea %d, apac %d; copies in amer %d and %d", r.state("emea").Users, r.state("apac").Users, r.copies("amer", "emea"), r.copies("amer", "apac"))
	}
	row := r.query(amerPub, "SELECT e.name AS node FROM enduser u, enterprisenode e WHERE u.primarynodeid = e.id AND u.userid = '"+userid+"'").row(0)
	if !strings.Contains(row["node"], "apac") {
		t.Errorf("amer thinks the user is at %q", row["node"])
	}
}

func TestStuck(t *testing.T) {
	t.Run("stands still, and ICSA's own restart does not help", func(t *testing.T) {
		r := newRig(t, Config{Users: 20})
		r.do("/clusters/emea/peers", `{"peer":"apac","mode":"stuck"}`)
		r.do("/clusters/apac/users", `{"add":5}`)
		before := r.lastSync("emea>apac")
		r.run(3 * time.Hour)
		if got := r.lastSync("emea>apac"); !got.Equal(before) {
			t.Errorf("clock moved from %v to %v", before, got)
		}
		if got := r.copies("emea", "apac"); got != 20 {
			t.Errorf("%d copies, want 20", got)
		}
		if got := r.copies("amer", "apac"); got != 25 {
			t.Errorf("the other puller has %d copies, want 25", got)
		}
		// Clock A: 30 min + 2 h after the last success.
		if got := r.state("emea").ICSASelfRestarts; got != 1 {
			t.Errorf("%d restarts of its own, want 1", got)
		}
		if up := r.icsaUp(emeaPub); up > time.Hour {
			t.Errorf("up-time %v was not reset", up)
		}
		r.run(150 * time.Minute)
		if got := r.state("emea").ICSASelfRestarts; got != 2 {
			t.Errorf("%d restarts of its own after another clock, want 2", got)
		}
	})
	t.Run("heals by itself where the scenario says so", func(t *testing.T) {
		r := newRig(t, Config{Users: 20})
		r.do("/clusters/emea/peers", `{"peer":"apac","mode":"stuck","selfHeals":true}`)
		r.do("/clusters/apac/users", `{"add":5}`)
		r.run(3 * time.Hour)
		if got := r.copies("emea", "apac"); got != 25 || r.peer("emea>apac").Mode != "ok" {
			t.Errorf("%d copies, mode %s", got, r.peer("emea>apac").Mode)
		}
	})
	t.Run("a requested restart mends it", func(t *testing.T) {
		r := newRig(t, Config{Users: 20})
		r.do("/clusters/emea/peers", `{"peer":"apac","mode":"stuck"}`)
		r.do("/clusters/apac/users", `{"add":5}`)
		r.run(anHourAndABit)
		out := r.control(emeaPub, "soapDoControlServices", controlRequest(emeaPub, "Restart", serviceICSA), "write")
		if out.status != 200 {
			t.Fatalf("restart: %d %s", out.status, out.body)
		}
		r.run(2 * time.Minute)
		if got := r.copies("emea", "apac"); got != 25 {
			t.Errorf("%d copies after the restart, want 25", got)
		}
		if c := r.state("emea"); c.ICSARestarts != 1 || c.ICSASelfRestarts != 0 {
			t.Errorf("%d requested and %d own restarts", c.ICSARestarts, c.ICSASelfRestarts)
		}
	})
	t.Run("a restart on the subscriber does not", func(t *testing.T) {
		r := newRig(t, Config{Users: 20})
		r.do("/clusters/emea/peers", `{"peer":"apac","mode":"stuck"}`)
		before := r.lastSync("emea>apac")
		r.do("/clusters/emea/services", `{"node":"`+emeaSub+`","service":"`+serviceICSA+`","status":"Restart"}`)
		r.run(anHourAndABit)
		if got := r.lastSync("emea>apac"); !got.Equal(before) {
			t.Errorf("clock moved to %v", got)
		}
	})
	t.Run("without auto recovery nobody restarts", func(t *testing.T) {
		r := newRig(t, Config{Users: 20})
		r.do("/clusters/emea/parameters", `{"service":"`+serviceICSA+`","name":"`+paramAutoRecovery+`","value":"f"}`)
		r.do("/clusters/emea/peers", `{"peer":"apac","mode":"stuck"}`)
		r.run(6 * time.Hour)
		if got := r.state("emea").ICSASelfRestarts; got != 0 {
			t.Errorf("%d restarts", got)
		}
	})
}

func TestDeafClockRunsDataDoesNot(t *testing.T) {
	r := newRig(t, Config{Users: 20})
	r.do("/clusters/emea/peers", `{"peer":"apac","mode":"deaf"}`)
	r.do("/clusters/apac/users", `{"add":5}`)
	before := r.lastSync("emea>apac")
	r.run(anHourAndABit)
	if got := r.lastSync("emea>apac"); !got.After(before.Add(30 * time.Minute)) {
		t.Errorf("clock stands at %v", got)
	}
	if r.copies("emea", "apac") != 20 || r.peer("emea>apac").AssociatedUsers != 20 {
		t.Errorf("%d copies", r.copies("emea", "apac"))
	}
	r.do("/clusters/emea/peers", `{"peer":"apac","mode":"ok"}`)
	r.run(31 * time.Minute)
	if got := r.copies("emea", "apac"); got != 25 {
		t.Errorf("%d copies once it hears again, want 25", got)
	}
}

func TestSlowIsOneIntervalLate(t *testing.T) {
	r := newRig(t, Config{Users: 20})
	r.do("/clusters/emea/peers", `{"peer":"apac","mode":"slow"}`)
	var syncs []time.Time
	for range 5 * 60 {
		r.advance(time.Minute)
		if last := r.lastSync("emea>apac"); last.After(epoch) && (len(syncs) == 0 || last.After(syncs[len(syncs)-1])) {
			syncs = append(syncs, last)
		}
	}
	if len(syncs) < 3 {
		t.Fatalf("syncs at %v", syncs)
	}
	for i := 1; i < len(syncs); i++ {
		if gap := syncs[i].Sub(syncs[i-1]); gap != time.Hour {
			t.Errorf("syncs %v apart, want two intervals", gap)
		}
	}
	if got := r.state("emea").ICSASelfRestarts; got != 0 {
		t.Errorf("%d self-restarts", got)
	}
}

// Everything that keeps ICSA from pulling: it shows in lasterror, ICSA retries
// every 5 minutes, and once mended the next retry succeeds.
func TestObstacles(t *testing.T) {
	const name = "extra.example.com"
	for _, test := range []struct {
		name, lastError string
		spoil, mend     func(*rig)
	}{
		{"wrong password in the entry", "AuthenticationFailed: HTTP 401",
			func(r *rig) { r.do("/clusters/emea/peers", `{"peer":"apac","mode":"badCredentials"}`) },
			func(r *rig) { r.do("/clusters/emea/peers", `{"peer":"apac","mode":"ok"}`) }},
		{"remote publisher down", "NotReachable",
			func(r *rig) { r.do("/clusters/apac/nodes", `{"node":"`+apacPub+`","down":true}`) },
			func(r *rig) { r.do("/clusters/apac/nodes", `{"node":"`+apacPub+`","down":false}`) }},
		{"not reachable from emea", "NotReachable",
			func(r *rig) { r.do("/clusters/apac/reachable", `{"from":"emea","value":false}`) },
			func(r *rig) { r.do("/clusters/apac/reachable", `{"from":"emea","value":true}`) }},
		{"not reachable from anybody", "NotReachable",
			func(r *rig) { r.do("/clusters/apac/reachable", `{"from":"all","value":false}`) },
			func(r *rig) { r.do("/clusters/apac/reachable", `{"from":"all","value":true}`) }},
		{"remote AXL stopped", "ServiceNotRunning",
			func(r *rig) {
				r.do("/clusters/apac/services", `{"node":"`+apacPub+`","service":"`+serviceAXL+`","status":"Stopped"}`)
			},
			func(r *rig) {
				r.do("/clusters/apac/services", `{"node":"`+apacPub+`","service":"`+serviceAXL+`","status":"Started"}`)
			}},
		{"address is not the node name", "NotReachable",
			func(r *rig) { r.do("/clusters/emea/peers", `{"peer":"apac","address":"apac.example.com"}`) },
			func(r *rig) { r.do("/clusters/emea/peers", `{"peer":"apac","address":"`+apacPub+`"}`) }},
		{"certificate expired", "CertificateExpired",
			func(r *rig) {
				r.do("/clusters/apac/certificates", `{"node":"`+apacPub+`","notAfter":"2026-03-02T08:00:01Z"}`)
			},
			func(r *rig) {
				r.do("/clusters/apac/certificates", `{"node":"`+apacPub+`","notAfter":"2027-03-02T08:00:01Z"}`)
			}},
		{"a SAN does not resolve here", "NameNotResolved: " + name,
			func(r *rig) {
				r.do("/clusters/apac/certificates", `{"node":"`+apacPub+`","sans":["`+apacPub+`","`+name+`"]}`)
			},
			func(r *rig) { r.do("/clusters/emea/dns", `{"name":"`+name+`","answer":"192.0.2.250"}`) }},
		{"the publisher's name is gone from DNS", "NotReachable",
			func(r *rig) { r.do("/clusters/emea/dns", `{"name":"`+apacPub+`","answer":"nxdomain"}`) },
			func(r *rig) { r.do("/clusters/emea/dns", `{"name":"`+apacPub+`","answer":""}`) }},
		{"both DNS servers silent", "NotReachable",
			func(r *rig) {
				r.do("/clusters/emea/dns", `{"server":1,"silent":true}`)
				r.do("/clusters/emea/dns", `{"server":2,"silent":true}`)
			},
			func(r *rig) { r.do("/clusters/emea/dns", `{"server":2,"silent":false}`) }},
		{"certificate and CA not trusted", "CertificateNotTrusted",
			func(r *rig) {
				r.do("/clusters/emea/trust", `{"remove":"`+fingerprint(r.authority.cert)+`"}`)
				r.do("/clusters/emea/trust", `{"remove":"`+r.leaf(apacPub)+`"}`)
			},
			func(r *rig) { r.do("/clusters/emea/peers", `{"peer":"apac","forceSync":true}`) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, Config{Users: 20})
			test.spoil(r)
			r.do("/clusters/apac/users", `{"add":5}`)
			r.run(anHourAndABit)
			if got := r.peer("emea>apac").LastError; !strings.HasPrefix(got, test.lastError) {
				t.Errorf("lasterror %q, want %q", got, test.lastError)
			}
			if got := r.copies("emea", "apac"); got != 20 {
				t.Errorf("%d copies, want the 20 of before", got)
			}
			if p := r.peer("emea>apac"); p.NextSync.Sub(r.clock.Now()) > retryAfter {
				t.Errorf("next try at %v", p.NextSync)
			}
			row := r.query(emeaPub, "SELECT lasterror FROM cupsinterclusterpeers WHERE associatedusers = 20 AND lasterror LIKE '"+test.lastError+"%'").rows()
			if len(row) == 0 {
				t.Error("the table does not show it")
			}
			if got := r.copies("apac", "emea"); got != 20 {
				t.Errorf("the other direction lost copies: %d", got)
			}
			test.mend(r)
			r.run(7 * time.Minute)
			if p := r.peer("emea>apac"); p.LastError != "" || r.copies("emea", "apac") != 25 {
				t.Errorf("after mending: lasterror %q, %d copies", p.LastError, r.copies("emea", "apac"))
			}
		})
	}
}

func (r *rig) leaf(node string) string {
	r.t.Helper()
	chain, err := r.Served(r.nodeState(node).Address)
	if err != nil {
		r.t.Fatal(err)
	}
	return fingerprint(chain[0])
}

func TestPrimaryDNSSilentIsSurvived(t *testing.T) {
	r := newRig(t, Config{Users: 10})
	r.do("/clusters/emea/dns", `{"server":1,"silent":true}`)
	r.run(anHourAndABit)
	if p := r.peer("emea>apac"); p.LastError != "" {
		t.Errorf("lasterror %q", p.LastError)
	}
}

// A sync that fails makes ICSA restart itself after four intervals, whatever
// the auto-recovery parameter says, from 12.5(1)SU3 on.
func TestClockOfFailingSync(t *testing.T) {
	for _, test := range []struct {
		name, release, autoRecovery string
		interval                    int
		after                       time.Duration // of the last success; 0 = never
	}{
		{"14, 30 minutes", "14.0", "f", 30, 120 * time.Minute},
		{"14, 45 minutes, auto recovery fires first", "14.0", "t", 45, 165 * time.Minute},
		{"14, 45 minutes, no auto recovery", "14.0", "f", 45, 180 * time.Minute},
		{"12.5(1)SU2 knows no such clock", "12.5.1.12900-5", "f", 30, 0},
		{"12.5(1)SU2 with auto recovery", "12.5.1.12900-5", "t", 30, 150 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, Config{Users: 5, Clusters: 2, Release: test.release})
			r.do("/clusters/emea/parameters", `{"name":"`+paramAutoRecovery+`","value":"`+test.autoRecovery+`"}`)
			if test.interval != 30 {
				r.do("/clusters/emea/parameters", fmt.Sprintf(`{"name":%q,"value":%d}`, paramSyncInterval, test.interval))
				r.run(31 * time.Minute) // takes effect after the next sync
			}
			r.do("/clusters/emea/peers", `{"peer":"apac","mode":"badCredentials"}`)
			last := r.lastSync("emea>apac")
			var restarted time.Duration
			for range 6 * 60 {
				r.advance(time.Minute)
				if r.state("emea").ICSASelfRestarts > 0 {
					restarted = r.clock.Now().Sub(last)
					break
				}
			}
			if restarted < test.after || restarted > test.after+time.Minute {
				t.Errorf("restarted itself after %v, want %v", restarted, test.after)
			}
		})
	}
}

func TestIntervalChangeTakesEffectAfterTheNextSync(t *testing.T) {
	r := newRig(t, Config{Users: 5, Clusters: 2})
	r.do("/clusters/emea/parameters", `{"node":"`+emeaPub+`","service":"`+serviceICSA+`","name":"`+paramSyncInterval+`","value":"60"}`)
	planned := r.peer("emea>apac").NextSync
	r.run(31 * time.Minute)
	if got := r.lastSync("emea>apac"); !got.Equal(planned) {
		t.Errorf("the sync planned for %v was at %v", planned, got)
	}
	if got := r.peer("emea>apac").NextSync; !got.Equal(planned.Add(time.Hour)) {
		t.Errorf("next sync %v after that one, want an hour", got.Sub(planned))
	}
}

func TestStoppedAgentDoesNotPull(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	before := r.lastSync("emea>apac")
	r.do("/clusters/emea/services", `{"node":"`+emeaPub+`","service":"`+serviceICSA+`","status":"Stopped"}`)
	r.run(anHourAndABit)
	if got := r.lastSync("emea>apac"); !got.Equal(before) {
		t.Errorf("clock moved to %v", got)
	}
	if got := r.lastSync("apac>emea"); !got.After(epoch) {
		t.Error("the others stopped pulling from emea")
	}
	r.do("/clusters/emea/services", `{"node":"`+emeaPub+`","service":"`+serviceICSA+`","status":"Started"}`)
	r.run(time.Minute)
	if got := r.lastSync("emea>apac"); !got.After(before) {
		t.Error("started, but no sync soon after")
	}
}

func TestSelfSignedRenewal(t *testing.T) {
	renew := `{"node":"` + apacPub + `","issuer":"self"}`
	t.Run("is carried over by certificate sync", func(t *testing.T) {
		r := newRig(t, Config{Users: 5})
		r.do("/clusters/apac/certificates", renew)
		r.run(31 * time.Minute)
		if p := r.peer("emea>apac"); p.LastError != "" || !r.logged("reached tomcat-trust") {
			t.Errorf("lasterror %q", p.LastError)
		}
	})
	t.Run("is not trusted without certificate sync", func(t *testing.T) {
		r := newRig(t, Config{Users: 5})
		r.do("/clusters/emea/parameters", `{"name":"`+paramCertificateSync+`","value":"f"}`)
		r.do("/clusters/apac/certificates", renew)
		r.run(31 * time.Minute)
		if p := r.peer("emea>apac"); !strings.HasPrefix(p.LastError, "CertificateNotTrusted") {
			t.Errorf("lasterror %q", p.LastError)
		}
		r.do("/clusters/emea/trust", `{"add":"`+r.leaf(apacPub)+`"}`)
		r.run(6 * time.Minute)
		if p := r.peer("emea>apac"); p.LastError != "" {
			t.Errorf("lasterror %q after the certificate was added", p.LastError)
		}
	})
}

func TestRestoreRewindsAndRecovers(t *testing.T) {
	r := newRig(t, Config{Users: 200})
	r.run(40 * time.Minute)
	before := r.lastSync("emea>apac")
	r.do("/clusters/emea/restore", `{"users":-100}`)
	if r.state("emea").Users != 100 || r.copies("emea", "apac") != 100 || r.peer("emea>apac").AssociatedUsers != 100 {
		t.Errorf("after the restore: %d home users, %d copies", r.state("emea").Users, r.copies("emea", "apac"))
	}
	if got := r.lastSync("emea>apac"); !got.Before(before) {
		t.Errorf("last synchronized %v did not rewind", got)
	}
	r.run(31 * time.Minute)
	if r.copies("emea", "apac") != 200 || r.copies("apac", "emea") != 100 {
		t.Errorf("after the next syncs: %d and %d copies", r.copies("emea", "apac"), r.copies("apac", "emea"))
	}
	if got := r.state("emea").ICSASelfRestarts; got != 0 {
		t.Errorf("the rewound clock made ICSA restart itself %d times", got)
	}
}

func TestEntryRemovedAndAddedAgain(t *testing.T) {
	r := newRig(t, Config{Users: 10})
	r.do("/clusters/emea/peers", `{"peer":"apac","present":false}`)
	if got := r.copies("emea", "apac"); got != 0 {
		t.Errorf("%d copies stay after the entry is gone", got)
	}
	if n := len(r.query(emeaPub, "SELECT pkid FROM cupsinterclusterpeers").rows()); n != 1 {
		t.Errorf("%d rows in the table", n)
	}
	r.do("/clusters/emea/peers", `{"peer":"apac","present":true,"protocol":"tls"}`)
	r.run(time.Minute)
	if p := r.peer("emea>apac"); p.AssociatedUsers != 10 || p.Protocol != "tls" {
		t.Errorf("entry %+v", p)
	}
}

// Same seed and same steps give the same state, and so do different sizes of
// steps.
func TestDeterminism(t *testing.T) {
	story := func(tick time.Duration) string {
		r := newRig(t, Config{Users: 30, Seed: 7})
		r.do("/clusters/emea/peers", `{"peer":"apac","mode":"stuck","selfHeals":true}`)
		r.do("/clusters/apac/users", `{"add":7}`)
		r.do("/clusters/amer/nodes", `{"node":"`+amerPub+`","down":true}`)
		for range int(4 * time.Hour / tick) {
			r.advance(tick)
		}
		r.do("/clusters/amer/nodes", `{"node":"`+amerPub+`","down":false}`)
		r.do("/clusters/apac/services", `{"node":"`+apacPub+`","service":"`+serviceICSA+`","status":"Restart"}`)
		for range int(time.Hour / tick) {
			r.advance(tick)
		}
		b, err := json.MarshalIndent(r.State(), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := r.cluster("emea").db.rows("SELECT pkid, userid, primarynodeid FROM enduser ORDER BY pkid")
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + fmt.Sprint(rows)
	}
	first := story(time.Minute)
	for _, tick := range []time.Duration{time.Minute, 5 * time.Minute, time.Hour} {
		if diff := cmp.Diff(first, story(tick)); diff != "" {
			t.Errorf("step %v: %s", tick, diff)
		}
	}
}

func TestNextSaysWhenToStep(t *testing.T) {
	r := newRig(t, Config{Users: 5})
	for range 200 {
		next := r.Next()
		if !next.After(r.clock.Now()) {
			t.Fatalf("at %v something was due at %v and not done", r.clock.Now(), next)
		}
		r.advance(next.Sub(r.clock.Now()))
	}
	if r.clock.Now().Sub(epoch) < time.Hour {
		t.Errorf("200 things happened in %v", r.clock.Now().Sub(epoch))
	}
}
