package dashboard

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// counted is a store that counts how often it is read, and how many at once.
type counted struct {
	record.Reader
	loads, at, most atomic.Int64
	hold            chan struct{} // while open, readings wait for it; nil does not
	stamp           atomic.Int64  // changes as the store does
	writing         atomic.Bool
}

func (c *counted) Load(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	if pk == store.Pushed("acme") {
		return c.Reader.Load(ctx, pk, prefix) // part of the reading that was counted
	}
	c.loads.Add(1)
	if n := c.at.Add(1); n > c.most.Load() {
		c.most.Store(n)
	}
	defer c.at.Add(-1)
	if c.hold != nil {
		select {
		case <-c.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return c.Reader.Load(ctx, pk, prefix)
}

// stamped is one that tells cheaply whether it was written to, and whether it
// is being written to now.
type stamped struct{ *counted }

func (s stamped) Stamp() (string, bool) { return fmt.Sprint(s.stamp.Load()), !s.writing.Load() }

// TestManyReadersAreOneReading: two hundred who ask at once cost one reading of
// the store at a time, and two in all: the one under way, which may be older
// than their question, and the next.
func TestManyReadersAreOneReading(t *testing.T) {
	for _, url := range []string{"/", "/api/status.json", "/peer/apac%3Eemea", "/api/explain/apac%3Eemea.json", "/api/trust.json"} {
		s := troubled(t, 3)
		c := &counted{Reader: s.store, hold: make(chan struct{})}
		p := pageOf(s)
		p.Store = c
		h := p.Handler()
		var done, arrived sync.WaitGroup
		var good atomic.Int64
		arrived.Add(200)
		for range 200 {
			done.Go(func() {
				arrived.Done()
				if w := ask(t, h, "GET", url); w.Code == 200 && w.Body.Len() > 0 {
					good.Add(1)
				}
			})
		}
		arrived.Wait()
		close(c.hold)
		done.Wait()
		if good.Load() != 200 {
			t.Errorf("%s: %d of 200 were answered", url, good.Load())
		}
		// Those that had come and not yet asked when the second began need a third.
		if n := c.loads.Load(); c.most.Load() != 1 || n > 20 {
			t.Errorf("%s: %d readings, %d at once; want a few, one at a time", url, n, c.most.Load())
		}
	}
}

// TestPageIsKeptUntilTheStoreChanges: then nothing is read, and when it has
// changed, the next who asks sees it.
func TestPageIsKeptUntilTheStoreChanges(t *testing.T) {
	s := newScene(t, 3)
	c := &counted{Reader: s.store}
	p := pageOf(s)
	p.Store = stamped{c}
	now := sceneNow
	p.Now = func() time.Time { return now }
	h := p.Handler()
	first := ask(t, h, "GET", "/").Body.String()
	for range 50 {
		if got := ask(t, h, "GET", "/").Body.String(); got != first {
			t.Fatal("the page changed by itself")
		}
		ask(t, h, "HEAD", "/api/status.json")
	}
	if n := c.loads.Load(); n != 1 {
		t.Errorf("%d readings of a store that nobody wrote to, want 1", n)
	}
	s.stuck("emea>apac", 4*time.Hour)
	c.stamp.Add(1)
	if got := ask(t, h, "GET", "/").Body.String(); !strings.Contains(got, "emea pulls from apac: Stuck") {
		t.Error("the next reader does not see what was written")
	}
	// Ages are told true: two seconds later all is judged again.
	now = sceneNow.Add(keptFor + time.Second)
	w := ask(t, h, "GET", "/")
	if got, want := w.Header().Get("Peerkeeper-As-Of"), now.UTC().Format(time.RFC3339Nano); got != want {
		t.Errorf("as of %s, want %s", got, want)
	}
	if n := c.loads.Load(); n != 3 {
		t.Errorf("%d readings, want 3", n)
	}
	// A clock that steps back is followed too.
	now = sceneNow.Add(-time.Hour)
	if got := ask(t, h, "GET", "/").Header().Get("Peerkeeper-As-Of"); got != now.UTC().Format(time.RFC3339Nano) {
		t.Errorf("after the clock stepped back: as of %s", got)
	}
}

// TestReadersLetATickWriteInPeace: while a function writes its hundreds of items
// nothing is read among them, and what it wrote is shown when it is done.
func TestReadersLetATickWriteInPeace(t *testing.T) {
	s := newScene(t, 3)
	c := &counted{Reader: s.store}
	p := pageOf(s)
	p.Store = stamped{c}
	h := p.Handler()
	ask(t, h, "GET", "/")
	c.writing.Store(true)
	s.stuck("emea>apac", 4*time.Hour)
	for range 100 {
		c.stamp.Add(1)
		if w := ask(t, h, "GET", "/"); w.Code != 200 {
			t.Fatalf("while it is written: %d", w.Code)
		}
	}
	if n := c.loads.Load(); n != 1 {
		t.Errorf("%d readings among the writes, want none", n-1)
	}
	c.writing.Store(false)
	if got := ask(t, h, "GET", "/").Body.String(); !strings.Contains(got, "emea pulls from apac: Stuck") {
		t.Error("what was written is not shown when the writing is over")
	}
}

// TestStoreThatHangsIsAskedOnce: readers of a store that does not answer share
// its one error.
func TestStoreThatHangsIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, 2)
		c := &counted{Reader: s.store, hold: make(chan struct{})}
		s.store.Fail = func(string, store.Key) error { return errors.New("locked") }
		p := pageOf(s)
		p.Store = c
		h := p.Handler()
		var done sync.WaitGroup
		var refused atomic.Int64
		for range 50 {
			done.Go(func() {
				if ask(t, h, "GET", "/").Code == http.StatusServiceUnavailable {
					refused.Add(1)
				}
			})
		}
		synctest.Wait() // one of them reads, the others wait
		close(c.hold)
		done.Wait()
		// Who came before the first reading began shares it, all others the second.
		if refused.Load() != 50 || c.loads.Load() > 2 {
			t.Errorf("%d of 50 were told, after %d readings", refused.Load(), c.loads.Load())
		}
	})
}

