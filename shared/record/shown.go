package record

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
)

// Reader is what showing asks of a store: it has no way to write.
type Reader interface {
	Load(ctx context.Context, pk, prefix string) ([]store.Item, error)
}

// Unread is a stored item that is not taken into account, and why.
type Unread struct {
	Item    string      `json:"item"` // its sort key
	Reason  peer.Reason `json:"reason"`
	Message string      `json:"message"`
}

// shown is what a snapshot to be shown has besides.
type shown struct {
	before, decoded map[string]decoded // by sort key
	unread          []Unread
	kept            map[mesh.PeerID]bool
	alarms          []store.Item
}

// decoded is an item's body with what it decodes to. A page that is asked every
// few seconds meets the same bodies again and again.
type decoded struct {
	body   []byte
	sum    [sha256.Size]byte
	doc    any // store.Doc[T], whose value is not to be changed; nil if it cannot be used
	unread Unread
}

// Show reads, in one query, what is known of a mesh, for those who show it and write
// nothing: an item that this version may not rely on is named (Unread)
// and left out, and so is what nobody stored. What before, which may be nil,
// decoded of the same bytes is not decoded again. What people decided and which
// accounts were rejected is not shown.
func Show(ctx context.Context, s Reader, m *mesh.Mesh, before *Snapshot) (*Snapshot, error) {
	items, err := s.Load(ctx, store.Live(m.Name), "")
	if err != nil {
		return nil, fmt.Errorf("reading the store of mesh %s: %w", m.Name, err)
	}
	b := blank()
	b.shown = &shown{decoded: make(map[string]decoded, len(items)), kept: map[mesh.PeerID]bool{}}
	if before != nil {
		b.shown.before = before.shown.decoded
	}
	for _, it := range items {
		switch kind := kindOf(it); kind {
		case store.PrefixAuth, store.PrefixPin:
			continue
		case store.PrefixAlarm:
			b.shown.alarms = append(b.shown.alarms, it)
		case store.PrefixPeer:
			if id, _, err := store.ParsePeer(it.SK); err == nil {
				b.shown.kept[id] = true
			}
		}
		if err := b.take(m, it); err != nil {
			b.shown.unread = append(b.shown.unread, Unread{it.SK, peer.UnreadableAnswer, err.Error()})
		}
	}
	return b, nil
}

// Alarms decodes the ALARM items of a snapshot to be shown: their type is their
// owner's.
func Alarms[T any](b *Snapshot, schema int) (out []*T) {
	for _, it := range b.shown.alarms {
		if d, ok := reliable[T](b.shown, it, schema); ok {
			out = append(out, &d.Value)
		}
	}
	return out
}

// reliable decodes an item that this version may rely on, unless the same bytes
// were decoded before. Otherwise it notes the item as unread.
func reliable[T any](s *shown, it store.Item, schema int) (store.Doc[T], bool) {
	doc, ok := s.decode(it, func() (any, bool, error) {
		d, err := store.Decode[T](it, schema)
		return d, d.Newer, err
	}).(store.Doc[T])
	return doc, ok
}

// decode is reliable's, but for the type of the document; nil if it is not reliable.
func (s *shown) decode(it store.Item, decode func() (doc any, newer bool, err error)) any {
	d, ok := s.before[it.SK]
	if !ok || !bytes.Equal(d.body, it.Body) {
		d = decoded{body: it.Body, sum: sha256.Sum256(it.Body)}
		doc, newer, err := decode()
		switch {
		case errors.Is(err, store.ErrNewerSchema), err == nil && newer:
			d.unread = Unread{it.SK, peer.NewerSchema, "written by a newer version of Peerkeeper; not judged by this one"}
		case err != nil:
			d.unread = Unread{it.SK, peer.UnreadableAnswer, err.Error()}
		default:
			d.doc = doc
		}
	}
	s.decoded[it.SK] = d
	if d.doc == nil {
		s.unread = append(s.unread, d.unread)
	}
	return d.doc
}

// Unread are the items of a snapshot to be shown that are not taken into account,
// by sort key.
func (b *Snapshot) Unread() []Unread {
	return slices.SortedStableFunc(slices.Values(b.shown.unread), func(a, b Unread) int { return strings.Compare(a.Item, b.Item) })
}

// Kept are the peers of which a snapshot to be shown has items, whether they can
// be read or not, and whether mesh.yaml names them or not.
func (b *Snapshot) Kept() map[mesh.PeerID]bool { return b.shown.kept }

// Sums are the SHA-256 sums of the items that a snapshot to be shown was decoded
// from, by sort key.
func (b *Snapshot) Sums() iter.Seq2[string, [sha256.Size]byte] {
	return func(yield func(string, [sha256.Size]byte) bool) {
		for _, sk := range slices.Sorted(maps.Keys(b.shown.decoded)) {
			if !yield(sk, b.shown.decoded[sk].sum) {
				return
			}
		}
	}
}
