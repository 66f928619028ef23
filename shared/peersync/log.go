package peersync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

const (
	logClusters  = 4                // whose logs are read at once
	logDeadline  = 45 * time.Second // wall, one cluster's turn
	logsDeadline = 60 * time.Second // wall, all turns of a tick
)

// readLogs takes the turns at clusters' logs that are due, once the looks of this
// tick are recorded: a log that hangs or lies costs its own cluster a turn, and
// nobody else anything. asked says that somebody waits for these clusters: then
// every log is fetched, due or not.
func (t *tick) readLogs(ctx context.Context, ids []mesh.ClusterID, asked bool) (run.Logs, error) {
	due := t.logsDue(ids, asked)
	ctx, cancel := context.WithTimeout(ctx, logsDeadline)
	defer cancel()
	var sum run.Logs
	var errs []error
	var mu sync.Mutex
	var wg sync.WaitGroup
	places := make(chan struct{}, logClusters)
	for _, d := range due {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break // whose turn has not begun has it at the next tick
		}
		wg.Go(func() {
			defer func() { <-places }()
			g, err := t.readLog(ctx, d)
			mu.Lock()
			defer mu.Unlock()
			sum.Add(g)
			errs = append(errs, err)
		})
	}
	wg.Wait()
	return sum, errors.Join(errs...)
}

// logDue is one cluster's turn that is due.
type logDue struct {
	id mesh.ClusterID
	cluster.LogTurn
}

// logsDue lists them, those that have waited longest first. What was pushed brings
// a turn forward, and gives it no budget of its own.
func (t *tick) logsDue(ids []mesh.ClusterID, asked bool) []logDue {
	view := sync.OnceValue(t.facts.View)
	conditions := func(id mesh.PeerID) []peer.Condition {
		judged, ok := t.judged[id]
		if !ok {
			judged = t.snapshot.Syncs[id].Value
		}
		return peer.Conditions(view(), id, judged, t.snapshot.CertOf(id))
	}
	var due []logDue
	for _, id := range ids {
		c, _ := t.Mesh.Cluster(id)
		doc := t.logs[id]
		r := &doc.Value
		if c.Log == mesh.LogOff || doc.Newer || !t.open(id) {
			continue
		}
		left := r.Left(asked, t.now)
		// A turn that could only ask whether the file has changed is kept for its time.
		forward := left.Requests > listRequests(r.Way) && view().LogBroughtForward(id, r, conditions)
		if !asked && !forward && !r.Due(id, t.facts.Tick, t.now) || view().Upgrading(id) {
			continue
		}
		turn := cluster.LogTurn{Allowance: left, Fetch: asked || forward || view().LogWanted(id, r, conditions),
			Level: r.LevelDue(t.now), LevelWanted: func(after peer.LogRecord) bool { return view().LevelWanted(id, &after, after.Read) }, Apart: view().SuccessesApart(id)}
		most := listRequests(r.Way)
		if turn.Requests <= most+1 && view().LevelWanted(id, r, t.now) {
			turn.Fetch, turn.Level, most = false, true, most+1 // the file has its next turn
		}
		if turn.Fetch && turn.Requests <= listRequests(r.Way) {
			continue // it could only ask whether the file has changed, and leaves less for what is pushed meanwhile
		}
		if !turn.Fetch {
			turn.Allowance = peer.Allowance{Requests: min(turn.Requests, most)}
		}
		if turn.Requests > 0 {
			due = append(due, logDue{id, turn})
		}
	}
	slices.SortStableFunc(due, func(a, b logDue) int {
		return t.logs[a.id].Value.Turn.Compare(t.logs[b.id].Value.Turn)
	})
	return due
}

// readLog takes one cluster's turn. What it may cost is written before, and what
// it cost together with what it brought: a run that is killed in between, or
// overtaken by another, has lost budget and no line.
func (t *tick) readLog(ctx context.Context, due logDue) (peer.LogReading, error) {
	id, turn := due.id, due.LogTurn
	doc := t.logs[id]
	before := doc.Value
	doc.Value = before.Charged(turn.Allowance, t.now)
	doc, ok, err := t.save(ctx, doc)
	if !ok {
		return peer.LogReading{}, err
	}
	g := peer.LogReading{At: t.now, Outcome: peer.LogFailed, Requests: turn.Requests, Bytes: turn.Bytes,
		Problem: string(peer.Crashed), Detail: fmt.Sprintf("reading the log of %s failed inside Peerkeeper; the log of the run says how", id)}
	t.guarded(ctx, id, logDeadline, func(ctx context.Context, client *cluster.Client) (peer.Reason, string) {
		g = client.ReadLog(ctx, t.Mesh, &before, turn, t.now)
		return "", "" // whatever Log Collection refuses, AXL has taken the account
	})
	if g.Outcome == peer.LogFailed {
		t.logger().Warn("a cluster's log was not read", "cluster", id, "problem", g.Problem, "detail", g.Detail)
	}
	doc.Value = doc.Value.After(g)
	doc.Value.Forget(func(home mesh.ClusterID) bool {
		_, is := t.Mesh.Peer(mesh.PeerID{From: id, To: home})
		return is
	})
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveDeadline)
	defer cancel()
	_, _, err = t.save(saving, doc)
	return g, err
}

// saveDeadline bounds writing what a turn brought, also when its time is up.
const saveDeadline = 5 * time.Second

// listRequests is what it takes to ask whether a log has changed: until it is
// known which of two lists it stands in, both may be asked for.
func listRequests(way peer.LogWay) int {
	if way.List == "" {
		return 2
	}
	return 1
}

// save writes a LOG item if it changed, and gives it as it is stored then. ok is
// false if it was not written: without an error, another run was here, and its
// word stands.
func (t *tick) save(ctx context.Context, doc store.Doc[peer.LogRecord]) (saved store.Doc[peer.LogRecord], ok bool, err error) {
	it, changed, err := doc.Change()
	if err != nil || !changed {
		return doc, err == nil, err
	}
	if err := t.Store.Put(ctx, it); err != nil {
		if errors.Is(err, store.ErrConflict) {
			err = nil
		}
		return doc, false, err
	}
	it.Version++
	saved, err = store.Decode[peer.LogRecord](it, doc.Schema)
	return saved, err == nil, err
}
