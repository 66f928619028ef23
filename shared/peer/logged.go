package peer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// What ICSA's own log says of one peer is evidence, and what it does not say is
// none: Cisco's default level lets failures through and no success, a log is read
// once in LogTurn, and may not be readable at all. So a success in it counts
// until its next reading, whatever the clock on the wall says; a failure counts
// if it is newer than every success that is known, also by the peer table; and
// only where it is proven that a success would be there does its absence count,
// and that of a failure only where that would be. What has no instant that can be
// read (of another zone, say) moves no clock and raises nothing, but may be the
// newest: nothing is absent, and nothing over, where it stands last.

const (
	// logAge is how long what a log was read to say stays usable: its turns come
	// every LogTurn, and after a rotation one may wait for its budget.
	logAge = 3 * LogTurn
	// failuresOver is the least time without a failure after which failures are
	// over, where a success is not logged.
	failuresOver = 2 * time.Hour
)

// log is what the cluster's own log says; nil where it is not read.
func (v *View) log(e *end) *LogRecord {
	r, had := v.Logs[e.ID]
	if !had || r.Read.IsZero() || e.Log == mesh.LogOff {
		return nil
	}
	return &r
}

// logFresh reports whether the log was read so lately that it speaks of now.
func (l *link) logFresh() bool {
	return l.puller.log != nil && instant.Fresh(l.puller.log.Read, l.Now, logAge+2*l.Tick)
}

// logNext reports whether no turn at the log can have told more by now.
func (l *link) logNext() bool {
	return l.puller.log != nil && instant.Fresh(l.puller.log.Read, l.Now, LogTurn+3*l.Tick)
}

// words are what the log says of the peer.
func (l *link) words() PeerWords {
	if l.puller.log == nil {
		return PeerWords{}
	}
	return l.puller.log.Peers[l.home.ID]
}

// said is when a word was logged, by our clock.
func (e *end) said(w Word) time.Time {
	skew, _ := e.record.Seen.Skew.Get()
	return w.At.Add(-skew)
}

// logClock is the clock of the log as it was read last: its newest success, or the
// one that Cisco's alarm of a stuck sync tells of.
func (l *link) logClock() Clock {
	w := l.words()
	last := newer(w.Success, w.LastSynced)
	if last.Dating == ciscolog.Undated {
		return Clock{Source: ClockNone, Why: ClockNotReadable}
	}
	_, compared := l.puller.record.Seen.Skew.Get()
	return Clock{Source: ClockCisco, Basis: Cisco, Told: last.At, Last: l.puller.said(last), Read: l.puller.log.Read, Compared: compared}
}

// LastWord is when a cluster's log told last of a peer's syncs, of one that succeeded or one
// that failed, by our clock; zero if it did not, or not when.
func (v *View) LastWord(id mesh.PeerID) time.Time {
	l := v.link(id)
	w := newer(l.words().Success, l.words().Failure)
	if w.At.IsZero() {
		return time.Time{}
	}
	return l.puller.said(w)
}

// failing reports whether ICSA has logged a failure that no success followed, be
// it known by the log or by the peer table. Both are by the puller's clock. One
// that has no instant may have.
func (l *link) failing(w Word) bool {
	words := l.words()
	return w.Dating != ciscolog.Undated && w.At.After(l.clockAsRead().Told) && w.At.After(words.Success.At) && !words.UndatedSuccess
}

// over reports whether a failure that no success followed is over all the same.
// Where a success would be logged, nothing but one ends it. Elsewhere it ends
// when a change of the home was seen copied since, or when no failure of the peer
// came for long enough, though it would have been logged. While a change from
// before it still waits to be copied, silence ends nothing.
func (l *link) over(w Word, memory SyncRecord) bool {
	last := newer(w, l.words().Failure)
	at, waits := l.puller.said(last), memory.Differs.Since
	logged, _ := ciscolog.Status.LoggedAt(l.puller.log.Level)
	switch {
	case logged || l.logsSuccesses(l.puller, l.puller.log, l.puller.log.Read):
		return false
	case memory.Copied.After(at):
		return true
	case !waits.IsZero() && waits.Before(at), l.words().UndatedFailure:
		return false
	}
	return l.puller.silentAfter(last, l.Now)
}

