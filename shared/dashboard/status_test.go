package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/store"
)

func status(t testing.TB, s *scene, now time.Time) Status {
	t.Helper()
	st, err := s.source().Status(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func conditionOf(t *testing.T, p Peer, typ peer.Type) peer.Condition {
	t.Helper()
	for _, c := range p.Conditions {
		if c.Type == typ {
			return c
		}
	}
	t.Fatalf("%s has no condition %s", p.ID, typ)
	return peer.Condition{}
}

// TestPeerAsPeopleSeeIt puts one thing in the store and looks at emea>apac.
func TestPeerAsPeopleSeeIt(t *testing.T) {
	pid := id("emea>apac")
	for _, c := range []struct {
		name    string
		change  func(*scene)
		later   time.Duration // looked at so long after the scene's now
		state   peer.State
		cause   string
		typ     peer.Type // a condition to look at, with what it reads
		status  peer.Status
		reason  peer.Reason
		healthy bool
	}{
		{name: "everything is well", state: peer.Healthy, typ: peer.Synced, status: peer.True, reason: peer.OnInterval, healthy: true},
		{
			name: "nobody has judged it yet",
			change: func(s *scene) {
				s.remove(store.PeerSync("acme", pid))
				s.remove(store.PeerCert("acme", pid))
				s.remove(store.PeerStuck("acme", pid))
			},
			state: peer.StateUnknown, cause: "NotChecked", typ: peer.Configured, status: peer.UnknownStatus, reason: peer.NotChecked,
		},
		{
			name: "peersync stopped half an hour ago", later: 30 * time.Minute,
			state: peer.StateUnknown, cause: "Configured", typ: peer.Synced, status: peer.UnknownStatus, reason: peer.Stale,
		},
		{
			name: "the sync record is of a newer schema",
			change: func(s *scene) {
				s.putSchema(store.PeerSync("acme", pid), 9, s.syncs[pid])
			},
			state: peer.StateUnknown, cause: "Configured", typ: peer.Synced, status: peer.UnknownStatus, reason: peer.NewerSchema,
		},
		{
			name: "the state record is of a newer schema",
			change: func(s *scene) {
				s.putSchema(store.PeerStuck("acme", pid), 9, s.states[pid])
			},
			state: peer.StateUnknown, cause: "NewerSchema", typ: peer.Synced, status: peer.True, reason: peer.OnInterval,
		},
		{
			name: "certcheck's record is of a newer schema",
			change: func(s *scene) {
				s.putSchema(store.PeerCert("acme", pid), 9, peer.CertRecord{})
			},
			state: peer.StateUnknown, cause: "CertificateTrusted", typ: peer.NamesResolve, status: peer.UnknownStatus, reason: peer.NewerSchema,
		},
		{
			name: "what was seen of emea is of a newer schema",
			change: func(s *scene) {
				s.putSchema(store.Cluster("acme", "emea"), 9, *s.clusters["emea"])
			},
			state: peer.StateUnknown, cause: "Configured", typ: peer.Reachable, status: peer.UnknownStatus, reason: peer.NewerSchema,
		},
		{
			name: "the sync record is damaged",
			change: func(s *scene) {
				s.putRaw(store.PeerSync("acme", pid), []byte(`{"schema":1,"version":1,"conditions":7}`))
			},
			state: peer.StateUnknown, cause: "Configured", typ: peer.Configured, status: peer.UnknownStatus, reason: peer.UnreadableAnswer,
		},
		{
			name:   "the clock has stood still beyond both limits, looked at twice",
			change: func(s *scene) { s.stuck("emea>apac", 4*time.Hour) },
			state:  peer.Stuck, cause: "Synced", typ: peer.Synced, status: peer.False, reason: peer.FourPeriodsMissed,
		},
		{
			name: "peersync has seen it stuck, stucksync has not run since",
			change: func(s *scene) {
				was := s.states[pid]
				s.stuck("emea>apac", 4*time.Hour)
				s.put(store.PeerStuck("acme", pid), was)
			},
			state: peer.Stuck, cause: "Synced", typ: peer.Synced, status: peer.False, reason: peer.FourPeriodsMissed,
		},
		{
			name: "the ladder is at work",
			change: func(s *scene) {
				s.as[pid] = peer.Recovering
				s.stuck("emea>apac", 4*time.Hour)
			},
			state: peer.Recovering, cause: "Synced", typ: peer.Synced, status: peer.False, reason: peer.FourPeriodsMissed,
		},
		{
			name: "good news waits for stucksync",
			change: func(s *scene) {
				was := s.states[pid]
				was.State, was.Cause = peer.Stuck, "Synced"
				s.put(store.PeerStuck("acme", pid), was)
			},
			state: peer.Stuck, cause: "Synced", typ: peer.Synced, status: peer.True, reason: peer.OnInterval,
		},
		{
			name: "a state that this version has no word for",
			change: func(s *scene) {
				was := s.states[pid]
				was.State = "Levitating"
				s.put(store.PeerStuck("acme", pid), was)
			},
			state: peer.StateUnknown, cause: "NewerSchema", typ: peer.Synced, status: peer.True, reason: peer.OnInterval,
		},
		{
			name: "named again in mesh.yaml, not judged since",
			change: func(s *scene) {
				was := s.states[pid]
				was.State = peer.Terminated
				s.put(store.PeerStuck("acme", pid), was)
			},
			state: peer.StateUnknown, cause: "NotChecked", typ: peer.Synced, status: peer.True, reason: peer.OnInterval,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, 3)
			if c.change != nil {
				c.change(s)
			}
			st := status(t, s, sceneNow.Add(c.later))
			p, ok := st.Peer(pid)
			if !ok {
				t.Fatal("emea>apac is not in the status")
			}
			if p.State != c.state || p.Cause != c.cause {
				t.Errorf("it is %s (%s), want %s (%s)", p.State, p.Cause, c.state, c.cause)
			}
			if got := conditionOf(t, p, c.typ); got.Status != c.status || got.Reason != c.reason {
				t.Errorf("%s is %s/%s, want %s/%s", c.typ, got.Status, got.Reason, c.status, c.reason)
			}
			if st.Healthy() != c.healthy {
				t.Errorf("Healthy() = %v, want %v", st.Healthy(), c.healthy)
			}
		})
	}
}

