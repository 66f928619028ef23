package soap

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// RetryPolicy says how reads are tried again. The zero value is 3 attempts, 500 ms doubling to 20 s, for Throttled, MemoryFull and RateExceeded.
type RetryPolicy struct {
	Attempts int           // in all
	Base     time.Duration // upper end of the first wait; doubles
	Max      time.Duration // no wait is longer, whatever the server asks for
	Kinds    []Kind        // nil is the three above; leave MemoryFull out where the pool shared with the ICSAs must be spared
	Jitter   func() float64
}

// Retry tries reads again after a refusal that passes. It never repeats a Write. A wait that would outlast the context is not begun:
// the refusal is returned at once.
func Retry(next RoundTripper, policy RetryPolicy) RoundTripper {
	if policy.Attempts <= 0 {
		policy.Attempts = 3
	}
	if policy.Base <= 0 {
		policy.Base = 500 * time.Millisecond
	}
	if policy.Max <= 0 {
		policy.Max = 20 * time.Second
	}
	if policy.Kinds == nil {
		policy.Kinds = []Kind{Throttled, MemoryFull, RateExceeded}
	}
	if policy.Jitter == nil {
		policy.Jitter = rand.Float64
	}
	return retrier{next, policy}
}

type retrier struct {
	next   RoundTripper
	policy RetryPolicy
}

func (r retrier) Do(ctx context.Context, req Request) (*Answer, error) {
	ceiling := min(r.policy.Base, r.policy.Max)
	for attempt := 1; ; attempt++ {
		a, err := r.next.Do(ctx, req)
		if err == nil || req.Write || attempt >= r.policy.Attempts || !slices.Contains(r.policy.Kinds, KindOf(err)) {
			return a, err
		}
		wait := time.Duration(r.policy.Jitter() * float64(ceiling)) // full jitter: thirty clients must not come back together
		if e, ok := asError(err); ok {
			wait = min(max(wait, e.RetryAfter), r.policy.Max)
		}
		ceiling = min(2*ceiling, r.policy.Max)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
			return nil, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
	}
}

// Event is one finished exchange: sizes and outcome, never contents.
type Event struct {
	Op, Node string // Node is empty if the exchange never got as far as a node
	Write    bool
	Status   int           // HTTP, 0 if no answer
	Sent     int64         // bytes of the request body
	Received int64         // bytes of the answer read
	Duration time.Duration // wall time, from Do to the answer's Close
	Kind     Kind
}

// Trace reports every exchange once: when its answer is closed, or when it fails.
func Trace(next RoundTripper, report func(Event)) RoundTripper { return tracer{next, report} }

type tracer struct {
	next   RoundTripper
	report func(Event)
}

func (t tracer) Do(ctx context.Context, req Request) (*Answer, error) {
	start := time.Now() // a stopwatch, not a judgement: wall time, whatever clock the endpoint has
	ev := Event{Op: req.Op, Write: req.Write, Sent: int64(len(req.Body)), Status: 200}
	a, err := t.next.Do(ctx, req)
	if err != nil {
		ev.Status, ev.Kind, ev.Duration = 0, KindOf(err), time.Since(start)
		if e, ok := asError(err); ok {
			ev.Node, ev.Status = e.Node, e.Status
		}
		t.report(ev)
		return nil, err
	}
	ev.Node = a.Node
	body := &countedBody{from: a.Body}
	a.Body = body
	closeNext := a.close
	a.close = func() error {
		err := closeBody(closeNext)
		ev.Received, ev.Kind, ev.Duration = body.n, KindOf(body.err), time.Since(start)
		t.report(ev)
		return err
	}
	return a, nil
}

