package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/store"
	"peerkeeper/shared/store/dynamo"
	"peerkeeper/shared/store/dynamo/emulator"
	"peerkeeper/shared/store/storetest"
)

// fake is the emulator that this package's tests share, each on a table of
// its own.
type fake struct {
	*emulator.Emulator
	mu     sync.Mutex
	tables int
}

var shared fake // set once by TestMain

func TestMain(m *testing.M) {
	e, err := emulator.Start(context.Background())
	var missing *emulator.MissingError
	if err != nil && !errors.As(err, &missing) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared.Emulator = e
	code := m.Run()
	if e != nil {
		if err := e.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func emulated(t *testing.T) *fake {
	t.Helper()
	if shared.Emulator == nil {
		t.Skip((&emulator.MissingError{}).Error())
	}
	t.Cleanup(func() { shared.Mend() })
	return &shared
}

func open(t *testing.T) *dynamo.Store {
	t.Helper()
	e := emulated(t)
	e.mu.Lock()
	e.tables++
	name := fmt.Sprintf("peerkeeper-%d-%d", os.Getpid(), e.tables)
	e.mu.Unlock()
	if err := e.CreateTable(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	s := dynamo.New(dynamo.NewClient(e.Config()), name)
	s.FirstWait, s.AttemptTimeout = 2*time.Millisecond, time.Minute
	return s
}

func item(sk, body string, version int64) store.Item {
	return store.Item{Key: store.Key{PK: "acme#live", SK: sk}, Version: version, Body: []byte(body)}
}

func TestDynamo(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t) })
}

// The proxy's turns are what makes moto's conditions atomic. Without them the
// suite's race would be moto's, not ours: see emulator.Proxy.

func TestWritesUnderFaults(t *testing.T) {
	put := func(k emulator.Kind, times int) emulator.Rule {
		return emulator.Rule{Service: "dynamodb", Operation: "PutItem", Kind: k, Times: times}
	}
	for _, c := range []struct {
		name  string
		rules []emulator.Rule
	}{
		{"throttled three times", []emulator.Rule{put(emulator.Throttle, 3)}},
		{"DynamoDB errs twice", []emulator.Rule{put(emulator.ServerError, 2)}},
		{"the connection dies before the write", []emulator.Rule{put(emulator.LostRequest, 2)}},
		{"the write is done and its answer lost", []emulator.Rule{put(emulator.LostReply, 1)}},
		{"every answer lost, the last by a refusal of its condition", []emulator.Rule{put(emulator.LostReply, 3)}},
		{"the write is done and answered with an error", []emulator.Rule{put(emulator.FalseError, 2)}},
		{"answer lost, then throttled, then read-back throttled", []emulator.Rule{
			put(emulator.LostReply, 1), put(emulator.Throttle, 2),
			{Service: "dynamodb", Operation: "GetItem", Kind: emulator.Throttle, Times: 2},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			shared.Inject(c.rules...)
			for v, body := range []string{"one", "two", "three"} {
				if err := s.Put(t.Context(), item("GATE", body, int64(v))); err != nil {
					t.Fatalf("Put %s: %v", body, err)
				}
			}
			if left := shared.Mend(); left > 0 {
				t.Errorf("%d faults did not fire", left)
			}
			it, err := s.Get(t.Context(), item("GATE", "", 0).Key)
			if err != nil || string(it.Body) != "three" || it.Version != 3 {
				t.Errorf("the table holds %q version %d, %v", it.Body, it.Version, err)
			}
		})
	}
}

// An answer is lost, and before we look somebody else writes on: our write was
// done, and nobody can tell. A conflict would say that it was not, and the caller
// hears that does it again.
func TestAWriteWhoseAnswerIsLostAndThatIsOvertakenIsNoConflict(t *testing.T) {
	s, other := open(t), (*dynamo.Store)(nil)
	other = dynamo.New(dynamo.NewClient(shared.Config()), s.Table())
	overtaken := make(chan struct{})
	shared.Inject(emulator.Rule{Operation: "PutItem", Contains: `"ours"`, Kind: emulator.LostReply},
		emulator.Rule{Operation: "PutItem", Contains: `"ours"`, Kind: emulator.Delay, Wait: time.Hour, Until: overtaken})
	done := make(chan error, 1)
	go func() { done <- s.Put(t.Context(), item("GATE", "ours", 0)) }()
	for { // the other writer waits for ours to be there
		err := other.Put(t.Context(), item("GATE", "theirs", 1))
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrConflict) {
			t.Fatal(err)
		}
	}
	close(overtaken)
	if err := <-done; errors.Is(err, store.ErrConflict) || !errors.Is(err, &dynamo.Error{Kind: dynamo.Overtaken}) {
		t.Errorf("got %v, want that nobody can tell", err)
	}
	if it, err := s.Get(t.Context(), item("GATE", "", 0).Key); err != nil || string(it.Body) != "theirs" {
		t.Errorf("the other's write is gone: %q %v", it.Body, err)
	}
}

