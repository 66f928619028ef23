package peer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
)

func TestFactsKeepWhatWasReadWhole(t *testing.T) {
	old, now := ago(5*time.Minute), noon
	cases := []struct {
		name       string
		newer, was Fact[int]
		at         time.Time // when it is looked at
		want       Fact[int]
	}{
		{"a new look wins", Known(2, now), Known(1, old), now, Known(2, now)},
		{"a failed look keeps the value a tick old", Unknown[int](TimedOut, "30 s"), Known(1, old), now, Fact[int]{KnownFact, 1, old, TimedOut, "30 s", ""}},
		{"a half look keeps the whole value", Partial(7, now, RowsIncomplete, "cut"), Known(1, old), now, Fact[int]{KnownFact, 1, old, RowsIncomplete, "cut", ""}},
		{"a half look is more than nothing", Partial(7, now, RowsIncomplete, "cut"), Unknown[int](TimedOut, ""), now, Partial(7, now, RowsIncomplete, "cut")},
		{"too old, and nobody looked since", Known(1, old), Fact[int]{}, now.Add(tick + time.Second), Unknown[int](Stale, "last read 2026-03-02T11:55:00Z")},
		{"too old, and later looks failed: their reason speaks", Unknown[int](ServiceNotActive, "404"), Known(1, old), now.Add(tick + time.Second), Unknown[int](ServiceNotActive, "404; last read 2026-03-02T11:55:00Z")},
		{"never looked at", Fact[int]{}, Fact[int]{}, now, Fact[int]{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.newer.Or(c.was).Fresh(c.at, 2*tick)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVantage(t *testing.T) {
	all := []mesh.ClusterID{"emea", "apac", "amer"}
	advance := func(s *scene, from, to mesh.ClusterID, at time.Time) {
		for i, e := range s.Clusters[from].Seen.Entries.Value {
			if e.Address == string(pub(to)) {
				s.Clusters[from].Seen.Entries.Value[i].LastSync = at
			}
		}
	}
	access := func(why Reason, since time.Duration) func(*scene) {
		return func(s *scene) {
			s.apac().Seen.Access = Unknown[bool](why, "why")
			s.apac().NoAccessSince = ago(since)
		}
	}
	cases := []struct {
		name    string
		ids     []mesh.ClusterID
		broken  func(s *scene)
		verdict VisibilityVerdict
		trouble Reason
	}{
		{"all well", all, func(*scene) {}, Visible, ""},
		{"lost for less than an interval and a tick", all, func(s *scene) { s.outage(35 * time.Minute) }, WaitingForPeers, AwaitingPeerEvidence},
		{"lost, its peers go on", all, func(s *scene) { s.lose("apac", ago(time.Hour)) }, NotVisible, CannotSeeCluster},
		{"lost, nobody syncs", all, func(s *scene) { s.outage(time.Hour) }, Down, ClusterDown},
		{"lost, one of two witnesses syncs", all, func(s *scene) { s.outage(time.Hour); advance(s, "amer", "apac", ago(10*time.Minute)) }, NotVisible, CannotSeeCluster},
		{"lost, one of two witnesses is itself lost, the other tells", all, func(s *scene) { s.outage(time.Hour); s.lose("amer", ago(time.Hour)) }, Down, ClusterDown},
		{"everything lost at once: we are the suspect", all, func(s *scene) {
			s.outage(time.Hour)
			s.lose("emea", ago(time.Hour))
			s.lose("amer", ago(time.Hour))
		}, NotVisible, CannotSeeCluster},
		{"the only witness was stuck before", []mesh.ClusterID{"emea", "apac"}, func(s *scene) { s.outage(time.Hour); advance(s, "emea", "apac", ago(5*time.Hour)) }, NotVisible, CannotSeeCluster},
		{"the only witness has its ICSA stopped", []mesh.ClusterID{"emea", "apac"}, func(s *scene) { s.outage(time.Hour); s.service("emea", pub("emea"), ICSA, "Stopped") }, NotVisible, CannotSeeCluster},
		{"the only witness is refused by it, so it answers", []mesh.ClusterID{"emea", "apac"}, func(s *scene) { s.outage(time.Hour); s.entry(func(e *Entry) { e.Error = ErrorCredentials }) }, NotVisible, CannotSeeCluster},
		{"no clock is readable", all, func(s *scene) {
			s.outage(time.Hour)
			for _, r := range s.Clusters {
				r.Seen.Entries = Unknown[[]Entry](NoDialect, "")
			}
		}, NotVisible, CannotSeeCluster},
		{"a witness whose clock is three hours ahead has not synced since", []mesh.ClusterID{"emea", "apac"}, func(s *scene) {
			s.outage(time.Hour)
			s.emea().Seen.Skew = Known(3*time.Hour, noon)
			advance(s, "emea", "apac", noon.Add(3*time.Hour-70*time.Minute))
		}, Down, ClusterDown},
		{"a witness whose clock is three hours behind has", []mesh.ClusterID{"emea", "apac"}, func(s *scene) {
			s.outage(time.Hour)
			s.emea().Seen.Skew = Known(-3*time.Hour, noon)
			advance(s, "emea", "apac", noon.Add(-3*time.Hour-10*time.Minute))
		}, NotVisible, CannotSeeCluster},
		{"publisher alone, nobody syncs", all, func(s *scene) { s.outage(time.Hour, pub("apac")) }, PublisherIsDown, PublisherDown},
		{"a subscriber alone is not the cluster", all, func(s *scene) { s.lose("apac", ago(time.Hour), sub("apac")) }, Visible, ""},
		{"witnesses on the longest interval have a day to tell", all, func(s *scene) { s.outage(5 * time.Hour); s.emea().Interval.Value = mesh.MaxSyncInterval }, WaitingForPeers, AwaitingPeerEvidence},
		{"shortened just now, the long interval still counts", all, func(s *scene) {
			s.outage(5 * time.Hour)
			s.emea().Interval = Interval{Value: 30 * time.Minute, Previous: mesh.MaxSyncInterval, Changed: ago(time.Hour)}
		}, WaitingForPeers, AwaitingPeerEvidence},
		{"our account is rejected", all, access(AccountRejected, 0), AccessDenied, AccountRejected},
		{"our secret cannot be read while it is lost: nothing was asked", all, func(s *scene) { s.outage(time.Hour); access(NoCredentials, time.Hour)(s) }, AccessDenied, NoCredentials},
		{"it takes connections and hangs, for ten minutes", all, access(TimedOut, 10*time.Minute), WaitingForPeers, TimedOut},
		{"it takes connections and hangs, for hours", all, access(TimedOut, 3*time.Hour), NotVisible, CannotSeeCluster},
		{"something else answers on the port, for hours", all, access(UnreadableAnswer, 3*time.Hour), NotVisible, CannotSeeCluster},
		{"a mesh of one cluster, lost", []mesh.ClusterID{"apac"}, func(s *scene) { s.outage(time.Hour) }, NotVisible, CannotSeeCluster},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(c.ids...)
			c.broken(s)
			if got := s.Visibility("apac"); got.Verdict != c.verdict || got.Trouble != c.trouble {
				t.Errorf("%q %s (%s), want %q %s", got.Verdict, got.Trouble, got.Message, c.verdict, c.trouble)
			}
			for _, p := range s.Mesh.Peers {
				r := Judge(s.View, p.ID, SyncRecord{})
				if got := r.Condition(Reachable); got.Status == False && c.verdict != Down && c.verdict != PublisherIsDown {
					t.Errorf("%s Reachable is False (%s) although nobody has proven an outage", p.ID, got.Reason)
				}
			}
		})
	}
}

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
	judged := func(s *scene) SyncRecord { return Judge(s.View, watched, SyncRecord{}) }
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
			got := find(Conditions(s.View, watched, sync, r), c.t)
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
		{"24 changes of health in a day", func(_ *scene, prev *StateRecord) { prev.Flips = flaps(24) }, []Overlay{Flapping}},
		{"23 are not enough to begin", func(_ *scene, prev *StateRecord) { prev.Flips = flaps(23) }, nil},
		{"13 are enough to go on", func(_ *scene, prev *StateRecord) { prev.Flips, prev.Overlays = flaps(13), []Overlay{Flapping} }, []Overlay{Flapping}},
		{"12 are not", func(_ *scene, prev *StateRecord) { prev.Flips, prev.Overlays = flaps(12), []Overlay{Flapping} }, nil},
		{"what people said stays", func(_ *scene, prev *StateRecord) { prev.Overlays = []Overlay{Paused, Acknowledged} }, []Overlay{Paused, Acknowledged}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, prev := newScene(), StateRecord{State: Healthy, Since: ago(time.Hour)}
			c.change(s, &prev)
			sync := Judge(s.View, watched, SyncRecord{})
			cs := Conditions(s.View, watched, sync, CertRecord{Conditions: []Condition{{Type: CertificateTrusted, Status: True, Since: noon}, {Type: NamesResolve, Status: True, Since: noon}}, Observed: noon})
			got := Fold(s.View, watched, cs, sync, prev)
			if diff := cmp.Diff(c.want, got.Overlays); diff != "" {
				t.Error(diff)
			}
			if got.State != Healthy {
				t.Errorf("state %s (%s): an overlay never changes the judgement", got.State, got.Cause)
			}
		})
	}
}

