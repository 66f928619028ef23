package run

import (
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/store"
)

// Schedule is when a function is due and how long one run of it may take.
type Schedule struct {
	Function string
	Period   time.Duration // 0: it is not on a clock
	Offset   time.Duration // from the period's start, so that two functions do not meet at the clusters
	Lease    time.Duration // timeout < lease < period
}

// Schedules are the functions that run by the clock.
func Schedules() []Schedule {
	return []Schedule{
		{Function: "peersync", Period: 5 * time.Minute, Lease: 4 * time.Minute},
		{Function: "stucksync", Period: 5 * time.Minute, Offset: 2*time.Minute + 30*time.Second, Lease: 4 * time.Minute},
		// Each cluster every peer.CertLook; more often where something is mended.
		{Function: "certcheck", Period: 15 * time.Minute, Offset: time.Minute, Lease: 12 * time.Minute},
		// A plan is advanced at once when somebody has said something to it.
		{Function: "peering", Period: 5 * time.Minute, Offset: 3*time.Minute + 45*time.Second, Lease: 4 * time.Minute},
		// What only a person changes: once a day is enough, and --now asks sooner.
		{Function: "preflight", Period: 24 * time.Hour, Offset: 3*time.Hour + 19*time.Minute, Lease: 12 * time.Minute},
	}
}

// Find gives a function's schedule.
func Find(function string) (Schedule, bool) {
	for _, s := range Schedules() {
		if s.Function == function {
			return s, true
		}
	}
	return Schedule{}, false
}

// Next is when the schedule is due after an instant.
func (s Schedule) Next(after time.Time) time.Time {
	due := after.Add(-s.Offset).Truncate(s.Period).Add(s.Offset)
	for !due.After(after) {
		due = due.Add(s.Period)
	}
	return due
}

// Overdue says since when a function is overdue, if it is: it has not completed
// for two periods. One that has never completed counts from the first start, so
// that starting it again and again does not pass for running; one that never
// began is not overdue, because nobody runs it here. runs are all functions'
// records.
//
// A completion that lies ahead of the clock is another clock's. What has not
// been begun since is then counted from where the other functions' runs show
// this clock to begin.
func Overdue(runs map[string]store.Run, function string, period time.Duration, now time.Time) (since time.Time, overdue bool) {
	r, began := runs[function]
	if !began {
		return time.Time{}, false
	}
	others := func(at time.Time) bool { return at.IsZero() || instant.Ahead(at, now, 0) }
	since = r.Completed
	if others(since) {
		since = r.FirstStarted
	}
	if others(since) {
		since = time.Time{}
		for _, x := range runs {
			if !others(x.ClockSince) && (since.IsZero() || x.ClockSince.Before(since)) {
				since = x.ClockSince
			}
		}
	}
	return since, !since.IsZero() && now.Sub(since) > 2*period
}
