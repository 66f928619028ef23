package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
)

// Schemas of plans.
const (
	PlansSchema  = 1
	ChangeSchema = 1
	WordSchema   = 1
)

const (
	// planKept is how long a plan that has ended stays readable, and wordKept how
	// long what people said to one.
	planKept = 365 * 24 * time.Hour
	wordKept = 90 * 24 * time.Hour
)

// Plans are the plans that every function knows of; none if nobody has made any.
func (b *Snapshot) Plans() (store.Doc[change.Plans], error) {
	if b.plans.SK == "" {
		return store.Doc[change.Plans]{}, nil
	}
	docs := map[string]store.Doc[change.Plans]{}
	err := decode(b, docs, "", b.plans, PlansSchema)
	return docs[""], err
}

// Known is what plans are made from: what was recorded of the mesh and is not too old. tick
// is peersync's period.
func (b *Snapshot) Known(m *mesh.Mesh, tick time.Duration, now time.Time) change.Known {
	k := change.Known{
		Mesh: m, Now: now, Nodes: map[mesh.NodeName]peer.Node{}, Entries: map[mesh.PeerID]peer.Entry{}, Aliases: map[mesh.PeerID]string{},
		Strangers: map[mesh.ClusterID][]string{}, Unread: map[mesh.ClusterID]bool{}, Users: map[mesh.ClusterID]int{}, FirstSync: map[mesh.ClusterID]time.Duration{},
	}
	view := b.Facts(m, tick, now).View()
	if plans, err := b.Plans(); err == nil && !plans.Newer {
		k.Changing, k.Leaving = plans.Value.Changing(), plans.Value.Leaving()
	}
	for i := range m.Clusters {
		c := &m.Clusters[i]
		doc := b.Clusters[c.ID]
		if doc.Newer {
			k.Unread[c.ID] = true
			continue
		}
		r := &doc.Value
		for _, n := range c.Nodes {
			seen := r.Seen.Nodes[n.Name]
			seen.Parameters = seen.Parameters.Fresh(now, 2*tick)
			seen.Services = seen.Services.Fresh(now, 2*tick)
			k.Nodes[n.Name] = seen
		}
		k.FirstSync[c.ID] = r.LongestSync
		if n, known := r.UsersOf(c).Get(); known {
			k.Users[c.ID] = n
		}
		entries, read := r.Seen.Entries.Fresh(now, 2*tick).Get()
		k.Unread[c.ID] = !read
		for j := range m.Clusters {
			id := mesh.PeerID{From: c.ID, To: m.Clusters[j].ID}
			has := view.Listed(entries, id.To)
			k.Strangers[c.ID] = has.Strangers
			if id.From == id.To {
				continue
			}
			if has.Found {
				k.Entries[id] = has.Entry
			}
			if has.Other != nil {
				k.Aliases[id] = has.Other.Address
			}
		}
	}
	return k
}

// LoadPlans reads the PLANS item, consistently.
func LoadPlans(ctx context.Context, s store.Store, meshName string) (store.Doc[change.Plans], error) {
	key := store.Plans(meshName)
	it, err := s.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return store.NewDoc(key, PlansSchema, change.Plans{}), nil
	}
	if err != nil {
		return store.Doc[change.Plans]{}, fmt.Errorf("reading the plans of mesh %s: %w", meshName, err)
	}
	d, err := store.Decode[change.Plans](it, PlansSchema)
	if err == nil && d.Newer {
		err = fmt.Errorf("the plans of mesh %s: %w", meshName, store.ErrNewerSchema)
	}
	return d, err
}

// SavePlans writes the PLANS item if it has changed.
func SavePlans(ctx context.Context, s store.Store, d *store.Doc[change.Plans]) error {
	docs := []store.Doc[change.Plans]{*d}
	if err := save(ctx, s, docs); err != nil {
		return fmt.Errorf("writing which plans there are: %w", err)
	}
	*d = docs[0]
	return nil
}

