package record_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/record"
)

func TestRefusalIsStoredAsOneText(t *testing.T) {
	for _, c := range []struct {
		name, stored string
		r            record.Refusal
	}{
		{"the guard alone", `"announced"`, record.Refusal{Guard: "announced"}},
		{"what it found", `"window: outside every allow window"`, record.Refusal{Guard: "window", Why: "outside every allow window"}},
		{"what it found has a colon", `"override: emea is paused by jdoe: change freeze"`, record.Refusal{Guard: "override", Why: "emea is paused by jdoe: change freeze"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := json.Marshal(c.r)
			if err != nil || string(got) != c.stored {
				t.Errorf("stored as %s (%v), want %s", got, err, c.stored)
			}
			var back record.Refusal
			if err := json.Unmarshal([]byte(c.stored), &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.r, back); diff != "" {
				t.Error(diff)
			}
		})
	}
}