func TestCertificateConditionsAreAsOldAsTheOlderEnd(t *testing.T) {
	s := newScene(t, 3)
	old := sceneNow.Add(-5 * time.Hour)
	s.put(store.Cert("acme", "apac"), certificate.Record{At: old})
	p, _ := status(t, s, sceneNow).Peer(id("emea>apac"))
	if got := conditionOf(t, p, peer.NamesResolve).Observed; !got.Equal(old) {
		t.Errorf("NamesResolve was read %v, want %v as apac's item says", got, old)
	}
	s.put(store.Cert("acme", "apac"), certificate.Record{At: sceneNow.Add(-13 * time.Hour)})
	p, _ = status(t, s, sceneNow).Peer(id("emea>apac"))
	if got := conditionOf(t, p, peer.NamesResolve); got.Reason != peer.Stale {
		t.Errorf("13 h after certcheck looked NamesResolve is %s/%s, want Stale", got.Status, got.Reason)
	}
}

func TestOverdueRuns(t *testing.T) {
	for _, c := range []struct {
		name string
		run  store.Run
		fn   string
		want bool
	}{
		{"peersync completed 10 minutes ago", store.Run{Completed: sceneNow.Add(-10 * time.Minute)}, "peersync", false},
		{"peersync completed 11 minutes ago", store.Run{Completed: sceneNow.Add(-11 * time.Minute)}, "peersync", true},
		{"certcheck completed 30 minutes ago", store.Run{Completed: sceneNow.Add(-30 * time.Minute)}, "certcheck", false},
		{"certcheck completed 31 minutes ago", store.Run{Completed: sceneNow.Add(-31 * time.Minute)}, "certcheck", true},
		{"stucksync began an hour ago and never completed", store.Run{Started: sceneNow.Add(-time.Hour), FirstStarted: sceneNow.Add(-time.Hour)}, "stucksync", true},
		{"intake does not run by the clock", store.Run{Completed: sceneNow.Add(-90 * 24 * time.Hour)}, "intake", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, 2)
			s.put(store.RunOf("acme", c.fn), c.run)
			st := status(t, s, sceneNow)
			if got := slices.Contains(st.Overdue, c.fn); got != c.want {
				t.Errorf("overdue: %v, want %v", st.Overdue, c.want)
			}
			if st.Healthy() == c.want {
				t.Errorf("Healthy() = %v with overdue %v", st.Healthy(), st.Overdue)
			}
		})
	}
}

