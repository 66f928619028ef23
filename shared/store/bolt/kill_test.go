package bolt_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"peerkeeper/shared/store"
	"peerkeeper/shared/store/bolt"
)

const childVariable = "PEERKEEPER_BOLT_CHILD"

// TestChildWrites is the process that TestKilledWriter kills: it writes
// counters into three items and says each number once it is acknowledged.
func TestChildWrites(t *testing.T) {
	path := os.Getenv(childVariable)
	if path == "" {
		return // only a child has work here
	}
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	items := make([]store.Item, 3)
	for i := range items {
		items[i], err = s.Get(t.Context(), counter(i))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		items[i].Key = counter(i)
	}
	for {
		for i := range items {
			items[i].Body = fmt.Appendf(nil, "%d", items[i].Version+1)
			items[i].TTL = time.Now().Add(time.Hour)
		}
		if err := s.Put(t.Context(), items...); err != nil {
			t.Fatal(err)
		}
		for i := range items {
			items[i].Version++
		}
		fmt.Printf("%d\n", items[0].Version)
	}
}

func counter(i int) store.Key { return store.Key{PK: "acme#live", SK: fmt.Sprintf("COUNT#%d", i)} }

func TestKilledWriter(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "state.db")
	var acknowledged int64
	for round := range 6 {
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestChildWrites$")
		cmd.Env = append(os.Environ(), childVariable+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The kill comes at another moment of the write each round, and never
		// before the first one was acknowledged, however slow the machine.
		var killer *time.Timer
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if killer == nil {
				killer = time.AfterFunc(20*time.Millisecond+time.Duration(round)*1700*time.Microsecond, func() { _ = cmd.Process.Kill() })
			}
			n, err := strconv.ParseInt(lines.Text(), 10, 64)
			if err != nil {
				t.Fatalf("the child said %q", lines.Text())
			}
			acknowledged = n
		}
		err = cmd.Wait()
		if killer == nil {
			t.Fatalf("the child wrote nothing: %v", err)
		}
		killer.Stop()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v", err)
		}

		s, err := bolt.Open(path)
		if err != nil {
			t.Fatalf("after kill %d: %v", round, err)
		}
		first, err := s.Get(t.Context(), counter(0))
		if err != nil {
			t.Fatal(err)
		}
		// The last write may have been made and not said.
		if first.Version != acknowledged && first.Version != acknowledged+1 {
			t.Errorf("after kill %d: version %d, acknowledged %d", round, first.Version, acknowledged)
		}
		for i := range 3 {
			it, err := s.Get(t.Context(), counter(i))
			if err != nil || it.Version != first.Version || string(it.Body) != fmt.Sprint(it.Version) {
				t.Errorf("after kill %d: item %d is %q version %d (%v), the first has %d", round, i, it.Body, it.Version, err, first.Version)
			}
		}
	}
	if acknowledged == 0 {
		t.Fatal("no child ever wrote: nothing was tested")
	}
	t.Logf("%d writes acknowledged over 6 kills", acknowledged)
}
