// Package dynamo keeps the store in one DynamoDB table: partition key pk, sort
// key sk, and beside them version (N), ttl (N, Unix seconds) and body (S).
//
// It owns the requests to that table and never the table itself. Every write
// is conditional on the version that was read. A write whose answer was lost
// is read back: it is a success if the table holds these very bytes under this
// very version. A write of which nobody can say what became of it is an error.
// Throttling, refusals of the moment and broken connections are tried again
// for as long as the context allows; a failed condition never is.
package dynamo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"peerkeeper/shared/store"
)

const (
	// inFlight is how many writes of one Put, or batches of one GetMany, are
	// under way at once. A mesh of 30 clusters writes at most some 30 items in a
	// steady tick.
	inFlight = 8
	// maxAttempts ends what the context would not: with the waits below it is
	// some 15 s of a table that keeps refusing.
	maxAttempts = 12
	firstWait   = 50 * time.Millisecond // upper end; doubles
	longestWait = 3 * time.Second
	// attemptTimeout bounds one request. A function in a VPC that was idle may
	// find its first connection dead, and nothing says so.
	attemptTimeout = 5 * time.Second
)

// The attributes of an item. "ttl" is a reserved word in expressions.
const (
	attrPK      = "pk"
	attrSK      = "sk"
	attrVersion = "version"
	attrTTL     = "ttl"
	attrBody    = "body"
)

// API is what the store asks of DynamoDB; *dynamodb.Client has it.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// Store is one table.
type Store struct {
	// Now is the clock that expires items; nil means time.Now. Set it before
	// the first use.
	Now func() time.Time
	// FirstWait is the upper end of the first wait after a refusal; 0 means
	// 50 ms. Set it before the first use.
	FirstWait time.Duration
	// AttemptTimeout bounds one request; 0 means 5 s. Set it before the first
	// use.
	AttemptTimeout time.Duration

	api   API
	table string

	mu    sync.Mutex
	usage Usage
}

// New gives the store in a table. The client must not retry by itself
// (aws.NopRetryer): a repeated write whose first answer was lost would look
// like somebody else's.
func New(api API, table string) *Store { return &Store{api: api, table: table} }

// NewClient gives a client for a store.
func NewClient(cfg aws.Config) *dynamodb.Client {
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		o.Retryer = aws.NopRetryer{}
		// An address made of the account's number would be one more name to
		// resolve and to let through.
		o.AccountIDEndpointMode = aws.AccountIDEndpointModeDisabled
	})
}

// Table is the table's name.
func (s *Store) Table() string { return s.table }

// Usage counts what the store has cost since it was made.
type Usage struct {
	ReadUnits, WriteUnits float64 // consumed capacity units, as DynamoDB said
	Requests, Retries     int64   // requests, those tried again included
}

// Minus is what was added since an earlier reading.
func (u Usage) Minus(before Usage) Usage {
	return Usage{u.ReadUnits - before.ReadUnits, u.WriteUnits - before.WriteUnits, u.Requests - before.Requests, u.Retries - before.Retries}
}

// Usage is what the store has cost so far.
func (s *Store) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usage
}

func (s *Store) count(f func(u *Usage)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.usage)
}

func units(c *types.ConsumedCapacity) float64 {
	if c == nil {
		return 0
	}
	return aws.ToFloat64(c.CapacityUnits)
}

func (s *Store) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// Get implements store.Store with a strongly consistent read.
func (s *Store) Get(ctx context.Context, key store.Key) (store.Item, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Item{}, err
	}
	it, err := s.find(ctx, key)
	if err != nil {
		return store.Item{}, err
	}
	if store.Expired(it.TTL, s.now()) {
		return store.Item{}, store.ErrNotFound
	}
	return it, nil
}

