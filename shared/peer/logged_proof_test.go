package peer

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
)

// logReads is a log as its turns find it, one after the other.
type logReads struct {
	*logScene
	apart time.Duration
}

func newLogReads() *logReads {
	s := newLogScene()
	s.log = LogRecord{}
	return &logReads{s, s.View().SuccessesApart("emea")}
}

// turn reads the log so long ago: the successes in it since the turn before, and
// what a node tells of the level, if it is asked.
func (s *logReads) turn(readAgo time.Duration, level ciscolog.Level, successes map[mesh.ClusterID][]time.Duration) {
	g := LogReading{At: ago(readAgo), Outcome: LogRead, Cursor: LogCursor{At: ago(readAgo), Line: "x"}, Unbroken: true, From: ago(30 * time.Hour), Apart: s.apart}
	for d := 30 * time.Hour; d >= readAgo; d -= time.Minute {
		for home, all := range successes {
			for _, at := range all {
				if at == d {
					g.Words.Add(home, ciscolog.Succeeded, Word{Alarm: ciscolog.Status, At: ago(d), Dating: ciscolog.Dated})
					g.Logged = g.Logged.Then(Span{ago(d), ago(d)}, s.apart)
				}
			}
		}
	}
	if level != "" {
		g.LevelAsked, g.Level, g.LevelBy = true, level, "cucm"
	}
	s.log = s.log.After(g)
}

// every is a time each half an hour from the first to the last.
func every(from, to time.Duration) (all []time.Duration) {
	for d := from; d >= to; d -= 30 * time.Minute {
		all = append(all, d)
	}
	return all
}

// TestAfterSomebodySetsInformationalNoPeerIsCalledStuck: the first success that is
// logged says nothing of the hours in which none was, neither by itself nor with
// the level as it is told now. From there the clock runs for all.
func TestAfterSomebodySetsInformationalNoPeerIsCalledStuck(t *testing.T) {
	for _, c := range []struct {
		name   string
		given  func(s *logReads)
		status Status
		reason Reason
	}{
		{"level unknown, the first of the others has synced", func(s *logReads) {
			s.turn(5*time.Hour, "", nil)
			s.turn(0, "", map[mesh.ClusterID][]time.Duration{"amer": {20 * time.Minute}})
		}, UnknownStatus, LogHasNoSyncLines},
		{"level told Error before and Informational now", func(s *logReads) {
			s.turn(5*time.Hour, "Error", nil)
			s.turn(0, "Informational", nil)
		}, UnknownStatus, LogHasNoSyncLines},
		{"it synced yesterday at Informational, level unknown: at Error for ten hours, then Informational again", func(s *logReads) {
			s.turn(11*time.Hour, "", map[mesh.ClusterID][]time.Duration{"amer": every(20*time.Hour, 12*time.Hour), "apac": every(20*time.Hour+5*time.Minute, 12*time.Hour)})
			s.turn(0, "", map[mesh.ClusterID][]time.Duration{"amer": {20 * time.Minute}})
		}, UnknownStatus, LogHasNoSyncLines},
		{"two and a half hours after the first success, it has none", func(s *logReads) {
			s.turn(5*time.Hour, "", nil)
			s.turn(0, "", map[mesh.ClusterID][]time.Duration{"amer": every(150*time.Minute, 0)})
		}, UnknownStatus, LogHasNoSyncLines},
		{"and a minute later: it is stuck", func(s *logReads) {
			s.turn(5*time.Hour, "", nil)
			s.turn(0, "", map[mesh.ClusterID][]time.Duration{"amer": every(151*time.Minute, 0)})
		}, False, NoSuccessLogged},
		{"two and a half hours after Informational was first told, and it still is", func(s *logReads) {
			s.turn(5*time.Hour, "Error", nil)
			for _, d := range []time.Duration{151 * time.Minute, 80 * time.Minute, 0} {
				s.turn(d, "Informational", nil)
			}
		}, False, NoSuccessLogged},
		{"met for the first time: an old log shows that the others synced all the time", func(s *logReads) {
			s.turn(0, "", map[mesh.ClusterID][]time.Duration{"amer": every(20*time.Hour, 0), "apac": every(20*time.Hour, 4*time.Hour)})
		}, False, NoSuccessLogged},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newLogReads()
			c.given(s)
			if got := find(s.judge(watched), Synced); got.Status != c.status || got.Reason != c.reason {
				t.Errorf("%s %s: %s\n%+v", got.Status, got.Reason, got.Message, s.log.Logged)
			}
		})
	}
}

