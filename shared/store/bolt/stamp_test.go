package bolt

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"peerkeeper/shared/store"
)

// TestStampTellsEveryWrite: a reader that trusts a sure stamp never misses what
// was written after it.
func TestStampTellsEveryWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	began := time.Now()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(path) // as another process has it
	if err != nil {
		t.Fatal(err)
	}
	// On a slow machine that is not right after it any more. The kernel's stamps are up to 10 ms old.
	if _, sure := s.Stamp(); sure && time.Since(began) < settles-20*time.Millisecond {
		t.Error("sure right after a write, when the next one may leave the same time")
	}
	past := time.Now().Add(-time.Hour)
	for i, writer := range []*Store{s, other, s} {
		if err := os.Chtimes(path, past, past); err != nil {
			t.Fatal(err)
		}
		before, sure := s.Stamp()
		if !sure {
			t.Error("not sure of a file that was written an hour ago")
		}
		if _, err := s.Load(t.Context(), "mesh#live", ""); err != nil {
			t.Fatal(err)
		}
		if same, _ := s.Stamp(); same != before {
			t.Error("reading changes the stamp")
		}
		if err := writer.Put(t.Context(), store.Item{Key: store.Key{PK: "mesh#live", SK: "RUN#peersync"}, Version: int64(i), Body: []byte(`{"schema":1}`)}); err != nil {
			t.Fatal(err)
		}
		if after, _ := s.Stamp(); after == before {
			t.Errorf("write %d left the stamp as it was", i)
		}
	}
	future := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, future, future); err != nil {
		t.Fatal(err)
	}
	if _, sure := s.Stamp(); sure {
		t.Error("sure of a time ahead of the clock")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, sure := s.Stamp(); sure {
		t.Error("sure of a file that is gone")
	}
}