// find is the item as it is, expired or not. ErrNotFound if there is none.
func (s *Store) find(ctx context.Context, key store.Key) (store.Item, error) {
	var out *dynamodb.GetItemOutput
	_, err := s.try(ctx, "GetItem", func(ctx context.Context) (err error) {
		out, err = s.api.GetItem(ctx, &dynamodb.GetItemInput{
			TableName: &s.table, Key: keyOf(key), ConsistentRead: aws.Bool(true),
			ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		})
		if err == nil {
			s.count(func(u *Usage) { u.ReadUnits += units(out.ConsumedCapacity) })
		}
		return err
	})
	if err != nil {
		return store.Item{}, err
	}
	if len(out.Item) == 0 {
		return store.Item{}, store.ErrNotFound
	}
	return decode(out.Item)
}

// Load implements store.Store by one query, page after page. It is eventually
// consistent, at half the price.
func (s *Store) Load(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	return s.query(ctx, pk, prefix, false)
}

// LoadNow implements store.Store by the same query, strongly consistent.
func (s *Store) LoadNow(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	return s.query(ctx, pk, prefix, true)
}

func (s *Store) query(ctx context.Context, pk, prefix string, consistent bool) ([]store.Item, error) {
	in := &dynamodb.QueryInput{
		ConsistentRead:            &consistent,
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": text(pk)},
	}
	if prefix != "" { // DynamoDB refuses an empty operand
		in.KeyConditionExpression = aws.String("pk = :pk AND begins_with(sk, :prefix)")
		in.ExpressionAttributeValues[":prefix"] = text(prefix)
	}
	var items []store.Item
	for {
		page, last, err := s.page(ctx, in)
		if err != nil {
			return nil, err // never the pages so far: they would pass for all
		}
		items = append(items, page...)
		if len(last) == 0 {
			return items, nil
		}
		in.ExclusiveStartKey = last
	}
}

