// Package bolt keeps the store in one file on one machine.
//
// It owns the file. The file is opened for each operation and let go again, so
// that the command works while `run` runs, and every acknowledged write is on
// disk: the process may be killed at any moment. It never repairs and never
// creates a file in place of one that is damaged, missing or not its own: it
// says which of these it is and what to do.
package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"peerkeeper/shared/plain"
	"peerkeeper/shared/store"
)

const (
	// formatNumber is the layout of buckets and values in the file, not the
	// schema of any document.
	formatNumber = "1"
	// lockTimeout is how long one operation waits for another process. Each
	// holds the file for milliseconds.
	lockTimeout = 5 * time.Second
	// purgePerWrite bounds how many expired items one write removes.
	purgePerWrite = 64
	// checkEvery is how often all pages are checked again while the store is in
	// use: disks forget under a process that runs for months.
	checkEvery = time.Hour
)

// Kind is what is wrong with a file.
type Kind string

// The kinds.
const (
	Missing    Kind = "missing"    // it was there when the store was opened
	Unreadable Kind = "unreadable" // the operating system refuses
	Locked     Kind = "locked"     // another process holds it for too long
	Corrupt    Kind = "corrupt"    // ours once, and damaged
	Foreign    Kind = "foreign"    // not a state file of Peerkeeper
	Newer      Kind = "newer"      // of a newer Peerkeeper
	Unwritten  Kind = "unwritten"  // a write failed; what was there before stands
)

// FileError says what is wrong with the state file and what to do about it.
type FileError struct {
	Path  string
	Kind  Kind
	Cause error // may be nil
}

func (e *FileError) Error() string {
	text := "state file " + e.Path + " " + e.what()
	if e.Cause != nil {
		text += " (" + plain.Line(e.Cause.Error(), maxCause) + ")"
	}
	return text
}

// maxCause bounds what the operating system or bbolt says, in characters.
const maxCause = 200

// what says what is wrong and what to do.
func (e *FileError) what() string {
	dir := filepath.Dir(e.Path)
	switch e.Kind {
	case Missing:
		return "is gone; put it back, or start Peerkeeper again to begin with an empty one"
	case Locked:
		return "is held by another process; let that one end (a stopped or hanging peerkeeper?) and try again"
	case Corrupt:
		return "is damaged; move it away and restore it from a backup, or begin with an empty one"
	case Foreign:
		return "is no state file of Peerkeeper; name another path with --state"
	case Newer:
		return "was written by a newer Peerkeeper; use that version"
	case Unwritten, Unreadable:
	default:
		return "is unusable"
	}
	stands := ""
	if e.Kind == Unwritten {
		stands = "; what it holds stands, and the next run goes on from there"
	}
	switch {
	case errors.Is(e.Cause, syscall.ENOSPC), errors.Is(e.Cause, syscall.EDQUOT):
		return "cannot be written: the disk, or this user's share of it, is full: make room (df -h " + dir + ")" + stands
	case errors.Is(e.Cause, syscall.EFBIG):
		return "cannot be written: it may not grow beyond this process's limit: raise it (ulimit -f, or LimitFSIZE of the service)" + stands
	case errors.Is(e.Cause, syscall.EROFS):
		return "cannot be written: its file system is read-only: mount it writable, or name another path with --state" + stands
	case errors.Is(e.Cause, syscall.EIO):
		return "cannot be used: the disk reports an error: look at the kernel's log (dmesg), and copy the file to another disk" + stands
	case errors.Is(e.Cause, fs.ErrPermission):
		return "cannot be used by this user: give it the right to read and write the file and its folder (ls -ld " + dir + " " + e.Path + "), or run as the user that has it" + stands
	case errors.Is(e.Cause, syscall.EMFILE), errors.Is(e.Cause, syscall.ENFILE):
		return "cannot be opened: this process, or the machine, has too many files open: raise the limit (ulimit -n)" + stands
	case errors.Is(e.Cause, syscall.ELOOP):
		return "cannot be opened: its path is a loop of symbolic links; name another path with --state"
	case errors.Is(e.Cause, fs.ErrNotExist), errors.Is(e.Cause, syscall.ENOTDIR):
		return "cannot be made: there is no folder " + dir + "; make it, or name another path with --state"
	case e.Kind == Unwritten:
		return "could not be written: look at its disk (df -h " + dir + ", dmesg)" + stands
	}
	return "cannot be opened; check the path and that this user may read and write it"
}

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Cause }

