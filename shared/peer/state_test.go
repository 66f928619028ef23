package peer

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
)

func TestStateIsTheFirstThatFits(t *testing.T) {
	yesterday := ago(24 * time.Hour)
	well := func() []Condition {
		var cs []Condition
		for _, typ := range Types() {
			c := Condition{Type: typ, Status: True, Since: yesterday, Observed: noon}
			if typ == PresencePath {
				c.Status, c.Reason = UnknownStatus, NotObservable
			}
			cs = append(cs, c)
		}
		return cs
	}
	type change struct {
		t     Type
		s     Status
		why   Reason
		since time.Time
	}
	no := func(t Type) change { return change{t, False, "", yesterday} }
	now := func(t Type) change { return change{t, False, "", noon} }
	cases := []struct {
		name    string
		changes []change
		sync    SyncRecord
		state   State
		cause   string
	}{
		{"all True, presence path not observable", nil, SyncRecord{}, Healthy, ""},
		{"a cause False", []change{no(Reachable)}, SyncRecord{}, Degraded, "Reachable"},
		{"two causes: the first in order names it", []change{no(NamesResolve), no(Authenticated)}, SyncRecord{}, Degraded, "Authenticated"},
		{"a cause False at one look", []change{now(ServicesRunning)}, SyncRecord{}, Suspect, "ServicesRunning"},
		{"an old cause is not hidden by a new one before it", []change{now(Configured), no(Reachable)}, SyncRecord{}, Degraded, "Reachable"},
		{"a certificate needs no second look", []change{now(CertificateTrusted)}, SyncRecord{}, Degraded, "CertificateTrusted"},
		{"a cause before the clock", []change{no(ServicesRunning), no(Synced)}, SyncRecord{}, Degraded, "ServicesRunning"},
		{"the clock before the data", []change{no(Synced), no(UsersMatch)}, SyncRecord{}, Stuck, "Synced"},
		{"the clock before a cause seen once", []change{no(Synced), now(ServicesRunning)}, SyncRecord{}, Stuck, "Synced"},
		{"the data", []change{no(UsersMatch)}, SyncRecord{}, Degraded, DataDiffers},
		{"the data before a cause seen once", []change{no(UsersMatch), now(Reachable)}, SyncRecord{}, Degraded, DataDiffers},
		{"between the clocks", []change{{Synced, True, Overdue, yesterday}}, SyncRecord{}, Suspect, "Synced"},
		{"users not yet decided", []change{{UsersMatch, UnknownStatus, NotYetDecided, noon}}, SyncRecord{}, Suspect, "UsersMatch"},
		{"suspect before unknown", []change{{Synced, True, Overdue, yesterday}, {Configured, UnknownStatus, TimedOut, noon}}, SyncRecord{}, Suspect, "Synced"},
		{"a counted condition Unknown", []change{{NamesResolve, UnknownStatus, AllServersSilent, noon}}, SyncRecord{}, StateUnknown, "NamesResolve"},
		{"only a page of Cisco's shows it", []change{{Authenticated, UnknownStatus, NotObservable, noon}}, SyncRecord{}, Healthy, ""},
		{"clock not readable, nothing seen", []change{{Synced, UnknownStatus, ClockNotReadable, noon}}, SyncRecord{}, StateUnknown, "Synced"},
		{"clock not readable, progress seen", []change{{Synced, UnknownStatus, ClockNotReadable, noon}}, SyncRecord{Progress: yesterday}, Healthy, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cs := well()
			for _, x := range c.changes {
				i := slices.IndexFunc(cs, func(c Condition) bool { return c.Type == x.t })
				cs[i].Status, cs[i].Reason, cs[i].Since = x.s, x.why, x.since
			}
			if state, cause := StateOf(cs, c.sync); state != c.state || cause != c.cause {
				t.Errorf("%s %s, want %s %s", state, cause, c.state, c.cause)
			}
		})
	}
}

