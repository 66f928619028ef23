// Package peering carries out the plans of people: it hears what they said,
// advances each plan that runs, and acts through the gate.
//
// It owns the CHANGE items and PLANS. With no plan that runs and nothing said it
// reads two items and contacts no cluster. A step is done when it was seen to be:
// what a person confirms and reading contradicts stays open with both facts. An
// action is sent at most once; what became of one that a killed run began is read
// back. What cannot be told any more is unknown, and a person decides.
package peering

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
)

// Peering is the use case. All fields are needed but Log and Crash.
type Peering struct {
	Mesh  *mesh.Mesh
	Store store.Store
	// Clusters opens clusters: with their read accounts to look, and in mode recover
	// with their write accounts to act.
	Clusters *cluster.Connector
	// Preflight has the checks of a cluster carried out and recorded, now.
	Preflight func(ctx context.Context, id mesh.ClusterID) error
	Now       func() time.Time
	Log       *slog.Logger
	// Privilege is the right to do what signs people out.
	Privilege repair.Privilege
	// Crash is called between the steps of an action, for tests that kill the
	// process there.
	Crash func(step string)
}

// actor is who acts, for the audit.
const actor = "peering"

// mostPlans bounds the plans that are under way at once.
const mostPlans = 50

// spare is what a look keeps of its time for writing down what it found.
const spare = 30 * time.Second

// Handle hears what people said and advances the plans that run.
func (p *Peering) Handle(ctx context.Context, req run.Request) (run.Answer, error) {
	sched, _ := run.Find(actor)
	r := run.Runner{Schedule: sched, Mesh: p.Mesh, Store: p.Store, Now: p.Now}
	return r.Once(ctx, req, func(ctx context.Context, lease *store.Lease) (run.Answer, error) {
		if lease == nil {
			return run.Answer{}, nil // a dry run hears nothing
		}
		return p.run(ctx, lease)
	})
}

func (p *Peering) run(ctx context.Context, lease *store.Lease) (run.Answer, error) {
	index, err := record.LoadPlans(ctx, p.Store, p.Mesh.Name)
	if err != nil {
		return run.Answer{}, err
	}
	words, err := record.Words(ctx, p.Store, p.Mesh.Name)
	if err != nil {
		return run.Answer{}, err
	}
	t := &tick{Peering: p, lease: lease}
	looking := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		looking, cancel = context.WithDeadline(ctx, end.Add(-spare))
		defer cancel()
	}
	var errs []error
	for _, id := range wanted(index.Value, words) {
		entry, err := t.plan(ctx, looking, id, words[id], &index)
		if err != nil {
			// What went wrong with one plan is no reason to leave the others.
			errs = append(errs, fmt.Errorf("plan %s: %w", id, err))
			continue
		}
		index.Value.Plans = noted(index.Value.Plans, entry)
		// At once: what others know of a plan is never behind what was sent for it.
		if err := record.SavePlans(ctx, p.Store, &index); err != nil {
			errs = append(errs, err)
			break
		}
	}
	index.Value.Plans = slices.DeleteFunc(index.Value.Plans, func(e change.Entry) bool {
		return e.State.Ended() && len(words[e.ID]) == 0 // what was said to it is forgotten, so nothing is heard twice
	})
	errs = append(errs, record.SavePlans(ctx, p.Store, &index))
	answer := run.Answer{Actions: t.actions}
	for _, e := range index.Value.Plans {
		if e.State.Active() {
			answer.Proposals++
		}
	}
	return answer, errors.Join(errs...)
}

