package peer

import (
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
)

// An instant since when something is so, and that lies ahead of the clock, was
// noted by another clock: it counts as now. Otherwise whatever waits for a time
// since then (a grace, a witness's interval, a cooling) would wait for as long as
// that clock was ahead. The owner of the record writes it so, and the time runs
// from there. When something was read is left as it is: a reading from ahead of
// the clock is no reading of now (Fact.Fresh), and is taken again.

// since puts instants right.
func countAsNow(now time.Time, all ...*time.Time) {
	for _, at := range all {
		if instant.Ahead(*at, now, 0) {
			*at = now
		}
	}
}

func countAllAsNow[K comparable](now time.Time, all map[K]time.Time) {
	for k, at := range all {
		if instant.Ahead(at, now, 0) {
			all[k] = now
		}
	}
}

// Reclock puts right what another clock noted of a cluster.
func (r *ClusterRecord) Reclock(now time.Time) {
	for name, leaf := range r.Leaves {
		countAsNow(now, &leaf.First)
		r.Leaves[name] = leaf
	}
	countAsNow(now, &r.NoAccessSince, &r.Rewound, &r.Interval.Changed)
	if instant.Ahead(r.UserSetAttempted, now, 0) {
		r.UserSetAttempted = time.Time{} // it keeps from looking: as if never tried
	}
	for i := range r.Home {
		countAsNow(now, &r.Home[i].From, &r.Home[i].To)
	}
	for i := range r.Interval.Earlier {
		countAsNow(now, &r.Interval.Earlier[i].Until)
	}
	for i := range r.Peaks {
		countAsNow(now, &r.Peaks[i].At)
	}
	if r.Fell != nil {
		countAsNow(now, &r.Fell.Since)
	}
	countAllAsNow(now, r.SilentSince)
	countAllAsNow(now, r.Restarted)
	for _, byService := range r.Stopped {
		for service, stop := range byService {
			countAsNow(now, &stop.Since, &stop.Ran)
			byService[service] = stop
		}
	}
	reclockFindings(r.Findings, now)
}

// Reclock puts right what another clock noted of a cluster's certificates.
func (r *CertClusterRecord) Reclock(now time.Time) {
	*r = r.Unpacked() // what is stored once is in its places
	for _, places := range []map[mesh.NodeName]map[string]Served{r.Served, r.Ports, r.Identity} {
		for _, byPlace := range places {
			for place, s := range byPlace {
				countAsNow(now, &s.First, &s.Sighted, &s.Agreed)
				byPlace[place] = s
			}
		}
	}
	for _, store := range r.Trust {
		countAllAsNow(now, store.Lacks)
		countAllAsNow(now, store.Came)
	}
	for i := range r.Servers {
		countAsNow(now, &r.Servers[i].Since)
	}
	reclockFindings(r.Findings, now)
}

// Reclock puts right what another clock noted of a peer.
func (r *SyncRecord) Reclock(now time.Time) {
	countAsNow(now, &r.Differs.Since, &r.Progress, &r.FirstSeen)
	countAllAsNow(now, r.Standing)
	reclockConditions(r.Conditions, now)
}

// Reclock puts right what another clock noted of a peer's certificates.
func (r *CertRecord) Reclock(now time.Time) {
	countAsNow(now, &r.LeafFirst, &r.LeafSeen)
	countAllAsNow(now, r.Standing)
	reclockConditions(r.Conditions, now)
}

// Reclock puts right what another clock noted of a peer's state. wait is
// policy.waitForPeople: a person was never given longer than that.
func (r *StateRecord) Reclock(wait time.Duration, now time.Time) {
	countAsNow(now, &r.Since)
	for i := range r.Flips {
		countAsNow(now, &r.Flips[i].At)
	}
	if l := r.Ladder; l != nil {
		countAsNow(now, &l.Entered, &l.LastTry, &l.Tried, &l.OthersTry)
		if instant.Ahead(l.ForceBy, now, wait) {
			l.ForceBy = now.Add(wait)
		}
	}
}

func reclockConditions(all []Condition, now time.Time) {
	for i := range all {
		countAsNow(now, &all[i].Since)
	}
}

func reclockFindings(all []Finding, now time.Time) {
	for i := range all {
		countAsNow(now, &all[i].Since)
	}
}
