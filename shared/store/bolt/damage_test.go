package bolt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/store"
	"peerkeeper/shared/store/bolt"
)

// large is a state file whose tree has inner pages, and pages that have become
// free; all of its items are mark's.
func large(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var items []store.Item
	for i := range 300 {
		items = append(items, store.Item{Key: key(fmt.Sprintf("PEER#%04d", i)), Body: mark(i)})
	}
	for range 3 { // the third write leaves pages free
		if err := s.Put(t.Context(), items...); err != nil {
			t.Fatal(err)
		}
		for i := range items {
			items[i].Version++
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// bbolt makes its files larger than it needs them yet.
	size := os.Getpagesize()
	return b[:(len(bytes.TrimRight(b, "\x00"))+size-1)/size*size]
}

// flip changes one bit of a file.
func flip(t *testing.T, path string, good []byte, at int, bit int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte{good[at] ^ 1<<bit}, int64(at))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// mend undoes it.
func mend(t *testing.T, path string, good []byte, at int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(good[at:at+1], int64(at))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func mark(i int) []byte { return bytes.Repeat([]byte{'a' + byte(i%26)}, 300) }

// readable opens a damaged file and says what was found; what is not found to be
// damaged must be whole, item by item.
func readable(t *testing.T, path, what string) (found error) {
	t.Helper()
	s, err := bolt.Open(path)
	if err != nil {
		wantKind(t, err, bolt.Corrupt)
		if strings.Contains(err.Error(), "runtime error") || strings.Contains(err.Error(), "goroutine") {
			t.Errorf("%s: what Go says is no help: %v", what, err)
		}
		return err
	}
	items, err := s.Load(t.Context(), "acme#live", "")
	if err != nil || len(items) != 300 {
		t.Errorf("%s: %d items, %v", what, len(items), err)
	}
	for i, it := range items {
		if !bytes.Equal(it.Body, mark(i)) {
			t.Errorf("%s: item %d is another", what, i)
		}
		if i%7 != 0 {
			continue
		}
		got, err := s.Get(t.Context(), key(fmt.Sprintf("PEER#%04d", i)))
		if err != nil || !bytes.Equal(got.Body, mark(i)) {
			t.Errorf("%s: item %d: %v", what, i, err)
		}
	}
	return nil
}

// TestAFlippedBitInAnInnerPageIsFoundWhenTheFileIsOpened: an item that is there
// and is not found would be a pause, or an open intent, that nobody knows of.
func TestAFlippedBitInAnInnerPageIsFoundWhenTheFileIsOpened(t *testing.T) {
	good := large(t)
	size := os.Getpagesize()
	path := filepath.Join(t.TempDir(), "state.db")
	write(t, path, good)
	inner, missed := 0, 0
	for at := 2 * size; at < len(good); at += size {
		if flags := binary.NativeEndian.Uint16(good[at+8:]); flags != 1 || binary.NativeEndian.Uint64(good[at:]) != uint64(at/size) {
			continue
		}
		// One that has become free is nobody's business.
		flip(t, path, good, at, 0)
		_, err := bolt.Open(path)
		mend(t, path, good, at)
		if err == nil {
			continue
		}
		inner++
		// Of the header and of the elements every byte; of the keys, which lie
		// behind them, every one as well.
		used := 16 + int(binary.NativeEndian.Uint16(good[at+10:]))*(16+len("PEER#0000"))
		for i := range used {
			flip(t, path, good, at+i, i%8)
			if readable(t, path, fmt.Sprintf("page %d, byte %d", at/size, i)) == nil {
				missed++
			}
			mend(t, path, good, at+i)
		}
	}
	if inner == 0 {
		t.Fatal("the file has no inner page")
	}
	t.Logf("%d inner pages; %d of the flipped bits were without any effect", inner, missed)
}

// TestAnyFlippedBit: wherever it is, the file is told to be damaged, or it gives
// what was written.
func TestAnyFlippedBit(t *testing.T) {
	good := large(t)
	path := filepath.Join(t.TempDir(), "state.db")
	write(t, path, good)
	for at := 0; at < len(good); at += 257 {
		flip(t, path, good, at, at%8)
		// The newest write hangs on one page; where that is damaged, what was there
		// before it is all there is.
		if at >= 2*os.Getpagesize() {
			readable(t, path, fmt.Sprintf("byte %d", at))
		} else if s, err := bolt.Open(path); err == nil {
			if items, err := s.Load(t.Context(), "acme#live", ""); err != nil || len(items) != 300 {
				t.Errorf("byte %d: %d items, %v", at, len(items), err)
			}
		}
		mend(t, path, good, at)
	}
}

// TestATruncatedFileIsASentence, wherever it is cut.
func TestATruncatedFileIsASentence(t *testing.T) {
	good := large(t)
	path := filepath.Join(t.TempDir(), "state.db")
	for _, n := range []int{1, 15, 16, 17, 40, 79, 80, 100, 1000, 4095, 4096, 4097, 8191, 8192, 8193, 10_000, 12_288, 16_384, 20_000, len(good) / 3, len(good) / 2} {
		write(t, path, good[:n])
		_, err := bolt.Open(path)
		if err == nil {
			t.Errorf("cut to %d bytes: opened", n)
			continue
		}
		if text := err.Error(); strings.Contains(text, "runtime") || strings.Contains(text, "\n") || !strings.Contains(text, "state file "+path) {
			t.Errorf("cut to %d bytes: %q", n, text)
		}
	}
	// What is cut off under a store that is open is found at the next use.
	write(t, path, good)
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(len(good)/2)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Load(t.Context(), "acme#live", "")
	wantKind(t, err, bolt.Corrupt)
}

// TestWhatIsNoFileIsRefusedAtOnce: a named pipe would be waited for, for ever.
func TestWhatIsNoFileIsRefusedAtOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such files there")
	}
	dir := t.TempDir()
	pipe, socket, loop, folder := filepath.Join(dir, "pipe.db"), filepath.Join(dir, "socket.db"), filepath.Join(dir, "loop.db"), filepath.Join(dir, "folder.db")
	toPipe := filepath.Join(dir, "link.db")
	mkfifo(t, pipe)
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, err := range []error{os.Symlink("loop.db", loop), os.Symlink("pipe.db", toPipe), os.Mkdir(folder, 0o700)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		path string
		kind bolt.Kind
		says string
	}{
		{pipe, bolt.Foreign, "named pipe"},
		{toPipe, bolt.Foreign, "named pipe"},
		{socket, bolt.Foreign, "socket"},
		{folder, bolt.Foreign, "folder"},
		{"/dev/zero", bolt.Foreign, "device"},
		{loop, bolt.Unreadable, "loop of symbolic links"},
		{filepath.Join(dir, "no", "state.db"), bolt.Unreadable, "there is no folder"},
		{filepath.Join(socket, "state.db"), bolt.Unreadable, "there is no folder"},
	} {
		done := make(chan error, 1)
		go func() {
			_, err := bolt.Open(c.path)
			done <- err
		}()
		select {
		case err = <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s is waited for", c.path)
		}
		if kind := (&bolt.FileError{Kind: c.kind}); err == nil || !errors.Is(err, kind) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.path, err, c.says)
		}
	}
	mesh := filepath.Join(dir, "mesh.yaml")
	write(t, mesh, []byte("mesh: acme\nclusters: []\n"))
	if _, err := bolt.Open(mesh); err == nil || !strings.Contains(err.Error(), "is no state file of Peerkeeper; name another path with --state") {
		t.Errorf("mesh.yaml as state: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	good := large(f)
	f.Add([]byte("mesh: acme\n"), uint16(0), byte(0))
	f.Add([]byte{}, uint16(100), byte(3))
	size := os.Getpagesize()
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, patch []byte, at uint16, shift byte) {
		b := bytes.Clone(good)
		from := (int(at)*(size/64) + int(shift)) % len(b)
		copy(b[from:], patch)
		path := filepath.Join(dir, "state.db")
		write(t, path, b)
		s, err := bolt.Open(path)
		if err != nil {
			return
		}
		_, _ = s.Load(t.Context(), "acme#live", "")
		_, _ = s.Get(t.Context(), key("PEER#0123"))
	})
}