// TestALevelToldBeforeThePeersLastSyncWasDueProvesNothing: somebody may have set
// it to Error since, and it is asked for again.
func TestALevelToldBeforeThePeersLastSyncWasDueProvesNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		given  func(s *logReads)
		status Status
		reason Reason
		asks   bool
	}{
		{"told a day ago, nothing since", func(s *logReads) {
			s.turn(24*time.Hour, "Informational", map[mesh.ClusterID][]time.Duration{"apac": {24*time.Hour + 5*time.Minute}})
			s.turn(0, "", nil)
		}, UnknownStatus, LogHasNoSyncLines, true},
		{"told two hours ago", func(s *logReads) {
			s.turn(2*time.Hour, "Informational", map[mesh.ClusterID][]time.Duration{"apac": every(8*time.Hour, 151*time.Minute)})
			s.turn(0, "", nil)
		}, UnknownStatus, LogHasNoSyncLines, true},
		{"told whenever nothing else showed it, and when the log was read", func(s *logReads) {
			s.turn(130*time.Minute, "Informational", map[mesh.ClusterID][]time.Duration{"apac": every(8*time.Hour, 151*time.Minute)})
			s.turn(70*time.Minute, "Informational", nil)
			s.turn(0, "Informational", nil)
		}, False, NoSuccessLogged, false},
		{"then it is Error", func(s *logReads) {
			s.turn(70*time.Minute, "Informational", map[mesh.ClusterID][]time.Duration{"apac": every(8*time.Hour, 151*time.Minute)})
			s.turn(0, "Error", nil)
		}, UnknownStatus, LogHasNoSyncLines, false},
		{"other peers' successes show that it is Informational still: nobody need be asked", func(s *logReads) {
			s.turn(20*time.Hour, "Informational", nil)
			s.turn(0, "", map[mesh.ClusterID][]time.Duration{"amer": every(20*time.Hour, 0), "apac": every(20*time.Hour, 4*time.Hour)})
		}, False, NoSuccessLogged, false},
		{"told Error, and yet a success came since", func(s *logReads) {
			s.turn(time.Hour, "Error", nil)
			s.turn(0, "", map[mesh.ClusterID][]time.Duration{"amer": {10 * time.Minute}})
		}, UnknownStatus, LogHasNoSyncLines, true},
		{"told Error an hour ago: what is missing is no reason to ask", func(s *logReads) {
			s.turn(time.Hour, "Error", nil)
			s.turn(0, "", nil)
		}, UnknownStatus, LogHasNoSyncLines, false},
		{"nobody has ever told it", func(s *logReads) { s.turn(time.Hour, "", nil); s.turn(0, "", nil) }, UnknownStatus, LogHasNoSyncLines, false},
		{"nothing is missing", func(s *logReads) {
			s.turn(5*time.Hour, "Informational", nil)
			s.turn(0, "", map[mesh.ClusterID][]time.Duration{"amer": {35 * time.Minute}, "apac": {36 * time.Minute}})
		}, True, OnInterval, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newLogReads()
			c.given(s)
			if asks := s.View().LevelWanted("emea", &s.log, s.log.Read); asks != c.asks {
				t.Errorf("the level is asked for: %v, want %v", asks, c.asks)
			}
			if got := find(s.judge(watched), Synced); got.Status != c.status || got.Reason != c.reason {
				t.Errorf("%s %s: %s\n%+v", got.Status, got.Reason, got.Message, s.log.Logged)
			}
		})
	}
}

