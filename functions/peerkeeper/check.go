package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
)

type checkVerb struct {
	Certs certsVerb `cmd:"" help:"Certificates that expire, changed or do not fit."`
}

type certsVerb struct {
	Now   bool `help:"Look at every node now, instead of showing what certcheck saw last."`
	Trust bool `help:"Who trusts whose certificate, and which files must be copied by hand."`
	Peer  name `help:"One direction: what breaks when, and in which order to renew. A:B is understood for A>B." placeholder:"A>B"`
	kept
	secrets
}

// Help is what peerkeeper check certs --help teaches.
func (certsVerb) Help() string {
	return `Lists the certificate that every node serves, how many days it has left, and what is wrong: expired or expiring ones, names that the pulling cluster's DNS does not resolve, changes since last time, certificates that a peer's trust store lacks. Each finding says what mends it.
It changes nothing. Trust stores are read on release 14 and later where mesh.yaml names platformCredentials; elsewhere what a cluster trusts is unknown, and said to be. Exit 1 if a finding is critical or a warning, or a peer does not trust or resolve a certificate.

Examples:

  peerkeeper check certs
  peerkeeper check certs --now --trust
  peerkeeper check certs --peer emea:apac
  peerkeeper check certs --json | jq -r '.findings[] | [.severity, .node, .message] | @tsv'`
}

