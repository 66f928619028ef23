package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// The top-level fields that belong to the item, not to the document.
const (
	fieldSchema  = "schema"
	fieldVersion = "version"
	fieldTTL     = "ttl"
)

// ErrNewerSchema says that an item was written by a newer Peerkeeper: it may
// be read, and must not be written or acted on.
var ErrNewerSchema = errors.New("the item was written by a newer version of Peerkeeper")

// DocumentError says that an item's body is not the document it should be.
type DocumentError struct {
	Key   Key
	Cause error
}

func (e *DocumentError) Error() string {
	return "item " + e.Key.PK + " " + e.Key.SK + ": " + e.Cause.Error()
}

// Unwrap gives the cause.
func (e *DocumentError) Unwrap() error { return e.Cause }

// Doc is one item with its body decoded. T is a struct whose JSON fields stand
// in the body's one object beside schema, version and ttl (Unix seconds).
type Doc[T any] struct {
	Value T
	envelope
}

// envelope is a document but for its value. What does not turn on the value's type
// is done here, once, and not for each type again: a Lambda loads all of it at each
// start.
type envelope struct {
	Key Key
	// Version is that of the stored item; 0 if it does not exist yet.
	Version int64
	// TTL is when the store may forget the item; zero means never.
	TTL time.Time
	// Schema is what the body was written with. A new document says its own.
	Schema int
	// Newer is true if the body's schema is newer than ours: Item refuses.
	Newer bool

	want   int    // our schema, which Item writes; 0 in a new document
	stored []byte // the body as read, nil in a new document
}

// NewDoc is a document that does not exist in the store yet.
func NewDoc[T any](key Key, schema int, value T) Doc[T] {
	return Doc[T]{value, envelope{Key: key, Schema: schema, want: schema}}
}

// Decode reads an item's body. It accepts our schema, the one before, and any
// newer one that still decodes (Doc.Newer).
func Decode[T any](it Item, schema int) (Doc[T], error) {
	var doc Doc[T]
	var err error
	if doc.envelope, err = decode(it, schema, &doc.Value); err != nil {
		return Doc[T]{}, &DocumentError{Key: it.Key, Cause: err}
	}
	return doc, nil
}

func decode(it Item, schema int, value any) (envelope, error) {
	written, err := schemaOf(it.Body)
	switch {
	case err != nil:
		return envelope{}, err
	case written < 1:
		return envelope{}, errors.New("no usable schema number")
	case written < schema-1:
		return envelope{}, fmt.Errorf("schema %d is too old: this version reads %d and %d", written, schema-1, schema)
	}
	newer := written > schema
	if err := json.Unmarshal(it.Body, value); err != nil {
		if newer && json.Valid(it.Body) {
			err = errors.Join(ErrNewerSchema, err)
		}
		return envelope{}, err
	}
	return envelope{Key: it.Key, Version: it.Version, TTL: it.TTL, Schema: written, Newer: newer, want: schema, stored: it.Body}, nil
}

// schemaOf is what a body was written with. Where that stands first, as we write
// it, no second reading of the whole is needed: decoding is most of what a tick
// computes.
func schemaOf(body []byte) (int, error) {
	if rest, ok := bytes.CutPrefix(body, []byte(`{"`+fieldSchema+`":`)); ok {
		digits, _, _ := bytes.Cut(rest, []byte(","))
		if n, err := strconv.Atoi(string(digits)); err == nil {
			return n, nil
		}
	}
	var own struct {
		Schema int `json:"schema"`
	}
	err := json.Unmarshal(body, &own)
	return own.Schema, err
}

// Item encodes the document for Put. The body's version is the one that the
// item will have when it is stored. Equal documents give equal bytes.
func (d Doc[T]) Item() (Item, error) {
	rest, err := d.encode(d.Value)
	if err != nil {
		return Item{}, err
	}
	return d.item(rest), nil
}

// Change says whether writing the document would change the stored item apart
// from its version, and gives it if so. A tick writes only what changed. Equal
// documents encode alike, so bytes decide; what was not written here counts as
// changed, once.
func (d Doc[T]) Change() (it Item, changed bool, err error) {
	rest, err := d.encode(d.Value)
	if err != nil {
		return Item{}, false, err
	}
	if was, ours := bytes.CutPrefix(d.stored, d.head()); ours && bytes.Equal(bytes.TrimLeft(was, "0123456789"), rest) {
		return Item{}, false, nil
	}
	return d.item(rest), true, nil
}

func (e *envelope) item(rest []byte) Item {
	return Item{Key: e.Key, Version: e.Version, TTL: e.TTL, Body: append(strconv.AppendInt(e.head(), e.Version+1, 10), rest...)}
}

