package peer

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
)

// was is what Synced read at the look before.
func (s *logScene) was(status Status, why Reason) {
	s.sync.Conditions = []Condition{{Type: Synced, Status: status, Reason: why, Since: ago(time.Hour)}}
}

// pushes has emea's publisher push a line about apac: said so long ago, and come so
// long ago.
func (s *logScene) pushes(alarm ciscolog.Alarm, said, came time.Duration) {
	if s.Pushed == nil {
		s.Pushed = map[mesh.ClusterID]PushRecord{}
	}
	r := s.Pushed["emea"]
	outcome := ciscolog.Failed
	if alarm == ciscolog.Status {
		outcome = ciscolog.Succeeded
	}
	skew, _ := s.emea().Seen.Skew.Get()
	r.Take("apac", outcome, Pushed{Alarm: alarm, At: ago(said).Add(skew), Received: ago(came)})
	s.Pushed["emea"] = r
}

// A pushed success puts the raising of the clock off until the log is read, and
// does nothing else.
func TestAPushedSuccessPutsTheClockOffAndNoMore(t *testing.T) {
	// By the log, a success three hours ago, where successes are logged: half an
	// hour of interval, limit B of two hours and another interval are over.
	overdue := func(d time.Duration) func(*logScene) {
		return func(s *logScene) {
			s.level("Informational")
			s.says("apac", ciscolog.Status, d)
			s.log.Read = ago(10 * time.Minute)
			s.was(True, Overdue)
		}
	}
	late := 2*time.Hour + 45*time.Minute
	for _, c := range []logCase{
		{"nothing was pushed", overdue(late), False, NoSuccessLogged, Inferred, ""},
		{"a success was", func(s *logScene) { overdue(late)(s); s.pushes(ciscolog.Status, 5*time.Minute, 5*time.Minute) }, True, Overdue, Inferred, "a success was pushed at"},
		{"one of a peer that has never succeeded", func(s *logScene) {
			s.level("Informational")
			s.log.Read = ago(10 * time.Minute)
			s.sync.FirstSeen = ago(late)
			s.was(True, Overdue)
			s.pushes(ciscolog.Status, 5*time.Minute, 5*time.Minute)
		}, True, Overdue, Inferred, "a success was pushed at"},
		{"one from before the last reading, which does not hold it", func(s *logScene) { overdue(late)(s); s.pushes(ciscolog.Status, 12*time.Minute, 12*time.Minute) }, False, NoSuccessLogged, "", ""},
		{"one that the log holds", func(s *logScene) { overdue(late)(s); s.pushes(ciscolog.Status, late, 5*time.Minute) }, False, NoSuccessLogged, "", ""},
		{"one by a clock ahead of ours", func(s *logScene) { overdue(late)(s); s.pushes(ciscolog.Status, 5*time.Minute, -time.Hour) }, False, NoSuccessLogged, "", ""},
		{"and another each minute, for longer than a turn", func(s *logScene) {
			overdue(3*time.Hour + 15*time.Minute)(s)
			s.pushes(ciscolog.Status, time.Minute, time.Minute)
		}, False, NoSuccessLogged, "", ""},
		{"the log cannot be read now", func(s *logScene) {
			overdue(late)(s)
			s.log.Problem = "noRole"
			s.pushes(ciscolog.Status, 5*time.Minute, 5*time.Minute)
		}, False, NoSuccessLogged, "", ""},
		{"what was raised stays", func(s *logScene) {
			overdue(late)(s)
			s.judge(watched)
			s.pushes(ciscolog.Status, 5*time.Minute, 5*time.Minute)
		}, False, NoSuccessLogged, "", ""},
		{"a pushed failure makes nothing False", func(s *logScene) {
			s.says("apac", ciscolog.Status, 20*time.Minute)
			s.pushes(ciscolog.PeriodicSyncingFailure, time.Minute, time.Minute)
		}, True, OnInterval, Cisco, ""},
	} {
		c.check(t, Synced)
	}
	(logCase{"a pushed cause makes nothing False", func(s *logScene) {
		s.says("apac", ciscolog.Status, 20*time.Minute)
		s.pushes(ciscolog.PeerDown, time.Minute, time.Minute)
	}, True, Reason(""), "", ""}).checkStatus(t, Reachable)
	(logCase{"a pushed success clears no cause", func(s *logScene) {
		s.says("apac", ciscolog.PeerDown, 20*time.Minute)
		s.pushes(ciscolog.Status, time.Minute, time.Minute)
	}, False, PeerDown, "", ""}).check(t, Reachable)
}

