package peer

import (
	"time"

	"peerkeeper/shared/mesh"
)

// SyncRecord is the PEER#…#SYNC item: every condition of one directed peer but
// CertificateTrusted and NamesResolve, and the memory that judging needs.
// It holds nothing that moves while the peer does not.
type SyncRecord struct {
	Conditions []Condition `json:"conditions"`
	// Differs is the episode in which the copy has not equalled the home.
	Differs Difference `json:"differs,omitzero"`
	// Progress is when a change of the home was last seen copied in time.
	Progress time.Time `json:"progress,omitzero"`
	// Copied is when a change of the home was last seen copied, however late: its
	// copy changed and equals it, while the home held still. Some sync brought it.
	Copied time.Time `json:"copied,omitzero"`
	// FirstSeen is where the clock of a peer that has never synced starts: when
	// its entry was first seen, or its first full sync was last seen to bring
	// something. Zero while there is no entry.
	FirstSeen time.Time `json:"firstSeen"`
	// Named are the users that differ, once tier 3 has looked.
	Named *Named `json:"named,omitempty"`
	// Standing is since when the causes that are False have been.
	Standing Standing `json:"standing,omitempty"`
}

// Difference is an episode of a copy that does not equal its home.
type Difference struct {
	// Since is when the same difference began: it begins again whenever a sync
	// has brought the copy closer than it was.
	Since time.Time `json:"since,omitzero"`
	// Least is the smallest difference of the counts in the episode.
	Least int `json:"least,omitempty"`
}

// Named lists users that one side has and the other has not.
type Named struct {
	At      time.Time `json:"at"`
	Missing []string  `json:"missing,omitempty"` // at home, not copied
	Extra   []string  `json:"extra,omitempty"`   // copied, not at home
	More    int       `json:"more,omitempty"`    // beyond those listed
}

// Condition finds a condition by type; the zero Condition if it has not been
// judged yet.
func (r *SyncRecord) Condition(t Type) Condition { return find(r.Conditions, t) }

// Judge gives the peersync conditions of one directed peer. prev is the stored
// record, the zero one for a new peer.
//
// What is remembered comes first; each condition is then a function of the facts
// and of what it is given here, and of no other condition.
func Judge(v *View, id mesh.PeerID, prev SyncRecord) SyncRecord {
	l := v.link(id)
	users := l.compare()
	next := l.remember(prev, users)
	next.Conditions = nil
	for _, x := range []struct {
		which Type
		is    verdict
	}{
		{Configured, l.configured()},
		{Compatible, l.compatible(next)},
		{Reachable, l.reachable(next)},
		{Authenticated, l.authenticated()},
		{ServicesRunning, l.servicesRunning()},
		{UsersMatch, l.usersMatch(users, next)},
		{Synced, l.putOff(l.synced(users, next), next, prev.Condition(Synced))},
		{PresencePath, presencePath()},
	} {
		c := Condition{Type: x.which, Status: x.is.status, Reason: x.is.reason, Basis: x.is.basis, Message: x.is.message}
		next.Conditions = append(next.Conditions, Set(prev.Condition(c.Type), c, v.Now))
		if contradictable(c.Type) {
			next.Standing = next.Standing.afterVerdict(c, v.Now)
		}
	}
	return next
}

// remember is what is known of the peer beyond this look, this look included.
func (l *link) remember(prev SyncRecord, users comparison) SyncRecord {
	next := prev
	switch {
	case l.puller.entries.Known() && !l.hasEntry:
		next.FirstSeen = time.Time{}
	case next.FirstSeen.IsZero():
		next.FirstSeen = l.Now
	}
	if !users.known() {
		return next
	}
	home, copied, since := users.home.Value, users.copied.Value, prev.Differs.Since
	if users.proof != UsersDiffer {
		if limit, _ := l.limits(l.clock().Last).First(); l.Now.Sub(since) <= limit+l.Tick && l.changedSince(since) {
			next.Progress = l.Now
		}
		if !since.IsZero() {
			if l.changedSince(since) && !l.home.record.homeMoved(l.Now) {
				next.Copied = l.Now
			}
			next.Differs, next.Named = Difference{}, nil
		}
		return next
	}
	gap := max(home-copied, copied-home)
	interval, _ := l.interval()
	switch {
	case since.IsZero():
		next.Differs = Difference{Since: l.differsSince(home, copied), Least: gap}
	case gap < prev.Differs.Least:
		next.Differs = Difference{Since: l.Now, Least: gap}
		if c := l.clock(); c.Readable() && !c.Succeeded() {
			next.FirstSeen = l.Now // the first full sync is under way
		}
	case l.unwatched(since, interval):
		next.Differs = Difference{Since: l.Now, Least: gap}
	}
	return next
}
