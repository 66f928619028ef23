package host_test

import (
	"context"
	"errors"
	"time"

	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/host"
	"peerkeeper/shared/operator"
)

// person decides and asks at a host's mesh.
func person(h *host.Host) *operator.Operator {
	return &operator.Operator{Mesh: h.Mesh, Store: h.Store, Now: h.Clock.Now, Actor: "jdoe"}
}

// byHand is the simulator's clock, on which nothing waits.
type byHand struct{ *simtest.Clock }

func (byHand) Until(context.Context, time.Time) error {
	return errors.New("this clock is moved by hand")
}
