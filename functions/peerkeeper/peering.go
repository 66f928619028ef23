package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/run"
)

type peeringVerb struct {
	Plan    peeringPlanVerb    `cmd:"" help:"Make the draft of a plan: nothing is changed before it is started."`
	List    peeringListVerb    `cmd:"" help:"The plans, the newest first."`
	Show    peeringShowVerb    `cmd:"" help:"One plan: every step, what became of it, and what comes next."`
	Start   peeringStartVerb   `cmd:"" help:"Have a plan carried out."`
	Approve peeringApproveVerb `cmd:"" help:"Consent to steps that sign people out or stop syncs."`
	Confirm peeringConfirmVerb `cmd:"" help:"Say that a step is done which a person does."`
	Answer  peeringAnswerVerb  `cmd:"" help:"Answer a question of a plan."`
	Skip    peeringSkipVerb    `cmd:"" help:"Leave a step out, with a reason."`
	Stop    peeringStopVerb    `cmd:"" help:"Stop a plan: nothing more is sent until it is resumed."`
	Resume  peeringResumeVerb  `cmd:"" help:"Go on with a plan that is stopped."`
	Abort   peeringAbortVerb   `cmd:"" help:"End a plan for good, but for what must be undone."`

	CheckCredentials checkCredentialsVerb `cmd:"" help:"Try once, from a prompt, the user name and password of one entry."`
}

// told are the flags of the verbs that say something to a plan, or ask for one: the
// function peering hears it at once, here or, with --table, there.
type told struct {
	kept
	secrets
}

type peeringPlanVerb struct {
	Kind      string   `arg:"" help:"What the plan is for." placeholder:"KIND"`
	Args      []string `arg:"" optional:"" name:"args" help:"What it takes, see below." placeholder:"ARG"`
	Protocol  string   `help:"Of edit: the protocol that both entries shall have, tcp or tls." placeholder:"P"`
	Address   string   `help:"Of edit: the node name of B's publisher, as A's entry shall have it." placeholder:"NAME"`
	Publisher string   `help:"Of join: the publisher of a cluster that mesh.yaml lacks." placeholder:"HOST[:PORT]"`
	told
}

// args are the arguments and options, as a plan keeps them.
func (v *peeringPlanVerb) args() []string {
	out := v.Args
	for _, o := range []struct{ name, value string }{{"protocol", v.Protocol}, {"address", v.Address}, {"publisher", v.Publisher}} {
		if o.value != "" {
			out = append(out, o.name+"="+o.value)
		}
	}
	return out
}

// Help is what peerkeeper peering plan --help teaches.
func (peeringPlanVerb) Help() string {
	var b strings.Builder
	b.WriteString("Makes a plan of ordered steps, some of which Peerkeeper carries out through its gate, some a person does and Peerkeeper verifies, and some are questions. It is a draft: read it, print it, start it. In mode observe every step is a person's, verified.\n\nKinds:\n\n")
	for _, u := range change.Usages() {
		fmt.Fprintf(&b, "  %s %s\n      %s\n", u.Name, u.Args, u.About)
	}
	b.WriteString(`
Examples:

  peerkeeper peering plan add emea apac
  peerkeeper peering plan edit emea apac --protocol tls
  peerkeeper peering plan join latam --publisher imp-latam-pub.example.com
  peerkeeper peering plan set syncInterval=45 emea apac
  peerkeeper peering show 4f2a1c --html > change.html    # to attach to a change request
  peerkeeper peering start 4f2a1c`)
	return b.String()
}

// Run makes a plan.
func (v *peeringPlanVerb) Run(ctx context.Context, t *terminal) error {
	w, err := v.known(ctx)
	if err != nil {
		return err
	}
	// What can never be a plan is told before anything is written down.
	known, err := w.madeFrom(ctx)
	if err != nil {
		return err
	}
	if _, err := change.Make(known, "", change.Word{Kind: change.Kind(v.Kind), Args: v.args()}); err != nil {
		return usageOf(err)
	}
	o := w.operator()
	if o.Actor, err = actor(); err != nil {
		return err
	}
	id, err := o.AskForPlan(ctx, change.Kind(v.Kind), v.args())
	if err != nil {
		return err
	}
	if err := v.hear(ctx, t, w); err != nil {
		return fmt.Errorf("plan %s was asked for, and is made by the next run of peering: %w", id, err)
	}
	return showPlan(ctx, t, w, id)
}