// Plan is a plan with its documents.
type Plan struct {
	change.Plan
	mesh  string
	head  store.Doc[change.Head]
	steps []store.Doc[change.Step]
	// left are the versions of what killed runs have left where steps are to be.
	left map[store.Key]int64
}

// NewPlan is a plan that is about to be written. What a run that was killed left of
// its steps is written over.
func NewPlan(ctx context.Context, s store.Store, meshName string, p *change.Plan) (*Plan, error) {
	out := &Plan{Plan: *p, mesh: meshName, head: store.NewDoc(store.Change(meshName, p.ID), ChangeSchema, p.Head)}
	items, err := s.LoadNow(ctx, out.head.Key.PK, out.head.Key.SK)
	if err != nil {
		return nil, fmt.Errorf("reading plan %s: %w", p.ID, err)
	}
	out.left = map[store.Key]int64{}
	for _, it := range items {
		out.left[it.Key] = it.Version
	}
	out.grow()
	return out, nil
}

// grow has documents for all steps of the plan.
func (p *Plan) grow() {
	for _, s := range p.Steps[len(p.steps):] {
		d := store.NewDoc(store.ChangeStep(p.mesh, p.ID, s.N), ChangeSchema, s)
		d.Version = p.left[d.Key]
		p.steps = append(p.steps, d)
	}
}

// ErrNoPlan says that a mesh has no such plan.
var ErrNoPlan = errors.New("there is no such plan")

// LoadPlan reads one plan, consistently. ErrNoPlan if there is none,
// store.ErrNewerSchema if a newer version wrote it.
func LoadPlan(ctx context.Context, s store.Store, meshName, id string) (*Plan, error) {
	head := store.Change(meshName, id)
	items, err := s.LoadNow(ctx, head.PK, head.SK)
	if err != nil {
		return nil, fmt.Errorf("reading plan %s: %w", id, err)
	}
	out := &Plan{mesh: meshName}
	for _, it := range items {
		newer := false
		switch {
		case it.SK == head.SK:
			if out.head, err = store.Decode[change.Head](it, ChangeSchema); err == nil {
				newer = out.head.Newer
			}
		case strings.HasPrefix(it.SK, head.SK+"#"):
			var d store.Doc[change.Step]
			if d, err = store.Decode[change.Step](it, ChangeSchema); err == nil {
				newer = d.Newer
				out.steps = append(out.steps, d)
			}
		}
		if err == nil && newer {
			err = store.ErrNewerSchema
		}
		if err != nil {
			return nil, fmt.Errorf("reading plan %s: %w", id, err)
		}
	}
	if out.head.Value.ID == "" {
		return nil, ErrNoPlan
	}
	steps := out.head.Value.Steps
	if len(out.steps) < steps {
		return nil, fmt.Errorf("plan %s has %d steps of %d: it was not written to its end", id, len(out.steps), steps)
	}
	// Steps beyond are of a run that was killed while it added them.
	out.left = map[store.Key]int64{}
	for _, d := range out.steps[steps:] {
		out.left[d.Key] = d.Version
	}
	out.steps = out.steps[:steps]
	out.Head = out.head.Value
	for i, d := range out.steps {
		if d.Value.N != i+1 {
			return nil, fmt.Errorf("plan %s lacks step %d", id, i+1)
		}
		out.Steps = append(out.Steps, d.Value)
	}
	return out, nil
}

// Save writes what changed of a plan: its steps, and then its head, so that a head
// never tells of a step that is not there.
func (p *Plan) Save(ctx context.Context, s store.Store) error {
	var ttl time.Time
	if p.State.Ended() {
		ttl = p.Since.Add(planKept)
	}
	p.grow()
	for i := range p.steps {
		p.steps[i].Value, p.steps[i].TTL = p.Steps[i], ttl
	}
	if err := save(ctx, s, p.steps); err != nil {
		return fmt.Errorf("writing the steps of plan %s: %w", p.ID, err)
	}
	p.head.Value, p.head.TTL = p.Head, ttl
	head := []store.Doc[change.Head]{p.head}
	if err := save(ctx, s, head); err != nil {
		return fmt.Errorf("writing plan %s: %w", p.ID, err)
	}
	p.head = head[0]
	return nil
}

