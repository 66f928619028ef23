package plain

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "unknown", 0: "under 1 min", 59 * time.Second: "under 1 min", time.Minute: "1 min", 30 * time.Minute: "30 min",
		119*time.Minute + 59*time.Second: "1 h 59 min", 2 * time.Hour: "2 h", 65 * time.Minute: "1 h 5 min",
		24 * time.Hour: "1 d", 72*time.Hour + 59*time.Minute: "3 d", 76 * time.Hour: "3 d 4 h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 peers", 1: "1 peer", 2: "2 peers", 870: "870 peers"} {
		if got := Count(n, "peer", "peers"); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
