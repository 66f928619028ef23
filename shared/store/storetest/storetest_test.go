package storetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/store"
)

// A defect wraps a good store and breaks one promise. The suite must name the
// case that the promise belongs to.
type defect struct {
	name   string
	caught string // a case that must fail
	wrap   func(m *Memory) store.Store
}

// broken overrides single methods of a store.
type broken struct {
	store.Store
	get   func(ctx context.Context, k store.Key) (store.Item, error)
	many  func(ctx context.Context, keys ...store.Key) (map[store.Key]store.Item, error)
	load  func(ctx context.Context, pk, prefix string) ([]store.Item, error)
	now   func(ctx context.Context, pk, prefix string) ([]store.Item, error)
	heads func(ctx context.Context, pk, prefix string) ([]store.Item, error)
	put   func(ctx context.Context, items ...store.Item) error
	del   func(ctx context.Context, k store.Key, version int64) error
}

func (b broken) GetMany(ctx context.Context, keys ...store.Key) (map[store.Key]store.Item, error) {
	if b.many != nil {
		return b.many(ctx, keys...)
	}
	return b.Store.GetMany(ctx, keys...)
}

func (b broken) LoadNow(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	if b.now != nil {
		return b.now(ctx, pk, prefix)
	}
	return b.Store.LoadNow(ctx, pk, prefix)
}

func (b broken) Heads(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	if b.heads != nil {
		return b.heads(ctx, pk, prefix)
	}
	return b.Store.Heads(ctx, pk, prefix)
}

func (b broken) Get(ctx context.Context, k store.Key) (store.Item, error) {
	if b.get != nil {
		return b.get(ctx, k)
	}
	return b.Store.Get(ctx, k)
}

func (b broken) Load(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	if b.load != nil {
		return b.load(ctx, pk, prefix)
	}
	return b.Store.Load(ctx, pk, prefix)
}

func (b broken) Put(ctx context.Context, items ...store.Item) error {
	if b.put != nil {
		return b.put(ctx, items...)
	}
	return b.Store.Put(ctx, items...)
}

func (b broken) Delete(ctx context.Context, k store.Key, version int64) error {
	if b.del != nil {
		return b.del(ctx, k, version)
	}
	return b.Store.Delete(ctx, k, version)
}

// lastWriterWins writes whatever the stored version is.
func lastWriterWins(m *Memory) func(context.Context, ...store.Item) error {
	return func(ctx context.Context, items ...store.Item) error {
		var errs []error
		for _, it := range items {
			old, err := m.Get(ctx, it.Key)
			if err == nil {
				it.Version = old.Version
			}
			errs = append(errs, m.Put(ctx, it))
		}
		return errors.Join(errs...)
	}
}

