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
	// Since is when the same difference began: it begins anew whenever a sync
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
func Judge(v *View, id mesh.PeerID, prev SyncRecord) SyncRecord {
	l := newLink(v, id, &prev)
	next := prev
	switch {
	case l.entries().Known() && !l.hasEntry:
		next.FirstSeen = time.Time{}
	case next.FirstSeen.IsZero():
		next.FirstSeen = v.Now
	}
	users := l.users(&next)
	if l.homeRecord.Fell != nil && users.status == True {
		users = unsure(UsersFell, "%s holds what %s has, and %s's users fell %s: that both hold equally little proves nothing", l.id.From, l.id.To, l.id.To, l.homeRecord.Fell)
	}
	verdicts := []struct {
		t Type
		v verdict
	}{
		{Configured, l.configured()},
		{Compatible, l.compatible()},
		{Reachable, l.reachable()},
		{Authenticated, l.authenticated()},
		{ServicesRunning, l.servicesRunning()},
		{UsersMatch, users},
		{Synced, l.synced(&next)},
		{PresencePath, unsure(NotObservable, "nothing outside the clusters can see the XMPP path on port 7400; user sync says nothing about it")},
	}
	next.Conditions = make([]Condition, 0, len(verdicts))
	for _, x := range verdicts {
		c := Condition{Type: x.t, Status: x.v.status, Reason: x.v.reason, Basis: x.v.basis, Message: x.v.message}
		next.Conditions = append(next.Conditions, Set(prev.Condition(x.t), c, v.Now))
		if contradictable(x.t) {
			var atFault []string
			if c.Status == False {
				atFault = []string{string(c.Reason)}
			}
			next.Standing = next.Standing.After(x.t, atFault, func(string) bool { return c.Status == UnknownStatus }, v.Now)
		}
	}
	return next
}