func TestConditionsAsTheyStandNow(t *testing.T) {
	judged := func(s *scene) SyncRecord { return Judge(s.View(), watched, SyncRecord{}) }
	cert := func(c Condition) CertRecord {
		c.Type = CertificateTrusted
		return CertRecord{Conditions: []Condition{c}, LeafFirst: ago(time.Hour), LeafEnds: noon.AddDate(0, 1, 0), Observed: ago(time.Hour)}
	}
	open := Condition{Status: UnknownStatus, Reason: TrustNotRead}
	cases := []struct {
		name   string
		change func(s *scene, r *CertRecord)
		t      Type
		status Status
		reason Reason
		since  time.Time
	}{
		{"a sync over the leaf now served", func(*scene, *CertRecord) {}, CertificateTrusted, True, SyncedOverServedLeaf, ago(time.Hour)},
		{"no sync since the leaf came", func(_ *scene, r *CertRecord) { r.LeafFirst = ago(5 * time.Minute) }, CertificateTrusted, UnknownStatus, TrustNotRead, time.Time{}},
		{"the puller's clock is two hours ahead: its sync was before the leaf", func(s *scene, _ *CertRecord) { s.emea().Seen.Skew = Known(2*time.Hour, noon) }, CertificateTrusted, UnknownStatus, TrustNotRead, time.Time{}},
		{"expired between certcheck's looks", func(_ *scene, r *CertRecord) { r.LeafEnds = ago(10 * time.Minute) }, CertificateTrusted, False, CertificateExpired, ago(10 * time.Minute)},
		{"certcheck says so itself, later", func(_ *scene, r *CertRecord) {
			r.LeafEnds = ago(2 * time.Hour)
			r.Conditions[0] = Condition{Type: CertificateTrusted, Status: False, Reason: CertificateExpired, Since: ago(time.Hour)}
		}, CertificateTrusted, False, CertificateExpired, ago(2 * time.Hour)},
		{"certcheck says so, and does not know when it ended", func(_ *scene, r *CertRecord) {
			r.LeafEnds = time.Time{}
			r.Conditions[0] = Condition{Type: CertificateTrusted, Status: False, Reason: CertificateExpired, Since: ago(time.Hour)}
		}, CertificateTrusted, False, CertificateExpired, ago(time.Hour)},
		{"certcheck says so, and the one served now ended later", func(_ *scene, r *CertRecord) {
			r.LeafEnds = ago(time.Minute)
			r.Conditions[0] = Condition{Type: CertificateTrusted, Status: False, Reason: CertificateExpired, Since: ago(time.Hour)}
		}, CertificateTrusted, False, CertificateExpired, ago(time.Hour)},
		{"it was refused for something else before", func(s *scene, r *CertRecord) {
			s.lastSync(5 * time.Hour)
			r.LeafEnds = ago(2 * time.Hour)
			r.Conditions[0] = Condition{Type: CertificateTrusted, Status: False, Reason: NotInTrustStore, Since: ago(time.Hour)}
		}, CertificateTrusted, False, NotInTrustStore, ago(time.Hour)},
		{"certcheck has not run for two periods", func(_ *scene, r *CertRecord) { r.Observed = ago(13 * time.Hour) }, CertificateTrusted, UnknownStatus, Stale, ago(13 * time.Hour)},
		{"certcheck never ran", func(_ *scene, r *CertRecord) { *r = CertRecord{} }, NamesResolve, UnknownStatus, NotChecked, time.Time{}},
		{"peersync has not run for two periods", func(s *scene, _ *CertRecord) { s.Now = noon.Add(11 * time.Minute) }, Configured, UnknownStatus, Stale, noon},
		{"what is not observable does not grow old", func(s *scene, _ *CertRecord) { s.Now = noon.Add(time.Hour) }, PresencePath, UnknownStatus, NotObservable, noon},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, r := newScene(), cert(open)
			sync := judged(s)
			c.change(s, &r)
			got := find(Conditions(s.View(), watched, sync, r), c.t)
			if got.Status != c.status || got.Reason != c.reason || !got.Since.Equal(c.since) {
				t.Errorf("%s %s since %s, want %s %s since %s", got.Status, got.Reason, got.Since, c.status, c.reason, c.since)
			}
		})
	}
}

