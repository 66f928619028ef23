package peer

import (
	"slices"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
)

// Syncs every 30 min, looks every 5: a sync is overdue after 40 min.
func TestWhetherAPeersSyncsWork(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *scene)
		want   bool
	}{
		{"synced ten minutes ago", func(*scene) {}, true},
		{"synced 40 min ago", func(s *scene) { s.lastSync(40 * time.Minute) }, true},
		{"synced 41 min ago", func(s *scene) { s.lastSync(41 * time.Minute) }, false},
		{"it was not overdue when it was read, nine minutes ago, and is now", func(s *scene) {
			s.emea().Seen.Entries.At = ago(9 * time.Minute)
			s.lastSync(45 * time.Minute)
		}, false},
		{"out of sight for five hours: as it was read last", func(s *scene) {
			s.lose("emea", ago(5*time.Hour))
			s.lastSync(5*time.Hour + 15*time.Minute)
		}, true},
		{"out of sight, and overdue when it was read last", func(s *scene) {
			s.lose("emea", ago(5*time.Hour))
			s.lastSync(6 * time.Hour)
		}, false},
		{"it never synced", func(s *scene) { s.entry(func(e *Entry) { e.LastSync = time.Time{} }) }, false},
		{"nothing tells", func(s *scene) { s.entry(func(e *Entry) { e.HasClock, e.LastSync = false, time.Time{} }) }, false},
		{"by its log: on time when that was read, 50 min ago", byLog(50*time.Minute, line{ciscolog.Status, 85 * time.Minute}), true},
		{"by its log: overdue when that was read", byLog(0, line{ciscolog.Status, 41 * time.Minute}), false},
		{"by its log: on time, and a try has failed since", byLog(0, line{ciscolog.Status, 35 * time.Minute}, line{ciscolog.CertificateInvalid, 5 * time.Minute}), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.change(s)
			if got := s.View().Works(watched); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// line is a line of ICSA's own log about apac, so long ago.
type line struct {
	alarm ciscolog.Alarm
	ago   time.Duration
}

// byLog takes emea's peer table away, and leaves these lines in a log that was read
// so long ago.
func byLog(read time.Duration, lines ...line) func(*scene) {
	return func(s *scene) {
		s.emea().Seen.Entries = Unknown[[]Entry](NoDialect, "not mapped")
		r := LogRecord{Read: ago(read), Since: ago(24 * time.Hour)}
		for _, l := range lines {
			outcome := ciscolog.Failed
			if l.alarm == ciscolog.Status {
				outcome = ciscolog.Succeeded
			}
			r.Add("apac", outcome, Word{Alarm: l.alarm, At: ago(l.ago), Dating: ciscolog.Dated})
		}
		s.Logs = map[mesh.ClusterID]LogRecord{"emea": r}
	}
}

// A failure after a change of the entry is told, not one from before it, nor one that a
// success followed.
func TestASyncThatHasFailedSinceAChange(t *testing.T) {
	changed := ago(time.Hour)
	for _, c := range []struct {
		name   string
		change func(s *scene)
		want   time.Time
	}{
		{"a failure since", byLog(0, line{ciscolog.Status, 2 * time.Hour}, line{ciscolog.PeerSyncFailure, 20 * time.Minute}), ago(20 * time.Minute)},
		{"one from before", byLog(0, line{ciscolog.Status, 3 * time.Hour}, line{ciscolog.PeerSyncFailure, 2 * time.Hour}), time.Time{}},
		{"a success followed", byLog(0, line{ciscolog.PeerSyncFailure, 20 * time.Minute}, line{ciscolog.Status, 5 * time.Minute}), time.Time{}},
		{"the log was read too long ago to speak of now", byLog(3*time.Hour, line{ciscolog.PeerSyncFailure, 20 * time.Minute}), time.Time{}},
		{"no log", func(*scene) {}, time.Time{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.change(s)
			if got := s.View().FailedSince(watched, changed); !got.Equal(c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// What a log says of a sync that is due since is told by its next turn, and not
// taken for granted meanwhile.
func TestALogsNextTurnMayTell(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *scene)
		want   bool
	}{
		{"a sync is due since, and the turn is to come", byLog(25*time.Minute, line{ciscolog.Status, 45 * time.Minute}), true},
		{"none is due yet", byLog(25*time.Minute, line{ciscolog.Status, 40 * time.Minute}), false},
		{"the turn is overdue", byLog(46*time.Minute, line{ciscolog.Status, 80 * time.Minute}), false},
		{"the peer table tells", func(s *scene) { s.lastSync(45 * time.Minute) }, false},
		{"nothing tells", byLog(0), false},
	} {
		s := newScene()
		c.change(s)
		if got := s.View().NextTurnTells(watched); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// ICSA reads its trust store when it starts: what came into it since is not read.
func TestWhetherICSAHasReadItsTrustStore(t *testing.T) {
	runs := func(s *scene, up time.Duration) {
		s.emea().Seen.Nodes[pub("emea")].Services.Value[ICSA] = Service{Status: "Started", UpTime: up}
	}
	changed := ago(2 * time.Hour)
	for _, c := range []struct {
		name             string
		change           func(s *scene)
		unread, measured bool
	}{
		{"it has run since before, and no sync is overdue", func(*scene) {}, false, true},
		{"it has run since before, and its sync is overdue", func(s *scene) { s.lastSync(3 * time.Hour) }, true, true},
		{"overdue, but a sync has succeeded since the change", func(s *scene) { s.lastSync(90 * time.Minute) }, false, true},
		{"it was restarted after the change, and its sync is overdue", func(s *scene) { runs(s, time.Hour); s.lastSync(3 * time.Hour) }, false, true},
		{"it was restarted just now, and its first sync is to come", func(s *scene) { runs(s, 10*time.Minute); s.lastSync(3 * time.Hour) }, true, true},
		{"it was restarted an interval and two looks ago", func(s *scene) { runs(s, 40*time.Minute); s.lastSync(3 * time.Hour) }, true, true},
		{"its first sync since it was restarted is overdue", func(s *scene) { runs(s, 41*time.Minute); s.lastSync(3 * time.Hour) }, false, true},
		{"no clock: it has run since before", func(s *scene) { s.entry(func(e *Entry) { e.HasClock, e.LastSync = false, time.Time{} }) }, true, false},
		{"no clock: it was restarted after the change", func(s *scene) {
			runs(s, time.Hour)
			s.entry(func(e *Entry) { e.HasClock, e.LastSync = false, time.Time{} })
		}, false, false},
		{"it is stopped", func(s *scene) { s.service("emea", pub("emea"), ICSA, "Stopped"); s.lastSync(3 * time.Hour) }, false, true},
		{"its up-time is not told", func(s *scene) { runs(s, -1); s.lastSync(3 * time.Hour) }, false, true},
		{"out of sight since: it was not seen to restart", func(s *scene) {
			s.lose("emea", ago(time.Hour))
			s.lastSync(3 * time.Hour)
		}, true, true},
		{"by its log: no success for three hours, and no failure either", byLog(0, line{ciscolog.Status, 3 * time.Hour}), true, false},
		{"by its log: it fails", byLog(0, line{ciscolog.Status, 3 * time.Hour}, line{ciscolog.CertificateInvalid, 5 * time.Minute}), true, true},
		{"by its log: a sync has succeeded since the change", byLog(0, line{ciscolog.Status, 90 * time.Minute}), false, true},
		{"by its log: it fails, and was restarted after the change", func(s *scene) {
			byLog(0, line{ciscolog.Status, 3 * time.Hour}, line{ciscolog.CertificateInvalid, 5 * time.Minute})(s)
			runs(s, time.Hour)
		}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.change(s)
			if unread, measured := s.View().TrustUnread(watched, changed); unread != c.unread || measured != c.measured {
				t.Errorf("unread %v (measured %v), want %v (%v)", unread, measured, c.unread, c.measured)
			}
		})
	}
	if v := newScene().View(); v.AgentOlder("elsewhere", noon) || v.agentYoung("elsewhere") {
		t.Error("an ICSA of a cluster that is not in mesh.yaml has run for a while, or has not")
	}
}

// A new certificate reaches a cluster with ICSA's certificate sync: one interval,
// then an hour to every node.
func TestHowLongACertificateIsOnItsWay(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(s *scene)
		puller  mesh.ClusterID
		wait    time.Duration
		carried bool
	}{
		{"nobody tells whether the certificate sync is on", func(*scene) {}, "emea", 90 * time.Minute, true},
		{"it is on", func(s *scene) { s.parameter("emea", ParamCertSync, "t") }, "emea", 90 * time.Minute, true},
		{"it is off", func(s *scene) { s.parameter("emea", ParamCertSync, "False") }, "emea", 0, false},
		{"syncs every four hours", func(s *scene) { s.emea().Interval.Value = 4 * time.Hour }, "emea", 5 * time.Hour, true},
		{"a half read says nothing", func(s *scene) {
			n := s.emea().Seen.Nodes[pub("emea")]
			n.Parameters = Partial(map[string]string{ParamCertSync: "f"}, noon, RowsIncomplete, "cut")
			s.emea().Seen.Nodes[pub("emea")] = n
		}, "emea", 90 * time.Minute, true},
		{"of a cluster that is not in mesh.yaml", func(*scene) {}, "elsewhere", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.change(s)
			if wait, carried := s.View().CertExchange(c.puller); wait != c.wait || carried != c.carried {
				t.Errorf("%v (carried %v), want %v (%v)", wait, carried, c.wait, c.carried)
			}
		})
	}
}

func TestASyncIsDueAnIntervalAndALookLater(t *testing.T) {
	v := newScene().View()
	for _, c := range []struct {
		puller mesh.ClusterID
		since  time.Duration
		want   bool
	}{
		{"emea", 35 * time.Minute, true},
		{"emea", 34 * time.Minute, false},
		{"elsewhere", 24 * time.Hour, false},
	} {
		if got := v.SyncDue(c.puller, ago(c.since)); got != c.want {
			t.Errorf("%s: due %v after %v, want %v", c.puller, got, c.since, c.want)
		}
	}
}

// While something is mended its certificates are looked at more often, so that an
// alarm does not outlive its cause by hours.
func TestWhoseCertificatesAreLookedAtBeforeTheirTime(t *testing.T) {
	fresh, old := ago(time.Hour), ago(25*time.Hour)
	for _, c := range []struct {
		name      string
		condition Condition
		want      bool // both ends of emea>apac
	}{
		{"all is well", Condition{Type: CertificateTrusted, Status: True, Since: fresh}, false},
		{"the certificate is not trusted", Condition{Type: CertificateTrusted, Status: False, Since: fresh}, true},
		{"it has not been for longer than a day", Condition{Type: CertificateTrusted, Status: False, Since: old}, false},
		{"a new one is on its way", Condition{Type: CertificateTrusted, Status: UnknownStatus, Reason: ExchangePending, Since: fresh}, true},
		{"ICSA has not read its store again", Condition{Type: CertificateTrusted, Status: UnknownStatus, Reason: TrustNotReloaded, Since: fresh}, true},
		{"the next sync decides", Condition{Type: CertificateTrusted, Status: UnknownStatus, Reason: NextSyncDecides, Since: fresh}, true},
		{"a name does not resolve", Condition{Type: NamesResolve, Status: False, Since: fresh}, true},
		{"a sync is overdue, however long", Condition{Type: Synced, Status: True, Reason: Overdue, Since: old}, true},
		{"the sync stands", Condition{Type: Synced, Status: False, Reason: StuckTwoHours, Since: fresh}, true},
		{"it has stood for longer than a day", Condition{Type: Synced, Status: False, Reason: StuckTwoHours, Since: old}, false},
		{"it syncs", Condition{Type: Synced, Status: True, Since: fresh}, false},
		{"a service is stopped", Condition{Type: ServicesRunning, Status: False, Since: fresh}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want []mesh.ClusterID
			if c.want {
				want = []mesh.ClusterID{"apac", "emea"}
			}
			got := ClustersToRecheck(newScene().Mesh, map[mesh.PeerID][]Condition{watched: {c.condition}}, nil, noon)
			if !slices.Equal(slices.Sorted(slices.Values(got)), want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
	if got := ClustersToRecheck(newScene().Mesh, nil, []mesh.ClusterID{"amer"}, noon); !slices.Equal(got, []mesh.ClusterID{"amer"}) {
		t.Errorf("while a certificate is imported into amer: %v", got)
	}
}
