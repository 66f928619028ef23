package peer

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
)

// logScene is a mesh whose peer tables tell nothing: what is known of emea>apac
// stands in the log of emea's publisher, which was read just now, whole for a day.
type logScene struct {
	*scene
	log   LogRecord
	sync  SyncRecord
	trust Reason // why certcheck finds apac's certificate trusted
}

func newLogScene() *logScene {
	s := &logScene{scene: newScene(), sync: SyncRecord{FirstSeen: ago(24 * time.Hour)}, trust: InTrustStore}
	for _, r := range s.Clusters {
		r.Seen.Entries = Unknown[[]Entry](NoDialect, "not mapped")
	}
	s.log = LogRecord{Read: noon, Since: ago(24 * time.Hour), Cursor: LogCursor{At: noon}, Logged: Span{From: ago(24 * time.Hour), To: ago(35 * time.Minute)}}
	s.says("amer", ciscolog.Status, 35*time.Minute)
	return s
}

// says puts a line into the log, so long ago by our clock and by the node's.
func (s *logScene) says(home mesh.ClusterID, alarm ciscolog.Alarm, d time.Duration) {
	outcome := ciscolog.Event{Facility: ciscolog.ICSA, Alarm: alarm, Text: "Periodic sync completed successfully"}.Outcome()
	if alarm != ciscolog.Status {
		outcome = ciscolog.Event{Facility: ciscolog.ICSA, Alarm: alarm}.Outcome()
	}
	skew, _ := s.emea().Seen.Skew.Get()
	s.log.Add(home, outcome, Word{Alarm: alarm, At: ago(d).Add(skew), Dating: ciscolog.Dated})
}

// level is what Local Syslogs are at, and have been all the time, as was told when
// the log was read.
func (s *logScene) level(level ciscolog.Level) {
	s.log.Level, s.log.LevelBy, s.log.LevelAt = level, "cucm", s.log.Read
	if logged, _ := ciscolog.Status.LoggedAt(level); logged {
		s.log.Logged.To = s.log.Read
	}
}

func (s *logScene) judge(id mesh.PeerID) []Condition {
	s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
	s.sync = Judge(s.View(), id, s.sync)
	return Conditions(s.View(), id, s.sync, CertRecord{Observed: noon, Conditions: []Condition{{Type: CertificateTrusted, Status: True, Reason: s.trust}}})
}

type logCase struct {
	name   string
	given  func(s *logScene)
	status Status
	reason Reason
	basis  Basis
	says   string
}

func (c logCase) check(t *testing.T, which Type) {
	t.Run(c.name, func(t *testing.T) {
		s := newLogScene()
		c.given(s)
		got := find(s.judge(watched), which)
		if got.Status != c.status || got.Reason != c.reason || c.basis != "" && got.Basis != c.basis || !strings.Contains(got.Message, c.says) {
			t.Errorf("%s %s (%s): %q\nwant %s %s (%s) saying %q", got.Status, got.Reason, got.Basis, got.Message, c.status, c.reason, c.basis, c.says)
		}
	})
}

