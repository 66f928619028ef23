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
		{"a half look stays while later ones bring nothing", Unknown[int](TimedOut, "30 s"), Partial(7, old, RowsIncomplete, "cut"), now, Partial(7, old, RowsIncomplete, "cut")},
		{"a later half look takes the place of a half one", Partial(8, now, RowsIncomplete, "cut"), Partial(7, old, RowsIncomplete, "cut"), now, Partial(8, now, RowsIncomplete, "cut")},
		{"what is cut now is told beside the whole value", Fact[int]{Knowledge: PartialFact, Reason: RowsIncomplete, Cut: "users"}, Known(1, old), now, Fact[int]{KnownFact, 1, old, RowsIncomplete, "", "users"}},
		{"and what was cut then while nothing is", Unknown[int](TimedOut, ""), Fact[int]{Knowledge: KnownFact, Value: 1, At: old, Cut: "users"}, now, Fact[int]{KnownFact, 1, old, TimedOut, "", "users"}},
		{"too old, and a later look failed without a word", Unknown[int](TimedOut, ""), Known(1, old), now.Add(tick + time.Second), Unknown[int](TimedOut, "last read 2026-03-02T11:55:00Z")},
		{"known of no instant", Fact[int]{Knowledge: KnownFact, Value: 1}, Fact[int]{}, now, Unknown[int](Stale, "not read yet")},
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

func TestWhyNothingIsKnown(t *testing.T) {
	if never, failed := (Fact[int]{}).Why(), Unknown[int](TimedOut, "").Why(); never != NotChecked || failed != TimedOut {
		t.Errorf("never looked at: %s, failed: %s", never, failed)
	}
}
