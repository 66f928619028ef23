package change

import (
	"fmt"
	"slices"
	"strings"

	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/mesh"
)

// Declared says whether a mesh says what a step for mesh.yaml wants, and what it says.
func (s *Step) Declared(m *mesh.Mesh) (done bool, says string) {
	p, paired := m.Peer(s.Pair) // as its reverse is
	_, listed := m.Cluster(s.Cluster)
	list, pair := "does not list", "does not pair"
	if listed {
		list = "lists"
	}
	if paired {
		pair = "pairs"
	}
	listing, pairing := fmt.Sprintf("mesh.yaml %s %s", list, s.Cluster), fmt.Sprintf("mesh.yaml %s %s and %s", pair, s.Pair.From, s.Pair.To)
	switch Kind(s.Purpose) {
	case Join:
		return listed, listing
	case Leave:
		return !listed, listing
	case Delete:
		return !paired, pairing
	case Edit:
		if !paired {
			return false, pairing
		}
		return string(p.Protocol) == s.Value, fmt.Sprintf("mesh.yaml has %s for %s and %s", p.Protocol, s.Pair.From, s.Pair.To)
	}
	return paired, pairing
}

// lines are what a step is to change in mesh.yaml; "" of any other step, and of one that is
// over: they are of the mesh.yaml that is in force.
func (s *Step) lines(m *mesh.Mesh) string {
	if s.Op != OpMeshLines || s.State.Over() {
		return ""
	}
	full := m.Topology == mesh.FullMesh
	switch Kind(s.Purpose) {
	case Join:
		return joinLines(m, s.Cluster, s.Value, full)
	case Leave:
		pairs := fmt.Sprintf("  pairs:\n    # without every pair that names %s\n", s.Cluster)
		if full {
			pairs = ""
		}
		return fmt.Sprintf("clusters:\n  # without the entry with id: %s\npeers:\n%s  # except: without the lines that name %s, if there are any\n", s.Cluster, pairs, s.Cluster)
	case Delete:
		if !full {
			return fmt.Sprintf("peers:\n  pairs:\n    # without [%s, %s]\n%s", s.Pair.From, s.Pair.To, s.noException())
		}
		return "peers: # in place of topology: full-mesh; what else stands here stays\n" + pairLines(m, s.Pair) + s.noException()
	case Edit:
		return fmt.Sprintf("peers:\n  except: # beside what stands there\n    - {pair: [%s, %s], protocol: %s} # in place of the pair's line, if it has one\n", s.Pair.From, s.Pair.To, s.Value)
	}
	return fmt.Sprintf("peers:\n  pairs: # one more\n    - [%s, %s]\n", s.Pair.From, s.Pair.To)
}

// noException is a remark: an exception of a pair that is none is a fault of the file.
func (s *Step) noException() string {
	return fmt.Sprintf("  # except: without the line of [%s, %s], if there is one\n", s.Pair.From, s.Pair.To)
}

func joinLines(m *mesh.Mesh, id mesh.ClusterID, publisher string, full bool) string {
	host, port, _ := dnsname.HostPort(publisher)
	address := ""
	if port != "" {
		address = fmt.Sprintf(", address: %q", publisher)
	}
	if host == "" {
		host = "PUBLISHER" // its node name, as Presence Topology has it
	}
	var b strings.Builder
	fmt.Fprintf(&b, "clusters: # one more\n  - id: %s\n    publisher: %s # its node name, exactly as Presence Topology shows it\n    nodes: # all of them\n      - {name: %s%s}\n    credentials: %s/read # an account that may read AXL, put into the secrets\n    tls: {ca: ca.pem}\n    dns: [] # its own servers, as ip:port\n    timeZone: UTC\n", id, host, host, address, id)
	if full {
		b.WriteString("# topology: full-mesh pairs it with every cluster.\n")
		return b.String()
	}
	b.WriteString("peers:\n  pairs: # one more for each cluster that it is to be a peer of\n")
	for _, c := range m.IDs() {
		fmt.Fprintf(&b, "    - [%s, %s]\n", c, id)
	}
	return b.String()
}

// pairLines are all pairs of a mesh but one.
func pairLines(m *mesh.Mesh, without mesh.PeerID) string {
	var b strings.Builder
	var seen []mesh.PeerID
	for _, p := range m.Peers {
		if p.ID == without || p.ID.Reverse() == without || slices.Contains(seen, p.ID.Reverse()) {
			continue
		}
		seen = append(seen, p.ID)
		fmt.Fprintf(&b, "    - [%s, %s]\n", p.ID.From, p.ID.To)
	}
	if len(seen) == 0 {
		return "  pairs: [] # there is no other\n"
	}
	return "  pairs:\n" + b.String()
}
