package stucksync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/store"
)

// spare is what a look keeps of its time for saying what it found: whatever
// acting meets, alarms go out.
const spare = 30 * time.Second

// keepProposal is how long an ended proposal stays readable, for
// `plan --would-have`.
const keepProposal = 30 * 24 * time.Hour

// climb puts every stuck peer on its rung of the ladder, and gathers what the
// mesh asks for. It changes no cluster.
func (s *Stucksync) climb(j *tick, gate *repair.Gate) ([]peer.Proposal, error) {
	var asked []peer.Proposal
	var errs []error
	for _, p := range s.Mesh.Peers {
		if state, _ := peer.StateOf(j.conditions[p.ID], j.book.Syncs[p.ID].Value); state != peer.Stuck {
			continue
		}
		prev := j.book.States[p.ID].Value.Ladder
		ladder, proposal, err := peer.Climb(j.view, p.ID, j.conditions[p.ID], j.book.Syncs[p.ID].Value, prev, gate.Done())
		if err != nil { // its ladder stays as it was stored
			errs = append(errs, err)
			continue
		}
		j.ladders[p.ID] = ladder
		if proposal != nil {
			asked = append(asked, *proposal)
		}
	}
	for _, id := range s.Mesh.IDs() {
		asked = append(asked, peer.Starts(j.view, id, gate.Done()...)...)
		asked = append(asked, peer.RemoteAXL(j.view, id)...)
	}
	j.asked = peer.Merge(asked)
	for _, p := range j.exchange() {
		// One restart is enough, and one that repairs a stuck sync reads the trust
		// store as well.
		if !p.Reload || !slices.ContainsFunc(j.asked, func(o peer.Proposal) bool { return o.Target == p.Target && o.Action == p.Action }) {
			j.asked = append(j.asked, p)
		}
	}
	return j.asked, errors.Join(errs...)
}

// rungState is the state of a stuck peer while the ladder is at work.
func rungState(l peer.Ladder, now time.Time) peer.State {
	switch {
	case l.Rung == peer.RungHuman:
		return peer.NeedsHuman
	case !l.Until.IsZero() && now.Before(l.Until):
		return peer.Cooling
	case !l.ProveBy.IsZero():
		return peer.Recovering
	}
	return peer.Stuck
}

// act carries the proposals through the gate, if the policy lets it, and
// records what was asked for and what stopped it. That an action fails is no
// failure of the run: it is recorded, and judging and saying go on. shut is why
// the gate cannot be used.
func (s *Stucksync) act(ctx context.Context, j *tick, gate *repair.Gate, asked []peer.Proposal, shut error) (int, error) {
	actions := 0
	acting := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		acting, cancel = context.WithDeadline(ctx, end.Add(-spare))
		defer cancel()
	}
	var changes record.Changes
	for _, p := range failedLast(asked, j.book) {
		doc, ok := j.book.Proposals[p.ID]
		if !ok {
			doc = store.NewDoc(store.Proposal(s.Mesh.Name, p.ID), record.ProposedSchema, record.Proposed{First: j.view.Now})
		}
		if doc.Newer {
			continue
		}
		doc.Value.Proposal, doc.Value.Ended = p, time.Time{}
		// What was loaded may be a moment old; it is good enough to say no.
		refused := repair.Refusals(gate, p, s.situation(j, gate, p))
		doc.Value.Refused = refused
		switch {
		case shut != nil:
			doc.Value.Refused = append([]record.Refusal{{Guard: "gate", Why: "written by a newer version of Peerkeeper"}}, refused...)
		case len(refused) == 0 && s.Clusters != nil && j.lease != nil && acting.Err() != nil:
			doc.Value.Refused = []record.Refusal{{Guard: "time", Why: "this look had none left"}}
		case len(refused) == 0 && s.Clusters != nil && j.lease != nil:
			res, err := s.repairer(j).Do(acting, p, func(ctx context.Context, gate *repair.Gate) (repair.Situation, error) {
				return s.recheck(ctx, j, gate, p)
			})
			switch {
			case err != nil:
				s.logger().Error("an action failed", "action", p.Action, "target", p.Target.String(), "error", err)
				doc.Value.Refused = []record.Refusal{{Guard: failed, Why: failure(err)}}
			case len(res.Refused) > 0:
				doc.Value.Refused = res.Refused
			default:
				j.did[p.ID] = true
				actions++
				doc.Value.Outcome = strings.TrimSpace(string(res.Outcome) + " " + res.Text)
			}
		}
		doc.TTL = time.Time{}
		j.refused[p.ID] = doc.Value.Refused
		record.Add(&changes, doc)
	}
	for id, doc := range j.book.Proposals {
		if doc.Newer || !doc.Value.Ended.IsZero() || slices.ContainsFunc(asked, func(p peer.Proposal) bool { return p.ID == id }) {
			continue
		}
		doc.Value.Ended = j.view.Now
		doc.TTL = j.view.Now.Add(keepProposal)
		record.Add(&changes, doc)
	}
	_, err := changes.Write(ctx, s.Store)
	return actions, err
}

