package peer

import (
	"time"

	"peerkeeper/shared/mesh"
)

// ringLength bounds the ring of home counts: two of the longest intervals in
// ticks of five minutes, with room.
const ringLength = 600

// Advance lays a new look over the record of a cluster: facts that this look
// did not bring stay until they are too old, nothing is lowered by a partial
// read, and what jumped back is noticed.
func Advance(prev ClusterRecord, obs Observation, c *mesh.Cluster) ClusterRecord {
	now := obs.At
	next := prev
	next.Seen = merge(prev.Seen, obs)
	next.SilentSince = lost(prev.SilentSince, obs)
	next.Restarted = restarted(prev, obs)
	next.Resets = resets(prev, obs)
	next.Stopped = stopsSeen(prev, obs)
	next.Home = ring(prev, obs, c)
	next.Peaks = peaks(prev, obs, c)
	next.Interval = interval(prev.Interval, obs, c)
	switch {
	case obs.Access.Known():
		next.NoAccessSince = time.Time{}
	case next.NoAccessSince.IsZero():
		next.NoAccessSince = now
	}
	if rewound(prev.Seen, obs, c) {
		next.Rewound = now
	}
	return next
}

func merge(old, obs Observation) Observation {
	m := obs
	m.Topology = obs.Topology.Or(old.Topology)
	m.Users = obs.Users.Or(old.Users)
	if obs.UsersBasis == "" {
		m.UsersBasis = old.UsersBasis
	}
	m.Entries = obs.Entries.Or(old.Entries)
	m.SyncAgent = obs.SyncAgent.Or(old.SyncAgent)
	m.Skew = obs.Skew.Or(old.Skew)
	if obs.AXLVersion == "" && !obs.Users.Known() {
		m.AXLVersion = old.AXLVersion
	}
	m.Nodes = make(map[mesh.NodeName]Node, len(obs.Nodes))
	for name, n := range obs.Nodes {
		o := old.Nodes[name]
		n.Services = n.Services.Or(o.Services)
		n.Version = n.Version.Or(o.Version)
		n.HAState = n.HAState.Or(o.HAState)
		n.HAEnabled = n.HAEnabled.Or(o.HAEnabled)
		n.Parameters = n.Parameters.Or(o.Parameters)
		if !n.Answers.Known() && n.Remarks == nil {
			n.Remarks = o.Remarks
		}
		m.Nodes[name] = n
	}
	return m
}

func lost(prev map[mesh.NodeName]time.Time, obs Observation) map[mesh.NodeName]time.Time {
	var out map[mesh.NodeName]time.Time
	for name, n := range obs.Nodes {
		since, was := prev[name]
		answers, known := n.Answers.Get()
		// A node that takes the request and then hangs has not answered.
		silent := (known && !answers) || (!known && n.Answers.Why() == TimedOut)
		switch {
		case known && answers, !silent && !was:
			continue
		case !was:
			since = obs.At
		}
		if out == nil {
			out = map[mesh.NodeName]time.Time{}
		}
		out[name] = since
	}
	return out
}

// restarted notes the nodes most of whose services have a lower up-time than
// at the look before: the node went down and came back. UpTime, never
// StartTime, which carries no zone.
func restarted(prev ClusterRecord, obs Observation) map[mesh.NodeName]time.Time {
	out := map[mesh.NodeName]time.Time{}
	for name, at := range prev.Restarted {
		if obs.At.Sub(at) < 24*time.Hour {
			out[name] = at
		}
	}
	for name, n := range obs.Nodes {
		if NodeRestarted(prev.Seen.Nodes[name].Services, n.Services) {
			out[name] = obs.At
		}
	}
	return out
}

// NodeRestarted reports whether at least three services, and most of those
// comparable, run for a shorter time than before.
func NodeRestarted(before, after Fact[map[string]Service]) bool {
	old, _ := before.Get()
	cur, _ := after.Get()
	fell, compared := 0, 0
	for name, s := range cur {
		o, had := old[name]
		if !had || o.UpTime < 0 || s.UpTime < 0 {
			continue
		}
		compared++
		if s.UpTime < o.UpTime {
			fell++
		}
	}
	return fell >= 3 && 2*fell > compared
}

func ring(prev ClusterRecord, obs Observation, c *mesh.Cluster) []HomeValue {
	users, ok := countOf(obs.Users, c).Get()
	if !ok {
		return prev.Home
	}
	home := append([]HomeValue(nil), prev.Home...)
	if n := len(home); n > 0 && home[n-1].Users == users {
		home[n-1].To = obs.At
	} else {
		home = append(home, HomeValue{Users: users, From: obs.At, To: obs.At})
	}
	keep := obs.At.Add(-2*mesh.MaxSyncInterval - time.Hour)
	for home[0].To.Before(keep) || len(home) > ringLength { // the newest is of now
		home = home[1:]
	}
	return home
}

// Purposes of the parameters that the dialect maps.
const (
	ParamInterval     = "sync_interval"
	ParamAutoRecovery = "auto_recovery"
	ParamCertSync     = "certificate_sync"
	ParamScheme       = "address_scheme"
	ParamDomain       = "default_domain"
)

// rewound reports whether the cluster looks like one that was restored from a
// backup: a clock in the peer table went backwards, or, where no clock can be
// read, its own users and its copies shrank by a hundredth or more together.
// In a large mesh a few users leave on both sides in any five minutes; that is
// no restore.
func rewound(old, obs Observation, c *mesh.Cluster) bool {
	before, _ := old.Entries.Get()
	after, _ := obs.Entries.Get()
	if back, compared := turnedBack(before, after); compared {
		return back // a restore would have turned it back
	}
	ub, ok1 := old.Users.Get()
	ua, ok2 := obs.Users.Get()
	if !ok1 || !ok2 {
		return false
	}
	var own, ownWere, copies, copiesWere int
	for name, n := range ua {
		if _, is := c.Node(name); is {
			own += n
		} else {
			copies += n
		}
	}
	for name, n := range ub {
		if _, is := c.Node(name); is {
			ownWere += n
		} else {
			copiesWere += n
		}
	}
	shrank := func(is, were int) bool { return is < were && 100*(were-is) >= were }
	return shrank(own, ownWere) && shrank(copies, copiesWere)
}
