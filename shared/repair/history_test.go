package repair

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// A history is one file to which every process appends a line before it asks
// the store something, and one after it has the answer. The order of the lines
// is therefore an order in which things can have happened, whatever the clocks
// say: an answer that stands above a question was there before it.

// line is one line of a history.
type line struct {
	Kind   string    `json:"kind"` // call, return, begin, sent, stop
	Client string    `json:"client"`
	ID     int64     `json:"id,omitempty"` // of a call and its return, within the client
	Op     operation `json:"op,omitzero"`
	Answer answer    `json:"answer,omitzero"`

	Token   int64     `json:"token,omitempty"`   // of begin and sent
	Cluster string    `json:"cluster,omitempty"` // of sent
	At      time.Time `json:"at,omitzero"`       // of sent, by the right clock
	Note    string    `json:"note,omitempty"`    // of stop: the step
}

// operation is what a store is asked of one item.
type operation struct {
	Item string `json:"item"`
	Put  bool   `json:"put,omitempty"`
	Base int64  `json:"base,omitempty"` // the version that a put replaces
	Is   string `json:"is,omitempty"`   // what it puts: a digest
}

// answer is what came back. Unknown is that of a put whose answer was lost, or
// whose process was killed: it may have happened, once, then or later.
type answer struct {
	Unknown  bool   `json:"unknown,omitempty"`
	Conflict bool   `json:"conflict,omitempty"` // of a put
	Version  int64  `json:"version,omitempty"`  // of a get; 0 = no such item
	Is       string `json:"is,omitempty"`       // of a get
}

func (o operation) String() string {
	if o.Put {
		return fmt.Sprintf("put %s over %d", o.Is, o.Base)
	}
	return "get"
}

// register is one stored item.
type register struct {
	version int64
	is      string
}

// compareAndSwap is what the gate and the leases rest on: an item is a register
// with a version, read whole, and written by the one who names the version that
// stands.
func compareAndSwap() porcupine.Model {
	m := &porcupine.NondeterministicModel{
		Init: func() []any { return []any{register{}} },
		Step: func(state, input, output any) []any {
			r, op, got := state.(register), input.(operation), output.(answer)
			switch {
			case !op.Put:
				if got.Version != r.version || got.Is != r.is {
					return nil
				}
				return []any{r}
			case got.Unknown && op.Base == r.version:
				return []any{r, register{op.Base + 1, op.Is}}
			case got.Unknown:
				return []any{r}
			case got.Conflict != (op.Base != r.version):
				return nil
			case got.Conflict:
				return []any{r}
			}
			return []any{register{op.Base + 1, op.Is}}
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v: %+v", input, output) },
	}
	model := m.ToModel()
	model.PartitionEvent = func(events []porcupine.Event) [][]porcupine.Event {
		item := map[int]string{}
		parts := map[string][]porcupine.Event{}
		for _, e := range events {
			if op, ok := e.Value.(operation); ok {
				item[e.Id] = op.Item
			}
			parts[item[e.Id]] = append(parts[item[e.Id]], e)
		}
		var out [][]porcupine.Event
		for _, p := range parts {
			out = append(out, p)
		}
		return out
	}
	return model
}

// events are a history as Porcupine takes it. What has no answer, or an unknown
// one, ends after everything else: it may have happened at any time since.
func events(lines []line) []porcupine.Event {
	clients, ids := map[string]int{}, map[string]int{}
	var out, late []porcupine.Event
	open := map[int]operation{}
	for _, l := range lines {
		if l.Kind != "call" && l.Kind != "return" {
			continue
		}
		if _, known := clients[l.Client]; !known {
			clients[l.Client] = len(clients)
		}
		name := fmt.Sprint(l.Client, " ", l.ID)
		if _, known := ids[name]; !known {
			ids[name] = len(ids)
		}
		e := porcupine.Event{ClientId: clients[l.Client], Id: ids[name]}
		switch {
		case l.Kind == "call":
			e.Kind, e.Value = porcupine.CallEvent, l.Op
			open[e.Id] = l.Op
		case l.Answer.Unknown:
			continue
		default:
			e.Kind, e.Value = porcupine.ReturnEvent, l.Answer
			delete(open, e.Id)
		}
		out = append(out, e)
	}
	kept := out[:0]
	for _, e := range out {
		op, unanswered := open[e.Id]
		if unanswered && !op.Put { // a read without an answer says nothing
			continue
		}
		if unanswered {
			late = append(late, porcupine.Event{ClientId: e.ClientId, Id: e.Id, Kind: porcupine.ReturnEvent, Value: answer{Unknown: true}})
		}
		kept = append(kept, e)
	}
	return append(kept, late...)
}

// verdict says whether some order of single steps explains a history.
func verdict(lines []line) porcupine.CheckResult {
	return porcupine.CheckEventsTimeout(compareAndSwap(), events(lines), 5*time.Minute)
}

// recorder is a store that keeps a history of the items that everything hangs
// on: the gate and the leases.
type recorder struct {
	store.Store
	client string
	say    func(line)
	n      atomic.Int64
}

func recorded(key store.Key) bool {
	return key.SK == "GATE" || strings.HasPrefix(key.SK, store.PrefixRun)
}

func digest(body []byte) string {
	h := sha256.Sum256(body)
	return hex.EncodeToString(h[:6])
}

func (r *recorder) Get(ctx context.Context, key store.Key) (store.Item, error) {
	if !recorded(key) {
		return r.Store.Get(ctx, key)
	}
	id := r.n.Add(1)
	r.say(line{Kind: "call", Client: r.client, ID: id, Op: operation{Item: key.SK}})
	it, err := r.Store.Get(ctx, key)
	switch {
	case err == nil:
		r.say(line{Kind: "return", Client: r.client, ID: id, Answer: answer{Version: it.Version, Is: digest(it.Body)}})
	case errors.Is(err, store.ErrNotFound):
		r.say(line{Kind: "return", Client: r.client, ID: id})
	default:
		r.say(line{Kind: "return", Client: r.client, ID: id, Answer: answer{Unknown: true}})
	}
	return it, err
}

func (r *recorder) Put(ctx context.Context, items ...store.Item) error {
	if len(items) != 1 || !recorded(items[0].Key) {
		return r.Store.Put(ctx, items...)
	}
	it := items[0]
	id := r.n.Add(1)
	r.say(line{Kind: "call", Client: r.client, ID: id, Op: operation{it.SK, true, it.Version, digest(it.Body)}})
	err := r.Store.Put(ctx, it)
	conflict := errors.Is(err, store.ErrConflict)
	r.say(line{Kind: "return", Client: r.client, ID: id, Answer: answer{Conflict: conflict, Unknown: err != nil && !conflict}})
	return err
}

// appender writes lines to a history, each in one write at the file's end.
func appender(t *testing.T, path string) func(line) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return func(l line) {
		b, err := json.Marshal(l)
		if err != nil {
			panic(err) // texts and numbers only
		}
		if _, err := f.Write(append(b, '\n')); err != nil {
			panic(err) // without a history nothing was tested
		}
	}
}

