package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerkeeper/shared/host"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
)

// span is a duration in which days may be written, such as 7d or 36h.
type span time.Duration

// maxSpan is the longest time that may be named, in days: ten years.
const maxSpan = 3650

// UnmarshalText reads a duration with days.
func (s *span) UnmarshalText(b []byte) error {
	if days, ok := strings.CutSuffix(string(b), "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && 0 < n && n <= maxSpan {
			*s = span(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	d, err := time.ParseDuration(string(b))
	if err != nil || d <= 0 || d > maxSpan*24*time.Hour {
		return fmt.Errorf("%s is no time: write 30m, 36h or 7d, at most %dd", plain.Quote(string(b), 40), maxSpan)
	}
	*s = span(d)
	return nil
}

type planVerb struct {
	WouldHave span `help:"Show instead what mode recover would have done over this time, such as 7d." placeholder:"TIME"`
	kept
}

// Help is what peerkeeper plan --help teaches.
func (planVerb) Help() string {
	return `Lists the actions that are asked for now: on what, why, what they interrupt, what to collect first, and what stands in the way of each. With --would-have it shows, before you turn on mode recover, what it would have done.
It never acts and contacts no cluster. An action that needs approval is approved with "peerkeeper approve ID".

Examples:

  peerkeeper plan
  peerkeeper plan --would-have 7d`
}

// Run shows the plan.
func (p *planVerb) Run(ctx context.Context, t *terminal) error {
	w, err := p.known(ctx)
	if err != nil {
		return err
	}
	planned, err := w.person(t).Plan(ctx, time.Duration(p.WouldHave))
	if err != nil {
		return err
	}
	if t.json {
		return t.answer(map[string]any{"actions": planned})
	}
	if len(planned) == 0 {
		t.sayf("No actions are proposed.")
		return nil
	}
	for _, a := range planned {
		t.sayf("%s  %s %s (%s)", a.ID, a.Kind, a.Target, a.Cluster)
		t.sayf("    why: %s", a.Why)
		if a.Source != nil {
			for _, line := range a.Source.Lines() {
				t.sayf("    compare: %s", line)
			}
		}
		t.sayf("    impact: %s", a.Interrupts)
		for _, c := range a.Collect {
			t.sayf("    collect first: %s", c)
		}
		if a.Approval != "" {
			t.sayf("    approval required: %s", a.Approval)
		}
		for _, r := range a.Refused {
			t.sayf("    not yet: %s", r)
		}
		if a.Outcome != "" {
			t.sayf("    outcome: %s", a.Outcome)
		}
		if !a.Ended.IsZero() {
			t.sayf("    asked for from %s to %s", a.First.UTC().Format(time.RFC3339), a.Ended.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

type approveVerb struct {
	ID     name `arg:"" name:"id" optional:"" help:"The action, as plan lists it." placeholder:"ID"`
	Source name `help:"Instead of one action: every import of this node's certificates, into whichever cluster." placeholder:"NODE"`
	kept
}

// Help is what peerkeeper approve --help teaches.
func (approveVerb) Help() string {
	return `Consents to one exact action that plan lists, once, for the next four hours. It is recorded with your name.
It never acts itself: the next run of stucksync looks again, and acts only if the action is still needed and every other guard agrees. In mode observe nothing is changed, approved or not; the steps by hand are printed instead.

Examples:

  peerkeeper approve 5f2ac1d09b
  peerkeeper approve --source imp-apac-pub.example.com`
}

// Run approves an action.
func (a *approveVerb) Run(ctx context.Context, t *terminal) error {
	w, err := a.known(ctx)
	if err != nil {
		return err
	}
	who, err := actor()
	if err != nil {
		return err
	}
	if (a.ID == "") == (a.Source == "") {
		return usagef("name one action, or --source NODE: `peerkeeper plan` lists what waits for a person")
	}
	if a.Source != "" {
		all, err := w.person(t).ApproveSource(ctx, mesh.NodeName(a.Source), who)
		if err != nil {
			return usage{err}
		}
		if t.json {
			return t.answer(map[string]any{"approved": all, "actor": who})
		}
		for _, p := range all {
			t.sayf("%s  %s %s is approved for the next %v.", p.ID, p.Kind, p.Target, host.ApprovalLife)
		}
		t.sayf("%d imports; recorded as decided by %s. At most %d an hour are made.", len(all), who, w.Mesh.Policy.Limits.ImportsPerMeshPerHour)
		return nil
	}
	p, err := w.person(t).Approve(ctx, string(a.ID), who)
	if err != nil {
		return usage{err}
	}
	if t.json {
		return t.answer(map[string]any{"approved": p, "actor": who})
	}
	t.sayf("%s %s is approved for the next %v; recorded as decided by %s. Impact: %s.", p.Kind, p.Target, host.ApprovalLife, who, p.Interrupts)
	for _, c := range p.Collect {
		t.sayf("  collect first: %s", c)
	}
	return nil
}

// word is what pause and maintenance take.
type word struct {
	Scope  name   `arg:"" help:"mesh, a cluster (emea), a peer (emea:apac) or a pair (emea:apac --pair)." placeholder:"SCOPE"`
	Reason reason `help:"Why, for the record." required:"" placeholder:"TEXT"`
	For    span   `help:"For how long, such as 2h or 7d; otherwise until it is ended." placeholder:"TIME"`
	Pair   bool   `help:"Both directions of the peer."`
	kept
}

func (k kept) scope(w *watched, name string, pair bool) (record.Scope, error) {
	sep := ">"
	if pair {
		sep = "<>"
	}
	scope, err := record.ParseScope(strings.Replace(name, ":", sep, 1), w.Mesh)
	if err != nil {
		return "", usage{err}
	}
	return scope, nil
}

func (x *word) run(ctx context.Context, t *terminal, say string, do func(*host.Host, record.Scope, string) ([]repair.Intent, error)) error {
	w, err := x.known(ctx)
	if err != nil {
		return err
	}
	scope, err := x.scope(w, string(x.Scope), x.Pair)
	if err != nil {
		return err
	}
	who, err := actor()
	if err != nil {
		return err
	}
	under, err := do(w.person(t), scope, who)
	if err != nil {
		return err
	}
	if t.json {
		return t.answer(map[string]any{"scope": scope, "actor": who, "underWay": append([]repair.Intent{}, under...)})
	}
	t.sayf(say+" Recorded as decided by %s.", scope, who)
	for _, in := range under {
		t.sayf("Under way all the same, meant at %s: %s %s.", in.Written.UTC().Format(time.RFC3339), in.Action, in.Target)
	}
	return nil
}

type pauseVerb struct{ word }

// Help is what peerkeeper pause --help teaches.
func (pauseVerb) Help() string {
	return `Keeps Peerkeeper from acting on what you name, until resumed or for a time. Judging and alarms go on. It is recorded with your name.
Actions in progress are not cancelled; it says which they are.

Examples:

  peerkeeper pause mesh --reason "network change" --for 4h
  peerkeeper pause emea:apac --pair --reason "TAC case open"`
}

// Run pauses.
func (p *pauseVerb) Run(ctx context.Context, t *terminal) error {
	return p.run(ctx, t, "Nothing is done to %s any more.", func(h *host.Host, scope record.Scope, who string) ([]repair.Intent, error) {
		return h.Pause(ctx, scope, string(p.Reason), who, time.Duration(p.For))
	})
}

type maintenanceVerb struct {
	Start maintenanceStartVerb `cmd:"" help:"Neither actions nor notices from now on."`
	End   maintenanceEndVerb   `cmd:"" help:"Actions and notices again."`
}

type maintenanceStartVerb struct{ word }

// Help is what peerkeeper maintenance start --help teaches.
func (maintenanceStartVerb) Help() string {
	return `Declares maintenance of what you name: Peerkeeper neither acts on it nor sends notices about it. Judging goes on, and the page shows what is seen.
It never clears an alarm that stands: that one is cleared when its cause is gone.

Examples:

  peerkeeper maintenance start apac --reason "upgrade to SU4" --for 6h`
}

// Run begins a maintenance.
func (m *maintenanceStartVerb) Run(ctx context.Context, t *terminal) error {
	return m.run(ctx, t, "%s is in maintenance.", func(h *host.Host, scope record.Scope, who string) ([]repair.Intent, error) {
		return h.Maintain(ctx, scope, string(m.Reason), who, time.Duration(m.For))
	})
}

type maintenanceEndVerb struct {
	Scope name `arg:"" help:"What was named at the start." placeholder:"SCOPE"`
	Pair  bool `help:"Both directions of the peer."`
	kept
}

// Run ends a maintenance.
func (m *maintenanceEndVerb) Run(ctx context.Context, t *terminal) error {
	w, err := m.known(ctx)
	if err != nil {
		return err
	}
	scope, err := m.scope(w, string(m.Scope), m.Pair)
	if err != nil {
		return err
	}
	who, err := actor()
	if err != nil {
		return err
	}
	err = w.person(t).Unmaintain(ctx, scope, who)
	var none *host.NothingToEndError
	if errors.As(err, &none) {
		return usage{err}
	}
	if err != nil {
		return err
	}
	if t.json {
		return t.answer(map[string]any{"scope": scope, "ended": true, "actor": who})
	}
	t.sayf("The maintenance of %s is over; recorded as decided by %s.", scope, who)
	return nil
}

type ackVerb struct {
	Fingerprint name   `arg:"" help:"The alarm, by the beginning of its fingerprint in status --json." placeholder:"FINGERPRINT"`
	Reason      reason `help:"Why, for the record." required:"" placeholder:"TEXT"`
	For         span   `help:"For how long; otherwise as long as the alarm stands." placeholder:"TIME"`
	kept
}

// Help is what peerkeeper ack --help teaches.
func (ackVerb) Help() string {
	return `Says that you know of an alarm: it is not repeated any more. Its clearing is still sent. It is recorded with your name.
It never clears the alarm, and stops no repair: for that, pause.

Examples:

  peerkeeper ack 3fa8 --reason "carrier ticket 4711"`
}

// Run acknowledges an alarm.
func (a *ackVerb) Run(ctx context.Context, t *terminal) error {
	w, err := a.known(ctx)
	if err != nil {
		return err
	}
	who, err := actor()
	if err != nil {
		return err
	}
	n, err := w.person(t).Acknowledge(ctx, string(a.Fingerprint), string(a.Reason), who, time.Duration(a.For))
	if err != nil {
		return usage{err}
	}
	if t.json {
		return t.answer(map[string]any{"acknowledged": n, "actor": who})
	}
	t.sayf("%s %s%s is known to %s and not repeated.", n.Name, n.Peer, n.Cluster, who)
	return nil
}

type evidenceVerb struct {
	Peer name   `arg:"" help:"The directed peer, such as emea:apac." placeholder:"PEER"`
	Out  string `help:"The zip file to write." placeholder:"FILE"`
	kept
}

// Help is what peerkeeper evidence --help teaches.
func (evidenceVerb) Help() string {
	return `Writes a zip with what a TAC case needs of one peer: conditions, clocks, changes, both clusters' records, certificates, history, and the commands whose output belongs to it.
It contacts no cluster and holds no secret: none is ever stored.

Examples:

  peerkeeper evidence emea:apac --out case.zip`
}

// Run writes the bundle.
func (e *evidenceVerb) Run(ctx context.Context, t *terminal) (err error) {
	w, err := e.known(ctx)
	if err != nil {
		return err
	}
	id, err := w.peer(string(e.Peer))
	if err != nil {
		return err
	}
	if _, ok := w.Mesh.Peer(id); !ok {
		return w.noSuchPeer(id)
	}
	out := e.Out
	if out == "" {
		out = fmt.Sprintf("evidence-%s-%s-%s.zip", id.From, id.To, w.clock.Now().UTC().Format("20060102T150405Z"))
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return usagef("%w; name another file with --out", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := w.person(t).Evidence(ctx, id, f); err != nil {
		return err
	}
	if t.json {
		return t.answer(map[string]any{"peer": id, "file": out})
	}
	t.sayf("%s holds what is known of %s; its README.txt lists what to add by hand.", out, id)
	return nil
}

// person is the host for verbs by which people decide: it contacts no cluster.
func (w *watched) person(t *terminal) *host.Host {
	return &host.Host{Mesh: w.Mesh, Store: w.store, Clock: w.clock, Log: t.log}
}

// modeText says what a mesh's policy allows, for the top of a long run.
func modeText(m *mesh.Mesh) string {
	if m.Policy.Mode != mesh.Recover {
		return "observe: never changes a cluster"
	}
	text := "recover: may start and restart services, through its gate"
	imports := slices.ContainsFunc(m.Clusters, func(c mesh.Cluster) bool { return c.PlatformWriteCredentials != "" })
	if how := m.Policy.ImportCertificates; imports && how != mesh.ImportManual {
		text += fmt.Sprintf(", and put certificates into trust stores (importCertificates: %s)", how)
	}
	return text
}
