package peer

import (
	"time"

	"peerkeeper/shared/instant"
)

// Knowledge says how far a Fact may be trusted.
type Knowledge string

// The three kinds of knowledge. Only Known may act, lower a count or clear an
// alarm.
const (
	KnownFact   Knowledge = "known"
	PartialFact Knowledge = "partial"
	UnknownFact Knowledge = "unknown"
)

// Fact is a value together with whether, and since when, it is known.
// The zero Fact is Unknown without a reason: it was never looked at.
type Fact[T any] struct {
	Knowledge Knowledge `json:"k,omitempty"`
	Value     T         `json:"v"`
	At        time.Time `json:"at,omitzero"`
	// Reason is why the value is not Known. Of a Known value it is why the
	// newest look brought nothing: it speaks once the value is too old.
	Reason Reason `json:"why,omitempty"`
	// Detail is for a person: which request failed and how.
	Detail string `json:"detail,omitempty"`
	// Cut names the fields of which the cluster sent more than is kept.
	Cut string `json:"cut,omitempty"`
}

// Known is a value that was read completely at that instant.
func Known[T any](v T, at time.Time) Fact[T] {
	return Fact[T]{Knowledge: KnownFact, Value: v, At: at}
}

// Partial is a value that was read, but not completely.
func Partial[T any](v T, at time.Time, why Reason, detail string) Fact[T] {
	return Fact[T]{Knowledge: PartialFact, Value: v, At: at, Reason: why, Detail: detail}
}

// Unknown is the absence of a value, and why it is absent.
func Unknown[T any](why Reason, detail string) Fact[T] {
	return Fact[T]{Knowledge: UnknownFact, Reason: why, Detail: detail}
}

// Get gives the value if, and only if, it is Known.
func (f Fact[T]) Get() (T, bool) {
	if f.Knowledge != KnownFact {
		var zero T
		return zero, false
	}
	return f.Value, true
}

// Known reports whether the value may be acted on.
func (f Fact[T]) Known() bool { return f.Knowledge == KnownFact }

// Why is the reason for not being Known; NotChecked for the zero Fact.
func (f Fact[T]) Why() Reason {
	if f.Reason == "" {
		return NotChecked
	}
	return f.Reason
}

// Fresh is the fact as it stands at now: older than maxAge, or read as far ahead by another clock, it is Unknown, for
// the reason that later looks failed for, or Stale if there was no later look.
func (f Fact[T]) Fresh(now time.Time, maxAge time.Duration) Fact[T] {
	if f.Knowledge != KnownFact && f.Knowledge != PartialFact || instant.Fresh(f.At, now, maxAge) {
		return f
	}
	last := "not read yet"
	if !f.At.IsZero() {
		last = "last read " + f.At.UTC().Format(time.RFC3339)
	}
	if f.Knowledge == KnownFact && f.Reason != "" {
		if f.Detail != "" {
			last = f.Detail + "; " + last
		}
		return Unknown[T](f.Reason, last)
	}
	return Unknown[T](Stale, last)
}

// Or keeps the older value where the new look did not yield a Known one, so
// that a single failed request does not forget what was read a tick ago, and a
// half read does not displace a whole one. Why the look failed is kept beside
// the value; the age limit of Fresh still ends it.
func (f Fact[T]) Or(older Fact[T]) Fact[T] {
	if f.Knowledge == KnownFact {
		return f
	}
	if older.Knowledge == KnownFact {
		older.Reason, older.Detail = f.Why(), f.Detail
		if f.Cut != "" {
			older.Cut = f.Cut
		}
		return older
	}
	if f.Knowledge != PartialFact && older.Knowledge == PartialFact {
		return older
	}
	return f
}
