package dashboard

import (
	"bytes"
	"compress/gzip"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Stamper is a record.Reader that tells without reading whether it may have been
// written to: equal stamps mean that nothing was written between them, if the
// first of them was sure. One that is not sure is being written to. Of any other
// Reader the page reads everything for every request.
type Stamper interface {
	Stamp() (stamp string, sure bool)
}

const (
	// keptFor is how old, by the mesh's clock, what is shown may be while
	// nothing is written. Ages are shown in minutes, and the page's script
	// counts them on from the instant of the answer.
	keptFor = 2 * time.Second
	// whileWritten is how old, on the wall, what is shown may be while the store
	// is being written to: a tick writes hundreds of items, one by one, and a
	// reading among them would hold the next one up and show half of it.
	whileWritten = 3 * time.Second
	// resting is how much longer than it works the page rests: it takes a fifth
	// of one processor, however many ask, and leaves the rest to the functions.
	resting = 4
	// patience is how long a request waits for its turn, on the wall.
	patience = 20 * time.Second
	// loading bounds one reading of the store, on the wall.
	loading = 10 * time.Second
	// maxKept bounds the documents of one edition, in bytes: one for each of 870
	// peers would be 300 MB.
	maxKept = 16 << 20
)

// edition is the mesh at one instant, with the documents that were made of it.
// Who has one holds nothing of the store.
type edition struct {
	stamp  string
	sure   bool
	read   time.Time // wall
	snap   *snapshot
	status Status
	etag   string

	parts *parts // of the HTML; nil until somebody wants it; in turn only

	mu   sync.Mutex
	docs map[string]*document
	size int
}

// document is one answer, whole: it is written from memory, at whatever pace
// its reader takes it.
type document struct {
	contentType, etag string
	body, zipped      []byte
}

func newDocument(contentType, etag string, body []byte) *document {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is one of the package's own
	}
	_, _ = z.Write(body) // into memory
	_ = z.Close()
	return &document{contentType: contentType, etag: etag, body: body, zipped: bytes.Clone(b.Bytes())}
}

// document finds what was made before.
func (e *edition) document(name string) *document {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.docs[name]
}

func (e *edition) keep(name string, d *document) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.size += len(d.body) + len(d.zipped)
	for old, was := range e.docs {
		if e.size <= maxKept {
			break
		}
		e.size -= len(was.body) + len(was.zipped)
		delete(e.docs, old)
	}
	e.docs[name] = d
}

// press makes editions and documents, one piece of work at a time. Who asks
// while it works waits, and shares what comes next. The zero value is ready.
type press struct {
	once   sync.Once
	turn   chan struct{}
	begun  atomic.Uint64 // readings of the store
	newest atomic.Pointer[reading]
	rested time.Time // wall; in turn only
}

// reading is what came of reading the store: an edition, or an error.
type reading struct {
	number  uint64
	edition *edition
	err     error
}

// inTurn does work alone, unless ready finds that another one has done it. The
// turn is passed on with a rest that grows with the work.
func (p *press) inTurn(ctx context.Context, ready func() bool, work func()) error {
	p.once.Do(func() { p.turn = make(chan struct{}, 1) })
	if ready() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if ready() {
		return nil
	}
	if wait := time.Until(p.rested); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	began := time.Now()
	work()
	p.rested = time.Now().Add(resting * time.Since(began))
	return nil
}

// edition is the mesh as it was stored when it was asked for, or later, and
// judged at most keptFor before.
func (h *handler) edition(ctx context.Context) (*edition, error) {
	asked := h.press.begun.Load()
	var found *reading
	ready := func() bool {
		found = h.press.newest.Load()
		return found != nil && h.serves(found, asked)
	}
	err := h.press.inTurn(ctx, ready, func() {
		found = h.read(ctx)
		h.press.newest.Store(found)
	})
	if err != nil {
		return nil, err
	}
	return found.edition, found.err
}

// serves reports whether a reading is good for who came when asked of them had
// begun.
func (h *handler) serves(r *reading, asked uint64) bool {
	later := r.number > asked
	if r.err != nil {
		return later
	}
	e := r.edition
	if age := h.now().Sub(e.snap.now); age < 0 || age > time.Duration(float64(keptFor)*h.rate()) {
		return false
	}
	if later {
		return true
	}
	s, ok := h.Store.(Stamper)
	if !ok {
		return false
	}
	stamp, sure := s.Stamp()
	return e.sure && stamp == e.stamp || !sure && time.Since(e.read) < whileWritten
}

// rate is how fast the mesh's clock runs: a simulated one may run fast, and its
// page is not to be made again all the time.
func (h *handler) rate() float64 {
	if c := h.Mesh.Clock; c != nil && c.Rate > 1 {
		return c.Rate
	}
	return 1
}

// read reads the store. It is not given up with the request that happened to
// begin it: others wait for it.
func (h *handler) read(ctx context.Context) *reading {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loading)
	defer cancel()
	r := &reading{number: h.press.begun.Add(1)}
	e := &edition{docs: map[string]*document{}, read: time.Now()}
	if s, ok := h.Store.(Stamper); ok {
		e.stamp, e.sure = s.Stamp() // before it is read: what is written meanwhile has another
	}
	e.snap, r.err = h.load(ctx, h.now(), h.before)
	if r.err != nil {
		return r
	}
	h.before = e.snap.Snapshot
	e.status = e.snap.status()
	e.etag = e.snap.tag(e.status.Clusters, e.status.Peers)
	r.edition = e
	return r
}

// made is a document of an edition, made now if nobody has.
func (h *handler) made(ctx context.Context, e *edition, name string, do func() (*document, error)) (d *document, err error) {
	waited := h.press.inTurn(ctx, func() bool { d = e.document(name); return d != nil }, func() {
		if d, err = do(); err == nil {
			e.keep(name, d)
		}
	})
	if waited != nil {
		return nil, waited
	}
	return d, err
}