// wanted are the plans that run, those for which something was sent of which it is not
// known what became, and those to which something was said that has not been heard,
// the oldest entries first.
func wanted(index change.Plans, words map[string][]change.Word) []string {
	var out []string
	for _, e := range index.Plans {
		if e.State.Active() || e.Sent || unheard(words[e.ID], e.Folded) {
			out = append(out, e.ID)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(words), func(a, b string) int {
		return cmp.Or(words[a][0].At.Compare(words[b][0].At), cmp.Compare(a, b))
	}) {
		if _, known := index.Find(id); !known {
			out = append(out, id)
		}
	}
	return out
}

func unheard(words []change.Word, heard int) bool {
	return len(words) > 0 && words[len(words)-1].N > heard
}

func noted(all []change.Entry, e change.Entry) []change.Entry {
	if e.ID == "" {
		return all
	}
	for i := range all {
		if all[i].ID == e.ID {
			all[i] = e
			return all
		}
	}
	return append(all, e)
}

// plan hears what was said to one plan and advances it, as long as looking lasts; ctx
// lasts longer, for what was found is written down.
func (t *tick) plan(ctx, looking context.Context, id string, words []change.Word, index *store.Doc[change.Plans]) (change.Entry, error) {
	p, err := record.LoadPlan(ctx, t.Store, t.Mesh.Name, id)
	switch {
	case errors.Is(err, record.ErrNoPlan):
		if p, err = t.make(ctx, id, words, index.Value); err != nil || p == nil {
			return change.Entry{}, err
		}
	case err != nil:
		return change.Entry{}, err
	}
	p.Reclock(t.Now())
	for _, w := range words {
		if why := taken(p, w, index); why != "" {
			p.Refuse(w, why)
		} else if err := p.Hear(w, t.Mesh.Policy.Mode, t.Now()); err != nil {
			t.logger().Info("a word to a plan was refused", "plan", id, "verb", string(w.Verb), "by", w.Actor, "why", err.Error())
		}
	}
	if err := p.Save(ctx, t.Store); err != nil {
		return change.Entry{}, err
	}
	if known, _ := index.Value.Find(id); !slices.Equal(known.Pairs, p.Entry().Pairs) { // before the first step
		if err := t.changes(ctx, p, index); err != nil {
			return p.Entry(), err
		}
	}
	for p.State.Active() {
		pairs := p.Pairs
		moved, err := t.advance(looking, p)
		if err != nil {
			return p.Entry(), err
		}
		if err := p.Save(ctx, t.Store); err != nil {
			return p.Entry(), err
		}
		if !moved {
			break
		}
		if !slices.Equal(pairs, p.Pairs) { // a join was laid out
			if err := t.changes(ctx, p, index); err != nil {
				return p.Entry(), err
			}
		}
	}
	if err := t.readBack(ctx, p); err != nil {
		return p.Entry(), err
	}
	if err = t.lock(ctx, p); errors.As(err, new(*repair.Locked)) {
		err = nil // another plan's turn is this one's wait
	}
	return p.Entry(), err
}

// changes writes down which pairs a plan changes: they are not judged from now on.
func (t *tick) changes(ctx context.Context, p *record.Plan, index *store.Doc[change.Plans]) error {
	index.Value.Plans = noted(index.Value.Plans, p.Entry())
	if err := record.SavePlans(ctx, t.Store, index); err != nil {
		return err
	}
	t.grounds = nil // they are of before
	return nil
}

// taken says why a plan may not be started: another one that is under way changes one of
// its pairs.
func taken(p *record.Plan, w change.Word, index *store.Doc[change.Plans]) string {
	if w.Verb != change.Start || w.N <= p.Folded {
		return ""
	}
	changing := index.Value.Changing()
	for _, id := range p.Pairs {
		if by := changing[id]; by != "" && by != p.ID {
			return fmt.Sprintf("plan %s changes %s: one plan at a time changes a pair (`peerkeeper peering show %s`)", by, id, by)
		}
	}
	return ""
}

// make makes a plan of the word that asks for it, and writes it down. One that
// cannot be is kept as failed, with the reason.
func (t *tick) make(ctx context.Context, id string, words []change.Word, index change.Plans) (*record.Plan, error) {
	if len(words) == 0 || words[0].Verb != change.Ask {
		return nil, nil // what was said to a plan that is forgotten
	}
	if err := t.look(ctx); err != nil {
		return nil, err
	}
	now := t.Now()
	under := 0
	for _, e := range index.Plans {
		if !e.State.Ended() {
			under++
		}
	}
	made, err := change.Make(t.known(), id, words[0])
	if err == nil && under >= mostPlans {
		err = fmt.Errorf("%s are under way already, and at most %d may be: `peerkeeper peering list` shows them, and `peerkeeper peering abort` ends what nobody needs", plain.Count(under, "plan", "plans"), mostPlans)
	}
	if err != nil {
		made = &change.Plan{Head: change.Head{ID: id, Kind: words[0].Kind, Args: words[0].Args, By: words[0].Actor, Created: words[0].At, State: change.Failed, Why: err.Error(), Since: now}}
	}
	return record.NewPlan(ctx, t.Store, t.Mesh.Name, made)
}

func (p *Peering) logger() *slog.Logger {
	if p.Log != nil {
		return p.Log
	}
	return slog.New(slog.DiscardHandler)
}
