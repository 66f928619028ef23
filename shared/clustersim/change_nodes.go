package clustersim

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Nodes changes one node, or adds a subscriber by its name. Another release
// restarts the node; reboot does so where it is up, and with high availability
// on ICSA waits to be started afterwards.
type Nodes struct {
	Node    string `json:"node"`
	Down    *bool  `json:"down"`
	Release string `json:"release"`
	HAState any    `json:"haState"`
	Add     string `json:"add"`
	Reboot  bool   `json:"reboot"`
	// StaysDown is a node of which nothing comes back that is restarted from now on:
	// its services crash while they start, and after a reboot it is down.
	StaysDown *bool `json:"staysDown"`
}

func (in Nodes) apply(s *Sim, c *cluster, now time.Time) error {
	if in.Add != "" {
		if in.Node != "" {
			return wrong("add", "does not go with node")
		}
		return s.addSubscriber(c, in.Add, now)
	}
	n, err := c.nodeField(in.Node)
	if err != nil {
		return err
	}
	version := n.release
	if in.Release != "" {
		if version, err = parseRelease(in.Release); err != nil {
			return wrong("release", "%v", err)
		}
	}
	state := n.haState
	switch v := in.HAState.(type) {
	case nil:
	case int:
		state = v
	case float64: // as JSON has it
		state = int(v)
	case string:
		known := map[string]int{"idle": haIdle, "normal": haNormal, "backup": haBackup, "failed over": haFailedOver}
		number, err := strconv.Atoi(v)
		if named, ok := known[strings.ToLower(v)]; ok {
			number, err = named, nil
		}
		if err != nil {
			return wrong("haState", "%q is no number and none of idle, normal, backup, failed over", v)
		}
		state = number
	default:
		return wrong("haState", "is neither a string nor a number")
	}
	if err := s.enterHAState(n, state, now); err != nil {
		return err
	}
	if in.StaysDown != nil {
		n.staysDown = *in.StaysDown
	}
	if version != n.release {
		n.release = version
		// Parameters that the new release brings, at their defaults.
		if err := s.addParameters(c, n); err != nil {
			return simulatorError(err)
		}
		s.readParameters(c)
		if !n.down {
			s.boot(n, now)
		}
	}
	if in.Down != nil && *in.Down != n.down {
		s.setDown(n, *in.Down, now)
	}
	if in.Reboot {
		if n.down {
			return wrong("reboot", "%s is down; \"down\": false starts it", n.name)
		}
		s.reboot(n, now)
	}
	return nil
}

func (s *Sim) addSubscriber(c *cluster, name string, now time.Time) error {
	if !strings.HasSuffix(name, "."+domain) || len(name) > 255 || strings.ContainsAny(name, " /'\"") {
		return wrong("add", "%q is not a node name in %s", name, domain)
	}
	for _, other := range s.clusters {
		if other.node(name) != nil {
			return wrong("add", "%q is a node of %s already", name, other.id)
		}
	}
	n := s.addNode(c, name, roleSubscriber, c.publisher().release, now)
	if err := s.issueTo(n, now); err != nil {
		return simulatorError(err)
	}
	s.joinTrust(n, now)
	for _, v := range n.services {
		if v.activated {
			v.since = now
		}
	}
	rows := &batch{db: c.db}
	s.insertNode(c, n, rows)
	for _, other := range s.clusters {
		other.zone.set(n.fqdn, n.ip)
		if other != c && !s.strangers(c, other) {
			s.learn(other, n, now, false)
			b := &batch{db: other.db}
			b.add(insertEnterpriseNode, n.id, n.name, nil, "f", nil)
			rows.err = errors.Join(rows.err, b.err)
		}
	}
	if rows.err != nil {
		return simulatorError(rows.err)
	}
	s.readParameters(c)
	if s.started {
		if err := s.openBoth(n); err != nil {
			return simulatorError(err)
		}
		s.reconcileListener(n)
	}
	return nil
}