// What ICSA names as the reason why its syncs fail is a cause, until a sync
// succeeds after it.
func TestAFailureInTheLogIsACauseUntilALaterSuccess(t *testing.T) {
	fails := func(alarm ciscolog.Alarm, d time.Duration) func(*logScene) {
		return func(s *logScene) { s.says("apac", ciscolog.Status, 50*time.Minute); s.says("apac", alarm, d) }
	}
	for _, c := range []struct {
		which Type
		logCase
	}{
		{Reachable, logCase{"the peer does not answer on port 8443", fails(ciscolog.PeerDown, 10*time.Minute), False, PeerDown, Cisco, "does not reach imp-apac-pub.example.com of apac on TCP port 8443 (InterclusterSyncAgentPeerDown"}},
		{Reachable, logCase{"AXL of the peer does not answer", fails(ciscolog.AXLClientTimeout, 10*time.Minute), False, AxlClientTimeout, Cisco, "AXL on imp-apac-pub"}},
		{Compatible, logCase{"domains differ", fails(ciscolog.DomainConflict, 10*time.Minute), False, DomainConflict, Cisco, "domain conflict"}},
		{CertificateTrusted, logCase{"a certificate is not the one that is trusted", fails(ciscolog.CertificateMismatch, 10*time.Minute), False, CertificateRefused, Cisco, "fingerprint"}},
		{CertificateTrusted, logCase{"a certificate is not valid", fails(ciscolog.CertificateInvalid, 10*time.Minute), False, CertificateRefused, Cisco, "validate"}},
		{CertificateTrusted, logCase{"why ICSA refuses it is known: it has not read its store again", func(s *logScene) {
			fails(ciscolog.CertificateInvalid, 10*time.Minute)(s)
			s.trust = TrustNotReloaded
		}, True, TrustNotReloaded, "", ""}},
		{Configured, logCase{"an entry is a second one", fails(ciscolog.PeerDuplicate, 10*time.Minute), False, PeerDuplicate, Cisco, "a second one"}},
		{Reachable, logCase{"an exception names no cause", fails(ciscolog.SyncFailure, 10*time.Minute), True, ReachableFromPeerkeeper, "", ""}},
		{Reachable, logCase{"an exception after it does not hide it", func(s *logScene) {
			fails(ciscolog.PeerDown, 10*time.Minute)(s)
			s.says("apac", ciscolog.SyncFailure, 5*time.Minute)
			s.says("apac", ciscolog.PeriodicSyncingFailure, 4*time.Minute)
		}, False, PeerDown, Cisco, ""}},
		{Reachable, logCase{"nothing but exceptions for three hours since", func(s *logScene) {
			s.says("apac", ciscolog.PeerDown, 200*time.Minute)
			for d := 195 * time.Minute; d > 0; d -= 30 * time.Minute {
				s.says("apac", ciscolog.SyncFailure, d)
			}
		}, True, ReachableFromPeerkeeper, "", ""}},
		{Reachable, logCase{"it has synced since", func(s *logScene) {
			s.says("apac", ciscolog.PeerDown, 30*time.Minute)
			s.says("apac", ciscolog.Status, 10*time.Minute)
		}, True, SyncedRecently, "", ""}},
		{Reachable, logCase{"the peer table tells of a later sync", func(s *logScene) {
			fails(ciscolog.PeerDown, 10*time.Minute)(s)
			s.emea().Seen.Entries = Known([]Entry{{Address: string(pub("apac")), Protocol: mesh.TCP, LastSync: ago(5 * time.Minute), HasClock: true}}, noon)
		}, True, SyncedRecently, "", ""}},
		{Reachable, logCase{"the peer table's last sync is older", func(s *logScene) {
			fails(ciscolog.PeerDown, 10*time.Minute)(s)
			s.emea().Seen.Entries = Known([]Entry{{Address: string(pub("apac")), Protocol: mesh.TCP, LastSync: ago(45 * time.Minute), HasClock: true}}, noon)
		}, False, PeerDown, Cisco, ""}},
		{Reachable, logCase{"by a clock three hours ahead, and a sync of its own after it", func(s *logScene) {
			s.emea().Seen.Skew = Known(3*time.Hour, noon)
			s.says("apac", ciscolog.PeerDown, 30*time.Minute)
			s.says("apac", ciscolog.Status, 10*time.Minute)
		}, True, SyncedRecently, "", ""}},
		{Reachable, logCase{"a line without an instant is newer than nothing", func(s *logScene) {
			s.log.Add("apac", ciscolog.Failed, Word{Alarm: ciscolog.PeerDown})
		}, True, ReachableFromPeerkeeper, "", ""}},
		{Reachable, logCase{"a log read too long ago neither blames nor clears", func(s *logScene) {
			fails(ciscolog.PeerDown, 10*time.Minute)(s)
			s.Now = noon.Add(3 * time.Hour)
			for _, r := range s.Clusters {
				r.Seen.At = s.Now
			}
		}, UnknownStatus, Stale, "", "it says: ICSA of emea does not reach"}},
		{Reachable, logCase{"log: off", func(s *logScene) {
			fails(ciscolog.PeerDown, 10*time.Minute)(s)
			c, _ := s.Mesh.Cluster("emea")
			c.Log = mesh.LogOff
		}, True, ReachableFromPeerkeeper, "", ""}},
		{ServicesRunning, logCase{"ICSA out of heap space", func(s *logScene) { s.says("", ciscolog.HeapSpaceError, 10*time.Minute) }, False, HeapSpaceError, Cisco, "heap space"}},
		{ServicesRunning, logCase{"and restarted since", func(s *logScene) {
			s.says("", ciscolog.HeapSpaceError, 10*time.Minute)
			s.emea().Seen.Nodes[pub("emea")].Services.Value[ICSA] = Service{Status: "Started", UpTime: 5 * time.Minute}
		}, True, AllStarted, "", ""}},
		{ServicesRunning, logCase{"and yet this peer has synced since", func(s *logScene) {
			s.says("", ciscolog.HeapSpaceError, 30*time.Minute)
			s.says("apac", ciscolog.Status, 10*time.Minute)
		}, True, AllStarted, "", ""}},
	} {
		c.check(t, c.which)
	}
}