func readHistory(t *testing.T, path string) []line {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []line
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("%s: line %d: %v", path, len(out)+1, err)
		}
		out = append(out, l)
	}
	return out
}

// historiesVariable names a folder for the histories; without it they go where
// go test -artifacts has them, or nowhere that stays.
const historiesVariable = "PEERKEEPER_HISTORIES"

func historyPath(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(historiesVariable)
	if dir == "" {
		dir = t.ArtifactDir()
	}
	path := filepath.Join(dir, strings.NewReplacer("/", "_", " ", "_", ",", "").Replace(t.Name())+".jsonl")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return path
}

// linearizable checks a history, and draws it beside its file if it does not hold.
func linearizable(t *testing.T, path string, lines []line) {
	t.Helper()
	began := time.Now()
	got := verdict(lines)
	calls, unknown := 0, 0
	for _, e := range events(lines) {
		if e.Kind == porcupine.CallEvent {
			calls++
		} else if e.Value.(answer).Unknown {
			unknown++
		}
	}
	t.Logf("%s: %d operations, %d of unknown outcome, judged %s in %v", filepath.Base(path), calls, unknown, got, time.Since(began).Round(time.Millisecond))
	if calls == 0 {
		t.Error("no operation was recorded: nothing was tested")
	}
	if got == porcupine.Ok {
		return
	}
	t.Errorf("no order of compare-and-swaps explains what the store answered: %s", path)
	_, info := porcupine.CheckEventsVerbose(compareAndSwap(), events(lines), 5*time.Minute)
	if err := porcupine.VisualizePath(compareAndSwap(), info, path+".html"); err != nil {
		t.Log(err)
	}
}

