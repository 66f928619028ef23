package clustersim

import "time"

// Notification is the bell of the Administration pages: whether it asks for a restart
// of Cisco XCP Router. It falls silent on a node when that has been restarted there.
type Notification struct {
	RouterRestart *bool `json:"routerRestart"`
}

func (in Notification) apply(_ *Sim, c *cluster, _ time.Time) error {
	if in.RouterRestart == nil {
		return wrong("routerRestart", "is missing")
	}
	for _, n := range c.presenceNodes() {
		n.notified = *in.RouterRestart
	}
	return nil
}