// silentAfter reports whether a log that was read without a gap, and that was
// written to, has held no word like this one for long enough since. It says nothing
// where its level keeps such words out.
func (e *end) silentAfter(w Word, now time.Time) bool {
	if logged, known := w.Alarm.LoggedAt(e.log.Level); known && !logged {
		return false
	}
	from := instant.Later(e.said(w), e.log.Since)
	return e.written().Sub(from) > max(failuresOver, 4*e.record.longestInterval(e.Cluster, now))
}

// written is up to when it is known that the log was written: by its newest line
// of any service that has an instant. A file that stands still may be that of a
// node whose syslog daemon does.
func (e *end) written() time.Time {
	return instant.Earlier(e.log.Read, e.said(Word{At: e.log.Cursor.At}))
}

// stands reports whether a failure in the log still says something of now.
func (l *link) stands(w Word, memory SyncRecord) bool {
	return l.failing(w) && !l.over(w, memory)
}

// FailuresOver reports whether ICSA has logged failures of a peer that are over
// although no success is known: whether it syncs is not known any more.
func (v *View) FailuresOver(id mesh.PeerID, memory SyncRecord) bool {
	l := v.link(id)
	w := l.words().Failure
	return l.logFresh() && l.failing(w) && l.over(w, memory)
}

// logsSuccesses reports whether a success at an instant would be in a cluster's log:
// within the interval before ICSA has logged one, of whichever peer, or its level
// was told to let it through.
func (v *View) logsSuccesses(e *end, r *LogRecord, at time.Time) bool {
	if logged, known := ciscolog.Status.LoggedAt(r.Level); known && !logged {
		return false
	}
	return !r.Logged.To.IsZero() && at.Sub(r.Logged.To) <= e.record.longestInterval(e.Cluster, v.Now)+2*v.Tick
}

// absent reports whether it is proven that no success was logged after an instant
// since when ICSA has logged successes: it still did when the log was read, no line
// is missing, the log was written to after one was due, and no success stands there
// that has no instant, or a name that is none of a peer.
func (l *link) absent(since, due time.Time) bool {
	r := l.puller.log
	switch {
	case !l.logsSuccesses(l.puller, r, r.Read),
		r.Since.IsZero() || r.Since.After(since),
		!l.puller.written().After(due),
		l.words().UndatedSuccess:
		return false
	}
	return !slices.ContainsFunc(r.Cluster, func(w Word) bool {
		return w.Alarm == ciscolog.Status && (w.Dating == ciscolog.Undated || l.puller.said(w).After(since))
	})
}

// syncedByLog stands in where Last Synchronized Time is not readable.
func (l *link) syncedByLog(users comparison, memory SyncRecord) verdict {
	c := l.clock()
	limits := l.limits(c.Last)
	limit, which := limits.First()
	byProgress := l.syncedByProgress(users, memory, limit)
	if !l.logFresh() {
		return byProgress
	}
	r := l.puller.log
	from, last := instant.Later(r.Since, memory.FirstSeen), "ICSA's own log on "+string(l.puller.Publisher)+" holds no success of this peer"
	if c.Succeeded() {
		from = c.Last
		last += " since " + plain.Time(c.Told)
	}
	slack := 2 * l.Tick
	if age := r.Read.Sub(c.Last); c.Succeeded() && age >= -slack && age <= limits.Interval+slack {
		return yes(OnInterval, Cisco, "ICSA's own log on %s shows syncs on its interval of %s (%s)", l.puller.Publisher, plain.Duration(limits.Interval), limits.Basis)
	}
	from = instant.Later(from, r.Logged.From)
	age, due := r.Read.Sub(from), from.Add(limits.Interval)
	if age > limit+limits.Interval {
		due = from.Add(limit)
	}
	switch {
	case byProgress.status == False && !c.Last.After(memory.Differs.Since):
		return byProgress
	case age <= limits.Interval+slack, memory.Copied.After(from), !l.absent(from, due):
	case age > limit+limits.Interval:
		return no(NoSuccessLogged, Inferred, "%s, where successes are logged and no line is missing: that is an interval of %s beyond the limit (%s)", last, plain.Duration(limits.Interval), which)
	case c.Succeeded():
		return yes(Overdue, Inferred, "%s; one sync of %s was missed, this turns False %s after %s", last, plain.Duration(limits.Interval), plain.Duration(limit+limits.Interval), plain.Time(from))
	}
	return unsure(LogHasNoSyncLines, "%s%s; %s", last, l.whyNone(c), byProgress.message)
}

