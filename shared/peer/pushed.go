package peer

import (
	"maps"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// What nodes push of their logs arrives within seconds, and anybody can send such
// a line: over UDP even in another's name. So a pushed line is a hint. It brings
// the next reading of the cluster's own log forward, and a pushed success puts off
// the raising of that peer's clock until that reading. It contradicts nothing,
// clears nothing, moves no clock and leads to no action.

// pushedApart is the least time from one turn at a log to one that is brought
// forward: whatever is sent, half of the turns' budget stays theirs.
const pushedApart = LogTurn / 2

// PushedAhead is how far a pushed line may lie ahead of our clock when it comes:
// beyond, its instant counts as none, or one forged line would be the newest for
// years. Node clocks that are further ahead are a finding of their own.
const PushedAhead = 15 * time.Minute

// PushRecord is the PUSH item: the newest that a cluster's nodes have pushed.
type PushRecord struct {
	Peers map[mesh.ClusterID]PushedWords `json:"peers,omitempty"`
	// Other is the newest alarm that is about no sync of a peer that is known.
	Other Pushed `json:"other,omitzero"`
	// Written is when the item was: once a minute at the most.
	Written time.Time `json:"written,omitzero"`
}

// PushedWords are the newest pushed words on the syncs of one peer.
type PushedWords struct {
	Success Pushed `json:"success,omitzero"`
	Failure Pushed `json:"failure,omitzero"`
}

// Pushed is one pushed line; the zero one is none.
type Pushed struct {
	Alarm    ciscolog.Alarm `json:"alarm,omitempty"`
	At       time.Time      `json:"at,omitzero"`       // by the node's clock; zero where that is not known
	Received time.Time      `json:"received,omitzero"` // by ours
}

// Take notes one line about the sync of a peer, home being "" where none is known.
// In which order lines come, and how often each, makes no difference.
func (r *PushRecord) Take(home mesh.ClusterID, outcome ciscolog.Outcome, line Pushed) {
	if home == "" || outcome == ciscolog.Neither {
		r.Other = r.Other.or(line)
		return
	}
	if r.Peers == nil {
		r.Peers = map[mesh.ClusterID]PushedWords{}
	}
	words := r.Peers[home]
	if outcome == ciscolog.Succeeded {
		words.Success = words.Success.or(line)
	} else {
		words.Failure = words.Failure.or(line)
	}
	r.Peers[home] = words
}

// Merge lays what another record holds over r.
func (r *PushRecord) Merge(o PushRecord) {
	r.Other = r.Other.or(o.Other)
	r.Peers = maps.Clone(r.Peers)
	for home, words := range o.Peers {
		if words.Success.Alarm != "" {
			r.Take(home, ciscolog.Succeeded, words.Success)
		}
		if words.Failure.Alarm != "" {
			r.Take(home, ciscolog.Failed, words.Failure)
		}
	}
}

// Forget drops what is noted of clusters that are no peers any more.
func (r *PushRecord) Forget(isPeer func(mesh.ClusterID) bool) {
	maps.DeleteFunc(r.Peers, func(home mesh.ClusterID, _ PushedWords) bool { return !isPeer(home) })
}

// Received is when the newest line came.
func (r PushRecord) Received() time.Time {
	at := r.Other.Received
	for _, words := range r.Peers {
		at = instant.Later(at, instant.Later(words.Success.Received, words.Failure.Received))
	}
	return at
}

// or is the newer of two lines by what they say, and of one that came twice the
// first: so their order makes no difference.
func (p Pushed) or(o Pushed) Pushed {
	switch {
	case o.Alarm == "":
		return p
	case p.Alarm == "" || o.At.After(p.At):
		return o
	case p.At.After(o.At):
		return p
	case p.At.IsZero(): // neither says when: what came last is news
		if o.Received.After(p.Received) || o.Received.Equal(p.Received) && o.Alarm > p.Alarm {
			return o
		}
		return p
	case o.Alarm > p.Alarm, o.Alarm == p.Alarm && o.Received.Before(p.Received):
		return o
	}
	return p
}

// unread reports whether a line came since a cluster's log was last read.
func (v *View) unread(p Pushed, log *LogRecord) bool {
	return p.Alarm != "" && p.Received.After(log.Read) && !instant.Ahead(p.Received, v.Now, 0)
}

// LogBroughtForward reports whether a line that was pushed is reason to read a
// cluster's log before its turn: it tells of a failure that the log did not know,
// of something else than a sync, or of a success where one is missed. A success
// of a peer that is known to sync is none.
func (v *View) LogBroughtForward(id mesh.ClusterID, log *LogRecord, conditions func(mesh.PeerID) []Condition) bool {
	pushed, any := v.Pushed[id]
	if !any || log.Read.IsZero() || instant.Holds(log.Retry, v.Now, LogRefusedFor) || v.Now.Sub(log.Turn).Abs() < pushedApart {
		return false
	}
	if v.unread(pushed.Other, log) {
		return true
	}
	for _, p := range pullsOf(v.Mesh, id) {
		words, known := pushed.Peers[p.To], log.Peers[p.To]
		failing := known.Failure.Alarm != "" && !known.Success.At.After(known.Failure.At)
		if v.unread(words.Failure, log) && !(failing && words.Failure.Alarm == known.Failure.Alarm) {
			return true
		}
		if !v.unread(words.Success, log) || !words.Success.At.After(known.Success.At) {
			continue
		}
		all := conditions(p)
		missed := failing || find(all, Synced).Reason != OnInterval
		for _, t := range Causes() {
			missed = missed || find(all, t).Status == False
		}
		if missed {
			return true
		}
	}
	return false
}

// PushedSuccess is the newest success that was pushed of a peer, by our clock, if
// nothing that was read confirms it yet.
func (v *View) PushedSuccess(id mesh.PeerID) (at time.Time, unconfirmed bool) {
	l := v.link(id)
	p, ok := l.pushedSuccess()
	if !ok {
		return time.Time{}, false
	}
	return l.puller.said(Word{At: p.At}), true
}

func (l *link) pushedSuccess() (Pushed, bool) {
	p := l.Pushed[l.puller.ID].Peers[l.home.ID].Success
	c, slack := l.clockAsRead(), time.Duration(0)
	if c.Source == ClockDialect {
		slack = 2 * l.Tick // the table and the log write a success down within minutes
	}
	return p, !p.At.IsZero() && p.At.Sub(c.Told) > slack
}

// putOff puts the raising of a peer's clock off while a success was pushed and the
// log, which is read, was not read since: until that reading, and for a turn at the
// most, whatever else is pushed. What ICSA's own log says of failures is not put
// off. Nor is what was not True just before: an alarm may stand over what could not
// be judged for a while, and True would clear it.
func (l *link) putOff(v verdict, memory SyncRecord, before Condition) verdict {
	if v.status != False || before.Status != True || l.stands(l.words().Failure, memory) {
		return v
	}
	c := l.clock()
	limits := l.limits(c.Last)
	due, _ := limits.First()
	switch v.reason {
	case StuckTwoHours, FourPeriodsMissed:
	case NoSuccessLogged:
		due += limits.Interval
	default:
		return v
	}
	from := c.Last
	if !c.Succeeded() {
		from = memory.FirstSeen
	}
	end := from.Add(due).Add(LogTurn + 2*l.Tick)
	p, pushed := l.pushedSuccess()
	late := l.Now.After(end) || l.Now.Sub(l.puller.said(Word{At: p.At})) > due
	if late || !pushed || !l.logFresh() || l.puller.log.Problem != "" || !l.unread(p, l.puller.log) {
		return v
	}
	return yes(Overdue, v.basis, "%s; but a success was pushed at %s, which the next reading of ICSA's log confirms or not: this turns False then, and at %s at the latest", v.message, plain.Time(p.At), plain.Time(end))
}
