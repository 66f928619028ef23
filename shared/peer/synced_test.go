package peer

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
)

func TestSyncedGoesByTheLastSuccess(t *testing.T) {
	judged(t, Synced, []conditionCase{
		{"on its interval", func(*scene) {}, True, OnInterval, Measured, "30 min"},
		{"one sync missed", func(s *scene) { s.lastSync(45 * time.Minute) }, True, Overdue, Measured, "one sync"},
		{"four periods", func(s *scene) { s.lastSync(121 * time.Minute) }, False, FourPeriodsMissed, Measured, "four periods"},
		{"no entry", func(s *scene) { s.emea().Seen.Entries.Value = s.emea().Seen.Entries.Value[1:] }, UnknownStatus, PeerMissing, Measured, ""},
		{"in the future of its own clock", func(s *scene) { s.lastSync(-time.Hour) }, UnknownStatus, ClockBackwards, Measured, "future"},
		{"a cluster whose clock is an hour ahead", func(s *scene) { s.lastSync(-50 * time.Minute); s.emea().Seen.Skew = Known(time.Hour, noon) }, True, OnInterval, Measured, ""},
		{"a cluster whose clock is three hours behind", func(s *scene) { s.lastSync(190 * time.Minute); s.emea().Seen.Skew = Known(-3*time.Hour, noon) }, True, OnInterval, Measured, ""},
		{"entries unread", func(s *scene) { s.emea().Seen.Entries = Unknown[[]Entry](Overloaded, "503") }, UnknownStatus, Overloaded, Measured, "503"},
		{"clock not readable", func(s *scene) { s.entry(func(e *Entry) { e.HasClock = false }) }, UnknownStatus, ClockNotReadable, Measured, "only on Cisco's page"},
	})
}

// Without a clock in the peer table ICSA's own log shows that syncs succeed; what
// it does not show proves nothing.
func TestSyncedGoesByTheLogWhereNoTableTells(t *testing.T) {
	log := func(r LogRecord) func(s *scene) {
		return func(s *scene) {
			s.entry(func(e *Entry) { e.HasClock = false })
			s.Logs = map[mesh.ClusterID]LogRecord{"emea": r}
		}
	}
	says := func(read time.Duration, w PeerWords) LogRecord {
		return LogRecord{Read: ago(read), LogWords: LogWords{Peers: map[mesh.ClusterID]PeerWords{"apac": w}}}
	}
	at := func(alarm ciscolog.Alarm, d time.Duration) Word {
		return Word{Alarm: alarm, At: ago(d), Dating: ciscolog.Dated}
	}
	success := func(d time.Duration) PeerWords { return PeerWords{Success: at(ciscolog.Status, d)} }
	errorLevel := says(0, PeerWords{Failure: at(ciscolog.PeerDown, time.Hour)})
	errorLevel.Level = "Error"
	judged(t, Synced, []conditionCase{
		{"a success", log(says(0, success(10*time.Minute))), True, OnInterval, Cisco, "ICSA's own log on imp-emea-pub"},
		{"one just before the log was last read", log(says(50*time.Minute, success(80*time.Minute))), True, OnInterval, Cisco, "30 min"},
		{"none within the interval: whether it would be there is not known", log(says(0, success(41*time.Minute))), UnknownStatus, LogHasNoSyncLines, Measured, "no success of this peer since"},
		{"none for a day", log(says(0, success(24*time.Hour))), UnknownStatus, LogHasNoSyncLines, Measured, "not known"},
		{"none at all, at level Error", log(errorLevel), UnknownStatus, LogHasNoSyncLines, Measured, "InterclusterSyncAgentPeerDown (Local Syslogs are at level Error"},
		{"one without an instant", log(says(0, PeerWords{Success: Word{Alarm: ciscolog.Status}})), UnknownStatus, LogHasNoSyncLines, Measured, ""},
		{"Cisco's own alarm of a stuck sync after it", log(says(0, PeerWords{Success: at(ciscolog.Status, 20*time.Minute), Periodic: at(ciscolog.PeriodicSyncingFailure, 10*time.Minute), Failure: at(ciscolog.PeriodicSyncingFailure, 10*time.Minute)})), False, CiscoAlarm, Cisco, "InterClusterSyncAgentPeerPeriodicSyncingFailure"},
		{"a log read too long ago", log(says(2*time.Hour, success(2*time.Hour))), UnknownStatus, ClockNotReadable, Measured, "only on Cisco's page"},
		{"a log that was never read", log(LogRecord{}), UnknownStatus, ClockNotReadable, Measured, "only on Cisco's page"},
		{"a success ahead of the cluster's clock", log(says(0, success(-time.Hour))), UnknownStatus, LogHasNoSyncLines, Measured, ""},
		{"by a clock an hour ahead", func(s *scene) { log(says(0, success(-50*time.Minute)))(s); s.emea().Seen.Skew = Known(time.Hour, noon) }, True, OnInterval, Cisco, ""},
		{"the table tells: it counts, also where it is minutes behind the log", func(s *scene) {
			log(says(0, success(115*time.Minute)))(s)
			s.lastSync(121 * time.Minute)
			s.entry(func(e *Entry) { e.HasClock = true })
		}, False, FourPeriodsMissed, Measured, ""},
		{"the table stands still, and the log has a later success: the newest counts", func(s *scene) {
			log(says(0, success(10*time.Minute)))(s)
			s.lastSync(121 * time.Minute)
			s.entry(func(e *Entry) { e.HasClock = true })
		}, True, OnInterval, Cisco, ""},
	})
}

