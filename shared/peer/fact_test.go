package peer

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFactsKeepWhatWasReadWhole(t *testing.T) {
	old, now := ago(5*time.Minute), noon
	cases := []struct {
		name       string
		newer, was Fact[int]
		at         time.Time // when it is looked at
		want       Fact[int]
	}{
		{"a new look wins", Known(2, now), Known(1, old), now, Known(2, now)},
		{"a failed look keeps the value a tick old", Unknown[int](TimedOut, "30 s"), Known(1, old), now, Fact[int]{KnownFact, 1, old, TimedOut, "30 s", ""}},
		{"a half look keeps the whole value", Partial(7, now, RowsIncomplete, "cut"), Known(1, old), now, Fact[int]{KnownFact, 1, old, RowsIncomplete, "cut", ""}},
		{"a half look is more than nothing", Partial(7, now, RowsIncomplete, "cut"), Unknown[int](TimedOut, ""), now, Partial(7, now, RowsIncomplete, "cut")},
		{"too old, and nobody looked since", Known(1, old), Fact[int]{}, now.Add(tick + time.Second), Unknown[int](Stale, "last read 2026-03-02T11:55:00Z")},
		{"too old, and later looks failed: their reason speaks", Unknown[int](ServiceNotActive, "404"), Known(1, old), now.Add(tick + time.Second), Unknown[int](ServiceNotActive, "404; last read 2026-03-02T11:55:00Z")},
		{"never looked at", Fact[int]{}, Fact[int]{}, now, Fact[int]{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.newer.Or(c.was).Fresh(c.at, 2*tick)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