// Is compares kinds: errors.Is(err, &FileError{Kind: Locked}).
func (e *FileError) Is(target error) bool {
	t, ok := target.(*FileError)
	return ok && t.Kind == e.Kind && t.Path == ""
}

// Store is one state file.
type Store struct {
	// Now is the clock that expires items; nil means time.Now. Set it before
	// the first use.
	Now func() time.Time

	path string
	// turn lets the goroutines of this process take turns. Without it they
	// would wait for each other's file lock, which is polled every 50 ms.
	turn chan struct{}
	// checked is when all pages were checked last, on the wall; who has the
	// turn may change it.
	checked time.Time
}

// Open checks a state file, or makes one if there is none. The file stays
// closed between operations.
func Open(path string) (*Store, error) {
	s := &Store{path: path, turn: make(chan struct{}, 1)}
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = create(path)
	}
	if err != nil {
		return nil, &FileError{Path: path, Kind: Unreadable, Cause: err}
	}
	if err := s.checkAll(lockTimeout); err != nil {
		return nil, err
	}
	return s, nil
}

var ( // names of buckets; never changed
	bucketAbout  = []byte("peerkeeper")
	bucketItems  = []byte("items")  // one bucket per partition, within it sort key -> value
	bucketExpiry = []byte("expiry") // expiry key -> nothing, in the order of time
	keyFormat    = []byte("format")
)

// create makes the file under another name and links it into place when it is
// whole: a kill leaves either no file or a good one. If somebody else was
// first, theirs stands.
func create(path string) (err error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	tmp, err := os.CreateTemp(dir, base+".new-*") // 0600
	if err != nil {
		return err
	}
	name := tmp.Name()
	defer func() { err = errors.Join(err, os.Remove(name)) }()
	if err := tmp.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		about, err := tx.CreateBucket(bucketAbout)
		if err != nil {
			return err
		}
		_, errItems := tx.CreateBucket(bucketItems)
		_, errExpiry := tx.CreateBucket(bucketExpiry)
		return errors.Join(errItems, errExpiry, about.Put(keyFormat, []byte(formatNumber)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Link(name, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

// syncDir puts a new name in a directory on disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Some file systems cannot sync a directory; they then keep it in order
	// by other means, and there is nothing better to do.
	_ = d.Sync()
	return d.Close()
}

// bare leaves out the path, which the FileError names already.
func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// with waits for its turn, opens the file, runs f in one transaction, and
// closes the file.
func (s *Store) with(ctx context.Context, write bool, f func(tx *bbolt.Tx) error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	timeout := lockTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, max(time.Until(deadline), time.Millisecond))
	}
	err := s.again(timeout)
	if err == nil {
		err = s.transact(timeout, write, func(tx *bbolt.Tx, _ *os.File) error { return f(tx) })
	}
	if ctx.Err() != nil && errors.Is(err, berrors.ErrTimeout) {
		return context.Cause(ctx)
	}
	return err
}

// again checks all pages if that was long ago.
func (s *Store) again(timeout time.Duration) error {
	if time.Since(s.checked) < checkEvery {
		return nil
	}
	return s.checkAll(timeout)
}

// transact does with's work. timeout is how long it waits for other processes.
func (s *Store) transact(timeout time.Duration, write bool, f func(tx *bbolt.Tx, file *os.File) error) (err error) {
	var file *os.File
	// A damaged page makes bbolt panic, and a file that is shorter than its
	// pages say makes the memory map fault. Both become an error here. After
	// a panic bbolt's own locks are in an unknown state, so only the file is
	// closed, which lets its lock go; the map is left behind.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if file != nil {
				_ = file.Close()
			}
			err = &FileError{Path: s.path, Kind: Corrupt, Cause: said(p)}
		}
	}()

	db, err := bbolt.Open(s.path, 0o600, &bbolt.Options{
		Timeout:  timeout,
		ReadOnly: !write,
		OpenFile: func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
			f, err = openRegular(name, flag, mode)
			file = f
			return f, err
		},
	})
	if err != nil {
		return s.openError(err)
	}
	run := db.View
	if write {
		run = db.Update
	}
	ran := false // to the end of f: what fails after that is the commit
	err = run(func(tx *bbolt.Tx) error {
		if err := s.ours(tx); err != nil {
			return err
		}
		err := f(tx, file)
		ran = err == nil
		return err
	})
	if err != nil && ran {
		// bbolt writes to pages that nobody refers to yet, and then the one that
		// refers to them: what was there before stands.
		err = &FileError{Path: s.path, Kind: Unwritten, Cause: bare(err)}
	}
	return errors.Join(err, db.Close())
}

