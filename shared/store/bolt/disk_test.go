//go:build linux

package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"peerkeeper/shared/store"
	"peerkeeper/shared/store/bolt"
	"peerkeeper/shared/store/storetest"
)

// mounted is a file system in memory with an end; it is skipped where this process
// may not mount one.
func mounted(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small file system cannot be mounted here (it needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func sentence(t *testing.T, err error, kind bolt.Kind, says string) {
	t.Helper()
	if !errors.Is(err, &bolt.FileError{Kind: kind}) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "runtime error") {
		t.Errorf("%v\nwant a *FileError of kind %s that says %q", err, kind, says)
	}
}

// TestADiskThatIsFullLosesNothing: what was acknowledged stands, what was not is
// said, and once there is room the next write goes through.
func TestADiskThatIsFullLosesNothing(t *testing.T) {
	dir := mounted(t, "600k")
	path := filepath.Join(dir, "state.db")
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	write(t, ballast, make([]byte, 200<<10))
	kept := map[string]int64{}
	var full error
	for i := 0; full == nil && i < 500; i++ {
		it := store.Item{Key: key(fmt.Sprintf("PEER#%04d", i)), Body: bytes.Repeat([]byte("x"), 3000)}
		if full = s.Put(t.Context(), it); full == nil {
			kept[it.SK] = 1
		}
	}
	sentence(t, full, bolt.Unwritten, "is full: make room (df -h "+dir+")")
	if len(storetest.PutErrors(full)) != 1 {
		t.Errorf("the error names no item: %v", full)
	}
	whole := func() {
		t.Helper()
		again, err := bolt.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		items, err := again.Load(t.Context(), "acme#live", "")
		if err != nil || len(items) != len(kept) {
			t.Errorf("%d of %d items are there, %v", len(items), len(kept), err)
		}
		for _, it := range items {
			if kept[it.SK] != it.Version {
				t.Errorf("%s has version %d, acknowledged was %d", it.SK, it.Version, kept[it.SK])
			}
		}
	}
	whole()
	for range 3 { // it stays so, however often it is tried
		if err := s.Put(t.Context(), store.Item{Key: key("MORE"), Body: bytes.Repeat([]byte("x"), 100_000)}); err == nil {
			t.Error("written to a full disk")
		}
	}
	whole()
	// A new file is not half made.
	other := filepath.Join(dir, "other.db")
	write(t, filepath.Join(dir, "rest"), nil)
	fill(t, filepath.Join(dir, "rest"))
	_, err = bolt.Open(other)
	sentence(t, err, bolt.Unreadable, "is full")
	if left, err := filepath.Glob(other + "*"); err != nil || left != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, name := range []string{ballast, filepath.Join(dir, "rest")} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		it := store.Item{Key: key(fmt.Sprintf("LATER#%d", i)), Body: bytes.Repeat([]byte("x"), 3000)}
		if err := s.Put(t.Context(), it); err != nil {
			t.Fatalf("once there is room: %v", err)
		}
		kept[it.SK] = 1
	}
	whole()
}

// fill takes what room there is.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 1024))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

func TestAReadOnlyFileSystemIsASentence(t *testing.T) {
	dir := mounted(t, "1m")
	path := filepath.Join(dir, "state.db")
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	it := store.Item{Key: key("GATE"), Body: []byte("{}")}
	if err := s.Put(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("cannot be made read-only here: %v", err)
	}
	if again, err := bolt.Open(path); err != nil {
		t.Errorf("reading: %v", err)
	} else if _, err := again.Get(t.Context(), it.Key); err != nil {
		t.Errorf("reading: %v", err)
	}
	it.Version = 1
	sentence(t, s.Put(t.Context(), it), bolt.Unreadable, "its file system is read-only: mount it writable, or name another path with --state")
	_, err = bolt.Open(filepath.Join(dir, "new.db"))
	sentence(t, err, bolt.Unreadable, "read-only")
}

// limitVariable tells the child how far the file may reach.
const limitVariable = "PEERKEEPER_TEST_FILE_LIMIT"

// TestChildWritesUpToALimit is no test of its own: it is the process that meets
// the limit.
func TestChildWritesUpToALimit(t *testing.T) {
	limit, err := strconv.ParseUint(os.Getenv(limitVariable), 10, 64)
	if err != nil {
		return // its parent, TestAWriteThatFailsInTheMiddleLosesNothing, runs it
	}
	s, err := bolt.Open(os.Getenv(limitVariable + "_PATH"))
	if err != nil {
		t.Fatal(err)
	}
	old := load(t, s)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}
	for i := range old {
		old[i].Body = bytes.Repeat([]byte{'n'}, 300)
	}
	err = s.Put(t.Context(), old...)
	switch {
	case err == nil:
		fmt.Println("written")
	case !errors.Is(err, &bolt.FileError{Kind: bolt.Unwritten}), !strings.Contains(err.Error(), "what it holds stands"):
		t.Errorf("not the sentence: %v", err)
	default:
		fmt.Println("refused")
	}
	// The same process goes on reading what was there.
	if now := load(t, s); err != nil && string(now[0].Body[:1]) == "n" {
		t.Error("what was refused is there")
	}
}

func load(t *testing.T, s *bolt.Store) []store.Item {
	t.Helper()
	items, err := s.Load(t.Context(), "acme#live", "")
	if err != nil || len(items) != 300 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	return items
}

// TestAWriteThatFailsInTheMiddleLosesNothing: the operating system lets a process
// write its file up to a limit, at any byte of any page, and refuses the rest. All
// of a write is there, or nothing of it, and the next run goes on.
func TestAWriteThatFailsInTheMiddleLosesNothing(t *testing.T) {
	good := large(t)
	path := filepath.Join(t.TempDir(), "state.db")
	refused, written := 0, 0
	for limit := 100; limit < len(good)+40_000; limit += 11_003 {
		write(t, path, good)
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildWritesUpToALimit$", "-test.v")
		child.Env = append(os.Environ(), fmt.Sprintf("%s=%d", limitVariable, limit), limitVariable+"_PATH="+path)
		out, err := child.CombinedOutput()
		if err != nil {
			t.Fatalf("limit %d: %v\n%s", limit, err, out)
		}
		s, err := bolt.Open(path)
		if err != nil {
			t.Fatalf("limit %d: %v", limit, err)
		}
		items := load(t, s)
		for i, it := range items {
			want, version := mark(i), int64(3)
			if bytes.Contains(out, []byte("written\n")) {
				want, version = bytes.Repeat([]byte{'n'}, 300), 4
			}
			if !bytes.Equal(it.Body, want) || it.Version != version {
				t.Fatalf("limit %d: item %d is %.5q version %d, want %.5q version %d", limit, i, it.Body, it.Version, want, version)
			}
		}
		if err := s.Put(t.Context(), items...); err != nil {
			t.Errorf("limit %d: the next run does not go on: %v", limit, err)
		}
		if bytes.Contains(out, []byte("refused\n")) {
			refused++
		} else {
			written++
		}
	}
	if refused == 0 || written == 0 {
		t.Errorf("%d writes were refused and %d went through: neither may be none", refused, written)
	}
	t.Logf("%d writes failed in the middle, %d went through", refused, written)
}
