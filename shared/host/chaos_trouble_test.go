package host_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
)

// What other people's networks and hands do to a mesh, and what must not follow
// from it.

// stopByHand is a person who stops a service in Control Center.
func (c *chaos) stopByHand(t peer.Target) {
	if c.statusOf(t) == "Started" {
		c.stoppedByHand[t] = c.clock.Now()
		c.tally.byHand++
	}
	c.mustAdmin("/clusters/"+string(t.Cluster)+"/services", map[string]any{"node": t.Node, "service": t.Service, "status": "Stopped"})
}

func (c *chaos) statusOf(t peer.Target) string {
	for _, cl := range c.sim.State().Clusters {
		for _, n := range cl.Nodes {
			if n.Name == string(t.Node) {
				return n.Services[t.Service]
			}
		}
	}
	return ""
}

// trouble is one drawn trouble besides those of syncs and certificates.
func (c *chaos) trouble(s step) {
	cl := c.clusterAt(s.Which)
	path := "/clusters/" + string(cl.ID)
	c.troubles++
	switch s.Kind {
	case "crash":
		for i, n := range cl.Nodes {
			t := peer.Target{Cluster: cl.ID, Node: n.Name, Service: []string{peer.ICSA, peer.AXL}[s.Size%2]}
			if (i == s.Size/2%2 || s.Size > 17) && c.statusOf(t) == "Started" {
				c.mustAdmin(path+"/services", map[string]any{"node": n.Name, "service": t.Service, "status": "Stopped", "crash": true})
			}
		}
	case "reboot":
		node := cl.Nodes[s.Size%len(cl.Nodes)].Name
		for t := range c.stoppedByHand {
			if t.Node == node {
				delete(c.stoppedByHand, t) // it comes up with the node, or not by the node's doing
			}
		}
		c.mustAdmin(path+"/nodes", map[string]any{"node": node, "reboot": true})
	case "between":
		if c.covered[cl.Publisher] {
			c.uncover(cl)
			return
		}
		c.covered[cl.Publisher] = true
		c.mustAdmin(path+"/tls", map[string]any{"node": cl.Publisher, "served": "other"})
		c.accept(c.hosts[s.Host], cl.Publisher) // so that Peerkeeper may talk to it
	case "names":
		id := c.peerAt(s.Which)
		to, _ := c.mesh.Cluster(id.To)
		c.hidden[string(to.Publisher)] = id.From
		c.mustAdmin("/clusters/"+string(id.From)+"/dns", map[string]any{"for": "peerkeeper", "name": to.Publisher, "answer": "nxdomain"})
	case "answers":
		kind := []string{"http403", "http599", "notUTF8", "fault"}[s.Size%4]
		c.mustAdmin("/faults", map[string]any{"cluster": cl.ID, "operation": "executeSQLQuery", "kind": kind, "times": s.Size})
	}
}

func (c *chaos) uncover(cl mesh.Cluster) {
	delete(c.covered, cl.Publisher)
	c.mustAdmin("/clusters/"+string(cl.ID)+"/tls", map[string]any{"node": cl.Publisher, "served": "own"})
}

// endTrouble takes away what stands between Peerkeeper and the clusters.
func (c *chaos) endTrouble() {
	for _, cl := range c.mesh.Clusters {
		if c.covered[cl.Publisher] {
			c.uncover(cl)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.hidden)) {
		for _, id := range c.mesh.IDs() {
			c.mustAdmin("/clusters/"+string(id)+"/dns", map[string]any{"name": name, "answer": ""})
		}
	}
	if err := c.sim.Do(http.MethodDelete, "/faults", nil); err != nil {
		c.fail("ending the faults: %v", err)
	}
}

// own is the certificate that a node itself has, whatever is shown to Peerkeeper
// on the way.
func (c *chaos) own(node mesh.NodeName) *x509.Certificate {
	leaf := c.sim.Own(string(node))
	c.meetCertificate(leaf)
	return leaf
}

func (c *chaos) meetCertificate(leaf *x509.Certificate) {
	if print := chain.Fingerprint(leaf); c.served[print] == nil {
		c.served[print] = leaf
		c.names.give(print, fmt.Sprintf("certificate %d", len(c.served)))
	}
}

