package peer

import (
	"reflect"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

func TestWhatIsNotAheadIsLeftAsItIs(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	at := now.Add(-time.Hour)
	r := ClusterRecord{NoAccessSince: at, UserSetAttempted: at, Home: []HomeValue{{From: at, To: now.Add(30 * time.Second)}}, SilentSince: map[mesh.NodeName]time.Time{"a": at}}
	want := r
	want.Home = []HomeValue{{From: at, To: now.Add(30 * time.Second)}}
	r.Reclock(now)
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v, want %+v", r, want)
	}
	log := LogRecord{Since: at, Turn: at, LevelAt: at, Retry: now.Add(time.Minute), Logged: Span{From: at, To: now}}
	if log.Reclock(now); !log.Since.Equal(at) || !log.Turn.Equal(at) || !log.LevelAt.Equal(at) || log.Retry.IsZero() || log.Logged != (Span{at, now}) {
		t.Errorf("%+v", log)
	}
	log = LogRecord{Turn: now.Add(72 * time.Hour), LevelAt: now.Add(72 * time.Hour), Since: now.Add(72 * time.Hour), Logged: Span{From: at, To: now.Add(72 * time.Hour)}}
	if log.Reclock(now); !log.Turn.IsZero() || !log.LevelAt.IsZero() || !log.Since.Equal(now) || log.Logged != (Span{}) {
		t.Errorf("noted by a clock three days ahead: %+v", log)
	}
	r.Fell = &Fall{Since: now.Add(72 * time.Hour), From: 200}
	if r.Reclock(now); !r.Fell.Since.Equal(now) {
		t.Errorf("users fell at %v, which is to come", r.Fell.Since)
	}
	s := StateRecord{Ladder: &Ladder{ForceBy: now.Add(2 * time.Hour)}}
	s.Reclock(2*time.Hour, now)
	if !s.Ladder.ForceBy.Equal(now.Add(2 * time.Hour)) {
		t.Error("a person is given less time than the policy has it")
	}
	s.Reclock(time.Hour, now)
	if !s.Ladder.ForceBy.Equal(now.Add(time.Hour)) {
		t.Error("a person is waited for longer than the policy has it")
	}
}
