package preflight

import (
	"context"
	"errors"
	"fmt"
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
	"peerkeeper/shared/soap"
)

// setUp asks all clusters that are wanted. A cluster that could not be asked has facts that are unknown.
func (t *tick) setUp(ctx context.Context) {
	var wanted []mesh.Cluster
	for _, c := range t.Mesh.Clusters {
		if len(t.only) == 0 || slices.Contains(t.only, c.ID) {
			wanted = append(wanted, c)
		}
	}
	setups := make([]check.Setup, len(wanted))
	errs := t.ask(ctx, wanted, func(ctx context.Context, i int, client *cluster.Client) (err error) {
		setups[i], err = client.Setup(ctx, t.Now())
		return err
	})
	t.setups = map[mesh.ClusterID]check.Setup{}
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
		t.setups[c.ID] = setups[i]
		wg.Go(func() {
			ports := make([]map[int]string, len(c.Nodes))
			for j, n := range c.Nodes {
				ports[j] = t.ports(ctx, c, n)
			}
			for j, n := range c.Nodes {
				seen := setups[i].Nodes[n.Name]
				seen.Ports = ports[j]
				setups[i].Nodes[n.Name] = seen
			}
		})
	}
	wg.Wait()
}

// ask opens clusters, some at once, for a question, under the guard against a lock-out, and gives the error of each:
// a rejected account is not tried, and one that is rejected now is noted before anything else can try it. A question
// that panics costs its own cluster.
func (t *tick) ask(ctx context.Context, clusters []mesh.Cluster, question func(context.Context, int, *cluster.Client) error) []error {
	errs := make([]error, len(clusters))
	turns := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range clusters {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			errs[i] = t.open(ctx, &clusters[i], func(ctx context.Context, client *cluster.Client) error { return question(ctx, i, client) })
		})
	}
	wg.Wait()
	return errs
}

func (t *tick) open(ctx context.Context, c *mesh.Cluster, question func(context.Context, *cluster.Client) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if t.Log != nil {
				t.Log.Error("panic while asking", "cluster", c.ID, "panic", r, "stack", string(debug.Stack()))
			}
			t.Clusters.Drop(c)
			err = &cluster.Refused{Reason: peer.Crashed, Message: fmt.Sprintf("asking %s failed inside Peerkeeper; the log of the run says how", c.ID)}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, clusterDeadline)
	defer cancel()
	client, err := t.Clusters.Open(ctx, c, record.AccountGuardOf(t.Store, t.Mesh.Name, c, mesh.ReadAccount, t.Now), t.accepted)
	if err != nil {
		return err
	}
	if err = question(ctx, client); soap.KindOf(err) == soap.AccountRejected {
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
func (t *tick) ports(ctx context.Context, c *mesh.Cluster, n mesh.Node) map[int]string {
	host, ok := check.OwnHost(n)
	if !ok || t.Dial == nil {
		return nil
	}
	out := map[int]string{}
	for _, port := range check.PortsOf(c) {
		dialling, cancel := context.WithTimeout(ctx, portDeadline)
		conn, err := t.Dial.DialContext(dialling, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		cancel()
		switch {
		case err == nil:
			_ = conn.Close() // it has told all that it is asked for
			out[port] = ""
		case ctx.Err() == nil: // else the run has no time left, which says nothing of the port
			out[port] = plain.Line(err.Error(), 200)
		}
	}
	return out
}
