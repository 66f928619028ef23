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
		set        Users
		home, copy int
	}{
		"added":              {Users{Add: 10}, 50, 50},
		"removed":            {Users{Remove: 5}, 35, 35},
		"unassigned":         {Users{Unassign: 3}, 37, 37},
		"with a bad URI":     {Users{InvalidURI: 2}, 40, 40},
		"sharing a user ID":  {Users{Duplicate: "jdoe"}, 41, 41},
		"removed completely": {Users{Remove: 40}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{Users: 40})
			r.change("apac", change.set)
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

func TestUnassignedUsersAreAssignedAgain(t *testing.T) {
	r := newRig(t, Config{Users: 40})
	r.change("apac", Users{Unassign: 3})
	r.change("apac", Users{Assign: 2})
	if got := r.state("apac").Users; got != 39 {
		t.Errorf("apac has %d home users, want 39", got)
	}
	if err := r.Change("apac", Users{Assign: 2}); err == nil {
		t.Error("two were assigned where one was left")
	}
}

func TestMovedUserChangesHome(t *testing.T) {
	r := newRig(t, Config{Users: 10})
	userid := r.query(emeaPub, "SELECT FIRST 1 userid FROM enduser WHERE enablecups = 't' AND status = 1 ORDER BY userid").row(0)["userid"]
	r.change("emea", Users{Move: userid, To: "apac"})
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
		r.change("emea", Peers{Peer: "apac", Mode: new(ModeStuck)})
		r.change("apac", Users{Add: 5})
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
		r.change("emea", Peers{Peer: "apac", Mode: new(ModeStuck), SelfHeals: new(true)})
		r.change("apac", Users{Add: 5})
		r.run(3 * time.Hour)
		if got := r.copies("emea", "apac"); got != 25 || r.peer("emea>apac").Mode != "ok" {
			t.Errorf("%d copies, mode %s", got, r.peer("emea>apac").Mode)
		}
	})
	t.Run("a requested restart mends it", func(t *testing.T) {
		r := newRig(t, Config{Users: 20})
		r.change("emea", Peers{Peer: "apac", Mode: new(ModeStuck)})
		r.change("apac", Users{Add: 5})
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
		r.change("emea", Peers{Peer: "apac", Mode: new(ModeStuck)})
		before := r.lastSync("emea>apac")
		r.change("emea", Services{Node: emeaSub, Service: serviceICSA, Status: "Restart"})
		r.run(anHourAndABit)
		if got := r.lastSync("emea>apac"); !got.Equal(before) {
			t.Errorf("clock moved to %v", got)
		}
	})
	t.Run("without auto recovery nobody restarts", func(t *testing.T) {
		r := newRig(t, Config{Users: 20})
		r.change("emea", Parameters{Service: serviceICSA, Name: paramAutoRecovery, Value: "f"})
		r.change("emea", Peers{Peer: "apac", Mode: new(ModeStuck)})
		r.run(6 * time.Hour)
		if got := r.state("emea").ICSASelfRestarts; got != 0 {
			t.Errorf("%d restarts", got)
		}
	})
}

func TestDeafClockRunsDataDoesNot(t *testing.T) {
	r := newRig(t, Config{Users: 20})
	r.change("emea", Peers{Peer: "apac", Mode: new(ModeDeaf)})
	r.change("apac", Users{Add: 5})
	before := r.lastSync("emea>apac")
	r.run(anHourAndABit)
	if got := r.lastSync("emea>apac"); !got.After(before.Add(30 * time.Minute)) {
		t.Errorf("clock stands at %v", got)
	}
	if r.copies("emea", "apac") != 20 || r.peer("emea>apac").AssociatedUsers != 20 {
		t.Errorf("%d copies", r.copies("emea", "apac"))
	}
	r.change("emea", Peers{Peer: "apac", Mode: new(ModeOK)})
	r.run(31 * time.Minute)
	if got := r.copies("emea", "apac"); got != 25 {
		t.Errorf("%d copies once it hears again, want 25", got)
	}
}