// said is a panic of bbolt's, or a fault of its memory map, in words. What the Go
// runtime says of it helps nobody.
func said(p any) error {
	if _, ok := p.(runtime.Error); ok {
		return errors.New("its pages contradict each other, or cannot be read")
	}
	return fmt.Errorf("%v", p)
}

func (s *Store) openError(err error) error {
	kind := Corrupt
	known, ours := errors.AsType[*kindError](err)
	switch {
	case ours:
		kind = known.kind
	case errors.Is(err, berrors.ErrTimeout):
		kind = Locked
	case errors.Is(err, fs.ErrNotExist):
		return &FileError{Path: s.path, Kind: Missing}
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch):
		kind = Foreign
	case isSystem(err):
		kind = Unreadable
	}
	return &FileError{Path: s.path, Kind: kind, Cause: bare(err)}
}

// isSystem says whether the operating system refused, as opposed to bbolt.
func isSystem(err error) bool {
	_, path := errors.AsType[*fs.PathError](err)
	_, number := errors.AsType[syscall.Errno](err)
	return path || number
}

// ours says whether the open file is one that create made.
func (s *Store) ours(tx *bbolt.Tx) error {
	about, items, expiry := tx.Bucket(bucketAbout), tx.Bucket(bucketItems), tx.Bucket(bucketExpiry)
	if about == nil {
		return &FileError{Path: s.path, Kind: Foreign}
	}
	if format := about.Get(keyFormat); string(format) != formatNumber {
		return &FileError{Path: s.path, Kind: Newer, Cause: fmt.Errorf("format %q, this version knows %s", format, formatNumber)}
	}
	if items == nil || expiry == nil {
		return &FileError{Path: s.path, Kind: Corrupt, Cause: errors.New("a part of it is missing")}
	}
	return nil
}

// checkAll checks every page, reads every item once, and finds it by its key.
func (s *Store) checkAll(timeout time.Duration) error {
	err := s.transact(timeout, false, func(tx *bbolt.Tx, file *os.File) error {
		if err := checkPages(file); err != nil {
			return &FileError{Path: s.path, Kind: Corrupt, Cause: bare(err)}
		}
		items := tx.Bucket(bucketItems)
		return items.ForEach(func(pk, _ []byte) error {
			partition := items.Bucket(pk)
			if partition == nil {
				return s.damaged(store.Key{PK: string(pk)})
			}
			return partition.ForEach(func(sk, value []byte) error {
				_, err := s.parse(store.Key{PK: string(pk), SK: string(sk)}, value)
				return err
			})
		})
	})
	if err == nil {
		s.checked = time.Now()
	}
	return err
}

func (s *Store) damaged(key store.Key) error {
	return &FileError{Path: s.path, Kind: Corrupt, Cause: fmt.Errorf("item %s %s does not match its checksum", key.PK, key.SK)}
}

// A value is a header of 20 bytes, big-endian, and the body: CRC-32C of the
// keys and of all that follows, version, TTL in Unix seconds (0 for none).
const headerSize = 4 + 8 + 8

func encode(it store.Item) []byte {
	value := make([]byte, headerSize, headerSize+len(it.Body))
	binary.BigEndian.PutUint64(value[4:], uint64(it.Version))
	if !it.TTL.IsZero() {
		binary.BigEndian.PutUint64(value[12:], uint64(it.TTL.Unix()))
	}
	value = append(value, it.Body...)
	binary.BigEndian.PutUint32(value, checksum(it.Key, value[4:]))
	return value
}

