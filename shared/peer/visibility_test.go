package peer

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

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
		{"a sync within a look of the loss is no sync since", all, func(s *scene) { s.outage(time.Hour); advance(s, "amer", "apac", ago(55*time.Minute)) }, Down, ClusterDown},
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
			if got := s.View().Visibility("apac"); got.Verdict != c.verdict || got.Trouble != c.trouble {
				t.Errorf("%q %s (%s), want %q %s", got.Verdict, got.Trouble, got.Message, c.verdict, c.trouble)
			}
			for _, p := range s.Mesh.Peers {
				r := Judge(s.View(), p.ID, SyncRecord{})
				if got := r.Condition(Reachable); got.Status == False && c.verdict != Down && c.verdict != PublisherIsDown {
					t.Errorf("%s Reachable is False (%s) although nobody has proven an outage", p.ID, got.Reason)
				}
			}
		})
	}
}

// What is said of a cluster that nobody sees: what is lost, and how many witnesses
// have how little to tell.
func TestWhatIsSaidOfALostCluster(t *testing.T) {
	for _, c := range []struct {
		name  string
		given func(s *scene)
		says  string
	}{
		{"all of it", func(s *scene) { s.outage(time.Hour) }, "no node has answered since 2026-03-02 11:00 UTC, and none of the 2 clusters that pull from it and can tell has synced since"},
		{"its publisher alone", func(s *scene) { s.outage(time.Hour, pub("apac")) }, "its publisher imp-apac-pub.example.com has not answered since 2026-03-02 11:00 UTC, and none of the 2 clusters"},
		{"its peers go on", func(s *scene) { s.lose("apac", ago(time.Hour)) }, "no node has answered since 2026-03-02 11:00 UTC, yet emea, amer still sync from it"},
		{"no clock is readable", func(s *scene) {
			s.outage(time.Hour)
			for _, r := range s.Clusters {
				r.Seen.Entries = Unknown[[]Entry](NoDialect, "")
			}
		}, "and no clock of the clusters that pull from it is readable (2 asked)"},
	} {
		s := newScene()
		c.given(s)
		if got := s.View().Visibility("apac"); !strings.Contains(got.Message, c.says) {
			t.Errorf("%s: %q does not say %q", c.name, got.Message, c.says)
		}
	}
}

// TestAClusterThatIsNotInMeshYAMLIsNotOutOfSight: nobody looks at it.
func TestAClusterThatIsNotInMeshYAMLIsNotOutOfSight(t *testing.T) {
	if got := newScene().View().Visibility("elsewhere"); got != (Visibility{}) {
		t.Errorf("%+v", got)
	}
}

// TestASubscriberSaysNothingOfThePublisher: what certcheck reads of one does not show
// that the other runs.
func TestASubscriberSaysNothingOfThePublisher(t *testing.T) {
	for _, c := range []struct {
		name string
		lost []mesh.NodeName // none is all
		read mesh.NodeName   // two hours ago
		want VisibilityVerdict
	}{
		{"the publisher is lost, a subscriber was read", []mesh.NodeName{pub("apac")}, sub("apac"), PublisherIsDown},
		{"the publisher is lost, and was read", []mesh.NodeName{pub("apac")}, pub("apac"), NotVisible},
		{"all are lost, and a subscriber was read", nil, sub("apac"), NotVisible},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			s.outage(5*time.Hour, c.lost...)
			s.CertificateRead = map[mesh.ClusterID]map[mesh.NodeName]time.Time{"apac": {c.read: ago(2 * time.Hour)}}
			apac, _ := s.Mesh.Cluster("apac")
			for range 2 { // the publisher listed first, and last
				if got := s.View().Visibility("apac"); got.Verdict != c.want {
					t.Errorf("%+v, want %s", got, c.want)
				}
				slices.Reverse(apac.Nodes)
			}
		})
	}
}

// TestAClusterIsLostWithItsLastNode: until then it is its publisher that is.
func TestAClusterIsLostWithItsLastNode(t *testing.T) {
	s := newScene()
	c, _ := s.Mesh.Cluster("apac")
	for _, x := range []struct {
		name     string
		pub, sub time.Duration // ago; 0 answers
		since    time.Duration
		whole    bool
	}{
		{"all answer", 0, 0, 0, false},
		{"the subscriber is lost", 0, time.Hour, 0, false},
		{"the publisher is lost", 2 * time.Hour, 0, 2 * time.Hour, false},
		{"the publisher, then the subscriber", 2 * time.Hour, time.Hour, time.Hour, true},
		{"the subscriber, then the publisher", time.Hour, 2 * time.Hour, time.Hour, true},
	} {
		r := ClusterRecord{SilentSince: map[mesh.NodeName]time.Time{}}
		for name, d := range map[mesh.NodeName]time.Duration{pub("apac"): x.pub, sub("apac"): x.sub} {
			if d != 0 {
				r.SilentSince[name] = ago(d)
			}
		}
		since, whole := r.lostSince(c)
		if whole != x.whole || since.IsZero() != (x.since == 0) || x.since != 0 && !since.Equal(ago(x.since)) {
			t.Errorf("%s: since %v (whole %v), want %v (%v)", x.name, since, whole, ago(x.since), x.whole)
		}
	}
}
