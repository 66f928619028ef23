package check

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"peerkeeper/shared/ciscocli"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
)

func (f *Facts) seen(c *mesh.Cluster) *peer.Observation {
	if r := f.Clusters[c.ID]; r != nil {
		return &r.Seen
	}
	return &peer.Observation{}
}

// fresh is how old what peersync recorded may be: two of its periods, as everywhere.
func (f *Facts) fresh() time.Duration { return 2 * f.Tick }

// pasted is what a person pasted of a node and stands.
func (f *Facts) pasted(node mesh.NodeName, command ciscocli.Command) (Paste, bool) {
	p, ok := f.Pasted[node][command]
	return p, ok && f.Now.Sub(p.At).Abs() <= PasteStands
}

// by says whose word a pasted output is.
func (p Paste) by() string { return fmt.Sprintf("pasted by %s at %s", p.Actor, plain.Time(p.At)) }

// runs says whether a service runs on a node.
func (f *Facts) runs(c *mesh.Cluster, node mesh.NodeName, service string) *verdict {
	services := f.seen(c).Nodes[node].Services.Fresh(f.Now, f.fresh())
	all, ok := services.Get()
	if !ok {
		return unread(services, service+" on "+string(node))
	}
	s, listed := all[service]
	switch {
	case !listed || s.Status == "Unknown":
		return unknown(peer.UnreadableAnswer, "", "Control Center of %s says nothing of %s", node, service)
	case s.Started():
		return pass(peer.Measured, "%s runs on %s", service, node)
	case s.Status == "Stopped":
		return fail(peer.ServiceStopped, peer.Measured, procedure.StartService(node, service).Line(), "%s is stopped on %s", service, node)
	}
	return unknown(peer.NotYetDecided, "", "%s on %s is %s", service, node, plain.Value(s.Status))
}

func running(service string) func(*Facts, *mesh.Cluster, mesh.Node) *verdict {
	return func(f *Facts, c *mesh.Cluster, n mesh.Node) *verdict { return f.runs(c, n.Name, service) }
}

// publisherRuns is running on the database publisher; the chapter asks for Sync Agent there.
func publisherRuns(service string) func(*Facts, *mesh.Cluster, mesh.Node) *verdict {
	return func(f *Facts, c *mesh.Cluster, n mesh.Node) *verdict {
		if n.Name != c.Publisher {
			return nil
		}
		return f.runs(c, n.Name, service)
	}
}

// ciscoPort is where every interface of a node is.
const ciscoPort = "8443"

// OwnHost is the host by which a node is reached, where that is by Cisco's own port.
func OwnHost(n mesh.Node) (host string, ok bool) {
	host, port, err := net.SplitHostPort(n.Address)
	return host, err == nil && port == ciscoPort
}

// elsewhere says that a node is reached by another port than Cisco's: what stands between forwards what it likes, and
// nothing of the node's own ports is seen from here.
func elsewhere(n mesh.Node) *verdict {
	if _, own := OwnHost(n); !own {
		return unknown(OtherPort, "", "mesh.yaml reaches %s by %s, so its own ports are not seen from here", n.Name, n.Address)
	}
	return nil
}

func port8443(f *Facts, c *mesh.Cluster, n mesh.Node) *verdict {
	if v := elsewhere(n); v != nil {
		return v
	}
	answers := f.seen(c).Nodes[n.Name].Answers.Fresh(f.Now, f.fresh())
	switch ok, known := answers.Get(); {
	case !known:
		return unread(answers, "port 8443 of "+string(n.Name))
	case !ok:
		return fail(PortClosed, peer.Measured, "open port 8443 to "+string(n.Name), "no connection to port 8443 of %s came about from here", n.Name)
	}
	return pass(peer.Measured, "%s answers on port 8443, as seen from here", n.Name)
}

func port7400(f *Facts, c *mesh.Cluster, n mesh.Node) *verdict { return f.port(c, n, PortXMPP) }

