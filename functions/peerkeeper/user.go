package main

import (
	"context"
	"fmt"

	"peerkeeper/shared/operator"
	"peerkeeper/shared/plain"
)

type userVerb struct {
	ID name `arg:"" help:"The user ID, or the IM address." placeholder:"ID"`
	files
	secrets
}

// Help is what peerkeeper user --help teaches.
func (userVerb) Help() string {
	return `Asks every cluster now, one small query each, where the user is home and whether the clusters that pull from there hold a copy.
It never tries an account that was rejected, and concludes nothing from a cluster that does not answer. Exit 1 if the user is nowhere, at home twice, missing or stale in a copy, or a cluster could not be asked.

Examples:

  peerkeeper user asmith
  peerkeeper user asmith@example.com
  peerkeeper user asmith --json     # {id, home: {cluster, node}, homes, copies: [{cluster, present, stale}]}`
}

// Run looks a user up.
func (u *userVerb) Run(ctx context.Context, t *terminal) error {
	w, err := u.open()
	if err != nil {
		return err
	}
	accounts, err := w.accounts(t, u.files, u.secrets, readSecrets(w.Clusters))
	if err != nil {
		return err
	}
	o := w.operator()
	o.Clusters = w.clusters(t, accounts)
	var where operator.Whereabouts
	err = t.ask(ctx, w, len(w.Clusters), func(ctx context.Context) (err error) {
		where, err = o.User(ctx, string(u.ID))
		return err
	})
	if err != nil {
		return err
	}
	if t.json {
		err = t.answer(where)
	} else {
		u.show(t, where)
	}
	if err == nil && !allWell(where) {
		return problem{}
	}
	return err
}

func allWell(w operator.Whereabouts) bool {
	for _, c := range w.Copies {
		if !c.Present || c.Stale {
			return false
		}
	}
	return w.Home != nil && len(w.Homes) < 2 && len(w.Failed) == 0
}

func (u *userVerb) show(t *terminal, w operator.Whereabouts) {
	switch {
	case w.Home == nil && len(w.Failed) > 0:
		t.sayf("%s is home in none of the clusters that answered", clean(w.ID))
	case w.Home == nil:
		t.sayf("%s is home in no cluster of this mesh", clean(w.ID))
	case len(w.Homes) > 1:
		var at []string
		for _, h := range w.Homes {
			at = append(at, fmt.Sprintf("%s (%s)", h.Cluster, clean(string(h.Node))))
		}
		t.sayf("%s is home TWICE, which Cisco forbids: %s", clean(w.ID), plain.List(at))
	default:
		t.sayf("%s is home in %s, on %s", clean(w.ID), w.Home.Cluster, clean(string(w.Home.Node)))
	}
	for _, c := range w.Copies {
		if w.Home == nil && !c.Present && !c.Stale {
			continue // nobody misses a copy of nobody
		}
		what := "has a copy"
		switch {
		case c.Present && c.Stale:
			what = "has a copy, and a stale one that names another home"
		case c.Stale:
			what = "has only a STALE copy, which names another home"
		case !c.Present:
			what = "has NO copy"
		}
		t.sayf("  %-8s %s", c.Cluster, what)
	}
	for _, f := range w.Failed {
		t.sayf("  %-8s could not be asked: %s", f.Cluster, clean(f.Reason))
	}
}
