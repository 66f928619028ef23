package peer

import (
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
)

// TestWhichSourceTellsWhenAPeerLastSynced: the peer table, unless the log is clearly
// ahead of it.
func TestWhichSourceTellsWhenAPeerLastSynced(t *testing.T) {
	logs := func(read, success time.Duration) func(*scene) {
		return func(s *scene) {
			entries := s.emea().Seen.Entries
			byLog(read, line{ciscolog.Status, success})(s)
			s.emea().Seen.Entries = entries
		}
	}
	noTable := func(s *scene) { s.emea().Seen.Entries = Unknown[[]Entry](QueryRefused, "fault") }
	for _, c := range []struct {
		name   string
		change func(s *scene)
		source ClockSource
		why    Reason
		last   time.Duration // ago
	}{
		{"the table alone", func(*scene) {}, ClockDialect, "", 10 * time.Minute},
		{"the log is two looks ahead: they tell of one sync", func(s *scene) { logs(0, 20*time.Minute)(s); s.lastSync(30 * time.Minute) }, ClockDialect, "", 30 * time.Minute},
		{"the log is further ahead", func(s *scene) { logs(0, 19*time.Minute)(s); s.lastSync(30 * time.Minute) }, ClockCisco, "", 19 * time.Minute},
		{"the log is ahead, and was read too long ago", func(s *scene) { logs(2*time.Hour, 150*time.Minute)(s); s.lastSync(5 * time.Hour) }, ClockDialect, "", 5 * time.Hour},
		{"the table cannot be read, nor is there a log", noTable, ClockNone, QueryRefused, 0},
		{"the table cannot be read, and the log tells", func(s *scene) { logs(0, 19*time.Minute)(s); noTable(s) }, ClockCisco, "", 19 * time.Minute},
		{"an entry that is gone syncs no more, whatever the log tells", func(s *scene) {
			logs(0, 19*time.Minute)(s)
			s.emea().Seen.Entries.Value = s.emea().Seen.Entries.Value[1:]
		}, ClockNone, PeerMissing, 0},
		{"never synced, by a clock an hour ahead of ours", func(s *scene) {
			s.emea().Seen.Skew = Known(time.Hour, noon)
			s.entry(func(e *Entry) { e.LastSync = time.Time{} })
		}, ClockDialect, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.change(s)
			got := s.View().Clock(watched)
			if got.Source != c.source || got.Why != c.why || got.Last.IsZero() != (c.last == 0) || c.last != 0 && !got.Last.Equal(ago(c.last)) {
				t.Errorf("%+v, want %s %s, %s ago", got, c.source, c.why, c.last)
			}
		})
	}
}

// TestAClockThatIsTurnedBackShowsARestore: where one can be compared.
func TestAClockThatIsTurnedBackShowsARestore(t *testing.T) {
	is := func(address mesh.NodeName, d time.Duration) Entry {
		return Entry{Address: string(address), HasClock: true, LastSync: ago(d)}
	}
	without := func(e Entry) Entry { e.HasClock = false; return e }
	was, old := is("a", 10*time.Minute), is("a", time.Hour)
	for _, c := range []struct {
		name           string
		before, after  []Entry
		back, compared bool
	}{
		{"it runs on", []Entry{old}, []Entry{was}, false, true},
		{"it went back", []Entry{was}, []Entry{old}, true, true},
		{"a minute, which is the node's clock", []Entry{was}, []Entry{is("a", 11*time.Minute)}, false, true},
		{"the second entry's went back", []Entry{is("b", 0), was}, []Entry{is("b", 0), old}, true, true},
		{"another entry's is older", []Entry{was}, []Entry{is("b", time.Hour)}, false, false},
		{"it has no clock any more", []Entry{was}, []Entry{without(old)}, false, false},
		{"it had none before", []Entry{without(was)}, []Entry{old}, false, false},
		{"it was made again", []Entry{was}, []Entry{{Address: "a", HasClock: true}}, false, false},
		{"it had never synced", []Entry{{Address: "a", HasClock: true}}, []Entry{old}, false, false},
	} {
		if back, compared := turnedBack(c.before, c.after); back != c.back || compared != c.compared {
			t.Errorf("%s: back %v (compared %v)", c.name, back, compared)
		}
	}
}