func port5060(f *Facts, c *mesh.Cluster, n mesh.Node) *verdict {
	if !c.SIPFederation {
		return nil // the chapter: only if SIP federation is being used
	}
	return f.port(c, n, PortSIP)
}

func (f *Facts) port(c *mesh.Cluster, n mesh.Node, port int) *verdict {
	if v := elsewhere(n); v != nil {
		return v
	}
	trouble, asked := f.Setups[c.ID].Nodes[n.Name].Ports[port]
	switch {
	case !asked:
		return unknown(peer.NotChecked, "", "port %d of %s was not asked", port, n.Name)
	case trouble != "":
		return fail(PortClosed, peer.Measured, fmt.Sprintf("open port %d to %s; Peerkeeper's own way counts for itself: `peerkeeper preflight paste` takes what the other nodes see", port, n.Name),
			"no connection to port %d of %s came about from here: %s", port, n.Name, trouble)
	}
	return pass(peer.Measured, "port %d of %s takes connections, as seen from here", port, n.Name)
}

// nodeToNode is whether a node reaches the nodes of its cluster's peers, which only its own command line tells.
func nodeToNode(f *Facts, c *mesh.Cluster, n mesh.Node) *verdict {
	fix := fmt.Sprintf("on the command line of %s run `utils network connectivity NODE PORT` for every node of its peers (8443, 7400) and give the answers to `peerkeeper preflight paste %s`", n.Name, n.Name)
	p, ok := f.pasted(n.Name, ciscocli.Connectivity)
	if !ok {
		return manual(fix, "whether %s reaches the other clusters' nodes only its own command line tells", n.Name)
	}
	tried := map[string]bool{}
	var closed []string
	for _, conn := range p.Output.Connections {
		at := mesh.NameKey(conn.Host)
		if conn.Port != 0 {
			at += ":" + strconv.Itoa(conn.Port)
		}
		tried[at] = true
		if !conn.OK {
			closed = append(closed, plain.Value(at))
		}
	}
	if len(closed) > 0 {
		return fail(PortClosed, peer.Declared, "open these ports from "+string(n.Name), "%s does not reach %s (%s)", n.Name, plain.List(closed), p.by())
	}
	var missing []string
	for _, other := range f.Mesh.Clusters {
		if _, peers := f.Mesh.Peer(mesh.PeerID{From: c.ID, To: other.ID}); !peers {
			continue
		}
		for _, remote := range other.Nodes {
			for _, port := range []string{ciscoPort, strconv.Itoa(PortXMPP)} {
				host, _, _ := net.SplitHostPort(remote.Address)
				if !tried[mesh.NameKey(string(remote.Name))+":"+port] && !tried[mesh.NameKey(host)+":"+port] {
					missing = append(missing, string(remote.Name)+":"+port)
				}
			}
		}
	}
	if len(missing) > 0 {
		return unknown(peer.NotChecked, fix, "%s reaches what was tried (%s); not tried: %s", n.Name, p.by(), plain.First(3, missing))
	}
	return pass(peer.Declared, "%s reaches every node of its peers on 8443 and 7400 (%s)", n.Name, p.by())
}

func replication(f *Facts, c *mesh.Cluster, n mesh.Node) *verdict {
	state := f.Setups[c.ID].Nodes[n.Name].Replication
	number, known := state.Get()
	basis, by := peer.Measured, "PerfMon"
	if !known {
		// What was pasted on any node of the cluster speaks of all of them.
		for _, other := range c.Nodes {
			p, ok := f.pasted(other.Name, ciscocli.Replication)
			if !ok {
				continue
			}
			for _, s := range p.Output.States {
				if (isNode(s.Node, n) || isNode(s.Address, n)) && s.Number >= 0 {
					number, known, basis, by = s.Number, true, peer.Declared, p.by()
				}
			}
		}
	}
	if !known {
		v := unread(state, "replication of "+string(n.Name))
		v.fix = cmp.Or(v.fix, "`utils dbreplication runtimestate` on the command line of "+string(c.Publisher)+", given to `peerkeeper preflight paste "+string(c.Publisher)+"`, tells it too")
		return v
	}
	if number != peer.ReplicationGood {
		return fail(ReplicationBad, basis, "on the command line of "+string(c.Publisher)+": `utils dbreplication runtimestate`, then as Cisco's troubleshooting of database replication says; no restart of Cisco XCP Router before it is 2 everywhere",
			"database replication of %s is %d (%s), 2 is wanted (%s)", n.Name, number, peer.ReplicationWord(number), by)
	}
	return pass(basis, "database replication of %s is 2, good (%s)", n.Name, by)
}

