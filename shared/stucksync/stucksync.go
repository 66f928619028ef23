// Package stucksync judges: it folds what peersync and certcheck recorded into
// one state per directed peer, decides which alarms stand, and has them said.
//
// It owns the PEER…#STUCK, PROPOSAL and ALARM items. It contacts no cluster
// unless the policy's mode is recover and something is to be done, and then
// only through shared/repair. What is not known neither raises nor clears an
// alarm and is never acted on; a first bad look is Suspect and says nothing yet.
package stucksync

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/intervention"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

// Stucksync is the use case. All fields are needed but Platform, Log and Crash.
type Stucksync struct {
	Mesh  *mesh.Mesh
	Store store.Store
	Sinks []alarm.Sink
	Now   func() time.Time
	Log   *slog.Logger
	// Clusters opens clusters with their write accounts, in mode recover; nil
	// never acts, whatever the mode.
	Clusters *cluster.Connector
	// Platform reads certificates and opens trust stores, in mode recover; nil
	// imports none.
	Platform *cluster.Platform
	// Crash is called between the steps of an action, for tests that kill the
	// process there.
	Crash func(step string)
}

// actor is who acts, for the audit.
const actor = "stucksync"

// Handle carries out one tick.
func (s *Stucksync) Handle(ctx context.Context, req run.Request) (run.Answer, error) {
	sched, _ := run.Find("stucksync")
	r := run.Runner{Schedule: sched, Mesh: s.Mesh, Store: s.Store, Now: s.Now}
	return r.Once(ctx, req, func(ctx context.Context, lease *store.Lease) (run.Answer, error) {
		t, err := s.load(ctx, lease)
		if err != nil {
			return run.Answer{}, err
		}
		return t.run(ctx, req.DryRun)
	})
}

// tick is one run: what it knows, and what it has made of it.
type tick struct {
	*Stucksync
	intervention.Grounds
	ladders map[mesh.PeerID]peer.Ladder
	asked   []peer.Proposal
	refused map[string][]record.Refusal // by proposal: what stopped it at this look
	did     map[string]bool             // proposals that were carried out at this look
}

// load begins a tick with what is stored.
func (s *Stucksync) load(ctx context.Context, lease *store.Lease) (*tick, error) {
	now := s.Now()
	snapshot, err := record.Load(ctx, s.Store, s.Mesh)
	if err != nil {
		return nil, err
	}
	snapshot.ReclockClusters(now)
	snapshot.ReclockPeers(s.Mesh, now)
	sched, _ := run.Find("peersync")
	view := snapshot.Facts(s.Mesh, sched.Period, now).View()
	return &tick{
		Stucksync: s,
		Grounds: intervention.Grounds{
			Actor: actor, Lease: lease, Snapshot: snapshot, View: view, Certificates: snapshot.Certificates(view),
			Conditions: map[mesh.PeerID][]peer.Condition{}, States: map[mesh.PeerID]peer.StateRecord{},
		},
		ladders: map[mesh.PeerID]peer.Ladder{}, refused: map[string][]record.Refusal{}, did: map[string]bool{},
	}, nil
}

// run judges, acts and has said what is to be said; a dry run only judges.
func (t *tick) run(ctx context.Context, dry bool) (run.Answer, error) {
	answer := run.Answer{Peers: map[peer.State]int{}}
	gate, err := t.settled(ctx)
	shut := err
	if err != nil && !errors.Is(err, store.ErrNewerSchema) {
		return answer, err
	}
	for _, p := range t.Mesh.Peers {
		t.Conditions[p.ID] = t.Snapshot.Conditions(t.View, p.ID)
	}
	t.climb(&gate)
	answer.Proposals = len(t.asked)
	changes := t.foldAll(&answer)
	t.count(&answer)
	if dry {
		return answer, nil
	}
	// A conflict on a state is another run's word and no reason to keep an
	// alarm back.
	_, err = changes.Write(ctx, t.Store)
	errs := []error{err}
	answer.Actions, err = t.act(ctx, &gate, shut)
	errs = append(errs, err)
	answer.Notices, err = t.say(ctx)
	return answer, errors.Join(append(errs, err)...)
}

// count says how far the clusters were seen.
func (t *tick) count(answer *run.Answer) {
	for _, id := range t.Mesh.IDs() {
		r := t.View.Clusters[id]
		switch {
		case !r.Seen.Access.Known():
			answer.Clusters.Unreachable++
		case len(r.SilentSince) > 0:
			answer.Clusters.Partial++
		default:
			answer.Clusters.Observed++
		}
	}
}

// say settles which alarms stand, and delivers what is still to be said of them.
func (t *tick) say(ctx context.Context) (notices int, err error) {
	changed, unsettled := alarm.Settle(ctx, t.Store, alarm.Check{
		Mesh: t.Mesh.Name, Firing: t.texts(alarm.Inhibit(t.firing())), Unknown: t.undecided, Removed: t.removed, Now: t.View.Now,
	})
	for _, it := range changed {
		t.logger().Info("alarm", "name", it.Name, "state", it.State, "peer", it.Peer, "cluster", it.Cluster, "message", it.Message)
	}
	notices, err = alarm.Deliver(ctx, t.Store, t.Mesh.Name, t.Sinks, t.Now)
	return notices, errors.Join(unsettled, err)
}

func (s *Stucksync) logger() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.New(slog.DiscardHandler)
}
