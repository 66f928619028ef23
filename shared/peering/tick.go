package peering

import (
	"context"
	"fmt"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/intervention"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

// tick is one run: what it knows, and what it has done.
type tick struct {
	*Peering
	lease *store.Lease
	// grounds are what is known of the mesh; nil before something asks.
	grounds *intervention.Grounds
	gate    *repair.Gate
	// ready is what clusters were read to be at this look.
	ready   map[mesh.ClusterID]reading
	tables  map[mesh.ClusterID]table // and what their peer tables are
	actions int
}

type reading struct {
	peer.Readiness
	err error
}

type table struct {
	cluster.Entries
	err error
}

// look reads what is stored of the mesh, once a run.
func (t *tick) look(ctx context.Context) error {
	if t.grounds != nil {
		return nil
	}
	snapshot, err := record.Load(ctx, t.Store, t.Mesh)
	if err != nil {
		return err
	}
	t.grounds = t.groundsOf(snapshot)
	return nil
}

func (t *tick) groundsOf(snapshot *record.Snapshot) *intervention.Grounds {
	now := t.Now()
	snapshot.ReclockClusters(now)
	snapshot.ReclockPeers(t.Mesh, now)
	sched, _ := run.Find("peersync")
	view := snapshot.Facts(t.Mesh, sched.Period, now).View()
	g := &intervention.Grounds{
		Actor: actor, Lease: t.lease, Snapshot: snapshot, View: view, Certificates: snapshot.Certificates(view),
		Conditions: map[mesh.PeerID][]peer.Condition{}, States: map[mesh.PeerID]peer.StateRecord{},
	}
	for _, p := range t.Mesh.Peers {
		g.States[p.ID] = snapshot.States[p.ID].Value
	}
	return g
}

// known is what plans are made from.
func (t *tick) known() change.Known {
	return t.grounds.Snapshot.Known(t.Mesh, t.grounds.View.Tick, t.Now())
}

// advance looks at the step that a plan has come to. moved says that the plan is
// past it.
func (t *tick) advance(ctx context.Context, p *record.Plan) (moved bool, err error) {
	now := t.Now()
	p.SkipDependants(now) // a run that was killed may have written an answer, and not what it comes to
	s := p.Current()
	if s == nil {
		p.Finish(now)
		return false, nil
	}
	for _, id := range p.Needs(s) {
		if _, ok := t.Mesh.Cluster(id); ok {
			continue
		}
		if len(p.Pairs) > 0 { // it comes back when the file does
			p.Turn(change.Waiting, fmt.Sprintf("step %d: %s is not in mesh.yaml, as this run has it: put its lines back until the plan is through, or skip the step with a reason", s.N, id), now)
			return false, nil
		}
		p.Turn(change.Failed, fmt.Sprintf("%s has left mesh.yaml%s", id, p.NotUndone()), now)
		return false, nil
	}
	if ctx.Err() != nil {
		return false, nil // no time is left; the next look goes on
	}
	if err := t.look(ctx); err != nil {
		return false, err
	}
	if s.Began.IsZero() {
		s.Began = now
		s.Turn(change.StepRunning, now, "")
	}
	advance, ok := steps()[s.Op]
	if !ok {
		s.Turn(change.StepFailed, now, "this version of Peerkeeper does not know the step %q", s.Op)
	} else if err := advance(t, ctx, p, s); err != nil {
		return false, err
	}
	s = p.Step(s.N) // the plan may have grown, and its steps moved
	if s.State.Over() {
		p.SkipDependants(t.Now())
		if p.Current() == nil {
			p.Finish(t.Now())
		} else {
			p.Turn(change.Running, "", t.Now())
		}
		return true, nil
	}
	switch s.State {
	case change.StepFailed, change.StepUnknown:
		p.Halt("", fmt.Sprintf("step %d: %s", s.N, s.Evidence), t.Now())
	case change.StepWaiting:
		p.Turn(change.Waiting, fmt.Sprintf("step %d: %s", s.N, s.Evidence), t.Now())
	default:
		p.Turn(change.Running, "", t.Now())
	}
	return false, nil
}

// steps are how each kind of step is advanced.
func steps() map[change.Op]func(*tick, context.Context, *record.Plan, *change.Step) error {
	return map[change.Op]func(*tick, context.Context, *record.Plan, *change.Step) error{
		change.OpPreflight: (*tick).preflight, change.OpSet: (*tick).set, change.OpAwaitSync: (*tick).awaitSync,
		change.OpMeshLines: (*tick).meshLines, change.OpLayOut: (*tick).layOut, change.OpSyncAgent: (*tick).syncAgent, change.OpDuplicates: (*tick).duplicates, change.OpPrepare: (*tick).prepare,
		change.OpAddEntry: (*tick).addEntry, change.OpEditEntry: (*tick).editEntry, change.OpDeleteEntry: (*tick).deleteEntry, change.OpEnterCredentials: (*tick).enterCredentials,
		change.OpAskBell: (*tick).asked, change.OpRouterDue: (*tick).routerDue, change.OpAskEach: (*tick).asked,
		change.OpVerifyPair: (*tick).verifyPair, change.OpLook: (*tick).rows, change.OpVerifyGone: (*tick).verifyGone, change.OpLeftovers: (*tick).leftovers,
		change.OpActivate: (*tick).activate, change.OpAwaitAXL: (*tick).awaitAXL,
		change.OpAskHA: (*tick).askHA, change.OpDisableHA: (*tick).disableHA, change.OpEnableHA: (*tick).enableHA,
		change.OpRestart: (*tick).restart, change.OpAwaitHA: (*tick).awaitHA, change.OpFallback: (*tick).fallback, change.OpAwaitPeople: (*tick).awaitPeople,
	}
}

// lockLasts is how long a lock holds that nobody renews: a function that does not
// run any more keeps no cluster shut.
const lockLasts = time.Hour

// lock keeps others off the cluster of a step that is under way, and gives back
// what the plan does not need.
func (t *tick) lock(ctx context.Context, p *record.Plan) error {
	gate := t.access().Repair(t.lease)
	if s := p.Current(); s != nil && p.State.Active() && s.Locks() {
		return gate.LockFor(ctx, peer.PlannedStep{Plan: p.ID, Step: s.N}, s.Cluster, t.Now().Add(lockLasts))
	}
	return gate.Unlock(ctx, p.ID)
}

// disturbed says why a cluster is no place for a change now; "" if it is one: its
// database is about to be another, or has just become one. That a peer is Flapping
// says nothing of the cluster, and may be what the plan is to cure: it holds up only a
// plan that names the pair, by the gate's guard.
func (t *tick) disturbed(id mesh.ClusterID) string {
	for _, pr := range t.Mesh.PeersOf(id) {
		for _, o := range t.grounds.States[pr].Overlays {
			if o == peer.Upgrading || o == peer.Rewound {
				return fmt.Sprintf("%s is %s", pr, o)
			}
		}
	}
	return ""
}

// confirmed handles a manual step of which reading says whether it is done: seen
// is nil if that cannot be read, and why says so.
func (t *tick) confirmed(s *change.Step, seen *bool, what, why string) {
	now := t.Now()
	said := s.Said != nil && s.Said.Verb == change.Confirm
	switch {
	case seen != nil && *seen:
		by := ""
		if said {
			by = "; confirmed by " + s.Said.Actor + remark(s)
		}
		s.Turn(change.StepDone, now, "%s%s", what, by)
	case seen != nil && said:
		contradict(s)
		s.Turn(change.StepWaiting, now, "%s confirmed it at %s, and it reads otherwise: %s%s", s.Said.Actor, plain.Time(s.Said.At), what, remark(s))
	case seen != nil:
		s.Turn(change.StepWaiting, now, "for a person to do it: %s", what)
	case said && !vouched(s):
		s.Turn(change.StepWaiting, now, "%s confirmed it at %s, and it read otherwise since; now it cannot be read: %s%s", s.Said.Actor, plain.Time(s.Said.At), why, remark(s))
	case said:
		s.Turn(change.StepDone, now, "%s says so; it cannot be read: %s%s", s.Said.Actor, why, remark(s))
	default:
		s.Turn(change.StepWaiting, now, "for a person to do it and confirm it; it cannot be read: %s", why)
	}
}

// remark is what a person has noted with a word.
func remark(s *change.Step) string {
	if s.Said == nil || s.Said.Text == "" {
		return ""
	}
	return "; noted: " + s.Said.Text
}

// vouched says that a person has confirmed a step, and that it was not read to be
// otherwise since.
func vouched(s *change.Step) bool {
	return s.Said != nil && s.Said.Verb == change.Confirm && !s.Said.Contradicted
}

// confirmedBy is what a person has said of a step that reads otherwise: both facts are told.
func confirmedBy(s *change.Step) string {
	if s.Said == nil || s.Said.Verb != change.Confirm {
		return ""
	}
	return fmt.Sprintf("; %s confirmed it at %s%s", s.Said.Actor, plain.Time(s.Said.At), remark(s))
}

// contradict notes that a step was read not to be as a person may have confirmed it: a
// look that reads nothing does not make it so.
func contradict(s *change.Step) {
	if s.Said != nil {
		s.Said.Contradicted = true
	}
}