func closeBody(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

type countedBody struct {
	from io.Reader
	n    int64
	err  error
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// Counter adds exchanges up. Its Add can be given to Trace; it is safe for concurrent use.
type Counter struct{ requests, writes, failures, sent, received atomic.Int64 }

// Add counts one exchange.
func (c *Counter) Add(e Event) {
	c.requests.Add(1)
	if e.Write {
		c.writes.Add(1)
	}
	if e.Kind != None {
		c.failures.Add(1)
	}
	c.sent.Add(e.Sent)
	c.received.Add(e.Received)
}

// Counts is what a Counter has seen; bytes are of bodies.
type Counts struct{ Requests, Writes, Failures, Sent, Received int64 }

// Counts reads the counter.
func (c *Counter) Counts() Counts {
	return Counts{c.requests.Load(), c.writes.Load(), c.failures.Load(), c.sent.Load(), c.received.Load()}
}

// LogTo makes a report for Trace that writes debug lines.
func LogTo(log *slog.Logger) func(Event) {
	return func(e Event) {
		log.Debug("soap", "op", e.Op, "node", e.Node, "write", e.Write, "status", e.Status, "sent", e.Sent, "received", e.Received, "took", e.Duration, "kind", string(e.Kind))
	}
}

// Budget bounds the bytes of answers in flight over the process. Half of it is shared by everybody in small pieces; an answer that
// finds that half empty waits for the other half, which belongs to one answer at a time. Who holds it never waits for budget
// again, so somebody always gets on: there is no deadlock among half-read answers.
type Budget struct {
	half   int64
	pieces chan struct{}
	large  chan struct{}
}

// piece of the budget that is taken at a time.
const piece = 64 << 10

// NewBudget makes a budget of total bytes (design: 64 MiB); half of it must hold the largest single answer.
func NewBudget(total int64) *Budget {
	return &Budget{half: total / 2, pieces: make(chan struct{}, max(total/2/piece, 1)), large: make(chan struct{}, 1)}
}

// Flight is one node's slot. Every client of the node (two accounts, say) must be given the same Flight.
type Flight struct {
	slot   chan struct{}
	budget *Budget
}

// NewFlight makes a node's slot; budget may be nil.
func NewFlight(budget *Budget) *Flight { return &Flight{slot: make(chan struct{}, 1), budget: budget} }

// Limit keeps a node to one request at a time, from Do to the answer's Close, and the process to the byte budget. Waiting is ended by
// the context. Hazard: a caller that sends to the same node before closing its answer waits for itself until the context ends.
func Limit(next RoundTripper, flight *Flight) RoundTripper { return limiter{next, flight} }

type limiter struct {
	next   RoundTripper
	flight *Flight
}

func (l limiter) Do(ctx context.Context, req Request) (*Answer, error) {
	select {
	case l.flight.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, waited(req, ctx.Err())
	}
	given := false // the slot to the answer
	defer func() {
		if !given {
			<-l.flight.slot // also when what is below panics
		}
	}()
	a, err := l.next.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	given = true
	var body *budgetBody
	if b := l.flight.budget; b != nil && !req.Write { // answers to writes are small and were read whole
		body = &budgetBody{ctx: ctx, from: a.Body, budget: b, op: a.Op, node: a.Node}
		a.Body = body
	}
	closeNext := a.close
	a.close = func() error {
		err := closeBody(closeNext)
		if body != nil {
			body.release()
		}
		<-l.flight.slot
		return err
	}
	return a, nil
}

// budgetBody takes budget as it reads and gives it back when the answer is closed.
type budgetBody struct {
	ctx      context.Context // of the exchange: reading is part of it
	from     io.Reader
	budget   *Budget
	op, node string

	covered int64 // bytes that may still be read on what was taken
	pieces  int
	large   bool
}

func (b *budgetBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.covered == 0 {
		if err := b.take(); err != nil {
			return 0, err
		}
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.covered)])
	b.covered -= int64(n)
	return n, err
}

func (b *budgetBody) take() error {
	if b.large {
		return &Error{Op: b.op, Node: b.node, Kind: AnswerTooBig, Status: 200, Sent: true, Cause: errors.New("more than half of the byte budget")}
	}
	select {
	case b.budget.pieces <- struct{}{}:
		b.pieces++
		b.covered = piece
		return nil
	default:
	}
	select {
	case b.budget.large <- struct{}{}:
		b.large = true
		b.covered = b.budget.half
		return nil
	case <-b.ctx.Done():
		e := waited(Request{Op: b.op}, b.ctx.Err())
		e.Node, e.Sent = b.node, true
		return e
	}
}

func (b *budgetBody) release() {
	for ; b.pieces > 0; b.pieces-- {
		<-b.budget.pieces
	}
	if b.large {
		<-b.budget.large
		b.large = false
	}
	b.covered = 0
}
