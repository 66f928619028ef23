package storetest_test

import (
	"errors"
	"testing"
	"time"

	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { m := storetest.NewMemory(); m.Now = time.Now; return m })
}

func TestMemoryFaults(t *testing.T) {
	boom := errors.New("throttled")
	key := store.Key{PK: "acme#live", SK: "CLUSTER#emea"}
	for _, c := range []struct {
		op      string
		call    func(s store.Store) error
		written bool // the item of the put, or its deletion, took effect
	}{
		{"get", func(s store.Store) error { _, err := s.Get(t.Context(), key); return err }, false},
		{"get", func(s store.Store) error {
			_, err := s.GetMany(t.Context(), store.Key{PK: "other", SK: "GATE"}, key)
			return err
		}, false},
		{"load", func(s store.Store) error { _, err := s.LoadNow(t.Context(), key.PK, ""); return err }, false},
		{"load", func(s store.Store) error { _, err := s.Load(t.Context(), key.PK, ""); return err }, false},
		{"put", func(s store.Store) error { return s.Put(t.Context(), store.Item{Key: key, Version: 1}) }, false},
		{"written", func(s store.Store) error { return s.Put(t.Context(), store.Item{Key: key, Version: 1}) }, true},
		{"delete", func(s store.Store) error { return s.Delete(t.Context(), key, 1) }, false},
		{"deleted", func(s store.Store) error { return s.Delete(t.Context(), key, 1) }, true},
	} {
		t.Run(c.op, func(t *testing.T) {
			m := storetest.NewMemory()
			if err := m.Put(t.Context(), store.Item{Key: key}); err != nil {
				t.Fatal(err)
			}
			m.Fail = func(op string, k store.Key) error {
				if op == c.op && k.PK == key.PK {
					return boom
				}
				return nil
			}
			if err := c.call(m); !errors.Is(err, boom) {
				t.Errorf("error %v, want the fault", err)
			}
			m.Fail = nil
			it, err := m.Get(t.Context(), key)
			if c.written == (err == nil && it.Version == 1) {
				t.Errorf("after the fault the item is %v, %v", it, err)
			}
			m.Fail = func(string, store.Key) error { return nil }
			if _, err := m.Load(t.Context(), key.PK, ""); err != nil {
				t.Errorf("a hook that fails nothing: %v", err)
			}
		})
	}
}
