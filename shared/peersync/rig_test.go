package peersync_test

import (
	"testing"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
)

// rig is a simulated mesh and a connector that knows it by its files only.
type rig struct {
	*simtest.Rig
	*cluster.Connector
	t *testing.T
}

func newRig(t *testing.T, cfg clustersim.Config, sockets bool) *rig {
	t.Helper()
	r := simtest.New(t, simtest.Start(), cfg, sockets)
	return &rig{r, r.Connector(), t}
}