// A pushed success is one that nothing confirms until the log that is read holds it, or the
// peer table, which has the same one within ten minutes.
func TestAPushedSuccessThatIsConfirmed(t *testing.T) {
	pushed := func(s *logScene, said time.Duration) (time.Time, bool) {
		s.pushes(ciscolog.Status, said, said)
		s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
		return s.View().PushedSuccess(watched)
	}
	table := func(last time.Duration) func(s *logScene) {
		return func(s *logScene) { s.scene = newScene(); s.lastSync(last) }
	}
	log := func(last time.Duration) func(s *logScene) {
		return func(s *logScene) { s.says("apac", ciscolog.Status, last) }
	}
	for _, c := range []struct {
		name string
		with func(s *logScene)
		said time.Duration
		want bool
	}{
		{"the table tells of one ten minutes older", table(15 * time.Minute), 5 * time.Minute, false},
		{"the table tells of an older one", table(16 * time.Minute), 5 * time.Minute, true},
		{"the log tells of it", log(5 * time.Minute), 5 * time.Minute, false},
		{"the log tells of an older one", log(6 * time.Minute), 5 * time.Minute, true},
		{"neither tells of any", func(*logScene) {}, 5 * time.Minute, true},
	} {
		s := newLogScene()
		c.with(s)
		if at, got := pushed(s, c.said); got != c.want || got && !at.Equal(ago(c.said)) {
			t.Errorf("%s: %v at %s", c.name, got, at)
		}
	}
	if _, got := newLogScene().View().PushedSuccess(watched); got {
		t.Error("nothing was pushed")
	}
}

// Whatever is pushed, what ICSA's own log says is said at once, and an alarm that
// stands goes on: over both clocks, that of the log and that of the peer table.
func TestAPushedSuccessHidesNoAlarm(t *testing.T) {
	const late = 2*time.Hour + 45*time.Minute
	byLog := func(s *logScene) {
		s.level("Informational")
		s.says("apac", ciscolog.Status, late)
	}
	byTable := func(s *logScene) {
		s.emea().Seen.Entries = Known([]Entry{{Address: string(pub("apac")), Protocol: mesh.TCP, LastSync: ago(2*time.Hour + 10*time.Minute), HasClock: true}}, noon)
	}
	for _, clock := range []struct {
		name  string
		given func(*logScene)
		stuck Reason
		basis Basis
	}{
		{"by the log's clock: ", byLog, NoSuccessLogged, Inferred},
		{"by the peer table's clock: ", byTable, FourPeriodsMissed, Measured},
	} {
		// Overdue at the look before, and a success pushed since the log was read.
		given := func(more func(*logScene)) func(*logScene) {
			return func(s *logScene) {
				clock.given(s)
				s.log.Read = ago(10 * time.Minute)
				s.was(True, Overdue)
				s.pushes(ciscolog.Status, 5*time.Minute, 5*time.Minute)
				more(s)
			}
		}
		logged := func(alarm ciscolog.Alarm) func(*logScene) {
			return given(func(s *logScene) { s.says("apac", alarm, 20*time.Minute) })
		}
		alarm, basis := CiscoAlarm, Cisco
		if clock.basis == Measured { // it is the second witness of what is measured
			alarm, basis = clock.stuck, Measured
		}
		for _, c := range []logCase{
			{"nothing else: put off", given(func(*logScene) {}), True, Overdue, clock.basis, "a success was pushed at"},
			{"Cisco's own alarm is in the log: said at once", logged(ciscolog.PeriodicSyncingFailure), False, alarm, basis, "Cisco's own alarm"},
			{"a failure is in the log: said at once", logged(ciscolog.SyncFailure), False, clock.stuck, clock.basis, ""},
			{"a cause is in the log: said at once", logged(ciscolog.PeerDown), False, clock.stuck, clock.basis, ""},
			{"the alarm stands: it goes on", given(func(s *logScene) { s.was(False, clock.stuck) }), False, clock.stuck, clock.basis, ""},
			{"the alarm stands, and the cluster could not be seen for a look: it goes on", given(func(s *logScene) { s.was(UnknownStatus, CannotConnect) }), False, clock.stuck, clock.basis, ""},
			{"the alarm stands, and the level was not known for a look: it goes on", given(func(s *logScene) { s.was(UnknownStatus, LogHasNoSyncLines) }), False, clock.stuck, clock.basis, ""},
		} {
			c.name = clock.name + c.name
			c.check(t, Synced)
		}
		(logCase{clock.name + "what the log names as the cause is said at once", logged(ciscolog.PeerDown), False, PeerDown, Cisco, ""}).check(t, Reachable)
	}
}

