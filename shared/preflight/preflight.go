// Package preflight carries out the checks that Cisco's chapter asks of a mesh: once a day, or when a person wants to
// know now.
//
// It owns the PREFLIGHT items and AUDITUSERS. It judges by what others recorded and asks clusters only for what nobody else reads:
// counters of PerfMon, two statements of AXL, and whether ports 7400 and 5060 take a connection from here. It never
// changes a cluster and never raises an alarm. A cluster that cannot be asked has rows that are unknown; it never makes
// a row pass.
package preflight

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"peerkeeper/shared/check"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/useraudit"
	"peerkeeper/shared/userset"
)

// Bounds of one look, on the wall.
const (
	clusterDeadline = 60 * time.Second
	portDeadline    = 5 * time.Second
	spare           = 30 * time.Second // asking stops this long before the context ends
	atOnce          = 8                // clusters that are asked side by side: nobody waits for this
)

// Dialer opens a connection; a *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Preflight is the use case. All fields are needed but Audit, Dial and Log.
type Preflight struct {
	Mesh     *mesh.Mesh
	Store    store.Store
	Clusters *cluster.Connector
	// Audit is (*useraudit.Audit).Run; nil leaves users to what the last audit found. It
	// is handed over because what it takes to compare names is a tenth of a megabyte,
	// which the function that carries out plans does without.
	Audit func(a *useraudit.Audit, ctx context.Context) (userset.Report, error)
	// Dial is the way to the ports that are asked; nil leaves them unknown.
	Dial Dialer
	Now  func() time.Time
	Log  *slog.Logger
}

// Handle carries out the checks of the clusters that the request names, or of all.
func (p *Preflight) Handle(ctx context.Context, req run.Request) (run.Answer, error) {
	sched, _ := run.Find("preflight")
	r := run.Runner{Schedule: sched, Mesh: p.Mesh, Store: p.Store, Now: p.Now}
	return r.Once(ctx, req, func(ctx context.Context, _ *store.Lease) (run.Answer, error) { return p.tick(ctx, req) })
}

// Of carries out the checks of one cluster now, for those who are about to change it.
// Users are as the last audit found them.
func (p *Preflight) Of(ctx context.Context, id mesh.ClusterID) error {
	one := *p
	one.Audit = nil
	a, err := one.Handle(ctx, run.Request{Function: "preflight", Only: []mesh.ClusterID{id}})
	if err == nil && a.Skipped != "" {
		err = errors.New(a.Skipped)
	}
	return err
}

// tick is one run: what it knows, and what it has made of it.
type tick struct {
	*Preflight
	now      time.Time
	only     []mesh.ClusterID // the clusters that are checked; all of them if empty
	snapshot *record.Snapshot
	accepted map[mesh.NodeName][]string // certificates that people accepted, by node

	setups map[mesh.ClusterID]check.Setup
	users  *userset.Report // what the audit found; nil if it could tell nothing
}

func (p *Preflight) tick(ctx context.Context, req run.Request) (run.Answer, error) {
	snapshot, err := record.Load(ctx, p.Store, p.Mesh)
	if err != nil {
		return run.Answer{}, err
	}
	t := &tick{Preflight: p, now: p.Now(), only: req.Only, snapshot: snapshot, accepted: snapshot.Accepted()}
	snapshot.ReclockClusters(t.now)
	snapshot.ReclockPeers(p.Mesh, t.now)
	asking := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		asking, cancel = context.WithDeadline(ctx, end.Add(-spare))
		defer cancel()
	}
	t.setUp(asking)
	unaudited := t.audit(asking)
	changes, err := t.judge()
	if err != nil || req.DryRun {
		return t.answer(), errors.Join(unaudited, err)
	}
	_, err = changes.Write(ctx, p.Store)
	if t.users != nil && t.Audit != nil {
		err = errors.Join(err, record.WriteUserReport(ctx, p.Store, p.Mesh.Name, *t.users))
	}
	return t.answer(), errors.Join(unaudited, err)
}

// audit finds what is wrong with users; without it their rows are told by what people pasted, or unknown.
func (t *tick) audit(ctx context.Context) error {
	if t.Audit == nil {
		users, err := t.snapshot.UserReport()
		t.users = users
		return err
	}
	users, err := t.Audit(&useraudit.Audit{Mesh: t.Mesh, Store: t.Store, Ask: t.ask, Now: t.Now}, ctx)
	if err == nil {
		t.users = &users
	}
	return err
}

// judge carries out every check, and gives the rows to be written.
func (t *tick) judge() (*record.Changes, error) {
	facts, err := t.facts()
	if err != nil {
		return nil, err
	}
	var changes record.Changes
	docs := t.snapshot.Checks(t.Mesh)
	for id, rows := range facts.Judge(t.only...) {
		doc := docs[id]
		doc.Value = doc.Value.Next(rows, t.now)
		record.Add(&changes, doc)
	}
	return &changes, nil
}

// facts are what checks are judged by.
func (t *tick) facts() (*check.Facts, error) {
	pasted, err := t.snapshot.Pastes()
	if err != nil {
		return nil, err
	}
	sched, _ := run.Find("peersync")
	view := t.snapshot.Facts(t.Mesh, sched.Period, t.now).View()
	f := &check.Facts{
		View: view, Setups: t.setups, Users: t.users, Pasted: pasted, Logs: map[mesh.ClusterID]string{}, Newer: map[mesh.ClusterID]bool{},
		Conditions: func(id mesh.PeerID) []peer.Condition { return t.snapshot.Conditions(view, id) },
	}
	for _, doc := range t.snapshot.Proposals {
		if p := doc.Value; p.Outcome != "" && p.Proposal.Action == peer.RestartService {
			at := p.Ended
			if at.IsZero() {
				at = t.now
			}
			f.Done = append(f.Done, peer.Done{Target: p.Proposal.Target, Action: p.Proposal.Action, At: at})
		}
	}
	for id, log := range view.Logs {
		if log.Problem == noRole {
			f.Logs[id] = log.Problem
		}
	}
	for id, doc := range t.snapshot.Clusters {
		f.Newer[id] = doc.Newer
	}
	return f, nil
}

// noRole is Log Collection's word for a role that the account lacks.
const noRole = "noRole"

// answer says how far the clusters were seen.
func (t *tick) answer() (a run.Answer) {
	for _, seen := range t.setups {
		switch {
		case len(seen.Nodes) == 0:
			a.Clusters.Unreachable++
		case whole(seen):
			a.Clusters.Observed++
		default:
			a.Clusters.Partial++
		}
	}
	return a
}

func whole(s check.Setup) bool {
	for _, n := range s.Nodes {
		if !n.Replication.Known() || !n.SRM.Known() {
			return false
		}
	}
	return s.SIPProxy.Known()
}
