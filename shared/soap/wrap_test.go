package soap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// script answers in turn; nil is an answer with okBody. The last one repeats.
type script struct {
	mu      sync.Mutex
	answers []error
	at      []time.Time
}

func (s *script) Do(_ context.Context, req Request) (*Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Now())
	err := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	if err != nil {
		return nil, err
	}
	return NewAnswer(req, nodeName, io.NopCloser(strings.NewReader(okBody))), nil
}

func TestRetry(t *testing.T) {
	no := func(k Kind) error { return &Error{Op: "op", Node: nodeName, Kind: k, Sent: true} }
	later := func(d time.Duration) error { return &Error{Kind: Throttled, Status: 503, RetryAfter: d} }
	full := func() float64 { return 1 }
	tests := []struct {
		name   string
		script []error
		policy RetryPolicy
		write  bool
		until  time.Duration // the context's deadline, 0: none
		want   Kind
		waits  []time.Duration
	}{
		{"first answer", []error{nil}, RetryPolicy{}, false, 0, None, nil},
		{"throttled twice", []error{no(Throttled), no(Throttled), nil}, RetryPolicy{Base: time.Second}, false, 0, None, []time.Duration{time.Second, 2 * time.Second}},
		{"memory and rate", []error{no(MemoryFull), no(RateExceeded), nil}, RetryPolicy{Base: time.Second}, false, 0, None, []time.Duration{time.Second, 2 * time.Second}},
		{"no more than the attempts", []error{no(Throttled)}, RetryPolicy{Attempts: 4, Base: time.Second, Max: 3 * time.Second}, false, 0, Throttled, []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}},
		{"never a write", []error{no(Throttled)}, RetryPolicy{}, true, 0, Throttled, nil},
		{"not a rejected account", []error{no(AccountRejected)}, RetryPolicy{}, false, 0, AccountRejected, nil},
		{"not a memory fault where the pool is to be spared", []error{no(MemoryFull)}, RetryPolicy{Kinds: []Kind{Throttled}}, false, 0, MemoryFull, nil},
		{"Retry-After is honoured", []error{later(7 * time.Second), nil}, RetryPolicy{Base: time.Second}, false, 0, None, []time.Duration{7 * time.Second}},
		{"and capped", []error{later(time.Hour), nil}, RetryPolicy{Base: time.Second, Max: 10 * time.Second}, false, 0, None, []time.Duration{10 * time.Second}},
		{"no wait beyond the deadline", []error{later(7 * time.Second), nil}, RetryPolicy{Base: time.Second}, false, 5 * time.Second, Throttled, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tt.script}
				tt.policy.Jitter = full
				ctx := t.Context()
				if tt.until > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.until)
					defer cancel()
				}
				begin := time.Now()
				a, err := Retry(s, tt.policy).Do(ctx, Request{Op: "op", Write: tt.write})
				if KindOf(err) != tt.want {
					t.Fatalf("got %v, want kind %q", err, tt.want)
				}
				if err == nil {
					a.Close()
				} else if len(tt.waits) == 0 && time.Since(begin) != 0 {
					t.Errorf("gave up only after %s", time.Since(begin))
				}
				var waits []time.Duration
				for i := 1; i < len(s.at); i++ {
					waits = append(waits, s.at[i].Sub(s.at[i-1]))
				}
				if diff := cmp.Diff(tt.waits, waits); diff != "" {
					t.Errorf("waits (-want +got):\n%s", diff)
				}
			})
		})
	}
	t.Run("cancelled while waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			begin := time.Now()
			_, err := Retry(&script{answers: []error{later(10 * time.Second)}}, RetryPolicy{}).Do(ctx, Request{})
			if KindOf(err) != Throttled || time.Since(begin) != time.Second {
				t.Errorf("%v after %s", err, time.Since(begin))
			}
		})
	})
	t.Run("jitter is full", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []error{no(Throttled), nil}}
			a, err := Retry(s, RetryPolicy{Base: time.Hour, Max: time.Hour, Jitter: func() float64 { return 0.25 }}).Do(t.Context(), Request{})
			if err != nil {
				t.Fatal(err)
			}
			a.Close()
			if got := s.at[1].Sub(s.at[0]); got != 15*time.Minute {
				t.Errorf("waited %s", got)
			}
		})
	})
}

// open counts answers not yet closed.
type open struct {
	now, most atomic.Int64
	size      int
}

type openBody struct {
	io.Reader
	close func()
}

func (b openBody) Close() error { b.close(); return nil }

