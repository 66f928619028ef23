// Package peersync looks: once per tick it observes every cluster of a mesh,
// judges every directed peer from that one set of observations, and records
// both.
//
// It owns the CLUSTER, BUCKETS, LOG, USERS, AUTH and PEER…#SYNC items. It never changes a cluster
// and never raises an alarm. A cluster that cannot be read leaves its facts as
// they were, to grow too old; it never makes a number smaller.
package peersync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

const (
	clusterDeadline = 45 * time.Second // wall, one cluster's look
	setDeadline     = 90 * time.Second // wall, every user of one cluster
	spare           = 30 * time.Second // observing stops this long before the context ends
	namesKept       = 20               // user IDs kept per direction of a difference
	maxDifferPairs  = 8                // pairs whose users are named in one tick
)

// Peersync is the use case. All fields are needed but Log.
type Peersync struct {
	Mesh     *mesh.Mesh
	Store    store.Store
	Clusters *cluster.Connector
	Now      func() time.Time
	Log      *slog.Logger
}

// Handle carries out one tick.
func (p *Peersync) Handle(ctx context.Context, req run.Request) (run.Answer, error) {
	r := run.Runner{Schedule: schedule(), Mesh: p.Mesh, Store: p.Store, Now: p.Now}
	return r.Once(ctx, req, func(ctx context.Context, _ *store.Lease) (run.Answer, error) {
		return p.tick(ctx, req)
	})
}

func schedule() run.Schedule {
	s, _ := run.Find("peersync")
	return s
}

// tick holds what one tick works on.
type tick struct {
	*Peersync
	now      time.Time
	snapshot *record.Snapshot
	facts    peer.Facts
	// buckets are the BUCKETS items as they were loaded; reread are the clusters
	// whose digests were asked for at this tick.
	buckets map[mesh.ClusterID]store.Doc[peer.BucketRecord]
	reread  map[mesh.ClusterID]bool
	logs    map[mesh.ClusterID]store.Doc[peer.LogRecord]
	pushed  map[mesh.ClusterID]peer.PushRecord
	users   *usersRead // of the cluster whose users were read at this tick; nil if none was

	mu      sync.Mutex
	clients map[mesh.ClusterID]*cluster.Client

	judged map[mesh.PeerID]peer.SyncRecord
}

func (p *Peersync) tick(ctx context.Context, req run.Request) (run.Answer, error) {
	t := &tick{Peersync: p, now: p.Now(), clients: map[mesh.ClusterID]*cluster.Client{}, reread: map[mesh.ClusterID]bool{}, judged: map[mesh.PeerID]peer.SyncRecord{}}
	snapshot, rest, err := record.LoadAhead(ctx, p.Store, p.Mesh)
	if err != nil {
		return run.Answer{}, err
	}
	snapshot.ReclockClusters(t.now)
	t.snapshot, t.facts = snapshot, snapshot.Facts(p.Mesh, schedule().Period, t.now)
	decoded := make(chan error, 1)
	go func() { // while the clusters are waited for
		unreadRest := rest()
		buckets, unread := snapshot.Buckets(p.Mesh)
		logs, unreadLogs := snapshot.Logs(p.Mesh, t.now)
		t.buckets, t.logs = buckets, logs
		pushed, _, err := record.Pushed(ctx, p.Store, p.Mesh)
		if err != nil { // hints, without which everything is as it would be
			p.logger().Warn("what nodes pushed is not taken into account", "error", err)
		}
		t.pushed = pushed
		decoded <- errors.Join(unreadRest, unread, unreadLogs)
	}()
	looking := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		looking, cancel = context.WithDeadline(ctx, end.Add(-spare))
		defer cancel()
	}
	observed := t.observe(looking, req.Only)
	if err := <-decoded; err != nil {
		return run.Answer{}, errors.Join(t.unnoted(), err)
	}
	snapshot.ReclockPeers(p.Mesh, t.now)
	t.facts.Logs, t.facts.Pushed = record.LogsRead(t.logs), t.pushed
	t.facts.Buckets = map[mesh.ClusterID]peer.Fact[peer.Buckets]{}
	for id, doc := range t.buckets {
		t.facts.Buckets[id] = doc.Value.Buckets
	}
	t.readUserDetail(looking, observed)
	answer := t.judge(looking, observed)
	if req.DryRun {
		return answer, nil
	}
	errs := []error{t.unnoted(), t.recordUsers(ctx), t.record(ctx, observed)}
	logs, err := t.readLogs(looking, observed, len(req.Only) > 0)
	answer.Logs = logs
	return answer, errors.Join(append(errs, err)...)
}

