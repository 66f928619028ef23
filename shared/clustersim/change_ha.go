package clustersim

import "time"

// HA turns high availability of a cluster's redundancy groups on or off, as a person
// does on their page. Nodes are Idle while it is off, and Normal when it comes on; it
// never does for a node that is alone in its group. fallback is the page's button: a
// node that has failed over and runs again is Normal, and its people go back to it.
type HA struct {
	Enabled           *bool `json:"enabled"`
	AutomaticFallback *bool `json:"automaticFallback"`
	Fallback          bool  `json:"fallback"`
}

func (in HA) apply(s *Sim, c *cluster, now time.Time) error {
	if in.Enabled == nil && in.AutomaticFallback == nil && !in.Fallback {
		return wrong("enabled", "is missing, and so are automaticFallback and fallback")
	}
	if in.AutomaticFallback != nil {
		c.automaticFallback = *in.AutomaticFallback
	}
	if in.Fallback {
		if err := s.fallBack(c, now); err != nil {
			return err
		}
	}
	if in.Enabled == nil {
		return nil
	}
	state := haIdle
	if *in.Enabled {
		state = haNormal
	}
	for _, n := range c.presenceNodes() {
		if len(n.partners()) == 0 {
			continue // it cannot be on for one node
		}
		if _, err := c.db.exec("UPDATE enterprisesubcluster SET haenabled = ? WHERE id = ?", boolText(*in.Enabled), n.groupID()); err != nil {
			return simulatorError(err)
		}
		n.haOn = *in.Enabled
		if err := s.setHAState(n, state, now); err != nil {
			return err
		}
	}
	s.peopleFollow(c, now)
	return nil
}

func (s *Sim) fallBack(c *cluster, now time.Time) error {
	fell := false
	for _, n := range c.presenceNodes() {
		if !n.mayFallBack() {
			continue
		}
		fell = true
		if err := s.enterHAState(n, haNormal, now); err != nil {
			return err
		}
	}
	if !fell {
		return wrong("fallback", "no node of %s has failed over and runs %s again", c.id, serviceRouter)
	}
	return nil
}