func (o *open) Do(_ context.Context, req Request) (*Answer, error) {
	n := o.now.Add(1)
	for most := o.most.Load(); n > most && !o.most.CompareAndSwap(most, n); most = o.most.Load() {
	}
	return NewAnswer(req, nodeName, openBody{io.LimitReader(zeros{}, int64(o.size)), func() { o.now.Add(-1) }}), nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestLimitOneRequestPerNode(t *testing.T) {
	run := func(limit bool) int64 {
		var most int64
		synctest.Test(t, func(t *testing.T) {
			o := &open{size: 10}
			flight := NewFlight(nil)
			reader, writer := RoundTripper(o), RoundTripper(o) // two accounts on one node
			if limit {
				reader, writer = Limit(o, flight), Limit(o, flight)
			}
			var all sync.WaitGroup
			for i := range 20 {
				rt := reader
				if i%2 == 0 {
					rt = writer
				}
				all.Go(func() {
					a, err := rt.Do(t.Context(), Request{Op: "op"})
					if err != nil {
						t.Error(err)
						return
					}
					<-time.After(time.Second)
					a.Close()
					a.Close()
				})
			}
			all.Wait()
			most = o.most.Load()
		})
		return most
	}
	if got := run(true); got != 1 {
		t.Errorf("%d requests at once", got)
	}
	if got := run(false); got != 20 {
		t.Errorf("without the limit only %d at once: the test shows nothing", got)
	}
	t.Run("giving up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt := Limit(&open{}, NewFlight(nil))
			a, err := rt.Do(t.Context(), Request{Op: "op"})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err = rt.Do(ctx, Request{Op: "op", Write: true})
			if e := mustKind(t, err, Timeout); e.Sent {
				t.Error("counts as sent")
			}
			a.Close()
			if a, err = rt.Do(t.Context(), Request{Op: "op"}); err != nil {
				t.Fatal("the slot did not come back:", err)
			}
			a.Close()
		})
	})
	t.Run("a failure gives the slot back", func(t *testing.T) {
		rt := Limit(&script{answers: []error{&Error{Kind: Throttled}, nil}}, NewFlight(nil))
		_, err := rt.Do(t.Context(), Request{})
		mustKind(t, err, Throttled)
		if _, err := exchange(t, rt, Request{}); err != nil {
			t.Error(err)
		}
	})
}

// Many large answers are read at once over a small budget: all get through, and never more is held than the budget.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const total, each, readers = 1 << 20, 400 << 10, 30
		budget := NewBudget(total)
		var held, most atomic.Int64
		var all sync.WaitGroup
		for range readers {
			all.Go(func() {
				a, err := Limit(&open{size: each}, NewFlight(budget)).Do(t.Context(), Request{Op: "op"})
				if err != nil {
					t.Error(err)
					return
				}
				defer a.Close()
				p := make([]byte, 16<<10)
				own := int64(0)
				for {
					n, err := a.Body.Read(p)
					own += int64(n)
					if now := held.Add(int64(n)); now > most.Load() {
						most.Store(now)
					}
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						t.Error(err)
						break
					}
					<-time.After(time.Millisecond)
				}
				if own != each {
					t.Errorf("read %d bytes of %d", own, each)
				}
				held.Add(-own)
			})
		}
		all.Wait()
		if most.Load() > total {
			t.Errorf("%d bytes in flight, the budget is %d", most.Load(), total)
		}
		if most.Load() < total/2 {
			t.Errorf("only %d bytes were ever in flight: nothing was limited", most.Load())
		}
		if len(budget.pieces) != 0 || len(budget.large) != 0 {
			t.Error("budget was not given back")
		}
	})
	t.Run("an answer beyond it", func(t *testing.T) {
		_, err := exchange(t, Limit(&open{size: 1 << 20}, NewFlight(NewBudget(512<<10))), Request{Op: "op"})
		mustKind(t, err, AnswerTooBig)
	})
	t.Run("giving up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			budget := NewBudget(2 * piece) // one piece, then the large half
			rt := func() RoundTripper { return Limit(&open{size: 2 * piece}, NewFlight(budget)) }
			a, err := rt().Do(t.Context(), Request{Op: "op"})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			if _, err := io.ReadAll(io.LimitReader(a.Body, 2*piece)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			b, err := rt().Do(ctx, Request{Op: "op"})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			_, err = io.ReadAll(b.Body)
			mustKind(t, err, Timeout)
		})
	})
}

func TestTrace(t *testing.T) {
	var events []Event
	var counter Counter
	var lines bytes.Buffer
	logTo := LogTo(slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug})))
	report := func(e Event) { events = append(events, e); counter.Add(e); logTo(e) }
	synctest.Test(t, func(t *testing.T) {
		rt := Trace(&script{answers: []error{nil, &Error{Op: "op", Node: nodeName, Kind: Throttled, Status: 503}}}, report)
		req := Request{Op: "op", Body: []byte("secret statement")}
		a, err := rt.Do(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		_, _ = io.ReadAll(a.Body)
		a.Close()
		a.Close()
		_, err = rt.Do(t.Context(), req)
		mustKind(t, err, Throttled)
	})
	want := []Event{
		{Op: "op", Node: nodeName, Status: 200, Sent: 16, Received: int64(len(okBody)), Duration: time.Second},
		{Op: "op", Node: nodeName, Status: 503, Sent: 16, Kind: Throttled},
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Counts{Requests: 2, Failures: 1, Sent: 32, Received: int64(len(okBody))}, counter.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if strings.Contains(lines.String(), "secret") || !strings.Contains(lines.String(), "kind=throttled") {
		t.Errorf("log: %s", lines.String())
	}
}

// The wrappers as they are meant to be stacked, over a real connection.
func TestStacked(t *testing.T) {
	n := newNode(t, issue(t, nil, nil), ok)
	var counter Counter
	rt := Retry(Limit(Trace(client(t, n.endpoint()), counter.Add), NewFlight(NewBudget(64<<20))), RetryPolicy{})
	for range 3 {
		if body, err := exchange(t, rt, read("getCCMVersion")); err != nil || body != okBody {
			t.Fatalf("%q, %v", body, err)
		}
	}
	if got := counter.Counts(); got.Requests != 3 || got.Failures != 0 {
		t.Errorf("%+v", got)
	}
}
