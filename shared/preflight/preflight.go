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
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"peerkeeper/shared/check"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
	"peerkeeper/shared/soap"
	"peerkeeper/shared/store"
	"peerkeeper/shared/useraudit"
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

// Preflight is the use case. All fields are needed but Dial and Log.
type Preflight struct {
	Mesh     *mesh.Mesh
	Store    store.Store
	Clusters *cluster.Connector
	// Dial is the way to the ports that are asked; nil leaves them unknown.
	Dial Dialer
	Now  func() time.Time
	Log  *slog.Logger
}

// Handle carries out the checks of the clusters that the request names, or of all.
func (p *Preflight) Handle(ctx context.Context, req run.Request) (run.Answer, error) {
	sched, _ := run.Find("preflight")
	r := run.Runner{Schedule: sched, Mesh: p.Mesh, Store: p.Store, Now: p.Now}
	return r.Once(ctx, req, func(ctx context.Context, _ *store.Lease) (run.Answer, error) { return p.run(ctx, req) })
}

// Of carries out the checks of one cluster now, for those who are about to change it.
func (p *Preflight) Of(ctx context.Context, id mesh.ClusterID) error {
	a, err := p.Handle(ctx, run.Request{Function: "preflight", Only: []mesh.ClusterID{id}})
	if err == nil && a.Skipped != "" {
		err = errors.New(a.Skipped)
	}
	return err
}

func (p *Preflight) run(ctx context.Context, req run.Request) (run.Answer, error) {
	now := p.Now()
	snapshot, err := record.Load(ctx, p.Store, p.Mesh)
	if err != nil {
		return run.Answer{}, err
	}
	snapshot.ReclockClusters(now)
	snapshot.ReclockPeers(p.Mesh, now)
	docs, err := snapshot.Checks(p.Mesh)
	if err != nil {
		return run.Answer{}, err
	}
	asking := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		asking, cancel = context.WithDeadline(ctx, end.Add(-spare))
		defer cancel()
	}
	setups := p.setup(asking, snapshot.Accepted(), req.Only)
	facts, err := Facts(snapshot, p.Mesh, now)
	if err != nil {
		return run.Answer{}, err
	}
	facts.Setups = setups
	audit := &useraudit.Audit{Mesh: p.Mesh, Store: p.Store, Ask: p.asker(snapshot.Accepted()), Now: p.Now}
	users, unaudited := audit.Run(asking)
	if unaudited == nil {
		facts.Users = &users
	}
	answer := run.Answer{}
	var changes record.Changes
	for id, rows := range facts.Judge(req.Only...) {
		doc := docs[id]
		if doc.Value, err = doc.Value.Next(rows, now); err != nil {
			return run.Answer{}, err
		}
		record.Add(&changes, doc)
		if id == "" {
			continue
		}
		switch seen := setups[id]; {
		case len(seen.Nodes) == 0:
			answer.Clusters.Unreachable++
		case whole(seen):
			answer.Clusters.Observed++
		default:
			answer.Clusters.Partial++
		}
	}
	if req.DryRun {
		return answer, unaudited
	}
	_, err = changes.Write(ctx, p.Store)
	if unaudited == nil {
		err = errors.Join(err, record.WriteUserReport(ctx, p.Store, p.Mesh.Name, users))
	}
	return answer, errors.Join(unaudited, err)
}

func whole(s check.Setup) bool {
	for _, n := range s.Nodes {
		if !n.Replication.Known() || !n.SRM.Known() {
			return false
		}
	}
	return s.SIPProxy.Known()
}

// Facts are what checks are judged by, but for what preflight asks itself.
func Facts(snapshot *record.Snapshot, m *mesh.Mesh, now time.Time) (*check.Facts, error) {
	sched, _ := run.Find("peersync")
	view := snapshot.Facts(m, sched.Period, now).View()
	pasted, err := snapshot.Pastes()
	if err != nil {
		return nil, err
	}
	f := &check.Facts{View: view, Pasted: pasted, Logs: map[mesh.ClusterID]string{}}
	f.Conditions = func(id mesh.PeerID) []peer.Condition {
		return peer.Conditions(view, id, snapshot.Syncs[id].Value, snapshot.CertOf(id))
	}
	for id, log := range view.Logs {
		if log.Problem == noRole {
			f.Logs[id] = log.Problem
		}
	}
	return f, nil
}

// noRole is Log Collection's word for a role that the account lacks.
const noRole = "noRole"