func (s *scene) version(id mesh.ClusterID, at time.Time) {
	n := s.Clusters[id].Seen.Nodes[sub(id)]
	n.Version = Known("15.0.1.10000-1", at)
	s.Clusters[id].Seen.Nodes[sub(id)] = n
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
		state = Fold(s.View, watched, cs, SyncRecord{}, state)
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

func TestAdvance(t *testing.T) {
	s := newScene()
	c, _ := s.Mesh.Cluster("apac")
	look := func(change func(*Observation)) ClusterRecord {
		prev := *s.apac()
		obs := newScene().apac().Seen
		obs.At = noon.Add(tick)
		change(&obs)
		return Advance(prev, obs, c)
	}
	node := func(o *Observation, name mesh.NodeName, change func(*Node)) {
		n := o.Nodes[name]
		change(&n)
		o.Nodes[name] = n
	}
	restarted := func(o *Observation, name mesh.NodeName, services ...string) {
		node(o, name, func(n *Node) {
			for _, svc := range services {
				n.Services.Value[svc] = Service{Status: "Started", UpTime: time.Minute}
			}
		})
	}
	cases := []struct {
		name   string
		change func(*Observation)
		holds  func(r ClusterRecord) bool
	}{
		{"a silent node is lost since this look", func(o *Observation) {
			node(o, sub("apac"), func(n *Node) { n.Answers = Known(false, o.At) })
		}, func(r ClusterRecord) bool {
			return r.SilentSince[sub("apac")].Equal(noon.Add(tick)) && len(r.SilentSince) == 1
		}},
		{"one that takes the request and hangs is lost too", func(o *Observation) {
			node(o, pub("apac"), func(n *Node) { n.Answers = Unknown[bool](TimedOut, "30 s") })
		}, func(r ClusterRecord) bool { return r.SilentSince[pub("apac")].Equal(noon.Add(tick)) }},
		{"one that was not asked is not", func(o *Observation) {
			node(o, pub("apac"), func(n *Node) { n.Answers = Unknown[bool](AccountRejected, "") })
		}, func(r ClusterRecord) bool { return len(r.SilentSince) == 0 }},
		{"one service restarted is no node restarted", func(o *Observation) { restarted(o, pub("apac"), ICSA) }, func(r ClusterRecord) bool { return len(r.Restarted) == 0 }},
		{"most services restarted is", func(o *Observation) { restarted(o, pub("apac"), ICSA, AXL, XCPRouter, SRM) }, func(r ClusterRecord) bool { return len(r.Restarted) == 1 }},
		{"a stopped service is no restart", func(o *Observation) {
			node(o, pub("apac"), func(n *Node) {
				for svc := range n.Services.Value {
					n.Services.Value[svc] = Service{Status: "Stopped", UpTime: -1}
				}
			})
		}, func(r ClusterRecord) bool { return len(r.Restarted) == 0 }},
		{"a clock went backwards", func(o *Observation) { o.Entries.Value[0].LastSync = ago(45 * time.Minute) }, func(r ClusterRecord) bool { return r.Rewound.Equal(noon.Add(tick)) }},
		{"users left here and there is no restore", func(o *Observation) {
			o.Users.Value[pub("apac")] -= 100
			o.Users.Value[pub("emea")] -= 100
		}, func(r ClusterRecord) bool { return r.Rewound.IsZero() }},
		{"unless no clock can be read and many left at once", func(o *Observation) {
			o.Entries = Unknown[[]Entry](NoDialect, "")
			o.Users.Value[pub("apac")] -= 100
			o.Users.Value[pub("emea")] -= 100
		}, func(r ClusterRecord) bool { return !r.Rewound.IsZero() }},
		{"one leaver on each side is no restore", func(o *Observation) {
			o.Entries = Unknown[[]Entry](NoDialect, "")
			o.Users.Value[pub("apac")]--
			o.Users.Value[pub("emea")]--
		}, func(r ClusterRecord) bool { return r.Rewound.IsZero() }},
		{"a half count neither lowers nor lengthens the ring", func(o *Observation) {
			o.Users = Partial(map[mesh.NodeName]int{pub("apac"): 3}, o.At, RowsIncomplete, "")
		}, func(r ClusterRecord) bool {
			return len(r.Home) == 1 && r.Home[0].Users == 200 && r.HomeUsers(c).Value == 200
		}},
		{"the same count lengthens its span", func(*Observation) {}, func(r ClusterRecord) bool { return len(r.Home) == 1 && r.Home[0].To.Equal(noon.Add(tick)) }},
		{"a new interval is remembered with the old one", func(o *Observation) {
			node(o, pub("apac"), func(n *Node) {
				n.Parameters = Known(map[string]string{ParamInterval: "240"}, o.At)
			})
		}, func(r ClusterRecord) bool {
			return r.Interval.Value == 4*time.Hour && r.Interval.Previous == 30*time.Minute
		}},
		{"an interval that Cisco does not allow is not read", func(o *Observation) {
			node(o, pub("apac"), func(n *Node) { n.Parameters = Known(map[string]string{ParamInterval: "1445"}, o.At) })
		}, func(r ClusterRecord) bool { return r.Interval.Value == 30*time.Minute }},
		{"1444 is", func(o *Observation) {
			node(o, pub("apac"), func(n *Node) { n.Parameters = Known(map[string]string{ParamInterval: "1444"}, o.At) })
		}, func(r ClusterRecord) bool { return r.Interval.Value == 1444*time.Minute }},
		{"nothing at all was read", func(o *Observation) { *o = Observation{Cluster: "apac", At: noon.Add(tick)} }, func(r ClusterRecord) bool {
			return r.HomeUsers(c).Known() && r.Seen.Entries.Known() && !r.NoAccessSince.IsZero()
		}},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			if r := look(x.change); !x.holds(r) {
				b, _ := json.MarshalIndent(r, "", " ")
				t.Errorf("it does not hold:\n%s", b)
			}
		})
	}
}

