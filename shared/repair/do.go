package repair

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

// ServiceController reads and changes one cluster with the write account, through Control
// Center on the node itself.
type ServiceController interface {
	// Service reads one service on one node, now.
	Service(ctx context.Context, node mesh.NodeName, service string) (peer.Service, error)
	// Control starts or restarts a service. It is sent at most once. The
	// error tells by Refused and Uncertain what is known of the outcome.
	Control(ctx context.Context, node mesh.NodeName, action peer.Action, service string) error
	// Parameter reads a service parameter and how many parameters match.
	Parameter(ctx context.Context, node mesh.NodeName, service, name string) (value string, matches int, err error)
	SetParameter(ctx context.Context, node mesh.NodeName, service, name, value string) error
	// Activate activates a feature service. It is sent at most once.
	Activate(ctx context.Context, node mesh.NodeName, service string) error
	// Readiness reads of the whole cluster, now, what a restart that signs people
	// out is judged by.
	Readiness(ctx context.Context) (peer.Readiness, error)
	// Refused says whether a write with this error reached the node, and the
	// node said no.
	Refused(err error) bool
	// Uncertain says whether a write with this error may have happened.
	Uncertain(err error) bool
}

// TrustStoreWriter reads and adds to the trust stores of one cluster, with the platform's
// write account, through certificate management on the node itself.
type TrustStoreWriter interface {
	// Lacks tells which of the certificates (by "sha256:…") a node's store does
	// not hold now.
	Lacks(ctx context.Context, node mesh.NodeName, store string, certificates []string) ([]string, error)
	// Add puts certificates into a node's store. It is sent at most once.
	Add(ctx context.Context, node mesh.NodeName, store string, certs []*x509.Certificate, description string) error
	Refused(err error) bool
	Uncertain(err error) bool
}

// Repair is the one place from which a cluster is changed. All fields are
// needed but TrustStoreWriter with Source, Recorded, Log and Crash.
type Repair struct {
	Mesh  *mesh.Mesh
	Store store.Store
	// Open gives a cluster's services. It is not called in mode observe, and
	// never before every guard has let the action pass.
	Open func(ctx context.Context, id mesh.ClusterID) (ServiceController, error)
	// TrustStoreWriter opens the trust stores of a cluster, as Open its services; nil
	// imports nothing.
	TrustStoreWriter func(ctx context.Context, id mesh.ClusterID) (TrustStoreWriter, error)
	// Source reads what an import is about from its own node, over a connection
	// that was verified before anything read there counts: a self-signed
	// certificate itself, of a CA-signed one the chain of CAs above it.
	Source func(ctx context.Context, of peer.CertSource) ([]*x509.Certificate, error)
	// CheckLease says with an error that the lease of this run is not ours any more.
	CheckLease func(ctx context.Context) error
	// Recorded gives the target of an open intent as somebody who only looks
	// has seen it since the intent's deadline. It stands in for Open in
	// mode observe, in which nothing is opened.
	Recorded func(ctx context.Context, in Intent) (peer.Service, error)
	Now      func() time.Time
	Log      *slog.Logger
	// Actor is who acts, for the audit: the function's name.
	Actor string
	// Privilege is what main handed over; the zero value is enough for repairs.
	Privilege Privilege
	// Crash is called between the steps, for tests that kill the process
	// there; nil does nothing.
	Crash func(step string)
}

// Result is what Do did.
type Result struct {
	Refused []record.Refusal // not empty: nothing was meant and nothing sent
	Outcome Outcome          // "" while the intent is open and awaits its proof
	Seq     int64
	Text    string
}

// Check reads, consistently, everything that the guards judge by but what Do
// fills in: epoch, actor, lease, and the target's service as it is now. gate
// was read before.
type Check func(ctx context.Context, gate *Gate) (Situation, error)