// page asks for one page of items, which are not expired, and gives where the next
// one begins.
func (s *Store) page(ctx context.Context, in *dynamodb.QueryInput) (items []store.Item, last map[string]types.AttributeValue, err error) {
	if pk, ok := in.ExpressionAttributeValues[":pk"].(*types.AttributeValueMemberS); !ok || pk.Value == "" {
		return nil, nil, fmt.Errorf("%w: empty partition key", store.ErrInvalid)
	}
	in.TableName, in.ReturnConsumedCapacity = &s.table, types.ReturnConsumedCapacityTotal
	var out *dynamodb.QueryOutput
	_, err = s.try(ctx, "Query", func(ctx context.Context) (err error) {
		out, err = s.api.Query(ctx, in)
		if err == nil {
			s.count(func(u *Usage) { u.ReadUnits += units(out.ConsumedCapacity) })
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	now := s.now()
	for _, attrs := range out.Items {
		it, err := decode(attrs)
		if err != nil {
			return nil, nil, err
		}
		if !store.Expired(it.TTL, now) {
			items = append(items, it)
		}
	}
	return items, out.LastEvaluatedKey, nil
}

// headsPage is how many items Heads asks for at once: most plans of a year come in
// a few pages, and of a long one no more than this is read.
const headsPage = 100

// Heads implements store.Store by pages, each of which begins behind what stands below
// the head at which the one before ended.
func (s *Store) Heads(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	if err := store.HeadPrefix(prefix); err != nil {
		return nil, err
	}
	in := &dynamodb.QueryInput{
		Limit:                  aws.Int32(headsPage),
		KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":pk": text(pk), ":from": text(prefix), ":to": text(strings.TrimSuffix(prefix, "#") + "$"), // $ follows #
		},
	}
	var heads []store.Item
	for {
		page, last, err := s.page(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, it := range page {
			if _, is := store.Head(it.SK, prefix); is && strings.HasPrefix(it.SK, prefix) {
				heads = append(heads, it)
			}
		}
		if len(last) == 0 {
			return heads, nil
		}
		in.ExclusiveStartKey = last
		if sk, ok := last["sk"].(*types.AttributeValueMemberS); ok {
			if end, is := store.Head(sk.Value, prefix); !is {
				in.ExclusiveStartKey, in.ExpressionAttributeValues[":from"] = nil, text(end)
			}
		}
	}
}

// Put implements store.Store: one conditional write per item, some of them at
// once.
func (s *Store) Put(ctx context.Context, items ...store.Item) error {
	errs := make([]error, len(items))
	var group errgroup.Group
	group.SetLimit(inFlight)
	for _, same := range byKey(items) {
		group.Go(func() error {
			// The same item twice is written in the order given.
			for _, i := range same {
				if err := s.put(ctx, items[i]); err != nil {
					errs[i] = &store.PutError{Key: items[i].Key, Cause: err}
				}
			}
			return nil
		})
	}
	_ = group.Wait() // what went wrong stands in errs, in the order of the items
	return errors.Join(errs...)
}

// byKey groups the places of items by their key, in order.
func byKey(items []store.Item) [][]int {
	at := make(map[store.Key]int, len(items))
	var groups [][]int
	for i, it := range items {
		g, ok := at[it.Key]
		if !ok {
			g = len(groups)
			at[it.Key] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

func (s *Store) put(ctx context.Context, it store.Item) error {
	if err := store.Check(it); err != nil {
		return err
	}
	in := &dynamodb.PutItemInput{
		TableName: &s.table, Item: encode(it),
		ExpressionAttributeNames:  map[string]string{"#ttl": attrTTL},
		ExpressionAttributeValues: map[string]types.AttributeValue{":now": number(s.now().Unix())},
		ReturnConsumedCapacity:    types.ReturnConsumedCapacityTotal,
	}
	// An expired item is as good as gone, whether or not DynamoDB has removed
	// it: it may begin again, and nobody may go on from it.
	if it.Version == 0 {
		in.ConditionExpression = aws.String("attribute_not_exists(pk) OR #ttl <= :now")
	} else {
		in.ConditionExpression = aws.String("#version = :version AND (attribute_not_exists(#ttl) OR #ttl > :now)")
		in.ExpressionAttributeNames["#version"] = attrVersion
		in.ExpressionAttributeValues[":version"] = number(it.Version)
	}
	lost, err := s.try(ctx, "PutItem", func(ctx context.Context) error {
		out, err := s.api.PutItem(ctx, in)
		if err == nil {
			s.count(func(u *Usage) { u.WriteUnits += units(out.ConsumedCapacity) })
		}
		return err
	})
	switch {
	case err == nil:
		return nil
	case !isConditional(err) && !lost:
		return err
	case isConditional(err) && !lost:
		return store.ErrConflict
	}
	// An earlier answer was lost, and so perhaps was our own success.
	stored, readErr := s.find(ctx, it.Key)
	switch {
	case readErr == nil && stored.Version == it.Version+1 && stored.TTL.Equal(store.WholeSeconds(it.TTL)) && bytes.Equal(stored.Body, it.Body):
		return nil
	case !isConditional(err):
		return errors.Join(err, readErr) // nobody can say; a caller that needs to know reads again
	case readErr == nil && stored.Version == it.Version+1:
		return store.ErrConflict // the one write over this version was somebody else's
	}
	kind := Lost
	if readErr == nil || errors.Is(readErr, store.ErrNotFound) {
		// Others have written, or removed, the item since, and what they wrote
		// over may have been ours. Called a conflict, it would be written twice.
		kind, readErr = Overtaken, nil
	}
	return errors.Join(&Error{Op: "PutItem", Table: s.table, Kind: kind, Cause: err}, readErr)
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key store.Key, version int64) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	lost, err := s.try(ctx, "DeleteItem", func(ctx context.Context) error {
		out, err := s.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: &s.table, Key: keyOf(key),
			ConditionExpression:      aws.String("#version = :version AND (attribute_not_exists(#ttl) OR #ttl > :now)"),
			ExpressionAttributeNames: map[string]string{"#version": attrVersion, "#ttl": attrTTL},
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":version": number(version), ":now": number(s.now().Unix()),
			},
			ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		})
		if err == nil {
			s.count(func(u *Usage) { u.WriteUnits += units(out.ConsumedCapacity) })
		}
		return err
	})
	if err == nil || !isConditional(err) {
		return err
	}
	_, readErr := s.Get(ctx, key)
	switch {
	case readErr == nil:
		return store.ErrConflict
	case errors.Is(readErr, store.ErrNotFound) && lost:
		return nil // gone, and our own answer was lost on the way
	}
	return readErr
}

// try sends a request until it is answered, refused for good, or given up.
// lost says that some attempt may have been carried out without an answer.
func (s *Store) try(ctx context.Context, op string, send func(context.Context) error) (lost bool, _ error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	ceiling := cmp.Or(s.FirstWait, firstWait)
	var before error // why the attempt before failed
	for attempt := 1; ; attempt++ {
		s.count(func(u *Usage) {
			u.Requests++
			if attempt > 1 {
				u.Retries++
			}
		})
		one, cancel := context.WithTimeout(ctx, cmp.Or(s.AttemptTimeout, attemptTimeout))
		err := send(one)
		cancel()
		if err == nil || isConditional(err) {
			return lost, err
		}
		kind := kindOf(err)
		lost = lost || kind == Lost || kind == Unavailable
		failure := &Error{Op: op, Table: s.table, Kind: kind, Cause: err}
		if ctx.Err() != nil {
			// The last attempt was only cut short; the one before says why
			// there had to be another.
			return lost, errors.Join(context.Cause(ctx), before, failure)
		}
		if !kind.passes() || attempt == maxAttempts {
			return lost, failure
		}
		// Full jitter: writers that were refused together must not come back
		// together.
		if waitErr := wait(ctx, time.Duration(rand.Float64()*float64(ceiling))); waitErr != nil {
			return lost, errors.Join(waitErr, failure)
		}
		ceiling = min(2*ceiling, longestWait)
		before = failure
	}
}

// wait waits, unless the context ends first.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func keyOf(k store.Key) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{attrPK: text(k.PK), attrSK: text(k.SK)}
}

// encode is the item as Put leaves it in the table.
func encode(it store.Item) map[string]types.AttributeValue {
	attrs := keyOf(it.Key)
	attrs[attrVersion] = number(it.Version + 1)
	attrs[attrBody] = text(string(it.Body))
	if !it.TTL.IsZero() {
		attrs[attrTTL] = number(it.TTL.Unix())
	}
	return attrs
}

// decode reads an item of the table. One that Peerkeeper did not write is an
// error that names it.
func decode(attrs map[string]types.AttributeValue) (store.Item, error) {
	str := func(name string) (string, bool) {
		v, ok := attrs[name].(*types.AttributeValueMemberS)
		if !ok {
			return "", false
		}
		return v.Value, true
	}
	var it store.Item
	var okPK, okSK bool
	it.PK, okPK = str(attrPK)
	it.SK, okSK = str(attrSK)
	body, okBody := str(attrBody)
	version, errVersion := integer(attrs[attrVersion])
	ttl, errTTL := int64(0), error(nil)
	if attrs[attrTTL] != nil {
		ttl, errTTL = integer(attrs[attrTTL])
	}
	var bad []string
	for name, ok := range map[string]bool{attrPK: okPK, attrSK: okSK, attrBody: okBody, attrVersion: errVersion == nil && version > 0, attrTTL: errTTL == nil} {
		if !ok {
			bad = append(bad, name)
		}
	}
	if len(bad) > 0 {
		return store.Item{}, &ForeignError{Key: it.Key, Attributes: bad}
	}
	it.Version, it.Body = version, []byte(body)
	if ttl != 0 {
		it.TTL = time.Unix(ttl, 0).UTC()
	}
	return it, nil
}

// integer reads a number attribute. DynamoDB's numbers may be written with a
// fraction or an exponent by others; ours are whole.
func integer(v types.AttributeValue) (int64, error) {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return 0, errors.New("not a number")
	}
	if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
		return i, nil
	}
	f, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, fmt.Errorf("%.40q is not a whole number", n.Value)
	}
	return int64(f), nil
}
