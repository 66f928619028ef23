package dynamo

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"peerkeeper/shared/store"
)

// maxBatch is how many keys one BatchGetItem takes (Amazon DynamoDB API
// Reference, "BatchGetItem").
const maxBatch = 100

// GetMany implements store.Store with strongly consistent batches, some of them
// at once. The first that fails ends the others: half an answer is none.
func (s *Store) GetMany(ctx context.Context, keys ...store.Key) (map[store.Key]store.Item, error) {
	for _, key := range keys {
		if err := store.CheckKey(key); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var mu sync.Mutex
	out := make(map[store.Key]store.Item, len(keys))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for _, batch := range batches(keys) {
		group.Go(func() error {
			items, err := s.batch(inner, batch)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for _, it := range items {
				out[it.Key] = it
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

// batches splits keys into requests: each key once, since DynamoDB refuses a
// request that names one twice, and each request within one partition. A policy
// grants leading keys statement by statement, and every leading key of a request
// must stand in one and the same statement: a batch across partitions would be
// denied to a caller that may read both.
func batches(keys []store.Key) [][]store.Key {
	had := make(map[store.Key]bool, len(keys))
	of := map[string][]store.Key{}
	var order []string
	for _, k := range keys {
		if had[k] {
			continue
		}
		had[k] = true
		if of[k.PK] == nil {
			order = append(order, k.PK)
		}
		of[k.PK] = append(of[k.PK], k)
	}
	var out [][]store.Key
	for _, pk := range order {
		out = slices.AppendSeq(out, slices.Chunk(of[pk], maxBatch))
	}
	return out
}

// batch reads at most maxBatch items. DynamoDB leaves keys unprocessed when the
// table is busy, or when the answer would be above 16 MB (40 of the largest items);
// they are asked for again as what was refused for the moment is.
func (s *Store) batch(ctx context.Context, keys []store.Key) ([]store.Item, error) {
	left := make([]map[string]types.AttributeValue, len(keys))
	for i, k := range keys {
		left[i] = keyOf(k)
	}
	var found []map[string]types.AttributeValue
	_, err := s.try(ctx, "BatchGetItem", func(ctx context.Context) error {
		out, err := s.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems:           map[string]types.KeysAndAttributes{s.table: {Keys: left, ConsistentRead: aws.Bool(true)}},
			ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		})
		if err != nil {
			return err
		}
		s.count(func(u *Usage) {
			for i := range out.ConsumedCapacity {
				u.ReadUnits += units(&out.ConsumedCapacity[i])
			}
		})
		found = append(found, out.Responses[s.table]...)
		left = out.UnprocessedKeys[s.table].Keys
		if len(left) > 0 {
			return &unreadError{left: len(left), of: len(keys)}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	now := s.now()
	var items []store.Item
	for _, attrs := range found {
		it, err := decode(attrs)
		if err != nil {
			return nil, err
		}
		if !store.Expired(it.TTL, now) {
			items = append(items, it)
		}
	}
	return items, nil
}

// unreadError says that DynamoDB left keys of a batch for later.
type unreadError struct{ left, of int }

func (e *unreadError) Error() string {
	return fmt.Sprintf("%d of %d items were left unread", e.left, e.of)
}