// hear has the function peering hear what was said.
func (v *told) hear(ctx context.Context, t *terminal, w *watched) error {
	if v.Table != "" {
		return t.wait(ctx, fixed("function peering"), func(ctx context.Context) error {
			return invoke(ctx, v.Table, run.Request{Mesh: w.Name, Function: "peering"})
		})
	}
	accounts, err := w.accounts(t, v.files, v.secrets, allSecrets(w.Mesh))
	if err != nil {
		return err
	}
	h := w.host(t, accounts)
	h.Privilege = t.privilege
	return t.wait(ctx, fixed("advancing plans of mesh %s", w.Name), func(ctx context.Context) error {
		for until := time.Now().Add(stepAside); ; {
			a, err := h.Handle(ctx, run.Request{Function: "peering"})
			switch {
			case err != nil || a.Skipped == "":
				return err
			case time.Now().After(until):
				return errors.New(a.Skipped)
			}
			select {
			case <-ctx.Done():
				return errors.New(a.Skipped)
			case <-time.After(askAgain):
			}
		}
	})
}

// A word waits for a run of peering that is under way: that takes seconds. The lease of one
// that was killed holds for minutes, and what was said is heard then.
const (
	stepAside = 20 * time.Second
	askAgain  = time.Second / 2
)

// usageOf is an error of a plan: exit 2 for what no plan could take, 1 for what this
// one does not as it is now.
func usageOf(err error) error {
	var never *change.UsageError
	if errors.As(err, &never) {
		return usage{err}
	}
	return err
}

func (w *watched) plan(ctx context.Context, id string) (*record.Plan, error) {
	p, err := record.LoadPlan(ctx, w.store, w.Name, id)
	if errors.Is(err, record.ErrNoPlan) {
		heads, err := record.PlanHeads(ctx, w.store, w.Name)
		if err != nil {
			return nil, err
		}
		var ids []string
		for _, h := range heads {
			ids = append(ids, h.ID)
		}
		if len(ids) == 0 {
			return nil, usagef("there is no plan %s, nor any other: `peerkeeper peering plan --help` says how to make one", plain.Value(id))
		}
		return nil, usagef("there is no plan %s: %s", plain.Value(id), suggest(id, ids))
	}
	return p, err
}

// madeFrom is what plans are made from.
func (w *watched) madeFrom(ctx context.Context) (change.Known, error) {
	snapshot, err := record.Load(ctx, w.store, w.Mesh)
	if err != nil {
		return change.Known{}, err
	}
	sched, _ := run.Find("peersync")
	return snapshot.Known(w.Mesh, sched.Period, w.clock.Now()), nil
}

// view is a plan as people read it, with what it will come to where that is still to be laid
// out.
func (w *watched) view(ctx context.Context, p *record.Plan) (change.View, error) {
	v := p.View(w.Mesh)
	if !p.LaysOut() {
		return v, nil
	}
	known, err := w.madeFrom(ctx)
	v.Outlook = p.Outlook(known)
	return v, err
}

// showPlan shows a plan, and gives its exit code.
func showPlan(ctx context.Context, t *terminal, w *watched, id string) error {
	p, err := w.plan(ctx, id)
	if err != nil {
		return err
	}
	v, err := w.view(ctx, p)
	if err != nil {
		return err
	}
	if t.json {
		err = t.answer(v)
	} else {
		err = printPlan(t, v)
	}
	if err == nil && v.State != change.Done {
		return problem{}
	}
	return err
}

// mostShown is how many steps of a plan are printed; of a longer one those around the one
// that it has come to.
const mostShown = 60

// stepsShown are the first and, not included, the last of them. at is the number of the
// step that the plan has come to.
func stepsShown(all []change.StepView) (first, last, at int) {
	at = slices.IndexFunc(all, func(s change.StepView) bool { return !s.State.Over() })
	if at < 0 {
		at = len(all)
	}
	if len(all) <= mostShown {
		return 0, len(all), at + 1
	}
	first = max(0, min(at-mostShown/4, len(all)-mostShown))
	return first, first + mostShown, at + 1
}

