package peer

import (
	"slices"
	"strconv"
	"time"

	"peerkeeper/shared/mesh"
)

// Interval is ICSA's sync interval as read from the publisher, and what it
// was before: "the new setting takes effect following the next sync".
type Interval struct {
	Value    time.Duration `json:"value"`
	Previous time.Duration `json:"previous,omitempty"`
	Changed  time.Time     `json:"changed,omitzero"`
	// Earlier are the values before Previous, oldest first: a peer that has
	// not synced since then is still governed by one of them.
	Earlier []IntervalWas `json:"earlier,omitempty"`
}

// IntervalWas is a sync interval that was replaced.
type IntervalWas struct {
	Value time.Duration `json:"value"`
	Until time.Time     `json:"until"`
}

// EffectiveInterval is the sync interval that governs a peer whose last sync
// was at lastSync: a new value takes effect after the next sync. The basis is
// Declared where the parameter was not read.
func (r *ClusterRecord) EffectiveInterval(c *mesh.Cluster, lastSync time.Time) (time.Duration, Basis) {
	iv := r.Interval
	if iv.Value == 0 {
		return c.SyncInterval.D(), Declared
	}
	if iv.Previous == 0 || lastSync.After(iv.Changed) {
		return iv.Value, Measured
	}
	for _, was := range iv.Earlier {
		if !lastSync.After(was.Until) {
			return was.Value, Measured
		}
	}
	return iv.Previous, Measured
}

// longestInterval is the longest interval on which any peer of the cluster may
// still be syncing: the value read, or the one before while it may be in effect.
func (r *ClusterRecord) longestInterval(c *mesh.Cluster, now time.Time) time.Duration {
	longest, _ := r.EffectiveInterval(c, now)
	if iv := r.Interval; now.Sub(iv.Changed) <= iv.Previous {
		longest = max(longest, iv.Previous)
	}
	return longest
}

// interval is the sync interval in effect for this peer.
func (l *link) interval() (time.Duration, Basis) {
	return l.puller.record.EffectiveInterval(l.puller.Cluster, l.clock().Last)
}

func interval(prev Interval, obs Observation, c *mesh.Cluster) Interval {
	params, _ := obs.Nodes[c.Publisher].Parameters.Get()
	minutes, err := strconv.Atoi(params[ParamInterval])
	value := time.Duration(minutes) * time.Minute
	if err != nil || value < mesh.MinSyncInterval || value > mesh.MaxSyncInterval {
		return prev
	}
	if value == prev.Value {
		return prev
	}
	if prev.Value == 0 {
		return Interval{Value: value}
	}
	next := Interval{Value: value, Previous: prev.Value, Changed: obs.At}
	if prev.Previous != 0 {
		next.Earlier = append(slices.Clone(prev.Earlier), IntervalWas{Value: prev.Previous, Until: prev.Changed})
		next.Earlier = next.Earlier[max(0, len(next.Earlier)-earlierKept):]
	}
	return next
}

// earlierKept bounds the memory of interval changes.
const earlierKept = 8
