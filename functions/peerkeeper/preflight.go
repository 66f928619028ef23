package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"peerkeeper/shared/check"
	"peerkeeper/shared/ciscocli"
	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/run"
)

type preflightVerb struct {
	Show  preflightShowVerb `cmd:"" default:"withargs" help:"What the chapter asks for, row by row."`
	Paste pasteVerb         `cmd:"" help:"Give the output of a node's command line, from stdin."`
}

type preflightShowVerb struct {
	Clusters []name `arg:"" optional:"" name:"cluster" help:"These clusters only." placeholder:"CLUSTER"`
	Now      bool   `help:"Carry the checks out now, instead of showing the last ones; with --table the function does."`
	Strict   bool   `help:"Unknown is a problem too: exit 1."`
	kept
	secrets
}

// Help is what peerkeeper preflight --help teaches.
func (preflightVerb) Help() string { return preflightShowVerb{}.Help() }

// Help is what peerkeeper preflight show --help teaches.
func (preflightShowVerb) Help() string {
	return `Lists what Cisco's chapter asks of a mesh before its clusters are peered and while they are, a row a check: pass, fail, unknown, declared (as mesh.yaml says), manual (only a person sees it).
It changes nothing. Preflight runs once a day; with --now it asks each cluster two statements of AXL, two objects of PerfMon a node, and whether ports 7400 and, with sipFederation, 5060 take a connection from here. What was not read is unknown, and never passes. Exit 1 if a row fails.

Examples:

  peerkeeper preflight --now
  peerkeeper preflight emea --strict         # for a pipeline
  peerkeeper preflight --json | jq -r '.checks[] | select(.status == "fail") | [.id, .cluster, .message, .fix] | @tsv'
  peerkeeper preflight paste imp-emea-pub.example.com < output.txt`
}

// Run shows the checks.
func (p *preflightShowVerb) Run(ctx context.Context, t *terminal) error {
	open := p.known
	if p.Now {
		open = p.open
	}
	w, err := open(ctx)
	if err != nil {
		return err
	}
	var only []mesh.ClusterID
	for _, name := range p.Clusters {
		c, err := w.cluster(string(name))
		if err != nil {
			return err
		}
		only = append(only, c.ID)
	}
	if p.Now {
		if err := p.carryOut(ctx, t, w, run.Request{Function: "preflight", Only: only}); err != nil {
			return err
		}
	}
	answer, err := w.source().Preflight(ctx, w.clock.Now(), only...)
	if err != nil {
		return err
	}
	if t.json {
		err = t.answer(answer)
	} else {
		err = showChecks(t, answer)
	}
	if err != nil {
		return err
	}
	for _, id := range answer.Missing {
		t.notef("the checks of %s have not been carried out yet: peerkeeper preflight --now", id)
	}
	for _, u := range answer.Unread {
		t.notef("%s: %s", u.Item, u.Message)
	}
	for _, r := range answer.Checks {
		if r.Status == check.Fail || p.Strict && r.Status == check.Unknown {
			return problem{}
		}
	}
	if len(answer.Missing)+len(answer.Unread) > 0 {
		return problem{}
	}
	return nil
}

// carryOut runs preflight: here, or, where the functions keep what is known, there.
func (p *preflightShowVerb) carryOut(ctx context.Context, t *terminal, w *watched, req run.Request) error {
	if p.Table != "" {
		return t.wait(ctx, fixed("function preflight over %d clusters", len(w.Clusters)), func(ctx context.Context) error {
			req.Mesh = w.Name
			return invoke(ctx, p.Table, req)
		})
	}
	clusters := w.Clusters
	if len(req.Only) > 0 {
		clusters = nil
		for _, id := range req.Only {
			c, _ := w.Cluster(id)
			clusters = append(clusters, *c)
		}
	}
	accounts, err := w.accounts(t, p.files, p.secrets, readSecrets(clusters))
	if err != nil {
		return err
	}
	h := w.host(t, accounts)
	return t.ask(ctx, w, len(clusters), func(ctx context.Context) error {
		// What others record is what most rows are judged by.
		for _, function := range []string{"peersync", "certcheck"} {
			if h.Recorded(ctx, function) {
				continue
			}
			if _, err := h.Handle(ctx, run.Request{Function: function}); err != nil {
				return err
			}
		}
		a, err := h.Handle(ctx, req)
		if err == nil && a.Skipped != "" {
			err = fmt.Errorf("the checks were not carried out: %s; without --now you see the last ones", a.Skipped)
		}
		return err
	})
}

