package stucksync

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/intervention"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

// spare is what a look keeps of its time for saying what it found: whatever
// acting meets, alarms go out.
const spare = 30 * time.Second

// keepProposal is how long an ended proposal stays readable, for
// `plan --would-have`.
const keepProposal = 30 * 24 * time.Hour

// settled reads the gate after closing what an earlier run left open. A gate
// of a newer version is an error by which nothing may be done, and judged on.
func (t *tick) settled(ctx context.Context) (repair.Gate, error) {
	if t.Lease != nil && t.Clusters != nil {
		if _, err := t.access().Repair(t.Lease).Settle(ctx); err != nil {
			// What cannot be read back stays open and keeps its cluster shut;
			// looking goes on.
			t.logger().Warn("reading back what is open", "error", err)
		}
	}
	return repair.Load(ctx, t.Store, t.Mesh.Name)
}

// access is how clusters are reached by a run that acts.
func (t *tick) access() intervention.Access {
	return intervention.Access{Mesh: t.Mesh, Store: t.Store, Now: t.Now, Log: t.Log, Actor: actor, Clusters: t.Clusters, Platform: t.Platform, Crash: t.Crash}
}

// act carries the proposals through the gate, if the policy lets it, and
// records what was asked for and what stopped it. That an action fails is no
// failure of the run: it is recorded, and judging and saying go on. shut is why
// the gate cannot be used. A dry run never comes here.
func (t *tick) act(ctx context.Context, gate *repair.Gate, shut error) (int, error) {
	actions := 0
	acting := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		acting, cancel = context.WithDeadline(ctx, end.Add(-spare))
		defer cancel()
	}
	var changes record.Changes
	for _, p := range failedLast(t.asked, t.Snapshot) {
		doc, ok := t.Snapshot.Proposals[p.ID]
		if !ok {
			doc = store.NewDoc(store.Proposal(t.Mesh.Name, p.ID), record.ProposedSchema, record.Proposed{First: t.View.Now})
		}
		if doc.Newer {
			continue
		}
		doc.Value.Proposal, doc.Value.Ended = p, time.Time{}
		// What was loaded may be a moment old; it is good enough to say no.
		refused := repair.Refusals(gate, p, t.Situation(gate, p))
		doc.Value.Refused = refused
		switch {
		case shut != nil:
			doc.Value.Refused = append([]record.Refusal{{Guard: "gate", Why: "written by a newer version of Peerkeeper"}}, refused...)
		case len(refused) > 0 || t.Clusters == nil:
		case acting.Err() != nil:
			doc.Value.Refused = []record.Refusal{{Guard: "time", Why: "this run had no time left"}}
		default:
			res, err := t.access().Repair(t.Lease).Do(acting, p, func(ctx context.Context, gate *repair.Gate) (repair.Situation, error) {
				return t.recheck(ctx, gate, p)
			})
			switch {
			case err != nil:
				t.logger().Error("an action failed", "action", p.Action, "target", p.Target.String(), "error", err)
				doc.Value.Refused = []record.Refusal{{Guard: failed, Why: intervention.Failure(err)}}
			case len(res.Refused) > 0:
				doc.Value.Refused = res.Refused
			default:
				t.did[p.ID] = true
				actions++
				doc.Value.Outcome = strings.TrimSpace(string(res.Outcome) + " " + res.Text)
			}
		}
		doc.TTL = time.Time{}
		t.refused[p.ID] = doc.Value.Refused
		record.Add(&changes, doc)
	}
	for id, doc := range t.Snapshot.Proposals {
		if doc.Newer || !doc.Value.Ended.IsZero() || slices.ContainsFunc(t.asked, func(p peer.Proposal) bool { return p.ID == id }) {
			continue
		}
		doc.Value.Ended = t.View.Now
		doc.TTL = t.View.Now.Add(keepProposal)
		record.Add(&changes, doc)
	}
	_, err := changes.Write(ctx, t.Store)
	return actions, err
}

// failed stands for a guard's name where an action failed at the last look.
const failed = "failed"

// failedLast puts what failed at the last look behind everything else: a node
// that hangs takes its time from nobody's turn but its own.
func failedLast(asked []peer.Proposal, snapshot *record.Snapshot) []peer.Proposal {
	rank := func(p peer.Proposal) int {
		if r := snapshot.Proposals[p.ID].Value.Refused; len(r) > 0 && r[0].Guard == failed {
			return 1
		}
		return 0
	}
	out := slices.Clone(asked)
	slices.SortStableFunc(out, func(a, b peer.Proposal) int { return rank(a) - rank(b) })
	return out
}

// recheck reads consistently what an action turns on, and judges it again: the
// whole mesh's clusters, and the peers that ask for it. Of the other peers, by
// which too many causes are told, what was loaded is good enough.
func (t *tick) recheck(ctx context.Context, gate *repair.Gate, p peer.Proposal) (repair.Situation, error) {
	var functions []string
	for _, f := range run.Schedules() {
		functions = append(functions, f.Function)
	}
	snapshot, err := record.Reread(ctx, t.Store, t.Mesh, p.Peers, p.ID, functions...)
	if err != nil {
		return repair.Situation{}, err
	}
	view := snapshot.Facts(t.Mesh, t.View.Tick, t.Now()).View()
	again := &tick{
		Stucksync: t.Stucksync,
		Grounds: intervention.Grounds{
			Actor: actor, Lease: t.Lease, Snapshot: snapshot, View: view, Certificates: snapshot.Certificates(view),
			Conditions: maps.Clone(t.Conditions), States: map[mesh.PeerID]peer.StateRecord{},
		},
		ladders: t.ladders,
	}
	for _, id := range p.Peers {
		again.Conditions[id] = snapshot.Conditions(view, id)
		again.States[id] = again.fold(id, snapshot.States[id].Value)
	}
	return again.Situation(gate, p), nil
}
