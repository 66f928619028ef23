package clustersim

import (
	"time"
)

// Reachable says who reaches the cluster: Peerkeeper ("peerkeeper"), the ICSA of
// another cluster by its id, or both and all ("all").
type Reachable struct {
	From  string `json:"from"`
	Value *bool  `json:"value"`
}

func (in Reachable) apply(s *Sim, c *cluster, _ time.Time) error {
	if in.Value == nil {
		return wrong("value", "is missing")
	}
	var from []string
	switch {
	case in.From == "peerkeeper":
		from = []string{in.From}
	case in.From == "all":
		from = []string{"peerkeeper"}
		for _, other := range s.clusters {
			if other != c {
				from = append(from, other.id)
			}
		}
	case s.cluster(in.From) != nil && in.From != c.id:
		from = []string{in.From}
	default:
		return wrong("from", "%q is neither peerkeeper, all nor another cluster", in.From)
	}
	for _, f := range from {
		if *in.Value {
			delete(c.blocked, f)
		} else {
			c.blocked[f] = true
		}
	}
	for _, n := range c.nodes {
		s.reconcileListener(n)
	}
	return nil
}
