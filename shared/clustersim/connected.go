package clustersim

import "time"

// People sign in again this long after they can, the first and the last of them:
// Cisco's measure for the users of a node.
const (
	firstSignsIn = 120 * time.Second
	lastSignsIn  = 537 * time.Second
)

// kindsOfClient are the two ways in which people are connected to a node: eight of ten
// users at home there.
var kindsOfClient = [...]struct {
	service, object, counter string
	ofTen                    int64
}{
	{serviceConnections, "Cisco XCP CM", "CmConnectedSockets", 7},
	{serviceWebConnections, "Cisco XCP Web CM", "WebConnectedSockets", 1},
}

// signedIn is where the people at home on a node are, by one kind of client: on no
// node, or on one since they could last sign in. A zero since is long ago.
type signedIn struct {
	on    *node
	since time.Time
}

// peopleFollow signs the people of a cluster out where what they are connected to has
// gone, and lets them sign in where it has come. It is called after every change of
// what that depends on.
func (s *Sim) peopleFollow(c *cluster, now time.Time) {
	for _, n := range c.presenceNodes() {
		for kind := range kindsOfClient {
			if on := n.takes(kind); on != n.people[kind].on {
				n.people[kind] = signedIn{on, now}
			}
		}
	}
}

// signOut signs everybody out who is connected to a node, and lets them sign in again.
func (s *Sim) signOut(from *node, now time.Time) {
	for _, n := range from.cluster.presenceNodes() {
		for kind := range kindsOfClient {
			if n.people[kind].on == from {
				n.people[kind].since = now
			}
		}
	}
}

// takes is the node that people at home on n can be connected to; nil if there is
// none.
func (n *node) takes(kind int) *node {
	on := n
	if failedOver(n.haState) {
		on = n.backup()
	}
	if on == nil || !on.running(serviceRouter) || !on.running(kindsOfClient[kind].service) {
		return nil
	}
	return on
}

// connected are the clients of one kind on a node now.
func (n *node) connected(kind int, now time.Time) int64 {
	sum := int64(0)
	for _, home := range n.cluster.presenceNodes() {
		if home.people[kind].on == n {
			sum += home.people[kind].back(home.homeUsers*kindsOfClient[kind].ofTen/10, now)
		}
	}
	return sum
}

// back is how many of them have signed in again by now: they come evenly.
func (p signedIn) back(of int64, now time.Time) int64 {
	since := now.Sub(p.since)
	switch {
	case p.since.IsZero() || since >= lastSignsIn:
		return of
	case since < firstSignsIn:
		return 0
	}
	return of * int64(since-firstSignsIn) / int64(lastSignsIn-firstSignsIn)
}
