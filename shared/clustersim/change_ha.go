package clustersim

import (
	"time"
)

// HA turns high availability of a cluster's redundancy group on or off. Its
// nodes are Idle while it is off, and Normal when it comes on.
type HA struct {
	Enabled           *bool `json:"enabled"`
	AutomaticFallback *bool `json:"automaticFallback"`
}

func (in HA) apply(s *Sim, c *cluster, _ time.Time) error {
	if in.Enabled == nil && in.AutomaticFallback == nil {
		return wrong("enabled", "is missing")
	}
	if in.AutomaticFallback != nil {
		c.noFallback = !*in.AutomaticFallback
	}
	if in.Enabled == nil {
		return nil
	}
	if _, err := c.db.exec("UPDATE enterprisesubcluster SET haenabled = ? WHERE id = ?", boolText(*in.Enabled), c.index+1); err != nil {
		return simulatorError(err)
	}
	state := haIdle
	if *in.Enabled {
		state = haNormal
	}
	for _, n := range c.presenceNodes() {
		if _, err := c.db.exec("UPDATE enterprisenode SET tkhaserverstate = ? WHERE id = ?", state, n.id); err != nil {
			return simulatorError(err)
		}
		n.haState = state
	}
	return nil
}
