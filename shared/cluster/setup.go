package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"peerkeeper/shared/axl"
	"peerkeeper/shared/check"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/perfmon"
	"peerkeeper/shared/soap"
)

// What PerfMon is asked for.
const (
	replicationObject  = "Number of Replicates Created and State of Replication"
	replicationCounter = "Replicate_State"
	recoveryObject     = "Cisco Server Recovery Manager"
	recoveryCounter    = "SRMState"
	// replicationGood is the best of Replicate_State: of several values the first that is another one counts.
	replicationGood = 2
)

// sipProxyParameters are read whole and sorted out here: their internal names are not published.
const sipProxyParameters = "SELECT c.paramname AS name, c.paramvalue AS value FROM processconfig c, processnode p, typeservice t WHERE c.fkprocessnode = p.pkid AND c.tkservice = t.enum AND t.nameforcontrol = 'Cisco SIP Proxy' AND p.name = "

// passwordChanged: the table is in Cisco's documents, that timechanged is in seconds is Unified CM's data dictionary.
const passwordChanged = "SELECT MAX(c.timechanged) AS changed FROM credential c, applicationuser a WHERE c.fkapplicationuser = a.pkid AND c.tkcredential = 3 AND a.name = "

// Setup asks what preflight alone wants to know: at most two statements to the publisher's AXL, and two objects of
// PerfMon on each node. An error means that the account was rejected by AXL; whatever else goes wrong is in the facts.
//
// PerfMon is asked only where AXL has let the account in, so that its 401 or 403 is a role that is missing and never a
// rejected account; after the first one no other node is asked.
func (c *Client) Setup(ctx context.Context, now time.Time) (check.Setup, error) {
	s := check.Setup{Nodes: map[mesh.NodeName]check.NodeSetup{}}
	pub := c.publisher()
	params := map[string]string{}
	rows, err := pub.axl.Query(ctx, sipProxyParameters+axl.Quote(string(c.cluster.Publisher)), []string{"name", "value"}, func(v [][]byte) error {
		if name := string(v[0]); strings.Contains(strings.ToLower(name), "process") && len(params) < 20 {
			params[clip(name, versionRunes)] = clip(string(v[1]), versionRunes)
		}
		return nil
	})
	s.SIPProxy = peer.Known(params, now)
	if err != nil {
		s.SIPProxy = unread(params, rows, err, now)
	}
	if soap.KindOf(err) == soap.AccountRejected {
		return s, err
	}
	letIn := err == nil || soap.KindOf(err) == soap.Fault
	why, detail := reasonOf(err), ""
	if !letIn {
		detail = "not asked, because AXL on " + string(c.cluster.Publisher) + " has not let the account in: " + brief(err)
	}
	s.PasswordChanged = peer.Unknown[time.Time](why, detail)
	if letIn {
		s.PasswordChanged = c.passwordChanged(ctx, now)
	}
	for _, n := range c.cluster.Nodes {
		if !letIn {
			s.Nodes[n.Name] = check.NodeSetup{Replication: peer.Unknown[int](why, detail), SRM: peer.Unknown[int](why, detail)}
			continue
		}
		seen := c.counters(ctx, c.nodes[n.Name], now)
		if seen.Replication.Reason == check.PerfMonRefused {
			letIn, why, detail = false, check.PerfMonRefused, seen.Replication.Detail
		}
		s.Nodes[n.Name] = seen
	}
	return s, nil
}

func (c *Client) passwordChanged(ctx context.Context, now time.Time) peer.Fact[time.Time] {
	var at time.Time
	rows, err := c.publisher().axl.Query(ctx, passwordChanged+axl.Quote(c.login.Load().Username), []string{"changed"}, func(v [][]byte) error {
		seconds, err := strconv.ParseInt(strings.TrimSpace(string(v[0])), 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no instant", clip(string(v[0]), 40))
		}
		at = time.Unix(seconds, 0).UTC()
		return nil
	})
	switch {
	case err != nil:
		return unread(at, rows, err, now)
	case at.Year() < firstYear || at.Year() > lastYear || at.Unix() <= 0:
		return peer.Unknown[time.Time](peer.NotObservable, "the database tells none")
	}
	return peer.Known(at, now)
}

// counters asks one node's PerfMon, by a session of its own: one that it ends must not cost AXL's.
func (c *Client) counters(ctx context.Context, n *node, now time.Time) check.NodeSetup {
	wire := soap.New(n.log.endpoint)
	defer wire.Close()
	client := perfmon.New(soap.Retry(n.log.limited(wire), soap.RetryPolicy{Max: longestBackoff, Kinds: []soap.Kind{soap.Throttled, soap.RateExceeded}}))
	var out check.NodeSetup
	out.Replication = counted(ctx, client, n.Name, replicationObject, replicationCounter, now)
	if out.Replication.Reason == check.PerfMonRefused {
		out.SRM = out.Replication
		return out
	}
	out.SRM = counted(ctx, client, n.Name, recoveryObject, recoveryCounter, now)
	return out
}

func counted(ctx context.Context, client *perfmon.Client, n mesh.NodeName, object, counter string, now time.Time) peer.Fact[int] {
	all, err := client.Collect(ctx, string(n), object)
	switch soap.KindOf(err) {
	case soap.None:
	case soap.AccountRejected, soap.Forbidden:
		return peer.Unknown[int](check.PerfMonRefused, "PerfMon refuses the account that AXL accepts; it needs the role Standard CCMADMIN Read Only or Standard CCM Server Monitoring: "+err.Error())
	default:
		return peer.Unknown[int](reasonOf(err), explain(err))
	}
	values := all.Values(counter)
	if len(values) == 0 {
		return peer.Unknown[int](peer.NotObservable, fmt.Sprintf("PerfMon of %s tells no %s", n, counter))
	}
	worst := values[0]
	for _, v := range values {
		if v != replicationGood {
			worst = v
		}
	}
	if worst < -1 || worst > 1000 {
		return peer.Unknown[int](peer.UnreadableAnswer, fmt.Sprintf("%s of %s reads %d", counter, n, worst))
	}
	return peer.Known(int(worst), now)
}
