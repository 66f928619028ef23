package alarm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"peerkeeper/shared/plain"
)

// Lines is a sink that appends each notice as one line of JSON to a file.
//
// A line is on disk before Send returns. A line that an earlier process left
// half written is closed with a line break first, so that it spoils only
// itself. The file is opened for each notice: it may be rotated away.
type Lines struct {
	Path string

	mu sync.Mutex
}

// Name is the name under which deliveries are recorded.
func (l *Lines) Name() string { return "file" }

// Send implements Sink.
func (l *Lines) Send(ctx context.Context, n Notice) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	line, err := json.Marshal(n.Clean())
	if err != nil {
		return fmt.Errorf("encoding the notice: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := os.OpenFile(l.Path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	torn, err := endsTorn(f, info)
	if err != nil {
		return err
	}
	if torn {
		line = append([]byte{'\n'}, line...)
	}
	// One write: another process that appends cannot come between.
	if _, err := f.Write(append(line, '\n')); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil // a pipe cannot be synced
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if info.Size() == 0 {
		return syncName(l.Path)
	}
	return nil
}

// syncName puts a new file's name on disk.
func syncName(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	// Some file systems cannot sync a directory, and keep it in order by
	// other means.
	_ = dir.Sync()
	return dir.Close()
}

// endsTorn says whether the file's last line has no end.
func endsTorn(f *os.File, info os.FileInfo) (bool, error) {
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return false, nil // a pipe or a terminal has no past
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}

// Writer is a sink for people: one line per notice, such as
// "03:12 RAISED ClusterDown apac: no node answers".
type Writer struct {
	W io.Writer
	// Now is the clock of the line; nil means the notice's own Since.
	Now func() time.Time

	mu sync.Mutex
}

// Name is the name under which deliveries are recorded.
func (w *Writer) Name() string { return "text" }

// Send implements Sink.
func (w *Writer) Send(ctx context.Context, n Notice) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	n = n.Clean()
	at := n.Since
	if w.Now != nil {
		at = w.Now()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := fmt.Fprintf(w.W, "%s %s %s: %s\n", at.Format("15:04"), strings.ToUpper(string(n.State)), describe(n), firstLine(n.Message))
	return err
}

// firstLine is what a notice says where there is room for one line; its first
// line is written to stand alone.
func firstLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return plain.Line(first, maxLine)
}