func TestOverlaysHoldAndNeverJudge(t *testing.T) {
	cases := []struct {
		name   string
		change func(s *scene, prev *StateRecord)
		want   []Overlay
	}{
		{"nothing", func(*scene, *StateRecord) {}, nil},
		{"nodes differ in version", func(s *scene, _ *StateRecord) { s.version("apac", noon) }, []Overlay{Upgrading}},
		{"a version read long ago is no upgrade", func(s *scene, _ *StateRecord) { s.version("apac", ago(3*time.Hour)) }, nil},
		{"two nodes restarted together", func(s *scene, _ *StateRecord) {
			s.emea().Restarted = map[mesh.NodeName]time.Time{pub("emea"): ago(20 * time.Minute), sub("emea"): ago(30 * time.Minute)}
		}, []Overlay{Upgrading}},
		{"one node restarted", func(s *scene, _ *StateRecord) {
			s.emea().Restarted = map[mesh.NodeName]time.Time{pub("emea"): ago(20 * time.Minute)}
		}, nil},
		{"rewound half an hour ago", func(s *scene, _ *StateRecord) { s.apac().Rewound = ago(30 * time.Minute) }, []Overlay{Rewound}},
		{"rewound two hours ago", func(s *scene, _ *StateRecord) { s.apac().Rewound = ago(2 * time.Hour) }, nil},
		{"a plan changes the pair", func(s *scene, _ *StateRecord) { s.Changing = map[mesh.PeerID]string{watched: "c4f2"} }, []Overlay{Changing}},
		{"a plan changes the other direction", func(s *scene, _ *StateRecord) { s.Changing = map[mesh.PeerID]string{watched.Reverse(): "c4f2"} }, nil},
		{"the plan that changed it is over", func(_ *scene, prev *StateRecord) { prev.Overlays = []Overlay{Changing} }, nil},
		{"24 changes of health in a day", func(_ *scene, prev *StateRecord) { prev.Flips = flaps(24) }, []Overlay{Flapping}},
		{"23 are not enough to begin", func(_ *scene, prev *StateRecord) { prev.Flips = flaps(23) }, nil},
		{"13 are enough to go on", func(_ *scene, prev *StateRecord) { prev.Flips, prev.Overlays = flaps(13), []Overlay{Flapping} }, []Overlay{Flapping}},
		{"12 are not", func(_ *scene, prev *StateRecord) { prev.Flips, prev.Overlays = flaps(12), []Overlay{Flapping} }, nil},
		{"24 changes from one trouble to another are no flapping", func(_ *scene, prev *StateRecord) {
			for i := range 24 {
				prev.Flips = append(prev.Flips, Flip{At: ago(time.Duration(i+1) * time.Minute), Type: stateFlip, From: string(Suspect), To: string(Degraded)})
			}
		}, nil},
		{"nor are 24 changes of a condition", func(_ *scene, prev *StateRecord) {
			for i := range 24 {
				prev.Flips = append(prev.Flips, Flip{At: ago(time.Duration(i+1) * time.Minute), Type: Reachable, From: string(Healthy), To: "False"})
			}
		}, nil},
		{"what people said stays", func(_ *scene, prev *StateRecord) { prev.Overlays = []Overlay{Paused, Acknowledged} }, []Overlay{Paused, Acknowledged}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, prev := newScene(), StateRecord{State: Healthy, Since: ago(time.Hour)}
			c.change(s, &prev)
			sync := Judge(s.View(), watched, SyncRecord{})
			cs := Conditions(s.View(), watched, sync, CertRecord{Conditions: []Condition{{Type: CertificateTrusted, Status: True, Since: noon}, {Type: NamesResolve, Status: True, Since: noon}}, Observed: noon})
			got := s.fold(watched, cs, sync, prev)
			if diff := cmp.Diff(c.want, got.Overlays); diff != "" {
				t.Error(diff)
			}
			if got.State != Healthy {
				t.Errorf("state %s (%s): an overlay never changes the judgement", got.State, got.Cause)
			}
		})
	}
}

// TestWhatChangedIsRemembered: each change of a condition and of the state, and
// nothing at a first look or while nothing changes.
func TestWhatChangedIsRemembered(t *testing.T) {
	s := newScene()
	look := func(prev StateRecord, status Status, why Reason, state State) StateRecord {
		return Fold(s.View(), watched, []Condition{{Type: Reachable, Status: status, Reason: why}, {Type: Synced, Status: True}}, prev, state, "")
	}
	first := look(StateRecord{}, True, "", Healthy)
	s.Now = noon.Add(tick)
	same := look(first, True, "", Healthy)
	if len(first.Flips) != 0 || len(same.Flips) != 0 || !same.Since.Equal(noon) {
		t.Errorf("nothing changed: %+v, %+v", first, same)
	}
	s.Now = noon.Add(2 * tick)
	got := look(same, False, CannotConnect, Degraded)
	want := []Flip{{At: s.Now, Type: Reachable, From: "True", To: "False", Reason: CannotConnect}, {At: s.Now, Type: stateFlip, From: string(Healthy), To: string(Degraded)}}
	if diff := cmp.Diff(want, got.Flips); diff != "" || !got.Since.Equal(s.Now) {
		t.Errorf("since %v: %s", got.Since, diff)
	}
	s.Now = noon.Add(25 * time.Hour)
	if later := look(got, False, CannotConnect, Degraded); len(later.Flips) != 0 {
		t.Errorf("a day later: %+v", later.Flips)
	}
}

