// Package intake takes the lines that nodes push of their logs: from a socket, or
// as CloudWatch Logs hands them over.
//
// It owns the items of the partition of what was pushed, and writes nothing else.
// It keeps the newest line of each kind and each peer and never a line itself; it
// judges nothing. Only lines of hosts of mesh.yaml count: of its nodes, and of
// whom a cluster names in syslogFrom. That proves little: over UDP anybody can
// send in anybody's name, and over CloudWatch Logs only the name in the line says
// whose it is. What may come of a line is therefore package peer's to say, and is
// never more than a hint.
//
// Failure promise: no input makes it fail or grow. Which order lines come in, and
// how often each, makes no difference. Each item is written once a minute at the
// most; a process that is killed loses what it has not written, a minute of hints.
package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

const (
	writeEvery = time.Minute
	countsFor  = 24 * time.Hour // then they begin again
	lookEvery  = 10 * time.Minute
	maxName    = 120
)

// Intake is the use case.
type Intake struct {
	mesh  *mesh.Mesh
	store store.Store
	now   func() time.Time
	log   *slog.Logger
	peers map[mesh.ClusterID]peer.LogNames // whom a cluster's lines are about

	writing sync.Mutex // one Flush at a time

	mu      sync.Mutex
	hosts   hosts
	pending map[mesh.ClusterID]*peer.PushRecord
	tally   record.Tally
	written map[store.Key]time.Time
}

// New is an intake for a mesh. log may be nil.
func New(m *mesh.Mesh, s store.Store, now func() time.Time, log *slog.Logger) *Intake {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	in := &Intake{
		mesh: m, store: s, now: now, log: log, hosts: hostsOf(m), peers: map[mesh.ClusterID]peer.LogNames{},
		pending: map[mesh.ClusterID]*peer.PushRecord{}, written: map[store.Key]time.Time{},
	}
	for _, id := range m.IDs() {
		in.peers[id] = peer.NamesInLogOf(m, id)
	}
	return in
}

// Take takes one line that came from an address, or, where that is not known, the
// zero one.
func (in *Intake) Take(line []byte, from netip.Addr) {
	if !ciscolog.Concerns(line) {
		in.Count(record.Tally{Lines: 1})
		return
	}
	now := in.now()
	e, ok := ciscolog.Parse(line, now)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.tally.Lines++
	if !ok || !e.Facility.Known() || e.Alarm == ciscolog.ControllerStatus {
		return
	}
	id, ok := in.hosts.sender(e, from)
	if !ok {
		in.tally.Lines--
		in.tally.Add(record.Tally{Refused: 1, RefusedFrom: stranger(e, from)})
		return
	}
	in.tally.Kept++
	pushed := peer.Pushed{Alarm: ciscolog.Alarm(plain.Line(string(e.Alarm), maxName)), Received: now}
	if e.Dating != ciscolog.Undated && !e.At.After(now.Add(peer.PushedAhead)) {
		pushed.At = e.At
	}
	if in.pending[id] == nil {
		in.pending[id] = &peer.PushRecord{}
	}
	in.pending[id].Take(in.peers[id].Of(e), e.Outcome(), pushed)
}

// stranger is who sent a line that does not count.
func stranger(e ciscolog.Event, from netip.Addr) string {
	if from.IsValid() {
		return from.String()
	}
	for _, name := range []string{e.Node, e.Host} {
		if name != "" {
			return plain.Line(name, maxName)
		}
	}
	return ""
}

// Knows reports whether lines from an address may count.
func (in *Intake) Knows(from netip.Addr) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.hosts.at(from)) > 0
}

// Count counts what became of lines before they came here.
func (in *Intake) Count(t record.Tally) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.tally.Add(t)
}

// Run writes each minute what has come, and looks the nodes' names up, until the
// context ends; then it writes once more. until waits as the mesh's clock goes, lost
// gives what was lost of lines since it was last asked.
func (in *Intake) Run(ctx context.Context, until func(context.Context, time.Time) error, lost func() record.Tally) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { in.lookUp(ctx) })
	for {
		ended := until(ctx, in.now().Truncate(writeEvery).Add(writeEvery)) != nil
		in.Count(lost())
		flushing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		err := in.Flush(flushing)
		cancel()
		if err != nil {
			in.log.Error("what was pushed is not written yet", "error", err)
		}
		if ended {
			return
		}
	}
}

// Flush writes what has come, but for the items that were written in this minute:
// what came of theirs since is written later.
func (in *Intake) Flush(ctx context.Context) error {
	in.writing.Lock()
	defer in.writing.Unlock()
	now := in.now()
	in.mu.Lock()
	pending, tally := map[mesh.ClusterID]*peer.PushRecord{}, record.Tally{}
	for id, r := range in.pending {
		if !sameMinute(in.written[store.Push(in.mesh.Name, id)], now) {
			pending[id] = r
			delete(in.pending, id)
		}
	}
	if !sameMinute(in.written[store.Intake(in.mesh.Name)], now) {
		tally, in.tally = in.tally, record.Tally{}
	}
	in.mu.Unlock()

	var errs []error
	for id, r := range pending {
		if ok, err := in.write(ctx, id, *r, now); !ok {
			in.mu.Lock()
			if since := in.pending[id]; since != nil {
				r.Merge(*since)
			}
			in.pending[id] = r
			in.mu.Unlock()
			errs = append(errs, err)
		}
	}
	if tally != (record.Tally{}) {
		if err := in.count(ctx, tally, now); err != nil {
			in.Count(tally)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func sameMinute(a, b time.Time) bool {
	return a.Truncate(writeEvery).Equal(b.Truncate(writeEvery))
}

// write lays what came over a cluster's item; false if it is still to be written.
func (in *Intake) write(ctx context.Context, id mesh.ClusterID, came peer.PushRecord, now time.Time) (done bool, err error) {
	key, later := store.Push(in.mesh.Name, id), false
	doc, _, err := store.Claim(ctx, in.store, key, record.PushSchema, func(doc *store.Doc[peer.PushRecord], _ bool) (bool, error) {
		before := doc.Value
		if later = sameMinute(before.Written, now); later {
			return false, nil // by another process
		}
		doc.Value.Merge(came)
		doc.Value.Forget(func(home mesh.ClusterID) bool {
			_, is := in.mesh.Peer(mesh.PeerID{From: id, To: home})
			return is
		})
		if reflect.DeepEqual(before, doc.Value) {
			return false, nil
		}
		doc.Value.Written = now
		return true, nil
	})
	if err != nil {
		return false, fmt.Errorf("writing what %s pushed: %w", id, err)
	}
	in.wrote(key, doc.Value.Written)
	return !later, nil
}

func (in *Intake) count(ctx context.Context, t record.Tally, now time.Time) error {
	key := store.Intake(in.mesh.Name)
	_, _, err := store.Claim(ctx, in.store, key, record.IntakeSchema, func(doc *store.Doc[record.Tally], _ bool) (bool, error) {
		if instant.Due(doc.Value.Since, now, countsFor) {
			doc.Value = record.Tally{Since: now}
		}
		doc.Value.Add(t)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("counting what was pushed: %w", err)
	}
	in.wrote(key, now)
	return nil
}

func (in *Intake) wrote(key store.Key, at time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.written[key] = at
}
