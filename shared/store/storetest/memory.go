package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"peerkeeper/shared/store"
)

// Memory is a store for the tests of packages that use one: it ends with them, and can
// be made to fail at any call.
type Memory struct {
	// Now is the clock that expires items; nil means that none expires, so that a
	// test whose days are written down does not fail when they are over. Set it before
	// the first use.
	Now func() time.Time
	// Fail, if set, may make a call fail. op is "get", "load", "put" or
	// "delete", asked before anything happens, or "written" or "deleted",
	// asked when the change is already made: an error then is an answer that
	// got lost. For a load the key holds the partition and the prefix; of many
	// items "get" is asked for each. It may be called from several goroutines at
	// once. Set it before the first use.
	Fail func(op string, key store.Key) error

	mu         sync.Mutex
	partitions map[string]map[string]store.Item
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{} }

func (m *Memory) fail(ctx context.Context, op string, key store.Key) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if m.Fail != nil {
		return m.Fail(op, key)
	}
	return nil
}

// get is the item if it is there and not expired. The caller holds mu.
func (m *Memory) get(key store.Key) (store.Item, bool) {
	it, ok := m.partitions[key.PK][key.SK]
	if !ok {
		return store.Item{}, false
	}
	if m.Now != nil && store.Expired(it.TTL, m.Now()) {
		delete(m.partitions[key.PK], key.SK)
		return store.Item{}, false
	}
	it.Body = slices.Clone(it.Body)
	return it, true
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key store.Key) (store.Item, error) {
	if err := errors.Join(store.CheckKey(key), m.fail(ctx, "get", key)); err != nil {
		return store.Item{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	it, ok := m.get(key)
	if !ok {
		return store.Item{}, store.ErrNotFound
	}
	return it, nil
}

// GetMany implements Store.
func (m *Memory) GetMany(ctx context.Context, keys ...store.Key) (map[store.Key]store.Item, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for _, key := range keys {
		if err := errors.Join(store.CheckKey(key), m.fail(ctx, "get", key)); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[store.Key]store.Item, len(keys))
	for _, key := range keys {
		if it, ok := m.get(key); ok {
			out[key] = it
		}
	}
	return out, nil
}

// LoadNow implements Store: nothing here is ever behind.
func (m *Memory) LoadNow(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	return m.Load(ctx, pk, prefix)
}

// Load implements Store.
func (m *Memory) Load(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	if err := m.fail(ctx, "load", store.Key{PK: pk, SK: prefix}); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []store.Item
	for sk := range m.partitions[pk] {
		if !strings.HasPrefix(sk, prefix) {
			continue
		}
		if it, ok := m.get(store.Key{PK: pk, SK: sk}); ok {
			out = append(out, it)
		}
	}
	slices.SortFunc(out, func(a, b store.Item) int { return strings.Compare(a.SK, b.SK) })
	return out, nil
}

// Heads implements Store.
func (m *Memory) Heads(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	if err := store.HeadPrefix(prefix); err != nil {
		return nil, err
	}
	items, err := m.Load(ctx, pk, prefix)
	return slices.DeleteFunc(items, func(it store.Item) bool {
		_, is := store.Head(it.SK, prefix)
		return !is
	}), err
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, items ...store.Item) error {
	var errs []error
	for _, it := range items {
		if err := m.put(ctx, it); err != nil {
			errs = append(errs, &store.PutError{Key: it.Key, Cause: err})
		}
	}
	return errors.Join(errs...)
}

func (m *Memory) put(ctx context.Context, it store.Item) error {
	if err := store.Check(it); err != nil {
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

func (m *Memory) write(it store.Item) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, _ := m.get(it.Key); old.Version != it.Version {
		return store.ErrConflict
	}
	it.Version++
	it.TTL = store.WholeSeconds(it.TTL)
	it.Body = slices.Clone(it.Body)
	if m.partitions == nil {
		m.partitions = map[string]map[string]store.Item{}
	}
	if m.partitions[it.PK] == nil {
		m.partitions[it.PK] = map[string]store.Item{}
	}
	m.partitions[it.PK][it.SK] = it
	return nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key store.Key, version int64) error {
	if err := errors.Join(store.CheckKey(key), m.fail(ctx, "delete", key)); err != nil {
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

func (m *Memory) remove(key store.Key, version int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.get(key)
	switch {
	case !ok:
		return store.ErrNotFound
	case old.Version != version:
		return store.ErrConflict
	}
	delete(m.partitions[key.PK], key.SK)
	return nil
}