func TestWhatAHistoryOfCompareAndSwapsMayBe(t *testing.T) {
	call := func(client string, id int64, op operation) line {
		op.Item = "GATE"
		return line{Kind: "call", Client: client, ID: id, Op: op}
	}
	back := func(client string, id int64, a answer) line {
		return line{Kind: "return", Client: client, ID: id, Answer: a}
	}
	put := func(base int64, is string) operation { return operation{Put: true, Base: base, Is: is} }
	get, ok, conflict, lost := operation{}, answer{}, answer{Conflict: true}, answer{Unknown: true}
	a1, b1, a2 := answer{Version: 1, Is: "a"}, answer{Version: 1, Is: "b"}, answer{Version: 2, Is: "a"}
	for _, c := range []struct {
		name  string
		lines []line
		want  porcupine.CheckResult
	}{
		{"of two that write over one version one is late", []line{call("x", 1, put(0, "a")), call("y", 1, put(0, "b")), back("y", 1, conflict), back("x", 1, ok), call("y", 2, get), back("y", 2, a1)}, porcupine.Ok},
		{"both are told that they wrote", []line{call("x", 1, put(0, "a")), call("y", 1, put(0, "b")), back("y", 1, ok), back("x", 1, ok)}, porcupine.Illegal},
		{"neither is, and nobody else wrote", []line{call("x", 1, put(0, "a")), call("y", 1, put(0, "b")), back("y", 1, conflict), back("x", 1, conflict)}, porcupine.Illegal},
		{"an acknowledged write is gone", []line{call("x", 1, put(0, "a")), back("x", 1, ok), call("x", 2, get), back("x", 2, ok)}, porcupine.Illegal},
		{"a read from before a write that has ended", []line{call("x", 1, put(0, "a")), back("x", 1, ok), call("x", 2, put(1, "b")), back("x", 2, ok), call("y", 1, get), back("y", 1, a1)}, porcupine.Illegal},
		{"a read beside the write sees either", []line{call("x", 1, put(0, "a")), call("y", 1, get), call("z", 1, get), back("y", 1, ok), back("z", 1, a1), back("x", 1, ok)}, porcupine.Ok},
		{"the answer was lost, and it was written", []line{call("x", 1, put(0, "a")), back("x", 1, lost), call("y", 1, get), back("y", 1, a1)}, porcupine.Ok},
		{"the answer was lost, and it was not written", []line{call("x", 1, put(0, "a")), back("x", 1, lost), call("y", 1, put(0, "b")), back("y", 1, ok), call("y", 2, get), back("y", 2, b1)}, porcupine.Ok},
		{"the writer was killed, and it was written later", []line{call("x", 1, put(0, "a")), call("y", 1, get), back("y", 1, ok), call("y", 2, get), back("y", 2, a1)}, porcupine.Ok},
		{"the answer was lost, and it was written twice", []line{call("x", 1, put(0, "a")), back("x", 1, lost), call("y", 1, get), back("y", 1, a1), call("y", 2, get), back("y", 2, a2)}, porcupine.Illegal},
		{"what is read was never written", []line{call("x", 1, put(0, "a")), back("x", 1, lost), call("y", 1, get), back("y", 1, b1)}, porcupine.Illegal},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := verdict(c.lines); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// halves is a store that is no store: it checks the version, and writes
// afterwards, whatever stands by then. Those who write the first gate meet
// between the two.
type halves struct {
	store.Store // nil: nothing else is asked of it
	mu          sync.Mutex
	items       map[store.Key]store.Item
	meet        sync.WaitGroup
}

func (h *halves) Get(_ context.Context, key store.Key) (store.Item, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	it, ok := h.items[key]
	if !ok {
		return store.Item{}, store.ErrNotFound
	}
	return it, nil
}

func (h *halves) Put(ctx context.Context, items ...store.Item) error {
	for _, it := range items {
		if stands, _ := h.Get(ctx, it.Key); stands.Version != it.Version {
			return &store.PutError{Key: it.Key, Cause: store.ErrConflict}
		}
		if it.Key == store.Gate("acme") && it.Version == 0 {
			h.meet.Done()
			h.meet.Wait()
		}
		h.mu.Lock()
		it.Version++
		h.items[it.Key] = it
		h.mu.Unlock()
	}
	return nil
}

// The check can fail: over a store that checks and then writes, two people's
// words are both acknowledged and one is gone.
func TestAStoreThatChecksAndThenWritesIsCaught(t *testing.T) {
	for _, c := range []struct {
		name string
		over func() store.Store
		want porcupine.CheckResult
	}{
		{"a store", func() store.Store { return storetest.NewMemory() }, porcupine.Ok},
		{"check, then put", func() store.Store {
			h := &halves{items: map[store.Key]store.Item{}}
			h.meet.Add(2)
			return h
		}, porcupine.Illegal},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := historyPath(t)
			say, s := appender(t, path), c.over()
			var people sync.WaitGroup
			for _, who := range []string{"jdoe", "asmith"} {
				people.Go(func() {
					r := &recorder{Store: s, client: who, say: say}
					if _, err := Append(context.WithoutCancel(t.Context()), r, "acme", Entry{Time: noon, Actor: who, Intent: "ack", Outcome: "done"}); err != nil {
						t.Error(err)
					}
				})
			}
			people.Wait()
			if got := verdict(readHistory(t, path)); got != c.want {
				t.Errorf("judged %s, want %s", got, c.want)
			}
		})
	}
}
