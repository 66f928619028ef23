package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
)

type checkVerb struct {
	Certs certsVerb `cmd:"" help:"Certificates that expire, changed or do not fit."`
}

type certsVerb struct {
	Now bool `help:"Look at every node now, instead of showing what certcheck saw last."`
	files
}

// Help is what peerkeeper check certs --help teaches.
func (certsVerb) Help() string {
	return `Lists the certificate that every node serves, how many days it has left, and what is wrong: expired or expiring ones, names that the pulling cluster's DNS does not resolve, changes since last time.
It never sends a credential and changes nothing. Exit 1 if a finding is critical or a warning.

Examples:

  peerkeeper check certs
  peerkeeper check certs --now
  peerkeeper check certs --json | jq -r '.findings[] | [.severity, .node, .message] | @tsv'`
}

type certFinding struct {
	ID       string         `json:"id"`
	Severity string         `json:"severity"`
	Reason   peer.Reason    `json:"reason"`
	Cluster  mesh.ClusterID `json:"cluster"`
	Node     mesh.NodeName  `json:"node"`
	KeyType  string         `json:"keyType"`
	Subject  string         `json:"subject"`
	NotAfter jsonTime       `json:"notAfter"`
	Message  string         `json:"message"`
	Fix      string         `json:"fix"`
}

// jsonTime is null where there is no instant.
type jsonTime struct{ time.Time }

// MarshalJSON writes RFC 3339 or null.
func (t jsonTime) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(t.UTC())
}

// Run shows certificates.
func (c *certsVerb) Run(ctx context.Context, t *terminal) error {
	open := c.known
	if c.Now {
		open = c.open
	}
	w, err := open()
	if err != nil {
		return err
	}
	if c.Now {
		h, err := w.host(t, c.files, secrets{}, nil) // certcheck needs no account
		if err != nil {
			return err
		}
		err = t.ask(ctx, w, len(w.Clusters), func(ctx context.Context) error {
			a, err := h.Once(ctx, "certcheck")
			if err == nil && a.Skipped != "" {
				err = fmt.Errorf("the look was not taken: %s; without --now you see the last one", a.Skipped)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	book, err := record.Load(ctx, w.store, w.Mesh)
	if err != nil {
		return err
	}
	now := w.clock.Now()
	findings, unseen := certFindings(w.Mesh, book, now)
	if t.json {
		err = t.answer(map[string]any{"findings": findings})
	} else {
		err = showCerts(t, w.Mesh, book, findings, now)
	}
	for _, id := range unseen {
		t.notef("%s has not been looked at yet: peerkeeper run --once certcheck, or --now", id)
	}
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Severity != "info" {
			return problem{}
		}
	}
	if len(unseen) > 0 {
		return problem{}
	}
	return nil
}

// certFindings lists what is known of certificates; unseen are the clusters of
// which nothing is.
func certFindings(m *mesh.Mesh, book *record.Book, now time.Time) (all []certFinding, unseen []mesh.ClusterID) {
	all = []certFinding{}
	for _, id := range m.IDs() {
		seen := book.Certs[id].Value
		if seen.At.IsZero() {
			unseen = append(unseen, id)
			continue
		}
		for _, f := range peer.CertFindings(seen, m.Policy.Thresholds.CertificateDays, now) {
			all = append(all, certFinding{f.ID, f.Severity, f.Reason, id, f.Node, f.KeyType, f.Subject, jsonTime{f.NotAfter}, f.Message, f.Fix})
		}
	}
	return all, unseen
}

func showCerts(t *terminal, m *mesh.Mesh, book *record.Book, findings []certFinding, now time.Time) error {
	table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CLUSTER\tNODE\tKEY\tDAYS LEFT\tSUBJECT\tSEEN")
	rows := 0
	for _, id := range m.IDs() {
		seen := book.Certs[id].Value
		for _, node := range slices.Sorted(maps.Keys(seen.Served)) {
			for _, key := range slices.Sorted(maps.Keys(seen.Served[node])) {
				s := seen.Served[node][key]
				if s.Fingerprint == "" {
					continue
				}
				rows++
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", id, clean(string(node)), clean(key), daysLeft(s.NotAfter, now), clean(s.Subject), seenAt(s, seen.At, now))
			}
		}
	}
	if rows > 0 {
		if err := table.Flush(); err != nil {
			return err
		}
		t.sayf("")
	}
	if len(findings) == 0 {
		t.sayf("No findings.")
		return nil
	}
	for _, f := range findings {
		on := string(f.Cluster)
		if f.Node != "" {
			on += " " + string(f.Node)
		}
		if f.KeyType != "" {
			on += " " + f.KeyType
		}
		t.sayf("%-8s %s: %s", strings.ToUpper(f.Severity), clean(on), clean(f.Message))
		if f.Fix != "" {
			t.sayf("         %s", clean(f.Fix))
		}
	}
	return nil
}

func daysLeft(notAfter, now time.Time) string {
	if !notAfter.After(now) {
		return "expired"
	}
	return fmt.Sprint(int(notAfter.Sub(now) / (24 * time.Hour)))
}

func seenAt(s peer.Served, at, now time.Time) string {
	switch age := now.Sub(at); {
	case s.Error != "":
		return "not now: " + clean(s.Error)
	case age < time.Minute:
		return "just now"
	case age < time.Hour:
		return fmt.Sprintf("%d min ago", int(age.Minutes()))
	default:
		return fmt.Sprintf("%d h ago", int(age.Hours()))
	}
}