// Cisco's own alarm of a stuck sync makes Synced False, whatever the level.
func TestCiscosOwnAlarmOfAStuckSync(t *testing.T) {
	alarmed := func(s *logScene) {
		s.says("apac", ciscolog.Status, 3*time.Hour)
		s.says("apac", ciscolog.PeriodicSyncingFailure, 20*time.Minute)
	}
	for _, c := range []logCase{
		{"newer than the last success", alarmed, False, CiscoAlarm, Cisco, "last success 2026-03-02 09:00 UTC"},
		{"at level Error, without a success: its lastSynchronizedTime is of no known form", func(s *logScene) {
			s.level("Error")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 20*time.Minute)
		}, False, CiscoAlarm, Cisco, "its lastSynchronizedTime cannot be read"},
		{"at level Error, lastSynchronizedTime can be read: a reading of the clock", func(s *logScene) {
			s.level("Error")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 20*time.Minute)
			s.log.AddLastSynced("apac", ago(4*time.Hour))
		}, False, CiscoAlarm, Cisco, "last success 2026-03-02 08:00 UTC"},
		{"older than the last success", func(s *logScene) {
			s.says("apac", ciscolog.PeriodicSyncingFailure, 20*time.Minute)
			s.says("apac", ciscolog.Status, 10*time.Minute)
		}, True, OnInterval, Cisco, "as it was read 2026-03-02 12:00 UTC"},
		{"the peer table measures it too: one alarm, two witnesses", func(s *logScene) {
			alarmed(s)
			s.emea().Seen.Entries = Known([]Entry{{Address: string(pub("apac")), Protocol: mesh.TCP, LastSync: ago(3 * time.Hour), HasClock: true}}, noon)
		}, False, FourPeriodsMissed, Measured, "measured by Peerkeeper, and by Cisco's own alarm of this name"},
		{"the peer table is on time: the alarm is older than its last success", func(s *logScene) {
			alarmed(s)
			s.emea().Seen.Entries = Known([]Entry{{Address: string(pub("apac")), Protocol: mesh.TCP, LastSync: ago(10 * time.Minute), HasClock: true}}, noon)
		}, True, OnInterval, Measured, ""},
		{"where successes are logged, that no failure follows clears nothing", func(s *logScene) {
			s.level("Informational")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 20*time.Hour)
		}, False, CiscoAlarm, Cisco, ""},
		{"nor does it where Informational was told yesterday: it is asked for again first", func(s *logScene) {
			s.level("Informational")
			s.log.LevelAt, s.log.Logged.To = ago(20*time.Hour), ago(20*time.Hour)
			s.says("apac", ciscolog.PeriodicSyncingFailure, 5*time.Hour)
		}, False, CiscoAlarm, Cisco, ""},
		{"at level Error, no failure for two hours: it is not known any more", func(s *logScene) {
			s.level("Error")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 121*time.Minute)
		}, UnknownStatus, LogHasNoSyncLines, "", "level Error"},
		{"at level Error, and other failures of the peer go on", func(s *logScene) {
			s.level("Error")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 5*time.Hour)
			s.says("apac", ciscolog.SyncFailure, time.Hour)
		}, False, CiscoAlarm, Cisco, ""},
		{"at level Error, one just now", func(s *logScene) {
			s.level("Error")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 119*time.Minute)
		}, False, CiscoAlarm, Cisco, ""},
		{"at level Error, four intervals of an hour are not over", func(s *logScene) {
			s.level("Error")
			s.emea().Interval = Interval{Value: time.Hour}
			s.says("apac", ciscolog.PeriodicSyncingFailure, 239*time.Minute)
		}, False, CiscoAlarm, Cisco, ""},
		{"at level Error, no failure for two hours, but lines are missing in them", func(s *logScene) {
			s.level("Error")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 3*time.Hour)
			s.log.Since = ago(time.Hour)
		}, False, CiscoAlarm, Cisco, ""},
		{"at level Error, a change of the home was seen copied since", func(s *logScene) {
			s.level("Error")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 20*time.Minute)
			s.sync.Copied = ago(10 * time.Minute)
		}, UnknownStatus, LogHasNoSyncLines, "", ""},
		{"at level Error, no failure for hours, but a change from before still waits to be copied", func(s *logScene) {
			s.level("Error")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 140*time.Minute)
			s.copied(190)
			s.sync.Differs = Difference{Since: ago(5 * time.Hour), Least: 10}
		}, False, CiscoAlarm, Cisco, ""},
		{"at level Error, a change that was seen copied before", func(s *logScene) {
			s.level("Error")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 20*time.Minute)
			s.sync.Copied = ago(30 * time.Minute)
		}, False, CiscoAlarm, Cisco, ""},
	} {
		c.check(t, Synced)
	}
}