// head is how a body begins, up to the version: the one place in which bodies of
// an unchanged document differ.
func (e *envelope) head() []byte {
	return fmt.Appendf(nil, `{"%s":%d,"%s":`, fieldSchema, cmp.Or(e.want, e.Schema), fieldVersion)
}

// encode is the body after its head.
func (e *envelope) encode(value any) ([]byte, error) {
	rest, err := e.body(value)
	if err != nil {
		return nil, &DocumentError{Key: e.Key, Cause: err}
	}
	return rest, nil
}

func (e *envelope) body(value any) ([]byte, error) {
	if e.Newer {
		return nil, ErrNewerSchema
	}
	if cmp.Or(e.want, e.Schema) < 1 {
		return nil, errors.New("a document needs a schema number of at least 1")
	}
	if err := document(reflect.TypeOf(value)); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // "emea>apac" stays readable in a console
	if err := enc.Encode(value); err != nil {
		return nil, err
	}

	var out bytes.Buffer
	if !e.TTL.IsZero() {
		fmt.Fprintf(&out, `,"%s":%d`, fieldTTL, e.TTL.Unix())
	}
	if inner := bytes.TrimSpace(text.Bytes()); len(inner) > len("{}") {
		out.WriteByte(',')
		out.Write(inner[1 : len(inner)-1])
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// document says what is wrong with a document's type: its JSON is an object of its
// fields, beside which the item's own must find room.
func document(t reflect.Type) error {
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("a document must be a struct, %s is not", t)
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return fmt.Errorf("a document's fields must be plain: %s writes its own JSON", t)
	}
	for _, f := range reflect.VisibleFields(t) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		for _, reserved := range []string{fieldSchema, fieldVersion, fieldTTL} {
			if name := cmp.Or(tag, f.Name); strings.EqualFold(name, reserved) {
				return fmt.Errorf("a document has no field %q of its own: %s does", reserved, t)
			}
		}
	}
	return nil
}

// LoadDocs loads and decodes every item of a partition under a prefix, by sort
// key. Items that do not decode are missing from the result and named in the
// error, one *DocumentError each: with an error the result is not whole.
func LoadDocs[T any](ctx context.Context, s Store, pk, prefix string, schema int) (map[string]Doc[T], error) {
	items, err := s.Load(ctx, pk, prefix)
	if err != nil {
		return nil, fmt.Errorf("loading %s %s*: %w", pk, prefix, err)
	}
	docs := make(map[string]Doc[T], len(items))
	var errs []error
	for _, it := range items {
		doc, err := Decode[T](it, schema)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		docs[it.SK] = doc
	}
	return docs, errors.Join(errs...)
}

// claimTries bounds how often Claim starts again. Nobody holds an item for
// longer than one write takes, so ten conflicts in a row mean that something
// writes in a loop.
const claimTries = 10

// Claim changes one item under compare-and-swap: it reads consistently, lets
// mutate change the document, and writes on condition that nobody else did in
// between; if somebody did, it starts again with what they wrote. mutate may
// therefore be called several times and must do nothing but change the
// document. If it does not proceed, nothing is written and the document read
// is returned with false.
//
// A store whose answer was lost may have written all the same: the error then
// says nothing about the item.
func Claim[T any](ctx context.Context, s Store, key Key, schema int, mutate func(doc *Doc[T], exists bool) (proceed bool, err error)) (Doc[T], bool, error) {
	var none Doc[T]
	var conflict error
	for try := range claimTries {
		if try > 1 {
			if err := pause(ctx, try); err != nil {
				return none, false, errors.Join(err, conflict)
			}
		}
		doc := NewDoc(key, schema, *new(T))
		it, err := s.Get(ctx, key)
		exists := err == nil
		switch {
		case exists:
			if doc, err = Decode[T](it, schema); err != nil {
				return none, false, err
			}
		case !errors.Is(err, ErrNotFound):
			return none, false, fmt.Errorf("reading %s %s: %w", key.PK, key.SK, err)
		}
		proceed, err := mutate(&doc, exists)
		if err != nil || !proceed {
			return doc, false, err
		}
		if it, err = doc.Item(); err != nil {
			return doc, false, err
		}
		err = s.Put(ctx, it)
		if err == nil {
			doc.Version++
			doc.Schema = doc.want
			doc.stored = it.Body
			return doc, true, nil
		}
		if !errors.Is(err, ErrConflict) {
			return none, false, err
		}
		conflict = err
	}
	return none, false, fmt.Errorf("gave up after %d tries: %w", claimTries, conflict)
}

// pause waits a few milliseconds, longer and more scattered with every try, so
// that writers of one item do not meet again.
func pause(ctx context.Context, try int) error {
	timer := time.NewTimer(time.Duration(try) * time.Duration(1+rand.IntN(5)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
