package operator

import (
	"context"
	"fmt"
	"strings"

	"peerkeeper/shared/change"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
)

// AskForPlan writes down that a plan is wanted, and gives the plan's id. The
// function peering makes it.
func (o *Operator) AskForPlan(ctx context.Context, kind change.Kind, args []string) (string, error) {
	w := o.word(change.Word{Verb: change.Ask, Kind: kind, Args: args})
	w.Plan = change.NewID(w)
	return w.Plan, o.say(ctx, w, strings.Join(append([]string{string(kind)}, args...), " "))
}

// Tell writes down what a person says to a plan, which the function peering hears.
// It gives the word with its number; an error says why the plan as it is now would
// not obey, a *change.UsageError where it never could.
func (o *Operator) Tell(ctx context.Context, p *change.Plan, w change.Word) (change.Word, error) {
	w.Plan, w.N = p.ID, p.Folded
	w = o.word(w)
	if err := p.Would(w, o.Mesh.Policy.Mode, o.Now()); err != nil {
		return w, err
	}
	steps := ""
	for _, n := range w.Steps {
		steps += fmt.Sprintf(" step %d", n)
	}
	w, err := record.Say(ctx, o.Store, o.Mesh.Name, w)
	if err != nil {
		return w, err
	}
	return w, o.enter(ctx, w, steps+" "+w.Text)
}

func (o *Operator) word(w change.Word) change.Word {
	w.Actor, w.At, w.Text = plain.Line(o.Actor, maxActor), o.Now(), plain.Line(w.Text, record.MaxReason)
	return w
}

func (o *Operator) say(ctx context.Context, w change.Word, what string) error {
	w, err := record.Say(ctx, o.Store, o.Mesh.Name, w)
	if err != nil {
		return err
	}
	return o.enter(ctx, w, what)
}

// enter puts a word into the audit. One that ends what the plan does turns the gate's
// epoch, after it was written down: no action that was decided before begins after it.
func (o *Operator) enter(ctx context.Context, w change.Word, what string) error {
	e := repair.Entry{Time: w.At, Actor: w.Actor, Intent: fmt.Sprintf("peering %s %s", w.Verb, w.Plan), Outcome: "done", Evidence: plain.Line(strings.TrimSpace(what), record.MaxReason)}
	var err error
	switch w.Verb {
	case change.Stop, change.Abort, change.Skip:
		_, err = repair.Interrupt(ctx, o.Store, o.Mesh.Name, e)
	default:
		_, err = repair.Append(ctx, o.Store, o.Mesh.Name, e)
	}
	return err
}
