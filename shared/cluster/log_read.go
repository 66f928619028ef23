package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/logcollection"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/soap"
)

// LogTurn is what a turn at a cluster's log is for, and what it may cost.
type LogTurn struct {
	peer.Allowance
	Fetch bool // fetch the log if it has changed; else only ask whether it has
	// Level has the level of ICSA's alarms asked for, if requests are left for it, and
	// so does LevelWanted, of the record as the turn leaves it.
	Level       bool
	LevelWanted func(peer.LogRecord) bool
	// Apart is how far apart successes may be that show what was logged between.
	Apart time.Duration
}

// ReadLog takes a turn at the log of the cluster's publisher: it asks how the
// file is listed, fetches it if it is another than had has read, and after a
// rotation the newest copy as well. The file is a stream and is never held; of
// its lines the newest words on each peer of m are kept. Whatever the service
// refuses says nothing of the account, which AXL has just taken.
//
// It is called after the cluster was observed, or its clock is not known.
func (c *Client) ReadLog(ctx context.Context, m *mesh.Mesh, had *peer.LogRecord, turn LogTurn, now time.Time) peer.LogReading {
	var cost soap.Counter
	from, done := c.publisher().log.open(&cost)
	defer done()
	r := &logReader{c: c, from: from, cost: &cost, had: had, turn: turn, names: peer.NamesInLogOf(m, c.cluster.ID)}
	g := peer.LogReading{At: now, Way: had.Way, Apart: turn.Apart}
	outcome, err := r.read(ctx, &g)
	if g.Outcome = outcome; err != nil {
		g = peer.LogReading{At: now, Outcome: peer.LogFailed, Problem: string(logcollection.ProblemOf(err)), Detail: plain.Line(err.Error(), 400), Wait: waitAfter(err)}
	} else if nodes := c.levelNodes(had.LevelBy); outcome != peer.LogReadPartly {
		left := turn.Requests - r.asked()
		enough := left >= len(nodes) || left > 0 && had.LevelBy != ""
		if enough && (turn.Level || turn.LevelWanted != nil && turn.LevelWanted(had.After(g))) {
			g.LevelAsked = true
			g.Level, g.LevelBy, g.Requests = c.logLevel(ctx, nodes[:min(left, len(nodes))])
		}
	}
	g.Requests += r.asked()
	g.Bytes = cost.Counts().Received
	(&binder{}).walk(reflect.ValueOf(&g).Elem(), "Log")
	return g
}

// waitAfter is how long a node that has refused its log is left alone; 0 where
// that grows with each failure.
func waitAfter(err error) time.Duration {
	switch logcollection.ProblemOf(err) {
	case logcollection.NoRole, logcollection.NoService, logcollection.NoFile:
		return peer.LogRefusedFor // until somebody has done something about it
	case logcollection.TooLarge:
		return peer.LogTurn
	case logcollection.Throttled:
		wait := 15 * time.Minute // as after RIS's "Exceeded allowed rate"
		var e *soap.Error
		if errors.As(err, &e) {
			wait = max(wait, e.RetryAfter)
		}
		return min(wait, 4*time.Hour)
	}
	return 0
}

// logReader is one turn at a log.
type logReader struct {
	c     *Client
	from  *logcollection.Client
	cost  *soap.Counter
	had   *peer.LogRecord
	turn  LogTurn
	names peer.LogNames
}

func (r *logReader) asked() int { return int(r.cost.Counts().Requests) }

// may reports whether the turn's budget holds another request.
func (r *logReader) may(requests int) bool { return r.asked()+requests <= r.turn.Requests }

// bytes are what an answer may still have.
func (r *logReader) bytes() int64 {
	return min(maxLogRead, r.turn.Bytes-r.cost.Counts().Received)
}

// listNone is in LogWay that the newer service lists no log: what gives the file
// without is the older one.
const listNone = "none"

