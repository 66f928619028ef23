package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

type base struct {
	Release string `json:"release,omitempty"`
}

// seen is a document such as peersync keeps of a cluster.
type seen struct {
	base
	Users    int            `json:"users"`
	Note     string         `json:"note,omitempty"`
	Nodes    []string       `json:"nodes,omitempty"`
	UpTimes  map[string]int `json:"upTimes,omitempty"`
	Untagged bool
	Skipped  string `json:"-"`
}

var emea = store.Cluster("acme", "emea")

func TestKeys(t *testing.T) {
	id := mesh.PeerID{From: "emea", To: "apac"}
	at := time.Date(2026, 1, 1, 0, 30, 0, 0, time.FixedZone("CET", 3600)) // still 2025 in UTC
	for _, c := range []struct {
		got  store.Key
		want string
	}{
		{store.Cluster("acme", "emea"), "acme#live CLUSTER#emea"},
		{store.Cert("acme", "emea"), "acme#live CERT#emea"},
		{store.PeerSync("acme", id), "acme#live PEER#emea>apac#SYNC"},
		{store.PeerStuck("acme", id), "acme#live PEER#emea>apac#STUCK"},
		{store.PeerCert("acme", id), "acme#live PEER#emea>apac#CERT"},
		{store.RunOf("acme", "peersync"), "acme#live RUN#peersync"},
		{store.Auth("acme", "emea", mesh.ReadAccount), "acme#live AUTH#emea"},
		{store.Auth("acme", "emea", mesh.WriteAccount), "acme#live AUTH#emea/write"},
		{store.Auth("acme", "emea", mesh.PlatformAccount), "acme#live AUTH#emea/platform"},
		{store.Auth("acme", "emea", mesh.PlatformWriteAccount), "acme#live AUTH#emea/platform-write"},
		{store.Alarm("acme", "0a1b"), "acme#live ALARM#0a1b"},
		{store.Gate("acme"), "acme#gate GATE"},
		{store.Pause("acme", "mesh"), "acme#override PAUSE#mesh"},
		{store.Ack("acme", "0a1b"), "acme#override ACK#0a1b"},
		{store.Approval("acme", "7"), "acme#override APPROVAL#7"},
		{store.Pin("acme", "imp.example.com"), "acme#override PIN#imp.example.com"},
		{store.Maintenance("acme", "emea"), "acme#override MAINT#emea"},
		{store.Audit("acme", at, 42), "acme#audit#2025-12 000000000042"},
	} {
		if got := c.got.PK + " " + c.got.SK; got != c.want {
			t.Errorf("key %q, want %q", got, c.want)
		}
	}
	got, part, err := store.ParsePeer("PEER#emea>apac#STUCK")
	if err != nil || got != id || part != store.PartStuck {
		t.Errorf("ParsePeer: %v %q %v", got, part, err)
	}
	for _, bad := range []string{"PEER#emea>apac", "CLUSTER#emea", "PEER#emea#SYNC", "PEER#a>a#SYNC", ""} {
		if _, _, err := store.ParsePeer(bad); err == nil {
			t.Errorf("ParsePeer(%q) succeeded", bad)
		}
	}
}