// TestCiscosOwnAlarmOfAnotherPeerDoesNotShowThatSuccessesAreLogged, though it tells
// of that peer's last success.
func TestCiscosOwnAlarmOfAnotherPeerDoesNotShowThatSuccessesAreLogged(t *testing.T) {
	s := newLogScene()
	s.log = LogRecord{Read: noon, Since: ago(24 * time.Hour), Cursor: LogCursor{At: noon}}
	s.says("amer", ciscolog.PeriodicSyncingFailure, 5*time.Minute)
	s.log.AddLastSynced("amer", ago(20*time.Minute))
	if got := find(s.judge(watched), Synced); got.Status != UnknownStatus || got.Reason != LogHasNoSyncLines {
		t.Errorf("%s %s: %s", got.Status, got.Reason, got.Message)
	}
}

// TestLinesWhoseTimeCannotBeRead: a node that writes CET, a line without a year, or
// one from ahead of the clock. Where they stand last, nobody knows what came last:
// nothing is raised, and nothing is over.
func TestLinesWhoseTimeCannotBeRead(t *testing.T) {
	undated := func(s *logScene, home mesh.ClusterID, alarm ciscolog.Alarm, outcome ciscolog.Outcome) {
		s.log.Add(home, outcome, Word{Alarm: alarm})
	}
	for _, c := range []logCase{
		{"successes in CET are no absence", func(s *logScene) {
			s.level("Informational")
			undated(s, "apac", ciscolog.Status, ciscolog.Succeeded)
		}, UnknownStatus, LogHasNoSyncLines, "", "whose time cannot be read"},
		{"also after an older one in UTC", func(s *logScene) {
			s.level("Informational")
			s.says("apac", ciscolog.Status, 5*time.Hour)
			undated(s, "apac", ciscolog.Status, ciscolog.Succeeded)
		}, UnknownStatus, LogHasNoSyncLines, "", "whose time cannot be read"},
		{"a success in CET after Cisco's alarm: whether it is stuck is not known", func(s *logScene) {
			s.level("Informational")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 20*time.Minute)
			undated(s, "apac", ciscolog.Status, ciscolog.Succeeded)
		}, UnknownStatus, LogHasNoSyncLines, "", ""},
		{"Cisco's alarm after a success in CET: it is stuck", func(s *logScene) {
			s.level("Informational")
			undated(s, "apac", ciscolog.Status, ciscolog.Succeeded)
			s.says("apac", ciscolog.PeriodicSyncingFailure, 20*time.Minute)
		}, False, CiscoAlarm, Cisco, ""},
		{"a failure in CET after Cisco's alarm of three hours ago: it is not over", func(s *logScene) {
			s.level("Error")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 3*time.Hour)
			undated(s, "apac", ciscolog.SyncFailure, ciscolog.Failed)
		}, False, CiscoAlarm, Cisco, ""},
		{"a success of an unknown name in CET, after an older one in UTC", func(s *logScene) {
			s.level("Informational")
			s.says("apac", ciscolog.Status, 5*time.Hour)
			s.log.Add("", ciscolog.Succeeded, Word{Alarm: ciscolog.Status, At: ago(10 * time.Hour), Dating: ciscolog.Dated, Of: "somebody"})
			s.log.Add("", ciscolog.Succeeded, Word{Alarm: ciscolog.Status, Of: "somebody"})
		}, UnknownStatus, LogHasNoSyncLines, "", ""},
	} {
		c.check(t, Synced)
	}
	t.Run("in two readings, as in one", func(t *testing.T) {
		s, later := newLogScene(), LogWords{}
		s.level("Informational")
		s.says("apac", ciscolog.Status, 5*time.Hour)
		later.Add("apac", ciscolog.Succeeded, Word{Alarm: ciscolog.Status})
		s.log.Merge(later)
		if got := find(s.judge(watched), Synced); got.Status != UnknownStatus {
			t.Errorf("%+v", got)
		}
		later.Add("apac", ciscolog.Succeeded, Word{Alarm: ciscolog.Status, At: ago(10 * time.Minute), Dating: ciscolog.Dated})
		s.log.Merge(later)
		if got := find(s.judge(watched), Synced); got.Reason != OnInterval {
			t.Errorf("%+v", got)
		}
	})
	t.Run("duplicate users, again in CET, are not over", func(t *testing.T) {
		s := newLogScene()
		s.says("", ciscolog.DuplicateUserID, 3*time.Hour)
		var later LogWords
		later.Add("", ciscolog.Neither, s.log.Cluster[0])
		later.Add("", ciscolog.Neither, Word{Alarm: ciscolog.DuplicateUserID})
		s.log.Merge(later)
		s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
		if got := s.View().end("emea").ciscoAlarms(noon); len(got) != 1 || !got[0].At.Equal(ago(3*time.Hour)) {
			t.Errorf("%+v of %+v", got, s.log.Cluster)
		}
	})
}