func checksum(key store.Key, b []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum([]byte(key.PK+"\x00"+key.SK), table), table, b)
}

// parse reads a value. The body is a copy: bbolt's memory is only good within
// the transaction.
func (s *Store) parse(key store.Key, value []byte) (store.Item, error) {
	if len(value) < headerSize || binary.BigEndian.Uint32(value) != checksum(key, value[4:]) {
		return store.Item{}, s.damaged(key)
	}
	it := store.Item{
		Key:     key,
		Version: int64(binary.BigEndian.Uint64(value[4:])),
		Body:    slices.Clone(value[headerSize:]),
	}
	if ttl := int64(binary.BigEndian.Uint64(value[12:])); ttl != 0 {
		it.TTL = time.Unix(ttl, 0).UTC()
	}
	return it, nil
}

func (s *Store) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// find is the item as it is, expired or not. ErrNotFound if there is none.
func (s *Store) find(tx *bbolt.Tx, key store.Key) (store.Item, error) {
	partition := tx.Bucket(bucketItems).Bucket([]byte(key.PK))
	if partition == nil {
		return store.Item{}, store.ErrNotFound
	}
	value := partition.Get([]byte(key.SK))
	if value == nil {
		return store.Item{}, store.ErrNotFound
	}
	return s.parse(key, value)
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key store.Key) (it store.Item, err error) {
	if err := store.CheckKey(key); err != nil {
		return store.Item{}, err
	}
	err = s.with(ctx, false, func(tx *bbolt.Tx) error {
		if it, err = s.find(tx, key); err != nil {
			return err
		}
		if store.Expired(it.TTL, s.now()) {
			return store.ErrNotFound
		}
		return nil
	})
	if err != nil {
		return store.Item{}, err
	}
	return it, nil
}

