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
	"peerkeeper/shared/soap"
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
	perfmon := &counters{now: now}
	if err == nil || soap.KindOf(err) == soap.Fault {
		s.PasswordChanged = c.passwordChanged(ctx, now)
	} else {
		perfmon.none = notLetIn(c.cluster.Publisher, err)
		s.PasswordChanged = as[time.Time](perfmon.none)
	}
	for _, n := range c.cluster.Nodes {
		m := perfmon.of(c.nodes[n.Name])
		s.Nodes[n.Name] = check.NodeSetup{Replication: m.replication(ctx), SRM: m.recovery(ctx)}
		m.wire.Close()
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
