package peer

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
)

// Thirty clusters' turns at their logs do not meet, each comes once in half an
// hour, and a turn that was missed is made up for.
func TestWhenALogIsLookedAt(t *testing.T) {
	const tick = 5 * time.Minute
	start := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	at := map[time.Time]int{}
	for i := range 30 {
		id := mesh.ClusterID(fmt.Sprintf("c%02d", i))
		var r LogRecord
		turns := 0
		for now := start; now.Before(start.Add(6 * time.Hour)); now = now.Add(tick) {
			if r.Due(id, tick, now) {
				r = r.Charged(Allowance{Requests: 1}, now)
				turns++
				at[now]++
			}
		}
		if turns < 12 || turns > 13 {
			t.Errorf("%s: %d turns in 6 h", id, turns)
		}
		late := r.Turn.Add(3 * time.Hour)
		if !r.Due(id, tick, late) {
			t.Errorf("%s: not due three hours after its last turn", id)
		}
		r.Retry = late.Add(time.Minute)
		if r.Due(id, tick, late) {
			t.Errorf("%s: due before it may be tried again", id)
		}
		r.Retry, r.Turn = late.Add(72*time.Hour), late.Add(72*time.Hour) // by a clock three days ahead
		if !r.Due(id, tick, late) {
			t.Errorf("%s: what another clock noted keeps from looking", id)
		}
	}
	for now, n := range at {
		if n > 12 {
			t.Errorf("%d logs at %s", n, now.Format("15:04"))
		}
	}
}

