package clustersim

import (
	"errors"
	"fmt"
	"time"
)

// Change is what a scenario does to one cluster: a Peers, a Users, a Nodes and
// so on, one type in each of change_*.go. What a change leaves out, its zero
// fields and nil pointers, stays as it is.
type Change interface {
	apply(s *Sim, c *cluster, now time.Time) error
}

// Change makes changes to a cluster, in their order, up to the first that is
// refused. What is due by now is done first.
func (s *Sim) Change(cluster string, changes ...Change) error {
	return s.locked(func(now time.Time) error {
		c := s.cluster(cluster)
		if c == nil {
			return notInMesh(cluster)
		}
		for _, change := range changes {
			s.log("%s: changed: %T", cluster, change)
			if err := change.apply(s, c, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// locked does something to the mesh when what is due by now has been done.
func (s *Sim) locked(do func(now time.Time) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("the simulation is closed: %w", errSimulator)
	}
	now := s.now()
	s.step(now)
	return do(now)
}

// refusal is a change that cannot be made: what is wrong with which field, by
// its name in JSON.
type refusal struct{ text string }

func (e *refusal) Error() string { return e.text }

func wrong(field, format string, args ...any) error {
	return &refusal{field + ": " + fmt.Sprintf(format, args...)}
}

func notInMesh(cluster string) error { return wrong("cluster", "%q is not in this mesh", cluster) }

// errSimulator marks failures that are not the caller's.
var errSimulator = errors.New("the simulator failed")

func simulatorError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errSimulator, err)
}

// nodeField finds a node of the cluster by name.
func (c *cluster) nodeField(name string) (*node, error) {
	if n := c.node(name); n != nil {
		return n, nil
	}
	return nil, wrong("node", "%q is not a node of %s", name, c.id)
}