// observe looks at every cluster at once; one that panics, hangs or refuses
// costs only its own facts.
func (t *tick) observe(ctx context.Context, only []mesh.ClusterID) []mesh.ClusterID {
	var ids []mesh.ClusterID
	var wg sync.WaitGroup
	for i := range t.Mesh.Clusters {
		c := &t.Mesh.Clusters[i]
		if len(only) > 0 && !slices.Contains(only, c.ID) {
			continue
		}
		ids = append(ids, c.ID)
		prev := t.snapshot.Clusters[c.ID].Value
		wg.Go(func() {
			obs := t.look(ctx, c, prev.Seen)
			t.mu.Lock()
			defer t.mu.Unlock()
			next := peer.Advance(prev, obs, c)
			if client := t.clients[c.ID]; client != nil {
				next.NoteLeaves(c, client.Leaves(), t.now)
			}
			t.facts.Clusters[c.ID] = &next
		})
	}
	wg.Wait()
	return ids
}

// look observes one cluster, under the guard of its account.
func (t *tick) look(ctx context.Context, c *mesh.Cluster, prev peer.Observation) (obs peer.Observation) {
	defer func() {
		if r := recover(); r != nil {
			// What panicked stays out of the record: it may read otherwise each time.
			obs = cluster.Unobserved(c, peer.Crashed, fmt.Sprintf("looking at %s failed inside Peerkeeper; the log of the run says how", c.ID), t.now)
			t.crashed(c, r)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, clusterDeadline)
	defer cancel()
	client, err := t.Clusters.Open(ctx, c, record.AccountGuardOf(t.Store, t.Mesh.Name, c, mesh.ReadAccount, t.Now), t.snapshot.Accepted())
	if err != nil {
		var refused *cluster.Refused
		if errors.As(err, &refused) {
			return cluster.Unobserved(c, refused.Reason, refused.Message, t.now)
		}
		return cluster.Unobserved(c, peer.NoCredentials, "not asked: "+err.Error(), t.now)
	}
	t.mu.Lock()
	t.clients[c.ID] = client
	t.mu.Unlock()
	return client.Observe(ctx, prev, t.now)
}

// guarded runs a look beyond the first. One that panics costs its own facts,
// and one that meets a rejected account ends the cluster's looks, as the first
// would have.
func (t *tick) guarded(ctx context.Context, id mesh.ClusterID, limit time.Duration, look func(ctx context.Context, c *cluster.Client) (peer.Reason, string)) {
	defer func() {
		if r := recover(); r != nil {
			c, _ := t.Mesh.Cluster(id)
			t.crashed(c, r)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t.mu.Lock()
	client := t.clients[id]
	t.mu.Unlock()
	why, detail := look(ctx, client)
	if why != peer.AccountRejected {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.facts.Clusters[id].Seen.Access = peer.Unknown[bool](peer.AccountRejected, detail)
}

// crashed ends a cluster's looks of this tick after a panic.
func (t *tick) crashed(c *mesh.Cluster, what any) {
	t.logger().Error("panic while observing", "cluster", c.ID, "panic", what, "stack", string(debug.Stack()))
	t.Clusters.Drop(c)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.clients, c.ID)
}

// open reports whether the cluster let us in at this tick.
func (t *tick) open(id mesh.ClusterID) bool {
	r := t.facts.Clusters[id]
	// One that has just refused for load is asked nothing more at this tick.
	return t.clients[id] != nil && r.Seen.Access.Known() && r.Seen.Users.Reason != peer.Overloaded
}

// unnoted is why it could not be noted that accounts were refused.
func (t *tick) unnoted() error {
	var errs []error
	for _, client := range t.clients {
		errs = append(errs, client.Unnoted())
	}
	return errors.Join(errs...)
}

// readUserDetail reads tiers 2 and 3 where they are due, one cluster after the other
// in tier 3.
func (t *tick) readUserDetail(ctx context.Context, ids []mesh.ClusterID) {
	due := t.bucketsDue(t.facts.View(), ids)
	var wg sync.WaitGroup
	for _, id := range due {
		t.mu.Lock()
		open := t.open(id)
		t.mu.Unlock()
		if !open {
			continue
		}
		wg.Go(func() {
			t.guarded(ctx, id, clusterDeadline, func(ctx context.Context, client *cluster.Client) (peer.Reason, string) {
				got := client.Buckets(ctx, t.Mesh.Owner, t.now)
				t.mu.Lock()
				defer t.mu.Unlock()
				t.facts.Buckets[id], t.reread[id] = got.Or(t.facts.Buckets[id]), true
				return got.Reason, got.Detail
			})
		})
	}
	wg.Wait()
	t.readSet(ctx, ids)
}

// bucketsDue lists the clusters whose buckets are to be read: all of them once
// per sync interval, by the clock on the wall, so that clusters that missed one
// are read together again; and both ends of a peer that differs, when a sync
// may have changed it or its users are to be named.
func (t *tick) bucketsDue(view *peer.View, ids []mesh.ClusterID) []mesh.ClusterID {
	want := map[mesh.ClusterID]bool{}
	for _, id := range ids {
		r := t.facts.Clusters[id]
		c, _ := t.Mesh.Cluster(id)
		interval, _ := r.EffectiveInterval(c, t.now)
		if at := t.facts.Buckets[id].At; interval > 0 && (at.Before(t.now.Truncate(interval)) || instant.Ahead(at, t.now, 0)) {
			want[id] = true
		}
	}
	for _, p := range t.Mesh.Peers {
		stored := t.snapshot.Syncs[p.ID].Value
		if stored.Differs.Since.IsZero() {
			continue
		}
		c, _ := t.Mesh.Cluster(p.ID.From)
		interval, _ := view.Clusters[p.ID.From].EffectiveInterval(c, t.now)
		synced := view.SyncedSince(p.ID, view.Buckets[p.ID.From].At)
		lasting := t.now.Sub(stored.Differs.Since) > interval && (stored.Named == nil || instant.Due(stored.Named.At, t.now, mesh.MinSyncInterval))
		if synced || lasting {
			want[p.ID.From], want[p.ID.To] = true, true
		}
	}
	var due []mesh.ClusterID
	for _, id := range ids {
		if want[id] {
			due = append(due, id)
		}
	}
	return due
}

// readSet reads every user of at most one cluster in a tick: the one read
// longest ago, if that is a day or more, or an interval where many have come since. Never-read clusters wait until the
// mesh has been watched for an interval, so that the first tick stays light.
func (t *tick) readSet(ctx context.Context, ids []mesh.ClusterID) {
	var pick mesh.ClusterID
	oldest := t.now
	for _, id := range ids {
		r := t.facts.Clusters[id]
		if !t.open(id) || !r.Seen.Users.Known() || !instant.Due(r.UserSetAttempted, t.now, mesh.MinSyncInterval) {
			continue // one that was tried in vain does not keep the others waiting
		}
		at := r.UserSet.At
		if at.IsZero() && (len(r.Home) == 0 || t.now.Sub(r.Home[0].From) < mesh.MinSyncInterval) {
			continue
		}
		if instant.Ahead(at, t.now, 0) {
			at = time.Time{} // another clock's: as if never read
		}
		period := peer.UserSetPeriod
		c, _ := t.Mesh.Cluster(id)
		if _, _, grew := r.Grew(c, at); grew {
			period = mesh.MinSyncInterval
		}
		if instant.Due(at, t.now, period) && at.Before(oldest) {
			pick, oldest = id, at
		}
	}
	view := t.facts.View()
	for _, p := range t.Mesh.Peers {
		// A copy whose set contradicts equal counts is looked at again each
		// interval: yesterday's digest may no longer be true.
		if eq, ok := view.SetsEqual(p.ID); pick == "" && ok && !eq {
			for _, id := range []mesh.ClusterID{p.ID.From, p.ID.To} {
				r := t.facts.Clusters[id]
				if slices.Contains(ids, id) && t.open(id) && instant.Due(r.UserSet.At, t.now, mesh.MinSyncInterval) && instant.Due(r.UserSetAttempted, t.now, mesh.MinSyncInterval) {
					pick = id
				}
			}
		}
	}
	if pick == "" {
		return
	}
	t.facts.Clusters[pick].UserSetAttempted = t.now
	t.guarded(ctx, pick, setDeadline, func(ctx context.Context, client *cluster.Client) (peer.Reason, string) {
		users, each := t.hashUsers(ctx, pick)
		got := client.Set(ctx, t.Mesh.Owner, t.Mesh.Domain, t.now, each, t.Mesh.Domains...)
		if got.Known() {
			t.facts.Clusters[pick].UserSet = got
			t.complete(ctx, client, users)
		} else {
			t.logger().Warn("reading every user was not complete", "cluster", pick, "reason", got.Why(), "detail", got.Detail)
		}
		return got.Reason, got.Detail
	})
}

// judge gives every peer whose two ends were looked at its conditions, and
// every observed cluster its findings.
func (t *tick) judge(ctx context.Context, ids []mesh.ClusterID) run.Answer {
	answer, view := run.Answer{Peers: map[peer.State]int{}}, t.facts.View()
	for _, id := range ids {
		r := view.Clusters[id]
		c, _ := t.Mesh.Cluster(id)
		acknowledged := r.Fell != nil && t.snapshot.Overrides.AcknowledgedOf(string(peer.UsersFell), id, r.Fell.Since, t.now)
		r.WatchUsers(c, acknowledged, t.snapshot.Overrides.MaintenanceOf(id, t.now))
		r.Findings = peer.Findings(view, id, t.snapshot.Clusters[id].Value.Findings)
		switch {
		case !r.Seen.Access.Known():
			answer.Clusters.Unreachable++
		case !r.Seen.Users.Known() || !r.Seen.Users.At.Equal(t.now) || len(r.SilentSince) > 0:
			answer.Clusters.Partial++
		default:
			answer.Clusters.Observed++
		}
	}
	named := 0
	for _, p := range t.Mesh.Peers {
		if !slices.Contains(ids, p.ID.From) && !slices.Contains(ids, p.ID.To) {
			continue
		}
		stored := t.snapshot.Syncs[p.ID].Value
		next := peer.Judge(view, p.ID, stored)
		if named < maxDifferPairs && t.nameDue(next) {
			if n := t.name(ctx, view, p.ID, next); n != nil {
				named++
				next.Named = n
				next = rejudge(view, p.ID, stored, next)
			}
		}
		t.judged[p.ID] = next
		conditions := peer.Conditions(view, p.ID, next, t.snapshot.CertOf(p.ID))
		state, _ := peer.StateOf(conditions, next)
		answer.Peers[state]++
	}
	return answer
}

// rejudge judges once more with the names at hand, so that the message of the
// very tick in which users differ already names them.
func rejudge(v *peer.View, id mesh.PeerID, stored, next peer.SyncRecord) peer.SyncRecord {
	next.Conditions = stored.Conditions
	return peer.Judge(v, id, next)
}

// nameDue reports whether the users that differ should be named now: data or
// clock have turned False, and nobody has looked since the last interval.
func (t *tick) nameDue(r peer.SyncRecord) bool {
	if r.Differs.Since.IsZero() {
		return false
	}
	if r.Condition(peer.UsersMatch).Status != peer.False && r.Condition(peer.Synced).Status != peer.False {
		return false
	}
	return r.Named == nil || instant.Due(r.Named.At, t.now, mesh.MinSyncInterval)
}

// name reads the differing buckets of both ends and tells who is where.
// nil when either read was not whole.
func (t *tick) name(ctx context.Context, view *peer.View, id mesh.PeerID, r peer.SyncRecord) *peer.Named {
	if !t.open(id.From) || !t.open(id.To) {
		return nil
	}
	buckets, ok := view.BucketsDiffer(id, 2*schedule().Period)
	if !ok || len(buckets) == 0 {
		return nil
	}
	home, _ := t.Mesh.Cluster(id.To)
	read := func(at mesh.ClusterID) (ids map[string]string, whole bool) {
		t.guarded(ctx, at, clusterDeadline, func(ctx context.Context, client *cluster.Client) (peer.Reason, string) {
			got, f := client.Named(ctx, home, buckets, t.now)
			if ids, whole = got, f.Known(); !whole {
				t.logger().Warn("naming differing users was not complete", "peer", id.String(), "cluster", at, "reason", f.Why(), "detail", f.Detail)
			}
			return f.Reason, f.Detail
		})
		return ids, whole
	}
	atHome, ok := read(id.To)
	if !ok {
		return nil
	}
	copied, ok := read(id.From)
	if !ok {
		return nil
	}
	n := &peer.Named{At: t.now}
	n.Missing, n.More = minus(atHome, copied, n.More)
	n.Extra, n.More = minus(copied, atHome, n.More)
	return n
}

// minus lists what a has and b has not, in order, at most namesKept of them.
func minus(a, b map[string]string, more int) ([]string, int) {
	var out []string
	for k, id := range a {
		if _, there := b[k]; !there {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	if len(out) > namesKept {
		more += len(out) - namesKept
		out = out[:namesKept]
	}
	return out, more
}

// record writes what changed: every observed cluster, its digests if they were
// asked for, and the peers whose conditions did.
//
// A crash may leave CLUSTER and BUCKETS of different ticks. Each is true of the
// instant that it carries: digests prove only the counts that they were read
// with, too old they are Unknown, and what is missing is read at the next tick.
func (t *tick) record(ctx context.Context, ids []mesh.ClusterID) error {
	var changes record.Changes
	for _, id := range ids {
		doc := t.snapshot.Clusters[id]
		doc.Value = *t.facts.Clusters[id]
		record.Add(&changes, doc)
		if t.reread[id] {
			doc := t.buckets[id]
			doc.Value.Buckets = t.facts.Buckets[id]
			record.Add(&changes, doc)
		}
	}
	for _, p := range t.Mesh.Peers {
		if value, ok := t.judged[p.ID]; ok {
			doc := t.snapshot.Syncs[p.ID]
			doc.Value = value
			record.Add(&changes, doc)
		}
	}
	_, err := changes.Write(ctx, t.Store)
	return errors.Join(err, t.forget(ctx))
}

// forget removes what is remembered of peers that have left mesh.yaml: a peer
// that comes back starts again, and not with an old difference.
func (t *tick) forget(ctx context.Context) error {
	var errs []error
	for id, doc := range t.snapshot.Syncs {
		if _, ok := t.Mesh.Peer(id); ok || doc.Newer {
			continue
		}
		if err := t.Store.Delete(ctx, doc.Key, doc.Version); err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) {
			errs = append(errs, fmt.Errorf("forgetting %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

func (p *Peersync) logger() *slog.Logger {
	if p.Log != nil {
		return p.Log
	}
	return slog.New(slog.DiscardHandler)
}