// BenchmarkOpen30Clusters is what each verb, and the start of run, pays for the
// check of all pages and items.
func BenchmarkOpen30Clusters(b *testing.B) {
	s, _ := mesh30(b)
	info, err := os.Stat(s.Path())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := bolt.Open(s.Path()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(info.Size())/1e6, "MB")
}

// Of many items one is damaged: none is given, and it is named. To leave it out
// would be to say that there is none.
func TestOneDamagedItemOfMany(t *testing.T) {
	good := large(t)
	path := filepath.Join(t.TempDir(), "state.db")
	write(t, path, good)
	s, err := bolt.Open(path) // which checks it all, and then not for a while
	if err != nil {
		t.Fatal(err)
	}
	var keys []store.Key
	for i := range 300 {
		keys = append(keys, key(fmt.Sprintf("PEER#%04d", i)))
	}
	if items, err := s.GetMany(t.Context(), keys...); err != nil || len(items) != 300 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	// Of old copies in free pages nobody reads: all of them are damaged.
	for at := 0; ; {
		next := bytes.Index(good[at:], []byte("PEER#0150"))
		if next < 0 {
			break
		}
		at += next + len("PEER#0150")
		flip(t, path, good, at+12, 3)
	}
	items, err := s.GetMany(t.Context(), keys...)
	wantKind(t, err, bolt.Corrupt)
	if items != nil || !strings.Contains(err.Error(), "PEER#0150") {
		t.Errorf("%d items, %v", len(items), err)
	}
	if items, err := s.GetMany(t.Context(), keys[:150]...); err != nil || len(items) != 150 {
		t.Errorf("the others: %d items, %v", len(items), err)
	}
}