// failed stands for a guard's name where an action failed at the last look.
const failed = "failed"

// failedLast puts what failed at the last look behind everything else: a node
// that hangs takes its time from nobody's turn but its own.
func failedLast(asked []peer.Proposal, book *record.Snapshot) []peer.Proposal {
	rank := func(p peer.Proposal) int {
		if r := book.Proposals[p.ID].Value.Refused; len(r) > 0 && r[0].Guard == failed {
			return 1
		}
		return 0
	}
	out := slices.Clone(asked)
	slices.SortStableFunc(out, func(a, b peer.Proposal) int { return rank(a) - rank(b) })
	return out
}

// failure says why an action failed, in words that stay the same from one tick
// to the next.
func failure(err error) string {
	var refused *cluster.Refused
	var platform *certificate.Refused
	var unfit *repair.Unfit
	switch kind := soap.KindOf(err); {
	case errors.As(err, &refused):
		return refused.Message
	case errors.As(err, &unfit):
		return unfit.Why
	case kind != soap.Other:
		return string(kind)
	case errors.As(err, &platform): // of the node that an import is about
		return platform.Message
	}
	return "see the log"
}

// lookAgain reads consistently what an action turns on, and judges it anew: the
// whole mesh's clusters, and the peers that ask for it. Of the other peers, by
// which too many causes are told, what was loaded is good enough.
func (s *Stucksync) recheck(ctx context.Context, j *tick, gate *repair.Gate, p peer.Proposal) (repair.Situation, error) {
	var functions []string
	for _, f := range run.Schedules() {
		functions = append(functions, f.Function)
	}
	book, err := record.Reread(ctx, s.Store, s.Mesh, p.Peers, p.ID, functions...)
	if err != nil {
		return repair.Situation{}, err
	}
	view := book.Facts(s.Mesh, j.view.Tick, s.Now()).View()
	again := &tick{book: book, view: view, certs: book.Certificates(view), lease: j.lease,
		conditions: maps.Clone(j.conditions), states: map[mesh.PeerID]peer.StateRecord{}, ladders: j.ladders}
	for _, id := range p.Peers {
		again.conditions[id] = again.read(id)
		again.states[id] = s.fold(again, id, book.States[id].Value)
	}
	return s.situation(again, gate, p), nil
}

// situation gathers what the guards judge by. The target's service is as
// peersync saw it; the gate reads it anew before it acts.
func (s *Stucksync) situation(j *tick, gate *repair.Gate, p peer.Proposal) repair.Situation {
	id := p.Target.Cluster
	sit := repair.Situation{
		Now: j.view.Now, Mesh: s.Mesh, Overrides: &j.book.Overrides, Epoch: gate.PauseEpoch, Newest: s.newest(j), Announced: j.book.Proposals[p.ID].Value.First,
		Failing: s.failures(j), Peers: map[mesh.PeerID]repair.Peer{}, Service: peer.Service{Status: "Unknown", UpTime: -1},
	}
	for _, id := range s.Mesh.IDs() {
		switch j.view.Visibility(id).Verdict {
		case peer.WaitingForPeers, peer.NotVisible:
			sit.Unseen++
		}
	}
	for _, id := range p.Peers {
		sit.Peers[id] = repair.Peer{Conditions: j.conditions[id], Overlays: j.states[id].Overlays, Sync: j.book.Syncs[id].Value}
	}
	r := j.view.Clusters[id]
	switch {
	case r == nil:
		sit.ClusterUnknown = fmt.Sprintf("%s is no longer in mesh.yaml", id)
		return sit
	case j.book.Clusters[id].Newer:
		sit.ClusterUnknown = fmt.Sprintf("the record of %s was written by a newer version of Peerkeeper", id)
	}
	if r.Fell != nil {
		sit.UsersFell = r.Fell.String()
	}
	sit.Proposed = slices.Concat(peer.Starts(j.view, id, gate.Done()...), j.exchange())
	services := r.Seen.Nodes[p.Target.Node].Services.Fresh(j.view.Now, 2*j.view.Tick)
	got, known := services.Get()
	svc, listed := got[p.Target.Service]
	switch {
	case !known:
		sit.ServiceUnknown = fmt.Sprintf("the services of %s are not known (%s)", p.Target.Node, services.Why())
	case !listed:
		sit.ServiceUnknown = fmt.Sprintf("%s is not listed", p.Target)
	default:
		if svc.UpTime >= 0 {
			svc.UpTime += max(0, j.view.Now.Sub(services.At)) // as it must be by now
		}
		sit.Service = svc
	}
	return sit
}

// failures are the peers that are not well, with their causes. They are the same
// for every proposal.
func (s *Stucksync) failures(j *tick) []repair.Failing {
	if j.failing == nil {
		j.failing = []repair.Failing{}
		for _, pr := range s.Mesh.Peers {
			if root, ok := peer.RootOf(j.view, pr.ID, j.conditions); ok {
				j.failing = append(j.failing, repair.Failing{Peer: pr.ID, Root: root})
			}
		}
	}
	return j.failing
}

