package host

import (
	"context"
	"time"

	"peerkeeper/shared/mesh"
)

// Clock is the time that a host lives in. It may run faster than the wall's,
// or stand still until somebody moves it.
type Clock interface {
	Now() time.Time
	// Until waits until the clock shows t, or the context ends.
	Until(ctx context.Context, t time.Time) error
}

// Wall is the clock on the wall.
type Wall struct{}

// Now is the wall's time.
func (Wall) Now() time.Time { return time.Now() }

// Until waits for an instant.
func (Wall) Until(ctx context.Context, t time.Time) error {
	return waitFor(ctx, time.Until(t))
}

// Fast is the clock of a simulated mesh, which every process that has its
// mesh.yaml computes alike.
type Fast struct{ mesh.Clock }

// Now is the mesh's time.
func (f Fast) Now() time.Time { return f.At(time.Now()) }

// Until waits for an instant of the mesh's time.
func (f Fast) Until(ctx context.Context, t time.Time) error {
	return waitFor(ctx, time.Duration(float64(t.Sub(f.Now()))/f.Rate))
}

func waitFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
