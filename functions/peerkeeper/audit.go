package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/useraudit"
	"peerkeeper/shared/userset"
)

type auditVerb struct {
	Users auditUsersVerb `cmd:"" help:"Users who are twice in the mesh, or wrong by themselves, by name."`
}

type auditUsersVerb struct {
	CSV bool `name:"csv" help:"Answer in CSV on stdout, a line for each user."`
	kept
	secrets
}

// Help is what peerkeeper audit users --help teaches.
func (auditUsersVerb) Help() string {
	return `Lists the users of the whole mesh with a user ID or directory URI that another one has as well, in whichever case or spelling; without a directory URI, or with an invalid one; with an invalid user ID; without a node; and copies of users who are home nowhere. A user who is moving between clusters is listed, and is no problem.
It does not read every user: peersync does, once a day, one cluster after the other, and keeps hashes of them. Only those who are suspected are read again, now. Of a cluster that does not answer it says that it does not know. On --table the last audit of preflight is shown. In a field of the CSV that a spreadsheet would take for a formula an apostrophe comes first. Exit 1 if there is a problem, or if something could not be read.

Examples:

  peerkeeper audit users
  peerkeeper audit users --csv > users.csv
  peerkeeper audit users --json | jq -r '.problems[] | [.kind, .key] | @tsv'`
}

// Run audits the users.
func (a *auditUsersVerb) Run(ctx context.Context, t *terminal) error {
	if a.CSV && t.json {
		return usagef("--csv and --json are two forms of one answer: give one")
	}
	w, err := a.known(ctx)
	if err != nil {
		return err
	}
	r, err := a.report(ctx, t, w)
	if err != nil {
		return err
	}
	switch {
	case t.json:
		err = t.answer(r)
	case a.CSV:
		err = writeUsersCSV(t, r)
	default:
		err = showUsers(t, r)
	}
	if err == nil && !r.Well() {
		return problem{}
	}
	return err
}

func (a *auditUsersVerb) report(ctx context.Context, t *terminal, w *watched) (userset.Report, error) {
	if a.Table != "" {
		snapshot, err := record.Load(ctx, w.store, w.Mesh)
		if err != nil {
			return userset.Report{}, err
		}
		r, err := snapshot.UserReport()
		if err == nil && r == nil {
			err = fmt.Errorf("the users of mesh %s have not been audited yet: preflight does so once a day", w.Name)
		}
		if err != nil {
			return userset.Report{}, err
		}
		return *r, nil
	}
	accounts, err := w.accounts(t, a.files, a.secrets, readSecrets(w.Clusters))
	if err != nil {
		return userset.Report{}, err
	}
	o := w.operator()
	o.Clusters = w.clusters(t, accounts)
	audit := useraudit.Audit{Mesh: w.Mesh, Store: w.store, Now: w.clock.Now, Ask: o.Ask}
	var r userset.Report
	err = t.ask(ctx, w, len(w.Clusters), func(ctx context.Context) (err error) {
		r, err = audit.Run(ctx)
		return err
	})
	return r, err
}

// troubleWords are what the kinds are called in a sentence.
func troubleWords(kind userset.Trouble) string {
	switch kind {
	case userset.DuplicateUserID:
		return "user ID more than once"
	case userset.DuplicateDirectoryURI:
		return "directory URI more than once"
	case userset.InvalidDirectoryURI:
		return "invalid directory URI"
	case userset.NoDirectoryURI:
		return "no directory URI"
	case userset.InvalidUserID:
		return "invalid user ID"
	case userset.Unassigned:
		return "no node assigned"
	case userset.CopyWithoutHome:
		return "copy of a user who is home nowhere"
	}
	return "moving between clusters (no problem)"
}

func showUsers(t *terminal, r userset.Report) error {
	for _, kind := range userset.Troubles() {
		if r.Counts[kind] == 0 {
			continue
		}
		t.sayf("%s: %d", troubleWords(kind), r.Counts[kind])
		table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
		shown := 0
		for _, p := range r.Problems {
			if p.Kind != kind {
				continue
			}
			shown++
			for _, u := range p.Users {
				fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", clean(u.UserID), u.Cluster, clean(string(u.Node)), clean(u.DirectoryURI))
			}
		}
		if err := table.Flush(); err != nil {
			return err
		}
		if more := r.Counts[kind] - shown; more > 0 {
			t.sayf("  and %d more", more)
		}
	}
	for _, g := range r.Unread {
		t.sayf("NOT KNOWN of %s, %s: %s", g.Cluster, g.What, g.Reason)
	}
	read := 0
	for _, at := range r.Read {
		if at != nil {
			read++
		}
	}
	switch {
	case r.Well() && len(r.Problems) == 0:
		t.sayf("Nothing is wrong with the users of %s.", plain.Count(read, "cluster", "clusters"))
	case len(r.Unread) > 0:
		t.sayf("What is not known is not none: this is no all-clear.")
	}
	return nil
}

func writeUsersCSV(t *terminal, r userset.Report) error {
	w := csv.NewWriter(t.stdout)
	if err := w.Write([]string{"kind", "key", "cluster", "node", "userID", "imAddress", "directoryURI"}); err != nil {
		return err
	}
	for _, p := range r.Problems {
		for _, u := range p.Users {
			row := []string{string(p.Kind), p.Key, string(u.Cluster), string(u.Node), u.UserID, u.IMAddress, u.DirectoryURI}
			for i, field := range row {
				row[i] = clean(field)
				// A directory's text must not run in the spreadsheet that opens it.
				if row[i] != "" && slices.Contains([]byte("=+-@"), row[i][0]) {
					row[i] = "'" + row[i]
				}
			}
			if err := w.Write(row); err != nil {
				return err
			}
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	var unread []string
	for _, g := range r.Unread {
		unread = append(unread, fmt.Sprintf("%s (%s)", g.Cluster, g.What))
	}
	if len(unread) > 0 {
		t.notef("peerkeeper: not known, and so not in this table: %s", strings.TrimSpace(plain.List(unread)))
	}
	return nil
}
