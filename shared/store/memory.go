package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a Store that ends with the process: for tests, the demo and chaos
// runs.
type Memory struct {
	// Now is the clock that expires items; nil means time.Now. Set it before
	// the first use.
	Now func() time.Time
	// Fail, if set, may make a call fail. op is "get", "load", "put" or
	// "delete", asked before anything happens, or "written" or "deleted",
	// asked when the change is already made: an error then is an answer that
	// got lost. For a load the key holds the partition and the prefix; of many
	// items "get" is asked for each. It may be called from several goroutines at
	// once. Set it before the first use.
	Fail func(op string, key Key) error

	mu         sync.Mutex
	partitions map[string]map[string]Item
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{} }

func (m *Memory) fail(ctx context.Context, op string, key Key) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if m.Fail != nil {
		return m.Fail(op, key)
	}
	return nil
}

// get is the item if it is there and not expired. The caller holds mu.
func (m *Memory) get(key Key) (Item, bool) {
	it, ok := m.partitions[key.PK][key.SK]
	if !ok {
		return Item{}, false
	}
	now := time.Now
	if m.Now != nil {
		now = m.Now
	}
	if Expired(it.TTL, now()) {
		delete(m.partitions[key.PK], key.SK)
		return Item{}, false
	}
	it.Body = slices.Clone(it.Body)
	return it, true
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key Key) (Item, error) {
	if err := errors.Join(CheckKey(key), m.fail(ctx, "get", key)); err != nil {
		return Item{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	it, ok := m.get(key)
	if !ok {
		return Item{}, ErrNotFound
	}
	return it, nil
}

// GetMany implements Store.
func (m *Memory) GetMany(ctx context.Context, keys ...Key) (map[Key]Item, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for _, key := range keys {
		if err := errors.Join(CheckKey(key), m.fail(ctx, "get", key)); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[Key]Item, len(keys))
	for _, key := range keys {
		if it, ok := m.get(key); ok {
			out[key] = it
		}
	}
	return out, nil
}

// LoadNow implements Store: nothing here is ever behind.
func (m *Memory) LoadNow(ctx context.Context, pk, prefix string) ([]Item, error) {
	return m.Load(ctx, pk, prefix)
}

// Load implements Store.
func (m *Memory) Load(ctx context.Context, pk, prefix string) ([]Item, error) {
	if err := m.fail(ctx, "load", Key{pk, prefix}); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Item
	for sk := range m.partitions[pk] {
		if !strings.HasPrefix(sk, prefix) {
			continue
		}
		if it, ok := m.get(Key{pk, sk}); ok {
			out = append(out, it)
		}
	}
	slices.SortFunc(out, func(a, b Item) int { return strings.Compare(a.SK, b.SK) })
	return out, nil
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, items ...Item) error {
	var errs []error
	for _, it := range items {
		if err := m.put(ctx, it); err != nil {
			errs = append(errs, &PutError{Key: it.Key, Cause: err})
		}
	}
	return errors.Join(errs...)
}

func (m *Memory) put(ctx context.Context, it Item) error {
	if err := Check(it); err != nil {
		return err
	}
	if err := m.fail(ctx, "put", it.Key); err != nil {
		return err
	}
	if err := m.write(it); err != nil {
		return err
	}
	if m.Fail != nil {
		return m.Fail("written", it.Key)
	}
	return nil
}

func (m *Memory) write(it Item) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, _ := m.get(it.Key); old.Version != it.Version {
		return ErrConflict
	}
	it.Version++
	it.TTL = WholeSeconds(it.TTL)
	it.Body = slices.Clone(it.Body)
	if m.partitions == nil {
		m.partitions = map[string]map[string]Item{}
	}
	if m.partitions[it.PK] == nil {
		m.partitions[it.PK] = map[string]Item{}
	}
	m.partitions[it.PK][it.SK] = it
	return nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key Key, version int64) error {
	if err := errors.Join(CheckKey(key), m.fail(ctx, "delete", key)); err != nil {
		return err
	}
	if err := m.remove(key, version); err != nil {
		return err
	}
	if m.Fail != nil {
		return m.Fail("deleted", key)
	}
	return nil
}

func (m *Memory) remove(key Key, version int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.get(key)
	switch {
	case !ok:
		return ErrNotFound
	case old.Version != version:
		return ErrConflict
	}
	delete(m.partitions[key.PK], key.SK)
	return nil
}
