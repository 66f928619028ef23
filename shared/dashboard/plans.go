package dashboard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"peerkeeper/shared/change"
)

// plansUnderWay are the plans that have not ended: first those that are stopped, then those
// that wait for a person, and last the drafts.
func (snap *snapshot) plansUnderWay() []change.Entry {
	doc, err := snap.Plans()
	if err != nil || doc.Newer {
		return nil // Unread names it
	}
	var out []change.Entry
	for _, e := range doc.Value.Plans {
		if !e.State.Ended() {
			out = append(out, e)
		}
	}
	order := []change.State{change.Stopped, change.Waiting, change.Running}
	place := func(e change.Entry) int {
		if i := slices.Index(order, e.State); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(out, func(a, b change.Entry) int { return cmp.Compare(place(a), place(b)) })
	return out
}

// changeRow is a plan on the page.
type changeRow struct {
	ID, Kind, State, Where, Why string
	change.Entry
}

func changeRows(plans []change.Entry) []changeRow {
	var out []changeRow
	for _, e := range plans {
		r := changeRow{ID: e.ID, Kind: string(e.Kind), State: string(e.State), Why: e.Reason(), Entry: e}
		if e.Step > 0 {
			r.Where = fmt.Sprintf("at step %d of %d", e.Step, e.Steps)
		}
		if done := e.Progress(); done != "" {
			r.Where = strings.TrimPrefix(r.Where+"; "+done, "; ")
		}
		out = append(out, r)
	}
	return out
}
