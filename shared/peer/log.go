package peer

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
)

// ICSA says in the log of the publisher that pulls how each sync went: a line of
// severity 6 for a success, one of severity 2 for most failures. Cisco's default
// level is 3, so a line is evidence and a missing one is not: what the lines can
// prove hangs on the level, and on whether every line was read.
//
// The log is fetched whole each time, so that reading it has a budget of its own,
// apart from that of the looks.

const (
	// LogTurn is how often a log is looked at: ICSA's shortest sync interval, and
	// also where the interval is longer, for a failure is told at any time.
	LogTurn = mesh.MinSyncInterval

	logHour          = time.Hour
	logRequests      = 4        // per cluster and hour
	logRequestsAsked = 12       // where a person or a plan waits
	logBytes         = 64 << 20 // per cluster and hour, of answers
	logLarge         = 4 << 20  // a file beyond this is fetched once an hour

	logLongestBackoff = 4 * time.Hour  // after silence and faults: LogTurn, doubled each time
	LogRefusedFor     = 24 * time.Hour // after a refusal that only a person can mend

	levelEvery = 24 * time.Hour
	logSeldom  = 6 * time.Hour // a log is fetched, whatever the reason
)

// LogRecord is the LOG item: what a cluster's log has said so far, and how far
// it has been read. Cursor and words are written together, after the budget was:
// a run that is killed in between has lost budget and nothing else.
type LogRecord struct {
	LogWords
	Cursor LogCursor `json:"cursor,omitzero"`
	// Read is when the log was last known to its end: read, or found unchanged.
	Read time.Time `json:"read,omitzero"`
	// Since is from when, by our clock, every line up to Read has been seen. Zero
	// before the first read.
	Since time.Time `json:"since,omitzero"`
	// Rotated says that the log was rotated and the copy is not read yet: Cursor
	// and Read stand still until it is.
	Rotated bool   `json:"rotated,omitempty"`
	Way     LogWay `json:"way,omitzero"`
	// Level is that of ICSA's Local Syslogs as it was told at LevelAt; "" where nobody
	// could. LevelBy is the node that told it last.
	Level   ciscolog.Level `json:"level,omitempty"`
	LevelBy string         `json:"levelBy,omitempty"`
	LevelAt time.Time      `json:"levelAt,omitzero"`
	// Logged is as far as ICSA is proven to log its successes: by successes of its
	// peers that it logged, and by nodes that told its level. What it would have
	// logged before is not known.
	Logged Span `json:"logged,omitzero"`
	// Turn is when the newest turn began, and Spent what turns of the last hour
	// cost. A turn is charged before it begins with all that it may cost.
	Turn  time.Time  `json:"turn,omitzero"`
	Spent []LogSpent `json:"spent,omitempty"`
	// Problem is why the newest turn failed, in Log Collection's word; "" if it did
	// not. Failures counts those in a row, and before Retry nothing is asked.
	Problem  string    `json:"problem,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Failures int       `json:"failures,omitempty"`
	Retry    time.Time `json:"retry,omitzero"`
}

// Span is a stretch of time, by our clock; zero if there is none.
type Span struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// Then is the span with another one. Where more than apart lies between them, only
// the later one counts.
func (s Span) Then(o Span, apart time.Duration) Span {
	switch {
	case s.To.IsZero(), !o.To.IsZero() && o.From.Sub(s.To) > apart:
		return o
	case o.To.IsZero(), s.From.Sub(o.To) > apart:
		return s
	}
	return Span{instant.Earlier(s.From, o.From), instant.Later(s.To, o.To)}
}

// LogCursor is how far a log has been read. All of it is the node's own word, its
// clock included.
type LogCursor struct {
	At   time.Time `json:"at,omitzero"`    // of the last line that has an instant
	Line string    `json:"line,omitempty"` // hash of the last line that concerns peers; "" if there was none
	// Size and Modified are how the file was listed before it was read.
	Size     int64  `json:"size,omitempty"`
	Modified string `json:"modified,omitempty"` // a text: its zone is an abbreviation
}

// LogWay is what is known of how a node serves its log, so that it is not found
// out again at each turn.
type LogWay struct {
	List string `json:"list,omitempty"` // in which list the log stands, or that there is none
	File string `json:"file,omitempty"` // the service that gave the file
}

// LogSpent is what one turn cost, or may have.
type LogSpent struct {
	At       time.Time `json:"at"`
	Requests int       `json:"requests"`
	Bytes    int64     `json:"bytes,omitempty"`
}

// LogWords is what a log says, the newest of each kind.
type LogWords struct {
	Peers map[mesh.ClusterID]PeerWords `json:"peers,omitempty"`
	// Cluster are those about no peer that is known, and those about a peer that
	// are not about a sync, the newest last.
	Cluster []Word `json:"cluster,omitempty"`
}

// PeerWords are the newest words on the syncs of one peer; a zero Word is none.
type PeerWords struct {
	Success Word `json:"success,omitzero"`
	Failure Word `json:"failure,omitzero"`
	// UndatedSuccess and UndatedFailure say that such lines without an instant stand
	// after every line on the peer that has one: when they were logged, and which of
	// them came last, is not known.
	UndatedSuccess bool `json:"undatedSuccess,omitempty"`
	UndatedFailure bool `json:"undatedFailure,omitempty"`
	// Failing is when the first of the failures was logged of which Failure is the
	// newest: no success stands between them, and no pause of failuresApart.
	Failing  time.Time `json:"failing,omitzero"`
	Cause    Word      `json:"cause,omitzero"`    // the newest failure whose alarm names a cause
	Periodic Word      `json:"periodic,omitzero"` // Cisco's own alarm of a stuck sync
	// LastSynced is the newest success that Periodic has told of: At is
	// lastSynchronizedTime, where its form could be read.
	LastSynced Word `json:"lastSynced,omitzero"`
}

// Word is one alarm. Its texts are the cluster's own, cleaned and cut.
type Word struct {
	Alarm ciscolog.Alarm `json:"alarm"`
	// At is by the node's clock; zero where Dating is Undated.
	At     time.Time       `json:"at,omitzero"`
	Dating ciscolog.Dating `json:"dating,omitempty"`
	// Peer and Of are whom it is about, in LogWords.Cluster: the peer, or a name
	// that is none of a peer, or of several.
	Peer mesh.ClusterID `json:"peer,omitempty"`
	Of   string         `json:"of,omitempty"`
	Text string         `json:"text,omitempty"`
}

// clusterWords bounds the words of a cluster.
const clusterWords = 50

// failuresApart is the pause after which failures are others: ICSA tries again
// within 30 min at the latest, whatever failed.
const failuresApart = 2 * time.Hour

// Add notes what a log says of the sync of a peer, home being "" where none is
// known, in the order of its lines.
func (w *LogWords) Add(home mesh.ClusterID, outcome ciscolog.Outcome, word Word) {
	if home == "" || outcome == ciscolog.Neither {
		word.Peer = home
		w.addCluster(word)
		return
	}
	word.Of = ""
	p := w.Peers[home]
	undated := word.Dating == ciscolog.Undated
	p.UndatedSuccess = undated && (p.UndatedSuccess || outcome == ciscolog.Succeeded)
	p.UndatedFailure = undated && (p.UndatedFailure || outcome != ciscolog.Succeeded)
	if outcome == ciscolog.Succeeded {
		word.Text = "" // it always says the same
		p.Success = newer(p.Success, word)
	} else {
		p.fail(word.At, word)
		if word.Alarm == ciscolog.PeriodicSyncingFailure {
			p.Periodic = newer(p.Periodic, word)
		}
		if _, names := causesLogged[word.Alarm]; names {
			p.Cause = newer(p.Cause, word)
		}
	}
	w.put(home, p)
}

// fail notes failures of which the first was logged at first and the newest is
// word.
func (p *PeerWords) fail(first time.Time, word Word) {
	had := p.Failure
	p.Failure = newer(had, word)
	if p.Failure != had && (had.Dating == ciscolog.Undated || p.Success.At.After(had.At) || first.Sub(had.At) > failuresApart) {
		p.Failing = first
	}
}

// AddLastSynced notes a success that a later failure of the same peer tells of.
func (w *LogWords) AddLastSynced(home mesh.ClusterID, at time.Time) {
	p := w.Peers[home]
	p.LastSynced = newer(p.LastSynced, Word{Alarm: ciscolog.PeriodicSyncingFailure, At: at, Dating: ciscolog.Dated})
	w.put(home, p)
}

func (w *LogWords) put(home mesh.ClusterID, p PeerWords) {
	if w.Peers == nil {
		w.Peers = map[mesh.ClusterID]PeerWords{}
	}
	w.Peers[home] = p
}

// newer is the later of two words, of which b was said after a where nothing
// tells. A word without an instant is no news against one that has one.
func newer(a, b Word) Word {
	if b.Dating == ciscolog.Undated && a.Dating != ciscolog.Undated || b.Dating != ciscolog.Undated && b.At.Before(a.At) {
		return a
	}
	return b
}

// same reports whether two words say the same of the same.
func (w Word) same(o Word) bool { return o.Alarm == w.Alarm && o.Peer == w.Peer && o.Of == w.Of }

// addCluster keeps the newest word of each alarm about the same that has an
// instant, the newest of those after it that have none, and of too many the newest.
func (w *LogWords) addCluster(word Word) {
	said, dated := word, word.Dating != ciscolog.Undated
	w.Cluster = slices.DeleteFunc(w.Cluster, func(o Word) bool {
		if !o.same(said) || o.Dating != ciscolog.Undated && !dated {
			return false
		}
		if dated {
			word = newer(o, word)
		}
		return true
	})
	i, _ := slices.BinarySearchFunc(w.Cluster, word, func(o, word Word) int {
		if o.At.After(word.At) {
			return 1
		}
		return -1 // those of the same instant stay before it
	})
	w.Cluster = slices.Insert(w.Cluster, i, word)
	if len(w.Cluster) > clusterWords {
		oldest := max(0, slices.IndexFunc(w.Cluster, func(o Word) bool { return o.Dating != ciscolog.Undated }))
		w.Cluster = slices.Delete(w.Cluster, oldest, oldest+1)
	}
}

// Merge lays later words over w.
func (w *LogWords) Merge(later LogWords) {
	w.Peers, w.Cluster = maps.Clone(w.Peers), slices.Clone(w.Cluster)
	for home, l := range later.Peers {
		p := w.Peers[home]
		for _, x := range []struct {
			had *Word
			got Word
		}{{&p.Success, l.Success}, {&p.Cause, l.Cause}, {&p.Periodic, l.Periodic}, {&p.LastSynced, l.LastSynced}} {
			if x.got.Alarm != "" {
				*x.had = newer(*x.had, x.got)
			}
		}
		if l.Failure.Alarm != "" {
			p.fail(l.Failing, l.Failure)
		}
		if l.Success.Alarm != "" || l.Failure.Alarm != "" {
			p.UndatedSuccess, p.UndatedFailure = l.UndatedSuccess, l.UndatedFailure // the last lines are the later's
		}
		w.put(home, p)
	}
	for _, dated := range []bool{true, false} { // in the order of the lines
		for _, word := range later.Cluster {
			if dated == (word.Dating != ciscolog.Undated) {
				w.addCluster(word)
			}
		}
	}
}

// LogOutcome is how a turn at a log ended.
type LogOutcome string

// The outcomes.
const (
	LogUnchanged  LogOutcome = "unchanged"  // as it was when it was last read
	LogNotFetched LogOutcome = "notFetched" // it has changed, and there was no reason, or no budget, to fetch it
	LogRead       LogOutcome = "read"
	LogReadPartly LogOutcome = "readPartly" // it was rotated, and there was no budget for the copy
	LogFailed     LogOutcome = "failed"
)

// LogReading is what one turn at a cluster's log brought.
type LogReading struct {
	At      time.Time // when it began, by our clock
	Outcome LogOutcome
	Words   LogWords
	// Cursor is the new one of LogRead. Unbroken says that nothing is missing
	// between the one before and what was read; From is where that begins, by our
	// clock.
	Cursor   LogCursor
	Unbroken bool
	From     time.Time
	// Logged are the last successes in it of which none is more than Apart after
	// the one before.
	Logged Span
	Apart  time.Duration
	Way    LogWay
	// LevelAsked says that the level was asked for; Level is "" if nobody told.
	LevelAsked bool
	Level      ciscolog.Level
	LevelBy    string
	// What it cost: Log Collection's and AXL's requests, and bytes of answers.
	Requests int
	Bytes    int64
	// Problem and Detail are of LogFailed; Wait is how long the node is left alone,
	// 0 where that grows with each failure.
	Problem, Detail string
	Wait            time.Duration
}

// Due reports whether a cluster's log is to be looked at now: once in LogTurn,
// each cluster at its own time in it, so that those of a mesh do not meet.
func (r *LogRecord) Due(id mesh.ClusterID, tick time.Duration, now time.Time) bool {
	if instant.Holds(r.Retry, now, LogRefusedFor) {
		return false
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // a hash takes everything
	offset := time.Duration(h.Sum64()%uint64(LogTurn/time.Second)) * time.Second
	turn := func(at time.Time) time.Time { return at.Add(-offset).Truncate(LogTurn) }
	last := r.Turn
	if last.IsZero() {
		last = now.Add(-2 * tick) // the first turn waits for its time too
	}
	return turn(now).After(turn(last)) || instant.Ahead(last, now, 0)
}

// Allowance is what a turn may cost.
type Allowance struct {
	Requests int
	Bytes    int64
}

// Left is what the last hour has left of a cluster's budget; asked says that a
// person or a plan waits. Nothing is left where what is to be done cannot be done
// with it: to follow a rotation takes three requests.
func (r *LogRecord) Left(asked bool, now time.Time) Allowance {
	left := Allowance{Requests: logRequests, Bytes: logBytes}
	if asked {
		left.Requests = logRequestsAsked
	}
	fetched := false
	for _, s := range r.spent(now) {
		left.Requests -= s.Requests
		left.Bytes -= s.Bytes
		fetched = fetched || s.Bytes > logLarge
	}
	if fetched && !asked {
		left.Bytes = min(left.Bytes, logLarge)
	}
	if left.Requests < 1 || left.Bytes < 0 || r.Rotated && left.Requests < 3 {
		return Allowance{}
	}
	return left
}

// spent are the charges that count. One from ahead of the clock is another
// clock's, and keeps nobody from looking.
func (r *LogRecord) spent(now time.Time) []LogSpent {
	var out []LogSpent
	for _, s := range r.Spent {
		if now.Sub(s.At) < logHour && !instant.Ahead(s.At, now, 0) {
			out = append(out, s)
		}
	}
	return out
}

// Charged is the record with a turn that begins now and may cost all of that.
func (r LogRecord) Charged(a Allowance, now time.Time) LogRecord {
	r.Turn = now
	r.Spent = append(r.spent(now), LogSpent{At: now, Requests: a.Requests, Bytes: a.Bytes})
	return r
}

// LevelDue reports whether the level is to be asked for again, whatever the log says.
func (r *LogRecord) LevelDue(now time.Time) bool { return instant.Due(r.LevelAt, now, levelEvery) }

// LevelWanted reports whether the level of a cluster's log is to be asked for
// because of what the log says, or does not: when it was read a success was missed,
// and at an instant nothing shows any more that it would be there; or there are
// successes in spite of the level that was told. Where nobody tells a level, nobody
// is asked again.
func (v *View) LevelWanted(id mesh.ClusterID, log *LogRecord, at time.Time) bool {
	e := v.end(id)
	logged, known := ciscolog.Status.LoggedAt(log.Level)
	switch {
	case log.LevelBy == "", !log.LevelAt.Before(log.Read), log.Level != "" && !known:
		return false
	case known && !logged:
		return log.Logged.To.After(log.LevelAt)
	}
	return !v.logsSuccesses(e, log, at) && slices.ContainsFunc(e.pulls, func(l *link) bool {
		last := log.Peers[l.home.ID].Success
		interval, _ := l.interval()
		return !l.tableClock().Readable() && (last.Dating == ciscolog.Undated || log.Read.Sub(e.said(last)) > interval+2*v.Tick)
	})
}

// SuccessesApart is how far apart the successes may be that a cluster's ICSA logs,
// or a success and what a node tells of its level, and yet show that it has logged
// them all the time. In it fit a success, the turn at the log that misses the next
// one, and the turn that asks for the level; and a level that was low for less hides
// too few successes of one peer to make it look stuck.
func (v *View) SuccessesApart(id mesh.ClusterID) time.Duration {
	e := v.end(id)
	interval := e.record.longestInterval(e.Cluster, v.Now)
	limit, _ := limitsOf(interval, "").First()
	return min(interval+2*LogTurn+4*v.Tick, limit-v.Tick)
}

// After is a charged record after its turn.
func (r LogRecord) After(g LogReading) LogRecord {
	r.Spent = slices.Clone(r.Spent)
	if n := len(r.Spent); n > 0 {
		s := &r.Spent[n-1]
		s.Requests, s.Bytes = g.Requests, min(s.Bytes, g.Bytes) // a listing alone is charged no bytes
	}
	if g.Outcome == LogFailed {
		r.Way = LogWay{} // whatever was known of it may be what fails
		r.Problem, r.Detail = g.Problem, g.Detail
		wait := g.Wait
		if wait == 0 {
			wait = min(LogTurn<<min(r.Failures, 10), logLongestBackoff)
		}
		r.Failures, r.Retry = r.Failures+1, g.At.Add(wait)
		return r
	}
	r.Way = g.Way
	r.Problem, r.Detail, r.Failures, r.Retry = "", "", 0, time.Time{}
	r.Merge(g.Words)
	r.Logged = r.Logged.Then(g.Logged, g.Apart)
	if g.LevelAsked {
		r.Level, r.LevelBy, r.LevelAt = g.Level, cmp.Or(g.LevelBy, r.LevelBy), g.At
		if logged, _ := ciscolog.Status.LoggedAt(g.Level); logged {
			r.Logged = r.Logged.Then(Span{g.At, g.At}, g.Apart)
		}
	}
	switch g.Outcome {
	case LogUnchanged:
		r.Read = g.At
	case LogReadPartly:
		r.Rotated = true
	case LogRead:
		if !g.Unbroken || r.Since.IsZero() {
			r.Since = g.From
		}
		r.Cursor, r.Read, r.Rotated = g.Cursor, g.At, false
	}
	return r
}

// Forget drops what is remembered of clusters that are no peers any more.
func (r *LogRecord) Forget(isPeer func(home mesh.ClusterID) bool) {
	gone := func(home mesh.ClusterID) bool { return home != "" && !isPeer(home) }
	maps.DeleteFunc(r.Peers, func(home mesh.ClusterID, _ PeerWords) bool { return gone(home) })
	r.Cluster = slices.DeleteFunc(r.Cluster, func(w Word) bool { return gone(w.Peer) })
}

// LogWanted reports whether the log of a cluster is worth fetching before its
// next turn: a cause of one of the peers that it pulls is False, a home is out of
// sight, something that the log told stands, or the clock of a peer could come to
// its next threshold. A clock that the database tells is read at every tick, and
// needs no log while it runs; what else the log may tell waits for logSeldom.
func (v *View) LogWanted(id mesh.ClusterID, log *LogRecord, conditions func(mesh.PeerID) []Condition) bool {
	r := v.record(id)
	c, ok := v.Mesh.Cluster(id)
	if !ok {
		return false
	}
	if instant.Due(log.Read, v.Now, logSeldom) || len(v.end(id).ciscoAlarms(v.Now)) > 0 {
		return true
	}
	skew, _ := r.Seen.Skew.Get()
	for _, p := range pullsOf(v.Mesh, id) {
		if v.Visibility(p.To).Verdict != Visible {
			return true
		}
		all := conditions(p)
		for _, t := range Causes() {
			if find(all, t).Status == False {
				return true
			}
		}
		if synced := find(all, Synced); synced.Reason == OnInterval && synced.Basis != Cisco {
			continue
		}
		last := log.Peers[p.To].Success
		if last.Dating == ciscolog.Undated {
			return true
		}
		at := last.At.Add(-skew)
		interval, _ := r.EffectiveInterval(c, at)
		if v.Now.Add(LogTurn).Sub(at) > interval+2*v.Tick {
			return true
		}
	}
	return false
}