// actor is who acts, for the audit.
const actor = "stucksync"

// newest is the configuration hash of the newest run of any function. Our own
// record carries what this very run wrote; what it found there counts.
func (s *Stucksync) newest(j *tick) string {
	hash, at := s.Mesh.Hash(), time.Time{}
	newer := func(r store.Run) {
		if r.Started.After(at) {
			at, hash = r.Started, r.ConfigHash
		}
	}
	for function, r := range j.book.Runs {
		if function != actor {
			newer(r.Value)
		}
	}
	if j.lease != nil {
		newer(j.lease.Before)
	}
	return hash
}

func (s *Stucksync) repairer(j *tick) *repair.Repair {
	r := &repair.Repair{Mesh: s.Mesh, Store: s.Store, Open: s.open, Recorded: s.recorded, Now: s.Now, Log: s.Log, Actor: actor, Crash: s.Crash,
		CheckLease: func(ctx context.Context) error { return j.lease.Check(ctx, s.Now()) }}
	if s.Platform != nil {
		r.TrustStoreWriter, r.Source = s.keeper, s.source
	}
	return r
}

// recorded gives a service as peersync's read account saw it after the intent's
// deadline.
func (s *Stucksync) recorded(ctx context.Context, in repair.Intent) (peer.Service, error) {
	r, err := record.ObservedCluster(ctx, s.Store, s.Mesh.Name, in.Target.Cluster)
	if err != nil {
		return peer.Service{}, err
	}
	services := r.Seen.Nodes[in.Target.Node].Services
	got, known := services.Get()
	svc, listed := got[in.Target.Service]
	if !known || !listed || !services.At.After(in.Deadline.Add(time.Minute)) {
		return peer.Service{}, fmt.Errorf("%s has not been seen since", in.Target)
	}
	if svc.UpTime >= 0 {
		svc.UpTime += max(0, s.Now().Sub(services.At))
	}
	return svc, nil
}

// open gives the hand of a cluster, under the lock-out guard of its write
// account.
func (s *Stucksync) open(ctx context.Context, id mesh.ClusterID) (repair.ServiceController, error) {
	a, err := s.logIn(ctx, id, mesh.WriteAccount)
	if err != nil {
		return nil, err
	}
	hand, err := s.Clusters.ServiceController(ctx, a.cluster, a.rejected, a.pins)
	if err != nil {
		return nil, err
	}
	return guardedController{hand, a}, nil
}

// login is what is known of a log-in before it is tried: the version of the
// secret that was refused, and the certificates that people accepted.
type login struct {
	record.Login
	cluster  *mesh.Cluster
	rejected string
	pins     map[mesh.NodeName][]string
	now      func() time.Time
}

func (s *Stucksync) logIn(ctx context.Context, id mesh.ClusterID, a mesh.Account) (login, error) {
	c, ok := s.Mesh.Cluster(id)
	if !ok {
		return login{}, fmt.Errorf("%s is no longer in mesh.yaml", id)
	}
	l := login{Login: record.LoginOf(s.Store, s.Mesh.Name, c, a), cluster: c, now: s.Now}
	var err error
	if l.rejected, err = l.Rejected(ctx); err != nil {
		return login{}, err
	}
	if l.pins, err = record.Accepted(ctx, s.Store, s.Mesh.Name); err != nil {
		return login{}, err
	}
	return l, nil
}

// heed notes at once that the account was rejected, if an error says so, before
// anything else can log in with that version of its secret.
func (l login) heed(ctx context.Context, version string, err error) error {
	if soap.KindOf(err) == soap.AccountRejected {
		return errors.Join(err, l.Reject(ctx, version, err.Error(), l.now()))
	}
	return err
}

// guardedController heeds whatever its account is answered.
type guardedController struct {
	*cluster.ServiceController
	login login
}

func (g guardedController) heed(ctx context.Context, err error) error {
	return g.login.heed(ctx, g.Version, err)
}

// Service is ServiceController's.
func (g guardedController) Service(ctx context.Context, node mesh.NodeName, service string) (peer.Service, error) {
	svc, err := g.ServiceController.Service(ctx, node, service)
	return svc, g.heed(ctx, err)
}

// Control is ServiceController's.
func (g guardedController) Control(ctx context.Context, node mesh.NodeName, action peer.Action, service string) error {
	return g.heed(ctx, g.ServiceController.Control(ctx, node, action, service))
}

// Parameter is ServiceController's.
func (g guardedController) Parameter(ctx context.Context, node mesh.NodeName, service, name string) (string, int, error) {
	v, n, err := g.ServiceController.Parameter(ctx, node, service, name)
	return v, n, g.heed(ctx, err)
}

// SetParameter is ServiceController's.
func (g guardedController) SetParameter(ctx context.Context, node mesh.NodeName, service, name, value string) error {
	return g.heed(ctx, g.ServiceController.SetParameter(ctx, node, service, name, value))
}
