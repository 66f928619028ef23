package store

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// DynamoDB's limits (Amazon DynamoDB Developer Guide, "Constraints"), kept by
// every implementation so that what works on one machine works on AWS too.
const (
	MaxItemSize = 400 << 10 // bytes: keys, body and attribute names together
	MaxPK       = 2048      // bytes
	MaxSK       = 1024      // bytes
	// itemOverhead is a generous allowance for attribute names and the two
	// numbers beside the body.
	itemOverhead = 64
)

// ErrInvalid says that an item or key can never be stored.
var ErrInvalid = errors.New("not a valid item")

// TooLargeError says that an item is beyond what DynamoDB takes.
type TooLargeError struct {
	Key  Key
	Size int // bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s %s is %d bytes; an item may have at most %d (DynamoDB's 400 KB)", e.Key.PK, e.Key.SK, e.Size, MaxItemSize)
}

// Is lets errors.Is(err, ErrInvalid) hold.
func (e *TooLargeError) Is(target error) bool { return target == ErrInvalid }

// CheckKey refuses what DynamoDB would not take as a key.
func CheckKey(k Key) error {
	for _, part := range []struct {
		name, value string
		max         int
	}{{"partition key", k.PK, MaxPK}, {"sort key", k.SK, MaxSK}} {
		switch {
		case part.value == "":
			return fmt.Errorf("%w: empty %s", ErrInvalid, part.name)
		case len(part.value) > part.max:
			return fmt.Errorf("%w: %s of %d bytes, at most %d", ErrInvalid, part.name, len(part.value), part.max)
		case !utf8.ValidString(part.value):
			return fmt.Errorf("%w: %s %q is not UTF-8", ErrInvalid, part.name, part.value)
		}
	}
	return nil
}

// Check refuses what no store would take. Implementations call it for each
// item of a Put.
func Check(it Item) error {
	if err := CheckKey(it.Key); err != nil {
		return err
	}
	if it.Version < 0 {
		return fmt.Errorf("%w: version %d", ErrInvalid, it.Version)
	}
	if !utf8.Valid(it.Body) {
		return fmt.Errorf("%w: the body is not UTF-8", ErrInvalid)
	}
	if !it.TTL.IsZero() && it.TTL.Unix() <= 0 {
		return fmt.Errorf("%w: ttl %s", ErrInvalid, it.TTL)
	}
	if size := len(it.PK) + len(it.SK) + len(it.Body) + itemOverhead; size > MaxItemSize {
		return &TooLargeError{Key: it.Key, Size: size}
	}
	return nil
}

// Expired says whether an item is past its time. A store hides such an item
// from every call, whether or not it has removed it yet; DynamoDB may take
// two days to.
func Expired(ttl, now time.Time) bool { return !ttl.IsZero() && ttl.Unix() <= now.Unix() }

// WholeSeconds is a TTL as stores keep it: DynamoDB counts whole seconds.
func WholeSeconds(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.Unix(t.Unix(), 0).UTC()
}

// RefuseAll is the error of a Put of which nothing was written, for
// implementations: one *PutError per item.
func RefuseAll(items []Item, cause error) error {
	errs := make([]error, len(items))
	for i, it := range items {
		errs[i] = &PutError{Key: it.Key, Cause: cause}
	}
	return errors.Join(errs...)
}
