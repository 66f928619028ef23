package metric_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/metric"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
)

func runs() map[string]metric.Run {
	requests := int64(27)
	looked := run.Answer{
		Clusters: run.Clusters{Observed: 2, Partial: 1},
		Peers:    map[peer.State]int{peer.Healthy: 4, peer.Stuck: 1, peer.Suspect: 1, peer.Terminated: 2},
	}
	cert := run.Answer{Clusters: run.Clusters{Observed: 3}, Peers: map[peer.State]int{}}
	return map[string]metric.Run{
		"completed": {Mesh: "acme", Function: "peersync", Took: 812 * time.Millisecond, Counts: looked.Summary().Counts, Requests: &requests, ReadUnits: 4.5, WriteUnits: 12, RunID: "1-2-3"},
		"nopeers":   {Mesh: "acme", Function: "certcheck", Took: 1500 * time.Millisecond, Counts: cert.Summary().Counts, ReadUnits: 4.5, WriteUnits: 3, RunID: "1-2-4"},
		"skipped":   {Mesh: "acme", Function: "stucksync", Took: 9 * time.Millisecond, Skipped: "the run of 12:00 completed", Counts: looked.Summary().Counts, ReadUnits: 1, RunID: "1-2-5"},
		"failed":    {Mesh: "acme", Function: "peersync", Took: 30 * time.Millisecond, Counts: looked.Summary().Counts, Failed: true, RunID: "1-2-6"},
	}
}

func TestGolden(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC)
	for name, r := range runs() {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := metric.Write(&got, r, now); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile("testdata/" + name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkEMF(t, got.Bytes())
		})
	}
}

// checkEMF is the schema of the format: what CloudWatch would not make a
// metric of, it drops without a word.
func checkEMF(t *testing.T, line []byte) {
	t.Helper()
	if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
		t.Error("not one line")
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(line, &doc); err != nil {
		t.Fatal(err)
	}
	var aws struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	}
	dec := json.NewDecoder(bytes.NewReader(doc["_aws"]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&aws); err != nil {
		t.Fatal(err)
	}
	if aws.Timestamp < 1e12 || aws.Timestamp > 1e13 {
		t.Errorf("timestamp %d is not in milliseconds", aws.Timestamp)
	}
	if len(aws.CloudWatchMetrics) != 1 || aws.CloudWatchMetrics[0].Namespace != "Peerkeeper" {
		t.Fatalf("directives %+v", aws.CloudWatchMetrics)
	}
	d := aws.CloudWatchMetrics[0]
	if diff := cmp.Diff([][]string{{"mesh", "function"}}, d.Dimensions); diff != "" {
		t.Errorf("dimensions cost money (-want +got):\n%s", diff)
	}
	for _, dim := range d.Dimensions[0] {
		var s string
		if json.Unmarshal(doc[dim], &s) != nil || s == "" {
			t.Errorf("dimension %s has no value", dim)
		}
	}
	if len(d.Metrics) > 100 {
		t.Error("more than 100 metrics in one line")
	}
	for _, m := range d.Metrics {
		var v float64
		if err := json.Unmarshal(doc[m.Name], &v); err != nil {
			t.Errorf("metric %s has no value: %v", m.Name, err)
		}
		if !slices.Contains([]string{"Count", "Milliseconds"}, m.Unit) {
			t.Errorf("metric %s has unit %s", m.Name, m.Unit)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

var errFull = errors.New("full")

func TestALineThatCannotBeWritten(t *testing.T) {
	if err := metric.Write(full{}, runs()["completed"], time.Now()); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}