// A line that is missing is evidence only where it is proven that it would be
// there, an interval after the clock.
func TestThatNoSuccessIsLoggedCountsOnlyWhereItWouldBe(t *testing.T) {
	none := func(d time.Duration) func(*logScene) {
		return func(s *logScene) { s.says("apac", ciscolog.Status, d); s.level("Informational") }
	}
	with := func(d time.Duration, more func(*logScene)) func(*logScene) {
		return func(s *logScene) { none(d)(s); more(s) }
	}
	notCopied := func(s *logScene) {
		s.copied(190)
		s.apac().Home = []HomeValue{{Users: 190, From: ago(24 * time.Hour), To: ago(185 * time.Minute)}, {Users: 200, From: ago(3 * time.Hour), To: noon}}
		s.sync.Differs.Since = ago(3 * time.Hour)
	}
	for _, c := range []logCase{
		{"one sync missed, level Informational", none(45 * time.Minute), True, Overdue, Inferred, "2 h 30 min"},
		{"at the clock and an interval", none(150 * time.Minute), True, Overdue, Inferred, ""},
		{"beyond the clock and an interval", none(151 * time.Minute), False, NoSuccessLogged, Inferred, "no line is missing"},
		{"level unknown, and another peer of the same publisher synced within its interval", with(151*time.Minute, func(s *logScene) { s.log.Level = ""; s.log.Logged.To = ago(35 * time.Minute) }), False, NoSuccessLogged, Inferred, ""},
		{"level unknown, and no other peer did", with(151*time.Minute, func(s *logScene) {
			s.log.Level = ""
			delete(s.log.Peers, "amer")
			s.log.Logged.To = ago(151 * time.Minute)
		}), UnknownStatus, LogHasNoSyncLines, "", "not known"},
		{"level Error, although another peer's successes are seen", with(151*time.Minute, func(s *logScene) { s.level("Error") }), UnknownStatus, LogHasNoSyncLines, "", "level Error"},
		{"a level that was told three days ago", with(151*time.Minute, func(s *logScene) {
			s.log.LevelAt = ago(72 * time.Hour)
			delete(s.log.Peers, "amer")
			s.log.Logged.To = ago(151 * time.Minute)
		}), UnknownStatus, LogHasNoSyncLines, "", ""},
		{"lines are missing since its last success", with(5*time.Hour, func(s *logScene) { s.log.Since = ago(4 * time.Hour) }), UnknownStatus, LogHasNoSyncLines, "", ""},
		{"the log was read an hour ago: it is judged as it was then", with(170*time.Minute, func(s *logScene) { s.log.Read = ago(time.Hour); s.level("Informational") }), True, Overdue, Inferred, ""},
		{"a success stands there of a name that is no peer's", with(5*time.Hour, func(s *logScene) {
			s.log.Add("", ciscolog.Succeeded, Word{Alarm: ciscolog.Status, At: ago(time.Hour), Dating: ciscolog.Dated, Of: "somebody"})
		}), UnknownStatus, LogHasNoSyncLines, "", ""},
		{"another line stands there of a name that is no peer's", with(5*time.Hour, func(s *logScene) {
			s.log.Add("", ciscolog.Neither, Word{Alarm: ciscolog.SRMFailed, At: ago(time.Hour), Dating: ciscolog.Dated})
		}), False, NoSuccessLogged, Inferred, ""},
		{"another line without an instant", with(5*time.Hour, func(s *logScene) {
			s.log.Add("", ciscolog.Neither, Word{Alarm: ciscolog.SRMFailed})
		}), False, NoSuccessLogged, Inferred, ""},
		{"a success of such a name from before", with(5*time.Hour, func(s *logScene) {
			s.log.Add("", ciscolog.Succeeded, Word{Alarm: ciscolog.Status, At: ago(6 * time.Hour), Dating: ciscolog.Dated, Of: "somebody"})
		}), False, NoSuccessLogged, Inferred, ""},
		{"a change of the home is not copied, and nothing has succeeded since", with(5*time.Hour, notCopied), False, HomeChangeNotCopied, Inferred, ""},
		{"a change of the home is not copied, and a sync has succeeded since", with(45*time.Minute, notCopied), True, Overdue, Inferred, ""},
		{"a change of the home was seen copied since", with(5*time.Hour, func(s *logScene) { s.sync.Copied = ago(time.Hour) }), UnknownStatus, LogHasNoSyncLines, "", ""},
		{"it never succeeded since its log is read whole", func(s *logScene) { s.level("Informational") }, False, NoSuccessLogged, Inferred, "no success of this peer"},
		{"its entry is new", func(s *logScene) { s.level("Informational"); s.sync.FirstSeen = ago(2 * time.Hour) }, UnknownStatus, LogHasNoSyncLines, "", ""},
	} {
		c.check(t, Synced)
	}
}