// whyNone says why a log holds no success, and what it holds.
func (l *link) whyNone(c Clock) string {
	r, what := l.puller.log, ""
	if failure := l.words().Failure; failure.Alarm != "" && !failure.At.Before(c.Told) {
		what = ", and " + string(failure.Alarm)
	}
	successes, known := ciscolog.Status.LoggedAt(r.Level)
	failures, _ := ciscolog.PeriodicSyncingFailure.LoggedAt(r.Level)
	switch {
	case l.words().UndatedSuccess:
		return what + " (but lines of successes whose time cannot be read: in a zone that is neither UTC nor an offset, or ahead of the node's clock)"
	case known && !failures:
		return what + fmt.Sprintf(" (Local Syslogs are at level %s: neither successes nor failures are logged there)", r.Level)
	case known && !successes:
		return what + fmt.Sprintf(" (Local Syslogs are at level %s, successes are logged at Informational)", r.Level)
	case !l.logsSuccesses(l.puller, r, r.Read):
		return what + " (whether successes are logged is not known)"
	}
	return what + fmt.Sprintf(" (it was last written %s)", plain.Time(l.puller.written()))
}

// witnessed lays Cisco's own alarm of a stuck sync over a verdict on Synced: it
// makes it False, and of one that is measured to be False it is a second witness.
func (l *link) witnessed(v verdict, memory SyncRecord) verdict {
	w := l.words()
	if !l.logFresh() || !l.stands(w.Periodic, memory) {
		return v
	}
	if v.status == False && v.basis == Measured {
		v.message = strings.Replace(v.message, notCiscos, "and by Cisco's own alarm of this name in ICSA's log", 1)
		return v
	}
	since := ""
	if !w.Failing.IsZero() {
		since = "; its syncs have failed since " + plain.Time(w.Failing)
	}
	last := "its lastSynchronizedTime cannot be read: neither form nor zone of it is documented"
	if c := l.clock(); c.Succeeded() {
		last = "last success " + plain.Time(c.Told)
	}
	return no(CiscoAlarm, Cisco, "Cisco's own alarm %s stands in ICSA's log on %s%s; %s", ciscolog.PeriodicSyncingFailure, l.puller.Publisher, since, last)
}

// causesLogged are the alarms of ICSA that name why a peer's syncs fail.
var causesLogged = map[ciscolog.Alarm]struct {
	falsifies Type
	reason    Reason
	says      string // of the puller, the peer, and its publisher
}{
	ciscolog.PeerDown:            {Reachable, PeerDown, "ICSA of %[1]s does not reach %[3]s of %[2]s on TCP port 8443"},
	ciscolog.AXLClientTimeout:    {Reachable, AxlClientTimeout, "AXL on %[3]s of %[2]s does not answer ICSA of %[1]s in time"},
	ciscolog.DomainConflict:      {Compatible, DomainConflict, "ICSA of %[1]s reports a domain conflict with %[2]s; it retries every 30 min"},
	ciscolog.CertificateMismatch: {CertificateTrusted, CertificateRefused, "ICSA of %[1]s refuses the certificate of %[3]s: its fingerprint is another than that in its trust store"},
	ciscolog.CertificateInvalid:  {CertificateTrusted, CertificateRefused, "ICSA of %[1]s cannot validate the certificate of %[3]s"},
}

// causeLogged is what ICSA itself names as the reason why the peer's syncs fail,
// if it falsifies a condition: False while the log speaks of now, Unknown once it
// was not read for too long.
func (l *link) causeLogged(t Type, memory SyncRecord) (verdict, bool) {
	w := l.words().Cause
	cause, known := causesLogged[w.Alarm]
	if !known || cause.falsifies != t || !l.stands(w, memory) || l.words().Failure.At.Sub(w.At) > failuresApart {
		return verdict{}, false // also where failures that name no cause have gone on for long
	}
	what := fmt.Sprintf(cause.says, l.id.From, l.id.To, l.home.Publisher)
	return l.byLog(w, cause.reason, what), true
}