func TestOnlyStandingAlarmsAreShown(t *testing.T) {
	s := newScene(t, 2)
	s.raise(alarm.UsersDiffer, peer.Warning, "", "emea>apac", "later", sceneNow.Add(-time.Hour))
	s.raise(alarm.ClusterDown, peer.Critical, "apac", "", "first", sceneNow)
	s.put(store.Alarm("acme", "cleared"), alarm.Item{Notice: alarm.Notice{Name: "Gone", State: alarm.Cleared}})
	s.put(store.Alarm("acme", "waiting"), alarm.Item{Notice: alarm.Notice{Name: "InGrace"}})
	var got []string
	for _, a := range status(t, s, sceneNow).Alarms {
		got = append(got, a.Name)
	}
	if diff := cmp.Diff([]string{alarm.ClusterDown, alarm.UsersDiffer}, got); diff != "" {
		t.Errorf("alarms, worst first (-want +got):\n%s", diff)
	}
}

func TestPeersGoneFromTheMesh(t *testing.T) {
	s := newScene(t, 3)
	s.mesh.Clusters = s.mesh.Clusters[:2]
	s.mesh.Peers = slices.DeleteFunc(s.mesh.Peers, func(p mesh.Peer) bool { return p.ID.From == "amer" || p.ID.To == "amer" })
	st := status(t, s, sceneNow)
	if got := st.Counts[peer.Terminated]; got != 4 || !st.Healthy() {
		t.Errorf("%d Terminated, healthy %v; want 4 and healthy: what left the mesh is nobody's trouble", got, st.Healthy())
	}
	if got := len(st.Matrix().Clusters); got != 2 {
		t.Errorf("the matrix has %d clusters, want 2", got)
	}
	s.put(store.PeerStuck("acme", id("amer>emea")), peer.StateRecord{State: peer.Terminated, Since: sceneNow.Add(-25 * time.Hour)})
	if _, still := status(t, s, sceneNow).Peer(id("amer>emea")); still {
		t.Error("a peer is still shown a day after it was terminated")
	}
}

func TestStoreThatDoesNotAnswer(t *testing.T) {
	s := newScene(t, 2)
	boom := errors.New("no route to the table")
	s.store.Fail = func(op string, _ store.Key) error {
		if op == "load" {
			return boom
		}
		return nil
	}
	if _, err := s.source().Status(t.Context(), sceneNow); !errors.Is(err, boom) {
		t.Errorf("Status: %v, want the store's error", err)
	}
}

// TestOneLoad holds the promise that all parts of an answer are of one moment, but
// for the hints that nodes pushed, which nothing is judged by.
func TestOneLoad(t *testing.T) {
	s := newScene(t, 3)
	loads, hints := 0, 0
	s.store.Fail = func(op string, key store.Key) error {
		if op != "load" {
			t.Errorf("the dashboard did %q", op)
		}
		if key.PK == store.Pushed("acme") {
			hints++
			return nil
		}
		loads++
		return nil
	}
	status(t, s, sceneNow)
	if _, err := s.source().Explain(t.Context(), id("emea>apac"), sceneNow); err != nil {
		t.Fatal(err)
	}
	if loads != 2 || hints != 2 {
		t.Errorf("%d loads and %d of hints for two answers, want 2 and 2", loads, hints)
	}
}

