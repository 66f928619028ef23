package clustersim

import (
	"strings"
	"time"
)

// Perfmon sets what a node answers for a performance counter, whatever it would
// be otherwise, or takes PerfMon from the read account (roles: false).
type Perfmon struct {
	Node    string `json:"node"`
	Counter string `json:"counter"`
	Value   *int64 `json:"value"`
	Roles   *bool  `json:"roles"`
}

func (in Perfmon) apply(_ *Sim, c *cluster, now time.Time) error {
	if in.Roles != nil {
		c.perfmonDenied = !*in.Roles
		if in.Node == "" && in.Counter == "" && in.Value == nil {
			return nil
		}
	}
	n, err := c.nodeField(in.Node)
	if err != nil {
		return err
	}
	if in.Value == nil {
		return wrong("value", "is missing")
	}
	for _, v := range n.counters(now) {
		if strings.EqualFold(v.name, in.Counter) {
			if n.perfmon == nil {
				n.perfmon = map[string]int64{}
			}
			n.perfmon[strings.ToLower(v.name)] = *in.Value
			return nil
		}
	}
	return wrong("counter", "%q is not modelled", in.Counter)
}
