package cluster

import (
	"context"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/soap"
)

// Entries is what a cluster's database says of its peer entries, read at a moment.
type Entries struct {
	// Peers are the entries; Unknown/NoDialect where the site has not said how to read them.
	Peers peer.Fact[[]peer.Entry]
	// Topology are the cluster's own node names, as Presence Topology spells them.
	Topology peer.Fact[[]mesh.NodeName]
	// SyncAgent is Cisco Sync Agent's own word on its sync of users.
	SyncAgent peer.Fact[string]
}

// Entries reads, now, what a person may just have changed on the Inter-Clustering page,
// by two statements of AXL. An error means that the account was rejected; whatever else
// goes wrong is in the facts.
func (c *Client) Entries(ctx context.Context) (Entries, error) {
	now := c.now()
	db := unreadDatabase(peer.NotChecked, "")
	err := c.readEntries(ctx, &db, now)
	if soap.KindOf(err) == soap.AccountRejected {
		return Entries{}, err
	}
	var names []mesh.NodeName
	agent := ""
	_, rows, err := c.read(ctx, purposeTopology, func(v [][]byte) error {
		names = append(names, mesh.NodeName(clip(string(v[0]), hostName)))
		if len(v[3]) > 0 {
			agent = clip(string(v[3]), versionRunes)
		}
		return nil
	})
	if soap.KindOf(err) == soap.AccountRejected {
		return Entries{}, err
	}
	out := Entries{Peers: db.entries, Topology: peer.Known(names, now), SyncAgent: peer.Unknown[string](peer.NotObservable, "the database does not tell how far the Sync Agent is")}
	if err != nil {
		out.Topology, out.SyncAgent = unread(names, rows, err, now), peer.Unknown[string](reasonOf(err), explain(err))
	} else if agent != "" {
		out.SyncAgent = peer.Known(agent, now)
	}
	if all, known := out.Peers.Get(); known {
		for i := range all {
			all[i].Address, all[i].Error = clip(all[i].Address, hostName), clip(all[i].Error, versionRunes)
		}
	}
	return out, nil
}