func defects() []defect {
	return []defect{
		{"no condition", "a late writer learns that it was late", func(m *Memory) store.Store {
			return broken{Store: m, put: lastWriterWins(m)}
		}},
		{"no condition on creation", "of writers that race to create one wins", func(m *Memory) store.Store {
			return broken{Store: m, put: func(ctx context.Context, items ...store.Item) error {
				if len(items) == 1 && items[0].Version == 0 {
					return lastWriterWins(m)(ctx, items...)
				}
				return m.Put(ctx, items...)
			}}
		}},
		{"all or nothing", "one conflict leaves the other items written", func(m *Memory) store.Store {
			return broken{Store: m, put: func(ctx context.Context, items ...store.Item) error {
				for _, it := range items {
					if old, _ := m.Get(ctx, it.Key); old.Version != it.Version {
						return store.RefuseAll(items, store.ErrConflict)
					}
				}
				return m.Put(ctx, items...)
			}}
		}},
		{"conflict in silence", "version 0 means must not exist yet", func(m *Memory) store.Store {
			return broken{Store: m, put: func(ctx context.Context, items ...store.Item) error {
				_ = m.Put(ctx, items...)
				return nil
			}}
		}},
		{"conflict without the item's name", "one conflict leaves the other items written", func(m *Memory) store.Store {
			return broken{Store: m, put: func(ctx context.Context, items ...store.Item) error {
				if err := m.Put(ctx, items...); errors.Is(err, store.ErrConflict) {
					return store.ErrConflict
				} else if err != nil {
					return err
				}
				return nil
			}}
		}},
		{"loads in no order", "a load is in the order of the sort keys", func(m *Memory) store.Store {
			return broken{Store: m, load: func(ctx context.Context, pk, prefix string) ([]store.Item, error) {
				items, err := m.Load(ctx, pk, prefix)
				for i := range len(items) / 2 {
					items[i], items[len(items)-1-i] = items[len(items)-1-i], items[i]
				}
				return items, err
			}}
		}},
		{"ignores the prefix", "a load keeps to its prefix and partition", func(m *Memory) store.Store {
			return broken{Store: m, load: func(ctx context.Context, pk, _ string) ([]store.Item, error) {
				return m.Load(ctx, pk, "")
			}}
		}},
		{"gives the first page only", "a load of many large items is whole", func(m *Memory) store.Store {
			return broken{Store: m, load: func(ctx context.Context, pk, prefix string) ([]store.Item, error) {
				items, err := m.Load(ctx, pk, prefix)
				size := 0
				for i, it := range items {
					if size += len(it.Body); size > 1<<20 {
						return items[:i], err
					}
				}
				return items, err
			}}
		}},
		{"shares its bytes", "bytes given and returned are nobody else's", func(m *Memory) store.Store {
			var mu sync.Mutex
			cache := map[store.Key]store.Item{}
			return broken{Store: m, get: func(ctx context.Context, k store.Key) (store.Item, error) {
				it, err := m.Get(ctx, k)
				mu.Lock()
				defer mu.Unlock()
				if had, ok := cache[k]; ok && had.Version == it.Version {
					return had, err
				}
				cache[k] = it
				return it, err
			}}
		}},
		{"deletes whatever the version", "delete is conditional", func(m *Memory) store.Store {
			return broken{Store: m, del: func(ctx context.Context, k store.Key, version int64) error {
				it, err := m.Get(ctx, k)
				if err != nil {
					return err
				}
				return m.Delete(ctx, k, it.Version)
			}}
		}},
		{"never expires", "an expired item is hidden and may begin again", func(m *Memory) store.Store {
			return broken{Store: m, put: func(ctx context.Context, items ...store.Item) error {
				for i := range items {
					items[i].TTL = items[i].TTL.AddDate(100, 0, 0)
				}
				return m.Put(ctx, items...)
			}}
		}},
		{"takes what DynamoDB would not", "an item beyond DynamoDB's 400 KB is refused by name", func(m *Memory) store.Store {
			return broken{Store: m, put: func(ctx context.Context, items ...store.Item) error {
				for i := range items {
					items[i].Body = items[i].Body[:min(len(items[i].Body), 1000)]
				}
				return m.Put(ctx, items...)
			}}
		}},
		{"absent is empty", "an item that is not there", func(m *Memory) store.Store {
			return broken{Store: m, get: func(ctx context.Context, k store.Key) (store.Item, error) {
				it, err := m.Get(ctx, k)
				if errors.Is(err, store.ErrNotFound) {
					return store.Item{Key: k}, nil
				}
				return it, err
			}}
		}},
		{"reads the first batch only", "many items are read at once", func(m *Memory) store.Store {
			return broken{Store: m, many: func(ctx context.Context, keys ...store.Key) (map[store.Key]store.Item, error) {
				return m.GetMany(ctx, keys[:min(len(keys), 100)]...)
			}}
		}},
		{"of many, what is absent is empty", "many items are read at once", func(m *Memory) store.Store {
			return broken{Store: m, many: func(ctx context.Context, keys ...store.Key) (map[store.Key]store.Item, error) {
				items, err := m.GetMany(ctx, keys...)
				for _, k := range keys {
					if _, ok := items[k]; !ok && err == nil {
						items[k] = store.Item{Key: k}
					}
				}
				return items, err
			}}
		}},
		{"keeps what it read of many", "many items are read at once", func(m *Memory) store.Store {
			cache := map[store.Key]store.Item{}
			return broken{Store: m, many: func(ctx context.Context, keys ...store.Key) (map[store.Key]store.Item, error) {
				items, err := m.GetMany(ctx, keys...)
				for k := range items {
					if _, ok := cache[k]; ok {
						items[k] = cache[k]
					}
					cache[k] = items[k]
				}
				return items, err
			}}
		}},
		{"gives one answer's worth of bytes", "many of the largest items are read at once", func(m *Memory) store.Store {
			return broken{Store: m, many: func(ctx context.Context, keys ...store.Key) (map[store.Key]store.Item, error) {
				items, err := m.GetMany(ctx, keys...)
				size := 0
				for k, it := range items {
					if size += len(it.Body); size > 16<<20 {
						delete(items, k)
					}
				}
				return items, err
			}}
		}},
		{"now ignores the prefix", "a load keeps to its prefix and partition", func(m *Memory) store.Store {
			return broken{Store: m, now: func(ctx context.Context, pk, _ string) ([]store.Item, error) {
				return m.LoadNow(ctx, pk, "")
			}}
		}},
		{"heads with what stands below them", "heads come without what stands below them", func(m *Memory) store.Store {
			return broken{Store: m, heads: m.Load}
		}},
		{"stops at what stands below the first head", "heads come without what stands below them", func(m *Memory) store.Store {
			return broken{Store: m, heads: func(ctx context.Context, pk, prefix string) ([]store.Item, error) {
				items, err := m.Heads(ctx, pk, prefix)
				return items[:min(len(items), 1)], err
			}}
		}},
		{"now is late", "an item comes back as it was written", func(m *Memory) store.Store {
			late := Stale(m, 1)
			return broken{Store: late, load: m.Load, now: late.Load}
		}},
		{"reads late", "an item comes back as it was written", func(m *Memory) store.Store {
			return Stale(m, 1)
		}},
		{"goes on after its context has ended", "a call whose context has ended changes nothing", func(m *Memory) store.Store {
			return broken{Store: m, put: func(ctx context.Context, items ...store.Item) error {
				return m.Put(context.WithoutCancel(ctx), items...)
			}}
		}},
	}
}

