package alarm_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"peerkeeper/shared/alarm"
)

var apacDown = alarm.Notice{Name: alarm.ClusterDown, State: alarm.Raised, Mesh: "acme", Cluster: "apac", Since: noon, Message: "no node answers"}

// TestANoticeThatIsNotWrittenIsNotTaken: what a sink took is never sent again, so
// it may not say so of what nobody can read.
func TestANoticeThatIsNotWrittenIsNotTaken(t *testing.T) {
	t.Run("the directory is not there", func(t *testing.T) {
		err := (&alarm.Lines{Path: filepath.Join(t.TempDir(), "absent", "alarms.jsonl")}).Send(t.Context(), apacDown)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
	})
	t.Run("the disk is full", func(t *testing.T) {
		if _, err := os.Stat("/dev/full"); err != nil {
			t.Skip("no /dev/full here")
		}
		if err := (&alarm.Lines{Path: "/dev/full"}).Send(t.Context(), apacDown); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%v", err)
		}
	})
	t.Run("it has no form in JSON", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "alarms.jsonl")
		odd := apacDown
		odd.Since = time.Date(12026, 3, 1, 0, 0, 0, 0, time.UTC)
		if err := (&alarm.Lines{Path: path}).Send(t.Context(), odd); err == nil {
			t.Error("taken")
		}
		if b, err := os.ReadFile(path); err == nil {
			t.Errorf("it wrote %q", b)
		}
	})
	t.Run("the caller's time is up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		path := filepath.Join(t.TempDir(), "alarms.jsonl")
		var out bytes.Buffer
		for _, sink := range []alarm.Sink{&alarm.Lines{Path: path}, &alarm.Writer{W: &out}} {
			if err := sink.Send(ctx, apacDown); !errors.Is(err, context.Canceled) {
				t.Errorf("%T: %v", sink, err)
			}
		}
		if b, err := os.ReadFile(path); err == nil || out.Len() > 0 {
			t.Errorf("they wrote %q and %q", b, out.String())
		}
	})
}

// TestNoticesGoThroughAPipe: to whatever reads them on the same machine. A pipe has
// no past to look at, and no disk.
func TestNoticesGoThroughAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alarms")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0) // so that no end waits for the other
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	lines := bufio.NewReader(reader)
	for range 2 {
		if err := (&alarm.Lines{Path: path}).Send(t.Context(), apacDown); err != nil {
			t.Fatal(err)
		}
		if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, `"cluster":"apac"`) {
			t.Errorf("read %q, %v", line, err)
		}
	}
}

// TestALineWithoutAClockHasTheNoticesTime: one that is read later says when it was.
func TestALineWithoutAClockHasTheNoticesTime(t *testing.T) {
	var out bytes.Buffer
	if err := (&alarm.Writer{W: &out}).Send(t.Context(), apacDown); err != nil || !strings.HasPrefix(out.String(), "12:00 RAISED") {
		t.Errorf("%q, %v", out.String(), err)
	}
}
