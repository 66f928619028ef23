package clustersim

import (
	"fmt"
	"time"
)

// Restore rewinds a cluster's database to a backup: the home users made
// last are gone, the same number of copies of each peer's users too, and each
// peer's last synchronized time is that of the backup. The home users stay away
// (in life, Cisco Sync Agent would bring them back from CUCM), the copies return
// with the next syncs. Nodes are not restarted.
type Restore struct {
	Users int `json:"users"`
}

func (in Restore) apply(s *Sim, c *cluster, _ time.Time) error {
	n := -in.Users
	if have := s.countHome(c); n <= 0 || n > have {
		return wrong("users", "%d is not minus the number of users to lose, of %d", in.Users, have)
	}
	last := func(condition string) string {
		return fmt.Sprintf("DELETE FROM enduser WHERE rowid IN (SELECT rowid FROM enduser WHERE %s ORDER BY rowid DESC LIMIT %d)", condition, n)
	}
	if _, err := c.db.exec(last(c.homeCondition())); err != nil {
		return simulatorError(err)
	}
	c.homeVersion++
	for _, p := range c.peers {
		remote := s.cluster(p.id)
		if remote == nil {
			continue
		}
		gone, err := c.db.exec(last(remote.copyCondition()))
		if err != nil {
			return simulatorError(err)
		}
		p.users -= min(gone, p.users)
		p.seen = 0
		if !p.last.IsZero() {
			p.last = p.last.Add(-backupAge)
		}
		s.recordPeer(p)
	}
	return nil
}