// A home that another cluster fails to reach since we do is down; a log that only
// lacks a success is no witness.
func TestAWitnessByItsLogMustSayThatItFailed(t *testing.T) {
	for _, c := range []struct {
		name string
		log  func(s *logScene)
		want VisibilityVerdict
	}{
		{"ICSA does not reach it either", func(s *logScene) {
			s.says("apac", ciscolog.Status, 3*time.Hour-40*time.Minute+80*time.Minute)
			s.says("apac", ciscolog.PeerDown, 100*time.Minute)
		}, Down},
		{"at level Error, the same", func(s *logScene) { s.level("Error"); s.says("apac", ciscolog.PeerDown, 100*time.Minute) }, Down},
		{"its log holds no success since", func(s *logScene) { s.level("Informational"); s.says("apac", ciscolog.Status, 130*time.Minute) }, NotVisible},
		{"it has synced since", func(s *logScene) { s.says("apac", ciscolog.Status, 20*time.Minute) }, NotVisible},
		{"it could not reach it before", func(s *logScene) {
			for d := 6 * time.Hour; d > 0; d -= 30 * time.Minute {
				s.says("apac", ciscolog.PeerDown, d)
			}
		}, NotVisible},
		{"it began to fail two looks before we did", func(s *logScene) {
			s.says("apac", ciscolog.Status, 3*time.Hour)
			s.says("apac", ciscolog.PeerDown, 2*time.Hour+9*time.Minute)
			s.says("apac", ciscolog.PeerDown, 100*time.Minute)
		}, Down},
		{"it began to fail earlier than that", func(s *logScene) {
			s.says("apac", ciscolog.Status, 3*time.Hour)
			s.says("apac", ciscolog.PeerDown, 2*time.Hour+11*time.Minute)
			s.says("apac", ciscolog.PeerDown, 100*time.Minute)
		}, NotVisible},
		{"its failures have another cause", func(s *logScene) { s.says("apac", ciscolog.SyncFailure, 100*time.Minute) }, NotVisible},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newLogScene()
			s.lose("apac", ago(2*time.Hour))
			c.log(s)
			s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
			if got := s.View().Visibility("apac"); got.Verdict != c.want {
				t.Errorf("%q: %s, want %q", got.Verdict, got.Message, c.want)
			}
		})
	}
}

// Nobody is told that a cluster is out of sight before the logs of its peers have
// had their turn.
func TestTheLogsOfThePeersAreWaitedFor(t *testing.T) {
	for _, c := range []struct {
		lost time.Duration
		want VisibilityVerdict
	}{{35 * time.Minute, WaitingForPeers}, {70 * time.Minute, WaitingForPeers}, {71 * time.Minute, NotVisible}} {
		s := newLogScene()
		s.lose("apac", ago(c.lost))
		s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
		if got := s.View().Visibility("apac"); got.Verdict != c.want {
			t.Errorf("lost for %s: %q, want %q", c.lost, got.Verdict, c.want)
		}
		if !s.View().LogWanted("emea", &s.log, func(mesh.PeerID) []Condition {
			return []Condition{{Type: Synced, Status: True, Reason: OnInterval, Basis: Measured}}
		}) {
			t.Error("the log of a cluster that pulls from it is not asked for")
		}
	}
}

