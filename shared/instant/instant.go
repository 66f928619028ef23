// Package instant compares instants that are stored with the clock.
//
// The writer of an instant had a clock of its own: another machine's, or this
// one's before it was put right. An instant that lies ahead of the clock is
// therefore another clock's. What keeps Peerkeeper from looking (a lease, a
// delivered schedule, a time at which something is due) does not hold when it
// lies further ahead than it could have been set by this clock; otherwise a
// clock that was wrong once would leave a mesh unwatched for as long.
//
// It owns this comparison and no instant. What keeps Peerkeeper from acting is
// the gate's, and errs the other way.
package instant

import "time"

// Skew is how far two clocks that are kept right may differ. NTP keeps them
// within milliseconds; a minute is what a machine shows that has just begun.
const Skew = time.Minute

// Ahead says whether an instant lies further ahead of now than length, which
// is as far as this clock could have set it: another clock did.
func Ahead(at, now time.Time, length time.Duration) bool {
	return at.Sub(now) > length+Skew
}

// Holds says whether what was set to end at until still holds at now. length is
// how long such a thing holds when it begins.
func Holds(until, now time.Time, length time.Duration) bool {
	return now.Before(until) && !Ahead(until, now, length)
}

// Due says whether what was last done at last, and is done every period, is due
// at now. What was never done is, and so is what another clock did.
func Due(last, now time.Time, period time.Duration) bool {
	return last.IsZero() || now.Sub(last) >= period || Ahead(last, now, 0)
}

// Fresh says whether what was seen at at is no older than age, by either clock:
// what was seen further ahead than that is another clock's and says nothing of
// now.
func Fresh(at, now time.Time, age time.Duration) bool {
	return now.Sub(at).Abs() <= age
}

// Later is the later one of two instants.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Earlier is the earlier one of two instants.
func Earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// CountAsNow sets every instant that lies ahead of now to now. So are put right
// the instants since when something is so: what waits for a time since one of them
// would else wait for as long as the clock that noted it was ahead.
func CountAsNow(now time.Time, all ...*time.Time) {
	for _, at := range all {
		if Ahead(*at, now, 0) {
			*at = now
		}
	}
}

// CountAllAsNow is CountAsNow for the values of a map.
func CountAllAsNow[K comparable](now time.Time, all map[K]time.Time) {
	for k, at := range all {
		if Ahead(at, now, 0) {
			all[k] = now
		}
	}
}