// TestStatusJSON decodes status as a script would, by the names that scripts rely on.
func TestStatusJSON(t *testing.T) {
	s := troubled(t, 3)
	raw, err := json.Marshal(status(t, s, sceneNow))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Mesh     string
		AsOf     time.Time
		LastRun  map[string]time.Time
		Overdue  []string
		Policy   string
		Clusters []struct {
			ID, Release string
			Findings    []struct{ ID, Severity, Reason, Message, Since string }
		}
		Peers []struct {
			ID, State, Since string
			Overlays         []string
			Conditions       []struct{ Type, Status, Reason, Message, Basis, Since, Observed string }
		}
		Alarms []struct{ Name, Severity, State, Mesh, Peer, Fingerprint, Since, Message, Runbook string }
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if got.Mesh != "acme" || got.Policy != "observe" || !got.AsOf.Equal(sceneNow) || len(got.LastRun) != 3 || got.Overdue == nil {
		t.Errorf("head: %+v", got)
	}
	if len(got.Clusters) != 3 || len(got.Peers) != 6 || len(got.Alarms) != 1 {
		t.Fatalf("%d clusters, %d peers, %d alarms", len(got.Clusters), len(got.Peers), len(got.Alarms))
	}
	if f := got.Clusters[2].Findings; len(f) != 1 || f[0].Reason != "CertificateExpiring" || f[0].Severity != "warning" {
		t.Errorf("amer's findings: %+v", f)
	}
	p := got.Peers[2]
	if p.ID != "apac>emea" || p.State != "Stuck" || p.Overlays == nil || len(p.Conditions) != len(peer.Types()) {
		t.Errorf("peer: %+v", p)
	}
	for _, c := range p.Conditions {
		if c.Type == "" || c.Status == "" || c.Reason == "" || c.Message == "" || c.Basis == "" || c.Since == "" || c.Observed == "" {
			t.Errorf("condition with an empty field: %+v", c)
		}
	}
	raw, err = json.Marshal(status(t, s, sceneNow).Matrix())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"clusters":["emea","apac","amer"],"cells":[[null,"Healthy","Healthy"],["Stuck",null,"Healthy"],["Healthy","Healthy",null]]}`
	if string(raw) != want {
		t.Errorf("matrix:\n%s\nwant\n%s", raw, want)
	}
}

func TestExplainClocks(t *testing.T) {
	at := func(s string) *time.Time {
		v, err := time.Parse(time.RFC3339, "2026-06-02T"+s+"Z")
		if err != nil {
			t.Fatal(err)
		}
		return &v
	}
	for _, c := range []struct {
		name     string
		interval time.Duration
		skew     time.Duration
		a, b     *time.Time
		first    string
	}{
		{"30 min: four periods come before two hours more", 30 * time.Minute, 0, at("16:50:00"), at("16:20:00"), "b"},
		{"40 min: both at once, the restart is named", 40 * time.Minute, 0, at("17:00:00"), at("17:00:00"), "b"},
		{"60 min: stuck comes first", 60 * time.Minute, 0, at("17:20:00"), at("18:20:00"), "a"},
		{"the cluster's clock is 10 min ahead", 30 * time.Minute, 10 * time.Minute, at("16:40:00"), at("16:10:00"), "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, 2)
			s.lastSync[id("emea>apac")] = *at("14:20:00")
			s.look(sceneNow.Add(-2*time.Minute), func(cs map[mesh.ClusterID]*peer.ClusterRecord) {
				cs["emea"].Interval.Value = c.interval
				cs["emea"].Seen.Skew = peer.Known(c.skew, sceneNow)
			})
			e, err := s.source().Explain(t.Context(), id("emea>apac"), sceneNow)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{c.a, c.b, c.first, peer.Measured}, []any{e.Clocks.A, e.Clocks.B, e.Clocks.First, e.Clocks.Basis}); diff != "" {
				t.Errorf("clocks (-want +got):\n%s", diff)
			}
			// The read model and the judgement agree on the instant.
			for _, j := range []struct {
				after time.Duration
				want  peer.Status
			}{{-time.Second, peer.True}, {time.Second, peer.False}} {
				v := peer.Facts{Now: e.Clocks.At().Add(j.after), Tick: 24 * time.Hour, Mesh: s.mesh, Clusters: s.clusters}.View()
				rec := peer.Judge(v, id("emea>apac"), s.syncs[id("emea>apac")])
				if got := rec.Condition(peer.Synced); got.Status != j.want {
					t.Errorf("%v from the first clock Synced is %s/%s, want %s", j.after, got.Status, got.Reason, j.want)
				}
			}
		})
	}
	t.Run("no readable clock", func(t *testing.T) {
		s := newScene(t, 2)
		s.look(sceneNow.Add(-2*time.Minute), func(cs map[mesh.ClusterID]*peer.ClusterRecord) {
			cs["emea"].Seen.Entries = peer.Unknown[[]peer.Entry](peer.NoDialect, "")
		})
		e, err := s.source().Explain(t.Context(), id("emea>apac"), sceneNow)
		if err != nil {
			t.Fatal(err)
		}
		if e.Clocks.A != nil || e.Clocks.B != nil || e.Clocks.From == "" {
			t.Errorf("clocks %+v, want no instants and a reason", e.Clocks)
		}
	})
}

func TestExplain(t *testing.T) {
	s := troubled(t, 3)
	e, err := s.source().Explain(t.Context(), id("apac>emea"), sceneNow)
	if err != nil {
		t.Fatal(err)
	}
	if e.Reverse == nil || e.Reverse.State != peer.Healthy || !strings.HasPrefix(e.Reverse.Words, "One direction only") {
		t.Errorf("reverse: %+v, want Healthy and the asymmetry in words", e.Reverse)
	}
	if len(e.Changes) == 0 || e.Changes[0].To != string(peer.Stuck) && e.Changes[0].To != string(peer.False) {
		t.Errorf("changes, newest first: %+v", e.Changes)
	}
	for i := 1; i < len(e.Changes); i++ {
		if e.Changes[i].At.After(e.Changes[i-1].At) {
			t.Error("changes are not newest first")
		}
	}
	if len(e.Next) == 0 || !strings.Contains(e.Next[1].Menu, "Presence > Inter-Clustering") || !strings.Contains(e.Next[1].Do, procedure.ForceSync) {
		t.Errorf("next: %+v, want the force sync with its menu", e.Next)
	}
	if e, err = s.source().Explain(t.Context(), id("emea>amer"), sceneNow); err != nil || len(e.Next) != 0 || e.Next == nil {
		t.Errorf("a healthy peer: %v, next %v; want none, as an empty list", err, e.Next)
	}
	if _, err = s.source().Explain(t.Context(), id("emea>mars"), sceneNow); !errors.Is(err, ErrNoSuchPeer) {
		t.Errorf("emea>mars: %v, want ErrNoSuchPeer", err)
	}
}

// TestACauseForbidsTheRestart: while a cause is known, nobody is told to
// restart ICSA.
func TestACauseForbidsTheRestart(t *testing.T) {
	s := newScene(t, 2)
	s.lastSync[id("emea>apac")] = sceneNow.Add(-5 * time.Hour)
	stop := func(cs map[mesh.ClusterID]*peer.ClusterRecord) {
		sub := cs["emea"].Seen.Nodes["imp-emea-sub.example.com"]
		sub.Services.Value = maps.Clone(sub.Services.Value)
		sub.Services.Value[peer.ICSA] = peer.Service{Status: "Stopped", UpTime: -1}
		cs["emea"].Seen.Nodes["imp-emea-sub.example.com"] = sub
	}
	s.look(sceneNow.Add(-7*time.Minute), stop)
	s.look(sceneNow.Add(-2*time.Minute), stop)
	e, err := s.source().Explain(t.Context(), id("emea>apac"), sceneNow)
	if err != nil {
		t.Fatal(err)
	}
	if e.State != peer.Degraded || len(e.Next) == 0 {
		t.Fatalf("%s, next %v", e.State, e.Next)
	}
	if !strings.HasPrefix(e.Next[0].Do, "Cisco Intercluster Sync Agent is stopped on imp-emea-sub.example.com.") {
		t.Errorf("first step %q does not name the node", e.Next[0].Do)
	}
	for _, step := range e.Next {
		if strings.Contains(step.Do, "Last Synchronized Time has not moved") {
			t.Errorf("told to restart ICSA although a cause is known: %q", step.Do)
		}
	}
	if last := e.Next[len(e.Next)-1].Do; !strings.HasPrefix(last, "Do not restart") {
		t.Errorf("last step %q, want the warning", last)
	}
}

// TestARepairUnderWayIsLeftAlone: what a person is told follows the ladder.
func TestARepairUnderWayIsLeftAlone(t *testing.T) {
	by := sceneNow.Add(40 * time.Minute)
	for _, c := range []struct {
		name   string
		state  peer.State
		ladder peer.Ladder
		first  string
	}{
		{"ICSA should restart itself", peer.Recovering, peer.Ladder{Rung: peer.RungCisco, ProveBy: by, Evidence: "auto recovery is on"}, "Wait until 2026-06-02 15:10 UTC: auto recovery is on. Restart nothing"},
		{"a force sync by hand is waited for", peer.Recovering, peer.Ladder{Rung: peer.RungForce, ProveBy: by, Evidence: "Force Manual Sync"}, "Find and select imp-apac-pub.example.com, click Force Manual Sync"},
		{"too young to be restarted", peer.Cooling, peer.Ladder{Rung: peer.RungRestart, Until: by, Evidence: "it has run for 5 min only"}, "Wait until 2026-06-02 15:10 UTC: it has run"},
		{"the ladder's end", peer.NeedsHuman, peer.Ladder{Rung: peer.RungHuman, Evidence: "the sync still stands"}, "Choose imp-emea-pub.example.com and Cisco Intercluster Sync Agent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, 2)
			s.as[id("emea>apac")] = c.state
			s.stuck("emea>apac", 4*time.Hour)
			state := s.states[id("emea>apac")]
			state.Ladder = &c.ladder
			s.put(store.PeerStuck("acme", id("emea>apac")), state)
			e, err := s.source().Explain(t.Context(), id("emea>apac"), sceneNow)
			if err != nil {
				t.Fatal(err)
			}
			if e.State != c.state || e.Ladder == nil || len(e.Next) == 0 || !strings.HasPrefix(e.Next[0].Do, c.first) {
				t.Errorf("%s, ladder %v, next %v; want first %q", e.State, e.Ladder, e.Next, c.first)
			}
		})
	}
}

func TestGroupsNameTheirPeers(t *testing.T) {
	st := status(t, troubled(t, 30), sceneNow)
	got := map[string]bool{}
	n := 0
	for _, g := range st.groups() {
		got[string(g.State)+" "+g.who()] = true
		n += len(g.Peers)
	}
	for _, want := range []string{"Degraded c08>* (29 peers)", "Unknown c17 both ways (57 peers)", "Stuck apac>emea"} {
		if !got[want] {
			t.Errorf("no group %q in %v", want, got)
		}
	}
	if want := len(st.Peers) - st.Counts[peer.Healthy]; n != want {
		t.Errorf("the groups hold %d peers, want all %d that are not Healthy", n, want)
	}
}

func BenchmarkStatus870(b *testing.B) {
	s := troubled(b, 30)
	for b.Loop() {
		if _, err := s.source().Status(b.Context(), sceneNow); err != nil {
			b.Fatal(err)
		}
	}
}

// What explains a peer stands apart from how long it has lasted, however long
// the words for that are.
func TestAPeersCauseStandsApartFromItsTime(t *testing.T) {
	for _, c := range []struct {
		since time.Duration
		want  string
	}{
		{30 * time.Second, "for under 1 min Synced"},
		{23*time.Hour + 59*time.Minute, "for 23 h 59 min Synced"},
		{7 * time.Minute, "for 7 min       Synced"},
		{364*24*time.Hour + 23*time.Hour, "for 364 d 23 h  Synced"},
	} {
		now := time.Date(2026, 6, 2, 15, 0, 0, 0, time.UTC)
		var out strings.Builder
		st := Status{AsOf: now, Peers: []Peer{{ID: id("emea>apac"), State: peer.Suspect, Cause: "Synced", Since: now.Add(-c.since)}}}
		if err := WriteStatus(&out, st, false); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("want %q in\n%s", c.want, out.String())
		}
	}
}

// TestAPairThatAPlanChangesNamesThePlan, in the terminal and on the page, which changes
// when the plan does.
func TestAPairThatAPlanChangesNamesThePlan(t *testing.T) {
	s := newScene(t, 2)
	pair := id("emea>apac")
	state := s.states[pair]
	state.Overlays = []peer.Overlay{peer.Changing}
	s.put(store.PeerStuck("acme", pair), state)
	p := pageOf(s)
	page := func() string { return ask(t, p.Handler(), "GET", "/peer/emea%3Eapac").Body.String() }
	for _, plan := range []string{"c4f2", "77ab"} {
		s.put(store.Plans("acme"), change.Plans{Plans: []change.Entry{{ID: plan, State: change.Running, Pairs: []mesh.PeerID{pair}}}})
		e, err := s.source().Explain(t.Context(), pair, sceneNow)
		if err != nil {
			t.Fatal(err)
		}
		want := "plan " + plan + " changes it; no notices, no repairs (`peerkeeper peering show " + plan + "`)"
		if got := e.overlayWords(peer.Changing); e.Changing != plan || got != want {
			t.Errorf("%q: %q, want %q", e.Changing, got, want)
		}
		if !strings.Contains(page(), "plan "+plan+" changes it") {
			t.Errorf("the page does not name plan %s", plan)
		}
	}
	s.remove(store.Plans("acme"))
	if e, err := s.source().Explain(t.Context(), pair, sceneNow); err != nil || e.overlayWords(peer.Changing) != "a plan changed it until a moment ago" {
		t.Errorf("when the plan has ended: %+v, %v", e, err)
	}
}

// TestWhatAPlanChangesIsNotCountedAsIll: six peers without an entry are what a join is for;
// one that is ill besides is told first.
func TestWhatAPlanChangesIsNotCountedAsIll(t *testing.T) {
	peers := func(ill, changing, healthy int) (st Status) {
		st.Counts = map[peer.State]int{}
		add := func(n int, state peer.State, plan string) {
			for range n {
				st.Peers = append(st.Peers, Peer{ID: id(fmt.Sprintf("c%d>hub", len(st.Peers))), State: state, Changing: plan})
				st.Counts[state]++
			}
		}
		add(ill, peer.Stuck, "")
		add(changing, peer.Degraded, "c4f2")
		add(healthy, peer.Healthy, "")
		return st
	}
	for _, c := range []struct {
		ill, changing, healthy int
		want                   string
		groups                 int
	}{
		{0, 6, 6, "6 peers are being changed by a plan, the other 6 are healthy", 1},
		{0, 1, 6, "1 peer is being changed by a plan, the other 6 are healthy", 1},
		{1, 6, 5, "1 of 12 peers is not healthy; 6 more are being changed by a plan", 2},
		{3, 1, 8, "3 of 12 peers are not healthy; 1 more is being changed by a plan", 2},
		{2, 0, 10, "2 of 12 peers are not healthy", 1},
	} {
		st := peers(c.ill, c.changing, c.healthy)
		if got := headline(st); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		groups := st.groups()
		if len(groups) != c.groups || c.changing > 0 && groups[len(groups)-1].Message != "plan c4f2 changes it; no notices, no repairs (`peerkeeper peering show c4f2`)" {
			t.Errorf("%+v", groups)
		}
	}
}
