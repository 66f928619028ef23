// Package userset is what is kept of the users at home in a cluster so that
// those of thirty clusters can be held against each other: a keyed hash of each
// user ID and directory URI, and, by name, the few that are wrong by themselves.
//
// It owns the comparison form of user IDs and URIs, the USERS items and the
// search for hashes that occur twice. It is pure: it asks no cluster and no
// store. Equal hashes are a suspicion, never a report: those who report read the
// users again by name.
package userset

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"time"
)

// Kind is one kind of key that must be unique in a mesh.
type Kind int

// The kinds.
const (
	IDs Kind = iota
	URIs
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{IDs, URIs} }

// Key is a mesh's secret for its hashes. Without it nobody can try names on
// what is stored.
type Key [32]byte

// NewKey draws a key.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k[:]) // crypto/rand never fails
	return k
}

// folding is the version of Fold. Hashes of two versions are not held against each
// other: an ID that is folded otherwise would look as if it occurred once.
const folding = "2"

// ID tells keys apart without telling them, and versions of Fold.
func (k Key) ID() string {
	sum := sha256.Sum256(append([]byte("peerkeeper users "+folding+" "), k[:]...))
	return hex.EncodeToString(sum[:8])
}

// Hasher hashes with one key; not for concurrent use.
type Hasher struct {
	mac hash.Hash
	buf []byte
}

// Hasher makes one.
func (k Key) Hasher() *Hasher { return &Hasher{mac: hmac.New(sha256.New, k[:])} }

// Of is the hash of a user ID or URI in its comparison form. An empty text has
// none: 0.
func (h *Hasher) Of(k Kind, text string) uint64 {
	folded := Fold(k, text)
	if folded == "" {
		return 0
	}
	h.mac.Reset()
	h.buf = append(append(h.buf[:0], byte(k)), folded...)
	h.mac.Write(h.buf)
	var sum [sha256.Size]byte
	return max(binary.BigEndian.Uint64(h.mac.Sum(sum[:0])), 1)
}

const (
	// block is how many users stand between two marks: what is read again to
	// turn one hash into a name.
	block = 256
	// partHashes fill one item: 131,072 bytes, in base64 175 KB.
	partHashes = 16_384
	// maxParts bounds one kind's items of one cluster: 8 million users.
	maxParts = 500
	// listed bounds the users of one cluster that are named for one fault.
	listed = 100
	// maxMark bounds a database key; Cisco's have 36 characters.
	maxMark = 64
)

// Named are the users with one fault: how many, and the first by ID.
type Named struct {
	Count int      `json:"count"`
	IDs   []string `json:"ids,omitempty"`
}

func (n *Named) add(id string) {
	// Listed as it is, for it is read again by it: one too long is only counted.
	if n.Count++; len(n.IDs) < listed && len(id) <= 2*maxID {
		n.IDs = append(n.IDs, id)
	}
}

// Head is the item USERS#cluster#0000: which of the cluster's other items are in
// force. They are written before it, into the half that the head in force does
// not name, so that a set is never half of one day and half of another.
type Head struct {
	At         time.Time `json:"at"`
	KeyID      string    `json:"keyID"`
	Generation int64     `json:"generation"`
	// Assigned users come first, in the order of the database's keys; users
	// without a node follow.
	Assigned int `json:"assigned"`
	Users    int `json:"users"`
	// URIsRead says that the database told directory URIs.
	URIsRead bool `json:"urisRead"`
	// Marks are the database's keys before each block of assigned users but the
	// first.
	Marks []string `json:"marks,omitempty"`
	// Unassigned is nil where users without a node were not told.
	Unassigned *Named `json:"unassigned,omitempty"`
	InvalidID  Named  `json:"invalidID"`
	InvalidURI Named  `json:"invalidURI"`
	NoURI      Named  `json:"noURI"`
}

// Part is one of the other items: hashes of one kind.
type Part struct {
	Generation int64  `json:"generation"`
	Hashes     []byte `json:"hashes"` // eight bytes each, big-endian
}

// Parts is how many items one kind takes.
func (h Head) Parts() int { return (h.Users + partHashes - 1) / partHashes }

// Number is an item's place after USERS#cluster#. The head's is 0.
func (h Head) Number(k Kind, part int) int {
	return 1 + int(h.Generation%2)*1000 + int(k)*maxParts + part
}

