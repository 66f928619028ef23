package clustersim

import (
	"strings"
	"time"
)

// intercluster is the application user that AXL's web service makes for the entries of
// other clusters.
const intercluster = "intercluster"

// Credentials changes one of the accounts that clients log in with: "read" (as
// if it were absent), "write", "platform", "platform-write" or "intercluster", with which
// the entries of other clusters for this one log in; an account that is logged in by it
// is not any more, unless it keeps the entries' log-ins until they break. privilege is a
// platform account's: 0 reads, 1 writes.
type Credentials struct {
	Account   string  `json:"account"`
	Username  *string `json:"username"`
	Password  *string `json:"password"`
	Privilege *int    `json:"privilege"`
	Keeps     bool    `json:"keeps"`
}

func (in Credentials) apply(s *Sim, c *cluster, _ time.Time) error {
	if in.Username == nil && in.Password == nil && in.Privilege == nil {
		return wrong("password", "is missing")
	}
	if in.Account == "" {
		in.Account = "read"
	}
	read := c.accounts[in.Account]
	if read == nil {
		return wrong("account", "%q is none of read, write, platform, platform-write, intercluster", in.Account)
	}
	if in.Privilege != nil && (!strings.HasPrefix(in.Account, "platform") || *in.Privilege != 0 && *in.Privilege != 1) {
		return wrong("privilege", "0 or 1, of a platform account")
	}
	if in.Keeps && in.Account != intercluster {
		return wrong("keeps", "only entries log in with account intercluster")
	}
	if in.Keeps {
		for _, other := range s.clusters {
			if p := other.peerOf(c.id); p != nil {
				p.held = p.logsIn(c)
			}
		}
	}
	changed := *read
	if in.Username != nil {
		if *in.Username == "" {
			return wrong("username", "is empty")
		}
		changed.username = *in.Username
	}
	if in.Password != nil {
		if *in.Password == "" {
			return wrong("password", "is empty")
		}
		changed.password = *in.Password
	}
	if in.Privilege != nil {
		changed.write = *in.Privilege == 1
	}
	c.accounts[in.Account] = &changed
	for _, n := range c.nodes {
		for id, open := range n.sessions {
			if open.account == read {
				delete(n.sessions, id)
			}
		}
	}
	return nil
}
