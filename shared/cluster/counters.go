package cluster

import (
	"context"
	"fmt"
	"time"

	"peerkeeper/shared/check"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/perfmon"
	"peerkeeper/shared/soap"
)

// counters reads PerfMon, of one node after the other. A 401 or 403 there is a role
// that is missing and never a rejected account, for which reason PerfMon is asked
// only where the account was let in elsewhere; after the first one no other node is
// asked.
type counters struct {
	now time.Time
	// none is why nothing is asked; it has no reason as long as something is.
	none peer.Fact[int]
}

// notLetIn is what PerfMon is not asked for where AXL has not let the account in.
func notLetIn(publisher mesh.NodeName, err error) peer.Fact[int] {
	return peer.Unknown[int](reasonOf(err), fmt.Sprintf("not asked, because AXL on %s has not let the account in: %s", publisher, brief(err)))
}

// meter is PerfMon of one node, by a session of its own: one that it ends must not
// cost AXL's.
type meter struct {
	*counters
	node    mesh.NodeName
	wire    *soap.Client
	perfmon *perfmon.Client
}

func (c *counters) of(n *node) meter {
	wire := soap.New(n.log.endpoint)
	return meter{c, n.Name, wire, perfmon.New(soap.Retry(n.log.limited(wire), n.patience))}
}

// values are those of a counter, one per instance.
func (m meter) values(ctx context.Context, object, counter string) peer.Fact[[]int64] {
	if m.none.Reason != "" {
		return as[[]int64](m.none)
	}
	all, err := m.perfmon.Collect(ctx, string(m.node), object)
	switch soap.KindOf(err) {
	case soap.None:
		return peer.Known(all.Values(counter), m.now)
	case soap.AccountRejected, soap.Forbidden:
		m.none = peer.Unknown[int](check.PerfMonRefused, "PerfMon refuses the account that AXL accepts; it needs the role Standard CCMADMIN Read Only or Standard CCM Server Monitoring: "+err.Error())
		return as[[]int64](m.none)
	}
	return peer.Unknown[[]int64](reasonOf(err), explain(err))
}

// worst is the value of a counter: of several the first that is not good.
func (m meter) worst(ctx context.Context, object, counter string, good int64) peer.Fact[int] {
	read := m.values(ctx, object, counter)
	values, known := read.Get()
	if !known {
		return as[int](read)
	}
	if len(values) == 0 {
		return peer.Unknown[int](peer.NotObservable, fmt.Sprintf("PerfMon of %s tells no %s", m.node, counter))
	}
	worst := values[0]
	for _, v := range values {
		if v != good {
			worst = v
		}
	}
	if worst < -1 || worst > 1000 {
		return peer.Unknown[int](peer.UnreadableAnswer, fmt.Sprintf("%s of %s reads %d", counter, m.node, worst))
	}
	return peer.Known(int(worst), m.now)
}

// replication is Replicate_State, and recovery SRMState.
func (m meter) replication(ctx context.Context) peer.Fact[int] {
	return m.worst(ctx, "Number of Replicates Created and State of Replication", "Replicate_State", peer.ReplicationGood)
}

func (m meter) recovery(ctx context.Context) peer.Fact[int] {
	return m.worst(ctx, "Cisco Server Recovery Manager", "SRMState", peer.SRMNormal)
}

// clients are the counters of connected XMPP clients, each with the service that
// they are connected to.
var clients = [...]struct{ object, counter, service string }{
	{"Cisco XCP CM", "CmConnectedSockets", xcpConnectionManager},
	{"Cisco XCP Web CM", "WebConnectedSockets", xcpWebConnectionManager},
}

// mostPeople is more than any node has: a number beyond it is no count.
const mostPeople = 1_000_000

// people are the XMPP clients that are connected to the node, whose services are
// given. The object of a service that is not activated need not be there: nobody is
// connected to that one, but only if the other one tells.
func (m meter) people(ctx context.Context, services peer.Fact[map[string]peer.Service]) peer.Fact[int] {
	sum, told := int64(0), false
	for _, c := range clients {
		read := m.values(ctx, c.object, c.counter)
		values, known := read.Get()
		absent := known && len(values) == 0 || read.Why() == peer.QueryRefused // PerfMon answers an object that is not there by either
		switch {
		case !absent && !known:
			return as[int](read)
		case absent && services.Value[c.service].Status != stoppedStatus:
			return peer.Unknown[int](peer.NotObservable, fmt.Sprintf("PerfMon of %s tells no %s, and %s is not known to be stopped", m.node, c.counter, c.service))
		}
		for _, v := range values {
			if v < 0 || v > mostPeople {
				return peer.Unknown[int](peer.UnreadableAnswer, fmt.Sprintf("%s of %s reads %d", c.counter, m.node, v))
			}
			sum += v
		}
		told = told || !absent
	}
	if !told {
		return peer.Unknown[int](peer.NotObservable, fmt.Sprintf("PerfMon of %s tells neither CmConnectedSockets nor WebConnectedSockets", m.node))
	}
	return peer.Known(int(sum), m.now)
}

// as says of a value of another type that it is unknown, for the same reason.
func as[T, U any](f peer.Fact[U]) peer.Fact[T] { return peer.Unknown[T](f.Why(), f.Detail) }