// GetMany implements store.Store, in one transaction.
func (s *Store) GetMany(ctx context.Context, keys ...store.Key) (map[store.Key]store.Item, error) {
	for _, key := range keys {
		if err := store.CheckKey(key); err != nil {
			return nil, err
		}
	}
	out := make(map[store.Key]store.Item, len(keys))
	err := s.with(ctx, false, func(tx *bbolt.Tx) error {
		now := s.now()
		for _, key := range keys {
			it, err := s.find(tx, key)
			switch {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				return err
			case !store.Expired(it.TTL, now):
				out[key] = it
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// LoadNow implements store.Store: in one file nothing is ever behind.
func (s *Store) LoadNow(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	return s.Load(ctx, pk, prefix)
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	var out []store.Item
	err := s.with(ctx, false, func(tx *bbolt.Tx) error {
		partition := tx.Bucket(bucketItems).Bucket([]byte(pk))
		if partition == nil {
			return nil
		}
		now := s.now()
		cursor := partition.Cursor()
		for sk, value := cursor.Seek([]byte(prefix)); sk != nil && bytes.HasPrefix(sk, []byte(prefix)); sk, value = cursor.Next() {
			it, err := s.parse(store.Key{PK: pk, SK: string(sk)}, value)
			if err != nil {
				return err
			}
			if !store.Expired(it.TTL, now) {
				out = append(out, it)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Heads implements store.Store: what stands below a head is passed over unread.
func (s *Store) Heads(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	if err := store.HeadPrefix(prefix); err != nil {
		return nil, err
	}
	var out []store.Item
	err := s.with(ctx, false, func(tx *bbolt.Tx) error {
		partition := tx.Bucket(bucketItems).Bucket([]byte(pk))
		if partition == nil {
			return nil
		}
		now := s.now()
		cursor := partition.Cursor()
		for sk, value := cursor.Seek([]byte(prefix)); sk != nil && bytes.HasPrefix(sk, []byte(prefix)); {
			if end, is := store.Head(string(sk), prefix); !is {
				sk, value = cursor.Seek([]byte(end))
				continue
			}
			it, err := s.parse(store.Key{PK: pk, SK: string(sk)}, value)
			if err != nil {
				return err
			}
			if !store.Expired(it.TTL, now) {
				out = append(out, it)
			}
			sk, value = cursor.Next()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Put implements store.Store. All items that are written are written in one
// transaction: after a kill either all of them are there or none.
func (s *Store) Put(ctx context.Context, items ...store.Item) error {
	var refused []error
	var fit []store.Item
	for _, it := range items {
		if err := store.Check(it); err != nil {
			refused = append(refused, &store.PutError{Key: it.Key, Cause: err})
			continue
		}
		fit = append(fit, it)
	}
	if len(fit) == 0 {
		return errors.Join(refused...)
	}
	var conflicts []error
	err := s.with(ctx, true, func(tx *bbolt.Tx) error {
		now := s.now()
		for _, it := range fit {
			err := s.put(tx, it, now)
			switch {
			case errors.Is(err, store.ErrConflict):
				conflicts = append(conflicts, &store.PutError{Key: it.Key, Cause: err})
			case err != nil:
				return err
			}
		}
		return s.purge(tx, now)
	})
	if err != nil {
		return errors.Join(append(refused, store.RefuseAll(fit, err))...)
	}
	return errors.Join(append(refused, conflicts...)...)
}

func (s *Store) put(tx *bbolt.Tx, it store.Item, now time.Time) error {
	old, err := s.find(tx, it.Key)
	exists := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	version := old.Version
	if exists && store.Expired(old.TTL, now) {
		version = 0
	}
	if version != it.Version {
		return store.ErrConflict
	}
	if exists {
		if err := unschedule(tx, old); err != nil {
			return err
		}
	}
	it.Version++
	partition, err := tx.Bucket(bucketItems).CreateBucketIfNotExists([]byte(it.PK))
	if err != nil {
		return err
	}
	if err := partition.Put([]byte(it.SK), encode(it)); err != nil {
		return err
	}
	if it.TTL.IsZero() {
		return nil
	}
	return tx.Bucket(bucketExpiry).Put(expiryKey(it), []byte{})
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key store.Key, version int64) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	return s.with(ctx, true, func(tx *bbolt.Tx) error {
		old, err := s.find(tx, key)
		if err != nil {
			return err
		}
		now := s.now()
		switch {
		case store.Expired(old.TTL, now):
			return store.ErrNotFound
		case old.Version != version:
			return store.ErrConflict
		}
		return errors.Join(remove(tx, old), s.purge(tx, now))
	})
}

func remove(tx *bbolt.Tx, it store.Item) error {
	return errors.Join(unschedule(tx, it), tx.Bucket(bucketItems).Bucket([]byte(it.PK)).Delete([]byte(it.SK)))
}

// expiryKey sorts by time: Unix seconds, then the length of the partition key,
// then both keys.
func expiryKey(it store.Item) []byte {
	k := binary.BigEndian.AppendUint64(nil, uint64(it.TTL.Unix()))
	k = binary.BigEndian.AppendUint16(k, uint16(len(it.PK)))
	return append(append(k, it.PK...), it.SK...)
}

func unschedule(tx *bbolt.Tx, it store.Item) error {
	if it.TTL.IsZero() {
		return nil
	}
	return tx.Bucket(bucketExpiry).Delete(expiryKey(it))
}

// purge removes some items that have expired, oldest first. It rides on a
// write that happens anyway; readers hide what is still there.
func (s *Store) purge(tx *bbolt.Tx, now time.Time) error {
	expiry := tx.Bucket(bucketExpiry)
	var due [][]byte
	cursor := expiry.Cursor()
	for k, _ := cursor.First(); k != nil && len(due) < purgePerWrite; k, _ = cursor.Next() {
		if len(k) < 10 || int64(binary.BigEndian.Uint64(k)) > now.Unix() {
			break
		}
		due = append(due, slices.Clone(k))
	}
	for _, k := range due {
		if err := expiry.Delete(k); err != nil {
			return err
		}
		split := 10 + int(binary.BigEndian.Uint16(k[8:]))
		if split > len(k) {
			return &FileError{Path: s.path, Kind: Corrupt, Cause: errors.New("an expiry entry is cut off")}
		}
		it, err := s.find(tx, store.Key{PK: string(k[10:split]), SK: string(k[split:])})
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue
		case err != nil:
			return err
		case store.Expired(it.TTL, now):
			if err := remove(tx, it); err != nil {
				return err
			}
		}
	}
	return nil
}