// Where no clock can be read, what is said is whether a change was ever seen
// copied, and a change that is not is a stuck sync.
func TestSyncedGoesByChangesWhereNoClockTells(t *testing.T) {
	for _, c := range []struct {
		name   string
		copied int
		home   []HomeValue
		memory SyncRecord
		want   Reason
		says   string
	}{
		{"nothing seen copied yet", 200, nil, SyncRecord{}, ClockNotReadable, "no change of apac's users has been seen copied yet"},
		{"one was", 200, nil, SyncRecord{Progress: ago(time.Hour)}, ClockNotReadable, "was seen copied at 2026-"},
		{"a change that was not", 190, []HomeValue{{Users: 190, From: ago(9 * time.Hour), To: ago(3 * time.Hour)}, {Users: 200, From: ago(3 * time.Hour), To: noon}}, SyncRecord{Differs: Difference{Since: ago(3 * time.Hour)}}, HomeChangeNotCopied, "has not been copied within 2 h"},
		{"a change that may yet be", 190, []HomeValue{{Users: 190, From: ago(9 * time.Hour), To: ago(2 * time.Hour)}, {Users: 200, From: ago(2 * time.Hour), To: noon}}, SyncRecord{Differs: Difference{Since: ago(2 * time.Hour)}}, ClockNotReadable, ""},
		{"it has differed ever since we looked", 190, []HomeValue{{Users: 200, From: ago(9 * time.Hour), To: noon}}, SyncRecord{Differs: Difference{Since: ago(3 * time.Hour)}}, ClockNotReadable, ""},
		{"it differed once, and does not now", 200, []HomeValue{{Users: 190, From: ago(9 * time.Hour), To: ago(3 * time.Hour)}, {Users: 200, From: ago(3 * time.Hour), To: noon}}, SyncRecord{Differs: Difference{Since: ago(3 * time.Hour)}}, ClockNotReadable, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			s.copied(c.copied)
			if c.home != nil {
				s.apac().Home = c.home
			}
			l := s.View().link(watched)
			if got := l.syncedByProgress(l.compare(), c.memory, 2*time.Hour); got.reason != c.want || !strings.Contains(got.message, c.says) {
				t.Errorf("%s: %s, want %s: %s", got.reason, got.message, c.want, c.says)
			}
		})
	}
}