// TestReaderWhoLeavesSpoilsNothing: the reading that an impatient reader began
// goes on for the others.
func TestReaderWhoLeavesSpoilsNothing(t *testing.T) {
	s := newScene(t, 2)
	c := &counted{Reader: s.store, hold: make(chan struct{})}
	p := pageOf(s)
	p.Store = stamped{c}
	h := p.Handler()
	ctx, leave := context.WithCancel(t.Context())
	var first sync.WaitGroup
	first.Go(func() {
		r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
		r.Host = "localhost"
		h.ServeHTTP(httptest.NewRecorder(), r)
	})
	for c.loads.Load() == 0 {
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(time.Millisecond):
		}
	}
	leave()
	close(c.hold)
	first.Wait()
	if w := ask(t, h, "GET", "/"); w.Code != 200 || c.loads.Load() != 1 {
		t.Errorf("the next reader: %d after %d readings, want 200 after the first", w.Code, c.loads.Load())
	}
}

// TestAnswersAreZippedOnce, for those who can read it, and say the same.
func TestAnswersAreZippedOnce(t *testing.T) {
	h := pageOf(troubled(t, 3)).Handler()
	for _, url := range []string{"/", "/peer/apac%3Eemea", "/api/status.json", "/api/explain/apac%3Eemea.json", "/api/trust.json", "/app.css", "/app.js"} {
		plain, zipped := ask(t, h, "GET", url), ask(t, h, "GET", url, "Accept-Encoding", "br;q=1.0, gzip;q=0.8")
		if plain.Header().Get("Content-Encoding") != "" || zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: encodings %q and %q", url, plain.Header().Get("Content-Encoding"), zipped.Header().Get("Content-Encoding"))
			continue
		}
		r, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, plain.Body.Bytes()) {
			t.Errorf("%s: zipped it says something else (%v)", url, err)
		}
	}
	for header, want := range map[string]bool{"gzip": true, "GZIP": true, "deflate, gzip": true, "gzip;q=0": false, "gzip; q=0.0": false, "gzip;q=0.001": true, "": false, "br": false, "gzipped": false} {
		if takesGzip(header) != want {
			t.Errorf("Accept-Encoding %q: %v, want %v", header, !want, want)
		}
	}
}

// TestKeptDocumentsAreBounded: a reader who walks through 870 peers fills no
// memory.
func TestKeptDocumentsAreBounded(t *testing.T) {
	e := &edition{docs: map[string]*document{}}
	for i := range 500 {
		e.keep(fmt.Sprint(i), &document{body: make([]byte, 300<<10)})
		size := 0
		for _, d := range e.docs {
			size += len(d.body) + len(d.zipped)
		}
		if size != e.size || size > maxKept+300<<10 {
			t.Fatalf("%d bytes are kept, %d counted", size, e.size)
		}
	}
	if e.document("499") == nil {
		t.Error("the newest is not kept")
	}
}

// TestOnePeerIsMarked in pages that share the rest.
func TestOnePeerIsMarked(t *testing.T) {
	h := pageOf(troubled(t, 3)).Handler()
	for _, c := range []struct {
		url  string
		want int
	}{{"/peer/apac%3Eemea", 1}, {"/", 0}, {"/peer/emea%3Eamer", 1}} {
		body := ask(t, h, "GET", c.url).Body.String()
		if n := strings.Count(body, `aria-current="true"`); n != c.want {
			t.Errorf("%s marks %d cells, want %d", c.url, n, c.want)
		}
	}
}
