package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"syscall"
)

// The layout of bbolt's files (go.etcd.io/bbolt/internal/common: page.go, meta.go,
// inode.go, bucket.go). It is read here with every bound checked, and not through
// the memory map: a page number that a flipped bit sends beyond the file would
// fault, and bbolt's own check runs in a goroutine in which nobody can catch that.
// An inner page is worse than damaged data, which its checksum gives away: with a
// wrong key in it an item is there and is not found.
const (
	pageHeader    = 16 // id u64, flags u16, count u16, overflow u32
	element       = 16 // branch: pos, ksize u32, page u64; leaf: flags, pos, ksize, vsize u32
	bucketHeader  = 16 // root page u64, sequence u64
	metaSize      = 64 // magic, version, page size, flags u32; root, sequence, freelist, pages, txid, checksum u64
	metaMagic     = 0xED0CDAED
	metaVersion   = 2
	noFreelist    = ^uint64(0)
	flagBranch    = 0x01
	flagLeaf      = 0x02
	flagFreelist  = 0x10
	elementBucket = 0x01
	// leastPage and mostPage are the sizes of a page that bbolt looks for.
	leastPage, mostPage = 1 << 10, 1 << 24
	// deepest is far beyond any tree of ours: a chain of pages that leads back to
	// itself is met long before.
	deepest = 64
)

// meta is what a meta page says of the file.
type meta struct {
	pageSize       uint32
	root, freelist uint64
	pages, txid    uint64 // how many pages the file has
}

func parseMeta(page []byte) (meta, bool) {
	if len(page) < pageHeader+metaSize {
		return meta{}, false
	}
	b, order := page[pageHeader:], binary.NativeEndian
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	if order.Uint32(b) != metaMagic || order.Uint32(b[4:]) != metaVersion || order.Uint64(b[56:]) != sum.Sum64() {
		return meta{}, false
	}
	m := meta{pageSize: order.Uint32(b[8:]), root: order.Uint64(b[16:]), freelist: order.Uint64(b[32:]), pages: order.Uint64(b[40:]), txid: order.Uint64(b[48:])}
	return m, m.pageSize >= leastPage && m.pageSize <= mostPage
}

// errNoMeta says that nothing in a file says that it is bbolt's.
var errNoMeta = errors.New("no page of it says what it is")

// readMeta finds the meta page in force: the newer one of the two that is whole.
func readMeta(r io.ReaderAt) (newest meta, err error) {
	found := false
	var head [pageHeader + metaSize]byte
	take := func(offset int64) {
		if n, _ := r.ReadAt(head[:], offset); n < len(head) {
			return
		}
		if m, ok := parseMeta(head[:]); ok && (!found || m.txid > newest.txid) {
			newest, found = m, true
		}
	}
	take(0)
	if found {
		take(int64(newest.pageSize))
		return newest, nil
	}
	for size := int64(leastPage); size <= mostPage; size *= 2 { // the first one is damaged
		take(size)
	}
	if !found {
		return meta{}, errNoMeta
	}
	return newest, nil
}

// whatItIs names a file that is no regular one.
func whatItIs(mode os.FileMode) error {
	what := "no regular file"
	switch {
	case mode.IsDir():
		what = "a folder"
	case mode&os.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&os.ModeSocket != 0:
		what = "a socket"
	case mode&os.ModeDevice != 0:
		what = "a device"
	}
	return &kindError{Foreign, "it is " + what}
}

// kindError is a cause that knows its kind.
type kindError struct {
	kind Kind
	text string
}

func (e *kindError) Error() string { return e.text }

