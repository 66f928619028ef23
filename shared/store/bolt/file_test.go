package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"peerkeeper/shared/store"
	"peerkeeper/shared/store/bolt"
	"peerkeeper/shared/store/storetest"
)

func key(sk string) store.Key { return store.Key{PK: "acme#live", SK: sk} }

func filled(t *testing.T) (path string) {
	t.Helper()
	s := open(t)
	var items []store.Item
	for i := range 200 {
		items = append(items, store.Item{Key: key(fmt.Sprintf("PEER#%03d", i)), Body: bytes.Repeat([]byte{'a' + byte(i%26)}, 300)})
	}
	if err := s.Put(t.Context(), items...); err != nil {
		t.Fatal(err)
	}
	return s.Path()
}

func wantKind(t *testing.T, err error, kind bolt.Kind) {
	t.Helper()
	if !errors.Is(err, &bolt.FileError{Kind: kind}) {
		t.Fatalf("error %v, want a *FileError of kind %s", err, kind)
	}
	if text := err.Error(); strings.Contains(text, "\n") || !strings.Contains(text, ".db") {
		t.Errorf("not one line naming the file: %q", text)
	}
}

func TestUnusableFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		kind bolt.Kind
	}{
		{"a text file", func(t *testing.T, path string) { write(t, path, bytes.Repeat([]byte("mesh: acme\n"), 2000)) }, bolt.Foreign},
		{"a few bytes", func(t *testing.T, path string) { write(t, path, []byte("x")) }, bolt.Foreign},
		{"an empty file", func(t *testing.T, path string) { write(t, path, nil) }, bolt.Foreign},
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, bolt.Foreign},
		{"a bbolt file of another program", func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("etcd")); return err })
		}, bolt.Foreign},
		{"a newer format", func(t *testing.T, path string) {
			write(t, path, read(t, filled(t)))
			edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("peerkeeper")).Put([]byte("format"), []byte("2")) })
		}, bolt.Newer},
		{"a file without its items", func(t *testing.T, path string) {
			write(t, path, read(t, filled(t)))
			edit(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("items")) })
		}, bolt.Corrupt},
		{"one byte of an item changed", func(t *testing.T, path string) {
			b := read(t, filled(t))
			at := bytes.LastIndex(b, []byte("zzzz"))
			b[at] = 'y'
			write(t, path, b)
		}, bolt.Corrupt},
		{"a byte of a key changed", func(t *testing.T, path string) {
			b := read(t, filled(t))
			write(t, path, bytes.ReplaceAll(b, []byte("PEER#150"), []byte("PEER#15X")))
		}, bolt.Corrupt},
		{"cut off in the middle", func(t *testing.T, path string) {
			b := read(t, filled(t))
			write(t, path, b[:len(b)/2])
		}, bolt.Corrupt},
		{"all but the first two pages overwritten", func(t *testing.T, path string) {
			b := read(t, filled(t))
			for i := 2 * os.Getpagesize(); i < len(b); i++ {
				b[i] = 0xff
			}
			write(t, path, b)
		}, bolt.Corrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			c.make(t, path)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = bolt.Open(path)
			wantKind(t, err, c.kind)
			if after, err := os.Stat(path); err != nil || after.Size() != info.Size() {
				t.Errorf("the file was changed: %v %v", after, err)
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	_, err := bolt.Open(filepath.Join(t.TempDir(), "no", "such", "state.db"))
	wantKind(t, err, bolt.Unreadable)
}

func TestLocked(t *testing.T) {
	path := filled(t)
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx, key("PEER#000")); err == nil {
		t.Error("read a file that another process is writing")
	} else if !errors.Is(err, &bolt.FileError{Kind: bolt.Locked}) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	time.AfterFunc(100*time.Millisecond, func() { _ = other.Close() })
	if _, err := s.Get(t.Context(), key("PEER#000")); err != nil {
		t.Errorf("after the other one let go: %v", err)
	}
	if testing.Short() {
		return
	}
	if other, err = bbolt.Open(path, 0o600, nil); err != nil {
		t.Fatal(err)
	}
	_, err = bolt.Open(path)
	wantKind(t, err, bolt.Locked)
	if err := other.Close(); err != nil {
		t.Error(err)
	}
}

func TestReadersShare(t *testing.T) {
	path := filled(t)
	reader, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if items, err := s.Load(t.Context(), "acme#live", ""); err != nil || len(items) != 200 {
		t.Errorf("%d items, %v", len(items), err)
	}
}

func TestAFileThatGoesIsNotReplaced(t *testing.T) {
	s := open(t)
	if err := os.Remove(s.Path()); err != nil {
		t.Fatal(err)
	}
	err := s.Put(t.Context(), store.Item{Key: key("GATE")})
	wantKind(t, err, bolt.Missing)
	if len(storetest.PutErrors(err)) != 1 {
		t.Errorf("the error names no item: %v", err)
	}
	if _, err := os.Stat(s.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is back: %v", err)
	}
}

