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
func (j *tick) overdue() []alarm.Firing {
	runs := map[string]store.Run{}
	for name, r := range j.Book.Runs {
		runs[name] = r.Value
	}
	var out []alarm.Firing
	for _, s := range run.Schedules() {
		if s.Function == "stucksync" {
			continue
		}
		if since, overdue := run.Overdue(runs, s.Function, s.Period, j.View.Now); overdue {
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
func (j *tick) selfTest() []alarm.Firing {
	if !j.Mesh.Policy.Notify.SelfTest || j.Lease == nil || j.Lease.Before.Completed.IsZero() {
		return nil
	}
	day := func(t time.Time) time.Time { return t.Add(-selfTestHour).UTC().Truncate(24 * time.Hour) }
	if last := j.Lease.Before.Completed; !day(j.View.Now).After(day(last)) && !instant.Ahead(last, j.View.Now, 0) {
		return nil
	}
	return []alarm.Firing{{Name: alarm.SelfTest, Since: j.View.Now, Message: fmt.Sprintf("This is a test: notices of mesh %s arrive. The next one is due in a day.", j.Mesh.Name)}}
}
