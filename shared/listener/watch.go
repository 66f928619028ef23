package listener

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// lookAgain is how often, at most, a watched file is looked at.
const lookAgain = time.Second

// watched is what files say, read again when they change. What cannot be read
// again leaves the former value in use: a renewal that is half done must not
// shut the page.
type watched[T any] struct {
	names []string
	read  func() (T, error)
	log   *slog.Logger

	mu     sync.Mutex
	looked time.Time
	seen   []os.FileInfo
	value  T
	failed bool // the newest read did, and that was said
}

func watch[T any](log *slog.Logger, read func() (T, error), names ...string) (*watched[T], error) {
	w := &watched[T]{names: names, read: read, log: log, looked: time.Now()}
	w.seen = w.look()
	var err error
	w.value, err = read()
	return w, err
}

func (w *watched[T]) get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); now.Sub(w.looked) >= lookAgain || now.Before(w.looked) {
		w.looked = now
		w.refresh()
	}
	return w.value
}

// refresh reads the files if they are not those that were read. The lock is
// held.
func (w *watched[T]) refresh() {
	now := w.look()
	if !w.failed && slices.EqualFunc(now, w.seen, sameFile) {
		return
	}
	value, err := w.read()
	switch {
	case err == nil:
		w.value, w.seen, w.failed = value, now, false
		w.log.Info("page: read again", "files", w.names)
	case !w.failed:
		w.failed = true // it is tried again, and said once
		w.log.Error("page: the former one stays in use", "error", err)
	}
}

// look is what the files look like; nil for one that cannot be seen.
func (w *watched[T]) look() []os.FileInfo {
	out := make([]os.FileInfo, len(w.names))
	for i, name := range w.names {
		if info, err := os.Stat(name); err == nil { // renewals often swap a link
			out[i] = info
		}
	}
	return out
}

func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode()
}

// maxFile is the most that is read of a file, in bytes.
const maxFile = 1 << 20

// load reads a file that a flag names. A pipe is refused: it would be waited
// for, and could not be read again.
func load(flag, name string) ([]byte, os.FileInfo, error) {
	failed := func(err error, cure string) ([]byte, os.FileInfo, error) {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		return nil, nil, fmt.Errorf("%s %s: %w; %s", flag, name, err, cure)
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return failed(err, "name a file that is there")
	case err != nil:
		return failed(err, "this account must be able to read it")
	case !info.Mode().IsRegular():
		return failed(errors.New("this is no regular file"), "name one")
	case info.Size() > maxFile:
		return failed(fmt.Errorf("it has %d bytes", info.Size()), "name the right file")
	}
	f, err := os.Open(name)
	if err != nil {
		return failed(err, "this account must be able to read it")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err = errors.Join(err, f.Close()); err != nil {
		return failed(err, "this account must be able to read it")
	}
	return text, info, nil
}

// readable says what is wrong with a file that nothing else reads, because
// another one is missing.
func readable(flag, name string) error {
	if name == "" {
		return nil
	}
	_, _, err := load(flag, name)
	return err
}