// Range is where a user of a set stands in the database: after one key, up to
// another ("" is the end). ok is false for one without a node.
func (h Head) Range(index int) (after, until string, ok bool) {
	if index >= h.Assigned {
		return "", "", false
	}
	b := index / block
	if b > len(h.Marks) {
		return "", "", true // a damaged head: everything is in range
	}
	if b > 0 {
		after = h.Marks[b-1]
	}
	if b < len(h.Marks) {
		until = h.Marks[b]
	}
	return after, until, true
}

// User is what is looked at of one user at home.
type User struct {
	Key string // of the database
	ID  string
	URI string
}

// Collector takes in a cluster's users one after the other.
type Collector struct {
	hasher *Hasher
	head   Head
	last   string
	hashes [2][]uint64
	err    error
}

// Collect begins a set.
func Collect(k Key) *Collector {
	return &Collector{hasher: k.Hasher(), head: Head{KeyID: k.ID()}}
}

// Assigned takes a user with a node, in the order of the database's keys.
// uriRead says that the database told whether there is a URI.
func (c *Collector) Assigned(u User, uriRead bool) {
	n := len(c.hashes[IDs])
	if n == 0 {
		c.head.URIsRead = uriRead
	}
	c.head.URIsRead = c.head.URIsRead && uriRead
	if n > 0 && n%block == 0 {
		c.head.Marks = append(c.head.Marks, c.last)
	}
	if len(u.Key) > maxMark {
		c.err = fmt.Errorf("a key of %d bytes, at most %d", len(u.Key), maxMark)
		return
	}
	c.last = u.Key
	c.take(u)
	c.head.Assigned++
}

// Unassigned takes the users without a node, after all others.
func (c *Collector) Unassigned(users []User) {
	c.head.Unassigned = &Named{}
	for _, u := range users {
		c.head.Unassigned.add(u.ID)
		c.take(u)
	}
}

func (c *Collector) take(u User) {
	c.hashes[IDs] = append(c.hashes[IDs], c.hasher.Of(IDs, u.ID))
	c.hashes[URIs] = append(c.hashes[URIs], c.hasher.Of(URIs, u.URI))
	if InvalidID(u.ID) {
		c.head.InvalidID.add(u.ID)
	}
	switch {
	case u.URI == "":
		c.head.NoURI.add(u.ID)
	case InvalidURI(u.URI):
		c.head.InvalidURI.add(u.ID)
	}
}

// Set is a whole set, ready to be stored.
type Set struct {
	Head  Head
	Parts map[int]Part // by number
}

// Set ends a set as the one after generation before.
func (c *Collector) Set(before int64, at time.Time) (Set, error) {
	h := c.head
	h.At, h.Generation, h.Users = at, before+1, len(c.hashes[IDs])
	if !h.URIsRead {
		h.NoURI, h.InvalidURI = Named{}, Named{}
	}
	switch {
	case c.err != nil:
		return Set{}, c.err
	case h.Parts() > maxParts:
		return Set{}, fmt.Errorf("%d users, at most %d", h.Users, maxParts*partHashes)
	}
	s := Set{Head: h, Parts: map[int]Part{}}
	for _, k := range Kinds() {
		for i := range h.Parts() {
			some := c.hashes[k][i*partHashes : min((i+1)*partHashes, h.Users)]
			p := Part{Generation: h.Generation, Hashes: make([]byte, 0, 8*len(some))}
			for _, hash := range some {
				p.Hashes = binary.BigEndian.AppendUint64(p.Hashes, hash)
			}
			s.Parts[h.Number(k, i)] = p
		}
	}
	return s, nil
}

// ErrTorn says that a set's items do not belong together: they were read while a
// newer set was written, or one is missing.
var ErrTorn = errors.New("its items are not of one reading")

// Append adds one kind's hashes to a list, from the parts in order.
func (h Head) Append(to []uint64, parts []Part) ([]uint64, error) {
	n := len(to)
	for _, p := range parts {
		if p.Generation != h.Generation || len(p.Hashes)%8 != 0 {
			return to[:n], ErrTorn
		}
		for b := p.Hashes; len(b) > 0; b = b[8:] {
			to = append(to, binary.BigEndian.Uint64(b))
		}
	}
	if len(to)-n != h.Users {
		return to[:n], ErrTorn
	}
	return to, nil
}
