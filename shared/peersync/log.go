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
	var due []mesh.ClusterID
	for _, id := range ids {
		c, _ := t.Mesh.Cluster(id)
		doc := t.book.Logs[id]
		if c.Log != mesh.LogOff && !doc.Newer && t.open(id) && !t.view.Upgrading(id) && (asked || doc.Value.Due(id, t.view.Tick, t.now)) {
			due = append(due, id)
		}
	}
	slices.SortStableFunc(due, func(a, b mesh.ClusterID) int { // the one that has waited longest first
		return t.book.Logs[a].Value.Turn.Compare(t.book.Logs[b].Value.Turn)
	})
	ctx, cancel := context.WithTimeout(ctx, logsDeadline)
	defer cancel()
	var sum run.Logs
	var errs []error
	var mu sync.Mutex
	var wg sync.WaitGroup
	places := make(chan struct{}, logClusters)
	for _, id := range due {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break // whose turn has not begun has it at the next tick
		}
		wg.Go(func() {
			defer func() { <-places }()
			g, err := t.readLog(ctx, id, asked)
			mu.Lock()
			defer mu.Unlock()
			sum.Add(g)
			errs = append(errs, err)
		})
	}
	wg.Wait()
	return sum, errors.Join(errs...)
}

// readLog takes one cluster's turn. What it may cost is written before, and what
// it cost together with what it brought: a run that is killed in between, or
// overtaken by another, has lost budget and no line.
func (t *tick) readLog(ctx context.Context, id mesh.ClusterID, asked bool) (peer.LogReading, error) {
	doc := t.book.Logs[id]
	turn := cluster.LogTurn{Allowance: doc.Value.Left(asked, t.now), Fetch: asked || t.view.LogWanted(id, &doc.Value, t.conditions), Level: doc.Value.LevelDue(t.now)}
	if !turn.Fetch {
		turn.Allowance = peer.Allowance{Requests: min(turn.Requests, listRequests(doc.Value.Way))}
	}
	if turn.Requests == 0 {
		return peer.LogReading{}, nil
	}
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

// conditions are a peer's, as this tick judged them where it did.
func (t *tick) conditions(id mesh.PeerID) []peer.Condition {
	sync, ok := t.judged[id]
	if !ok {
		sync = t.book.Syncs[id].Value
	}
	return peer.Conditions(t.view, id, sync, t.book.CertOf(id))
}
