package clustersim

import "time"

// Sync is how users come into a cluster: whether Cisco Sync Agent has completed the
// sync with Unified CM, and what ICSA does with a user of a peer whose user ID is
// at home here as well. Cisco does not document the latter. firstFull is how long the
// first full sync takes of each entry that is new here, such as "40m"; "" is by the
// number of users again.
type Sync struct {
	Completed *bool `json:"completed"`
	// Duplicates are "copied" (the default) or "skipped".
	Duplicates *string `json:"duplicates"`
	FirstFull  *string `json:"firstFull"`
}

func (in Sync) apply(s *Sim, c *cluster, now time.Time) error {
	if in.Completed == nil && in.Duplicates == nil && in.FirstFull == nil {
		return wrong("completed", "is missing, and so are duplicates and firstFull")
	}
	if in.FirstFull != nil {
		c.firstFull = nil
		if *in.FirstFull != "" {
			span, err := time.ParseDuration(*in.FirstFull)
			if err != nil || span < 0 {
				return wrong("firstFull", "%q is not a duration", *in.FirstFull)
			}
			c.firstFull = &span
		}
	}
	if in.Duplicates != nil {
		switch *in.Duplicates {
		case "copied", "skipped":
		default:
			return wrong("duplicates", "%q is neither copied nor skipped", *in.Duplicates)
		}
		c.skipsDuplicates = *in.Duplicates == "skipped"
		for _, p := range c.peers {
			p.seen = 0 // the next sync copies all of them again
		}
	}
	if in.Completed == nil {
		return nil
	}
	c.syncIncomplete = !*in.Completed
	text := "In progress"
	if *in.Completed {
		text = "Completed " + now.UTC().Format(peerTimeLayout)
	}
	_, err := c.db.exec("UPDATE epassyncagentcfg SET syncstatus = ?", text)
	return simulatorError(err)
}
