package peer

import (
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// Empty is not healthy: a cluster whose users are gone has equal, empty copies
// everywhere. Its users fell when they are fewer than half of what they were at
// any time within a day, and at least twenty fewer: that is no day's coming and
// going, whether it happened at once or slowly. Only complete reads count.

const (
	fellWithin = 24 * time.Hour
	fellLeast  = 20
	peakEvery  = time.Hour // of peaks one is kept: a day of them is 25
)

// Peak is the greatest count of an hour, and when it was last read.
type Peak struct {
	Users int       `json:"users"`
	At    time.Time `json:"at"`
}

// Fall is users that went away.
type Fall struct {
	Since time.Time `json:"since"`
	From  int       `json:"from"` // the greatest count of the day before
	To    int       `json:"to"`   // the count when it was seen
}

// peaks notes a complete count. A Partial one changes nothing.
func peaks(prev ClusterRecord, obs Observation, c *mesh.Cluster) []Peak {
	users, ok := countOf(obs.Users, c).Get()
	if !ok {
		return prev.Peaks
	}
	out := slices.DeleteFunc(slices.Clone(prev.Peaks), func(p Peak) bool { return obs.At.Sub(p.At) > fellWithin })
	n := len(out)
	switch hour := obs.At.Truncate(peakEvery); {
	case n == 0 || !out[n-1].At.Truncate(peakEvery).Equal(hour):
		out = append(out, Peak{users, obs.At})
	case users >= out[n-1].Users:
		out[n-1] = Peak{users, obs.At}
	}
	return out
}

func fell(from, to int) bool { return 2*to < from && from-to >= fellLeast }

// WatchUsers notes that the cluster's users fell, or are back. It is asked after
// each look. accepted says that a person knows why: they acknowledged the alarm,
// or the cluster is in maintenance. What had fallen before a maintenance began is
// not forgotten for it; what falls within one is the new normal.
func (r *ClusterRecord) WatchUsers(c *mesh.Cluster, acknowledged, maintenance bool) {
	counted := countOf(r.Seen.Users, c)
	users, ok := counted.Get()
	if !ok || !counted.At.Equal(r.Seen.At) {
		return // not read whole at this look
	}
	if f := r.Fell; f != nil {
		switch {
		case !fell(f.From, users):
			r.Fell = nil
		case acknowledged:
			r.Fell, r.Peaks = nil, []Peak{{users, r.Seen.At}}
		}
		return
	}
	if maintenance {
		r.Peaks = []Peak{{users, r.Seen.At}}
		return
	}
	for _, p := range r.Peaks {
		if fell(p.Users, users) && (r.Fell == nil || p.Users > r.Fell.From) {
			r.Fell = &Fall{Since: r.Seen.At, From: p.Users, To: users}
		}
	}
}

// String says what fell, and since when.
func (f *Fall) String() string {
	return fmt.Sprintf("from %d to %d within a day, seen at %s", f.From, f.To, plain.Time(f.Since))
}

// fallFinding is what a person should know of it.
func (r *ClusterRecord) fallFinding(id mesh.ClusterID) string {
	return fmt.Sprintf("the users of %s fell %s; equal copies elsewhere prove nothing, and nothing is done to the cluster until this is acknowledged (`peerkeeper ack`) or the users are back", id, r.Fell)
}
