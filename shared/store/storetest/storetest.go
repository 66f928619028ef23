// Package storetest says what a store.Store must do, as a suite that every
// implementation runs, has the store that other packages' tests use (Memory), and
// wraps a store so that its loads lag behind.
//
// No program links it. A store that passes may still differ in what the interface
// leaves open: how late a Load may be, and which of ErrConflict and
// ErrNotFound the deletion of an absent item gives.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/store"
)

// Run runs the suite. open gives an empty store with the wall clock; the suite
// may call it several times and shares nothing between stores. The store's
// loads must be consistent while nobody else writes.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s store.Store)
	}{
		{"an item that is not there", absent},
		{"an item comes back as it was written", roundTrip},
		{"version 0 means must not exist yet", create},
		{"a late writer learns that it was late", conflict},
		{"one conflict leaves the other items written", partialPut},
		{"one impossible item leaves the other items written", partialRefusal},
		{"the same item twice in one put", twiceInOnePut},
		{"a load is in the order of the sort keys", order},
		{"a load keeps to its prefix and partition", prefix},
		{"heads come without what stands below them", heads},
		{"a load of many large items is whole", manyLarge},
		{"an empty partition loads as nothing", emptyPartition},
		{"many items are read at once", many},
		{"many of the largest items are read at once", manyLargest},
		{"keys in any script", unicodeKeys},
		{"bytes given and returned are nobody else's", isolation},
		{"delete is conditional", conditionalDelete},
		{"a deleted item begins again", recreate},
		{"an expired item is hidden and may begin again", expiry},
		{"an item may lose its expiry", expiryWithdrawn},
		{"an item beyond DynamoDB's 400 KB is refused by name", tooLarge},
		{"a large item is not refused", large},
		{"keys that DynamoDB refuses", badKeys},
		{"a put of nothing", nothing},
		{"a call whose context has ended changes nothing", cancelled},
		{"of writers that race to create one wins", raceToCreate},
		{"N writers of one item make N versions", manyWriters},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func key(pk, sk string) store.Key { return store.Key{PK: pk, SK: sk} }

func item(sk, body string) store.Item {
	return store.Item{Key: key("acme#live", sk), Body: []byte(body)}
}

func put(t *testing.T, s store.Store, items ...store.Item) {
	t.Helper()
	if err := s.Put(t.Context(), items...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

// get reads an item in both ways, which must agree.
func get(t *testing.T, s store.Store, k store.Key) store.Item {
	t.Helper()
	it, err := s.Get(t.Context(), k)
	if err != nil {
		t.Fatalf("Get %v: %v", k, err)
	}
	if many := getMany(t, s, k); len(many) != 1 || !same(many[k], it) {
		t.Errorf("GetMany of %s gives %d items, another than Get", k.SK, len(many))
	}
	return it
}

func getMany(t *testing.T, s store.Store, keys ...store.Key) map[store.Key]store.Item {
	t.Helper()
	items, err := s.GetMany(t.Context(), keys...)
	if err != nil {
		t.Fatalf("GetMany of %d: %v", len(keys), err)
	}
	return items
}

// load loads in both ways, which must agree.
func load(t *testing.T, s store.Store, pk, prefix string) []store.Item {
	t.Helper()
	items, err := s.Load(t.Context(), pk, prefix)
	if err != nil {
		t.Fatalf("Load %s %s: %v", pk, prefix, err)
	}
	now, err := s.LoadNow(t.Context(), pk, prefix)
	if err != nil {
		t.Fatalf("LoadNow %s %s: %v", pk, prefix, err)
	}
	if !slices.EqualFunc(now, items, same) {
		t.Errorf("%s %s: Load gives %d items, LoadNow %d, and not the same", pk, prefix, len(items), len(now))
	}
	return items
}

// same compares without a word on how two items differ, which of large ones
// takes minutes to find.
func same(a, b store.Item) bool {
	return a.Key == b.Key && a.Version == b.Version && a.TTL.Equal(b.TTL) && bytes.Equal(a.Body, b.Body)
}

func loadSKs(t *testing.T, s store.Store, pk, prefix string) []string {
	t.Helper()
	sks := []string{}
	for _, it := range load(t, s, pk, prefix) {
		if it.PK != pk {
			t.Errorf("loading %s gave an item of %s", pk, it.PK)
		}
		sks = append(sks, it.SK)
	}
	return sks
}

func wantErr(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: error %v, want %v", what, err, target)
	}
}

func wantBody(t *testing.T, s store.Store, k store.Key, body string, version int64) {
	t.Helper()
	it := get(t, s, k)
	if string(it.Body) != body || it.Version != version {
		t.Errorf("%s is %.60q version %d, want %.60q version %d", k.SK, it.Body, it.Version, body, version)
	}
}

func absent(t *testing.T, s store.Store) {
	_, err := s.Get(t.Context(), key("acme#live", "CLUSTER#emea"))
	wantErr(t, "Get", err, store.ErrNotFound)
}

func roundTrip(t *testing.T, s store.Store) {
	it := item("CLUSTER#emea", `{"schema":1,"version":1,"note":"ünï 🦉"}`)
	it.TTL = time.Now().Add(48 * time.Hour).Truncate(time.Second).UTC()
	put(t, s, it)
	want := it
	want.Version = 1
	if diff := cmp.Diff(want, get(t, s, it.Key)); diff != "" {
		t.Errorf("Get (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]store.Item{want}, load(t, s, it.PK, "")); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
	want.Body = []byte(`{"schema":1,"version":2}`)
	want.TTL = time.Time{}
	put(t, s, want)
	want.Version = 2
	if diff := cmp.Diff(want, get(t, s, it.Key)); diff != "" {
		t.Errorf("Get after the second write (-want +got):\n%s", diff)
	}
}

func create(t *testing.T, s store.Store) {
	it := item("GATE", "first")
	put(t, s, it)
	it.Body = []byte("second")
	wantErr(t, "creating it again", s.Put(t.Context(), it), store.ErrConflict)
	wantBody(t, s, it.Key, "first", 1)
	gone := item("RUN#peersync", "x")
	gone.Version = 1
	wantErr(t, "changing what does not exist", s.Put(t.Context(), gone), store.ErrConflict)
	_, err := s.Get(t.Context(), gone.Key)
	wantErr(t, "and it must not come to exist", err, store.ErrNotFound)
}

func conflict(t *testing.T, s store.Store) {
	put(t, s, item("GATE", "one"))
	read := get(t, s, key("acme#live", "GATE"))
	early, late := read, read
	early.Body, late.Body = []byte("early"), []byte("late")
	put(t, s, early)
	err := s.Put(t.Context(), late)
	wantErr(t, "the late write", err, store.ErrConflict)
	var pe *store.PutError
	if !errors.As(err, &pe) || pe.Key != read.Key {
		t.Errorf("the error %v names no item", err)
	}
	wantBody(t, s, read.Key, "early", 2)
	late.Version = 7
	wantErr(t, "a version that never was", s.Put(t.Context(), late), store.ErrConflict)
	wantBody(t, s, read.Key, "early", 2)
}

func partialPut(t *testing.T, s store.Store) {
	put(t, s, item("CLUSTER#b", "old"))
	a, b, c := item("CLUSTER#a", "new"), item("CLUSTER#b", "new"), item("CLUSTER#c", "new")
	err := s.Put(t.Context(), a, b, c)
	wantErr(t, "Put", err, store.ErrConflict)
	failed := PutErrors(err)
	if len(failed) != 1 || failed[0].Key != b.Key {
		t.Errorf("failed items %v, want only %s", err, b.SK)
	}
	wantBody(t, s, a.Key, "new", 1)
	wantBody(t, s, b.Key, "old", 1)
	wantBody(t, s, c.Key, "new", 1)
}

func partialRefusal(t *testing.T, s store.Store) {
	big := item("CLUSTER#b", strings.Repeat("x", store.MaxItemSize+1))
	err := s.Put(t.Context(), item("CLUSTER#a", "new"), big, item("CLUSTER#c", "new"))
	if failed := PutErrors(err); len(failed) != 1 || failed[0].Key != big.Key {
		t.Errorf("failed items %v, want only %s", err, big.SK)
	}
	if errors.Is(err, store.ErrConflict) {
		t.Errorf("%v is called a conflict", err)
	}
	if diff := cmp.Diff([]string{"CLUSTER#a", "CLUSTER#c"}, loadSKs(t, s, "acme#live", "")); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

func twiceInOnePut(t *testing.T, s store.Store) {
	err := s.Put(t.Context(), item("GATE", "one"), item("GATE", "two"))
	wantErr(t, "Put", err, store.ErrConflict)
	if failed := PutErrors(err); len(failed) != 1 {
		t.Errorf("%d items failed, want 1: %v", len(failed), err)
	}
	if it := get(t, s, key("acme#live", "GATE")); it.Version != 1 {
		t.Errorf("version %d, want 1", it.Version)
	}
}

func order(t *testing.T, s store.Store) {
	sks := []string{"PEER#emea>apac#SYNC", "PEER#apac>emea#SYNC", "CLUSTER#c04", "CLUSTER#c10", "CLUSTER#C04", "a", "B", "~", "é"}
	for _, sk := range sks {
		put(t, s, item(sk, sk))
	}
	slices.Sort(sks) // by bytes, as DynamoDB does
	if diff := cmp.Diff(sks, loadSKs(t, s, "acme#live", "")); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func prefix(t *testing.T, s store.Store) {
	for _, sk := range []string{"PEER#a>b#CERT", "PEER#a>b#SYNC", "PEER#a>bc#SYNC", "PEERS", "PEER", "QEER#a>b#SYNC"} {
		put(t, s, item(sk, "x"))
	}
	put(t, s, store.Item{Key: key("acme#liv", "PEER#a>b#SYNC")}, store.Item{Key: key("acme#live2", "PEER#a>b#SYNC")})
	for _, c := range []struct {
		prefix string
		want   []string
	}{
		{"PEER#a>b#", []string{"PEER#a>b#CERT", "PEER#a>b#SYNC"}},
		{"PEER#a>b#SYNC", []string{"PEER#a>b#SYNC"}},
		{"PEER#", []string{"PEER#a>b#CERT", "PEER#a>b#SYNC", "PEER#a>bc#SYNC"}},
		{"peer#", []string{}},
		{"Z", []string{}},
	} {
		if diff := cmp.Diff(c.want, loadSKs(t, s, "acme#live", c.prefix)); diff != "" {
			t.Errorf("prefix %q (-want +got):\n%s", c.prefix, diff)
		}
	}
}

// manyLarge is more than the 1 MB that DynamoDB gives in one page.
// heads: however many items stand below one, and whatever stands beside them.
func heads(t *testing.T, s store.Store) {
	var items []store.Item
	below := func(head string, n int) {
		for i := range n {
			items = append(items, item(fmt.Sprintf("CHANGE#%s#%04d", head, i+1), "a step"))
		}
	}
	for _, sk := range []string{"CHANGE", "CHANGE#0", "CHANGE#0a", "CHANGE#7 b", "CHANGE#7!", "CHANGE#7$", "CHANGE#7é", "CHANGE$", "CHANGES#1"} {
		items = append(items, item(sk, "a head"))
	}
	below("0", 230)
	below("0a", 1)
	below("7", 120) // a head that has gone, or has not come yet
	below("7!", 2)
	below("7!#deeper", 2)
	gone := item("CHANGE#9", "expired")
	gone.TTL = time.Now().Add(-time.Hour)
	put(t, s, append(items, gone)...)
	list := func(prefix string) []string {
		t.Helper()
		got, err := s.Heads(t.Context(), "acme#live", prefix)
		if err != nil {
			t.Fatal(err)
		}
		var sks []string
		for _, it := range got {
			sks = append(sks, it.SK)
			if string(it.Body) == "" || it.Version != 1 || it.PK != "acme#live" {
				t.Errorf("%s came back as %+v", it.SK, it)
			}
		}
		return sks
	}
	if diff := cmp.Diff([]string{"CHANGE#0", "CHANGE#0a", "CHANGE#7 b", "CHANGE#7!", "CHANGE#7$", "CHANGE#7é"}, list("CHANGE#")); diff != "" {
		t.Errorf("heads (-want +got):\n%s", diff)
	}
	if got := list("CHANGE#7!#"); len(got) != 2 {
		t.Errorf("heads below a head: %q", got)
	}
	if got := list("NOTHING#"); len(got) != 0 {
		t.Errorf("heads of nothing: %q", got)
	}
	_, err := s.Heads(t.Context(), "acme#live", "CHANGE")
	wantErr(t, "a prefix that does not end in #", err, store.ErrInvalid)
}

func manyLarge(t *testing.T, s store.Store) {
	var items []store.Item
	var want []string
	for i := range 40 {
		sk := fmt.Sprintf("CLUSTER#%02d", i)
		want = append(want, sk)
		items = append(items, item(sk, strings.Repeat("x", 60<<10)))
	}
	put(t, s, items...)
	if diff := cmp.Diff(want, loadSKs(t, s, "acme#live", "")); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

// many is more than the 100 keys that DynamoDB takes in one request, in two
// partitions, with keys that do not exist, keys given twice, and an item that
// has expired.
func many(t *testing.T, s store.Store) {
	var items []store.Item
	var keys []store.Key
	want := map[store.Key]store.Item{}
	for i := range 230 {
		it := item(fmt.Sprintf("PEER#%03d", i), fmt.Sprint("body ", i))
		if i%10 == 0 {
			it.PK = "acme#override"
		}
		keys = append(keys, it.Key, key(it.PK, "MISSING#"+it.SK))
		if i%3 == 0 {
			keys = append(keys, it.Key)
		}
		if i == 7 {
			it.TTL = time.Now().Add(-time.Hour)
		}
		items = append(items, it)
		if i != 7 {
			it.Version = 1
			want[it.Key] = it
		}
	}
	put(t, s, items...)
	keys = append(keys, key("nobody#live", "GATE"))
	if diff := cmp.Diff(want, getMany(t, s, keys...)); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	slices.Reverse(keys)
	if diff := cmp.Diff(want, getMany(t, s, keys...)); diff != "" {
		t.Errorf("items, asked for the other way round (-want +got):\n%s", diff)
	}
	if got := getMany(t, s); len(got) != 0 {
		t.Errorf("asked for nothing, %d items came", len(got))
	}
	next := items[3]
	next.Version, next.Body = 1, []byte("changed")
	put(t, s, next)
	if got := getMany(t, s, keys...)[next.Key]; got.Version != 2 || string(got.Body) != "changed" {
		t.Errorf("what was just written is read as %q version %d", got.Body, got.Version)
	}
}

// manyLargest is more than the 16 MB that DynamoDB gives in one answer.
func manyLargest(t *testing.T, s store.Store) {
	var keys []store.Key
	for i := range 44 {
		it := item(fmt.Sprintf("CLUSTER#%02d", i), strings.Repeat(string(rune('a'+i%26)), 390<<10))
		put(t, s, it)
		keys = append(keys, it.Key)
	}
	got := getMany(t, s, keys...)
	for i, k := range keys {
		if want := bytes.Repeat([]byte{'a' + byte(i%26)}, 390<<10); !bytes.Equal(got[k].Body, want) {
			t.Errorf("%s is %.10q of %d bytes", k.SK, got[k].Body, len(got[k].Body))
		}
	}
}

func emptyPartition(t *testing.T, s store.Store) {
	if items := load(t, s, "nobody#live", ""); len(items) != 0 {
		t.Errorf("%d items", len(items))
	}
	it := item("GATE", "x")
	put(t, s, it)
	if err := s.Delete(t.Context(), it.Key, 1); err != nil {
		t.Fatal(err)
	}
	if items := load(t, s, it.PK, ""); len(items) != 0 {
		t.Errorf("%d items in a partition whose last one was deleted", len(items))
	}
}

func unicodeKeys(t *testing.T, s store.Store) {
	var sks []string
	for _, name := range []string{"zürich", "東京", "🦉", "São Paulo", "a\u0301", "á", "tab\tnul\x00end"} {
		it := item("ACK#"+name, name)
		put(t, s, it)
		wantBody(t, s, it.Key, name, 1)
		sks = append(sks, it.SK)
	}
	slices.Sort(sks)
	if diff := cmp.Diff(sks, loadSKs(t, s, "acme#live", "ACK#")); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ACK#東京"}, loadSKs(t, s, "acme#live", "ACK#東")); diff != "" {
		t.Errorf("prefix 東 (-want +got):\n%s", diff)
	}
}

func isolation(t *testing.T, s store.Store) {
	it := item("GATE", "good")
	put(t, s, it)
	scribble := func(b []byte) {
		for i := range b {
			b[i] = '!'
		}
	}
	scribble(it.Body)
	wantBody(t, s, it.Key, "good", 1)
	scribble(get(t, s, it.Key).Body)
	wantBody(t, s, it.Key, "good", 1)
	scribble(getMany(t, s, it.Key, it.Key)[it.Key].Body)
	wantBody(t, s, it.Key, "good", 1)
	first := load(t, s, it.PK, "")[0].Body
	scribble(first[:len(first):cap(first)])
	_ = append(first, '!')
	wantBody(t, s, it.Key, "good", 1)

	kept := get(t, s, it.Key).Body
	next := item("GATE", "next")
	next.Version = 1
	put(t, s, next)
	if string(kept) != "good" {
		t.Errorf("a later write changed what was read to %q", kept)
	}
}

func conditionalDelete(t *testing.T, s store.Store) {
	it := item("PAUSE#mesh", "x")
	put(t, s, it)
	wantErr(t, "deleting another version", s.Delete(t.Context(), it.Key, 2), store.ErrConflict)
	wantErr(t, "deleting version 0", s.Delete(t.Context(), it.Key, 0), store.ErrConflict)
	wantBody(t, s, it.Key, "x", 1)
	put(t, s, item("PAUSE#other", "y"))
	if err := s.Delete(t.Context(), it.Key, 1); err != nil {
		t.Errorf("deleting the version read: %v", err)
	}
	_, err := s.Get(t.Context(), it.Key)
	wantErr(t, "Get", err, store.ErrNotFound)
	wantBody(t, s, key(it.PK, "PAUSE#other"), "y", 1)
	err = s.Delete(t.Context(), it.Key, 1)
	if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) {
		t.Errorf("deleting what is gone: %v, want ErrNotFound or ErrConflict", err)
	}
}

func recreate(t *testing.T, s store.Store) {
	it := item("PAUSE#mesh", "x")
	put(t, s, it)
	if err := s.Delete(t.Context(), it.Key, 1); err != nil {
		t.Fatal(err)
	}
	put(t, s, it)
	wantBody(t, s, it.Key, "x", 1)
}

func expiry(t *testing.T, s store.Store) {
	past := item("ALARM#past", "old")
	past.TTL = time.Now().Add(-time.Hour)
	future := item("ALARM#future", "x")
	future.TTL = time.Now().Add(time.Hour)
	put(t, s, past, future)
	_, err := s.Get(t.Context(), past.Key)
	wantErr(t, "Get of an expired item", err, store.ErrNotFound)
	if diff := cmp.Diff([]string{"ALARM#future"}, loadSKs(t, s, past.PK, "")); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
	wantBody(t, s, future.Key, "x", 1)
	err = s.Delete(t.Context(), past.Key, 1)
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) {
		t.Errorf("deleting an expired item: %v", err)
	}
	past.TTL = time.Time{}
	past.Body = []byte("new")
	put(t, s, past)
	wantBody(t, s, past.Key, "new", 1)
	if diff := cmp.Diff([]string{"ALARM#future", "ALARM#past"}, loadSKs(t, s, past.PK, "")); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
}

func expiryWithdrawn(t *testing.T, s store.Store) {
	it := item("ALARM#a", "cleared")
	it.TTL = time.Now().Add(time.Hour)
	put(t, s, it)
	it = get(t, s, it.Key)
	it.TTL = time.Time{}
	put(t, s, it)
	if it = get(t, s, it.Key); !it.TTL.IsZero() || it.Version != 2 {
		t.Errorf("the item still expires at %s, version %d", it.TTL, it.Version)
	}
}

func tooLarge(t *testing.T, s store.Store) {
	it := item("CLUSTER#emea", strings.Repeat("x", 400<<10+1))
	err := s.Put(t.Context(), it)
	var tl *store.TooLargeError
	if !errors.As(err, &tl) || tl.Key != it.Key || tl.Size < 400<<10 {
		t.Errorf("error %v, want a *TooLargeError with key and size", err)
	}
	if err != nil && !strings.Contains(err.Error(), "CLUSTER#emea") {
		t.Errorf("the error does not name the item: %v", err)
	}
	_, err = s.Get(t.Context(), it.Key)
	wantErr(t, "Get", err, store.ErrNotFound)
}

func large(t *testing.T, s store.Store) {
	it := item("CLUSTER#emea", strings.Repeat("x", 399<<10))
	put(t, s, it)
	if got := get(t, s, it.Key); !bytes.Equal(got.Body, it.Body) {
		t.Errorf("%d bytes came back of %d", len(got.Body), len(it.Body))
	}
}

func badKeys(t *testing.T, s store.Store) {
	for name, k := range map[string]store.Key{
		"no partition key":         {SK: "x"},
		"no sort key":              {PK: "x"},
		"sort key too long":        {PK: "x", SK: strings.Repeat("k", store.MaxSK+1)},
		"partition key too long":   {PK: strings.Repeat("k", store.MaxPK+1), SK: "x"},
		"sort key that is no text": {PK: "x", SK: "\xff"},
	} {
		wantErr(t, name, s.Put(t.Context(), store.Item{Key: k, Body: []byte("{}")}), store.ErrInvalid)
		if _, err := s.Get(t.Context(), k); err == nil {
			t.Errorf("%s: Get found it", name)
		}
		items, err := s.GetMany(t.Context(), key("x", "x"), k)
		wantErr(t, name+", among others", err, store.ErrInvalid)
		if items != nil {
			t.Errorf("%s: GetMany gave %d items beside its error", name, len(items))
		}
	}
	longest := store.Item{Key: key(strings.Repeat("p", store.MaxPK), strings.Repeat("s", store.MaxSK)), Body: []byte("{}")}
	put(t, s, longest)
	wantBody(t, s, longest.Key, "{}", 1)
}

func nothing(t *testing.T, s store.Store) {
	put(t, s)
}

func cancelled(t *testing.T, s store.Store) {
	put(t, s, item("GATE", "x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	next := item("GATE", "y")
	next.Version = 1
	err := s.Put(ctx, next, item("OTHER", "y"))
	wantErr(t, "Put", err, context.Canceled)
	if n := len(PutErrors(err)); n != 2 {
		t.Errorf("Put named %d items as not written, want both", n)
	}
	wantErr(t, "Delete", s.Delete(ctx, next.Key, 1), context.Canceled)
	_, err = s.Get(ctx, next.Key)
	wantErr(t, "Get", err, context.Canceled)
	some, err := s.GetMany(ctx, next.Key, key("acme#override", "OTHER"))
	wantErr(t, "GetMany", err, context.Canceled)
	if some != nil {
		t.Errorf("GetMany gave %d items beside its error", len(some))
	}
	_, err = s.Load(ctx, next.PK, "")
	wantErr(t, "Load", err, context.Canceled)
	_, err = s.LoadNow(ctx, next.PK, "")
	wantErr(t, "LoadNow", err, context.Canceled)
	_, err = s.Heads(ctx, next.PK, "CHANGE#")
	wantErr(t, "Heads", err, context.Canceled)
	wantBody(t, s, next.Key, "x", 1)
}

func raceToCreate(t *testing.T, s store.Store) {
	const n = 8
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = s.Put(t.Context(), item("GATE", fmt.Sprint(i))) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("%d and %d both created the item", winner, i)
		case err == nil:
			winner = i
		default:
			wantErr(t, "losing", err, store.ErrConflict)
		}
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	wantBody(t, s, key("acme#live", "GATE"), fmt.Sprint(winner), 1)
}

func manyWriters(t *testing.T, s store.Store) {
	const writers, each = 6, 5
	k := key("acme#gate", "GATE")
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; i < each && t.Context().Err() == nil; {
				it, err := s.Get(t.Context(), k)
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Errorf("Get: %v", err)
					return
				}
				it.Key = k
				it.Body = fmt.Appendf(it.Body, " %d,", w)
				switch err := s.Put(t.Context(), it); {
				case err == nil:
					i++
				case !errors.Is(err, store.ErrConflict):
					t.Errorf("Put: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	it := get(t, s, k)
	if it.Version != writers*each {
		t.Errorf("version %d, want %d", it.Version, writers*each)
	}
	for w := range writers {
		if n := strings.Count(string(it.Body), fmt.Sprintf(" %d,", w)); n != each {
			t.Errorf("writer %d left %d of its %d marks in %q", w, n, each, it.Body)
		}
	}
}

// PutErrors lists which items of a Put were not written.
func PutErrors(err error) []*store.PutError {
	switch e := err.(type) {
	case nil:
		return nil
	case *store.PutError:
		return []*store.PutError{e}
	case interface{ Unwrap() []error }:
		var out []*store.PutError
		for _, sub := range e.Unwrap() {
			out = append(out, PutErrors(sub)...)
		}
		return out
	default:
		return PutErrors(errors.Unwrap(err))
	}
}
