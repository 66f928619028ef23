package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/soap"
)

// Inventory is what a node tells of its own cluster, and which other nodes its
// database names: all that a mesh.yaml can be begun from. It is kept nowhere.
type Inventory struct {
	// Nodes are the IM and Presence nodes, the database publisher first.
	Nodes     []mesh.NodeName
	Publisher mesh.NodeName // "" if the cluster does not tell
	CUCM      mesh.NodeName // Unified CM's publisher; "" if it is not listed
	Release   string        // "" if nothing told it
	// Domain is what follows the last @ of most of the IM addresses looked at;
	// Domains are all that were seen.
	Domain  string
	Domains []string
	// Peers are the entries of what looks like the peer table. Which table and
	// which columns that is, nobody has documented: it is a guess by names and values.
	Peers []PeerEntry
	// Others are nodes that own users here and are none of the cluster's: those of
	// its peers, as far as is known of such rows (inferred).
	Others []mesh.NodeName
	// Gaps say what could not be read, and why.
	Gaps []string
}

// PeerEntry is one entry for an intercluster peer.
type PeerEntry struct {
	Address  mesh.NodeName
	Protocol mesh.Protocol // "" if no column tells, or tells neither
}

// Bounds of an inventory.
const (
	nodesKept    = 60  // of a cluster, or named by it
	addressesFor = 200 // IM addresses that a domain is told from
)

// Inventory asks the publisher of the client's cluster, which is whatever node it
// was opened with. An error means that the account was rejected, that nothing
// answered, or that the context ended: whatever else goes wrong is a gap.
func (c *Client) Inventory(ctx context.Context) (Inventory, error) {
	var i Inventory
	pub := c.publisher()
	gap := func(what string, err error) {
		i.Gaps = append(i.Gaps, what+": "+explain(err))
	}
	listed, err := pub.axl.ListProcessNodes(ctx)
	if soap.KindOf(err) == soap.Fault {
		listed, err = c.processNodes(ctx)
	}
	if err != nil {
		return i, err
	}
	for _, n := range listed {
		name, isPublisher := mesh.NodeName(strings.TrimSpace(n.Name)), strings.EqualFold(n.Usage, "Publisher")
		switch ours := strings.Contains(n.Role, "Presence"); {
		case !nodeName(name):
			i.Gaps = append(i.Gaps, fmt.Sprintf("a node is listed under a name that is none: %q", clip(n.Name, versionRunes)))
		case !ours && isPublisher:
			i.CUCM = name
		case ours && len(i.Nodes) < nodesKept:
			i.Nodes = append(i.Nodes, name)
			if isPublisher {
				i.Publisher = name
			}
		}
	}
	if at := slices.Index(i.Nodes, i.Publisher); at > 0 {
		i.Nodes[0], i.Nodes[at] = i.Nodes[at], i.Nodes[0]
	}
	for _, read := range []struct {
		what string
		do   func(context.Context, *Inventory) error
	}{{"its release", c.inventoryRelease}, {"its domain", c.inventoryDomain}, {"its peer entries", c.inventoryPeers}, {"the nodes of its peers", c.inventoryOthers}} {
		err := read.do(ctx, &i)
		if stop(ctx, err) {
			return i, err
		}
		if err != nil {
			gap(read.what, err)
		}
	}
	return i, nil
}

// nodeName tells a name that may be a node's: it goes into a file, and a password
// may follow it.
func nodeName(n mesh.NodeName) bool {
	return dnsname.IsHost(string(n)) || dnsname.IsAddress(string(n))
}

func (c *Client) inventoryRelease(ctx context.Context, i *Inventory) error {
	version, err := c.publisher().axl.Version(ctx, "")
	if err != nil || version == "" {
		if stop(ctx, err) {
			return err
		}
		products, told := c.publisher().control.Products(ctx)
		version, err = products.Version, told
	}
	i.Release = clip(version, versionRunes)
	return err
}

func (c *Client) inventoryDomain(ctx context.Context, i *Inventory) error {
	seen := map[string]int{}
	_, err := c.publisher().axl.Query(ctx, fmt.Sprintf("SELECT FIRST %d u.imaddress AS imaddress FROM enduser u WHERE u.imaddress IS NOT NULL AND u.enablecups = 't' AND u.status = 1", addressesFor), []string{"imaddress"}, func(v [][]byte) error {
		address := string(v[0])
		if domain := strings.ToLower(address[strings.LastIndexByte(address, '@')+1:]); len(domain) < len(address) && nodeName(mesh.NodeName(domain)) {
			seen[domain]++
		}
		return nil
	})
	i.Domains = slices.Sorted(maps.Keys(seen))
	for _, d := range i.Domains {
		if seen[d] > seen[i.Domain] {
			i.Domain = d
		}
	}
	return err
}

// inventoryPeers reads the entries from the table and the columns that Probe would
// propose.
func (c *Client) inventoryPeers(ctx context.Context, i *Inventory) error {
	p, err := c.proposeTable(ctx, func(n mesh.NodeName) (mesh.ClusterID, bool) {
		return "", nodeName(n) && strings.Contains(string(n), ".") && !i.has(n)
	})
	if err != nil {
		return err
	}
	column := map[string]string{}
	for _, g := range p.Columns {
		if !g.LeftOut {
			column[g.Purpose] = g.Column
		}
	}
	if column["address"] == "" {
		return nil
	}
	selects, want := column["address"]+" AS address", []string{"address"}
	if column["protocol"] != "" {
		selects, want = selects+", "+column["protocol"]+" AS protocol", append(want, "protocol")
	}
	_, err = c.publisher().axl.Query(ctx, fmt.Sprintf("SELECT FIRST %d %s FROM %s", nodesKept, selects, p.Table), want, func(v [][]byte) error {
		e := PeerEntry{Address: mesh.NodeName(strings.TrimSpace(string(v[0])))}
		if len(v) > 1 {
			e.Protocol = mesh.Protocol(strings.ToLower(strings.TrimSpace(string(v[1]))))
		}
		if e.Protocol != mesh.TCP && e.Protocol != mesh.TLSProto {
			e.Protocol = ""
		}
		if nodeName(e.Address) && !i.has(e.Address) {
			i.Peers = append(i.Peers, e)
		}
		return nil
	})
	return err
}

func (c *Client) inventoryOthers(ctx context.Context, i *Inventory) error {
	_, err := c.publisher().axl.Query(ctx, fmt.Sprintf("SELECT FIRST %d e.name AS name FROM enterprisenode e", 31*nodesKept), []string{"name"}, func(v [][]byte) error {
		if n := mesh.NodeName(strings.TrimSpace(string(v[0]))); nodeName(n) && !i.has(n) {
			i.Others = append(i.Others, n)
		}
		return nil
	})
	return err
}

func (i *Inventory) has(n mesh.NodeName) bool {
	return slices.ContainsFunc(i.Nodes, func(o mesh.NodeName) bool { return dnsname.Same(string(o), string(n)) }) || dnsname.Same(string(i.CUCM), string(n))
}
