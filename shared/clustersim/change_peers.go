package clustersim

import (
	"time"
)

// Peers changes what the cluster pulls from another one: how its syncs go, and
// the entry in its table of intercluster peers, as a person makes it on the page
// Inter-Clustering: present makes the entry or takes it away, and what is not said of
// a new one (address, protocol, user name, password) is right; selfHeals lets ICSA's own recovery mend a stuck one; forceSync is the
// button Force Manual Sync, with "Also resync peer's Tomcat certificates".
type Peers struct {
	Peer             string     `json:"peer"`
	Mode             *PeerMode  `json:"mode"`
	SelfHeals        *bool      `json:"selfHeals"`
	LastSynchronized *time.Time `json:"lastSynchronized"`
	Protocol         *string    `json:"protocol"`
	Address          *string    `json:"address"`
	Username         *string    `json:"username"` // of the other cluster's intercluster account
	Password         *string    `json:"password"`
	Present          *bool      `json:"present"`
	ForceSync        bool       `json:"forceSync"`
}

func (in Peers) apply(s *Sim, c *cluster, now time.Time) error {
	remote := s.cluster(in.Peer)
	if remote == nil || remote == c {
		return wrong("peer", "%q is not another cluster of this mesh", in.Peer)
	}
	if in.Mode != nil {
		switch *in.Mode {
		case ModeOK, ModeStuck, ModeHung, ModeSlow, ModeDeaf, ModeBadCredentials:
		default:
			return wrong("mode", "%q is none of ok, stuck, hung, slow, deaf, badCredentials", *in.Mode)
		}
	}
	if in.Protocol != nil && *in.Protocol != "tcp" && *in.Protocol != "tls" {
		return wrong("protocol", "%q is neither tcp nor tls", *in.Protocol)
	}
	if in.Password != nil && *in.Password == "" {
		return wrong("password", "is empty")
	}
	p := c.peerOf(in.Peer)
	edited := in.Protocol != nil || in.Address != nil || in.Username != nil || in.Password != nil
	switch {
	case in.Present != nil && !*in.Present:
		if p == nil {
			return nil
		}
		c.entryChanged()
		return simulatorError(s.removePeer(p))
	case p == nil && in.Present == nil:
		return wrong("peer", "%s has no entry for %s; present: true makes one", c.id, in.Peer)
	case p == nil:
		p = s.newPeer(c, remote)
		p.next, p.fresh, p.progress, edited = now.Add(firstSyncAfter), true, now, true
		if err := s.insertPeer(p); err != nil {
			return simulatorError(err)
		}
		s.icsaSays(c, "InterClusterSyncAgentControllerStatus", p, remote, now)
	}
	if in.Mode != nil && *in.Mode != p.mode {
		switch {
		case *in.Mode == ModeSlow:
			p.next = p.next.Add(p.interval)
		case p.next.Before(now): // it stood still beyond its time
			p.next = now.Add(firstSyncAfter)
		}
		if p.mode == ModeDeaf {
			p.seen = 0 // what was missed is caught up at the next sync
		}
		p.mode = *in.Mode
	}
	if in.SelfHeals != nil {
		p.selfHeals = *in.SelfHeals
	}
	if in.LastSynchronized != nil {
		p.last = in.LastSynchronized.UTC().Truncate(time.Second)
	}
	if in.Protocol != nil {
		p.protocol = *in.Protocol
	}
	if in.Address != nil {
		p.address = *in.Address
	}
	if in.Username != nil {
		p.username = *in.Username
	}
	if in.Password != nil {
		p.password = *in.Password
	}
	if edited {
		p.held = false
		c.entryChanged()
	}
	if in.ForceSync {
		// The button of the peer page, with "Also resync peer's Tomcat certificates".
		for _, n := range remote.presenceNodes() {
			for _, cert := range n.identities() {
				delete(c.distrusted, fingerprint(cert.Leaf))
			}
			s.learn(c, n, now, p.protocol == "tls")
		}
		if p.stands() {
			p.mode = ModeOK
		}
		p.seen = 0
		p.next = now
	}
	s.recordPeer(p)
	return nil
}
