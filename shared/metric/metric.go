// Package metric writes what one run amounted to as a line in CloudWatch's
// embedded metric format: CloudWatch makes metrics of the log line, and no
// request is sent.
//
// It owns the names of the metrics. The dimensions are mesh and function and
// nothing else: each further value of a dimension is a metric of its own on
// the bill, and a mesh of 30 clusters has 870 peers. A line that cannot be
// written is an error and costs one data point.
package metric

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
)

// Namespace is where the metrics are found in CloudWatch.
const Namespace = "Peerkeeper"

// Unit is a unit of CloudWatch's.
type Unit string

// The units in use.
const (
	Count        Unit = "Count"
	Milliseconds Unit = "Milliseconds"
)

// The metrics. Each costs per month, mesh and function: see `make cost`.
const (
	RunCompleted        = "RunCompleted" // 1, or 0 if the run failed or was skipped; absent = it never ran
	DurationMs          = "DurationMs"
	ClustersObserved    = "ClustersObserved"
	ClustersPartial     = "ClustersPartial"
	ClustersUnreachable = "ClustersUnreachable"
	PeersNotHealthy     = "PeersNotHealthy" // every state but Healthy and Terminated; only of functions that judge peers
	Notices             = "Notices"
	Actions             = "Actions"
	Requests            = "Requests" // to clusters
	ReadUnits           = "ReadUnits"
	WriteUnits          = "WriteUnits"
)

// Run is what one run amounted to.
type Run struct {
	Answer run.Answer
	// Failed says that the run ended in an error.
	Failed bool
	// Requests to clusters; nil if the function sends none.
	Requests *int64
	// ReadUnits and WriteUnits are DynamoDB's capacity units.
	ReadUnits, WriteUnits float64
	// RunID is the Lambda request id; a property, never a dimension.
	RunID string
}

type value struct {
	name string
	unit Unit
	v    float64
}

func (r Run) values() []value {
	completed := 1.0
	if r.Failed || r.Answer.Skipped != "" {
		completed = 0
	}
	out := []value{{RunCompleted, Count, completed}, {DurationMs, Milliseconds, float64(r.Answer.TookMs)}}
	if r.Answer.Skipped == "" && !r.Failed { // otherwise there are no counts, and 0 would be a lie
		c := r.Answer.Clusters
		out = append(out,
			value{ClustersObserved, Count, float64(c.Observed)},
			value{ClustersPartial, Count, float64(c.Partial)},
			value{ClustersUnreachable, Count, float64(c.Unreachable)})
		if len(r.Answer.Peers) > 0 {
			bad := 0
			for state, n := range r.Answer.Peers {
				if state != peer.Healthy && state != peer.Terminated {
					bad += n
				}
			}
			out = append(out, value{PeersNotHealthy, Count, float64(bad)})
		}
		out = append(out, value{Notices, Count, float64(r.Answer.Notices)}, value{Actions, Count, float64(r.Answer.Actions)})
	}
	if r.Requests != nil {
		out = append(out, value{Requests, Count, float64(*r.Requests)})
	}
	return append(out, value{ReadUnits, Count, r.ReadUnits}, value{WriteUnits, Count, r.WriteUnits})
}

// The structure of the format is Amazon's ("Specification: Embedded metric
// format", CloudWatch User Guide).
type metadata struct {
	Timestamp         int64       `json:"Timestamp"` // milliseconds
	CloudWatchMetrics []directive `json:"CloudWatchMetrics"`
}

type directive struct {
	Namespace  string       `json:"Namespace"`
	Dimensions [][]string   `json:"Dimensions"`
	Metrics    []definition `json:"Metrics"`
}

type definition struct {
	Name string `json:"Name"`
	Unit Unit   `json:"Unit"`
}

// Write writes a run's line. It is one write, so that lines of others cannot
// come between.
func Write(w io.Writer, r Run, now time.Time) error {
	d := directive{Namespace: Namespace, Dimensions: [][]string{{"mesh", "function"}}}
	line := map[string]any{"mesh": r.Answer.Mesh, "function": r.Answer.Function}
	for _, v := range r.values() {
		d.Metrics = append(d.Metrics, definition{v.name, v.unit})
		line[v.name] = v.v
	}
	line["_aws"] = metadata{now.UnixMilli(), []directive{d}}
	if r.RunID != "" {
		line["runId"] = r.RunID
	}
	if r.Answer.Skipped != "" {
		line["skipped"] = r.Answer.Skipped
	}
	b, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encoding the metrics of %s: %w", r.Answer.Function, err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("writing the metrics of %s: %w", r.Answer.Function, err)
	}
	return nil
}