func (c logCase) checkStatus(t *testing.T, which Type) {
	t.Run(c.name, func(t *testing.T) {
		s := newLogScene()
		c.given(s)
		if got := find(s.judge(watched), which); got.Status != c.status || !strings.Contains(got.Message, c.says) {
			t.Errorf("%s %s: %q, want %s", got.Status, got.Reason, got.Message, c.status)
		}
	})
}

// A clock that the peer table tells is put off as well, and never moved.
func TestAPushedSuccessMovesNoClock(t *testing.T) {
	s := newLogScene()
	s.says("apac", ciscolog.Status, time.Hour)
	s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
	before := s.View().Clock(watched)
	s.pushes(ciscolog.Status, time.Minute, time.Minute)
	v := s.View()
	if after := v.Clock(watched); after != before {
		t.Errorf("the clock moved: %+v, was %+v", after, before)
	}
	if at, unconfirmed := v.PushedSuccess(watched); !unconfirmed || !at.Equal(ago(time.Minute)) {
		t.Errorf("the pushed success is of %s (%v)", at, unconfirmed)
	}
	s.says("apac", ciscolog.Status, time.Minute)
	s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
	if _, unconfirmed := s.View().PushedSuccess(watched); unconfirmed {
		t.Error("what the log holds is not confirmed")
	}
}