// openRegular opens a file for bbolt if it can be one of ours, before anything is
// mapped. Without O_CREATE: a file that has gone is not replaced by an empty one
// that knows of no pause and no open intent.
func openRegular(path string, flag int, mode os.FileMode) (f *os.File, err error) {
	// Looked at before it is opened: opening a named pipe waits for the one who
	// writes to it, and opening a device may do anything.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, whatItIs(info.Mode())
	}
	f, err = os.OpenFile(path, flag&^os.O_CREATE|syscall.O_NONBLOCK, mode)
	if err != nil {
		return nil, err
	}
	if err := plausible(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// plausible says why an open file is none of ours, or not all of it: bbolt would
// fill in an empty file without regard to a kill, and map a short one.
func plausible(f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return whatItIs(info.Mode())
	case info.Size() == 0:
		return &kindError{Foreign, "it is empty; remove it to begin a new one"}
	}
	m, err := readMeta(f)
	if err != nil {
		var magic [4]byte
		if _, err := f.ReadAt(magic[:], pageHeader); err == nil && binary.NativeEndian.Uint32(magic[:]) == metaMagic {
			return &kindError{Corrupt, fmt.Sprintf("neither of its first two pages can be read; it has %d bytes", info.Size())}
		}
		return &kindError{Foreign, "nothing in it says that it is one"}
	}
	// Asked after the meta page was read: a file that another process writes grows
	// before its meta page says so.
	if info, err = f.Stat(); err != nil {
		return err
	}
	if want := int64(m.pages) * int64(m.pageSize); m.pages > uint64(info.Size()) || info.Size() < want {
		return &kindError{Corrupt, fmt.Sprintf("it is cut off: it has %d bytes of at least %d", info.Size(), want)}
	}
	return nil
}

// checkPages reads every page of a file and says where they contradict each other:
// a page that is referred to twice or not at all, keys out of order or not where
// the pages above say. It is what bbolt's own check looks for, and more. The caller holds the
// file's lock.
func checkPages(r io.ReaderAt) error {
	m, err := readMeta(r)
	if err != nil {
		return err
	}
	c := &checker{r: r, meta: m, used: map[uint64]bool{0: true, 1: true}}
	free, err := c.freelist()
	if err != nil {
		return err
	}
	if err := c.tree(m.root, nil, nil, 0); err != nil {
		return err
	}
	for id := range free {
		if c.used[id] {
			return fmt.Errorf("page %d is in use and in the list of free ones", id)
		}
	}
	for id := uint64(2); id < m.pages; id++ {
		if !c.used[id] && !free[id] && m.freelist != noFreelist {
			return fmt.Errorf("page %d has been lost", id)
		}
	}
	return nil
}

type checker struct {
	r io.ReaderAt
	meta
	used map[uint64]bool
}

// page reads a page with what overflows it, and takes note that it is used.
func (c *checker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= c.pages {
		return nil, fmt.Errorf("a page refers to page %d of %d", id, c.pages)
	}
	var head [pageHeader]byte
	at := int64(id) * int64(c.pageSize)
	if _, err := c.r.ReadAt(head[:], at); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	more := uint64(binary.NativeEndian.Uint32(head[12:]))
	switch said := binary.NativeEndian.Uint64(head[:]); {
	case said != id:
		return nil, fmt.Errorf("page %d says that it is page %d", id, said)
	case id+more >= c.pages:
		return nil, fmt.Errorf("page %d goes on beyond the end", id)
	}
	for i := id; i <= id+more; i++ {
		if c.used[i] {
			return nil, fmt.Errorf("page %d is referred to twice", i)
		}
		c.used[i] = true
	}
	b := make([]byte, (more+1)*uint64(c.pageSize))
	if _, err := c.r.ReadAt(b, at); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	return b, nil
}

