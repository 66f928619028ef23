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
	"slices"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
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

// Handle carries out one tick.
func (s *Stucksync) Handle(ctx context.Context, req run.Request) (run.Answer, error) {
	sched, _ := run.Find("stucksync")
	r := run.Runner{Schedule: sched, Mesh: s.Mesh, Store: s.Store, Now: s.Now}
	return r.Once(ctx, req, func(ctx context.Context, lease *store.Lease) (run.Answer, error) {
		return s.tick(ctx, req, lease)
	})
}

// tick is what one tick found.
type tick struct {
	book       *record.Snapshot
	view       *peer.View
	conditions map[mesh.PeerID][]peer.Condition
	states     map[mesh.PeerID]peer.StateRecord
	ladders    map[mesh.PeerID]peer.Ladder
	lease      *store.Lease // nil in a dry run, which never acts
	certs      *certificate.View
	asked      []peer.Proposal
	exchanged  []peer.Proposal             // what exchange has worked out; nil before
	failing    []repair.Failing            // what failures has worked out; nil before
	refused    map[string][]record.Refusal // by proposal: what stopped it at this look
	did        map[string]bool             // proposals that were carried out at this look
}

func (s *Stucksync) tick(ctx context.Context, req run.Request, lease *store.Lease) (run.Answer, error) {
	now := s.Now()
	book, err := record.Load(ctx, s.Store, s.Mesh)
	if err != nil {
		return run.Answer{}, err
	}
	book.ReclockClusters(now)
	book.ReclockPeers(s.Mesh, now)
	sched, _ := run.Find("peersync")
	facts := book.Facts(s.Mesh, sched.Period, now)
	for _, id := range s.Mesh.IDs() {
		if book.Clusters[id].Newer {
			facts.Clusters[id] = &peer.ClusterRecord{} // not ours to judge by, still less to act on
		}
	}
	view := facts.View()
	j := &tick{book: book, view: view, certs: book.Certificates(view),
		conditions: map[mesh.PeerID][]peer.Condition{}, states: map[mesh.PeerID]peer.StateRecord{}, ladders: map[mesh.PeerID]peer.Ladder{}, lease: lease, refused: map[string][]record.Refusal{}, did: map[string]bool{}}
	answer := run.Answer{Peers: map[peer.State]int{}}
	gate, err := s.settled(ctx, j)
	shut := err
	if err != nil && !errors.Is(err, store.ErrNewerSchema) {
		return answer, err
	}
	for _, p := range s.Mesh.Peers {
		j.conditions[p.ID] = j.read(p.ID)
	}
	asked, unclimbed := s.climb(j, &gate)
	answer.Proposals = len(asked)
	var changes record.Changes
	for _, p := range s.Mesh.Peers {
		doc := book.States[p.ID]
		doc.Value = s.fold(j, p.ID, doc.Value)
		j.states[p.ID] = doc.Value
		answer.Peers[doc.Value.State]++
		record.Add(&changes, doc)
	}
	for _, id := range book.Gone {
		doc := book.States[id]
		if doc.Value.State != peer.Terminated {
			doc.Value.State, doc.Value.Since, doc.Value.Overlays = peer.Terminated, now, nil
			record.Add(&changes, doc)
		}
		answer.Peers[peer.Terminated]++
	}
	for _, id := range s.Mesh.IDs() {
		access := j.view.Clusters[id].Seen.Access
		switch {
		case !access.Known():
			answer.Clusters.Unreachable++
		case len(j.view.Clusters[id].SilentSince) > 0:
			answer.Clusters.Partial++
		default:
			answer.Clusters.Observed++
		}
	}
	if req.DryRun {
		return answer, unclimbed
	}
	// A conflict on a state is another run's word and no reason to keep an
	// alarm back.
	_, err = changes.Write(ctx, s.Store)
	errs := []error{unclimbed, err}
	answer.Actions, err = s.act(ctx, j, &gate, asked, shut)
	errs = append(errs, err)
	changed, err := alarm.Settle(ctx, s.Store, alarm.Check{
		Mesh: s.Mesh.Name, Firing: j.texts(s.Mesh, alarm.Inhibit(j.firing(s.Mesh))), Unknown: j.undecided, Removed: s.removed, Now: now,
	})
	errs = append(errs, err)
	for _, it := range changed {
		s.logger().Info("alarm", "name", it.Name, "state", it.State, "peer", it.Peer, "cluster", it.Cluster, "message", it.Message)
	}
	sent, err := alarm.Deliver(ctx, s.Store, s.Mesh.Name, s.Sinks, s.Now)
	answer.Notices = sent
	return answer, errors.Join(append(errs, err)...)
}

// settled reads the gate after closing what an earlier run left open. A gate
// of a newer version is an error by which nothing may be done, and judged on.
func (s *Stucksync) settled(ctx context.Context, j *tick) (repair.Gate, error) {
	if j.lease != nil && s.Clusters != nil {
		if _, err := s.repairer(j).Settle(ctx); err != nil {
			// What cannot be read back stays open and keeps its cluster shut;
			// looking goes on.
			s.logger().Warn("reading back what is open", "error", err)
		}
	}
	return repair.Load(ctx, s.Store, s.Mesh.Name)
}

// fold gives a peer its state, with what people said laid over it.
func (s *Stucksync) fold(j *tick, id mesh.PeerID, prev peer.StateRecord) peer.StateRecord {
	state, cause := peer.StateOf(j.conditions[id], j.book.Syncs[id].Value)
	ladder, climbing := j.ladders[id]
	if climbing && s.Mesh.Policy.Mode == mesh.Recover {
		state = rungState(ladder, j.view.Now)
	}
	said := j.book.Overrides.Overlays(id, j.view.Now)
	if j.acked(s.Mesh.Name, id) {
		said = append(said, peer.Acknowledged)
	}
	if slices.Contains(prev.Overlays, peer.Flapping) {
		said = append(said, peer.Flapping) // judged anew, by its lower threshold
	}
	prev.Overlays = said
	next := peer.Fold(j.view, id, j.conditions[id], prev, state, cause)
	switch {
	case climbing:
		next.Ladder = &ladder
	case condition(j.conditions[id], peer.Synced).Status != peer.True:
		// A flicker does not end the incident; what was tried stays known.
		next.Ladder = prev.Ladder
	}
	return next
}

// acked reports whether a person has acknowledged an alarm of this peer.
func (j *tick) acked(meshName string, id mesh.PeerID) bool {
	for fp, w := range j.book.Overrides.Acks {
		if !w.Silences(j.view.Now) {
			continue
		}
		for _, k := range peerKinds() {
			if alarm.Fingerprint(meshName, k.Name, "", id, "") == fp {
				return true
			}
		}
	}
	return false
}

// read is a peer's conditions as they stand now; records of a newer schema are
// not understood and say nothing.
func (j *tick) read(id mesh.PeerID) []peer.Condition {
	cs := peer.Conditions(j.view, id, j.book.Syncs[id].Value, j.book.CertOf(id))
	if !j.book.Syncs[id].Newer && !j.book.PeerCert[id].Newer && !j.book.Clusters[id.From].Newer && !j.book.Clusters[id.To].Newer {
		return cs
	}
	for i := range cs {
		cs[i].Status, cs[i].Reason = peer.UnknownStatus, peer.NewerSchema
		cs[i].Message = "recorded by a newer version of Peerkeeper than this one"
	}
	return cs
}

func (s *Stucksync) logger() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.New(slog.DiscardHandler)
}