// What is pushed brings a reading forward if it is news, and in bounds.
func TestWhatBringsAReadingForward(t *testing.T) {
	for _, c := range []struct {
		name  string
		given func(s *logScene)
		want  bool
	}{
		{"nothing pushed", func(*logScene) {}, false},
		{"a failure that the log did not know", func(s *logScene) { s.pushes(ciscolog.PeerDown, time.Minute, time.Minute) }, true},
		{"one more of those that it knows", func(s *logScene) {
			s.says("apac", ciscolog.PeerDown, 40*time.Minute)
			s.pushes(ciscolog.PeerDown, time.Minute, time.Minute)
		}, false},
		{"the same again, after a success", func(s *logScene) {
			s.says("apac", ciscolog.PeerDown, 50*time.Minute)
			s.says("apac", ciscolog.Status, 40*time.Minute)
			s.pushes(ciscolog.PeerDown, time.Minute, time.Minute)
		}, true},
		{"a success of a peer that syncs", func(s *logScene) {
			s.says("apac", ciscolog.Status, 30*time.Minute)
			s.pushes(ciscolog.Status, time.Minute, time.Minute)
		}, false},
		{"a success where the newest word is a failure", func(s *logScene) {
			s.says("apac", ciscolog.PeerDown, 30*time.Minute)
			s.pushes(ciscolog.Status, time.Minute, time.Minute)
		}, true},
		{"a success where one is missed", func(s *logScene) {
			s.says("apac", ciscolog.Status, 100*time.Minute)
			s.pushes(ciscolog.Status, time.Minute, time.Minute)
		}, true},
		{"come before the last reading", func(s *logScene) { s.pushes(ciscolog.PeerDown, time.Minute, 21*time.Minute) }, false},
		{"by a clock an hour ahead", func(s *logScene) { s.pushes(ciscolog.PeerDown, time.Minute, -time.Hour) }, false},
		{"right after a turn", func(s *logScene) {
			s.log.Turn = ago(10 * time.Minute)
			s.pushes(ciscolog.PeerDown, time.Minute, time.Minute)
		}, false},
		{"the node has refused", func(s *logScene) {
			s.log.Retry = ago(-time.Hour)
			s.pushes(ciscolog.PeerDown, time.Minute, time.Minute)
		}, false},
		{"never read yet: its first turn comes anyway", func(s *logScene) {
			s.log = LogRecord{}
			s.pushes(ciscolog.PeerDown, time.Minute, time.Minute)
		}, false},
		{"an alarm about no sync", func(s *logScene) {
			s.Pushed = map[mesh.ClusterID]PushRecord{"emea": {Other: Pushed{Alarm: ciscolog.SRMFailed, Received: ago(time.Minute)}}}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newLogScene()
			s.log.Read, s.log.Turn = ago(20*time.Minute), ago(20*time.Minute)
			c.given(s)
			all := s.judge(watched)
			got := s.View().LogBroughtForward("emea", &s.log, func(mesh.PeerID) []Condition { return all })
			if got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// Over UDP lines come in any order, and twice: what is kept of them is the same.
func TestInWhichOrderPushedLinesComeMakesNoDifference(t *testing.T) {
	is := func(alarm ciscolog.Alarm, said, came time.Duration) Pushed {
		return Pushed{Alarm: alarm, At: ago(said), Received: ago(came)}
	}
	undated := func(alarm ciscolog.Alarm, came time.Duration) Pushed {
		return Pushed{Alarm: alarm, Received: ago(came)}
	}
	for _, c := range []struct {
		name           string
		stays, another Pushed
	}{
		{"the later by what they say", is("A", 1, 5), is("B", 2, 3)},
		{"one that came twice: the first", is("A", 1, 5), is("A", 1, 3)},
		{"two of one instant: by their names", is("B", 1, 3), is("A", 1, 5)},
		{"neither says when: what came last", undated("A", 1), undated("B", 2)},
		{"neither says when, and both came at once", undated("B", 1), undated("A", 1)},
		{"one that says when, against one that does not", is("A", 9, 9), undated("B", 1)},
		{"something against nothing", undated("A", 1), Pushed{}},
	} {
		if a, b := c.stays.or(c.another), c.another.or(c.stays); a != c.stays || b != c.stays {
			t.Errorf("%s: %+v and %+v, want %+v", c.name, a, b, c.stays)
		}
	}
}

// TestWhatWasPushedIsLaidTogether: the newest of each kind stays, and what one record
// has nothing of is not made up.
func TestWhatWasPushedIsLaidTogether(t *testing.T) {
	line := func(alarm ciscolog.Alarm, minutes int) Pushed {
		d := time.Duration(minutes) * time.Minute
		return Pushed{Alarm: alarm, At: ago(d), Received: ago(d)}
	}
	var had, more PushRecord
	had.Take("apac", ciscolog.Succeeded, line(ciscolog.Status, 30))
	had.Take("amer", ciscolog.Failed, line(ciscolog.PeerDown, 25))
	had.Take("", ciscolog.Failed, line(ciscolog.SRMFailed, 20))
	more.Take("apac", ciscolog.Failed, line(ciscolog.PeerDown, 10))
	more.Take("amer", ciscolog.Succeeded, line(ciscolog.Status, 5))
	more.Take("apac", ciscolog.Neither, line(ciscolog.SRMFailover, 40))
	both := had
	both.Merge(more)
	want := map[mesh.ClusterID]PushedWords{
		"apac": {Success: line(ciscolog.Status, 30), Failure: line(ciscolog.PeerDown, 10)},
		"amer": {Success: line(ciscolog.Status, 5), Failure: line(ciscolog.PeerDown, 25)},
	}
	if both.Peers["apac"] != want["apac"] || both.Peers["amer"] != want["amer"] || both.Other != line(ciscolog.SRMFailed, 20) {
		t.Errorf("%+v", both)
	}
	if !both.Received().Equal(ago(5*time.Minute)) || !had.Received().Equal(ago(20*time.Minute)) || len(had.Peers) != 2 || had.Peers["apac"].Failure.Alarm != "" {
		t.Errorf("newest %s; what it was laid over has become %+v", both.Received(), had)
	}
	both.Forget(func(id mesh.ClusterID) bool { return id == "apac" })
	if _, kept := both.Peers["apac"]; !kept || len(both.Peers) != 1 {
		t.Errorf("%+v", both.Peers)
	}
}