func TestNeverSyncedStartsWithItsEntry(t *testing.T) {
	s := newScene()
	all := s.emea().Seen.Entries
	s.emea().Seen.Entries = Known(all.Value[1:], noon) // no entry for apac
	old := SyncRecord{FirstSeen: ago(72 * time.Hour)}
	missing := Judge(s.View, watched, old)
	if !missing.FirstSeen.IsZero() {
		t.Errorf("without an entry the clock stands at %s, want not begun", missing.FirstSeen)
	}
	s.emea().Seen.Entries = all
	s.entry(func(e *Entry) { e.LastSync = time.Time{} })
	added := Judge(s.View, watched, missing)
	if c := added.Condition(Synced); c.Status != True {
		t.Errorf("an entry added just now is %s (%s), though it had no time to sync", c.Status, c.Message)
	}
	s.Now = noon.Add(121 * time.Minute)
	s.emea().Seen.Entries.At = s.Now
	late := Judge(s.View, watched, added)
	if c := late.Condition(Synced); c.Status != False {
		t.Errorf("an entry that has not synced for four periods is %s (%s)", c.Status, c.Message)
	}
}

func TestFindings(t *testing.T) {
	cases := []struct {
		name   string
		broken func(s *scene)
		want   string // ids of apac's findings, "" = none
	}{
		{"all well", func(*scene) {}, ""},
		{"a service stopped", func(s *scene) { s.service("apac", sub("apac"), ICSA, "Stopped") }, "ServiceStopped:imp-apac-sub.example.com:Cisco Intercluster Sync Agent"},
		{"a service starting", func(s *scene) { s.service("apac", sub("apac"), ICSA, "Starting") }, ""},
		{"release", func(s *scene) { c, _ := s.Mesh.Cluster("apac"); c.Release = "15.0" }, "ReleaseDiffers:imp-apac-pub.example.com"},
		{"declared more precisely, to SU level", func(s *scene) { c, _ := s.Mesh.Cluster("apac"); c.Release = "14.0.1SU3" }, ""},
		{"clock", func(s *scene) { s.apac().Seen.Skew = Known(-3*time.Minute, noon) }, "ClockSkew"},
		{"Sync Agent", func(s *scene) {
			s.apac().Seen.SyncAgent = Known("Sync Completed, but currently failed to connect to the CUCM Database Monitor. Retrying... 2021-11-15 01:04:27", noon)
		}, "SyncAgentNotCompleted:imp-apac-pub.example.com"},
		{"a node mesh.yaml does not know", func(s *scene) {
			s.apac().Seen.Topology = Known([]mesh.NodeName{pub("apac"), sub("apac"), "imp-apac-sub2.example.com", pub("emea")}, noon)
		}, "UnlistedNode:imp-apac-sub2.example.com"},
		{"an entry for nobody", func(s *scene) {
			s.apac().Seen.Entries.Value = append(s.apac().Seen.Entries.Value, Entry{Address: "imp-old-pub.example.com"})
		}, "UnlistedPeer:imp-old-pub.example.com"},
		{"parameters", func(s *scene) {
			s.apac().Seen.Nodes[sub("apac")].Parameters.Value[ParamAutoRecovery] = "f"
		}, "ParametersDiffer"},
		{"interval", func(s *scene) { s.apac().Interval.Value = time.Hour }, "IntervalDiffers"},
		{"subscriber lost ten minutes ago", func(s *scene) { s.lose("apac", ago(10*time.Minute), sub("apac")) }, ""},
		{"subscriber lost an hour ago", func(s *scene) { s.lose("apac", ago(time.Hour), sub("apac")) }, "NodeUnreachable:imp-apac-sub.example.com"},
		{"lost", func(s *scene) { s.outage(time.Hour) }, "ClusterDown"},
		{"rejected", func(s *scene) { s.reject("apac") }, "AccountRejected"},
		{"one node's certificate does not fit ours", func(s *scene) {
			n := s.apac().Seen.Nodes[sub("apac")]
			n.Services.Reason, n.Services.Detail = ServerCertificateUntrusted, "no pin matches"
			s.apac().Seen.Nodes[sub("apac")] = n
		}, "ServerCertificateUntrusted:imp-apac-sub.example.com"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.broken(s)
			first := Findings(s.View, "apac", nil)
			var ids []string
			for _, f := range first {
				ids = append(ids, f.ID)
				if f.Message == "" || f.Severity == "" || !f.Since.Equal(noon) {
					t.Errorf("%+v lacks something", f)
				}
			}
			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			s.Now = noon.Add(time.Minute)
			if diff := cmp.Diff(first, Findings(s.View, "apac", first)); diff != "" {
				t.Errorf("a minute later, nothing having changed: %s", diff)
			}
		})
	}
}