// Do carries one proposal through the gate: judge it by every guard, open the
// cluster, look, one compare-and-swap that is intent, limit, lock and kill
// switch, look again, send at most once, read back, close.
//
// Killed after the compare-and-swap it leaves an open intent, which Settle
// reads back; nothing is sent twice.
func (r *Repair) Do(ctx context.Context, p peer.Proposal, read Check) (Result, error) {
	// The epoch comes first: a pause is written first, and then turns it.
	gate, err := Load(ctx, r.Store, r.Mesh.Name)
	if err != nil {
		return Result{}, err
	}
	s, err := read(ctx, &gate)
	if err != nil {
		return Result{}, fmt.Errorf("looking before %s %s: %w", p.Action, p.Target, err)
	}
	kind := kindOf(p.Action)
	s.Epoch, s.Privilege, s.Now = gate.PauseEpoch, r.Privilege, r.Now()
	s.Lease = r.lease(ctx)
	if refused := Refusals(&gate, p, s); len(refused) > 0 {
		return Result{Refused: refused}, nil
	}
	action, err := kind.open(ctx, r, p)
	if err != nil {
		return Result{}, fmt.Errorf("opening %s to %s %s: %w", p.Target.Cluster, p.Action, p.Target, err)
	}
	before, err := action.check(ctx, &s)
	if err != nil {
		return Result{}, fmt.Errorf("looking at %s: %w", p.Target, err)
	}
	s.read, s.Lease = true, r.lease(ctx)
	r.crash("looked")

	intent := Intent{ID: p.ID, Action: p.Action, Target: p.Target, Value: p.Value, Peers: p.Peers, Actor: r.Actor, Planned: p.Planned, MinAge: p.MinAge, Before: before}
	var refused []record.Refusal
	meant, wrote, err := change(ctx, r.Store, r.Mesh.Name, func(g *Gate) (*Entry, error) {
		s.Now = r.Now()
		g.forget(s.Now)
		if refused = Refusals(g, p, s); len(refused) > 0 {
			return nil, nil
		}
		intent.Written, intent.Deadline = s.Now, s.Now.Add(sendWindow)
		intent.Seq = 1
		if g.Last != nil {
			intent.Seq = g.Last.Seq + 1
		}
		g.Open = append(slices.Clone(g.Open), intent)
		if kind.interrupts && p.Planned.IsZero() {
			g.Restarts = append(slices.Clone(g.Restarts), Restart{intent.Seq, p.Target.Cluster, s.Now})
		}
		actor := r.Actor
		if c := consentTo(p, s); c.Actor != "" || p.Approval != "" {
			g.Used = append(slices.Clone(g.Used), Spent{spentAs(p), s.Now, c.At})
			actor += ", approved by " + c.Actor
		}
		return &Entry{Time: s.Now, Actor: actor, Intent: fmt.Sprintf("%s %s", p.Action, p.Target), Outcome: "intent", Evidence: p.Why}, nil
	})
	if err != nil {
		return Result{}, err
	}
	if !wrote {
		return Result{Refused: refused}, nil
	}
	r.crash("intent")

	if why := r.lookAgain(ctx, action, intent, meant); why != "" {
		return r.close(ctx, intent, NotSent, why)
	}
	r.crash("lookedAgain")
	left := intent.Deadline.Sub(r.Now())
	if left <= 0 || left > sendWindow { // more than the whole: the clock stepped back
		return r.close(ctx, intent, NotSent, "the second check took until the deadline")
	}
	sending, cancel := context.WithTimeout(ctx, min(left, sendWindow/2))
	err = action.send(sending)
	cancel()
	r.crash("sent")
	switch {
	case err != nil && action.Refused(err):
		return r.close(ctx, intent, NotDone, "refused: "+err.Error())
	case err != nil && !action.Uncertain(err):
		return r.close(ctx, intent, NotSent, "not taken: "+err.Error())
	case err != nil:
		// OUTCOME UNKNOWN: the next holder waits out the deadline and reads
		// back. Reading back now could miss what is still on its way.
		r.logger().Warn("outcome unknown", "intent", intent.Seq, "target", p.Target.String(), "error", err)
		return Result{Seq: intent.Seq, Text: "OUTCOME UNKNOWN: " + err.Error()}, nil
	}
	outcome, text := action.readBack(ctx, intent)
	r.crash("readBack")
	if outcome != DoneProven {
		// A node may take a moment to begin what it has accepted: that it did
		// not happen is believed only after the deadline, by Settle.
		return Result{Seq: intent.Seq, Text: text}, nil
	}
	return r.close(ctx, intent, outcome, text)
}

// lookAgain says why the action, already meant, must not be sent after all.
func (r *Repair) lookAgain(ctx context.Context, d executor, in Intent, meant Gate) string {
	if why := d.recheck(ctx, in); why != "" {
		return why
	}
	if why := r.lease(ctx); why != "" {
		return why
	}
	if ok, why := r.Mesh.Policy.Allowed(r.Now()); !ok {
		return why
	}
	// The gate last: it is what people stop us by.
	gate, err := Load(ctx, r.Store, r.Mesh.Name)
	switch {
	case err != nil:
		return "the gate could not be read again: " + err.Error()
	case gate.PauseEpoch != meant.PauseEpoch:
		return "somebody paused or resumed, or stopped a plan, in the meantime"
	case !slices.ContainsFunc(gate.Open, func(o Intent) bool { return o.Seq == in.Seq && o.ID == in.ID }):
		return "the intent was closed by somebody else in the meantime"
	case !in.Planned.IsZero() && !gate.lockedFor(in.Planned, in.Target.Cluster, r.Now()):
		return fmt.Sprintf("the lock of plan %s on %s was taken back in the meantime", in.Planned, in.Target.Cluster)
	}
	return ""
}