// A success that the log tells of contradicts a cause as one of the peer table
// does, until the log's next turn is over.
func TestASuccessInTheLogContradictsACause(t *testing.T) {
	for _, c := range []struct {
		name   string
		given  func(s *logScene)
		status Status
	}{
		{"a sync after the first sight", func(s *logScene) { s.says("apac", ciscolog.Status, 10*time.Minute) }, UnknownStatus},
		{"a sync before it", func(s *logScene) { s.says("apac", ciscolog.Status, 70*time.Minute) }, False},
		{"a failure after the sync", func(s *logScene) {
			s.says("apac", ciscolog.Status, 20*time.Minute)
			s.says("apac", ciscolog.SyncFailure, 10*time.Minute)
		}, False},
		{"a log whose turn is overdue", func(s *logScene) {
			s.says("apac", ciscolog.Status, 55*time.Minute)
			s.log.Read = ago(46 * time.Minute)
		}, False},
		{"a log whose turn comes", func(s *logScene) {
			s.says("apac", ciscolog.Status, 55*time.Minute)
			s.log.Read = ago(44 * time.Minute)
		}, UnknownStatus},
		{"how far the cluster's clock is off is not known", func(s *logScene) {
			s.says("apac", ciscolog.Status, 10*time.Minute)
			s.emea().Seen.Skew = Unknown[time.Duration](NotChecked, "")
		}, False},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newLogScene()
			c.given(s)
			s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
			hourAgo := ago(time.Hour)
			cause := Condition{Type: NamesResolve, Status: False, Reason: NameNotResolving, Since: hourAgo, Message: "it is so"}
			got := find(Conditions(s.View(), watched, s.sync, CertRecord{Observed: noon, Conditions: []Condition{cause}}), NamesResolve)
			if got.Status != c.status {
				t.Errorf("%s %s: %s", got.Status, got.Reason, got.Message)
			}
		})
	}
}

