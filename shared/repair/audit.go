// Package repair holds the gate: the one item per mesh through which every
// change, and every word of a person, must pass.
//
// It owns the GATE and audit items. What is written here is chained: each
// entry of the audit carries the hash of the one before, and the gate carries
// the newest, so that a missing or altered entry shows.
package repair

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/store"
)

// Schemas of the items that this package writes.
const (
	GateSchema  = 1
	AuditSchema = 1
)

// keepAudit is how long an entry of the audit is kept.
const keepAudit = 400 * 24 * time.Hour

// Entry is one line of the audit: who meant to do what, and what came of it.
type Entry struct {
	Seq      int64     `json:"seq"`
	Time     time.Time `json:"time"`
	Actor    string    `json:"actor"`
	Intent   string    `json:"intent"`
	Outcome  string    `json:"outcome"`
	Evidence string    `json:"evidence,omitempty"`
	Prev     string    `json:"prev,omitempty"` // hash of the entry before
	Hash     string    `json:"hash"`
}

// sum is the entry's hash: over everything but the hash itself.
func (e Entry) sum() string {
	e.Hash = ""
	b, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("an audit entry does not marshal: %v", err)) // strings and a time only
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// Append adds an entry to the audit of a mesh. Time, Actor, Intent, Outcome
// and Evidence are the caller's; the rest is filled in and returned.
func Append(ctx context.Context, s store.Store, meshName string, e Entry) (Entry, error) {
	gate, _, err := change(ctx, s, meshName, func(*Gate) (*Entry, error) { return &e, nil })
	if err != nil {
		return Entry{}, err
	}
	return *gate.Last, nil
}

// Interrupt adds an entry to the audit and turns the pause epoch, so that
// what was decided before must be decided again. It returns what is under way.
func Interrupt(ctx context.Context, s store.Store, meshName string, e Entry) ([]Intent, error) {
	gate, _, err := change(ctx, s, meshName, func(g *Gate) (*Entry, error) {
		g.PauseEpoch++
		return &e, nil
	})
	return gate.Open, err
}

// change is the one way in which a gate changes: under compare-and-swap, and
// with an entry in the audit. mutate changes the gate and gives the entry; a
// nil entry means that nothing is to be done. It may be called several times.
func change(ctx context.Context, s store.Store, meshName string, mutate func(*Gate) (*Entry, error)) (Gate, bool, error) {
	stands, err := flush(ctx, s, meshName)
	if err != nil {
		return Gate{}, false, err
	}
	for range 10 {
		doc, done, err := store.Claim(ctx, s, store.Gate(meshName), GateSchema, func(d *store.Doc[Gate], _ bool) (bool, error) {
			if d.Newer {
				return false, store.ErrNewerSchema
			}
			if last := d.Value.Last; last != nil && last.Seq != stands {
				// The entry before must stand as an item before its place
				// in the gate is taken.
				if _, err := s.Get(ctx, store.Audit(meshName, last.Time, last.Seq)); err != nil {
					return false, err
				}
			}
			last := d.Value.Last
			e, err := mutate(&d.Value)
			if err != nil || e == nil {
				return false, err
			}
			d.Value.Last = follow(last, *e)
			return true, nil
		})
		switch {
		case errors.Is(err, store.ErrNotFound):
			// Another writer died, or is, between the gate and its item.
			if stands, err = flush(ctx, s, meshName); err != nil {
				return Gate{}, false, err
			}
			continue
		case err != nil:
			return Gate{}, false, fmt.Errorf("changing the gate of mesh %s: %w", meshName, err)
		case !done:
			return doc.Value, false, nil
		}
		return doc.Value, true, put(ctx, s, meshName, *doc.Value.Last)
	}
	return Gate{}, false, fmt.Errorf("changing the gate of mesh %s: others keep writing", meshName)
}

// follow chains an entry to the one before.
func follow(last *Entry, e Entry) *Entry {
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	e.Seq, e.Prev = 1, ""
	if last != nil {
		e.Seq, e.Prev = last.Seq+1, last.Hash
		if e.Time.Before(last.Time) {
			e.Time = last.Time // a clock that stepped back must not reorder the trail
		}
	}
	e.Hash = e.sum()
	return &e
}