func TestCertFindings(t *testing.T) {
	served := func(change func(s *Served)) CertClusterRecord {
		s := Served{Fingerprint: "sha256:00", Subject: "CN=imp-apac-pub.example.com", NotAfter: noon.AddDate(1, 0, 0), Read: ago(time.Hour)}
		change(&s)
		return CertClusterRecord{At: noon, Served: map[mesh.NodeName]map[string]Served{pub("apac"): {"RSA": s}}}
	}
	in := func(days float64) func(*Served) {
		return func(s *Served) { s.NotAfter = noon.Add(time.Duration(days * 24 * float64(time.Hour))) }
	}
	for _, c := range []struct {
		name   string
		change func(*Served)
		want   string
		since  time.Time
	}{
		{"a year", func(*Served) {}, "", time.Time{}},
		{"28 days and a bit", in(28.1), "", time.Time{}},
		{"28 days", in(28), "CertificateExpiring less than 28 days", noon},
		{"10 days", in(10), "CertificateExpiring less than 14 days", noon.AddDate(0, 0, -4)},
		{"6 days", in(6), "CertificateExpiring less than 7 days", noon.AddDate(0, 0, -1)},
		{"this instant", in(0), "CertificateExpired", noon},
		{"expired, and still readable", in(-3), "CertificateExpired", noon.AddDate(0, 0, -3)},
		{"expired, unread since this morning", func(s *Served) { in(-0.1)(s); s.Error, s.Read = "refused", ago(6*time.Hour) }, "CertificateExpired", noon.Add(-2*time.Hour - 24*time.Minute)},
		{"would have expired, but it may have been renewed while nobody could look", func(s *Served) { in(-0.1)(s); s.Error, s.Read = "refused", ago(48*time.Hour) }, "", time.Time{}},
		{"never read", func(s *Served) { *s = Served{Error: "refused"} }, "", time.Time{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := CertFindings(served(c.change), []int{28, 14, 7}, noon)
			if c.want == "" {
				if len(got) != 0 {
					t.Errorf("found %+v", got)
				}
				return
			}
			reason, says, _ := strings.Cut(c.want, " ")
			if len(got) != 1 || string(got[0].Reason) != reason || !strings.Contains(got[0].Message, says) || !got[0].Since.Equal(c.since) {
				t.Errorf("%+v, want %s since %s", got, c.want, c.since)
			}
		})
	}
}

