package peer

import (
	"time"

	"peerkeeper/shared/instant"
)

// An instant since when something is so, and that lies ahead of the clock, was
// noted by another clock: it counts as now. Otherwise whatever waits for a time
// since then (a grace, a witness's interval, a cooling) would wait for as long as
// that clock was ahead. The owner of the record writes it so, and the time runs
// from there. When something was read is left as it is: a reading from ahead of
// the clock is no reading of now (Fact.Fresh), and is taken again.

// Reclock puts right what another clock noted of a cluster.
func (r *ClusterRecord) Reclock(now time.Time) {
	for name, leaf := range r.Leaves {
		instant.CountAsNow(now, &leaf.First)
		r.Leaves[name] = leaf
	}
	instant.CountAsNow(now, &r.NoAccessSince, &r.Rewound, &r.Interval.Changed)
	if instant.Ahead(r.UserSetAttempted, now, 0) {
		r.UserSetAttempted = time.Time{} // it keeps from looking: as if never tried
	}
	for i := range r.Home {
		instant.CountAsNow(now, &r.Home[i].From, &r.Home[i].To)
	}
	for i := range r.Interval.Earlier {
		instant.CountAsNow(now, &r.Interval.Earlier[i].Until)
	}
	for i := range r.Peaks {
		instant.CountAsNow(now, &r.Peaks[i].At)
	}
	if r.Fell != nil {
		instant.CountAsNow(now, &r.Fell.Since)
	}
	for i := range r.Resets {
		instant.CountAsNow(now, &r.Resets[i].At)
	}
	instant.CountAllAsNow(now, r.SilentSince)
	instant.CountAllAsNow(now, r.Restarted)
	for _, byService := range r.Stopped {
		for service, stop := range byService {
			instant.CountAsNow(now, &stop.Since, &stop.Ran)
			byService[service] = stop
		}
	}
	reclockFindings(r.Findings, now)
}

// Reclock puts right what another clock noted of a cluster's log. When it was
// looked at, and what that cost, keeps from looking: as if it had not been. Its
// words and its cursor are by the node's clock.
func (r *LogRecord) Reclock(now time.Time) {
	instant.CountAsNow(now, &r.Since)
	for _, at := range []*time.Time{&r.Turn, &r.LevelAt} {
		if instant.Ahead(*at, now, 0) {
			*at = time.Time{}
		}
	}
	if instant.Ahead(r.Retry, now, LogRefusedFor) {
		r.Retry = time.Time{}
	}
	if instant.Ahead(r.Logged.To, now, 0) {
		r.Logged = Span{}
	}
	r.Spent = r.spent(now)
}

// Reclock puts right what another clock noted of a peer.
func (r *SyncRecord) Reclock(now time.Time) {
	instant.CountAsNow(now, &r.Differs.Since, &r.Progress, &r.Copied, &r.FirstSeen)
	instant.CountAllAsNow(now, r.Standing)
	reclockConditions(r.Conditions, now)
}

// Reclock puts right what another clock noted of a peer's certificates.
func (r *CertRecord) Reclock(now time.Time) {
	instant.CountAsNow(now, &r.LeafFirst, &r.LeafSeen)
	instant.CountAllAsNow(now, r.Standing)
	reclockConditions(r.Conditions, now)
}

// Reclock puts right what another clock noted of a peer's state. wait is
// policy.waitForPeople: a person was never given longer than that.
func (r *StateRecord) Reclock(wait time.Duration, now time.Time) {
	instant.CountAsNow(now, &r.Since)
	for i := range r.Flips {
		instant.CountAsNow(now, &r.Flips[i].At)
	}
	if l := r.Ladder; l != nil {
		instant.CountAsNow(now, &l.Entered, &l.LastTry, &l.Tried, &l.OthersTry)
		if instant.Ahead(l.ForceBy, now, wait) {
			l.ForceBy = now.Add(wait)
		}
	}
}

func reclockConditions(all []Condition, now time.Time) {
	for i := range all {
		instant.CountAsNow(now, &all[i].Since)
	}
}

func reclockFindings(all []Finding, now time.Time) {
	for i := range all {
		instant.CountAsNow(now, &all[i].Since)
	}
}
