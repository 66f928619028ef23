package cost

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/metric"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
)

// measurement is what one steady run took of a mesh of some size: nothing
// fails and nothing changes but the counts' times.
//
// Times were measured on 23 November 2026 with the simulator in a process of
// its own over TLS on loopback, 50 ms latency per answer, 200 users per cluster,
// on one x86-64 core shared with others; units and bytes on 28 November 2026
// by BenchmarkUnits of shared/host, from the sizes of the items read and
// written, by DynamoDB's rules. Tier 2 of user truth is in the units, as a mean of the runs of an
// hour; what is read when users differ, and tier 3, once a day, are not in it,
// nor are trust stores: with platform accounts a run of certcheck waits 0.1 to
// 0.2 s longer and computes 0.35 s more at 30 clusters (25 November 2026,
// likewise), which in four looks a day is below a cent a month.
type measurement struct {
	clusters      int
	cpu, wait     time.Duration // of the processor, and for answers
	reads, writes float64       // DynamoDB units
	stored        float64       // bytes in the table after it
}

const ms = time.Millisecond

func measured() map[string][]measurement {
	return map[string][]measurement{
		"peersync": {
			{1, 6 * ms, 310 * ms, 5.5, 5.5, 7_500}, {3, 16 * ms, 320 * ms, 12, 16, 39_000},
			{10, 82 * ms, 330 * ms, 61.5, 65.2, 365_900}, {30, 490 * ms, 440 * ms, 428, 390.7, 3_136_400},
		},
		"stucksync": {
			{1, 1 * ms, 1 * ms, 8, 2, 0}, {3, 3 * ms, 3 * ms, 12.5, 2, 0},
			{10, 32 * ms, 10 * ms, 55, 2, 0}, {30, 185 * ms, 10 * ms, 401.5, 2.3, 0},
		},
		"certcheck": {
			{1, 3 * ms, 5 * ms, 4, 4, 0}, {3, 15 * ms, 50 * ms, 8.5, 8, 0},
			{10, 125 * ms, 75 * ms, 51, 22, 0}, {30, 740 * ms, 110 * ms, 397.4, 75.8, 0},
		},
		// Times are an estimate: peersync's, of which it asks less.
		"preflight": {
			{1, 6 * ms, 310 * ms, 12, 7, 2_900}, {3, 16 * ms, 320 * ms, 29, 13, 8_700},
			{10, 82 * ms, 330 * ms, 142, 34, 29_000}, {30, 490 * ms, 440 * ms, 915, 97, 87_000},
		},
		// Units of a run with no plan that runs and nothing said, however many clusters
		// there are: its lease, PLANS, and what was said. Times are stucksync's.
		"peering": {{1, 1 * ms, 1 * ms, 4, 2, 0}, {30, 1 * ms, 1 * ms, 4, 2, 0}},
	}
}

const (
	// roundTrips is what a run waits for AWS itself: some ten requests to
	// DynamoDB. Assumed, not measured.
	roundTrips = 100 * ms
	// logBytes is what a run leaves in its log: two lines of ours and three of
	// Lambda's. The metrics' line is some 750 bytes; the rest assumed.
	logBytes = 2_500
	// fullCore is the memory at which Lambda gives a function one core (Lambda
	// developer guide, "Configure Lambda function memory").
	fullCore = 1769
)

// of is the measurement for a number of clusters; between two it is a straight
// line, beyond the last it is refused.
func of(function string, clusters int) (measurement, error) {
	list := measured()[function]
	if list == nil {
		return measurement{}, fmt.Errorf("what %s takes has not been measured", function)
	}
	last := list[len(list)-1]
	if clusters < 1 || clusters > last.clusters {
		return measurement{}, fmt.Errorf("%d clusters: measured are 1 to %d", clusters, last.clusters)
	}
	i := slices.IndexFunc(list, func(m measurement) bool { return m.clusters >= clusters })
	b := list[i]
	if b.clusters == clusters {
		return b, nil
	}
	a := list[i-1]
	part := float64(clusters-a.clusters) / float64(b.clusters-a.clusters)
	between := func(x, y float64) float64 { return x + part*(y-x) }
	return measurement{
		clusters: clusters,
		cpu:      time.Duration(between(float64(a.cpu), float64(b.cpu))), wait: time.Duration(between(float64(a.wait), float64(b.wait))),
		reads: between(a.reads, b.reads), writes: between(a.writes, b.writes), stored: between(a.stored, b.stored),
	}, nil
}

// duration is how long a run would take in a Lambda of some memory: it waits
// as long, and computes slower where it has less than a core. Modelled.
func (m measurement) duration(memoryMB float64) time.Duration {
	slower := max(1, fullCore/memoryMB)
	return roundTrips + m.wait + time.Duration(float64(m.cpu)*slower)
}

// metricsOf counts the metrics a function writes, from a line that it writes.
func metricsOf(function string) (int, error) {
	var answer run.Answer
	if function == "peersync" || function == "stucksync" { // the others judge no peers
		answer.Peers = map[peer.State]int{peer.Healthy: 1}
	}
	r := metric.Run{Mesh: "m", Function: function, Counts: answer.Summary().Counts}
	if function == "intake" { // its answers count lines, which are no metrics
		r.Counts = nil
	}
	var line strings.Builder
	if err := metric.Write(&line, r, time.Unix(0, 0)); err != nil {
		return 0, err
	}
	var written struct {
		AWS struct {
			CloudWatchMetrics []struct{ Metrics []any }
		} `json:"_aws"`
	}
	if err := json.Unmarshal([]byte(line.String()), &written); err != nil {
		return 0, fmt.Errorf("reading a line of metrics: %w", err)
	}
	n := 0
	for _, d := range written.AWS.CloudWatchMetrics {
		n += len(d.Metrics)
	}
	return n, nil
}

// Resize makes a mesh of n clusters of one of another size: it leaves clusters
// out, or repeats the last one under other names with accounts of its own.
func Resize(m *mesh.Mesh, n int) {
	for i := len(m.Clusters); i < n; i++ {
		c := m.Clusters[len(m.Clusters)-1]
		for _, a := range mesh.Accounts() {
			name := a.Of(&c)
			if *name != "" {
				_, kind, ok := strings.Cut(*name, "/")
				if !ok {
					kind = *name
				}
				*name = fmt.Sprintf("c%02d/%s", i+1, kind)
			}
		}
		c.ID = mesh.ClusterID(fmt.Sprintf("c%02d", i+1))
		m.Clusters = append(m.Clusters, c)
	}
	m.Clusters = m.Clusters[:n]
}