func TestNewFile(t *testing.T) {
	s := open(t)
	info, err := os.Stat(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if left, err := filepath.Glob(s.Path() + ".new-*"); err != nil || left != nil {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestManyOpenTheNewFileAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			s, err := bolt.Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Put(t.Context(), store.Item{Key: key(fmt.Sprint(i))}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if items, err := s.Load(t.Context(), "acme#live", ""); err != nil || len(items) != 6 {
		t.Errorf("%d of 6 items are there, %v", len(items), err)
	}
}

func TestExpiredItemsAreRemovedByAndBy(t *testing.T) {
	s := open(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s.Now = func() time.Time { return now }
	var items []store.Item
	for i := range 100 {
		items = append(items, store.Item{Key: key(fmt.Sprintf("ALARM#%03d", i)), TTL: now.Add(time.Hour), Body: []byte("{}")})
	}
	items = append(items, store.Item{Key: key("GATE"), Body: []byte("{}")})
	if err := s.Put(t.Context(), items...); err != nil {
		t.Fatal(err)
	}
	// One is raised again and lives on.
	if err := s.Put(t.Context(), store.Item{Key: key("ALARM#007"), Version: 1}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	if left, err := s.Load(t.Context(), "acme#live", ""); err != nil || len(left) != 2 {
		t.Errorf("%d items are shown, %v; want GATE and ALARM#007", len(left), err)
	}
	if n := stored(t, s.Path()); n != 101 {
		t.Errorf("%d items in the file before a write, want 101", n)
	}
	for v := range int64(2) {
		if err := s.Put(t.Context(), store.Item{Key: key("GATE"), Version: v + 1}); err != nil {
			t.Fatal(err)
		}
	}
	if n := stored(t, s.Path()); n != 2 {
		t.Errorf("%d items in the file after two writes, want 2", n)
	}
}

// An item whose expiry moves on with every write leaves nothing behind.
func TestRewritingLeavesNoTrace(t *testing.T) {
	s := open(t)
	for v := range int64(5) {
		if err := s.Put(t.Context(), store.Item{Key: key("ALARM#a"), Version: v, TTL: time.Now().Add(time.Duration(v+1) * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Put(t.Context(), store.Item{Key: key("ALARM#b"), TTL: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), key("ALARM#b"), 1); err != nil {
		t.Fatal(err)
	}
	edit(t, s.Path(), func(tx *bbolt.Tx) error {
		if n := tx.Bucket([]byte("expiry")).Stats().KeyN; n != 1 {
			t.Errorf("%d expiry entries for one item", n)
		}
		return nil
	})
}

func stored(t *testing.T, path string) (n int) {
	t.Helper()
	edit(t, path, func(tx *bbolt.Tx) error {
		n = tx.Bucket([]byte("items")).Bucket([]byte("acme#live")).Stats().KeyN
		return nil
	})
	return n
}

// A file with random bytes changed is either told to be damaged or gives what
// was written; it never gives something else and never ends the process.
func TestDamageIsNeverRead(t *testing.T) {
	good := read(t, filled(t))
	found := 0
	for i := range 60 {
		path := filepath.Join(t.TempDir(), "state.db")
		b := bytes.Clone(good)
		at := 2*os.Getpagesize() + (i*7919)%(len(b)-2*os.Getpagesize())
		b[at] ^= 1 << (i % 8)
		write(t, path, b)
		s, err := bolt.Open(path)
		if err != nil {
			found++
			continue
		}
		items, err := s.Load(t.Context(), "acme#live", "")
		if err != nil || len(items) != 200 {
			t.Errorf("bit %d of byte %d: %d items, %v", i%8, at, len(items), err)
		}
		for j, it := range items {
			if !bytes.Equal(it.Body, bytes.Repeat([]byte{'a' + byte(j%26)}, 300)) {
				t.Errorf("bit %d of byte %d: item %s reads %.20q", i%8, at, it.SK, it.Body)
			}
		}
	}
	if found == 0 {
		t.Error("no damage was found at all")
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func edit(t *testing.T, path string, f func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(f), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkGet(b *testing.B) {
	s, err := bolt.Open(filepath.Join(b.TempDir(), "state.db"))
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Put(b.Context(), store.Item{Key: key("GATE"), Body: make([]byte, 2000)}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Get(b.Context(), key("GATE")); err != nil {
			b.Fatal(err)
		}
	}
}

// The partition of a mesh of 30 clusters: 870 peers with three items each.
func mesh30(b *testing.B) (*bolt.Store, []store.Item) {
	s, err := bolt.Open(filepath.Join(b.TempDir(), "state.db"))
	if err != nil {
		b.Fatal(err)
	}
	items := make([]store.Item, 2640)
	for i := range items {
		items[i] = store.Item{Key: key(fmt.Sprintf("PEER#%04d", i)), Body: bytes.Repeat([]byte("x"), 1500)}
	}
	if err := s.Put(b.Context(), items...); err != nil {
		b.Fatal(err)
	}
	return s, items
}

func BenchmarkLoad30Clusters(b *testing.B) {
	s, _ := mesh30(b)
	for b.Loop() {
		if items, err := s.Load(b.Context(), "acme#live", ""); err != nil || len(items) != 2640 {
			b.Fatal(err)
		}
	}
}

func BenchmarkPutOneOf30Clusters(b *testing.B) {
	s, items := mesh30(b)
	it := items[7]
	it.Version = 1
	for b.Loop() {
		if err := s.Put(b.Context(), it); err != nil {
			b.Fatal(err)
		}
		it.Version++
	}
}