// byLog is the verdict that a line that stands leads to.
func (l *link) byLog(w Word, why Reason, what string) verdict {
	what += fmt.Sprintf(" (%s in its log)", w.Alarm)
	if !l.logFresh() {
		return unsure(Stale, "the log of %s was last read %s; it says: %s", l.puller.Publisher, plain.Time(l.puller.log.Read), what)
	}
	return no(why, Cisco, "%s", what)
}

// duplicateLogged is ICSA's word that an entry for the peer names a second node of
// a cluster that has an entry already. The syncs of the first go on, so that their
// success ends nothing: a day does, or a table without the second.
func (l *link) duplicateLogged() (verdict, bool) {
	w := l.puller.logged(func(w Word) bool { return w.Alarm == ciscolog.PeerDuplicate && w.Peer == l.id.To })
	at, entries := l.puller.said(w), l.puller.entries
	second := l.other != nil || slices.ContainsFunc(entries.Value, func(x Entry) bool { return mesh.SameName(x.Address, w.Of) })
	if w.Dating == ciscolog.Undated || l.Now.Sub(at) > eventFor || entries.Known() && entries.At.After(at) && !second {
		return verdict{}, false
	}
	return l.byLog(w, PeerDuplicate, fmt.Sprintf("an entry of %s for %s is a second one: it names another node of a peer that has its entry", l.id.From, l.id.To)), true
}

// heapLogged is ICSA's word that it ran out of memory, for every peer that it pulls.
func (l *link) heapLogged() (verdict, bool) {
	w := l.puller.heapError()
	if w.Alarm == "" {
		return verdict{}, false
	}
	return l.byLog(w, HeapSpaceError, fmt.Sprintf("ICSA on %s has run out of heap space and was not restarted since", l.puller.Publisher)), true
}

// heapError is ICSA's word that it ran out of memory, until it was started again or
// has synced with a peer all the same; zero if there is none. That it says so no
// more shows nothing: without memory it says little.
func (e *end) heapError() Word {
	w := e.logged(func(w Word) bool { return w.Alarm == ciscolog.HeapSpaceError })
	services := e.record.Seen.Nodes[e.Publisher].Services
	agent := services.Value[ICSA]
	restarted := agent.Started() && agent.UpTime >= 0 && services.At.Add(-agent.UpTime).After(e.said(w))
	synced := slices.ContainsFunc(e.pulls, func(l *link) bool {
		return l.clockAsRead().Told.After(w.At) || l.words().UndatedSuccess
	})
	if w.Dating == ciscolog.Undated || restarted || synced {
		return Word{}
	}
	return w
}

// logged is the newest word about the cluster itself that fits; zero if none does.
func (e *end) logged(fits func(Word) bool) Word {
	var found Word
	if e.log != nil {
		for _, w := range e.log.Cluster {
			if fits(w) {
				found = newer(found, w)
			}
		}
	}
	return found
}

// lostToICSA reports whether ICSA of the puller has not reached the home since an
// instant, having failed of it no earlier: then it is a witness. What it could not
// reach before says nothing.
func (l *link) lostToICSA(since time.Time) bool {
	w := l.words()
	cause := causesLogged[w.Cause.Alarm]
	began := l.puller.said(Word{At: w.Failing})
	return cause.falsifies == Reachable && l.logFresh() && l.failing(w.Cause) && l.puller.said(w.Cause).After(since.Add(-l.Tick)) && began.After(since.Add(-2*l.Tick))
}

// NextTurnTells reports whether a peer is known by its log alone, and a sync of it
// has been due since that was read: its next turn tells whether it came.
func (v *View) NextTurnTells(id mesh.PeerID) bool {
	l := v.link(id)
	c := l.clock()
	interval, _ := l.interval()
	return c.Source == ClockCisco && l.logNext() && v.Now.Sub(c.Last) > interval+2*v.Tick
}

// failuresGoOn reports whether Cisco's alarm of a stuck sync was raised after ICSA
// started, and failures of the peer were logged until the log was last read.
func (l *link) failuresGoOn(started time.Time) bool {
	w := l.words()
	interval, _ := l.interval()
	return l.logNext() && l.puller.said(w.Periodic).After(started) && l.puller.log.Read.Sub(l.puller.said(w.Failure)) <= interval+2*l.Tick
}