// TestWhatKeepsAPeerFromBeingHealthy: not what only a page of Cisco's shows, nor what
// syncs contradict, nor a clock that cannot be read once changes were seen to arrive.
func TestWhatKeepsAPeerFromBeingHealthy(t *testing.T) {
	seen := SyncRecord{Progress: noon}
	for _, c := range []struct {
		is   Condition
		sync SyncRecord
		want bool
	}{
		{Condition{Type: Reachable, Reason: TimedOut}, SyncRecord{}, true},
		{Condition{Type: Authenticated, Reason: NotObservable}, SyncRecord{}, false},
		{Condition{Type: Reachable, Reason: Contradicted}, SyncRecord{}, false},
		{Condition{Type: Synced, Reason: ClockNotReadable}, SyncRecord{}, true},
		{Condition{Type: Synced, Reason: ClockNotReadable}, seen, false},
		{Condition{Type: Synced, Reason: LogHasNoSyncLines}, seen, false},
		{Condition{Type: Synced, Reason: LogHasNoSyncLines}, SyncRecord{}, true},
		{Condition{Type: Synced, Reason: TimedOut}, seen, true},
		{Condition{Type: UsersMatch, Reason: ClockNotReadable}, seen, true},
	} {
		if got := Counted(c.is, c.sync); got != c.want {
			t.Errorf("%s %s, progress %v: counted %v, want %v", c.is.Type, c.is.Reason, !c.sync.Progress.IsZero(), got, c.want)
		}
	}
}

// TestAnExpiredCertificateSaysNothingOfNames: it speaks of trust alone.
func TestAnExpiredCertificateSaysNothingOfNames(t *testing.T) {
	s := newScene()
	cert := CertRecord{LeafEnds: ago(time.Hour), Observed: ago(2 * time.Hour), Conditions: []Condition{{Type: CertificateTrusted, Status: True}, {Type: NamesResolve, Status: True}}}
	cs := Conditions(s.View(), watched, Judge(s.View(), watched, SyncRecord{}), cert)
	if c := find(cs, CertificateTrusted); c.Status != False || c.Reason != CertificateExpired {
		t.Errorf("%+v", c)
	}
	if c := find(cs, NamesResolve); c.Status != True {
		t.Errorf("%+v", c)
	}
}

func flaps(n int) []Flip {
	var out []Flip
	for i := range n {
		f := Flip{At: ago(time.Duration(i+1) * time.Minute), Type: stateFlip, From: string(Healthy), To: string(Suspect)}
		if i%2 == 1 {
			f.From, f.To = f.To, f.From
		}
		out = append(out, f)
	}
	return out
}

// TestRingsAreBounded: the busiest day there can be fits a store's item.
func TestRingsAreBounded(t *testing.T) {
	s := newScene()
	state, rec := StateRecord{}, *s.apac()
	c, _ := s.Mesh.Cluster("apac")
	for i := range 3000 {
		s.Now = noon.Add(time.Duration(i) * tick)
		status := []Status{True, False, UnknownStatus}[i%3]
		var cs []Condition
		for _, typ := range Types() {
			cs = append(cs, Condition{Type: typ, Status: status, Reason: HomeChangeNotCopied, Since: s.Now, Observed: s.Now})
		}
		state = s.fold(watched, cs, SyncRecord{}, state)
		obs := s.apac().Seen
		obs.At, obs.Users = s.Now, Known(map[mesh.NodeName]int{pub("apac"): 75000 + i%7}, s.Now)
		params := s.apac().Seen.Nodes[pub("apac")]
		params.Parameters = Known(map[string]string{ParamInterval: fmt.Sprint(30 + i%50)}, s.Now)
		obs.Nodes = map[mesh.NodeName]Node{pub("apac"): params}
		rec = Advance(rec, obs, c)
	}
	if n := len(state.Flips); n > flipsKept {
		t.Errorf("%d flips kept, want at most %d", n, flipsKept)
	}
	if !slices.Contains(state.Overlays, Flapping) {
		t.Error("a peer that flaps at every tick is not said to")
	}
	if n := len(rec.Home); n > ringLength {
		t.Errorf("%d home values kept, want at most %d", n, ringLength)
	}
	if n := len(rec.Interval.Earlier); n > earlierKept {
		t.Errorf("%d intervals kept, want at most %d", n, earlierKept)
	}
	for name, v := range map[string]any{"STUCK": state, "CLUSTER": rec} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 100<<10 {
			t.Errorf("the %s item is %d bytes", name, len(b))
		}
	}
}

func TestTwoNodesThatRestartedWithinTheHourLookLikeAnUpgrade(t *testing.T) {
	for _, c := range []struct {
		name     string
		pub, sub time.Duration
		want     bool
	}{
		{"both exactly an hour ago", time.Hour, time.Hour, true},
		{"one an hour and a second ago", time.Hour + time.Second, time.Hour, false},
	} {
		s := newScene()
		s.emea().Restarted = map[mesh.NodeName]time.Time{pub("emea"): ago(c.pub), sub("emea"): ago(c.sub)}
		if got := s.View().Upgrading("emea"); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
