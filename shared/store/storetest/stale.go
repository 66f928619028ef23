package storetest

import (
	"context"
	"slices"
	"strings"
	"sync"

	"peerkeeper/shared/store"
)

// Stale wraps a store so that Load gives a partition as it was before the last
// lag calls, counting the loads, puts and deletes of that partition through
// the wrapper; the other reads stay consistent. That is what DynamoDB's eventually
// consistent reads may do: a writer that acts on what it loaded acts on the
// past. Loading often enough catches up. A lag of 0 is no lag.
func Stale(s store.Store, lag int) store.Store {
	return &stale{Store: s, lag: lag, past: map[string][][]store.Item{}}
}

type stale struct {
	store.Store
	lag int

	mu   sync.Mutex
	past map[string][][]store.Item // partition -> its last states, oldest first
}

// remember adds the partition's state of now. The caller holds mu.
func (s *stale) remember(ctx context.Context, pk string) error {
	items, err := s.Store.Load(ctx, pk, "")
	if err != nil {
		return err
	}
	past := append(s.past[pk], items)
	s.past[pk] = past[max(0, len(past)-s.lag-1):]
	return nil
}

// around remembers the partitions before they are first written and after. An
// error in remembering only makes the memory shorter.
func (s *stale) around(ctx context.Context, pks []string, write func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(pks)
	pks = slices.Compact(pks)
	for _, pk := range pks {
		if len(s.past[pk]) == 0 {
			_ = s.remember(ctx, pk)
		}
	}
	err := write()
	for _, pk := range pks {
		_ = s.remember(ctx, pk)
	}
	return err
}

func (s *stale) Load(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.past[pk]
	if err := s.remember(ctx, pk); err != nil {
		return nil, err
	}
	if s.lag == 0 || len(before) == 0 {
		before = s.past[pk]
	}
	var out []store.Item
	for _, it := range before[0] {
		if strings.HasPrefix(it.SK, prefix) {
			it.Body = slices.Clone(it.Body)
			out = append(out, it)
		}
	}
	return out, nil
}

func (s *stale) Put(ctx context.Context, items ...store.Item) error {
	var pks []string
	for _, it := range items {
		pks = append(pks, it.PK)
	}
	return s.around(ctx, pks, func() error { return s.Store.Put(ctx, items...) })
}

func (s *stale) Delete(ctx context.Context, k store.Key, version int64) error {
	return s.around(ctx, []string{k.PK}, func() error { return s.Store.Delete(ctx, k, version) })
}
