// Package store keeps what Peerkeeper knows between ticks: items under a
// partition key and a sort key, each one JSON document with a schema number
// and a version.
//
// It owns the item format and the keys, never the meaning of a document. Every
// write is conditional on the version that was read, so of two writers one
// learns that it was late (ErrConflict) and nothing is lost in silence.
package store

import (
	"context"
	"errors"
	"time"
)

// Key addresses one item.
type Key struct{ PK, SK string }

// Item is one stored document.
type Item struct {
	Key
	// Version counts writes of this item. In Put it is the version the writer
	// read: 0 means "must not exist yet". The stored item carries Version+1.
	Version int64
	// TTL is when the store may forget the item; zero means never.
	TTL time.Time
	// Body is the JSON document, schema number inside. The same bytes in
	// every store.
	Body []byte
}

// ErrConflict says that somebody else wrote the item since it was read.
var ErrConflict = errors.New("the item was changed by somebody else")

// ErrNotFound says that no such item exists.
var ErrNotFound = errors.New("no such item")

// Store is what the engine asks of a store. All reads are whole or an error:
// a partial answer is never returned as if it were complete.
type Store interface {
	// Get reads one item, consistently: it sees every write that was
	// acknowledged before. ErrNotFound if there is none.
	Get(ctx context.Context, key Key) (Item, error)
	// GetMany is Get for many items in few requests, each read consistently. What
	// does not exist is not in the answer; a key may be given twice. The items
	// need not be of one and the same moment: in a store of several machines a
	// write that happens meanwhile may show in one and not yet in another.
	GetMany(ctx context.Context, keys ...Key) (map[Key]Item, error)
	// Load reads every item of a partition whose sort key starts with prefix,
	// in the order of the sort keys. It may be a moment behind in a store of
	// several machines; a caller that acts on an item reads it again with one of the
	// others.
	Load(ctx context.Context, pk, prefix string) ([]Item, error)
	// Heads is Load of those items alone of which the sort key has no other # after
	// prefix, which ends in one: of CHANGE#4f2a1c and CHANGE#4f2a1c#0001 the first.
	// Of what stands below a head it reads no more than a bounded part.
	Heads(ctx context.Context, pk, prefix string) ([]Item, error)
	// LoadNow is Load, consistently: it sees every write that was acknowledged
	// before. On AWS it costs twice as much.
	LoadNow(ctx context.Context, pk, prefix string) ([]Item, error)
	// Put writes items, each on its own condition. The error joins one
	// *PutError per item that was not written; the others are written.
	Put(ctx context.Context, items ...Item) error
	// Delete removes an item if its version is still the given one.
	Delete(ctx context.Context, key Key, version int64) error
}

// PutError says which item was not written and why (errors.Is ErrConflict
// when its version was not the stored one).
type PutError struct {
	Key   Key
	Cause error
}

func (e *PutError) Error() string {
	return "writing " + e.Key.PK + " " + e.Key.SK + ": " + e.Cause.Error()
}

// Unwrap gives the cause.
func (e *PutError) Unwrap() error { return e.Cause }