func TestWhichClockFiresFirst(t *testing.T) {
	for _, c := range []struct {
		minutes, first int
		which          Reason
	}{
		{30, 120, FourPeriodsMissed}, {31, 124, FourPeriodsMissed}, {39, 156, FourPeriodsMissed}, {40, 160, FourPeriodsMissed}, {41, 161, StuckTwoHours}, {60, 180, StuckTwoHours}, {240, 360, StuckTwoHours}, {1444, 1564, StuckTwoHours},
	} {
		s := newScene()
		s.emea().Interval = Interval{Value: time.Duration(c.minutes) * time.Minute}
		for _, late := range []struct {
			by     time.Duration
			status Status
			reason Reason
		}{
			{0, True, Overdue}, {time.Second, False, c.which},
		} {
			s.entry(func(e *Entry) { e.LastSync = ago(time.Duration(c.first)*time.Minute + late.by) })
			r := Judge(s.View(), watched, SyncRecord{FirstSeen: ago(24 * time.Hour)})
			if got := r.Condition(Synced); got.Status != late.status || got.Reason != late.reason {
				t.Errorf("interval %d min, last success %d min and %v ago: %s %s, want %s %s", c.minutes, c.first, late.by, got.Status, got.Reason, late.status, late.reason)
			}
		}
	}
}

func TestStuckOverTime(t *testing.T) {
	stuck := film{interval: 30 * time.Minute, home: step(10, 200, 210), syncs: never}
	if got, want := when(stuck.play(300), synced), "0 True/OnInterval, 15 True/Overdue, 95 False/FourPeriodsMissed"; got != want {
		t.Errorf("stuck:\n got %s\nwant %s", got, want)
	}
	idle := film{interval: 30 * time.Minute, home: always(200), syncs: never}
	if got, want := when(idle.play(300), synced), "0 True/OnInterval, 15 True/Overdue, 95 False/FourPeriodsMissed"; got != want {
		t.Errorf("stuck while the home is idle: equal data never silence an overdue agent:\n got %s\nwant %s", got, want)
	}
	slow := film{interval: 30 * time.Minute, home: step(10, 200, 210), syncs: func(m int) bool { return (m/30)%2 == 1 }}
	for _, s := range slow.play(600) {
		if s.synced.Status == False || s.users.Status == False {
			t.Errorf("slow, one interval late, minute %d: %s %s", s.minute, s.synced.Reason, s.users.Reason)
		}
	}
	blind := film{interval: 30 * time.Minute, home: step(10, 200, 210), syncs: never, noClock: true}
	if got, want := when(blind.play(300), synced), "0 Unknown/ClockNotReadable, 135 False/HomeChangeNotCopied"; got != want {
		t.Errorf("stuck, clock not readable:\n got %s\nwant %s", got, want)
	}
}

// TestHealthWithoutAClock: progress stands in for Last Synchronized Time.
func TestHealthWithoutAClock(t *testing.T) {
	idle := film{interval: 30 * time.Minute, home: always(200), noClock: true}.play(120)
	if got := idle[len(idle)-1].state; got != StateUnknown {
		t.Errorf("no clock and no change seen: %s, want Unknown", got)
	}
	moved := film{interval: 30 * time.Minute, home: step(10, 200, 210), noClock: true}.play(120)
	if got := moved[len(moved)-1]; got.state != Healthy || !strings.Contains(got.synced.Message, "seen copied") {
		t.Errorf("no clock, but a change was seen copied: %s, %q, want Healthy", got.state, got.synced.Message)
	}
}

func TestNeverSyncedStartsWithItsEntry(t *testing.T) {
	s := newScene()
	all := s.emea().Seen.Entries
	s.emea().Seen.Entries = Known(all.Value[1:], noon) // no entry for apac
	old := SyncRecord{FirstSeen: ago(72 * time.Hour)}
	missing := Judge(s.View(), watched, old)
	if !missing.FirstSeen.IsZero() {
		t.Errorf("without an entry the clock stands at %s, want not begun", missing.FirstSeen)
	}
	s.emea().Seen.Entries = all
	s.entry(func(e *Entry) { e.LastSync = time.Time{} })
	added := Judge(s.View(), watched, missing)
	if c := added.Condition(Synced); c.Status != True {
		t.Errorf("an entry added just now is %s (%s), though it had no time to sync", c.Status, c.Message)
	}
	s.Now = noon.Add(121 * time.Minute)
	s.emea().Seen.Entries.At = s.Now
	late := Judge(s.View(), watched, added)
	if c := late.Condition(Synced); c.Status != False {
		t.Errorf("an entry that has not synced for four periods is %s (%s)", c.Status, c.Message)
	}
}