func TestSlowIsOneIntervalLate(t *testing.T) {
	r := newRig(t, Config{Users: 20})
	r.change("emea", Peers{Peer: "apac", Mode: new(ModeSlow)})
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
			func(r *rig) { r.change("emea", Peers{Peer: "apac", Mode: new(ModeBadCredentials)}) },
			func(r *rig) { r.change("emea", Peers{Peer: "apac", Mode: new(ModeOK)}) }},
		{"remote publisher down", "NotReachable",
			func(r *rig) { r.change("apac", Nodes{Node: apacPub, Down: new(true)}) },
			func(r *rig) { r.change("apac", Nodes{Node: apacPub, Down: new(false)}) }},
		{"not reachable from emea", "NotReachable",
			func(r *rig) { r.change("apac", Reachable{From: "emea", Value: new(false)}) },
			func(r *rig) { r.change("apac", Reachable{From: "emea", Value: new(true)}) }},
		{"not reachable from anybody", "NotReachable",
			func(r *rig) { r.change("apac", Reachable{From: "all", Value: new(false)}) },
			func(r *rig) { r.change("apac", Reachable{From: "all", Value: new(true)}) }},
		{"remote AXL stopped", "ServiceNotRunning",
			func(r *rig) {
				r.change("apac", Services{Node: apacPub, Service: serviceAXL, Status: "Stopped"})
			},
			func(r *rig) {
				r.change("apac", Services{Node: apacPub, Service: serviceAXL, Status: "Started"})
			}},
		{"address is not the node name", "NotReachable",
			func(r *rig) { r.change("emea", Peers{Peer: "apac", Address: new("apac.example.com")}) },
			func(r *rig) { r.change("emea", Peers{Peer: "apac", Address: new(apacPub)}) }},
		{"certificate expired", "CertificateExpired",
			func(r *rig) {
				r.change("apac", Certificates{Node: apacPub, NotAfter: new(time.Date(2026, 3, 2, 8, 0, 1, 0, time.UTC))})
			},
			func(r *rig) {
				r.change("apac", Certificates{Node: apacPub, NotAfter: new(time.Date(2027, 3, 2, 8, 0, 1, 0, time.UTC))})
			}},
		{"a SAN does not resolve here", "NameNotResolved: " + name,
			func(r *rig) {
				r.change("apac", Certificates{Node: apacPub, SANs: &[]string{apacPub, name}})
			},
			func(r *rig) { r.change("emea", DNS{Name: name, Answer: new("192.0.2.250")}) }},
		{"the publisher's name is gone from DNS", "NotReachable",
			func(r *rig) { r.change("emea", DNS{Name: apacPub, Answer: new("nxdomain")}) },
			func(r *rig) { r.change("emea", DNS{Name: apacPub, Answer: new("")}) }},
		{"both DNS servers silent", "NotReachable",
			func(r *rig) {
				r.change("emea", DNS{Server: 1, Silent: new(true)})
				r.change("emea", DNS{Server: 2, Silent: new(true)})
			},
			func(r *rig) { r.change("emea", DNS{Server: 2, Silent: new(false)}) }},
		{"certificate and CA not trusted", "CertificateNotTrusted",
			func(r *rig) {
				r.change("emea", Trust{Remove: fingerprint(r.authority.cert)})
				r.change("emea", Trust{Remove: r.leaf(apacPub)})
			},
			func(r *rig) { r.change("emea", Peers{Peer: "apac", ForceSync: true}) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, Config{Users: 20})
			test.spoil(r)
			r.change("apac", Users{Add: 5})
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
	r.change("emea", DNS{Server: 1, Silent: new(true)})
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
			r.change("emea", Parameters{Name: paramAutoRecovery, Value: test.autoRecovery})
			if test.interval != 30 {
				r.change("emea", Parameters{Name: paramSyncInterval, Value: test.interval})
				r.run(31 * time.Minute) // takes effect after the next sync
			}
			r.change("emea", Peers{Peer: "apac", Mode: new(ModeBadCredentials)})
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
	r.change("emea", Parameters{Node: emeaPub, Service: serviceICSA, Name: paramSyncInterval, Value: "60"})
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
	r.change("emea", Services{Node: emeaPub, Service: serviceICSA, Status: "Stopped"})
	r.run(anHourAndABit)
	if got := r.lastSync("emea>apac"); !got.Equal(before) {
		t.Errorf("clock moved to %v", got)
	}
	if got := r.lastSync("apac>emea"); !got.After(epoch) {
		t.Error("the others stopped pulling from emea")
	}
	r.change("emea", Services{Node: emeaPub, Service: serviceICSA, Status: "Started"})
	r.run(time.Minute)
	if got := r.lastSync("emea>apac"); !got.After(before) {
		t.Error("started, but no sync soon after")
	}
}

func TestSelfSignedRenewal(t *testing.T) {
	renew := Certificates{Node: apacPub, Issuer: "self"}
	t.Run("is carried over by certificate sync", func(t *testing.T) {
		r := newRig(t, Config{Users: 5})
		r.change("apac", renew)
		r.run(31 * time.Minute)
		if p := r.peer("emea>apac"); p.LastError != "" || !r.logged("reached tomcat-trust") {
			t.Errorf("lasterror %q", p.LastError)
		}
	})
	t.Run("is not trusted without certificate sync", func(t *testing.T) {
		r := newRig(t, Config{Users: 5})
		r.change("emea", Parameters{Name: paramCertificateSync, Value: "f"})
		r.change("apac", renew)
		r.run(31 * time.Minute)
		if p := r.peer("emea>apac"); !strings.HasPrefix(p.LastError, "CertificateNotTrusted") {
			t.Errorf("lasterror %q", p.LastError)
		}
		r.change("emea", Trust{Add: r.leaf(apacPub)})
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
	r.change("emea", Restore{Users: -100})
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
	r.change("emea", Peers{Peer: "apac", Present: new(false)})
	if got := r.copies("emea", "apac"); got != 0 {
		t.Errorf("%d copies stay after the entry is gone", got)
	}
	if n := len(r.query(emeaPub, "SELECT pkid FROM cupsinterclusterpeers").rows()); n != 1 {
		t.Errorf("%d rows in the table", n)
	}
	r.change("emea", Peers{Peer: "apac", Present: new(true), Protocol: new("tls")})
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
		r.change("emea", Peers{Peer: "apac", Mode: new(ModeStuck), SelfHeals: new(true)})
		r.change("apac", Users{Add: 7})
		r.change("amer", Nodes{Node: amerPub, Down: new(true)})
		for range int(4 * time.Hour / tick) {
			r.advance(tick)
		}
		r.change("amer", Nodes{Node: amerPub, Down: new(false)})
		r.change("apac", Services{Node: apacPub, Service: serviceICSA, Status: "Restart"})
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