// A plain conflict is not taken for our own write, even if the bytes are equal.
func TestEqualBytesOfAnotherAreStillAConflict(t *testing.T) {
	s := open(t)
	if err := s.Put(t.Context(), item("GATE", "same", 0)); err != nil {
		t.Fatal(err)
	}
	before := shared.Seen()["dynamodb.PutItem"]
	if err := s.Put(t.Context(), item("GATE", "same", 0)); !errors.Is(err, store.ErrConflict) {
		t.Errorf("got %v, want a conflict", err)
	}
	if n := shared.Seen()["dynamodb.PutItem"] - before; n != 1 {
		t.Errorf("a failed condition was asked %d times, want once", n)
	}
}

func TestDeleteWhoseAnswerIsLost(t *testing.T) {
	s := open(t)
	if err := s.Put(t.Context(), item("PAUSE#mesh", "x", 0)); err != nil {
		t.Fatal(err)
	}
	shared.Inject(emulator.Rule{Operation: "DeleteItem", Kind: emulator.LostReply})
	if err := s.Delete(t.Context(), item("PAUSE#mesh", "", 0).Key, 1); err != nil {
		t.Errorf("the item is gone, and Delete says %v", err)
	}
	if err := s.Delete(t.Context(), item("PAUSE#mesh", "", 0).Key, 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleting what is gone: %v", err)
	}
}

func TestLoadIsWholeOrAnError(t *testing.T) {
	s := open(t)
	var items []store.Item
	for i := range 9 { // 2.7 MB: three pages of 1 MB
		items = append(items, item(fmt.Sprintf("CLUSTER#c%02d", i), strings.Repeat("x", 300<<10), 0))
	}
	if err := s.Put(t.Context(), items...); err != nil {
		t.Fatal(err)
	}
	t.Run("throttled between pages", func(t *testing.T) {
		shared.Inject(emulator.Rule{Operation: "Query", Contains: "ExclusiveStartKey", Kind: emulator.Throttle, Times: 2})
		got, err := s.Load(t.Context(), "acme#live", "CLUSTER#")
		if err != nil || len(got) != 9 {
			t.Errorf("%d items, %v", len(got), err)
		}
		if left := shared.Mend(); left > 0 {
			t.Error("there was no second page")
		}
	})
	t.Run("denied between pages", func(t *testing.T) {
		shared.Inject(emulator.Rule{Operation: "Query", Contains: "ExclusiveStartKey", Kind: emulator.Refuse})
		got, err := s.Load(t.Context(), "acme#live", "CLUSTER#")
		if got != nil || !errors.Is(err, &dynamo.Error{Kind: dynamo.Denied}) {
			t.Errorf("%d items, %v", len(got), err)
		}
		if err != nil && !strings.Contains(err.Error(), "dynamodb:Query") {
			t.Errorf("the error names no cure: %v", err)
		}
	})
}

// What people said stops an action: read late, it would come too late.
func TestReadsBeforeAnActionAreConsistent(t *testing.T) {
	s := open(t)
	if err := s.Put(t.Context(), item("PAUSE#mesh", "x", 0)); err != nil {
		t.Fatal(err)
	}
	never := emulator.Rule{Contains: `"ConsistentRead":true`, Kind: emulator.Refuse, Times: -1}
	for _, c := range []struct {
		name       string
		call       func() error
		consistent bool
	}{
		{"Get", func() error { _, err := s.Get(t.Context(), item("PAUSE#mesh", "", 0).Key); return err }, true},
		{"GetMany", func() error { _, err := s.GetMany(t.Context(), item("PAUSE#mesh", "", 0).Key); return err }, true},
		{"LoadNow", func() error { _, err := s.LoadNow(t.Context(), "acme#live", "PAUSE#"); return err }, true},
		{"Load", func() error { _, err := s.Load(t.Context(), "acme#live", "PAUSE#"); return err }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.call(); err != nil {
				t.Fatal(err)
			}
			shared.Inject(never)
			defer shared.Mend()
			if err := c.call(); errors.Is(err, &dynamo.Error{Kind: dynamo.Denied}) != c.consistent {
				t.Errorf("asked for a consistent answer: %v, want it: %v", err, c.consistent)
			}
		})
	}
}

