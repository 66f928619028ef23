package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"peerkeeper/shared/repair"
)

type historyVerb struct {
	Since  time.Duration `help:"How far back, such as 24h; default all that is kept (400 days)." placeholder:"TIME"`
	Verify bool          `help:"Check that no entry is missing or altered."`
	kept
}

// Help is what peerkeeper history --help teaches.
func (historyVerb) Help() string {
	return `Lists what people and Peerkeeper decided: who, when, what was meant, what came of it. Each entry carries the hash of the one before, so that --verify finds one that is missing or altered.
It never contacts a cluster and cannot change an entry. Exit 1 if --verify finds the chain broken.

Examples:

  peerkeeper history
  peerkeeper history --since 168h --json
  peerkeeper history --verify`
}

// Run shows the audit.
func (h *historyVerb) Run(ctx context.Context, t *terminal) error {
	w, err := h.known(ctx)
	if err != nil {
		return err
	}
	now := w.clock.Now()
	var since time.Time
	if h.Since > 0 {
		since = now.Add(-h.Since)
	}
	entries, err := repair.History(ctx, w.store, w.Name, since, now)
	if err != nil {
		return err
	}
	if entries == nil {
		entries = []repair.Entry{}
	}
	var broken error
	if h.Verify {
		// The whole chain, whatever is shown of it.
		all, err := repair.History(ctx, w.store, w.Name, time.Time{}, now)
		if err != nil {
			return err
		}
		broken = repair.Verify(ctx, w.store, w.Name, all)
	}
	if t.json {
		answer := struct {
			Entries  []repair.Entry `json:"entries"`
			Verified *bool          `json:"verified,omitempty"`
		}{Entries: entries}
		if h.Verify {
			ok := broken == nil
			answer.Verified = &ok
		}
		err = t.answer(answer)
	} else {
		err = h.show(t, entries, broken)
	}
	if err != nil {
		return err
	}
	return broken
}

func (h *historyVerb) show(t *terminal, entries []repair.Entry, broken error) error {
	if len(entries) == 0 {
		t.sayf("Nothing has been decided yet.")
	} else {
		table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "SEQ\tTIME\tWHO\tWHAT\tOUTCOME\tEVIDENCE")
		for _, e := range entries {
			fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", e.Seq, e.Time.Format("2006-01-02 15:04:05Z"), clean(e.Actor), clean(e.Intent), clean(e.Outcome), clean(e.Evidence))
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	if h.Verify && broken == nil {
		t.sayf("Verified: no entry is missing or altered.")
	}
	return nil
}