func showChecks(t *terminal, a dashboard.Preflight) error {
	table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	count := map[check.Status]int{}
	fmt.Fprintln(table, "STATUS\tSTEP\tCHECK\tABOUT\tWHAT WAS FOUND")
	for _, status := range check.Statuses() {
		for i, r := range a.Checks {
			if r.Status != status {
				continue
			}
			count[status]++
			if i > 0 && alike(a.Checks[i-1], r) {
				continue // told with the first
			}
			about := r.About()
			if about == "" {
				about = "the mesh"
			}
			more := 1
			for more < len(a.Checks)-i && alike(r, a.Checks[i+more]) {
				more++
			}
			if more > 1 {
				about += fmt.Sprintf(" and %d more", more-1)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", strings.ToUpper(string(r.Status)), r.Step, r.ID, clean(about), clean(r.Message))
			if r.Failed != nil {
				fmt.Fprintf(table, "\t\t\t\t  it failed before: %s\n", clean(r.Failed.Message))
			}
			if r.Fix != "" && status != check.Pass {
				fmt.Fprintf(table, "\t\t\t\t  to do: %s\n", clean(r.Fix))
			}
		}
	}
	if len(a.Checks) == 0 {
		return nil
	}
	if err := table.Flush(); err != nil {
		return err
	}
	t.sayf("")
	t.sayf("%d failed, %d unknown, %d for a person to see, %d as declared, %d passed; as of %s.", count[check.Fail], count[check.Unknown], count[check.Manual], count[check.Declared], count[check.Pass], a.AsOf.UTC().Format(time.RFC3339))
	return nil
}

// alike reports whether two rows tell one unknown of two peers of a cluster: 29 lines of one cluster's are read by nobody.
func alike(a, b check.Row) bool {
	return a.Status == check.Unknown && b.Status == check.Unknown && a.ID == b.ID && a.Step == b.Step && a.Cluster == b.Cluster && a.Reason == b.Reason && !a.Peer.IsZero() && !b.Peer.IsZero() && a.Failed == nil && b.Failed == nil
}

type pasteVerb struct {
	Node name `arg:"" help:"The node on whose command line it was run, as in mesh.yaml." placeholder:"NODE"`
	kept
}

// Help is what peerkeeper preflight paste --help teaches.
func (pasteVerb) Help() string {
	return `Takes from stdin what one of these commands answered on a node's command line, from its prompt up to and with the next prompt (admin:). It runs nothing on the node.

  utils network connectivity HOST PORT   which nodes of other clusters it reaches; any number of them
  utils users validate all               users who are twice in its cluster, and directory URIs
  utils ha status                        high availability of its redundancy group
  utils dbreplication runtimestate       database replication of its cluster

What it tells counts for 24 h, with your name; the newest answer of each command stands. What is none of these, breaks off or speaks of another cluster's nodes is refused, and nothing is kept of it.

Examples:

  peerkeeper preflight paste imp-emea-pub.example.com              # then paste, Enter, Ctrl-D
  peerkeeper preflight paste imp-emea-pub.example.com < output.txt
  xclip -o | peerkeeper preflight paste imp-emea-sub.example.com`
}

// Run takes what was pasted.
func (p *pasteVerb) Run(ctx context.Context, t *terminal) error {
	w, err := p.open(ctx)
	if err != nil {
		return err
	}
	node := mesh.NodeName(p.Node)
	owner, ok := w.Owner(node)
	if !ok {
		var names []string
		for _, c := range w.Clusters {
			for _, n := range c.Nodes {
				names = append(names, string(n.Name))
			}
		}
		return usagef("%s is no node of mesh %s: %s", p.Node, w.Name, suggest(string(p.Node), names))
	}
	text, err := t.read(ctx, ciscocli.MaxBytes, fmt.Sprintf("Paste what one command answered on the command line of %s, from its prompt up to and with the next one (admin:), then press Enter and Ctrl-D:", node))
	if err != nil {
		return err
	}
	output, err := ciscocli.Parse(bytes.NewReader(text))
	if err != nil {
		return usagef("nothing was kept: %w", err)
	}
	owned, _ := w.Cluster(owner)
	if foreign := check.Foreign(output, owned); foreign != "" {
		whose := ""
		for _, c := range w.Clusters {
			if check.Foreign(output, &c) == "" {
				whose = fmt.Sprintf(" (%s has)", c.ID)
			}
		}
		return usagef("nothing was kept: the answer of `%s` speaks of %s, and %s has no such node%s; name the node on which it was run", output.Command, foreign, owner, whose)
	}
	o := w.operator()
	if o.Actor, err = actor(); err != nil {
		return err
	}
	kept, err := o.Paste(ctx, node, output)
	if err != nil {
		return err
	}
	if t.json {
		return t.answer(kept)
	}
	t.sayf("taken as the answer of `%s` on %s, recorded as pasted by %s; it counts until %s:", kept.Output.Command, p.Node, kept.Actor, kept.At.Add(check.PasteStands).UTC().Format(time.RFC3339))
	for _, line := range kept.Output.Lines() {
		t.sayf("  %s", line)
	}
	t.notef("peerkeeper preflight --now puts it into the rows; the daily run does so too")
	return nil
}