// TestOnlyARestartOrASyncEndsHeapSpace: an ICSA without memory that is silent has
// not mended itself, and the page and ServicesRunning say the same.
func TestOnlyARestartOrASyncEndsHeapSpace(t *testing.T) {
	for _, c := range []struct {
		name  string
		given func(s *logScene)
		lasts bool
	}{
		{"silence for ten hours", func(s *logScene) {}, true},
		{"silence for ten hours at level Error", func(s *logScene) { s.level("Error") }, true},
		{"silence, and a change of the home was seen copied", func(s *logScene) { s.level("Error"); s.sync.Copied = ago(time.Hour) }, true},
		{"ICSA was restarted since", func(s *logScene) {
			s.emea().Seen.Nodes[pub("emea")].Services.Value[ICSA] = Service{Status: "Started", UpTime: 9 * time.Hour}
		}, false},
		{"ICSA was restarted before", func(s *logScene) {
			s.emea().Seen.Nodes[pub("emea")].Services.Value[ICSA] = Service{Status: "Started", UpTime: 11 * time.Hour}
		}, true},
		{"another peer has synced, when cannot be read", func(s *logScene) {
			s.log.Add("amer", ciscolog.Succeeded, Word{Alarm: ciscolog.Status})
		}, false},
		{"another peer has synced since", func(s *logScene) { s.says("amer", ciscolog.Status, 9*time.Hour) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newLogScene()
			delete(s.log.Peers, "amer")
			s.says("", ciscolog.HeapSpaceError, 10*time.Hour)
			c.given(s)
			services := find(s.judge(watched), ServicesRunning)
			if page := len(s.View().end("emea").ciscoAlarms(noon)) == 1; page != c.lasts || (services.Reason == HeapSpaceError) != c.lasts {
				t.Errorf("the page stands: %v, ServicesRunning is %s %s, want both: %v", page, services.Status, services.Reason, c.lasts)
			}
		})
	}
}

// TestASecondEntryIsToldForADay: the first entry's syncs go on and end nothing; a
// peer table without the second does.
func TestASecondEntryIsToldForADay(t *testing.T) {
	table := func(s *logScene, at time.Duration, addresses ...string) {
		var all []Entry
		for _, a := range addresses {
			all = append(all, Entry{Address: a, Protocol: mesh.TCP})
		}
		s.emea().Seen.Entries = Known(all, ago(at))
		s.Clusters["apac"].Seen.Entries = Known([]Entry{{Address: string(pub("emea")), Protocol: mesh.TCP}}, noon)
	}
	for _, c := range []struct {
		name  string
		given func(s *logScene)
		want  Reason
	}{
		{"the first entry has synced since", func(s *logScene) { s.says("apac", ciscolog.Status, 10*time.Minute) }, PeerDuplicate},
		{"at level Error, no other line for 23 hours", func(s *logScene) { s.level("Error") }, PeerDuplicate},
		{"the table has both", func(s *logScene) { table(s, 0, string(pub("apac")), "imp-apac-sub.example.com") }, PeerDuplicate},
		{"the table has the other under the name that ICSA gives", func(s *logScene) { table(s, 0, string(pub("apac")), "10.9.9.9") }, PeerDuplicate},
		{"the second is gone from the table", func(s *logScene) { table(s, 0, string(pub("apac"))) }, EntriesMatch},
		{"a day later", func(s *logScene) { s.Now = noon.Add(61 * time.Minute) }, CopiesExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newLogScene()
			s.log.Add("apac", ciscolog.Neither, Word{Alarm: ciscolog.PeerDuplicate, At: ago(23 * time.Hour), Dating: ciscolog.Dated, Of: "10.9.9.9"})
			c.given(s)
			s.log.Read = s.Now
			for _, r := range s.Clusters {
				r.Seen.At = s.Now
				r.Seen.Users.At = s.Now
			}
			if got := find(s.judge(watched), Configured); got.Reason != c.want {
				t.Errorf("%s %s: %s", got.Status, got.Reason, got.Message)
			}
		})
	}
}

