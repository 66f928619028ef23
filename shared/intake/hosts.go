package intake

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// hosts tell whose a line is.
type hosts struct {
	names  peer.LogNames
	given  map[netip.Addr][]mesh.ClusterID // addresses that stand in mesh.yaml
	looked map[string][]netip.Addr         // those of names, as they were looked up last
	owners map[netip.Addr][]mesh.ClusterID // of these
	lookup map[string]mesh.ClusterID       // the names to look up
}

func hostsOf(m *mesh.Mesh) hosts {
	h := hosts{
		names: peer.NamesInLogs(m), given: map[netip.Addr][]mesh.ClusterID{}, looked: map[string][]netip.Addr{},
		owners: map[netip.Addr][]mesh.ClusterID{}, lookup: map[string]mesh.ClusterID{},
	}
	for _, c := range m.Clusters {
		for _, address := range c.SyslogFrom {
			if ip, err := netip.ParseAddr(address); err == nil {
				own(h.given, ip, c.ID)
			}
		}
		for _, n := range c.Nodes {
			all := []string{string(n.Name)}
			if host, _, err := net.SplitHostPort(n.Address); err == nil {
				all = append(all, host)
			}
			for _, name := range all {
				if ip, err := netip.ParseAddr(name); err == nil {
					own(h.given, ip, c.ID)
				} else {
					h.lookup[name] = c.ID
				}
			}
		}
	}
	return h
}

func own(in map[netip.Addr][]mesh.ClusterID, ip netip.Addr, id mesh.ClusterID) {
	ip = ip.Unmap().WithZone("")
	if !slices.Contains(in[ip], id) {
		in[ip] = append(in[ip], id)
	}
}

// at are the clusters whose lines may come from an address.
func (h *hosts) at(from netip.Addr) []mesh.ClusterID {
	from = from.Unmap().WithZone("")
	given, looked := h.given[from], h.owners[from]
	if len(looked) == 0 {
		return given
	}
	return append(slices.Clone(given), looked...)
}

// sender is the cluster whose node wrote a line: the one that the line names, if
// its lines may come from there. The node's own tag speaks before the header, in
// which a relay may have put itself. A line that names nobody, or a name that
// several clusters have, is of the one cluster whose lines come from there.
func (h *hosts) sender(e ciscolog.Event, from netip.Addr) (mesh.ClusterID, bool) {
	from = from.Unmap().WithZone("")
	may, named := h.at(from), false
	for _, name := range []string{e.Node, e.Host} {
		if name == "" {
			continue
		}
		owner, known := h.names.Named(name)
		if owner != "" {
			return owner, !from.IsValid() || slices.Contains(may, owner)
		}
		named = named || !known
	}
	if named || len(may) == 0 {
		return "", false
	}
	for _, other := range may[1:] {
		if other != may[0] {
			return "", false
		}
	}
	return may[0], true
}

// lookUp keeps the addresses of the nodes' names. A name that cannot be looked up
// keeps those it had.
func (in *Intake) lookUp(ctx context.Context) {
	tick := time.NewTicker(lookEvery) // DNS goes by the wall's clock
	defer tick.Stop()
	for {
		for name := range in.hosts.lookup { // never written after New
			one, cancel := context.WithTimeout(ctx, 5*time.Second)
			ips, err := net.DefaultResolver.LookupNetIP(one, "ip", name)
			cancel()
			if err == nil {
				in.noteLookUp(name, ips)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (in *Intake) noteLookUp(name string, ips []netip.Addr) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.hosts.looked[name] = ips[:min(len(ips), maxAddresses)]
	owners := map[netip.Addr][]mesh.ClusterID{}
	for name, ips := range maps.All(in.hosts.looked) {
		for _, ip := range ips {
			own(owners, ip, in.hosts.lookup[name])
		}
	}
	in.hosts.owners = owners
}

// maxAddresses are kept of one name.
const maxAddresses = 16