// save writes the documents that changed, and leaves each as it is stored then.
func save[T any](ctx context.Context, s store.Store, docs []store.Doc[T]) error {
	var items []store.Item
	var at []int
	for i, d := range docs {
		it, changed, err := d.Change()
		if err != nil {
			return err
		}
		if changed {
			items, at = append(items, it), append(at, i)
		}
	}
	if len(items) == 0 {
		return nil
	}
	if err := s.Put(ctx, items...); err != nil {
		return err
	}
	for j, i := range at {
		it := items[j]
		it.Version++
		d, err := store.Decode[T](it, ChangeSchema)
		if err != nil {
			return err
		}
		docs[i] = d
	}
	return nil
}

// PlanHeads are the heads of all plans that are kept, the newest first.
func PlanHeads(ctx context.Context, s store.Store, meshName string) ([]change.Head, error) {
	items, err := s.Heads(ctx, store.Changes(meshName), store.PrefixChange)
	if err != nil {
		return nil, fmt.Errorf("reading the plans of mesh %s: %w", meshName, err)
	}
	var out []change.Head
	for _, it := range items {
		d, err := store.Decode[change.Head](it, ChangeSchema)
		if err != nil {
			return nil, err
		}
		out = append(out, d.Value)
	}
	slices.SortFunc(out, func(a, b change.Head) int { return b.Created.Compare(a.Created) })
	return out, nil
}

// Words are what people said to plans, by plan and in order, read consistently: who
// has just said something asks the function to hear it. What a newer version
// wrote down is an error: it may be a stop.
func Words(ctx context.Context, s store.Store, meshName string) (map[string][]change.Word, error) {
	items, err := s.LoadNow(ctx, store.Override(meshName), store.PrefixPlan)
	if err != nil {
		return nil, fmt.Errorf("reading what people said to plans: %w", err)
	}
	out := map[string][]change.Word{}
	for _, it := range items { // of each plan in order, but for the word that asks for it
		d, err := store.Decode[change.Word](it, WordSchema)
		if err == nil && d.Newer {
			err = store.ErrNewerSchema
		}
		if err != nil {
			return nil, fmt.Errorf("what people said to plans, %s: %w", it.SK, err)
		}
		words := append(out[d.Value.Plan], d.Value)
		if d.Value.N == 0 {
			words = append([]change.Word{d.Value}, out[d.Value.Plan]...)
		}
		out[d.Value.Plan] = words
	}
	return out, nil
}

// Say writes a word down, after those that are there and, since they are not kept for
// ever, after the number that it brings. It gives the word with its number.
func Say(ctx context.Context, s store.Store, meshName string, w change.Word) (change.Word, error) {
	heard := w.N
	for {
		if w.Verb != change.Ask {
			words, err := Words(ctx, s, meshName)
			if err != nil {
				return w, err
			}
			w.N = heard + 1
			if said := words[w.Plan]; len(said) > 0 {
				w.N = max(w.N, said[len(said)-1].N+1)
			}
		}
		doc := store.NewDoc(store.Word(meshName, w.Plan, w.N), WordSchema, w)
		doc.TTL = w.At.Add(wordKept)
		it, err := doc.Item()
		if err != nil {
			return w, err
		}
		err = s.Put(ctx, it)
		if errors.Is(err, store.ErrConflict) && w.Verb != change.Ask && ctx.Err() == nil {
			continue // somebody said something at the same time
		}
		if err != nil {
			return w, fmt.Errorf("writing down what you said to plan %s: %w", w.Plan, err)
		}
		return w, nil
	}
}