// checkStart is called for every start on its way to a node: what a person
// stopped is started with approval only, unless the policy says otherwise, or
// something else on the node explains the code as well.
func (c *chaos) checkStart(a act, intent *repair.Intent, gate *repair.Gate, snapshot *record.Snapshot) {
	stopped, byHand := c.stoppedByHand[a.target]
	if a.applied {
		delete(c.stoppedByHand, a.target)
	}
	if _, approved := snapshot.Overrides.Approvals[intent.ID]; !byHand || approved {
		return // whether it was good, and spent once, the gate's own record tells
	}
	clocks := slices.ContainsFunc(c.plan.Steps[:min(c.n, len(c.plan.Steps))], func(s step) bool { return s.Kind == "clock" })
	switch {
	case c.plan.Start == "auto", c.plan.Start != "" && (clocks || a.at.Sub(stopped) >= 110*time.Minute):
		return
	case !clocks && meantOn(gate, a.target.Node, stopped.Add(-2*time.Hour), stopped.Add(15*time.Minute)):
		return // whether it reached the node or not, it may have left it so
	case c.actedOn(a.target.Node, stopped.Add(-2*time.Hour), stopped.Add(15*time.Minute)), c.startedOn(a.target, stopped):
		return
	}
	c.fail("a person stopped %s at %s, and it is started without approval: %s", a.target, stopped.Format(time.DateTime), snapshot.Proposals[intent.ID].Value.Proposal.Why)
}

// actedOn reports whether something of Peerkeeper's went to a node between two
// instants.
func (c *chaos) actedOn(node mesh.NodeName, since, until time.Time) bool {
	return slices.ContainsFunc(c.acts, func(b act) bool {
		return b.target.Node == node && b.at.After(since) && b.at.Before(until) && len(b.certs) == 0
	})
}

// meantOn reports whether anything was meant to be done on a node between two
// instants, by the hosts' clock, and is over.
func meantOn(gate *repair.Gate, node mesh.NodeName, since, until time.Time) bool {
	return slices.ContainsFunc(gate.Closed, func(cl repair.Closure) bool {
		return cl.Target.Node == node && cl.Action != peer.ImportCertificate && cl.Meant.After(since) && cl.Meant.Before(until)
	})
}

// startedOn reports whether another service of the node was started about when
// one was stopped.
func (c *chaos) startedOn(t peer.Target, stopped time.Time) bool {
	for _, cl := range c.sim.State().Clusters {
		for _, n := range cl.Nodes {
			for service, up := range n.UpTime {
				if start := c.clock.Now().Add(-time.Duration(up) * time.Second); n.Name == string(t.Node) && service != t.Service && up >= 0 && start.After(stopped.Add(-time.Hour)) && start.Before(stopped.Add(30*time.Minute)) {
					return true
				}
			}
		}
	}
	return false
}

// checkSaid checks that no notice names a cause that a sync after it contradicts:
// one that was known when it was said.
func (c *chaos) checkSaid(n alarm.Notice) {
	if n.State != alarm.Raised || c.plan.Lag > 0 || c.offset != 0 {
		return
	}
	id := n.Peer
	if id.IsZero() || n.Name != alarm.NameNotResolving && n.Name != alarm.PeerCredentialsRejected {
		return
	}
	snapshot, err := record.Load(context.Background(), c.base, c.inForce())
	if err != nil {
		c.fail("%v", err)
		return
	}
	// As long as the last success is young: with its age the contradiction lapses.
	now, to := chaosClock{c}.Now(), mesh.Cluster{}
	if cl, ok := c.mesh.Cluster(id.To); ok {
		to = *cl
	}
	seen := snapshot.Clusters[id.From].Value.Seen
	i := slices.IndexFunc(seen.Entries.Value, func(e peer.Entry) bool { return mesh.SameName(e.Address, string(to.Publisher)) })
	view := snapshot.Facts(c.inForce(), 5*time.Minute, now).View()
	young := i >= 0 && now.Sub(seen.Entries.Value[i].LastSync) <= time.Duration(c.plan.Every)*time.Minute && seen.Entries.Fresh(now, 10*time.Minute).Known() && seen.Skew.Known() && seen.Entries.Value[i].Error == ""
	if young && view.SyncedSince(id, n.Since.Add(5*time.Minute)) {
		c.fail("%s %s is raised, since %s, and a sync has succeeded since: %s", n.Name, n.Peer, n.Since.Format(time.DateTime), n.Message)
	}
}