// FuzzClusterRecord: whatever stands in the store, judging it ends.
func FuzzClusterRecord(f *testing.F) {
	for _, broken := range []func(s *scene){func(*scene) {}, func(s *scene) { s.outage(time.Hour) }, func(s *scene) { s.reject("apac") }} {
		s := newScene()
		broken(s)
		b, err := json.Marshal(s.apac())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"seen":{"users":{"k":"known"},"nodes":{"imp-apac-pub.example.com":{}}},"home":[{}],"interval":{"value":-1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r ClusterRecord
		if json.Unmarshal(b, &r) != nil {
			return
		}
		s := newScene()
		s.Clusters["apac"] = &r
		c, _ := s.Mesh.Cluster("apac")
		for _, p := range s.Mesh.Peers {
			rec := Judge(s.View, p.ID, SyncRecord{})
			for _, c := range rec.Conditions {
				if c.Status == "" || c.Message == "" {
					t.Errorf("%s %+v says nothing", p.ID, c)
				}
			}
			Fold(s.View, p.ID, Conditions(s.View, p.ID, rec, CertRecord{}), rec, StateRecord{})
		}
		Findings(s.View, "apac", nil)
		Advance(r, newScene().apac().Seen, c)
	})
}

func BenchmarkJudge870Peers(b *testing.B) {
	var ids []mesh.ClusterID
	for i := range mesh.MaxClusters {
		ids = append(ids, mesh.ClusterID(fmt.Sprintf("c%02d", i)))
	}
	s := newScene(ids...)
	for b.Loop() {
		for _, p := range s.Mesh.Peers {
			Judge(s.View, p.ID, SyncRecord{})
		}
	}
	b.ReportMetric(float64(len(s.Mesh.Peers)), "peers")
}
