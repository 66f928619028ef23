package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/plain"
)

type probeVerb struct {
	Cluster name   `help:"Only this cluster." placeholder:"CLUSTER"`
	Write   string `help:"Write the proposal to this new file; without it, it is only shown." placeholder:"FILE"`
	files
	secrets
}

// Help is what peerkeeper probe --help teaches.
func (probeVerb) Help() string {
	return `Asks each cluster what it can be asked: AXL and Control Center on every node, AXL on Unified CM, each query that Peerkeeper uses, and what the publisher's log tells of syncs. Then it reads the names of tables, columns and parameters in the database and proposes how to map what Cisco does not document, as a dialect file for mesh.yaml.
It only reads. A proposal is a guess until you have compared it with your cluster, and is never used or written by itself. Exit 1 if something cannot be asked.

Examples:

  peerkeeper probe
  peerkeeper probe --cluster emea --write dialect.yaml
  # compare it, then in mesh.yaml:  dialect: dialect.yaml`
}

type probed struct {
	cluster.Report
	// Refused is why the cluster could not be asked at all.
	Refused string `json:"refused,omitempty"`
}

// Run probes the clusters.
func (p *probeVerb) Run(ctx context.Context, t *terminal) error {
	w, err := p.open()
	if err != nil {
		return err
	}
	clusters := w.Clusters
	if p.Cluster != "" {
		c, err := w.cluster(string(p.Cluster))
		if err != nil {
			return err
		}
		clusters = []mesh.Cluster{*c}
	}
	accounts, err := w.accounts(t, p.files, p.secrets, readSecrets(clusters))
	if err != nil {
		return err
	}
	o := w.operator()
	o.Clusters = w.clusters(t, accounts)
	var reports []probed
	err = t.ask(ctx, w, len(clusters), func(ctx context.Context) error {
		reports = probeAll(ctx, o, clusters)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	proposals, err := proposalsOf(reports)
	if err != nil {
		return err
	}
	if t.json {
		texts := make([]string, len(proposals))
		for i, b := range proposals {
			texts[i] = string(b)
		}
		err = t.answer(map[string]any{"clusters": reports, "proposals": texts})
	} else {
		showProbe(t, reports, proposals, p.Write == "")
	}
	if err != nil {
		return err
	}
	if p.Write != "" {
		if err := p.write(t, proposals); err != nil {
			return err
		}
	}
	for _, r := range reports {
		if !r.well() {
			return problem{}
		}
	}
	return nil
}

func probeAll(ctx context.Context, o *operator.Operator, clusters []mesh.Cluster) []probed {
	reports := make([]probed, len(clusters))
	errs := o.Ask(ctx, clusters, func(ctx context.Context, i int, client *cluster.Client) (err error) {
		reports[i].Report, err = client.Probe(ctx, o.Mesh, o.Now())
		return err
	})
	for i, err := range errs {
		if err != nil {
			reports[i].Refused = err.Error()
		}
		reports[i].Cluster = clusters[i].ID
	}
	return reports
}

func (r probed) well() bool {
	if r.Refused != "" || r.CUCM != nil && (!r.CUCM.AXL.OK || len(r.CUCM.Lacks) > 0) {
		return false
	}
	for _, n := range r.Nodes {
		// AXL is asked on the publisher alone.
		if !n.ControlCenter.OK || n.Publisher && !n.AXL.OK {
			return false
		}
	}
	for _, q := range r.Queries {
		if !q.OK {
			return false
		}
	}
	return true
}

// proposalsOf writes the proposals down, one for all clusters that agree.
func proposalsOf(reports []probed) ([][]byte, error) {
	var out [][]byte
	taken := make([]bool, len(reports))
	for i, r := range reports {
		if taken[i] || r.Proposal.Empty() {
			continue
		}
		from := []mesh.ClusterID{r.Cluster}
		for j := i + 1; j < len(reports); j++ {
			if !taken[j] && reports[j].Proposal.Same(r.Proposal) {
				taken[j] = true
				from = append(from, reports[j].Cluster)
			}
		}
		b, err := r.Proposal.YAML(from)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func (p *probeVerb) write(t *terminal, proposals [][]byte) error {
	switch len(proposals) {
	case 0:
		return errors.New("there is nothing to propose, so nothing was written")
	case 1:
	default:
		return fmt.Errorf("the clusters lead to %d different proposals, so nothing was written: choose one with --cluster", len(proposals))
	}
	f, err := os.OpenFile(p.Write, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usagef("%s exists already and is not written over: name another file", p.Write)
	}
	if err != nil {
		return usagef("the proposal cannot be written: %w; name another file", err)
	}
	_, err = f.Write(proposals[0])
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the proposal: %w", err)
	}
	t.notef("written to %s; compare it with the cluster before mesh.yaml names it", p.Write)
	return nil
}

func showProbe(t *terminal, reports []probed, proposals [][]byte, show bool) {
	for _, r := range reports {
		t.sayf("%s", r.Cluster)
		if r.Refused != "" {
			t.sayf("  cannot be asked: %s", clean(r.Refused))
		}
		for _, n := range r.Nodes {
			role := n.Role
			if role == "" {
				role = "role unknown"
			}
			t.sayf("  %s (%s)", clean(string(n.Node)), clean(role))
			t.sayf("    AXL             %s", ability(n.AXL))
			t.sayf("    Control Center  %s", ability(n.ControlCenter))
		}
		if r.Cure != "" {
			t.sayf("  what to do: %s", clean(r.Cure))
		}
		if c := r.CUCM; c != nil {
			t.sayf("  %s (Unified CM)", clean(string(c.Node)))
			t.sayf("    AXL             %s", ability(c.AXL))
			for _, lacks := range c.Lacks {
				t.sayf("    does not list   %s", clean(string(lacks)))
			}
		}
		for _, q := range r.Queries {
			t.sayf("  query %-13s %s", q.Purpose, fared(q))
		}
		showLog(t, r.Log)
		for _, remark := range r.Proposal.Remarks {
			t.sayf("  remark: %s", clean(remark))
		}
	}
	if !show {
		return
	}
	for _, b := range proposals {
		t.sayf("")
		for line := range strings.SplitSeq(strings.TrimRight(string(b), "\n"), "\n") {
			t.sayf("%s", line)
		}
	}
	if len(proposals) == 0 {
		t.sayf("\nNothing to propose.")
	}
}

// showLog says what the cluster's own log is good for; no log is no fault.
func showLog(t *terminal, l cluster.LogReport) {
	if l.State == "" {
		return // nothing was asked
	}
	text := string(l.State)
	if l.Lines > 0 {
		text += fmt.Sprintf(": %s and %s of syncs in %s", plain.Count(l.Successes, "success", "successes"), plain.Count(l.Failures, "failure", "failures"), plain.Count(int(l.Lines), "line", "lines"))
	}
	if l.Detail != "" {
		text += ": " + l.Detail
	}
	t.sayf("  log (CiscoSyslog)   %s", text)
	if l.Service != "" {
		level := "unknown"
		if l.Level != "" {
			level = string(l.Level) + ", by " + l.LevelBy
		}
		t.sayf("    read by           %s, %s; level of Local Syslogs %s", l.Service, l.Framing, level)
	}
	for _, f := range l.Files {
		size := "size unknown"
		if f.Size >= 0 {
			size = fmt.Sprintf("%d bytes", f.Size)
		}
		t.sayf("    file              %s, %s, %s", f.Name, size, f.Modified)
	}
	if l.Fix != "" {
		t.sayf("    to mend           %s", l.Fix)
	}
	if l.Sample != "" {
		t.sayf("    a line of ICSA, names replaced; no such line has been published, so please send it to Peerkeeper's authors:")
		t.sayf("      %s", l.Sample)
	}
}

func ability(a cluster.Ability) string {
	switch {
	case a.OK && a.Version == "":
		return "answers" + after(", ", a.Detail)
	case a.OK:
		return "answers, " + clean(a.Version) + after(" ", inBrackets(a.Detail))
	}
	return fmt.Sprintf("%s: %s", a.Reason, clean(a.Detail))
}

func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + clean(text)
}

func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return "(" + text + ")"
}

func fared(q cluster.QueryReport) string {
	var text string
	switch {
	case !q.OK:
		return fmt.Sprintf("%s: %s", q.Reason, clean(q.Detail))
	case q.Rows == 0:
		text = q.Detail
	default:
		text = "fits, " + plain.Count(q.Rows, "row", "rows")
	}
	if len(q.Absent) > 0 {
		text += ", without " + plain.List(q.Absent)
	}
	return fmt.Sprintf("%s (%s)", text, q.Evidence)
}