// setup asks all clusters that are wanted. A cluster that could not be asked has facts that are unknown.
func (p *Preflight) setup(ctx context.Context, accepted map[mesh.NodeName][]string, only []mesh.ClusterID) map[mesh.ClusterID]check.Setup {
	var wanted []mesh.Cluster
	for _, c := range p.Mesh.Clusters {
		if len(only) == 0 || slices.Contains(only, c.ID) {
			wanted = append(wanted, c)
		}
	}
	setups := make([]check.Setup, len(wanted))
	errs := p.asker(accepted)(ctx, wanted, func(ctx context.Context, i int, client *cluster.Client) (err error) {
		setups[i], err = client.Setup(ctx, p.Now())
		return err
	})
	out := map[mesh.ClusterID]check.Setup{}
	var wg sync.WaitGroup
	for i := range wanted {
		c := &wanted[i]
		if err := errs[i]; err != nil {
			why, message := peer.NoCredentials, err.Error()
			var refused *cluster.Refused
			if errors.As(err, &refused) {
				why, message = refused.Reason, refused.Message
			}
			setups[i] = unasked(c, why, message)
		}
		out[c.ID] = setups[i]
		wg.Go(func() {
			ports := make([]map[int]string, len(c.Nodes))
			for j, n := range c.Nodes {
				ports[j] = p.ports(ctx, c, n)
			}
			for j, n := range c.Nodes {
				seen := setups[i].Nodes[n.Name]
				seen.Ports = ports[j]
				setups[i].Nodes[n.Name] = seen
			}
		})
	}
	wg.Wait()
	return out
}

// asker opens clusters, some at once, for a question, under the guard against a lock-out, and gives the error of each:
// a rejected account is not tried, and one that is rejected now is noted before anything else can try it. A question
// that panics costs its own cluster.
func (p *Preflight) asker(accepted map[mesh.NodeName][]string) useraudit.Ask {
	return func(ctx context.Context, clusters []mesh.Cluster, ask func(context.Context, int, *cluster.Client) error) []error {
		errs := make([]error, len(clusters))
		turns := make(chan struct{}, atOnce)
		var wg sync.WaitGroup
		for i := range clusters {
			wg.Go(func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				errs[i] = p.open(ctx, &clusters[i], accepted, func(ctx context.Context, client *cluster.Client) error { return ask(ctx, i, client) })
			})
		}
		wg.Wait()
		return errs
	}
}

func (p *Preflight) open(ctx context.Context, c *mesh.Cluster, accepted map[mesh.NodeName][]string, ask func(context.Context, *cluster.Client) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if p.Log != nil {
				p.Log.Error("panic while asking", "cluster", c.ID, "panic", r, "stack", string(debug.Stack()))
			}
			p.Clusters.Drop(c)
			err = &cluster.Refused{Reason: peer.Crashed, Message: fmt.Sprintf("asking %s failed inside Peerkeeper; the log of the run says how", c.ID)}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, clusterDeadline)
	defer cancel()
	client, err := p.Clusters.Open(ctx, c, record.AccountGuardOf(p.Store, p.Mesh.Name, c, mesh.ReadAccount, p.Now), accepted)
	if err != nil {
		return err
	}
	if err = ask(ctx, client); soap.KindOf(err) == soap.AccountRejected {
		return &cluster.Refused{Reason: peer.AccountRejected, Message: err.Error(), Cause: err} // Open's guard has noted it
	}
	return err
}

// unasked is a cluster of which nothing is known, for one reason.
func unasked(c *mesh.Cluster, why peer.Reason, detail string) check.Setup {
	s := check.Setup{Nodes: map[mesh.NodeName]check.NodeSetup{}, SIPProxy: peer.Unknown[map[string]string](why, detail), PasswordChanged: peer.Unknown[time.Time](why, detail)}
	for _, n := range c.Nodes {
		s.Nodes[n.Name] = check.NodeSetup{Replication: peer.Unknown[int](why, detail), SRM: peer.Unknown[int](why, detail)}
	}
	return s
}

// ports asks a node's ports, where the node is reached by Cisco's own. A connection is closed at once: nothing is sent.
func (p *Preflight) ports(ctx context.Context, c *mesh.Cluster, n mesh.Node) map[int]string {
	host, ok := check.OwnHost(n)
	if !ok || p.Dial == nil {
		return nil
	}
	out := map[int]string{}
	for _, port := range check.PortsOf(c) {
		ctx, cancel := context.WithTimeout(ctx, portDeadline)
		conn, err := p.Dial.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		cancel()
		out[port] = ""
		if err != nil {
			out[port] = plain.Line(err.Error(), 200)
			continue
		}
		_ = conn.Close() // it has told all that it is asked for
	}
	return out
}
