package instant_test

import (
	"testing"
	"time"

	"peerkeeper/shared/instant"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestWhatAWrongClockLeftBehindDoesNotKeepFromLooking(t *testing.T) {
	const lease = 4 * time.Minute
	for _, c := range []struct {
		name  string
		ahead time.Duration // the stored instant, from now
		holds bool          // a lease until then
		due   bool          // what was done then, every four minutes
		fresh bool          // what was seen then, good for four minutes
	}{
		{"a lease just begun", lease, true, true, true},
		{"about to end", time.Second, true, false, true},
		{"ended this moment", 0, false, false, true},
		{"done just now", -time.Second, false, false, true},
		{"done a lease ago", -lease, false, true, true},
		{"done a lease and a second ago", -lease - time.Second, false, true, false},
		{"begun on a machine whose clock is 30 s ahead", lease + 30*time.Second, true, true, false},
		{"begun by a clock two minutes ahead", lease + 2*time.Minute, false, true, false},
		{"done by a clock half a minute ahead", 30 * time.Second, true, false, true},
		{"done by a clock two minutes ahead", 2 * time.Minute, true, true, true},
		{"by a clock five hours ahead", 5 * time.Hour, false, true, false},
		{"by a clock a year ahead", 365 * 24 * time.Hour, false, true, false},
	} {
		at := noon.Add(c.ahead)
		if got := instant.Holds(at, noon, lease); got != c.holds {
			t.Errorf("%s: holds %v, want %v", c.name, got, c.holds)
		}
		if got := instant.Due(at, noon, lease); got != c.due {
			t.Errorf("%s: due %v, want %v", c.name, got, c.due)
		}
		if got := instant.Fresh(at, noon, lease); got != c.fresh {
			t.Errorf("%s: fresh %v, want %v", c.name, got, c.fresh)
		}
	}
	if !instant.Due(time.Time{}, noon, time.Hour) || instant.Holds(time.Time{}, noon, time.Hour) {
		t.Error("what never was is due, and holds nothing")
	}
}