type certFinding struct {
	ID       peer.FindingID `json:"id"`
	Severity peer.Severity  `json:"severity"`
	Reason   peer.Reason    `json:"reason"`
	Cluster  mesh.ClusterID `json:"cluster"`
	Node     mesh.NodeName  `json:"node"`
	KeyType  string         `json:"keyType"`
	Subject  string         `json:"subject"`
	NotAfter jsonTime       `json:"notAfter"`
	Message  string         `json:"message"`
	Means    string         `json:"means"` // for peering
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
		if c.Table != "" {
			return usagef("--now would contact the clusters from here, and --table says that the function certcheck does: invoke it, and look again without --now")
		}
		open = c.open
	}
	w, err := open(ctx)
	if err != nil {
		return err
	}
	if c.Now {
		accounts, err := w.accounts(t, c.files, c.secrets, nil) // without an account the trust stores stay unread
		if err != nil {
			return err
		}
		h := w.host(t, accounts)
		err = t.ask(ctx, w, len(w.Clusters), func(ctx context.Context) error {
			a, err := h.Handle(ctx, run.Request{Function: "certcheck"})
			if err == nil && a.Skipped != "" {
				err = fmt.Errorf("the check did not run: %s; without --now you see the last one", a.Skipped)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	snapshot, err := record.Load(ctx, w.store, w.Mesh)
	if err != nil {
		return err
	}
	now := w.clock.Now()
	sched, _ := run.Find("peersync")
	certs := snapshot.Certificates(snapshot.Facts(w.Mesh, sched.Period, now).View())
	findings, unseen := certFindings(certs, snapshot)
	answer := certAnswer{Findings: findings}
	if c.Trust {
		matrix := certs.Trust()
		answer.Trust, answer.Copy = &matrix, certs.Copies()
	}
	if c.Peer != "" {
		id, err := w.peer(string(c.Peer))
		if err != nil {
			return err
		}
		if _, ok := w.Mesh.Peer(id); !ok {
			return w.noSuchPeer(id)
		}
		timeline := certs.Timeline(id)
		answer.Timeline = &timeline
	}
	switch {
	case t.json:
		err = t.answer(answer)
	case c.Trust || c.Peer != "":
		if answer.Trust != nil {
			err = showTrust(t, *answer.Trust, answer.Copy, certs.Records)
		}
		if answer.Timeline != nil {
			showTimeline(t, *answer.Timeline, now)
		}
	default:
		err = showCerts(t, w.Mesh, snapshot, findings, now)
	}
	for _, id := range unseen {
		t.notef("%s has not been looked at yet: peerkeeper run --once certcheck, or --now", id)
	}
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Severity != peer.Info {
			return problem{}
		}
	}
	if len(unseen) > 0 || refused(snapshot, certs.View) {
		return problem{}
	}
	return nil
}

// certAnswer is check certs in JSON. Trust, copy and timeline come with their
// flags: a matrix of thirty clusters is long.
type certAnswer struct {
	Findings []certFinding         `json:"findings"`
	Trust    *certificate.Matrix   `json:"trust,omitempty"`
	Copy     []certificate.Copy    `json:"copy,omitempty"`
	Timeline *certificate.Timeline `json:"timeline,omitempty"`
}

// refused reports whether a peer is known not to trust, or not to resolve, a
// certificate: then something is wrong, whatever is found on one side.
func refused(snapshot *record.Snapshot, view *peer.View) bool {
	conditions := conditionsOf(snapshot, view)
	for _, p := range view.Mesh.Peers {
		for _, c := range conditions(p.ID) {
			if (c.Type == peer.CertificateTrusted || c.Type == peer.NamesResolve) && c.Status == peer.False {
				return true
			}
		}
	}
	return false
}

// conditionsOf gives peers as they stand now.
func conditionsOf(snapshot *record.Snapshot, view *peer.View) func(mesh.PeerID) []peer.Condition {
	return func(id mesh.PeerID) []peer.Condition {
		return peer.Conditions(view, id, snapshot.Syncs[id].Value, snapshot.CertOf(id))
	}
}

// showTrust writes one row per pair of clusters whose stores do not trust all,
// and the copies by hand.
func showTrust(t *terminal, m certificate.Matrix, copies []certificate.Copy, certs map[mesh.ClusterID]certificate.Record) error {
	counts := map[certificate.Verdict]int{}
	table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CERTIFICATE OF\tSERVICE\tTRUSTED BY\tBY ITS CA\tNOT BY\tOLD COPY AT\tUNKNOWN")
	for _, r := range m.Rows {
		by := map[certificate.Verdict][]string{}
		for i, id := range m.Clusters {
			if v := r.Cells[i].Verdict; v != "" {
				by[v] = append(by[v], string(id))
				counts[v]++
			}
		}
		service := r.Service
		if r.Pending {
			service += " (installed, not served)"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", clean(string(r.Node)), clean(service),
			few(by[certificate.Trusted]), few(by[certificate.CATrusted]), few(by[certificate.Missing]), few(by[certificate.StaleCopy]), few(by[certificate.Unknown]))
	}
	if len(m.Rows) > 0 {
		if err := table.Flush(); err != nil {
			return err
		}
		t.sayf("")
	}
	if counts[certificate.Unknown] > 0 {
		for _, id := range m.Clusters {
			if no := certs[id].NoTrust; no != nil {
				t.sayf("%s's trust stores: %s (%s)", id, clean(no.Detail), no.Reason)
			}
		}
	}
	if len(copies) == 0 {
		t.sayf("No certificate must be copied by hand, as far as the trust stores are read.")
		return nil
	}
	t.sayf("Certificates to copy by hand (%d). %s with %q may spare it; nothing is ever deleted by Peerkeeper.", len(copies), procedure.ForceSync, procedure.AlsoResync)
	for _, c := range copies {
		t.sayf("  %s", clean(c.String()))
	}
	return nil
}

// few names up to four clusters, and counts more.
func few(ids []string) string {
	const shown = 4
	switch {
	case len(ids) == 0:
		return "-"
	case len(ids) > shown:
		return fmt.Sprintf("%s +%d", strings.Join(ids[:shown], " "), len(ids)-shown)
	}
	return strings.Join(ids, " ")
}

// showTimeline writes what breaks when, and the steps of each renewal.
func showTimeline(t *terminal, tl certificate.Timeline, now time.Time) {
	t.sayf("%s: what its certificates bring", tl.Peer)
	for _, why := range tl.Unread {
		t.sayf("  not known: %s", clean(why))
	}
	for _, e := range tl.Events {
		mark := "      "
		if e.Breaks {
			mark = "BREAKS"
		}
		t.sayf("  %s  %s  %s (%s)", e.At.UTC().Format("2006-01-02 15:04 MST"), mark, clean(e.What), inDays(e.At, now))
	}
	for _, p := range tl.Plans {
		t.sayf("")
		t.sayf("%s of %s ends %s. Begin by %s, trusted and pinned by %s, served by %s.", clean(p.Service), clean(nodesOf(p)), day(p.NotAfter), day(p.Start), day(p.Trust), day(p.Serve))
		for i, s := range p.Steps {
			done := " "
			if s.Done {
				done = "x"
			}
			where := s.On
			if s.Menu != "" {
				where += " > " + s.Menu
			}
			if where != "" {
				where += ": "
			}
			t.sayf("  [%s] %2d %s by %s  %s%s", done, i+1, s.Phase, day(s.By), clean(where), clean(s.Do))
		}
	}
}

func nodesOf(p certificate.RenewalPlan) string {
	names := make([]string, len(p.Nodes))
	for i, n := range p.Nodes {
		names[i] = string(n)
	}
	return few(names)
}

func day(at time.Time) string { return at.UTC().Format("2006-01-02") }

// certFindings lists what is known of certificates; unseen are the clusters of
// which nothing is.
func certFindings(certs *certificate.View, snapshot *record.Snapshot) (all []certFinding, unseen []mesh.ClusterID) {
	all = []certFinding{}
	means := map[peer.Reason]string{}
	for _, k := range certificate.Kinds() {
		means[k.Reason] = k.Means
	}
	conditions := conditionsOf(snapshot, certs.View)
	for _, id := range certs.Mesh.IDs() {
		if certs.Records[id].At.IsZero() {
			unseen = append(unseen, id)
			continue
		}
		for _, f := range peer.EaseNames(certs.Findings(id), certs.Mesh, id, conditions) {
			all = append(all, certFinding{f.ID, f.Severity, f.Reason, id, f.Node, f.KeyType, f.Subject, jsonTime{f.NotAfter}, f.Message, means[f.Reason], f.Fix})
		}
	}
	return all, unseen
}

func showCerts(t *terminal, m *mesh.Mesh, snapshot *record.Snapshot, findings []certFinding, now time.Time) error {
	table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CLUSTER\tNODE\tKEY\tDAYS LEFT\tSUBJECT\tSEEN")
	rows := 0
	for _, id := range m.IDs() {
		seen := snapshot.Certs[id].Value
		for spot, s := range seen.Serving() {
			if s.Fingerprint == "" {
				continue
			}
			rows++
			ends, _ := s.Ends()
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", id, clean(string(spot.Node)), clean(spot.Place.String()), daysLeft(ends, now), clean(s.Subject), seenAt(s, seen.At, now))
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
		t.sayf("%-8s %s: %s", strings.ToUpper(string(f.Severity)), clean(on), clean(f.Message))
		for _, more := range []string{f.Means, f.Fix} {
			if more != "" {
				t.sayf("         %s", clean(more))
			}
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

func seenAt(s certificate.Served, at, now time.Time) string {
	switch age := now.Sub(at); {
	case s.Error != "":
		return "not now: " + clean(s.Error)
	case age < time.Minute:
		return "just now"
	default:
		return plain.Duration(age) + " ago"
	}
}

// inDays says when something ends as a person counts.
func inDays(at, now time.Time) string {
	if left := daysLeft(at, now); left != "expired" {
		return "in " + left + " days"
	}
	return "over"
}