// Foreign lists the nodes that an answer speaks of where none of them is the cluster's: it was run elsewhere. It is "" where
// one is, or no node is named.
func Foreign(out ciscocli.Output, c *mesh.Cluster) string {
	for _, printed := range out.Nodes {
		if c.CUCM != nil && isNode(printed, *c.CUCM) || slices.ContainsFunc(c.Nodes, func(n mesh.Node) bool { return isNode(printed, n) }) {
			return ""
		}
	}
	return plain.List(out.Nodes)
}

// isNode compares a node with a name or an address that a command line prints: Cisco's commands leave the domain out.
func isNode(printed string, n mesh.Node) bool {
	if host, own := OwnHost(n); mesh.SameName(printed, string(n.Name)) || own && mesh.SameName(printed, host) {
		return true
	}
	if net.ParseIP(printed) != nil || net.ParseIP(string(n.Name)) != nil {
		return false
	}
	return printed != "" && mesh.SameName(short(printed), short(string(n.Name)))
}

func short(name string) string {
	for i, r := range name {
		if r == '.' {
			return name[:i]
		}
	}
	return name
}

func haState(f *Facts, c *mesh.Cluster, n mesh.Node) *verdict {
	r := f.Clusters[c.ID]
	if r == nil {
		r = &peer.ClusterRecord{}
	}
	ha := r.HA(c, n.Name)
	state := r.Seen.Nodes[n.Name].HAState.Fresh(f.Now, f.fresh())
	number, known := state.Get()
	if !known {
		for _, other := range c.Nodes {
			p, ok := f.pasted(other.Name, ciscocli.HA)
			if !ok {
				continue
			}
			for _, s := range p.Output.States {
				if !isNode(s.Node, n) {
					continue
				}
				if words := s.Word; len(words) >= 6 && (words[:6] == "Normal" || ha == mesh.Off) {
					return pass(peer.Declared, "high availability of %s reads %s (%s)", n.Name, plain.Value(words), p.by())
				}
				return fail(peer.HAState, peer.Declared, "see "+procedure.Menus(procedure.RedundancyGroups), "high availability of %s reads %s (%s)", n.Name, plain.Value(s.Word), p.by())
			}
		}
		return unread(state, "high availability of "+string(n.Name))
	}
	if what := r.HAUnusual(c, n.Name, number); what != "" {
		return fail(peer.HAState, peer.Measured, "see "+procedure.Menus(procedure.RedundancyGroups), "%s", what)
	}
	return pass(peer.Measured, "high availability of %s reads %s", n.Name, peer.HAWord(number))
}

func srmState(f *Facts, c *mesh.Cluster, n mesh.Node) *verdict {
	state := f.Setups[c.ID].Nodes[n.Name].SRM
	number, known := state.Get()
	if !known {
		return unread(state, "SRMState of "+string(n.Name))
	}
	word := peer.SRMWord(number)
	ha := mesh.Switch("")
	if r := f.Clusters[c.ID]; r != nil {
		ha = r.HA(c, n.Name)
	}
	if number == peer.SRMNormal || number == peer.SRMIdle && ha != mesh.On {
		return pass(peer.Measured, "SRMState of %s is %d, %s (PerfMon)", n.Name, number, word)
	}
	return fail(RecoveryNotReady, peer.Measured, "see "+procedure.Menus(procedure.RedundancyGroups)+"; no restart that signs people out before both nodes are 3", "SRMState of %s is %d, %s: 3, Active Normal, is wanted (PerfMon)", n.Name, number, word)
}