// lease says why this run may not act any more.
func (r *Repair) lease(ctx context.Context) string {
	if err := r.CheckLease(ctx); err != nil {
		return "this run's lease is not held: " + err.Error()
	}
	return ""
}

// overdue is how long ago an intent's deadline passed. Beyond a day ahead, the
// clock that wrote it was wrong.
func overdue(now time.Time, in Intent) time.Duration {
	d := now.Sub(in.Deadline)
	if d < -ahead {
		return giveUp
	}
	return d
}

// Settle reads back every open intent whose deadline has passed, and closes
// those about which the truth is now known. It sends nothing. It returns how
// many it closed.
func (r *Repair) Settle(ctx context.Context) (int, error) {
	gate, err := Load(ctx, r.Store, r.Mesh.Name)
	if err != nil {
		return 0, err
	}
	closed := 0
	var errs []error
	for _, in := range gate.Open {
		if until := gate.effective(mark("open", in.Seq), in.Deadline.Add(-sendWindow)).Add(sendWindow); until.Before(in.Deadline) {
			in.Deadline = until // set by a clock that was ahead
		}
		if overdue(r.Now(), in) < 0 {
			continue
		}
		outcome, text := r.outcomeOf(ctx, in)
		since := overdue(r.Now(), in)
		// The moment after the deadline still belongs to what may be on its
		// way: that nothing happened is believed later.
		if outcome == NotDone && since < sendWindow || outcome == "" && since < giveUp {
			continue
		}
		if outcome == "" {
			outcome = Unproven
		}
		res, err := r.close(ctx, in, outcome, text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if res.Outcome != "" {
			closed++
		}
	}
	return closed, errors.Join(append(errs, r.noteClock(ctx))...)
}

// outcomeOf looks at what became of an open intent: on the cluster itself, or in
// mode observe through what was recorded since.
func (r *Repair) outcomeOf(ctx context.Context, in Intent) (Outcome, string) {
	kind := kindOf(in.Action)
	if r.Mesh.Policy.Mode != mesh.Recover {
		if r.Recorded == nil || kind.prove == nil {
			return "", "not read back: policy.mode is observe"
		}
		now, err := r.Recorded(ctx, in)
		if err != nil {
			return "", "not read back: " + err.Error()
		}
		return kind.prove(in, now, r.Now())
	}
	action, err := kind.open(ctx, r, peer.Proposal{Action: in.Action, Target: in.Target, Value: in.Value, Planned: in.Planned})
	if err != nil {
		return "", "not read back: " + err.Error()
	}
	return action.readBack(ctx, in)
}

// close takes an intent off the gate with its outcome. Somebody else may have
// closed it already, which is as good.
func (r *Repair) close(ctx context.Context, in Intent, outcome Outcome, text string) (Result, error) {
	text = short(text)
	_, wrote, err := change(ctx, r.Store, r.Mesh.Name, func(g *Gate) (*Entry, error) {
		now := r.Now()
		i := slices.IndexFunc(g.Open, func(o Intent) bool { return o.Seq == in.Seq })
		if i < 0 {
			return nil, nil
		}
		g.forget(now)
		g.Open = slices.Delete(slices.Clone(g.Open), i, i+1)
		if outcome == NotSent {
			g.Restarts = slices.DeleteFunc(slices.Clone(g.Restarts), func(x Restart) bool { return x.Seq == in.Seq })
			// The approval of a planned step lives as long as the step waits, and it
			// goes on waiting.
			g.Used = slices.DeleteFunc(slices.Clone(g.Used), func(u Spent) bool { return u.ID == in.Planned.String() && u.At.Equal(in.Written) })
		}
		g.Closed = append(slices.Clone(g.Closed), Closure{in.Seq, in.ID, in.Action, in.Target, now, in.Written, outcome, text, in.Planned})
		return &Entry{Time: now, Actor: r.Actor, Intent: fmt.Sprintf("close %d: %s %s", in.Seq, in.Action, in.Target), Outcome: string(outcome), Evidence: text}, nil
	})
	if err != nil {
		return Result{}, err
	}
	r.crash("closed")
	if !wrote {
		return Result{Seq: in.Seq, Text: "closed by somebody else"}, nil
	}
	return Result{Outcome: outcome, Seq: in.Seq, Text: text}, nil
}

func (r *Repair) crash(step string) {
	if r.Crash != nil {
		r.Crash(step)
	}
}

func (r *Repair) logger() *slog.Logger {
	if r.Log != nil {
		return r.Log
	}
	return slog.New(slog.DiscardHandler)
}
