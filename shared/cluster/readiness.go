package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/controlcenter"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/soap"
)

// readinessLasts is the longest that reading a cluster's readiness takes, on the wall
// clock. What was not read by then is unknown.
const readinessLasts = 2 * time.Minute

// Services that people are connected to, by their control names.
const (
	xcpConnectionManager    = "Cisco XCP Connection Manager"
	xcpWebConnectionManager = "Cisco XCP Web Connection Manager"
)

const stoppedStatus = string(controlcenter.Stopped)

// interrupted are the services that a restart interrupts which signs people out:
// those of the XCP Router go and come with it.
var interrupted = [...]string{
	peer.XCPRouter, peer.SIPProxy, peer.SRM, peer.ICSA, peer.SyncAgent, peer.AXL, "Cisco Presence Engine",
	xcpConnectionManager, xcpWebConnectionManager, "Cisco XCP Text Conference Manager", "Cisco XCP Authentication Service",
	"Cisco XCP SIP Federation Connection Manager", "Cisco XCP XMPP Federation Connection Manager",
	"Cisco XCP Message Archiver", "Cisco XCP Directory Service", "Cisco XCP File Transfer Manager", "Cisco XCP Config Manager",
}

// Readiness reads, now, what a restart that signs people out is judged by: the
// redundancy groups by one statement of AXL (two where the database refuses to tell
// whether high availability is on), and of each node its services by Control Center
// and four objects of PerfMon. An error means that the account was rejected;
// whatever else goes wrong is in the facts.
func (c *Client) Readiness(ctx context.Context) (peer.Readiness, error) {
	ctx, cancel := context.WithTimeout(ctx, readinessLasts)
	defer cancel()
	now := c.now()
	out := peer.Readiness{Nodes: map[mesh.NodeName]peer.NodeReadiness{}}
	db := unreadDatabase(peer.NotChecked, "")
	axlErr := c.readTopology(ctx, &db, peer.Observation{}, now)
	if soap.KindOf(axlErr) == soap.AccountRejected {
		return out, axlErr
	}
	letIn := axlErr == nil || soap.KindOf(axlErr) == soap.Fault
	perfmon := &counters{now: now}
	for _, n := range c.cluster.Nodes {
		seen, err := c.services(ctx, c.nodes[n.Name], now, interrupted[:]...)
		if soap.KindOf(err) == soap.AccountRejected {
			return out, err
		}
		letIn = letIn || err == nil
		r := c.redundancy(&db, n.Name, now)
		r.Services = ofThese(seen.Services)
		switch {
		case gone(err):
			unread := as[int](seen.Services)
			r.Replication, r.SRM, r.People = unread, unread, unread
		case !letIn:
			unread := notLetIn(c.cluster.Publisher, axlErr)
			r.Replication, r.SRM, r.People = unread, unread, unread
		default:
			m := perfmon.of(c.nodes[n.Name])
			r.Replication, r.SRM, r.People = m.replication(ctx), m.recovery(ctx), m.people(ctx, r.Services)
			m.wire.Close()
		}
		out.Nodes[n.Name] = r
	}
	for _, n := range db.topology.Value[:min(len(db.topology.Value), nodesKept)] {
		if _, ours := out.Nodes[n]; !ours {
			out.Nodes[mesh.NodeName(clip(string(n), hostName))] = c.notListed(&db, n, now)
		}
	}
	return out, nil
}

// Readiness reads with the write account what Client.Readiness reads.
func (s *ServiceController) Readiness(ctx context.Context) (peer.Readiness, error) {
	return s.client.Readiness(ctx)
}

// ofThese leaves the services that were asked for: a node may list any.
func ofThese(all peer.Fact[map[string]peer.Service]) peer.Fact[map[string]peer.Service] {
	kept := map[string]peer.Service{}
	for name, s := range all.Value {
		if slices.Contains(interrupted[:], name) {
			kept[name] = s
		}
	}
	all.Value = kept
	return all
}

// redundancy is what the database tells of a node's redundancy group. Whether high
// availability is on there is what mesh.yaml declares where the database does not
// tell it.
func (c *Client) redundancy(db *database, n mesh.NodeName, now time.Time) peer.NodeReadiness {
	why, detail := db.topology.Why(), db.topology.Detail
	if db.topology.Known() {
		why, detail = peer.NotObservable, fmt.Sprintf("the database of %s does not tell it of %s", c.cluster.ID, n)
	}
	out := peer.NodeReadiness{Group: peer.Unknown[string](why, detail), HA: peer.Unknown[bool](why, detail), HAState: peer.Unknown[int](why, detail)}
	if state, told := db.ha[n]; told {
		out.HAState = peer.Known(state, now)
	}
	declared := c.cluster.HA
	switch on, told := db.enabled[n]; {
	case told:
		out.HA = peer.Known(on, now)
	case declared != "":
		out.HA = peer.Known(declared == mesh.On, now)
		out.HA.Detail = peer.DeclaredHA
	case db.haEnabled.Why() == peer.QueryRefused:
		out.HA = db.haEnabled
	}
	switch name, told := db.groups[n]; {
	case told:
		out.Group = peer.Known(name, now)
	case len(db.groups) > 0:
	case declared == mesh.Off, declared == mesh.On && len(c.cluster.Nodes) == 2:
		// Where nobody takes over, all are judged alike; and two nodes that take over
		// from each other are one group.
		out.Group = peer.Known(string(c.cluster.ID), now)
	}
	return out
}

// notListed is a node of the cluster that mesh.yaml does not list: nothing of it can
// be read, and it counts.
func (c *Client) notListed(db *database, n mesh.NodeName, now time.Time) peer.NodeReadiness {
	unread := peer.Unknown[int](peer.NotChecked, fmt.Sprintf("mesh.yaml does not list %s, which is a node of %s", clip(string(n), hostName), c.cluster.ID))
	out := c.redundancy(db, n, now)
	out.Replication, out.SRM, out.People, out.Services = unread, unread, unread, as[map[string]peer.Service](unread)
	return out
}
