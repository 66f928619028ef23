package run_test

import (
	"testing"

	"peerkeeper/shared/metric"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
)

// TestPeersNotHealthyIsCountedByWhoJudges: a function that judges no peer says
// nothing of them, or an alarm on the metric would read zero and clear.
func TestPeersNotHealthyIsCountedByWhoJudges(t *testing.T) {
	for name, c := range map[string]struct {
		peers map[peer.State]int
		want  float64 // -1 is not counted
	}{
		"no peer was judged":        {nil, -1},
		"all are well":              {map[peer.State]int{peer.Healthy: 6}, 0},
		"one was taken out on both": {map[peer.State]int{peer.Healthy: 4, peer.Terminated: 2}, 0},
		"three are not":             {map[peer.State]int{peer.Healthy: 3, peer.Stuck: 2, peer.StateUnknown: 1}, 3},
	} {
		got := -1.0
		for _, v := range (run.Answer{Peers: c.peers}).Summary().Counts {
			if v.Name == metric.PeersNotHealthy {
				got = v.Value
			}
		}
		if got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
