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

// Value is one figure of a run.
type Value struct {
	Name  string
	Unit  Unit
	Value float64
}

// Run is what one run amounted to.
type Run struct {
	Mesh, Function string
	Took           time.Duration
	// Skipped is why it was not carried out; "" if it was. Failed says that it
	// ended in an error.
	Skipped string
	Failed  bool
	// Counts are written of a completed run only: otherwise there are none, and 0
	// would be a lie.
	Counts []Value
	// Requests to clusters; nil if the function sends none.
	Requests *int64
	// ReadUnits and WriteUnits are DynamoDB's capacity units.
	ReadUnits, WriteUnits float64
	// RunID is the Lambda request id; a property, never a dimension.
	RunID string
}

func (r Run) values() []Value {
	completed := !r.Failed && r.Skipped == ""
	out := []Value{{RunCompleted, Count, 0}, {DurationMs, Milliseconds, float64(r.Took.Milliseconds())}}
	if completed {
		out[0].Value = 1
		out = append(out, r.Counts...)
	}
	if r.Requests != nil {
		out = append(out, Value{Requests, Count, float64(*r.Requests)})
	}
	return append(out, Value{ReadUnits, Count, r.ReadUnits}, Value{WriteUnits, Count, r.WriteUnits})
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
	line := map[string]any{"mesh": r.Mesh, "function": r.Function}
	for _, v := range r.values() {
		d.Metrics = append(d.Metrics, definition{v.Name, v.Unit})
		line[v.Name] = v.Value
	}
	line["_aws"] = metadata{now.UnixMilli(), []directive{d}}
	if r.RunID != "" {
		line["runId"] = r.RunID
	}
	if r.Skipped != "" {
		line["skipped"] = r.Skipped
	}
	b, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encoding the metrics of %s: %w", r.Function, err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("writing the metrics of %s: %w", r.Function, err)
	}
	return nil
}