func TestOneThrottledItemDoesNotKeepTheOthers(t *testing.T) {
	s := open(t)
	shared.Inject(emulator.Rule{Operation: "PutItem", Contains: "CLUSTER#apac", Kind: emulator.Throttle, Times: 3},
		emulator.Rule{Operation: "PutItem", Contains: "CLUSTER#apac", Kind: emulator.Delay, Wait: time.Hour})
	ctx, end := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Put(ctx, item("CLUSTER#emea", "x", 0), item("CLUSTER#apac", "x", 0), item("CLUSTER#amer", "x", 0))
	}()
	for written := 0; written < 2 || shared.Held() == 0; { // the others are there, and it is being tried again
		items, err := s.Load(t.Context(), "acme#live", "")
		if err != nil {
			t.Fatal(err)
		}
		written = len(items)
	}
	end(context.DeadlineExceeded)
	err := <-done
	failed := storetest.PutErrors(err)
	if len(failed) != 1 || failed[0].Key.SK != "CLUSTER#apac" {
		t.Fatalf("failed: %v", err)
	}
	if !errors.Is(err, &dynamo.Error{Kind: dynamo.Throttled}) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want throttled and the deadline", err)
	}
	shared.Mend()
	got, err := s.Load(t.Context(), "acme#live", "")
	if err != nil || len(got) != 2 {
		t.Errorf("%d items written, %v", len(got), err)
	}
}

func TestAHangingConnectionIsLetGo(t *testing.T) {
	s := open(t)
	s.AttemptTimeout = 2 * time.Second
	shared.Inject(emulator.Rule{Operation: "GetItem", Kind: emulator.Delay, Wait: time.Hour})
	if _, err := s.Get(t.Context(), item("GATE", "", 0).Key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if n := s.Usage().Retries; n == 0 {
		t.Error("the one that hangs was waited for")
	}
}

func TestMissingTable(t *testing.T) {
	e := emulated(t)
	s := dynamo.New(dynamo.NewClient(e.Config()), "no-such-table")
	_, err := s.Load(t.Context(), "acme#live", "")
	if !errors.Is(err, &dynamo.Error{Kind: dynamo.NoTable}) || !strings.Contains(err.Error(), "PEERKEEPER_TABLE") {
		t.Errorf("error %v", err)
	}
}

func TestAForeignItemIsNamed(t *testing.T) {
	s := open(t)
	client := dynamodb.NewFromConfig(shared.Config())
	_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(s.Table()), Item: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "acme#live"}, "sk": &types.AttributeValueMemberS{Value: "NOTE"},
		"body": &types.AttributeValueMemberN{Value: "1"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Load(t.Context(), "acme#live", "")
	foreign, ok := errors.AsType[*dynamo.ForeignError](err)
	if !ok || foreign.Key.SK != "NOTE" {
		t.Fatalf("error %v", err)
	}
	if diff := cmp.Diff([]string{"body", "version"}, slices.Sorted(slices.Values(foreign.Attributes))); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

// What the table holds is plain, for people with a console.
func TestTheItemInTheTable(t *testing.T) {
	s := open(t)
	it := item("CLUSTER#emea", `{"schema":1,"version":1}`, 0)
	it.TTL = time.Date(2036, 1, 2, 3, 4, 5, 6, time.UTC)
	if err := s.Put(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	out, err := dynamodb.NewFromConfig(shared.Config()).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(s.Table())})
	if err != nil || len(out.Items) != 1 {
		t.Fatal(out, err)
	}
	got := map[string]string{}
	for name, v := range out.Items[0] {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			got[name] = "S " + v.Value
		case *types.AttributeValueMemberN:
			got[name] = "N " + v.Value
		}
	}
	want := map[string]string{"pk": "S acme#live", "sk": "S CLUSTER#emea", "version": "N 1", "ttl": "N 2082855845", "body": `S {"schema":1,"version":1}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("item (-want +got):\n%s", diff)
	}
	use := s.Usage()
	if use.WriteUnits <= 0 || use.Requests != 1 {
		t.Errorf("the write cost %+v", use)
	}
	if _, err := s.Load(t.Context(), "acme#live", ""); err != nil {
		t.Fatal(err)
	}
	if diff := s.Usage().Minus(use); diff.ReadUnits <= 0 || diff.WriteUnits != 0 || diff.Requests != 1 {
		t.Errorf("the load cost %+v", diff)
	}
}

// TestHeadsReadLittleBelowThem: of long plans one page each is read, and no more; of
// short ones many come in one.
func TestHeadsReadLittleBelowThem(t *testing.T) {
	s := open(t)
	var items []store.Item
	plan := func(id string, steps int) {
		items = append(items, store.Item{Key: store.Change("acme", id), Body: []byte("head")})
		for n := range steps {
			items = append(items, store.Item{Key: store.ChangeStep("acme", id, n+1), Body: []byte("step")})
		}
	}
	plan("1aaaaa", 320)
	plan("2bbbbb", 320)
	for i := range 20 {
		plan(fmt.Sprintf("3%05d", i), 6)
	}
	if err := s.Put(t.Context(), items...); err != nil {
		t.Fatal(err)
	}
	before := s.Usage()
	heads, err := s.Heads(t.Context(), store.Changes("acme"), store.PrefixChange)
	if err != nil || len(heads) != 22 {
		t.Fatalf("%d heads, %v", len(heads), err)
	}
	// A page of each long plan, and 140 items of short ones in two.
	if use := s.Usage().Minus(before); use.Requests != 4 {
		t.Errorf("%d requests of 100 items, want 4: %d items are there", use.Requests, len(items))
	}
}