func TestDocumentBody(t *testing.T) {
	doc := store.NewDoc(emea, 3, seen{Users: 200, base: base{Release: "14.0"}, Note: "emea>apac & co", Skipped: "no"})
	doc.Version = 7
	doc.TTL = time.Unix(1_800_000_000, 5)
	it, err := doc.Item()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schema":3,"version":8,"ttl":1800000000,"release":"14.0","users":200,"note":"emea>apac & co","Untagged":false}`
	if string(it.Body) != want {
		t.Errorf("body %s\nwant %s", it.Body, want)
	}
	if it.Version != 7 || it.Key != emea {
		t.Errorf("item %v version %d", it.Key, it.Version)
	}
	empty, err := store.NewDoc(emea, 1, struct{}{}).Item()
	if err != nil || string(empty.Body) != `{"schema":1,"version":1}` {
		t.Errorf("an empty document is %s, %v", empty.Body, err)
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, body string
		schema     int // of the reader
		want       seen
		newer      bool
		wantErr    string // "" = none
		is         error
	}{
		{name: "our schema", body: `{"schema":2,"version":1,"users":5}`, schema: 2, want: seen{Users: 5}},
		{name: "the schema before", body: `{"schema":1,"version":1,"users":5}`, schema: 2, want: seen{Users: 5}},
		{name: "a newer schema is readable", body: `{"schema":9,"users":5,"new":true}`, schema: 2, want: seen{Users: 5}, newer: true},
		{name: "a newer schema that we cannot read", body: `{"schema":9,"users":{"count":5}}`, schema: 2, wantErr: "newer", is: store.ErrNewerSchema},
		{name: "too old", body: `{"schema":1,"users":5}`, schema: 3, wantErr: "too old"},
		{name: "no schema", body: `{"users":5}`, schema: 1, wantErr: "schema"},
		{name: "schema zero", body: `{"schema":0}`, schema: 1, wantErr: "schema"},
		{name: "schema is text", body: `{"schema":"1"}`, schema: 1, wantErr: "schema"},
		{name: "not an object", body: `[1]`, schema: 1, wantErr: "cannot unmarshal"},
		{name: "null", body: `null`, schema: 1, wantErr: "schema"},
		{name: "nothing", body: ``, schema: 1, wantErr: "unexpected end"},
		{name: "cut off", body: `{"schema":1,"users":`, schema: 1, wantErr: "unexpected end"},
		{name: "a field of the wrong kind", body: `{"schema":1,"users":"five"}`, schema: 1, wantErr: "users"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, err := store.Decode[seen](store.Item{Key: emea, Version: 4, Body: []byte(c.body)}, c.schema)
			if c.wantErr != "" {
				var de *store.DocumentError
				if !errors.As(err, &de) || de.Key != emea || !strings.Contains(err.Error(), c.wantErr) {
					t.Errorf("error %v, want a *DocumentError with %q", err, c.wantErr)
				}
				if c.is != nil && !errors.Is(err, c.is) {
					t.Errorf("error %v is not %v", err, c.is)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, doc.Value, cmp.AllowUnexported(seen{})); diff != "" || doc.Newer != c.newer || doc.Version != 4 {
				t.Errorf("newer %v version %d, value (-want +got):\n%s", doc.Newer, doc.Version, diff)
			}
			if _, err := doc.Item(); errors.Is(err, store.ErrNewerSchema) != c.newer {
				t.Errorf("Item: %v", err)
			}
		})
	}
}

