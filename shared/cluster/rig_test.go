package cluster_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// rig is a simulated mesh and a connector that knows it by its files only.
type rig struct {
	*simtest.Rig
	*cluster.Connector
	t    *testing.T
	prev map[mesh.ClusterID]peer.Observation
}

func newRig(t *testing.T, cfg clustersim.Config, sockets bool) *rig {
	t.Helper()
	r := simtest.New(t, simtest.Start(), cfg, sockets)
	return &rig{r, r.Connector(), t, map[mesh.ClusterID]peer.Observation{}}
}

func (r *rig) client(id mesh.ClusterID) *cluster.Client {
	r.t.Helper()
	c, _ := r.Mesh.Cluster(id)
	client, err := r.Open(r.t.Context(), c, nil, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return client
}

// look observes a cluster once and lays it over the looks before.
func (r *rig) look(id mesh.ClusterID) peer.Observation {
	r.t.Helper()
	o := r.client(id).Observe(r.t.Context(), r.prev[id], r.Clock.Now())
	c, _ := r.Mesh.Cluster(id)
	r.prev[id] = peer.Advance(peer.ClusterRecord{Seen: r.prev[id]}, o, c).Seen
	return o
}

func pubOf(id mesh.ClusterID) mesh.NodeName {
	return mesh.NodeName("imp-" + string(id) + "-pub.example.com")
}
func subOf(id mesh.ClusterID) mesh.NodeName {
	return mesh.NodeName("imp-" + string(id) + "-sub.example.com")
}

func has(s, part string) bool { return strings.Contains(s, part) }

// instead answers what is asked in these words in the place of the cluster.
type instead struct {
	next   http.RoundTripper
	words  string
	status int
	body   string
}

func (i instead) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(body, []byte(i.words)) {
		return &http.Response{StatusCode: i.status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(i.body)), Request: req}, nil
	}
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(body))
	return i.next.RoundTrip(req)
}
