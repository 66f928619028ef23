package clustersim

import "time"

// Notification is the bell of the Administration pages: whether it asks for a restart
// of Cisco XCP Router, now or, with onChange, whenever somebody adds, edits or deletes
// an entry of the cluster. It falls silent on a node when that has been restarted there.
type Notification struct {
	RouterRestart *bool `json:"routerRestart"`
	OnChange      *bool `json:"onChange"`
}

func (in Notification) apply(_ *Sim, c *cluster, _ time.Time) error {
	if in.RouterRestart == nil && in.OnChange == nil {
		return wrong("routerRestart", "is missing, and so is onChange")
	}
	if in.OnChange != nil {
		c.bellOnChange = *in.OnChange
	}
	if in.RouterRestart != nil {
		c.ring(*in.RouterRestart)
	}
	return nil
}

func (c *cluster) ring(asks bool) {
	for _, n := range c.presenceNodes() {
		n.notified = asks
	}
}

// entryChanged is what the bell does when somebody has changed an entry.
func (c *cluster) entryChanged() {
	if c.bellOnChange {
		c.ring(true)
	}
}