// TestSilenceEndsNothingThatTheLevelKeepsOut: at level Alert, or with the alarm
// switched off, failures may go on and none is logged.
func TestSilenceEndsNothingThatTheLevelKeepsOut(t *testing.T) {
	for _, c := range []struct {
		level ciscolog.Level
		alarm ciscolog.Alarm
		over  bool
	}{
		{"Error", ciscolog.PeriodicSyncingFailure, true},
		{"critical", ciscolog.PeriodicSyncingFailure, true},
		{"Alert", ciscolog.PeriodicSyncingFailure, false},
		{"Emergency", ciscolog.PeriodicSyncingFailure, false},
		{"off", ciscolog.PeriodicSyncingFailure, false},
		{"", ciscolog.PeriodicSyncingFailure, true},
		{"Error", ciscolog.AXLClientTimeout, false}, // severity 6
	} {
		s := newLogScene()
		s.log.Logged = Span{}
		s.level(c.level)
		s.says("apac", c.alarm, 3*time.Hour)
		s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
		if got := s.View().FailuresOver(watched, s.sync); got != c.over {
			t.Errorf("%s three hours ago, level %q: over %v", c.alarm, c.level, got)
		}
	}
	for level, over := range map[ciscolog.Level]bool{"Warning": true, "Error": false} {
		s := newLogScene()
		s.level(level)
		s.says("", ciscolog.CertificateCAConflict, 3*time.Hour) // severity 4
		s.says("", ciscolog.InvalidURIWarning, 3*time.Hour)     // of another service, whose level is its own
		s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
		if got := s.View().end("emea").ciscoAlarms(noon); over != (len(got) == 0) || !over && (len(got) != 1 || got[0].Alarm != ciscolog.CertificateCAConflict) {
			t.Errorf("level %s: %+v", level, got)
		}
	}
	s := newLogScene()
	s.level("off")
	if got := find(s.judge(watched), Synced); got.Reason != LogHasNoSyncLines || !containsAll(got.Message, "level off", "neither successes nor failures") {
		t.Errorf("%s: %s", got.Reason, got.Message)
	}
}

// TestALogThatNobodyWritesProvesNothing: the file is as it was, and so it is where
// the node's syslog daemon has died.
func TestALogThatNobodyWritesProvesNothing(t *testing.T) {
	stopped := func(s *logScene, d time.Duration) { s.log.Cursor.At = ago(d) }
	for _, c := range []logCase{
		{"its newest line of any service is older than the sync that is missed", func(s *logScene) {
			s.level("Informational")
			s.says("apac", ciscolog.Status, 3*time.Hour)
			stopped(s, 160*time.Minute)
		}, UnknownStatus, LogHasNoSyncLines, "", "last written 2026-03-02 09:20 UTC"},
		{"a line came after one sync was missed, and none after the clock had run out", func(s *logScene) {
			s.level("Informational")
			s.says("apac", ciscolog.Status, 3*time.Hour)
			stopped(s, 90*time.Minute)
		}, UnknownStatus, LogHasNoSyncLines, "", "last written"},
		{"a line came after it", func(s *logScene) {
			s.level("Informational")
			s.says("apac", ciscolog.Status, 3*time.Hour)
			stopped(s, 59*time.Minute)
		}, False, NoSuccessLogged, Inferred, ""},
		{"at level Error, failures stopped when the log did", func(s *logScene) {
			s.level("Error")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 5*time.Hour)
			stopped(s, 5*time.Hour)
		}, False, CiscoAlarm, Cisco, ""},
		{"at level Error, other services wrote on for two hours", func(s *logScene) {
			s.level("Error")
			s.says("apac", ciscolog.PeriodicSyncingFailure, 5*time.Hour)
			stopped(s, 179*time.Minute)
		}, UnknownStatus, LogHasNoSyncLines, "", ""},
	} {
		c.check(t, Synced)
	}
}

func containsAll(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
}
