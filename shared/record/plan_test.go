package record_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// handing counts the items that a store hands over.
type handing struct {
	store.Store
	items, bytes, requests int
}

func (h *handing) count(items []store.Item, err error) ([]store.Item, error) {
	h.requests++
	for _, it := range items {
		h.items, h.bytes = h.items+1, h.bytes+len(it.Body)
	}
	return items, err
}

func (h *handing) Load(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	return h.count(h.Store.Load(ctx, pk, prefix))
}

func (h *handing) LoadNow(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	return h.count(h.Store.LoadNow(ctx, pk, prefix))
}

func (h *handing) Heads(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	return h.count(h.Store.Heads(ctx, pk, prefix))
}

// TestAListOfPlansReadsNoSteps: a year's plans, one of them as long as a cluster that
// joins the largest mesh, are listed by as many items as there are plans.
func TestAListOfPlansReadsNoSteps(t *testing.T) {
	s := &handing{Store: storetest.NewMemory()}
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	const plans = 52
	for i := range plans {
		steps := 12
		if i == 7 {
			steps = 600
		}
		p := &change.Plan{Head: change.Head{ID: fmt.Sprintf("%06x", i*7919%0xffffff), Created: at.Add(time.Duration(i) * 7 * 24 * time.Hour), Since: at, State: change.Done, Steps: steps}}
		for n := range steps {
			p.Steps = append(p.Steps, change.Step{N: n + 1, Evidence: "it reads what was wanted"})
		}
		doc, err := record.NewPlan(t.Context(), s, "acme", p)
		if err == nil {
			err = doc.Save(t.Context(), s)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.items, s.bytes, s.requests = 0, 0, 0
	heads, err := record.PlanHeads(t.Context(), s, "acme")
	if err != nil {
		t.Fatal(err)
	}
	if len(heads) != plans || s.items != plans || s.requests != 1 {
		t.Errorf("%d plans by %d items and %d requests", len(heads), s.items, s.requests)
	}
	for i := 1; i < len(heads); i++ {
		if heads[i].Created.After(heads[i-1].Created) {
			t.Fatalf("%s comes after %s", heads[i].Created, heads[i-1].Created)
		}
	}
}
