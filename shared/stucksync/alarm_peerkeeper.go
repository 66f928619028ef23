package stucksync

import (
	"fmt"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

// overdue lists the functions that have begun once and have not completed for
// two periods. stucksync cannot tell of itself; the page and `status` do.
func (t *tick) overdue() []alarm.Firing {
	runs := map[string]store.Run{}
	for name, r := range t.Snapshot.Runs {
		runs[name] = r.Value
	}
	var out []alarm.Firing
	for _, s := range run.Schedules() {
		if s.Function == "stucksync" {
			continue
		}
		if since, overdue := run.Overdue(runs, s.Function, s.Period, t.View.Now); overdue {
			what := "has not completed since"
			if runs[s.Function].Completed.IsZero() {
				what = "has never completed; it was first started at"
			}
			out = append(out, alarm.Firing{Name: alarm.RunOverdue, Subject: s.Function, Since: since,
				Message: fmt.Sprintf("%s %s %s, more than two of its periods (%s)", s.Function, what, since.UTC().Format("2006-01-02 15:04 MST"), plain.Duration(s.Period))})
		}
	}
	return out
}

// selfTestHour is when the day's self-test is sent, in UTC: somebody is awake in
// most places.
const selfTestHour = 9 * time.Hour

// selfTest fires at the first look of the day, and is over at the next.
func (t *tick) selfTest() []alarm.Firing {
	if !t.Mesh.Policy.Notify.SelfTest || t.Lease == nil || t.Lease.Before.Completed.IsZero() {
		return nil
	}
	day := func(at time.Time) time.Time { return at.Add(-selfTestHour).UTC().Truncate(24 * time.Hour) }
	if last := t.Lease.Before.Completed; !day(t.View.Now).After(day(last)) && !instant.Ahead(last, t.View.Now, 0) {
		return nil
	}
	return []alarm.Firing{{Name: alarm.SelfTest, Since: t.View.Now, Message: fmt.Sprintf("This is a test: notices of mesh %s arrive. The next one is due in a day.", t.Mesh.Name)}}
}