const defectVariable = "PEERKEEPER_STORETEST_DEFECT"

// TestDefect runs the suite on one broken store, in the process that
// TestTheSuiteCatches starts.
func TestDefect(t *testing.T) {
	want := os.Getenv(defectVariable)
	for _, d := range defects() {
		if d.name == want {
			Run(t, func(*testing.T) store.Store { m := NewMemory(); m.Now = time.Now; return d.wrap(m) })
		}
	}
}

func TestTheSuiteCatches(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(defects(), defect{name: "none"}) {
		t.Run(d.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestDefect$")
			cmd.Env = append(os.Environ(), defectVariable+"="+d.name)
			out, err := cmd.CombinedOutput()
			if d.caught == "" {
				if err != nil {
					t.Errorf("without a defect: %v\n%s", err, out)
				}
				return
			}
			if line := "--- FAIL: TestDefect/" + strings.ReplaceAll(d.caught, " ", "_"); err == nil || !bytes.Contains(out, []byte(line)) {
				t.Errorf("the suite did not fail %q: %v\n%s", d.caught, err, out)
			}
		})
	}
}

func TestStale(t *testing.T) {
	for _, lag := range []int{0, 1, 3} {
		m := NewMemory()
		s := Stale(m, lag)
		k := key("acme#live", "CLUSTER#emea")
		for v := range int64(6) {
			if err := s.Put(t.Context(), store.Item{Key: k, Version: v}); err != nil {
				t.Fatal(err)
			}
		}
		if it, err := s.Get(t.Context(), k); err != nil || it.Version != 6 {
			t.Errorf("lag %d: Get is not consistent: version %d, %v", lag, it.Version, err)
		}
		if items, err := s.GetMany(t.Context(), k); err != nil || items[k].Version != 6 {
			t.Errorf("lag %d: GetMany is not consistent: %v, %v", lag, items, err)
		}
		if items, err := s.LoadNow(t.Context(), k.PK, "CLUSTER#"); err != nil || len(items) != 1 || items[0].Version != 6 {
			t.Errorf("lag %d: LoadNow is not consistent: %v, %v", lag, items, err)
		}
		var seen []int64
		for range 5 {
			items, err := s.Load(t.Context(), k.PK, "CLUSTER#")
			if err != nil || len(items) != 1 {
				t.Fatal(items, err)
			}
			seen = append(seen, items[0].Version)
		}
		want := map[int][]int64{0: {6, 6, 6, 6, 6}, 1: {5, 6, 6, 6, 6}, 3: {3, 4, 5, 6, 6}}[lag]
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("lag %d: versions seen (-want +got):\n%s", lag, diff)
		}
	}
	// The first load after the first write does not see it.
	s := Stale(NewMemory(), 2)
	if err := s.Put(t.Context(), item("GATE", "x")); err != nil {
		t.Fatal(err)
	}
	if items, err := s.Load(t.Context(), "acme#live", ""); err != nil || len(items) != 0 {
		t.Errorf("a stale load saw %d items, %v", len(items), err)
	}
}