// freelist reads which pages are free.
func (c *checker) freelist() (map[uint64]bool, error) {
	free := map[uint64]bool{}
	if c.meta.freelist == noFreelist {
		return free, nil
	}
	b, err := c.page(c.meta.freelist)
	if err != nil {
		return nil, err
	}
	order := binary.NativeEndian
	n, ids := uint64(order.Uint16(b[10:])), b[pageHeader:]
	if order.Uint16(b[8:]) != flagFreelist {
		return nil, fmt.Errorf("page %d is no list of free pages", c.meta.freelist)
	}
	if n == 0xFFFF { // more than the header can count
		n, ids = order.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids)/8) {
		return nil, fmt.Errorf("the list of free pages holds more of them than fit in it")
	}
	for i := range n {
		id := order.Uint64(ids[8*i:])
		if id < 2 || id >= c.pages || free[id] {
			return nil, fmt.Errorf("the list of free pages names page %d, of %d, wrongly", id, c.pages)
		}
		free[id] = true
	}
	return free, nil
}

// tree checks a page and all below it, whose keys must lie from least on and below
// most; nil is no bound.
func (c *checker) tree(id uint64, least, most []byte, depth int) error {
	b, err := c.page(id)
	if err != nil {
		return err
	}
	return c.elements(id, b, least, most, depth)
}

func (c *checker) elements(id uint64, b, least, most []byte, depth int) error {
	order := binary.NativeEndian
	if depth > deepest {
		return fmt.Errorf("page %d is %d pages deep", id, depth)
	}
	flags, count := order.Uint16(b[8:]), int(order.Uint16(b[10:]))
	if flags != flagBranch && flags != flagLeaf {
		return fmt.Errorf("page %d is of no kind", id)
	}
	if len(b) < pageHeader+count*element {
		return fmt.Errorf("page %d has more elements than room", id)
	}
	type child struct {
		page uint64
		key  []byte
	}
	var below []child
	var before []byte
	// bbolt writes what belongs to the elements behind them without a gap (node.go,
	// write): an element more or less would be one.
	end := uint64(pageHeader + count*element)
	for i := range count {
		at := pageHeader + i*element
		e := b[at : at+element]
		kind, pos, ksize, vsize := uint32(0), order.Uint32(e), order.Uint32(e[4:]), uint32(0)
		if flags == flagLeaf {
			kind, pos, ksize, vsize = order.Uint32(e), order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:])
		}
		from := uint64(at) + uint64(pos)
		if from+uint64(ksize)+uint64(vsize) > uint64(len(b)) {
			return fmt.Errorf("page %d: element %d lies beyond it", id, i)
		}
		if from != end {
			return fmt.Errorf("page %d: element %d is not in its place", id, i)
		}
		end += uint64(ksize) + uint64(vsize)
		key := b[from : from+uint64(ksize)]
		value := b[from+uint64(ksize) : from+uint64(ksize)+uint64(vsize)]
		if i > 0 && bytes.Compare(before, key) >= 0 || least != nil && bytes.Compare(key, least) < 0 || most != nil && bytes.Compare(key, most) >= 0 {
			return fmt.Errorf("page %d: key %d is not in its place", id, i)
		}
		before = key
		switch {
		case flags == flagBranch:
			below = append(below, child{order.Uint64(e[8:]), key})
		case kind == elementBucket:
			if err := c.bucket(id, value, depth); err != nil {
				return err
			}
		case kind != 0:
			return fmt.Errorf("page %d: element %d is of no kind", id, i)
		}
	}
	if flags == flagBranch && count == 0 {
		return fmt.Errorf("page %d leads nowhere", id)
	}
	for i, x := range below {
		next := most
		if i+1 < len(below) {
			next = below[i+1].key
		}
		if err := c.tree(x.page, x.key, next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// bucket checks what an element that is a bucket holds: a page of its own, or a
// small one within the value.
func (c *checker) bucket(id uint64, value []byte, depth int) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("page %d: a bucket is cut off", id)
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return c.tree(root, nil, nil, depth+1)
	}
	inner := value[bucketHeader:]
	if len(inner) < pageHeader {
		return fmt.Errorf("page %d: a bucket is cut off", id)
	}
	if binary.NativeEndian.Uint16(inner[8:]) != flagLeaf {
		return fmt.Errorf("page %d: a bucket is of no kind", id)
	}
	return c.elements(id, inner, nil, nil, depth+1)
}
