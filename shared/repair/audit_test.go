package repair

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func entry(i int) Entry {
	return Entry{Time: noon.Add(time.Duration(i) * time.Hour), Actor: "jdoe", Intent: fmt.Sprintf("resume emea %d", i), Outcome: "done"}
}

func history(t *testing.T, s store.Store) []Entry {
	t.Helper()
	got, err := History(t.Context(), s, "acme", noon.AddDate(0, 0, -1), noon.AddDate(0, 3, 0))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAppendChainsEntriesOverMonths(t *testing.T) {
	s := storetest.NewMemory()
	for i := range 3 {
		if _, err := Append(t.Context(), s, "acme", entry(i*24*20)); err != nil {
			t.Fatal(err)
		}
	}
	got := history(t, s)
	if len(got) != 3 || got[2].Seq != 3 || got[2].Prev != got[1].Hash {
		t.Fatalf("chain of three months reads %+v", got)
	}
	if err := Verify(t.Context(), s, "acme", got); err != nil {
		t.Errorf("an untouched chain: %v", err)
	}
}

func TestVerifyNamesWhatDoesNotFit(t *testing.T) {
	s := storetest.NewMemory()
	for i := range 4 {
		if _, err := Append(t.Context(), s, "acme", entry(i)); err != nil {
			t.Fatal(err)
		}
	}
	whole := history(t, s)
	altered := append([]Entry(nil), whole...)
	altered[1].Actor = "mallory"
	rewritten := append([]Entry(nil), altered...)
	rewritten[1].Hash = rewritten[1].sum()
	for name, c := range map[string]struct {
		entries []Entry
		want    string
	}{
		"an entry altered":         {altered, "entry 2 was altered"},
		"an entry rewritten":       {rewritten, "entry 3 does not follow entry 2"},
		"an entry missing":         {append(append([]Entry(nil), whole[0]), whole[2:]...), "does not follow"},
		"the newest two missing":   {whole[:2], "newest entries are missing"},
		"the oldest one forgotten": {whole[1:], ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := Verify(t.Context(), s, "acme", c.entries)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestAGateThatCannotBeReadProvesNothing: that the audit ends in it is not shown.
func TestAGateThatCannotBeReadProvesNothing(t *testing.T) {
	s := storetest.NewMemory()
	if _, err := Append(t.Context(), s, "acme", entry(0)); err != nil {
		t.Fatal(err)
	}
	whole := history(t, s)
	if err := Verify(t.Context(), storetest.NewMemory(), "acme", whole); err == nil {
		t.Error("proven by a gate that is gone")
	}
	it, err := s.Get(t.Context(), store.Gate("acme"))
	if err != nil {
		t.Fatal(err)
	}
	it.Body = []byte(`{"last":`)
	if err := s.Put(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if err := Verify(t.Context(), s, "acme", whole); err == nil {
		t.Error("proven by a gate that cannot be read")
	}
	if _, err := Append(t.Context(), s, "acme", entry(1)); err == nil {
		t.Error("written on top of a gate that cannot be read")
	}
	s.Fail = func(op string, key store.Key) error {
		if op == "get" && key == store.Gate("acme") {
			return context.Canceled
		}
		return nil
	}
	if err := Verify(t.Context(), s, "acme", whole); err == nil {
		t.Error("proven by a gate that does not answer")
	}
	if _, err := History(t.Context(), s, "acme", noon.AddDate(0, 0, -1), noon); err == nil {
		t.Error("read whole although the end of the chain is not known")
	}
}

// Two write at once, and the other one dies between the gate and its item, just
// before this one's turn: its entry is written for it, and then ours.
func TestAnEntryOfWhoDiesMeanwhileIsNotLost(t *testing.T) {
	s := storetest.NewMemory()
	if _, err := Append(t.Context(), s, "acme", entry(0)); err != nil {
		t.Fatal(err)
	}
	reads := 0
	s.Fail = func(op string, key store.Key) error {
		if op != "get" || key != store.Gate("acme") {
			return nil
		}
		if reads++; reads != 2 { // looked for what is missing; now comes the compare-and-swap
			return nil
		}
		s.Fail = func(op string, key store.Key) error {
			if op == "put" && strings.Contains(key.PK, "#audit#") {
				return context.Canceled
			}
			return nil
		}
		if _, err := Append(t.Context(), s, "acme", entry(1)); err == nil {
			t.Error("the other one's item was written")
		}
		s.Fail = nil
		return nil
	}
	if _, err := Append(t.Context(), s, "acme", entry(2)); err != nil {
		t.Fatal(err)
	}
	got := history(t, s)
	if len(got) != 3 || got[1].Intent != entry(1).Intent || got[2].Intent != entry(2).Intent {
		t.Fatalf("%+v", got)
	}
	if err := Verify(t.Context(), s, "acme", got); err != nil {
		t.Error(err)
	}
}

// Nothing is looked for in months of which every entry is forgotten.
func TestAHistoryOfAllTimesIsReadAsFarAsAnythingIsKept(t *testing.T) {
	s := storetest.NewMemory()
	loads := 0
	s.Fail = func(op string, _ store.Key) error {
		if op == "load" {
			loads++
		}
		return nil
	}
	if _, err := History(t.Context(), s, "acme", time.Time{}, noon); err != nil {
		t.Fatal(err)
	}
	if months := int(keepAudit.Hours()/24/28) + 2; loads == 0 || loads > months {
		t.Errorf("%d partitions were read, want no more than %d months", loads, months)
	}
}

// TestNoEntryBeforeTheOneAsked: History begins where it is asked to.
func TestNoEntryBeforeTheOneAsked(t *testing.T) {
	s := storetest.NewMemory()
	for i := range 3 {
		if _, err := Append(t.Context(), s, "acme", entry(i)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := History(t.Context(), s, "acme", entry(1).Time, noon.AddDate(0, 0, 1))
	if err != nil || len(got) != 2 || got[0].Seq != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWritersAtOnceEachGetTheirOwnEntry(t *testing.T) {
	s := storetest.NewMemory()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for {
				if _, err := Append(context.WithoutCancel(t.Context()), s, "acme", entry(i)); err == nil {
					return
				}
			}
		})
	}
	wg.Wait()
	got := history(t, s)
	if len(got) < 8 {
		t.Fatalf("%d entries of 8 writers", len(got))
	}
	if err := Verify(t.Context(), s, "acme", got); err != nil {
		t.Error(err)
	}
}

// A writer that dies after the gate and before its item leaves an entry that
// the next one writes for it.
func TestDeadWritersEntryIsNotLost(t *testing.T) {
	s := storetest.NewMemory()
	if _, err := Append(t.Context(), s, "acme", entry(0)); err != nil {
		t.Fatal(err)
	}
	s.Fail = func(op string, key store.Key) error {
		if op == "put" && strings.Contains(key.PK, "#audit#") {
			return context.Canceled
		}
		return nil
	}
	if _, err := Append(t.Context(), s, "acme", entry(1)); err == nil {
		t.Fatal("the item's write failed and Append said nothing")
	}
	s.Fail = nil
	written := history(t, s)
	if len(written) != 1 {
		t.Fatalf("%d items, want the first only", len(written))
	}
	if err := Verify(t.Context(), s, "acme", written); err != nil {
		t.Errorf("the entry stands in the gate, and the chain ends before it: %v", err)
	}
	if _, err := Append(t.Context(), s, "acme", entry(2)); err != nil {
		t.Fatal(err)
	}
	got := history(t, s)
	if len(got) != 3 || got[1].Intent != entry(1).Intent {
		t.Fatalf("after the next writer: %+v", got)
	}
	if err := Verify(t.Context(), s, "acme", got); err != nil {
		t.Error(err)
	}
}

// A clock that was ahead left its entry in a month that is yet to come: it is part of the
// chain. Where something was paused and nothing done, there is no entry at all.
func TestAHistoryEndsWhereTheChainDoes(t *testing.T) {
	s := storetest.NewMemory()
	if _, _, err := store.Claim(t.Context(), s, store.Gate("acme"), GateSchema, func(d *store.Doc[Gate], _ bool) (bool, error) { d.Value.PauseEpoch++; return true, nil }); err != nil {
		t.Fatal(err)
	}
	if got, err := History(t.Context(), s, "acme", noon.AddDate(0, 0, -1), noon); err != nil || len(got) != 0 {
		t.Errorf("of a mesh that was paused: %+v, %v", got, err)
	}
	ahead := entry(1)
	ahead.Time = noon.AddDate(0, 2, 0)
	for _, e := range []Entry{entry(0), ahead} {
		if _, err := Append(t.Context(), s, "acme", e); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := History(t.Context(), s, "acme", noon.AddDate(0, 0, -1), noon); err != nil || len(got) != 2 {
		t.Errorf("with a clock that was two months ahead: %+v, %v", got, err)
	}
}

// A chain of which every entry is gone is not a chain that has none.
func TestAHistoryWithoutItsEntriesIsNotProven(t *testing.T) {
	s := storetest.NewMemory()
	for i := range 2 {
		if _, err := Append(t.Context(), s, "acme", entry(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := Verify(t.Context(), s, "acme", nil); err == nil || !strings.Contains(err.Error(), "the newest entries are missing") {
		t.Errorf("%v", err)
	}
}
