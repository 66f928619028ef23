package plain

import (
	"fmt"
	"time"
)

// Duration is a duration as people say it, to the minute and without what is
// nothing: "30 min", "2 h", "1 h 5 min", "3 d", "3 d 4 h", "under 1 min". A
// negative one stands for none that is known: "unknown".
func Duration(d time.Duration) string {
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case d < 0:
		return "unknown"
	case days > 0 && hours > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case days > 0:
		return fmt.Sprintf("%d d", days)
	case hours > 0 && minutes > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%d h", hours)
	case minutes > 0:
		return fmt.Sprintf("%d min", minutes)
	}
	return "under 1 min"
}

// Time is an instant as people read it, in UTC and to the minute.
func Time(t time.Time) string {
	if t.IsZero() {
		return "a time that is not known"
	}
	return t.UTC().Format("2006-01-02 15:04 MST")
}

// Count is a number of things: "1 peer", "2 peers".
func Count(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}
