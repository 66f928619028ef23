package peersync_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"peerkeeper/shared/clustersim"
)

// later is a network in which every node of one cluster asks to be asked again in
// three years.
type later struct {
	next http.RoundTripper
	of   map[string]bool // addresses, once it begins
}

func (l later) RoundTrip(r *http.Request) (*http.Response, error) {
	if !l.of[r.URL.Host] {
		return l.next.RoundTrip(r)
	}
	return &http.Response{
		Status: "503 Service Unavailable", StatusCode: http.StatusServiceUnavailable, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Retry-After": {"99999999"}}, Body: io.NopCloser(strings.NewReader("")), Request: r,
	}, nil
}

// A node that asks for a wait of years costs its own cluster's 45 s at most, all
// that is read of it included, and no other cluster anything.
func TestARetryAfterOfYearsStaysWithinTheClustersOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, clustersim.Config{Clusters: 3, Users: 15})
		network := later{w.Transport, map[string]bool{}}
		w.Transport, w.Backoff = network, 0 // the waits are those of a real run
		w.tick()
		w.Pass(35 * time.Minute) // the digests of users are due too
		apac, _ := w.Mesh.Cluster("apac")
		for _, n := range apac.Nodes {
			network.of[n.Address] = true
		}
		network.of[apac.CUCM.Address] = true
		begun := time.Now()
		a := w.tick()
		if took := time.Since(begun); took > 45*time.Second {
			t.Errorf("the tick took %s", took)
		}
		if a.Clusters.Observed != 2 || a.Clusters.Unreachable+a.Clusters.Partial != 1 {
			t.Errorf("%+v", a.Clusters)
		}
	})
}
