package stucksync

import (
	"slices"
	"testing"

	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// TestWhatFailedWaitsForTheOthers: a node that hangs takes its time from nobody's
// turn but its own.
func TestWhatFailedWaitsForTheOthers(t *testing.T) {
	book := &record.Book{Proposals: map[string]store.Doc[record.Proposed]{
		"hangs":   {Value: record.Proposed{Refused: []string{failed + "timeout"}}},
		"refused": {Value: record.Proposed{Refused: []string{"said: emea is paused by jdoe: change freeze"}}},
		"late":    {Value: record.Proposed{Refused: []string{"time: this look had none left"}}},
	}}
	asked := []peer.Proposal{{ID: "hangs"}, {ID: "refused"}, {ID: "late"}, {ID: "new"}}
	var got []string
	for _, p := range failedLast(asked, book) {
		got = append(got, p.ID)
	}
	if want := []string{"refused", "late", "new", "hangs"}; !slices.Equal(got, want) || asked[0].ID != "hangs" {
		t.Errorf("in turn %v, want %v; what was asked is now %v", got, want, asked)
	}
}