// What Cisco's other services say of a cluster is a finding with Cisco's name and
// cure, for as long as it goes on.
func TestCiscosOtherAlarmsAreFindings(t *testing.T) {
	for _, c := range []struct {
		name string
		word func(s *logScene)
		want string // "" for none
	}{
		{"duplicate users", func(s *logScene) { s.says("", ciscolog.DuplicateUserID, 30*time.Minute) }, "DuplicateUserid:imp-emea-pub.example.com"},
		{"duplicates that are not found any more", func(s *logScene) { s.says("", ciscolog.DuplicateUserID, 121*time.Minute) }, ""},
		{"the same, but lines are missing", func(s *logScene) { s.says("", ciscolog.DuplicateUserID, 3*time.Hour); s.log.Since = ago(time.Hour) }, "DuplicateUserid:imp-emea-pub.example.com"},
		{"invalid URIs", func(s *logScene) { s.says("", ciscolog.InvalidDirectoryURI, 30*time.Minute) }, "InvalidDirectoryURI:imp-emea-pub.example.com"},
		{"a failover is told for a day", func(s *logScene) { s.says("", ciscolog.SRMFailover, 23*time.Hour) }, "SRMFailover:imp-emea-pub.example.com"},
		{"a failover a day ago", func(s *logScene) { s.says("", ciscolog.SRMFailover, 24*time.Hour) }, "SRMFailover:imp-emea-pub.example.com"},
		{"a redundancy group in state Failed is told for a day", func(s *logScene) { s.says("", ciscolog.SRMFailed, 23*time.Hour) }, "SRMFailed:imp-emea-pub.example.com"},
		{"so is a request between routers", func(s *logScene) { s.says("", ciscolog.RouterRequestTimedOut, 23*time.Hour) }, string(ciscolog.RouterRequestTimedOut) + ":imp-emea-pub.example.com"},
		{"and a password between routers", func(s *logScene) { s.says("", ciscolog.RouterPasswordUnencryptable, 23*time.Hour) }, string(ciscolog.RouterPasswordUnencryptable) + ":imp-emea-pub.example.com"},
		{"duplicates two hours ago", func(s *logScene) { s.says("", ciscolog.DuplicateUserID, 2*time.Hour) }, "DuplicateUserid:imp-emea-pub.example.com"},
		{"duplicates three hours ago, at an interval of one", func(s *logScene) {
			s.emea().Interval = Interval{Value: time.Hour}
			s.says("", ciscolog.DuplicateUserID, 3*time.Hour)
		}, "DuplicateUserid:imp-emea-pub.example.com"},
		{"a line without an instant in a log with lines missing", func(s *logScene) {
			s.log.Since = ago(time.Hour)
			s.log.Add("", ciscolog.Neither, Word{Alarm: ciscolog.DuplicateUserID})
		}, ""},
		{"a failover of yesterday", func(s *logScene) { s.says("", ciscolog.SRMFailover, 25*time.Hour) }, ""},
		{"the Sync Agent does not reach Unified CM", func(s *logScene) { s.says("", ciscolog.SyncAgentConnectionFailed, 30*time.Minute) }, "SyncAgentAXLConnectionFailed:imp-emea-pub.example.com"},
		{"heap space", func(s *logScene) { s.says("", ciscolog.HeapSpaceError, 30*time.Minute) }, "HeapSpaceError:imp-emea-pub.example.com"},
		{"heap space, and a peer synced since", func(s *logScene) {
			s.says("", ciscolog.HeapSpaceError, 30*time.Minute)
			s.says("apac", ciscolog.Status, 10*time.Minute)
		}, ""},
		{"a certificate that is no peer's", func(s *logScene) {
			s.log.Add("", ciscolog.Failed, Word{Alarm: ciscolog.CertificateInvalid, At: ago(time.Hour), Dating: ciscolog.Dated, Of: "imp-ms.example.com"})
		}, "ICSACertificateValidationFailure:imp-emea-pub.example.com:imp-ms.example.com"},
		{"a name that nobody knows", func(s *logScene) { s.says("", "InterClusterSyncAgentBrandNew", 30*time.Minute) }, ""},
		{"a line without an instant", func(s *logScene) { s.log.Add("", ciscolog.Neither, Word{Alarm: ciscolog.DuplicateUserID}) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newLogScene()
			c.word(s)
			s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
			var got []string
			for _, f := range Findings(s.View(), "emea", nil) {
				if strings.Contains(f.Message, "Cisco's own alarm") {
					got = append(got, string(f.ID))
					about := "" // whom, if not the cluster itself
					if strings.Contains(c.want, ":imp-ms") {
						about = " of imp-ms.example.com"
					}
					if !strings.Contains(f.Message, "Cisco's cure: ") || !strings.Contains(f.Message, about+" stands in the log") || strings.Contains(f.Message, " of  ") || f.Node != pub("emea") {
						t.Errorf("%+v", f)
					}
				}
			}
			if want := strings.Fields(c.want); !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// Failures are one run until a success or two hours' pause, in however many
// readings they are met.
func TestSinceWhenItFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []line
		want  time.Duration
	}{
		{"the first of a run", []line{{ciscolog.SyncFailure, 90 * time.Minute}, {ciscolog.PeerDown, 60 * time.Minute}, {ciscolog.SyncFailure, 5 * time.Minute}}, 90 * time.Minute},
		{"the first after a success", []line{{ciscolog.SyncFailure, 90 * time.Minute}, {ciscolog.Status, 70 * time.Minute}, {ciscolog.SyncFailure, 40 * time.Minute}, {ciscolog.SyncFailure, 5 * time.Minute}}, 40 * time.Minute},
		{"the first after a pause", []line{{ciscolog.SyncFailure, 6 * time.Hour}, {ciscolog.SyncFailure, 40 * time.Minute}}, 40 * time.Minute},
	} {
		for split := range len(c.lines) + 1 {
			s := newLogScene()
			var later LogWords
			for i, l := range c.lines {
				if i < split {
					s.says("apac", l.alarm, l.ago)
					continue
				}
				o := ciscolog.Failed
				if l.alarm == ciscolog.Status {
					o = ciscolog.Succeeded
				}
				later.Add("apac", o, Word{Alarm: l.alarm, At: ago(l.ago), Dating: ciscolog.Dated})
			}
			s.log.Merge(later)
			if got := s.log.Peers["apac"].Failing; !got.Equal(ago(c.want)) {
				t.Errorf("%s, %d lines read before: %s, want %s", c.name, split, got, ago(c.want))
			}
		}
	}
}