// A field that a document has no longer is gone at the next write.
func TestUnknownFieldsGo(t *testing.T) {
	doc, err := store.Decode[seen](store.Item{Key: emea, Version: 1, Body: []byte(`{"schema":1,"version":1,"past":{"b":1},"users":5,"Untagged":false}`)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	it, changed, err := doc.Change()
	if want := `{"schema":1,"version":2,"users":5,"Untagged":false}`; err != nil || !changed || string(it.Body) != want {
		t.Errorf("changed %v, body %s, %v\nwant %s", changed, it.Body, err, want)
	}
}

func TestDocumentsThatCannotBe(t *testing.T) {
	if _, err := store.NewDoc(emea, 1, map[string]int{}).Item(); err == nil {
		t.Error("a map was taken")
	}
	if _, err := store.NewDoc(emea, 1, struct{ Version int }{}).Item(); err == nil {
		t.Error("a document with a version of its own was taken")
	}
	if _, err := store.NewDoc(emea, 1, struct{ time.Time }{}).Item(); err == nil {
		t.Error("a document that writes its own JSON was taken")
	}
	if _, err := store.NewDoc(emea, 0, seen{}).Item(); err == nil {
		t.Error("a document without a schema was taken")
	}
	if _, err := store.NewDoc(emea, 1, struct{ F func() }{}).Item(); err == nil {
		t.Error("a function was taken")
	}
}

func changed[T any](d store.Doc[T]) (bool, error) {
	_, changed, err := d.Change()
	return changed, err
}

func TestChanged(t *testing.T) {
	stored := func(schema int) store.Doc[seen] {
		it, err := store.NewDoc(emea, schema, seen{Users: 5, UpTimes: map[string]int{"b": 1, "a": 2}}).Item()
		if err != nil {
			t.Fatal(err)
		}
		it.Version = 9
		doc, err := store.Decode[seen](it, 2)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	for _, c := range []struct {
		name   string
		schema int
		change func(*store.Doc[seen])
		want   bool
	}{
		{"nothing", 2, func(*store.Doc[seen]) {}, false},
		{"the version alone", 2, func(d *store.Doc[seen]) { d.Version++ }, false},
		{"a map in another order", 2, func(d *store.Doc[seen]) { d.Value.UpTimes = map[string]int{"a": 2, "b": 1} }, false},
		{"a field", 2, func(d *store.Doc[seen]) { d.Value.Users++ }, true},
		{"a field that appears", 2, func(d *store.Doc[seen]) { d.Value.Note = "x" }, true},
		{"the expiry", 2, func(d *store.Doc[seen]) { d.TTL = time.Unix(1_800_000_000, 0) }, true},
		{"the schema moves up", 1, func(*store.Doc[seen]) {}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := stored(c.schema)
			c.change(&doc)
			if got, err := changed(doc); err != nil || got != c.want {
				t.Errorf("Changed = %v, %v; want %v", got, err, c.want)
			}
		})
	}
	if got, err := changed(store.NewDoc(emea, 1, seen{})); err != nil || !got {
		t.Errorf("a new document: Changed = %v, %v", got, err)
	}
}

func TestChangedByWhoWroteIt(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       bool
	}{
		{"as we write it", `{"schema":2,"version":9,"release":"14","users":5,"Untagged":false}`, false},
		{"as we write it, a field elsewhere", `{"schema":2,"version":9,"users":5,"release":"14","Untagged":false}`, true},
		{"with a space", `{"schema":2, "version":9,"release":"14","users":5,"Untagged":false}`, true},
		{"the head elsewhere", `{"users":5,"version":9,"Untagged":false,"release":"14","schema":2}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, err := store.Decode[seen](store.Item{Key: emea, Version: 9, Body: []byte(c.body)}, 2)
			if err != nil {
				t.Fatal(err)
			}
			it, is, err := doc.Change()
			if err != nil || is != c.want {
				t.Fatalf("changed = %v, %v; want %v", is, err, c.want)
			}
			if !is {
				return
			}
			it.Version++ // once written, it is as we write it
			again, err := store.Decode[seen](it, 2)
			if err != nil {
				t.Fatal(err)
			}
			if is, err := changed(again); err != nil || is {
				t.Errorf("written once, it counts as changed: %v", err)
			}
		})
	}
}

func TestLoadDocs(t *testing.T) {
	s := storetest.NewMemory()
	for _, id := range []mesh.ClusterID{"emea", "apac"} {
		it, err := store.NewDoc(store.Cluster("acme", id), 1, seen{Note: string(id)}).Item()
		if err = errors.Join(err, s.Put(t.Context(), it)); err != nil {
			t.Fatal(err)
		}
	}
	docs, err := store.LoadDocs[seen](t.Context(), s, store.Live("acme"), store.PrefixCluster, 1)
	if err != nil || len(docs) != 2 || docs["CLUSTER#apac"].Value.Note != "apac" {
		t.Fatalf("%v, %v", docs, err)
	}
	if err := s.Put(t.Context(), store.Item{Key: store.Cluster("acme", "amer"), Body: []byte("junk")}); err != nil {
		t.Fatal(err)
	}
	docs, err = store.LoadDocs[seen](t.Context(), s, store.Live("acme"), store.PrefixCluster, 1)
	var de *store.DocumentError
	if len(docs) != 2 || !errors.As(err, &de) || de.Key.SK != "CLUSTER#amer" {
		t.Errorf("with a broken item: %d documents, error %v", len(docs), err)
	}
	s.Fail = func(string, store.Key) error { return errors.New("throttled") }
	if docs, err := store.LoadDocs[seen](t.Context(), s, store.Live("acme"), "", 1); err == nil || docs != nil {
		t.Errorf("a failed load gave %v, %v", docs, err)
	}
}

func bump(d *store.Doc[seen], _ bool) (bool, error) {
	d.Value.Users++
	return true, nil
}

func TestClaim(t *testing.T) {
	t.Run("creates, then changes", func(t *testing.T) {
		s := storetest.NewMemory()
		for want := int64(1); want <= 3; want++ {
			doc, ok, err := store.Claim(t.Context(), s, emea, 1, func(d *store.Doc[seen], exists bool) (bool, error) {
				if exists != (want > 1) {
					t.Errorf("exists = %v before write %d", exists, want)
				}
				return bump(d, exists)
			})
			if err != nil || !ok || doc.Version != want || int64(doc.Value.Users) != want {
				t.Fatalf("write %d: %+v %v %v", want, doc, ok, err)
			}
			if is, err := changed(doc); is || err != nil {
				t.Errorf("what was just written counts as changed: %v", err)
			}
		}
	})
	t.Run("not proceeding writes nothing", func(t *testing.T) {
		s := storetest.NewMemory()
		if _, ok, err := store.Claim(t.Context(), s, emea, 1, func(*store.Doc[seen], bool) (bool, error) { return false, nil }); ok || err != nil {
			t.Errorf("%v %v", ok, err)
		}
		no := errors.New("no")
		if _, ok, err := store.Claim(t.Context(), s, emea, 1, func(*store.Doc[seen], bool) (bool, error) { return true, no }); ok || !errors.Is(err, no) {
			t.Errorf("%v %v", ok, err)
		}
		if _, err := s.Get(t.Context(), emea); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the item exists: %v", err)
		}
	})
	t.Run("many claimers lose nothing", func(t *testing.T) {
		s := storetest.NewMemory()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				for range 10 {
					for {
						_, _, err := store.Claim(t.Context(), s, emea, 1, bump)
						if err == nil {
							break
						}
						if !errors.Is(err, store.ErrConflict) {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		wg.Wait()
		if doc, _, err := store.Claim(t.Context(), s, emea, 1, bump); err != nil || doc.Value.Users != 51 {
			t.Errorf("count %d, %v; want 51", doc.Value.Users, err)
		}
	})
	t.Run("gives up on a writer in a loop", func(t *testing.T) {
		s := storetest.NewMemory()
		calls := 0
		s.Fail = func(op string, _ store.Key) error {
			if op == "put" {
				calls++
				return store.ErrConflict
			}
			return nil
		}
		if _, ok, err := store.Claim(t.Context(), s, emea, 1, bump); ok || !errors.Is(err, store.ErrConflict) || calls < 2 || calls > 20 {
			t.Errorf("%v after %d tries: %v", ok, calls, err)
		}
	})
	t.Run("a lost answer is not tried again", func(t *testing.T) {
		s := storetest.NewMemory()
		lost := errors.New("connection reset")
		s.Fail = func(op string, _ store.Key) error {
			if op == "written" {
				return lost
			}
			return nil
		}
		if _, ok, err := store.Claim(t.Context(), s, emea, 1, bump); ok || !errors.Is(err, lost) {
			t.Errorf("%v %v", ok, err)
		}
		if it, err := s.Get(t.Context(), emea); err != nil || it.Version != 1 {
			t.Errorf("version %d, %v", it.Version, err)
		}
	})
	t.Run("a newer item is left alone", func(t *testing.T) {
		s := storetest.NewMemory()
		if err := s.Put(t.Context(), store.Item{Key: emea, Body: []byte(`{"schema":5,"users":1}`)}); err != nil {
			t.Fatal(err)
		}
		if doc, ok, err := store.Claim(t.Context(), s, emea, 1, bump); ok || !errors.Is(err, store.ErrNewerSchema) || !doc.Newer {
			t.Errorf("%v %v", ok, err)
		}
	})
	t.Run("an ended context ends it", func(t *testing.T) {
		s := storetest.NewMemory()
		ctx, cancel := context.WithCancel(t.Context())
		s.Fail = func(op string, _ store.Key) error {
			if op == "put" {
				cancel()
				return store.ErrConflict
			}
			return nil
		}
		if _, _, err := store.Claim(ctx, s, emea, 1, bump); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("a stale load does no harm", func(t *testing.T) {
		s := storetest.Stale(storetest.NewMemory(), 3)
		for range 4 {
			if _, _, err := store.Claim(t.Context(), s, emea, 1, bump); err != nil {
				t.Fatal(err)
			}
		}
		docs, err := store.LoadDocs[seen](t.Context(), s, emea.PK, "", 1)
		if err != nil || docs[emea.SK].Version == 4 {
			t.Fatalf("the load is not stale: %v %v", docs, err)
		}
		doc := docs[emea.SK]
		doc.Value.Users = 100
		it, err := doc.Item()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), it); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a write on a stale load: %v", err)
		}
	})
}

func TestPutErrors(t *testing.T) {
	a, b := &store.PutError{Key: emea, Cause: store.ErrConflict}, &store.PutError{Cause: store.ErrInvalid}
	err := fmt.Errorf("writing the tick: %w", errors.Join(a, fmt.Errorf("again: %w", b), errors.New("other")))
	if got := storetest.PutErrors(err); len(got) != 2 || got[0] != a || got[1] != b {
		t.Errorf("%v", got)
	}
	if storetest.PutErrors(nil) != nil {
		t.Error("no error has errors")
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"schema":1,"version":3,"ttl":5,"users":5,"future":[1,{"a":null}],"note":"x"}`,
		`{"SCHEMA":1,"schema":1,"Users":1,"users":2}`, `{"schema":2}`, `null`, `{`, `{"schema":1,"schema":2}`, `{"schema":1,"\u0000":"\ud800"}`, `{"schema":1,"uſers":3}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := store.Decode[seen](store.Item{Key: emea, Version: 3, Body: body}, 2)
		if err != nil || doc.Newer {
			return
		}
		it, err := doc.Item()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := store.Decode[seen](it, 2)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, it.Body)
		}
		if diff := cmp.Diff(doc.Value, again.Value, cmp.AllowUnexported(seen{})); diff != "" {
			t.Fatalf("the value changed: %s", diff)
		}
		second, err := again.Item()
		if err != nil || !bytes.Equal(it.Body, second.Body) {
			t.Fatalf("equal documents, different bytes: %v\n%s\n%s", err, it.Body, second.Body)
		}
		if is, err := changed(again); err != nil || is {
			t.Fatalf("unchanged document counts as changed: %v", err)
		}
	})
}

// The documents of a mesh of 30 clusters: 870 peers with three items each.
func BenchmarkLoadDocs30Clusters(b *testing.B) {
	s := storetest.NewMemory()
	for i := range 2640 {
		doc := store.NewDoc(store.RunOf("acme", fmt.Sprint(i)), 1, seen{Users: i, Nodes: []string{"imp-emea-pub.example.com", "imp-emea-sub.example.com"}, Note: strings.Repeat("x", 500)})
		it, err := doc.Item()
		if err = errors.Join(err, s.Put(b.Context(), it)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if docs, err := store.LoadDocs[seen](b.Context(), s, store.Live("acme"), "", 1); err != nil || len(docs) != 2640 {
			b.Fatal(err)
		}
	}
}