func printPlan(t *terminal, v change.View) error {
	t.sayf("plan %s: %s", v.ID, clean(v.Title))
	t.sayf("  %s since %s, asked for by %s; left: %s", v.State, plain.Time(v.Since), clean(v.By), v.Estimate)
	if v.Why != "" {
		t.sayf("  %s", clean(v.Why))
	}
	if v.HalfDone != "" {
		t.sayf("  half done: %s", clean(v.HalfDone))
	}
	if v.Progress != "" {
		t.sayf("  %s", v.Progress)
	}
	first, last, at := stepsShown(v.Steps)
	if first > 0 {
		t.sayf("      %s before, done or skipped (--json and --html show all)", plain.Count(first, "step", "steps"))
	}
	for _, s := range v.Steps[first:last] {
		t.sayf("%4d  %-9s %-9s %s", s.N, strings.ToUpper(string(s.State)), s.Kind, clean(s.Title))
		if s.Evidence != "" {
			t.sayf("      %s", clean(s.Evidence))
		}
		if s.State.Over() {
			continue
		}
		if s.N == at && v.State != change.Draft {
			t.sayf("      why: %s", clean(s.Why))
		}
		if s.How != nil && s.Kind != change.Automatic {
			t.sayf("      to do: %s", clean(s.How.Line()))
		}
		for line := range strings.Lines(s.Lines) {
			t.sayf("        | %s", clean(strings.TrimSuffix(line, "\n")))
		}
		if s.Interrupts != "nothing" {
			t.sayf("      interrupts: %s", clean(s.Interrupts))
		}
		if s.N == at && v.State != change.Draft {
			t.sayf("      proof: %s", clean(s.Proof))
		}
		if s.Approval == "needed" {
			t.sayf("      needs approval: peerkeeper peering approve %s --step %d", v.ID, s.N)
		}
	}
	if n := len(v.Steps) - last; n > 0 {
		t.sayf("      %s more (--json and --html show all)", plain.Count(n, "step", "steps"))
	}
	printOutlook(t, v.Outlook)
	if v.Next != "" {
		t.sayf("")
		t.sayf("next: %s", v.Next)
	}
	return nil
}

func printOutlook(t *terminal, o *change.Outlook) {
	if o == nil {
		return
	}
	t.sayf("")
	t.sayf("outlook, of what is no step yet:")
	if o.Assumes != "" {
		t.sayf("  if %s", clean(o.Assumes))
	}
	t.sayf("  %s", clean(o.Comes))
	t.sayf("  %s", clean(o.Estimate))
	for _, title := range o.Steps[:min(len(o.Steps), mostShown)] {
		t.sayf("      %s", clean(title))
	}
	if n := len(o.Steps) - mostShown; n > 0 {
		t.sayf("      %s more (--json and --html show all)", plain.Count(n, "step", "steps"))
	}
}

type peeringListVerb struct{ kept }

// Help is what peerkeeper peering list --help teaches.
func (peeringListVerb) Help() string {
	return `Lists the plans of the last year, the newest first. It changes nothing. Exit 1 if one waits for a person or is stopped.

Examples:

  peerkeeper peering list
  peerkeeper peering list --json | jq -r '.plans[] | select(.state == "waiting") | .id'`
}

// planLine is a plan in a list.
type planLine struct {
	ID       string           `json:"id"`
	Kind     change.Kind      `json:"kind"`
	Title    string           `json:"title"`
	Clusters []mesh.ClusterID `json:"clusters"`
	State    change.State     `json:"state"`
	Why      string           `json:"why,omitempty"`
	Created  time.Time        `json:"created"`
	Since    time.Time        `json:"since"`
	By       string           `json:"by"`
}

// Run lists the plans.
func (v *peeringListVerb) Run(ctx context.Context, t *terminal) error {
	w, err := v.known(ctx)
	if err != nil {
		return err
	}
	heads, err := record.PlanHeads(ctx, w.store, w.Name)
	if err != nil {
		return err
	}
	lines, open := []planLine{}, false
	for _, h := range heads {
		lines = append(lines, planLine{h.ID, h.Kind, change.Title(h), h.Clusters, h.State, h.Why, h.Created, h.Since, h.By})
		open = open || h.State == change.Waiting || h.State == change.Stopped
	}
	switch {
	case t.json:
		err = t.answer(map[string]any{"plans": lines})
	case len(lines) == 0:
		t.sayf("There are no plans. `peerkeeper peering plan --help` says how to make one.")
	default:
		table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "PLAN\tSTATE\tSINCE\tBY\tWHAT")
		for _, l := range lines {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", l.ID, l.State, l.Since.UTC().Format("2006-01-02 15:04"), clean(l.By), clean(l.Title))
		}
		err = table.Flush()
	}
	if err == nil && open {
		return problem{}
	}
	return err
}

