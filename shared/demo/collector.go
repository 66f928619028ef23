package demo

import (
	"context"
	"slices"
	"strings"
	"sync"

	"peerkeeper/shared/alarm"
)

// collector is a sink that remembers every distinct notice, for a demo's
// reckoning: "once" counts pairs of fingerprint and transition.
type collector struct {
	mu      sync.Mutex
	notices []alarm.Notice
}

// Name tells this sink from others.
func (c *collector) Name() string { return "collector" }

// Send remembers a notice.
func (c *collector) Send(_ context.Context, n alarm.Notice) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, had := range c.notices {
		if had.Fingerprint == n.Fingerprint && had.Transition == n.Transition {
			return nil
		}
	}
	c.notices = append(c.notices, n)
	return nil
}

// results counts what was raised and cleared, by alarm.
func (c *collector) results() []AlarmResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := map[string]int{}
	out := []AlarmResult{}
	for _, n := range c.notices {
		i, ok := at[n.Fingerprint]
		if !ok {
			i = len(out)
			at[n.Fingerprint] = i
			out = append(out, AlarmResult{Name: n.Name, Peer: n.Peer, Cluster: n.Cluster})
		}
		if n.State == alarm.Cleared {
			out[i].Cleared++
		} else {
			out[i].Raised++
		}
	}
	slices.SortStableFunc(out, func(a, b AlarmResult) int {
		return strings.Compare(a.Name+a.Peer.String()+string(a.Cluster), b.Name+b.Peer.String()+string(b.Cluster))
	})
	return out
}
