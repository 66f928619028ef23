package peer

import (
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
)

// Reset is a restart of one service by itself: its up-time fell, and the node's
// others ran on.
type Reset struct {
	Node    mesh.NodeName `json:"node"`
	Service string        `json:"service"`
	At      time.Time     `json:"at"`
}

// Bounds of what is remembered of resets.
const (
	resetsFor  = 24 * time.Hour
	resetsKept = 40
)

// resets notes when ICSA or Server Recovery Manager restarted by themselves. Who
// did it is not told: only a count, with what else is known, means something.
func resets(prev ClusterRecord, obs Observation) []Reset {
	var out []Reset
	for _, r := range prev.Resets {
		if obs.At.Sub(r.At) < resetsFor {
			out = append(out, r)
		}
	}
	var fresh []Reset
	for name, n := range obs.Nodes {
		before, after := prev.Seen.Nodes[name].Services, n.Services
		if NodeRestarted(before, after) {
			continue
		}
		old, _ := before.Get()
		now, _ := after.Get()
		for _, service := range []string{ICSA, SRM} {
			was, had := old[service]
			is, has := now[service]
			if had && has && was.UpTime >= 0 && is.UpTime >= 0 && is.UpTime < was.UpTime {
				fresh = append(fresh, Reset{name, service, obs.At})
			}
		}
	}
	slices.SortFunc(fresh, func(a, b Reset) int {
		return strings.Compare(string(a.Node)+a.Service, string(b.Node)+b.Service)
	})
	out = append(out, fresh...)
	return out[max(0, len(out)-resetsKept):]
}