// flush writes the newest entry as an item if its writer died before it could.
// It returns the entry's number: that one stands, or is so old that the store
// has forgotten it.
func flush(ctx context.Context, s store.Store, meshName string) (int64, error) {
	it, err := s.Get(ctx, store.Gate(meshName))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the gate of mesh %s: %w", meshName, err)
	}
	gate, err := store.Decode[Gate](it, GateSchema)
	if err != nil || gate.Value.Last == nil {
		return 0, err
	}
	last := *gate.Value.Last
	_, err = s.Get(ctx, store.Audit(meshName, last.Time, last.Seq))
	if errors.Is(err, store.ErrNotFound) {
		err = put(ctx, s, meshName, last)
	}
	return last.Seq, err
}

func put(ctx context.Context, s store.Store, meshName string, e Entry) error {
	doc := store.NewDoc(store.Audit(meshName, e.Time, e.Seq), AuditSchema, e)
	doc.TTL = e.Time.Add(keepAudit)
	it, err := doc.Item()
	if err != nil {
		return err
	}
	if err := s.Put(ctx, it); err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("writing entry %d of the audit of mesh %s: %w", e.Seq, meshName, err)
	}
	return nil // a conflict means that somebody else wrote this very entry
}

// History reads the entries since an instant, oldest first.
func History(ctx context.Context, s store.Store, meshName string, since, now time.Time) ([]Entry, error) {
	if oldest := now.Add(-keepAudit); since.Before(oldest) {
		since = oldest
	}
	// A clock that was once ahead left entries there; they are part of the
	// chain.
	if it, err := s.Get(ctx, store.Gate(meshName)); err == nil {
		if gate, err := store.Decode[Gate](it, GateSchema); err == nil && gate.Value.Last != nil && gate.Value.Last.Time.After(now) {
			now = gate.Value.Last.Time
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("reading the gate of mesh %s: %w", meshName, err)
	}
	var out []Entry
	for month := time.Date(since.UTC().Year(), since.UTC().Month(), 1, 0, 0, 0, 0, time.UTC); !month.After(now); month = month.AddDate(0, 1, 0) {
		docs, err := store.LoadDocs[Entry](ctx, s, store.AuditMonth(meshName, month), "", AuditSchema)
		if err != nil {
			return nil, fmt.Errorf("reading the audit of mesh %s: %w", meshName, err)
		}
		for _, d := range docs {
			if !d.Value.Time.Before(since) {
				out = append(out, d.Value)
			}
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return int(a.Seq - b.Seq) })
	return out, nil
}

// Verify checks the chain of entries, oldest first, and that it ends in the
// gate's head. The error names the first entry that does not fit.
func Verify(ctx context.Context, s store.Store, meshName string, entries []Entry) error {
	for i, e := range entries {
		if e.Hash != e.sum() {
			return fmt.Errorf("audit entry %d was altered: its hash does not fit its text", e.Seq)
		}
		if i > 0 && (e.Seq != entries[i-1].Seq+1 || e.Prev != entries[i-1].Hash) {
			return fmt.Errorf("audit entry %d does not follow entry %d: one is missing or was altered", e.Seq, entries[i-1].Seq)
		}
	}
	it, err := s.Get(ctx, store.Gate(meshName))
	if errors.Is(err, store.ErrNotFound) && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the gate of mesh %s: %w", meshName, err)
	}
	gate, err := store.Decode[Gate](it, GateSchema)
	if err != nil {
		return err
	}
	last := gate.Value.Last
	if last == nil {
		return nil
	}
	// The newest entry may stand in the gate alone, if its writer died.
	if n := len(entries); n > 0 && entries[n-1].Hash == last.Prev {
		return nil
	}
	if n := len(entries); n == 0 || entries[n-1].Hash != last.Hash {
		return fmt.Errorf("the audit does not end in the gate's entry %d: the newest entries are missing", last.Seq)
	}
	return nil
}
