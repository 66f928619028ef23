package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"peerkeeper/shared/store"
	"peerkeeper/shared/store/dynamo"
	"peerkeeper/shared/store/dynamo/emulator"
)

// written puts some items and gives their keys.
func written(t *testing.T, s *dynamo.Store, n int) []store.Key {
	t.Helper()
	var items []store.Item
	var keys []store.Key
	for i := range n {
		it := item(fmt.Sprintf("PEER#%03d", i), fmt.Sprint(i), 0)
		items, keys = append(items, it), append(keys, it.Key)
	}
	if err := s.Put(t.Context(), items...); err != nil {
		t.Fatal(err)
	}
	return keys
}

// A table that is busy answers a batch in part. What it left is asked for again,
// and nothing is taken for missing.
func TestABatchOfWhichSomeIsLeftUnread(t *testing.T) {
	rule := func(k emulator.Kind, keep, times int) emulator.Rule {
		return emulator.Rule{Service: "dynamodb", Operation: "BatchGetItem", Kind: k, Keep: keep, Times: times}
	}
	for _, c := range []struct {
		name     string
		rules    []emulator.Rule
		requests int
	}{
		{"nothing is left", nil, 1},
		{"most of it, once", []emulator.Rule{rule(emulator.Unprocessed, 3, 1)}, 2},
		{"a few at a time", []emulator.Rule{rule(emulator.Unprocessed, 5, 4)}, 5},
		{"all of it, three times", []emulator.Rule{rule(emulator.Unprocessed, 0, 3)}, 4},
		{"some, then throttled, then an error, then the answer is lost", []emulator.Rule{
			rule(emulator.Unprocessed, 7, 1), rule(emulator.Throttle, 0, 1), rule(emulator.ServerError, 0, 1), rule(emulator.LostReply, 0, 1),
		}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			keys := written(t, s, 30)
			shared.Inject(c.rules...)
			before, seen := s.Usage(), shared.Seen()["dynamodb.BatchGetItem"]
			got, err := s.GetMany(t.Context(), append(keys, item("PEER#none", "", 0).Key)...)
			if err != nil || len(got) != len(keys) {
				t.Errorf("%d items of %d, %v", len(got), len(keys), err)
			}
			for i, k := range keys {
				if string(got[k].Body) != fmt.Sprint(i) || got[k].Version != 1 {
					t.Errorf("%s is %q version %d", k.SK, got[k].Body, got[k].Version)
				}
			}
			if left := shared.Mend(); left > 0 {
				t.Errorf("%d faults did not fire", left)
			}
			use := s.Usage().Minus(before)
			if n := shared.Seen()["dynamodb.BatchGetItem"] - seen; n != c.requests || use.Requests != int64(n) || use.Retries != int64(n-1) {
				t.Errorf("%d requests, counted %+v; want %d", n, use, c.requests)
			}
			if use.ReadUnits < 31 || use.WriteUnits != 0 { // 31 keys; an answer that was lost cannot be counted
				t.Errorf("31 keys cost %+v", use)
			}
		})
	}
}

func TestATableThatKeepsLeavingItemsUnread(t *testing.T) {
	busy := emulator.Rule{Operation: "BatchGetItem", Kind: emulator.Unprocessed, Keep: 0, Times: -1}
	t.Run("is given up", func(t *testing.T) {
		s := open(t)
		s.FirstWait = time.Microsecond
		keys := written(t, s, 3)
		shared.Inject(busy)
		before := s.Usage()
		got, err := s.GetMany(t.Context(), keys...)
		if got != nil || !errors.Is(err, &dynamo.Error{Kind: dynamo.Throttled}) || !strings.Contains(err.Error(), "3 of 3 items were left unread") {
			t.Errorf("%d items, %v", len(got), err)
		}
		if n := s.Usage().Minus(before).Requests; n < 3 || n > 20 {
			t.Errorf("asked %d times", n)
		}
	})
	t.Run("until the context ends", func(t *testing.T) {
		s := open(t)
		s.FirstWait = time.Hour
		keys := written(t, s, 3)
		shared.Inject(busy)
		// How far it comes in that time is up to the machine, which is given more until it comes to the answer.
		for within, throttled := 300*time.Millisecond, false; !throttled; within *= 2 {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			got, err := s.GetMany(ctx, keys...)
			cancel()
			if got != nil || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%d items, %v", len(got), err)
			}
			throttled = errors.Is(err, &dynamo.Error{Kind: dynamo.Throttled})
		}
	})
}

// Half an answer would pass for a mesh in which nobody said anything.
func TestManyItemsAreWholeOrAnError(t *testing.T) {
	s := open(t)
	keys := written(t, s, 130)
	t.Run("one of two requests is denied", func(t *testing.T) {
		shared.Inject(emulator.Rule{Operation: "BatchGetItem", Contains: "PEER#120", Kind: emulator.Refuse})
		got, err := s.GetMany(t.Context(), keys...)
		if got != nil || !errors.Is(err, &dynamo.Error{Kind: dynamo.Denied}) || !strings.Contains(err.Error(), "dynamodb:BatchGetItem") {
			t.Errorf("%d items, %v", len(got), err)
		}
		shared.Mend()
	})
	t.Run("one item is not Peerkeeper's", func(t *testing.T) {
		_, err := dynamodb.NewFromConfig(shared.Config()).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(s.Table()), Item: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: "acme#live"}, "sk": &types.AttributeValueMemberS{Value: "PEER#120"},
			"body": &types.AttributeValueMemberN{Value: "1"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.GetMany(t.Context(), keys...)
		foreign, ok := errors.AsType[*dynamo.ForeignError](err)
		if got != nil || !ok || foreign.Key.SK != "PEER#120" {
			t.Errorf("%d items, %v", len(got), err)
		}
	})
}

// A policy's statement names one leading key, and every key of a request must
// stand in it: what is asked of two partitions is two requests.
func TestABatchKeepsToOnePartition(t *testing.T) {
	s := open(t)
	written(t, s, 2)
	before := shared.Seen()["dynamodb.BatchGetItem"]
	said := store.Key{PK: "acme#override", SK: "PAUSE#mesh"}
	got, err := s.GetMany(t.Context(), item("PEER#000", "", 0).Key, said, item("PEER#001", "", 0).Key)
	if err != nil || len(got) != 2 {
		t.Errorf("%d items, %v", len(got), err)
	}
	if n := shared.Seen()["dynamodb.BatchGetItem"] - before; n != 2 {
		t.Errorf("%d requests for two partitions", n)
	}
}
