package stucksync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/store"
)

// keepProposal is how long an ended proposal stays readable, for
// `plan --would-have`.
const keepProposal = 30 * 24 * time.Hour

// climb puts every stuck peer on its rung of the ladder, and gathers what the
// mesh asks for. It changes no cluster.
func (s *Stucksync) climb(j *judged, gate *repair.Gate) []peer.Proposal {
	var asked []peer.Proposal
	for _, p := range s.Mesh.Peers {
		if state, _ := peer.StateOf(j.conditions[p.ID], j.book.Syncs[p.ID].Value); state != peer.Stuck {
			continue
		}
		prev := j.book.States[p.ID].Value.Ladder
		ladder, proposal := peer.Climb(j.view, p.ID, j.conditions[p.ID], j.book.Syncs[p.ID].Value, prev, gate.Done())
		j.ladders[p.ID] = ladder
		if proposal != nil {
			asked = append(asked, *proposal)
		}
	}
	for _, id := range s.Mesh.IDs() {
		asked = append(asked, peer.Starts(j.view, id)...)
		asked = append(asked, peer.RemoteAXL(j.view, id)...)
	}
	return peer.Merge(asked)
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
// records what was asked for and what stopped it.
func (s *Stucksync) act(ctx context.Context, j *judged, gate *repair.Gate, asked []peer.Proposal) (int, error) {
	actions := 0
	var errs []error
	var changes record.Changes
	for _, p := range asked {
		doc, ok := j.book.Proposals[p.ID]
		if !ok {
			doc = store.NewDoc(store.Proposal(s.Mesh.Name, p.ID), record.ProposedSchema, record.Proposed{First: j.view.Now})
		}
		doc.Value.Proposal, doc.Value.Ended = p, time.Time{}
		situation := s.situation(j, gate, p)
		refused := repair.Refusals(gate, p, situation)
		doc.Value.Refused = texts(refused)
		if len(refused) == 0 && s.Clusters != nil {
			res, err := s.repairer().Do(ctx, p, situation)
			switch {
			case err != nil:
				errs = append(errs, err)
				doc.Value.Refused = []string{"failed: " + err.Error()}
			case len(res.Refused) > 0:
				doc.Value.Refused = texts(res.Refused)
			default:
				actions++
				doc.Value.Outcome = strings.TrimSpace(string(res.Outcome) + " " + res.Text)
			}
		}
		doc.TTL = time.Time{}
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
	if _, err := changes.Write(ctx, s.Store); err != nil {
		errs = append(errs, err)
	}
	return actions, errors.Join(errs...)
}

// texts are refusals as they are stored. What moves with the clock is left to
// the guard's name, so that a waiting proposal is not written every tick.
func texts(refused []repair.Refusal) []string {
	var out []string
	for _, r := range refused {
		switch r.Guard {
		case "age", "clusterLimit", "meshLimit":
			out = append(out, r.Guard)
		default:
			out = append(out, r.Error())
		}
	}
	return out
}

// situation gathers what the guards judge by. The target's service is as
// peersync saw it; the gate reads it anew before it acts.
func (s *Stucksync) situation(j *judged, gate *repair.Gate, p peer.Proposal) repair.Situation {
	sit := repair.Situation{
		Now: j.view.Now, Mesh: s.Mesh, Said: &j.book.Said, Epoch: gate.PauseEpoch, Newest: s.newest(j),
		Overlays: map[mesh.PeerID][]peer.Overlay{}, Service: peer.Service{Status: "Unknown", UpTime: -1},
	}
	for _, pr := range s.Mesh.Peers {
		if root, ok := peer.RootOf(j.view, pr.ID, j.conditions); ok {
			sit.Failing = append(sit.Failing, repair.Failing{Peer: pr.ID, Root: root})
		}
	}
	for _, id := range s.Mesh.IDs() {
		switch j.view.Sight(id).Verdict {
		case peer.Awaiting, peer.NotSeen:
			sit.Unseen++
		}
	}
	for _, id := range p.Peers {
		sit.Overlays[id] = j.states[id].Overlays
	}
	services := j.view.Clusters[p.Target.Cluster].Seen.Nodes[p.Target.Node].Services.Fresh(j.view.Now, 2*j.view.Tick)
	if got, ok := services.Get(); ok {
		if svc, listed := got[p.Target.Service]; listed {
			sit.Service = svc
		} else {
			sit.Facts = fmt.Sprintf("%s is not listed", p.Target)
		}
	} else {
		sit.Facts = fmt.Sprintf("the services of %s are not known (%s)", p.Target.Node, services.Why())
	}
	if p.Action == peer.RestartService && p.Target.Service == peer.ICSA {
		for _, id := range p.Peers {
			c := condition(j.conditions[id], peer.Synced)
			if c.Status != peer.False {
				sit.Facts = fmt.Sprintf("%s: Synced is %s (%s)", id, c.Status, c.Reason)
			}
		}
	}
	return sit
}

// newest is the configuration hash of the newest run of any other function:
// our own record carries what this very run wrote.
func (s *Stucksync) newest(j *judged) string {
	hash, at := s.Mesh.Hash(), time.Time{}
	for function, r := range j.book.Runs {
		if function != "stucksync" && r.Value.Started.After(at) {
			at, hash = r.Value.Started, r.Value.ConfigHash
		}
	}
	return hash
}

func (s *Stucksync) repairer() *repair.Repair {
	return &repair.Repair{Mesh: s.Mesh, Store: s.Store, Open: s.open, Now: s.Now, Log: s.Log, Actor: "stucksync", Crash: s.Crash}
}

// open gives the hand of a cluster, under the lock-out guard of its write
// account.
func (s *Stucksync) open(ctx context.Context, id mesh.ClusterID) (repair.Hand, error) {
	c, ok := s.Mesh.Cluster(id)
	if !ok {
		return nil, fmt.Errorf("%s is no longer in mesh.yaml", id)
	}
	book, err := record.Load(ctx, s.Store, s.Mesh)
	if err != nil {
		return nil, err
	}
	hand, err := s.Clusters.Hand(ctx, c, book.Auths[writeAccount(id)].Value.Rejected, book.Accepted())
	if err != nil {
		return nil, err
	}
	return &guarded{Hand: hand, note: func(ctx context.Context, cause error) error {
		_, _, err := store.Claim(ctx, s.Store, store.Auth(s.Mesh.Name, writeAccount(id)), record.AuthSchema, func(d *store.Doc[record.Auth], _ bool) (bool, error) {
			d.Value = record.Auth{Secret: c.WriteCredentials, Rejected: hand.Version, At: s.Now(), Detail: cause.Error()}
			return true, nil
		})
		return err
	}}, nil
}

// writeAccount is the AUTH item of a cluster's write account.
func writeAccount(id mesh.ClusterID) mesh.ClusterID { return id + "/write" }

// guarded is a hand that notes at once when its account is rejected, before
// anything else can log in with it.
type guarded struct {
	*cluster.Hand
	note func(context.Context, error) error
}

func (g *guarded) told(ctx context.Context, err error) error {
	if soap.KindOf(err) == soap.AccountRejected {
		return errors.Join(err, g.note(ctx, err))
	}
	return err
}

func (g *guarded) Service(ctx context.Context, node mesh.NodeName, service string) (peer.Service, error) {
	svc, err := g.Hand.Service(ctx, node, service)
	return svc, g.told(ctx, err)
}

func (g *guarded) Control(ctx context.Context, node mesh.NodeName, action peer.Action, service string) error {
	return g.told(ctx, g.Hand.Control(ctx, node, action, service))
}

func (g *guarded) Parameter(ctx context.Context, node mesh.NodeName, service, name string) (string, int, error) {
	v, n, err := g.Hand.Parameter(ctx, node, service, name)
	return v, n, g.told(ctx, err)
}

func (g *guarded) SetParameter(ctx context.Context, node mesh.NodeName, service, name, value string) error {
	return g.told(ctx, g.Hand.SetParameter(ctx, node, service, name, value))
}
