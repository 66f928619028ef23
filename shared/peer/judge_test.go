package peer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

// conditionCase breaks something in a mesh in which all is well, and says what
// one condition of emea>apac then reads.
type conditionCase struct {
	name   string
	broken func(s *scene)
	status Status
	reason Reason
	basis  Basis
	says   string // part of the message
}

// judged runs the table of one condition.
func judged(t *testing.T, which Type, cases []conditionCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.broken(s)
			r := Judge(s.View(), watched, SyncRecord{FirstSeen: ago(24 * time.Hour)})
			got := r.Condition(which)
			if got.Status != c.status || got.Reason != c.reason || got.Basis != c.basis || !strings.Contains(got.Message, c.says) {
				t.Errorf("%s %s (%s): %q\nwant %s %s (%s) saying %q", got.Status, got.Reason, got.Basis, got.Message, c.status, c.reason, c.basis, c.says)
			}
		})
	}
}

// TestSinceMovesOnlyWithTheStatus judges the same mesh twice, with another
// reason the second time.
func TestSinceMovesOnlyWithTheStatus(t *testing.T) {
	s := newScene()
	first := Judge(s.View(), watched, SyncRecord{})
	s.Now = noon.Add(20 * time.Minute)
	s.entry(func(e *Entry) { e.LastSync = ago(30 * time.Minute) })
	for _, r := range s.Clusters {
		r.Seen.At, r.Seen.Entries.At, r.Seen.Users.At = s.Now, s.Now, s.Now
	}
	second := Judge(s.View(), watched, first)
	if got := second.Condition(Synced); got.Reason != Overdue || !got.Since.Equal(noon) {
		t.Errorf("Synced is %s since %s, want Overdue since noon: True all the time", got.Reason, got.Since)
	}
	if got := second.Condition(ServicesRunning); got.Status != UnknownStatus || !got.Since.Equal(s.Now) {
		t.Errorf("ServicesRunning is %s since %s, want Unknown since now: nothing was read", got.Status, got.Since)
	}
}

// TestWhatIsAtFaultIsRememberedFromItsFirstLook: what a sync may contradict is
// judged by when it was first seen.
func TestWhatIsAtFaultIsRememberedFromItsFirstLook(t *testing.T) {
	s := newScene()
	s.outage(2 * time.Hour)
	first := Judge(s.View(), watched, SyncRecord{})
	if c := first.Condition(Reachable); c.Status != False || !first.Standing.since(Reachable).Equal(noon) {
		t.Fatalf("%+v since %v", c, first.Standing)
	}
	well := newScene()
	well.Now = noon.Add(tick)
	if second := Judge(well.View(), watched, first); !second.Standing.since(Reachable).IsZero() {
		t.Errorf("it is over: %v", second.Standing)
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
			rec := Judge(s.View(), p.ID, SyncRecord{})
			for _, c := range rec.Conditions {
				if c.Status == "" || c.Message == "" {
					t.Errorf("%s %+v says nothing", p.ID, c)
				}
			}
			s.fold(p.ID, Conditions(s.View(), p.ID, rec, CertRecord{}), rec, StateRecord{})
		}
		Findings(s.View(), "apac", nil)
		Advance(r, newScene().apac().Seen, c)
	})
}

// BenchmarkJudge judges a mesh of which every other cluster has been silent for an
// hour, one tick of it: its cost is that of the links, however many clusters there
// are to be witnesses.
func BenchmarkJudge(b *testing.B) {
	for _, n := range []int{10, 20, 30} {
		b.Run(fmt.Sprintf("%d clusters", n), func(b *testing.B) {
			var ids []mesh.ClusterID
			for i := range n {
				ids = append(ids, mesh.ClusterID(fmt.Sprintf("c%02d", i)))
			}
			s := newScene(ids...)
			for i := 0; i < n; i += 2 {
				s.down(ids[i], time.Hour)
			}
			for b.Loop() {
				v := s.View()
				for _, id := range ids {
					Findings(v, id, nil)
				}
				for _, p := range s.Mesh.Peers {
					Judge(v, p.ID, SyncRecord{})
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(s.Mesh.Peers)), "ns/link")
		})
	}
}

// TestWhatSyncsCannotContradictHasNoFirstSight: a stopped service is a fact of its own.
func TestWhatSyncsCannotContradictHasNoFirstSight(t *testing.T) {
	s := newScene()
	s.service("emea", pub("emea"), ICSA, "Stopped")
	if got := Judge(s.View(), watched, SyncRecord{}); got.Condition(ServicesRunning).Status != False || len(got.Standing) != 0 {
		t.Errorf("%v", got.Standing)
	}
}

// TestADifferenceIsRememberedWhileNothingCanBeCounted: nothing shows that it is over.
func TestADifferenceIsRememberedWhileNothingCanBeCounted(t *testing.T) {
	s := newScene()
	s.unreadUsers("apac")
	prev := SyncRecord{FirstSeen: ago(24 * time.Hour), Differs: Difference{Since: ago(2 * time.Hour), Least: 7}}
	if got := Judge(s.View(), watched, prev); got.Differs != prev.Differs || !got.Copied.IsZero() {
		t.Errorf("%+v", got)
	}
}

func (s *scene) unreadUsers(id mesh.ClusterID) {
	s.Clusters[id].Seen.Users = Unknown[map[mesh.NodeName]int](QueryRefused, "fault")
}

// TestTheFirstFullSyncMovesItsClock: with every look that shows more users, until it
// has succeeded; a clock that cannot be read stands.
func TestTheFirstFullSyncMovesItsClock(t *testing.T) {
	for _, c := range []struct {
		name  string
		entry func(e *Entry)
		want  time.Time
	}{
		{"it has not succeeded yet", func(e *Entry) { e.LastSync = time.Time{} }, noon},
		{"it has", func(*Entry) {}, ago(24 * time.Hour)},
		{"nobody can tell", func(e *Entry) { e.HasClock, e.LastSync = false, time.Time{} }, ago(24 * time.Hour)},
	} {
		s := newScene()
		s.copied(150)
		s.entry(c.entry)
		got := Judge(s.View(), watched, SyncRecord{FirstSeen: ago(24 * time.Hour), Differs: Difference{Since: ago(5 * time.Hour), Least: 60}})
		if !got.FirstSeen.Equal(c.want) || got.Differs != (Difference{Since: noon, Least: 50}) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