func TestWhatIsLeftOfALogsBudget(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	spent := func(ago time.Duration, requests int, bytes int64) LogSpent {
		return LogSpent{At: now.Add(-ago), Requests: requests, Bytes: bytes}
	}
	for _, c := range []struct {
		name    string
		spent   []LogSpent
		rotated bool
		asked   bool
		want    Allowance
	}{
		{"nothing was spent", nil, false, false, Allowance{4, 64 << 20}},
		{"one turn", []LogSpent{spent(30*time.Minute, 2, 1<<20)}, false, false, Allowance{2, 63 << 20}},
		{"all of it", []LogSpent{spent(50*time.Minute, 2, 1), spent(20*time.Minute, 2, 1)}, false, false, Allowance{}},
		{"all of it, and a person waits", []LogSpent{spent(50*time.Minute, 2, 0), spent(20*time.Minute, 2, 0)}, false, true, Allowance{8, 64 << 20}},
		{"an hour ago", []LogSpent{spent(time.Hour, 4, 64<<20)}, false, false, Allowance{4, 64 << 20}},
		{"killed with everything charged", []LogSpent{spent(time.Minute, 4, 64<<20)}, false, false, Allowance{}},
		{"a large file: once an hour", []LogSpent{spent(30*time.Minute, 2, 6<<20)}, false, false, Allowance{2, 4 << 20}},
		{"a rotation takes three", []LogSpent{spent(30*time.Minute, 2, 1<<20)}, true, false, Allowance{}},
		{"and has them", []LogSpent{spent(30*time.Minute, 1, 0)}, true, false, Allowance{3, 64 << 20}},
		{"by a clock two hours ahead", []LogSpent{spent(-2*time.Hour, 4, 64<<20)}, false, false, Allowance{4, 64 << 20}},
	} {
		r := LogRecord{Spent: c.spent, Rotated: c.rotated}
		if got := r.Left(c.asked, now); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// What a turn leaves behind: the cursor, how far and since when every line was
// seen, and when the next turn may be.
func TestAfterATurnAtALog(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	began := now.Add(-6 * time.Hour)
	read := LogRecord{Cursor: LogCursor{Line: "a"}, Read: now.Add(-30 * time.Minute), Since: began, Way: LogWay{List: "systems"}}
	to := LogCursor{Line: "b"}
	for _, c := range []struct {
		name  string
		had   LogRecord
		g     LogReading
		check func(r LogRecord) bool
	}{
		{"the first read", LogRecord{}, LogReading{Outcome: LogRead, Cursor: to, From: began}, func(r LogRecord) bool { return r.Since.Equal(began) && r.Read.Equal(now) && r.Cursor == to }},
		{"further", read, LogReading{Outcome: LogRead, Cursor: to, Unbroken: true, From: now.Add(-time.Hour)}, func(r LogRecord) bool { return r.Since.Equal(began) && r.Cursor == to }},
		{"with a gap", read, LogReading{Outcome: LogRead, Cursor: to, From: now.Add(-time.Hour)}, func(r LogRecord) bool { return r.Since.Equal(now.Add(-time.Hour)) && r.Read.Equal(now) }},
		{"unchanged", read, LogReading{Outcome: LogUnchanged, Way: read.Way}, func(r LogRecord) bool {
			return r.Read.Equal(now) && r.Cursor == read.Cursor && r.Since.Equal(began) && r.Way == read.Way
		}},
		{"not fetched", read, LogReading{Outcome: LogNotFetched}, func(r LogRecord) bool { return r.Read.Equal(read.Read) && r.Cursor == read.Cursor }},
		{"rotated, and no budget for the copy", read, LogReading{Outcome: LogReadPartly, Cursor: to}, func(r LogRecord) bool {
			return r.Rotated && r.Read.Equal(read.Read) && r.Cursor == read.Cursor && r.Since.Equal(began)
		}},
		{"silence", read, LogReading{Outcome: LogFailed, Problem: "noAnswer"}, func(r LogRecord) bool {
			return r.Failures == 1 && r.Problem == "noAnswer" && r.Retry.Sub(now) == 30*time.Minute && r.Read.Equal(read.Read) && r.Way == LogWay{}
		}},
		{"silence for the fourth time", LogRecord{Failures: 3}, LogReading{Outcome: LogFailed, Problem: "noAnswer"}, func(r LogRecord) bool { return r.Retry.Sub(now) == 4*time.Hour }},
		{"silence for ever", LogRecord{Failures: 1000}, LogReading{Outcome: LogFailed, Problem: "noAnswer"}, func(r LogRecord) bool { return r.Retry.Sub(now) == 4*time.Hour }},
		{"a role that is missing", read, LogReading{Outcome: LogFailed, Problem: "noRole", Wait: LogRefusedFor}, func(r LogRecord) bool { return r.Retry.Sub(now) == 24*time.Hour }},
		{"an answer after silence", LogRecord{Failures: 3, Problem: "noAnswer", Retry: now.Add(-time.Hour)}, LogReading{Outcome: LogNotFetched}, func(r LogRecord) bool { return r.Problem == "" && r.Failures == 0 && r.Retry.IsZero() }},
		{"what it cost", read.Charged(Allowance{4, 64 << 20}, now), LogReading{Outcome: LogRead, Requests: 2, Bytes: 4711}, func(r LogRecord) bool { return len(r.Spent) == 1 && r.Spent[0] == LogSpent{now, 2, 4711} }},
	} {
		c.g.At = now
		if r := c.had.After(c.g); !c.check(r) {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

// Of words on one peer the newest of each kind stay, by their instants, and in
// the order of the lines where these do not tell.
func TestTheNewestWordStays(t *testing.T) {
	at := func(minute int) Word {
		return Word{Alarm: ciscolog.SyncFailure, Dating: ciscolog.Dated, At: time.Date(2026, 3, 2, 12, minute, 0, 0, time.UTC), Text: fmt.Sprint(minute)}
	}
	undated := func(text string) Word { return Word{Alarm: ciscolog.SyncFailure, Text: text} }
	for _, c := range []struct {
		name  string
		words []Word
		want  string
	}{
		{"in order", []Word{at(1), at(2)}, "2"},
		{"a clock that was set back", []Word{at(2), at(1)}, "2"},
		{"of the same instant the later line", []Word{{Alarm: ciscolog.SyncFailure, Dating: ciscolog.Dated, At: at(2).At, Text: "first"}, at(2)}, "2"},
		{"one without an instant is no news", []Word{at(1), undated("x")}, "1"},
		{"but better than none", []Word{undated("x"), undated("y")}, "y"},
		{"until one has one", []Word{undated("x"), at(1)}, "1"},
	} {
		var whole, later LogWords
		for i, w := range c.words {
			whole.Add("apac", ciscolog.Failed, w)
			if i > 0 {
				later.Add("apac", ciscolog.Failed, w)
			}
		}
		if got := whole.Peers["apac"].Failure.Text; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		var read LogWords // in two reads, the second of which holds all lines again
		read.Add("apac", ciscolog.Failed, c.words[0])
		read.Merge(later)
		read.Merge(whole)
		if got := read.Peers["apac"].Failure.Text; got != c.want {
			t.Errorf("%s, in two reads: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestWordsOfACluster(t *testing.T) {
	var w LogWords
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for i := range 60 {
		for range 3 { // read again and again
			w.Add("", ciscolog.Failed, Word{Alarm: ciscolog.HeapSpaceError, Of: fmt.Sprint(i), Dating: ciscolog.Dated, At: at.Add(time.Duration(i) * time.Minute)})
		}
	}
	w.Add("apac", ciscolog.Neither, Word{Alarm: ciscolog.PeerDuplicate}) // of no instant that can be read: it may be the newest
	if len(w.Cluster) != 50 || w.Cluster[0].Alarm != ciscolog.PeerDuplicate || w.Cluster[1].Of != "11" || w.Cluster[49].Of != "59" {
		t.Errorf("%d words, from %+v to %+v", len(w.Cluster), w.Cluster[0], w.Cluster[len(w.Cluster)-1])
	}
	r := LogRecord{LogWords: w}
	r.Forget(func(home mesh.ClusterID) bool { return home != "apac" })
	for _, w := range r.Cluster {
		if w.Peer == "apac" {
			t.Error("a cluster that is no peer any more is remembered")
		}
	}
}

// TestWhatALogToldOfAFormerPeerIsForgotten: what it told of the cluster itself stays.
func TestWhatALogToldOfAFormerPeerIsForgotten(t *testing.T) {
	r := LogRecord{LogWords: LogWords{Peers: map[mesh.ClusterID]PeerWords{"apac": {}, "amer": {}}, Cluster: []Word{{Alarm: "own"}, {Alarm: "of apac", Peer: "apac"}, {Alarm: "of amer", Peer: "amer"}}}}
	r.Forget(func(home mesh.ClusterID) bool { return home == "apac" })
	if _, kept := r.Peers["apac"]; !kept || len(r.Peers) != 1 || len(r.Cluster) != 2 || r.Cluster[0].Alarm != "own" || r.Cluster[1].Peer != "apac" {
		t.Errorf("%+v", r)
	}
}

// TestWhenALogIsFetchedBeforeItsTurn: when it can tell what the database does not.
func TestWhenALogIsFetchedBeforeItsTurn(t *testing.T) {
	well := []Condition{{Type: Synced, Status: True, Reason: OnInterval, Basis: Measured}}
	byLog := []Condition{{Type: Synced, Status: True, Reason: OnInterval, Basis: Cisco}}
	for _, c := range []struct {
		name       string
		of         mesh.ClusterID
		change     func(s *logScene)
		conditions []Condition // of each peer
		want       bool
	}{
		{"the database tells that all syncs run", "emea", func(*logScene) {}, well, false},
		{"of a cluster that is not in mesh.yaml", "elsewhere", func(*logScene) {}, well, false},
		{"six hours after it was read", "emea", func(s *logScene) { s.log.Read = ago(6 * time.Hour) }, well, true},
		{"a cause is False", "emea", func(*logScene) {}, append(slices.Clone(well), Condition{Type: Authenticated, Status: False}), true},
		{"a cause is not known", "emea", func(*logScene) {}, append(slices.Clone(well), Condition{Type: Authenticated, Status: UnknownStatus}), false},
		{"the log is the clock, and tells of young syncs", "emea", func(s *logScene) {
			s.says("apac", ciscolog.Status, 5*time.Minute)
			s.says("amer", ciscolog.Status, 5*time.Minute)
		}, byLog, false},
		{"one of them could be overdue by the next turn", "emea", func(s *logScene) {
			s.says("apac", ciscolog.Status, 5*time.Minute)
			s.says("amer", ciscolog.Status, 11*time.Minute)
		}, byLog, true},
		{"of one peer it told of no sync", "emea", func(s *logScene) { s.says("amer", ciscolog.Status, 5*time.Minute) }, byLog, true},
		{"a sync is overdue", "emea", func(s *logScene) {
			s.says("apac", ciscolog.Status, 50*time.Minute)
			s.says("amer", ciscolog.Status, 5*time.Minute)
		}, []Condition{{Type: Synced, Status: True, Reason: Overdue, Basis: Measured}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newLogScene()
			s.log.Peers = nil
			c.change(s)
			s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
			if got := s.View().LogWanted(c.of, &s.log, func(mesh.PeerID) []Condition { return c.conditions }); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// When a cluster's level is asked for again because of what its log says: where a
// success is missed that nothing proves to be logged, or one is there in spite of it.
func TestWhenTheLevelIsAskedFor(t *testing.T) {
	told := func(level ciscolog.Level, ago2 time.Duration) func(s *logScene) {
		return func(s *logScene) { s.log.Level, s.log.LevelBy, s.log.LevelAt = level, "cucm", ago(ago2) }
	}
	missed := func(s *logScene) { // apac's success, and so long ago that nothing else proves it
		s.says("apac", ciscolog.Status, 3*time.Hour)
		s.log.Logged.To = ago(3 * time.Hour)
	}
	for _, c := range []struct {
		name  string
		given []func(s *logScene)
		want  bool
	}{
		{"all succeed", []func(s *logScene){told("Informational", 4*time.Hour), func(s *logScene) { s.says("apac", ciscolog.Status, 10*time.Minute) }}, false},
		{"one is missed, and others are logged", []func(s *logScene){told("Informational", 4*time.Hour), func(s *logScene) { s.says("apac", ciscolog.Status, 3*time.Hour) }}, false},
		{"one is missed, and nothing shows that it would be logged", []func(s *logScene){told("Informational", 4*time.Hour), missed}, true},
		{"one was never there", []func(s *logScene){told("Informational", 4*time.Hour), func(s *logScene) { s.log.Logged = Span{} }}, true},
		{"one is missed, which the peer table tells", []func(s *logScene){told("Informational", 4*time.Hour), missed, func(s *logScene) {
			for _, id := range []mesh.ClusterID{"apac", "amer"} {
				s.emea().Seen.Entries.Value = append(s.emea().Seen.Entries.Value, Entry{Address: string(pub(id)), Protocol: mesh.TCP, LastSync: ago(10 * time.Minute), HasClock: true})
			}
			s.emea().Seen.Entries = Known(s.emea().Seen.Entries.Value, noon)
		}}, false},
		{"it was told after the log was read", []func(s *logScene){told("Informational", -time.Minute), missed}, false},
		{"nobody tells a level", []func(s *logScene){missed}, false},
		{"a level that nobody knows", []func(s *logScene){told("Loud", 4*time.Hour), missed}, false},
		{"somebody told, and not which", []func(s *logScene){told("", 4*time.Hour), missed}, true},
		{"level Error, and a success since", []func(s *logScene){told("Error", 4*time.Hour), missed}, true},
		{"level Error, and none since", []func(s *logScene){told("Error", 2*time.Hour), missed}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newLogScene()
			s.log.Peers = nil
			s.says("amer", ciscolog.Status, 10*time.Minute)
			for _, given := range c.given {
				given(s)
			}
			s.Logs = map[mesh.ClusterID]LogRecord{"emea": s.log}
			if got := s.View().LevelWanted("emea", &s.log, noon); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// How long successes are proven to be logged: stretches that touch are one, and of
// others the later one counts.
func TestStretchesOfTime(t *testing.T) {
	span := func(from, to int) Span {
		return Span{noon.Add(time.Duration(from) * time.Minute), noon.Add(time.Duration(to) * time.Minute)}
	}
	for _, c := range []struct {
		name    string
		a, b, c Span
	}{
		{"one after the other", span(0, 10), span(15, 20), span(0, 20)},
		{"as far apart as may be", span(0, 10), span(20, 30), span(0, 30)},
		{"further apart", span(0, 10), span(21, 30), span(21, 30)},
		{"the other way round", span(20, 30), span(0, 10), span(0, 30)},
		{"the other way round, further apart", span(21, 30), span(0, 10), span(21, 30)},
		{"one within the other", span(0, 30), span(10, 20), span(0, 30)},
		{"nothing before", Span{}, span(10, 20), span(10, 20)},
		{"nothing after", span(10, 20), Span{}, span(10, 20)},
		{"nothing at all", Span{}, Span{}, Span{}},
	} {
		if got := c.a.Then(c.b, 10*time.Minute); got != c.c {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.c)
		}
	}
}
