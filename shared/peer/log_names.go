package peer

import (
	"net"
	"net/netip"
	"strings"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/mesh"
)

// LogNames tells which peer a line of a puller's log is about. What ICSA writes
// there is not documented: the peer's host name, its address, or a name of its
// cluster. A name that two clusters share, or that is the puller's own, is
// nobody's: a line is never given to a peer by a guess.
type LogNames struct {
	// alone are names that mean a cluster where they are the whole of a tag, and
	// full are those that mean it anywhere in a line: "apac" may be any word.
	alone, full map[string]mesh.ClusterID
}

// nobody is whom a name means that is not one peer's.
const nobody mesh.ClusterID = ""

// NamesInLogOf are the names of those that a cluster pulls.
func NamesInLogOf(m *mesh.Mesh, puller mesh.ClusterID) LogNames {
	return namesOf(m, func(id mesh.ClusterID) bool {
		_, is := m.Peer(mesh.PeerID{From: puller, To: id})
		return is
	})
}

// NamesInLogs are the names of all clusters.
func NamesInLogs(m *mesh.Mesh) LogNames {
	return namesOf(m, func(mesh.ClusterID) bool { return true })
}

// Named is the cluster whose name or address this is; known and "" if it is that
// of several.
func (n LogNames) Named(name string) (owner mesh.ClusterID, known bool) {
	owner, known = n.alone[nameKey(name)]
	return owner, known
}

// namesOf are the names of the clusters that count; another one's mean nobody.
func namesOf(m *mesh.Mesh, counts func(mesh.ClusterID) bool) LogNames {
	names := LogNames{map[string]mesh.ClusterID{}, map[string]mesh.ClusterID{}}
	note := func(in map[string]mesh.ClusterID, name string, owner mesh.ClusterID) {
		key := nameKey(name)
		if key == "" {
			return
		}
		if had, known := in[key]; known && had != owner {
			owner = nobody
		}
		in[key] = owner
	}
	for _, c := range m.Clusters {
		owner := c.ID
		if !counts(c.ID) {
			owner = nobody
		}
		note(names.alone, string(c.ID), owner)
		for _, address := range c.SyslogFrom {
			note(names.alone, address, owner)
		}
		for _, n := range c.Nodes {
			all := []string{string(n.Name), n.ServerName()}
			if host, _, err := net.SplitHostPort(n.Address); err == nil && !everyMachines(host) {
				all = append(all, host)
			}
			for _, name := range all {
				note(names.full, name, owner)
				note(names.alone, name, owner)
				if first, _, dotted := strings.Cut(name, "."); dotted && !dnsname.IsAddress(name) {
					note(names.alone, first, owner)
				}
			}
		}
	}
	return names
}

// everyMachines is an address that every machine has: it names none.
func everyMachines(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// nameKey is the one spelling of a name or an address; brackets and a port go.
func nameKey(name string) string {
	name = strings.TrimSpace(name)
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Unmap().WithZone("").String()
	}
	return dnsname.Canonical(name)
}

// Of is the peer that an alarm is about, or nobody: the one whose name its tag
// carries, else the one that is named in it.
func (n LogNames) Of(e ciscolog.Event) mesh.ClusterID {
	for _, tag := range []string{e.Peer, e.Subject} {
		if owner, known := n.Named(tag); known {
			return owner
		}
	}
	var found mesh.ClusterID
	for word := range e.Names() {
		switch owner := n.full[nameKey(word)]; {
		case owner == nobody || owner == found:
		case found != nobody:
			return nobody
		default:
			found = owner
		}
	}
	return found
}
