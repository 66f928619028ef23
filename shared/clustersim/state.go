package clustersim

import (
	"strconv"
	"time"
)

// State is what GET /state shows.
type State struct {
	Time     time.Time      `json:"time"`
	Clusters []ClusterState `json:"clusters"`
	// NotModelled counts what was asked for that nobody has modelled.
	NotModelled map[string]int `json:"notModelled,omitempty"`
}

// ClusterState is one cluster. ICSARestarts are those that somebody asked for,
// ICSASelfRestarts ICSA's own. Writes counts requests that may change a
// cluster and were carried out: AXL updates, parameter changes, service control
// and deployment, certificates added.
type ClusterState struct {
	ID               string      `json:"id"`
	Release          string      `json:"release"`
	Users            int         `json:"users"`
	Nodes            []NodeState `json:"nodes"`
	Peers            []PeerState `json:"peers"`
	ICSARestarts     int         `json:"icsaRestarts"`
	ICSASelfRestarts int         `json:"icsaSelfRestarts"`
	RouterRestarts   int         `json:"routerRestarts"`
	Writes           int         `json:"writes"`
	Log              LogState    `json:"log"`
	TrustUnderWay    int         `json:"trustUnderWay"` // certificates that have yet to reach another node
	// HAEnabled is of the publisher's redundancy group.
	HAEnabled bool `json:"haEnabled"`
	// PendingNotification says that the bell asks for a restart of Cisco XCP Router.
	PendingNotification bool `json:"pendingNotification"`
	// Parameters are the service parameters by node, service and name, as they are
	// written; of the interval, ICSA goes by that of a peer's last sync.
	Parameters map[string]map[string]map[string]string `json:"parameters"`
}

// NodeState is one node. LogIns counts user names with passwords that were
// checked, RejectedLogIns those found wrong.
type NodeState struct {
	Name           string            `json:"name"`
	Role           string            `json:"role"`
	Address        string            `json:"address"`
	Release        string            `json:"release"`
	Down           bool              `json:"down"`
	HAState        int               `json:"haState"`
	People         int64             `json:"people"` // clients connected
	Services       map[string]string `json:"services"`
	UpTime         map[string]int    `json:"upTime"`
	Requests       map[string]int    `json:"requests"`
	LogIns         int               `json:"logIns"`
	RejectedLogIns int               `json:"rejectedLogIns"`
	// PlatformAddress is the HTTPS port, 443 on a real node. Trust counts the
	// certificates of each trust store that somebody has looked into or put one
	// into.
	PlatformAddress string         `json:"platformAddress"`
	Trust           map[string]int `json:"trust"`
}

// PeerState is one direction: the cluster pulls from ID.
type PeerState struct {
	ID               string     `json:"id"`
	Address          string     `json:"address"`
	Protocol         string     `json:"protocol"`
	Mode             string     `json:"mode"`
	LastSynchronized *time.Time `json:"lastSynchronized"`
	NextSync         time.Time  `json:"nextSync"`
	AssociatedUsers  int        `json:"associatedUsers"`
	LastError        string     `json:"lastError"`
	// FirstFull says that the first full sync of a new entry has not ended.
	FirstFull bool `json:"firstFull,omitempty"`
}

// State shows the whole mesh.
func (s *Sim) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	out := State{Time: now.UTC(), Clusters: []ClusterState{}, NotModelled: s.unmodelled.counts()}
	for _, c := range s.clusters {
		cs := ClusterState{
			ID: c.id, Release: c.publisher().release.String(), Users: s.countHome(c), ICSARestarts: c.icsaRestarts, ICSASelfRestarts: c.selfRestarts,
			RouterRestarts: c.routerRestarts, Writes: c.writes, Log: LogState{Lines: c.logLines}, TrustUnderWay: len(c.copying), Nodes: []NodeState{}, Peers: []PeerState{},
			HAEnabled: c.publisher().haOn, Parameters: c.parameters,
		}
		for _, n := range c.nodes {
			ns := NodeState{
				Name: n.name, Role: string(n.role), Address: n.address(), Release: n.release.String(), Down: n.down, HAState: n.haState,
				Services: map[string]string{}, UpTime: map[string]int{}, Requests: map[string]int{}, LogIns: n.logIns, RejectedLogIns: n.rejected,
				PlatformAddress: n.platformAddress(), Trust: map[string]int{},
			}
			for name, store := range n.stores {
				ns.Trust[name] = len(store.prints)
			}
			for kind := range kindsOfClient {
				ns.People += n.connected(kind, now)
			}
			cs.PendingNotification = cs.PendingNotification || n.notified
			for _, v := range n.services {
				status, up := v.status, v.upTime(now)
				if n.down {
					status, up = stopped, -1
				}
				ns.Services[v.name], ns.UpTime[v.name] = string(status), up
			}
			for name, count := range n.requests {
				ns.Requests[name] = count
			}
			cs.Nodes = append(cs.Nodes, ns)
		}
		for _, p := range c.peers {
			ps := PeerState{
				ID: p.id, Address: p.address, Protocol: p.protocol, Mode: string(p.mode), NextSync: p.next.UTC(), AssociatedUsers: p.users, LastError: p.lastError, FirstFull: p.fresh,
			}
			if !p.last.IsZero() {
				last := p.last.UTC()
				ps.LastSynchronized = &last
			}
			cs.Peers = append(cs.Peers, ps)
		}
		out.Clusters = append(out.Clusters, cs)
	}
	return out
}

func (s *Sim) countHome(c *cluster) int {
	if c.homeCounted == c.homeVersion {
		return c.homeUsers
	}
	rows, err := c.db.rows("SELECT primarynodeid, COUNT(*) FROM enduser WHERE " + c.homeCondition() + " GROUP BY primarynodeid")
	if err != nil {
		s.log("SIMULATOR FAULT: counting users of %s: %v", c.id, err)
		return -1
	}
	c.homeUsers, c.homeCounted = 0, c.homeVersion
	for _, n := range c.presenceNodes() {
		n.homeUsers = 0
		for _, row := range rows {
			if row[0] == strconv.Itoa(n.id) {
				n.homeUsers, _ = strconv.ParseInt(row[1], 10, 64) // SQLite's own number
			}
		}
		c.homeUsers += int(n.homeUsers)
	}
	return c.homeUsers
}

// LogState is what GET /state shows of a cluster's log: the alarms that its
// services have said so far, whatever is left of them.
type LogState struct {
	Lines int `json:"lines"`
}
