package demo

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Stepped is a host's clock that stands still until it is set.
type Stepped struct {
	mu  sync.Mutex
	now time.Time
}

// NewStepped is a clock that shows an instant.
func NewStepped(at time.Time) *Stepped { return &Stepped{now: at} }

// Now is the instant last set.
func (s *Stepped) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Set moves the clock. It never moves it back.
func (s *Stepped) Set(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.After(s.now) {
		s.now = t
	}
}

// Until never waits: what moves the clock runs what is due.
func (s *Stepped) Until(context.Context, time.Time) error {
	return errors.New("this clock is moved by hand")
}
