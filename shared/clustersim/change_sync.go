package clustersim

import "time"

// Sync sets whether Cisco Sync Agent has completed the sync of users from Unified
// CM, as the database tells it. The words for it are invented.
type Sync struct {
	Completed *bool `json:"completed"`
}

func (in Sync) apply(_ *Sim, c *cluster, now time.Time) error {
	if in.Completed == nil {
		return wrong("completed", "is missing")
	}
	text := "In progress"
	if *in.Completed {
		text = "Completed " + now.UTC().Format(peerTimeLayout)
	}
	_, err := c.db.exec("UPDATE epassyncagentcfg SET syncstatus = ?", text)
	return simulatorError(err)
}
