package run

import (
	"log/slog"
	"time"

	"peerkeeper/shared/metric"
	"peerkeeper/shared/peer"
)

// Answer is what a function says when it is done.
type Answer struct {
	Mesh          string             `json:"mesh"`
	Function      string             `json:"function"`
	ScheduledTime time.Time          `json:"scheduledTime"`
	Clusters      Clusters           `json:"clusters"`
	Peers         map[peer.State]int `json:"peers"`
	Proposals     int                `json:"proposals"`
	Actions       int                `json:"actions"`
	Notices       int                `json:"notices"`
	Logs          Logs               `json:"logs,omitzero"`
	Skipped       string             `json:"skipped,omitempty"`
	TookMs        int64              `json:"tookMs"`
}

// Clusters counts how the looks at the clusters went.
type Clusters struct {
	Observed    int `json:"observed"`
	Partial     int `json:"partial"`
	Unreachable int `json:"unreachable"`
}

// Logs counts what reading clusters' own logs came to.
type Logs struct {
	Read      int   `json:"read"`
	Unchanged int   `json:"unchanged"`
	Failed    int   `json:"failed"`
	Requests  int   `json:"requests"`
	Bytes     int64 `json:"bytes"`
}

// Add counts one cluster's turn.
func (l *Logs) Add(g peer.LogReading) {
	switch g.Outcome {
	case peer.LogRead, peer.LogReadPartly:
		l.Read++
	case peer.LogUnchanged:
		l.Unchanged++
	case peer.LogFailed:
		l.Failed++
	}
	l.Requests += g.Requests
	l.Bytes += g.Bytes
}

// Summary is what a function's answer comes to in a log line and in metrics.
type Summary struct {
	Skipped string         // why it was not carried out; "" if it was
	Log     []slog.Attr    // what the line of a completed run says
	Counts  []metric.Value // of a completed run
}

// Summary counts clusters, peers, notices and actions.
func (a Answer) Summary() Summary {
	counts := []metric.Value{
		{Name: metric.ClustersObserved, Unit: metric.Count, Value: float64(a.Clusters.Observed)},
		{Name: metric.ClustersPartial, Unit: metric.Count, Value: float64(a.Clusters.Partial)},
		{Name: metric.ClustersUnreachable, Unit: metric.Count, Value: float64(a.Clusters.Unreachable)},
	}
	if len(a.Peers) > 0 { // it judged some
		bad := 0
		for state, n := range a.Peers {
			if state != peer.Healthy && state != peer.Terminated {
				bad += n
			}
		}
		counts = append(counts, metric.Value{Name: metric.PeersNotHealthy, Unit: metric.Count, Value: float64(bad)})
	}
	return Summary{
		Skipped: a.Skipped,
		Log: []slog.Attr{
			slog.Any("clusters", a.Clusters), slog.Any("peers", a.Peers), slog.Int("notices", a.Notices), slog.Int("actions", a.Actions), slog.Int("proposals", a.Proposals),
		},
		Counts: append(counts,
			metric.Value{Name: metric.Notices, Unit: metric.Count, Value: float64(a.Notices)},
			metric.Value{Name: metric.Actions, Unit: metric.Count, Value: float64(a.Actions)}),
	}
}
