package change

import (
	"fmt"
	"strings"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// TuneSIPProxy gives ICSA and Server Recovery Manager room in a large mesh.
const TuneSIPProxy Kind = "tune-sip-proxy"

// sipProxyProcesses is what the chapter advises for a mesh of many clusters,
// instead of 20.
const sipProxyProcesses = "10"

// sipProxyParameters are the three of the chapter. It names the third like the
// first; that it is the least number of spare processes is inferred.
func sipProxyParameters() []parameter {
	at := func(purpose, display string) parameter {
		return parameter{purpose: purpose, display: display, service: peer.SIPProxy}
	}
	return []parameter{
		at("sip_proxy_processes", procedure.MaxProcessesParameter),
		at("sip_proxy_spare_processes", procedure.MaxSpareProcessesParameter),
		at("sip_proxy_least_spare_processes", procedure.ThirdProcessesParameter),
	}
}

func tuneSIPProxy() kind {
	return kind{
		name: TuneSIPProxy, usage: "CLUSTER",
		about: "SIP Proxy's three numbers of processes from 20 to 10, and restarts of SIP Proxy, Server Recovery Manager and ICSA; it signs people out",
		mends: []string{"sip-proxy-processes"},
		title: func(h Head) string {
			return fmt.Sprintf("set the three numbers of processes of %s to %s on every node of %s, and restart %s, %s and %s", peer.SIPProxy, sipProxyProcesses, joined(h.Args), peer.SIPProxy, peer.SRM, peer.ICSA)
		},
		build: func(k Known, args []string) (*layout, error) {
			c, err := clusterOf(k, TuneSIPProxy, args)
			if err != nil {
				return nil, err
			}
			if names := ambiguous(k.Mesh); names != "" {
				return nil, usagef("dialect.parameters names %s twice: each of the three parameters has an internal name of its own", names)
			}
			l := &layout{Known: k, clusters: []mesh.ClusterID{c.ID}}
			l.add(Step{Op: OpPreflight, Cluster: c.ID})
			for _, n := range c.Nodes {
				for _, p := range sipProxyParameters() {
					l.add(setOn(k, c, n.Name, p, sipProxyProcesses))
				}
			}
			disabled := l.askHA(c, 0)
			for _, n := range c.Nodes {
				for _, service := range []string{peer.SIPProxy, peer.SRM, peer.ICSA} {
					l.restart(c, 0, n.Name, service)
				}
			}
			l.enableHA(c, disabled)
			return l, nil
		},
	}
}

// ambiguous is an internal name that stands for two of the three parameters.
func ambiguous(m *mesh.Mesh) string {
	if m.Dialect == nil {
		return ""
	}
	seen := map[string]bool{}
	for _, p := range sipProxyParameters() {
		for _, name := range m.Dialect.Parameters[p.purpose] {
			if name = strings.ToLower(name); seen[name] {
				return name
			}
			seen[name] = true
		}
	}
	return ""
}