// list gives the files, and notes in which list they stand. Where nobody lists
// them there are none, and the log may still be read; whether somebody does by now
// is asked as often as the level is: a service that was being started is there
// later, and without a list no rotation can be followed.
func (r *logReader) list(ctx context.Context, way *peer.LogWay) ([]logcollection.File, error) {
	if way.List == listNone {
		if !r.turn.Level {
			return nil, nil
		}
		way.List = ""
	}
	for _, list := range logLists {
		if way.List != "" && way.List != list.name || !r.may(1) {
			continue
		}
		files, err := r.from.Files(ctx, list.selection)
		switch logcollection.ProblemOf(err) {
		case logcollection.None:
		case logcollection.NoService:
			way.List = listNone
			return nil, nil
		case logcollection.NoRole, logcollection.NoAnswer, logcollection.Throttled, logcollection.Other:
			return nil, err
		default:
			return nil, nil // a list that is refused, or cannot be read
		}
		if files = syslogFiles(files); len(files) > 0 {
			way.List = list.name
			return files, nil
		}
	}
	way.List = ""
	return nil, nil
}

// errNoBudget is that the turn's requests or bytes are spent.
var errNoBudget = errors.New("the budget of this turn is spent")

func (r *logReader) read(ctx context.Context, g *peer.LogReading) (peer.LogOutcome, error) {
	files, err := r.list(ctx, &g.Way)
	if err != nil {
		return "", err
	}
	var file logcollection.File // zero where nobody lists it
	if len(files) > 0 && files[0].Path == logPath {
		file = files[0]
	}
	first, at := r.had.Read.IsZero(), r.had.Cursor
	switch {
	case file.Modified != "" && file.Size > 0 && !first && !r.had.Rotated && file.Size == at.Size && file.Modified == at.Modified:
		return peer.LogUnchanged, nil
	case file.Size > maxLogRead:
		return "", &logcollection.TooLargeError{Node: string(r.c.cluster.Publisher), Path: logPath, Max: maxLogRead}
	case !r.turn.Fetch || file.Size > r.bytes():
		return peer.LogNotFetched, nil
	}
	log, err := r.scan(ctx, logPath, &g.Way)
	if errors.Is(err, errNoBudget) {
		return peer.LogNotFetched, nil
	} else if err != nil {
		return "", err
	}
	begins, ends, words := log.extent.First, log.extent.Last, log.words
	g.Logged = log.logged
	g.Unbroken = !first && log.continues(at)
	if !first && !g.Unbroken || first && !log.icsa {
		older, err := r.copy(ctx, files, &g.Way)
		switch problem := logcollection.ProblemOf(err); {
		case err == nil && older != nil:
			g.Unbroken = !first && older.continues(at)
			begins, ends = earliest(older.extent.First, begins), instant.Later(older.extent.Last, ends)
			words = older.words
			words.Merge(log.words)
			g.Logged = older.logged.Then(log.logged, r.turn.Apart)
		case first || r.had.Rotated: // a second try would end like this one
		case errors.Is(err, errNoBudget), problem == logcollection.NoAnswer, problem == logcollection.Throttled:
			g.Words = words
			return peer.LogReadPartly, nil
		}
	}
	g.Words = words
	g.Cursor = peer.LogCursor{At: ends, Line: log.last, Size: file.Size, Modified: file.Modified}
	g.From = g.At
	if skew, _ := r.c.publisher().skew.get(); !begins.IsZero() {
		g.From = earliest(begins.Add(-skew), g.At)
	}
	return peer.LogRead, nil
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// copy reads the newest rotated copy; nil if there is none that can be.
func (r *logReader) copy(ctx context.Context, files []logcollection.File, way *peer.LogWay) (*logPass, error) {
	file, ok := newestCopy(files)
	if !ok || file.Size > maxLogRead {
		return nil, nil
	}
	if file.Size > r.bytes() {
		return nil, errNoBudget
	}
	return r.scan(ctx, file.Path, way)
}

// newestCopy is the copy that was the log until it was rotated: the one with the
// smallest number [K], or, where copies are named by date, with the greatest. One
// that is compressed cannot be read.
func newestCopy(files []logcollection.File) (newest logcollection.File, ok bool) {
	best := 0
	for _, f := range files {
		suffix, rotated := strings.CutPrefix(f.Path, logPath)
		number, err := strconv.Atoi(strings.NewReplacer(".", "", "-", "", "_", "").Replace(suffix))
		if !rotated || suffix == "" || err != nil || number < 0 {
			continue
		}
		if number >= 1000 {
			number = -number
		}
		if !ok || number < best {
			newest, best, ok = f, number, true
		}
	}
	return newest, ok
}

// logPass is what one pass over one file found.
type logPass struct {
	extent ciscolog.Extent
	words  peer.LogWords
	logged peer.Span // its last successes, none of them too far from the one before
	last   string    // hash of its last line that concerns peers
	icsa   bool      // ICSA says something in it
	found  bool      // the cursor's line is in it
}

// continues reports whether nothing is missing between a cursor and the file: its
// line is in it, or, where no line concerned peers yet, the file begins no later
// than what was read then ended.
func (p *logPass) continues(at peer.LogCursor) bool {
	if at.Line != "" {
		return p.found
	}
	return !at.At.IsZero() && !p.extent.First.IsZero() && !p.extent.First.After(at.At)
}

func (r *logReader) scan(ctx context.Context, path string, way *peer.LogWay) (*logPass, error) {
	services := logServices[:]
	switch {
	case slices.Contains(services, logcollection.Service(way.File)):
		services = []logcollection.Service{logcollection.Service(way.File)}
	case way.List == listNone:
		services = []logcollection.Service{logcollection.Old}
	}
	services = services[:min(len(services), max(0, r.turn.Requests-r.asked()))]
	if len(services) == 0 || r.bytes() <= 0 {
		return nil, errNoBudget
	}
	var pass *logPass
	s, err := r.c.scanLog(ctx, r.from, services, path, r.bytes(), func() func(ciscolog.Event) {
		pass = &logPass{}
		return func(e ciscolog.Event) { r.take(pass, e) }
	})
	if err != nil {
		return nil, err
	}
	way.File, pass.extent = string(s.service), s.log
	return pass, nil
}

// take notes one alarm.
func (r *logReader) take(p *logPass, e ciscolog.Event) {
	p.last = fmt.Sprintf("%016x", e.Line)
	p.found = p.found || p.last == r.had.Cursor.Line
	p.icsa = p.icsa || e.Facility == ciscolog.ICSA
	if e.Alarm == ciscolog.ControllerStatus {
		return // that a peer's controller was created is no news
	}
	word := peer.Word{
		Alarm: ciscolog.Alarm(plain.Line(string(e.Alarm), maxName)), At: e.At, Dating: e.Dating,
		Of: plain.Line(cmp.Or(e.Peer, e.Subject), maxName), Text: plain.Line(e.Text, maxText),
	}
	// What lies ahead of the node's own clock is of no instant, or it would be the
	// newest word for as long.
	ahead := r.c.nodeTime(r.c.publisher()).Add(instant.Skew)
	if e.At.After(ahead) {
		word.At, word.Dating = time.Time{}, ciscolog.Undated
	}
	home := r.names.Of(e)
	if e.Alarm == ciscolog.PeriodicSyncingFailure && home != "" {
		if word.Text = plain.Line(fmt.Sprintf("lastSynchronizedTime %s: %s", e.LastSyncedText, e.Text), maxText); !e.LastSynced.IsZero() && !e.LastSynced.After(ahead) {
			p.words.AddLastSynced(home, e.LastSynced)
		}
	}
	if e.Outcome() == ciscolog.Succeeded && word.Dating != ciscolog.Undated {
		skew, _ := r.c.publisher().skew.get()
		at := e.At.Add(-skew)
		p.logged = p.logged.Then(peer.Span{From: at, To: at}, r.turn.Apart)
	}
	p.words.Add(home, e.Outcome(), word)
}

// Characters that are kept of an alarm's name or whom it is about, and of its text.
const (
	maxName = 120
	maxText = 200
)
