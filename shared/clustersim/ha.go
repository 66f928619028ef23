package clustersim

import (
	"slices"
	"time"
)

// High availability of a cluster's redundancy group, by Cisco's default times.
const (
	failoverAfter = 90 * time.Second
	fallbackAfter = 30 * time.Minute
)

// The states of high availability that the simulator goes through by itself, as
// tkhaserverstate and SRMState have them.
const (
	haIdle       = 2
	haNormal     = 3
	haBackup     = 4
	haFailedOver = 8
	srmDown      = 12
)

// failedOver are the states of Server Recovery Manager in which a node serves
// nobody: failed over, its affected services failed over, failed, down.
func failedOver(state int) bool {
	return state == haFailedOver || state == 9 || state == 11 || state == srmDown
}

// setHAState changes a node's state of high availability, and nothing else.
func (s *Sim) setHAState(n *node, state int, now time.Time) error {
	if n.haState == state {
		return nil
	}
	if _, err := n.cluster.db.exec("UPDATE enterprisenode SET tkhaserverstate = ? WHERE id = ?", state, n.id); err != nil {
		return simulatorError(err)
	}
	s.log("%s: high availability state %d", n.name, state)
	n.haState, n.haSince = state, now
	return nil
}

// enterHAState changes a node's state, and those of the others of its group by it:
// they take over from one that has failed over, and are Normal again when it is.
// People follow.
func (s *Sim) enterHAState(n *node, state int, now time.Time) error {
	if n.haState == state {
		return nil
	}
	if err := s.setHAState(n, state, now); err != nil {
		return err
	}
	from, to := haNormal, haBackup
	switch {
	case failedOver(state):
		s.sayFailover(n, now)
	case state == haNormal:
		from, to = haBackup, haNormal
	default:
		from = -1
	}
	for _, other := range n.partners() {
		if other.haState == from {
			if err := s.setHAState(other, to, now); err != nil {
				return err
			}
		}
	}
	s.peopleFollow(n.cluster, now)
	return nil
}

// sayFailover logs the alarm where somebody is there to log it.
func (s *Sim) sayFailover(n *node, now time.Time) {
	if n.down {
		if n = n.backup(); n == nil {
			return
		}
	}
	l, _, _ := alarmNamed("SRMFailover")
	s.logAlarm(n, l, now)
}

// partners are the other nodes of a node's redundancy group.
func (n *node) partners() []*node {
	return slices.DeleteFunc(n.cluster.presenceNodes(), func(other *node) bool { return other == n || other.group != n.group })
}

// groupID is the redundancy group in the database.
func (n *node) groupID() int { return n.cluster.index + 1 + 100*n.group }

// backup is the node that takes over from another one, or has; nil if none can.
func (n *node) backup() *node {
	for _, other := range n.partners() {
		if (other.haState == haNormal || other.haState == haBackup) && other.routerDown.IsZero() && other.running(serviceSRM) {
			return other
		}
	}
	return nil
}

// haDue is when a node next changes its state by itself: it fails over when its router
// has been down for long enough, and falls back, where that is automatic, when it has
// been up for long enough.
func (n *node) haDue() time.Time {
	switch {
	case !n.haOn:
	case n.haState == haNormal && !n.routerDown.IsZero():
		if other := n.backup(); other != nil && other.haState == haNormal {
			return later(n.routerDown, other.haSince).Add(failoverAfter)
		}
	case n.cluster.automaticFallback && n.mayFallBack():
		return later(n.routerUp, n.haSince).Add(fallbackAfter)
	}
	return time.Time{}
}

func (n *node) mayFallBack() bool {
	return failedOver(n.haState) && n.routerDown.IsZero()
}

// haChanges is what haDue announced.
func (s *Sim) haChanges(n *node, now time.Time) {
	to := haFailedOver
	if failedOver(n.haState) {
		to = haNormal
	}
	if err := s.enterHAState(n, to, now); err != nil {
		s.log("SIMULATOR FAULT: high availability of %s: %v", n.name, err)
		n.haState = to // or it would be due for ever
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
