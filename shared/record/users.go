package record

import (
	"context"
	"errors"
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/store"
	"peerkeeper/shared/userset"
)

// UsersSchema is the schema of the items of the users' partition.
const UsersSchema = 1

// usersKept is how long a set outlives its reading: the hashes of a cluster that
// has left mesh.yaml go by themselves.
const usersKept = 14 * 24 * time.Hour

// usersKey is the KEY item, drawn once and the same ever after.
type usersKey struct {
	Key []byte `json:"key"`
}

// UsersKey is the key of a mesh's hashes of users; the zero key, with which nothing
// was hashed, if none was drawn yet.
func UsersKey(ctx context.Context, s store.Store, meshName string) (userset.Key, error) {
	it, err := s.Get(ctx, store.UsersKey(meshName))
	if errors.Is(err, store.ErrNotFound) {
		return userset.Key{}, nil
	}
	if err != nil {
		return userset.Key{}, fmt.Errorf("reading the key of the users' hashes: %w", err)
	}
	doc, err := store.Decode[usersKey](it, UsersSchema)
	if err != nil {
		return userset.Key{}, err
	}
	return doc.Value.key()
}

// DrawUsersKey is UsersKey for those who hash: the first who asks draws it.
func DrawUsersKey(ctx context.Context, s store.Store, meshName string) (userset.Key, error) {
	doc, _, err := store.Claim(ctx, s, store.UsersKey(meshName), UsersSchema, func(d *store.Doc[usersKey], exists bool) (bool, error) {
		if exists {
			return false, nil
		}
		drawn := userset.NewKey()
		d.Value.Key = drawn[:]
		return true, nil
	})
	if err != nil {
		return userset.Key{}, fmt.Errorf("drawing the key of the users' hashes: %w", err)
	}
	return doc.Value.key()
}

func (u usersKey) key() (userset.Key, error) {
	var k userset.Key
	if len(u.Key) != len(k) {
		return k, fmt.Errorf("the key of the users' hashes has %d bytes, want %d", len(u.Key), len(k))
	}
	copy(k[:], u.Key)
	return k, nil
}

// UserSets are the heads of the sets in force. A cluster whose users were never
// read whole has none.
func UserSets(ctx context.Context, s store.Store, meshName string, clusters ...mesh.ClusterID) (map[mesh.ClusterID]store.Doc[userset.Head], error) {
	keys := make([]store.Key, len(clusters))
	for i, id := range clusters {
		keys[i] = store.Users(meshName, id, 0)
	}
	items, err := s.GetMany(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("reading which users are kept: %w", err)
	}
	out := map[mesh.ClusterID]store.Doc[userset.Head]{}
	for i, id := range clusters {
		it, ok := items[keys[i]]
		if !ok {
			continue
		}
		if err := decode(blank(), out, id, it, UsersSchema); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// UserHashes reads one kind of a set's hashes; userset.ErrTorn if a newer set was
// written meanwhile.
func UserHashes(ctx context.Context, s store.Store, meshName string, id mesh.ClusterID, head userset.Head, k userset.Kind) ([]uint64, error) {
	keys := make([]store.Key, head.Parts())
	for i := range keys {
		keys[i] = store.Users(meshName, id, head.Number(k, i))
	}
	items, err := s.GetMany(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("reading the hashes of %s's users: %w", id, err)
	}
	parts := make([]userset.Part, len(keys))
	for i, key := range keys {
		it, ok := items[key]
		if !ok {
			return nil, fmt.Errorf("the hashes of %s's users: %w", id, userset.ErrTorn)
		}
		doc, err := store.Decode[userset.Part](it, UsersSchema)
		if err != nil {
			return nil, err
		}
		parts[i] = doc.Value
	}
	hashes, err := head.Append(make([]uint64, 0, head.Users), parts)
	if err != nil {
		return nil, fmt.Errorf("the hashes of %s's users: %w", id, err)
	}
	return hashes, nil
}

// WriteUsers stores a set over the one whose head was read: first its items, in
// the half that this head does not name, and then the head. Killed at any point
// it leaves a whole set in force.
func WriteUsers(ctx context.Context, s store.Store, meshName string, id mesh.ClusterID, before store.Doc[userset.Head], set userset.Set) error {
	if before.Newer {
		return fmt.Errorf("the users of %s: %w", id, store.ErrNewerSchema)
	}
	keys := make([]store.Key, 0, len(set.Parts))
	for n := range set.Parts {
		keys = append(keys, store.Users(meshName, id, n))
	}
	// What stands there is of the set before last, or of a run that was killed.
	old, err := s.GetMany(ctx, keys...)
	if err != nil {
		return fmt.Errorf("keeping the hashes of %s's users: %w", id, err)
	}
	kept := set.Head.At.Add(usersKept)
	var items []store.Item
	var errs []error
	for n, part := range set.Parts {
		doc := store.NewDoc(store.Users(meshName, id, n), UsersSchema, part)
		doc.Version, doc.TTL = old[doc.Key].Version, kept
		it, err := doc.Item()
		items, errs = append(items, it), append(errs, err)
	}
	before.Key, before.Value, before.TTL = store.Users(meshName, id, 0), set.Head, kept
	if before.Version == 0 {
		before = store.NewDoc(before.Key, UsersSchema, set.Head)
		before.TTL = kept
	}
	head, err := before.Item()
	if err = errors.Join(append(errs, err)...); err == nil {
		err = s.Put(ctx, items...)
	}
	if err == nil {
		err = s.Put(ctx, head)
	}
	if err != nil {
		return fmt.Errorf("keeping the hashes of %s's users: %w", id, err)
	}
	return nil
}

// UserReport is what preflight found wrong with the users, nil if it has not
// looked yet. Only who asks pays for decoding it.
func (b *Snapshot) UserReport() (*userset.Report, error) {
	if b.userReport.Body == nil {
		return nil, nil
	}
	doc, err := store.Decode[userset.Report](b.userReport, UsersSchema)
	if err != nil {
		return nil, err
	}
	return &doc.Value, nil
}

// WriteUserReport stores what was found, within the bounds of an item that is read
// at every tick.
func WriteUserReport(ctx context.Context, s store.Store, meshName string, r userset.Report) error {
	_, _, err := store.Claim(ctx, s, store.AuditUsers(meshName), UsersSchema, func(d *store.Doc[userset.Report], _ bool) (bool, error) {
		d.Value = r.Bounded()
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("keeping what is wrong with users: %w", err)
	}
	return nil
}