type peeringShowVerb struct {
	ID   name `arg:"" help:"The plan." placeholder:"PLAN"`
	HTML bool `name:"html" help:"One printable page, to attach to a change request."`
	kept
}

// Help is what peerkeeper peering show --help teaches.
func (peeringShowVerb) Help() string {
	return `Shows each step of a plan: what, where, why, how a person does it, what it interrupts, what proves it, how it is undone, and what became of it. It changes nothing. Exit 0 if the plan is done.

Examples:

  peerkeeper peering show 4f2a1c
  peerkeeper peering show 4f2a1c --html > change.html`
}

// Run shows a plan.
func (v *peeringShowVerb) Run(ctx context.Context, t *terminal) error {
	w, err := v.known(ctx)
	if err != nil {
		return err
	}
	if !v.HTML {
		return showPlan(ctx, t, w, string(v.ID))
	}
	if t.json {
		return usagef("--html with --json: one of them")
	}
	p, err := w.plan(ctx, string(v.ID))
	if err != nil {
		return err
	}
	view, err := w.view(ctx, p)
	if err != nil {
		return err
	}
	return dashboard.RunBook(t.stdout, view, w.clock.Now())
}

type onePlan struct {
	ID name `arg:"" help:"The plan." placeholder:"PLAN"`
	told
}

// tell says something to a plan, has it heard, and shows the plan.
func (v *onePlan) tell(ctx context.Context, t *terminal, word func(p *record.Plan) (change.Word, error)) error {
	w, err := v.known(ctx)
	if err != nil {
		return err
	}
	p, err := w.plan(ctx, string(v.ID))
	if err != nil {
		return err
	}
	said, err := word(p)
	if err != nil {
		return err
	}
	o := w.operator()
	if o.Actor, err = actor(); err != nil {
		return err
	}
	said, err = o.Tell(ctx, &p.Plan, said)
	if err != nil {
		return usageOf(err)
	}
	if err := v.hear(ctx, t, w); err != nil {
		return fmt.Errorf("what you said to plan %s is written down, and need not be said again: nothing more is sent for it before the next run of peering has heard it (`peerkeeper peering show %s`): %w", p.ID, p.ID, err)
	}
	if p, err = w.plan(ctx, string(v.ID)); err != nil {
		return err
	}
	for _, r := range p.Refused {
		if r.N == said.N {
			return errors.New(r.Why)
		}
	}
	return showPlan(ctx, t, w, p.ID)
}

func fixedWord(w change.Word) func(*record.Plan) (change.Word, error) {
	return func(*record.Plan) (change.Word, error) { return w, nil }
}

type peeringStartVerb struct{ onePlan }

// Help is what peerkeeper peering start --help teaches.
func (peeringStartVerb) Help() string {
	return `Has a plan carried out: first the preflight of its clusters, then step by step. A step that signs people out waits for its own approval.`
}

// Run starts a plan.
func (v *peeringStartVerb) Run(ctx context.Context, t *terminal) error {
	return v.tell(ctx, t, fixedWord(change.Word{Verb: change.Start}))
}

type peeringApproveVerb struct {
	Step []int `help:"This step; may be given again. Without it, the one that waits." placeholder:"N"`
	All  bool  `help:"Every step that needs approval and of whose service it is known since when it runs."`
	onePlan
}

// Help is what peerkeeper peering approve --help teaches.
func (peeringApproveVerb) Help() string {
	return `Consents to steps, once each, for the service as it runs now: if it is restarted by somebody else before, the approval counts for nothing. A step is sent in a window of policy.windows, and only if the cluster is then fit for it.

Examples:

  peerkeeper peering approve 4f2a1c
  peerkeeper peering approve 4f2a1c --step 4 --step 8`
}

