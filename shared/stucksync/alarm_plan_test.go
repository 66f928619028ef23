package stucksync

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/change"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// TestWhoIsToldOfAPlanThatStands: a page for one that stopped, a ticket for one that waits
// long, sooner where it keeps something as it should not stay.
func TestWhoIsToldOfAPlanThatStands(t *testing.T) {
	const off = "high availability of emea is still disabled (step 9 enables it)"
	for _, c := range []struct {
		name  string
		entry change.Entry
		ago   time.Duration
		want  string
	}{
		{"it runs", change.Entry{State: change.Running}, 48 * time.Hour, ""},
		{"it stopped by itself", change.Entry{State: change.Stopped}, 0, alarm.PlanStopped},
		{"a person has just stopped it", change.Entry{State: change.Stopped, Stop: "ada"}, 20 * time.Minute, ""},
		{"a person has stopped it and forgot it", change.Entry{State: change.Stopped, Stop: "ada"}, 30 * time.Minute, alarm.PlanStopped},
		{"it waits for a person since yesterday morning", change.Entry{State: change.Waiting}, 24 * time.Hour, alarm.PlanWaits},
		{"it waits over night", change.Entry{State: change.Waiting}, 12 * time.Hour, ""},
		{"it waits, and high availability is off", change.Entry{State: change.Waiting, Holds: off}, 4 * time.Hour, alarm.PlanWaits},
		{"it has just begun to wait, and high availability is off", change.Entry{State: change.Waiting, Holds: off}, 3 * time.Hour, ""},
		{"a draft that nobody starts", change.Entry{State: change.Draft}, 48 * time.Hour, ""},
	} {
		tk := at(t, nil)
		e := c.entry
		e.ID, e.Since, e.Step, e.Steps, e.Why = "c4f2", noon.Add(-c.ago), 3, 9, "step 3: for an answer"
		doc := store.NewDoc(store.Plans("acme"), record.PlansSchema, change.Plans{Plans: []change.Entry{e}})
		if err := record.SavePlans(t.Context(), tk.Store, &doc); err != nil {
			t.Fatal(err)
		}
		var err error
		if tk.Snapshot, err = record.Load(t.Context(), tk.Store, tk.Mesh); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range slices.Concat(tk.plansStopped(), tk.plansWaiting()) {
			got = append(got, f.Name)
			if e.Holds != "" && !strings.Contains(f.Message, off) {
				t.Errorf("%s: %s", c.name, f.Message)
			}
			if strings.Count(f.Message, "step 3") != 1 {
				t.Errorf("%s: the step is named once: %s", c.name, f.Message)
			}
		}
		if strings.Join(got, ",") != c.want {
			t.Errorf("%s: alarms %v, want %q", c.name, got, c.want)
		}
	}
}