// Run approves steps.
func (v *peeringApproveVerb) Run(ctx context.Context, t *terminal) error {
	if v.All && len(v.Step) > 0 {
		return usagef("--all with --step: one of them")
	}
	return v.tell(ctx, t, func(p *record.Plan) (change.Word, error) {
		w := change.Word{Verb: change.Approve, Steps: v.Step, Saw: map[int]time.Time{}}
		if v.All {
			w.Steps = p.Approvable()
			if len(w.Steps) == 0 {
				return w, fmt.Errorf("no step of plan %s can be approved now", p.ID)
			}
		} else if len(w.Steps) == 0 {
			s := p.Current()
			if s == nil {
				return w, fmt.Errorf("plan %s has no step left", p.ID)
			}
			w.Steps = []int{s.N}
		}
		for _, n := range w.Steps {
			if s := p.Step(n); s != nil {
				w.Saw[n] = s.ServiceStart
			}
		}
		return w, nil
	})
}

type oneStep struct {
	onePlan
	Step int `arg:"" help:"The step, by its number." placeholder:"STEP"`
}

type peeringConfirmVerb struct {
	oneStep
	Note string `help:"What you saw, for those who read it later." placeholder:"TEXT"`
}

// Help is what peerkeeper peering confirm --help teaches.
func (peeringConfirmVerb) Help() string {
	return `Says that a step is done which a person does. Peerkeeper reads it back where it can: what it reads otherwise stays open, with both facts.`
}

// Run confirms a step.
func (v *peeringConfirmVerb) Run(ctx context.Context, t *terminal) error {
	return v.tell(ctx, t, fixedWord(change.Word{Verb: change.Confirm, Steps: []int{v.Step}, Text: v.Note}))
}

type peeringAnswerVerb struct {
	oneStep
	Says string `arg:"" name:"answer" enum:"yes,no" help:"yes or no."`
}

// Help is what peerkeeper peering answer --help teaches.
func (peeringAnswerVerb) Help() string {
	return `Answers the question that a plan has come to, such as whether to disable high availability for the restarts.`
}

// Run answers a question.
func (v *peeringAnswerVerb) Run(ctx context.Context, t *terminal) error {
	return v.tell(ctx, t, fixedWord(change.Word{Verb: change.Answer, Steps: []int{v.Step}, Yes: v.Says == "yes"}))
}

type peeringSkipVerb struct {
	oneStep
	Reason string `required:"" help:"Why it is left out." placeholder:"TEXT"`
}

// Help is what peerkeeper peering skip --help teaches.
func (peeringSkipVerb) Help() string {
	return `Leaves a step out, with a reason that is recorded. A check that is skipped lifts none of the conditions under which a later step is sent.`
}

// Run skips a step.
func (v *peeringSkipVerb) Run(ctx context.Context, t *terminal) error {
	reason, err := record.ReasonOf(v.Reason)
	if err != nil {
		return usage{err}
	}
	return v.tell(ctx, t, fixedWord(change.Word{Verb: change.Skip, Steps: []int{v.Step}, Text: reason}))
}

type peeringStopVerb struct{ onePlan }

// Help is what peerkeeper peering stop --help teaches.
func (peeringStopVerb) Help() string {
	return `Stops a plan: nothing more is sent until it is resumed. What was sent already is read back all the same.`
}

// Run stops a plan.
func (v *peeringStopVerb) Run(ctx context.Context, t *terminal) error {
	return v.tell(ctx, t, fixedWord(change.Word{Verb: change.Stop}))
}

type peeringResumeVerb struct{ onePlan }

// Help is what peerkeeper peering resume --help teaches.
func (peeringResumeVerb) Help() string {
	return `Goes on with a plan that is stopped, at the step where it stopped. Nothing that may have been sent is sent again.`
}

// Run resumes a plan.
func (v *peeringResumeVerb) Run(ctx context.Context, t *terminal) error {
	return v.tell(ctx, t, fixedWord(change.Word{Verb: change.Resume}))
}

type peeringAbortVerb struct{ onePlan }

// Help is what peerkeeper peering abort --help teaches.
func (peeringAbortVerb) Help() string {
	return `Ends a plan for good. What it has done stays as it is; what must be undone, such as high availability that was disabled, is still asked of a person.`
}

// Run aborts a plan.
func (v *peeringAbortVerb) Run(ctx context.Context, t *terminal) error {
	return v.tell(ctx, t, fixedWord(change.Word{Verb: change.Abort}))
}
